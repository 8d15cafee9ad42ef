//! `task.import`: what it writes, and what it leaves alone.

use serde_json::{Value, json};

use super::{file, get, go, import, slugs, task};
use crate::support::{TestHub, audit_actions, each_hub};

fn simple(slug: &str, more: &str) -> Value {
    file(
        &format!("{slug}.md"),
        &format!("---\nid: {slug}\nname: {slug}\n{more}---\nBody of {slug}\n"),
    )
}

fn counts(report: &Value) -> (u64, u64, u64) {
    let number = |key: &str| report[key].as_u64().unwrap();
    (number("inserted"), number("updated"), number("unchanged"))
}

async fn all_slugs(hub: &TestHub, project: &str) -> Vec<String> {
    let listed = hub.ok("task.list", json!({ "projectId": project })).await;
    let mut found: Vec<String> = slugs(&listed["items"])
        .into_iter()
        .map(str::to_owned)
        .collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_inserts_then_finds_nothing_new() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let files = [
            simple("a", ""),
            simple("b", "depends_on: [a]\n"),
            file("README.md", "# Hi\n"),
        ];
        let report = import(hub, &project, &files).await;
        assert_eq!(counts(&report), (2, 0, 0));
        assert_eq!(report["dryRun"], false);
        assert_eq!(report["skipped"][0]["path"], "README.md");
        let report = import(hub, &project, &files).await;
        assert_eq!(counts(&report), (0, 0, 2));
        let b = get(hub, &project, "b").await;
        assert_eq!(
            (&b["path"], &b["body"]),
            (&json!("b"), &json!("Body of b\n"))
        );
        assert_eq!(b["dependencies"][0]["slug"], "a");
        assert!(
            audit_actions(&hub.database)
                .await
                .contains(&"task.imported".to_owned())
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn authored_columns_follow_the_file() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let before = "risk: high\ntags: [x]\nassignee: ann\ndue: 2026-01-01\ncreated: 2025-01-01\nx: 1\n";
        import(hub, &project, &[simple("a", before), simple("b", "")]).await;
        let moved = file(
            "deep/a.md",
            "---\nid: a\nname: New\nscope: single\ntags: [y]\ndue: soon\nmodified: 2026-02-03T04:05:06Z\n---\nOther\n",
        );
        let report = import(hub, &project, &[moved, simple("b", "")]).await;
        assert_eq!(counts(&report), (0, 1, 1));
        let a = get(hub, &project, "a").await;
        for (field, value) in [
            ("name", json!("New")),
            ("path", json!("deep/a")),
            ("scope", json!("single")),
            ("risk", Value::Null),
            ("tags", json!(["y"])),
            ("assignee", Value::Null),
            ("dueAt", Value::Null),
            ("fileCreatedAt", Value::Null),
            ("fileModifiedAt", json!("2026-02-03T04:05:06.000Z")),
            ("body", json!("Other\n")),
            ("metadata", json!({ "unparsed": { "due": "soon" } })),
        ] {
            assert_eq!(a[field], value, "{field}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_never_overwrites_status() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        import(hub, &project, &[simple("a", "status: pending\n")]).await;
        let a = get(hub, &project, "a").await;
        let started = go(hub, &a, "in-progress").await;
        let report = import(
            hub,
            &project,
            &[simple("a", "status: pending\nrisk: low\n")],
        )
        .await;
        assert_eq!(counts(&report), (0, 1, 0));
        let after = get(hub, &project, "a").await;
        assert_eq!(
            (&after["status"], &after["risk"]),
            (&json!("in-progress"), &json!("low"))
        );
        assert_eq!(after["startedAt"], started["startedAt"]);
        let report = import(
            hub,
            &project,
            &[simple("a", "status: completed\nrisk: low\n")],
        )
        .await;
        assert_eq!(counts(&report), (0, 0, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_task_takes_status_and_times_of_its_file() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let modified = "modified: 2026-02-03\n";
        import(
            hub,
            &project,
            &[
                simple("done", &format!("status: completed\n{modified}")),
                simple("doing", &format!("status: in-progress\n{modified}")),
                simple("now", "status: in-progress\n"),
                simple("failed", "status: failed\n"),
            ],
        )
        .await;
        let moment = json!("2026-02-03T00:00:00.000Z");
        let task = async |slug: &str| get(hub, &project, slug).await;
        let done = task("done").await;
        assert_eq!(
            (&done["completedAt"], &done["startedAt"]),
            (&moment, &Value::Null)
        );
        let doing = task("doing").await;
        assert_eq!(
            (&doing["startedAt"], &doing["completedAt"]),
            (&moment, &Value::Null)
        );
        assert!(task("now").await["startedAt"].is_string());
        assert_eq!(task("failed").await["status"], "failed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dependencies_of_a_file_replace_those_of_its_task() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let (a, b) = (simple("a", ""), simple("b", ""));
        import(
            hub,
            &project,
            &[a.clone(), b.clone(), simple("c", "depends_on: [a]\n")],
        )
        .await;
        let report = import(
            hub,
            &project,
            &[a.clone(), b.clone(), simple("c", "depends_on: [b]\n")],
        )
        .await;
        assert_eq!(counts(&report), (0, 1, 2));
        let c = get(hub, &project, "c").await;
        assert_eq!(slugs(&c["dependencies"]), ["b"]);
        // What was added by an operation to a task without a file here stays.
        let report = import(hub, &project, &[a, b]).await;
        assert_eq!(report["gone"], json!(["c"]));
        assert_eq!(slugs(&get(hub, &project, "c").await["dependencies"]), ["b"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_prerequisites_are_kept_and_tried_again() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let a = simple("a", "depends_on: [b, c]\n");
        let report = import(hub, &project, std::slice::from_ref(&a)).await;
        let missing = json!([{ "task": "a", "unknown": "b" }, { "task": "a", "unknown": "c" }]);
        assert_eq!(report["missing"], missing);
        assert_eq!(
            get(hub, &project, "a").await["metadata"]["missing"],
            json!(["b", "c"])
        );
        // The next import brings one of them, without the file of the task that waits.
        let report = import(hub, &project, &[simple("b", "")]).await;
        assert_eq!(counts(&report), (1, 1, 0));
        let found = get(hub, &project, "a").await;
        assert_eq!(slugs(&found["dependencies"]), ["b"]);
        assert_eq!(found["metadata"], json!({ "missing": ["c"] }));
        task(hub, &project, "c", json!({})).await;
        let report = import(hub, &project, &[a]).await;
        assert_eq!(
            (counts(&report), &report["missing"]),
            ((0, 1, 0), &json!([]))
        );
        let found = get(hub, &project, "a").await;
        assert_eq!(
            (slugs(&found["dependencies"]), &found["metadata"]),
            (vec!["b", "c"], &json!({}))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pruning_deletes_pending_tasks_whose_file_is_gone() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let files = [
            simple("keep", "depends_on: [gone]\n"),
            simple("gone", ""),
            simple("started", "status: in-progress\n"),
        ];
        import(hub, &project, &files).await;
        task(hub, &project, "by-hand", json!({})).await;
        let input = json!({ "projectId": project, "files": [files[0]], "prune": true });
        let report = hub.ok("task.import", input).await;
        assert_eq!(
            (&report["pruned"], &report["gone"]),
            (&json!(["gone"]), &json!(["started"]))
        );
        assert_eq!(
            report["missing"],
            json!([{ "task": "keep", "unknown": "gone" }])
        );
        assert_eq!(
            all_slugs(hub, &project).await,
            ["by-hand", "keep", "started"]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_reports_and_changes_nothing() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        import(hub, &project, &[simple("a", ""), simple("b", "")]).await;
        let before = get(hub, &project, "a").await;
        let entries = audit_actions(&hub.database).await.len();
        let files = [simple("a", "risk: low\ndepends_on: [c]\n"), simple("c", "")];
        let input = json!({ "projectId": project, "files": files, "prune": true, "dryRun": true });
        let report = hub.ok("task.import", input).await;
        assert_eq!(
            (counts(&report), &report["pruned"]),
            ((1, 1, 0), &json!(["b"]))
        );
        assert_eq!(report["dryRun"], true);
        assert_eq!(get(hub, &project, "a").await, before);
        assert_eq!(all_slugs(hub, &project).await, ["a", "b"]);
        assert_eq!(audit_actions(&hub.database).await.len(), entries);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_stay_when_the_text_before_them_changes() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        import(hub, &project, &[simple("a", "")]).await;
        let a = get(hub, &project, "a").await;
        let noted = hub
            .ok("task.addNote", json!({ "id": a["id"], "text": "kept" }))
            .await;
        let report = import(hub, &project, &[simple("a", "")]).await;
        assert_eq!(counts(&report), (0, 0, 1));
        let changed = file("a.md", "---\nid: a\nname: a\n---\nNew text");
        let report = import(hub, &project, &[changed]).await;
        assert_eq!(counts(&report), (0, 1, 0));
        let body = get(hub, &project, "a").await["body"]
            .as_str()
            .unwrap()
            .to_owned();
        let notes = noted["body"]
            .as_str()
            .unwrap()
            .strip_prefix("Body of a\n")
            .unwrap()
            .to_owned();
        assert_eq!(body, format!("New text{notes}"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_notes_of_a_row_and_its_retentions_stay() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        import(hub, &project, &[simple("a", ""), simple("b", "")]).await;
        let (a, b) = (get(hub, &project, "a").await, get(hub, &project, "b").await);
        let mine = json!({ "id": b["id"], "metadata": { "files": ["x.rs"] } });
        hub.ok("task.update", mine).await;
        let edge = json!({ "taskId": b["id"], "dependsOnId": a["id"], "qualityRetention": 0.3 });
        hub.ok("task.dependency.add", edge).await;
        import(
            hub,
            &project,
            &[simple("a", ""), simple("b", "depends_on: [a]\nextra: 1\n")],
        )
        .await;
        let after = get(hub, &project, "b").await;
        let notes = json!({ "files": ["x.rs"], "frontmatter": "extra: 1\n" });
        assert_eq!(after["metadata"], notes);
        assert_eq!(after["dependencies"][0]["qualityRetention"], 0.3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_files_come_in_at_once() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let text = |number: usize| {
            let slug = format!("t{number}");
            let before = number
                .checked_sub(1)
                .map_or_else(String::new, |n| format!("t{n}"));
            simple(
                &slug,
                &format!("depends_on: [{before}]\ntags: [x, \"y\"]\n"),
            )
        };
        let files: Vec<Value> = (0..3_000).map(text).collect();
        assert_eq!(counts(&import(hub, &project, &files).await), (3_000, 0, 0));
        assert_eq!(counts(&import(hub, &project, &files).await), (0, 0, 3_000));
        let changed: Vec<Value> = (0..3_000)
            .map(|number| simple(&format!("t{number}"), "risk: low\n"))
            .collect();
        assert_eq!(
            counts(&import(hub, &project, &changed).await),
            (0, 3_000, 0)
        );
        let input = json!({ "projectId": project, "files": [], "prune": true });
        assert_eq!(
            hub.ok("task.import", input).await["pruned"]
                .as_array()
                .unwrap()
                .len(),
            3_000
        );
    })
    .await;
}
