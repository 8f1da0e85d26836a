//! Requests with streamed bodies: downloads of objects, uploads of objects and parts. Only a few chunks are in memory.

use blobfish_dialects::dialect::route::Route;
use blobfish_dialects::dialect::signature::Payload;
use blobfish_dialects::engine::body_verifier::DigestsToCompute;
use blobfish_dialects::engine::body_verifier::{BodyVerifier, Digests};
use blobfish_dialects::engine::crc64;
use blobfish_dialects::engine::streaming::{
    SinglePart, adapt_part_request, apply_append_position, build_append_position_request,
    build_bucket_head_request, build_client_error, build_client_response, build_not_found_response,
    build_request_without_part, build_target_request, needs_retry_without_range,
};
use blobfish_dialects::engine::target_response::TargetResponse;
use blobfish_dialects::engine::validate_response::build_body_expectation;
use blobfish_dialects::model::{ErrorKind, Field, Rejection, Request, Response, ResponseField};
use bytes::Bytes;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

use crate::clock;
use crate::content_length::parse_content_length;
use crate::inbound::connection::ResponseFraming;
use crate::inbound::connection_error::ReadBodyError;
use crate::request::buffer_budget::Reservation;
use crate::request::context::{RequestContext, RequestEnd};
use crate::request::request_body::BufferedBody;
use crate::request::spool::Spool;
use crate::target::client::{ERROR_BYTES_MAX, TargetExchange, TargetResponseHead};
use crate::target::error::ExchangeError;
use crate::target::runtime::TargetRuntime;
use crate::telemetry::metrics::METRICS;
use crate::telemetry::request_metrics::observe_target_response;

/// How long to wait for the response of a target that stopped reading. It was sent already, but may still be in transit.
const EARLY_RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

/// GET and HEAD of an object.
///
/// # Errors
/// [`RequestEnd`].
pub(crate) async fn download_object(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    route: Route<'_>,
    request: &Request,
) -> Result<(), RequestEnd> {
    match adapt_part_request(&route, request) {
        Some((whole, part)) => process_download(context, target, route, &whole, Some(part)).await,
        None => process_download(context, target, route, request, None).await,
    }
}

/// Processes a download. `part` is set if a part number was requested of an object without parts.
async fn process_download(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    route: Route<'_>,
    request: &Request,
    part: Option<SinglePart>,
) -> Result<(), RequestEnd> {
    let (out, losses) = build_target_request(&route, request, None, clock::now())?;
    context.check_losses(&losses, &route)?;
    let target_client = context.target_client;
    let result = match target_client.send(target, &out, context.operation_name(), route.caller.name).await {
        Err(ExchangeError::ClockSkew) => {
            // The error response revealed the target's time, and the new signature uses it.
            let (out, _) = build_target_request(&route, request, None, clock::now())?;
            target_client.send(target, &out, context.operation_name(), route.caller.name).await
        }
        result => result,
    };
    let (target_exchange, head) = result?;
    context.record_target_request_id(&route, &head.response);
    // For a range that is not satisfiable, some callers' vendors return the whole object, but the target returns an error.
    if needs_retry_without_range(&route, request, &head.response) {
        target_exchange.abort();
        let mut whole = request.clone();
        whole.fields.remove(Field::Range);
        return Box::pin(process_download(context, target, route, &whole, part)).await;
    }
    if let Some((whole, part)) = build_request_without_part(&route, request, &head.response) {
        target_exchange.abort();
        return Box::pin(process_download(context, target, route, &whole, Some(part))).await;
    }
    if let Some(out) = build_bucket_head_request(&route, request, &head.response, clock::now()) {
        target_exchange.release().await;
        let bucket =
            target_client.send_and_read(target, &out?, context.operation_name(), route.caller.name).await?;
        return context
            .send_response(build_not_found_response(&route, request, &head.response, &bucket))
            .await;
    }
    if !is_success(head.response.status) {
        let response = read_error_response(target_exchange, target, &route, request, head).await?;
        return context.send_response(response).await;
    }
    let response = build_client_response(&route, request, &head.response, None)
        .map_err(RequestContext::record_integrity_failure);
    let response = match response.and_then(|response| apply_single_part(part, response)) {
        Ok(response) => response,
        Err(rejection) => {
            target_exchange.abort();
            return Err(rejection.into());
        }
    };
    if context.listener.is_head || head.response.status == 304 {
        target_exchange.release().await;
        return context.send_response(response).await;
    }
    // The head announces length and digests, so a body that differs was damaged in transit.
    let expected_body = build_body_expectation(route.target.dialect, request, &head.response);
    let verifier = expected_body.map(|expected_body| {
        BodyVerifier::new(
            route.target.dialect,
            Payload::Unsigned,
            &expected_body,
            DigestsToCompute::default(),
        )
        .map(Box::new)
    });
    let verifier = match verifier.transpose() {
        Ok(verifier) => verifier,
        Err(_) => {
            target_exchange.abort();
            return Err(ExchangeError::Malformed.record_for(target).into());
        }
    };
    stream_response(context, target, target_exchange, response, head.length, verifier).await
}

fn apply_single_part(part: Option<SinglePart>, response: Response) -> Result<Response, Rejection> {
    match part {
        Some(part) => part.convert_response(response),
        None => Ok(response),
    }
}

/// Whether a response is a success; a 304 has no error document either.
fn is_success(status: u16) -> bool {
    matches!(status, 200..=299 | 304)
}

/// Reads an error document, and returns the error response for the client.
async fn read_error_response(
    mut target_exchange: TargetExchange<'_>,
    target: &TargetRuntime,
    route: &Route<'_>,
    request: &Request,
    head: TargetResponseHead,
) -> Result<Response, ExchangeError> {
    let body =
        target_exchange.read_whole_body(ERROR_BYTES_MAX).await.map_err(|error| error.record_for(target))?;
    target_exchange.release().await;
    Ok(build_client_error(route, request, &TargetResponse { body, ..head.response }))
}

/// Streams the body of an object. If it is shorter or longer than announced, the connection is closed, so that the client
/// does not take it for complete.
async fn stream_response(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    mut target_exchange: TargetExchange<'_>,
    response: Response,
    length: Option<u64>,
    verifier: Option<Box<BodyVerifier>>,
) -> Result<(), RequestEnd> {
    let content_length =
        response.text(ResponseField::ContentLength).map(|text| parse_content_length(text.as_bytes()));
    let framing = match (content_length, length) {
        (Some(Some(announced)), Some(length)) if announced == length => ResponseFraming::Bytes(length),
        (None, Some(length)) => ResponseFraming::Bytes(length),
        (None, None) if context.accepts_chunked => ResponseFraming::Chunked,
        (None, None) => {
            target_exchange.abort();
            return Err(Rejection::with_message(
                ErrorKind::NotImplemented,
                "HTTP/1.0 has no response of unknown length. Use HTTP/1.1.",
            )
            .into());
        }
        _ => {
            target_exchange.abort();
            ExchangeError::Malformed.record_for(target);
            METRICS.integrity_failures.with_label_values(&["length"]).inc();
            return Err(ExchangeError::Malformed.into());
        }
    };
    let verifier = match verifier {
        // An empty body has no last byte to hold back, so it is checked before the head is sent.
        Some(verifier) if framing == ResponseFraming::Bytes(0) => match verifier.finish() {
            Ok(_) => None,
            Err(_) => {
                target_exchange.abort();
                METRICS.integrity_failures.with_label_values(&["target"]).inc();
                return Err(ExchangeError::Malformed.record_for(target).into());
            }
        },
        verifier => verifier,
    };
    if let Err(end) =
        forward_response_body(context, target, &mut target_exchange, response, framing, verifier).await
    {
        target_exchange.abort();
        return Err(end);
    }
    target_exchange.release().await;
    Ok(())
}

async fn forward_response_body(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    target_exchange: &mut TargetExchange<'_>,
    response: Response,
    framing: ResponseFraming,
    mut verifier: Option<Box<BodyVerifier>>,
) -> Result<(), RequestEnd> {
    context.send_response_head(response, framing).await?;
    loop {
        match read_or_flush(context, target_exchange).await? {
            Ok(Some(bytes)) => match &mut verifier {
                Some(verifier) => {
                    context
                        .connection
                        .write_response_body(&verifier.push(&bytes).map_err(record_body_mismatch)?)
                        .await?
                }
                None => context.connection.write_response_body(&bytes).await?,
            },
            Ok(None) => break,
            Err(error) => {
                error.record_for(target);
                return Err(RequestEnd::Aborted(
                    "the target closed the connection before the end of its response",
                ));
            }
        }
    }
    if let Some(verifier) = verifier {
        // Without the last byte a client does not take the body for complete, so it is sent only after verification.
        let (last, _) = verifier.finish().map_err(record_body_mismatch)?;
        context.connection.write_response_body(&last).await?;
    }
    Ok(context.connection.finish_response().await?)
}

/// Reads the target's next bytes. If none have arrived, the bytes that are buffered for the client are flushed first.
async fn read_or_flush(
    context: &mut RequestContext<'_>,
    target_exchange: &mut TargetExchange<'_>,
) -> Result<Result<Option<Bytes>, ExchangeError>, RequestEnd> {
    let mut next = pin!(target_exchange.read_body());
    // A flush per chunk would cost a system call even while the target sends faster than the client reads.
    let first_poll = poll_fn(|cx| match next.as_mut().poll(cx) {
        Poll::Ready(chunk) => Poll::Ready(Some(chunk)),
        Poll::Pending => Poll::Ready(None),
    });
    if let Some(chunk) = first_poll.await {
        return Ok(chunk);
    }
    context.connection.flush().await?;
    Ok(next.await)
}

/// Counts a body that differs from its head, and aborts the response.
fn record_body_mismatch(_: Rejection) -> RequestEnd {
    METRICS.integrity_failures.with_label_values(&["target"]).inc();
    RequestEnd::Aborted("the target's body does not match its head")
}

/// Sends an upload that the target supports, and returns the response for the client. The response is not sent yet.
///
/// # Errors
/// [`RequestEnd`].
pub(crate) async fn send_upload(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    route: &Route<'_>,
    request: &Request,
    body: UploadBody,
) -> Result<Response, RequestEnd> {
    let (out, _) = build_target_request(route, request, body.length(), clock::now())?;
    let target_client = context.target_client;
    let mut target_exchange = target_client.start_upload(target, &out).await?;
    let outcome = match body {
        UploadBody::Buffered((bytes, digests)) => {
            send_buffered_body(&mut target_exchange, &bytes, digests).await
        }
        UploadBody::Spooled(spool, digests) => send_spooled_body(&mut target_exchange, &spool, digests).await,
        UploadBody::Streaming(verifier, first, reservation) => {
            forward_upload_body(context, &mut target_exchange, *verifier, first, reservation).await
        }
    };
    let (head, digests) = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            target_exchange.abort();
            // The rest of the body may still arrive, so the connection cannot be reused.
            context.connection.disable_keep_alive();
            return Err(error.into_request_end(target));
        }
    };
    let elapsed = target_exchange.time_since_start();
    observe_target_response(route.caller.name, &target.spec.name, context.operation_name(), elapsed);
    context.record_target_request_id(route, &head.response);
    let Some(digests) = digests else {
        return build_early_rejection(context, target, route, request, target_exchange, head).await;
    };
    if !is_success(head.response.status) {
        let mut response = read_error_response(target_exchange, target, route, request, head).await?;
        if let Some(out) = build_append_position_request(route, request, &response, clock::now()) {
            let (target_exchange, head) =
                target_client.send(target, &out?, context.operation_name(), route.caller.name).await?;
            target_exchange.release().await;
            apply_append_position(&mut response, &head.response);
        }
        return Ok(response);
    }
    let body =
        target_exchange.read_whole_body(ERROR_BYTES_MAX).await.map_err(|error| error.record_for(target))?;
    target_exchange.release().await;
    let response =
        build_client_response(route, request, &TargetResponse { body, ..head.response }, Some(&digests));
    let mut response = response.map_err(RequestContext::record_integrity_failure)?;
    crc64::append_crc64_to_etag(route, request, &mut response, &digests);
    Ok(response)
}

/// The body of an upload.
pub(crate) enum UploadBody {
    /// It is streamed, after its first verified bytes.
    Streaming(Box<BodyVerifier>, Bytes, Reservation),
    /// It was read and verified completely before the target is contacted.
    Buffered((BufferedBody, Digests)),
    /// It was read and verified completely, into a spool.
    Spooled(Spool, Digests),
}

impl UploadBody {
    /// The length in bytes, if known.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Streaming(verifier, ..) => verifier.length(),
            Self::Buffered((_, digests)) | Self::Spooled(_, digests) => Some(digests.bytes),
        }
    }
}

/// Sends a buffered body that was verified already.
async fn send_buffered_body(
    target_exchange: &mut TargetExchange<'_>,
    bytes: &[u8],
    digests: Digests,
) -> Result<(TargetResponseHead, Option<Digests>), UploadError> {
    let result = match target_exchange.write_body(bytes).await {
        Ok(()) => target_exchange.finish_body().await,
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => Ok((target_exchange.read_response_head().await?, Some(digests))),
        Err(error) => read_early_rejection(target_exchange, error).await,
    }
}

/// Sends a spooled body that was verified already.
async fn send_spooled_body(
    target_exchange: &mut TargetExchange<'_>,
    spool: &Spool,
    digests: Digests,
) -> Result<(TargetResponseHead, Option<Digests>), UploadError> {
    let mut offset = 0;
    while offset < spool.byte_count() {
        let chunk = spool.read(offset).await.map_err(|rejection| UploadError::Client(rejection.into()))?;
        if let Err(error) = target_exchange.write_body(&chunk).await {
            return read_early_rejection(target_exchange, error).await;
        }
        offset = offset.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
    }
    send_buffered_body(target_exchange, &[], digests).await
}

/// Why an upload failed.
enum UploadError {
    /// The client failed or its body was invalid.
    Client(RequestEnd),
    /// The exchange with the target failed.
    Target(ExchangeError),
}

impl UploadError {
    fn into_request_end(self, target: &TargetRuntime) -> RequestEnd {
        match self {
            Self::Client(end) => end,
            Self::Target(error) => error.record_for(target).into(),
        }
    }
}

impl From<ReadBodyError> for UploadError {
    fn from(error: ReadBodyError) -> Self {
        Self::Client(error.into())
    }
}

impl From<ExchangeError> for UploadError {
    fn from(error: ExchangeError) -> Self {
        Self::Target(error)
    }
}

/// Streams the body. The last byte is sent only after everything was verified, so that the target never completes a wrong
/// body. Returns the response head and the digests; no digests if the target rejected the request before the end.
async fn forward_upload_body(
    context: &mut RequestContext<'_>,
    target_exchange: &mut TargetExchange<'_>,
    mut verifier: BodyVerifier,
    mut verified_bytes: Bytes,
    mut reservation: Reservation,
) -> Result<(TargetResponseHead, Option<Digests>), UploadError> {
    let to_integrity_error =
        |rejection| UploadError::Client(RequestContext::record_integrity_failure(rejection).into());
    loop {
        reservation
            .resize(verifier.unverified_len())
            .map_err(|rejection| UploadError::Client(rejection.into()))?;
        if let Err(error) = target_exchange.write_body(&verified_bytes).await {
            return read_early_rejection(target_exchange, error).await;
        }
        match read_upload_event(context, target_exchange).await? {
            UploadEvent::Chunk(chunk) => {
                verified_bytes = verifier.push(&chunk).map_err(to_integrity_error)?
            }
            UploadEvent::EndOfBody => break,
            UploadEvent::EarlyRejection(head) => return Ok((head, None)),
        }
    }
    let (last, digests) = verifier.finish().map_err(to_integrity_error)?;
    send_buffered_body(target_exchange, &last, digests).await
}

enum UploadEvent {
    Chunk(Bytes),
    EndOfBody,
    EarlyRejection(TargetResponseHead),
}

/// Waits for the client's next bytes or for an early rejection by the target.
async fn read_upload_event(
    context: &mut RequestContext<'_>,
    target_exchange: &mut TargetExchange<'_>,
) -> Result<UploadEvent, UploadError> {
    tokio::select! {
        biased;
        wire = context.connection.read_body() => Ok(wire?.map_or(UploadEvent::EndOfBody, UploadEvent::Chunk)),
        early = target_exchange.read_early_response_head() => check_early_rejection(early?).map(UploadEvent::EarlyRejection).map_err(UploadError::Target),
    }
}

/// Checks that an early response is an error. A success before the end of the body cannot be about this body.
fn check_early_rejection(head: TargetResponseHead) -> Result<TargetResponseHead, ExchangeError> {
    if is_success(head.response.status) { Err(ExchangeError::EarlyResponse) } else { Ok(head) }
}

/// Reads the response of a target that stopped reading.
async fn read_early_rejection(
    target_exchange: &mut TargetExchange<'_>,
    error: ExchangeError,
) -> Result<(TargetResponseHead, Option<Digests>), UploadError> {
    match timeout(EARLY_RESPONSE_TIMEOUT, target_exchange.read_early_response_head()).await {
        Ok(Ok(head)) => Ok((check_early_rejection(head)?, None)),
        _ => Err(UploadError::Target(error)),
    }
}

/// Builds the error response for an early rejection. Both connections are in the middle of a body and cannot be reused.
async fn build_early_rejection(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    route: &Route<'_>,
    request: &Request,
    mut target_exchange: TargetExchange<'_>,
    head: TargetResponseHead,
) -> Result<Response, RequestEnd> {
    context.connection.disable_keep_alive();
    let body = target_exchange.read_whole_body(ERROR_BYTES_MAX).await;
    target_exchange.abort();
    let body = body.map_err(|error| error.record_for(target))?;
    Ok(build_client_error(route, request, &TargetResponse { body, ..head.response }))
}
