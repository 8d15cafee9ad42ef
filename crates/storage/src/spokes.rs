//! Spokes, the definitions of operations, and who provides them.

mod connections;
mod operations;
mod registrations;
mod removal;

pub use connections::{
    Disconnect, NewSpoke, SpokeChanges, SpokeFilter, connect_spoke, connected_spokes,
    count_spokes_by_status, delete_spoke, disconnect_spokes, spoke_by_id, spoke_by_name, spokes,
    touch_spokes, update_spoke,
};
pub use operations::{
    NewOperation, OperationFilter, Upserted, operation_by_id, operation_by_name, operations,
    operations_by_ids, operations_of_namespace, set_operation_metadata, upsert_operations,
};
pub use registrations::{
    NewRegistration, Provider, active_registrations, load_registrations, prune_registrations,
    register, registrations_of_operation, registrations_of_provider, unregister,
};
pub use removal::{Removal, RemovedRecords, reassign_calls, remove_operation};
