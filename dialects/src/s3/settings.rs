//! The documents beside objects (3.9) and buckets (3.10) of S3. The canonical trees are these, but for the filters of
//! lifecycle rules and the names of keys of encryption.

use crate::engine::dialect::AccessStyle;
use crate::engine::settings::{
    BOOLEAN, Element, Form, Unset, class, group, number, page, text, with_filters, without_filters, words,
};
use crate::model::{Fault, Group, Setting};

/// 7.3
pub const ACCESS: AccessStyle = AccessStyle {
    by_word: false,
    headers_win: false,
    groups: &[
        (Group::Everyone, "http://acs.amazonaws.com/groups/global/AllUsers"),
        (Group::Authenticated, "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"),
        (Group::LogDelivery, "http://acs.amazonaws.com/groups/s3/LogDelivery"),
    ],
    group_ids: &[],
    owner_implied: false,
};

/// 3.9, 3.10
pub const FORMS: &[Form] = &[
    Form::new(Setting::ObjectAcl, &["acl"], "AccessControlPolicy", &[], Unset::Empty).kept(),
    Form::new(Setting::BucketAcl, &["acl"], "AccessControlPolicy", &[], Unset::Empty).kept(),
    Form::new(Setting::ObjectTagging, &["tagging"], "Tagging", TAGGING, Unset::Children(&[("TagSet", "")])),
    Form::new(Setting::BucketTagging, &["tagging"], "Tagging", TAGGING, Unset::Fault(Fault::NoSuchTagSet))
        .bare_put(),
    Form::new(
        Setting::Retention,
        &["retention"],
        "Retention",
        &[words("Mode", MODES), text("RetainUntilDate")],
        Unset::Fault(Fault::NoSuchRetention),
    )
    .kept(),
    Form::new(
        Setting::LegalHold,
        &["legal-hold"],
        "LegalHold",
        &[words("Status", &[("ON", "ON"), ("OFF", "OFF")])],
        Unset::Fault(Fault::NoSuchRetention),
    )
    .kept(),
    Form::new(
        Setting::Versioning,
        &["versioning"],
        "VersioningConfiguration",
        &[
            words("Status", &[("Enabled", "Enabled"), ("Suspended", "Suspended")]),
            words("MfaDelete", ENABLED),
        ],
        Unset::Empty,
    )
    .kept(),
    Form::new(
        Setting::Cors,
        &["cors"],
        "CORSConfiguration",
        &[group(
            "CORSRule",
            &[
                text("ID"),
                text("AllowedHeader"),
                text("AllowedMethod"),
                text("AllowedOrigin"),
                text("ExposeHeader"),
                number("MaxAgeSeconds"),
            ],
        )],
        Unset::Fault(Fault::NoSuchCors),
    ),
    Form::new(
        Setting::Lifecycle,
        &["lifecycle"],
        "LifecycleConfiguration",
        LIFECYCLE,
        Unset::Fault(Fault::NoSuchLifecycle),
    )
    .shaped(without_filters, with_filters),
    Form::new(Setting::Policy, &["policy"], "", &[], Unset::Fault(Fault::NoSuchBucketPolicy)).bare_put(),
    Form::new(
        Setting::Website,
        &["website"],
        "WebsiteConfiguration",
        WEBSITE,
        Unset::Fault(Fault::NoSuchWebsite),
    ),
    Form::new(
        Setting::Logging,
        &["logging"],
        "BucketLoggingStatus",
        &[group(
            "LoggingEnabled",
            &[text("TargetBucket"), text("TargetPrefix"), text("TargetObjectKeyFormat")],
        )],
        Unset::Empty,
    )
    .kept(),
    Form::new(
        Setting::Encryption,
        &["encryption"],
        "ServerSideEncryptionConfiguration",
        &[group(
            "Rule",
            &[
                group(
                    "ApplyServerSideEncryptionByDefault",
                    &[
                        words(
                            "SSEAlgorithm",
                            &[("AES256", "AES256"), ("KMS", "aws:kms"), ("KMSDSSE", "aws:kms:dsse")],
                        ),
                        text("KMSMasterKeyID"),
                    ],
                ),
                text("BucketKeyEnabled"),
                group("BlockedEncryptionTypes", &[text("EncryptionType")]),
            ],
        )],
        Unset::Fault(Fault::NoSuchEncryption),
    ),
    Form::new(
        Setting::PublicAccessBlock,
        &["publicAccessBlock"],
        "PublicAccessBlockConfiguration",
        &[
            words("BlockPublicAcls", BOOLEAN),
            words("IgnorePublicAcls", BOOLEAN),
            words("BlockPublicPolicy", BOOLEAN),
            words("RestrictPublicBuckets", BOOLEAN),
        ],
        Unset::Fault(Fault::NoSuchPublicAccessBlock),
    ),
    Form::new(
        Setting::RequestPayment,
        &["requestPayment"],
        "RequestPaymentConfiguration",
        &[words("Payer", &[("BucketOwner", "BucketOwner"), ("Requester", "Requester")])],
        Unset::Empty,
    )
    .kept(),
    Form::new(
        Setting::ObjectLock,
        &["object-lock"],
        "ObjectLockConfiguration",
        &[
            words("ObjectLockEnabled", &[("Enabled", "Enabled")]),
            group(
                "Rule",
                &[group("DefaultRetention", &[words("Mode", MODES), number("Days"), number("Years")])],
            ),
        ],
        Unset::Fault(Fault::NoSuchObjectLock),
    )
    .kept(),
    // The destination's accounts and names are a vendor's own: it stays within the family.
    Form::new(
        Setting::Inventory,
        &["inventory", "id"],
        "InventoryConfiguration",
        INVENTORY,
        Unset::Fault(Fault::NoSuchConfiguration),
    ),
    Form::new(
        Setting::Inventories,
        &["inventory"],
        "ListInventoryConfigurationsResult",
        &page(group("InventoryConfiguration", INVENTORY)),
        Unset::Empty,
    )
    .read_only(),
    Form::new(
        Setting::Acceleration,
        &["accelerate"],
        "AccelerateConfiguration",
        &[words("Status", &[("Enabled", "Enabled"), ("Suspended", "Suspended")])],
        Unset::Empty,
    )
    .kept(),
    Form::new(
        Setting::Ownership,
        &["ownershipControls"],
        "OwnershipControls",
        &[group("Rule", &[text("ObjectOwnership")])],
        Unset::Fault(Fault::NoSuchOwnership),
    ),
    Form::new(
        Setting::PolicyStatus,
        &["policyStatus"],
        "PolicyStatus",
        &[words("IsPublic", BOOLEAN)],
        Unset::Fault(Fault::NoSuchBucketPolicy),
    )
    .read_only(),
    Form::new(
        Setting::IntelligentTiering,
        &["intelligent-tiering", "id"],
        "IntelligentTieringConfiguration",
        TIERING,
        Unset::Fault(Fault::NoSuchConfiguration),
    ),
    Form::new(
        Setting::IntelligentTierings,
        &["intelligent-tiering"],
        "ListBucketIntelligentTieringConfigurationsOutput",
        &page(group("IntelligentTieringConfiguration", TIERING)),
        Unset::Empty,
    )
    .read_only(),
    Form::new(
        Setting::Metrics,
        &["metrics", "id"],
        "MetricsConfiguration",
        METRICS,
        Unset::Fault(Fault::NoSuchConfiguration),
    ),
    Form::new(
        Setting::AllMetrics,
        &["metrics"],
        "ListMetricsConfigurationsResult",
        &page(group("MetricsConfiguration", METRICS)),
        Unset::Empty,
    )
    .read_only(),
];

const TAGGING: &[Element] = &[group("TagSet", &[group("Tag", &[text("Key"), text("Value")])])];

const MODES: &[(&str, &str)] = &[("GOVERNANCE", "GOVERNANCE"), ("COMPLIANCE", "COMPLIANCE")];

const ENABLED: &[(&str, &str)] = &[("Enabled", "Enabled"), ("Disabled", "Disabled")];

const TAG: Element = group("Tag", &[text("Key"), text("Value")]);

const LIFECYCLE: &[Element] = &[group(
    "Rule",
    &[
        text("ID"),
        group(
            "Filter",
            &[
                text("Prefix"),
                TAG,
                number("ObjectSizeGreaterThan"),
                number("ObjectSizeLessThan"),
                group(
                    "And",
                    &[text("Prefix"), TAG, number("ObjectSizeGreaterThan"), number("ObjectSizeLessThan")],
                ),
            ],
        ),
        text("Prefix"),
        words("Status", ENABLED),
        group("Expiration", &[number("Days"), text("Date"), words("ExpiredObjectDeleteMarker", BOOLEAN)]),
        group("Transition", &[number("Days"), text("Date"), class("StorageClass")]),
        group("NoncurrentVersionExpiration", &[number("NoncurrentDays"), number("NewerNoncurrentVersions")]),
        group(
            "NoncurrentVersionTransition",
            &[number("NoncurrentDays"), number("NewerNoncurrentVersions"), class("StorageClass")],
        ),
        group("AbortIncompleteMultipartUpload", &[number("DaysAfterInitiation")]),
    ],
)];

const PROTOCOLS: &[(&str, &str)] = &[("http", "http"), ("https", "https")];

const WEBSITE: &[Element] = &[
    group("RedirectAllRequestsTo", &[text("HostName"), words("Protocol", PROTOCOLS)]),
    group("IndexDocument", &[text("Suffix")]),
    group("ErrorDocument", &[text("Key")]),
    group(
        "RoutingRules",
        &[group(
            "RoutingRule",
            &[
                group("Condition", &[number("HttpErrorCodeReturnedEquals"), text("KeyPrefixEquals")]),
                group(
                    "Redirect",
                    &[
                        text("HostName"),
                        number("HttpRedirectCode"),
                        words("Protocol", PROTOCOLS),
                        text("ReplaceKeyPrefixWith"),
                        text("ReplaceKeyWith"),
                    ],
                ),
            ],
        )],
    ),
];

const INVENTORY: &[Element] = &[
    text("Id"),
    text("IsEnabled"),
    group("Filter", &[text("Prefix")]),
    group(
        "Destination",
        &[group(
            "S3BucketDestination",
            &[
                text("AccountId"),
                text("Bucket"),
                text("Format"),
                text("Prefix"),
                group("Encryption", &[group("SSE-KMS", &[text("KeyId")]), group("SSE-S3", &[])]),
            ],
        )],
    ),
    group("Schedule", &[text("Frequency")]),
    text("IncludedObjectVersions"),
    group("OptionalFields", &[text("Field")]),
];

const ONE_FILTER: Element = group("Filter", &[text("Prefix"), TAG, group("And", &[text("Prefix"), TAG])]);

const TIERING: &[Element] = &[
    text("Id"),
    ONE_FILTER,
    words("Status", ENABLED),
    group("Tiering", &[text("AccessTier"), number("Days")]),
];

const METRICS: &[Element] = &[text("Id"), ONE_FILTER];
