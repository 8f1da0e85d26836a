//! The lines of the translator: every line has a counterpart or a reason, and secrets are hidden.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use blobfish_dialects::translator::examples::parse_examples;
use blobfish_dialects::translator::explain::{Explanation, explain};
use blobfish_dialects::translator::handling::Handling;
use blobfish_dialects::translator::lines::Line;
use blobfish_dialects::{DIALECTS, cos::COS, find_dialect, jdcloud::JDCLOUD, oss::OSS, s3::S3};

fn find_line<'a>(lines: &'a [Line], begins: &str) -> &'a Line {
    lines.iter().find(|line| line.text.starts_with(begins)).unwrap_or_else(|| panic!("{begins}: {lines:#?}"))
}

/// The text of the translated line that belongs to one of the caller's lines.
fn find_counterpart<'a>(explained: &'a Explanation, begins: &str) -> Option<&'a str> {
    let caller_line = find_line(&explained.caller_lines, begins);
    let same = |line: &&Line| {
        line.part == caller_line.part
            && line.pair_key == caller_line.pair_key
            && caller_line.pair_key.is_some()
    };
    explained.target_lines.iter().find(same).map(|line| line.text.as_str())
}

#[test]
fn every_line_of_every_example_has_its_counterpart_or_a_reason() {
    let mut titles = std::collections::BTreeMap::<&str, usize>::new();
    for example in parse_examples() {
        *titles.entry(example.dialect).or_default() += 1;
        let caller = find_dialect(example.dialect, None).unwrap();
        let own = explain(example.request, caller, caller).unwrap();
        assert!(own.rejection.is_none(), "{example:?} is accepted by its own vendor: {:?}", own.rejection);
        for target in DIALECTS {
            let explained = explain(example.request, caller, target).unwrap();
            for line in &explained.caller_lines {
                let joined = line.pair_key.is_some()
                    && explained.target_lines.iter().any(|own| own.pair_key == line.pair_key);
                assert!(joined || !line.reason.is_empty(), "{} to {}: {line:?}", caller.name, target.name);
            }
            for line in &explained.target_lines {
                let joined = line.pair_key.is_some()
                    && explained.caller_lines.iter().any(|own| own.pair_key == line.pair_key);
                assert!(joined || !line.reason.is_empty(), "{} to {}: {line:?}", caller.name, target.name);
            }
            let is_lost = |line: &&Line| matches!(line.handling, Some(Handling::Lost | Handling::Rejected));
            let lost = explained.caller_lines.iter().filter(is_lost).count();
            assert_eq!(lost > 0, explained.rejection.is_some(), "{} to {}", caller.name, target.name);
            for line in explained.caller_lines.iter().chain(&explained.target_lines) {
                for secret in ["00000000000000", "AAAAAAAAAAAA", "AKIDEXAMPLE", "LTAIEXAMPLE"] {
                    assert!(!line.text.contains(secret), "{line:?}");
                }
            }
        }
    }
    assert_eq!(titles.len(), DIALECTS.len());
    assert!(titles.values().all(|count| *count >= 4), "{titles:?}");
}

#[test]
fn lines_with_the_same_meaning_are_paired() {
    let text = "PUT /k?partNumber=3&uploadId=u%2B1 HTTP/1.1\nHost: box.cos.ap-beijing.myqcloud.com\n\
                x-cos-copy-source: from-1250000000.cos.ap-beijing.myqcloud.com/a%20b\n\
                x-cos-copy-source-range: bytes=1-2\nx-cos-copy-source-If-Match: \"e\"\nUser-Agent: x\n";
    let explained = explain(text, &COS, &OSS).unwrap();
    assert_eq!(find_counterpart(&explained, "PUT"), Some("PUT /k"));
    assert_eq!(find_counterpart(&explained, "host"), Some("host: box.oss-cn-hangzhou.aliyuncs.com"));
    assert_eq!(find_counterpart(&explained, "?partNumber"), Some("&partNumber=3"));
    assert_eq!(find_counterpart(&explained, "&uploadId"), Some("?uploadId=u%2B1"));
    assert_eq!(
        find_counterpart(&explained, "x-cos-copy-source:"),
        Some("x-oss-copy-source: /from-1250000000/a%20b")
    );
    assert_eq!(
        find_counterpart(&explained, "x-cos-copy-source-range"),
        Some("x-oss-copy-source-range: bytes=1-2")
    );
    assert_eq!(
        find_counterpart(&explained, "x-cos-copy-source-if-match"),
        Some("x-oss-copy-source-if-match: \"e\"")
    );
    let agent = find_line(&explained.caller_lines, "user-agent");
    assert!(agent.handling.is_none() && find_counterpart(&explained, "user-agent").is_none(), "{agent:?}");
}

#[test]
fn added_and_ignored_lines_have_a_reason() {
    // A copy at COS without a storage class gets the standard class; JD Cloud would keep that of the source.
    let copy = "PUT /k HTTP/1.1\nHost: box.cos.ap-beijing.myqcloud.com\nContent-Type: a/b\n\
                x-cos-copy-source: from-1250000000.cos.ap-beijing.myqcloud.com/a\n";
    let explained = explain(copy, &COS, &JDCLOUD).unwrap();
    let added = find_line(&explained.target_lines, "x-amz-storage-class");
    assert!(
        added.handling == Some(Handling::Emulated) && added.reason.contains("default of COS"),
        "{added:?}"
    );
    // Without the directive, a copy keeps the content type of the source.
    let ignored = find_line(&explained.caller_lines, "content-type");
    assert!(ignored.handling.is_none() && ignored.reason.contains("rules of COS"), "{ignored:?}");
    assert!(explained.target_lines.iter().all(|line| !line.text.starts_with("content-type")));
}

#[test]
fn signatures_tokens_and_customer_keys_are_hidden() {
    let put = "PUT /k?X-Amz-Signature=tell-1&X-Amz-Security-Token=tell-2 HTTP/1.1\n\
               Host: box.s3.us-east-1.amazonaws.com\nAuthorization: AWS4-HMAC-SHA256 tell-3\n\
               x-amz-security-token: tell-4\nx-amz-server-side-encryption-customer-algorithm: AES256\n\
               x-amz-server-side-encryption-customer-key: tell-5\n\
               x-amz-server-side-encryption-customer-key-MD5: hRasmdxgYDKV3nvbahU1MA==\nx-amz-meta-a: shown\n";
    for target in DIALECTS {
        let explained = explain(put, &S3, target).unwrap();
        for line in explained.caller_lines.iter().chain(&explained.target_lines) {
            assert!(!line.text.contains("tell-"), "{line:?}");
        }
        find_line(&explained.caller_lines, "x-amz-meta-a: shown");
    }
}

#[test]
fn a_start_key_is_paired_with_the_marker() {
    let list = "GET /?list-type=2&start-after=b&prefix=a HTTP/1.1\nHost: box.s3.us-east-1.amazonaws.com\n";
    let explained = explain(list, &S3, &COS).unwrap();
    assert_eq!(find_line(&explained.caller_lines, "GET").handling, Some(Handling::Emulated));
    assert_eq!(
        find_line(&explained.caller_lines, "?list-type").pair_key,
        find_line(&explained.caller_lines, "GET").pair_key
    );
    let marker = explained.target_lines.iter().find(|line| line.text.contains("marker=b")).unwrap();
    assert_eq!(marker.pair_key, find_line(&explained.caller_lines, "&start-after").pair_key);
}

#[test]
fn lines_have_the_rules_of_both_vendors() {
    let copy = "PUT /k HTTP/1.1\nHost: box.cos.ap-beijing.myqcloud.com\n\
                x-cos-copy-source: from-1250000000.cos.ap-beijing.myqcloud.com/a\nx-cos-metadata-directive: Replaced\n\
                x-cos-copy-source-If-None-Match: \"e\"\nx-cos-acl: private\nx-cos-meta-a: b\n";
    let explained = explain(copy, &COS, &OSS).unwrap();
    let (cos, oss) = ("Tencent Cloud COS, PUT Object - Copy", "Alibaba Cloud OSS, CopyObject");
    assert_eq!(explained.documents, (cos.to_owned(), oss.to_owned()));
    let check = |lines: &[Line], begins: &str, rule: &str| {
        assert_eq!(find_line(lines, begins).rule, rule, "{begins}")
    };
    check(&explained.caller_lines, "PUT", "At most 5 GiB per request. A copy onto itself needs Replaced.");
    check(
        &explained.target_lines,
        "PUT",
        "At most 5 GiB per request. A copy onto itself takes the metadata of the request.",
    );
    check(&explained.caller_lines, "x-cos-metadata-directive", "One of Copy, Replaced. Default: Copy.");
    check(&explained.target_lines, "x-oss-metadata-directive", "One of COPY, REPLACE. Default: COPY.");
    let pairs = "Only match with unmodified-since, and none-match with modified-since, may be combined.";
    check(
        &explained.caller_lines,
        "x-cos-copy-source-if-none-match",
        &format!("412 if it does not hold. {pairs}"),
    );
    let all = "304 if it does not hold. Each condition must hold.";
    check(&explained.target_lines, "x-oss-copy-source-if-none-match", all);
    check(
        &explained.caller_lines,
        "x-cos-meta-a",
        "Letters, digits and - in names. At most 2048 bytes of metadata in all.",
    );
    assert!(
        find_line(&explained.target_lines, "x-oss-object-acl").rule.ends_with("Default: that of the bucket.")
    );
    let list = "GET /?list-type=2&max-keys=3 HTTP/1.1\nHost: box.s3.us-east-1.amazonaws.com\n";
    let explained = explain(list, &S3, &COS).unwrap();
    assert_eq!(explained.documents.1, "Tencent Cloud COS, GET Bucket (List Objects)");
    check(&explained.caller_lines, "&max-keys", "Default: 1000.");
}

#[test]
fn suggested_headers_are_accepted() {
    for example in parse_examples() {
        let caller = find_dialect(example.dialect, None).unwrap();
        let more = explain(example.request, caller, caller).unwrap().suggested_headers;
        assert!(!more.is_empty(), "{example:?}");
        for offer in more {
            let name = offer.split(':').next().unwrap();
            assert!(
                !example.request.to_lowercase().contains(&format!("\n{name}:")),
                "{name} is there already"
            );
            match explain(&format!("{}\n{offer}", example.request), caller, caller) {
                Ok(explained) => {
                    find_line(&explained.caller_lines, &format!("{name}:"));
                }
                // Some combinations of two conditions are rejected.
                Err(rejection) => {
                    assert!(offer.contains("-if-"), "{offer} beside {example:?}: {rejection:?}")
                }
            }
        }
    }
}

/// The request may have another dialect than the selected one.
#[test]
fn secrets_of_every_dialect_are_hidden() {
    let secrets = [
        "q-signature=tell-1&q-ak=tell-2&q-key-time=tell-3&x-cos-security-token=tell-4&sign=tell-5",
        "x-oss-signature=tell-1&x-oss-credential=tell-2&x-oss-security-token=tell-3&security-token=tell-4",
        "OSSAccessKeyId=tell-1&Signature=tell-2&AWSAccessKeyId=tell-3",
        "X-Amz-Signature=tell-1&X-Amz-Credential=tell-2&X-Amz-Security-Token=tell-3&x%2damz%2dsignature=tell-4",
    ];
    let headers = "Authorization: q-sign-algorithm=sha1&q-signature=tell-6\nx-cos-security-token: tell-7\n\
         x-oss-security-token: tell-8\nx-amz-security-token: tell-9\nsecurity-token: tell-a\ncookie: tell-b\n\
         x-cos-server-side-encryption-customer-key: tell-c\nx-oss-server-side-encryption-customer-key: tell-d\n\
         x-amz-server-side-encryption-customer-key: tell-e\nx-meta: shown\n";
    for caller in DIALECTS {
        for secret in secrets {
            for line in headers.lines() {
                let host = caller.sample_endpoint;
                let get = format!("GET /k?{secret} HTTP/1.1\nHost: box.{host}\n{line}\nx-meta: shown\n");
                match explain(&get, caller, &S3) {
                    Ok(explained) => {
                        for line in explained.caller_lines.iter().chain(&explained.target_lines) {
                            assert!(!line.text.contains("tell-"), "{} {line:?}", caller.name);
                        }
                        check_line_is_visible(&explained);
                    }
                    Err(rejection) => assert!(!format!("{rejection:?}").contains("tell-"), "{rejection:?}"),
                }
            }
        }
    }
}

fn check_line_is_visible(explained: &Explanation) {
    find_line(&explained.caller_lines, "x-meta: shown");
}
