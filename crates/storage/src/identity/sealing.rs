//! The chain of the audit trail: each sealed entry carries a hash over itself and the one before, so
//! that a changed, missing or moved row shows.

use std::collections::BTreeMap;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::Engine;
use crate::entity::audit_logs::{ActiveModel, Column, Entity, Model};
use crate::error::StorageError;
use crate::ids::AuditLogId;
use crate::json::AuditChain;
use crate::meta;
use crate::time::{self, DateTimeUtc};

/// Where the chain ends.
const HEAD: &str = "audit.head";
/// How far behind the head rows of slow transactions are looked for.
const LATE: chrono::Duration = chrono::Duration::hours(1);
/// Rows read at a time.
const BATCH: u64 = 1_000;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    seq: u64,
    hash: String,
    /// Moment of the last sealed row.
    at: Option<String>,
}

/// What a check of the chain found.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditVerification {
    /// Sealed entries looked at.
    pub checked: u64,
    /// Entries that are not sealed yet.
    pub unsealed: u64,
    /// The first entry that is not as it was sealed.
    pub first_bad: Option<AuditFault>,
    /// Hash at the end of the chain, empty when nothing is sealed.
    pub head: String,
}

/// An entry that is not as it was sealed.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditFault {
    /// The entry; for a missing one the next that is there.
    pub id: AuditLogId,
    /// Its moment.
    pub at: DateTimeUtc,
    /// What is wrong.
    pub kind: AuditFaultKind,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, Serialize)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum AuditFaultKind {
    /// It does not have its hash.
    Changed,
    /// An entry before it is gone.
    Missing,
    /// It does not follow the entry before it.
    Reordered,
}

/// Seals entries written before a moment, oldest first, at most `limit`; answers how many. T
pub async fn seal_audit(
    db: &impl ConnectionTrait,
    before: DateTimeUtc,
    limit: u32,
) -> Result<u64, StorageError> {
    meta::lock(db, HEAD).await?;
    let mut head = head(db).await?;
    let mut select = Entity::find()
        .filter(
            Expr::cust(Engine::of(db).json_text_sql("\"audit_logs\".\"metadata\"", "chain"))
                .is_null(),
        )
        .filter(Column::CreatedAt.lt(before));
    if let Some(last) = head.at.as_deref().and_then(time::parse) {
        select = select.filter(Column::CreatedAt.gte(last - LATE));
    }
    let rows = select
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .limit(u64::from(limit))
        .all(db)
        .await?;
    let sealed = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    for row in rows {
        let hash = hash(&head.hash, &row)?;
        let chain = AuditChain {
            seq: head.seq + 1,
            prev: head.hash,
            hash: hash.clone(),
        };
        head = Head {
            seq: chain.seq,
            hash,
            at: Some(time::format(row.created_at)),
        };
        let chain = serde_json::to_value(chain)
            .map_err(|_| StorageError::unexpected("a chain that is no JSON"))?;
        Entity::update_many()
            .set(ActiveModel {
                metadata: Set(row.metadata.with("chain", chain)),
                ..ActiveModel::default()
            })
            .filter(Column::Id.eq(row.id))
            .exec(db)
            .await?;
    }
    if sealed > 0 {
        let value = serde_json::to_value(&head)
            .map_err(|_| StorageError::unexpected("a head that is no JSON"))?;
        meta::put(db, HEAD, &value).await?;
    }
    Ok(sealed)
}

/// Checks the entries of a period; without one, the whole trail.
pub async fn verify_audit(
    db: &impl ConnectionTrait,
    from: Option<DateTimeUtc>,
    to: Option<DateTimeUtc>,
) -> Result<AuditVerification, StorageError> {
    let mut verification = AuditVerification {
        checked: 0,
        unsealed: 0,
        first_bad: None,
        head: head(db).await?.hash,
    };
    let mut links: BTreeMap<u64, (String, String, AuditLogId, DateTimeUtc)> = BTreeMap::new();
    let mut faults: Vec<(u64, AuditFault)> = Vec::new();
    let mut after: Option<(DateTimeUtc, AuditLogId)> = None;
    loop {
        let rows = batch(db, from, to, after.as_ref()).await?;
        let Some(last) = rows.last() else { break };
        after = Some((last.created_at, last.id.clone()));
        for row in rows {
            let Some(chain) = chain_of(&row) else {
                verification.unsealed += 1;
                continue;
            };
            verification.checked += 1;
            let fault = |kind| AuditFault {
                id: row.id.clone(),
                at: row.created_at,
                kind,
            };
            if hash(&chain.prev, &row)? != chain.hash {
                faults.push((chain.seq, fault(AuditFaultKind::Changed)));
            }
            let link = (chain.prev, chain.hash, row.id.clone(), row.created_at);
            if links.insert(chain.seq, link).is_some() {
                faults.push((chain.seq, fault(AuditFaultKind::Reordered)));
            }
        }
    }
    faults.extend(broken_links(&links));
    faults.sort_by_key(|(seq, _)| *seq);
    verification.first_bad = faults.into_iter().next().map(|(_, fault)| fault);
    Ok(verification)
}

/// Neighbours in the chain that do not fit.
fn broken_links(
    links: &BTreeMap<u64, (String, String, AuditLogId, DateTimeUtc)>,
) -> Vec<(u64, AuditFault)> {
    let mut faults = Vec::new();
    let mut before: Option<(u64, &str)> = None;
    for (seq, (prev, hash, id, at)) in links {
        if let Some((before_seq, before_hash)) = before {
            let kind = if before_seq + 1 != *seq {
                Some(AuditFaultKind::Missing)
            } else if before_hash != prev {
                Some(AuditFaultKind::Reordered)
            } else {
                None
            };
            if let Some(kind) = kind {
                faults.push((
                    *seq,
                    AuditFault {
                        id: id.clone(),
                        at: *at,
                        kind,
                    },
                ));
            }
        }
        before = Some((*seq, hash));
    }
    faults
}

async fn batch(
    db: &impl ConnectionTrait,
    from: Option<DateTimeUtc>,
    to: Option<DateTimeUtc>,
    after: Option<&(DateTimeUtc, AuditLogId)>,
) -> Result<Vec<Model>, StorageError> {
    let mut select = Entity::find();
    if let Some(from) = from {
        select = select.filter(Column::CreatedAt.gte(from));
    }
    if let Some(to) = to {
        select = select.filter(Column::CreatedAt.lt(to));
    }
    if let Some((at, id)) = after {
        let left = Expr::tuple([
            Expr::col((Entity, Column::CreatedAt)),
            Expr::col((Entity, Column::Id)),
        ]);
        select = select.filter(left.gt(Expr::tuple([Expr::val(*at), Expr::val(id.as_str())])));
    }
    Ok(select
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .limit(BATCH)
        .all(db)
        .await?)
}

async fn head(db: &impl ConnectionTrait) -> Result<Head, StorageError> {
    match meta::get(db, HEAD).await? {
        None => Ok(Head::default()),
        Some(value) => serde_json::from_value(value)
            .map_err(|_| StorageError::unexpected("the head of the audit chain")),
    }
}

fn chain_of(row: &Model) -> Option<AuditChain> {
    row.metadata
        .get("chain")
        .and_then(|chain| serde_json::from_value(chain.clone()).ok())
}

/// SHA-256 over the hash before and what never changes of the entry, in hex.
fn hash(before: &str, row: &Model) -> Result<String, StorageError> {
    let details = serde_json::to_value(&row.details)
        .map_err(|_| StorageError::unexpected("details that are no JSON"))?;
    let entry = serde_json::json!([
        row.id,
        time::format(row.created_at),
        row.action,
        sorted(details)
    ]);
    let mut digest = Sha256::new();
    digest.update(before.as_bytes());
    digest.update(entry.to_string().as_bytes());
    Ok(digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// The same JSON with the keys of every object in order, however the map type keeps them.
fn sorted(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(map) => {
            let ordered: BTreeMap<String, serde_json::Value> = map
                .into_iter()
                .map(|(key, value)| (key, sorted(value)))
                .collect();
            serde_json::Value::Object(ordered.into_iter().collect())
        }
        serde_json::Value::Array(list) => list.into_iter().map(sorted).collect(),
        other => other,
    }
}
