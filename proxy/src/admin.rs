//! The operators' listener: metrics, health, and what there is.

use std::sync::Arc;

use async_trait::async_trait;
use http::Response;
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use tokio::sync::watch;

use crate::copies::COPIES;
use crate::metrics::METRICS;

const PAGE: &str = include_str!("admin.html");

/// The application behind the admin listener.
pub struct Admin {
    /// Whether requests are served: false until the listeners stand, and again once they are closing.
    pub ready: Arc<watch::Sender<bool>>,
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        match (head.method.as_str(), head.uri.path()) {
            ("GET" | "HEAD", "/metrics") => answer(200, "text/plain; version=0.0.4", METRICS.text()),
            ("GET" | "HEAD", "/healthz") => answer(200, "text/plain", "ok\n"),
            ("GET" | "HEAD", "/readyz") if *self.ready.borrow() => answer(200, "text/plain", "ready\n"),
            ("GET" | "HEAD", "/readyz") => answer(503, "text/plain", "not ready\n"),
            ("GET" | "HEAD", "/api/copies") => answer(200, "application/json", COPIES.list().to_string()),
            ("GET" | "HEAD", "/") => answer(200, "text/html; charset=utf-8", PAGE),
            ("GET" | "HEAD", _) => answer(404, "text/plain", "there is no such page\n"),
            _ => answer(405, "text/plain", "GET or HEAD\n"),
        }
    }
}

fn answer(status: u16, kind: &'static str, body: impl Into<Vec<u8>>) -> Response<Vec<u8>> {
    let body = body.into();
    let response = Response::builder()
        .status(status)
        .header("content-type", kind)
        .header("content-length", body.len())
        .header("cache-control", "no-store")
        .header("x-content-type-options", "nosniff")
        .header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'");
    response.body(body).unwrap_or_default()
}
