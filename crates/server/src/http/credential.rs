//! The key of a request: taken from its headers and from nowhere else.
//!
//! A query parameter is never a key, for addresses end up in logs.

use alkhub_hub::Credential;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use secrecy::SecretString;

/// Longest text looked at as a key; a longer one is refused without being hashed.
const LONGEST_KEY: usize = 200;

/// The key a request carries as `Authorization: Bearer` or `X-API-Key`. Both are fine when they
/// agree.
pub(super) fn credential(headers: &HeaderMap) -> Credential {
    let mut keys = Vec::new();
    for value in headers.get_all(AUTHORIZATION) {
        keys.push(value.to_str().ok().and_then(bearer));
    }
    for value in headers.get_all("x-api-key") {
        keys.push(value.to_str().ok().and_then(sound));
    }
    let Some(first) = keys.first() else {
        return Credential::None;
    };
    match first {
        Some(key) if keys.iter().all(|other| other == first) => {
            Credential::Key(SecretString::from((*key).to_owned()))
        }
        _ => Credential::Malformed,
    }
}

/// The key a request carries as `Authorization: Bearer`, the one way MCP knows.
pub(crate) fn bearer_only(headers: &HeaderMap) -> Credential {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(first) = values.next() else {
        return Credential::None;
    };
    match first.to_str().ok().and_then(bearer) {
        Some(key) if values.next().is_none() => Credential::Key(SecretString::from(key.to_owned())),
        _ => Credential::Malformed,
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.trim().split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        sound(key)
    } else {
        None
    }
}

pub(super) fn sound(key: &str) -> Option<&str> {
    let key = key.trim();
    let good = !key.is_empty()
        && key.len() <= LONGEST_KEY
        && key.bytes().all(|letter| letter.is_ascii_graphic());
    good.then_some(key)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use secrecy::ExposeSecret;

    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Result<Option<String>, ()> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        match credential(&headers) {
            Credential::None => Ok(None),
            Credential::Key(key) => Ok(Some(key.expose_secret().to_owned())),
            Credential::Malformed => Err(()),
        }
    }

    #[test]
    fn no_header_is_no_key() {
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn bearer_and_x_api_key_are_read() {
        let key = Ok(Some("alk_x".to_owned()));
        assert_eq!(read(&[("authorization", "Bearer alk_x")]), key);
        assert_eq!(read(&[("authorization", "bearer alk_x")]), key);
        assert_eq!(read(&[("x-api-key", "alk_x")]), key);
    }

    #[test]
    fn two_that_agree_are_one_key() {
        let both = [("authorization", "Bearer alk_x"), ("x-api-key", "alk_x")];
        assert_eq!(read(&both), Ok(Some("alk_x".to_owned())));
    }

    #[test]
    fn two_that_differ_are_malformed() {
        assert_eq!(
            read(&[("authorization", "Bearer alk_x"), ("x-api-key", "alk_y")]),
            Err(())
        );
        assert_eq!(
            read(&[
                ("authorization", "Bearer alk_x"),
                ("authorization", "Bearer alk_y")
            ]),
            Err(())
        );
    }

    #[test]
    fn basic_spaces_and_length_are_malformed() {
        assert_eq!(read(&[("authorization", "Basic YTpi")]), Err(()));
        assert_eq!(read(&[("authorization", "alk_x")]), Err(()));
        assert_eq!(read(&[("authorization", "Bearer alk x")]), Err(()));
        assert_eq!(read(&[("authorization", "Bearer ")]), Err(()));
        assert_eq!(read(&[("x-api-key", "")]), Err(()));
        assert_eq!(read(&[("x-api-key", &"k".repeat(201))]), Err(()));
        assert!(read(&[("x-api-key", &"k".repeat(200))]).is_ok());
    }
}
