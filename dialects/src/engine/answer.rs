//! From a target's answer to the canonical one, and from there to the caller's.

use crate::engine::dialect::Dialect;
use crate::engine::documents::{self, Unsound};
use crate::engine::exchange::Answer;
use crate::engine::way::Way;
use crate::engine::{cors, crc64, etag};
use crate::model::{Algorithm, Document, Encryption, ErrorDocument, Fault, Operation, Refusal, Reply, Told};
use crate::wire::xml;

/// Reads the head of a target's answer into the caller's terms: names by the tables, values by the word tables.
pub fn head(way: &Way<'_>, operation: Operation, answer: &Answer) -> Reply {
    let (caller, target) = (way.caller, way.target.dialect);
    let mut reply = Reply::status(answer.status);
    // Where something is at the target is nothing to callers.
    for field in Told::ALL.into_iter().filter(|field| *field != Told::Location) {
        let Some(name) = (target.told)(field) else { continue };
        let Some(value) = answer.header(name) else {
            continue;
        };
        if let Some(value) = carried(caller, target, field, value) {
            reply.fields.push((field, value));
        }
    }
    for (name, algorithm) in target.checksums.iter().filter(|row| row.1 != Algorithm::Crc64Ecma) {
        if let Some(value) = answer.text(name).filter(|text| !text.is_empty()) {
            reply.checksums.push((*algorithm, value.to_owned()));
        }
    }
    for (name, value) in &answer.headers {
        let Some(name) = name.strip_prefix(target.metadata_prefix) else { continue };
        match name {
            "" => {}
            crc64::RESERVED => take_kept(way, answer, value, &mut reply),
            _ => reply.metadata.push((name.to_owned(), value.clone())),
        }
    }
    let carries_object = matches!(operation, Operation::GetObject | Operation::HeadObject);
    if answer.status / 100 == 2 && !carries_object {
        // A restoring call tells by its status whether it began or only went on.
        if operation != Operation::RestoreObject {
            reply.status = caller.success_status(operation);
        }
        reply.remove(Told::ContentLength);
        reply.remove(Told::ContentType);
    }
    reply
}

/// Tells the CRC-64 that was kept in the metadata of an object, where its target does not tell one.
fn take_kept(way: &Way<'_>, answer: &Answer, value: &[u8], reply: &mut Reply) {
    let target = way.target.dialect;
    let tag = (target.told)(Told::Etag).and_then(|name| answer.text(name)).unwrap_or_default();
    if let Some(crc64) = crc64::kept(value, tag).filter(|_| (target.told)(Told::Crc64Ecma).is_none()) {
        reply.set(Told::Crc64Ecma, crc64);
    }
}

/// A header's value in the caller's words. `None`: it says nothing to the caller.
fn carried(caller: &Dialect, target: &Dialect, field: Told, value: &[u8]) -> Option<Vec<u8>> {
    if value.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
        return None;
    }
    let text = || std::str::from_utf8(value).ok();
    match field {
        Told::Etag => text().map(|tag| etag::quoted(caller, tag).into_bytes()),
        Told::StorageClass => {
            let class = target.words.class.value(text()?)?;
            caller.words.class.word(class).map(|word| word.as_bytes().to_vec())
        }
        Told::Encryption => {
            let way: Encryption = target.words.encryption.value(text()?)?;
            caller.words.encryption.word(way).map(|word| word.as_bytes().to_vec())
        }
        Told::ExposeHeaders | Told::AllowHeaders => Some(cors::headers(target, caller, text()?).into_bytes()),
        _ => Some(value.to_vec()),
    }
}

/// Reads the whole answer of an exchange.
///
/// # Errors
/// The target's fault, or an internal error where a success is not proven by the body.
pub fn whole(way: &Way<'_>, operation: Operation, answer: &Answer) -> Result<Reply, Refused> {
    if answer.status / 100 != 2 {
        return Err(failure(way, answer));
    }
    match documents::read(way.target.dialect, operation, &answer.body) {
        Ok(document) => {
            let mut reply = head(way, operation, answer);
            reply.document = document;
            finish(way.caller, operation, &mut reply);
            Ok(reply)
        }
        Err(Unsound::Error(error)) => Err(fault_of(way, 0, error)),
        Err(Unsound::NotTheDocument) => {
            Err(Refused { fault: Fault::InternalError, refusal: unproven(), upstream_code: None })
        }
    }
}

/// Adds to a success what the caller's dialect tells and the target's did not.
pub fn finish(caller: &Dialect, operation: Operation, reply: &mut Reply) {
    let version = reply.text(Told::VersionId).map(str::to_owned);
    let crc64 = reply.text(Told::Crc64Ecma).map(str::to_owned);
    if let Some(Document::CopyObject(result) | Document::CopyPart(result)) = &mut reply.document {
        result.version = result.version.take().or(version);
        result.crc64 = result.crc64.take().or(crc64);
        if let Some(version) = result.version.clone() {
            reply.set(Told::VersionId, version);
        }
    }
    (caller.complete_reply)(operation, reply);
}

/// A target's failure in canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What went wrong.
    pub fault: Fault,
    /// What to tell the caller.
    pub refusal: Refusal,
    /// The target's own code, for the log.
    pub upstream_code: Option<String>,
}

/// Reads a failure: by its code, else by its status.
pub fn failure(way: &Way<'_>, answer: &Answer) -> Refused {
    fault_of(way, answer.status, error_of(way.target.dialect, answer))
}

/// The error document of a failure; an empty one where there is none.
pub fn error_of(target: &Dialect, answer: &Answer) -> ErrorDocument {
    match xml::read(&answer.body) {
        Ok(node) if node.name == "Error" => documents::read_error(&node),
        _ => header_error(target, answer).unwrap_or(ErrorDocument {
            fault: None,
            code: String::new(),
            message: String::new(),
            details: Vec::new(),
        }),
    }
}

/// Whether a target says that something is missing and not what: the answer to a HEAD has no document.
pub fn is_missing_unsaid(target: &Dialect, answer: &Answer) -> bool {
    answer.status == 404 && error_of(target, answer).code.is_empty()
}

/// Whether a failure's document only asks for fewer requests: nothing is wrong with the target then.
pub fn asks_for_less(target: &Dialect, document: &[u8]) -> bool {
    let Ok(node) = xml::read(document) else { return false };
    let code = documents::read_error(&node).code;
    node.name == "Error" && target.faults.iter().any(|row| row.fault == Fault::SlowDown && row.code == code)
}

/// The error document of a HEAD, where the dialect puts it into a header.
fn header_error(target: &Dialect, answer: &Answer) -> Option<ErrorDocument> {
    use base64::Engine as _;
    let name = target.identity.head_error?;
    let document = base64::engine::general_purpose::STANDARD.decode(answer.header(name)?).ok()?;
    let node = xml::read(&document).ok()?;
    (node.name == "Error").then(|| documents::read_error(&node))
}

/// What a target's error means: by its code, else by its status.
pub fn meant(target: &Dialect, status: u16, error: &ErrorDocument) -> Fault {
    let by_code =
        target.faults.iter().find(|row| row.code == error.code && (status == 0 || row.status == status));
    let by_code = by_code.or_else(|| target.faults.iter().find(|row| row.code == error.code));
    by_code.map_or_else(|| by_status(status), |row| by_message(row.fault, &error.message))
}

fn fault_of(way: &Way<'_>, status: u16, error: ErrorDocument) -> Refused {
    let fault = meant(way.target.dialect, status, &error);
    let upstream_code = Some(error.code.clone()).filter(|code| !code.is_empty());
    Refused { fault, refusal: refusal(fault, &error), upstream_code }
}

/// Vendors use one code for several faults; where ours differ, the vendor's words tell them apart.
fn by_message(fault: Fault, message: &str) -> Fault {
    match fault {
        Fault::InvalidRequest | Fault::InvalidArgument | Fault::EntityTooLarge
            if message.contains("larger than the maximum allowable size")
                || message.contains("Source object Length exceeds") =>
        {
            Fault::CopySourceTooLarge
        }
        Fault::InvalidRequest if message.contains("copy an object to itself") => Fault::SelfCopy,
        other => other,
    }
}

fn by_status(status: u16) -> Fault {
    match status {
        304 => Fault::NotModified,
        400 => Fault::InvalidRequest,
        403 => Fault::AccessDenied,
        404 => Fault::NoSuchKey,
        405 => Fault::MethodNotAllowed,
        409 => Fault::Conflict,
        411 => Fault::MissingContentLength,
        412 => Fault::PreconditionFailed,
        416 => Fault::InvalidRange,
        501 => Fault::NotImplemented,
        503 => Fault::ServiceUnavailable,
        507 => Fault::StorageFull,
        _ => Fault::InternalError,
    }
}

/// What a target says of our key, signature or clock is none of the caller's business, and would set its clock
/// wrong; the rest is told in the caller's own words, with the details that are not the target's names.
fn refusal(fault: Fault, error: &ErrorDocument) -> Refusal {
    match fault {
        Fault::InvalidAccessKeyId
        | Fault::SignatureDoesNotMatch
        | Fault::RequestTimeTooSkewed
        | Fault::RequestExpired
        | Fault::RequestNotYetValid
        | Fault::AuthorizationMalformed
        | Fault::AuthorizationQueryMalformed
        | Fault::HeadersNotSigned
        | Fault::InvalidToken
        | Fault::ExpiredToken
        | Fault::MissingDate
        | Fault::MissingPayloadHash
        | Fault::PayloadHashMismatch
        | Fault::SeveralCredentials
        | Fault::UnsupportedSignature
        | Fault::UnknownAuthorization => {
            Refusal::say(Fault::InternalError, "The storage behind this service did not accept the request.")
        }
        Fault::CopySourceTooLarge => Refusal::say(
            Fault::TargetCopyLimit,
            "The source is larger than the storage behind this service copies at once.",
        ),
        _ => {
            let mut refusal = Refusal::new(fault);
            for name in CARRIED {
                if let Some((_, text)) = error.details.iter().find(|row| row.0 == name) {
                    refusal = refusal.with(name, text.clone());
                }
            }
            refusal
        }
    }
}

/// Details that mean the same everywhere and name nothing of the target.
const CARRIED: [&str; 6] =
    ["Key", "UploadId", "PartNumber", "VersionId", "ActualPartCount", "PartNumberRequested"];

/// A 2xx that proves nothing.
pub fn unproven() -> Refusal {
    Refusal::say(Fault::InternalError, "The storage behind this service gave no complete answer.")
}

/// What a target says of the bytes that it has is not what was sent.
pub fn not_stored() -> Refusal {
    Refusal::say(Fault::InternalError, "What was stored is not what was sent.")
}

/// Sets what documents say of the request's own names.
pub fn name_document(document: &mut Document, bucket: &str, key: &str) {
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
        Document::Info(info) => bucket.clone_into(&mut info.bucket),
        _ => {}
    }
}
