//! The bodies of requests that are read whole, and the memory for them.

use std::ops::Deref;
use std::time::Duration;

use blobfish_dialects::dialect::signature::Payload;
use blobfish_dialects::engine::body_verifier::{BodyVerifier, Digests, DigestsToCompute};
use blobfish_dialects::model::{ErrorKind, Operation, Request};
use tokio::time::{Instant, timeout_at};

use crate::inbound::connection_error::ReadBodyError;
use crate::request::buffer_budget::Reservation;
use crate::request::context::{RequestContext, RequestEnd};

/// A request's body: an ACL, tags, a region, a bucket's rules.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// The same with a line for each of 10,000 parts, or of 1,000 long keys.
const LIST_BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// From the first byte of a body that is read whole to its last: 8 MiB at somewhat more than 1 Mbit/s.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(60);

/// By how much a buffer grows at least.
const BUFFER_GROWTH_BYTES_MIN: usize = 64 * 1024;

/// Reads the body of a request, verified.
///
/// # Errors
/// As [`read_verified_body`].
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

/// Reads a whole body, verified, and the digests of it.
///
/// # Errors
/// The body is longer than `bytes_max`, possibly by its head already; it takes longer than [`BODY_READ_TIMEOUT`]; it is not
/// what its head announced; there is no memory for it ([`ErrorKind::SlowDown`]); the client disconnected.
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

/// A body that was read whole, and its reservation in the buffer budget.
pub struct BufferedBody {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl BufferedBody {
    /// The reservation already covers the bytes.
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

/// Appends. The buffer doubles each time, but not beyond the length that is known.
fn append_bytes(buffer: &mut Vec<u8>, bytes: &[u8], length: Option<u64>) {
    let room = buffer.capacity().saturating_sub(buffer.len());
    if room < bytes.len() {
        let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
        let rest = length.saturating_sub(buffer.len());
        buffer.reserve_exact(buffer.len().max(BUFFER_GROWTH_BYTES_MIN).min(rest).max(bytes.len()));
    }
    buffer.extend_from_slice(bytes);
}
