//! The way to targets: one pool of connections, one request at a time on each, nothing sent twice.
//!
//! Nothing of a request is repeated once its first byte was written (security, I6), except GET and HEAD on a
//! connection from the pool that turned out to be dead. A connection goes back to the pool only after an exchange
//! whose end was never in doubt (O3).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blobfish_dialects::engine::diagnosis;
use blobfish_dialects::engine::read_response::is_slow_down;
use blobfish_dialects::engine::target_response::TargetResponse;
use blobfish_dialects::model::OutgoingRequest;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use pingora_core::connectors::{ConnectorOptions, TransportConnector};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_core::upstreams::peer::{HttpPeer, Peer as _};
use pingora_core::{ErrorType, OrErr as _};
use prometheus::IntGauge;
use tokio::net::TcpSocket;
use tokio::time::{sleep_until, timeout};

use crate::clock;
use crate::target::circuit_breaker::{Attempt, BreakerAdmission, BreakerOutcome};
use crate::target::connection_limit::ConnectionPermit;
use crate::target::dns::{DnsCache, DnsLookup, SystemDns};
use crate::target::error::ExchangeError;
use crate::target::http1::{
    BodyMode, TargetResponseFraming, build_request_header, connect_host, parse_response_framing,
};
use crate::target::initiator;
use crate::target::runtime::TargetRuntime;
use crate::target::socket_options::limit_unsent_bytes;
use crate::telemetry::metrics::{METRICS, to_seconds};
use crate::telemetry::traces::ExchangeSpan;

/// What an upload may wait for its sender, all its pauses together, before its failure says nothing about the target.
const UPLOAD_PAUSES_MAX: Duration = Duration::from_secs(1);

/// Longest wait for the answer to a copy or a completing call: the target moves up to 5 GiB before it answers,
/// and an answer that was given up on may have been a success.
const LONG_WORK_TIMEOUT: Duration = Duration::from_secs(600);

/// How long they wait. Shorter than any vendor's own limit, so that a pooled connection is rarely dead.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Addresses of one host that are tried, each for the time that a connection may take.
pub const ADDRESSES_TRIED_MAX: usize = 4;

/// So long a body may be slower than [`BODY_BYTES_PER_SECOND`].
const BODY_RATE_GRACE: Duration = Duration::from_secs(10);

/// Slower, a target's body only keeps two connections busy. The same holds for callers' bodies.
const BODY_BYTES_PER_SECOND_MIN: u64 = 1024;

/// An address that has not answered for so long is not waited for alone (RFC 8305, 5).
const NEXT_ADDRESS_DELAY: Duration = Duration::from_millis(250);

/// Bytes of an answer's head.
const RESPONSE_HEAD_BYTES_MAX: usize = 64 * 1024;

/// `100 Continue` and its like before an answer.
const INTERIM_RESPONSES_MAX: usize = 8;

/// Bytes of an answer that is read whole: what the XML limits allow.
pub const RESPONSE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of a failure's document.
pub const ERROR_BYTES_MAX: usize = 64 * 1024;

/// The connections to all targets.
pub struct TargetClient {
    connector: TransportConnector,
    dns_cache: DnsCache,
    /// Whether answers are shown that say what is wrong with the configuration: that send us elsewhere, which is never
    /// followed (O1), or do not accept our clock.
    is_diagnosing: bool,
}

/// One exchange: a request of which the head is written, and its answer.
pub struct TargetExchange<'a> {
    client: &'a TargetClient,
    target: &'a TargetRuntime,
    session: HttpSession,
    peer: HttpPeer,
    is_head_request: bool,
    /// Of the answer, zero until it is there.
    status: u16,
    is_reused: bool,
    started: Instant,
    /// Longest wait for the head of the answer.
    response_timeout: Duration,
    /// Whether the target works while it answers, and sends white space meanwhile.
    is_long_work: bool,
    /// Bytes of the answer's body so far, and how long they were waited for.
    body_bytes_read: u64,
    body_wait: Duration,
    /// Who asked for what, for the circuit breaker.
    attempt: Attempt,
    pace: UploadPace,
    span: ExchangeSpan,
    _in_use: ActiveConnection,
}

/// How an upload's sender keeps up.
struct UploadPace {
    /// Whether more of the body is to come.
    expects_more: bool,
    last_write_at: Instant,
    pauses: Duration,
}

impl UploadPace {
    fn new(body_mode: BodyMode) -> Self {
        Self {
            expects_more: body_mode == BodyMode::Streamed,
            last_write_at: Instant::now(),
            pauses: Duration::ZERO,
        }
    }

    fn total_pauses(&self) -> Duration {
        if self.expects_more { self.pauses.saturating_add(self.last_write_at.elapsed()) } else { self.pauses }
    }
}

/// What an exchange runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionChoice {
    /// A connection that waits for its next request, or else a new one.
    Pooled,
    /// A new one, to see whether the target answers again.
    Probe,
    /// A new one, as the target had closed the one that waited.
    Retry,
}

/// Counts a connection while it is in use, and has a place for it.
struct ActiveConnection {
    gauge: IntGauge,
    _permit: ConnectionPermit,
}

impl ActiveConnection {
    fn new(target: &TargetRuntime, permit: ConnectionPermit) -> Self {
        let gauge = METRICS.target_connections.with_label_values(&[&target.spec.name]);
        gauge.inc();
        Self { gauge, _permit: permit }
    }
}

impl Drop for ActiveConnection {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// The head of an answer.
pub struct TargetResponseHead {
    /// Status, headers and no body yet.
    pub response: TargetResponse,
    /// Length of the body that follows; `None` where it comes in chunks.
    pub length: Option<u64>,
}

impl TargetClient {
    /// No connection yet. `idle_connections_max`: connections that may wait for their next request, all targets together.
    pub fn new(lookup: impl DnsLookup, idle_connections_max: usize) -> Self {
        Self {
            connector: TransportConnector::new(Some(ConnectorOptions::new(idle_connections_max))),
            dns_cache: DnsCache::new(lookup),
            is_diagnosing: false,
        }
    }

    /// The same, for whoever reads in answers what is wrong with the configuration.
    pub fn for_diagnosis(idle_connections_max: usize) -> Self {
        Self { is_diagnosing: true, ..Self::new(SystemDns, idle_connections_max) }
    }

    /// Sends a whole request and reads the whole answer.
    ///
    /// # Errors
    /// [`Failed`], counted.
    pub async fn send_and_read(
        &self,
        target: &TargetRuntime,
        request: &OutgoingRequest,
        operation: &str,
        dialect: &str,
    ) -> Result<TargetResponse, ExchangeError> {
        let (mut exchange, head) = self.send(target, request, operation, dialect).await?;
        let bytes_max = if head.response.status < 300 { RESPONSE_BYTES_MAX } else { ERROR_BYTES_MAX };
        let body = exchange.read_whole_body(bytes_max).await.map_err(|failed| failed.record_at(target))?;
        exchange.release().await;
        Ok(TargetResponse { body, ..head.response })
    }

    /// Sends a request that has no body of its own to stream, and reads the head of its answer. GET and HEAD are
    /// sent once more where a connection from the pool was dead.
    ///
    /// # Errors
    /// [`Failed`], counted.
    pub async fn send<'a>(
        &'a self,
        target: &'a TargetRuntime,
        request: &OutgoingRequest,
        operation: &str,
        dialect: &str,
    ) -> Result<(TargetExchange<'a>, TargetResponseHead), ExchangeError> {
        self.send_with_permit(self.acquire_permit(target).await?, target, request, operation, dialect).await
    }

    /// A place for one connection.
    ///
    /// # Errors
    /// [`Failed::Paused`], without waiting; [`Failed::Busy`].
    async fn acquire_permit(&self, target: &TargetRuntime) -> Result<ConnectionPermit, ExchangeError> {
        check_available(target)?;
        target
            .connection_limit
            .acquire(target.connect_timeout)
            .await
            .ok_or(ExchangeError::ConnectionLimitReached)
    }

    /// Places for a connection that is read from and one that is written to, at the same time.
    ///
    /// # Errors
    /// [`Failed::Paused`], without waiting; [`Failed::Busy`].
    pub async fn acquire_permit_pair(
        &self,
        from: &TargetRuntime,
        to: &TargetRuntime,
    ) -> Result<(ConnectionPermit, ConnectionPermit), ExchangeError> {
        check_available(from)?;
        check_available(to)?;
        let wait_max = from.connect_timeout.max(to.connect_timeout);
        from.connection_limit
            .acquire_pair(&to.connection_limit, wait_max)
            .await
            .ok_or(ExchangeError::ConnectionLimitReached)
    }

    /// [`Self::ask`] by somebody who has a place.
    ///
    /// # Errors
    /// [`Failed`], counted.
    pub async fn send_with_permit<'a>(
        &'a self,
        permit: ConnectionPermit,
        target: &'a TargetRuntime,
        request: &OutgoingRequest,
        operation: &str,
        dialect: &str,
    ) -> Result<(TargetExchange<'a>, TargetResponseHead), ExchangeError> {
        let is_repeatable = matches!(request.method, "GET" | "HEAD");
        let mut connection_choice = admit_request(target)?;
        loop {
            let start_result = self
                .start_exchange(permit.clone(), target, request, BodyMode::Whole, connection_choice)
                .await;
            let mut exchange = start_result.map_err(|failed| failed.record_at(target))?;
            let head_result = match exchange.write_whole_body(&request.body).await {
                Ok(()) => exchange.read_response_head().await,
                Err(failed) => Err(failed),
            };
            match head_result {
                Ok(head) => {
                    let labels = [dialect, &target.spec.name, operation];
                    let elapsed_seconds = to_seconds(exchange.started.elapsed());
                    METRICS.target_seconds.with_label_values(&labels).observe(elapsed_seconds);
                    return Ok((exchange, head));
                }
                Err(failed) => {
                    let is_connection_lost = matches!(failed, ExchangeError::Write | ExchangeError::Read);
                    let should_retry = is_connection_lost
                        && is_repeatable
                        && exchange.is_reused
                        && connection_choice == ConnectionChoice::Pooled;
                    exchange.abort().await;
                    if !should_retry {
                        return Err(failed.record_at(target));
                    }
                    failed.record_at(target);
                    connection_choice = ConnectionChoice::Retry;
                }
            }
        }
    }

    /// Begins an upload: the head is written, the body follows piece by piece.
    ///
    /// # Errors
    /// [`Failed`], counted.
    pub async fn start_upload<'a>(
        &'a self,
        target: &'a TargetRuntime,
        request: &OutgoingRequest,
    ) -> Result<TargetExchange<'a>, ExchangeError> {
        self.start_upload_with_permit(self.acquire_permit(target).await?, target, request).await
    }

    /// [`Self::upload`] by somebody who has a place.
    ///
    /// # Errors
    /// [`Failed`], counted.
    pub async fn start_upload_with_permit<'a>(
        &'a self,
        permit: ConnectionPermit,
        target: &'a TargetRuntime,
        request: &OutgoingRequest,
    ) -> Result<TargetExchange<'a>, ExchangeError> {
        let connection_choice = admit_request(target)?;
        let start_result =
            self.start_exchange(permit, target, request, BodyMode::Streamed, connection_choice).await;
        start_result.map_err(|failed| failed.record_at(target))
    }

    async fn start_exchange<'a>(
        &'a self,
        permit: ConnectionPermit,
        target: &'a TargetRuntime,
        request: &OutgoingRequest,
        body_mode: BodyMode,
        connection_choice: ConnectionChoice,
    ) -> Result<TargetExchange<'a>, ExchangeError> {
        let in_use = ActiveConnection::new(target, permit);
        let is_retry = connection_choice == ConnectionChoice::Retry;
        let mut span = ExchangeSpan::begin(&target.spec.name, &target.endpoint, request, is_retry);
        let attempt = Attempt {
            initiator: initiator::current_initiator(),
            subject: hash_subject(request),
            probe: connection_choice == ConnectionChoice::Probe,
        };
        match self.write_request_head(target, request, body_mode, connection_choice, &span).await {
            Ok((session, peer, reused, started)) => {
                let is_head_request = request.method == "HEAD";
                let response_timeout =
                    if request.is_long_running { LONG_WORK_TIMEOUT } else { target.response_timeout };
                Ok(TargetExchange {
                    client: self,
                    target,
                    session,
                    peer,
                    is_head_request,
                    status: 0,
                    is_reused: reused,
                    started,
                    response_timeout,
                    is_long_work: request.is_long_running,
                    body_bytes_read: 0,
                    body_wait: Duration::ZERO,
                    attempt,
                    pace: UploadPace::new(body_mode),
                    span,
                    _in_use: in_use,
                })
            }
            Err(failed) => {
                span.record_failure(failed.kind(), failed.to_string());
                // A connection from the pool may have been dead, which says nothing.
                let outcome = failed.breaker_outcome(is_certificate_host(target, &request.host));
                if let Some(outcome) = outcome.filter(|outcome| {
                    *outcome != BreakerOutcome::ConnectionBroken
                        || connection_choice != ConnectionChoice::Pooled
                }) {
                    target.circuit_breaker.report_outcome(attempt, outcome, Instant::now());
                }
                Err(failed)
            }
        }
    }

    async fn write_request_head(
        &self,
        target: &TargetRuntime,
        request: &OutgoingRequest,
        body_mode: BodyMode,
        connection_choice: ConnectionChoice,
        span: &ExchangeSpan,
    ) -> Result<(HttpSession, HttpPeer, bool, Instant), ExchangeError> {
        let mut header = build_request_header(request, body_mode)?;
        span.write_headers(&mut header);
        let host = connect_host(target, &request.host)?;
        let (mut session, peer, reused) = self.connect(target, host, connection_choice).await?;
        let started = Instant::now();
        session.write_timeout = Some(target.body_timeout);
        session
            .write_request_header(header)
            .await
            .map_err(|error| ExchangeError::from_exchange_error(&error, ExchangeError::Write))?;
        Ok((session, peer, reused, started))
    }

    async fn connect(
        &self,
        target: &TargetRuntime,
        host: &str,
        connection_choice: ConnectionChoice,
    ) -> Result<(HttpSession, HttpPeer, bool), ExchangeError> {
        let lookup = self.dns_cache.resolve(host, target.endpoint.port, target.dns_cache_ttl);
        let addresses = timeout(target.connect_timeout, lookup).await.unwrap_or_default();
        let addresses = addresses.iter().take(ADDRESSES_TRIED_MAX);
        let peers: Vec<HttpPeer> = addresses.map(|address| build_peer(target, host, *address)).collect();
        for peer in peers.iter().filter(|_| connection_choice == ConnectionChoice::Pooled) {
            if let Some(stream) = self.connector.reused_stream(peer).await {
                return Ok((HttpSession::new_with_options(stream, peer), peer.clone(), true));
            }
        }
        let (stream, peer) = self.connect_first_address(target, peers).await?;
        Ok((HttpSession::new_with_options(stream, &peer), peer, false))
    }

    /// A new connection to the first address that gives one. The next is tried as soon as one failed, and beside one
    /// that has not answered for a moment; who did not answer comes last for a while (RFC 8305).
    async fn connect_first_address(
        &self,
        target: &TargetRuntime,
        peers: Vec<HttpPeer>,
    ) -> Result<(Stream, HttpPeer), ExchangeError> {
        let connect = async |peer: HttpPeer| {
            let result = match timeout(target.connect_timeout, self.connector.new_stream(&peer)).await {
                Ok(connected) => connected.map_err(|error| ExchangeError::from_connect_error(&error)),
                Err(_) => Err(ExchangeError::ConnectTimeout),
            };
            (peer, result)
        };
        let (mut remaining, mut last_error) = (peers.into_iter(), ExchangeError::Resolve);
        let mut running = FuturesUnordered::new();
        let mut unanswered_addresses = Vec::new();
        let mut next_at = tokio::time::Instant::now();
        loop {
            let has_more_addresses = remaining.len() > 0;
            if running.is_empty() && !has_more_addresses {
                self.dns_cache.record_connect_results(None, &unanswered_addresses);
                return Err(last_error);
            }
            tokio::select! {
                biased;
                Some(finished) = running.next(), if !running.is_empty() => {
                    let (peer, result): (HttpPeer, Result<Stream, ExchangeError>) = finished;
                    match result {
                        Ok(stream) => {
                            let address = peer.address().as_inet().copied();
                            unanswered_addresses.retain(|other| Some(*other) != address);
                            self.dns_cache.record_connect_results(address, &unanswered_addresses);
                            return Ok((stream, peer));
                        }
                        Err(error) => last_error = error,
                    }
                    next_at = tokio::time::Instant::now();
                }
                () = sleep_until(next_at), if has_more_addresses => {
                    if let Some(peer) = remaining.next() {
                        unanswered_addresses.extend(peer.address().as_inet().copied());
                        running.push(connect(peer));
                    }
                    next_at = tokio::time::Instant::now() + NEXT_ADDRESS_DELAY;
                }
            }
        }
    }
}

impl TargetExchange<'_> {
    async fn write_whole_body(&mut self, body: &[u8]) -> Result<(), ExchangeError> {
        if !body.is_empty() {
            self.write_body(body).await?;
        }
        self.finish_body().await
    }

    /// Writes some of the request's body.
    ///
    /// # Errors
    /// [`Failed::Write`].
    pub async fn write_body(&mut self, bytes: &[u8]) -> Result<(), ExchangeError> {
        if bytes.is_empty() {
            return Ok(()); // An empty chunk would be the last one.
        }
        self.pace.pauses = self.pace.total_pauses();
        let written = self.session.write_body(bytes).await;
        self.pace.last_write_at = Instant::now();
        match written {
            Ok(Some(written)) if written == bytes.len() => Ok(()),
            _ => Err(self.record_failure(ExchangeError::Write)),
        }
    }

    /// Ends the request's body.
    ///
    /// # Errors
    /// [`Failed::Write`].
    pub async fn finish_body(&mut self) -> Result<(), ExchangeError> {
        self.pace.pauses = self.pace.total_pauses();
        self.pace.expects_more = false;
        let finished = timeout(self.target.body_timeout, self.session.finish_body()).await;
        matches!(finished, Ok(Ok(_))).then_some(()).ok_or_else(|| self.record_failure(ExchangeError::Write))
    }

    /// Notes a failure in the exchange's span, and tells the circuit breaker.
    fn record_failure(&mut self, error: ExchangeError) -> ExchangeError {
        self.span.record_failure(error.kind(), error.to_string());
        let outcome = error.breaker_outcome(true);
        if let Some(outcome) =
            outcome.filter(|outcome| *outcome != BreakerOutcome::ConnectionBroken || !self.is_reused)
        {
            self.report_outcome(outcome);
        }
        error
    }

    /// Tells the circuit breaker. A target that gives up an upload which came slowly is right.
    fn report_outcome(&self, outcome: BreakerOutcome) {
        if outcome == BreakerOutcome::Responded || self.pace.total_pauses() <= UPLOAD_PAUSES_MAX {
            self.target.circuit_breaker.report_outcome(self.attempt, outcome, Instant::now());
        }
    }

    /// Waits for the head of an answer that comes although the request is not complete. Losing the future loses
    /// nothing.
    pub async fn read_early_response_head(&mut self) -> Result<TargetResponseHead, ExchangeError> {
        self.session.read_timeout = None;
        self.receive_head().await
    }

    /// Reads the head of the answer.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn read_response_head(&mut self) -> Result<TargetResponseHead, ExchangeError> {
        self.session.read_timeout = None;
        let head = timeout(self.response_timeout, self.receive_head())
            .await
            .unwrap_or(Err(ExchangeError::ResponseTimeout));
        head.map_err(|failed| self.record_failure(failed))
    }

    async fn receive_head(&mut self) -> Result<TargetResponseHead, ExchangeError> {
        for _ in 0..=INTERIM_RESPONSES_MAX {
            self.session
                .read_response()
                .await
                .map_err(|error| ExchangeError::from_exchange_error(&error, ExchangeError::Read))?;
            let raw = self.session.get_headers_raw_bytes();
            let header = self.session.resp_header().ok_or(ExchangeError::Malformed)?;
            let status = header.status.as_u16();
            if raw.len() > RESPONSE_HEAD_BYTES_MAX {
                return Err(ExchangeError::TooLarge);
            }
            match status {
                101 => return Err(ExchangeError::Malformed),
                100..=199 => continue,
                300..=303 | 305..=399 if !self.client.is_diagnosing => return Err(ExchangeError::Redirect),
                _ => {}
            }
            let headers = header
                .headers
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
            let response = TargetResponse { status, headers: headers.collect(), body: Vec::new() };
            let length = self.body_length(&raw, status)?;
            self.check_clock_skew(&response)?;
            self.span.record_status(status);
            self.status = status;
            self.target.health.record_response(status);
            match status {
                // Why decides: it may only ask for fewer requests.
                503 => {}
                // What it does not have, or has no room for, is no failure: other requests are answered.
                ..=499 | 501 | 507 => self.report_outcome(BreakerOutcome::Responded),
                _ => self.report_outcome(BreakerOutcome::ServerError),
            }
            return Ok(TargetResponseHead { response, length });
        }
        Err(ExchangeError::Malformed)
    }

    /// Takes the target's time from its answer, where a request was refused that it may be the reason of.
    fn check_clock_skew(&self, response: &TargetResponse) -> Result<(), ExchangeError> {
        let Some(theirs) = diagnosis::read_server_time(response).filter(|_| !self.client.is_diagnosing)
        else {
            return Ok(());
        };
        let (target, ours) = (&self.target.spec, clock::now());
        let is_skew_rejection =
            matches!(response.status, 401 | 403) && target.clock.explains_rejection(ours, theirs);
        if let Some(skew) = target.clock.update_skew(ours, theirs, is_skew_rejection) {
            METRICS.target_skew.with_label_values(&[&target.name]).set(skew);
            tracing::warn!(
                target_name = target.name,
                skew_seconds = skew,
                "a target's clock differs from ours: requests to it are dated by its own"
            );
        }
        if is_skew_rejection { Err(ExchangeError::ClockSkew) } else { Ok(()) }
    }

    /// How long the body is. A success whose end nobody can tell is none (T2).
    fn body_length(&mut self, raw: &[u8], status: u16) -> Result<Option<u64>, ExchangeError> {
        let framing = parse_response_framing(raw)?;
        if self.is_head_request || matches!(status, 204 | 304) {
            return Ok(Some(0));
        }
        match framing {
            TargetResponseFraming::Bytes(bytes) => Ok(Some(bytes)),
            TargetResponseFraming::Chunked => Ok(None),
            TargetResponseFraming::UntilClose if status >= 300 => Ok(None),
            TargetResponseFraming::UntilClose => Err(ExchangeError::Malformed),
        }
    }

    /// The next bytes of the answer's body, `None` at its proper end.
    ///
    /// # Errors
    /// [`Failed::Cut`], [`Failed::BodyTimeout`].
    pub async fn read_body(&mut self) -> Result<Option<Bytes>, ExchangeError> {
        self.session.read_timeout = Some(self.target.body_timeout);
        let since = Instant::now();
        let piece = self.session.read_body_bytes().await;
        self.body_wait = self.body_wait.saturating_add(since.elapsed());
        let piece = piece.map_err(|error| {
            let is_late = *error.etype() == ErrorType::ReadTimedout;
            self.record_failure(if is_late { ExchangeError::BodyTimeout } else { ExchangeError::Truncated })
        })?;
        let bytes = piece.as_ref().map_or(0, Bytes::len);
        self.body_bytes_read = self.body_bytes_read.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let bytes_due = self
            .body_wait
            .saturating_sub(BODY_RATE_GRACE)
            .as_secs()
            .saturating_mul(BODY_BYTES_PER_SECOND_MIN);
        if piece.is_some() && self.body_bytes_read < bytes_due && !self.is_long_work {
            return Err(self.record_failure(ExchangeError::BodyTimeout));
        }
        if piece.is_some() && self.session.is_body_done() && self.has_excess_bytes() {
            return Err(self.record_failure(ExchangeError::Malformed));
        }
        Ok(piece)
    }

    /// Whether bytes came behind the body's end: the connection would be kept, but the session gives it up. Where the
    /// target closes it anyway nobody can tell.
    fn has_excess_bytes(&mut self) -> bool {
        let would_stay_open = self.session.resp_header().is_some_and(|head| {
            head.version == http::Version::HTTP_11 && !head.headers.contains_key(http::header::CONNECTION)
        });
        self.session.respect_keepalive();
        would_stay_open && !self.session.will_keepalive()
    }

    /// The whole body, bounded.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn read_whole_body(&mut self, bytes_max: usize) -> Result<Vec<u8>, ExchangeError> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.read_body().await? {
            if whole.len().saturating_add(bytes.len()) > bytes_max {
                return Err(ExchangeError::TooLarge);
            }
            whole.extend_from_slice(&bytes);
        }
        if self.status == 503 && !self.is_head_request && !is_slow_down(self.target.spec.dialect, &whole) {
            self.report_outcome(BreakerOutcome::ServerError);
        }
        Ok(whole)
    }

    /// After a clean exchange: the connection may serve another.
    pub async fn release(mut self) {
        self.session.respect_keepalive();
        if let Some(stream) = self.session.reuse().await {
            self.client.connector.release_stream(stream, self.peer.reuse_hash(), Some(POOL_IDLE_TIMEOUT));
        }
    }

    /// Breaks the connection, so that the target cannot take what it has for the whole. Closing would end it in order:
    /// some servers store what they have then.
    pub async fn abort(self) {
        drop(self);
    }

    /// Since the request's head was written.
    pub fn time_since_start(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Nobody waits for a place at a target that is left alone, or for which there is no key.
///
/// # Errors
/// [`Failed::Paused`], [`Failed::NoKey`].
fn check_available(target: &TargetRuntime) -> Result<(), ExchangeError> {
    if target.issued_key.as_ref().is_some_and(|key| !key.is_usable(clock::now())) {
        return Err(ExchangeError::NoCredentials);
    }
    let wait = target.circuit_breaker.time_until_probe(Instant::now());
    wait.is_zero().then_some(()).ok_or(ExchangeError::CircuitOpen)
}

/// Whether a request is one that tries a target which failed: it does not begin on a connection from before.
///
/// # Errors
/// [`Failed::Paused`].
fn admit_request(target: &TargetRuntime) -> Result<ConnectionChoice, ExchangeError> {
    match target.circuit_breaker.try_admit(initiator::current_initiator(), Instant::now()) {
        BreakerAdmission::Allowed => Ok(ConnectionChoice::Pooled),
        BreakerAdmission::Probe => Ok(ConnectionChoice::Probe),
        BreakerAdmission::Rejected => Err(ExchangeError::CircuitOpen),
    }
}

/// What is asked for, as a digest: the call and the place.
fn hash_subject(request: &OutgoingRequest) -> u64 {
    let mut hasher = DefaultHasher::new();
    let calls: Vec<&str> = request.query.iter().map(|row| row.0.as_str()).collect();
    (request.method, &request.host, &request.path, calls).hash(&mut hasher);
    hasher.finish()
}

/// Whether a host is the target's own, or one label before it: a certificate of the target's fits those.
fn is_certificate_host(target: &TargetRuntime, host: &str) -> bool {
    let label = host.strip_suffix(target.spec.authority.as_str());
    label.is_some_and(|label| !label.trim_end_matches('.').contains('.'))
}

fn build_peer(target: &TargetRuntime, host: &str, address: SocketAddr) -> HttpPeer {
    // The name is never empty: without one the connector would not verify the certificate.
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let mut peer = HttpPeer::new(address, target.endpoint.tls, name);
    peer.group_key = target.group_key;
    peer.options.connection_timeout = Some(target.connect_timeout);
    peer.options.total_connection_timeout = Some(target.connect_timeout);
    peer.options.idle_timeout = Some(POOL_IDLE_TIMEOUT);
    peer.options.write_timeout = Some(target.body_timeout);
    // What is dropped before its end was told is reset. Those that wait idly are in no doubt, whichever way they end.
    peer.options.upstream_tcp_sock_tweak_hook = Some(Arc::new(|socket: &TcpSocket| {
        let bounded = limit_unsent_bytes(socket);
        bounded.and_then(|()| socket.set_zero_linger()).or_err(ErrorType::SocketError, "a socket's options")
    }));
    peer.client_cert_key = target.client_cert.as_ref().map(Arc::clone);
    peer.options.ca = target.ca.as_ref().map(Arc::clone);
    peer
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use blobfish_dialects::model::PayloadHash;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::target::dns::fake_dns::FakeDns;
    use crate::target::runtime::build_target;

    const TARGET_CONFIG: &str = "[[target]]\nname = \"a\"\ndialect = \"s3\"\nendpoint = \"http://store.example\"\n\
        region = \"r\"\naddressing = \"path\"\naccess_key = \"K\"\nsecret_key = \"S\"\ninsecure = true\n\
        connect_timeout_seconds = 1\n";

    /// Waiting connections of a test's client.
    const IDLE_CONNECTIONS_MAX: usize = 8;

    fn test_target() -> TargetRuntime {
        let known = blobfish_config::KnownDialects { dialects: blobfish_dialects::DIALECT_PROFILES };
        let config = blobfish_config::load(TARGET_CONFIG, &known, &blobfish_config::OsSources).unwrap();
        build_target(&config.targets[0], &config.callers).unwrap()
    }

    fn new_request(method: &'static str) -> OutgoingRequest {
        OutgoingRequest {
            method,
            host: "store.example".to_owned(),
            bucket: None,
            key: None,
            path: "/b/k".to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: b"body".to_vec(),
            payload_hash: PayloadHash::Unsigned,
            is_long_running: false,
        }
    }

    /// A server that answers, or only takes connections and breaks them. Counts them.
    async fn spawn_server(is_responding: bool) -> (SocketAddr, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                let _ = stream.read(&mut [0; 4096]).await;
                if is_responding {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                }
            }
        });
        (address, count)
    }

    async fn unused_address() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    #[tokio::test]
    async fn the_next_address_is_tried_until_a_byte_was_sent() {
        let ((good, good_count), (bad, bad_count)) = (spawn_server(true).await, spawn_server(false).await);
        let (target, table) = (test_target(), FakeDns::default());
        let client = TargetClient::new(table.clone(), IDLE_CONNECTIONS_MAX);

        table.set_addresses(&[unused_address().await, good], Duration::ZERO);
        let response = client.send_and_read(&target, &new_request("PUT"), "PutObject", "s3").await;
        assert_eq!(response.map(|response| response.status), Ok(200));
        assert_eq!(good_count.load(Ordering::Relaxed), 1);

        let other = TargetClient::new(table.clone(), IDLE_CONNECTIONS_MAX);
        table.set_addresses(&[bad, good], Duration::ZERO);
        let response = other.send_and_read(&target, &new_request("PUT"), "PutObject", "s3").await;
        assert_eq!(response.map(|response| response.status), Err(ExchangeError::Read));
        assert_eq!(bad_count.load(Ordering::Relaxed), 1);
        assert_eq!(good_count.load(Ordering::Relaxed), 1, "what may have been done is not repeated");
    }

    /// An address at which nobody answers: its queue of connections is full, so that the system answers no more.
    async fn silent_address() -> (SocketAddr, Vec<std::net::TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        std::mem::forget(listener);
        let mut open_streams = Vec::new();
        while let Ok(stream) = tokio::task::spawn_blocking(move || {
            std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100))
        })
        .await
        .unwrap()
        {
            open_streams.push(stream);
        }
        (address, open_streams)
    }

    #[tokio::test]
    async fn one_that_does_not_answer_holds_nobody_up() {
        let ((good, good_count), (dead, _held)) = (spawn_server(true).await, silent_address().await);
        let (target, table) = (test_target(), FakeDns::default());
        let client = TargetClient::new(table.clone(), IDLE_CONNECTIONS_MAX);
        table.set_addresses(&[dead, good], Duration::ZERO);
        let send = async || {
            let started = Instant::now();
            let response = client.send_and_read(&target, &new_request("PUT"), "PutObject", "s3").await;
            assert_eq!(response.map(|response| response.status), Ok(200));
            started.elapsed()
        };
        let first = send().await;
        assert!(first >= NEXT_ADDRESS_DELAY && first < NEXT_ADDRESS_DELAY * 3, "{first:?}");
        let mut later = Vec::new();
        for _ in 0..20 {
            later.push(send().await);
        }
        later.sort();
        assert!(later[19] < NEXT_ADDRESS_DELAY / 2, "it is remembered: {later:?}");
        assert_eq!(good_count.load(Ordering::Relaxed), 21, "none was asked twice");
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_not_held_against_the_target() {
        let target = test_target();
        let client = TargetClient::new(FakeDns::default(), IDLE_CONNECTIONS_MAX);
        for _ in 0..20 {
            let response = client.send_and_read(&target, &new_request("PUT"), "PutObject", "s3").await;
            assert_eq!(response.map(|response| response.status), Err(ExchangeError::Resolve));
        }
    }
}
