//! Ids: one newtype a table, so that no id is taken for another.
//!
//! All are text. New ones are random UUIDs of version 4; those of parts are of version 7 and sort in
//! the order in which one process made them. Ids of imported rows may have any form.

use std::borrow::Borrow;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use sea_orm::{DbErr, DeriveValueType, TryFromU64};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Id of the operation row that stands for all removed ones; see `operations` in the migrations.
pub const REMOVED_OPERATION: &str = "__removed__";

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $new:expr) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
            DeriveValueType,
        )]
        #[serde(transparent)]
        #[schemars(inline)]
        pub struct $name(String);

        impl $name {
            /// A new id that no other row has.
            pub fn random() -> Self {
                Self($new.hyphenated().to_string())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The id as text, by value.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl FromStr for $name {
            type Err = Infallible;

            fn from_str(text: &str) -> Result<Self, Infallible> {
                Ok(Self(text.to_owned()))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        // Asked for by every primary key of SeaORM; a text key has no number behind it.
        impl TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, DbErr> {
                Err(DbErr::ConvertFromU64(stringify!($name)))
            }
        }
    };
}

id!(/** Id of an account. */ AccountId, Uuid::new_v4());
id!(/** Id of an organization. */ OrganizationId, Uuid::new_v4());
id!(/** Id of a membership. */ OrganizationMemberId, Uuid::new_v4());
id!(/** Id of an API key. */ ApiKeyId, Uuid::new_v4());
id!(/** Id of an audit entry. */ AuditLogId, Uuid::new_v4());
id!(/** Id of a project. */ ProjectId, Uuid::new_v4());
id!(/** Id of a workspace. */ WorkspaceId, Uuid::new_v4());
id!(/** Id of a session. */ SessionId, Uuid::new_v4());
id!(/** Id of a message. */ MessageId, Uuid::new_v4());
id!(/** Id of a part; sorts in the order of creation. */ PartId, Uuid::now_v7());
id!(/** Id of a spoke. */ SpokeId, Uuid::new_v4());
id!(/** Id of an operation. */ OperationId, Uuid::new_v4());
id!(/** Id of a registration. */ OperationRegistrationId, Uuid::new_v4());
id!(/** Id of a client. */ ClientId, Uuid::new_v4());
id!(/** Id of a secret. */ ClientSecretId, Uuid::new_v4());
id!(/** Id of a role. */ RoleId, Uuid::new_v4());
id!(/** Id of a mapping. */ MappingId, Uuid::new_v4());
id!(/** Id of a detection. */ DetectionId, Uuid::new_v4());
id!(/** Id of a recorded call; not its request id. */ CallGraphNodeId, Uuid::new_v4());
id!(/** Id of an edge between recorded calls. */ CallGraphEdgeId, Uuid::new_v4());
id!(/** Id of a task. */ TaskId, Uuid::new_v4());
id!(/** Id of an edge between tasks. */ TaskDependencyId, Uuid::new_v4());
id!(/** Id of a budget. */ BudgetId, Uuid::new_v4());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_parts_sort_in_the_order_of_creation() {
        let made: Vec<PartId> = (0..10_000).map(|_| PartId::random()).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn an_id_is_plain_text_on_the_wire() {
        let id = TaskId::from("t1");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"t1\"");
        assert_eq!("t1".parse::<TaskId>().unwrap(), id);
        assert_eq!(TaskId::random().as_str().len(), 36);
    }
}
