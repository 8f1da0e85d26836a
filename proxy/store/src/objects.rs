//! Objects: put, get, head, delete, tags and ACL.

use crate::attributes::{Acl, Attributes, Tags};
use crate::blobs::{Draft, Reader};
use crate::conditions::WriteCondition;
use crate::digests::{Algorithm, Checksum, Digests, Hasher, hex};
use crate::errors::{bad_version_id, fault, internal, invalid_request, io, no_such_key, with_header};
use crate::lock::{self, Retention};
use crate::meta::{Body, Bucket, Found, Meta, NULL, Object, Version, Versioning, Writing, now_ms, rank_of};
use crate::request::Facts;
use crate::sealing::{CustomerKey, Key, Sealing, Wish};
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue};
use md5::{Digest as _, Md5};
use s3s::dto::{StreamingBlob, Timestamp, TimestampFormat};
use s3s::{S3Error, S3Result};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// 5 GiB: one put, one part, the source of one copy.
pub(crate) const BODY_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// What is held of a body before it goes to its file.
const BUFFER_BYTES: usize = 1024 * 1024;

/// A caller that sends nothing for so long is gone.
const CHUNK_SECONDS_MAX: u64 = 60;

/// What every operation works on.
#[derive(Clone)]
pub(crate) struct Core {
    pub(crate) meta: Arc<Meta>,
}

/// The result of a write that made a version.
pub(crate) struct Written {
    pub(crate) version: Version,
    pub(crate) versioning: Versioning,
}

impl Written {
    /// ETag, version, checksum and encryption, as a put tells them.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(object) = &self.version.object {
            put_all(&mut headers, object.sealing.headers());
            headers.extend(object.checksum.iter().flat_map(Checksum::headers));
            put(&mut headers, "etag", &quoted(&object.etag));
            object.add_crc64(&mut headers);
        }
        put_version(&mut headers, self.versioning, &self.version.id);
        headers
    }
}

/// What a put or a part made of its body.
pub(crate) struct Received {
    pub(crate) draft: Draft,
    pub(crate) etag: String,
    pub(crate) checksum: Option<Checksum>,
}

impl Received {
    /// Names the result. The ETag is the MD5 of the plain bytes, except with a customer's key: it must tell nothing
    /// about the content then.
    pub(crate) fn new(draft: Draft, digests: &Digests, sealing: &Sealing, algorithm: Algorithm) -> Self {
        let etag = match (sealing, &draft.segment.nonce) {
            (Sealing::Customer { .. }, Some(nonce)) => {
                Md5::new().chain_update(nonce).chain_update(digests.md5).finalize().into()
            }
            _ => digests.md5,
        };
        Self { draft, etag: hex(&etag), checksum: digests.checksum(algorithm).cloned() }
    }

    /// The object that is this one file.
    pub(crate) fn into_object(self, attributes: Attributes, sealing: Sealing) -> (Object, Draft) {
        let Self { draft, etag, checksum } = self;
        let object = Object {
            size: draft.segment.length,
            etag,
            checksum,
            attributes,
            sealing,
            restored_until_ms: None,
            crc64: draft.segment.crc64,
            appendable: false,
        };
        (object, draft)
    }
}

impl Object {
    pub(crate) fn add_crc64(&self, headers: &mut HeaderMap) {
        add_crc64(headers, self.crc64);
    }
}

/// CRC-64/XZ in decimal, for the front door: S3 does not tell it.
pub(crate) fn add_crc64(headers: &mut HeaderMap, crc64: Option<u64>) {
    if let Some(crc64) = crc64 {
        put(headers, "x-blobfish-hash-crc64ecma", &crc64.to_string());
    }
}

impl Writing<'_> {
    /// Makes one finished file the object at a key.
    pub(crate) fn publish_file(
        &mut self,
        bucket: &str,
        key: &str,
        object: Object,
        draft: Draft,
        condition: &WriteCondition,
    ) -> S3Result<Written> {
        let body = Body { segments: vec![draft.segment.clone()], ..Body::default() };
        let (version, versioning) = self.publish(bucket, key, object, &body, condition)?;
        self.retain(draft.segment.blob)?;
        // From here on the file outlives a failing commit: better a file too many until the next start.
        draft.keep();
        Ok(Written { version, versioning })
    }
}

impl Core {
    /// Stores an object. Nothing of it is visible before all of it is durable and every promise about it was kept.
    pub(crate) async fn put(
        &self,
        bucket: String,
        key: String,
        body: Option<StreamingBlob>,
        facts: &Facts,
    ) -> S3Result<Written> {
        let attributes = Attributes::read(&facts.headers)?;
        let condition = WriteCondition::read(&facts.headers)?;
        let wish = Wish::read(&facts.headers)?;
        let target = bucket.clone();
        let row = self.meta.read(move |reading| reading.bucket(&target)).await?;
        let wish = wish.within(&row)?;
        let attributes = attributes.within(&row, &facts.headers);
        row.lock_of(attributes.lock)?;
        lock::check_promise(&facts.headers, facts.promised.any())?;
        let sealing = wish.sealing()?;
        let data_key = sealing.open(customer(&wish), &self.meta.blobs.managed)?;
        let algorithm = facts.promised.algorithm().unwrap_or(Algorithm::Crc64Nvme);
        let (draft, digests) = self.receive(body, facts, data_key, algorithm).await?;
        let received = Received::new(draft, &digests, &sealing, algorithm);
        let (object, draft) = received.into_object(attributes, sealing);
        self.publish(bucket, key, object, draft, condition).await
    }

    /// Makes one finished file the object at a key.
    pub(crate) async fn publish(
        &self,
        bucket: String,
        key: String,
        object: Object,
        draft: Draft,
        condition: WriteCondition,
    ) -> S3Result<Written> {
        let work =
            move |writing: &mut Writing<'_>| writing.publish_file(&bucket, &key, object, draft, &condition);
        self.meta.write(work).await
    }

    /// Reads a body into a durable file and checks what was promised about it.
    pub(crate) async fn receive(
        &self,
        body: Option<StreamingBlob>,
        facts: &Facts,
        key: Option<Key>,
        algorithm: Algorithm,
    ) -> S3Result<(Draft, Digests)> {
        if facts.length.is_some_and(|length| length > BODY_BYTES_MAX) {
            return Err(too_large());
        }
        let blobs = Arc::clone(&self.meta.blobs);
        let mut algorithms = vec![algorithm];
        algorithms.extend(facts.promised.algorithm());
        let mut writer = blocking(move || blobs.writer(key.as_ref(), &algorithms)).await?;
        let mut buffer = Vec::new();
        let mut total = 0_u64;
        let mut body = body;
        while let Some(body) = body.as_mut() {
            let Some(chunk) = next_chunk(body).await? else { break };
            total = total.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if total > BODY_BYTES_MAX {
                return Err(too_large());
            }
            buffer.extend_from_slice(&chunk);
            if buffer.len() >= BUFFER_BYTES {
                let full = std::mem::take(&mut buffer);
                writer = blocking(move || writer.write(full).map(|()| writer)).await?;
            }
        }
        if facts.length.is_some_and(|length| length != total) {
            return Err(incomplete());
        }
        let write_rest = move || {
            if !buffer.is_empty() {
                writer.write(buffer)?;
            }
            writer.finish()
        };
        let (draft, digests) = blocking(write_rest).await?;
        facts.promised.verify(&digests)?;
        Ok((draft, digests))
    }

    /// The headers and, unless `head`, the bytes of an object.
    pub(crate) async fn get(
        &self,
        bucket: String,
        key: String,
        version: Option<String>,
        part: Option<u32>,
        facts: &Facts,
        head: bool,
    ) -> S3Result<Got> {
        if part.is_some() && !facts.range_text.is_empty() {
            return Err(invalid_request("Cannot specify both Range header and partNumber query parameter"));
        }
        let customer = CustomerKey::read(&facts.headers)?;
        let blobs = Arc::clone(&self.meta.blobs);
        let work = move |reading: &crate::meta::Reading| {
            let (found, bucket_row) = reading.object(&bucket, &key, version.as_deref())?;
            let Some(object) = found.version.object.clone() else {
                return Err(marker_fault(&found, &key, version.is_some()));
            };
            // Only a part number needs the body of an object that is not sent.
            let body =
                (!head || part.is_some()).then(|| reading.body(&bucket, &key, found.rank)).transpose()?;
            let body = body.unwrap_or_default();
            let pin = blobs.pin(&body.segments);
            Ok((found, object, bucket_row, body, pin))
        };
        let (found, object, bucket, body, pin) = self.meta.read(work).await?;
        let data_key = object.sealing.open(customer.as_ref(), &self.meta.blobs.managed)?;
        let mut headers = identity_headers(&found, &object, &bucket);
        let checked =
            facts.conditions.check_read(&object.etag, seconds(found.version.modified_ms), seconds(now_ms()));
        checked.map_err(|error| with_headers(error, &headers))?;
        if !head {
            object.check_readable()?;
        }
        let extent = extent(&object, &body, part, facts)?;
        headers.extend(object.attributes.headers());
        object.add_restore(&mut headers);
        object.add_crc64(&mut headers);
        object.add_appendable(&mut headers);
        put_all(&mut headers, object.sealing.headers());
        headers.insert("accept-ranges", HeaderValue::from_static("bytes"));
        let whole = extent.count == object.size;
        if whole && wants_checksum(&facts.headers) {
            headers.extend(object.checksum.iter().flat_map(Checksum::headers));
        }
        if part.is_some() && body.multipart {
            put(&mut headers, "x-amz-mp-parts-count", &body.segments.len().to_string());
        }
        for (name, value) in &facts.overrides {
            headers.insert(name, value.clone());
        }
        let mut bytes = None;
        if !head {
            let mut reader = Reader::new(pin, body.segments, data_key, extent.first, extent.count);
            // Read before anything is told: what cannot be read at all is an error and no broken answer.
            bytes = Some(blocking(move || reader.next().map(|first| (first, reader))).await?);
        }
        let range = extent.partial.then(|| extent.content_range(object.size));
        Ok(Got { headers, count: extent.count, range, bytes })
    }

    /// Deletes the current version, or the one named. Returns the headers of the answer.
    pub(crate) async fn delete(
        &self,
        bucket: String,
        key: String,
        version: Option<String>,
        condition: WriteCondition,
        bypass: bool,
    ) -> S3Result<Deleted> {
        let unwanted = Unwanted { key, version, condition };
        self.meta.write(move |writing| delete(writing, &bucket, &unwanted, bypass)).await
    }

    /// Deletes many; one that fails does not stop the others. All of them are one transaction.
    pub(crate) async fn delete_many(
        &self,
        bucket: String,
        wanted: Vec<Unwanted>,
        bypass: bool,
    ) -> S3Result<Vec<Outcome>> {
        let work = move |writing: &mut Writing<'_>| {
            writing.bucket(&bucket)?;
            let one = |unwanted: Unwanted| {
                let result = delete(writing, &bucket, &unwanted, bypass);
                Outcome { key: unwanted.key, version: unwanted.version, result }
            };
            Ok(wanted.into_iter().map(one).collect())
        };
        self.meta.write(work).await
    }

    /// The attributes of a version, for the calls that show them.
    pub(crate) async fn attributes(
        &self,
        bucket: String,
        key: String,
        version: Option<String>,
    ) -> S3Result<(Attributes, HeaderMap)> {
        let work = move |reading: &crate::meta::Reading| {
            let (found, row) = reading.object(&bucket, &key, version.as_deref())?;
            let mut headers = HeaderMap::new();
            put_version(&mut headers, row.versioning, &found.version.id);
            match found.version.object {
                Some(object) => Ok((object.attributes, headers)),
                None => Err(marker_fault(&found, &key, version.is_some())),
            }
        };
        self.meta.read(work).await
    }

    /// Changes the tags, the ACL or the lock of a version in place.
    pub(crate) async fn change(
        &self,
        bucket: String,
        key: String,
        version: Option<String>,
        change: Change,
    ) -> S3Result<HeaderMap> {
        let work = move |writing: &mut Writing<'_>| {
            let row = writing.bucket(&bucket)?;
            let mut found = writing.wanted(&bucket, &key, version.as_deref())?;
            match (&mut found.version.object, change) {
                (None, _) => return Err(marker_fault(&found, &key, version.is_some())),
                (Some(object), Change::Tags(tags)) => object.attributes.tags = tags,
                (Some(object), Change::Acl(acl)) => {
                    row.check_acl(acl)?;
                    object.attributes.acl = acl;
                }
                (Some(object), Change::Retention { wanted, bypass }) => {
                    row.check_lock()?;
                    object.attributes.lock.retain(wanted, bypass)?;
                }
                (Some(object), Change::Hold(hold)) => {
                    row.check_lock()?;
                    object.attributes.lock.hold = Some(hold);
                }
            }
            writing.update(&bucket, &key, &found)?;
            let mut headers = HeaderMap::new();
            put_version(&mut headers, row.versioning, &found.version.id);
            Ok(headers)
        };
        self.meta.write(work).await
    }
}

pub(crate) enum Change {
    Tags(Tags),
    Acl(Acl),
    Retention { wanted: Option<Retention>, bypass: bool },
    Hold(bool),
}

/// One object of a batch delete.
pub(crate) struct Unwanted {
    pub(crate) key: String,
    pub(crate) version: Option<String>,
    pub(crate) condition: WriteCondition,
}

pub(crate) struct Outcome {
    pub(crate) key: String,
    pub(crate) version: Option<String>,
    pub(crate) result: S3Result<Deleted>,
}

/// What a delete did.
#[derive(Default)]
pub(crate) struct Deleted {
    /// The marker made, or the marker removed.
    pub(crate) marker: bool,
    pub(crate) version: Option<String>,
}

fn delete(writing: &mut Writing<'_>, bucket: &str, unwanted: &Unwanted, bypass: bool) -> S3Result<Deleted> {
    let Unwanted { key, version, condition } = unwanted;
    let versioning = writing.bucket(bucket)?.versioning;
    writing.check(bucket, key, condition)?;
    let Some(id) = version.as_deref() else {
        if versioning == Versioning::Off {
            if let Some(found) = writing.find(bucket, key, NULL)? {
                writing.remove(bucket, key, &found)?;
            }
            return Ok(Deleted::default());
        }
        let marker = writing.insert(bucket, key, versioning, None)?;
        return Ok(Deleted { marker: true, version: Some(marker.id) });
    };
    if id != NULL && rank_of(id).is_none() {
        return Err(bad_version_id(id));
    }
    let Some(found) = writing.find(bucket, key, id)? else {
        return Ok(Deleted { marker: false, version: Some(id.to_owned()) });
    };
    if let Some(object) = &found.version.object {
        object.attributes.lock.check_delete(bypass)?;
    }
    writing.remove(bucket, key, &found)?;
    Ok(Deleted { marker: found.version.object.is_none(), version: Some(id.to_owned()) })
}

/// An object as GET and HEAD tell it.
pub(crate) struct Got {
    pub(crate) headers: HeaderMap,
    /// Bytes that are sent.
    pub(crate) count: u64,
    /// Content-Range, where the answer is a part.
    pub(crate) range: Option<String>,
    /// The first of them, and what reads on.
    bytes: Option<(Option<Vec<u8>>, Reader)>,
}

impl Got {
    /// The bytes, read as the caller takes them.
    pub(crate) fn body(&mut self) -> Option<StreamingBlob> {
        let (first, reader) = self.bytes.take()?;
        let first = stream::iter(first.map(|bytes| Ok(bytes::Bytes::from(bytes))));
        Some(StreamingBlob::wrap(first.chain(stream::try_unfold(reader, |mut reader| async move {
            let read =
                move || reader.next().map(|bytes| bytes.map(|bytes| (bytes::Bytes::from(bytes), reader)));
            let result = tokio::task::spawn_blocking(read)
                .await
                .unwrap_or_else(|_| Err(std::io::Error::other("reader")));
            result.inspect_err(|error| tracing::error!(%error, "an object could not be read to its end"))
        }))))
    }
}

struct Extent {
    first: u64,
    count: u64,
    partial: bool,
}

impl Extent {
    fn content_range(&self, size: u64) -> String {
        let last = self.first.saturating_add(self.count).saturating_sub(1);
        format!("bytes {}-{last}/{size}", self.first)
    }
}

/// What of the object is asked for.
fn extent(object: &Object, body: &Body, part: Option<u32>, facts: &Facts) -> S3Result<Extent> {
    if let Some(part) = part {
        return part_extent(object, body, part);
    }
    let Some(range) = facts.range else { return Ok(Extent { first: 0, count: object.size, partial: false }) };
    let Some((first, count)) = range.within(object.size) else {
        let size = object.size.to_string();
        let elements = [("RangeRequested", facts.range_text.as_str()), ("ActualObjectSize", size.as_str())];
        let error = fault(416, "InvalidRange", "The requested range is not satisfiable", &elements);
        return Err(with_header(error, "content-range", &format!("bytes */{size}")));
    };
    Ok(Extent { first, count, partial: true })
}

fn part_extent(object: &Object, body: &Body, part: u32) -> S3Result<Extent> {
    let index = usize::try_from(part).ok().and_then(|part| part.checked_sub(1));
    if !body.multipart && part == 1 {
        return Ok(Extent { first: 0, count: object.size, partial: object.size > 0 });
    }
    let found = index.filter(|_| body.multipart).and_then(|index| Some((index, body.segments.get(index)?)));
    let Some((index, segment)) = found else {
        // The pieces of an object that was appended to are no parts.
        let count = if body.multipart { body.segments.len() } else { 1 };
        let (count, part) = (count.to_string(), part.to_string());
        let elements = [("ActualPartCount", count.as_str()), ("PartNumberRequested", part.as_str())];
        return Err(fault(
            416,
            "InvalidPartNumber",
            "The requested partnumber is not satisfiable",
            &elements,
        ));
    };
    let first =
        body.segments.iter().take(index).fold(0, |sum: u64, before| sum.saturating_add(before.length));
    Ok(Extent { first, count: segment.length, partial: segment.length > 0 })
}

/// ETag, time and version: what a 304 carries too.
fn identity_headers(found: &Found, object: &Object, bucket: &Bucket) -> HeaderMap {
    let mut headers = HeaderMap::new();
    put(&mut headers, "etag", &quoted(&object.etag));
    put(&mut headers, "last-modified", &http_date(found.version.modified_ms));
    put_version(&mut headers, bucket.versioning, &found.version.id);
    headers
}

/// How a delete marker is told: as a missing key, or as something that cannot be read where its version was named.
pub(crate) fn marker_fault(found: &Found, key: &str, named: bool) -> S3Error {
    let error = if named {
        let elements = [("Method", "GET"), ("ResourceType", "DeleteMarker")];
        let message = "The specified method is not allowed against this resource.";
        let error = fault(405, "MethodNotAllowed", message, &elements);
        with_header(
            with_header(error, "allow", "DELETE"),
            "last-modified",
            &http_date(found.version.modified_ms),
        )
    } else {
        no_such_key(key)
    };
    with_header(with_header(error, "x-amz-delete-marker", "true"), "x-amz-version-id", &found.version.id)
}

fn wants_checksum(headers: &HeaderMap) -> bool {
    headers.get("x-amz-checksum-mode").is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"enabled"))
}

pub(crate) fn customer(wish: &Wish) -> Option<&CustomerKey> {
    match wish {
        Wish::Customer(key) => Some(key),
        Wish::Nothing | Wish::Managed => None,
    }
}

pub(crate) fn too_large() -> S3Error {
    let max = BODY_BYTES_MAX.to_string();
    let message = "Your proposed upload exceeds the maximum allowed size";
    fault(400, "EntityTooLarge", message, &[("MaxSizeAllowed", &max)])
}

fn incomplete() -> S3Error {
    let message = "You did not provide the number of bytes specified by the Content-Length HTTP header";
    fault(400, "IncompleteBody", message, &[])
}

/// The protocol library's body errors are private types; their names are all that can be told apart.
fn body_fault(error: &(dyn std::error::Error + Send + Sync)) -> S3Error {
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        fault(400, "XAmzContentSHA256Mismatch", message, &[])
    } else if text.contains("SignatureMismatch") {
        let message = "The request signature we calculated does not match the signature you provided.";
        fault(403, "SignatureDoesNotMatch", message, &[])
    } else if text.contains("railer") {
        fault(400, "MalformedTrailerError", "The trailer could not be read", &[])
    } else {
        incomplete()
    }
}

/// The next piece of a body, waited for a bounded time.
pub(crate) async fn next_chunk<S>(body: &mut S) -> S3Result<Option<bytes::Bytes>>
where
    S: Stream<Item = Result<bytes::Bytes, s3s::StdError>> + Unpin,
{
    let waited = tokio::time::timeout(Duration::from_secs(CHUNK_SECONDS_MAX), body.next()).await;
    let message =
        "Your socket connection to the server was not read from or written to within the timeout period.";
    let chunk = waited.map_err(|_| fault(400, "RequestTimeout", message, &[]))?;
    chunk.transpose().map_err(|error| body_fault(error.as_ref()))
}

/// Runs file work on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> S3Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(internal)?.map_err(io)
}

/// Hashes a document and checks what was promised about it. The checksum headers of a completion are the object's.
pub(crate) fn verify_document(facts: &Facts, bytes: &[u8], is_completion: bool) -> S3Result<()> {
    let algorithms: Vec<Algorithm> = facts.promised.algorithm().into_iter().collect();
    let mut hasher = Hasher::new(&algorithms);
    hasher.update(bytes);
    let digests = hasher.finish();
    if is_completion { facts.promised.verify_md5(&digests) } else { facts.promised.verify(&digests) }
}

pub(crate) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

pub(crate) fn seconds(ms: u64) -> u64 {
    ms / 1000
}

/// Times are told in whole seconds everywhere, so that lists, headers and conditions agree.
pub(crate) fn timestamp(ms: u64) -> Timestamp {
    // The end of the year 9999: no form of a date goes on after it.
    const LAST: u64 = 253_402_300_799;
    let since = Duration::from_secs(seconds(ms).min(LAST));
    Timestamp::from(UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH))
}

pub(crate) fn http_date(ms: u64) -> String {
    date(ms, TimestampFormat::HttpDate)
}

/// As XML documents tell it.
pub(crate) fn iso_date(ms: u64) -> String {
    date(ms, TimestampFormat::DateTime)
}

fn date(ms: u64, format: TimestampFormat) -> String {
    let mut text = Vec::new();
    let _ = timestamp(ms).format(format, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

pub(crate) fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

pub(crate) fn put_all(headers: &mut HeaderMap, pairs: Vec<(&'static str, String)>) {
    for (name, value) in pairs {
        put(headers, name, &value);
    }
}

/// A bucket that never had versions tells no version ids.
pub(crate) fn put_version(headers: &mut HeaderMap, versioning: Versioning, id: &str) {
    if versioning != Versioning::Off {
        put(headers, "x-amz-version-id", id);
    }
}

fn with_headers(mut error: S3Error, more: &HeaderMap) -> S3Error {
    let mut headers = error.headers().cloned().unwrap_or_default();
    headers.extend(more.clone());
    error.set_headers(headers);
    error
}
