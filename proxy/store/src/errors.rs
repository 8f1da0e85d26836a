//! Every error of this store, with the code, status, message and extra elements that AWS uses.
//!
//! The s3s library has only code, message and status. Extra elements (`Condition`, `ArgumentName`, ...) are kept in a
//! private response header, and [`crate::serve`] writes them into the XML. So are elements of a successful response
//! that the library does not support.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use redb::{CommitError, StorageError, TransactionError};
use s3s::{S3Error, S3ErrorCode};
use std::any::Any;
use std::io::ErrorKind;

/// Each value is one extra element, as `Name value` with a percent-encoded value. It is never sent to a client.
pub(crate) const ELEMENT_HEADER: HeaderName = HeaderName::from_static("x-blobfish-store-element");

/// An error with extra elements.
pub(crate) fn s3_error(status: u16, code: &str, message: &str, elements: &[(&str, &str)]) -> S3Error {
    let error_code = S3ErrorCode::from_bytes(code.as_bytes()).unwrap_or(S3ErrorCode::InternalError);
    let mut error = S3Error::with_message(error_code, message.to_owned());
    error.set_status_code(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    let mut headers = HeaderMap::new();
    elements.iter().for_each(|(name, value)| add_element(&mut headers, name, value));
    error.set_headers(headers);
    error
}

/// Adds an element to the document of a response.
pub(crate) fn add_element(headers: &mut HeaderMap, name: &str, value: &str) {
    let text = format!("{name} {}", utf8_percent_encode(value, NON_ALPHANUMERIC));
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.append(ELEMENT_HEADER, value);
    }
}

/// Adds a response header to an error.
pub(crate) fn with_header(mut error: S3Error, name: &'static str, value: &str) -> S3Error {
    let mut headers = error.headers().cloned().unwrap_or_default();
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
    error.set_headers(headers);
    error
}

pub(crate) fn invalid_argument_error(message: &str, name: &str, value: &str) -> S3Error {
    s3_error(400, "InvalidArgument", message, &[("ArgumentName", name), ("ArgumentValue", value)])
}

pub(crate) fn invalid_request_error(message: &str) -> S3Error {
    s3_error(400, "InvalidRequest", message, &[])
}

pub(crate) fn access_denied_error(message: &str) -> S3Error {
    s3_error(403, "AccessDenied", message, &[])
}

pub(crate) fn no_such_bucket_error(bucket: &str) -> S3Error {
    s3_error(404, "NoSuchBucket", "The specified bucket does not exist", &[("BucketName", bucket)])
}

pub(crate) fn no_such_key_error(key: &str) -> S3Error {
    s3_error(404, "NoSuchKey", "The specified key does not exist.", &[("Key", key)])
}

pub(crate) fn no_such_version_error(key: &str, version: &str) -> S3Error {
    let message = "The specified version does not exist.";
    s3_error(404, "NoSuchVersion", message, &[("Key", key), ("VersionId", version)])
}

pub(crate) fn invalid_version_id_error(version: &str) -> S3Error {
    invalid_argument_error("Invalid version id specified", "versionId", version)
}

pub(crate) fn no_such_upload_error(upload: &str) -> S3Error {
    let message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have \
                   been aborted or completed.";
    s3_error(404, "NoSuchUpload", message, &[("UploadId", upload)])
}

pub(crate) fn precondition_failed_error(condition: &str) -> S3Error {
    let message = "At least one of the pre-conditions you specified did not hold";
    s3_error(412, "PreconditionFailed", message, &[("Condition", condition)])
}

pub(crate) fn not_implemented_error(header: &str) -> S3Error {
    let message = "A header you provided implies functionality that is not implemented";
    s3_error(501, "NotImplemented", message, &[("Header", header)])
}

pub(crate) fn bad_digest_error(message: &str) -> S3Error {
    s3_error(400, "BadDigest", message, &[])
}

/// The disk or the memory limit of the store is full. S3 has no error for this. `SlowDown`, which other servers use,
/// would make clients retry for a long time.
pub(crate) fn storage_full_error() -> S3Error {
    s3_error(507, "InsufficientStorage", "The storage is full. Delete something and try again.", &[])
}

pub(crate) fn malformed_xml_error() -> S3Error {
    let message = "The XML you provided was not well-formed or did not validate against our published schema";
    s3_error(400, "MalformedXML", message, &[])
}

/// A failure of the machine: logged here, reported to the client without detail.
pub(crate) fn internal_error(error: impl std::fmt::Display + Any) -> S3Error {
    if is_disk_full(&error) {
        tracing::error!(%error, "the database of the store cannot grow: the disk is full");
        return storage_full_error();
    }
    tracing::error!(%error, "store operation failed");
    s3_error(500, "InternalError", "We encountered an internal error. Please try again.", &[])
}

/// A file that could not be read or written. A full disk has its own error.
pub(crate) fn io_error(error: std::io::Error) -> S3Error {
    if is_disk_full_kind(error.kind()) {
        tracing::error!(%error, "the disk or the memory limit of the store is full");
        return storage_full_error();
    }
    internal_error(error)
}

fn is_disk_full_kind(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Whether the database failed because the disk is full.
fn is_disk_full(error: &dyn Any) -> bool {
    let is_storage_full =
        |error: &StorageError| matches!(error, StorageError::Io(error) if is_disk_full_kind(error.kind()));
    error.downcast_ref::<StorageError>().is_some_and(is_storage_full)
        || matches!(error.downcast_ref::<CommitError>(), Some(CommitError::Storage(error)) if is_storage_full(error))
        || matches!(error.downcast_ref::<TransactionError>(), Some(TransactionError::Storage(error)) if is_storage_full(error))
        || matches!(error.downcast_ref::<redb::Error>(), Some(redb::Error::Io(error)) if is_disk_full_kind(error.kind()))
}
