//! Copies: by the target, part by part at the target, or through the proxy, by the plan.

use std::sync::Arc;

use blobfish_config::{AbandonedCopies, Caller};
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::dialect::route::Route;
use blobfish_dialects::dialect::signature::Payload;
use blobfish_dialects::engine::plan::{Plan, PlanKind};
use blobfish_dialects::model::{ErrorKind, Request};

use crate::request::context::{RequestContext, RequestEnd};
use crate::request::relay::{CopyRoutes, Relay};
use crate::request::routing::RoutedBucket;
use crate::request::running_copies::RUNNING_COPIES;
use crate::request::{exchange, keepalive, request_body};
use crate::telemetry::metrics::METRICS;

/// A copy between two targets.
///
/// # Errors
/// [`End`].
pub async fn process_relayed_copy(
    context: &mut RequestContext<'_>,
    dialect: &'static Dialect,
    caller: &Caller,
    source_bucket: &RoutedBucket<'_>,
    destination_bucket: &RoutedBucket<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), RequestEnd> {
    request_body::read_request_body(context, &request, payload).await?;
    run_copy(context, dialect, caller, source_bucket, destination_bucket, request, PlanKind::Relay).await
}

/// A copy within one target, which makes it itself. Where it rejects the copy the plan's fallback follows.
///
/// # Errors
/// [`End`].
#[allow(clippy::too_many_arguments, reason = "each of them is one end of the copy")]
pub async fn process_direct_copy(
    context: &mut RequestContext<'_>,
    dialect: &'static Dialect,
    caller: &Caller,
    source_bucket: &RoutedBucket<'_>,
    destination_bucket: &RoutedBucket<'_>,
    route: Route<'_>,
    plan: &Plan,
    request: Request,
    payload: Payload,
) -> Result<(), RequestEnd> {
    let outcome =
        exchange::process_exchange(context, destination_bucket.target, route, request.clone(), payload).await;
    let fallback = match &outcome {
        Err(RequestEnd::Rejected(rejection)) => plan.choose_fallback(rejection.kind),
        _ => None,
    };
    let Some(fallback) = fallback else { return outcome };
    let copy = run_copy(context, dialect, caller, source_bucket, destination_bucket, request, fallback.kind);
    Box::pin(copy).await
}

async fn run_copy(
    context: &mut RequestContext<'_>,
    dialect: &'static Dialect,
    caller: &Caller,
    source_bucket: &RoutedBucket<'_>,
    destination_bucket: &RoutedBucket<'_>,
    request: Request,
    plan: PlanKind,
) -> Result<(), RequestEnd> {
    let is_same_target = plan == PlanKind::Parts;
    let plan_name = if is_same_target { "parts" } else { "relay" };
    // Seen from the source's target its bucket is the request's own.
    let mut source_route = source_bucket.build_route(dialect, Some(caller), None);
    source_route.bucket.clone_from(&source_bucket.target_bucket);
    let destination_route =
        destination_bucket.build_route(dialect, Some(caller), Some(source_bucket.target_bucket.clone()));
    let routes = CopyRoutes {
        source_route,
        source_target: source_bucket.target,
        destination_route: destination_route.clone(),
        destination_target: destination_bucket.target,
        is_same_target,
    };
    let limits = context.config.settings.limits.copies.clone();
    let (source_target_name, destination_target_name) =
        (&source_bucket.target.spec.name, &destination_bucket.target.spec.name);
    let slot = RUNNING_COPIES.try_begin(
        &limits,
        &caller.name,
        &context.record.id,
        plan_name,
        source_target_name,
        destination_target_name,
    );
    let slot = slot.ok_or(ErrorKind::SlowDown)?;
    let progress = Arc::clone(&slot.progress);
    let abortable_progress = (limits.abandoned_copies == AbandonedCopies::Abort).then_some(&*progress);
    let (relay, losses) = Relay::new(context.target_client, routes, request, limits, slot)?;
    context.check_losses(&losses, &destination_route)?;
    let outcome = keepalive::respond_with_keepalive(context, Box::pin(relay.run()), abortable_progress).await;
    let label = if matches!(outcome, Ok(true)) { "ok" } else { "failed" };
    METRICS.copies.with_label_values(&[plan_name, label]).inc();
    outcome.map(drop)
}
