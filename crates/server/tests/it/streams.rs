//! Subscriptions as server-sent events.

use futures::StreamExt;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::support::{Headers, Server, refused};

/// Events of an answer as they come.
struct Events {
    body: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

impl Events {
    async fn of(request: RequestBuilder) -> (Headers, Self) {
        let response: Response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let headers = Headers::of(&response);
        let events = Events {
            body: response.bytes_stream().boxed(),
            text: String::new(),
        };
        (headers, events)
    }

    /// Name, id and data of the next event that is no comment.
    async fn next(&mut self) -> Option<(String, Option<String>, Value)> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                        .map(str::to_owned)
                };
                let event = (field("event"), field("id"), field("data"));
                self.text = rest.to_owned();
                if let (Some(name), id, Some(data)) = event {
                    return Some((name, id, serde_json::from_str(&data).unwrap()));
                }
            }
            let part = self.body.next().await?.ok()?;
            self.text.push_str(std::str::from_utf8(&part).unwrap());
        }
    }
}

async fn project(server: &Server) -> String {
    let project = server
        .call("project.create", json!({ "name": "watched" }))
        .await;
    project["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn case_221_items_are_numbered_envelopes() {
    let server = Server::start().await;
    let project = project(&server).await;
    let request = server
        .post("task.watch", &json!({ "projectId": project }))
        .header("accept", "text/event-stream");
    let (headers, mut events) = Events::of(request).await;
    assert_eq!(headers.header("content-type"), Some("text/event-stream"));
    assert_eq!(headers.header("cache-control"), Some("no-store"));
    assert!(headers.header("x-request-id").is_some());
    for (number, name) in [(1, "first"), (2, "second")] {
        server
            .call("task.create", json!({ "projectId": project, "name": name }))
            .await;
        let (event, id, data) = events.next().await.unwrap();
        assert_eq!(event, "item");
        assert_eq!(id, Some(number.to_string()));
        assert_eq!(data["meta"]["source"], "local");
        assert_eq!(data["data"]["task"]["name"], name);
    }
}

#[tokio::test]
async fn case_221_a_subscription_by_get_reads_the_query_string() {
    let server = Server::start().await;
    let project = project(&server).await;
    let request = server
        .get(&format!("/v1/call/task.watch?projectId={project}"))
        .header("accept", "text/event-stream");
    let (_, mut events) = Events::of(request).await;
    server
        .call(
            "task.create",
            json!({ "projectId": project, "name": "first" }),
        )
        .await;
    assert_eq!(events.next().await.unwrap().0, "item");
}

#[tokio::test]
async fn case_219_subscription_without_the_accept_header_answers_406() {
    let server = Server::start().await;
    let project = project(&server).await;
    let request = server.post("task.watch", &json!({ "projectId": project }));
    let (status, body, _) = refused(request).await;
    assert_eq!(status, 406);
    assert_eq!(body["details"]["rule"], "accept");
    let request = server.get(&format!("/v1/call/task.watch?projectId={project}"));
    let (status, _, _) = refused(request).await;
    assert_eq!(status, 406);
}

#[tokio::test]
async fn errors_before_the_first_item_are_plain_answers() {
    let server = Server::start().await;
    let stream = |request: RequestBuilder| request.header("accept", "text/event-stream");
    let input = json!({ "projectId": "no-such-project" });
    let (status, body, _) = refused(stream(server.post("task.watch", &input))).await;
    assert_eq!(status, 404, "{body}");
    let (status, _, _) = refused(stream(server.post("task.watch", &json!({})))).await;
    assert_eq!(status, 400);
    let (status, _, _) = refused(stream(server.bare_post("task.watch"))).await;
    assert_eq!(status, 401);
    let (status, _, _) = refused(stream(server.post("no.such", &json!({})))).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_query_answers_json_to_whoever_also_takes_a_stream() {
    let server = Server::start().await;
    let response = server
        .post("hub.info", &json!({}))
        .header("accept", "application/json, text/event-stream")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn hub_events_go_on_behind_the_last_event_that_a_watcher_had() {
    let server = Server::start().await;
    let project = project(&server).await;
    let create = async |name: &str| {
        let input = json!({ "projectId": project, "name": name });
        server.call("task.create", input).await
    };
    let watch = || {
        server
            .post("hub.events", &json!({ "topics": ["task.*"] }))
            .header("accept", "text/event-stream")
    };
    let (_, mut events) = Events::of(watch()).await;
    let mut seen = Vec::new();
    for name in ["first", "second"] {
        let task = create(name).await;
        let (event, id, data) = events.next().await.unwrap();
        assert_eq!(event, "item");
        // A browser sends this id by itself when it comes back.
        assert_eq!(id.as_deref(), data["data"]["id"].as_str());
        assert_eq!(data["data"]["topic"], "task.created");
        assert_eq!(data["data"]["projectId"], project);
        assert_eq!(
            data["data"]["entity"],
            json!({ "type": "task", "id": task["id"] })
        );
        seen.push(data["data"]["id"].as_str().unwrap().to_owned());
    }
    drop(events);
    let missed = create("missed").await;
    let (_, mut events) = Events::of(watch().header("last-event-id", &seen[0])).await;
    let (_, _, data) = events.next().await.unwrap();
    assert_eq!(data["data"]["id"], seen[1].as_str());
    let (_, _, data) = events.next().await.unwrap();
    assert_eq!(data["data"]["entity"]["id"], missed["id"]);
    let live = create("live").await;
    let (_, _, data) = events.next().await.unwrap();
    assert_eq!(data["data"]["entity"]["id"], live["id"]);

    for unknown in ["other.1-1", "no event"] {
        let (status, body, _) = refused(watch().header("last-event-id", unknown)).await;
        assert_eq!(status, 422, "{body}");
        assert_eq!(body["details"]["rule"], "since_too_old");
    }
}

#[tokio::test]
async fn revoking_the_key_ends_the_stream_with_an_error() {
    let server = Server::start().await;
    let project = project(&server).await;
    let made = server
        .call(
            "key.create",
            json!({ "name": "watcher", "scopes": ["task:read"] }),
        )
        .await;
    let request = server
        .bare_post("task.watch")
        .bearer_auth(made["key"].as_str().unwrap())
        .json(&json!({ "projectId": project }))
        .header("accept", "text/event-stream");
    let (_, mut events) = Events::of(request).await;
    server
        .call("key.revoke", json!({ "id": made["apiKey"]["id"] }))
        .await;
    let (event, _, data) = events.next().await.unwrap();
    assert_eq!(event, "error");
    assert_eq!(data["code"], "ACCESS_DENIED");
    assert!(events.next().await.is_none());
}
