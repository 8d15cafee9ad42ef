//! `alkhub ops`.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use super::paging::Paging;
use crate::failure::Failure;
use crate::plan::Plan;
use crate::view::{View, column};

/// See which operations there are
///
/// Everything the hub does is an operation; the other commands are short forms of them. You see
/// those your key may call.
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  alkhub ops search \"ready tasks\"")]
pub(crate) enum Operations {
    /// List operations by name
    ///
    /// Those your key may call.
    #[command(after_help = "Example:\n  alkhub ops list --namespace task")]
    List(List),
    /// Find operations by words
    ///
    /// Looks at names, titles and descriptions; the best come first.
    #[command(after_help = "Example:\n  alkhub ops search \"import tasks\"")]
    Search(Search),
    /// Show what an operation takes and answers
    ///
    /// --json has its schemas whole.
    #[command(after_help = "Example:\n  alkhub ops show task.create")]
    Show(Show),
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct List {
    /// Only those of this namespace
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Only those of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = ["query", "mutation", "subscription"])]
    r#type: Option<String>,
    /// Only those offered by this kind of provider
    #[arg(long, value_name = "KIND", value_parser = ["hub", "spoke", "client"])]
    provider: Option<String>,
    /// Only those with this tag (may repeat)
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    #[command(flatten)]
    #[serde(flatten)]
    paging: Paging,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct Search {
    /// Words to look for
    query: String,
    /// At most this many [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=50))]
    limit: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Full name, such as task.create
    operation: String,
}

const LIST: View = View::Rows {
    at: "/items",
    columns: &[
        column("OPERATION", "/name"),
        column("TYPE", "/type"),
        column("VERSION", "/version"),
        column("WHAT IT DOES", "/description"),
    ],
    empty: "no operations",
};
const FOUND: View = View::Rows {
    at: "",
    columns: &[
        column("OPERATION", "/name"),
        column("TYPE", "/type"),
        column("SCORE", "/score"),
        column("WHAT IT DOES", "/description"),
    ],
    empty: "nothing found",
};
const SPEC: View = View::Sentence(describe);

impl Operations {
    pub(crate) fn plan(&self) -> Result<Plan, Failure> {
        match self {
            Operations::List(list) => Plan::new("operation.list", list, &LIST),
            Operations::Search(search) => Plan::new("operation.search", search, &FOUND),
            Operations::Show(show) => {
                Plan::new("operation.schema", &json!({"name": show.operation}), &SPEC)
            }
        }
    }
}

/// The specification in the answer of `operation.schema`, which may be one or a list of one.
pub(super) fn spec_of(data: &Value) -> &Value {
    let items = data.get("items").unwrap_or(data);
    items.get(0).unwrap_or(items)
}

fn describe(data: &Value) -> String {
    let spec = spec_of(data);
    let word = |name: &str| spec.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut lines = vec![
        format!(
            "{}.{}  {}  {}",
            word("namespace"),
            word("name"),
            word("type"),
            word("version")
        ),
        word("description").to_owned(),
        String::new(),
    ];
    let scopes = spec
        .pointer("/accessControl/requiredScopes")
        .and_then(Value::as_array);
    let scopes: Vec<&str> = scopes
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if !scopes.is_empty() {
        lines.push(format!("Scopes: {}", scopes.join(", ")));
    }
    let input = spec.get("inputSchema").unwrap_or(&Value::Null);
    let required: Vec<&str> = input
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    lines.push("Input:".to_owned());
    let properties = input.get("properties").and_then(Value::as_object);
    let rows: Vec<(String, String, &str)> = properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            let optional = if required.contains(&name.as_str()) {
                ""
            } else {
                "?"
            };
            let about = schema
                .get("description")
                .and_then(Value::as_str)
                .unwrap_or_default();
            (format!("{name}{optional}"), type_of(input, schema), about)
        })
        .collect();
    let width = |of: fn(&(String, String, &str)) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let (names, types) = (width(|row| row.0.len()), width(|row| row.1.len()).min(30));
    for (name, kind, about) in &rows {
        let about = about.lines().next().unwrap_or_default();
        lines.push(
            format!("  {name:names$}  {kind:types$}  {about}")
                .trim_end()
                .to_owned(),
        );
    }
    lines.push("--json has the schemas whole.".to_owned());
    lines.join("\n")
}

/// Names of the types a schema allows but `null`, which every optional field allows.
fn type_of(root: &Value, schema: &Value) -> String {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words = words.iter().filter_map(Value::as_str);
        return words.collect::<Vec<_>>().join("|");
    }
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return word.to_owned();
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = target
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer));
        return target.map_or_else(|| "any".to_owned(), |target| type_of(root, target));
    }
    let alternatives = ["anyOf", "oneOf"]
        .iter()
        .find_map(|name| schema.get(name)?.as_array());
    let names: Vec<String> = match (schema.get("type"), alternatives) {
        (Some(Value::String(one)), _) => vec![one.clone()],
        (Some(Value::Array(several)), _) => several
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        (_, Some(alternatives)) => alternatives.iter().map(|one| type_of(root, one)).collect(),
        _ => vec!["any".to_owned()],
    };
    let named: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| *name != "null")
        .collect();
    match (named.as_slice(), schema.get("items")) {
        (["array"], Some(items)) => format!("[{}]", type_of(root, items)),
        ([], _) => "null".to_owned(),
        (several, _) => several.join("|"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_through_references_and_alternatives() {
        let root = json!({"$defs": {"Level": {"oneOf": [{"const": "low"}, {"const": "high"}]}}});
        let cases = [
            (json!({"type": ["string", "null"]}), "string"),
            (
                json!({"type": "array", "items": {"type": "string"}}),
                "[string]",
            ),
            (
                json!({"anyOf": [{"$ref": "#/$defs/Level"}, {"type": "null"}]}),
                "low|high",
            ),
            (json!({"enum": ["a", "b"]}), "a|b"),
            (json!({}), "any"),
        ];
        for (schema, expected) in cases {
            assert_eq!(type_of(&root, &schema), expected, "{schema}");
        }
    }
}
