//! The CRC-64 that callers expect and a target does not tell. That of a part comes back with the part's ETag, sealed, so
//! that any replica can combine them where the upload is completed; that of a small object is kept in its metadata,
//! bound to its ETag.

use crc_fast::{CrcAlgorithm, checksum_combine};
use secrecy::ExposeSecret as _;

use crate::dialect::route::Route;
use crate::dialect::{etag, limits};
use crate::encoding::hash;
use crate::engine::body_verifier::Digests;
use crate::engine::target_response;
use crate::model::{
    Document, Field, Fields, Operation, Part, PartCrc64, Rejection, Request, Response, ResponseField, Value,
};

/// The name of metadata of our own. Callers neither see nor set it.
pub const METADATA_NAME: &str = "blobfish-crc64";

/// Hex digits behind a part's ETag: CRC, length, and the seal.
const SEAL_SUFFIX_DIGITS: usize = 48;

/// Whether the caller's dialect tells a CRC-64 and the target's does not.
pub fn needs_crc64(route: &Route<'_>) -> bool {
    let is_supported = |name: Option<&str>| name.is_some();
    is_supported((route.caller.response_field_name)(ResponseField::Crc64Ecma))
        && !is_supported((route.target.dialect.response_field_name)(ResponseField::Crc64Ecma))
}

/// Hands the CRC-64 of an uploaded part to the caller, behind its ETag.
pub fn seal_part_etag(route: &Route<'_>, request: &Request, response: &mut Response, digests: &Digests) {
    if request.operation != Operation::UploadPart || !needs_crc64(route) {
        return;
    }
    let (Some(crc64), Some(tag)) =
        (digests.crc64, response.text(ResponseField::Etag).map(etag::strip_quotes))
    else {
        return;
    };
    let number = request.fields.number(Field::PartNumber).unwrap_or_default();
    let sum = PartCrc64 { crc64, bytes: digests.bytes };
    let sealed_etag = format!("\"{tag}-{}\"", format_seal_suffix(route, request, number, tag, sum));
    response.set(ResponseField::Etag, sealed_etag);
}

/// Takes the CRC-64 out of the ETags of a completing call. An ETag that was not sealed here stays as it is.
pub fn unseal_part_etags(route: &Route<'_>, request: &mut Request) {
    let mut parts = std::mem::take(&mut request.parts);
    for part in &mut parts {
        let Some((tag, sum)) = unseal_part_etag(route, request, part) else { continue };
        (part.etag, part.crc64) = (tag, Some(sum));
    }
    request.parts = parts;
}

fn unseal_part_etag(route: &Route<'_>, request: &Request, part: &Part) -> Option<(String, PartCrc64)> {
    let (tag, suffix) = part.etag.rsplit_once('-')?;
    let (crc64, rest) = suffix.split_at_checked(16).filter(|_| suffix.len() == SEAL_SUFFIX_DIGITS)?;
    let sum = PartCrc64 {
        crc64: u64::from_str_radix(crc64, 16).ok()?,
        bytes: u64::from_str_radix(rest.get(..16)?, 16).ok()?,
    };
    let expected = format_seal_suffix(route, request, part.number, tag, sum);
    let is_same = hash::constant_time_eq(expected.as_bytes(), suffix.to_ascii_lowercase().as_bytes());
    is_same.then(|| (tag.to_owned(), sum))
}

/// The digits behind a part's ETag, good for this part of this upload only.
fn format_seal_suffix(
    route: &Route<'_>,
    request: &Request,
    number: u64,
    tag: &str,
    sum: PartCrc64,
) -> String {
    let key = hash::derive_key(route.target.seal_secret.expose_secret().as_bytes(), &["part", &route.bucket]);
    let upload_id = request.fields.text(Field::UploadId).unwrap_or_default();
    let name = request.key.as_deref().unwrap_or_default();
    let digits = format!("{:016x}{:016x}", sum.crc64, sum.bytes);
    let tag = tag.to_ascii_lowercase();
    let message = format!("{upload_id}\n{number}\n{tag}\n{digits}\n{name}");
    let seal = hash::encode_hex(&hash::hmac_sha256(&key, message.as_bytes()));
    format!("{digits}{}", seal.get(..16).unwrap_or_default())
}

/// What parts come to when they are one object. `None`: of one of them it is not known.
pub fn combine_parts(parts: impl IntoIterator<Item = Option<PartCrc64>>) -> Option<PartCrc64> {
    let mut parts = parts.into_iter();
    let first = parts.next()??;
    parts.try_fold(first, |whole, part| {
        let part = part?;
        let crc64 = checksum_combine(CrcAlgorithm::Crc64Xz, whole.crc64, part.crc64, part.bytes);
        Some(PartCrc64 { crc64, bytes: whole.bytes.saturating_add(part.bytes) })
    })
}

/// Tells the CRC-64 of a completed upload, from those of its parts.
///
/// # Errors
/// An internal error: the target has made something else.
pub fn set_combined_crc64(request: &Request, response: &mut Response) -> Result<(), Rejection> {
    let Some(combined) = combine_parts(request.parts.iter().map(|part| part.crc64)) else { return Ok(()) };
    let computed = combined.crc64.to_string();
    match response.text(ResponseField::Crc64Ecma) {
        Some(received) if received != computed => Err(target_response::reject_stored_mismatch()),
        Some(_) => Ok(()),
        None => {
            response.set(ResponseField::Crc64Ecma, computed);
            Ok(())
        }
    }
}

/// The read of a completed object whose CRC-64 its client expects and nobody knows: the ETags of its parts came from a
/// listing, as a client sends them that goes on with an upload. Only the object that was made just now is read.
pub fn build_crc64_read_request(
    route: &Route<'_>,
    request: &Request,
    response: &Response,
) -> Option<Request> {
    let Some(Document::Completed { etag, .. }) = &response.document else { return None };
    if !needs_crc64(route) || response.text(ResponseField::Crc64Ecma).is_some() {
        return None;
    }
    let mut fields = Fields::default();
    fields.set(Field::IfMatch, Value::Etags(vec![etag::strip_quotes(etag).to_owned()]));
    if let Some(payer) = request.fields.get(Field::RequestPayer) {
        fields.set(Field::RequestPayer, payer.clone());
    }
    Some(Request::for_object(Operation::GetObject, request.bucket.clone()?, request.key.clone()?, fields))
}

/// Whether the CRC-64 of a put is kept in its metadata, for which the body has to be read first.
pub fn keeps_crc64(route: &Route<'_>, request: &Request) -> bool {
    request.operation == Operation::PutObject && needs_crc64(route) && route.target.dialect.etag_is_md5
}

/// Keeps the CRC-64 of a body in the metadata of its object, where there is room.
pub fn store_crc64(route: &Route<'_>, request: &mut Request, digests: &Digests) {
    let (Some(crc64), Some(md5)) = (digests.crc64, &digests.md5) else { return };
    let mut metadata = request.metadata.clone();
    metadata.push((METADATA_NAME.to_owned(), format!("{crc64}-{md5}").into_bytes()));
    if limits::check_metadata(route.target.dialect, &metadata).is_ok() {
        request.metadata = metadata;
    }
}

/// The CRC-64 and the MD5 of a value that [`keep`] writes.
fn split_stored_value(value: &[u8]) -> Option<(&str, &str)> {
    let (crc64, md5) = std::str::from_utf8(value).ok()?.split_once('-')?;
    let has_digits = !crc64.is_empty() && crc64.bytes().all(|byte| byte.is_ascii_digit());
    has_digits.then_some((crc64, md5))
}

/// Whether a value is one that [`keep`] writes.
pub fn is_stored_value(value: &[u8]) -> bool {
    split_stored_value(value).is_some_and(|(crc64, md5)| {
        crc64.parse::<u64>().is_ok() && md5.len() == 32 && md5.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// The CRC-64 that was kept, where the object is still the one of which it was.
pub fn read_stored_crc64<'a>(value: &'a [u8], tag: &str) -> Option<&'a str> {
    let (crc64, md5) = split_stored_value(value)?;
    etag::is_same_etag(md5, tag).then_some(crc64)
}
