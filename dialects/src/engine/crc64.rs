//! The CRC-64 that callers expect and a target does not tell. That of a part comes back with the part's ETag, sealed, so
//! that any replica can combine them where the upload is completed; that of a small object is kept in its metadata,
//! bound to its ETag.

use crc_fast::{CrcAlgorithm, checksum_combine};
use secrecy::ExposeSecret as _;

use crate::engine::body::Sums;
use crate::engine::way::Way;
use crate::engine::{answer, etag, read};
use crate::model::{Document, Field, Fields, Operation, Part, Refusal, Reply, Request, Sum, Told, Value};
use crate::wire::hash;

/// The name of metadata of our own. Callers neither see nor set it.
pub const RESERVED: &str = "blobfish-crc64";

/// Hex digits behind a part's ETag: CRC, length, and the seal.
const SEALED_DIGITS: usize = 48;

/// Whether the caller's dialect tells a CRC-64 and the target's does not.
pub fn is_untold(way: &Way<'_>) -> bool {
    let tells = |name: Option<&str>| name.is_some();
    tells((way.caller.told)(Told::Crc64Ecma)) && !tells((way.target.dialect.told)(Told::Crc64Ecma))
}

/// Hands the CRC-64 of an uploaded part to the caller, behind its ETag.
pub fn seal_part(way: &Way<'_>, request: &Request, reply: &mut Reply, sums: &Sums) {
    if request.operation != Operation::UploadPart || !is_untold(way) {
        return;
    }
    let (Some(crc64), Some(tag)) = (sums.crc64, reply.text(Told::Etag).map(etag::bare)) else { return };
    let number = request.fields.number(Field::PartNumber).unwrap_or_default();
    let sum = Sum { crc64, bytes: sums.bytes };
    let sealed = format!("\"{tag}-{}\"", written(way, request, number, tag, sum));
    reply.set(Told::Etag, sealed);
}

/// Takes the CRC-64 out of the ETags of a completing call. An ETag that was not sealed here stays as it is.
pub fn unseal_parts(way: &Way<'_>, request: &mut Request) {
    let mut parts = std::mem::take(&mut request.parts);
    for part in &mut parts {
        let Some((tag, sum)) = unsealed(way, request, part) else { continue };
        (part.etag, part.sum) = (tag, Some(sum));
    }
    request.parts = parts;
}

fn unsealed(way: &Way<'_>, request: &Request, part: &Part) -> Option<(String, Sum)> {
    let (tag, sealed) = part.etag.rsplit_once('-')?;
    let (crc64, rest) = sealed.split_at_checked(16).filter(|_| sealed.len() == SEALED_DIGITS)?;
    let sum = Sum {
        crc64: u64::from_str_radix(crc64, 16).ok()?,
        bytes: u64::from_str_radix(rest.get(..16)?, 16).ok()?,
    };
    let wanted = written(way, request, part.number, tag, sum);
    let same = hash::same(wanted.as_bytes(), sealed.to_ascii_lowercase().as_bytes());
    same.then(|| (tag.to_owned(), sum))
}

/// The digits behind a part's ETag, good for this part of this upload only.
fn written(way: &Way<'_>, request: &Request, number: u64, tag: &str, sum: Sum) -> String {
    let key = hash::derived_key(way.target.seal.expose_secret().as_bytes(), &["part", &way.bucket]);
    let upload = request.fields.text(Field::UploadId).unwrap_or_default();
    let name = request.key.as_deref().unwrap_or_default();
    let digits = format!("{:016x}{:016x}", sum.crc64, sum.bytes);
    let tag = tag.to_ascii_lowercase();
    let message = format!("{upload}\n{number}\n{tag}\n{digits}\n{name}");
    let seal = hash::hex(&hash::hmac_sha256(&key, message.as_bytes()));
    format!("{digits}{}", seal.get(..16).unwrap_or_default())
}

/// What parts come to when they are one object. `None`: of one of them it is not known.
pub fn joined(parts: impl IntoIterator<Item = Option<Sum>>) -> Option<Sum> {
    let mut parts = parts.into_iter();
    let first = parts.next()??;
    parts.try_fold(first, |whole, part| {
        let part = part?;
        let crc64 = checksum_combine(CrcAlgorithm::Crc64Xz, whole.crc64, part.crc64, part.bytes);
        Some(Sum { crc64, bytes: whole.bytes.saturating_add(part.bytes) })
    })
}

/// Tells the CRC-64 of a completed upload, from those of its parts.
///
/// # Errors
/// An internal error: the target has made something else.
pub fn complete(asked: &Request, reply: &mut Reply) -> Result<(), Refusal> {
    let Some(whole) = joined(asked.parts.iter().map(|part| part.sum)) else { return Ok(()) };
    let found = whole.crc64.to_string();
    match reply.text(Told::Crc64Ecma) {
        Some(told) if told != found => Err(answer::not_stored()),
        Some(_) => Ok(()),
        None => {
            reply.set(Told::Crc64Ecma, found);
            Ok(())
        }
    }
}

/// The read of a completed object whose CRC-64 its client expects and nobody knows: the ETags of its parts came from a
/// listing, as a client sends them that goes on with an upload. Only the object that was made just now is read.
pub fn ask_whole(way: &Way<'_>, asked: &Request, reply: &Reply) -> Option<Request> {
    let Some(Document::Completed { etag, .. }) = &reply.document else { return None };
    if !is_untold(way) || reply.text(Told::Crc64Ecma).is_some() {
        return None;
    }
    let mut fields = Fields::default();
    fields.set(Field::IfMatch, Value::Etags(vec![etag::bare(etag).to_owned()]));
    if let Some(payer) = asked.fields.get(Field::RequestPayer) {
        fields.set(Field::RequestPayer, payer.clone());
    }
    Some(Request::of_object(Operation::GetObject, asked.bucket.clone()?, asked.key.clone()?, fields))
}

/// Whether the CRC-64 of a put is kept in its metadata, for which the body has to be read first.
pub fn is_kept(way: &Way<'_>, request: &Request) -> bool {
    request.operation == Operation::PutObject && is_untold(way) && way.target.dialect.etag_is_md5
}

/// Keeps the CRC-64 of a body in the metadata of its object, where there is room.
pub fn keep(way: &Way<'_>, request: &mut Request, sums: &Sums) {
    let (Some(crc64), Some(md5)) = (sums.crc64, &sums.md5) else { return };
    let mut metadata = request.metadata.clone();
    metadata.push((RESERVED.to_owned(), format!("{crc64}-{md5}").into_bytes()));
    if read::check_metadata(way.target.dialect, &metadata).is_ok() {
        request.metadata = metadata;
    }
}

/// The CRC-64 and the MD5 of a value that [`keep`] writes.
fn parts_of_kept(value: &[u8]) -> Option<(&str, &str)> {
    let (crc64, md5) = std::str::from_utf8(value).ok()?.split_once('-')?;
    let has_digits = !crc64.is_empty() && crc64.bytes().all(|byte| byte.is_ascii_digit());
    has_digits.then_some((crc64, md5))
}

/// Whether a value is one that [`keep`] writes.
pub fn is_kept_value(value: &[u8]) -> bool {
    parts_of_kept(value).is_some_and(|(crc64, md5)| {
        crc64.parse::<u64>().is_ok() && md5.len() == 32 && md5.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// The CRC-64 that was kept, where the object is still the one of which it was.
pub fn kept<'a>(value: &'a [u8], tag: &str) -> Option<&'a str> {
    let (crc64, md5) = parts_of_kept(value)?;
    etag::same(md5, tag).then_some(crc64)
}
