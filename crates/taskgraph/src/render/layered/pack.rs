//! Layouts of the parts of a graph that hang together, and all of them on one sheet.

use super::{BOX_HEIGHT, Layers, Link, order, place};

/// Dummies of a whole drawing, which bounds memory and size: beyond it the longest dependencies
/// are drawn in one stroke.
const DUMMIES: usize = 600_000;

/// Pixels between two parts, and between two boxes of the grid of lone tasks.
const PART_GAP: f64 = 36.0;
const GRID_GAP: f64 = 16.0;

/// Pixels that lines of the same layer run apart from the boxes beside them.
const GAP: (f64, f64) = (52.0, 190.0);

/// Where everything stands, in pixels from the top left.
#[derive(Debug, Default)]
pub(in crate::render) struct Drawing {
    /// By task.
    pub(in crate::render) boxes: Vec<Place>,
    /// By link: the points its line goes through, from prerequisite to dependent. Lines run
    /// straight between the points 1 and 2, 3 and 4, …, and bend between the others.
    pub(in crate::render) lines: Vec<Vec<Point>>,
    /// Top of the grid of tasks without any dependency, if there is one below other parts.
    pub(in crate::render) lone: Option<f64>,
    pub(in crate::render) width: f64,
    pub(in crate::render) height: f64,
}

/// The box of a task.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::render) struct Place {
    pub(in crate::render) x: f64,
    pub(in crate::render) y: f64,
    pub(in crate::render) width: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(in crate::render) struct Point {
    pub(in crate::render) x: f64,
    pub(in crate::render) y: f64,
}

/// Places tasks of the given widths. Links never name the same task twice.
pub(in crate::render) fn layout(widths: &[f64], links: &[Link], least_width: f64) -> Drawing {
    let mut drawing = Drawing {
        boxes: vec![Place::default(); widths.len()],
        lines: vec![Vec::new(); links.len()],
        ..Drawing::default()
    };
    let parts = Part::all(widths.len(), links);
    let (lone, parts): (Vec<Part>, Vec<Part>) =
        parts.into_iter().partition(|part| part.links.is_empty());
    let arranged: Vec<Arranged> = parts
        .iter()
        .map(|part| part.arrange(widths, links))
        .collect();
    let area: f64 = arranged
        .iter()
        .map(|part| (part.width + PART_GAP) * (part.height + PART_GAP))
        .sum();
    let widest = arranged.iter().map(|part| part.width).fold(0.0, f64::max);
    let sheet = widest.max((area * 1.6).sqrt()).max(least_width);
    let (mut x, mut y, mut shelf) = (0.0, 0.0, 0.0_f64);
    for (part, arranged) in parts.iter().zip(arranged) {
        if x > 0.0 && x + arranged.width > sheet {
            y += shelf + PART_GAP;
            (x, shelf) = (0.0, 0.0);
        }
        shelf = shelf.max(arranged.height);
        drawing.width = drawing.width.max(x + arranged.width);
        let at = Point { x, y };
        x += arranged.width + PART_GAP;
        drawing.put(part, arranged, at);
    }
    drawing.height = y + shelf;
    let lone: Vec<u32> = lone.iter().flat_map(|part| part.tasks.clone()).collect();
    drawing.put_grid(&lone, widths, sheet);
    drawing
}

impl Drawing {
    fn put(&mut self, part: &Part, arranged: Arranged, at: Point) {
        for (task, place) in part.tasks.iter().zip(arranged.boxes) {
            self.boxes[*task as usize] = Place {
                x: place.x + at.x,
                y: place.y + at.y,
                ..place
            };
        }
        for (link, mut line) in part.links.iter().zip(arranged.lines) {
            for point in &mut line {
                point.x += at.x;
                point.y += at.y;
            }
            self.lines[*link as usize] = line;
        }
    }

    /// Tasks that hang together with no other, in rows below the rest.
    fn put_grid(&mut self, lone: &[u32], widths: &[f64], sheet: f64) {
        let width = lone
            .iter()
            .map(|task| widths[*task as usize])
            .fold(0.0, f64::max);
        if lone.is_empty() {
            return;
        }
        let step = (width + GRID_GAP, BOX_HEIGHT + GRID_GAP);
        let square = (lone.len() as f64 * step.0 * step.1 * 1.6).sqrt();
        let columns = (sheet.max(square.min(2_400.0)) / step.0).floor().max(1.0) as usize;
        let mut top = 0.0;
        if self.height > 0.0 {
            // Room for a heading.
            top = self.height + PART_GAP + 14.0;
            self.lone = Some(top);
        }
        for (number, task) in lone.iter().enumerate() {
            self.boxes[*task as usize] = Place {
                x: (number % columns) as f64 * step.0,
                y: top + (number / columns) as f64 * step.1,
                width,
            };
        }
        let rows = lone.len().div_ceil(columns) as f64;
        self.height = top + rows * step.1 - GRID_GAP;
        let across = lone.len().min(columns) as f64 * step.0 - GRID_GAP;
        self.width = self.width.max(across);
    }
}

/// Tasks that hang together, and the links between them.
struct Part {
    tasks: Vec<u32>,
    links: Vec<u32>,
    /// How many dummies it may have.
    dummies: usize,
}

/// A part with places of its own, in the order of its tasks and links.
struct Arranged {
    boxes: Vec<Place>,
    lines: Vec<Vec<Point>>,
    width: f64,
    height: f64,
}

impl Part {
    /// The parts of a graph, the largest first.
    fn all(tasks: usize, links: &[Link]) -> Vec<Self> {
        let mut parent: Vec<u32> = (0..tasks as u32).collect();
        for link in links {
            let (a, b) = (root(&mut parent, link.from), root(&mut parent, link.to));
            // The smaller number wins, so a part is known by its first task.
            parent[a.max(b) as usize] = a.min(b);
        }
        let mut parts: Vec<Self> = Vec::new();
        let mut part_of = vec![0_usize; tasks];
        for task in 0..tasks as u32 {
            let root = root(&mut parent, task);
            if root == task {
                part_of[task as usize] = parts.len();
                parts.push(Self {
                    tasks: Vec::new(),
                    links: Vec::new(),
                    dummies: 0,
                });
            }
            let part = part_of[root as usize];
            part_of[task as usize] = part;
            parts[part].tasks.push(task);
        }
        for (number, link) in links.iter().enumerate() {
            parts[part_of[link.from as usize]].links.push(number as u32);
        }
        for part in &mut parts {
            part.dummies = DUMMIES * part.links.len() / links.len().max(1) + 100;
        }
        parts.sort_by_key(|part| std::cmp::Reverse(part.tasks.len()));
        parts
    }

    fn arrange(&self, widths: &[f64], links: &[Link]) -> Arranged {
        // The tasks of a part stand in ascending order.
        let own = |task: u32| self.tasks.partition_point(|other| *other < task) as u32;
        let links: Vec<Link> = self
            .links
            .iter()
            .map(|number| links[*number as usize])
            .map(|link| Link {
                from: own(link.from),
                to: own(link.to),
                back: link.back,
            })
            .collect();
        let mut layers = Layers::new(self.tasks.len(), &links, self.dummies);
        order::arrange(&mut layers);
        let (y, height) = place::heights(&layers);
        let columns = Column::all(&layers, &y, |task| widths[self.tasks[task] as usize]);
        let boxes: Vec<Place> = (0..self.tasks.len())
            .map(|task| Place {
                x: columns[layers.rank[task] as usize].x,
                y: y[task] - BOX_HEIGHT / 2.0,
                width: columns[layers.rank[task] as usize].width,
            })
            .collect();
        let lines = links
            .iter()
            .zip(&layers.dummies)
            .map(|(link, dummies)| {
                let dummies = dummies.as_deref().unwrap_or_default();
                line(link, dummies, &layers, &columns, &y)
            })
            .collect();
        Arranged {
            boxes,
            lines,
            width: columns.last().map_or(0.0, |last| last.x + last.width),
            height,
        }
    }
}

fn root(parent: &mut [u32], mut task: u32) -> u32 {
    while parent[task as usize] != task {
        parent[task as usize] = parent[parent[task as usize] as usize];
        task = parent[task as usize];
    }
    task
}

/// The strip of a layer.
struct Column {
    x: f64,
    width: f64,
}

impl Column {
    /// Strips as wide as their widest box, further apart the steeper the lines between them.
    fn all(layers: &Layers, y: &[f64], width: impl Fn(usize) -> f64) -> Vec<Self> {
        let mut columns: Vec<Self> = Vec::with_capacity(layers.layers.len());
        let mut x = 0.0;
        for layer in &layers.layers {
            let tasks = layer.iter().filter(|vertex| !layers.is_dummy(**vertex));
            let widest = tasks
                .map(|vertex| width(*vertex as usize))
                .fold(0.0, f64::max);
            columns.push(Self { x, width: widest });
            let (mut steep, mut lines) = (0.0, 0_u32);
            for vertex in layer {
                for next in &layers.right[*vertex as usize] {
                    steep += (y[*next as usize] - y[*vertex as usize]).abs();
                    lines += 1;
                }
            }
            let mean = steep / f64::from(lines.max(1));
            x += widest + (GAP.0 + mean * 0.3 + f64::from(lines)).min(GAP.1);
        }
        columns
    }
}

/// The points of a line. A back link enters and leaves a little beside the middle of the boxes,
/// so that it does not lie on the line the other way.
fn line(
    link: &Link,
    dummies: &[u32],
    layers: &Layers,
    columns: &[Column],
    y: &[f64],
) -> Vec<Point> {
    let beside = if link.back { 9.0 } else { 0.0 };
    let (left, right) = super::ends(link);
    let column = |vertex: u32| &columns[layers.rank[vertex as usize] as usize];
    let mut points = Vec::with_capacity(2 + 2 * dummies.len());
    points.push(Point {
        x: column(left).x + column(left).width,
        y: y[left as usize] + beside,
    });
    for dummy in dummies {
        let strip = column(*dummy);
        let y = y[*dummy as usize];
        points.push(Point { x: strip.x, y });
        points.push(Point {
            x: strip.x + strip.width,
            y,
        });
    }
    points.push(Point {
        x: column(right).x,
        y: y[right as usize] + beside,
    });
    if link.back {
        points.reverse();
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(from: u32, to: u32) -> Link {
        Link {
            from,
            to,
            back: false,
        }
    }

    fn overlap(a: &Place, b: &Place) -> bool {
        a.x < b.x + b.width
            && b.x < a.x + a.width
            && a.y < b.y + BOX_HEIGHT
            && b.y < a.y + BOX_HEIGHT
    }

    #[test]
    fn no_two_boxes_overlap_and_all_lie_on_the_sheet() {
        let links: Vec<Link> = (1..60)
            .filter(|task| task % 7 != 0)
            .flat_map(|task| [link(task / 2, task), link(task - 1, task)])
            .filter(|link| link.from != link.to)
            .collect();
        let widths = vec![150.0; 80];
        let drawing = layout(&widths, &links, 700.0);
        for (number, a) in drawing.boxes.iter().enumerate() {
            assert!(
                a.x >= -0.01 && a.x + a.width <= drawing.width + 0.01,
                "{a:?}"
            );
            assert!(
                a.y >= -0.01 && a.y + BOX_HEIGHT <= drawing.height + 0.01,
                "{a:?}"
            );
            for b in &drawing.boxes[number + 1..] {
                assert!(!overlap(a, b), "{a:?} and {b:?}");
            }
        }
        assert!(drawing.lone.is_some());
    }

    #[test]
    fn too_many_dummies_give_lines_in_one_stroke() {
        let mut links: Vec<Link> = (1..50).map(|task| link(task - 1, task)).collect();
        links.push(link(0, 49));
        let layers = Layers::new(50, &links, 10);
        assert_eq!(layers.dummies[49], None);
        assert_eq!(layers.dummies[0].as_deref(), Some(&[][..]));
    }
}
