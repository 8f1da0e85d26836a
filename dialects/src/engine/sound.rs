//! Whether an answer of a target can be true. A target may be anything that answers at its address: a proxy's page, a
//! server with half of an index, another bucket's listing. What is wrong here is told as an error, never as a success.

use crate::engine::answer;
use crate::engine::dialect::Dialect;
use crate::engine::etag;
use crate::engine::exchange::TargetResponse;
use crate::engine::way::Route;
use crate::model::{
    ByteRange, Checksum, ChecksumAlgorithm, Document, Encryption, ErrorKind, Field, ObjectListing, Operation,
    Rejection, Request, ResponseField, Value,
};
use crate::wire::{hash, percent};

/// Whether an operation may succeed with this status.
pub fn is_success(operation: Operation, status: u16) -> bool {
    match operation {
        Operation::GetObject | Operation::HeadObject => matches!(status, 200 | 206 | 304),
        Operation::RestoreObject => matches!(status, 200 | 202),
        // These have no document: some servers say so by their status.
        Operation::DeleteObject
        | Operation::AbortMultipartUpload
        | Operation::CreateBucket
        | Operation::HeadBucket
        | Operation::DeleteBucket
        | Operation::Put(_)
        | Operation::Delete(_) => matches!(status, 200 | 204),
        _ => status == 200,
    }
}

/// What a success must say in its head.
///
/// # Errors
/// A success that cannot be one of this request.
pub fn check_head(way: &Route<'_>, request: &Request, answer: &TargetResponse) -> Result<(), Rejection> {
    if !is_success(request.operation, answer.status) {
        return Err(answer::reject_incomplete_response());
    }
    let target = way.target.dialect;
    let told = |field: ResponseField| (target.response_field_name)(field).and_then(|name| answer.text(name));
    for field in [
        ResponseField::Etag,
        ResponseField::ContentRange,
        ResponseField::ContentLength,
        ResponseField::VersionId,
    ] {
        said_once(target, field, answer)?;
    }
    match request.operation {
        Operation::GetObject | Operation::HeadObject if answer.status == 304 => {
            let conditional = [Field::IfNoneMatch, Field::IfModifiedSince]
                .into_iter()
                .any(|field| request.fields.has(field));
            return conditional.then_some(()).ok_or_else(answer::reject_incomplete_response);
        }
        Operation::GetObject | Operation::HeadObject => {}
        operation if operation.is_upload() => {}
        _ => return Ok(()),
    }
    let etag = told(ResponseField::Etag)
        .map(str::trim)
        .filter(|tag| is_strong(tag))
        .ok_or_else(answer::reject_incomplete_response)?;
    if request.operation.is_upload() {
        return Ok(());
    }
    let asked = |field: Field| request.fields.get(field);
    if let Some(Value::Etags(tags)) = asked(Field::IfMatch)
        && !tags.iter().any(|tag| tag == "*" || etag::is_same_etag(tag, etag))
    {
        return Err(answer::reject_incomplete_response());
    }
    if let (Some(Value::Text(version)), Some(found)) =
        (asked(Field::VersionId), told(ResponseField::VersionId))
        && version != found
    {
        return Err(answer::reject_incomplete_response());
    }
    let length = told(ResponseField::ContentLength).map(str::parse::<u64>);
    match (request.operation, answer.status, length) {
        (_, _, Some(Err(_))) | (Operation::HeadObject, 200, None) => {
            Err(answer::reject_incomplete_response())
        }
        (Operation::HeadObject, 200, _) => Ok(()),
        (_, 206, length) => {
            check_part(request, told(ResponseField::ContentRange), length.and_then(Result::ok))
        }
        (_, _, length) => {
            let whole = told(ResponseField::ContentRange).is_none()
                && length.and_then(Result::ok).is_none_or(|bytes| may_be_whole(way, request, bytes));
            whole.then_some(()).ok_or_else(answer::reject_incomplete_response)
        }
    }
}

/// A header that two lines say differently says nothing.
fn said_once(target: &Dialect, field: ResponseField, answer: &TargetResponse) -> Result<(), Rejection> {
    let Some(name) = (target.response_field_name)(field) else { return Ok(()) };
    let mut lines = answer.headers.iter().filter(|row| row.0.eq_ignore_ascii_case(name)).map(|row| &row.1);
    let first = lines.next();
    if lines.all(|line| Some(line) == first) { Ok(()) } else { Err(answer::reject_incomplete_response()) }
}

/// Whether a tag names bytes: what something on the way has repacked has a weak one.
fn is_strong(tag: &str) -> bool {
    let bare = etag::strip_quotes(tag);
    !bare.is_empty() && !tag.starts_with("W/") && bare.chars().all(|c| !c.is_control() && c != '"')
}

/// A part of an object has to be the one that was asked for.
fn check_part(request: &Request, range: Option<&str>, length: Option<u64>) -> Result<(), Rejection> {
    let told = range.and_then(read_content_range).ok_or_else(answer::reject_incomplete_response)?;
    let (first, last, total) = told;
    let bytes = last.saturating_sub(first).saturating_add(1);
    let fits = match request.fields.get(Field::Range) {
        Some(Value::ByteRange(range)) => satisfied(*range, total) == Some((first, last)),
        _ => request.fields.has(Field::PartNumber),
    };
    let is_sound = first <= last && last < total && length.is_none_or(|length| length == bytes);
    if fits && is_sound { Ok(()) } else { Err(answer::reject_incomplete_response()) }
}

/// `bytes first-last/total` (RFC 9110, 14.4).
fn read_content_range(text: &str) -> Option<(u64, u64, u64)> {
    let number =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let (span, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    Some((number(first)?, number(last)?, number(total)?))
}

/// The bytes that a range means of an object of this size; `None` where it has none of them.
fn satisfied(range: ByteRange, total: u64) -> Option<(u64, u64)> {
    let end = total.checked_sub(1)?;
    match range {
        ByteRange::Span(first, last) if first <= last && first <= end => Some((first, last.min(end))),
        ByteRange::From(first) if first <= end => Some((first, end)),
        ByteRange::Last(count) if count > 0 => Some((total.saturating_sub(count), end)),
        _ => None,
    }
}

/// Whether the whole object may be the answer: where no part was asked for, or the part is all of it, or the target
/// answers so what does not fit.
fn may_be_whole(way: &Route<'_>, request: &Request, total: u64) -> bool {
    let Some(Value::ByteRange(range)) = request.fields.get(Field::Range) else { return true };
    let is_lenient = way.target.dialect.defaults.lenient_range && !request.fields.has(Field::StandardRange);
    match (satisfied(*range, total), range) {
        (Some((0, last)), _) if last.checked_add(1) == Some(total) => true,
        (Some(_), ByteRange::Span(_, last)) => is_lenient && *last >= total,
        (Some(_), _) => false,
        (None, _) => true,
    }
}

/// Whether a failure can be one of this request: a condition fails only where one was set.
pub fn may_fail_so(request: &Request, fault: ErrorKind) -> bool {
    let any = |fields: &[Field]| fields.iter().any(|field| request.fields.has(*field));
    match fault {
        ErrorKind::NotModified => any(&[
            Field::IfNoneMatch,
            Field::IfModifiedSince,
            Field::SourceIfNoneMatch,
            Field::SourceIfModifiedSince,
        ]),
        ErrorKind::PreconditionFailed => {
            any(&[
                Field::IfMatch,
                Field::IfNoneMatch,
                Field::IfModifiedSince,
                Field::IfUnmodifiedSince,
                Field::ForbidOverwrite,
                Field::OverwriteIfMatch,
            ]) || any(&Field::SOURCE_CONDITIONS)
                || request.objects_to_delete.iter().any(|line| line.etag.is_some())
        }
        ErrorKind::InvalidRange => any(&[Field::Range, Field::PartNumber, Field::SourceRange]),
        _ => true,
    }
}

/// What an object's head says of its whole body, as a request for [`Gate`](crate::engine::body::Gate) to hold the bytes to;
/// `None` where it says nothing that can be checked.
pub fn vouched(target: &Dialect, request: &Request, answer: &TargetResponse) -> Option<Request> {
    if request.operation != Operation::GetObject || answer.status != 200 {
        return None;
    }
    let mut expected = Request::new(Operation::GetObject);
    expect(&mut expected, target, answer);
    let says = !expected.checksums.is_empty() || expected.fields.has(Field::ContentMd5);
    says.then_some(expected)
}

/// Adds to a request for bytes what the head of their object says that they are.
pub fn expect(request: &mut Request, target: &Dialect, answer: &TargetResponse) {
    request.checksums.extend(stated(target, answer));
    if let Some(md5) = md5(target, answer) {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(md5);
        request.fields.set(Field::ContentMd5, Value::Text(text));
    }
}

/// The checksums of the whole object that its head states. What is computed of the parts' checksums is none of its
/// bytes; it ends in the number of parts.
fn stated(target: &Dialect, answer: &TargetResponse) -> Vec<Checksum> {
    let row = |row: &(&'static str, ChecksumAlgorithm)| {
        let value = answer.text(row.0)?.trim();
        let is_whole = !value.is_empty() && !value.contains('-');
        is_whole.then(|| Checksum { algorithm: row.1, value: Some(value.to_owned()) })
    };
    target.checksum_headers.iter().filter_map(row).collect()
}

/// The MD5 that an object's head states by its ETag.
pub fn md5(target: &Dialect, answer: &TargetResponse) -> Option<Vec<u8>> {
    let told = |field: ResponseField| (target.response_field_name)(field).and_then(|name| answer.text(name));
    let tag = told(ResponseField::Etag).map(etag::strip_quotes)?;
    let is_plain = tag.len() == 32 && target.etag_is_md5 && !is_sealed(target, answer);
    if is_plain { hash::decode_hex(tag) } else { None }
}

/// Whether an object is encrypted so that its ETag says nothing of its bytes.
pub fn is_sealed(target: &Dialect, answer: &TargetResponse) -> bool {
    let told = |field: ResponseField| (target.response_field_name)(field).and_then(|name| answer.text(name));
    let keyed = [ResponseField::EncryptionKeyId, ResponseField::CustomerAlgorithm]
        .into_iter()
        .any(|field| told(field).is_some());
    keyed
        || told(ResponseField::Encryption)
            .is_some_and(|word| target.words.encryption.value(word) != Some(Encryption::Aes256))
}

/// What a document says of the request that it answers.
///
/// # Errors
/// It answers another one, or ends where it says that there is more.
pub fn check_document(way: &Route<'_>, sent: &Request, document: &Document) -> Result<(), Rejection> {
    let key = sent.key.as_deref().unwrap_or_default();
    let text = |field: Field| sent.fields.text(field).unwrap_or_default();
    let begins = |key: &str| key.starts_with(text(Field::Prefix));
    let is_sound = match document {
        Document::Initiated { bucket, key: found, .. } | Document::Completed { bucket, key: found, .. } => {
            is_bucket(way, bucket) && is_key(found, key)
        }
        Document::Parts(list) => {
            let marker = text_number(sent, Field::PartNumberMarker);
            is_bucket(way, &list.bucket)
                && is_key(&list.key, key)
                && (list.upload_id.is_empty() || list.upload_id == text(Field::UploadId))
                && (!list.truncated || list.next_marker > marker)
        }
        Document::Objects(page) => {
            is_bucket(way, &page.bucket)
                && page.objects.iter().all(|object| begins(&object.key))
                && page.prefixes.iter().all(|prefix| begins(prefix))
                && (!page.truncated || goes_on(sent, page))
        }
        Document::Versions(page) => {
            is_bucket(way, &page.bucket)
                && page.versions.iter().all(|version| begins(&version.object.key))
                && page.prefixes.iter().all(|prefix| begins(prefix))
                && (!page.truncated || page.next_key_marker.is_some())
        }
        Document::Uploads(page) => {
            is_bucket(way, &page.bucket)
                && page.uploads.iter().all(|upload| begins(&upload.key))
                && page.prefixes.iter().all(|prefix| begins(prefix))
                && (!page.truncated || page.next_key_marker.is_some())
        }
        _ => true,
    };
    if is_sound { Ok(()) } else { Err(answer::reject_incomplete_response()) }
}

/// Whether a document that names a bucket means the request's. An alias is answered with the name behind it, and some
/// servers write an account's name before it.
fn is_bucket(way: &Route<'_>, found: &str) -> bool {
    let asked = way.bucket.as_str();
    let is_alias = asked.ends_with("alias") || asked.contains("--") || asked.contains(':');
    let bare = found.rsplit_once(':').map_or(found, |(_, bare)| bare);
    found.is_empty() || bare == asked || is_alias
}

/// Whether a document that names a key means the request's. What XML may change on its way is not compared.
fn is_key(found: &str, asked: &str) -> bool {
    let is_plain = asked.chars().all(|c| !c.is_control()) && asked.trim() == asked;
    found.is_empty()
        || !is_plain
        || found == asked
        || percent::decode(found).is_ok_and(|found| found == asked)
}

/// Whether a page that is not the last says how the next one is asked for, and that is another.
fn goes_on(sent: &Request, page: &ObjectListing) -> bool {
    if sent.operation == Operation::ListObjectsV2 {
        return page
            .next_continuation_token
            .as_deref()
            .is_some_and(|next| Some(next) != sent.fields.text(Field::ContinuationToken));
    }
    let last = page.objects.iter().map(|object| &object.key).chain(&page.prefixes).max();
    let next = page.next_marker.as_ref().or(last);
    next.is_some_and(|next| next.as_str() > sent.fields.text(Field::Marker).unwrap_or_default())
}

fn text_number(sent: &Request, field: Field) -> u64 {
    match sent.fields.get(field) {
        Some(Value::Number(number)) => *number,
        _ => 0,
    }
}
