//! Requests whose payload is streamed: the heads both ways.

use crate::engine::answer;
use crate::engine::body::{Sums, Wants};
use crate::engine::exchange::{Answer, overwrite_fault};
use crate::engine::loss::Loss;
use crate::engine::way::Way;
use crate::engine::{sound, tell, write};
use crate::model::{
    Document, Fault, Field, Fields, Operation, Outgoing, PayloadHash, Refusal, Reply, Request, Timestamp,
    Told, Value,
};
use crate::wire::hash;

/// The signed head to send, and what it could not say. `length` is the decoded body's, for uploads; without one
/// the shell sends the body in chunks.
///
/// # Errors
/// What is refused before any target is contacted.
pub fn outgoing(
    way: &Way<'_>,
    request: &Request,
    length: Option<u64>,
    now: Timestamp,
) -> Result<(Outgoing, Vec<Loss>), Refusal> {
    let (mut outgoing, losses) = write::request(way, request)?;
    if request.operation.uploads() {
        match length {
            Some(length) if length > way.caller.limits.upload_bytes_max => {
                return Err(Refusal::new(Fault::EntityTooLarge)
                    .with("ProposedSize", length.to_string())
                    .with("MaxSizeAllowed", way.caller.limits.upload_bytes_max.to_string()));
            }
            Some(length) => {
                outgoing.headers.push(("content-length".to_owned(), length.to_string().into_bytes()));
            }
            None if !way.target.dialect.chunked_uploads => return Err(Fault::MissingContentLength.into()),
            None => outgoing.headers.push(("transfer-encoding".to_owned(), b"chunked".to_vec())),
        }
    }
    if promises(way, request) {
        outgoing.headers.extend(handed_on(way, request));
    }
    outgoing.payload = PayloadHash::Unsigned;
    way.target.auth.sign(
        &mut outgoing,
        &way.target.credentials.current(),
        &way.target.region,
        way.target.clock.show(now),
    );
    Ok((outgoing, losses))
}

/// Whether a put has to promise its target what it sends, since that locks it.
fn promises(way: &Way<'_>, request: &Request) -> bool {
    let locks = [Field::LockMode, Field::LockUntil, Field::LegalHold];
    let puts = request.operation == Operation::PutObject;
    puts && way.target.dialect.lock_digest && locks.iter().any(|field| request.fields.has(*field))
}

/// The caller's checksums that stand in the head and that the target has headers for.
fn handed_on(way: &Way<'_>, request: &Request) -> impl Iterator<Item = (String, Vec<u8>)> {
    let own = way.target.dialect.checksums;
    request.checksums.iter().filter_map(|checksum| {
        let name = own.iter().find(|row| row.1 == checksum.algorithm)?.0;
        Some((name.to_owned(), checksum.value.clone()?.into_bytes()))
    })
}

/// Whether the target has to be told a digest of the body that the caller did not say in the head.
pub fn needs_digest(way: &Way<'_>, request: &Request) -> bool {
    promises(way, request)
        && handed_on(way, request).next().is_none()
        && !request.fields.has(Field::ContentMd5)
}

/// The same request with the digest of its body.
pub fn with_digest(mut request: Request, body: &[u8]) -> Request {
    request.fields.set(Field::ContentMd5, Value::Text(hash::md5_base64(body)));
    request
}

/// What is computed of an upload: a CRC-64 where the caller's SDK or the target tells one, and an MD5 of an appended
/// piece where the caller's SDK compares that.
pub fn wants(way: &Way<'_>, request: &Request) -> Wants {
    let told = |dialect: &crate::engine::dialect::Dialect, field: Told| (dialect.told)(field).is_some();
    let appends = request.operation == Operation::AppendObject;
    let crc64 = told(way.caller, Told::Crc64Ecma) || told(way.target.dialect, Told::Crc64Ecma);
    Wants { crc64: crc64 && !appends, md5: appends && told(way.caller, Told::PieceMd5) }
}

/// The caller's head for a target's answer of 200 to 299 or 304. For uploads, after the whole body was sent and
/// the target's answer read, `sums` are of the bytes that passed.
///
/// # Errors
/// An answer that claims what cannot be true: refuse, and break off.
pub fn reply(
    way: &Way<'_>,
    request: &Request,
    answer: &Answer,
    sums: Option<&Sums>,
) -> Result<Reply, Refusal> {
    sound::check_head(way, request, answer)?;
    let mut reply = answer::head(way, request.operation, answer);
    if request.operation.uploads() {
        if let Some(refused) = answer::not_empty(way, answer) {
            return Err(refused.refusal);
        }
        if let (Some(Value::Number(position)), Some(sums), Some(next)) =
            (request.fields.get(Field::Position), sums, reply.text(Told::NextAppendPosition))
            && next.parse::<u64>().ok() != position.checked_add(sums.bytes)
        {
            return Err(answer::unproven());
        }
        if let Some(crc64) = sums.and_then(|sums| sums.crc64) {
            let crc64 = crc64.to_string();
            if reply.text(Told::Crc64Ecma).is_some_and(|told| told != crc64) {
                return Err(Refusal::say(Fault::InternalError, "What was stored is not what was sent."));
            }
            reply.set(Told::Crc64Ecma, crc64);
        }
        if let Some(md5) =
            sums.and_then(|sums| sums.md5.as_ref()).filter(|_| request.operation == Operation::AppendObject)
        {
            reply.set(Told::PieceMd5, md5.as_bytes());
        }
    }
    answer::finish(way.caller, request.operation, &mut reply);
    Ok(reply)
}

/// The caller's answer to a target's failure (any other status, with its whole bounded body).
pub fn failure(way: &Way<'_>, request: &Request, answer: &Answer) -> Reply {
    let refusal = refusal(way, request, answer);
    let mut reply = tell::refused(way.caller, &refusal);
    if refusal.fault == Fault::AppendPosition {
        let name = (way.target.dialect.told)(Told::NextAppendPosition);
        if let Some(position) = name.and_then(|name| answer.text(name)) {
            reply.set(Told::NextAppendPosition, position);
        }
    }
    reply
}

/// A target's failure as the caller is to hear of it.
pub fn refusal(way: &Way<'_>, request: &Request, answer: &Answer) -> Refusal {
    let refused = answer::failure(way, answer);
    if answer.status / 100 == 2 || !sound::may_fail_so(request, refused.fault) {
        return answer::unproven();
    }
    match refused.fault {
        Fault::PreconditionFailed if request.operation.writes() => {
            overwrite_fault(&request.fields).map_or(refused.refusal, Refusal::from)
        }
        _ => refused.refusal,
    }
}

/// The request that tells where an appended piece should have begun, where the caller's SDK wants to hear it and the
/// target did not say.
///
/// # Errors
/// As [`outgoing`].
pub fn ask_position(
    way: &Way<'_>,
    request: &Request,
    reply: &Reply,
    now: Timestamp,
) -> Option<Result<Outgoing, Refusal>> {
    let refused =
        matches!(&reply.document, Some(Document::Error(error)) if error.fault == Some(Fault::AppendPosition));
    let untold = (way.caller.told)(Told::NextAppendPosition).is_some()
        && reply.text(Told::NextAppendPosition).is_none();
    (refused && untold).then(|| {
        let key = request.key.clone().unwrap_or_default();
        let head = Request::of_object(Operation::HeadObject, way.bucket.clone(), key, Fields::default());
        outgoing(way, &head, None, now).map(|(outgoing, _)| outgoing)
    })
}

/// Takes the position from the answer to [`ask_position`].
pub fn take_position(reply: &mut Reply, answer: &Answer) {
    if let Some(length) = answer.text("content-length").filter(|_| answer.status == 200) {
        reply.set(Told::NextAppendPosition, length);
    }
}

/// Whether an answer to a read must be asked for again without its range: the caller's vendor answers a range
/// that does not fit with the whole object, the target's with an error or with what there is.
pub fn ask_without_range(way: &Way<'_>, request: &Request, answer: &Answer) -> bool {
    use crate::model::{ByteRange, Value};
    let lenient = way.caller.absent.lenient_range && !request.fields.has(Field::StandardRange);
    if !lenient || way.target.dialect.absent.lenient_range || request.operation != Operation::GetObject {
        return false;
    }
    let Some(Value::Bytes(range)) = request.fields.get(Field::Range) else { return false };
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
