//! A call graph that forgets what has ended.
//!
//! Calls hang together in trees. A tree stays while one of its calls is open and for a while longer;
//! over the limit of nodes the tree that ended first goes at once. Nothing is looked for: trees that
//! have ended stand in a queue, so each change costs the same however many calls there are.

mod trees;

use std::collections::VecDeque;
use std::time::Duration;

use alkhub_operations::RequestId;

use crate::call::{CallNode, CallPatch, StatusExtra, Transition};
use crate::error::GraphError;
use crate::event::CallEvent;
use crate::graph::{Applied, CallGraph, NONE};
use crate::status::CallStatus;
use crate::time::Timestamp;
use trees::Trees;

/// How much a [`LiveGraph`] keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveLimits {
    /// Most calls. Open ones, and those above open ones, stay even over it.
    pub nodes: usize,
    /// How long a tree stays after its last call has ended.
    pub keep: Duration,
}

impl Default for LiveLimits {
    /// 200,000 calls, 60 seconds.
    fn default() -> Self {
        Self {
            nodes: 200_000,
            keep: Duration::from_secs(60),
        }
    }
}

/// The calls of the present: a [`CallGraph`] whose finished trees leave by themselves.
///
/// Every change makes room where it is needed, by the time that goes with it;
/// [`LiveGraph::sweep`] does so while nothing changes.
///
/// ```
/// use alkhub_callgraph::{CallNode, CallStatus, LiveGraph, LiveLimits, StatusExtra, Timestamp};
///
/// let mut live = LiveGraph::new(LiveLimits::default());
/// let at = Timestamp::from_millis;
/// let id = "a".parse()?;
/// live.add_call(CallNode::new("a".parse()?, "fs.read".parse()?), at(0))?;
/// live.update_status(&id, CallStatus::Completed, at(10), StatusExtra::default())?;
/// live.sweep(at(60_000));
/// assert!(live.graph().get(&id).is_some());
/// live.sweep(at(60_010));
/// assert!(live.graph().get(&id).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct LiveGraph {
    graph: CallGraph,
    limits: LiveLimits,
    trees: Trees,
    /// What is kept of each slot of the graph.
    marks: Vec<Mark>,
    /// Trees that have ended, with the time they go; ordered by it.
    finished: VecDeque<Finished>,
    /// Calls that have ended, in that order: over the limit, when no tree has ended, those that have
    /// no call below them go one by one.
    ended: VecDeque<(u32, u32)>,
    open: usize,
}

#[derive(Debug, Clone, Copy)]
struct Finished {
    due: Timestamp,
    tree: u32,
    /// The tree's stamp: another one means that it went on, or is another tree.
    stamp: u64,
}

/// Beside a node of the graph.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    tree: u32,
    /// Changes each time the slot gets another call.
    serial: u32,
    pins: u32,
}

/// How many calls are looked at to make room for one: what is pinned or in use goes by.
const TRIES: usize = 64;

impl LiveGraph {
    /// An empty graph.
    #[must_use]
    pub fn new(limits: LiveLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// The calls, to be read.
    #[must_use]
    pub fn graph(&self) -> &CallGraph {
        &self.graph
    }

    /// Number of calls.
    #[must_use]
    pub fn len(&self) -> usize {
        self.graph.len()
    }

    /// True without any call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.graph.is_empty()
    }

    /// Number of calls that have not ended.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open
    }

    /// As [`CallGraph::add_call`].
    ///
    /// # Errors
    /// As [`CallGraph::add_call`].
    pub fn add_call(&mut self, call: CallNode, now: Timestamp) -> Result<(), GraphError> {
        self.graph.pass(now);
        let id = call.request_id.clone();
        self.graph.add_call(call)?;
        if let Some(slot) = self.graph.find(&id) {
            self.joined(slot, now);
        }
        self.make_room(now);
        Ok(())
    }

    /// As [`CallGraph::apply`]; the time is that of the event.
    pub fn apply(&mut self, event: &CallEvent) -> Applied {
        let now = event.timestamp;
        let before = self.graph.find(&event.request_id).map(|slot| {
            let status = self.graph.call(slot).status;
            (status, self.graph.parent_of(slot))
        });
        let outcome = self.graph.apply(event);
        if let Some(slot) = self.graph.find(&event.request_id) {
            match before {
                None => self.joined(slot, now),
                Some((status, parent)) => {
                    if parent == NONE && self.graph.parent_of(slot) != NONE {
                        self.adopted(slot, now);
                    }
                    if status.is_open() && self.graph.call(slot).status.is_terminal() {
                        self.ended(slot, now);
                    }
                }
            }
        }
        self.make_room(now);
        outcome
    }

    /// As [`CallGraph::update_status`].
    ///
    /// # Errors
    /// As [`CallGraph::update_status`].
    pub fn update_status(
        &mut self,
        id: &RequestId,
        to: CallStatus,
        at: Timestamp,
        extra: StatusExtra,
    ) -> Result<Transition, GraphError> {
        let transition = self.graph.update_status(id, to, at, extra)?;
        if transition.changed
            && to.is_terminal()
            && let Some(slot) = self.graph.find(id)
        {
            self.ended(slot, at);
        }
        self.make_room(at);
        Ok(transition)
    }

    /// As [`CallGraph::update_call`].
    ///
    /// # Errors
    /// As [`CallGraph::update_call`].
    pub fn update_call(&mut self, id: &RequestId, patch: CallPatch) -> Result<(), GraphError> {
        self.graph.update_call(id, patch)
    }

    /// As [`CallGraph::add_dependency`].
    ///
    /// # Errors
    /// As [`CallGraph::add_dependency`].
    pub fn add_dependency(
        &mut self,
        before: &RequestId,
        after: &RequestId,
    ) -> Result<bool, GraphError> {
        self.graph.add_dependency(before, after)
    }

    /// Keeps a call, and its tree, until it is unpinned as often: for calls of which something is not
    /// written yet.
    ///
    /// # Errors
    /// [`GraphError::NodeNotFound`].
    pub fn pin(&mut self, id: &RequestId) -> Result<(), GraphError> {
        let slot = self.slot(id)?;
        let mark = &mut self.marks[slot as usize];
        mark.pins += 1;
        let tree = self.trees.get_mut(mark.tree);
        tree.pins += 1;
        tree.stamp += 1;
        Ok(())
    }

    /// Takes one pin away; one too many changes nothing.
    ///
    /// # Errors
    /// [`GraphError::NodeNotFound`].
    pub fn unpin(&mut self, id: &RequestId, now: Timestamp) -> Result<(), GraphError> {
        let slot = self.slot(id)?;
        let mark = &mut self.marks[slot as usize];
        if mark.pins > 0 {
            mark.pins -= 1;
            let tree = mark.tree;
            self.trees.get_mut(tree).pins -= 1;
            self.queue_if_done(tree, now);
            self.make_room(now);
        }
        Ok(())
    }

    /// Lets go what has been over for long enough. Gives how many calls left.
    pub fn sweep(&mut self, now: Timestamp) -> usize {
        self.graph.pass(now);
        let before = self.len();
        self.make_room(now);
        before - self.len()
    }

    fn slot(&self, id: &RequestId) -> Result<u32, GraphError> {
        self.graph.find(id).ok_or_else(|| GraphError::not_found(id))
    }

    /// A call has come; the edges to its parent and to children that waited are there.
    fn joined(&mut self, slot: u32, now: Timestamp) {
        let parent = self.graph.parent_of(slot);
        let tree = if parent == NONE {
            self.trees.add(slot)
        } else {
            self.marks[parent as usize].tree
        };
        if self.marks.len() <= slot as usize {
            self.marks.resize(slot as usize + 1, Mark::default());
        }
        let mark = &mut self.marks[slot as usize];
        mark.tree = tree;
        mark.serial = mark.serial.wrapping_add(1);
        mark.pins = 0;
        let here = self.trees.get_mut(tree);
        here.nodes += 1;
        here.stamp += 1;
        if self.graph.call(slot).status.is_open() {
            here.open += 1;
            self.open += 1;
        } else {
            self.note_ended(slot);
        }
        let children: Vec<u32> = self.graph.children_of(slot).collect();
        let mut tree = tree;
        for child in children {
            tree = self.merge(tree, self.marks[child as usize].tree);
        }
        self.queue_if_done(tree, now);
    }

    /// A call that was a root has a parent now.
    fn adopted(&mut self, slot: u32, now: Timestamp) {
        let parent = self.graph.parent_of(slot);
        let above = self.marks[parent as usize].tree;
        let tree = self.merge(above, self.marks[slot as usize].tree);
        self.queue_if_done(tree, now);
    }

    fn ended(&mut self, slot: u32, now: Timestamp) {
        let tree = self.marks[slot as usize].tree;
        self.trees.get_mut(tree).open -= 1;
        self.open -= 1;
        self.note_ended(slot);
        self.queue_if_done(tree, now);
    }

    fn note_ended(&mut self, slot: u32) {
        // Most calls leave with their trees; what is left of those here is cleared away when it is
        // more than the calls there are.
        if self.ended.len() > 2 * self.graph.len() + 1_024 {
            let marks = &self.marks;
            self.ended
                .retain(|(slot, serial)| marks[*slot as usize].serial == *serial);
        }
        let serial = self.marks[slot as usize].serial;
        self.ended.push_back((slot, serial));
    }

    /// Makes one tree of that of a child and the one above it; the smaller one is relabelled.
    fn merge(&mut self, above: u32, below: u32) -> u32 {
        if above == below {
            return above;
        }
        let root = self.trees.get(above).root;
        let (kept, gone) = if self.trees.get(above).nodes >= self.trees.get(below).nodes {
            (above, below)
        } else {
            (below, above)
        };
        let mut stack = vec![self.trees.get(gone).root];
        while let Some(slot) = stack.pop() {
            self.marks[slot as usize].tree = kept;
            let marks = &self.marks;
            let rest = self.graph.children_of(slot);
            stack.extend(rest.filter(|child| marks[*child as usize].tree == gone));
        }
        self.trees.merge(kept, gone);
        self.trees.get_mut(kept).root = root;
        kept
    }

    /// Puts a tree into the queue of those that go, if nothing of it is open or pinned.
    fn queue_if_done(&mut self, tree: u32, now: Timestamp) {
        let here = self.trees.get_mut(tree);
        if here.open > 0 || here.pins > 0 {
            return;
        }
        here.stamp += 1;
        let stamp = here.stamp;
        // Clocks may step back, the queue must not.
        let last = self.finished.back().map(|last| last.due);
        let due = now.after(self.limits.keep);
        let due = last.map_or(due, |last| last.max(due));
        self.finished.push_back(Finished { due, tree, stamp });
    }

    fn make_room(&mut self, now: Timestamp) {
        while let Some(first) = self.finished.front().copied() {
            let valid = self.trees.get(first.tree).stamp == first.stamp;
            if valid && first.due > now && self.len() <= self.limits.nodes {
                break;
            }
            self.finished.pop_front();
            if valid {
                self.remove_tree(first.tree);
            }
        }
        let mut tries = TRIES;
        while self.len() > self.limits.nodes && tries > 0 {
            tries -= 1;
            let Some((slot, serial)) = self.ended.pop_front() else {
                break;
            };
            self.remove_leaf(slot, serial);
        }
    }

    fn remove_tree(&mut self, tree: u32) {
        let mut slots = vec![self.trees.get(tree).root];
        let mut next = 0;
        while let Some(slot) = slots.get(next).copied() {
            slots.extend(self.graph.children_of(slot));
            next += 1;
        }
        // From the leaves upwards, for a call must not stay behind under one that is gone.
        for slot in slots.into_iter().rev() {
            self.graph.forget(slot);
            let mark = &mut self.marks[slot as usize];
            mark.serial = mark.serial.wrapping_add(1);
        }
        self.trees.remove(tree);
    }

    /// Takes out a call that has ended, if nothing hangs on it.
    fn remove_leaf(&mut self, slot: u32, serial: u32) {
        let mark = self.marks[slot as usize];
        if mark.serial != serial || self.graph.children_of(slot).next().is_some() {
            // Gone already, or with calls below it: the last of those brings it back here.
            return;
        }
        let parent = self.graph.parent_of(slot);
        if mark.pins > 0 || parent == NONE {
            // Roots go with their trees.
            self.ended.push_back((slot, serial));
            return;
        }
        self.graph.forget(slot);
        self.marks[slot as usize].serial = serial.wrapping_add(1);
        self.trees.get_mut(mark.tree).nodes -= 1;
        let above = self.marks[parent as usize].serial;
        if self.graph.call(parent).status.is_terminal()
            && self.graph.children_of(parent).next().is_none()
        {
            self.ended.push_front((parent, above));
        }
    }
}
