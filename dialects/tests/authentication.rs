//! Authentication: the dialect of a request, the bucket that it addresses, and which credentials are accepted.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use blobfish_dialects::authentication::authenticate::{
    AuthenticatedRequest, CallerCredentials, CredentialStore, ListenerDialects, RejectedRequest,
    authenticate_request,
};
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::dialect::signature::Auth;
use blobfish_dialects::model::{
    Credentials, ErrorKind, Operation, OutgoingRequest, PayloadHash, RawHead, RawQuery, RequestScope,
    Timestamp,
};
use blobfish_dialects::translator::request_text::parse_request_head;
use blobfish_dialects::{DIALECTS, cos, oss, s3};
use secrecy::SecretString;

const NOW: Timestamp = Timestamp(1_767_323_045);

struct TestKeys {
    secret: SecretString,
    token: Option<SecretString>,
    strict: bool,
    schemes: Vec<String>,
}

impl TestKeys {
    fn new() -> Self {
        Self { secret: SecretString::from("secret"), token: None, strict: false, schemes: Vec::new() }
    }
}

impl CredentialStore for TestKeys {
    fn find_credentials(&self, access_key: &str) -> Option<CallerCredentials<'_>> {
        (access_key == "AKID").then_some(CallerCredentials {
            secret_key: &self.secret,
            session_token: self.token.as_ref(),
            strict_dialects: if self.strict { &["cos"] } else { &[] },
            schemes: &self.schemes,
        })
    }

    fn is_anonymous_read(&self, bucket: &str) -> bool {
        bucket == "open"
    }
}

fn build_listener_hosts() -> ListenerDialects {
    ListenerDialects {
        dialects: DIALECTS,
        default_dialect: &s3::S3,
        base_domains: vec!["storage.example.internal".to_owned()],
    }
}

fn build_scope(bucket: Option<&str>, key: Option<&str>) -> RequestScope {
    match (bucket.map(str::to_owned), key.map(str::to_owned)) {
        (None, _) => RequestScope::Service,
        (Some(bucket), None) => RequestScope::Bucket(bucket),
        (Some(bucket), Some(key)) => RequestScope::Object { bucket, key },
    }
}

/// A signed request to a host, from the proxy's own signer.
fn sign_request(
    auth: &dyn Auth,
    host: &str,
    bucket: Option<&str>,
    key: Option<&str>,
    path: &str,
    access_key: &str,
) -> RawHead {
    let mut outgoing = OutgoingRequest {
        method: "GET",
        host: host.to_owned(),
        scope: build_scope(bucket, key),
        path: path.to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        body: Vec::new(),
        payload_hash: PayloadHash::Unsigned,
        is_long_running: false,
    };
    let credentials = Credentials {
        access_key_id: access_key.to_owned(),
        secret_key: SecretString::from("secret"),
        session_token: None,
    };
    auth.sign(&mut outgoing, &credentials, "r", NOW);
    RawHead {
        method: "GET".to_owned(),
        path: path.to_owned(),
        query: RawQuery::default(),
        headers: outgoing.headers,
        over_tls: false,
    }
}

fn authenticate(head: &RawHead, keys: &TestKeys) -> Result<AuthenticatedRequest, RejectedRequest> {
    authenticate_request(head, &build_listener_hosts(), keys, NOW)
}

#[test]
fn the_credential_determines_the_dialect_and_the_host_the_profile() {
    let rows: [(&dyn Auth, &str, &str); 6] = [
        (&s3::auth::AUTH, "b.s3.localhost:9000", "s3"),
        (&s3::auth::AUTH, "b.s3.us-west-2.amazonaws.com", "s3"),
        (&s3::auth::AUTH, "b.s3.cn-north-1.jdcloud-oss.com", "jdcloud"),
        (&s3::auth::AUTH, "b.s3.cn-north-1.jcloudcs.com", "jdcloud"),
        (&cos::auth::AUTH, "b.cos.ap-guangzhou.myqcloud.com", "cos"),
        (&oss::auth::AUTH, "b.oss-cn-hangzhou.aliyuncs.com", "oss"),
    ];
    for (auth, host, name) in rows {
        let head = sign_request(auth, host, Some("b"), Some("k"), "/k", "AKID");
        let accepted = authenticate(&head, &TestKeys::new()).unwrap();
        assert_eq!(accepted.dialect.name, name, "{host}");
        assert_eq!(accepted.request.operation, Operation::GetObject);
        assert_eq!(accepted.request.scope.bucket(), Some("b"));
    }
}

#[test]
fn a_request_without_a_credential_is_rejected_in_its_own_dialect() {
    for (text, name) in [
        ("GET /k HTTP/1.1\nHost: b.cos.ap-guangzhou.myqcloud.com\n", "cos"),
        ("GET /b/k HTTP/1.1\nHost: 127.0.0.1:9000\nx-oss-date: x\n", "oss"),
        ("GET /b/k HTTP/1.1\nHost: 127.0.0.1:9000\n", "s3"),
        ("GET /k HTTP/1.1\nHost: b.s3.cn-north-1.jdcloud-oss.com\n", "jdcloud"),
    ] {
        let rejected = authenticate(&parse_request_head(text).unwrap(), &TestKeys::new()).unwrap_err();
        assert_eq!(
            (rejected.dialect.name, rejected.rejection.kind),
            (name, ErrorKind::AnonymousDenied),
            "{text}"
        );
    }
}

#[test]
fn an_unknown_scheme_has_the_vendors_error() {
    // The vendors' error for an Authorization header with an unknown scheme.
    for host in
        ["b.s3.us-east-1.amazonaws.com", "b.oss-cn-hangzhou.aliyuncs.com", "b.cos.ap-guangzhou.myqcloud.com"]
    {
        let mut head = sign_request(&s3::auth::AUTH, host, Some("b"), Some("k"), "/k", "AKID");
        head.headers.retain(|row| row.0 != "authorization");
        assert_eq!(
            authenticate(&head, &TestKeys::new()).unwrap_err().rejection.kind,
            ErrorKind::AnonymousDenied
        );
        head.headers.push(("authorization".to_owned(), b"Bearer abc".to_vec()));
        assert_eq!(
            authenticate(&head, &TestKeys::new()).unwrap_err().rejection.kind,
            ErrorKind::UnknownAuthorization
        );
    }
}

#[test]
fn two_credentials_are_rejected() {
    let mut head = sign_request(&s3::auth::AUTH, "b.localhost", Some("b"), Some("k"), "/k", "AKID");
    head.query = Some("OSSAccessKeyId=AKID&Expires=1767323100&Signature=x".to_owned()).into();
    assert_eq!(
        authenticate(&head, &TestKeys::new()).unwrap_err().rejection.kind,
        ErrorKind::SeveralCredentials
    );
    head.query = Some("q-sign-algorithm=sha1&q-ak=AKID&q-sign-time=1%3B2&q-key-time=1%3B2&q-header-list=&q-url-param-list=&q-signature=x".to_owned()).into();
    assert_eq!(
        authenticate(&head, &TestKeys::new()).unwrap_err().rejection.kind,
        ErrorKind::SeveralCredentials
    );
}

#[test]
fn an_unknown_access_key_and_a_wrong_secret_have_different_errors() {
    for auth in [&s3::auth::AUTH as &dyn Auth, &cos::auth::AUTH, &oss::auth::AUTH] {
        let head = sign_request(auth, "b.localhost", Some("b"), Some("k"), "/k", "OTHER");
        assert_eq!(
            authenticate(&head, &TestKeys::new()).unwrap_err().rejection.kind,
            ErrorKind::InvalidAccessKeyId
        );
        let head = sign_request(auth, "b.localhost", Some("b"), Some("k"), "/k", "AKID");
        let wrong = TestKeys { secret: SecretString::from("another"), ..TestKeys::new() };
        assert_eq!(authenticate(&head, &wrong).unwrap_err().rejection.kind, ErrorKind::SignatureDoesNotMatch);
        assert!(authenticate(&head, &TestKeys::new()).is_ok(), "the positive control");
    }
}

#[test]
fn schemes_and_tokens_are_checked_against_the_callers_configuration() {
    let head = sign_request(&oss::auth::AUTH_V1, "b.localhost", Some("b"), Some("k"), "/k", "AKID");
    let keys_with_scheme = |scheme: &str| TestKeys { schemes: vec![scheme.to_owned()], ..TestKeys::new() };
    assert!(authenticate(&head, &keys_with_scheme("ossv1")).is_ok());
    assert_eq!(
        authenticate(&head, &keys_with_scheme("ossv4")).unwrap_err().rejection.kind,
        ErrorKind::UnsupportedSignature
    );
    let with_token = TestKeys { token: Some(SecretString::from("token")), ..TestKeys::new() };
    assert_eq!(authenticate(&head, &with_token).unwrap_err().rejection.kind, ErrorKind::InvalidToken);
}

/// Bucket and dialect that a client of a dialect addresses at a host, by the path `/first/second`.
fn resolve_address(
    dialect: &'static Dialect,
    host: &str,
) -> Result<(Option<String>, Option<String>), ErrorKind> {
    let head = parse_request_head(&format!("GET /first/second HTTP/1.1\nHost: {host}\n")).unwrap();
    let place =
        build_listener_hosts().parse_address(&head, dialect).map_err(|rejected| rejected.rejection.kind)?;
    Ok((place.scope.bucket().map(str::to_owned), place.scope.key().map(str::to_owned)))
}

#[test]
fn the_host_determines_where_the_bucket_is() {
    let in_host = |bucket: &str| Ok((Some(bucket.to_owned()), Some("first/second".to_owned())));
    let in_path = || Ok((Some("first".to_owned()), Some("second".to_owned())));
    let unknown = || Err(ErrorKind::UnknownHost);
    let path_style = || Err(ErrorKind::PathStyleForbidden);
    let unsupported_signature = || Err(ErrorKind::UnsupportedSignature);
    // Host; the bucket that a client of S3, COS and OSS addresses there, from the vendors' documents of endpoints and
    // addressing.
    let rows = [
        ("b.s3.eu-west-1.amazonaws.com", in_host("b"), unsupported_signature(), unsupported_signature()),
        ("b.s3.eu-west-1.amazonaws.com:443", in_host("b"), unsupported_signature(), unsupported_signature()),
        (
            "my.dotted.bucket.s3.amazonaws.com",
            in_host("my.dotted.bucket"),
            unsupported_signature(),
            unsupported_signature(),
        ),
        ("s3.eu-west-1.amazonaws.com", in_path(), unsupported_signature(), unsupported_signature()),
        ("S3.Amazonaws.com.", in_path(), unsupported_signature(), unsupported_signature()),
        ("b.s3-eu-west-1.amazonaws.com", in_host("b"), unsupported_signature(), unsupported_signature()),
        (
            "b.s3.dualstack.eu-west-1.amazonaws.com",
            in_host("b"),
            unsupported_signature(),
            unsupported_signature(),
        ),
        (
            "b.s3-fips.dualstack.us-east-1.amazonaws.com",
            in_host("b"),
            unsupported_signature(),
            unsupported_signature(),
        ),
        (
            "b.s3-accelerate.dualstack.amazonaws.com",
            in_host("b"),
            unsupported_signature(),
            unsupported_signature(),
        ),
        ("b.s3.cn-north-1.amazonaws.com.cn", in_host("b"), unsupported_signature(), unsupported_signature()),
        (
            "b.bucket.vpce-1a-2b.s3.us-east-1.vpce.amazonaws.com",
            in_host("b"),
            unsupported_signature(),
            unsupported_signature(),
        ),
        ("b.s3-website-us-east-1.amazonaws.com", unknown(), unknown(), unknown()),
        ("b.s3-website.eu-central-1.amazonaws.com", unknown(), unknown(), unknown()),
        ("ap-1234.s3-accesspoint.us-east-1.amazonaws.com", unknown(), unknown(), unknown()),
        ("m.accesspoint.s3-global.amazonaws.com", unknown(), unknown(), unknown()),
        ("ec2.us-east-1.amazonaws.com", unknown(), unknown(), unknown()),
        ("b.s3.cn-north-1.jdcloud-oss.com", in_host("b"), unsupported_signature(), unsupported_signature()),
        ("a.b.s3.cn-north-1.jdcloud-oss.com", unknown(), unknown(), unknown()),
        ("b-125.cos.ap-guangzhou.myqcloud.com", in_host("b-125"), in_host("b-125"), unsupported_signature()),
        ("b-125.cos.ap-guangzhou.tencentcos.cn", in_host("b-125"), in_host("b-125"), unsupported_signature()),
        (
            "b-125.cos-internal.ap-guangzhou.tencentcos.cn",
            in_host("b-125"),
            in_host("b-125"),
            unsupported_signature(),
        ),
        ("b-125.cos.accelerate.myqcloud.com", in_host("b-125"), in_host("b-125"), unsupported_signature()),
        (
            "b-125.cosv6.ap-guangzhou.myqcloud.com",
            in_host("b-125"),
            in_host("b-125"),
            unsupported_signature(),
        ),
        ("b-125.cn-south-2.myqcloud.com", in_host("b-125"), in_host("b-125"), unsupported_signature()),
        ("cos.ap-guangzhou.myqcloud.com", path_style(), path_style(), unsupported_signature()),
        ("service.cos.myqcloud.com", path_style(), path_style(), unsupported_signature()),
        ("b-125.cos-website.ap-guangzhou.myqcloud.com", unknown(), unknown(), unknown()),
        ("b-125.ci.ap-guangzhou.myqcloud.com", unknown(), unknown(), unknown()),
        ("a.b-125.cos.ap-guangzhou.myqcloud.com", unknown(), unknown(), unknown()),
        ("b.oss-cn-hangzhou.aliyuncs.com", in_host("b"), unsupported_signature(), in_host("b")),
        ("b.oss-cn-hangzhou-internal.aliyuncs.com", in_host("b"), unsupported_signature(), in_host("b")),
        ("b.s3.oss-cn-hangzhou.aliyuncs.com", in_host("b"), unsupported_signature(), in_host("b")),
        ("b.s3.oss-accelerate.aliyuncs.com", in_host("b"), unsupported_signature(), in_host("b")),
        ("b.oss-accelerate-overseas.aliyuncs.com", in_host("b"), unsupported_signature(), in_host("b")),
        ("b.cn-hangzhou.oss.aliyuncs.com", in_host("b"), unsupported_signature(), in_host("b")),
        (
            "b.cb-f8z7yvzgwfkl.cn-hangzhou.oss-cloudbox.aliyuncs.com",
            in_host("b"),
            unsupported_signature(),
            in_host("b"),
        ),
        ("b.cn-hangzhou.oss-cloudbox.aliyuncs.com", unknown(), unknown(), unknown()),
        ("ap-01.oss-cn-hangzhou.oss-accesspoint.aliyuncs.com", unknown(), unknown(), unknown()),
        ("oss-cn-hangzhou.aliyuncs.com", path_style(), unsupported_signature(), in_path()),
        ("s3.oss-cn-hangzhou.aliyuncs.com", path_style(), unsupported_signature(), in_path()),
        ("a.b.oss-cn-hangzhou.aliyuncs.com", unknown(), unknown(), unknown()),
        ("b-125.cos.ap-guangzhou.localhost", in_host("b-125"), in_host("b-125"), unsupported_signature()),
        ("b.oss-cn-hangzhou.localhost:9000", in_host("b"), unsupported_signature(), in_host("b")),
        ("oss-b.oss-cn-hangzhou.localhost", in_host("oss-b"), unsupported_signature(), in_host("oss-b")),
        ("b.s3.localhost", in_host("b"), unsupported_signature(), unsupported_signature()),
        ("b.localhost", in_host("b"), in_host("b"), in_host("b")),
        ("a.b.localhost", in_host("a.b"), unknown(), unknown()),
        ("localhost:9000", in_path(), unknown(), in_path()),
        ("127.0.0.1:9000", in_path(), unknown(), in_path()),
        ("[::1]:9000", in_path(), unknown(), in_path()),
        ("b.storage.example.internal", in_host("b"), in_host("b"), in_host("b")),
        ("a.b.storage.example.internal", in_host("a.b"), unknown(), unknown()),
        ("b.cos.ap-guangzhou.storage.example.internal", in_host("b"), in_host("b"), unsupported_signature()),
        ("cos.ap-guangzhou.storage.example.internal", path_style(), path_style(), unsupported_signature()),
        ("b.s3.storage.example.internal", in_host("b.s3"), unknown(), unknown()),
        ("logs.cos.old.storage.example.internal", in_host("logs.cos.old"), unknown(), unknown()),
        ("storage.example.internal", in_path(), path_style(), in_path()),
        ("b.storage.example.org", unknown(), unknown(), unknown()),
        ("xstorage.example.internal", unknown(), unknown(), unknown()),
        ("b..storage.example.internal", unknown(), unknown(), unknown()),
        (".storage.example.internal", unknown(), unknown(), unknown()),
        ("b.myqcloud.com", unknown(), unknown(), unknown()),
        ("my-host", unknown(), unknown(), unknown()),
    ];
    for (host, s3, cos, oss) in rows {
        assert_eq!(resolve_address(&s3::S3, host), s3, "S3 at {host}");
        assert_eq!(resolve_address(&cos::COS, host), cos, "COS at {host}");
        assert_eq!(resolve_address(&oss::OSS, host), oss, "OSS at {host}");
    }
}

#[test]
fn a_copy_source_of_cos_may_have_the_endpoint_of_the_request() {
    let source = |host: &str, source: &str| {
        let text = format!("PUT /k HTTP/1.1\nHost: {host}\nx-cos-copy-source: {source}\n");
        let request = blobfish_dialects::translator::explain::explain(&text, &cos::COS, &cos::COS)?.request;
        Ok::<_, blobfish_dialects::model::Rejection>(request.source.unwrap().bucket)
    };
    let get_error_kind = |found: Result<String, blobfish_dialects::model::Rejection>| found.unwrap_err().kind;
    for host in [
        "b-125.files.example.com",
        "b-125.files.example.com:8443",
        "b-125.cos.ap-guangzhou.files.example.com",
    ] {
        let endpoint = host.split_once('.').unwrap().1;
        assert_eq!(source(host, &format!("other-125.{endpoint}/a%20b")).unwrap(), "other-125", "{host}");
        assert_eq!(source(host, "other-125.cos.ap-guangzhou.myqcloud.com/k").unwrap(), "other-125");
        for strange in [
            "other-125.files.example.org/k",
            "a.other-125.files.example.com/k",
            "files.example.com/k",
            ".files.example.com/k",
        ] {
            assert_eq!(
                get_error_kind(source(host, strange)),
                ErrorKind::InvalidCopySource,
                "{host}: {strange}"
            );
        }
    }
}

#[test]
fn the_error_for_an_unknown_host_names_the_configuration_key() {
    let head = sign_request(&s3::auth::AUTH, "files.example.org", Some("b"), Some("k"), "/b/k", "AKID");
    let rejected = authenticate(&head, &TestKeys::new()).unwrap_err();
    let message = rejected.rejection.message.unwrap();
    assert!(message.contains("files.example.org") && message.contains("[hosts] base"), "{message}");
    let row = rejected.dialect.error_row(rejected.rejection.kind).unwrap();
    assert_eq!(row.status, 400);
}

#[test]
fn a_vendors_host_serves_clients_of_s3_in_their_dialect() {
    for host in ["b-125.cos.ap-guangzhou.myqcloud.com", "b.oss-cn-hangzhou.aliyuncs.com"] {
        let bucket = host.split('.').next().unwrap();
        for auth in [&s3::auth::AUTH, &s3::auth::AUTH] {
            let head = sign_request(auth, host, Some(bucket), Some("k"), "/k", "AKID");
            let accepted = authenticate(&head, &TestKeys::new()).unwrap();
            assert_eq!(accepted.dialect.name, "s3");
            assert_eq!(accepted.request.scope.bucket(), Some(bucket));
        }
    }
    // COS and OSS reject a bucket in the path at their own endpoints.
    for (host, name, code) in [
        ("cos.ap-guangzhou.myqcloud.com", "cos", "PathStyleDomainForbidden"),
        ("oss-cn-hangzhou.aliyuncs.com", "oss", "SecondLevelDomainForbidden"),
    ] {
        let head = sign_request(&s3::auth::AUTH, host, Some("b"), Some("k"), "/b/k", "AKID");
        let rejected = authenticate(&head, &TestKeys::new()).unwrap_err();
        let row = rejected.dialect.error_row(rejected.rejection.kind).unwrap();
        assert_eq!((rejected.dialect.name, row.code, row.status), (name, code, 403));
    }
}

#[test]
fn a_host_with_the_default_port_of_the_scheme_is_the_same_host() {
    let move_to = |head: &RawHead, host: &str| head.with_host(host.to_owned());
    for auth in [&s3::auth::AUTH as &dyn Auth, &cos::auth::AUTH] {
        for (signed_host, sent) in [
            ("b.localhost", "b.localhost:80"),
            ("b.localhost:80", "b.localhost"),
            ("b.localhost:443", "b.localhost"),
        ] {
            let head = sign_request(auth, signed_host, Some("b"), Some("k"), "/k", "AKID");
            assert!(
                authenticate(&move_to(&head, sent), &TestKeys::new()).is_ok(),
                "{signed_host}, sent as {sent}"
            );
        }
        let head = sign_request(auth, "b.localhost:80", Some("b"), Some("k"), "/k", "AKID");
        let moved = authenticate(&move_to(&head, "c.localhost"), &TestKeys::new()).unwrap_err();
        assert_eq!(moved.rejection.kind, ErrorKind::SignatureDoesNotMatch);
    }
    let head = sign_request(&s3::auth::AUTH, "b.localhost:9000", Some("b"), Some("k"), "/k", "AKID");
    let other = authenticate(&move_to(&head, "b.localhost"), &TestKeys::new()).unwrap_err();
    assert_eq!(other.rejection.kind, ErrorKind::SignatureDoesNotMatch);
}

/// How a client addresses `bucket` at an endpoint, and the host and path of its request.
#[derive(Debug, Clone, Copy)]
enum Addressing {
    VirtualHosted,
    Path,
}

proptest::proptest! {
    /// Signature x host form x addressing x path: a request addresses the bucket that its signer meant, or is
    /// rejected.
    #[test]
    fn no_request_addresses_another_bucket(
        which in 0..4_usize,
        endpoint in proptest::sample::select(ENDPOINTS),
        in_host in proptest::bool::ANY,
        bucket in "[a-z][a-z0-9-]{1,8}[a-z0-9](\\.[a-z0-9]{1,6})?",
        key in proptest::option::of("[a-z0-9]{1,8}(/[a-z0-9.-]{1,8}){0,3}/?"),
        method in proptest::sample::select(&["GET", "HEAD", "PUT", "DELETE", "POST"][..]),
    ) {
        let style = if in_host { Addressing::VirtualHosted } else { Addressing::Path };
        let auth: &dyn Auth = [&s3::auth::AUTH as &dyn Auth, &cos::auth::AUTH, &oss::auth::AUTH, &oss::auth::AUTH_V1][which];
        let key = key.as_deref();
        let (host, path) = match style {
            Addressing::VirtualHosted => (format!("{bucket}.{endpoint}"), format!("/{}", key.unwrap_or_default())),
            Addressing::Path => (endpoint.to_owned(), format!("/{bucket}/{}", key.unwrap_or_default())),
        };
        let mut outgoing = OutgoingRequest {
            method,
            host,
            scope: build_scope(Some(&bucket), key),
            path: path.clone(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            payload_hash: PayloadHash::Unsigned,
            is_long_running: false,
        };
        let credentials = Credentials {
            access_key_id: "AKID".to_owned(),
            secret_key: SecretString::from("secret"),
            session_token: None,
        };
        auth.sign(&mut outgoing, &credentials, "r", NOW);
        let head = RawHead { method: method.to_owned(), path, query: RawQuery::default(), headers: outgoing.headers, over_tls: false };
        if let Ok(accepted) = authenticate(&head, &TestKeys::new()) {
            let request = accepted.request;
            proptest::prop_assert_eq!(request.scope.bucket(), Some(bucket.as_str()));
            proptest::prop_assert_eq!(request.scope.key(), key);
            let of_bucket = matches!(request.operation, Operation::CreateBucket | Operation::DeleteBucket);
            proptest::prop_assert!(!of_bucket || key.is_none());
        }
    }

    /// A request of COS or S3 without the bucket, for a domain that belongs to one bucket, is never read as one with
    /// the bucket in its path, unless the host allows path style only.
    #[test]
    fn a_bucket_that_is_not_in_the_request_is_not_guessed(
        host in proptest::sample::select(&["files.example.org", "cos.example.org", "10.0.0.1:9000", "localhost", "[::1]"][..]),
        key in "[a-z0-9]{3,8}(/[a-z0-9]{3,8}){0,2}",
        cos_client in proptest::bool::ANY,
    ) {
        let address = !host.contains("example");
        let auth: &dyn Auth = if cos_client { &cos::auth::AUTH } else { &s3::auth::AUTH };
        let head = sign_request(auth, host, Some("b"), Some(&key), &format!("/{key}"), "AKID");
        match authenticate(&head, &TestKeys::new()) {
            Err(rejected) => proptest::prop_assert_eq!(rejected.rejection.kind, ErrorKind::UnknownHost),
            Ok(_) => proptest::prop_assert!(address && !cos_client, "{} at {}", key, host),
        }
    }
}

/// Endpoints that clients use: the vendors' own of every family, and typical ones of self-hosted servers.
const ENDPOINTS: &[&str] = &[
    "s3.us-west-2.amazonaws.com",
    "s3.amazonaws.com",
    "s3-us-west-2.amazonaws.com",
    "s3.dualstack.us-west-2.amazonaws.com",
    "s3-accelerate.amazonaws.com",
    "s3-website-us-west-2.amazonaws.com",
    "s3.cn-north-1.amazonaws.com.cn",
    "s3.cn-north-1.jdcloud-oss.com",
    "cos.ap-guangzhou.myqcloud.com",
    "cos.ap-guangzhou.tencentcos.cn",
    "cos-internal.ap-guangzhou.tencentcos.cn",
    "cos.accelerate.myqcloud.com",
    "cos-website.ap-guangzhou.myqcloud.com",
    "service.cos.myqcloud.com",
    "cn-south.myqcloud.com",
    "oss-cn-hangzhou.aliyuncs.com",
    "oss-cn-hangzhou-internal.aliyuncs.com",
    "oss-accelerate.aliyuncs.com",
    "s3.oss-cn-hangzhou.aliyuncs.com",
    "cn-hangzhou.oss.aliyuncs.com",
    "cb-1.cn-hangzhou.oss-cloudbox.aliyuncs.com",
    "cos.ap-guangzhou.localhost:9000",
    "oss-cn-hangzhou.localhost:9000",
    "s3.us-east-1.localhost:9000",
    "localhost:9000",
    "127.0.0.1:9000",
    "[::1]:9000",
    "storage.example.internal",
    "cos.ap-guangzhou.storage.example.internal",
    "storage.example.org",
    "files",
];

#[test]
fn the_first_row_of_a_code_is_the_error_it_is_read_as() {
    // OSS has one code, InvalidDigest, for a malformed digest and for one that differs.
    let meant_otherwise = [("oss", "InvalidDigest")];
    for dialect in DIALECTS {
        for row in dialect.errors.iter().filter(|row| !meant_otherwise.contains(&(dialect.name, row.code))) {
            let first = dialect.errors.iter().find(|other| other.code == row.code).unwrap();
            if format!("{:?}", row.kind) == row.code {
                assert_eq!(first.kind, row.kind, "{}: what a target's {} is read as", dialect.name, row.code);
            }
        }
    }
}

#[test]
fn anonymous_clients_can_read_objects_of_a_public_bucket() {
    let read_anonymously = |line: &str, header: &str| {
        let text = format!("{line} HTTP/1.1\nHost: open.oss-cn-hangzhou.aliyuncs.com\n{header}\n");
        authenticate(&parse_request_head(&text).unwrap(), &TestKeys::new())
    };
    for (line, operation) in [("GET /k", Operation::GetObject), ("HEAD /k", Operation::HeadObject)] {
        // The COS SDKs send an empty Authorization header if they have no access key.
        for header in ["", "Authorization:\n", "Range: bytes=0-1\n"] {
            let accepted = read_anonymously(line, header).unwrap();
            assert_eq!(
                (accepted.request.operation, accepted.access_key_id),
                (operation, None),
                "{line} {header}"
            );
        }
    }
    // OSS, GetObject: response headers can only be overridden in a signed request.
    let rejected = [
        ("GET /", ErrorKind::AnonymousDenied),
        ("GET /?list-type=2", ErrorKind::AnonymousDenied),
        ("GET /k?acl", ErrorKind::AnonymousDenied),
        ("PUT /k", ErrorKind::AnonymousDenied),
        ("DELETE /k", ErrorKind::AnonymousDenied),
        ("POST /k?uploads", ErrorKind::AnonymousDenied),
        ("GET /k?response-content-type=text%2Fcss", ErrorKind::InvalidRequest),
    ];
    for (line, error_kind) in rejected {
        assert_eq!(read_anonymously(line, "").unwrap_err().rejection.kind, error_kind, "{line}");
    }
    assert_eq!(
        read_anonymously("GET /k", "Authorization: Bearer abc\n").unwrap_err().rejection.kind,
        ErrorKind::UnknownAuthorization
    );
    // A request with an unknown access key is not anonymous.
    let strange = sign_request(
        &oss::auth::AUTH,
        "open.oss-cn-hangzhou.aliyuncs.com",
        Some("open"),
        Some("k"),
        "/k",
        "OTHER",
    );
    assert_eq!(
        authenticate(&strange, &TestKeys::new()).unwrap_err().rejection.kind,
        ErrorKind::InvalidAccessKeyId
    );
}

/// A COS credential in the query that signs these headers, by the algorithm in COS, Request Signature.
fn presign_cos(method: &str, key: &str, signed: &[(&str, &str)]) -> String {
    use blobfish_dialects::encoding::{hash, percent};
    let (start, end) = (NOW.0 - 60, NOW.0 + 600);
    let time = format!("{start};{end}");
    let pairs: Vec<_> =
        signed.iter().map(|(name, value)| format!("{name}={}", percent::encode(value))).collect();
    let http = format!("{method}\n/{key}\n\n{}\n", pairs.join("&"));
    let string = format!("sha1\n{time}\n{}\n", hash::sha1_hex(http.as_bytes()));
    let sign_key = hash::encode_hex(&hash::hmac_sha1(b"secret", time.as_bytes()));
    let signature = hash::encode_hex(&hash::hmac_sha1(sign_key.as_bytes(), string.as_bytes()));
    let names: Vec<_> = signed.iter().map(|row| row.0).collect();
    format!(
        "q-sign-algorithm=sha1&q-ak=AKID&q-sign-time={start}%3B{end}&q-key-time={start}%3B{end}&q-header-list={}\
         &q-url-param-list=&q-signature={signature}",
        names.join("%3B")
    )
}

/// COS, Request Signature: no header has to be signed. A header that was added to the request is not covered by the
/// signature.
#[test]
fn a_presigned_url_of_cos_need_not_sign_its_host() {
    const HOST: &str = "box-1.cos.ap-guangzhou.myqcloud.com";
    let head = |method: &str, query: &str, more: &str| {
        parse_request_head(&format!("{method} /k?{query} HTTP/1.1\nHost: {HOST}\n{more}")).unwrap()
    };
    let free = presign_cos("get", "k", &[]);
    let found = authenticate(&head("GET", &free, ""), &TestKeys::new()).unwrap();
    assert_eq!(found.request.scope.bucket(), Some("box-1"));
    assert_eq!(found.unsigned_names, ["host"], "the unsigned header is counted");
    assert!(
        authenticate(&head("GET", &presign_cos("get", "k", &[("host", HOST)]), ""), &TestKeys::new()).is_ok()
    );
    for more in ["x-cos-sdk-log-debug: off\n", "user-agent: curl\n", "x-cos-traffic-limit:\n"] {
        assert!(authenticate(&head("GET", &free, more), &TestKeys::new()).is_ok(), "{more}");
    }
    let get_error_kind =
        |head: &RawHead, keys: &TestKeys| authenticate(head, keys).unwrap_err().rejection.kind;
    for more in ["x-cos-traffic-limit: 819200\n", "range: bytes=0-1\n", "x-cos-meta-a: b\n"] {
        assert_eq!(
            get_error_kind(&head("GET", &free, more), &TestKeys::new()),
            ErrorKind::HeadersNotSigned,
            "{more}"
        );
    }
    let put = presign_cos("put", "k", &[]);
    assert!(authenticate(&head("PUT", &put, ""), &TestKeys::new()).is_ok());
    let source = "x-cos-copy-source: other-1.cos.ap-guangzhou.myqcloud.com/k\n";
    assert_eq!(get_error_kind(&head("PUT", &put, source), &TestKeys::new()), ErrorKind::HeadersNotSigned);
    assert_eq!(
        get_error_kind(&head("PUT", &free, ""), &TestKeys::new()),
        ErrorKind::SignatureDoesNotMatch,
        "another method"
    );
    let strict = TestKeys { strict: true, ..TestKeys::new() };
    assert_eq!(get_error_kind(&head("GET", &free, ""), &strict), ErrorKind::HeadersNotSigned);
    assert!(authenticate(&head("GET", &presign_cos("get", "k", &[("host", HOST)]), ""), &strict).is_ok());
}

/// COS returns the text that should have been signed with a wrong signature, without a secret.
#[test]
fn a_rejected_signature_of_cos_shows_what_should_have_been_signed() {
    const HOST: &str = "box-1.cos.ap-guangzhou.myqcloud.com";
    let expect_rejection = |more: &str| {
        let query = presign_cos("get", "k", &[("host", "another.example")]);
        let head = parse_request_head(&format!("GET /k?{query} HTTP/1.1\nHost: {HOST}\n{more}")).unwrap();
        authenticate(&head, &TestKeys::new()).unwrap_err().rejection
    };
    let rejection = expect_rejection("");
    assert_eq!(rejection.kind, ErrorKind::SignatureDoesNotMatch);
    let detail = |name: &str| rejection.details.iter().find(|row| row.0 == name).map(|row| row.1.as_str());
    assert_eq!(detail("FormatString"), Some(format!("get\n/k\n\nhost={HOST}\n").as_str()));
    let string = detail("StringToSign").unwrap();
    assert!(
        string.starts_with(&format!("sha1\n{};{}\n", NOW.0 - 60, NOW.0 + 600)) && string.lines().count() == 3
    );
    let shown = format!("{rejection:?}");
    let query = presign_cos("get", "k", &[("host", HOST)]);
    let right = query.rsplit_once('=').unwrap().1;
    assert!(!shown.contains(right), "the error does not contain the right signature");
    for more in [
        "x-cos-security-token: t\n",
        "x-cos-server-side-encryption-customer-key: MDEyMw==\n",
        "x-cos-copy-source-server-side-encryption-customer-key: MDEyMw==\n",
    ] {
        assert!(expect_rejection(more).details.is_empty(), "{more}");
    }
}

/// Some OSS SDKs send a space in a path as `+`. They sign the decoded key, so the signature shows which key is meant.
#[test]
fn a_plus_in_a_path_of_oss_is_read_as_it_was_signed() {
    const HOST: &str = "box.oss-cn-hangzhou.aliyuncs.com";
    for auth in [&oss::auth::AUTH_V1 as &dyn Auth, &oss::auth::AUTH] {
        for (key, path) in [
            ("a b", "/a+b"),
            ("a+b", "/a+b"),
            ("a+b", "/a%2Bb"),
            ("a b", "/a%20b"),
            ("a b+c", "/a+b%2Bc"),
            ("a/b c", "/a%2Fb+c"),
        ] {
            let head = sign_request(auth, HOST, Some("box"), Some(key), path, "AKID");
            let found = authenticate(&head, &TestKeys::new()).unwrap();
            assert_eq!(found.request.scope.key(), Some(key), "{path}");
        }
        let in_path = sign_request(auth, "127.0.0.1", Some("box"), Some("a b"), "/box/a+b", "AKID");
        assert_eq!(authenticate(&in_path, &TestKeys::new()).unwrap().request.scope.key(), Some("a b"));
        for (key, path) in [("a b", "/a%2Bb"), ("a+b", "/a%20b"), ("a b+c", "/a+b+c"), ("a c", "/a+b")] {
            let head = sign_request(auth, HOST, Some("box"), Some(key), path, "AKID");
            let error_kind = authenticate(&head, &TestKeys::new()).unwrap_err().rejection.kind;
            assert_eq!(error_kind, ErrorKind::SignatureDoesNotMatch, "{path} is not {key}");
        }
    }
}

/// A parameter that cannot be decoded is rejected in the dialect of the request, not in the first one of the list.
#[test]
fn a_malformed_parameter_is_rejected_in_the_dialect_of_the_request() {
    let rows: [(&dyn Auth, &str, &str, &str); 4] = [
        (&cos::auth::AUTH, "b.cos.ap-guangzhou.myqcloud.com", "cos", "InvalidURI"),
        (&oss::auth::AUTH, "b.oss-cn-hangzhou.aliyuncs.com", "oss", "InvalidArgument"),
        (&oss::auth::AUTH_V1, "b.oss-cn-hangzhou.aliyuncs.com", "oss", "InvalidArgument"),
        (&s3::auth::AUTH, "b.s3.us-west-2.amazonaws.com", "s3", "InvalidURI"),
    ];
    for (auth, host, name, code) in rows {
        for query in
            ["prefix=%ff", "%ff=a", "prefix=%zz", "marker=a%", "sign=%ff", "list-type=2&start-after=%fe"]
        {
            let mut head = sign_request(auth, host, Some("b"), None, "/", "AKID");
            head.query = Some(query.to_owned()).into();
            let rejected = authenticate(&head, &TestKeys::new()).unwrap_err();
            assert_eq!(rejected.dialect.name, name, "{query}");
            let row = rejected.dialect.error_row(rejected.rejection.kind).unwrap();
            assert_eq!((row.code, row.status), (code, 400), "{name} {query}");
        }
        let mut presigned = sign_request(auth, host, Some("b"), None, "/", "AKID");
        presigned.headers.retain(|row| row.0 != "authorization");
        presigned.query = Some("Signature=%ff&Expires=%ff".to_owned()).into();
        assert_eq!(authenticate(&presigned, &TestKeys::new()).unwrap_err().dialect.name, name, "{host}");
    }
}

/// Also at a host that names no vendor, a presigned URL with another parameter that does not decode is one of S3.
#[test]
fn a_malformed_parameter_does_not_hide_the_credential_of_a_presigned_url() {
    let credentials = [
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20260101%2Fus-east-1%2Fs3%2Faws4_request\
         &X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=aa",
        "AWSAccessKeyId=AKID&Expires=1767323100&Signature=x",
    ];
    for credential in credentials {
        let mut head = sign_request(&s3::auth::AUTH, "127.0.0.1", Some("b"), Some("k"), "/b/k", "AKID");
        head.headers.retain(|row| row.0 == "host");
        for malformed in ["prefix=%zz", "%ff=a"] {
            head.query = Some(format!("{credential}&{malformed}")).into();
            let rejected = authenticate(&head, &TestKeys::new()).unwrap_err();
            assert_eq!(
                (rejected.dialect.name, rejected.rejection.kind),
                ("s3", ErrorKind::InvalidUri),
                "{malformed}"
            );
        }
        head.query = Some(format!("{credential}&q-sign-algorithm=sha1&q-signature=x&prefix=%zz")).into();
        let rejected = authenticate(&head, &TestKeys::new()).unwrap_err();
        assert!(matches!(rejected.rejection.kind, ErrorKind::SeveralCredentials | ErrorKind::InvalidUri));
    }
}
