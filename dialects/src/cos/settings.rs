//! The documents beside objects (3.6) and buckets (3.7) of COS.

use crate::dialect::AclStyle;
use crate::dialect::settings_schema::{
    BOOLEAN, ElementSchema, SettingSchema, UnsetResponse, class_element, group_element, number_element,
    page_elements, text_element, with_name, words_element,
};
use crate::documents::settings_documents::{flatten_filters, nest_filters};
use crate::encoding::xml::{Node, text_node};
use crate::model::{ErrorKind, Group, Setting};

/// 5.2, and the object ACL of 3.6
pub const ACL_STYLE: AclStyle = AclStyle {
    canned_in_document: false,
    headers_take_precedence: true,
    groups: &[
        (Group::Everyone, "http://cam.qcloud.com/groups/global/AllUsers"),
        (Group::Authenticated, "http://cam.qcloud.com/groups/global/AuthenticatedUsers"),
    ],
    group_ids: &[(Group::Everyone, "qcs::cam::anyone:anyone")],
    // coscmd names whom it grants something to, and not the owner.
    implies_owner_control: true,
};

/// 3.2, 3.7
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
        &[words_element("Mode", MODES), text_element("RetainUntilDate")],
        UnsetResponse::Error(ErrorKind::NoSuchRetention),
    )
    .without_delete(),
    SettingSchema::new(
        Setting::Versioning,
        &["versioning"],
        "VersioningConfiguration",
        &[words_element("Status", &[("Enabled", "Enabled"), ("Suspended", "Suspended")])],
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
                    text_element("AllowedOrigin"),
                    text_element("AllowedMethod"),
                    text_element("AllowedHeader"),
                    text_element("ExposeHeader"),
                    number_element("MaxAgeSeconds"),
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
                // As the vendor's SDKs for Python and Node call it.
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
    // 3.2: SDKs remove it by an empty PUT.
    .with_delete_by_empty_put(),
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

/// 3.7: acceleration has a type, of which there is one.
fn remove_type(mut tree: Node) -> Node {
    tree.children.retain(|child| child.name != "Type");
    tree
}

fn add_type(mut tree: Node) -> Node {
    if !tree.children.is_empty() {
        tree.children.push(text_node("Type", "COS"));
    }
    tree
}

const TAGGING: &[ElementSchema] =
    &[group_element("TagSet", &[group_element("Tag", &[text_element("Key"), text_element("Value")])])];

const TAG: ElementSchema = group_element("Tag", &[text_element("Key"), text_element("Value")]);

const MODES: &[(&str, &str)] = &[("GOVERNANCE", "GOVERNANCE"), ("COMPLIANCE", "COMPLIANCE")];

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
                number_element("ObjectSizeGreaterThan"),
                number_element("ObjectSizeLessThan"),
                group_element(
                    "And",
                    &[
                        text_element("Prefix"),
                        TAG,
                        text_element("PrefixNotEquals"),
                        number_element("ObjectSizeGreaterThan"),
                        number_element("ObjectSizeLessThan"),
                    ],
                ),
            ],
        ),
        // The old form; SDKs still send it.
        text_element("Prefix"),
        words_element("Status", &[("Enabled", "Enabled"), ("Disabled", "Disabled")]),
        group_element(
            "Transition",
            &[number_element("Days"), text_element("Date"), class_element("StorageClass"), FREQUENCY],
        ),
        group_element(
            "Expiration",
            &[
                number_element("Days"),
                text_element("Date"),
                words_element("ExpiredObjectDeleteMarker", BOOLEAN),
            ],
        ),
        group_element(
            "NoncurrentVersionTransition",
            &[number_element("NoncurrentDays"), class_element("StorageClass"), FREQUENCY],
        ),
        group_element("NoncurrentVersionExpiration", &[number_element("NoncurrentDays")]),
        group_element("AbortIncompleteMultipartUpload", &[number_element("DaysAfterInitiation")]),
    ],
)];

const PROTOCOLS: &[(&str, &str)] = &[("http", "http"), ("https", "https")];

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
