//! The trait of a dialect's signatures, which each dialect implements in its `auth.rs`, and the types of its
//! arguments and results.

use std::fmt;

use secrecy::SecretString;

use crate::dialect::post_form::PostForm;
use crate::model::{Credentials, OutgoingRequest, RawHead, Rejection, RequestScope, Timestamp};

/// The largest difference between the time of a signature and the proxy's clock, seconds. All vendors document 15
/// minutes.
pub const CLOCK_SKEW_SECONDS_MAX: i64 = 900;

/// The longest validity of a presigned URL, seconds (seven days).
pub(crate) const PRESIGNED_SECONDS_MAX: i64 = 604_800;

/// A signature scheme. An operator can disable each scheme per caller by [`Scheme::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    /// The name in the configuration: `s3v4`, `s3v2`, `cos`, `ossv1`, `ossv4`.
    pub name: &'static str,
    /// Whether the signature is in the query (a presigned URL).
    pub presigned: bool,
}

/// The credentials that a request claims, before they are verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The signature scheme.
    pub scheme: Scheme,
    /// Access key ID as sent.
    pub access_key_id: String,
    /// Session token as sent, in a header or in the query. `authenticate_request` compares it with the configured
    /// one.
    pub session_token: Option<String>,
}

/// The resource that a request addresses, read from host and raw path before the signature is verified.
// Some schemes sign the bucket and the decoded key, whatever form the URL has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceAddress {
    /// Account, bucket or object, by the caller's names.
    pub scope: RequestScope,
    /// Whether the bucket is in the host.
    pub virtual_host: bool,
}

/// Options of a verification.
#[derive(Debug, Clone, Copy)]
pub struct VerifyOptions {
    /// When the request arrived.
    pub now: Timestamp,
    /// Whether to reject a header signature that does not cover everything with a meaning, in a scheme where clients
    /// choose what they sign. Presigned requests must always cover everything.
    // Presigned URLs are given to others, who could add what is not signed. Some SDKs leave parameters unsigned
    // in headers.
    pub requires_all_signed: bool,
}

/// A verified signature, and how to verify the body.
pub struct VerifiedSignature {
    /// How the signature covers the body.
    pub payload: Payload,
    /// Names of headers and query parameters with a meaning that the signature does not cover. Only in schemes that
    /// allow it, and without [`VerifyOptions::requires_all_signed`]. The proxy counts them in its metrics.
    pub unsigned_names: Vec<String>,
    /// Query parameters of the credential. They are not fields of the request.
    pub credential_parameters: &'static [&'static str],
    /// The key that was signed, if it differs from the key in [`ResourceAddress::scope`].
    // Some SDKs write a space in a path as `+`. Only the signature shows whether `+` is a space.
    pub signed_key: Option<String>,
}

/// How a signature covers the body.
pub enum Payload {
    /// Not at all.
    Unsigned,
    /// By its SHA-256, lower-case hex.
    Sha256(String),
    /// In chunks with signatures of their own. The decoder returns only verified bytes.
    Chunked(Box<dyn BodyDecoder + Send + Sync>),
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "Unsigned",
            Self::Sha256(_) => "Sha256",
            Self::Chunked(_) => "Chunked",
        })
    }
}

/// A decoder of bodies in chunks. It returns only verified bytes. The exception is chunks without a signature, which
/// it returns as they arrive. [`BodyDecoder::finish`] checks what covers those.
pub trait BodyDecoder {
    /// The announced length of the decoded body, bytes.
    fn decoded_length(&self) -> u64;
    /// Decodes the next bytes of the encoded body, split anywhere, and appends the decoded bytes to `out`.
    ///
    /// # Errors
    /// Invalid framing, a chunk with a wrong signature, more bytes than announced.
    fn push(&mut self, encoded: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection>;
    /// Bytes that are buffered until they are verified.
    fn unverified_len(&self) -> usize {
        0
    }
    /// Called once at the end of the encoded body. Checks the final chunk, the trailer and the length, and returns
    /// the trailer's headers (lower-case name, value). The caller of this function compares the checksums in them
    /// with the bytes.
    ///
    /// # Errors
    /// A truncated body, a wrong trailer signature, a missing or unannounced trailer, a wrong length.
    fn finish(&mut self) -> Result<Vec<(String, String)>, Rejection>;
}

/// The signatures of one dialect.
pub trait Auth: Sync {
    /// Query parameters of a presigned request's credential. They are not fields of the request.
    fn credential_parameters(&self) -> &'static [&'static str];

    /// Reads the credential of this dialect, if the request has one. Verifies nothing.
    ///
    /// # Errors
    /// The request has a credential of this dialect that is malformed, incomplete, repeated, or of an unsupported kind.
    fn parse_claim(&self, head: &RawHead) -> Result<Option<Claim>, Rejection>;

    /// Verifies the signature over the received bytes. The comparison takes constant time. For an unknown access key
    /// ID, `authenticate_request` calls it with a dummy secret and then rejects the request.
    ///
    /// # Errors
    /// An error kind for each cause: mismatch, expiry, clock skew, scope, coverage.
    fn verify(
        &self,
        head: &RawHead,
        claim: &Claim,
        address: &ResourceAddress,
        secret: &SecretString,
        options: &VerifyOptions,
    ) -> Result<VerifiedSignature, Rejection>;

    /// The form fields of the credential.
    fn form_fields(&self) -> &'static [&'static str];

    /// The form field for a name in a policy condition, where the two names differ.
    fn form_alias(&self, _name: &str) -> Option<&'static str> {
        None
    }

    /// Reads the credential of a form, if the form has one of this dialect.
    ///
    /// # Errors
    /// The credential is incomplete.
    fn parse_form_claim(&self, form: &PostForm) -> Result<Option<Claim>, Rejection>;

    /// Verifies the signature of a form over its policy in the encoding in which it was sent.
    ///
    /// # Errors
    /// An error kind for each cause.
    fn verify_form(
        &self,
        form: &PostForm,
        policy: &str,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<(), Rejection>;

    /// Signs a request to a target in this dialect's preferred scheme. Adds the scheme's headers: date, payload hash,
    /// session token, authorization. The signature covers every header that is already in `request.headers`.
    fn sign(&self, request: &mut OutgoingRequest, credentials: &Credentials, region: &str, now: Timestamp);
}
