//! `subscriptions/listen`: who listens hears of changes until the key is gone.

use std::time::Duration;

use alkhub_storage::{ConnectionTrait as _, Database, DatabaseOptions};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::json;

use super::{NEW, message, metadata};
use crate::support::Server;

/// An open stream of notifications.
struct Stream {
    parts: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    heard: String,
}

impl Stream {
    async fn open(server: &Server, key: &str, chosen: &str) -> Self {
        let params = json!({
            "notifications": { "toolsListChanged": true, "resourcesListChanged": true },
            "_meta": metadata(),
        });
        let response = server
            .mcp_bare()
            .bearer_auth(key)
            .header("mcp-protocol-version", NEW)
            .header("mcp-method", "subscriptions/listen")
            .header("x-alkhub-tools", chosen)
            .body(message("subscriptions/listen", params).to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        let mut stream = Stream {
            parts: response.bytes_stream().boxed(),
            heard: String::new(),
        };
        stream
            .hears("notifications/subscriptions/acknowledged")
            .await;
        // Of what it asked for, the sender gets what there is.
        assert!(!stream.heard.contains("resourcesListChanged"));
        stream
    }

    /// Reads until the text came.
    async fn hears(&mut self, text: &str) {
        let reading = async {
            while !self.heard.contains(text) {
                let part = self.parts.next().await.expect("the stream goes on");
                self.heard
                    .push_str(std::str::from_utf8(&part.unwrap()).unwrap());
            }
        };
        if tokio::time::timeout(Duration::from_secs(10), reading)
            .await
            .is_err()
        {
            panic!("{text} did not come in: {}", self.heard);
        }
    }

    /// Reads until the stream ends.
    async fn end(mut self) -> String {
        let reading = async {
            while let Some(part) = self.parts.next().await {
                self.heard
                    .push_str(std::str::from_utf8(&part.unwrap()).unwrap());
            }
        };
        tokio::time::timeout(Duration::from_secs(10), reading)
            .await
            .expect("the stream ends");
        self.heard
    }
}

#[tokio::test]
async fn who_listens_hears_that_the_list_of_tools_changed() {
    let server = Server::with(&[("auth.cacheTtl", "0")]).await;
    let mut stream = Stream::open(&server, &server.key, "config.*").await;
    let file = server.data_dir.path().join("alkhub.db");
    let options = DatabaseOptions::new(format!("sqlite:{}", file.display()));
    let database = Database::connect(&options).await.unwrap();
    // A user may not read the settings, so two of three tools go.
    database
        .writer()
        .execute_unprepared("UPDATE accounts SET access_level = 'user'")
        .await
        .unwrap();
    stream.hears("notifications/tools/list_changed").await;
}

#[tokio::test]
async fn the_stream_ends_with_the_key() {
    let server = Server::start().await;
    let made = server
        .call(
            "key.create",
            json!({ "name": "listener", "scopes": ["task:read"] }),
        )
        .await;
    let stream = Stream::open(&server, made["key"].as_str().unwrap(), "task.*").await;
    server
        .call("key.revoke", json!({ "id": made["apiKey"]["id"] }))
        .await;
    let heard = stream.end().await;
    assert!(!heard.contains("list_changed"), "{heard}");
    assert!(heard.contains("\"resultType\":\"complete\""), "{heard}");
}
