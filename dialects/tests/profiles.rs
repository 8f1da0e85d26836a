//! Servers that speak S3 with differences: what is refused before they are asked. The S3 reference, section 11.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::engine::loss::Loss;
use blobfish_dialects::model::{ErrorKind, Operation, Rejection};
use blobfish_dialects::s3::profiles::EMBEDDED;
use blobfish_dialects::translator::explain::{build_sample_route, build_sample_target, explain};
use blobfish_dialects::{
    DIALECT_PROFILES, PROFILES, cos::COS, find_dialect, jdcloud::JDCLOUD, oss::OSS, s3::S3,
};

/// The first thing that a target of this profile cannot be told of an S3 caller's request.
fn find_rejection(profile: &str, line: &str, headers: &str) -> Option<String> {
    let target = build_sample_target(find_dialect("s3", Some(profile)).unwrap());
    let text = format!("{line} HTTP/1.1\nHost: b.{}\n{headers}", S3.sample_endpoint);
    let request = explain(&text, &S3, &S3).unwrap().request;
    let way = build_sample_route(&S3, &target, &request);
    let written = blobfish_dialects::engine::write_request::write_request(&way, &request);
    let describe_rejection = |refusal: Rejection| {
        let detail = refusal.details.first().map(|row| row.1.clone());
        detail.unwrap_or_else(|| format!("{:?}", refusal.kind))
    };
    match written {
        Ok((_, losses)) => losses.first().map(Loss::name),
        Err(refusal) => Some(describe_rejection(refusal)),
    }
}

#[test]
fn every_profile_can_be_named() {
    for name in ["aws", "jdcloud", "ceph", "minio", "garage", "seaweedfs", "r2", "b2", "wasabi"] {
        assert_eq!(find_dialect("s3", Some(name)).unwrap().name, name);
    }
    let named = DIALECT_PROFILES.iter().find(|row| row.0 == "s3").unwrap().1;
    assert!(PROFILES.iter().all(|profile| named.contains(&profile.name)));
}

#[test]
fn what_a_server_is_known_to_pass_over_is_not_relied_on() {
    let copy = "x-amz-copy-source: /b/a\nx-amz-copy-source-if-match: \"e\"\n";
    let (tagged, guarded) = ("x-amz-tagging: a=b\n", "if-none-match: *\n");
    for (profile, line, headers, what) in [
        ("ceph", "PUT /k", copy, Some("SourceIfMatch")),
        ("minio", "PUT /k", copy, None),
        ("garage", "PUT /k", guarded, Some("ForbidOverwrite")),
        ("b2", "PUT /k", guarded, Some("ForbidOverwrite")),
        ("wasabi", "PUT /k", guarded, Some("ForbidOverwrite")),
        ("minio", "PUT /k", guarded, None),
        ("r2", "PUT /k", guarded, None),
        ("garage", "PUT /k", tagged, Some("Tagging")),
        ("r2", "PUT /k", tagged, Some("Tagging")),
        ("b2", "PUT /k", tagged, Some("Tagging")),
        ("ceph", "PUT /k", tagged, None),
        ("r2", "PUT /k", "x-amz-server-side-encryption: aws:kms\n", Some("Encryption")),
        ("r2", "GET /k?versionId=v", "", Some("VersionId")),
        ("wasabi", "GET /k?versionId=v", "", None),
        ("minio", "PUT /k", "x-amz-acl: public-read\n", Some("Acl")),
        ("minio", "PUT /k", "x-amz-acl: private\n", None),
        ("wasabi", "PUT /k", "x-amz-storage-class: GLACIER\n", Some("StorageClass")),
        ("r2", "PUT /k", "x-amz-storage-class: STANDARD_IA\n", None),
    ] {
        assert_eq!(find_rejection(profile, line, headers).as_deref(), what, "{profile} {line} {headers}");
    }
}

#[test]
fn settings_that_a_server_does_not_have_are_rejected() {
    for (profile, has, lacks) in [
        ("garage", "lifecycle", "versioning"),
        ("r2", "cors", "policy"),
        ("b2", "versioning", "tagging"),
        ("seaweedfs", "cors", "website"),
    ] {
        assert_eq!(find_rejection(profile, &format!("GET /?{has}"), ""), None, "{profile} {has}");
        assert_eq!(find_rejection(profile, &format!("GET /?{lacks}"), "").as_deref(), Some("NotImplemented"));
    }
}

#[test]
fn keys_that_are_no_paths_stay_away_from_servers_of_paths() {
    let minio = find_dialect("s3", Some("minio")).unwrap();
    let check = |key: &str| blobfish_dialects::dialect::limits::check_key(minio, key);
    for key in ["a", "a/b", "a/b/", "...", "a/.b", "a b/\u{6587}"] {
        assert_eq!(check(key), Ok(()), "{key}");
        assert_eq!(blobfish_dialects::dialect::limits::check_key(&S3, key), Ok(()));
    }
    for key in ["/a", "a//b", ".", "a/..", "a/./b", "/", "a//"] {
        assert_eq!(check(key).unwrap_err().kind, ErrorKind::InvalidObjectName, "{key}");
        assert_eq!(blobfish_dialects::dialect::limits::check_key(&S3, key), Ok(()));
    }
}

/// The head that a target gets of a caller's request: method and path, the header named, what is lost.
fn write_request(
    caller: &'static Dialect,
    target: &'static Dialect,
    line: &str,
    name: &str,
) -> (String, Option<String>, Vec<Loss>) {
    let text = format!("{line} HTTP/1.1\nHost: b.{}\n", caller.sample_endpoint);
    let request = explain(&text, caller, caller).unwrap().request;
    let target = build_sample_target(target);
    let way = build_sample_route(caller, &target, &request);
    let (out, losses) = blobfish_dialects::engine::write_request::write_request(&way, &request).unwrap();
    let value =
        out.headers.iter().find(|row| row.0 == name).map(|row| String::from_utf8(row.1.clone()).unwrap());
    (format!("{} {}", out.method, out.path), value, losses)
}

#[test]
fn the_embedded_store_appends_as_directory_buckets_do() {
    for caller in [&COS, &OSS] {
        let told = write_request(caller, &EMBEDDED, "POST /k?append&position=7", "x-amz-write-offset-bytes");
        assert_eq!(told, ("PUT /k".to_owned(), Some("7".to_owned()), Vec::new()), "{}", caller.name);
        let other = write_request(caller, caller, "POST /k?append&position=7", "x-amz-write-offset-bytes");
        assert_eq!((other.0.as_str(), other.1), ("POST /k", None));
    }
    assert!(EMBEDDED.has_operation(Operation::AppendObject) && !S3.has_operation(Operation::AppendObject));
    // A put stays a put, and callers of S3 cannot append by it.
    assert_eq!(write_request(&S3, &EMBEDDED, "PUT /k", "x-amz-write-offset-bytes").1, None);
    let head = "PUT /k HTTP/1.1\nHost: b.s3.us-east-1.amazonaws.com\nx-amz-write-offset-bytes: 7\n";
    assert_eq!(explain(head, &S3, &S3).unwrap_err().kind, ErrorKind::NotImplemented);
}

#[test]
fn the_embedded_store_is_sent_how_small_a_callers_parts_may_be() {
    const NAME: &str = "x-amz-blobfish-part-bytes-min";
    // S3 1.4, COS 1.3, OSS 1.3.
    for (caller, least) in [(&S3, "5242880"), (&JDCLOUD, "5242880"), (&COS, "1048576"), (&OSS, "102400")] {
        let line = "POST /k?uploadId=u";
        assert_eq!(write_request(caller, &EMBEDDED, line, NAME).1.as_deref(), Some(least), "{}", caller.name);
        for other in [&S3, &COS, &OSS, find_dialect("s3", Some("aws")).unwrap()] {
            assert_eq!(write_request(caller, other, line, NAME).1, None, "{} {}", caller.name, other.name);
        }
        assert_eq!(write_request(caller, &EMBEDDED, "GET /k?uploadId=u", NAME).1, None);
    }
}
