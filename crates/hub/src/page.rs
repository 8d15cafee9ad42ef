//! Pages of lists: the three fields every list takes, and the answer every list gives.

use alkhub_storage::Page;
use schemars::JsonSchema;
use serde::Serialize;

/// Items of a page when the caller does not say.
pub(crate) const DEFAULT_LIMIT: u16 = 50;

/// One page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "{T}Page")]
pub(crate) struct PageView<T> {
    /// The rows of this page.
    pub(crate) items: Vec<T>,
    /// Give this as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_cursor: Option<String>,
}

impl<T> PageView<T> {
    /// Turns the rows of a page into what callers see.
    pub(crate) fn of<Row>(page: Page<Row>, view: impl FnMut(Row) -> T) -> Self {
        Self {
            items: page.items.into_iter().map(view).collect(),
            next_cursor: page.next_cursor,
        }
    }
}

/// Declares the input of a list: the given fields, then `limit`, `cursor` and `order`.
///
/// A macro and not a flattened struct, because serde cannot refuse unknown fields across a flattened
/// one.
macro_rules! list_input {
    ($(#[$attribute:meta])* struct $name:ident { $($fields:tt)* }) => {
        $(#[$attribute])*
        #[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct $name {
            $($fields)*
            /// Rows of one page, 1 to 500; 50 when absent.
            #[schemars(range(min = 1, max = 500))]
            limit: Option<u16>,
            /// Where the last page ended: its `nextCursor`.
            cursor: Option<String>,
            /// `desc` (newest or last first, the default) or `asc`.
            order: Option<crate::page::Order>,
        }

        impl $name {
            fn page(&self) -> alkhub_storage::PageRequest {
                alkhub_storage::PageRequest {
                    cursor: self.cursor.clone(),
                    limit: self.limit.unwrap_or(crate::page::DEFAULT_LIMIT),
                    order: self.order.map_or_else(Default::default, Into::into),
                }
            }
        }
    };
}
pub(crate) use list_input;

/// Direction of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// Oldest or first in front.
    Asc,
    /// Newest or last in front.
    Desc,
}

impl From<Order> for alkhub_storage::Order {
    fn from(order: Order) -> Self {
        match order {
            Order::Asc => Self::Asc,
            Order::Desc => Self::Desc,
        }
    }
}
