//! What all handlers share, and a handler's view of the call it serves.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use alkhub_operations::{CallError, Context, Registry};
use alkhub_storage::ids::{AccountId, OrganizationId};
use alkhub_storage::{Database, DatabaseTransaction, Scope};
use chrono::{DateTime, Utc};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::audit::Actor;
use crate::auth::{Authenticator, LastUsed, Origin, Principal};
use crate::clients::Services;
use crate::config::{Config, LiveConfig};
use crate::connections::{Connection, Sockets};
use crate::dispatch::Queue;
use crate::error::HubError;
use crate::events::Events;
use crate::jobs::RunningJobs;
use crate::limits::Limits;
use crate::links::Links;
use crate::live::LiveCalls;
use crate::news::{self, News};
use crate::notices::Notices;
use crate::operations::KnownGraph;
use crate::providers::Providers;
use crate::recorder::Recorder;
use crate::recovery::Recovery;
use crate::repeats::Repeats;

/// How often a handler is run anew when its transaction lost against another one.
const CONFLICT_RETRIES: u32 = 5;

/// Which run of which hub process this is: the owner of the calls it has open.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    /// Stable over restarts.
    pub(crate) id: Uuid,
    /// Grows with each start.
    pub(crate) start: u64,
}

/// Everything of a running hub.
pub(crate) struct State {
    pub(crate) database: Database,
    pub(crate) config: Arc<LiveConfig>,
    pub(crate) authenticator: Authenticator,
    pub(crate) last_used: LastUsed,
    pub(crate) limits: Limits,
    pub(crate) notices: Notices,
    pub(crate) events: Events,
    /// What `hub.events` tells.
    pub(crate) news: News,
    /// The jobs that run here now.
    pub(crate) running_jobs: RunningJobs,
    pub(crate) recorder: Recorder,
    pub(crate) repeats: Repeats,
    pub(crate) registry: Arc<Registry>,
    /// Who offers which operation, and the rows of all operations.
    pub(crate) providers: Providers,
    /// What reaches external services.
    pub(crate) services: Arc<Services>,
    /// Which operation can feed which, as of the last question.
    pub(crate) operation_graph: KnownGraph,
    /// The calls under way.
    pub(crate) live: LiveCalls,
    /// Calls that wait for a busy provider.
    pub(crate) queue: Queue,
    /// WebSocket connections.
    pub(crate) sockets: Sockets,
    /// Spokes that are connected or were a moment ago.
    pub(crate) links: Links,
    /// Held while a spoke registers.
    pub(crate) registering: tokio::sync::Mutex<()>,
    /// Calls of a former run that spokes may still work on.
    pub(crate) recovery: Recovery,
    /// Owner of what has no other: `hub@localhost`.
    pub(crate) hub_account: AccountId,
    pub(crate) instance: Instance,
    /// Under this key inputs are compared without being kept.
    pub(crate) installation_key: Vec<u8>,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) draining: AtomicBool,
    pub(crate) running: TaskTracker,
}

impl State {
    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.current()
    }

    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

/// What the pipeline hands to a handler beside the context of the operations crate.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) state: Arc<State>,
    pub(crate) principal: Option<Arc<Principal>>,
    pub(crate) origin: Origin,
    pub(crate) operation: String,
    /// The connection the call came over.
    pub(crate) connection: Option<Weak<Connection>>,
}

/// The call a handler serves.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) context: Context,
    host: Arc<Host>,
}

impl Call {
    pub(crate) fn state(&self) -> &Arc<State> {
        &self.host.state
    }

    pub(crate) fn database(&self) -> &Database {
        &self.host.state.database
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        self.host.state.config()
    }

    /// Where the call came from.
    pub(crate) fn origin(&self) -> &Origin {
        &self.host.origin
    }

    /// The WebSocket connection the call came over, if it did and is still there.
    pub(crate) fn connection(&self) -> Option<Arc<Connection>> {
        self.host.connection.as_ref()?.upgrade()
    }

    /// Begins a writing transaction; dropped without commit, it is rolled back.
    pub(crate) async fn begin(&self) -> Result<DatabaseTransaction, HubError> {
        Ok(self.host.state.database.begin().await?)
    }

    /// The caller.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`, which the pipeline rules out for operations that are not open.
    pub(crate) fn principal(&self) -> Result<&Arc<Principal>, HubError> {
        self.host.principal.as_ref().ok_or_else(|| {
            HubError::Call(crate::auth::unauthenticated(crate::auth::Refusal::Missing))
        })
    }

    /// The rows the caller may see.
    pub(crate) fn scope(&self) -> Result<Scope, HubError> {
        Ok(self.principal()?.scope(self.config().auth.admin_sees_all))
    }

    /// Who did it, for the audit entry.
    pub(crate) fn actor(&self) -> Result<Actor, HubError> {
        let principal = self.principal()?;
        Ok(Actor {
            account: principal.account.id.clone(),
            key: Some(principal.key.id.clone()),
            key_prefix: Some(principal.key.key_prefix.clone()),
            operation: Some(self.host.operation.clone()),
            request_id: Some(self.context.request_id().to_string()),
            origin: self.host.origin.clone(),
        })
    }

    /// Asks for a level in an organization that the row belongs to; personal rows (no organization)
    /// are their owner's, whom the scope of the query has already checked.
    ///
    /// # Errors
    /// `ACCESS_DENIED` when the caller is a member of lower level.
    pub(crate) fn require_level(
        &self,
        organization: Option<&OrganizationId>,
        least: alkhub_storage::enums::MembershipLevel,
    ) -> Result<(), HubError> {
        let principal = self.principal()?;
        let Some(organization) = organization else {
            return Ok(());
        };
        if principal.is_admin() && self.config().auth.admin_sees_all {
            return Ok(());
        }
        match principal.level_in(organization) {
            Some(level) if rank(level) >= rank(least) => Ok(()),
            _ => Err(CallError::access_denied(format!(
                "this needs the level {least} in the organization"
            ))
            .with_details(serde_json::json!({ "requiredLevel": least }))
            .into()),
        }
    }
}

fn rank(level: alkhub_storage::enums::MembershipLevel) -> u8 {
    use alkhub_storage::enums::MembershipLevel::{Admin, Member, Owner};
    match level {
        Member => 0,
        Admin => 1,
        Owner => 2,
    }
}

/// The call behind a context, for handlers that give a stream.
///
/// # Errors
/// `UNKNOWN_ERROR` outside of the pipeline.
pub(crate) fn call_of(context: Context) -> Result<Call, CallError> {
    Ok(Call {
        host: host(&context)?,
        context,
    })
}

/// Turns a handler of the hub into one of the operations crate: gives it its [`Call`] and runs it anew
/// when its transaction lost against another one. Handlers therefore have no outside effect inside a
/// transaction.
pub(crate) fn handle<I, O, F, Fut>(
    handler: F,
) -> impl Fn(Context, I) -> futures::future::BoxFuture<'static, Result<O, CallError>>
+ Clone
+ Send
+ Sync
+ 'static
where
    I: Send + Sync + 'static,
    O: Send + 'static,
    F: Fn(Call, Arc<I>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<O, HubError>> + Send + 'static,
{
    move |context, input| {
        let handler = handler.clone();
        Box::pin(async move {
            let call = Call {
                host: host(&context)?,
                context,
            };
            let input = Arc::new(input);
            let mut attempt = 0;
            loop {
                let state = Arc::clone(call.state());
                let running = handler(call.clone(), Arc::clone(&input));
                match news::noting(&state.news, running).await {
                    Err(error) if error.transient() && attempt < CONFLICT_RETRIES => {
                        attempt += 1;
                        tokio::time::sleep(pause(attempt)).await;
                    }
                    Err(error) => return Err(error.into()),
                    Ok(output) => return Ok(output),
                }
            }
        })
    }
}

fn host(context: &Context) -> Result<Arc<Host>, CallError> {
    context
        .host::<Host>()
        .cloned()
        .map(Arc::new)
        .ok_or_else(|| {
            tracing::error!("a handler of the hub was called outside of the pipeline");
            CallError::unknown(Uuid::new_v4())
        })
}

/// 5 to 200 ms, longer with each attempt, never the same for two that collided.
fn pause(attempt: u32) -> Duration {
    let spread = u64::from(Uuid::new_v4().as_bytes()[0] % 40);
    Duration::from_millis(5 + u64::from(attempt) * spread)
}
