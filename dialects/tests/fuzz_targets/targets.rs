//! The fuzz targets: functions that read untrusted bytes, with the invariants that must hold for any input. `make
//! fuzz` runs them for a long time, guided by coverage (`fuzz/`); the test beside this file for a short time.

use blobfish_dialects::authentication::authenticate::{
    CallerCredentials, CredentialStore, ListenerDialects, authenticate_request,
};
use blobfish_dialects::authentication::form_upload;
use blobfish_dialects::authentication::form_upload::{FormProgress, FormReader};
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::dialect::response_context::ResponseContext;
use blobfish_dialects::dialect::signature::{BodyDecoder as _, Payload, ResourceAddress};
use blobfish_dialects::encoding::hash::derive_key;
use blobfish_dialects::encoding::xml;
use blobfish_dialects::engine::body_verifier::{BodyVerifier, DigestsToCompute};
use blobfish_dialects::engine::exchange::{Exchange, Step};
use blobfish_dialects::engine::target_response::TargetResponse;
use blobfish_dialects::engine::{streaming, write_response};
use blobfish_dialects::model::{
    Checksum, ChecksumAlgorithm, Fields, Operation, OutgoingRequest, Rejection, Request, RequestScope,
    Response, Timestamp,
};
use blobfish_dialects::s3::chunked::{AwsChunkedDecoder, ChunkKey};
use blobfish_dialects::translator::explain::{build_sample_route, build_sample_target, explain};
use blobfish_dialects::{DIALECTS, PROFILES, s3};
use bytes::Bytes;
use secrecy::SecretString;

/// Name and function of a fuzz target.
pub(crate) type FuzzTarget = (&'static str, fn(&[u8]));

/// All fuzz targets.
pub(crate) const TARGETS: &[FuzzTarget] = &[
    ("translation", fuzz_translation),
    ("authentication", fuzz_authentication),
    ("exchange", fuzz_exchange),
    ("chunks", fuzz_chunks),
    ("form", fuzz_form),
    ("xml", fuzz_xml),
];

/// Separates the parts of one input.
pub(crate) const BETWEEN: &str = "\n----\n";

const NOW: Timestamp = Timestamp(1_767_323_045);

/// Selects the caller's and the target's dialect by the first byte.
fn choose_dialects(data: &[u8]) -> Option<(&'static Dialect, &'static Dialect, &[u8])> {
    let (choice, rest) = data.split_first()?;
    let targets: Vec<_> = DIALECTS.iter().chain(PROFILES.iter()).collect();
    let choice = usize::from(*choice);
    Some((DIALECTS[choice % DIALECTS.len()], targets[choice / DIALECTS.len() % targets.len()], rest))
}

/// The byte that selects these dialects, by their indexes.
pub(crate) fn encode_choice(caller: usize, target: usize) -> u8 {
    u8::try_from(caller + DIALECTS.len() * target).unwrap()
}

/// Checks that a head contains no second request, and that it is sent to the target only.
fn check_outgoing(outgoing: &OutgoingRequest, target: &Dialect) {
    let host = &outgoing.host;
    assert!(host.ends_with(target.sample_endpoint), "{host}");
    assert!(host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)), "{host}");
    assert!(outgoing.path.starts_with('/') && outgoing.path.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!outgoing.path.contains(['?', '#']), "{}", outgoing.path);
    outgoing.headers.iter().for_each(|(name, value)| check_header_line(name, value));
}

fn check_header_line(name: &str, value: &[u8]) {
    assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'), "{name}");
    assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{name}: {value:?}");
}

fn check_response(caller: &'static Dialect, result: Result<Response, Rejection>) -> u16 {
    let response =
        result.unwrap_or_else(|rejection| write_response::build_error_response(caller, &rejection));
    let (host, path) = ("h".to_owned(), "/".to_owned());
    let listener =
        ResponseContext { dialect: caller, id: 1, now: NOW, host, path, is_head: false, elapsed_ms: 0 };
    let written_response = write_response::write_response(&listener, response);
    written_response.headers.iter().for_each(|(name, value)| check_header_line(name, value));
    // A NUL in a key is written as the vendors write it, and no XML parser accepts it.
    let has_nul = written_response.body.windows(4).any(|window| window == b"&#0;");
    if written_response.body.first() == Some(&b'<') && !has_nul {
        xml::parse(&written_response.body).expect("the document of the response can be parsed");
    }
    written_response.status
}

/// Translates a request head.
pub(crate) fn fuzz_translation(data: &[u8]) {
    let Some((caller, target, rest)) = choose_dialects(data) else { return };
    match explain(&String::from_utf8_lossy(rest), caller, target) {
        Ok(explained) => check_outgoing(&explained.outgoing.unwrap(), target),
        Err(rejection) => assert!(check_response(caller, Err(rejection)) >= 300),
    }
}

struct TestKeys(SecretString);

impl CredentialStore for TestKeys {
    fn find_credentials(&self, access_key: &str) -> Option<CallerCredentials<'_>> {
        (access_key == "AKID").then_some(CallerCredentials {
            secret_key: &self.0,
            session_token: None,
            strict_dialects: &[],
            schemes: &[],
        })
    }

    fn is_anonymous_read(&self, bucket: &str) -> bool {
        bucket == "open"
    }
}

/// Authenticates a request head from a client that knows no secret.
pub(crate) fn fuzz_authentication(data: &[u8]) {
    let Some(head) =
        blobfish_dialects::translator::request_text::parse_request_head(&String::from_utf8_lossy(data))
    else {
        return;
    };
    let front = ListenerDialects {
        dialects: DIALECTS,
        default_dialect: &s3::S3,
        base_domains: vec!["base.example".to_owned()],
    };
    match authenticate_request(&head, &front, &TestKeys(SecretString::from("nobody guesses this")), NOW) {
        Ok(accepted) => {
            assert_eq!(accepted.access_key_id, None);
            assert_eq!(accepted.request.scope.bucket(), Some("open"));
            assert!(matches!(accepted.request.operation, Operation::GetObject | Operation::HeadObject));
        }
        Err(rejected) => assert!(check_response(rejected.dialect, Err(rejected.rejection)) >= 300),
    }
}

/// Runs a request with its body and the target's responses.
pub(crate) fn fuzz_exchange(data: &[u8]) {
    let Some((caller, target, rest)) = choose_dialects(data) else { return };
    let text = String::from_utf8_lossy(rest);
    let mut pieces = text.split(BETWEEN);
    let (head, body) = (pieces.next().unwrap_or_default(), pieces.next().unwrap_or_default());
    let target_responses: Vec<TargetResponse> = pieces.map(parse_response).collect();
    let Ok(explained) = explain(head, caller, caller) else { return };
    let request = explained.request;
    let served = build_sample_target(target);
    let route = build_sample_route(caller, &served, &request);
    if request.operation == Operation::ListBuckets {
        return;
    }
    if request.operation.is_streamed() {
        for target_response in &target_responses {
            let result = match target_response.status {
                200..=299 | 304 => streaming::build_client_response(&route, &request, target_response, None),
                _ => Ok(streaming::build_client_error(&route, &request, target_response)),
            };
            check_response(caller, result);
        }
        return;
    }
    let copies = request.operation.is_copy();
    let mut exchange = match Exchange::new(route, request, body.as_bytes()) {
        Ok(exchange) => exchange,
        Err(rejection) => {
            check_response(caller, Err(rejection));
            return;
        }
    };
    let (mut target_responses, mut proven) = (target_responses.into_iter(), false);
    let mut step = exchange.start(NOW);
    for _ in 0..40 {
        match step {
            Ok(Step::Send(outgoing)) => {
                check_outgoing(&outgoing, target);
                let build_not_found_response =
                    || TargetResponse { status: 500, headers: Vec::new(), body: Vec::new() };
                let target_response = target_responses.next().unwrap_or_else(build_not_found_response);
                let is_copy = outgoing.method == "PUT" && outgoing.query.iter().all(|row| row.0 != "tagging");
                proven |=
                    is_copy && target_response.status / 100 == 2 && is_copy_result(&target_response.body);
                step = exchange.handle_response(&target_response, NOW);
            }
            result => {
                let result = result.map(|step| match step {
                    Step::Respond(response) => *response,
                    Step::Send(_) => unreachable!("matched above"),
                });
                let status = check_response(caller, result);
                assert!(
                    !copies || proven || status / 100 != 2,
                    "a copy succeeded without a document that proves it"
                );
                return;
            }
        }
    }
    panic!("the exchange does not end");
}

/// Whether a document is the result of a copy with an ETag.
fn is_copy_result(body: &[u8]) -> bool {
    xml::parse(body).is_ok_and(|node| node.name.starts_with("Copy") && node.child("ETag").is_some())
}

/// Reads a status, headers, an empty line and a body.
fn parse_response(text: &str) -> TargetResponse {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let status =
        lines.next().and_then(|line| line.trim().parse().ok()).filter(|status| (200..600).contains(status));
    // The proxy rejects other heads before they get here.
    let is_head = |name: &str, value: &str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') && !value.contains('\0')
    };
    let headers = lines.filter_map(|line| line.split_once(':')).filter(|row| is_head(row.0, row.1));
    let headers = headers.map(|(name, value)| (name.trim().to_lowercase(), value.trim().as_bytes().to_vec()));
    TargetResponse {
        status: status.unwrap_or(200),
        headers: headers.collect(),
        body: body.as_bytes().to_vec(),
    }
}

fn decode_chunked_body(kind: u8, wire: &[u8], step: usize) -> Result<Vec<u8>, (Vec<u8>, Rejection)> {
    let build_chunk_key = || ChunkKey {
        key: derive_key(b"AWS4nobody guesses this", &["20260102", "us-west-2", "s3", "aws4_request"]),
        stamp: "20260102T030405Z".to_owned(),
        scope: "20260102/us-west-2/s3/aws4_request".to_owned(),
        previous: "0".repeat(64),
    };
    let trailer = (kind & 2 != 0).then(|| "x-amz-checksum-crc32".to_owned());
    let mut request =
        Request::for_object(Operation::PutObject, "b".to_owned(), "k".to_owned(), Fields::default());
    if trailer.is_some() {
        request.checksums.push(Checksum { algorithm: ChecksumAlgorithm::Crc32, value: None });
    }
    let decoder = AwsChunkedDecoder::new((kind & 1 != 0).then(build_chunk_key), trailer, u64::from(kind / 4));
    let mut verifier = BodyVerifier::new(
        &s3::S3,
        Payload::Chunked(Box::new(decoder)),
        &request,
        DigestsToCompute::default(),
    )
    .expect("no checksum in the head");
    let mut out = Vec::new();
    for piece in wire.chunks(step) {
        match verifier.push(&Bytes::copy_from_slice(piece)) {
            Ok(bytes) => out.extend(bytes),
            Err(rejection) => return Err((out, rejection)),
        }
    }
    match verifier.finish() {
        Ok((rest, _)) => {
            out.extend(rest);
            Ok(out)
        }
        Err(rejection) => Err((out, rejection)),
    }
}

/// Decodes a chunked body: signed or not, with a trailer or not, with an announced length.
pub(crate) fn fuzz_chunks(data: &[u8]) {
    let Some((kind, wire)) = data.split_first() else { return };
    let whole = decode_chunked_body(*kind, wire, wire.len().max(1));
    for step in [1, 3] {
        match (&whole, decode_chunked_body(*kind, wire, step)) {
            (Ok(whole), pieces) => assert_eq!(pieces.as_ref().ok(), Some(whole)),
            (Err((_, rejection)), Err((out, other))) => {
                assert_eq!(rejection.kind, other.kind);
                // The last byte is held back.
                assert!(out.len() < usize::from(kind / 4).max(1));
            }
            (Err(_), Ok(_)) => panic!("an invalid body is accepted when it is split"),
        }
    }
    match whole {
        Ok(body) => assert!(
            kind & 1 == 0 && body.len() == usize::from(kind / 4),
            "no input can be signed without the key"
        ),
        Err((out, _)) => assert!(kind & 1 == 0 || out.is_empty()),
    }
}

fn read_form(dialect: &'static Dialect, wire: &[u8], step: usize) -> Result<Vec<u8>, Rejection> {
    let mut reader = FormReader::new("multipart/form-data; boundary=edge")?;
    let mut pieces = wire.chunks(step);
    let mut begun = false;
    for piece in pieces.by_ref() {
        begun = reader.push(piece)? == FormProgress::File;
        if begun {
            break;
        }
    }
    if !begun {
        return Ok(Vec::new());
    }
    let place = ResourceAddress { scope: RequestScope::Bucket("b".to_owned()), virtual_host: true };
    let authenticated = form_upload::authenticate_form(
        dialect,
        reader.form(),
        &place,
        &TestKeys(SecretString::from("nobody guesses this")),
        NOW,
    );
    let rejection = authenticated.err().expect("no input can be signed without the key");
    check_response(dialect, Err(rejection));
    let length = u64::try_from(wire.len()).ok();
    let mut file = reader.into_file_decoder(length, pieces.len() == 0, (0, u64::MAX))?;
    let mut out = Vec::new();
    file.push(&[], &mut out)?;
    for piece in pieces {
        file.push(piece, &mut out)?;
    }
    file.finish()?;
    Ok(out)
}

/// Reads a form upload.
pub(crate) fn fuzz_form(data: &[u8]) {
    let Some((caller, _, wire)) = choose_dialects(data) else { return };
    let whole = read_form(caller, wire, wire.len().max(1));
    let pieces = read_form(caller, wire, 1);
    if let (Ok(whole), Ok(pieces)) = (&whole, &pieces) {
        assert_eq!(whole, pieces);
    }
    assert_eq!(whole.is_ok(), pieces.is_ok());
}

/// Parses an XML document, writes it, and parses it again.
pub(crate) fn fuzz_xml(data: &[u8]) {
    let Ok(node) = xml::parse(data).map(remove_mixed_text) else { return };
    let mut writer = xml::XmlWriter::default();
    writer.write_node(&node);
    assert_eq!(xml::parse(&writer.finish()).ok(), Some(node));
}

/// Removes text beside elements, which no document of a vendor has and the writer does not write.
fn remove_mixed_text(mut node: xml::Node) -> xml::Node {
    if !node.children.is_empty() {
        node.text.clear();
    }
    node.children = node.children.into_iter().map(remove_mixed_text).collect();
    node
}
