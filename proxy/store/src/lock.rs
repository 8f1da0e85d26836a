//! Object Lock: protects a version from deletion. A bucket may have a default retention.
//!
//! Source: S3, "Locking objects with Object Lock". A bucket with Object Lock always has versioning enabled, so that an
//! overwrite never removes a locked version. The clock is the system's.

use crate::dates::{format_iso_date, now_ms, to_timestamp};
use crate::errors::{
    access_denied_error, invalid_argument_error, invalid_request_error, malformed_xml_error, s3_error,
};
use crate::headers::insert_header;
use http::HeaderMap;
use s3s::S3Result;
use s3s::dto::{
    DefaultRetention, ObjectLockConfiguration, ObjectLockEnabled, ObjectLockRetention,
    ObjectLockRetentionMode, ObjectLockRule, Timestamp, TimestampFormat,
};
use serde::{Deserialize, Serialize};

const MODE_HEADER: &str = "x-amz-object-lock-mode";
const RETAIN_UNTIL_HEADER: &str = "x-amz-object-lock-retain-until-date";
const LEGAL_HOLD_HEADER: &str = "x-amz-object-lock-legal-hold";
const DAY_MS: u64 = 86_400_000;
const RETENTION_DAYS_MAX: u64 = 36_500;
const YEAR_DAYS: u64 = 365;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RetentionMode {
    Governance,
    Compliance,
}

impl RetentionMode {
    fn parse(text: &str) -> Option<Self> {
        match text {
            ObjectLockRetentionMode::GOVERNANCE => Some(Self::Governance),
            ObjectLockRetentionMode::COMPLIANCE => Some(Self::Compliance),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Governance => ObjectLockRetentionMode::GOVERNANCE,
            Self::Compliance => ObjectLockRetentionMode::COMPLIANCE,
        }
    }
}

/// The retention of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retention {
    mode: RetentionMode,
    until_ms: u64,
}

impl Retention {
    /// Reads the document of `?retention`; `None` if it removes the retention.
    pub(crate) fn from_xml(retention: Option<ObjectLockRetention>) -> S3Result<Option<Self>> {
        match retention.map(|row| (row.mode, row.retain_until_date)) {
            Some((None, None)) => Ok(None),
            Some((Some(mode), Some(until))) => {
                let mode = RetentionMode::parse(mode.as_str()).ok_or_else(malformed_xml_error)?;
                Ok(Some(Self { mode, until_ms: parse_future_date(until)? }))
            }
            _ => Err(malformed_xml_error()),
        }
    }

    pub(crate) fn to_xml(self) -> ObjectLockRetention {
        ObjectLockRetention {
            mode: Some(ObjectLockRetentionMode::from_static(self.mode.name())),
            retain_until_date: Some(to_timestamp(self.until_ms)),
        }
    }
}

/// The lock of a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectLock {
    pub(crate) retention: Option<Retention>,
    /// `None` if it was never set.
    pub(crate) hold: Option<bool>,
}

impl ObjectLock {
    /// Reads the headers of a put, a copy or the beginning of an upload.
    pub(crate) fn read(headers: &HeaderMap) -> S3Result<Self> {
        let text = |name: &str| {
            let value = headers.get(name).map(|value| value.to_str());
            value.transpose().map_err(|_| invalid_argument_error("Invalid value", name, ""))
        };
        let retention = match (text(MODE_HEADER)?, text(RETAIN_UNTIL_HEADER)?) {
            (None, None) => None,
            (Some(mode), Some(until)) => {
                let bad_mode = || invalid_argument_error("Unknown wormMode directive.", MODE_HEADER, mode);
                let mode = RetentionMode::parse(mode).ok_or_else(bad_mode)?;
                let message = "The retain until date must be provided in ISO 8601 format";
                let date = Timestamp::parse(TimestampFormat::DateTime, until);
                let date = date.map_err(|_| invalid_argument_error(message, RETAIN_UNTIL_HEADER, until))?;
                Some(Retention { mode, until_ms: parse_future_date(date)? })
            }
            _ => {
                let message =
                    "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied";
                return Err(s3_error(400, "InvalidArgument", message, &[]));
            }
        };
        let hold = match text(LEGAL_HOLD_HEADER)? {
            None => None,
            Some("ON") => Some(true),
            Some("OFF") => Some(false),
            Some(other) => {
                let message = "Legal Hold must be either of 'ON' or 'OFF'";
                return Err(invalid_argument_error(message, LEGAL_HOLD_HEADER, other));
            }
        };
        Ok(Self { retention, hold })
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds the headers of GET and HEAD.
    pub(crate) fn add_headers(&self, headers: &mut HeaderMap) {
        if let Some(retention) = self.retention {
            insert_header(headers, MODE_HEADER, retention.mode.name());
            insert_header(headers, RETAIN_UNTIL_HEADER, &format_iso_date(retention.until_ms));
        }
        if let Some(hold) = self.hold {
            insert_header(headers, LEGAL_HOLD_HEADER, if hold { "ON" } else { "OFF" });
        }
    }

    /// Rejects the deletion of a locked version. `bypass` applies to GOVERNANCE only.
    pub(crate) fn check_delete(&self, bypass: bool) -> S3Result<()> {
        // A legal hold has no bypass, whatever the mode of the retention.
        let is_retained =
            self.get_active_retention().is_some_and(|row| row.mode == RetentionMode::Compliance || !bypass);
        if is_retained || self.hold == Some(true) { Err(object_locked_error()) } else { Ok(()) }
    }

    /// Replaces the retention. A longer one is always allowed, a shorter one or none only with a bypass of GOVERNANCE.
    pub(crate) fn set_retention(&mut self, new_retention: Option<Retention>, bypass: bool) -> S3Result<()> {
        if let Some(old) = self.get_active_retention() {
            let is_longer =
                new_retention.is_some_and(|new| new.mode == old.mode && new.until_ms >= old.until_ms);
            if !is_longer && (old.mode == RetentionMode::Compliance || !bypass) {
                return Err(object_locked_error());
            }
        }
        self.retention = new_retention;
        Ok(())
    }

    fn get_active_retention(&self) -> Option<Retention> {
        self.retention.filter(|retention| retention.until_ms > now_ms())
    }
}

/// The Object Lock configuration of a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BucketLock {
    default: Option<RetentionDefault>,
}

/// The retention of new versions without a retention in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RetentionDefault {
    mode: RetentionMode,
    period: RetentionPeriod,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum RetentionPeriod {
    Days(u32),
    Years(u32),
}

impl RetentionPeriod {
    fn to_days(self) -> u64 {
        match self {
            Self::Days(days) => u64::from(days),
            Self::Years(years) => u64::from(years).saturating_mul(YEAR_DAYS),
        }
    }
}

impl BucketLock {
    /// Reads the document of `?object-lock`.
    pub(crate) fn from_xml(configuration: Option<ObjectLockConfiguration>) -> S3Result<Self> {
        let configuration = configuration.ok_or_else(malformed_xml_error)?;
        let enabled = configuration.object_lock_enabled.as_ref().map(ObjectLockEnabled::as_str);
        if enabled != Some(ObjectLockEnabled::ENABLED) {
            return Err(malformed_xml_error());
        }
        let Some(rule) = configuration.rule else { return Ok(Self::default()) };
        let row = rule.default_retention.ok_or_else(malformed_xml_error)?;
        let mode = row
            .mode
            .as_ref()
            .and_then(|mode| RetentionMode::parse(mode.as_str()))
            .ok_or_else(malformed_xml_error)?;
        let number = |number: i32| {
            let message = "Default retention period must be a positive integer value.";
            let positive = u32::try_from(number).ok().filter(|number| *number > 0);
            positive.ok_or_else(|| invalid_argument_error(message, "Days", &number.to_string()))
        };
        let period = match (row.days, row.years) {
            (Some(days), None) => RetentionPeriod::Days(number(days)?),
            (None, Some(years)) => RetentionPeriod::Years(number(years)?),
            _ => return Err(malformed_xml_error()),
        };
        if period.to_days() > RETENTION_DAYS_MAX {
            let message = "Default retention period too large";
            return Err(invalid_argument_error(message, "Days", &period.to_days().to_string()));
        }
        Ok(Self { default: Some(RetentionDefault { mode, period }) })
    }

    /// Adds the bucket's default retention to a lock that has none.
    pub(crate) fn apply_default(self, requested: ObjectLock) -> ObjectLock {
        let default = self.default.map(|default| {
            let until_ms = now_ms().saturating_add(default.period.to_days().saturating_mul(DAY_MS));
            Retention { mode: default.mode, until_ms }
        });
        ObjectLock { retention: requested.retention.or(default), hold: requested.hold }
    }

    pub(crate) fn to_xml(self) -> ObjectLockConfiguration {
        let rule = self.default.map(|default| {
            let (days, years) = match default.period {
                RetentionPeriod::Days(days) => (i32::try_from(days).ok(), None),
                RetentionPeriod::Years(years) => (None, i32::try_from(years).ok()),
            };
            let mode = Some(ObjectLockRetentionMode::from_static(default.mode.name()));
            ObjectLockRule { default_retention: Some(DefaultRetention { days, mode, years }) }
        });
        let enabled = ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED);
        ObjectLockConfiguration { object_lock_enabled: Some(enabled), rule }
    }
}

/// A put with a lock must have a digest of its body.
pub(crate) fn require_digest(headers: &HeaderMap, has_digest: bool) -> S3Result<()> {
    if has_digest
        || ![MODE_HEADER, RETAIN_UNTIL_HEADER, LEGAL_HOLD_HEADER]
            .iter()
            .any(|name| headers.contains_key(*name))
    {
        return Ok(());
    }
    Err(invalid_request_error(
        "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
    ))
}

/// Whether the request bypasses GOVERNANCE.
pub(crate) fn has_bypass_header(headers: &HeaderMap) -> bool {
    let value = headers.get("x-amz-bypass-governance-retention");
    value.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// The error for a version without the requested retention or legal hold.
pub(crate) fn no_object_lock_error() -> s3s::S3Error {
    let message = "The specified object does not have a ObjectLock configuration";
    s3_error(404, "NoSuchObjectLockConfiguration", message, &[])
}

pub(crate) fn no_bucket_lock_error(bucket: &str) -> s3s::S3Error {
    let message = "Object Lock configuration does not exist for this bucket";
    s3_error(404, "ObjectLockConfigurationNotFoundError", message, &[("BucketName", bucket)])
}

pub(crate) fn lock_not_enabled_error() -> s3s::S3Error {
    invalid_request_error("Bucket is missing Object Lock Configuration")
}

fn object_locked_error() -> s3s::S3Error {
    access_denied_error("Access Denied because object protected by object lock.")
}

/// A date in milliseconds, if it is in the future.
fn parse_future_date(date: Timestamp) -> S3Result<u64> {
    let mut text = Vec::new();
    let result = date.format(TimestampFormat::EpochSeconds, &mut text);
    // The number may have a fraction.
    let text = String::from_utf8(text).unwrap_or_default();
    let seconds = text.split('.').next().and_then(|text| text.parse::<u64>().ok());
    let until_ms = seconds.filter(|_| result.is_ok()).map(|seconds| seconds.saturating_mul(1000));
    until_ms.filter(|until| *until > now_ms()).ok_or_else(|| {
        let name = "RetainUntilDate";
        s3_error(
            400,
            "InvalidArgument",
            "The retain until date must be in the future!",
            &[("ArgumentName", name)],
        )
    })
}
