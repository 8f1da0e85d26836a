//! Drives an exchange: the engine decides what to send, and the target client sends it. It does not depend on a client
//! connection, so that background tasks can use it too.

use std::sync::Mutex;

use blobfish_dialects::engine::exchange::{Exchange, Step};
use blobfish_dialects::engine::target_response::TargetResponse;
use blobfish_dialects::model::{ErrorKind, Operation, OutgoingRequest, Rejection, Response};

use crate::clock;
use crate::target::client::TargetClient;
use crate::target::error::ExchangeError;
use crate::target::runtime::TargetRuntime;
use crate::telemetry::access_log;
use crate::telemetry::metrics::METRICS;

/// The maximum number of target requests for one client request. A correct exchange needs fewer, so more is a bug.
const STEPS_MAX: usize = 32;

/// Sends the requests of an exchange until it returns a response for the client. `last_result` receives the target's last
/// response, or the error.
///
/// # Errors
/// The rejection for the client.
pub(crate) async fn drive_exchange(
    target_client: &TargetClient,
    target: &TargetRuntime,
    mut exchange: Exchange<'_>,
    operation: &'static str,
    dialect: &'static str,
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
            // The error response revealed the target's time, and the new signature uses it.
            result = target_client.send_and_read(target, &out, operation, dialect).await;
        }
        let next = match &result {
            Ok(response) => exchange.handle_response(response, clock::now()),
            Err(error) => Err(error.to_rejection()),
        };
        // Recorded before the error is returned: the client cannot abort an upload without its ID.
        record_unconfirmed_upload(target, &out, operation, &result, next.is_ok());
        if let Ok(mut last_result) = last_result.lock() {
            *last_result = Some(result);
        }
        if next.as_ref().is_err_and(|rejection| rejection.kind == ErrorKind::SourceChanged) {
            METRICS.copy_sources_changed.with_label_values(&[operation]).inc();
        }
        step = next?;
    }
    tracing::error!(
        operation,
        target_name = target.spec.name,
        "an exchange was stopped after {STEPS_MAX} requests to the target; this is a bug in Blobfish"
    );
    Err(ErrorKind::InternalError.into())
}

/// Records a multipart upload that may have been created although its response was lost. The vendor bills it until it is
/// aborted.
fn record_unconfirmed_upload(
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
    // It is not aborted here: it cannot be distinguished from an upload that another client creates for the same key.
    let target_name = target.spec.name.as_str();
    METRICS.uploads_unconfirmed.with_label_values(&[target_name]).inc();
    let (bucket, key) =
        (out.scope.bucket().map(access_log::escape_name), out.scope.key().map(access_log::escape_name));
    tracing::error!(
        target_name = target_name,
        bucket,
        key,
        "the response to CreateMultipartUpload was lost; the target may have created an upload. List the uploads of this key \
         and abort the one that no client uses"
    );
}
