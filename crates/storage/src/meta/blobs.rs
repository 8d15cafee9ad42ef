//! Contents that are too big for a row, kept by their SHA-256 in pieces.

use std::collections::BTreeMap;

use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use sha2::{Digest, Sha256};

use crate::engine::Engine;
use crate::entity::hub_blobs::{ActiveModel, Column, Entity};
use crate::error::StorageError;
use crate::sql;

/// Bytes of a piece.
const PIECE: usize = 256 * 1024;

/// Keeps a content and answers its SHA-256 in hex; the same content again costs nothing. T
pub async fn write_blob(db: &impl ConnectionTrait, bytes: &[u8]) -> Result<String, StorageError> {
    let sha256 = hex(&Sha256::digest(bytes));
    let pieces: Vec<&[u8]> = if bytes.is_empty() {
        vec![bytes]
    } else {
        bytes.chunks(PIECE).collect()
    };
    for (piece, data) in (0i32..).zip(pieces) {
        let row = ActiveModel {
            sha256: Set(sha256.clone()),
            piece: Set(piece),
            data: Set(data.to_vec()),
        };
        Entity::insert(row)
            .on_conflict_do_nothing_on([Column::Sha256, Column::Piece])
            .exec_without_returning(db)
            .await?;
    }
    Ok(sha256)
}

/// The content with this SHA-256.
pub async fn read_blob(
    db: &impl ConnectionTrait,
    sha256: &str,
) -> Result<Option<Vec<u8>>, StorageError> {
    let pieces = Entity::find()
        .filter(Column::Sha256.eq(sha256))
        .order_by_asc(Column::Piece)
        .all(db)
        .await?;
    if pieces.is_empty() {
        return Ok(None);
    }
    Ok(Some(
        pieces.into_iter().flat_map(|piece| piece.data).collect(),
    ))
}

/// SHA-256 of contents that no part refers to, at most `limit`.
pub async fn unreferenced_blobs(
    db: &impl ConnectionTrait,
    limit: u16,
) -> Result<Vec<String>, StorageError> {
    let referenced = match Engine::of(db) {
        Engine::Sqlite => {
            "select substr(json_extract(p.data, '$.url'), 6) as name from parts p
             where json_extract(p.data, '$.url') like 'blob:%'
             union
             select replace(json_extract(p.data, '$.truncated.blob'), 'blob:', '') from parts p
             where json_extract(p.data, '$.truncated.blob') is not null
             union
             select substr(json_extract(a.value, '$.url'), 6)
             from parts p, json_each(p.data, '$.state.attachments') a
             where json_extract(a.value, '$.url') like 'blob:%'"
        }
        Engine::Postgres => {
            "select substr(p.data ->> 'url', 6) as name from parts p
             where p.data ->> 'url' like 'blob:%'
             union
             select replace(p.data #>> '{truncated,blob}', 'blob:', '') from parts p
             where p.data #>> '{truncated,blob}' is not null
             union
             select substr(a.value ->> 'url', 6)
             from parts p, jsonb_array_elements(case jsonb_typeof(p.data #> '{state,attachments}')
                 when 'array' then p.data #> '{state,attachments}' else '[]' end) a(value)
             where a.value ->> 'url' like 'blob:%'"
        }
    };
    let found = sql::rows(
        db,
        &format!(
            "with referenced as ({referenced})
             select b.sha256 from hub_blobs b
             where b.piece = 0 and b.sha256 not in (select name from referenced)
             order by b.sha256 limit $1"
        ),
        [i64::from(limit).into()],
    )
    .await?;
    found
        .iter()
        .map(|row| Ok(row.try_get_by_index(0)?))
        .collect()
}

/// Removes contents; the answer says how many bytes went, by SHA-256.
pub async fn delete_blobs(
    db: &impl ConnectionTrait,
    names: &[String],
) -> Result<BTreeMap<String, u64>, StorageError> {
    let engine = Engine::of(db);
    let mine = engine.one_of(crate::scope::column("hub_blobs", "sha256"), names);
    let pieces = Entity::delete_many()
        .filter(mine)
        .exec_with_returning(db)
        .await?;
    let mut bytes = BTreeMap::new();
    for piece in pieces {
        let size = u64::try_from(piece.data.len()).unwrap_or(u64::MAX);
        *bytes.entry(piece.sha256).or_insert(0) += size;
    }
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
