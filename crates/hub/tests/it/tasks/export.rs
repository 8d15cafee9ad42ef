//! `task.export`, and that what it writes is what an import reads.

use serde_json::{Value, json};

use super::{export, file, get, go, import, task};
use crate::support::{TestHub, each_hub};

/// The files of an export as an import takes them.
fn as_files(files: &[(String, String)]) -> Vec<Value> {
    files.iter().map(|(path, text)| file(path, text)).collect()
}

/// Every column of every task but ids and times of the row.
async fn rows(hub: &TestHub, project: &str) -> Vec<Value> {
    let listed = hub
        .ok("task.list", json!({ "projectId": project, "limit": 500 }))
        .await;
    let mut rows = Vec::new();
    for item in listed["items"].as_array().unwrap() {
        let mut row = get(hub, project, item["slug"].as_str().unwrap()).await;
        let row_fields = row.as_object_mut().unwrap();
        for field in [
            "id",
            "projectId",
            "createdAt",
            "updatedAt",
            "completedAt",
            "startedAt",
        ] {
            row_fields.remove(field);
        }
        for list in ["dependencies", "dependents"] {
            for end in row[list].as_array_mut().unwrap() {
                end.as_object_mut().unwrap().remove("id");
            }
        }
        rows.push(row);
    }
    rows.sort_by(|a, b| a["slug"].as_str().cmp(&b["slug"].as_str()));
    rows
}

/// What a stranger's directory may hold.
fn directory() -> Vec<Value> {
    vec![
        file(
            "a.md",
            "---\nid: a\nname: First\nstatus: completed\n---\n# Body\n\ttabs  \n\n",
        ),
        file(
            "A.md",
            "---\nid: A\nname: \"Yes: quoted\"\ndependsOn:\n  - a\n  - \"12\"\n---",
        ),
        file(
            "deep/er/12.md",
            "\u{feff}---\r\nid: \"12\"\r\nname: CRLF\r\ndepends_on: [a]\r\nowner: me # who\r\n---\r\nLine\r\n",
        ),
        file(
            "deep/ünï.md",
            "---\nid: ünï/код\nname: 名前\ndepends_on: [nowhere, a]\nscope: system\nrisk: critical\n\
             impact: phase\nlevel: research\npriority: low\ntags: [\"true\", b, 'it''s']\n\
             assignee: ann\ndue: next week\ncreated: 2026-03-23\nmodified: 2026-03-23T10:00:00+02:00\n\
             # a comment\nextra:\n  nested: [1, 2]\n  text: |\n    lines\n\n    more\nzeta: 1\n---\n<!-- c -->\n",
        ),
        file(
            "null.md",
            "---\nid: nulls\nname: N\nrisk: null\nassignee: ~\ndue:\n---\n",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_survives_import_and_export() {
    each_hub(async |hub| {
        let (one, two) = (
            hub.project("one", None).await,
            hub.project("two", None).await,
        );
        import(hub, &one, &directory()).await;
        let first = export(hub, &one).await;
        let paths: Vec<&str> = first.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            ["A.md", "a.md", "deep/er/12.md", "deep/ünï.md", "null.md"]
        );
        import(hub, &two, &as_files(&first)).await;
        assert_eq!(export(hub, &two).await, first);
        assert_eq!(rows(hub, &two).await, rows(hub, &one).await);
        let text = |path: &str| &first.iter().find(|(found, _)| found == path).unwrap().1;
        assert!(text("a.md").ends_with("---\n# Body\n\ttabs  \n\n"));
        assert!(text("deep/er/12.md").ends_with("owner: me # who\r\n---\nLine\r\n"));
        let unknown =
            "# a comment\nextra:\n  nested: [1, 2]\n  text: |\n    lines\n\n    more\nzeta: 1\n";
        assert!(
            text("deep/ünï.md").contains(unknown),
            "{}",
            text("deep/ünï.md")
        );
        assert!(text("deep/ünï.md").contains("due: next week\n"));
        assert!(text("deep/ünï.md").contains("depends_on:\n  - a\n  - nowhere\n"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn importing_an_export_changes_nothing() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        import(hub, &project, &directory()).await;
        task(
            hub,
            &project,
            "no-path",
            json!({ "body": "b", "dueAt": "2026-01-01T10:00:00.5Z" }),
        )
        .await;
        task(hub, &project, "twin", json!({ "path": "a" })).await;
        task(hub, &project, "../up", json!({ "dependsOn": ["twin"] })).await;
        let noted = get(hub, &project, "A").await;
        hub.ok(
            "task.addNote",
            json!({ "id": noted["id"], "text": "a note" }),
        )
        .await;
        go(hub, &noted, "blocked").await;
        let before = rows(hub, &project).await;
        let files = as_files(&export(hub, &project).await);
        let report = import(hub, &project, &files).await;
        assert_eq!(
            (&report["inserted"], &report["updated"]),
            (&json!(0), &json!(0))
        );
        assert_eq!(
            (&report["unchanged"], &report["gone"]),
            (&json!(8), &json!([]))
        );
        assert_eq!(rows(hub, &project).await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_stand_in_their_order_and_unassessed_ones_are_left_out() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        task(hub, &project, "z", json!({})).await;
        task(hub, &project, "b", json!({})).await;
        let more = json!({
            "dependsOn": ["z", "b"], "scope": "narrow", "risk": "low", "impact": "isolated",
            "level": "planning", "priority": "high", "tags": ["t"], "assignee": "ann",
            "dueAt": "2026-01-02T00:00:00Z", "body": "Body", "path": "x/y",
        });
        task(hub, &project, "a", more).await;
        let files = export(hub, &project).await;
        assert_eq!(files[0], ("b.md".to_owned(), "---\nid: b\nname: b\nstatus: pending\ndepends_on: []\n---\n".to_owned()));
        let expected = "---\nid: a\nname: a\nstatus: pending\ndepends_on:\n  - b\n  - z\n\
             scope: narrow\nrisk: low\nimpact: isolated\nlevel: planning\npriority: high\ntags:\n  - t\n\
             assignee: ann\ndue: 2026-01-02\n---\nBody";
        assert_eq!(files[1], ("x/y.md".to_owned(), expected.to_owned()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_files_cannot_say_is_reported() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let a = task(hub, &project, "a", json!({ "path": "same" })).await;
        let b = task(hub, &project, "b", json!({ "path": "same" })).await;
        let up = task(hub, &project, "../up", json!({})).await;
        let edge = json!({ "taskId": b["id"], "dependsOnId": a["id"], "qualityRetention": 0.25 });
        hub.ok("task.dependency.add", edge).await;
        let exported = hub.ok("task.export", json!({ "projectId": project })).await;
        let paths: Vec<&str> = exported["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| file["path"].as_str().unwrap())
            .collect();
        let unsafe_name = format!("{}.md", up["id"].as_str().unwrap());
        let mut expected = vec!["b.md", "same.md", unsafe_name.as_str()];
        expected.sort_unstable();
        assert_eq!(paths, expected);
        let lossy: Vec<String> = exported["lossy"]
            .as_array()
            .unwrap()
            .iter()
            .map(|note| {
                format!(
                    "{}: {}",
                    note["task"].as_str().unwrap(),
                    note["what"].as_str().unwrap()
                )
            })
            .collect();
        assert_eq!(lossy.len(), 3);
        assert!(lossy[0].starts_with("../up: is written as"), "{lossy:?}");
        assert_eq!(
            lossy[1],
            "b: is written as b.md, because \"same\" is the place of another task"
        );
        assert_eq!(lossy[2], "b: keeps 0.25 of the quality of \"a\"");
        // A retention is no matter of files: the import of the export leaves it.
        import(hub, &project, exported["files"].as_array().unwrap()).await;
        assert_eq!(
            get(hub, &project, "b").await["dependencies"][0]["qualityRetention"],
            0.25
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_cuts_the_export() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        import(hub, &project, &directory()).await;
        let input = json!({ "projectId": project, "pathPrefix": "deep/" });
        let exported = hub.ok("task.export", input).await;
        assert_eq!(exported["files"].as_array().unwrap().len(), 2);
    })
    .await;
}
