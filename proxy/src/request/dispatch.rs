//! What is done for a request that is believed: may it, where does it go, and by which plan.

use blobfish_config::Caller;
use blobfish_dialects::authentication::authenticate::AuthenticatedRequest;
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::engine::small_parts::{check_key_allowed, involves_small_parts};
use blobfish_dialects::model::{ErrorKind, Operation, Rejection, Request};

use crate::inbound::request_head::BodyLength;
use crate::request::active_config::ActiveConfig;
use crate::request::context::{RequestContext, RequestEnd};
use crate::request::grants::authorize;
use crate::request::routing::RoutedBucket;
use crate::request::{copy, exchange, list_buckets, small_parts, streaming, upload};
use crate::telemetry::access_log;
use crate::telemetry::metrics::METRICS;

/// Carries out a request.
///
/// # Errors
/// `End`.
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
    let (routed_bucket, source_bucket) = route_request(config, &request)?;
    context.record.target = Some(routed_bucket.target.spec.name.clone());
    let route = routed_bucket.build_route(dialect, Some(caller), source_bucket.as_ref());
    if involves_small_parts(&route, &request) {
        let source = source_bucket.as_ref();
        let small_parts_upload = small_parts::process_upload_request(
            context,
            dialect,
            caller,
            &routed_bucket,
            source,
            route,
            request,
            payload,
            body,
        );
        return Box::pin(small_parts_upload).await;
    }
    if let Some(source) =
        source_bucket.as_ref().filter(|source| source.target_index != routed_bucket.target_index)
    {
        return Box::pin(copy::process_relayed_copy(
            context,
            dialect,
            caller,
            source,
            &routed_bucket,
            request,
            payload,
        ))
        .await;
    }
    if small_parts::needs_small_parts_handling(&route, request.operation) {
        return Box::pin(small_parts::process_bucket_request(
            context,
            routed_bucket.target,
            route,
            request,
            payload,
        ))
        .await;
    }
    if request.operation.is_upload() {
        let response =
            upload::upload_body(context, routed_bucket.target, route, &request, payload, body).await?;
        context.send_response(response).await
    } else if request.operation.is_streamed() {
        streaming::download_object(context, routed_bucket.target, route, &request).await
    } else {
        match source_bucket.filter(|_| request.operation == Operation::CopyObject) {
            // On the heap: a copy needs more room than other requests.
            Some(source) => {
                Box::pin(copy::process_direct_copy(
                    context,
                    dialect,
                    caller,
                    &source,
                    &routed_bucket,
                    route,
                    request,
                    payload,
                ))
                .await
            }
            None => exchange::process_exchange(context, routed_bucket.target, route, request, payload).await,
        }
    }
}

/// An object that anybody may read.
async fn process_public_read(
    context: &mut RequestContext<'_>,
    dialect: &'static Dialect,
    request: &Request,
) -> Result<(), RequestEnd> {
    record_request(context, None, request, 0);
    let (routed_bucket, _) = route_request(context.config, request)?;
    context.record.target = Some(routed_bucket.target.spec.name.clone());
    streaming::download_object(
        context,
        routed_bucket.target,
        routed_bucket.build_route(dialect, None, None),
        request,
    )
    .await
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
    record.bucket = request.scope.bucket().map(access_log::escape_name);
    record.key = request.scope.key().map(access_log::escape_name);
    record.source = request
        .source
        .as_ref()
        .map(|source| access_log::escape_name(&format!("{}/{}", source.bucket, source.key)));
    record.unsigned = unsigned_count;
    if let (Ok(count @ 1..), dialect) = (u64::try_from(unsigned_count), record.dialect) {
        METRICS.unsigned_fields.with_label_values(&[dialect]).inc_by(count);
    }
}

/// Where the request goes, and where its copy source is.
fn route_request<'s>(
    config: &'s ActiveConfig,
    request: &Request,
) -> Result<(RoutedBucket<'s>, Option<RoutedBucket<'s>>), Rejection> {
    let bucket = request.scope.require_bucket()?;
    let routed_bucket = config.routing().route_bucket(bucket).ok_or(ErrorKind::NoSuchBucket)?;
    if let Some(key) = request.scope.key() {
        check_key_allowed(&routed_bucket.target.spec, key)?;
    }
    let Some(source) = &request.source else { return Ok((routed_bucket, None)) };
    let routed_source = config.routing().route_bucket(&source.bucket).ok_or(ErrorKind::NoSuchBucket)?;
    check_key_allowed(&routed_source.target.spec, &source.key)?;
    Ok((routed_bucket, Some(routed_source)))
}
