//! Servers that speak S3 with differences: what is refused before they are asked. The S3 reference, section 11.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use blobfish_dialects::engine::loss::Loss;
use blobfish_dialects::explain::{explain, sample_target, sample_way};
use blobfish_dialects::model::{Fault, Refusal};
use blobfish_dialects::s3::S3;
use blobfish_dialects::{NAMES, PROFILES, by_name};

/// The first thing that a target of this profile cannot be told of an S3 caller's request.
fn refused(profile: &str, line: &str, headers: &str) -> Option<String> {
    let target = sample_target(by_name("s3", Some(profile)).unwrap());
    let text = format!("{line} HTTP/1.1\nHost: b.{}\n{headers}", S3.sample_endpoint);
    let request = explain(&text, &S3, &S3).unwrap().request;
    let way = sample_way(&S3, &target, &request);
    let written = blobfish_dialects::engine::write::request(&way, &request);
    let says = |refusal: Refusal| {
        let detail = refusal.details.first().map(|row| row.1.clone());
        detail.unwrap_or_else(|| format!("{:?}", refusal.fault))
    };
    match written {
        Ok((_, losses)) => losses.first().map(Loss::name),
        Err(refusal) => Some(says(refusal)),
    }
}

#[test]
fn every_profile_can_be_named() {
    for name in ["aws", "blobfish", "jdcloud", "ceph", "minio", "garage", "seaweedfs", "r2", "b2", "wasabi"] {
        assert_eq!(by_name("s3", Some(name)).unwrap().name, name);
    }
    let named = NAMES.iter().find(|row| row.0 == "s3").unwrap().1;
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
        assert_eq!(refused(profile, line, headers).as_deref(), what, "{profile} {line} {headers}");
    }
}

#[test]
fn settings_that_a_server_does_not_have_are_refused() {
    for (profile, has, lacks) in [
        ("garage", "lifecycle", "versioning"),
        ("r2", "cors", "policy"),
        ("b2", "versioning", "tagging"),
        ("seaweedfs", "cors", "website"),
    ] {
        assert_eq!(refused(profile, &format!("GET /?{has}"), ""), None, "{profile} {has}");
        assert_eq!(refused(profile, &format!("GET /?{lacks}"), "").as_deref(), Some("NotImplemented"));
    }
}

#[test]
fn keys_that_are_no_paths_stay_away_from_servers_of_paths() {
    let minio = by_name("s3", Some("minio")).unwrap();
    let check = |key: &str| blobfish_dialects::engine::read::check_key(minio, key);
    for key in ["a", "a/b", "a/b/", "...", "a/.b", "a b/\u{6587}"] {
        assert_eq!(check(key), Ok(()), "{key}");
        assert_eq!(blobfish_dialects::engine::read::check_key(&S3, key), Ok(()));
    }
    for key in ["/a", "a//b", ".", "a/..", "a/./b", "/", "a//", "a\0b"] {
        assert_eq!(check(key).unwrap_err().fault, Fault::InvalidObjectName, "{key}");
        assert_eq!(blobfish_dialects::engine::read::check_key(&S3, key), Ok(()));
    }
}
