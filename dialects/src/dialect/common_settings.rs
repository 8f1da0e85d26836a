//! Elements of settings documents that S3 introduced and the other vendors took over unchanged. A vendor's table puts them in
//! the vendor's order and adds what that vendor has besides.

use crate::dialect::settings_schema::{
    BOOLEAN, ElementSchema, group_element, number_element, text_element, words_element,
};

/// One tag.
pub const TAG: ElementSchema = group_element("Tag", &[text_element("Key"), text_element("Value")]);

/// In the root of a tagging document.
pub const TAGGING: &[ElementSchema] = &[group_element("TagSet", &[TAG])];

/// The words of a rule that applies or does not.
pub const RULE_STATUS: &[(&str, &str)] = &[("Enabled", "Enabled"), ("Disabled", "Disabled")];

/// Whether versions are kept.
pub const VERSIONING_STATUS: ElementSchema =
    words_element("Status", &[("Enabled", "Enabled"), ("Suspended", "Suspended")]);

/// How an object is locked.
const LOCK_MODE: ElementSchema =
    words_element("Mode", &[("GOVERNANCE", "GOVERNANCE"), ("COMPLIANCE", "COMPLIANCE")]);

/// In the root of an object's retention.
pub const RETENTION: &[ElementSchema] = &[LOCK_MODE, text_element("RetainUntilDate")];

/// In the root of an object's legal hold.
pub const LEGAL_HOLD: &[ElementSchema] = &[words_element("Status", &[("ON", "ON"), ("OFF", "OFF")])];

/// Whether new objects of a bucket can be locked.
pub const LOCK_ENABLED: ElementSchema = words_element("ObjectLockEnabled", &[("Enabled", "Enabled")]);

/// How new objects of a bucket are locked.
pub const LOCK_RULE: ElementSchema = group_element(
    "Rule",
    &[group_element("DefaultRetention", &[LOCK_MODE, number_element("Days"), number_element("Years")])],
);

/// Origins of a CORS rule.
pub const CORS_ORIGIN: ElementSchema = text_element("AllowedOrigin");
/// Methods of a CORS rule.
pub const CORS_METHOD: ElementSchema = text_element("AllowedMethod");
/// Request headers of a CORS rule.
pub const CORS_HEADER: ElementSchema = text_element("AllowedHeader");
/// Response headers of a CORS rule.
pub const CORS_EXPOSED_HEADER: ElementSchema = text_element("ExposeHeader");
/// How long a browser may keep a CORS rule.
pub const CORS_MAX_AGE: ElementSchema = number_element("MaxAgeSeconds");

/// The lower bound of a lifecycle rule's filter.
pub const SIZE_GREATER: ElementSchema = number_element("ObjectSizeGreaterThan");
/// The upper bound of a lifecycle rule's filter.
pub const SIZE_LESS: ElementSchema = number_element("ObjectSizeLessThan");

/// Whether a lifecycle rule applies.
pub const LIFECYCLE_STATUS: ElementSchema = words_element("Status", RULE_STATUS);

/// Whether a delete marker is deleted when it is the last version.
pub const MARKER_EXPIRATION: ElementSchema = words_element("ExpiredObjectDeleteMarker", BOOLEAN);

/// When objects are deleted.
pub const EXPIRATION: ElementSchema =
    group_element("Expiration", &[number_element("Days"), text_element("Date"), MARKER_EXPIRATION]);

/// When versions are deleted.
pub const VERSION_EXPIRATION: ElementSchema =
    group_element("NoncurrentVersionExpiration", &[number_element("NoncurrentDays")]);

/// When uploads that were not completed are aborted.
pub const UPLOAD_ABORT: ElementSchema =
    group_element("AbortIncompleteMultipartUpload", &[number_element("DaysAfterInitiation")]);

/// The words of a protocol.
pub const PROTOCOLS: &[(&str, &str)] = &[("http", "http"), ("https", "https")];
