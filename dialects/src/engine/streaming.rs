//! Requests with a streamed payload: the head of the request to the target, and that of the response to the client.

use crate::dialect::route::Route;
use crate::dialect::{Dialect, etag};
use crate::encoding::{date, hash};
use crate::engine::body_verifier::{Digests, DigestsToCompute};
use crate::engine::exchange::find_overwrite_error;
use crate::engine::loss::Loss;
use crate::engine::target_response::TargetResponse;
use crate::engine::{
    crc64, read_response, target_response, validate_response, write_request, write_response,
};
use crate::model::{
    Checksum, ChecksumAlgorithm, Document, Encryption, ErrorKind, Field, Operation, OutgoingRequest,
    PayloadHash, Rejection, Request, Response, ResponseField, Timestamp, Value,
};

/// Builds the signed head for the target, and returns the lost fields. `length` is the decoded body's, for uploads;
/// without it the proxy sends the body in chunks.
///
/// # Errors
/// The request is rejected before any target is contacted.
pub fn build_target_request(
    route: &Route<'_>,
    request: &Request,
    length: Option<u64>,
    now: Timestamp,
) -> Result<(OutgoingRequest, Vec<Loss>), Rejection> {
    let (mut outgoing, losses) = write_target_request(route, request, length)?;
    route.target.auth.sign(
        &mut outgoing,
        &route.target.credentials.current(),
        &route.target.region,
        route.target.clock.to_target_time(now),
    );
    Ok((outgoing, losses))
}

/// Builds the head for the target without a signature.
///
/// # Errors
/// As [`build_target_request`].
pub(crate) fn write_target_request(
    route: &Route<'_>,
    request: &Request,
    length: Option<u64>,
) -> Result<(OutgoingRequest, Vec<Loss>), Rejection> {
    let (mut outgoing, losses) = write_request::write_request(route, request)?;
    if request.operation.is_upload() {
        match length {
            // Checked before the upload, as the caller's vendor does, instead of after the target has received
            // everything.
            Some(length) if length > route.caller.limits.upload_bytes_max => {
                return Err(Rejection::new(ErrorKind::EntityTooLarge)
                    .with_detail("ProposedSize", length.to_string())
                    .with_detail("MaxSizeAllowed", route.caller.limits.upload_bytes_max.to_string()));
            }
            Some(length) => {
                outgoing.headers.push(("content-length".to_owned(), length.to_string().into_bytes()));
            }
            None if !route.target.dialect.supports_chunked_uploads => {
                return Err(ErrorKind::MissingContentLength.into());
            }
            None => outgoing.headers.push(("transfer-encoding".to_owned(), b"chunked".to_vec())),
        }
    }
    // The digest of a streamed body is only known at its end, after the head has been sent.
    outgoing.payload_hash = PayloadHash::Unsigned;
    Ok((outgoing, losses))
}

/// Whether a PutObject request needs a digest because it sets an object lock.
fn needs_digest_for_lock(route: &Route<'_>, request: &Request) -> bool {
    let lock_fields = [Field::LockMode, Field::LockUntil, Field::LegalHold];
    let is_put = request.operation == Operation::PutObject;
    is_put
        && route.target.dialect.needs_lock_digest
        && lock_fields.iter().any(|field| request.fields.has(*field))
}

/// Whether the client's head has a checksum that the target verifies.
fn has_checksum_of_target(route: &Route<'_>, request: &Request) -> bool {
    let target = route.target.dialect;
    let is_known = |checksum: &Checksum| {
        checksum.value.is_some() && target.checksum_header(checksum.algorithm).is_some()
    };
    target.keeps_checksums() && request.checksums.iter().any(is_known)
}

/// Whether the target requires a digest of the body that the client's head does not have.
pub fn needs_digest(route: &Route<'_>, request: &Request) -> bool {
    needs_digest_for_lock(route, request)
        && !has_checksum_of_target(route, request)
        && !request.fields.has(Field::ContentMd5)
}

/// Adds the MD5 of the body to the request.
pub fn add_body_md5(mut request: Request, body: &[u8]) -> Request {
    request.fields.set(Field::ContentMd5, Value::Text(hash::md5_base64(body)));
    request
}

/// Whether the head to the target can have more digests if the body is read first: a checksum in the client's
/// trailer, or a CRC-64 to store.
pub fn can_send_more_digests(route: &Route<'_>, request: &Request) -> bool {
    let has_trailing = request.checksums.iter().any(|checksum| checksum.value.is_none());
    (has_trailing && route.target.dialect.keeps_checksums()) || crc64::keeps_crc64(route, request)
}

/// Adds all digests of the body that the head to the target can have.
pub fn add_digests(route: &Route<'_>, mut request: Request, digests: &Digests) -> Request {
    for checksum in request.checksums.iter_mut().filter(|checksum| checksum.value.is_none()) {
        let digest = digests.checksums.iter().find(|row| row.0 == checksum.algorithm);
        checksum.value = digest.map(|row| row.1.clone());
    }
    if crc64::keeps_crc64(route, &request) {
        crc64::store_crc64(route, &mut request, digests);
    }
    request
}

/// Chooses the digests of an upload: a CRC-64 if the caller's or the target's dialect returns one, an MD5 if the
/// target's ETag is one, a CRC-64/NVME if the target computes it. For AppendObject, an MD5 if the caller's dialect
/// returns it.
pub fn choose_digests(route: &Route<'_>, request: &Request) -> DigestsToCompute {
    let has_header = |dialect: &Dialect, field: ResponseField| (dialect.response_field_name)(field).is_some();
    let is_append = request.operation == Operation::AppendObject;
    let needs_crc64 = has_header(route.caller, ResponseField::Crc64Ecma)
        || has_header(route.target.dialect, ResponseField::Crc64Ecma);
    let target = route.target.dialect;
    let needs_md5 = if is_append {
        has_header(route.caller, ResponseField::PieceMd5)
    } else {
        has_md5_etag(target, request)
    };
    DigestsToCompute {
        crc64: needs_crc64 && !is_append,
        md5: needs_md5,
        crc64_nvme: target.keeps_checksums() && !is_append,
    }
}

/// Whether the ETag of the written object is the MD5 of its bytes, as far as the request shows.
fn has_md5_etag(target: &Dialect, request: &Request) -> bool {
    let is_encrypted = request.fields.has(Field::CustomerKey)
        || matches!(request.fields.get(Field::Encryption), Some(Value::Encryption(encryption)) if *encryption != Encryption::Aes256);
    target.etag_is_md5 && !is_encrypted
}

/// Compares the digests in a target's response with those of the bytes that were sent. Checksums that were compared
/// stay in the response.
///
/// # Errors
/// `InternalError`: the stored bytes differ.
fn compare_digests(
    route: &Route<'_>,
    request: &Request,
    target_response: &TargetResponse,
    response: &mut Response,
    digests: &Digests,
) -> Result<(), Rejection> {
    let target = route.target.dialect;
    let find_digest = |algorithm: ChecksumAlgorithm| digests.checksums.iter().find(|row| row.0 == algorithm);
    for (algorithm, stored) in &response.checksums {
        if find_digest(*algorithm).is_some_and(|row| row.1 != *stored) {
            return Err(target_response::reject_stored_mismatch());
        }
    }
    response.checksums.retain(|row| find_digest(row.0).is_some());
    if !target.keeps_checksums() {
        // S3 returns the checksum that it verified, and SDKs send it when they complete an upload.
        let client_digests = request.checksums.iter().filter_map(|checksum| find_digest(checksum.algorithm));
        let client_digests = client_digests.filter(|row| row.0 != ChecksumAlgorithm::Crc64Ecma);
        response.checksums.extend(client_digests.cloned());
    }
    let get_header = |field: ResponseField| {
        (target.response_field_name)(field).and_then(|name| target_response.header_text(name))
    };
    let has_opaque_etag = get_header(ResponseField::EncryptionKeyId).is_some()
        || get_header(ResponseField::CustomerAlgorithm).is_some()
        || get_header(ResponseField::Encryption)
            .is_some_and(|word| target.words.encryption.value(word) != Some(Encryption::Aes256));
    let etag = get_header(ResponseField::Etag).map(etag::strip_quotes).unwrap_or_default();
    let is_digest = etag.len() == 32 && etag.bytes().all(|byte| byte.is_ascii_hexdigit());
    match &digests.md5 {
        Some(md5)
            if target.etag_is_md5 && is_digest && !has_opaque_etag && !etag.eq_ignore_ascii_case(md5) =>
        {
            Err(target_response::reject_stored_mismatch())
        }
        _ => Ok(()),
    }
}

/// Builds the client's response head from a target's response with status 200 to 299 or 304. For uploads, `digests`
/// are those of the bytes that were sent, and the target's response is complete.
///
/// # Errors
/// The response is implausible: the client gets an error, and the connection to the target must be closed.
pub fn build_client_response(
    route: &Route<'_>,
    request: &Request,
    target_response: &TargetResponse,
    digests: Option<&Digests>,
) -> Result<Response, Rejection> {
    validate_response::check_response_head(route, request, target_response)?;
    let mut response = read_response::read_response_head(route, request.operation, target_response);
    if request.operation.is_upload() {
        if let Some(target_error) = read_response::check_empty_body(route, target_response) {
            return Err(target_error.rejection);
        }
        if let (Some(Value::Number(position)), Some(digests), Some(next)) =
            (request.fields.get(Field::Position), digests, response.text(ResponseField::NextAppendPosition))
            && next.parse::<u64>().ok() != position.checked_add(digests.bytes)
        {
            return Err(target_response::reject_incomplete_response());
        }
        if let Some(digests) = digests.filter(|_| request.operation != Operation::AppendObject) {
            compare_digests(route, request, target_response, &mut response, digests)?;
        }
        if let Some(crc64) = digests.and_then(|sums| sums.crc64) {
            let crc64 = crc64.to_string();
            if response.text(ResponseField::Crc64Ecma).is_some_and(|stored| stored != crc64) {
                return Err(target_response::reject_stored_mismatch());
            }
            response.set(ResponseField::Crc64Ecma, crc64);
        }
        if let Some(md5) = digests
            .and_then(|sums| sums.md5.as_ref())
            .filter(|_| request.operation == Operation::AppendObject)
        {
            response.set(ResponseField::PieceMd5, md5.as_bytes());
        }
    }
    if !request.operation.is_upload() && !request.fields.has(Field::ChecksumMode) {
        // S3 returns the checksums of an object only if the request enables them.
        response.checksums.clear();
        response.remove(ResponseField::ChecksumType);
    }
    read_response::add_caller_fields(route.caller, request.operation, &mut response);
    Ok(response)
}

/// Builds the client's response from a target's error (any other status, with its complete body of limited size).
pub fn build_client_error(
    route: &Route<'_>,
    request: &Request,
    target_response: &TargetResponse,
) -> Response {
    let rejection = build_client_rejection(route, request, target_response);
    let mut response = write_response::build_error_response(route.caller, &rejection);
    if rejection.kind == ErrorKind::AppendPosition {
        let name = (route.target.dialect.response_field_name)(ResponseField::NextAppendPosition);
        if let Some(position) = name.and_then(|name| target_response.header_text(name)) {
            response.set(ResponseField::NextAppendPosition, position);
        }
    }
    response
}

/// Builds the rejection for the client from a target's error.
pub fn build_client_rejection(
    route: &Route<'_>,
    request: &Request,
    target_response: &TargetResponse,
) -> Rejection {
    let target_error = read_response::read_target_error(route, target_response);
    // A 2xx status that is not a success of this operation is an error of the target.
    if target_response.status / 100 == 2 || !validate_response::is_error_possible(request, target_error.kind)
    {
        return target_response::reject_incomplete_response();
    }
    match target_error.kind {
        ErrorKind::PreconditionFailed if request.operation.is_write() => {
            find_overwrite_error(&request.fields).map_or(target_error.rejection, Rejection::from)
        }
        _ => target_error.rejection,
    }
}

/// Builds the request for the object's length after an append at a wrong position, if a response in the caller's
/// dialect has the right position and the target's has not.
///
/// # Errors
/// As [`build_target_request`].
pub fn build_append_position_request(
    route: &Route<'_>,
    request: &Request,
    response: &Response,
    now: Timestamp,
) -> Option<Result<OutgoingRequest, Rejection>> {
    let is_position_error = matches!(&response.document, Some(Document::Error(error)) if error.kind == Some(ErrorKind::AppendPosition));
    let is_position_missing = (route.caller.response_field_name)(ResponseField::NextAppendPosition).is_some()
        && response.text(ResponseField::NextAppendPosition).is_none();
    (is_position_error && is_position_missing).then(|| {
        let head = Request::new(Operation::HeadObject, request.scope.clone());
        build_target_request(route, &head, None, now).map(|(outgoing, _)| outgoing)
    })
}

/// Adds the position from the response to [`build_append_position_request`].
pub fn apply_append_position(response: &mut Response, target_response: &TargetResponse) {
    if let Some(length) =
        target_response.header_text("content-length").filter(|_| target_response.status == 200)
    {
        response.set(ResponseField::NextAppendPosition, length);
    }
}

/// A read of one part at a target without part numbers in reads: the object counts as a single part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinglePart(u64);

/// Adapts a read with a part number to a target that does not support it. `None`: the target supports it, or the
/// request has no part number.
pub fn adapt_part_request(route: &Route<'_>, request: &Request) -> Option<(Request, SinglePart)> {
    let supports_parts =
        route.target.dialect.target_field_name(Field::PartNumber, request.operation).is_some();
    (!supports_parts).then(|| build_single_part_request(request)).flatten()
}

/// Adapts a read with a part number after the target has ignored the number: it returned the whole object without the
/// number of parts.
pub fn build_request_without_part(
    route: &Route<'_>,
    request: &Request,
    target_response: &TargetResponse,
) -> Option<(Request, SinglePart)> {
    let has_header = |field: ResponseField| {
        (route.target.dialect.response_field_name)(field)
            .is_some_and(|name| target_response.header(name).is_some())
    };
    let ignored_part = target_response.status == 200
        && !has_header(ResponseField::PartsCount)
        && !has_header(ResponseField::ContentRange);
    ignored_part.then(|| build_single_part_request(request)).flatten()
}

fn build_single_part_request(request: &Request) -> Option<(Request, SinglePart)> {
    let is_read = matches!(request.operation, Operation::GetObject | Operation::HeadObject);
    let number = request.fields.number(Field::PartNumber).filter(|_| is_read)?;
    let mut target_request = request.clone();
    target_request.fields.remove(Field::PartNumber);
    // There is only part 1, so for another one it is enough to know that the object exists.
    if number != 1 {
        target_request.operation = Operation::HeadObject;
    }
    Some((target_request, SinglePart(number)))
}

impl SinglePart {
    /// Converts the response for the whole object into that for its only part.
    ///
    /// # Errors
    /// `InvalidPartNumber`: the object has no other part.
    pub fn convert_response(self, mut response: Response) -> Result<Response, Rejection> {
        if response.status == 304 {
            return Ok(response);
        }
        if self.0 != 1 {
            return Err(Rejection::new(ErrorKind::InvalidPartNumber)
                .with_detail("ActualPartCount", "1")
                .with_detail("PartNumberRequested", self.0.to_string()));
        }
        response.set(ResponseField::PartsCount, "1");
        let length = response.text(ResponseField::ContentLength).and_then(|text| text.parse::<u64>().ok());
        // An empty object has no range.
        if let Some(last) = length.and_then(|length| length.checked_sub(1)) {
            response.status = 206;
            response.set(ResponseField::ContentRange, format!("bytes 0-{last}/{}", last.saturating_add(1)));
        }
        Ok(response)
    }
}

/// Whether the validator in If-Range differs from the object that the target has now (RFC 9110, section 13.1.5). Then
/// the whole object is read.
fn is_if_range_stale(route: &Route<'_>, request: &Request, target_response: &TargetResponse) -> bool {
    let validator = request.fields.text(Field::IfRange).filter(|_| request.fields.has(Field::Range));
    let Some(validator) = validator.filter(|_| matches!(target_response.status, 206 | 416)) else {
        return false;
    };
    let get_header = |field: ResponseField| {
        (route.target.dialect.response_field_name)(field).and_then(|name| target_response.header_text(name))
    };
    let is_same = match date::parse_http(validator) {
        Some(time) => get_header(ResponseField::LastModified).and_then(date::parse_http) == Some(time),
        // If-Range requires the strong comparison (RFC 9110, section 13.1.5).
        None => get_header(ResponseField::Etag).is_some_and(|etag| {
            !validator.starts_with("W/")
                && etag::strip_quotes(etag).eq_ignore_ascii_case(etag::strip_quotes(validator))
        }),
    };
    !is_same
}

/// Builds the request that shows whether the bucket or only the object is missing, if the caller's vendor returns the
/// error code of a HEAD in a header and the target did not.
pub fn build_bucket_head_request(
    route: &Route<'_>,
    request: &Request,
    target_response: &TargetResponse,
    now: Timestamp,
) -> Option<Result<OutgoingRequest, Rejection>> {
    let is_needed =
        route.caller.common_headers.head_error_header.is_some() && request.operation == Operation::HeadObject;
    (is_needed && read_response::is_unspecified_not_found(route.target.dialect, target_response))
        .then(|| write_request::build_signed_bucket_head(route, route.require_bucket()?, now))
}

/// Builds the client's response when it is known whether the bucket or the object is missing.
pub fn build_not_found_response(
    route: &Route<'_>,
    request: &Request,
    target_response: &TargetResponse,
    bucket_response: &TargetResponse,
) -> Response {
    match bucket_response.status {
        404 => write_response::build_error_response(route.caller, &ErrorKind::NoSuchBucket.into()),
        _ => build_client_error(route, request, target_response),
    }
}

/// Whether a read has to be repeated without its range: the caller's vendor returns the whole object if the range
/// does not fit, and the target an error or the available bytes; or the If-Range validator does not match.
pub fn needs_retry_without_range(
    route: &Route<'_>,
    request: &Request,
    target_response: &TargetResponse,
) -> bool {
    use crate::model::{ByteRange, Value};
    if is_if_range_stale(route, request, target_response) {
        return true;
    }
    let is_lenient = route.caller.defaults.lenient_range && !request.fields.has(Field::StandardRange);
    if !is_lenient || route.target.dialect.defaults.lenient_range || request.operation != Operation::GetObject
    {
        return false;
    }
    let Some(Value::ByteRange(range)) = request.fields.get(Field::Range) else { return false };
    match (range, target_response.status) {
        // The vendors' documents exclude an empty suffix range from this rule.
        (ByteRange::Last(0), _) => false,
        (_, 416) => true,
        (ByteRange::Span(_, last), 206)
            if validate_response::check_response_head(route, request, target_response).is_ok() =>
        {
            let total = target_response.header_text("content-range");
            let total =
                total.and_then(|text| text.rsplit_once('/')).and_then(|(_, total)| total.parse::<u64>().ok());
            total.is_some_and(|total| *last >= total)
        }
        _ => false,
    }
}
