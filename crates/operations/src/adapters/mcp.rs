//! Tools of an MCP server as operations, their results as answers.
//!
//! Tools and results are taken as JSON, as they stand in the protocol's messages.

mod blocks;

pub use blocks::blocks;

use serde_json::{Map, Value, json};

use super::names::Names;
use super::{ImportOptions, Refused, cut, version};
use crate::envelope::{Block, Envelope, Source};
use crate::error::{CallError, ErrorCode};
use crate::issue::Issue;
use crate::names::OperationId;
use crate::schema::Schema;
use crate::spec::{OperationSpec, OperationType, SpecExt, SpecOwner};

/// Most tools of one server.
pub const MOST_TOOLS: usize = 2_000;
/// How much of the blocks of a failed tool is told, in bytes.
pub const CONTENT_SHOWN: usize = 60 * 1024;
/// Longest message of a failed tool, in bytes.
const MESSAGE_BYTES: usize = 4 * 1024;
/// Largest `annotations` that are kept, in bytes.
const ANNOTATION_BYTES: usize = 8 * 1024;

/// The protocol's code for bad parameters.
const INVALID_PARAMS: i64 = -32_602;
/// The protocol's code for a method nobody knows.
const METHOD_NOT_FOUND: i64 = -32_601;

/// What a server says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A tool made an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedTool {
    /// What it is.
    pub spec: OperationSpec,
    /// The server's name of it, which calls are sent under.
    pub tool: String,
}

/// One tool of a list as an operation.
///
/// # Errors
/// [`Refused`] when it has no name, or its schemas or other parts are not taken.
pub fn import_tool(
    tool: &Value,
    server: &ServerInfo,
    options: &ImportOptions,
    names: &mut Names,
) -> Result<ImportedTool, Refused> {
    let text = |key: &str| tool.get(key).and_then(Value::as_str);
    let source = text("name").filter(|name| !name.is_empty());
    let Some(source) = source else {
        return Err(Refused::new("", "the tool has no name"));
    };
    let refuse = |why: String| Refused::new(source, why);
    let annotations = tool.get("annotations").unwrap_or(&Value::Null);
    let hint = |name: &str| annotations.get(name).and_then(Value::as_bool);
    let reads = hint("readOnlyHint") == Some(true);
    let title = text("title").or_else(|| annotations.get("title").and_then(Value::as_str));
    let input = tool
        .get("inputSchema")
        .cloned()
        .unwrap_or(json!({ "type": "object" }));
    let input_schema = Schema::new(input)
        .map_err(|why| refuse(format!("the input schema is not taken: {why}")))?;
    let output_schema = match tool.get("outputSchema") {
        None | Some(Value::Null) => Schema::any(),
        Some(schema) => Schema::new(schema.clone())
            .map_err(|why| refuse(format!("the output schema is not taken: {why}")))?,
    };
    let mut meta = Map::new();
    let mut put = |key: &str, value: Value| meta.insert(key.to_owned(), value);
    put("sourceName", json!(cut(source, 500)));
    put("client", json!(options.client));
    if let Some(title) = title {
        put("title", json!(cut(title, 200)));
    }
    if annotations.is_object() && annotations.to_string().len() <= ANNOTATION_BYTES {
        put("annotations", annotations.clone());
    }
    let idempotent = match (reads, hint("idempotentHint")) {
        (true, _) => Some(true),
        (false, hint) => hint,
    };
    let spec = OperationSpec {
        namespace: options.namespace.clone(),
        name: names.take(source),
        version: version(match server.version.trim() {
            "" => "1.0.0",
            text => text,
        }),
        kind: match reads {
            true => OperationType::Query,
            false => OperationType::Mutation,
        },
        title: title.map(|title| cut(title, 200)),
        description: cut(text("description").unwrap_or_default(), 4_000),
        tags: Vec::new(),
        input_schema,
        output_schema,
        error_schemas: Vec::new(),
        access_control: options.access_control(),
        meta: Some(meta),
        ext: SpecExt {
            idempotent,
            timeout: options.timeout,
            ..SpecExt::default()
        },
    };
    spec.check(SpecOwner::Foreign)
        .map_err(|error| refuse(error.to_string()))?;
    Ok(ImportedTool {
        spec,
        tool: source.to_owned(),
    })
}

/// The result of a tool as an answer: its structured content, else its blocks.
///
/// # Errors
/// `EXECUTION_ERROR` when the server calls it an error; `OUTPUT_INVALID` when the tool has an output
/// schema and the result no structured content.
pub fn tool_answer(
    operation: &OperationId,
    tool: &str,
    server: &str,
    has_output_schema: bool,
    result: &Value,
) -> Result<Envelope, CallError> {
    let content = blocks(result.get("content").unwrap_or(&Value::Null));
    if result.get("isError") == Some(&Value::Bool(true)) {
        return Err(failure(operation, tool, server, &content));
    }
    let structured = result
        .get("structuredContent")
        .filter(|structured| !structured.is_null());
    let data = match structured {
        Some(structured) => structured.clone(),
        None if has_output_schema => {
            let message = "is missing, although the tool declares what it answers";
            let issue = Issue::new("/structuredContent", "required", message);
            return Err(CallError::output_invalid(operation, vec![issue]));
        }
        None => json!(content),
    };
    let source = Source::Mcp {
        is_error: false,
        content,
        structured_content: structured.cloned(),
        meta: result.get("_meta").cloned(),
    };
    Ok(Envelope::of(data, source))
}

/// An error of the protocol instead of a result.
///
/// `OPERATION_NOT_FOUND` says that the server no longer has the tool.
#[must_use]
pub fn rpc_failure(operation: &OperationId, code: i64, message: &str) -> CallError {
    // Servers tell of a tool they do not have under either code; only the words part it from bad
    // parameters.
    let lower = message.to_ascii_lowercase();
    let unknown_tool = lower.contains("tool")
        && ["unknown", "not found", "no such", "does not exist"]
            .iter()
            .any(|words| lower.contains(words));
    match code {
        METHOD_NOT_FOUND | INVALID_PARAMS if unknown_tool => {
            CallError::operation_not_found(operation.as_str())
        }
        INVALID_PARAMS => CallError::validation_rule("invalid_params", shortened(message)),
        _ => CallError::new(ErrorCode::EXECUTION_ERROR, shortened(message))
            .with_details(json!({ "rpcCode": code })),
    }
}

fn failure(operation: &OperationId, tool: &str, server: &str, content: &[Block]) -> CallError {
    let texts: Vec<String> = content
        .iter()
        .map(|block| match block {
            Block::Text { text, .. } => text.clone(),
            other => json!(other).to_string(),
        })
        .collect();
    let namespace = operation.namespace();
    let message = format!(
        "MCP tool {namespace}.{tool} returned error: {}",
        texts.join("; ")
    );
    let mut shown = Vec::new();
    let mut bytes = 0;
    for block in content {
        let block = json!(block);
        bytes += block.to_string().len();
        if bytes > CONTENT_SHOWN {
            break;
        }
        shown.push(block);
    }
    let mut details = json!({
        "toolName": tool, "serverName": server, "isError": true, "content": shown,
    });
    if shown.len() < content.len() {
        details["contentCut"] = json!(true);
    }
    CallError::new(ErrorCode::EXECUTION_ERROR, shortened(&message)).with_details(details)
}

fn shortened(text: &str) -> String {
    let end = (0..=MESSAGE_BYTES.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    text[..end].to_owned()
}
