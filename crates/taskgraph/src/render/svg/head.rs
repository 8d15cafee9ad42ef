//! What stands above the drawing: title, numbers, legend, names of the cycles.

use std::fmt::Write as _;

use super::px;
use crate::render::scene::Scene;
use crate::render::text::{fit, width, xml};
use crate::{TaskRisk, TaskStatus};

/// Sizes of the heading and of everything below it.
const TITLE_SIZE: f64 = 18.0;
const SIZE: f64 = 12.0;

/// Height of a row of the legend.
const ROW: f64 = 24.0;

/// Cycles that are named; of the others only the number is told.
const CYCLES: usize = 3;

/// The head, at the top left of the sheet.
pub(super) struct Head {
    pub(super) text: String,
    pub(super) height: f64,
    width: f64,
    x: f64,
}

impl Head {
    pub(super) fn new(scene: &Scene<'_>, title: Option<&str>, width: f64) -> Self {
        let mut head = Self {
            text: String::new(),
            height: 0.0,
            width,
            x: 0.0,
        };
        if let Some(title) = title.filter(|title| !title.trim().is_empty()) {
            head.line("tg-t", TITLE_SIZE, title);
        }
        head.line("tg-m", SIZE, &numbers(scene));
        head.cycles(scene);
        head.statuses(scene);
        head.risks(scene);
        head.lines(scene);
        head.end_row();
        head.height += 14.0;
        head
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _infallible = self.text.write_fmt(text);
    }

    /// One line of text, cut where the sheet ends.
    fn line(&mut self, class: &str, size: f64, text: &str) {
        self.height += size + 8.0;
        let text = fit(text, self.width, size);
        self.push(format_args!(
            "<text class=\"{class}\" x=\"0\" y=\"{}\" style=\"font-size:{size}px\">{}</text>\n",
            px(self.height - 8.0),
            xml(&text)
        ));
    }

    fn cycles(&mut self, scene: &Scene<'_>) {
        for cycle in scene.cycles.iter().take(CYCLES) {
            // The line ends long before a cycle of a million tasks does.
            let mut text = String::from("Cycle: ");
            for id in cycle.iter().take(40) {
                text.push_str(id);
                text.push_str(" → ");
            }
            text.push_str(cycle.first().filter(|_| cycle.len() <= 40).unwrap_or(&"…"));
            self.line("tg-t", SIZE, &text);
        }
        let more = scene.cycles.len().saturating_sub(CYCLES);
        if more > 0 {
            self.line("tg-t", SIZE, &format!("and {more} more cycles"));
        }
    }

    /// Statuses that occur, each with its number.
    fn statuses(&mut self, scene: &Scene<'_>) {
        let known = TaskStatus::ALL
            .iter()
            .map(|status| (Some(*status), status.as_str()));
        for (status, label) in known.chain([(None, "no status")]) {
            let of_status = |(place, _, task): &(usize, _, &crate::TaskAttributes)| {
                task.status == status && !scene.missing[*place]
            };
            let count = scene.tasks().filter(of_status).count();
            if count == 0 {
                continue;
            }
            let class = status.map_or("none", TaskStatus::as_str);
            let (x, y) = self.sample(30.0, &format!("{label} {count}"));
            self.push(format_args!(
                "<rect class=\"tg-b tg-{class}\" x=\"{}\" y=\"{}\" width=\"30\" height=\"16\" rx=\"4\"/>\n",
                px(x),
                px(y)
            ));
            if super::has_icon(status) {
                self.push(format_args!(
                    "<use href=\"#tg-i-{class}\" x=\"{}\" y=\"{}\"/>\n",
                    px(x + 9.0),
                    px(y + 1.0)
                ));
            }
        }
        let missing = scene.missing.iter().filter(|missing| **missing).count();
        if missing > 0 {
            let (x, y) = self.sample(30.0, &format!("missing task {missing}"));
            self.push(format_args!(
                "<rect class=\"tg-b tg-missing\" x=\"{}\" y=\"{}\" width=\"30\" height=\"16\" rx=\"4\"/>\n",
                px(x),
                px(y)
            ));
        }
        self.end_row();
    }

    /// The scale of risks, if any task has one.
    fn risks(&mut self, scene: &Scene<'_>) {
        if scene.tasks().all(|(_, _, task)| task.risk.is_none()) {
            return;
        }
        self.sample(0.0, "risk:");
        for risk in TaskRisk::ALL {
            let (x, y) = self.sample(5.0, risk.as_str());
            self.push(format_args!(
                "<rect class=\"tg-risk-{risk}\" x=\"{}\" y=\"{}\" width=\"5\" height=\"16\" rx=\"2.5\"/>\n",
                px(x),
                px(y)
            ));
        }
    }

    /// Kinds of lines that occur.
    fn lines(&mut self, scene: &Scene<'_>) {
        let mut kinds = Vec::new();
        if scene.critical_path.len() > 1 {
            let label = format!("critical path, {} tasks", scene.critical_path.len());
            kinds.push(("tg-crit", label));
        }
        if !scene.cycles.is_empty() {
            kinds.push(("tg-back", "closes a cycle".to_owned()));
        }
        for (class, label) in kinds {
            let (x, y) = self.sample(34.0, &label);
            self.push(format_args!(
                "<path class=\"tg-e {class}\" d=\"M{} {y}H{}\"/>\n",
                px(x),
                px(x + 34.0),
                y = px(y + 8.0)
            ));
        }
    }

    /// Leaves room for a sample and writes its label; gives the top left of the sample.
    fn sample(&mut self, sample: f64, label: &str) -> (f64, f64) {
        let gap = if sample > 0.0 { 7.0 } else { 0.0 };
        let needed = sample + gap + width(label, SIZE);
        if self.x > 0.0 && self.x + needed > self.width {
            self.end_row();
        }
        let at = (self.x, self.height + 4.0);
        self.push(format_args!(
            "<text x=\"{}\" y=\"{}\" font-size=\"{SIZE}\">{}</text>\n",
            px(at.0 + sample + gap),
            px(at.1 + 12.0),
            xml(label)
        ));
        self.x += needed + 18.0;
        at
    }

    fn end_row(&mut self) {
        if self.x > 0.0 {
            self.x = 0.0;
            self.height += ROW;
        }
    }
}

fn numbers(scene: &Scene<'_>) -> String {
    let missing = scene.missing.iter().filter(|missing| **missing).count();
    let count = |number: usize, one: &str, many: &str| {
        format!("{number} {}", if number == 1 { one } else { many })
    };
    let mut text = format!(
        "{}, {}",
        count(scene.len() - missing, "task", "tasks"),
        count(scene.edges.len(), "dependency", "dependencies")
    );
    if !scene.cycles.is_empty() {
        text.push_str(&format!(
            ", {}",
            count(scene.cycles.len(), "cycle", "cycles")
        ));
    }
    text
}
