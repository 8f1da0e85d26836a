//! Appending to an object.
//!
//! Source: S3, "PutObject" with `x-amz-write-offset-bytes` for directory buckets. COS and OSS allow appending only to
//! objects that were created by an append, so this store does too. Each append is a file of its own. As with all of
//! these vendors, an append changes the current version.

use crate::attributes::Attributes;
use crate::conditions::WriteCondition;
use crate::dates::now_ms;
use crate::digests::{Algorithm, combine_checksums, combine_crc64};
use crate::encryption::{CustomerKey, EncryptionRequest};
use crate::errors::{internal_error, invalid_argument_error, not_implemented_error, s3_error, with_header};
use crate::headers::insert_header;
use crate::lock;
use crate::meta::{MetadataWriter, Object, RankedVersion, Version};
use crate::objects::{
    BODY_BYTES_MAX, Core, ReceivedBody, WriteOutcome, entity_too_large_error, get_customer_key,
};
use crate::request::RequestHead;
use blobfish_dialects::encoding::hash::{decode_hex, encode_hex};
use http::HeaderMap;
use md5::{Digest as _, Md5};
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Result};

const WRITE_OFFSET_HEADER: &str = "x-amz-write-offset-bytes";
/// The length of the object after the append.
const OBJECT_SIZE_HEADER: &str = "x-amz-object-size";
/// The type of an appendable object. S3 has no such header.
const OBJECT_TYPE_HEADER: &str = "x-blobfish-object-type";
const PIECES_MAX: usize = 10_000;

/// The offset of an append; `None` if the request is not an append.
pub(crate) fn read_write_offset(headers: &HeaderMap) -> S3Result<Option<u64>> {
    let Some(value) = headers.get(WRITE_OFFSET_HEADER) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let message = "The write offset must be a number of bytes";
    text.parse().map(Some).map_err(|_| invalid_argument_error(message, WRITE_OFFSET_HEADER, text))
}

impl Object {
    /// Adds the headers of GET and HEAD for an appendable object.
    pub(crate) fn add_append_headers(&self, headers: &mut HeaderMap) {
        if self.appendable {
            insert_header(headers, OBJECT_TYPE_HEADER, "Appendable");
            insert_header(headers, OBJECT_SIZE_HEADER, &self.size.to_string());
        }
    }
}

impl Core {
    /// Appends data at `offset`, or creates the object. Returns the headers of the response.
    pub(crate) async fn append_object(
        &self,
        bucket: String,
        key: String,
        offset: u64,
        body: Option<StreamingBlob>,
        request_head: &RequestHead,
    ) -> S3Result<HeaderMap> {
        let mut headers = request_head.headers.clone();
        headers.remove(WRITE_OFFSET_HEADER);
        let attributes = Attributes::read(&headers)?;
        // An append is already conditional on the offset. A second condition would need rules that no vendor documents.
        if WriteCondition::read(&headers)? != WriteCondition::None {
            return Err(not_implemented_error("If-Match"));
        }
        let (encryption_request, customer_key) =
            (EncryptionRequest::read(&headers)?, CustomerKey::read(&headers)?);
        let (bucket_name, key_name) = (bucket.clone(), key.clone());
        let (row, before) = self
            .meta
            .read(move |reading| {
                Ok((
                    reading.get_bucket(&bucket_name)?,
                    check_append_offset(reading.find_current_version(&bucket_name, &key_name)?, offset)?,
                ))
            })
            .await?;
        let managed = &self.meta.blobs.managed_key;
        // Every append uses the encryption and the algorithm of the first, so that the object has one of each.
        let (sealing, data_key, algorithm) = match &before {
            Some((_, object)) => {
                let stored_algorithm = object.checksum.as_ref().map(|sum| sum.algorithm);
                let algorithm =
                    // Only a CRC of the whole can be computed from the CRCs of its pieces without reading them again.
                    stored_algorithm.filter(|kept| kept.is_combinable()).unwrap_or(Algorithm::Crc64Nvme);
                (
                    object.sealing.clone(),
                    object.sealing.resolve_key(customer_key.as_ref(), managed)?,
                    algorithm,
                )
            }
            None => {
                let wish = row.resolve_encryption(encryption_request)?;
                row.resolve_lock(attributes.lock)?;
                lock::require_digest(&headers, request_head.expected_digests.has_any())?;
                let sealing = wish.to_encryption()?;
                let data_key = sealing.resolve_key(get_customer_key(&wish), managed)?;
                let requested_algorithm =
                    request_head.expected_digests.algorithm().filter(|asked| asked.is_combinable());
                (sealing, data_key, requested_algorithm.unwrap_or(Algorithm::Crc64Nvme))
            }
        };
        let (draft, digests) = self.receive_body(body, request_head, data_key, algorithm).await?;
        let received = ReceivedBody::new(draft, &digests, &sealing, algorithm);
        let work = move |writing: &mut MetadataWriter<'_>| {
            writing.get_bucket(&bucket)?;
            // Checked again inside the transaction: of two concurrent appends at one offset, the second must fail.
            match check_append_offset(writing.find_current_version(&bucket, &key)?, offset)? {
                Some((found, object)) if object.sealing == sealing => {
                    extend_object(writing, &bucket, &key, found, object, received)
                }
                // The object was replaced while the body was received.
                Some(_) => Err(write_offset_error(None)),
                None => {
                    let (object, draft) = received.into_object(attributes, sealing);
                    let object = Object { appendable: true, ..object };
                    writing.publish_file(&bucket, &key, object, draft, &WriteCondition::None)
                }
            }
        };
        let result = self.meta.write(work).await?;
        let mut headers = result.to_headers();
        if let Some(object) = &result.version.object {
            insert_header(&mut headers, OBJECT_SIZE_HEADER, &object.size.to_string());
        }
        Ok(headers)
    }
}

/// The object that an append extends; `None` if the append creates it.
///
/// # Errors
/// The offset is not the end of the object, or the object is not appendable.
fn check_append_offset(
    current: Option<RankedVersion>,
    offset: u64,
) -> S3Result<Option<(RankedVersion, Object)>> {
    let object = current.as_ref().and_then(|found| found.version.object.clone());
    match (current, object) {
        (Some(found), Some(object)) => {
            if !object.appendable {
                return Err(s3_error(409, "ObjectNotAppendable", "The object is not appendable.", &[]));
            }
            if object.size != offset {
                return Err(write_offset_error(Some(object.size)));
            }
            object.check_readable()?;
            Ok(Some((found, object)))
        }
        _ if offset == 0 => Ok(None),
        _ => Err(write_offset_error(Some(0))),
    }
}

fn write_offset_error(size: Option<u64>) -> S3Error {
    let message = "The write offset value that you specified does not match the current object size.";
    let error = s3_error(400, "InvalidWriteOffset", message, &[]);
    match size {
        Some(size) => with_header(error, OBJECT_SIZE_HEADER, &size.to_string()),
        None => error,
    }
}

fn extend_object(
    writing: &mut MetadataWriter<'_>,
    bucket: &str,
    key: &str,
    found: RankedVersion,
    before: Object,
    received: ReceivedBody,
) -> S3Result<WriteOutcome> {
    // An append changes the version in place, which a lock must prevent just like a delete.
    before.attributes.lock.check_delete(false)?;
    let versioning = writing.get_bucket(bucket)?.versioning;
    let ReceivedBody { draft, etag, checksum } = received;
    let added = draft.segment.clone();
    // An empty segment would count as a piece and break the limit of pieces without adding a byte.
    if added.length == 0 {
        return Ok(WriteOutcome { version: found.version, versioning });
    }
    let size = before.size.saturating_add(added.length);
    if size > BODY_BYTES_MAX {
        return Err(entity_too_large_error());
    }
    let mut body = writing.get_body(bucket, key, found.rank)?;
    if body.segments.len() >= PIECES_MAX {
        let message = "You have attempted to add more parts than the maximum of 10,000.";
        return Err(s3_error(400, "TooManyParts", message, &[]));
    }
    let checksum = match (&before.checksum, &checksum) {
        (Some(first), Some(second)) => {
            combine_checksums([(first, before.size), (second, added.length)].into_iter())
        }
        _ => None,
    };
    let crc64 = combine_crc64(before.crc64, added.crc64, added.length);
    let etag = combine_etags(&before.etag, &etag, body.segments.len())?;
    let object = Object { size, etag, checksum, crc64, ..before };
    let version = Version { modified_ms: now_ms(), object: Some(object), ..found.version };
    body.segments.push(added.clone());
    let found = RankedVersion { version, ..found };
    writing.put_body(bucket, key, found.rank, &body)?;
    writing.update_version(bucket, key, &found)?;
    writing.retain_blob(added.blob)?;
    draft.keep();
    Ok(WriteOutcome { version: found.version, versioning })
}

/// The ETag of an appended object. It is not the MD5 of the content, so its form shows that.
fn combine_etags(before: &str, piece: &str, pieces: usize) -> S3Result<String> {
    let bytes = |etag: &str| decode_hex(etag.split('-').next().unwrap_or_default());
    let (Some(before), Some(piece)) = (bytes(before), bytes(piece)) else {
        return Err(internal_error("an ETag"));
    };
    let digest = Md5::new().chain_update(before).chain_update(piece).finalize();
    Ok(format!("{}-{}", encode_hex(&digest), pieces.saturating_add(1)))
}
