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
    Inventories,
    Acceleration,
    Ownership,
    PolicyStatus,
    IntelligentTiering,
    IntelligentTierings,
    Metrics,
    AllMetrics,
    AccessMonitor,
    ArchiveDirectRead,
    ResourceGroup,
    Https,
    Stat,
}

impl Setting {
    /// Every kind, in the order they are printed.
    pub const ALL: [Self; 31] = [
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
        Self::Inventories,
        Self::Acceleration,
        Self::Ownership,
        Self::PolicyStatus,
        Self::IntelligentTiering,
        Self::IntelligentTierings,
        Self::Metrics,
        Self::AllMetrics,
        Self::AccessMonitor,
        Self::ArchiveDirectRead,
        Self::ResourceGroup,
        Self::Https,
        Self::Stat,
    ];

    /// The name in messages.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// Whether an object has it, not a bucket.
    pub fn is_on_object(self) -> bool {
        matches!(self, Self::ObjectAcl | Self::ObjectTagging | Self::Retention | Self::LegalHold)
    }

    /// Whether a bucket has several, each with an id.
    pub fn has_id(self) -> bool {
        matches!(self, Self::Inventory | Self::IntelligentTiering | Self::Metrics)
    }

    /// Whether it lists those that have ids, page by page.
    pub fn is_list(self) -> bool {
        matches!(self, Self::Inventories | Self::IntelligentTierings | Self::AllMetrics)
    }

    /// Whether it says who may do what.
    pub fn is_acl(self) -> bool {
        matches!(self, Self::ObjectAcl | Self::BucketAcl)
    }

    /// The names of its calls: to get, put and delete it.
    pub(super) fn operation_names(self) -> [&'static str; 3] {
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
            Self::Inventories => [
                "ListBucketInventoryConfigurations",
                "PutBucketInventoryConfigurations",
                "DeleteBucketInventoryConfigurations",
            ],
            Self::IntelligentTierings => [
                "ListBucketIntelligentTieringConfigurations",
                "PutBucketIntelligentTieringConfigurations",
                "DeleteBucketIntelligentTieringConfigurations",
            ],
            Self::AllMetrics => [
                "ListBucketMetricsConfigurations",
                "PutBucketMetricsConfigurations",
                "DeleteBucketMetricsConfigurations",
            ],
            Self::Acceleration => [
                "GetBucketAccelerateConfiguration",
                "PutBucketAccelerateConfiguration",
                "DeleteBucketAccelerateConfiguration",
            ],
            Self::Ownership => {
                ["GetBucketOwnershipControls", "PutBucketOwnershipControls", "DeleteBucketOwnershipControls"]
            }
            Self::PolicyStatus => {
                ["GetBucketPolicyStatus", "PutBucketPolicyStatus", "DeleteBucketPolicyStatus"]
            }
            Self::IntelligentTiering => [
                "GetBucketIntelligentTieringConfiguration",
                "PutBucketIntelligentTieringConfiguration",
                "DeleteBucketIntelligentTieringConfiguration",
            ],
            Self::Metrics => [
                "GetBucketMetricsConfiguration",
                "PutBucketMetricsConfiguration",
                "DeleteBucketMetricsConfiguration",
            ],
            Self::AccessMonitor => {
                ["GetBucketAccessMonitor", "PutBucketAccessMonitor", "DeleteBucketAccessMonitor"]
            }
            Self::ArchiveDirectRead => {
                ["GetBucketArchiveDirectRead", "PutBucketArchiveDirectRead", "DeleteBucketArchiveDirectRead"]
            }
            Self::ResourceGroup => {
                ["GetBucketResourceGroup", "PutBucketResourceGroup", "DeleteBucketResourceGroup"]
            }
            Self::Stat => ["GetBucketStat", "PutBucketStat", "DeleteBucketStat"],
            Self::Https => ["GetBucketHttpsConfig", "PutBucketHttpsConfig", "DeleteBucketHttpsConfig"],
        }
    }
}
