//! Archived objects: classes with bytes that are read only after a restore.
//!
//! Source: S3, "Restoring an archived object". A restore here completes immediately. Its copy expires as in S3, at the
//! midnight (UTC) after the requested days, and the object is archived again.

use crate::dates::{format_http_date, now_ms};
use crate::errors::{malformed_xml_error, not_implemented_error, s3_error};
use crate::headers::insert_header;
use crate::meta::{MetadataWriter, Object};
use crate::objects::{Core, delete_marker_error};
use crate::request::parse_query;
use crate::schema;
use crate::settings::parse_bucket_and_key;
use crate::xml::Element;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use s3s::{Body, S3Error, S3Response, S3Result};

const ARCHIVE_CLASSES: [&str; 3] = ["GLACIER", "DEEP_ARCHIVE", "COLD_ARCHIVE"];
const DAY_MS: u64 = 86_400_000;

/// The result of a restore request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RestoreOutcome {
    Started,
    /// The object was already restored; only the expiry changed.
    Extended,
}

impl Object {
    /// Checks whether the bytes can be read.
    ///
    /// # Errors
    /// 403 if the object is archived and not restored.
    pub(crate) fn check_readable(&self) -> S3Result<()> {
        if is_archive(self) && self.restore_expiry_ms().is_none() {
            let message = "The operation is not valid for the object's storage class";
            return Err(invalid_object_state_error(message, self));
        }
        Ok(())
    }

    /// The expiry of an active restore.
    pub(crate) fn restore_expiry_ms(&self) -> Option<u64> {
        self.restored_until_ms.filter(|until| is_archive(self) && *until > now_ms())
    }

    pub(crate) fn add_restore_header(&self, headers: &mut HeaderMap) {
        if let Some(until) = self.restore_expiry_ms() {
            let date = format_http_date(until);
            insert_header(
                headers,
                "x-amz-restore",
                &format!("ongoing-request=\"false\", expiry-date=\"{date}\""),
            );
        }
    }
}

fn is_archive(object: &Object) -> bool {
    ARCHIVE_CLASSES.contains(&object.attributes.class.as_str())
}

fn invalid_object_state_error(message: &str, object: &Object) -> S3Error {
    s3_error(403, "InvalidObjectState", message, &[("StorageClass", &object.attributes.class)])
}

/// Handles a restore request; `None` for any other. The s3s library always responds with 200, S3 also with 202.
pub(crate) async fn handle_restore(
    core: &Core,
    method: &Method,
    uri: &Uri,
    body: &Bytes,
) -> S3Result<Option<S3Response<Body>>> {
    let Some((bucket, key)) = parse_bucket_and_key(uri).filter(|(_, key)| !key.is_empty()) else {
        return Ok(None);
    };
    let find_parameter =
        |name: &str| parse_query(uri).find(|(known, _)| known == name).map(|(_, value)| value);
    if *method != Method::POST || find_parameter("restore").is_none() {
        return Ok(None);
    }
    // Unsupported elements are named in the error; the schema alone would only report MalformedXML.
    let root = Element::parse(body)?;
    if let Some(unsupported) =
        ["Type", "SelectParameters", "OutputLocation"].iter().find(|name| root.has_child(name))
    {
        return Err(not_implemented_error(unsupported));
    }
    let days = schema::RESTORE.read(body)?.child_text("Days").and_then(|days| days.trim().parse().ok());
    let days = days.ok_or_else(malformed_xml_error)?;
    let status = match core.restore_object(bucket, key, find_parameter("versionId"), days).await? {
        // Source: S3, "RestoreObject", responses: 202 for a new restore, 200 if the object is already restored.
        RestoreOutcome::Started => StatusCode::ACCEPTED,
        RestoreOutcome::Extended => StatusCode::OK,
    };
    Ok(Some(S3Response::with_status(Body::empty(), status)))
}

impl Core {
    async fn restore_object(
        &self,
        bucket: String,
        key: String,
        version: Option<String>,
        days: u64,
    ) -> S3Result<RestoreOutcome> {
        let work = move |writing: &mut MetadataWriter<'_>| {
            writing.get_bucket(&bucket)?;
            let mut found = writing.get_version(&bucket, &key, version.as_deref())?;
            // Built first, because `found` is borrowed mutably below.
            let error = delete_marker_error(&found, &key, version.is_some());
            let object = found.version.object.as_mut().ok_or(error)?;
            if !is_archive(object) {
                let message = "Restore is not allowed for the object's current storage class";
                return Err(invalid_object_state_error(message, object));
            }
            let before = object.restore_expiry_ms();
            object.restored_until_ms = Some(compute_restore_expiry(now_ms(), days));
            writing.update_version(&bucket, &key, &found)?;
            Ok(if before.is_some() { RestoreOutcome::Extended } else { RestoreOutcome::Started })
        };
        self.meta.write(work).await
    }
}

/// The first midnight at or after so many days from now.
fn compute_restore_expiry(now: u64, days: u64) -> u64 {
    now.saturating_add(days.saturating_mul(DAY_MS)).div_ceil(DAY_MS).saturating_mul(DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::Attributes;
    use crate::encryption::ObjectEncryption;

    #[test]
    fn a_restore_expires_at_midnight() {
        let day = 86_400_000;
        assert_eq!(compute_restore_expiry(0, 1), day);
        assert_eq!(compute_restore_expiry(1, 1), 2 * day);
        assert_eq!(compute_restore_expiry(5 * day + 7, 3), 9 * day);
    }

    #[test]
    fn an_expired_restore_has_no_effect() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-storage-class", "GLACIER".parse().unwrap());
        let attributes = Attributes::read(&headers).unwrap();
        let (etag, sealing) = (String::new(), ObjectEncryption::Open);
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
        assert!(object.check_readable().is_err() && object.restore_expiry_ms().is_none());
        let object = Object { restored_until_ms: Some(now_ms() + 60_000), ..object };
        assert!(object.check_readable().is_ok() && object.restore_expiry_ms().is_some());
    }
}
