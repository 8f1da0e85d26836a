//! Percent-encoding as the signature documents of all vendors define it: RFC 3986 with upper-case hex digits.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};

/// All characters except the unreserved ones: `A-Z a-z 0-9 - . _ ~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same without `/`, for paths.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// A `%` without two hex digits after it, or decoded bytes that are not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("broken percent-encoding")]
pub struct BadEscape;

/// Encodes all characters except the unreserved ones. `/` is encoded too.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The same for bytes that need not be UTF-8.
pub(crate) fn encode_bytes(bytes: &[u8]) -> String {
    percent_encode(bytes, RESERVED).to_string()
}

/// Encodes all characters except the unreserved ones and `/`.
pub fn encode_path(text: &str) -> String {
    utf8_percent_encode(text, RESERVED_IN_PATH).to_string()
}

/// Decodes once. `+` remains a plus sign.
///
/// # Errors
/// [`BadEscape`].
pub fn decode(text: &str) -> Result<String, BadEscape> {
    // The library's decoder copies an invalid escape as it is, so that two different texts would decode to the same
    // key.
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'%', rest) {
        let (plain, escape) = rest.split_at_checked(at).unwrap_or_default();
        let [_, high, low, after @ ..] = escape else { return Err(BadEscape) };
        decoded.extend_from_slice(plain);
        decoded.push(decode_digit(*high)? << 4 | decode_digit(*low)?);
        rest = after;
    }
    decoded.extend_from_slice(rest);
    String::from_utf8(decoded).map_err(|_| BadEscape)
}

fn decode_digit(digit: u8) -> Result<u8, BadEscape> {
    let value = char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    value.ok_or(BadEscape)
}

/// Decodes once with `+` as a space, as in query strings.
///
/// # Errors
/// [`BadEscape`].
pub fn decode_form(text: &str) -> Result<String, BadEscape> {
    if text.contains('+') { decode(&text.replace('+', "%20")) } else { decode(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_both_ways() {
        for key in ["a b+c%d?e&f#g/h", "腾讯/云.txt", "//x/../y", "~-._"] {
            assert_eq!(decode(&encode(key)).as_deref(), Ok(key));
            assert_eq!(decode(&encode_path(key)).as_deref(), Ok(key));
        }
        assert_eq!(encode_path("a b/é"), "a%20b/%C3%A9");
        assert_eq!(decode_form("a+b%2Bc").as_deref(), Ok("a b+c"));
    }

    #[test]
    fn a_broken_escape_is_rejected() {
        for text in ["%", "%a", "%zz", "a%2", "%FF"] {
            assert_eq!(decode(text), Err(BadEscape), "{text}");
        }
    }
}
