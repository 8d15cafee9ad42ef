//! Rows: one module a table, with its relations both ways.
//!
//! The entities are what the migrations make; a test compares the two on both engines.

pub mod accounts;
pub mod organizations;
pub mod organization_members;
pub mod api_keys;
pub mod audit_logs;
pub mod projects;
pub mod workspaces;
pub mod sessions;
pub mod messages;
pub mod parts;
pub mod spokes;
pub mod operations;
pub mod operation_registrations;
pub mod clients;
pub mod client_secrets;
pub mod roles;
pub mod tasks;
pub mod task_dependencies;
pub mod mappings;
pub mod detections;
pub mod call_graph_nodes;
pub mod call_graph_edges;
pub mod hub_migrations;
pub mod hub_meta;
pub mod hub_usage;
pub mod hub_budgets;
pub mod hub_blobs;
