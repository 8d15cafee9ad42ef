//! Which status may follow which. A transition that is not listed is refused; one to the same status
//! is no transition and always succeeds without a write.

use crate::enums::{
    AccountStatus, CallStatus, MappingStatus, RegistrationStatus, SessionStatus, SpokeStatus,
    TaskStatus,
};
use crate::error::StorageError;

/// A closed set of statuses with its table of transitions.
pub trait Transitions: Copy + Eq + Into<&'static str> {
    /// Table the status belongs to, for errors.
    const TABLE: &'static str;

    /// Whether a row may go from this status to another one.
    fn may_become(self, to: Self) -> bool;

    /// `Ok` when the transition is listed, or none.
    ///
    /// Errors: `IllegalTransition`.
    fn check(self, to: Self) -> Result<(), StorageError> {
        if self == to || self.may_become(to) {
            Ok(())
        } else {
            Err(StorageError::IllegalTransition {
                table: Self::TABLE,
                from: self.into(),
                to: to.into(),
            })
        }
    }
}

impl Transitions for SessionStatus {
    const TABLE: &'static str = "sessions";

    fn may_become(self, to: Self) -> bool {
        use SessionStatus::{Archived, Busy, Idle, Retry};
        matches!(
            (self, to),
            (Idle, Busy | Archived)
                | (Busy, Idle | Retry)
                | (Retry, Retry | Busy | Idle)
                | (Archived, Idle)
        )
    }
}

impl Transitions for SpokeStatus {
    const TABLE: &'static str = "spokes";

    fn may_become(self, to: Self) -> bool {
        self != to
    }
}

impl Transitions for RegistrationStatus {
    const TABLE: &'static str = "operation_registrations";

    fn may_become(self, to: Self) -> bool {
        self != to
    }
}

impl Transitions for MappingStatus {
    const TABLE: &'static str = "mappings";

    fn may_become(self, to: Self) -> bool {
        self == Self::Active && to != Self::Active
    }
}

impl Transitions for CallStatus {
    const TABLE: &'static str = "call_graph_nodes";

    // From pending straight to completed or failed: calls that end before dispatch, and replayed
    // events without "running".
    fn may_become(self, to: Self) -> bool {
        use CallStatus::{Aborted, Completed, Failed, Pending, Running};
        matches!(
            (self, to),
            (Pending, Running | Completed | Failed | Aborted)
                | (Running, Completed | Failed | Aborted)
        )
    }
}

impl Transitions for TaskStatus {
    const TABLE: &'static str = "tasks";

    // From completed only a reopening leads back, which its function allows by itself.
    fn may_become(self, to: Self) -> bool {
        use TaskStatus::{Blocked, Completed, Failed, InProgress, Pending};
        matches!(
            (self, to),
            (Pending, InProgress | Failed | Blocked)
                | (InProgress, Pending | Completed | Failed | Blocked)
                | (Blocked, Pending | InProgress | Failed)
                | (Failed, Pending | InProgress)
        )
    }
}

impl Transitions for AccountStatus {
    const TABLE: &'static str = "accounts";

    fn may_become(self, to: Self) -> bool {
        use AccountStatus::{Active, Deactivated, Suspended};
        matches!(
            (self, to),
            (Active, Suspended | Deactivated)
                | (Suspended, Active | Deactivated)
                | (Deactivated, Active)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The listed transitions, as `from>to` in the order of the words.
    fn listed<S: Transitions>(all: &[S]) -> Vec<String> {
        let pairs = all
            .iter()
            .flat_map(|from| all.iter().map(move |to| (*from, *to)));
        pairs
            .filter(|(from, to)| from != to && from.may_become(*to))
            .map(|(from, to)| format!("{}>{}", from.into(), to.into()))
            .collect()
    }

    #[test]
    fn sessions_go_round_between_idle_busy_and_retry() {
        assert_eq!(
            listed(SessionStatus::ALL),
            [
                "idle>busy",
                "idle>archived",
                "busy>idle",
                "busy>retry",
                "retry>idle",
                "retry>busy",
                "archived>idle"
            ]
        );
        assert!(SessionStatus::Retry.may_become(SessionStatus::Retry));
    }

    #[test]
    fn a_mapping_ends_once() {
        assert_eq!(
            listed(MappingStatus::ALL),
            ["active>completed", "active>aborted", "active>failed"]
        );
    }

    #[test]
    fn nothing_follows_a_terminal_call() {
        assert_eq!(
            listed(CallStatus::ALL),
            [
                "pending>running",
                "pending>completed",
                "pending>failed",
                "pending>aborted",
                "running>completed",
                "running>failed",
                "running>aborted"
            ]
        );
    }

    #[test]
    fn a_task_is_completed_only_while_in_progress() {
        assert_eq!(
            listed(TaskStatus::ALL),
            [
                "pending>in-progress",
                "pending>failed",
                "pending>blocked",
                "in-progress>pending",
                "in-progress>completed",
                "in-progress>failed",
                "in-progress>blocked",
                "failed>pending",
                "failed>in-progress",
                "blocked>pending",
                "blocked>in-progress",
                "blocked>failed"
            ]
        );
    }

    #[test]
    fn a_deactivated_account_is_not_suspended() {
        assert_eq!(
            listed(AccountStatus::ALL),
            [
                "active>suspended",
                "active>deactivated",
                "suspended>active",
                "suspended>deactivated",
                "deactivated>active"
            ]
        );
    }

    #[test]
    fn spokes_and_registrations_go_both_ways() {
        assert_eq!(listed(SpokeStatus::ALL).len(), 2);
        assert_eq!(listed(RegistrationStatus::ALL).len(), 2);
    }

    #[test]
    fn a_refusal_names_table_and_both_statuses() {
        let refused = MappingStatus::Completed.check(MappingStatus::Active);
        assert!(matches!(
            refused,
            Err(StorageError::IllegalTransition {
                table: "mappings",
                from: "completed",
                to: "active"
            })
        ));
        assert!(
            MappingStatus::Completed
                .check(MappingStatus::Completed)
                .is_ok()
        );
    }
}
