//! Dispatch of an authenticated request: authorization, route, and the plan of the core, which is executed here.

use blobfish_config::Caller;
use blobfish_dialects::authentication::authenticate::AuthenticatedRequest;
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::engine::plan::Procedure;
use blobfish_dialects::model::{ErrorKind, Operation, Request};

use crate::inbound::request_head::BodyLength;
use crate::request::context::{RequestContext, RequestEnd};
use crate::request::grants::authorize;
use crate::request::routed_request::RoutedRequest;
use crate::request::{copy, exchange, list_buckets, small_parts, streaming, upload};
use crate::telemetry::access_log;
use crate::telemetry::metrics::METRICS;

/// Executes the plan of a request.
///
/// # Errors
/// [`RequestEnd`].
pub(crate) async fn dispatch_request(
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
        return Box::pin(process_anonymous_read(context, dialect, &request)).await;
    };
    let caller = config.find_caller(&access_key_id).ok_or(ErrorKind::InternalError)?;
    record_request(context, Some(caller), &request, unsigned.len());
    authorize(caller, &request)?;
    let _rate_limit_permit = config.try_acquire_rate_limit(caller).ok_or(ErrorKind::SlowDown)?;
    let _fair_queue_permit = context.fair_queue.acquire(&caller.name).await;
    if request.operation == Operation::ListBuckets {
        return Box::pin(list_buckets::list_buckets(context, caller, request, payload)).await;
    }
    let routed = RoutedRequest::from_request(config, dialect, Some(caller), &request)?;
    let target = routed.destination.target;
    context.record.target = Some(target.spec.name.clone());
    // On the heap: otherwise every request would reserve, and move several times, the memory of the largest procedure.
    match routed.plan.procedure {
        Procedure::SmallPartsUpload => {
            Box::pin(small_parts::process_upload_request(context, routed, request, payload, body)).await
        }
        Procedure::RelayCopy => {
            Box::pin(copy::process_relayed_copy(context, &routed, request, payload)).await
        }
        Procedure::CopyObject => {
            Box::pin(copy::process_copy_at_target(context, &routed, request, payload)).await
        }
        Procedure::SmallPartsBucket => {
            let route = routed.route;
            Box::pin(small_parts::process_bucket_request(context, target, route, request, payload)).await
        }
        Procedure::Upload => {
            let work = upload::upload_body(context, target, routed.route, &request, payload, body);
            let response = Box::pin(work).await?;
            context.send_response(response).await
        }
        Procedure::Download => {
            Box::pin(streaming::download_object(context, target, routed.route, &request)).await
        }
        Procedure::Exchange => {
            Box::pin(exchange::process_exchange(context, target, routed.route, request, payload)).await
        }
        // These are not plans of a request that addresses a bucket with a signature.
        Procedure::ListBuckets | Procedure::Preflight | Procedure::UploadForm => {
            Err(ErrorKind::InternalError.into())
        }
    }
}

/// Processes an anonymous read of an object.
async fn process_anonymous_read(
    context: &mut RequestContext<'_>,
    dialect: &'static Dialect,
    request: &Request,
) -> Result<(), RequestEnd> {
    record_request(context, None, request, 0);
    let RoutedRequest { destination, route, .. } =
        RoutedRequest::from_request(context.config, dialect, None, request)?;
    context.record.target = Some(destination.target.spec.name.clone());
    streaming::download_object(context, destination.target, route, request).await
}

/// Records the request for the access log and the metrics.
pub(crate) fn record_request(
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
