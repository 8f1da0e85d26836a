//! Encryption at rest: AES-256-CTR with a random nonce for each file.
//!
//! A customer's key (SSE-C) is never kept: only the MD5 the protocol echoes and a salted SHA-256 to recognise it.
//! Wire rules: S3, "Protecting data with server-side encryption", both the customer-key and the managed form.

use crate::errors::{access_denied, fault, internal, invalid_argument, invalid_request, not_implemented};
use crate::meta::Bucket;
use aes::Aes256;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ctr::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use http::HeaderMap;
use md5::Md5;
use s3s::{S3Error, S3Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

const PLAIN: &str = "x-amz-server-side-encryption-customer-";
const SOURCE: &str = "x-amz-copy-source-server-side-encryption-customer-";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 16;

/// A 256-bit key; wiped when dropped, never printed.
#[derive(Clone)]
pub(crate) struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(key.as_mut())?;
        Ok(Self(key))
    }

    /// Takes exactly 32 bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; KEY_BYTES]>::try_from(bytes).ok().map(|key| Self(Zeroizing::new(key)))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// A salted hash by which this key, and no other, is recognised later.
    pub(crate) fn check(&self, salt: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(salt).chain_update(self.bytes()).finalize().into()
    }
}

pub(crate) type Nonce = [u8; NONCE_BYTES];

pub(crate) fn random_nonce() -> Result<Nonce, getrandom::Error> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce)?;
    Ok(nonce)
}

/// The key stream of one file, at any offset of it.
pub(crate) struct Cipher(ctr::Ctr128BE<Aes256>);

impl Cipher {
    pub(crate) fn new(key: &Key, nonce: &Nonce, offset: u64) -> std::io::Result<Self> {
        let mut cipher = ctr::Ctr128BE::<Aes256>::new_from_slices(key.bytes(), nonce)
            .map_err(|_| std::io::Error::other("cipher set-up"))?;
        cipher.try_seek(offset).map_err(|_| std::io::Error::other("offset past the key stream"))?;
        Ok(Self(cipher))
    }

    /// Encrypts or decrypts in place; the stream advances by the length.
    pub(crate) fn apply(&mut self, bytes: &mut [u8]) -> std::io::Result<()> {
        self.0.try_apply_keystream(bytes).map_err(|_| std::io::Error::other("key stream used up"))
    }
}

/// How an object or an upload is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sealing {
    /// In the clear: nothing was asked for.
    Open,
    /// `AES256` with the store's own key.
    Managed,
    /// With the customer's key, of which these are left.
    Customer { md5: String, salt: [u8; 16], check: [u8; 32] },
}

/// A customer's key as a request gave it.
#[derive(Clone, Debug)]
pub(crate) struct CustomerKey {
    key: Key,
    md5: String,
}

/// What a writing request asked for.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    Nothing,
    Managed,
    Customer(CustomerKey),
}

impl Wish {
    /// Reads the encryption headers of a request that writes.
    pub(crate) fn read(headers: &HeaderMap) -> S3Result<Self> {
        let managed = text(headers, "x-amz-server-side-encryption")?;
        let customer = CustomerKey::read(headers)?;
        for name in ["x-amz-server-side-encryption-aws-kms-key-id", "x-amz-server-side-encryption-context"] {
            if headers.contains_key(name) {
                return Err(not_implemented(name));
            }
        }
        match (managed, customer) {
            (None, None) => Ok(Self::Nothing),
            (None, Some(key)) => Ok(Self::Customer(key)),
            (Some("AES256"), None) => Ok(Self::Managed),
            (Some("AES256" | "aws:kms" | "aws:kms:dsse"), Some(_)) => Err(invalid_argument(
                "Server Side Encryption with Customer provided key is incompatible with the encryption method \
                 specified",
                "x-amz-server-side-encryption",
                managed.unwrap_or_default(),
            )),
            (Some("aws:kms" | "aws:kms:dsse"), None) => Err(not_implemented("x-amz-server-side-encryption")),
            (Some(other), _) => Err(invalid_argument(
                "The encryption method specified is not supported",
                "x-amz-server-side-encryption",
                other,
            )),
        }
    }

    /// What the bucket makes of it: its default where nothing was asked for.
    ///
    /// # Errors
    /// 403 where the bucket takes no customers' keys.
    pub(crate) fn within(self, bucket: &Bucket) -> S3Result<Self> {
        match self {
            Self::Nothing if bucket.managed => Ok(Self::Managed),
            Self::Customer(_) if bucket.blocks_customer_keys => Err(access_denied("Access Denied")),
            wish => Ok(wish),
        }
    }

    /// What is kept with the object.
    pub(crate) fn sealing(&self) -> S3Result<Sealing> {
        Ok(match self {
            Self::Nothing => Sealing::Open,
            Self::Managed => Sealing::Managed,
            Self::Customer(customer) => {
                let salt = random_nonce().map_err(internal)?;
                Sealing::Customer { md5: customer.md5.clone(), salt, check: customer.key.check(&salt) }
            }
        })
    }
}

impl CustomerKey {
    /// The triple of the request itself.
    pub(crate) fn read(headers: &HeaderMap) -> S3Result<Option<Self>> {
        Self::read_triple(headers, PLAIN)
    }

    /// The triple for the source of a copy.
    pub(crate) fn read_source(headers: &HeaderMap) -> S3Result<Option<Self>> {
        Self::read_triple(headers, SOURCE)
    }

    fn read_triple(headers: &HeaderMap, prefix: &str) -> S3Result<Option<Self>> {
        let field = |tail: &str| text(headers, &format!("{prefix}{tail}"));
        let (algorithm, key, md5) = (field("algorithm")?, field("key")?, field("key-md5")?);
        let algorithm = match (algorithm, key, md5) {
            (None, None, None) => return Ok(None),
            (None, _, _) => return Err(argument(prefix, "algorithm", NO_ALGORITHM)),
            (Some(algorithm), _, _) => algorithm,
        };
        if algorithm != "AES256" {
            let message = "The Encryption request you specified is not valid. Supported value: AES256.";
            return Err(fault(400, "InvalidEncryptionAlgorithmError", message, &[]));
        }
        let key = key.ok_or_else(|| argument(prefix, "key", NO_KEY))?;
        let md5 = md5.ok_or_else(|| argument(prefix, "key-MD5", BAD_KEY))?;
        let raw = STANDARD.decode(key).map(Zeroizing::new).map_err(|_| argument(prefix, "key", BAD_KEY))?;
        let key = Key::from_bytes(&raw).ok_or_else(|| argument(prefix, "key", BAD_KEY))?;
        let computed = STANDARD.encode(Md5::digest(key.bytes()));
        if computed != md5 {
            return Err(argument(prefix, "key-MD5", BAD_KEY_MD5));
        }
        Ok(Some(Self { key, md5: computed }))
    }
}

const NO_ALGORITHM: &str = "Requests specifying Server Side Encryption with Customer provided keys must provide a \
                            valid encryption algorithm.";
const NO_KEY: &str = "Requests specifying Server Side Encryption with Customer provided keys must provide an \
                      appropriate secret key.";
const BAD_KEY: &str = "The secret key was invalid for the specified algorithm.";
const BAD_KEY_MD5: &str = "The calculated MD5 hash of the key did not match the hash that was provided.";
const KEY_NEEDED: &str = "The object was stored using a form of Server Side Encryption. The correct parameters must \
                          be provided to retrieve the object.";
const KEY_WRONG: &str = "Requests specifying Server Side Encryption with Customer provided keys must provide the \
                         correct secret key.";
const KEY_NOT_APPLICABLE: &str = "The encryption parameters are not applicable to this object.";

fn argument(prefix: &str, tail: &str, message: &str) -> S3Error {
    // The value is never repeated: it may be the key.
    fault(400, "InvalidArgument", message, &[("ArgumentName", &format!("{prefix}{tail}"))])
}

impl Sealing {
    /// The key that opens an object, given what the request brought and the store's own key.
    ///
    /// # Errors
    /// 400 where a key is needed and missing, or given and not applicable; 403 where it is another key.
    pub(crate) fn open(&self, given: Option<&CustomerKey>, managed: &Key) -> S3Result<Option<Key>> {
        match (self, given) {
            (Self::Open, None) => Ok(None),
            (Self::Managed, None) => Ok(Some(managed.clone())),
            (Self::Open | Self::Managed, Some(_)) => Err(invalid_request(KEY_NOT_APPLICABLE)),
            (Self::Customer { .. }, None) => Err(invalid_request(KEY_NEEDED)),
            (Self::Customer { .. }, Some(given)) if self.recognises(given) => Ok(Some(given.key.clone())),
            (Self::Customer { .. }, Some(_)) => Err(access_denied(KEY_WRONG)),
        }
    }

    /// The key for a part of an upload, which must be the one the upload began with.
    pub(crate) fn open_upload(&self, given: Option<&CustomerKey>, managed: &Key) -> S3Result<Option<Key>> {
        match (self, given) {
            (Self::Customer { .. }, None) => Err(invalid_request(
                "The multipart upload initiate requested encryption. Subsequent part requests must include the \
                 appropriate encryption parameters.",
            )),
            (Self::Customer { .. }, Some(given)) if self.recognises(given) => Ok(Some(given.key.clone())),
            (_, Some(_)) => Err(invalid_request(
                "The provided encryption parameters did not match the ones used originally.",
            )),
            (Self::Open, None) => Ok(None),
            (Self::Managed, None) => Ok(Some(managed.clone())),
        }
    }

    fn recognises(&self, given: &CustomerKey) -> bool {
        match self {
            Self::Customer { salt, check, .. } => same(&given.key.check(salt), check),
            Self::Open | Self::Managed => false,
        }
    }

    /// The headers that tell a caller how an object is stored.
    pub(crate) fn headers(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Open => Vec::new(),
            Self::Managed => vec![("x-amz-server-side-encryption", "AES256".to_owned())],
            Self::Customer { md5, .. } => vec![
                ("x-amz-server-side-encryption-customer-algorithm", "AES256".to_owned()),
                ("x-amz-server-side-encryption-customer-key-md5", md5.clone()),
            ],
        }
    }
}

/// Compares in the same time wherever the two differ.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> S3Result<Option<&'h str>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let bad = || fault(400, "InvalidArgument", "The header is not text", &[("ArgumentName", name)]);
    value.to_str().map(Some).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_offset_gives_the_same_key_stream() {
        let (key, nonce) = (Key::random().unwrap(), random_nonce().unwrap());
        let mut whole = vec![7; 1000];
        Cipher::new(&key, &nonce, 0).unwrap().apply(&mut whole).unwrap();
        assert_ne!(whole, vec![7; 1000]);
        for offset in [0, 1, 15, 16, 17, 999] {
            let mut tail = whole[offset..].to_vec();
            Cipher::new(&key, &nonce, offset as u64).unwrap().apply(&mut tail).unwrap();
            assert_eq!(tail, vec![7; 1000 - offset], "{offset}");
        }
    }

    #[test]
    fn a_key_is_recognised_and_only_that_key() {
        let customer = |key: Key| CustomerKey { md5: STANDARD.encode(Md5::digest(key.bytes())), key };
        let (right, wrong) = (customer(Key::random().unwrap()), customer(Key::random().unwrap()));
        let managed = Key::random().unwrap();
        let sealing = Wish::Customer(right.clone()).sealing().unwrap();
        assert!(sealing.open(Some(&right), &managed).is_ok());
        assert_eq!(sealing.open(Some(&wrong), &managed).unwrap_err().status_code().unwrap(), 403);
        assert_eq!(sealing.open(None, &managed).unwrap_err().status_code().unwrap(), 400);
        assert!(!format!("{right:?}").contains(&STANDARD.encode(right.key.bytes())));
    }
}
