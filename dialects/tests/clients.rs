//! What the vendors' own clients send, and what becomes of it on the way to another vendor.
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

/// Sends a caller's request to a target that gives these answers. Returns what was sent and the end.
fn run_exchange(
    caller: &'static Dialect,
    target: &'static Dialect,
    request: Request,
    body: &str,
    answers: &[TargetResponse],
) -> (Vec<OutgoingRequest>, Result<Response, Rejection>) {
    let target = build_sample_target(target);
    let way = build_sample_route(caller, &target, &request);
    let mut sent = Vec::new();
    let mut run = || {
        let mut exchange = Exchange::new(way.clone(), request.clone(), body.as_bytes())?;
        loss::check_losses(exchange.losses(), way.loss_policy, caller)?;
        let mut step = exchange.start(NOW)?;
        let mut answers = answers.iter();
        loop {
            match step {
                Step::Respond(reply) => return Ok(*reply),
                Step::Send(outgoing) => {
                    sent.push(*outgoing);
                    step = exchange
                        .handle_response(answers.next().expect("one more request than answers"), NOW)?;
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

/// boto3's upload_file says a customer's key where it completes; only S3 wants it there.
#[test]
fn a_customers_key_is_repeated_where_it_is_wanted() {
    let completing = || build_request(&S3, "POST /k?uploadId=u", &format!("x-amz-{KEY}"));
    let (sent, ended) = run_exchange(&S3, &S3, completing(), COMPLETE, &[build_response(200, COMPLETED)]);
    assert!(ended.is_ok());
    assert_eq!(find_header(&sent[0], "x-amz-server-side-encryption-customer-algorithm"), Some("AES256"));
    let (sent, ended) = run_exchange(&S3, &COS, completing(), COMPLETE, &[build_response(200, COMPLETED)]);
    assert!(ended.is_ok());
    assert_eq!(find_header(&sent[0], "x-cos-server-side-encryption-customer-algorithm"), None);
    // Where it counts it is refused: the object would not be encrypted.
    let (sent, ended) =
        run_exchange(&S3, &OSS, build_request(&S3, "POST /k?uploads", &format!("x-amz-{KEY}")), "", &[]);
    assert_eq!((sent.len(), ended.unwrap_err().kind), (0, ErrorKind::NotImplemented));
}

/// A wish for a checksum of the target's own is one of an upload as of a copy; what does not bypass a lock is stricter.
#[test]
fn a_target_is_not_sent_what_it_does_not_need() {
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
    for (target, told) in [
        (&S3, Some("x-amz-bypass-governance-retention")),
        (&OSS, Some("x-oss-bypass-governance-retention")),
        (&COS, None),
        (&JDCLOUD, None),
    ] {
        let (sent, ended) = run_exchange(&S3, target, deleting(), delete, &[build_response(200, deleted)]);
        assert!(ended.is_ok(), "{}", target.name);
        let found = sent[0].headers.iter().find(|row| row.0.contains("bypass")).map(|row| row.0.as_str());
        assert_eq!(found, told);
    }
}

/// OSS has an object's access where its upload is completed, S3 where it begins.
#[test]
fn access_that_is_given_at_the_end_is_set_at_the_end() {
    let completing =
        |acl: &str| build_request(&OSS, "POST /k?uploadId=u", &format!("x-oss-object-acl: {acl}\n"));
    let answers = [build_response(200, COMPLETED), build_response(200, "")];
    for (target, name) in [(&S3, "x-amz-acl"), (&COS, "x-cos-acl")] {
        let (sent, ended) = run_exchange(&OSS, target, completing("public-read"), COMPLETE, &answers);
        assert!(ended.is_ok());
        assert_eq!(sent.iter().map(|out| out.method).collect::<Vec<_>>(), ["POST", "PUT"]);
        assert_eq!((find_header(&sent[0], name), find_header(&sent[1], name)), (None, Some("public-read")));
        assert_eq!(sent[1].query, [("acl".to_owned(), None)]);
        let failing =
            [build_response(200, COMPLETED), build_response(403, "<Error><Code>AccessDenied</Code></Error>")];
        let (_, ended) = run_exchange(&OSS, target, completing("public-read"), COMPLETE, &failing);
        let refusal = ended.unwrap_err();
        assert_eq!(refusal.kind, ErrorKind::AccessDenied);
        assert!(refusal.message.unwrap().contains("was completed"));
    }
    let (sent, _) = run_exchange(&OSS, &OSS, completing("public-read"), COMPLETE, &answers);
    assert_eq!((sent.len(), find_header(&sent[0], "x-oss-object-acl")), (1, Some("public-read")));
    let (sent, _) = run_exchange(&OSS, &S3, completing("default"), COMPLETE, &answers);
    assert_eq!(sent.len(), 1, "S3 has no word for the bucket's access");
}

#[test]
fn what_is_granted_to_everybody_is_sent_to_other_vendors() {
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
    // coscmd names whom it grants something to; the owner keeps control at COS. At S3 a document says all there is.
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
    let somebody = document("<ID>qcs::cam::uin/1:uin/1</ID>");
    let (sent, ended) = run_exchange(&COS, &OSS, build_request(&COS, "PUT /k?acl", ""), &somebody, &[]);
    assert_eq!((sent.len(), ended.unwrap_err().kind), (0, ErrorKind::NotImplemented));
    let group = document("<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>");
    let (sent, ended) = run_exchange(&S3, &OSS, build_request(&S3, "PUT /k?acl", ""), &group, &[]);
    assert_eq!((sent.len(), ended.unwrap_err().kind), (0, ErrorKind::NotImplemented));
}

/// The types of cos-nodejs-sdk-v5 and the documents have different names of one element.
#[test]
fn encryption_of_a_bucket_as_sdks_and_as_documents_write_it() {
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

/// 6.1 of the OSS reference: the code is in the head of the answer to HEAD. Others have none there.
#[test]
fn a_head_in_a_missing_bucket_says_so() {
    let head = build_request(&OSS, "HEAD /k", "");
    for target in [&S3, &COS, &JDCLOUD] {
        let target = build_sample_target(target);
        let way = build_sample_route(&OSS, &target, &head);
        let missing = build_response(404, "");
        let asked = streaming::build_bucket_head_request(&way, &head, &missing, NOW).unwrap().unwrap();
        assert_eq!((asked.method, asked.key), ("HEAD", None));
        let code = |bucket: u16| match streaming::build_missing_response(
            &way,
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
        assert!(streaming::build_bucket_head_request(&way, &head, &build_response(403, ""), NOW).is_none());
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
    // A HEAD that stands in for a call with a document.
    let attributes = || build_request(&S3, "GET /k?attributes", "x-amz-object-attributes: ETag\n");
    for (bucket, fault) in [(404, ErrorKind::NoSuchBucket), (200, ErrorKind::NoSuchKey)] {
        let (sent, ended) =
            run_exchange(&S3, &COS, attributes(), "", &[build_response(404, ""), build_response(bucket, "")]);
        assert_eq!(sent.iter().map(|out| out.method).collect::<Vec<_>>(), ["HEAD", "HEAD"]);
        assert_eq!(ended.unwrap_err().kind, fault);
    }
    // So does the look at the source of a copy.
    let copy =
        || build_request(&S3, "PUT /k", "x-amz-copy-source: /from/s\nx-amz-copy-source-if-match: \"a\"\n");
    for (bucket, fault) in [(404, ErrorKind::NoSuchBucket), (200, ErrorKind::NoSuchKey)] {
        let (_, ended) =
            run_exchange(&S3, &JDCLOUD, copy(), "", &[build_response(404, ""), build_response(bucket, "")]);
        assert_eq!(ended.unwrap_err().kind, fault);
    }
}

#[test]
fn a_buckets_class_and_redundancy_stay_within_the_vendor() {
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
    // One zone is the least that anybody promises, and the standard class what everybody has.
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
    // What an S3 caller says nothing of is of the standard class, whatever the bucket's is.
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

/// cos-php-sdk ends the source of every copy with an empty version.
#[test]
fn an_empty_version_is_none_to_cos() {
    let source = |text: &str| (COS.copy.parse_source)(text, None);
    let none = source("b-1.cos.ap-guangzhou.myqcloud.com/k?versionId=").unwrap();
    assert_eq!((none.key.as_str(), none.version), ("k", None));
    assert_eq!(
        source("b-1.cos.ap-guangzhou.myqcloud.com/k?versionId=v").unwrap().version.as_deref(),
        Some("v")
    );
    assert!(source("b-1.cos.ap-guangzhou.myqcloud.com/k?other=").is_err());
    for dialect in [&S3, &OSS] {
        let refusal = (dialect.copy.parse_source)("/b/k?versionId=", None).unwrap_err();
        assert_eq!(write_response::build_error_response(dialect, &refusal).status, 400);
    }
}
