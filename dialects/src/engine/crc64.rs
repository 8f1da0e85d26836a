//! The CRC-64 that callers expect and a target does not return. The CRC-64 of a part is appended to the part's ETag
//! with a seal, so that any replica can combine the values when the upload is completed. That of a small object is
//! stored in its metadata together with its MD5.

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

/// The name of the proxy's own metadata entry. Clients can neither read nor set it.
pub const METADATA_NAME: &str = "blobfish-crc64";

/// Hex digits after a part's ETag: CRC-64, length and seal, 16 each.
const SEAL_SUFFIX_DIGITS: usize = 48;

/// Whether responses of the caller's dialect have a CRC-64 and the target's have not.
pub(crate) fn needs_crc64(route: &Route<'_>) -> bool {
    let is_supported = |name: Option<&str>| name.is_some();
    is_supported((route.caller.response_field_name)(ResponseField::Crc64Ecma))
        && !is_supported((route.target.dialect.response_field_name)(ResponseField::Crc64Ecma))
}

/// Appends the CRC-64 of an uploaded part to its ETag.
pub fn append_crc64_to_etag(
    route: &Route<'_>,
    request: &Request,
    response: &mut Response,
    digests: &Digests,
) {
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
    let Some(suffix) = format_seal_suffix(route, request, number, tag, sum) else { return };
    let sealed_etag = format!("\"{tag}-{suffix}\"");
    response.set(ResponseField::Etag, sealed_etag);
}

/// Splits the CRC-64 from the ETags in CompleteMultipartUpload. An ETag without a valid seal stays as it is.
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
    let expected = format_seal_suffix(route, request, part.number, tag, sum)?;
    // The comparison takes the same time for every input, so that a seal cannot be guessed byte by byte.
    let is_same = hash::constant_time_eq(expected.as_bytes(), suffix.to_ascii_lowercase().as_bytes());
    is_same.then(|| (tag.to_owned(), sum))
}

/// The digits after a part's ETag, which are valid only for this part of this upload. `None`: the request addresses
/// no object.
fn format_seal_suffix(
    route: &Route<'_>,
    request: &Request,
    number: u64,
    tag: &str,
    sum: PartCrc64,
) -> Option<String> {
    let secret = route.target.token_signing_secret.expose_secret().as_bytes();
    let key = hash::derive_key(secret, &["part", route.bucket()?]);
    let upload_id = request.fields.text(Field::UploadId).unwrap_or_default();
    let name = request.scope.key()?;
    let digits = format!("{:016x}{:016x}", sum.crc64, sum.bytes);
    // SDKs may change the letter case of an ETag before they send it back.
    let tag = tag.to_ascii_lowercase();
    let message = format!("{upload_id}\n{number}\n{tag}\n{digits}\n{name}");
    // The seal prevents a client from stating a CRC-64 that the proxy has not computed.
    let seal = hash::encode_hex(&hash::hmac_sha256(&key, message.as_bytes()));
    Some(format!("{digits}{}", seal.get(..16)?))
}

/// Combines the CRC-64 values of the parts into that of the object. `None`: that of a part is unknown.
pub fn combine_parts(parts: impl IntoIterator<Item = Option<PartCrc64>>) -> Option<PartCrc64> {
    let mut parts = parts.into_iter();
    let first = parts.next()??;
    parts.try_fold(first, |whole, part| {
        let part = part?;
        let crc64 = checksum_combine(CrcAlgorithm::Crc64Xz, whole.crc64, part.crc64, part.bytes);
        Some(PartCrc64 { crc64, bytes: whole.bytes.saturating_add(part.bytes) })
    })
}

/// Adds the CRC-64 of a completed upload to the response, combined from those of its parts.
///
/// # Errors
/// `InternalError`: the target's CRC-64 differs.
pub(crate) fn set_combined_crc64(request: &Request, response: &mut Response) -> Result<(), Rejection> {
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

/// Builds the read of a completed object with an unknown CRC-64 that the client expects. This happens if the ETags of
/// its parts come from a listing, as after a resumed upload. The read fails if the object has been replaced since its
/// completion.
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
    // Another client may have replaced the object; the CRC-64 of that object would be wrong in this response.
    fields.set(Field::IfMatch, Value::Etags(vec![etag::strip_quotes(etag).to_owned()]));
    if let Some(payer) = request.fields.get(Field::RequestPayer) {
        fields.set(Field::RequestPayer, payer.clone());
    }
    Some(Request { fields, ..Request::new(Operation::GetObject, request.scope.clone()) })
}

/// Whether the CRC-64 of PutObject is stored in the object's metadata. The head is sent with it, so the body has to
/// be read first.
pub(crate) fn keeps_crc64(route: &Route<'_>, request: &Request) -> bool {
    request.operation == Operation::PutObject && needs_crc64(route) && route.target.dialect.etag_is_md5
}

/// Stores the CRC-64 of a body in the object's metadata, unless the metadata would become too large.
pub(crate) fn store_crc64(route: &Route<'_>, request: &mut Request, digests: &Digests) {
    let (Some(crc64), Some(md5)) = (digests.crc64, &digests.md5) else { return };
    let mut metadata = request.metadata.clone();
    // The MD5 binds the CRC-64 to the bytes: metadata can outlive them, for example after a write by another program.
    metadata.push((METADATA_NAME.to_owned(), format!("{crc64}-{md5}").into_bytes()));
    if limits::check_metadata(route.target.dialect, &metadata).is_ok() {
        request.metadata = metadata;
    }
}

/// Splits a value of [`store_crc64`] into CRC-64 and MD5.
fn split_stored_value(value: &[u8]) -> Option<(&str, &str)> {
    let (crc64, md5) = std::str::from_utf8(value).ok()?.split_once('-')?;
    let has_digits = !crc64.is_empty() && crc64.bytes().all(|byte| byte.is_ascii_digit());
    has_digits.then_some((crc64, md5))
}

/// Whether a value has the form of [`store_crc64`].
pub(crate) fn is_stored_value(value: &[u8]) -> bool {
    split_stored_value(value).is_some_and(|(crc64, md5)| {
        crc64.parse::<u64>().is_ok() && md5.len() == 32 && md5.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// The stored CRC-64, if the ETag shows that the object is still the one to which it belongs.
pub(crate) fn read_stored_crc64<'a>(value: &'a [u8], tag: &str) -> Option<&'a str> {
    let (crc64, md5) = split_stored_value(value)?;
    etag::is_same_etag(md5, tag).then_some(crc64)
}
