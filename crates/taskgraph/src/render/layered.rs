//! Places for the tasks of a scene, layer by layer from left to right.
//!
//! Own code instead of a layout library: those there are draw text themselves, differ between
//! runs, or take time that grows with the square of the graph. The steps are the usual ones:
//! layers by longest path ([`ranks`]), dummy vertices where a dependency crosses layers, fewer
//! crossings by barycentres ([`order`]), straight lines by least squares ([`place`]). Each has a
//! bound on its work, so that a large graph costs seconds.

mod order;
mod pack;
mod place;
mod ranks;

pub(super) use pack::{Drawing, Point, layout};

/// A task to place, or a dependency between two of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) from: u32,
    pub(super) to: u32,
    /// Closes a cycle, so it runs from right to left.
    pub(super) back: bool,
}

/// Height of every box in pixels.
pub(super) const BOX_HEIGHT: f64 = 40.0;

/// A component taken apart into vertices of layers: its tasks first, then the dummies of its long
/// dependencies. All lists are by vertex unless they say otherwise.
#[derive(Debug, Default)]
struct Layers {
    /// How many of the vertices are tasks.
    tasks: usize,
    /// Layer, counted from the left.
    rank: Vec<u32>,
    /// Neighbours in the layer to the left.
    left: Vec<Vec<u32>>,
    /// Neighbours in the layer to the right.
    right: Vec<Vec<u32>>,
    /// By layer: its vertices from top to bottom.
    layers: Vec<Vec<u32>>,
    /// By link of the component: its dummies from left to right. None for a link that is drawn in
    /// one stroke because the dummies of all long links would be too many.
    dummies: Vec<Option<Vec<u32>>>,
}

impl Layers {
    /// Takes a component apart: `links` between its `tasks`, at most `dummy_limit` dummies.
    fn new(tasks: usize, links: &[Link], dummy_limit: usize) -> Self {
        let rank = ranks::assign(tasks, links);
        let span = |link: &Link| {
            let (left, right) = ends(link);
            rank[right as usize] - rank[left as usize]
        };
        let mut by_span: Vec<usize> = (0..links.len()).collect();
        by_span.sort_by_key(|number| span(&links[*number]));
        let mut layers = Self {
            tasks,
            left: vec![Vec::new(); tasks],
            right: vec![Vec::new(); tasks],
            layers: vec![Vec::new(); rank.iter().max().map_or(0, |last| *last as usize + 1)],
            dummies: vec![None; links.len()],
            rank: rank.clone(),
        };
        let mut left_over = dummy_limit;
        let mut short = vec![false; links.len()];
        for number in by_span {
            let needed = span(&links[number]).saturating_sub(1) as usize;
            if needed > left_over {
                break;
            }
            left_over -= needed;
            short[number] = true;
        }
        for (number, link) in links
            .iter()
            .enumerate()
            .filter(|(number, _)| short[*number])
        {
            let (mut at, end) = ends(link);
            let mut dummies = Vec::new();
            for rank in layers.rank[at as usize] + 1..layers.rank[end as usize] {
                let dummy = layers.rank.len() as u32;
                layers.rank.push(rank);
                layers.left.push(Vec::with_capacity(1));
                layers.right.push(Vec::with_capacity(1));
                layers.connect(at, dummy);
                dummies.push(dummy);
                at = dummy;
            }
            layers.connect(at, end);
            layers.dummies[number] = Some(dummies);
        }
        layers
    }

    fn connect(&mut self, left: u32, right: u32) {
        self.right[left as usize].push(right);
        self.left[right as usize].push(left);
    }

    fn is_dummy(&self, vertex: u32) -> bool {
        vertex as usize >= self.tasks
    }
}

/// The ends of a link from left to right.
fn ends(link: &Link) -> (u32, u32) {
    if link.back {
        (link.to, link.from)
    } else {
        (link.from, link.to)
    }
}
