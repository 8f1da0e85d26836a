//! Diagnosis: what a response shows about the proxy's own access key and region, and which region an endpoint has.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use blobfish_dialects::dialect::{Dialect, addressing};
use blobfish_dialects::engine::diagnosis::{Failure, diagnose_failure};
use blobfish_dialects::engine::target_response::TargetResponse;

use blobfish_dialects::{DIALECTS, cos, oss, s3};

fn diagnose_error(target: &Dialect, status: u16, document: &str, headers: &[(&str, &str)]) -> Failure {
    let headers = headers.iter().map(|row| (row.0.to_owned(), row.1.as_bytes().to_vec()));
    let body = format!("<Error>{document}</Error>").into_bytes();
    diagnose_failure(target, &TargetResponse { status, headers: headers.collect(), body })
}

#[test]
fn a_region_is_found_in_a_document_a_header_or_an_endpoint() {
    let region = "<Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region>";
    let by_element = diagnose_error(&s3::S3, 400, region, &[]);
    assert!(by_element.wrong_location);
    assert_eq!(by_element.region.as_deref(), Some("eu-west-1"));
    let moved = "<Code>PermanentRedirect</Code>";
    let by_header = diagnose_error(&s3::S3, 301, moved, &[("x-amz-bucket-region", "eu-north-1")]);
    assert!(by_header.wrong_location);
    assert_eq!(by_header.region.as_deref(), Some("eu-north-1"));
    let endpoint = "<Code>AccessDenied</Code><Endpoint>oss-cn-shanghai.aliyuncs.com</Endpoint>";
    let by_host = diagnose_error(&oss::OSS, 403, endpoint, &[]);
    assert!(by_host.wrong_location);
    assert_eq!(by_host.region.as_deref(), Some("cn-shanghai"));
    let denied = diagnose_error(&cos::COS, 403, "<Code>AccessDenied</Code>", &[]);
    assert!(!denied.wrong_location);
    assert_eq!(denied.region, None);
}

#[test]
fn text_that_may_be_a_signature_is_hidden() {
    let hex = "0123456789abcdef0123456789abcdef01234567";
    let diagnosis = diagnose_error(&s3::S3, 403, &format!("<Code>{hex}</Code><Region>{hex}</Region>"), &[]);
    assert_eq!((diagnosis.code, diagnosis.region), (None, None));
    assert_eq!(diagnose_error(&s3::S3, 400, "<Code>Odd</Code>", &[]).code.as_deref(), Some("Odd"));
}

#[test]
fn the_region_is_found_in_an_endpoint() {
    for dialect in DIALECTS {
        let endpoint = dialect.endpoint.unwrap();
        for region in ["cn-north-1", "ap-guangzhou"] {
            let host = endpoint(region);
            assert_eq!(
                addressing::find_region_in_host(&host, dialect.hosts).as_deref(),
                Some(region),
                "{host}"
            );
            let bucket = format!("some.bucket.{host}:443");
            assert_eq!(
                addressing::find_region_in_host(&bucket, dialect.hosts).as_deref(),
                Some(region),
                "{bucket}"
            );
        }
        let sample = addressing::find_region_in_host(dialect.sample_endpoint, dialect.hosts).unwrap();
        assert_eq!(endpoint(&sample), dialect.sample_endpoint);
        assert_eq!(addressing::find_region_in_host("storage.example.com", dialect.hosts), None);
    }
    let internal = "b.oss-cn-hangzhou-internal.aliyuncs.com";
    assert_eq!(addressing::find_region_in_host(internal, oss::OSS.hosts).as_deref(), Some("cn-hangzhou"));
}
