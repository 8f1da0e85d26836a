//! Archived objects: classes whose bytes are read only after a restore.
//!
//! Wire rules: S3, "Restoring an archived object". A restore here is done at once; its copy ends as S3's does, at the
//! midnight (UTC) after the days asked for, and the object is archived again.

use crate::errors::{fault, malformed_xml, not_implemented};
use crate::meta::{Object, Writing, now_ms};
use crate::objects::{Core, http_date, marker_fault, put};
use crate::request::query;
use crate::schema;
use crate::settings::bucket_and_key;
use crate::xml::Element;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use s3s::{Body, S3Error, S3Response, S3Result};

const CLASSES: [&str; 3] = ["GLACIER", "DEEP_ARCHIVE", "COLD_ARCHIVE"];
const DAY_MS: u64 = 86_400_000;

/// What a restore did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restored {
    Now,
    /// It was restored already; only the end of that moved.
    Before,
}

impl Object {
    /// Whether the bytes may be read.
    ///
    /// # Errors
    /// 403 where they are archived and not restored.
    pub(crate) fn check_readable(&self) -> S3Result<()> {
        if is_archive(self) && self.restored_until().is_none() {
            let message = "The operation is not valid for the object's storage class";
            return Err(invalid_state(message, self));
        }
        Ok(())
    }

    /// The end of a restore that has not ended.
    pub(crate) fn restored_until(&self) -> Option<u64> {
        self.restored_until_ms.filter(|until| is_archive(self) && *until > now_ms())
    }

    pub(crate) fn add_restore(&self, headers: &mut HeaderMap) {
        if let Some(until) = self.restored_until() {
            let date = http_date(until);
            put(headers, "x-amz-restore", &format!("ongoing-request=\"false\", expiry-date=\"{date}\""));
        }
    }
}

fn is_archive(object: &Object) -> bool {
    CLASSES.contains(&object.attributes.class.as_str())
}

fn invalid_state(message: &str, object: &Object) -> S3Error {
    fault(403, "InvalidObjectState", message, &[("StorageClass", &object.attributes.class)])
}

/// Answers a request to restore, none where it is another: the protocol library gives it no status but 200.
pub(crate) async fn answer(
    core: &Core,
    method: &Method,
    uri: &Uri,
    body: &Bytes,
) -> S3Result<Option<S3Response<Body>>> {
    let Some((bucket, key)) = bucket_and_key(uri).filter(|(_, key)| !key.is_empty()) else { return Ok(None) };
    let named = |name: &str| query(uri).find(|(known, _)| known == name).map(|(_, value)| value);
    if *method != Method::POST || named("restore").is_none() {
        return Ok(None);
    }
    let root = Element::read(body)?;
    if let Some(later) = ["Type", "SelectParameters", "OutputLocation"].iter().find(|name| root.has(name)) {
        return Err(not_implemented(later));
    }
    let days = schema::RESTORE.read(body)?.text_of("Days").and_then(|days| days.trim().parse().ok());
    let days = days.ok_or_else(malformed_xml)?;
    let status = match core.restore(bucket, key, named("versionId"), days).await? {
        Restored::Now => StatusCode::ACCEPTED,
        Restored::Before => StatusCode::OK,
    };
    Ok(Some(S3Response::with_status(Body::empty(), status)))
}

impl Core {
    async fn restore(
        &self,
        bucket: String,
        key: String,
        version: Option<String>,
        days: u64,
    ) -> S3Result<Restored> {
        let work = move |writing: &mut Writing<'_>| {
            writing.bucket(&bucket)?;
            let mut found = writing.wanted(&bucket, &key, version.as_deref())?;
            let fault = marker_fault(&found, &key, version.is_some());
            let object = found.version.object.as_mut().ok_or(fault)?;
            if !is_archive(object) {
                let message = "Restore is not allowed for the object's current storage class";
                return Err(invalid_state(message, object));
            }
            let before = object.restored_until();
            object.restored_until_ms = Some(end(now_ms(), days));
            writing.update(&bucket, &key, &found)?;
            Ok(if before.is_some() { Restored::Before } else { Restored::Now })
        };
        self.meta.write(work).await
    }
}

/// The first midnight at or after so many days from now.
fn end(now: u64, days: u64) -> u64 {
    now.saturating_add(days.saturating_mul(DAY_MS)).div_ceil(DAY_MS).saturating_mul(DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::Attributes;
    use crate::sealing::Sealing;

    #[test]
    fn a_restore_ends_at_midnight() {
        let day = 86_400_000;
        assert_eq!(end(0, 1), day);
        assert_eq!(end(1, 1), 2 * day);
        assert_eq!(end(5 * day + 7, 3), 9 * day);
    }

    #[test]
    fn a_restore_that_ended_counts_no_more() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-storage-class", "GLACIER".parse().unwrap());
        let attributes = Attributes::read(&headers).unwrap();
        let (etag, sealing) = (String::new(), Sealing::Open);
        let object = Object {
            size: 0,
            etag,
            checksum: None,
            attributes,
            sealing,
            restored_until_ms: Some(now_ms() - 1),
            crc64: None,
            appendable: false,
        };
        assert!(object.check_readable().is_err() && object.restored_until().is_none());
        let object = Object { restored_until_ms: Some(now_ms() + 60_000), ..object };
        assert!(object.check_readable().is_ok() && object.restored_until().is_some());
    }
}
