//! Buckets and listings, translated between dialects.

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
use blobfish_dialects::model::{Document, ErrorKind, ObjectListing, OutgoingRequest, Rejection, Timestamp};
use blobfish_dialects::translator::explain::{build_sample_route, build_sample_target, explain};
use blobfish_dialects::{cos::COS, oss::OSS, s3::S3};

const NOW: Timestamp = Timestamp(1_767_323_045);

/// Sends one request of a caller to a target that responds with `body`.
fn run_exchange(
    caller: &'static Dialect,
    target: &'static Dialect,
    line: &str,
    headers: &str,
    body: &[u8],
    target_response: &str,
) -> Result<(OutgoingRequest, Option<Document>), Rejection> {
    let text = format!("{line} HTTP/1.1\nHost: b.{}\n{headers}", caller.sample_endpoint);
    let request = explain(&text, caller, caller)?.request;
    let target = build_sample_target(target);
    let route = build_sample_route(caller, &target, &request);
    let mut exchange = Exchange::new(route, request, body)?;
    let Step::Send(sent) = exchange.start(NOW)? else { panic!("the exchange ended without a request") };
    let target_response =
        TargetResponse { status: 200, headers: Vec::new(), body: target_response.as_bytes().to_vec() };
    match exchange.handle_response(&target_response, NOW)? {
        Step::Respond(response) => Ok((*sent, response.document)),
        Step::Send(_) => panic!("one request is enough"),
    }
}

fn find_header<'a>(sent: &'a OutgoingRequest, name: &str) -> Option<&'a str> {
    sent.headers.iter().find(|row| row.0 == name).and_then(|row| std::str::from_utf8(&row.1).ok())
}

#[test]
fn the_acl_of_a_new_bucket_is_sent_under_the_targets_name() {
    let (sent, _) = run_exchange(&S3, &OSS, "PUT /", "x-amz-acl: public-read\n", b"", "").unwrap();
    assert_eq!(find_header(&sent, "x-oss-acl"), Some("public-read"));
    assert_eq!(find_header(&sent, "x-oss-object-acl"), None);
    let (sent, _) = run_exchange(&OSS, &COS, "PUT /", "x-oss-acl: private\n", b"", "").unwrap();
    assert_eq!(find_header(&sent, "x-cos-acl"), Some("private"));
}

#[test]
fn settings_of_a_new_bucket_are_translated_or_rejected() {
    let region = b"<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    assert!(run_exchange(&S3, &OSS, "PUT /", "", region, "").is_ok());
    let class =
        b"<CreateBucketConfiguration><StorageClass>Standard</StorageClass></CreateBucketConfiguration>";
    assert!(run_exchange(&OSS, &S3, "PUT /", "", class, "").is_ok());
    let cold = b"<CreateBucketConfiguration><StorageClass>Archive</StorageClass></CreateBucketConfiguration>";
    assert_eq!(run_exchange(&OSS, &S3, "PUT /", "", cold, "").unwrap_err().kind, ErrorKind::NotImplemented);
    let zones =
        b"<CreateBucketConfiguration><BucketAZConfig>MAZ</BucketAZConfig></CreateBucketConfiguration>";
    assert_eq!(run_exchange(&COS, &S3, "PUT /", "", zones, "").unwrap_err().kind, ErrorKind::NotImplemented);
    assert_eq!(
        run_exchange(&COS, &S3, "PUT /", "", b"<open>", "").unwrap_err().kind,
        ErrorKind::MalformedXml
    );
}

fn expect_listing(document: Option<Document>) -> ObjectListing {
    match document {
        Some(Document::Objects(listing)) => listing,
        other => panic!("{other:?}"),
    }
}

const PAGE: &str = "<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>\
    <NextMarker>b%2Bc%20d</NextMarker><Contents><Key>b%2Bc%20d</Key><Size>3</Size><ETag>\"x\"</ETag>\
    <LastModified>2024-05-06T07:08:09.000Z</LastModified></Contents></ListBucketResult>";

#[test]
fn list_objects_v2_is_translated_into_markers() {
    let (sent, document) = run_exchange(&S3, &COS, "GET /?list-type=2&start-after=a", "", b"", PAGE).unwrap();
    assert!(sent.query.contains(&("marker".to_owned(), Some("a".to_owned()))), "{:?}", sent.query);
    assert!(!sent.query.iter().any(|row| row.0 == "list-type"));
    let page = expect_listing(document);
    assert_eq!(page.objects[0].key, "b+c d");
    let token = page.next_continuation_token.unwrap();
    let line = format!("GET /?list-type=2&continuation-token={token}");
    let (sent, _) = run_exchange(&S3, &COS, &line, "", b"", &PAGE.replace("b%2Bc", "c%2Bc")).unwrap();
    assert!(sent.query.contains(&("marker".to_owned(), Some("b+c d".to_owned()))), "{:?}", sent.query);
    let same = run_exchange(&S3, &COS, &line, "", b"", PAGE);
    assert_eq!(
        same.unwrap_err().kind,
        ErrorKind::InternalError,
        "a page with its own marker would be requested forever"
    );
    let rejected = run_exchange(&S3, &COS, "GET /?list-type=2&continuation-token=forged", "", b"", PAGE);
    assert_eq!(rejected.unwrap_err().kind, ErrorKind::InvalidArgument);
}

#[test]
fn a_page_has_the_default_size_of_the_caller_dialect() {
    for (caller, size) in [(&S3, "1000"), (&COS, "1000"), (&OSS, "100")] {
        let (sent, document) = run_exchange(caller, &S3, "GET /", "", b"", PAGE).unwrap();
        assert!(sent.query.contains(&("max-keys".to_owned(), Some(size.to_owned()))), "{}", caller.name);
        assert_eq!(expect_listing(document).max_keys.to_string(), size);
    }
}

#[test]
fn cos_callers_cannot_use_list_objects_v2() {
    let rejected = run_exchange(&COS, &S3, "GET /?list-type=2", "", b"", PAGE);
    assert_eq!(rejected.unwrap_err().kind, ErrorKind::NotImplemented);
}

/// Deletes a bucket at a target with these responses. Returns the methods of the requests, and the result.
fn delete_bucket(
    caller: &'static Dialect,
    target: &'static Dialect,
    target_responses: &[(u16, &str)],
) -> (Vec<String>, Result<u16, ErrorKind>) {
    let text = format!("DELETE / HTTP/1.1\nHost: b.{}\n", caller.sample_endpoint);
    let request = explain(&text, caller, caller).unwrap().request;
    let target = build_sample_target(target);
    let route = build_sample_route(caller, &target, &request);
    let mut exchange = Exchange::new(route, request, b"").unwrap();
    let (mut sent, mut target_responses) = (Vec::new(), target_responses.iter());
    let mut step = exchange.start(NOW);
    loop {
        match step {
            Ok(Step::Send(out)) => {
                let query: Vec<&str> = out.query.iter().map(|row| row.0.as_str()).collect();
                sent.push(format!("{} {}", out.method, query.join("&")).trim().to_owned());
                let (status, body) =
                    *target_responses.next().expect("one more request than target_responses");
                let target_response =
                    TargetResponse { status, headers: Vec::new(), body: body.as_bytes().to_vec() };
                step = exchange.handle_response(&target_response, NOW);
            }
            Ok(Step::Respond(response)) => return (sent, Ok(response.status)),
            Err(rejection) => return (sent, Err(rejection.kind)),
        }
    }
}

const NO_UPLOADS: &str = "<ListMultipartUploadsResult><Bucket>b</Bucket><IsTruncated>false</IsTruncated>\
    </ListMultipartUploadsResult>";
const AN_UPLOAD: &str = "<ListMultipartUploadsResult><Bucket>b</Bucket><IsTruncated>false</IsTruncated><Upload><Key>k</Key>\
    <UploadId>u</UploadId><Initiated>2024-05-06T07:08:09.000Z</Initiated></Upload></ListMultipartUploadsResult>";
const NOT_EMPTY: &str = "<Error><Code>BucketNotEmpty</Code></Error>";
const NO_BUCKET: &str = "<Error><Code>NoSuchBucket</Code></Error>";
const NOT_THERE: &str = "<Error><Code>NotImplemented</Code></Error>";

/// COS, DELETE Bucket, and OSS, DeleteBucket: unfinished uploads prevent the deletion of a bucket; at S3 they are
/// deleted with it.
#[test]
fn unfinished_uploads_prevent_deletion_as_at_the_callers_vendor() {
    let to_owned_strings = |calls: &[&str]| calls.iter().map(|call| (*call).to_owned()).collect::<Vec<_>>();
    for caller in [&COS, &OSS] {
        assert_eq!(
            delete_bucket(caller, &S3, &[(200, NO_UPLOADS), (204, "")]),
            (to_owned_strings(&["GET uploads", "DELETE"]), Ok(204))
        );
        assert_eq!(
            delete_bucket(caller, &S3, &[(200, AN_UPLOAD)]),
            (to_owned_strings(&["GET uploads"]), Err(ErrorKind::BucketNotEmpty))
        );
        assert_eq!(delete_bucket(caller, &S3, &[(404, NO_BUCKET)]).1, Err(ErrorKind::NoSuchBucket));
        assert_eq!(delete_bucket(caller, &S3, &[(501, NOT_THERE), (204, "")]).1, Ok(204));
        assert_eq!(
            delete_bucket(caller, &S3, &[(200, NO_UPLOADS), (409, NOT_EMPTY)]).1,
            Err(ErrorKind::BucketNotEmpty)
        );
        assert_eq!(delete_bucket(caller, &S3, &[(200, "<html/>")]).1, Err(ErrorKind::InternalError));
    }
    for (caller, target) in [(&S3, &S3), (&S3, &COS), (&COS, &OSS), (&OSS, &OSS)] {
        assert_eq!(delete_bucket(caller, target, &[(204, "")]), (to_owned_strings(&["DELETE"]), Ok(204)));
    }
}
