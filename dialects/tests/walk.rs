//! Every field that a caller's dialect takes in an operation is said to the target, answered here, or refused or reported:
//! what a request says must be seen in what comes of it, and the printed matrix must be what happens.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use blobfish_dialects::engine::auth::{Payload, Verified};
use blobfish_dialects::engine::body::{Gate, Wants};
use blobfish_dialects::engine::dialect::{Dialect, Level, Name, Route, Target};
use blobfish_dialects::engine::exchange::{Answer, Exchange, Step};
use blobfish_dialects::engine::loss::{Loss, LossPolicy, Lost, judge};
use blobfish_dialects::engine::tell::{self, Listener};
use blobfish_dialects::engine::way::Way;
use blobfish_dialects::engine::{buckets, documents, emulate, hosts, listing, read, relay, stream, write};
use blobfish_dialects::explain::{Fate, Row, matrix, parse, sample_target, sample_way};
use blobfish_dialects::model::{
    Checksums, Deleted, Document, Fault, Field, Kind, Listed, Listing, Operation, Outgoing, Part, PartList,
    Refusal, Reply, Request, Timestamp, Told, Upload, Uploads, Value, Version, Versions,
};
use blobfish_dialects::{ALL, PROFILES};

const NOW: Timestamp = Timestamp(1_767_323_045);
const KEY_NAME: &str = "dir/a b";
const ETAG: &str = "5b3c1a2e053d763e1b002cc607c5a0fe-3";

/// What became of a request: what the target was sent and not told, and what the caller is told.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    sent: Option<Head>,
    losses: Vec<Loss>,
    told: Result<String, String>,
}

/// A head without its signature, which differs with all that is signed.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    line: String,
    query: Vec<(String, Option<String>)>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    fn of(sent: Outgoing) -> Self {
        let headers = sent.headers.into_iter().filter(|row| row.0 != "authorization").collect();
        Self { line: format!("{} {}{}", sent.method, sent.host, sent.path), query: sent.query, headers }
    }
}

/// The values to say a field with: two that differ.
fn values(dialect: &'static Dialect, field: Field, operation: Operation) -> [String; 2] {
    let words = dialect.words;
    let of = |first: &str, second: &str| [first.to_owned(), second.to_owned()];
    match (field.kind(), field) {
        (_, Field::EncodingType) => of("url", "url"),
        (_, Field::Attributes) => of("ETag", "ObjectSize"),
        (_, Field::CreatedRange) => of("lt", "gt"),
        (_, Field::CreatedTime) => of("1500", "2500"),
        (_, Field::BucketRegion) => of("there", "elsewhere"),
        (_, Field::Prefix) => of("b", "c"),
        (_, Field::ContinuationToken) if operation == Operation::ListBuckets => {
            [1, 2].map(|size| next_buckets(dialect, size))
        }
        (_, Field::Marker) => of("b", "c"),
        // What the parts of the sample come to, and not.
        (_, Field::ObjectSize) => of("9", "8"),
        (_, Field::ForbidOverwrite) => of((words.yes)(field), (words.yes)(field)),
        (_, Field::ContentMd5) => of("XrY7u+Ae7tCTyyK7j1rNww==", "rL0Y20zC+Fzt72VPzMSk2A=="),
        (_, Field::EncryptionKeyId) => of("key-1", "key-2"),
        (Kind::Time, _) => of("Mon, 06 May 2024 07:08:09 GMT", "Tue, 07 May 2024 07:08:09 GMT"),
        // An answer with another ETag contradicts the condition.
        (Kind::Etag, Field::IfMatch) => of(
            "\"5b3c1a2e053d763e1b002cc607c5a0fe-3\"",
            "\"6b3c1a2e053d763e1b002cc607c5a0fe\", \"5b3c1a2e053d763e1b002cc607c5a0fe-3\"",
        ),
        (Kind::Etag, _) => of("\"5b3c1a2e053d763e1b002cc607c5a0fe\"", "\"6b3c1a2e053d763e1b002cc607c5a0fe\""),
        (Kind::MetadataDirective, _) => of(words.metadata.0[0].1, words.metadata.0.last().unwrap().1),
        (Kind::TaggingDirective, _) => of(words.tagging.0[0].1, words.tagging.0.last().unwrap().1),
        (Kind::Class, _) => of(words.class.0[1].1, words.class.0[2].1),
        (Kind::Acl, _) => of("public-read", "public-read-write"),
        (Kind::Encryption, _) => of(words.encryption.0[0].1, words.encryption.0.last().unwrap().1),
        (Kind::Flag, _) => of((words.yes)(field), "false"),
        (Kind::Number, _) => of("2", "3"),
        (Kind::Bytes, _) => of("bytes=0-9", "bytes=1-9"),
        (Kind::Tags, _) => of("a=b", "c=d"),
        _ => of("value-1", "value-2"),
    }
}

/// What else must be said so that a field means something.
fn companions(field: Field, operation: Operation) -> Vec<Field> {
    let content = Field::CONTENT.contains(&field);
    match field {
        _ if content && operation == Operation::CopyObject => vec![Field::MetadataDirective],
        Field::Tagging if operation == Operation::CopyObject => vec![Field::TaggingDirective],
        Field::VersionIdMarker => vec![Field::KeyMarker],
        Field::UploadIdMarker => vec![Field::KeyMarker],
        Field::CreatedTime => vec![Field::CreatedRange],
        Field::IfRange => vec![Field::Range],
        Field::CreatedRange => vec![Field::CreatedTime],
        _ => Vec::new(),
    }
}

fn route(caller: &Dialect, operation: Operation) -> Route {
    caller.all_routes().find(|row| row.operation == operation).unwrap()
}

/// The head of a request that says these fields, as a caller writes it.
fn text(caller: &'static Dialect, operation: Operation, said: &[(Field, String)]) -> String {
    let route = route(caller, operation);
    let (host, path) = match route.level {
        Level::Service => (caller.sample_endpoint.to_owned(), "/".to_owned()),
        Level::Bucket => (format!("b.{}", caller.sample_endpoint), "/".to_owned()),
        Level::Object => (format!("b.{}", caller.sample_endpoint), "/dir/a%20b".to_owned()),
    };
    let mut query: Vec<String> = Vec::new();
    let mut headers = String::new();
    let mut fields: Vec<(Name, &str)> = Vec::new();
    for (field, value) in said {
        fields.push((caller.name_in(*field, operation).unwrap(), value));
    }
    let named = |fields: &[(Name, &str)], name: &str| fields.iter().any(|row| row.0.as_str() == name);
    for wanted in route.parameters {
        // What selects the operation is said, if not by a field then with a value that does for every field.
        let is_field = Field::ALL.iter().any(|field| {
            caller.name_in(*field, operation) == Some(Name::Parameter(wanted.split('=').next().unwrap()))
        });
        match is_field {
            _ if named(&fields, wanted) => {}
            true => query.push(format!("{wanted}=1")),
            false => query.push((*wanted).to_owned()),
        }
    }
    let attributes = caller.name_in(Field::Attributes, operation);
    if let Some(name) = attributes.filter(|name| !named(&fields, name.as_str())) {
        headers.push_str(&format!("{}: ETag,StorageClass\n", name.as_str()));
    }
    for (name, value) in &fields {
        match name {
            Name::Parameter(name) => query.push(format!("{name}={}", value.replace('=', "%3D"))),
            Name::Header(name) => headers.push_str(&format!("{name}: {value}\n")),
        }
    }
    if route.source == Some(true) {
        let source = match caller.family {
            "cos" => format!("src.{}/key", caller.sample_endpoint),
            _ => "/src/key".to_owned(),
        };
        headers.push_str(&format!("{}: {source}\n", caller.copy.header));
    }
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    format!("{} {path}{query} HTTP/1.1\nHost: {host}\n{headers}", route.method)
}

fn request(caller: &'static Dialect, text: &str) -> Result<Request, Refusal> {
    let head = parse(text).unwrap();
    let place = hosts::place(&head, caller, ALL, &[])?;
    let verified = Verified {
        key: None,
        payload: Payload::Unsigned,
        unsigned: Vec::new(),
        credential_parameters: caller.auth.credential_parameters(),
    };
    read::request(caller, &head, &place, &verified)
}

fn target(dialect: &'static Dialect) -> Target {
    Target { kms_keys: vec!["key-1".to_owned(), "key-2".to_owned()], ..sample_target(dialect) }
}

fn way<'a>(caller: &'static Dialect, target: &'a Target, request: &Request) -> Way<'a> {
    Way { policy: LossPolicy::Report, ..sample_way(caller, target, request) }
}

fn words(refusal: &Refusal) -> String {
    format!("{refusal:?}")
}

fn listener(dialect: &'static Dialect) -> Listener {
    Listener {
        dialect,
        id: 1,
        now: NOW,
        host: "h".to_owned(),
        path: "/".to_owned(),
        head: false,
        elapsed_ms: 0,
    }
}

/// What comes of a request.
fn run(caller: &'static Dialect, target: &Target, text: &str) -> Seen {
    let refused = |refusal: Refusal| Seen { sent: None, losses: Vec::new(), told: Err(words(&refusal)) };
    let request = match request(caller, text) {
        Ok(request) => request,
        Err(refusal) => return refused(refusal),
    };
    let way = way(caller, target, &request);
    let seen = match request.operation {
        Operation::ListBuckets => list_buckets(caller, &request),
        operation if operation.streams() => streamed(&way, &request),
        operation if answer_to(&way, operation).is_some() => exchanged(&way, &request),
        _ => sent(&way, &request),
    };
    seen.unwrap_or_else(refused)
}

fn judged(way: &Way<'_>, sent: Outgoing, losses: Vec<Loss>, told: String) -> Seen {
    let told = judge(&losses, way.policy, way.caller).map(|()| told).map_err(|refusal| words(&refusal));
    Seen { sent: Some(Head::of(sent)), losses, told }
}

fn sent(way: &Way<'_>, request: &Request) -> Result<Seen, Refusal> {
    let mut sent = emulate::adapted(way, listing::adapted(way, request)?);
    sent.fields.remove(Field::ContentMd5);
    let (outgoing, losses) = write::request(way, &sent)?;
    Ok(judged(way, outgoing, losses, format!("{:?}", compared(way.caller, request))))
}

/// Whether the digest that a request says is compared with its body.
fn compared(caller: &'static Dialect, request: &Request) -> Option<String> {
    let mut gate = Gate::new(caller, Payload::Unsigned, request, Wants::default()).ok()?;
    let pushed = gate.push(b"hello");
    pushed.and_then(|_| gate.finish()).err().map(|refusal| words(&refusal))
}

fn streamed(way: &Way<'_>, request: &Request) -> Result<Seen, Refusal> {
    let only = stream::only_part(way, request);
    let (request, part) = match &only {
        Some((request, part)) => (request, Some(*part)),
        None => (request, None),
    };
    let (outgoing, losses) = stream::outgoing(way, request, Some(9), NOW)?;
    let told = (way.target.dialect.told)(Told::Etag).unwrap();
    let mut headers = vec![
        (told.to_ascii_lowercase(), format!("\"{ETAG}\"").into_bytes()),
        ("content-length".to_owned(), b"9".to_vec()),
    ];
    if request.fields.has(Field::IfRange) {
        headers.push(("content-range".to_owned(), b"bytes 0-8/20".to_vec()));
    }
    let status = if headers.len() > 2 { 206 } else { 200 };
    let answer = Answer { status, headers, body: Vec::new() };
    if stream::ask_without_range(way, request, &answer) {
        return Ok(judged(way, outgoing, losses, "the whole object".to_owned()));
    }
    let reply = stream::reply(way, request, &answer, None)?;
    let reply = part.map_or(Ok(reply.clone()), |part| part.told(reply));
    let reply = reply.map_or_else(|refusal| words(&refusal), |reply| format!("{reply:?}"));
    Ok(judged(way, outgoing, losses, reply))
}

fn exchanged(way: &Way<'_>, request: &Request) -> Result<Seen, Refusal> {
    let body: &[u8] = match request.operation {
        Operation::DeleteObjects => b"<Delete><Object><Key>dir/a b</Key></Object></Delete>",
        Operation::CompleteMultipartUpload if !request.fields.has(Field::CompleteAll) => {
            b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>"
        }
        _ => b"",
    };
    let compared = compared(way.caller, request);
    let mut exchange = Exchange::new(way.clone(), request.clone(), body)?;
    let losses = exchange.losses().to_vec();
    let Step::Send(mut outgoing) = exchange.start(NOW)? else { panic!("told before it was sent") };
    if request.fields.has(Field::ObjectSize) && outgoing.method == "GET" {
        let parts = answer_to(way, Operation::ListParts).unwrap();
        let Step::Send(completing) = exchange.next(&parts, NOW)? else { panic!("told before it was sent") };
        outgoing = completing;
    }
    let answer = answer_to(way, request.operation).unwrap();
    let told = match exchange.next(&answer, NOW) {
        Ok(Step::Tell(reply)) => {
            let spoken = tell::tell(&listener(way.caller), *reply);
            format!("{:?} {}", spoken.status, String::from_utf8(spoken.body).unwrap())
        }
        Ok(Step::Send(next)) => format!("then {:?}", Head::of(*next)),
        Err(refusal) => words(&refusal),
    };
    Ok(judged(way, *outgoing, losses, format!("{told} {compared:?}")))
}

fn list_buckets(caller: &'static Dialect, request: &Request) -> Result<Seen, Refusal> {
    let told = buckets::page(caller, request, rows()).map(|list| {
        let mut reply = Reply::status(200);
        reply.document = Some(Document::Buckets(list));
        String::from_utf8(tell::tell(&listener(caller), reply).body).unwrap()
    });
    Ok(Seen { sent: None, losses: Vec::new(), told: told.map_err(|refusal| words(&refusal)) })
}

fn rows() -> Vec<buckets::Row> {
    let row = |name: &str, made: i64, region: &str| (name.to_owned(), Timestamp(made), region.to_owned());
    vec![
        row("a", 1000, "there"),
        row("b", 2000, "there"),
        row("ba", 3000, "elsewhere"),
        row("c", 4000, "elsewhere"),
    ]
}

/// The token behind a page of buckets.
fn next_buckets(caller: &'static Dialect, size: u64) -> String {
    let mut request = Request::new(Operation::ListBuckets);
    request.fields.set(Field::MaxKeys, Value::Number(size));
    buckets::page(caller, &request, rows()).unwrap().next.unwrap()
}

/// The token behind a page of objects.
fn next_objects(caller: &'static Dialect, target: &Target, marker: &str) -> String {
    let request = request(caller, &text(caller, Operation::ListObjectsV2, &[])).unwrap();
    let way = way(caller, target, &request);
    let mut page = Document::Objects(Listing {
        truncated: true,
        next_marker: Some(marker.to_owned()),
        ..Listing::default()
    });
    listing::completed(&way, &request, &mut page);
    let Document::Objects(page) = page else { panic!("is another document") };
    page.next_token.unwrap()
}

/// What a target answers where the caller's own document depends on what it asked.
fn answer_to(way: &Way<'_>, operation: Operation) -> Option<Answer> {
    let target = way.target.dialect;
    let sent = emulate::sent_as(target, operation)?;
    let encoded = target.says(Field::EncodingType, sent).is_some();
    let object =
        Listed { key: KEY_NAME.to_owned(), modified: Some(NOW), etag: ETAG.to_owned(), size: 9, class: None };
    let key = KEY_NAME.to_owned();
    let document = match sent {
        Operation::ListObjects | Operation::ListObjectsV2 => Document::Objects(Listing {
            second: sent == Operation::ListObjectsV2,
            encoded,
            objects: vec![object],
            ..Listing::default()
        }),
        Operation::ListObjectVersions => Document::Versions(Versions {
            encoded,
            versions: vec![Version { object, id: "v".to_owned(), latest: true, delete_marker: false }],
            ..Versions::default()
        }),
        Operation::ListMultipartUploads => Document::Uploads(Uploads {
            encoded,
            uploads: vec![Upload { key, id: "u".to_owned(), class: None, initiated: Some(NOW) }],
            ..Uploads::default()
        }),
        Operation::ListParts => Document::Parts(PartList {
            encoded,
            key,
            parts: vec![(Part::new(1, ETAG), Some(NOW), 9)],
            ..PartList::default()
        }),
        Operation::DeleteObjects => {
            Document::Deleted { lines: vec![Deleted { key, ..Deleted::default() }], quiet: false, encoded }
        }
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
            return Some(Answer { status: 200, headers: headers.collect(), body: Vec::new() });
        }
        _ => return None,
    };
    let body = documents::write(target, &document, &listener(target), "id");
    Some(Answer { status: 200, headers: Vec::new(), body })
}

/// Whether the head that is sent has the field by the target's name for it.
fn in_head(target: &Dialect, row: &Row, sent: Option<&Head>) -> bool {
    let told = emulate::sent_as(target, row.operation).and_then(|sent| target.says(row.field, sent));
    match (told, sent) {
        (Some(Name::Header(name)), Some(sent)) => sent.headers.iter().any(|own| own.0 == name),
        (Some(Name::Parameter(name)), Some(sent)) => sent.query.iter().any(|own| own.0 == name),
        _ => false,
    }
}

/// A word that the target does not have is lost, whatever becomes of the field with other words.
fn has_words(field: Field) -> bool {
    matches!(field.kind(), Kind::Class | Kind::Acl | Kind::Encryption)
}

/// Whether a condition of a copy is decided by a look at its source.
fn looks_first(caller: &'static Dialect, target: &Target, row: &Row) -> bool {
    let value = values(caller, row.field, row.operation)[0].clone();
    let request = request(caller, &text(caller, row.operation, &[(row.field, value)])).unwrap();
    let way = Way { check_conditions: true, ..way(caller, target, &request) };
    let mut exchange = Exchange::new(way, request, b"").unwrap();
    let lost = exchange.losses().iter().any(|loss| loss.what == Lost::Field(row.field));
    let first = exchange.start(NOW).unwrap();
    matches!(first, Step::Send(sent) if sent.method == "HEAD" && !lost)
}

fn wrong(caller: &'static Dialect, target: &Target, row: &Row) -> Option<String> {
    if row.note.starts_with("by a HEAD of the source") {
        return (!looks_first(caller, target, row)).then(|| "is not decided by a HEAD".to_owned());
    }
    let [first, second] = match row.note {
        "by a marker" if row.field == Field::ContinuationToken => {
            ["b", "c"].map(|marker| next_objects(caller, target, marker))
        }
        _ => values(caller, row.field, row.operation),
    };
    let base: Vec<(Field, String)> = companions(row.field, row.operation)
        .into_iter()
        .map(|field| (field, values(caller, field, row.operation)[1].clone()))
        .collect();
    let with = |value: &str| {
        let mut said = base.clone();
        said.push((row.field, value.to_owned()));
        run(caller, target, &text(caller, row.operation, &said))
    };
    let (seen, other) = (with(&first), with(&second));
    let without = run(caller, target, &text(caller, row.operation, &base));
    if seen == without && other == without {
        return Some(format!("is passed over: {:?}", seen.told));
    }
    let lost = seen.losses.iter().any(|loss| loss.what == Lost::Field(row.field));
    let said = in_head(target.dialect, row, seen.sent.as_ref());
    let right = match row.fate {
        _ if lost && has_words(row.field) => true,
        Fate::Native => seen.told.is_ok() && said && !lost,
        // By nature: the target needs not be told.
        Fate::Emulated => seen.told.is_ok() && !lost,
        Fate::Lost => seen.told.is_ok() && lost && !said,
        Fate::Refused => seen.told.is_err() && !said,
    };
    (!right).then(|| format!("is not {}: said {said}, lost {lost}, {:?}", row.fate.name(), seen.told))
}

#[test]
fn every_field_of_every_operation_is_said_answered_or_reported() {
    let mut found = Vec::new();
    let mut walked = 0;
    for caller in ALL {
        for dialect in ALL.iter().chain(PROFILES) {
            let target = target(dialect);
            for row in matrix(caller, dialect) {
                // A standard range is what this target answers by nature; where no parts are told, none are paged: see below.
                // What is not sent because it means nothing there is in the matrix with its reason.
                if row.note == "by nature"
                    || row.note.starts_with("not sent: ")
                    || row.note.starts_with("there is nothing to page")
                    || MET_HERE.contains(&row.field) && row.fate == Fate::Emulated
                {
                    continue;
                }
                // Where a target has no checksums, what is said of bytes is compared here, and the rest only asks for them.
                if row.field.is_of_checksums() && !dialect.keeps_checksums() {
                    assert_eq!(row.fate, Fate::Emulated, "{row:?}");
                    continue;
                }
                walked += 1;
                if let Some(why) = wrong(caller, &target, &row) {
                    found.push(format!(
                        "{} -> {}: {} `{}` {why}",
                        caller.name,
                        dialect.name,
                        row.operation.name(),
                        row.said
                    ));
                }
            }
        }
    }
    assert!(walked > 10_000, "{walked}");
    assert!(found.is_empty(), "{} of {walked}:\n{}", found.len(), found.join("\n"));
}

/// What comes of a copy from one target to another: all that is asked of both, and what is decided here.
fn relayed(caller: &'static Dialect, from: &Target, to: &Target, text: &str) -> String {
    let asked = match request(caller, text) {
        Ok(asked) => asked,
        Err(refusal) => return words(&refusal),
    };
    let (from, to) = (way(caller, from, &asked), way(caller, to, &asked));
    let told = |field: Told| (from.target.dialect.told)(field).map(str::to_ascii_lowercase);
    let headers = [
        (Told::Etag, "\"5b3c1a2e053d763e1b002cc607c5a0fe\""),
        (Told::LastModified, "Tue, 07 May 2024 00:00:00 GMT"),
        (Told::ContentLength, "9"),
        (Told::ContentType, "text/html"),
        (Told::TaggingCount, "2"),
    ];
    let headers = headers.into_iter().filter_map(|row| Some((told(row.0)?, row.1.as_bytes().to_vec())));
    let answer = Answer { status: 200, headers: headers.collect(), body: Vec::new() };
    let source = match relay::source(&from, &asked, &answer, NOW) {
        Ok(source) => source,
        Err(refusal) => return words(&refusal),
    };
    let mut requests = vec![(&from, relay::look(&asked)), (&from, relay::read(&asked, &source, None))];
    if asked.operation == Operation::CopyObject {
        for operation in [Operation::PutObject, Operation::CreateMultipartUpload] {
            requests.push((&to, relay::place(caller, &asked, &source, None, operation)));
        }
        requests.push((&to, relay::part(&asked, "u", 1, 9)));
        requests.push((&to, relay::complete(&asked, "u", Vec::new())));
    } else {
        let put = Request { operation: Operation::UploadPart, source: None, ..asked.clone() };
        requests.push((&to, relay::without_copy_fields(put)));
    }
    let mut seen = format!("{:?} {:?}", source.tagged, relay::range(&asked, true, 9));
    for (way, request) in requests {
        let (sent, losses) = write::request(way, &request).unwrap();
        seen.push_str(&format!("{:?} {losses:?}\n", Head::of(sent)));
    }
    seen
}

/// What only says which checksums a target keeps and tells: those that a caller sends are compared on their way, whatever
/// the target keeps.
const MET_HERE: [Field; 3] = [Field::ChecksumAlgorithm, Field::ChecksumType, Field::ChecksumMode];

#[test]
fn every_field_of_a_copy_between_two_targets_is_said_answered_or_reported() {
    let mut found = Vec::new();
    for caller in ALL {
        for (from, to) in ALL.iter().flat_map(|from| ALL.iter().map(move |to| (target(from), target(to)))) {
            for operation in [Operation::CopyObject, Operation::UploadPartCopy] {
                for field in Field::ALL.into_iter().filter(|field| !MET_HERE.contains(field)) {
                    let Some(name) = caller.name_in(field, operation) else { continue };
                    let base: Vec<_> = companions(field, operation)
                        .into_iter()
                        .map(|other| (other, values(caller, other, operation)[1].clone()))
                        .collect();
                    let with = |value: &str| {
                        let mut said = base.clone();
                        said.push((field, value.to_owned()));
                        relayed(caller, &from, &to, &text(caller, operation, &said))
                    };
                    let [first, second] = values(caller, field, operation);
                    let without = relayed(caller, &from, &to, &text(caller, operation, &base));
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
fn parts_that_a_target_does_not_tell_are_refused_not_left_out() {
    for dialect in [ALL[1], ALL[2], ALL[3]] {
        let target = target(dialect);
        for (field, value) in [(Field::Attributes, "ETag,ObjectParts"), (Field::Attributes, "ETag")] {
            let said = [(field, value.to_owned()), (Field::MaxParts, "2".to_owned())];
            let request = request(ALL[0], &text(ALL[0], Operation::GetObjectAttributes, &said)).unwrap();
            let mut exchange = Exchange::new(way(ALL[0], &target, &request), request, b"").unwrap();
            exchange.start(NOW).unwrap();
            let head = |etag: &str| Answer {
                status: 200,
                headers: vec![
                    ("etag".to_owned(), etag.as_bytes().to_vec()),
                    ("content-length".to_owned(), b"9".to_vec()),
                ],
                body: Vec::new(),
            };
            let told = exchange.next(&head("\"5b3c1a2e053d763e1b002cc607c5a0fe-3\""), NOW);
            match (value.contains("Parts"), told) {
                (true, Err(refusal)) => {
                    assert_eq!(refusal.fault, Fault::NotImplemented);
                    assert_eq!(refusal.details, [("Header", "ObjectParts".to_owned())]);
                }
                (false, Ok(Step::Tell(_))) => {}
                (_, other) => panic!("{}: {value}: {other:?}", dialect.name),
            }
        }
    }
}

/// The walk finds what is passed over: a field that is taken out of the request before it is written.
#[test]
fn a_field_that_is_passed_over_is_found() {
    let (caller, target) = (ALL[0], target(ALL[2]));
    let row = matrix(caller, ALL[2]).into_iter().find(|row| row.field == Field::Prefix).unwrap();
    assert!(wrong(caller, &target, &row).is_none());
    let plain = text(caller, row.operation, &[]);
    let noise = plain.replace("Host:", "x-amz-te: trailers\nHost:");
    assert_eq!(run(caller, &target, &plain), run(caller, &target, &noise), "noise changes nothing");
}
