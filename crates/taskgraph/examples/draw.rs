//! Draws an invented graph, to look at it or to time it.
//!
//! ```text
//! cargo run --release -p alkhub-taskgraph --example draw -- 500 [shallow|deep|project|cyclic] > graph.svg
//! ```

#![expect(
    clippy::print_stdout,
    reason = "an example that writes to standard output"
)]

use std::process::ExitCode;

use alkhub_taskgraph::{TaskGraph, TaskImpact, TaskInput, TaskRisk, TaskScope, TaskStatus, render};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count = arguments.first().map_or(Ok(40), |text| text.parse());
    let Ok(count) = count else {
        println!("usage: draw [TASKS] [shallow|deep|project|cyclic]");
        return ExitCode::from(2);
    };
    let shape = arguments.get(1).map_or("project", String::as_str);
    let options = render::Options {
        title: Some(format!("{count} tasks, {shape}")),
        ..render::Options::default()
    };
    let drawn = TaskGraph::from_tasks(&make_tasks(count, shape))
        .map_err(|error| error.to_string())
        .and_then(|graph| render::svg(&graph, &options).map_err(|error| error.to_string()));
    match drawn {
        Ok(svg) => {
            println!("{svg}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Invented tasks, the same on every run.
fn make_tasks(count: usize, shape: &str) -> Vec<TaskInput> {
    const VERBS: [&str; 6] = ["Add", "Check", "Document", "Measure", "Move", "Review"];
    const TOPICS: [&str; 5] = [
        "errors of the importer",
        "limits",
        "pagination of long lists",
        "retries",
        "the migration of all old accounts",
    ];
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = move |limit: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % limit.max(1) as u64) as usize
    };
    let id = |number: usize| format!("task-{number:04}");
    (0..count)
        .map(|number| {
            let wanted = match shape {
                "project" | "cyclic" => [0, 1, 1, 1, 2, 2, 3][below(7)],
                _ => 3,
            };
            let mut depends_on: Vec<String> = (0..wanted.min(number))
                .map(|_| {
                    let reach = match shape {
                        "shallow" => number,
                        "deep" => 10,
                        _ if below(12) == 0 => number,
                        _ => 40,
                    };
                    id(number - 1 - below(reach.min(number)))
                })
                .collect();
            if shape == "cyclic" && number % 15 == 3 {
                depends_on.push(id((number + 9) % count));
            }
            if number % 50 == 17 {
                depends_on.push("not-written-yet".to_owned());
            }
            let name = format!("{} {}", VERBS[below(6)], TOPICS[below(5)]);
            let status = match number * 10 / count {
                0..=3 => TaskStatus::Completed,
                4 => TaskStatus::InProgress,
                5 if number % 3 == 0 => TaskStatus::Blocked,
                6 if number % 11 == 0 => TaskStatus::Failed,
                _ => TaskStatus::Pending,
            };
            TaskInput {
                status: Some(status).into(),
                scope: Some(TaskScope::ALL[below(5)]).into(),
                risk: (below(4) > 0).then(|| TaskRisk::ALL[below(5)]).into(),
                impact: Some(TaskImpact::ALL[below(4)]).into(),
                ..TaskInput::new(id(number), name).depending_on(depends_on)
            }
        })
        .collect()
}
