//! Dispatch of an authenticated request: authorization, route, and the plan of the core, which is executed here.

use blobfish_config::Caller;
use blobfish_dialects::authentication::authenticate::AuthenticatedRequest;
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::dialect::route::Route;
use blobfish_dialects::engine::plan::{self, Plan, PlanRoutes, Procedure};
use blobfish_dialects::engine::small_parts::check_key_allowed;
use blobfish_dialects::model::{ErrorKind, Operation, Rejection, Request};

use crate::inbound::request_head::BodyLength;
use crate::request::active_config::ActiveConfig;
use crate::request::context::{RequestContext, RequestEnd};
use crate::request::grants::authorize;
use crate::request::routing::RoutedBucket;
use crate::request::{copy, exchange, list_buckets, small_parts, streaming, upload};
use crate::telemetry::access_log;
use crate::telemetry::metrics::METRICS;

/// Executes the plan of a request.
///
/// # Errors
/// [`End`].
pub async fn dispatch_request(
    context: &mut RequestContext<'_>,
    authenticated: AuthenticatedRequest,
    body: BodyLength,
) -> Result<(), RequestEnd> {
    let AuthenticatedRequest {
        dialect,
        access_key_id: access_key,
        request,
        payload,
        unsigned_names: unsigned,
    } = authenticated;
    let config = context.config;
    let Some(access_key_id) = access_key else {
        return process_public_read(context, dialect, &request).await;
    };
    let caller = config.find_caller(&access_key_id).ok_or(ErrorKind::InternalError)?;
    record_request(context, Some(caller), &request, unsigned.len());
    authorize(caller, &request)?;
    let _rate_limit_permit = config.try_acquire_rate_limit(caller).ok_or(ErrorKind::SlowDown)?;
    let _fair_queue_permit = context.fair_queue.acquire(&caller.name).await;
    if request.operation == Operation::ListBuckets {
        return list_buckets::list_buckets(context, caller, request, payload).await;
    }
    let routed_request = plan_routed_request(config, dialect, Some(caller), &request)?;
    let target = routed_request.destination.target;
    context.record.target = Some(target.spec.name.clone());
    let RoutedRequest { destination, source, route, plan } = routed_request;
    // On the heap: these need more room than other requests.
    match (plan.procedure, source) {
        (Procedure::SmallPartsUpload, source) => {
            let small_parts_upload = small_parts::process_upload_request(
                context,
                dialect,
                caller,
                &destination,
                source.as_ref(),
                route,
                request,
                payload,
                body,
            );
            Box::pin(small_parts_upload).await
        }
        (Procedure::RelayCopy, Some(source)) => {
            let relayed_copy =
                copy::process_relayed_copy(context, dialect, caller, &source, &destination, request, payload);
            Box::pin(relayed_copy).await
        }
        (Procedure::CopyObject, Some(source)) => {
            let direct_copy = copy::process_direct_copy(
                context,
                dialect,
                caller,
                &source,
                &destination,
                route,
                &plan,
                request,
                payload,
            );
            Box::pin(direct_copy).await
        }
        (Procedure::SmallPartsBucket, _) => {
            let bucket_request =
                small_parts::process_bucket_request(context, target, route, request, payload);
            Box::pin(bucket_request).await
        }
        (Procedure::Upload, _) => {
            let response = upload::upload_body(context, target, route, &request, payload, body).await?;
            context.send_response(response).await
        }
        (Procedure::Download, _) => streaming::download_object(context, target, route, &request).await,
        _ => exchange::process_exchange(context, target, route, request, payload).await,
    }
}

/// An object that anybody may read.
async fn process_public_read(
    context: &mut RequestContext<'_>,
    dialect: &'static Dialect,
    request: &Request,
) -> Result<(), RequestEnd> {
    record_request(context, None, request, 0);
    let RoutedRequest { destination, route, .. } =
        plan_routed_request(context.config, dialect, None, request)?;
    context.record.target = Some(destination.target.spec.name.clone());
    streaming::download_object(context, destination.target, route, request).await
}

/// Writes down what is asked.
pub fn record_request(
    context: &mut RequestContext<'_>,
    caller: Option<&Caller>,
    request: &Request,
    unsigned_count: usize,
) {
    let record = &mut context.record;
    record.caller = caller.map(|caller| caller.name.clone());
    record.operation = Some(request.operation.name());
    record.bucket = request.bucket.as_deref().map(access_log::escape_name);
    record.key = request.key.as_deref().map(access_log::escape_name);
    record.source = request
        .source
        .as_ref()
        .map(|source| access_log::escape_name(&format!("{}/{}", source.bucket, source.key)));
    record.unsigned = unsigned_count;
    if let (Ok(count @ 1..), dialect) = (u64::try_from(unsigned_count), record.dialect) {
        METRICS.unsigned_fields.with_label_values(&[dialect]).inc_by(count);
    }
}

/// A request with its buckets, its route and its plan.
pub struct RoutedRequest<'s> {
    /// The bucket that the request addresses.
    pub destination: RoutedBucket<'s>,
    /// The bucket of the copy source.
    pub source: Option<RoutedBucket<'s>>,
    /// The route to the destination.
    pub route: Route<'s>,
    /// What to do.
    pub plan: Plan,
}

impl<'s> RoutedRequest<'s> {
    /// The route to the copy source, as seen from its own target.
    pub fn build_source_route(&self, caller: Option<&'s Caller>) -> Option<Route<'s>> {
        self.source.as_ref().map(|source| source.build_route(self.route.caller, caller, None))
    }

    /// Whether source and destination are at one target.
    pub fn is_same_target(&self) -> bool {
        self.source.as_ref().is_none_or(|source| source.target_index == self.destination.target_index)
    }
}

/// Routes a request that addresses a bucket and lets the core decide the plan. `explain` calls this too.
///
/// # Errors
/// A bucket that has no route, a key that is kept for small parts.
pub fn plan_routed_request<'s>(
    config: &'s ActiveConfig,
    dialect: &'static Dialect,
    caller: Option<&'s Caller>,
    request: &Request,
) -> Result<RoutedRequest<'s>, Rejection> {
    let (destination, source) = route_request(config, request)?;
    let source_bucket = source.as_ref().map(|source| source.target_bucket.clone());
    let route = destination.build_route(dialect, caller, source_bucket);
    let mut routed_request =
        RoutedRequest { destination, source, route, plan: plan::plan_local(Procedure::Exchange) };
    let source_route = routed_request.build_source_route(caller);
    let routes = PlanRoutes {
        destination: &routed_request.route,
        source: source_route.as_ref(),
        is_same_target: routed_request.is_same_target(),
        allows_relay: routed_request.destination.allows_relay,
    };
    routed_request.plan = plan::plan_request(request, routes);
    Ok(routed_request)
}

/// Where the request goes, and where its copy source is.
fn route_request<'s>(
    config: &'s ActiveConfig,
    request: &Request,
) -> Result<(RoutedBucket<'s>, Option<RoutedBucket<'s>>), Rejection> {
    let bucket = request.bucket.as_deref().ok_or(ErrorKind::InvalidRequest)?;
    let routed_bucket = config.routing().route_bucket(bucket).ok_or(ErrorKind::NoSuchBucket)?;
    check_key_allowed(&routed_bucket.target.spec, request.key.as_deref().unwrap_or_default())?;
    let Some(source) = &request.source else { return Ok((routed_bucket, None)) };
    let routed_source = config.routing().route_bucket(&source.bucket).ok_or(ErrorKind::NoSuchBucket)?;
    check_key_allowed(&routed_source.target.spec, &source.key)?;
    Ok((routed_bucket, Some(routed_source)))
}
