//! The closed lists a task is described with, and the numbers that some of them stand for.
//!
//! Every list has one spelling, used by `Display`, `FromStr` and serde alike: lower case, words
//! joined by a dash, compared exactly. Variants stand in rank order, so they can be compared.

use serde::{Deserialize, Serialize};
use strum::VariantArray;

/// How far a task has come. No number is attached to it; only `completed` has a meaning in
/// the workflow cost.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum TaskStatus {
    /// Not begun.
    Pending,
    /// Someone works on it.
    InProgress,
    /// Done.
    Completed,
    /// Tried and given up.
    Failed,
    /// Cannot go on until something else happens.
    Blocked,
}

/// How much a task touches.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum TaskScope {
    /// One place.
    Single,
    /// A few places; taken when nothing is said.
    Narrow,
    /// A module or so.
    Moderate,
    /// Several modules.
    Broad,
    /// The whole system.
    System,
}

/// How likely a task is to fail.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum TaskRisk {
    /// Succeeds 98 times of 100.
    Trivial,
    /// Succeeds 90 times of 100.
    Low,
    /// Succeeds 80 times of 100; taken when nothing is said.
    Medium,
    /// Succeeds 65 times of 100.
    High,
    /// Succeeds every other time.
    Critical,
}

/// How far a failure of the task reaches.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum TaskImpact {
    /// Only the task itself; taken when nothing is said.
    Isolated,
    /// The component around it.
    Component,
    /// A phase of the work.
    Phase,
    /// The whole project.
    Project,
}

/// What kind of work a task is.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum TaskLevel {
    /// Deciding what to do.
    Planning,
    /// Cutting work into tasks.
    Decomposition,
    /// Doing it.
    Implementation,
    /// Checking what was done.
    Review,
    /// Finding something out.
    Research,
}

/// How soon a task is wanted.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum TaskPriority {
    /// When there is time.
    Low,
    /// In its turn.
    Medium,
    /// Before others.
    High,
    /// Before everything.
    Critical,
}

impl TaskScope {
    /// Effort in units of one single-place task, 1 to 5.
    pub const fn cost_estimate(self) -> f64 {
        match self {
            Self::Single => 1.0,
            Self::Narrow => 2.0,
            Self::Moderate => 3.0,
            Self::Broad => 4.0,
            Self::System => 5.0,
        }
    }

    /// Language-model tokens the task is expected to use, 500 to 10,000.
    pub const fn token_estimate(self) -> u32 {
        match self {
            Self::Single => 500,
            Self::Narrow => 1_500,
            Self::Moderate => 3_000,
            Self::Broad => 6_000,
            Self::System => 10_000,
        }
    }
}

impl TaskRisk {
    /// Probability that the task succeeds, 0.5 to 0.98.
    pub const fn success_probability(self) -> f64 {
        match self {
            Self::Trivial => 0.98,
            Self::Low => 0.9,
            Self::Medium => 0.8,
            Self::High => 0.65,
            Self::Critical => 0.5,
        }
    }

    /// Probability that the task fails: 1 minus [`Self::success_probability`], computed and not
    /// tabled, because the rounding shows in sums (`1 - 0.8` is not `0.2`).
    pub const fn risk_weight(self) -> f64 {
        1.0 - self.success_probability()
    }
}

impl TaskImpact {
    /// Factor by which a failure weighs, 1 to 3.
    pub const fn impact_weight(self) -> f64 {
        match self {
            Self::Isolated => 1.0,
            Self::Component => 1.5,
            Self::Phase => 2.0,
            Self::Project => 3.0,
        }
    }
}

/// What every list answers in the same way.
macro_rules! list {
    ($($name:ident),+) => {$(
        impl $name {
            /// All values in rank order.
            pub const ALL: &'static [Self] = Self::VARIANTS;

            /// The label as it is written in files, on the wire and in columns.
            pub fn as_str(self) -> &'static str {
                self.into()
            }
        }
    )+};
}

list!(
    TaskStatus,
    TaskScope,
    TaskRisk,
    TaskImpact,
    TaskLevel,
    TaskPriority
);
