//! The states of a call and the steps between them.

use serde::{Deserialize, Serialize};

/// Where a call stands.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum CallStatus {
    /// Asked for, not yet given to whoever runs it.
    Pending,
    /// Being run.
    Running,
    /// Ended with an answer.
    Completed,
    /// Ended with an error.
    Failed,
    /// Called off.
    Aborted,
}

impl CallStatus {
    /// True for the three states that are final.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Aborted)
    }

    /// True while the call may still change.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !self.is_terminal()
    }

    /// True for the steps of the state machine: from pending to every other state (a call may end
    /// before anybody is known to have run it), from running to the three final ones. Staying in a
    /// state is no step.
    ///
    /// ```
    /// use alkhub_callgraph::CallStatus;
    ///
    /// assert!(CallStatus::Pending.may_become(CallStatus::Failed));
    /// assert!(!CallStatus::Completed.may_become(CallStatus::Aborted));
    /// ```
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => !matches!(next, Self::Pending),
            Self::Running => next.is_terminal(),
            Self::Completed | Self::Failed | Self::Aborted => false,
        }
    }
}
