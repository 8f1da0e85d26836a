//! The headers that can be written, to a client or to a target.

/// Whether a header can be written without ending its line, and without another meaning for any parser.
pub(crate) fn is_valid_header(name: &str, value: &[u8]) -> bool {
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_value_byte = |byte: &u8| matches!(byte, b'\t' | 0x20..=0x7e | 0x80..);
    !name.is_empty() && name.bytes().all(is_name_byte) && value.iter().all(is_value_byte)
}
