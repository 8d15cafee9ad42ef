//! `render`: forms, files, pipes.

use super::{graph, json, plan, tasks, try_graph};

#[test]
fn every_form_can_be_had_on_standard_output() {
    let home = plan();
    assert!(graph(&home, &["render"]).starts_with("digraph taskgraph {\n  rankdir=LR;\n"));
    assert_eq!(
        graph(&home, &["render", "-f", "plain"]),
        graph(&home, &["render", "-f", "dot"])
    );
    assert!(graph(&home, &["render", "-f", "svg"]).starts_with("<svg "));
    assert!(graph(&home, &["render", "-f", "mermaid"]).starts_with("graph LR\n"));
    let export = json(&home, &["render"]);
    assert_eq!(export, json(&home, &["analyze"])["export"]);
    // The older name of the verb.
    assert_eq!(graph(&home, &["graph"]), graph(&home, &["render"]));
}

#[test]
fn the_file_tells_the_form_when_nothing_else_does() {
    let home = plan();
    let said = graph(&home, &["render", "-o", "plan.svg", "--title", "My plan"]);
    assert_eq!(said, "Graph written to: plan.svg\n");
    let text = std::fs::read_to_string(home.path().join("plan.svg")).unwrap();
    assert!(text.contains("<title>My plan</title>"), "{text}");
    for (file, form) in [
        ("plan.mmd", "mermaid"),
        ("plan.json", "json"),
        ("plan.dot", "dot"),
        ("plan", "dot"),
    ] {
        graph(&home, &["render", "-o", file]);
        let text = std::fs::read_to_string(home.path().join(file)).unwrap();
        assert_eq!(text, graph(&home, &["render", "-f", form]), "{file}");
    }
    let said = graph(&home, &["render", "-f", "dot", "-o", "x.svg"]);
    assert_eq!(
        said,
        "Graph written to: x.svg\nRender with: dot -Tpng x.svg -o x.svg.png\n"
    );
    let ran = try_graph(&home, &["render", "-o", "no/such/directory/x.svg"]);
    assert_eq!(ran.code, Some(1));
}

#[test]
fn cyclic_graphs_are_drawn_too() {
    let home = tasks(&["a: b", "b: a", "c: a"]);
    let svg = graph(&home, &["render", "-f", "svg"]);
    assert!(
        svg.contains("Cycle: a → b → a") || svg.contains("Cycle: b → a → b"),
        "{svg}"
    );
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_quietly() {
    use std::fmt::Write as _;

    let home = tasks(&[]);
    let mut list = String::from("[");
    for number in 0..5_000 {
        let comma = if number > 0 { "," } else { "" };
        write!(
            list,
            "{comma}{{\"id\":\"t{number}\",\"name\":\"T\",\"dependsOn\":[]}}"
        )
        .unwrap();
    }
    home.file("list.json", &(list + "]"));
    for arguments in [
        &["graph", "render", "-f", "svg", "list.json"][..],
        &["graph", "render", "-f", "json", "list.json"],
    ] {
        let mut child = home
            .command(arguments)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Nobody reads: the end of the pipe is closed before the drawing is written whole.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(
            output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
