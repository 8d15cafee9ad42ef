//! `task.sync`.

use serde_json::{Value, json};

use super::{export, file, get, go, import, task, told};
use crate::support::{TestHub, audit_actions, each_hub};

/// A directory and what its last sync answered.
struct Directory {
    files: Vec<(String, String)>,
    baseline: Value,
}

impl Directory {
    fn new(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self {
            files: files.collect(),
            baseline: json!({}),
        }
    }

    /// Syncs for good and does what the answer asks for.
    async fn sync(&mut self, hub: &TestHub, project: &str) -> Value {
        let report = self.call(hub, project, json!({ "dryRun": false })).await;
        for written in report["toFile"].as_array().unwrap() {
            let replaced = written.get("replaces").and_then(Value::as_str);
            let path = written["path"].as_str().unwrap();
            self.files
                .retain(|(found, _)| found != path && Some(found.as_str()) != replaced);
            self.files.push((
                path.to_owned(),
                written["text"].as_str().unwrap().to_owned(),
            ));
        }
        self.baseline = report["baseline"].clone();
        report
    }

    async fn call(&self, hub: &TestHub, project: &str, more: Value) -> Value {
        let files: Vec<Value> = self
            .files
            .iter()
            .map(|(path, text)| file(path, text))
            .collect();
        let mut input = json!({ "projectId": project, "files": files, "baseline": self.baseline });
        input
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        hub.ok("task.sync", input).await
    }

    fn edit(&mut self, path: &str, from: &str, to: &str) {
        let (_, text) = self
            .files
            .iter_mut()
            .find(|(found, _)| found == path)
            .unwrap();
        assert!(text.contains(from), "{text}");
        *text = text.replace(from, to);
    }
}

/// How many go to files, to the project, are in conflict, are unchanged.
fn shape(report: &Value) -> (usize, usize, usize, u64) {
    let length = |key: &str| report[key].as_array().unwrap().len();
    (
        length("toFile"),
        length("toDb"),
        length("conflicts"),
        report["unchanged"].as_u64().unwrap(),
    )
}

const A: (&str, &str) = (
    "a.md",
    "---\nname: 'First'\nid: a\ndependsOn: []\n---\nBody\n",
);
const B: (&str, &str) = (
    "deep/b.md",
    "---\nid: b\nname: B\ndepends_on: [a]\nx: 1\n---\n",
);

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_and_a_project_find_each_other_and_rest() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        task(hub, &project, "c", json!({})).await;
        let mut directory = Directory::new(&[A, B, ("README.md", "# Hi\n")]);
        let dry = directory.call(hub, &project, json!({})).await;
        assert_eq!((shape(&dry), &dry["dryRun"]), ((1, 2, 0, 0), &json!(true)));
        assert_eq!(export(hub, &project).await.len(), 1);
        let report = directory.sync(hub, &project).await;
        assert_eq!(shape(&report), (1, 2, 0, 0));
        assert_eq!(report["toFile"][0]["path"], "c.md");
        assert_eq!(
            report["toDb"][1],
            json!({ "path": "deep/b.md", "task": "b" })
        );
        // A file written in its author's own way is the same task, whatever the export would write.
        assert_eq!(shape(&directory.sync(hub, &project).await), (0, 0, 0, 3));
        assert_eq!(report["baseline"].as_object().unwrap().len(), 3);
        assert!(
            audit_actions(&hub.database)
                .await
                .contains(&"task.synced".to_owned())
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_side_takes_over_what_only_the_other_changed() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let mut directory = Directory::new(&[A, B]);
        directory.sync(hub, &project).await;
        directory.edit("a.md", "First", "Edited");
        let b = get(hub, &project, "b").await;
        go(hub, &b, "blocked").await;
        hub.ok("task.addNote", json!({ "id": b["id"], "text": "a note" }))
            .await;
        let report = directory.sync(hub, &project).await;
        assert_eq!(shape(&report), (1, 1, 0, 0));
        assert_eq!(get(hub, &project, "a").await["name"], "Edited");
        let text = report["toFile"][0]["text"].as_str().unwrap();
        assert!(
            text.contains("status: blocked") && text.contains("a note"),
            "{text}"
        );
        assert_eq!(shape(&directory.sync(hub, &project).await), (0, 0, 0, 2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_in_a_file_is_answered_with_that_of_the_task() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let mut directory = Directory::new(&[A]);
        directory.sync(hub, &project).await;
        directory.edit("a.md", "id: a\n", "id: a\nstatus: completed\n");
        let report = directory.sync(hub, &project).await;
        assert_eq!(shape(&report), (1, 1, 0, 0));
        assert!(
            report["toFile"][0]["text"]
                .as_str()
                .unwrap()
                .contains("status: pending")
        );
        assert_eq!(shape(&directory.sync(hub, &project).await), (0, 0, 0, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_conflict_nothing_is_written() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let mut directory = Directory::new(&[A, B]);
        directory.sync(hub, &project).await;
        directory.edit("a.md", "First", "Mine");
        let a = get(hub, &project, "a").await;
        hub.ok("task.update", json!({ "id": a["id"], "name": "Theirs" }))
            .await;
        let before = directory.baseline.clone();
        let report = directory.sync(hub, &project).await;
        assert_eq!(shape(&report), (0, 0, 1, 1));
        assert_eq!(
            report["conflicts"][0]["reason"],
            "file and task both changed"
        );
        assert_eq!(report["baseline"], before);
        assert_eq!(get(hub, &project, "a").await["name"], "Theirs");
        directory.edit("a.md", "Mine", "Theirs");
        assert_eq!(shape(&directory.sync(hub, &project).await), (0, 0, 0, 2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_baseline_two_that_differ_are_a_conflict() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        import(hub, &project, &[file(A.0, A.1)]).await;
        let same = Directory::new(&[A]).call(hub, &project, json!({})).await;
        assert_eq!(shape(&same), (0, 0, 0, 1));
        let mut other = Directory::new(&[A]);
        other.edit("a.md", "Body", "Other");
        assert_eq!(
            shape(&other.call(hub, &project, json!({})).await),
            (0, 0, 1, 0)
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_direction_leaves_the_other_for_later() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        task(hub, &project, "c", json!({})).await;
        let mut directory = Directory::new(&[A]);
        let to_file = json!({ "direction": "toFile", "dryRun": false });
        assert_eq!(
            shape(&directory.call(hub, &project, to_file).await),
            (1, 0, 0, 0)
        );
        let to_db = json!({ "direction": "toDb", "dryRun": false });
        let report = directory.call(hub, &project, to_db).await;
        assert_eq!(shape(&report), (0, 1, 0, 0));
        directory.baseline = report["baseline"].clone();
        assert_eq!(shape(&directory.sync(hub, &project).await), (1, 0, 0, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moved_and_vanished_files_are_not_mistaken() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let mut directory = Directory::new(&[A, B]);
        directory.sync(hub, &project).await;
        "moved/a.md".clone_into(&mut directory.files[0].0);
        assert_eq!(shape(&directory.sync(hub, &project).await), (0, 1, 0, 1));
        assert_eq!(get(hub, &project, "a").await["path"], "moved/a");
        let b = get(hub, &project, "b").await;
        hub.ok("task.update", json!({ "id": b["id"], "path": "b2" }))
            .await;
        let report = directory.sync(hub, &project).await;
        assert_eq!(shape(&report), (1, 0, 0, 1));
        assert_eq!(report["toFile"][0]["replaces"], "deep/b.md");
        assert_eq!(shape(&directory.sync(hub, &project).await), (0, 0, 0, 2));
        directory.files.retain(|(path, _)| path != "b2.md");
        let report = directory.sync(hub, &project).await;
        assert_eq!(shape(&report), (0, 0, 1, 1));
        assert_eq!(
            report["conflicts"][0]["reason"],
            "the file is gone, its task is not"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_files_and_circles_reject_a_sync_as_they_do_an_import() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let sync = |files: Value| json!({ "projectId": project, "files": files, "dryRun": false });
        let error = hub
            .err(
                "task.sync",
                sync(json!([file("a.md", "---\nid: 1\n---\n")])),
            )
            .await;
        assert_eq!(error.details.unwrap()["files"][0]["path"], "a.md");
        let circle = json!([
            file("a.md", "---\nid: a\nname: A\ndepends_on: [b]\n---\n"),
            file("b.md", "---\nid: b\nname: B\ndepends_on: [a]\n---\n"),
        ]);
        assert_eq!(told(&hub.err("task.sync", sync(circle)).await).1, "cycle");
        assert!(export(hub, &project).await.is_empty());
    })
    .await;
}
