//! Settings documents of a bucket or an object, each with operations that get, put and delete it.

/// Generates [`Setting`] and its tables from one row per kind of document, in the order in which they are printed:
///
/// ```text
/// Name: verb of the operation that reads it "the rest of the operations' names", its level, [properties];
/// ```
///
/// The names of the other two operations begin with `Put` and `Delete`.
macro_rules! settings {
    ($($name:ident: $verb:ident $operations:literal, $level:ident, [$($property:ident),*];)*) => {
        /// A kind of settings document.
        // Most follow one schema in all dialects, so that a table row per dialect is sufficient instead of code per
        // kind.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the names are the vendors' own")]
        pub enum Setting {
            $($name,)*
        }

        impl Setting {
            /// Every kind, in the order in which they are printed.
            pub const ALL: [Self; [$(stringify!($name)),*].len()] = [$(Self::$name),*];

            /// Whether it belongs to an object, not to a bucket.
            pub fn is_on_object(self) -> bool {
                match self {
                    $(Self::$name => matches!(SettingLevel::$level, SettingLevel::Object),)*
                }
            }

            /// The names of the operations that get, put and delete it.
            pub(super) fn operation_names(self) -> [&'static str; 3] {
                match self {
                    $(Self::$name => [
                        concat!(stringify!($verb), $operations),
                        concat!("Put", $operations),
                        concat!("Delete", $operations),
                    ],)*
                }
            }

            fn has_property(self, property: SettingProperty) -> bool {
                let properties: &[SettingProperty] = match self {
                    $(Self::$name => &[$(SettingProperty::$property),*],)*
                };
                properties.contains(&property)
            }
        }
    };
}

/// What a document belongs to.
enum SettingLevel {
    Bucket,
    Object,
}

/// Properties that only some documents have. The method of [`Setting`] for each property explains it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SettingProperty {
    Id,
    List,
    Acl,
}

settings! {
    ObjectAcl: Get "ObjectAcl", Object, [Acl];
    ObjectTagging: Get "ObjectTagging", Object, [];
    Retention: Get "ObjectRetention", Object, [];
    LegalHold: Get "ObjectLegalHold", Object, [];
    BucketAcl: Get "BucketAcl", Bucket, [Acl];
    BucketTagging: Get "BucketTagging", Bucket, [];
    Versioning: Get "BucketVersioning", Bucket, [];
    Cors: Get "BucketCors", Bucket, [];
    Lifecycle: Get "BucketLifecycle", Bucket, [];
    Policy: Get "BucketPolicy", Bucket, [];
    Website: Get "BucketWebsite", Bucket, [];
    Logging: Get "BucketLogging", Bucket, [];
    Encryption: Get "BucketEncryption", Bucket, [];
    PublicAccessBlock: Get "PublicAccessBlock", Bucket, [];
    RequestPayment: Get "BucketRequestPayment", Bucket, [];
    ObjectLock: Get "ObjectLockConfiguration", Bucket, [];
    Referer: Get "BucketReferer", Bucket, [];
    Inventory: Get "BucketInventory", Bucket, [Id];
    Inventories: List "BucketInventoryConfigurations", Bucket, [List];
    Acceleration: Get "BucketAccelerateConfiguration", Bucket, [];
    Ownership: Get "BucketOwnershipControls", Bucket, [];
    PolicyStatus: Get "BucketPolicyStatus", Bucket, [];
    IntelligentTiering: Get "BucketIntelligentTieringConfiguration", Bucket, [Id];
    IntelligentTierings: List "BucketIntelligentTieringConfigurations", Bucket, [List];
    Metrics: Get "BucketMetricsConfiguration", Bucket, [Id];
    AllMetrics: List "BucketMetricsConfigurations", Bucket, [List];
    AccessMonitor: Get "BucketAccessMonitor", Bucket, [];
    ArchiveDirectRead: Get "BucketArchiveDirectRead", Bucket, [];
    ResourceGroup: Get "BucketResourceGroup", Bucket, [];
    Https: Get "BucketHttpsConfig", Bucket, [];
    Stat: Get "BucketStat", Bucket, [];
}

impl Setting {
    /// The name in messages.
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// Whether a bucket can have several of them, each with an ID.
    pub fn has_id(self) -> bool {
        self.has_property(SettingProperty::Id)
    }

    /// Whether it is a page of the documents of a kind that has IDs.
    pub fn is_list(self) -> bool {
        self.has_property(SettingProperty::List)
    }

    /// Whether it is an access control list.
    pub fn is_acl(self) -> bool {
        self.has_property(SettingProperty::Acl)
    }
}
