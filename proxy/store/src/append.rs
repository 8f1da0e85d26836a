//! Appending to an object.
//!
//! Wire rules: S3, "PutObject" with `x-amz-write-offset-bytes`, which directory buckets have; that only objects which were
//! begun by appending can be appended to is the rule of the vendors whose callers come through the front door. A piece is a
//! file of its own. What is appended changes the version that is there, as all of them do it.

use crate::attributes::Attributes;
use crate::conditions::WriteCondition;
use crate::digests::{Algorithm, combined, hex, joined_crc64, unhex};
use crate::errors::{fault, internal, invalid_argument, not_implemented, with_header};
use crate::lock;
use crate::meta::{Found, Object, Version, Writing, now_ms};
use crate::objects::{BODY_BYTES_MAX, Core, Received, Written, customer, put, too_large};
use crate::request::Facts;
use crate::sealing::{CustomerKey, Wish};
use http::HeaderMap;
use md5::{Digest as _, Md5};
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Result};

const OFFSET: &str = "x-amz-write-offset-bytes";
/// The length of an object that was appended to.
const SIZE: &str = "x-amz-object-size";
/// What kind of object it is, where it is not the usual one; S3 has no word for it.
const KIND: &str = "x-blobfish-object-type";
const PIECES_MAX: usize = 10_000;

/// Where a piece is to begin; none where the request is no appending one.
pub(crate) fn offset(headers: &HeaderMap) -> S3Result<Option<u64>> {
    let Some(value) = headers.get(OFFSET) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let message = "The write offset must be a number of bytes";
    text.parse().map(Some).map_err(|_| invalid_argument(message, OFFSET, text))
}

impl Object {
    /// As GET and HEAD tell an object that can be appended to.
    pub(crate) fn add_appendable(&self, headers: &mut HeaderMap) {
        if self.appendable {
            put(headers, KIND, "Appendable");
            put(headers, SIZE, &self.size.to_string());
        }
    }
}

impl Core {
    /// Appends a piece that begins at `offset`, or begins the object. Returns the headers of the answer.
    pub(crate) async fn append(
        &self,
        bucket: String,
        key: String,
        offset: u64,
        body: Option<StreamingBlob>,
        facts: &Facts,
    ) -> S3Result<HeaderMap> {
        let mut headers = facts.headers.clone();
        headers.remove(OFFSET);
        let attributes = Attributes::read(&headers)?;
        if WriteCondition::read(&headers)? != WriteCondition::None {
            return Err(not_implemented("If-Match"));
        }
        let (wish, given) = (Wish::read(&headers)?, CustomerKey::read(&headers)?);
        let (at, name) = (bucket.clone(), key.clone());
        let (row, before) = self
            .meta
            .read(move |reading| Ok((reading.bucket(&at)?, extended(reading.current(&at, &name)?, offset)?)))
            .await?;
        let managed = &self.meta.blobs.managed;
        let (sealing, data_key, algorithm) = match &before {
            Some((_, object)) => {
                let kept = object.checksum.as_ref().map(|sum| sum.algorithm);
                let algorithm = kept.filter(|kept| kept.combines()).unwrap_or(Algorithm::Crc64Nvme);
                (object.sealing.clone(), object.sealing.open(given.as_ref(), managed)?, algorithm)
            }
            None => {
                let wish = wish.within(&row)?;
                row.lock_of(attributes.lock)?;
                lock::check_promise(&headers, facts.promised.any())?;
                let sealing = wish.sealing()?;
                let data_key = sealing.open(customer(&wish), managed)?;
                let asked = facts.promised.algorithm().filter(|asked| asked.combines());
                (sealing, data_key, asked.unwrap_or(Algorithm::Crc64Nvme))
            }
        };
        let (draft, digests) = self.receive(body, facts, data_key, algorithm).await?;
        let received = Received::new(draft, &digests, &sealing, algorithm);
        let work = move |writing: &mut Writing<'_>| {
            writing.bucket(&bucket)?;
            match extended(writing.current(&bucket, &key)?, offset)? {
                Some((found, object)) if object.sealing == sealing => {
                    extend(writing, &bucket, &key, found, object, received)
                }
                // Replaced while the piece came.
                Some(_) => Err(position_fault(None)),
                None => {
                    let (object, draft) = received.into_object(attributes, sealing);
                    let object = Object { appendable: true, ..object };
                    writing.publish_file(&bucket, &key, object, draft, &WriteCondition::None)
                }
            }
        };
        let written = self.meta.write(work).await?;
        let mut headers = written.headers();
        if let Some(object) = &written.version.object {
            put(&mut headers, SIZE, &object.size.to_string());
        }
        Ok(headers)
    }
}

/// The object that a piece extends; none where it begins one.
///
/// # Errors
/// Where it does not begin at the object's end, or the object was not begun by appending.
fn extended(current: Option<Found>, offset: u64) -> S3Result<Option<(Found, Object)>> {
    let object = current.as_ref().and_then(|found| found.version.object.clone());
    match (current, object) {
        (Some(found), Some(object)) => {
            if !object.appendable {
                return Err(fault(409, "ObjectNotAppendable", "The object is not appendable.", &[]));
            }
            if object.size != offset {
                return Err(position_fault(Some(object.size)));
            }
            object.check_readable()?;
            Ok(Some((found, object)))
        }
        _ if offset == 0 => Ok(None),
        _ => Err(position_fault(Some(0))),
    }
}

fn position_fault(size: Option<u64>) -> S3Error {
    let message = "The write offset value that you specified does not match the current object size.";
    let error = fault(400, "InvalidWriteOffset", message, &[]);
    match size {
        Some(size) => with_header(error, SIZE, &size.to_string()),
        None => error,
    }
}

fn extend(
    writing: &mut Writing<'_>,
    bucket: &str,
    key: &str,
    found: Found,
    before: Object,
    received: Received,
) -> S3Result<Written> {
    before.attributes.lock.check_delete(false)?;
    let versioning = writing.bucket(bucket)?.versioning;
    let Received { draft, etag, checksum } = received;
    let added = draft.segment.clone();
    if added.length == 0 {
        return Ok(Written { version: found.version, versioning });
    }
    let size = before.size.saturating_add(added.length);
    if size > BODY_BYTES_MAX {
        return Err(too_large());
    }
    let mut body = writing.body(bucket, key, found.rank)?;
    if body.segments.len() >= PIECES_MAX {
        let message = "You have attempted to add more parts than the maximum of 10,000.";
        return Err(fault(400, "TooManyParts", message, &[]));
    }
    let checksum = match (&before.checksum, &checksum) {
        (Some(first), Some(second)) => combined([(first, before.size), (second, added.length)].into_iter()),
        _ => None,
    };
    let crc64 = joined_crc64(before.crc64, added.crc64, added.length);
    let etag = joined_etag(&before.etag, &etag, body.segments.len())?;
    let object = Object { size, etag, checksum, crc64, ..before };
    let version = Version { modified_ms: now_ms(), object: Some(object), ..found.version };
    body.segments.push(added.clone());
    let found = Found { version, ..found };
    writing.put_body(bucket, key, found.rank, &body)?;
    writing.update(bucket, key, &found)?;
    writing.retain(added.blob)?;
    draft.keep();
    Ok(Written { version: found.version, versioning })
}

/// No MD5 of anything that a caller has, and formed so that none takes it for one.
fn joined_etag(before: &str, piece: &str, pieces: usize) -> S3Result<String> {
    let bytes = |etag: &str| unhex(etag.split('-').next().unwrap_or_default());
    let (Some(before), Some(piece)) = (bytes(before), bytes(piece)) else { return Err(internal("an ETag")) };
    let digest = Md5::new().chain_update(before).chain_update(piece).finalize();
    Ok(format!("{}-{}", hex(&digest), pieces.saturating_add(1)))
}
