//! Encoded words (RFC 2047), in which some dialects return metadata that is not ASCII.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::dialect::Dialect;

/// Bytes of text in one encoded word: an encoded word has at most 75 characters (RFC 2047, section 2).
const WORD_BYTES_MAX: usize = 45;

/// Converts a metadata value of a target's response to the form that the caller's dialect returns.
pub fn convert_for_caller(target: &Dialect, caller: &Dialect, value: &[u8]) -> Vec<u8> {
    match (target.metadata_encoded_words, caller.metadata_encoded_words) {
        (true, false) => decode_words(value),
        (false, true) => encode_words(value),
        // A target with encoded words may still return raw bytes that were stored by another program.
        (true, true) if !value.is_ascii() => encode_words(value),
        _ => value.to_vec(),
    }
}

/// Converts a metadata value of a client's request to the form that the target expects. Text stays as it is, because
/// the target itself returns it as encoded words.
pub fn convert_for_target(caller: &Dialect, target: &Dialect, value: &[u8]) -> Vec<u8> {
    let is_text = std::str::from_utf8(value).is_ok();
    match (caller.metadata_encoded_words, target.metadata_encoded_words) {
        (true, false) => decode_words(value),
        (false, true) if !is_text || value.is_ascii() => encode_words(value),
        _ => value.to_vec(),
    }
}

/// Encodes a value that is not ASCII, or that a reader would take for encoded words.
fn encode_words(value: &[u8]) -> Vec<u8> {
    if value.is_ascii() && decode_words(value) == value {
        return value.to_vec();
    }
    // Every byte is a character in ISO-8859-1, so arbitrary bytes survive this encoding.
    let Ok(text) = std::str::from_utf8(value) else {
        return write_words("ISO-8859-1", value.chunks(WORD_BYTES_MAX));
    };
    let mut pieces: Vec<&[u8]> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        // Split between characters, because each encoded word is decoded separately (RFC 2047, section 5).
        let end = (0..=WORD_BYTES_MAX.min(rest.len())).rev().find(|at| rest.is_char_boundary(*at));
        let (piece, after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, ""));
        pieces.push(piece.as_bytes());
        rest = after;
    }
    write_words("UTF-8", pieces.into_iter())
}

fn write_words<'a>(charset: &str, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let format_word = |piece: &[u8]| format!("=?{charset}?B?{}?=", BASE64.encode(piece));
    pieces.map(format_word).collect::<Vec<_>>().join(" ").into_bytes()
}

/// Decodes the encoded words in a value. White space between two of them is not part of the text (RFC 2047, section
/// 6.2); other text stays as it is.
pub fn decode_words(value: &[u8]) -> Vec<u8> {
    let Some(mut rest) = std::str::from_utf8(value).ok().filter(|text| text.contains("=?")) else {
        return value.to_vec();
    };
    let mut decoded = Vec::new();
    let mut after_word = false;
    while let Some((before, from)) = rest.split_once("=?") {
        let Some((bytes, behind)) = parse_word(from) else {
            decoded.extend_from_slice(before.as_bytes());
            decoded.extend_from_slice(b"=?");
            (rest, after_word) = (from, false);
            continue;
        };
        if !after_word || !before.trim().is_empty() {
            decoded.extend_from_slice(before.as_bytes());
        }
        decoded.extend(bytes);
        (rest, after_word) = (behind, true);
    }
    decoded.extend_from_slice(rest.as_bytes());
    decoded
}

/// Decodes an encoded word after its `=?`, and returns its bytes and the text after it. Bytes of Latin-1 stay what
/// they are; other charsets are not decoded.
fn parse_word(text: &str) -> Option<(Vec<u8>, &str)> {
    let (charset, text) = text.split_once('?')?;
    let (encoding, text) = text.split_once('?')?;
    let (content, behind) = text.split_once("?=")?;
    // The charset may be followed by a language (RFC 2231, section 5).
    let charset = charset.split('*').next()?.to_ascii_lowercase();
    if !["utf-8", "us-ascii", "iso-8859-1"].contains(&charset.as_str()) || content.contains(' ') {
        return None;
    }
    let bytes = match encoding {
        "b" | "B" => BASE64.decode(content).ok()?,
        "q" | "Q" => decode_q(content)?,
        _ => return None,
    };
    let is_valid_charset = charset == "iso-8859-1" || std::str::from_utf8(&bytes).is_ok();
    // The decoded value becomes a header again, so it must not contain control characters.
    let is_printable = bytes.iter().all(|byte| (*byte >= 0x20 || *byte == b'\t') && *byte != 0x7f);
    (is_valid_charset && is_printable).then_some((bytes, behind))
}

/// Decodes the Q encoding (RFC 2047, section 4.2).
fn decode_q(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let length = match character {
            '=' => {
                bytes.push(u8::from_str_radix(rest.get(1..3)?, 16).ok()?);
                3
            }
            '_' => {
                bytes.push(b' ');
                1
            }
            _ => {
                let length = character.len_utf8();
                bytes.extend_from_slice(rest.get(..length)?.as_bytes());
                length
            }
        };
        rest = rest.get(length..)?;
    }
    Some(bytes)
}
