//! How a copy is carried out: by its target, part by part at its target, or through here.

use std::sync::Arc;

use blobfish_config::{AbandonedCopies, Caller};
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::dialect::route::Route;
use blobfish_dialects::dialect::signature::Payload;
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
/// `End`.
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
    run_copy(context, dialect, caller, source_bucket, destination_bucket, request, CopyPlan::Relay).await
}

/// What a target says that does not copy between these regions, classes or kinds of objects.
const UNSUPPORTED_COPY_ERRORS: [ErrorKind; 4] = [
    ErrorKind::NotImplemented,
    ErrorKind::MethodNotAllowed,
    ErrorKind::InvalidRequest,
    ErrorKind::InvalidStorageClass,
];

/// Who moves the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CopyPlan {
    /// The target, part by part.
    Parts,
    /// We.
    Relay,
}

/// A copy within one target, which makes it itself: at once, or part by part where it is too large for that.
///
/// # Errors
/// `End`.
#[allow(clippy::too_many_arguments, reason = "each of them is one end of the copy")]
pub async fn process_direct_copy(
    context: &mut RequestContext<'_>,
    dialect: &'static Dialect,
    caller: &Caller,
    source_bucket: &RoutedBucket<'_>,
    destination_bucket: &RoutedBucket<'_>,
    route: Route<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), RequestEnd> {
    match exchange::process_exchange(context, destination_bucket.target, route, request.clone(), payload)
        .await
    {
        Err(RequestEnd::Rejected(rejection)) if rejection.kind == ErrorKind::TargetCopyLimit => {
            Box::pin(run_copy(
                context,
                dialect,
                caller,
                source_bucket,
                destination_bucket,
                request,
                CopyPlan::Parts,
            ))
            .await
        }
        Err(RequestEnd::Rejected(rejection))
            if destination_bucket.allows_relay && UNSUPPORTED_COPY_ERRORS.contains(&rejection.kind) =>
        {
            Box::pin(run_copy(
                context,
                dialect,
                caller,
                source_bucket,
                destination_bucket,
                request,
                CopyPlan::Relay,
            ))
            .await
        }
        other => other,
    }
}

async fn run_copy(
    context: &mut RequestContext<'_>,
    dialect: &'static Dialect,
    caller: &Caller,
    source_bucket: &RoutedBucket<'_>,
    destination_bucket: &RoutedBucket<'_>,
    request: Request,
    plan: CopyPlan,
) -> Result<(), RequestEnd> {
    let is_same_target = plan == CopyPlan::Parts;
    let plan_name = if is_same_target { "parts" } else { "relay" };
    // The requests to the source's target are no copies: they have one bucket.
    let source_route = source_bucket.build_route(dialect, Some(caller), None);
    let destination_route = destination_bucket.build_route(dialect, Some(caller), Some(source_bucket));
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
