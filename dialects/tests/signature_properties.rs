//! The proxy's signatures are accepted by the verifier of the same dialect, and a signed request cannot be changed.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::sync::LazyLock;

use blobfish_dialects::DIALECTS;
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::dialect::signature::{Auth, ResourceAddress, VerifyOptions};
use blobfish_dialects::encoding::percent;
use blobfish_dialects::model::{
    Credentials, ErrorKind, OutgoingRequest, PayloadHash, RawHead, Rejection, RequestScope, Timestamp,
};
use proptest::prelude::*;
use secrecy::SecretString;

const NOW: Timestamp = Timestamp(1_767_323_045);

fn build_credentials(token: bool) -> Credentials {
    Credentials {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_key: SecretString::from("secret/of+ours"),
        session_token: token.then(|| SecretString::from("tok/en+1==")),
    }
}

/// The request as a target receives it.
fn to_raw_head(outgoing: &OutgoingRequest) -> RawHead {
    let target = outgoing.request_target();
    let query = target.split_once('?').map(|(_, query)| query.to_owned());
    RawHead {
        method: outgoing.method.to_owned(),
        path: outgoing.path.clone(),
        query: query.into(),
        headers: outgoing.headers.clone(),
        over_tls: false,
    }
}

fn verify_signature(auth: &dyn Auth, head: &RawHead, bucket: &str, key: &str) -> Result<(), Rejection> {
    let scope = RequestScope::Object { bucket: bucket.to_owned(), key: key.to_owned() };
    let place = ResourceAddress { scope, virtual_host: true };
    let claim = auth.parse_claim(head)?.ok_or(ErrorKind::AnonymousDenied)?;
    let terms = VerifyOptions { now: NOW, requires_all_signed: true };
    auth.verify(head, &claim, &place, &build_credentials(false).secret_key, &terms).map(drop)
}

fn sign_request(auth: &dyn Auth, prefix: &str, parts: &RequestParts) -> OutgoingRequest {
    let mut headers: Vec<(String, Vec<u8>)> =
        parts.headers.iter().map(|(name, value)| (format!("{prefix}{name}"), value.clone())).collect();
    headers.sort();
    headers.dedup_by(|one, other| one.0 == other.0);
    let mut query = parts.query.clone();
    query.sort();
    query.dedup_by(|one, other| one.0.eq_ignore_ascii_case(&other.0));
    let mut outgoing = OutgoingRequest {
        method: "PUT",
        host: "bucket.example.localhost:9000".to_owned(),
        scope: RequestScope::Object { bucket: "bucket".to_owned(), key: parts.key.clone() },
        path: format!("/{}", percent::encode_path(&parts.key)),
        query,
        headers,
        body: Vec::new(),
        payload_hash: PayloadHash::Unsigned,
        is_long_running: false,
    };
    auth.sign(&mut outgoing, &build_credentials(parts.token), "region-1", NOW);
    outgoing
}

#[derive(Debug, Clone)]
struct RequestParts {
    key: String,
    query: Vec<(String, Option<String>)>,
    headers: Vec<(String, Vec<u8>)>,
    token: bool,
}

fn generate_parts() -> impl Strategy<Value = RequestParts> {
    let text = "[ -~腾é]{0,12}";
    let query = prop::collection::vec(("p[a-zA-Z0-9_-]{0,8}", prop::option::of(text)), 0..4);
    // A header may contain any byte except control characters.
    let byte = prop_oneof![4 => 0x20_u8..=0x7e, 1 => 0x80_u8.., 1 => Just(b'\t')];
    let value = prop::collection::vec(byte, 1..16);
    let headers = prop::collection::vec(("[a-z][a-z0-9-]{0,10}", value), 0..4);
    ("[ -~腾é]{1,24}", query, headers, any::<bool>()).prop_map(|(key, query, headers, token)| {
        // White space around a value is not part of it.
        let headers =
            headers.into_iter().map(|(name, value)| (format!("meta-{name}"), value.trim_ascii().to_vec()));
        RequestParts { key, query, headers: headers.collect(), token }
    })
}

/// Every signature for targets, with the header prefix of its dialect.
static SCHEMES: LazyLock<Vec<(&dyn Auth, &str)>> = LazyLock::new(|| {
    let list = |dialect: &'static Dialect| match dialect.signing_versions {
        [] => vec![(dialect.auth, dialect.header_prefix)],
        versions => versions.iter().map(|row| (row.1, dialect.header_prefix)).collect(),
    };
    let first_of_family = DIALECTS.iter().filter(|dialect| dialect.name == dialect.family);
    first_of_family.flat_map(|dialect| list(dialect)).collect()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_proxys_signatures_verify(parts in generate_parts(), scheme in 0..SCHEMES.len()) {
        let (auth, prefix) = SCHEMES[scheme];
        let outgoing = sign_request(auth, prefix, &parts);
        let verified = verify_signature(auth, &to_raw_head(&outgoing), "bucket", &parts.key);
        prop_assert_eq!(verified, Ok(()));
    }

    /// Signatures match for any bytes, including those that are not UTF-8.
    #[test]
    fn any_changed_signed_byte_is_rejected(
        parts in generate_parts(),
        scheme in 0..SCHEMES.len(),
        which in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
        new in prop_oneof![Just(b'\t'), 0x20_u8..=0x7e, 0x80_u8..],
    ) {
        let (auth, prefix) = SCHEMES[scheme];
        let outgoing = sign_request(auth, prefix, &parts);
        let mut head = to_raw_head(&outgoing);
        let own: Vec<usize> = head
            .headers
            .iter()
            .enumerate()
            .filter(|(_, row)| row.0.starts_with(prefix) && !row.1.is_empty())
            .map(|(at, _)| at)
            .collect();
        prop_assume!(!own.is_empty());
        let at = own[which.index(own.len())];
        let value = &mut head.headers[at].1;
        let position = byte.index(value.len());
        prop_assume!(value[position] != new);
        value[position] = new;
        prop_assert!(verify_signature(auth, &head, "bucket", &parts.key).is_err(), "{}", head.headers[at].0);
    }

    #[test]
    fn another_key_or_bucket_is_rejected(parts in generate_parts(), scheme in 0..SCHEMES.len()) {
        let (auth, prefix) = SCHEMES[scheme];
        let mut head = to_raw_head(&sign_request(auth, prefix, &parts));
        let other = parts.key.clone() + "x";
        head.path = format!("/{}", percent::encode_path(&other));
        let rejected = verify_signature(auth, &head, "bucket", &other).is_err();
        prop_assert!(rejected);
    }

    #[test]
    fn malformed_credentials_never_panic(line in "[ -~]{0,120}", query in "[ -~&&[^ #]]{0,120}") {
        for (auth, _) in SCHEMES.iter().copied() {
            for start in ["", "AWS4-HMAC-SHA256 ", "AWS ", "OSS ", "OSS4-HMAC-SHA256 ", "q-sign-algorithm=sha1&"] {
                let head = RawHead {
                    method: "GET".to_owned(),
                    path: "/k".to_owned(),
                    query: Some(query.clone()).into(),
                    headers: vec![
                        ("host".to_owned(), b"bucket.example".to_vec()),
                        ("authorization".to_owned(), format!("{start}{line}").into_bytes()),
                    ],
                    over_tls: false,
                };
                prop_assert!(verify_signature(auth, &head, "bucket", "k").is_err());
            }
        }
    }
}

/// A header of the dialect that was added after signing, and a second credential.
#[test]
fn a_header_that_is_added_after_signing_is_rejected() {
    let parts = RequestParts { key: "k".to_owned(), query: Vec::new(), headers: Vec::new(), token: false };
    for (auth, prefix) in SCHEMES.iter().copied() {
        let head = to_raw_head(&sign_request(auth, prefix, &parts));
        assert_eq!(verify_signature(auth, &head, "bucket", "k"), Ok(()));
        for name in ["copy-source", "acl", "metadata-directive", "storage-class", "meta-a"] {
            let mut added = head.clone();
            added.headers.push((format!("{prefix}{name}"), b"x".to_vec()));
            assert!(verify_signature(auth, &added, "bucket", "k").is_err(), "{prefix}{name}");
        }
        let mut twice = head.clone();
        let authorization = twice.headers.iter().find(|row| row.0 == "authorization").unwrap().clone();
        twice.headers.push(authorization);
        let rejected = verify_signature(auth, &twice, "bucket", "k").unwrap_err();
        assert_eq!(rejected.kind, ErrorKind::SeveralCredentials, "{prefix}");
        let mut appended = head.clone();
        appended.query = Some("acl".to_owned()).into();
        assert!(verify_signature(auth, &appended, "bucket", "k").is_err(), "{prefix} ?acl");
    }
}

/// A lossy decoder maps different invalid bytes to U+FFFD; signatures must not treat them as equal.
#[test]
fn different_invalid_bytes_have_different_signatures() {
    let value = "a\u{fffd}b".as_bytes().to_vec();
    let headers = vec![("meta-a".to_owned(), value.clone())];
    let parts = RequestParts { key: "k".to_owned(), query: Vec::new(), headers, token: false };
    for (auth, prefix) in SCHEMES.iter().copied() {
        let head = to_raw_head(&sign_request(auth, prefix, &parts));
        assert_eq!(verify_signature(auth, &head, "bucket", "k"), Ok(()), "{prefix}: as it was signed");
        for other in [&b"a\xffb"[..], b"a\xfeb", b"a\xe2\x82b", b"a\xc3b", b"a\xed\xa0\x80b"] {
            let mut changed = head.clone();
            changed.headers.iter_mut().filter(|row| row.1 == value).for_each(|row| row.1 = other.to_vec());
            assert!(verify_signature(auth, &changed, "bucket", "k").is_err(), "{prefix}: {other:x?}");
        }
        // Bytes that are not UTF-8 are signed unchanged.
        let latin = vec![("meta-a".to_owned(), b"caf\xe9".to_vec())];
        let head =
            to_raw_head(&sign_request(auth, prefix, &RequestParts { headers: latin, ..parts.clone() }));
        assert_eq!(verify_signature(auth, &head, "bucket", "k"), Ok(()), "{prefix}: Latin-1");
    }
}
