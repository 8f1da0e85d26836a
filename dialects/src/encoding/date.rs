//! Dates in headers and documents, with a precision of one second.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, fmt::rfc2822, fmt::strtime};

/// `Fri, 24 May 2013 00:00:00 GMT`, the IMF-fixdate of RFC 9110.
pub(crate) fn format_http(at: Timestamp) -> String {
    let instant = Instant::from_second(at.0).ok();
    instant.and_then(|instant| HTTP_DATES.timestamp_to_rfc9110_string(&instant).ok()).unwrap_or_default()
}

static HTTP_DATES: rfc2822::DateTimePrinter = rfc2822::DateTimePrinter::new();

/// `2013-05-24T00:00:00.000Z`. The three zeros are there because some SDKs cannot parse a time without milliseconds.
pub(crate) fn format_iso(at: Timestamp) -> String {
    format!("{}.000Z", format_iso_seconds(at).trim_end_matches('Z'))
}

/// `2013-05-24T00:00:00Z`.
pub fn format_iso_seconds(at: Timestamp) -> String {
    Instant::from_second(at.0).map(|instant| instant.to_string()).unwrap_or_default()
}

/// `20130524T000000Z`, the form of signatures.
pub(crate) fn format_basic(at: Timestamp) -> String {
    let mut text = format_iso_seconds(at);
    text.retain(|character| !matches!(character, '-' | ':'));
    text
}

/// Parses an HTTP date in the form of RFC 1123.
pub fn parse_http(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let (_, date) = text.split_once(", ")?;
    // Signed dates come from clients with their own formatters, which write the time zone in three ways.
    let date = date.strip_suffix(" GMT").or(date.strip_suffix(" UTC")).or(date.strip_suffix(" +0000"))?;
    parse_civil("%d %b %Y %H:%M:%S", date)
}

/// Parses `20130524T000000Z`.
pub(crate) fn parse_basic(text: &str) -> Option<Timestamp> {
    // The format alone also matches other lengths, such as a day with one digit.
    if text.len() != "20130524T000000Z".len() {
        return None;
    }
    parse_civil("%Y%m%dT%H%M%SZ", text)
}

/// Parses an ISO 8601 time. Without a time zone, as in a sample of JD Cloud and in part copies of COS, it is UTC.
pub(crate) fn parse_iso(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<Instant>() {
        return Some(Timestamp(instant.as_second()));
    }
    text.parse::<DateTime>().ok().and_then(to_utc)
}

/// Parses a time in a vendor's document, in any of the forms above.
pub(crate) fn parse_any(text: &str) -> Option<Timestamp> {
    parse_iso(text).or_else(|| parse_http(text))
}

fn parse_civil(format: &str, text: &str) -> Option<Timestamp> {
    strtime::parse(format, text).ok()?.to_datetime().ok().and_then(to_utc)
}

fn to_utc(at: DateTime) -> Option<Timestamp> {
    at.to_zoned(TimeZone::UTC).ok().map(|zoned| Timestamp(zoned.timestamp().as_second()))
}

/// Seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp(1_714_979_289);

    #[test]
    fn each_form_parses_to_the_same_time() {
        assert_eq!(format_http(AT), "Mon, 06 May 2024 07:08:09 GMT");
        assert_eq!(format_basic(AT), "20240506T070809Z");
        assert_eq!(format_iso(AT), "2024-05-06T07:08:09.000Z");
        assert_eq!(format_iso_seconds(AT), "2024-05-06T07:08:09Z");
        assert_eq!(parse_http(&format_http(AT)), Some(AT));
        assert_eq!(parse_basic(&format_basic(AT)), Some(AT));
        assert_eq!(parse_iso(&format_iso(AT)), Some(AT));
        assert_eq!(parse_http("Tue, 27 Mar 2007 19:36:42 +0000"), Some(Timestamp(1_175_024_202)));
    }

    #[test]
    fn dates_of_vendors_samples_are_parsed() {
        assert_eq!(parse_any("2009-10-28T22:32:00"), Some(Timestamp(1_256_769_120)));
        assert_eq!(parse_any("2017-09-04T04:45:45"), Some(Timestamp(1_504_500_345)));
        assert_eq!(parse_any("Fri, 24 Feb 2012 07:18:48 GMT"), Some(Timestamp(1_330_067_928)));
        assert_eq!(parse_any("2019-09-06T03:17:47.123Z"), Some(Timestamp(1_567_739_867)));
    }

    #[test]
    fn text_that_is_not_a_date_is_none() {
        for text in ["", "now", "2024-13-01T00:00:00Z", "Mon, 06 Foo 2024 07:08:09 GMT"] {
            assert_eq!(parse_any(text), None, "{text}");
            assert_eq!(parse_basic(text), None, "{text}");
        }
    }
}
