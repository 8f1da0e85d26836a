//! Digests, message authentication codes, and comparison.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Whether two byte strings are equal, in a time that tells nothing of where they differ.
pub fn constant_time_eq(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// HMAC-SHA256. The result is often a key itself.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> Zeroizing<Vec<u8>> {
    // An HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Zeroizing::default() };
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

/// HMAC-SHA1.
pub fn hmac_sha1(key: &[u8], message: &[u8]) -> Zeroizing<Vec<u8>> {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else { return Zeroizing::default() };
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

/// A key derived step by step from a secret: each part is the message under the key before it.
pub fn derive_key(secret: &[u8], parts: &[&str]) -> Zeroizing<Vec<u8>> {
    parts.iter().fold(Zeroizing::new(secret.to_vec()), |key, part| hmac_sha256(&key, part.as_bytes()))
}

/// SHA-256, lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    encode_hex(&Sha256::digest(bytes))
}

/// SHA-1, lower-case hex.
pub fn sha1_hex(bytes: &[u8]) -> String {
    encode_hex(&Sha1::digest(bytes))
}

/// MD5, base64: the value of `Content-MD5`.
pub fn md5_base64(bytes: &[u8]) -> String {
    BASE64.encode(md5::Md5::digest(bytes))
}

/// MD5, lower-case hex.
pub fn md5_hex(bytes: &[u8]) -> String {
    encode_hex(&md5::Md5::digest(bytes))
}

/// What hex digits mean.
pub fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let byte =
        |at: usize| text.get(at..at.checked_add(2)?).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (0..text.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>().filter(|_| is_hex)
}

/// Lower-case hex.
pub fn encode_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Base64 of what lower-case hex says; `None` where it is none.
pub fn convert_hex_to_base64(text: &str) -> Option<String> {
    let byte =
        |at: usize| text.get(at..at.checked_add(2)?).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
    bytes.map(|bytes| BASE64.encode(bytes))
}

/// Base64 with padding.
pub fn encode_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}
