//! The documents beside objects (3.9) and buckets (3.10) of S3. The canonical trees are these, but for the filters of
//! lifecycle rules and the names of keys of encryption.

use crate::dialect::AclStyle;
use crate::dialect::settings_schema::{
    BOOLEAN, ElementSchema, SettingSchema, UnsetResponse, class_element, group_element, number_element,
    page_elements, text_element, words_element,
};
use crate::documents::settings_documents::{flatten_filters, restore_filters};
use crate::model::{ErrorKind, Group, Setting};

/// 7.3
pub const ACL_STYLE: AclStyle = AclStyle {
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

/// 3.9, 3.10
pub const SCHEMAS: &[SettingSchema] = &[
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
        &[words_element("Mode", MODES), text_element("RetainUntilDate")],
        UnsetResponse::Error(ErrorKind::NoSuchRetention),
    )
    .without_delete(),
    SettingSchema::new(
        Setting::LegalHold,
        &["legal-hold"],
        "LegalHold",
        &[words_element("Status", &[("ON", "ON"), ("OFF", "OFF")])],
        UnsetResponse::Error(ErrorKind::NoSuchRetention),
    )
    .without_delete(),
    SettingSchema::new(
        Setting::Versioning,
        &["versioning"],
        "VersioningConfiguration",
        &[
            words_element("Status", &[("Enabled", "Enabled"), ("Suspended", "Suspended")]),
            words_element("MfaDelete", ENABLED),
        ],
        UnsetResponse::Empty,
    )
    .without_delete(),
    SettingSchema::new(
        Setting::Cors,
        &["cors"],
        "CORSConfiguration",
        &[group_element(
            "CORSRule",
            &[
                text_element("ID"),
                text_element("AllowedHeader"),
                text_element("AllowedMethod"),
                text_element("AllowedOrigin"),
                text_element("ExposeHeader"),
                number_element("MaxAgeSeconds"),
            ],
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
        &[
            words_element("ObjectLockEnabled", &[("Enabled", "Enabled")]),
            group_element(
                "Rule",
                &[group_element(
                    "DefaultRetention",
                    &[words_element("Mode", MODES), number_element("Days"), number_element("Years")],
                )],
            ),
        ],
        UnsetResponse::Error(ErrorKind::NoSuchObjectLock),
    )
    .without_delete(),
    // The destination's accounts and names are a vendor's own: it stays within the family.
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
        &[words_element("Status", &[("Enabled", "Enabled"), ("Suspended", "Suspended")])],
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

const TAGGING: &[ElementSchema] =
    &[group_element("TagSet", &[group_element("Tag", &[text_element("Key"), text_element("Value")])])];

const MODES: &[(&str, &str)] = &[("GOVERNANCE", "GOVERNANCE"), ("COMPLIANCE", "COMPLIANCE")];

const ENABLED: &[(&str, &str)] = &[("Enabled", "Enabled"), ("Disabled", "Disabled")];

const TAG: ElementSchema = group_element("Tag", &[text_element("Key"), text_element("Value")]);

const LIFECYCLE: &[ElementSchema] = &[group_element(
    "Rule",
    &[
        text_element("ID"),
        group_element(
            "Filter",
            &[
                text_element("Prefix"),
                TAG,
                number_element("ObjectSizeGreaterThan"),
                number_element("ObjectSizeLessThan"),
                group_element(
                    "And",
                    &[
                        text_element("Prefix"),
                        TAG,
                        number_element("ObjectSizeGreaterThan"),
                        number_element("ObjectSizeLessThan"),
                    ],
                ),
            ],
        ),
        text_element("Prefix"),
        words_element("Status", ENABLED),
        group_element(
            "Expiration",
            &[
                number_element("Days"),
                text_element("Date"),
                words_element("ExpiredObjectDeleteMarker", BOOLEAN),
            ],
        ),
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
        group_element("AbortIncompleteMultipartUpload", &[number_element("DaysAfterInitiation")]),
    ],
)];

const PROTOCOLS: &[(&str, &str)] = &[("http", "http"), ("https", "https")];

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
    words_element("Status", ENABLED),
    group_element("Tiering", &[text_element("AccessTier"), number_element("Days")]),
];

const METRICS: &[ElementSchema] = &[text_element("Id"), ONE_FILTER];
