//! Everything with small bodies both ways: reads the request whole, lets the engine say what to send, and tells.

use blobfish_dialects::engine::auth::Payload;
use blobfish_dialects::engine::body::{Gate, Sums, Wants};
use blobfish_dialects::engine::exchange::{Answer, Exchange, Step};
use blobfish_dialects::engine::way::Way;
use blobfish_dialects::engine::{crc64, stream};
use blobfish_dialects::model::{Fault, Operation, Outgoing, Refusal, Reply, Request, Told};
use std::ops::Deref;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::budget::Reservation;
use crate::caller::NoBody;
use crate::failed::Failed;
use crate::job::{End, Job};
use crate::metrics::METRICS;
use crate::snapshot::Upstream;
use crate::upstream::Upstreams;
use crate::{clock, cors, log, patience};

/// A request's body: an ACL, tags, a region, a bucket's rules.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The same with a line for each of 10,000 parts, or of 1,000 long keys.
const LINES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// From the first byte of a body that is read whole to its last: 8 MiB at somewhat more than 1 Mbit/s.
const WHOLE_TIME_MAX: Duration = Duration::from_secs(60);

/// By how much a buffer grows at least.
const GROWTH_BYTES: usize = 64 * 1024;

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
    let (operation, copies) = (request.operation, request.operation.copies());
    let body = whole_body(job, &request, payload).await?;
    if !copies && operation != Operation::CompleteMultipartUpload {
        let reply = driven(job, upstream, way, request, &body).await?;
        return job.tell(reply).await;
    }
    let outcome = Box::pin(patiently(job, upstream, way, request, &body)).await;
    if copies {
        let outcome = match &outcome {
            Ok(true) => "ok",
            Ok(false) | Err(End::Cut(_)) => "failed",
            // Another plan follows.
            Err(End::Refused(refusal)) if refusal.fault == Fault::TargetCopyLimit => {
                return outcome.map(drop);
            }
            Err(_) if job.record.upstream_id.is_some() => "failed",
            Err(_) => "refused",
        };
        METRICS.copies.with_label_values(&["exchange", outcome]).inc();
    }
    outcome.map(drop)
}

/// Work that the target may take minutes for.
async fn patiently(
    job: &mut Job<'_>,
    upstream: &Upstream,
    way: Way<'_>,
    request: Request,
    body: &[u8],
) -> Result<bool, End> {
    let operation = request.operation.name();
    let asked = request.clone();
    let exchange = Exchange::new(way.clone(), request, body)?;
    job.judge(exchange.losses(), &way)?;
    let last = Mutex::new(None);
    let upstreams = job.upstreams;
    let work = async {
        let mut reply = drive(upstreams, upstream, exchange, operation, way.caller.name, &last).await?;
        tell_crc64(upstreams, upstream, &way, &asked, &mut reply).await;
        Ok(reply)
    };
    let outcome = patience::told(job, Box::pin(work), None).await;
    if let Some(Ok(answer)) = last.into_inner().unwrap_or_default() {
        job.note_upstream(&way, &answer);
    }
    outcome
}

/// Tells the CRC-64 of a completed object, by reading it once, where its client expects one and nobody knows it. Without it
/// some SDKs take the upload for failed. A read that fails changes nothing: the object is there.
pub async fn tell_crc64(
    upstreams: &Upstreams,
    upstream: &Upstream,
    way: &Way<'_>,
    asked: &Request,
    reply: &mut Reply,
) {
    let Some(read) = crc64::ask_whole(way, asked, reply) else { return };
    match read_crc64(upstreams, upstream, way, &read).await {
        Some(crc64) => reply.set(Told::Crc64Ecma, crc64.to_string()),
        None => tracing::warn!(
            target_name = way.target.name,
            "the completed object could not be read; its CRC-64 is not told"
        ),
    }
}

async fn read_crc64(
    upstreams: &Upstreams,
    upstream: &Upstream,
    way: &Way<'_>,
    read: &Request,
) -> Option<u64> {
    let (out, _) = stream::outgoing(way, read, None, clock::now()).ok()?;
    let (mut reading, head) =
        upstreams.ask(upstream, &out, read.operation.name(), way.caller.name).await.ok()?;
    if head.answer.status != 200 {
        reading.abort().await;
        return None;
    }
    let put = Request { body_length: head.length, ..Request::new(Operation::PutObject) };
    let wants = Wants { crc64: true, ..Wants::default() };
    let mut gate = Gate::new(way.target.dialect, Payload::Unsigned, &put, wants).ok()?;
    while let Some(piece) = reading.body().await.ok()? {
        gate.push(&piece).ok()?;
    }
    let (_, sums) = gate.finish().ok()?;
    reading.release().await;
    sums.crc64
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
    let changes_cors = cors::changes(request.operation);
    let operation = request.operation.name();
    let exchange = Exchange::new(way.clone(), request, body)?;
    job.judge(exchange.losses(), &way)?;
    let last = Mutex::new(None);
    let outcome = drive(job.upstreams, upstream, exchange, operation, way.caller.name, &last).await;
    if changes_cors {
        // Whatever was told of it: it may have been done.
        job.cors.forget(upstream.group_key, &way.bucket);
    }
    if let Some(Ok(answer)) = last.into_inner().unwrap_or_default() {
        job.note_upstream(&way, &answer);
    }
    Ok(outcome?)
}

/// Asks and answers until there is something to tell. `last` gets the last answer of the target, or why there is none.
///
/// # Errors
/// What the caller is to be told.
pub async fn drive(
    upstreams: &Upstreams,
    upstream: &Upstream,
    mut exchange: Exchange<'_>,
    operation: &'static str,
    dialect: &str,
    last: &Mutex<Option<Result<Answer, Failed>>>,
) -> Result<Reply, Refusal> {
    let mut step = exchange.start(clock::now())?;
    for _ in 0..STEPS_MAX {
        let out = match step {
            Step::Tell(reply) => return Ok(*reply),
            Step::Send(out) => out,
        };
        let mut answered = upstreams.exchange(upstream, &out, operation, dialect).await;
        if let (Err(Failed::Clock), Some(out)) = (&answered, exchange.again(clock::now())) {
            answered = upstreams.exchange(upstream, &out, operation, dialect).await;
        }
        let next = match &answered {
            Ok(answer) => exchange.next(answer, clock::now()),
            Err(failed) => Err(failed.refusal()),
        };
        note_lost_upload(upstream, &out, operation, &answered, next.is_ok());
        if let Ok(mut last) = last.lock() {
            *last = Some(answered);
        }
        if next.as_ref().is_err_and(|refusal| refusal.fault == Fault::SourceChanged) {
            METRICS.copy_sources_changed.with_label_values(&[operation]).inc();
        }
        step = next?;
    }
    tracing::error!(operation, "an exchange did not end");
    Err(Fault::InternalError.into())
}

/// An upload that was begun and whose id nobody was told stays until somebody gives it up, and costs money meanwhile. It
/// cannot be told from one that somebody else begins for the same key, so that it is not looked for and given up here.
fn note_lost_upload(
    upstream: &Upstream,
    out: &Outgoing,
    operation: &'static str,
    answered: &Result<Answer, Failed>,
    is_told: bool,
) {
    let may_have_begun = match answered {
        Ok(answer) => answer.status / 100 == 2 && !is_told,
        Err(failed) => failed.may_have_been_done(),
    };
    if operation != Operation::CreateMultipartUpload.name() || !may_have_begun {
        return;
    }
    let target = upstream.target.name.as_str();
    METRICS.uploads_lost.with_label_values(&[target]).inc();
    let name = |text: &Option<String>| text.as_deref().map(log::name);
    let (bucket, key) = (name(&out.bucket), name(&out.key));
    tracing::error!(
        target_name = target,
        bucket,
        key,
        "the answer to the beginning of an upload was lost: it may be there"
    );
}

/// The request's body, verified.
///
/// # Errors
/// [`End`].
pub async fn whole_body(job: &mut Job<'_>, request: &Request, payload: Payload) -> Result<Whole, End> {
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
/// [`End`]; a body that is longer than `bytes_max`, by its head already; one that is slower than [`WHOLE_TIME_MAX`];
/// [`Fault::SlowDown`].
pub async fn collected(job: &mut Job<'_>, mut gate: Gate, bytes_max: usize) -> Result<(Whole, Sums), End> {
    let too_large = |bytes: usize| bytes > bytes_max;
    if gate.length().is_some_and(|length| usize::try_from(length).map_or(true, too_large)) {
        return Err(Fault::EntityTooLarge.into());
    }
    job.caller.invite_body().await?;
    let mut reservation = job.reservation();
    let deadline = Instant::now() + WHOLE_TIME_MAX;
    let mut whole = Vec::new();
    let length = gate.length();
    append(&mut whole, &gate.push(&[]).map_err(Job::count_integrity)?, length);
    while let Some(wire) = timeout_at(deadline, job.caller.body()).await.unwrap_or(Err(NoBody::Slow))? {
        append(&mut whole, &gate.push(&wire).map_err(Job::count_integrity)?, length);
        if too_large(whole.len()) {
            return Err(Fault::EntityTooLarge.into());
        }
        reservation.hold(whole.capacity().saturating_add(gate.held()))?;
    }
    let (last, sums) = gate.finish().map_err(Job::count_integrity)?;
    append(&mut whole, &last, length);
    Ok((Whole::new(whole, reservation), sums))
}

/// A body that was read whole, and its place in the budget.
pub struct Whole {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl Whole {
    /// Of bytes that are counted there.
    pub fn new(bytes: Vec<u8>, reservation: Reservation) -> Self {
        Self { bytes, _reservation: reservation }
    }
}

impl Deref for Whole {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Appends. Room is taken twice as much each time, but not more than is known to come.
fn append(whole: &mut Vec<u8>, bytes: &[u8], length: Option<u64>) {
    let room = whole.capacity().saturating_sub(whole.len());
    if room < bytes.len() {
        let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
        let rest = length.saturating_sub(whole.len());
        whole.reserve_exact(whole.len().max(GROWTH_BYTES).min(rest).max(bytes.len()));
    }
    whole.extend_from_slice(bytes);
}
