//! Spokes come and go: their rows, their calls, and who is told.

use std::sync::Arc;

use alkhub_storage::entity::spokes::Model as Spoke;
use alkhub_storage::ids::{OrganizationId, ProjectId, SpokeId};
use alkhub_storage::spokes::{self as queries, Disconnect};
use alkhub_storage::{Database, Engine, Scope, StorageError};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use crate::audit::{self, Action, Entry};
use crate::links::SpokeLink;
use crate::providers::{Owner, ProviderId};
use crate::state::{Instance, State};

/// What happened to a spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum SpokeChange {
    /// It is connected.
    Connected,
    /// Its connection is gone.
    Disconnected,
    /// What it offers changed.
    Registrations,
    /// Its row changed.
    Updated,
    /// Its row is gone.
    Deleted,
}

/// Something that happened to a spoke.
#[derive(Debug, Clone)]
pub(crate) struct SpokeEvent {
    pub(crate) spoke: SpokeId,
    pub(crate) name: String,
    pub(crate) owner: Owner,
    pub(crate) change: SpokeChange,
}

/// A spoke lost its connection: its row and what it offers say so at once; its calls wait for it.
pub(crate) async fn disconnected(state: &Arc<State>, link: &Arc<SpokeLink>, connection: Uuid) {
    if !link.disconnect(connection) {
        // Another connection has taken its place.
        return;
    }
    state.queue.wake_all();
    match note(state, link, connection).await {
        Ok(()) => {}
        // At the next start it is noted; calls do not go there meanwhile.
        Err(problem) => {
            tracing::warn!(spoke = %link.id, error = %problem, "the loss of a spoke was not noted");
        }
    }
    let (state, link) = (Arc::clone(state), Arc::clone(link));
    tokio::spawn(async move {
        let grace = state.config().spokes.resume_grace;
        tokio::time::sleep(grace).await;
        if link.connected() || !state.links.leave(&link) {
            return;
        }
        state
            .providers
            .withdraw(&ProviderId::Spoke(link.id.clone()), None);
        link.give_up();
        state.recovery.lost(&state, &link.id).await;
        state.queue.wake_all();
    });
}

async fn note(state: &State, link: &SpokeLink, connection: Uuid) -> Result<(), StorageError> {
    let transaction = state.database.begin().await?;
    let row = queries::spoke_by_id(&transaction, &Scope::All, &link.id).await?;
    let mine = connection.to_string();
    let Some(row) = row.filter(|row| row.metadata.text("connectionId") == Some(mine.as_str()))
    else {
        return Ok(());
    };
    queries::disconnect_spokes(
        &transaction,
        Disconnect::Spokes(std::slice::from_ref(&link.id)),
    )
    .await?;
    let owner = owner_in_row(&transaction, &row).await?;
    let entry =
        Entry::about("spoke", &row.id, &row.name).in_organization(owner.organization.as_ref());
    let actor = crate::start::hub_actor(state);
    audit::write(
        &transaction,
        &actor,
        Action::SpokeDisconnected,
        entry.clone(),
    )
    .await?;
    transaction.commit().await?;
    state.news.tell(&actor, Action::SpokeDisconnected, &entry);
    state.events.spoke(&row, &owner, SpokeChange::Disconnected);
    Ok(())
}

/// Whose a spoke is, as its row and its project's say.
pub(crate) async fn owner_in_row(
    database: &impl alkhub_storage::ConnectionTrait,
    row: &Spoke,
) -> Result<Owner, StorageError> {
    let organization = match &row.project_id {
        Some(project) => organization_of(database, project).await?,
        None => None,
    };
    Ok(Owner {
        account: row.metadata.text("accountId").unwrap_or_default().into(),
        organization,
        project: row.project_id.clone(),
    })
}

async fn organization_of(
    database: &impl alkhub_storage::ConnectionTrait,
    project: &ProjectId,
) -> Result<Option<OrganizationId>, StorageError> {
    let project = alkhub_storage::projects::project_by_id(database, &Scope::All, project).await?;
    Ok(project.and_then(|project| project.org_id))
}

/// Before anybody connects: no spoke of an earlier start of this process is connected.
pub(crate) async fn start_clean(
    database: &Database,
    instance: &Instance,
) -> Result<u64, StorageError> {
    let id = instance.id.to_string();
    let whose = match database.engine() {
        Engine::Sqlite => Disconnect::All,
        Engine::Postgres => Disconnect::Instance(&id),
    };
    let transaction = database.begin().await?;
    let gone = queries::disconnect_spokes(&transaction, whose).await?;
    transaction.commit().await?;
    Ok(u64::try_from(gone.len()).unwrap_or(u64::MAX))
}
