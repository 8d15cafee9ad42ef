//! Kinds of settings: what a value may be, read from JSON, TOML or plain text.
//!
//! Whatever the source, a value ends up in one canonical JSON form: durations in milliseconds,
//! sizes in bytes, lists as arrays.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde_json::Value;

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer {
        /// Least value.
        min: u64,
        /// Greatest value.
        max: u64,
    },
    /// A duration: number of milliseconds, or text such as `15s`.
    Duration {
        /// Shortest, in milliseconds.
        min: u64,
        /// Longest, in milliseconds.
        max: u64,
    },
    /// A size: number of bytes, or text such as `16MiB`.
    Size {
        /// Smallest, in bytes.
        min: u64,
        /// Largest, in bytes.
        max: u64,
    },
    /// One text.
    Text(Rule),
    /// A list of texts; in a flag or a variable separated by commas.
    List(Rule),
}

/// What a text must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Path of a file or directory.
    Path,
    /// `IP:PORT`; `localhost:PORT` stands for `127.0.0.1:PORT`.
    Address,
    /// `IP/BITS` or a single IP address.
    Network,
    /// `http://…` or `https://…` without path, query or password.
    WebUrl,
    /// `sqlite:…`, `postgres://…` or `postgresql://…`.
    DatabaseUrl,
    /// Host name with an optional port, as in a Host header.
    Host,
    /// Scheme, host and port, as in an Origin header.
    Origin,
    /// URL scheme, lower case.
    Scheme,
    /// Level, or comma-separated `target=level`.
    LogFilter,
    /// 1–200 visible characters.
    Name,
    /// Full name of an operation, or a pattern with `*` at the end of a segment.
    Operations,
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// Reads a value of the file or of `config.set` into its canonical form.
    ///
    /// Errors: a sentence without the key; it never repeats a database URL.
    pub fn read(&self, value: &Value) -> Result<Value, String> {
        match (self, value) {
            (Kind::Bool, Value::Bool(_)) => Ok(value.clone()),
            (Kind::Integer { min, max }, Value::Number(number)) => {
                let number = number.as_u64().ok_or_else(|| self.expected(value))?;
                within(number, *min, *max, u64::to_string)
            }
            (Kind::Duration { min, max }, Value::Number(number)) => {
                let millis = number.as_u64().ok_or_else(|| self.expected(value))?;
                within(millis, *min, *max, |at| duration_text(*at))
            }
            (Kind::Size { min, max }, Value::Number(number)) => {
                let bytes = number.as_u64().ok_or_else(|| self.expected(value))?;
                within(bytes, *min, *max, |at| size_text(*at))
            }
            (Kind::Duration { .. } | Kind::Size { .. } | Kind::Text(_), Value::String(text)) => {
                self.read_text(text)
            }
            (Kind::List(rule), Value::Array(items)) => {
                let items = items.iter().map(|item| match item {
                    Value::String(text) => rule.read(text).map(Value::String),
                    other => Err(format!("a list of texts holds {}", type_of(other))),
                });
                items
                    .collect::<Result<Vec<Value>, String>>()
                    .map(Value::Array)
            }
            (Kind::List(rule), Value::String(text)) => {
                Ok(Value::Array(vec![Value::String(rule.read(text)?)]))
            }
            _ => Err(self.expected(value)),
        }
    }

    /// Reads the text of a flag or an environment variable into the canonical form.
    ///
    /// Errors: as [`Kind::read`].
    pub fn read_text(&self, text: &str) -> Result<Value, String> {
        match self {
            Kind::Bool => match text {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err(format!("expected true or false, found {text:?}")),
            },
            Kind::Integer { min, max } => {
                let number = text
                    .parse::<u64>()
                    .map_err(|_| format!("expected a whole number, found {text:?}"))?;
                within(number, *min, *max, u64::to_string)
            }
            Kind::Duration { min, max } => {
                let millis = parse_duration(text)?;
                within(millis, *min, *max, |at| duration_text(*at))
            }
            Kind::Size { min, max } => {
                let bytes = parse_size(text)?;
                within(bytes, *min, *max, |at| size_text(*at))
            }
            Kind::Text(rule) => rule.read(text).map(Value::String),
            Kind::List(rule) => text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| rule.read(item).map(Value::String))
                .collect::<Result<Vec<Value>, String>>()
                .map(Value::Array),
        }
    }

    /// A canonical value as a person writes it: `30s`, `4MiB`, `a, b`.
    pub fn show(&self, value: &Value) -> String {
        match (self, value) {
            (_, Value::Null) => String::new(),
            (Kind::Duration { .. }, Value::Number(number)) => number
                .as_u64()
                .map_or_else(|| number.to_string(), duration_text),
            (Kind::Size { .. }, Value::Number(number)) => number
                .as_u64()
                .map_or_else(|| number.to_string(), size_text),
            (_, Value::String(text)) => text.clone(),
            (_, Value::Array(items)) => items
                .iter()
                .map(|item| {
                    item.as_str()
                        .map_or_else(|| item.to_string(), str::to_owned)
                })
                .collect::<Vec<_>>()
                .join(", "),
            (_, other) => other.to_string(),
        }
    }

    /// Words for the reference page: `duration, 1s to 1h`.
    pub fn describe(&self) -> String {
        match self {
            Kind::Bool => "true or false".to_owned(),
            Kind::Integer { min, max } => format!("whole number, {min} to {max}"),
            Kind::Duration { min, max } => format!(
                "duration, {} to {}",
                duration_text(*min),
                duration_text(*max)
            ),
            Kind::Size { min, max } => format!("size, {} to {}", size_text(*min), size_text(*max)),
            Kind::Text(rule) => rule.describe(),
            Kind::List(rule) => format!("list of: {}", rule.describe()),
        }
    }

    fn expected(&self, found: &Value) -> String {
        let wanted = match self {
            Kind::Bool => "true or false".to_owned(),
            Kind::Integer { .. } => "a whole number".to_owned(),
            Kind::Duration { .. } => {
                "a duration (milliseconds, or text such as \"15s\")".to_owned()
            }
            Kind::Size { .. } => "a size (bytes, or text such as \"16MiB\")".to_owned(),
            Kind::Text(_) => "text".to_owned(),
            Kind::List(_) => "a list of texts".to_owned(),
        };
        format!("expected {wanted}, found {}", type_of(found))
    }
}

impl Rule {
    fn read(&self, text: &str) -> Result<String, String> {
        if text.is_empty() {
            return Err("must not be empty".to_owned());
        }
        if text.chars().any(char::is_control) {
            return Err("holds a control character".to_owned());
        }
        match self {
            Rule::Path => Ok(text.to_owned()),
            Rule::Address => {
                let numeric = text
                    .strip_prefix("localhost:")
                    .map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
                numeric
                    .parse::<SocketAddr>()
                    .map(|address| address.to_string())
                    .map_err(|_| {
                        format!("expected an address such as 127.0.0.1:4848, found {text:?}")
                    })
            }
            Rule::Network => text
                .parse::<ipnet::IpNet>()
                .or_else(|_| text.parse::<IpAddr>().map(ipnet::IpNet::from))
                .map(|network| network.to_string())
                .map_err(|_| format!("expected a network such as 10.0.0.0/8, found {text:?}")),
            Rule::WebUrl | Rule::Origin => web_url(text),
            Rule::DatabaseUrl => {
                let known = ["sqlite:", "postgres://", "postgresql://"];
                if known.iter().any(|scheme| text.starts_with(scheme)) {
                    Ok(text.to_owned())
                } else {
                    Err("a database URL starts with sqlite: or postgres://".to_owned())
                }
            }
            Rule::Host => match url::Url::parse(&format!("http://{text}/")) {
                Ok(url)
                    if url.path() == "/" && url.username().is_empty() && !text.contains('?') =>
                {
                    Ok(text.to_ascii_lowercase())
                }
                _ => Err(format!(
                    "expected a host such as hub.example:8443, found {text:?}"
                )),
            },
            Rule::Scheme => {
                let good = text.starts_with(|first: char| first.is_ascii_lowercase())
                    && text.chars().all(|letter| {
                        letter.is_ascii_lowercase()
                            || letter.is_ascii_digit()
                            || matches!(letter, '+' | '-' | '.')
                    });
                if good {
                    Ok(text.to_owned())
                } else {
                    Err(format!("expected a scheme such as https, found {text:?}"))
                }
            }
            Rule::LogFilter => log_filter(text),
            Rule::Name => {
                let trimmed = text.trim();
                if trimmed.is_empty() || trimmed.chars().count() > 200 {
                    Err("expected 1 to 200 characters".to_owned())
                } else {
                    Ok(trimmed.to_owned())
                }
            }
            Rule::Operations => {
                let good = (1..=130).contains(&text.len())
                    && text.split('.').all(|segment| {
                        let start = segment.strip_suffix('*').unwrap_or(segment);
                        !segment.is_empty()
                            && start.bytes().all(|byte| {
                                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
                            })
                    });
                if good {
                    Ok(text.to_owned())
                } else {
                    Err(format!(
                        "expected an operation such as task.ready or a pattern such as task.*, found {text:?}"
                    ))
                }
            }
            Rule::Choice(words) => {
                if words.contains(&text) {
                    Ok(text.to_owned())
                } else {
                    Err(format!(
                        "expected one of {}, found {text:?}",
                        words.join(", ")
                    ))
                }
            }
        }
    }

    fn describe(&self) -> String {
        match self {
            Rule::Path => "path".to_owned(),
            Rule::Address => "address IP:PORT".to_owned(),
            Rule::Network => "network IP/BITS".to_owned(),
            Rule::WebUrl => "URL".to_owned(),
            Rule::DatabaseUrl => "database URL".to_owned(),
            Rule::Host => "host".to_owned(),
            Rule::Origin => "origin".to_owned(),
            Rule::Scheme => "URL scheme".to_owned(),
            Rule::LogFilter => "log filter".to_owned(),
            Rule::Name => "text".to_owned(),
            Rule::Operations => "operation or pattern".to_owned(),
            Rule::Choice(words) => words
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(" or "),
        }
    }
}

/// The URL with its password replaced by `***`; `***` alone when it cannot be taken apart.
pub fn redact_url(text: &str) -> String {
    if text.starts_with("sqlite:") {
        return text.to_owned();
    }
    let Ok(mut url) = url::Url::parse(text) else {
        return "***".to_owned();
    };
    if url.password().is_some() && url.set_password(Some("***")).is_err() {
        return "***".to_owned();
    }
    if url.query_pairs().any(|(name, _)| name == "password") {
        url.set_query(Some("***"));
    }
    url.to_string()
}

/// Whether the URL carries a password, in its authority or its query.
pub(super) fn has_password(text: &str) -> bool {
    !text.starts_with("sqlite:")
        && url::Url::parse(text).is_ok_and(|url| {
            url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password")
        })
}

fn web_url(text: &str) -> Result<String, String> {
    let wrong = || format!("expected a URL such as https://hub.example, found {text:?}");
    let url = url::Url::parse(text).map_err(|_| wrong())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    if plain {
        Ok(url.as_str().trim_end_matches('/').to_owned())
    } else {
        Err(wrong())
    }
}

fn log_filter(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    for directive in text.split(',').map(str::trim) {
        let (target, level) = directive.split_once('=').unwrap_or(("all", directive));
        let good_target = !target.is_empty()
            && target
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':' | '-'));
        if !good_target || !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
            return Err(format!(
                "expected a level ({}) or target=level, found {directive:?}",
                LEVELS.join(", ")
            ));
        }
    }
    Ok(text.to_owned())
}

fn within(number: u64, min: u64, max: u64, show: impl Fn(&u64) -> String) -> Result<Value, String> {
    if (min..=max).contains(&number) {
        Ok(Value::from(number))
    } else {
        Err(format!(
            "{} is out of range: {} to {}",
            show(&number),
            show(&min),
            show(&max)
        ))
    }
}

fn parse_duration(text: &str) -> Result<u64, String> {
    if let Ok(millis) = text.parse::<u64>() {
        return Ok(millis);
    }
    let wrong = || format!("expected a duration such as 15s or 24h, found {text:?}");
    let duration = humantime::parse_duration(text).map_err(|_| wrong())?;
    u64::try_from(duration.as_millis()).map_err(|_| wrong())
}

fn parse_size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1_000),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("B", 1),
    ];
    let wrong = || format!("expected a size such as 64KiB or 16MiB, found {text:?}");
    let (digits, unit) = UNITS
        .iter()
        .find_map(|(name, bytes)| text.strip_suffix(name).map(|digits| (digits, *bytes)))
        .unwrap_or((text, 1));
    let number = digits.trim().parse::<u64>().map_err(|_| wrong())?;
    number.checked_mul(unit).ok_or_else(wrong)
}

fn duration_text(millis: u64) -> String {
    if millis == 0 {
        return "0".to_owned();
    }
    humantime::format_duration(Duration::from_millis(millis))
        .to_string()
        .replace("days", "d")
        .replace("day", "d")
        .replace(' ', "")
}

fn size_text(bytes: u64) -> String {
    for (name, unit) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    bytes.to_string()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(number) if number.is_i64() && !number.is_u64() => "a negative number",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}
