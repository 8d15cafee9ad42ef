//! Moments: whole milliseconds in UTC, the same on the wire and in both databases.

use chrono::{DateTime, Duration, SecondsFormat, Utc};

pub use sea_orm::prelude::DateTimeUtc;

/// Now, cut to whole milliseconds.
pub fn now() -> DateTimeUtc {
    whole_milliseconds(Utc::now())
}

/// Now, but at least one millisecond after `previous`: two writes of a row never leave the same
/// moment, so that a caller's copy can be told from a newer one.
pub fn after(previous: DateTimeUtc) -> DateTimeUtc {
    now().max(whole_milliseconds(previous) + Duration::milliseconds(1))
}

/// The moment without what is finer than a millisecond.
pub fn whole_milliseconds(moment: DateTimeUtc) -> DateTimeUtc {
    moment - Duration::nanoseconds(i64::from(moment.timestamp_subsec_nanos() % 1_000_000))
}

/// RFC 3339 in UTC with milliseconds, such as `2026-11-24T08:10:53.120Z`.
pub fn format(moment: DateTimeUtc) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Reads RFC 3339 with any offset, cut to milliseconds; none for other text, also for text without an
/// offset.
pub fn parse(text: &str) -> Option<DateTimeUtc> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|moment| whole_milliseconds(moment.with_timezone(&Utc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_back_as_it_was_written() {
        let moment = parse("2026-11-24T10:10:53.1209+02:00").unwrap();
        assert_eq!(format(moment), "2026-11-24T08:10:53.120Z");
        assert_eq!(parse(&format(moment)), Some(moment));
        assert_eq!(parse("2026-11-24T08:10:53"), None);
    }

    #[test]
    fn the_next_moment_is_always_later() {
        let future = now() + Duration::seconds(5);
        assert_eq!(after(future), future + Duration::milliseconds(1));
        assert!(after(now() - Duration::seconds(5)) > now() - Duration::seconds(1));
    }
}
