//! Entity tags: quotes, and the letter case of those that are MD5-shaped.

use crate::dialect::definition::Dialect;

/// A tag without its quotes.
pub fn strip_quotes(tag: &str) -> &str {
    tag.trim().trim_matches('"')
}

/// A tag in a dialect's letter case: 32 hex digits, with or without a count of parts. Others are opaque.
pub fn normalize_case(dialect: &Dialect, tag: &str) -> String {
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

/// A tag as a dialect writes it in headers and documents.
pub fn quote(dialect: &Dialect, tag: &str) -> String {
    format!("\"{}\"", normalize_case(dialect, strip_quotes(tag)))
}

/// Whether two tags name the same content, whatever their letter case and quotes.
pub fn is_same_etag(one: &str, other: &str) -> bool {
    strip_quotes(one).eq_ignore_ascii_case(strip_quotes(other))
}
