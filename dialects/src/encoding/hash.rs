//! Digests, message authentication codes, and comparison.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Whether two byte strings are equal. The time does not depend on where they differ.
pub fn constant_time_eq(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// HMAC-SHA256. The result is often a key itself.
pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> Zeroizing<Vec<u8>> {
    let block = if key.len() > HMAC_BLOCK_BYTES { pad_key(&Sha256::digest(key)) } else { pad_key(key) };
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

/// HMAC-SHA1.
pub fn hmac_sha1(key: &[u8], message: &[u8]) -> Zeroizing<Vec<u8>> {
    let block = if key.len() > HMAC_BLOCK_BYTES { pad_key(&Sha1::digest(key)) } else { pad_key(key) };
    let mut mac = Hmac::<Sha1>::new((&*block).into());
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

/// The block size of SHA-1 and SHA-256.
const HMAC_BLOCK_BYTES: usize = 64;

/// The first step of an HMAC (RFC 2104, section 2): zeros are appended to the key until it fills a block.
fn pad_key(key: &[u8]) -> Zeroizing<[u8; HMAC_BLOCK_BYTES]> {
    // The constructor for a key of block length cannot fail. The one for keys of any length returns a `Result`, and
    // code that handles the error could continue with an empty key, for which anybody can compute signatures.
    let mut block = Zeroizing::new([0; HMAC_BLOCK_BYTES]);
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    block
}

/// SHA-256 of parts, each with its length, so that other parts with the same bytes in a row have another digest.
pub(crate) fn digest_parts(parts: &[&str]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// Derives a key from a secret in steps: each part is the message of an HMAC under the key of the step before.
pub fn derive_key(secret: &[u8], parts: &[&str]) -> Zeroizing<Vec<u8>> {
    parts.iter().fold(Zeroizing::new(secret.to_vec()), |key, part| hmac_sha256(&key, part.as_bytes()))
}

/// SHA-256, lower-case hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    encode_hex(&Sha256::digest(bytes))
}

/// SHA-1, lower-case hex.
pub fn sha1_hex(bytes: &[u8]) -> String {
    encode_hex(&Sha1::digest(bytes))
}

/// MD5, base64: the value of `Content-MD5`.
pub(crate) fn md5_base64(bytes: &[u8]) -> String {
    BASE64.encode(md5::Md5::digest(bytes))
}

/// MD5, lower-case hex.
pub fn md5_hex(bytes: &[u8]) -> String {
    encode_hex(&md5::Md5::digest(bytes))
}

/// Decodes hex digits of either letter case.
pub fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let byte =
        |at: usize| text.get(at..at.checked_add(2)?).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    // `from_str_radix` alone accepts a sign, as in `+f`.
    (0..text.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>().filter(|_| is_hex)
}

/// Lower-case hex.
pub fn encode_hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    text.extend(digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)));
    text
}

/// Converts hex to base64. `None` if the text is not hex.
pub fn convert_hex_to_base64(text: &str) -> Option<String> {
    let byte =
        |at: usize| text.get(at..at.checked_add(2)?).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
    bytes.map(|bytes| BASE64.encode(bytes))
}

/// Base64 with padding.
pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::{encode_hex, hmac_sha1, hmac_sha256};

    /// RFC 4231 and RFC 2202, test cases 1 and 6: a key shorter and one longer than a block.
    #[test]
    fn hmacs_equal_the_vectors_of_the_rfcs() {
        let text: &[u8] = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(
            encode_hex(&hmac_sha256(&[0x0b; 20], b"Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            encode_hex(&hmac_sha256(&[0xaa; 131], text)),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
        assert_eq!(
            encode_hex(&hmac_sha1(&[0x0b; 20], b"Hi There")),
            "b617318655057264e28bc0b6fb378c8ef146be00"
        );
        assert_eq!(encode_hex(&hmac_sha1(&[0xaa; 80], text)), "aa4ae5e15272d00e95705637ce8a3b55ed402112");
    }
}
