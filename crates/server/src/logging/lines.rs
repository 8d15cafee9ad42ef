//! Writing a line.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serializer;
use serde::ser::SerializeMap;
use serde_json::Value;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::fields::Fields;
use super::sampling::{Sampling, Verdict};

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON object.
    Json,
    /// For people.
    Text {
        /// With terminal colours.
        colour: bool,
    },
}

/// The layer that writes lines.
#[derive(Clone)]
pub(super) struct Lines<W> {
    shared: Arc<Shared<W>>,
}

struct Shared<W> {
    writer: W,
    form: RwLock<Form>,
    instance: OnceLock<String>,
    sampling: Sampling,
}

impl<W> Lines<W> {
    pub(super) fn new(writer: W, form: Form) -> Self {
        Lines {
            shared: Arc::new(Shared {
                writer,
                form: RwLock::new(form),
                instance: OnceLock::new(),
                sampling: Sampling::default(),
            }),
        }
    }

    pub(super) fn set_form(&self, form: Form) {
        *self
            .shared
            .form
            .write()
            .unwrap_or_else(PoisonError::into_inner) = form;
    }

    pub(super) fn name_instance(&self, name: &str) {
        self.shared.instance.get_or_init(|| name.to_owned());
    }

    fn form(&self) -> Form {
        *self
            .shared
            .form
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let now = Utc::now();
        let metadata = event.metadata();
        let second = now.timestamp().unsigned_abs();
        let judged = self
            .shared
            .sampling
            .judge(*metadata.level(), metadata.callsite(), second);
        let left_out = match judged {
            Verdict::LeaveOut => return,
            Verdict::Write { left_out } => left_out,
        };
        let mut fields = Fields::default();
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.merge(of_span);
            }
        }
        let mut own = Fields::default();
        event.record(&mut own);
        fields.merge(&own);
        fields.message = own.message;

        let line = Line {
            now,
            level: *metadata.level(),
            target: metadata.target(),
            instance: self.shared.instance.get().map(String::as_str),
            fields: &fields,
        };
        let mut text = String::new();
        if left_out > 0 {
            let count = Fields {
                message: Some(format!("{left_out} lines like the next were left out")),
                values: vec![("left_out".to_owned(), left_out.into())],
            };
            let line = Line {
                fields: &count,
                ..line
            };
            line.write(self.form(), &mut text);
        }
        line.write(self.form(), &mut text);
        // Nobody is left to be told when the log itself cannot be written.
        let _written = self.shared.writer.make_writer().write_all(text.as_bytes());
    }
}

struct Line<'a> {
    now: DateTime<Utc>,
    level: Level,
    target: &'a str,
    instance: Option<&'a str>,
    fields: &'a Fields,
}

impl Line<'_> {
    fn write(&self, form: Form, text: &mut String) {
        match form {
            Form::Json => text.push_str(&self.json().unwrap_or_else(|error| {
                // Values are JSON already; only a fault in this module gets here.
                format!("{{\"msg\":\"a log line could not be written: {error}\"}}")
            })),
            Form::Text { colour } => self.text(colour, text),
        }
        text.push('\n');
    }

    fn json(&self) -> Result<String, serde_json::Error> {
        let mut bytes = Vec::with_capacity(256);
        let mut serializer = serde_json::Serializer::new(&mut bytes);
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("ts", &self.time())?;
        line.serialize_entry("level", level_name(self.level))?;
        line.serialize_entry("target", self.target)?;
        line.serialize_entry("msg", self.fields.message.as_deref().unwrap_or(""))?;
        if let Some(instance) = self.instance {
            line.serialize_entry("instance", instance)?;
        }
        for (name, value) in &self.fields.values {
            if !matches!(
                name.as_str(),
                "ts" | "level" | "target" | "msg" | "instance"
            ) {
                line.serialize_entry(name, value)?;
            }
        }
        line.end()?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn text(&self, colour: bool, text: &mut String) {
        let (start, dim, end) = if colour {
            (colour_of(self.level), "\x1b[2m", "\x1b[0m")
        } else {
            ("", "", "")
        };
        let level = level_name(self.level);
        let message = printable(self.fields.message.as_deref().unwrap_or(""));
        // Writing to a String cannot fail.
        let _infallible = write!(
            text,
            "{dim}{}{end} {start}{level:>5}{end} {dim}{}:{end} {message}",
            self.time(),
            self.target
        );
        for (name, value) in &self.fields.values {
            let shown = match value {
                Value::String(value) if is_word(value) => value.clone(),
                other => other.to_string(),
            };
            let _infallible = write!(text, " {dim}{name}={end}{shown}");
        }
    }

    fn time(&self) -> String {
        self.now.to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

fn colour_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

/// A caller's text must not steer the reader's terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|letter| !letter.is_whitespace() && !letter.is_control() && letter != '"')
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(form: Form, instance: Option<&str>, work: impl FnOnce()) -> Vec<String> {
        let memory = Memory::default();
        let copy = memory.clone();
        let lines = Lines::new(move || copy.clone(), form);
        if let Some(instance) = instance {
            lines.name_instance(instance);
        }
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), work);
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn json_line_has_the_named_fields_in_order() {
        let lines = written(Form::Json, Some("alpha"), || {
            let span = tracing::info_span!("call", call.id = "c1", operation = "task.get");
            let _inside = span.enter();
            tracing::warn!(duration_ms = 12.3456, code = %"TIMEOUT", operation = "task.list", "call failed");
        });
        assert_eq!(lines.len(), 1);
        assert!(lines[0].starts_with("{\"ts\":\""), "{}", lines[0]);
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["level"], "warn");
        assert_eq!(line["msg"], "call failed");
        assert_eq!(line["instance"], "alpha");
        assert_eq!(line["call_id"], "c1");
        assert_eq!(line["operation"], "task.list");
        assert_eq!(line["code"], "TIMEOUT");
        assert_eq!(line["duration_ms"], 12.346);
        assert_eq!(
            line["ts"].as_str().unwrap().len(),
            "2026-11-24T08:10:53.120Z".len()
        );
    }

    #[test]
    fn text_line_takes_control_characters_from_nobody() {
        let lines = written(Form::Text { colour: false }, None, || {
            tracing::info!(name = "a\nb", "first\x1b[31m line");
        });
        assert_eq!(lines.len(), 1);
        assert!(lines[0].contains(" info "), "{}", lines[0]);
        assert!(lines[0].contains("name=\"a\\nb\""), "{}", lines[0]);
        assert!(!lines[0].contains('\x1b'));
    }

    #[test]
    fn repeated_lines_are_left_out_but_errors_never() {
        let lines = written(Form::Json, None, || {
            for _ in 0..1000 {
                tracing::info!("again");
            }
        });
        // The loop may run over the turn of a second or two.
        assert!((100..=300).contains(&lines.len()), "{}", lines.len());
        let lines = written(Form::Json, None, || {
            for _ in 0..300 {
                tracing::error!("fault");
            }
        });
        assert_eq!(lines.len(), 300);
    }
}
