//! Aborting calls, and what an abort came to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use alkhub_callgraph::Timestamp;
use alkhub_callgraph::view::{self, AbortOutcome as Noted};
use alkhub_operations::{AbortBy, CallError, Operation, OperationType, RequestId, operation};
use alkhub_storage::calls::{self as queries, CallEnd};
use alkhub_storage::entity::call_graph_nodes::Model as Node;
use alkhub_storage::enums::CallStatus;
use alkhub_storage::ids::{OrganizationId, ProjectId, SpokeId};
use alkhub_storage::projects::project_by_id;
use alkhub_storage::time::now;
use alkhub_storage::{ConnectionTrait, Scope};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, json};

use super::graph::{Loaded, stored_status};
use super::trees::cut;
use super::view::provider_of;
use super::{Viewer, find, key_of, not_found};
use crate::abort::{self, AbortOutcome, AbortReport, AbortedNode};
use crate::audit::{self, Action, Entry};
use crate::error::HubError;
use crate::live::{self, Policy, Stop};
use crate::recorder::Change;
use crate::rules::{self, Issues};
use crate::state::{Call, State, handle};

/// Longest reason, in characters.
const MAX_REASON: usize = 200;
/// Levels and calls of a tree that is aborted or reported.
const LEVELS: u32 = 100;
const CALLS: u32 = 5_000;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation::<AbortInput, AbortReport>("call.abort", OperationType::Mutation)
            .description(
                "Aborts a call and all below it: your own, or with call:abort one you may see. Answers once every provider has confirmed, or after `calls.abortWait`. A call that is over stays as it is.",
            )
            .idempotent(true)
            .handler(handle(abort)),
        operation::<ReportInput, AbortReport>("call.abortReport", OperationType::Query)
            .description("What the abort of a call has come to by now.")
            .handler(handle(report)),
    ]
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AbortInput {
    /// The call at the top.
    request_id: String,
    /// Why, for those who read of it: at most 200 characters.
    reason: Option<String>,
    /// Whether running calls below it go on; by default they do not.
    #[serde(default)]
    policy: Policy,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReportInput {
    /// The call that was aborted.
    request_id: String,
}

async fn abort(call: Call, input: Arc<AbortInput>) -> Result<AbortReport, HubError> {
    let mut issues = Issues::default();
    let reason = input
        .reason
        .as_ref()
        .and_then(|reason| issues.take(rules::line("/reason", reason, MAX_REASON)));
    issues.finish()?;
    let viewer = Viewer::of(&call)?;
    let key = key_of(&viewer, &input.request_id)?;
    let target = Target::find(&call, &viewer, &key).await?;
    target.require_right(&viewer)?;
    let stop = Stop {
        by: AbortBy::Caller,
        reason,
    };
    let state = call.state();
    let mut report = None;
    if state.live.get(&key).is_some() {
        // Before the cascade, which may reach the very call that asks for it.
        let transaction = call.begin().await?;
        target.audit(&call, &transaction, &stop, None).await?;
        transaction.commit().await?;
        report = abort::abort(state, &key, &stop, input.policy).await;
    }
    let known = report.map(|report| report.nodes).unwrap_or_default();
    let tree = Loaded::tree(&call, &viewer, &key, LEVELS, CALLS).await?;
    let nodes = rest(&call, &target, &tree, known, &stop, input.policy).await?;
    Ok(AbortReport::of(&key, nodes))
}

async fn report(call: Call, input: Arc<ReportInput>) -> Result<AbortReport, HubError> {
    let viewer = Viewer::of(&call)?;
    let root = find(&call, &viewer, &input.request_id).await?;
    let tree = Loaded::tree(&call, &viewer, &root.request_id, LEVELS, CALLS).await?;
    let nodes = walked(&tree, &root.request_id)?
        .into_iter()
        .filter(|found| found.seen)
        .map(|found| AbortedNode {
            outcome: found.outcome(),
            request_id: found.node.request_id.clone(),
            operation: found.operation,
            provider: provider_of(found.node),
            ms: None,
        })
        .collect();
    Ok(AbortReport::of(&root.request_id, nodes))
}

/// The call at the top.
struct Target {
    key: String,
    operation: String,
    own: bool,
    project: Option<String>,
}

impl Target {
    /// Under way here, or in its record.
    ///
    /// # Errors
    /// `NOT_FOUND` when it is neither, or may not be seen.
    async fn find(call: &Call, viewer: &Viewer, key: &str) -> Result<Self, HubError> {
        let live = call.state().live.get(key);
        // A query may run before it is recorded.
        if let Some(live) = live.filter(|live| live.account.as_ref() == Some(viewer.account())) {
            return Ok(Self {
                key: key.to_owned(),
                operation: live.operation.clone(),
                own: true,
                project: live.project.clone(),
            });
        }
        let reader = call.database().reader();
        let node = queries::call_by_request_id(reader, &viewer.scope, key)
            .await?
            .ok_or_else(not_found)?;
        let names = super::view::Names::load(call, [&node]).await?;
        Ok(Self {
            key: key.to_owned(),
            operation: names.of(&node),
            own: viewer.owns(&node),
            project: node.metadata.text("projectId").map(ToOwned::to_owned),
        })
    }

    /// # Errors
    /// `ACCESS_DENIED` for somebody else's call without the scope for it.
    fn require_right(&self, viewer: &Viewer) -> Result<(), HubError> {
        if self.own || viewer.principal.has("call:abort") {
            return Ok(());
        }
        let message = "aborting the calls of others needs call:abort";
        Err(CallError::access_denied(message)
            .with_details(json!({ "missing": ["call:abort"] }))
            .into())
    }

    async fn audit(
        &self,
        call: &Call,
        transaction: &impl ConnectionTrait,
        stop: &Stop,
        ended: Option<usize>,
    ) -> Result<(), HubError> {
        let organization = self.organization(transaction).await?;
        let mut entry = Entry::about("call", &self.key, &self.operation)
            .in_organization(organization.as_ref())
            .because(stop.reason.clone());
        if let Some(ended) = ended {
            entry = entry.counted(json!({ "calls": ended }));
        }
        audit::write(transaction, &call.actor()?, Action::CallAborted, entry).await?;
        Ok(())
    }

    async fn organization(
        &self,
        db: &impl ConnectionTrait,
    ) -> Result<Option<OrganizationId>, HubError> {
        let Some(project) = &self.project else {
            return Ok(None);
        };
        let id = ProjectId::from(project.as_str());
        let project = project_by_id(db, &Scope::All, &id).await?;
        Ok(project.and_then(|project| project.org_id))
    }
}

/// One call of a recorded tree.
struct Found<'a> {
    node: &'a Node,
    operation: String,
    seen: bool,
    noted: Option<Noted>,
}

impl Found<'_> {
    fn open(&self) -> bool {
        matches!(self.node.status, CallStatus::Pending | CallStatus::Running)
    }

    /// What became of it, by its record.
    fn outcome(&self) -> AbortOutcome {
        match self.noted {
            Some(Noted::Aborted) => AbortOutcome::Aborted,
            Some(Noted::Unconfirmed) => AbortOutcome::Unconfirmed,
            Some(Noted::Unreachable) => AbortOutcome::Unreachable,
            _ if self.open() => AbortOutcome::Survived,
            _ => AbortOutcome::AlreadyFinished,
        }
    }
}

/// The calls of a recorded tree in pre-order, without what is below a survivor.
fn walked<'a>(tree: &'a Loaded, root: &str) -> Result<Vec<Found<'a>>, HubError> {
    let root = RequestId::new(root).map_err(|_no_id| not_found())?;
    let limits = cut(LEVELS, CALLS);
    let rows = view::waterfall(&tree.graph, &root, limits, Timestamp::from(now()), |_| true);
    let mut found = Vec::new();
    let mut skipped_below = None;
    for row in rows.into_iter().flat_map(|waterfall| waterfall.rows) {
        if skipped_below.is_some_and(|depth| row.depth > depth) {
            continue;
        }
        skipped_below = None;
        let Some((id, operation)) = row.request_id.zip(row.operation_id) else {
            continue;
        };
        let Some(node) = tree.rows.get(&id) else {
            continue;
        };
        if row.abort == Some(Noted::Survived) {
            skipped_below = Some(row.depth);
        }
        debug_assert_eq!(stored_status(row.status), node.status);
        found.push(Found {
            node,
            operation: operation.to_string(),
            seen: tree.sees(&id),
            noted: row.abort,
        });
    }
    Ok(found)
}

/// Ends what is open in the records and not under way here: after a restart a tree is in its rows only.
/// Gives all calls of the tree, parents first.
async fn rest(
    call: &Call,
    target: &Target,
    tree: &Loaded,
    known: Vec<AbortedNode>,
    stop: &Stop,
    policy: Policy,
) -> Result<Vec<AbortedNode>, HubError> {
    let state = call.state();
    let stopped_here = !known.is_empty();
    let mut nodes = known;
    let mut reported: HashSet<String> = nodes.iter().map(|node| node.request_id.clone()).collect();
    let mut ends = Vec::new();
    let mut survivors = Vec::new();
    let mut below_survivor: HashSet<&str> = nodes_that_survived(&nodes, tree);
    let found = walked(tree, &target.key)?;
    for one in &found {
        let parent = one.node.parent_request_id.as_deref();
        if parent.is_some_and(|parent| below_survivor.contains(parent)) {
            below_survivor.insert(&one.node.request_id);
            continue;
        }
        if !reported.insert(one.node.request_id.clone()) {
            continue;
        }
        // What is under way here and was not collected came later, or survived an earlier abort.
        let elsewhere = state.live.get(&one.node.request_id).is_none();
        let is_top = one.node.request_id == target.key;
        let survives = one.open()
            && !is_top
            && one.node.status == CallStatus::Running
            && policy == Policy::ContinueRunning;
        let outcome = if one.open() && elsewhere && !survives {
            ends.push(one.node);
            AbortOutcome::Unreachable
        } else {
            if survives {
                survivors.push(one.node.request_id.clone());
                below_survivor.insert(&one.node.request_id);
            }
            one.outcome()
        };
        nodes.push(AbortedNode {
            request_id: one.node.request_id.clone(),
            operation: one.operation.clone(),
            provider: provider_of(one.node),
            outcome,
            ms: None,
        });
    }
    if !ends.is_empty() {
        let changed = end_rows(call, target, &ends, &survivors, stop, stopped_here).await?;
        for node in &mut nodes {
            if ends.iter().any(|end| end.request_id == node.request_id)
                && !changed.contains(&node.request_id)
            {
                // It ended by itself meanwhile.
                node.outcome = AbortOutcome::AlreadyFinished;
            }
        }
        tell_returned(state, &ends, stop);
    }
    Ok(in_order(nodes, &found))
}

fn nodes_that_survived<'a>(nodes: &[AbortedNode], tree: &'a Loaded) -> HashSet<&'a str> {
    let survived: HashSet<&str> = nodes
        .iter()
        .filter(|node| node.outcome == AbortOutcome::Survived)
        .map(|node| node.request_id.as_str())
        .collect();
    let ids = tree.rows.values().map(|node| node.request_id.as_str());
    ids.filter(|id| survived.contains(id)).collect()
}

/// Ends rows; gives the request ids of those that were open still.
async fn end_rows(
    call: &Call,
    target: &Target,
    ends: &[&Node],
    survivors: &[String],
    stop: &Stop,
    audited: bool,
) -> Result<HashSet<String>, HubError> {
    let at = now();
    let by_node: Vec<CallEnd> = ends
        .iter()
        .map(|node| {
            let by = if node.request_id == target.key {
                stop.by
            } else {
                AbortBy::Parent
            };
            let told = Stop {
                by,
                reason: stop.reason.clone(),
            };
            let never_sent = node.status == CallStatus::Pending;
            let mut abort = json!({ "by": by, "confirmed": never_sent });
            if !never_sent {
                abort["unreachable"] = json!(true);
            }
            CallEnd {
                request_id: node.request_id.clone(),
                status: CallStatus::Aborted,
                output: None,
                error: Some(json!(live::aborted(&node.request_id, &told))),
                completed_at: at,
                metadata: Map::from_iter([("abort".to_owned(), abort)]),
            }
        })
        .collect();
    let notes: Vec<_> = survivors
        .iter()
        .map(|key| {
            let note = Map::from_iter([("detachedFrom".to_owned(), json!(target.key))]);
            (key.clone(), note)
        })
        .collect();
    let transaction = call.begin().await?;
    let written = queries::finish_calls(&transaction, &by_node).await?;
    queries::patch_calls(&transaction, &notes).await?;
    let changed: HashSet<String> = by_node
        .iter()
        .zip(written)
        .filter(|(_, written)| *written)
        .map(|(end, _)| end.request_id.clone())
        .collect();
    if !changed.is_empty() && !audited {
        target
            .audit(call, &transaction, stop, Some(changed.len()))
            .await?;
    }
    transaction.commit().await?;
    let changes = ends
        .iter()
        .filter(|node| changed.contains(&node.request_id));
    let changes = changes.map(|node| Change::of_row(node, CallStatus::Aborted, at));
    call.state().recorder.changes().publish(changes.collect());
    Ok(changed)
}

/// Nobody waits for these any more. A spoke that is back already is told now, another one when it
/// returns and names them.
fn tell_returned(state: &Arc<State>, ends: &[&Node], stop: &Stop) {
    for node in ends {
        state.recovery.forget(&node.request_id);
        let spoke = node.metadata.text("spokeId").map(SpokeId::from);
        let link = spoke.and_then(|spoke| state.links.get(&spoke));
        if let Some(link) = link.filter(|link| link.connected())
            && let Ok(id) = RequestId::new(node.request_id.as_str())
        {
            link.map.tell_aborted(&id, stop.by, stop.reason.clone());
        }
    }
}

/// Parents first, siblings by their requests; what is in no record comes last.
fn in_order(mut nodes: Vec<AbortedNode>, found: &[Found<'_>]) -> Vec<AbortedNode> {
    let places: HashMap<&str, usize> = found
        .iter()
        .enumerate()
        .map(|(place, found)| (found.node.request_id.as_str(), place))
        .collect();
    let place = |node: &AbortedNode| {
        let place = places.get(node.request_id.as_str());
        place.copied().unwrap_or(usize::MAX)
    };
    nodes.sort_by_cached_key(place);
    nodes
}
