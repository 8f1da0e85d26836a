//! An upload's body on its way through: decoded, digested, and held back at the end until everything agrees.

use std::hash::Hasher as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use twox_hash::{XxHash3_64, XxHash3_128, XxHash64};

use crate::engine::auth::Payload;
use crate::engine::dialect::Dialect;
use crate::model::{Algorithm, Checksum, Fault, Field, Operation, Part, Refusal, Request};
use crate::wire::hash;

/// What was computed of the bytes that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    /// Bytes, decoded.
    pub bytes: u64,
    /// CRC-64/XZ, where somebody wants it.
    pub crc64: Option<u64>,
    /// MD5, lower-case hex, where somebody wants it.
    pub md5: Option<String>,
    /// What the caller vouches for, and found so; and what a target tells of its own accord.
    pub checks: Vec<(Algorithm, String)>,
}

/// What is to be computed of the bytes beside what the caller vouches for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wants {
    /// CRC-64/XZ.
    pub crc64: bool,
    /// MD5.
    pub md5: bool,
    /// CRC-64/NVME, which S3 computes where nobody says another.
    pub nvme: bool,
}

/// The gate an upload passes. Until [`Gate::finish`] has compared everything it keeps the last byte back, so that
/// a target that was promised the whole length can never commit a body that is wrong.
pub struct Gate {
    payload: Payload,
    dialect: &'static Dialect,
    length: Option<u64>,
    bytes: u64,
    held: Option<u8>,
    sha256: Option<Sha256>,
    md5: Option<Md5>,
    /// What the MD5 must be.
    wanted_md5: Option<Vec<u8>>,
    crc64: Option<Crc>,
    checks: Vec<Check>,
}

/// One checksum that the caller vouches for.
struct Check {
    algorithm: Algorithm,
    /// As sent; `None` while it is still to come behind the body.
    wanted: Option<String>,
    /// Whether it is computed for us, whoever says what.
    own: bool,
    /// What is wrong where it differs.
    fault: Fault,
    running: Running,
}

enum Running {
    Crc(Box<Crc>),
    Sha1(Box<Sha1>),
    Sha256(Box<Sha256>),
    Sha512(Box<Sha512>),
    Md5(Box<Md5>),
    XxHash64(Box<XxHash64>),
    XxHash3(Box<XxHash3_64>),
    XxHash128(Box<XxHash3_128>),
}

impl Gate {
    /// Prepares for a request's body.
    ///
    /// # Errors
    /// A checksum that cannot be read.
    pub fn new(
        dialect: &'static Dialect,
        payload: Payload,
        request: &Request,
        wants: Wants,
    ) -> Result<Self, Refusal> {
        let length = match &payload {
            Payload::Chunked(decoder) => Some(decoder.decoded_length()),
            Payload::Unsigned | Payload::Sha256(_) => request.body_length,
        };
        let wanted_md5 = request.fields.text(Field::ContentMd5).map(|text| {
            let digest = BASE64.decode(text).ok().filter(|digest| digest.len() == 16);
            digest.ok_or(Refusal::new(Fault::InvalidDigest).with("Content-MD5", text))
        });
        let sha256 = matches!(payload, Payload::Sha256(_)).then(Sha256::new);
        let mut gate = Self {
            payload,
            dialect,
            length,
            bytes: 0,
            held: None,
            sha256,
            md5: (wants.md5 || wanted_md5.is_some()).then(Md5::new),
            wanted_md5: wanted_md5.transpose()?,
            crc64: wants.crc64.then(|| Crc::new(CrcAlgorithm::Crc64Xz)),
            checks: Vec::new(),
        };
        // Those of a completing call's head are of the object, not of its document.
        let of_object = request.operation == Operation::CompleteMultipartUpload;
        let of_body = |row: &&Checksum| !of_object || row.value.is_none();
        for checksum in request.checksums.iter().filter(of_body) {
            gate.checks.push(Check::new(checksum.algorithm, checksum.value.clone())?);
        }
        for (algorithm, value, fault) in &request.digests {
            let check = Check::new(*algorithm, Some(value.clone()))?;
            gate.checks.push(Check { own: true, fault: *fault, ..check });
        }
        let said = gate.checks.iter().any(|check| check.algorithm == Algorithm::Crc64Nvme);
        if wants.nvme && !said {
            gate.checks.push(Check { own: true, ..Check::new(Algorithm::Crc64Nvme, None)? });
        }
        Ok(gate)
    }

    /// Length of the decoded body in bytes, where known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Bytes that wait here until they are proven, beside the last one.
    pub fn held(&self) -> usize {
        match &self.payload {
            Payload::Chunked(decoder) => decoder.held(),
            Payload::Unsigned | Payload::Sha256(_) => 0,
        }
    }

    /// Takes bytes as they arrive and gives those that may go on. The last byte is always held back.
    ///
    /// # Errors
    /// A body that disagrees with what was announced: the target must never get the rest.
    pub fn push(&mut self, wire: &[u8]) -> Result<Vec<u8>, Refusal> {
        let mut decoded = Vec::with_capacity(wire.len().saturating_add(1));
        decoded.extend(self.held.take());
        let known = decoded.len();
        match &mut self.payload {
            Payload::Chunked(decoder) => decoder.push(wire, &mut decoded)?,
            Payload::Unsigned | Payload::Sha256(_) => decoded.extend_from_slice(wire),
        }
        self.digest(decoded.get(known..).unwrap_or_default())?;
        self.held = decoded.pop();
        Ok(decoded)
    }

    /// The end of the body: everything is compared, and what was held back may go.
    ///
    /// # Errors
    /// As [`Gate::push`].
    pub fn finish(mut self) -> Result<(Vec<u8>, Sums), Refusal> {
        let trailer = match &mut self.payload {
            Payload::Chunked(decoder) => decoder.finish()?,
            Payload::Unsigned | Payload::Sha256(_) => Vec::new(),
        };
        if self.length.is_some_and(|length| length != self.bytes) {
            return Err(Fault::IncompleteBody.into());
        }
        self.check_signed_hash()?;
        let md5 = self.md5.take().map(Md5::finalize);
        if let (Some(found), Some(wanted)) = (&md5, &self.wanted_md5)
            && found.as_slice() != wanted
        {
            return Err(Refusal::new(Fault::BadDigest).with("CalculatedDigest", BASE64.encode(found)));
        }
        let checks = self.check_sums(&trailer)?;
        let sums = Sums {
            bytes: self.bytes,
            crc64: self.crc64.map(|crc| crc.finalize()),
            md5: md5.map(|md5| hash::hex(&md5)),
            checks,
        };
        Ok((self.held.into_iter().collect(), sums))
    }

    fn digest(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.length.is_some_and(|length| self.bytes > length) {
            return Err(Fault::IncompleteBody.into());
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
        self.checks.iter_mut().for_each(|check| check.running.update(bytes));
        Ok(())
    }

    fn check_signed_hash(&mut self) -> Result<(), Refusal> {
        let (Payload::Sha256(wanted), Some(sha256)) = (&self.payload, self.sha256.take()) else {
            return Ok(());
        };
        let found = hash::hex(&sha256.finalize());
        if *wanted == found {
            return Ok(());
        }
        Err(Fault::PayloadHashMismatch.into())
    }

    fn check_sums(&mut self, trailer: &[(String, String)]) -> Result<Vec<(Algorithm, String)>, Refusal> {
        let mut checks = Vec::new();
        for (name, value) in trailer {
            let row = self.dialect.checksums.iter().find(|row| row.0 == name);
            let check = row
                .and_then(|row| self.checks.iter_mut().find(|check| check.algorithm == row.1 && !check.own));
            match check {
                Some(check) if check.wanted.is_none() => check.wanted = Some(value.clone()),
                _ => return Err(Fault::MalformedTrailer.into()),
            }
        }
        for check in self.checks.drain(..) {
            let found = check.running.finish(check.algorithm);
            if let Some(wanted) = check.wanted {
                check_form(check.algorithm, &wanted)?;
                if found != wanted {
                    let name = check.algorithm.name();
                    return Err(Refusal::say(
                        check.fault,
                        format!("The {name} you specified did not match the calculated checksum."),
                    ));
                }
            }
            checks.push((check.algorithm, found));
        }
        Ok(checks)
    }
}

impl Check {
    fn new(algorithm: Algorithm, wanted: Option<String>) -> Result<Self, Refusal> {
        if let Some(wanted) = &wanted {
            check_form(algorithm, wanted)?;
        }
        let running = match algorithm {
            Algorithm::Crc32 => Running::crc(CrcAlgorithm::Crc32IsoHdlc),
            Algorithm::Crc32c => Running::crc(CrcAlgorithm::Crc32Iscsi),
            Algorithm::Crc64Nvme => Running::crc(CrcAlgorithm::Crc64Nvme),
            Algorithm::Crc64Ecma => Running::crc(CrcAlgorithm::Crc64Xz),
            Algorithm::Sha1 => Running::Sha1(Box::new(Sha1::new())),
            Algorithm::Sha256 => Running::Sha256(Box::new(Sha256::new())),
            Algorithm::Sha512 => Running::Sha512(Box::new(Sha512::new())),
            Algorithm::Md5 => Running::Md5(Box::new(Md5::new())),
            Algorithm::XxHash64 => Running::XxHash64(Box::new(XxHash64::with_seed(0))),
            Algorithm::XxHash3 => Running::XxHash3(Box::new(XxHash3_64::new())),
            Algorithm::XxHash128 => Running::XxHash128(Box::new(XxHash3_128::new())),
        };
        Ok(Self { algorithm, wanted, own: false, fault: Fault::BadDigest, running })
    }
}

/// The checksum of bytes that are at hand, as a request states it.
///
/// # Errors
/// None.
pub fn sum(algorithm: Algorithm, bytes: &[u8]) -> Result<String, Refusal> {
    let mut running = Check::new(algorithm, None)?.running;
    running.update(bytes);
    Ok(running.finish(algorithm))
}

/// The checksum of an upload's parts as S3 computes it: of their checksums, one behind the other. `None`: a part has none.
///
/// # Errors
/// `InvalidRequest`: a part's checksum that cannot be read.
pub fn composite(algorithm: Algorithm, parts: &[Part]) -> Result<Option<String>, Refusal> {
    let mut check = Check::new(algorithm, None)?;
    for part in parts {
        let Some(value) = part.checksums.value(algorithm) else { return Ok(None) };
        check_form(algorithm, value)?;
        check.running.update(&BASE64.decode(value).unwrap_or_default());
    }
    Ok(Some(check.running.finish(algorithm)))
}

/// Whether a checksum has the length of its algorithm.
fn check_form(algorithm: Algorithm, text: &str) -> Result<(), Refusal> {
    let wrong =
        || Refusal::say(Fault::InvalidRequest, format!("The {} you gave is not valid.", algorithm.name()));
    if algorithm == Algorithm::Crc64Ecma {
        return text.parse::<u64>().map(drop).map_err(|_| wrong());
    }
    let length = BASE64.decode(text).map_err(|_| wrong())?.len();
    if length == algorithm.bytes() { Ok(()) } else { Err(wrong()) }
}

impl Running {
    fn crc(algorithm: CrcAlgorithm) -> Self {
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

    fn finish(self, algorithm: Algorithm) -> String {
        match self {
            Self::Crc(crc) if algorithm == Algorithm::Crc64Ecma => crc.finalize().to_string(),
            Self::Crc(crc) => {
                let value = crc.finalize().to_be_bytes();
                let skipped = value.len().saturating_sub(algorithm.bytes());
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
