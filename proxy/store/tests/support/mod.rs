//! A store on a free loopback port, and a client that signs like the SDKs.
#![allow(dead_code, missing_docs)]

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use blobfish_store::{Location, Options, Store};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use md5::Digest as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::oneshot;

pub(crate) const ACCESS: &str = "AKTEST";
pub(crate) const SECRET: &str = "test-secret";

pub(crate) fn build_options(location: Location) -> Options {
    Options { location, access_key: ACCESS.to_owned(), secret_key: SECRET.into() }
}

pub(crate) struct TestServer {
    pub client: TestClient,
    shutdown: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

impl TestServer {
    pub(crate) async fn start(location: Location) -> Self {
        Self::with_store(Store::open(build_options(location)).unwrap()).await
    }

    pub(crate) async fn with_store(store: Store) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TestClient::new(listener.local_addr().unwrap());
        let (shutdown, is_stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            Arc::new(store).serve(listener, async { drop(is_stopped.await) }).await.unwrap();
        });
        Self { client, shutdown: Some(shutdown), task }
    }

    /// Ends the server and closes the store.
    pub(crate) async fn stop(mut self) {
        self.shutdown.take().unwrap().send(()).unwrap();
        drop(self.client);
        self.task.await.unwrap();
    }
}

#[derive(Clone)]
pub(crate) struct TestClient {
    pub address: SocketAddr,
    http: Client<HttpConnector, BoxBody<Bytes, std::io::Error>>,
    pub access_key: String,
    pub secret_key: String,
}

#[derive(Debug)]
pub(crate) struct TestResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl TestResponse {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Every text of an element.
    pub(crate) fn element_texts(&self, name: &str) -> Vec<String> {
        let text = self.text();
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        text.split(&open).skip(1).map(|rest| unescape_xml(rest.split(&close).next().unwrap())).collect()
    }

    pub(crate) fn element_text(&self, name: &str) -> String {
        self.element_texts(name).first().cloned().unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn expect_success(self) -> Self {
        assert!(self.status.is_success(), "{} {}", self.status, self.text());
        self
    }

    #[track_caller]
    pub(crate) fn expect_error(self, status: u16, code: &str) -> Self {
        assert_eq!(
            (self.status.as_u16(), self.element_text("Code").as_str()),
            (status, code),
            "{}",
            self.text()
        );
        self
    }
}

fn unescape_xml(text: &str) -> String {
    let mut text = text.to_owned();
    for code in (1..0x20).rev() {
        let character = char::from_u32(code).unwrap().to_string();
        text = text.replace(&format!("&#x{code:X};"), &character);
    }
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

/// Percent-encodes as the canonical request of SigV4 does, keeping `/`.
pub(crate) fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

pub(crate) fn percent_decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

pub(crate) fn compute_md5_hex(body: &[u8]) -> String {
    md5::Md5::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn compute_md5_base64(body: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(body))
}

pub(crate) fn full_body(body: &[u8]) -> BoxBody<Bytes, std::io::Error> {
    Full::new(Bytes::copy_from_slice(body)).map_err(|never| match never {}).boxed()
}

impl TestClient {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let http = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Self { address, http, access_key: ACCESS.to_owned(), secret_key: SECRET.to_owned() }
    }

    /// `path` is the unencoded bucket and key; `query` is already encoded.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> TestResponse {
        self.send_signed(method, path, query, headers, SignableBody::Bytes(body), full_body(body)).await
    }

    pub(crate) async fn send_signed(
        &self,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(&str, &str)],
        signed: SignableBody<'_>,
        body: BoxBody<Bytes, std::io::Error>,
    ) -> TestResponse {
        let request = self.build_request(method, path, query, headers, signed, body);
        self.send_raw(request).await
    }

    pub(crate) fn build_request(
        &self,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(&str, &str)],
        signed: SignableBody<'_>,
        body: BoxBody<Bytes, std::io::Error>,
    ) -> Request<BoxBody<Bytes, std::io::Error>> {
        let question = if query.is_empty() { "" } else { "?" };
        let uri = format!("http://{}/{}{question}{query}", self.address, percent_encode(path));
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let identity = Credentials::new(&self.access_key, &self.secret_key, None, None, "test").into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let signable = SignableRequest::new(method, &uri, headers.iter().copied(), signed).unwrap();
        let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
        let mut request = Request::builder().method(method).uri(&uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body).unwrap();
        instructions.apply_to_request_http1x(&mut request);
        request
    }

    pub(crate) async fn send_raw(&self, request: Request<BoxBody<Bytes, std::io::Error>>) -> TestResponse {
        let response = self.http.request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        TestResponse { status: head.status, headers: head.headers, body }
    }

    /// The response head. The body is not read yet.
    pub(crate) async fn send_for_head(
        &self,
        request: Request<BoxBody<Bytes, std::io::Error>>,
    ) -> http::Response<hyper::body::Incoming> {
        self.http.request(request).await.unwrap()
    }

    pub(crate) async fn put_object(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> TestResponse {
        self.send("PUT", path, "", headers, body).await
    }

    pub(crate) async fn get_object(&self, path: &str, headers: &[(&str, &str)]) -> TestResponse {
        self.send("GET", path, "", headers, b"").await
    }

    pub(crate) async fn head_object(&self, path: &str, headers: &[(&str, &str)]) -> TestResponse {
        self.send("HEAD", path, "", headers, b"").await
    }

    pub(crate) async fn delete_object(&self, path: &str, query: &str) -> TestResponse {
        self.send("DELETE", path, query, &[], b"").await
    }

    /// Copies `source` (unencoded bucket and key).
    pub(crate) async fn copy_object(
        &self,
        source: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> TestResponse {
        let source = percent_encode(source);
        let mut all = vec![("x-amz-copy-source", source.as_str())];
        all.extend_from_slice(headers);
        self.put_object(target, &all, b"").await
    }

    pub(crate) async fn begin_upload(&self, path: &str, headers: &[(&str, &str)]) -> String {
        self.send("POST", path, "uploads=", headers, b"").await.expect_success().element_text("UploadId")
    }

    pub(crate) async fn upload_part(
        &self,
        path: &str,
        id: &str,
        number: u32,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> TestResponse {
        self.send("PUT", path, &format!("partNumber={number}&uploadId={id}"), headers, body).await
    }

    pub(crate) async fn complete_upload(
        &self,
        path: &str,
        id: &str,
        parts: &[(u32, &str)],
        headers: &[(&str, &str)],
    ) -> TestResponse {
        let part = |(number, etag): &(u32, &str)| {
            format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>",
                etag.replace('"', "&quot;")
            )
        };
        let parts: String = parts.iter().map(part).collect();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        self.send("POST", path, &format!("uploadId={id}"), headers, body.as_bytes()).await
    }

    pub(crate) async fn set_versioning(&self, bucket: &str, status: &str) {
        let body = format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
        self.send("PUT", bucket, "versioning=", &[], body.as_bytes()).await.expect_success();
    }
}

/// Keys that break code which treats them as paths, URLs, forms or XML.
pub(crate) fn build_hostile_keys() -> Vec<String> {
    let mut keys: Vec<String> = [
        "a b",
        "a+b",
        "a%b",
        "a%2Bb",
        "a%20b",
        "100%",
        "why?.png",
        "why?versionId=null",
        "?",
        "\u{6587}\u{4ef6}/\u{4ef6}.txt",
        "a//b",
        "//",
        "/",
        "/lead",
        "//x",
        "a/./b",
        "a/../b",
        "..",
        ".",
        "../../etc/passwd",
        "trailing/",
        "tab\there",
        "new\nline",
        "cr\rlf\n",
        "ctl\u{1}\u{1f}\u{7f}",
        "a&b<c>\"d'",
        "!$'()*;:@=,[]{}|\\^`~#",
        "\u{1f41f}",
        "e\u{301}",
        "\u{e9}",
        " leading",
        "trailing ",
        "arn:aws:s3:::x/y",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    keys.push("k".repeat(1024));
    keys.push(format!("{}k", "\u{6587}".repeat(341)));
    keys
}
