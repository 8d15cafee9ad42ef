//! Operations on recorded calls: single ones, lists, trees, numbers, aborting, watching, retention.
//!
//! Everybody sees their own calls and what these triggered; with the scope `call:read` also the calls of
//! the projects they may see. A call that may not be seen is not found, and inside of a tree it keeps
//! its place, its status and its times.

mod abort;
mod graph;
mod lists;
mod numbers;
mod prune;
mod single;
mod trees;
mod view;
mod watch;

use std::sync::Arc;

use alkhub_operations::{CallError, Operation, RequestId};
use alkhub_storage::calls as queries;
use alkhub_storage::entity::call_graph_nodes::Model as Node;
use alkhub_storage::enums::MembershipLevel;
use alkhub_storage::ids::{AccountId, OperationId, ProjectId};
use alkhub_storage::projects::project_by_id;
use alkhub_storage::spokes::operation_by_name;
use alkhub_storage::{Limits, Scope};

pub(crate) use prune::{Retention, Run, prune};

use crate::auth::Principal;
use crate::error::{HubError, NOT_FOUND};
use crate::state::Call;

pub(crate) fn operations() -> Vec<Operation> {
    [
        single::operations(),
        lists::operations(),
        trees::operations(),
        numbers::operations(),
        abort::operations(),
        watch::operations(),
        prune::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Who looks at calls, and which they may see.
struct Viewer {
    principal: Arc<Principal>,
    scope: Scope,
    sees_all: bool,
}

impl Viewer {
    fn of(call: &Call) -> Result<Self, HubError> {
        let principal = Arc::clone(call.principal()?);
        let scope = if principal.has("call:read") {
            call.scope()?
        } else {
            // No project counts: what is left are the account's own calls.
            Scope::from(Limits {
                personal: false,
                ..Limits::new(principal.account.id.clone())
            })
        };
        let sees_all = principal.is_admin() && call.config().auth.admin_sees_all;
        Ok(Self {
            principal,
            scope,
            sees_all,
        })
    }

    fn account(&self) -> &AccountId {
        &self.principal.account.id
    }

    fn owns(&self, node: &Node) -> bool {
        node.caller_account_id.as_ref() == Some(self.account())
    }

    /// Whether the caller may see what went in and came out: of own calls, and of those of
    /// organizations they administer.
    async fn sees_payload(&self, call: &Call, node: &Node) -> Result<bool, HubError> {
        if self.owns(node) {
            return Ok(true);
        }
        if !self.principal.has("call:read") {
            return Ok(false);
        }
        if self.sees_all {
            return Ok(true);
        }
        let Some(project) = node.metadata.text("projectId") else {
            return Ok(false);
        };
        let project = ProjectId::from(project);
        let reader = call.database().reader();
        let project = project_by_id(reader, &self.scope, &project).await?;
        let level = project
            .and_then(|project| project.org_id)
            .and_then(|organization| self.principal.level_in(&organization));
        Ok(level.is_some_and(|level| level != MembershipLevel::Member))
    }
}

/// The id a call is recorded under.
///
/// # Errors
/// `NOT_FOUND` for a text that is no request id.
fn key_of(viewer: &Viewer, request_id: &str) -> Result<String, HubError> {
    let id = RequestId::new(request_id).map_err(|_no_id| not_found())?;
    Ok(id.to_uuid(viewer.account().as_str()).to_string())
}

/// The visible call of this request id.
///
/// # Errors
/// `NOT_FOUND`.
async fn find(call: &Call, viewer: &Viewer, request_id: &str) -> Result<Node, HubError> {
    let key = key_of(viewer, request_id)?;
    queries::call_by_request_id(call.database().reader(), &viewer.scope, &key)
        .await?
        .ok_or_else(not_found)
}

/// The row of the operation of this name, whether or not anybody offers it now.
///
/// # Errors
/// `NOT_FOUND`.
async fn operation_row(call: &Call, name: Option<&str>) -> Result<Option<OperationId>, HubError> {
    let Some(name) = name else { return Ok(None) };
    if let Some(row) = call.state().providers.row(name) {
        return Ok(Some(row));
    }
    let (namespace, short) = name.rsplit_once('.').ok_or_else(not_found)?;
    let row = operation_by_name(call.database().reader(), namespace, short).await?;
    Ok(Some(row.ok_or_else(not_found)?.id))
}

fn not_found() -> HubError {
    CallError::not_found(NOT_FOUND).into()
}
