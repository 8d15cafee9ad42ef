//! Imports of megabytes, which are neither copied to be recorded nor kept in memory.

use alkhub_operations::RequestId;
use serde_json::{Value, json};

use super::{file, get, told};
use crate::support::{each_hub, request, with_id};

/// Five files of a megabyte each; the texts differ by `mark` alone.
fn files(mark: &str) -> Vec<Value> {
    let body = "x".repeat((1 << 20) - 200);
    (0..5)
        .map(|n| {
            let text = format!("---\nid: t{n}\nname: {mark}\n---\n{body}");
            file(&format!("t{n}.md"), &text)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_import_is_whole_and_repeats_as_a_small_one_does() {
    each_hub(async |hub| {
        let project = hub.project("p", None).await;
        let id = RequestId::random();
        let import = |mark: &str| {
            let input = json!({ "projectId": project, "files": files(mark) });
            let call = request(Some(&hub.admin_key), "task.import", input);
            hub.send(with_id(call, id.clone()))
        };
        let first = import("one").await.unwrap();
        assert_eq!(first.envelope.data["inserted"], 5);
        let body = get(hub, &project, "t4").await["body"]
            .as_str()
            .unwrap()
            .len();
        assert_eq!(body, (1 << 20) - 200);
        // The same id and input: the recorded answer. Another input under it is refused.
        let again = import("one").await.unwrap();
        assert!(again.replayed);
        assert_eq!(again.envelope.data, first.envelope.data);
        let other = import("two").await.unwrap_err().error;
        assert_eq!(
            told(&other),
            ("UNPROCESSABLE".to_owned(), "request_id".to_owned())
        );
        assert_eq!(get(hub, &project, "t0").await["name"], "one");
    })
    .await;
}
