//! Spokes: machines that connect and offer operations.

mod enroll;
mod manage;
mod offers;
mod presence;
mod register;
mod resume;
mod watch;

use alkhub_operations::{Operation, OperationType, operation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::state::handle;

pub(crate) use offers::reserved;
pub(crate) use presence::{SpokeChange, SpokeEvent, disconnected, owner_in_row, start_clean};

pub(crate) fn operations() -> Vec<Operation> {
    let mut operations = vec![
        operation::<register::Register, register::Registered>(
            "hub.register",
            OperationType::Mutation,
        )
        .description("Makes a WebSocket connection a spoke, and says what it offers.")
        .scopes(&["spoke:register"])
        .handler(handle(register::register)),
        operation::<register::Update, register::Registered>("hub.update", OperationType::Mutation)
            .description("Changes what the spoke of this WebSocket connection offers.")
            .scopes(&["spoke:register"])
            .handler(handle(register::update)),
    ];
    operations.extend(manage::operations());
    operations.extend(enroll::operations());
    operations.extend(watch::operations());
    operations
}

/// How much a spoke takes at once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Limits {
    /// Calls it runs at once.
    #[serde(default = "sixty_four")]
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) max_in_flight: u32,
}

fn sixty_four() -> u32 {
    64
}

fn default_limits() -> Limits {
    Limits {
        max_in_flight: sixty_four(),
    }
}
