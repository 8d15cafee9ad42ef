//! Crossbar: a procedure of one WAMP client, called by others, all on WebSockets.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::process::Command;

use super::TEXT;
use super::sockets::{Socket, parse, provide};
use crate::bench::BenchError;
use crate::bench::hub::{free_port, output};
use crate::bench::lab::Lab;
use crate::bench::load::{Caller, Connect};
use crate::bench::peers::PythonPeer;
use crate::process::Group;

const CROSSBAR: PythonPeer = PythonPeer {
    package: "crossbar",
    version: "26.10.1",
    file: "bin/crossbar",
};

/// A running router with its provider.
pub(super) struct Crossbar {
    _group: Group,
    url: String,
}

impl Crossbar {
    /// Starts it. `None` is recorded as missing.
    pub(super) async fn start(lab: &mut Lab) -> Result<Option<Self>, BenchError> {
        let Some(program) = lab.python(&CROSSBAR).await? else {
            return Ok(None);
        };
        let port = free_port()?;
        let directory = lab.directory("crossbar")?;
        let file = directory.join("config.json");
        fs::write(&file, configuration(port).to_string())
            .map_err(|source| BenchError::File { path: file, source })?;
        let log = output(&lab.workspace.output().join("crossbar.log"))?;
        let mut command = Command::new(program);
        command
            .args(["start", "--loglevel", "warn", "--cbdir"])
            .arg(&directory)
            .env("HOME", &directory)
            .stdout(log.0)
            .stderr(log.1);
        let mut group = Group::spawn(&mut command)?;
        let url = format!("ws://127.0.0.1:{port}/");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match join(&url).await {
                Ok(socket) => {
                    if let Err(error) = register(socket).await {
                        lab.miss("crossbar", &format!("takes no procedure: {error}"));
                        return Ok(None);
                    }
                    return Ok(Some(Self { _group: group, url }));
                }
                Err(error) => {
                    let over = Instant::now() > deadline || matches!(group.ended(), Ok(Some(_)));
                    if over {
                        lab.miss("crossbar", &format!("does not start: {error}"));
                        return Ok(None);
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    pub(super) fn caller(&self) -> Realm {
        Realm {
            url: self.url.clone(),
        }
    }
}

fn configuration(port: u16) -> Value {
    json!({
        "version": 2,
        "workers": [{
            "type": "router",
            "realms": [{ "name": "bench", "roles": [{ "name": "anonymous", "permissions": [{
                "uri": "", "match": "prefix",
                "allow": { "call": true, "register": true, "publish": false, "subscribe": false },
            }] }] }],
            "transports": [{ "type": "websocket", "endpoint": { "type": "tcp", "port": port, "interface": "127.0.0.1" } }],
        }],
    })
}

async fn join(url: &str) -> io::Result<Socket> {
    let protocol = ("sec-websocket-protocol", "wamp.2.json".to_owned());
    let mut socket = Socket::connect(url, &[protocol]).await?;
    let hello = json!([1, "bench", { "roles": { "caller": {}, "callee": {} } }]);
    socket.send(hello.to_string()).await?;
    let welcome = parse(&socket.read().await?)?;
    if welcome[0] == 2 {
        Ok(socket)
    } else {
        Err(io::Error::other(welcome.to_string()))
    }
}

async fn register(mut socket: Socket) -> io::Result<()> {
    let register = json!([64, 1, {}, "bench.echo"]);
    socket.send(register.to_string()).await?;
    let registered = parse(&socket.read().await?)?;
    if registered[0] != 65 {
        return Err(io::Error::other(registered.to_string()));
    }
    tokio::spawn(provide(socket, |message| {
        (message[0] == 68).then(|| json!([70, message[1], {}, [], message[5]]).to_string())
    }));
    Ok(())
}

/// How to reach the router.
#[derive(Clone)]
pub(super) struct Realm {
    url: String,
}

#[async_trait]
impl Connect for Realm {
    type Caller = RealmCaller;

    async fn connect(&mut self) -> io::Result<RealmCaller> {
        Ok(RealmCaller {
            socket: join(&self.url).await?,
            calls: 0,
        })
    }
}

/// One caller of the procedure.
pub(super) struct RealmCaller {
    socket: Socket,
    calls: u64,
}

#[async_trait]
impl Caller for RealmCaller {
    async fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        let call = json!([48, self.calls, {}, "bench.echo", [], { "text": TEXT }]);
        self.socket.send(call.to_string()).await?;
        let message = self.socket.read().await?;
        let text = message.to_text().map_err(io::Error::other)?;
        if text.starts_with("[50,") && text.contains(TEXT) {
            Ok(())
        } else {
            Err(io::Error::other(text.to_owned()))
        }
    }
}
