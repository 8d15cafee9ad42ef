//! Rows: one module a table, with its relations both ways.
//!
//! The entities are what the migrations make; a test compares the two on both engines.

pub mod accounts;
pub mod api_keys;
pub mod audit_logs;
pub mod call_graph_edges;
pub mod call_graph_nodes;
pub mod client_secrets;
pub mod clients;
pub mod detections;
pub mod hub_blobs;
pub mod hub_budgets;
pub mod hub_meta;
pub mod hub_migrations;
pub mod hub_usage;
pub mod mappings;
pub mod messages;
pub mod operation_registrations;
pub mod operations;
pub mod organization_members;
pub mod organizations;
pub mod parts;
pub mod projects;
pub mod roles;
pub mod sessions;
pub mod spokes;
pub mod task_dependencies;
pub mod tasks;
pub mod workspaces;
