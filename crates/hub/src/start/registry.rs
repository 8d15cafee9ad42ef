//! The operations at the start: registered, given their rows, and what others have offered before.

use std::collections::HashMap;
use std::sync::Arc;

use alkhub_operations::{Mode, Registry};
use alkhub_storage::entity::operation_registrations;
use alkhub_storage::enums::ProviderType;
use alkhub_storage::ids::{ClientId, OperationId, SpokeId};
use alkhub_storage::page::{Order as PageOrder, PageRequest};
use alkhub_storage::{Database, Scope, services, spokes as stored_operations};

use super::StartError;
use crate::operations::{Overrides, apply_override};
use crate::providers::{Owner, ProviderId, Providers, Way};
use crate::{catalog, spokes};

/// The hub's own operations.
pub(super) fn register() -> Result<Arc<Registry>, alkhub_operations::RegistryError> {
    let registry = Arc::new(Registry::new().with_mode(Mode::Narrowing));
    registry.register_all(catalog::all())?;
    Ok(registry)
}

/// Gives every operation a row, so that its calls have something to refer to.
pub(super) async fn store_operations(
    database: &Database,
    registry: &Registry,
    overrides: &Overrides,
) -> Result<HashMap<String, OperationId>, StartError> {
    let specs = registry
        .list()
        .iter()
        .map(|entry| catalog::row_of(entry.spec(), catalog::Origin::BuiltIn))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| StartError::Registry(error.to_string()))?;
    let transaction = database.begin().await?;
    let stored = stored_operations::upsert_operations(&transaction, specs).await?;
    transaction.commit().await?;
    for (row, _change) in &stored {
        let name = format!("{}.{}", row.namespace, row.name);
        if let Some(entry) = registry.get(&name) {
            overrides.read(row, entry.spec());
            apply_override(registry, overrides, &name)
                .map_err(|error| StartError::Registry(error.to_string()))?;
        }
    }
    Ok(stored
        .into_iter()
        .map(|(operation, _change)| {
            (
                format!("{}.{}", operation.namespace, operation.name),
                operation.id,
            )
        })
        .collect())
}

/// Makes known what spokes and services have offered before, so that their operations have a
/// description and their calls a name while they are away.
pub(super) async fn know_offered_operations(
    database: &Database,
    registry: &Registry,
    providers: &Providers,
) -> Result<(), StartError> {
    let filter = stored_operations::OperationFilter::default();
    let mut offered: HashMap<ProviderId, (Owner, Vec<_>)> = HashMap::new();
    let mut page = PageRequest {
        limit: 500,
        order: PageOrder::Asc,
        cursor: None,
    };
    loop {
        let found = stored_operations::operations(database.reader(), &filter, &page).await?;
        for row in found.items.iter().filter(|row| !catalog::is_built_in(row)) {
            let spec = match catalog::spec_of(row) {
                Ok(spec) => spec,
                Err(problem) => {
                    let name = format!("{}.{}", row.namespace, row.name);
                    tracing::warn!(operation = name, error = %problem, "a stored operation cannot be offered");
                    continue;
                }
            };
            providers.overrides.read(row, &spec);
            let offers =
                stored_operations::registrations_of_operation(database.reader(), &row.id, false)
                    .await?;
            for offer in offers {
                let Some((provider, owner)) = provider_in_rows(database, &offer).await? else {
                    continue;
                };
                let (_, operations) = offered.entry(provider).or_insert((owner, Vec::new()));
                operations.push((row.id.clone(), spec.clone(), Way::Away));
            }
        }
        match found.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => break,
        }
    }
    for (provider, (owner, operations)) in offered {
        providers
            .offer(registry, &provider, &owner, operations)
            .map_err(|error| StartError::Registry(error.to_string()))?;
    }
    Ok(())
}

/// The provider of a registration, and whose it is.
async fn provider_in_rows(
    database: &Database,
    offer: &operation_registrations::Model,
) -> Result<Option<(ProviderId, Owner)>, StartError> {
    let reader = database.reader();
    match offer.provider_type {
        ProviderType::Spoke => {
            let id = SpokeId::from(offer.provider_id.as_str());
            let Some(row) = stored_operations::spoke_by_id(reader, &Scope::All, &id).await? else {
                return Ok(None);
            };
            let owner = spokes::owner_in_row(reader, &row).await?;
            Ok(Some((ProviderId::Spoke(id), owner)))
        }
        ProviderType::Client => {
            let id = ClientId::from(offer.provider_id.as_str());
            let Some(row) = services::client_by_id(reader, &Scope::All, &id).await? else {
                return Ok(None);
            };
            let owner = Owner {
                account: row.owner_id,
                organization: row.org_id,
                project: None,
            };
            Ok(Some((ProviderId::Client(id), owner)))
        }
    }
}
