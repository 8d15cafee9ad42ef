//! A scene as Mermaid.

use std::fmt::Write as _;

use super::scene::{EdgeKind, Scene};
use super::text;

pub(super) fn write(scene: &Scene<'_>) -> String {
    let mut out = String::from("graph LR\n");
    // Writing to a String does not fail.
    for (place, id, _) in scene.tasks() {
        let _infallible = writeln!(out, "  n{place}[\"{}\"]", text::mermaid(id));
    }
    for edge in &scene.edges {
        let _infallible = writeln!(out, "  n{} --> n{}", edge.from, edge.to);
    }
    for (number, edge) in scene.edges.iter().enumerate() {
        if edge.kind == EdgeKind::Back {
            let _infallible = writeln!(out, "  linkStyle {number} stroke-dasharray:6");
        }
    }
    for cycle in &scene.cycles {
        let ids: Vec<String> = cycle.iter().map(|id| text::mermaid(id)).collect();
        let _infallible = writeln!(out, "  %% cycle: {}", ids.join(" → "));
    }
    out
}
