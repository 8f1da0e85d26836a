//! Every field of every operation in a caller's dialect is sent to the target, emulated, rejected or reported: two
//! values of it must lead to an observable difference, and the result must be the one in the printed matrix.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use blobfish_dialects::dialect::response_context::ResponseContext;
use blobfish_dialects::dialect::route::{LossPolicy, Route};
use blobfish_dialects::dialect::signature::{Payload, VerifiedSignature};
use blobfish_dialects::dialect::{Dialect, FieldName, OperationRoute, ResourceLevel, Target, addressing};
use blobfish_dialects::documents::{bucket_pages, listing, response_documents};
use blobfish_dialects::engine::body_verifier::{BodyVerifier, DigestsToCompute};
use blobfish_dialects::engine::exchange::{Exchange, Step};
use blobfish_dialects::engine::loss::{Loss, LostItem, check_losses};
use blobfish_dialects::engine::target_response::TargetResponse;
use blobfish_dialects::engine::{
    copy_source, emulation, read_request, relay, streaming, write_request, write_response,
};
use blobfish_dialects::model::{
    Checksums, DeletedObject, Document, ErrorKind, Field, ListedObject, ListedUpload, ListedVersion,
    ObjectListing, Operation, OutgoingRequest, Part, PartListing, Rejection, Request, Response,
    ResponseField, Timestamp, UploadListing, Value, ValueKind, VersionListing,
};
use blobfish_dialects::translator::explain::{
    FieldHandling, build_matrix, build_sample_route, build_sample_target, classify_operations, explain,
};
use blobfish_dialects::translator::handling::Handling;
use blobfish_dialects::translator::request_text::parse_request_head;
use blobfish_dialects::{DIALECTS, PROFILES};

const NOW: Timestamp = Timestamp(1_767_323_045);
const KEY_NAME: &str = "dir/a b";
const ETAG: &str = "5b3c1a2e053d763e1b002cc607c5a0fe-3";

/// The observable result of a request: the head to the target, the lost fields, and the response to the client.
#[derive(Debug, PartialEq, Eq)]
struct Observation {
    sent_head: Option<SentHead>,
    losses: Vec<Loss>,
    response: Result<String, String>,
}

/// A head without its signature, which would differ for every request.
#[derive(Debug, PartialEq, Eq)]
struct SentHead {
    line: String,
    query: Vec<(String, Option<String>)>,
    headers: Vec<(String, Vec<u8>)>,
}

impl SentHead {
    fn from_outgoing(sent: OutgoingRequest) -> Self {
        let headers = sent.headers.into_iter().filter(|row| row.0 != "authorization").collect();
        Self { line: format!("{} {}{}", sent.method, sent.host, sent.path), query: sent.query, headers }
    }
}

/// Two different values of a field.
fn get_sample_values(dialect: &'static Dialect, field: Field, operation: Operation) -> [String; 2] {
    let words = dialect.words;
    let to_pair = |first: &str, second: &str| [first.to_owned(), second.to_owned()];
    match (field.kind(), field) {
        (_, Field::EncodingType) => to_pair("url", "url"),
        (_, Field::Attributes) => to_pair("ETag", "ObjectSize"),
        (_, Field::CreatedRange) => to_pair("lt", "gt"),
        // Both checksum types are valid with both algorithms.
        (_, Field::ChecksumType) => to_pair("FULL_OBJECT", "COMPOSITE"),
        (_, Field::ChecksumAlgorithm) => to_pair("CRC32", "CRC32C"),
        (_, Field::CreatedTime) => to_pair("1500", "2500"),
        (_, Field::BucketRegion) => to_pair("there", "elsewhere"),
        (_, Field::Prefix) => to_pair("b", "c"),
        (_, Field::ContinuationToken) if operation == Operation::ListBuckets => {
            [1, 2].map(|size| get_next_buckets_token(dialect, size))
        }
        (_, Field::Marker) => to_pair("b", "c"),
        // The total size of the sample's parts, and another one.
        (_, Field::ObjectSize) => to_pair("9", "8"),
        (_, Field::ForbidOverwrite) => to_pair((words.flag_word)(field), (words.flag_word)(field)),
        (_, Field::ContentMd5) => to_pair("XrY7u+Ae7tCTyyK7j1rNww==", "rL0Y20zC+Fzt72VPzMSk2A=="),
        (_, Field::EncryptionKeyId) => to_pair("key-1", "key-2"),
        (ValueKind::Time, _) => to_pair("Mon, 06 May 2024 07:08:09 GMT", "Tue, 07 May 2024 07:08:09 GMT"),
        // A response with another ETag would contradict the condition.
        (ValueKind::Etag, Field::IfMatch) => to_pair(
            "\"5b3c1a2e053d763e1b002cc607c5a0fe-3\"",
            "\"6b3c1a2e053d763e1b002cc607c5a0fe\", \"5b3c1a2e053d763e1b002cc607c5a0fe-3\"",
        ),
        (ValueKind::Etag, _) => {
            to_pair("\"5b3c1a2e053d763e1b002cc607c5a0fe\"", "\"6b3c1a2e053d763e1b002cc607c5a0fe\"")
        }
        (ValueKind::MetadataDirective, _) => {
            to_pair(words.metadata.0[0].1, words.metadata.0.last().unwrap().1)
        }
        (ValueKind::TaggingDirective, _) => to_pair(words.tagging.0[0].1, words.tagging.0.last().unwrap().1),
        (ValueKind::StorageClass, _) => to_pair(words.class.0[1].1, words.class.0[2].1),
        (ValueKind::Acl, _) => to_pair("public-read", "public-read-write"),
        (ValueKind::Encryption, _) => to_pair(words.encryption.0[0].1, words.encryption.0.last().unwrap().1),
        (ValueKind::Flag, _) => to_pair((words.flag_word)(field), "false"),
        (ValueKind::Number, _) => to_pair("2", "3"),
        (ValueKind::ByteRange, _) => to_pair("bytes=0-9", "bytes=1-9"),
        (ValueKind::Tags, _) => to_pair("a=b", "c=d"),
        _ => to_pair("value-1", "value-2"),
    }
}

/// The fields without which a field has no effect.
fn get_companion_fields(field: Field, operation: Operation) -> Vec<Field> {
    let content = Field::CONTENT_HEADERS.contains(&field);
    match field {
        _ if content && operation == Operation::CopyObject => vec![Field::MetadataDirective],
        Field::Tagging if operation == Operation::CopyObject => vec![Field::TaggingDirective],
        Field::VersionIdMarker => vec![Field::KeyMarker],
        Field::UploadIdMarker => vec![Field::KeyMarker],
        Field::CreatedTime => vec![Field::CreatedRange],
        Field::IfRange => vec![Field::Range],
        Field::CreatedRange => vec![Field::CreatedTime],
        Field::ChecksumType if operation == Operation::CreateMultipartUpload => {
            vec![Field::ChecksumAlgorithm]
        }
        _ => Vec::new(),
    }
}

fn find_operation_route(caller: &Dialect, operation: Operation) -> OperationRoute {
    caller.all_routes().find(|row| row.operation == operation).unwrap()
}

/// Writes the head of a request with these fields in the caller's dialect.
fn build_request_text(
    caller: &'static Dialect,
    operation: Operation,
    fields_to_send: &[(Field, String)],
) -> String {
    let route = find_operation_route(caller, operation);
    let (host, path) = match route.level {
        ResourceLevel::Service => (caller.sample_endpoint.to_owned(), "/".to_owned()),
        ResourceLevel::Bucket => (format!("b.{}", caller.sample_endpoint), "/".to_owned()),
        ResourceLevel::Object => (format!("b.{}", caller.sample_endpoint), "/dir/a%20b".to_owned()),
    };
    let mut query: Vec<String> = Vec::new();
    let mut headers = String::new();
    let mut fields: Vec<(FieldName, &str)> = Vec::new();
    for (field, value) in fields_to_send {
        fields.push((caller.field_name_in(*field, operation).unwrap(), value));
    }
    let has_name = |fields: &[(FieldName, &str)], name: &str| fields.iter().any(|row| row.0.as_str() == name);
    for wanted in route.parameters {
        // A parameter that selects the operation is present, with a value that is valid for every field if it is not
        // among the fields.
        let is_field = Field::ALL.iter().any(|field| {
            caller.field_name_in(*field, operation)
                == Some(FieldName::Parameter(wanted.split('=').next().unwrap()))
        });
        match is_field {
            _ if has_name(&fields, wanted) => {}
            true => query.push(format!("{wanted}=1")),
            false => query.push((*wanted).to_owned()),
        }
    }
    let attributes = caller.field_name_in(Field::Attributes, operation);
    if let Some(name) = attributes.filter(|name| !has_name(&fields, name.as_str())) {
        headers.push_str(&format!("{}: ETag,StorageClass\n", name.as_str()));
    }
    for (name, value) in &fields {
        match name {
            FieldName::Parameter(name) => query.push(format!("{name}={}", value.replace('=', "%3D"))),
            FieldName::Header(name) => headers.push_str(&format!("{name}: {value}\n")),
        }
    }
    if route.copy_source == Some(true) {
        let source = match caller.family {
            "cos" => format!("src.{}/key", caller.sample_endpoint),
            _ => "/src/key".to_owned(),
        };
        headers.push_str(&format!("{}: {source}\n", caller.copy.source_header));
    }
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    format!("{} {path}{query} HTTP/1.1\nHost: {host}\n{headers}", route.method)
}

fn parse_request(caller: &'static Dialect, text: &str) -> Result<Request, Rejection> {
    let head = parse_request_head(text).unwrap();
    let place = addressing::locate_resource(&head, caller, DIALECTS, &[])?;
    let verified = VerifiedSignature {
        signed_key: None,
        payload: Payload::Unsigned,
        unsigned_names: Vec::new(),
        credential_parameters: caller.auth.credential_parameters(),
    };
    read_request::read_request(caller, &head, &place, &verified)
}

fn build_target(dialect: &'static Dialect) -> Target {
    Target { kms_keys: vec!["key-1".to_owned(), "key-2".to_owned()], ..build_sample_target(dialect) }
}

fn build_route<'a>(caller: &'static Dialect, target: &'a Target, request: &Request) -> Route<'a> {
    Route { loss_policy: LossPolicy::Report, ..build_sample_route(caller, target, request) }
}

fn describe_rejection(rejection: &Rejection) -> String {
    format!("{rejection:?}")
}

fn build_listener(dialect: &'static Dialect) -> ResponseContext {
    ResponseContext {
        dialect,
        id: 1,
        now: NOW,
        host: "h".to_owned(),
        path: "/".to_owned(),
        is_head: false,
        elapsed_ms: 0,
    }
}

/// Processes a request and returns the observable result.
fn observe_request(caller: &'static Dialect, target: &Target, text: &str) -> Observation {
    let observe_rejection = |rejection: Rejection| Observation {
        sent_head: None,
        losses: Vec::new(),
        response: Err(describe_rejection(&rejection)),
    };
    let request = match parse_request(caller, text) {
        Ok(request) => request,
        Err(rejection) => return observe_rejection(rejection),
    };
    let route = build_route(caller, target, &request);
    let seen = match request.operation {
        Operation::ListBuckets => observe_list_buckets(caller, &request),
        operation if operation.is_streamed() => observe_stream(&route, &request),
        operation if build_target_response(&route, operation).is_some() => observe_exchange(&route, &request),
        _ => observe_sent(&route, &request),
    };
    seen.unwrap_or_else(observe_rejection)
}

fn judge_losses(
    route: &Route<'_>,
    sent: OutgoingRequest,
    losses: Vec<Loss>,
    response: String,
) -> Observation {
    let result = check_losses(&losses, route.loss_policy, route.caller)
        .map(|()| response)
        .map_err(|rejection| describe_rejection(&rejection));
    Observation { sent_head: Some(SentHead::from_outgoing(sent)), losses, response: result }
}

fn observe_sent(route: &Route<'_>, request: &Request) -> Result<Observation, Rejection> {
    let mut sent = emulation::adapt_to_target(route, listing::adapt_listing(route, request)?);
    sent.fields.remove(Field::ContentMd5);
    let (outgoing, losses) = write_request::write_request(route, &sent)?;
    Ok(judge_losses(route, outgoing, losses, format!("{:?}", check_digest(route.caller, request))))
}

/// The rejection that results if the digest in a request is compared with another body.
fn check_digest(caller: &'static Dialect, request: &Request) -> Option<String> {
    let mut verifier =
        BodyVerifier::new(caller, Payload::Unsigned, request, DigestsToCompute::default()).ok()?;
    let pushed = verifier.push(&bytes::Bytes::from_static(b"hello"));
    pushed.and_then(|_| verifier.finish()).err().map(|rejection| describe_rejection(&rejection))
}

fn observe_stream(route: &Route<'_>, request: &Request) -> Result<Observation, Rejection> {
    let only = streaming::adapt_part_request(route, request);
    let (request, part) = match &only {
        Some((request, part)) => (request, Some(*part)),
        None => (request, None),
    };
    let (outgoing, losses) = streaming::build_target_request(route, request, Some(9), NOW)?;
    let etag_name = (route.target.dialect.response_field_name)(ResponseField::Etag).unwrap();
    let mut headers = vec![
        (etag_name.to_ascii_lowercase(), format!("\"{ETAG}\"").into_bytes()),
        ("content-length".to_owned(), b"9".to_vec()),
    ];
    if request.fields.has(Field::IfRange) {
        headers.push(("content-range".to_owned(), b"bytes 0-8/20".to_vec()));
    }
    let status = if headers.len() > 2 { 206 } else { 200 };
    let target_response = TargetResponse { status, headers, body: Vec::new() };
    if streaming::needs_retry_without_range(route, request, &target_response) {
        return Ok(judge_losses(route, outgoing, losses, "the whole object".to_owned()));
    }
    let response = streaming::build_client_response(route, request, &target_response, None)?;
    let response = part.map_or(Ok(response.clone()), |part| part.convert_response(response));
    let response =
        response.map_or_else(|rejection| describe_rejection(&rejection), |response| format!("{response:?}"));
    Ok(judge_losses(route, outgoing, losses, response))
}

fn observe_exchange(route: &Route<'_>, request: &Request) -> Result<Observation, Rejection> {
    let body: &[u8] = match request.operation {
        Operation::DeleteObjects => b"<Delete><Object><Key>dir/a b</Key></Object></Delete>",
        Operation::CompleteMultipartUpload if !request.fields.has(Field::CompleteAll) => {
            b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>"
        }
        _ => b"",
    };
    let compared = check_digest(route.caller, request);
    let mut exchange = Exchange::new(route.clone(), request.clone(), body)?;
    let losses = exchange.losses().to_vec();
    let Step::Send(mut outgoing) = exchange.start(NOW)? else {
        panic!("the exchange ended without a request")
    };
    if request.fields.has(Field::ObjectSize) && outgoing.method == "GET" {
        let parts = build_target_response(route, Operation::ListParts).unwrap();
        let Step::Send(completing) = exchange.handle_response(&parts, NOW)? else {
            panic!("the exchange ended without a request")
        };
        outgoing = completing;
    }
    let target_response = build_target_response(route, request.operation).unwrap();
    let result = match exchange.handle_response(&target_response, NOW) {
        Ok(Step::Respond(response)) => {
            let written_response = write_response::write_response(&build_listener(route.caller), *response);
            format!("{:?} {}", written_response.status, String::from_utf8(written_response.body).unwrap())
        }
        Ok(Step::Send(next)) => format!("then {:?}", SentHead::from_outgoing(*next)),
        Err(rejection) => describe_rejection(&rejection),
    };
    Ok(judge_losses(route, *outgoing, losses, format!("{result} {compared:?}")))
}

fn observe_list_buckets(caller: &'static Dialect, request: &Request) -> Result<Observation, Rejection> {
    let result = bucket_pages::build_bucket_page(caller, request, get_sample_buckets()).map(|list| {
        let mut response = Response::with_status(200);
        response.document = Some(Document::Buckets(list));
        String::from_utf8(write_response::write_response(&build_listener(caller), response).body).unwrap()
    });
    Ok(Observation {
        sent_head: None,
        losses: Vec::new(),
        response: result.map_err(|rejection| describe_rejection(&rejection)),
    })
}

fn get_sample_buckets() -> Vec<bucket_pages::BucketRow> {
    let row = |name: &str, made: i64, region: &str| (name.to_owned(), Timestamp(made), region.to_owned());
    vec![
        row("a", 1000, "there"),
        row("b", 2000, "there"),
        row("ba", 3000, "elsewhere"),
        row("c", 4000, "elsewhere"),
    ]
}

/// The token for the page after this number of buckets.
fn get_next_buckets_token(caller: &'static Dialect, size: u64) -> String {
    let mut request = Request::for_bucket_list();
    request.fields.set(Field::MaxKeys, Value::Number(size));
    bucket_pages::build_bucket_page(caller, &request, get_sample_buckets()).unwrap().next_page.unwrap()
}

/// The token for the page of objects after a marker.
fn get_next_objects_token(caller: &'static Dialect, target: &Target, marker: &str) -> String {
    let request = parse_request(caller, &build_request_text(caller, Operation::ListObjectsV2, &[])).unwrap();
    let route = build_route(caller, target, &request);
    let mut page = Document::Objects(ObjectListing {
        truncated: true,
        next_marker: Some(marker.to_owned()),
        ..ObjectListing::default()
    });
    listing::complete_listing(&route, &request, &mut page).unwrap();
    let Document::Objects(page) = page else { panic!("is another document") };
    page.next_continuation_token.unwrap()
}

/// The target's response, for operations with a document that depends on the request.
fn build_target_response(route: &Route<'_>, operation: Operation) -> Option<TargetResponse> {
    let target = route.target.dialect;
    let sent = emulation::select_target_operation(target, operation)?;
    let encoded = target.target_field_name(Field::EncodingType, sent).is_some();
    let object = ListedObject {
        key: KEY_NAME.to_owned(),
        modified: Some(NOW),
        etag: ETAG.to_owned(),
        size: 9,
        class: None,
        restore: None,
    };
    let key = KEY_NAME.to_owned();
    let document = match sent {
        Operation::ListObjects | Operation::ListObjectsV2 => Document::Objects(ObjectListing {
            is_v2: sent == Operation::ListObjectsV2,
            encoded,
            objects: vec![object],
            ..ObjectListing::default()
        }),
        Operation::ListObjectVersions => Document::Versions(VersionListing {
            encoded,
            versions: vec![ListedVersion { object, id: "v".to_owned(), latest: true, delete_marker: false }],
            ..VersionListing::default()
        }),
        Operation::ListMultipartUploads => Document::Uploads(UploadListing {
            encoded,
            uploads: vec![ListedUpload { key, id: "u".to_owned(), class: None, initiated: Some(NOW) }],
            ..UploadListing::default()
        }),
        Operation::ListParts => Document::Parts(PartListing {
            encoded,
            key,
            parts: vec![(Part::new(1, ETAG), Some(NOW), 9)],
            ..PartListing::default()
        }),
        Operation::DeleteObjects => Document::Deleted {
            results: vec![DeletedObject { key, ..DeletedObject::default() }],
            quiet: false,
            encoded,
        },
        Operation::CreateMultipartUpload => {
            Document::Initiated { bucket: "b".to_owned(), key, upload_id: "u".to_owned(), encoded }
        }
        Operation::CompleteMultipartUpload => Document::Completed {
            bucket: "b".to_owned(),
            key,
            etag: ETAG.to_owned(),
            checksums: Checksums::default(),
            encoded,
        },
        Operation::HeadObject => {
            let headers = [("etag", "\"5b3c1a2e053d763e1b002cc607c5a0fe\""), ("content-length", "9")];
            let headers =
                headers.into_iter().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
            return Some(TargetResponse { status: 200, headers: headers.collect(), body: Vec::new() });
        }
        _ => return None,
    };
    let body = response_documents::write_document(target, &document, &build_listener(target), "id");
    Some(TargetResponse { status: 200, headers: Vec::new(), body })
}

/// Whether the head to the target has the field by the target's name.
fn is_in_head(target: &Dialect, row: &FieldHandling, sent: Option<&SentHead>) -> bool {
    let name = emulation::select_target_operation(target, row.operation)
        .and_then(|sent| target.target_field_name(row.field, sent));
    match (name, sent) {
        (Some(FieldName::Header(name)), Some(sent)) => sent.headers.iter().any(|own| own.0 == name),
        (Some(FieldName::Parameter(name)), Some(sent)) => sent.query.iter().any(|own| own.0 == name),
        _ => false,
    }
}

/// Whether a value of the field can be lost although the field is supported: the target may not have it.
fn has_words(field: Field) -> bool {
    matches!(field.kind(), ValueKind::StorageClass | ValueKind::Acl | ValueKind::Encryption)
}

/// Whether a condition of a copy is evaluated with a HEAD of its source.
fn needs_head_first(caller: &'static Dialect, target: &Target, row: &FieldHandling) -> bool {
    let value = get_sample_values(caller, row.field, row.operation)[0].clone();
    let request =
        parse_request(caller, &build_request_text(caller, row.operation, &[(row.field, value)])).unwrap();
    let route = Route { check_conditions: true, ..build_route(caller, target, &request) };
    let mut exchange = Exchange::new(route, request, b"").unwrap();
    let lost = exchange.losses().iter().any(|loss| loss.item == LostItem::Field(row.field));
    let first = exchange.start(NOW).unwrap();
    matches!(first, Step::Send(sent) if sent.method == "HEAD" && !lost)
}

fn find_mistake(caller: &'static Dialect, target: &Target, row: &FieldHandling) -> Option<String> {
    if row.note.starts_with("with a HEAD of the source") {
        return (!needs_head_first(caller, target, row)).then(|| "is not decided with a HEAD".to_owned());
    }
    let [first, second] = match row.note {
        "with marker" if row.field == Field::ContinuationToken => {
            ["b", "c"].map(|marker| get_next_objects_token(caller, target, marker))
        }
        _ => get_sample_values(caller, row.field, row.operation),
    };
    let base: Vec<(Field, String)> = get_companion_fields(row.field, row.operation)
        .into_iter()
        .map(|field| (field, get_sample_values(caller, field, row.operation)[1].clone()))
        .collect();
    let with = |value: &str| {
        let mut fields = base.clone();
        fields.push((row.field, value.to_owned()));
        observe_request(caller, target, &build_request_text(caller, row.operation, &fields))
    };
    let (seen, other) = (with(&first), with(&second));
    let without = observe_request(caller, target, &build_request_text(caller, row.operation, &base));
    if seen == without && other == without {
        return Some(format!("has no effect: {:?}", seen.response));
    }
    let lost = seen.losses.iter().any(|loss| loss.item == LostItem::Field(row.field));
    let is_sent = is_in_head(target.dialect, row, seen.sent_head.as_ref());
    let right = match row.handling {
        _ if lost && has_words(row.field) => true,
        Handling::Native => seen.response.is_ok() && is_sent && !lost,
        // Emulated fields need not be sent.
        Handling::Emulated => seen.response.is_ok() && !lost,
        Handling::Lost => seen.response.is_ok() && lost && !is_sent,
        Handling::Rejected => seen.response.is_err() && !is_sent,
    };
    (!right).then(|| {
        format!("is not {}: is_sent {is_sent}, lost {lost}, {:?}", row.handling.name(), seen.response)
    })
}

#[test]
fn every_field_of_every_operation_is_sent_emulated_or_reported() {
    let mut found = Vec::new();
    let mut walked = 0;
    for caller in DIALECTS {
        for dialect in DIALECTS.iter().chain(PROFILES.iter()) {
            let target = build_target(dialect);
            for row in build_matrix(caller, dialect) {
                // These fields have no observable effect with one target: its default range behaviour, part pages
                // that are rejected (tested below), and fields that the matrix lists as not sent.
                if row.note == "the target's default"
                    || row.note.starts_with("not sent: ")
                    || row.note.starts_with("no pages: ")
                    || HANDLED_HERE.contains(&row.field) && row.handling == Handling::Emulated
                {
                    continue;
                }
                // For a target without checksums, the proxy verifies the client's checksums, and the options only
                // request checksums in responses.
                if row.field.is_checksum_option() && !dialect.keeps_checksums() {
                    assert_eq!(row.handling, Handling::Emulated, "{row:?}");
                    continue;
                }
                walked += 1;
                if let Some(why) = find_mistake(caller, &target, &row) {
                    found.push(format!(
                        "{} -> {}: {} `{}` {why}",
                        caller.name,
                        dialect.name,
                        row.operation.name(),
                        row.caller_name
                    ));
                }
            }
        }
    }
    assert!(walked > 10_000, "{walked}");
    assert!(found.is_empty(), "{} of {walked}:\n{}", found.len(), found.join("\n"));
}

/// Processes a copy between two targets. Returns all requests to both, and the decisions of the proxy, as text.
fn relay_copy(caller: &'static Dialect, from: &Target, to: &Target, text: &str) -> String {
    let client_request = match parse_request(caller, text) {
        Ok(client_request) => client_request,
        Err(rejection) => return describe_rejection(&rejection),
    };
    let (from, to) = (build_route(caller, from, &client_request), build_route(caller, to, &client_request));
    let get_header_name =
        |field: ResponseField| (from.target.dialect.response_field_name)(field).map(str::to_ascii_lowercase);
    let headers = [
        (ResponseField::Etag, "\"5b3c1a2e053d763e1b002cc607c5a0fe\""),
        (ResponseField::LastModified, "Tue, 07 May 2024 00:00:00 GMT"),
        (ResponseField::ContentLength, "9"),
        (ResponseField::ContentType, "text/html"),
        (ResponseField::TaggingCount, "2"),
    ];
    let headers =
        headers.into_iter().filter_map(|row| Some((get_header_name(row.0)?, row.1.as_bytes().to_vec())));
    let target_response = TargetResponse { status: 200, headers: headers.collect(), body: Vec::new() };
    let source = match relay::read_source_head(&from, &client_request, &target_response, NOW) {
        Ok(source) => source,
        Err(rejection) => return describe_rejection(&rejection),
    };
    let mut requests = vec![
        (&from, copy_source::build_source_head_request(&client_request).unwrap()),
        (&from, relay::build_source_read_request(&client_request, &source, None).unwrap()),
    ];
    if client_request.operation == Operation::CopyObject {
        for operation in [Operation::PutObject, Operation::CreateMultipartUpload] {
            requests.push((
                &to,
                relay::build_destination_request(caller, &client_request, &source, None, operation),
            ));
        }
        requests.push((&to, relay::build_part_request(&client_request, "u", 1, 9)));
        requests.push((&to, relay::build_complete_request(&client_request, "u", Vec::new())));
    } else {
        let put = Request { operation: Operation::UploadPart, source: None, ..client_request.clone() };
        requests.push((&to, relay::remove_copy_fields(put)));
    }
    let mut seen =
        format!("{:?} {:?}", source.has_tags, relay::resolve_source_range(&client_request, true, 9));
    for (route, request) in requests {
        let (sent, losses) = write_request::write_request(route, &request).unwrap();
        seen.push_str(&format!("{:?} {losses:?}\n", SentHead::from_outgoing(sent)));
    }
    seen
}

/// Fields that only select the checksums which a target stores and returns. The client's checksums are verified by
/// the proxy in any case.
const HANDLED_HERE: [Field; 3] = [Field::ChecksumAlgorithm, Field::ChecksumType, Field::ChecksumMode];

#[test]
fn every_field_of_a_copy_between_two_targets_is_sent_emulated_or_reported() {
    let mut found = Vec::new();
    for caller in DIALECTS {
        for (from, to) in DIALECTS
            .iter()
            .flat_map(|from| DIALECTS.iter().map(move |to| (build_target(from), build_target(to))))
        {
            for operation in [Operation::CopyObject, Operation::UploadPartCopy] {
                for field in Field::ALL.into_iter().filter(|field| !HANDLED_HERE.contains(field)) {
                    let Some(name) = caller.field_name_in(field, operation) else { continue };
                    let base: Vec<_> = get_companion_fields(field, operation)
                        .into_iter()
                        .map(|other| (other, get_sample_values(caller, other, operation)[1].clone()))
                        .collect();
                    let with = |value: &str| {
                        let mut fields = base.clone();
                        fields.push((field, value.to_owned()));
                        relay_copy(caller, &from, &to, &build_request_text(caller, operation, &fields))
                    };
                    let [first, second] = get_sample_values(caller, field, operation);
                    let without =
                        relay_copy(caller, &from, &to, &build_request_text(caller, operation, &base));
                    if with(&first) == without && with(&second) == without {
                        let (from, to) = (from.dialect.name, to.dialect.name);
                        let name = name.as_str();
                        found.push(format!("{}: {from} -> {to}: {} `{name}`", caller.name, operation.name()));
                    }
                }
            }
        }
    }
    assert!(found.is_empty(), "{}:\n{}", found.len(), found.join("\n"));
}

#[test]
fn parts_that_a_target_does_not_list_are_rejected() {
    for dialect in [DIALECTS[1], DIALECTS[2], DIALECTS[3]] {
        let target = build_target(dialect);
        for (field, value) in [(Field::Attributes, "ETag,ObjectParts"), (Field::Attributes, "ETag")] {
            let fields = [(field, value.to_owned()), (Field::MaxParts, "2".to_owned())];
            let request = parse_request(
                DIALECTS[0],
                &build_request_text(DIALECTS[0], Operation::GetObjectAttributes, &fields),
            )
            .unwrap();
            let mut exchange =
                Exchange::new(build_route(DIALECTS[0], &target, &request), request, b"").unwrap();
            exchange.start(NOW).unwrap();
            let head = |etag: &str| TargetResponse {
                status: 200,
                headers: vec![
                    ("etag".to_owned(), etag.as_bytes().to_vec()),
                    ("content-length".to_owned(), b"9".to_vec()),
                ],
                body: Vec::new(),
            };
            let result = exchange.handle_response(&head("\"5b3c1a2e053d763e1b002cc607c5a0fe-3\""), NOW);
            match (value.contains("Parts"), result) {
                (true, Err(rejection)) => {
                    assert_eq!(rejection.kind, ErrorKind::NotImplemented);
                    assert_eq!(rejection.details, [("Header", "ObjectParts".to_owned())]);
                }
                (false, Ok(Step::Respond(_))) => {}
                (_, other) => panic!("{}: {value}: {other:?}", dialect.name),
            }
        }
    }
}

/// The comparison finds a field without effect: here an ignored header.
#[test]
fn a_field_without_effect_is_detected() {
    let (caller, target) = (DIALECTS[0], build_target(DIALECTS[2]));
    let row = build_matrix(caller, DIALECTS[2]).into_iter().find(|row| row.field == Field::Prefix).unwrap();
    assert!(find_mistake(caller, &target, &row).is_none());
    let plain = build_request_text(caller, row.operation, &[]);
    let with_ignored_header = plain.replace("Host:", "x-amz-te: trailers\nHost:");
    assert_eq!(
        observe_request(caller, &target, &plain),
        observe_request(caller, &target, &with_ignored_header),
        "an ignored header changes nothing"
    );
}

#[test]
fn explain_rejects_what_the_matrix_rejects() {
    let mut found = Vec::new();
    for caller in DIALECTS {
        for target in DIALECTS.iter().chain(PROFILES.iter()) {
            for (operation, handling, _) in classify_operations(caller, target) {
                let text = build_request_text(caller, operation, &[]);
                let is_accepted =
                    explain(&text, caller, target).is_ok_and(|explained| explained.rejection.is_none());
                if is_accepted == (handling == Handling::Rejected) {
                    let (caller, target) = (caller.name, target.name);
                    found.push(format!(
                        "{caller} -> {target}: {} is {}, explain accepts it: {is_accepted}",
                        operation.name(),
                        handling.name()
                    ));
                }
            }
            for row in build_matrix(caller, target).iter().filter(|row| row.handling == Handling::Rejected) {
                let [value, _] = get_sample_values(caller, row.field, row.operation);
                let text = build_request_text(caller, row.operation, &[(row.field, value)]);
                let is_accepted = explain(&text, caller, target)
                    .is_ok_and(|explained| explained.rejection.is_none() || explained.can_be_reported);
                if is_accepted {
                    let (caller, target, operation) = (caller.name, target.name, row.operation.name());
                    found.push(format!(
                        "{caller} -> {target}: {operation}: explain accepts {}",
                        row.caller_name
                    ));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}:\n{}", found.len(), found.join("\n"));
}
