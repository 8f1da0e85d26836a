//! The rules of copying for each caller and target dialect: the requests to the target, and the response to the
//! client.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use blobfish_dialects::dialect::route::Route;
use blobfish_dialects::dialect::{Dialect, Target};
use blobfish_dialects::engine::exchange::{Exchange, Step};
use blobfish_dialects::engine::target_response::TargetResponse;
use blobfish_dialects::engine::{loss, write_response};
use blobfish_dialects::model::{
    Document, ErrorKind, Field, Operation, OutgoingRequest, Rejection, Request, Response, Timestamp, Value,
};
use blobfish_dialects::translator::explain::{build_sample_route, build_sample_target, read_pasted_request};
use blobfish_dialects::translator::request_text::parse_pasted_request;
use blobfish_dialects::{cos::COS, jdcloud::JDCLOUD, oss::OSS, s3::S3};

const NOW: Timestamp = Timestamp(1_767_323_045);
const EARLY: &str = "Mon, 01 Jan 2024 00:00:00 GMT";
const SOURCE_DATE: &str = "Mon, 06 May 2024 07:08:09 GMT";
const LATE: &str = "Tue, 01 Jul 2025 00:00:00 GMT";
const ETAG: &str = "5b3c1a2e053d763e1b002cc607c5a0fe";
const OTHER: &str = "00000000000000000000000000000000";

/// A copy in a caller's dialect, with headers in addition to the source.
fn build_copy(caller: &'static Dialect, headers: &[(&str, &str)]) -> Request {
    build_copy_between(caller, "src", "a.txt", "dst", "b.txt", headers).unwrap()
}

fn build_copy_between(
    caller: &'static Dialect,
    source: &str,
    source_key: &str,
    bucket: &str,
    key: &str,
    headers: &[(&str, &str)],
) -> Result<Request, Rejection> {
    let value = match caller.family {
        "cos" => format!("{source}.cos.ap-guangzhou.myqcloud.com/{source_key}"),
        _ => format!("/{source}/{source_key}"),
    };
    let mut text = format!("PUT /{key} HTTP/1.1\nHost: {bucket}.{}\n", caller.sample_endpoint);
    text.push_str(&format!("{}: {value}\n", caller.copy.source_header));
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\n"));
    }
    read_pasted_request(&parse_pasted_request(&text)?, caller, None)
}

/// Runs an exchange against a target with these responses. Returns the requests, and the result.
fn run_exchange(
    caller: &'static Dialect,
    target: &'static Dialect,
    request: Request,
    check: bool,
    target_responses: &[TargetResponse],
) -> (Vec<OutgoingRequest>, Result<Response, Rejection>) {
    let target = build_sample_target(target);
    let mut sent = Vec::new();
    let ended = drive_exchange(caller, &target, request, check, target_responses, &mut sent);
    (sent, ended)
}

fn drive_exchange(
    caller: &'static Dialect,
    target: &Target,
    request: Request,
    check: bool,
    target_responses: &[TargetResponse],
    sent: &mut Vec<OutgoingRequest>,
) -> Result<Response, Rejection> {
    let route = Route { check_conditions: check, ..build_sample_route(caller, target, &request) };
    let mut exchange = Exchange::new(route.clone(), request, b"")?;
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
}

fn build_response(status: u16, headers: &[(&str, &str)], body: &str) -> TargetResponse {
    let headers =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    TargetResponse { status, headers, body: body.as_bytes().to_vec() }
}

fn build_copy_response() -> TargetResponse {
    let body = format!(
        "<CopyObjectResult><ETag>\"{ETAG}\"</ETag><LastModified>2024-05-06T07:08:09Z</LastModified></CopyObjectResult>"
    );
    build_response(200, &[], &body)
}

fn build_source_head_response() -> TargetResponse {
    build_response(
        200,
        &[("etag", &format!("\"{ETAG}\"")), ("last-modified", SOURCE_DATE), ("content-length", "10")],
        "",
    )
}

fn find_header<'a>(outgoing: &'a OutgoingRequest, name: &str) -> Option<&'a str> {
    let row = outgoing.headers.iter().find(|row| row.0 == name)?;
    std::str::from_utf8(&row.1).ok()
}

fn get_status(caller: &'static Dialect, ended: Result<Response, Rejection>) -> u16 {
    ended.unwrap_or_else(|rejection| write_response::build_error_response(caller, &rejection)).status
}

#[test]
fn a_condition_is_written_as_the_target_spells_it() {
    let request = build_copy(&COS, &[("x-cos-copy-source-If-Match", ETAG)]);
    let (sent, ended) = run_exchange(&COS, &OSS, request, false, &[build_copy_response()]);
    assert_eq!(sent.len(), 1);
    assert_eq!(
        find_header(&sent[0], "x-oss-copy-source-if-match"),
        Some("\"5B3C1A2E053D763E1B002CC607C5A0FE\""),
        "OSS writes its ETags in upper case"
    );
    assert!(matches!(ended.unwrap().document, Some(Document::CopyObject(result)) if result.etag == ETAG));
}

#[test]
fn a_failed_condition_has_the_status_of_the_caller_dialect() {
    let build_failure_response = |status: u16| {
        build_response(
            status,
            &[],
            if status == 304 { "" } else { "<Error><Code>PreconditionFailed</Code></Error>" },
        )
    };
    // The target's status for a failed none-match: 412 at S3 and COS, 304 at OSS.
    for (caller, name, expected) in [
        (&S3, "x-amz-copy-source-if-none-match", 412),
        (&COS, "x-cos-copy-source-if-none-match", 412),
        (&OSS, "x-oss-copy-source-if-none-match", 304),
    ] {
        for (target, target_status) in [(&S3, 412), (&COS, 412), (&OSS, 304)] {
            let request = build_copy(caller, &[(name, ETAG)]);
            let (_, ended) =
                run_exchange(caller, target, request, false, &[build_failure_response(target_status)]);
            assert_eq!(get_status(caller, ended), expected, "{} to {}", caller.name, target.name);
        }
    }
    for (caller, name) in [
        (&S3, "x-amz-copy-source-if-match"),
        (&COS, "x-cos-copy-source-if-match"),
        (&OSS, "x-oss-copy-source-if-match"),
    ] {
        for target in [&S3, &COS, &OSS] {
            let (_, ended) = run_exchange(
                caller,
                target,
                build_copy(caller, &[(name, OTHER)]),
                false,
                &[build_failure_response(412)],
            );
            assert_eq!(get_status(caller, ended), 412, "{} to {}", caller.name, target.name);
        }
    }
}

#[test]
fn checked_conditions_are_evaluated_for_every_target() {
    for (tag, expected) in [(ETAG, 200), ("other", 412)] {
        let request = build_copy(&S3, &[("x-amz-copy-source-if-match", tag)]);
        let (sent, ended) = run_exchange(
            &S3,
            &S3,
            request,
            true,
            &[build_source_head_response(), build_copy_response(), build_source_head_response()],
        );
        assert_eq!(get_status(&S3, ended), expected);
        assert_eq!(sent[0].method, "HEAD");
        // The copy requires the ETag of the HEAD, for a target that has conditions after all, and a second HEAD
        // follows.
        assert_eq!(sent.len(), if expected == 200 { 3 } else { 1 });
    }
}

#[test]
fn no_conditions_are_sent_to_a_target_without_them() {
    let request = || build_copy(&S3, &[("x-amz-copy-source-if-match", OTHER)]);
    let (sent, ended) = run_exchange(&S3, &JDCLOUD, request(), false, &[]);
    assert!(sent.is_empty(), "rejected before anything is sent");
    assert_eq!(ended.unwrap_err().kind, ErrorKind::NotImplemented);

    let (sent, ended) = run_exchange(&S3, &JDCLOUD, request(), true, &[build_source_head_response()]);
    assert_eq!((sent.len(), sent[0].method), (1, "HEAD"));
    assert_eq!(ended.unwrap_err().kind, ErrorKind::PreconditionFailed);

    let held = build_copy(&S3, &[("x-amz-copy-source-if-match", ETAG)]);
    let (sent, ended) = run_exchange(
        &S3,
        &JDCLOUD,
        held,
        true,
        &[build_source_head_response(), build_copy_response(), build_source_head_response()],
    );
    assert_eq!(sent.iter().map(|request| request.method).collect::<Vec<_>>(), ["HEAD", "PUT", "HEAD"]);
    assert_eq!(find_header(&sent[1], "x-amz-copy-source-if-match"), None);
    assert!(ended.is_ok());
}

/// Another client writes the source between the HEAD and the copy: the copy fails, and the message describes the
/// destination.
#[test]
fn a_copy_fails_if_its_source_has_changed() {
    let build_changed_head = |etag: &str, date: &str| {
        let etag = format!("\"{etag}\"");
        build_response(200, &[("etag", &etag), ("last-modified", date), ("content-length", "10")], "")
    };
    let build_conditional_copy = || build_copy(&S3, &[("x-amz-copy-source-if-match", ETAG)]);
    let build_part_copy_response = || {
        let body = format!(
            "<CopyPartResult><ETag>\"{ETAG}\"</ETag><LastModified>2024-05-06T07:08:09Z</LastModified></CopyPartResult>"
        );
        build_response(200, &[], &body)
    };
    let part = || {
        let mut request = build_conditional_copy();
        request.operation = Operation::UploadPartCopy;
        request.fields.set(Field::UploadId, Value::Text("u".to_owned()));
        request.fields.set(Field::PartNumber, Value::Number(1));
        request
    };
    let build_not_found_response = || build_response(404, &[], "");
    for after in
        [build_changed_head(OTHER, SOURCE_DATE), build_changed_head(ETAG, LATE), build_not_found_response()]
    {
        for (request, made, expected_text) in [
            (build_conditional_copy(), build_copy_response(), "destination was already written"),
            (part(), build_part_copy_response(), "part is discarded"),
        ] {
            let (sent, ended) = run_exchange(
                &S3,
                &JDCLOUD,
                request,
                true,
                &[build_source_head_response(), made, after.clone()],
            );
            assert_eq!(sent.len(), 3);
            let rejection = ended.unwrap_err();
            assert_eq!(rejection.kind, ErrorKind::SourceChanged);
            assert!(rejection.message.as_deref().unwrap().contains(expected_text), "{rejection:?}");
            assert_eq!(write_response::build_error_response(&S3, &rejection).status, 412);
        }
    }
    let (_, ended) = run_exchange(
        &S3,
        &JDCLOUD,
        part(),
        true,
        &[build_source_head_response(), build_part_copy_response(), build_source_head_response()],
    );
    assert!(ended.is_ok(), "the positive control");
    // Without a condition, no HEAD is sent.
    let (sent, ended) = run_exchange(&S3, &JDCLOUD, build_copy(&S3, &[]), true, &[build_copy_response()]);
    assert_eq!((sent.len(), ended.is_ok()), (1, true));
}

#[test]
fn combined_conditions_follow_the_rules_of_the_caller_dialect() {
    let pairs = |caller: &Dialect, one: (&str, &str), other: (&str, &str)| {
        let prefix = format!("{}copy-source-", caller.header_prefix);
        [
            (format!("{prefix}{}", one.0), one.1.to_owned()),
            (format!("{prefix}{}", other.0), other.1.to_owned()),
        ]
    };
    // Caller, conditions, status: S3, CopyObject; COS, PUT Object - Copy; OSS, CopyObject, request headers.
    type Row = (&'static Dialect, (&'static str, &'static str), (&'static str, &'static str), u16);
    let rows: [Row; 8] = [
        (&S3, ("if-match", ETAG), ("if-unmodified-since", EARLY), 200),
        (&S3, ("if-match", OTHER), ("if-unmodified-since", LATE), 412),
        (&S3, ("if-none-match", ETAG), ("if-modified-since", EARLY), 412),
        (&S3, ("if-match", ETAG), ("if-none-match", OTHER), 200),
        (&COS, ("if-match", ETAG), ("if-unmodified-since", LATE), 200),
        (&OSS, ("if-match", ETAG), ("if-unmodified-since", EARLY), 412),
        (&OSS, ("if-none-match", OTHER), ("if-modified-since", LATE), 304),
        (&OSS, ("if-match", ETAG), ("if-none-match", ETAG), 304),
    ];
    for (caller, one, other, expected) in rows {
        let headers = pairs(caller, one, other);
        let headers: Vec<(&str, &str)> = headers.iter().map(|row| (row.0.as_str(), row.1.as_str())).collect();
        for target in [&S3, &COS, &OSS] {
            if target.family == caller.family {
                continue;
            }
            let (sent, ended) = run_exchange(
                caller,
                target,
                build_copy(caller, &headers),
                false,
                &[build_source_head_response(), build_copy_response()],
            );
            assert_eq!(sent[0].method, "HEAD", "{} to {}", caller.name, target.name);
            assert_eq!(
                get_status(caller, ended),
                expected,
                "{} to {}: {headers:?}",
                caller.name,
                target.name
            );
            if let Some(second) = sent.get(1) {
                let name = format!("{}copy-source-if-match", target.header_prefix);
                assert!(find_header(second, &name).is_some(), "the copy requires the ETag of the HEAD");
            }
        }
    }
}

#[test]
fn cos_rejects_some_combinations_of_conditions() {
    let headers = [("x-cos-copy-source-If-Match", ETAG), ("x-cos-copy-source-If-Modified-Since", EARLY)];
    let (sent, ended) = run_exchange(&COS, &S3, build_copy(&COS, &headers), false, &[]);
    assert!(sent.is_empty());
    assert_eq!(get_status(&COS, ended), 400);
}

#[test]
fn an_ambiguous_412_is_decided_by_the_source() {
    // At S3, overwrite protection and a condition both return 412; for OSS callers they are 409 and 412.
    let headers = [("x-oss-forbid-overwrite", "true"), ("x-oss-copy-source-if-match", ETAG)];
    let failed = build_response(412, &[], "<Error><Code>PreconditionFailed</Code></Error>");
    let (sent, ended) = run_exchange(
        &OSS,
        &S3,
        build_copy(&OSS, &headers),
        false,
        &[failed.clone(), build_source_head_response()],
    );
    assert_eq!(find_header(&sent[0], "if-none-match"), Some("*"));
    assert_eq!(sent[1].method, "HEAD");
    assert_eq!(ended.unwrap_err().kind, ErrorKind::ObjectExists);

    let headers = [("x-oss-forbid-overwrite", "true"), ("x-oss-copy-source-if-match", OTHER)];
    let (_, ended) =
        run_exchange(&OSS, &S3, build_copy(&OSS, &headers), false, &[failed, build_source_head_response()]);
    assert_eq!(ended.unwrap_err().kind, ErrorKind::PreconditionFailed);
}

#[test]
fn a_copy_onto_itself_follows_the_rules_of_the_caller_dialect() {
    let onto_itself =
        |caller, headers: &[(&str, &str)]| build_copy_between(caller, "b", "k", "b", "k", headers).unwrap();
    for (caller, headers, legal) in [
        (&S3, vec![], false),
        (&S3, vec![("x-amz-storage-class", "STANDARD")], true),
        (&S3, vec![("x-amz-metadata-directive", "REPLACE")], true),
        (&S3, vec![("x-amz-acl", "private")], false),
        (&COS, vec![], false),
        (&COS, vec![("x-cos-storage-class", "ARCHIVE")], false),
        (&COS, vec![("x-cos-metadata-directive", "Replaced")], true),
        (&OSS, vec![], true),
    ] {
        for target in [&S3, &COS, &OSS] {
            let target_responses = [build_source_head_response(), build_copy_response()];
            let changes_class = headers.iter().any(|row| row.0.ends_with("storage-class"));
            // OSS keeps some metadata although the rest is replaced, so the source is read.
            let keeps = caller.name == "oss" && target.name != "oss";
            let needs_look = legal && ((changes_class && target.name != "s3") || keeps);
            let target_responses = if needs_look { &target_responses[..] } else { &target_responses[1..] };
            let (_, ended) =
                run_exchange(caller, target, onto_itself(caller, &headers), false, target_responses);
            let expected = if legal { 200 } else { 400 };
            assert_eq!(
                get_status(caller, ended),
                expected,
                "{} to {}: {headers:?}",
                caller.name,
                target.name
            );
        }
    }
}

#[test]
fn a_change_of_storage_class_in_place_keeps_the_metadata() {
    let request =
        build_copy_between(&S3, "b", "k", "b", "k", &[("x-amz-storage-class", "STANDARD_IA")]).unwrap();
    let mut head = build_source_head_response();
    head.headers.push(("content-type".to_owned(), b"text/plain".to_vec()));
    head.headers.push(("x-oss-meta-owner".to_owned(), b"me".to_vec()));
    let (sent, ended) = run_exchange(&S3, &OSS, request, false, &[head, build_copy_response()]);
    assert!(ended.is_ok());
    assert_eq!(find_header(&sent[1], "x-oss-metadata-directive"), Some("REPLACE"));
    assert_eq!(find_header(&sent[1], "x-oss-meta-owner"), Some("me"));
    assert_eq!(find_header(&sent[1], "content-type"), Some("text/plain"));
    assert_eq!(find_header(&sent[1], "x-oss-storage-class"), Some("IA"));
}

#[test]
fn metadata_of_client_side_encryption_is_kept_by_a_copy() {
    let replaced = [("x-oss-metadata-directive", "REPLACE"), ("x-oss-meta-v", "2")];
    let mut head = build_source_head_response();
    head.headers.push(("x-amz-meta-client-side-encryption-key".to_owned(), b"KEY".to_vec()));
    head.headers.push(("x-amz-meta-v".to_owned(), b"1".to_vec()));
    let (sent, ended) =
        run_exchange(&OSS, &S3, build_copy(&OSS, &replaced), false, &[head, build_copy_response()]);
    assert!(ended.is_ok());
    assert_eq!(find_header(&sent[1], "x-amz-meta-client-side-encryption-key"), Some("KEY"));
    assert_eq!(find_header(&sent[1], "x-amz-meta-v"), Some("2"));
    assert!(find_header(&sent[1], "x-amz-copy-source-if-match").is_some());
    // OSS keeps it itself, and S3 replaces everything.
    let (sent, _) = run_exchange(&OSS, &OSS, build_copy(&OSS, &replaced), false, &[build_copy_response()]);
    assert_eq!(sent.len(), 1);
    let (sent, _) = run_exchange(
        &S3,
        &OSS,
        build_copy(&S3, &[("x-amz-metadata-directive", "REPLACE")]),
        false,
        &[build_copy_response()],
    );
    assert_eq!(sent.len(), 1);
}

#[test]
fn metadata_of_a_copy_request_counts_only_with_the_replace_directive() {
    let (sent, _) = run_exchange(
        &S3,
        &COS,
        build_copy(&S3, &[("x-amz-meta-a", "1"), ("content-type", "text/plain")]),
        false,
        &[build_copy_response()],
    );
    assert_eq!(find_header(&sent[0], "x-cos-meta-a"), None);
    assert_eq!(find_header(&sent[0], "content-type"), None);
    let replaced =
        [("x-amz-meta-a", "1"), ("x-amz-metadata-directive", "replace"), ("content-type", "text/plain")];
    let (sent, _) = run_exchange(&S3, &COS, build_copy(&S3, &replaced), false, &[build_copy_response()]);
    assert_eq!(find_header(&sent[0], "x-cos-metadata-directive"), Some("Replaced"));
    assert_eq!(find_header(&sent[0], "x-cos-meta-a"), Some("1"));
    assert_eq!(find_header(&sent[0], "content-type"), Some("text/plain"));
}

#[test]
fn defaults_that_differ_at_the_target_are_sent_explicitly() {
    let (sent, _) = run_exchange(&S3, &OSS, build_copy(&S3, &[]), false, &[build_copy_response()]);
    assert_eq!(find_header(&sent[0], "x-oss-object-acl"), Some("private"), "S3's new objects are private");
    assert_eq!(find_header(&sent[0], "x-oss-storage-class"), Some("Standard"), "and of the standard class");
    let (sent, _) = run_exchange(&COS, &S3, build_copy(&COS, &[]), false, &[build_copy_response()]);
    assert_eq!(find_header(&sent[0], "x-amz-acl"), None);
    assert_eq!(find_header(&sent[0], "x-amz-storage-class"), None);
}

#[test]
fn an_error_inside_a_200_is_found() {
    for body in [
        "<?xml version=\"1.0\"?>  \n<Error><Code>InternalError</Code><Message>late</Message></Error>",
        "   ",
        "",
        "<CopyObjectResult><ETag>\"x\"",
        "<CopyObjectResult><LastModified>2024-05-06T07:08:09Z</LastModified></CopyObjectResult>",
        "<html><body>ok</body></html>",
    ] {
        for (caller, target) in [(&S3, &COS), (&COS, &S3), (&OSS, &COS)] {
            let (_, ended) = run_exchange(
                caller,
                target,
                build_copy(caller, &[]),
                false,
                &[build_response(200, &[], body)],
            );
            assert_eq!(get_status(caller, ended), 500, "{body}");
        }
    }
    let slow = "<Error><Code>SlowDown</Code><Message>m</Message></Error>";
    let (_, ended) = run_exchange(&COS, &S3, build_copy(&COS, &[]), false, &[build_response(200, &[], slow)]);
    assert_eq!(get_status(&COS, ended), 503);
}

#[test]
fn errors_about_the_proxys_own_credentials_are_hidden_from_clients() {
    for code in ["SignatureDoesNotMatch", "InvalidAccessKeyId", "RequestTimeTooSkewed"] {
        let body = format!("<Error><Code>{code}</Code><Message>secret words</Message></Error>");
        let (_, ended) =
            run_exchange(&S3, &COS, build_copy(&S3, &[]), false, &[build_response(403, &[], &body)]);
        let rejection = ended.unwrap_err();
        // The proxy has corrected its clock offset by the next request.
        let clock = code == "RequestTimeTooSkewed";
        let expected = if clock { ErrorKind::ServiceUnavailable } else { ErrorKind::InternalError };
        assert_eq!(rejection.kind, expected, "{code}");
        assert!(!rejection.message.unwrap_or_default().contains("secret words"));
    }
}

#[test]
fn a_directive_that_the_target_ignores_is_noticed() {
    let headers =
        [("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-a", "1"), ("content-type", "text/plain")];
    let mut destination_head = build_source_head_response();
    destination_head.headers.push(("content-type".to_owned(), b"text/plain".to_vec()));
    destination_head.headers.push(("x-amz-meta-a".to_owned(), b"1".to_vec()));
    let (sent, ended) = run_exchange(
        &S3,
        &JDCLOUD,
        build_copy(&S3, &headers),
        false,
        &[build_copy_response(), destination_head],
    );
    assert_eq!(sent[1].method, "HEAD");
    assert!(ended.is_ok());
    let (_, ended) = run_exchange(
        &S3,
        &JDCLOUD,
        build_copy(&S3, &headers),
        false,
        &[build_copy_response(), build_source_head_response()],
    );
    assert_eq!(ended.unwrap_err().kind, ErrorKind::InternalError);
}

#[test]
fn copy_sources_are_read_by_the_grammar_of_each_dialect() {
    let read = |caller: &'static Dialect, value: &str| {
        (caller.copy.parse_source)(value, None).map(|source| (source.bucket, source.key, source.version))
    };
    let good = |bucket: &str, key: &str, version: Option<&str>| {
        Ok((bucket.to_owned(), key.to_owned(), version.map(str::to_owned)))
    };
    assert_eq!(read(&S3, "photos/cat.png"), good("photos", "cat.png", None));
    assert_eq!(read(&S3, "/photos/cat.png?versionId=7"), good("photos", "cat.png", Some("7")));
    assert_eq!(read(&S3, "photos/why%3F.png"), good("photos", "why?.png", None));
    assert_eq!(read(&S3, "photos%2Fcat.png"), good("photos", "cat.png", None));
    assert_eq!(read(&S3, "photos/a+b%2Bc"), good("photos", "a b+c", None));
    assert_eq!(read(&S3, "/photos//x/../y"), good("photos", "/x/../y", None));
    assert_eq!(read(&OSS, "/photos/a%2Fb+c%2Bd?versionId=CAEQ1"), good("photos", "a/b c+d", Some("CAEQ1")));
    assert_eq!(
        read(&COS, "src-1250000001.cos.ap-shanghai.myqcloud.com/a%20b+c/%E8%85%BE.jpg?versionid=MTg"),
        good("src-1250000001", "a b+c/腾.jpg", Some("MTg"))
    );
    assert_eq!(read(&COS, "/src-1250000001/k"), good("src-1250000001", "k", None));
    assert_eq!(read(&COS, "b-1.cos.ap-guangzhou.localhost:9000/k%3Fx"), good("b-1", "k?x", None));
    for (caller, value) in [
        (&S3, "photos"),
        (&S3, "photos/"),
        (&S3, ""),
        (&S3, "photos/a%zz"),
        (&S3, "photos/a?x=1"),
        (&S3, "photos/a?versionId="),
        (&OSS, "photos/cat.png"),
        (&OSS, "/photos"),
        (&OSS, "/photos/a?versionId="),
        (&OSS, "/photos/a?other=1"),
        (&COS, "evil.example.com/k"),
        (&COS, "b.cos.ap-guangzhou.myqcloud.com"),
        (&COS, "user@b.cos.ap-guangzhou.myqcloud.com.evil.example/k"),
        (&COS, "b.cos.ap-guangzhou.myqcloud.com/k?acl"),
    ] {
        let rejected = read(caller, value).map_err(|rejection| rejection.kind);
        assert_eq!(rejected, Err(ErrorKind::InvalidCopySource), "{} {value}", caller.name);
    }
}

#[test]
fn the_range_of_a_part_copy_follows_the_rules_of_the_caller_dialect() {
    let part = |caller: &'static Dialect, range: &str| {
        let source = if caller.family == "cos" { "src.cos.ap-guangzhou.myqcloud.com/a" } else { "/src/a" };
        let text = format!(
            "PUT /b?partNumber=1&uploadId=U HTTP/1.1\nHost: dst.{}\n{}: {source}\n{}copy-source-range: {range}\n",
            caller.sample_endpoint, caller.copy.source_header, caller.header_prefix
        );
        read_pasted_request(&parse_pasted_request(&text)?, caller, None)
    };
    let made = build_response(200, &[], &format!("<CopyPartResult><ETag>\"{ETAG}\"</ETag></CopyPartResult>"));
    for range in ["bytes=5-", "bytes=-5", "0-9", "bytes=9-0", "bytes=0-1,3-4"] {
        assert_eq!(part(&S3, range).unwrap_err().kind, ErrorKind::InvalidArgument, "{range}");
        assert!(part(&OSS, range).is_ok(), "OSS copies something for {range}");
    }
    // The source has ten bytes. S3 rejects a range past its end; OSS copies the whole source.
    let (sent, ended) = run_exchange(
        &S3,
        &OSS,
        part(&S3, "bytes=0-10").unwrap(),
        false,
        &[build_source_head_response(), made.clone()],
    );
    assert_eq!((sent.len(), get_status(&S3, ended)), (1, 400));
    let (sent, _) = run_exchange(
        &OSS,
        &S3,
        part(&OSS, "bytes=0-10").unwrap(),
        false,
        &[build_source_head_response(), made.clone()],
    );
    assert_eq!(find_header(&sent[1], "x-amz-copy-source-range"), None);
    let (sent, _) = run_exchange(
        &OSS,
        &S3,
        part(&OSS, "bytes=4-").unwrap(),
        false,
        &[build_source_head_response(), made],
    );
    assert_eq!(find_header(&sent[1], "x-amz-copy-source-range"), Some("bytes=4-9"));
}
