//! Everything with small bodies both ways: reads the request whole, lets the engine say what to send, and tells.

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
use crate::telemetry::metrics::METRICS;

/// Carries out a request.
///
/// # Errors
/// [`End`].
pub async fn process_exchange(
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
            Ok(true) => "ok",
            Ok(false) | Err(RequestEnd::Aborted(_)) => "failed",
            // Another plan follows.
            Err(RequestEnd::Rejected(rejection)) if rejection.kind == ErrorKind::TargetCopyLimit => {
                return outcome.map(drop);
            }
            Err(_) if context.record.target_request_id.is_some() => "failed",
            Err(_) => "refused",
        };
        METRICS.copies.with_label_values(&["exchange", outcome]).inc();
    }
    outcome.map(drop)
}

/// Work that the target may take minutes for.
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
    let outcome = keepalive::respond_with_keepalive(context, Box::pin(work), None).await;
    if let Some(Ok(response)) = last_result.into_inner().unwrap_or_default() {
        context.record_target_request_id(&route, &response);
    }
    outcome
}

/// Tells the CRC-64 of a completed object, by reading it once, where its client expects one and nobody knows it. Without it
/// some SDKs take the upload for failed. A read that fails changes nothing: the object is there.
pub async fn add_crc64(
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
            "the completed object could not be read; its CRC-64 is not told"
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
        download.abort().await;
        return None;
    }
    let put = Request { body_length: head.length, ..Request::new(Operation::PutObject) };
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

/// Drives an exchange to its reply.
///
/// # Errors
/// [`End`].
pub async fn run_exchange(
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
    if changes_cors {
        // Whatever was told of it: it may have been done.
        context.cors_rules.invalidate(target.group_key, &route.bucket);
    }
    if let Some(Ok(response)) = last_result.into_inner().unwrap_or_default() {
        context.record_target_request_id(&route, &response);
    }
    Ok(outcome?)
}
