//! The edges of a graph in the order of insertion.
//!
//! Nearly all edges are two ends and a retention; what few have beside them stands apart.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{EdgeAttributes, NONE};

#[derive(Clone, Default)]
pub(super) struct Edges {
    /// By slot; a removed edge leaves a gap.
    edges: Vec<Edge>,
    /// What is unusual about an edge, by slot.
    extras: HashMap<u32, Extra>,
    count: usize,
    /// Whether two edges ever had different retentions, or one had none.
    varied: bool,
}

/// The ends of an edge and what is usual about it.
#[derive(Clone, Copy)]
pub(super) struct Edge {
    /// Slot of the prerequisite; [`NONE`] in a gap.
    pub(super) from: u32,
    /// Slot of the dependent.
    pub(super) to: u32,
    /// Means nothing where the extra says that there is none.
    retention: f64,
}

#[derive(Clone, Default)]
struct Extra {
    no_retention: bool,
    /// The key the edge came with, if it is not `from->to`.
    key: Option<Box<str>>,
    /// Properties nobody here knows.
    other: Option<Box<Map<String, Value>>>,
}

impl Edges {
    /// Number of edges.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Number of slots, gaps included.
    pub(super) fn slots(&self) -> usize {
        self.edges.len()
    }

    pub(super) fn reserve(&mut self, count: usize) {
        self.edges.reserve(count);
    }

    /// Edges in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Edge> + Clone {
        self.edges.iter().filter(|edge| edge.from != NONE)
    }

    /// Edges in order with their slots.
    pub(super) fn with_slots(&self) -> impl Iterator<Item = (u32, &Edge)> + Clone {
        (0..).zip(&self.edges).filter(|(_, edge)| edge.from != NONE)
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Edge> {
        let edge = self.edges.get(slot as usize);
        edge.filter(|edge| edge.from != NONE)
    }

    /// Adds an edge of which nothing is unusual.
    #[inline]
    pub(super) fn push(&mut self, from: u32, to: u32, retention: f64) {
        let first = self.edges.first().map_or(retention, |edge| edge.retention);
        self.varied |= first.to_bits() != retention.to_bits();
        self.edges.push(Edge {
            from,
            to,
            retention,
        });
        self.count += 1;
    }

    pub(super) fn push_with(
        &mut self,
        from: u32,
        to: u32,
        key: Option<Box<str>>,
        attributes: EdgeAttributes,
    ) {
        let slot = self.edges.len() as u32;
        self.push(from, to, attributes.quality_retention.unwrap_or(0.0));
        let extra = Extra {
            no_retention: attributes.quality_retention.is_none(),
            key,
            other: attributes.other,
        };
        self.varied |= extra.no_retention;
        if extra.no_retention || extra.key.is_some() || extra.other.is_some() {
            self.extras.insert(slot, extra);
        }
    }

    /// Adds what another graph has in a slot, between two slots of this one.
    pub(super) fn push_like(&mut self, from: u32, to: u32, other: &Self, slot: u32) {
        if let Some(extra) = other.extras.get(&slot) {
            self.varied |= extra.no_retention;
            self.extras.insert(self.edges.len() as u32, extra.clone());
        }
        let retention = other.get(slot).map_or(0.0, |edge| edge.retention);
        self.push(from, to, retention);
    }

    /// Leaves a gap; what was there.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Edge> {
        let edge = self.edges.get_mut(slot as usize)?;
        if edge.from == NONE {
            return None;
        }
        self.extras.remove(&slot);
        self.varied = true;
        self.count -= 1;
        Some(std::mem::replace(
            edge,
            Edge {
                from: NONE,
                to: NONE,
                retention: 0.0,
            },
        ))
    }

    /// The retention of all edges, where they are known to have the same.
    pub(super) fn common_retention(&self) -> Option<f64> {
        let first = self.edges.first()?;
        (!self.varied).then_some(first.retention)
    }

    /// Retention of the edge in a slot, if it has one.
    #[inline]
    pub(super) fn retention(&self, slot: u32) -> Option<f64> {
        let edge = self.get(slot)?;
        let none = !self.extras.is_empty()
            && self
                .extras
                .get(&slot)
                .is_some_and(|extra| extra.no_retention);
        (!none).then_some(edge.retention)
    }

    /// The key the edge in a slot came with, if it is not `from->to`.
    pub(super) fn key(&self, slot: u32) -> Option<&str> {
        self.extras.get(&slot)?.key.as_deref()
    }

    /// Properties of the edge in a slot that nobody here knows.
    pub(super) fn other(&self, slot: u32) -> Option<&Map<String, Value>> {
        self.extras.get(&slot)?.other.as_deref()
    }

    /// Sets what the update names.
    pub(super) fn update(&mut self, slot: u32, update: EdgeAttributes) {
        if let Some(retention) = update.quality_retention
            && let Some(edge) = self.edges.get_mut(slot as usize)
        {
            edge.retention = retention;
            self.varied = true;
            if let Some(extra) = self.extras.get_mut(&slot) {
                extra.no_retention = false;
            }
        }
        if let Some(other) = update.other {
            let extra = self.extras.entry(slot).or_default();
            extra.other.get_or_insert_default().extend(*other);
        }
    }
}
