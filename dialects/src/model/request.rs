//! The canonical request.

use crate::encoding::xml::Node;
use crate::model::error::{ErrorKind, Rejection};
use crate::model::field::Fields;
use crate::model::operation::Operation;

/// What a request is about. An operation on an object always has a bucket and a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestScope {
    /// The account: only [`Operation::ListBuckets`].
    Service,
    /// A bucket.
    Bucket(String),
    /// An object.
    Object {
        /// Its bucket.
        bucket: String,
        /// Its decoded key.
        key: String,
    },
}

impl RequestScope {
    /// The bucket, unless the request is about the account.
    pub fn bucket(&self) -> Option<&str> {
        match self {
            Self::Service => None,
            Self::Bucket(bucket) | Self::Object { bucket, .. } => Some(bucket),
        }
    }

    /// The key, where the request is about an object.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Service | Self::Bucket(_) => None,
            Self::Object { key, .. } => Some(key),
        }
    }

    /// The bucket of a request that cannot do without one.
    ///
    /// # Errors
    /// `InvalidRequest`.
    pub fn require_bucket(&self) -> Result<&str, Rejection> {
        self.bucket()
            .ok_or_else(|| Rejection::with_message(ErrorKind::InvalidRequest, "The request has no bucket."))
    }

    /// The key of a request that cannot do without one.
    ///
    /// # Errors
    /// `InvalidRequest`.
    pub fn require_key(&self) -> Result<&str, Rejection> {
        self.key()
            .ok_or_else(|| Rejection::with_message(ErrorKind::InvalidRequest, "The request has no key."))
    }

    /// The same with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        match self.bucket() {
            Some(bucket) => Self::Object { bucket: bucket.to_owned(), key: key.to_owned() },
            None => Self::Service,
        }
    }

    /// Whether an operation can be about this.
    pub fn is_valid_for(&self, operation: Operation) -> bool {
        match self {
            Self::Service => operation == Operation::ListBuckets,
            Self::Bucket(_) => operation != Operation::ListBuckets && !operation.is_on_object(),
            Self::Object { .. } => operation.is_on_object(),
        }
    }
}

/// What a caller wants, in no dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub operation: Operation,
    /// What it is about, by the caller's names.
    pub scope: RequestScope,
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
    /// A request with nothing but its operation and what that is about.
    pub fn new(operation: Operation, scope: RequestScope) -> Self {
        Self {
            operation,
            scope,
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

    /// The source of a copy.
    ///
    /// # Errors
    /// `InvalidRequest`: it is no copy.
    pub fn require_source(&self) -> Result<&CopySource, Rejection> {
        self.source.as_ref().ok_or_else(|| {
            Rejection::with_message(ErrorKind::InvalidRequest, "The request has no copy source.")
        })
    }

    /// A request of ours for the buckets of an account.
    pub fn for_bucket_list() -> Self {
        Self::new(Operation::ListBuckets, RequestScope::Service)
    }

    /// A request of ours about a bucket.
    pub fn for_bucket(operation: Operation, bucket: impl Into<String>) -> Self {
        Self::new(operation, RequestScope::Bucket(bucket.into()))
    }

    /// A request of ours about an object, with nothing but these fields.
    pub fn for_object(operation: Operation, bucket: String, key: String, fields: Fields) -> Self {
        Self { fields, ..Self::new(operation, RequestScope::Object { bucket, key }) }
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
    /// Base64 of the big-endian value (decimal for `Algorithm::Crc64Ecma`); `None` where it was announced to
    /// come behind the body.
    pub value: Option<String>,
}
