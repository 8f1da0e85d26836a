//! Entity tags: quotes, and the letter case of those that are MD5-shaped.

use crate::engine::dialect::Dialect;

/// A tag without its quotes.
pub fn bare(tag: &str) -> &str {
    tag.trim().trim_matches('"')
}

/// A tag in a dialect's letter case: 32 hex digits, with or without a count of parts. Others are opaque.
pub fn cased(dialect: &Dialect, tag: &str) -> String {
    let (digest, count) = tag.split_once('-').map_or((tag, None), |(digest, count)| (digest, Some(count)));
    let hex = digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let counted =
        count.is_none_or(|count| !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()));
    match (hex && counted, dialect.etag_upper) {
        (true, true) => tag.to_ascii_uppercase(),
        (true, false) => tag.to_ascii_lowercase(),
        (false, _) => tag.to_owned(),
    }
}

/// A tag as a dialect writes it in headers and documents.
pub fn quoted(dialect: &Dialect, tag: &str) -> String {
    format!("\"{}\"", cased(dialect, bare(tag)))
}

/// Whether two tags name the same content, whatever their letter case and quotes.
pub fn same(one: &str, other: &str) -> bool {
    bare(one).eq_ignore_ascii_case(bare(other))
}
