//! The credentials of services, and how they are set on requests.

use alkhub_operations::CallError;
use alkhub_operations::adapters::http::HttpRequest;
use alkhub_storage::ids::ClientId;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};

use super::types::{Auth, AuthKind};

/// Header of a credential whose configuration names none.
const DEFAULT_HEADER: &str = "X-API-Key";

/// The value of a client's secret.
///
/// No secret can be stored yet, so there is none to give. This is the one place that asks for one: what
/// keeps and opens them comes in here.
pub(crate) async fn secret_of(_client: &ClientId, _key: &str) -> Option<SecretString> {
    None
}

/// What is set on each request to a service.
#[derive(Default)]
pub(crate) struct Credential {
    header: Option<(String, SecretString)>,
    query: Option<(String, SecretString)>,
}

impl Credential {
    /// The header that carries it, which no caller is shown.
    pub(crate) fn header_name(&self) -> Option<&str> {
        self.header.as_ref().map(|(name, _)| name.as_str())
    }

    /// Sets it on a request.
    pub(crate) fn set_on(&self, request: &mut HttpRequest) {
        if let Some((name, value)) = &self.header {
            // The credential counts, whatever a header of the configuration or a parameter says.
            request
                .headers
                .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            request
                .headers
                .push((name.clone(), value.expose_secret().to_owned()));
        }
        if let Some((name, value)) = &self.query {
            let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let name = encode(name);
            let pair = format!("{name}={}", encode(value.expose_secret()));
            let kept = request.query.take().map(|query| {
                let others = query
                    .split('&')
                    .filter(|pair| pair.split('=').next() != Some(name.as_str()));
                others.chain([pair.as_str()]).collect::<Vec<_>>().join("&")
            });
            request.query = Some(kept.unwrap_or(pair));
        }
    }
}

/// The credential a configuration asks for.
///
/// # Errors
/// `CONFLICT` `secret_missing` when a secret it needs is not stored.
pub(crate) async fn credential(client: &ClientId, auth: &Auth) -> Result<Credential, CallError> {
    let needed = async |key: &str| {
        secret_of(client, key)
            .await
            .ok_or_else(|| secret_missing(key))
    };
    Ok(match auth.kind {
        AuthKind::None => Credential::default(),
        AuthKind::Basic => {
            let (user, password) = (needed("username").await?, needed("password").await?);
            shown(auth, Given::Pair(user, password))
        }
        AuthKind::Bearer | AuthKind::Header | AuthKind::Query => {
            shown(auth, Given::Token(needed("token").await?))
        }
    })
}

/// The error of a service whose credential is not stored.
pub(crate) fn secret_missing(key: &str) -> CallError {
    CallError::conflict(
        "secret_missing",
        format!("the service asks for a credential, and its secret {key} is not stored"),
    )
    .with_detail("key", key)
}

enum Given {
    Token(SecretString),
    Pair(SecretString, SecretString),
}

fn shown(auth: &Auth, given: Given) -> Credential {
    let prefix = auth.prefix.as_deref().unwrap_or_default();
    let name = auth
        .name
        .clone()
        .unwrap_or_else(|| DEFAULT_HEADER.to_owned());
    let header = |name: &str, value: String| Credential {
        header: Some((name.to_owned(), SecretString::from(value))),
        query: None,
    };
    match given {
        Given::Pair(user, password) => {
            let pair = format!("{}:{}", user.expose_secret(), password.expose_secret());
            header("authorization", format!("Basic {}", STANDARD.encode(pair)))
        }
        Given::Token(token) => match auth.kind {
            AuthKind::Query => Credential {
                header: None,
                query: Some((name, token)),
            },
            AuthKind::Header => header(&name, format!("{prefix}{}", token.expose_secret())),
            _ => header("authorization", format!("Bearer {}", token.expose_secret())),
        },
    }
}

#[cfg(test)]
mod tests {
    use alkhub_operations::adapters::http::Method;

    use super::*;

    fn request() -> HttpRequest {
        HttpRequest {
            method: Method::Get,
            path: "/".to_owned(),
            query: Some("a=1".to_owned()),
            headers: vec![("Authorization".to_owned(), "from a parameter".to_owned())],
            body: None,
        }
    }

    fn set(kind: AuthKind, name: Option<&str>, prefix: Option<&str>, given: Given) -> HttpRequest {
        let auth = Auth {
            kind,
            name: name.map(str::to_owned),
            prefix: prefix.map(str::to_owned),
        };
        let mut request = request();
        shown(&auth, given).set_on(&mut request);
        request
    }

    fn token() -> Given {
        Given::Token(SecretString::from("t&1"))
    }

    #[test]
    fn case_198_credentials_stand_in_the_right_header_or_parameter_and_nowhere_else() {
        let last = |request: &HttpRequest| request.headers.last().cloned();
        let pair = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
        let bearer = set(AuthKind::Bearer, None, None, token());
        assert_eq!(last(&bearer), pair("authorization", "Bearer t&1"));
        assert_eq!(bearer.headers.len(), 1);
        let basic = Given::Pair(SecretString::from("user"), SecretString::from("pass"));
        let basic = set(AuthKind::Basic, None, None, basic);
        assert_eq!(last(&basic), pair("authorization", "Basic dXNlcjpwYXNz"));
        let header = set(AuthKind::Header, None, Some("token "), token());
        assert_eq!(last(&header), pair("X-API-Key", "token t&1"));
        let query = set(AuthKind::Query, Some("api_key"), None, token());
        assert_eq!(query.query.as_deref(), Some("a=1&api%5Fkey=t%261"));
        assert_eq!(query.headers.len(), 1);
    }

    #[tokio::test]
    async fn service_that_asks_for_a_secret_that_is_not_stored_is_refused() {
        let auth = Auth {
            kind: AuthKind::Bearer,
            ..Auth::default()
        };
        let error = credential(&ClientId::random(), &auth).await.err().unwrap();
        assert_eq!(error.code, alkhub_operations::ErrorCode::CONFLICT);
        assert_eq!(error.details.unwrap()["rule"], "secret_missing");
    }
}
