//! The HTTP client for targets: one connection pool for all of them, and one request at a time on each connection.
//!
//! A request is not retried after its first byte was written, because the target may already have performed it. The
//! exception is GET and HEAD on a pooled connection that turned out to be closed. A connection returns to the pool only
//! if the end of the response was unambiguous; otherwise the next client could get the rest of it.

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
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::protocols::Stream;
use pingora::upstreams::peer::HttpPeer;
use pingora::{ErrorType, OrErr as _};
use prometheus::IntGauge;
use tokio::net::TcpSocket;
use tokio::time::{sleep_until, timeout};

use crate::clock;
use crate::target::circuit_breaker::{Attempt, BreakerAdmission, BreakerOutcome};
use crate::target::connection_limit::ConnectionPermit;
use crate::target::connection_pool::{ConnectionPool, PoolKey};
use crate::target::dns::{DnsCache, DnsLookup, SystemDns};
use crate::target::error::ExchangeError;
use crate::target::http1::{
    BodyMode, ResponseHead, TargetResponseFraming, build_request_head, check_connect_host,
};
use crate::target::initiator;
use crate::target::runtime::TargetRuntime;
use crate::target::session::TargetSession;
use crate::target::socket_options::limit_unsent_bytes;
use crate::telemetry::metrics::METRICS;
use crate::telemetry::request_metrics::observe_target_response;
use crate::telemetry::traces::ExchangeSpan;

/// Total time that an upload may wait for the client. After more, its failure does not count for the circuit breaker,
/// because the target may have closed a slow connection.
const CLIENT_WAIT_MAX: Duration = Duration::from_secs(1);

/// Response timeout of a copy or CompleteMultipartUpload. The target moves up to 5 GiB before it responds, and after a
/// timeout it is unknown whether the operation succeeded.
const LONG_RUNNING_TIMEOUT: Duration = Duration::from_secs(600);

/// Maximum number of addresses of a host to try, each with the connect timeout.
pub(crate) const ADDRESSES_TRIED_MAX: usize = 4;

/// How long a body may be slower than [`BODY_BYTES_PER_SECOND_MIN`].
const BODY_RATE_GRACE: Duration = Duration::from_secs(10);

/// Minimum rate of a response body. A slower one only occupies two connections. Request bodies have the same limit.
const BODY_BYTES_PER_SECOND_MIN: u64 = 1024;

/// Delay before the next address is tried in parallel (RFC 8305, section 5).
const NEXT_ADDRESS_DELAY: Duration = Duration::from_millis(250);

/// Maximum number of interim responses (1xx) before the response.
const INTERIM_RESPONSES_MAX: usize = 8;

/// Maximum size of a response that is read whole; the limits of the XML parser allow as much.
pub(crate) const RESPONSE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Maximum size of an error document.
pub(crate) const ERROR_BYTES_MAX: usize = 64 * 1024;

/// The HTTP client for all targets.
pub(crate) struct TargetClient {
    connector: TransportConnector,
    pool: Arc<ConnectionPool>,
    dns_cache: DnsCache,
    /// Whether to return responses that show a configuration error, a redirect or a clock skew, instead of an error.
    /// Redirects are never followed.
    is_diagnosing: bool,
}

/// One exchange: a request with its head written, and its response.
pub(crate) struct TargetExchange<'a> {
    client: &'a TargetClient,
    target: &'a TargetRuntime,
    /// On the heap, because the futures of requests hold several copies of this value.
    session: Box<TargetSession>,
    pool_key: PoolKey,
    is_head_request: bool,
    /// The status of the response, zero before it arrives.
    status: u16,
    is_reused: bool,
    started: Instant,
    /// The timeout for the response head.
    response_timeout: Duration,
    /// Whether the target may send white space during long work, so that the minimum rate does not apply.
    is_long_running: bool,
    /// Size of the response body so far, and the time spent waiting for it.
    body_bytes_read: u64,
    body_wait: Duration,
    /// Initiator and subject, for the circuit breaker.
    attempt: Attempt,
    pace: UploadPace,
    span: ExchangeSpan,
    _in_use: ActiveConnection,
}

/// How long an upload has waited for the client.
struct UploadPace {
    /// Whether the request body continues.
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

/// Which connection an exchange uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionChoice {
    /// A pooled connection, or a new one if there is none.
    Pooled,
    /// A new connection, to probe whether the target has recovered.
    Probe,
    /// A new connection, because the target had closed the pooled one.
    Retry,
}

/// Counts a connection as in use and holds its permit.
struct ActiveConnection {
    gauge: IntGauge,
    _permit: ConnectionPermit,
}

impl ActiveConnection {
    fn new(target: &TargetRuntime, permit: ConnectionPermit) -> Self {
        let gauge = target.connections_in_use.clone();
        gauge.inc();
        Self { gauge, _permit: permit }
    }
}

impl Drop for ActiveConnection {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// The head of a response.
pub(crate) struct TargetResponseHead {
    /// Status and headers, with an empty body.
    pub response: TargetResponse,
    /// Length of the body; `None` if it is not known in advance.
    pub length: Option<u64>,
}

impl TargetClient {
    /// Creates the client without connecting. `idle_connections_max` limits the pool over all targets.
    pub(crate) fn new(lookup: impl DnsLookup, idle_connections_max: usize) -> Self {
        Self {
            // Its own pool is not used.
            connector: TransportConnector::new(Some(ConnectorOptions::new(0))),
            pool: ConnectionPool::new(idle_connections_max),
            dns_cache: DnsCache::new(lookup),
            is_diagnosing: false,
        }
    }

    /// Creates a client that also returns responses that show configuration errors.
    pub(crate) fn for_diagnosis(idle_connections_max: usize) -> Self {
        Self { is_diagnosing: true, ..Self::new(SystemDns, idle_connections_max) }
    }

    /// Sends a whole request and reads the whole response.
    ///
    /// # Errors
    /// [`ExchangeError`], already counted.
    pub(crate) async fn send_and_read(
        &self,
        target: &TargetRuntime,
        request: &OutgoingRequest,
        operation: &'static str,
        dialect: &'static str,
    ) -> Result<TargetResponse, ExchangeError> {
        let (mut exchange, head) = self.send(target, request, operation, dialect).await?;
        let bytes_max = if head.response.status < 300 { RESPONSE_BYTES_MAX } else { ERROR_BYTES_MAX };
        let body = exchange.read_whole_body(bytes_max).await.map_err(|failed| failed.record_for(target))?;
        exchange.release().await;
        Ok(TargetResponse { body, ..head.response })
    }

    /// Sends a request without a streamed body and reads the response head. GET and HEAD are retried once if the pooled
    /// connection was closed.
    ///
    /// # Errors
    /// [`ExchangeError`], already counted.
    pub(crate) async fn send<'a>(
        &'a self,
        target: &'a TargetRuntime,
        request: &OutgoingRequest,
        operation: &'static str,
        dialect: &'static str,
    ) -> Result<(TargetExchange<'a>, TargetResponseHead), ExchangeError> {
        self.send_with_permit(self.acquire_permit(target).await?, target, request, operation, dialect).await
    }

    /// Acquires a permit for one connection.
    ///
    /// # Errors
    /// [`ExchangeError::CircuitOpen`], without waiting; [`ExchangeError::ConnectionLimitReached`].
    async fn acquire_permit(&self, target: &TargetRuntime) -> Result<ConnectionPermit, ExchangeError> {
        check_sendable(target)?;
        target
            .connection_limit
            .acquire(target.connect_timeout)
            .await
            .ok_or(ExchangeError::ConnectionLimitReached)
    }

    /// Acquires permits for a connection to read from and one to write to at the same time.
    ///
    /// # Errors
    /// [`ExchangeError::CircuitOpen`], without waiting; [`ExchangeError::ConnectionLimitReached`].
    pub(crate) async fn acquire_permit_pair(
        &self,
        from: &TargetRuntime,
        to: &TargetRuntime,
    ) -> Result<(ConnectionPermit, ConnectionPermit), ExchangeError> {
        check_sendable(from)?;
        check_sendable(to)?;
        // Waiting for a permit is part of connecting, so it has the same timeout.
        let wait_max = from.connect_timeout.max(to.connect_timeout);
        from.connection_limit
            .acquire_pair(&to.connection_limit, wait_max)
            .await
            .ok_or(ExchangeError::ConnectionLimitReached)
    }

    /// [`Self::send`] with a permit.
    ///
    /// # Errors
    /// [`ExchangeError`], already counted.
    pub(crate) async fn send_with_permit<'a>(
        &'a self,
        permit: ConnectionPermit,
        target: &'a TargetRuntime,
        request: &OutgoingRequest,
        operation: &'static str,
        dialect: &'static str,
    ) -> Result<(TargetExchange<'a>, TargetResponseHead), ExchangeError> {
        // Other methods are not retried, even if HTTP calls them idempotent: a PUT that is performed twice creates a
        // second version, and a repeated DELETE can remove a newer object.
        let is_repeatable = matches!(request.method, "GET" | "HEAD");
        let mut connection_choice = admit_request(target)?;
        loop {
            let start_result = self
                .start_exchange(permit.clone(), target, request, BodyMode::Whole, connection_choice)
                .await;
            let mut exchange = start_result.map_err(|failed| failed.record_for(target))?;
            let head_result = match exchange.write_whole_body(&request.body).await {
                Ok(()) => exchange.read_response_head().await,
                Err(failed) => Err(failed),
            };
            match head_result {
                Ok(head) => {
                    let elapsed = exchange.started.elapsed();
                    observe_target_response(dialect, &target.spec.name, operation, elapsed);
                    return Ok((exchange, head));
                }
                Err(failed) => {
                    // A timeout is not retried, because the target is slow and would get the same work again.
                    let is_connection_lost = matches!(failed, ExchangeError::Write | ExchangeError::Read);
                    let should_retry = is_connection_lost
                        && is_repeatable
                        && exchange.is_reused
                        && connection_choice == ConnectionChoice::Pooled;
                    exchange.abort();
                    if !should_retry {
                        return Err(failed.record_for(target));
                    }
                    failed.record_for(target);
                    connection_choice = ConnectionChoice::Retry;
                }
            }
        }
    }

    /// Starts an upload: writes the head; the body follows in pieces.
    ///
    /// # Errors
    /// [`ExchangeError`], already counted.
    pub(crate) async fn start_upload<'a>(
        &'a self,
        target: &'a TargetRuntime,
        request: &OutgoingRequest,
    ) -> Result<TargetExchange<'a>, ExchangeError> {
        self.start_upload_with_permit(self.acquire_permit(target).await?, target, request).await
    }

    /// [`Self::start_upload`] with a permit.
    ///
    /// # Errors
    /// [`ExchangeError`], already counted.
    pub(crate) async fn start_upload_with_permit<'a>(
        &'a self,
        permit: ConnectionPermit,
        target: &'a TargetRuntime,
        request: &OutgoingRequest,
    ) -> Result<TargetExchange<'a>, ExchangeError> {
        let connection_choice = admit_request(target)?;
        let start_result =
            self.start_exchange(permit, target, request, BodyMode::Streamed, connection_choice).await;
        start_result.map_err(|failed| failed.record_for(target))
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
            subject: hash_object_operation(request),
            probe: connection_choice == ConnectionChoice::Probe,
        };
        match self.open_session(target, request, body_mode, connection_choice, &span).await {
            Ok((session, pool_key, reused, started)) => {
                let is_head_request = request.method == "HEAD";
                let response_timeout =
                    if request.is_long_running { LONG_RUNNING_TIMEOUT } else { target.response_timeout };
                Ok(TargetExchange {
                    client: self,
                    target,
                    session,
                    pool_key,
                    is_head_request,
                    status: 0,
                    is_reused: reused,
                    started,
                    response_timeout,
                    is_long_running: request.is_long_running,
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
                // A pooled connection may have been idle for too long, so its failure does not count.
                let outcome = failed.breaker_outcome(can_certificate_match(target, &request.host));
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

    async fn open_session(
        &self,
        target: &TargetRuntime,
        request: &OutgoingRequest,
        body_mode: BodyMode,
        connection_choice: ConnectionChoice,
        span: &ExchangeSpan,
    ) -> Result<(Box<TargetSession>, PoolKey, bool, Instant), ExchangeError> {
        // The trace context is added after signing: it differs in every exchange and is not part of the signature.
        let head = build_request_head(request, body_mode, span.headers())?;
        let host = check_connect_host(target, &request.host)?;
        let (stream, pool_key, reused) = self.connect(target, host, connection_choice).await?;
        let session = Box::new(TargetSession::new(stream, head, target.body_timeout));
        Ok((session, pool_key, reused, Instant::now()))
    }

    async fn connect(
        &self,
        target: &TargetRuntime,
        host: &str,
        connection_choice: ConnectionChoice,
    ) -> Result<(Stream, PoolKey, bool), ExchangeError> {
        let lookup = self.dns_cache.resolve(host, target.endpoint.port, target.dns_cache_ttl);
        let addresses = timeout(target.connect_timeout, lookup).await.unwrap_or_default();
        let addresses = addresses.get(..ADDRESSES_TRIED_MAX).unwrap_or(&addresses);
        // Neither a probe nor a retry uses the pool: all its connections may date from before the failure.
        if connection_choice == ConnectionChoice::Pooled {
            for address in addresses {
                let pool_key = build_pool_key(target, host, *address);
                if let Some(stream) = self.pool.take(&pool_key) {
                    return Ok((stream, pool_key, true));
                }
            }
        }
        let (stream, address) = self.connect_first_address(target, host, addresses).await?;
        Ok((stream, build_pool_key(target, host, address), false))
    }

    /// Connects to the first address that accepts (RFC 8305). The next address is tried if one fails, or in parallel
    /// after a delay. Addresses that did not accept are tried last for a while.
    async fn connect_first_address(
        &self,
        target: &TargetRuntime,
        host: &str,
        addresses: &[SocketAddr],
    ) -> Result<(Stream, SocketAddr), ExchangeError> {
        let connect = async |address: SocketAddr| {
            let peer = build_peer(target, host, address);
            let result = match timeout(target.connect_timeout, self.connector.new_stream(&peer)).await {
                Ok(connected) => connected.map_err(|error| ExchangeError::from_connect_error(&error)),
                Err(_) => Err(ExchangeError::ConnectTimeout),
            };
            (address, result)
        };
        let (mut remaining, mut last_error) = (addresses.iter().copied(), ExchangeError::Resolve);
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
                    let (address, result): (SocketAddr, Result<Stream, ExchangeError>) = finished;
                    match result {
                        Ok(stream) => {
                            unanswered_addresses.retain(|other| *other != address);
                            self.dns_cache.record_connect_results(Some(address), &unanswered_addresses);
                            return Ok((stream, address));
                        }
                        Err(error) => last_error = error,
                    }
                    next_at = tokio::time::Instant::now();
                }
                () = sleep_until(next_at), if has_more_addresses => {
                    if let Some(address) = remaining.next() {
                        unanswered_addresses.push(address);
                        running.push(connect(address));
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

    /// Writes a piece of the request body. An empty piece sends the head if it was not sent yet.
    ///
    /// # Errors
    /// [`ExchangeError::Write`].
    pub(crate) async fn write_body(&mut self, bytes: &[u8]) -> Result<(), ExchangeError> {
        self.pace.pauses = self.pace.total_pauses();
        let written = self.session.write_body(bytes).await;
        self.pace.last_write_at = Instant::now();
        written.map_err(|error| self.record_failure(error))
    }

    /// Ends the request body.
    ///
    /// # Errors
    /// [`ExchangeError::Write`].
    pub(crate) async fn finish_body(&mut self) -> Result<(), ExchangeError> {
        self.pace.pauses = self.pace.total_pauses();
        self.pace.expects_more = false;
        let finished = self.session.finish_request().await;
        finished.map_err(|error| self.record_failure(error))
    }

    /// Records an error in the exchange's span and in the circuit breaker.
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

    /// Reports to the circuit breaker. Failures of slow uploads are not reported: the client caused them.
    fn report_outcome(&self, outcome: BreakerOutcome) {
        if outcome == BreakerOutcome::Responded || self.pace.total_pauses() <= CLIENT_WAIT_MAX {
            self.target.circuit_breaker.report_outcome(self.attempt, outcome, Instant::now());
        }
    }

    /// Waits for a response head that arrives before the request is complete. Cancellation safe.
    pub(crate) async fn read_early_response_head(&mut self) -> Result<TargetResponseHead, ExchangeError> {
        self.receive_head().await
    }

    /// Reads the response head.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub(crate) async fn read_response_head(&mut self) -> Result<TargetResponseHead, ExchangeError> {
        // The timeout covers all interim responses, so that a target cannot extend it with them.
        let head = timeout(self.response_timeout, self.receive_head())
            .await
            .unwrap_or(Err(ExchangeError::ResponseTimeout));
        head.map_err(|failed| self.record_failure(failed))
    }

    async fn receive_head(&mut self) -> Result<TargetResponseHead, ExchangeError> {
        for _ in 0..=INTERIM_RESPONSES_MAX {
            let head = self.session.read_head().await?;
            let status = head.status;
            match status {
                // No request has an `Upgrade` header, so 101 is not a valid response.
                101 => return Err(ExchangeError::Malformed),
                100..=199 => continue,
                300..=303 | 305..=399 if !self.client.is_diagnosing => return Err(ExchangeError::Redirect),
                _ => {}
            }
            let length = self.begin_response_body(&head)?;
            let response = TargetResponse { status, headers: head.headers, body: Vec::new() };
            self.check_clock_skew(&response)?;
            self.span.record_status(status);
            self.status = status;
            self.target.health.record_response(status);
            match status {
                // The body decides: the error may be SlowDown, which is not a failure of the target.
                503 => {}
                // Unsupported operations and a full bucket are not failures of the target: other requests succeed.
                ..=499 | 501 | 507 => self.report_outcome(BreakerOutcome::Responded),
                _ => self.report_outcome(BreakerOutcome::ServerError),
            }
            return Ok(TargetResponseHead { response, length });
        }
        Err(ExchangeError::Malformed)
    }

    /// Adopts the target's time if it rejected a request and the clock skew may be the reason.
    fn check_clock_skew(&self, response: &TargetResponse) -> Result<(), ExchangeError> {
        let Some(target_time) = diagnosis::read_server_time(response).filter(|_| !self.client.is_diagnosing)
        else {
            return Ok(());
        };
        let (target, local_time) = (&self.target.spec, clock::now());
        let is_skew_rejection =
            matches!(response.status, 401 | 403) && target.clock.explains_rejection(local_time, target_time);
        if let Some(skew) = target.clock.update_skew(local_time, target_time, is_skew_rejection) {
            METRICS.target_skew.with_label_values(&[&target.name]).set(skew);
            tracing::warn!(
                target_name = target.name,
                skew_seconds = skew,
                "the target's clock differs from the clock of this machine; requests are signed with the target's time"
            );
        }
        if is_skew_rejection { Err(ExchangeError::ClockSkew) } else { Ok(()) }
    }

    /// Starts the body of a response, and returns its length if it is known. A success with a body that ends with the
    /// connection is an error: it could be a truncated object.
    fn begin_response_body(&mut self, head: &ResponseHead) -> Result<Option<u64>, ExchangeError> {
        let framing = head.parse_framing()?;
        if self.is_head_request || matches!(head.status, 204 | 304) {
            self.session.begin_response_body(head, None);
            return Ok(Some(0));
        }
        self.session.begin_response_body(head, Some(&framing));
        match framing {
            TargetResponseFraming::Bytes(bytes) => Ok(Some(bytes)),
            TargetResponseFraming::Chunked => Ok(None),
            // Only the error document can be truncated, and the status is known.
            TargetResponseFraming::UntilClose if head.status >= 300 => Ok(None),
            TargetResponseFraming::UntilClose => Err(ExchangeError::Malformed),
        }
    }

    /// Reads the next bytes of the response body, `None` at its end.
    ///
    /// # Errors
    /// [`ExchangeError::Truncated`], [`ExchangeError::BodyTimeout`], [`ExchangeError::Malformed`].
    pub(crate) async fn read_body(&mut self) -> Result<Option<Bytes>, ExchangeError> {
        let since = Instant::now();
        let piece = self.session.read_body(self.target.body_timeout).await;
        self.body_wait = self.body_wait.saturating_add(since.elapsed());
        let piece = piece.map_err(|error| self.record_failure(error))?;
        let bytes = piece.as_ref().map_or(0, Bytes::len);
        self.body_bytes_read = self.body_bytes_read.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let bytes_due = self
            .body_wait
            .saturating_sub(BODY_RATE_GRACE)
            .as_secs()
            .saturating_mul(BODY_BYTES_PER_SECOND_MIN);
        if piece.is_some() && self.body_bytes_read < bytes_due && !self.is_long_running {
            return Err(self.record_failure(ExchangeError::BodyTimeout));
        }
        Ok(piece)
    }

    /// Reads the whole body, up to a size limit.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub(crate) async fn read_whole_body(&mut self, bytes_max: usize) -> Result<Vec<u8>, ExchangeError> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.read_body().await? {
            if whole.len().saturating_add(bytes.len()) > bytes_max {
                return Err(ExchangeError::TooLarge);
            }
            whole.extend_from_slice(&bytes);
        }
        // `receive_head` did not report a 503, because only the body shows whether the target is merely rate limiting.
        if self.status == 503 && !self.is_head_request && !is_slow_down(self.target.spec.dialect, &whole) {
            self.report_outcome(BreakerOutcome::ServerError);
        }
        Ok(whole)
    }

    /// Returns the connection to the pool after a complete exchange.
    pub(crate) async fn release(self) {
        if let Some(stream) = self.session.into_reusable_stream().await {
            self.client.pool.put(self.pool_key, stream);
        }
    }

    /// Resets the connection, so that the target does not take a truncated upload for a complete one. After a regular
    /// close some servers store what they have.
    pub(crate) fn abort(self) {
        drop(self);
    }

    /// The time since the request head was written.
    pub(crate) fn time_since_start(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Checks that the circuit breaker is not open and that there are credentials, before a request waits for a permit.
///
/// # Errors
/// [`ExchangeError::CircuitOpen`], [`ExchangeError::NoCredentials`].
fn check_sendable(target: &TargetRuntime) -> Result<(), ExchangeError> {
    if target.issued_credentials.as_ref().is_some_and(|key| !key.is_usable(clock::now())) {
        return Err(ExchangeError::NoCredentials);
    }
    let wait = target.circuit_breaker.time_until_probe(Instant::now());
    wait.is_zero().then_some(()).ok_or(ExchangeError::CircuitOpen)
}

/// Admits a request through the circuit breaker. A probe uses a new connection, because pooled ones date from before the
/// failure.
///
/// # Errors
/// [`ExchangeError::CircuitOpen`].
fn admit_request(target: &TargetRuntime) -> Result<ConnectionChoice, ExchangeError> {
    match target.circuit_breaker.try_admit(initiator::current_initiator(), Instant::now()) {
        BreakerAdmission::Allowed => Ok(ConnectionChoice::Pooled),
        BreakerAdmission::Probe => Ok(ConnectionChoice::Probe),
        BreakerAdmission::Rejected => Err(ExchangeError::CircuitOpen),
    }
}

/// Hashes the operation and the object of a request.
fn hash_object_operation(request: &OutgoingRequest) -> u64 {
    let mut hasher = DefaultHasher::new();
    // Parameter names distinguish operations such as `?acl`. With their values, every page of a listing would be a
    // separate subject.
    let calls: Vec<&str> = request.query.iter().map(|row| row.0.as_str()).collect();
    (request.method, &request.host, &request.path, calls).hash(&mut hasher);
    hasher.finish()
}

/// Whether a host is the target's own, or has one label before it, as its wildcard certificate covers.
fn can_certificate_match(target: &TargetRuntime, host: &str) -> bool {
    let label = host.strip_suffix(target.spec.authority.as_str());
    label.is_some_and(|label| !label.trim_end_matches('.').contains('.'))
}

fn build_pool_key(target: &TargetRuntime, host: &str, address: SocketAddr) -> PoolKey {
    // Without TLS a connection is for every host name of its address.
    PoolKey { group_key: target.group_key, address, tls_host: target.endpoint.tls.then(|| host.to_owned()) }
}

fn build_peer(target: &TargetRuntime, host: &str, address: SocketAddr) -> HttpPeer {
    // The name is never empty: without one Pingora would not verify the certificate.
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let mut peer = HttpPeer::new(address, target.endpoint.tls, name);
    peer.options.connection_timeout = Some(target.connect_timeout);
    peer.options.total_connection_timeout = Some(target.connect_timeout);
    peer.options.write_timeout = Some(target.body_timeout);
    // Zero linger resets a connection that is dropped before its end, see `abort`. For idle connections it makes no
    // difference.
    peer.options.upstream_tcp_sock_tweak_hook = Some(Arc::new(|socket: &TcpSocket| {
        let bounded = limit_unsent_bytes(socket);
        bounded
            .and_then(|()| socket.set_zero_linger())
            .or_err(ErrorType::SocketError, "cannot set socket options")
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

    /// Pool size of a test's client.
    const IDLE_CONNECTIONS_MAX: usize = 8;

    fn test_target() -> TargetRuntime {
        let known = crate::known_dialects::list_known_dialects();
        let config = blobfish_config::load(TARGET_CONFIG, &known, &blobfish_config::OsSources).unwrap();
        build_target(&config.targets[0], &config.callers).unwrap()
    }

    fn new_request(method: &'static str) -> OutgoingRequest {
        OutgoingRequest {
            method,
            host: "store.example".to_owned(),
            scope: blobfish_dialects::model::RequestScope::Service,
            path: "/b/k".to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: b"body".to_vec(),
            payload_hash: PayloadHash::Unsigned,
            is_long_running: false,
        }
    }

    /// Starts a server that responds, or only accepts and closes connections, and counts them.
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
    async fn the_next_address_is_tried_only_before_the_first_byte() {
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
        assert_eq!(
            good_count.load(Ordering::Relaxed),
            1,
            "a request that may have been performed is not retried"
        );
    }

    /// An address that does not respond: its accept queue is full, so the system ignores further connections.
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
    async fn a_dead_address_does_not_delay_requests() {
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
        assert!(later[19] < NEXT_ADDRESS_DELAY / 2, "the dead address is remembered: {later:?}");
        assert_eq!(good_count.load(Ordering::Relaxed), 21, "no request was sent twice");
    }

    #[tokio::test]
    async fn a_name_without_addresses_does_not_open_the_circuit_breaker() {
        let target = test_target();
        let client = TargetClient::new(FakeDns::default(), IDLE_CONNECTIONS_MAX);
        for _ in 0..20 {
            let response = client.send_and_read(&target, &new_request("PUT"), "PutObject", "s3").await;
            assert_eq!(response.map(|response| response.status), Err(ExchangeError::Resolve));
        }
    }
}
