//! How a copy is carried out: by its target, part by part at its target, or through here.

use std::sync::Arc;

use blobfish_config::{Abandoned, Caller};
use blobfish_dialects::engine::auth::Payload;
use blobfish_dialects::engine::dialect::Dialect;
use blobfish_dialects::engine::way::Way;
use blobfish_dialects::model::{Fault, Request};

use crate::copies::COPIES;
use crate::job::{End, Job};
use crate::metrics::METRICS;
use crate::relay::{Ends, Relay};
use crate::snapshot::Place;
use crate::{exchange, patience};

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
    run(job, dialect, caller, source, place, request, Plan::Relay).await
}

/// What a target says that does not copy between these regions, classes or kinds of objects.
const CANNOT: [Fault; 4] =
    [Fault::NotImplemented, Fault::MethodNotAllowed, Fault::InvalidRequest, Fault::InvalidStorageClass];

/// Who moves the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// The target, part by part.
    Parts,
    /// We.
    Relay,
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
            Box::pin(run(job, dialect, caller, source, place, request, Plan::Parts)).await
        }
        Err(End::Refused(refusal)) if place.relay && CANNOT.contains(&refusal.fault) => {
            Box::pin(run(job, dialect, caller, source, place, request, Plan::Relay)).await
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
    plan: Plan,
) -> Result<(), End> {
    let same = plan == Plan::Parts;
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
    let progress = Arc::clone(&slot.progress);
    let watched = (limits.abandoned == Abandoned::Abort).then_some(&*progress);
    let (relay, losses) = Relay::new(job.upstreams, ends, request, limits, slot)?;
    job.judge(&losses, &to)?;
    let outcome = patience::told(job, Box::pin(relay.run()), watched).await;
    let label = if matches!(outcome, Ok(true)) { "ok" } else { "failed" };
    METRICS.copies.with_label_values(&[plan, label]).inc();
    outcome.map(drop)
}
