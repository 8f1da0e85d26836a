//! What of a target's answers cannot be true.
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
use blobfish_dialects::engine::validate_response::{build_expected_body, can_fail_with, check_response_head};
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

fn is_valid_response(target: &'static Dialect, request: &Request, answer: &TargetResponse) -> bool {
    let at = build_sample_target(target);
    check_response_head(&build_sample_route(target, &at, request), request, answer).is_ok()
}

const ETAG: (&str, &str) = ("etag", "\"5d41402abc4b2a76b9719d911017c592\"");

#[test]
fn a_success_has_the_status_and_the_head_of_one() {
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
        assert!(!is_valid_response(target, &head, &build_response(200, &[ETAG])), "of what length?");
        assert!(!is_valid_response(target, &head, &build_response(200, &[ETAG, ("content-length", "-5")])));
    }
}

#[test]
fn what_was_requested_is_what_is_returned() {
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
fn a_range_is_the_one_that_was_requested() {
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
        for (range, told, sound) in ranges {
            let get = build_request(Operation::GetObject, &[(Field::Range, Value::ByteRange(range))]);
            let found =
                is_valid_response(target, &get, &build_response(206, &[ETAG, ("content-range", told)]));
            assert_eq!(found, sound, "{} {range:?} {told}", target.name);
        }
        let get =
            build_request(Operation::GetObject, &[(Field::Range, Value::ByteRange(ByteRange::Span(2, 5)))]);
        assert!(!is_valid_response(target, &get, &build_response(206, &[ETAG])));
        let length = [ETAG, ("content-range", "bytes 2-5/10"), ("content-length", "5")];
        assert!(!is_valid_response(target, &get, &build_response(206, &length)));
        // The whole object is no answer to a part of it, unless that is all of it.
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
fn a_condition_fails_only_where_one_was_set() {
    let bare = build_request(Operation::GetObject, &[]);
    let etags = || Value::Etags(vec!["x".to_owned()]);
    for fault in [ErrorKind::PreconditionFailed, ErrorKind::NotModified, ErrorKind::InvalidRange] {
        assert!(!can_fail_with(&bare, fault), "{fault:?}");
    }
    assert!(can_fail_with(&bare, ErrorKind::NoSuchKey));
    assert!(can_fail_with(
        &build_request(Operation::GetObject, &[(Field::IfMatch, etags())]),
        ErrorKind::PreconditionFailed
    ));
    assert!(can_fail_with(
        &build_request(Operation::GetObject, &[(Field::IfNoneMatch, etags())]),
        ErrorKind::NotModified
    ));
    let overwrite = build_request(Operation::PutObject, &[(Field::ForbidOverwrite, Value::Flag)]);
    assert!(can_fail_with(&overwrite, ErrorKind::PreconditionFailed));
}

#[test]
fn a_head_vouches_for_the_whole_body_and_for_nothing_else() {
    let get = build_request(Operation::GetObject, &[]);
    let get_attested_digests = |name: &str, status: u16, headers: &[(&str, &str)]| {
        build_expected_body(get_dialect(name), &get, &build_response(status, headers))
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
    // 8: at OSS and COS the ETag is not always an MD5, and the CRC-64 is always there.
    assert_eq!(get_attested_digests("oss", 200, &[ETAG]), None);
    assert_eq!(get_attested_digests("oss", 200, &[ETAG, ("x-oss-hash-crc64ecma", "1")]), Some((false, 1)));
    assert_eq!(get_attested_digests("cos", 200, &[ETAG, ("x-cos-hash-crc64ecma", "1")]), Some((false, 1)));
}

#[test]
fn an_appended_piece_ends_where_it_should() {
    let oss = get_dialect("oss");
    let at = build_sample_target(oss);
    let append = build_request(Operation::AppendObject, &[(Field::Position, Value::Number(10))]);
    let sums = Digests { bytes: 5, crc64: None, md5: None, checksums: Vec::new() };
    let is_append_accepted = |next: &str| {
        let answer = build_response(200, &[ETAG, ("x-oss-next-append-position", next)]);
        build_client_response(&build_sample_route(oss, &at, &append), &append, &answer, Some(&sums)).is_ok()
    };
    assert!(is_append_accepted("15"));
    assert!(!is_append_accepted("5") && !is_append_accepted("14") && !is_append_accepted("what"));
}

#[test]
fn a_success_without_a_document_has_no_body() {
    let read_bodyless_response = |operation: Operation, body: &str| {
        let at = build_sample_target(get_dialect("s3"));
        let asked = build_request(operation, &[]);
        let answer = TargetResponse { body: body.as_bytes().to_vec(), ..build_response(200, &[ETAG]) };
        read_response(&build_sample_route(get_dialect("s3"), &at, &asked), operation, &answer).map(drop)
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
fn a_sources_own_parts_may_lie_anywhere_in_the_pieces_that_arrive() {
    let body: Vec<u8> = (0..1000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let own = SourceParts { bytes: 300, count: 4 };
    assert_eq!(own.compute_copy_part_bytes(5 * 1024 * 1024), 300 * 17_477);
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
    let asked = build_request(Operation::CopyObject, &[]);
    let at = build_sample_target(get_dialect("s3"));
    let way = build_sample_route(get_dialect("s3"), &at, &asked);
    let now = blobfish_dialects::model::Timestamp(1_715_000_000);
    let source =
        blobfish_dialects::engine::relay::read_source_head(&way, &asked, &build_response(200, &head), now)
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

/// `md5(md5(0..300) + md5(300..600) + md5(600..900) + md5(900..1000))-4`, by Python's hashlib.
const MADE_OF_FOUR: &str = "\"92faf3ee18b84a193fa42833a6b68c97-4\"";
