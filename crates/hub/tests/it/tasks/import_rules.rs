//! `task.import`: what it refuses, all of it at once and with nothing half-written.

use serde_json::{Value, json};

use super::{file, get, import, issue_paths, task, told};
use crate::support::{TestHub, each_hub, each_hub_with};

fn plain(slug: &str, more: &str) -> Value {
    file(
        &format!("{slug}.md"),
        &format!("---\nid: {slug}\nname: {slug}\n{more}---\n"),
    )
}

async fn refuse(hub: &TestHub, project: &str, files: &[Value]) -> alkhub_operations::CallError {
    let error = hub
        .err(
            "task.import",
            json!({ "projectId": project, "files": files }),
        )
        .await;
    let listed = hub.ok("task.list", json!({ "projectId": project })).await;
    assert_eq!(listed["items"], json!([]), "something was written");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn every_faulty_file_is_named_in_one_answer() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let files = [
            plain("good", ""),
            file("yaml.md", "---\nid: y\nname: [\n---\n"),
            file("list.md", "---\n- a\n---\n"),
            file("no-name.md", "---\nid: n\n---\n"),
            file("bad-status.md", "---\nid: s\nname: S\nstatus: done\n---\n"),
            file("number.md", "---\nid: 12\nname: N\n---\n"),
            file("self.md", "---\nid: me\nname: Me\ndepends_on: [me]\n---\n"),
            file("twin-1.md", "---\nid: twin\nname: T\n---\n"),
            file("twin-2.md", "---\nid: twin\nname: T\n---\n"),
            file("nul.md", "---\nid: nul\nname: N\n---\na\u{0}b"),
            file(
                "large.md",
                &format!("---\nid: l\nname: L\n---\n{}", "x".repeat(1 << 20)),
            ),
            file("../out.md", "---\nid: o\nname: O\n---\n"),
            file("/abs.md", "---\nid: b\nname: B\n---\n"),
            file("back\\slash.md", "---\nid: c\nname: C\n---\n"),
        ];
        let error = refuse(hub, &project, &files).await;
        assert_eq!(error.code.as_str(), "VALIDATION_ERROR");
        let details = error.details.unwrap();
        let told: Vec<(&str, &str)> = details["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|fault| {
                (
                    fault["path"].as_str().unwrap(),
                    fault["field"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("../out.md", ""),
                ("/abs.md", ""),
                ("back\\slash.md", ""),
                ("bad-status.md", "status"),
                ("large.md", ""),
                ("list.md", ""),
                ("no-name.md", "name"),
                ("nul.md", ""),
                ("number.md", "id"),
                ("self.md", "dependsOn/0"),
                ("twin-1.md", "id"),
                ("twin-2.md", "id"),
                ("yaml.md", ""),
            ]
        );
        let status = &details["files"][3];
        assert_eq!(status["line"], 4);
        assert!(!status["message"].as_str().unwrap().is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_faulty_files_are_one_report() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let files: Vec<Value> = (0..1_000)
            .map(|n| file(&format!("f{n}.md"), "---\nname: x\n---\n"))
            .collect();
        let error = refuse(hub, &project, &files).await;
        assert_eq!(
            error.details.unwrap()["files"].as_array().unwrap().len(),
            1_000
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn circles_reject_the_import_with_their_paths() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let files = [
            plain("a", "depends_on: [c]\n"),
            plain("b", "depends_on: [a]\n"),
            plain("c", "depends_on: [b]\n"),
            plain("x", "depends_on: [y]\n"),
            plain("y", "depends_on: [x]\n"),
        ];
        let error = refuse(hub, &project, &files).await;
        assert_eq!(
            told(&error),
            ("UNPROCESSABLE".to_owned(), "cycle".to_owned())
        );
        let details = error.details.unwrap();
        assert_eq!(details["cycles"], json!([["a", "b", "c"], ["x", "y"]]));
        assert!(error.message.contains("a → b → c → a"), "{}", error.message);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_through_tasks_without_a_file_is_found() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        task(hub, &project, "a", json!({})).await;
        task(hub, &project, "b", json!({ "dependsOn": ["a"] })).await;
        let input =
            json!({ "projectId": project, "files": [plain("a", "depends_on: [b]\nrisk: low\n")] });
        let error = hub.err("task.import", input).await;
        assert_eq!(told(&error).1, "cycle");
        assert_eq!(get(hub, &project, "a").await["risk"], Value::Null);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_through_a_reference_that_was_missing_is_found() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        import(hub, &project, &[plain("a", "depends_on: [b]\n")]).await;
        let input = json!({ "projectId": project, "files": [plain("b", "depends_on: [a]\n")] });
        assert_eq!(told(&hub.err("task.import", input).await).1, "cycle");
        assert_eq!(
            get(hub, &project, "a").await["metadata"]["missing"],
            json!(["b"])
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_is_no_list_of_files_is_refused() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        for input in [
            json!({ "projectId": project }),
            json!({ "projectId": project, "files": [{ "path": "a.md" }] }),
            json!({ "projectId": project, "files": [{ "path": "a.md", "text": "", "x": 1 }] }),
            json!({ "projectId": project, "files": [], "dryrun": true }),
        ] {
            let error = hub.err("task.import", input).await;
            assert_eq!(error.code.as_str(), "VALIDATION_ERROR");
            assert!(!issue_paths(&error).is_empty());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_front_matter_is_refused_soon() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let mut bomb = "---\nid: b\nname: B\na: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9_u8 {
            let (this, before) = (char::from(b'a' + level), char::from(b'a' + level - 1));
            let uses = vec![format!("*{before}"); 9].join(",");
            bomb.push_str(&format!("{this}: &{this} [{uses}]\n"));
        }
        bomb.push_str("---\n");
        let deep = format!("---\nid: d\nname: D\nx: {}\n---\n", "[".repeat(10_000));
        let error = refuse(
            hub,
            &project,
            &[file("bomb.md", &bomb), file("deep.md", &deep)],
        )
        .await;
        assert_eq!(error.details.unwrap()["files"].as_array().unwrap().len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_at_once_do_not_mix() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let run = async |risk: &str| {
            let files: Vec<Value> = (0..50)
                .map(|n| plain(&format!("t{n}"), &format!("risk: {risk}\n")))
                .collect();
            import(hub, &project, &files).await
        };
        futures::future::join_all(["low", "high", "medium"].map(run)).await;
        let listed = hub
            .ok("task.list", json!({ "projectId": project, "limit": 500 }))
            .await;
        let items = listed["items"].as_array().unwrap();
        assert_eq!(items.len(), 50);
        assert!(items.iter().all(|item| item["risk"] == items[0]["risk"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_too_many_bytes_together_are_refused() {
    each_hub_with(&[("server.importLimit", "1MiB")], async |hub| {
        let project = hub.project("p", None).await;
        let body = "x".repeat(600_000);
        let files: Vec<Value> = ["a", "b"]
            .iter()
            .map(|slug| {
                file(
                    &format!("{slug}.md"),
                    &format!("---\nid: {slug}\nname: N\n---\n{body}"),
                )
            })
            .collect();
        let error = refuse(hub, &project, &files).await;
        assert_eq!(error.code.as_str(), "PAYLOAD_TOO_LARGE");
        assert_eq!(error.details.unwrap()["limit"], 1 << 20);
    })
    .await;
}
