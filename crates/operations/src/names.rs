//! Names of operations: namespace, name, and the id made of both.
//!
//! Comparison is byte for byte: `Task.create` is another, and illegal, id.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// Longest namespace, in characters, dots included.
const NAMESPACE_LENGTH: usize = 64;
/// Most segments a namespace may have.
const NAMESPACE_SEGMENTS: usize = 3;
/// Longest segment of a namespace, in characters.
const SEGMENT_LENGTH: usize = 32;
/// Longest name of an operation inside its namespace, in characters.
const NAME_LENGTH: usize = 64;

/// Why a text is no name of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The namespace breaks its rule.
    #[error(
        "a namespace has one to three segments joined by dots, each a lower-case letter followed by \
         up to 31 of a-z, 0-9, _ and -, at most 64 characters in all"
    )]
    Namespace,
    /// The name breaks its rule.
    #[error("a name is a letter followed by up to 63 of A-Z, a-z, 0-9, _ and -")]
    Name,
    /// The id has no dot that could part namespace and name.
    #[error("an operation id is a namespace, a dot and a name")]
    Id,
}

/// The group an operation belongs to: `task`, `org.member`.
///
/// One to three segments `[a-z][a-z0-9_-]{0,31}` joined by dots, at most 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Namespace(String);

/// The name of an operation inside its namespace: `create`, `createAndNotify`.
///
/// `[A-Za-z][A-Za-z0-9_-]{0,63}`; never contains a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct OperationName(String);

/// The full id of an operation: namespace, a dot, name.
///
/// A namespace may contain dots and a name may not, so an id is parted at its **last** dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct OperationId(String);

impl Namespace {
    /// Checks and takes a namespace.
    ///
    /// # Errors
    /// [`NameError::Namespace`] when the text breaks the rule of the type.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        let segments = text.split('.').count();
        let legal = text.len() <= NAMESPACE_LENGTH
            && segments <= NAMESPACE_SEGMENTS
            && text.split('.').all(is_segment);
        if legal {
            Ok(Self(text))
        } else {
            Err(NameError::Namespace)
        }
    }

    /// The namespace as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first segment: `org` of `org.member`.
    #[must_use]
    pub fn root(&self) -> &str {
        self.0.split('.').next().unwrap_or(&self.0)
    }
}

impl OperationName {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`NameError::Name`] when the text breaks the rule of the type.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        let mut bytes = text.bytes();
        let legal = text.len() <= NAME_LENGTH
            && bytes
                .next()
                .is_some_and(|first| first.is_ascii_alphabetic())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if legal {
            Ok(Self(text))
        } else {
            Err(NameError::Name)
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl OperationId {
    /// Joins a namespace and a name; both are checked already, so this cannot fail.
    #[must_use]
    pub fn join(namespace: &Namespace, name: &OperationName) -> Self {
        Self(format!("{namespace}.{name}"))
    }

    /// Parts the id at its last dot.
    #[must_use]
    pub fn split(&self) -> (Namespace, OperationName) {
        let (namespace, name) = self.halves();
        (
            Namespace(namespace.to_owned()),
            OperationName(name.to_owned()),
        )
    }

    /// The part before the last dot.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.halves().0
    }

    /// The part behind the last dot.
    #[must_use]
    pub fn name(&self) -> &str {
        self.halves().1
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn halves(&self) -> (&str, &str) {
        self.0.rsplit_once('.').unwrap_or(("", &self.0))
    }
}

impl FromStr for OperationId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (namespace, name) = text.rsplit_once('.').ok_or(NameError::Id)?;
        Ok(Self::join(
            &Namespace::new(namespace)?,
            &OperationName::new(name)?,
        ))
    }
}

impl FromStr for Namespace {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl FromStr for OperationName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

/// What the three kinds of names share: display, borrowing, and reading from JSON with the check.
macro_rules! checked_text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

checked_text!(Namespace, OperationName, OperationId);

fn is_segment(segment: &str) -> bool {
    let mut bytes = segment.bytes();
    segment.len() <= SEGMENT_LENGTH
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-'
        })
}
