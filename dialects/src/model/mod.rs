//! The canonical types: the meaning of requests and responses, independent of any dialect.
//!
//! Uses: `encoding`.

mod access;
mod error;
mod field;
mod head;
mod operation;
mod request;
mod response;
mod setting;
mod target_clock;

pub use crate::encoding::date::Timestamp;
pub use access::{AccessControlList, Grant, Grantee, Group, Permission};
pub use error::{ErrorKind, Rejection};
pub use field::{
    ByteRange, CannedAcl, Directive, Encryption, Field, Fields, SecretText, StorageClass, Value, ValueKind,
};
pub use head::{
    Credentials, OutgoingRequest, PayloadHash, QueryParameter, RawHead, RawQuery, SharedCredentials,
};
pub use operation::{Operation, RequiredAccess};
pub use request::{
    Checksum, ChecksumAlgorithm, Checksums, CopySource, ObjectToDelete, Part, PartCrc64, Request,
    RequestScope,
};
pub use response::{
    BucketInfo, BucketListing, CopyResult, DeletedObject, Document, ErrorDocument, ListedObject,
    ListedUpload, ListedVersion, ObjectListing, PartListing, Response, ResponseField, RestoreStatus,
    UploadListing, VersionListing,
};
pub use setting::Setting;
pub use target_clock::TargetClock;
