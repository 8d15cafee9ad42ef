//! Questions to the graph of operations, answered for somebody who may know of some only.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;

use alkhub_operations::OperationId;
use petgraph::Direction;
use petgraph::algo::kosaraju_scc;
use petgraph::stable_graph::NodeIndex;
use petgraph::visit::NodeFiltered;

use super::{OperationGraph, OperationNode, OperationNotFound};
use crate::compat::{TypeCompat, type_compat};

/// Longest path that is looked for, in edges.
pub const PATH_LENGTH: usize = 6;
/// Most paths that are given.
pub const MOST_PATHS: usize = 20;
/// How many steps are taken to find paths; where they do not suffice, those found are given.
const STEPS: usize = 200_000;

/// The graph of operations as somebody sees it. Made by [`OperationGraph::view`].
///
/// Every question about an operation that is not visible is answered as if there were none.
#[derive(Clone, Copy)]
pub struct OperationView<'a> {
    graph: &'a OperationGraph,
    visible: &'a dyn Fn(&OperationId) -> bool,
}

/// The first link of a chain that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainMisfit {
    /// Number of the link: 0 is that from the first operation to the second.
    pub index: usize,
    /// What the comparison says.
    pub result: TypeCompat,
}

/// A search for paths.
struct Search {
    target: NodeIndex,
    /// Fewest edges to the target.
    distance: HashMap<NodeIndex, usize>,
    limit: usize,
    steps: usize,
    found: Vec<Vec<NodeIndex>>,
}

impl<'a> OperationView<'a> {
    pub(super) fn new(
        graph: &'a OperationGraph,
        visible: &'a dyn Fn(&OperationId) -> bool,
    ) -> Self {
        Self { graph, visible }
    }

    /// All visible operations, by id.
    pub fn operations(&self) -> impl Iterator<Item = &'a OperationNode> {
        let Self { graph, visible } = *self;
        graph
            .index
            .iter()
            .filter(move |(id, _)| visible(id))
            .filter_map(|(id, _)| graph.get(id))
    }

    /// All edges between visible operations, by ids, with what was found about them.
    #[must_use]
    pub fn edges(&self) -> Vec<(&'a OperationId, &'a OperationId, &'a TypeCompat)> {
        let graph = &self.graph.graph;
        let mut edges: Vec<_> = graph
            .edge_indices()
            .filter_map(|edge| {
                let (from, to) = graph.edge_endpoints(edge)?;
                let (from, to) = (self.id(from)?, self.id(to)?);
                Some((from, to, &**graph.edge_weight(edge)?))
            })
            .collect();
        edges.sort_unstable_by_key(|(from, to, _)| (*from, *to));
        edges
    }

    /// Operations that can take what this one gives.
    ///
    /// # Errors
    /// [`OperationNotFound`].
    pub fn consumers(&self, id: &OperationId) -> Result<Vec<OperationId>, OperationNotFound> {
        Ok(self.names(self.neighbours(self.place(id)?, Direction::Outgoing)))
    }

    /// Operations that give what this one can take.
    ///
    /// # Errors
    /// [`OperationNotFound`].
    pub fn feeders(&self, id: &OperationId) -> Result<Vec<OperationId>, OperationNotFound> {
        Ok(self.names(self.neighbours(self.place(id)?, Direction::Incoming)))
    }

    /// Whether one operation can feed another, and why not.
    ///
    /// # Errors
    /// [`OperationNotFound`].
    pub fn explain(
        &self,
        from: &OperationId,
        to: &OperationId,
    ) -> Result<TypeCompat, OperationNotFound> {
        let (gives, takes) = (self.place(from)?, self.place(to)?);
        let graph = &self.graph.graph;
        let key = (
            graph[gives].output_hash.clone(),
            graph[takes].input_hash.clone(),
        );
        if let Some(known) = self.graph.kept.get(&key) {
            return Ok((**known).clone());
        }
        Ok(type_compat(
            &graph[gives].operation.output_schema,
            &graph[takes].operation.input_schema,
        ))
    }

    /// Ways from one operation to another that meet none twice: the shortest first, those of one
    /// length by name. At most [`PATH_LENGTH`] edges and [`MOST_PATHS`] ways, whatever is asked for.
    ///
    /// # Errors
    /// [`OperationNotFound`].
    pub fn paths(
        &self,
        from: &OperationId,
        to: &OperationId,
        longest: usize,
        limit: usize,
    ) -> Result<Vec<Vec<OperationId>>, OperationNotFound> {
        let (start, target) = (self.place(from)?, self.place(to)?);
        let mut search = Search {
            target,
            distance: self.distances(target),
            limit: limit.min(MOST_PATHS),
            steps: STEPS,
            found: Vec::new(),
        };
        if start != target {
            for length in 1..=longest.min(PATH_LENGTH) {
                self.search(&mut search, &mut vec![start], length);
            }
        }
        let found = search.found.into_iter();
        Ok(found
            .map(|path| {
                path.into_iter()
                    .filter_map(|at| self.id(at).cloned())
                    .collect()
            })
            .collect())
    }

    /// The given operations that are visible, and all that can be reached from them.
    #[must_use]
    pub fn reachable_from(&self, ids: &[OperationId]) -> BTreeSet<OperationId> {
        let mut left: Vec<NodeIndex> = ids.iter().filter_map(|id| self.place(id).ok()).collect();
        let mut seen: BTreeSet<NodeIndex> = left.iter().copied().collect();
        while let Some(at) = left.pop() {
            let next = self.neighbours(at, Direction::Outgoing);
            left.extend(next.into_iter().filter(|next| seen.insert(*next)));
        }
        seen.into_iter()
            .filter_map(|at| self.id(at).cloned())
            .collect()
    }

    /// The first link of a chain that does not hold, or of which nothing is known; none when all hold.
    ///
    /// # Errors
    /// [`OperationNotFound`] for the first operation that is not there.
    pub fn check_chain(
        &self,
        chain: &[OperationId],
    ) -> Result<Option<ChainMisfit>, OperationNotFound> {
        for id in chain {
            self.place(id)?;
        }
        for (index, link) in chain.windows(2).enumerate() {
            let result = self.explain(&link[0], &link[1])?;
            if !result.is_compatible() {
                return Ok(Some(ChainMisfit { index, result }));
            }
        }
        Ok(None)
    }

    /// Groups of two and more operations each of which can be reached from each: ordered within and
    /// among themselves by id.
    #[must_use]
    pub fn strongly_connected(&self) -> Vec<Vec<OperationId>> {
        let seen = NodeFiltered::from_fn(&self.graph.graph, |at| self.id(at).is_some());
        let mut groups: Vec<Vec<OperationId>> = kosaraju_scc(&seen)
            .into_iter()
            .filter(|group| group.len() > 1)
            .map(|group| self.names(group))
            .collect();
        groups.sort_unstable();
        groups
    }

    /// The id of a node, if it is visible.
    fn id(&self, at: NodeIndex) -> Option<&'a OperationId> {
        let vertex = self.graph.graph.node_weight(at)?;
        Some(&vertex.operation.id).filter(|id| (self.visible)(id))
    }

    fn place(&self, id: &OperationId) -> Result<NodeIndex, OperationNotFound> {
        let place = self.graph.index.get(id).copied();
        place
            .filter(|_| (self.visible)(id))
            .ok_or_else(|| OperationNotFound { id: id.clone() })
    }

    /// Visible neighbours, by id.
    fn neighbours(&self, at: NodeIndex, direction: Direction) -> Vec<NodeIndex> {
        let all = self.graph.graph.neighbors_directed(at, direction);
        let mut seen: Vec<NodeIndex> = all.filter(|next| self.id(*next).is_some()).collect();
        seen.sort_unstable_by_key(|next| self.id(*next));
        seen
    }

    fn names(&self, places: Vec<NodeIndex>) -> Vec<OperationId> {
        let mut names: Vec<OperationId> = places
            .into_iter()
            .filter_map(|at| self.id(at).cloned())
            .collect();
        names.sort_unstable();
        names
    }

    fn distances(&self, target: NodeIndex) -> HashMap<NodeIndex, usize> {
        let mut distance = HashMap::from([(target, 0)]);
        let mut queue = VecDeque::from([target]);
        while let Some(at) = queue.pop_front() {
            let next = distance[&at] + 1;
            for before in self.neighbours(at, Direction::Incoming) {
                distance.entry(before).or_insert_with(|| {
                    queue.push_back(before);
                    next
                });
            }
        }
        distance
    }

    /// Adds all ways of exactly this length that go on from the given one. As deep as the longest
    /// path, no deeper.
    fn search(&self, search: &mut Search, path: &mut Vec<NodeIndex>, length: usize) {
        let Some(at) = path.last().copied() else {
            return;
        };
        if at == search.target {
            if length == 0 {
                search.found.push(path.clone());
            }
            return;
        }
        for next in self.neighbours(at, Direction::Outgoing) {
            if search.found.len() >= search.limit || search.steps == 0 {
                return;
            }
            search.steps -= 1;
            let near = search
                .distance
                .get(&next)
                .is_some_and(|left| *left < length);
            if near && !path.contains(&next) {
                path.push(next);
                self.search(search, path, length - 1);
                path.pop();
            }
        }
    }
}

impl fmt::Debug for OperationView<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OperationView")
            .field("operations", &self.operations().count())
            .finish_non_exhaustive()
    }
}
