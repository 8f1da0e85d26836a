//! The cost of one request in this crate: verifying a signature of each scheme, and translating a copy. Run with
//! `cargo bench -p blobfish-dialects`.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::fs;
use std::path::{Path, PathBuf};

use blobfish_dialects::dialect::addressing;
use blobfish_dialects::dialect::signature::VerifyOptions;
use blobfish_dialects::model::{RawHead, Timestamp};
use blobfish_dialects::translator::explain::explain;
use blobfish_dialects::translator::request_text::parse_request_head;
use blobfish_dialects::{DIALECTS, find_dialect};
use divan::{Bencher, black_box};
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
