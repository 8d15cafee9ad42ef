//! JSON Schemas with their compiled validators.
//!
//! A schema is compiled once and never fetches anything: only references into itself are followed.
//! Regular expressions run on an engine of linear time, so no pattern can stall a call.

mod coerce;
mod compat;
mod defaults;
mod issues;
mod walk;

pub use coerce::coerce_query;
pub use compat::{Compatibility, compare};
pub use defaults::fill_defaults;
pub(crate) use walk::{local_target, subschemas_of};

use std::fmt;
use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, Validator};
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::canonical::{canonical_json, depth_up_to};
use crate::issue::{Issue, MOST_ISSUES};

/// Largest schema, in bytes of canonical JSON.
pub const SCHEMA_BYTES: usize = 256 * 1024;
/// Deepest nesting of a schema's JSON.
pub const SCHEMA_DEPTH: usize = 64;
/// Most subschemas of a schema.
pub const SCHEMA_SUBSCHEMAS: usize = 10_000;
/// Deepest nesting of an input or output.
pub const VALUE_DEPTH: usize = 128;

/// Largest program a pattern may compile to, in bytes; above it the pattern is refused.
const PATTERN_BYTES: usize = 1024 * 1024;

/// Formats that the validator knows but we do not assert: they stay annotations.
const UNASSERTED_FORMATS: [&str; 6] = [
    "idn-email",
    "idn-hostname",
    "iri",
    "iri-reference",
    "relative-json-pointer",
    "uri-template",
];

/// Keywords that say nothing about which values are valid.
const ANNOTATIONS: [&str; 13] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$anchor",
];

/// A JSON Schema and its compiled validator. Cheap to clone.
///
/// Dialect: 2020-12, unless `$schema` says draft-07 or 2019-09. Asserted formats: `date-time`,
/// `date`, `time`, `duration`, `email`, `uri`, `uri-reference`, `uuid`, `ipv4`, `ipv6`, `hostname`,
/// `json-pointer`, `regex`; all others are annotations.
#[derive(Clone)]
pub struct Schema(Arc<Compiled>);

struct Compiled {
    json: Value,
    validator: Validator,
    accepts_anything: bool,
}

/// Why a JSON value is not taken as a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Over [`SCHEMA_BYTES`].
    #[error("the schema has {bytes} bytes, the limit is {SCHEMA_BYTES}")]
    TooLarge {
        /// Size of the canonical text.
        bytes: usize,
    },
    /// Over [`SCHEMA_DEPTH`].
    #[error("the schema is nested deeper than {SCHEMA_DEPTH} levels")]
    TooDeep,
    /// Over [`SCHEMA_SUBSCHEMAS`].
    #[error("the schema has more than {SCHEMA_SUBSCHEMAS} subschemas")]
    TooManySubschemas,
    /// A reference that leaves the schema; nothing is ever fetched.
    #[error("{path}: the reference {reference} leaves the schema; only #… is followed")]
    RemoteReference {
        /// Where it stands.
        path: String,
        /// What it says.
        reference: String,
    },
    /// A pattern that is no regular expression, or needs look-around or back-references.
    #[error("{path}: the pattern cannot be matched in linear time or is no regular expression")]
    Pattern {
        /// Where it stands.
        path: String,
    },
    /// The value is no valid schema.
    #[error("{path}: {message}")]
    Invalid {
        /// Where the fault is.
        path: String,
        /// What it is.
        message: String,
    },
}

impl Schema {
    /// Checks the limits and compiles.
    ///
    /// # Errors
    /// [`SchemaError`] with the first thing that is wrong.
    pub fn new(json: Value) -> Result<Self, SchemaError> {
        if depth_up_to(&json, SCHEMA_DEPTH) > SCHEMA_DEPTH {
            return Err(SchemaError::TooDeep);
        }
        let bytes = canonical_json(&json).len();
        if bytes > SCHEMA_BYTES {
            return Err(SchemaError::TooLarge { bytes });
        }
        walk::check(&json)?;
        let validator = compile(&json)?;
        let accepts_anything = accepts_anything(&json);
        Ok(Self(Arc::new(Compiled {
            json,
            validator,
            accepts_anything,
        })))
    }

    /// The schema of a type as it is read: what `Deserialize` takes.
    ///
    /// # Errors
    /// [`SchemaError`] when attributes of the type make a schema that cannot be compiled.
    pub fn of_input<T: schemars::JsonSchema>() -> Result<Self, SchemaError> {
        let settings = SchemaSettings::draft2020_12().for_deserialize();
        Self::new(
            settings
                .into_generator()
                .into_root_schema_for::<T>()
                .to_value(),
        )
    }

    /// The schema of a type as it is written: what `Serialize` gives.
    ///
    /// # Errors
    /// [`SchemaError`] when attributes of the type make a schema that cannot be compiled.
    pub fn of_output<T: schemars::JsonSchema>() -> Result<Self, SchemaError> {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        Self::new(
            settings
                .into_generator()
                .into_root_schema_for::<T>()
                .to_value(),
        )
    }

    /// The schema as JSON.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0.json
    }

    /// True when every value is valid, so that a check can be left out.
    #[must_use]
    pub fn accepts_anything(&self) -> bool {
        self.0.accepts_anything
    }

    /// True when the value is valid.
    #[must_use]
    pub fn is_valid(&self, value: &Value) -> bool {
        self.accepts_anything()
            || (depth_up_to(value, VALUE_DEPTH) <= VALUE_DEPTH && self.0.validator.is_valid(value))
    }

    /// What is wrong with the value, at most 100 issues; empty when it is valid.
    ///
    /// A value nested deeper than [`VALUE_DEPTH`] is refused before anything else is looked at.
    #[must_use]
    pub fn issues(&self, value: &Value) -> Vec<Issue> {
        if depth_up_to(value, VALUE_DEPTH) > VALUE_DEPTH {
            let message = format!("must not be nested deeper than {VALUE_DEPTH} levels");
            return vec![Issue::new("", "depth", message)];
        }
        if self.accepts_anything() || self.0.validator.is_valid(value) {
            return Vec::new();
        }
        issues::collect(self.0.validator.iter_errors(value), value, MOST_ISSUES)
    }

    /// The subschema of a top-level property, references followed.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Value> {
        walk::property(self.json(), self.json(), name)
    }

    /// True when the schema demands the top-level property.
    #[must_use]
    pub fn requires(&self, name: &str) -> bool {
        walk::requires(self.json(), self.json(), name)
    }

    /// True when the schema demands every member on the way of the JSON Pointer.
    #[must_use]
    pub(crate) fn requires_pointer(&self, pointer: &str) -> bool {
        let root = self.json();
        let mut schema = Some(root);
        pointer.split('/').skip(1).all(|segment| {
            let name = segment.replace("~1", "/").replace("~0", "~");
            let demanded = schema.is_some_and(|schema| walk::requires(root, schema, &name));
            schema = schema.and_then(|schema| walk::property(root, schema, &name));
            demanded
        })
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json()
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Schema({})", self.json())
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

fn compile(json: &Value) -> Result<Validator, SchemaError> {
    let mut options = jsonschema::options()
        .offline()
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES));
    for format in UNASSERTED_FORMATS {
        options = options.with_format(format, |_: &str| true);
    }
    options.build(json).map_err(|error| {
        let path = error.instance_path().as_str().to_owned();
        match error.kind() {
            ValidationErrorKind::Pattern { .. }
            | ValidationErrorKind::RegexEngineFailure { .. } => SchemaError::Pattern { path },
            ValidationErrorKind::Format { format } if format == "regex" => {
                SchemaError::Pattern { path }
            }
            _ => SchemaError::Invalid {
                path,
                message: error.to_string(),
            },
        }
    })
}

fn accepts_anything(json: &Value) -> bool {
    match json {
        Value::Bool(accepts) => *accepts,
        Value::Object(members) => members
            .keys()
            .all(|keyword| ANNOTATIONS.contains(&keyword.as_str()) || keyword.starts_with("x-")),
        _ => false,
    }
}
