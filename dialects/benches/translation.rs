//! The time that one request takes in this crate, and that of its parts. Run with
//! `cargo bench -p blobfish-dialects --bench translation`.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod requests;

use std::fs;
use std::path::{Path, PathBuf};

use blobfish_dialects::dialect::addressing;
use blobfish_dialects::dialect::signature::{Payload, VerifyOptions};
use blobfish_dialects::engine::body_verifier::{BodyVerifier, DigestsToCompute};
use blobfish_dialects::model::{
    Credentials, Operation, OutgoingRequest, PayloadHash, RawHead, Request, RequestScope, Timestamp,
};
use blobfish_dialects::translator::explain::explain;
use blobfish_dialects::translator::request_text::parse_request_head;
use blobfish_dialects::{DIALECTS, find_dialect};
use bytes::Bytes;
use divan::{Bencher, black_box};
use requests::SampleRequest;
use secrecy::SecretString;

fn main() {
    divan::main();
}

fn test_folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests").join(name)
}

/// One vector of each signature scheme.
const VECTORS: &[&str] =
    &["cos/v5-put", "oss/v1-h1-get", "oss/v4-h1-get", "s3/v4-published-get", "s3/v2-published-get"];

fn load_vector(name: &str) -> Option<(RawHead, SecretString, Timestamp)> {
    let folder = test_folder("vectors").join(name);
    let head = parse_request_head(&fs::read_to_string(folder.join("request.http")).ok()?)?;
    let context = fs::read_to_string(folder.join("context.json")).ok()?;
    let context: serde_json::Value = serde_json::from_str(&context).ok()?;
    let secret = SecretString::from(context["secret"].as_str()?);
    Some((head, secret, Timestamp(context["now"].as_i64()?)))
}

#[divan::bench(args = VECTORS)]
fn verify_signature(bencher: Bencher<'_, '_>, name: &str) {
    let (head, secret, now) = load_vector(name).unwrap_or_else(|| panic!("no vector {name}"));
    let dialect = find_dialect(name.split('/').next().unwrap(), None).unwrap();
    bencher.bench_local(|| {
        let address = addressing::locate_resource(black_box(&head), dialect, DIALECTS, &[]).unwrap();
        let claim = dialect.auth.parse_claim(&head).unwrap().unwrap();
        let options = VerifyOptions { now, requires_all_signed: false };
        dialect.auth.verify(&head, &claim, &address, &secret, &options).unwrap()
    });
}

/// The golden case of a COS copy, translated into each dialect.
#[divan::bench(args = ["s3", "jdcloud", "cos", "oss"])]
fn translate_copy(bencher: Bencher<'_, '_>, target: &str) {
    let text = fs::read_to_string(test_folder("cases/cos-copy-01-simple/request.http")).unwrap();
    let (cos, target) = (find_dialect("cos", None).unwrap(), find_dialect(target, None).unwrap());
    bencher.bench_local(|| explain(black_box(&text), cos, target).unwrap());
}

/// Each request of `requests`, from the client's signed head to its response.
#[divan::bench(args = requests::NAMES)]
fn process_request(bencher: Bencher<'_, '_>, name: &str) {
    let sample = SampleRequest::load(name);
    bencher.bench_local(|| black_box(&sample).process());
}

/// The result of a copy: the target's document is read, and that of the client is written.
#[divan::bench]
fn copy_result(bencher: Bencher<'_, '_>) {
    let sample = SampleRequest::load("part-copy");
    bencher.with_inputs(|| sample.start_copy()).bench_local_values(|exchange| sample.finish_copy(exchange));
}

/// A settings document, translated into each dialect.
#[divan::bench(args = ["s3", "cos", "oss"])]
fn translate_settings(bencher: Bencher<'_, '_>, target: &str) {
    let text = "PUT /?cors HTTP/1.1\nhost: photos-1250000000.cos.ap-guangzhou.myqcloud.com\n\n\
        <CORSConfiguration><CORSRule><AllowedOrigin>https://app.example</AllowedOrigin>\
        <AllowedMethod>PUT</AllowedMethod><AllowedHeader>*</AllowedHeader><MaxAgeSeconds>600</MaxAgeSeconds>\
        </CORSRule></CORSConfiguration>";
    let (cos, target) = (find_dialect("cos", None).unwrap(), find_dialect(target, None).unwrap());
    bencher.bench_local(|| explain(black_box(text), cos, target).unwrap());
}

/// The signature of a request to a target.
#[divan::bench(args = ["s3", "jdcloud", "cos", "oss"])]
fn sign_request(bencher: Bencher<'_, '_>, dialect: &str) {
    let auth = find_dialect(dialect, None).unwrap().auth;
    let credentials = Credentials {
        access_key_id: "AKIDOFTHEPROXY".to_owned(),
        secret_key: SecretString::from("secretOfTheProxy0123456789abcdefghijklmno"),
        session_token: None,
    };
    let request = OutgoingRequest {
        method: "PUT",
        host: "photos-1250000000.storage.example".to_owned(),
        scope: RequestScope::Object {
            bucket: "photos-1250000000".to_owned(),
            key: "2026/beach-001.jpg".to_owned(),
        },
        path: "/2026/beach-001.jpg".to_owned(),
        query: vec![
            ("partNumber".to_owned(), Some("7".to_owned())),
            ("uploadId".to_owned(), Some("u".to_owned())),
        ],
        headers: vec![("content-length".to_owned(), b"1024".to_vec())],
        body: Vec::new(),
        payload_hash: PayloadHash::Unsigned,
        is_long_running: false,
    };
    bencher.with_inputs(|| request.clone()).bench_local_values(|mut request| {
        auth.sign(&mut request, &credentials, "cn-hangzhou", Timestamp(1_767_323_045));
        request
    });
}

/// The verification of a body of 1 MiB, by digest.
#[divan::bench(args = ["none", "crc64", "md5", "crc64_nvme"])]
fn verify_body(bencher: Bencher<'_, '_>, digest: &str) {
    let dialect = find_dialect("s3", None).unwrap();
    let scope = RequestScope::Object { bucket: "b".to_owned(), key: "k".to_owned() };
    let body = Bytes::from(vec![b'x'; 1 << 20]);
    let request = Request { body_length: Some(1 << 20), ..Request::new(Operation::PutObject, scope) };
    bencher.counter(divan::counter::BytesCount::new(body.len())).bench_local(|| {
        let digests_to_compute = DigestsToCompute {
            crc64: digest == "crc64",
            md5: digest == "md5",
            crc64_nvme: digest == "crc64_nvme",
        };
        let mut verifier =
            BodyVerifier::new(dialect, Payload::Unsigned, &request, digests_to_compute).unwrap();
        for start in (0..body.len()).step_by(64 * 1024) {
            let chunk = body.slice(start..body.len().min(start + 64 * 1024));
            black_box(verifier.push(&chunk).unwrap());
        }
        verifier.finish().unwrap()
    });
}
