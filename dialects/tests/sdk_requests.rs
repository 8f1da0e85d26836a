//! Requests as the vendors' own clients send them, translated for another vendor.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::engine::exchange::{Exchange, Step};
use blobfish_dialects::engine::target_response::TargetResponse;
use blobfish_dialects::engine::{loss, streaming, write_response};
use blobfish_dialects::model::{
    Document, ErrorKind, OutgoingRequest, Rejection, Request, Response, Timestamp,
};
use blobfish_dialects::s3::profiles::{AWS, EMBEDDED};
use blobfish_dialects::translator::explain::{build_sample_route, build_sample_target, explain};
use blobfish_dialects::{cos::COS, jdcloud::JDCLOUD, oss::OSS, s3::S3};

const NOW: Timestamp = Timestamp(1_767_323_045);

fn build_request(caller: &'static Dialect, line: &str, headers: &str) -> Request {
    let text = format!("{line} HTTP/1.1\nHost: box.{}\n{headers}", caller.sample_endpoint);
    explain(&text, caller, caller).unwrap().request
}

/// Sends a caller's request to a target with these responses. Returns the requests to the target, and the result.
fn run_exchange(
    caller: &'static Dialect,
    target: &'static Dialect,
    request: Request,
    body: &str,
    target_responses: &[TargetResponse],
) -> (Vec<OutgoingRequest>, Result<Response, Rejection>) {
    let target = build_sample_target(target);
    let route = build_sample_route(caller, &target, &request);
    let mut sent = Vec::new();
    let mut run = || {
        let mut exchange = Exchange::new(route.clone(), request.clone(), body.as_bytes())?;
        loss::check_losses(exchange.losses(), route.loss_policy, caller)?;
        let mut step = exchange.start(NOW)?;
        let mut target_responses = target_responses.iter();
        loop {
            match step {
                Step::Respond(response) => return Ok(*response),
                Step::Send(outgoing) => {
                    sent.push(*outgoing);
                    step = exchange.handle_response(
                        target_responses.next().expect("one more request than target_responses"),
                        NOW,
                    )?;
                }
            }
        }
    };
    let ended = run();
    (sent, ended)
}

fn build_response(status: u16, body: &str) -> TargetResponse {
    TargetResponse { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
}

fn find_header<'a>(outgoing: &'a OutgoingRequest, name: &str) -> Option<&'a str> {
    let row = outgoing.headers.iter().find(|row| row.0 == name)?;
    std::str::from_utf8(&row.1).ok()
}

const COMPLETE: &str = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag></Part></CompleteMultipartUpload>";
const COMPLETED: &str = "<CompleteMultipartUploadResult><ETag>\"5b3c1a2e053d763e1b002cc607c5a0fe-1\"</ETag></CompleteMultipartUploadResult>";
const KEY: &str = "server-side-encryption-customer-algorithm: AES256\n";

/// boto3's upload_file sends the customer key in CompleteMultipartUpload; only S3 accepts it there.
#[test]
fn a_customer_key_at_completion_is_sent_only_to_targets_that_accept_it() {
    let completing = || build_request(&S3, "POST /k?uploadId=u", &format!("x-amz-{KEY}"));
    let (sent, ended) = run_exchange(&S3, &S3, completing(), COMPLETE, &[build_response(200, COMPLETED)]);
    assert!(ended.is_ok());
    assert_eq!(find_header(&sent[0], "x-amz-server-side-encryption-customer-algorithm"), Some("AES256"));
    let (sent, ended) = run_exchange(&S3, &COS, completing(), COMPLETE, &[build_response(200, COMPLETED)]);
    assert!(ended.is_ok());
    assert_eq!(find_header(&sent[0], "x-cos-server-side-encryption-customer-algorithm"), None);
    // In CreateMultipartUpload it is rejected, because the object would not be encrypted.
    let (sent, ended) =
        run_exchange(&S3, &OSS, build_request(&S3, "POST /k?uploads", &format!("x-amz-{KEY}")), "", &[]);
    assert_eq!((sent.len(), ended.unwrap_err().kind), (0, ErrorKind::NotImplemented));
}

/// A requested checksum algorithm without a value is not sent to a target without it; a target without governance
/// bypass is stricter.
#[test]
fn fields_without_effect_at_the_target_are_not_sent() {
    let copied = "<CopyObjectResult><ETag>\"5b3c1a2e053d763e1b002cc607c5a0fe\"</ETag><LastModified>2024-05-06T07:08:09Z</LastModified></CopyObjectResult>";
    let copying =
        || build_request(&S3, "PUT /k", "x-amz-copy-source: /box/s\nx-amz-checksum-algorithm: SHA256\n");
    for target in [&COS, &OSS, &JDCLOUD] {
        let (sent, ended) = run_exchange(&S3, target, copying(), "", &[build_response(200, copied)]);
        assert!(ended.is_ok(), "{}", target.name);
        assert!(!sent[0].headers.iter().any(|row| row.0.contains("checksum-algorithm")));
    }
    let delete = "<Delete><Object><Key>k</Key></Object></Delete>";
    let deleted = "<DeleteResult><Deleted><Key>k</Key></Deleted></DeleteResult>";
    let deleting = || build_request(&S3, "POST /?delete", "x-amz-bypass-governance-retention: true\n");
    for (target, expected) in [
        (&S3, Some("x-amz-bypass-governance-retention")),
        (&OSS, Some("x-oss-bypass-governance-retention")),
        (&COS, None),
        (&JDCLOUD, None),
    ] {
        let (sent, ended) = run_exchange(&S3, target, deleting(), delete, &[build_response(200, deleted)]);
        assert!(ended.is_ok(), "{}", target.name);
        let found = sent[0].headers.iter().find(|row| row.0.contains("bypass")).map(|row| row.0.as_str());
        assert_eq!(found, expected);
    }
}

/// OSS sets the ACL in CompleteMultipartUpload, S3 in CreateMultipartUpload.
#[test]
fn an_acl_at_completion_is_set_after_the_completion() {
    let completing =
        |acl: &str| build_request(&OSS, "POST /k?uploadId=u", &format!("x-oss-object-acl: {acl}\n"));
    let target_responses = [build_response(200, COMPLETED), build_response(200, "")];
    for (target, name) in [(&S3, "x-amz-acl"), (&COS, "x-cos-acl")] {
        let (sent, ended) =
            run_exchange(&OSS, target, completing("public-read"), COMPLETE, &target_responses);
        assert!(ended.is_ok());
        assert_eq!(sent.iter().map(|out| out.method).collect::<Vec<_>>(), ["POST", "PUT"]);
        assert_eq!((find_header(&sent[0], name), find_header(&sent[1], name)), (None, Some("public-read")));
        assert_eq!(sent[1].query, [("acl".to_owned(), None)]);
        let failing =
            [build_response(200, COMPLETED), build_response(403, "<Error><Code>AccessDenied</Code></Error>")];
        let (_, ended) = run_exchange(&OSS, target, completing("public-read"), COMPLETE, &failing);
        let rejection = ended.unwrap_err();
        assert_eq!(rejection.kind, ErrorKind::AccessDenied);
        assert!(rejection.message.unwrap().contains("was completed"));
    }
    let (sent, _) = run_exchange(&OSS, &OSS, completing("public-read"), COMPLETE, &target_responses);
    assert_eq!((sent.len(), find_header(&sent[0], "x-oss-object-acl")), (1, Some("public-read")));
    let (sent, _) = run_exchange(&OSS, &S3, completing("default"), COMPLETE, &target_responses);
    assert_eq!(sent.len(), 1, "S3 has no canned ACL for the ACL of the bucket");
}

#[test]
fn grants_to_everybody_are_sent_to_other_vendors_as_a_canned_acl() {
    let rows = [
        (&COS, "x-cos-grant-read: uri=\"http://cam.qcloud.com/groups/global/AllUsers\"\n"),
        (&COS, "x-cos-grant-read: id=\"qcs::cam::anyone:anyone\"\n"),
        (&S3, "x-amz-grant-read: uri=\"http://acs.amazonaws.com/groups/global/AllUsers\"\n"),
        (
            &S3,
            "x-amz-grant-read: uri=http://acs.amazonaws.com/groups/global/AllUsers, id=\"blobfish\"\nx-amz-grant-full-control: id=blobfish\n",
        ),
    ];
    for (caller, grants) in rows {
        for (target, name) in [(&S3, "x-amz-acl"), (&COS, "x-cos-acl"), (&OSS, "x-oss-object-acl")] {
            let (sent, ended) = run_exchange(
                caller,
                target,
                build_request(caller, "PUT /k?acl", grants),
                "",
                &[build_response(200, "")],
            );
            assert!(ended.is_ok(), "{} to {}: {grants}", caller.name, target.name);
            let canned = find_header(&sent[0], name);
            assert_eq!(canned, (caller.family != target.family).then_some("public-read"), "{grants}");
        }
    }
    for (grants, acl) in [
        ("x-cos-grant-read: id=\"100000000001\"\n", None),
        ("x-cos-grant-read-acp: id=\"qcs::cam::anyone:anyone\"\n", None),
        ("x-cos-grant-read: id=\"qcs::cam::anyone:anyone\", id=\"100000000001\"\n", None),
        (
            "x-cos-grant-read: id=\"qcs::cam::anyone:anyone\"\nx-cos-grant-write: id=\"qcs::cam::anyone:anyone\"\n",
            Some("public-read-write"),
        ),
    ] {
        let (sent, ended) = run_exchange(
            &COS,
            &AWS,
            build_request(&COS, "PUT /?acl", grants),
            "",
            &[build_response(200, "")],
        );
        match acl {
            None => {
                assert_eq!((sent.len(), ended.unwrap_err().kind), (0, ErrorKind::NotImplemented), "{grants}")
            }
            Some(word) => {
                assert!(sent.iter().any(|out| find_header(out, "x-amz-acl") == Some(word)), "{grants}")
            }
        }
    }
    // coscmd sends only grants to others; at COS the owner keeps control. At S3, an ACL document is complete.
    let document = |id: &str| {
        format!(
            "<AccessControlPolicy><Owner><ID>o</ID></Owner><AccessControlList><Grant><Grantee>{id}</Grantee><Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>"
        )
    };
    let everybody = document("<ID>qcs::cam::anyone:anyone</ID>");
    let (sent, _) = run_exchange(
        &COS,
        &OSS,
        build_request(&COS, "PUT /k?acl", ""),
        &everybody,
        &[build_response(200, "")],
    );
    assert_eq!(find_header(&sent[0], "x-oss-object-acl"), Some("public-read"));
    let account = document("<ID>qcs::cam::uin/1:uin/1</ID>");
    let (sent, ended) = run_exchange(&COS, &OSS, build_request(&COS, "PUT /k?acl", ""), &account, &[]);
    assert_eq!((sent.len(), ended.unwrap_err().kind), (0, ErrorKind::NotImplemented));
    let group = document("<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>");
    let (sent, ended) = run_exchange(&S3, &OSS, build_request(&S3, "PUT /k?acl", ""), &group, &[]);
    assert_eq!((sent.len(), ended.unwrap_err().kind), (0, ErrorKind::NotImplemented));
}

/// The types of cos-nodejs-sdk-v5 and the COS documents have different names for one element.
#[test]
fn both_spellings_of_the_encryption_document_of_cos_are_read() {
    let document = |name: &str, rule: &str| {
        format!(
            "<ServerSideEncryptionConfiguration><Rule><{name}>{rule}</{name}></Rule></ServerSideEncryptionConfiguration>"
        )
    };
    let rule = "<SSEAlgorithm>AES256</SSEAlgorithm>";
    let put = || build_request(&COS, "PUT /?encryption", "");
    for name in ["ApplySideEncryptionConfiguration", "ApplyServerSideEncryptionByDefault"] {
        let (sent, ended) =
            run_exchange(&COS, &COS, put(), &document(name, rule), &[build_response(200, "")]);
        assert!(ended.is_ok(), "{name}");
        let body = String::from_utf8(sent[0].body.clone()).unwrap();
        assert_eq!(body.matches("<ApplyServerSideEncryptionByDefault>").count(), 1, "{body}");
        assert!(body.contains(rule) && !body.contains("ApplySide"), "{body}");
    }
    let (_, ended) = run_exchange(&COS, &COS, put(), &document("ApplyNothing", rule), &[]);
    assert_eq!(ended.unwrap_err().kind, ErrorKind::MalformedXml);
}

/// OSS, error responses: the error document of a HEAD is in the header x-oss-err. Other vendors have no such header.
#[test]
fn a_head_in_a_missing_bucket_returns_no_such_bucket() {
    let head = build_request(&OSS, "HEAD /k", "");
    for target in [&S3, &COS, &JDCLOUD] {
        let target = build_sample_target(target);
        let route = build_sample_route(&OSS, &target, &head);
        let missing = build_response(404, "");
        let client_request =
            streaming::build_bucket_head_request(&route, &head, &missing, NOW).unwrap().unwrap();
        assert_eq!((client_request.method, client_request.scope.key()), ("HEAD", None));
        let code = |bucket: u16| match streaming::build_not_found_response(
            &route,
            &head,
            &missing,
            &build_response(bucket, ""),
        )
        .document
        {
            Some(Document::Error(error)) => error.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (code(404), code(200), code(403)),
            ("NoSuchBucket".to_owned(), "NoSuchKey".to_owned(), "NoSuchKey".to_owned())
        );
        assert!(streaming::build_bucket_head_request(&route, &head, &build_response(403, ""), NOW).is_none());
    }
    let target = build_sample_target(&S3);
    let of_s3 = build_request(&S3, "HEAD /k", "");
    assert!(
        streaming::build_bucket_head_request(
            &build_sample_route(&S3, &target, &of_s3),
            &of_s3,
            &build_response(404, ""),
            NOW
        )
        .is_none()
    );
    // A HEAD that replaces an operation with a document.
    let attributes = || build_request(&S3, "GET /k?attributes", "x-amz-object-attributes: ETag\n");
    for (bucket, error_kind) in [(404, ErrorKind::NoSuchBucket), (200, ErrorKind::NoSuchKey)] {
        let (sent, ended) =
            run_exchange(&S3, &COS, attributes(), "", &[build_response(404, ""), build_response(bucket, "")]);
        assert_eq!(sent.iter().map(|out| out.method).collect::<Vec<_>>(), ["HEAD", "HEAD"]);
        assert_eq!(ended.unwrap_err().kind, error_kind);
    }
    // The HEAD of a copy's source does the same.
    let copy =
        || build_request(&S3, "PUT /k", "x-amz-copy-source: /from/s\nx-amz-copy-source-if-match: \"a\"\n");
    for (bucket, error_kind) in [(404, ErrorKind::NoSuchBucket), (200, ErrorKind::NoSuchKey)] {
        let (_, ended) =
            run_exchange(&S3, &JDCLOUD, copy(), "", &[build_response(404, ""), build_response(bucket, "")]);
        assert_eq!(ended.unwrap_err().kind, error_kind);
    }
}

#[test]
fn storage_class_and_redundancy_of_a_bucket_are_sent_only_to_their_vendor() {
    let document = |class: &str, redundancy: &str| {
        format!(
            "<CreateBucketConfiguration><StorageClass>{class}</StorageClass><DataRedundancyType>{redundancy}</DataRedundancyType></CreateBucketConfiguration>"
        )
    };
    let create = || build_request(&OSS, "PUT /", "");
    let (sent, ended) =
        run_exchange(&OSS, &OSS, create(), &document("IA", "ZRS"), &[build_response(200, "")]);
    assert!(ended.is_ok());
    assert_eq!(
        String::from_utf8(sent[0].body.clone()).unwrap().split_once("?>").map_or("", |row| row.1).trim(),
        document("IA", "ZRS")
    );
    // Every vendor offers at least redundancy in one zone and the standard class.
    for target in [&S3, &COS, &JDCLOUD] {
        let standard = document("Standard", "LRS");
        assert!(
            run_exchange(&OSS, target, create(), &standard, &[build_response(200, "")]).1.is_ok(),
            "{}",
            target.name
        );
        for wanted in [document("IA", "LRS"), document("Standard", "ZRS"), document("Standard", "x")] {
            let (sent, ended) = run_exchange(&OSS, target, create(), &wanted, &[]);
            assert_eq!(
                (sent.len(), ended.unwrap_err().kind),
                (0, ErrorKind::NotImplemented),
                "{}",
                target.name
            );
        }
    }
    let (sent, _) =
        run_exchange(&OSS, &EMBEDDED, create(), &document("IA", "LRS"), &[build_response(200, "")]);
    assert_eq!(find_header(&sent[0], "x-amz-storage-class"), Some("STANDARD_IA"));
    // A request of S3 without a storage class means the standard class, also in a bucket with another default.
    let put = build_request(&S3, "PUT /k", "");
    let target = build_sample_target(&EMBEDDED);
    let (out, _) = blobfish_dialects::engine::write_request::write_request(
        &build_sample_route(&S3, &target, &put),
        &put,
    )
    .unwrap();
    assert_eq!(find_header(&out, "x-amz-storage-class"), Some("STANDARD"));
    let put = build_request(&OSS, "PUT /k", "");
    let (out, _) = blobfish_dialects::engine::write_request::write_request(
        &build_sample_route(&OSS, &target, &put),
        &put,
    )
    .unwrap();
    assert_eq!(find_header(&out, "x-amz-storage-class"), None);
}

/// cos-php-sdk appends an empty version ID to the source of every copy.
#[test]
fn an_empty_version_id_of_cos_counts_as_absent() {
    let source = |text: &str| (COS.copy.parse_source)(text, None);
    let none = source("b-1.cos.ap-guangzhou.myqcloud.com/k?versionId=").unwrap();
    assert_eq!((none.key.as_str(), none.version), ("k", None));
    assert_eq!(
        source("b-1.cos.ap-guangzhou.myqcloud.com/k?versionId=v").unwrap().version.as_deref(),
        Some("v")
    );
    assert!(source("b-1.cos.ap-guangzhou.myqcloud.com/k?other=").is_err());
    for dialect in [&S3, &OSS] {
        let rejection = (dialect.copy.parse_source)("/b/k?versionId=", None).unwrap_err();
        assert_eq!(write_response::build_error_response(dialect, &rejection).status, 400);
    }
}
