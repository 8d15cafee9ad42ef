//! A scene as SVG.

mod head;
mod style;

use std::fmt::Write as _;

use super::layered::{BOX_HEIGHT, Drawing, Link, Point, layout};
use super::scene::{EdgeKind, Scene};
use super::text::{fit, width, xml};
use crate::{TaskAttributes, TaskRisk, TaskStatus};
use head::Head;

/// Pixels around everything.
const MARGIN: f64 = 24.0;

/// Least and greatest width of a box, and what of it is not text.
const BOX_WIDTH: (f64, f64) = (110.0, 250.0);
const BOX_FRAME: f64 = 40.0;

/// Sizes of the two lines of text in a box.
const NAME_SIZE: f64 = 12.0;
const ID_SIZE: f64 = 10.0;

/// How much wider than plain letters the bold ones of names are.
const BOLD: f64 = 1.13;

/// Least width of the sheet: the legend wants it.
const LEAST_WIDTH: f64 = 720.0;

pub(super) fn draw(scene: &Scene<'_>, title: Option<&str>) -> String {
    let widths: Vec<f64> = scene
        .tasks()
        .map(|(_, id, task)| {
            let text = width(&task.name, NAME_SIZE * BOLD).max(width(id, ID_SIZE));
            (text + BOX_FRAME).clamp(BOX_WIDTH.0, BOX_WIDTH.1).ceil()
        })
        .collect();
    let links: Vec<Link> = scene
        .edges
        .iter()
        .map(|edge| Link {
            from: edge.from,
            to: edge.to,
            back: edge.kind == EdgeKind::Back,
        })
        .collect();
    let drawing = layout(&widths, &links, LEAST_WIDTH);
    let sheet = drawing.width.max(LEAST_WIDTH);
    let head = Head::new(scene, title, sheet);
    let size = (
        sheet + 2.0 * MARGIN,
        head.height + drawing.height + 2.0 * MARGIN,
    );
    let mut out = Svg(String::with_capacity(
        4_096 + scene.len() * 600 + scene.edges.len() * 260,
    ));
    out.open(size, title, scene);
    out.push(format_args!(
        "<g transform=\"translate({} {})\">\n",
        px(MARGIN),
        px(MARGIN)
    ));
    out.0.push_str(&head.text);
    out.push(format_args!(
        "</g>\n<g transform=\"translate({} {})\">\n",
        px(MARGIN),
        px(MARGIN + head.height)
    ));
    if let Some(top) = drawing.lone {
        out.push(format_args!(
            "<text class=\"tg-m\" x=\"0\" y=\"{}\" font-size=\"12\">without dependencies</text>\n",
            px(top - 12.0)
        ));
    }
    out.edges(scene, &drawing);
    let critical = scene.on_critical_path();
    for (place, id, task) in scene.tasks() {
        out.task(
            id,
            task,
            &drawing,
            place,
            scene.missing[place],
            critical[place],
        );
    }
    out.0.push_str("</g>\n</svg>\n");
    out.0
}

/// The text being written. Writing to a String does not fail.
struct Svg(String);

impl Svg {
    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        let _infallible = self.0.write_fmt(text);
    }

    fn open(&mut self, size: (f64, f64), title: Option<&str>, scene: &Scene<'_>) {
        let (width, height) = (px(size.0.ceil()), px(size.1.ceil()));
        self.push(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tg\" role=\"img\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\">\n<title>{}</title>\n",
            xml(title.unwrap_or("Task graph"))
        ));
        self.push(format_args!(
            "<desc>{} tasks and {} dependencies, prerequisites left of what depends on them</desc>\n",
            scene.len(),
            scene.edges.len()
        ));
        self.0.push_str(style::DEFINITIONS);
        self.push(format_args!(
            "<rect class=\"tg-bg\" width=\"{width}\" height=\"{height}\"/>\n"
        ));
    }

    /// Ordinary lines first, so that the ones that matter lie on top.
    fn edges(&mut self, scene: &Scene<'_>, drawing: &Drawing) {
        let ids: Vec<&str> = scene.tasks().map(|(_, id, _)| id).collect();
        for (kind, class) in [
            (EdgeKind::Ordinary, "tg-e"),
            (EdgeKind::Back, "tg-e tg-back"),
            (EdgeKind::Critical, "tg-e tg-crit"),
        ] {
            for (edge, line) in scene.edges.iter().zip(&drawing.lines) {
                if edge.kind != kind {
                    continue;
                }
                self.push(format_args!("<path class=\"{class}"));
                if kind == EdgeKind::Ordinary && line.len() > 6 {
                    self.0.push_str(" tg-long");
                }
                self.0.push_str("\" d=\"");
                self.line(line);
                self.push(format_args!(
                    "\"><title>{} → {}</title></path>\n",
                    xml(ids[edge.from as usize]),
                    xml(ids[edge.to as usize])
                ));
            }
        }
    }

    /// Bends between layers, straight lines across them.
    fn line(&mut self, points: &[Point]) {
        let Some((first, rest)) = points.split_first() else {
            return;
        };
        self.push(format_args!("M{} {}", px(first.x), px(first.y)));
        let mut from = *first;
        for (number, to) in rest.iter().enumerate() {
            if number % 2 == 1 {
                self.push(format_args!("H{}", px(to.x)));
            } else {
                let middle = px((from.x + to.x) / 2.0);
                self.push(format_args!(
                    "C{middle} {} {middle} {} {} {}",
                    px(from.y),
                    px(to.y),
                    px(to.x),
                    px(to.y)
                ));
            }
            from = *to;
        }
    }

    fn task(
        &mut self,
        id: &str,
        task: &TaskAttributes,
        drawing: &Drawing,
        place: usize,
        missing: bool,
        critical: bool,
    ) {
        let at = drawing.boxes[place];
        let status = task.status.map_or("none", TaskStatus::as_str);
        self.push(format_args!(
            "<g class=\"tg-n{}\" transform=\"translate({} {})\"><title>{}</title>",
            if critical { " tg-crit" } else { "" },
            px(at.x),
            px(at.y),
            xml(&tooltip(id, task, missing, critical))
        ));
        self.push(format_args!(
            "<rect class=\"tg-b tg-{}\" width=\"{}\" height=\"{BOX_HEIGHT}\" rx=\"7\"/>",
            if missing { "missing" } else { status },
            px(at.width)
        ));
        if let Some(risk) = task.risk {
            self.push(format_args!(
                "<rect class=\"tg-risk-{risk}\" x=\"5\" y=\"5\" width=\"5\" height=\"30\" rx=\"2.5\"/>"
            ));
        }
        if has_icon(task.status) {
            self.push(format_args!(
                "<use href=\"#tg-i-{status}\" x=\"{}\" y=\"6\"/>",
                px(at.width - 18.0)
            ));
        }
        let icon = if has_icon(task.status) { 16.0 } else { 0.0 };
        let room = at.width - 22.0;
        let name = fit(&task.name, room - icon, NAME_SIZE * BOLD);
        let id = fit(id, room, ID_SIZE);
        if name == id || name.is_empty() || id.is_empty() {
            let text = if id.is_empty() { name } else { id };
            self.push(format_args!(
                "<text class=\"tg-t\" x=\"16\" y=\"24\">{}</text></g>\n",
                xml(&text)
            ));
        } else {
            self.push(format_args!(
                "<text class=\"tg-t\" x=\"16\" y=\"17\">{}</text><text class=\"tg-id\" x=\"16\" y=\"32\">{}</text></g>\n",
                xml(&name),
                xml(&id)
            ));
        }
    }
}

/// Everything known of a task, a line each.
fn tooltip(id: &str, task: &TaskAttributes, missing: bool, critical: bool) -> String {
    let mut lines = vec![id.to_owned()];
    if missing {
        lines.push("there is no such task".to_owned());
    } else if task.name != id {
        lines.push(task.name.clone());
    }
    let mut add = |label: &str, value: Option<&str>| {
        lines.extend(value.map(|value| format!("{label}: {value}")));
    };
    add("status", task.status.map(TaskStatus::as_str));
    add("risk", task.risk.map(TaskRisk::as_str));
    add("scope", task.scope.map(crate::TaskScope::as_str));
    add("impact", task.impact.map(crate::TaskImpact::as_str));
    add("priority", task.priority.map(crate::TaskPriority::as_str));
    if critical {
        lines.push("on the critical path".to_owned());
    }
    lines.join("\n")
}

fn has_icon(status: Option<TaskStatus>) -> bool {
    status.is_some_and(|status| status != TaskStatus::Pending)
}

/// A number of pixels, to a tenth.
fn px(value: f64) -> String {
    let tenths = (value * 10.0).round() as i64;
    match (tenths / 10, (tenths % 10).abs()) {
        (whole, 0) => whole.to_string(),
        (0, part) if tenths < 0 => format!("-0.{part}"),
        (whole, part) => format!("{whole}.{part}"),
    }
}

#[cfg(test)]
mod tests {
    use super::px;

    #[test]
    fn pixels_are_short_and_keep_their_sign() {
        let shown: Vec<String> = [0.0, 1.04, 12.35, -0.26, -3.5].map(px).into();
        assert_eq!(shown, ["0", "1", "12.4", "-0.3", "-3.5"]);
    }
}
