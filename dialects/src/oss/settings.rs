//! The documents beside objects (3.4) and buckets (3.7) of OSS.

use crate::engine::dialect::AccessStyle;
use crate::engine::settings::{
    BOOLEAN, Element, Form, Unset, called, class, group, leaf, number, page, text, words,
};
use crate::model::{Fault, Setting};
use crate::wire::xml::Node;

/// 3.4, 5.2: one word.
pub const ACCESS: AccessStyle =
    AccessStyle { by_word: true, headers_win: true, groups: &[], group_ids: &[], owner_implied: false };

/// 3.4, 3.7
pub const FORMS: &[Form] = &[
    Form::new(Setting::ObjectAcl, &["acl"], "AccessControlPolicy", &[], Unset::Empty).kept(),
    Form::new(Setting::BucketAcl, &["acl"], "AccessControlPolicy", &[], Unset::Empty).kept(),
    Form::new(Setting::ObjectTagging, &["tagging"], "Tagging", TAGGING, Unset::Children(&[("TagSet", "")])),
    Form::new(Setting::BucketTagging, &["tagging"], "Tagging", TAGGING, Unset::Children(&[("TagSet", "")])),
    // 3.7, and the models of alibabacloud-oss-v2.
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
        &["legalHold"],
        "LegalHold",
        &[words("Status", &[("ON", "ON"), ("OFF", "OFF")])],
        Unset::Fault(Fault::NoSuchRetention),
    )
    .kept(),
    Form::new(
        Setting::ObjectLock,
        &["objectWorm"],
        "ObjectWormConfiguration",
        &[
            called("ObjectWormEnabled", words("ObjectLockEnabled", &[("Enabled", "Enabled")])),
            group(
                "Rule",
                &[group("DefaultRetention", &[words("Mode", MODES), number("Days"), number("Years")])],
            ),
        ],
        Unset::Fault(Fault::NoSuchObjectLock),
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
    .shaped(sizes_in_rules, sizes_in_filters),
    Form::new(Setting::Policy, &["policy"], "", &[], Unset::Fault(Fault::NoSuchBucketPolicy)),
    Form::new(
        Setting::Website,
        &["website"],
        "WebsiteConfiguration",
        WEBSITE,
        Unset::Fault(Fault::NoSuchWebsite),
    )
    .shaped(without_numbers, with_numbers),
    Form::new(
        Setting::Logging,
        &["logging"],
        "BucketLoggingStatus",
        &[group("LoggingEnabled", &[text("TargetBucket"), text("TargetPrefix"), text("LoggingRole")])],
        Unset::Empty,
    ),
    Form::new(
        Setting::Encryption,
        &["encryption"],
        "ServerSideEncryptionRule",
        &[group(
            "ApplyServerSideEncryptionByDefault",
            &[
                words("SSEAlgorithm", &[("AES256", "AES256"), ("KMS", "KMS"), ("SM4", "SM4")]),
                text("KMSMasterKeyID"),
                words("KMSDataEncryption", &[("SM4", "SM4"), ("AES256", "AES256")]),
            ],
        )],
        Unset::Fault(Fault::NoSuchEncryption),
    )
    .shaped(in_a_rule, out_of_a_rule),
    Form::new(
        Setting::PublicAccessBlock,
        &["publicAccessBlock"],
        "PublicAccessBlockConfiguration",
        &[words("BlockPublicAccess", BOOLEAN)],
        Unset::Fault(Fault::NoSuchPublicAccessBlock),
    )
    .shaped(as_four, as_one),
    Form::new(
        Setting::RequestPayment,
        &["requestPayment"],
        "RequestPaymentConfiguration",
        &[words("Payer", &[("BucketOwner", "BucketOwner"), ("Requester", "Requester")])],
        Unset::Empty,
    )
    .kept(),
    Form::new(
        Setting::Referer,
        &["referer"],
        "RefererConfiguration",
        &[
            text("AllowEmptyReferer"),
            text("AllowTruncateQueryString"),
            text("TruncatePath"),
            group("RefererList", &[text("Referer")]),
            group("RefererBlacklist", &[text("Referer")]),
        ],
        Unset::Children(&[("AllowEmptyReferer", "true"), ("RefererList", "")]),
    )
    .kept(),
    // The destination's accounts and names are a vendor's own: it stays within the family.
    Form::new(
        Setting::Inventory,
        &["inventory", "inventoryId"],
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
        &["transferAcceleration"],
        "TransferAccelerationConfiguration",
        &[called("Enabled", words("Status", ON))],
        Unset::Fault(Fault::NoSuchAcceleration),
    )
    .kept(),
    Form::new(
        Setting::PolicyStatus,
        &["policyStatus"],
        "PolicyStatus",
        &[words("IsPublic", BOOLEAN)],
        Unset::Fault(Fault::NoSuchBucketPolicy),
    )
    .read_only(),
    Form::new(
        Setting::AccessMonitor,
        &["accessmonitor"],
        "AccessMonitorConfiguration",
        &[words("Status", &[("Enabled", "Enabled"), ("Disabled", "Disabled")])],
        Unset::Empty,
    )
    .kept(),
    Form::new(
        Setting::ArchiveDirectRead,
        &["bucketArchiveDirectRead"],
        "ArchiveDirectReadConfiguration",
        &[words("Enabled", BOOLEAN)],
        Unset::Empty,
    )
    .kept(),
    Form::new(
        Setting::ResourceGroup,
        &["resourceGroup"],
        "BucketResourceGroupConfiguration",
        &[text("ResourceGroupId")],
        Unset::Empty,
    )
    .kept(),
    Form::new(
        Setting::Https,
        &["httpsConfig"],
        "HttpsConfiguration",
        &[
            group("TLS", &[words("Enable", BOOLEAN), text("TLSVersion")]),
            group(
                "CipherSuite",
                &[
                    words("Enable", BOOLEAN),
                    words("StrongCipherSuite", BOOLEAN),
                    text("CustomCipherSuite"),
                    text("TLS13CustomCipherSuite"),
                ],
            ),
        ],
        Unset::Empty,
    )
    .kept(),
    Form::new(Setting::Stat, &["stat"], "BucketStat", STAT, Unset::Empty).read_only(),
];

const ON: &[(&str, &str)] =
    &[("Enabled", "true"), ("Suspended", "false"), ("Enabled", "True"), ("Suspended", "False")];

/// Bytes and counts; one time in seconds.
const STAT: &[Element] = &[
    number("Storage"),
    number("ObjectCount"),
    number("MultipartUploadCount"),
    number("LiveChannelCount"),
    number("LastModifiedTime"),
    number("StandardStorage"),
    number("StandardObjectCount"),
    number("InfrequentAccessStorage"),
    number("InfrequentAccessRealStorage"),
    number("InfrequentAccessObjectCount"),
    number("ArchiveStorage"),
    number("ArchiveRealStorage"),
    number("ArchiveObjectCount"),
    number("ColdArchiveStorage"),
    number("ColdArchiveRealStorage"),
    number("ColdArchiveObjectCount"),
    number("DeepColdArchiveStorage"),
    number("DeepColdArchiveRealStorage"),
    number("DeepColdArchiveObjectCount"),
    number("MultipartPartCount"),
    number("DeleteMarkerCount"),
];

const MODES: &[(&str, &str)] = &[("GOVERNANCE", "GOVERNANCE"), ("COMPLIANCE", "COMPLIANCE")];

const TAGGING: &[Element] = &[group("TagSet", &[group("Tag", &[text("Key"), text("Value")])])];

const MOVES: &[Element] = &[
    number("Days"),
    text("CreatedBeforeDate"),
    class("StorageClass"),
    text("IsAccessTime"),
    text("ReturnToStdWhenVisit"),
    text("AllowSmallFile"),
];

const LIFECYCLE: &[Element] = &[group(
    "Rule",
    &[
        text("ID"),
        text("Prefix"),
        group("Tag", &[text("Key"), text("Value")]),
        words("Status", &[("Enabled", "Enabled"), ("Disabled", "Disabled")]),
        group(
            "Filter",
            &[
                number("ObjectSizeGreaterThan"),
                number("ObjectSizeLessThan"),
                group("Not", &[text("Prefix"), group("Tag", &[text("Key"), text("Value")])]),
            ],
        ),
        group(
            "Expiration",
            &[
                number("Days"),
                text("CreatedBeforeDate"),
                text("Date"),
                words("ExpiredObjectDeleteMarker", BOOLEAN),
            ],
        ),
        group("Transition", MOVES),
        called(
            "AbortMultipartUpload",
            group(
                "AbortIncompleteMultipartUpload",
                &[called("Days", number("DaysAfterInitiation")), text("CreatedBeforeDate")],
            ),
        ),
        group("NoncurrentVersionExpiration", &[number("NoncurrentDays")]),
        group(
            "NoncurrentVersionTransition",
            &[
                number("NoncurrentDays"),
                class("StorageClass"),
                text("IsAccessTime"),
                text("ReturnToStdWhenVisit"),
                text("AllowSmallFile"),
            ],
        ),
    ],
)];

const WEBSITE: &[Element] = &[
    group("IndexDocument", &[text("Suffix"), text("SupportSubDir"), text("Type")]),
    group("ErrorDocument", &[text("Key"), text("HttpStatus")]),
    group(
        "RoutingRules",
        &[group(
            "RoutingRule",
            &[
                number("RuleNumber"),
                group(
                    "Condition",
                    &[
                        text("KeyPrefixEquals"),
                        text("KeySuffixEquals"),
                        number("HttpErrorCodeReturnedEquals"),
                    ],
                ),
                group(
                    "Redirect",
                    &[
                        text("RedirectType"),
                        text("Protocol"),
                        text("HostName"),
                        text("ReplaceKeyPrefixWith"),
                        text("ReplaceKeyWith"),
                        number("HttpRedirectCode"),
                        text("PassQueryString"),
                    ],
                ),
            ],
        )],
    ),
];

const SIZES: [&str; 2] = ["ObjectSizeGreaterThan", "ObjectSizeLessThan"];

fn rules(tree: &mut Node) -> impl Iterator<Item = &mut Node> {
    tree.children.iter_mut().filter(|rule| rule.name == "Rule")
}

/// 3.7: only the bounds of sizes, and exceptions, stand in a filter.
fn sizes_in_rules(mut tree: Node) -> Node {
    for rule in rules(&mut tree) {
        let children = std::mem::take(&mut rule.children).into_iter();
        rule.children = children
            .flat_map(|child| if child.name == "Filter" { child.children } else { vec![child] })
            .collect();
    }
    tree
}

fn sizes_in_filters(mut tree: Node) -> Node {
    for rule in rules(&mut tree) {
        let (inside, mut others): (Vec<Node>, Vec<Node>) = std::mem::take(&mut rule.children)
            .into_iter()
            .partition(|child| SIZES.contains(&child.name.as_str()) || child.name == "Not");
        if !inside.is_empty() {
            others.push(Node { name: "Filter".to_owned(), children: inside, ..Node::default() });
        }
        rule.children = others;
    }
    tree
}

/// 3.7: one rule, without an element around it.
fn in_a_rule(tree: Node) -> Node {
    let rule = Node { name: "Rule".to_owned(), ..tree };
    Node { children: vec![rule], ..Node::default() }
}

fn out_of_a_rule(tree: Node) -> Node {
    match <[Node; 1]>::try_from(tree.children) {
        Ok([rule]) => Node { name: String::new(), ..rule },
        Err(children) => Node { children, ..Node::default() },
    }
}

const FOUR: [&str; 4] = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];

/// 3.7: one switch where others have four.
fn as_four(tree: Node) -> Node {
    let Some(switch) = tree.text_of("BlockPublicAccess").map(str::to_owned) else { return tree };
    Node { children: FOUR.iter().map(|name| leaf(name, switch.clone())).collect(), ..tree }
}

fn as_one(tree: Node) -> Node {
    let switches = FOUR.map(|name| tree.text_of(name).unwrap_or("false").to_owned());
    match switches.iter().all(|switch| Some(switch) == switches.first()) {
        true => {
            let [switch, ..] = switches;
            Node { children: vec![leaf("BlockPublicAccess", switch)], ..tree }
        }
        false => tree,
    }
}

fn routing_rules(tree: &mut Node) -> impl Iterator<Item = &mut Node> {
    let rules = tree.children.iter_mut().filter(|node| node.name == "RoutingRules");
    rules.flat_map(|rules| rules.children.iter_mut())
}

/// 3.7: rules are numbered, and a redirect says that it is one.
fn without_numbers(mut tree: Node) -> Node {
    for rule in routing_rules(&mut tree) {
        rule.children.retain(|child| child.name != "RuleNumber");
        for redirect in rule.children.iter_mut().filter(|child| child.name == "Redirect") {
            redirect.children.retain(|child| child.name != "RedirectType" || child.text != "External");
        }
    }
    tree
}

fn with_numbers(mut tree: Node) -> Node {
    for (number, rule) in routing_rules(&mut tree).enumerate() {
        rule.children.insert(0, leaf("RuleNumber", number.saturating_add(1).to_string()));
        for redirect in rule.children.iter_mut().filter(|child| child.name == "Redirect") {
            if redirect.child("RedirectType").is_none() {
                redirect.children.insert(0, leaf("RedirectType", "External"));
            }
        }
    }
    tree
}

const INVENTORY: &[Element] = &[
    text("Id"),
    text("IsEnabled"),
    group(
        "Filter",
        &[
            text("Prefix"),
            text("LastModifyBeginTimeStamp"),
            text("LastModifyEndTimeStamp"),
            text("LowerSizeBound"),
            text("UpperSizeBound"),
            text("StorageClass"),
        ],
    ),
    group(
        "Destination",
        &[group(
            "OSSBucketDestination",
            &[
                text("Format"),
                text("AccountId"),
                text("RoleArn"),
                text("Bucket"),
                text("Prefix"),
                group("Encryption", &[group("SSE-OSS", &[]), group("SSE-KMS", &[text("KeyId")])]),
            ],
        )],
    ),
    group("Schedule", &[text("Frequency")]),
    text("IncludedObjectVersions"),
    group("OptionalFields", &[text("Field")]),
];
