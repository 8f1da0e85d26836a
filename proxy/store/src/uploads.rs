//! Multipart uploads. Completing one moves no bytes: the parts' files become the object's segments.

use crate::attributes::Attributes;
use crate::conditions::{WriteCondition, unquoted};
use crate::digests::{Algorithm, Checksum, combined, composed, hex, joined_crc64, unhex};
use crate::errors::{fault, internal, invalid_argument, invalid_request, malformed_xml, no_such_upload};
use crate::meta::{Body, Bucket, Completed, Object, Part, Upload, Writing, now_ms, upload_id};
use crate::objects::{Core, Received, Written};
use crate::request::Facts;
use crate::sealing::{CustomerKey, Sealing, Wish};
use crate::xml::Element;
use md5::{Digest as _, Md5};
use s3s::S3Result;
use s3s::dto::StreamingBlob;
use sha2::Sha256;

const PART_NUMBER_MAX: u32 = 10_000;
/// Every part but the last, where the front door does not say what its caller's vendor asks for.
const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;
/// What it says that in.
const PART_BYTES_MIN_HEADER: &str = "x-amz-blobfish-part-bytes-min";

/// A part number that may be one.
pub(crate) fn part_number(number: i32) -> S3Result<u32> {
    u32::try_from(number).ok().filter(|number| (1..=PART_NUMBER_MAX).contains(number)).ok_or_else(|| {
        let message = "Part number must be an integer between 1 and 10000, inclusive";
        invalid_argument(message, "partNumber", &number.to_string())
    })
}

impl Core {
    pub(crate) async fn create_upload(
        &self,
        bucket: String,
        key: String,
        facts: &Facts,
    ) -> S3Result<(String, Upload)> {
        let attributes = Attributes::read(&facts.headers)?;
        let wish = Wish::read(&facts.headers)?;
        let asked = Algorithm::asked(&facts.headers)?;
        let composite = composite(facts, asked)?;
        let id = upload_id()?;
        let headers = facts.headers.clone();
        let work = move |writing: &mut Writing<'_>| {
            let row = writing.bucket(&bucket)?;
            let attributes = attributes.within(&row, &headers);
            row.lock_of(attributes.lock)?;
            row.check_acl(attributes.acl)?;
            let sealing = wish.within(&row)?.sealing()?;
            let algorithm = asked.unwrap_or(Algorithm::Crc64Nvme);
            let (rank, chosen) = (writing.last_rank()?, asked.is_some());
            let upload =
                Upload { created_ms: now_ms(), rank, attributes, sealing, algorithm, chosen, composite };
            writing.put_upload(&bucket, &key, &id, &upload)?;
            Ok((id, upload))
        };
        self.meta.write(work).await
    }

    pub(crate) async fn upload_part(
        &self,
        at: UploadAt,
        number: u32,
        body: Option<StreamingBlob>,
        facts: &Facts,
    ) -> S3Result<(Part, Sealing)> {
        let customer = CustomerKey::read(&facts.headers)?;
        let upload = self.find_upload(&at).await?;
        if let Some(used) =
            facts.promised.algorithm().filter(|used| upload.chosen && *used != upload.algorithm)
        {
            return Err(other_checksum(upload.algorithm, used));
        }
        let key = upload.sealing.open_upload(customer.as_ref(), &self.meta.blobs.managed)?;
        let (draft, digests) = self.receive(body, facts, key, upload.algorithm).await?;
        let received = Received::new(draft, &digests, &upload.sealing, upload.algorithm);
        let part = self.publish_part(at, number, received).await?;
        Ok((part, upload.sealing))
    }

    pub(crate) async fn find_upload(&self, at: &UploadAt) -> S3Result<Upload> {
        let at = at.clone();
        self.meta
            .read(move |reading| {
                reading.bucket(&at.bucket)?;
                reading.upload(&at.bucket, &at.key, &at.id)
            })
            .await
    }

    /// Makes a finished file a part, if the upload is still open.
    pub(crate) async fn publish_part(&self, at: UploadAt, number: u32, received: Received) -> S3Result<Part> {
        let work = move |writing: &mut Writing<'_>| {
            writing.upload(&at.bucket, &at.key, &at.id)?;
            let Received { draft, etag, checksum } = received;
            let part = Part { modified_ms: now_ms(), etag, checksum, segment: draft.segment.clone() };
            writing.put_part(&at.id, number, &part)?;
            draft.keep();
            Ok(part)
        };
        self.meta.write(work).await
    }

    pub(crate) async fn complete_upload(
        &self,
        at: UploadAt,
        listed: Vec<ListedPart>,
        object_size: Option<i64>,
        facts: &Facts,
    ) -> S3Result<Written> {
        let condition = WriteCondition::read(&facts.headers)?;
        let promised = facts.promised.value().map(|(algorithm, value)| (algorithm, value.to_owned()));
        let bytes_min = part_bytes_min(facts)?;
        let kind = facts.headers.get("x-amz-checksum-type").map(|kind| kind.as_bytes() == b"COMPOSITE");
        let work = move |writing: &mut Writing<'_>| {
            let bucket = writing.bucket(&at.bucket)?;
            let asked = digest_of(&listed);
            let Some(upload) = writing.find_upload(&at.bucket, &at.key, &at.id)? else {
                return completed_before(writing, &at, &bucket, &asked);
            };
            if kind.is_some_and(|composite| composite != upload.composite) {
                let mode = if upload.composite { "COMPOSITE" } else { "FULL_OBJECT" };
                return Err(invalid_request(&format!(
                    "The upload was created using the {mode} checksum mode. The complete request must use the \
                     same checksum mode."
                )));
            }
            let parts = chosen_parts(&at.id, &upload, &writing.parts(&at.id)?, &listed)?;
            check_sizes(&parts, bytes_min)?;
            let object = assembled(&upload, &parts, object_size, promised.as_ref())?;
            if condition != WriteCondition::None {
                refuse_conflict(writing, &at, &upload)?;
            }
            let segments = parts.iter().map(|(_, part)| part.segment.clone()).collect();
            let sums: Option<Vec<Checksum>> = parts.iter().map(|(_, part)| part.checksum.clone()).collect();
            let sums = sums.filter(|_| upload.chosen).unwrap_or_default();
            let body = Body { segments, multipart: true, sums };
            let (version, versioning) = writing.publish(&at.bucket, &at.key, object, &body, &condition)?;
            let kept: Vec<u32> = parts.iter().map(|(number, _)| *number).collect();
            writing.end_upload(&at.bucket, &at.key, &at.id, &kept)?;
            let completed = Completed {
                bucket: at.bucket,
                bucket_created_ms: bucket.created_ms,
                key: at.key,
                parts: asked,
                version: version.clone(),
                versioning,
            };
            writing.put_completed(&at.id, &completed)?;
            Ok(Written { version, versioning })
        };
        self.meta.write(work).await
    }

    pub(crate) async fn abort_upload(&self, at: UploadAt) -> S3Result<()> {
        let work = move |writing: &mut Writing<'_>| {
            writing.bucket(&at.bucket)?;
            writing.upload(&at.bucket, &at.key, &at.id)?;
            writing.end_upload(&at.bucket, &at.key, &at.id, &[])
        };
        self.meta.write(work).await
    }
}

/// What an upload was completed to before, where the same is asked again: the answer may have been lost.
fn completed_before(writing: &Writing<'_>, at: &UploadAt, bucket: &Bucket, asked: &str) -> S3Result<Written> {
    let same = |row: &Completed| {
        row.bucket == at.bucket
            && row.bucket_created_ms == bucket.created_ms
            && row.key == at.key
            && row.parts == asked
    };
    let row = writing.completed(&at.id)?.filter(same).ok_or_else(|| no_such_upload(&at.id))?;
    Ok(Written { version: row.version, versioning: row.versioning })
}

/// A digest by which the same list of parts is recognised.
fn digest_of(listed: &[ListedPart]) -> String {
    let mut digest = Sha256::new();
    for part in listed {
        digest.update(format!("{} {} {:?}\n", part.number, unquoted(&part.etag), part.sums));
    }
    hex(&digest.finalize())
}

/// A part as a completing request names it.
#[derive(Clone, Debug)]
pub(crate) struct ListedPart {
    number: i32,
    /// With or without quotes.
    etag: String,
    sums: Vec<(Algorithm, String)>,
}

impl ListedPart {
    /// Reads the document of a completing request: the protocol library's types know too few checksums.
    pub(crate) fn of_document(bytes: &[u8]) -> S3Result<Vec<Self>> {
        let root = Element::read(bytes)?;
        root.all("Part").map(Self::of_element).collect()
    }

    fn of_element(part: &Element) -> S3Result<Self> {
        let number = part.text_of("PartNumber").unwrap_or("0").trim().parse().map_err(|_| malformed_xml())?;
        let sum = |child: &Element| Some((Algorithm::of_element(&child.name)?, child.text.trim().to_owned()));
        let etag = part.text_of("ETag").unwrap_or_default().trim().to_owned();
        Ok(Self { number, etag, sums: part.children.iter().filter_map(sum).collect() })
    }
}

/// Where an upload is.
#[derive(Clone, Debug)]
pub(crate) struct UploadAt {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) id: String,
}

impl UploadAt {
    /// An upload id that cannot be one of ours is as unknown as any other.
    pub(crate) fn new(bucket: String, key: String, id: String) -> S3Result<Self> {
        let ours = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if ours { Ok(Self { bucket, key, id }) } else { Err(no_such_upload(&id)) }
    }
}

/// Whether the checksum of the whole is to be composed of the parts'.
fn composite(facts: &Facts, asked: Option<Algorithm>) -> S3Result<bool> {
    let kind = facts.headers.get("x-amz-checksum-type").and_then(|kind| kind.to_str().ok());
    let cannot = |kind: &str, algorithm: Algorithm| {
        let name = algorithm.name().to_ascii_lowercase();
        invalid_request(&format!(
            "The {kind} checksum type cannot be used with the {name} checksum algorithm."
        ))
    };
    match (kind, asked) {
        (None, None) => Ok(false),
        (None, Some(algorithm)) => Ok(algorithm != Algorithm::Crc64Nvme),
        (Some(_), None) => Err(invalid_request(
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
        )),
        (Some("COMPOSITE"), Some(Algorithm::Crc64Nvme)) => Err(cannot("COMPOSITE", Algorithm::Crc64Nvme)),
        (Some("COMPOSITE"), Some(_)) => Ok(true),
        (Some("FULL_OBJECT"), Some(algorithm)) if algorithm.combines() => Ok(false),
        (Some("FULL_OBJECT"), Some(algorithm)) => Err(cannot("FULL_OBJECT", algorithm)),
        (Some(other), Some(_)) => Err(invalid_argument(
            "Value for x-amz-checksum-type header is invalid.",
            "x-amz-checksum-type",
            other,
        )),
    }
}

fn other_checksum(expected: Algorithm, used: Algorithm) -> s3s::S3Error {
    let (expected, used) = (expected.name().to_ascii_lowercase(), used.name().to_ascii_lowercase());
    invalid_request(&format!(
        "Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum Type: {used}"
    ))
}

/// The uploaded parts the caller listed, in its order, which must be ascending.
fn chosen_parts(
    id: &str,
    upload: &Upload,
    uploaded: &[(u32, Part)],
    listed: &[ListedPart],
) -> S3Result<Vec<(u32, Part)>> {
    if listed.is_empty() {
        return Err(invalid_request("You must specify at least one part"));
    }
    let mut chosen: Vec<(u32, Part)> = Vec::new();
    for wanted in listed {
        let number = part_number(wanted.number)?;
        if chosen.last().is_some_and(|(last, _)| *last >= number) {
            let message =
                "The list of parts was not in ascending order. Parts must be ordered by part number.";
            return Err(fault(400, "InvalidPartOrder", message, &[("UploadId", id)]));
        }
        let etag = unquoted(&wanted.etag);
        let found = uploaded.binary_search_by_key(&number, |(number, _)| *number).ok();
        let part =
            found.and_then(|at| uploaded.get(at)).map(|(_, part)| part).filter(|part| part.etag == etag);
        let part = part
            .filter(|part| checksums_agree(wanted, part))
            .ok_or_else(|| invalid_part(id, number, etag))?;
        if upload.composite && wanted.sums.is_empty() {
            let name = upload.algorithm.name().to_ascii_lowercase();
            return Err(invalid_request(&format!(
                "The upload was created using a {name} checksum. The complete request must include the checksum \
                 for each part. It was missing for part {number} in the request."
            )));
        }
        chosen.push((number, part.clone()));
    }
    Ok(chosen)
}

/// Vendors differ in how small a part may be, and callers of each are served here.
fn part_bytes_min(facts: &Facts) -> S3Result<u64> {
    let Some(value) = facts.headers.get(PART_BYTES_MIN_HEADER) else { return Ok(PART_BYTES_MIN) };
    let text = value.to_str().unwrap_or_default();
    text.parse().map_err(|_| invalid_argument("Not a number of bytes", PART_BYTES_MIN_HEADER, text))
}

fn check_sizes(parts: &[(u32, Part)], bytes_min: u64) -> S3Result<()> {
    let small = parts.iter().rev().skip(1).rev().find(|(_, part)| part.segment.length < bytes_min);
    small.map_or(Ok(()), |(number, part)| Err(too_small(*number, part, bytes_min)))
}

fn checksums_agree(wanted: &ListedPart, part: &Part) -> bool {
    let agrees = |(algorithm, value): &(Algorithm, String)| {
        part.checksum.as_ref().is_some_and(|sum| sum.algorithm == *algorithm && sum.value == *value)
    };
    wanted.sums.iter().all(agrees)
}

fn invalid_part(id: &str, number: u32, etag: &str) -> s3s::S3Error {
    let message = "One or more of the specified parts could not be found. The part may not have been uploaded, or \
                   the specified entity tag may not match the part's entity tag.";
    let number = number.to_string();
    fault(400, "InvalidPart", message, &[("UploadId", id), ("PartNumber", &number), ("ETag", etag)])
}

fn too_small(number: u32, part: &Part, bytes_min: u64) -> s3s::S3Error {
    let message = "Your proposed upload is smaller than the minimum allowed size";
    let (size, min, number) = (part.segment.length.to_string(), bytes_min.to_string(), number.to_string());
    let elements = [
        ("ProposedSize", size.as_str()),
        ("MinSizeAllowed", &min),
        ("PartNumber", &number),
        ("ETag", &part.etag),
    ];
    fault(400, "EntityTooSmall", message, &elements)
}

/// The object the parts make.
fn assembled(
    upload: &Upload,
    parts: &[(u32, Part)],
    object_size: Option<i64>,
    promised: Option<&(Algorithm, String)>,
) -> S3Result<Object> {
    let size = parts.iter().fold(0, |sum: u64, (_, part)| sum.saturating_add(part.segment.length));
    if let Some(told) = object_size.filter(|told| u64::try_from(*told).ok() != Some(size)) {
        return Err(invalid_request(&format!(
            "The provided 'x-amz-mp-object-size' header value {told} does not match what was computed: {size}"
        )));
    }
    let mut md5 = Md5::new();
    for (_, part) in parts {
        md5.update(unhex(&part.etag).ok_or_else(|| internal("the ETag of a part"))?);
    }
    let etag = format!("{}-{}", hex(&md5.finalize()), parts.len());
    let checksum = whole_checksum(upload, parts);
    if let Some((algorithm, value)) = promised {
        let held = checksum.as_ref().and_then(|checksum| checksum.value_of(*algorithm));
        // A composite value may come without its count.
        let agrees =
            held.as_ref().is_some_and(|held| held == value || held.split('-').next() == Some(value.as_str()));
        if !agrees {
            let name = algorithm.name();
            return Err(crate::errors::bad_digest(&format!(
                "The {name} you specified did not match the calculated checksum."
            )));
        }
    }
    Ok(Object {
        size,
        etag,
        checksum,
        attributes: upload.attributes.clone(),
        sealing: upload.sealing.clone(),
        restored_until_ms: None,
        crc64: whole_crc64(parts),
        appendable: false,
    })
}

fn whole_checksum(upload: &Upload, parts: &[(u32, Part)]) -> Option<Checksum> {
    let sums: Option<Vec<(&Checksum, u64)>> =
        parts.iter().map(|(_, part)| Some((part.checksum.as_ref()?, part.segment.length))).collect();
    let sums = sums?;
    if upload.composite { composed(sums.iter().map(|sum| sum.0)) } else { combined(sums.into_iter()) }
}

fn whole_crc64(parts: &[(u32, Part)]) -> Option<u64> {
    let mut segments = parts.iter().map(|(_, part)| &part.segment);
    let first = segments.next()?.crc64;
    segments.fold(first, |sum, next| joined_crc64(sum, next.crc64, next.length))
}

/// A conditional completion is decided against what was there when the upload began.
fn refuse_conflict(writing: &Writing<'_>, at: &UploadAt, upload: &Upload) -> S3Result<()> {
    let current = writing.current(&at.bucket, &at.key)?;
    if current.is_none_or(|found| found.rank >= upload.rank) {
        return Ok(());
    }
    let message =
        "The conditional request cannot succeed due to a conflicting operation against this resource.";
    Err(fault(
        409,
        "ConditionalRequestConflict",
        message,
        &[("Condition", "If-None-Match"), ("Key", &at.key)],
    ))
}
