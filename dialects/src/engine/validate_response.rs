//! Checks whether a target's response is plausible. A response may come from anything that listens at the target's
//! address: an error page of a proxy, a server with a damaged index, another bucket. An implausible response becomes
//! an error, never a success.

use crate::dialect::route::Route;
use crate::dialect::{Dialect, etag};
use crate::encoding::{hash, percent};
use crate::engine::target_response;
use crate::engine::target_response::{TargetResponse, is_success};
use crate::model::{
    ByteRange, Checksum, ChecksumAlgorithm, Document, Encryption, ErrorKind, Field, ObjectListing, Operation,
    Rejection, Request, ResponseField, Value,
};

/// Checks the head of a successful response.
///
/// # Errors
/// The response cannot belong to this request.
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
    // Two different values of these could be read differently by the proxy and by the client.
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
            // Without a condition, 304 can only come from a faulty cache between the proxy and the target.
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
        // Clients allocate buffers and plan ranges by the length in a HEAD response.
        (_, _, Some(Err(_))) | (Operation::HeadObject, 200, None) => {
            Err(target_response::reject_incomplete_response())
        }
        (Operation::HeadObject, 200, _) => Ok(()),
        (_, 206, length) => {
            check_content_range(request, get_header(ResponseField::ContentRange), length.and_then(Result::ok))
        }
        (_, _, length) => {
            let is_whole = get_header(ResponseField::ContentRange).is_none()
                && length
                    .and_then(Result::ok)
                    .is_none_or(|bytes| can_return_whole_object(route, request, bytes));
            is_whole.then_some(()).ok_or_else(target_response::reject_incomplete_response)
        }
    }
}

/// Rejects a header with two lines that differ.
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

/// Whether an ETag is strong. A weak one shows that something between the target and the proxy has recoded the body.
fn is_strong_etag(tag: &str) -> bool {
    let bare = etag::strip_quotes(tag);
    !bare.is_empty() && !tag.starts_with("W/") && bare.chars().all(|c| !c.is_control() && c != '"')
}

/// Checks that a partial response has the requested range.
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

/// Reads `bytes first-last/total` (RFC 9110, section 14.4).
fn parse_content_range(text: &str) -> Option<(u64, u64, u64)> {
    let number =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let (span, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    Some((number(first)?, number(last)?, number(total)?))
}

/// The first and last byte of a range in an object of this size; `None` if the object has no byte of it.
fn resolve_range(range: ByteRange, total: u64) -> Option<(u64, u64)> {
    let end = total.checked_sub(1)?;
    match range {
        ByteRange::Span(first, last) if first <= last && first <= end => Some((first, last.min(end))),
        ByteRange::From(first) if first <= end => Some((first, end)),
        ByteRange::Last(count) if count > 0 => Some((total.saturating_sub(count), end)),
        _ => None,
    }
}

/// Whether the response may be the whole object: no range was requested, the range covers the object, or the target
/// ignores a range that does not fit.
fn can_return_whole_object(route: &Route<'_>, request: &Request, total: u64) -> bool {
    let Some(Value::ByteRange(range)) = request.fields.get(Field::Range) else { return true };
    let is_lenient = route.target.dialect.defaults.lenient_range && !request.fields.has(Field::StandardRange);
    match (resolve_range(*range, total), range) {
        (Some((0, last)), _) if last.checked_add(1) == Some(total) => true,
        (Some(_), ByteRange::Span(_, last)) => is_lenient && *last >= total,
        (Some(_), _) => false,
        (None, _) => true,
    }
}

/// Whether a failure can belong to this request: a condition can fail only if the request has one.
pub fn is_error_possible(request: &Request, error_kind: ErrorKind) -> bool {
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

/// The digests of a whole object in its head, as a request with which
/// [`BodyVerifier`](crate::engine::body_verifier::BodyVerifier) checks the bytes; `None` if the head has no digest.
pub fn build_body_expectation(
    target: &Dialect,
    request: &Request,
    target_response: &TargetResponse,
) -> Option<Request> {
    if request.operation != Operation::GetObject || target_response.status != 200 {
        return None;
    }
    let mut expected = Request::new(Operation::GetObject, request.scope.clone());
    add_expected_digests(&mut expected, target, target_response);
    let has_digest = !expected.checksums.is_empty() || expected.fields.has(Field::ContentMd5);
    has_digest.then_some(expected)
}

/// Adds the digests in an object's head to a request.
pub fn add_expected_digests(request: &mut Request, target: &Dialect, target_response: &TargetResponse) {
    request.checksums.extend(read_object_checksums(target, target_response));
    if let Some(md5) = read_etag_md5(target, target_response) {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(md5);
        request.fields.set(Field::ContentMd5, Value::Text(text));
    }
}

/// The checksums of the whole object in its head. A composite checksum, which ends with the number of parts, is
/// computed from the checksums of the parts and cannot be compared with the bytes.
fn read_object_checksums(target: &Dialect, target_response: &TargetResponse) -> Vec<Checksum> {
    let read_checksum = |row: &(&'static str, ChecksumAlgorithm)| {
        let value = target_response.header_text(row.0)?.trim();
        let is_whole = !value.is_empty() && !value.contains('-');
        is_whole.then(|| Checksum { algorithm: row.1, value: Some(value.to_owned()) })
    };
    target.checksum_headers.iter().filter_map(read_checksum).collect()
}

/// The MD5 of an object, from the ETag in its head.
pub(crate) fn read_etag_md5(target: &Dialect, target_response: &TargetResponse) -> Option<Vec<u8>> {
    let get_header = |field: ResponseField| {
        (target.response_field_name)(field).and_then(|name| target_response.header_text(name))
    };
    let tag = get_header(ResponseField::Etag).map(etag::strip_quotes)?;
    let is_plain = tag.len() == 32 && target.etag_is_md5 && !has_opaque_etag(target, target_response);
    if is_plain { hash::decode_hex(tag) } else { None }
}

/// Whether an object is encrypted in such a manner that its ETag is not the MD5 of its bytes.
pub(crate) fn has_opaque_etag(target: &Dialect, target_response: &TargetResponse) -> bool {
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

/// Checks that a response document belongs to the request.
///
/// # Errors
/// It belongs to another request, or announces a next page without a marker for it.
pub(crate) fn check_response_document(
    route: &Route<'_>,
    request: &Request,
    document: &Document,
) -> Result<(), Rejection> {
    let key = request.scope.key();
    let get_text = |field: Field| request.fields.text(field).unwrap_or_default();
    let has_prefix = |key: &str| key.starts_with(get_text(Field::Prefix));
    let is_sound = match document {
        Document::Initiated { bucket, key: found, .. } | Document::Completed { bucket, key: found, .. } => {
            is_requested_bucket(route, Some(bucket)) && is_requested_key(found, key)
        }
        Document::Parts(list) => {
            let marker = get_number(request, Field::PartNumberMarker);
            is_requested_bucket(route, Some(&list.bucket))
                && is_requested_key(&list.key, key)
                && (list.upload_id.is_empty() || list.upload_id == get_text(Field::UploadId))
                && (!list.truncated || list.next_marker > marker)
        }
        Document::Objects(page) => {
            is_requested_bucket(route, Some(&page.bucket))
                && page.objects.iter().all(|object| has_prefix(&object.key))
                && page.prefixes.iter().all(|prefix| has_prefix(prefix))
                && (!page.truncated || has_next_page(request, page))
        }
        Document::Versions(page) => {
            is_requested_bucket(route, page.bucket.as_deref())
                && page.versions.iter().all(|version| has_prefix(&version.object.key))
                && page.prefixes.iter().all(|prefix| has_prefix(prefix))
                && (!page.truncated || page.next_key_marker.is_some())
        }
        Document::Uploads(page) => {
            is_requested_bucket(route, page.bucket.as_deref())
                && page.uploads.iter().all(|upload| has_prefix(&upload.key))
                && page.prefixes.iter().all(|prefix| has_prefix(prefix))
                && (!page.truncated || page.next_key_marker.is_some())
        }
        _ => true,
    };
    if is_sound { Ok(()) } else { Err(target_response::reject_incomplete_response()) }
}

/// Whether the bucket name in a document is that of the request. For an alias, the document has the name of the
/// bucket behind it, and some servers write an account name before it.
fn is_requested_bucket(route: &Route<'_>, found: Option<&str>) -> bool {
    let Some(found) = found.filter(|found| !found.is_empty()) else { return true };
    let Some(requested) = route.bucket() else { return false };
    // S3 access points are addressed by an alias or an ARN instead of the bucket's name.
    let is_alias = requested.ends_with("alias") || requested.contains("--") || requested.contains(':');
    let bare = found.rsplit_once(':').map_or(found, |(_, bare)| bare);
    bare == requested || is_alias
}

/// Whether the key in a document is that of the request. Keys with characters that an XML parser may change are not
/// compared.
fn is_requested_key(found: &str, requested: Option<&str>) -> bool {
    let Some(requested) = requested else { return found.is_empty() };
    let is_plain = requested.chars().all(|c| !c.is_control()) && requested.trim() == requested;
    found.is_empty()
        || !is_plain
        || found == requested
        // Some servers encode keys in documents although the request has no encoding type.
        || percent::decode(found).is_ok_and(|found| found == requested)
}

/// Whether a page that is not the last one has a marker for the next page that differs from that of the request.
fn has_next_page(request: &Request, page: &ObjectListing) -> bool {
    if request.operation == Operation::ListObjectsV2 {
        return page
            .next_continuation_token
            .as_deref()
            .is_some_and(|next| Some(next) != request.fields.text(Field::ContinuationToken));
    }
    // ListObjects returns a marker only with a delimiter; otherwise the last key is the marker.
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
