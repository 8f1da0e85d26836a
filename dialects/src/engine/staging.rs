//! Parts that are smaller than a target takes, though the caller's vendor takes them: they are kept at the target as
//! objects of our own until their upload is completed, and are combined then. What is here decides: names, lists, what is
//! to be made of which parts. The shell moves the bytes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::engine::dialect::{Dialect, Target};
use crate::engine::way::Route;
use crate::engine::{etag, relay};
use crate::model::{
    ByteRange, CopySource, Document, ErrorKind, Field, Fields, ObjectListing, ObjectToDelete, Operation,
    Part, PartListing, Rejection, Request, Response, ResponseField, Timestamp, Value,
};
use crate::wire::hash;

/// The usual beginning of the keys of such objects.
pub const PREFIX_USUAL: &str = ".blobfish-parts/";

/// Follows a prefix and sorts behind every key below it: those go on with hex digits.
const BEHIND: &str = "~";

/// Bytes of the digest that names an upload's folder: 128 bits.
const FOLDER_HEX: usize = 32;

/// Bytes of a combined part that are aimed at where there is much to combine.
const COMBINED_BYTES: u64 = 16 * 1024 * 1024;

/// Names of metadata, by which whoever finds such an object can tell whether its upload is still open.
const UPLOAD: &str = "blobfish-upload";
const KEY: &str = "blobfish-key";
const BUCKET: &str = "blobfish-bucket";

/// What a target's operator said of small parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmallPartsConfig {
    /// Whether they are kept and combined; otherwise they are refused.
    pub combines: bool,
    /// What the keys of kept parts begin with. Ends with a slash.
    pub prefix: String,
    /// The target's bucket for them; absent: the upload's own.
    pub bucket: Option<String>,
}

impl Default for SmallPartsConfig {
    fn default() -> Self {
        Self { combines: true, prefix: PREFIX_USUAL.to_owned(), bucket: None }
    }
}

/// Whether some caller's vendor takes smaller parts than this target.
pub fn is_needed(target: &Dialect) -> bool {
    crate::DIALECTS.iter().any(|caller| is_smaller(caller, target))
}

fn is_smaller(caller: &Dialect, target: &Dialect) -> bool {
    caller.limits.part_bytes_min < target.limits.part_bytes_min
}

/// Whether parts of these callers may be combined for this target, as far as the tables say.
pub fn combines(operation: Operation, caller: &Dialect, target: &Dialect) -> bool {
    matches!(operation, Operation::UploadPart | Operation::UploadPartCopy) && is_smaller(caller, target)
}

/// Whether a call about an upload in parts has to look at small parts. Parts that are encrypted with the caller's own key
/// cannot be read again when the upload is completed, for no key comes then: they go to the target as they are.
pub fn concerns(way: &Route<'_>, request: &Request) -> bool {
    let of_upload = matches!(
        request.operation,
        Operation::UploadPart
            | Operation::UploadPartCopy
            | Operation::ListParts
            | Operation::CompleteMultipartUpload
            | Operation::AbortMultipartUpload
    );
    let own_key = [Field::CustomerAlgorithm, Field::CustomerKey, Field::CustomerKeyMd5];
    let carries = matches!(request.operation, Operation::UploadPart | Operation::UploadPartCopy);
    let sealed = carries && own_key.iter().any(|field| request.fields.has(*field));
    of_upload && !sealed && is_smaller(way.caller, way.target.dialect)
}

/// What keys begin with in this target's buckets that are not for callers.
pub fn reserved_prefix(target: &Target) -> Option<&str> {
    (target.staging.bucket.is_none() && is_needed(target.dialect)).then_some(target.staging.prefix.as_str())
}

/// Refuses a key that is not for callers.
///
/// # Errors
/// `AccessDenied`.
pub fn check_key(target: &Target, key: &str) -> Result<(), Rejection> {
    match reserved_prefix(target) {
        Some(prefix) if key.starts_with(prefix) => Err(Rejection::with_message(
            ErrorKind::AccessDenied,
            format!("Keys that begin with {prefix} are kept for parts of unfinished uploads."),
        )),
        _ => Ok(()),
    }
}

/// The way to where small parts are kept, for a request whose bytes are the caller's.
pub fn kept_at<'a>(way: &Route<'a>) -> Route<'a> {
    let bucket = way.target.staging.bucket.clone().unwrap_or_else(|| way.bucket.clone());
    Route { bucket, source_bucket: None, ..way.clone() }
}

/// The same for requests of our own, which speak as the target does. Copies read from there.
pub fn own<'a>(way: &Route<'a>) -> Route<'a> {
    let kept = kept_at(way);
    let source_bucket = Some(kept.bucket.clone());
    Route { caller: way.target.dialect, source_bucket, ..kept }
}

/// The way to the upload's bucket for requests of our own.
pub fn own_upload<'a>(way: &Route<'a>) -> Route<'a> {
    Route { bucket: way.bucket.clone(), ..own(way) }
}

/// Where the small parts of one upload are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartsFolder {
    /// What their keys begin with: the prefix, a digest of the upload's names, a slash.
    pub prefix: String,
    bucket: String,
    key: String,
    upload: String,
}

impl PartsFolder {
    /// Of the upload that a request is about.
    pub fn of(way: &Route<'_>, request: &Request) -> Self {
        let key = request.key.clone().unwrap_or_default();
        let upload = request.fields.text(Field::UploadId).unwrap_or_default();
        Self::for_upload(way.target, &way.bucket, &key, upload)
    }

    fn for_upload(target: &Target, bucket: &str, key: &str, upload: &str) -> Self {
        let names = format!("{bucket}\n{upload}\n{key}");
        let digest: String = hash::sha256_hex(names.as_bytes()).chars().take(FOLDER_HEX).collect();
        Self {
            prefix: format!("{}{digest}/", target.staging.prefix),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            upload: upload.to_owned(),
        }
    }

    /// Of the upload that an object found below the prefix belongs to, by its head; `None` where it is none of ours.
    pub fn from_object_head(target: &Target, object: &str, head: &Response) -> Option<Self> {
        let told = |name: &str| {
            let row = head.metadata.iter().find(|row| row.0.eq_ignore_ascii_case(name))?;
            String::from_utf8(row.1.clone()).ok()
        };
        let key = String::from_utf8(BASE64.decode(told(KEY)?).ok()?).ok()?;
        let folder = Self::for_upload(target, &told(BUCKET)?, &key, &told(UPLOAD)?);
        object.starts_with(&folder.prefix).then_some(folder)
    }

    /// The bucket of the upload at the target.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key of one part.
    pub fn key_of(&self, number: u64) -> String {
        format!("{}{number:05}", self.prefix)
    }

    fn number_of(&self, key: &str) -> Option<u64> {
        let number = key.strip_prefix(&self.prefix)?.parse().ok()?;
        (self.key_of(number) == key).then_some(number)
    }

    /// The put that keeps a part. `asked` is the caller's.
    pub fn put(&self, asked: &Request, number: u64) -> Request {
        let metadata =
            [(UPLOAD, self.upload.clone()), (KEY, BASE64.encode(&self.key)), (BUCKET, self.bucket.clone())];
        Request {
            operation: Operation::PutObject,
            key: Some(self.key_of(number)),
            source: None,
            fields: relay::keep_applicable(asked.fields.clone(), Operation::PutObject),
            metadata: metadata.map(|(name, value)| (name.to_owned(), value.into_bytes())).into(),
            ..asked.clone()
        }
    }

    /// The question for the parts that are kept, behind one number and at most so many.
    pub fn list(&self, behind: u64, count_max: u64) -> Request {
        let mut request = build_listing_request(&self.prefix, count_max);
        if behind > 0 {
            request.fields.set(Field::StartAfter, Value::Text(self.key_of(behind)));
        }
        request
    }

    /// The kept parts of a page.
    pub fn read(&self, page: &ObjectListing) -> Vec<StagedPart> {
        let kept = page.objects.iter().filter_map(|object| {
            Some(StagedPart {
                part: Part::new(self.number_of(&object.key)?, object.etag.clone()),
                bytes: object.size,
                modified: object.modified,
            })
        });
        kept.collect()
    }

    /// The question whether the upload is open, which also tells of its own parts behind a number.
    pub fn list_parts(&self, behind: u64, count_max: u64) -> Request {
        let mut fields = Fields::default();
        fields.set(Field::UploadId, Value::Text(self.upload.clone()));
        fields.set(Field::MaxParts, Value::Number(count_max));
        if behind > 0 {
            fields.set(Field::PartNumberMarker, Value::Number(behind));
        }
        Request::for_object(Operation::ListParts, self.bucket.clone(), self.key.clone(), fields)
    }

    /// The read of a piece of a kept part, which fails where it was replaced.
    pub fn get(&self, piece: &PartSlice) -> Request {
        let mut fields = Fields::default();
        fields.set(Field::IfMatch, Value::Etags(vec![piece.etag.clone()]));
        if !piece.is_whole() {
            fields.set(Field::Range, Value::ByteRange(piece.range()));
        }
        Request::for_object(Operation::GetObject, String::new(), self.key_of(piece.number), fields)
    }

    /// The target's own copy of a piece into the upload.
    pub fn copy(&self, to: &Route<'_>, number: u64, piece: &PartSlice) -> Request {
        let mut fields = Fields::default();
        fields.set(Field::UploadId, Value::Text(self.upload.clone()));
        fields.set(Field::PartNumber, Value::Number(number));
        if relay::pins(to) {
            fields.set(Field::SourceIfMatch, Value::Etags(vec![piece.etag.clone()]));
        }
        if !piece.is_whole() {
            fields.set(Field::SourceRange, Value::ByteRange(piece.range()));
        }
        let source = CopySource { bucket: String::new(), key: self.key_of(piece.number), version: None };
        let bucket = self.bucket.clone();
        let request = Request::for_object(Operation::UploadPartCopy, bucket, self.key.clone(), fields);
        Request { source: Some(source), ..request }
    }
}

/// The question for the keys below a prefix.
pub fn build_listing_request(prefix: &str, count_max: u64) -> Request {
    let mut request = Request::new(Operation::ListObjectsV2);
    request.fields.set(Field::Prefix, Value::Text(prefix.to_owned()));
    request.fields.set(Field::MaxKeys, Value::Number(count_max));
    request
}

/// The question for the folders below the target's prefix, behind one of them.
pub fn folders(target: &Target, behind: Option<&str>, count_max: u64) -> Request {
    let mut request = build_listing_request(&target.staging.prefix, count_max);
    request.fields.set(Field::Delimiter, Value::Text("/".to_owned()));
    if let Some(folder) = behind {
        request.fields.set(Field::StartAfter, Value::Text(format!("{folder}{BEHIND}")));
    }
    request
}

/// The question for all versions below a prefix: where a bucket keeps versions, a deletion alone deletes nothing.
pub fn versions(prefix: &str) -> Request {
    Request { operation: Operation::ListObjectVersions, ..build_listing_request(prefix, 1000) }
}

/// The call that deletes these.
pub fn delete(unwanted: Vec<ObjectToDelete>) -> Request {
    Request { objects_to_delete: unwanted, ..Request::new(Operation::DeleteObjects) }
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
    pub first: u64,
    /// Its own bytes.
    pub bytes: u64,
    /// Bytes of the part.
    pub of: u64,
}

impl PartSlice {
    fn whole(kept: &StagedPart) -> Self {
        let Part { number, etag, .. } = kept.part.clone();
        Self { number, etag, first: 0, bytes: kept.bytes, of: kept.bytes }
    }

    /// Whether it is all of the part.
    pub fn is_whole(&self) -> bool {
        self.bytes == self.of
    }

    fn range(&self) -> ByteRange {
        ByteRange::Span(self.first, self.first.saturating_add(self.bytes).saturating_sub(1))
    }

    /// Takes its last bytes off.
    fn cut(&mut self, bytes: u64) -> Self {
        self.bytes = self.bytes.saturating_sub(bytes);
        Self { first: self.first.saturating_add(self.bytes), bytes, ..self.clone() }
    }
}

/// A part of the upload as it is completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CombinedPart {
    /// It is there.
    There(Part),
    /// The target copies it from a piece.
    Copied(u64, PartSlice),
    /// It is put together from pieces.
    Joined(u64, Vec<PartSlice>),
}

impl CombinedPart {
    fn of(pieces: Vec<PartSlice>) -> Option<Self> {
        Some(Self::Joined(pieces.first()?.number, pieces))
    }
}

/// A part that a completing call names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedPart {
    /// It is a part of the target's upload.
    There(Part),
    /// It is kept.
    Kept(StagedPart),
}

/// What a page or a completing call sees of an upload: what is kept came last, for a large part that replaces a kept one is
/// kept as well.
///
/// # Errors
/// `InvalidPart` where a part is not there or has another ETag, `EntityTooSmall` where one is smaller than the caller's
/// vendor takes.
pub fn match_named_parts(
    caller: &Dialect,
    asked: &[Part],
    kept: &[StagedPart],
    there: &[(Part, Option<Timestamp>, u64)],
) -> Result<Vec<NamedPart>, Rejection> {
    let mut parts = Vec::with_capacity(asked.len());
    let last = asked.last().map(|part| part.number);
    for part in asked {
        let at = kept.binary_search_by_key(&part.number, |row| row.part.number).ok();
        // Some servers show a part that was replaced as well.
        let from = there.partition_point(|row| row.0.number < part.number);
        let mut there = there.iter().skip(from).take_while(|row| row.0.number == part.number);
        let (bytes, named) = match at.and_then(|at| kept.get(at)) {
            Some(kept) if etag::is_same_etag(&kept.part.etag, &part.etag) => {
                (kept.bytes, NamedPart::Kept(kept.clone()))
            }
            Some(_) => return Err(invalid(part)),
            None => match there.find(|row| etag::is_same_etag(&row.0.etag, &part.etag)) {
                Some(there) => (there.2, NamedPart::There(part.clone())),
                None => return Err(invalid(part)),
            },
        };
        let least = caller.limits.part_bytes_min;
        if bytes < least && Some(part.number) != last {
            return Err(too_small(part, bytes, least));
        }
        parts.push(named);
    }
    Ok(parts)
}

fn invalid(part: &Part) -> Rejection {
    Rejection::new(ErrorKind::InvalidPart)
        .with_detail("PartNumber", part.number.to_string())
        .with_detail("ETag", part.etag.clone())
}

fn too_small(part: &Part, bytes: u64, least: u64) -> Rejection {
    Rejection::new(ErrorKind::EntityTooSmall)
        .with_detail("ProposedSize", bytes.to_string())
        .with_detail("MinSizeAllowed", least.to_string())
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
pub fn plan(parts: &[NamedPart], least: u64, at_once: u64) -> Result<Vec<CombinedPart>, Rejection> {
    let bytes = parts.iter().map(|part| match part {
        NamedPart::Kept(kept) if kept.bytes < least => kept.bytes,
        _ => 0,
    });
    let aim = bytes.sum::<u64>().checked_div(at_once).unwrap_or_default();
    let mut plan = CombinePlan { least, aim: aim.min(COMBINED_BYTES).max(least), ..CombinePlan::default() };
    for (at, part) in parts.iter().enumerate() {
        match part {
            NamedPart::There(part) => plan.there(part)?,
            NamedPart::Kept(kept) if kept.bytes >= least => {
                plan.large(PartSlice::whole(kept), at.saturating_add(1) == parts.len());
            }
            NamedPart::Kept(kept) => plan.small(PartSlice::whole(kept)),
        }
    }
    plan.close();
    Ok(plan.made)
}

#[derive(Default)]
struct CombinePlan {
    least: u64,
    aim: u64,
    made: Vec<CombinedPart>,
    /// Where the run of kept parts begins in what is made.
    run: usize,
    open: Vec<PartSlice>,
}

impl CombinePlan {
    fn open_bytes(&self) -> u64 {
        self.open.iter().map(|piece| piece.bytes).sum()
    }

    fn close(&mut self) {
        self.made.extend(CombinedPart::of(std::mem::take(&mut self.open)));
    }

    fn small(&mut self, piece: PartSlice) {
        self.open.push(piece);
        if self.open_bytes() >= self.aim {
            self.close();
        }
    }

    /// One that the target can copy; what is missing to the part before it is taken from its beginning.
    fn large(&mut self, mut piece: PartSlice, is_last: bool) {
        let open = self.open_bytes();
        if !self.open.is_empty() && open < self.least {
            let rest = piece.bytes.saturating_sub(self.least.saturating_sub(open));
            if rest < self.least && !(is_last && rest > 0) {
                self.open.push(piece);
                return self.close();
            }
            let behind = piece.cut(rest);
            self.open.push(piece);
            piece = behind;
        }
        self.close();
        self.made.push(CombinedPart::Copied(piece.number, piece));
    }

    /// One that cannot be read: what is open in front of it must be large enough.
    fn there(&mut self, part: &Part) -> Result<(), Rejection> {
        let open = self.open_bytes();
        if let Some(first) = self.open.first().filter(|_| open < self.least) {
            let missing = self.least.saturating_sub(open);
            let number = first.number;
            let before = (self.made.len() > self.run).then(|| self.made.pop()).flatten();
            let mut pieces = match before {
                Some(CombinedPart::Joined(_, pieces)) => pieces,
                Some(CombinedPart::Copied(number, mut piece))
                    if piece.bytes.saturating_sub(missing) >= self.least =>
                {
                    let tail = piece.cut(missing);
                    self.made.push(CombinedPart::Copied(number, piece));
                    // Its number is that of the first piece that is whole.
                    let pieces: Vec<PartSlice> =
                        std::iter::once(tail).chain(std::mem::take(&mut self.open)).collect();
                    self.made.push(CombinedPart::Joined(first_number(&pieces), pieces));
                    Vec::new()
                }
                Some(CombinedPart::Copied(_, piece)) => vec![piece],
                Some(CombinedPart::There(_)) | None => {
                    return Err(Rejection::with_message(
                        ErrorKind::EntityTooSmall,
                        format!(
                            "The part with the number {number} cannot be combined with those beside it. Upload all parts again, \
                             each of at least {} bytes.",
                            self.least
                        ),
                    )
                    .with_detail("ProposedSize", open.to_string())
                    .with_detail("MinSizeAllowed", self.least.to_string())
                    .with_detail("PartNumber", number.to_string()));
                }
            };
            if !pieces.is_empty() {
                pieces.append(&mut self.open);
                self.open = pieces;
            }
        }
        self.close();
        self.made.push(CombinedPart::There(part.clone()));
        self.run = self.made.len();
        Ok(())
    }
}

/// The number of a part whose first piece is the end of another's part.
fn first_number(pieces: &[PartSlice]) -> u64 {
    pieces.iter().find(|piece| piece.first == 0).map_or(0, |piece| piece.number)
}

/// Whether a large part may go to the target's upload, where it cannot be read any more: only where no small part can come
/// to stand alone in front of it. `before` are the bytes of the part with the number below it, where that is there.
pub fn is_safe(least: u64, number: u64, before: Option<u64>) -> bool {
    number == 1 || before.is_some_and(|bytes| bytes >= least)
}

/// Takes what is kept into a page of the upload's own parts. `more`: whether more is kept than was told.
pub fn merge(list: &mut PartListing, count_max: u64, kept: Vec<StagedPart>, more: bool) {
    let there = list.parts.last().map(|row| row.0.number).filter(|_| list.truncated);
    let end = kept.last().map(|row| row.part.number).filter(|_| more);
    // Behind the shorter of two pages something may be missing.
    let end = there.into_iter().chain(end).min();
    let numbers: Vec<u64> = kept.iter().map(|row| row.part.number).collect();
    list.parts.retain(|row| numbers.binary_search(&row.0.number).is_err());
    list.parts.extend(kept.into_iter().map(|row| (row.part, row.modified, row.bytes)));
    // Some servers show a part that was replaced as well.
    list.parts.sort_by_key(|row| (row.0.number, std::cmp::Reverse(row.1)));
    list.parts.dedup_by_key(|row| row.0.number);
    list.parts.retain(|row| end.is_none_or(|end| row.0.number <= end));
    let count_max = usize::try_from(count_max).unwrap_or(usize::MAX);
    list.truncated = end.is_some() || list.parts.len() > count_max;
    list.parts.truncate(count_max);
    list.next_marker = list.parts.last().map_or(0, |row| row.0.number);
}

/// What the caller is told of a part that is kept: nothing of the object that it is.
pub fn remove_object_fields(reply: &mut Response) {
    for field in [
        ResponseField::VersionId,
        ResponseField::Expiration,
        ResponseField::StorageClass,
        ResponseField::ObjectType,
    ] {
        reply.remove(field);
    }
    if let Some(Document::Error(error)) = &mut reply.document {
        error.details.retain(|row| row.0 != "Key");
    }
}

/// The refusal of a small part where these are refused.
pub fn build_small_part_rejection(way: &Route<'_>, number: u64) -> Rejection {
    let least = way.target.dialect.limits.part_bytes_min;
    Rejection::with_message(
        ErrorKind::EntityTooSmall,
        format!(
            "The storage behind this service takes only parts of at least {least} bytes, but for the last; part {number} is \
             smaller. Set {} to that or more.",
            way.caller.part_size_setting
        ),
    )
    .with_detail("MinSizeAllowed", least.to_string())
    .with_detail("PartNumber", number.to_string())
}

/// Takes what is not for callers out of a page. Where the page ends in it, gives the request for what follows.
pub fn hide(way: &Route<'_>, asked: &Request, document: &mut Document) -> Option<Request> {
    let prefix = reserved_prefix(way.target)?;
    let own = |key: &String| key.starts_with(prefix);
    let behind = format!("{prefix}{BEHIND}");
    let wanted = asked.fields.text(Field::Prefix).unwrap_or_default();
    let inside = wanted.starts_with(prefix);
    let mut next = asked.clone();
    let (found, ends, left, count_max) = match document {
        Document::Objects(page) => {
            let ends = page.next_marker.as_ref().is_some_and(own)
                || page.objects.last().is_some_and(|row| own(&row.key))
                || page.prefixes.last().is_some_and(own);
            let before = page.objects.len().saturating_add(page.prefixes.len());
            page.objects.retain(|row| !own(&row.key));
            page.prefixes.retain(|row| !own(row));
            let left = page.objects.len().saturating_add(page.prefixes.len());
            let truncated = page.truncated;
            if inside {
                page.truncated = false;
            }
            if before == left && page.next_marker.as_ref().is_some_and(own) {
                let last = page.objects.last().map(|row| row.key.clone());
                page.next_marker = last.max(page.prefixes.last().cloned()).or(Some(behind.clone()));
            }
            if page.objects.iter().any(|row| row.key > behind)
                || page.prefixes.iter().any(|row| *row > behind)
            {
                // The page goes on behind what was taken out.
                (before > left, false, left, page.max_keys)
            } else {
                (before > left, truncated && ends, left, page.max_keys)
            }
        }
        Document::Versions(page) => {
            let ends = page.next_key_marker.as_ref().is_some_and(own);
            let before = page.versions.len().saturating_add(page.prefixes.len());
            page.versions.retain(|row| !own(&row.object.key));
            page.prefixes.retain(|row| !own(row));
            let left = page.versions.len().saturating_add(page.prefixes.len());
            let truncated = page.truncated;
            if inside {
                page.truncated = false;
            }
            (before > left, truncated && ends, left, page.max_keys)
        }
        Document::Uploads(page) => {
            page.uploads.retain(|row| !own(&row.key));
            page.prefixes.retain(|row| !own(row));
            return None;
        }
        _ => return None,
    };
    if inside || !found || !ends {
        return None;
    }
    let left = u64::try_from(left).unwrap_or(u64::MAX);
    next.fields.set(Field::MaxKeys, Value::Number(count_max.saturating_sub(left).max(1)));
    for field in [Field::ContinuationToken, Field::VersionIdMarker] {
        next.fields.remove(field);
    }
    let marker = match asked.operation {
        Operation::ListObjectsV2 => Field::StartAfter,
        Operation::ListObjectVersions => Field::KeyMarker,
        _ => Field::Marker,
    };
    next.fields.set(marker, Value::Text(behind));
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
