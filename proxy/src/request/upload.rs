//! Uploads of objects and parts: how much of the body is read before the request to the target starts.

use std::borrow::Cow;

use blobfish_dialects::dialect::route::Route;
use blobfish_dialects::dialect::signature::Payload;
use blobfish_dialects::engine::body_verifier::{BodyVerifier, Digests};
use blobfish_dialects::engine::streaming::{
    add_body_md5, add_digests, build_target_request, can_send_more_digests, choose_digests, needs_digest,
};
use blobfish_dialects::engine::write_request;
use blobfish_dialects::model::{ErrorKind, Operation, Rejection, Request, Response};
use bytes::Bytes;

use crate::clock;
use crate::inbound::request_head::BodyLength;
use crate::request::context::{RequestContext, RequestEnd};
use crate::request::request_body::{BufferedBody, read_verified_body};
use crate::request::streaming::{UploadBody, send_upload};
use crate::request::unknown_length_upload;
use crate::target::runtime::TargetRuntime;

/// The maximum size of a body that is buffered to send its digest in the head: as much as a stream may buffer.
const SMALL_BODY_BYTES_MAX: usize = 256 * 1024;

/// Uploads an object or a part. The response is not sent yet.
///
/// # Errors
/// The request is rejected, or the client disconnected.
pub(crate) async fn upload_body(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    route: Route<'_>,
    request: &Request,
    payload: Payload,
    body: BodyLength,
) -> Result<Response, RequestEnd> {
    // HTTP treats such a request as one with an empty body; the vendors require a length for uploads.
    if body == BodyLength::Absent {
        return Err(ErrorKind::MissingContentLength.into());
    }
    let verifier = BodyVerifier::new(route.caller, payload, request, choose_digests(&route, request))?;
    if verifier.length().is_none()
        && needs_length(&route)
        && request.operation == Operation::PutObject
        && !needs_digest(&route, request)
    {
        return Box::pin(unknown_length_upload::upload_object(context, target, &route, request, verifier))
            .await;
    }
    let (request, body) = prepare_upload_body(context, &route, request, verifier).await?;
    Box::pin(send_upload(context, target, &route, &request, body)).await
}

/// Whether the target requires the length of a body in the head.
fn needs_length(route: &Route<'_>) -> bool {
    !route.target.dialect.supports_chunked_uploads
}

/// Reads as much of a body as is needed before it can be sent: its first bytes; all of a small body, because the target can
/// check more digests then; all of a body of unknown length, if the target requires the length. Returns the request with
/// the computed digests.
///
/// # Errors
/// The request is rejected, or the client disconnected; the target was not contacted.
pub(crate) async fn prepare_upload_body<'r>(
    context: &mut RequestContext<'_>,
    route: &Route<'_>,
    request: &'r Request,
    verifier: BodyVerifier,
) -> Result<(Cow<'r, Request>, UploadBody), RequestEnd> {
    let has_length = verifier.length().is_some() || !needs_length(route);
    // Fields that the target does not support are rejected before the client sends its body.
    let (_, losses) = match has_length {
        true => build_target_request(route, request, verifier.length(), clock::now())?,
        false => write_request::write_request(route, request)?,
    };
    context.check_losses(&losses, route)?;
    let is_small = |bytes: u64| usize::try_from(bytes).is_ok_and(|bytes| bytes <= SMALL_BODY_BYTES_MAX);
    if needs_digest(route, request) {
        let (bytes, digests) = read_small_body(context, verifier, reject_missing_digest()).await?;
        let request_with_digest = add_digests(route, add_body_md5(request.clone(), &bytes), &digests);
        return Ok((Cow::Owned(request_with_digest), UploadBody::Buffered((bytes, digests))));
    }
    if verifier.length().is_some_and(is_small) && can_send_more_digests(route, request) {
        let (bytes, digests) = read_small_body(context, verifier, ErrorKind::EntityTooLarge.into()).await?;
        return Ok((
            Cow::Owned(add_digests(route, request.clone(), &digests)),
            UploadBody::Buffered((bytes, digests)),
        ));
    }
    if !has_length {
        let (spool, digests) = Box::pin(unknown_length_upload::spool_body(context, verifier)).await?;
        return Ok((
            Cow::Owned(add_digests(route, request.clone(), &digests)),
            UploadBody::Spooled(spool, digests),
        ));
    }
    Ok((Cow::Borrowed(request), read_first_bytes(context, verifier).await?))
}

/// Reads a body up to the first bytes that may be forwarded, and to its end if that has arrived with them. An empty body has
/// no last byte that could be held back, and some servers store an empty object if the connection closes after the head. An
/// empty body is therefore verified first, and the head is sent only when a byte of the body can follow it.
///
/// # Errors
/// The request is rejected, or the client disconnected; the target was not contacted.
async fn read_first_bytes(
    context: &mut RequestContext<'_>,
    mut verifier: BodyVerifier,
) -> Result<UploadBody, RequestEnd> {
    context.connection.send_continue().await?;
    let mut reservation = context.start_reservation();
    // The first bytes of a form's file were read together with its fields, and are in the verifier already.
    let mut first = verifier.push(&Bytes::new()).map_err(RequestContext::record_integrity_failure)?;
    // A body that has arrived whole is sent in one write.
    while first.is_empty() || verifier.has_whole_body() {
        match context.connection.read_body().await? {
            Some(chunk) => {
                let bytes = verifier.push(&chunk).map_err(RequestContext::record_integrity_failure)?;
                // The chunk after a whole body contains the trailer of its coding.
                first = if first.is_empty() { bytes } else { first };
            }
            None => {
                let (last, digests) = verifier.finish().map_err(RequestContext::record_integrity_failure)?;
                let whole = [first, last].concat();
                reservation.resize(whole.len())?;
                return Ok(UploadBody::Buffered((BufferedBody::new(whole, reservation), digests)));
            }
        }
        reservation.resize(verifier.unverified_len())?;
    }
    Ok(UploadBody::Streaming(Box::new(verifier), first, reservation))
}

/// Reads a small body whole, to compute digests that the client did not send.
///
/// # Errors
/// `too_large_rejection` for a body of more than [`SMALL_BODY_BYTES_MAX`].
async fn read_small_body(
    context: &mut RequestContext<'_>,
    verifier: BodyVerifier,
    too_large_rejection: Rejection,
) -> Result<(BufferedBody, Digests), RequestEnd> {
    match read_verified_body(context, verifier, SMALL_BODY_BYTES_MAX).await {
        Err(RequestEnd::Rejected(rejection)) if rejection.kind == ErrorKind::EntityTooLarge => {
            Err(too_large_rejection.into())
        }
        other => other,
    }
}

fn reject_missing_digest() -> Rejection {
    Rejection::with_message(
        ErrorKind::NotImplemented,
        "The storage behind this service locks objects of this size only with Content-MD5 or a checksum in the head.",
    )
}
