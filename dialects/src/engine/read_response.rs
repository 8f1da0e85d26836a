//! From a target's answer to the canonical one, and from there to the caller's.

use crate::dialect::route::Route;
use crate::dialect::{Dialect, etag};
use crate::documents::elements::DocumentError;
use crate::documents::response_documents;
use crate::encoding::xml;
use crate::engine::target_response::{TargetResponse, reject_incomplete_response};
use crate::engine::{cors, crc64, encoded_words, target_response};
use crate::model::{
    ChecksumAlgorithm, Document, Encryption, ErrorDocument, ErrorKind, Operation, Rejection, Response,
    ResponseField,
};

/// Reads the head of a target's answer into the caller's terms: names by the tables, values by the word tables.
pub fn read_response_head(
    route: &Route<'_>,
    operation: Operation,
    target_response: &TargetResponse,
) -> Response {
    let (caller, target) = (route.caller, route.target.dialect);
    let mut response = Response::with_status(target_response.status);
    // Where something is at the target is nothing to callers.
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
        // A restoring call tells by its status whether it began or only went on.
        if operation != Operation::RestoreObject {
            response.status = caller.success_status(operation);
        }
        response.remove(ResponseField::ContentLength);
        response.remove(ResponseField::ContentType);
    }
    response
}

/// Tells the CRC-64 that was kept in the metadata of an object, where its target does not tell one.
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

/// A header's value in the caller's words. `None`: it says nothing to the caller.
fn translate_header_value(
    caller: &Dialect,
    target: &Dialect,
    field: ResponseField,
    value: &[u8],
) -> Option<Vec<u8>> {
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

/// Reads the whole answer of an exchange.
///
/// # Errors
/// The target's fault, or an internal error where a success is not proven by the body.
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

/// Why a success without a document is none where a body came with it.
pub fn check_empty_body(route: &Route<'_>, response: &TargetResponse) -> Option<TargetError> {
    match response_documents::check_no_document(&response.body) {
        Ok(()) => None,
        Err(DocumentError::ErrorDocument(error)) => Some(translate_error(route, 0, error)),
        Err(DocumentError::Invalid) => Some(new_incomplete_response_error()),
    }
}

fn new_incomplete_response_error() -> TargetError {
    TargetError { kind: ErrorKind::InternalError, rejection: reject_incomplete_response(), target_code: None }
}

/// Adds to a success what the caller's dialect tells and the target's did not.
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
    /// What went wrong.
    pub kind: ErrorKind,
    /// What to tell the caller.
    pub rejection: Rejection,
    /// The target's own code, for the log.
    pub target_code: Option<String>,
}

/// Reads a failure: by its code, else by its status.
pub fn read_target_error(route: &Route<'_>, response: &TargetResponse) -> TargetError {
    translate_error(route, response.status, read_error_document(route.target.dialect, response))
}

/// The error document of a failure; an empty one where there is none.
pub fn read_error_document(target: &Dialect, response: &TargetResponse) -> ErrorDocument {
    match xml::parse(&response.body) {
        Ok(node) if node.name == "Error" => response_documents::read_error(&node),
        _ => read_error_header(target, response).unwrap_or(ErrorDocument {
            kind: None,
            code: String::new(),
            message: String::new(),
            details: Vec::new(),
        }),
    }
}

/// Whether a target says that something is missing and not what: the answer to a HEAD has no document.
pub fn is_unspecified_not_found(target: &Dialect, response: &TargetResponse) -> bool {
    response.status == 404 && read_error_document(target, response).code.is_empty()
}

/// Whether a failure's document only asks for fewer requests: nothing is wrong with the target then.
pub fn is_slow_down(target: &Dialect, document: &[u8]) -> bool {
    let Ok(node) = xml::parse(document) else { return false };
    let code = response_documents::read_error(&node).code;
    node.name == "Error"
        && target.errors.iter().any(|row| row.kind == ErrorKind::SlowDown && row.code == code)
}

/// The error document of a HEAD, where the dialect puts it into a header.
fn read_error_header(target: &Dialect, response: &TargetResponse) -> Option<ErrorDocument> {
    use base64::Engine as _;
    let name = target.common_headers.head_error_header?;
    let document = base64::engine::general_purpose::STANDARD.decode(response.header(name)?).ok()?;
    let node = xml::parse(&document).ok()?;
    (node.name == "Error").then(|| response_documents::read_error(&node))
}

/// What a target's error means: by its code, else by its status.
pub fn classify_error(target: &Dialect, status: u16, error: &ErrorDocument) -> ErrorKind {
    let by_code =
        target.errors.iter().find(|row| row.code == error.code && (status == 0 || row.status == status));
    let by_code = by_code.or_else(|| target.errors.iter().find(|row| row.code == error.code));
    by_code.map_or_else(|| classify_status(status), |row| refine_kind_by_message(row.kind, &error.message))
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

/// Whether a code that no table has is told to callers of the target's own dialect. Those about accounts and keys are of
/// ours, and what fails at the target is no fault of the caller.
fn can_expose_code(status: u16, code: &str) -> bool {
    let is_word = (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word && (400..500).contains(&status) && !matches!(status, 401 | 403 | 407 | 429)
}

/// Vendors use one code for several faults; where ours differ, the vendor's words tell them apart.
fn refine_kind_by_message(kind: ErrorKind, message: &str) -> ErrorKind {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::InvalidArgument | ErrorKind::EntityTooLarge
            if message.contains("larger than the maximum allowable size")
                || message.contains("Source object Length exceeds") =>
        {
            ErrorKind::CopySourceTooLarge
        }
        ErrorKind::InvalidRequest if message.contains("copy an object to itself") => ErrorKind::SelfCopy,
        other => other,
    }
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

/// What a target says of our key, signature or clock is none of the caller's business, and would set its clock
/// wrong; the rest is told in the caller's own words, with the details that are not the target's names.
fn build_caller_rejection(kind: ErrorKind, error: &ErrorDocument) -> Rejection {
    match kind {
        // What it says of its clock is known by the next request.
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
            "The storage behind this service did not accept the request.",
        ),
        ErrorKind::CopySourceTooLarge => Rejection::with_message(
            ErrorKind::TargetCopyLimit,
            "The source is larger than the storage behind this service copies at once.",
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

/// Details that mean the same everywhere and name nothing of the target.
const PORTABLE_DETAILS: [&str; 6] =
    ["Key", "UploadId", "PartNumber", "VersionId", "ActualPartCount", "PartNumberRequested"];

/// Sets what documents say of the request's own names.
pub fn set_document_names(document: &mut Document, bucket: &str, key: &str) {
    match document {
        Document::Initiated { bucket: b, key: k, .. } | Document::Completed { bucket: b, key: k, .. } => {
            bucket.clone_into(b);
            key.clone_into(k);
        }
        Document::Parts(list) => {
            bucket.clone_into(&mut list.bucket);
            key.clone_into(&mut list.key);
        }
        Document::Objects(listing) => bucket.clone_into(&mut listing.bucket),
        Document::Versions(page) => bucket.clone_into(&mut page.bucket),
        Document::Uploads(page) => bucket.clone_into(&mut page.bucket),
        Document::BucketInfo(info) => bucket.clone_into(&mut info.bucket),
        _ => {}
    }
}
