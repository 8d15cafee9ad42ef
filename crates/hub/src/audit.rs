//! The one function that writes audit entries.
//!
//! An entry is written in the transaction of what it records, so that there is no change without its
//! entry and no entry without its change. Entries hold who, what and which fields; never keys, hashes,
//! secrets, bodies, prompts or the input and output of calls.

use alkhub_storage::identity::{self as queries, NewAuditEntry};
use alkhub_storage::ids::{AccountId, ApiKeyId, OrganizationId, ProjectId, SessionId};
use alkhub_storage::json::{AuditDetails, AuditRequest, AuditTarget};
use alkhub_storage::{ConnectionTrait, StorageError};
use serde_json::{Map, Value, json};

use crate::auth::Origin;
use crate::news;

/// Longest text inside the details of an entry, in bytes; longer ones are cut.
const MAX_TEXT: usize = 1_024;

/// Largest details as JSON text, in bytes; larger ones lose `before` and `after`.
const MAX_DETAILS: usize = 16 * 1_024;

/// What can be recorded, as `<entity>.<event>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumIter)]
pub(crate) enum Action {
    #[strum(serialize = "hub.initialized")]
    HubInitialized,
    #[strum(serialize = "hub.started")]
    HubStarted,
    #[strum(serialize = "hub.stopped")]
    HubStopped,
    #[strum(serialize = "hub.migrated")]
    HubMigrated,
    #[strum(serialize = "config.changed")]
    ConfigChanged,
    #[strum(serialize = "auth.failed")]
    AuthFailed,
    #[strum(serialize = "auth.refused_inactive")]
    AuthRefusedInactive,
    #[strum(serialize = "access.denied")]
    AccessDenied,
    #[strum(serialize = "account.created")]
    AccountCreated,
    #[strum(serialize = "key.created")]
    KeyCreated,
    #[strum(serialize = "key.revoked")]
    KeyRevoked,
    #[strum(serialize = "key.recovered")]
    KeyRecovered,
    #[strum(serialize = "project.created")]
    ProjectCreated,
    #[strum(serialize = "project.updated")]
    ProjectUpdated,
    #[strum(serialize = "project.archived")]
    ProjectArchived,
    #[strum(serialize = "project.unarchived")]
    ProjectUnarchived,
    #[strum(serialize = "project.deleted")]
    ProjectDeleted,
    #[strum(serialize = "workspace.created")]
    WorkspaceCreated,
    #[strum(serialize = "workspace.deleted")]
    WorkspaceDeleted,
    #[strum(serialize = "task.created")]
    TaskCreated,
    #[strum(serialize = "task.updated")]
    TaskUpdated,
    #[strum(serialize = "task.status_changed")]
    TaskStatusChanged,
    #[strum(serialize = "task.deleted")]
    TaskDeleted,
    #[strum(serialize = "task.imported")]
    TaskImported,
    #[strum(serialize = "task.synced")]
    TaskSynced,
    #[strum(serialize = "task.dependency_added")]
    TaskDependencyAdded,
    #[strum(serialize = "task.dependency_removed")]
    TaskDependencyRemoved,
    #[strum(serialize = "spoke.registered")]
    SpokeRegistered,
    #[strum(serialize = "spoke.disconnected")]
    SpokeDisconnected,
    #[strum(serialize = "spoke.updated")]
    SpokeUpdated,
    #[strum(serialize = "spoke.deleted")]
    SpokeDeleted,
    #[strum(serialize = "spoke.banned")]
    SpokeBanned,
    #[strum(serialize = "spoke.enrolled")]
    SpokeEnrolled,
    #[strum(serialize = "operation.added")]
    OperationAdded,
    #[strum(serialize = "operation.changed")]
    OperationChanged,
    #[strum(serialize = "operation.removed")]
    OperationRemoved,
    #[strum(serialize = "operation.override_set")]
    OperationOverrideSet,
    #[strum(serialize = "client.created")]
    ClientCreated,
    #[strum(serialize = "client.updated")]
    ClientUpdated,
    #[strum(serialize = "client.transferred")]
    ClientTransferred,
    #[strum(serialize = "client.deleted")]
    ClientDeleted,
    #[strum(serialize = "client.imported")]
    ClientImported,
    #[strum(serialize = "client.tested")]
    ClientTested,
    #[strum(serialize = "call.aborted")]
    CallAborted,
    #[strum(serialize = "call.pruned")]
    CallPruned,
}

/// Who did it: the account is named by every entry, the rest where it is known.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    pub(crate) account: AccountId,
    pub(crate) key: Option<ApiKeyId>,
    pub(crate) key_prefix: Option<String>,
    pub(crate) operation: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) origin: Origin,
}

/// What was done, beside who did it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    pub(crate) organization: Option<OrganizationId>,
    /// The project the row belongs to; for those who watch, the trail has no column for it.
    pub(crate) project: Option<String>,
    pub(crate) session: Option<SessionId>,
    /// `(type, id, label)` of the row.
    pub(crate) target: Option<(&'static str, String, String)>,
    /// Only the fields that changed.
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
    pub(crate) reason: Option<String>,
    pub(crate) counts: Option<Value>,
}

impl Entry {
    /// An entry about one row.
    pub(crate) fn about(kind: &'static str, id: &impl ToString, label: &str) -> Self {
        Self {
            target: Some((kind, id.to_string(), label.to_owned())),
            ..Self::default()
        }
    }

    /// Names the organization the row belongs to.
    pub(crate) fn in_organization(mut self, organization: Option<&OrganizationId>) -> Self {
        self.organization = organization.cloned();
        self
    }

    /// Names the project the row belongs to.
    pub(crate) fn in_project(mut self, project: Option<&ProjectId>) -> Self {
        self.project = project.map(ToString::to_string);
        self
    }

    /// Adds the fields that changed.
    pub(crate) fn changed(mut self, before: Value, after: Value) -> Self {
        self.before = Some(before);
        self.after = Some(after);
        self
    }

    /// Adds how many rows of what were touched.
    pub(crate) fn counted(mut self, counts: Value) -> Self {
        self.counts = Some(counts);
        self
    }

    /// Adds why it was done.
    pub(crate) fn because(mut self, reason: Option<String>) -> Self {
        self.reason = reason;
        self
    }
}

/// Writes one entry in the transaction of what it records.
///
/// # Errors
/// Those of the store.
pub(crate) async fn write(
    transaction: &impl ConnectionTrait,
    actor: &Actor,
    action: Action,
    entry: Entry,
) -> Result<(), StorageError> {
    news::note(actor, action, &entry);
    let details = details(actor, &entry);
    let row = NewAuditEntry {
        owner_id: actor.account.clone(),
        key_id: actor.key.clone(),
        session_id: entry.session,
        org_id: entry.organization,
        action: <&str>::from(action).to_owned(),
        details,
    };
    queries::append_audit(transaction, vec![row])
        .await
        .map(|_written| ())
}

fn details(actor: &Actor, entry: &Entry) -> AuditDetails {
    let cut = |value: &Option<Value>| {
        value
            .clone()
            .filter(|value| !value.is_null())
            .map(|mut value| {
                cut_texts(&mut value);
                value
            })
    };
    let short = |text: &Option<String>| {
        text.clone().map(|mut text| {
            cut_text(&mut text);
            text
        })
    };
    let mut details = AuditDetails {
        operation: actor.operation.clone(),
        request_id: actor.request_id.clone(),
        key_prefix: actor.key_prefix.clone(),
        target: entry.target.as_ref().map(|(kind, id, label)| AuditTarget {
            kind: (*kind).to_owned(),
            id: id.clone(),
            label: short(&Some(label.clone()).filter(|label| !label.is_empty())),
        }),
        before: cut(&entry.before),
        after: cut(&entry.after),
        reason: short(&entry.reason),
        counts: cut(&entry.counts),
        request: request(&actor.origin),
        // The ids are copied by the store, which writes the columns they are copied from.
        ids: None,
        extra: Map::new(),
    };
    if json!(details).to_string().len() > MAX_DETAILS {
        details.before = None;
        details.after = None;
        details
            .extra
            .insert("truncated".to_owned(), Value::Bool(true));
    }
    details
}

fn request(origin: &Origin) -> Option<AuditRequest> {
    let ip = origin.ip.map(|ip| ip.to_string());
    let user_agent = origin.user_agent.clone();
    (ip.is_some() || user_agent.is_some()).then_some(AuditRequest { ip, user_agent })
}

fn cut_texts(value: &mut Value) {
    match value {
        Value::String(text) => cut_text(text),
        Value::Array(items) => items.iter_mut().for_each(cut_texts),
        Value::Object(fields) => fields.values_mut().for_each(cut_texts),
        _ => {}
    }
}

fn cut_text(text: &mut String) {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}
