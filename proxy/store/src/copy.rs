//! CopyObject and UploadPartCopy.
//!
//! Source: S3, "CopyObject" and "UploadPartCopy". Every failed condition on the source is a 412; ACL, storage class and
//! encryption are never inherited; a copy has one part and the ETag of its plain bytes.

use crate::attributes::{Attributes, Directive};
use crate::blobs::{BlobPin, ObjectReader};
use crate::bucket::Versioning;
use crate::conditions::WriteCondition;
use crate::dates::{now_ms, to_seconds};
use crate::digests::Algorithm;
use crate::encryption::{CustomerKey, EncryptionKey, EncryptionRequest, ObjectEncryption};
use crate::errors::{invalid_argument_error, invalid_request_error, no_such_key_error};
use crate::meta::{MetadataWriter, Object, ObjectBody, Part, RankedVersion};
use crate::objects::{BODY_BYTES_MAX, Core, ReceivedBody, WriteOutcome, get_customer_key, run_blocking};
use crate::request::{CopySource, RequestHead};
use crate::uploads::UploadLocation;
use s3s::{S3Error, S3Result};
use std::sync::Arc;

/// The source, with its files protected from removal.
struct OpenedSource {
    source: CopySource,
    found: RankedVersion,
    object: Object,
    body: ObjectBody,
    pin: BlobPin,
    key: Option<EncryptionKey>,
    versioning: Versioning,
}

/// The result of a copy, and the version of its source.
pub(crate) struct CopyOutcome<T> {
    pub(crate) result: T,
    /// The version ID of the source, if its bucket has versions.
    pub(crate) source_version: Option<String>,
}

impl Core {
    pub(crate) async fn copy_object(
        &self,
        bucket: String,
        key: String,
        request_head: &RequestHead,
    ) -> S3Result<CopyOutcome<WriteOutcome>> {
        let metadata = Directive::read(&request_head.headers, "metadata")?;
        let tagging = Directive::read(&request_head.headers, "tagging")?;
        let mut attributes = Attributes::read(&request_head.headers)?;
        let condition = WriteCondition::read(&request_head.headers)?;
        let encryption_request = EncryptionRequest::read(&request_head.headers)?;
        let bucket_name = bucket.clone();
        let row = self.meta.read(move |reading| reading.get_bucket(&bucket_name)).await?;
        let encryption_request = row.resolve_encryption(encryption_request)?;
        attributes = row.apply_default_class(attributes, &request_head.headers);
        row.resolve_lock(attributes.lock)?;
        let sealing = encryption_request.to_encryption()?;
        let opened = self.open_source(request_head).await?;
        // CopyObject is limited to 5 GiB; larger objects need UploadPartCopy.
        if opened.object.size > BODY_BYTES_MAX {
            return Err(source_too_large_error());
        }
        // A copy onto itself makes a restored object permanent.
        let is_restored = opened.object.restore_expiry_ms().is_some();
        if is_self_copy(&opened, &bucket, &key)
            && !is_restored
            && !has_changes(request_head, metadata, &encryption_request)
        {
            return Err(self_copy_error());
        }
        // With COPY, S3 ignores metadata headers in the request.
        if metadata == Directive::Copy {
            attributes.metadata = opened.object.attributes.metadata.clone();
        }
        attributes.tags = match tagging {
            Directive::Copy => opened.object.attributes.tags.clone(),
            Directive::Replace => std::mem::take(&mut attributes.tags),
        };
        let source_version = get_source_version(&opened);
        let stored_algorithm = opened.object.checksum.as_ref().map(|sum| sum.algorithm);
        let algorithm = Algorithm::read_requested(&request_head.headers)?
            // A copy keeps the algorithm of its source (S3, "CopyObject", x-amz-checksum-algorithm).
            .or(stored_algorithm)
            .unwrap_or(Algorithm::Crc64Nvme);
        // Data files are immutable, so two objects can share one. Another encryption or checksum needs a new file.
        let result = if can_copy_by_reference(&opened, &sealing, algorithm) {
            self.copy_by_reference(bucket, key, attributes, condition, opened).await?
        } else {
            let data_key =
                sealing.resolve_key(get_customer_key(&encryption_request), &self.meta.blobs.managed_key)?;
            let size = opened.object.size;
            let received = copy_bytes(opened, 0, size, data_key, sealing.clone(), algorithm).await?;
            let (object, draft) = received.into_object(attributes, sealing);
            self.publish_object(bucket, key, object, draft, condition).await?
        };
        Ok(CopyOutcome { result, source_version })
    }

    pub(crate) async fn upload_part_copy(
        &self,
        at: UploadLocation,
        number: u32,
        request_head: &RequestHead,
    ) -> S3Result<CopyOutcome<(Part, ObjectEncryption)>> {
        let customer = CustomerKey::read(&request_head.headers)?;
        let upload = self.find_upload(&at).await?;
        let data_key = upload.sealing.resolve_upload_key(customer.as_ref(), &self.meta.blobs.managed_key)?;
        let range = request_head
            .headers
            .get("x-amz-copy-source-range")
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        let range = range.map(|text| PartRange::parse(&text)).transpose()?;
        let opened = self.open_source(request_head).await?;
        let (first, count) = match range {
            Some(range) => range.resolve(opened.object.size)?,
            None => (0, opened.object.size),
        };
        if count > BODY_BYTES_MAX {
            return Err(source_too_large_error());
        }
        let source_version = get_source_version(&opened);
        let (sealing, algorithm) = (upload.sealing.clone(), upload.algorithm);
        let received = copy_bytes(opened, first, count, data_key, sealing, algorithm).await?;
        let part = self.publish_part(at, number, received).await?;
        Ok(CopyOutcome { result: (part, upload.sealing), source_version })
    }

    /// Finds the source, protects its files, and checks the customer key and the conditions.
    async fn open_source(&self, request_head: &RequestHead) -> S3Result<OpenedSource> {
        let source = request_head
            .source
            .clone()
            .ok_or_else(|| invalid_request_error("missing header: x-amz-copy-source"))?;
        let customer_key = CustomerKey::read_source(&request_head.headers)?;
        let blobs = Arc::clone(&self.meta.blobs);
        let work = move |reading: &crate::meta::MetadataReader| {
            let (found, bucket) =
                reading.get_version(&source.bucket, &source.key, source.version.as_deref())?;
            let Some(object) = found.version.object.clone() else { return Err(marker_source_error(&source)) };
            let body = reading.get_body(&source.bucket, &source.key, found.rank)?;
            let pin = blobs.pin(&body.segments);
            Ok((source, found, object, body, pin, bucket.versioning))
        };
        let (source, found, object, body, pin, versioning) = self.meta.read(work).await?;
        let key = object.sealing.resolve_key(customer_key.as_ref(), &self.meta.blobs.managed_key)?;
        let modified = to_seconds(found.version.modified_ms);
        request_head.source_conditions.check_copy(&object.etag, modified, to_seconds(now_ms()))?;
        object.check_readable()?;
        Ok(OpenedSource { source, found, object, body, pin, key, versioning })
    }

    /// Copies without moving bytes: increments the use count of the source's file.
    async fn copy_by_reference(
        &self,
        bucket: String,
        key: String,
        attributes: Attributes,
        condition: WriteCondition,
        opened: OpenedSource,
    ) -> S3Result<WriteOutcome> {
        let work = move |writing: &mut MetadataWriter<'_>| {
            let OpenedSource { source, found, object, body, .. } = opened;
            // The source may be deleted by now. Without its row its file may be removed.
            let current = writing.find_version(&source.bucket, &source.key, &found.version.id)?;
            if current.is_none_or(|still| still.rank != found.rank) {
                return Err(no_such_key_error(&source.key));
            }
            // Counted first, because publishing may remove the source itself.
            for segment in &body.segments {
                writing.retain_blob(segment.blob)?;
            }
            let body = ObjectBody { multipart: false, ..body };
            let object = Object { attributes, restored_until_ms: None, appendable: false, ..object };
            let (version, versioning) = writing.publish_version(&bucket, &key, object, &body, &condition)?;
            Ok(WriteOutcome { version, versioning })
        };
        self.meta.write(work).await
    }
}

/// Reads the source and writes it with the encryption key of the destination.
async fn copy_bytes(
    opened: OpenedSource,
    first: u64,
    count: u64,
    key: Option<EncryptionKey>,
    sealing: ObjectEncryption,
    algorithm: Algorithm,
) -> S3Result<ReceivedBody> {
    let work = move || {
        let mut reader = ObjectReader::new(opened.pin, opened.body.segments, opened.key, first, count);
        let (draft, digests) = reader.copy_to_new_blob(key.as_ref(), &[algorithm])?;
        Ok(ReceivedBody::new(draft, &digests, &sealing, algorithm))
    };
    run_blocking(work).await
}

/// Whether the source is one file with the same encryption and a checksum that stays valid.
fn can_copy_by_reference(opened: &OpenedSource, sealing: &ObjectEncryption, algorithm: Algorithm) -> bool {
    let checksum = opened.object.checksum.as_ref();
    let same_checksum = checksum.is_some_and(|sum| sum.algorithm == algorithm && !sum.composite);
    let same_sealing = opened.object.sealing == *sealing
        && matches!(sealing, ObjectEncryption::Open | ObjectEncryption::Managed);
    opened.body.segments.len() == 1 && !opened.body.multipart && same_checksum && same_sealing
}

fn get_source_version(opened: &OpenedSource) -> Option<String> {
    (opened.versioning != Versioning::Off).then(|| opened.found.version.id.clone())
}

fn is_self_copy(opened: &OpenedSource, bucket: &str, key: &str) -> bool {
    opened.source.bucket == bucket && opened.source.key == key && opened.found.is_latest
}

/// Whether a copy onto itself changes anything, as S3 requires.
fn has_changes(
    request_head: &RequestHead,
    metadata: Directive,
    encryption_request: &EncryptionRequest,
) -> bool {
    metadata == Directive::Replace
        || !matches!(encryption_request, EncryptionRequest::Unspecified)
        || request_head.headers.contains_key("x-amz-storage-class")
        || request_head.headers.contains_key("x-amz-website-redirect-location")
}

fn self_copy_error() -> S3Error {
    invalid_request_error(
        "This copy request is illegal because it is trying to copy an object to itself without changing the \
         object's metadata, storage class, website redirect location or encryption attributes.",
    )
}

fn source_too_large_error() -> S3Error {
    invalid_request_error(&format!(
        "The specified copy source is larger than the maximum allowable size for a copy source: {BODY_BYTES_MAX}"
    ))
}

fn marker_source_error(source: &CopySource) -> S3Error {
    match source.version {
        None => no_such_key_error(&source.key),
        Some(_) => invalid_request_error(
            "The source of a copy request may not specifically refer to a delete marker by version id.",
        ),
    }
}

/// Parses `bytes=first-last`; both are required.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PartRange {
    first: u64,
    last: u64,
    text: String,
}

const COPY_SOURCE_RANGE_HEADER: &str = "x-amz-copy-source-range";

impl PartRange {
    fn parse(text: &str) -> S3Result<Self> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u64>().ok()).flatten()
        };
        let both = text.strip_prefix("bytes=").and_then(|text| text.split_once('-'));
        let both = both.and_then(|(first, last)| Some((number(first)?, number(last)?)));
        match both.filter(|(first, last)| first <= last) {
            Some((first, last)) => Ok(Self { first, last, text: text.to_owned() }),
            None => Err(invalid_argument_error(
                "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are \
                 the zero-based offsets of the first and last bytes to copy",
                COPY_SOURCE_RANGE_HEADER,
                text,
            )),
        }
    }

    /// First byte and count. A range beyond the end is an error.
    fn resolve(&self, size: u64) -> S3Result<(u64, u64)> {
        if self.first >= size {
            return Err(invalid_request_error(
                "The specified copy range is invalid for the source object size",
            ));
        }
        if self.last >= size {
            let message = format!("Range specified is not valid for source object of size: {size}");
            return Err(invalid_argument_error(&message, COPY_SOURCE_RANGE_HEADER, &self.text));
        }
        Ok((self.first, self.last.saturating_sub(self.first).saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_part_range(text: &str, expected: Result<(u64, u64), &str>) {
        let got = PartRange::parse(text).and_then(|range| range.resolve(10));
        let code = got.as_ref().map_err(|error| error.code().as_str().to_owned());
        assert_eq!(code, expected.as_ref().map_err(|code| (*code).to_owned()), "{text}");
    }

    #[test]
    fn ranges_are_exact_or_rejected() {
        check_part_range("bytes=0-9", Ok((0, 10)));
        check_part_range("bytes=3-3", Ok((3, 1)));
        for text in [
            "0-8",
            "bytes=1-0",
            "bytes=-1-",
            "bytes=0--1",
            "bytes=0-1,3-4",
            "bytes=-",
            "bytes=1-",
            "bytes=-2",
        ] {
            check_part_range(text, Err("InvalidArgument"));
        }
        check_part_range("bytes=0-10", Err("InvalidArgument"));
        check_part_range("bytes=100-200", Err("InvalidRequest"));
    }
}
