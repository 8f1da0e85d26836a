//! The documents beside objects (3.6) and buckets (3.7) of COS.

use crate::engine::dialect::AccessStyle;
use crate::engine::settings::{
    BOOLEAN, Element, Form, Unset, called, class, group, leaf, number, page, text, with_filters,
    without_filters, words,
};
use crate::model::{Fault, Group, Setting};
use crate::wire::xml::Node;

/// 5.2, and the object ACL of 3.6
pub const ACCESS: AccessStyle = AccessStyle {
    by_word: false,
    headers_win: true,
    groups: &[
        (Group::Everyone, "http://cam.qcloud.com/groups/global/AllUsers"),
        (Group::Authenticated, "http://cam.qcloud.com/groups/global/AuthenticatedUsers"),
    ],
    group_ids: &[(Group::Everyone, "qcs::cam::anyone:anyone")],
    // coscmd names whom it grants something to, and not the owner.
    owner_implied: true,
};

/// 3.2, 3.7
pub const FORMS: &[Form] = &[
    Form::new(Setting::ObjectAcl, &["acl"], "AccessControlPolicy", &[], Unset::Empty).kept(),
    Form::new(Setting::BucketAcl, &["acl"], "AccessControlPolicy", &[], Unset::Empty).kept(),
    Form::new(Setting::ObjectTagging, &["tagging"], "Tagging", TAGGING, Unset::Children(&[("TagSet", "")]))
        .bare_put(),
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
        Setting::Versioning,
        &["versioning"],
        "VersioningConfiguration",
        &[words("Status", &[("Enabled", "Enabled"), ("Suspended", "Suspended")])],
        Unset::Empty,
    )
    .kept(),
    Form::new(
        Setting::Cors,
        &["cors"],
        "CORSConfiguration",
        &[
            group(
                "CORSRule",
                &[
                    text("ID"),
                    text("AllowedOrigin"),
                    text("AllowedMethod"),
                    text("AllowedHeader"),
                    text("ExposeHeader"),
                    number("MaxAgeSeconds"),
                ],
            ),
            words("ResponseVary", BOOLEAN),
        ],
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
        &[group("LoggingEnabled", &[text("TargetBucket"), text("TargetPrefix")])],
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
                group("ApplyServerSideEncryptionByDefault", ENCRYPTION),
                // As the vendor's SDKs for Python and Node call it.
                called(
                    "ApplySideEncryptionConfiguration",
                    group("ApplyServerSideEncryptionByDefault", ENCRYPTION),
                ),
            ],
        )],
        Unset::Fault(Fault::NoSuchEncryption),
    ),
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
    Form::new(
        Setting::Referer,
        &["referer"],
        "RefererConfiguration",
        &[
            text("Status"),
            text("RefererType"),
            group("DomainList", &[text("Domain")]),
            text("EmptyReferConfiguration"),
            text("VerifySignatureURL"),
        ],
        Unset::Fault(Fault::NoSuchReferer),
    )
    // 3.2: SDKs remove it by an empty PUT.
    .emptied(),
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
        "ListInventoryConfigurationResult",
        &page(group("InventoryConfiguration", INVENTORY)),
        Unset::Empty,
    )
    .read_only(),
    Form::new(
        Setting::Acceleration,
        &["accelerate"],
        "AccelerateConfiguration",
        &[
            words("Status", &[("Enabled", "Enabled"), ("Suspended", "Suspended"), ("Suspended", "Disabled")]),
            words("Type", &[("COS", "COS")]),
        ],
        Unset::Empty,
    )
    .kept()
    .shaped(without_type, with_type),
];

/// 3.7: acceleration has a type, of which there is one.
fn without_type(mut tree: Node) -> Node {
    tree.children.retain(|child| child.name != "Type");
    tree
}

fn with_type(mut tree: Node) -> Node {
    if !tree.children.is_empty() {
        tree.children.push(leaf("Type", "COS"));
    }
    tree
}

const TAGGING: &[Element] = &[group("TagSet", &[group("Tag", &[text("Key"), text("Value")])])];

const TAG: Element = group("Tag", &[text("Key"), text("Value")]);

const MODES: &[(&str, &str)] = &[("GOVERNANCE", "GOVERNANCE"), ("COMPLIANCE", "COMPLIANCE")];

const ENCRYPTION: &[Element] = &[
    words("SSEAlgorithm", &[("AES256", "AES256"), ("KMS", "KMS"), ("SM4", "SM4")]),
    text("KMSMasterKeyID"),
    called("KMSAlgorithm", words("KMSDataEncryption", &[("AES256", "AES256"), ("SM4", "SM4")])),
];

const FREQUENCY: Element = group("AccessFrequency", &[number("AccessCountLessThan"), number("RecentDays")]);

const LIFECYCLE: &[Element] = &[group(
    "Rule",
    &[
        text("ID"),
        group(
            "Filter",
            &[
                text("Prefix"),
                TAG,
                text("PrefixNotEquals"),
                number("ObjectSizeGreaterThan"),
                number("ObjectSizeLessThan"),
                group(
                    "And",
                    &[
                        text("Prefix"),
                        TAG,
                        text("PrefixNotEquals"),
                        number("ObjectSizeGreaterThan"),
                        number("ObjectSizeLessThan"),
                    ],
                ),
            ],
        ),
        // The old form; SDKs still send it.
        text("Prefix"),
        words("Status", &[("Enabled", "Enabled"), ("Disabled", "Disabled")]),
        group("Transition", &[number("Days"), text("Date"), class("StorageClass"), FREQUENCY]),
        group("Expiration", &[number("Days"), text("Date"), words("ExpiredObjectDeleteMarker", BOOLEAN)]),
        group("NoncurrentVersionTransition", &[number("NoncurrentDays"), class("StorageClass"), FREQUENCY]),
        group("NoncurrentVersionExpiration", &[number("NoncurrentDays")]),
        group("AbortIncompleteMultipartUpload", &[number("DaysAfterInitiation")]),
    ],
)];

const PROTOCOLS: &[(&str, &str)] = &[("http", "http"), ("https", "https")];

const WEBSITE: &[Element] = &[
    group("IndexDocument", &[text("Suffix")]),
    group("RedirectAllRequestsTo", &[words("Protocol", PROTOCOLS)]),
    group("AutoAddressing", &[text("Status")]),
    group("ErrorDocument", &[text("Key"), text("OriginalHttpStatus"), text("Charity404")]),
    group(
        "RoutingRules",
        &[group(
            "RoutingRule",
            &[
                group("Condition", &[number("HttpErrorCodeReturnedEquals"), text("KeyPrefixEquals")]),
                group(
                    "Redirect",
                    &[
                        words("Protocol", PROTOCOLS),
                        text("ReplaceKeyWith"),
                        text("ReplaceKeyPrefixWith"),
                        text("URLRedirect"),
                    ],
                ),
            ],
        )],
    ),
];

const INVENTORY: &[Element] = &[
    text("Id"),
    text("IsEnabled"),
    group(
        "Filter",
        &[
            text("Prefix"),
            group("And", &[text("Prefix"), TAG, text("StorageClass")]),
            group("Period", &[text("StartTime"), text("EndTime")]),
        ],
    ),
    group(
        "Destination",
        &[group(
            "COSBucketDestination",
            &[
                text("Bucket"),
                text("AccountId"),
                text("Prefix"),
                text("Format"),
                group("Encryption", &[group("SSE-COS", &[])]),
            ],
        )],
    ),
    group("Schedule", &[text("Frequency")]),
    text("IncludedObjectVersions"),
    group("OptionalFields", &[text("Field")]),
];
