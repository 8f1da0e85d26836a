//! Conditional requests, read once from the raw headers.
//!
//! Reads follow RFC 9110 section 13.2.2 as S3 does; copies use the same combinations with 412 for every failure;
//! writes accept `If-None-Match: *` and `If-Match: "etag"` and reject every other form.

use crate::errors::{no_such_key_error, not_implemented_error, precondition_failed_error, s3_error};
use http::HeaderMap;
use s3s::S3Result;
use s3s::dto::{Timestamp, TimestampFormat};

/// A list of entity tags, or `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum EtagList {
    Any,
    List(Vec<EntityTag>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct EntityTag {
    weak: bool,
    value: String,
}

impl EtagList {
    /// Quotes are optional, as in S3.
    fn parse(value: &str) -> Self {
        if value.trim() == "*" {
            return Self::Any;
        }
        let tag = |text: &str| {
            let text = text.trim();
            let (weak, text) = text.strip_prefix("W/").map_or((false, text), |rest| (true, rest));
            EntityTag { weak, value: strip_quotes(text).to_owned() }
        };
        Self::List(value.split(',').map(tag).collect())
    }

    /// If-Match uses strong comparison: a weak tag never matches.
    fn matches(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags.iter().any(|tag| !tag.weak && tag.value == etag),
        }
    }

    fn matches_weakly(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags.iter().any(|tag| tag.value == etag),
        }
    }
}

/// An entity tag without its quotes, if it has any.
pub(crate) fn strip_quotes(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// The four conditions of a read. Times are whole seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    if_match: Option<EtagList>,
    if_none_match: Option<EtagList>,
    modified_since: Option<u64>,
    unmodified_since: Option<u64>,
}

/// The first condition that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailedCondition {
    Match,
    NoneMatch,
    ModifiedSince,
    UnmodifiedSince,
}

impl FailedCondition {
    fn name(self) -> &'static str {
        match self {
            Self::Match => "If-Match",
            Self::NoneMatch => "If-None-Match",
            Self::ModifiedSince => "If-Modified-Since",
            Self::UnmodifiedSince => "If-Unmodified-Since",
        }
    }
}

impl Conditions {
    /// Reads the four headers with names that begin with `prefix`. A header with an invalid date is ignored (RFC 9110,
    /// 13.1.3).
    pub(crate) fn read(headers: &HeaderMap, prefix: &str) -> Self {
        let text = |tail: &str| headers.get(format!("{prefix}{tail}")).and_then(|value| value.to_str().ok());
        Self {
            if_match: text("if-match").map(EtagList::parse),
            if_none_match: text("if-none-match").map(EtagList::parse),
            modified_since: text("if-modified-since").and_then(parse_date_seconds),
            unmodified_since: text("if-unmodified-since").and_then(parse_date_seconds),
        }
    }

    /// The combination rules. `modified` and `now` are seconds since 1970.
    fn evaluate(&self, etag: &str, modified: u64, now: u64) -> Option<FailedCondition> {
        // If-Match takes precedence over If-Unmodified-Since, and If-None-Match over If-Modified-Since (RFC 9110, section
        // 13.2.2).
        match (&self.if_match, self.unmodified_since) {
            (Some(tags), _) if !tags.matches(etag) => return Some(FailedCondition::Match),
            (None, Some(date)) if modified > date => return Some(FailedCondition::UnmodifiedSince),
            _ => {}
        }
        match (&self.if_none_match, self.modified_since) {
            (Some(tags), _) if tags.matches_weakly(etag) => Some(FailedCondition::NoneMatch),
            // A date later than the server's clock is invalid (RFC 2616, section 14.25), so it is ignored.
            (None, Some(date)) if date <= now && modified <= date => Some(FailedCondition::ModifiedSince),
            _ => None,
        }
    }

    /// For GET and HEAD: 304 for the two "not" forms, 412 for the others.
    pub(crate) fn check_read(&self, etag: &str, modified: u64, now: u64) -> S3Result<()> {
        match self.evaluate(etag, modified, now) {
            None => Ok(()),
            Some(FailedCondition::NoneMatch | FailedCondition::ModifiedSince) => {
                Err(s3_error(304, "NotModified", "Not Modified", &[]))
            }
            Some(failed) => Err(precondition_failed_error(failed.name())),
        }
    }

    /// For the source of a copy: 412 for every failed condition.
    pub(crate) fn check_copy(&self, etag: &str, modified: u64, now: u64) -> S3Result<()> {
        match self.evaluate(etag, modified, now) {
            None => Ok(()),
            Some(failed) => Err(precondition_failed_error(&format!("x-amz-copy-source-{}", failed.name()))),
        }
    }
}

/// A condition on the object that a write replaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum WriteCondition {
    #[default]
    None,
    /// `If-None-Match: *`
    Absent,
    /// `If-Match: "etag"`
    Etag(String),
    /// `If-Match: *`, for deletes.
    Present,
}

/// The current object at the key, as far as conditions need it.
pub(crate) struct CurrentObject<'a> {
    /// The ETag of the current object; `None` if there is no object or a delete marker.
    pub(crate) etag: Option<&'a str>,
}

impl WriteCondition {
    /// Conditions of put, copy and complete.
    pub(crate) fn read(headers: &HeaderMap) -> S3Result<Self> {
        let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
        match (text("if-match"), text("if-none-match")) {
            (None, None) => Ok(Self::None),
            // S3 rejects both together. Evaluating only one of them would ignore a condition that protects data.
            (Some(_), Some(_)) => Err(not_implemented_error("If-Match,If-None-Match")),
            (None, Some(value)) if value.trim() == "*" => Ok(Self::Absent),
            (None, Some(_)) => Err(not_implemented_error("If-None-Match")),
            (Some(value), None) if value.trim() == "*" => Err(not_implemented_error("If-Match")),
            (Some(value), None) => Ok(Self::Etag(strip_quotes(value.trim()).to_owned())),
        }
    }

    /// Conditions of deletes, where `*` means that the object exists.
    pub(crate) fn read_delete(headers: &HeaderMap) -> S3Result<Self> {
        for name in ["x-amz-if-match-last-modified-time", "x-amz-if-match-size", "if-none-match"] {
            if headers.contains_key(name) {
                return Err(not_implemented_error(name));
            }
        }
        let Some(value) = headers.get("if-match") else { return Ok(Self::None) };
        let value = String::from_utf8_lossy(value.as_bytes());
        Ok(if value.trim() == "*" { Self::Present } else { Self::from_etag(value.trim()) })
    }

    pub(crate) fn from_etag(value: &str) -> Self {
        Self::Etag(strip_quotes(value).to_owned())
    }

    /// Evaluates the condition. Call it inside the transaction that writes.
    pub(crate) fn check(&self, key: &str, current: &CurrentObject<'_>) -> S3Result<()> {
        match (self, current.etag) {
            (Self::None, _) | (Self::Absent, None) | (Self::Present, Some(_)) => Ok(()),
            (Self::Absent, Some(_)) => Err(precondition_failed_error("If-None-Match")),
            // S3 responds with 404 and not with 412 if there is no object to compare with.
            (Self::Etag(_) | Self::Present, None) => Err(no_such_key_error(key)),
            (Self::Etag(wanted), Some(etag)) if wanted == etag => Ok(()),
            (Self::Etag(_), Some(_)) => Err(precondition_failed_error("If-Match")),
        }
    }
}

/// An RFC 1123 date, or one in ISO 8601 form, as seconds since 1970.
fn parse_date_seconds(text: &str) -> Option<u64> {
    let parse = |format| Timestamp::parse(format, text.trim()).ok();
    let timestamp = parse(TimestampFormat::HttpDate).or_else(|| parse(TimestampFormat::DateTime))?;
    let mut epoch_text = Vec::new();
    timestamp.format(TimestampFormat::EpochSeconds, &mut epoch_text).ok()?;
    let epoch_text = String::from_utf8(epoch_text).ok()?;
    let whole = epoch_text.split('.').next()?;
    Some(whole.parse::<i64>().ok()?.max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODIFIED_SECONDS: u64 = 1_700_000_000;
    const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT"; // THEN
    const BEFORE: &str = "Tue, 14 Nov 2023 22:13:19 GMT";
    const FUTURE: &str = "Tue, 14 Nov 2034 22:13:19 GMT";

    #[track_caller]
    fn check_conditions(given: &[(&'static str, &str)], expected: Option<FailedCondition>) {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.insert(*name, value.parse().unwrap());
        }
        let conditions = Conditions::read(&headers, "");
        assert_eq!(
            conditions.evaluate("abc", MODIFIED_SECONDS, MODIFIED_SECONDS + 1000),
            expected,
            "{given:?}"
        );
    }

    #[test]
    fn evaluates_combinations_of_conditions() {
        check_conditions(&[], None);
        check_conditions(&[("if-match", "\"abc\"")], None);
        check_conditions(&[("if-match", "abc")], None);
        check_conditions(&[("if-match", "*")], None);
        check_conditions(&[("if-match", "\"x\", \"abc\"")], None);
        check_conditions(&[("if-match", "W/\"abc\"")], Some(FailedCondition::Match));
        check_conditions(&[("if-match", "\"x\"")], Some(FailedCondition::Match));
        check_conditions(&[("if-none-match", "\"x\"")], None);
        check_conditions(&[("if-none-match", "\"abc\"")], Some(FailedCondition::NoneMatch));
        check_conditions(&[("if-none-match", "W/\"abc\"")], Some(FailedCondition::NoneMatch));
        check_conditions(&[("if-unmodified-since", DATE)], None);
        check_conditions(&[("if-unmodified-since", BEFORE)], Some(FailedCondition::UnmodifiedSince));
        check_conditions(&[("if-modified-since", BEFORE)], None);
        check_conditions(&[("if-modified-since", DATE)], Some(FailedCondition::ModifiedSince));
        check_conditions(&[("if-modified-since", FUTURE)], None);
        check_conditions(&[("if-modified-since", "yesterday")], None);
        check_conditions(&[("if-match", "abc"), ("if-unmodified-since", BEFORE)], None);
        check_conditions(&[("if-match", "x"), ("if-unmodified-since", DATE)], Some(FailedCondition::Match));
        check_conditions(
            &[("if-none-match", "abc"), ("if-modified-since", BEFORE)],
            Some(FailedCondition::NoneMatch),
        );
        check_conditions(&[("if-none-match", "x"), ("if-modified-since", DATE)], None);
        check_conditions(&[("if-match", "abc"), ("if-none-match", "abc")], Some(FailedCondition::NoneMatch));
    }
}
