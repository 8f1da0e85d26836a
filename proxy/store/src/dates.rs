//! The clock, and times as S3 writes them. Rows hold milliseconds since 1970.

use s3s::dto::{Timestamp, TimestampFormat};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The current time in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn to_seconds(ms: u64) -> u64 {
    ms / 1000
}

/// Every response has times in whole seconds, so that lists, headers and conditions agree.
pub(crate) fn to_timestamp(ms: u64) -> Timestamp {
    // The end of the year 9999: no date format has five-digit years.
    const LAST: u64 = 253_402_300_799;
    let since = Duration::from_secs(to_seconds(ms).min(LAST));
    Timestamp::from(UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH))
}

pub(crate) fn format_http_date(ms: u64) -> String {
    format_date(ms, TimestampFormat::HttpDate)
}

/// The form of dates in XML documents (ISO 8601).
pub(crate) fn format_iso_date(ms: u64) -> String {
    format_date(ms, TimestampFormat::DateTime)
}

fn format_date(ms: u64, format: TimestampFormat) -> String {
    let mut text = Vec::new();
    let _ = to_timestamp(ms).format(format, &mut text);
    String::from_utf8(text).unwrap_or_default()
}
