//! How well an operation fits some words. By counting, without a model, so that the same words find the
//! same operations in the same order.

use alkhub_operations::OperationSpec;
use serde_json::Value;

const NAME: f64 = 4.0;
const TITLE: f64 = 3.0;
const TAG: f64 = 2.0;
const DESCRIPTION: f64 = 1.0;
const FIELD: f64 = 1.0;
/// What the beginning of a token counts beside the whole of it.
const PREFIX: f64 = 0.5;

/// The words of a text in lower case, also those inside of `camelCase`.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut token = String::new();
    let mut after_small = false;
    for letter in text.chars() {
        let ends = !letter.is_alphanumeric() || (after_small && letter.is_uppercase());
        if ends && !token.is_empty() {
            tokens.push(std::mem::take(&mut token));
        }
        if letter.is_alphanumeric() {
            token.extend(letter.to_lowercase());
        }
        after_small = letter.is_lowercase() || letter.is_numeric();
    }
    if !token.is_empty() {
        tokens.push(token);
    }
    tokens
}

/// Sum over the words and the places they stand in: name, title, tags, description, names of input
/// fields. 0 = nothing fits.
pub(crate) fn score(spec: &OperationSpec, words: &[String]) -> f64 {
    let title = spec.title.as_deref().unwrap_or_default();
    let fields = spec
        .input_schema
        .json()
        .get("properties")
        .and_then(Value::as_object);
    let fields = fields.into_iter().flat_map(|fields| fields.keys());
    let places = [
        (NAME, tokens(spec.id().as_str())),
        (TITLE, tokens(title)),
        (TAG, spec.tags.iter().flat_map(|tag| tokens(tag)).collect()),
        (DESCRIPTION, tokens(&spec.description)),
        (FIELD, fields.flat_map(|field| tokens(field)).collect()),
    ];
    words
        .iter()
        .flat_map(|word| {
            places
                .iter()
                .map(move |(weight, tokens)| weight * share(word, tokens))
        })
        .sum()
}

fn share(word: &str, tokens: &[String]) -> f64 {
    if tokens.iter().any(|token| token == word) {
        1.0
    } else if tokens.iter().any(|token| token.starts_with(word)) {
        PREFIX
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use alkhub_operations::{OperationType, operation};
    use schemars::JsonSchema;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Input {
        project_id: String,
    }

    fn spec() -> OperationSpec {
        operation::<Input, Value>("task.updateStatus", OperationType::Mutation)
            .title("Move a task")
            .description("Sets where the work stands.")
            .tags(&["board"])
            .handler(|_context, _input: Input| async { Ok(Value::Null) })
            .spec
    }

    fn found(query: &str) -> f64 {
        score(&spec(), &tokens(query))
    }

    #[test]
    fn words_inside_of_names_are_tokens() {
        assert_eq!(tokens("task.updateStatus"), ["task", "update", "status"]);
        assert_eq!(tokens("HTTP2 über-all"), ["http2", "über", "all"]);
        assert!(tokens(" .-").is_empty());
    }

    #[test]
    fn each_place_has_its_weight() {
        assert_eq!(found("status"), 4.0);
        assert_eq!(found("move"), 3.0);
        assert_eq!(found("board"), 2.0);
        assert_eq!(found("work"), 1.0);
        assert_eq!(found("project"), 1.0);
        assert_eq!(found("task"), 4.0 + 3.0);
    }

    #[test]
    fn beginnings_count_half_and_words_add_up() {
        assert_eq!(found("stat"), 2.0);
        assert_eq!(found("updateStatus"), 8.0);
        assert_eq!(found("tatus"), 0.0);
    }
}
