//! The trees of a live graph, in slots of their own.

/// One tree of calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    /// Slot of its topmost call.
    pub(super) root: u32,
    /// How many calls it has.
    pub(super) nodes: usize,
    /// How many of them are open.
    pub(super) open: usize,
    /// How many pins they have.
    pub(super) pins: usize,
    /// Grows with each change that a place in the queue must not outlive; goes on growing when the
    /// slot gets another tree.
    pub(super) stamp: u64,
}

/// All trees; slots of those that are gone are used again.
#[derive(Debug, Clone, Default)]
pub(super) struct Trees {
    slots: Vec<Tree>,
    free: Vec<u32>,
}

impl Trees {
    /// A tree of which the topmost call is known and no call counted.
    pub(super) fn add(&mut self, root: u32) -> u32 {
        if let Some(slot) = self.free.pop() {
            let stamp = self.get(slot).stamp + 1;
            self.slots[slot as usize] = Tree {
                root,
                stamp,
                ..Tree::default()
            };
            return slot;
        }
        self.slots.push(Tree {
            root,
            ..Tree::default()
        });
        (self.slots.len() - 1) as u32
    }

    pub(super) fn get(&self, slot: u32) -> &Tree {
        &self.slots[slot as usize]
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> &mut Tree {
        &mut self.slots[slot as usize]
    }

    /// Counts the calls of one tree to another.
    pub(super) fn merge(&mut self, kept: u32, gone: u32) {
        let other = std::mem::take(self.get_mut(gone));
        let tree = self.get_mut(kept);
        tree.nodes += other.nodes;
        tree.open += other.open;
        tree.pins += other.pins;
        tree.stamp += 1;
        self.get_mut(gone).stamp = other.stamp;
        self.remove(gone);
    }

    pub(super) fn remove(&mut self, slot: u32) {
        self.get_mut(slot).stamp += 1;
        self.free.push(slot);
    }
}
