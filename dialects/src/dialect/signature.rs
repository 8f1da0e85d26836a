//! What a dialect's signatures must be able to do. Implemented in each dialect's `auth.rs`.

use std::fmt;

use secrecy::SecretString;

use crate::dialect::post_form::PostForm;
use crate::model::{Credentials, OutgoingRequest, RawHead, Rejection, Timestamp};

/// Signature time may differ from ours by this much, seconds. Every vendor's documents say 15 minutes.
pub const CLOCK_SKEW_SECONDS_MAX: i64 = 900;

/// The longest life of a presigned URL, seconds (seven days).
pub const PRESIGNED_SECONDS_MAX: i64 = 604_800;

/// One way of signing. The operator may switch each off per caller by [`Scheme::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    /// The word in the configuration: `s3v4`, `s3v2`, `cos`, `ossv1`, `ossv4`.
    pub name: &'static str,
    /// Whether the signature travels in the query (a presigned URL).
    pub presigned: bool,
}

/// What a request says of its sender, read before anything is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The way it is signed.
    pub scheme: Scheme,
    /// Access key id as sent.
    pub access_key_id: String,
    /// Session token as sent, header or query form; compared by the shell with the caller's configured one.
    pub session_token: Option<String>,
}

/// Where the request goes, found from host and raw path before verification. Some schemes sign the bucket and
/// the decoded key whatever the URL looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceAddress {
    /// Bucket as the caller says it.
    pub bucket: Option<String>,
    /// Decoded key as bytes of UTF-8; `None` for bucket and service requests.
    pub key: Option<String>,
    /// Whether the bucket stood in the host.
    pub virtual_host: bool,
}

/// What a verifier goes by.
#[derive(Debug, Clone, Copy)]
pub struct VerifyOptions {
    /// The time of arrival.
    pub now: Timestamp,
    /// Refuse a header signature that leaves something with meaning unsigned, where the scheme lets callers
    /// choose what they sign. Presigned requests are always held to it.
    pub requires_all_signed: bool,
}

/// What was proven, and how the body is to be checked.
pub struct VerifiedSignature {
    /// How the body is bound to the signature.
    pub payload: Payload,
    /// Names of headers and parameters with meaning that the signature does not cover (only where the scheme
    /// allows it and [`Terms::strict`] is off). Counted by the shell.
    pub unsigned_names: Vec<String>,
    /// Query parameters of the credential itself: no part of the request's meaning.
    pub credential_parameters: &'static [&'static str],
    /// The key that was signed, where it is another reading of the path than that of [`Place::key`].
    pub signed_key: Option<String>,
}

/// How the body is bound to the signature.
pub enum Payload {
    /// Not at all, or the scheme has no such thing.
    Unsigned,
    /// By its SHA-256, lower-case hex.
    Sha256(String),
    /// Framed in chunks that carry their own proof; the decoder yields only proven bytes.
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

/// A decoder of framed bodies. Never yields a byte that was not verified, except that frames without a proof of
/// their own (unsigned chunks) are yielded as they come; what binds those is checked in [`Decode::finish`].
pub trait BodyDecoder {
    /// Length of the decoded body in bytes, as announced.
    fn decoded_length(&self) -> u64;
    /// Takes bytes of the wire, in any splits, and appends decoded bytes to `out`.
    ///
    /// # Errors
    /// Bad framing, a chunk whose signature is wrong, more bytes than announced.
    fn push(&mut self, encoded: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection>;
    /// Bytes that wait here until they are proven.
    fn unverified_len(&self) -> usize {
        0
    }
    /// Called once at the end of the wire body: the final chunk, the trailer and the length must be right.
    /// Returns the trailer's header lines (lower-case name, value), such as checksums, which the caller of this
    /// function still has to compare with the bytes.
    ///
    /// # Errors
    /// A truncated body, a wrong trailer signature, a missing or unannounced trailer, a wrong length.
    fn finish(&mut self) -> Result<Vec<(String, String)>, Rejection>;
}

/// The signatures of one dialect.
pub trait Auth: Sync {
    /// Query parameters of a presigned request's credential: no part of what the request says.
    fn credential_parameters(&self) -> &'static [&'static str];

    /// Reads the credential of this dialect, if the request carries one; decides nothing yet.
    ///
    /// # Errors
    /// A credential of this dialect is there but malformed, incomplete, doubled, or of a kind we do not verify.
    fn parse_claim(&self, head: &RawHead) -> Result<Option<Claim>, Rejection>;

    /// Verifies the signature on the bytes received. Constant time in the comparison, and the same path for a
    /// dummy secret: the shell calls it for unknown keys too and then answers `InvalidAccessKeyId`.
    ///
    /// # Errors
    /// Each fault by its kind: mismatch, expiry, skew, scope, coverage.
    fn verify(
        &self,
        head: &RawHead,
        claim: &Claim,
        address: &ResourceAddress,
        secret: &SecretString,
        options: &VerifyOptions,
    ) -> Result<VerifiedSignature, Rejection>;

    /// The credential's fields of a form.
    fn form_fields(&self) -> &'static [&'static str];

    /// The field of a form that a policy calls otherwise.
    fn form_alias(&self, _name: &str) -> Option<&'static str> {
        None
    }

    /// Reads the credential of a form, if it carries one of this dialect.
    ///
    /// # Errors
    /// It is incomplete.
    fn parse_form_claim(&self, form: &PostForm) -> Result<Option<Claim>, Rejection>;

    /// Verifies the signature of a form over its policy, as it was sent.
    ///
    /// # Errors
    /// Each fault by its kind.
    fn verify_form(
        &self,
        form: &PostForm,
        policy: &str,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<(), Rejection>;

    /// Signs a request to a target in this dialect's preferred scheme, adding the headers that belong to it
    /// (date, payload hash, token, authorization). Every header already in `request.headers` is covered.
    fn sign(&self, request: &mut OutgoingRequest, credentials: &Credentials, region: &str, now: Timestamp);
}
