//! A scene as DOT, the language of Graphviz.

use std::fmt::Write as _;

use super::scene::{EdgeKind, Scene};
use super::text::{dot_id, dot_label};
use crate::{TaskRisk, TaskStatus};

pub(super) fn write(scene: &Scene<'_>) -> String {
    let ids: Vec<String> = scene.tasks().map(|(_, id, _)| dot_id(id)).collect();
    let mut out = String::from("digraph taskgraph {\n  rankdir=LR;\n");
    out.push_str("  node [shape=box, style=\"rounded,filled\", fillcolor=\"#ffffff\", color=\"#8c959f\", fontname=\"sans-serif\"];\n");
    out.push_str("  edge [color=\"#8c959f\"];\n");
    // Bare statements first, in the form scripts may know; what a task looks like comes after.
    for id in &ids {
        line(&mut out, format_args!("  \"{id}\";"));
    }
    let mut edges = |kind: EdgeKind, open: &str, close: &str| {
        let of_kind = scene.edges.iter().filter(|edge| edge.kind == kind);
        let mut of_kind = of_kind.peekable();
        if of_kind.peek().is_none() {
            return;
        }
        out.push_str(open);
        for edge in of_kind {
            let (from, to) = (&ids[edge.from as usize], &ids[edge.to as usize]);
            line(&mut out, format_args!("  \"{from}\" -> \"{to}\";"));
        }
        out.push_str(close);
    };
    edges(EdgeKind::Ordinary, "", "");
    edges(
        EdgeKind::Critical,
        "  subgraph critical_path {\n  edge [penwidth=3, color=\"#1f2328\", weight=4];\n",
        "  }\n",
    );
    edges(
        EdgeKind::Back,
        "  subgraph back_edges {\n  edge [style=dashed, color=\"#cf222e\", constraint=false];\n",
        "  }\n",
    );
    let critical = scene.on_critical_path();
    for (place, id, task) in scene.tasks() {
        let mut looks = format!("label=\"{}", dot_label(&task.name));
        if task.name != id {
            let _infallible = write!(looks, "\\n{}", dot_label(id));
        }
        looks.push('"');
        if let Some(status) = task.status {
            let _infallible = write!(
                looks,
                ", status=\"{status}\", fillcolor=\"{}\"",
                status_fill(status)
            );
        }
        if let Some(risk) = task.risk {
            let _infallible = write!(looks, ", risk=\"{risk}\", color=\"{}\"", risk_colour(risk));
        }
        if scene.missing[place] {
            looks.push_str(", missing=\"true\", style=\"rounded,dashed\"");
        }
        if critical[place] {
            looks.push_str(", critical=\"true\", penwidth=3");
        }
        line(&mut out, format_args!("  \"{}\" [{looks}];", ids[place]));
    }
    for cycle in &scene.cycles {
        let names: Vec<String> = cycle.iter().map(|id| dot_id(id)).collect();
        line(&mut out, format_args!("  // cycle: {}", names.join(" → ")));
    }
    out.push_str("}\n\n");
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _infallible = out.write_fmt(text);
    out.push('\n');
}

fn status_fill(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Pending => "#f6f8fa",
        TaskStatus::InProgress => "#ddf4ff",
        TaskStatus::Completed => "#dafbe1",
        TaskStatus::Failed => "#ffebe9",
        TaskStatus::Blocked => "#fff1d6",
    }
}

fn risk_colour(risk: TaskRisk) -> &'static str {
    match risk {
        TaskRisk::Trivial => "#fdd49e",
        TaskRisk::Low => "#fdbb84",
        TaskRisk::Medium => "#fc8d59",
        TaskRisk::High => "#e34a33",
        TaskRisk::Critical => "#b30000",
    }
}
