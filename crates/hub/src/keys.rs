//! API keys as text: how they are made, recognised and hashed.
//!
//! A key is a prefix, 43 characters base64url of 32 random bytes, and 6 characters base62 of the
//! CRC-32 of what precedes. The checksum tells a typo from a key without a look-up; the fixed prefix
//! is what secret scanners register.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Longest text that is looked at as a key; anything longer is refused before it is hashed.
pub(crate) const MAX_TEXT: usize = 200;

/// How many characters of a key are stored readable, for lists and for the audit trail.
pub(crate) const SHOWN: usize = 12;

const RANDOM_BYTES: usize = 32;
const RANDOM_CHARS: usize = 43;
const CHECK_CHARS: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whose key it is: one of an account, or one of a spawned session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `alk_…`
    Account,
    /// `alks_…`
    Session,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Account, Self::Session];

    fn prefix(self) -> &'static str {
        match self {
            Self::Account => "alk_",
            Self::Session => "alks_",
        }
    }
}

/// The system's random generator gave nothing, so no key can be made.
#[derive(Debug, thiserror::Error)]
#[error("the system's random number generator is not available")]
pub struct NoRandomness(#[from] getrandom::Error);

/// Makes a new key of 256 random bits.
///
/// # Errors
/// [`NoRandomness`] when the system has no generator.
pub(crate) fn generate(kind: Kind) -> Result<SecretString, NoRandomness> {
    let mut random = [0_u8; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(NoRandomness)?;
    let body = format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(random));
    let check = checksum(&body);
    Ok(SecretString::from(format!("{body}{check}")))
}

/// True when the text has the form of a key and its checksum holds.
#[must_use]
pub(crate) fn well_formed(text: &str) -> bool {
    if text.len() > MAX_TEXT || !text.is_ascii() {
        return false;
    }
    Kind::ALL.iter().any(|kind| {
        let length = kind.prefix().len() + RANDOM_CHARS + CHECK_CHARS;
        text.len() == length && text.starts_with(kind.prefix()) && {
            let (body, check) = text.split_at(length - CHECK_CHARS);
            checksum(body) == check
        }
    })
}

/// The form in which a key is stored and looked up: lower-case hex SHA-256 of the whole key.
///
/// The keys hold 256 random bits, so a slow hash would cost every request and buy nothing.
#[must_use]
pub(crate) fn hash(key: &SecretString) -> String {
    hex(&Sha256::digest(key.expose_secret().as_bytes()))
}

/// The readable beginning of a key.
#[must_use]
pub(crate) fn shown_prefix(key: &SecretString) -> String {
    key.expose_secret().chars().take(SHOWN).collect()
}

/// Lower-case hexadecimal digits of the bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing into a String cannot fail.
            let _infallible = write!(text, "{byte:02x}");
            text
        })
}

fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes()) as usize;
    let mut digits = [b'0'; CHECK_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest % 62];
        rest /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_has_53_characters_and_passes_its_own_check() {
        let key = generate(Kind::Account).unwrap();
        assert_eq!(key.expose_secret().len(), 53);
        assert!(well_formed(key.expose_secret()));
        assert!(well_formed(
            generate(Kind::Session).unwrap().expose_secret()
        ));
    }

    #[test]
    fn one_changed_character_breaks_the_checksum() {
        let key = generate(Kind::Account).unwrap().expose_secret().to_owned();
        for at in 0..key.len() {
            let mut other = key.clone().into_bytes();
            other[at] = if other[at] == b'x' { b'y' } else { b'x' };
            assert!(
                !well_formed(std::str::from_utf8(&other).unwrap()),
                "at {at}"
            );
        }
    }

    #[test]
    fn other_lengths_and_alphabets_are_no_keys() {
        for text in ["", "alk_", "é", &"a".repeat(53), &"a".repeat(10_000)] {
            assert!(!well_formed(text));
        }
    }

    #[test]
    fn hash_is_the_hex_of_sha_256() {
        let hash = hash(&SecretString::from("abc".to_owned()));
        assert_eq!(
            hash,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
