//! The settings documents of S3. The canonical trees have the same form, except for the filters of lifecycle rules and
//! the names of encryption keys.

use crate::dialect::AclStyle;
use crate::dialect::common_settings::{
    CORS_EXPOSED_HEADER, CORS_HEADER, CORS_MAX_AGE, CORS_METHOD, CORS_ORIGIN, EXPIRATION, LEGAL_HOLD,
    LIFECYCLE_STATUS, LOCK_ENABLED, LOCK_RULE, PROTOCOLS, RETENTION, RULE_STATUS, SIZE_GREATER, SIZE_LESS,
    TAG, TAGGING, UPLOAD_ABORT, VERSIONING_STATUS,
};
use crate::dialect::settings_schema::{
    BOOLEAN, ElementSchema, SettingSchema, UnsetResponse, class_element, group_element, number_element,
    page_elements, text_element, words_element,
};
use crate::documents::settings_documents::{flatten_filters, restore_filters};
use crate::model::{ErrorKind, Group, Setting};

/// Amazon S3, Access control list (ACL) overview.
pub(crate) const ACL_STYLE: AclStyle = AclStyle {
    group_element: "URI",
    // boto3 and the AWS CLI require the attribute `xsi:type`, so it must be written.
    has_grantee_type: true,
    canned_in_document: false,
    headers_take_precedence: false,
    groups: &[
        (Group::Everyone, "http://acs.amazonaws.com/groups/global/AllUsers"),
        (Group::Authenticated, "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"),
        (Group::LogDelivery, "http://acs.amazonaws.com/groups/s3/LogDelivery"),
    ],
    group_ids: &[],
    implies_owner_control: false,
};

/// Amazon S3, the request and response syntax of each operation on a setting.
pub(crate) const SCHEMAS: &[SettingSchema] = &[
    SettingSchema::new(Setting::ObjectAcl, &["acl"], "AccessControlPolicy", &[], UnsetResponse::Empty)
        .without_delete(),
    SettingSchema::new(Setting::BucketAcl, &["acl"], "AccessControlPolicy", &[], UnsetResponse::Empty)
        .without_delete(),
    SettingSchema::new(
        Setting::ObjectTagging,
        &["tagging"],
        "Tagging",
        TAGGING,
        UnsetResponse::Children(&[("TagSet", "")]),
    ),
    SettingSchema::new(
        Setting::BucketTagging,
        &["tagging"],
        "Tagging",
        TAGGING,
        UnsetResponse::Error(ErrorKind::NoSuchTagSet),
    )
    .with_put_status_204(),
    SettingSchema::new(
        Setting::Retention,
        &["retention"],
        "Retention",
        RETENTION,
        UnsetResponse::Error(ErrorKind::NoSuchRetention),
    )
    .without_delete(),
    SettingSchema::new(
        Setting::LegalHold,
        &["legal-hold"],
        "LegalHold",
        LEGAL_HOLD,
        UnsetResponse::Error(ErrorKind::NoSuchRetention),
    )
    .without_delete(),
    SettingSchema::new(
        Setting::Versioning,
        &["versioning"],
        "VersioningConfiguration",
        &[VERSIONING_STATUS, words_element("MfaDelete", RULE_STATUS)],
        UnsetResponse::Empty,
    )
    .without_delete(),
    SettingSchema::new(
        Setting::Cors,
        &["cors"],
        "CORSConfiguration",
        &[group_element(
            "CORSRule",
            &[text_element("ID"), CORS_HEADER, CORS_METHOD, CORS_ORIGIN, CORS_EXPOSED_HEADER, CORS_MAX_AGE],
        )],
        UnsetResponse::Error(ErrorKind::NoSuchCors),
    ),
    SettingSchema::new(
        Setting::Lifecycle,
        &["lifecycle"],
        "LifecycleConfiguration",
        LIFECYCLE,
        UnsetResponse::Error(ErrorKind::NoSuchLifecycle),
    )
    .with_conversion(flatten_filters, restore_filters),
    // A bucket policy is JSON, so it has no root element and no schema.
    SettingSchema::new(
        Setting::Policy,
        &["policy"],
        "",
        &[],
        UnsetResponse::Error(ErrorKind::NoSuchBucketPolicy),
    )
    .with_put_status_204(),
    SettingSchema::new(
        Setting::Website,
        &["website"],
        "WebsiteConfiguration",
        WEBSITE,
        UnsetResponse::Error(ErrorKind::NoSuchWebsite),
    ),
    SettingSchema::new(
        Setting::Logging,
        &["logging"],
        "BucketLoggingStatus",
        &[group_element(
            "LoggingEnabled",
            &[
                text_element("TargetBucket"),
                text_element("TargetPrefix"),
                text_element("TargetObjectKeyFormat"),
            ],
        )],
        UnsetResponse::Empty,
    )
    .without_delete(),
    SettingSchema::new(
        Setting::Encryption,
        &["encryption"],
        "ServerSideEncryptionConfiguration",
        &[group_element(
            "Rule",
            &[
                group_element(
                    "ApplyServerSideEncryptionByDefault",
                    &[
                        words_element(
                            "SSEAlgorithm",
                            &[("AES256", "AES256"), ("KMS", "aws:kms"), ("KMSDSSE", "aws:kms:dsse")],
                        ),
                        text_element("KMSMasterKeyID"),
                    ],
                ),
                text_element("BucketKeyEnabled"),
                group_element("BlockedEncryptionTypes", &[text_element("EncryptionType")]),
            ],
        )],
        UnsetResponse::Error(ErrorKind::NoSuchEncryption),
    ),
    SettingSchema::new(
        Setting::PublicAccessBlock,
        &["publicAccessBlock"],
        "PublicAccessBlockConfiguration",
        &[
            words_element("BlockPublicAcls", BOOLEAN),
            words_element("IgnorePublicAcls", BOOLEAN),
            words_element("BlockPublicPolicy", BOOLEAN),
            words_element("RestrictPublicBuckets", BOOLEAN),
        ],
        UnsetResponse::Error(ErrorKind::NoSuchPublicAccessBlock),
    ),
    SettingSchema::new(
        Setting::RequestPayment,
        &["requestPayment"],
        "RequestPaymentConfiguration",
        &[words_element("Payer", &[("BucketOwner", "BucketOwner"), ("Requester", "Requester")])],
        UnsetResponse::Empty,
    )
    .without_delete(),
    SettingSchema::new(
        Setting::ObjectLock,
        &["object-lock"],
        "ObjectLockConfiguration",
        &[LOCK_ENABLED, LOCK_RULE],
        UnsetResponse::Error(ErrorKind::NoSuchObjectLock),
    )
    .without_delete(),
    // The destination contains account IDs and resource names, so the document must not be sent to other vendors.
    SettingSchema::new(
        Setting::Inventory,
        &["inventory", "id"],
        "InventoryConfiguration",
        INVENTORY,
        UnsetResponse::Error(ErrorKind::NoSuchConfiguration),
    ),
    SettingSchema::new(
        Setting::Inventories,
        &["inventory"],
        "ListInventoryConfigurationsResult",
        &page_elements(group_element("InventoryConfiguration", INVENTORY)),
        UnsetResponse::Empty,
    )
    .without_put(),
    SettingSchema::new(
        Setting::Acceleration,
        &["accelerate"],
        "AccelerateConfiguration",
        &[VERSIONING_STATUS],
        UnsetResponse::Empty,
    )
    .without_delete(),
    SettingSchema::new(
        Setting::Ownership,
        &["ownershipControls"],
        "OwnershipControls",
        &[group_element("Rule", &[text_element("ObjectOwnership")])],
        UnsetResponse::Error(ErrorKind::NoSuchOwnership),
    ),
    SettingSchema::new(
        Setting::PolicyStatus,
        &["policyStatus"],
        "PolicyStatus",
        &[words_element("IsPublic", BOOLEAN)],
        UnsetResponse::Error(ErrorKind::NoSuchBucketPolicy),
    )
    .without_put(),
    SettingSchema::new(
        Setting::IntelligentTiering,
        &["intelligent-tiering", "id"],
        "IntelligentTieringConfiguration",
        TIERING,
        UnsetResponse::Error(ErrorKind::NoSuchConfiguration),
    ),
    SettingSchema::new(
        Setting::IntelligentTierings,
        &["intelligent-tiering"],
        "ListBucketIntelligentTieringConfigurationsOutput",
        &page_elements(group_element("IntelligentTieringConfiguration", TIERING)),
        UnsetResponse::Empty,
    )
    .without_put(),
    SettingSchema::new(
        Setting::Metrics,
        &["metrics", "id"],
        "MetricsConfiguration",
        METRICS,
        UnsetResponse::Error(ErrorKind::NoSuchConfiguration),
    ),
    SettingSchema::new(
        Setting::AllMetrics,
        &["metrics"],
        "ListMetricsConfigurationsResult",
        &page_elements(group_element("MetricsConfiguration", METRICS)),
        UnsetResponse::Empty,
    )
    .without_put(),
];

const LIFECYCLE: &[ElementSchema] = &[group_element(
    "Rule",
    &[
        text_element("ID"),
        group_element(
            "Filter",
            &[
                text_element("Prefix"),
                TAG,
                SIZE_GREATER,
                SIZE_LESS,
                group_element("And", &[text_element("Prefix"), TAG, SIZE_GREATER, SIZE_LESS]),
            ],
        ),
        // The earlier form without a filter, which S3 still accepts.
        text_element("Prefix"),
        LIFECYCLE_STATUS,
        EXPIRATION,
        group_element(
            "Transition",
            &[number_element("Days"), text_element("Date"), class_element("StorageClass")],
        ),
        group_element(
            "NoncurrentVersionExpiration",
            &[number_element("NoncurrentDays"), number_element("NewerNoncurrentVersions")],
        ),
        group_element(
            "NoncurrentVersionTransition",
            &[
                number_element("NoncurrentDays"),
                number_element("NewerNoncurrentVersions"),
                class_element("StorageClass"),
            ],
        ),
        UPLOAD_ABORT,
    ],
)];

const WEBSITE: &[ElementSchema] = &[
    group_element("RedirectAllRequestsTo", &[text_element("HostName"), words_element("Protocol", PROTOCOLS)]),
    group_element("IndexDocument", &[text_element("Suffix")]),
    group_element("ErrorDocument", &[text_element("Key")]),
    group_element(
        "RoutingRules",
        &[group_element(
            "RoutingRule",
            &[
                group_element(
                    "Condition",
                    &[number_element("HttpErrorCodeReturnedEquals"), text_element("KeyPrefixEquals")],
                ),
                group_element(
                    "Redirect",
                    &[
                        text_element("HostName"),
                        number_element("HttpRedirectCode"),
                        words_element("Protocol", PROTOCOLS),
                        text_element("ReplaceKeyPrefixWith"),
                        text_element("ReplaceKeyWith"),
                    ],
                ),
            ],
        )],
    ),
];

const INVENTORY: &[ElementSchema] = &[
    text_element("Id"),
    text_element("IsEnabled"),
    group_element("Filter", &[text_element("Prefix")]),
    group_element(
        "Destination",
        &[group_element(
            "S3BucketDestination",
            &[
                text_element("AccountId"),
                text_element("Bucket"),
                text_element("Format"),
                text_element("Prefix"),
                group_element(
                    "Encryption",
                    &[group_element("SSE-KMS", &[text_element("KeyId")]), group_element("SSE-S3", &[])],
                ),
            ],
        )],
    ),
    group_element("Schedule", &[text_element("Frequency")]),
    text_element("IncludedObjectVersions"),
    group_element("OptionalFields", &[text_element("Field")]),
];

const ONE_FILTER: ElementSchema = group_element(
    "Filter",
    &[text_element("Prefix"), TAG, group_element("And", &[text_element("Prefix"), TAG])],
);

const TIERING: &[ElementSchema] = &[
    text_element("Id"),
    ONE_FILTER,
    LIFECYCLE_STATUS,
    group_element("Tiering", &[text_element("AccessTier"), number_element("Days")]),
];

const METRICS: &[ElementSchema] = &[text_element("Id"), ONE_FILTER];

/// Settings that S3 does not have.
pub const ABSENT_SETTINGS: &[Setting] = &[
    Setting::Referer,
    Setting::AccessMonitor,
    Setting::ArchiveDirectRead,
    Setting::ResourceGroup,
    Setting::Https,
    Setting::Stat,
];
