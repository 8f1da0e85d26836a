//! Whether an answer of a target can be true. A target may be anything that answers at its address: a proxy's page, a
//! server with half of an index, another bucket's listing. What is wrong here is told as an error, never as a success.

use crate::dialect::route::Route;
use crate::dialect::{Dialect, etag};
use crate::encoding::{hash, percent};
use crate::engine::target_response;
use crate::engine::target_response::{TargetResponse, is_success};
use crate::model::{
    ByteRange, Checksum, ChecksumAlgorithm, Document, Encryption, ErrorKind, Field, ObjectListing, Operation,
    Rejection, Request, ResponseField, Value,
};

/// What a success must say in its head.
///
/// # Errors
/// A success that cannot be one of this request.
pub fn check_response_head(
    route: &Route<'_>,
    request: &Request,
    target_response: &TargetResponse,
) -> Result<(), Rejection> {
    if !is_success(request.operation, target_response.status) {
        return Err(target_response::reject_incomplete_response());
    }
    let target = route.target.dialect;
    let get_header = |field: ResponseField| {
        (target.response_field_name)(field).and_then(|name| target_response.header_text(name))
    };
    for field in [
        ResponseField::Etag,
        ResponseField::ContentRange,
        ResponseField::ContentLength,
        ResponseField::VersionId,
    ] {
        check_single_value(target, field, target_response)?;
    }
    match request.operation {
        Operation::GetObject | Operation::HeadObject if target_response.status == 304 => {
            let is_conditional = [Field::IfNoneMatch, Field::IfModifiedSince]
                .into_iter()
                .any(|field| request.fields.has(field));
            return is_conditional.then_some(()).ok_or_else(target_response::reject_incomplete_response);
        }
        Operation::GetObject | Operation::HeadObject => {}
        operation if operation.is_upload() => {}
        _ => return Ok(()),
    }
    let etag = get_header(ResponseField::Etag)
        .map(str::trim)
        .filter(|tag| is_strong_etag(tag))
        .ok_or_else(target_response::reject_incomplete_response)?;
    if request.operation.is_upload() {
        return Ok(());
    }
    let get_field = |field: Field| request.fields.get(field);
    if let Some(Value::Etags(tags)) = get_field(Field::IfMatch)
        && !tags.iter().any(|tag| tag == "*" || etag::is_same_etag(tag, etag))
    {
        return Err(target_response::reject_incomplete_response());
    }
    if let (Some(Value::Text(version)), Some(found)) =
        (get_field(Field::VersionId), get_header(ResponseField::VersionId))
        && version != found
    {
        return Err(target_response::reject_incomplete_response());
    }
    let length = get_header(ResponseField::ContentLength).map(str::parse::<u64>);
    match (request.operation, target_response.status, length) {
        (_, _, Some(Err(_))) | (Operation::HeadObject, 200, None) => {
            Err(target_response::reject_incomplete_response())
        }
        (Operation::HeadObject, 200, _) => Ok(()),
        (_, 206, length) => {
            check_content_range(request, get_header(ResponseField::ContentRange), length.and_then(Result::ok))
        }
        (_, _, length) => {
            let is_whole = get_header(ResponseField::ContentRange).is_none()
                && length.and_then(Result::ok).is_none_or(|bytes| can_be_whole(route, request, bytes));
            is_whole.then_some(()).ok_or_else(target_response::reject_incomplete_response)
        }
    }
}

/// A header that two lines say differently says nothing.
fn check_single_value(
    target: &Dialect,
    field: ResponseField,
    target_response: &TargetResponse,
) -> Result<(), Rejection> {
    let Some(name) = (target.response_field_name)(field) else { return Ok(()) };
    let mut lines =
        target_response.headers.iter().filter(|row| row.0.eq_ignore_ascii_case(name)).map(|row| &row.1);
    let first = lines.next();
    if lines.all(|line| Some(line) == first) {
        Ok(())
    } else {
        Err(target_response::reject_incomplete_response())
    }
}

/// Whether a tag names bytes: what something on the way has repacked has a weak one.
fn is_strong_etag(tag: &str) -> bool {
    let bare = etag::strip_quotes(tag);
    !bare.is_empty() && !tag.starts_with("W/") && bare.chars().all(|c| !c.is_control() && c != '"')
}

/// A part of an object has to be the one that was asked for.
fn check_content_range(request: &Request, range: Option<&str>, length: Option<u64>) -> Result<(), Rejection> {
    let content_range =
        range.and_then(parse_content_range).ok_or_else(target_response::reject_incomplete_response)?;
    let (first, last, total) = content_range;
    let bytes = last.saturating_sub(first).saturating_add(1);
    let is_requested_range = match request.fields.get(Field::Range) {
        Some(Value::ByteRange(range)) => resolve_range(*range, total) == Some((first, last)),
        _ => request.fields.has(Field::PartNumber),
    };
    let is_sound = first <= last && last < total && length.is_none_or(|length| length == bytes);
    if is_requested_range && is_sound { Ok(()) } else { Err(target_response::reject_incomplete_response()) }
}

/// `bytes first-last/total` (RFC 9110, 14.4).
fn parse_content_range(text: &str) -> Option<(u64, u64, u64)> {
    let number =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let (span, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    Some((number(first)?, number(last)?, number(total)?))
}

/// The bytes that a range means of an object of this size; `None` where it has none of them.
fn resolve_range(range: ByteRange, total: u64) -> Option<(u64, u64)> {
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
fn can_be_whole(route: &Route<'_>, request: &Request, total: u64) -> bool {
    let Some(Value::ByteRange(range)) = request.fields.get(Field::Range) else { return true };
    let is_lenient = route.target.dialect.defaults.lenient_range && !request.fields.has(Field::StandardRange);
    match (resolve_range(*range, total), range) {
        (Some((0, last)), _) if last.checked_add(1) == Some(total) => true,
        (Some(_), ByteRange::Span(_, last)) => is_lenient && *last >= total,
        (Some(_), _) => false,
        (None, _) => true,
    }
}

/// Whether a failure can be one of this request: a condition fails only where one was set.
pub fn can_fail_with(request: &Request, error_kind: ErrorKind) -> bool {
    let has_any = |fields: &[Field]| fields.iter().any(|field| request.fields.has(*field));
    match error_kind {
        ErrorKind::NotModified => has_any(&[
            Field::IfNoneMatch,
            Field::IfModifiedSince,
            Field::SourceIfNoneMatch,
            Field::SourceIfModifiedSince,
        ]),
        ErrorKind::PreconditionFailed => {
            has_any(&[
                Field::IfMatch,
                Field::IfNoneMatch,
                Field::IfModifiedSince,
                Field::IfUnmodifiedSince,
                Field::ForbidOverwrite,
                Field::OverwriteIfMatch,
            ]) || has_any(&Field::SOURCE_CONDITIONS)
                || request.objects_to_delete.iter().any(|line| line.etag.is_some())
        }
        ErrorKind::InvalidRange => has_any(&[Field::Range, Field::PartNumber, Field::SourceRange]),
        _ => true,
    }
}

/// What an object's head says of its whole body, as a request for [`Gate`](crate::engine::body::Gate) to hold the bytes to;
/// `None` where it says nothing that can be checked.
pub fn build_expected_body(
    target: &Dialect,
    request: &Request,
    target_response: &TargetResponse,
) -> Option<Request> {
    if request.operation != Operation::GetObject || target_response.status != 200 {
        return None;
    }
    let mut expected = Request::new(Operation::GetObject);
    add_expected_digests(&mut expected, target, target_response);
    let has_digest = !expected.checksums.is_empty() || expected.fields.has(Field::ContentMd5);
    has_digest.then_some(expected)
}

/// Adds to a request for bytes what the head of their object says that they are.
pub fn add_expected_digests(request: &mut Request, target: &Dialect, target_response: &TargetResponse) {
    request.checksums.extend(read_object_checksums(target, target_response));
    if let Some(md5) = read_etag_md5(target, target_response) {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(md5);
        request.fields.set(Field::ContentMd5, Value::Text(text));
    }
}

/// The checksums of the whole object that its head states. What is computed of the parts' checksums is none of its
/// bytes; it ends in the number of parts.
fn read_object_checksums(target: &Dialect, target_response: &TargetResponse) -> Vec<Checksum> {
    let read_checksum = |row: &(&'static str, ChecksumAlgorithm)| {
        let value = target_response.header_text(row.0)?.trim();
        let is_whole = !value.is_empty() && !value.contains('-');
        is_whole.then(|| Checksum { algorithm: row.1, value: Some(value.to_owned()) })
    };
    target.checksum_headers.iter().filter_map(read_checksum).collect()
}

/// The MD5 that an object's head states by its ETag.
pub fn read_etag_md5(target: &Dialect, target_response: &TargetResponse) -> Option<Vec<u8>> {
    let get_header = |field: ResponseField| {
        (target.response_field_name)(field).and_then(|name| target_response.header_text(name))
    };
    let tag = get_header(ResponseField::Etag).map(etag::strip_quotes)?;
    let is_plain = tag.len() == 32 && target.etag_is_md5 && !has_opaque_etag(target, target_response);
    if is_plain { hash::decode_hex(tag) } else { None }
}

/// Whether an object is encrypted so that its ETag says nothing of its bytes.
pub fn has_opaque_etag(target: &Dialect, target_response: &TargetResponse) -> bool {
    let get_header = |field: ResponseField| {
        (target.response_field_name)(field).and_then(|name| target_response.header_text(name))
    };
    let has_own_key = [ResponseField::EncryptionKeyId, ResponseField::CustomerAlgorithm]
        .into_iter()
        .any(|field| get_header(field).is_some());
    has_own_key
        || get_header(ResponseField::Encryption)
            .is_some_and(|word| target.words.encryption.value(word) != Some(Encryption::Aes256))
}

/// What a document says of the request that it answers.
///
/// # Errors
/// It answers another one, or ends where it says that there is more.
pub fn check_response_document(
    route: &Route<'_>,
    request: &Request,
    document: &Document,
) -> Result<(), Rejection> {
    let key = request.key.as_deref().unwrap_or_default();
    let get_text = |field: Field| request.fields.text(field).unwrap_or_default();
    let has_prefix = |key: &str| key.starts_with(get_text(Field::Prefix));
    let is_sound = match document {
        Document::Initiated { bucket, key: found, .. } | Document::Completed { bucket, key: found, .. } => {
            is_requested_bucket(route, bucket) && is_requested_key(found, key)
        }
        Document::Parts(list) => {
            let marker = get_number(request, Field::PartNumberMarker);
            is_requested_bucket(route, &list.bucket)
                && is_requested_key(&list.key, key)
                && (list.upload_id.is_empty() || list.upload_id == get_text(Field::UploadId))
                && (!list.truncated || list.next_marker > marker)
        }
        Document::Objects(page) => {
            is_requested_bucket(route, &page.bucket)
                && page.objects.iter().all(|object| has_prefix(&object.key))
                && page.prefixes.iter().all(|prefix| has_prefix(prefix))
                && (!page.truncated || has_next_page(request, page))
        }
        Document::Versions(page) => {
            is_requested_bucket(route, &page.bucket)
                && page.versions.iter().all(|version| has_prefix(&version.object.key))
                && page.prefixes.iter().all(|prefix| has_prefix(prefix))
                && (!page.truncated || page.next_key_marker.is_some())
        }
        Document::Uploads(page) => {
            is_requested_bucket(route, &page.bucket)
                && page.uploads.iter().all(|upload| has_prefix(&upload.key))
                && page.prefixes.iter().all(|prefix| has_prefix(prefix))
                && (!page.truncated || page.next_key_marker.is_some())
        }
        _ => true,
    };
    if is_sound { Ok(()) } else { Err(target_response::reject_incomplete_response()) }
}

/// Whether a document that names a bucket means the request's. An alias is answered with the name behind it, and some
/// servers write an account's name before it.
fn is_requested_bucket(route: &Route<'_>, found: &str) -> bool {
    let requested = route.bucket.as_str();
    let is_alias = requested.ends_with("alias") || requested.contains("--") || requested.contains(':');
    let bare = found.rsplit_once(':').map_or(found, |(_, bare)| bare);
    found.is_empty() || bare == requested || is_alias
}

/// Whether a document that names a key means the request's. What XML may change on its way is not compared.
fn is_requested_key(found: &str, requested: &str) -> bool {
    let is_plain = requested.chars().all(|c| !c.is_control()) && requested.trim() == requested;
    found.is_empty()
        || !is_plain
        || found == requested
        || percent::decode(found).is_ok_and(|found| found == requested)
}

/// Whether a page that is not the last says how the next one is asked for, and that is another.
fn has_next_page(request: &Request, page: &ObjectListing) -> bool {
    if request.operation == Operation::ListObjectsV2 {
        return page
            .next_continuation_token
            .as_deref()
            .is_some_and(|next| Some(next) != request.fields.text(Field::ContinuationToken));
    }
    let last = page.objects.iter().map(|object| &object.key).chain(&page.prefixes).max();
    let next = page.next_marker.as_ref().or(last);
    next.is_some_and(|next| next.as_str() > request.fields.text(Field::Marker).unwrap_or_default())
}

fn get_number(request: &Request, field: Field) -> u64 {
    match request.fields.get(field) {
        Some(Value::Number(number)) => *number,
        _ => 0,
    }
}
