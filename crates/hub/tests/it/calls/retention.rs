//! Old trees go, whole or not at all.

use alkhub_operations::ErrorCode;
use alkhub_storage::calls::{self as queries, PruneRequest};
use alkhub_storage::{Scope, time};
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Row, record, write};
use crate::support::{TestHub, audit_actions, each_hub};

async fn exists(hub: &TestHub, row: &Row) -> bool {
    let read = hub
        .call(&hub.admin_key, "call.get", json!({ "requestId": row.id }))
        .await;
    match read {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.code, ErrorCode::NOT_FOUND);
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn case_p21_a_tree_with_an_open_call_or_a_failed_one_within_its_age_stays_whole() {
    each_hub(async |hub| {
        let ago = |days: i64| time::now() - TimeDelta::days(days);
        let done = Row::ended("hub.info").at(ago(40), 1, 1);
        let done_child = Row::ended("hub.info").below(&done).at(ago(40), 1, 1);
        let open = Row::ended("hub.info").at(ago(40), 1, 1);
        let open_leaf = Row::running("hub.info").below(&open).at(ago(40), 1, 1);
        let failed = Row::ended("hub.info").at(ago(40), 1, 1);
        let failed_leaf = Row::failed("hub.info", "TIMEOUT")
            .below(&failed)
            .at(ago(40), 1, 1);
        let long_failed = Row::failed("hub.info", "TIMEOUT").at(ago(100), 1, 1);
        let young = Row::ended("hub.info").at(ago(20), 1, 1);
        let rows = [
            done,
            done_child,
            open,
            open_leaf,
            failed,
            failed_leaf,
            long_failed,
            young,
        ];
        record(&hub.database, &rows).await;
        let expected = json!({ "trees": 2, "nodes": 3, "edges": 1 });
        assert_eq!(hub.ok("call.prune", json!({})).await, expected);
        for row in &rows {
            assert!(exists(hub, row).await, "a dry run removes nothing");
        }
        assert!(
            !audit_actions(&hub.database)
                .await
                .contains(&"call.pruned".to_owned())
        );
        assert_eq!(
            hub.ok("call.prune", json!({ "dryRun": false })).await,
            expected
        );
        let mut left = Vec::new();
        for row in &rows {
            left.push(exists(hub, row).await);
        }
        assert_eq!(left, [false, false, true, true, true, true, false, true]);
        assert!(
            audit_actions(&hub.database)
                .await
                .contains(&"call.pruned".to_owned())
        );
        // A shorter age for this once.
        let input = json!({ "olderThan": "10d", "failedOlderThan": "30d", "dryRun": false });
        let more: Value = hub.ok("call.prune", input).await;
        assert_eq!(more["nodes"], 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_p22_a_removal_that_stops_half_way_detaches_nobody() {
    each_hub(async |hub| {
        let at = time::now() - TimeDelta::days(40);
        let root = Row::ended("hub.info").at(at, 1, 1);
        let middle = Row::ended("hub.info").below(&root).at(at, 1, 1);
        record(&hub.database, &[root.clone(), middle.clone()]).await;
        let operation =
            alkhub_storage::spokes::operation_by_name(hub.database.reader(), "hub", "info")
                .await
                .unwrap()
                .unwrap()
                .id;
        let leaves: Vec<_> = (0..1_500)
            .map(|_| {
                let row = Row::ended("hub.info").below(&middle).at(at, 1, 1);
                let mut call = row.call;
                call.operation_id = operation.clone();
                call
            })
            .collect();
        write(&hub.database, &leaves).await;
        let request = PruneRequest {
            older_than: time::now() - TimeDelta::days(30),
            failed_older_than: None,
            after: None,
            limit: 1_000,
            enough: None,
        };
        let transaction = hub.database.begin().await.unwrap();
        let pruned = queries::prune_calls(&transaction, &request).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(
            (pruned.nodes, pruned.trees, pruned.partial),
            (1_000, 0, true)
        );
        let tree = queries::call_tree(hub.database.reader(), &Scope::All, &root.id, 100, 5_000);
        assert_eq!(
            tree.await.unwrap().nodes.len(),
            502,
            "all that is left hangs together"
        );
        // The next run takes the rest.
        let rest = hub.ok("call.prune", json!({ "dryRun": false })).await;
        assert_eq!((&rest["nodes"], &rest["trees"]), (&json!(502), &json!(1)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_too_many_calls_the_oldest_trees_go() {
    each_hub(async |hub| {
        let ago = |hours: i64| time::now() - TimeDelta::hours(hours);
        let mut rows = Vec::new();
        for hours in [9, 8, 7] {
            let root = Row::ended("hub.info").at(ago(hours), 1, 1);
            let child = Row::ended("hub.info").below(&root).at(ago(hours), 1, 1);
            rows.extend([root, child]);
        }
        record(&hub.database, &rows).await;
        let count = async || {
            let end = time::now() + TimeDelta::days(1);
            let start = time::parse("2000-01-01T00:00:00Z").unwrap();
            queries::count_calls(hub.database.reader(), &Scope::All, None, start, end)
                .await
                .unwrap()
        };
        // One call more than two trees and what the hub itself has recorded: a whole tree goes.
        let before = count().await;
        let input = json!({ "maxRows": before, "dryRun": false });
        let pruned = hub.ok("call.prune", input).await;
        assert_eq!(
            (&pruned["trees"], &pruned["nodes"]),
            (&json!(1), &json!(2)),
            "of {before}"
        );
        assert!(!exists(hub, &rows[0]).await && !exists(hub, &rows[1]).await);
        assert!(exists(hub, &rows[2]).await && exists(hub, &rows[5]).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_age_of_nothing_is_refused() {
    each_hub(async |hub| {
        for age in ["0s", "soon", "2026-11-24"] {
            let error = hub.err("call.prune", json!({ "olderThan": age })).await;
            assert_eq!(error.code, ErrorCode::VALIDATION_ERROR, "{age}");
        }
    })
    .await;
}
