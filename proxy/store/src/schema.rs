//! The schema of each settings document: its elements, how often they occur, and their texts.
//!
//! Source: S3, the request syntax of each `PutBucket*` call. As in S3, the order of elements is free. An unknown
//! element is an error, so that nothing is dropped silently.

use crate::attributes::Tags;
use crate::errors::{
    invalid_argument_error, invalid_request_error, malformed_xml_error, not_implemented_error, s3_error,
};
use crate::xml::Element;
use s3s::S3Result;
use s3s::dto::{Timestamp, TimestampFormat};

// This is not the schema walker of blobfish_dialects::documents::settings_documents. That one translates between
// dialects and knows names and nesting; a store must also check how often an element occurs, the form of its text, and
// the rules of S3 with their own error codes.

/// The content of an element.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Text(TextRule),
    Group(&'static [ChildRule]),
}

/// The valid texts of an element.
#[derive(Clone, Copy, Debug)]
enum TextRule {
    Any,
    NonEmpty,
    Number,
    Boolean,
    Date,
    OneOf(&'static [&'static str]),
}

#[derive(Clone, Copy, Debug)]
enum Occurrence {
    One,
    Optional,
    Many,
    Some,
}

use Occurrence::{Many, One, Optional, Some as AtLeastOne};
use Shape::{Group, Text};
use TextRule::{Any, Boolean, Date, NonEmpty, Number, OneOf};

#[derive(Clone, Copy, Debug)]
struct ChildRule(&'static str, Occurrence, Shape);

/// A document: its root, its elements, and rules that depend on several elements.
#[derive(Clone, Copy)]
pub(crate) struct Schema {
    root: &'static str,
    shape: &'static [ChildRule],
    check_rules: fn(&Element) -> S3Result<()>,
}

impl Schema {
    /// Reads a document and validates it.
    ///
    /// # Errors
    /// 400 `MalformedXML`, or the error of S3 for the violated rule.
    pub(crate) fn read(&self, bytes: &[u8]) -> S3Result<Element> {
        let mut element = Element::parse(bytes)?;
        if element.name != self.root {
            return Err(malformed_xml_error());
        }
        check_element(&mut element, Group(self.shape)).ok_or_else(malformed_xml_error)?;
        (self.check_rules)(&element)?;
        Ok(element)
    }
}

fn check_element(element: &mut Element, shape: Shape) -> Option<()> {
    if element.name == "Grantee" {
        let kind = element.xsi_type.as_deref()?;
        matches!(kind, "CanonicalUser" | "AmazonCustomerByEmail" | "Group").then_some(())?;
    } else {
        element.xsi_type = None;
    }
    let children = match shape {
        Text(text) => {
            return (element.children.is_empty() && is_allowed_text(&element.text, text)).then_some(());
        }
        Group(children) => children,
    };
    if !element.text.trim().is_empty() {
        return None;
    }
    element.text.clear();
    for child in &mut element.children {
        let ChildRule(_, _, shape) = children.iter().find(|known| known.0 == child.name)?;
        check_element(child, *shape)?;
    }
    let is_occurrence_right = |ChildRule(name, times, _): &ChildRule| {
        let count = element.children_with_name(name).count();
        match times {
            One => count == 1,
            Optional => count <= 1,
            Many => true,
            AtLeastOne => count >= 1,
        }
    };
    children.iter().all(is_occurrence_right).then_some(())
}

fn is_allowed_text(text: &str, check: TextRule) -> bool {
    match check {
        Any => true,
        NonEmpty => !text.is_empty(),
        Number => text.trim().parse::<i64>().is_ok(),
        Boolean => matches!(text.trim(), "true" | "false"),
        Date => parse_date(text).is_some(),
        OneOf(texts) => texts.contains(&text),
    }
}

/// A date and time as in XML documents, or a day alone.
fn parse_date(text: &str) -> Option<Timestamp> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    Timestamp::parse(TimestampFormat::DateTime, &whole).ok()
}

const fn accept_any(_: &Element) -> S3Result<()> {
    Ok(())
}

fn parse_number(element: &Element, name: &str) -> Option<i64> {
    element.child_text(name).and_then(|text| text.trim().parse().ok())
}

fn has_exactly_one(element: &Element, names: &[&str]) -> bool {
    names.iter().map(|name| element.children_with_name(name).count()).sum::<usize>() == 1
}

// CORS

const CORS_RULES_MAX: usize = 100;
const CORS_RULE: &[ChildRule] = &[
    ChildRule("ID", Optional, Text(Any)),
    ChildRule("AllowedHeader", Many, Text(Any)),
    ChildRule("AllowedMethod", AtLeastOne, Text(Any)),
    ChildRule("AllowedOrigin", AtLeastOne, Text(NonEmpty)),
    ChildRule("ExposeHeader", Many, Text(Any)),
    ChildRule("MaxAgeSeconds", Optional, Text(Number)),
];
pub(crate) const CORS: Schema = Schema {
    root: "CORSConfiguration",
    shape: &[ChildRule("CORSRule", AtLeastOne, Group(CORS_RULE))],
    check_rules: check_cors,
};

fn check_cors(root: &Element) -> S3Result<()> {
    if root.children.len() > CORS_RULES_MAX {
        return Err(invalid_request_error(
            "The number of CORS rules should not exceed allowed limit of 100 rules.",
        ));
    }
    for rule in root.children_with_name("CORSRule") {
        if let Some(method) = rule
            .child_texts("AllowedMethod")
            .find(|method| !matches!(*method, "GET" | "PUT" | "HEAD" | "POST" | "DELETE"))
        {
            return Err(invalid_request_error(&format!(
                "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            )));
        }
        for name in ["AllowedOrigin", "AllowedHeader"] {
            if let Some(text) = rule.child_texts(name).find(|text| text.matches('*').count() > 1) {
                return Err(invalid_request_error(&format!(
                    "{name} \"{text}\" can not have more than one wildcard."
                )));
            }
        }
        if let Some(text) = rule.child_texts("ExposeHeader").find(|text| text.contains('*')) {
            return Err(invalid_request_error(&format!(
                "ExposeHeader \"{text}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
            )));
        }
    }
    check_unique_ids(root.children_with_name("CORSRule"))
}

fn check_unique_ids<'a>(rules: impl Iterator<Item = &'a Element>) -> S3Result<()> {
    const ID_CHARS_MAX: usize = 255;
    let mut known = std::collections::HashSet::new();
    for id in rules.filter_map(|rule| rule.child_text("ID")).filter(|id| !id.is_empty()) {
        if id.chars().count() > ID_CHARS_MAX {
            return Err(invalid_argument_error("ID length should not exceed allowed limit of 255", "ID", id));
        }
        if !known.insert(id) {
            return Err(invalid_argument_error(
                &format!("Rule ID must be unique. Found same ID for more than one rule: {id}"),
                "ID",
                id,
            ));
        }
    }
    Ok(())
}

// Lifecycle

const LIFECYCLE_RULES_MAX: usize = 1000;
const STATUS: Shape = Text(OneOf(&["Enabled", "Disabled"]));
const LATER_CLASS: Shape = Text(OneOf(&[
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "GLACIER_IR",
    "DEEP_ARCHIVE",
]));
const TAG: &[ChildRule] = &[ChildRule("Key", One, Text(NonEmpty)), ChildRule("Value", One, Text(Any))];
const FILTER_AND: &[ChildRule] = &[
    ChildRule("Prefix", Optional, Text(Any)),
    ChildRule("Tag", Many, Group(TAG)),
    ChildRule("ObjectSizeGreaterThan", Optional, Text(Number)),
    ChildRule("ObjectSizeLessThan", Optional, Text(Number)),
];
const FILTER: &[ChildRule] = &[
    ChildRule("Prefix", Optional, Text(Any)),
    ChildRule("Tag", Optional, Group(TAG)),
    ChildRule("ObjectSizeGreaterThan", Optional, Text(Number)),
    ChildRule("ObjectSizeLessThan", Optional, Text(Number)),
    ChildRule("And", Optional, Group(FILTER_AND)),
];
const EXPIRATION: &[ChildRule] = &[
    ChildRule("Days", Optional, Text(Number)),
    ChildRule("Date", Optional, Text(Date)),
    ChildRule("ExpiredObjectDeleteMarker", Optional, Text(Boolean)),
];
const TRANSITION: &[ChildRule] = &[
    ChildRule("Days", Optional, Text(Number)),
    ChildRule("Date", Optional, Text(Date)),
    ChildRule("StorageClass", One, LATER_CLASS),
];
const NONCURRENT_EXPIRATION: &[ChildRule] = &[
    ChildRule("NoncurrentDays", One, Text(Number)),
    ChildRule("NewerNoncurrentVersions", Optional, Text(Number)),
];
const NONCURRENT_TRANSITION: &[ChildRule] = &[
    ChildRule("NoncurrentDays", One, Text(Number)),
    ChildRule("NewerNoncurrentVersions", Optional, Text(Number)),
    ChildRule("StorageClass", One, LATER_CLASS),
];
const ABORT: &[ChildRule] = &[ChildRule("DaysAfterInitiation", One, Text(Number))];
const LIFECYCLE_RULE: &[ChildRule] = &[
    ChildRule("ID", Optional, Text(Any)),
    ChildRule("Filter", Optional, Group(FILTER)),
    ChildRule("Prefix", Optional, Text(Any)),
    ChildRule("Status", One, STATUS),
    ChildRule("Expiration", Optional, Group(EXPIRATION)),
    ChildRule("Transition", Many, Group(TRANSITION)),
    ChildRule("NoncurrentVersionExpiration", Optional, Group(NONCURRENT_EXPIRATION)),
    ChildRule("NoncurrentVersionTransition", Many, Group(NONCURRENT_TRANSITION)),
    ChildRule("AbortIncompleteMultipartUpload", Optional, Group(ABORT)),
];
pub(crate) const LIFECYCLE: Schema = Schema {
    root: "LifecycleConfiguration",
    shape: &[ChildRule("Rule", AtLeastOne, Group(LIFECYCLE_RULE))],
    check_rules: check_lifecycle,
};

fn check_lifecycle(root: &Element) -> S3Result<()> {
    const ACTIONS: [&str; 5] = [
        "Expiration",
        "Transition",
        "NoncurrentVersionExpiration",
        "NoncurrentVersionTransition",
        "AbortIncompleteMultipartUpload",
    ];
    if root.children.len() > LIFECYCLE_RULES_MAX {
        return Err(malformed_xml_error());
    }
    for rule in root.children_with_name("Rule") {
        if !has_exactly_one(rule, &["Filter", "Prefix"])
            || rule.child("Filter").is_some_and(|filter| filter.children.len() > 1)
        {
            return Err(malformed_xml_error());
        }
        if !ACTIONS.iter().any(|action| rule.has_child(action)) {
            return Err(invalid_request_error("At least one action needs to be specified in a rule"));
        }
        if rule
            .child("Expiration")
            .is_some_and(|row| !has_exactly_one(row, &["Days", "Date", "ExpiredObjectDeleteMarker"]))
            || rule.children_with_name("Transition").any(|row| !has_exactly_one(row, &["Days", "Date"]))
        {
            return Err(malformed_xml_error());
        }
        check_lifecycle_numbers(rule)?;
    }
    check_unique_ids(root.children_with_name("Rule"))
}

fn check_lifecycle_numbers(rule: &Element) -> S3Result<()> {
    let rows = || rule.children.iter();
    let positive = [
        ("Expiration", "Days"),
        ("NoncurrentVersionExpiration", "NoncurrentDays"),
        ("NoncurrentVersionExpiration", "NewerNoncurrentVersions"),
        ("NoncurrentVersionTransition", "NewerNoncurrentVersions"),
        ("AbortIncompleteMultipartUpload", "DaysAfterInitiation"),
    ];
    for (action, name) in positive {
        if let Some(days) =
            rule.children_with_name(action).filter_map(|row| parse_number(row, name)).find(|days| *days < 1)
        {
            let message = format!("'{name}' for {action} action must be a positive integer");
            return Err(invalid_argument_error(&message, name, &days.to_string()));
        }
    }
    for name in ["Days", "NoncurrentDays"] {
        if let Some(days) = rows().filter_map(|row| parse_number(row, name)).find(|days| *days < 0) {
            let message = format!("'{name}' in Transition action must be nonnegative");
            return Err(invalid_argument_error(&message, name, &days.to_string()));
        }
    }
    if let Some(text) = rows().filter_map(|row| row.child_text("Date")).find(|text| !is_midnight(text)) {
        return Err(invalid_argument_error("'Date' must be at midnight GMT", "Date", text));
    }
    Ok(())
}

fn is_midnight(text: &str) -> bool {
    const DAY_SECONDS: i128 = 86_400;
    let mut seconds = Vec::new();
    let result = parse_date(text).map(|date| date.format(TimestampFormat::EpochSeconds, &mut seconds));
    let number = String::from_utf8(seconds).ok().and_then(|text| text.parse::<i128>().ok());
    result.is_some_and(|formatted| formatted.is_ok())
        && number.is_some_and(|number| number.rem_euclid(DAY_SECONDS) == 0)
}

// Tags

const BUCKET_TAGS_MAX: usize = 50;
const TAG_SET: &[ChildRule] = &[ChildRule("Tag", Many, Group(TAG))];
pub(crate) const TAGGING: Schema = Schema {
    root: "Tagging",
    shape: &[ChildRule("TagSet", One, Group(TAG_SET))],
    check_rules: check_tagging,
};

fn check_tagging(root: &Element) -> S3Result<()> {
    let tags = root.child("TagSet").into_iter().flat_map(|set| set.children_with_name("Tag"));
    let pair = |tag: &Element| {
        let text = |name: &str| tag.child_text(name).unwrap_or_default().to_owned();
        (text("Key"), text("Value"))
    };
    Tags::check_bucket_tags(tags.map(pair).collect(), BUCKET_TAGS_MAX)
}

// Website

const PROTOCOL: Shape = Text(OneOf(&["http", "https"]));
const REDIRECT_ALL: &[ChildRule] =
    &[ChildRule("HostName", One, Text(NonEmpty)), ChildRule("Protocol", Optional, PROTOCOL)];
const INDEX: &[ChildRule] = &[ChildRule("Suffix", One, Text(Any))];
const ERROR: &[ChildRule] = &[ChildRule("Key", One, Text(NonEmpty))];
const CONDITION: &[ChildRule] = &[
    ChildRule("HttpErrorCodeReturnedEquals", Optional, Text(Number)),
    ChildRule("KeyPrefixEquals", Optional, Text(Any)),
];
const REDIRECT: &[ChildRule] = &[
    ChildRule("HostName", Optional, Text(Any)),
    ChildRule("HttpRedirectCode", Optional, Text(Number)),
    ChildRule("Protocol", Optional, PROTOCOL),
    ChildRule("ReplaceKeyPrefixWith", Optional, Text(Any)),
    ChildRule("ReplaceKeyWith", Optional, Text(Any)),
];
const ROUTING_RULE: &[ChildRule] =
    &[ChildRule("Condition", Optional, Group(CONDITION)), ChildRule("Redirect", One, Group(REDIRECT))];
const ROUTING_RULES: &[ChildRule] = &[ChildRule("RoutingRule", AtLeastOne, Group(ROUTING_RULE))];
pub(crate) const WEBSITE: Schema = Schema {
    root: "WebsiteConfiguration",
    shape: &[
        ChildRule("RedirectAllRequestsTo", Optional, Group(REDIRECT_ALL)),
        ChildRule("IndexDocument", Optional, Group(INDEX)),
        ChildRule("ErrorDocument", Optional, Group(ERROR)),
        ChildRule("RoutingRules", Optional, Group(ROUTING_RULES)),
    ],
    check_rules: check_website,
};

fn check_website(root: &Element) -> S3Result<()> {
    if root.has_child("RedirectAllRequestsTo") {
        if root.children.len() > 1 {
            let message = "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.";
            return Err(invalid_argument_error(message, "RedirectAllRequestsTo", "not null"));
        }
        return Ok(());
    }
    let Some(index) = root.child("IndexDocument") else {
        let message = "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty";
        return Err(invalid_argument_error(message, "IndexDocument", "null"));
    };
    let suffix = index.child_text("Suffix").unwrap_or_default();
    if suffix.is_empty() || suffix.contains('/') {
        return Err(invalid_argument_error(
            "The IndexDocument Suffix is not well formed",
            "IndexDocument",
            suffix,
        ));
    }
    for rule in
        root.child("RoutingRules").into_iter().flat_map(|rules| rules.children_with_name("RoutingRule"))
    {
        if rule.child("Condition").is_some_and(|condition| condition.children.is_empty()) {
            let message = "Condition cannot be empty. To redirect all requests without a condition, the condition \
                           element shouldn't be present.";
            return Err(invalid_request_error(message));
        }
        let redirect = rule.child("Redirect");
        if redirect.is_none_or(|redirect| redirect.children.is_empty()) {
            return Err(invalid_request_error(
                "Redirect cannot be empty. You must specify at least one of the following: Protocol, HostName, \
                 HttpRedirectCode, ReplaceKeyPrefixWith, ReplaceKeyWith.",
            ));
        }
        if redirect
            .is_some_and(|row| row.has_child("ReplaceKeyWith") && row.has_child("ReplaceKeyPrefixWith"))
        {
            return Err(invalid_request_error(
                "You can only define ReplaceKeyPrefix or ReplaceKey but not both.",
            ));
        }
    }
    Ok(())
}

// Logging

const GRANTEE: &[ChildRule] = &[
    ChildRule("ID", Optional, Text(Any)),
    ChildRule("DisplayName", Optional, Text(Any)),
    ChildRule("EmailAddress", Optional, Text(Any)),
    ChildRule("URI", Optional, Text(Any)),
];
const GRANT: &[ChildRule] = &[
    ChildRule("Grantee", One, Group(GRANTEE)),
    ChildRule("Permission", One, Text(OneOf(&["FULL_CONTROL", "READ", "WRITE"]))),
];
const TARGET_GRANTS: &[ChildRule] = &[ChildRule("Grant", Many, Group(GRANT))];
const PARTITIONED: &[ChildRule] =
    &[ChildRule("PartitionDateSource", Optional, Text(OneOf(&["EventTime", "DeliveryTime"])))];
const KEY_FORMAT: &[ChildRule] = &[
    ChildRule("SimplePrefix", Optional, Group(&[])),
    ChildRule("PartitionedPrefix", Optional, Group(PARTITIONED)),
];
const LOGGING_ENABLED: &[ChildRule] = &[
    ChildRule("TargetBucket", One, Text(NonEmpty)),
    ChildRule("TargetPrefix", One, Text(Any)),
    ChildRule("TargetGrants", Optional, Group(TARGET_GRANTS)),
    ChildRule("TargetObjectKeyFormat", Optional, Group(KEY_FORMAT)),
];
pub(crate) const LOGGING: Schema = Schema {
    root: "BucketLoggingStatus",
    shape: &[ChildRule("LoggingEnabled", Optional, Group(LOGGING_ENABLED))],
    check_rules: check_logging,
};

fn check_logging(root: &Element) -> S3Result<()> {
    let format = root.child("LoggingEnabled").and_then(|row| row.child("TargetObjectKeyFormat"));
    if format.is_some_and(|format| format.children.len() != 1) {
        return Err(malformed_xml_error());
    }
    Ok(())
}

// Encryption

const BY_DEFAULT: &[ChildRule] = &[
    ChildRule("SSEAlgorithm", One, Text(OneOf(&["AES256", "aws:kms", "aws:kms:dsse"]))),
    ChildRule("KMSMasterKeyID", Optional, Text(Any)),
];
const BLOCKED: &[ChildRule] = &[ChildRule("EncryptionType", Many, Text(OneOf(&["NONE", "SSE-C"])))];
const ENCRYPTION_RULE: &[ChildRule] = &[
    ChildRule("ApplyServerSideEncryptionByDefault", Optional, Group(BY_DEFAULT)),
    ChildRule("BucketKeyEnabled", Optional, Text(Boolean)),
    ChildRule("BlockedEncryptionTypes", Optional, Group(BLOCKED)),
];
pub(crate) const ENCRYPTION: Schema = Schema {
    root: "ServerSideEncryptionConfiguration",
    shape: &[ChildRule("Rule", One, Group(ENCRYPTION_RULE))],
    check_rules: check_encryption,
};

/// Rejects an unsupported encryption. Otherwise the bucket would declare an encryption that its objects do not have.
fn check_encryption(root: &Element) -> S3Result<()> {
    let default = root.child("Rule").and_then(|rule| rule.child("ApplyServerSideEncryptionByDefault"));
    let Some(default) = default else { return Ok(()) };
    if default.child_text("SSEAlgorithm") != Some("AES256") {
        return Err(not_implemented_error("SSEAlgorithm"));
    }
    if default.has_child("KMSMasterKeyID") {
        let message = "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or \
                       aws:kms:dsse";
        return Err(s3_error(
            400,
            "InvalidArgument",
            message,
            &[("ArgumentName", "ApplyServerSideEncryptionByDefault")],
        ));
    }
    Ok(())
}

/// Whether the encryption document blocks customer keys.
pub(crate) fn blocks_customer_keys(root: &Element) -> bool {
    let blocked = root.child("Rule").and_then(|rule| rule.child("BlockedEncryptionTypes"));
    blocked.is_some_and(|blocked| blocked.child_texts("EncryptionType").any(|kind| kind == "SSE-C"))
}

// Public access, payment

pub(crate) const PUBLIC_ACCESS: Schema = Schema {
    root: "PublicAccessBlockConfiguration",
    shape: &[
        ChildRule("BlockPublicAcls", Optional, Text(Boolean)),
        ChildRule("IgnorePublicAcls", Optional, Text(Boolean)),
        ChildRule("BlockPublicPolicy", Optional, Text(Boolean)),
        ChildRule("RestrictPublicBuckets", Optional, Text(Boolean)),
    ],
    check_rules: accept_any,
};
pub(crate) const PAYMENT: Schema = Schema {
    root: "RequestPaymentConfiguration",
    shape: &[ChildRule("Payer", One, Text(OneOf(&["BucketOwner", "Requester"])))],
    check_rules: accept_any,
};
const OWNERS: &[&str] = &["BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced"];
pub(crate) const OWNERSHIP: Schema = Schema {
    root: "OwnershipControls",
    shape: &[ChildRule("Rule", One, Group(&[ChildRule("ObjectOwnership", One, Text(OneOf(OWNERS)))]))],
    check_rules: accept_any,
};
pub(crate) const ACCELERATE: Schema = Schema {
    root: "AccelerateConfiguration",
    shape: &[ChildRule("Status", One, Text(OneOf(&["Enabled", "Suspended"])))],
    check_rules: accept_any,
};

// Metrics, tiering

const BOTH: &[ChildRule] =
    &[ChildRule("Prefix", Optional, Text(Any)), ChildRule("Tag", AtLeastOne, Group(TAG))];
const ONE_FILTER: &[ChildRule] = &[
    ChildRule("Prefix", Optional, Text(Any)),
    ChildRule("Tag", Optional, Group(TAG)),
    ChildRule("And", Optional, Group(BOTH)),
];
pub(crate) const METRICS: Schema = Schema {
    root: "MetricsConfiguration",
    shape: &[ChildRule("Id", One, Text(NonEmpty)), ChildRule("Filter", Optional, Group(ONE_FILTER))],
    check_rules: check_one_filter,
};
const ARCHIVE_TIER: &[ChildRule] = &[
    ChildRule("AccessTier", One, Text(OneOf(&["ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"]))),
    ChildRule("Days", One, Text(Number)),
];
pub(crate) const TIERING: Schema = Schema {
    root: "IntelligentTieringConfiguration",
    shape: &[
        ChildRule("Id", One, Text(NonEmpty)),
        ChildRule("Filter", Optional, Group(ONE_FILTER)),
        ChildRule("Status", One, Text(OneOf(&["Enabled", "Disabled"]))),
        ChildRule("Tiering", AtLeastOne, Group(ARCHIVE_TIER)),
    ],
    check_rules: check_one_filter,
};

fn check_one_filter(root: &Element) -> S3Result<()> {
    match root.child("Filter") {
        Some(filter) if filter.children.len() != 1 => Err(malformed_xml_error()),
        _ => Ok(()),
    }
}

// Inventory

const SSE_KMS: &[ChildRule] = &[ChildRule("KeyId", One, Text(NonEmpty))];
const INVENTORY_ENCRYPTION: &[ChildRule] =
    &[ChildRule("SSE-S3", Optional, Group(&[])), ChildRule("SSE-KMS", Optional, Group(SSE_KMS))];
const INVENTORY_BUCKET: &[ChildRule] = &[
    ChildRule("AccountId", Optional, Text(Any)),
    ChildRule("Bucket", One, Text(NonEmpty)),
    ChildRule("Format", One, Text(OneOf(&["CSV", "ORC", "Parquet"]))),
    ChildRule("Prefix", Optional, Text(Any)),
    ChildRule("Encryption", Optional, Group(INVENTORY_ENCRYPTION)),
];
const DESTINATION: &[ChildRule] = &[ChildRule("S3BucketDestination", One, Group(INVENTORY_BUCKET))];
const INVENTORY_FILTER: &[ChildRule] = &[ChildRule("Prefix", One, Text(Any))];
const FIELDS: &[ChildRule] = &[ChildRule(
    "Field",
    Many,
    Text(OneOf(&[
        "Size",
        "LastModifiedDate",
        "StorageClass",
        "ETag",
        "IsMultipartUploaded",
        "ReplicationStatus",
        "EncryptionStatus",
        "ObjectLockRetainUntilDate",
        "ObjectLockMode",
        "ObjectLockLegalHoldStatus",
        "IntelligentTieringAccessTier",
        "BucketKeyStatus",
        "ChecksumAlgorithm",
        "ObjectAccessControlList",
        "ObjectOwner",
        "LifecycleExpirationDate",
    ])),
)];
const SCHEDULE: &[ChildRule] = &[ChildRule("Frequency", One, Text(OneOf(&["Daily", "Weekly"])))];
pub(crate) const INVENTORY: Schema = Schema {
    root: "InventoryConfiguration",
    shape: &[
        ChildRule("Destination", One, Group(DESTINATION)),
        ChildRule("IsEnabled", One, Text(Boolean)),
        ChildRule("Filter", Optional, Group(INVENTORY_FILTER)),
        ChildRule("Id", One, Text(NonEmpty)),
        ChildRule("IncludedObjectVersions", One, Text(OneOf(&["All", "Current"]))),
        ChildRule("OptionalFields", Optional, Group(FIELDS)),
        ChildRule("Schedule", One, Group(SCHEDULE)),
    ],
    check_rules: check_inventory,
};

fn check_inventory(root: &Element) -> S3Result<()> {
    let bucket = root.child("Destination").and_then(|row| row.child("S3BucketDestination"));
    let encryption = bucket.and_then(|bucket| bucket.child("Encryption"));
    if encryption.is_some_and(|encryption| encryption.children.len() != 1) {
        return Err(malformed_xml_error());
    }
    Ok(())
}

// Restoring an object

const TIER: Shape = Text(OneOf(&["Standard", "Bulk", "Expedited"]));
const GLACIER_JOB: &[ChildRule] = &[ChildRule("Tier", One, TIER)];
pub(crate) const RESTORE: Schema = Schema {
    root: "RestoreRequest",
    shape: &[
        ChildRule("Days", One, Text(Number)),
        ChildRule("GlacierJobParameters", Optional, Group(GLACIER_JOB)),
        ChildRule("Tier", Optional, TIER),
        ChildRule("Description", Optional, Text(Any)),
    ],
    check_rules: check_restore,
};

fn check_restore(root: &Element) -> S3Result<()> {
    if parse_number(root, "Days").is_none_or(|days| days < 1) {
        let days = root.child_text("Days").unwrap_or_default();
        return Err(invalid_argument_error("Days must be a positive integer", "Days", days));
    }
    Ok(())
}
