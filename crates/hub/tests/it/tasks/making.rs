//! `task.create`, `task.get`, `task.list`.

use alkhub_storage::enums::AccessLevel;
use serde_json::{Value, json};

use super::{get, go, issue_paths, slugs, task, told};
use crate::support::{audit_actions, each_hub};

#[tokio::test(flavor = "multi_thread")]
async fn a_task_has_all_columns_and_times_in_milliseconds() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        task(hub, &project, "before", json!({})).await;
        let made = hub
            .ok(
                "task.create",
                json!({
                    "projectId": project, "slug": "Ünï code/1", "name": "  Name ", "path": "a/b",
                    "scope": "broad", "risk": "high", "impact": "phase", "level": "review",
                    "priority": "critical", "tags": ["x", "y", "x"], "assignee": "ann@example.org",
                    "dueAt": "2026-11-24T09:10:53.1209+01:00", "body": "text\n",
                    "dependsOn": ["before"], "metadata": { "files": ["a.rs"] },
                }),
            )
            .await;
        assert_eq!(made["slug"], "Ünï code/1");
        assert_eq!(
            (&made["name"], &made["status"]),
            (&json!("Name"), &json!("pending"))
        );
        assert_eq!(made["tags"], json!(["x", "y"]));
        assert_eq!(made["dueAt"], "2026-11-24T08:10:53.120Z");
        assert_eq!(made["body"], "text\n");
        for null in [
            "startedAt",
            "completedAt",
            "fileCreatedAt",
            "fileModifiedAt",
        ] {
            assert_eq!(made[null], Value::Null);
        }
        let created = made["createdAt"].as_str().unwrap();
        assert!(created.len() == 24 && created.ends_with('Z'), "{created}");
        let found = get(hub, &project, "Ünï code/1").await;
        assert_eq!(found["dependencies"][0]["slug"], "before");
        assert_eq!(found["dependencies"][0]["qualityRetention"], 0.9);
        assert_eq!(
            (&found["dependents"], &found["mapping"]),
            (&json!([]), &Value::Null)
        );
        assert!(
            audit_actions(&hub.database)
                .await
                .contains(&"task.created".to_owned())
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slug_is_made_from_the_name_and_numbered_on_a_clash() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let mut made = Vec::new();
        for name in ["Log in!", "log IN", "Log in", "???"] {
            let task = hub
                .ok("task.create", json!({ "projectId": project, "name": name }))
                .await;
            made.push(task["slug"].as_str().unwrap().to_owned());
        }
        assert_eq!(made, ["log-in", "log-in-2", "log-in-3", "task"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slug_is_taken_once_a_project() {
    each_hub(async |hub| {
        let (one, two) = (
            hub.project("one", None).await,
            hub.project("two", None).await,
        );
        task(hub, &one, "a", json!({})).await;
        task(hub, &two, "a", json!({})).await;
        let again = json!({ "projectId": one, "slug": "a", "name": "A" });
        let error = hub.err("task.create", again).await;
        assert_eq!(
            told(&error),
            ("CONFLICT".to_owned(), "slug_taken".to_owned())
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_bad_fields_are_named_at_once() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let input = json!({
            "projectId": project, "slug": "a\nb", "name": " ", "path": "../x", "tags": ["", "ok"],
            "assignee": "", "dueAt": "2026-11-24T08:10:53", "body": "a\u{0}", "dependsOn": [""],
            "metadata": { "frontmatter": "x", "missing": ["y"] },
        });
        let error = hub.err("task.create", input).await;
        assert_eq!(error.code.as_str(), "VALIDATION_ERROR");
        assert_eq!(
            issue_paths(&error),
            [
                "/slug",
                "/name",
                "/path",
                "/tags/0",
                "/assignee",
                "/dueAt",
                "/body",
                "/dependsOn/0",
                "/metadata/frontmatter",
                "/metadata/missing",
            ]
        );
        for (field, value) in [
            ("status", json!("done")),
            ("colour", json!("red")),
            ("tags", json!(vec!["x"; 51])),
            ("slug", json!("x".repeat(201))),
            ("name", json!("x".repeat(201))),
            ("metadata", json!({ "x": "y".repeat(17_000) })),
        ] {
            let mut input = json!({ "projectId": project, "name": "A" });
            input[field] = value;
            let error = hub.err("task.create", input).await;
            assert_eq!(error.code.as_str(), "VALIDATION_ERROR", "{field}");
        }
        let listed = hub.ok("task.list", json!({ "projectId": project })).await;
        assert_eq!(listed["items"], json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dependencies_must_be_other_tasks_of_the_project() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let other = hub.project("q", None).await;
        task(hub, &other, "elsewhere", json!({})).await;
        let input = |slugs: &[&str]| {
            json!({ "projectId": project, "slug": "a", "name": "A", "dependsOn": slugs })
        };
        let error = hub.err("task.create", input(&["nowhere", "elsewhere"])).await;
        assert_eq!(told(&error), ("UNPROCESSABLE".to_owned(), "unknown_dependency".to_owned()));
        assert_eq!(error.details.unwrap()["unknown"], json!(["nowhere", "elsewhere"]));
        let error = hub.err("task.create", input(&["a"])).await;
        assert_eq!(told(&error).1, "self_dependency");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_may_begin_anywhere_but_not_in_progress_before_its_prerequisites() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let done = task(hub, &project, "done", json!({ "status": "completed" })).await;
        assert!(done["completedAt"].is_string() && done["startedAt"].is_null());
        let started = task(hub, &project, "started", json!({ "status": "in-progress" })).await;
        assert!(started["startedAt"].is_string());
        let input = json!({
            "projectId": project, "name": "x", "status": "in-progress", "dependsOn": ["started"],
        });
        let error = hub.err("task.create", input).await;
        assert_eq!(told(&error).1, "unfinished_prerequisites");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_project_takes_no_tasks() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        hub.ok("project.archive", json!({ "id": project })).await;
        let error = hub
            .err("task.create", json!({ "projectId": project, "name": "A" }))
            .await;
        assert_eq!(told(&error), ("CONFLICT".to_owned(), "archived".to_owned()));
        let error = hub
            .err("task.import", json!({ "projectId": project, "files": [] }))
            .await;
        assert_eq!(told(&error), ("CONFLICT".to_owned(), "archived".to_owned()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_task_and_one_that_is_not_there_answer_alike() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let hidden = task(hub, &project, "a", json!({})).await;
        let stranger = hub.account("stranger@example.org", AccessLevel::User).await;
        let key = hub.key(&stranger, &["task:*"]).await;
        for (operation, hidden, absent) in [
            (
                "task.get",
                json!({ "id": hidden["id"] }),
                json!({ "id": "nothing" }),
            ),
            (
                "task.get",
                json!({ "projectId": project, "slug": "a" }),
                json!({ "projectId": "nothing", "slug": "a" }),
            ),
            (
                "task.delete",
                json!({ "id": hidden["id"] }),
                json!({ "id": "nothing" }),
            ),
            (
                "task.import",
                json!({ "projectId": project, "files": [] }),
                json!({ "projectId": "nothing", "files": [] }),
            ),
        ] {
            let one = hub.call(&key, operation, hidden).await.unwrap_err();
            let two = hub.call(&key, operation, absent).await.unwrap_err();
            assert_eq!(one.code.as_str(), "NOT_FOUND", "{operation}");
            assert_eq!(json!(one), json!(two), "{operation}");
        }
        let listed = hub.call(&key, "task.list", json!({})).await.unwrap();
        assert_eq!(listed["items"], json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h11_a_key_narrowed_to_a_project_stays_in_it() {
    each_hub(async |hub| {
        let (inside, outside) = (
            hub.project("in", None).await,
            hub.project("out", None).await,
        );
        task(hub, &inside, "a", json!({})).await;
        let hidden = task(hub, &outside, "b", json!({})).await;
        let admin = hub.ok("hub.whoami", json!({})).await["account"]["id"].clone();
        let admin = admin.as_str().unwrap().into();
        let key = hub
            .narrowed_key(&admin, &["*"], json!({ "project": [inside] }))
            .await;
        let listed = hub.call(&key, "task.list", json!({})).await.unwrap();
        assert_eq!(slugs(&listed["items"]), ["a"]);
        let error = hub
            .call(&key, "task.get", json!({ "id": hidden["id"] }))
            .await
            .unwrap_err();
        assert_eq!(error.code.as_str(), "NOT_FOUND");
        let input = json!({ "projectId": outside, "name": "c" });
        let error = hub.call(&key, "task.create", input).await.unwrap_err();
        assert_eq!(error.code.as_str(), "NOT_FOUND");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_filter_page_and_leave_out_bodies() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let more = json!({ "tags": ["x", "y"], "path": "docs/a", "assignee": "ann", "body": "b" });
        let a = task(hub, &project, "a", more).await;
        task(
            hub,
            &project,
            "b",
            json!({ "tags": ["y"], "priority": "high" }),
        )
        .await;
        task(
            hub,
            &project,
            "c",
            json!({ "dueAt": "2026-01-01T00:00:00Z", "path": "docs/c" }),
        )
        .await;
        go(hub, &a, "in-progress").await;
        let list = async |mut filter: Value| {
            filter["projectId"] = json!(project);
            filter["order"] = json!("asc");
            hub.ok("task.list", filter).await
        };
        for (filter, expected) in [
            (json!({}), vec!["a", "b", "c"]),
            (json!({ "status": ["in-progress", "failed"] }), vec!["a"]),
            (json!({ "pathPrefix": "docs/" }), vec!["a", "c"]),
            (json!({ "tagsAll": ["x", "y"] }), vec!["a"]),
            (json!({ "tagsAny": ["x", "y"] }), vec!["a", "b"]),
            (json!({ "assignee": "ann" }), vec!["a"]),
            (json!({ "priority": "high" }), vec!["b"]),
            (json!({ "dueBefore": "2026-06-01T00:00:00Z" }), vec!["c"]),
            (json!({ "search": "B" }), vec!["b"]),
        ] {
            let found = list(filter.clone()).await;
            assert_eq!(slugs(&found["items"]), expected, "{filter}");
            assert!(found["items"][0].get("body").is_none());
        }
        let first = list(json!({ "limit": 2 })).await;
        let cursor = first["nextCursor"].clone();
        let second = list(json!({ "limit": 2, "cursor": cursor })).await;
        assert_eq!(
            (slugs(&second["items"]), second.get("nextCursor")),
            (vec!["c"], None)
        );
        let other = json!({ "projectId": project, "cursor": cursor, "priority": "high" });
        assert_eq!(
            hub.err("task.list", other).await.code.as_str(),
            "VALIDATION_ERROR"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_id_looks_like_is_refused_by_name() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        for bad in ["a\u{0}".to_owned(), "a\nb".to_owned(), "x".repeat(129)] {
            for (operation, input, path) in [
                ("task.get", json!({ "id": bad }), "/id"),
                (
                    "task.get",
                    json!({ "projectId": project, "slug": "a\u{0}" }),
                    "/slug",
                ),
                (
                    "task.get",
                    json!({ "projectId": bad, "slug": "a" }),
                    "/projectId",
                ),
                ("task.list", json!({ "projectId": bad }), "/projectId"),
                ("task.list", json!({ "search": "a\u{0}" }), "/search"),
                (
                    "task.create",
                    json!({ "projectId": bad, "name": "a" }),
                    "/projectId",
                ),
                ("task.update", json!({ "id": bad, "name": "a" }), "/id"),
                ("task.ready", json!({ "projectId": bad }), "/projectId"),
                ("task.export", json!({ "projectId": bad }), "/projectId"),
                (
                    "task.import",
                    json!({ "projectId": bad, "files": [] }),
                    "/projectId",
                ),
                ("task.dependency.list", json!({ "taskId": bad }), "/taskId"),
            ] {
                let error = hub.err(operation, input.clone()).await;
                assert_eq!(
                    error.code.as_str(),
                    "VALIDATION_ERROR",
                    "{operation} {input}"
                );
                assert_eq!(issue_paths(&error), [path], "{operation}");
            }
        }
    })
    .await;
}
