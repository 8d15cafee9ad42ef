//! Lists of calls.

use std::sync::Arc;

use alkhub_operations::{Operation, OperationType, operation};
use alkhub_storage::calls::{self as queries, CallFilter};
use alkhub_storage::enums::CallStatus;
use alkhub_storage::ids::{AccountId, ProjectId, SessionId, SpokeId};

use super::view::{CallView, Names};
use super::{Viewer, operation_row};
use crate::error::HubError;
use crate::page::{PageView, list_input};
use crate::rules::{self, Issues};
use crate::state::{Call, handle};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<CallList, PageView<CallView>>("call.list", OperationType::Query)
            .description(
                "Recorded calls, newest first: your own, and with call:read those of the projects you may see.",
            )
            .handler(handle(list)),
        operation::<CallRunning, PageView<CallView>>("call.running", OperationType::Query)
            .description("Calls that are under way or wait to be, newest first.")
            .scopes(&["call:read"])
            .handler(handle(running)),
    ]
}

list_input! {
    struct CallList {
        /// Only calls that stand so.
        status: Option<Vec<CallStatus>>,
        /// Only calls of this operation, by its full name.
        operation: Option<String>,
        /// Only calls of operations of this namespace.
        namespace: Option<String>,
        /// Only calls of this account.
        account_id: Option<String>,
        /// Only calls about this project.
        project_id: Option<String>,
        /// Only calls made in this session.
        session_id: Option<String>,
        /// Only calls that ran on this spoke.
        spoke_id: Option<String>,
        /// Only calls requested at this time or later.
        from: Option<String>,
        /// Only calls requested before this time.
        to: Option<String>,
        /// Only calls that ran at least so many milliseconds.
        min_ms: Option<u64>,
        /// Only calls that no other call made.
        #[serde(default)]
        root_only: bool,
        /// Only calls that ended with this error code.
        error_code: Option<String>,
    }
}

async fn list(call: Call, input: Arc<CallList>) -> Result<PageView<CallView>, HubError> {
    let mut issues = Issues::default();
    for (field, text) in [
        ("/operation", &input.operation),
        ("/namespace", &input.namespace),
        ("/accountId", &input.account_id),
        ("/projectId", &input.project_id),
        ("/sessionId", &input.session_id),
        ("/spokeId", &input.spoke_id),
        ("/errorCode", &input.error_code),
    ] {
        if let Some(text) = text {
            issues.take(rules::line(field, text, 200));
        }
    }
    let from = issues.moment("/from", input.from.as_deref());
    let to = issues.moment("/to", input.to.as_deref());
    issues.finish()?;
    let filter = CallFilter {
        operation: operation_row(&call, input.operation.as_deref()).await?,
        namespace: input.namespace.clone(),
        account: input.account_id.clone().map(AccountId::from),
        status: input.status.clone().unwrap_or_default(),
        project: input.project_id.clone().map(ProjectId::from),
        session: input.session_id.clone().map(SessionId::from),
        spoke: input.spoke_id.clone().map(SpokeId::from),
        root_only: input.root_only,
        min_ms: input.min_ms,
        error_code: input.error_code.clone(),
        from,
        to,
    };
    page(&call, &filter, &input.page()).await
}

list_input! {
    struct CallRunning {
        /// Only calls of this operation, by its full name.
        operation: Option<String>,
    }
}

async fn running(call: Call, input: Arc<CallRunning>) -> Result<PageView<CallView>, HubError> {
    let filter = CallFilter {
        operation: operation_row(&call, input.operation.as_deref()).await?,
        status: vec![CallStatus::Pending, CallStatus::Running],
        ..CallFilter::default()
    };
    page(&call, &filter, &input.page()).await
}

async fn page(
    call: &Call,
    filter: &CallFilter,
    request: &alkhub_storage::PageRequest,
) -> Result<PageView<CallView>, HubError> {
    let viewer = Viewer::of(call)?;
    let reader = call.database().reader();
    let page = queries::calls(reader, &viewer.scope, filter, request).await?;
    let names = Names::load(call, &page.items).await?;
    Ok(PageView::of(page, |node| CallView::of(&node, &names)))
}
