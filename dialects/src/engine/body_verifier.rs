//! Decodes an upload's body, computes its digests, and holds the last byte back until all digests match.

use std::hash::Hasher as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use twox_hash::{XxHash3_64, XxHash3_128, XxHash64};

use crate::dialect::Dialect;
use crate::dialect::signature::Payload;
use crate::encoding::hash;
use crate::model::{Checksum, ChecksumAlgorithm, ErrorKind, Field, Operation, Part, Rejection, Request};

/// The digests of the bytes that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// Length of the decoded body in bytes.
    pub bytes: u64,
    /// CRC-64/XZ, if it was requested.
    pub crc64: Option<u64>,
    /// MD5 as lower-case hex, if it was requested.
    pub md5: Option<String>,
    /// The client's checksums, which match, and those that the target returns on its own.
    pub checksums: Vec<(ChecksumAlgorithm, String)>,
}

/// The digests to compute in addition to the client's checksums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DigestsToCompute {
    /// CRC-64/XZ.
    pub crc64: bool,
    /// MD5.
    pub md5: bool,
    /// CRC-64/NVME, which S3 computes if the request has no other checksum.
    pub crc64_nvme: bool,
}

/// Verifies a body while it passes. It holds the last byte of the body back until [`BodyVerifier::finish`] has compared
/// all digests: the receiver expects the whole length, so it cannot take a wrong body for a complete one.
pub struct BodyVerifier {
    payload: Payload,
    dialect: &'static Dialect,
    length: Option<u64>,
    bytes: u64,
    /// The last byte of the body. If the length is not known, the last piece: any of its bytes may be the last one.
    held_back: Bytes,
    sha256: Option<Sha256>,
    md5: Option<Md5>,
    /// The expected MD5.
    expected_md5: Option<Vec<u8>>,
    crc64: Option<Crc>,
    checks: Vec<ChecksumCheck>,
}

/// One checksum to verify.
struct ChecksumCheck {
    algorithm: ChecksumAlgorithm,
    /// The client's value; `None` until the trailer with it has arrived.
    expected: Option<String>,
    /// Whether it is computed for the proxy, without a checksum header of the client.
    internal: bool,
    /// The error if it differs.
    mismatch_kind: ErrorKind,
    hasher: ChecksumHasher,
}

enum ChecksumHasher {
    Crc(Box<Crc>),
    Sha1(Box<Sha1>),
    Sha256(Box<Sha256>),
    Sha512(Box<Sha512>),
    Md5(Box<Md5>),
    XxHash64(Box<XxHash64>),
    XxHash3(Box<XxHash3_64>),
    XxHash128(Box<XxHash3_128>),
}

impl BodyVerifier {
    /// Prepares the verification of a request's body.
    ///
    /// # Errors
    /// A checksum is malformed.
    pub fn new(
        dialect: &'static Dialect,
        payload: Payload,
        request: &Request,
        to_compute: DigestsToCompute,
    ) -> Result<Self, Rejection> {
        // In a chunked body, Content-Length includes the framing; the decoder knows the length of the decoded body.
        let length = match &payload {
            Payload::Chunked(decoder) => Some(decoder.decoded_length()),
            Payload::Unsigned | Payload::Sha256(_) => request.body_length,
        };
        let expected_md5 = request.fields.text(Field::ContentMd5).map(|text| {
            let digest = BASE64.decode(text).ok().filter(|digest| digest.len() == 16);
            digest.ok_or(Rejection::new(ErrorKind::InvalidDigest).with_detail("Content-MD5", text))
        });
        // Digests cost CPU time for every byte, so only those that something compares are computed.
        let sha256 = matches!(payload, Payload::Sha256(_)).then(Sha256::new);
        let mut verifier = Self {
            payload,
            dialect,
            length,
            bytes: 0,
            held_back: Bytes::new(),
            sha256,
            md5: (to_compute.md5 || expected_md5.is_some()).then(Md5::new),
            expected_md5: expected_md5.transpose()?,
            crc64: to_compute.crc64.then(|| Crc::new(CrcAlgorithm::Crc64Xz)),
            checks: Vec::new(),
        };
        // The checksums in the head of CompleteMultipartUpload are those of the object, not of the body.
        let covers_object = request.operation == Operation::CompleteMultipartUpload;
        let covers_body = |row: &&Checksum| !covers_object || row.value.is_none();
        for checksum in request.checksums.iter().filter(covers_body) {
            verifier.checks.push(ChecksumCheck::new(checksum.algorithm, checksum.value.clone())?);
        }
        // These digests have headers of their own, so a trailer with the same algorithm does not refer to them.
        for (algorithm, value, kind) in &request.digests {
            let check = ChecksumCheck::new(*algorithm, Some(value.clone()))?;
            verifier.checks.push(ChecksumCheck { internal: true, mismatch_kind: *kind, ..check });
        }
        let has_nvme = verifier.checks.iter().any(|check| check.algorithm == ChecksumAlgorithm::Crc64Nvme);
        if to_compute.crc64_nvme && !has_nvme {
            verifier.checks.push(ChecksumCheck {
                internal: true,
                ..ChecksumCheck::new(ChecksumAlgorithm::Crc64Nvme, None)?
            });
        }
        Ok(verifier)
    }

    /// Length of the decoded body in bytes, if known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The decoded bytes so far, with those that are held back.
    pub fn byte_count(&self) -> u64 {
        self.bytes
    }

    /// Whether the announced number of bytes has arrived. `false` if the length is not known.
    pub fn has_whole_body(&self) -> bool {
        self.length == Some(self.bytes)
    }

    /// Bytes that are held back until they, or the signature of their chunk, are verified.
    pub fn unverified_len(&self) -> usize {
        let undecoded_len = match &self.payload {
            Payload::Chunked(decoder) => decoder.unverified_len(),
            Payload::Unsigned | Payload::Sha256(_) => 0,
        };
        undecoded_len.saturating_add(self.held_back.len())
    }

    /// Takes bytes as they arrive and returns those that may be sent: all but the last byte of the body.
    ///
    /// # Errors
    /// The body differs from its head: the rest must not be sent to the target.
    pub fn push(&mut self, encoded: &Bytes) -> Result<Bytes, Rejection> {
        let mut decoded = match &mut self.payload {
            Payload::Chunked(decoder) => {
                let mut decoded = Vec::with_capacity(encoded.len());
                decoder.push(encoded, &mut decoded)?;
                Bytes::from(decoded)
            }
            Payload::Unsigned | Payload::Sha256(_) => encoded.clone(),
        };
        self.update_digests(&decoded)?;
        if decoded.is_empty() {
            return Ok(decoded);
        }
        match self.length {
            Some(length) if length == self.bytes => {
                self.held_back = decoded.split_off(decoded.len().saturating_sub(1));
                Ok(decoded)
            }
            Some(_) => Ok(decoded),
            None => Ok(std::mem::replace(&mut self.held_back, decoded)),
        }
    }

    /// Ends the body: compares all digests and returns the bytes that were held back.
    ///
    /// # Errors
    /// As [`BodyVerifier::push`].
    pub fn finish(mut self) -> Result<(Bytes, Digests), Rejection> {
        let trailer = match &mut self.payload {
            Payload::Chunked(decoder) => decoder.finish()?,
            Payload::Unsigned | Payload::Sha256(_) => Vec::new(),
        };
        if self.length.is_some_and(|length| length != self.bytes) {
            return Err(ErrorKind::IncompleteBody.into());
        }
        self.check_signed_hash()?;
        let md5 = self.md5.take().map(Md5::finalize);
        if let (Some(computed), Some(expected)) = (&md5, &self.expected_md5)
            && computed.as_slice() != expected
        {
            return Err(
                Rejection::new(ErrorKind::BadDigest).with_detail("CalculatedDigest", BASE64.encode(computed))
            );
        }
        let checksums = self.check_checksums(&trailer)?;
        let digests = Digests {
            bytes: self.bytes,
            crc64: self.crc64.map(|crc| crc.finalize()),
            md5: md5.map(|md5| hash::encode_hex(&md5)),
            checksums,
        };
        Ok((self.held_back, digests))
    }

    fn update_digests(&mut self, bytes: &[u8]) -> Result<(), Rejection> {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        // The excess is rejected here, before it reaches the target, which could take it for the next request.
        if self.length.is_some_and(|length| self.bytes > length) {
            return Err(ErrorKind::IncompleteBody.into());
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some(crc64) = &mut self.crc64 {
            crc64.update(bytes);
        }
        self.checks.iter_mut().for_each(|check| check.hasher.update(bytes));
        Ok(())
    }

    fn check_signed_hash(&mut self) -> Result<(), Rejection> {
        let (Payload::Sha256(expected), Some(sha256)) = (&self.payload, self.sha256.take()) else {
            return Ok(());
        };
        let computed = hash::encode_hex(&sha256.finalize());
        if *expected == computed {
            return Ok(());
        }
        Err(ErrorKind::PayloadHashMismatch.into())
    }

    fn check_checksums(
        &mut self,
        trailer: &[(String, String)],
    ) -> Result<Vec<(ChecksumAlgorithm, String)>, Rejection> {
        let mut checksums = Vec::new();
        for (name, value) in trailer {
            let row = self.dialect.checksum_headers.iter().find(|row| row.0 == name);
            let check = row.and_then(|row| {
                self.checks.iter_mut().find(|check| check.algorithm == row.1 && !check.internal)
            });
            match check {
                // Only a checksum that the head announced may be in the trailer, and only once.
                Some(check) if check.expected.is_none() => check.expected = Some(value.clone()),
                _ => return Err(ErrorKind::MalformedTrailer.into()),
            }
        }
        for check in self.checks.drain(..) {
            let computed = check.hasher.finish(check.algorithm);
            if let Some(expected) = check.expected {
                check_checksum_format(check.algorithm, &expected)?;
                if computed != expected {
                    let name = check.algorithm.name();
                    return Err(Rejection::with_message(
                        check.mismatch_kind,
                        format!("The {name} you specified did not match the calculated checksum."),
                    ));
                }
            }
            checksums.push((check.algorithm, computed));
        }
        Ok(checksums)
    }
}

impl ChecksumCheck {
    fn new(algorithm: ChecksumAlgorithm, expected: Option<String>) -> Result<Self, Rejection> {
        if let Some(expected) = &expected {
            check_checksum_format(algorithm, expected)?;
        }
        let hasher = match algorithm {
            ChecksumAlgorithm::Crc32 => ChecksumHasher::new_crc(CrcAlgorithm::Crc32IsoHdlc),
            ChecksumAlgorithm::Crc32c => ChecksumHasher::new_crc(CrcAlgorithm::Crc32Iscsi),
            ChecksumAlgorithm::Crc64Nvme => ChecksumHasher::new_crc(CrcAlgorithm::Crc64Nvme),
            ChecksumAlgorithm::Crc64Ecma => ChecksumHasher::new_crc(CrcAlgorithm::Crc64Xz),
            ChecksumAlgorithm::Sha1 => ChecksumHasher::Sha1(Box::new(Sha1::new())),
            ChecksumAlgorithm::Sha256 => ChecksumHasher::Sha256(Box::new(Sha256::new())),
            ChecksumAlgorithm::Sha512 => ChecksumHasher::Sha512(Box::new(Sha512::new())),
            ChecksumAlgorithm::Md5 => ChecksumHasher::Md5(Box::new(Md5::new())),
            ChecksumAlgorithm::XxHash64 => ChecksumHasher::XxHash64(Box::new(XxHash64::with_seed(0))),
            ChecksumAlgorithm::XxHash3 => ChecksumHasher::XxHash3(Box::new(XxHash3_64::new())),
            ChecksumAlgorithm::XxHash128 => ChecksumHasher::XxHash128(Box::new(XxHash3_128::new())),
        };
        Ok(Self { algorithm, expected, internal: false, mismatch_kind: ErrorKind::BadDigest, hasher })
    }
}

/// Computes the checksum of bytes in memory, in the form of a request header.
///
/// # Errors
/// None.
pub fn compute_checksum(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Result<String, Rejection> {
    let mut hasher = ChecksumCheck::new(algorithm, None)?.hasher;
    hasher.update(bytes);
    Ok(hasher.finish(algorithm))
}

/// Computes the composite checksum of an upload as S3 does: the checksum of its parts' checksums in sequence. `None`:
/// a part has none.
///
/// # Errors
/// `InvalidRequest`: the checksum of a part is malformed.
pub(crate) fn compute_composite_checksum(
    algorithm: ChecksumAlgorithm,
    parts: &[Part],
) -> Result<Option<String>, Rejection> {
    let mut check = ChecksumCheck::new(algorithm, None)?;
    for part in parts {
        let Some(value) = part.checksums.value(algorithm) else { return Ok(None) };
        check_checksum_format(algorithm, value)?;
        check.hasher.update(&BASE64.decode(value).unwrap_or_default());
    }
    Ok(Some(check.hasher.finish(algorithm)))
}

/// Checks that a checksum has the length of its algorithm.
fn check_checksum_format(algorithm: ChecksumAlgorithm, text: &str) -> Result<(), Rejection> {
    let reject_checksum = || {
        Rejection::with_message(
            ErrorKind::InvalidRequest,
            format!("The {} in the request is not valid.", algorithm.name()),
        )
    };
    // CRC-64 is written as a decimal number by COS and OSS, all other checksums as Base64.
    if algorithm == ChecksumAlgorithm::Crc64Ecma {
        return text.parse::<u64>().map(drop).map_err(|_| reject_checksum());
    }
    let length = BASE64.decode(text).map_err(|_| reject_checksum())?.len();
    if length == algorithm.digest_len() { Ok(()) } else { Err(reject_checksum()) }
}

impl ChecksumHasher {
    fn new_crc(algorithm: CrcAlgorithm) -> Self {
        Self::Crc(Box::new(Crc::new(algorithm)))
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc(crc) => crc.update(bytes),
            Self::Sha1(sha1) => sha1.update(bytes),
            Self::Sha256(sha256) => sha256.update(bytes),
            Self::Sha512(sha512) => sha512.update(bytes),
            Self::Md5(md5) => md5.update(bytes),
            Self::XxHash64(hash) => hash.write(bytes),
            Self::XxHash3(hash) => hash.write(bytes),
            Self::XxHash128(hash) => hash.write(bytes),
        }
    }

    fn finish(self, algorithm: ChecksumAlgorithm) -> String {
        match self {
            Self::Crc(crc) if algorithm == ChecksumAlgorithm::Crc64Ecma => crc.finalize().to_string(),
            Self::Crc(crc) => {
                let value = crc.finalize().to_be_bytes();
                // The library computes 64-bit values; a 32-bit CRC is in the last four bytes.
                let skipped = value.len().saturating_sub(algorithm.digest_len());
                BASE64.encode(value.get(skipped..).unwrap_or_default())
            }
            Self::Sha1(sha1) => BASE64.encode(sha1.finalize()),
            Self::Sha256(sha256) => BASE64.encode(sha256.finalize()),
            Self::Sha512(sha512) => BASE64.encode(sha512.finalize()),
            Self::Md5(md5) => BASE64.encode(md5.finalize()),
            Self::XxHash64(hash) => BASE64.encode(hash.finish().to_be_bytes()),
            Self::XxHash3(hash) => BASE64.encode(hash.finish().to_be_bytes()),
            Self::XxHash128(hash) => BASE64.encode(hash.finish_128().to_be_bytes()),
        }
    }
}
