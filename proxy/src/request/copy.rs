//! Copies: by the target, part by part at the target, or through the proxy, by the plan.

use std::sync::Arc;

use blobfish_config::CopiesOnDisconnect;
use blobfish_dialects::dialect::signature::Payload;
use blobfish_dialects::engine::plan::PlanKind;
use blobfish_dialects::model::{ErrorKind, Request};

use crate::request::context::{RequestContext, RequestEnd};
use crate::request::relay::{CopyRoutes, Relay};
use crate::request::routed_request::RoutedRequest;
use crate::request::running_copies::RUNNING_COPIES;
use crate::request::{exchange, keepalive, request_body};
use crate::telemetry::metrics::METRICS;

/// Processes a copy between two targets.
///
/// # Errors
/// [`RequestEnd`].
pub(crate) async fn process_relayed_copy(
    context: &mut RequestContext<'_>,
    routed: &RoutedRequest<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), RequestEnd> {
    request_body::read_request_body(context, &request, payload).await?;
    run_copy(context, routed, request, PlanKind::Relay).await
}

/// Processes a copy at one target. If the target rejects the copy, the plan's fallback follows.
///
/// # Errors
/// [`RequestEnd`].
pub(crate) async fn process_copy_at_target(
    context: &mut RequestContext<'_>,
    routed: &RoutedRequest<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), RequestEnd> {
    let (target, route) = (routed.destination.target, routed.route.clone());
    let outcome = exchange::process_exchange(context, target, route, request.clone(), payload).await;
    let fallback = match &outcome {
        Err(RequestEnd::Rejected(rejection)) => routed.plan.choose_fallback(rejection.kind),
        _ => None,
    };
    let Some(fallback) = fallback else { return outcome };
    Box::pin(run_copy(context, routed, request, fallback.kind)).await
}

async fn run_copy(
    context: &mut RequestContext<'_>,
    routed: &RoutedRequest<'_>,
    request: Request,
    plan: PlanKind,
) -> Result<(), RequestEnd> {
    // A plan with a copy has a source and a caller: anonymous clients can only read.
    let source = routed.source.as_ref().ok_or(ErrorKind::InternalError)?;
    let caller = routed.caller.ok_or(ErrorKind::AccessDenied)?;
    let target_copies = plan == PlanKind::Parts;
    let plan_name = if target_copies { "parts" } else { "relay" };
    let routes = CopyRoutes {
        source_route: routed.build_source_route().ok_or(ErrorKind::InternalError)?,
        source_target: source.target,
        destination_route: routed.route.clone(),
        destination_target: routed.destination.target,
        target_copies,
    };
    let limits = context.config.settings.limits.copies.clone();
    let slot = RUNNING_COPIES.try_begin(
        &limits,
        &caller.name,
        &context.record.id,
        plan_name,
        &source.target.spec.name,
        &routed.destination.target.spec.name,
    );
    let slot = slot.ok_or(ErrorKind::SlowDown)?;
    let progress = Arc::clone(&slot.progress);
    let abortable_progress = (limits.copies_on_disconnect == CopiesOnDisconnect::Abort).then_some(&*progress);
    let (relay, losses) = Relay::new(context.target_client, routes, request, limits, slot)?;
    context.check_losses(&losses, &routed.route)?;
    let outcome =
        keepalive::respond_with_whitespace(context, Box::pin(relay.run()), abortable_progress).await;
    let label = if matches!(outcome, Ok(true)) { "success" } else { "failure" };
    METRICS.copies.with_label_values(&[plan_name, label]).inc();
    outcome.map(drop)
}
