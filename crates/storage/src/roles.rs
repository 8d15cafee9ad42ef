//! Roles: how agents behave, inherited along `parent_id`.

use std::collections::HashMap;

use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Set, Statement,
};

use crate::engine::Engine;
use crate::entity::{roles, sessions};
use crate::enums::RoleMode;
use crate::error::StorageError;
use crate::ids::RoleId;
use crate::json::{Metadata, PermissionRules, RoleData, StringList, ToolMap};
use crate::page::{Key, KeyKind, Keyset, Page, PageRequest};
use crate::time;

/// Longest chain of roles from a leaf to its root, both counted.
pub const MAX_DEPTH: usize = 8;

/// What a role says; the parent is checked when it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleFields {
    /// Unique.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Who talks to it.
    pub mode: RoleMode,
    /// 0 to 2; none = the default of the mode.
    pub temperature: Option<f32>,
    /// First match decides.
    pub permissions: PermissionRules,
    /// Tool name or pattern to on or off.
    pub tools: ToolMap,
    /// System prompt template.
    pub prompt: Option<String>,
    /// The role it inherits from.
    pub parent_id: Option<RoleId>,
    /// Scopes a key needs to run it.
    pub scopes: StringList,
    /// Model, limits and more.
    pub data: Option<RoleData>,
    /// The hub's own notes.
    pub metadata: Metadata,
}

impl RoleFields {
    /// A role that says nothing but its name and who talks to it.
    pub fn named(name: impl Into<String>, mode: RoleMode) -> Self {
        Self {
            name: name.into(),
            description: None,
            mode,
            temperature: None,
            permissions: PermissionRules::default(),
            tools: ToolMap::default(),
            prompt: None,
            parent_id: None,
            scopes: StringList::default(),
            data: None,
            metadata: Metadata::new(),
        }
    }
}

impl From<roles::Model> for RoleFields {
    fn from(role: roles::Model) -> Self {
        Self {
            name: role.name,
            description: role.description,
            mode: role.mode,
            temperature: role.temperature,
            permissions: role.permissions,
            tools: role.tools,
            prompt: role.prompt,
            parent_id: role.parent_id,
            scopes: role.scopes,
            data: role.data,
            metadata: role.metadata,
        }
    }
}

/// Stores a new role. Needs a transaction.
///
/// Errors: `Unique` by name; `Rule` `unknown_parent` or `depth`.
pub async fn create_role(
    db: &impl ConnectionTrait,
    fields: RoleFields,
) -> Result<roles::Model, StorageError> {
    let id = RoleId::random();
    if let Some(parent) = &fields.parent_id {
        check_parent(db, &id, parent).await?;
    }
    let now = time::now();
    let mut row = active_model(fields);
    row.id = Set(id);
    row.created_at = Set(now);
    row.updated_at = Set(now);
    Ok(row.insert(db).await?)
}

/// Replaces everything a role says. Needs a transaction.
///
/// Errors: `NotFound`; `Unique` by name; `Rule` `unknown_parent`, `cycle` or `depth`.
pub async fn update_role(
    db: &impl ConnectionTrait,
    id: &RoleId,
    fields: RoleFields,
) -> Result<roles::Model, StorageError> {
    if let Some(parent) = &fields.parent_id {
        check_parent(db, id, parent).await?;
    }
    let stored = role_by_id(db, id).await?.ok_or(StorageError::NotFound)?;
    let mut row = active_model(fields);
    row.id = Set(id.clone());
    row.updated_at = Set(time::after(stored.updated_at));
    Ok(row.update(db).await?)
}

/// Deletes a role; its children stand alone afterwards. Answers how many were detached. Needs a
/// transaction.
pub async fn delete_role(db: &impl ConnectionTrait, id: &RoleId) -> Result<u64, StorageError> {
    let children = roles::Entity::find()
        .filter(roles::Column::ParentId.eq(id.clone()))
        .count(db)
        .await?;
    let deleted = roles::Entity::delete_by_id(id.clone()).exec(db).await?;
    if deleted.rows_affected == 0 {
        return Err(StorageError::NotFound);
    }
    Ok(children)
}

/// The role with an id.
pub async fn role_by_id(
    db: &impl ConnectionTrait,
    id: &RoleId,
) -> Result<Option<roles::Model>, StorageError> {
    Ok(roles::Entity::find_by_id(id.clone()).one(db).await?)
}

/// The role with a name.
pub async fn role_by_name(
    db: &impl ConnectionTrait,
    name: &str,
) -> Result<Option<roles::Model>, StorageError> {
    Ok(roles::Entity::find()
        .filter(roles::Column::Name.eq(name))
        .one(db)
        .await?)
}

/// Roles by name, of one mode and under one parent where these are given.
pub async fn list_roles(
    db: &impl ConnectionTrait,
    mode: Option<RoleMode>,
    parent: Option<&RoleId>,
    request: &PageRequest,
) -> Result<Page<roles::Model>, StorageError> {
    let mut select = roles::Entity::find();
    if let Some(mode) = mode {
        select = select.filter(roles::Column::Mode.eq(mode));
    }
    if let Some(parent) = parent {
        select = select.filter(roles::Column::ParentId.eq(parent.clone()));
    }
    let keyset = Keyset::new(
        vec![(Engine::of(db).bytewise("roles", "name"), KeyKind::Text)],
        request.order,
        &("roles", mode, parent),
    )?;
    let rows = keyset.apply(select, request)?.all(db).await?;
    Ok(keyset.page(rows, request, |role| vec![Key::Text(role.name.clone())]))
}

/// A role and those it inherits from, leaf first; empty when there is no such role.
///
/// Ends after [`MAX_DEPTH`] roles even if direct SQL has made a cycle.
pub async fn role_ancestors(
    db: &impl ConnectionTrait,
    name: &str,
) -> Result<Vec<roles::Model>, StorageError> {
    let statement = Statement::from_sql_and_values(
        db.get_database_backend(),
        "with recursive chain (id, parent_id, depth) as (
            select id, parent_id, 1 from roles where name = $1
            union all
            select roles.id, roles.parent_id, chain.depth + 1
            from chain join roles on roles.id = chain.parent_id
            where chain.depth < $2
        )
        select roles.* from chain join roles on roles.id = chain.id order by chain.depth",
        [name.into(), (MAX_DEPTH as i32).into()],
    );
    Ok(roles::Entity::find()
        .from_raw_sql(statement)
        .all(db)
        .await?)
}

/// How many open sessions run under a role.
pub async fn role_in_use(db: &impl ConnectionTrait, name: &str) -> Result<u64, StorageError> {
    Ok(sessions::Entity::find()
        .filter(sessions::Column::RoleName.eq(name))
        .filter(Expr::cust(crate::sessions::OPEN))
        .count(db)
        .await?)
}

fn active_model(fields: RoleFields) -> roles::ActiveModel {
    roles::ActiveModel {
        name: Set(fields.name),
        description: Set(fields.description),
        mode: Set(fields.mode),
        temperature: Set(fields.temperature),
        permissions: Set(fields.permissions),
        tools: Set(fields.tools),
        prompt: Set(fields.prompt),
        parent_id: Set(fields.parent_id),
        scopes: Set(fields.scopes),
        data: Set(fields.data),
        metadata: Set(fields.metadata),
        ..Default::default()
    }
}

/// Refuses a parent that does not exist, descends from the role, or makes a chain too long.
///
/// All roles are locked in one order: two roles that are made each other's parent at the same time
/// would both look innocent.
async fn check_parent(
    db: &impl ConnectionTrait,
    id: &RoleId,
    parent: &RoleId,
) -> Result<(), StorageError> {
    let rows: Vec<(RoleId, Option<RoleId>)> = roles::Entity::find()
        .select_only()
        .columns([roles::Column::Id, roles::Column::ParentId])
        .order_by_asc(roles::Column::Id)
        .lock_exclusive()
        .into_tuple()
        .all(db)
        .await?;
    let mut parents: HashMap<RoleId, Option<RoleId>> = rows.into_iter().collect();
    if !parents.contains_key(parent) {
        return Err(StorageError::rule("unknown_parent"));
    }
    let above = chain(&parents, parent);
    if above.contains(&id) {
        return Err(StorageError::rule("cycle"));
    }
    let above = above.len();
    parents.insert(id.clone(), Some(parent.clone()));
    let below = parents
        .keys()
        .filter_map(|start| chain(&parents, start).iter().position(|role| *role == id))
        .max()
        .unwrap_or_default();
    if above + 1 + below > MAX_DEPTH {
        return Err(StorageError::rule("depth"));
    }
    Ok(())
}

/// A role and its ancestors, as far as they may reach.
fn chain<'a>(parents: &'a HashMap<RoleId, Option<RoleId>>, start: &'a RoleId) -> Vec<&'a RoleId> {
    std::iter::successors(Some(start), |role| parents.get(*role)?.as_ref())
        .take(MAX_DEPTH + 1)
        .collect()
}
