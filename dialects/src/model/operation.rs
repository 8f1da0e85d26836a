//! What a request asks for.

use crate::model::setting::Setting;

/// The operations that are translated between dialects, under S3's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the vendors' own words")]
pub enum Operation {
    PutObject,
    GetObject,
    HeadObject,
    DeleteObject,
    CopyObject,
    CreateMultipartUpload,
    UploadPart,
    UploadPartCopy,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListParts,
    CreateBucket,
    HeadBucket,
    DeleteBucket,
    ListBuckets,
    ListObjects,
    ListObjectsV2,
    DeleteObjects,
    ListObjectVersions,
    ListMultipartUploads,
    GetBucketLocation,
    RestoreObject,
    GetObjectAttributes,
    AppendObject,
    GetBucketInfo,
    /// Reads a document beside a bucket or an object.
    Get(Setting),
    /// Replaces it.
    Put(Setting),
    /// Removes it.
    Delete(Setting),
}

/// What an operation needs to be allowed on a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequiredAccess {
    /// Reading objects and listings.
    Read,
    /// Writing and deleting objects.
    Write,
    /// Creating and deleting buckets.
    Admin,
    /// Nothing on a bucket: the answer is filtered by the caller's grants.
    None,
}

impl Operation {
    /// Every operation with a name of its own, in the order they are printed.
    pub const PLAIN: [Self; 25] = [
        Self::PutObject,
        Self::GetObject,
        Self::HeadObject,
        Self::DeleteObject,
        Self::DeleteObjects,
        Self::CopyObject,
        Self::AppendObject,
        Self::RestoreObject,
        Self::GetObjectAttributes,
        Self::CreateMultipartUpload,
        Self::UploadPart,
        Self::UploadPartCopy,
        Self::CompleteMultipartUpload,
        Self::AbortMultipartUpload,
        Self::ListParts,
        Self::ListMultipartUploads,
        Self::CreateBucket,
        Self::HeadBucket,
        Self::DeleteBucket,
        Self::GetBucketLocation,
        Self::GetBucketInfo,
        Self::ListBuckets,
        Self::ListObjects,
        Self::ListObjectsV2,
        Self::ListObjectVersions,
    ];

    /// Every operation there is: the plain ones, and the three of each setting.
    pub fn all() -> impl Iterator<Item = Self> {
        let settings = Setting::ALL.into_iter();
        let settings =
            settings.flat_map(|setting| [Self::Get(setting), Self::Put(setting), Self::Delete(setting)]);
        Self::PLAIN.into_iter().chain(settings)
    }

    /// The name in metrics, logs and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::PutObject => "PutObject",
            Self::GetObject => "GetObject",
            Self::HeadObject => "HeadObject",
            Self::DeleteObject => "DeleteObject",
            Self::CopyObject => "CopyObject",
            Self::CreateMultipartUpload => "CreateMultipartUpload",
            Self::UploadPart => "UploadPart",
            Self::UploadPartCopy => "UploadPartCopy",
            Self::CompleteMultipartUpload => "CompleteMultipartUpload",
            Self::AbortMultipartUpload => "AbortMultipartUpload",
            Self::ListParts => "ListParts",
            Self::CreateBucket => "CreateBucket",
            Self::HeadBucket => "HeadBucket",
            Self::DeleteBucket => "DeleteBucket",
            Self::ListBuckets => "ListBuckets",
            Self::ListObjects => "ListObjects",
            Self::ListObjectsV2 => "ListObjectsV2",
            Self::DeleteObjects => "DeleteObjects",
            Self::ListObjectVersions => "ListObjectVersions",
            Self::ListMultipartUploads => "ListMultipartUploads",
            Self::GetBucketLocation => "GetBucketLocation",
            Self::RestoreObject => "RestoreObject",
            Self::GetObjectAttributes => "GetObjectAttributes",
            Self::AppendObject => "AppendObject",
            Self::GetBucketInfo => "GetBucketInfo",
            Self::Get(setting) => setting.operation_names()[0],
            Self::Put(setting) => setting.operation_names()[1],
            Self::Delete(setting) => setting.operation_names()[2],
        }
    }

    /// What the caller must be granted on the request's bucket. A copy's source needs [`Need::Read`] besides.
    pub fn required_access(self) -> RequiredAccess {
        match self {
            Self::PutObject
            | Self::DeleteObject
            | Self::CopyObject
            | Self::CreateMultipartUpload
            | Self::UploadPart
            | Self::UploadPartCopy
            | Self::CompleteMultipartUpload
            | Self::AbortMultipartUpload
            | Self::DeleteObjects
            | Self::RestoreObject
            | Self::AppendObject => RequiredAccess::Write,
            Self::GetObject
            | Self::HeadObject
            | Self::ListParts
            | Self::HeadBucket
            | Self::ListObjects
            | Self::ListObjectsV2
            | Self::ListObjectVersions
            | Self::ListMultipartUploads
            | Self::GetBucketLocation
            | Self::GetObjectAttributes
            | Self::GetBucketInfo
            | Self::Get(_) => RequiredAccess::Read,
            Self::Put(setting) | Self::Delete(setting) if setting.is_on_object() => RequiredAccess::Write,
            Self::CreateBucket | Self::DeleteBucket | Self::Put(_) | Self::Delete(_) => RequiredAccess::Admin,
            Self::ListBuckets => RequiredAccess::None,
        }
    }

    /// Whether the operation changes something at the target, so that it must never be sent twice.
    pub fn is_write(self) -> bool {
        matches!(self.required_access(), RequiredAccess::Write | RequiredAccess::Admin)
    }

    /// Whether the object's bytes travel through us: these are streamed, everything else is a small exchange.
    pub fn is_streamed(self) -> bool {
        self.is_upload() || matches!(self, Self::GetObject | Self::HeadObject)
    }

    /// Whether the request carries the object's bytes.
    pub fn is_upload(self) -> bool {
        matches!(self, Self::PutObject | Self::UploadPart | Self::AppendObject)
    }

    /// Whether it copies on the target's side.
    pub fn is_copy(self) -> bool {
        matches!(self, Self::CopyObject | Self::UploadPartCopy)
    }

    /// Whether it addresses an object, not a bucket or the account.
    pub fn is_on_object(self) -> bool {
        match self {
            Self::Get(setting) | Self::Put(setting) | Self::Delete(setting) => setting.is_on_object(),
            _ => !matches!(
                self,
                Self::CreateBucket
                    | Self::HeadBucket
                    | Self::DeleteBucket
                    | Self::ListBuckets
                    | Self::ListObjects
                    | Self::ListObjectsV2
                    | Self::DeleteObjects
                    | Self::ListObjectVersions
                    | Self::ListMultipartUploads
                    | Self::GetBucketLocation
                    | Self::GetBucketInfo
            ),
        }
    }

    /// Whether the request's body is a document of the operation's own; a completing call's checksums are of the
    /// object, not of its document.
    pub fn has_document(self) -> bool {
        matches!(self, Self::DeleteObjects | Self::RestoreObject | Self::Put(_))
    }

    /// Whether it sets who may do what.
    pub fn is_acl_write(self) -> bool {
        matches!(self, Self::Put(setting) if setting.is_acl())
    }

    /// Whether it is a step of an upload in parts behind its beginning.
    pub fn is_multipart_step(self) -> bool {
        matches!(
            self,
            Self::UploadPart
                | Self::UploadPartCopy
                | Self::ListParts
                | Self::CompleteMultipartUpload
                | Self::AbortMultipartUpload
        )
    }

    /// Whether it answers with a page of a bucket's keys.
    pub fn is_listing(self) -> bool {
        matches!(
            self,
            Self::ListObjects | Self::ListObjectsV2 | Self::ListObjectVersions | Self::ListMultipartUploads
        )
    }

    /// Whether its answer has keys without being a page of a bucket.
    pub fn has_keys_in_response(self) -> bool {
        matches!(
            self,
            Self::ListParts
                | Self::DeleteObjects
                | Self::CreateMultipartUpload
                | Self::CompleteMultipartUpload
        )
    }

    /// Whether the operation makes an object that did not exist, with its metadata, class and access.
    pub fn creates_object(self) -> bool {
        matches!(self, Self::PutObject | Self::CopyObject | Self::CreateMultipartUpload | Self::AppendObject)
    }
}
