//! What is ready in a large project.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use super::calls::{self, Calls};
use super::figures::{Bar, Contestant, Kind, Measure, interleave};
use super::hub::HubServer;
use super::lab::Lab;
use super::{About, Bench, BenchError};

pub(super) struct Ready;

#[async_trait]
impl Bench for Ready {
    fn about(&self) -> About {
        About {
            name: "ready",
            work: "`task.ready` by priority in a project of 50,000 tasks against one of 5,000 (SQLite)",
            bar: "at most 3 times",
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
        let mut contestants: Vec<Box<dyn Contestant>> = Vec::new();
        for size in sizes {
            let project = calls::project_with_tasks(&hub, &format!("bench-{size}"), size).await?;
            contestants.push(Box::new(Calls {
                who: format!("{size} tasks"),
                hub: Arc::clone(&hub),
                operation: "task.ready",
                input: json!({ "projectId": project, "limit": 50, "order": "priority" }),
                count: calls::count(lab, 50),
            }));
        }
        let kind = Kind {
            title: "the 50 first".to_owned(),
            unit: "ms".to_owned(),
            bar: Some(Bar::AtMost(3.0)),
        };
        interleave(&mut contestants, lab.rounds(10), &[kind]).await
    }
}
