//! What a YAML scalar means: the core schema of YAML 1.2.
//!
//! Own code, because the rules decide whether `id: 007` is a text: serde implementations of YAML
//! convert towards the wanted type and so accept more than the format allows.

/// The meaning of a scalar.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text,
    /// A type beyond the core schema that an explicit tag asks for: a date, bytes.
    Other,
}

const CORE: &str = "tag:yaml.org,2002:";

/// The meaning of the text of a scalar with the full name of its tag, if it has one. Only plain
/// scalars without a tag are looked at; quoted ones are always text.
pub(super) fn resolve(text: &str, plain: bool, tag: Option<&str>) -> Value {
    let Some(tag) = tag else {
        return if plain { by_form(text) } else { Value::Text };
    };
    // A tag that does not fit its text, like one nobody knows, leaves the text a text.
    match tag.strip_prefix(CORE) {
        Some("null") if is_null(text) => Value::Null,
        Some("bool") => boolean(text).map_or(Value::Text, Value::Bool),
        Some("int") => integer(text).map_or(Value::Text, Value::Number),
        Some("float") => float(text).map_or(Value::Text, Value::Number),
        Some("timestamp" | "binary" | "merge") => Value::Other,
        _ => Value::Text,
    }
}

/// The meaning of a plain scalar without a tag.
pub(super) fn by_form(text: &str) -> Value {
    if is_null(text) {
        return Value::Null;
    }
    if let Some(value) = boolean(text) {
        return Value::Bool(value);
    }
    integer(text)
        .or_else(|| float(text))
        .map_or(Value::Text, Value::Number)
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Option<f64> {
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !all_digits(digits) {
        return None;
    }
    text.parse().ok()
}

/// An unsigned number of base 8 or 16, rounded when it is beyond 2^53.
fn radix(digits: &str, base: u32) -> Option<f64> {
    if digits.is_empty() {
        return None;
    }
    digits.chars().try_fold(0.0, |value, digit| {
        Some(value * f64::from(base) + f64::from(digit.to_digit(base)?))
    })
}

fn float(text: &str) -> Option<f64> {
    match text {
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    if exponent.is_some_and(|e| !all_digits(e.strip_prefix(['-', '+']).unwrap_or(e))) {
        return None;
    }
    let well_formed = match mantissa.split_once('.') {
        Some(("", fraction)) => all_digits(fraction),
        Some((whole, fraction)) => {
            all_digits(whole) && fraction.bytes().all(|b| b.is_ascii_digit())
        }
        None => exponent.is_some() && all_digits(mantissa),
    };
    if well_formed { text.parse().ok() } else { None }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
