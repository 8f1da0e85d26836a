//! The way to targets: one pool of connections, one request at a time on each, nothing sent twice.
//!
//! Nothing of a request is repeated once its first byte was written (security, I6), except GET and HEAD on a
//! connection from the pool that turned out to be dead. A connection goes back to the pool only after an exchange
//! whose end was never in doubt (O3).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blobfish_dialects::engine::answer::asks_for_less;
use blobfish_dialects::engine::exchange::Answer;
use blobfish_dialects::model::Outgoing;
use bytes::Bytes;
use pingora_core::ErrorType;
use pingora_core::connectors::{ConnectorOptions, TransportConnector};
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_core::upstreams::peer::{HttpPeer, Peer as _};
use prometheus::IntGauge;
use tokio::time::timeout;

use crate::behalf;
use crate::breaker::{Admission, Asked, Outcome};
use crate::clock;
use crate::failed::Failed;

use crate::metrics::{METRICS, seconds};
use crate::resolve::{Names, Resolver, System};
use crate::seats::Seat;
use crate::snapshot::Upstream;
use crate::traces::ExchangeSpan;
use crate::wire::{AnswerFraming, Sent, destination, framing_of, request_header};

/// What an upload may wait for its sender, all its pauses together, before its failure says nothing about the target.
const PAUSES_MAX: Duration = Duration::from_secs(1);

/// Connections that wait for their next request, all targets together.
const POOL_CONNECTIONS_MAX: usize = 1024;

/// Longest wait for the answer to a copy or a completing call: the target moves up to 5 GiB before it answers,
/// and an answer that was given up on may have been a success.
const LONG_WORK_TIME_MAX: Duration = Duration::from_secs(600);

/// How long they wait. Shorter than any vendor's own limit, so that a pooled connection is rarely dead.
const POOL_IDLE_MAX: Duration = Duration::from_secs(20);

/// Addresses of one host that are tried, each for the time that a connection may take.
pub const ADDRESSES_TRIED_MAX: usize = 4;

/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// `100 Continue` and its like before an answer.
const INTERIM_ANSWERS_MAX: usize = 8;

/// Bytes of an answer that is read whole: what the XML limits allow.
pub const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of a failure's document.
pub const FAILURE_BYTES_MAX: usize = 64 * 1024;

/// The connections to all targets.
pub struct Upstreams {
    connector: TransportConnector,
    resolver: Resolver,
    /// Whether an answer that sends us elsewhere is shown. It is never followed (O1).
    shows_redirects: bool,
}

/// One exchange: a request of which the head is written, and its answer.
pub struct Conversation<'a> {
    upstreams: &'a Upstreams,
    upstream: &'a Upstream,
    session: HttpSession,
    peer: HttpPeer,
    head: bool,
    /// Of the answer, zero until it is there.
    status: u16,
    reused: bool,
    started: Instant,
    /// Longest wait for the head of the answer.
    wait: Duration,
    /// Who asked for what, for the circuit breaker.
    asked: Asked,
    pace: Pace,
    span: ExchangeSpan,
    _in_use: InUse,
}

/// How an upload's sender keeps up.
struct Pace {
    /// Whether more of the body is to come.
    waits: bool,
    since: Instant,
    pauses: Duration,
}

impl Pace {
    fn new(sent: Sent) -> Self {
        Self { waits: sent == Sent::Streamed, since: Instant::now(), pauses: Duration::ZERO }
    }

    fn pauses(&self) -> Duration {
        if self.waits { self.pauses.saturating_add(self.since.elapsed()) } else { self.pauses }
    }
}

/// What an exchange runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    /// A connection that waits for its next request, or else a new one.
    Pooled,
    /// A new one, to see whether the target answers again.
    New,
    /// A new one, as the target had closed the one that waited.
    Again,
}

/// Counts a connection while it is in use, and has a place for it.
struct InUse {
    gauge: IntGauge,
    _seat: Seat,
}

impl InUse {
    fn new(upstream: &Upstream, seat: Seat) -> Self {
        let gauge = METRICS.target_connections.with_label_values(&[&upstream.target.name]);
        gauge.inc();
        Self { gauge, _seat: seat }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// The head of an answer.
pub struct AnswerHead {
    /// Status, headers and no body yet.
    pub answer: Answer,
    /// Length of the body that follows; `None` where it comes in chunks.
    pub length: Option<u64>,
}

impl Upstreams {
    /// No connection yet.
    pub fn new(names: impl Names) -> Self {
        Self {
            connector: TransportConnector::new(Some(ConnectorOptions::new(POOL_CONNECTIONS_MAX))),
            resolver: Resolver::new(names),
            shows_redirects: false,
        }
    }

    /// The same, for whoever reads in a redirect what is wrong with the configuration.
    pub fn showing_redirects() -> Self {
        Self { shows_redirects: true, ..Self::new(System) }
    }

    /// Sends a whole request and reads the whole answer.
    ///
    /// # Errors
    /// [`Failed`], counted.
    pub async fn exchange(
        &self,
        upstream: &Upstream,
        out: &Outgoing,
        operation: &str,
        dialect: &str,
    ) -> Result<Answer, Failed> {
        let (mut conversation, head) = self.ask(upstream, out, operation, dialect).await?;
        let bytes_max = if head.answer.status < 300 { ANSWER_BYTES_MAX } else { FAILURE_BYTES_MAX };
        let body = conversation.whole_body(bytes_max).await.map_err(|failed| failed.at(upstream))?;
        conversation.release().await;
        Ok(Answer { body, ..head.answer })
    }

    /// Sends a request that has no body of its own to stream, and reads the head of its answer. GET and HEAD are
    /// sent once more where a connection from the pool was dead.
    ///
    /// # Errors
    /// [`Failed`], counted.
    pub async fn ask<'a>(
        &'a self,
        upstream: &'a Upstream,
        out: &Outgoing,
        operation: &str,
        dialect: &str,
    ) -> Result<(Conversation<'a>, AnswerHead), Failed> {
        self.ask_seated(self.seat(upstream).await?, upstream, out, operation, dialect).await
    }

    /// A place for one connection.
    ///
    /// # Errors
    /// [`Failed::Paused`], without waiting; [`Failed::Busy`].
    async fn seat(&self, upstream: &Upstream) -> Result<Seat, Failed> {
        not_paused(upstream)?;
        upstream.seats.one(upstream.connect_timeout).await.ok_or(Failed::Busy)
    }

    /// Places for a connection that is read from and one that is written to, at the same time.
    ///
    /// # Errors
    /// [`Failed::Paused`], without waiting; [`Failed::Busy`].
    pub async fn seats(&self, from: &Upstream, to: &Upstream) -> Result<(Seat, Seat), Failed> {
        not_paused(from)?;
        not_paused(to)?;
        let wait_max = from.connect_timeout.max(to.connect_timeout);
        from.seats.pair(&to.seats, wait_max).await.ok_or(Failed::Busy)
    }

    /// [`Self::ask`] by somebody who has a place.
    ///
    /// # Errors
    /// [`Failed`], counted.
    pub async fn ask_seated<'a>(
        &'a self,
        seat: Seat,
        upstream: &'a Upstream,
        out: &Outgoing,
        operation: &str,
        dialect: &str,
    ) -> Result<(Conversation<'a>, AnswerHead), Failed> {
        let repeatable = matches!(out.method, "GET" | "HEAD");
        let mut on = admitted(upstream)?;
        loop {
            let begun = self.begun(seat.clone(), upstream, out, Sent::Whole, on).await;
            let mut conversation = begun.map_err(|failed| failed.at(upstream))?;
            let answered = match conversation.written(&out.body).await {
                Ok(()) => conversation.head().await,
                Err(failed) => Err(failed),
            };
            match answered {
                Ok(head) => {
                    let labels = [dialect, &upstream.target.name, operation];
                    let taken = seconds(conversation.started.elapsed());
                    METRICS.upstream_seconds.with_label_values(&labels).observe(taken);
                    return Ok((conversation, head));
                }
                Err(failed) => {
                    let dead = matches!(failed, Failed::Write | Failed::Read);
                    let again = dead && repeatable && conversation.reused && on == On::Pooled;
                    conversation.abort().await;
                    if !again {
                        return Err(failed.at(upstream));
                    }
                    failed.at(upstream);
                    on = On::Again;
                }
            }
        }
    }

    /// Begins an upload: the head is written, the body follows piece by piece.
    ///
    /// # Errors
    /// [`Failed`], counted.
    pub async fn upload<'a>(
        &'a self,
        upstream: &'a Upstream,
        out: &Outgoing,
    ) -> Result<Conversation<'a>, Failed> {
        self.upload_seated(self.seat(upstream).await?, upstream, out).await
    }

    /// [`Self::upload`] by somebody who has a place.
    ///
    /// # Errors
    /// [`Failed`], counted.
    pub async fn upload_seated<'a>(
        &'a self,
        seat: Seat,
        upstream: &'a Upstream,
        out: &Outgoing,
    ) -> Result<Conversation<'a>, Failed> {
        let on = admitted(upstream)?;
        let begun = self.begun(seat, upstream, out, Sent::Streamed, on).await;
        begun.map_err(|failed| failed.at(upstream))
    }

    async fn begun<'a>(
        &'a self,
        seat: Seat,
        upstream: &'a Upstream,
        out: &Outgoing,
        sent: Sent,
        on: On,
    ) -> Result<Conversation<'a>, Failed> {
        let in_use = InUse::new(upstream, seat);
        let mut span = ExchangeSpan::begin(upstream, out, on == On::Again);
        let asked = Asked { behalf: behalf::current(), subject: subject(out), probe: on == On::New };
        match self.head_written(upstream, out, sent, on, &span).await {
            Ok((session, peer, reused, started)) => {
                let head = out.method == "HEAD";
                let wait = if out.long_work { LONG_WORK_TIME_MAX } else { upstream.response_timeout };
                Ok(Conversation {
                    upstreams: self,
                    upstream,
                    session,
                    peer,
                    head,
                    status: 0,
                    reused,
                    started,
                    wait,
                    asked,
                    pace: Pace::new(sent),
                    span,
                    _in_use: in_use,
                })
            }
            Err(failed) => {
                span.failed(failed);
                // A connection from the pool may have been dead, which says nothing.
                let outcome = failed.outcome(has_plain_name(upstream, &out.host));
                if let Some(outcome) =
                    outcome.filter(|outcome| *outcome != Outcome::Broken || on != On::Pooled)
                {
                    upstream.breaker.report(asked, outcome, Instant::now());
                }
                Err(failed)
            }
        }
    }

    async fn head_written(
        &self,
        upstream: &Upstream,
        out: &Outgoing,
        sent: Sent,
        on: On,
        span: &ExchangeSpan,
    ) -> Result<(HttpSession, HttpPeer, bool, Instant), Failed> {
        let mut header = request_header(out, sent)?;
        span.tell(&mut header);
        let host = destination(upstream, &out.host)?;
        let (mut session, peer, reused) = self.connected(upstream, host, on).await?;
        let started = Instant::now();
        session.write_timeout = Some(upstream.body_timeout);
        session
            .write_request_header(header)
            .await
            .map_err(|error| Failed::to_exchange(&error, Failed::Write))?;
        Ok((session, peer, reused, started))
    }

    async fn connected(
        &self,
        upstream: &Upstream,
        host: &str,
        on: On,
    ) -> Result<(HttpSession, HttpPeer, bool), Failed> {
        let lookup = self.resolver.addresses(host, upstream.endpoint.port, upstream.resolve);
        let addresses = timeout(upstream.connect_timeout, lookup).await.unwrap_or_default();
        let addresses = addresses.iter().take(ADDRESSES_TRIED_MAX);
        let peers: Vec<HttpPeer> = addresses.map(|address| peer(upstream, host, *address)).collect();
        for peer in peers.iter().filter(|_| on == On::Pooled) {
            if let Some(stream) = self.connector.reused_stream(peer).await {
                return Ok((HttpSession::new_with_options(stream, peer), peer.clone(), true));
            }
        }
        let mut failed = Failed::Resolve;
        for peer in peers {
            match timeout(upstream.connect_timeout, self.connector.new_stream(&peer)).await {
                Ok(Ok(stream)) => return Ok((HttpSession::new_with_options(stream, &peer), peer, false)),
                Ok(Err(error)) => failed = Failed::to_connect(&error),
                Err(_) => failed = Failed::ConnectTimeout,
            }
        }
        Err(failed)
    }
}

impl Conversation<'_> {
    async fn written(&mut self, body: &[u8]) -> Result<(), Failed> {
        if !body.is_empty() {
            self.write(body).await?;
        }
        self.finish().await
    }

    /// Writes some of the request's body.
    ///
    /// # Errors
    /// [`Failed::Write`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        if bytes.is_empty() {
            return Ok(()); // An empty chunk would be the last one.
        }
        self.pace.pauses = self.pace.pauses();
        let written = self.session.write_body(bytes).await;
        self.pace.since = Instant::now();
        match written {
            Ok(Some(written)) if written == bytes.len() => Ok(()),
            _ => Err(self.noted(Failed::Write)),
        }
    }

    /// Ends the request's body.
    ///
    /// # Errors
    /// [`Failed::Write`].
    pub async fn finish(&mut self) -> Result<(), Failed> {
        self.pace.pauses = self.pace.pauses();
        self.pace.waits = false;
        let finished = timeout(self.upstream.body_timeout, self.session.finish_body()).await;
        matches!(finished, Ok(Ok(_))).then_some(()).ok_or_else(|| self.noted(Failed::Write))
    }

    /// Notes a failure in the exchange's span, and tells the circuit breaker.
    fn noted(&mut self, failed: Failed) -> Failed {
        self.span.failed(failed);
        let outcome = failed.outcome(true);
        if let Some(outcome) = outcome.filter(|outcome| *outcome != Outcome::Broken || !self.reused) {
            self.report(outcome);
        }
        failed
    }

    /// Tells the circuit breaker. A target that gives up an upload which came slowly is right.
    fn report(&self, outcome: Outcome) {
        if outcome == Outcome::Answered || self.pace.pauses() <= PAUSES_MAX {
            self.upstream.breaker.report(self.asked, outcome, Instant::now());
        }
    }

    /// Waits for the head of an answer that comes although the request is not complete. Losing the future loses
    /// nothing.
    pub async fn early_head(&mut self) -> Result<AnswerHead, Failed> {
        self.session.read_timeout = None;
        self.read_head().await
    }

    /// Reads the head of the answer.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn head(&mut self) -> Result<AnswerHead, Failed> {
        self.session.read_timeout = None;
        let head = timeout(self.wait, self.read_head()).await.unwrap_or(Err(Failed::ResponseTimeout));
        head.map_err(|failed| self.noted(failed))
    }

    async fn read_head(&mut self) -> Result<AnswerHead, Failed> {
        for _ in 0..=INTERIM_ANSWERS_MAX {
            self.session.read_response().await.map_err(|error| Failed::to_exchange(&error, Failed::Read))?;
            let raw = self.session.get_headers_raw_bytes();
            let header = self.session.resp_header().ok_or(Failed::Malformed)?;
            let status = header.status.as_u16();
            if raw.len() > HEAD_BYTES_MAX {
                return Err(Failed::TooLarge);
            }
            match status {
                101 => return Err(Failed::Malformed),
                100..=199 => continue,
                300..=303 | 305..=399 if !self.upstreams.shows_redirects => return Err(Failed::Redirect),
                _ => {}
            }
            let headers = header
                .headers
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
            let answer = Answer { status, headers: headers.collect(), body: Vec::new() };
            let length = self.length(&raw, status)?;
            self.span.status(status);
            self.status = status;
            self.upstream.health.answered(status);
            match status {
                // Why decides: it may only ask for fewer requests.
                503 => {}
                ..=499 | 501 | 507 => self.report(Outcome::Answered),
                _ => self.report(Outcome::Failed),
            }
            return Ok(AnswerHead { answer, length });
        }
        Err(Failed::Malformed)
    }

    /// How long the body is. A success whose end nobody can tell is none (T2).
    fn length(&mut self, raw: &[u8], status: u16) -> Result<Option<u64>, Failed> {
        let framing = framing_of(raw)?;
        if self.head || matches!(status, 204 | 304) {
            return Ok(Some(0));
        }
        match framing {
            AnswerFraming::Bytes(bytes) => Ok(Some(bytes)),
            AnswerFraming::Chunked => Ok(None),
            AnswerFraming::UntilClose if status >= 300 => Ok(None),
            AnswerFraming::UntilClose => Err(Failed::Malformed),
        }
    }

    /// The next bytes of the answer's body, `None` at its proper end.
    ///
    /// # Errors
    /// [`Failed::Cut`], [`Failed::BodyTimeout`].
    pub async fn body(&mut self) -> Result<Option<Bytes>, Failed> {
        self.session.read_timeout = Some(self.upstream.body_timeout);
        self.session.read_body_bytes().await.map_err(|error| {
            let is_late = *error.etype() == ErrorType::ReadTimedout;
            self.noted(if is_late { Failed::BodyTimeout } else { Failed::Cut })
        })
    }

    /// The whole body, bounded.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn whole_body(&mut self, bytes_max: usize) -> Result<Vec<u8>, Failed> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.body().await? {
            if whole.len().saturating_add(bytes.len()) > bytes_max {
                return Err(Failed::TooLarge);
            }
            whole.extend_from_slice(&bytes);
        }
        if self.status == 503 && !self.head && !asks_for_less(self.upstream.target.dialect, &whole) {
            self.report(Outcome::Failed);
        }
        Ok(whole)
    }

    /// After a clean exchange: the connection may serve another.
    pub async fn release(mut self) {
        self.session.respect_keepalive();
        if let Some(stream) = self.session.reuse().await {
            self.upstreams.connector.release_stream(stream, self.peer.reuse_hash(), Some(POOL_IDLE_MAX));
        }
    }

    /// Breaks the connection, so that the target cannot take what it has for the whole.
    pub async fn abort(mut self) {
        let _ = timeout(Duration::from_secs(1), self.session.shutdown()).await;
    }

    /// Since the request's head was written.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Nobody waits for a place at a target that is left alone, or for which there is no key.
///
/// # Errors
/// [`Failed::Paused`], [`Failed::NoKey`].
fn not_paused(upstream: &Upstream) -> Result<(), Failed> {
    if upstream.issued.as_ref().is_some_and(|key| !key.is_usable(clock::now())) {
        return Err(Failed::NoKey);
    }
    let wait = upstream.breaker.wait(Instant::now());
    wait.is_zero().then_some(()).ok_or(Failed::Paused)
}

/// Whether a request is one that tries a target which failed: it does not begin on a connection from before.
///
/// # Errors
/// [`Failed::Paused`].
fn admitted(upstream: &Upstream) -> Result<On, Failed> {
    match upstream.breaker.admit(behalf::current(), Instant::now()) {
        Admission::Usual => Ok(On::Pooled),
        Admission::Probe => Ok(On::New),
        Admission::Refused => Err(Failed::Paused),
    }
}

/// What is asked for, as a digest: the call and the place.
fn subject(out: &Outgoing) -> u64 {
    let mut hasher = DefaultHasher::new();
    let calls: Vec<&str> = out.query.iter().map(|row| row.0.as_str()).collect();
    (out.method, &out.host, &out.path, calls).hash(&mut hasher);
    hasher.finish()
}

/// Whether a host is the target's own, or one label before it: a certificate of the target's fits those.
fn has_plain_name(upstream: &Upstream, host: &str) -> bool {
    let label = host.strip_suffix(upstream.target.authority.as_str());
    label.is_some_and(|label| !label.trim_end_matches('.').contains('.'))
}

fn peer(upstream: &Upstream, host: &str, address: SocketAddr) -> HttpPeer {
    // The name is never empty: without one the connector would not verify the certificate.
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let mut peer = HttpPeer::new(address, upstream.endpoint.tls, name);
    peer.group_key = upstream.group_key;
    peer.options.connection_timeout = Some(upstream.connect_timeout);
    peer.options.total_connection_timeout = Some(upstream.connect_timeout);
    peer.options.idle_timeout = Some(POOL_IDLE_MAX);
    peer.options.write_timeout = Some(upstream.body_timeout);
    peer.client_cert_key = upstream.client_cert.as_ref().map(Arc::clone);
    peer.options.ca = upstream.ca.as_ref().map(Arc::clone);
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
    use crate::resolve::table::Table;
    use crate::snapshot::Snapshot;

    const TARGET: &str = "[[target]]\nname = \"a\"\ndialect = \"s3\"\nendpoint = \"http://store.example\"\n\
        region = \"r\"\naddressing = \"path\"\naccess_key = \"K\"\nsecret_key = \"S\"\ninsecure = true\n\
        connect_timeout_seconds = 1\n";

    fn snapshot() -> Snapshot {
        let known = blobfish_config::Known { dialects: blobfish_dialects::NAMES };
        Snapshot::new(blobfish_config::load(TARGET, &known, &blobfish_config::OsSources).unwrap()).unwrap()
    }

    fn outgoing(method: &'static str) -> Outgoing {
        Outgoing {
            method,
            host: "store.example".to_owned(),
            bucket: None,
            key: None,
            path: "/b/k".to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: b"body".to_vec(),
            payload: PayloadHash::Unsigned,
            long_work: false,
        }
    }

    /// A server that answers, or only takes connections and breaks them. Counts them.
    async fn server(answers: bool) -> (SocketAddr, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                let _ = stream.read(&mut [0; 4096]).await;
                if answers {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                }
            }
        });
        (address, count)
    }

    async fn nobody() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    #[tokio::test]
    async fn the_next_address_is_tried_until_a_byte_was_sent() {
        let ((good, good_count), (bad, bad_count)) = (server(true).await, server(false).await);
        let (snapshot, table) = (snapshot(), Table::default());
        let upstreams = Upstreams::new(table.clone());
        let upstream = &snapshot.upstreams[0];

        table.says(&[nobody().await, good], Duration::ZERO);
        let answer = upstreams.exchange(upstream, &outgoing("PUT"), "PutObject", "s3").await;
        assert_eq!(answer.map(|answer| answer.status), Ok(200));
        assert_eq!(good_count.load(Ordering::Relaxed), 1);

        let other = Upstreams::new(table.clone());
        table.says(&[bad, good], Duration::ZERO);
        let answer = other.exchange(upstream, &outgoing("PUT"), "PutObject", "s3").await;
        assert_eq!(answer.map(|answer| answer.status), Err(Failed::Read));
        assert_eq!(bad_count.load(Ordering::Relaxed), 1);
        assert_eq!(good_count.load(Ordering::Relaxed), 1, "what may have been done is not repeated");
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_not_held_against_the_target() {
        let snapshot = snapshot();
        let upstreams = Upstreams::new(Table::default());
        for _ in 0..20 {
            let answer =
                upstreams.exchange(&snapshot.upstreams[0], &outgoing("PUT"), "PutObject", "s3").await;
            assert_eq!(answer.map(|answer| answer.status), Err(Failed::Resolve));
        }
    }
}
