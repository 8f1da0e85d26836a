//! Every error this store tells a caller, with the code, status, text and extra elements AWS uses.
//!
//! The protocol library knows code, message and status only. Extra elements (`Condition`, `ArgumentName`, ...)
//! travel in a private response header and are written into the XML by [`crate::serve`]; so do those of a success that
//! the library has no place for.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use redb::{CommitError, StorageError, TransactionError};
use s3s::{S3Error, S3ErrorCode};
use std::any::Any;
use std::io::ErrorKind;

/// Carries one extra element each, as `Name value` with the value percent-encoded. Never leaves the process.
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

/// Adds an element to the document of an answer.
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

/// No room is left on the disk, or in the memory that the store may use. S3 has no error for it; to ask for fewer requests,
/// as some servers do, would have clients try again for long.
pub(crate) fn storage_full_error() -> S3Error {
    s3_error(507, "InsufficientStorage", "The storage is full. Delete something and try again.", &[])
}

pub(crate) fn malformed_xml_error() -> S3Error {
    let message = "The XML you provided was not well-formed or did not validate against our published schema";
    s3_error(400, "MalformedXML", message, &[])
}

/// A fault of the machine below: logged here, told to the caller without detail.
pub(crate) fn internal_error(error: impl std::fmt::Display + Any) -> S3Error {
    if is_disk_full(&error) {
        tracing::error!(%error, "the database of the store cannot grow: the disk is full");
        return storage_full_error();
    }
    tracing::error!(%error, "store failed");
    s3_error(500, "InternalError", "We encountered an internal error. Please try again.", &[])
}

/// A file that could not be read or written; a full disk is told as one.
pub(crate) fn io_error(error: std::io::Error) -> S3Error {
    if is_disk_full_kind(error.kind()) {
        tracing::error!(%error, "the storage is full");
        return storage_full_error();
    }
    internal_error(error)
}

fn is_disk_full_kind(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Whether it is the database that found the disk full.
fn is_disk_full(error: &dyn Any) -> bool {
    let is_storage_full =
        |error: &StorageError| matches!(error, StorageError::Io(error) if is_disk_full_kind(error.kind()));
    error.downcast_ref::<StorageError>().is_some_and(is_storage_full)
        || matches!(error.downcast_ref::<CommitError>(), Some(CommitError::Storage(error)) if is_storage_full(error))
        || matches!(error.downcast_ref::<TransactionError>(), Some(TransactionError::Storage(error)) if is_storage_full(error))
        || matches!(error.downcast_ref::<redb::Error>(), Some(redb::Error::Io(error)) if is_disk_full_kind(error.kind()))
}
