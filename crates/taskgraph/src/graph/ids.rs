//! The ids of a graph's nodes: one text, and a table that finds the slot of an id.
//!
//! Made for a million ids: nothing is allocated for a single one, a place in the table is eight
//! bytes, short ids are compared without looking into the text, and many ids are looked up side
//! by side, so that the processor fetches the next places while it waits for the first.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::NONE;

/// Ids by slot, and slots by id. Slots are given out in order and never used again.
#[derive(Clone)]
pub(super) struct Ids {
    /// All ids one after the other; a removed one stays until the graph is made anew.
    text: String,
    /// Where the id of each slot ends.
    ends: Vec<usize>,
    /// The beginning of the id of each slot, the whole of most.
    heads: Vec<Head>,
    /// For a slot the upper half of a place is part of the hash of its id, the lower the slot.
    /// The number of places is a power of two; an id is sought from its hash on upwards.
    places: Vec<u64>,
    count: usize,
    hasher: RandomState,
}

/// A place that holds nothing.
const FREE: u64 = u64::MAX;

/// How many ids are looked up side by side.
const BLOCK: usize = 64;

/// The first bytes of an id and, last, its length, or 255 if that is greater.
type Head = [u8; 16];

/// Longest id of which the head says all.
const HEAD: usize = 15;

fn head_of(id: &str) -> Head {
    let mut head = [0; 16];
    let length = id.len().min(HEAD);
    head[..length].copy_from_slice(&id.as_bytes()[..length]);
    head[HEAD] = id.len().min(255) as u8;
    head
}

impl Default for Ids {
    fn default() -> Self {
        Self {
            text: String::new(),
            ends: Vec::new(),
            heads: Vec::new(),
            places: vec![FREE; 8],
            count: 0,
            hasher: RandomState::default(),
        }
    }
}

impl Ids {
    /// Number of ids.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Makes room for that many further ids.
    pub(super) fn reserve(&mut self, count: usize) {
        self.ends.reserve(count);
        self.heads.reserve(count);
        self.make_room(self.count + count);
    }

    /// The id of a slot.
    pub(super) fn text(&self, slot: u32) -> &str {
        let slot = slot as usize;
        let start = match slot.checked_sub(1) {
            Some(before) => self.ends[before],
            None => 0,
        };
        &self.text[start..self.ends[slot]]
    }

    /// The slot of an id.
    pub(super) fn get(&self, id: &str) -> Option<u32> {
        let place = self.place_of(self.tag(id), id)?;
        Some(slot_in(self.places[place]))
    }

    /// The slots of many ids, [`NONE`] for each that is not there, appended to `slots`.
    pub(super) fn get_all<'t>(&self, ids: impl IntoIterator<Item = &'t str>, slots: &mut Vec<u32>) {
        let mut ids = ids.into_iter();
        let mut block: [(&str, u32, u64, bool); BLOCK] = [("", 0, FREE, false); BLOCK];
        loop {
            let mut count = 0;
            while count < BLOCK
                && let Some(id) = ids.next()
            {
                block[count] = (id, self.tag(id), FREE, false);
                count += 1;
            }
            let block = &mut block[..count];
            for (_, tag, place, _) in &mut *block {
                *place = self.places[self.home(*tag)];
            }
            for (id, tag, place, found) in &mut *block {
                // A free place holds the last slot there could be, and no node has that.
                let head = self.heads.get(slot_in(*place) as usize);
                *found = tag_in(*place) == *tag && head == Some(&head_of(id));
            }
            for (id, tag, place, found) in block {
                let slot = slot_in(*place);
                slots.push(if *found && (id.len() <= HEAD || self.text(slot) == *id) {
                    slot
                } else {
                    self.place_of(*tag, id)
                        .map_or(NONE, |place| slot_in(self.places[place]))
                });
            }
            if count < BLOCK {
                break;
            }
        }
    }

    /// Gives the next slots to many ids; stops at the first that has one already. How many got one.
    pub(super) fn insert_all(&mut self, ids: &[&str]) -> usize {
        self.make_room(self.count + ids.len());
        let mut block_tags = [(0, FREE); BLOCK];
        for (number, block) in ids.chunks(BLOCK).enumerate() {
            // Looking at all places first has them fetched side by side.
            for ((tag, place), id) in block_tags.iter_mut().zip(block) {
                *tag = self.tag(id);
                *place = self.places[self.home(*tag)];
            }
            for (at, ((tag, place), id)) in block_tags.iter().zip(block).enumerate() {
                let is_there = tag_in(*place) == *tag && *place != FREE;
                if is_there && self.is(slot_in(*place), id) || self.put(*tag, id).is_none() {
                    return number * BLOCK + at;
                }
            }
        }
        ids.len()
    }

    /// Gives the next slot to an id; none when the id has one.
    pub(super) fn insert(&mut self, id: &str) -> Option<u32> {
        self.make_room(self.count + 1);
        self.put(self.tag(id), id)
    }

    /// The same when there is room.
    fn put(&mut self, tag: u32, id: &str) -> Option<u32> {
        let mut place = self.home(tag);
        while self.places[place] != FREE {
            let here = self.places[place];
            if tag_in(here) == tag && self.is(slot_in(here), id) {
                return None;
            }
            place = self.after(place);
        }
        let slot = self.ends.len() as u32;
        self.text.push_str(id);
        self.ends.push(self.text.len());
        self.heads.push(head_of(id));
        self.places[place] = u64::from(tag) << 32 | u64::from(slot);
        self.count += 1;
        Some(slot)
    }

    /// Takes the slot from an id.
    pub(super) fn remove(&mut self, id: &str) -> Option<u32> {
        let mut gap = self.place_of(self.tag(id), id)?;
        let slot = slot_in(self.places[gap]);
        // What follows moves up where it is still found from its hash on.
        let mut place = self.after(gap);
        while self.places[place] != FREE {
            let home = self.home(tag_in(self.places[place]));
            let mask = self.places.len() - 1;
            if place.wrapping_sub(home) & mask >= place.wrapping_sub(gap) & mask {
                self.places[gap] = self.places[place];
                gap = place;
            }
            place = self.after(place);
        }
        self.places[gap] = FREE;
        self.count -= 1;
        Some(slot)
    }

    /// The part of an id's hash that its place keeps.
    fn tag(&self, id: &str) -> u32 {
        self.hasher.hash_one(id) as u32
    }

    fn home(&self, tag: u32) -> usize {
        tag as usize & (self.places.len() - 1)
    }

    fn after(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }

    fn place_of(&self, tag: u32, id: &str) -> Option<usize> {
        let mut place = self.home(tag);
        loop {
            match self.places[place] {
                FREE => return None,
                here if tag_in(here) == tag && self.is(slot_in(here), id) => {
                    return Some(place);
                }
                _ => place = self.after(place),
            }
        }
    }

    fn is(&self, slot: u32, id: &str) -> bool {
        self.heads[slot as usize] == head_of(id) && (id.len() <= HEAD || self.text(slot) == id)
    }

    /// At most half of the places are taken, so that searches stay short.
    fn make_room(&mut self, count: usize) {
        if count * 2 <= self.places.len() {
            return;
        }
        let mut places = vec![FREE; (count * 2).next_power_of_two()];
        let mask = places.len() - 1;
        for &taken in self.places.iter().filter(|place| **place != FREE) {
            let mut place = tag_in(taken) as usize & mask;
            while places[place] != FREE {
                place = (place + 1) & mask;
            }
            places[place] = taken;
        }
        self.places = places;
    }
}

fn tag_in(place: u64) -> u32 {
    (place >> 32) as u32
}

fn slot_in(place: u64) -> u32 {
    place as u32
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn ids_are_found_through_any_order_of_insertions_and_removals() {
        let mut ids = Ids::default();
        let mut model: HashMap<String, u32> = HashMap::new();
        let mut random = 7_u64;
        for _ in 0..20_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let id = format!("{}", (random >> 33) % 700);
            if random >> 63 == 0 {
                assert_eq!(ids.remove(&id), model.remove(&id));
            } else {
                let slot = ids.insert(&id);
                assert_eq!(slot.is_none(), model.contains_key(&id));
                model.extend(slot.map(|slot| (id, slot)));
            }
            assert_eq!(ids.len(), model.len());
        }
        let all: Vec<String> = (0..800).map(|number| number.to_string()).collect();
        let mut slots = Vec::new();
        ids.get_all(all.iter().map(String::as_str), &mut slots);
        for (id, slot) in all.iter().zip(slots) {
            assert_eq!(ids.get(id), model.get(id).copied());
            assert_eq!(ids.get(id).unwrap_or(NONE), slot);
        }
    }

    #[test]
    fn long_ids_differ_by_what_comes_late() {
        let mut ids = Ids::default();
        let long = |end: &str| format!("{}{end}", "x".repeat(300));
        for (slot, end) in (0..).zip(["a", "b", "ab"]) {
            assert_eq!(ids.insert(&long(end)), Some(slot));
        }
        let mut slots = Vec::new();
        let wanted = [
            long("b"),
            long("c"),
            long("ab"),
            "x".repeat(15),
            "x".repeat(16),
        ];
        ids.get_all(wanted.iter().map(String::as_str), &mut slots);
        assert_eq!(slots, [1, NONE, 2, NONE, NONE]);
    }

    #[test]
    fn an_empty_id_is_an_id() {
        let mut ids = Ids::default();
        assert_eq!(ids.insert("a"), Some(0));
        assert_eq!(ids.get(""), None);
        assert_eq!(ids.insert(""), Some(1));
        assert_eq!((ids.get(""), ids.text(1)), (Some(1), ""));
        assert_eq!(ids.insert(""), None);
    }
}
