//! What a comparison finds, and how findings go together.

use std::collections::BTreeSet;

use super::{Mismatch, TypeCompat};

/// Most mismatches that are told.
const MOST_MISMATCHES: usize = 20;

/// What was found about one pair.
#[derive(Debug, Clone, Default)]
pub(super) struct Fit {
    pub(super) mismatches: Vec<Mismatch>,
    pub(super) unknown: bool,
    pub(super) projection: bool,
    pub(super) unchecked: BTreeSet<String>,
}

impl Fit {
    pub(super) fn unknown() -> Self {
        Self {
            unknown: true,
            ..Self::default()
        }
    }

    pub(super) fn mismatch(path: &str, expected: String, actual: String) -> Self {
        Self {
            mismatches: vec![Mismatch {
                path: path.to_owned(),
                expected,
                actual,
            }],
            ..Self::default()
        }
    }

    /// Both must hold.
    pub(super) fn and(&mut self, other: Self) {
        for mismatch in other.mismatches {
            if !self.mismatches.contains(&mismatch) {
                self.mismatches.push(mismatch);
            }
        }
        self.unknown |= other.unknown;
        self.projection |= other.projection;
        self.unchecked.extend(other.unchecked);
    }

    pub(super) fn fits(&self) -> bool {
        self.mismatches.is_empty() && !self.unknown
    }

    /// One must hold: the best of them, the first among equals, with its place.
    pub(super) fn best(fits: Vec<Self>) -> (usize, Self) {
        let rank = |fit: &Self| {
            let class = match (fit.mismatches.is_empty(), fit.unknown) {
                (true, false) => 0,
                (true, true) => 1,
                _ => 2,
            };
            (
                class,
                fit.mismatches.len(),
                fit.projection,
                fit.unchecked.len(),
            )
        };
        let numbered = fits.into_iter().enumerate();
        numbered
            .min_by_key(|(_, fit)| rank(fit))
            .unwrap_or_default()
    }

    pub(super) fn answer(self) -> TypeCompat {
        if !self.mismatches.is_empty() {
            let mut mismatches = self.mismatches;
            mismatches.truncate(MOST_MISMATCHES);
            TypeCompat::Incompatible { mismatches }
        } else if self.unknown {
            TypeCompat::Unknown
        } else {
            TypeCompat::Compatible {
                needs_projection: self.projection,
                unchecked: self.unchecked.into_iter().collect(),
            }
        }
    }
}
