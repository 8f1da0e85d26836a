//! The settings documents of OSS.

use crate::dialect::AclStyle;
use crate::dialect::common_settings::{
    CORS_EXPOSED_HEADER, CORS_HEADER, CORS_MAX_AGE, CORS_METHOD, CORS_ORIGIN, LEGAL_HOLD, LIFECYCLE_STATUS,
    LOCK_ENABLED, LOCK_RULE, MARKER_EXPIRATION, RETENTION, SIZE_GREATER, SIZE_LESS, TAG, TAGGING,
    VERSION_EXPIRATION, VERSIONING_STATUS,
};
use crate::dialect::settings_schema::{
    BOOLEAN, ElementSchema, SettingSchema, UnsetResponse, class_element, group_element, number_element,
    page_elements, text_element, with_name, words_element,
};
use crate::encoding::xml::{Node, text_node};
use crate::model::{ErrorKind, Setting};

/// OSS, PutBucketAcl and GetObjectACL: an ACL document contains a canned ACL, not a list of grants.
pub(crate) const ACL_STYLE: AclStyle = AclStyle {
    group_element: "URI",
    has_grantee_type: false,
    canned_in_document: true,
    headers_take_precedence: true,
    groups: &[],
    group_ids: &[],
    implies_owner_control: false,
};

/// OSS, the request and response elements of each operation on a setting.
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
        UnsetResponse::Children(&[("TagSet", "")]),
    ),
    // The schemas of these three follow the models of alibabacloud-oss-v2.
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
        &["legalHold"],
        "LegalHold",
        LEGAL_HOLD,
        UnsetResponse::Error(ErrorKind::NoSuchRetention),
    )
    .without_delete(),
    SettingSchema::new(
        Setting::ObjectLock,
        &["objectWorm"],
        "ObjectWormConfiguration",
        &[with_name("ObjectWormEnabled", LOCK_ENABLED), LOCK_RULE],
        UnsetResponse::Error(ErrorKind::NoSuchObjectLock),
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
                &[CORS_ORIGIN, CORS_METHOD, CORS_HEADER, CORS_EXPOSED_HEADER, CORS_MAX_AGE],
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
    .with_conversion(move_sizes_to_rules, move_sizes_to_filters),
    SettingSchema::new(
        Setting::Policy,
        &["policy"],
        "",
        &[],
        UnsetResponse::Error(ErrorKind::NoSuchBucketPolicy),
    ),
    SettingSchema::new(
        Setting::Website,
        &["website"],
        "WebsiteConfiguration",
        WEBSITE,
        UnsetResponse::Error(ErrorKind::NoSuchWebsite),
    )
    .with_conversion(remove_rule_numbers, add_rule_numbers),
    SettingSchema::new(
        Setting::Logging,
        &["logging"],
        "BucketLoggingStatus",
        &[group_element(
            "LoggingEnabled",
            &[text_element("TargetBucket"), text_element("TargetPrefix"), text_element("LoggingRole")],
        )],
        UnsetResponse::Empty,
    ),
    SettingSchema::new(
        Setting::Encryption,
        &["encryption"],
        "ServerSideEncryptionRule",
        &[group_element(
            "ApplyServerSideEncryptionByDefault",
            &[
                words_element("SSEAlgorithm", &[("AES256", "AES256"), ("KMS", "KMS"), ("SM4", "SM4")]),
                text_element("KMSMasterKeyID"),
                words_element("KMSDataEncryption", &[("SM4", "SM4"), ("AES256", "AES256")]),
            ],
        )],
        UnsetResponse::Error(ErrorKind::NoSuchEncryption),
    )
    .with_conversion(wrap_in_rule, unwrap_rule),
    SettingSchema::new(
        Setting::PublicAccessBlock,
        &["publicAccessBlock"],
        "PublicAccessBlockConfiguration",
        &[words_element("BlockPublicAccess", BOOLEAN)],
        UnsetResponse::Error(ErrorKind::NoSuchPublicAccessBlock),
    )
    .with_conversion(expand_public_access_block, collapse_public_access_block),
    SettingSchema::new(
        Setting::RequestPayment,
        &["requestPayment"],
        "RequestPaymentConfiguration",
        &[words_element("Payer", &[("BucketOwner", "BucketOwner"), ("Requester", "Requester")])],
        UnsetResponse::Empty,
    )
    .without_delete(),
    SettingSchema::new(
        Setting::Referer,
        &["referer"],
        "RefererConfiguration",
        &[
            text_element("AllowEmptyReferer"),
            text_element("AllowTruncateQueryString"),
            text_element("TruncatePath"),
            group_element("RefererList", &[text_element("Referer")]),
            group_element("RefererBlacklist", &[text_element("Referer")]),
        ],
        UnsetResponse::Children(&[("AllowEmptyReferer", "true"), ("RefererList", "")]),
    )
    .without_delete(),
    // The destination contains account IDs and resource names, so the document must not be sent to other vendors.
    SettingSchema::new(
        Setting::Inventory,
        &["inventory", "inventoryId"],
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
        &["transferAcceleration"],
        "TransferAccelerationConfiguration",
        &[with_name("Enabled", words_element("Status", ENABLED_WORDS))],
        UnsetResponse::Error(ErrorKind::NoSuchAcceleration),
    )
    .without_delete(),
    SettingSchema::new(
        Setting::PolicyStatus,
        &["policyStatus"],
        "PolicyStatus",
        &[words_element("IsPublic", BOOLEAN)],
        UnsetResponse::Error(ErrorKind::NoSuchBucketPolicy),
    )
    .without_put(),
    SettingSchema::new(
        Setting::AccessMonitor,
        &["accessmonitor"],
        "AccessMonitorConfiguration",
        &[LIFECYCLE_STATUS],
        UnsetResponse::Empty,
    )
    .without_delete(),
    SettingSchema::new(
        Setting::ArchiveDirectRead,
        &["bucketArchiveDirectRead"],
        "ArchiveDirectReadConfiguration",
        &[words_element("Enabled", BOOLEAN)],
        UnsetResponse::Empty,
    )
    .without_delete(),
    SettingSchema::new(
        Setting::ResourceGroup,
        &["resourceGroup"],
        "BucketResourceGroupConfiguration",
        &[text_element("ResourceGroupId")],
        UnsetResponse::Empty,
    )
    .without_delete(),
    SettingSchema::new(
        Setting::Https,
        &["httpsConfig"],
        "HttpsConfiguration",
        &[
            group_element("TLS", &[words_element("Enable", BOOLEAN), text_element("TLSVersion")]),
            group_element(
                "CipherSuite",
                &[
                    words_element("Enable", BOOLEAN),
                    words_element("StrongCipherSuite", BOOLEAN),
                    text_element("CustomCipherSuite"),
                    text_element("TLS13CustomCipherSuite"),
                ],
            ),
        ],
        UnsetResponse::Empty,
    )
    .without_delete(),
    SettingSchema::new(Setting::Stat, &["stat"], "BucketStat", STAT, UnsetResponse::Empty).without_put(),
];

// The first spelling of a value is written. Both are read, because SDKs write boolean values in different letter case.
const ENABLED_WORDS: &[(&str, &str)] =
    &[("Enabled", "true"), ("Suspended", "false"), ("Enabled", "True"), ("Suspended", "False")];

/// OSS, GetBucketStat: sizes in bytes, counts, and one time in Unix seconds.
const STAT: &[ElementSchema] = &[
    number_element("Storage"),
    number_element("ObjectCount"),
    number_element("MultipartUploadCount"),
    number_element("LiveChannelCount"),
    number_element("LastModifiedTime"),
    number_element("StandardStorage"),
    number_element("StandardObjectCount"),
    number_element("InfrequentAccessStorage"),
    number_element("InfrequentAccessRealStorage"),
    number_element("InfrequentAccessObjectCount"),
    number_element("ArchiveStorage"),
    number_element("ArchiveRealStorage"),
    number_element("ArchiveObjectCount"),
    number_element("ColdArchiveStorage"),
    number_element("ColdArchiveRealStorage"),
    number_element("ColdArchiveObjectCount"),
    number_element("DeepColdArchiveStorage"),
    number_element("DeepColdArchiveRealStorage"),
    number_element("DeepColdArchiveObjectCount"),
    number_element("MultipartPartCount"),
    number_element("DeleteMarkerCount"),
];

const TRANSITIONS: &[ElementSchema] = &[
    number_element("Days"),
    text_element("CreatedBeforeDate"),
    class_element("StorageClass"),
    text_element("IsAccessTime"),
    text_element("ReturnToStdWhenVisit"),
    text_element("AllowSmallFile"),
];

const LIFECYCLE: &[ElementSchema] = &[group_element(
    "Rule",
    &[
        text_element("ID"),
        text_element("Prefix"),
        TAG,
        LIFECYCLE_STATUS,
        group_element(
            "Filter",
            &[SIZE_GREATER, SIZE_LESS, group_element("Not", &[text_element("Prefix"), TAG])],
        ),
        group_element(
            "Expiration",
            &[
                number_element("Days"),
                text_element("CreatedBeforeDate"),
                text_element("Date"),
                MARKER_EXPIRATION,
            ],
        ),
        group_element("Transition", TRANSITIONS),
        with_name(
            "AbortMultipartUpload",
            group_element(
                "AbortIncompleteMultipartUpload",
                &[
                    with_name("Days", number_element("DaysAfterInitiation")),
                    text_element("CreatedBeforeDate"),
                ],
            ),
        ),
        VERSION_EXPIRATION,
        group_element(
            "NoncurrentVersionTransition",
            &[
                number_element("NoncurrentDays"),
                class_element("StorageClass"),
                text_element("IsAccessTime"),
                text_element("ReturnToStdWhenVisit"),
                text_element("AllowSmallFile"),
            ],
        ),
    ],
)];

const WEBSITE: &[ElementSchema] = &[
    group_element(
        "IndexDocument",
        &[text_element("Suffix"), text_element("SupportSubDir"), text_element("Type")],
    ),
    group_element("ErrorDocument", &[text_element("Key"), text_element("HttpStatus")]),
    group_element(
        "RoutingRules",
        &[group_element(
            "RoutingRule",
            &[
                number_element("RuleNumber"),
                group_element(
                    "Condition",
                    &[
                        text_element("KeyPrefixEquals"),
                        text_element("KeySuffixEquals"),
                        number_element("HttpErrorCodeReturnedEquals"),
                    ],
                ),
                group_element(
                    "Redirect",
                    &[
                        text_element("RedirectType"),
                        text_element("Protocol"),
                        text_element("HostName"),
                        text_element("ReplaceKeyPrefixWith"),
                        text_element("ReplaceKeyWith"),
                        number_element("HttpRedirectCode"),
                        text_element("PassQueryString"),
                    ],
                ),
            ],
        )],
    ),
];

const SIZE_ELEMENTS: [&str; 2] = ["ObjectSizeGreaterThan", "ObjectSizeLessThan"];

fn iter_rules(tree: &mut Node) -> impl Iterator<Item = &mut Node> {
    tree.children.iter_mut().filter(|rule| rule.name == "Rule")
}

/// OSS, PutBucketLifecycle, Filter: only size limits and exceptions are in the filter; prefix and tags are in the rule.
fn move_sizes_to_rules(mut tree: Node) -> Node {
    for rule in iter_rules(&mut tree) {
        let children = std::mem::take(&mut rule.children).into_iter();
        rule.children = children
            .flat_map(|child| if child.name == "Filter" { child.children } else { vec![child] })
            .collect();
    }
    tree
}

fn move_sizes_to_filters(mut tree: Node) -> Node {
    for rule in iter_rules(&mut tree) {
        let (inside, mut others): (Vec<Node>, Vec<Node>) = std::mem::take(&mut rule.children)
            .into_iter()
            .partition(|child| SIZE_ELEMENTS.contains(&&*child.name) || child.name == "Not");
        if !inside.is_empty() {
            others.push(Node { name: "Filter".to_owned().into(), children: inside, ..Node::default() });
        }
        rule.children = others;
    }
    tree
}

/// OSS, PutBucketEncryption: the document has one rule without an element for it.
fn wrap_in_rule(tree: Node) -> Node {
    let rule = Node { name: "Rule".to_owned().into(), ..tree };
    Node { children: vec![rule], ..Node::default() }
}

fn unwrap_rule(tree: Node) -> Node {
    // A document with several rules is left unchanged, so that the schema rejects it instead of losing all but one.
    match <[Node; 1]>::try_from(tree.children) {
        Ok([rule]) => Node { name: Default::default(), ..rule },
        Err(children) => Node { children, ..Node::default() },
    }
}

const PUBLIC_ACCESS_ELEMENTS: [&str; 4] =
    ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];

/// OSS, PutBucketPublicAccessBlock, BlockPublicAccess: one flag where S3 has four.
fn expand_public_access_block(tree: Node) -> Node {
    let Some(switch) = tree.child_text("BlockPublicAccess").map(str::to_owned) else { return tree };
    Node {
        children: PUBLIC_ACCESS_ELEMENTS.iter().map(|name| text_node(name, switch.clone())).collect(),
        ..tree
    }
}

fn collapse_public_access_block(tree: Node) -> Node {
    // Flags that differ cannot be expressed, so the document is left unchanged and the schema rejects it.
    let switches = PUBLIC_ACCESS_ELEMENTS.map(|name| tree.child_text(name).unwrap_or("false").to_owned());
    match switches.iter().all(|switch| Some(switch) == switches.first()) {
        true => {
            let [switch, ..] = switches;
            Node { children: vec![text_node("BlockPublicAccess", switch)], ..tree }
        }
        false => tree,
    }
}

fn iter_routing_rules(tree: &mut Node) -> impl Iterator<Item = &mut Node> {
    let rules = tree.children.iter_mut().filter(|node| node.name == "RoutingRules");
    rules.flat_map(|rules| rules.children.iter_mut())
}

/// OSS, PutBucketWebsite, RuleNumber and RedirectType: both are required in OSS and follow from the document of S3.
fn remove_rule_numbers(mut tree: Node) -> Node {
    for rule in iter_routing_rules(&mut tree) {
        rule.children.retain(|child| child.name != "RuleNumber");
        for redirect in rule.children.iter_mut().filter(|child| child.name == "Redirect") {
            // The other redirect types have no counterpart in S3, so that they remain and are rejected as unsupported.
            redirect.children.retain(|child| child.name != "RedirectType" || child.text != "External");
        }
    }
    tree
}

fn add_rule_numbers(mut tree: Node) -> Node {
    for (number, rule) in iter_routing_rules(&mut tree).enumerate() {
        rule.children.insert(0, text_node("RuleNumber", number.saturating_add(1).to_string()));
        for redirect in rule.children.iter_mut().filter(|child| child.name == "Redirect") {
            if redirect.child("RedirectType").is_none() {
                redirect.children.insert(0, text_node("RedirectType", "External"));
            }
        }
    }
    tree
}

const INVENTORY: &[ElementSchema] = &[
    text_element("Id"),
    text_element("IsEnabled"),
    group_element(
        "Filter",
        &[
            text_element("Prefix"),
            text_element("LastModifyBeginTimeStamp"),
            text_element("LastModifyEndTimeStamp"),
            text_element("LowerSizeBound"),
            text_element("UpperSizeBound"),
            text_element("StorageClass"),
        ],
    ),
    group_element(
        "Destination",
        &[group_element(
            "OSSBucketDestination",
            &[
                text_element("Format"),
                text_element("AccountId"),
                text_element("RoleArn"),
                text_element("Bucket"),
                text_element("Prefix"),
                group_element(
                    "Encryption",
                    &[group_element("SSE-OSS", &[]), group_element("SSE-KMS", &[text_element("KeyId")])],
                ),
            ],
        )],
    ),
    group_element("Schedule", &[text_element("Frequency")]),
    text_element("IncludedObjectVersions"),
    group_element("OptionalFields", &[text_element("Field")]),
];

/// Settings that OSS does not have.
pub const ABSENT_SETTINGS: &[Setting] = &[
    Setting::Ownership,
    Setting::IntelligentTiering,
    Setting::IntelligentTierings,
    Setting::Metrics,
    Setting::AllMetrics,
];
