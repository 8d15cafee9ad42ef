//! Moments: whole milliseconds in UTC.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most decimals of a second that are read.
const MOST_DECIMALS: usize = 9;
/// Where the decimals of RFC 3339 begin, behind `2026-05-25T10:00:00`.
const BEHIND_SECONDS: usize = 19;

/// A moment in whole milliseconds since 1970, UTC, between the years 0 and 9999.
///
/// As text it is RFC 3339 with exactly three decimals and `Z`. Text with any offset and up to nine
/// decimals is read and cut to milliseconds.
///
/// ```
/// use alkhub_callgraph::Timestamp;
///
/// let moment: Timestamp = "2026-05-25T10:00:00.123999+02:00".parse()?;
/// assert_eq!(moment.to_string(), "2026-05-25T08:00:00.123Z");
/// assert!("2026-05-25T10:00:00".parse::<Timestamp>().is_err());
/// # Ok::<(), alkhub_callgraph::TimestampError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is no moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is RFC 3339 with an offset, such as 2026-11-24T08:10:53.120Z")]
pub struct TimestampError;

impl Timestamp {
    /// The first millisecond of the year 0.
    pub const MIN: Self = Self(-62_167_219_200_000);
    /// The last millisecond of the year 9999.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The moment so many milliseconds after 1970; what lies outside of [`Self::MIN`] and
    /// [`Self::MAX`] is one of these.
    #[must_use]
    pub const fn from_millis(milliseconds: i64) -> Self {
        if milliseconds < Self::MIN.0 {
            Self::MIN
        } else if milliseconds > Self::MAX.0 {
            Self::MAX
        } else {
            Self(milliseconds)
        }
    }

    /// Milliseconds since 1970, negative before.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The moment so much later, at most [`Self::MAX`].
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        let time = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(time))
    }

    /// Time that has gone by since another moment; none when that one lies later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let decimals = text
            .get(BEHIND_SECONDS..)
            .and_then(|rest| rest.strip_prefix('.'))
            .map_or(0, |rest| {
                rest.bytes().take_while(u8::is_ascii_digit).count()
            });
        let marked = matches!(text.as_bytes().get(10), Some(b'T' | b't'));
        if !text.is_ascii() || !marked || decimals > MOST_DECIMALS {
            return Err(TimestampError);
        }
        let moment = DateTime::parse_from_rfc3339(text).map_err(|_| TimestampError)?;
        let milliseconds = moment.timestamp_millis();
        if Self::from_millis(milliseconds).0 == milliseconds {
            Ok(Self(milliseconds))
        } else {
            Err(TimestampError)
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = DateTime::<Utc>::from(*self);
        formatter.write_str(&moment.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl From<Timestamp> for DateTime<Utc> {
    fn from(moment: Timestamp) -> Self {
        // Every moment of these years is one of chrono's.
        Self::from_timestamp_millis(moment.0).unwrap_or_default()
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(moment: DateTime<Utc>) -> Self {
        Self::from_millis(moment.timestamp_millis())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
