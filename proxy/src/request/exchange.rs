//! Operations with small bodies in both directions: the whole request body is read, the engine decides what to send to
//! the target, and the response is sent to the client.

use blobfish_dialects::dialect::route::Route;
use blobfish_dialects::dialect::signature::Payload;
use blobfish_dialects::engine::body_verifier::{BodyVerifier, DigestsToCompute};
use blobfish_dialects::engine::exchange::Exchange;
use blobfish_dialects::engine::{crc64, streaming};
use blobfish_dialects::model::{ErrorKind, Operation, Request, Response, ResponseField};
use std::sync::Mutex;

use crate::clock;
use crate::request::context::{RequestContext, RequestEnd};
use crate::request::exchange_driver::drive_exchange;
use crate::request::request_body::read_request_body;
use crate::request::{cors_rules, keepalive};
use crate::target::client::TargetClient;
use crate::target::runtime::TargetRuntime;
use crate::telemetry::access_log;
use crate::telemetry::metrics::METRICS;

/// Processes a request, and sends its response.
///
/// # Errors
/// [`RequestEnd`].
pub(crate) async fn process_exchange(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    route: Route<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), RequestEnd> {
    let (operation, is_copy) = (request.operation, request.operation.is_copy());
    let body = read_request_body(context, &request, payload).await?;
    if !is_copy && operation != Operation::CompleteMultipartUpload {
        let response = run_exchange(context, target, route, request, &body).await?;
        return context.send_response(response).await;
    }
    let outcome = Box::pin(run_long_exchange(context, target, route, request, &body)).await;
    if is_copy {
        let outcome = match &outcome {
            Ok(true) => "success",
            Ok(false) | Err(RequestEnd::Aborted(_)) => "failure",
            // The part-by-part copy that follows counts the copy itself.
            Err(RequestEnd::Rejected(rejection)) if rejection.kind == ErrorKind::TargetCopyLimit => {
                return outcome.map(drop);
            }
            Err(_) if context.record.target_request_id.is_some() => "failure",
            Err(_) => "rejected",
        };
        METRICS.copies.with_label_values(&["exchange", outcome]).inc();
    }
    outcome.map(drop)
}

/// Runs an exchange that may take the target minutes, and keeps the client connection alive meanwhile.
async fn run_long_exchange(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    route: Route<'_>,
    request: Request,
    body: &[u8],
) -> Result<bool, RequestEnd> {
    let operation = request.operation.name();
    let original_request = request.clone();
    let exchange = Exchange::new(route.clone(), request, body)?;
    context.check_losses(exchange.losses(), &route)?;
    let last_result = Mutex::new(None);
    let target_client = context.target_client;
    let work = async {
        let mut response =
            drive_exchange(target_client, target, exchange, operation, route.caller.name, &last_result)
                .await?;
        add_crc64(target_client, target, &route, &original_request, &mut response).await;
        Ok(response)
    };
    let outcome = keepalive::respond_with_whitespace(context, Box::pin(work), None).await;
    if let Some(Ok(response)) = last_result.into_inner().unwrap_or_default() {
        context.record_target_request_id(&route, &response);
    }
    outcome
}

/// Adds the CRC-64 of a completed object to the response, by reading the object once, if the client expects a CRC-64 and the
/// target does not return one. Without it some SDKs report a failed upload. A failed read is only logged: the object exists.
pub(crate) async fn add_crc64(
    target_client: &TargetClient,
    target: &TargetRuntime,
    route: &Route<'_>,
    original_request: &Request,
    response: &mut Response,
) {
    let Some(read_request) = crc64::build_crc64_read_request(route, original_request, response) else {
        return;
    };
    match compute_object_crc64(target_client, target, route, &read_request).await {
        Some(crc64) => response.set(ResponseField::Crc64Ecma, crc64.to_string()),
        None => tracing::warn!(
            target_name = route.target.name,
            bucket = route.bucket().map(access_log::escape_name),
            key = original_request.scope.key().map(access_log::escape_name),
            "the completed object could not be read; the response has no CRC-64"
        ),
    }
}

async fn compute_object_crc64(
    target_client: &TargetClient,
    target: &TargetRuntime,
    route: &Route<'_>,
    read_request: &Request,
) -> Option<u64> {
    let (out, _) = streaming::build_target_request(route, read_request, None, clock::now()).ok()?;
    let (mut download, head) =
        target_client.send(target, &out, read_request.operation.name(), route.caller.name).await.ok()?;
    if head.response.status != 200 {
        // The body is of no use, so the connection is closed instead of being read to its end.
        download.abort();
        return None;
    }
    let put = Request {
        body_length: head.length,
        ..Request::new(Operation::PutObject, read_request.scope.clone())
    };
    let digests_to_compute = DigestsToCompute { crc64: true, ..DigestsToCompute::default() };
    let mut verifier =
        BodyVerifier::new(route.target.dialect, Payload::Unsigned, &put, digests_to_compute).ok()?;
    while let Some(chunk) = download.read_body().await.ok()? {
        verifier.push(&chunk).ok()?;
    }
    let (_, digests) = verifier.finish().ok()?;
    download.release().await;
    digests.crc64
}

/// Runs an exchange, and returns the response for the client.
///
/// # Errors
/// [`RequestEnd`].
pub(crate) async fn run_exchange(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    route: Route<'_>,
    request: Request,
    body: &[u8],
) -> Result<Response, RequestEnd> {
    let changes_cors = cors_rules::may_change_cors_rules(request.operation);
    let operation = request.operation.name();
    let exchange = Exchange::new(route.clone(), request, body)?;
    context.check_losses(exchange.losses(), &route)?;
    let last_result = Mutex::new(None);
    let outcome =
        drive_exchange(context.target_client, target, exchange, operation, route.caller.name, &last_result)
            .await;
    if let Some(bucket) = route.bucket().filter(|_| changes_cors) {
        // Also after an error: the target may have made the change.
        context.cors_rules.invalidate(target.group_key, bucket);
    }
    if let Some(Ok(response)) = last_result.into_inner().unwrap_or_default() {
        context.record_target_request_id(&route, &response);
    }
    Ok(outcome?)
}
