//! ETags: their quotes, and the letter case of those with the form of an MD5.

use crate::dialect::definition::Dialect;

/// An ETag without quotes.
pub fn strip_quotes(tag: &str) -> &str {
    tag.trim().trim_matches('"')
}

/// Changes the letter case of an ETag to that of a dialect.
fn apply_case(dialect: &Dialect, tag: &mut str) {
    // Only 32 hex digits, with or without a number of parts, have a letter case. Other ETags are opaque, and changing
    // them would make another ETag of them.
    let (digest, count) = tag.as_bytes().split_at_checked(MD5_DIGITS).unwrap_or_default();
    let is_md5 = digest.len() == MD5_DIGITS && digest.iter().all(u8::is_ascii_hexdigit);
    let has_valid_count = match count.split_first() {
        None => true,
        Some((dash, count)) => *dash == b'-' && !count.is_empty() && count.iter().all(u8::is_ascii_digit),
    };
    match (is_md5 && has_valid_count, dialect.etag_upper_case) {
        (true, true) => tag.make_ascii_uppercase(),
        (true, false) => tag.make_ascii_lowercase(),
        (false, _) => {}
    }
}

/// The hex digits of an MD5.
const MD5_DIGITS: usize = 32;

/// An ETag as a dialect writes it in headers and documents.
pub fn quote(dialect: &Dialect, tag: &str) -> String {
    let tag = strip_quotes(tag);
    let mut quoted = String::with_capacity(tag.len().saturating_add(2));
    quoted.push('"');
    quoted.push_str(tag);
    if let Some(tag) = quoted.get_mut(1..) {
        apply_case(dialect, tag);
    }
    quoted.push('"');
    quoted
}

/// Whether two ETags are the same. Letter case and quotes are ignored.
pub fn is_same_etag(one: &str, other: &str) -> bool {
    strip_quotes(one).eq_ignore_ascii_case(strip_quotes(other))
}
