//! Six requests, from the signed head of a client to the head and document of its response. The benches measure their
//! time, and two tests limit their instructions and allocations.

#![allow(dead_code, reason = "each program that includes this file uses another part of it")]

use blobfish_dialects::authentication::authenticate::{
    CallerCredentials, CredentialStore, ListenerDialects, authenticate_request,
};
use blobfish_dialects::dialect::response_context::ResponseContext;
use blobfish_dialects::dialect::signature::Payload;
use blobfish_dialects::dialect::{Dialect, Target};
use blobfish_dialects::encoding::hash;
use blobfish_dialects::engine::body_verifier::{BodyVerifier, Digests, DigestsToCompute};
use blobfish_dialects::engine::exchange::{Exchange, Step};
use blobfish_dialects::engine::streaming;
use blobfish_dialects::engine::target_response::TargetResponse;
use blobfish_dialects::engine::write_response::{WrittenResponse, write_response};
use blobfish_dialects::model::{
    Credentials, Operation, OutgoingRequest, PayloadHash, RawHead, Request, RequestScope, Response, Timestamp,
};
use blobfish_dialects::translator::explain::{build_sample_route, build_sample_target};
use blobfish_dialects::{DIALECTS, find_dialect};
use bytes::Bytes;
use secrecy::SecretString;

const NOW: Timestamp = Timestamp(1_767_323_045);
const KEY: &str = "photos/2026/summer/beach-001.jpg";
const ETAG: &str = "\"5d41402abc4b2a76b9719d911017c592\"";
const LISTED_KEYS: usize = 1000;

/// One request, with all that its processing needs.
pub(crate) struct SampleRequest {
    caller: &'static Dialect,
    listener: ListenerDialects,
    target: Target,
    secret: SecretString,
    head: RawHead,
    body: Vec<u8>,
    target_response: TargetResponse,
    /// The response to a HEAD of the copy source.
    source_head: TargetResponse,
}

/// The names of the requests.
pub(crate) const NAMES: [&str; 6] = ["get", "put", "copy", "part-copy", "list", "delete-objects"];

impl SampleRequest {
    /// Builds a request, and signs it as a client does.
    pub(crate) fn load(name: &str) -> Self {
        match name {
            "get" => Self::new("s3", "oss", "GET", &[], &[], b"", build_object_response(1024)),
            "put" => {
                let body = vec![b'x'; 1024];
                let length = body.len().to_string();
                let headers = [
                    ("content-length", length.as_str()),
                    ("content-type", "image/jpeg"),
                    ("x-cos-meta-camera", "a7"),
                    ("x-cos-storage-class", "STANDARD_IA"),
                ];
                let response = build_upload_response(&format!("\"{}\"", hash::md5_hex(&body)));
                Self::new("cos", "s3", "PUT", &[], &headers, &body, response)
            }
            "copy" => {
                let source = "photos-1250000000.cos.ap-guangzhou.myqcloud.com/2026/beach%20001.jpg";
                let headers = [
                    ("content-length", "0"),
                    ("x-cos-copy-source", source),
                    ("x-cos-metadata-directive", "Replaced"),
                    ("x-cos-meta-camera", "a7"),
                ];
                let response = build_copy_response("CopyObjectResult");
                Self::new("cos", "oss", "PUT", &[], &headers, b"", response)
            }
            "part-copy" => {
                let headers = [
                    ("content-length", "0"),
                    ("x-oss-copy-source", "/photos/2026/beach%20001.jpg"),
                    ("x-oss-copy-source-range", "bytes=0-104857599"),
                ];
                let query = [("partNumber", "7"), ("uploadId", "0004B9895DBBB6EC98E36")];
                let response = build_copy_response("CopyPartResult");
                Self::new("oss", "cos", "PUT", &query, &headers, b"", response)
            }
            "list" => {
                let query = [("encoding-type", "url"), ("list-type", "2"), ("prefix", "photos/")];
                Self::new("s3", "oss", "GET", &query, &[], b"", build_listing_response())
            }
            "delete-objects" => {
                let body = build_delete_document();
                let md5 = hash::convert_hex_to_base64(&hash::md5_hex(&body)).unwrap();
                let length = body.len().to_string();
                let headers = [("content-length", length.as_str()), ("content-md5", md5.as_str())];
                Self::new("s3", "oss", "POST", &[("delete", "")], &headers, &body, build_delete_response())
            }
            _ => panic!("no request {name}"),
        }
    }

    fn new(
        caller: &str,
        target: &str,
        method: &'static str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: &[u8],
        target_response: TargetResponse,
    ) -> Self {
        let caller = find_dialect(caller, None).unwrap();
        let secret = SecretString::from("secretOfTheCaller0123456789abcdefghijklmn");
        let base = "storage.example";
        let bucket = "photos-1250000000";
        let is_for_bucket = query.iter().any(|row| matches!(row.0, "list-type" | "delete"));
        let scope = match is_for_bucket {
            true => RequestScope::Bucket(bucket.to_owned()),
            false => RequestScope::Object { bucket: bucket.to_owned(), key: KEY.to_owned() },
        };
        let usual = [("accept-encoding", "identity"), ("user-agent", "Boto3/1.40 md/Botocore#1.40 ua/2.1")];
        let headers = usual.iter().chain(headers);
        let mut signed = OutgoingRequest {
            method,
            host: format!("{bucket}.{base}"),
            scope,
            path: if is_for_bucket { "/".to_owned() } else { format!("/{KEY}") },
            query: query
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())))
                .collect(),
            headers: headers.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect(),
            body: Vec::new(),
            payload_hash: PayloadHash::Unsigned,
            is_long_running: false,
        };
        let credentials = Credentials {
            access_key_id: "AKIDOFTHECALLER".to_owned(),
            secret_key: secret.clone(),
            session_token: None,
        };
        caller.auth.sign(&mut signed, &credentials, "cn-hangzhou", NOW);
        let request_target = signed.request_target();
        Self {
            caller,
            listener: ListenerDialects {
                dialects: DIALECTS,
                default_dialect: caller,
                base_domains: vec![base.to_owned()],
            },
            target: build_sample_target(find_dialect(target, None).unwrap()),
            secret,
            head: RawHead {
                method: method.to_owned(),
                path: signed.path,
                query: request_target.split_once('?').map(|row| row.1.to_owned()).into(),
                headers: signed.headers,
                over_tls: false,
            },
            body: body.to_vec(),
            target_response,
            source_head: build_object_response(1024),
        }
    }

    /// Processes the request as the proxy does: verifies the signature, translates and signs the request for the target,
    /// and translates the target's response.
    #[inline(never)]
    pub(crate) fn process(&self) -> WrittenResponse {
        let head = self.head.clone();
        let (request, payload) = self.authenticate(&head);
        let route = build_sample_route(self.caller, &self.target, &request);
        let is_upload = request.operation.is_upload();
        let digests_to_compute =
            if is_upload { streaming::choose_digests(&route, &request) } else { DigestsToCompute::default() };
        let verifier = BodyVerifier::new(self.caller, payload, &request, digests_to_compute).unwrap();
        let (body, digests) = verify_body(verifier, &self.body);
        let response = if is_upload || request.operation == Operation::GetObject {
            let length = u64::try_from(body.len()).unwrap();
            streaming::build_target_request(&route, &request, is_upload.then_some(length), NOW).unwrap();
            let digests = is_upload.then_some(&digests);
            streaming::build_client_response(&route, &request, &self.target_response, digests).unwrap()
        } else {
            let mut exchange = Exchange::new(route, request, &body).unwrap();
            let mut step = exchange.start(NOW).unwrap();
            loop {
                step = match step {
                    Step::Send(sent) => exchange.handle_response(self.respond(&sent), NOW).unwrap(),
                    Step::Respond(response) => break *response,
                };
            }
        };
        self.write(response)
    }

    /// Prepares a copy up to the request that lets the target copy.
    pub(crate) fn start_copy(&self) -> Exchange<'_> {
        let (request, _) = self.authenticate(&self.head);
        let mut exchange =
            Exchange::new(build_sample_route(self.caller, &self.target, &request), request, &[]).unwrap();
        let mut step = exchange.start(NOW).unwrap();
        while let Step::Send(sent) = step
            && sent.method == "HEAD"
        {
            step = exchange.handle_response(self.respond(&sent), NOW).unwrap();
        }
        exchange
    }

    /// Translates the result of a copy.
    pub(crate) fn finish_copy(&self, mut exchange: Exchange<'_>) -> WrittenResponse {
        match exchange.handle_response(&self.target_response, NOW).unwrap() {
            Step::Respond(response) => self.write(*response),
            Step::Send(sent) => panic!("a copy sends {} after its result", sent.method),
        }
    }

    fn authenticate(&self, head: &RawHead) -> (Request, Payload) {
        let authenticated = authenticate_request(head, &self.listener, self, NOW)
            .unwrap_or_else(|rejected| panic!("{:?}", rejected.rejection));
        (authenticated.request, authenticated.payload)
    }

    fn respond(&self, sent: &OutgoingRequest) -> &TargetResponse {
        if sent.method == "HEAD" { &self.source_head } else { &self.target_response }
    }

    fn write(&self, response: Response) -> WrittenResponse {
        let context = ResponseContext {
            dialect: self.caller,
            id: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
            now: NOW,
            host: self.head.host().to_owned(),
            path: self.head.path.clone(),
            is_head: false,
            elapsed_ms: 7,
        };
        write_response(&context, response)
    }
}

impl CredentialStore for SampleRequest {
    fn find_credentials(&self, _: &str) -> Option<CallerCredentials<'_>> {
        Some(CallerCredentials {
            secret_key: &self.secret,
            session_token: None,
            strict_dialects: &[],
            schemes: &[],
        })
    }

    fn is_anonymous_read(&self, _: &str) -> bool {
        false
    }
}

fn verify_body(mut verifier: BodyVerifier, body: &[u8]) -> (Vec<u8>, Digests) {
    let mut verified = verifier.push(&Bytes::copy_from_slice(body)).unwrap().to_vec();
    let (last, digests) = verifier.finish().unwrap();
    verified.extend_from_slice(&last);
    (verified, digests)
}

fn build_response(headers: &[(&str, &str)], body: String) -> TargetResponse {
    let usual = [
        ("date", "Fri, 02 Jan 2026 03:04:05 GMT"),
        ("connection", "keep-alive"),
        ("x-oss-request-id", "6956E3A5B4B7F93331C1B2D3"),
        ("x-amz-request-id", "6956E3A5B4B7F933"),
        ("x-cos-request-id", "Njk1NmUzYTVfNGI3Zjkz"),
    ];
    let length = body.len().to_string();
    let mut rows: Vec<_> = usual.iter().chain(headers).copied().collect();
    if !headers.iter().any(|row| row.0 == "content-length") {
        rows.push(("content-length", &length));
    }
    let to_header = |(name, value): (&str, &str)| (name.to_owned(), value.as_bytes().to_vec());
    TargetResponse {
        status: 200,
        headers: rows.into_iter().map(to_header).collect(),
        body: body.into_bytes(),
    }
}

fn build_object_response(length: u64) -> TargetResponse {
    let length = length.to_string();
    let headers = [
        ("content-length", length.as_str()),
        ("content-type", "image/jpeg"),
        ("etag", ETAG),
        ("last-modified", "Thu, 01 Jan 2026 03:04:05 GMT"),
        ("accept-ranges", "bytes"),
        ("x-oss-object-type", "Normal"),
        ("x-oss-hash-crc64ecma", "14741617095266562575"),
        ("x-oss-storage-class", "Standard"),
        ("x-oss-meta-camera", "a7"),
    ];
    build_response(&headers, String::new())
}

fn build_upload_response(etag: &str) -> TargetResponse {
    build_response(&[("etag", etag)], String::new())
}

fn build_copy_response(root: &str) -> TargetResponse {
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root}>\n  <LastModified>2026-01-02T03:04:05.000Z</LastModified>\n  \
         <ETag>{ETAG}</ETag>\n</{root}>"
    );
    build_response(&[("content-type", "application/xml")], document)
}

fn format_key(number: usize) -> String {
    format!("photos/2026/summer/beach-{number:04}.jpg")
}

fn build_listing_response() -> TargetResponse {
    let rows: String = (0..LISTED_KEYS)
        .map(|number| {
            let key = format_key(number).replace('/', "%2F");
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-01-01T03:04:05.000Z</LastModified><ETag>{ETAG}</ETag>\
                 <Type>Normal</Type><Size>344606</Size><StorageClass>Standard</StorageClass></Contents>"
            )
        })
        .collect();
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult><Name>photos-1250000000</Name>\
         <Prefix>photos%2F</Prefix><MaxKeys>1000</MaxKeys><Delimiter></Delimiter><EncodingType>url</EncodingType>\
         <IsTruncated>false</IsTruncated>{rows}<KeyCount>1000</KeyCount></ListBucketResult>"
    );
    build_response(&[("content-type", "application/xml")], document)
}

fn build_delete_document() -> Vec<u8> {
    let rows: String = (0..LISTED_KEYS)
        .map(|number| format!("<Object><Key>{}</Key></Object>", format_key(number)))
        .collect();
    format!("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{rows}</Delete>").into_bytes()
}

fn build_delete_response() -> TargetResponse {
    let rows: String = (0..LISTED_KEYS)
        .map(|number| format!("<Deleted><Key>{}</Key></Deleted>", format_key(number)))
        .collect();
    let document = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DeleteResult>{rows}</DeleteResult>");
    build_response(&[("content-type", "application/xml")], document)
}
