//! The admin port: metrics, health checks, the console and its API.
//!
//! There is no authentication, so the admin port belongs on loopback or behind an authenticating proxy. All requests
//! are read-only, and no response contains a secret.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use blobfish_config::Endpoint;
use blobfish_dialects::translator::examples::parse_examples;
use http::{HeaderMap, Response};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::admin::explain::{ExplainQuery, REQUEST_BYTES_MAX};
use crate::admin::{config_view, explain, status};
use crate::request::active_config::ActiveConfig;
use crate::request::running_copies::RUNNING_COPIES;
use crate::telemetry::metrics::METRICS;
use crate::telemetry::recent_events::EVENTS;

const PAGE: &str = include_str!("console/index.html");
const SCRIPT: &str = include_str!("console/console.js");
const STYLE: &str = include_str!("console/console.css");
const ICON: &str = include_str!("console/icon.svg");

/// Forbids everything from other origins, and inline scripts and styles.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                                       base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                                       require-trusted-types-for 'script'";

/// Time limit for the body of a request.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// The application behind the admin listener.
pub(crate) struct Admin {
    /// Whether the admin port listens on loopback only.
    is_loopback: bool,
    /// Whether the process is ready: false until the listeners are open, and again during a shutdown.
    ready: Arc<watch::Sender<bool>>,
    /// The active configuration.
    current: Arc<ArcSwap<ActiveConfig>>,
    started_at: Instant,
}

impl Admin {
    /// Creates the application for the listener at this address.
    pub(crate) fn new(
        address: SocketAddr,
        ready: Arc<watch::Sender<bool>>,
        current: Arc<ArcSwap<ActiveConfig>>,
    ) -> Self {
        Self {
            is_loopback: address.ip().to_canonical().is_loopback(),
            ready,
            current,
            started_at: Instant::now(),
        }
    }

    fn respond_to_get(&self, path: &str) -> Response<Vec<u8>> {
        let ready = *self.ready.borrow();
        match path {
            "/metrics" => build_response(200, "text/plain; version=0.0.4", METRICS.encode()),
            "/healthz" => build_response(200, "text/plain", "ok\n"),
            "/readyz" if ready => build_response(200, "text/plain", "ready\n"),
            "/readyz" => build_response(503, "text/plain", "not ready\n"),
            "/" => build_response(200, "text/html; charset=utf-8", PAGE),
            "/console.js" => build_response(200, "text/javascript; charset=utf-8", SCRIPT),
            "/console.css" => build_response(200, "text/css; charset=utf-8", STYLE),
            "/icon.svg" => build_response(200, "image/svg+xml", ICON),
            "/api/status" => build_json_response(&status::build_status(
                &self.current.load(),
                ready,
                self.started_at.elapsed(),
            )),
            "/api/copies" => build_json_response(&RUNNING_COPIES.to_json()),
            "/api/events" => build_json_response(&json!({ "events": EVENTS.list() })),
            "/api/config" => build_json_response(&config_view::render_config(
                &self.current.load().settings,
                METRICS.config_loaded.get(),
            )),
            "/api/examples" => build_json_response(&list_examples()),
            "/api/explain" => build_error_response(405, "use POST"),
            _ => build_response(404, "text/plain", "not found\n"),
        }
    }

    async fn explain_request(&self, session: &mut ServerSession) -> Result<String, (u16, String)> {
        check_same_origin(&session.req_header().headers).map_err(|(status, why)| (status, why.to_owned()))?;
        let body = timeout(BODY_TIME_MAX, read_body(session)).await;
        let body = body.unwrap_or(Err((408, "timeout while reading the request body".to_owned())))?;
        let query: ExplainQuery = serde_json::from_slice(&body).map_err(|error| {
            (400, format!("invalid request, expected {{\"from\", \"to\", \"request\"}}: {error}"))
        })?;
        explain::explain_to_json(&query, Some(&self.current.load()))
            .map_err(|error| (400, format!("{error:#}")))
    }
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        let (method, path) = (head.method.as_str().to_owned(), head.uri.path().to_owned());
        // On other addresses the operator decides which names resolve to this machine.
        if self.is_loopback && !head.headers.get_all("host").iter().all(|host| is_own_host(host.as_bytes())) {
            return build_error_response(
                403,
                "the Host header must be an IP address or localhost, because this port listens on loopback",
            );
        }
        match (method.as_str(), path.as_str()) {
            ("GET" | "HEAD", path) => self.respond_to_get(path),
            ("POST", "/api/explain") => match self.explain_request(session).await {
                Ok(json) => build_response(200, "application/json", json),
                Err((status, message)) => {
                    // The rest of an unread body must not be parsed as another request.
                    session.set_keepalive(None);
                    build_error_response(status, &message)
                }
            },
            _ => {
                session.set_keepalive(None);
                build_response(405, "text/plain", "method not allowed; use GET or HEAD\n")
            }
        }
    }
}

/// Whether a host is an IP address or a localhost name. DNS rebinding could make the name of a malicious page resolve
/// to this machine, and the page would then be of the same origin; these hosts cannot be rebound.
fn is_own_host(host: &[u8]) -> bool {
    let endpoint =
        std::str::from_utf8(host).ok().and_then(|host| Endpoint::parse(&format!("http://{host}")).ok());
    endpoint.is_some_and(|own| own.ip().is_some() || own.is_loopback())
}

/// Checks that a request comes from the console or from no web page. Browsers send the origin of a request, and send
/// JSON to another origin only after a CORS preflight.
fn check_same_origin(headers: &HeaderMap) -> Result<(), (u16, &'static str)> {
    let header_text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let content_type =
        header_text("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let host = header_text("host").unwrap_or_default();
    let is_own_origin =
        |origin: &str| origin.split_once("://").is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(host));
    // Both headers, because older browsers send only Origin. Programs such as curl send neither.
    if !header_text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"))
        || !header_text("origin").is_none_or(is_own_origin)
    {
        return Err((403, "requests from other web pages are rejected"));
    }
    // HTML forms cannot send this type, and scripts of other origins need a preflight for it.
    if content_type.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err((415, "the content type must be application/json"))
    }
}

async fn read_body(session: &mut ServerSession) -> Result<Vec<u8>, (u16, String)> {
    let mut body = Vec::new();
    loop {
        match session.read_request_body().await {
            // Checked before the bytes are stored, so that a request cannot use more memory than the limit.
            Ok(Some(bytes)) if body.len().saturating_add(bytes.len()) > REQUEST_BYTES_MAX => {
                return Err((413, format!("the request is larger than {REQUEST_BYTES_MAX} bytes")));
            }
            Ok(Some(bytes)) => body.extend_from_slice(&bytes),
            Ok(None) => return Ok(body),
            Err(_) => return Err((400, "the request body is incomplete".to_owned())),
        }
    }
}

fn list_examples() -> Value {
    let examples = parse_examples().map(
        |example| json!({ "dialect": example.dialect, "title": example.title, "request": example.request }),
    );
    json!({ "examples": examples.collect::<Vec<_>>() })
}

fn build_error_response(status: u16, message: &str) -> Response<Vec<u8>> {
    build_response(status, "application/json", json!({ "error": message }).to_string())
}

fn build_json_response(value: &Value) -> Response<Vec<u8>> {
    build_response(200, "application/json", value.to_string())
}

fn build_response(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Response<Vec<u8>> {
    let body = body.into();
    let response = Response::builder()
        .status(status)
        .header("content-type", content_type)
        .header("content-length", body.len())
        // The pages show the current state, and no cache may store the configuration.
        .header("cache-control", "no-store")
        .header("x-content-type-options", "nosniff")
        .header("referrer-policy", "no-referrer")
        .header("cross-origin-resource-policy", "same-origin")
        .header("content-security-policy", CONTENT_SECURITY_POLICY);
    response.body(body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_names_are_own_hosts() {
        for host in [
            "127.0.0.1:9090",
            "127.0.0.1",
            "[::1]:9090",
            "10.1.2.3",
            "localhost:9090",
            "LOCALHOST",
            "a.localhost",
        ] {
            assert!(is_own_host(host.as_bytes()), "{host}");
        }
        for host in ["", "example.com", "localhost.example.com:9090", "127.0.0.1.example.com", "a@localhost"]
        {
            assert!(!is_own_host(host.as_bytes()), "{host}");
        }
    }

    #[track_caller]
    fn check_headers(headers: &[(&'static str, &str)], status: Option<u16>) {
        let mut map = HeaderMap::new();
        map.insert("host", "127.0.0.1:9090".parse().unwrap());
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        assert_eq!(check_same_origin(&map).err().map(|rejected| rejected.0), status, "{headers:?}");
    }

    #[test]
    fn requests_of_other_pages_are_rejected() {
        let json = ("content-type", "application/json; charset=utf-8");
        check_headers(&[json], None);
        check_headers(&[json, ("origin", "http://127.0.0.1:9090"), ("sec-fetch-site", "same-origin")], None);
        for origin in ["http://127.0.0.1:9091", "http://example.com", "null", ""] {
            check_headers(&[json, ("origin", origin)], Some(403));
        }
        for site in ["cross-site", "same-site"] {
            check_headers(&[json, ("sec-fetch-site", site)], Some(403));
        }
        check_headers(&[], Some(415));
        check_headers(&[("content-type", "text/plain")], Some(415));
    }
}
