//! Sends requests to a target in the same way as the proxy: the core writes and signs them and reads the responses,
//! the shell transfers them.

use std::cell::Cell;
use std::fmt;
use std::sync::Mutex;

use blobfish_dialects::dialect::route::Route;
use blobfish_dialects::dialect::signature::Payload;
use blobfish_dialects::engine::body_verifier::{BodyVerifier, DigestsToCompute};
use blobfish_dialects::engine::diagnosis::{self, Failure};
use blobfish_dialects::engine::exchange::Exchange;
use blobfish_dialects::engine::loss::check_losses;
use blobfish_dialects::engine::streaming;
use blobfish_dialects::engine::target_response::TargetResponse;
use blobfish_dialects::model::{ErrorKind, Operation, OutgoingRequest, Rejection, Request, Response};
use bytes::Bytes;
use tokio::time::timeout;

use crate::clock;
use crate::request::exchange_driver::drive_exchange;
use crate::target::client::TargetClient;
use crate::target::error::ExchangeError;
use crate::target::runtime::TargetRuntime;

/// A target and the bucket to use.
pub(super) struct TargetProbe<'a> {
    /// The connections.
    pub client: &'a TargetClient,
    /// The target.
    pub target: &'a TargetRuntime,
    /// The route to the target, with the target's own dialect as the caller dialect.
    pub route: Route<'a>,
    /// The seconds that the target's clock is ahead of this machine's, after the first response.
    pub skew_seconds: Cell<Option<i64>>,
}

/// Why a request failed. Its text contains no signature.
#[derive(Debug)]
pub(super) enum ProbeError {
    /// There was no complete response.
    Transport(ExchangeError),
    /// The target rejected the request. The error kind comes from the core, which may know more than the last response.
    Rejected(ErrorKind, Failure),
    /// The target's dialect does not support the request.
    Unsupported(String),
    /// The response is a success, but does not prove that the request had an effect.
    Unverified(String),
}

impl ProbeError {
    /// The kind of the target's error.
    pub(super) fn error_kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Rejected(kind, _) => Some(*kind),
            _ => None,
        }
    }
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(failed) => write!(f, "{failed}"),
            Self::Rejected(_, failure) => describe_failure(failure).fmt(f),
            Self::Unsupported(what) => write!(f, "{what}"),
            Self::Unverified(why) => write!(f, "{why}"),
        }
    }
}

/// Describes a failure for operators.
pub(super) fn describe_failure(failure: &Failure) -> String {
    let code = failure.code.as_deref().unwrap_or("without a known error code");
    format!("the target responded with {} {code}", failure.status)
}

impl TargetProbe<'_> {
    /// Sends one small request and returns the response as received.
    ///
    /// # Errors
    /// [`ProbeError`], if there is no response.
    pub(super) async fn send_request(&self, request: &Request) -> Result<TargetResponse, ProbeError> {
        let out =
            diagnosis::build_signed_request(&self.route, request, clock::now()).map_err(to_unsupported)?;
        self.send(&out, request.operation).await
    }

    /// Runs the exchange of a request, as for a client.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub(super) async fn run_exchange(&self, request: Request) -> Result<Response, ProbeError> {
        self.run_exchange_with(false, request).await
    }

    /// Like [`Self::run_exchange`]. `check_conditions` selects whether Blobfish evaluates the conditions of copies.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub(super) async fn run_exchange_with(
        &self,
        check_conditions: bool,
        request: Request,
    ) -> Result<Response, ProbeError> {
        let route = Route { check_conditions, ..self.route.clone() };
        let operation = request.operation.name();
        let exchange = Exchange::new(route.clone(), request, &[]).map_err(to_unsupported)?;
        check_losses(exchange.losses(), route.loss_policy, route.caller).map_err(to_unsupported)?;
        let last = Mutex::new(None);
        let work = drive_exchange(self.client, self.target, exchange, operation, route.caller.name, &last);
        let outcome = timeout(self.request_timeout(), Box::pin(work)).await;
        let last = last.into_inner().unwrap_or_default();
        if let Some(Ok(response)) = &last {
            self.record_clock_skew(response);
        }
        match (outcome, last) {
            (Ok(Ok(response)), _) => Ok(response),
            (Err(_), _) => Err(ProbeError::Transport(ExchangeError::ResponseTimeout)),
            (Ok(Err(_)), Some(Err(failed))) => Err(ProbeError::Transport(failed)),
            (Ok(Err(rejection)), None) => Err(to_unsupported(rejection)),
            (Ok(Err(rejection)), Some(Ok(response))) => Err(self.classify_rejection(&rejection, &response)),
        }
    }

    /// Writes an object.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub(super) async fn put_object(&self, request: &Request, body: &[u8]) -> Result<Response, ProbeError> {
        let length = u64::try_from(body.len()).ok();
        let (mut out, losses) = streaming::build_target_request(&self.route, request, length, clock::now())
            .map_err(to_unsupported)?;
        check_losses(&losses, self.route.loss_policy, self.route.caller).map_err(to_unsupported)?;
        let to_compute = DigestsToCompute { crc64: true, ..DigestsToCompute::default() };
        let mut verifier = BodyVerifier::new(self.route.caller, Payload::Unsigned, request, to_compute)
            .map_err(to_unsupported)?;
        out.body = verifier.push(&Bytes::copy_from_slice(body)).map_err(to_unsupported)?.to_vec();
        let (last, digests) = verifier.finish().map_err(to_unsupported)?;
        out.body.extend(last);
        let response = self.send(&out, request.operation).await?;
        if response.status / 100 != 2 {
            return Err(self.classify_rejection(
                &streaming::build_client_rejection(&self.route, request, &response),
                &response,
            ));
        }
        streaming::build_client_response(&self.route, request, &response, Some(&digests))
            .map_err(to_unverified)
    }

    /// Reads an object, or its head.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub(super) async fn get_object(&self, request: &Request) -> Result<(Response, Vec<u8>), ProbeError> {
        let (out, _) = streaming::build_target_request(&self.route, request, None, clock::now())
            .map_err(to_unsupported)?;
        let response = self.send(&out, request.operation).await?;
        if response.status / 100 != 2 {
            return Err(self.classify_rejection(
                &streaming::build_client_rejection(&self.route, request, &response),
                &response,
            ));
        }
        let parsed_response =
            streaming::build_client_response(&self.route, request, &response, None).map_err(to_unverified)?;
        Ok((parsed_response, response.body))
    }

    async fn send(&self, out: &OutgoingRequest, operation: Operation) -> Result<TargetResponse, ProbeError> {
        let (operation, dialect) = (operation.name(), self.route.caller.name);
        let work = Box::pin(self.client.send_and_read(self.target, out, operation, dialect));
        let response =
            timeout(self.request_timeout(), work).await.unwrap_or(Err(ExchangeError::ResponseTimeout));
        let response = response.map_err(ProbeError::Transport)?;
        self.record_clock_skew(&response);
        Ok(response)
    }

    /// The timeout of a whole request. It is longer than each timeout of the connection, so that these report the
    /// exact cause.
    fn request_timeout(&self) -> std::time::Duration {
        self.target.connect_timeout + self.target.response_timeout + self.target.body_timeout
    }

    fn record_clock_skew(&self, response: &TargetResponse) {
        if let (None, Some(theirs)) = (self.skew_seconds.get(), diagnosis::read_server_time(response)) {
            self.skew_seconds.set(Some(theirs.0.saturating_sub(clock::now().0)));
        }
    }

    fn classify_rejection(&self, rejection: &Rejection, response: &TargetResponse) -> ProbeError {
        let is_condition_failure = matches!(
            rejection.kind,
            ErrorKind::PreconditionFailed | ErrorKind::NotModified | ErrorKind::ObjectExists
        );
        let failure = diagnosis::diagnose_failure(self.route.target.dialect, response);
        match response.status {
            200..=299 if !is_condition_failure && failure.code.is_none() => to_unverified(rejection.clone()),
            _ if is_condition_failure => ProbeError::Rejected(rejection.kind, failure),
            _ => ProbeError::Rejected(failure.kind, failure),
        }
    }
}

fn to_unsupported(rejection: Rejection) -> ProbeError {
    ProbeError::Unsupported(rejection.message.unwrap_or_else(|| format!("{:?}", rejection.kind)))
}

fn to_unverified(rejection: Rejection) -> ProbeError {
    let why = "the target returned a success without the expected content".to_owned();
    ProbeError::Unverified(rejection.message.unwrap_or(why))
}
