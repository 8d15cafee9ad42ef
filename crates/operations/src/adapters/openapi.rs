//! OpenAPI documents of versions 3.0 and 3.1 as operations.
//!
//! Each operation becomes a spec of one flat input and a plan of its request. Schemas are not
//! converted, but for what 3.0 writes otherwise than JSON Schema; what they refer to goes to `$defs`
//! of the operation, and recursion stays recursion.

mod document;
mod parameters;
mod responses;
mod schemas;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::http::{HttpPlan, Method};
use super::names::Names;
use super::{ImportOptions, MOST_OPERATIONS, Refused, cut, version, yaml};
use crate::names::OperationName;
use crate::schema::Schema;
use crate::spec::{JsonObject, OperationSpec, OperationType, SpecExt, SpecOwner};
use document::Document;
use schemas::Schemas;

/// Largest document, in bytes.
pub const DOCUMENT_BYTES: usize = 20 * 1024 * 1024;

/// Methods of a path item in the order in which names are given.
const METHODS: [(&str, Method); 6] = [
    ("get", Method::Get),
    ("post", Method::Post),
    ("put", Method::Put),
    ("patch", Method::Patch),
    ("delete", Method::Delete),
    ("head", Method::Head),
];

/// Why a text is not imported at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Over [`DOCUMENT_BYTES`].
    #[error("the document has {bytes} bytes, the limit is {DOCUMENT_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Neither JSON nor YAML.
    #[error("line {line}: the document is neither JSON nor YAML: {message}")]
    Syntax {
        /// What the parser says.
        message: String,
        /// Where, counted from 1.
        line: usize,
    },
    /// Not of a version that is read.
    #[error(
        "the document is {found}; OpenAPI 3.0 and 3.1 are imported. Convert it first, for example \
         with a converter from Swagger 2.0 to OpenAPI 3"
    )]
    Version {
        /// What it says it is.
        found: String,
    },
    /// It has no object `paths`.
    #[error("the document has no paths")]
    NoPaths,
    /// Over [`MOST_OPERATIONS`].
    #[error("the document has more than {MOST_OPERATIONS} operations")]
    TooManyOperations,
}

/// An operation of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedOperation {
    /// What it is.
    pub spec: OperationSpec,
    /// How it is asked.
    pub plan: HttpPlan,
}

/// What a document gives.
#[derive(Debug, Default)]
pub struct Import {
    /// The operations, in the order of paths and methods.
    pub operations: Vec<ImportedOperation>,
    /// What is not imported.
    pub refused: Vec<Refused>,
}

/// Reads a document, JSON or YAML, and makes operations of it.
///
/// # Errors
/// [`DocumentError`] when there is nothing to import from; an operation that cannot be taken is among
/// [`Import::refused`].
pub fn import(text: &str, options: &ImportOptions) -> Result<Import, DocumentError> {
    import_chosen(text, options, |_name| true)
}

/// As [`import`], of the operations whose fitted name is chosen. The others are neither imported nor
/// refused, and keep their numbers in a clash of names.
///
/// # Errors
/// As [`import`].
pub fn import_chosen(
    text: &str,
    options: &ImportOptions,
    chosen: impl Fn(&str) -> bool,
) -> Result<Import, DocumentError> {
    let root = read(text)?;
    let document = Document::new(&root)?;
    let mut schemas = Schemas::new(&document);
    let mut names = Names::default();
    let mut import = Import::default();
    let info = root.get("info").unwrap_or(&Value::Null);
    let stated_version = info
        .get("version")
        .and_then(Value::as_str)
        .unwrap_or("1.0.0");
    let mut count = 0;
    for (path, item) in document.paths() {
        let item = match document.resolved(item) {
            Ok(item) => item,
            Err(why) => {
                import.refused.push(Refused::new(path, why));
                continue;
            }
        };
        for (key, method) in METHODS {
            let Some(operation) = item.get(key).filter(|found| found.is_object()) else {
                continue;
            };
            count += 1;
            if count > MOST_OPERATIONS {
                return Err(DocumentError::TooManyOperations);
            }
            let source = source_name(operation, key, path);
            let name = names.take(&source);
            if !chosen(name.as_str()) {
                continue;
            }
            let told = operation.get("operationId").and_then(Value::as_str);
            let told = told.map_or_else(|| format!("{method} {path}"), str::to_owned);
            let part = Part {
                document: &document,
                options,
                stated_version,
                method,
                path,
                item,
                operation,
                source,
            };
            match part.imported(name, &mut schemas) {
                Ok(operation) => import.operations.push(operation),
                Err(why) => import.refused.push(Refused::new(told, why)),
            }
        }
    }
    Ok(import)
}

/// One operation of a document.
struct Part<'d> {
    document: &'d Document<'d>,
    options: &'d ImportOptions,
    stated_version: &'d str,
    method: Method,
    path: &'d str,
    item: &'d Value,
    operation: &'d Value,
    source: String,
}

impl Part<'_> {
    fn imported(
        self,
        name: OperationName,
        schemas: &mut Schemas<'_>,
    ) -> Result<ImportedOperation, String> {
        check_path(self.path)?;
        let input = parameters::read(&self, schemas)?;
        let output = responses::read(&self, schemas)?;
        let text = |key: &str| {
            self.operation
                .get(key)
                .and_then(Value::as_str)
                .map(str::trim)
                .filter(|text| !text.is_empty())
        };
        let kind = self.kind(output.streams)?;
        let summary = text("summary");
        let description = text("description").or(summary).map_or_else(
            || format!("{} {}", self.method, self.path),
            |text| cut(text, 4_000),
        );
        let mut meta = self.meta(summary);
        let input_schema = compiled(schemas, &input.schema)
            .map_err(|why| format!("the input schema is not taken: {why}"))?;
        // The service's answers are its own: one that cannot be checked is no reason to do without.
        let output_schema = compiled(schemas, &output.schema).unwrap_or_else(|why| {
            meta.insert("outputUnchecked".to_owned(), json!(cut(&why, 300)));
            Schema::any()
        });
        let spec = OperationSpec {
            namespace: self.options.namespace.clone(),
            name,
            version: version(self.stated_version),
            kind,
            title: summary.map(|text| cut(text, 200)),
            description,
            tags: self.tags(),
            input_schema,
            output_schema,
            error_schemas: output.errors,
            access_control: self.options.access_control(),
            meta: Some(meta),
            ext: SpecExt {
                timeout: self.options.timeout,
                ..SpecExt::default()
            },
        };
        spec.check(SpecOwner::Foreign)
            .map_err(|error| error.to_string())?;
        let plan = HttpPlan {
            method: self.method,
            path: self.path.to_owned(),
            parameters: input.parameters,
            body: input.body,
            declared: output.declared,
            stream: kind == OperationType::Subscription,
        };
        Ok(ImportedOperation { spec, plan })
    }

    fn kind(&self, streams: bool) -> Result<OperationType, String> {
        if let Some(said) = self.operation.get("x-alkhub-type") {
            let kind = said.as_str().and_then(|text| text.parse().ok());
            return kind
                .ok_or_else(|| "x-alkhub-type must be query, mutation or subscription".to_owned());
        }
        Ok(match self.method {
            _ if streams => OperationType::Subscription,
            Method::Get | Method::Head => OperationType::Query,
            _ => OperationType::Mutation,
        })
    }

    fn meta(&self, summary: Option<&str>) -> JsonObject {
        let mut meta = Map::new();
        let mut put = |key: &str, value: Value| {
            meta.insert(key.to_owned(), value);
        };
        put("method", json!(self.method));
        put("path", json!(cut(self.path, 1_000)));
        if let Some(summary) = summary {
            put("summary", json!(cut(summary, 500)));
        }
        put("sourceName", json!(cut(&self.source, 500)));
        put("client", json!(self.options.client));
        if self.operation.get("deprecated") == Some(&Value::Bool(true)) {
            put("deprecated", json!(true));
        }
        if semver::Version::parse(self.stated_version).is_err() {
            put("sourceVersion", json!(cut(self.stated_version, 200)));
        }
        meta
    }

    fn tags(&self) -> Vec<String> {
        let given = self.operation.get("tags").and_then(Value::as_array);
        let mut tags: Vec<String> = Vec::new();
        for tag in given.into_iter().flatten().filter_map(Value::as_str) {
            let fits =
                !tag.is_empty() && tag.chars().count() <= 64 && !tag.chars().any(char::is_control);
            if fits && tags.len() < 50 && !tags.iter().any(|known| known == tag) {
                tags.push(tag.to_owned());
            }
        }
        tags
    }
}

/// A schema with what it refers to, compiled.
fn compiled(schemas: &mut Schemas<'_>, schema: &Value) -> Result<Schema, String> {
    let whole = schemas.with_definitions(schema.clone())?;
    schemas.compiled(whole)
}

/// How a document calls an operation: its id, else `{method}_{parts}` with `by_{name}` for parameters.
fn source_name(operation: &Value, method: &str, path: &str) -> String {
    let id = operation.get("operationId").and_then(Value::as_str);
    if let Some(id) = id.filter(|id| !id.trim().is_empty()) {
        return id.to_owned();
    }
    let mut parts: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let inner = part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'));
            inner.map_or_else(|| part.to_owned(), |name| format!("by_{name}"))
        })
        .collect();
    if parts.is_empty() {
        parts.push("root".to_owned());
    }
    format!("{method}_{}", parts.join("_"))
}

/// A path that means what it says: nothing in it leads out of its place, or makes it a query.
fn check_path(path: &str) -> Result<(), String> {
    let plain = path.starts_with('/')
        && !path.contains(['?', '#', '\\'])
        && !path
            .chars()
            .any(|character| character.is_control() || character.is_whitespace());
    let steps = |segment: &str| {
        let decoded = segment.to_ascii_lowercase().replace("%2e", ".");
        decoded == "." || decoded == ".."
    };
    if plain && !path.split('/').any(steps) {
        Ok(())
    } else {
        Err("the path must begin with / and hold no query, fragment, blank, . or ..".to_owned())
    }
}

fn read(text: &str) -> Result<Value, DocumentError> {
    if text.len() > DOCUMENT_BYTES {
        return Err(DocumentError::TooLarge { bytes: text.len() });
    }
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if text.trim_start().starts_with('{') {
        match serde_json::from_str(text) {
            Ok(root) => return Ok(root),
            // A flow mapping of YAML begins the same way.
            Err(error) => {
                return yaml::read(text).map_err(|_also_no_yaml| DocumentError::Syntax {
                    message: error.to_string(),
                    line: error.line(),
                });
            }
        }
    }
    yaml::read(text).map_err(|error| DocumentError::Syntax {
        message: error.message,
        line: error.line,
    })
}

/// Members of an object by name; none of what is no object.
fn members(value: Option<&Value>) -> BTreeMap<&str, &Value> {
    let object = value.and_then(Value::as_object);
    object
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
        .collect()
}
