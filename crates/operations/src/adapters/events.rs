//! Server-sent events, read as they come.
//!
//! The reader keeps its state across chunks, so that where a network cuts the stream changes nothing.

use serde_json::Value;

/// Largest event, in bytes.
pub const EVENT_BYTES: usize = 1024 * 1024;

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its type; `message` when the stream names none.
    pub kind: String,
    /// The id the stream has come to; it stays until another one is named.
    pub id: Option<String>,
    /// Its lines of data, joined by line feeds.
    pub data: String,
}

/// An event over [`EVENT_BYTES`], or another limit that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream has more than {limit} bytes")]
pub struct EventTooLarge {
    /// The limit.
    pub limit: usize,
}

/// Reads a stream of events.
#[derive(Debug)]
pub struct EventReader {
    limit: usize,
    begun: bool,
    /// Bytes of the line that has no end yet.
    line: Vec<u8>,
    /// A carriage return ended the last line; a line feed behind it belongs to it.
    after_return: bool,
    data: Option<String>,
    kind: String,
    id: Option<String>,
    retry_ms: Option<u64>,
    /// Bytes of the event so far.
    size: usize,
}

impl Event {
    /// The data as JSON if it is JSON, else as text; none when it is blank.
    #[must_use]
    pub fn value(&self) -> Option<Value> {
        if self.data.trim().is_empty() {
            return None;
        }
        Some(
            serde_json::from_str(&self.data)
                .unwrap_or_else(|_text| Value::from(self.data.as_str())),
        )
    }
}

impl Default for EventReader {
    fn default() -> Self {
        Self::new(EVENT_BYTES)
    }
}

impl EventReader {
    /// A reader that refuses events over this many bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            begun: false,
            line: Vec::new(),
            after_return: false,
            data: None,
            kind: String::new(),
            id: None,
            retry_ms: None,
            size: 0,
        }
    }

    /// Takes the next bytes and gives the events they complete. What has no end yet is kept.
    ///
    /// # Errors
    /// [`EventTooLarge`]; the reader is of no use then.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<Vec<Event>, EventTooLarge> {
        let mut events = Vec::new();
        for &byte in chunk {
            let follows_return = std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if follows_return => {}
                b'\n' => events.extend(self.end_line()),
                b'\r' => {
                    self.after_return = true;
                    events.extend(self.end_line());
                }
                byte => {
                    self.size += 1;
                    if self.size > self.limit {
                        return Err(EventTooLarge { limit: self.limit });
                    }
                    self.line.push(byte);
                }
            }
        }
        Ok(events)
    }

    /// The id of the last event that named one: where to take a lost stream up again.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.id.as_deref().filter(|id| !id.is_empty())
    }

    /// How long the stream asks to wait before it is taken up again, in ms.
    #[must_use]
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Makes ready for the stream taken up again: what is half read is dropped, id and pause stay.
    pub fn reconnected(&mut self) {
        let (id, retry_ms) = (self.id.take(), self.retry_ms);
        *self = Self::new(self.limit);
        (self.id, self.retry_ms) = (id, retry_ms);
    }

    fn end_line(&mut self) -> Option<Event> {
        let bytes = std::mem::take(&mut self.line);
        let mut line = bytes.as_slice();
        if !self.begun {
            self.begun = true;
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch();
        }
        let text = String::from_utf8_lossy(line);
        let (field, value) = match text.split_once(':') {
            // A comment; those that keep a stream alive are no part of an event.
            Some(("", _)) => {
                self.size = self.size.saturating_sub(bytes.len());
                return None;
            }
            Some((field, value)) => (field, value.strip_prefix(' ').unwrap_or(value)),
            None => (&*text, ""),
        };
        match field {
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "event" => value.clone_into(&mut self.kind),
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry_ms = value.parse().ok().or(self.retry_ms);
            }
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        self.size = 0;
        let kind = std::mem::take(&mut self.kind);
        let data = self.data.take()?;
        Some(Event {
            kind: if kind.is_empty() {
                "message".to_owned()
            } else {
                kind
            },
            id: self.id.clone().filter(|id| !id.is_empty()),
            data,
        })
    }
}
