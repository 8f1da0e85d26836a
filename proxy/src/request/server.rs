//! The server behind the data listeners: accepts connections, reads their requests one after another, and responds to each
//! in the caller dialect.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use blobfish_config::Limits;
use blobfish_dialects::authentication::authenticate::authenticate_request;
use blobfish_dialects::dialect::response_context::ResponseContext;
use blobfish_dialects::engine::cors::CrossOrigin;
use blobfish_dialects::model::{ErrorKind, RawHead, Rejection};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::request::Parts;
use pingora::apps::ServerApp;
use pingora::protocols::{ALPN, Stream};
use pingora::server::ShutdownWatch;
use prometheus::IntGauge;
use tokio::time::timeout;

use crate::clock;
use crate::inbound::connection::{ClientConnection, REQUESTS_MAX};
use crate::inbound::connection_error::ReadHeadError;
use crate::inbound::connections_per_address::{AddressConnectionPermit, ConnectionsPerAddress};
use crate::inbound::http2::Http2Server;
use crate::inbound::proxy_protocol;
use crate::inbound::proxy_protocol::ClientOrigin;
use crate::inbound::request_head;
use crate::inbound::request_head::ParsedRequest;
use crate::inbound::shutdown::{Shutdown, wait_until_stopped};
use crate::inbound::{file_descriptors, http2};
use crate::request::active_config::ActiveConfig;
use crate::request::buffer_budget::BufferBudget;
use crate::request::context::{RequestContext, RequestEnd, to_milliseconds};
use crate::request::cors_rules::CorsRulesCache;
use crate::request::fair_queue::FairQueue;
use crate::request::{cors_preflight, dispatch, form_upload};
use crate::target::client::TargetClient;
use crate::target::initiator;
use crate::target::initiator::Initiator;
use crate::telemetry::access_log;
use crate::telemetry::access_log::AccessRecord;
use crate::telemetry::metrics::METRICS;
use crate::telemetry::recent_events::{EVENTS, EventNote};
use crate::telemetry::request_metrics::count_request;
use crate::telemetry::traces;
use crate::telemetry::traces::RequestSpan;

/// How long a connection above the connection limit may take to send its request head.
const OVERLOAD_HEAD_TIMEOUT: Duration = Duration::from_secs(1);

/// At least this many connections above the limit get an error response. The file descriptors for them are reserved.
const OVERLOAD_CONNECTIONS_MIN: usize = 16;

/// The server behind the data listeners.
pub(crate) struct DataServer {
    /// The active configuration.
    pub active_config: Arc<ArcSwap<ActiveConfig>>,
    /// Sends requests to targets.
    pub target_client: TargetClient,
    /// Shares the processors between callers while they are busy.
    pub fair_queue: Arc<FairQueue>,
    /// The number of open connections, plus the additional concurrent requests of HTTP/2 connections.
    pub open_count: Arc<AtomicUsize>,
    /// Counts the connections per client address.
    pub connections_per_address: Arc<ConnectionsPerAddress>,
    /// Limits the memory for buffered bodies.
    pub buffer_budget: Arc<BufferBudget>,
    /// The cached CORS rules of buckets.
    pub cors_rules: CorsRulesCache,
    /// Whether the process shuts down, so that connections are to be closed.
    pub shutdown: Arc<Shutdown>,
}

#[async_trait]
impl ServerApp for DataServer {
    async fn process_new(self: &Arc<Self>, mut stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let _open_guard = OpenConnectionGuard::new(&self.open_count);
        let _connection_gauge = GaugeGuard::new(&METRICS.connections);
        let secure = stream.get_ssl_digest().is_some();
        let address = if secure {
            // The TLS listener read the PROXY header before the handshake.
            proxy_protocol::peer_address(&*stream)
        } else {
            let peer = proxy_protocol::peer_address(&*stream);
            let sends_header =
                proxy_protocol::must_send_proxy_header(&self.active_config.load().settings.listen, peer);
            proxy_protocol::read_client_address(&mut *stream, peer, sends_header).await.ok()?
        };
        let origin = ClientOrigin { address, secure };
        let address_permit = self.admit_address(address);
        if stream.selected_alpn_proto() == Some(ALPN::H2) {
            // HTTP/2 has no response before its handshake, so the connection is closed without one.
            address_permit.as_ref()?;
            // Boxed, so that the future of an idle HTTP/1.1 connection stays small.
            Box::pin(http2::serve_http2(self, stream, origin, shutdown)).await;
            return None;
        }
        let mut connection = ClientConnection::new(stream, origin);
        if self.is_full() || address_permit.is_none() {
            self.reject_connection(&mut connection).await;
            connection.close().await;
            return None;
        }
        for request_number in 1..=REQUESTS_MAX {
            match self.serve_next_request(&mut connection, shutdown, request_number).await {
                ConnectionOutcome::KeepAlive => {}
                ConnectionOutcome::Close => break,
                ConnectionOutcome::Abort => {
                    connection.abort();
                    return None;
                }
            }
        }
        connection.close().await;
        None
    }
}

/// What happens to a connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionOutcome {
    KeepAlive,
    Close,
    Abort,
}

impl DataServer {
    async fn serve_next_request(
        &self,
        connection: &mut ClientConnection,
        shutdown: &ShutdownWatch,
        request_number: usize,
    ) -> ConnectionOutcome {
        let limits = self.active_config.load().settings.limits.clone();
        let mut shutdown_watch = shutdown.clone();
        let head = tokio::select! {
            biased;
            head = connection.read_head(limits.keepalive_timeout, limits.head_bytes_max) => head,
            () = wait_until_stopped(&mut shutdown_watch) => {
                // The client may have sent a request already. It is the last one, and its response closes the connection.
                let wait = self.shutdown.idle_timeout();
                let last_head = timeout(wait, connection.read_head(limits.keepalive_timeout, limits.head_bytes_max)).await;
                last_head.unwrap_or(Err(ReadHeadError::Disconnected))
            }
        };
        if matches!(head, Err(ReadHeadError::Disconnected)) {
            return ConnectionOutcome::Close;
        }
        let is_closing = self.shutdown.reason().is_some() || request_number == REQUESTS_MAX;
        let config = self.active_config.load_full();
        // A head that cannot be parsed may still name its host, which decides the dialect of the error response.
        let head_bytes = head.as_ref().map_or_else(|_| connection.unread_bytes(), Bytes::clone);
        let parsed_request = to_parsed_request(head, &config, connection.origin.secure);
        let guessed_host = parsed_request.as_ref().err().and_then(|_| request_head::guess_host(&head_bytes));
        // Boxed, so that an idle connection does not occupy the memory that a request needs.
        Box::pin(self.handle_request(connection, &config, parsed_request, guessed_host, is_closing)).await
    }

    /// Counts a connection of an address. Returns `None` if the address has too many connections.
    fn admit_address(&self, address: Option<IpAddr>) -> Option<Option<AddressConnectionPermit>> {
        let config = self.active_config.load();
        // Trusted load balancers are not counted, because they forward the connections of many clients.
        let counted = address.filter(|address| !config.settings.listen.is_trusted_proxy(*address));
        let max = config.settings.limits.connections_per_address_max;
        counted
            .map(|address| self.connections_per_address.try_acquire(address, max).map(Some))
            .unwrap_or(Some(None))
    }

    fn is_full(&self) -> bool {
        self.open_count.load(Ordering::Relaxed) > self.connections_max()
    }

    fn connections_max(&self) -> usize {
        self.active_config
            .load()
            .settings
            .limits
            .connections_max
            .min(file_descriptors::client_connections_max())
    }

    /// Processes one request, and records its outcome in log, metrics and traces.
    async fn handle_request(
        &self,
        connection: &mut ClientConnection,
        config: &ActiveConfig,
        parsed_request: Result<ParsedRequest, Rejection>,
        guessed_host: Option<String>,
        is_closing: bool,
    ) -> ConnectionOutcome {
        let _in_flight_gauge = GaugeGuard::new(&METRICS.in_flight);
        let parsed_request = parsed_request.map(|framed| ParsedRequest {
            head: proxy_protocol::restore_forwarded_host(
                &config.settings.listen,
                connection.origin.address,
                framed.head,
            ),
            ..framed
        });
        let mut context = self.new_context(connection, config, parsed_request.as_ref().ok());
        if let Some(host) = guessed_host.filter(|_| parsed_request.is_err()) {
            context.guess_dialect(host);
        }
        match &parsed_request {
            Ok(parsed_request) => {
                let keep = parsed_request.keep_alive && !is_closing;
                context.connection.begin_request(
                    parsed_request.body,
                    parsed_request.expects_continue,
                    keep,
                    config.settings.limits.body_idle_timeout,
                );
            }
            // It is unknown where the next request begins, so the connection cannot be reused.
            Err(_) => context.connection.disable_keep_alive(),
        }
        let span = config.traces.as_ref().map(|traces| {
            RequestSpan::begin(
                traces,
                parsed_request.as_ref().ok().map(|parsed_request| &parsed_request.head),
            )
        });
        context.record.trace_id = span.as_ref().map(RequestSpan::trace_id);
        let work = AssertUnwindSafe(process_request(&mut context, parsed_request)).catch_unwind();
        let outcome = traces::run_in_span(span.as_ref(), work).await;
        let result = match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(RequestEnd::Rejected(rejection))) => context.send_rejection(&rejection).await,
            Ok(Err(cut)) => Err(cut),
            // The body may be half read, so the connection is not reused after a panic.
            Err(_panic) => {
                context.connection.disable_keep_alive();
                context.send_rejection(&ErrorKind::InternalError.into()).await
            }
        };
        if let Err(end) = &result {
            let reason = match end {
                RequestEnd::Aborted(reason) => reason,
                RequestEnd::Rejected(_) => "the request was rejected after the response head was sent",
            };
            context.record.aborted = Some(reason);
            context.notes.push(EventNote {
                kind: "aborted",
                reason: "aborted".to_owned(),
                message: reason.to_owned(),
            });
        }
        finish_request(context, span);
        match result {
            Ok(()) if connection.drain_for_reuse().await => ConnectionOutcome::KeepAlive,
            Ok(()) => ConnectionOutcome::Close,
            Err(_) => ConnectionOutcome::Abort,
        }
    }

    fn new_context<'a>(
        &'a self,
        connection: &'a mut ClientConnection,
        config: &'a ActiveConfig,
        parsed_request: Option<&ParsedRequest>,
    ) -> RequestContext<'a> {
        let head = parsed_request.map(|parsed_request| &parsed_request.head);
        let listener = ResponseContext {
            dialect: config.listener_dialects.default_dialect,
            id: clock::random(),
            now: clock::now(),
            host: head.map(|head| head.host().to_owned()).unwrap_or_default(),
            path: head.map(|head| head.path.clone()).unwrap_or_default(),
            is_head: head.is_some_and(|head| head.method == "HEAD"),
            elapsed_ms: 0,
        };
        let method = head.map(|head| head.method.clone()).unwrap_or_default();
        let origin = head.map_or(connection.origin, |head| {
            connection.origin.with_forwarded_headers(&config.settings.listen, head)
        });
        let record = AccessRecord {
            method,
            client: origin.address,
            dialect: listener.dialect.name,
            ..AccessRecord::default()
        };
        let accepts_chunked = parsed_request.is_some_and(|parsed_request| parsed_request.accepts_chunked);
        RequestContext {
            config,
            target_client: &self.target_client,
            fair_queue: &self.fair_queue,
            buffer_budget: &self.buffer_budget,
            cors_rules: &self.cors_rules,
            cross_origin: head.and_then(|head| Some((CrossOrigin::parse(head)?, head.clone()))),
            connection,
            listener,
            accepts_chunked,
            is_secure: origin.secure,
            started_at: Instant::now(),
            record,
            notes: Vec::new(),
        }
    }

    /// Rejects a connection above the limit, in the dialect of the host in its request head. The head is not read if the
    /// limit is far exceeded.
    async fn reject_connection(&self, connection: &mut ClientConnection) {
        let max = self.connections_max();
        let can_read_head = self.open_count.load(Ordering::Relaxed)
            <= max.saturating_add((max / 8).max(OVERLOAD_CONNECTIONS_MIN));
        let config = self.active_config.load_full();
        let limits = &config.settings.limits;
        let head = match can_read_head {
            true => connection.read_head_within(OVERLOAD_HEAD_TIMEOUT, limits.head_bytes_max).await.ok(),
            false => None,
        };
        let secure = connection.origin.secure;
        let parsed_request =
            head.and_then(|head| request_head::parse_request_head(&head, limits.headers_max, secure).ok());
        self.send_overloaded(connection, parsed_request).await;
    }

    async fn send_overloaded(
        &self,
        connection: &mut ClientConnection,
        parsed_request: Option<ParsedRequest>,
    ) {
        let config = self.active_config.load_full();
        connection.disable_keep_alive();
        let mut context = self.new_context(connection, &config, parsed_request.as_ref());
        if let Some(parsed_request) = &parsed_request {
            context.guess_dialect(parsed_request.head.host().to_owned());
        }
        let _ = context.send_rejection(&ErrorKind::SlowDown.into()).await;
        finish_request(context, None);
    }
}

impl Http2Server for DataServer {
    fn limits(&self) -> Limits {
        self.active_config.load().settings.limits.clone()
    }

    fn idle_timeout(&self) -> Duration {
        self.active_config.load().settings.limits.keepalive_timeout
    }

    fn closing_idle_timeout(&self) -> Duration {
        self.shutdown.idle_timeout()
    }

    async fn serve_http2_request(
        &self,
        mut connection: ClientConnection,
        head: &Parts,
        has_no_body: bool,
        is_additional: bool,
    ) {
        // Each counts like a connection: otherwise a few HTTP/2 connections could run as many requests as all others.
        let _open_guard = is_additional.then(|| OpenConnectionGuard::new(&self.open_count));
        if self.is_full() {
            self.send_overloaded(
                &mut connection,
                request_head::parse_http2_parts(head, has_no_body, usize::MAX).ok(),
            )
            .await;
            return connection.close().await;
        }
        let config = self.active_config.load_full();
        let limits = &config.settings.limits;
        let guessed_host =
            head.uri.authority().and_then(|authority| request_head::parse_plain_host(authority.as_str()));
        let parsed_request = if request_head::http1_head_size(head) > limits.head_bytes_max {
            Err(ErrorKind::HeaderTooLarge.into())
        } else {
            request_head::parse_http2_parts(head, has_no_body, limits.headers_max)
                .map_err(request_head::FramingError::to_rejection)
        };
        match self.handle_request(&mut connection, &config, parsed_request, guessed_host, false).await {
            ConnectionOutcome::KeepAlive | ConnectionOutcome::Close => connection.close().await,
            ConnectionOutcome::Abort => connection.abort(),
        }
    }
}

/// Parses a request head, or returns the rejection for it.
fn to_parsed_request(
    head: Result<Bytes, ReadHeadError>,
    config: &ActiveConfig,
    secure: bool,
) -> Result<ParsedRequest, Rejection> {
    match head {
        Ok(head) => request_head::parse_request_head(&head, config.settings.limits.headers_max, secure)
            .map_err(request_head::FramingError::to_rejection),
        Err(ReadHeadError::Invalid(flaw)) => Err(flaw.to_rejection()),
        Err(ReadHeadError::TooLarge) => Err(ErrorKind::HeaderTooLarge.into()),
        Err(ReadHeadError::TimedOut) | Err(ReadHeadError::Disconnected) => {
            Err(ErrorKind::RequestTimeout.into())
        }
    }
}

async fn process_request(
    context: &mut RequestContext<'_>,
    parsed_request: Result<ParsedRequest, Rejection>,
) -> Result<(), RequestEnd> {
    let ParsedRequest { head, body, .. } = parsed_request?;
    if head.method == "OPTIONS" {
        return Box::pin(cors_preflight::process_preflight(context, &head)).await;
    }
    if let Some(kind) = form_upload::form_content_type(&head) {
        return Box::pin(form_upload::process_form_upload(context, &head, kind, body)).await;
    }
    let authenticated = authenticate(context, &head)?;
    let caller = authenticated.access_key_id.as_deref().and_then(|key| context.config.find_caller(key));
    let initiator =
        caller.map_or(Initiator::Unauthenticated, |caller| Initiator::from_caller_name(&caller.name));
    initiator::with_initiator(initiator, Box::pin(dispatch::dispatch_request(context, authenticated, body)))
        .await
}

/// Authenticates a request, and records its dialect.
fn authenticate(
    context: &mut RequestContext<'_>,
    head: &RawHead,
) -> Result<blobfish_dialects::authentication::authenticate::AuthenticatedRequest, Rejection> {
    let outcome =
        authenticate_request(head, &context.config.listener_dialects, context.config, context.listener.now);
    // Set on failure too, because the error response is written in this dialect.
    context.listener.dialect =
        outcome.as_ref().map_or_else(|rejected| rejected.dialect, |authenticated| authenticated.dialect);
    context.record.dialect = context.listener.dialect.name;
    context.record.id = context.listener.request_id();
    outcome.map_err(|rejected| rejected.rejection)
}

/// Publishes the metrics, span, events and access log record of a request.
fn finish_request(mut context: RequestContext<'_>, span: Option<RequestSpan>) {
    let record = &mut context.record;
    if record.id.is_empty() {
        record.id = context.listener.request_id();
    }
    // Most signature mismatches come from a proxy that changed the host or the path, so both are logged.
    if record.status == 403 {
        record.host = Some(access_log::escape_name(&context.listener.host));
        record.path = Some(access_log::escape_name(&context.listener.path));
    }
    let elapsed = context.started_at.elapsed();
    (record.bytes_in, record.bytes_out, record.ms) =
        (context.connection.bytes_in, context.connection.bytes_out, to_milliseconds(elapsed));
    count_request(record, elapsed);
    if let Some(span) = span {
        span.end(&context.record, &context.listener.host, &context.listener.path, context.is_secure);
    }
    EVENTS.record_notes(&context.record, context.notes);
    access_log::write_record(context.record);
}

/// Counts an open connection or an additional HTTP/2 request until it is dropped.
struct OpenConnectionGuard(Arc<AtomicUsize>);

impl OpenConnectionGuard {
    fn new(open_count: &Arc<AtomicUsize>) -> Self {
        open_count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open_count))
    }
}

impl Drop for OpenConnectionGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Increments a gauge until it is dropped.
struct GaugeGuard<'a>(&'a IntGauge);

impl<'a> GaugeGuard<'a> {
    fn new(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for GaugeGuard<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
