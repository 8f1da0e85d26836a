//! Uploads whose length nobody said, towards targets that must be told one: an object is uploaded in parts, each of which is
//! known before it is sent; a part is known whole.

use std::sync::Mutex;

use blobfish_dialects::engine::auth::Payload;
use blobfish_dialects::engine::body::{Gate, Sums, Wants};
use blobfish_dialects::engine::exchange::Exchange;
use blobfish_dialects::engine::stream::with_sums;
use blobfish_dialects::engine::way::Way;
use blobfish_dialects::engine::{answer, crc64, etag, relay, write};
use blobfish_dialects::model::{
    Document, Fault, Field, Operation, Part, Refusal, Reply, Request, Told, Value,
};
use blobfish_dialects::wire::hash;

use crate::exchange::drive;
use crate::job::{End, Job};
use crate::relay::give_up;
use crate::snapshot::Upstream;
use crate::spool::Spool;
use crate::stream::{Body, send};

/// Bytes of a part of an object.
const PART_BYTES: u64 = 16 * 1024 * 1024;

/// A whole body, in a file where it is not small.
///
/// # Errors
/// [`End`]; a body that is longer than the operator allows.
pub async fn whole(job: &mut Job<'_>, mut gate: Gate) -> Result<(Spool, Sums), End> {
    job.caller.invite_body().await?;
    let limits = &job.snapshot.config.limits.spool;
    let mut spool = Spool::new(limits);
    let mut reservation = job.reservation();
    spool.push(&gate.push(&[]).map_err(Job::count_integrity)?).await?;
    while let Some(wire) = job.caller.body().await? {
        reservation.hold(gate.held())?;
        spool.push(&gate.push(&wire).map_err(Job::count_integrity)?).await?;
        if spool.bytes() > limits.bytes_max {
            return Err(Refusal::say(
                Fault::EntityTooLarge,
                format!(
                    "A part without a length may have {} bytes here. Say Content-Length.",
                    limits.bytes_max
                ),
            )
            .with("MaxSizeAllowed", limits.bytes_max.to_string())
            .into());
        }
    }
    let (last, sums) = gate.finish().map_err(Job::count_integrity)?;
    spool.push(&last).await?;
    Ok((spool, sums))
}

/// PUT of an object. One that ends within a part is put at once; of a larger one nothing is seen before all of it was
/// verified.
///
/// # Errors
/// [`End`]. No upload is left behind.
pub async fn object(
    job: &mut Job<'_>,
    upstream: &Upstream,
    way: &Way<'_>,
    request: &Request,
    gate: Gate,
) -> Result<Reply, End> {
    let (_, losses) = write::request(way, request)?;
    job.judge(&losses, way)?;
    let mut upload = None;
    let outcome = Box::pin(passed(job, upstream, way, request, gate, &mut upload)).await;
    let failed = outcome.as_ref().map_or(true, |reply| reply.status >= 300);
    if let Some(upload) = upload.filter(|_| failed) {
        job.caller.close_after();
        give_up(job.upstreams, upstream, way, request, &upload).await;
    }
    outcome
}

/// A part while it arrives.
struct Arriving {
    spool: Spool,
    digest: Gate,
}

async fn passed(
    job: &mut Job<'_>,
    upstream: &Upstream,
    way: &Way<'_>,
    request: &Request,
    mut gate: Gate,
    upload: &mut Option<String>,
) -> Result<Reply, End> {
    job.caller.invite_body().await?;
    let mut arriving =
        Arriving { spool: Spool::new(&job.snapshot.config.limits.spool), digest: digest(way)? };
    let (mut parts, mut bytes) = (Vec::new(), 0_u64);
    let mut wire = Some(bytes::Bytes::new());
    let mut reservation = job.reservation();
    while let Some(read) = wire {
        let proven = gate.push(&read).map_err(Job::count_integrity)?;
        bytes = bytes.saturating_add(u64::try_from(proven.len()).unwrap_or(u64::MAX));
        if bytes > way.caller.limits.upload_bytes_max {
            return Err(Fault::EntityTooLarge.into());
        }
        if arriving.spool.bytes() >= PART_BYTES && !proven.is_empty() {
            if upload.is_none() {
                *upload = Some(begun(job, upstream, way, request).await?);
            }
            let id = upload.clone().unwrap_or_default();
            match part(job, upstream, way, request, &id, &mut arriving, parts.len()).await? {
                Sent::Part(part) => parts.push(part),
                Sent::Refused(reply) => return Ok(*reply),
            }
        }
        let proven = arriving.digest.push(&proven)?;
        arriving.spool.push(&proven).await?;
        reservation.hold(gate.held())?;
        wire = job.caller.body().await?;
    }
    let (last, sums) = gate.finish().map_err(Job::count_integrity)?;
    let last = arriving.digest.push(&last)?;
    arriving.spool.push(&last).await?;
    let Some(id) = upload.clone() else {
        let (last, _) = arriving.digest.finish()?;
        arriving.spool.push(&last).await?;
        let told = with_sums(way, request.clone(), &sums);
        return send(job, upstream, way, &told, Body::Spooled(arriving.spool, sums)).await;
    };
    match part(job, upstream, way, request, &id, &mut arriving, parts.len()).await? {
        Sent::Part(part) => parts.push(part),
        Sent::Refused(reply) => return Ok(*reply),
    }
    let mut complete = relay::complete(request, &id, parts);
    crc64::unseal_parts(way, &mut complete);
    let mut reply = exchanged(job, upstream, way, complete).await?;
    relay::made(&mut reply, sums.crc64)?;
    let Some(Document::Completed { etag, .. }) = reply.document.take() else {
        return Err(answer::unproven().into());
    };
    reply.status = way.caller.success_status(Operation::PutObject);
    reply.set(Told::Etag, etag::quoted(way.caller, &etag));
    answer::finish(way.caller, Operation::PutObject, &mut reply);
    Ok(reply)
}

enum Sent {
    Part(Part),
    Refused(Box<Reply>),
}

/// Computes what the target is told of a part.
fn digest(way: &Way<'_>) -> Result<Gate, Refusal> {
    let unknown = Request::new(Operation::UploadPart);
    Gate::new(way.caller, Payload::Unsigned, &unknown, Wants { md5: true, crc64: true, ..Wants::default() })
}

async fn begun(
    job: &mut Job<'_>,
    upstream: &Upstream,
    way: &Way<'_>,
    request: &Request,
) -> Result<String, End> {
    match exchanged(job, upstream, way, relay::begin(request)).await?.document {
        Some(Document::Initiated { upload_id, .. }) => Ok(upload_id),
        _ => Err(answer::unproven().into()),
    }
}

async fn exchanged(
    job: &mut Job<'_>,
    upstream: &Upstream,
    way: &Way<'_>,
    request: Request,
) -> Result<Reply, Refusal> {
    let name = request.operation.name();
    let exchange = Exchange::new(way.clone(), request, &[])?;
    drive(job.upstreams, upstream, exchange, name, way.caller.name, &Mutex::new(None)).await
}

/// Sends what has arrived as a part, whose MD5 the target checks.
async fn part(
    job: &mut Job<'_>,
    upstream: &Upstream,
    way: &Way<'_>,
    request: &Request,
    upload: &str,
    arriving: &mut Arriving,
    before: usize,
) -> Result<Sent, End> {
    let (last, sums) = std::mem::replace(&mut arriving.digest, digest(way)?).finish()?;
    arriving.spool.push(&last).await?;
    let number = u64::try_from(before).unwrap_or(u64::MAX).saturating_add(1);
    let mut put = relay::part(request, upload, number, sums.bytes);
    if let Some(md5) = sums.md5.as_deref().and_then(hash::base64_of_hex) {
        put.fields.set(Field::ContentMd5, Value::Text(md5));
    }
    let fresh = Spool::new(&job.snapshot.config.limits.spool);
    let spool = std::mem::replace(&mut arriving.spool, fresh);
    let reply = send(job, upstream, way, &put, Body::Spooled(spool, sums)).await?;
    if reply.status >= 300 {
        return Ok(Sent::Refused(Box::new(reply)));
    }
    let etag = reply.text(Told::Etag).map(|tag| etag::bare(tag).to_owned());
    Ok(Sent::Part(Part::new(number, etag.ok_or_else(answer::unproven)?)))
}
