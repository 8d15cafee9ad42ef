//! What is offered against what is registered.

use std::collections::{HashMap, HashSet};

use alkhub_operations::adapters::Refused;
use alkhub_storage::entity::{clients, operations};
use alkhub_storage::enums::{ProviderType, RegistrationStatus};
use alkhub_storage::ids::OperationId;
use alkhub_storage::spokes as queries;
use alkhub_storage::{ConnectionTrait, StorageError};
use serde_json::{Map, Value, json};

use super::{Candidate, Candidates};
use crate::catalog;
use crate::clients::offers::BINDING;

/// The differences.
pub(super) struct Compared {
    pub(super) added: Vec<Candidate>,
    /// The row as it is, and the operation as the service has it now.
    pub(super) changed: Vec<(operations::Model, Candidate)>,
    pub(super) removed: Vec<(OperationId, String)>,
    pub(super) refused: Vec<Refused>,
    pub(super) unchanged: usize,
}

/// Sorts what a service offers by what is known of it.
pub(super) async fn compare(
    db: &impl ConnectionTrait,
    client: &clients::Model,
    candidates: Candidates,
) -> Result<Compared, StorageError> {
    let namespace = candidates.namespace.as_str();
    let rows = queries::operations_of_namespace(db, namespace).await?;
    let provider = queries::Provider::Client(client.id.clone());
    let mine: HashSet<OperationId> = queries::registrations_of_provider(db, &provider)
        .await?
        .into_iter()
        .filter(|registration| registration.status == RegistrationStatus::Active)
        .map(|registration| registration.operation_id)
        .collect();
    let ids: Vec<OperationId> = rows.iter().map(|row| row.id.clone()).collect();
    let offered_by = queries::load_registrations(db, &ids).await?;
    let by_others = |id: &OperationId| {
        offered_by.get(id).into_iter().flatten().any(|offer| {
            offer.provider_type != ProviderType::Client || offer.provider_id != client.id.as_str()
        })
    };
    let mut known: HashMap<String, operations::Model> = rows
        .into_iter()
        .map(|row| (row.name.clone(), row))
        .collect();

    let mut compared = Compared {
        added: Vec::new(),
        changed: Vec::new(),
        removed: Vec::new(),
        refused: candidates.refused,
        unchanged: 0,
    };
    for candidate in candidates.offered {
        match known.remove(candidate.spec.name.as_str()) {
            None => compared.added.push(candidate),
            Some(row) if catalog::is_built_in(&row) || by_others(&row.id) => {
                compared.refused.push(Refused {
                    name: candidate.spec.id().to_string(),
                    why: "another provider offers an operation of this name".to_owned(),
                });
            }
            Some(row) if !mine.contains(&row.id) => compared.added.push(candidate),
            Some(row) if same(&row, &candidate) => compared.unchanged += 1,
            Some(row) => compared.changed.push((row, candidate)),
        }
    }
    // What is refused now is not gone: the service still has it.
    let refused: HashSet<&str> = compared
        .refused
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    let mut removed: Vec<(OperationId, String)> = known
        .into_values()
        .filter(|row| mine.contains(&row.id))
        .filter(|row| super::candidates::chosen(&row.name, &[], &[], &candidates.filter))
        .filter(|row| !refused.contains(source_name(row)))
        .map(|row| (row.id, format!("{}.{}", row.namespace, row.name)))
        .collect();
    removed.sort_by(|a, b| a.1.cmp(&b.1));
    compared.removed = removed;
    Ok(compared)
}

fn source_name(row: &operations::Model) -> &str {
    let meta = row.protocol_meta.as_ref();
    meta.and_then(|meta| meta.get("sourceName"))
        .and_then(Value::as_str)
        .unwrap_or(&row.name)
}

fn same(row: &operations::Model, candidate: &Candidate) -> bool {
    difference(row, candidate).0.is_empty()
}

/// The parts of a definition that differ, and both of their forms.
pub(super) fn difference(
    row: &operations::Model,
    candidate: &Candidate,
) -> (Vec<&'static str>, Value, Value) {
    let Ok(new) = catalog::row_of(&candidate.spec, catalog::Origin::Offered) else {
        // Refused again, and told, when it is stored.
        return (vec!["spec"], Value::Null, json!(candidate.spec));
    };
    let binding = row.metadata.get(BINDING).cloned();
    let parts: [(&'static str, Value, Value); 9] = [
        ("type", json!(row.kind), json!(new.kind)),
        ("version", json!(row.version), json!(new.version)),
        ("title", json!(row.title), json!(new.title)),
        (
            "description",
            json!(row.description),
            json!(new.description),
        ),
        ("inputSchema", row.input_schema.clone(), new.input_schema),
        ("outputSchema", row.output_schema.clone(), new.output_schema),
        (
            "errorSchemas",
            json!(row.error_schemas),
            json!(new.error_schemas),
        ),
        (
            "accessControl",
            json!(row.access_control),
            json!(new.access_control),
        ),
        (BINDING, json!(binding), json!(candidate.binding)),
    ];
    let (mut fields, mut before, mut after) = (Vec::new(), Map::new(), Map::new());
    for (name, old, new) in parts {
        if !equal(&old, &new) {
            fields.push(name);
            before.insert(name.to_owned(), old);
            after.insert(name.to_owned(), new);
        }
    }
    (fields, Value::Object(before), Value::Object(after))
}

/// Equal as JSON: a store may write 1.0 as 1.
fn equal(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Number(old), Value::Number(new)) => old == new || old.as_f64() == new.as_f64(),
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| equal(old, new))
        }
        (Value::Object(old), Value::Object(new)) => {
            old.len() == new.len()
                && old
                    .iter()
                    .all(|(key, value)| new.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => old == new,
    }
}
