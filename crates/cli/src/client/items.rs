//! The items of a subscription: server-sent events as the hub writes them.

use serde_json::Value;

use crate::failure::{Failure, Refusal};

/// An open subscription.
pub(crate) struct Items {
    response: reqwest::Response,
    /// Bytes that came and make no whole event yet.
    waiting: Vec<u8>,
}

/// What an event says.
#[derive(Debug, PartialEq)]
enum Event {
    Item(Value),
    End,
    Refused(Refusal),
    /// A comment or a kind this version does not know.
    Other,
}

impl Items {
    pub(super) fn new(response: reqwest::Response) -> Items {
        Items {
            response,
            waiting: Vec::new(),
        }
    }

    /// The data of the next item; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, Failure> {
        loop {
            while let Some(event) = take_event(&mut self.waiting) {
                match read(&event)? {
                    Event::Item(data) => return Ok(Some(data)),
                    Event::End => return Ok(None),
                    Event::Refused(refusal) => return Err(Failure::Refused(refusal)),
                    Event::Other => {}
                }
            }
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.waiting.extend_from_slice(&bytes),
                Ok(None) => return Err(cut("it was closed")),
                Err(problem) => return Err(cut(&problem.to_string())),
            }
        }
    }
}

fn cut(why: &str) -> Failure {
    Failure::NoHub(format!("the stream of the hub ended before its end: {why}"))
}

/// Takes the first whole event, which an empty line ends.
pub(crate) fn take_event(waiting: &mut Vec<u8>) -> Option<String> {
    let end = waiting.windows(2).position(|pair| pair == b"\n\n")?;
    let rest = waiting.split_off(end + 2);
    let event = std::mem::replace(waiting, rest);
    Some(String::from_utf8_lossy(&event).into_owned())
}

fn read(event: &str) -> Result<Event, Failure> {
    let mut kind = "message";
    let mut data = String::new();
    for line in event.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => kind = value,
            "data" => data.push_str(value),
            _ => {}
        }
    }
    let unreadable = |problem: serde_json::Error| {
        Failure::Local(format!(
            "the hub sent an event that cannot be read: {problem}"
        ))
    };
    match kind {
        "item" => {
            let mut envelope: Value = serde_json::from_str(&data).map_err(unreadable)?;
            Ok(Event::Item(
                envelope.get_mut("data").map_or(Value::Null, Value::take),
            ))
        }
        "end" => Ok(Event::End),
        "error" => serde_json::from_str(&data)
            .map(Event::Refused)
            .map_err(unreadable),
        _ => Ok(Event::Other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_read_from_bytes_cut_anywhere() {
        let text = ": hello\n\nevent: item\nid: 1\ndata: {\"data\":{\"a\":1},\"meta\":{}}\n\nevent: end\ndata: {\"count\":1}\n\n";
        let mut waiting = Vec::new();
        let mut events = Vec::new();
        for byte in text.bytes() {
            waiting.push(byte);
            while let Some(event) = take_event(&mut waiting) {
                events.push(read(&event).unwrap());
            }
        }
        assert_eq!(
            events,
            [Event::Other, Event::Item(json!({"a": 1})), Event::End]
        );
    }

    #[test]
    fn an_error_event_is_the_refusal() {
        let event = "event: error\ndata: {\"code\":\"ABORTED\",\"message\":\"cut\"}\n\n";
        assert!(matches!(read(event), Ok(Event::Refused(refusal)) if refusal.code == "ABORTED"));
        assert!(read("event: item\ndata: {\n\n").is_err());
    }
}
