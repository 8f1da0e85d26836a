//! The canonical types: what a request means, whatever dialect said it.

mod access;
mod fault;
mod field;
mod head;
mod operation;
mod reply;
mod request;
mod setting;

pub use access::{Access, Grant, Grantee, Group, Permission};
pub use fault::{Fault, Refusal};
pub use field::{Acl, ByteRange, Directive, Encryption, Field, Fields, Hidden, Kind, StorageClass, Value};
pub use head::{Credentials, Outgoing, OwnKey, PayloadHash, RawHead, Timestamp};
pub use operation::{Need, Operation};
pub use reply::{
    BucketInfo, BucketList, CopyResult, Deleted, Document, ErrorDocument, Listed, Listing, PartList, Reply,
    Told, Upload, Uploads, Version, Versions,
};
pub use request::{Algorithm, Checksum, Checksums, Part, Request, Source, Sum, Unwanted};
pub use setting::Setting;
