//! The settings documents of COS.

use crate::dialect::AclStyle;
use crate::dialect::common_settings::{
    CORS_EXPOSED_HEADER, CORS_HEADER, CORS_MAX_AGE, CORS_METHOD, CORS_ORIGIN, EXPIRATION, LIFECYCLE_STATUS,
    LOCK_ENABLED, LOCK_RULE, PROTOCOLS, RETENTION, SIZE_GREATER, SIZE_LESS, TAG, TAGGING, UPLOAD_ABORT,
    VERSION_EXPIRATION, VERSIONING_STATUS,
};
use crate::dialect::settings_schema::{
    BOOLEAN, ElementSchema, SettingSchema, UnsetResponse, class_element, group_element, number_element,
    page_elements, text_element, with_name, words_element,
};
use crate::documents::settings_documents::{flatten_filters, nest_filters};
use crate::encoding::xml::{Node, text_node};
use crate::model::{ErrorKind, Group, Setting};

/// COS, PUT Bucket acl, PUT Object acl and Access control basics.
pub(crate) const ACL_STYLE: AclStyle = AclStyle {
    group_element: "URI",
    has_grantee_type: true,
    canned_in_document: false,
    headers_take_precedence: true,
    groups: &[
        (Group::Everyone, "http://cam.qcloud.com/groups/global/AllUsers"),
        (Group::Authenticated, "http://cam.qcloud.com/groups/global/AuthenticatedUsers"),
    ],
    group_ids: &[(Group::Everyone, "qcs::cam::anyone:anyone")],
    // coscmd sends a document with the new grants only, so the owner's full control must be implied.
    implies_owner_control: true,
};

/// COS, the request and response bodies of each operation on a setting.
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
    )
    .with_put_status_204(),
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
        Setting::Versioning,
        &["versioning"],
        "VersioningConfiguration",
        &[VERSIONING_STATUS],
        UnsetResponse::Empty,
    )
    .without_delete(),
    SettingSchema::new(
        Setting::Cors,
        &["cors"],
        "CORSConfiguration",
        &[
            group_element(
                "CORSRule",
                &[
                    text_element("ID"),
                    CORS_ORIGIN,
                    CORS_METHOD,
                    CORS_HEADER,
                    CORS_EXPOSED_HEADER,
                    CORS_MAX_AGE,
                ],
            ),
            words_element("ResponseVary", BOOLEAN),
        ],
        UnsetResponse::Error(ErrorKind::NoSuchCors),
    ),
    SettingSchema::new(
        Setting::Lifecycle,
        &["lifecycle"],
        "LifecycleConfiguration",
        LIFECYCLE,
        UnsetResponse::Error(ErrorKind::NoSuchLifecycle),
    )
    .with_conversion(flatten_filters, nest_filters),
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
        &[group_element("LoggingEnabled", &[text_element("TargetBucket"), text_element("TargetPrefix")])],
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
                group_element("ApplyServerSideEncryptionByDefault", ENCRYPTION),
                // The SDKs for Python and Node.js send this name, and COS accepts it.
                with_name(
                    "ApplySideEncryptionConfiguration",
                    group_element("ApplyServerSideEncryptionByDefault", ENCRYPTION),
                ),
            ],
        )],
        UnsetResponse::Error(ErrorKind::NoSuchEncryption),
    ),
    SettingSchema::new(
        Setting::ObjectLock,
        &["object-lock"],
        "ObjectLockConfiguration",
        &[LOCK_ENABLED, LOCK_RULE],
        UnsetResponse::Error(ErrorKind::NoSuchObjectLock),
    )
    .without_delete(),
    SettingSchema::new(
        Setting::Referer,
        &["referer"],
        "RefererConfiguration",
        &[
            text_element("Status"),
            text_element("RefererType"),
            group_element("DomainList", &[text_element("Domain")]),
            text_element("EmptyReferConfiguration"),
            text_element("VerifySignatureURL"),
        ],
        UnsetResponse::Error(ErrorKind::NoSuchReferer),
    )
    // cos-go-sdk-v5 has no other request to remove the configuration.
    .with_delete_by_empty_put(),
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
        "ListInventoryConfigurationResult",
        &page_elements(group_element("InventoryConfiguration", INVENTORY)),
        UnsetResponse::Empty,
    )
    .without_put(),
    SettingSchema::new(
        Setting::Acceleration,
        &["accelerate"],
        "AccelerateConfiguration",
        &[
            words_element(
                "Status",
                &[("Enabled", "Enabled"), ("Suspended", "Suspended"), ("Suspended", "Disabled")],
            ),
            words_element("Type", &[("COS", "COS")]),
        ],
        UnsetResponse::Empty,
    )
    .without_delete()
    .with_conversion(remove_type, add_type),
];

/// COS, PUT Bucket accelerate, Type: the only value is `COS`, so it is not part of the canonical tree.
fn remove_type(mut tree: Node) -> Node {
    tree.children.retain(|child| child.name != "Type");
    tree
}

fn add_type(mut tree: Node) -> Node {
    // An unset configuration is an empty document, so it must not get a type.
    if !tree.children.is_empty() {
        tree.children.push(text_node("Type", "COS"));
    }
    tree
}

const ENCRYPTION: &[ElementSchema] = &[
    words_element("SSEAlgorithm", &[("AES256", "AES256"), ("KMS", "KMS"), ("SM4", "SM4")]),
    text_element("KMSMasterKeyID"),
    with_name("KMSAlgorithm", words_element("KMSDataEncryption", &[("AES256", "AES256"), ("SM4", "SM4")])),
];

const FREQUENCY: ElementSchema =
    group_element("AccessFrequency", &[number_element("AccessCountLessThan"), number_element("RecentDays")]);

const LIFECYCLE: &[ElementSchema] = &[group_element(
    "Rule",
    &[
        text_element("ID"),
        group_element(
            "Filter",
            &[
                text_element("Prefix"),
                TAG,
                text_element("PrefixNotEquals"),
                SIZE_GREATER,
                SIZE_LESS,
                group_element(
                    "And",
                    &[text_element("Prefix"), TAG, text_element("PrefixNotEquals"), SIZE_GREATER, SIZE_LESS],
                ),
            ],
        ),
        // The earlier form without a filter, which SDKs still send.
        text_element("Prefix"),
        LIFECYCLE_STATUS,
        group_element(
            "Transition",
            &[number_element("Days"), text_element("Date"), class_element("StorageClass"), FREQUENCY],
        ),
        EXPIRATION,
        group_element(
            "NoncurrentVersionTransition",
            &[number_element("NoncurrentDays"), class_element("StorageClass"), FREQUENCY],
        ),
        VERSION_EXPIRATION,
        UPLOAD_ABORT,
    ],
)];

const WEBSITE: &[ElementSchema] = &[
    group_element("IndexDocument", &[text_element("Suffix")]),
    group_element("RedirectAllRequestsTo", &[words_element("Protocol", PROTOCOLS)]),
    group_element("AutoAddressing", &[text_element("Status")]),
    group_element(
        "ErrorDocument",
        &[text_element("Key"), text_element("OriginalHttpStatus"), text_element("Charity404")],
    ),
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
                        words_element("Protocol", PROTOCOLS),
                        text_element("ReplaceKeyWith"),
                        text_element("ReplaceKeyPrefixWith"),
                        text_element("URLRedirect"),
                    ],
                ),
            ],
        )],
    ),
];

const INVENTORY: &[ElementSchema] = &[
    text_element("Id"),
    text_element("IsEnabled"),
    group_element(
        "Filter",
        &[
            text_element("Prefix"),
            group_element("And", &[text_element("Prefix"), TAG, text_element("StorageClass")]),
            group_element("Period", &[text_element("StartTime"), text_element("EndTime")]),
        ],
    ),
    group_element(
        "Destination",
        &[group_element(
            "COSBucketDestination",
            &[
                text_element("Bucket"),
                text_element("AccountId"),
                text_element("Prefix"),
                text_element("Format"),
                group_element("Encryption", &[group_element("SSE-COS", &[])]),
            ],
        )],
    ),
    group_element("Schedule", &[text_element("Frequency")]),
    text_element("IncludedObjectVersions"),
    group_element("OptionalFields", &[text_element("Field")]),
];

/// Settings that COS does not have.
pub const ABSENT_SETTINGS: &[Setting] = &[
    Setting::LegalHold,
    Setting::PublicAccessBlock,
    Setting::RequestPayment,
    Setting::Ownership,
    Setting::PolicyStatus,
    Setting::IntelligentTiering,
    Setting::IntelligentTierings,
    Setting::Metrics,
    Setting::AllMetrics,
    Setting::AccessMonitor,
    Setting::ArchiveDirectRead,
    Setting::ResourceGroup,
    Setting::Https,
    Setting::Stat,
];
