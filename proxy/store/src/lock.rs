//! Object lock: what keeps a version from being deleted, and the bucket's default for it.
//!
//! Wire rules: S3, "Locking objects with Object Lock". A bucket with a lock always has versions and cannot lose them,
//! so that an overwrite never removes a locked version. The clock is the system's.

use crate::errors::{access_denied, fault, invalid_argument, invalid_request, malformed_xml};
use crate::meta::{Bucket, Versioning, Writing, now_ms};
use crate::objects::{Core, iso_date, put};
use http::HeaderMap;
use s3s::S3Result;
use s3s::dto::{
    DefaultRetention, ObjectLockConfiguration, ObjectLockEnabled, ObjectLockRetention,
    ObjectLockRetentionMode, ObjectLockRule, Timestamp, TimestampFormat,
};
use serde::{Deserialize, Serialize};

const MODE: &str = "x-amz-object-lock-mode";
const UNTIL: &str = "x-amz-object-lock-retain-until-date";
const HOLD: &str = "x-amz-object-lock-legal-hold";
const DAY_MS: u64 = 86_400_000;
const DAYS_MAX: u64 = 36_500;
const YEAR_DAYS: u64 = 365;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mode {
    Governance,
    Compliance,
}

impl Mode {
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

/// Until when a version stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retention {
    mode: Mode,
    until_ms: u64,
}

impl Retention {
    /// Reads the document of `?retention`; none where it takes a retention away.
    pub(crate) fn of_xml(retention: Option<ObjectLockRetention>) -> S3Result<Option<Self>> {
        match retention.map(|row| (row.mode, row.retain_until_date)) {
            Some((None, None)) => Ok(None),
            Some((Some(mode), Some(until))) => {
                let mode = Mode::parse(mode.as_str()).ok_or_else(malformed_xml)?;
                Ok(Some(Self { mode, until_ms: to_come(until)? }))
            }
            _ => Err(malformed_xml()),
        }
    }

    pub(crate) fn to_xml(self) -> ObjectLockRetention {
        ObjectLockRetention {
            mode: Some(ObjectLockRetentionMode::from_static(self.mode.name())),
            retain_until_date: Some(crate::objects::timestamp(self.until_ms)),
        }
    }
}

/// What locks a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lock {
    pub(crate) retention: Option<Retention>,
    /// None where nobody ever said.
    pub(crate) hold: Option<bool>,
}

impl Lock {
    /// Reads the headers of a put, a copy or the beginning of an upload.
    pub(crate) fn read(headers: &HeaderMap) -> S3Result<Self> {
        let text = |name: &str| {
            let value = headers.get(name).map(|value| value.to_str());
            value.transpose().map_err(|_| invalid_argument("Invalid value", name, ""))
        };
        let retention = match (text(MODE)?, text(UNTIL)?) {
            (None, None) => None,
            (Some(mode), Some(until)) => {
                let bad_mode = || invalid_argument("Unknown wormMode directive.", MODE, mode);
                let mode = Mode::parse(mode).ok_or_else(bad_mode)?;
                let message = "The retain until date must be provided in ISO 8601 format";
                let date = Timestamp::parse(TimestampFormat::DateTime, until);
                let date = date.map_err(|_| invalid_argument(message, UNTIL, until))?;
                Some(Retention { mode, until_ms: to_come(date)? })
            }
            _ => {
                let message =
                    "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied";
                return Err(fault(400, "InvalidArgument", message, &[]));
            }
        };
        let hold = match text(HOLD)? {
            None => None,
            Some("ON") => Some(true),
            Some("OFF") => Some(false),
            Some(other) => {
                let message = "Legal Hold must be either of 'ON' or 'OFF'";
                return Err(invalid_argument(message, HOLD, other));
            }
        };
        Ok(Self { retention, hold })
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// As GET and HEAD tell it.
    pub(crate) fn add_headers(&self, headers: &mut HeaderMap) {
        if let Some(retention) = self.retention {
            put(headers, MODE, retention.mode.name());
            put(headers, UNTIL, &iso_date(retention.until_ms));
        }
        if let Some(hold) = self.hold {
            put(headers, HOLD, if hold { "ON" } else { "OFF" });
        }
    }

    /// Refuses to remove a version this locks. `bypass` passes GOVERNANCE only.
    pub(crate) fn check_delete(&self, bypass: bool) -> S3Result<()> {
        let retained = self.in_force().is_some_and(|row| row.mode == Mode::Compliance || !bypass);
        if retained || self.hold == Some(true) { Err(protected()) } else { Ok(()) }
    }

    /// Replaces the retention: longer at any time, shorter or none only past GOVERNANCE.
    pub(crate) fn retain(&mut self, wanted: Option<Retention>, bypass: bool) -> S3Result<()> {
        if let Some(old) = self.in_force() {
            let longer = wanted.is_some_and(|new| new.mode == old.mode && new.until_ms >= old.until_ms);
            if !longer && (old.mode == Mode::Compliance || !bypass) {
                return Err(protected());
            }
        }
        self.retention = wanted;
        Ok(())
    }

    fn in_force(&self) -> Option<Retention> {
        self.retention.filter(|retention| retention.until_ms > now_ms())
    }
}

/// The lock of a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BucketLock {
    default: Option<Preset>,
}

/// What every new version gets where its put says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Preset {
    mode: Mode,
    period: Period,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Period {
    Days(u32),
    Years(u32),
}

impl Period {
    fn days(self) -> u64 {
        match self {
            Self::Days(days) => u64::from(days),
            Self::Years(years) => u64::from(years).saturating_mul(YEAR_DAYS),
        }
    }
}

impl BucketLock {
    fn of_xml(configuration: Option<ObjectLockConfiguration>) -> S3Result<Self> {
        let configuration = configuration.ok_or_else(malformed_xml)?;
        let enabled = configuration.object_lock_enabled.as_ref().map(ObjectLockEnabled::as_str);
        if enabled != Some(ObjectLockEnabled::ENABLED) {
            return Err(malformed_xml());
        }
        let Some(rule) = configuration.rule else { return Ok(Self::default()) };
        let row = rule.default_retention.ok_or_else(malformed_xml)?;
        let mode = row.mode.as_ref().and_then(|mode| Mode::parse(mode.as_str())).ok_or_else(malformed_xml)?;
        let number = |number: i32| {
            let message = "Default retention period must be a positive integer value.";
            let positive = u32::try_from(number).ok().filter(|number| *number > 0);
            positive.ok_or_else(|| invalid_argument(message, "Days", &number.to_string()))
        };
        let period = match (row.days, row.years) {
            (Some(days), None) => Period::Days(number(days)?),
            (None, Some(years)) => Period::Years(number(years)?),
            _ => return Err(malformed_xml()),
        };
        if period.days() > DAYS_MAX {
            let message = "Default retention period too large";
            return Err(invalid_argument(message, "Days", &period.days().to_string()));
        }
        Ok(Self { default: Some(Preset { mode, period }) })
    }

    pub(crate) fn to_xml(self) -> ObjectLockConfiguration {
        let rule = self.default.map(|default| {
            let (days, years) = match default.period {
                Period::Days(days) => (i32::try_from(days).ok(), None),
                Period::Years(years) => (None, i32::try_from(years).ok()),
            };
            let mode = Some(ObjectLockRetentionMode::from_static(default.mode.name()));
            ObjectLockRule { default_retention: Some(DefaultRetention { days, mode, years }) }
        });
        let enabled = ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED);
        ObjectLockConfiguration { object_lock_enabled: Some(enabled), rule }
    }
}

impl Bucket {
    /// The lock of a new version here.
    ///
    /// # Errors
    /// 400 where a lock is asked for and the bucket has none.
    pub(crate) fn lock_of(&self, asked: Lock) -> S3Result<Lock> {
        let Some(lock) = self.lock else {
            return if asked.is_none() { Ok(asked) } else { Err(no_lock()) };
        };
        let default = lock.default.map(|default| {
            let until_ms = now_ms().saturating_add(default.period.days().saturating_mul(DAY_MS));
            Retention { mode: default.mode, until_ms }
        });
        Ok(Lock { retention: asked.retention.or(default), hold: asked.hold })
    }

    pub(crate) fn check_lock(&self) -> S3Result<()> {
        self.lock.map_or_else(|| Err(no_lock()), |_| Ok(()))
    }
}

impl Core {
    pub(crate) async fn put_lock(
        &self,
        bucket: String,
        configuration: Option<ObjectLockConfiguration>,
    ) -> S3Result<()> {
        let lock = BucketLock::of_xml(configuration)?;
        let work = move |writing: &mut Writing<'_>| {
            let row = writing.bucket(&bucket)?;
            if row.versioning != Versioning::Enabled {
                let message =
                    "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration";
                return Err(fault(409, "InvalidBucketState", message, &[("BucketName", &bucket)]));
            }
            writing.put_bucket(&bucket, &Bucket { lock: Some(lock), ..row })
        };
        self.meta.write(work).await
    }

    /// The lock of a version, in a bucket that has locks.
    pub(crate) async fn lock(&self, bucket: String, key: String, version: Option<String>) -> S3Result<Lock> {
        let name = bucket.clone();
        self.meta.read(move |reading| reading.bucket(&name)?.check_lock()).await?;
        Ok(self.attributes(bucket, key, version).await?.0.lock)
    }
}

/// A put that locks must promise what it sends.
pub(crate) fn check_promise(headers: &HeaderMap, promised: bool) -> S3Result<()> {
    if promised || ![MODE, UNTIL, HOLD].iter().any(|name| headers.contains_key(*name)) {
        return Ok(());
    }
    Err(invalid_request(
        "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
    ))
}

/// Whether the caller asks to pass GOVERNANCE.
pub(crate) fn bypasses(headers: &HeaderMap) -> bool {
    let value = headers.get("x-amz-bypass-governance-retention");
    value.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

/// How a version without the retention or hold that was asked for is told.
pub(crate) fn none_on_object() -> s3s::S3Error {
    let message = "The specified object does not have a ObjectLock configuration";
    fault(404, "NoSuchObjectLockConfiguration", message, &[])
}

pub(crate) fn none_on_bucket(bucket: &str) -> s3s::S3Error {
    let message = "Object Lock configuration does not exist for this bucket";
    fault(404, "ObjectLockConfigurationNotFoundError", message, &[("BucketName", bucket)])
}

fn no_lock() -> s3s::S3Error {
    invalid_request("Bucket is missing Object Lock Configuration")
}

fn protected() -> s3s::S3Error {
    access_denied("Access Denied because object protected by object lock.")
}

/// A date as milliseconds, if it is still to come.
fn to_come(date: Timestamp) -> S3Result<u64> {
    let mut text = Vec::new();
    let told = date.format(TimestampFormat::EpochSeconds, &mut text);
    // Told as a number with a fraction where it has one.
    let text = String::from_utf8(text).unwrap_or_default();
    let seconds = text.split('.').next().and_then(|text| text.parse::<u64>().ok());
    let until_ms = seconds.filter(|_| told.is_ok()).map(|seconds| seconds.saturating_mul(1000));
    until_ms.filter(|until| *until > now_ms()).ok_or_else(|| {
        let name = "RetainUntilDate";
        fault(
            400,
            "InvalidArgument",
            "The retain until date must be in the future!",
            &[("ArgumentName", name)],
        )
    })
}
