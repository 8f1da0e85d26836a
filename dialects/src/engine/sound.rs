//! Whether an answer of a target can be true. A target may be anything that answers at its address: a proxy's page, a
//! server with half of an index, another bucket's listing. What is wrong here is told as an error, never as a success.

use crate::engine::answer;
use crate::engine::dialect::Dialect;
use crate::engine::etag;
use crate::engine::exchange::Answer;
use crate::engine::way::Way;
use crate::model::{
    Algorithm, ByteRange, Checksum, Document, Encryption, Fault, Field, Listing, Operation, Refusal, Request,
    Told, Value,
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
pub fn check_head(way: &Way<'_>, request: &Request, answer: &Answer) -> Result<(), Refusal> {
    if !is_success(request.operation, answer.status) {
        return Err(answer::unproven());
    }
    let target = way.target.dialect;
    let told = |field: Told| (target.told)(field).and_then(|name| answer.text(name));
    for field in [Told::Etag, Told::ContentRange, Told::ContentLength, Told::VersionId] {
        said_once(target, field, answer)?;
    }
    match request.operation {
        Operation::GetObject | Operation::HeadObject if answer.status == 304 => {
            let conditional = [Field::IfNoneMatch, Field::IfModifiedSince]
                .into_iter()
                .any(|field| request.fields.has(field));
            return conditional.then_some(()).ok_or_else(answer::unproven);
        }
        Operation::GetObject | Operation::HeadObject => {}
        operation if operation.uploads() => {}
        _ => return Ok(()),
    }
    let etag = told(Told::Etag).map(str::trim).filter(|tag| is_strong(tag)).ok_or_else(answer::unproven)?;
    if request.operation.uploads() {
        return Ok(());
    }
    let asked = |field: Field| request.fields.get(field);
    if let Some(Value::Etags(tags)) = asked(Field::IfMatch)
        && !tags.iter().any(|tag| tag == "*" || etag::same(tag, etag))
    {
        return Err(answer::unproven());
    }
    if let (Some(Value::Text(version)), Some(found)) = (asked(Field::VersionId), told(Told::VersionId))
        && version != found
    {
        return Err(answer::unproven());
    }
    let length = told(Told::ContentLength).map(str::parse::<u64>);
    match (request.operation, answer.status, length) {
        (_, _, Some(Err(_))) | (Operation::HeadObject, 200, None) => Err(answer::unproven()),
        (Operation::HeadObject, 200, _) => Ok(()),
        (_, 206, length) => check_part(request, told(Told::ContentRange), length.and_then(Result::ok)),
        (_, _, length) => {
            let whole = told(Told::ContentRange).is_none()
                && length.and_then(Result::ok).is_none_or(|bytes| may_be_whole(way, request, bytes));
            whole.then_some(()).ok_or_else(answer::unproven)
        }
    }
}

/// A header that two lines say differently says nothing.
fn said_once(target: &Dialect, field: Told, answer: &Answer) -> Result<(), Refusal> {
    let Some(name) = (target.told)(field) else { return Ok(()) };
    let mut lines = answer.headers.iter().filter(|row| row.0.eq_ignore_ascii_case(name)).map(|row| &row.1);
    let first = lines.next();
    if lines.all(|line| Some(line) == first) { Ok(()) } else { Err(answer::unproven()) }
}

/// Whether a tag names bytes: what something on the way has repacked has a weak one.
fn is_strong(tag: &str) -> bool {
    let bare = etag::bare(tag);
    !bare.is_empty() && !tag.starts_with("W/") && bare.chars().all(|c| !c.is_control() && c != '"')
}

/// A part of an object has to be the one that was asked for.
fn check_part(request: &Request, range: Option<&str>, length: Option<u64>) -> Result<(), Refusal> {
    let told = range.and_then(read_content_range).ok_or_else(answer::unproven)?;
    let (first, last, total) = told;
    let bytes = last.saturating_sub(first).saturating_add(1);
    let fits = match request.fields.get(Field::Range) {
        Some(Value::Bytes(range)) => satisfied(*range, total) == Some((first, last)),
        _ => request.fields.has(Field::PartNumber),
    };
    let is_sound = first <= last && last < total && length.is_none_or(|length| length == bytes);
    if fits && is_sound { Ok(()) } else { Err(answer::unproven()) }
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
fn may_be_whole(way: &Way<'_>, request: &Request, total: u64) -> bool {
    let Some(Value::Bytes(range)) = request.fields.get(Field::Range) else { return true };
    let is_lenient = way.target.dialect.absent.lenient_range && !request.fields.has(Field::StandardRange);
    match (satisfied(*range, total), range) {
        (Some((0, last)), _) if last.checked_add(1) == Some(total) => true,
        (Some(_), ByteRange::Span(_, last)) => is_lenient && *last >= total,
        (Some(_), _) => false,
        (None, _) => true,
    }
}

/// Whether a failure can be one of this request: a condition fails only where one was set.
pub fn may_fail_so(request: &Request, fault: Fault) -> bool {
    let any = |fields: &[Field]| fields.iter().any(|field| request.fields.has(*field));
    match fault {
        Fault::NotModified => any(&[
            Field::IfNoneMatch,
            Field::IfModifiedSince,
            Field::SourceIfNoneMatch,
            Field::SourceIfModifiedSince,
        ]),
        Fault::PreconditionFailed => {
            any(&[
                Field::IfMatch,
                Field::IfNoneMatch,
                Field::IfModifiedSince,
                Field::IfUnmodifiedSince,
                Field::ForbidOverwrite,
                Field::OverwriteIfMatch,
            ]) || any(&Field::SOURCE_CONDITIONS)
                || request.unwanted.iter().any(|line| line.etag.is_some())
        }
        Fault::InvalidRange => any(&[Field::Range, Field::PartNumber, Field::SourceRange]),
        _ => true,
    }
}

/// What an object's head says of its whole body, as a request for [`Gate`](crate::engine::body::Gate) to hold the bytes to;
/// `None` where it says nothing that can be checked.
pub fn vouched(target: &Dialect, request: &Request, answer: &Answer) -> Option<Request> {
    if request.operation != Operation::GetObject || answer.status != 200 {
        return None;
    }
    let mut expected = Request::new(Operation::GetObject);
    expect(&mut expected, target, answer);
    let says = !expected.checksums.is_empty() || expected.fields.has(Field::ContentMd5);
    says.then_some(expected)
}

/// Adds to a request for bytes what the head of their object says that they are.
pub fn expect(request: &mut Request, target: &Dialect, answer: &Answer) {
    request.checksums.extend(stated(target, answer));
    if let Some(md5) = md5(target, answer) {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(md5);
        request.fields.set(Field::ContentMd5, Value::Text(text));
    }
}

/// The checksums of the whole object that its head states. What is computed of the parts' checksums is none of its
/// bytes; it ends in the number of parts.
fn stated(target: &Dialect, answer: &Answer) -> Vec<Checksum> {
    let row = |row: &(&'static str, Algorithm)| {
        let value = answer.text(row.0)?.trim();
        let is_whole = !value.is_empty() && !value.contains('-');
        is_whole.then(|| Checksum { algorithm: row.1, value: Some(value.to_owned()) })
    };
    target.checksums.iter().filter_map(row).collect()
}

/// The MD5 that an object's head states by its ETag.
pub fn md5(target: &Dialect, answer: &Answer) -> Option<Vec<u8>> {
    let told = |field: Told| (target.told)(field).and_then(|name| answer.text(name));
    let tag = told(Told::Etag).map(etag::bare)?;
    let is_plain = tag.len() == 32 && target.etag_is_md5 && !is_sealed(target, answer);
    if is_plain { hash::bytes_of_hex(tag) } else { None }
}

/// Whether an object is encrypted so that its ETag says nothing of its bytes.
pub fn is_sealed(target: &Dialect, answer: &Answer) -> bool {
    let told = |field: Told| (target.told)(field).and_then(|name| answer.text(name));
    let keyed =
        [Told::EncryptionKeyId, Told::CustomerAlgorithm].into_iter().any(|field| told(field).is_some());
    keyed
        || told(Told::Encryption)
            .is_some_and(|word| target.words.encryption.value(word) != Some(Encryption::Aes256))
}

/// What a document says of the request that it answers.
///
/// # Errors
/// It answers another one, or ends where it says that there is more.
pub fn check_document(way: &Way<'_>, sent: &Request, document: &Document) -> Result<(), Refusal> {
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
    if is_sound { Ok(()) } else { Err(answer::unproven()) }
}

/// Whether a document that names a bucket means the request's. An alias is answered with the name behind it, and some
/// servers write an account's name before it.
fn is_bucket(way: &Way<'_>, found: &str) -> bool {
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
fn goes_on(sent: &Request, page: &Listing) -> bool {
    if sent.operation == Operation::ListObjectsV2 {
        return page
            .next_token
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
