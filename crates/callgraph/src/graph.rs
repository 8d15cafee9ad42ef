//! The call graph itself.
//!
//! `triggered` edges make a forest, for a call has one parent at most. They are kept as links between
//! the nodes themselves (parent, first child, next and previous sibling), so that a call joins and
//! leaves a parent of a hundred thousand children in the same short time, without memory of its own;
//! a general graph structure looks through a list there. The rarer edges lie in ordered maps beside
//! the nodes that have any.

mod apply;
mod change;
mod export;
mod held;
mod import;
mod order;
mod validate;
mod walk;

pub use apply::{Applied, ApplyReport};
pub use export::Serialized;
pub use held::{HELD_IDS, HELD_TIME};
pub use order::{GraphStats, StatusCounts};
pub use validate::{GraphIssue, IssueKind};
pub use walk::EdgeSet;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use alkhub_operations::{JsonObject, RequestId};
use serde::{Deserialize, Serialize};

use crate::call::CallNode;
use crate::error::GraphError;
use crate::time::Timestamp;
use held::Held;

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

/// Calls and what ties them together.
///
/// ```
/// use alkhub_callgraph::{CallGraph, CallNode, CallStatus, StatusExtra, Timestamp};
///
/// let mut graph = CallGraph::new();
/// let at = Timestamp::from_millis;
/// let operation = "task.create".parse()?;
/// let id = "a".parse()?;
/// graph.add_call(CallNode::new("a".parse()?, operation).with_requested_at(at(1_000)))?;
/// graph.update_status(&id, CallStatus::Running, at(1_010), StatusExtra::default())?;
/// graph.update_status(&id, CallStatus::Completed, at(1_250), StatusExtra::default())?;
/// assert_eq!(graph.duration(&id).map(|time| time.as_millis()), Some(240));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Two graphs are equal when their exports are: the same calls with the same attributes, the same
/// edges.
#[derive(Debug, Clone, Default)]
pub struct CallGraph {
    slots: Vec<Option<Node>>,
    free: Vec<u32>,
    index: HashMap<RequestId, u32>,
    /// Calls whose parent is not here, by its id.
    waiting: HashMap<RequestId, HashSet<u32>>,
    held: Held,
    counts: ApplyReport,
    /// Attributes of the graph as a whole; only imports bring any.
    attributes: JsonObject,
}

/// Types of edges between calls.
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
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum EdgeType {
    /// From a call to one it made.
    Triggered,
    /// From a call to one that had to wait for it; observed, and never the cause of anything.
    DependsOn,
    /// Of workflow templates: kept as it came, part of no walk.
    Sequential,
    /// Of workflow templates: kept as it came, part of no walk.
    Conditional,
}

#[derive(Debug, Clone)]
struct Node {
    call: Box<CallNode>,
    /// Its answer is here: a second one is a repetition.
    answered: bool,
    /// Its `completed` is here.
    ended: bool,
    parent: u32,
    first_child: u32,
    last_child: u32,
    next: u32,
    previous: u32,
    links: Option<Box<Links>>,
}

/// What only few nodes have.
#[derive(Debug, Clone, Default)]
struct Links {
    /// What came with the edge from the parent.
    triggered: JsonObject,
    /// Calls that depend on this one, with what came with the edge.
    dependents: BTreeMap<u32, JsonObject>,
    /// Calls this one depends on.
    prerequisites: BTreeSet<u32>,
    /// Edges that are not ours, from this call.
    foreign: BTreeMap<(u32, EdgeType), JsonObject>,
    /// Where edges come from that are not ours.
    foreign_from: BTreeSet<(u32, EdgeType)>,
}

impl CallGraph {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of calls.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True without any call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Adds a call and its edge from the parent. A call whose parent is not here is detached until
    /// that one comes; events that came before the call are applied.
    ///
    /// # Errors
    /// [`GraphError::DuplicateNode`]; [`GraphError::Cycle`] when the parent is the call itself or
    /// descends from it.
    pub fn add_call(&mut self, call: CallNode) -> Result<(), GraphError> {
        let slot = self.insert(call)?;
        self.replay(slot);
        Ok(())
    }

    /// Takes a call out, with its edges. Its children stay, detached.
    ///
    /// # Errors
    /// [`GraphError::NodeNotFound`].
    pub fn remove_call(&mut self, id: &RequestId) -> Result<CallNode, GraphError> {
        let slot = self.slot(id)?;
        let children: Vec<u32> = self.children_of(slot).collect();
        for child in children.iter().copied() {
            self.unlink(child);
        }
        if !children.is_empty() {
            self.waiting.entry(id.clone()).or_default().extend(children);
        }
        Ok(self.forget(slot))
    }

    /// Notes that one call had to wait for another. False when that was known.
    ///
    /// # Errors
    /// [`GraphError::NodeNotFound`]; [`GraphError::Cycle`] when `before` already comes after `after`.
    pub fn add_dependency(
        &mut self,
        before: &RequestId,
        after: &RequestId,
    ) -> Result<bool, GraphError> {
        let (from, to) = (self.slot(before)?, self.slot(after)?);
        if from == to {
            return Err(GraphError::cycle(vec![before.clone()]));
        }
        let known = |links: &Links| links.dependents.contains_key(&to);
        if self.node(from).links.as_deref().is_some_and(known) {
            return Ok(false);
        }
        if let Some(path) = self.trace(to, EdgeSet::Both, |slot| slot == from) {
            return Err(GraphError::cycle(self.ids(path)));
        }
        self.link_dependency(from, to, JsonObject::new());
        Ok(true)
    }

    /// The call of this id.
    #[must_use]
    pub fn get(&self, id: &RequestId) -> Option<&CallNode> {
        Some(self.call(*self.index.get(id)?))
    }

    /// All calls in order.
    #[must_use]
    pub fn list(&self) -> Vec<&CallNode> {
        self.ordered(self.nodes().map(|(slot, _)| slot))
    }

    /// The call that made this one, if it is here.
    #[must_use]
    pub fn parent(&self, id: &RequestId) -> Option<&CallNode> {
        let parent = self.node(*self.index.get(id)?).parent;
        (parent != NONE).then(|| self.call(parent))
    }

    /// True when the call has a parent that is not here.
    #[must_use]
    pub fn is_detached(&self, id: &RequestId) -> bool {
        self.index.get(id).is_some_and(|slot| {
            let node = self.node(*slot);
            node.parent == NONE && node.call.parent_request_id.is_some()
        })
    }

    /// All calls, in no order.
    pub(crate) fn calls(&self) -> impl Iterator<Item = (u32, &CallNode)> {
        self.nodes().map(|(slot, node)| (slot, &*node.call))
    }

    fn nodes(&self) -> impl Iterator<Item = (u32, &Node)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(slot, node)| Some((slot as u32, node.as_ref()?)))
    }

    pub(crate) fn find(&self, id: &RequestId) -> Option<u32> {
        self.index.get(id).copied()
    }

    pub(crate) fn call(&self, slot: u32) -> &CallNode {
        &self.node(slot).call
    }

    pub(crate) fn parent_of(&self, slot: u32) -> u32 {
        self.node(slot).parent
    }

    /// Slots of the children in order of arrival.
    pub(crate) fn children_of(&self, slot: u32) -> impl Iterator<Item = u32> {
        let first = self.node(slot).first_child;
        std::iter::successors((first != NONE).then_some(first), |child| {
            let next = self.node(*child).next;
            (next != NONE).then_some(next)
        })
    }

    /// Takes a call out whose children go as well, or has none: nobody is left to wait for it.
    pub(crate) fn forget(&mut self, slot: u32) -> CallNode {
        self.unlink(slot);
        let Some(node) = self.slots[slot as usize].take() else {
            unreachable!("slots of the index are filled");
        };
        if let Some(links) = node.links {
            let Links {
                dependents,
                prerequisites,
                foreign,
                foreign_from,
                ..
            } = *links;
            for other in dependents.into_keys() {
                self.links(other).prerequisites.remove(&slot);
            }
            for other in prerequisites {
                self.links(other).dependents.remove(&slot);
            }
            for (other, kind) in foreign.into_keys() {
                self.links(other).foreign_from.remove(&(slot, kind));
            }
            for (other, kind) in foreign_from {
                self.links(other).foreign.remove(&(slot, kind));
            }
        }
        if let Some(parent) = &node.call.parent_request_id
            && let Some(waiting) = self.waiting.get_mut(parent)
        {
            waiting.remove(&slot);
            if waiting.is_empty() {
                self.waiting.remove(parent);
            }
        }
        self.index.remove(&node.call.request_id);
        self.free.push(slot);
        *node.call
    }

    fn slot(&self, id: &RequestId) -> Result<u32, GraphError> {
        self.find(id).ok_or_else(|| GraphError::not_found(id))
    }

    #[expect(
        clippy::expect_used,
        reason = "slots of the index and of links are filled; a vacant one would be a fault of ours"
    )]
    fn node(&self, slot: u32) -> &Node {
        self.slots[slot as usize].as_ref().expect("a filled slot")
    }

    #[expect(
        clippy::expect_used,
        reason = "slots of the index and of links are filled; a vacant one would be a fault of ours"
    )]
    fn node_mut(&mut self, slot: u32) -> &mut Node {
        self.slots[slot as usize].as_mut().expect("a filled slot")
    }

    fn links(&mut self, slot: u32) -> &mut Links {
        self.node_mut(slot).links.get_or_insert_default()
    }

    fn ids(&self, slots: impl IntoIterator<Item = u32>) -> Vec<RequestId> {
        slots
            .into_iter()
            .map(|slot| self.call(slot).request_id.clone())
            .collect()
    }

    /// What lists are ordered by.
    fn order_of(&self, slot: u32) -> (Option<Timestamp>, &RequestId) {
        let call = self.call(slot);
        (call.requested_at, &call.request_id)
    }

    pub(crate) fn sort(&self, slots: &mut [u32]) {
        slots.sort_unstable_by(|a, b| self.order_of(*a).cmp(&self.order_of(*b)));
    }

    /// Adds a call without what was held for it.
    fn insert(&mut self, call: CallNode) -> Result<u32, GraphError> {
        if self.index.contains_key(&call.request_id) {
            return Err(GraphError::DuplicateNode {
                key: call.request_id,
            });
        }
        let parent = match &call.parent_request_id {
            Some(parent) => self.checked_parent(&call.request_id, parent)?,
            None => None,
        };
        let (id, parent_id) = (call.request_id.clone(), call.parent_request_id.clone());
        let slot = self.fill(call);
        match (parent, parent_id) {
            (Some(parent), _) => self.link(parent, slot),
            (None, Some(missing)) => self.wait(missing, slot),
            (None, None) => {}
        }
        if let Some(children) = self.waiting.remove(&id) {
            // Order of arrival has no meaning here, but it must not come from hashing.
            let mut children: Vec<u32> = children.into_iter().collect();
            self.sort(&mut children);
            for child in children {
                self.link(slot, child);
            }
        }
        Ok(slot)
    }

    /// The slot of a parent for a call that is not here yet; an error when it descends from it.
    fn checked_parent(
        &self,
        id: &RequestId,
        parent: &RequestId,
    ) -> Result<Option<u32>, GraphError> {
        if id == parent {
            return Err(GraphError::cycle(vec![id.clone()]));
        }
        let Some(parent) = self.find(parent) else {
            return Ok(None);
        };
        if let Some(children) = self.waiting.get(id)
            && let Some(path) = self.trace_back(parent, |slot| children.contains(&slot))
        {
            let cycle = std::iter::once(id.clone()).chain(self.ids(path)).collect();
            return Err(GraphError::cycle(cycle));
        }
        Ok(Some(parent))
    }

    fn fill(&mut self, call: CallNode) -> u32 {
        let call = Box::new(call.without_nulls());
        let id = call.request_id.clone();
        let node = Node {
            answered: call.output.is_some(),
            ended: call.status.is_terminal(),
            call,
            parent: NONE,
            first_child: NONE,
            last_child: NONE,
            next: NONE,
            previous: NONE,
            links: None,
        };
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(node);
            slot
        } else {
            self.slots.push(Some(node));
            (self.slots.len() - 1) as u32
        };
        self.index.insert(id, slot);
        slot
    }

    fn wait(&mut self, parent: RequestId, slot: u32) {
        self.waiting.entry(parent).or_default().insert(slot);
    }

    /// Puts a call behind the last child of another.
    fn link(&mut self, parent: u32, child: u32) {
        let last = std::mem::replace(&mut self.node_mut(parent).last_child, child);
        let node = self.node_mut(child);
        node.parent = parent;
        node.previous = last;
        node.next = NONE;
        if last == NONE {
            self.node_mut(parent).first_child = child;
        } else {
            self.node_mut(last).next = child;
        }
    }

    /// Takes a call out of its parent's children.
    fn unlink(&mut self, child: u32) {
        let node = self.node_mut(child);
        let parent = std::mem::replace(&mut node.parent, NONE);
        let previous = std::mem::replace(&mut node.previous, NONE);
        let next = std::mem::replace(&mut node.next, NONE);
        if parent == NONE {
            return;
        }
        if let Some(links) = &mut node.links {
            links.triggered = JsonObject::new();
        }
        match previous {
            NONE => self.node_mut(parent).first_child = next,
            _ => self.node_mut(previous).next = next,
        }
        match next {
            NONE => self.node_mut(parent).last_child = previous,
            _ => self.node_mut(next).previous = previous,
        }
    }

    fn link_dependency(&mut self, from: u32, to: u32, attributes: JsonObject) {
        self.links(from).dependents.insert(to, attributes);
        self.links(to).prerequisites.insert(from);
    }
}

impl PartialEq for CallGraph {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.attributes == other.attributes
            && self.calls().all(|(_, call)| {
                other
                    .get(&call.request_id)
                    .is_some_and(|found| call.same_exported(found))
            })
            && self.edges() == other.edges()
    }
}
