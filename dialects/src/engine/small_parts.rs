//! Parts that are smaller than a target takes, though the caller's vendor takes them: they are kept at the target as
//! objects of our own until their upload is completed, and are combined then. What is here decides: names, lists, what is
//! to be made of which parts. The shell moves the bytes.

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

/// Follows a prefix and sorts behind every key below it: those go on with hex digits.
const LAST_KEY_SUFFIX: &str = "~";

/// Bytes of the digest that names an upload's folder: 128 bits.
const FOLDER_DIGEST_LENGTH: usize = 32;

/// Bytes of a combined part that are aimed at where there is much to combine.
const COMBINED_PART_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Names of metadata, by which whoever finds such an object can tell whether its upload is still open.
const UPLOAD_METADATA: &str = "blobfish-upload";
const KEY_METADATA: &str = "blobfish-key";
const BUCKET_METADATA: &str = "blobfish-bucket";

/// Whether a caller's dialect allows smaller parts than this target.
pub fn is_staging_needed(target: &Target) -> bool {
    target.staging.caller_part_bytes_min < target.dialect.limits.part_bytes_min
}

fn has_smaller_parts(caller: &Dialect, target: &Dialect) -> bool {
    caller.limits.part_bytes_min < target.limits.part_bytes_min
}

/// Whether parts of these callers may be combined for this target, as far as the tables say.
pub fn can_combine(operation: Operation, caller: &Dialect, target: &Dialect) -> bool {
    matches!(operation, Operation::UploadPart | Operation::UploadPartCopy)
        && has_smaller_parts(caller, target)
}

/// Whether a call about an upload in parts has to look at small parts. Parts that are encrypted with the caller's own key
/// cannot be read again when the upload is completed, for no key comes then: they go to the target as they are.
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

/// Whether a part that is copied is kept as an object for sure. Without a range only the source tells its size.
pub fn copies_small_range(route: &Route<'_>, request: &Request) -> bool {
    let Some(Value::ByteRange(ByteRange::Span(first, last))) = request.fields.get(Field::SourceRange) else {
        return false;
    };
    let bytes = last.saturating_sub(*first).saturating_add(1);
    route.target.staging.is_combining && bytes < route.target.dialect.limits.part_bytes_min
}

/// What keys begin with in this target's buckets that are not for callers.
pub fn reserved_prefix(target: &Target) -> Option<&str> {
    (target.staging.bucket.is_none() && is_staging_needed(target)).then_some(target.staging.prefix.as_str())
}

/// Refuses a key that is not for callers.
///
/// # Errors
/// `AccessDenied`.
pub fn check_key_allowed(target: &Target, key: &str) -> Result<(), Rejection> {
    match reserved_prefix(target) {
        Some(prefix) if key.starts_with(prefix) => Err(Rejection::with_message(
            ErrorKind::AccessDenied,
            format!("Keys that begin with {prefix} are kept for parts of unfinished uploads."),
        )),
        _ => Ok(()),
    }
}

/// The way to where small parts are kept, for a request whose bytes are the caller's.
///
/// # Errors
/// As [`Route::require_bucket`].
pub fn route_to_small_parts<'a>(route: &Route<'a>) -> Result<Route<'a>, Rejection> {
    Ok(route.to_bucket(find_small_parts_bucket(route.target, route.require_bucket()?)))
}

/// The bucket that keeps the small parts of a bucket's uploads.
pub fn find_small_parts_bucket<'b>(target: &'b Target, bucket: &'b str) -> &'b str {
    target.staging.bucket.as_deref().unwrap_or(bucket)
}

/// The same for requests of our own, which are in the target's dialect.
///
/// # Errors
/// As [`Route::require_bucket`].
pub fn route_own_requests<'a>(route: &Route<'a>) -> Result<Route<'a>, Rejection> {
    Ok(Route { caller: route.target.dialect, ..route_to_small_parts(route)? })
}

/// The route to the upload's bucket for requests of our own. Copies read the small parts.
///
/// # Errors
/// As [`Route::require_bucket`].
pub fn route_own_upload_requests<'a>(route: &Route<'a>) -> Result<Route<'a>, Rejection> {
    let bucket = route.require_bucket()?.to_owned();
    let source_bucket = find_small_parts_bucket(route.target, &bucket).to_owned();
    let scope = RouteScope::Copy { bucket, source_bucket };
    Ok(Route { caller: route.target.dialect, scope, ..route.clone() })
}

/// Where the small parts of one upload are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartsFolder {
    /// What their keys begin with: the prefix, a digest of the upload's names, a slash.
    pub prefix: String,
    /// The bucket at the target that keeps the parts.
    parts_bucket: String,
    bucket: String,
    key: String,
    upload: String,
}

impl PartsFolder {
    /// Of the upload that a request is about.
    ///
    /// # Errors
    /// The request is not about an object.
    pub fn from_request(route: &Route<'_>, request: &Request) -> Result<Self, Rejection> {
        let upload = request.fields.text(Field::UploadId).unwrap_or_default();
        Ok(Self::from_names(route.target, route.require_bucket()?, request.scope.require_key()?, upload))
    }

    fn from_names(target: &Target, bucket: &str, key: &str, upload: &str) -> Self {
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

    /// Of the upload that an object found below the prefix belongs to, by its head; `None` where it is none of ours.
    pub fn from_object_head(target: &Target, object: &str, head: &Response) -> Option<Self> {
        let get_metadata = |name: &str| {
            let row = head.metadata.iter().find(|row| row.0.eq_ignore_ascii_case(name))?;
            String::from_utf8(row.1.clone()).ok()
        };
        let key = String::from_utf8(BASE64.decode(get_metadata(KEY_METADATA)?).ok()?).ok()?;
        let folder =
            Self::from_names(target, &get_metadata(BUCKET_METADATA)?, &key, &get_metadata(UPLOAD_METADATA)?);
        object.starts_with(&folder.prefix).then_some(folder)
    }

    /// The bucket of the upload at the target.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key of one part.
    pub fn part_key(&self, number: u64) -> String {
        format!("{}{number:05}", self.prefix)
    }

    fn part_scope(&self, number: u64) -> RequestScope {
        RequestScope::Object { bucket: self.parts_bucket.clone(), key: self.part_key(number) }
    }

    fn parse_part_number(&self, key: &str) -> Option<u64> {
        let number = key.strip_prefix(&self.prefix)?.parse().ok()?;
        (self.part_key(number) == key).then_some(number)
    }

    /// The put that keeps a part. `asked` is the caller's.
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
            fields: relay::keep_applicable_fields(client_request.fields.clone(), Operation::PutObject),
            metadata: metadata.map(|(name, value)| (name.to_owned(), value.into_bytes())).into(),
            ..client_request.clone()
        }
    }

    /// The question for the parts that are kept, behind one number and at most so many.
    pub fn build_list_request(&self, number_after: u64, count_max: u64) -> Request {
        let mut request = build_prefix_list_request(&self.parts_bucket, &self.prefix, count_max);
        if number_after > 0 {
            request.fields.set(Field::StartAfter, Value::Text(self.part_key(number_after)));
        }
        request
    }

    /// The kept parts of a page.
    pub fn parse_listing(&self, page: &ObjectListing) -> Vec<StagedPart> {
        let parts = page.objects.iter().filter_map(|object| {
            Some(StagedPart {
                part: Part::new(self.parse_part_number(&object.key)?, object.etag.clone()),
                bytes: object.size,
                modified: object.modified,
            })
        });
        parts.collect()
    }

    /// The question whether the upload is open, which also tells of its own parts behind a number.
    pub fn build_list_parts_request(&self, number_after: u64, count_max: u64) -> Request {
        let mut fields = Fields::default();
        fields.set(Field::UploadId, Value::Text(self.upload.clone()));
        fields.set(Field::MaxParts, Value::Number(count_max));
        if number_after > 0 {
            fields.set(Field::PartNumberMarker, Value::Number(number_after));
        }
        Request::for_object(Operation::ListParts, self.bucket.clone(), self.key.clone(), fields)
    }

    /// The read of a piece of a kept part, which fails where it was replaced.
    pub fn build_get_request(&self, piece: &PartSlice) -> Request {
        let mut fields = Fields::default();
        fields.set(Field::IfMatch, Value::Etags(vec![piece.etag.clone()]));
        if !piece.is_whole() {
            fields.set(Field::Range, Value::ByteRange(piece.byte_range()));
        }
        Request { fields, ..Request::new(Operation::GetObject, self.part_scope(piece.number)) }
    }

    /// The target's own copy of a piece into the upload.
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

/// The question for the keys below a prefix.
pub fn build_prefix_list_request(bucket: &str, prefix: &str, count_max: u64) -> Request {
    let mut request = Request::for_bucket(Operation::ListObjectsV2, bucket);
    request.fields.set(Field::Prefix, Value::Text(prefix.to_owned()));
    request.fields.set(Field::MaxKeys, Value::Number(count_max));
    request
}

/// The question for the folders below the target's prefix, behind one of them.
pub fn build_folder_list_request(
    target: &Target,
    bucket: &str,
    folder_after: Option<&str>,
    count_max: u64,
) -> Request {
    let mut request = build_prefix_list_request(bucket, &target.staging.prefix, count_max);
    request.fields.set(Field::Delimiter, Value::Text("/".to_owned()));
    if let Some(folder) = folder_after {
        request.fields.set(Field::StartAfter, Value::Text(format!("{folder}{LAST_KEY_SUFFIX}")));
    }
    request
}

/// The question for all versions below a prefix: where a bucket keeps versions, a deletion alone deletes nothing.
pub fn build_version_list_request(bucket: &str, prefix: &str) -> Request {
    Request { operation: Operation::ListObjectVersions, ..build_prefix_list_request(bucket, prefix, 1000) }
}

/// The call that deletes these.
pub fn build_delete_request(bucket: &str, objects: Vec<ObjectToDelete>) -> Request {
    Request { objects_to_delete: objects, ..Request::for_bucket(Operation::DeleteObjects, bucket) }
}

/// A part that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedPart {
    /// Number, and ETag of the object that it is.
    pub part: Part,
    /// Its size.
    pub bytes: u64,
    /// When it came.
    pub modified: Option<Timestamp>,
}

/// A piece of a kept part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartSlice {
    /// Of the part.
    pub number: u64,
    /// Of the object that it is.
    pub etag: String,
    /// Bytes of the part in front of it.
    pub offset: u64,
    /// Its own bytes.
    pub bytes: u64,
    /// Bytes of the part.
    pub part_bytes: u64,
}

impl PartSlice {
    fn from_staged_part(part: &StagedPart) -> Self {
        let Part { number, etag, .. } = part.part.clone();
        Self { number, etag, offset: 0, bytes: part.bytes, part_bytes: part.bytes }
    }

    /// Whether it is all of the part.
    pub fn is_whole(&self) -> bool {
        self.bytes == self.part_bytes
    }

    fn byte_range(&self) -> ByteRange {
        ByteRange::Span(self.offset, self.offset.saturating_add(self.bytes).saturating_sub(1))
    }

    /// Takes its last bytes off.
    fn split_off_end(&mut self, bytes: u64) -> Self {
        self.bytes = self.bytes.saturating_sub(bytes);
        Self { offset: self.offset.saturating_add(self.bytes), bytes, ..self.clone() }
    }
}

/// A part of the upload as it is completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedPart {
    /// It is there.
    Uploaded(Part),
    /// The target copies it from a piece.
    Copied(u64, PartSlice),
    /// It is put together from pieces.
    Combined(u64, Vec<PartSlice>),
}

impl PlannedPart {
    fn from_slices(slices: Vec<PartSlice>) -> Option<Self> {
        Some(Self::Combined(slices.first()?.number, slices))
    }
}

/// A part that a completing call names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedPart {
    /// It is a part of the target's upload.
    Uploaded(Part),
    /// It is kept.
    Staged(StagedPart),
}

/// What a page or a completing call sees of an upload: what is kept came last, for a large part that replaces a kept one is
/// kept as well.
///
/// # Errors
/// `InvalidPart` where a part is not there or has another ETag, `EntityTooSmall` where one is smaller than the caller's
/// vendor takes.
pub fn match_named_parts(
    caller: &Dialect,
    requested_parts: &[Part],
    staged_parts: &[StagedPart],
    uploaded_parts: &[(Part, Option<Timestamp>, u64)],
) -> Result<Vec<NamedPart>, Rejection> {
    let mut parts = Vec::with_capacity(requested_parts.len());
    let last = requested_parts.last().map(|part| part.number);
    for part in requested_parts {
        let at = staged_parts.binary_search_by_key(&part.number, |row| row.part.number).ok();
        // Some servers show a part that was replaced as well.
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

/// What is to be made of the parts of an upload, in their order. Each part but the last has at least `least` bytes; few
/// pieces make a large part where there is much to do, and each is no larger than needed where there is little, so that
/// several can be made at once.
///
/// # Errors
/// `EntityTooSmall` where small parts stand alone before one that is in the target's upload already and cannot be read
/// again: only where a part was replaced by a smaller one, or is left out, after its successor came.
pub fn plan_combination(
    parts: &[NamedPart],
    part_bytes_min: u64,
    concurrency: u64,
) -> Result<Vec<PlannedPart>, Rejection> {
    let bytes = parts.iter().map(|part| match part {
        NamedPart::Staged(staged) if staged.bytes < part_bytes_min => staged.bytes,
        _ => 0,
    });
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
    /// Where the run of kept parts begins in what is made.
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

    /// One that the target can copy; what is missing to the part before it is taken from its beginning.
    fn add_large(&mut self, mut piece: PartSlice, is_last: bool) {
        let open_bytes = self.sum_open_bytes();
        if !self.open_slices.is_empty() && open_bytes < self.part_bytes_min {
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

    /// One that cannot be read: what is open in front of it must be large enough.
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
                    // Its number is that of the first piece that is whole.
                    let pieces: Vec<PartSlice> =
                        std::iter::once(tail).chain(std::mem::take(&mut self.open_slices)).collect();
                    self.planned.push(PlannedPart::Combined(find_first_number(&pieces), pieces));
                    Vec::new()
                }
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

/// The number of a part whose first piece is the end of another's part.
fn find_first_number(pieces: &[PartSlice]) -> u64 {
    pieces.iter().find(|piece| piece.offset == 0).map_or(0, |piece| piece.number)
}

/// Whether a large part may go to the target's upload, where it cannot be read any more: only where no small part can come
/// to stand alone in front of it. `before` are the bytes of the part with the number below it, where that is there.
pub fn can_upload_directly(part_bytes_min: u64, number: u64, previous_bytes: Option<u64>) -> bool {
    number == 1 || previous_bytes.is_some_and(|bytes| bytes >= part_bytes_min)
}

/// Takes what is kept into a page of the upload's own parts. `more`: whether more is kept than was told.
pub fn merge_staged_parts(
    list: &mut PartListing,
    count_max: u64,
    staged_parts: Vec<StagedPart>,
    has_more: bool,
) {
    let last_uploaded = list.parts.last().map(|row| row.0.number).filter(|_| list.truncated);
    let last_staged = staged_parts.last().map(|row| row.part.number).filter(|_| has_more);
    // Behind the shorter of two pages something may be missing.
    let last_complete = last_uploaded.into_iter().chain(last_staged).min();
    let numbers: Vec<u64> = staged_parts.iter().map(|row| row.part.number).collect();
    list.parts.retain(|row| numbers.binary_search(&row.0.number).is_err());
    list.parts.extend(staged_parts.into_iter().map(|row| (row.part, row.modified, row.bytes)));
    // Some servers show a part that was replaced as well.
    list.parts.sort_by_key(|row| (row.0.number, std::cmp::Reverse(row.1)));
    list.parts.dedup_by_key(|row| row.0.number);
    list.parts.retain(|row| last_complete.is_none_or(|end| row.0.number <= end));
    let count_max = usize::try_from(count_max).unwrap_or(usize::MAX);
    list.truncated = last_complete.is_some() || list.parts.len() > count_max;
    list.parts.truncate(count_max);
    list.next_marker = list.parts.last().map_or(0, |row| row.0.number);
}

/// What the caller is told of a part that is kept: nothing of the object that it is.
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
        error.details.retain(|row| row.0 != "Key");
    }
}

/// The refusal of a small part where these are refused.
pub fn build_small_part_rejection(route: &Route<'_>, number: u64) -> Rejection {
    let part_bytes_min = route.target.dialect.limits.part_bytes_min;
    Rejection::with_message(
        ErrorKind::EntityTooSmall,
        format!(
            "The storage behind this service takes only parts of at least {part_bytes_min} bytes, but for the last; part {number} is \
             smaller. Set {} to that or more.",
            route.caller.part_size_setting
        ),
    )
    .with_detail("MinSizeAllowed", part_bytes_min.to_string())
    .with_detail("PartNumber", number.to_string())
}

/// Takes what is not for callers out of a page. Where the page ends in it, gives the request for what follows.
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
                // The page goes on behind what was taken out.
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
            page.uploads.retain(|row| !is_reserved(&row.key));
            page.prefixes.retain(|row| !is_reserved(row));
            return None;
        }
        _ => return None,
    };
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

/// Adds the page that follows what was taken out.
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
