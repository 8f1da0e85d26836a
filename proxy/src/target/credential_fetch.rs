//! HTTP requests to credential providers: a separate connection for each, a small response, no redirects. Client
//! requests never wait for them.

use std::fmt;
use std::time::Duration;

use blobfish_config::{Endpoint, OsSources, Sources as _};
use blobfish_credentials::{Context, Error, FileRead, HttpSend, OsEnv, Result};
use bytes::Bytes;
use http::StatusCode;
use pingora::connectors::TransportConnector;
use pingora::http::RequestHeader;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use tokio::time::timeout;

use crate::target::dns::{DnsCache, SystemDns};

/// Connect timeout. It is short, because outside a cloud the metadata address does not even reject connections.
const CREDENTIALS_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Read timeout.
const CREDENTIALS_READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum size of a response.
const CREDENTIALS_RESPONSE_BYTES_MAX: usize = 256 * 1024;

/// How long addresses are cached.
const DNS_CACHE_TTL: Duration = Duration::from_secs(30);

/// Sends requests to credential providers.
pub(crate) struct CredentialHttpClient {
    connector: TransportConnector,
    dns_cache: DnsCache,
}

impl fmt::Debug for CredentialHttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fetch")
    }
}

impl CredentialHttpClient {
    /// Creates the client without connecting.
    pub(crate) fn new() -> Self {
        Self { connector: TransportConnector::new(None), dns_cache: DnsCache::new(SystemDns) }
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<HttpSession> {
        let lookup = self.dns_cache.resolve(&endpoint.host, endpoint.port, DNS_CACHE_TTL);
        // One after the other is sufficient: no request waits for this.
        for address in timeout(CREDENTIALS_CONNECT_TIMEOUT, lookup).await.unwrap_or_default() {
            let mut peer = HttpPeer::new(address, endpoint.tls, endpoint.host.clone());
            peer.options.connection_timeout = Some(CREDENTIALS_CONNECT_TIMEOUT);
            peer.options.total_connection_timeout = Some(CREDENTIALS_CONNECT_TIMEOUT);
            let connection = timeout(CREDENTIALS_CONNECT_TIMEOUT, self.connector.new_stream(&peer)).await;
            if let Ok(Ok(stream)) = connection {
                let mut session = HttpSession::new_with_options(stream, &peer);
                session.read_timeout = Some(CREDENTIALS_READ_TIMEOUT);
                session.write_timeout = Some(CREDENTIALS_READ_TIMEOUT);
                return Ok(session);
            }
        }
        Err(unexpected_error("no connection"))
    }
}

impl HttpSend for CredentialHttpClient {
    async fn http_send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>> {
        let endpoint = parse_endpoint(request.uri()).ok_or_else(|| unexpected_error("not a valid URL"))?;
        let header =
            build_header(&request, &endpoint).ok_or_else(|| unexpected_error("not a valid request"))?;
        let mut session = self.connect(&endpoint).await?;
        let result =
            send_and_read(&mut session, header, request.body(), CREDENTIALS_RESPONSE_BYTES_MAX).await;
        let (status, body) = result.map_err(|error| match error {
            FetchError::ConnectionBroken => unexpected_error("the connection broke"),
            FetchError::TooLarge(_) => unexpected_error("the response is too large"),
        })?;
        let mut response = http::Response::new(Bytes::from(body));
        *response.status_mut() = status;
        Ok(response)
    }
}

/// Gives credential providers access to the environment, files and network.
pub(crate) fn build_provider_context() -> Context {
    Context::new().with_env(OsEnv).with_file_read(CredentialFiles).with_http_send(CredentialHttpClient::new())
}

/// Reads profile and token files on the blocking thread pool, so that no request waits for the disk.
#[derive(Debug)]
struct CredentialFiles;

impl FileRead for CredentialFiles {
    async fn file_read(&self, path: &str) -> Result<Vec<u8>> {
        let path = std::path::PathBuf::from(path);
        let read = tokio::task::spawn_blocking(move || OsSources.read_file(&path)).await;
        let text = read.ok().and_then(std::result::Result::ok);
        text.map(String::into_bytes).ok_or_else(|| Error::config_invalid("the file cannot be read"))
    }
}

/// Why there is no response.
pub(crate) enum FetchError {
    /// The connection broke.
    ConnectionBroken,
    /// The body exceeds the size limit.
    TooLarge(StatusCode),
}

/// Sends a request and reads the whole response, with a body of at most `bytes_max` bytes.
///
/// # Errors
/// [`FetchError`].
pub(crate) async fn send_and_read(
    session: &mut HttpSession,
    header: RequestHeader,
    body: &[u8],
    bytes_max: usize,
) -> std::result::Result<(StatusCode, Vec<u8>), FetchError> {
    let broken = |_| FetchError::ConnectionBroken;
    session.write_request_header(Box::new(header)).await.map_err(broken)?;
    if !body.is_empty() {
        session.write_body(body).await.map_err(broken)?;
    }
    session.finish_body().await.map_err(broken)?;
    session.read_response().await.map_err(broken)?;
    let status = session.resp_header().map(|head| head.status).ok_or(FetchError::ConnectionBroken)?;
    let mut response_body = Vec::new();
    while let Some(bytes) = session.read_body_bytes().await.map_err(broken)? {
        response_body.extend_from_slice(&bytes);
        // Checked while reading, so that a malicious server cannot fill the memory.
        if response_body.len() > bytes_max {
            return Err(FetchError::TooLarge(status));
        }
    }
    Ok((status, response_body))
}

fn unexpected_error(what: &'static str) -> Error {
    Error::unexpected(what)
}

fn parse_endpoint(uri: &http::Uri) -> Option<Endpoint> {
    Endpoint::parse(&format!("{}://{}", uri.scheme_str()?, uri.authority()?)).ok()
}

fn build_header(request: &http::Request<Bytes>, endpoint: &Endpoint) -> Option<RequestHeader> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let mut header = RequestHeader::build(request.method().as_str(), target.as_bytes(), None).ok()?;
    for (name, value) in request.headers() {
        header.append_header(name.clone(), value.clone()).ok()?;
    }
    header.insert_header("host", endpoint.authority()).ok()?;
    // The next renewal is minutes away, so the connection would only be idle.
    header.insert_header("connection", "close").ok()?;
    if !request.body().is_empty() || matches!(request.method().as_str(), "PUT" | "POST") {
        header.insert_header("content-length", request.body().len()).ok()?;
    }
    Some(header)
}
