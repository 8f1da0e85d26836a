//! Drives an exchange: the engine decides what to send, the target client sends it. It knows no client, so that whatever
//! needs an answer of a target can use it.

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

/// Requests to the target for one request of the client. An exchange that wants more does not end.
const STEPS_MAX: usize = 32;

/// Sends what the exchange asks for until it has a response for the client. `last_result` gets the target's last response,
/// or why there is none.
///
/// # Errors
/// The rejection for the client.
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

/// Records a multipart upload that may have been created although its response was lost. It stays, and costs money, until it
/// is aborted. It looks like one that another client creates for the same key, so it is not searched for and aborted here.
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
    let name = |text: &Option<String>| text.as_deref().map(access_log::escape_name);
    let (bucket, key) = (name(&out.bucket), name(&out.key));
    tracing::error!(
        target_name = target_name,
        bucket,
        key,
        "the answer to the beginning of an upload was lost: it may be there"
    );
}
