//! Foreign names made to fit.

use std::collections::HashSet;

use crate::canonical::sha256_hex;
use crate::names::OperationName;

/// Longest name of an operation, in characters.
const LONGEST: usize = 64;
/// What of a longer name stays before its hash.
const KEPT: usize = 55;

/// The names of one import; a clash is numbered in the order of the document.
#[derive(Debug, Default)]
pub struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// Makes a foreign name fit and unlike all before: `_2`, `_3` for a clash.
    #[must_use]
    pub fn take(&mut self, source: &str) -> OperationName {
        let fitted = fit(source);
        let mut name = fitted.clone();
        let mut number = 2_usize;
        while !self.taken.insert(name.clone()) {
            let suffix = format!("_{number}");
            let kept = fitted.len().min(LONGEST - suffix.len());
            name = format!("{}{suffix}", &fitted[..kept]);
            number += 1;
        }
        fitting(name)
    }
}

/// A foreign name as the name of an operation: characters outside `[A-Za-z0-9_-]` become `_`, runs of
/// them one, none at the ends; `op_` before one that begins with no letter; of one over 64 characters
/// the first 55, `_` and 8 digits of its SHA-256. A name that fits already stays as it is.
#[must_use]
pub fn fit(source: &str) -> String {
    if OperationName::new(source).is_ok() {
        return source.to_owned();
    }
    let mut name = String::with_capacity(source.len().min(256));
    for character in source.chars() {
        let kept = character.is_ascii_alphanumeric() || character == '-';
        if kept {
            name.push(character);
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    let trimmed = name.trim_matches('_');
    let mut name = match trimmed.bytes().next() {
        Some(first) if first.is_ascii_alphabetic() => trimmed.to_owned(),
        Some(_) => format!("op_{trimmed}"),
        None => "op".to_owned(),
    };
    if name.len() > LONGEST {
        // ASCII by now, so any place is the border of a character.
        name.truncate(KEPT);
        name = format!("{name}_{}", &sha256_hex(source)[..8]);
    }
    name
}

fn fitting(name: String) -> OperationName {
    #[expect(
        clippy::expect_used,
        reason = "fit() gives legal names only, and a number keeps them so"
    )]
    OperationName::new(name).expect("a fitted name is legal")
}
