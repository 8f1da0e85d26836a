//! Requests that are rejected after their signature is verified, with the vendor's error. Each has a control that is
//! accepted.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::encoding::xml;
use blobfish_dialects::encoding::xml::{DOCUMENT_BYTES_MAX, ParseLimits, parse_with_limits};
use blobfish_dialects::engine::write_response;
use blobfish_dialects::model::{Field, Rejection, Request};
use blobfish_dialects::translator::explain::explain;
use blobfish_dialects::{cos::COS, jdcloud::JDCLOUD, oss::OSS, s3::S3};

fn read_request(
    dialect: &'static Dialect,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Result<Request, Rejection> {
    let mut text = format!("{method} {target} HTTP/1.1\nHost: box.{}\n", dialect.sample_endpoint);
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\n"));
    }
    explain(&text, dialect, dialect).map(|explained| explained.request)
}

fn expect_rejection(dialect: &'static Dialect, read: Result<Request, Rejection>) -> (u16, &'static str) {
    let rejection = read.expect_err("was read");
    (
        write_response::build_error_response(dialect, &rejection).status,
        dialect.error_row(rejection.kind).unwrap().code,
    )
}

#[test]
fn a_condition_on_a_write_is_not_ignored() {
    const TAG: &str = "\"5b3c1a2e053d763e1b002cc607c5a0fe\"";
    const DATE: &str = "Mon, 06 May 2024 07:08:09 GMT";
    // S3, Conditional requests, conditional writes: these conditions are supported.
    for (name, value) in [("If-None-Match", "*"), ("If-Match", TAG)] {
        assert!(read_request(&S3, "PUT", "/k", &[(name, value)]).is_ok(), "{name}");
        assert!(read_request(&S3, "POST", "/k?uploadId=u", &[(name, value)]).is_ok(), "{name}");
    }
    assert!(read_request(&S3, "DELETE", "/k", &[("If-Match", TAG)]).is_ok());
    let not_there = [
        ("DELETE", "/k", "If-None-Match", "*"),
        ("PUT", "/k?partNumber=1&uploadId=u", "If-None-Match", "*"),
        ("PUT", "/k?partNumber=1&uploadId=u", "If-Match", TAG),
        ("POST", "/k?uploads", "If-None-Match", "*"),
        ("PUT", "/k", "If-None-Match", TAG),
        ("PUT", "/k", "If-Unmodified-Since", DATE),
    ];
    for (method, target, name, value) in not_there {
        assert_eq!(
            expect_rejection(&S3, read_request(&S3, method, target, &[(name, value)])),
            (501, "NotImplemented"),
            "{name}"
        );
    }
    // OSS rejects conditions on writes with 400. COS documents none.
    for (name, value) in [
        ("If-None-Match", "*"),
        ("If-Match", TAG),
        ("If-Modified-Since", DATE),
        ("If-Unmodified-Since", DATE),
    ] {
        for (method, target) in
            [("PUT", "/k"), ("DELETE", "/k"), ("POST", "/k?uploads"), ("POST", "/k?uploadId=u")]
        {
            assert_eq!(
                expect_rejection(&OSS, read_request(&OSS, method, target, &[(name, value)])),
                (400, "NotImplemented")
            );
            assert_eq!(
                expect_rejection(&COS, read_request(&COS, method, target, &[(name, value)])),
                (501, "NotImplemented")
            );
        }
    }
    for dialect in [&S3, &JDCLOUD, &COS, &OSS] {
        let request =
            read_request(dialect, "GET", "/k", &[("If-None-Match", TAG), ("If-Unmodified-Since", DATE)])
                .unwrap();
        assert!(request.fields.has(Field::IfNoneMatch) && request.fields.has(Field::IfUnmodifiedSince));
        assert!(
            read_request(dialect, "PUT", "/k", &[("If-Match", "")]).is_ok(),
            "an empty header counts as absent"
        );
    }
}

#[test]
fn image_processing_is_rejected() {
    assert!(read_request(&COS, "GET", "/k", &[]).is_ok());
    for target in [
        "/k?imageMogr2",
        "/k?imageMogr2/thumbnail/10x",
        "/k?imageMogr2%2Fthumbnail%2F10x",
        "/k?imageView2/2/w/5",
        "/k?imageInfo",
        "/k?ci-process=x",
    ] {
        assert_eq!(
            expect_rejection(&COS, read_request(&COS, "GET", target, &[])),
            (501, "NotImplemented"),
            "{target}"
        );
    }
}

/// The OSS SDK ali-oss repeats every header of a copy with the prefix of the source's headers.
#[test]
fn headers_of_copies_are_rejected_in_other_operations() {
    let source = ("x-oss-copy-source", "/box/a");
    let repeated = ("x-oss-copy-source-content-type", "text/css");
    assert!(read_request(&OSS, "PUT", "/k", &[source, repeated]).is_ok());
    for name in ["x-oss-copy-source-content-type", "x-oss-copy-source-range"] {
        assert_eq!(
            expect_rejection(&OSS, read_request(&OSS, "PUT", "/k", &[(name, "x")])),
            (501, "NotImplemented"),
            "{name}"
        );
    }
}

#[test]
fn a_metadata_name_must_be_a_valid_header_name() {
    let read_with_query_metadata =
        |name: &str| read_request(&S3, "PUT", &format!("/k?x-amz-meta-{name}=v"), &[]);
    assert_eq!(read_with_query_metadata("a.b").unwrap().metadata, [("a.b".to_owned(), b"v".to_vec())]);
    for name in ["a%20b", "a%0d%0ab", "a%3Ab", "%C3%A9"] {
        assert_eq!(expect_rejection(&S3, read_with_query_metadata(name)), (400, "InvalidArgument"), "{name}");
    }
}

#[test]
fn the_named_checksum_algorithm_must_match_the_checksum() {
    let read_with_parameter = |named: &str, more: (&'static str, &str)| {
        read_request(&S3, "PUT", "/k", &[("x-amz-sdk-checksum-algorithm", named), (more.0, more.1)])
    };
    let trailer = ("x-amz-trailer", "x-amz-checksum-crc32");
    assert!(read_with_parameter("CRC32", trailer).is_ok());
    assert!(read_with_parameter("crc32", ("x-amz-checksum-crc32", "DUoRhQ==")).is_ok());
    assert!(
        read_with_parameter("SHA256", ("content-type", "text/plain")).is_ok(),
        "there is no checksum that could differ"
    );
    assert_eq!(expect_rejection(&S3, read_with_parameter("SHA256", trailer)), (400, "InvalidRequest"));
    assert_eq!(
        expect_rejection(&S3, read_with_parameter("CRC32C", ("x-amz-checksum-crc32", "DUoRhQ=="))),
        (400, "InvalidRequest")
    );
}

#[test]
fn object_lock_of_a_new_bucket_is_sent_or_rejected() {
    let create = |value: &str| read_request(&S3, "PUT", "/", &[("x-amz-bucket-object-lock-enabled", value)]);
    assert!(create("true").unwrap().fields.has(Field::BucketLock));
    assert!(!create("false").unwrap().fields.has(Field::BucketLock), "rclone sends this for every bucket");
    assert_eq!(expect_rejection(&S3, create("perhaps")), (501, "NotImplemented"));
    let at = |target: &'static Dialect| {
        let text =
            "PUT / HTTP/1.1\nHost: box.s3.us-east-1.amazonaws.com\nx-amz-bucket-object-lock-enabled: true\n";
        explain(text, &S3, target).unwrap().rejection
    };
    assert!(at(&S3).is_none());
    for target in [&JDCLOUD, &COS, &OSS] {
        assert!(at(target).is_some(), "{}", target.name);
    }
}

#[test]
fn a_line_break_in_a_response_override_is_rejected() {
    for dialect in [&S3, &JDCLOUD, &COS, &OSS] {
        let get =
            |value: &str| read_request(dialect, "GET", &format!("/k?response-content-type={value}"), &[]);
        assert!(get("text%2Fplain").is_ok());
        for value in ["a%0d%0aX-B:c", "a%0aX-B:c", "a%00"] {
            assert_eq!(expect_rejection(dialect, get(value)), (400, "InvalidArgument"), "{value}");
        }
        assert!(
            read_request(dialect, "GET", "/?prefix=a%0ab", &[]).is_ok(),
            "keys may contain characters that headers may not"
        );
    }
}

/// XML cannot express NUL; other control characters are allowed in keys by every vendor.
#[test]
fn a_nul_in_a_key_is_rejected() {
    for dialect in [&S3, &JDCLOUD, &COS, &OSS] {
        let code = if dialect.name == "oss" { "InvalidObjectName" } else { "InvalidArgument" };
        for target in ["/a%00b", "/%00", "/a%00"] {
            let rejected = expect_rejection(dialect, read_request(dialect, "PUT", target, &[]));
            assert!(rejected.0 == 400 && (rejected.1 == code || dialect.name == "cos"), "{rejected:?}");
        }
        for target in ["/?prefix=a%00", "/?marker=%00b", "/?delimiter=%00"] {
            assert_eq!(
                expect_rejection(dialect, read_request(dialect, "GET", target, &[])),
                (400, "InvalidArgument"),
                "{target}"
            );
        }
        let copied = "/box/a%00b".to_owned();
        let copied =
            if dialect.name == "cos" { format!("box.{}/a%00b", dialect.sample_endpoint) } else { copied };
        let headers = [(dialect.copy.source_header, copied.as_str())];
        assert_eq!(
            expect_rejection(dialect, read_request(dialect, "PUT", "/k", &headers)).0,
            400,
            "{copied}"
        );
        assert!(read_request(dialect, "PUT", "/a%01b", &[]).is_ok());
    }
}

/// A bucket name becomes labels of the target's host.
#[test]
fn a_bucket_name_with_empty_labels_is_rejected() {
    for bucket in ["wild-x..y", ".wild", "wild.", "..", "a...b"] {
        let text = format!("GET /{bucket}/k HTTP/1.1\nHost: 127.0.0.1\n");
        let rejection = explain(&text, &S3, &S3).expect_err(bucket);
        assert_eq!(rejection.kind, blobfish_dialects::model::ErrorKind::InvalidBucketName, "{bucket}");
    }
    assert!(explain("GET /wild.x-y/k HTTP/1.1\nHost: 127.0.0.1\n", &S3, &S3).is_ok());
}

/// 8 MiB of the smallest elements are rejected in a small part of the time that reading all of them takes.
#[test]
fn documents_with_too_many_elements_are_rejected_early() {
    for (piece, seconds_max) in [("<a/>", 1.0), ("<!---->", 0.5), ("<?a?>", 0.5), ("<a></a>", 1.0)] {
        let text = format!("<Delete>{}</Delete>", piece.repeat((DOCUMENT_BYTES_MAX - 32) / piece.len()));
        for bounds in [ParseLimits::for_list("Object", 1000), ParseLimits::for_list("Part", 10_000)] {
            let began = std::time::Instant::now();
            assert!(parse_with_limits(text.as_bytes(), bounds).is_err(), "{piece}");
            let taken = began.elapsed().as_secs_f64();
            assert!(taken < seconds_max, "{piece}: {taken} s");
        }
        let began = std::time::Instant::now();
        assert!(xml::parse(text.as_bytes()).is_err(), "{piece}: from a target");
        assert!(began.elapsed().as_secs_f64() < seconds_max);
    }
}
