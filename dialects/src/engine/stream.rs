//! Requests whose payload is streamed: the heads both ways.

use crate::engine::answer;
use crate::engine::body::{Digests, DigestsToCompute};
use crate::engine::dialect::Dialect;
use crate::engine::exchange::{TargetResponse, overwrite_fault};
use crate::engine::loss::Loss;
use crate::engine::way::Route;
use crate::engine::{crc64, etag, sound, tell, write};
use crate::model::{
    Checksum, ChecksumAlgorithm, Document, Encryption, ErrorKind, Field, Fields, Operation, OutgoingRequest,
    PayloadHash, Rejection, Request, Response, ResponseField, Timestamp, Value,
};
use crate::wire::{date, hash};

/// The signed head to send, and what it could not say. `length` is the decoded body's, for uploads; without one
/// the shell sends the body in chunks.
///
/// # Errors
/// What is refused before any target is contacted.
pub fn build_request(
    way: &Route<'_>,
    request: &Request,
    length: Option<u64>,
    now: Timestamp,
) -> Result<(OutgoingRequest, Vec<Loss>), Rejection> {
    let (mut outgoing, losses) = write::write_request(way, request)?;
    if request.operation.is_upload() {
        match length {
            Some(length) if length > way.caller.limits.upload_bytes_max => {
                return Err(Rejection::new(ErrorKind::EntityTooLarge)
                    .with_detail("ProposedSize", length.to_string())
                    .with_detail("MaxSizeAllowed", way.caller.limits.upload_bytes_max.to_string()));
            }
            Some(length) => {
                outgoing.headers.push(("content-length".to_owned(), length.to_string().into_bytes()));
            }
            None if !way.target.dialect.supports_chunked_uploads => {
                return Err(ErrorKind::MissingContentLength.into());
            }
            None => outgoing.headers.push(("transfer-encoding".to_owned(), b"chunked".to_vec())),
        }
    }
    outgoing.payload_hash = PayloadHash::Unsigned;
    way.target.auth.sign(
        &mut outgoing,
        &way.target.credentials.current(),
        &way.target.region,
        way.target.clock.to_target_time(now),
    );
    Ok((outgoing, losses))
}

/// Whether a put has to promise its target what it sends, since that locks it.
fn promises(way: &Route<'_>, request: &Request) -> bool {
    let locks = [Field::LockMode, Field::LockUntil, Field::LegalHold];
    let puts = request.operation == Operation::PutObject;
    puts && way.target.dialect.needs_lock_digest && locks.iter().any(|field| request.fields.has(*field))
}

/// Whether a checksum of the caller stands in the head that the target compares too.
fn hands_on(way: &Route<'_>, request: &Request) -> bool {
    let target = way.target.dialect;
    let known = |checksum: &Checksum| {
        checksum.value.is_some() && target.checksum_header(checksum.algorithm).is_some()
    };
    target.keeps_checksums() && request.checksums.iter().any(known)
}

/// Whether the target has to be told a digest of the body that the caller did not say in the head.
pub fn needs_digest(way: &Route<'_>, request: &Request) -> bool {
    promises(way, request) && !hands_on(way, request) && !request.fields.has(Field::ContentMd5)
}

/// The same request with the digest of its body.
pub fn with_digest(mut request: Request, body: &[u8]) -> Request {
    request.fields.set(Field::ContentMd5, Value::Text(hash::md5_base64(body)));
    request
}

/// Whether the target can be told more of a body that was read before its head is sent: what the caller says only behind
/// the body, and a CRC-64 to keep.
pub fn can_tell_more(way: &Route<'_>, request: &Request) -> bool {
    let trails = request.checksums.iter().any(|checksum| checksum.value.is_none());
    (trails && way.target.dialect.keeps_checksums()) || crc64::keeps_crc64(way, request)
}

/// The same request with all that can be told of its body.
pub fn with_sums(way: &Route<'_>, mut request: Request, sums: &Digests) -> Request {
    for checksum in request.checksums.iter_mut().filter(|checksum| checksum.value.is_none()) {
        let found = sums.checksums.iter().find(|row| row.0 == checksum.algorithm);
        checksum.value = found.map(|row| row.1.clone());
    }
    if crc64::keeps_crc64(way, &request) {
        crc64::store_crc64(way, &mut request, sums);
    }
    request
}

/// What is computed of an upload: a CRC-64 where the caller's SDK or the target tells one, an MD5 where the target's ETag
/// is one, and what a target tells of its own accord; of an appended piece an MD5 where the caller's SDK compares that.
pub fn wants(way: &Route<'_>, request: &Request) -> DigestsToCompute {
    let told = |dialect: &Dialect, field: ResponseField| (dialect.response_field_name)(field).is_some();
    let appends = request.operation == Operation::AppendObject;
    let crc64 =
        told(way.caller, ResponseField::Crc64Ecma) || told(way.target.dialect, ResponseField::Crc64Ecma);
    let target = way.target.dialect;
    let md5 = if appends { told(way.caller, ResponseField::PieceMd5) } else { tells_md5(target, request) };
    DigestsToCompute { crc64: crc64 && !appends, md5, crc64_nvme: target.keeps_checksums() && !appends }
}

/// Whether the ETag of what is written is the MD5 of its bytes, as far as the request says.
fn tells_md5(target: &Dialect, request: &Request) -> bool {
    let sealed = request.fields.has(Field::CustomerKey)
        || matches!(request.fields.get(Field::Encryption), Some(Value::Encryption(way)) if *way != Encryption::Aes256);
    target.etag_is_md5 && !sealed
}

/// Whether what a target says of the bytes that it stored is what was sent. Its checksums stay in the answer where they
/// were compared.
///
/// # Errors
/// An internal error: what is stored is something else.
fn compare(
    way: &Route<'_>,
    request: &Request,
    answer: &TargetResponse,
    reply: &mut Response,
    sums: &Digests,
) -> Result<(), Rejection> {
    let target = way.target.dialect;
    let found = |algorithm: ChecksumAlgorithm| sums.checksums.iter().find(|row| row.0 == algorithm);
    for (algorithm, told) in &reply.checksums {
        if found(*algorithm).is_some_and(|row| row.1 != *told) {
            return Err(answer::reject_stored_mismatch());
        }
    }
    reply.checksums.retain(|row| found(row.0).is_some());
    if !target.keeps_checksums() {
        // S3 answers what it compared, and SDKs name it when they complete an upload.
        let said = request.checksums.iter().filter_map(|checksum| found(checksum.algorithm));
        let said = said.filter(|row| row.0 != ChecksumAlgorithm::Crc64Ecma);
        reply.checksums.extend(said.cloned());
    }
    let told = |field: ResponseField| (target.response_field_name)(field).and_then(|name| answer.text(name));
    let sealed = told(ResponseField::EncryptionKeyId).is_some()
        || told(ResponseField::CustomerAlgorithm).is_some()
        || told(ResponseField::Encryption)
            .is_some_and(|word| target.words.encryption.value(word) != Some(Encryption::Aes256));
    let etag = told(ResponseField::Etag).map(etag::strip_quotes).unwrap_or_default();
    let plain = etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit());
    match &sums.md5 {
        Some(md5) if target.etag_is_md5 && plain && !sealed && !etag.eq_ignore_ascii_case(md5) => {
            Err(answer::reject_stored_mismatch())
        }
        _ => Ok(()),
    }
}

/// The caller's head for a target's answer of 200 to 299 or 304. For uploads, after the whole body was sent and
/// the target's answer read, `sums` are of the bytes that passed.
///
/// # Errors
/// An answer that claims what cannot be true: refuse, and break off.
pub fn read_streamed_response(
    way: &Route<'_>,
    request: &Request,
    answer: &TargetResponse,
    sums: Option<&Digests>,
) -> Result<Response, Rejection> {
    sound::check_head(way, request, answer)?;
    let mut reply = answer::read_response_head(way, request.operation, answer);
    if request.operation.is_upload() {
        if let Some(refused) = answer::check_empty_body(way, answer) {
            return Err(refused.rejection);
        }
        if let (Some(Value::Number(position)), Some(sums), Some(next)) =
            (request.fields.get(Field::Position), sums, reply.text(ResponseField::NextAppendPosition))
            && next.parse::<u64>().ok() != position.checked_add(sums.bytes)
        {
            return Err(answer::reject_incomplete_response());
        }
        if let Some(sums) = sums.filter(|_| request.operation != Operation::AppendObject) {
            compare(way, request, answer, &mut reply, sums)?;
        }
        if let Some(crc64) = sums.and_then(|sums| sums.crc64) {
            let crc64 = crc64.to_string();
            if reply.text(ResponseField::Crc64Ecma).is_some_and(|told| told != crc64) {
                return Err(answer::reject_stored_mismatch());
            }
            reply.set(ResponseField::Crc64Ecma, crc64);
        }
        if let Some(md5) =
            sums.and_then(|sums| sums.md5.as_ref()).filter(|_| request.operation == Operation::AppendObject)
        {
            reply.set(ResponseField::PieceMd5, md5.as_bytes());
        }
    }
    if !request.operation.is_upload() && !request.fields.has(Field::ChecksumMode) {
        reply.checksums.clear();
        reply.remove(ResponseField::ChecksumType);
    }
    answer::add_caller_fields(way.caller, request.operation, &mut reply);
    Ok(reply)
}

/// The caller's answer to a target's failure (any other status, with its whole bounded body).
pub fn failure(way: &Route<'_>, request: &Request, answer: &TargetResponse) -> Response {
    let refusal = refusal(way, request, answer);
    let mut reply = tell::build_error_response(way.caller, &refusal);
    if refusal.kind == ErrorKind::AppendPosition {
        let name = (way.target.dialect.response_field_name)(ResponseField::NextAppendPosition);
        if let Some(position) = name.and_then(|name| answer.text(name)) {
            reply.set(ResponseField::NextAppendPosition, position);
        }
    }
    reply
}

/// A target's failure as the caller is to hear of it.
pub fn refusal(way: &Route<'_>, request: &Request, answer: &TargetResponse) -> Rejection {
    let refused = answer::read_target_error(way, answer);
    if answer.status / 100 == 2 || !sound::may_fail_so(request, refused.kind) {
        return answer::reject_incomplete_response();
    }
    match refused.kind {
        ErrorKind::PreconditionFailed if request.operation.is_write() => {
            overwrite_fault(&request.fields).map_or(refused.rejection, Rejection::from)
        }
        _ => refused.rejection,
    }
}

/// The request that tells where an appended piece should have begun, where the caller's SDK wants to hear it and the
/// target did not say.
///
/// # Errors
/// As [`outgoing`].
pub fn ask_position(
    way: &Route<'_>,
    request: &Request,
    reply: &Response,
    now: Timestamp,
) -> Option<Result<OutgoingRequest, Rejection>> {
    let refused = matches!(&reply.document, Some(Document::Error(error)) if error.kind == Some(ErrorKind::AppendPosition));
    let untold = (way.caller.response_field_name)(ResponseField::NextAppendPosition).is_some()
        && reply.text(ResponseField::NextAppendPosition).is_none();
    (refused && untold).then(|| {
        let key = request.key.clone().unwrap_or_default();
        let head = Request::for_object(Operation::HeadObject, way.bucket.clone(), key, Fields::default());
        build_request(way, &head, None, now).map(|(outgoing, _)| outgoing)
    })
}

/// Takes the position from the answer to [`ask_position`].
pub fn take_position(reply: &mut Response, answer: &TargetResponse) {
    if let Some(length) = answer.text("content-length").filter(|_| answer.status == 200) {
        reply.set(ResponseField::NextAppendPosition, length);
    }
}

/// One part of an object, read at a target that does not tell parts apart: the object is told as one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinglePart(u64);

/// The request as a target is asked that does not tell parts apart, and the part that was asked for. `None`: the target
/// does, or no part was asked for.
pub fn only_part(way: &Route<'_>, request: &Request) -> Option<(Request, SinglePart)> {
    let told_apart = way.target.dialect.target_field_name(Field::PartNumber, request.operation).is_some();
    (!told_apart).then(|| as_only_part(request)).flatten()
}

/// The same for a target that passed over the number of the part: it answers with everything, and says nothing of parts.
pub fn passed_over_part(
    way: &Route<'_>,
    request: &Request,
    answer: &TargetResponse,
) -> Option<(Request, SinglePart)> {
    let told = |field: ResponseField| {
        (way.target.dialect.response_field_name)(field).is_some_and(|name| answer.header(name).is_some())
    };
    let passed_over =
        answer.status == 200 && !told(ResponseField::PartsCount) && !told(ResponseField::ContentRange);
    passed_over.then(|| as_only_part(request)).flatten()
}

fn as_only_part(request: &Request) -> Option<(Request, SinglePart)> {
    let reads = matches!(request.operation, Operation::GetObject | Operation::HeadObject);
    let number = request.fields.number(Field::PartNumber).filter(|_| reads)?;
    let mut sent = request.clone();
    sent.fields.remove(Field::PartNumber);
    // Whether there is such an object is all that is asked.
    if number != 1 {
        sent.operation = Operation::HeadObject;
    }
    Some((sent, SinglePart(number)))
}

impl SinglePart {
    /// Makes of the reply about the whole object that about its only part.
    ///
    /// # Errors
    /// `InvalidPartNumber`: there is no other part.
    pub fn convert_response(self, mut reply: Response) -> Result<Response, Rejection> {
        if reply.status == 304 {
            return Ok(reply);
        }
        if self.0 != 1 {
            return Err(Rejection::new(ErrorKind::InvalidPartNumber)
                .with_detail("ActualPartCount", "1")
                .with_detail("PartNumberRequested", self.0.to_string()));
        }
        reply.set(ResponseField::PartsCount, "1");
        let length = reply.text(ResponseField::ContentLength).and_then(|text| text.parse::<u64>().ok());
        // Nothing has no range.
        if let Some(last) = length.and_then(|length| length.checked_sub(1)) {
            reply.status = 206;
            reply.set(ResponseField::ContentRange, format!("bytes 0-{last}/{}", last.saturating_add(1)));
        }
        Ok(reply)
    }
}

/// Whether a range was to be read of another object than the target has now (RFC 9110, 13.1.5). A failure says nothing of
/// the object, so that the whole is read then.
fn is_of_another(way: &Route<'_>, request: &Request, answer: &TargetResponse) -> bool {
    let wanted = request.fields.text(Field::IfRange).filter(|_| request.fields.has(Field::Range));
    let Some(wanted) = wanted.filter(|_| matches!(answer.status, 206 | 416)) else { return false };
    let told = |field: ResponseField| {
        (way.target.dialect.response_field_name)(field).and_then(|name| answer.text(name))
    };
    let same = match date::parse_http(wanted) {
        Some(time) => told(ResponseField::LastModified).and_then(date::parse_http) == Some(time),
        // Only strong tags are compared.
        None => told(ResponseField::Etag).is_some_and(|etag| {
            !wanted.starts_with("W/")
                && etag::strip_quotes(etag).eq_ignore_ascii_case(etag::strip_quotes(wanted))
        }),
    };
    !same
}

/// The request that tells whether a bucket is missing or only its object, where the caller's vendor says so in the head
/// of its answer to HEAD and the target did not.
pub fn ask_bucket(
    way: &Route<'_>,
    request: &Request,
    answer: &TargetResponse,
    now: Timestamp,
) -> Option<Result<OutgoingRequest, Rejection>> {
    let wanted =
        way.caller.common_headers.head_error_header.is_some() && request.operation == Operation::HeadObject;
    (wanted && answer::is_unspecified_not_found(way.target.dialect, answer))
        .then(|| write::bucket_head(way, way.bucket.clone(), now))
}

/// The caller's answer once it is known which of both is missing.
pub fn missing(
    way: &Route<'_>,
    request: &Request,
    answer: &TargetResponse,
    bucket: &TargetResponse,
) -> Response {
    match bucket.status {
        404 => tell::build_error_response(way.caller, &ErrorKind::NoSuchBucket.into()),
        _ => failure(way, request, answer),
    }
}

/// Whether an answer to a read must be asked for again without its range: the caller's vendor answers a range
/// that does not fit with the whole object, the target's with an error or with what there is; or the range was to be of
/// another object.
pub fn ask_without_range(way: &Route<'_>, request: &Request, answer: &TargetResponse) -> bool {
    use crate::model::{ByteRange, Value};
    if is_of_another(way, request, answer) {
        return true;
    }
    let lenient = way.caller.defaults.lenient_range && !request.fields.has(Field::StandardRange);
    if !lenient || way.target.dialect.defaults.lenient_range || request.operation != Operation::GetObject {
        return false;
    }
    let Some(Value::ByteRange(range)) = request.fields.get(Field::Range) else { return false };
    match (range, answer.status) {
        // The documents make this one exception.
        (ByteRange::Last(0), _) => false,
        (_, 416) => true,
        (ByteRange::Span(_, last), 206) if sound::check_head(way, request, answer).is_ok() => {
            let total = answer.text("content-range");
            let total =
                total.and_then(|text| text.rsplit_once('/')).and_then(|(_, total)| total.parse::<u64>().ok());
            total.is_some_and(|total| *last >= total)
        }
        _ => false,
    }
}
