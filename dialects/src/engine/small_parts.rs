//! Parts that the caller's vendor accepts and that are too small for the target. They are stored at the target as
//! objects of the proxy until their upload is completed, and combined then. This module decides names, listings, and
//! which parts are combined; the proxy moves the bytes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::dialect::route::{Route, RouteScope};
use crate::dialect::{Dialect, Target, etag};
use crate::encoding::hash;
use crate::engine::relay;
use crate::model::{
    ByteRange, CopySource, Document, ErrorKind, Field, Fields, ObjectListing, ObjectToDelete, Operation,
    Part, PartListing, Rejection, Request, RequestScope, Response, ResponseField, Timestamp, Value,
};

/// Sorts after every key with a folder prefix, because those continue with hex digits.
const LAST_KEY_SUFFIX: &str = "~";

/// Hex digits of the digest that names an upload's folder: 128 bits.
const FOLDER_DIGEST_LENGTH: usize = 32;

/// The preferred size of a combined part if there are many bytes to combine.
const COMBINED_PART_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Metadata names. They identify the upload of a stored part, so that the cleanup can find out whether it is still
/// open.
const UPLOAD_METADATA: &str = "blobfish-upload";
const KEY_METADATA: &str = "blobfish-key";
const BUCKET_METADATA: &str = "blobfish-bucket";

/// Whether the dialect of any caller allows smaller parts than this target.
pub fn needs_small_parts(target: &Target) -> bool {
    target.staging.caller_part_bytes_min < target.dialect.limits.part_bytes_min
}

fn has_smaller_parts(caller: &Dialect, target: &Dialect) -> bool {
    caller.limits.part_bytes_min < target.limits.part_bytes_min
}

/// Whether small parts from this dialect can be combined for this target, according to the tables.
pub(crate) fn can_combine(operation: Operation, caller: &Dialect, target: &Dialect) -> bool {
    matches!(operation, Operation::UploadPart | Operation::UploadPartCopy)
        && has_smaller_parts(caller, target)
}

/// Whether a request about a multipart upload has to consider small parts. Parts with a customer key are sent to the
/// target as they are: the request that completes the upload has no key with which they could be read again.
pub fn involves_small_parts(route: &Route<'_>, request: &Request) -> bool {
    let is_upload_call = matches!(
        request.operation,
        Operation::UploadPart
            | Operation::UploadPartCopy
            | Operation::ListParts
            | Operation::CompleteMultipartUpload
            | Operation::AbortMultipartUpload
    );
    let own_key = [Field::CustomerAlgorithm, Field::CustomerKey, Field::CustomerKeyMd5];
    let carries_part = matches!(request.operation, Operation::UploadPart | Operation::UploadPartCopy);
    let has_own_key = carries_part && own_key.iter().any(|field| request.fields.has(*field));
    is_upload_call && !has_own_key && has_smaller_parts(route.caller, route.target.dialect)
}

/// Whether the range of a part copy shows that the part has to be stored as an object. Without a range, its size is
/// only known from the source.
pub(crate) fn copies_small_range(route: &Route<'_>, request: &Request) -> bool {
    let Some(Value::ByteRange(ByteRange::Span(first, last))) = request.fields.get(Field::SourceRange) else {
        return false;
    };
    let bytes = last.saturating_sub(*first).saturating_add(1);
    route.target.staging.is_combining && bytes < route.target.dialect.limits.part_bytes_min
}

/// The key prefix in this target's buckets that clients must not use.
pub(crate) fn reserved_prefix(target: &Target) -> Option<&str> {
    (target.staging.bucket.is_none() && needs_small_parts(target)).then_some(target.staging.prefix.as_str())
}

/// Rejects a key with the reserved prefix.
///
/// # Errors
/// `AccessDenied`.
pub fn check_key_allowed(target: &Target, key: &str) -> Result<(), Rejection> {
    match reserved_prefix(target) {
        Some(prefix) if key.starts_with(prefix) => Err(Rejection::with_message(
            ErrorKind::AccessDenied,
            format!("Keys that begin with {prefix} are reserved for parts of unfinished uploads."),
        )),
        _ => Ok(()),
    }
}

/// The route to the bucket with the small parts, for a request with the client's bytes.
///
/// # Errors
/// As [`Route::require_bucket`].
pub fn route_to_small_parts<'a>(route: &Route<'a>) -> Result<Route<'a>, Rejection> {
    Ok(route.to_bucket(find_small_parts_bucket(route.target, route.require_bucket()?)))
}

/// The bucket that contains the small parts of a bucket's uploads.
pub fn find_small_parts_bucket<'b>(target: &'b Target, bucket: &'b str) -> &'b str {
    target.staging.bucket.as_deref().unwrap_or(bucket)
}

/// The route to the bucket with the small parts for the proxy's own requests, which are in the target's dialect.
///
/// # Errors
/// As [`Route::require_bucket`].
pub fn build_proxy_route_to_small_parts<'a>(route: &Route<'a>) -> Result<Route<'a>, Rejection> {
    Ok(Route { caller: route.target.dialect, ..route_to_small_parts(route)? })
}

/// The route to the upload's bucket for the proxy's own requests. Their copies read the small parts.
///
/// # Errors
/// As [`Route::require_bucket`].
pub fn build_proxy_route_to_upload<'a>(route: &Route<'a>) -> Result<Route<'a>, Rejection> {
    let bucket = route.require_bucket()?.to_owned();
    let source_bucket = find_small_parts_bucket(route.target, &bucket).to_owned();
    let scope = RouteScope::Copy { bucket, source_bucket };
    Ok(Route { caller: route.target.dialect, scope, ..route.clone() })
}

/// The folder of one upload's small parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartsFolder {
    /// The prefix of their keys: the configured prefix, a digest of the upload's names, a slash.
    pub prefix: String,
    /// The bucket at the target that contains the parts.
    parts_bucket: String,
    bucket: String,
    key: String,
    upload: String,
}

impl PartsFolder {
    /// The folder of the upload that a request addresses.
    ///
    /// # Errors
    /// The request does not address an object.
    pub fn from_request(route: &Route<'_>, request: &Request) -> Result<Self, Rejection> {
        let upload = request.fields.text(Field::UploadId).unwrap_or_default();
        Ok(Self::from_names(route.target, route.require_bucket()?, request.scope.require_key()?, upload))
    }

    fn from_names(target: &Target, bucket: &str, key: &str, upload: &str) -> Self {
        // Bucket names and the vendors' upload IDs contain no line breaks, so different names never give the same
        // text.
        let names = format!("{bucket}\n{upload}\n{key}");
        let digest: String = hash::sha256_hex(names.as_bytes()).chars().take(FOLDER_DIGEST_LENGTH).collect();
        Self {
            prefix: format!("{}{digest}/", target.staging.prefix),
            parts_bucket: find_small_parts_bucket(target, bucket).to_owned(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            upload: upload.to_owned(),
        }
    }

    /// The folder of the upload to which an object with the prefix belongs, from the object's head; `None` if it is
    /// not a small part.
    pub fn from_object_head(target: &Target, object: &str, head: &Response) -> Option<Self> {
        let get_metadata = |name: &str| {
            let row = head.metadata.iter().find(|row| row.0.eq_ignore_ascii_case(name))?;
            String::from_utf8(row.1.clone()).ok()
        };
        let key = String::from_utf8(BASE64.decode(get_metadata(KEY_METADATA)?).ok()?).ok()?;
        let folder =
            Self::from_names(target, &get_metadata(BUCKET_METADATA)?, &key, &get_metadata(UPLOAD_METADATA)?);
        // Metadata can be copied to other objects; only the digest in the key proves that the object belongs to the
        // upload.
        object.starts_with(&folder.prefix).then_some(folder)
    }

    /// The bucket of the upload at the target.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key under which a part is stored.
    pub fn part_key(&self, number: u64) -> String {
        format!("{}{number:05}", self.prefix)
    }

    fn part_scope(&self, number: u64) -> RequestScope {
        RequestScope::Object { bucket: self.parts_bucket.clone(), key: self.part_key(number) }
    }

    fn parse_part_number(&self, key: &str) -> Option<u64> {
        let number = key.strip_prefix(&self.prefix)?.parse().ok()?;
        // Only the canonical spelling counts: "+7" and "007" would also parse.
        (self.part_key(number) == key).then_some(number)
    }

    /// Builds the PutObject request that stores a part.
    pub fn build_put_request(&self, client_request: &Request, number: u64) -> Request {
        let metadata = [
            (UPLOAD_METADATA, self.upload.clone()),
            (KEY_METADATA, BASE64.encode(&self.key)),
            (BUCKET_METADATA, self.bucket.clone()),
        ];
        Request {
            operation: Operation::PutObject,
            scope: self.part_scope(number),
            source: None,
            // Content-MD5 and checksums stay, so that the target verifies the part.
            fields: relay::retain_applicable_fields(client_request.fields.clone(), Operation::PutObject),
            metadata: metadata.map(|(name, value)| (name.to_owned(), value.into_bytes())).into(),
            ..client_request.clone()
        }
    }

    /// Builds the request for the stored parts after a part number.
    pub fn build_list_request(&self, number_after: u64, count_max: u64) -> Request {
        let mut request = build_prefix_list_request(&self.parts_bucket, &self.prefix, count_max);
        if number_after > 0 {
            request.fields.set(Field::StartAfter, Value::Text(self.part_key(number_after)));
        }
        request
    }

    /// The stored parts in a listing.
    pub fn parse_listing(&self, page: &ObjectListing) -> Vec<StoredSmallPart> {
        let parts = page.objects.iter().filter_map(|object| {
            Some(StoredSmallPart {
                part: Part::new(self.parse_part_number(&object.key)?, object.etag.clone()),
                bytes: object.size,
                modified: object.modified,
            })
        });
        parts.collect()
    }

    /// Builds the ListParts request, which shows whether the upload is open and which parts it has after a part
    /// number.
    pub fn build_list_parts_request(&self, number_after: u64, count_max: u64) -> Request {
        let mut fields = Fields::default();
        fields.set(Field::UploadId, Value::Text(self.upload.clone()));
        fields.set(Field::MaxParts, Value::Number(count_max));
        if number_after > 0 {
            fields.set(Field::PartNumberMarker, Value::Number(number_after));
        }
        Request::for_object(Operation::ListParts, self.bucket.clone(), self.key.clone(), fields)
    }

    /// Builds the read of a slice of a stored part. It fails if the part was replaced.
    pub fn build_get_request(&self, piece: &PartSlice) -> Request {
        let mut fields = Fields::default();
        fields.set(Field::IfMatch, Value::Etags(vec![piece.etag.clone()]));
        if !piece.is_whole() {
            fields.set(Field::Range, Value::ByteRange(piece.byte_range()));
        }
        Request { fields, ..Request::new(Operation::GetObject, self.part_scope(piece.number)) }
    }

    /// Builds the request with which the target copies a slice into the upload.
    pub fn build_copy_request(&self, route: &Route<'_>, number: u64, piece: &PartSlice) -> Request {
        let mut fields = Fields::default();
        fields.set(Field::UploadId, Value::Text(self.upload.clone()));
        fields.set(Field::PartNumber, Value::Number(number));
        if relay::can_pin_source(route) {
            fields.set(Field::SourceIfMatch, Value::Etags(vec![piece.etag.clone()]));
        }
        if !piece.is_whole() {
            fields.set(Field::SourceRange, Value::ByteRange(piece.byte_range()));
        }
        let key = self.part_key(piece.number);
        let source = CopySource { bucket: self.parts_bucket.clone(), key, version: None };
        let bucket = self.bucket.clone();
        let request = Request::for_object(Operation::UploadPartCopy, bucket, self.key.clone(), fields);
        Request { source: Some(source), ..request }
    }
}

/// Builds the request for the keys with a prefix.
pub fn build_prefix_list_request(bucket: &str, prefix: &str, count_max: u64) -> Request {
    let mut request = Request::for_bucket(Operation::ListObjectsV2, bucket);
    request.fields.set(Field::Prefix, Value::Text(prefix.to_owned()));
    request.fields.set(Field::MaxKeys, Value::Number(count_max));
    request
}

/// Builds the request for the folders below the target's prefix, after one of them.
pub fn build_folder_list_request(
    target: &Target,
    bucket: &str,
    folder_after: Option<&str>,
    count_max: u64,
) -> Request {
    let mut request = build_prefix_list_request(bucket, &target.staging.prefix, count_max);
    // With a delimiter, a page has one entry per upload instead of one per part.
    request.fields.set(Field::Delimiter, Value::Text("/".to_owned()));
    if let Some(folder) = folder_after {
        request.fields.set(Field::StartAfter, Value::Text(format!("{folder}{LAST_KEY_SUFFIX}")));
    }
    request
}

/// Builds the request for all versions of the keys with a prefix: in a bucket with versioning, a deletion without a
/// version only adds a delete marker.
pub fn build_version_list_request(bucket: &str, prefix: &str) -> Request {
    Request { operation: Operation::ListObjectVersions, ..build_prefix_list_request(bucket, prefix, 1000) }
}

/// Builds the request that deletes these objects.
pub fn build_delete_request(bucket: &str, objects: Vec<ObjectToDelete>) -> Request {
    Request { objects_to_delete: objects, ..Request::for_bucket(Operation::DeleteObjects, bucket) }
}

/// A part that is stored as an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSmallPart {
    /// Part number, and ETag of the object.
    pub part: Part,
    /// Its size in bytes.
    pub bytes: u64,
    /// The time at which it was stored.
    pub modified: Option<Timestamp>,
}

/// A slice of a stored part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartSlice {
    /// Number of the part.
    pub number: u64,
    /// ETag of the object in which the part is stored.
    pub etag: String,
    /// Bytes of the part before the slice.
    pub offset: u64,
    /// Bytes of the slice.
    pub bytes: u64,
    /// Bytes of the whole part.
    pub part_bytes: u64,
}

impl PartSlice {
    fn from_staged_part(part: &StoredSmallPart) -> Self {
        let Part { number, etag, .. } = part.part.clone();
        Self { number, etag, offset: 0, bytes: part.bytes, part_bytes: part.bytes }
    }

    /// Whether the slice is the whole part.
    pub fn is_whole(&self) -> bool {
        self.bytes == self.part_bytes
    }

    fn byte_range(&self) -> ByteRange {
        ByteRange::Span(self.offset, self.offset.saturating_add(self.bytes).saturating_sub(1))
    }

    /// Splits off its last bytes.
    fn split_off_end(&mut self, bytes: u64) -> Self {
        self.bytes = self.bytes.saturating_sub(bytes);
        Self { offset: self.offset.saturating_add(self.bytes), bytes, ..self.clone() }
    }
}

/// A part with which the upload is completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedPart {
    /// The target's upload has it already.
    Uploaded(Part),
    /// The target copies it from one slice.
    Copied(u64, PartSlice),
    /// The proxy reads these slices and uploads them as one part.
    Combined(u64, Vec<PartSlice>),
}

impl PlannedPart {
    fn from_slices(slices: Vec<PartSlice>) -> Option<Self> {
        Some(Self::Combined(slices.first()?.number, slices))
    }
}

/// A part in a CompleteMultipartUpload request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedPart {
    /// It is a part of the target's upload.
    Uploaded(Part),
    /// It is stored as an object.
    Staged(StoredSmallPart),
}

/// Finds the parts in a CompleteMultipartUpload request. A stored part takes precedence over an uploaded part with
/// the same number, because it is newer: a large part that replaces a stored one is stored, too.
///
/// # Errors
/// `InvalidPart` if a part does not exist or has another ETag; `EntityTooSmall` if one is smaller than the caller's
/// vendor accepts.
pub fn match_named_parts(
    caller: &Dialect,
    requested_parts: &[Part],
    staged_parts: &[StoredSmallPart],
    uploaded_parts: &[(Part, Option<Timestamp>, u64)],
) -> Result<Vec<NamedPart>, Rejection> {
    let mut parts = Vec::with_capacity(requested_parts.len());
    let last = requested_parts.last().map(|part| part.number);
    for part in requested_parts {
        let at = staged_parts.binary_search_by_key(&part.number, |row| row.part.number).ok();
        // Some servers also list a part that was replaced.
        let from = uploaded_parts.partition_point(|row| row.0.number < part.number);
        let mut candidates = uploaded_parts.iter().skip(from).take_while(|row| row.0.number == part.number);
        let (bytes, named_part) = match at.and_then(|at| staged_parts.get(at)) {
            Some(staged) if etag::is_same_etag(&staged.part.etag, &part.etag) => {
                (staged.bytes, NamedPart::Staged(staged.clone()))
            }
            Some(_) => return Err(build_invalid_part_rejection(part)),
            None => match candidates.find(|row| etag::is_same_etag(&row.0.etag, &part.etag)) {
                Some(uploaded) => (uploaded.2, NamedPart::Uploaded(part.clone())),
                None => return Err(build_invalid_part_rejection(part)),
            },
        };
        let part_bytes_min = caller.limits.part_bytes_min;
        if bytes < part_bytes_min && Some(part.number) != last {
            return Err(build_undersized_part_rejection(part, bytes, part_bytes_min));
        }
        parts.push(named_part);
    }
    Ok(parts)
}

fn build_invalid_part_rejection(part: &Part) -> Rejection {
    Rejection::new(ErrorKind::InvalidPart)
        .with_detail("PartNumber", part.number.to_string())
        .with_detail("ETag", part.etag.clone())
}

fn build_undersized_part_rejection(part: &Part, bytes: u64, part_bytes_min: u64) -> Rejection {
    Rejection::new(ErrorKind::EntityTooSmall)
        .with_detail("ProposedSize", bytes.to_string())
        .with_detail("MinSizeAllowed", part_bytes_min.to_string())
        .with_detail("PartNumber", part.number.to_string())
        .with_detail("ETag", part.etag.clone())
}

/// Plans the parts with which an upload is completed. Each part except the last has at least `part_bytes_min` bytes.
/// If there are many bytes to combine, the parts are large, so that there are few of them; otherwise they are no
/// larger than needed, so that several can be made concurrently.
///
/// # Errors
/// `EntityTooSmall` if small parts precede one that is already in the target's upload and cannot be read again. This
/// is only possible if a part was replaced by a smaller one, or is omitted, after its successor was uploaded.
pub fn plan_combination(
    parts: &[NamedPart],
    part_bytes_min: u64,
    concurrency: u64,
) -> Result<Vec<PlannedPart>, Rejection> {
    let bytes = parts.iter().map(|part| match part {
        NamedPart::Staged(staged) if staged.bytes < part_bytes_min => staged.bytes,
        _ => 0,
    });
    // Each of the concurrent workers should get one part of about the same size.
    let bytes_target = bytes.sum::<u64>().checked_div(concurrency).unwrap_or_default();
    let mut plan = CombinePlan {
        part_bytes_min,
        bytes_target: bytes_target.min(COMBINED_PART_BYTES_MAX).max(part_bytes_min),
        ..CombinePlan::default()
    };
    for (at, part) in parts.iter().enumerate() {
        match part {
            NamedPart::Uploaded(part) => plan.add_uploaded(part)?,
            NamedPart::Staged(staged) if staged.bytes >= part_bytes_min => {
                plan.add_large(PartSlice::from_staged_part(staged), at.saturating_add(1) == parts.len());
            }
            NamedPart::Staged(staged) => plan.add_small(PartSlice::from_staged_part(staged)),
        }
    }
    plan.close_part();
    Ok(plan.planned)
}

#[derive(Default)]
struct CombinePlan {
    part_bytes_min: u64,
    bytes_target: u64,
    planned: Vec<PlannedPart>,
    /// Index in `planned` at which the current run of stored parts begins.
    run_start: usize,
    open_slices: Vec<PartSlice>,
}

impl CombinePlan {
    fn sum_open_bytes(&self) -> u64 {
        self.open_slices.iter().map(|piece| piece.bytes).sum()
    }

    fn close_part(&mut self) {
        self.planned.extend(PlannedPart::from_slices(std::mem::take(&mut self.open_slices)));
    }

    fn add_small(&mut self, piece: PartSlice) {
        self.open_slices.push(piece);
        if self.sum_open_bytes() >= self.bytes_target {
            self.close_part();
        }
    }

    /// Adds a part that the target can copy. If the open part before it is too small, the missing bytes are taken
    /// from its beginning.
    fn add_large(&mut self, mut piece: PartSlice, is_last: bool) {
        let open_bytes = self.sum_open_bytes();
        if !self.open_slices.is_empty() && open_bytes < self.part_bytes_min {
            // The smallest possible slice is read, so that the target can copy most of the part.
            let rest = piece.bytes.saturating_sub(self.part_bytes_min.saturating_sub(open_bytes));
            if rest < self.part_bytes_min && !(is_last && rest > 0) {
                self.open_slices.push(piece);
                return self.close_part();
            }
            let tail = piece.split_off_end(rest);
            self.open_slices.push(piece);
            piece = tail;
        }
        self.close_part();
        self.planned.push(PlannedPart::Copied(piece.number, piece));
    }

    /// Adds a part that cannot be read. The open part before it must be large enough.
    fn add_uploaded(&mut self, part: &Part) -> Result<(), Rejection> {
        let open_bytes = self.sum_open_bytes();
        if let Some(first) = self.open_slices.first().filter(|_| open_bytes < self.part_bytes_min) {
            let missing_bytes = self.part_bytes_min.saturating_sub(open_bytes);
            let number = first.number;
            let previous = (self.planned.len() > self.run_start).then(|| self.planned.pop()).flatten();
            let mut pieces = match previous {
                Some(PlannedPart::Combined(_, pieces)) => pieces,
                Some(PlannedPart::Copied(number, mut piece))
                    if piece.bytes.saturating_sub(missing_bytes) >= self.part_bytes_min =>
                {
                    let tail = piece.split_off_end(missing_bytes);
                    self.planned.push(PlannedPart::Copied(number, piece));
                    // A part is numbered after the first slice that begins a stored part; the slice's own number is
                    // already in use.
                    let pieces: Vec<PartSlice> =
                        std::iter::once(tail).chain(std::mem::take(&mut self.open_slices)).collect();
                    self.planned.push(PlannedPart::Combined(find_first_number(&pieces), pieces));
                    Vec::new()
                }
                // The previous part is too small to give away bytes, so it is combined as a whole.
                Some(PlannedPart::Copied(_, piece)) => vec![piece],
                Some(PlannedPart::Uploaded(_)) | None => {
                    return Err(Rejection::with_message(
                        ErrorKind::EntityTooSmall,
                        format!(
                            "The part with the number {number} cannot be combined with those beside it. Upload all parts again, \
                             each of at least {} bytes.",
                            self.part_bytes_min
                        ),
                    )
                    .with_detail("ProposedSize", open_bytes.to_string())
                    .with_detail("MinSizeAllowed", self.part_bytes_min.to_string())
                    .with_detail("PartNumber", number.to_string()));
                }
            };
            if !pieces.is_empty() {
                pieces.append(&mut self.open_slices);
                self.open_slices = pieces;
            }
        }
        self.close_part();
        self.planned.push(PlannedPart::Uploaded(part.clone()));
        self.run_start = self.planned.len();
        Ok(())
    }
}

/// The number of a part that may begin with the end of another stored part.
fn find_first_number(pieces: &[PartSlice]) -> u64 {
    pieces.iter().find(|piece| piece.offset == 0).map_or(0, |piece| piece.number)
}

/// Whether a large part may be uploaded directly, after which it cannot be read any more: only if no small part can
/// be alone before it. `previous_bytes` is the size of the part with the preceding number, if that exists.
pub fn can_upload_directly(part_bytes_min: u64, number: u64, previous_bytes: Option<u64>) -> bool {
    number == 1 || previous_bytes.is_some_and(|bytes| bytes >= part_bytes_min)
}

/// Adds the stored parts to a page of the upload's own parts. `has_more`: whether more parts are stored than
/// `staged_parts` has.
pub fn merge_staged_parts(
    list: &mut PartListing,
    count_max: u64,
    staged_parts: Vec<StoredSmallPart>,
    has_more: bool,
) {
    let last_uploaded = list.parts.last().map(|row| row.0.number).filter(|_| list.truncated);
    let last_staged = staged_parts.last().map(|row| row.part.number).filter(|_| has_more);
    // After the end of the shorter page, parts may be missing.
    let last_complete = last_uploaded.into_iter().chain(last_staged).min();
    let numbers: Vec<u64> = staged_parts.iter().map(|row| row.part.number).collect();
    // A stored part replaces an uploaded one with the same number.
    list.parts.retain(|row| numbers.binary_search(&row.0.number).is_err());
    list.parts.extend(staged_parts.into_iter().map(|row| (row.part, row.modified, row.bytes)));
    // Some servers also list a part that was replaced.
    list.parts.sort_by_key(|row| (row.0.number, std::cmp::Reverse(row.1)));
    list.parts.dedup_by_key(|row| row.0.number);
    list.parts.retain(|row| last_complete.is_none_or(|end| row.0.number <= end));
    let count_max = usize::try_from(count_max).unwrap_or(usize::MAX);
    list.truncated = last_complete.is_some() || list.parts.len() > count_max;
    list.parts.truncate(count_max);
    list.next_marker = list.parts.last().map_or(0, |row| row.0.number);
}

/// Removes from the response to a stored part what describes the object in which it is stored.
pub fn remove_object_fields(response: &mut Response) {
    for field in [
        ResponseField::VersionId,
        ResponseField::Expiration,
        ResponseField::StorageClass,
        ResponseField::ObjectType,
    ] {
        response.remove(field);
    }
    if let Some(Document::Error(error)) = &mut response.document {
        // The key in it is that of the stored part.
        error.details.retain(|row| row.0 != "Key");
    }
}

/// The rejection of a small part at a target that does not combine small parts.
pub fn build_small_part_rejection(route: &Route<'_>, number: u64) -> Rejection {
    let part_bytes_min = route.target.dialect.limits.part_bytes_min;
    Rejection::with_message(
        ErrorKind::EntityTooSmall,
        format!(
            "The storage behind this service accepts only parts of at least {part_bytes_min} bytes, except the last one; part {number} is \
             smaller. Set {} to that or more.",
            route.caller.sdk_part_size_name
        ),
    )
    .with_detail("MinSizeAllowed", part_bytes_min.to_string())
    .with_detail("PartNumber", number.to_string())
}

/// Removes the reserved keys from a page. If the page ends among them, returns the request for the keys after them.
pub fn hide_reserved_keys(
    route: &Route<'_>,
    client_request: &Request,
    document: &mut Document,
) -> Option<Request> {
    let prefix = reserved_prefix(route.target)?;
    let is_reserved = |key: &String| key.starts_with(prefix);
    let key_after = format!("{prefix}{LAST_KEY_SUFFIX}");
    let prefix_requested = client_request.fields.text(Field::Prefix).unwrap_or_default();
    let is_inside = prefix_requested.starts_with(prefix);
    let mut next = client_request.clone();
    let (has_hidden, ends_inside, remaining, count_max) = match document {
        Document::Objects(page) => {
            let ends_inside = page.next_marker.as_ref().is_some_and(is_reserved)
                || page.objects.last().is_some_and(|row| is_reserved(&row.key))
                || page.prefixes.last().is_some_and(is_reserved);
            let count_before = page.objects.len().saturating_add(page.prefixes.len());
            page.objects.retain(|row| !is_reserved(&row.key));
            page.prefixes.retain(|row| !is_reserved(row));
            let remaining = page.objects.len().saturating_add(page.prefixes.len());
            let truncated = page.truncated;
            if is_inside {
                page.truncated = false;
            }
            if count_before == remaining && page.next_marker.as_ref().is_some_and(is_reserved) {
                let last = page.objects.last().map(|row| row.key.clone());
                page.next_marker = last.max(page.prefixes.last().cloned()).or(Some(key_after.clone()));
            }
            if page.objects.iter().any(|row| row.key > key_after)
                || page.prefixes.iter().any(|row| *row > key_after)
            {
                // The page also has keys after the reserved ones.
                (count_before > remaining, false, remaining, page.max_keys)
            } else {
                (count_before > remaining, truncated && ends_inside, remaining, page.max_keys)
            }
        }
        Document::Versions(page) => {
            let ends_inside = page.next_key_marker.as_ref().is_some_and(is_reserved);
            let count_before = page.versions.len().saturating_add(page.prefixes.len());
            page.versions.retain(|row| !is_reserved(&row.object.key));
            page.prefixes.retain(|row| !is_reserved(row));
            let remaining = page.versions.len().saturating_add(page.prefixes.len());
            let truncated = page.truncated;
            if is_inside {
                page.truncated = false;
            }
            (count_before > remaining, truncated && ends_inside, remaining, page.max_keys)
        }
        Document::Uploads(page) => {
            // Small parts are stored with PutObject, so there are hardly ever uploads of reserved keys, and the page
            // is not filled up.
            page.uploads.retain(|row| !is_reserved(&row.key));
            page.prefixes.retain(|row| !is_reserved(row));
            return None;
        }
        _ => return None,
    };
    // A page without any key but with a next page is valid, but clients stop at it; so the page is filled up.
    if is_inside || !has_hidden || !ends_inside {
        return None;
    }
    let remaining = u64::try_from(remaining).unwrap_or(u64::MAX);
    next.fields.set(Field::MaxKeys, Value::Number(count_max.saturating_sub(remaining).max(1)));
    for field in [Field::ContinuationToken, Field::VersionIdMarker] {
        next.fields.remove(field);
    }
    let marker = match client_request.operation {
        Operation::ListObjectsV2 => Field::StartAfter,
        Operation::ListObjectVersions => Field::KeyMarker,
        _ => Field::Marker,
    };
    next.fields.set(marker, Value::Text(key_after));
    Some(next)
}

/// Adds the page with the keys after the reserved ones.
pub fn append_page(document: &mut Document, next: Document) {
    match (document, next) {
        (Document::Objects(page), Document::Objects(next)) => {
            page.objects.extend(next.objects);
            page.prefixes.extend(next.prefixes);
            page.truncated = next.truncated;
            page.next_marker = next.next_marker;
            page.next_continuation_token = next.next_continuation_token;
        }
        (Document::Versions(page), Document::Versions(next)) => {
            page.versions.extend(next.versions);
            page.prefixes.extend(next.prefixes);
            page.truncated = next.truncated;
            page.next_key_marker = next.next_key_marker;
            page.next_version_marker = next.next_version_marker;
        }
        _ => {}
    }
}
