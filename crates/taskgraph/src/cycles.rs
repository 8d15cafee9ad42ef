//! Cycles and paths in a plain list of edges, for callers that have no task graph at hand.
//!
//! The ends of an edge may be anything that can be compared and hashed: task ids, row ids,
//! numbers. All searches run in time and memory proportional to the number of edges and without
//! recursion, so a chain of a million edges is no danger to the stack.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::hash::Hash;

use foldhash::fast::RandomState;

/// Cycles in `edges`, each edge read as (prerequisite, dependent).
///
/// The search is depth first, nodes and edges in the order in which they are first mentioned.
/// Every edge that leads back into the current path gives one cycle, so the result names at
/// least one cycle for each knot of dependencies, but not every possible cycle. `[a, b, c]` means
/// a → b → c → a; an edge from a node to itself gives `[a]`. Empty when there is no cycle.
///
/// ```
/// use alkhub_taskgraph::cycles::find_cycles;
///
/// assert_eq!(find_cycles(&[("a", "b"), ("b", "c"), ("c", "a")]), [["a", "b", "c"]]);
/// assert!(find_cycles(&[("a", "b"), ("a", "c")]).is_empty());
/// ```
pub fn find_cycles<N: Eq + Hash + Clone>(edges: &[(N, N)]) -> Vec<Vec<N>> {
    let numbered = Numbered::new(edges);
    search(numbered.nodes.len(), |node| {
        &numbered.targets[numbered.starts[node]..numbered.starts[node + 1]]
    })
    .into_iter()
    .map(|cycle| {
        cycle
            .into_iter()
            .map(|node| numbered.nodes[node as usize].clone())
            .collect()
    })
    .collect()
}

/// The shortest path from `from` to `to` along `edges`, both ends included; none when `to`
/// cannot be reached. A node reaches itself by the path of itself alone.
///
/// A new edge (`from`, `to`) closes a cycle exactly when there is a path from `to` to `from`,
/// and that path is the cycle.
///
/// ```
/// use alkhub_taskgraph::cycles::path;
///
/// let edges = [("a", "b"), ("b", "c")];
/// assert_eq!(path(&edges, &"a", &"c"), Some(vec!["a", "b", "c"]));
/// assert_eq!(path(&edges, &"c", &"a"), None);
/// ```
pub fn path<N: Eq + Hash + Clone>(edges: &[(N, N)], from: &N, to: &N) -> Option<Vec<N>> {
    if from == to {
        return Some(vec![from.clone()]);
    }
    let numbered = Numbered::new(edges);
    let start = *numbered.numbers.get(from)?;
    let goal = *numbered.numbers.get(to)?;
    let mut came_from = vec![u32::MAX; numbered.nodes.len()];
    came_from[start as usize] = start;
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        if node == goal {
            let mut steps = vec![node];
            let mut at = node;
            while at != start {
                at = came_from[at as usize];
                steps.push(at);
            }
            return Some(
                steps
                    .into_iter()
                    .rev()
                    .map(|n| numbered.nodes[n as usize].clone())
                    .collect(),
            );
        }
        let node = node as usize;
        for &next in &numbered.targets[numbered.starts[node]..numbered.starts[node + 1]] {
            if came_from[next as usize] == u32::MAX {
                came_from[next as usize] = node as u32;
                queue.push_back(next);
            }
        }
    }
    None
}

/// Ids named in all cycles together after which a search reports no further cycle.
///
/// Back edges of one long path can give cycles whose total length is the square of the number of
/// tasks; a report of that size helps nobody and would exhaust the memory.
pub(crate) const REPORT_LIMIT: usize = 4_000_000;

/// Depth-first search of the nodes `0..count`, without recursion; cycles as node numbers.
pub(crate) fn search<'a>(count: usize, targets: impl Fn(usize) -> &'a [u32]) -> Vec<Vec<u32>> {
    const UNSEEN: u32 = u32::MAX;
    const FINISHED: u32 = u32::MAX - 1;
    // Place of a node on the current path, or one of the two marks.
    let mut place = vec![UNSEEN; count];
    let mut path: Vec<u32> = Vec::new();
    let mut next_target: Vec<u32> = Vec::new();
    let mut cycles = Vec::new();
    let mut reported = 0;
    for root in 0..count {
        if place[root] != UNSEEN {
            continue;
        }
        place[root] = 0;
        path.push(root as u32);
        next_target.push(0);
        while let (Some(&node), Some(cursor)) = (path.last(), next_target.last_mut()) {
            let Some(&target) = targets(node as usize).get(*cursor as usize) else {
                place[node as usize] = FINISHED;
                path.pop();
                next_target.pop();
                continue;
            };
            *cursor += 1;
            match place[target as usize] {
                UNSEEN => {
                    place[target as usize] = path.len() as u32;
                    path.push(target);
                    next_target.push(0);
                }
                FINISHED => {}
                on_path => {
                    let cycle = &path[on_path as usize..];
                    if cycles.is_empty() || reported + cycle.len() <= REPORT_LIMIT {
                        reported += cycle.len();
                        cycles.push(cycle.to_vec());
                    }
                }
            }
        }
    }
    cycles
}

/// The edges with numbers for nodes, in the order of first mention.
struct Numbered<N> {
    nodes: Vec<N>,
    numbers: HashMap<N, u32, RandomState>,
    starts: Vec<usize>,
    targets: Vec<u32>,
}

impl<N: Eq + Hash + Clone> Numbered<N> {
    fn new(edges: &[(N, N)]) -> Self {
        let mut nodes = Vec::new();
        let mut numbers: HashMap<N, u32, RandomState> = HashMap::default();
        let mut number = |node: &N| {
            *numbers.entry(node.clone()).or_insert_with(|| {
                nodes.push(node.clone());
                (nodes.len() - 1) as u32
            })
        };
        let pairs: Vec<(u32, u32)> = edges
            .iter()
            .map(|(from, to)| (number(from), number(to)))
            .collect();
        let mut starts = vec![0; nodes.len() + 1];
        for (from, _) in &pairs {
            starts[*from as usize + 1] += 1;
        }
        for node in 0..nodes.len() {
            starts[node + 1] += starts[node];
        }
        let mut targets = vec![0; pairs.len()];
        let mut fill = starts.clone();
        for (from, to) in pairs {
            targets[fill[from as usize]] = to;
            fill[from as usize] += 1;
        }
        Self {
            nodes,
            numbers,
            starts,
            targets,
        }
    }
}
