//! The canonical types: what a request means, whatever dialect said it.

mod access;
mod clock;
mod fault;
mod field;
mod head;
mod operation;
mod reply;
mod request;
mod setting;

pub use access::{AccessControlList, Grant, Grantee, Group, Permission};
pub use clock::TargetClock;
pub use fault::{ErrorKind, Rejection};
pub use field::{
    ByteRange, CannedAcl, Directive, Encryption, Field, Fields, SecretText, StorageClass, Value, ValueKind,
};
pub use head::{Credentials, OutgoingRequest, PayloadHash, RawHead, SharedCredentials, Timestamp};
pub use operation::{Operation, RequiredAccess};
pub use reply::{
    BucketInfo, BucketListing, CopyResult, DeletedObject, Document, ErrorDocument, ListedObject,
    ListedUpload, ListedVersion, ObjectListing, PartListing, Response, ResponseField, UploadListing,
    VersionListing,
};
pub use request::{
    Checksum, ChecksumAlgorithm, Checksums, CopySource, ObjectToDelete, Part, PartCrc64, Request,
};
pub use setting::Setting;
