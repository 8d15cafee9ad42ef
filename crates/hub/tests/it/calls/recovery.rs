//! What a start makes of the calls that a former run left open.

use std::time::Duration;

use alkhub_storage::calls::recorded_call;
use alkhub_storage::entity::call_graph_nodes::Model;
use alkhub_storage::enums::CallStatus;
use serde_json::json;

use super::{Row, record};
use crate::support::{TestHub, each_hub, start};

#[tokio::test(flavor = "multi_thread")]
async fn case_p26_pending_and_running_calls_are_interrupted_before_anybody_is_let_in() {
    Box::pin(each_hub(async |hub| {
        let instance = std::fs::read_to_string(hub.data_dir().join("instance-id")).unwrap();
        let left = |row: Row| row.noted("hub", json!({ "id": instance.trim(), "start": 1 }));
        let waited = left(Row::pending("project.create"));
        let asked = left(Row::pending("project.get"));
        let ran = left(Row::running("project.create"));
        let inner = left(Row::running("task.create").below(&ran));
        let far = left(Row::running("hub.info").noted("spokeId", json!("some-spoke")));
        let done = Row::ended("project.create");
        let rows = [&waited, &asked, &ran, &inner, &far, &done].map(Row::clone);
        record(&hub.database, &rows).await;
        hub.hub.shutdown(Duration::from_secs(5)).await;
        let before = node(hub, &done).await;

        // Another directory with the same identity, for this process holds the lock of the first.
        let copy = tempfile::tempdir().unwrap();
        std::fs::write(copy.path().join("instance-id"), &instance).unwrap();
        let again = start(hub.database.url(), copy.path(), &[]).await.unwrap();
        assert_eq!(again.recovered_calls, 4);
        for (row, details) in [
            (&waited, json!({ "started": false })),
            (&ran, json!({ "started": true, "outcome": "unknown" })),
            (&inner, json!({ "started": true, "outcome": "unknown" })),
        ] {
            let node = node(hub, row).await;
            assert_eq!(node.status, CallStatus::Failed, "{node:?}");
            let error = json!(node.error);
            assert_eq!(error["code"], "INTERRUPTED", "{error}");
            assert_eq!(error["details"], details, "{error}");
            assert!(node.completed_at.is_some());
            let started = details["started"] == true;
            assert_eq!(node.started_at.is_some(), started);
        }
        // Of a query it is not known whether it ran, for its beginning is not recorded ahead.
        let asked = node(hub, &asked).await;
        assert_eq!(asked.status, CallStatus::Failed);
        let error = json!(asked.error);
        assert_eq!(error["code"], "INTERRUPTED", "{error}");
        // Its spoke may come back with it.
        assert_eq!(node(hub, &far).await.status, CallStatus::Running);
        assert_eq!(node(hub, &done).await, before);
        again.hub.shutdown(Duration::from_secs(5)).await;
    }))
    .await;
}

async fn node(hub: &TestHub, row: &Row) -> Model {
    let found = recorded_call(hub.database.reader(), &row.id).await;
    found.expect("the database answers").expect("a record")
}
