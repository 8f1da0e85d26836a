//! Two requests side by side: every line has its counterpart or a reason, and what must not be shown is not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use blobfish_dialects::examples::examples;
use blobfish_dialects::explain::{Explained, Fate, explain};
use blobfish_dialects::lines::Line;
use blobfish_dialects::{ALL, by_name, cos::COS, jdcloud::JDCLOUD, oss::OSS, s3::S3};

fn line<'a>(lines: &'a [Line], begins: &str) -> &'a Line {
    lines.iter().find(|line| line.text.starts_with(begins)).unwrap_or_else(|| panic!("{begins}: {lines:#?}"))
}

/// The text of the line of the translated request that one of the caller's became.
fn became<'a>(explained: &'a Explained, begins: &str) -> Option<&'a str> {
    let said = line(&explained.said, begins);
    let same = |line: &&Line| line.part == said.part && line.pair == said.pair && said.pair.is_some();
    explained.written.iter().find(same).map(|line| line.text.as_str())
}

#[test]
fn every_line_of_every_example_has_its_counterpart_or_a_reason() {
    let mut titles = std::collections::BTreeMap::<&str, usize>::new();
    for example in examples() {
        *titles.entry(example.dialect).or_default() += 1;
        let caller = by_name(example.dialect, None).unwrap();
        let own = explain(example.request, caller, caller).unwrap();
        assert!(own.refused.is_none(), "{example:?} is what its own vendor takes: {:?}", own.refused);
        for target in ALL {
            let explained = explain(example.request, caller, target).unwrap();
            for line in &explained.said {
                let joined = line.pair.is_some() && explained.written.iter().any(|own| own.pair == line.pair);
                assert!(joined || !line.why.is_empty(), "{} to {}: {line:?}", caller.name, target.name);
            }
            for line in &explained.written {
                let joined = line.pair.is_some() && explained.said.iter().any(|own| own.pair == line.pair);
                assert!(joined || !line.why.is_empty(), "{} to {}: {line:?}", caller.name, target.name);
            }
            let lost = |line: &&Line| matches!(line.fate, Some(Fate::Lost | Fate::Refused));
            let lost = explained.said.iter().filter(lost).count();
            assert_eq!(lost > 0, explained.refused.is_some(), "{} to {}", caller.name, target.name);
            for line in explained.said.iter().chain(&explained.written) {
                for secret in ["00000000000000", "AAAAAAAAAAAA", "AKIDEXAMPLE", "LTAIEXAMPLE"] {
                    assert!(!line.text.contains(secret), "{line:?}");
                }
            }
        }
    }
    assert_eq!(titles.len(), ALL.len());
    assert!(titles.values().all(|count| *count >= 4), "{titles:?}");
}

#[test]
fn lines_are_joined_by_what_they_mean() {
    let text = "PUT /k?partNumber=3&uploadId=u%2B1 HTTP/1.1\nHost: box.cos.ap-beijing.myqcloud.com\n\
                x-cos-copy-source: from-1250000000.cos.ap-beijing.myqcloud.com/a%20b\n\
                x-cos-copy-source-range: bytes=1-2\nx-cos-copy-source-If-Match: \"e\"\nUser-Agent: x\n";
    let explained = explain(text, &COS, &OSS).unwrap();
    assert_eq!(became(&explained, "PUT"), Some("PUT /k"));
    assert_eq!(became(&explained, "host"), Some("host: box.oss-cn-hangzhou.aliyuncs.com"));
    assert_eq!(became(&explained, "?partNumber"), Some("&partNumber=3"));
    assert_eq!(became(&explained, "&uploadId"), Some("?uploadId=u%2B1"));
    assert_eq!(became(&explained, "x-cos-copy-source:"), Some("x-oss-copy-source: /from-1250000000/a%20b"));
    assert_eq!(became(&explained, "x-cos-copy-source-range"), Some("x-oss-copy-source-range: bytes=1-2"));
    assert_eq!(became(&explained, "x-cos-copy-source-if-match"), Some("x-oss-copy-source-if-match: \"e\""));
    let agent = line(&explained.said, "user-agent");
    assert!(agent.fate.is_none() && became(&explained, "user-agent").is_none(), "{agent:?}");
}

#[test]
fn what_is_added_and_what_is_passed_over_say_why() {
    // A COS copy without a class is of the standard one; JD Cloud would keep the source's.
    let copy = "PUT /k HTTP/1.1\nHost: box.cos.ap-beijing.myqcloud.com\nContent-Type: a/b\n\
                x-cos-copy-source: from-1250000000.cos.ap-beijing.myqcloud.com/a\n";
    let explained = explain(copy, &COS, &JDCLOUD).unwrap();
    let added = line(&explained.written, "x-amz-storage-class");
    assert!(added.fate == Some(Fate::Emulated) && added.why.contains("without a word"), "{added:?}");
    // Without the directive a copy keeps the source's type.
    let kept = line(&explained.said, "content-type");
    assert!(kept.fate.is_none() && kept.why.contains("rules of cos"), "{kept:?}");
    assert!(explained.written.iter().all(|line| !line.text.starts_with("content-type")));
}

#[test]
fn hidden_are_signatures_tokens_and_customers_keys() {
    let put = "PUT /k?X-Amz-Signature=tell-1&X-Amz-Security-Token=tell-2 HTTP/1.1\n\
               Host: box.s3.us-east-1.amazonaws.com\nAuthorization: AWS4-HMAC-SHA256 tell-3\n\
               x-amz-security-token: tell-4\nx-amz-server-side-encryption-customer-algorithm: AES256\n\
               x-amz-server-side-encryption-customer-key: tell-5\n\
               x-amz-server-side-encryption-customer-key-MD5: hRasmdxgYDKV3nvbahU1MA==\nx-amz-meta-a: shown\n";
    for target in ALL {
        let explained = explain(put, &S3, target).unwrap();
        for line in explained.said.iter().chain(&explained.written) {
            assert!(!line.text.contains("tell-"), "{line:?}");
        }
        line(&explained.said, "x-amz-meta-a: shown");
    }
}

#[test]
fn a_listing_that_starts_somewhere_is_joined_to_the_marker() {
    let list = "GET /?list-type=2&start-after=b&prefix=a HTTP/1.1\nHost: box.s3.us-east-1.amazonaws.com\n";
    let explained = explain(list, &S3, &COS).unwrap();
    assert_eq!(line(&explained.said, "GET").fate, Some(Fate::Emulated));
    assert_eq!(line(&explained.said, "?list-type").pair, line(&explained.said, "GET").pair);
    let marker = explained.written.iter().find(|line| line.text.contains("marker=b")).unwrap();
    assert_eq!(marker.pair, line(&explained.said, "&start-after").pair);
}

#[test]
fn lines_tell_the_rules_of_both_documents() {
    let copy = "PUT /k HTTP/1.1\nHost: box.cos.ap-beijing.myqcloud.com\n\
                x-cos-copy-source: from-1250000000.cos.ap-beijing.myqcloud.com/a\nx-cos-metadata-directive: Replaced\n\
                x-cos-copy-source-If-None-Match: \"e\"\nx-cos-acl: private\nx-cos-meta-a: b\n";
    let explained = explain(copy, &COS, &OSS).unwrap();
    let (cos, oss) = ("Tencent Cloud COS, PUT Object - Copy", "Alibaba Cloud OSS, CopyObject");
    assert_eq!(explained.documents, (cos.to_owned(), oss.to_owned()));
    let check =
        |lines: &[Line], begins: &str, rule: &str| assert_eq!(line(lines, begins).rule, rule, "{begins}");
    check(&explained.said, "PUT", "At most 5 GiB at once. Onto itself only with Replaced.");
    check(&explained.written, "PUT", "At most 5 GiB at once. Onto itself it takes the request's metadata.");
    check(&explained.said, "x-cos-metadata-directive", "One of Copy, Replaced. Without it Copy.");
    check(&explained.written, "x-oss-metadata-directive", "One of COPY, REPLACE. Without it COPY.");
    let pairs = "Together only match with unmodified-since, and none-match with modified-since.";
    check(
        &explained.said,
        "x-cos-copy-source-if-none-match",
        &format!("412 where it does not hold. {pairs}"),
    );
    let all = "304 where it does not hold. Each that is said must hold.";
    check(&explained.written, "x-oss-copy-source-if-none-match", all);
    check(
        &explained.said,
        "x-cos-meta-a",
        "Letters, digits and - in names. At most 2048 bytes of metadata in all.",
    );
    assert!(line(&explained.written, "x-oss-object-acl").rule.ends_with("Without it as the bucket says."));
    let list = "GET /?list-type=2&max-keys=3 HTTP/1.1\nHost: box.s3.us-east-1.amazonaws.com\n";
    let explained = explain(list, &S3, &COS).unwrap();
    assert_eq!(explained.documents.1, "Tencent Cloud COS, GET Bucket (List Objects)");
    check(&explained.said, "&max-keys", "Without it 1000.");
}

#[test]
fn headers_that_are_offered_can_be_said() {
    for example in examples() {
        let caller = by_name(example.dialect, None).unwrap();
        let more = explain(example.request, caller, caller).unwrap().more;
        assert!(!more.is_empty(), "{example:?}");
        for offer in more {
            let name = offer.split(':').next().unwrap();
            assert!(
                !example.request.to_lowercase().contains(&format!("\n{name}:")),
                "{name} is there already"
            );
            match explain(&format!("{}\n{offer}", example.request), caller, caller) {
                Ok(explained) => {
                    line(&explained.said, &format!("{name}:"));
                }
                // Two conditions may be one too many.
                Err(refusal) => assert!(offer.contains("-if-"), "{offer} beside {example:?}: {refusal:?}"),
            }
        }
    }
}

/// What is shown may be a request of another dialect than was chosen.
#[test]
fn hidden_are_the_secrets_of_every_dialect() {
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
    for caller in ALL {
        for secret in secrets {
            for line in headers.lines() {
                let host = caller.sample_endpoint;
                let get = format!("GET /k?{secret} HTTP/1.1\nHost: box.{host}\n{line}\nx-meta: shown\n");
                match explain(&get, caller, &S3) {
                    Ok(explained) => {
                        for line in explained.said.iter().chain(&explained.written) {
                            assert!(!line.text.contains("tell-"), "{} {line:?}", caller.name);
                        }
                        line_is_shown(&explained);
                    }
                    Err(refusal) => assert!(!format!("{refusal:?}").contains("tell-"), "{refusal:?}"),
                }
            }
        }
    }
}

fn line_is_shown(explained: &Explained) {
    line(&explained.said, "x-meta: shown");
}
