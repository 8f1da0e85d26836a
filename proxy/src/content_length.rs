//! The number in a `Content-Length` header. Clients' heads and targets' heads are read by the same rule: two parsers that
//! differ about a length are how requests are smuggled.

/// Parses 1 to 19 digits and nothing else: no sign, no blank, no list.
pub(crate) fn parse_content_length(value: &[u8]) -> Option<u64> {
    let fits = (1..=19).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    fits.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten()
}
