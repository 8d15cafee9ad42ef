//! What an MCP server says by itself: progress, and that its tools changed. What it asks of its clients
//! (samples of models, roots, questions to people) is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use alkhub_operations::Context;
use rmcp::model::{
    ClientCapabilities, ClientConfig, Implementation, ProgressNotificationParam, ProgressToken,
    ProtocolVersion, ServerNotification, SubscriptionFilter,
};
use rmcp::service::{NotificationContext, Peer, RoleClient};
use rmcp::{ClientHandler, ErrorData};

use super::Server;

/// Calls that wait for progress, by the token they were sent with.
type Reports = Arc<Mutex<HashMap<ProgressToken, Context>>>;

/// The client half's ear.
#[derive(Clone)]
pub(super) struct Listener {
    server: Weak<Server>,
    revision: Option<ProtocolVersion>,
    reports: Reports,
}

/// Ends the reports of a call when it is dropped.
pub(super) struct Reporting {
    reports: Reports,
    token: ProgressToken,
}

impl Listener {
    pub(super) fn new(server: &Arc<Server>, revision: Option<ProtocolVersion>) -> Self {
        Self {
            server: Arc::downgrade(server),
            revision,
            reports: Reports::default(),
        }
    }

    /// Hands the progress of a call on until what is given back is dropped.
    pub(super) fn report_to(&self, token: ProgressToken, ctx: Context) -> Reporting {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.insert(token.clone(), ctx);
        Reporting {
            reports: Arc::clone(&self.reports),
            token,
        }
    }

    fn changed(&self) {
        if let Some(server) = self.server.upgrade() {
            server.changed();
        }
    }
}

impl Drop for Reporting {
    fn drop(&mut self) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        reports.remove(&self.token);
    }
}

impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        let hub = Implementation::new("alkhub", env!("CARGO_PKG_VERSION"));
        let config = ClientConfig::new(ClientCapabilities::default(), hub);
        match &self.revision {
            Some(revision) if revision.has_initialize() => {
                config.with_protocol_version(revision.clone())
            }
            _ => config,
        }
    }

    #[expect(
        deprecated,
        reason = "older servers ask for roots all the same, and are refused"
    )]
    async fn list_roots(
        &self,
        _context: rmcp::service::RequestContext<RoleClient>,
    ) -> Result<rmcp::model::ListRootsResult, ErrorData> {
        Err(ErrorData::method_not_found::<
            rmcp::model::ListRootsRequestMethod,
        >())
    }

    async fn create_elicitation(
        &self,
        _request: rmcp::model::ElicitRequestParams,
        _context: rmcp::service::RequestContext<RoleClient>,
    ) -> Result<rmcp::model::ElicitResult, ErrorData> {
        Err(ErrorData::method_not_found::<
            rmcp::model::ElicitationCreateRequestMethod,
        >())
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        let ctx = {
            let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
            reports.get(&params.progress_token).cloned()
        };
        if let Some(ctx) = ctx {
            let fraction = params
                .total
                .filter(|total| *total > 0.0)
                .map(|total| params.progress / total);
            ctx.progress(fraction, params.message.as_deref());
        }
    }

    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.changed();
    }
}

/// Listens as newer revisions have it, until the connection ends.
pub(super) async fn listen_to_changes(peer: Peer<RoleClient>, listener: Listener) {
    let filter = SubscriptionFilter::builder().tools_list_changed().build();
    let mut changes = match peer.listen(filter).await {
        Ok(changes) => changes,
        Err(error) => {
            tracing::debug!(%error, "an MCP server does not tell when its tools change");
            return;
        }
    };
    drop(peer);
    while let Ok(Some(notification)) = changes.next().await {
        if matches!(
            notification,
            ServerNotification::ToolListChangedNotification(_)
        ) {
            listener.changed();
        }
    }
}
