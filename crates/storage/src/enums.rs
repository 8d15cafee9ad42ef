//! Closed sets of words that columns hold.
//!
//! Data base, wire, `Display` and `FromStr` spell each word alike. Equal words of two sets are different
//! types on purpose: a completed mapping is not a completed task.

use schemars::JsonSchema;
use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:tt,)+ }) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
            strum::Display, strum::EnumString, strum::IntoStaticStr, EnumIter, DeriveActiveEnum,
        )]
        #[sea_orm(rs_type = "String", db_type = "Text")]
        pub enum $name {
            $(
                $(#[$variant_doc])*
                #[sea_orm(string_value = $text)]
                #[serde(rename = $text)]
                #[strum(serialize = $text)]
                $variant,
            )+
        }

        impl $name {
            /// Every word of the set, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word as it is stored and sent.
            pub fn as_str(self) -> &'static str {
                self.into()
            }
        }
    };
}

words!(
    /// What an account may administer.
    AccessLevel {
        /// Everything of the hub.
        Admin = "admin",
        /// Its own and its organizations' rows.
        User = "user",
        /// A machine.
        Service = "service",
    }
);

words!(
    /// Whether an account may act.
    AccountStatus {
        /// Yes.
        Active = "active",
        /// Locked by an administrator.
        Suspended = "suspended",
        /// Ended.
        Deactivated = "deactivated",
    }
);

words!(
    /// What a member may do in an organization.
    MembershipLevel {
        /// Everything.
        Owner = "owner",
        /// Members and rows.
        Admin = "admin",
        /// Read and write rows.
        Member = "member",
    }
);

words!(
    /// Where a workspace is.
    WorkspaceType {
        /// On the machine of a spoke.
        Local = "local",
        /// Elsewhere.
        Remote = "remote",
        /// In a container.
        Container = "container",
    }
);

words!(
    /// What a session does now.
    SessionStatus {
        /// Nothing.
        Idle = "idle",
        /// A prompt is under way.
        Busy = "busy",
        /// Waits for the next attempt.
        Retry = "retry",
        /// Put away.
        Archived = "archived",
    }
);

words!(
    /// Who speaks.
    MessageRole {
        /// A person, or another agent.
        User = "user",
        /// The model.
        Assistant = "assistant",
        /// The system prompt.
        System = "system",
    }
);

words!(
    /// Kind of a part.
    PartType {
        /// Text.
        Text = "text",
        /// Thoughts of the model.
        Reasoning = "reasoning",
        /// A file.
        File = "file",
        /// A call of a tool and its outcome.
        ToolCall = "tool-call",
        /// A step begins.
        StepStart = "step-start",
        /// A step ends, with its usage.
        StepFinish = "step-finish",
        /// State of the work tree.
        Snapshot = "snapshot",
        /// Changed files.
        Patch = "patch",
        /// Work given to another agent.
        Agent = "agent",
        /// Earlier messages were summed up.
        Compaction = "compaction",
        /// An attempt failed.
        Retry = "retry",
        /// A source the model names.
        Source = "source",
        /// A note of the hub.
        Notice = "notice",
    }
);

words!(
    /// Whether a spoke's socket is open.
    SpokeStatus {
        /// Open.
        Connected = "connected",
        /// Closed.
        Disconnected = "disconnected",
    }
);

words!(
    /// What sort of machine a spoke is.
    SpokeType {
        /// A developer's machine.
        DevEnv = "dev-env",
        /// A browser or another client.
        Client = "client",
        /// A build or GPU box.
        Compute = "compute",
        /// Anything else.
        Custom = "custom",
    }
);

words!(
    /// How an operation answers.
    OperationType {
        /// Reads.
        Query = "query",
        /// Changes.
        Mutation = "mutation",
        /// Sends items until it ends.
        Subscription = "subscription",
    }
);

words!(
    /// In which table a provider is.
    ProviderType {
        /// `spokes`.
        Spoke = "spoke",
        /// `clients`.
        Client = "client",
    }
);

words!(
    /// Whether an operation is offered now.
    RegistrationStatus {
        /// Yes.
        Active = "active",
        /// No.
        Inactive = "inactive",
    }
);

words!(
    /// What sort of service a client is.
    ClientType {
        /// Serves language models.
        LlmProvider = "llm-provider",
        /// Keeps repositories.
        Vcs = "vcs",
        /// Rents machines.
        Compute = "compute",
        /// Speaks MCP.
        McpServer = "mcp-server",
        /// Any HTTP service.
        Custom = "custom",
    }
);

words!(
    /// Who talks to a role.
    RoleMode {
        /// A person.
        Primary = "primary",
        /// A coordinator.
        Subagent = "subagent",
    }
);

words!(
    /// Where the work on a task stands.
    TaskStatus {
        /// Not begun.
        Pending = "pending",
        /// Under way.
        InProgress = "in-progress",
        /// Done.
        Completed = "completed",
        /// Given up; may be tried again.
        Failed = "failed",
        /// Waits for something.
        Blocked = "blocked",
    }
);

words!(
    /// How much a task touches.
    TaskScope {
        /// One function or file.
        Single = "single",
        /// One part.
        Narrow = "narrow",
        /// A few parts.
        Moderate = "moderate",
        /// Many parts.
        Broad = "broad",
        /// Everything.
        System = "system",
    }
);

words!(
    /// How likely a task goes wrong.
    TaskRisk {
        /// Hardly.
        Trivial = "trivial",
        /// Seldom.
        Low = "low",
        /// Sometimes.
        Medium = "medium",
        /// Often.
        High = "high",
        /// Mostly.
        Critical = "critical",
    }
);

words!(
    /// How far a failure reaches.
    TaskImpact {
        /// The task alone.
        Isolated = "isolated",
        /// Its component.
        Component = "component",
        /// Its phase.
        Phase = "phase",
        /// The whole project.
        Project = "project",
    }
);

words!(
    /// Sort of work.
    TaskLevel {
        /// Planning.
        Planning = "planning",
        /// Cutting into tasks.
        Decomposition = "decomposition",
        /// Making.
        Implementation = "implementation",
        /// Checking.
        Review = "review",
        /// Finding out.
        Research = "research",
    }
);

words!(
    /// What comes first.
    TaskPriority {
        /// Last.
        Low = "low",
        /// Before low.
        Medium = "medium",
        /// Before medium.
        High = "high",
        /// First.
        Critical = "critical",
    }
);

words!(
    /// How a try at a task ended.
    MappingStatus {
        /// It has not.
        Active = "active",
        /// Done.
        Completed = "completed",
        /// Cancelled.
        Aborted = "aborted",
        /// Given up.
        Failed = "failed",
    }
);

words!(
    /// How bad an anomaly is.
    Severity {
        /// A note.
        Low = "low",
        /// Worth a look.
        Medium = "medium",
        /// Needs action.
        High = "high",
    }
);

words!(
    /// Where a call stands.
    CallStatus {
        /// Recorded, not dispatched.
        Pending = "pending",
        /// Dispatched.
        Running = "running",
        /// Answered.
        Completed = "completed",
        /// Ended with an error.
        Failed = "failed",
        /// Cancelled.
        Aborted = "aborted",
    }
);

words!(
    /// What an edge between calls means.
    EdgeType {
        /// The source called the target.
        Triggered = "triggered",
        /// The target waited for the source.
        DependsOn = "depends_on",
    }
);

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use sea_orm::ActiveEnum;

    use super::*;

    macro_rules! check {
        ($($name:ident),+ $(,)?) => {
            $(
                for word in $name::ALL {
                    let text = word.as_str();
                    assert_eq!(word.to_string(), text);
                    assert_eq!(word.to_value(), text);
                    assert_eq!(serde_json::to_value(word).unwrap(), text);
                    assert_eq!($name::from_str(text).unwrap(), *word);
                    assert_eq!($name::try_from_value(&text.to_owned()).unwrap(), *word);
                    assert_eq!(
                        serde_json::from_value::<$name>(text.into()).unwrap(),
                        *word
                    );
                }
                assert!($name::from_str("no such word").is_err());
                assert!($name::try_from_value(&"no such word".to_owned()).is_err());
                assert!(serde_json::from_str::<$name>("\"no such word\"").is_err());
            )+
        };
    }

    #[test]
    fn every_word_has_one_spelling_and_unknown_ones_are_refused() {
        check!(
            AccessLevel,
            AccountStatus,
            MembershipLevel,
            WorkspaceType,
            SessionStatus,
            MessageRole,
            PartType,
            SpokeStatus,
            SpokeType,
            OperationType,
            ProviderType,
            RegistrationStatus,
            ClientType,
            RoleMode,
            TaskStatus,
            TaskScope,
            TaskRisk,
            TaskImpact,
            TaskLevel,
            TaskPriority,
            MappingStatus,
            Severity,
            CallStatus,
            EdgeType,
        );
    }
}
