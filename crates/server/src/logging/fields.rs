//! The fields of an event or a span, in the order they were written.

use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};

/// Names and values. A later value of a name replaces the earlier one.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    /// The sentence of the line.
    pub(super) message: Option<String>,
    /// Everything else.
    pub(super) values: Vec<(String, Value)>,
}

impl Fields {
    /// Adds those of `inner`, which counts more.
    pub(super) fn merge(&mut self, inner: &Fields) {
        for (name, value) in &inner.values {
            self.put(name.clone(), value.clone());
        }
    }

    fn put(&mut self, name: String, value: Value) {
        match self.values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.values.push((name, value)),
        }
    }

    fn set(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = Some(text),
            // `call.id` and `call_id` are one field.
            (name, value) => self.put(name.replace('.', "_"), value),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        match i64::try_from(value) {
            Ok(value) => self.record_i64(field, value),
            // Beyond what readers of JSON can hold.
            Err(_) => self.set(field, value.to_string().into()),
        }
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        match u64::try_from(value) {
            Ok(value) => self.record_u64(field, value),
            Err(_) => self.set(field, value.to_string().into()),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // Thousandths are fine enough for every unit in use, and readable.
        self.set(field, ((value * 1000.0).round() / 1000.0).into());
    }
}
