//! The slow second implementation, written from the rules alone.

use std::collections::{HashMap, HashSet, VecDeque};

use alkhub_taskgraph::{TaskAttributes, TaskRisk, TaskStatus};

/// A graph as two lists, every question answered by looking through them.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) nodes: Vec<(String, TaskAttributes)>,
    pub(super) edges: Vec<(String, String, f64)>,
}

impl Model {
    pub(super) fn ids(&self) -> Vec<String> {
        self.nodes.iter().map(|(id, _)| id.clone()).collect()
    }

    /// Numbers below 2^32 - 1 first, ascending, then the others as their edges came.
    pub(super) fn ordered(neighbours: Vec<String>) -> Vec<String> {
        let index = |id: &String| {
            let number: u64 = id.parse().ok()?;
            (number < 4_294_967_295 && number.to_string() == *id).then_some(number)
        };
        let mut numbers: Vec<String> = neighbours
            .iter()
            .filter(|id| index(id).is_some())
            .cloned()
            .collect();
        numbers.sort_by_key(index);
        numbers.extend(neighbours.into_iter().filter(|id| index(id).is_none()));
        numbers
    }

    pub(super) fn out(&self, id: &str) -> Vec<String> {
        Self::ordered(
            self.edges
                .iter()
                .filter(|e| e.0 == id)
                .map(|e| e.1.clone())
                .collect(),
        )
    }

    pub(super) fn inn(&self, id: &str) -> Vec<String> {
        Self::ordered(
            self.edges
                .iter()
                .filter(|e| e.1 == id)
                .map(|e| e.0.clone())
                .collect(),
        )
    }

    pub(super) fn attributes(&self, id: &str) -> &TaskAttributes {
        &self.nodes.iter().find(|node| node.0 == id).unwrap().1
    }

    pub(super) fn topological(&self) -> Option<Vec<String>> {
        let mut left: HashMap<String, usize> = self
            .ids()
            .into_iter()
            .map(|id| (id.clone(), self.inn(&id).len()))
            .collect();
        let mut queue: VecDeque<String> =
            self.ids().into_iter().filter(|id| left[id] == 0).collect();
        let mut order = Vec::new();
        while let Some(id) = queue.pop_front() {
            for next in self.out(&id) {
                *left.get_mut(&next).unwrap() -= 1;
                if left[&next] == 0 {
                    queue.push_back(next);
                }
            }
            order.push(id);
        }
        (order.len() == self.nodes.len()).then_some(order)
    }

    pub(super) fn cycles(&self) -> Vec<Vec<String>> {
        fn visit(
            model: &Model,
            id: &str,
            path: &mut Vec<String>,
            done: &mut HashSet<String>,
            found: &mut Vec<Vec<String>>,
        ) {
            path.push(id.to_owned());
            for next in model.out(id) {
                if let Some(at) = path.iter().position(|on_path| *on_path == next) {
                    found.push(path[at..].to_vec());
                } else if !done.contains(&next) {
                    visit(model, &next, path, done, found);
                }
            }
            path.pop();
            done.insert(id.to_owned());
        }
        let (mut done, mut found) = (HashSet::new(), Vec::new());
        for id in self.ids() {
            if !done.contains(&id) {
                visit(self, &id, &mut Vec::new(), &mut done, &mut found);
            }
        }
        found
    }

    pub(super) fn groups(&self, order: &[String]) -> Vec<Vec<String>> {
        let mut depths: HashMap<&str, usize> = HashMap::new();
        for id in order {
            let depth = self
                .inn(id)
                .iter()
                .map(|before| depths[before.as_str()] + 1)
                .max();
            depths.insert(id, depth.unwrap_or(0));
        }
        let most = depths.values().max().map_or(0, |depth| depth + 1);
        let at = |depth| {
            order
                .iter()
                .filter(|id| depths[id.as_str()] == depth)
                .cloned()
                .collect()
        };
        (0..most).map(at).collect()
    }

    pub(super) fn longest(&self, order: &[String], weight: impl Fn(&str) -> f64) -> Vec<String> {
        let mut best: HashMap<String, (f64, Vec<String>)> = HashMap::new();
        for id in order {
            let mut longest = (f64::NEG_INFINITY, Vec::new());
            for before in self.inn(id) {
                let length = best[&before].0 + weight(id);
                if length > longest.0 {
                    longest = (length, best[&before].1.clone());
                }
            }
            if self.inn(id).is_empty() {
                longest = (weight(id), Vec::new());
            }
            longest.1.push(id.clone());
            best.insert(id.clone(), longest);
        }
        let mut longest = (f64::NEG_INFINITY, Vec::new());
        for id in order {
            if best[id].0 > longest.0 {
                longest = best[id].clone();
            }
        }
        longest.1
    }

    /// Step by step as the rules say, with lists of predecessors.
    pub(super) fn betweenness(&self) -> Vec<(String, f64)> {
        let ids = self.ids();
        let out: HashMap<String, Vec<String>> =
            ids.iter().map(|id| (id.clone(), self.out(id))).collect();
        let mut scores: HashMap<String, f64> = ids.iter().map(|id| (id.clone(), 0.0)).collect();
        for source in &ids {
            let mut order = Vec::new();
            let mut distance = HashMap::from([(source.clone(), 0)]);
            let mut paths = HashMap::from([(source.clone(), 1.0)]);
            let mut before: HashMap<String, Vec<String>> = HashMap::new();
            let mut queue = VecDeque::from([source.clone()]);
            while let Some(id) = queue.pop_front() {
                order.push(id.clone());
                for next in &out[&id] {
                    if !distance.contains_key(next) {
                        distance.insert(next.clone(), distance[&id] + 1);
                        queue.push_back(next.clone());
                    }
                    if distance[next] == distance[&id] + 1 {
                        let more = paths[&id];
                        *paths.entry(next.clone()).or_insert(0.0) += more;
                        before.entry(next.clone()).or_default().push(id.clone());
                    }
                }
            }
            let mut dependency: HashMap<String, f64> =
                order.iter().map(|id| (id.clone(), 0.0)).collect();
            for id in order.iter().rev() {
                let share = (1.0 + dependency[id]) / paths[id];
                for nearer in before.get(id).into_iter().flatten() {
                    *dependency.get_mut(nearer).unwrap() += paths[nearer] * share;
                }
                if id != source {
                    *scores.get_mut(id).unwrap() += dependency[id];
                }
            }
        }
        let count = ids.len() as f64;
        let mut result: Vec<(String, f64)> =
            ids.iter().map(|id| (id.clone(), scores[id])).collect();
        if ids.len() > 2 {
            let scale = 1.0 / ((count - 1.0) * (count - 2.0));
            result.iter_mut().for_each(|(_, score)| *score *= scale);
        }
        result.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap());
        result
    }

    /// Effective probabilities in topological order.
    pub(super) fn probabilities(&self, order: &[String]) -> Vec<(String, f64)> {
        let mut passed_on: HashMap<&str, f64> = HashMap::new();
        let mut listed = Vec::new();
        for id in order {
            let task = self.attributes(id);
            let own = task.risk.unwrap_or(TaskRisk::Medium).success_probability();
            let before = self.inn(id);
            let effective = if before.is_empty() {
                own
            } else {
                let mut product = 1.0;
                for before in &before {
                    let edge = self
                        .edges
                        .iter()
                        .find(|e| e.0 == *before && e.1 == *id)
                        .unwrap();
                    let p = passed_on[before.as_str()];
                    product *= p + (1.0 - p) * edge.2;
                }
                own * product
            };
            let completed = task.status == Some(TaskStatus::Completed);
            passed_on.insert(id, if completed { 1.0 } else { effective });
            if !completed {
                listed.push((id.clone(), effective));
            }
        }
        listed
    }
}
