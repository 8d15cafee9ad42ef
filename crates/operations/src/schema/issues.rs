//! Faults as the validator reports them, told as [`Issue`]s.
//!
//! Only what the schema says is quoted, never what the value held.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use crate::issue::{Issue, pointer_join};

/// Longest pointer that is told, in characters; names of properties are the sender's own words.
const POINTER_LENGTH: usize = 1024;
/// Longest piece of the schema that a message quotes, in characters.
const QUOTE_LENGTH: usize = 160;

/// Gathers issues until there are `most`.
pub(super) fn collect<'a>(
    errors: impl Iterator<Item = ValidationError<'a>>,
    value: &Value,
    most: usize,
) -> Vec<Issue> {
    let mut issues = Vec::new();
    for error in errors {
        if takes_no_properties(&error) {
            unexpected_members(error.instance_path().as_str(), value, &mut issues);
        } else {
            tell(&error, &mut issues);
        }
        if issues.len() >= most {
            break;
        }
    }
    issues.truncate(most);
    issues
}

/// True for an object that has members where the schema declares none at all: the validator then names
/// none of them.
fn takes_no_properties(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), ValidationErrorKind::FalseSchema)
        && error
            .schema_path()
            .as_str()
            .ends_with("/additionalProperties")
}

fn unexpected_members(here: &str, value: &Value, issues: &mut Vec<Issue>) {
    let members = value.pointer(here).and_then(Value::as_object);
    for name in members.into_iter().flat_map(serde_json::Map::keys) {
        let rule = "additionalProperties".to_owned();
        push(
            issues,
            pointer_join(here, name),
            rule,
            "is not expected".to_owned(),
        );
    }
}

fn tell(error: &ValidationError<'_>, issues: &mut Vec<Issue>) {
    let here = error.instance_path().as_str();
    let kind = error.kind();
    let rule = kind.keyword().to_owned();
    match kind {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            push(
                issues,
                pointer_join(here, name),
                rule,
                "is required".to_owned(),
            );
        }
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            for name in unexpected {
                push(
                    issues,
                    pointer_join(here, name),
                    rule.clone(),
                    "is not expected".to_owned(),
                );
            }
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            if let Some(choices) = listed_choices(here, context) {
                let message = format!("must be one of {}", quote(&Value::Array(choices)));
                push(issues, here.to_owned(), "enum".to_owned(), message);
            } else if let Some(branch) = the_one_meant(here, context) {
                branch.iter().for_each(|error| tell(error, issues));
            } else {
                push(issues, here.to_owned(), rule, message(kind));
            }
        }
        _ => push(issues, here.to_owned(), rule, message(kind)),
    }
}

fn push(issues: &mut Vec<Issue>, path: String, rule: String, message: String) {
    let path = clipped(path, POINTER_LENGTH);
    let issue = Issue {
        path,
        rule,
        message,
    };
    if !issues.contains(&issue) {
        issues.push(issue);
    }
}

/// Of several alternatives the one the sender meant: the only one that does not already fail by the
/// kind of the value itself. With it a fault deep inside `T | null` is told where it is.
fn the_one_meant<'a>(
    here: &str,
    branches: &'a [Vec<ValidationError<'static>>],
) -> Option<&'a [ValidationError<'static>]> {
    let mut meant = branches.iter().filter(|branch| {
        !branch.iter().any(|error| {
            error.instance_path().as_str() == here
                && matches!(
                    error.kind(),
                    ValidationErrorKind::Type { .. }
                        | ValidationErrorKind::Constant { .. }
                        | ValidationErrorKind::Enum { .. }
                        | ValidationErrorKind::FalseSchema
                )
        })
    });
    match (meant.next(), meant.next()) {
        (Some(branch), None) => Some(branch),
        _ => None,
    }
}

/// The values that alternatives allow, when each alternative is nothing but one value or a list of
/// them: derived schemas write an enum with documented variants that way.
fn listed_choices(here: &str, branches: &[Vec<ValidationError<'static>>]) -> Option<Vec<Value>> {
    let mut choices = Vec::new();
    for branch in branches {
        let mut listed = false;
        for error in branch
            .iter()
            .filter(|error| error.instance_path().as_str() == here)
        {
            match error.kind() {
                ValidationErrorKind::Constant { expected_value } => {
                    choices.push(Value::clone(expected_value));
                    listed = true;
                }
                ValidationErrorKind::Enum { options } => {
                    choices.extend(options.as_array().into_iter().flatten().cloned());
                    listed = true;
                }
                _ => {}
            }
        }
        if !listed {
            return None;
        }
    }
    Some(choices).filter(|choices| !choices.is_empty())
}

fn message(kind: &ValidationErrorKind) -> String {
    use ValidationErrorKind as Kind;
    match kind {
        Kind::AdditionalItems { limit } => format!("must have at most {limit} items"),
        Kind::AnyOf { .. } => "must fit one of the allowed forms".to_owned(),
        Kind::OneOfNotValid { .. } => "must fit exactly one of the allowed forms".to_owned(),
        Kind::OneOfMultipleValid { .. } => "fits more than one of the allowed forms".to_owned(),
        Kind::Constant { expected_value } => format!("must be {}", quote(expected_value)),
        Kind::Contains => "must contain an item of the asked form".to_owned(),
        Kind::ContentEncoding { content_encoding } => format!("must be {content_encoding} text"),
        Kind::FromUtf8 { .. } => "must hold UTF-8 text".to_owned(),
        Kind::ContentMediaType { content_media_type } => format!("must be {content_media_type}"),
        Kind::Enum { options } => format!("must be one of {}", quote(options)),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Kind::FalseSchema => "is not allowed".to_owned(),
        Kind::Format { format } => format!("must be a valid {format}"),
        Kind::MaxItems { limit } => format!("must have at most {limit} items"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::MaxProperties { limit } => format!("must have at most {limit} members"),
        Kind::MinItems { limit } => format!("must have at least {limit} items"),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::MinLength { limit } => format!("must have at least {limit} characters"),
        Kind::MinProperties { limit } => format!("must have at least {limit} members"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::Not { .. } => "has a form that is not allowed".to_owned(),
        Kind::Pattern { pattern } => {
            format!(
                "must match the pattern {}",
                clipped(pattern.clone(), QUOTE_LENGTH)
            )
        }
        Kind::RegexEngineFailure { .. } | Kind::BacktrackLimitExceeded { .. } => {
            "could not be matched against its pattern".to_owned()
        }
        Kind::PropertyNames { .. } => "has a member whose name is not allowed".to_owned(),
        Kind::Type { kind } => format!("must be of type {}", type_name(kind)),
        Kind::UnevaluatedItems { .. } => "has items that are not expected".to_owned(),
        Kind::UniqueItems => "must not hold the same item twice".to_owned(),
        Kind::Required { .. } => "is required".to_owned(),
        Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => {
            "is not expected".to_owned()
        }
        Kind::Custom { .. } | Kind::Referencing(_) => "does not fit its schema".to_owned(),
    }
}

fn type_name(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(single) => single.to_string(),
        TypeKind::Multiple(several) => several
            .iter()
            .map(|one| one.to_string())
            .collect::<Vec<_>>()
            .join(" or "),
    }
}

/// A value that stands in the schema, cut to a readable length.
fn quote(value: &Value) -> String {
    clipped(value.to_string(), QUOTE_LENGTH)
}

fn clipped(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
