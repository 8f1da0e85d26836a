//! Validation of a target's responses: implausible ones are rejected.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::engine::body_verifier::Digests;
use blobfish_dialects::engine::read_response::read_response;
use blobfish_dialects::engine::relay::{SourcePartDigests, SourceParts};
use blobfish_dialects::engine::streaming::build_client_response;
use blobfish_dialects::engine::target_response::TargetResponse;
use blobfish_dialects::engine::validate_response::{
    build_body_expectation, check_response_head, is_error_possible,
};
use blobfish_dialects::model::{ByteRange, ErrorKind, Field, Operation, Request, Value};
use blobfish_dialects::translator::explain::{build_sample_route, build_sample_target};
use blobfish_dialects::{DIALECTS, find_dialect};

fn get_dialect(name: &str) -> &'static Dialect {
    find_dialect(name, None).unwrap()
}

fn build_response(status: u16, headers: &[(&str, &str)]) -> TargetResponse {
    let row = |row: &(&str, &str)| (row.0.to_owned(), row.1.as_bytes().to_vec());
    TargetResponse { status, headers: headers.iter().map(row).collect(), body: Vec::new() }
}

fn build_request(operation: Operation, fields: &[(Field, Value)]) -> Request {
    let mut request =
        Request::for_object(operation, "b-1250000000".to_owned(), "k".to_owned(), Default::default());
    for (field, value) in fields {
        request.fields.set(*field, value.clone());
    }
    request
}

fn is_valid_response(target: &'static Dialect, request: &Request, target_response: &TargetResponse) -> bool {
    let at = build_sample_target(target);
    check_response_head(&build_sample_route(target, &at, request), request, target_response).is_ok()
}

const ETAG: (&str, &str) = ("etag", "\"5d41402abc4b2a76b9719d911017c592\"");

#[test]
fn a_success_needs_a_status_and_head_of_its_operation() {
    for target in DIALECTS {
        let get = build_request(Operation::GetObject, &[]);
        assert!(
            is_valid_response(target, &get, &build_response(200, &[ETAG, ("content-length", "5")])),
            "{}",
            target.name
        );
        for status in [201, 202, 203, 204, 205, 206, 226, 304] {
            assert!(
                !is_valid_response(target, &get, &build_response(status, &[ETAG])),
                "{} {status}",
                target.name
            );
        }
        for bad in ["", "\"\"", "W/\"5d41402abc4b2a76b9719d911017c592\"", "\"a\"b\""] {
            assert!(
                !is_valid_response(target, &get, &build_response(200, &[("etag", bad)])),
                "{} {bad}",
                target.name
            );
        }
        assert!(!is_valid_response(target, &get, &build_response(200, &[])), "{}", target.name);
        assert!(!is_valid_response(target, &get, &build_response(200, &[ETAG, ("etag", "\"another\"")])));
        let delete = build_request(Operation::DeleteObject, &[]);
        for status in 200..300 {
            let expected = matches!(status, 200 | 204);
            assert_eq!(
                is_valid_response(target, &delete, &build_response(status, &[])),
                expected,
                "{} {status}",
                target.name
            );
        }
        let put = build_request(Operation::PutObject, &[]);
        assert!(is_valid_response(target, &put, &build_response(200, &[ETAG])));
        assert!(!is_valid_response(target, &put, &build_response(204, &[ETAG])));
        let head = build_request(Operation::HeadObject, &[]);
        assert!(is_valid_response(target, &head, &build_response(200, &[ETAG, ("content-length", "5")])));
        assert!(!is_valid_response(target, &head, &build_response(200, &[ETAG])), "the length is missing");
        assert!(!is_valid_response(target, &head, &build_response(200, &[ETAG, ("content-length", "-5")])));
    }
}

#[test]
fn a_response_for_another_object_is_rejected() {
    let s3 = get_dialect("s3");
    let pinned = build_request(
        Operation::GetObject,
        &[(Field::IfMatch, Value::Etags(vec!["5D41402ABC4B2A76B9719D911017C592".to_owned()]))],
    );
    assert!(is_valid_response(s3, &pinned, &build_response(200, &[ETAG])));
    assert!(!is_valid_response(s3, &pinned, &build_response(200, &[("etag", "\"another\"")])));
    let version = build_request(Operation::GetObject, &[(Field::VersionId, Value::Text("v1".to_owned()))]);
    assert!(is_valid_response(s3, &version, &build_response(200, &[ETAG, ("x-amz-version-id", "v1")])));
    assert!(!is_valid_response(s3, &version, &build_response(200, &[ETAG, ("x-amz-version-id", "v2")])));
    let none =
        build_request(Operation::GetObject, &[(Field::IfNoneMatch, Value::Etags(vec!["x".to_owned()]))]);
    assert!(is_valid_response(s3, &none, &build_response(304, &[])));
}

#[test]
fn a_partial_response_has_the_requested_range() {
    let ranges = [
        (ByteRange::Span(2, 5), "bytes 2-5/10", true),
        (ByteRange::Span(2, 50), "bytes 2-9/10", true),
        (ByteRange::From(7), "bytes 7-9/10", true),
        (ByteRange::Last(3), "bytes 7-9/10", true),
        (ByteRange::Last(30), "bytes 0-9/10", true),
        (ByteRange::Span(2, 5), "bytes 0-3/10", false),
        (ByteRange::Span(2, 5), "bytes 2-4/10", false),
        (ByteRange::Span(2, 50), "bytes 2-50/10", false),
        (ByteRange::From(7), "bytes 7-8/10", false),
        (ByteRange::Last(3), "bytes 6-9/10", false),
        (ByteRange::Span(2, 5), "bytes 5-2/10", false),
        (ByteRange::Span(2, 5), "bytes 2-5/*", false),
        (ByteRange::Span(2, 5), "bytes */10", false),
        (ByteRange::Span(2, 5), "2-5/10", false),
        (ByteRange::Span(2, 5), "bytes 2-5/5", false),
    ];
    for target in DIALECTS {
        for (range, content_range, is_valid) in ranges {
            let get = build_request(Operation::GetObject, &[(Field::Range, Value::ByteRange(range))]);
            let found = is_valid_response(
                target,
                &get,
                &build_response(206, &[ETAG, ("content-range", content_range)]),
            );
            assert_eq!(found, is_valid, "{} {range:?} {content_range}", target.name);
        }
        let get =
            build_request(Operation::GetObject, &[(Field::Range, Value::ByteRange(ByteRange::Span(2, 5)))]);
        assert!(!is_valid_response(target, &get, &build_response(206, &[ETAG])));
        let length = [ETAG, ("content-range", "bytes 2-5/10"), ("content-length", "5")];
        assert!(!is_valid_response(target, &get, &build_response(206, &length)));
        // The whole object is not a valid response to a range request, unless the range covers it.
        assert!(!is_valid_response(target, &get, &build_response(200, &[ETAG, ("content-length", "10")])));
        let all =
            build_request(Operation::GetObject, &[(Field::Range, Value::ByteRange(ByteRange::From(0)))]);
        assert!(is_valid_response(target, &all, &build_response(200, &[ETAG, ("content-length", "10")])));
        let beyond =
            build_request(Operation::GetObject, &[(Field::Range, Value::ByteRange(ByteRange::Span(2, 50)))]);
        let whole =
            is_valid_response(target, &beyond, &build_response(200, &[ETAG, ("content-length", "10")]));
        assert_eq!(whole, target.defaults.lenient_range, "{}", target.name);
    }
}

#[test]
fn a_condition_can_fail_only_if_the_request_has_one() {
    let bare = build_request(Operation::GetObject, &[]);
    let etags = || Value::Etags(vec!["x".to_owned()]);
    for error_kind in [ErrorKind::PreconditionFailed, ErrorKind::NotModified, ErrorKind::InvalidRange] {
        assert!(!is_error_possible(&bare, error_kind), "{error_kind:?}");
    }
    assert!(is_error_possible(&bare, ErrorKind::NoSuchKey));
    assert!(is_error_possible(
        &build_request(Operation::GetObject, &[(Field::IfMatch, etags())]),
        ErrorKind::PreconditionFailed
    ));
    assert!(is_error_possible(
        &build_request(Operation::GetObject, &[(Field::IfNoneMatch, etags())]),
        ErrorKind::NotModified
    ));
    let overwrite = build_request(Operation::PutObject, &[(Field::ForbidOverwrite, Value::Flag)]);
    assert!(is_error_possible(&overwrite, ErrorKind::PreconditionFailed));
}

#[test]
fn digests_in_a_head_are_used_only_for_whole_bodies() {
    let get = build_request(Operation::GetObject, &[]);
    let get_attested_digests = |name: &str, status: u16, headers: &[(&str, &str)]| {
        build_body_expectation(get_dialect(name), &get, &build_response(status, headers))
            .map(|request| (request.fields.has(Field::ContentMd5), request.checksums.len()))
    };
    assert_eq!(get_attested_digests("s3", 200, &[ETAG]), Some((true, 0)));
    assert_eq!(get_attested_digests("s3", 206, &[ETAG]), None);
    assert_eq!(get_attested_digests("s3", 200, &[("etag", "\"5d41402abc4b2a76b9719d911017c592-2\"")]), None);
    assert_eq!(
        get_attested_digests("s3", 200, &[ETAG, ("x-amz-server-side-encryption", "AES256")]),
        Some((true, 0))
    );
    assert_eq!(get_attested_digests("s3", 200, &[ETAG, ("x-amz-server-side-encryption", "aws:kms")]), None);
    assert_eq!(
        get_attested_digests(
            "s3",
            200,
            &[ETAG, ("x-amz-server-side-encryption-customer-algorithm", "AES256")]
        ),
        None
    );
    assert_eq!(
        get_attested_digests("s3", 200, &[ETAG, ("x-amz-checksum-crc32", "NhCmhg==")]),
        Some((true, 1))
    );
    assert_eq!(
        get_attested_digests("s3", 200, &[ETAG, ("x-amz-checksum-crc32", "NhCmhg==-3")]),
        Some((true, 0))
    );
    // At OSS and COS, the ETag is not always an MD5, and the CRC-64 is always present.
    assert_eq!(get_attested_digests("oss", 200, &[ETAG]), None);
    assert_eq!(get_attested_digests("oss", 200, &[ETAG, ("x-oss-hash-crc64ecma", "1")]), Some((false, 1)));
    assert_eq!(get_attested_digests("cos", 200, &[ETAG, ("x-cos-hash-crc64ecma", "1")]), Some((false, 1)));
}

#[test]
fn a_wrong_append_position_in_a_response_is_rejected() {
    let oss = get_dialect("oss");
    let at = build_sample_target(oss);
    let append = build_request(Operation::AppendObject, &[(Field::Position, Value::Number(10))]);
    let sums = Digests { bytes: 5, crc64: None, md5: None, checksums: Vec::new() };
    let is_append_accepted = |next: &str| {
        let target_response = build_response(200, &[ETAG, ("x-oss-next-append-position", next)]);
        build_client_response(&build_sample_route(oss, &at, &append), &append, &target_response, Some(&sums))
            .is_ok()
    };
    assert!(is_append_accepted("15"));
    assert!(!is_append_accepted("5") && !is_append_accepted("14") && !is_append_accepted("what"));
}

#[test]
fn an_unexpected_body_of_a_success_is_rejected() {
    let read_bodyless_response = |operation: Operation, body: &str| {
        let at = build_sample_target(get_dialect("s3"));
        let client_request = build_request(operation, &[]);
        let target_response =
            TargetResponse { body: body.as_bytes().to_vec(), ..build_response(200, &[ETAG]) };
        read_response(
            &build_sample_route(get_dialect("s3"), &at, &client_request),
            operation,
            &target_response,
        )
        .map(drop)
    };
    for operation in [Operation::DeleteObject, Operation::AbortMultipartUpload, Operation::DeleteBucket] {
        assert!(read_bodyless_response(operation, " \n").is_ok(), "{operation:?}");
        for body in ["<html/>", "fine", "<a>", "<Error><Code>NoSuchKey</Code></Error>"] {
            assert!(read_bodyless_response(operation, body).is_err(), "{operation:?} {body}");
        }
    }
    let denied = read_bodyless_response(Operation::DeleteObject, "<Error><Code>AccessDenied</Code></Error>");
    assert_eq!(denied.unwrap_err().kind, ErrorKind::AccessDenied);
}

#[test]
fn digests_of_source_parts_do_not_depend_on_how_the_body_is_split() {
    let body: Vec<u8> = (0..1000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let own = SourceParts { bytes: 300, count: 4 };
    assert_eq!(own.compute_copy_part_size(5 * 1024 * 1024), 300 * 17_477);
    let digests = |step: usize, body: &[u8]| {
        let mut digests = SourcePartDigests::new(own);
        body.chunks(step).for_each(|piece| digests.update(piece));
        digests.finish();
        digests
    };
    let head = [
        ("etag", MADE_OF_FOUR),
        ("content-length", "1000"),
        ("last-modified", "Mon, 06 May 2024 07:08:09 GMT"),
    ];
    let mut client_request = build_request(Operation::CopyObject, &[]);
    client_request.source = Some(blobfish_dialects::model::CopySource {
        bucket: "source".to_owned(),
        key: "k".to_owned(),
        version: None,
    });
    let at = build_sample_target(get_dialect("s3"));
    let route = build_sample_route(get_dialect("s3"), &at, &client_request);
    let now = blobfish_dialects::model::Timestamp(1_715_000_000);
    let source = blobfish_dialects::engine::relay::read_source_head(
        &route,
        &client_request,
        &build_response(200, &head),
        now,
    )
    .unwrap();
    for step in [1, 7, 299, 300, 301, 600, 1000] {
        assert!(own.matches_source(&source, &[digests(step, &body)]), "{step}");
        let (first, second) = body.split_at(600);
        assert!(own.matches_source(&source, &[digests(step, first), digests(step, second)]), "{step}");
    }
    let mut other = body;
    other[999] ^= 1;
    assert!(!own.matches_source(&source, &[digests(64, &other)]));
}

/// `md5(md5(0..300) + md5(300..600) + md5(600..900) + md5(900..1000))-4`, computed with Python's hashlib.
const MADE_OF_FOUR: &str = "\"92faf3ee18b84a193fa42833a6b68c97-4\"";
