//! The plan of a request: one test for each kind, and the fallback of a copy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use blobfish_dialects::cos::COS;
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::engine::plan::{Plan, PlanKind, PlanRoutes, Procedure, plan_request};
use blobfish_dialects::model::{ErrorKind, Request};
use blobfish_dialects::oss::OSS;
use blobfish_dialects::s3::S3;
use blobfish_dialects::translator::explain::{
    build_sample_route, build_sample_target, explain, read_pasted_request,
};
use blobfish_dialects::translator::request_text::parse_pasted_request;

fn read(text: &str, caller: &'static Dialect) -> Request {
    read_pasted_request(&parse_pasted_request(text).unwrap(), caller, None).unwrap()
}

/// The plan for one target, or with the copy source at another one.
fn plan(
    text: &str,
    caller: &'static Dialect,
    target: &'static Dialect,
    other: Option<&'static Dialect>,
) -> Plan {
    let request = read(text, caller);
    let destination_target = build_sample_target(target);
    let source_target = build_sample_target(other.unwrap_or(target));
    let destination = build_sample_route(caller, &destination_target, &request);
    let source = request.source.as_ref();
    let source = source
        .map(|source| build_sample_route(caller, &source_target, &request).to_bucket(source.bucket.clone()));
    plan_request(
        &request,
        PlanRoutes {
            destination: &destination,
            source: source.as_ref(),
            is_same_target: other.is_none(),
            allows_relay: caller.name == "s3",
        },
    )
}

const COPY: &str = "PUT /b/k HTTP/1.1\nHost: 127.0.0.1\nx-amz-copy-source: /a/s\n";
const PART: &str = "PUT /b/k?partNumber=1&uploadId=u HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 5\n";

#[test]
fn objects_are_streamed() {
    let put = plan("PUT /b/k HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 5\n", &S3, &COS, None);
    assert_eq!((put.kind, put.procedure), (PlanKind::Stream, Procedure::Upload));
    let get = plan("GET /b/k HTTP/1.1\nHost: 127.0.0.1\n", &S3, &COS, None);
    assert_eq!((get.kind, get.procedure), (PlanKind::Stream, Procedure::Download));
    let destination = get.destination.unwrap();
    assert_eq!((destination.target.as_str(), destination.bucket.as_str()), ("cos", "b"));
}

#[test]
fn buckets_are_listed_by_the_proxy() {
    let list = plan("GET / HTTP/1.1\nHost: 127.0.0.1\n", &S3, &OSS, None);
    assert_eq!(
        (list.kind, list.procedure, list.destination),
        (PlanKind::Local, Procedure::ListBuckets, None)
    );
}

#[test]
fn a_copy_falls_back_to_parts_and_relay() {
    let copy = plan(COPY, &S3, &OSS, None);
    assert_eq!((copy.kind, copy.procedure), (PlanKind::Exchange, Procedure::CopyObject));
    assert_eq!(copy.choose_fallback(ErrorKind::TargetCopyLimit).unwrap().kind, PlanKind::Parts);
    assert_eq!(copy.choose_fallback(ErrorKind::NotImplemented).unwrap().kind, PlanKind::Relay);
    assert_eq!(copy.choose_fallback(ErrorKind::NoSuchKey), None);
    let without_relay = Plan { allows_relay: false, ..copy };
    assert_eq!(without_relay.choose_fallback(ErrorKind::NotImplemented), None);
    // A copied part cannot be split into parts.
    let part = "PUT /b/k?partNumber=1&uploadId=u HTTP/1.1\nHost: 127.0.0.1\nx-amz-copy-source: /a/s\n";
    let part = plan(part, &S3, &COS, None);
    assert_eq!(
        (part.procedure, part.choose_fallback(ErrorKind::TargetCopyLimit)),
        (Procedure::Exchange, None)
    );
}

#[test]
fn a_copy_between_two_targets_is_relayed() {
    let copy = plan(COPY, &S3, &OSS, Some(&COS));
    assert_eq!((copy.kind, copy.procedure), (PlanKind::Relay, Procedure::RelayCopy));
    assert_eq!(copy.source.as_ref().unwrap().target, "cos");
    assert_eq!(copy.choose_fallback(ErrorKind::NotImplemented), None);
}

#[test]
fn small_parts_come_before_the_relay() {
    // OSS accepts parts from 100 KiB, S3 from 5 MiB.
    let part =
        "PUT /k?partNumber=1&uploadId=u HTTP/1.1\nHost: b.oss-cn-hangzhou.aliyuncs.com\nContent-Length: 5\n";
    let stored = plan(part, &OSS, &S3, None);
    assert_eq!((stored.kind, stored.procedure), (PlanKind::Stream, Procedure::SmallPartsUpload));
    let copied = plan(&format!("{part}x-oss-copy-source: /a/s\n"), &OSS, &S3, Some(&COS));
    assert_eq!((copied.kind, copied.procedure), (PlanKind::Relay, Procedure::SmallPartsUpload));
    let range = format!("{part}x-oss-copy-source: /a/s\nx-oss-copy-source-range: bytes=0-99\n");
    assert_eq!(
        plan(&range, &OSS, &S3, None).kind,
        PlanKind::Relay,
        "the proxy writes the object in which the part is stored"
    );
    let whole = format!("{part}x-oss-copy-source: /a/s\n");
    assert_eq!(
        plan(&whole, &OSS, &S3, None).kind,
        PlanKind::Exchange,
        "the size is only known from the source"
    );
    assert_eq!(plan(PART, &S3, &OSS, None).procedure, Procedure::Upload);
    let list = plan("GET /b HTTP/1.1\nHost: 127.0.0.1\n", &S3, &S3, None);
    assert_eq!((list.kind, list.procedure), (PlanKind::Exchange, Procedure::SmallPartsBucket));
}

#[test]
fn explain_reads_the_document_as_the_proxy_does() {
    let head = "PUT /?lifecycle HTTP/1.1\nHost: b.oss-cn-hangzhou.aliyuncs.com\n";
    assert!(explain(head, &OSS, &S3).is_ok(), "without the document only the head is known");
    let document = "<LifecycleConfiguration><Rule><ID>r</ID><Prefix/><Status>Enabled</Status><Transition><Days>30</Days>\
                    <StorageClass>IA</StorageClass><IsAccessTime>true</IsAccessTime></Transition></Rule></LifecycleConfiguration>";
    let rejection = explain(&format!("{head}\n{document}"), &OSS, &S3).unwrap_err();
    assert_eq!(rejection.kind, ErrorKind::NotImplemented);
    assert_eq!(rejection.message.as_deref(), Some("S3 does not support IsAccessTime."));
    let plain = document.replace("<IsAccessTime>true</IsAccessTime>", "");
    let explained = explain(&format!("{head}\n{plain}"), &OSS, &S3).unwrap();
    let body = String::from_utf8(explained.outgoing.unwrap().body).unwrap();
    assert!(body.contains("<StorageClass>STANDARD_IA</StorageClass>"), "{body}");
}
