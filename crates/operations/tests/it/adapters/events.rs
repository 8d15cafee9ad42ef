use alkhub_operations::adapters::events::{Event, EventReader};
use alkhub_operations::adapters::http::{HttpResponse, item_of};
use alkhub_operations::envelope::Source;
use serde_json::json;

fn event(kind: &str, id: Option<&str>, data: &str) -> Event {
    Event {
        kind: kind.to_owned(),
        id: id.map(str::to_owned),
        data: data.to_owned(),
    }
}

fn read(text: &str) -> Vec<Event> {
    EventReader::default().feed(text.as_bytes()).unwrap()
}

#[test]
fn case_200_streams_are_read_as_the_format_says() {
    let message = |data: &str| event("message", None, data);
    let table: &[(&str, &str, Vec<Event>)] = &[
        ("simple", "data: a\n\n", vec![message("a")]),
        (
            "several",
            "data: a\n\ndata: b\n\n",
            vec![message("a"), message("b")],
        ),
        ("multi-line", "data: a\ndata: b\n\n", vec![message("a\nb")]),
        (
            "typed",
            "event: add\ndata: a\n\ndata: b\n\n",
            vec![event("add", None, "a"), message("b")],
        ),
        (
            "id",
            "id: 7\ndata: a\n\n",
            vec![event("message", Some("7"), "a")],
        ),
        ("comment", ": hi\ndata: a\n:\n\n", vec![message("a")]),
        (
            "CRLF",
            "data: a\r\n\r\ndata: b\r\n\r\n",
            vec![message("a"), message("b")],
        ),
        (
            "CR",
            "data: a\r\rdata: b\r\r",
            vec![message("a"), message("b")],
        ),
        ("BOM", "\u{FEFF}data: a\n\n", vec![message("a")]),
        (
            "BOM later",
            "data: a\n\n\u{FEFF}data: b\n\n",
            vec![message("a")],
        ),
        ("two spaces", "data:  a\n\n", vec![message(" a")]),
        ("no space", "data:a\n\n", vec![message("a")]),
        ("empty data", "data\n\n", vec![message("")]),
        ("no data", "event: x\n\ndata: a\n\n", vec![message("a")]),
        ("unfinished line", "data: a\n\ndata: b", vec![message("a")]),
        (
            "unfinished event",
            "data: a\n\ndata: b\n",
            vec![message("a")],
        ),
        ("unknown field", "foo: x\ndata: a\n\n", vec![message("a")]),
    ];
    for (name, text, events) in table {
        assert_eq!(&read(text), events, "{name}");
    }
}

#[test]
fn case_201_a_cut_at_any_byte_changes_nothing() {
    let text = "\u{FEFF}: hello\r\nevent: add\r\nid: 1\r\ndata: {\"grün\": 1}\r\ndata: x\r\n\r\n\
                data: two\n\nretry: 250\rdata: three\r\revent: last\ndata: vier €\n\n";
    let bytes = text.as_bytes();
    let whole = EventReader::default().feed(bytes).unwrap();
    assert_eq!(whole.len(), 4);
    for first in 0..=bytes.len() {
        for second in [first, (first + 1).min(bytes.len()), bytes.len()] {
            let mut reader = EventReader::default();
            let mut events = Vec::new();
            for part in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                events.extend(reader.feed(part).unwrap());
            }
            assert_eq!(events, whole, "cut at {first} and {second}");
            assert_eq!(reader.retry_ms(), Some(250));
            assert_eq!(reader.last_id(), Some("1"));
        }
    }
    let mut reader = EventReader::default();
    let events: Vec<_> = bytes
        .iter()
        .flat_map(|byte| reader.feed(&[*byte]).unwrap())
        .collect();
    assert_eq!(events, whole);
}

#[test]
fn event_over_the_limit_is_refused_and_comments_do_not_count() {
    let mut reader = EventReader::new(100);
    for _ in 0..100 {
        reader.feed(b": still here\n").unwrap();
    }
    assert!(reader.feed(&[b'x'; 101]).is_err());
}

#[test]
fn item_carries_type_and_id_of_its_event() {
    let head = HttpResponse {
        status: 200,
        headers: vec![("X-A".to_owned(), "1".to_owned())],
        body: Vec::new(),
    };
    let item = item_of(&event("add", Some("7"), "{\"a\":1}"), &head, None).unwrap();
    assert_eq!(item.data, json!({ "a": 1 }));
    let json = item.to_json();
    assert_eq!(json["meta"]["event"], "add");
    assert_eq!(json["meta"]["eventId"], "7");
    assert_eq!(json["meta"]["contentType"], "text/event-stream");
    let Source::Http { headers, .. } = &item.meta.source else {
        panic!("an item of HTTP");
    };
    assert_eq!(headers["x-a"], "1");
    assert_eq!(
        item_of(&event("message", None, "plain"), &head, None)
            .unwrap()
            .data,
        json!("plain")
    );
    assert_eq!(item_of(&event("message", None, " \n"), &head, None), None);
}

#[test]
fn a_stream_taken_up_again_keeps_its_place() {
    let mut reader = EventReader::default();
    reader.feed(b"id: 9\ndata: a\n\ndata: half").unwrap();
    reader.reconnected();
    assert_eq!(reader.last_id(), Some("9"));
    let events = reader.feed(b"data: b\n\n").unwrap();
    assert_eq!(events, [event("message", Some("9"), "b")]);
}
