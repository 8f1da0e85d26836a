//! The context of one running request: its caller, what is known about it so far, and the connection to its client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use blobfish_dialects::authentication::authenticate::find_dialect_by_host;
use blobfish_dialects::dialect::response_context::ResponseContext;
use blobfish_dialects::dialect::route::Route;
use blobfish_dialects::encoding::percent;
use blobfish_dialects::engine::cors::CrossOrigin;
use blobfish_dialects::engine::loss::{Loss, check_losses};
use blobfish_dialects::engine::target_response::TargetResponse;
use blobfish_dialects::engine::write_response::{WrittenResponse, build_error_response, write_response};
use blobfish_dialects::model::{ErrorKind, RawHead, Rejection, Response, ResponseField};

use crate::clock;
use crate::inbound::connection::{ClientConnection, ResponseFraming};
use crate::inbound::connection_error::{ReadBodyError, WriteError};
use crate::request::active_config::ActiveConfig;
use crate::request::buffer_budget::{BufferBudget, Reservation};
use crate::request::cors_rules::CorsRulesCache;
use crate::request::fair_queue::FairQueue;
use crate::target::client::TargetClient;
use crate::target::error::ExchangeError;
use crate::target::initiator;
use crate::telemetry::access_log;
use crate::telemetry::access_log::AccessRecord;
use crate::telemetry::metrics::{LABEL_NONE, METRICS};
use crate::telemetry::recent_events::EventNote;

/// Lists the fields that the target does not support. No dialect defines such a header, so its name is specific to Blobfish.
const LOSS_HEADER: &str = "x-blobfish-loss";

/// Maximum size of a target's request ID in the access log.
const TARGET_REQUEST_ID_BYTES_MAX: usize = 128;

/// Errors which mean that a body differs from what its head announced.
const INTEGRITY_ERRORS: [ErrorKind; 8] = [
    ErrorKind::BadDigest,
    ErrorKind::BadSha1,
    ErrorKind::InvalidDigest,
    ErrorKind::PayloadHashMismatch,
    ErrorKind::IncompleteBody,
    ErrorKind::MalformedTrailer,
    ErrorKind::SignatureDoesNotMatch,
    ErrorKind::InvalidRequest,
];

/// How a request ends if no complete response was sent.
#[derive(Debug)]
pub(crate) enum RequestEnd {
    /// The request is rejected; the error response is not sent yet.
    Rejected(Rejection),
    /// No response can be sent any more: the connection is closed, for this reason.
    Aborted(&'static str),
}

impl From<Rejection> for RequestEnd {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<ErrorKind> for RequestEnd {
    fn from(error_kind: ErrorKind) -> Self {
        Self::Rejected(error_kind.into())
    }
}

impl From<ExchangeError> for RequestEnd {
    fn from(error: ExchangeError) -> Self {
        Self::Rejected(error.to_rejection())
    }
}

impl From<WriteError> for RequestEnd {
    fn from(_: WriteError) -> Self {
        Self::Aborted("the client disconnected")
    }
}

impl From<ReadBodyError> for RequestEnd {
    fn from(error: ReadBodyError) -> Self {
        match error {
            ReadBodyError::Disconnected => {
                Self::Aborted("the client disconnected before the end of its body")
            }
            // The client may still be reading, so it gets a response, unlike one that disconnected.
            ReadBodyError::TimedOut => Self::Rejected(ErrorKind::RequestTimeout.into()),
            ReadBodyError::Malformed(framing_error) => {
                Self::Rejected(Rejection::with_message(ErrorKind::InvalidRequest, framing_error.to_string()))
            }
        }
    }
}

/// The context of one running request.
pub(crate) struct RequestContext<'a> {
    /// The configuration that the request uses from start to end.
    pub config: &'a ActiveConfig,
    /// Sends requests to targets.
    pub target_client: &'a TargetClient,
    /// Shares the processors between callers.
    pub fair_queue: &'a Arc<FairQueue>,
    /// Limits the memory for buffered bodies.
    pub buffer_budget: &'a Arc<BufferBudget>,
    /// The cached CORS rules of buckets.
    pub cors_rules: &'a CorsRulesCache,
    /// The CORS request headers and the head that contains them; taken when the response head is written.
    pub cross_origin: Option<(CrossOrigin, RawHead)>,
    /// The connection to the client.
    pub connection: &'a mut ClientConnection,
    /// What a response depends on: dialect, host, path and request ID.
    pub listener: ResponseContext,
    /// Whether the client accepts chunked responses.
    pub accepts_chunked: bool,
    /// Whether the client's own connection is encrypted.
    pub is_secure: bool,
    /// When the request arrived.
    pub started_at: Instant,
    /// The access log record.
    pub record: AccessRecord,
    /// Events for the console: rejections, lost fields, an abort.
    pub notes: Vec<EventNote>,
}

impl RequestContext<'_> {
    /// Sets the dialect of the error response to a head that cannot be parsed, from the host that the head seems to name.
    pub(crate) fn guess_dialect(&mut self, host: String) {
        if let Some(dialect) = find_dialect_by_host(&host, &self.config.listener_dialects) {
            self.listener.dialect = dialect;
            self.listener.host = host;
            self.record.dialect = dialect.name;
        }
    }

    /// Starts the reservation of memory for the body of this request.
    pub(crate) fn start_reservation(&self) -> Reservation {
        self.buffer_budget.start_reservation(initiator::current_initiator(), &self.config.settings.limits)
    }

    /// Builds the URL of an object that a form upload created at the request's URL.
    pub(crate) fn build_object_url(&self, key: &str) -> String {
        let path = self.listener.path.trim_end_matches('/');
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}{path}/{}", self.listener.host, percent::encode_path(key))
    }

    /// The name of the operation in metrics.
    pub(crate) fn operation_name(&self) -> &'static str {
        self.record.operation.unwrap_or(LABEL_NONE)
    }

    /// Sends a whole response.
    ///
    /// # Errors
    /// [`RequestEnd::Aborted`].
    pub(crate) async fn send_response(&mut self, mut response: Response) -> Result<(), RequestEnd> {
        if self.cross_origin.is_some() {
            // On the heap, because few requests need its memory: it may read the rules from the target.
            Box::pin(self.apply_cors_rules(&mut response)).await;
        }
        let encoded = self.encode_response(response);
        let has_no_body = matches!(encoded.status, 204 | 304);
        let framing = match u64::try_from(encoded.body.len()) {
            _ if has_no_body || self.listener.is_head => ResponseFraming::None,
            Ok(bytes) => ResponseFraming::Bytes(bytes),
            Err(_) => return Err(RequestEnd::Aborted("the response is too large")),
        };
        let body = self.write_response_head(encoded, framing).await?;
        if framing != ResponseFraming::None {
            self.connection.write_response_body(&body).await?;
        }
        Ok(self.connection.finish_response().await?)
    }

    /// Sends the head of a response with a streamed body.
    ///
    /// # Errors
    /// [`RequestEnd::Aborted`].
    pub(crate) async fn send_response_head(
        &mut self,
        mut response: Response,
        framing: ResponseFraming,
    ) -> Result<(), RequestEnd> {
        if self.cross_origin.is_some() {
            // On the heap, because few requests need its memory: it may read the rules from the target.
            Box::pin(self.apply_cors_rules(&mut response)).await;
        }
        let encoded = self.encode_response(response);
        self.write_response_head(encoded, framing).await.map(drop)
    }

    /// Adds the CORS headers that the rules of the bucket allow, so that a page in a browser can read the response.
    async fn apply_cors_rules(&mut self, response: &mut Response) {
        let Some((cross_origin, head)) = self.cross_origin.take() else { return };
        // The target evaluates its rules too; its result must not be replaced by the proxy's.
        if response.text(ResponseField::AllowOrigin).is_some() {
            return;
        }
        let (dialect, config) = (self.listener.dialect, self.config);
        let address = config.listener_dialects.parse_address(&head, dialect).ok();
        let bucket = address.as_ref().and_then(|address| address.scope.bucket());
        let Some(routed_bucket) = bucket.and_then(|bucket| config.routing().route_bucket(bucket)) else {
            return;
        };
        if let Ok(Some(rules)) =
            self.cors_rules.fetch_rules(self.target_client, &routed_bucket, dialect, self.record.client).await
        {
            cross_origin.add_headers(&rules, response);
        }
    }

    /// Encodes the document of a response after its head was sent, and records its error code.
    pub(crate) fn render_document(&mut self, response: Response) -> Vec<u8> {
        let encoded = self.encode_response(response);
        self.record.code = encoded.code;
        encoded.body
    }

    async fn write_response_head(
        &mut self,
        mut encoded: WrittenResponse,
        framing: ResponseFraming,
    ) -> Result<Vec<u8>, RequestEnd> {
        // Only a response to HEAD has the length of a body that does not follow.
        let keeps_content_length = self.listener.is_head && !matches!(encoded.status, 204 | 304);
        encoded.headers.retain(|row| keeps_content_length || !row.0.eq_ignore_ascii_case("content-length"));
        if !self.record.lost_fields.is_empty() {
            encoded.headers.push((LOSS_HEADER.to_owned(), self.record.lost_fields.join(", ").into_bytes()));
        }
        self.record.status = encoded.status;
        self.record.code = encoded.code;
        self.connection.write_response_head(encoded.status, &encoded.headers, framing).await?;
        Ok(encoded.body)
    }

    fn encode_response(&mut self, response: Response) -> WrittenResponse {
        // The date is taken when the response is written: a copy may take minutes.
        self.listener.now = clock::now();
        self.listener.elapsed_ms = to_milliseconds(self.started_at.elapsed());
        write_response(&self.listener, response)
    }

    /// Sends an error response, and counts the rejection. If a response head was sent before, only an abort is possible.
    ///
    /// # Errors
    /// [`RequestEnd::Aborted`].
    pub(crate) async fn send_rejection(&mut self, rejection: &Rejection) -> Result<(), RequestEnd> {
        self.record_rejection(rejection);
        if self.connection.is_response_started() {
            return Err(RequestEnd::Aborted("the request failed after the response head was sent"));
        }
        self.send_response(build_error_response(self.listener.dialect, rejection)).await
    }

    /// Counts a rejection, and records it as an event.
    pub(crate) fn record_rejection(&mut self, rejection: &Rejection) {
        let reason = format!("{:?}", rejection.kind);
        METRICS.rejections.with_label_values(&[reason.as_str()]).inc();
        let default_message =
            || self.listener.dialect.error_row(rejection.kind).map(|row| row.message.to_owned());
        let message = rejection.message.clone().or_else(default_message).unwrap_or_default();
        self.notes.push(EventNote { kind: "rejected", reason, message });
    }

    /// Applies the loss policy to the fields that the target does not support, and records the fields that are reported.
    ///
    /// # Errors
    /// The rejection, which names the field.
    pub(crate) fn check_losses(&mut self, losses: &[Loss], route: &Route<'_>) -> Result<(), Rejection> {
        let labels = |loss: &Loss| [loss.name(), route.caller.name.to_owned(), route.target.name.clone()];
        for loss in losses {
            METRICS.losses.with_label_values(&labels(loss)).inc();
        }
        // Counted before the check, so that operators see which fields cause the rejections.
        check_losses(losses, route.loss_policy, route.caller)?;
        for loss in losses {
            let field = loss.name();
            let (reason, message) = (loss.name_for_caller(route.caller), loss.reason.clone());
            tracing::info!(
                id = self.record.id,
                %field,
                target_name = route.target.name,
                "the request is sent without {reason}: {message}"
            );
            self.notes.push(EventNote { kind: "lost", reason, message });
        }
        self.record.lost_fields = losses.iter().map(|loss| loss.name_for_caller(route.caller)).collect();
        Ok(())
    }

    /// Counts a body that differs from what its head announced.
    pub(crate) fn record_integrity_failure(rejection: Rejection) -> Rejection {
        if INTEGRITY_ERRORS.contains(&rejection.kind) {
            METRICS.integrity_failures.with_label_values(&[format!("{:?}", rejection.kind)]).inc();
        }
        rejection
    }

    /// Records the target's request ID, by which the vendor's support can find the request.
    pub(crate) fn record_target_request_id(&mut self, route: &Route<'_>, response: &TargetResponse) {
        let name = route.target.dialect.common_headers.request_id_header;
        // The target chooses the text, so it is escaped and limited before it gets into the log.
        self.record.target_request_id = response.header(name).map(|id| {
            let mut id = access_log::escape_name(&String::from_utf8_lossy(id));
            id.truncate(id.floor_char_boundary(TARGET_REQUEST_ID_BYTES_MAX));
            id
        });
    }
}

/// Converts to whole milliseconds.
pub(crate) fn to_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
