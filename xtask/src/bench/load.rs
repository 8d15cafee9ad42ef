//! Many callers at once, each with a connection of its own, each asking when it has been answered.

use std::io;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::BenchError;
use super::figures::{Contestant, Kind, Round};

/// Calls at the beginning of a turn that are not measured: connections get warm.
const WARM: Duration = Duration::from_millis(200);

/// A connection that makes one call at a time.
#[async_trait]
pub(super) trait Caller: Send + 'static {
    /// Makes a call and waits for its answer. Errors: the connection is lost, or the answer is none.
    async fn call(&mut self) -> io::Result<()>;
}

/// Makes a caller, connected.
#[async_trait]
pub(super) trait Connect: Send {
    type Caller: Caller;

    async fn connect(&mut self) -> io::Result<Self::Caller>;
}

/// What a turn's figures are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Figures {
    /// Calls a second, and the 99th percentile of a call's time in ms.
    Throughput,
    /// The median of a call's time in ms.
    Latency,
}

/// A contestant under closed load.
pub(super) struct Load<C> {
    pub(super) who: String,
    pub(super) connect: C,
    pub(super) callers: usize,
    pub(super) turn: Duration,
    pub(super) figures: Figures,
}

#[async_trait]
impl<C: Connect> Contestant for Load<C> {
    fn who(&self) -> String {
        self.who.clone()
    }

    async fn round(&mut self) -> Result<Vec<Round>, BenchError> {
        let failed = |error: io::Error| BenchError::Contestant {
            who: self.who.clone(),
            what: format!("failed under load: {error}"),
        };
        let mut callers = Vec::new();
        for _ in 0..self.callers {
            callers.push(self.connect.connect().await.map_err(failed)?);
        }
        let start = Instant::now() + WARM;
        let end = start + self.turn;
        let mut running = JoinSet::new();
        for caller in callers {
            running.spawn(until(caller, start, end));
        }
        let mut samples = Vec::new();
        while let Some(ended) = running.join_next().await {
            samples.extend(
                ended
                    .map_err(io::Error::other)
                    .and_then(|done| done)
                    .map_err(failed)?,
            );
        }
        Ok(match self.figures {
            Figures::Throughput => {
                let rate = samples.len() as f64 / self.turn.as_secs_f64();
                let latency = Round::median(samples);
                let place =
                    (latency.samples.len() * 99 / 100).min(latency.samples.len().max(1) - 1);
                let late = latency.samples.get(place).copied().unwrap_or(0.0);
                vec![
                    Round {
                        figure: rate,
                        samples: vec![rate],
                    },
                    Round {
                        figure: late,
                        samples: latency.samples,
                    },
                ]
            }
            Figures::Latency => vec![Round::median(samples)],
        })
    }
}

/// Times of the calls that began and ended between the two moments, in ms.
async fn until(mut caller: impl Caller, start: Instant, end: Instant) -> io::Result<Vec<f64>> {
    let mut samples = Vec::new();
    loop {
        let asked = Instant::now();
        if asked >= end {
            return Ok(samples);
        }
        caller.call().await?;
        let answered = Instant::now();
        if asked >= start && answered <= end {
            samples.push((answered - asked).as_secs_f64() * 1_000.0);
        }
    }
}

/// The two measures of [`Figures::Throughput`].
pub(super) fn throughput(
    title: &str,
    rate: super::figures::Bar,
    late: Option<super::figures::Bar>,
) -> [Kind; 2] {
    [
        Kind {
            title: format!("{title}: calls a second"),
            unit: "/s".to_owned(),
            bar: Some(rate),
        },
        Kind {
            title: format!("{title}: p99 of a call"),
            unit: "ms".to_owned(),
            bar: late,
        },
    ]
}

/// Calls over HTTP/1.1 with keep-alive: the same request again and again.
#[derive(Debug, Clone)]
pub(super) struct Http {
    address: String,
    request: Vec<u8>,
}

/// One connection of HTTP.
pub(super) struct HttpCaller {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Http {
    /// A POST of that body.
    pub(super) fn post(address: &str, path: &str, key: &str, body: &str) -> Self {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        Self {
            address: address.to_owned(),
            request: request.into_bytes(),
        }
    }
}

#[async_trait]
impl Connect for Http {
    type Caller = HttpCaller;

    async fn connect(&mut self) -> io::Result<HttpCaller> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        Ok(HttpCaller {
            stream,
            request: self.request.clone(),
            answer: Vec::with_capacity(4_096),
        })
    }
}

#[async_trait]
impl Caller for HttpCaller {
    async fn call(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if is_whole(&self.answer)? {
                break;
            }
        }
        if self.answer.starts_with(b"HTTP/1.1 200") {
            return Ok(());
        }
        Err(io::Error::other(
            String::from_utf8_lossy(&self.answer).into_owned(),
        ))
    }
}

/// Whether the answer has come to its end, by its length or its last chunk.
fn is_whole(answer: &[u8]) -> io::Result<bool> {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(false);
    };
    let text = str::from_utf8(&answer[..head]).map_err(io::Error::other)?;
    let header = |name: &str| {
        text.lines().find_map(|line| {
            let (left, right) = line.split_once(':')?;
            left.eq_ignore_ascii_case(name).then(|| right.trim())
        })
    };
    match header("content-length").map(str::parse::<usize>) {
        Some(Ok(length)) => Ok(answer.len() >= head + 4 + length),
        Some(Err(error)) => Err(io::Error::other(error)),
        None => Ok(answer.ends_with(b"0\r\n\r\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_is_whole_with_its_last_byte() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
        assert!(!is_whole(b"HTTP/1.1 200").unwrap());
        assert!(!is_whole(format!("{head}{{").as_bytes()).unwrap());
        assert!(is_whole(format!("{head}{{}}").as_bytes()).unwrap());
    }

    #[test]
    fn chunked_answer_is_whole_with_its_empty_chunk() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n";
        assert!(!is_whole(head.as_bytes()).unwrap());
        assert!(is_whole(format!("{head}0\r\n\r\n").as_bytes()).unwrap());
    }
}
