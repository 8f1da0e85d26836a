//! Request bodies that are buffered whole, with their reservation in the buffer budget.

use std::ops::Deref;
use std::time::Duration;

use blobfish_dialects::dialect::signature::Payload;
use blobfish_dialects::engine::body_verifier::{BodyVerifier, Digests, DigestsToCompute};
use blobfish_dialects::model::{ErrorKind, Operation, Request};
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::inbound::connection_error::ReadBodyError;
use crate::request::buffer_budget::Reservation;
use crate::request::context::{RequestContext, RequestEnd};

/// The size limit of a request document: ACL, tags, location, settings document.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The size limit of a document with one entry for each of 10,000 parts, or for each of 1,000 long keys.
const LIST_BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The time limit for a whole body: enough for 8 MiB at somewhat more than 1 Mbit/s.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The minimum growth of a buffer.
const BUFFER_GROWTH_BYTES_MIN: usize = 64 * 1024;

/// Reads and verifies the body of a request.
///
/// # Errors
/// As [`read_verified_body`].
pub(crate) async fn read_request_body(
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

/// Reads and verifies a whole body, and returns it with its digests.
///
/// # Errors
/// The body is longer than `bytes_max`, possibly by its Content-Length; it takes longer than [`BODY_READ_TIMEOUT`]; it
/// differs from what its head announced; the buffer budget is used up ([`ErrorKind::SlowDown`]); the client disconnected.
pub(crate) async fn read_verified_body(
    context: &mut RequestContext<'_>,
    mut verifier: BodyVerifier,
    bytes_max: usize,
) -> Result<(BufferedBody, Digests), RequestEnd> {
    let too_large = |bytes: u64| usize::try_from(bytes).map_or(true, |bytes| bytes > bytes_max);
    if verifier.length().is_some_and(too_large) {
        return Err(ErrorKind::EntityTooLarge.into());
    }
    // After the length check, so that a client which waits for 100 Continue does not send a body that is rejected.
    context.connection.send_continue().await?;
    let mut reservation = context.start_reservation();
    // A deadline for the whole body: an idle timeout alone would let a client hold the memory by one byte per minute.
    let deadline = Instant::now() + BODY_READ_TIMEOUT;
    let mut body = Vec::new();
    let length = verifier.length();
    append_bytes(
        &mut body,
        &verifier.push(&Bytes::new()).map_err(RequestContext::record_integrity_failure)?,
        length,
    );
    while let Some(chunk) =
        timeout_at(deadline, context.connection.read_body()).await.unwrap_or(Err(ReadBodyError::TimedOut))?
    {
        append_bytes(
            &mut body,
            &verifier.push(&chunk).map_err(RequestContext::record_integrity_failure)?,
            length,
        );
        if too_large(verifier.byte_count()) {
            return Err(ErrorKind::EntityTooLarge.into());
        }
        reservation.resize(body.capacity().saturating_add(verifier.unverified_len()))?;
    }
    let (last_bytes, digests) = verifier.finish().map_err(RequestContext::record_integrity_failure)?;
    append_bytes(&mut body, &last_bytes, length);
    Ok((BufferedBody::new(body, reservation), digests))
}

/// A body that was read whole, and its reservation in the buffer budget.
pub(crate) struct BufferedBody {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl BufferedBody {
    /// The reservation already covers the bytes.
    pub(crate) fn new(bytes: Vec<u8>, reservation: Reservation) -> Self {
        Self { bytes, _reservation: reservation }
    }
}

impl Deref for BufferedBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Appends bytes. The buffer doubles when it is full, but does not grow beyond the known length.
fn append_bytes(buffer: &mut Vec<u8>, bytes: &[u8], length: Option<u64>) {
    let free_bytes = buffer.capacity().saturating_sub(buffer.len());
    if free_bytes < bytes.len() {
        let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
        let rest = length.saturating_sub(buffer.len());
        // Not the whole length at the start: a head costs a client nothing, so memory follows the bytes that arrive.
        buffer.reserve_exact(buffer.len().max(BUFFER_GROWTH_BYTES_MIN).min(rest).max(bytes.len()));
    }
    buffer.extend_from_slice(bytes);
}
