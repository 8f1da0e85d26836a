//! Elements of settings documents that S3 introduced and the other vendors adopted unchanged. A vendor's table has
//! them in the vendor's order and adds the vendor's own elements.

use crate::dialect::settings_schema::{
    BOOLEAN, ElementSchema, group_element, number_element, text_element, words_element,
};

/// One tag.
pub const TAG: ElementSchema = group_element("Tag", &[text_element("Key"), text_element("Value")]);

/// Elements of a tagging document.
pub const TAGGING: &[ElementSchema] = &[group_element("TagSet", &[TAG])];

/// The values of a rule's status.
pub(crate) const RULE_STATUS: &[(&str, &str)] = &[("Enabled", "Enabled"), ("Disabled", "Disabled")];

/// The versioning status of a bucket.
pub(crate) const VERSIONING_STATUS: ElementSchema =
    words_element("Status", &[("Enabled", "Enabled"), ("Suspended", "Suspended")]);

/// The mode of an object lock.
const LOCK_MODE: ElementSchema =
    words_element("Mode", &[("GOVERNANCE", "GOVERNANCE"), ("COMPLIANCE", "COMPLIANCE")]);

/// Elements of an object's retention document.
pub(crate) const RETENTION: &[ElementSchema] = &[LOCK_MODE, text_element("RetainUntilDate")];

/// Elements of an object's legal hold document.
pub(crate) const LEGAL_HOLD: &[ElementSchema] = &[words_element("Status", &[("ON", "ON"), ("OFF", "OFF")])];

/// Whether object lock is enabled for a bucket.
pub(crate) const LOCK_ENABLED: ElementSchema = words_element("ObjectLockEnabled", &[("Enabled", "Enabled")]);

/// The default retention of a bucket's new objects.
pub(crate) const LOCK_RULE: ElementSchema = group_element(
    "Rule",
    &[group_element("DefaultRetention", &[LOCK_MODE, number_element("Days"), number_element("Years")])],
);

/// Origins of a CORS rule.
pub(crate) const CORS_ORIGIN: ElementSchema = text_element("AllowedOrigin");
/// Methods of a CORS rule.
pub(crate) const CORS_METHOD: ElementSchema = text_element("AllowedMethod");
/// Request headers of a CORS rule.
pub(crate) const CORS_HEADER: ElementSchema = text_element("AllowedHeader");
/// Response headers of a CORS rule.
pub(crate) const CORS_EXPOSED_HEADER: ElementSchema = text_element("ExposeHeader");
/// How long a browser may cache a preflight response.
pub(crate) const CORS_MAX_AGE: ElementSchema = number_element("MaxAgeSeconds");

/// The lower bound of the object size in a lifecycle rule's filter.
pub(crate) const SIZE_GREATER: ElementSchema = number_element("ObjectSizeGreaterThan");
/// The upper bound of the object size in a lifecycle rule's filter.
pub(crate) const SIZE_LESS: ElementSchema = number_element("ObjectSizeLessThan");

/// The status of a lifecycle rule.
pub(crate) const LIFECYCLE_STATUS: ElementSchema = words_element("Status", RULE_STATUS);

/// Whether a delete marker is deleted when it is the only version.
pub(crate) const MARKER_EXPIRATION: ElementSchema = words_element("ExpiredObjectDeleteMarker", BOOLEAN);

/// When objects are deleted.
pub const EXPIRATION: ElementSchema =
    group_element("Expiration", &[number_element("Days"), text_element("Date"), MARKER_EXPIRATION]);

/// When noncurrent versions are deleted.
pub(crate) const VERSION_EXPIRATION: ElementSchema =
    group_element("NoncurrentVersionExpiration", &[number_element("NoncurrentDays")]);

/// When incomplete multipart uploads are aborted.
pub(crate) const UPLOAD_ABORT: ElementSchema =
    group_element("AbortIncompleteMultipartUpload", &[number_element("DaysAfterInitiation")]);

/// The values of a redirect's protocol.
pub(crate) const PROTOCOLS: &[(&str, &str)] = &[("http", "http"), ("https", "https")];
