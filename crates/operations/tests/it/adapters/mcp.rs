use alkhub_operations::adapters::mcp::{ServerInfo, blocks, import_tool, rpc_failure, tool_answer};
use alkhub_operations::adapters::names::Names;
use alkhub_operations::envelope::Source;
use alkhub_operations::{
    CallError, Envelope, ErrorCode, OperationId, OperationSpec, OperationType,
};
use serde_json::{Value, json};

use super::options;

fn spec(tool: Value) -> OperationSpec {
    let server = ServerInfo {
        name: "files".to_owned(),
        version: "2.0.1".to_owned(),
    };
    import_tool(&tool, &server, &options(), &mut Names::default())
        .unwrap()
        .spec
}

fn answer(has_schema: bool, result: Value) -> Result<Envelope, CallError> {
    let id: OperationId = "pets.read".parse().unwrap();
    tool_answer(&id, "read", "files", has_schema, &result)
}

#[test]
fn tool_becomes_a_mutation_with_its_schemas_as_they_are() {
    let schema =
        json!({ "type": "object", "properties": { "path": { "type": ["string", "null"] } } });
    let spec = spec(
        json!({ "name": "read.file", "inputSchema": schema, "annotations": { "title": "Read" } }),
    );
    assert_eq!(spec.id().as_str(), "pets.read_file");
    assert_eq!(spec.kind, OperationType::Mutation);
    assert_eq!(spec.description, "");
    assert_eq!(spec.version.to_string(), "2.0.1");
    assert_eq!(spec.input_schema.json(), &schema);
    assert!(spec.output_schema.accepts_anything());
    assert_eq!(spec.title.as_deref(), Some("Read"));
    let meta = spec.meta.unwrap();
    assert_eq!(meta["sourceName"], "read.file");
    assert_eq!(meta["annotations"]["title"], "Read");
    assert_eq!(spec.access_control.required_scopes, ["client:call"]);
}

#[test]
fn case_214_read_only_hint_makes_a_query() {
    let reads = spec(json!({ "name": "a", "annotations": { "readOnlyHint": true } }));
    assert_eq!(reads.kind, OperationType::Query);
    assert!(reads.idempotent());
    let writes = spec(json!({ "name": "a", "annotations": { "idempotentHint": true } }));
    assert_eq!(writes.kind, OperationType::Mutation);
    assert!(writes.idempotent());
    assert!(!spec(json!({ "name": "a" })).idempotent());
}

#[test]
fn tool_that_cannot_be_taken_is_refused_with_its_reason() {
    let server = ServerInfo::default();
    let tool = json!({ "name": "a", "inputSchema": { "$ref": "https://example.org/schema" } });
    let refused = import_tool(&tool, &server, &options(), &mut Names::default()).unwrap_err();
    assert_eq!(refused.name, "a");
    assert!(refused.why.contains("leaves the schema"), "{}", refused.why);
    assert!(import_tool(&json!({}), &server, &options(), &mut Names::default()).is_err());
}

#[test]
fn case_205_structured_content_is_the_data() {
    let result = json!({ "content": [{ "type": "text", "text": "{}" }], "structuredContent": { "n": 1 },
        "_meta": { "x": 1 } });
    let envelope = answer(true, result).unwrap();
    assert_eq!(envelope.data, json!({ "n": 1 }));
    let Source::Mcp {
        is_error,
        content,
        structured_content,
        meta,
    } = envelope.meta.source
    else {
        panic!("an answer of MCP");
    };
    assert!(!is_error);
    assert_eq!(json!(content), json!([{ "type": "text", "text": "{}" }]));
    assert_eq!(structured_content, Some(json!({ "n": 1 })));
    assert_eq!(meta, Some(json!({ "x": 1 })));
}

#[test]
fn case_206_without_structured_content_the_blocks_are_the_data() {
    let result = json!({ "content": [{ "type": "text", "text": "hi" }] });
    let envelope = answer(false, result.clone()).unwrap();
    assert_eq!(envelope.data, json!([{ "type": "text", "text": "hi" }]));
    // What was promised must come.
    assert_eq!(
        answer(true, result).unwrap_err().code,
        ErrorCode::OUTPUT_INVALID
    );
}

#[test]
fn case_207_error_of_a_tool_joins_its_texts() {
    let result = json!({ "isError": true, "content": [
        { "type": "text", "text": "one" }, { "type": "text", "text": "two" } ] });
    let error = answer(true, result).unwrap_err();
    assert_eq!(error.code, ErrorCode::EXECUTION_ERROR);
    assert_eq!(error.message, "MCP tool pets.read returned error: one; two");
    let details = error.details.unwrap();
    assert_eq!(details["toolName"], "read");
    assert_eq!(details["serverName"], "files");
    assert_eq!(details["isError"], true);
    assert_eq!(details["content"].as_array().unwrap().len(), 2);
    let long = json!({ "isError": true, "content": [
        { "type": "text", "text": "é".repeat(100_000) } ] });
    let error = answer(false, long).unwrap_err();
    assert!(error.message.len() <= 4 * 1024);
    assert_eq!(error.details.unwrap()["contentCut"], true);
}

#[test]
fn case_208_what_is_no_known_block_becomes_its_json() {
    let odd = json!([{ "type": "video", "x": 1 }, null, 42, "s", true]);
    let texts: Vec<Value> = blocks(&odd)
        .iter()
        .map(|block| json!(block)["text"].clone())
        .collect();
    assert_eq!(
        json!(texts),
        json!([r#"{"type":"video","x":1}"#, "null", "42", "\"s\"", "true"])
    );
    assert!(blocks(&json!("none")).is_empty());
}

#[test]
fn case_209_missing_parts_of_blocks_are_filled() {
    let given = json!([
        { "type": "text" }, { "type": "image", "data": "AA==" }, { "type": "audio", "data": "AA==" },
        { "type": "resource", "resource": { "blob": "AA==" } }, { "type": "resource" },
        { "type": "resource_link", "uri": "file:///x", "name": "x", "annotations": { "priority": 1.0, "audience": 5 } },
    ]);
    assert_eq!(
        json!(blocks(&given)),
        json!([
            { "type": "text", "text": "" },
            { "type": "image", "data": "AA==", "mimeType": "application/octet-stream" },
            { "type": "audio", "data": "AA==", "mimeType": "audio/octet-stream" },
            { "type": "resource", "resource": { "uri": "", "blob": "AA==" } },
            { "type": "resource", "resource": { "uri": "" } },
            { "type": "resource_link", "uri": "file:///x", "name": "x", "annotations": { "priority": 1.0 } },
        ])
    );
}

#[test]
fn errors_of_the_protocol_are_told_apart() {
    let id: OperationId = "pets.read".parse().unwrap();
    assert_eq!(
        rpc_failure(&id, -32_602, "path must be a string").code,
        ErrorCode::VALIDATION_ERROR
    );
    assert_eq!(
        rpc_failure(&id, -32_602, "Unknown tool: read").code,
        ErrorCode::OPERATION_NOT_FOUND
    );
    assert_eq!(
        rpc_failure(&id, -32_602, "tool not found").code,
        ErrorCode::OPERATION_NOT_FOUND
    );
    let other = rpc_failure(&id, -32_603, "oops");
    assert_eq!(other.code, ErrorCode::EXECUTION_ERROR);
    assert_eq!(other.details.unwrap()["rpcCode"], -32_603);
}
