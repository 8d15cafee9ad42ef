//! Single calls, what they called, and what called them.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
};

use crate::engine::Engine;
use crate::entity::{call_graph_edges as edges, call_graph_nodes as nodes};
use crate::enums::EdgeType;
use crate::error::StorageError;
use crate::ids::CallGraphNodeId;
use crate::scope::{Scope, column};
use crate::sql;

/// Deepest walk: nesting is far less, so this only ends walks over damaged rows.
const DEEPEST: u32 = 100;
/// Most calls of a tree.
const MOST: u32 = 5_000;

/// A call and how far it is from the root that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeNode {
    /// The call.
    pub node: nodes::Model,
    /// Steps from the root, which has 0.
    pub depth: u32,
}

/// A call and everything it called.
#[derive(Debug, Clone, PartialEq)]
pub struct CallTree {
    /// The calls by depth, then by creation.
    pub nodes: Vec<TreeNode>,
    /// The `triggered` edges among them.
    pub edges: Vec<edges::Model>,
    /// Whether calls were left out because of a limit.
    pub truncated: bool,
}

/// A recorded call, whoever asks: for the repetition of a call, which is compared with it.
pub async fn recorded_call(
    db: &impl ConnectionTrait,
    request_id: &str,
) -> Result<Option<nodes::Model>, StorageError> {
    call_by_request_id(db, &Scope::All, request_id).await
}

/// A visible call by its request id.
pub async fn call_by_request_id(
    db: &impl ConnectionTrait,
    scope: &Scope,
    request_id: &str,
) -> Result<Option<nodes::Model>, StorageError> {
    Ok(nodes::Entity::find()
        .filter(nodes::Column::RequestId.eq(request_id))
        .filter(scope.calls(Engine::of(db)))
        .one(db)
        .await?)
}

/// A visible call by the id of its row.
pub async fn call_by_id(
    db: &impl ConnectionTrait,
    scope: &Scope,
    id: &CallGraphNodeId,
) -> Result<Option<nodes::Model>, StorageError> {
    Ok(nodes::Entity::find_by_id(id.clone())
        .filter(scope.calls(Engine::of(db)))
        .one(db)
        .await?)
}

/// A call and what it called, down to `depth` steps, at most `limit` calls (5,000 at most).
///
/// Empty when the call is not there or not visible.
pub async fn call_tree(
    db: &impl ConnectionTrait,
    scope: &Scope,
    request_id: &str,
    depth: u32,
    limit: u32,
) -> Result<CallTree, StorageError> {
    #[derive(FromQueryResult)]
    struct Step {
        id: CallGraphNodeId,
        depth: i64,
    }
    let limit = limit.clamp(1, MOST);
    let steps: Vec<Step> = sql::all(
        db,
        "with recursive t(id, depth) as (
             select id, cast(0 as bigint) from call_graph_nodes where request_id = $1
             union
             select e.target_id, t.depth + 1 from t
             join call_graph_edges e on e.source_id = t.id and e.edge_type = 'triggered'
             where t.depth < $2
         )
         select n.id as id, t.depth as depth from t join call_graph_nodes n on n.id = t.id
         order by t.depth, n.created_at, n.id limit $3",
        [
            request_id.into(),
            i64::from(depth.min(DEEPEST)).into(),
            (i64::from(limit) + 1).into(),
        ],
    )
    .await?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let truncated = steps.len() > most;
    let ids: Vec<&CallGraphNodeId> = steps.iter().take(most).map(|step| &step.id).collect();
    let mut found = visible(db, scope, &ids).await?;
    let nodes: Vec<TreeNode> = steps
        .iter()
        .take(most)
        .filter_map(|step| {
            let node = found.remove(&step.id)?;
            Some(TreeNode {
                node,
                depth: u32::try_from(step.depth).unwrap_or(u32::MAX),
            })
        })
        .collect();
    // Whoever may not see the call itself sees nothing of what it called.
    if nodes.first().is_none_or(|root| root.depth > 0) {
        return Ok(CallTree {
            nodes: Vec::new(),
            edges: Vec::new(),
            truncated: false,
        });
    }
    let kept: Vec<&CallGraphNodeId> = nodes.iter().map(|node| &node.node.id).collect();
    let engine = Engine::of(db);
    let edges = edges::Entity::find()
        .filter(engine.one_of(column("call_graph_edges", "source_id"), &kept))
        .filter(engine.one_of(column("call_graph_edges", "target_id"), &kept))
        .filter(edges::Column::EdgeType.eq(EdgeType::Triggered))
        .order_by_asc(edges::Column::CreatedAt)
        .order_by_asc(edges::Column::Id)
        .all(db)
        .await?;
    Ok(CallTree {
        nodes,
        edges,
        truncated,
    })
}

/// What called a call, the nearest first, as far as it is recorded and visible.
pub async fn call_ancestors(
    db: &impl ConnectionTrait,
    scope: &Scope,
    request_id: &str,
) -> Result<Vec<nodes::Model>, StorageError> {
    #[derive(FromQueryResult)]
    struct Step {
        id: CallGraphNodeId,
    }
    let steps: Vec<Step> = sql::all(
        db,
        "with recursive t(id, parent_request_id, depth) as (
             select id, parent_request_id, cast(0 as bigint) from call_graph_nodes
             where request_id = $1
             union
             select p.id, p.parent_request_id, t.depth + 1 from t
             join call_graph_nodes p on p.request_id = t.parent_request_id
             where t.depth < $2
         )
         select id from t where depth > 0 order by depth",
        [request_id.into(), i64::from(DEEPEST).into()],
    )
    .await?;
    let ids: Vec<&CallGraphNodeId> = steps.iter().map(|step| &step.id).collect();
    let mut found = visible(db, scope, &ids).await?;
    Ok(steps
        .iter()
        .filter_map(|step| found.remove(&step.id))
        .collect())
}

/// Edges that begin at a call.
pub async fn edges_from(
    db: &impl ConnectionTrait,
    node: &CallGraphNodeId,
    kind: Option<EdgeType>,
) -> Result<Vec<edges::Model>, StorageError> {
    edges_at(db, edges::Column::SourceId.eq(node.clone()), kind).await
}

/// Edges that end at a call.
pub async fn edges_into(
    db: &impl ConnectionTrait,
    node: &CallGraphNodeId,
    kind: Option<EdgeType>,
) -> Result<Vec<edges::Model>, StorageError> {
    edges_at(db, edges::Column::TargetId.eq(node.clone()), kind).await
}

async fn edges_at(
    db: &impl ConnectionTrait,
    end: sea_orm::sea_query::SimpleExpr,
    kind: Option<EdgeType>,
) -> Result<Vec<edges::Model>, StorageError> {
    let mut select = edges::Entity::find().filter(end);
    if let Some(kind) = kind {
        select = select.filter(edges::Column::EdgeType.eq(kind));
    }
    Ok(select
        .order_by_asc(edges::Column::CreatedAt)
        .order_by_asc(edges::Column::Id)
        .all(db)
        .await?)
}

async fn visible(
    db: &impl ConnectionTrait,
    scope: &Scope,
    ids: &[&CallGraphNodeId],
) -> Result<HashMap<CallGraphNodeId, nodes::Model>, StorageError> {
    let engine = Engine::of(db);
    let rows = nodes::Entity::find()
        .filter(engine.one_of(column("call_graph_nodes", "id"), ids))
        .filter(scope.calls(engine))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id.clone(), row)).collect())
}
