//! What is fed with bytes of anybody's, and what must hold whatever they are. `make fuzz` feeds it for long, guided by
//! coverage (`fuzz/`); the test beside it for a moment.

use blobfish_dialects::engine::accept::{Front, Key, Keys, accept};
use blobfish_dialects::engine::auth::{Decode as _, Payload, Place};
use blobfish_dialects::engine::body::{Gate, Wants};
use blobfish_dialects::engine::dialect::Dialect;
use blobfish_dialects::engine::exchange::{Answer, Exchange, Step};
use blobfish_dialects::engine::form::{self, FormReader, Progress};
use blobfish_dialects::engine::stream;
use blobfish_dialects::engine::tell::{self, Listener};
use blobfish_dialects::explain::{self, explain, sample_target, sample_way};
use blobfish_dialects::model::{
    Algorithm, Checksum, Fields, Operation, Outgoing, Refusal, Reply, Request, Timestamp,
};
use blobfish_dialects::s3::chunked::{ChunkKey, Chunked};
use blobfish_dialects::wire::{hash::derived_key, xml};
use blobfish_dialects::{ALL, PROFILES, s3};
use secrecy::SecretString;

/// A name, and what is fed.
pub type Target = (&'static str, fn(&[u8]));

/// Each by its name.
pub const TARGETS: &[Target] = &[
    ("translation", translation),
    ("belief", belief),
    ("exchange", exchange),
    ("chunks", chunks),
    ("form", form),
    ("xml", xml),
];

/// Stands between the parts of one input.
pub const BETWEEN: &str = "\n----\n";

const NOW: Timestamp = Timestamp(1_767_323_045);

/// The first byte chooses who speaks to whom.
fn pair(data: &[u8]) -> Option<(&'static Dialect, &'static Dialect, &[u8])> {
    let (choice, rest) = data.split_first()?;
    let targets: Vec<_> = ALL.iter().chain(PROFILES).collect();
    let choice = usize::from(*choice);
    Some((ALL[choice % ALL.len()], targets[choice / ALL.len() % targets.len()], rest))
}

/// The byte that chooses these, by their places.
pub fn choice(caller: usize, target: usize) -> u8 {
    u8::try_from(caller + ALL.len() * target).unwrap()
}

/// A head that frames nothing but itself, and goes to the target and nowhere else.
fn goes_where_it_should(outgoing: &Outgoing, target: &Dialect) {
    let host = &outgoing.host;
    assert!(host.ends_with(target.sample_endpoint), "{host}");
    assert!(host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)), "{host}");
    assert!(outgoing.path.starts_with('/') && outgoing.path.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!outgoing.path.contains(['?', '#']), "{}", outgoing.path);
    outgoing.headers.iter().for_each(|(name, value)| is_one_line(name, value));
}

fn is_one_line(name: &str, value: &[u8]) {
    assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'), "{name}");
    assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{name}: {value:?}");
}

fn is_told(caller: &'static Dialect, told: Result<Reply, Refusal>) -> u16 {
    let reply = told.unwrap_or_else(|refusal| tell::refused(caller, &refusal));
    let (host, path) = ("h".to_owned(), "/".to_owned());
    let listener = Listener { dialect: caller, id: 1, now: NOW, host, path, head: false, elapsed_ms: 0 };
    let spoken = tell::tell(&listener, reply);
    spoken.headers.iter().for_each(|(name, value)| is_one_line(name, value));
    // A NUL of a key is told as vendors tell it, which no reader takes.
    let has_nul = spoken.body.windows(4).any(|window| window == b"&#0;");
    if spoken.body.first() == Some(&b'<') && !has_nul {
        xml::read(&spoken.body).expect("what is told can be read");
    }
    spoken.status
}

/// A request's head, translated.
pub fn translation(data: &[u8]) {
    let Some((caller, target, rest)) = pair(data) else { return };
    match explain(&String::from_utf8_lossy(rest), caller, target) {
        Ok(explained) => goes_where_it_should(&explained.outgoing, target),
        Err(refusal) => assert!(is_told(caller, Err(refusal)) >= 300),
    }
}

struct One(SecretString);

impl Keys for One {
    fn key(&self, access_key: &str) -> Option<Key<'_>> {
        (access_key == "AKID").then_some(Key { secret: &self.0, token: None, strict: false, schemes: &[] })
    }

    fn is_open(&self, bucket: &str) -> bool {
        bucket == "open"
    }
}

/// A request's head, of somebody who knows no secret.
pub fn belief(data: &[u8]) {
    let Some(head) = explain::parse(&String::from_utf8_lossy(data)) else { return };
    let front = Front { dialects: ALL, default: &s3::S3, base: vec!["base.example".to_owned()] };
    match accept(&head, &front, &One(SecretString::from("nobody guesses this")), NOW) {
        Ok(accepted) => {
            assert_eq!(accepted.access_key, None);
            assert_eq!(accepted.request.bucket.as_deref(), Some("open"));
            assert!(matches!(accepted.request.operation, Operation::GetObject | Operation::HeadObject));
        }
        Err(rejected) => assert!(is_told(rejected.dialect, Err(rejected.refusal)) >= 300),
    }
}

/// A request with its body, and a target's answers.
pub fn exchange(data: &[u8]) {
    let Some((caller, target, rest)) = pair(data) else { return };
    let text = String::from_utf8_lossy(rest);
    let mut pieces = text.split(BETWEEN);
    let (head, body) = (pieces.next().unwrap_or_default(), pieces.next().unwrap_or_default());
    let answers: Vec<Answer> = pieces.map(answer).collect();
    let Ok(explained) = explain(head, caller, caller) else { return };
    let request = explained.request;
    let served = sample_target(target);
    let way = sample_way(caller, &served, &request);
    if request.operation == Operation::ListBuckets {
        return;
    }
    if request.operation.streams() {
        for answer in &answers {
            let told = match answer.status {
                200..=299 | 304 => stream::reply(&way, &request, answer, None),
                _ => Ok(stream::failure(&way, &request, answer)),
            };
            is_told(caller, told);
        }
        return;
    }
    let copies = request.operation.copies();
    let mut exchange = match Exchange::new(way, request, body.as_bytes()) {
        Ok(exchange) => exchange,
        Err(refusal) => {
            is_told(caller, Err(refusal));
            return;
        }
    };
    let (mut answers, mut proven) = (answers.into_iter(), false);
    let mut step = exchange.start(NOW);
    for _ in 0..40 {
        match step {
            Ok(Step::Send(outgoing)) => {
                goes_where_it_should(&outgoing, target);
                let silence = || Answer { status: 500, headers: Vec::new(), body: Vec::new() };
                let answer = answers.next().unwrap_or_else(silence);
                let is_copy = outgoing.method == "PUT" && outgoing.query.iter().all(|row| row.0 != "tagging");
                proven |= is_copy && answer.status / 100 == 2 && is_result(&answer.body);
                step = exchange.next(&answer, NOW);
            }
            told => {
                let told = told.map(|step| match step {
                    Step::Tell(reply) => *reply,
                    Step::Send(_) => unreachable!("matched above"),
                });
                let status = is_told(caller, told);
                assert!(!copies || proven || status / 100 != 2, "a success that nobody proved");
                return;
            }
        }
    }
    panic!("an exchange without an end");
}

/// Whether a document tells an ETag.
fn is_result(body: &[u8]) -> bool {
    xml::read(body).is_ok_and(|node| node.name.starts_with("Copy") && node.child("ETag").is_some())
}

/// A status, headers, an empty line, a body.
fn answer(text: &str) -> Answer {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let status =
        lines.next().and_then(|line| line.trim().parse().ok()).filter(|status| (200..600).contains(status));
    // The shell reads no other heads.
    let is_head = |name: &str, value: &str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') && !value.contains('\0')
    };
    let headers = lines.filter_map(|line| line.split_once(':')).filter(|row| is_head(row.0, row.1));
    let headers = headers.map(|(name, value)| (name.trim().to_lowercase(), value.trim().as_bytes().to_vec()));
    Answer { status: status.unwrap_or(200), headers: headers.collect(), body: body.as_bytes().to_vec() }
}

fn passed(kind: u8, wire: &[u8], step: usize) -> Result<Vec<u8>, (Vec<u8>, Refusal)> {
    let signed = || ChunkKey {
        key: derived_key(b"AWS4nobody guesses this", &["20260102", "us-west-2", "s3", "aws4_request"]),
        stamp: "20260102T030405Z".to_owned(),
        scope: "20260102/us-west-2/s3/aws4_request".to_owned(),
        previous: "0".repeat(64),
    };
    let trailer = (kind & 2 != 0).then(|| "x-amz-checksum-crc32".to_owned());
    let mut request =
        Request::of_object(Operation::PutObject, "b".to_owned(), "k".to_owned(), Fields::default());
    if trailer.is_some() {
        request.checksums.push(Checksum { algorithm: Algorithm::Crc32, value: None });
    }
    let decoder = Chunked::new((kind & 1 != 0).then(signed), trailer, u64::from(kind / 4));
    let mut gate = Gate::new(&s3::S3, Payload::Chunked(Box::new(decoder)), &request, Wants::default())
        .expect("no checksum in the head");
    let mut out = Vec::new();
    for piece in wire.chunks(step) {
        match gate.push(piece) {
            Ok(bytes) => out.extend(bytes),
            Err(refusal) => return Err((out, refusal)),
        }
    }
    match gate.finish() {
        Ok((rest, _)) => Ok([out, rest].concat()),
        Err(refusal) => Err((out, refusal)),
    }
}

/// A body in chunks: signed or not, with a trailer or not, of an announced length.
pub fn chunks(data: &[u8]) {
    let Some((kind, wire)) = data.split_first() else { return };
    let whole = passed(*kind, wire, wire.len().max(1));
    for step in [1, 3] {
        match (&whole, passed(*kind, wire, step)) {
            (Ok(whole), pieces) => assert_eq!(pieces.as_ref().ok(), Some(whole)),
            (Err((_, refusal)), Err((out, other))) => {
                assert_eq!(refusal.fault, other.fault);
                // The end is held back.
                assert!(out.len() < usize::from(kind / 4).max(1));
            }
            (Err(_), Ok(_)) => panic!("a wrong body in pieces is taken for a right one"),
        }
    }
    match whole {
        Ok(body) => assert!(kind & 1 == 0 && body.len() == usize::from(kind / 4), "nobody knows the key"),
        Err((out, _)) => assert!(kind & 1 == 0 || out.is_empty()),
    }
}

fn read_form(dialect: &'static Dialect, wire: &[u8], step: usize) -> Result<Vec<u8>, Refusal> {
    let mut reader = FormReader::new("multipart/form-data; boundary=edge")?;
    let mut pieces = wire.chunks(step);
    let mut begun = false;
    for piece in pieces.by_ref() {
        begun = reader.push(piece)? == Progress::File;
        if begun {
            break;
        }
    }
    if !begun {
        return Ok(Vec::new());
    }
    let place = Place { bucket: Some("b".to_owned()), key: None, virtual_host: true };
    let believed =
        form::accept(dialect, reader.form(), &place, &One(SecretString::from("nobody guesses this")), NOW);
    let refusal = believed.err().expect("nobody knows the key");
    is_told(dialect, Err(refusal));
    let length = u64::try_from(wire.len()).ok();
    let mut file = reader.file(length, pieces.len() == 0, (0, u64::MAX))?;
    let mut out = Vec::new();
    file.push(&[], &mut out)?;
    for piece in pieces {
        file.push(piece, &mut out)?;
    }
    file.finish()?;
    Ok(out)
}

/// A form of a web page.
pub fn form(data: &[u8]) {
    let Some((caller, _, wire)) = pair(data) else { return };
    let whole = read_form(caller, wire, wire.len().max(1));
    let pieces = read_form(caller, wire, 1);
    if let (Ok(whole), Ok(pieces)) = (&whole, &pieces) {
        assert_eq!(whole, pieces);
    }
    assert_eq!(whole.is_ok(), pieces.is_ok());
}

/// A document.
pub fn xml(data: &[u8]) {
    let Ok(node) = xml::read(data).map(without_mixed_text) else { return };
    let mut writer = xml::Writer::default();
    writer.node(&node);
    assert_eq!(xml::read(&writer.finish()).ok(), Some(node));
}

/// No document has text beside elements.
fn without_mixed_text(mut node: xml::Node) -> xml::Node {
    if !node.children.is_empty() {
        node.text.clear();
    }
    node.children = node.children.into_iter().map(without_mixed_text).collect();
    node
}
