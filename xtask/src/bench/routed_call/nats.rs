//! NATS request/reply: a responder on one subject, callers with an inbox each.

use std::io;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Command;

use super::TEXT;
use crate::bench::BenchError;
use crate::bench::hub::{free_port, output};
use crate::bench::lab::Lab;
use crate::bench::load::{Caller, Connect};
use crate::bench::peers::DebianPeer;
use crate::process::{self, Group};

const SERVER: DebianPeer = DebianPeer {
    package: "nats-server",
    file: "usr/sbin/nats-server",
};

/// A running server with its responder.
pub(super) struct Nats {
    _group: Group,
    address: String,
}

impl Nats {
    /// Starts it. `None` is recorded as missing.
    pub(super) async fn start(lab: &mut Lab) -> Result<Option<Self>, BenchError> {
        let Some(program) = lab.debian(&SERVER).await? else {
            return Ok(None);
        };
        let version = process::read(Command::new(&program).arg("--version")).await?;
        let version = version.trim().trim_start_matches("nats-server: v");
        lab.versions
            .insert("nats-server".to_owned(), version.to_owned());
        let port = free_port()?.to_string();
        let log = output(&lab.workspace.output().join("nats.log"))?;
        let mut command = Command::new(program);
        command
            .args(["--addr", "127.0.0.1", "--port", &port])
            .stdout(log.0)
            .stderr(log.1);
        let group = Group::spawn(&mut command)?;
        let address = format!("127.0.0.1:{port}");
        let deadline = Instant::now() + Duration::from_secs(20);
        let link = loop {
            match Link::open(&address).await {
                Ok(link) => break link,
                Err(error) if Instant::now() > deadline => {
                    return Err(super::failed("NATS", &error));
                }
                Err(_not_yet) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        tokio::spawn(respond(link));
        // The responder's subscription must be there before the first request.
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(Some(Self {
            _group: group,
            address,
        }))
    }

    pub(super) fn caller(&self) -> Subject {
        Subject {
            address: self.address.clone(),
            callers: 0,
        }
    }
}

/// One connection.
struct Link {
    reader: BufReader<OwnedReadHalf>,
    writer: BufWriter<OwnedWriteHalf>,
}

/// A message that arrived.
struct Delivered {
    reply: Option<String>,
    payload: Vec<u8>,
}

impl Link {
    async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let mut link = Self {
            reader: BufReader::new(reader),
            writer: BufWriter::new(writer),
        };
        link.line().await?;
        link.write("CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false}\r\nPING\r\n")
            .await?;
        link.writer.flush().await?;
        while link.line().await? != "PONG" {}
        Ok(link)
    }

    async fn write(&mut self, text: &str) -> io::Result<()> {
        self.writer.write_all(text.as_bytes()).await
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }

    async fn next(&mut self) -> io::Result<Delivered> {
        loop {
            let line = self.line().await?;
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["PING"] => {
                    self.write("PONG\r\n").await?;
                    self.writer.flush().await?;
                }
                ["MSG", _, _, middle @ .., length] => {
                    let length: usize = length.parse().map_err(io::Error::other)?;
                    let mut payload = vec![0; length + 2];
                    self.reader.read_exact(&mut payload).await?;
                    payload.truncate(length);
                    return Ok(Delivered {
                        reply: middle.first().map(|reply| (*reply).to_owned()),
                        payload,
                    });
                }
                _ if line.starts_with("-ERR") => return Err(io::Error::other(line)),
                _ => {}
            }
        }
    }
}

/// Answers requests until the connection ends; answers to what has arrived together leave together.
async fn respond(mut link: Link) -> io::Result<()> {
    link.write("SUB bench.echo 1\r\n").await?;
    link.writer.flush().await?;
    loop {
        let message = link.next().await?;
        let Some(reply) = message.reply else { continue };
        link.write(&format!("PUB {reply} {}\r\n", message.payload.len()))
            .await?;
        link.writer.write_all(&message.payload).await?;
        link.write("\r\n").await?;
        if link.reader.buffer().is_empty() {
            link.writer.flush().await?;
        }
    }
}

/// How to reach the server.
#[derive(Clone)]
pub(super) struct Subject {
    address: String,
    callers: usize,
}

#[async_trait]
impl Connect for Subject {
    type Caller = SubjectCaller;

    async fn connect(&mut self) -> io::Result<SubjectCaller> {
        self.callers += 1;
        let inbox = format!("_INBOX.{}.{:x}", self.callers, fastrand::u64(..));
        let mut link = Link::open(&self.address).await?;
        link.write(&format!("SUB {inbox} 1\r\n")).await?;
        let payload = json!({ "text": TEXT }).to_string();
        let request = format!("PUB bench.echo {inbox} {}\r\n{payload}\r\n", payload.len());
        Ok(SubjectCaller {
            link,
            request,
            payload,
        })
    }
}

/// One caller.
pub(super) struct SubjectCaller {
    link: Link,
    request: String,
    payload: String,
}

#[async_trait]
impl Caller for SubjectCaller {
    async fn call(&mut self) -> io::Result<()> {
        self.link.writer.write_all(self.request.as_bytes()).await?;
        self.link.writer.flush().await?;
        let answer = self.link.next().await?;
        if answer.payload == self.payload.as_bytes() {
            Ok(())
        } else {
            Err(io::Error::other("another answer than what was sent"))
        }
    }
}
