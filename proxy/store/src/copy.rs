//! CopyObject and UploadPartCopy.
//!
//! Wire rules: S3, "CopyObject" and "UploadPartCopy". Conditions on the source all fail as 412; ACL, class and
//! encryption are never inherited; a copy has one part and the ETag of its plain bytes.

use crate::attributes::{Attributes, Directive};
use crate::blobs::{Pin, Reader};
use crate::conditions::WriteCondition;
use crate::digests::Algorithm;
use crate::errors::{invalid_argument, invalid_request, no_such_key};
use crate::meta::{Body, Found, Object, Part, Versioning, Writing, now_ms};
use crate::objects::{BODY_BYTES_MAX, Core, Received, Written, blocking, customer, seconds};
use crate::request::{Facts, Source};
use crate::sealing::{CustomerKey, Key, Sealing, Wish};
use crate::uploads::UploadAt;
use s3s::{S3Error, S3Result};
use std::sync::Arc;

/// The source as it was found, with its files kept.
struct Opened {
    source: Source,
    found: Found,
    object: Object,
    body: Body,
    pin: Pin,
    key: Option<Key>,
    versioning: Versioning,
}

/// What a copy made, and from which version.
pub(crate) struct Copied<T> {
    pub(crate) made: T,
    /// The version copied, where the source's bucket has versions.
    pub(crate) source_version: Option<String>,
}

impl Core {
    pub(crate) async fn copy(&self, bucket: String, key: String, facts: &Facts) -> S3Result<Copied<Written>> {
        let metadata = Directive::read(&facts.headers, "metadata")?;
        let tagging = Directive::read(&facts.headers, "tagging")?;
        let mut attributes = Attributes::read(&facts.headers)?;
        let condition = WriteCondition::read(&facts.headers)?;
        let wish = Wish::read(&facts.headers)?;
        let target = bucket.clone();
        let row = self.meta.read(move |reading| reading.bucket(&target)).await?;
        let wish = wish.within(&row)?;
        attributes = attributes.within(&row, &facts.headers);
        row.lock_of(attributes.lock)?;
        let sealing = wish.sealing()?;
        let opened = self.open_source(facts).await?;
        if opened.object.size > BODY_BYTES_MAX {
            return Err(source_too_large());
        }
        // A restored archive is made lasting by copying it onto itself.
        let thaws = opened.object.restored_until().is_some();
        if is_self(&opened, &bucket, &key) && !thaws && !changes_something(facts, metadata, &wish) {
            return Err(self_copy());
        }
        if metadata == Directive::Copy {
            attributes.metadata = opened.object.attributes.metadata.clone();
        }
        attributes.tags = match tagging {
            Directive::Copy => opened.object.attributes.tags.clone(),
            Directive::Replace => std::mem::take(&mut attributes.tags),
        };
        let source_version = source_version(&opened);
        let kept = opened.object.checksum.as_ref().map(|sum| sum.algorithm);
        let algorithm = Algorithm::asked(&facts.headers)?.or(kept).unwrap_or(Algorithm::Crc64Nvme);
        let made = if can_share(&opened, &sealing, algorithm) {
            self.share(bucket, key, attributes, condition, opened).await?
        } else {
            let data_key = sealing.open(customer(&wish), &self.meta.blobs.managed)?;
            let size = opened.object.size;
            let received = transfer(opened, 0, size, data_key, sealing.clone(), algorithm).await?;
            let (object, draft) = received.into_object(attributes, sealing);
            self.publish(bucket, key, object, draft, condition).await?
        };
        Ok(Copied { made, source_version })
    }

    pub(crate) async fn copy_part(
        &self,
        at: UploadAt,
        number: u32,
        facts: &Facts,
    ) -> S3Result<Copied<(Part, Sealing)>> {
        let customer = CustomerKey::read(&facts.headers)?;
        let upload = self.find_upload(&at).await?;
        let data_key = upload.sealing.open_upload(customer.as_ref(), &self.meta.blobs.managed)?;
        let range = facts
            .headers
            .get("x-amz-copy-source-range")
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        let range = range.map(|text| PartRange::parse(&text)).transpose()?;
        let opened = self.open_source(facts).await?;
        let (first, count) = match range {
            Some(range) => range.within(opened.object.size)?,
            None => (0, opened.object.size),
        };
        if count > BODY_BYTES_MAX {
            return Err(source_too_large());
        }
        let source_version = source_version(&opened);
        let (sealing, algorithm) = (upload.sealing.clone(), upload.algorithm);
        let received = transfer(opened, first, count, data_key, sealing, algorithm).await?;
        let part = self.publish_part(at, number, received).await?;
        Ok(Copied { made: (part, upload.sealing), source_version })
    }

    /// Finds the source, keeps its files, checks its key and the conditions on it.
    async fn open_source(&self, facts: &Facts) -> S3Result<Opened> {
        let source =
            facts.source.clone().ok_or_else(|| invalid_request("missing header: x-amz-copy-source"))?;
        let given = CustomerKey::read_source(&facts.headers)?;
        let blobs = Arc::clone(&self.meta.blobs);
        let work = move |reading: &crate::meta::Reading| {
            let (found, bucket) = reading.object(&source.bucket, &source.key, source.version.as_deref())?;
            let Some(object) = found.version.object.clone() else { return Err(marker_source(&source)) };
            let body = reading.body(&source.bucket, &source.key, found.rank)?;
            let pin = blobs.pin(&body.segments);
            Ok((source, found, object, body, pin, bucket.versioning))
        };
        let (source, found, object, body, pin, versioning) = self.meta.read(work).await?;
        let key = object.sealing.open(given.as_ref(), &self.meta.blobs.managed)?;
        let modified = seconds(found.version.modified_ms);
        facts.source_conditions.check_copy(&object.etag, modified, seconds(now_ms()))?;
        object.check_readable()?;
        Ok(Opened { source, found, object, body, pin, key, versioning })
    }

    /// Copies by counting one more use of the source's file.
    async fn share(
        &self,
        bucket: String,
        key: String,
        attributes: Attributes,
        condition: WriteCondition,
        opened: Opened,
    ) -> S3Result<Written> {
        let work = move |writing: &mut Writing<'_>| {
            let Opened { source, found, object, body, .. } = opened;
            // The source may have gone since: without its row nothing counts its file any more.
            let still = writing.find(&source.bucket, &source.key, &found.version.id)?;
            if still.is_none_or(|still| still.rank != found.rank) {
                return Err(no_such_key(&source.key));
            }
            // Counted before the publishing may remove the source itself.
            for segment in &body.segments {
                writing.retain(segment.blob)?;
            }
            let body = Body { multipart: false, ..body };
            let object = Object { attributes, restored_until_ms: None, appendable: false, ..object };
            let (version, versioning) = writing.publish(&bucket, &key, object, &body, &condition)?;
            Ok(Written { version, versioning })
        };
        self.meta.write(work).await
    }
}

/// Reads the source and writes it anew, under the destination's key.
async fn transfer(
    opened: Opened,
    first: u64,
    count: u64,
    key: Option<Key>,
    sealing: Sealing,
    algorithm: Algorithm,
) -> S3Result<Received> {
    let work = move || {
        let mut reader = Reader::new(opened.pin, opened.body.segments, opened.key, first, count);
        let (draft, digests) = reader.copy(key.as_ref(), &[algorithm])?;
        Ok(Received::new(draft, &digests, &sealing, algorithm))
    };
    blocking(work).await
}

/// One file, the same encryption, and a checksum that still tells the truth.
fn can_share(opened: &Opened, sealing: &Sealing, algorithm: Algorithm) -> bool {
    let checksum = opened.object.checksum.as_ref();
    let same_checksum = checksum.is_some_and(|sum| sum.algorithm == algorithm && !sum.composite);
    let same_sealing =
        opened.object.sealing == *sealing && matches!(sealing, Sealing::Open | Sealing::Managed);
    opened.body.segments.len() == 1 && !opened.body.multipart && same_checksum && same_sealing
}

fn source_version(opened: &Opened) -> Option<String> {
    (opened.versioning != Versioning::Off).then(|| opened.found.version.id.clone())
}

fn is_self(opened: &Opened, bucket: &str, key: &str) -> bool {
    opened.source.bucket == bucket && opened.source.key == key && opened.found.latest
}

/// What makes a copy onto itself legal.
fn changes_something(facts: &Facts, metadata: Directive, wish: &Wish) -> bool {
    metadata == Directive::Replace
        || !matches!(wish, Wish::Nothing)
        || facts.headers.contains_key("x-amz-storage-class")
        || facts.headers.contains_key("x-amz-website-redirect-location")
}

fn self_copy() -> S3Error {
    invalid_request(
        "This copy request is illegal because it is trying to copy an object to itself without changing the \
         object's metadata, storage class, website redirect location or encryption attributes.",
    )
}

fn source_too_large() -> S3Error {
    invalid_request(&format!(
        "The specified copy source is larger than the maximum allowable size for a copy source: {BODY_BYTES_MAX}"
    ))
}

fn marker_source(source: &Source) -> S3Error {
    match source.version {
        None => no_such_key(&source.key),
        Some(_) => invalid_request(
            "The source of a copy request may not specifically refer to a delete marker by version id.",
        ),
    }
}

/// `bytes=first-last`, both given.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PartRange {
    first: u64,
    last: u64,
    text: String,
}

const RANGE: &str = "x-amz-copy-source-range";

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
            None => Err(invalid_argument(
                "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are \
                 the zero-based offsets of the first and last bytes to copy",
                RANGE,
                text,
            )),
        }
    }

    /// First byte and count. Never clipped.
    fn within(&self, size: u64) -> S3Result<(u64, u64)> {
        if self.first >= size {
            return Err(invalid_request("The specified copy range is invalid for the source object size"));
        }
        if self.last >= size {
            let message = format!("Range specified is not valid for source object of size: {size}");
            return Err(invalid_argument(&message, RANGE, &self.text));
        }
        Ok((self.first, self.last.saturating_sub(self.first).saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(u64, u64), &str>) {
        let got = PartRange::parse(text).and_then(|range| range.within(10));
        let code = got.as_ref().map_err(|error| error.code().as_str().to_owned());
        assert_eq!(code, expected.as_ref().map_err(|code| (*code).to_owned()), "{text}");
    }

    #[test]
    fn ranges_are_exact_or_refused() {
        check("bytes=0-9", Ok((0, 10)));
        check("bytes=3-3", Ok((3, 1)));
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
            check(text, Err("InvalidArgument"));
        }
        check("bytes=0-10", Err("InvalidArgument"));
        check("bytes=100-200", Err("InvalidRequest"));
    }
}
