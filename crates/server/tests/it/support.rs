//! A server on a free port with data of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alkhub_hub::config::{LiveConfig, Sources, load};
use alkhub_server::{Announcement, ServeError, ServeOptions, run};
use alkhub_storage::{Database, DatabaseOptions};
use reqwest::{Client, RequestBuilder, Response};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running server; it ends when this is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    /// The first admin key.
    pub(crate) key: String,
    pub(crate) client: Client,
    pub(crate) data_dir: TempDir,
    running: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Server::with(&[]).await
    }

    /// A server with further settings.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let config = settings_for(data_dir.path(), settings);
        let (sender, receiver) = oneshot::channel();
        let running = tokio::spawn(run(ServeOptions {
            config: Arc::new(config),
            announce: Box::new(move |announcement: Announcement| {
                let key = announcement
                    .first_key
                    .map(|key| key.expose_secret().to_owned());
                let _heard = sender.send((announcement.url, key));
            }),
        }));
        let Ok((url, key)) = receiver.await else {
            panic!("the server did not start: {:?}", running.await);
        };
        Server {
            url,
            key: key.expect("a first start makes a key"),
            client: Client::new(),
            data_dir,
            running,
        }
    }

    /// `POST` of a call with the first key; add to it what the case is about.
    pub(crate) fn post(&self, operation: &str, input: &Value) -> RequestBuilder {
        self.bare_post(operation).bearer_auth(&self.key).json(input)
    }

    /// `POST` of a call without key and body.
    pub(crate) fn bare_post(&self, operation: &str) -> RequestBuilder {
        self.client
            .post(format!("{}/v1/call/{operation}", self.url))
    }

    /// `GET` of an address below the server's with the first key.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client
            .get(format!("{}{path}", self.url))
            .bearer_auth(&self.key)
    }

    /// The data of a call that must succeed.
    pub(crate) async fn call(&self, operation: &str, input: Value) -> Value {
        let response = self.post(operation, &input).send().await.unwrap();
        let status = response.status();
        let mut body: Value = response.json().await.unwrap();
        assert_eq!(status, 200, "{operation}: {body}");
        body["data"].take()
    }

    /// Another key of the first account, with these scopes: its id and itself.
    pub(crate) async fn key_with(&self, scopes: &[&str]) -> (String, String) {
        self.key_of(json!({ "name": "narrow", "scopes": scopes }))
            .await
    }

    /// A key of a new account.
    pub(crate) async fn tenant(&self, name: &str, scopes: &[&str]) -> String {
        let account = json!({
            "email": format!("{name}@example.org"), "displayName": name, "accessLevel": "user",
        });
        let account = self.call("account.create", account).await;
        let input = json!({ "name": name, "ownerId": account["id"], "scopes": scopes });
        self.key_of(input).await.1
    }

    async fn key_of(&self, input: Value) -> (String, String) {
        let made = self.call("key.create", input).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&made["apiKey"]["id"]), text(&made["key"]))
    }

    /// `POST` of a call with this key.
    pub(crate) fn post_as(&self, key: &str, operation: &str, input: &Value) -> RequestBuilder {
        self.bare_post(operation).bearer_auth(key).json(input)
    }

    /// The server's database, by a connection of the test's own.
    pub(crate) async fn database(&self) -> Database {
        let file = self.data_dir.path().join("alkhub.db");
        let options = DatabaseOptions::new(format!("sqlite:{}", file.display()));
        Database::connect(&options).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Settings of a quiet server on a free port of this machine.
pub(crate) fn settings_for(data_dir: &Path, settings: &[(&str, &str)]) -> LiveConfig {
    let usual = [
        ("dataDir", data_dir.to_str().unwrap()),
        ("server.listen", "127.0.0.1:0"),
        ("log.level", "off"),
    ];
    let flags = usual
        .iter()
        .filter(|(key, _)| settings.iter().all(|(own, _)| own != key))
        .chain(settings)
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let sources = Sources {
        flags,
        ..Sources::default()
    };
    load(sources).expect("the settings are good").config
}

/// Status and body of an answer that must be an error in the common shape.
pub(crate) async fn refused(request: RequestBuilder) -> (u16, Value, Headers) {
    let response = request.send().await.unwrap();
    let kept = Headers::of(&response);
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert!(body["code"].is_string(), "{body}");
    assert!(body["message"].is_string(), "{body}");
    assert!(kept.header("x-request-id").is_some());
    assert_eq!(kept.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(kept.header("cache-control"), Some("no-store"));
    (status, body, kept)
}

/// The headers of an answer whose body was read.
pub(crate) struct Headers(reqwest::header::HeaderMap);

impl Headers {
    pub(crate) fn of(response: &Response) -> Self {
        Headers(response.headers().clone())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.to_str().unwrap())
    }
}

/// Waits until the condition holds, ten seconds at the longest.
pub(crate) async fn until<F>(what: &str, mut condition: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .is_err()
    {
        panic!("waited too long for: {what}");
    }
}
