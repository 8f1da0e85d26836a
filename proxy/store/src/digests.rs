//! Checksums: the digests that a request declares for its body, and those that are computed.
//!
//! Source: S3, "Checking object integrity". Algorithms that this store cannot compute are rejected, never ignored.

use crate::errors::{
    bad_digest_error, invalid_argument_error, invalid_request_error, not_implemented_error, s3_error,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use crc_fast::CrcAlgorithm;
use http::{HeaderMap, HeaderName, HeaderValue};
use md5::{Digest as _, Md5};
use s3s::crypto::{self, Checksum as _};
use s3s::{S3Result, TrailingHeaders};
use serde::{Deserialize, Serialize};
use sha2::{Sha256, Sha512};
use twox_hash::{XxHash64, xxhash3_64, xxhash3_128};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
    Sha512,
    Md5,
    Xxhash64,
    Xxhash3,
    Xxhash128,
}

const ALGORITHMS: [(Algorithm, &str, &str); 10] = [
    (Algorithm::Crc32, "CRC32", "x-amz-checksum-crc32"),
    (Algorithm::Crc32c, "CRC32C", "x-amz-checksum-crc32c"),
    (Algorithm::Crc64Nvme, "CRC64NVME", "x-amz-checksum-crc64nvme"),
    (Algorithm::Sha1, "SHA1", "x-amz-checksum-sha1"),
    (Algorithm::Sha256, "SHA256", "x-amz-checksum-sha256"),
    (Algorithm::Sha512, "SHA512", "x-amz-checksum-sha512"),
    (Algorithm::Md5, "MD5", "x-amz-checksum-md5"),
    (Algorithm::Xxhash64, "XXHASH64", "x-amz-checksum-xxhash64"),
    (Algorithm::Xxhash3, "XXHASH3", "x-amz-checksum-xxhash3"),
    (Algorithm::Xxhash128, "XXHASH128", "x-amz-checksum-xxhash128"),
];

/// Headers that begin like a checksum but contain none.
const NON_VALUE_HEADERS: [&str; 3] =
    ["x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode"];

impl Algorithm {
    pub(crate) fn name(self) -> &'static str {
        ALGORITHMS.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    pub(crate) fn header(self) -> &'static str {
        ALGORITHMS.iter().find(|row| row.0 == self).map_or("", |row| row.2)
    }

    fn from_header(name: &str) -> Option<Self> {
        ALGORITHMS.iter().find(|row| row.2 == name).map(|row| row.0)
    }

    fn from_name(name: &str) -> Option<Self> {
        ALGORITHMS.iter().find(|row| row.1.eq_ignore_ascii_case(name)).map(|row| row.0)
    }

    /// The name of its element in documents.
    pub(crate) fn element_name(self) -> String {
        format!("Checksum{}", self.name())
    }

    /// The algorithm of such an element.
    pub(crate) fn from_element(name: &str) -> Option<Self> {
        Self::from_name(name.strip_prefix("Checksum")?)
    }

    fn digest_bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme | Self::Xxhash64 | Self::Xxhash3 => 8,
            Self::Md5 | Self::Xxhash128 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Whether the checksum of an object can be computed from the checksums of its parts.
    pub(crate) fn is_combinable(self) -> bool {
        self.to_crc_algorithm().is_some()
    }

    fn to_crc_algorithm(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1
            | Self::Sha256
            | Self::Sha512
            | Self::Md5
            | Self::Xxhash64
            | Self::Xxhash3
            | Self::Xxhash128 => None,
        }
    }

    /// The algorithm in `x-amz-checksum-algorithm` or `x-amz-sdk-checksum-algorithm`.
    pub(crate) fn read_requested(headers: &HeaderMap) -> S3Result<Option<Self>> {
        for name in ["x-amz-checksum-algorithm", "x-amz-sdk-checksum-algorithm"] {
            let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) else { continue };
            return Self::from_name(value).map(Some).ok_or_else(|| {
                invalid_argument_error("Checksum algorithm provided is unsupported.", name, value)
            });
        }
        Ok(None)
    }
}

/// A checksum that is stored with an object or a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksum {
    pub(crate) algorithm: Algorithm,
    /// Base64; a composite value ends with `-N`.
    pub(crate) value: String,
    pub(crate) composite: bool,
}

impl Checksum {
    /// The value of `x-amz-checksum-type`.
    pub(crate) fn kind(&self) -> &'static str {
        if self.composite { "COMPOSITE" } else { "FULL_OBJECT" }
    }

    pub(crate) fn to_headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let Ok(value) = HeaderValue::try_from(&self.value) else { return Vec::new() };
        vec![
            (HeaderName::from_static(self.algorithm.header()), value),
            (HeaderName::from_static("x-amz-checksum-type"), HeaderValue::from_static(self.kind())),
        ]
    }

    pub(crate) fn value_for(&self, algorithm: Algorithm) -> Option<String> {
        (self.algorithm == algorithm).then(|| self.value.clone())
    }
}

/// The checksum of an object, from the checksums of its parts in order, with their lengths in bytes.
pub(crate) fn combine_checksums<'a>(parts: impl Iterator<Item = (&'a Checksum, u64)>) -> Option<Checksum> {
    let mut whole: Option<(Algorithm, u64)> = None;
    for (part, length) in parts {
        let crc = part.algorithm.to_crc_algorithm()?;
        let next = parse_big_endian(&STANDARD.decode(&part.value).ok()?);
        whole = match whole {
            None => Some((part.algorithm, next)),
            Some((algorithm, _)) if algorithm != part.algorithm => return None,
            Some((algorithm, sum)) => Some((algorithm, crc_fast::checksum_combine(crc, sum, next, length))),
        };
    }
    let (algorithm, sum) = whole?;
    Some(Checksum { algorithm, value: encode_crc(algorithm, sum), composite: false })
}

/// The composite checksum: the checksum of the parts' checksums, with `-N`.
pub(crate) fn compose_checksums<'a>(parts: impl Iterator<Item = &'a Checksum>) -> Option<Checksum> {
    let mut hasher: Option<ChecksumHasher> = None;
    let mut count = 0_u32;
    for part in parts {
        let sum = hasher.get_or_insert_with(|| ChecksumHasher::new(part.algorithm));
        if sum.algorithm != part.algorithm {
            return None;
        }
        sum.update(&STANDARD.decode(&part.value).ok()?);
        count = count.saturating_add(1);
    }
    let hasher = hasher?;
    let algorithm = hasher.algorithm;
    Some(Checksum { algorithm, value: format!("{}-{count}", hasher.finish()), composite: true })
}

fn parse_big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number.wrapping_shl(8) | u64::from(*byte))
}

/// One checksum being computed.
struct ChecksumHasher {
    algorithm: Algorithm,
    state: HasherState,
}

enum HasherState {
    Crc(crc_fast::Digest),
    Sha1(crypto::Sha1),
    Sha256(Sha256),
    Sha512(Box<Sha512>),
    Md5(Md5),
    Xxhash64(XxHash64),
    Xxhash3(Box<xxhash3_64::Hasher>),
    Xxhash128(Box<xxhash3_128::Hasher>),
}

impl ChecksumHasher {
    fn new(algorithm: Algorithm) -> Self {
        let state = match (algorithm, algorithm.to_crc_algorithm()) {
            (_, Some(crc)) => HasherState::Crc(crc_fast::Digest::new(crc)),
            (Algorithm::Sha1, _) => HasherState::Sha1(crypto::Sha1::new()),
            (Algorithm::Sha512, _) => HasherState::Sha512(Box::default()),
            (Algorithm::Md5, _) => HasherState::Md5(Md5::new()),
            (Algorithm::Xxhash64, _) => HasherState::Xxhash64(XxHash64::with_seed(0)),
            (Algorithm::Xxhash3, _) => HasherState::Xxhash3(Box::default()),
            (Algorithm::Xxhash128, _) => HasherState::Xxhash128(Box::default()),
            _ => HasherState::Sha256(Sha256::new()),
        };
        Self { algorithm, state }
    }

    fn update(&mut self, bytes: &[u8]) {
        use std::hash::Hasher as _;
        match &mut self.state {
            HasherState::Crc(sum) => sum.update(bytes),
            HasherState::Sha1(sum) => sum.update(bytes),
            HasherState::Sha256(sum) => sum.update(bytes),
            HasherState::Sha512(sum) => sum.update(bytes),
            HasherState::Md5(sum) => sum.update(bytes),
            HasherState::Xxhash64(sum) => sum.write(bytes),
            HasherState::Xxhash3(sum) => sum.write(bytes),
            HasherState::Xxhash128(sum) => sum.write(bytes),
        }
    }

    /// Base64 of the digest; numbers with the greatest byte first.
    fn finish(self) -> String {
        use std::hash::Hasher as _;
        match self.state {
            HasherState::Crc(sum) => encode_crc(self.algorithm, sum.finalize()),
            HasherState::Sha1(sum) => STANDARD.encode(sum.finalize()),
            HasherState::Sha256(sum) => STANDARD.encode(sum.finalize()),
            HasherState::Sha512(sum) => STANDARD.encode(sum.finalize()),
            HasherState::Md5(sum) => STANDARD.encode(sum.finalize()),
            HasherState::Xxhash64(sum) => STANDARD.encode(sum.finish().to_be_bytes()),
            HasherState::Xxhash3(sum) => STANDARD.encode(sum.finish().to_be_bytes()),
            HasherState::Xxhash128(sum) => STANDARD.encode(sum.finish_128().to_be_bytes()),
        }
    }
}

/// A CRC in base64, with its number of bytes.
fn encode_crc(algorithm: Algorithm, sum: u64) -> String {
    let bytes = sum.to_be_bytes();
    STANDARD.encode(bytes.get(bytes.len().saturating_sub(algorithm.digest_bytes())..).unwrap_or_default())
}

/// The CRC-64/XZ of a concatenation, from the CRCs of both pieces and the length of the second.
pub(crate) fn combine_crc64(first: Option<u64>, second: Option<u64>, length: u64) -> Option<u64> {
    Some(crc_fast::checksum_combine(CrcAlgorithm::Crc64Xz, first?, second?, length))
}

// blobfish_dialects::engine::body_verifier checks one declared digest of a request. The store computes several per
// body, combines those of parts, and stores them, so it has its own hashers.

/// Computes all digests of one body in one pass.
pub(crate) struct BodyHasher {
    md5: Md5,
    crc64: crc_fast::Digest,
    hashers: Vec<ChecksumHasher>,
}

/// The digests of one body.
#[derive(Clone, Debug)]
pub(crate) struct Digests {
    pub(crate) md5: [u8; 16],
    /// CRC-64/XZ. COS and OSS have it in responses, S3 does not.
    pub(crate) crc64: u64,
    checksums: Vec<Checksum>,
}

impl BodyHasher {
    pub(crate) fn new(algorithms: &[Algorithm]) -> Self {
        let mut unique: Vec<Algorithm> = Vec::new();
        for algorithm in algorithms {
            if !unique.contains(algorithm) {
                unique.push(*algorithm);
            }
        }
        // Always computed: the ETag needs the MD5, and COS and OSS clients expect the CRC in every response.
        let (md5, crc64) = (Md5::new(), crc_fast::Digest::new(CrcAlgorithm::Crc64Xz));
        Self { md5, crc64, hashers: unique.into_iter().map(ChecksumHasher::new).collect() }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.crc64.update(bytes);
        self.hashers.iter_mut().for_each(|sum| sum.update(bytes));
    }

    pub(crate) fn finish(self) -> Digests {
        let checksum = |sum: ChecksumHasher| Checksum {
            algorithm: sum.algorithm,
            value: sum.finish(),
            composite: false,
        };
        let (md5, crc64) = (self.md5.finalize().into(), self.crc64.finalize());
        Digests { md5, crc64, checksums: self.hashers.into_iter().map(checksum).collect() }
    }
}

impl Digests {
    pub(crate) fn checksum(&self, algorithm: Algorithm) -> Option<&Checksum> {
        self.checksums.iter().find(|sum| sum.algorithm == algorithm)
    }
}

/// The digests that a request declares for its body.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExpectedDigests {
    md5: Option<Vec<u8>>,
    checksum: Option<(Algorithm, String)>,
    trailer_algorithm: Option<Algorithm>,
    trailers: Option<TrailingHeaders>,
    requested_algorithm: Option<Algorithm>,
}

impl ExpectedDigests {
    pub(crate) fn read(headers: &HeaderMap, trailers: Option<TrailingHeaders>) -> S3Result<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let md5 = text("content-md5").map(parse_content_md5).transpose()?;
        let (mut checksum, mut trailer) = (None, None);
        for name in headers.keys().map(HeaderName::as_str) {
            if !name.starts_with("x-amz-checksum-") || NON_VALUE_HEADERS.contains(&name) {
                continue;
            }
            let algorithm = Algorithm::from_header(name).ok_or_else(|| not_implemented_error(name))?;
            let value = text(name).unwrap_or_default();
            // S3 rejects a malformed value before it reads the body.
            let length = STANDARD.decode(value).map_or(0, |bytes| bytes.len());
            // A composite value belongs to a completion, where it is compared as text.
            if length != algorithm.digest_bytes() && !value.contains('-') {
                return Err(invalid_request_error(&format!("Value for {name} header is invalid.")));
            }
            if checksum.replace((algorithm, value.to_owned())).is_some() {
                return Err(multiple_checksums_error());
            }
        }
        for name in text("x-amz-trailer").unwrap_or_default().split(',').map(str::trim) {
            let name = name.to_ascii_lowercase();
            if !name.starts_with("x-amz-checksum-") {
                continue;
            }
            let algorithm = Algorithm::from_header(&name).ok_or_else(|| not_implemented_error(&name))?;
            if trailer.replace(algorithm).is_some() || checksum.is_some() {
                return Err(multiple_checksums_error());
            }
        }
        Ok(Self {
            md5,
            checksum,
            trailer_algorithm: trailer,
            trailers,
            requested_algorithm: Algorithm::read_requested(headers)?,
        })
    }

    /// Whether the request declares any digest.
    pub(crate) fn has_any(&self) -> bool {
        self.md5.is_some() || self.checksum.is_some() || self.trailer_algorithm.is_some()
    }

    /// The algorithm of the declared checksum, or the requested one.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        self.checksum.as_ref().map(|sum| sum.0).or(self.trailer_algorithm).or(self.requested_algorithm)
    }

    /// The checksum of the object from a header.
    pub(crate) fn header_checksum(&self) -> Option<(Algorithm, &str)> {
        self.checksum.as_ref().map(|(algorithm, value)| (*algorithm, value.as_str()))
    }

    /// Compares the declared digests with the computed ones. Call it only after the body and its trailers are read
    /// completely.
    ///
    /// # Errors
    /// 400 for every difference, and for an announced trailer that is missing.
    pub(crate) fn verify(&self, digests: &Digests) -> S3Result<()> {
        self.verify_md5(digests)?;
        if let Some((algorithm, value)) = &self.checksum {
            compare_checksum(*algorithm, value, digests)?;
        }
        if let Some(algorithm) = self.trailer_algorithm {
            let read = |map: &HeaderMap| {
                map.get(algorithm.header()).and_then(|v| v.to_str().ok().map(str::to_owned))
            };
            let value = self.trailers.as_ref().and_then(|trailers| trailers.read(read)).flatten();
            let value = value.ok_or_else(|| {
                s3_error(400, "MalformedTrailerError", "The announced trailer is missing.", &[])
            })?;
            compare_checksum(algorithm, value.trim(), digests)?;
        }
        Ok(())
    }
}

impl ExpectedDigests {
    /// Verifies only the Content-MD5, for a request with checksum headers that do not describe its body.
    pub(crate) fn verify_md5(&self, digests: &Digests) -> S3Result<()> {
        if self.md5.as_ref().is_some_and(|md5| md5.as_slice() != digests.md5) {
            return Err(bad_digest_error("The Content-MD5 you specified did not match what we received."));
        }
        Ok(())
    }
}

fn compare_checksum(algorithm: Algorithm, value: &str, digests: &Digests) -> S3Result<()> {
    if digests.checksum(algorithm).is_some_and(|sum| sum.value == value) {
        return Ok(());
    }
    let name = algorithm.name();
    Err(bad_digest_error(&format!("The {name} you specified did not match the calculated checksum.")))
}

fn multiple_checksums_error() -> s3s::S3Error {
    invalid_request_error(
        "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
    )
}

fn parse_content_md5(value: &str) -> S3Result<Vec<u8>> {
    let message = "The Content-MD5 you specified was invalid.";
    match STANDARD.decode(value) {
        Ok(bytes) if bytes.len() == 16 => Ok(bytes),
        _ => Err(s3_error(400, "InvalidDigest", message, &[("Content-MD5", value)])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compute_checksum(algorithm: Algorithm, body: &[u8]) -> Checksum {
        let mut hasher = BodyHasher::new(&[algorithm]);
        hasher.update(body);
        hasher.finish().checksum(algorithm).unwrap().clone()
    }

    #[test]
    fn computes_published_values() {
        for (algorithm, expected) in [
            (Algorithm::Crc32, "DUoRhQ=="),
            (Algorithm::Crc32c, "yZRlqg=="),
            (Algorithm::Crc64Nvme, "jSnVw/bqjr4="),
            (Algorithm::Sha1, "Kq5sNclPz7QV2+lfQIuc6R7oRu0="),
            (Algorithm::Sha256, "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="),
            // By Python's hashlib and its xxhash, which give the greatest byte first.
            (
                Algorithm::Sha512,
                "MJ7MSJwS1utMxA9QyQLytNDtd+5RGnx6m808qG1M2G+YndNbxf9JlnDaNCVbRbDP2DDoH2Bdz33FVC6TrpzXbw==",
            ),
            (Algorithm::Md5, "XrY7u+Ae7tCTyyK7j1rNww=="),
            (Algorithm::Xxhash64, "RatnNLIeaWg="),
            (Algorithm::Xxhash3, "1Eex6kDmmIs="),
            (Algorithm::Xxhash128, "340J6T+HSQCpm4d1zBW2xw=="),
        ] {
            assert_eq!(compute_checksum(algorithm, b"hello world").value, expected);
        }
    }

    #[test]
    fn combines_checksums_of_parts() {
        let (a, b) = (vec![b'a'; 5_242_880], vec![b'b'; 10]);
        for (algorithm, composite, full) in [
            (Algorithm::Crc32, "meG8JQ==-2", Some("1FimjA==")),
            (Algorithm::Crc32c, "SbZNDA==-2", Some("Ecdwnw==")),
            (Algorithm::Sha256, "zTBnwsNWVkdz0PwZObp0pDCxhYpP8sndExucneRKiO0=-2", None),
        ] {
            let parts = [compute_checksum(algorithm, &a), compute_checksum(algorithm, &b)];
            assert_eq!(compose_checksums(parts.iter()).unwrap().value, composite);
            let whole = combine_checksums(parts.iter().zip([5_242_880, 10])).map(|sum| sum.value);
            assert_eq!(whole.as_deref(), full);
        }
        let parts = [compute_checksum(Algorithm::Crc64Nvme, &a), compute_checksum(Algorithm::Crc64Nvme, &b)];
        assert_eq!(combine_checksums(parts.iter().zip([5_242_880, 10])).unwrap().value, "om/L0dM0gF4=");
    }
}
