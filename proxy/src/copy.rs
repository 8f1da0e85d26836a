//! How a copy is carried out: by its target, part by part at its target, or through here; and how a long one is told.

use blobfish_config::Caller;
use blobfish_dialects::engine::auth::Payload;
use blobfish_dialects::engine::dialect::Dialect;
use blobfish_dialects::engine::tell;
use blobfish_dialects::engine::way::Way;
use blobfish_dialects::model::{Document, Fault, Reply, Request, Told};
use std::time::Duration;
use tokio::time::sleep;

use crate::caller::Framing;
use crate::copies::COPIES;
use crate::exchange;
use crate::job::{End, Job};
use crate::metrics::METRICS;
use crate::relay::{Ends, Relay};
use crate::snapshot::Place;

/// A copy that takes longer is told to be under way, to callers who are used to that.
const PATIENCE: Duration = Duration::from_secs(10);

/// And then again and again.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// A copy between two targets.
///
/// # Errors
/// [`End`].
pub async fn relayed(
    job: &mut Job<'_>,
    dialect: &'static Dialect,
    caller: &Caller,
    source: &Place<'_>,
    place: &Place<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), End> {
    exchange::whole_body(job, &request, payload).await?;
    run(job, dialect, caller, source, place, request).await
}

/// A copy within one target, which makes it itself: at once, or part by part where it is too large for that.
///
/// # Errors
/// [`End`].
#[allow(clippy::too_many_arguments, reason = "each of them is one end of the copy")]
pub async fn direct(
    job: &mut Job<'_>,
    dialect: &'static Dialect,
    caller: &Caller,
    source: &Place<'_>,
    place: &Place<'_>,
    way: Way<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), End> {
    match exchange::run(job, place.upstream, way, request.clone(), payload).await {
        Err(End::Refused(refusal)) if refusal.fault == Fault::TargetCopyLimit => {
            run(job, dialect, caller, source, place, request).await
        }
        other => other,
    }
}

async fn run(
    job: &mut Job<'_>,
    dialect: &'static Dialect,
    caller: &Caller,
    source: &Place<'_>,
    place: &Place<'_>,
    request: Request,
) -> Result<(), End> {
    let same = source.index == place.index;
    let plan = if same { "parts" } else { "relay" };
    // Seen from the source's target its bucket is the request's own.
    let mut from = source.way(dialect, Some(caller), None);
    from.bucket.clone_from(&source.bucket);
    let to = place.way(dialect, Some(caller), Some(source.bucket.clone()));
    let ends =
        Ends { from, from_upstream: source.upstream, to: to.clone(), to_upstream: place.upstream, same };
    let limits = job.snapshot.config.limits.copies.clone();
    let (from, to_name) = (&source.upstream.target.name, &place.upstream.target.name);
    let slot = COPIES.begin(&limits, &caller.name, &job.record.id, plan, from, to_name);
    let slot = slot.ok_or(Fault::SlowDown)?;
    let (relay, losses) = Relay::new(job.upstreams, ends, request, limits, slot)?;
    job.judge(&losses, &to)?;
    let outcome = told(job, dialect, relay).await;
    let label = match &outcome {
        Ok(true) => "ok",
        Ok(false) | Err(_) => "failed",
    };
    METRICS.copies.with_label_values(&[plan, label]).inc();
    outcome.map(drop)
}

/// Waits for a copy and tells how it went; whether it went well.
async fn told(job: &mut Job<'_>, dialect: &'static Dialect, relay: Relay<'_>) -> Result<bool, End> {
    let mut relay = std::pin::pin!(relay.run());
    let patient = tokio::select! {
        biased;
        done = &mut relay => Some(done),
        () = sleep(PATIENCE) => None,
    };
    match patient {
        Some(done) => return at_once(job, done?).await,
        // Some SDKs take the first status for the truth.
        None if !dialect.copy.tells_under_way || !job.chunks => {
            return at_once(job, relay.await?).await;
        }
        None => {}
    }
    let mut head = Reply::status(200);
    head.set(Told::ContentType, "application/xml");
    let mut listens = job.tell_head(head, Framing::Chunked).await.is_ok();
    let done = loop {
        tokio::select! {
            biased;
            done = &mut relay => break done,
            () = sleep(SIGN_OF_LIFE) => {
                // Who went away is not waited for, but the copy is finished: it may be all but done.
                listens = listens && job.caller.answer_body(b" ").await.is_ok();
            }
        }
    };
    let (reply, well) = match done {
        Ok(reply) => (reply, true),
        Err(refusal) => (tell::refused(dialect, &refusal), false),
    };
    if !listens {
        return Err(End::Cut("the caller went"));
    }
    let document = job.document(reply);
    job.caller.answer_body(&document).await?;
    job.caller.answer_end().await?;
    Ok(well)
}

async fn at_once(job: &mut Job<'_>, reply: Reply) -> Result<bool, End> {
    let well = !matches!(reply.document, Some(Document::Error(_)));
    job.tell(reply).await?;
    Ok(well)
}
