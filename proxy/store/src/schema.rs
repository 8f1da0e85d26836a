//! What each document of a bucket setting may hold: elements, how often, and which texts.
//!
//! Wire rules: S3, the request syntax of each `PutBucket*` call. Order is free, as S3 takes it; an element that is not
//! listed is an error, so that nothing is ever dropped.

use crate::attributes::Tags;
use crate::errors::{fault, invalid_argument, invalid_request, malformed_xml, not_implemented};
use crate::xml::Element;
use s3s::S3Result;
use s3s::dto::{Timestamp, TimestampFormat};

/// What an element holds.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Text(Check),
    Group(&'static [Child]),
}

/// Which texts are one.
#[derive(Clone, Copy, Debug)]
enum Check {
    Any,
    NonEmpty,
    Number,
    Boolean,
    Date,
    OneOf(&'static [&'static str]),
}

#[derive(Clone, Copy, Debug)]
enum Times {
    One,
    Maybe,
    Many,
    Some,
}

use Check::{Any, Boolean, Date, NonEmpty, Number, OneOf};
use Shape::{Group, Text};
use Times::{Many, Maybe, One, Some as AtLeastOne};

#[derive(Clone, Copy, Debug)]
struct Child(&'static str, Times, Shape);

/// A document: its root, and the rules its elements do not show by themselves.
#[derive(Clone, Copy)]
pub(crate) struct Schema {
    root: &'static str,
    shape: &'static [Child],
    rules: fn(&Element) -> S3Result<()>,
}

impl Schema {
    /// Reads a document that is one of these.
    ///
    /// # Errors
    /// 400 `MalformedXML`, or what S3 says of the rule that was broken.
    pub(crate) fn read(&self, bytes: &[u8]) -> S3Result<Element> {
        let mut element = Element::read(bytes)?;
        if element.name != self.root {
            return Err(malformed_xml());
        }
        check(&mut element, Group(self.shape)).ok_or_else(malformed_xml)?;
        (self.rules)(&element)?;
        Ok(element)
    }
}

fn check(element: &mut Element, shape: Shape) -> Option<()> {
    if element.name == "Grantee" {
        let kind = element.kind.as_deref()?;
        matches!(kind, "CanonicalUser" | "AmazonCustomerByEmail" | "Group").then_some(())?;
    } else {
        element.kind = None;
    }
    let children = match shape {
        Text(text) => return (element.children.is_empty() && allowed(&element.text, text)).then_some(()),
        Group(children) => children,
    };
    if !element.text.trim().is_empty() {
        return None;
    }
    element.text.clear();
    for child in &mut element.children {
        let Child(_, _, shape) = children.iter().find(|known| known.0 == child.name)?;
        check(child, *shape)?;
    }
    let times = |Child(name, times, _): &Child| {
        let count = element.all(name).count();
        match times {
            One => count == 1,
            Maybe => count <= 1,
            Many => true,
            AtLeastOne => count >= 1,
        }
    };
    children.iter().all(times).then_some(())
}

fn allowed(text: &str, check: Check) -> bool {
    match check {
        Any => true,
        NonEmpty => !text.is_empty(),
        Number => text.trim().parse::<i64>().is_ok(),
        Boolean => matches!(text.trim(), "true" | "false"),
        Date => date(text).is_some(),
        OneOf(texts) => texts.contains(&text),
    }
}

/// A date as XML documents carry it, or a day alone.
fn date(text: &str) -> Option<Timestamp> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    Timestamp::parse(TimestampFormat::DateTime, &whole).ok()
}

const fn no_rules(_: &Element) -> S3Result<()> {
    Ok(())
}

fn number_of(element: &Element, name: &str) -> Option<i64> {
    element.text_of(name).and_then(|text| text.trim().parse().ok())
}

fn exactly_one(element: &Element, names: &[&str]) -> bool {
    names.iter().map(|name| element.all(name).count()).sum::<usize>() == 1
}

// CORS

const CORS_RULES_MAX: usize = 100;
const CORS_RULE: &[Child] = &[
    Child("ID", Maybe, Text(Any)),
    Child("AllowedHeader", Many, Text(Any)),
    Child("AllowedMethod", AtLeastOne, Text(Any)),
    Child("AllowedOrigin", AtLeastOne, Text(NonEmpty)),
    Child("ExposeHeader", Many, Text(Any)),
    Child("MaxAgeSeconds", Maybe, Text(Number)),
];
pub(crate) const CORS: Schema = Schema {
    root: "CORSConfiguration",
    shape: &[Child("CORSRule", AtLeastOne, Group(CORS_RULE))],
    rules: cors,
};

fn cors(root: &Element) -> S3Result<()> {
    if root.children.len() > CORS_RULES_MAX {
        return Err(invalid_request(
            "The number of CORS rules should not exceed allowed limit of 100 rules.",
        ));
    }
    for rule in root.all("CORSRule") {
        if let Some(method) = rule
            .texts("AllowedMethod")
            .find(|method| !matches!(*method, "GET" | "PUT" | "HEAD" | "POST" | "DELETE"))
        {
            return Err(invalid_request(&format!(
                "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            )));
        }
        for name in ["AllowedOrigin", "AllowedHeader"] {
            if let Some(text) = rule.texts(name).find(|text| text.matches('*').count() > 1) {
                return Err(invalid_request(&format!(
                    "{name} \"{text}\" can not have more than one wildcard."
                )));
            }
        }
        if let Some(text) = rule.texts("ExposeHeader").find(|text| text.contains('*')) {
            return Err(invalid_request(&format!(
                "ExposeHeader \"{text}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
            )));
        }
    }
    unique_ids(root.all("CORSRule"))
}

fn unique_ids<'a>(rules: impl Iterator<Item = &'a Element>) -> S3Result<()> {
    const ID_CHARS_MAX: usize = 255;
    let mut known = std::collections::HashSet::new();
    for id in rules.filter_map(|rule| rule.text_of("ID")).filter(|id| !id.is_empty()) {
        if id.chars().count() > ID_CHARS_MAX {
            return Err(invalid_argument("ID length should not exceed allowed limit of 255", "ID", id));
        }
        if !known.insert(id) {
            return Err(invalid_argument(
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
const TAG: &[Child] = &[Child("Key", One, Text(NonEmpty)), Child("Value", One, Text(Any))];
const FILTER_AND: &[Child] = &[
    Child("Prefix", Maybe, Text(Any)),
    Child("Tag", Many, Group(TAG)),
    Child("ObjectSizeGreaterThan", Maybe, Text(Number)),
    Child("ObjectSizeLessThan", Maybe, Text(Number)),
];
const FILTER: &[Child] = &[
    Child("Prefix", Maybe, Text(Any)),
    Child("Tag", Maybe, Group(TAG)),
    Child("ObjectSizeGreaterThan", Maybe, Text(Number)),
    Child("ObjectSizeLessThan", Maybe, Text(Number)),
    Child("And", Maybe, Group(FILTER_AND)),
];
const EXPIRATION: &[Child] = &[
    Child("Days", Maybe, Text(Number)),
    Child("Date", Maybe, Text(Date)),
    Child("ExpiredObjectDeleteMarker", Maybe, Text(Boolean)),
];
const TRANSITION: &[Child] = &[
    Child("Days", Maybe, Text(Number)),
    Child("Date", Maybe, Text(Date)),
    Child("StorageClass", One, LATER_CLASS),
];
const NONCURRENT_EXPIRATION: &[Child] =
    &[Child("NoncurrentDays", One, Text(Number)), Child("NewerNoncurrentVersions", Maybe, Text(Number))];
const NONCURRENT_TRANSITION: &[Child] = &[
    Child("NoncurrentDays", One, Text(Number)),
    Child("NewerNoncurrentVersions", Maybe, Text(Number)),
    Child("StorageClass", One, LATER_CLASS),
];
const ABORT: &[Child] = &[Child("DaysAfterInitiation", One, Text(Number))];
const LIFECYCLE_RULE: &[Child] = &[
    Child("ID", Maybe, Text(Any)),
    Child("Filter", Maybe, Group(FILTER)),
    Child("Prefix", Maybe, Text(Any)),
    Child("Status", One, STATUS),
    Child("Expiration", Maybe, Group(EXPIRATION)),
    Child("Transition", Many, Group(TRANSITION)),
    Child("NoncurrentVersionExpiration", Maybe, Group(NONCURRENT_EXPIRATION)),
    Child("NoncurrentVersionTransition", Many, Group(NONCURRENT_TRANSITION)),
    Child("AbortIncompleteMultipartUpload", Maybe, Group(ABORT)),
];
pub(crate) const LIFECYCLE: Schema = Schema {
    root: "LifecycleConfiguration",
    shape: &[Child("Rule", AtLeastOne, Group(LIFECYCLE_RULE))],
    rules: lifecycle,
};

fn lifecycle(root: &Element) -> S3Result<()> {
    const ACTIONS: [&str; 5] = [
        "Expiration",
        "Transition",
        "NoncurrentVersionExpiration",
        "NoncurrentVersionTransition",
        "AbortIncompleteMultipartUpload",
    ];
    if root.children.len() > LIFECYCLE_RULES_MAX {
        return Err(malformed_xml());
    }
    for rule in root.all("Rule") {
        if !exactly_one(rule, &["Filter", "Prefix"])
            || rule.child("Filter").is_some_and(|filter| filter.children.len() > 1)
        {
            return Err(malformed_xml());
        }
        if !ACTIONS.iter().any(|action| rule.has(action)) {
            return Err(invalid_request("At least one action needs to be specified in a rule"));
        }
        if rule
            .child("Expiration")
            .is_some_and(|row| !exactly_one(row, &["Days", "Date", "ExpiredObjectDeleteMarker"]))
            || rule.all("Transition").any(|row| !exactly_one(row, &["Days", "Date"]))
        {
            return Err(malformed_xml());
        }
        lifecycle_numbers(rule)?;
    }
    unique_ids(root.all("Rule"))
}

fn lifecycle_numbers(rule: &Element) -> S3Result<()> {
    let rows = || rule.children.iter();
    let positive = [
        ("Expiration", "Days"),
        ("NoncurrentVersionExpiration", "NoncurrentDays"),
        ("NoncurrentVersionExpiration", "NewerNoncurrentVersions"),
        ("NoncurrentVersionTransition", "NewerNoncurrentVersions"),
        ("AbortIncompleteMultipartUpload", "DaysAfterInitiation"),
    ];
    for (action, name) in positive {
        if let Some(days) = rule.all(action).filter_map(|row| number_of(row, name)).find(|days| *days < 1) {
            let message = format!("'{name}' for {action} action must be a positive integer");
            return Err(invalid_argument(&message, name, &days.to_string()));
        }
    }
    for name in ["Days", "NoncurrentDays"] {
        if let Some(days) = rows().filter_map(|row| number_of(row, name)).find(|days| *days < 0) {
            let message = format!("'{name}' in Transition action must be nonnegative");
            return Err(invalid_argument(&message, name, &days.to_string()));
        }
    }
    if let Some(text) = rows().filter_map(|row| row.text_of("Date")).find(|text| !midnight(text)) {
        return Err(invalid_argument("'Date' must be at midnight GMT", "Date", text));
    }
    Ok(())
}

fn midnight(text: &str) -> bool {
    const DAY_SECONDS: i128 = 86_400;
    let mut seconds = Vec::new();
    let told = date(text).map(|date| date.format(TimestampFormat::EpochSeconds, &mut seconds));
    let number = String::from_utf8(seconds).ok().and_then(|text| text.parse::<i128>().ok());
    told.is_some_and(|told| told.is_ok()) && number.is_some_and(|number| number.rem_euclid(DAY_SECONDS) == 0)
}

// Tags

const BUCKET_TAGS_MAX: usize = 50;
const TAG_SET: &[Child] = &[Child("Tag", Many, Group(TAG))];
pub(crate) const TAGGING: Schema =
    Schema { root: "Tagging", shape: &[Child("TagSet", One, Group(TAG_SET))], rules: tagging };

fn tagging(root: &Element) -> S3Result<()> {
    let tags = root.child("TagSet").into_iter().flat_map(|set| set.all("Tag"));
    let pair = |tag: &Element| {
        let text = |name: &str| tag.text_of(name).unwrap_or_default().to_owned();
        (text("Key"), text("Value"))
    };
    Tags::of_bucket(tags.map(pair).collect(), BUCKET_TAGS_MAX)
}

// Website

const PROTOCOL: Shape = Text(OneOf(&["http", "https"]));
const REDIRECT_ALL: &[Child] = &[Child("HostName", One, Text(NonEmpty)), Child("Protocol", Maybe, PROTOCOL)];
const INDEX: &[Child] = &[Child("Suffix", One, Text(Any))];
const ERROR: &[Child] = &[Child("Key", One, Text(NonEmpty))];
const CONDITION: &[Child] =
    &[Child("HttpErrorCodeReturnedEquals", Maybe, Text(Number)), Child("KeyPrefixEquals", Maybe, Text(Any))];
const REDIRECT: &[Child] = &[
    Child("HostName", Maybe, Text(Any)),
    Child("HttpRedirectCode", Maybe, Text(Number)),
    Child("Protocol", Maybe, PROTOCOL),
    Child("ReplaceKeyPrefixWith", Maybe, Text(Any)),
    Child("ReplaceKeyWith", Maybe, Text(Any)),
];
const ROUTING_RULE: &[Child] =
    &[Child("Condition", Maybe, Group(CONDITION)), Child("Redirect", One, Group(REDIRECT))];
const ROUTING_RULES: &[Child] = &[Child("RoutingRule", AtLeastOne, Group(ROUTING_RULE))];
pub(crate) const WEBSITE: Schema = Schema {
    root: "WebsiteConfiguration",
    shape: &[
        Child("RedirectAllRequestsTo", Maybe, Group(REDIRECT_ALL)),
        Child("IndexDocument", Maybe, Group(INDEX)),
        Child("ErrorDocument", Maybe, Group(ERROR)),
        Child("RoutingRules", Maybe, Group(ROUTING_RULES)),
    ],
    rules: website,
};

fn website(root: &Element) -> S3Result<()> {
    if root.has("RedirectAllRequestsTo") {
        if root.children.len() > 1 {
            let message = "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.";
            return Err(invalid_argument(message, "RedirectAllRequestsTo", "not null"));
        }
        return Ok(());
    }
    let Some(index) = root.child("IndexDocument") else {
        let message = "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty";
        return Err(invalid_argument(message, "IndexDocument", "null"));
    };
    let suffix = index.text_of("Suffix").unwrap_or_default();
    if suffix.is_empty() || suffix.contains('/') {
        return Err(invalid_argument("The IndexDocument Suffix is not well formed", "IndexDocument", suffix));
    }
    for rule in root.child("RoutingRules").into_iter().flat_map(|rules| rules.all("RoutingRule")) {
        if rule.child("Condition").is_some_and(|condition| condition.children.is_empty()) {
            let message = "Condition cannot be empty. To redirect all requests without a condition, the condition \
                           element shouldn't be present.";
            return Err(invalid_request(message));
        }
        let redirect = rule.child("Redirect");
        if redirect.is_none_or(|redirect| redirect.children.is_empty()) {
            return Err(invalid_request(
                "Redirect cannot be empty. You must specify at least one of the following: Protocol, HostName, \
                 HttpRedirectCode, ReplaceKeyPrefixWith, ReplaceKeyWith.",
            ));
        }
        if redirect.is_some_and(|row| row.has("ReplaceKeyWith") && row.has("ReplaceKeyPrefixWith")) {
            return Err(invalid_request("You can only define ReplaceKeyPrefix or ReplaceKey but not both."));
        }
    }
    Ok(())
}

// Logging

const GRANTEE: &[Child] = &[
    Child("ID", Maybe, Text(Any)),
    Child("DisplayName", Maybe, Text(Any)),
    Child("EmailAddress", Maybe, Text(Any)),
    Child("URI", Maybe, Text(Any)),
];
const GRANT: &[Child] = &[
    Child("Grantee", One, Group(GRANTEE)),
    Child("Permission", One, Text(OneOf(&["FULL_CONTROL", "READ", "WRITE"]))),
];
const TARGET_GRANTS: &[Child] = &[Child("Grant", Many, Group(GRANT))];
const PARTITIONED: &[Child] =
    &[Child("PartitionDateSource", Maybe, Text(OneOf(&["EventTime", "DeliveryTime"])))];
const KEY_FORMAT: &[Child] =
    &[Child("SimplePrefix", Maybe, Group(&[])), Child("PartitionedPrefix", Maybe, Group(PARTITIONED))];
const LOGGING_ENABLED: &[Child] = &[
    Child("TargetBucket", One, Text(NonEmpty)),
    Child("TargetPrefix", One, Text(Any)),
    Child("TargetGrants", Maybe, Group(TARGET_GRANTS)),
    Child("TargetObjectKeyFormat", Maybe, Group(KEY_FORMAT)),
];
pub(crate) const LOGGING: Schema = Schema {
    root: "BucketLoggingStatus",
    shape: &[Child("LoggingEnabled", Maybe, Group(LOGGING_ENABLED))],
    rules: logging,
};

fn logging(root: &Element) -> S3Result<()> {
    let format = root.child("LoggingEnabled").and_then(|row| row.child("TargetObjectKeyFormat"));
    if format.is_some_and(|format| format.children.len() != 1) {
        return Err(malformed_xml());
    }
    Ok(())
}

// Encryption

const BY_DEFAULT: &[Child] = &[
    Child("SSEAlgorithm", One, Text(OneOf(&["AES256", "aws:kms", "aws:kms:dsse"]))),
    Child("KMSMasterKeyID", Maybe, Text(Any)),
];
const BLOCKED: &[Child] = &[Child("EncryptionType", Many, Text(OneOf(&["NONE", "SSE-C"])))];
const ENCRYPTION_RULE: &[Child] = &[
    Child("ApplyServerSideEncryptionByDefault", Maybe, Group(BY_DEFAULT)),
    Child("BucketKeyEnabled", Maybe, Text(Boolean)),
    Child("BlockedEncryptionTypes", Maybe, Group(BLOCKED)),
];
pub(crate) const ENCRYPTION: Schema = Schema {
    root: "ServerSideEncryptionConfiguration",
    shape: &[Child("Rule", One, Group(ENCRYPTION_RULE))],
    rules: encryption,
};

/// What this store could not keep is refused, or a bucket would promise an encryption its objects do not have.
fn encryption(root: &Element) -> S3Result<()> {
    let default = root.child("Rule").and_then(|rule| rule.child("ApplyServerSideEncryptionByDefault"));
    let Some(default) = default else { return Ok(()) };
    if default.text_of("SSEAlgorithm") != Some("AES256") {
        return Err(not_implemented("SSEAlgorithm"));
    }
    if default.has("KMSMasterKeyID") {
        let message = "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or \
                       aws:kms:dsse";
        return Err(fault(
            400,
            "InvalidArgument",
            message,
            &[("ArgumentName", "ApplyServerSideEncryptionByDefault")],
        ));
    }
    Ok(())
}

/// What `ENCRYPTION` says of customers' keys.
pub(crate) fn blocks_customer_keys(root: &Element) -> bool {
    let blocked = root.child("Rule").and_then(|rule| rule.child("BlockedEncryptionTypes"));
    blocked.is_some_and(|blocked| blocked.texts("EncryptionType").any(|kind| kind == "SSE-C"))
}

// Public access, payment

pub(crate) const PUBLIC_ACCESS: Schema = Schema {
    root: "PublicAccessBlockConfiguration",
    shape: &[
        Child("BlockPublicAcls", Maybe, Text(Boolean)),
        Child("IgnorePublicAcls", Maybe, Text(Boolean)),
        Child("BlockPublicPolicy", Maybe, Text(Boolean)),
        Child("RestrictPublicBuckets", Maybe, Text(Boolean)),
    ],
    rules: no_rules,
};
pub(crate) const PAYMENT: Schema = Schema {
    root: "RequestPaymentConfiguration",
    shape: &[Child("Payer", One, Text(OneOf(&["BucketOwner", "Requester"])))],
    rules: no_rules,
};
const OWNERS: &[&str] = &["BucketOwnerPreferred", "ObjectWriter", "BucketOwnerEnforced"];
pub(crate) const OWNERSHIP: Schema = Schema {
    root: "OwnershipControls",
    shape: &[Child("Rule", One, Group(&[Child("ObjectOwnership", One, Text(OneOf(OWNERS)))]))],
    rules: no_rules,
};
pub(crate) const ACCELERATE: Schema = Schema {
    root: "AccelerateConfiguration",
    shape: &[Child("Status", One, Text(OneOf(&["Enabled", "Suspended"])))],
    rules: no_rules,
};

// Metrics, tiering

const BOTH: &[Child] = &[Child("Prefix", Maybe, Text(Any)), Child("Tag", AtLeastOne, Group(TAG))];
const ONE_FILTER: &[Child] =
    &[Child("Prefix", Maybe, Text(Any)), Child("Tag", Maybe, Group(TAG)), Child("And", Maybe, Group(BOTH))];
pub(crate) const METRICS: Schema = Schema {
    root: "MetricsConfiguration",
    shape: &[Child("Id", One, Text(NonEmpty)), Child("Filter", Maybe, Group(ONE_FILTER))],
    rules: one_filter,
};
const ARCHIVE_TIER: &[Child] = &[
    Child("AccessTier", One, Text(OneOf(&["ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"]))),
    Child("Days", One, Text(Number)),
];
pub(crate) const TIERING: Schema = Schema {
    root: "IntelligentTieringConfiguration",
    shape: &[
        Child("Id", One, Text(NonEmpty)),
        Child("Filter", Maybe, Group(ONE_FILTER)),
        Child("Status", One, Text(OneOf(&["Enabled", "Disabled"]))),
        Child("Tiering", AtLeastOne, Group(ARCHIVE_TIER)),
    ],
    rules: one_filter,
};

fn one_filter(root: &Element) -> S3Result<()> {
    match root.child("Filter") {
        Some(filter) if filter.children.len() != 1 => Err(malformed_xml()),
        _ => Ok(()),
    }
}

// Inventory

const SSE_KMS: &[Child] = &[Child("KeyId", One, Text(NonEmpty))];
const INVENTORY_ENCRYPTION: &[Child] =
    &[Child("SSE-S3", Maybe, Group(&[])), Child("SSE-KMS", Maybe, Group(SSE_KMS))];
const INVENTORY_BUCKET: &[Child] = &[
    Child("AccountId", Maybe, Text(Any)),
    Child("Bucket", One, Text(NonEmpty)),
    Child("Format", One, Text(OneOf(&["CSV", "ORC", "Parquet"]))),
    Child("Prefix", Maybe, Text(Any)),
    Child("Encryption", Maybe, Group(INVENTORY_ENCRYPTION)),
];
const DESTINATION: &[Child] = &[Child("S3BucketDestination", One, Group(INVENTORY_BUCKET))];
const INVENTORY_FILTER: &[Child] = &[Child("Prefix", One, Text(Any))];
const FIELDS: &[Child] = &[Child(
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
const SCHEDULE: &[Child] = &[Child("Frequency", One, Text(OneOf(&["Daily", "Weekly"])))];
pub(crate) const INVENTORY: Schema = Schema {
    root: "InventoryConfiguration",
    shape: &[
        Child("Destination", One, Group(DESTINATION)),
        Child("IsEnabled", One, Text(Boolean)),
        Child("Filter", Maybe, Group(INVENTORY_FILTER)),
        Child("Id", One, Text(NonEmpty)),
        Child("IncludedObjectVersions", One, Text(OneOf(&["All", "Current"]))),
        Child("OptionalFields", Maybe, Group(FIELDS)),
        Child("Schedule", One, Group(SCHEDULE)),
    ],
    rules: inventory,
};

fn inventory(root: &Element) -> S3Result<()> {
    let bucket = root.child("Destination").and_then(|row| row.child("S3BucketDestination"));
    let encryption = bucket.and_then(|bucket| bucket.child("Encryption"));
    if encryption.is_some_and(|encryption| encryption.children.len() != 1) {
        return Err(malformed_xml());
    }
    Ok(())
}

// Restoring an object

const TIER: Shape = Text(OneOf(&["Standard", "Bulk", "Expedited"]));
const GLACIER_JOB: &[Child] = &[Child("Tier", One, TIER)];
pub(crate) const RESTORE: Schema = Schema {
    root: "RestoreRequest",
    shape: &[
        Child("Days", One, Text(Number)),
        Child("GlacierJobParameters", Maybe, Group(GLACIER_JOB)),
        Child("Tier", Maybe, TIER),
        Child("Description", Maybe, Text(Any)),
    ],
    rules: restore,
};

fn restore(root: &Element) -> S3Result<()> {
    if number_of(root, "Days").is_none_or(|days| days < 1) {
        let days = root.text_of("Days").unwrap_or_default();
        return Err(invalid_argument("Days must be a positive integer", "Days", days));
    }
    Ok(())
}
