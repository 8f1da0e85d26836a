//! Version 4 signatures: one algorithm with parameters, for every vendor that has it. Which parts of a request a
//! vendor signs, and the names of its headers and parameters, are in the vendor's `auth.rs`.
//!
//! Amazon S3, "Signature Calculations for the Authorization Header"; OSS, "Include signatures in the Authorization
//! header (V4)". Both documents have the same steps under these names.

use std::cell::RefCell;
use std::fmt;

use zeroize::Zeroizing;

use crate::dialect::credential::ParameterPair;
use crate::encoding::hash::{
    constant_time_eq, derive_key, digest_parts, encode_hex, hmac_sha256, sha256_hex,
};
use crate::encoding::{date, percent};
use crate::model::Timestamp;

/// What distinguishes one vendor's version 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct V4Algorithm {
    /// The first line of a string to sign, and the start of the `Authorization` header: `AWS4-HMAC-SHA256`.
    pub name: &'static str,
    /// The prefix of the secret key in the first key derivation step.
    pub key_prefix: &'static str,
    /// The last part of a scope.
    pub scope_end: &'static str,
}

/// A credential's parts: `ID/DATE/REGION/SERVICE/END`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct V4CredentialParts<'a> {
    /// Access key ID.
    pub access_key: &'a str,
    /// `YYYYMMDD`.
    pub date: &'a str,
    /// Signing region.
    pub region: &'a str,
    /// Service, or product.
    pub service: &'a str,
    /// The last part.
    pub end: &'a str,
}

impl<'a> V4CredentialParts<'a> {
    /// Splits a credential. `None` if it does not have five parts.
    pub fn split(credential: &'a str) -> Option<Self> {
        // From the right, because the access key IDs of some servers contain slashes.
        let parts: Vec<&str> = credential.rsplitn(5, '/').collect();
        let [end, service, region, date, access_key] = parts.as_slice() else { return None };
        Some(Self { access_key, date, region, service, end })
    }
}

/// What a signing key is valid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V4Scope {
    algorithm: V4Algorithm,
    date: String,
    region: String,
    service: String,
}

impl fmt::Display for V4Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.date, self.region, self.service, self.algorithm.scope_end)
    }
}

impl V4Scope {
    /// The scope of a request that is signed at this time stamp, such as `20130524T000000Z`.
    pub fn new(algorithm: V4Algorithm, stamp: &str, region: &str, service: &str) -> Self {
        Self {
            algorithm,
            date: stamp.get(..8).unwrap_or_default().to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        }
    }

    /// The scope that a credential states. The vendor's `auth.rs` checks whether its parts are valid.
    pub fn from_parts(algorithm: V4Algorithm, parts: &V4CredentialParts<'_>) -> Self {
        Self {
            algorithm,
            date: parts.date.to_owned(),
            region: parts.region.to_owned(),
            service: parts.service.to_owned(),
        }
    }

    /// Whether the scope's date is the UTC date of `at`.
    pub fn has_date_of(&self, at: Timestamp) -> bool {
        date::format_basic(at).get(..8) == Some(self.date.as_str())
    }

    /// kSigning
    pub fn derive_key(&self, secret: &str) -> Zeroizing<Vec<u8>> {
        // One digest instead of four codes: a key is the same for all requests of a day.
        let prefix = self.algorithm.key_prefix;
        let id = digest_parts(&[
            prefix,
            secret,
            &self.date,
            &self.region,
            &self.service,
            self.algorithm.scope_end,
        ]);
        if let Some(key) = SIGNING_KEYS.with_borrow(|keys| keys.find(&id)) {
            return key;
        }
        let secret = Zeroizing::new(format!("{prefix}{secret}"));
        let parts = [self.date.as_str(), &self.region, &self.service, self.algorithm.scope_end];
        let key = derive_key(secret.as_bytes(), &parts);
        SIGNING_KEYS.with_borrow_mut(|keys| keys.insert(id, key.clone()));
        key
    }

    /// StringToSign
    pub fn build_string_to_sign(&self, stamp: &str, canonical: &[u8]) -> String {
        [self.algorithm.name, stamp, &self.to_string(), &sha256_hex(canonical)].join("\n")
    }

    /// Signature of a canonical request.
    pub fn compute_signature(&self, secret: &str, stamp: &str, canonical: &[u8]) -> String {
        self.sign_text(secret, &self.build_string_to_sign(stamp, canonical))
    }

    /// Signature of a text: a string to sign, or the policy of a form upload.
    pub fn sign_text(&self, secret: &str, text: &str) -> String {
        encode_hex(&hmac_sha256(&self.derive_key(secret), text.as_bytes()))
    }

    /// Whether a signature is that of a canonical request.
    pub fn is_signature(&self, received: &str, secret: &str, stamp: &str, canonical: &[u8]) -> bool {
        let computed = self.compute_signature(secret, stamp, canonical);
        // The time of an ordinary comparison shows how many leading characters of a guess are right.
        constant_time_eq(computed.as_bytes(), received.as_bytes())
    }
}

thread_local! {
    /// The keys that this thread has derived last.
    static SIGNING_KEYS: RefCell<SigningKeys> = const { RefCell::new(SigningKeys { keys: Vec::new(), next: 0 }) };
}

/// Signing keys by a digest of what they are derived from. The secrets themselves are not kept here.
struct SigningKeys {
    keys: Vec<([u8; 32], Zeroizing<Vec<u8>>)>,
    /// The key that is replaced next.
    next: usize,
}

impl SigningKeys {
    /// Enough for the callers and targets of most installations. A client can replace keys by requests with other
    /// dates and regions, which costs no more than deriving every key.
    const COUNT_MAX: usize = 32;

    fn find(&self, id: &[u8; 32]) -> Option<Zeroizing<Vec<u8>>> {
        self.keys.iter().find(|row| row.0 == *id).map(|row| row.1.clone())
    }

    fn insert(&mut self, id: [u8; 32], key: Zeroizing<Vec<u8>>) {
        match self.keys.get_mut(self.next) {
            Some(row) => *row = (id, key),
            None => self.keys.push((id, key)),
        }
        self.next = self.next.saturating_add(1) % Self::COUNT_MAX;
    }
}

/// The parts of a request that a signature covers.
pub struct V4CanonicalRequest<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// CanonicalURI: percent-encoded once, and not normalised, because keys may contain `//` and `..`.
    pub uri: &'a str,
    /// Query parameters, decoded.
    pub query: &'a [ParameterPair<'a>],
    /// Whether a parameter with an empty value is written with `=`.
    pub keeps_equals_sign: bool,
    /// CanonicalHeaders: one line for each header, with its line end.
    pub header_lines: &'a [u8],
    /// The header names that the signature lists.
    pub header_names: &'a [String],
    /// HashedPayload, or the fixed value that replaces it, such as `UNSIGNED-PAYLOAD`.
    pub payload: &'a [u8],
}

impl V4CanonicalRequest<'_> {
    /// CanonicalRequest
    pub fn to_bytes(&self) -> Vec<u8> {
        let names = self.header_names.join(";");
        [
            self.method.as_bytes(),            // HTTPMethod
            self.uri.as_bytes(),               // CanonicalURI
            self.canonical_query().as_bytes(), // CanonicalQueryString
            self.header_lines,                 // CanonicalHeaders
            names.as_bytes(),                  // SignedHeaders; OSS: AdditionalHeaders
            self.payload,                      // HashedPayload
        ]
        .join(&b"\n"[..])
    }

    /// CanonicalQueryString.
    fn canonical_query(&self) -> String {
        let mut pairs: Vec<(String, String)> =
            self.query.iter().map(|(name, value)| (percent::encode(name), percent::encode(value))).collect();
        // After encoding, as both vendors' documents require: encoding changes the order of some characters.
        pairs.sort();
        let pairs =
            pairs.into_iter().map(|(name, value)| match value.is_empty() && !self.keeps_equals_sign {
                true => name,
                false => format!("{name}={value}"),
            });
        pairs.collect::<Vec<_>>().join("&")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALGORITHM: V4Algorithm = V4Algorithm { name: "A", key_prefix: "P", scope_end: "end" };

    #[test]
    fn a_kept_key_is_that_of_its_secret_and_scope() {
        let scope = |date: &str, region: &str| V4Scope::new(ALGORITHM, date, region, "s");
        let derive_again = |secret: &str, date: &str, region: &str| {
            derive_key(format!("P{secret}").as_bytes(), &[date, region, "s", "end"])
        };
        // Twice, and more keys than are kept.
        for _ in 0..2 {
            for day in 10..60 {
                for (secret, region) in [("one", "r"), ("two", "r"), ("one", "rs")] {
                    let date = format!("202601{day}");
                    let derived = scope(&date, region).derive_key(secret);
                    assert_eq!(*derived, *derive_again(secret, &date, region));
                }
            }
        }
        assert!(SIGNING_KEYS.with_borrow(|keys| keys.keys.len()) <= SigningKeys::COUNT_MAX);
    }
}
