//! Everything with small bodies both ways: reads the request whole, lets the engine say what to send, and tells.

use blobfish_dialects::authentication::signature::Payload;
use blobfish_dialects::engine::body_verifier::{BodyVerifier, Digests, DigestsToCompute};
use blobfish_dialects::engine::exchange::{Exchange, Step, TargetResponse};
use blobfish_dialects::engine::route::Route;
use blobfish_dialects::engine::{crc64, streaming};
use blobfish_dialects::model::{
    ErrorKind, Operation, OutgoingRequest, Rejection, Request, Response, ResponseField,
};
use std::ops::Deref;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::clock;
use crate::inbound::connection::ReadBodyError;
use crate::request::active_config::TargetRuntime;
use crate::request::buffer_budget::Reservation;
use crate::request::context::{RequestContext, RequestEnd};
use crate::request::{cors_rules, keepalive};
use crate::target::client::TargetClient;
use crate::target::error::ExchangeError;
use crate::telemetry::access_log;
use crate::telemetry::metrics::METRICS;

/// A request's body: an ACL, tags, a region, a bucket's rules.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The same with a line for each of 10,000 parts, or of 1,000 long keys.
const LIST_BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// From the first byte of a body that is read whole to its last: 8 MiB at somewhat more than 1 Mbit/s.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(60);

/// By how much a buffer grows at least.
const BUFFER_GROWTH_BYTES_MIN: usize = 64 * 1024;

/// Requests to the target for one request of the caller. An engine that wants more goes round in circles.
const STEPS_MAX: usize = 32;

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
    if let Some(bucket) = route.bucket().filter(|_| changes_cors) {
        // Also after an error: the target may have made the change.
        context.cors_rules.invalidate(target.group_key, bucket);
    }
    if let Some(Ok(response)) = last_result.into_inner().unwrap_or_default() {
        context.record_target_request_id(&route, &response);
    }
    Ok(outcome?)
}

/// Asks and answers until there is something to tell. `last` gets the last answer of the target, or why there is none.
///
/// # Errors
/// What the caller is to be told.
pub async fn drive_exchange(
    target_client: &TargetClient,
    target: &TargetRuntime,
    mut exchange: Exchange<'_>,
    operation: &'static str,
    dialect: &str,
    last_result: &Mutex<Option<Result<TargetResponse, ExchangeError>>>,
) -> Result<Response, Rejection> {
    let mut step = exchange.start(clock::now())?;
    for _ in 0..STEPS_MAX {
        let out = match step {
            Step::Respond(response) => return Ok(*response),
            Step::Send(out) => out,
        };
        let mut result = target_client.send_and_read(target, &out, operation, dialect).await;
        if let (Err(ExchangeError::ClockSkew), Some(out)) = (&result, exchange.resign_last_read(clock::now()))
        {
            result = target_client.send_and_read(target, &out, operation, dialect).await;
        }
        let next = match &result {
            Ok(response) => exchange.handle_response(response, clock::now()),
            Err(error) => Err(error.to_rejection()),
        };
        record_lost_upload(target, &out, operation, &result, next.is_ok());
        if let Ok(mut last_result) = last_result.lock() {
            *last_result = Some(result);
        }
        if next.as_ref().is_err_and(|rejection| rejection.kind == ErrorKind::SourceChanged) {
            METRICS.copy_sources_changed.with_label_values(&[operation]).inc();
        }
        step = next?;
    }
    tracing::error!(operation, "an exchange did not end");
    Err(ErrorKind::InternalError.into())
}

/// An upload that was begun and whose id nobody was told stays until somebody gives it up, and costs money meanwhile. It
/// cannot be told from one that somebody else begins for the same key, so that it is not looked for and given up here.
fn record_lost_upload(
    target: &TargetRuntime,
    out: &OutgoingRequest,
    operation: &'static str,
    result: &Result<TargetResponse, ExchangeError>,
    is_accepted: bool,
) {
    let may_have_begun = match result {
        Ok(response) => response.status / 100 == 2 && !is_accepted,
        Err(error) => error.is_outcome_unknown(),
    };
    if operation != Operation::CreateMultipartUpload.name() || !may_have_begun {
        return;
    }
    let target_name = target.spec.name.as_str();
    METRICS.uploads_orphaned.with_label_values(&[target_name]).inc();
    let (bucket, key) =
        (out.scope.bucket().map(access_log::escape_name), out.scope.key().map(access_log::escape_name));
    tracing::error!(
        target_name = target_name,
        bucket,
        key,
        "the answer to the beginning of an upload was lost: it may be there"
    );
}

/// The request's body, verified.
///
/// # Errors
/// [`End`].
pub async fn read_request_body(
    context: &mut RequestContext<'_>,
    request: &Request,
    payload: Payload,
) -> Result<BufferedBody, RequestEnd> {
    let bytes_max = match request.operation {
        Operation::CompleteMultipartUpload | Operation::DeleteObjects => LIST_BODY_BYTES_MAX,
        _ => BODY_BYTES_MAX,
    };
    let verifier =
        BodyVerifier::new(context.listener.dialect, payload, request, DigestsToCompute::default())?;
    Ok(read_verified_body(context, verifier, bytes_max).await?.0)
}

/// A whole body, verified, and what was computed of it.
///
/// # Errors
/// [`End`]; a body that is longer than `bytes_max`, by its head already; one that is slower than [`WHOLE_TIME_MAX`];
/// [`Fault::SlowDown`].
pub async fn read_verified_body(
    context: &mut RequestContext<'_>,
    mut verifier: BodyVerifier,
    bytes_max: usize,
) -> Result<(BufferedBody, Digests), RequestEnd> {
    let too_large = |bytes: usize| bytes > bytes_max;
    if verifier.length().is_some_and(|length| usize::try_from(length).map_or(true, too_large)) {
        return Err(ErrorKind::EntityTooLarge.into());
    }
    context.connection.send_continue().await?;
    let mut reservation = context.start_reservation();
    let deadline = Instant::now() + BODY_READ_TIMEOUT;
    let mut body = Vec::new();
    let length = verifier.length();
    append_bytes(&mut body, &verifier.push(&[]).map_err(RequestContext::count_integrity_failure)?, length);
    while let Some(chunk) =
        timeout_at(deadline, context.connection.read_body()).await.unwrap_or(Err(ReadBodyError::TimedOut))?
    {
        append_bytes(
            &mut body,
            &verifier.push(&chunk).map_err(RequestContext::count_integrity_failure)?,
            length,
        );
        if too_large(body.len()) {
            return Err(ErrorKind::EntityTooLarge.into());
        }
        reservation.resize(body.capacity().saturating_add(verifier.unverified_len()))?;
    }
    let (last_bytes, digests) = verifier.finish().map_err(RequestContext::count_integrity_failure)?;
    append_bytes(&mut body, &last_bytes, length);
    Ok((BufferedBody::new(body, reservation), digests))
}

/// A body that was read whole, and its place in the budget.
pub struct BufferedBody {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl BufferedBody {
    /// Of bytes that are counted there.
    pub fn new(bytes: Vec<u8>, reservation: Reservation) -> Self {
        Self { bytes, _reservation: reservation }
    }
}

impl Deref for BufferedBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Appends. Room is taken twice as much each time, but not more than is known to come.
fn append_bytes(buffer: &mut Vec<u8>, bytes: &[u8], length: Option<u64>) {
    let room = buffer.capacity().saturating_sub(buffer.len());
    if room < bytes.len() {
        let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
        let rest = length.saturating_sub(buffer.len());
        buffer.reserve_exact(buffer.len().max(BUFFER_GROWTH_BYTES_MIN).min(rest).max(bytes.len()));
    }
    buffer.extend_from_slice(bytes);
}
