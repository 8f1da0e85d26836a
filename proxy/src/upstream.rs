//! The way to targets: one pool of connections, one request at a time on each, nothing sent twice.
//!
//! Nothing of a request is repeated once its first byte was written (security, I6), except GET and HEAD on a
//! connection from the pool that turned out to be dead. A connection goes back to the pool only after an exchange
//! whose end was never in doubt (O3).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blobfish_dialects::engine::exchange::Answer;
use blobfish_dialects::engine::hosts::without_port;
use blobfish_dialects::model::{Fault, Outgoing, Refusal};
use blobfish_dialects::wire::percent;
use bytes::Bytes;
use pingora_core::connectors::ConnectorOptions;
use pingora_core::connectors::http::v1::Connector;
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType};
use pingora_http::RequestHeader;
use tokio::time::timeout;

use crate::metrics::{METRICS, seconds};
use crate::resolve::Resolver;
use crate::snapshot::Upstream;

/// Connections that wait for their next request, all targets together.
const POOL_CONNECTIONS_MAX: usize = 1024;

/// How long they wait. Shorter than any vendor's own limit, so that a pooled connection is rarely dead.
const POOL_IDLE_MAX: Duration = Duration::from_secs(20);

/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// `100 Continue` and its like before an answer.
const INTERIM_ANSWERS_MAX: usize = 8;

/// Bytes of an answer that is read whole: what the XML limits allow.
pub const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of a failure's document.
pub const FAILURE_BYTES_MAX: usize = 64 * 1024;

/// An exchange with a target that failed. The kinds are the metric's labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// What the engine gave cannot be written.
    #[error("the request cannot be written")]
    Unwritable,
    /// The host has no address.
    #[error("the host has no address")]
    Resolve,
    /// No connection.
    #[error("no connection")]
    Connect,
    /// No connection in time.
    #[error("no connection in time")]
    ConnectTimeout,
    /// The certificate is not trusted, or no common way of encryption.
    #[error("no encrypted connection")]
    Tls,
    /// The connection broke while the request was written.
    #[error("the connection broke while the request was written")]
    Write,
    /// The connection broke before the answer's head was there.
    #[error("the connection broke before the answer")]
    Read,
    /// No answer in time.
    #[error("no answer in time")]
    ResponseTimeout,
    /// The answer's body stopped.
    #[error("the answer's body stopped")]
    BodyTimeout,
    /// The answer's body ended too early.
    #[error("the answer was cut")]
    Cut,
    /// The answer is larger than anything that speaks this protocol sends.
    #[error("the answer is too large")]
    TooLarge,
    /// The answer sends us elsewhere.
    #[error("the target redirects")]
    Redirect,
    /// Nobody can tell where the answer ends.
    #[error("the answer is framed ambiguously")]
    Malformed,
    /// The target answered success before it had the whole request.
    #[error("an answer before the request was complete")]
    Early,
}

impl Failed {
    /// The metric's label.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Unwritable => "unwritable",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::Write => "write",
            Self::Read => "read",
            Self::ResponseTimeout => "response_timeout",
            Self::BodyTimeout => "body_timeout",
            Self::Cut => "cut",
            Self::TooLarge => "too_large",
            Self::Redirect => "redirect",
            Self::Malformed => "malformed",
            Self::Early => "early",
        }
    }

    /// What the caller is told: that it failed, and nothing of the target (O4).
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Resolve
            | Self::Connect
            | Self::ConnectTimeout
            | Self::Tls
            | Self::Write
            | Self::Read
            | Self::ResponseTimeout
            | Self::BodyTimeout
            | Self::Cut => Fault::ServiceUnavailable.into(),
            Self::Unwritable | Self::TooLarge | Self::Redirect | Self::Malformed | Self::Early => {
                Fault::InternalError.into()
            }
        }
    }
}

/// The connections to all targets.
pub struct Upstreams {
    connector: Connector,
    resolver: Resolver,
}

/// One exchange: a request of which the head is written, and its answer.
pub struct Conversation<'a> {
    upstreams: &'a Upstreams,
    upstream: &'a Upstream,
    session: HttpSession,
    peer: HttpPeer,
    head: bool,
    reused: bool,
    started: Instant,
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
    pub fn new() -> Self {
        Self {
            connector: Connector::new(Some(ConnectorOptions::new(POOL_CONNECTIONS_MAX))),
            resolver: Resolver::default(),
        }
    }

    /// Sends a whole request and reads the whole answer.
    ///
    /// # Errors
    /// [`Failed`], counted.
    pub async fn exchange(&self, upstream: &Upstream, out: &Outgoing, operation: &str, dialect: &str) -> Result<Answer, Failed> {
        let told = self.asked(upstream, out, Sent::Whole, operation, dialect).await;
        let (mut conversation, head) = told?;
        let bytes_max = if head.answer.status < 300 { ANSWER_BYTES_MAX } else { FAILURE_BYTES_MAX };
        let body = conversation.whole_body(bytes_max).await.map_err(|failed| failed.counted(upstream))?;
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
        self.asked(upstream, out, Sent::Whole, operation, dialect).await
    }

    async fn asked<'a>(
        &'a self,
        upstream: &'a Upstream,
        out: &Outgoing,
        sent: Sent,
        operation: &str,
        dialect: &str,
    ) -> Result<(Conversation<'a>, AnswerHead), Failed> {
        let repeatable = matches!(out.method, "GET" | "HEAD");
        let mut fresh = false;
        loop {
            let mut conversation = self.begun(upstream, out, sent, fresh).await.map_err(|failed| failed.at(upstream))?;
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
                    let again = dead && repeatable && conversation.reused && !fresh;
                    conversation.abort().await;
                    failed.at(upstream);
                    if !again {
                        return Err(failed);
                    }
                    fresh = true;
                }
            }
        }
    }

    /// Begins an upload: the head is written, the body follows piece by piece.
    ///
    /// # Errors
    /// [`Failed`], counted.
    pub async fn upload<'a>(&'a self, upstream: &'a Upstream, out: &Outgoing) -> Result<Conversation<'a>, Failed> {
        self.begun(upstream, out, Sent::Streamed, false).await.map_err(|failed| failed.at(upstream))
    }

    async fn begun<'a>(
        &'a self,
        upstream: &'a Upstream,
        out: &Outgoing,
        sent: Sent,
        fresh: bool,
    ) -> Result<Conversation<'a>, Failed> {
        let header = request_header(out, sent)?;
        let host = destination(upstream, &out.host)?;
        let (mut session, peer, reused) = self.connected(upstream, host, fresh).await?;
        let started = Instant::now();
        session.write_timeout = Some(upstream.body_timeout);
        session.write_request_header(header).await.map_err(|error| wrong(&error, Failed::Write))?;
        let head = out.method == "HEAD";
        Ok(Conversation { upstreams: self, upstream, session, peer, head, reused, started })
    }

    async fn connected(&self, upstream: &Upstream, host: &str, fresh: bool) -> Result<(HttpSession, HttpPeer, bool), Failed> {
        let lookup = self.resolver.addresses(host, upstream.endpoint.port);
        let addresses = timeout(upstream.connect_timeout, lookup).await.unwrap_or_default();
        let peers: Vec<HttpPeer> = addresses.iter().map(|address| peer(upstream, host, *address)).collect();
        if !fresh {
            for peer in &peers {
                if let Some(session) = self.connector.reused_http_session(peer).await {
                    return Ok((session, peer.clone(), true));
                }
            }
        }
        let mut failed = Failed::Resolve;
        for peer in peers {
            let stream = timeout(upstream.connect_timeout, self.connector.get_http_session(&peer)).await;
            match stream {
                // The pool is asked once more; what it gives here is as good as above.
                Ok(Ok((session, reused))) => return Ok((session, peer, reused)),
                Ok(Err(error)) => failed = not_connected(&error),
                Err(_) => failed = Failed::ConnectTimeout,
            }
        }
        Err(failed)
    }
}

/// Whether an [`Outgoing`] holds its whole body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Whole,
    Streamed,
}

impl Failed {
    /// Counts and logs a failure.
    pub fn at(self, upstream: &Upstream) -> Self {
        let target = upstream.target.name.as_str();
        METRICS.upstream_errors.with_label_values(&[target, self.kind()]).inc();
        tracing::warn!(target_name = target, kind = self.kind(), "exchange with a target failed: {self}");
        self
    }

    fn counted(self, upstream: &Upstream) -> Self {
        self.at(upstream)
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
        match self.session.write_body(bytes).await {
            Ok(Some(written)) if written == bytes.len() => Ok(()),
            _ => Err(Failed::Write),
        }
    }

    /// Ends the request's body.
    ///
    /// # Errors
    /// [`Failed::Write`].
    pub async fn finish(&mut self) -> Result<(), Failed> {
        let finished = timeout(self.upstream.body_timeout, self.session.finish_body()).await;
        matches!(finished, Ok(Ok(_))).then_some(()).ok_or(Failed::Write)
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
        let wait = self.upstream.response_timeout;
        timeout(wait, self.read_head()).await.unwrap_or(Err(Failed::ResponseTimeout))
    }

    async fn read_head(&mut self) -> Result<AnswerHead, Failed> {
        for _ in 0..=INTERIM_ANSWERS_MAX {
            self.session.read_response().await.map_err(|error| wrong(&error, Failed::Read))?;
            let raw = self.session.get_headers_raw_bytes();
            let header = self.session.resp_header().ok_or(Failed::Malformed)?;
            let status = header.status.as_u16();
            if raw.len() > HEAD_BYTES_MAX {
                return Err(Failed::TooLarge);
            }
            match status {
                101 => return Err(Failed::Malformed),
                100..=199 => continue,
                300..=303 | 305..=399 => return Err(Failed::Redirect),
                _ => {}
            }
            let headers = header.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
            let answer = Answer { status, headers: headers.collect(), body: Vec::new() };
            let length = self.length(&raw, status)?;
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
            AnswerFraming::UntilClose if status >= 400 => Ok(None),
            AnswerFraming::UntilClose => Err(Failed::Malformed),
        }
    }

    /// The next bytes of the answer's body, `None` at its proper end.
    ///
    /// # Errors
    /// [`Failed::Cut`], [`Failed::BodyTimeout`].
    pub async fn body(&mut self) -> Result<Option<Bytes>, Failed> {
        self.session.read_timeout = Some(self.upstream.body_timeout);
        self.session.read_body_bytes().await.map_err(|error| match error.etype() {
            ErrorType::ReadTimedout => Failed::BodyTimeout,
            _ => Failed::Cut,
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
        Ok(whole)
    }

    /// After a clean exchange: the connection may serve another.
    pub async fn release(self) {
        self.upstreams.connector.release_http_session(self.session, &self.peer, Some(POOL_IDLE_MAX)).await;
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

enum AnswerFraming {
    Bytes(u64),
    Chunked,
    UntilClose,
}

/// How an answer says that it ends, on the bytes received: the connector would settle contradictions silently.
fn framing_of(raw: &[u8]) -> Result<AnswerFraming, Failed> {
    let (mut lengths, mut codings) = (Vec::new(), Vec::new());
    for line in raw.split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at_checked(colon).unwrap_or_default();
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"content-length" => lengths.push(value),
            b"transfer-encoding" => codings.push(value),
            _ => {}
        }
    }
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(AnswerFraming::UntilClose),
        ([length], []) => crate::framing::decimal(length).map(AnswerFraming::Bytes).ok_or(Failed::Malformed),
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Ok(AnswerFraming::Chunked),
        _ => Err(Failed::Malformed),
    }
}

fn request_header(out: &Outgoing, sent: Sent) -> Result<Box<RequestHeader>, Failed> {
    let target = request_target(out);
    let mut header = RequestHeader::build_no_case(out.method, target.as_bytes(), Some(out.headers.len() + 2))
        .map_err(|_| Failed::Unwritable)?;
    // The signature covers the path as it stands: what would be repaired on the way must not be sent.
    if header.raw_path() != target.as_bytes() {
        return Err(Failed::Unwritable);
    }
    for (name, value) in &out.headers {
        header.append_header(name.clone(), value.as_slice()).map_err(|_| Failed::Unwritable)?;
    }
    if !header.headers.contains_key("host") {
        header.insert_header("host", &out.host).map_err(|_| Failed::Unwritable)?;
    }
    if !header.headers.contains_key("content-length") {
        match sent {
            Sent::Streamed => header.insert_header("transfer-encoding", "chunked"),
            Sent::Whole if out.body.is_empty() && matches!(out.method, "GET" | "HEAD" | "DELETE") => Ok(()),
            Sent::Whole => header.insert_header("content-length", out.body.len()),
        }
        .map_err(|_| Failed::Unwritable)?;
    }
    Ok(Box::new(header))
}

/// Path and query, byte for byte as they go on the wire.
fn request_target(out: &Outgoing) -> String {
    let mut target = out.path.clone();
    for (at, (name, value)) in out.query.iter().enumerate() {
        target.push(if at == 0 { '?' } else { '&' });
        target.push_str(&percent::encode(name));
        if let Some(value) = value {
            target.push('=');
            target.push_str(&percent::encode(value));
        }
    }
    target
}

/// The host to connect to. It is the configured one, or a bucket's label before it, and never another (O1).
fn destination<'h>(upstream: &Upstream, authority: &'h str) -> Result<&'h str, Failed> {
    let own = upstream.target.authority.as_str();
    let label = authority.strip_suffix(own).and_then(|rest| rest.strip_suffix('.'));
    let is_label = |label: &str| label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if authority == own || label.is_some_and(is_label) { Ok(without_port(authority)) } else { Err(Failed::Unwritable) }
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
    peer.options.ca = upstream.ca.as_ref().map(Arc::clone);
    peer
}

fn not_connected(error: &Error) -> Failed {
    match error.etype() {
        ErrorType::ConnectTimedout => Failed::ConnectTimeout,
        ErrorType::TLSHandshakeFailure
        | ErrorType::TLSHandshakeTimedout
        | ErrorType::InvalidCert
        | ErrorType::HandshakeError => Failed::Tls,
        _ => Failed::Connect,
    }
}

fn wrong(error: &Error, otherwise: Failed) -> Failed {
    match error.etype() {
        ErrorType::InvalidHTTPHeader => Failed::Malformed,
        ErrorType::WriteTimedout => Failed::Write,
        ErrorType::ReadTimedout => Failed::ResponseTimeout,
        _ => otherwise,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(lines: &str) -> Result<AnswerFraming, Failed> {
        framing_of(format!("HTTP/1.1 200 OK\r\n{lines}\r\n").as_bytes())
    }

    #[test]
    fn an_answer_ends_in_one_way() {
        assert!(matches!(framed("Content-Length: 5\r\n"), Ok(AnswerFraming::Bytes(5))));
        assert!(matches!(framed("transfer-encoding: chunked\r\n"), Ok(AnswerFraming::Chunked)));
        assert!(matches!(framed(""), Ok(AnswerFraming::UntilClose)));
        for lines in [
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: x\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity\r\n",
        ] {
            assert!(framed(lines).is_err(), "{lines:?}");
        }
    }
}
