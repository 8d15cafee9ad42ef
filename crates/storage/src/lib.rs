//! Entities, migrations and queries of the hub's database.
//!
//! SQLite and PostgreSQL serve the same functions. [`Database`] connects and migrates; [`entity`] holds
//! a module a table; the modules named after domains hold the queries. Their functions take a connection
//! or transaction first and never begin one: the caller owns the transaction. Functions that say so must
//! be given one.

pub mod calls;
pub mod coordination;
pub mod entity;
pub mod enums;
pub mod identity;
pub mod ids;
pub mod json;
pub mod meta;
pub mod page;
pub mod projects;
pub mod roles;
pub mod services;
pub mod sessions;
pub mod spokes;
pub mod tasks;
#[cfg(feature = "testing")]
#[expect(
    clippy::expect_used,
    reason = "a test that cannot have its database fails; nothing could be done with an error"
)]
pub mod testing;
pub mod time;
pub mod transitions;

mod database;
mod dedicated;
mod engine;
mod error;
mod migrate;
mod row;
mod scope;
mod sql;

pub use database::{ConnectError, Database, DatabaseOptions, SqliteSynchronous};
pub use dedicated::Dedicated;
pub use engine::Engine;
pub use error::{StorageError, StorageResultExt};
pub use identity::NewAuditEntry;
pub use migrate::{MigrateError, MigrationReport};
pub use page::{Order, Page, PageRequest};
pub use scope::{Limits, Scope};

/// What queries run on, and what a commit may answer.
pub use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};

pub use entity::accounts::Model as Account;
pub use entity::api_keys::Model as ApiKey;
pub use entity::audit_logs::Model as AuditLog;
pub use entity::call_graph_edges::Model as CallGraphEdge;
pub use entity::call_graph_nodes::Model as CallGraphNode;
pub use entity::client_secrets::Model as ClientSecret;
pub use entity::clients::Model as Client;
pub use entity::detections::Model as Detection;
pub use entity::mappings::Model as Mapping;
pub use entity::messages::Model as Message;
pub use entity::operation_registrations::Model as OperationRegistration;
pub use entity::operations::Model as Operation;
pub use entity::organization_members::Model as OrganizationMember;
pub use entity::organizations::Model as Organization;
pub use entity::parts::Model as Part;
pub use entity::projects::Model as Project;
pub use entity::roles::Model as Role;
pub use entity::sessions::Model as Session;
pub use entity::spokes::Model as Spoke;
pub use entity::task_dependencies::Model as TaskDependency;
pub use entity::tasks::Model as Task;
pub use entity::workspaces::Model as Workspace;
