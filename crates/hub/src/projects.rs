//! Operations on projects.

mod lifecycle;
mod workspaces;

use std::sync::Arc;

use alkhub_operations::{CallError, Operation, OperationType, operation};
use alkhub_storage::entity::projects;
use alkhub_storage::enums::MembershipLevel;
use alkhub_storage::ids::{OrganizationId, ProjectId};
use alkhub_storage::projects::{self as queries, NewProject, ProjectChanges, ProjectFilter};
use alkhub_storage::time::format as to_wire;
use alkhub_storage::{ConnectionTrait, Scope};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::audit::{self, Action, Entry};
use crate::error::{HubError, NOT_FOUND};
use crate::page::{PageView, list_input};
use crate::rules::{self, Issues};
use crate::state::{Call, handle};

/// Longest directory or address, in characters.
const MAX_LOCATION: usize = 4_096;

pub(crate) fn operations() -> Vec<Operation> {
    let mut operations = vec![
        operation::<ProjectCreate, ProjectView>("project.create", OperationType::Mutation)
            .description("Makes a project: the caller's own, or one of an organization.")
            .scopes(&["project:write"])
            .error(
                "UNPROCESSABLE",
                "bad_repo_url: scheme not allowed, or credentials inside",
            )
            .handler(handle(create)),
        operation::<ProjectGet, ProjectDetails>("project.get", OperationType::Query)
            .description("One project by id, or by name when only one visible project has it.")
            .scopes(&["project:read"])
            .resource("project", "read")
            .error(
                "CONFLICT",
                "ambiguous_name: several visible projects have this name",
            )
            .handler(handle(get)),
        operation::<ProjectList, PageView<ProjectView>>("project.list", OperationType::Query)
            .description("The visible projects, newest first.")
            .scopes(&["project:read"])
            .handler(handle(list)),
        operation::<ProjectUpdate, ProjectView>("project.update", OperationType::Mutation)
            .description("Changes fields of a project; moving it needs admin on both sides.")
            .scopes(&["project:write"])
            .resource("project", "write")
            .error(
                "UNPROCESSABLE",
                "bad_repo_url: scheme not allowed, or credentials inside",
            )
            .handler(handle(update)),
    ];
    operations.extend(lifecycle::operations());
    operations.extend(workspaces::operations());
    operations
}

/// A project.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProjectView {
    /// Id of the project.
    id: ProjectId,
    /// Its organization; null for a personal project.
    org_id: Option<OrganizationId>,
    /// Shown name, not unique.
    name: String,
    /// Local path of the primary workspace.
    directory: Option<String>,
    /// Address of the git remote.
    repo_url: Option<String>,
    /// Version control system.
    vcs: Option<String>,
    /// Address of an icon.
    icon_url: Option<String>,
    /// Colour of the icon.
    icon_color: Option<String>,
    /// Notes; `archivedAt` says since when the project is archived.
    metadata: Map<String, Value>,
    /// When the row was made.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

impl From<&projects::Model> for ProjectView {
    fn from(row: &projects::Model) -> Self {
        Self {
            id: row.id.clone(),
            org_id: row.org_id.clone(),
            name: row.name.clone(),
            directory: row.directory.clone(),
            repo_url: row.repo_url.clone(),
            vcs: row.vcs.clone(),
            icon_url: row.icon_url.clone(),
            icon_color: row.icon_color.clone(),
            metadata: row.metadata.0.clone(),
            created_at: to_wire(row.created_at),
            updated_at: to_wire(row.updated_at),
        }
    }
}

/// A project with the numbers of what belongs to it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ProjectDetails {
    #[serde(flatten)]
    project: ProjectView,
    /// Rows that belong to the project.
    counts: Counts,
}

/// Rows of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Counts {
    /// Workspaces.
    workspaces: u64,
    /// Sessions.
    sessions: u64,
    /// Tasks.
    tasks: u64,
    /// Spokes bound to it.
    spokes: u64,
}

impl From<queries::ProjectCounts> for Counts {
    fn from(counts: queries::ProjectCounts) -> Self {
        let queries::ProjectCounts {
            workspaces,
            sessions,
            tasks,
            spokes,
        } = counts;
        Self {
            workspaces,
            sessions,
            tasks,
            spokes,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProjectCreate {
    /// Shown name, 1 to 200 characters.
    name: String,
    /// Organization it belongs to; personal when absent.
    org_id: Option<String>,
    /// Local path of the primary workspace.
    directory: Option<String>,
    /// Address of the git remote, without credentials.
    repo_url: Option<String>,
    /// Version control system.
    #[serde(default = "git")]
    vcs: String,
    /// Address of an icon.
    icon_url: Option<String>,
    /// Colour of the icon.
    icon_color: Option<String>,
    /// Notes, at most 16 KiB.
    metadata: Option<Map<String, Value>>,
}

fn git() -> String {
    "git".to_owned()
}

async fn create(call: Call, input: Arc<ProjectCreate>) -> Result<ProjectView, HubError> {
    let principal = call.principal()?;
    let mut issues = Issues::default();
    let name = issues
        .take(rules::name("/name", &input.name))
        .unwrap_or_default();
    let directory = location(&mut issues, "/directory", input.directory.as_ref());
    let repo_url = location(&mut issues, "/repoUrl", input.repo_url.as_ref());
    let vcs = issues.take(rules::name("/vcs", &input.vcs));
    let icon_url = location(&mut issues, "/iconUrl", input.icon_url.as_ref());
    let icon_color = location(&mut issues, "/iconColor", input.icon_color.as_ref());
    let none = Map::new();
    let given = input.metadata.as_ref().unwrap_or(&none);
    let mut metadata = issues
        .take_all(rules::metadata_patch("projects", &none, given))
        .unwrap_or_default();
    issues.finish()?;
    check_repo_url(&call, repo_url.as_deref())?;
    if principal.narrowing.ids("project").is_some() {
        // A key narrowed to projects creates nothing outside of them.
        return Err(CallError::not_found(NOT_FOUND).into());
    }
    let org_id = input.org_id.clone().map(OrganizationId::from);
    match &org_id {
        Some(organization) => require_member(&call, organization)?,
        None => {
            metadata.insert("ownerId".to_owned(), json!(principal.account.id));
        }
    }

    let new = NewProject {
        org_id,
        name,
        directory,
        repo_url,
        vcs,
        icon_url,
        icon_color,
        metadata: metadata.into(),
    };
    let transaction = call.begin().await?;
    let project = queries::create_project(&transaction, new).await?;
    let entry = about(&project);
    audit::write(&transaction, &call.actor()?, Action::ProjectCreated, entry).await?;
    transaction.commit().await?;
    Ok(ProjectView::from(&project))
}

/// An organization the caller is no member of is not visible, so it is not found.
fn require_member(call: &Call, organization: &OrganizationId) -> Result<(), HubError> {
    let principal = call.principal()?;
    let everywhere = principal.is_admin() && call.config().auth.admin_sees_all;
    let visible = principal.narrowing.allows("org", organization.as_ref())
        && (everywhere || principal.level_in(organization).is_some());
    if visible {
        Ok(())
    } else {
        Err(CallError::not_found(NOT_FOUND).into())
    }
}

fn location(issues: &mut Issues, field: &str, text: Option<&String>) -> Option<String> {
    text.and_then(|text| issues.take(rules::text(field, text, MAX_LOCATION)))
}

/// A remote may not carry credentials: it is shown to every member and written to logs of git.
fn check_repo_url(call: &Call, repo_url: Option<&str>) -> Result<(), HubError> {
    let Some(text) = repo_url else { return Ok(()) };
    let refuse = |why: String| -> HubError { CallError::unprocessable("bad_repo_url", why).into() };
    let schemes = &call.config().projects.repo_url_schemes;
    // The short form of ssh: user@host:path.
    if !text.contains("://") {
        let short_ssh = text.split_once(':').is_some_and(|(host, path)| {
            !path.is_empty() && !host.is_empty() && !host.contains(['/', ' ']) && host.contains('@')
        });
        return if short_ssh && schemes.iter().any(|scheme| scheme == "ssh") {
            Ok(())
        } else {
            Err(refuse(
                "this is no repository address: give a URL, or user@host:path".to_owned(),
            ))
        };
    }
    let url = url::Url::parse(text).map_err(|bad| refuse(format!("this is no URL: {bad}")))?;
    if !schemes.iter().any(|scheme| scheme == url.scheme()) {
        let allowed = schemes.join(", ");
        return Err(refuse(format!(
            "this scheme is not allowed here; allowed: {allowed}"
        )));
    }
    let user_is_plain = url.username().is_empty() || url.scheme() == "ssh";
    if url.password().is_some() || !user_is_plain {
        return Err(refuse(
            "the address carries credentials; take them out".to_owned(),
        ));
    }
    Ok(())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProjectGet {
    /// Id of the project.
    id: Option<String>,
    /// Its whole name, in the place of an id.
    name: Option<String>,
}

async fn get(call: Call, input: Arc<ProjectGet>) -> Result<ProjectDetails, HubError> {
    let scope = call.scope()?;
    let reader = call.database().reader();
    let project = match (&input.id, &input.name) {
        (Some(id), None) => visible(reader, &scope, id).await?,
        (None, Some(name)) => {
            let mut found = queries::projects_by_name(reader, &scope, name.trim()).await?;
            if found.len() > 1 {
                let ids: Vec<_> = found.iter().map(|project| project.id.clone()).collect();
                let message = "several projects have this name; give the id of one";
                return Err(CallError::conflict("ambiguous_name", message)
                    .with_detail("ids", json!(ids))
                    .into());
            }
            found.pop().ok_or_else(|| CallError::not_found(NOT_FOUND))?
        }
        _ => {
            return Err(
                CallError::validation_field("/id", "one_of", "give either id or name").into(),
            );
        }
    };
    let counts = queries::project_counts(reader, &project.id).await?.into();
    Ok(ProjectDetails {
        project: ProjectView::from(&project),
        counts,
    })
}

/// The project, if the caller may see it.
async fn visible(
    database: &impl ConnectionTrait,
    scope: &Scope,
    id: &str,
) -> Result<projects::Model, HubError> {
    queries::project_by_id(database, scope, &ProjectId::from(id.to_owned()))
        .await?
        .ok_or_else(|| CallError::not_found(NOT_FOUND).into())
}

list_input! {
    struct ProjectList {
        /// Only projects of this organization.
        org_id: Option<String>,
        /// A part of the name, in any case.
        search: Option<String>,
        /// Also archived projects.
        #[serde(default)]
        include_archived: bool,
    }
}

async fn list(call: Call, input: Arc<ProjectList>) -> Result<PageView<ProjectView>, HubError> {
    let filter = ProjectFilter {
        organization: input.org_id.clone().map(OrganizationId::from),
        search: input.search.clone(),
        include_archived: input.include_archived,
    };
    let reader = call.database().reader();
    let page = queries::list_projects(reader, &call.scope()?, &filter, &input.page()).await?;
    Ok(PageView::of(page, |row| ProjectView::from(&row)))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProjectUpdate {
    /// Id of the project.
    id: String,
    /// New name.
    name: Option<String>,
    /// Organization to move it to; null makes it personal.
    #[serde(default, deserialize_with = "rules::present")]
    org_id: Option<Option<String>>,
    /// New directory; null removes it.
    #[serde(default, deserialize_with = "rules::present")]
    directory: Option<Option<String>>,
    /// New address of the remote; null removes it.
    #[serde(default, deserialize_with = "rules::present")]
    repo_url: Option<Option<String>>,
    /// New version control system.
    #[serde(default, deserialize_with = "rules::present")]
    vcs: Option<Option<String>>,
    /// New icon; null removes it.
    #[serde(default, deserialize_with = "rules::present")]
    icon_url: Option<Option<String>>,
    /// New colour; null removes it.
    #[serde(default, deserialize_with = "rules::present")]
    icon_color: Option<Option<String>>,
    /// Notes to merge; null removes a key.
    metadata: Option<Map<String, Value>>,
    /// Only if the project was not changed since.
    if_updated_at: Option<String>,
}

async fn update(call: Call, input: Arc<ProjectUpdate>) -> Result<ProjectView, HubError> {
    let transaction = call.begin().await?;
    let before = queries::lock_project(&transaction, &call.scope()?, &input.id.clone().into())
        .await?
        .ok_or_else(|| CallError::not_found(NOT_FOUND))?;
    let (changes, unchanged_since) = checked_changes(&input, &before)?;
    rules::unchanged(unchanged_since, before.updated_at)?;
    if let Some(repo_url) = &changes.repo_url {
        check_repo_url(&call, repo_url.as_deref())?;
    }
    let mut changes = changes;
    if let Some(target) = &input.org_id {
        let target = target.clone().map(OrganizationId::from);
        move_to(&call, &before, target, &mut changes)?;
    }
    let after = queries::update_project(&transaction, &before.id, changes).await?;
    let (old, new) = rules::changed_fields(
        &json!(ProjectView::from(&before)),
        &json!(ProjectView::from(&after)),
    );
    if !new.is_empty() {
        let entry = about(&after).changed(Value::Object(old), Value::Object(new));
        audit::write(&transaction, &call.actor()?, Action::ProjectUpdated, entry).await?;
    }
    transaction.commit().await?;
    Ok(ProjectView::from(&after))
}

fn checked_changes(
    input: &ProjectUpdate,
    before: &projects::Model,
) -> Result<(ProjectChanges, Option<DateTime<Utc>>), HubError> {
    let mut issues = Issues::default();
    let mut text = |field: &str, given: &Option<Option<String>>| {
        given
            .as_ref()
            .map(|value| location(&mut issues, field, value.as_ref()))
    };
    let directory = text("/directory", &input.directory);
    let repo_url = text("/repoUrl", &input.repo_url);
    let vcs = text("/vcs", &input.vcs);
    let icon_url = text("/iconUrl", &input.icon_url);
    let icon_color = text("/iconColor", &input.icon_color);
    let name = input
        .name
        .as_deref()
        .and_then(|name| issues.take(rules::name("/name", name)));
    let metadata = input.metadata.as_ref().and_then(|patch| {
        issues.take_all(rules::metadata_patch("projects", &before.metadata.0, patch))
    });
    let unchanged_since = issues.moment("/ifUpdatedAt", input.if_updated_at.as_deref());
    issues.finish()?;
    let changes = ProjectChanges {
        name,
        org_id: None,
        directory,
        repo_url,
        vcs,
        icon_url,
        icon_color,
        metadata: metadata.map(Into::into),
        if_updated_at: None,
    };
    Ok((changes, unchanged_since))
}

/// Moving needs admin on both sides; a project that becomes personal is its mover's.
fn move_to(
    call: &Call,
    before: &projects::Model,
    target: Option<OrganizationId>,
    changes: &mut ProjectChanges,
) -> Result<(), HubError> {
    if before.org_id == target {
        return Ok(());
    }
    call.require_level(before.org_id.as_ref(), MembershipLevel::Admin)?;
    if let Some(organization) = &target {
        require_member(call, organization)?;
        call.require_level(Some(organization), MembershipLevel::Admin)?;
    }
    let mut metadata = changes
        .metadata
        .take()
        .unwrap_or_else(|| before.metadata.clone());
    if target.is_none() {
        let owner = call.principal()?.account.id.clone();
        metadata.0.insert("ownerId".to_owned(), json!(owner));
    } else {
        metadata.0.remove("ownerId");
    }
    changes.metadata = Some(metadata);
    changes.org_id = Some(target);
    Ok(())
}

/// An audit entry about a project.
fn about(project: &projects::Model) -> Entry {
    Entry::about("project", &project.id, &project.name).in_organization(project.org_id.as_ref())
}
