//! A page of sessions does not get slower as sessions pile up.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use super::calls::{self, Calls};
use super::figures::{Bar, Contestant, Kind, Measure, interleave};
use super::hub::HubServer;
use super::lab::Lab;
use super::sqlite::Sqlite;
use super::{About, Bench, BenchError};

const OPERATION: &str = "session.list";

pub(super) struct ListSessions;

#[async_trait]
impl Bench for ListSessions {
    fn about(&self) -> About {
        About {
            name: "list-sessions",
            work: "First page of `session.list` with 100,000 sessions stored against 1,000 (SQLite)",
            bar: "P9: at most 1.5 times",
        }
    }

    async fn run(&self, lab: &mut Lab) -> Result<Vec<Measure>, BenchError> {
        let sizes = if lab.quick {
            [10_000, 1_000]
        } else {
            [100_000, 1_000]
        };
        let mut contestants: Vec<Box<dyn Contestant>> = Vec::new();
        for size in sizes {
            let data = lab.directory(&format!("sessions-{size}"))?;
            let hub = HubServer::start(lab, &data).await?;
            if !hub.offers(OPERATION).await? {
                lab.miss(OPERATION, "this hub has no such operation");
                return Ok(Vec::new());
            }
            let project = calls::project(&hub, "bench").await?;
            drop(hub);
            fill(&data, &project, size).await?;
            contestants.push(Box::new(Calls {
                who: format!("{size} sessions"),
                hub: Arc::new(HubServer::start(lab, &data).await?),
                operation: OPERATION,
                input: json!({ "limit": 50 }),
                count: calls::count(lab, 200),
            }));
        }
        let kind = Kind {
            title: "first page".to_owned(),
            unit: "ms".to_owned(),
            bar: Some(Bar::AtMost(1.5)),
        };
        interleave(&mut contestants, lab.rounds(10), &[kind]).await
    }
}

/// Stores the sessions straight in the database of a stopped hub: how they came there is not what
/// is measured.
async fn fill(data: &std::path::Path, project: &str, size: usize) -> Result<(), BenchError> {
    let database = Sqlite::open(&data.join("alkhub.db")).await?;
    let sql = format!(
        "with recursive numbers(number) as (select 1 union all select number + 1 from numbers where number < {size}) \
         insert into sessions (id, account_id, project_id, slug, title, status) \
         select lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) \
                || '-a' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))), \
                (select id from accounts limit 1), '{project}', 'session-' || number, 'Session ' || number, \
                case when number % 50 = 0 then 'idle' else 'archived' end \
         from numbers"
    );
    database.run(&sql).await?;
    database.close().await
}
