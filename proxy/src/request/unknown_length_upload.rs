//! Uploads of unknown length to targets that require a length. An object is uploaded as a multipart upload, and each of its
//! parts is spooled before it is sent. An uploaded part is spooled whole.

use std::sync::Mutex;

use blobfish_dialects::dialect::etag;
use blobfish_dialects::dialect::route::Route;
use blobfish_dialects::dialect::signature::Payload;
use blobfish_dialects::encoding::hash;
use blobfish_dialects::engine::body_verifier::{BodyVerifier, Digests, DigestsToCompute};
use blobfish_dialects::engine::exchange::Exchange;
use blobfish_dialects::engine::streaming::add_digests;
use blobfish_dialects::engine::{crc64, read_response, relay, target_response, write_request};
use blobfish_dialects::model::{
    Document, ErrorKind, Field, Operation, Part, Rejection, Request, Response, ResponseField, Value,
};
use bytes::Bytes;

use crate::request::context::{RequestContext, RequestEnd};
use crate::request::exchange_driver::drive_exchange;
use crate::request::relay::abort_upload;
use crate::request::spool::Spool;
use crate::request::streaming::{UploadBody, send_upload};
use crate::target::runtime::TargetRuntime;

/// The size of a part of such an object.
const PART_BYTES: u64 = 16 * 1024 * 1024;

/// Reads a whole body into a spool.
///
/// # Errors
/// [`RequestEnd`], also if the body is longer than the configured maximum.
pub(crate) async fn spool_body(
    context: &mut RequestContext<'_>,
    mut verifier: BodyVerifier,
) -> Result<(Spool, Digests), RequestEnd> {
    context.connection.send_continue().await?;
    let limits = &context.config.settings.limits.spool;
    let mut spool = Spool::new(limits);
    let mut reservation = context.start_reservation();
    spool.push(&verifier.push(&Bytes::new()).map_err(RequestContext::record_integrity_failure)?).await?;
    while let Some(chunk) = context.connection.read_body().await? {
        reservation.resize(verifier.unverified_len())?;
        spool.push(&verifier.push(&chunk).map_err(RequestContext::record_integrity_failure)?).await?;
        if verifier.byte_count() > limits.bytes_max {
            return Err(Rejection::with_message(
                ErrorKind::EntityTooLarge,
                format!(
                    "A part without a length may have at most {} bytes. Send Content-Length.",
                    limits.bytes_max
                ),
            )
            .with_detail("MaxSizeAllowed", limits.bytes_max.to_string())
            .into());
        }
    }
    let (last, digests) = verifier.finish().map_err(RequestContext::record_integrity_failure)?;
    spool.push(&last).await?;
    Ok((spool, digests))
}

/// Uploads an object. A body that fits into one part is sent as a single PutObject. A larger object becomes visible only
/// when all of it was verified.
///
/// # Errors
/// [`RequestEnd`]. The multipart upload is aborted.
pub(crate) async fn upload_object(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    route: &Route<'_>,
    request: &Request,
    verifier: BodyVerifier,
) -> Result<Response, RequestEnd> {
    let (_, losses) = write_request::write_request(route, request)?;
    context.check_losses(&losses, route)?;
    let mut upload = None;
    let outcome = Box::pin(upload_object_body(context, target, route, request, verifier, &mut upload)).await;
    let has_failed = outcome.as_ref().map_or(true, |response| response.status >= 300);
    if let Some(upload) = upload.filter(|_| has_failed) {
        // The rest of the body may still arrive, so the connection cannot be reused.
        context.connection.disable_keep_alive();
        abort_upload(context.target_client, target, route, request, &upload).await;
    }
    outcome
}

/// A part that is being received.
struct PendingPart {
    spool: Spool,
    verifier: BodyVerifier,
}

async fn upload_object_body(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    route: &Route<'_>,
    request: &Request,
    mut verifier: BodyVerifier,
    upload: &mut Option<String>,
) -> Result<Response, RequestEnd> {
    context.connection.send_continue().await?;
    let mut pending = PendingPart {
        spool: Spool::new(&context.config.settings.limits.spool),
        verifier: create_part_verifier(route, request)?,
    };
    let mut parts = Vec::new();
    let mut next_chunk = Some(Bytes::new());
    let mut reservation = context.start_reservation();
    while let Some(chunk) = next_chunk {
        let verified_bytes = verifier.push(&chunk).map_err(RequestContext::record_integrity_failure)?;
        // The client expects the limit of its own vendor, although a multipart upload at the target could be larger.
        if verifier.byte_count() > route.caller.limits.upload_bytes_max {
            return Err(ErrorKind::EntityTooLarge.into());
        }
        if pending.spool.byte_count() >= PART_BYTES && !verified_bytes.is_empty() {
            // Created only when a second part begins: most bodies are small, and need no multipart upload.
            if upload.is_none() {
                *upload = Some(create_upload(context, target, route, request).await?);
            }
            let id = upload.clone().unwrap_or_default();
            match send_part(context, target, route, request, &id, &mut pending, parts.len()).await? {
                PartOutcome::Uploaded(part) => parts.push(part),
                PartOutcome::Rejected(response) => return Ok(*response),
            }
        }
        let verified_bytes = pending.verifier.push(&verified_bytes)?;
        pending.spool.push(&verified_bytes).await?;
        reservation.resize(verifier.unverified_len())?;
        next_chunk = context.connection.read_body().await?;
    }
    let (last, digests) = verifier.finish().map_err(RequestContext::record_integrity_failure)?;
    let last = pending.verifier.push(&last)?;
    pending.spool.push(&last).await?;
    let Some(id) = upload.clone() else {
        let (last, _) = pending.verifier.finish()?;
        pending.spool.push(&last).await?;
        let target_request = add_digests(route, request.clone(), &digests);
        return send_upload(
            context,
            target,
            route,
            &target_request,
            UploadBody::Spooled(pending.spool, digests),
        )
        .await;
    };
    match send_part(context, target, route, request, &id, &mut pending, parts.len()).await? {
        PartOutcome::Uploaded(part) => parts.push(part),
        PartOutcome::Rejected(response) => return Ok(*response),
    }
    let mut complete = relay::build_complete_request(request, &id, parts);
    crc64::unseal_part_etags(route, &mut complete);
    let mut response = perform_upload_exchange(context, target, route, complete).await?;
    relay::check_response_crc64(&mut response, digests.crc64)?;
    let Some(Document::Completed { etag, .. }) = response.document.take() else {
        return Err(target_response::reject_incomplete_response().into());
    };
    response.status = route.caller.success_status(Operation::PutObject);
    response.set(ResponseField::Etag, etag::quote(route.caller, &etag));
    read_response::add_caller_fields(route.caller, Operation::PutObject, &mut response);
    Ok(response)
}

enum PartOutcome {
    Uploaded(Part),
    Rejected(Box<Response>),
}

/// Creates the verifier that computes the digests of a part.
fn create_part_verifier(route: &Route<'_>, request: &Request) -> Result<BodyVerifier, Rejection> {
    let unknown = Request::new(Operation::UploadPart, request.scope.clone());
    BodyVerifier::new(
        route.caller,
        Payload::Unsigned,
        &unknown,
        DigestsToCompute { md5: true, crc64: true, ..DigestsToCompute::default() },
    )
}

async fn create_upload(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    route: &Route<'_>,
    request: &Request,
) -> Result<String, RequestEnd> {
    match perform_upload_exchange(context, target, route, relay::build_create_upload_request(request))
        .await?
        .document
    {
        Some(Document::Initiated { upload_id, .. }) => Ok(upload_id),
        _ => Err(target_response::reject_incomplete_response().into()),
    }
}

async fn perform_upload_exchange(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    route: &Route<'_>,
    request: Request,
) -> Result<Response, Rejection> {
    let name = request.operation.name();
    let exchange = Exchange::new(route.clone(), request, &[])?;
    drive_exchange(context.target_client, target, exchange, name, route.caller.name, &Mutex::new(None)).await
}

/// Sends the received bytes as a part, with an MD5 for the target to check.
async fn send_part(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    route: &Route<'_>,
    request: &Request,
    upload: &str,
    pending: &mut PendingPart,
    parts_before: usize,
) -> Result<PartOutcome, RequestEnd> {
    let (last, digests) =
        std::mem::replace(&mut pending.verifier, create_part_verifier(route, request)?).finish()?;
    pending.spool.push(&last).await?;
    let number = u64::try_from(parts_before).unwrap_or(u64::MAX).saturating_add(1);
    let mut put = relay::build_part_request(request, upload, number, digests.bytes);
    if let Some(md5) = digests.md5.as_deref().and_then(hash::convert_hex_to_base64) {
        put.fields.set(Field::ContentMd5, Value::Text(md5));
    }
    let fresh = Spool::new(&context.config.settings.limits.spool);
    let spool = std::mem::replace(&mut pending.spool, fresh);
    let response = send_upload(context, target, route, &put, UploadBody::Spooled(spool, digests)).await?;
    if response.status >= 300 {
        return Ok(PartOutcome::Rejected(Box::new(response)));
    }
    let etag = response.text(ResponseField::Etag).map(|tag| etag::strip_quotes(tag).to_owned());
    Ok(PartOutcome::Uploaded(Part::new(
        number,
        etag.ok_or_else(target_response::reject_incomplete_response)?,
    )))
}
