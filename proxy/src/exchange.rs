//! Everything with small bodies both ways: reads the request whole, lets the engine say what to send, and tells.

use blobfish_dialects::engine::auth::Payload;
use blobfish_dialects::engine::body::{Gate, Sums, Wants};
use blobfish_dialects::engine::exchange::{Exchange, Step};
use blobfish_dialects::engine::way::Way;
use blobfish_dialects::model::{Document, Fault, Operation, Reply, Request};

use crate::clock;
use crate::job::{End, Job};
use crate::metrics::METRICS;
use crate::snapshot::Upstream;

/// A request's body: an ACL, tags, a region, a bucket's rules.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The same with a line for each of 10,000 parts, or of 1,000 long keys.
const LINES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Requests to the target for one request of the caller. An engine that wants more goes round in circles.
const STEPS_MAX: usize = 32;

/// Carries out a request.
///
/// # Errors
/// [`End`].
pub async fn run(
    job: &mut Job<'_>,
    upstream: &Upstream,
    way: Way<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), End> {
    let copies = request.operation.copies();
    let outcome = reply(job, upstream, way, request, payload).await;
    if copies {
        let outcome = match &outcome {
            Ok(reply) if reply.status < 300 && !matches!(reply.document, Some(Document::Error(_))) => "ok",
            Ok(_) => "failed",
            Err(_) if job.record.upstream_id.is_some() => "failed",
            Err(_) => "refused",
        };
        METRICS.copies.with_label_values(&["exchange", outcome]).inc();
    }
    job.tell(outcome?).await
}

/// The reply to a request, with nothing told yet.
///
/// # Errors
/// [`End`].
pub async fn reply(
    job: &mut Job<'_>,
    upstream: &Upstream,
    way: Way<'_>,
    request: Request,
    payload: Payload,
) -> Result<Reply, End> {
    let body = whole_body(job, &request, payload).await?;
    driven(job, upstream, way, request, &body).await
}

/// Drives an exchange to its reply.
///
/// # Errors
/// [`End`].
pub async fn driven(
    job: &mut Job<'_>,
    upstream: &Upstream,
    way: Way<'_>,
    request: Request,
    body: &[u8],
) -> Result<Reply, End> {
    let (operation, dialect) = (request.operation.name(), way.caller.name);
    let mut exchange = Exchange::new(way.clone(), request, body)?;
    job.judge(exchange.losses(), &way)?;
    let mut step = exchange.start(clock::now())?;
    for _ in 0..STEPS_MAX {
        let out = match step {
            Step::Tell(reply) => return Ok(*reply),
            Step::Send(out) => out,
        };
        let answer = job.upstreams.exchange(upstream, &out, operation, dialect).await?;
        job.note_upstream(&way, &answer);
        step = exchange.next(&answer, clock::now())?;
    }
    tracing::error!(operation, "an exchange did not end");
    Err(Fault::InternalError.into())
}

/// The request's body, verified.
///
/// # Errors
/// [`End`].
pub async fn whole_body(job: &mut Job<'_>, request: &Request, payload: Payload) -> Result<Vec<u8>, End> {
    let bytes_max = match request.operation {
        Operation::CompleteMultipartUpload | Operation::DeleteObjects => LINES_BYTES_MAX,
        _ => BODY_BYTES_MAX,
    };
    let gate = Gate::new(job.listener.dialect, payload, request, Wants::default())?;
    Ok(collected(job, gate, bytes_max).await?.0)
}

/// A whole body, verified, and what was computed of it.
///
/// # Errors
/// [`End`]; a body that is longer than `bytes_max`.
pub async fn collected(job: &mut Job<'_>, mut gate: Gate, bytes_max: usize) -> Result<(Vec<u8>, Sums), End> {
    job.caller.invite_body().await?;
    let mut whole = gate.push(&[]).map_err(Job::count_integrity)?;
    while let Some(wire) = job.caller.body().await? {
        whole.extend(gate.push(&wire).map_err(Job::count_integrity)?);
        if whole.len() > bytes_max {
            return Err(Fault::EntityTooLarge.into());
        }
    }
    let (last, sums) = gate.finish().map_err(Job::count_integrity)?;
    whole.extend(last);
    Ok((whole, sums))
}
