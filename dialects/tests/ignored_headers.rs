//! A header is ignored only for a reason of the closed list; one that affects the result takes effect, or is rejected.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use blobfish_dialects::dialect::{Dialect, FieldName, IgnoreReason};
use blobfish_dialects::documents::response_documents::read_document;
use blobfish_dialects::model::{Document, ErrorKind, Field, Operation, Rejection, RestoreStatus};
use blobfish_dialects::translator::explain::{Explanation, explain};
use blobfish_dialects::{DIALECTS, cos::COS, jdcloud::JDCLOUD, oss::OSS, s3::S3};

const LIST: &str = "GET /?list-type=2";
const CREATE_BUCKET: &str = "PUT /?";
const CREATE_UPLOAD: &str = "POST /k?uploads";
const COMPLETE_UPLOAD: &str = "POST /k?uploadId=u";
const PUT_POLICY: &str = "PUT /?policy";

fn explain_s3(line: &str, headers: &str, target: &'static Dialect) -> Result<Explanation, Rejection> {
    explain(&format!("{line} HTTP/1.1\nHost: box.s3.amazonaws.com\n{headers}"), &S3, target)
}

/// Each row: request line, header, field, and whether COS, OSS and JD Cloud reject the request rather than lose the field.
/// Amazon S3, API Reference: ListObjectsV2, CreateBucket, CompleteMultipartUpload, PutBucketPolicy, request headers.
#[test]
fn a_header_that_affects_the_result_is_a_field() {
    for (line, header, field) in [
        (LIST, "x-amz-optional-object-attributes: RestoreStatus", Field::ListedAttributes),
        ("GET /?versions", "x-amz-optional-object-attributes: RestoreStatus", Field::ListedAttributes),
        (CREATE_BUCKET, "x-amz-object-ownership: BucketOwnerEnforced", Field::BucketOwnership),
        (COMPLETE_UPLOAD, "x-amz-mp-object-size: 5", Field::ObjectSize),
        (COMPLETE_UPLOAD, "x-amz-checksum-type: FULL_OBJECT", Field::ChecksumType),
        (PUT_POLICY, "x-amz-confirm-remove-self-bucket-access: true", Field::ConfirmPolicyLockout),
    ] {
        let plain = explain_s3(line, "", &S3).unwrap().request;
        let request = explain_s3(line, &format!("{header}\n"), &S3).unwrap().request;
        assert!(request.fields.has(field), "{header}");
        assert_ne!(request, plain, "{header}");
        // For comparison: a header without an effect on the result.
        assert_eq!(explain_s3(line, "x-amz-api-version: 2006-03-01\n", &S3).unwrap().request, plain);
    }
}

#[test]
fn a_field_without_support_at_the_target_is_reported_by_name() {
    for target in [&COS, &OSS, &JDCLOUD] {
        for (line, header) in [
            (LIST, "x-amz-optional-object-attributes: RestoreStatus"),
            (CREATE_BUCKET, "x-amz-object-ownership: BucketOwnerEnforced"),
        ] {
            let (name, _) = header.split_once(':').unwrap();
            assert!(explain_s3(line, "", target).unwrap().rejection.is_none(), "{}", target.name);
            let rejection = explain_s3(line, &format!("{header}\n"), target).unwrap().rejection.unwrap();
            assert_eq!(rejection.kind, ErrorKind::NotImplemented, "{} {name}", target.name);
            assert!(rejection.message.unwrap().contains(name), "{} {name}", target.name);
        }
    }
    // S3 supports these fields, so they are sent.
    let outgoing =
        explain_s3(LIST, "x-amz-optional-object-attributes: RestoreStatus\n", &S3).unwrap().outgoing;
    let sent = outgoing
        .as_ref()
        .unwrap()
        .headers
        .iter()
        .find(|row| row.0 == "x-amz-optional-object-attributes")
        .unwrap();
    assert_eq!(sent.1, b"RestoreStatus");
}

/// Where the vendor defines no effect and no client sends it, a header that has an effect elsewhere is rejected.
#[test]
fn a_header_with_an_effect_is_rejected_in_other_operations() {
    for header in ["x-amz-mp-object-size: 5", "x-amz-checksum-type: FULL_OBJECT"] {
        let rejection = explain_s3("PUT /k?", &format!("{header}\n"), &S3).err().unwrap();
        assert_eq!(rejection.kind, ErrorKind::NotImplemented, "{header}");
    }
}

/// Amazon S3, Checking object integrity: a full-object checksum of an upload in parts needs a CRC, and CRC-64/NVME has no
/// composite form.
#[test]
fn impossible_checksum_types_are_rejected() {
    for target in DIALECTS {
        let create = |headers: &str| explain_s3(CREATE_UPLOAD, headers, target).map(|_| ());
        for (algorithm, kind, is_possible) in [
            ("CRC32", "FULL_OBJECT", true),
            ("CRC32", "COMPOSITE", true),
            ("CRC64NVME", "FULL_OBJECT", true),
            ("SHA256", "COMPOSITE", true),
            ("SHA1", "FULL_OBJECT", false),
            ("SHA256", "FULL_OBJECT", false),
            ("CRC64NVME", "COMPOSITE", false),
            ("CRC32", "PARTIAL", false),
        ] {
            let headers = format!("x-amz-checksum-algorithm: {algorithm}\nx-amz-checksum-type: {kind}\n");
            let expected = if is_possible { Ok(()) } else { Err(ErrorKind::InvalidRequest) };
            assert_eq!(create(&headers).map_err(|rejection| rejection.kind), expected, "{algorithm} {kind}");
        }
        let alone = create("x-amz-checksum-type: FULL_OBJECT\n").unwrap_err();
        assert_eq!(alone.kind, ErrorKind::InvalidRequest, "{}", target.name);
    }
}

/// A header that is ignored because it belongs to responses is not a field of any request.
#[test]
fn reasons_agree_with_the_fields() {
    let mut reasons = Vec::new();
    for dialect in DIALECTS {
        for row in dialect.ignored_headers {
            reasons.push(row.reason);
            assert!(!row.source.is_empty() && row.name.starts_with(dialect.header_prefix), "{}", row.name);
            if row.reason == IgnoreReason::NoEffect {
                continue;
            }
            for (operation, field) in Operation::all().flat_map(|of| Field::ALL.map(|field| (of, field))) {
                if let Some(FieldName::Header(name)) = dialect.field_name_in(field, operation) {
                    assert!(!row.matches_header(name), "{} {name} {}", dialect.name, operation.name());
                }
            }
        }
    }
    for reason in
        [IgnoreReason::Transport, IgnoreReason::Signature, IgnoreReason::NoEffect, IgnoreReason::ResponseOnly]
    {
        assert!(reasons.contains(&reason), "{reason:?}");
    }
}

/// Amazon S3, API Reference, ListObjectsV2, response elements of Contents.
#[test]
fn a_listing_keeps_the_restore_status() {
    let page = |restore: &str| {
        format!(
            "<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated><Contents><Key>k</Key><Size>4</Size>\
             <StorageClass>GLACIER</StorageClass>{restore}</Contents></ListBucketResult>"
        )
    };
    let read = |text: &str| match read_document(&S3, Operation::ListObjectsV2, text.as_bytes()) {
        Ok(Some(Document::Objects(page))) => page.objects[0].restore,
        _ => panic!("{text}"),
    };
    assert_eq!(read(&page("")), None);
    let restore = "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>";
    assert_eq!(read(&page(restore)), Some(RestoreStatus { is_in_progress: true, expires: None }));
    let restore = "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>\
                   <RestoreExpiryDate>2012-12-21T00:00:00.000Z</RestoreExpiryDate></RestoreStatus>";
    assert!(read(&page(restore)).is_some_and(|status| !status.is_in_progress && status.expires.is_some()));
}

/// botocore 1.44.8 sends these to a bucket with PUT: without the parameter that would create the bucket.
#[test]
fn an_operation_that_is_not_translated_is_not_taken_for_another() {
    for name in ["metadataAnnotationTable", "metadataInventoryTable", "metadataJournalTable"] {
        let rejection = explain_s3(&format!("PUT /?{name}"), "", &S3).err().unwrap();
        assert_eq!(rejection.kind, ErrorKind::NotImplemented, "{name}");
    }
    assert!(explain_s3(CREATE_BUCKET, "", &S3).is_ok());
}
