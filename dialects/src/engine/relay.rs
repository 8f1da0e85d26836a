//! Copies that no target can make alone: from one target to another, or of an object that is larger than the target
//! copies in one request. This module builds the requests and evaluates the responses; the proxy moves the bytes.

use crc_fast::{CrcAlgorithm, checksum_combine};
use md5::{Digest as _, Md5};

use crate::dialect::route::Route;
use crate::dialect::{Dialect, etag};
use crate::encoding::xml::Node;
use crate::encoding::{date, hash};
use crate::engine::body_verifier::Digests;
use crate::engine::conditions::{self, SourceState};
use crate::engine::copy_source::{
    CUSTOMER_KEY_FIELDS, build_copy_range_rejection, build_source_head_request, build_source_request,
    merge_kept_metadata,
};
use crate::engine::loss::Loss;
use crate::engine::target_response::TargetResponse;
use crate::engine::{read_response, target_response, validate_response, write_request};
use crate::model::{
    ByteRange, Checksum, ChecksumAlgorithm, Checksums, CopyResult, Directive, Document, ErrorKind, Field,
    Fields, Operation, OutgoingRequest, Part, Rejection, Request, Response, ResponseField, Setting,
    Timestamp, Value,
};

/// No vendor accepts more parts.
const PARTS_MAX: u64 = 10_000;

/// The smallest part that every vendor accepts, except for the last part.
const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;

/// Sizes of parts are whole multiples of this.
const PART_BYTES_STEP: u64 = 1024 * 1024;

/// The state of a copy's source at its first HEAD. Every later read requires this state.
#[derive(Debug, Clone)]
pub struct RelaySource {
    /// Without quotes.
    pub etag: String,
    /// Last modification, to the second.
    pub modified: Timestamp,
    /// Size of the object in bytes.
    pub size: u64,
    /// The version that was read, if the bucket has versions.
    pub version: Option<String>,
    /// Its response head, translated to the caller's dialect.
    pub head: Response,
    /// MD5 as lower-case hex, if its ETag is known to be one.
    pub md5: Option<String>,
    /// CRC-64/XZ in decimal, if the target returns it.
    pub crc64: Option<String>,
    /// Whether it is encrypted in such a manner that its ETag does not depend on its bytes alone.
    pub has_opaque_etag: bool,
    /// Whether it has tags that have to be copied.
    pub has_tags: bool,
}

/// The operation that writes the result of a relayed copy at the destination.
pub(crate) fn select_write_operation(copy_operation: Operation) -> Operation {
    match copy_operation {
        Operation::UploadPartCopy => Operation::UploadPart,
        _ => Operation::PutObject,
    }
}

/// Writes the request that creates the destination, without the values that are only known from the source, and
/// returns the fields that are lost on either side.
///
/// # Errors
/// The request is rejected before any target is contacted.
pub fn write_copy_draft(
    source_route: &Route<'_>,
    destination_route: &Route<'_>,
    client_request: &Request,
) -> Result<(OutgoingRequest, Vec<Loss>), Rejection> {
    conditions::check_combination(destination_route.caller, &client_request.fields)?;
    let operation = select_write_operation(client_request.operation);
    let bare = Request { source: None, operation, ..client_request.clone() };
    let mut bare = remove_copy_fields(bare);
    // Without a source, the rest of the request is a plain write, with its own losses.
    bare.fields = retain_applicable_fields(bare.fields, operation);
    let (outgoing, mut losses) = write_request::write_request(destination_route, &bare)?;
    losses.extend(write_request::write_request(source_route, &build_source_head_request(client_request)?)?.1);
    Ok((outgoing, losses))
}

/// Builds the request for the source's tags.
///
/// # Errors
/// The request is not a copy.
pub fn build_source_tags_request(
    client_request: &Request,
    source: &RelaySource,
) -> Result<Request, Rejection> {
    let mut request = build_source_request(client_request, Operation::Get(Setting::ObjectTagging))?;
    for key in CUSTOMER_KEY_FIELDS {
        request.fields.remove(key.1);
    }
    pin_version(&mut request, source);
    Ok(request)
}

/// Reads the source's head and evaluates the client's conditions.
///
/// # Errors
/// The source cannot be read; a condition does not hold; the source is larger than the caller's vendor copies in one
/// request.
pub fn read_source_head(
    route: &Route<'_>,
    client_request: &Request,
    target_response: &TargetResponse,
    now: Timestamp,
) -> Result<RelaySource, Rejection> {
    if target_response.status != 200 {
        let target_error = read_response::read_target_error(route, target_response);
        return Err(match (&client_request.source, target_error.kind) {
            (Some(source), ErrorKind::NoSuchKey) => {
                Rejection::new(ErrorKind::NoSuchKey).with_detail("Key", source.key.clone())
            }
            _ => target_error.rejection,
        });
    }
    let target = route.target.dialect;
    let get_header = |field: ResponseField| {
        (target.response_field_name)(field).and_then(|name| target_response.header_text(name))
    };
    let etag = get_header(ResponseField::Etag).map(etag::strip_quotes).filter(|etag| !etag.is_empty());
    let modified = get_header(ResponseField::LastModified).and_then(date::parse_http);
    let size = target_response.header_text("content-length").and_then(|text| text.parse::<u64>().ok());
    // Without all three, a change of the source during the copy could not be detected.
    let (Some(etag), Some(modified), Some(size)) = (etag, modified, size) else {
        return Err(target_response::reject_incomplete_response());
    };
    let state = SourceState { etag: etag.to_owned(), modified };
    conditions::evaluate_conditions(route.caller, &client_request.fields, &state, now)?;
    // Clients expect the limit of their vendor, although the proxy could copy more.
    if size > route.caller.copy.bytes_max && client_request.operation == Operation::CopyObject {
        return Err(ErrorKind::CopySourceTooLarge.into());
    }
    validate_response::check_response_head(
        route,
        &build_source_head_request(client_request)?,
        target_response,
    )?;
    let md5 =
        validate_response::read_etag_md5(target, target_response).map(|digest| hash::encode_hex(&digest));
    let head = read_response::read_response_head(route, Operation::HeadObject, target_response);
    let copies_tags = client_request.operation == Operation::CopyObject
        && client_request.fields.directive(Field::TaggingDirective) != Some(Directive::Replace);
    Ok(RelaySource {
        etag: etag.to_owned(),
        modified,
        size,
        version: get_header(ResponseField::VersionId)
            .map(str::to_owned)
            // Some servers do not return the version ID of a version that was requested explicitly.
            .or_else(|| client_request.source.as_ref().and_then(|source| source.version.clone())),
        md5,
        crc64: head.text(ResponseField::Crc64Ecma).map(str::to_owned),
        has_opaque_etag: validate_response::has_opaque_etag(target, target_response),
        head,
        has_tags: copies_tags && get_header(ResponseField::TaggingCount).is_some_and(|count| count != "0"),
    })
}

fn pin_version(request: &mut Request, source: &RelaySource) {
    if let Some(version) = &source.version {
        request.fields.set(Field::VersionId, Value::Text(version.clone()));
    }
}

/// Builds a read of the source, or of a range of it, that fails if the source has changed.
///
/// # Errors
/// The request is not a copy.
pub fn build_source_read_request(
    client_request: &Request,
    source: &RelaySource,
    range: Option<(u64, u64)>,
) -> Result<Request, Rejection> {
    let mut request = build_source_request(client_request, Operation::GetObject)?;
    pin_version(&mut request, source);
    // All parts must come from one state of the source.
    request.fields.set(Field::IfMatch, Value::Etags(vec![source.etag.clone()]));
    if let Some((first, last)) = range {
        request.fields.set(Field::Range, Value::ByteRange(ByteRange::Span(first, last)));
    }
    Ok(request)
}

/// The fields that only a copy has.
const COPY_ONLY_FIELDS: [Field; 12] = [
    Field::SourceIfMatch,
    Field::SourceIfNoneMatch,
    Field::SourceIfModifiedSince,
    Field::SourceIfUnmodifiedSince,
    Field::SourceRange,
    Field::MetadataDirective,
    Field::TaggingDirective,
    Field::SourceCustomerAlgorithm,
    Field::SourceCustomerKey,
    Field::SourceCustomerKeyMd5,
    Field::SourceExpectedOwner,
    Field::ChecksumAlgorithm,
];

/// Removes the fields that only a copy has.
pub fn remove_copy_fields(mut request: Request) -> Request {
    for field in COPY_ONLY_FIELDS {
        request.fields.remove(field);
    }
    request
}

/// Returns the fields that the operation may have.
pub(crate) fn retain_applicable_fields(fields: Fields, operation: Operation) -> Fields {
    let mut applicable = Fields::default();
    for (field, value) in fields.iter().filter(|row| row.0.applies_to(operation)) {
        applicable.set(field, value.clone());
    }
    applicable
}

/// The content headers, as fields of requests and of responses.
const CONTENT_FIELDS: [(Field, ResponseField); 6] = [
    (Field::ContentType, ResponseField::ContentType),
    (Field::CacheControl, ResponseField::CacheControl),
    (Field::ContentDisposition, ResponseField::ContentDisposition),
    (Field::ContentEncoding, ResponseField::ContentEncoding),
    (Field::ContentLanguage, ResponseField::ContentLanguage),
    (Field::Expires, ResponseField::Expires),
];

/// Builds the request that creates the destination: PutObject or CreateMultipartUpload. `tags` are the source's.
pub fn build_destination_request(
    caller: &Dialect,
    client_request: &Request,
    source: &RelaySource,
    tags: Option<&Node>,
    operation: Operation,
) -> Request {
    let mut request = remove_copy_fields(Request { operation, source: None, ..client_request.clone() });
    if client_request.fields.directive(Field::MetadataDirective) != Some(Directive::Replace) {
        request.metadata = source.head.metadata.clone();
        for (field, response_field) in CONTENT_FIELDS {
            match source.head.to_request_value(response_field) {
                Some(value) => request.fields.set(field, value),
                // Without the replace directive, headers of the request do not count, even if the source has none.
                None => drop(request.fields.remove(field)),
            }
        }
    }
    merge_kept_metadata(caller, &mut request.metadata, &source.head.metadata);
    let pairs = tags.map(parse_tag_set).unwrap_or_default();
    if !pairs.is_empty() {
        request.fields.set(Field::Tagging, Value::Tags(pairs));
    }
    if operation != Operation::PutObject {
        // CompleteMultipartUpload has these conditions, because it creates the object.
        for field in OVERWRITE_FIELDS {
            request.fields.remove(field);
        }
        // It limits the transfer of bytes, so it belongs to the parts.
        request.fields.remove(Field::TrafficLimit);
        return request;
    }
    set_source_digests(&mut request, source);
    request
}

/// Builds the CreateMultipartUpload request for an object that the client uploads with PutObject.
pub fn build_create_upload_request(client_request: &Request) -> Request {
    let operation = Operation::CreateMultipartUpload;
    let mut request = Request {
        operation,
        fields: retain_applicable_fields(client_request.fields.clone(), operation),
        checksums: Vec::new(),
        body_length: None,
        ..client_request.clone()
    };
    // CompleteMultipartUpload has these conditions, because it creates the object.
    for field in OVERWRITE_FIELDS {
        request.fields.remove(field);
    }
    request
}

/// Reads the names and values in a tagging document.
pub fn parse_tag_set(tree: &Node) -> Vec<(String, String)> {
    let get_text = |tag: &Node, name: &str| tag.child_text(name).unwrap_or_default().to_owned();
    let read_pair = |tag: &Node| (get_text(tag, "Key"), get_text(tag, "Value"));
    tree.child("TagSet").into_iter().flat_map(|set| set.children_named("Tag")).map(read_pair).collect()
}

/// The conditions that protect an existing object.
const OVERWRITE_FIELDS: [Field; 2] = [Field::ForbidOverwrite, Field::OverwriteIfMatch];

/// Adds the digests of the whole source that are known, so that the target compares them with the bytes.
fn set_source_digests(request: &mut Request, source: &RelaySource) {
    request.body_length = Some(source.size);
    if let Some(crc64) = &source.crc64 {
        request
            .checksums
            .push(Checksum { algorithm: ChecksumAlgorithm::Crc64Ecma, value: Some(crc64.clone()) });
    }
    // A composite checksum is computed from the checksums of parts and cannot be compared with the bytes.
    if source.head.text(ResponseField::ChecksumType) == Some("FULL_OBJECT") {
        let checksums = source.head.checksums.iter();
        request.checksums.extend(
            checksums
                .map(|(algorithm, value)| Checksum { algorithm: *algorithm, value: Some(value.clone()) }),
        );
    }
    if let Some(text) = source.md5.as_deref().and_then(hash::convert_hex_to_base64) {
        request.fields.set(Field::ContentMd5, Value::Text(text));
    }
}

/// The fields that each part of an upload carries.
const PART_FIELDS: [Field; 6] = [
    Field::CustomerAlgorithm,
    Field::CustomerKey,
    Field::CustomerKeyMd5,
    Field::RequestPayer,
    Field::ExpectedOwner,
    Field::TrafficLimit,
];

fn build_multipart_request(client_request: &Request, operation: Operation, upload: &str) -> Request {
    let mut fields = Fields::default();
    for field in PART_FIELDS {
        if let Some(value) = client_request.fields.get(field).filter(|_| field.applies_to(operation)) {
            fields.set(field, value.clone());
        }
    }
    fields.set(Field::UploadId, Value::Text(upload.to_owned()));
    Request { fields, ..Request::new(operation, client_request.scope.clone()) }
}

/// Builds the UploadPart request for bytes that pass through the proxy.
pub fn build_part_request(client_request: &Request, upload: &str, number: u64, bytes: u64) -> Request {
    let mut request = build_multipart_request(client_request, Operation::UploadPart, upload);
    request.fields.set(Field::PartNumber, Value::Number(number));
    request.body_length = Some(bytes);
    request
}

/// Whether the target checks the source's ETag when it copies a part itself. If it does not, the source has to be
/// read again before the upload is completed.
pub fn can_pin_source(route: &Route<'_>) -> bool {
    route.target.dialect.supports_field(Field::SourceIfMatch)
}

/// Builds the UploadPartCopy request for a part that the target copies itself.
pub fn build_part_copy_request(
    route: &Route<'_>,
    client_request: &Request,
    source: &RelaySource,
    upload: &str,
    number: u64,
    range: (u64, u64),
) -> Request {
    let mut request = build_multipart_request(client_request, Operation::UploadPartCopy, upload);
    request.source = client_request.source.clone();
    if let (Some(copy_source), Some(version)) = (&mut request.source, &source.version) {
        copy_source.version = Some(version.clone());
    }
    // The target decrypts the source itself, so it needs the client's key.
    for field in [Field::SourceCustomerAlgorithm, Field::SourceCustomerKey, Field::SourceCustomerKeyMd5] {
        if let Some(value) = client_request.fields.get(field) {
            request.fields.set(field, value.clone());
        }
    }
    request.fields.set(Field::PartNumber, Value::Number(number));
    request.fields.set(Field::SourceRange, Value::ByteRange(ByteRange::Span(range.0, range.1)));
    if can_pin_source(route) {
        request.fields.set(Field::SourceIfMatch, Value::Etags(vec![source.etag.clone()]));
    }
    request
}

/// Builds the CompleteMultipartUpload request.
pub fn build_complete_request(client_request: &Request, upload: &str, parts: Vec<Part>) -> Request {
    let mut request = build_multipart_request(client_request, Operation::CompleteMultipartUpload, upload);
    for field in OVERWRITE_FIELDS {
        if let Some(value) = client_request.fields.get(field) {
            request.fields.set(field, value.clone());
        }
    }
    Request { parts, ..request }
}

/// Builds the AbortMultipartUpload request.
pub fn build_abort_request(client_request: &Request, upload: &str) -> Request {
    let mut request = build_multipart_request(client_request, Operation::AbortMultipartUpload, upload);
    for field in PART_FIELDS {
        request.fields.remove(field);
    }
    request
}

/// Divides a source into parts: number, first and last byte. Each has at least `part_bytes`, and there are at most
/// 10,000.
pub fn plan_parts(size: u64, part_bytes: u64) -> Vec<(u64, (u64, u64))> {
    let part_bytes_min = size.div_ceil(PARTS_MAX);
    let bytes = part_bytes
        .max(PART_BYTES_MIN)
        .max(part_bytes_min)
        .div_ceil(PART_BYTES_STEP)
        .saturating_mul(PART_BYTES_STEP);
    split_into_parts(size, bytes)
}

/// Divides a source into parts of this size.
pub fn split_into_parts(size: u64, bytes: u64) -> Vec<(u64, (u64, u64))> {
    let bytes = bytes.max(1);
    let count = size.div_ceil(bytes);
    let plan_part = |at: u64| {
        let first = at.saturating_mul(bytes);
        let last = first.saturating_add(bytes).min(size).saturating_sub(1);
        (at.saturating_add(1), (first, last))
    };
    (0..count).map(plan_part).collect()
}

/// Returns the range of a part copy, by the rules of the caller's dialect.
///
/// # Errors
/// `InvalidCopyRange`, if the caller's dialect is strict.
pub fn resolve_source_range(
    client_request: &Request,
    is_range_strict: bool,
    size: u64,
) -> Result<(u64, u64), Rejection> {
    let last = size.saturating_sub(1);
    match client_request.fields.get(Field::SourceRange) {
        Some(Value::ByteRange(ByteRange::Span(first, end))) if first <= end && *end < size => {
            Ok((*first, *end))
        }
        Some(Value::ByteRange(ByteRange::From(first))) if *first < size => Ok((*first, last)),
        None => Ok((0, last)),
        Some(Value::ByteRange(range)) if is_range_strict => Err(build_copy_range_rejection(*range, size)),
        // A lenient dialect copies the whole source if the range does not fit.
        Some(_) => Ok((0, last)),
    }
}

/// Checks that the source is in the same state as at the first HEAD.
///
/// # Errors
/// `Conflict`.
pub fn check_source_unchanged(first: &RelaySource, now: &RelaySource) -> Result<(), Rejection> {
    let is_same = first.etag == now.etag
        && first.size == now.size
        && first.version == now.version
        && first.modified == now.modified;
    if is_same { Ok(()) } else { Err(build_source_changed_rejection()) }
}

/// The rejection of a copy after its source has changed.
pub fn build_source_changed_rejection() -> Rejection {
    Rejection::with_message(ErrorKind::Conflict, "The source was replaced while it was copied.")
}

/// The MD5 of a source that has no other digest. Its parts have to be read in order to compute it.
#[derive(Clone)]
pub struct SequentialMd5 {
    md5: Md5,
    next_part: u64,
}

impl SequentialMd5 {
    /// Starts before the first byte.
    pub fn new() -> Self {
        Self { md5: Md5::new(), next_part: 1 }
    }

    /// Whether a source's parts have to be read in order.
    pub fn is_needed(source: &RelaySource) -> bool {
        source.crc64.is_none() && source.md5.is_some()
    }

    /// Whether this part is the next one.
    pub fn is_next(&self, part: u64) -> bool {
        self.next_part == part
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
    }

    /// Ends a part.
    pub fn finish_part(&mut self) {
        self.next_part = self.next_part.saturating_add(1);
    }

    /// Checks that the bytes that were read are those of the source.
    ///
    /// # Errors
    /// `InternalError`: the upload must not be completed.
    pub fn verify_source(&self, source: &RelaySource) -> Result<(), Rejection> {
        let md5 = hash::encode_hex(&self.md5.clone().finalize());
        if source.md5.as_ref() == Some(&md5) { Ok(()) } else { Err(build_digest_rejection()) }
    }
}

impl Default for SequentialMd5 {
    fn default() -> Self {
        Self::new()
    }
}

/// The part size and part count of a multipart object. Its ETag is the MD5 of its parts' MD5s, which can be compared
/// if all parts have one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceParts {
    /// Bytes of each part except the last.
    pub bytes: u64,
    /// The number of parts.
    pub count: u64,
}

/// The part count in the source's ETag, if that ETag is the only digest of its bytes.
pub fn parse_source_part_count(route: &Route<'_>, source: &RelaySource) -> Option<u64> {
    let (digest, count) = source.etag.split_once('-')?;
    let is_digest = digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let count = count.parse::<u64>().ok().filter(|count| (1..=PARTS_MAX).contains(count))?;
    (is_digest && route.target.dialect.etag_is_md5 && !source.has_opaque_etag && source.crc64.is_none())
        .then_some(count)
}

/// Builds the HEAD request for one of the source's own parts.
///
/// # Errors
/// The request is not a copy.
pub fn build_part_head_request(
    client_request: &Request,
    source: &RelaySource,
    number: u64,
) -> Result<Request, Rejection> {
    let mut request = build_source_read_request(client_request, source, None)?;
    request.operation = Operation::HeadObject;
    request.fields.set(Field::PartNumber, Value::Number(number));
    Ok(request)
}

/// The size of one of the source's own parts, from the response to [`build_part_head_request`]; `None` if the target
/// does not return it.
pub fn read_part_bytes(
    route: &Route<'_>,
    source: &RelaySource,
    count: u64,
    target_response: &TargetResponse,
) -> Option<u64> {
    let get_header = |field: ResponseField| {
        (route.target.dialect.response_field_name)(field).and_then(|name| target_response.header_text(name))
    };
    let get_number = |field: ResponseField| get_header(field).and_then(|text| text.parse::<u64>().ok());
    // A server that ignores the part number responds with 200 and the whole object.
    let is_known = target_response.status == 206
        && get_number(ResponseField::PartsCount) == Some(count)
        && get_header(ResponseField::Etag).is_some_and(|tag| etag::is_same_etag(tag, &source.etag));
    get_number(ResponseField::ContentLength).filter(|bytes| is_known && *bytes > 0)
}

impl SourceParts {
    /// Parts of this size; `None` if the source's size and part count do not match it.
    pub fn new(source: &RelaySource, count: u64, bytes: u64) -> Option<Self> {
        (bytes > 0 && source.size.div_ceil(bytes) == count).then_some(Self { bytes, count })
    }

    /// The part size of the copy: a multiple of the source's part size, and at least what every vendor accepts.
    pub fn compute_copy_part_size(self, part_bytes: u64) -> u64 {
        let least = part_bytes.max(PART_BYTES_MIN);
        least.div_ceil(self.bytes).max(1).saturating_mul(self.bytes)
    }

    /// Whether the source's ETag results from the digests of its parts.
    pub fn matches_source(self, source: &RelaySource, digests: &[SourcePartDigests]) -> bool {
        let mut whole = Md5::new();
        digests.iter().for_each(|part| whole.update(&part.finished));
        let etag = format!("{}-{}", hash::encode_hex(&whole.finalize()), self.count);
        etag::is_same_etag(&etag, &source.etag)
    }
}

/// The digests of the source's own parts that are in one part of the copy.
#[derive(Clone)]
pub struct SourcePartDigests {
    bytes: u64,
    bytes_left: u64,
    md5: Md5,
    finished: Vec<u8>,
}

impl SourcePartDigests {
    /// Starts before the first byte.
    pub fn new(source_parts: SourceParts) -> Self {
        Self {
            bytes: source_parts.bytes,
            bytes_left: source_parts.bytes,
            md5: Md5::new(),
            finished: Vec::new(),
        }
    }

    /// Adds bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let length = usize::try_from(self.bytes_left).unwrap_or(usize::MAX).min(bytes.len());
            let (piece, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
            self.md5.update(piece);
            self.bytes_left = self.bytes_left.saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if self.bytes_left == 0 {
                self.finish_part();
            }
            bytes = rest;
        }
    }

    /// Ends the last part, which may be shorter.
    pub fn finish(&mut self) {
        if self.bytes_left < self.bytes {
            self.finish_part();
        }
    }

    fn finish_part(&mut self) {
        self.finished.extend(std::mem::take(&mut self.md5).finalize());
        self.bytes_left = self.bytes;
    }
}

/// Combines the CRC-64 values of the parts into that of the object.
pub fn combine_crc64(parts: &[Digests]) -> Option<u64> {
    let mut parts = parts.iter();
    let first = parts.next()?;
    let start = first.crc64?;
    parts.try_fold(start, |whole, part| {
        Some(checksum_combine(CrcAlgorithm::Crc64Xz, whole, part.crc64?, part.bytes))
    })
}

/// Checks that the CRC-64 of the bytes that passed is that of the source.
///
/// # Errors
/// `InternalError`: the upload must not be completed.
pub fn check_crc64(source: &RelaySource, crc64: Option<u64>) -> Result<(), Rejection> {
    match (&source.crc64, crc64) {
        (Some(expected), Some(actual)) if *expected != actual.to_string() => Err(build_digest_rejection()),
        _ => Ok(()),
    }
}

/// Checks the CRC-64 in the target's response against that of the bytes that passed, and adds it to the response.
///
/// # Errors
/// `InternalError`: the object was created, but differs from the source.
pub fn check_response_crc64(response: &mut Response, crc64: Option<u64>) -> Result<(), Rejection> {
    let Some(crc64_text) = crc64.map(|crc64| crc64.to_string()) else { return Ok(()) };
    if response.text(ResponseField::Crc64Ecma).is_some_and(|response_crc64| response_crc64 != crc64_text) {
        return Err(build_digest_rejection());
    }
    response.set(ResponseField::Crc64Ecma, crc64_text);
    Ok(())
}

/// The rejection of a copy that does not have the source's digest.
pub fn build_digest_rejection() -> Rejection {
    Rejection::with_message(ErrorKind::InternalError, "The copy does not match the digest of the source.")
}

/// Builds the response to the copy from the response to PutObject or CompleteMultipartUpload.
pub fn complete_copy_response(
    route: &Route<'_>,
    client_request: &Request,
    source: &RelaySource,
    mut response: Response,
    now: Timestamp,
) -> Response {
    let (etag, checksums) = match response.document.take() {
        Some(Document::Completed { etag, checksums, .. }) => (etag, checksums),
        _ => {
            let values = std::mem::take(&mut response.checksums);
            let kind = response.text(ResponseField::ChecksumType).map(str::to_owned);
            let etag = response.text(ResponseField::Etag).map(etag::strip_quotes).unwrap_or_default();
            (etag.to_owned(), Checksums { values, kind, algorithm: None })
        }
    };
    response.remove(ResponseField::Etag);
    // These belong to the write of the destination; a copy returns its values in the document.
    response.remove(ResponseField::ContentMd5);
    response.remove(ResponseField::ChecksumType);
    let result = CopyResult {
        etag,
        modified: Some(now),
        crc64: response.text(ResponseField::Crc64Ecma).map(str::to_owned),
        version: response.text(ResponseField::VersionId).map(str::to_owned),
        checksums,
    };
    response.status = 200;
    if let Some(version) = &source.version {
        response.set(ResponseField::SourceVersionId, version.as_str());
    }
    response.document = Some(match client_request.operation {
        Operation::UploadPartCopy => Document::CopyPart(result),
        _ => Document::CopyObject(result),
    });
    read_response::add_caller_fields(route.caller, client_request.operation, &mut response);
    response
}
