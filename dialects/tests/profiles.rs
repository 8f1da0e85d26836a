//! Profiles of S3-compatible servers: requests that are rejected because the server does not support or ignores a
//! field.

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
    PROFILES, cos::COS, find_dialect, jdcloud::JDCLOUD, list_configurable_dialects, oss::OSS, s3::S3,
};

/// The first field of an S3 caller's request that a target with this profile does not support.
fn find_rejection(profile: &str, line: &str, headers: &str) -> Option<String> {
    let target = build_sample_target(find_dialect("s3", Some(profile)).unwrap());
    let text = format!("{line} HTTP/1.1\nHost: b.{}\n{headers}", S3.sample_endpoint);
    let request = explain(&text, &S3, &S3).unwrap().request;
    let route = build_sample_route(&S3, &target, &request);
    let written = blobfish_dialects::engine::write_request::write_request(&route, &request);
    let describe_rejection = |rejection: Rejection| {
        let detail = rejection.details.first().map(|row| row.1.clone());
        detail.unwrap_or_else(|| format!("{:?}", rejection.kind))
    };
    match written {
        Ok((_, losses)) => losses.first().map(Loss::name),
        Err(rejection) => Some(describe_rejection(rejection)),
    }
}

#[test]
fn every_profile_is_found_by_its_name() {
    for name in ["aws", "jdcloud", "ceph", "minio", "garage", "seaweedfs", "r2", "b2", "wasabi"] {
        assert_eq!(find_dialect("s3", Some(name)).unwrap().name, name);
    }
    let named = list_configurable_dialects().into_iter().find(|row| row.name == "s3").unwrap().profiles;
    assert!(PROFILES.iter().all(|profile| named.contains(&profile.name)));
}

#[test]
fn fields_that_a_server_ignores_are_rejected() {
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
fn keys_that_are_not_paths_are_rejected_for_file_based_servers() {
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

/// The head of a translated request: method and path, the named header, the lost fields.
fn write_request(
    caller: &'static Dialect,
    target: &'static Dialect,
    line: &str,
    name: &str,
) -> (String, Option<String>, Vec<Loss>) {
    let text = format!("{line} HTTP/1.1\nHost: b.{}\n", caller.sample_endpoint);
    let request = explain(&text, caller, caller).unwrap().request;
    let target = build_sample_target(target);
    let route = build_sample_route(caller, &target, &request);
    let (out, losses) = blobfish_dialects::engine::write_request::write_request(&route, &request).unwrap();
    let value =
        out.headers.iter().find(|row| row.0 == name).map(|row| String::from_utf8(row.1.clone()).unwrap());
    (format!("{} {}", out.method, out.path), value, losses)
}

#[test]
fn appends_are_sent_to_the_embedded_store_as_to_directory_buckets() {
    for caller in [&COS, &OSS] {
        let sent_head =
            write_request(caller, &EMBEDDED, "POST /k?append&position=7", "x-amz-write-offset-bytes");
        assert_eq!(sent_head, ("PUT /k".to_owned(), Some("7".to_owned()), Vec::new()), "{}", caller.name);
        let other = write_request(caller, caller, "POST /k?append&position=7", "x-amz-write-offset-bytes");
        assert_eq!((other.0.as_str(), other.1), ("POST /k", None));
    }
    assert!(EMBEDDED.has_operation(Operation::AppendObject) && !S3.has_operation(Operation::AppendObject));
    // PutObject is translated into PutObject; S3 callers cannot append with it.
    assert_eq!(write_request(&S3, &EMBEDDED, "PUT /k", "x-amz-write-offset-bytes").1, None);
    let head = "PUT /k HTTP/1.1\nHost: b.s3.us-east-1.amazonaws.com\nx-amz-write-offset-bytes: 7\n";
    assert_eq!(explain(head, &S3, &S3).unwrap_err().kind, ErrorKind::NotImplemented);
}

#[test]
fn the_part_minimum_of_the_caller_is_sent_to_the_embedded_store() {
    const NAME: &str = "x-amz-blobfish-part-bytes-min";
    // The vendors' minimums for parts: S3 5 MiB, COS 1 MiB, OSS 100 KiB.
    for (caller, least) in [(&S3, "5242880"), (&JDCLOUD, "5242880"), (&COS, "1048576"), (&OSS, "102400")] {
        let line = "POST /k?uploadId=u";
        assert_eq!(write_request(caller, &EMBEDDED, line, NAME).1.as_deref(), Some(least), "{}", caller.name);
        for other in [&S3, &COS, &OSS, find_dialect("s3", Some("aws")).unwrap()] {
            assert_eq!(write_request(caller, other, line, NAME).1, None, "{} {}", caller.name, other.name);
        }
        assert_eq!(write_request(caller, &EMBEDDED, "GET /k?uploadId=u", NAME).1, None);
    }
}
