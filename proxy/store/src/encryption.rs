//! Encryption at rest: AES-256-CTR with a random nonce for each file.
//!
//! A customer key (SSE-C) is never stored: only its MD5 for the response headers, and a salted SHA-256 to verify it
//! later. Source: S3, "Protecting data with server-side encryption", with customer keys and with managed keys.

use crate::errors::{
    access_denied_error, internal_error, invalid_argument_error, invalid_request_error,
    not_implemented_error, s3_error,
};
use aes::Aes256;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use blobfish_dialects::encoding::hash::constant_time_eq;
use ctr::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use http::HeaderMap;
use md5::Md5;
use s3s::{S3Error, S3Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

const CUSTOMER_KEY_PREFIX: &str = "x-amz-server-side-encryption-customer-";
const SOURCE_CUSTOMER_KEY_PREFIX: &str = "x-amz-copy-source-server-side-encryption-customer-";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 16;

/// A 256-bit key. It is zeroed when dropped and never printed.
#[derive(Clone)]
pub(crate) struct EncryptionKey(Zeroizing<[u8; KEY_BYTES]>);

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(..)")
    }
}

impl EncryptionKey {
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(key.as_mut())?;
        Ok(Self(key))
    }

    /// Takes exactly 32 bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; KEY_BYTES]>::try_from(bytes).ok().map(|key| Self(Zeroizing::new(key)))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    /// A salted hash that identifies this key later.
    pub(crate) fn compute_salted_hash(&self, salt: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(salt).chain_update(self.as_bytes()).finalize().into()
    }
}

pub(crate) type Nonce = [u8; NONCE_BYTES];

pub(crate) fn generate_nonce() -> Result<Nonce, getrandom::Error> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce)?;
    Ok(nonce)
}

/// The key stream of one file, from any offset.
pub(crate) struct Cipher(ctr::Ctr128BE<Aes256>);

impl Cipher {
    pub(crate) fn new(key: &EncryptionKey, nonce: &Nonce, offset: u64) -> std::io::Result<Self> {
        let mut cipher = ctr::Ctr128BE::<Aes256>::new_from_slices(key.as_bytes(), nonce)
            .map_err(|_| std::io::Error::other("cipher set-up"))?;
        cipher.try_seek(offset).map_err(|_| std::io::Error::other("offset past the key stream"))?;
        Ok(Self(cipher))
    }

    /// Encrypts or decrypts in place; the stream advances by the length.
    pub(crate) fn apply_keystream(&mut self, bytes: &mut [u8]) -> std::io::Result<()> {
        self.0.try_apply_keystream(bytes).map_err(|_| std::io::Error::other("key stream used up"))
    }
}

/// How an object or an upload is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ObjectEncryption {
    /// Not encrypted.
    Open,
    /// `AES256` with the store's own key.
    Managed,
    /// With a customer key, which is not stored.
    Customer { md5: String, salt: [u8; 16], check: [u8; 32] },
}

/// A customer key from a request.
#[derive(Clone, Debug)]
pub(crate) struct CustomerKey {
    key: EncryptionKey,
    md5: String,
}

/// The encryption that a write requests.
#[derive(Clone, Debug)]
pub(crate) enum EncryptionRequest {
    Unspecified,
    Managed,
    Customer(CustomerKey),
}

impl EncryptionRequest {
    /// Reads the encryption headers of a request that writes.
    pub(crate) fn read(headers: &HeaderMap) -> S3Result<Self> {
        let managed = read_text_header(headers, "x-amz-server-side-encryption")?;
        let customer = CustomerKey::read(headers)?;
        for name in ["x-amz-server-side-encryption-aws-kms-key-id", "x-amz-server-side-encryption-context"] {
            if headers.contains_key(name) {
                return Err(not_implemented_error(name));
            }
        }
        match (managed, customer) {
            (None, None) => Ok(Self::Unspecified),
            (None, Some(key)) => Ok(Self::Customer(key)),
            (Some("AES256"), None) => Ok(Self::Managed),
            (Some("AES256" | "aws:kms" | "aws:kms:dsse"), Some(_)) => Err(invalid_argument_error(
                "Server Side Encryption with Customer provided key is incompatible with the encryption method \
                 specified",
                "x-amz-server-side-encryption",
                managed.unwrap_or_default(),
            )),
            (Some("aws:kms" | "aws:kms:dsse"), None) => {
                Err(not_implemented_error("x-amz-server-side-encryption"))
            }
            (Some(other), _) => Err(invalid_argument_error(
                "The encryption method specified is not supported",
                "x-amz-server-side-encryption",
                other,
            )),
        }
    }

    /// The part that is stored with the object.
    pub(crate) fn to_encryption(&self) -> S3Result<ObjectEncryption> {
        Ok(match self {
            Self::Unspecified => ObjectEncryption::Open,
            Self::Managed => ObjectEncryption::Managed,
            Self::Customer(customer) => {
                // With a salt, equal customer keys cannot be recognized in the database.
                let salt = generate_nonce().map_err(internal_error)?;
                ObjectEncryption::Customer {
                    md5: customer.md5.clone(),
                    salt,
                    check: customer.key.compute_salted_hash(&salt),
                }
            }
        })
    }
}

impl CustomerKey {
    /// Reads the key of the request itself.
    pub(crate) fn read(headers: &HeaderMap) -> S3Result<Option<Self>> {
        Self::read_triple(headers, CUSTOMER_KEY_PREFIX)
    }

    /// Reads the key for the source of a copy.
    pub(crate) fn read_source(headers: &HeaderMap) -> S3Result<Option<Self>> {
        Self::read_triple(headers, SOURCE_CUSTOMER_KEY_PREFIX)
    }

    fn read_triple(headers: &HeaderMap, prefix: &str) -> S3Result<Option<Self>> {
        let field = |tail: &str| read_text_header(headers, &format!("{prefix}{tail}"));
        let (algorithm, key, md5) = (field("algorithm")?, field("key")?, field("key-md5")?);
        let algorithm = match (algorithm, key, md5) {
            (None, None, None) => return Ok(None),
            (None, _, _) => return Err(argument_error(prefix, "algorithm", NO_ALGORITHM)),
            (Some(algorithm), _, _) => algorithm,
        };
        // S3 has its own error code for this header, while the others give InvalidArgument.
        if algorithm != "AES256" {
            let message = "The Encryption request you specified is not valid. Supported value: AES256.";
            return Err(s3_error(400, "InvalidEncryptionAlgorithmError", message, &[]));
        }
        let key = key.ok_or_else(|| argument_error(prefix, "key", NO_KEY))?;
        let md5 = md5.ok_or_else(|| argument_error(prefix, "key-MD5", BAD_KEY))?;
        let raw =
            STANDARD.decode(key).map(Zeroizing::new).map_err(|_| argument_error(prefix, "key", BAD_KEY))?;
        let key = EncryptionKey::from_bytes(&raw).ok_or_else(|| argument_error(prefix, "key", BAD_KEY))?;
        let computed = STANDARD.encode(Md5::digest(key.as_bytes()));
        if computed != md5 {
            return Err(argument_error(prefix, "key-MD5", BAD_KEY_MD5));
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
const KEY_MISSING: &str = "The object was stored using a form of Server Side Encryption. The correct parameters must \
                          be provided to retrieve the object.";
const KEY_MISMATCH: &str = "Requests specifying Server Side Encryption with Customer provided keys must provide the \
                         correct secret key.";
const KEY_NOT_APPLICABLE: &str = "The encryption parameters are not applicable to this object.";

fn argument_error(prefix: &str, tail: &str, message: &str) -> S3Error {
    // The value is never part of an error, because it may be the key.
    s3_error(400, "InvalidArgument", message, &[("ArgumentName", &format!("{prefix}{tail}"))])
}

impl ObjectEncryption {
    /// The key that decrypts an object, from the key of the request and the store's own key.
    ///
    /// # Errors
    /// 400 if a key is missing or not applicable; 403 if it is a different key.
    pub(crate) fn resolve_key(
        &self,
        customer_key: Option<&CustomerKey>,
        managed_key: &EncryptionKey,
    ) -> S3Result<Option<EncryptionKey>> {
        match (self, customer_key) {
            (Self::Open, None) => Ok(None),
            (Self::Managed, None) => Ok(Some(managed_key.clone())),
            (Self::Open | Self::Managed, Some(_)) => Err(invalid_request_error(KEY_NOT_APPLICABLE)),
            (Self::Customer { .. }, None) => Err(invalid_request_error(KEY_MISSING)),
            (Self::Customer { .. }, Some(given)) if self.is_encrypted_with(given) => {
                Ok(Some(given.key.clone()))
            }
            (Self::Customer { .. }, Some(_)) => Err(access_denied_error(KEY_MISMATCH)),
        }
    }

    /// The key for a part of an upload. It must be the key that the upload was created with.
    pub(crate) fn resolve_upload_key(
        &self,
        customer_key: Option<&CustomerKey>,
        managed_key: &EncryptionKey,
    ) -> S3Result<Option<EncryptionKey>> {
        match (self, customer_key) {
            (Self::Customer { .. }, None) => Err(invalid_request_error(
                "The multipart upload initiate requested encryption. Subsequent part requests must include the \
                 appropriate encryption parameters.",
            )),
            (Self::Customer { .. }, Some(given)) if self.is_encrypted_with(given) => {
                Ok(Some(given.key.clone()))
            }
            (_, Some(_)) => Err(invalid_request_error(
                "The provided encryption parameters did not match the ones used originally.",
            )),
            (Self::Open, None) => Ok(None),
            (Self::Managed, None) => Ok(Some(managed_key.clone())),
        }
    }

    fn is_encrypted_with(&self, customer_key: &CustomerKey) -> bool {
        match self {
            Self::Customer { salt, check, .. } => {
                constant_time_eq(&customer_key.key.compute_salted_hash(salt), check)
            }
            Self::Open | Self::Managed => false,
        }
    }

    /// The response headers that describe the encryption.
    pub(crate) fn to_headers(&self) -> Vec<(&'static str, String)> {
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

fn read_text_header<'h>(headers: &'h HeaderMap, name: &str) -> S3Result<Option<&'h str>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let not_text_error =
        || s3_error(400, "InvalidArgument", "The header is not text", &[("ArgumentName", name)]);
    value.to_str().map(Some).map_err(|_| not_text_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stream_is_the_same_from_any_offset() {
        let (key, nonce) = (EncryptionKey::generate().unwrap(), generate_nonce().unwrap());
        let mut whole = vec![7; 1000];
        Cipher::new(&key, &nonce, 0).unwrap().apply_keystream(&mut whole).unwrap();
        assert_ne!(whole, vec![7; 1000]);
        for offset in [0, 1, 15, 16, 17, 999] {
            let mut tail = whole[offset..].to_vec();
            Cipher::new(&key, &nonce, offset as u64).unwrap().apply_keystream(&mut tail).unwrap();
            assert_eq!(tail, vec![7; 1000 - offset], "{offset}");
        }
    }

    #[test]
    fn accepts_only_the_right_key() {
        let customer =
            |key: EncryptionKey| CustomerKey { md5: STANDARD.encode(Md5::digest(key.as_bytes())), key };
        let (right, wrong) =
            (customer(EncryptionKey::generate().unwrap()), customer(EncryptionKey::generate().unwrap()));
        let managed = EncryptionKey::generate().unwrap();
        let sealing = EncryptionRequest::Customer(right.clone()).to_encryption().unwrap();
        assert!(sealing.resolve_key(Some(&right), &managed).is_ok());
        assert_eq!(sealing.resolve_key(Some(&wrong), &managed).unwrap_err().status_code().unwrap(), 403);
        assert_eq!(sealing.resolve_key(None, &managed).unwrap_err().status_code().unwrap(), 400);
        assert!(!format!("{right:?}").contains(&STANDARD.encode(right.key.as_bytes())));
    }
}
