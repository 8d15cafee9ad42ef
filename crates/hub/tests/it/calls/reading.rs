//! Who sees what of calls and trees.

use alkhub_operations::ErrorCode;
use alkhub_storage::enums::{AccessLevel, MembershipLevel};
use alkhub_storage::time;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Row, ids, record};
use crate::support::{each_hub, execute};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_sees_its_own_calls_without_any_scope_and_others_by_project() {
    each_hub(async |hub| {
        let owner = hub.account("owner@example.org", AccessLevel::User).await;
        let member = hub.account("member@example.org", AccessLevel::User).await;
        let organization = hub.organization("acme", &owner).await;
        hub.member(&organization, &member, MembershipLevel::Member)
            .await;
        let project = hub.project("p", Some(&organization)).await;
        let own = Row::ended("hub.info").by(&member);
        let others = Row::ended("task.create").about(&project).by(&owner);
        let foreign = Row::ended("task.create").by(&owner);
        record(
            &hub.database,
            &[own.clone(), others.clone(), foreign.clone()],
        )
        .await;

        let bare = hub.key(&member, &["task:read"]).await;
        let listed = hub
            .call(&bare, "call.list", json!({ "operation": "task.create" }))
            .await;
        assert!(ids(&listed.unwrap()).is_empty());
        let mine = hub
            .call(&bare, "call.get", json!({ "requestId": own.id }))
            .await
            .unwrap();
        assert_eq!(
            (&mine["operation"], &mine["input"]),
            (&json!("hub.info"), &json!({ "in": 1 }))
        );
        let hidden = hub
            .call(&bare, "call.get", json!({ "requestId": others.id }))
            .await;
        let absent = hub
            .call(&bare, "call.get", json!({ "requestId": "none" }))
            .await;
        assert_eq!(hidden.unwrap_err(), absent.unwrap_err());

        let reader = hub.key(&member, &["call:read"]).await;
        let listed = hub
            .call(&reader, "call.list", json!({ "namespace": "task" }))
            .await
            .unwrap();
        assert_eq!(ids(&listed), std::slice::from_ref(&others.id));
        assert_eq!(listed["items"][0].get("input"), None);
        // A member sees that it was called, not with what.
        let seen = hub
            .call(&reader, "call.get", json!({ "requestId": others.id }))
            .await
            .unwrap();
        assert_eq!((&seen["withheld"], seen.get("input")), (&json!(true), None));
        let boss = hub.key(&owner, &["call:read"]).await;
        let whole = hub
            .call(&boss, "call.get", json!({ "requestId": others.id }))
            .await
            .unwrap();
        assert_eq!(whole["output"], json!({ "out": 2 }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hidden_calls_keep_the_shape_of_a_tree() {
    each_hub(async |hub| {
        let owner = hub.account("owner@example.org", AccessLevel::User).await;
        let organization = hub.organization("acme", &owner).await;
        let project = hub.project("p", Some(&organization)).await;
        let root = Row::ended("hub.info");
        let middle = Row::failed("task.create", "TIMEOUT").below(&root);
        let leaf = Row::ended("task.update").about(&project).below(&middle);
        record(&hub.database, &[root.clone(), middle.clone(), leaf.clone()]).await;
        let key = hub.key(&owner, &["call:read"]).await;
        let input = json!({ "requestId": leaf.id, "fromRoot": true });
        for (operation, list) in [("call.tree", "nodes"), ("call.waterfall", "rows")] {
            let tree = hub.call(&key, operation, input.clone()).await.unwrap();
            let nodes = tree[list].as_array().unwrap();
            let shape: Vec<(u64, bool)> = nodes
                .iter()
                .map(|node| (node["depth"].as_u64().unwrap(), node["hidden"] == true))
                .collect();
            assert_eq!(shape, [(0, true), (1, true), (2, false)], "{operation}");
            assert_eq!(nodes[1]["status"], "failed");
            for secret in ["requestId", "operation", "errorCode", "provider"] {
                assert_eq!(nodes[1].get(secret), None, "{operation} {secret}");
            }
            assert_eq!(nodes[2].get("parentRequestId"), None);
            assert_eq!(nodes[2]["operation"], "task.update");
        }
        let up = hub
            .call(&key, "call.ancestors", json!({ "requestId": leaf.id }))
            .await
            .unwrap();
        assert_eq!(up["nodes"].as_array().unwrap().len(), 2);
        assert_eq!(up["nodes"][0]["hidden"], true);
        let exported = hub.call(&key, "call.export", input).await.unwrap();
        let text = exported.to_string();
        assert!(
            !text.contains(&root.id) && !text.contains("task.create"),
            "{text}"
        );
        assert_eq!(exported["edges"].as_array().unwrap().len(), 2);
        // The administrator sees all of it.
        let whole = hub
            .ok("call.descendants", json!({ "requestId": root.id }))
            .await;
        assert_eq!(whole["nodes"][0]["errorCode"], "TIMEOUT");
        assert_eq!(whole["nodes"].as_array().unwrap().len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_sees_what_its_own_calls_triggered() {
    each_hub(async |hub| {
        let user = hub.account("user@example.org", AccessLevel::User).await;
        let root = Row::ended("hub.info").by(&user);
        let child = Row::ended("task.create").below(&root);
        record(&hub.database, &[root.clone(), child.clone()]).await;
        let key = hub.key(&user, &["task:read"]).await;
        let tree = hub
            .call(&key, "call.tree", json!({ "requestId": root.id }))
            .await
            .unwrap();
        assert_eq!(tree["nodes"][1]["requestId"], child.id.as_str());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_p12_a_node_written_and_read_is_the_same() {
    each_hub(async |hub| {
        let user = hub.account("user@example.org", AccessLevel::User).await;
        let at = time::parse("2026-11-24T08:10:53.123Z").unwrap();
        let parent = Row::ended("hub.info");
        let row = Row::failed("task.create", "TIMEOUT")
            .by(&user)
            .below(&parent)
            .at(at, 7, 1_500)
            .noted("attempt", json!(2))
            .noted("inputMac", json!("secret"));
        record(&hub.database, &[parent.clone(), row.clone()]).await;
        let read = hub.ok("call.get", json!({ "requestId": row.id })).await;
        let expected = json!({
            "id": row.call.id, "requestId": row.id, "operation": "task.create",
            "parentRequestId": parent.id, "callerAccountId": user, "status": "failed",
            "provider": "hub", "error": { "code": "TIMEOUT", "message": "it went wrong" },
            "createdAt": "2026-11-24T08:10:53.123Z", "startedAt": "2026-11-24T08:10:53.130Z",
            "completedAt": "2026-11-24T08:10:54.630Z", "updatedAt": read["updatedAt"],
            "queueMs": 7, "runMs": 1_500, "metadata": { "attempt": 2 },
            "identity": { "id": user, "scopes": ["hub:read"] }, "input": { "in": 1 },
        });
        assert_eq!(read, expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_p13_times_of_all_shapes_are_ordered_by_what_they_mean() {
    each_hub(async |hub| {
        let texts = [
            "1999-12-31T23:59:59.999Z",
            "2026-01-01T00:00:00Z",
            "2026-01-01T01:00:00.001+01:00",
            "2026-01-01T00:00:00.010Z",
            "2026-01-01T00:00:00.1Z",
            "2026-01-01T00:00:01Z",
        ];
        let rows: Vec<Row> = texts
            .iter()
            .map(|text| Row::ended("hub.info").at(time::parse(text).unwrap(), 0, 1))
            .collect();
        record(
            &hub.database,
            &[rows[3].clone(), rows[0].clone(), rows[5].clone()],
        )
        .await;
        record(
            &hub.database,
            &[rows[4].clone(), rows[2].clone(), rows[1].clone()],
        )
        .await;
        let input = json!({ "operation": "hub.info", "order": "asc", "limit": 4 });
        let first = hub.ok("call.list", input.clone()).await;
        let mut next = input;
        next["cursor"] = first["nextCursor"].clone();
        let second = hub.ok("call.list", next).await;
        let all: Vec<String> = [ids(&first), ids(&second)].concat();
        let expected: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        assert_eq!(all, expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_p23_a_tree_that_is_too_deep_or_too_wide_is_cut_and_says_so() {
    each_hub(async |hub| {
        let mut chain = vec![Row::ended("hub.info")];
        for _ in 0..120 {
            let next = Row::ended("hub.info").below(chain.last().unwrap());
            chain.push(next);
        }
        record(&hub.database, &chain).await;
        let deep = hub
            .ok("call.tree", json!({ "requestId": chain[0].id }))
            .await;
        assert_eq!(deep["nodes"].as_array().unwrap().len(), 101);
        assert_eq!(
            (&deep["more"], &deep["nodes"][100]["more"]),
            (&json!(true), &json!(true))
        );

        let root = Row::ended("hub.info");
        record(&hub.database, std::slice::from_ref(&root)).await;
        let operation = hub.ok("call.get", json!({ "requestId": root.id })).await;
        assert_eq!(operation["operation"], "hub.info");
        let pattern = Row::ended("hub.info").below(&root);
        let known = alkhub_storage::spokes::operation_by_name(hub.database.reader(), "hub", "info")
            .await
            .unwrap()
            .unwrap();
        let children: Vec<_> = (0..6_000)
            .map(|_| {
                let mut call = pattern.call.clone();
                call.id = alkhub_storage::ids::CallGraphNodeId::random();
                call.request_id = uuid::Uuid::new_v4().to_string();
                call.operation_id = known.id.clone();
                call
            })
            .collect();
        super::write(&hub.database, &children).await;
        for (limit, shown) in [(None, 500), (Some(5_000), 5_000)] {
            let input = json!({ "requestId": root.id, "limit": limit });
            let wide = hub.ok("call.tree", input).await;
            assert_eq!(wide["nodes"].as_array().unwrap().len(), shown);
            assert_eq!(wide["more"], true);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn case_p29_a_call_of_an_account_that_is_gone_keeps_who_it_was() {
    each_hub(async |hub| {
        let user = hub.account("gone@example.org", AccessLevel::User).await;
        let row = Row::ended("hub.info").by(&user);
        record(&hub.database, std::slice::from_ref(&row)).await;
        execute(
            &hub.database,
            &format!("delete from accounts where id = '{user}'"),
        )
        .await;
        let read = hub.ok("call.get", json!({ "requestId": row.id })).await;
        assert_eq!(read["callerAccountId"], json!(user));
        assert_eq!(read["identity"]["id"], json!(user));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waterfall_tells_where_the_time_went() {
    each_hub(async |hub| {
        let at = time::now() - TimeDelta::minutes(1);
        let root = Row::ended("hub.info").at(at, 10, 100);
        let short = Row::ended("task.get")
            .below(&root)
            .at(at + TimeDelta::milliseconds(20), 0, 30);
        let long = Row::ended("task.list")
            .below(&root)
            .at(at + TimeDelta::milliseconds(30), 5, 60);
        record(&hub.database, &[root.clone(), short, long]).await;
        let waterfall = hub
            .ok("call.waterfall", json!({ "requestId": root.id }))
            .await;
        let told: Vec<Value> = waterfall["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                json!([
                    row["operation"],
                    row["offsetMs"],
                    row["queueMs"],
                    row["runMs"],
                    row["selfMs"],
                    row["critical"]
                ])
            })
            .collect();
        let expected = [
            // 10 to 110; children cover 20 to 95.
            json!(["hub.info", 10, 10, 100, 25, true]),
            json!(["task.get", 20, 0, 30, 30, false]),
            json!(["task.list", 35, 5, 60, 60, true]),
        ];
        assert_eq!(told, expected);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_nobody_knows_is_not_found() {
    each_hub(async |hub| {
        for operation in ["call.list", "call.stats", "call.slowest"] {
            let error = hub.err(operation, json!({ "operation": "no.such" })).await;
            assert_eq!(error.code, ErrorCode::NOT_FOUND, "{operation}");
        }
        let both = hub
            .err("call.get", json!({ "id": "a", "requestId": "b" }))
            .await;
        assert_eq!(both.code, ErrorCode::VALIDATION_ERROR);
    })
    .await;
}
