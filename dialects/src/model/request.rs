//! The canonical request.

use crate::encoding::xml::Node;
use crate::model::error::{ErrorKind, Rejection};
use crate::model::field::Fields;
use crate::model::operation::Operation;

/// What a request addresses.
// An enum instead of two optional names, so that an operation on an object cannot exist without its bucket and key.
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
    /// The bucket, unless the request addresses the account.
    pub fn bucket(&self) -> Option<&str> {
        match self {
            Self::Service => None,
            Self::Bucket(bucket) | Self::Object { bucket, .. } => Some(bucket),
        }
    }

    /// The key, if the request addresses an object.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Service | Self::Bucket(_) => None,
            Self::Object { key, .. } => Some(key),
        }
    }

    /// The bucket of a request that requires one.
    ///
    /// # Errors
    /// `InvalidRequest` if there is none.
    pub fn require_bucket(&self) -> Result<&str, Rejection> {
        self.bucket()
            .ok_or_else(|| Rejection::with_message(ErrorKind::InvalidRequest, "The request has no bucket."))
    }

    /// The key of a request that requires one.
    ///
    /// # Errors
    /// `InvalidRequest` if there is none.
    pub fn require_key(&self) -> Result<&str, Rejection> {
        self.key()
            .ok_or_else(|| Rejection::with_message(ErrorKind::InvalidRequest, "The request has no key."))
    }

    /// The same bucket with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        match self.bucket() {
            Some(bucket) => Self::Object { bucket: bucket.to_owned(), key: key.to_owned() },
            None => Self::Service,
        }
    }

    /// Whether an operation can address this scope.
    pub fn is_valid_for(&self, operation: Operation) -> bool {
        match self {
            Self::Service => operation == Operation::ListBuckets,
            Self::Bucket(_) => operation != Operation::ListBuckets && !operation.is_on_object(),
            Self::Object { .. } => operation.is_on_object(),
        }
    }
}

/// A request, independent of any dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The operation.
    pub operation: Operation,
    /// What the request addresses, with the bucket and key as the client sent them.
    pub scope: RequestScope,
    /// The source of a copy.
    pub source: Option<CopySource>,
    /// The values of headers and query parameters.
    pub fields: Fields,
    /// User metadata: lower-case names without prefix, values as bytes.
    // Bytes, because SDKs send UTF-8 or Latin-1 without a declaration, and a conversion would change what is stored.
    pub metadata: Vec<(String, Vec<u8>)>,
    /// Checksums of the body that the request states, besides Content-MD5.
    pub checksums: Vec<Checksum>,
    /// Further digests of the body that the request states: algorithm, value in base64, and the error if it does not
    /// match.
    pub digests: Vec<(ChecksumAlgorithm, String, ErrorKind)>,
    /// Length of the decoded body in bytes, if the request states it.
    pub body_length: Option<u64>,
    /// The parts of CompleteMultipartUpload, in the order of the request. Read from the body.
    pub parts: Vec<Part>,
    /// The objects of DeleteObjects, in the order of the request. Read from the body.
    pub objects_to_delete: Vec<ObjectToDelete>,
    /// Whether the response to DeleteObjects contains failures only. Read from the body.
    pub quiet: bool,
    /// The document of a setting or of RestoreObject, in canonical form. Read from the body.
    pub document: Option<Node>,
}

impl Request {
    /// A request with an operation and a scope only.
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
    /// `InvalidRequest` if the request is not a copy.
    pub fn require_source(&self) -> Result<&CopySource, Rejection> {
        self.source.as_ref().ok_or_else(|| {
            Rejection::with_message(ErrorKind::InvalidRequest, "The request has no copy source.")
        })
    }

    /// A request of the proxy that lists the buckets of an account.
    pub fn for_bucket_list() -> Self {
        Self::new(Operation::ListBuckets, RequestScope::Service)
    }

    /// A request of the proxy that addresses a bucket.
    pub fn for_bucket(operation: Operation, bucket: impl Into<String>) -> Self {
        Self::new(operation, RequestScope::Bucket(bucket.into()))
    }

    /// A request of the proxy that addresses an object, with these fields only.
    pub fn for_object(operation: Operation, bucket: String, key: String, fields: Fields) -> Self {
        Self { fields, ..Self::new(operation, RequestScope::Object { bucket, key }) }
    }
}

/// The source of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySource {
    /// Bucket as the client sent it.
    pub bucket: String,
    /// Decoded key.
    pub key: String,
    /// Version ID, if the request contains one.
    pub version: Option<String>,
}

/// A part in CompleteMultipartUpload and ListParts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// 1 to 10,000.
    pub number: u64,
    /// ETag without quotes.
    pub etag: String,
    /// Its checksums, if they are known.
    pub checksums: Checksums,
    /// CRC-64 and length, if the target returned them with the ETag.
    // The CRC-64 values of parts can be combined, so that the whole object is verified without reading it again.
    pub crc64: Option<PartCrc64>,
}

/// CRC-64/XZ and length of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartCrc64 {
    /// CRC-64/XZ.
    pub crc64: u64,
    /// Length in bytes.
    pub bytes: u64,
}

impl Part {
    /// A part without checksums.
    pub fn new(number: u64, etag: impl Into<String>) -> Self {
        Self { number, etag: etag.into(), checksums: Checksums::default(), crc64: None }
    }
}

/// Checksums of an object or a part, in responses and in CompleteMultipartUpload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checksums {
    /// Base64 of the big-endian values. A value with the suffix `-N` is the checksum of the checksums of N parts.
    pub values: Vec<(ChecksumAlgorithm, String)>,
    /// `FULL_OBJECT` or `COMPOSITE`, if known.
    pub kind: Option<String>,
    /// Name of the algorithm of a multipart upload, if known.
    pub algorithm: Option<String>,
}

impl Checksums {
    /// The value of an algorithm.
    pub fn value(&self, algorithm: ChecksumAlgorithm) -> Option<&str> {
        self.values.iter().find(|row| row.0 == algorithm).map(|row| row.1.as_str())
    }
}

/// An object in DeleteObjects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectToDelete {
    /// Key.
    pub key: String,
    /// Version ID, if the request contains one.
    pub version: Option<String>,
    /// The ETag that the object must have, if the request contains one.
    pub etag: Option<String>,
}

/// A checksum algorithm for the body of a request or response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the vendors' own")]
pub enum ChecksumAlgorithm {
    Crc32,
    Crc32c,
    /// The CRC-64 of S3. Its polynomial is not that of `Crc64Ecma`, so that one cannot be sent instead of the other.
    Crc64Nvme,
    /// CRC-64/XZ, written in decimal: the checksum of COS and OSS.
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

/// A checksum of the body that the request states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// The algorithm.
    pub algorithm: ChecksumAlgorithm,
    /// Base64 of the big-endian value (decimal for `ChecksumAlgorithm::Crc64Ecma`). `None` if the request announces it
    /// as a trailer.
    pub value: Option<String>,
}
