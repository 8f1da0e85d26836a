//! Multipart uploads. Completing one moves no bytes: the parts' files become the object's segments.

use crate::attributes::Attributes;
use crate::bucket::Bucket;
use crate::conditions::{WriteCondition, strip_quotes};
use crate::dates::now_ms;
use crate::digests::{Algorithm, Checksum, combine_checksums, combine_crc64, compose_checksums};
use crate::encryption::{CustomerKey, EncryptionRequest, ObjectEncryption};
use crate::errors::{
    internal_error, invalid_argument_error, invalid_request_error, malformed_xml_error, no_such_upload_error,
    s3_error,
};
use crate::meta::{CompletedUpload, MetadataWriter, Object, ObjectBody, Part, Upload, generate_upload_id};
use crate::objects::{Core, ReceivedBody, WriteOutcome};
use crate::request::RequestHead;
use crate::xml::Element;
use blobfish_dialects::encoding::hash::{decode_hex, encode_hex};
use md5::{Digest as _, Md5};
use s3s::S3Result;
use s3s::dto::StreamingBlob;
use sha2::Sha256;

const PART_NUMBER_MAX: u32 = 10_000;
/// The minimum size of every part except the last, unless the proxy sends the minimum of the client's vendor.
const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;
/// The header with that minimum.
const PART_BYTES_MIN_HEADER: &str = "x-amz-blobfish-part-bytes-min";

/// Parses a valid part number.
pub(crate) fn parse_part_number(number: i32) -> S3Result<u32> {
    u32::try_from(number).ok().filter(|number| (1..=PART_NUMBER_MAX).contains(number)).ok_or_else(|| {
        let message = "Part number must be an integer between 1 and 10000, inclusive";
        invalid_argument_error(message, "partNumber", &number.to_string())
    })
}

impl Core {
    pub(crate) async fn create_upload(
        &self,
        bucket: String,
        key: String,
        request_head: &RequestHead,
    ) -> S3Result<(String, Upload)> {
        let attributes = Attributes::read(&request_head.headers)?;
        let encryption_request = EncryptionRequest::read(&request_head.headers)?;
        let requested_algorithm = Algorithm::read_requested(&request_head.headers)?;
        let composite = resolve_composite(request_head, requested_algorithm)?;
        let id = generate_upload_id()?;
        let headers = request_head.headers.clone();
        let work = move |writing: &mut MetadataWriter<'_>| {
            let row = writing.get_bucket(&bucket)?;
            let attributes = row.apply_default_class(attributes, &headers);
            row.resolve_lock(attributes.lock)?;
            row.check_acl(attributes.acl)?;
            let sealing = row.resolve_encryption(encryption_request)?.to_encryption()?;
            // S3 computes CRC64NVME if the request names no algorithm (S3, "Checking object integrity").
            let algorithm = requested_algorithm.unwrap_or(Algorithm::Crc64Nvme);
            let (rank, chosen) = (writing.get_last_rank()?, requested_algorithm.is_some());
            let upload =
                Upload { created_ms: now_ms(), rank, attributes, sealing, algorithm, chosen, composite };
            writing.put_upload(&bucket, &key, &id, &upload)?;
            Ok((id, upload))
        };
        self.meta.write(work).await
    }

    pub(crate) async fn upload_part(
        &self,
        at: UploadLocation,
        number: u32,
        body: Option<StreamingBlob>,
        request_head: &RequestHead,
    ) -> S3Result<(Part, ObjectEncryption)> {
        let customer = CustomerKey::read(&request_head.headers)?;
        let upload = self.find_upload(&at).await?;
        if let Some(used) = request_head
            .expected_digests
            .algorithm()
            .filter(|used| upload.chosen && *used != upload.algorithm)
        {
            return Err(checksum_mismatch_error(upload.algorithm, used));
        }
        let key = upload.sealing.resolve_upload_key(customer.as_ref(), &self.meta.blobs.managed_key)?;
        let (draft, digests) = self.receive_body(body, request_head, key, upload.algorithm).await?;
        let received = ReceivedBody::new(draft, &digests, &upload.sealing, upload.algorithm);
        let part = self.publish_part(at, number, received).await?;
        Ok((part, upload.sealing))
    }

    pub(crate) async fn find_upload(&self, at: &UploadLocation) -> S3Result<Upload> {
        let at = at.clone();
        self.meta
            .read(move |reading| {
                reading.get_bucket(&at.bucket)?;
                reading.get_upload(&at.bucket, &at.key, &at.id)
            })
            .await
    }

    /// Stores a finished file as a part, if the upload is still open.
    pub(crate) async fn publish_part(
        &self,
        at: UploadLocation,
        number: u32,
        received: ReceivedBody,
    ) -> S3Result<Part> {
        let work = move |writing: &mut MetadataWriter<'_>| {
            // Checked again, because the upload may have been completed or aborted while the body was received.
            writing.get_upload(&at.bucket, &at.key, &at.id)?;
            let ReceivedBody { draft, etag, checksum } = received;
            let part = Part { modified_ms: now_ms(), etag, checksum, segment: draft.segment.clone() };
            writing.put_part(&at.id, number, &part)?;
            draft.keep();
            Ok(part)
        };
        self.meta.write(work).await
    }

    pub(crate) async fn complete_upload(
        &self,
        at: UploadLocation,
        listed_parts: Vec<ListedPart>,
        object_size: Option<i64>,
        request_head: &RequestHead,
    ) -> S3Result<WriteOutcome> {
        let condition = WriteCondition::read(&request_head.headers)?;
        let expected_checksum = request_head
            .expected_digests
            .header_checksum()
            .map(|(algorithm, value)| (algorithm, value.to_owned()));
        let bytes_min = read_part_bytes_min(request_head)?;
        let kind =
            request_head.headers.get("x-amz-checksum-type").map(|kind| kind.as_bytes() == b"COMPOSITE");
        let work = move |writing: &mut MetadataWriter<'_>| {
            let bucket = writing.get_bucket(&at.bucket)?;
            let part_list_hash = hash_part_list(&listed_parts);
            let Some(upload) = writing.find_upload(&at.bucket, &at.key, &at.id)? else {
                return repeat_completion(writing, &at, &bucket, &part_list_hash);
            };
            if kind.is_some_and(|composite| composite != upload.composite) {
                let mode = if upload.composite { "COMPOSITE" } else { "FULL_OBJECT" };
                return Err(invalid_request_error(&format!(
                    "The upload was created using the {mode} checksum mode. The complete request must use the \
                     same checksum mode."
                )));
            }
            let parts = select_parts(&at.id, &upload, &writing.list_parts(&at.id)?, &listed_parts)?;
            check_part_sizes(&parts, bytes_min)?;
            let object = build_object(&upload, &parts, object_size, expected_checksum.as_ref())?;
            // Without a condition the last writer wins, as for a put.
            if condition != WriteCondition::None {
                check_conflict(writing, &at, &upload)?;
            }
            let segments = parts.iter().map(|(_, part)| part.segment.clone()).collect();
            let sums: Option<Vec<Checksum>> = parts.iter().map(|(_, part)| part.checksum.clone()).collect();
            // Only parts with a requested algorithm show their checksums in GetObjectAttributes.
            let sums = sums.filter(|_| upload.chosen).unwrap_or_default();
            let body = ObjectBody { segments, multipart: true, sums };
            let (version, versioning) =
                writing.publish_version(&at.bucket, &at.key, object, &body, &condition)?;
            let part_numbers: Vec<u32> = parts.iter().map(|(number, _)| *number).collect();
            writing.end_upload(&at.bucket, &at.key, &at.id, &part_numbers)?;
            // In the same transaction, so that a retry after a crash finds either the upload or its result.
            let completed = CompletedUpload {
                bucket: at.bucket,
                bucket_created_ms: bucket.created_ms,
                key: at.key,
                parts: part_list_hash,
                version: version.clone(),
                versioning,
            };
            writing.put_completed_upload(&at.id, &completed)?;
            Ok(WriteOutcome { version, versioning })
        };
        self.meta.write(work).await
    }

    pub(crate) async fn abort_upload(&self, at: UploadLocation) -> S3Result<()> {
        let work = move |writing: &mut MetadataWriter<'_>| {
            writing.get_bucket(&at.bucket)?;
            writing.get_upload(&at.bucket, &at.key, &at.id)?;
            writing.end_upload(&at.bucket, &at.key, &at.id, &[])
        };
        self.meta.write(work).await
    }
}

/// The result of an earlier identical completion. The client may have lost that response and retries.
fn repeat_completion(
    writing: &MetadataWriter<'_>,
    at: &UploadLocation,
    bucket: &Bucket,
    part_list_hash: &str,
) -> S3Result<WriteOutcome> {
    let same = |row: &CompletedUpload| {
        row.bucket == at.bucket
            // A bucket that was deleted and created again is a different one, with other objects.
            && row.bucket_created_ms == bucket.created_ms
            && row.key == at.key
            && row.parts == part_list_hash
    };
    let row =
        writing.find_completed_upload(&at.id)?.filter(same).ok_or_else(|| no_such_upload_error(&at.id))?;
    Ok(WriteOutcome { version: row.version, versioning: row.versioning })
}

/// A digest that identifies the list of parts.
fn hash_part_list(listed: &[ListedPart]) -> String {
    let mut digest = Sha256::new();
    for part in listed {
        // Without quotes, because some SDKs send the ETag with quotes and some without, also in a retry.
        digest.update(format!("{} {} {:?}\n", part.number, strip_quotes(&part.etag), part.checksums));
    }
    encode_hex(&digest.finalize())
}

/// A part in a completion request.
#[derive(Clone, Debug)]
pub(crate) struct ListedPart {
    number: i32,
    /// With or without quotes.
    etag: String,
    checksums: Vec<(Algorithm, String)>,
}

impl ListedPart {
    /// Reads the document of a completion. The types of the s3s library lack the newer checksum algorithms.
    pub(crate) fn from_document(bytes: &[u8]) -> S3Result<Vec<Self>> {
        let root = Element::parse(bytes)?;
        root.children_with_name("Part").map(Self::from_element).collect()
    }

    fn from_element(part: &Element) -> S3Result<Self> {
        let number =
            part.child_text("PartNumber").unwrap_or("0").trim().parse().map_err(|_| malformed_xml_error())?;
        let sum =
            |child: &Element| Some((Algorithm::from_element(&child.name)?, child.text.trim().to_owned()));
        let etag = part.child_text("ETag").unwrap_or_default().trim().to_owned();
        Ok(Self { number, etag, checksums: part.children.iter().filter_map(sum).collect() })
    }
}

/// The location of an upload.
#[derive(Clone, Debug)]
pub(crate) struct UploadLocation {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) id: String,
}

impl UploadLocation {
    /// An upload ID in another form gives the same error as an unknown one.
    pub(crate) fn new(bucket: String, key: String, id: String) -> S3Result<Self> {
        let ours = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if ours { Ok(Self { bucket, key, id }) } else { Err(no_such_upload_error(&id)) }
    }
}

/// Whether the checksum of the object is a composite of the checksums of its parts.
fn resolve_composite(request_head: &RequestHead, requested_algorithm: Option<Algorithm>) -> S3Result<bool> {
    let kind = request_head.headers.get("x-amz-checksum-type").and_then(|kind| kind.to_str().ok());
    let incompatible_type_error = |kind: &str, algorithm: Algorithm| {
        let name = algorithm.name().to_ascii_lowercase();
        invalid_request_error(&format!(
            "The {kind} checksum type cannot be used with the {name} checksum algorithm."
        ))
    };
    match (kind, requested_algorithm) {
        (None, None) => Ok(false),
        // The default type of every algorithm except CRC64NVME is composite.
        (None, Some(algorithm)) => Ok(algorithm != Algorithm::Crc64Nvme),
        (Some(_), None) => Err(invalid_request_error(
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
        )),
        (Some("COMPOSITE"), Some(Algorithm::Crc64Nvme)) => {
            Err(incompatible_type_error("COMPOSITE", Algorithm::Crc64Nvme))
        }
        (Some("COMPOSITE"), Some(_)) => Ok(true),
        (Some("FULL_OBJECT"), Some(algorithm)) if algorithm.is_combinable() => Ok(false),
        (Some("FULL_OBJECT"), Some(algorithm)) => Err(incompatible_type_error("FULL_OBJECT", algorithm)),
        (Some(other), Some(_)) => Err(invalid_argument_error(
            "Value for x-amz-checksum-type header is invalid.",
            "x-amz-checksum-type",
            other,
        )),
    }
}

fn checksum_mismatch_error(expected: Algorithm, used: Algorithm) -> s3s::S3Error {
    let (expected, used) = (expected.name().to_ascii_lowercase(), used.name().to_ascii_lowercase());
    invalid_request_error(&format!(
        "Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum Type: {used}"
    ))
}

/// The uploaded parts that the request lists, which must be in ascending order.
fn select_parts(
    id: &str,
    upload: &Upload,
    uploaded: &[(u32, Part)],
    listed: &[ListedPart],
) -> S3Result<Vec<(u32, Part)>> {
    if listed.is_empty() {
        return Err(invalid_request_error("You must specify at least one part"));
    }
    let mut chosen: Vec<(u32, Part)> = Vec::new();
    for wanted in listed {
        let number = parse_part_number(wanted.number)?;
        if chosen.last().is_some_and(|(last, _)| *last >= number) {
            let message =
                "The list of parts was not in ascending order. Parts must be ordered by part number.";
            return Err(s3_error(400, "InvalidPartOrder", message, &[("UploadId", id)]));
        }
        let etag = strip_quotes(&wanted.etag);
        // The parts come from the table in the order of their numbers.
        let found = uploaded.binary_search_by_key(&number, |(number, _)| *number).ok();
        let part =
            found.and_then(|at| uploaded.get(at)).map(|(_, part)| part).filter(|part| part.etag == etag);
        let part = part
            .filter(|part| has_same_checksums(wanted, part))
            .ok_or_else(|| invalid_part_error(id, number, etag))?;
        if upload.composite && wanted.checksums.is_empty() {
            let name = upload.algorithm.name().to_ascii_lowercase();
            return Err(invalid_request_error(&format!(
                "The upload was created using a {name} checksum. The complete request must include the checksum \
                 for each part. It was missing for part {number} in the request."
            )));
        }
        chosen.push((number, part.clone()));
    }
    Ok(chosen)
}

/// Vendors have different minimum part sizes, and demo mode serves clients of each.
fn read_part_bytes_min(request_head: &RequestHead) -> S3Result<u64> {
    let Some(value) = request_head.headers.get(PART_BYTES_MIN_HEADER) else { return Ok(PART_BYTES_MIN) };
    let text = value.to_str().unwrap_or_default();
    text.parse().map_err(|_| invalid_argument_error("Not a number of bytes", PART_BYTES_MIN_HEADER, text))
}

fn check_part_sizes(parts: &[(u32, Part)], bytes_min: u64) -> S3Result<()> {
    let small = parts.iter().rev().skip(1).rev().find(|(_, part)| part.segment.length < bytes_min);
    small.map_or(Ok(()), |(number, part)| Err(part_too_small_error(*number, part, bytes_min)))
}

fn has_same_checksums(wanted: &ListedPart, part: &Part) -> bool {
    let is_equal = |(algorithm, value): &(Algorithm, String)| {
        part.checksum.as_ref().is_some_and(|sum| sum.algorithm == *algorithm && sum.value == *value)
    };
    wanted.checksums.iter().all(is_equal)
}

fn invalid_part_error(id: &str, number: u32, etag: &str) -> s3s::S3Error {
    let message = "One or more of the specified parts could not be found. The part may not have been uploaded, or \
                   the specified entity tag may not match the part's entity tag.";
    let number = number.to_string();
    s3_error(400, "InvalidPart", message, &[("UploadId", id), ("PartNumber", &number), ("ETag", etag)])
}

fn part_too_small_error(number: u32, part: &Part, bytes_min: u64) -> s3s::S3Error {
    let message = "Your proposed upload is smaller than the minimum allowed size";
    let (size, min, number) = (part.segment.length.to_string(), bytes_min.to_string(), number.to_string());
    let elements = [
        ("ProposedSize", size.as_str()),
        ("MinSizeAllowed", &min),
        ("PartNumber", &number),
        ("ETag", &part.etag),
    ];
    s3_error(400, "EntityTooSmall", message, &elements)
}

/// Builds the object from its parts.
fn build_object(
    upload: &Upload,
    parts: &[(u32, Part)],
    object_size: Option<i64>,
    expected_checksum: Option<&(Algorithm, String)>,
) -> S3Result<Object> {
    let size = parts.iter().fold(0, |sum: u64, (_, part)| sum.saturating_add(part.segment.length));
    if let Some(stated) = object_size.filter(|stated| u64::try_from(*stated).ok() != Some(size)) {
        return Err(invalid_request_error(&format!(
            "The provided 'x-amz-mp-object-size' header value {stated} does not match what was computed: {size}"
        )));
    }
    let mut md5 = Md5::new();
    for (_, part) in parts {
        md5.update(decode_hex(&part.etag).ok_or_else(|| internal_error("the ETag of a part"))?);
    }
    let etag = format!("{}-{}", encode_hex(&md5.finalize()), parts.len());
    let checksum = compute_object_checksum(upload, parts);
    if let Some((algorithm, value)) = expected_checksum {
        let actual = checksum.as_ref().and_then(|checksum| checksum.value_for(*algorithm));
        // S3 accepts a composite value without the number of parts.
        let is_equal = actual
            .as_ref()
            .is_some_and(|held| held == value || held.split('-').next() == Some(value.as_str()));
        if !is_equal {
            let name = algorithm.name();
            return Err(crate::errors::bad_digest_error(&format!(
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
        crc64: compute_object_crc64(parts),
        appendable: false,
    })
}

fn compute_object_checksum(upload: &Upload, parts: &[(u32, Part)]) -> Option<Checksum> {
    let sums: Option<Vec<(&Checksum, u64)>> =
        parts.iter().map(|(_, part)| Some((part.checksum.as_ref()?, part.segment.length))).collect();
    let sums = sums?;
    if upload.composite {
        compose_checksums(sums.iter().map(|sum| sum.0))
    } else {
        combine_checksums(sums.into_iter())
    }
}

fn compute_object_crc64(parts: &[(u32, Part)]) -> Option<u64> {
    let mut segments = parts.iter().map(|(_, part)| &part.segment);
    let first = segments.next()?.crc64;
    segments.fold(first, |sum, next| combine_crc64(sum, next.crc64, next.length))
}

/// The condition of a completion also fails if the object changed since the upload was created.
fn check_conflict(writing: &MetadataWriter<'_>, at: &UploadLocation, upload: &Upload) -> S3Result<()> {
    let current = writing.find_current_version(&at.bucket, &at.key)?;
    if current.is_none_or(|found| found.rank >= upload.rank) {
        return Ok(());
    }
    let message =
        "The conditional request cannot succeed due to a conflicting operation against this resource.";
    Err(s3_error(
        409,
        "ConditionalRequestConflict",
        message,
        &[("Condition", "If-None-Match"), ("Key", &at.key)],
    ))
}
