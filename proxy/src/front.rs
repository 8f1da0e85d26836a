//! The data listeners: connections in, requests one after another, each answered in its caller's dialect.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use blobfish_dialects::engine::accept::accept;
use blobfish_dialects::engine::cors::CrossOrigin;
use blobfish_dialects::engine::tell::Listener;
use blobfish_dialects::model::{Fault, RawHead, Refusal};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::request::Parts;
use pingora_core::apps::ServerApp;
use pingora_core::protocols::{ALPN, Stream};
use pingora_core::server::ShutdownWatch;
use prometheus::IntGauge;
use tokio::time::timeout;

use crate::behalf::{self, Behalf};
use crate::budget::Budget;
use crate::caller::{CallerConnection, NoHead};
use crate::cors::CorsRules;
use crate::events::{EVENTS, Note};
use crate::framing::{self, Framed};
use crate::job::{End, Job, milliseconds};
use crate::lifecycle::Stop;
use crate::log::{self, Record};
use crate::metrics::{METRICS, NONE, seconds};
use crate::peers::{Admitted, Peers};
use crate::proxies::{self, Origin};
use crate::snapshot::Snapshot;
use crate::traces::{self, RequestSpan};
use crate::upstream::Upstreams;
use crate::{clock, form, http2, plan, preflight};

/// Requests on one connection. Closing now and then gives balancers their chance.
pub const REQUESTS_MAX: usize = 1000;

/// The application behind the data listeners.
pub struct DataFront {
    /// What requests run on.
    pub current: Arc<ArcSwap<Snapshot>>,
    /// The way to targets.
    pub upstreams: Upstreams,
    /// Connections that are open, and further requests on those of HTTP/2.
    pub open: Arc<AtomicUsize>,
    /// Whose connections they are.
    pub peers: Arc<Peers>,
    /// Memory for what is read whole.
    pub budget: Arc<Budget>,
    /// The CORS rules of buckets, as far as they are known.
    pub cors: CorsRules,
    /// Whether they are to be closed.
    pub stop: Arc<Stop>,
}

#[async_trait]
impl ServerApp for DataFront {
    async fn process_new(self: &Arc<Self>, mut stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let _open = Open::new(&self.open);
        let _counted = Running::new(&METRICS.connections);
        let secure = stream.get_ssl_digest().is_some();
        let address = if secure {
            // What came before the handshake has been read.
            proxies::peer(&*stream)
        } else {
            let snapshot = self.current.load_full();
            proxies::address(&mut *stream, &snapshot.config.listen).await.ok()?
        };
        let origin = Origin { address, secure };
        let admitted = self.admitted(address);
        if stream.selected_alpn_proto() == Some(ALPN::H2) {
            // Nothing can be told before HTTP/2 has begun.
            admitted.as_ref()?;
            // On the heap, for the same reason as a request.
            Box::pin(http2::serve(self, stream, origin, shutdown)).await;
            return None;
        }
        let mut caller = CallerConnection::new(stream, origin);
        if self.is_full() || admitted.is_none() {
            self.overloaded(&mut caller).await;
            caller.close().await;
            return None;
        }
        for served in 1..=REQUESTS_MAX {
            match self.next_request(&mut caller, shutdown, served).await {
                After::Next => {}
                After::Close => break,
                After::Break => {
                    caller.abort();
                    return None;
                }
            }
        }
        caller.close().await;
        None
    }
}

/// Waits until the listeners close.
pub async fn stopped(shutdown: &mut ShutdownWatch) {
    // An error means that nobody is left to say it.
    let _ = shutdown.wait_for(|closing| *closing).await;
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Next,
    Close,
    Break,
}

impl DataFront {
    async fn next_request(
        &self,
        caller: &mut CallerConnection,
        shutdown: &ShutdownWatch,
        served: usize,
    ) -> After {
        let limits = self.current.load().config.limits.clone();
        let mut closing = shutdown.clone();
        let head = tokio::select! {
            biased;
            head = caller.head(limits.keepalive_idle, limits.head_bytes_max) => head,
            () = stopped(&mut closing) => {
                // A request may be on its way, and is the last one: its answer says so.
                let wait = self.stop.patience();
                let last = timeout(wait, caller.head(limits.keepalive_idle, limits.head_bytes_max)).await;
                last.unwrap_or(Err(NoHead::Gone))
            }
        };
        if matches!(head, Err(NoHead::Gone)) {
            return After::Close;
        }
        let closing = self.stop.why().is_some() || served == REQUESTS_MAX;
        let snapshot = self.current.load_full();
        let seen = head.as_ref().map_or_else(|_| caller.unread(), Bytes::clone);
        let framed = framed(head, &snapshot, caller.origin.secure);
        let glimpsed = framed.as_ref().err().and_then(|_| framing::glimpsed_host(&seen));
        // On the heap, so that a connection that waits does not hold the room that a request needs.
        Box::pin(self.answered(caller, &snapshot, framed, glimpsed, closing)).await
    }

    /// Runs one request of an HTTP/2 connection. `ended`: it has no body. `further`: it is not the only one.
    pub async fn exchange(&self, mut caller: CallerConnection, head: &Parts, ended: bool, further: bool) {
        // Counts as a connection does: a few of these could bring as much as all of the others may.
        let _open = further.then(|| Open::new(&self.open));
        if self.is_full() {
            self.overloaded(&mut caller).await;
            return caller.close().await;
        }
        let snapshot = self.current.load_full();
        let limits = &snapshot.config.limits;
        let glimpsed = head.uri.authority().and_then(|authority| framing::plain_host(authority.as_str()));
        let framed = if framing::size_of(head) > limits.head_bytes_max {
            Err(Fault::HeaderTooLarge.into())
        } else {
            framing::read_parts(head, ended, limits.headers_max).map_err(framing::Flaw::refusal)
        };
        match self.answered(&mut caller, &snapshot, framed, glimpsed, false).await {
            After::Next | After::Close => caller.close().await,
            After::Break => caller.abort(),
        }
    }

    /// One more connection of an address; `None` where it has too many. Balancers stand for many callers.
    fn admitted(&self, address: Option<IpAddr>) -> Option<Option<Admitted>> {
        let snapshot = self.current.load();
        let counted = address.filter(|address| !snapshot.config.listen.is_proxy(*address));
        let max = snapshot.config.limits.connections_per_address_max;
        counted.map(|address| self.peers.admit(address, max).map(Some)).unwrap_or(Some(None))
    }

    fn is_full(&self) -> bool {
        self.open.load(Ordering::Relaxed) > self.current.load().config.limits.connections_max
    }

    /// Runs one request and writes down how it went.
    async fn answered(
        &self,
        caller: &mut CallerConnection,
        snapshot: &Snapshot,
        framed: Result<Framed, Refusal>,
        glimpsed: Option<String>,
        closing: bool,
    ) -> After {
        let _running = Running::new(&METRICS.in_flight);
        let framed = framed.map(|framed| Framed {
            head: proxies::restore_host(&snapshot.config.listen, caller.origin.address, framed.head),
            ..framed
        });
        let mut job = self.job(caller, snapshot, framed.as_ref().ok());
        if let Some(host) = glimpsed.filter(|_| framed.is_err()) {
            job.guess_dialect(host);
        }
        match &framed {
            Ok(framed) => {
                let keep = framed.keep_alive && !closing;
                job.caller.begin(
                    framed.body,
                    framed.expects_continue,
                    keep,
                    snapshot.config.limits.body_idle,
                );
            }
            // Nobody can tell where the next request begins.
            Err(_) => job.caller.close_after(),
        }
        let span = snapshot
            .traces
            .as_ref()
            .map(|traces| RequestSpan::begin(traces, framed.as_ref().ok().map(|framed| &framed.head)));
        job.record.trace_id = span.as_ref().map(RequestSpan::trace_id);
        let work = AssertUnwindSafe(run(&mut job, framed)).catch_unwind();
        let outcome = traces::within(span.as_ref(), work).await;
        let ended = match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(End::Refused(refusal))) => job.refuse(&refusal).await,
            Ok(Err(cut)) => Err(cut),
            Err(_panic) => {
                job.caller.close_after();
                job.refuse(&Fault::InternalError.into()).await
            }
        };
        if let Err(end) = &ended {
            let why = match end {
                End::Cut(why) => why,
                End::Refused(_) => "refused too late",
            };
            job.record.cut = Some(why);
            job.notes.push(Note { kind: "cut", reason: "cut".to_owned(), message: why.to_owned() });
        }
        finish(job, span);
        match ended {
            Ok(()) if caller.settle().await => After::Next,
            Ok(()) => After::Close,
            Err(_) => After::Break,
        }
    }

    fn job<'a>(
        &'a self,
        caller: &'a mut CallerConnection,
        snapshot: &'a Snapshot,
        framed: Option<&Framed>,
    ) -> Job<'a> {
        let head = framed.map(|framed| &framed.head);
        let listener = Listener {
            dialect: snapshot.front.default,
            id: clock::random(),
            now: clock::now(),
            host: head.map(|head| head.host().to_owned()).unwrap_or_default(),
            path: head.map(|head| head.path.clone()).unwrap_or_default(),
            head: head.is_some_and(|head| head.method == "HEAD"),
            elapsed_ms: 0,
        };
        let method = head.map(|head| head.method.clone()).unwrap_or_default();
        let origin = head.map_or(caller.origin, |head| caller.origin.behind(&snapshot.config.listen, head));
        let record =
            Record { method, client: origin.address, dialect: listener.dialect.name, ..Record::default() };
        let chunks = framed.is_some_and(|framed| framed.chunks);
        Job {
            snapshot,
            upstreams: &self.upstreams,
            budget: &self.budget,
            cors: &self.cors,
            cross_origin: head.and_then(|head| Some((CrossOrigin::read(head)?, head.clone()))),
            caller,
            listener,
            chunks,
            secure: origin.secure,
            started: Instant::now(),
            record,
            notes: Vec::new(),
        }
    }

    async fn overloaded(&self, caller: &mut CallerConnection) {
        let snapshot = self.current.load_full();
        caller.close_after();
        let mut job = self.job(caller, &snapshot, None);
        let _ = job.refuse(&Fault::SlowDown.into()).await;
        finish(job, None);
    }
}

/// A head that can be served, or why it cannot.
fn framed(head: Result<Bytes, NoHead>, snapshot: &Snapshot, secure: bool) -> Result<Framed, Refusal> {
    match head {
        Ok(head) => {
            framing::read(&head, snapshot.config.limits.headers_max, secure).map_err(framing::Flaw::refusal)
        }
        Err(NoHead::Flawed(flaw)) => Err(flaw.refusal()),
        Err(NoHead::TooLarge) => Err(Fault::HeaderTooLarge.into()),
        Err(NoHead::Slow) | Err(NoHead::Gone) => Err(Fault::RequestTimeout.into()),
    }
}

async fn run(job: &mut Job<'_>, framed: Result<Framed, Refusal>) -> Result<(), End> {
    let Framed { head, body, .. } = framed?;
    if head.method == "OPTIONS" {
        return preflight::run(job, &head).await;
    }
    if let Some(kind) = form::content_type(&head) {
        return form::run(job, &head, kind, body).await;
    }
    let accepted = believed(job, &head)?;
    let caller = accepted.access_key.as_deref().and_then(|key| job.snapshot.caller(key));
    let behalf = caller.map_or(Behalf::Anybody, |caller| Behalf::caller(&caller.name));
    behalf::within(behalf, Box::pin(plan::run(job, accepted, body))).await
}

/// The request, once its signature is verified.
fn believed(
    job: &mut Job<'_>,
    head: &RawHead,
) -> Result<blobfish_dialects::engine::accept::Accepted, Refusal> {
    let outcome = accept(head, &job.snapshot.front, job.snapshot, job.listener.now);
    job.listener.dialect =
        outcome.as_ref().map_or_else(|rejected| rejected.dialect, |accepted| accepted.dialect);
    job.record.dialect = job.listener.dialect.name;
    job.record.id = job.listener.request_id();
    outcome.map_err(|rejected| rejected.refusal)
}

/// Counts a request and writes it down.
fn finish(mut job: Job<'_>, span: Option<RequestSpan>) {
    let record = &mut job.record;
    if record.id.is_empty() {
        record.id = job.listener.request_id();
    }
    if record.status == 403 {
        record.host = Some(log::name(&job.listener.host));
        record.path = Some(log::name(&job.listener.path));
    }
    let taken = job.started.elapsed();
    (record.bytes_in, record.bytes_out, record.ms) =
        (job.caller.bytes_in, job.caller.bytes_out, milliseconds(taken));
    let operation = record.operation.unwrap_or(NONE);
    let target = record.target.as_deref().unwrap_or(NONE);
    // An answer that did not arrive whole was no success, whatever its head said.
    let status = record.cut.map_or_else(|| record.status.to_string(), |_| "cut".to_owned());
    METRICS.requests.with_label_values(&[record.dialect, target, operation, &status]).inc();
    METRICS.request_seconds.with_label_values(&[record.dialect, target, operation]).observe(seconds(taken));
    METRICS.bytes.with_label_values(&[target, "in"]).inc_by(record.bytes_in);
    METRICS.bytes.with_label_values(&[target, "out"]).inc_by(record.bytes_out);
    METRICS.pair_bytes.with_label_values(&[record.dialect, target, "in"]).inc_by(record.bytes_in);
    METRICS.pair_bytes.with_label_values(&[record.dialect, target, "out"]).inc_by(record.bytes_out);
    if let Some(span) = span {
        span.end(&job);
    }
    EVENTS.keep(&job.record, job.notes);
    log::request(job.record);
}

/// Counts what keeps the process busy.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a connection or a request while it is there.
struct Running<'a>(&'a IntGauge);

impl<'a> Running<'a> {
    fn new(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
