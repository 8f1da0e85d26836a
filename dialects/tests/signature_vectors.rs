//! Signature vectors from the vendors' documents and SDKs. Each must verify, and must not verify after any signed
//! byte is changed. `SOURCE` in each folder names the origin.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::path::{Path, PathBuf};

use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::dialect::addressing;
use blobfish_dialects::dialect::signature::VerifyOptions;
use blobfish_dialects::model::{RawHead, Rejection, Timestamp};
use blobfish_dialects::translator::request_text::parse_request_head;
use blobfish_dialects::{find_dialect, list_configurable_dialects};
use secrecy::SecretString;

struct SignatureVector {
    name: String,
    dialect: &'static Dialect,
    head: RawHead,
    secret: SecretString,
    now: Timestamp,
}

impl SignatureVector {
    fn has_unsigned_filters(&self) -> bool {
        self.name.contains("/v1-") || self.name.contains("/v2-") && self.dialect.name == "s3"
    }

    fn verify_signature(
        &self,
        head: &RawHead,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let auth = self.dialect.auth;
        let place = addressing::locate_resource(head, self.dialect, blobfish_dialects::DIALECTS, &[])?;
        let claim = auth.parse_claim(head)?.ok_or_else(|| {
            Rejection::with_message(blobfish_dialects::model::ErrorKind::AnonymousDenied, "")
        })?;
        auth.verify(head, &claim, &place, secret, &VerifyOptions { now, requires_all_signed: false })
            .map(drop)
    }
}

#[test]
fn each_vector_verifies() {
    let vectors = load_vectors();
    assert!(vectors.len() >= 55, "{} vectors", vectors.len());
    for vector in vectors {
        let verified = vector.verify_signature(&vector.head, &vector.secret, vector.now);
        assert_eq!(verified, Ok(()), "{}", vector.name);
    }
}

#[test]
fn another_secret_or_another_time_does_not_verify() {
    for vector in load_vectors() {
        let other = SecretString::from("another-secret");
        assert!(vector.verify_signature(&vector.head, &other, vector.now).is_err(), "{}", vector.name);
        for seconds in [-700_000, 700_000] {
            let now = Timestamp(vector.now.0 + seconds);
            assert!(
                vector.verify_signature(&vector.head, &vector.secret, now).is_err(),
                "{} at {seconds}",
                vector.name
            );
        }
    }
}

#[test]
fn a_changed_method_path_or_parameter_does_not_verify() {
    for vector in load_vectors() {
        let expect_rejection = |change: &str, head: &RawHead| {
            let verified = vector.verify_signature(head, &vector.secret, vector.now);
            assert!(verified.is_err(), "{}: {change}", vector.name);
        };
        let mut head = vector.head.clone();
        head.method = if head.method == "GET" { "HEAD".to_owned() } else { "GET".to_owned() };
        expect_rejection("method", &head);

        let mut head = vector.head.clone();
        head.path.push('x');
        expect_rejection("path", &head);

        let query = vector.head.query.as_deref().unwrap_or_default().to_owned();
        for (at, pair) in query.split('&').enumerate().filter(|(_, pair)| pair.contains('=')) {
            let name = pair.split('=').next().unwrap();
            if is_key_parameter(&vector, pair) || (FILTERS.contains(&name) && vector.has_unsigned_filters()) {
                continue;
            }
            let mut pairs: Vec<String> = query.split('&').map(str::to_owned).collect();
            pairs[at].push('x');
            let mut head = vector.head.clone();
            head.query = Some(pairs.join("&")).into();
            expect_rejection(name, &head);
        }
    }
}

/// The parameter with the access key ID. Another ID selects another secret, which this test does not have.
fn is_key_parameter(vector: &SignatureVector, pair: &str) -> bool {
    let claim = vector.dialect.auth.parse_claim(&vector.head).unwrap().unwrap();
    pair.split_once('=').is_some_and(|(_, value)| value == claim.access_key_id)
}

/// Parameters that versions 1 and 2 do not sign: they only filter a page.
const FILTERS: [&str; 4] = ["prefix", "marker", "max-keys", "delimiter"];

#[test]
fn a_changed_signature_does_not_verify() {
    for vector in load_vectors() {
        let at = vector.head.headers.iter().position(|row| row.0 == "authorization");
        if let Some(at) = at {
            let text = String::from_utf8(vector.head.headers[at].1.clone()).unwrap();
            let from = text.rfind(['=', ':']).unwrap();
            // Base64 may end with '=': the signature begins after the last separator that is not padding.
            let from = if from + 1 == text.len() { text.rfind(':').unwrap() } else { from };
            for position in from + 1..text.len() {
                let mut changed = text.clone().into_bytes();
                if changed[position] == b'=' {
                    continue;
                }
                changed[position] = if changed[position] == b'0' { b'1' } else { b'0' };
                let mut head = vector.head.clone();
                head.headers[at].1 = changed;
                let verified = vector.verify_signature(&head, &vector.secret, vector.now);
                assert!(verified.is_err(), "{}: signature byte {position}", vector.name);
            }
        }
    }
}

#[test]
fn a_changed_signed_header_does_not_verify() {
    let mut changes = 0;
    for vector in load_vectors() {
        let prefix = vector.dialect.header_prefix;
        for (at, (name, value)) in vector.head.headers.iter().enumerate() {
            let nothing_signed = vector.name.contains("v7-nothing");
            if !(name.starts_with(prefix) || name == "content-md5") || nothing_signed {
                continue;
            }
            let mut head = vector.head.clone();
            head.headers[at].1 = [value.as_slice(), b"x"].concat();
            let verified = vector.verify_signature(&head, &vector.secret, vector.now);
            assert!(verified.is_err(), "{}: {name}", vector.name);
            changes += 1;
        }
    }
    assert!(changes > 60, "{changes} headers were changed");
}

/// Replaces every byte of every signed header.
#[test]
fn a_changed_byte_in_a_signed_header_does_not_verify() {
    let (mut headers, mut changes) = (0, 0);
    for vector in load_vectors() {
        for (at, (name, value)) in vector.head.headers.iter().enumerate() {
            let with = |value: Vec<u8>| {
                let mut head = vector.head.clone();
                head.headers[at].1 = value;
                vector.verify_signature(&head, &vector.secret, vector.now)
            };
            let is_signed = with([value.as_slice(), b"x"].concat()).is_err();
            if matches!(name.as_str(), "host" | "authorization") || !is_signed {
                continue;
            }
            headers += 1;
            for position in 0..value.len() {
                for byte in *b"\t 0Aa-\x80\xa0\xbf\xc3\xe9\xff" {
                    if value[position] == byte {
                        continue;
                    }
                    let mut changed = value.clone();
                    changed[position] = byte;
                    assert!(with(changed).is_err(), "{}: {name} at {position}: {byte:#x}", vector.name);
                    changes += 1;
                }
            }
        }
    }
    assert!(headers > 60 && changes > 20_000, "{headers} headers, {changes} changes");
}

fn load_vectors() -> Vec<SignatureVector> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let mut vectors = Vec::new();
    for dialect in list_configurable_dialects().into_iter().map(|dialect| dialect.name) {
        for folder in list_folders(&root.join(dialect)) {
            assert!(folder.join("SOURCE").exists(), "{folder:?} has no file SOURCE");
            let context: serde_json::Value =
                serde_json::from_str(&fs::read_to_string(folder.join("context.json")).unwrap()).unwrap();
            vectors.push(SignatureVector {
                name: format!("{dialect}/{}", folder.file_name().unwrap().to_string_lossy()),
                dialect: find_dialect(dialect, None).unwrap(),
                head: parse_request_head(&fs::read_to_string(folder.join("request.http")).unwrap()).unwrap(),
                secret: SecretString::from(context["secret"].as_str().unwrap()),
                now: Timestamp(context["now"].as_i64().unwrap()),
            });
        }
    }
    vectors
}

fn list_folders(root: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}
