//! Reads a target's response into the canonical one, with the values of the caller's dialect.

use crate::dialect::route::Route;
use crate::dialect::{Dialect, etag};
use crate::documents::elements::DocumentError;
use crate::documents::response_documents;
use crate::encoding::xml;
use crate::engine::target_response::{TargetResponse, reject_incomplete_response};
use crate::engine::{cors, crc64, encoded_words, target_response};
use crate::model::{
    ChecksumAlgorithm, Document, Encryption, ErrorDocument, ErrorKind, Operation, Rejection, RequestScope,
    Response, ResponseField,
};

/// Reads the head of a target's response: header names by the tables, values by the word tables of both dialects.
pub fn read_response_head(
    route: &Route<'_>,
    operation: Operation,
    target_response: &TargetResponse,
) -> Response {
    let (caller, target) = (route.caller, route.target.dialect);
    let mut response = Response::with_status(target_response.status);
    // The location contains the target's host and bucket, which clients must not get.
    for field in ResponseField::ALL.into_iter().filter(|field| *field != ResponseField::Location) {
        let Some(name) = (target.response_field_name)(field) else { continue };
        let Some(value) = target_response.header(name) else {
            continue;
        };
        if let Some(value) = translate_header_value(caller, target, field, value) {
            response.fields.push((field, value));
        }
    }
    for (name, algorithm) in
        // The CRC-64 of COS and OSS is a response field of its own, which was read above.
        target.checksum_headers.iter().filter(|row| row.1 != ChecksumAlgorithm::Crc64Ecma)
    {
        if let Some(value) = target_response.header_text(name).filter(|text| !text.is_empty()) {
            response.checksums.push((*algorithm, value.to_owned()));
        }
    }
    for (name, value) in &target_response.headers {
        let Some(name) = name.strip_prefix(target.metadata_prefix) else { continue };
        match name {
            "" => {}
            crc64::METADATA_NAME => apply_stored_crc64(route, target_response, value, &mut response),
            _ => response
                .metadata
                .push((name.to_owned(), encoded_words::convert_for_caller(target, caller, value))),
        }
    }
    let carries_object = matches!(operation, Operation::GetObject | Operation::HeadObject);
    if target_response.status / 100 == 2 && !carries_object {
        // The status of a restore request differs between a new restore and one that is already in progress.
        if operation != Operation::RestoreObject {
            response.status = caller.success_status(operation);
        }
        response.remove(ResponseField::ContentLength);
        response.remove(ResponseField::ContentType);
    }
    response
}

/// Adds the CRC-64 that is stored in the object's metadata, if the target does not return one.
fn apply_stored_crc64(
    route: &Route<'_>,
    target_response: &TargetResponse,
    value: &[u8],
    response: &mut Response,
) {
    let target = route.target.dialect;
    let tag = (target.response_field_name)(ResponseField::Etag)
        .and_then(|name| target_response.header_text(name))
        .unwrap_or_default();
    if let Some(crc64) = crc64::read_stored_crc64(value, tag)
        .filter(|_| (target.response_field_name)(ResponseField::Crc64Ecma).is_none())
    {
        response.set(ResponseField::Crc64Ecma, crc64);
    }
}

/// Translates a header's value into the caller's dialect. `None`: the caller's dialect cannot express it.
fn translate_header_value(
    caller: &Dialect,
    target: &Dialect,
    field: ResponseField,
    value: &[u8],
) -> Option<Vec<u8>> {
    // A control character could end the header line and start another one.
    if value.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
        return None;
    }
    let text = || std::str::from_utf8(value).ok();
    match field {
        ResponseField::Etag => text().map(|tag| etag::quote(caller, tag).into_bytes()),
        ResponseField::StorageClass => {
            let class = target.words.class.value(text()?)?;
            caller.words.class.word(class).map(|word| word.as_bytes().to_vec())
        }
        ResponseField::Encryption => {
            let encryption: Encryption = target.words.encryption.value(text()?)?;
            caller.words.encryption.word(encryption).map(|word| word.as_bytes().to_vec())
        }
        ResponseField::ExposeHeaders | ResponseField::AllowHeaders => {
            Some(cors::translate_header_list(target, caller, text()?).into_bytes())
        }
        _ => Some(value.to_vec()),
    }
}

/// Reads a complete response.
///
/// # Errors
/// The target's error, or `InternalError` if the body does not prove the success.
pub fn read_response(
    route: &Route<'_>,
    operation: Operation,
    target_response: &TargetResponse,
) -> Result<Response, TargetError> {
    if target_response.status / 100 != 2 {
        return Err(read_target_error(route, target_response));
    }
    if !target_response::is_success(operation, target_response.status) {
        return Err(new_incomplete_response_error());
    }
    match response_documents::read_document(route.target.dialect, operation, &target_response.body) {
        Ok(document) => {
            let mut response = read_response_head(route, operation, target_response);
            response.document = document;
            add_caller_fields(route.caller, operation, &mut response);
            Ok(response)
        }
        Err(DocumentError::ErrorDocument(error)) => Err(translate_error(route, 0, error)),
        Err(DocumentError::Invalid) => Err(new_incomplete_response_error()),
    }
}

/// Checks the body of a success that has no document; a body may contain an error document.
pub(crate) fn check_empty_body(route: &Route<'_>, response: &TargetResponse) -> Option<TargetError> {
    match response_documents::check_no_document(route.target.dialect, &response.body) {
        Ok(()) => None,
        Err(DocumentError::ErrorDocument(error)) => Some(translate_error(route, 0, error)),
        Err(DocumentError::Invalid) => Some(new_incomplete_response_error()),
    }
}

fn new_incomplete_response_error() -> TargetError {
    TargetError { kind: ErrorKind::InternalError, rejection: reject_incomplete_response(), target_code: None }
}

/// Adds the fields that a response of the caller's dialect has and the target's has not.
pub fn add_caller_fields(caller: &Dialect, operation: Operation, response: &mut Response) {
    let version = response.text(ResponseField::VersionId).map(str::to_owned);
    let crc64 = response.text(ResponseField::Crc64Ecma).map(str::to_owned);
    if let Some(Document::CopyObject(result) | Document::CopyPart(result)) = &mut response.document {
        result.version = result.version.take().or(version);
        result.crc64 = result.crc64.take().or(crc64);
        if let Some(version) = result.version.clone() {
            response.set(ResponseField::VersionId, version);
        }
    }
    (caller.complete_response)(operation, response);
}

/// A target's failure in canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetError {
    /// The kind of error.
    pub kind: ErrorKind,
    /// The rejection for the client.
    pub rejection: Rejection,
    /// The target's own code, for the log.
    pub target_code: Option<String>,
}

/// Reads an error response: by its code, otherwise by its status.
pub fn read_target_error(route: &Route<'_>, response: &TargetResponse) -> TargetError {
    translate_error(route, response.status, read_error_document(route.target.dialect, response))
}

/// The error document of a response; an empty one if there is none.
pub(crate) fn read_error_document(target: &Dialect, response: &TargetResponse) -> ErrorDocument {
    match xml::parse(&response.body) {
        Ok(node) if node.name == target.xml.roots.error => response_documents::read_error(target, &node),
        // An error page of an intermediate proxy is not an error document, whatever its text contains.
        _ => read_error_header(target, response).unwrap_or(ErrorDocument {
            kind: None,
            code: String::new(),
            message: String::new(),
            details: Vec::new(),
        }),
    }
}

/// Whether a 404 response does not show what is missing: a response to HEAD has no document.
pub(crate) fn is_unspecified_not_found(target: &Dialect, response: &TargetResponse) -> bool {
    response.status == 404 && read_error_document(target, response).code.is_empty()
}

/// Whether an error document only requests a lower rate. It does not show that the target has a problem.
pub fn is_slow_down(target: &Dialect, document: &[u8]) -> bool {
    let Ok(node) = xml::parse(document) else { return false };
    let code = response_documents::read_error(target, &node).code;
    node.name == target.xml.roots.error
        && target.errors.iter().any(|row| row.kind == ErrorKind::SlowDown && row.code == code)
}

/// The error document in a header of a response to HEAD, if the dialect has such a header.
fn read_error_header(target: &Dialect, response: &TargetResponse) -> Option<ErrorDocument> {
    use base64::Engine as _;
    let name = target.common_headers.head_error_header?;
    let document = base64::engine::general_purpose::STANDARD.decode(response.header(name)?).ok()?;
    let node = xml::parse(&document).ok()?;
    (node.name == target.xml.roots.error).then(|| response_documents::read_error(target, &node))
}

/// Classifies a target's error: by its code, otherwise by its status.
pub(crate) fn classify_error(target: &Dialect, status: u16, error: &ErrorDocument) -> ErrorKind {
    let by_code =
        target.errors.iter().find(|row| row.code == error.code && (status == 0 || row.status == status));
    // S3-compatible servers often use a documented code with another status.
    let by_code = by_code.or_else(|| target.errors.iter().find(|row| row.code == error.code));
    by_code.map_or_else(
        || classify_status(status),
        |row| refine_kind_by_message(target, row.kind, &error.message),
    )
}

fn translate_error(route: &Route<'_>, status: u16, error: ErrorDocument) -> TargetError {
    let kind = classify_error(route.target.dialect, status, &error);
    let is_known_code = route.target.dialect.errors.iter().any(|row| row.code == error.code);
    let target_code = Some(error.code.clone()).filter(|code| !code.is_empty());
    let mut rejection = build_caller_rejection(kind, &error);
    if !is_known_code
        && route.caller.family == route.target.dialect.family
        && can_expose_code(status, &error.code)
    {
        rejection.code_and_status = Some((error.code.clone(), status));
    }
    TargetError { kind, rejection, target_code }
}

/// Whether an error code that is in no table is passed to callers of the target's own dialect. Errors about accounts
/// and access keys concern the proxy's own credentials, and a 5xx is not an error of the client.
fn can_expose_code(status: u16, code: &str) -> bool {
    let is_word = (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word && (400..500).contains(&status) && !matches!(status, 401 | 403 | 407 | 429)
}

/// Vendors use one code for several errors; the sentence in the vendor's message decides which of them it is.
fn refine_kind_by_message(target: &Dialect, kind: ErrorKind, message: &str) -> ErrorKind {
    let sentences = target.error_sentences.iter();
    let mut fitting = sentences.filter(|row| row.code_kind == kind && message.contains(row.contains));
    fitting.next().map_or(kind, |row| row.kind)
}

fn classify_status(status: u16) -> ErrorKind {
    match status {
        304 => ErrorKind::NotModified,
        400 => ErrorKind::InvalidRequest,
        403 => ErrorKind::AccessDenied,
        404 => ErrorKind::NoSuchKey,
        405 => ErrorKind::MethodNotAllowed,
        409 => ErrorKind::Conflict,
        411 => ErrorKind::MissingContentLength,
        412 => ErrorKind::PreconditionFailed,
        416 => ErrorKind::InvalidRange,
        501 => ErrorKind::NotImplemented,
        503 => ErrorKind::ServiceUnavailable,
        507 => ErrorKind::StorageFull,
        _ => ErrorKind::InternalError,
    }
}

/// Builds the client's rejection. Errors about the proxy's own access key, signature or clock do not concern the
/// client; SDKs would even correct their clock after one. Other errors are expressed in the caller's dialect, without
/// details that contain names of the target.
fn build_caller_rejection(kind: ErrorKind, error: &ErrorDocument) -> Rejection {
    match kind {
        // The proxy has corrected its clock offset for this target by the next request.
        ErrorKind::RequestTimeTooSkewed | ErrorKind::RequestExpired | ErrorKind::RequestNotYetValid => {
            ErrorKind::ServiceUnavailable.into()
        }
        ErrorKind::InvalidAccessKeyId
        | ErrorKind::SignatureDoesNotMatch
        | ErrorKind::AuthorizationMalformed
        | ErrorKind::AuthorizationQueryMalformed
        | ErrorKind::HeadersNotSigned
        | ErrorKind::InvalidToken
        | ErrorKind::ExpiredToken
        | ErrorKind::MissingDate
        | ErrorKind::MissingPayloadHash
        | ErrorKind::PayloadHashMismatch
        | ErrorKind::SeveralCredentials
        | ErrorKind::UnsupportedSignature
        | ErrorKind::UnknownAuthorization => Rejection::with_message(
            ErrorKind::InternalError,
            "The storage behind this service rejected the request.",
        ),
        ErrorKind::CopySourceTooLarge => Rejection::with_message(
            ErrorKind::TargetCopyLimit,
            "The source is larger than the storage behind this service copies in one request.",
        ),
        _ => {
            let mut rejection = Rejection::new(kind);
            for name in PORTABLE_DETAILS {
                if let Some((_, text)) = error.details.iter().find(|row| row.0 == name) {
                    rejection = rejection.with_detail(name, text.clone());
                }
            }
            rejection
        }
    }
}

/// Details that have the same meaning in all dialects and contain no names of the target.
const PORTABLE_DETAILS: [&str; 6] =
    ["Key", "UploadId", "PartNumber", "VersionId", "ActualPartCount", "PartNumberRequested"];

/// Writes the client's names of bucket and key into a document, in place of the target's.
///
/// # Errors
/// `InvalidRequest`: the document has names that the request does not have.
pub fn set_document_names(document: &mut Document, scope: &RequestScope) -> Result<(), Rejection> {
    match document {
        Document::Initiated { bucket, key, .. } | Document::Completed { bucket, key, .. } => {
            scope.require_bucket()?.clone_into(bucket);
            scope.require_key()?.clone_into(key);
        }
        Document::Parts(list) => {
            scope.require_bucket()?.clone_into(&mut list.bucket);
            scope.require_key()?.clone_into(&mut list.key);
        }
        Document::Objects(listing) => scope.require_bucket()?.clone_into(&mut listing.bucket),
        Document::Versions(page) => page.bucket = Some(scope.require_bucket()?.to_owned()),
        Document::Uploads(page) => page.bucket = Some(scope.require_bucket()?.to_owned()),
        Document::BucketInfo(info) => scope.require_bucket()?.clone_into(&mut info.bucket),
        _ => {}
    }
    Ok(())
}
