//! Documents that a bucket or an object has beside it, each with calls to get, put and delete it.

/// One kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the vendors' own words")]
pub enum Setting {
    ObjectAcl,
    ObjectTagging,
    Retention,
    LegalHold,
    BucketAcl,
    BucketTagging,
    Versioning,
    Cors,
    Lifecycle,
    Policy,
    Website,
    Logging,
    Encryption,
    PublicAccessBlock,
    RequestPayment,
    ObjectLock,
    Referer,
    Inventory,
}

impl Setting {
    /// Every kind, in the order they are printed.
    pub const ALL: [Self; 18] = [
        Self::ObjectAcl,
        Self::ObjectTagging,
        Self::Retention,
        Self::LegalHold,
        Self::BucketAcl,
        Self::BucketTagging,
        Self::Versioning,
        Self::Cors,
        Self::Lifecycle,
        Self::Policy,
        Self::Website,
        Self::Logging,
        Self::Encryption,
        Self::PublicAccessBlock,
        Self::RequestPayment,
        Self::ObjectLock,
        Self::Referer,
        Self::Inventory,
    ];

    /// The name in messages.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// Whether an object has it, not a bucket.
    pub fn on_object(self) -> bool {
        matches!(self, Self::ObjectAcl | Self::ObjectTagging | Self::Retention | Self::LegalHold)
    }

    /// Whether it says who may do what.
    pub fn is_access(self) -> bool {
        matches!(self, Self::ObjectAcl | Self::BucketAcl)
    }

    /// The names of its calls: to get, put and delete it.
    pub(super) fn calls(self) -> [&'static str; 3] {
        match self {
            Self::ObjectAcl => ["GetObjectAcl", "PutObjectAcl", "DeleteObjectAcl"],
            Self::ObjectTagging => ["GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging"],
            Self::Retention => ["GetObjectRetention", "PutObjectRetention", "DeleteObjectRetention"],
            Self::LegalHold => ["GetObjectLegalHold", "PutObjectLegalHold", "DeleteObjectLegalHold"],
            Self::BucketAcl => ["GetBucketAcl", "PutBucketAcl", "DeleteBucketAcl"],
            Self::BucketTagging => ["GetBucketTagging", "PutBucketTagging", "DeleteBucketTagging"],
            Self::Versioning => ["GetBucketVersioning", "PutBucketVersioning", "DeleteBucketVersioning"],
            Self::Cors => ["GetBucketCors", "PutBucketCors", "DeleteBucketCors"],
            Self::Lifecycle => ["GetBucketLifecycle", "PutBucketLifecycle", "DeleteBucketLifecycle"],
            Self::Policy => ["GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"],
            Self::Website => ["GetBucketWebsite", "PutBucketWebsite", "DeleteBucketWebsite"],
            Self::Logging => ["GetBucketLogging", "PutBucketLogging", "DeleteBucketLogging"],
            Self::Encryption => ["GetBucketEncryption", "PutBucketEncryption", "DeleteBucketEncryption"],
            Self::PublicAccessBlock => {
                ["GetPublicAccessBlock", "PutPublicAccessBlock", "DeletePublicAccessBlock"]
            }
            Self::RequestPayment => {
                ["GetBucketRequestPayment", "PutBucketRequestPayment", "DeleteBucketRequestPayment"]
            }
            Self::ObjectLock => {
                ["GetObjectLockConfiguration", "PutObjectLockConfiguration", "DeleteObjectLockConfiguration"]
            }
            Self::Referer => ["GetBucketReferer", "PutBucketReferer", "DeleteBucketReferer"],
            Self::Inventory => ["GetBucketInventory", "PutBucketInventory", "DeleteBucketInventory"],
        }
    }
}
