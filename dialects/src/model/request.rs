//! The canonical request.

use crate::encoding::xml::Node;
use crate::model::error::ErrorKind;
use crate::model::field::Fields;
use crate::model::operation::Operation;

/// What a caller wants, in no dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub operation: Operation,
    /// Bucket as the caller says it. Absent only for [`Operation::ListBuckets`].
    pub bucket: Option<String>,
    /// Decoded key, for operations on objects.
    pub key: Option<String>,
    /// The source of a copy.
    pub source: Option<CopySource>,
    /// What headers and parameters say.
    pub fields: Fields,
    /// User metadata: lower-case names without prefix, values as bytes.
    pub metadata: Vec<(String, Vec<u8>)>,
    /// Checksums of the body that the caller vouches for, besides Content-MD5.
    pub checksums: Vec<Checksum>,
    /// Further digests of the body that are stated: algorithm, value in base64, what is wrong where they differ.
    pub digests: Vec<(ChecksumAlgorithm, String, ErrorKind)>,
    /// Length of the body in bytes, decoded; absent where the caller did not say.
    pub body_length: Option<u64>,
    /// The parts of a completing call, in the order given. Filled by the body, after the head.
    pub parts: Vec<Part>,
    /// The objects of a deleting call, in the order given. Filled by the body.
    pub objects_to_delete: Vec<ObjectToDelete>,
    /// Whether a deleting call wants to hear of failures only. Filled by the body.
    pub quiet: bool,
    /// The document of a setting or of a restoring call, in canonical words. Filled by the body.
    pub document: Option<Node>,
}

impl Request {
    /// A request that says nothing but what it is for.
    pub fn new(operation: Operation) -> Self {
        Self {
            operation,
            bucket: None,
            key: None,
            source: None,
            fields: Fields::default(),
            metadata: Vec::new(),
            checksums: Vec::new(),
            digests: Vec::new(),
            body_length: None,
            parts: Vec::new(),
            objects_to_delete: Vec::new(),
            quiet: false,
            document: None,
        }
    }

    /// A request of ours about an object, with nothing but these fields.
    pub fn for_object(operation: Operation, bucket: String, key: String, fields: Fields) -> Self {
        Self { bucket: Some(bucket), key: Some(key), fields, ..Self::new(operation) }
    }
}

/// Where a copy comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySource {
    /// Bucket as the caller says it.
    pub bucket: String,
    /// Decoded key.
    pub key: String,
    /// Version, where one is named.
    pub version: Option<String>,
}

/// One line of a completing call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// 1 to 10,000.
    pub number: u64,
    /// ETag without quotes.
    pub etag: String,
    /// Its checksums, where they are told.
    pub checksums: Checksums,
    /// What it comes to, where that came back with the ETag.
    pub crc64: Option<PartCrc64>,
}

/// CRC-64/XZ and length of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartCrc64 {
    /// CRC-64/XZ.
    pub crc64: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Part {
    /// A part without checksums.
    pub fn new(number: u64, etag: impl Into<String>) -> Self {
        Self { number, etag: etag.into(), checksums: Checksums::default(), crc64: None }
    }
}

/// Checksums of an object or a part as answers and completing calls tell them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checksums {
    /// Base64 of the big-endian values; with `-N` behind it that of N parts' checksums.
    pub values: Vec<(ChecksumAlgorithm, String)>,
    /// `FULL_OBJECT` or `COMPOSITE`, where it is told.
    pub kind: Option<String>,
    /// Name of the algorithm of an upload, where it is told.
    pub algorithm: Option<String>,
}

impl Checksums {
    /// The value of an algorithm.
    pub fn value(&self, algorithm: ChecksumAlgorithm) -> Option<&str> {
        self.values.iter().find(|row| row.0 == algorithm).map(|row| row.1.as_str())
    }
}

/// One line of a deleting call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectToDelete {
    /// Key.
    pub key: String,
    /// Version, where one is named.
    pub version: Option<String>,
    /// The ETag that it must have, where one is named.
    pub etag: Option<String>,
}

/// An algorithm that callers use to vouch for a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own words")]
pub enum ChecksumAlgorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    /// CRC-64/XZ, written in decimal.
    Crc64Ecma,
    Sha1,
    Sha256,
    Sha512,
    Md5,
    XxHash64,
    XxHash3,
    XxHash128,
}

impl ChecksumAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 11] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Crc64Ecma,
        Self::Sha1,
        Self::Sha256,
        Self::Sha512,
        Self::Md5,
        Self::XxHash64,
        Self::XxHash3,
        Self::XxHash128,
    ];

    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Crc64Ecma => "CRC64",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
            Self::Md5 => "MD5",
            Self::XxHash64 => "XXHASH64",
            Self::XxHash3 => "XXHASH3",
            Self::XxHash128 => "XXHASH128",
        }
    }

    /// Length of the value in bytes.
    pub fn digest_len(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme | Self::Crc64Ecma | Self::XxHash64 | Self::XxHash3 => 8,
            Self::Md5 | Self::XxHash128 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// What a caller says that the body's checksum is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// How it is computed.
    pub algorithm: ChecksumAlgorithm,
    /// Base64 of the big-endian value (decimal for [`Algorithm::Crc64Ecma`]); `None` where it was announced to
    /// come behind the body.
    pub value: Option<String>,
}
