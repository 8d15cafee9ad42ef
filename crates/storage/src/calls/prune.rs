//! Retention: whole trees of calls go, leaves first.

use sea_orm::{ConnectionTrait, FromQueryResult, Value};

use crate::engine::{Engine, json_array, text_array};
use crate::error::StorageError;
use crate::ids::CallGraphNodeId;
use crate::sql;
use crate::time::DateTimeUtc;

/// Trees looked at in one go.
const TREES: i64 = 200;

/// Where a run of the job goes on: behind this root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrunePosition {
    /// When the root was requested.
    pub created_at: DateTimeUtc,
    /// Its row.
    pub id: CallGraphNodeId,
}

/// What to remove.
#[derive(Debug, Clone)]
pub struct PruneRequest {
    /// Trees whose root was requested before.
    pub older_than: DateTimeUtc,
    /// Trees with a failed call go only when their root was requested before this; none = never.
    pub failed_older_than: Option<DateTimeUtc>,
    /// Behind this root.
    pub after: Option<PrunePosition>,
    /// Most calls to remove, 1,000 for one transaction.
    pub limit: u32,
    /// Stop behind the tree with which so many calls are gone.
    pub enough: Option<u64>,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Whole trees.
    pub trees: u64,
    /// Calls.
    pub nodes: u64,
    /// Edges.
    pub edges: u64,
    /// Where to go on; none when everything was looked at.
    pub next: Option<PrunePosition>,
    /// Of the tree to go on with some calls are gone and others are left.
    pub partial: bool,
}

#[derive(FromQueryResult)]
struct Root {
    id: CallGraphNodeId,
    created_at: DateTimeUtc,
}

#[derive(FromQueryResult)]
struct Member {
    id: CallGraphNodeId,
}

/// Removes trees of calls that are over: none of their calls is open. T
///
/// A tree larger than what is left of the limit goes in parts, leaves first, so that a stop in between
/// detaches nobody.
pub async fn prune_calls(
    db: &impl ConnectionTrait,
    request: &PruneRequest,
) -> Result<Pruned, StorageError> {
    let mut pruned = Pruned::default();
    let limit = u64::from(request.limit.max(1));
    let mut after = request.after.clone();
    let roots = roots(db, request, after.as_ref()).await?;
    let complete = i64::try_from(roots.len()).unwrap_or(i64::MAX) < TREES;
    for root in roots {
        let room = limit - pruned.nodes;
        if room == 0 || request.enough.is_some_and(|enough| pruned.nodes >= enough) {
            pruned.next = after;
            return Ok(pruned);
        }
        let position = PrunePosition {
            created_at: root.created_at,
            id: root.id.clone(),
        };
        if keeps(db, request, &root).await? {
            after = Some(position);
            continue;
        }
        let members = leaves_first(db, &root.id, room + 1).await?;
        let whole = u64::try_from(members.len()).unwrap_or(u64::MAX) <= room;
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let going: Vec<&CallGraphNodeId> =
            members.iter().take(room).map(|member| &member.id).collect();
        let (nodes, edges) = remove(db, &going).await?;
        pruned.nodes += nodes;
        pruned.edges += edges;
        if !whole {
            pruned.partial = true;
            pruned.next = after;
            return Ok(pruned);
        }
        pruned.trees += 1;
        after = Some(position);
    }
    pruned.next = if complete { None } else { after };
    Ok(pruned)
}

/// Calls that no recorded call made, oldest first.
async fn roots(
    db: &impl ConnectionTrait,
    request: &PruneRequest,
    after: Option<&PrunePosition>,
) -> Result<Vec<Root>, StorageError> {
    let mut values: Vec<Value> = vec![request.older_than.into(), TREES.into()];
    let position = match after {
        Some(after) => {
            values.push(after.created_at.into());
            values.push(after.id.as_str().into());
            "and (n.created_at, n.id) > ($3, $4)"
        }
        None => "",
    };
    let text = format!(
        "select n.id, n.created_at from call_graph_nodes n
         where n.created_at < $1 {position} and not exists (
             select 1 from call_graph_edges e
             where e.target_id = n.id and e.edge_type = 'triggered')
         order by n.created_at, n.id limit $2"
    );
    sql::all(db, &text, values).await
}

/// Whether a tree stays: a call of it is open, or one failed and the tree is too young for that.
async fn keeps(
    db: &impl ConnectionTrait,
    request: &PruneRequest,
    root: &Root,
) -> Result<bool, StorageError> {
    let keeps_failed = request
        .failed_older_than
        .is_none_or(|moment| root.created_at >= moment);
    let statuses = if keeps_failed {
        "'pending', 'running', 'failed'"
    } else {
        "'pending', 'running'"
    };
    let text = format!(
        "{TREE} select count(*) from t join call_graph_nodes n on n.id = t.id
         where n.status in ({statuses})"
    );
    Ok(sql::count(db, &text, [root.id.as_str().into()]).await? > 0)
}

async fn leaves_first(
    db: &impl ConnectionTrait,
    root: &CallGraphNodeId,
    most: u64,
) -> Result<Vec<Member>, StorageError> {
    let text = format!("{TREE} select id from t order by depth desc, id limit $2");
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    sql::all(db, &text, [root.as_str().into(), most.into()]).await
}

const TREE: &str = "with recursive t(id, depth) as (
        select id, cast(0 as bigint) from call_graph_nodes where id = $1
        union
        select e.target_id, t.depth + 1 from t
        join call_graph_edges e on e.source_id = t.id and e.edge_type = 'triggered'
        where t.depth < 100
    )";

async fn remove(
    db: &impl ConnectionTrait,
    ids: &[&CallGraphNodeId],
) -> Result<(u64, u64), StorageError> {
    let (listed, value) = match Engine::of(db) {
        Engine::Sqlite => (
            "in (select value from json_each($1))",
            Value::from(json_array(ids)),
        ),
        Engine::Postgres => ("= any($1)", text_array(ids)),
    };
    let edges = sql::execute(
        db,
        &format!("delete from call_graph_edges where source_id {listed} or target_id {listed}"),
        [value.clone()],
    )
    .await?;
    let nodes = sql::execute(
        db,
        &format!("delete from call_graph_nodes where id {listed}"),
        [value],
    )
    .await?;
    Ok((nodes, edges))
}
