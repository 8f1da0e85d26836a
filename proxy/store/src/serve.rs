//! HTTP: connections, authentication, and common headers of responses.
//!
//! A request passes the s3s library twice. First only its signature is verified, because nothing unverified may be
//! routed. Then [`crate::request`] reads and removes the headers that S3 accepts and the library misreads. Then the
//! library decodes the rest and calls the operation.

use crate::archive;
use crate::cors;
use crate::errors::{
    ELEMENT_HEADER, access_denied_error, internal_error, invalid_argument_error, not_implemented_error,
    s3_error,
};
use crate::object_attributes;
use crate::objects::{Core, read_chunk, verify_document};
use crate::part_list;
use crate::raw_values::{self, RawValues, SigningKey};
use crate::reclaimable_body::make_reclaimable;
use crate::request::{RequestHead, parse_query};
use crate::service::Service;
use crate::settings;
use crate::uploads::ListedPart;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use percent_encoding::percent_decode_str;
use s3s::auth::{S3Auth, SecretKey, SimpleAuth};
use s3s::route::S3Route;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Error, S3Request, S3Response, S3Result};
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// The maximum size of an XML document. The largest is a completion with 10,000 parts.
const DOCUMENT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The timeout for a request head, and the idle timeout of a connection.
const HEAD_SECONDS_MAX: u64 = 120;
/// The time that running requests have to finish after the shutdown.
const DRAIN_SECONDS_MAX: u64 = 10;

/// The first pass: passes every verified request to the second.
struct VerifiedRoute {
    operations: S3Service,
    core: Core,
}

#[async_trait::async_trait]
impl S3Route for VerifiedRoute {
    fn is_match(&self, _: &Method, _: &Uri, _: &HeaderMap, _: &mut http::Extensions) -> bool {
        true
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let S3Request { input: body, method, uri, mut headers, trailing_headers, extensions, .. } = request;
        extensions.get::<RawValues>().iter().for_each(|taken| taken.restore(&mut headers));
        check_signed_headers(&headers, &uri)?;
        settings::check_subresource_method(&method, &uri)?;
        let request_head = RequestHead::take_from_headers(&mut headers, &uri, trailing_headers)?;
        if request_head.source.is_some() && !is_upload(&method, &uri) {
            let message = "You can only specify a copy source header for copy requests.";
            return Err(invalid_argument_error(message, "x-amz-copy-source", "x-amz-copy-source"));
        }
        let mut listed_parts = None;
        let body = if is_upload(&method, &uri) && request_head.source.is_none() {
            body
        } else {
            let bytes = read_body(body).await?;
            if request_head.source.is_none() {
                verify_document(&request_head, &bytes, is_completion(&method, &uri))?;
                if let Some(response) =
                    handle_own_operation(&self.core, &method, &uri, &request_head, &bytes).await?
                {
                    return Ok(response);
                }
                let bytes = if is_completion(&method, &uri) {
                    listed_parts = Some(ListedPart::from_document(&bytes)?);
                    // The library needs a value here. It is never used.
                    Bytes::from_static(b"<CompleteMultipartUpload></CompleteMultipartUpload>")
                } else {
                    bytes
                };
                headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
                Body::from(bytes)
            } else {
                headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from_static("0"));
                Body::empty()
            }
        };
        let mut inner = Request::new(body);
        *inner.method_mut() = method;
        *inner.uri_mut() = strip_signature(&uri)?;
        *inner.headers_mut() = headers;
        inner.extensions_mut().insert(request_head);
        listed_parts.map(|listed| inner.extensions_mut().insert(listed));
        let response =
            self.operations.call(inner).await.map_err(|error| internal_error(format!("{error:?}")))?;
        let (head, body) = response.into_parts();
        let mut response = S3Response::with_status(body, head.status);
        response.headers = head.headers;
        Ok(response)
    }
}

/// Handles requests for which the library's response would differ from S3; `None` for all others.
async fn handle_own_operation(
    core: &Core,
    method: &Method,
    uri: &Uri,
    request_head: &RequestHead,
    body: &Bytes,
) -> S3Result<Option<S3Response<Body>>> {
    if let Some(response) = settings::handle_setting_request(core, method, uri, request_head, body).await? {
        return Ok(Some(response));
    }
    if let Some(response) = archive::handle_restore(core, method, uri, body).await? {
        return Ok(Some(response));
    }
    if let Some(response) = part_list::handle_list_parts(core, method, uri, request_head).await? {
        return Ok(Some(response));
    }
    object_attributes::handle_get_object_attributes(core, method, uri, request_head).await
}

/// Builds both passes.
pub(crate) fn build_service(service: Service, auth: SimpleAuth) -> S3Service {
    let core = service.core.clone();
    let operations = S3ServiceBuilder::new(service).build();
    // The first pass never calls an operation itself.
    let mut builder = S3ServiceBuilder::new(NoOperations);
    builder.set_auth(SingleKeyAuth(auth));
    builder.set_route(VerifiedRoute { operations, core });
    builder.build()
}

/// The library's authentication, with the error code of AWS for an unknown access key.
struct SingleKeyAuth(SimpleAuth);

#[async_trait::async_trait]
impl S3Auth for SingleKeyAuth {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let message = "The AWS Access Key Id you provided does not exist in our records.";
        self.0.lookup(access_key).cloned().ok_or_else(|| s3_error(403, "InvalidAccessKeyId", message, &[]))
    }
}

struct NoOperations;

impl s3s::S3 for NoOperations {}

/// Only PutObject and UploadPart stream their body. Every other body is small and buffered.
fn is_upload(method: &Method, uri: &Uri) -> bool {
    let path = uri.path();
    let has_key =
        path.strip_prefix('/').and_then(|path| path.split_once('/')).is_some_and(|(_, key)| !key.is_empty());
    *method == Method::PUT
        && has_key
        && !parse_query(uri).any(|(name, _)| {
            matches!(name.as_str(), "acl" | "tagging" | "legal-hold" | "retention" | "restore")
        })
}

fn is_completion(method: &Method, uri: &Uri) -> bool {
    *method == Method::POST && parse_query(uri).any(|(name, _)| name == "uploadId")
}

async fn read_body(mut body: Body) -> S3Result<Bytes> {
    let mut whole = Vec::new();
    while let Some(chunk) = read_chunk(&mut body).await? {
        if whole.len().saturating_add(chunk.len()) > DOCUMENT_BYTES_MAX {
            return Err(s3_error(400, "MaxMessageLengthExceeded", "Your request was too large.", &[]));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.into())
}

/// Rejects headers that the signature does not cover. S3 does this too, the library does not.
fn check_signed_headers(headers: &HeaderMap, uri: &Uri) -> S3Result<()> {
    let header = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let find_in_query =
        || parse_query(uri).find(|(name, _)| name.eq_ignore_ascii_case("X-Amz-SignedHeaders"));
    let signed = match header {
        Some(value) => {
            value.split("SignedHeaders=").nth(1).and_then(|rest| rest.split(',').next()).map(str::to_owned)
        }
        None => find_in_query().map(|(_, value)| value),
    };
    // Signature version 2 always signs every x-amz-* header.
    let Some(signed) = signed else { return Ok(()) };
    let signed: Vec<&str> = signed.split(';').map(str::trim).collect();
    let names = headers.keys().map(HeaderName::as_str);
    let unsigned: Vec<&str> = names
        .filter(|name| (name.starts_with("x-amz-") || *name == "host") && !signed.contains(name))
        .collect();
    // A presigned URL has no payload hash to cover.
    let unsigned: Vec<&str> =
        unsigned.into_iter().filter(|name| header.is_some() || *name != "x-amz-content-sha256").collect();
    if unsigned.is_empty() {
        return Ok(());
    }
    let message = "There were headers present in the request which were not signed";
    Err(s3_error(403, "AccessDenied", message, &[("HeadersNotSigned", &unsigned.join(", "))]))
}

/// The second pass must not verify again.
fn strip_signature(uri: &Uri) -> S3Result<Uri> {
    let Some(query) = uri.query() else { return Ok(uri.clone()) };
    let is_not_signature = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        !(name.len() >= 6 && name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"))
            || name == "Signature")
    };
    let kept_pairs: Vec<&str> = query.split('&').filter(is_not_signature).collect();
    let text = if kept_pairs.is_empty() {
        uri.path().to_owned()
    } else {
        format!("{}?{}", uri.path(), kept_pairs.join("&"))
    };
    text.parse().map_err(|_| access_denied_error("Access Denied"))
}

/// The state that a connection needs.
#[derive(Clone)]
pub(crate) struct ServerState {
    pub(crate) service: S3Service,
    /// For requests without a signature: CORS preflight.
    pub(crate) core: Core,
    /// For signatures that cover values which the library ignores.
    pub(crate) key: Arc<SigningKey>,
}

/// Serves connections until `shutdown`, then lets running requests finish for a bounded time.
pub(crate) async fn serve_connections(
    state: ServerState,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) {
    let connections = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Usually there are too many open files, and only waiting helps.
                tracing::warn!(%error, "the store could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Responses are written in several pieces; with Nagle's algorithm each small one would wait for an
        // acknowledgement.
        let _ = stream.set_nodelay(true);
        let state = state.clone();
        let handler = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
            let state = state.clone();
            async move { Ok::<_, Infallible>(handle_request(&state, request).await) }
        });
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(HEAD_SECONDS_MAX));
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), handler));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the store ended early");
            }
        });
    }
    // New connections are refused from here on, instead of waiting for a server that no longer accepts them.
    drop(listener);
    let drained = tokio::time::timeout(Duration::from_secs(DRAIN_SECONDS_MAX), connections.shutdown()).await;
    if drained.is_err() {
        tracing::warn!("the store stopped with requests still running");
    }
}

async fn handle_request(state: &ServerState, request: Request<hyper::body::Incoming>) -> Response<Body> {
    if *request.method() == Method::OPTIONS {
        return finish_response(handle_preflight(state, &request).await, false);
    }
    let origin = request.headers().get(http::header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let Some(origin) = origin.map(str::to_owned) else { return call_operation(state, request).await };
    let (uri, method) = (request.uri().clone(), request.method().clone());
    let mut response = call_operation(state, request).await;
    // The rules are read after the operation, which may have changed them.
    response.headers_mut().extend(cors::build_cors_headers(&state.core, &uri, &method, &origin).await);
    response
}

async fn handle_preflight(state: &ServerState, request: &Request<hyper::body::Incoming>) -> Response<Body> {
    match cors::build_preflight_headers(&state.core, request.uri(), request.headers()).await {
        Ok(headers) => {
            let mut response = Response::new(Body::empty());
            *response.headers_mut() = headers;
            response
        }
        Err(error) => to_error_response(error),
    }
}

async fn call_operation(state: &ServerState, request: Request<hyper::body::Incoming>) -> Response<Body> {
    let is_head = *request.method() == Method::HEAD;
    if *request.method() == Method::POST && is_form_upload(request.headers()) {
        // The library would parse a form before it is authenticated, whatever the operation.
        return finish_response(to_error_response(not_implemented_error("Content-Type")), is_head);
    }
    let expects_continue = request.headers().contains_key(http::header::EXPECT);
    let (mut head, body) = request.into_parts();
    // Before the library verifies the signature, because the library ignores these values.
    raw_values::extract_raw_values(&mut head, &state.key);
    let payload = head.headers.get("x-amz-content-sha256");
    let is_chunked = payload.is_some_and(|payload| payload.as_bytes().starts_with(b"STREAMING-"));
    let (body, reclaimer) = make_reclaimable(body, expects_continue, is_chunked);
    let response = match state.service.call(Request::from_parts(head, Body::http_body(body))).await {
        Ok(response) => response,
        Err(error) => to_error_response(internal_error(format!("{error:?}"))),
    };
    // Before the response is sent: a connection that is closed with unread data loses the response.
    reclaimer.drain().await;
    finish_response(response, is_head)
}

fn is_form_upload(headers: &HeaderMap) -> bool {
    let kinds = headers.get_all(http::header::CONTENT_TYPE);
    kinds.iter().any(|kind| {
        kind.as_bytes()
            .trim_ascii()
            .get(..19)
            .is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/form-data"))
    })
}

fn to_error_response(error: S3Error) -> Response<Body> {
    error.to_http_response().unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// Adds the common headers, and the elements of an error that the library does not support.
fn finish_response(response: Response<Body>, is_head: bool) -> Response<Body> {
    let (mut head, mut body) = response.into_parts();
    let request_id = generate_request_id();
    if head.status.is_client_error() || head.status.is_server_error() {
        let text = body.take_bytes().unwrap_or_default();
        body = Body::from(build_error_document(&text, &head, &request_id));
        head.headers.remove(ELEMENT_HEADER);
        head.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        head.headers.remove(http::header::CONTENT_LENGTH);
    } else if is_library_document(&head.headers)
        && let Some(text) = body.bytes()
    {
        body = Body::from(escape_control_chars(append_elements(&text, &mut head.headers).as_bytes()));
    }
    if is_head && head.status == StatusCode::OK && head.headers.contains_key(http::header::CONTENT_RANGE) {
        head.status = StatusCode::PARTIAL_CONTENT;
    }
    if head.status == StatusCode::NOT_MODIFIED {
        head.headers.remove(http::header::CONTENT_TYPE);
        head.headers.remove(ELEMENT_HEADER);
        body = Body::empty();
    }
    if is_head {
        body = Body::empty();
    }
    head.headers.insert(http::header::SERVER, HeaderValue::from_static("Blobfish"));
    if let Ok(id) = HeaderValue::try_from(&request_id) {
        head.headers.insert("x-amz-request-id", id.clone());
        head.headers.insert("x-amz-id-2", id);
    }
    Response::from_parts(head, body)
}

fn generate_request_id() -> String {
    format!("{:016X}", getrandom::u64().unwrap_or_default())
}

fn is_library_document(headers: &HeaderMap) -> bool {
    // Objects may be XML too. Only the library's own documents have neither an ETag nor a length.
    headers.get(http::header::CONTENT_TYPE).is_some_and(|kind| kind == "application/xml")
        && !headers.contains_key(http::header::ETAG)
        && !headers.contains_key(http::header::CONTENT_LENGTH)
}

/// Control characters that the library writes unchanged and XML 1.0 does not allow.
fn escape_control_chars(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        if *byte < 0x20 && *byte != b'\n' && *byte != b'\t' {
            out.extend_from_slice(format!("&#x{byte:X};").as_bytes());
        } else {
            out.push(*byte);
        }
    }
    out
}

/// Adds elements that the library does not support to the end of the root element.
fn append_elements(text: &[u8], headers: &mut HeaderMap) -> String {
    let mut document = String::from_utf8_lossy(text).into_owned();
    if let Some(end) = document.rfind("</") {
        document.insert_str(end, &format_elements(headers));
    }
    headers.remove(ELEMENT_HEADER);
    document
}

/// The elements from the private response header.
fn format_elements(headers: &HeaderMap) -> String {
    let mut all = String::new();
    for element in headers.get_all(ELEMENT_HEADER).iter().filter_map(|value| value.to_str().ok()) {
        let Some((name, value)) = element.split_once(' ') else { continue };
        let value = percent_decode_str(value).decode_utf8_lossy();
        // XML 1.0 cannot represent it, and a client that rejects the document would not see the error code.
        if value.chars().any(|c| c < ' ' && !matches!(c, '\t' | '\n' | '\r')) {
            continue;
        }
        all.push_str(&format!("<{name}>{}</{name}>", escape_xml_text(&value)));
    }
    all
}

fn build_error_document(text: &[u8], head: &http::response::Parts, request_id: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let mut document = text.strip_suffix("</Error>").unwrap_or(&text).to_owned();
    if !document.contains("<Message>") {
        let reason = head.status.canonical_reason().unwrap_or_default();
        document.push_str(&format!("<Message>{reason}</Message>"));
    }
    document.push_str(&format_elements(&head.headers));
    document.push_str(&format!("<RequestId>{request_id}</RequestId><HostId>{request_id}</HostId></Error>"));
    escape_control_chars(document.as_bytes())
}

fn escape_xml_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
