//! Golden cases: every example in the vendors' documents of copying is read into the canonical request, written in
//! each other dialect, and its response is translated back. `UPDATE=1` rewrites the expected files; review the diff.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::path::{Path, PathBuf};

use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::dialect::response_context::ResponseContext;
use blobfish_dialects::engine::plan::PlanKind;
use blobfish_dialects::engine::target_response::TargetResponse;
use blobfish_dialects::engine::{read_response, write_response};
use blobfish_dialects::model::{OutgoingRequest, Timestamp, Value};
use blobfish_dialects::translator::explain::{Explanation, explain};
use blobfish_dialects::{DIALECTS, find_dialect};

/// The end of each failure message.
const HOW_TO_ACCEPT: &str = "If the change is intended, run `UPDATE=1 cargo test -p blobfish-dialects --test cases`, \
     review the diff of tests/cases, and commit it.";

#[test]
fn every_documented_example_is_translated_as_expected() {
    let cases = list_cases();
    assert!(cases.len() >= 14, "{} cases; the vendors' documents have fourteen examples", cases.len());
    for case in cases {
        let origin =
            find_dialect(read_case_file(&case.join("SOURCE")).lines().next().unwrap(), None).unwrap();
        let request = read_case_file(&case.join("request.http"));
        let meaning =
            explain(&request, origin, origin).unwrap_or_else(|rejection| panic!("{case:?}: {rejection:?}"));
        expect_file(&case.join("canonical.txt"), &format!("{:#?}\n", meaning.request));
        for target in DIALECTS {
            match explain(&request, origin, target) {
                Ok(explained) => {
                    expect_file(
                        &case.join(format!("to-{}.http", target.name)),
                        &render_explained(&explained),
                    );
                    check_round_trip(&case, &explained, target);
                }
                Err(rejection) => {
                    expect_file(&case.join(format!("to-{}.http", target.name)), &format!("{rejection:?}\n"))
                }
            }
            expect_file(
                &case.join(format!("answer-{}.http", target.name)),
                &render_response(&case, origin, target, &meaning),
            );
        }
    }
}

/// The translated request, read in the target's dialect, has the same meaning as the original, if nothing was lost.
fn check_round_trip(case: &Path, explained: &Explanation, target: &'static Dialect) {
    // A relayed copy is a write at the target, so there is no copy to compare.
    if explained.rejection.is_some() || explained.plan.kind == PlanKind::Relay {
        return;
    }
    let again = explain(&render_request(explained.outgoing.as_ref().unwrap()), target, target);
    let again =
        again.unwrap_or_else(|rejection| panic!("{case:?} to {}: {rejection:?}", target.name)).request;
    let client_request = &explained.request;
    assert_eq!(
        (again.operation, again.scope.key()),
        (client_request.operation, client_request.scope.key()),
        "{case:?} to {}",
        target.name
    );
    assert_eq!(again.source, client_request.source, "{case:?} to {}", target.name);
    assert_eq!(again.metadata, client_request.metadata, "{case:?} to {}", target.name);
    for (field, value) in client_request.fields.iter() {
        if matches!(value, Value::Secret(_)) {
            // Secrets are hidden in the output, so they cannot be read back; the property tests check that they are
            // sent.
            continue;
        }
        assert_eq!(again.fields.get(field), Some(value), "{case:?} to {}: {field:?}", target.name);
    }
}

fn render_response(
    case: &Path,
    origin: &'static Dialect,
    caller: &'static Dialect,
    meaning: &Explanation,
) -> String {
    let target_response = parse_response(&read_case_file(&case.join("answer.http")));
    let target = blobfish_dialects::translator::explain::build_sample_target(origin);
    let route = blobfish_dialects::translator::explain::build_sample_route(caller, &target, &meaning.request);
    let response = read_response::read_response(&route, meaning.request.operation, &target_response).unwrap();
    let listener = ResponseContext {
        dialect: caller,
        id: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
        now: Timestamp(1_567_739_867),
        host: "host.example".to_owned(),
        path: "/exampleobject".to_owned(),
        is_head: false,
        elapsed_ms: 7,
    };
    let written_response = write_response::write_response(&listener, response);
    let mut out = format!("HTTP/1.1 {}\n", written_response.status);
    for (name, value) in &written_response.headers {
        out.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value)));
    }
    format!("{out}\n{}\n", String::from_utf8(written_response.body).unwrap())
}

fn render_explained(explained: &Explanation) -> String {
    let mut out = format!("# {}\n", explained.plan);
    for (name, handling, reason) in &explained.fields {
        out.push_str(format!("# {name}: {} {reason}", handling.name()).trim_end());
        out.push('\n');
    }
    match &explained.rejection {
        Some(rejection) => {
            out.push_str(&format!("# rejected: {}\n", rejection.message.as_deref().unwrap_or_default()))
        }
        None => out.push_str(&render_request(explained.outgoing.as_ref().unwrap())),
    }
    out
}

fn render_request(outgoing: &OutgoingRequest) -> String {
    let mut out =
        format!("{} {} HTTP/1.1\nhost: {}\n", outgoing.method, outgoing.request_target(), outgoing.host);
    for (name, value) in &outgoing.headers {
        out.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value)));
    }
    out
}

fn parse_response(text: &str) -> TargetResponse {
    let (head, body) = text.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().as_bytes().to_vec())
        })
        .collect();
    TargetResponse { status, headers, body: body.as_bytes().to_vec() }
}

fn list_cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases");
    let mut cases: Vec<PathBuf> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

fn read_case_file(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}. {HOW_TO_ACCEPT}"))
}

fn expect_file(path: &Path, found: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, found).unwrap();
    }
    assert_eq!(read_case_file(path), found, "{path:?} differs. {HOW_TO_ACCEPT}");
}
