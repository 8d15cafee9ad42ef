//! Taking secrets out of values: by schema, by the name of a member, and by value.

use serde_json::{Map, Value};

use crate::schema::{local_target, subschemas_of};

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Names of members whose value is never recorded; case, `-` and `_` do not count. Whole names only:
/// `tokenCount` survives.
const SECRET_NAMES: [&str; 14] = [
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "authorization",
    "cookie",
    "setcookie",
    "privatekey",
    "clientsecret",
    "accesstoken",
    "refreshtoken",
    "credential",
    "credentials",
];

/// Beginnings of API keys, and how many characters follow at least.
const KEY_PREFIXES: [&str; 2] = ["alks_", "alk_"];
const KEY_LENGTH: usize = 49;
/// Shorter texts are no secrets worth the name: hiding every `a` would hide everything.
const SECRET_LENGTH: usize = 4;
/// How deep a schema is followed beside a value.
const DEPTH: usize = 128;

/// Secrets that were decrypted for a call; no text that contains one is recorded.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// No secrets but those that are known by their form.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These secrets; those shorter than 4 characters are left out.
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        Self(
            secrets
                .into_iter()
                .filter(|secret| secret.len() >= SECRET_LENGTH)
                .collect(),
        )
    }

    fn is_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret)) || find_key(text).is_some()
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Secrets({})", self.0.len())
    }
}

/// The value without secrets. Redacted are
///
/// - values whose schema says `x-secret: true`, `writeOnly: true` or `format: "password"`,
/// - values of members with a secret's name,
/// - texts that contain one of `secrets` or an API key.
///
/// NUL becomes U+FFFD, for databases refuse it.
#[must_use]
pub fn redact(value: &Value, schema: Option<&Value>, secrets: &Secrets) -> Value {
    let walk = Walk {
        root: schema,
        secrets,
    };
    let schemas: Vec<&Value> = schema.into_iter().collect();
    walk.value(value, &schemas, DEPTH)
}

/// A message without secrets: each is replaced where it stands, the rest stays readable.
#[must_use]
pub fn redact_text(text: &str, secrets: &Secrets) -> String {
    let mut clean = text.replace('\0', "\u{fffd}");
    for secret in &secrets.0 {
        if clean.contains(secret.as_str()) {
            clean = clean.replace(secret.as_str(), REDACTED);
        }
    }
    while let Some((start, end)) = find_key(&clean) {
        clean.replace_range(start..end, REDACTED);
    }
    clean
}

struct Walk<'a> {
    root: Option<&'a Value>,
    secrets: &'a Secrets,
}

impl<'a> Walk<'a> {
    fn value(&self, value: &Value, schemas: &[&'a Value], depth: usize) -> Value {
        let Some(depth) = depth.checked_sub(1) else {
            return Value::from(REDACTED);
        };
        let schemas = self.all_of_same_value(schemas);
        if !value.is_null() && schemas.iter().any(|schema| is_secret(schema)) {
            return Value::from(REDACTED);
        }
        match value {
            Value::String(text) if self.secrets.is_in(text) => Value::from(REDACTED),
            Value::String(text) if text.contains('\0') => {
                Value::from(text.replace('\0', "\u{fffd}"))
            }
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| self.value(item, &item_schemas(&schemas, index), depth))
                .collect(),
            Value::Object(members) => {
                let mut clean = Map::new();
                for (name, member) in members {
                    let written = redact_text(name, self.secrets);
                    let redacted = if is_secret_name(name) && !member.is_null() {
                        Value::from(REDACTED)
                    } else {
                        self.value(member, &member_schemas(&schemas, name), depth)
                    };
                    clean.insert(written, redacted);
                }
                Value::Object(clean)
            }
            other => other.clone(),
        }
    }

    /// All schemas that may count for the same value: targets of references, and every alternative,
    /// for a secret in one of them is a secret.
    fn all_of_same_value(&self, schemas: &[&'a Value]) -> Vec<&'a Value> {
        const SAME_VALUE: [&str; 6] = ["/allOf/", "/anyOf/", "/oneOf/", "/if", "/then", "/else"];
        let mut found: Vec<&Value> = Vec::new();
        let mut left = schemas.to_vec();
        while let Some(schema) = left.pop() {
            if found.iter().any(|seen| std::ptr::eq(*seen, schema)) {
                continue;
            }
            found.push(schema);
            left.extend(self.root.and_then(|root| local_target(root, schema)));
            if let Some(members) = schema.as_object()
                && ["allOf", "anyOf", "oneOf", "if"]
                    .iter()
                    .any(|one| members.contains_key(*one))
            {
                let inside = subschemas_of(schema).into_iter();
                left.extend(inside.filter_map(|(path, part)| {
                    SAME_VALUE
                        .iter()
                        .any(|start| path.starts_with(start))
                        .then_some(part)
                }));
            }
        }
        found
    }
}

fn is_secret(schema: &Value) -> bool {
    let flag = |name: &str| schema.get(name) == Some(&Value::Bool(true));
    flag("x-secret")
        || flag("writeOnly")
        || schema.get("format").and_then(Value::as_str) == Some("password")
}

fn is_secret_name(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|character| !matches!(character, '-' | '_'))
        .map(|character| character.to_ascii_lowercase())
        .collect();
    SECRET_NAMES.contains(&plain.as_str())
}

fn member_schemas<'a>(schemas: &[&'a Value], name: &str) -> Vec<&'a Value> {
    let mut found = Vec::new();
    for schema in schemas {
        match schema.get("properties").and_then(|named| named.get(name)) {
            Some(property) => found.push(property),
            None => found.extend(schema.get("additionalProperties")),
        }
        // Patterns are not matched here: what may be meant by one of them counts.
        if let Some(Value::Object(patterns)) = schema.get("patternProperties") {
            found.extend(patterns.values());
        }
    }
    found
}

fn item_schemas<'a>(schemas: &[&'a Value], index: usize) -> Vec<&'a Value> {
    let mut found = Vec::new();
    for schema in schemas {
        let tuple = match (schema.get("prefixItems"), schema.get("items")) {
            (Some(Value::Array(items)), _) | (None, Some(Value::Array(items))) => Some(items),
            _ => None,
        };
        match tuple.and_then(|items| items.get(index)) {
            Some(item) => found.push(item),
            None => {
                found.extend(schema.get("items").filter(|items| !items.is_array()));
                found.extend(schema.get("additionalItems"));
            }
        }
    }
    found
}

/// Where the first API key stands in the text: a prefix and at least 49 characters of base64url.
fn find_key(text: &str) -> Option<(usize, usize)> {
    KEY_PREFIXES.iter().find_map(|prefix| {
        text.match_indices(prefix).find_map(|(start, _)| {
            let body = start + prefix.len();
            let length = text[body..]
                .bytes()
                .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
                .count();
            (length >= KEY_LENGTH).then_some((start, body + length))
        })
    })
}
