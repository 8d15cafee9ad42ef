//! Pages of a long list: the thousandth costs what the first does.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::calls::{self, Calls};
use super::figures::{Bar, Contestant, Kind, Measure, interleave};
use super::hub::HubServer;
use super::lab::Lab;
use super::{About, Bench, BenchError};

/// Which page is far away.
const PAGE: usize = 1_000;

/// Tasks on a page.
const LIMIT: usize = 50;

pub(super) struct TaskPage;

#[async_trait]
impl Bench for TaskPage {
    fn about(&self) -> About {
        About {
            name: "task-page",
            work: "Keyset page 1,000 of 50,000 tasks against page 1, `task.list` over HTTP (SQLite)",
            bar: "P10, for tasks: at most 1.5 times page 1",
        }
    }

    async fn run(&self, lab: &mut Lab) -> Result<Vec<Measure>, BenchError> {
        let pages = if lab.quick { PAGE / 20 } else { PAGE };
        let data = lab.directory("alkhub")?;
        let hub = Arc::new(HubServer::start(lab, &data).await?);
        let project = calls::project_with_tasks(&hub, "bench", pages * LIMIT).await?;
        let first = json!({ "projectId": project, "limit": LIMIT });
        let far = walk(&hub, &first, pages).await?;
        let page = |number: usize, input: Value| -> Box<dyn Contestant> {
            Box::new(Calls {
                who: format!("page {number}"),
                hub: Arc::clone(&hub),
                operation: "task.list",
                input,
                count: calls::count(lab, 200),
            })
        };
        let mut contestants = [page(pages, far), page(1, first)];
        let kind = Kind {
            title: "one page".to_owned(),
            unit: "ms".to_owned(),
            bar: Some(Bar::AtMost(1.5)),
        };
        interleave(&mut contestants, lab.rounds(10), &[kind]).await
    }
}

/// Turns pages until the wanted one; the input that asks for it.
async fn walk(hub: &HubServer, first: &Value, page: usize) -> Result<Value, BenchError> {
    let mut input = first.clone();
    for number in 1..page {
        let answer = hub.call("task.list", &input).await?;
        match answer.get("nextCursor") {
            Some(cursor @ Value::String(_)) => input["cursor"] = cursor.clone(),
            other => {
                let what = format!("ended the list at page {number}: cursor {other:?}");
                return Err(BenchError::Contestant {
                    who: "alkhub".to_owned(),
                    what,
                });
            }
        }
    }
    Ok(input)
}
