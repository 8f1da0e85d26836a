//! The canonical types: what a request means, whatever dialect said it.

mod fault;
mod field;
mod head;
mod operation;
mod reply;
mod request;

pub use fault::{Fault, Refusal};
pub use field::{Acl, ByteRange, Directive, Encryption, Field, Fields, Hidden, Kind, StorageClass, Value};
pub use head::{Credentials, Outgoing, PayloadHash, RawHead, Timestamp};
pub use operation::{Need, Operation};
pub use reply::{BucketList, CopyResult, Document, ErrorDocument, Listed, Listing, PartList, Reply, Told};
pub use request::{Algorithm, Checksum, Part, Request, Source};
