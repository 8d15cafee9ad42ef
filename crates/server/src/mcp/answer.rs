//! Results of tools.

use alkhub_operations::envelope::structured_content;
use alkhub_operations::{Block, CallError, Envelope, RequestId, Source};
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, MetaObject};
use serde_json::{Value, json};

/// Longest text block, in characters.
const TEXT_LENGTH: usize = 100_000;

/// The result of one of the four tools: the value, and its JSON as text.
pub(super) fn structured(value: Value) -> CallToolResult {
    let text = text_of(&value);
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = Some(value);
    result
}

/// A call that failed, told by the tool `call` or one that looks operations up.
pub(super) fn failed(error: &CallError, request_id: &RequestId) -> CallToolResult {
    let mut result = CallToolResult::error(vec![ContentBlock::text(line_of(error))]);
    result.structured_content = Some(failure(error, request_id));
    result
}

/// What is told of a failed call beside its text.
pub(super) fn failure(error: &CallError, request_id: &RequestId) -> Value {
    json!({ "error": error, "requestId": request_id })
}

/// The answer of an operation that is a tool of its own.
pub(super) fn own(envelope: &Envelope) -> CallToolResult {
    let content = match &envelope.meta.source {
        Source::Mcp { content, .. } => blocks(content),
        Source::Local { .. } | Source::Http { .. } => {
            vec![ContentBlock::text(text_of(&envelope.data))]
        }
    };
    let mut result = CallToolResult::success(content);
    result.structured_content = Some(structured_content(&envelope.data));
    if let Value::Object(mut meta) = json!(envelope.meta) {
        // The result itself has both.
        meta.remove("content");
        meta.remove("structuredContent");
        result.meta = Some(MetaObject(meta));
    }
    result
}

/// The failure of an operation that is a tool of its own. Its structured content would have to fit
/// the operation's own output schema, so code and details go beside it.
pub(super) fn own_failed(error: &CallError, request_id: &RequestId) -> CallToolResult {
    let mut result = CallToolResult::error(vec![ContentBlock::text(line_of(error))]);
    if let Value::Object(meta) = failure(error, request_id) {
        result.meta = Some(MetaObject(meta));
    }
    result
}

/// `CODE: message`
pub(super) fn line_of(error: &CallError) -> String {
    format!("{}: {}", error.code, error.message)
}

/// An object of a value that is one.
pub(super) fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(members) => members,
        other => JsonObject::from_iter([("value".to_owned(), other)]),
    }
}

fn text_of(value: &Value) -> String {
    let text = value.to_string();
    // Bytes are never fewer than characters, so most texts need no counting.
    if text.len() <= TEXT_LENGTH {
        return text;
    }
    match text.char_indices().nth(TEXT_LENGTH) {
        None => text,
        Some((end, _)) => {
            let whole = TEXT_LENGTH + text[end..].chars().count();
            format!(
                "{}\n[cut at {TEXT_LENGTH} of {whole} characters: narrow the call, for example by a filter or a smaller limit]",
                &text[..end]
            )
        }
    }
}

fn blocks(content: &[Block]) -> Vec<ContentBlock> {
    content
        .iter()
        .map(|block| {
            let json = json!(block);
            serde_json::from_value(json.clone())
                .unwrap_or_else(|_unknown| ContentBlock::text(json.to_string()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(result: &CallToolResult) -> String {
        json!(result)["content"][0]["text"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn texts_are_cut_with_a_hint_and_the_structured_form_is_whole() {
        let long = "ü".repeat(TEXT_LENGTH);
        let result = structured(json!({ "long": long }));
        let shown = text(&result);
        assert!(shown.starts_with("{\"long\":\"üü"));
        assert!(shown.ends_with("smaller limit]"), "no hint");
        assert_eq!(shown.lines().next().unwrap().chars().count(), TEXT_LENGTH);
        assert_eq!(result.structured_content.unwrap()["long"], long);
        let short = structured(json!({ "a": 1 }));
        assert_eq!(text(&short), "{\"a\":1}");
    }

    #[test]
    fn case_177_data_that_is_no_object_is_wrapped() {
        let id = "demo.count".parse().unwrap();
        let result = own(&Envelope::local(json!(3), &id));
        assert_eq!(result.structured_content, Some(json!({ "value": 3 })));
        assert_eq!(text(&result), "3");
        assert_eq!(json!(result)["_meta"]["operationId"], "demo.count");
    }

    #[test]
    fn blocks_of_an_mcp_answer_are_handed_on_as_they_are() {
        let block = Block::Image {
            data: "aGk=".to_owned(),
            mime_type: "image/png".to_owned(),
            annotations: None,
        };
        let result = json!(own(&Envelope::mcp(json!({ "a": 1 }), false, vec![block])));
        assert_eq!(result["content"][0]["type"], "image");
        assert_eq!(result["content"][0]["mimeType"], "image/png");
        assert_eq!(result["structuredContent"], json!({ "a": 1 }));
        assert!(result["_meta"].get("content").is_none());
    }

    #[test]
    fn failures_say_code_and_message() {
        let error = CallError::not_found("no such task").with_detail("hint", "look");
        let id = RequestId::random();
        let result = json!(failed(&error, &id));
        assert_eq!(result["isError"], true);
        assert_eq!(result["content"][0]["text"], "NOT_FOUND: no such task");
        let told = &result["structuredContent"];
        assert_eq!(told["error"]["code"], "NOT_FOUND");
        assert_eq!(told["error"]["details"]["hint"], "look");
        assert_eq!(told["requestId"], id.as_str());
        let own = json!(own_failed(&error, &id));
        assert!(own.get("structuredContent").is_none());
        assert_eq!(own["_meta"]["error"]["code"], "NOT_FOUND");
    }
}
