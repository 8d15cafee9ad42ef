//! The reference page: the OpenAPI document for people.

use maud::{Markup, html};
use serde_json::Value;

use super::example::example;
use super::types::{Written, fields, prose, resolve, type_of};
use super::{Page, wrap};

/// The page of a document made by [`crate::openapi::document`].
pub(crate) fn reference(document: &Value) -> Page {
    let groups = by_namespace(document);
    let server = text(document, "/servers/0/url");
    let body = html! {
        div.frame {
            nav aria-label="Operations" {
                strong { a href="#top" { "alkhub" } }
                @for (namespace, operations) in &groups {
                    h2 { (namespace) }
                    ul {
                        @for operation in operations {
                            li { a href={ "#" (operation.id) } { (operation.id) } }
                        }
                    }
                }
                h2 { a href="#errors" { "Common errors" } }
                h2 { a href="#types" { "Types" } }
            }
            main #top {
                h1 { "alkhub operations" }
                p.facts { "Version " (text(document, "/info/version")) }
                p { (prose(text(document, "/info/description"))) }
                p { "The examples read the key from the file " code { "KEY_FILE" } "; on the hub's own machine that is " code { "local-key" } " in the data directory." }
                @for (namespace, operations) in &groups {
                    section {
                        h2 #{ "namespace-" (namespace) } { (namespace) }
                        @for operation in operations { (article(document, server, operation)) }
                    }
                }
                (common_errors(document))
                (types(document))
            }
        }
    };
    wrap("alkhub operations", body)
}

struct Operation<'a> {
    id: &'a str,
    /// Path below the server's address.
    path: &'a str,
    post: &'a Value,
    /// Whether `GET` takes it as well.
    get: bool,
}

fn by_namespace(document: &Value) -> Vec<(&str, Vec<Operation<'_>>)> {
    let mut groups: Vec<(&str, Vec<Operation<'_>>)> = document
        .get("tags")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|tag| (text(tag, "/name"), Vec::new()))
        .collect();
    let paths = document.get("paths").and_then(Value::as_object);
    for (path, item) in paths.into_iter().flatten() {
        let Some(post) = item.get("post") else {
            continue;
        };
        let operation = Operation {
            id: text(post, "/operationId"),
            path,
            post,
            get: item.get("get").is_some(),
        };
        let namespace = text(post, "/tags/0");
        if let Some((_, operations)) = groups.iter_mut().find(|(name, _)| *name == namespace) {
            operations.push(operation);
        }
    }
    groups
}

fn article(document: &Value, server: &str, operation: &Operation<'_>) -> Markup {
    let Operation {
        id,
        path,
        post,
        get,
    } = operation;
    let kind = text(post, "/x-alkhub-type");
    let input = post.pointer("/requestBody/content/application~1json/schema");
    let is_stream = kind == "subscription";
    let output = post.pointer(if is_stream {
        "/responses/200/content/text~1event-stream/x-alkhub-item/properties/data"
    } else {
        "/responses/200/content/application~1json/schema/properties/data"
    });
    let sent = input.map_or(Value::Null, |input| example(document, input));
    html! {
        article #(id) {
            h3 { a href={ "#" (id) } { (id) } span class={ "kind " (kind) } { (kind) } }
            @if let Some(title) = post.get("summary").and_then(Value::as_str) { p { strong { (title) } } }
            p { (prose(text(post, "/description"))) }
            p.facts {
                code { "POST " (path) }
                @if *get { " or " code { "GET" } " with query parameters" }
                ". " (scopes(post))
            }
            h4 { "Input" }
            @match input.and_then(|input| fields(document, input, Written::ByCaller)) {
                Some(table) => (table),
                None => p.facts { "None." },
            }
            h4 { @if is_stream { "Each item" } @else { "Output" } }
            @match output {
                Some(output) => (value(document, output)),
                None => p.facts { "None." },
            }
            h4 { "Example" }
            pre { code { (curl(server, path, &sent, is_stream)) } }
            @if !is_stream { pre { code { (command_line(id, &sent)) } } }
            h4 { "Errors" }
            (errors(document, post))
        }
    }
}

fn value(document: &Value, schema: &Value) -> Markup {
    let is_named = schema.get("$ref").is_some();
    match fields(document, schema, Written::ByHub).filter(|_| !is_named) {
        Some(table) => table,
        None => html! { p { (type_of(schema)) } },
    }
}

fn scopes(post: &Value) -> Markup {
    let all = list(post, "x-alkhub-scopes");
    let any = list(post, "x-alkhub-scopes-any");
    let open = post
        .get("security")
        .and_then(Value::as_array)
        .is_some_and(Vec::is_empty);
    html! {
        @if open {
            "Needs no key."
        } @else if all.is_empty() && any.is_empty() {
            "Needs a key, no scope."
        } @else {
            "Needs "
            @for (index, scope) in all.iter().enumerate() {
                @if index > 0 { " and " }
                code { (scope) }
            }
            @if !any.is_empty() {
                @if !all.is_empty() { " and " }
                "one of "
                @for (index, scope) in any.iter().enumerate() {
                    @if index > 0 { ", " }
                    code { (scope) }
                }
            }
            "."
        }
    }
}

/// The failures an operation declares; those every operation can end with stand in one table.
fn errors(document: &Value, post: &Value) -> Markup {
    let common = common_failures(document);
    let responses = post.get("responses").and_then(Value::as_object);
    let own: Vec<Failure<'_>> = responses
        .into_iter()
        .flatten()
        .filter(|(status, _)| status.as_str() != "200")
        .flat_map(|(status, response)| failures(status, resolve(document, response)))
        .filter(|failure| !common.contains(failure))
        .collect();
    html! {
        @if !own.is_empty() { (failure_table(&own)) }
        p.facts {
            @if own.is_empty() { "The " } @else { "Beside the " }
            a href="#errors" { "common ones" }
            "."
        }
    }
}

fn common_errors(document: &Value) -> Markup {
    html! {
        section {
            h2 #errors { "Common errors" }
            article {
                p { "Every operation can end with these." }
                (failure_table(&common_failures(document)))
            }
        }
    }
}

#[derive(PartialEq, Eq)]
struct Failure<'a> {
    status: &'a str,
    code: &'a str,
    when: &'a str,
}

fn common_failures(document: &Value) -> Vec<Failure<'_>> {
    let responses = document
        .pointer("/components/responses")
        .and_then(Value::as_object);
    responses
        .into_iter()
        .flatten()
        .flat_map(|(name, response)| failures(name.trim_start_matches("Error"), response))
        .collect()
}

/// A paragraph a failure, as [`crate::openapi`] describes them.
fn failures<'a>(status: &'a str, response: &'a Value) -> impl Iterator<Item = Failure<'a>> {
    text(response, "/description")
        .split("\n\n")
        .map(move |line| {
            let (code, when) = line.split_once(": ").unwrap_or(("", line));
            Failure {
                status,
                code: code.trim_matches('`'),
                when,
            }
        })
}

fn failure_table(failures: &[Failure<'_>]) -> Markup {
    html! {
        div.table {
            table {
                thead { tr { th { "Status" } th { "Code" } th { "When" } } }
                tbody {
                    @for failure in failures {
                        tr {
                            td { (failure.status) }
                            td { code { (failure.code) } }
                            td { (prose(failure.when)) }
                        }
                    }
                }
            }
        }
    }
}

fn types(document: &Value) -> Markup {
    let schemas = document
        .pointer("/components/schemas")
        .and_then(Value::as_object);
    html! {
        section {
            h2 #types { "Types" }
            @for (name, schema) in schemas.into_iter().flatten() {
                article #{ "type-" (name) } {
                    h3 { a href={ "#type-" (name) } { (name) } }
                    @if let Some(description) = schema.get("description").and_then(Value::as_str) {
                        p { (prose(description)) }
                    }
                    @match fields(document, schema, Written::ByCaller) {
                        Some(table) => (table),
                        None => p { (type_of(schema)) },
                    }
                }
            }
        }
    }
}

fn curl(server: &str, path: &str, input: &Value, is_stream: bool) -> String {
    let server = if server == "/" { "http://HUB" } else { server };
    let data = if is_empty(input) {
        " -X POST".to_owned()
    } else {
        format!(" \\\n  --json {}", quoted(&input.to_string()))
    };
    let stream = if is_stream {
        "-N -H \"Accept: text/event-stream\" "
    } else {
        ""
    };
    format!("curl {stream}-H \"Authorization: Bearer $(cat KEY_FILE)\" {server}{path}{data}")
}

fn command_line(id: &str, input: &Value) -> String {
    if is_empty(input) {
        format!("alkhub call {id}")
    } else {
        format!("alkhub call {id} --input {}", quoted(&input.to_string()))
    }
}

fn is_empty(input: &Value) -> bool {
    match input {
        Value::Object(members) => members.is_empty(),
        Value::Null => true,
        _ => false,
    }
}

/// Quoted for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn list<'a>(value: &'a Value, name: &str) -> Vec<&'a str> {
    match value.get(name) {
        Some(Value::Array(entries)) => entries.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_the_document_is_escaped() {
        let document = serde_json::json!({
            "info": { "title": "alkhub", "version": "1", "description": "<script>alert(1)</script>" },
            "servers": [{ "url": "http://127.0.0.1:1" }],
            "tags": [],
            "paths": {},
            "components": { "schemas": {} },
        });
        let page = reference(&document);
        assert!(!page.text.contains("<script>"));
        assert!(page.text.contains("&lt;script&gt;"));
    }

    #[test]
    fn input_is_quoted_for_the_shell() {
        let line = command_line("task.create", &serde_json::json!({ "title": "Ada's" }));
        assert_eq!(
            line,
            "alkhub call task.create --input '{\"title\":\"Ada'\\''s\"}'"
        );
    }
}
