//! Golden cases: every example of the vendors' documents of copying, read to canonical, written to each other
//! dialect, and its answer read and written back. `UPDATE=1` rewrites the expectations; the diff is what counts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

use blobfish_dialects::engine::answer;
use blobfish_dialects::engine::dialect::Dialect;
use blobfish_dialects::engine::exchange::Answer;
use blobfish_dialects::engine::tell::{self, Listener};
use blobfish_dialects::explain::{Explained, explain};
use blobfish_dialects::model::{Outgoing, Timestamp, Value};
use blobfish_dialects::{ALL, by_name};

#[test]
fn every_example_of_the_documents() {
    let cases = cases();
    assert!(cases.len() >= 14, "the documents have fourteen examples");
    for case in cases {
        let origin = by_name(read(&case.join("SOURCE")).lines().next().unwrap(), None).unwrap();
        let request = read(&case.join("request.http"));
        let meaning =
            explain(&request, origin, origin).unwrap_or_else(|refusal| panic!("{case:?}: {refusal:?}"));
        expect(&case.join("canonical.txt"), &format!("{:#?}\n", meaning.request));
        for target in ALL {
            match explain(&request, origin, target) {
                Ok(explained) => {
                    expect(&case.join(format!("to-{}.http", target.name)), &written(&explained));
                    reads_back(&case, &explained, target);
                }
                Err(refusal) => {
                    expect(&case.join(format!("to-{}.http", target.name)), &format!("{refusal:?}\n"))
                }
            }
            expect(
                &case.join(format!("answer-{}.http", target.name)),
                &answered(&case, origin, target, &meaning),
            );
        }
    }
}

/// What was written means to its own dialect what the original meant, where nothing was lost.
fn reads_back(case: &Path, explained: &Explained, target: &'static Dialect) {
    if explained.refused.is_some() {
        return;
    }
    let again = explain(&text(&explained.outgoing), target, target);
    let again = again.unwrap_or_else(|refusal| panic!("{case:?} to {}: {refusal:?}", target.name)).request;
    let asked = &explained.request;
    assert_eq!((again.operation, &again.key), (asked.operation, &asked.key), "{case:?} to {}", target.name);
    assert_eq!(again.source, asked.source, "{case:?} to {}", target.name);
    assert_eq!(again.metadata, asked.metadata, "{case:?} to {}", target.name);
    for (field, value) in asked.fields.iter() {
        if matches!(value, Value::Secret(_)) {
            // Not shown, so it does not read back; that it is sent is tested with the properties.
            continue;
        }
        assert_eq!(again.fields.get(field), Some(value), "{case:?} to {}: {field:?}", target.name);
    }
}

fn answered(case: &Path, origin: &'static Dialect, caller: &'static Dialect, meaning: &Explained) -> String {
    let answer = parse_answer(&read(&case.join("answer.http")));
    let target = blobfish_dialects::explain::sample_target(origin);
    let way = blobfish_dialects::explain::sample_way(caller, &target, &meaning.request);
    let reply = answer::whole(&way, meaning.request.operation, &answer).unwrap();
    let listener = Listener {
        dialect: caller,
        id: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
        now: Timestamp(1_567_739_867),
        host: "host.example".to_owned(),
        path: "/exampleobject".to_owned(),
        head: false,
        elapsed_ms: 7,
    };
    let spoken = tell::tell(&listener, reply);
    let mut out = format!("HTTP/1.1 {}\n", spoken.status);
    for (name, value) in &spoken.headers {
        out.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value)));
    }
    format!("{out}\n{}\n", String::from_utf8(spoken.body).unwrap())
}

fn written(explained: &Explained) -> String {
    let mut out = format!("# {}\n", explained.plan);
    for (name, fate, why) in &explained.fields {
        out.push_str(format!("# {name}: {} {why}", fate.name()).trim_end());
        out.push('\n');
    }
    match &explained.refused {
        Some(refusal) => {
            out.push_str(&format!("# refused: {}\n", refusal.message.as_deref().unwrap_or_default()))
        }
        None => out.push_str(&text(&explained.outgoing)),
    }
    out
}

fn text(outgoing: &Outgoing) -> String {
    let mut out = format!("{} {} HTTP/1.1\nhost: {}\n", outgoing.method, outgoing.target(), outgoing.host);
    for (name, value) in &outgoing.headers {
        out.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value)));
    }
    out
}

fn parse_answer(text: &str) -> Answer {
    let (head, body) = text.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    let headers = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().as_bytes().to_vec())
        })
        .collect();
    Answer { status, headers, body: body.as_bytes().to_vec() }
}

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases");
    let mut cases: Vec<PathBuf> =
        fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    cases
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn expect(path: &Path, found: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, found).unwrap();
    }
    assert_eq!(read(path), found, "{path:?}");
}
