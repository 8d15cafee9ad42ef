//! What is ready in a large project, also when nearly everything in it waits.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use super::calls::{self, Calls};
use super::figures::{Bar, Contestant, Kind, Measure, interleave};
use super::hub::HubServer;
use super::lab::Lab;
use super::{About, Bench, BenchError};
use crate::demo_data::{self, TaskFile};

/// Tasks on a page.
const LIMIT: usize = 50;

pub(super) struct Ready;

#[async_trait]
impl Bench for Ready {
    fn about(&self) -> About {
        About {
            name: "ready",
            work: "`task.ready` by priority in a project of 50,000 tasks against one of 5,000 (SQLite): \
                   tasks as in a grown project; all but 100 of the lowest priority wait for one; all \
                   wait for one",
            bar: "at most 3 times, each",
        }
    }

    async fn run(&self, lab: &mut Lab) -> Result<Vec<Measure>, BenchError> {
        let data = lab.directory("alkhub")?;
        let hub = Arc::new(HubServer::start(lab, &data).await?);
        let sizes = if lab.quick {
            [5_000, 500]
        } else {
            [50_000, 5_000]
        };
        let mut measures = Vec::new();
        for (title, project) in [
            ("the 50 first of a grown project", grown as fn(usize) -> _),
            ("the 50 first of 100 at the end", nearly_all_wait),
            ("none, since all wait", all_wait),
        ] {
            let mut contestants: Vec<Box<dyn Contestant>> = Vec::new();
            for size in sizes {
                let name = format!("{title} {size}");
                let project = calls::project_of(&hub, &name, &project(size)).await?;
                contestants.push(Box::new(Calls {
                    who: format!("{size} tasks"),
                    hub: Arc::clone(&hub),
                    operation: "task.ready",
                    input: json!({ "projectId": project, "limit": LIMIT, "order": "priority" }),
                    count: calls::count(lab, 50),
                }));
            }
            let kind = Kind {
                title: title.to_owned(),
                unit: "ms".to_owned(),
                bar: Some(Bar::AtMost(3.0)),
            };
            measures.extend(interleave(&mut contestants, lab.rounds(10), &[kind]).await?);
        }
        Ok(measures)
    }
}

fn grown(tasks: usize) -> Vec<TaskFile> {
    demo_data::generate(tasks, 1)
}

/// One task is begun, all others wait for it and are urgent; 100 that nobody asked for can be begun.
fn nearly_all_wait(tasks: usize) -> Vec<TaskFile> {
    let mut files = all_wait(tasks);
    for (number, file) in files.iter_mut().rev().take(100).enumerate() {
        file.text = format!("---\nid: {}\nname: Free {number}\n---\n", file.id);
    }
    files
}

/// One task is begun, all others wait for it.
fn all_wait(tasks: usize) -> Vec<TaskFile> {
    let waits = "status: pending\ndepends_on: [t0]\npriority: critical";
    let text = |number: usize| match number {
        0 => "status: in-progress",
        _ => waits,
    };
    (0..tasks)
        .map(|number| TaskFile {
            id: format!("t{number}"),
            path: format!("t{number}.md"),
            text: format!(
                "---\nid: t{number}\nname: Task {number}\n{}\n---\n",
                text(number)
            ),
        })
        .collect()
}
