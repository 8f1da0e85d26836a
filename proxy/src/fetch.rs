//! Small questions to the places that issue keys: one request on a connection of its own, a short answer, no redirects.
//! Only the refreshing of keys waits for it.

use std::fmt;
use std::time::Duration;

use blobfish_config::Endpoint;
use blobfish_credentials::{Error, HttpSend, Result};
use bytes::Bytes;
use http::StatusCode;
use pingora_core::connectors::TransportConnector;
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;
use tokio::time::timeout;

use crate::resolve::{Resolver, System};

/// A place that is not there is often not even refused: a machine's metadata have an address on no other machine.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);

/// Longest silence of an answer.
const READ_TIME_MAX: Duration = Duration::from_secs(5);

/// Bytes of an answer: a key, a name, a short document.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// How long an address is believed.
const RESOLVE: Duration = Duration::from_secs(30);

/// Asks.
pub struct Fetch {
    connector: TransportConnector,
    resolver: Resolver,
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fetch")
    }
}

impl Fetch {
    /// No connection yet.
    pub fn new() -> Self {
        Self { connector: TransportConnector::new(None), resolver: Resolver::new(System) }
    }

    async fn connected(&self, endpoint: &Endpoint) -> Result<HttpSession> {
        let lookup = self.resolver.addresses(&endpoint.host, endpoint.port, RESOLVE);
        for address in timeout(CONNECT_TIME_MAX, lookup).await.unwrap_or_default() {
            let mut peer = HttpPeer::new(address, endpoint.tls, endpoint.host.clone());
            peer.options.connection_timeout = Some(CONNECT_TIME_MAX);
            peer.options.total_connection_timeout = Some(CONNECT_TIME_MAX);
            let connecting = timeout(CONNECT_TIME_MAX, self.connector.new_stream(&peer)).await;
            if let Ok(Ok(stream)) = connecting {
                let mut session = HttpSession::new_with_options(stream, &peer);
                session.read_timeout = Some(READ_TIME_MAX);
                session.write_timeout = Some(READ_TIME_MAX);
                return Ok(session);
            }
        }
        Err(failed("no connection"))
    }
}

impl HttpSend for Fetch {
    async fn http_send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>> {
        let endpoint = endpoint(request.uri()).ok_or_else(|| failed("not an address to ask"))?;
        let header = header(&request, &endpoint).ok_or_else(|| failed("not a request"))?;
        let mut session = self.connected(&endpoint).await?;
        let answered = exchange(&mut session, header, request.body(), ANSWER_BYTES_MAX).await;
        let (status, body) = answered.map_err(|why| match why {
            Unanswered::Broken => failed("the connection broke"),
            Unanswered::TooLarge(_) => failed("the answer is too large"),
        })?;
        let mut answer = http::Response::new(Bytes::from(body));
        *answer.status_mut() = status;
        Ok(answer)
    }
}

/// Why a small question has no answer.
pub enum Unanswered {
    /// The connection broke.
    Broken,
    /// Its body is larger than is read.
    TooLarge(StatusCode),
}

/// One request and its whole answer, whose body may have `bytes_max` bytes.
///
/// # Errors
/// [`Unanswered`].
pub async fn exchange(
    session: &mut HttpSession,
    header: RequestHeader,
    body: &[u8],
    bytes_max: usize,
) -> std::result::Result<(StatusCode, Vec<u8>), Unanswered> {
    let broken = |_| Unanswered::Broken;
    session.write_request_header(Box::new(header)).await.map_err(broken)?;
    if !body.is_empty() {
        session.write_body(body).await.map_err(broken)?;
    }
    session.finish_body().await.map_err(broken)?;
    session.read_response().await.map_err(broken)?;
    let status = session.resp_header().map(|head| head.status).ok_or(Unanswered::Broken)?;
    let mut answer = Vec::new();
    while let Some(bytes) = session.read_body_bytes().await.map_err(broken)? {
        answer.extend_from_slice(&bytes);
        if answer.len() > bytes_max {
            return Err(Unanswered::TooLarge(status));
        }
    }
    Ok((status, answer))
}

fn failed(what: &'static str) -> Error {
    Error::unexpected(what)
}

fn endpoint(uri: &http::Uri) -> Option<Endpoint> {
    Endpoint::parse(&format!("{}://{}", uri.scheme_str()?, uri.authority()?)).ok()
}

fn header(request: &http::Request<Bytes>, endpoint: &Endpoint) -> Option<RequestHeader> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let mut header = RequestHeader::build(request.method().as_str(), target.as_bytes(), None).ok()?;
    for (name, value) in request.headers() {
        header.append_header(name.clone(), value.clone()).ok()?;
    }
    header.insert_header("host", endpoint.authority()).ok()?;
    header.insert_header("connection", "close").ok()?;
    if !request.body().is_empty() || matches!(request.method().as_str(), "PUT" | "POST") {
        header.insert_header("content-length", request.body().len()).ok()?;
    }
    Some(header)
}
