//! Single calls, what they called, and what called them.

use std::collections::{HashMap, HashSet};

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IdenStatic, Iterable, QueryFilter,
    QueryOrder, QuerySelect, Select,
};

use crate::engine::Engine;
use crate::entity::{call_graph_edges as edges, call_graph_nodes as nodes};
use crate::enums::EdgeType;
use crate::error::StorageError;
use crate::ids::CallGraphNodeId;
use crate::scope::{Scope, column};
use crate::sql;

const TABLE: &str = "call_graph_nodes";
/// Deepest walk: nesting is far less, so this only ends walks over damaged rows. One step more than is
/// shown.
const DEEPEST: u32 = 101;
/// Most calls of a tree, one more than is shown.
const MOST: u32 = 5_001;

/// A call and how far it is from the one that was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeNode {
    /// The call, without input and output.
    pub node: nodes::Model,
    /// Steps from the one asked for, which has 0.
    pub depth: u32,
    /// Whether the asker may see it; of others nothing but status and times may be told.
    pub visible: bool,
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

/// A call and what it called, down to `depth` steps, at most `limit` calls (5,001 at most, one more than
/// is shown, so that a cut is noticed).
///
/// Calls the asker may not see are among them, marked, so that the tree keeps its shape: whoever asks
/// makes sure first that the call at the top may be asked for. Empty when it is not there.
pub async fn call_tree(
    db: &impl ConnectionTrait,
    scope: &Scope,
    request_id: &str,
    depth: u32,
    limit: u32,
) -> Result<CallTree, StorageError> {
    let limit = limit.clamp(1, MOST);
    let mut steps: Vec<Step> = sql::all(
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
    steps.truncate(most);
    let nodes = marked(db, scope, &steps).await?;
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

/// What called a call, the nearest first, as far as it is recorded; marked as in [`call_tree`].
pub async fn call_ancestors(
    db: &impl ConnectionTrait,
    scope: &Scope,
    request_id: &str,
) -> Result<Vec<TreeNode>, StorageError> {
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
         select id, depth from t where depth > 0 order by depth",
        [request_id.into(), i64::from(DEEPEST).into()],
    )
    .await?;
    marked(db, scope, &steps).await
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

/// A row that a walk came to.
#[derive(FromQueryResult)]
struct Step {
    id: CallGraphNodeId,
    depth: i64,
}

/// The calls of a walk in its order, each with whether the asker may see it.
async fn marked(
    db: &impl ConnectionTrait,
    scope: &Scope,
    steps: &[Step],
) -> Result<Vec<TreeNode>, StorageError> {
    let engine = Engine::of(db);
    let ids: Vec<&CallGraphNodeId> = steps.iter().map(|step| &step.id).collect();
    let among = || nodes::Entity::find().filter(engine.one_of(column(TABLE, "id"), &ids));
    let rows = brief(among(), engine).all(db).await?;
    let seen: Option<HashSet<CallGraphNodeId>> = match scope {
        Scope::All => None,
        Scope::Limited(_) => {
            let seen: Vec<CallGraphNodeId> = among()
                .filter(scope.calls(engine))
                .select_only()
                .column(nodes::Column::Id)
                .into_tuple()
                .all(db)
                .await?;
            Some(seen.into_iter().collect())
        }
    };
    let mut found: HashMap<CallGraphNodeId, nodes::Model> =
        rows.into_iter().map(|row| (row.id.clone(), row)).collect();
    Ok(steps
        .iter()
        .filter_map(|step| {
            Some(TreeNode {
                node: found.remove(&step.id)?,
                depth: u32::try_from(step.depth).unwrap_or(u32::MAX),
                visible: seen.as_ref().is_none_or(|seen| seen.contains(&step.id)),
            })
        })
        .collect())
}

/// Reads input and output as null: together they may be a thousand times what a list needs.
pub(super) fn brief(select: Select<nodes::Entity>, engine: Engine) -> Select<nodes::Entity> {
    nodes::Column::iter().fold(select.select_only(), |select, column| match column {
        nodes::Column::Input | nodes::Column::Output => {
            select.expr_as(Expr::cust(null_json(engine)), column.as_str())
        }
        other => select.column(other),
    })
}

/// The same as the columns of a statement written as text.
pub(super) fn without_payload(engine: Engine) -> String {
    let columns = nodes::Column::iter().map(|column| match column {
        nodes::Column::Input | nodes::Column::Output => {
            format!("{} as {}", null_json(engine), column.as_str())
        }
        other => format!("{TABLE}.{}", other.as_str()),
    });
    columns.collect::<Vec<_>>().join(", ")
}

fn null_json(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "null",
        Engine::Postgres => "cast(null as jsonb)",
    }
}
