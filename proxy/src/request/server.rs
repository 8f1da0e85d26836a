//! The data listeners: connections in, requests one after another, each answered in its caller's dialect.

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
use pingora_core::apps::ServerApp;
use pingora_core::protocols::{ALPN, Stream};
use pingora_core::server::ShutdownWatch;
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
use crate::telemetry::metrics::{LABEL_NONE, METRICS, to_seconds};
use crate::telemetry::recent_events::{EVENTS, EventNote};
use crate::telemetry::traces;
use crate::telemetry::traces::RequestSpan;

/// What a connection that is one too many may take to say what it wants.
const OVERLOAD_HEAD_TIMEOUT: Duration = Duration::from_secs(1);

/// So many of them are heard at once at least. What they take is within what is reserved.
const OVERLOAD_CONNECTIONS_MIN: usize = 16;

/// The application behind the data listeners.
pub struct DataServer {
    /// What requests run on.
    pub active_config: Arc<ArcSwap<ActiveConfig>>,
    /// The way to targets.
    pub target_client: TargetClient,
    /// Whose turn it is while the processors are busy.
    pub fair_queue: Arc<FairQueue>,
    /// Connections that are open, and further requests on those of HTTP/2.
    pub open_count: Arc<AtomicUsize>,
    /// Whose connections they are.
    pub connections_per_address: Arc<ConnectionsPerAddress>,
    /// Memory for what is read whole.
    pub buffer_budget: Arc<BufferBudget>,
    /// The CORS rules of buckets, as far as they are known.
    pub cors_rules: CorsRulesCache,
    /// Whether they are to be closed.
    pub shutdown: Arc<Shutdown>,
}

#[async_trait]
impl ServerApp for DataServer {
    async fn process_new(self: &Arc<Self>, mut stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let _open_guard = OpenGuard::new(&self.open_count);
        let _connection_gauge = GaugeGuard::new(&METRICS.connections);
        let secure = stream.get_ssl_digest().is_some();
        let address = if secure {
            // What came before the handshake has been read.
            proxy_protocol::peer_address(&*stream)
        } else {
            let peer = proxy_protocol::peer_address(&*stream);
            let sends_header =
                proxy_protocol::sends_proxy_header(&self.active_config.load().settings.listen, peer);
            proxy_protocol::read_client_address(&mut *stream, peer, sends_header).await.ok()?
        };
        let origin = ClientOrigin { address, secure };
        let address_permit = self.admit_address(address);
        if stream.selected_alpn_proto() == Some(ALPN::H2) {
            // Nothing can be told before HTTP/2 has begun.
            address_permit.as_ref()?;
            // On the heap, for the same reason as a request.
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

/// What becomes of a connection.
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
            head = connection.read_head(limits.keepalive_idle, limits.head_bytes_max) => head,
            () = wait_until_stopped(&mut shutdown_watch) => {
                // A request may be on its way, and is the last one: its answer says so.
                let wait = self.shutdown.idle_timeout();
                let last_head = timeout(wait, connection.read_head(limits.keepalive_idle, limits.head_bytes_max)).await;
                last_head.unwrap_or(Err(ReadHeadError::Disconnected))
            }
        };
        if matches!(head, Err(ReadHeadError::Disconnected)) {
            return ConnectionOutcome::Close;
        }
        let is_closing = self.shutdown.reason().is_some() || request_number == REQUESTS_MAX;
        let config = self.active_config.load_full();
        let head_bytes = head.as_ref().map_or_else(|_| connection.unread_bytes(), Bytes::clone);
        let parsed_request = to_parsed_request(head, &config, connection.origin.secure);
        let guessed_host = parsed_request.as_ref().err().and_then(|_| request_head::guess_host(&head_bytes));
        // On the heap, so that a connection that waits does not hold the room that a request needs.
        Box::pin(self.handle_request(connection, &config, parsed_request, guessed_host, is_closing)).await
    }

    /// One more connection of an address; `None` where it has too many. Balancers stand for many callers.
    fn admit_address(&self, address: Option<IpAddr>) -> Option<Option<AddressConnectionPermit>> {
        let config = self.active_config.load();
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

    /// Runs one request and writes down how it went.
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
                    config.settings.limits.body_idle,
                );
            }
            // Nobody can tell where the next request begins.
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
            Err(_panic) => {
                context.connection.disable_keep_alive();
                context.send_rejection(&ErrorKind::InternalError.into()).await
            }
        };
        if let Err(end) = &result {
            let reason = match end {
                RequestEnd::Aborted(reason) => reason,
                RequestEnd::Rejected(_) => "refused too late",
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
            dialect: config.listener_hosts.default_dialect,
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

    /// Refuses a connection that is one too many, in the words of the host that it asks for. It has a moment to say it,
    /// unless there are far too many.
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
        self.active_config.load().settings.limits.keepalive_idle
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
        // Counts as a connection does: a few of these could bring as much as all of the others may.
        let _open_guard = is_additional.then(|| OpenGuard::new(&self.open_count));
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

/// A head that can be served, or why it cannot.
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
        return cors_preflight::process_preflight(context, &head).await;
    }
    if let Some(kind) = form_upload::form_content_type(&head) {
        return form_upload::process_form_upload(context, &head, kind, body).await;
    }
    let authenticated = authenticate(context, &head)?;
    let caller = authenticated.access_key_id.as_deref().and_then(|key| context.config.find_caller(key));
    let initiator =
        caller.map_or(Initiator::Unauthenticated, |caller| Initiator::from_caller_name(&caller.name));
    initiator::with_initiator(initiator, Box::pin(dispatch::dispatch_request(context, authenticated, body)))
        .await
}

/// The request, once its signature is verified.
fn authenticate(
    context: &mut RequestContext<'_>,
    head: &RawHead,
) -> Result<blobfish_dialects::authentication::authenticate::AuthenticatedRequest, Rejection> {
    let outcome =
        authenticate_request(head, &context.config.listener_hosts, context.config, context.listener.now);
    context.listener.dialect =
        outcome.as_ref().map_or_else(|rejected| rejected.dialect, |authenticated| authenticated.dialect);
    context.record.dialect = context.listener.dialect.name;
    context.record.id = context.listener.request_id();
    outcome.map_err(|rejected| rejected.rejection)
}

/// Counts a request and writes it down.
fn finish_request(mut context: RequestContext<'_>, span: Option<RequestSpan>) {
    let record = &mut context.record;
    if record.id.is_empty() {
        record.id = context.listener.request_id();
    }
    if record.status == 403 {
        record.host = Some(access_log::escape_name(&context.listener.host));
        record.path = Some(access_log::escape_name(&context.listener.path));
    }
    let elapsed = context.started_at.elapsed();
    (record.bytes_in, record.bytes_out, record.ms) =
        (context.connection.bytes_in, context.connection.bytes_out, to_milliseconds(elapsed));
    let operation = record.operation.unwrap_or(LABEL_NONE);
    let target = record.target.as_deref().unwrap_or(LABEL_NONE);
    // An answer that did not arrive whole was no success, whatever its head said.
    let status = record.aborted.map_or_else(|| record.status.to_string(), |_| "aborted".to_owned());
    METRICS.requests.with_label_values(&[record.dialect, target, operation, &status]).inc();
    METRICS
        .request_seconds
        .with_label_values(&[record.dialect, target, operation])
        .observe(to_seconds(elapsed));
    METRICS.bytes.with_label_values(&[target, "in"]).inc_by(record.bytes_in);
    METRICS.bytes.with_label_values(&[target, "out"]).inc_by(record.bytes_out);
    METRICS.pair_bytes.with_label_values(&[record.dialect, target, "in"]).inc_by(record.bytes_in);
    METRICS.pair_bytes.with_label_values(&[record.dialect, target, "out"]).inc_by(record.bytes_out);
    if let Some(span) = span {
        span.end(&context.record, &context.listener.host, &context.listener.path, context.is_secure);
    }
    EVENTS.record_notes(&context.record, context.notes);
    access_log::write_record(context.record);
}

/// Counts what keeps the process busy.
struct OpenGuard(Arc<AtomicUsize>);

impl OpenGuard {
    fn new(open_count: &Arc<AtomicUsize>) -> Self {
        open_count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open_count))
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a connection or a request while it is there.
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
