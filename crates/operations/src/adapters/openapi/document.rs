//! The document as a whole: its version, its paths, and what its references lead to.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::DocumentError;

/// How many references in a row are followed.
const HOPS: usize = 32;

pub(super) struct Document<'d> {
    root: &'d Value,
    /// Version 3.0, whose schemas are not quite JSON Schema.
    pub(super) old: bool,
}

impl<'d> Document<'d> {
    pub(super) fn new(root: &'d Value) -> Result<Self, DocumentError> {
        let text = |key: &str| match root.get(key) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let version = text("openapi");
        let is = |series: &str| {
            version.as_deref().is_some_and(|version| {
                version == series
                    || version
                        .strip_prefix(series)
                        .is_some_and(|rest| rest.starts_with(['.', '-']))
            })
        };
        let old = is("3.0");
        if !old && !is("3.1") {
            let found = match (version, text("swagger")) {
                (Some(version), _) => format!("OpenAPI {}", super::cut(&version, 20)),
                (None, Some(version)) => format!("Swagger {}", super::cut(&version, 20)),
                (None, None) => "no OpenAPI document: it has no member openapi".to_owned(),
            };
            return Err(DocumentError::Version { found });
        }
        if !root.get("paths").is_some_and(Value::is_object) {
            return Err(DocumentError::NoPaths);
        }
        Ok(Self { root, old })
    }

    /// Paths and their items.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&'d str, &'d Value)> {
        let paths = self.root.get("paths").and_then(Value::as_object);
        paths
            .into_iter()
            .flatten()
            .filter(|(path, _)| !path.starts_with("x-"))
            .map(|(path, item)| (path.as_str(), item))
    }

    /// The value, or what it refers to.
    pub(super) fn resolved(&self, value: &'d Value) -> Result<&'d Value, String> {
        let mut value = value;
        for _ in 0..HOPS {
            let Some(reference) = value.get("$ref") else {
                return Ok(value);
            };
            let reference = reference.as_str().ok_or("a $ref must be a text")?;
            value = self.target(reference)?;
        }
        Err("references lead in a circle".to_owned())
    }

    /// What a reference leads to.
    pub(super) fn target(&self, reference: &str) -> Result<&'d Value, String> {
        let shown = super::cut(reference, 200);
        let Some(fragment) = reference.strip_prefix('#') else {
            return Err(format!(
                "the reference {shown} leaves the document; only #/… is followed"
            ));
        };
        let pointer = percent_decode_str(fragment)
            .decode_utf8()
            .map_err(|_no_text| format!("the reference {shown} does not read"))?;
        self.root
            .pointer(&pointer)
            .ok_or_else(|| format!("the reference {shown} leads nowhere"))
    }
}
