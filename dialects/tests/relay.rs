//! Copies in parts and between targets: how a source is divided, and the requests to both targets.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::encoding::xml;
use blobfish_dialects::engine::body_verifier::Digests;
use blobfish_dialects::engine::target_response::TargetResponse;
use blobfish_dialects::engine::{relay, write_request};
use blobfish_dialects::model::{
    ChecksumAlgorithm, ErrorKind, Field, Operation, Part, Rejection, Request, Timestamp, Value,
};
use blobfish_dialects::translator::explain::{build_sample_route, build_sample_target, explain};
use blobfish_dialects::{cos::COS, jdcloud::JDCLOUD, oss::OSS, s3::S3};
use crc_fast::{CrcAlgorithm, checksum};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp(1_767_323_045);
const MIB: u64 = 1024 * 1024;

proptest! {
    #[test]
    fn parts_cover_every_byte_once(size in 1_u64..5 * 1024 * 1024 * MIB, part in 0_u64..6 * 1024 * MIB) {
        let parts = relay::plan_parts(size, part);
        prop_assert!(parts.len() <= 10_000);
        let mut next = 0;
        for (at, (number, (first, last))) in parts.iter().enumerate() {
            prop_assert_eq!(*number, at as u64 + 1);
            prop_assert_eq!(*first, next);
            next = last + 1;
            // All parts except the last have at least every vendor's minimum.
            prop_assert!(at + 1 == parts.len() || next - first >= 5 * MIB);
        }
        prop_assert_eq!(next, size);
    }

    #[test]
    fn the_combined_crc64_is_that_of_the_object(body in prop::collection::vec(any::<u8>(), 1..2000), cuts in prop::collection::vec(1_usize..500, 1..6)) {
        let (mut rest, mut sums, mut cuts) = (body.as_slice(), Vec::new(), cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            sums.push(Digests { bytes: piece.len() as u64, crc64: Some(checksum(CrcAlgorithm::Crc64Xz, piece)), md5: None, checksums: Vec::new() });
            rest = after;
        }
        prop_assert_eq!(relay::combine_crc64(&sums), Some(checksum(CrcAlgorithm::Crc64Xz, &body)));
    }
}

#[test]
fn the_largest_object_has_the_maximum_number_of_parts() {
    // 5 TiB in 10,000 parts of whole mebibytes.
    let parts = relay::plan_parts(5 * 1024 * 1024 * MIB, 16 * MIB);
    assert_eq!((parts.len(), parts[0].1), (9_987, (0, 525 * MIB - 1)));
    assert_eq!(relay::plan_parts(6 * 1024 * MIB, 16 * MIB).len(), 384);
    assert_eq!(relay::plan_parts(1, 16 * MIB), [(1, (0, 0))]);
    assert_eq!(relay::plan_parts(0, 16 * MIB), []);
}

fn build_copy(caller: &'static Dialect, headers: &str) -> Request {
    let source = match caller.family {
        "cos" => format!("src.{}/a", COS.sample_endpoint),
        _ => "/src/a".to_owned(),
    };
    let text = format!(
        "PUT /b HTTP/1.1\nHost: dst.{}\n{}: {source}\n{headers}",
        caller.sample_endpoint, caller.copy.source_header
    );
    explain(&text, caller, caller).unwrap().request
}

fn build_head_response(more: &[(&str, &str)]) -> TargetResponse {
    let mut headers = vec![
        ("etag", "\"5b3c1a2e053d763e1b002cc607c5a0fe\""),
        ("last-modified", "Mon, 06 May 2024 07:08:09 GMT"),
        ("content-type", "text/css"),
    ];
    headers.extend_from_slice(more);
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    TargetResponse { status: 200, headers: headers.collect(), body: Vec::new() }
}

fn read_source(
    caller: &'static Dialect,
    target: &'static Dialect,
    request: &Request,
    target_response: &TargetResponse,
) -> Result<relay::RelaySource, Rejection> {
    let target = build_sample_target(target);
    relay::read_source_head(&build_sample_route(caller, &target, request), request, target_response, NOW)
}

#[test]
fn a_changed_source_is_detected() {
    let client_request = build_copy(&S3, "");
    let source = read_source(
        &S3,
        &COS,
        &client_request,
        &build_head_response(&[
            ("content-length", "10"),
            ("x-cos-meta-a", "1"),
            ("x-cos-hash-crc64ecma", "7"),
            ("x-cos-version-id", "v1"),
            ("x-cos-tagging-count", "2"),
        ]),
    )
    .unwrap();
    assert_eq!(
        (source.size, source.version.as_deref(), source.crc64.as_deref(), source.has_tags),
        (10, Some("v1"), Some("7"), true)
    );
    // COS does not promise that an ETag is an MD5; S3 does, except for objects with SSE-C or SSE-KMS.
    assert_eq!(source.md5, None);
    let plain =
        read_source(&S3, &S3, &client_request, &build_head_response(&[("content-length", "10")])).unwrap();
    assert_eq!(plain.md5.as_deref(), Some("5b3c1a2e053d763e1b002cc607c5a0fe"));
    let sealed = build_head_response(&[
        ("content-length", "10"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "k"),
    ]);
    assert_eq!(read_source(&S3, &S3, &client_request, &sealed).unwrap().md5, None);
    let read = relay::build_source_read_request(&client_request, &source, Some((3, 5))).unwrap();
    assert_eq!(read.fields.etags(Field::IfMatch).unwrap(), ["5b3c1a2e053d763e1b002cc607c5a0fe"]);
    assert_eq!(read.fields.text(Field::VersionId), Some("v1"));
    let target = build_sample_target(&COS);
    let to = build_sample_route(&S3, &target, &client_request);
    let part = relay::build_part_copy_request(&to, &client_request, &source, "u", 2, (3, 5));
    assert!(part.fields.has(Field::SourceIfMatch) && part.source.unwrap().version.as_deref() == Some("v1"));
    // JD Cloud has no copy conditions, so the source is read again instead.
    let target = build_sample_target(&JDCLOUD);
    let to = build_sample_route(&S3, &target, &client_request);
    assert!(
        !relay::can_pin_source(&to)
            && !relay::build_part_copy_request(&to, &client_request, &source, "u", 2, (3, 5))
                .fields
                .has(Field::SourceIfMatch)
    );
    assert!(relay::check_source_unchanged(&source, &source.clone()).is_ok());
    let other = relay::RelaySource { modified: Timestamp(source.modified.0 + 1), ..source.clone() };
    assert_eq!(relay::check_source_unchanged(&source, &other).unwrap_err().kind, ErrorKind::Conflict);
    let unknown = read_source(&S3, &COS, &client_request, &build_head_response(&[])).unwrap_err();
    assert_eq!(unknown.kind, ErrorKind::InternalError, "a source without a length");
    let missing = TargetResponse { status: 404, headers: Vec::new(), body: Vec::new() };
    assert_eq!(read_source(&S3, &COS, &client_request, &missing).unwrap_err().kind, ErrorKind::NoSuchKey);
    // The limit of the caller's vendor: OSS copies at most 5 GB in one request.
    let huge = build_head_response(&[("content-length", "99999999999999")]);
    for caller in [&S3, &COS, &OSS] {
        assert_eq!(
            read_source(caller, &COS, &build_copy(caller, ""), &huge).unwrap_err().kind,
            ErrorKind::CopySourceTooLarge
        );
    }
    let failing = build_copy(&S3, "x-amz-copy-source-if-match: \"00000000000000000000000000000000\"\n");
    assert_eq!(
        read_source(&S3, &COS, &failing, &build_head_response(&[("content-length", "1")])).unwrap_err().kind,
        ErrorKind::PreconditionFailed
    );
}

#[test]
fn the_destination_gets_the_metadata_of_the_source_or_of_the_request() {
    let source_head = build_head_response(&[
        ("content-length", "10"),
        ("x-cos-meta-a", "1"),
        ("cache-control", "no-store"),
    ]);
    let tags =
        xml::parse(b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>").unwrap();
    let client_request = build_copy(&S3, "if-none-match: *\nx-amz-storage-class: STANDARD_IA\n");
    let source = read_source(&S3, &COS, &client_request, &source_head).unwrap();
    let put =
        relay::build_destination_request(&S3, &client_request, &source, Some(&tags), Operation::PutObject);
    assert_eq!(put.metadata, [("a".to_owned(), b"1".to_vec())]);
    assert_eq!(put.fields.text(Field::CacheControl), Some("no-store"));
    assert_eq!(put.fields.get(Field::Tagging), Some(&Value::Tags(vec![("k".to_owned(), "v".to_owned())])));
    assert!(put.fields.has(Field::ForbidOverwrite) && put.source.is_none());
    let begin = relay::build_destination_request(
        &S3,
        &client_request,
        &source,
        None,
        Operation::CreateMultipartUpload,
    );
    assert!(!begin.fields.has(Field::ForbidOverwrite) && begin.fields.has(Field::StorageClass));
    assert!(
        relay::build_complete_request(&client_request, "u", Vec::new()).fields.has(Field::ForbidOverwrite),
        "the condition belongs to the request that creates the object"
    );
    let replacing =
        build_copy(&S3, "x-amz-metadata-directive: REPLACE\nx-amz-meta-b: 2\ncontent-type: text/html\n");
    let put = relay::build_destination_request(
        &S3,
        &replacing,
        &read_source(&S3, &COS, &replacing, &source_head).unwrap(),
        None,
        Operation::PutObject,
    );
    assert_eq!(put.metadata, [("b".to_owned(), b"2".to_vec())]);
    assert_eq!(
        (put.fields.text(Field::ContentType), put.fields.has(Field::CacheControl)),
        (Some("text/html"), false)
    );
    // The request to the destination has no fields of a copy.
    let target = build_sample_target(&OSS);
    let (out, losses) = write_request::write_request(&build_sample_route(&S3, &target, &put), &put).unwrap();
    assert!(
        losses.is_empty()
            && out.method == "PUT"
            && !out.headers.iter().any(|row| row.0.contains("copy-source") || row.0.contains("directive"))
    );
}

/// The values come from minio-go, for an upload in three parts.
#[test]
fn the_composite_checksum_is_verified_if_the_target_stores_no_checksums() {
    let tags = [
        "821e5346d7a020a6e33a4f6d0098fee4",
        "415008aa29c566e4a8cbe3c57a81fd77",
        "2be4f54a3f8dc96bc8a4c569c9512ac2",
    ];
    let sums = ["map0uQ==", "KDHCrg==", "Lvr8uA=="];
    let complete = |value: &str, part_checksums: &[&str]| {
        let text = format!(
            "POST /dst/b?uploadId=u HTTP/1.1\nHost: {}\nx-amz-checksum-crc32c: {value}\n",
            S3.sample_endpoint
        );
        let mut request = explain(&text, &S3, &S3).unwrap().request;
        request.parts = (1..).zip(tags).map(|(number, tag)| Part::new(number, tag)).collect();
        for (part, value) in request.parts.iter_mut().zip(part_checksums) {
            part.checksums.values.push((ChecksumAlgorithm::Crc32c, (*value).to_owned()));
        }
        [&COS, &OSS, &JDCLOUD].map(|target| {
            let target = build_sample_target(target);
            write_request::write_request(&build_sample_route(&S3, &target, &request), &request)
                .map(|_| ())
                .map_err(|rejection| rejection.kind)
        })
    };
    assert_eq!(complete("AAAAAA==-3", &sums), [Err(ErrorKind::BadDigest); 3]);
    assert_eq!(complete("6PTbFg==-2", &sums), [Err(ErrorKind::BadDigest); 3]);
    assert_eq!(
        complete("AAAAAA==", &sums),
        [Err(ErrorKind::NotImplemented); 3],
        "it may be the checksum of the whole object"
    );
    assert_eq!(complete("6PTbFg==", &sums[..2]), [Err(ErrorKind::NotImplemented); 3]);
    assert_eq!(complete("6PTbFg==", &sums), [Ok(()); 3]);
    assert_eq!(complete("6PTbFg==-3", &sums), [Ok(()); 3]);
}
