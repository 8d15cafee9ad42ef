//! What a service has to offer, read from its document or its list of tools.

use std::sync::Arc;

use alkhub_operations::adapters::names::Names;
use alkhub_operations::adapters::openapi::{self, DOCUMENT_BYTES, DocumentError};
use alkhub_operations::adapters::{ImportOptions, Refused, mcp};
use alkhub_operations::{CallError, ErrorCode, ErrorDefinition, Namespace, OperationSpec, Schema};
use alkhub_storage::entity::clients;

use super::{not_importable, unsupported};
use crate::clients::offers::Binding;
use crate::clients::types::{self, ClientConfig, Custom, McpServer, free_namespace, service_url};
use crate::error::HubError;
use crate::state::State;

/// An operation that may be imported.
pub(super) struct Candidate {
    pub(super) spec: OperationSpec,
    pub(super) binding: Binding,
}

/// All of them.
pub(super) struct Candidates {
    pub(super) namespace: Namespace,
    pub(super) offered: Vec<Candidate>,
    pub(super) refused: Vec<Refused>,
    /// What the caller asked about.
    pub(super) filter: Vec<String>,
}

/// Reads what a client's service offers.
///
/// # Errors
/// `UNPROCESSABLE` `not_importable`, `FORBIDDEN`, `UNSUPPORTED`, `VALIDATION_ERROR`, and those of
/// reaching the service.
pub(super) async fn gather(
    state: &Arc<State>,
    row: &clients::Model,
    namespace: Option<&str>,
    filter: &[String],
    source: Option<&str>,
) -> Result<Candidates, HubError> {
    let config = types::of_row(row.kind, &row.config);
    let Some(config) = config else {
        let message = "the stored configuration does not fit its type any more; update it first";
        return Err(CallError::conflict("config", message).into());
    };
    let (configured, required_scopes) = match &config {
        ClientConfig::Mcp(config) => (&config.namespace, &config.required_scopes),
        ClientConfig::Custom(config) => (&config.namespace, &config.required_scopes),
        _ => return Err(not_importable().into()),
    };
    let mut issues = Vec::new();
    let namespace = namespace.unwrap_or(configured);
    free_namespace(namespace, "/namespace", &mut issues)?;
    let legal = Namespace::new(namespace)
        .map_err(|bad| CallError::validation_field("/namespace", "namespace", bad.to_string()))?;
    let options = ImportOptions {
        namespace: legal.clone(),
        client: row.name.clone(),
        required_scopes: required_scopes.clone(),
        timeout: match &config {
            ClientConfig::Custom(config) => Some(config.timeout()),
            _ => None,
        },
    };
    let (mut offered, refused) = match config {
        ClientConfig::Custom(config) => {
            let text = document(state, &config, source).await?;
            from_document(text, options, config, filter.to_vec()).await?
        }
        ClientConfig::Mcp(config) => {
            if source.is_some() {
                let message = "a document belongs to clients of the type custom";
                return Err(CallError::validation_field("/source", "source", message).into());
            }
            from_server(state, row, &options, config, filter).await?
        }
        _ => return Err(not_importable().into()),
    };
    for candidate in &mut offered {
        declare_secret_missing(&mut candidate.spec);
    }
    Ok(Candidates {
        namespace: legal,
        offered,
        refused,
        filter: filter.to_vec(),
    })
}

/// The text of a client's document: the one given, else the one at the configured address.
async fn document(
    state: &State,
    config: &Custom,
    source: Option<&str>,
) -> Result<String, CallError> {
    if let Some(text) = source {
        return Ok(text.to_owned());
    }
    let Some(address) = &config.openapi else {
        let message = "give the text of the document, or configure its address as openapi";
        return Err(CallError::validation_field("/source", "required", message));
    };
    let url = service_url(address)
        .map_err(|why| CallError::validation_field("/config/openapi", "url", why))?;
    state.services.fetch(&url, DOCUMENT_BYTES).await
}

async fn from_document(
    text: String,
    options: ImportOptions,
    config: Custom,
    filter: Vec<String>,
) -> Result<(Vec<Candidate>, Vec<Refused>), CallError> {
    // Large documents take a second of a processor's time, which other calls are not to wait for.
    let read = tokio::task::spawn_blocking(move || {
        openapi::import_chosen(&text, &options, |name| {
            chosen(name, &config.include, &config.exclude, &filter)
        })
    });
    let import = read
        .await
        .map_err(|problem| CallError::internal(&problem))?
        .map_err(|error| match error {
            DocumentError::Version { .. } => unsupported(error.to_string()),
            DocumentError::TooLarge { .. } => {
                CallError::new(ErrorCode::PAYLOAD_TOO_LARGE, error.to_string())
                    .with_detail("limit", DOCUMENT_BYTES)
            }
            other => CallError::validation_field("/source", "document", other.to_string()),
        })?;
    let offered = import
        .operations
        .into_iter()
        .map(|one| Candidate {
            spec: one.spec,
            binding: Binding::Http { plan: one.plan },
        })
        .collect();
    Ok((offered, import.refused))
}

async fn from_server(
    state: &State,
    row: &clients::Model,
    options: &ImportOptions,
    config: McpServer,
    filter: &[String],
) -> Result<(Vec<Candidate>, Vec<Refused>), CallError> {
    let (include, exclude) = (config.include.clone(), config.exclude.clone());
    let server = crate::clients::server_of(state, row, config).await;
    let (info, tools) = server.tools().await?;
    let mut names = Names::default();
    let (mut offered, mut refused) = (Vec::new(), Vec::new());
    for tool in &tools {
        match mcp::import_tool(tool, &info, options, &mut names) {
            Ok(imported) => {
                let name = imported.spec.name.as_str();
                if chosen(name, &include, &exclude, filter) {
                    let has_output_schema = !imported.spec.output_schema.accepts_anything();
                    offered.push(Candidate {
                        spec: imported.spec,
                        binding: Binding::Tool {
                            tool: imported.tool,
                            has_output_schema,
                        },
                    });
                }
            }
            Err(why) => refused.push(why),
        }
    }
    Ok((offered, refused))
}

/// True when configuration and caller want the operation.
pub(super) fn chosen(
    name: &str,
    include: &[String],
    exclude: &[String],
    filter: &[String],
) -> bool {
    let any = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, name));
    (include.is_empty() || any(include)) && !any(exclude) && (filter.is_empty() || any(filter))
}

/// A name, or a pattern in which `*` is any text.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|start| name.strip_prefix(start)) else {
        return false;
    };
    let Some(mut part) = parts.next() else {
        return rest.is_empty();
    };
    for next in parts {
        let Some((_, behind)) = rest.split_once(part) else {
            return false;
        };
        rest = behind;
        part = next;
    }
    rest.ends_with(part)
}

/// Callers may learn that a credential is missing as such, not as a fault of the service.
fn declare_secret_missing(spec: &mut OperationSpec) {
    let conflict = ErrorDefinition {
        code: ErrorCode::CONFLICT,
        description: "secret_missing: a credential the service asks for is not stored".to_owned(),
        schema: Schema::any(),
        http_status: None,
    };
    if spec.error_schemas.len() < 50 && spec.error(&ErrorCode::CONFLICT).is_none() {
        spec.error_schemas.push(conflict);
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, name, expected) in [
            ("*", "anything", true),
            ("repos_*", "repos_list", true),
            ("repos_*", "issues_list", false),
            ("*_list", "repos_list", true),
            ("re*_l*t", "repos_list", true),
            ("re*_x*t", "repos_list", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
