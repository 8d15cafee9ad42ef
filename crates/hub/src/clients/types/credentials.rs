//! What in a configuration looks like a credential.

use alkhub_operations::issue::pointer_join;
use serde_json::Value;

use crate::keys;

/// Parts of names under which credentials stand.
const TELLING: [&str; 7] = [
    "key",
    "token",
    "secret",
    "password",
    "passwd",
    "authorization",
    "cookie",
];

/// Names that hold one of these parts and no credential.
const HARMLESS: [&str; 4] = ["keyid", "keyname", "tokenizer", "tokenlimit"];

/// The JSON Pointer of the first member that looks like a credential.
pub(crate) fn credential_in(value: &Value) -> Option<String> {
    look(value, "")
}

fn look(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            let here = pointer_join(path, name);
            match member {
                Value::String(text) if !text.is_empty() && tells(name) => Some(here),
                member => look(member, &here),
            }
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| look(item, &pointer_join(path, &index.to_string()))),
        Value::String(text) if is_credential(text) => Some(path.to_owned()),
        _ => None,
    }
}

/// Does the name say that a credential stands under it?
fn tells(name: &str) -> bool {
    let name: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    TELLING.iter().any(|part| name.contains(part)) && !HARMLESS.contains(&name.as_str())
}

/// A key of a hub, a value of a header that carries a credential, or an address with one in it.
fn is_credential(text: &str) -> bool {
    let text = text.trim();
    let scheme = |word: &str| {
        text.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
            && text.len() > word.len()
    };
    if keys::well_formed(text) || scheme("Bearer ") || scheme("Basic ") {
        return true;
    }
    // A flag of a program with its value: `--token=…`.
    if let Some((name, value)) = text.split_once('=')
        && name.starts_with('-')
        && !value.is_empty()
        && tells(name)
    {
        return true;
    }
    let Ok(url) = url::Url::parse(text) else {
        return false;
    };
    url.password().is_some()
        || (!url.username().is_empty() && url.has_host())
        || url
            .query_pairs()
            .any(|(name, value)| tells(&name) && !value.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_and_values_of_credentials_are_found_where_they_stand() {
        for (config, path) in [
            (
                json!({ "headers": { "Authorization": "x" } }),
                "/headers/Authorization",
            ),
            (
                json!({ "headers": { "X-Api-Key": "x" } }),
                "/headers/X-Api-Key",
            ),
            (
                json!({ "env": { "GITHUB_TOKEN": "x" } }),
                "/env/GITHUB_TOKEN",
            ),
            (
                json!({ "defaults": { "a": [{ "password": "x" }] } }),
                "/defaults/a/0/password",
            ),
            (
                json!({ "baseUrl": "https://user:pass@example.org" }),
                "/baseUrl",
            ),
            (json!({ "url": "https://example.org/?api_key=1" }), "/url"),
            (
                json!({ "headers": { "X-A": "Bearer abc" } }),
                "/headers/X-A",
            ),
            (json!({ "args": ["--token=abc"] }), "/args/0"),
        ] {
            assert_eq!(credential_in(&config).as_deref(), Some(path), "{config}");
        }
    }

    #[test]
    fn ordinary_configuration_is_no_credential() {
        for config in [
            json!({ "baseUrl": "https://example.org/v1?x=1", "timeoutMs": 5 }),
            json!({ "auth": { "kind": "header", "name": "X-API-Key" } }),
            json!({ "models": [{ "id": "m", "price": { "input": 1.0, "output": 2.0 } }] }),
            json!({ "args": ["--root=/srv", "basic"] }),
        ] {
            assert_eq!(credential_in(&config), None, "{config}");
        }
    }
}
