//! Watching calls as they change.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use alkhub_callgraph::view::Cut;
use alkhub_operations::{CallError, Context, Operation, OperationType, RequestId, operation};
use alkhub_storage::PageRequest;
use alkhub_storage::calls::{self as queries, CallFilter, TreeNode};
use alkhub_storage::enums::CallStatus;
use alkhub_storage::ids::{AccountId, OperationId, ProjectId};
use alkhub_storage::projects::project_by_id;
use alkhub_storage::time::format as to_wire;
use futures::{Stream, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::graph::Loaded;
use super::trees::{CallTreeView, TreeNodeView, cut, tree_view};
use super::view::Names;
use super::{Viewer, find, operation_row};
use crate::error::HubError;
use crate::recorder::Change;
use crate::state::{Call, call_of};

/// Calls of the first picture.
const MOST: u32 = 500;
const LEVELS: u32 = 100;
/// How long the answer holds whether a project may be seen.
const RIGHTS_HOLD: Duration = Duration::from_secs(5);

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<WatchInput, Watched>("call.watch", OperationType::Subscription)
            .description(
                "Tells how calls change: first a picture of the open calls, or of the tree below a root, then every change in the order in which it was recorded. Your own calls, and with call:read those of the projects you may see.",
            )
            .stream(watch),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WatchInput {
    /// Only this call and what is below it.
    root: Option<String>,
    /// Only changes of calls of this operation, by its full name.
    operation: Option<String>,
    /// Only changes to one of these statuses.
    statuses: Option<Vec<CallStatus>>,
    /// The `seq` of a change seen earlier: what came after it is told in the place of a picture, as
    /// far as the hub still knows it.
    since: Option<u64>,
}

/// One item.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum Watched {
    /// How things stand.
    Snapshot {
        /// Changes up to this one are in it.
        seq: u64,
        /// The calls in pre-order, as `call.tree` tells them.
        nodes: Vec<TreeNodeView>,
        /// True when there are more than these.
        more: bool,
    },
    /// A call changed.
    Node {
        /// Place in the order of all changes of this hub process.
        seq: u64,
        /// The call.
        request_id: String,
        /// The call that made it.
        parent_request_id: Option<String>,
        /// Full name of what was called.
        operation: String,
        /// The calling account.
        account_id: Option<AccountId>,
        /// The project it is about.
        project_id: Option<String>,
        /// Where it stands now.
        status: CallStatus,
        /// When that was recorded.
        at: String,
    },
    /// The watcher read too slowly; a new picture follows.
    Lagged {
        /// Changes that were lost.
        missed: u64,
    },
}

enum Watching {
    /// Nothing was looked at yet.
    Asked(Box<(Context, WatchInput)>),
    Running(Box<Running>),
    Over,
}

struct Running {
    call: Call,
    viewer: Viewer,
    root: Option<RequestId>,
    operation: Option<OperationId>,
    statuses: Vec<CallStatus>,
    /// The calls of the tree, when one is watched.
    members: HashSet<String>,
    /// Calls below the caller's own.
    own: HashSet<String>,
    projects: HashMap<String, (bool, Instant)>,
    /// Told already, or in the picture.
    last: u64,
    waiting: VecDeque<Watched>,
    changes: Receiver<Arc<Change>>,
}

fn watch(
    context: Context,
    input: WatchInput,
) -> impl Stream<Item = Result<Watched, CallError>> + Send + 'static {
    stream::unfold(
        Watching::Asked(Box::new((context, input))),
        |watching| async {
            let mut running = match watching {
                Watching::Asked(asked) => match begin(asked.0, asked.1).await {
                    Ok(running) => Box::new(running),
                    Err(error) => return Some((Err(error.into()), Watching::Over)),
                },
                Watching::Running(running) => running,
                Watching::Over => return None,
            };
            match running.next().await {
                Some(Ok(item)) => Some((Ok(item), Watching::Running(running))),
                Some(Err(error)) => Some((Err(error.into()), Watching::Over)),
                None => None,
            }
        },
    )
}

async fn begin(context: Context, input: WatchInput) -> Result<Running, HubError> {
    let call = call_of(context)?;
    let viewer = Viewer::of(&call)?;
    let root = match &input.root {
        Some(root) => {
            let node = find(&call, &viewer, root).await?;
            RequestId::new(node.request_id).ok()
        }
        None => None,
    };
    let operation = operation_row(&call, input.operation.as_deref()).await?;
    let known = input
        .since
        .and_then(|since| call.state().recorder.changes().after(since));
    let (last, changes) = call.state().recorder.changes().subscribe();
    let mut running = Running {
        viewer,
        root,
        operation,
        statuses: input.statuses.unwrap_or_default(),
        members: HashSet::new(),
        own: HashSet::new(),
        projects: HashMap::new(),
        last,
        waiting: VecDeque::new(),
        changes,
        call,
    };
    let picture = running.picture().await?;
    match known {
        Some((missed, changes)) => {
            running.last = input.since.unwrap_or(0);
            running.changes = changes;
            for change in missed {
                running.take(&change).await?;
            }
        }
        None => running.show(picture),
    }
    Ok(running)
}

impl Running {
    async fn next(&mut self) -> Option<Result<Watched, HubError>> {
        loop {
            if let Some(item) = self.waiting.pop_front() {
                return Some(Ok(item));
            }
            let heard = match self.changes.recv().await {
                Ok(change) => self.take(&change).await,
                Err(RecvError::Lagged(missed)) => self.start_anew(missed).await,
                Err(RecvError::Closed) => return None,
            };
            if let Err(error) = heard {
                return Some(Err(error));
            }
        }
    }

    /// Queues the change when it is wanted.
    async fn take(&mut self, change: &Change) -> Result<(), HubError> {
        if change.seq <= self.last {
            return Ok(());
        }
        self.last = change.seq;
        let parent = change.parent.as_ref();
        if self.root.is_some() && !self.members.contains(&change.request_id) {
            if !parent.is_some_and(|parent| self.members.contains(parent)) {
                return Ok(());
            }
            self.members.insert(change.request_id.clone());
        }
        let wanted = self
            .operation
            .as_ref()
            .is_none_or(|operation| *operation == change.operation)
            && (self.statuses.is_empty() || self.statuses.contains(&change.status));
        if !self.may_see(change).await? || !wanted {
            return Ok(());
        }
        let name = self.call.state().providers.name_of(&change.operation);
        self.waiting.push_back(Watched::Node {
            seq: change.seq,
            request_id: change.request_id.clone(),
            parent_request_id: change.parent.clone(),
            operation: name.unwrap_or_else(|| change.operation.to_string()),
            account_id: change.account.clone(),
            project_id: change.project.clone(),
            status: change.status,
            at: to_wire(change.at),
        });
        Ok(())
    }

    async fn may_see(&mut self, change: &Change) -> Result<bool, HubError> {
        let over = !matches!(change.status, CallStatus::Pending | CallStatus::Running);
        let parent = change.parent.as_ref();
        let own = change.account.as_ref() == Some(self.viewer.account())
            || self.own.contains(&change.request_id)
            || parent.is_some_and(|parent| self.own.contains(parent));
        if own {
            // What is over makes no calls any more.
            match over {
                true => self.own.remove(&change.request_id),
                false => self.own.insert(change.request_id.clone()),
            };
            return Ok(true);
        }
        if self.viewer.scope == alkhub_storage::Scope::All {
            return Ok(true);
        }
        match &change.project {
            Some(project) if self.viewer.principal.has("call:read") => {
                self.sees_project(project).await
            }
            _ => Ok(false),
        }
    }

    async fn sees_project(&mut self, project: &str) -> Result<bool, HubError> {
        if let Some((seen, at)) = self.projects.get(project)
            && at.elapsed() < RIGHTS_HOLD
        {
            return Ok(*seen);
        }
        let id = ProjectId::from(project);
        let reader = self.call.database().reader();
        let seen = project_by_id(reader, &self.viewer.scope, &id)
            .await?
            .is_some();
        self.projects
            .insert(project.to_owned(), (seen, Instant::now()));
        Ok(seen)
    }

    async fn start_anew(&mut self, missed: u64) -> Result<(), HubError> {
        let (last, changes) = self.call.state().recorder.changes().subscribe();
        self.last = last;
        self.changes = changes;
        self.waiting.push_back(Watched::Lagged { missed });
        let picture = self.picture().await?;
        self.show(picture);
        Ok(())
    }

    fn show(&mut self, picture: CallTreeView) {
        self.waiting.push_back(Watched::Snapshot {
            seq: self.last,
            nodes: picture.nodes,
            more: picture.more,
        });
    }

    /// How things stand. Read after the watching began, so that nothing falls in between.
    async fn picture(&mut self) -> Result<CallTreeView, HubError> {
        let loaded = match &self.root {
            Some(root) => {
                Loaded::tree(&self.call, &self.viewer, root.as_str(), LEVELS, MOST).await?
            }
            None => self.open_calls().await?,
        };
        if self.root.is_some() {
            let ids = loaded.rows.values().map(|node| node.request_id.clone());
            self.members.extend(ids);
        }
        let open = loaded.rows.values().filter(|node| {
            self.viewer.owns(node)
                && matches!(node.status, CallStatus::Pending | CallStatus::Running)
        });
        let own: Vec<String> = open.map(|node| node.request_id.clone()).collect();
        self.own.extend(own);
        let limits: Cut = cut(LEVELS, MOST);
        let roots: Vec<RequestId> = match &self.root {
            Some(root) => vec![root.clone()],
            None => {
                let roots = loaded.graph.roots().into_iter();
                roots.map(|call| call.request_id.clone()).collect()
            }
        };
        let mut whole = CallTreeView {
            nodes: Vec::new(),
            more: loaded.truncated,
        };
        for root in roots {
            if let Some(tree) = tree_view(&loaded, &root, limits) {
                whole.nodes.extend(tree.nodes);
                whole.more |= tree.more;
            }
        }
        Ok(whole)
    }

    async fn open_calls(&self) -> Result<Loaded, HubError> {
        let filter = CallFilter {
            operation: self.operation.clone(),
            status: vec![CallStatus::Pending, CallStatus::Running],
            ..CallFilter::default()
        };
        let reader = self.call.database().reader();
        let request = PageRequest::first(500);
        let page = queries::calls(reader, &self.viewer.scope, &filter, &request).await?;
        let names = Names::load(&self.call, &page.items).await?;
        // Newest first as they come, which is children before parents.
        let found = page.items.into_iter().rev().map(|node| TreeNode {
            node,
            depth: 0,
            visible: true,
        });
        let truncated = page.next_cursor.is_some();
        Loaded::of(&self.viewer, found.collect(), &names, truncated)
    }
}
