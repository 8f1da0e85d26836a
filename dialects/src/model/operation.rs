//! What a request asks for.

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
}

/// What an operation needs to be allowed on a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Reading objects and listings.
    Read,
    /// Writing and deleting objects.
    Write,
    /// Creating and deleting buckets.
    Admin,
    /// Nothing on a bucket: the answer is filtered by the caller's grants.
    Nothing,
}

impl Operation {
    /// Every operation, in the order they are printed.
    pub const ALL: [Self; 17] = [
        Self::PutObject,
        Self::GetObject,
        Self::HeadObject,
        Self::DeleteObject,
        Self::CopyObject,
        Self::CreateMultipartUpload,
        Self::UploadPart,
        Self::UploadPartCopy,
        Self::CompleteMultipartUpload,
        Self::AbortMultipartUpload,
        Self::ListParts,
        Self::CreateBucket,
        Self::HeadBucket,
        Self::DeleteBucket,
        Self::ListBuckets,
        Self::ListObjects,
        Self::ListObjectsV2,
    ];

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
        }
    }

    /// What the caller must be granted on the request's bucket. A copy's source needs [`Need::Read`] besides.
    pub fn need(self) -> Need {
        match self {
            Self::PutObject
            | Self::DeleteObject
            | Self::CopyObject
            | Self::CreateMultipartUpload
            | Self::UploadPart
            | Self::UploadPartCopy
            | Self::CompleteMultipartUpload
            | Self::AbortMultipartUpload => Need::Write,
            Self::GetObject
            | Self::HeadObject
            | Self::ListParts
            | Self::HeadBucket
            | Self::ListObjects
            | Self::ListObjectsV2 => Need::Read,
            Self::CreateBucket | Self::DeleteBucket => Need::Admin,
            Self::ListBuckets => Need::Nothing,
        }
    }

    /// Whether the operation changes something at the target, so that it must never be sent twice.
    pub fn writes(self) -> bool {
        matches!(self.need(), Need::Write | Need::Admin)
    }

    /// Whether the object's bytes travel through us: these are streamed, everything else is a small exchange.
    pub fn streams(self) -> bool {
        matches!(self, Self::PutObject | Self::GetObject | Self::HeadObject | Self::UploadPart)
    }

    /// Whether the request carries the object's bytes.
    pub fn uploads(self) -> bool {
        matches!(self, Self::PutObject | Self::UploadPart)
    }

    /// Whether it copies on the target's side.
    pub fn copies(self) -> bool {
        matches!(self, Self::CopyObject | Self::UploadPartCopy)
    }

    /// Whether it addresses an object, not a bucket or the account.
    pub fn on_object(self) -> bool {
        !matches!(
            self,
            Self::CreateBucket
                | Self::HeadBucket
                | Self::DeleteBucket
                | Self::ListBuckets
                | Self::ListObjects
                | Self::ListObjectsV2
        )
    }

    /// Whether the operation makes an object that did not exist, with its metadata, class and access.
    pub fn places(self) -> bool {
        matches!(self, Self::PutObject | Self::CopyObject | Self::CreateMultipartUpload)
    }
}
