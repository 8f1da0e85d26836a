//! ETags: their quotes, and the letter case of those with the form of an MD5.

use crate::dialect::definition::Dialect;

/// An ETag without quotes.
pub fn strip_quotes(tag: &str) -> &str {
    tag.trim().trim_matches('"')
}

/// An ETag in the letter case of a dialect.
pub(crate) fn normalize_case(dialect: &Dialect, tag: &str) -> String {
    // Only 32 hex digits, with or without a number of parts, have a letter case. Other ETags are opaque, and changing
    // them would make another ETag of them.
    let (digest, count) = tag.split_once('-').map_or((tag, None), |(digest, count)| (digest, Some(count)));
    let is_md5 = digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has_valid_count =
        count.is_none_or(|count| !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()));
    match (is_md5 && has_valid_count, dialect.etag_upper_case) {
        (true, true) => tag.to_ascii_uppercase(),
        (true, false) => tag.to_ascii_lowercase(),
        (false, _) => tag.to_owned(),
    }
}

/// An ETag as a dialect writes it in headers and documents.
pub fn quote(dialect: &Dialect, tag: &str) -> String {
    format!("\"{}\"", normalize_case(dialect, strip_quotes(tag)))
}

/// Whether two ETags are the same. Letter case and quotes are ignored.
pub fn is_same_etag(one: &str, other: &str) -> bool {
    strip_quotes(one).eq_ignore_ascii_case(strip_quotes(other))
}
