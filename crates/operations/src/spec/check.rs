//! The rules a spec must keep to be registered.

use crate::canonical::canonical_json;
use crate::error::CallError;
use crate::issue::{Issue, pointer_join};

use super::OperationSpec;

const DESCRIPTION_LENGTH: usize = 4_000;
const TITLE_LENGTH: usize = 200;
const TAGS: usize = 50;
const TAG_LENGTH: usize = 64;
const META_BYTES: usize = 16 * 1024;
const ERRORS: usize = 50;

/// Whose operation a spec describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpecOwner {
    /// The program that holds the registry.
    #[default]
    Host,
    /// A spoke or an external service: it may not declare codes on which clients act as the hub's
    /// word.
    Foreign,
}

/// Why a spec is not taken: every issue, each at its JSON Pointer in the spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the operation spec is invalid: {}", .issues.first().map_or_else(String::new, ToString::to_string))]
pub struct SpecError {
    /// What is wrong, at least one.
    pub issues: Vec<Issue>,
}

impl From<SpecError> for CallError {
    fn from(error: SpecError) -> Self {
        let message = error.to_string();
        Self::validation(error.issues, message)
    }
}

impl OperationSpec {
    /// Checks the rules that the types do not already keep.
    ///
    /// # Errors
    /// [`SpecError`] with every rule that is broken.
    pub fn check(&self, owner: SpecOwner) -> Result<(), SpecError> {
        let mut issues = Vec::new();
        let mut refuse = |path: &str, rule: &str, message: String| {
            issues.push(Issue::new(path, rule, message));
        };

        if longer(&self.description, DESCRIPTION_LENGTH) {
            refuse(
                "/description",
                "maxLength",
                at_most(DESCRIPTION_LENGTH, "characters"),
            );
        }
        if self
            .title
            .as_ref()
            .is_some_and(|title| longer(title, TITLE_LENGTH))
        {
            refuse("/title", "maxLength", at_most(TITLE_LENGTH, "characters"));
        }
        if self.tags.len() > TAGS {
            refuse("/tags", "maxItems", at_most(TAGS, "tags"));
        }
        if let Some(index) = self.tags.iter().position(|tag| longer(tag, TAG_LENGTH)) {
            let path = pointer_join("/tags", &index.to_string());
            refuse(&path, "maxLength", at_most(TAG_LENGTH, "characters"));
        }
        if let Some(meta) = &self.meta {
            let bytes = canonical_json(&serde_json::Value::Object(meta.clone())).len();
            if bytes > META_BYTES {
                refuse("/_meta", "maxBytes", at_most(META_BYTES, "bytes"));
            }
        }
        if self
            .ext
            .timeout
            .is_some_and(|timeout| timeout.as_millis() == 0)
        {
            refuse("/timeoutMs", "minimum", "must be at least 1".to_owned());
        }
        if self.error_schemas.len() > ERRORS {
            refuse("/errorSchemas", "maxItems", at_most(ERRORS, "errors"));
        }
        for (index, definition) in self.error_schemas.iter().enumerate() {
            let here = pointer_join("/errorSchemas", &index.to_string());
            let code = &definition.code;
            let path = pointer_join(&here, "code");
            if !code.is_well_formed() {
                let message = "must be an upper-case letter followed by 1 to 63 of A-Z, 0-9 and _";
                refuse(&path, "pattern", message.to_owned());
            }
            if code.is_library() {
                refuse(
                    &path,
                    "reserved_code",
                    format!("{code} needs no declaration"),
                );
            }
            if owner == SpecOwner::Foreign && code.is_hub_only() {
                refuse(
                    &path,
                    "reserved_code",
                    format!("{code} is the hub's own word"),
                );
            }
            if self.error_schemas[..index]
                .iter()
                .any(|earlier| earlier.code == *code)
            {
                refuse(&path, "uniqueItems", format!("{code} is declared twice"));
            }
            if definition
                .http_status
                .is_some_and(|status| !(400..=599).contains(&status))
            {
                let path = pointer_join(&here, "httpStatus");
                refuse(&path, "range", "must be from 400 to 599".to_owned());
            }
        }
        if issues.is_empty() {
            Ok(())
        } else {
            Err(SpecError { issues })
        }
    }
}

fn longer(text: &str, most: usize) -> bool {
    text.chars().nth(most).is_some()
}

fn at_most(most: usize, what: &str) -> String {
    format!("must have at most {most} {what}")
}
