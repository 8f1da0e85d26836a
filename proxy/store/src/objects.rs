//! Objects: put, get, head, delete, tags and ACL.

use crate::attributes::{Acl, Attributes, Tags};
use crate::blobs::{ObjectReader, PendingBlob};
use crate::bucket::{Bucket, Versioning};
use crate::conditions::WriteCondition;
use crate::dates::{format_http_date, now_ms, to_seconds};
use crate::digests::{Algorithm, BodyHasher, Checksum, Digests};
use crate::encryption::{CustomerKey, EncryptionKey, EncryptionRequest, ObjectEncryption};
use crate::errors::{
    internal_error, invalid_request_error, invalid_version_id_error, io_error, no_such_key_error, s3_error,
    with_header,
};
use crate::headers::{insert_header, insert_headers};
use crate::lock::{self, Retention};
use crate::meta::{
    MetadataStore, MetadataWriter, NULL_VERSION_ID, Object, ObjectBody, RankedVersion, Version,
    parse_version_rank,
};
use crate::request::RequestHead;
use blobfish_dialects::encoding::hash::encode_hex;
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderMap, HeaderValue};
use md5::{Digest as _, Md5};
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Result};
use std::sync::Arc;
use std::time::Duration;

/// 5 GiB: the maximum size of a put, a part and the source of a copy.
pub(crate) const BODY_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// The size of the buffer in front of a data file.
const BUFFER_BYTES: usize = 1024 * 1024;

/// The idle timeout of a request body.
const CHUNK_SECONDS_MAX: u64 = 60;

/// The state that every operation needs.
#[derive(Clone)]
pub(crate) struct Core {
    pub(crate) meta: Arc<MetadataStore>,
}

/// The result of a write that created a version.
pub(crate) struct WriteOutcome {
    pub(crate) version: Version,
    pub(crate) versioning: Versioning,
}

impl WriteOutcome {
    /// ETag, version ID, checksum and encryption for the response of a put.
    pub(crate) fn to_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(object) = &self.version.object {
            insert_headers(&mut headers, object.sealing.to_headers());
            headers.extend(object.checksum.iter().flat_map(Checksum::to_headers));
            insert_header(&mut headers, "etag", &quote_etag(&object.etag));
            object.add_crc64_header(&mut headers);
        }
        insert_version_id(&mut headers, self.versioning, &self.version.id);
        headers
    }
}

/// The stored body of a put or a part.
pub(crate) struct ReceivedBody {
    pub(crate) draft: PendingBlob,
    pub(crate) etag: String,
    pub(crate) checksum: Option<Checksum>,
}

impl ReceivedBody {
    /// Computes the ETag. It is the MD5 of the plain bytes, except with a customer key: then it must reveal nothing
    /// about the content.
    pub(crate) fn new(
        draft: PendingBlob,
        digests: &Digests,
        sealing: &ObjectEncryption,
        algorithm: Algorithm,
    ) -> Self {
        let etag = match (sealing, &draft.segment.nonce) {
            (ObjectEncryption::Customer { .. }, Some(nonce)) => {
                Md5::new().chain_update(nonce).chain_update(digests.md5).finalize().into()
            }
            _ => digests.md5,
        };
        Self { draft, etag: encode_hex(&etag), checksum: digests.checksum(algorithm).cloned() }
    }

    /// The object that consists of this one file.
    pub(crate) fn into_object(
        self,
        attributes: Attributes,
        sealing: ObjectEncryption,
    ) -> (Object, PendingBlob) {
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
    pub(crate) fn add_crc64_header(&self, headers: &mut HeaderMap) {
        add_crc64_header(headers, self.crc64);
    }
}

/// CRC-64/XZ in decimal, for the proxy: COS and OSS have it in responses, S3 does not.
pub(crate) fn add_crc64_header(headers: &mut HeaderMap, crc64: Option<u64>) {
    if let Some(crc64) = crc64 {
        insert_header(headers, "x-blobfish-hash-crc64ecma", &crc64.to_string());
    }
}

impl MetadataWriter<'_> {
    /// Publishes a finished file as the object at a key.
    pub(crate) fn publish_file(
        &mut self,
        bucket: &str,
        key: &str,
        object: Object,
        draft: PendingBlob,
        condition: &WriteCondition,
    ) -> S3Result<WriteOutcome> {
        let body = ObjectBody { segments: vec![draft.segment.clone()], ..ObjectBody::default() };
        let (version, versioning) = self.publish_version(bucket, key, object, &body, condition)?;
        self.retain_blob(draft.segment.blob)?;
        // From here on the file survives a failed commit. An unused file is removed at the next start; a missing one
        // is data loss.
        draft.keep();
        Ok(WriteOutcome { version, versioning })
    }
}

impl Core {
    /// Stores an object. It becomes visible only when it is durable and all its digests are verified.
    pub(crate) async fn put_object(
        &self,
        bucket: String,
        key: String,
        body: Option<StreamingBlob>,
        request_head: &RequestHead,
    ) -> S3Result<WriteOutcome> {
        let attributes = Attributes::read(&request_head.headers)?;
        let condition = WriteCondition::read(&request_head.headers)?;
        let encryption_request = EncryptionRequest::read(&request_head.headers)?;
        let bucket_name = bucket.clone();
        let row = self.meta.read(move |reading| reading.get_bucket(&bucket_name)).await?;
        let encryption_request = row.resolve_encryption(encryption_request)?;
        let attributes = row.apply_default_class(attributes, &request_head.headers);
        row.resolve_lock(attributes.lock)?;
        // S3 requires a digest for an object that cannot be deleted afterwards.
        lock::require_digest(&request_head.headers, request_head.expected_digests.has_any())?;
        let sealing = encryption_request.to_encryption()?;
        let data_key =
            sealing.resolve_key(get_customer_key(&encryption_request), &self.meta.blobs.managed_key)?;
        let algorithm = request_head.expected_digests.algorithm().unwrap_or(Algorithm::Crc64Nvme);
        let (draft, digests) = self.receive_body(body, request_head, data_key, algorithm).await?;
        let received = ReceivedBody::new(draft, &digests, &sealing, algorithm);
        let (object, draft) = received.into_object(attributes, sealing);
        self.publish_object(bucket, key, object, draft, condition).await
    }

    /// Publishes a finished file as the object at a key.
    pub(crate) async fn publish_object(
        &self,
        bucket: String,
        key: String,
        object: Object,
        draft: PendingBlob,
        condition: WriteCondition,
    ) -> S3Result<WriteOutcome> {
        let work = move |writing: &mut MetadataWriter<'_>| {
            writing.publish_file(&bucket, &key, object, draft, &condition)
        };
        self.meta.write(work).await
    }

    /// Reads a body into a durable file and verifies its digests.
    pub(crate) async fn receive_body(
        &self,
        body: Option<StreamingBlob>,
        request_head: &RequestHead,
        key: Option<EncryptionKey>,
        algorithm: Algorithm,
    ) -> S3Result<(PendingBlob, Digests)> {
        // Rejected before the body is read, so that the client does not send 5 GiB for an error.
        if request_head.content_length.is_some_and(|length| length > BODY_BYTES_MAX) {
            return Err(entity_too_large_error());
        }
        let blobs = Arc::clone(&self.meta.blobs);
        let mut algorithms = vec![algorithm];
        algorithms.extend(request_head.expected_digests.algorithm());
        let mut writer = run_blocking(move || blobs.create_writer(key.as_ref(), &algorithms)).await?;
        let mut buffer = Vec::new();
        let mut total = 0_u64;
        let mut body = body;
        while let Some(body) = body.as_mut() {
            let Some(chunk) = read_chunk(body).await? else { break };
            total = total.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            // A chunked body may have no declared length.
            if total > BODY_BYTES_MAX {
                return Err(entity_too_large_error());
            }
            // Chunks from the network are small. Written one by one, each would need a task on the blocking pool.
            buffer.extend_from_slice(&chunk);
            if buffer.len() >= BUFFER_BYTES {
                let full = std::mem::take(&mut buffer);
                writer = run_blocking(move || writer.write(full).map(|()| writer)).await?;
            }
        }
        // The connection may end early. The rest of the body must not be stored as a complete object.
        if request_head.content_length.is_some_and(|length| length != total) {
            return Err(incomplete_body_error());
        }
        let write_rest = move || {
            if !buffer.is_empty() {
                writer.write(buffer)?;
            }
            writer.finish()
        };
        let (draft, digests) = run_blocking(write_rest).await?;
        request_head.expected_digests.verify(&digests)?;
        Ok((draft, digests))
    }

    /// The headers of an object and, unless `head`, its bytes.
    pub(crate) async fn get_object(
        &self,
        bucket: String,
        key: String,
        version: Option<String>,
        part: Option<u32>,
        request_head: &RequestHead,
        is_head: bool,
    ) -> S3Result<ObjectResponse> {
        if part.is_some() && !request_head.range_text.is_empty() {
            return Err(invalid_request_error(
                "Cannot specify both Range header and partNumber query parameter",
            ));
        }
        let customer = CustomerKey::read(&request_head.headers)?;
        let blobs = Arc::clone(&self.meta.blobs);
        let work = move |reading: &crate::meta::MetadataReader| {
            let (found, bucket_row) = reading.get_version(&bucket, &key, version.as_deref())?;
            let Some(object) = found.version.object.clone() else {
                return Err(delete_marker_error(&found, &key, version.is_some()));
            };
            // Without a body in the response, the list of segments is needed only for a part number.
            let body = (!is_head || part.is_some())
                .then(|| reading.get_body(&bucket, &key, found.rank))
                .transpose()?;
            let body = body.unwrap_or_default();
            // Pinned within the snapshot: a delete right after it must not remove the files before they are read.
            let pin = blobs.pin(&body.segments);
            Ok((found, object, bucket_row, body, pin))
        };
        let (found, object, bucket, body, pin) = self.meta.read(work).await?;
        let data_key = object.sealing.resolve_key(customer.as_ref(), &self.meta.blobs.managed_key)?;
        let mut headers = build_identity_headers(&found, &object, &bucket);
        let condition_result = request_head.conditions.check_read(
            &object.etag,
            to_seconds(found.version.modified_ms),
            to_seconds(now_ms()),
        );
        condition_result.map_err(|error| with_headers(error, &headers))?;
        if !is_head {
            object.check_readable()?;
        }
        let extent = resolve_extent(&object, &body, part, request_head)?;
        headers.extend(object.attributes.to_headers());
        object.add_restore_header(&mut headers);
        object.add_crc64_header(&mut headers);
        object.add_append_headers(&mut headers);
        insert_headers(&mut headers, object.sealing.to_headers());
        headers.insert("accept-ranges", HeaderValue::from_static("bytes"));
        let whole = extent.count == object.size;
        // The checksum covers the whole object. SDKs would verify a partial response against it and fail.
        if whole && needs_checksum(&request_head.headers) {
            headers.extend(object.checksum.iter().flat_map(Checksum::to_headers));
        }
        if part.is_some() && body.multipart {
            insert_header(&mut headers, "x-amz-mp-parts-count", &body.segments.len().to_string());
        }
        // Last, because these query parameters replace stored headers.
        for (name, value) in &request_head.response_overrides {
            headers.insert(name, value.clone());
        }
        let mut bytes = None;
        if !is_head {
            let mut reader = ObjectReader::new(pin, body.segments, data_key, extent.first, extent.count);
            // The first bytes are read before the response head is sent, so that an unreadable object gives an error
            // response.
            bytes = Some(run_blocking(move || reader.next().map(|first| (first, reader))).await?);
        }
        let range = extent.is_partial.then(|| extent.content_range(object.size));
        Ok(ObjectResponse { headers, count: extent.count, range, bytes })
    }

    /// Deletes the current version, or the given one. Returns the headers of the response.
    pub(crate) async fn delete_object(
        &self,
        bucket: String,
        key: String,
        version: Option<String>,
        condition: WriteCondition,
        bypass: bool,
    ) -> S3Result<DeletedVersion> {
        let entry = DeleteEntry { key, version, condition };
        self.meta.write(move |writing| delete_version(writing, &bucket, &entry, bypass)).await
    }

    /// Deletes several objects in one transaction. A failed delete does not stop the others.
    pub(crate) async fn delete_objects(
        &self,
        bucket: String,
        entries: Vec<DeleteEntry>,
        bypass: bool,
    ) -> S3Result<Vec<DeleteOutcome>> {
        let work = move |writing: &mut MetadataWriter<'_>| {
            writing.get_bucket(&bucket)?;
            let delete_one = |unwanted: DeleteEntry| {
                let result = delete_version(writing, &bucket, &unwanted, bypass);
                DeleteOutcome { key: unwanted.key, version: unwanted.version, result }
            };
            Ok(entries.into_iter().map(delete_one).collect())
        };
        self.meta.write(work).await
    }

    /// The attributes of a version.
    pub(crate) async fn get_attributes(
        &self,
        bucket: String,
        key: String,
        version: Option<String>,
    ) -> S3Result<(Attributes, HeaderMap)> {
        let work = move |reading: &crate::meta::MetadataReader| {
            let (found, row) = reading.get_version(&bucket, &key, version.as_deref())?;
            let mut headers = HeaderMap::new();
            insert_version_id(&mut headers, row.versioning, &found.version.id);
            match found.version.object {
                Some(object) => Ok((object.attributes, headers)),
                None => Err(delete_marker_error(&found, &key, version.is_some())),
            }
        };
        self.meta.read(work).await
    }

    /// Changes the tags, the ACL or the lock of a version in place.
    pub(crate) async fn update_attributes(
        &self,
        bucket: String,
        key: String,
        version: Option<String>,
        change: AttributeChange,
    ) -> S3Result<HeaderMap> {
        let work = move |writing: &mut MetadataWriter<'_>| {
            let row = writing.get_bucket(&bucket)?;
            let mut found = writing.get_version(&bucket, &key, version.as_deref())?;
            match (&mut found.version.object, change) {
                (None, _) => return Err(delete_marker_error(&found, &key, version.is_some())),
                (Some(object), AttributeChange::Tags(tags)) => object.attributes.tags = tags,
                (Some(object), AttributeChange::Acl(acl)) => {
                    row.check_acl(acl)?;
                    object.attributes.acl = acl;
                }
                (Some(object), AttributeChange::Retention { retention, bypass }) => {
                    row.check_lock_enabled()?;
                    object.attributes.lock.set_retention(retention, bypass)?;
                }
                (Some(object), AttributeChange::LegalHold(hold)) => {
                    row.check_lock_enabled()?;
                    object.attributes.lock.hold = Some(hold);
                }
            }
            writing.update_version(&bucket, &key, &found)?;
            let mut headers = HeaderMap::new();
            insert_version_id(&mut headers, row.versioning, &found.version.id);
            Ok(headers)
        };
        self.meta.write(work).await
    }
}

pub(crate) enum AttributeChange {
    Tags(Tags),
    Acl(Acl),
    Retention { retention: Option<Retention>, bypass: bool },
    LegalHold(bool),
}

/// One object of a DeleteObjects request.
pub(crate) struct DeleteEntry {
    pub(crate) key: String,
    pub(crate) version: Option<String>,
    pub(crate) condition: WriteCondition,
}

pub(crate) struct DeleteOutcome {
    pub(crate) key: String,
    pub(crate) version: Option<String>,
    pub(crate) result: S3Result<DeletedVersion>,
}

/// The result of a delete.
#[derive(Default)]
pub(crate) struct DeletedVersion {
    /// The delete marker that was created or removed.
    pub(crate) is_marker: bool,
    pub(crate) version: Option<String>,
}

fn delete_version(
    writing: &mut MetadataWriter<'_>,
    bucket: &str,
    entry: &DeleteEntry,
    bypass: bool,
) -> S3Result<DeletedVersion> {
    let DeleteEntry { key, version, condition } = entry;
    let versioning = writing.get_bucket(bucket)?.versioning;
    writing.check_condition(bucket, key, condition)?;
    let Some(id) = version.as_deref() else {
        if versioning == Versioning::Off {
            if let Some(found) = writing.find_version(bucket, key, NULL_VERSION_ID)? {
                writing.remove_version(bucket, key, &found)?;
            }
            return Ok(DeletedVersion::default());
        }
        let marker = writing.insert_version(bucket, key, versioning, None)?;
        return Ok(DeletedVersion { is_marker: true, version: Some(marker.id) });
    };
    if id != NULL_VERSION_ID && parse_version_rank(id).is_none() {
        return Err(invalid_version_id_error(id));
    }
    let Some(found) = writing.find_version(bucket, key, id)? else {
        return Ok(DeletedVersion { is_marker: false, version: Some(id.to_owned()) });
    };
    if let Some(object) = &found.version.object {
        object.attributes.lock.check_delete(bypass)?;
    }
    writing.remove_version(bucket, key, &found)?;
    Ok(DeletedVersion { is_marker: found.version.object.is_none(), version: Some(id.to_owned()) })
}

/// The response of GET and HEAD.
pub(crate) struct ObjectResponse {
    pub(crate) headers: HeaderMap,
    /// The number of bytes in the body.
    pub(crate) count: u64,
    /// Content-Range of a partial response.
    pub(crate) range: Option<String>,
    /// The first bytes, and the reader for the rest.
    bytes: Option<(Option<Vec<u8>>, ObjectReader)>,
}

impl ObjectResponse {
    /// The body, which is read as fast as the client receives it.
    pub(crate) fn take_body(&mut self) -> Option<StreamingBlob> {
        let (first, reader) = self.bytes.take()?;
        let first = stream::iter(first.map(|bytes| Ok(bytes::Bytes::from(bytes))));
        Some(StreamingBlob::wrap(first.chain(stream::try_unfold(reader, |mut reader| async move {
            let read =
                move || reader.next().map(|bytes| bytes.map(|bytes| (bytes::Bytes::from(bytes), reader)));
            let result = tokio::task::spawn_blocking(read)
                .await
                .unwrap_or_else(|_| Err(std::io::Error::other("reader")));
            result.inspect_err(|error| tracing::error!(%error, "an object could not be read completely"))
        }))))
    }
}

struct Extent {
    first: u64,
    count: u64,
    is_partial: bool,
}

impl Extent {
    fn content_range(&self, size: u64) -> String {
        let last = self.first.saturating_add(self.count).saturating_sub(1);
        format!("bytes {}-{last}/{size}", self.first)
    }
}

/// The requested bytes of the object.
fn resolve_extent(
    object: &Object,
    body: &ObjectBody,
    part: Option<u32>,
    request_head: &RequestHead,
) -> S3Result<Extent> {
    if let Some(part) = part {
        return resolve_part_extent(object, body, part);
    }
    let Some(range) = request_head.range else {
        return Ok(Extent { first: 0, count: object.size, is_partial: false });
    };
    let Some((first, count)) = range.resolve(object.size) else {
        let size = object.size.to_string();
        let elements =
            [("RangeRequested", request_head.range_text.as_str()), ("ActualObjectSize", size.as_str())];
        let error = s3_error(416, "InvalidRange", "The requested range is not satisfiable", &elements);
        return Err(with_header(error, "content-range", &format!("bytes */{size}")));
    };
    Ok(Extent { first, count, is_partial: true })
}

fn resolve_part_extent(object: &Object, body: &ObjectBody, part: u32) -> S3Result<Extent> {
    let index = usize::try_from(part).ok().and_then(|part| part.checked_sub(1));
    if !body.multipart && part == 1 {
        return Ok(Extent { first: 0, count: object.size, is_partial: object.size > 0 });
    }
    let found = index.filter(|_| body.multipart).and_then(|index| Some((index, body.segments.get(index)?)));
    let Some((index, segment)) = found else {
        // The segments of an appended object are not parts.
        let count = if body.multipart { body.segments.len() } else { 1 };
        let (count, part) = (count.to_string(), part.to_string());
        let elements = [("ActualPartCount", count.as_str()), ("PartNumberRequested", part.as_str())];
        return Err(s3_error(
            416,
            "InvalidPartNumber",
            "The requested partnumber is not satisfiable",
            &elements,
        ));
    };
    let first =
        body.segments.iter().take(index).fold(0, |sum: u64, before| sum.saturating_add(before.length));
    Ok(Extent { first, count: segment.length, is_partial: segment.length > 0 })
}

/// ETag, modification time and version ID: the headers that a 304 response has too.
fn build_identity_headers(found: &RankedVersion, object: &Object, bucket: &Bucket) -> HeaderMap {
    let mut headers = HeaderMap::new();
    insert_header(&mut headers, "etag", &quote_etag(&object.etag));
    insert_header(&mut headers, "last-modified", &format_http_date(found.version.modified_ms));
    insert_version_id(&mut headers, bucket.versioning, &found.version.id);
    headers
}

/// The error for a delete marker: a missing key, or 405 if its version ID was given.
pub(crate) fn delete_marker_error(found: &RankedVersion, key: &str, is_version_named: bool) -> S3Error {
    let error = if is_version_named {
        let elements = [("Method", "GET"), ("ResourceType", "DeleteMarker")];
        let message = "The specified method is not allowed against this resource.";
        let error = s3_error(405, "MethodNotAllowed", message, &elements);
        with_header(
            with_header(error, "allow", "DELETE"),
            "last-modified",
            &format_http_date(found.version.modified_ms),
        )
    } else {
        no_such_key_error(key)
    };
    with_header(with_header(error, "x-amz-delete-marker", "true"), "x-amz-version-id", &found.version.id)
}

fn needs_checksum(headers: &HeaderMap) -> bool {
    headers.get("x-amz-checksum-mode").is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"enabled"))
}

pub(crate) fn get_customer_key(encryption_request: &EncryptionRequest) -> Option<&CustomerKey> {
    match encryption_request {
        EncryptionRequest::Customer(key) => Some(key),
        EncryptionRequest::Unspecified | EncryptionRequest::Managed => None,
    }
}

pub(crate) fn entity_too_large_error() -> S3Error {
    let max = BODY_BYTES_MAX.to_string();
    let message = "Your proposed upload exceeds the maximum allowed size";
    s3_error(400, "EntityTooLarge", message, &[("MaxSizeAllowed", &max)])
}

fn incomplete_body_error() -> S3Error {
    let message = "You did not provide the number of bytes specified by the Content-Length HTTP header";
    s3_error(400, "IncompleteBody", message, &[])
}

/// The body errors of the s3s library are private types, so they are distinguished by their text.
fn to_body_error(error: &(dyn std::error::Error + Send + Sync)) -> S3Error {
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        s3_error(400, "XAmzContentSHA256Mismatch", message, &[])
    } else if text.contains("SignatureMismatch") {
        let message = "The request signature we calculated does not match the signature you provided.";
        s3_error(403, "SignatureDoesNotMatch", message, &[])
    } else if text.contains("railer") {
        s3_error(400, "MalformedTrailerError", "The trailer could not be read", &[])
    } else {
        incomplete_body_error()
    }
}

/// The next chunk of a body, with a timeout.
pub(crate) async fn read_chunk<S>(body: &mut S) -> S3Result<Option<bytes::Bytes>>
where
    S: Stream<Item = Result<bytes::Bytes, s3s::StdError>> + Unpin,
{
    let result = tokio::time::timeout(Duration::from_secs(CHUNK_SECONDS_MAX), body.next()).await;
    let message =
        "Your socket connection to the server was not read from or written to within the timeout period.";
    let chunk = result.map_err(|_| s3_error(400, "RequestTimeout", message, &[]))?;
    chunk.transpose().map_err(|error| to_body_error(error.as_ref()))
}

/// Runs file operations on a thread that may block.
pub(crate) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> S3Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(internal_error)?.map_err(io_error)
}

/// Verifies the digests of a document. For a completion the checksum headers belong to the object, not to the document.
pub(crate) fn verify_document(request_head: &RequestHead, bytes: &[u8], is_completion: bool) -> S3Result<()> {
    let algorithms: Vec<Algorithm> = request_head.expected_digests.algorithm().into_iter().collect();
    let mut hasher = BodyHasher::new(&algorithms);
    hasher.update(bytes);
    let digests = hasher.finish();
    if is_completion {
        request_head.expected_digests.verify_md5(&digests)
    } else {
        request_head.expected_digests.verify(&digests)
    }
}

pub(crate) fn quote_etag(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// Responses of an unversioned bucket have no version ID.
pub(crate) fn insert_version_id(headers: &mut HeaderMap, versioning: Versioning, id: &str) {
    if versioning != Versioning::Off {
        insert_header(headers, "x-amz-version-id", id);
    }
}

fn with_headers(mut error: S3Error, extra_headers: &HeaderMap) -> S3Error {
    let mut headers = error.headers().cloned().unwrap_or_default();
    headers.extend(extra_headers.clone());
    error.set_headers(headers);
    error
}
