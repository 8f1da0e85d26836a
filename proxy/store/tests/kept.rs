//! Stored data is returned unchanged or not at all: header values, bytes on the disk, checksums, positions in a
//! listing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use aws_sigv4::http_request::SignableBody;
use blobfish_store::Location;
use hmac::{KeyInit as _, Mac as _};
use http::{HeaderName, HeaderValue};
use sha2::Digest as _;
use std::path::{Path, PathBuf};
use support::{TestClient, TestServer, compute_md5_base64, full_body};

const UTF8: &[u8] = "attachment; filename=\"\u{4e2d}\u{6587} \u{e9}.txt\"".as_bytes();
const LATIN1: &[u8] = b"attachment; filename=\"\xe9.txt\"";

async fn start_with_bucket(folder: &Path) -> TestServer {
    let server = TestServer::start(Location::Dir(folder.to_owned())).await;
    server.client.put_object("box", &[], b"").await.expect_success();
    server
}

/// A request with headers that the signature does not cover: the client signs text only.
async fn put_unsigned(s3: &TestClient, path: &str, headers: &[(&str, &[u8])]) {
    let mut request = s3.build_request("PUT", path, "", &[], SignableBody::Bytes(b"x"), full_body(b"x"));
    for (name, value) in headers {
        let value = HeaderValue::from_bytes(value).unwrap();
        request.headers_mut().insert(HeaderName::try_from(*name).unwrap(), value);
    }
    s3.send_raw(request).await.expect_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn returns_header_values_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let server = start_with_bucket(folder.path()).await;
    let s3 = &server.client;
    for (key, value) in [("utf8", UTF8), ("latin1", LATIN1)] {
        let headers = [
            ("content-disposition", value),
            ("content-encoding", b"deflate, gzip"),
            ("cache-control", value),
        ];
        put_unsigned(s3, &format!("box/{key}"), &headers).await;
    }
    let text = std::str::from_utf8(UTF8).unwrap();
    s3.put_object(
        "box/meta",
        &[("x-amz-meta-name", text), ("x-amz-website-redirect-location", "/\u{e9}")],
        b"x",
    )
    .await
    .expect_success();
    s3.copy_object("box/latin1", "box/copy", &[]).await.expect_success();
    server.stop().await;
    let server = start_with_bucket(folder.path()).await;
    let s3 = &server.client;
    for (key, value) in [("utf8", UTF8), ("latin1", LATIN1), ("copy", LATIN1)] {
        for response in [
            s3.get_object(&format!("box/{key}"), &[]).await.expect_success(),
            s3.head_object(&format!("box/{key}"), &[]).await.expect_success(),
        ] {
            for name in ["content-disposition", "cache-control"] {
                assert_eq!(response.headers.get(name).unwrap().as_bytes(), value, "{key} {name}");
            }
            assert_eq!(response.header("content-encoding"), Some("deflate, gzip"));
        }
    }
    let meta = s3.head_object("box/meta", &[]).await.expect_success();
    assert_eq!(meta.headers.get("x-amz-meta-name").unwrap().as_bytes(), UTF8);
    assert_eq!(meta.headers.get("x-amz-website-redirect-location").unwrap().as_bytes(), "/\u{e9}".as_bytes());
    server.stop().await;
}

/// A request that is signed by hand, over bytes: the SDK's signer supports only text.
async fn put_with_signed_header(
    s3: &TestClient,
    path: &str,
    name: &str,
    value: &[u8],
    corrupt: bool,
) -> support::TestResponse {
    let request =
        s3.build_request("PUT", path, "", &[(name, "stand-in")], SignableBody::Bytes(b"x"), full_body(b"x"));
    let (mut head, body) = request.into_parts();
    let text = |name: &str| head.headers.get(name).unwrap().to_str().unwrap().to_owned();
    let authorization = text("authorization");
    let field = |name: &str| authorization.split(name).nth(1).unwrap().split(',').next().unwrap().to_owned();
    let (scope, names) = (field("Credential="), field("SignedHeaders="));
    let scope = scope.split_once('/').unwrap().1.to_owned();
    let mut canonical = format!("PUT\n/{path}\n\n").into_bytes();
    for signed in names.split(';') {
        let own = if signed == "host" { s3.address.to_string() } else { String::new() };
        let bytes = match signed {
            "host" => own.as_bytes(),
            other if other == name => value,
            other => head.headers.get(other).unwrap().as_bytes(),
        };
        canonical.extend([signed.as_bytes(), b":", bytes, b"\n"].concat());
    }
    canonical.extend(format!("\n{names}\n{}", text("x-amz-content-sha256")).into_bytes());
    let hashed =
        sha2::Sha256::digest(&canonical).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{hashed}", text("x-amz-date"));
    let mac = |key: &[u8], bytes: &[u8]| {
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
        mac.update(bytes);
        mac.finalize().into_bytes().to_vec()
    };
    let key = scope
        .split('/')
        .fold(format!("AWS4{}", s3.secret_key).into_bytes(), |key, part| mac(&key, part.as_bytes()));
    let signature: String = mac(&key, to_sign.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let before = authorization.split("Signature=").next().unwrap();
    head.headers.insert("authorization", format!("{before}Signature={signature}").parse().unwrap());
    let mut sent = value.to_vec();
    if corrupt {
        *sent.last_mut().unwrap() = 0xfe;
    }
    head.headers.insert(HeaderName::try_from(name).unwrap(), HeaderValue::from_bytes(&sent).unwrap());
    s3.send_raw(http::Request::from_parts(head, body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn verifies_and_stores_signed_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let server = start_with_bucket(folder.path()).await;
    let s3 = &server.client;
    for name in ["x-amz-meta-name", "content-disposition"] {
        put_with_signed_header(s3, "box/a", name, b"\xe9\xff", true)
            .await
            .expect_error(403, "SignatureDoesNotMatch");
        s3.head_object("box/a", &[]).await.headers.get(name).is_none().then_some(()).unwrap();
        put_with_signed_header(s3, "box/a", name, b"\xe9 \xff", false).await.expect_success();
        assert_eq!(
            s3.head_object("box/a", &[]).await.expect_success().headers.get(name).unwrap().as_bytes(),
            b"\xe9 \xff"
        );
        s3.delete_object("box/a", "").await.expect_success();
    }
    // An unsigned header that must be signed is rejected, whatever its bytes.
    let mut request = s3.build_request("PUT", "box/a", "", &[], SignableBody::Bytes(b"x"), full_body(b"x"));
    request.headers_mut().insert("x-amz-meta-name", HeaderValue::from_bytes(b"\xe9").unwrap());
    s3.send_raw(request).await.expect_error(403, "AccessDenied");
    server.stop().await;
}

fn list_data_files(folder: &Path) -> Vec<PathBuf> {
    let shards = std::fs::read_dir(folder.join("data")).unwrap().map(|shard| shard.unwrap().path());
    shards.flat_map(|shard| std::fs::read_dir(shard).unwrap().map(|file| file.unwrap().path())).collect()
}

fn flip_bit(file: &Path, at: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[at] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn never_serves_a_corrupted_byte() {
    for sealed in [&[][..], &[("x-amz-server-side-encryption", "AES256")]] {
        let folder = tempfile::tempdir().unwrap();
        let server = start_with_bucket(folder.path()).await;
        let s3 = &server.client;
        let body: Vec<u8> = (0..3_000_000_u32).map(|at| u8::try_from(at % 241).unwrap()).collect();
        s3.put_object("box/a", sealed, &body).await.expect_success();
        assert_eq!(s3.get_object("box/a", &[]).await.expect_success().body, body);
        let [file] = list_data_files(folder.path()).try_into().unwrap();
        flip_bit(&file, 10);
        s3.get_object("box/a", &[]).await.expect_error(500, "InternalError");
        s3.get_object("box/a", &[("range", "bytes=9-9")]).await.expect_error(500, "InternalError");
        s3.copy_object(
            "box/a",
            "box/b",
            &[("x-amz-storage-class", "STANDARD_IA"), ("x-amz-checksum-algorithm", "SHA1")],
        )
        .await
        .expect_error(500, "InternalError");
        // Reads of undamaged bytes succeed, and so does a response without a body.
        let range = s3.get_object("box/a", &[("range", "bytes=1000000-1000009")]).await.expect_success();
        assert_eq!(range.body, body[1_000_000..1_000_010]);
        s3.head_object("box/a", &[]).await.expect_success();
        flip_bit(&file, 10);
        // The damage is after the bytes that were sent already: the connection is closed before the end.
        flip_bit(&file, 2_999_999);
        let request = s3.build_request("GET", "box/a", "", &[], SignableBody::Bytes(b""), full_body(b""));
        let response = s3.send_for_head(request).await;
        assert_eq!(response.status(), 200);
        assert!(http_body_util::BodyExt::collect(response.into_body()).await.is_err());
        flip_bit(&file, 2_999_999);
        assert_eq!(s3.get_object("box/a", &[]).await.expect_success().body, body);
        std::fs::write(&file, &std::fs::read(&file).unwrap()[..5]).unwrap();
        s3.get_object("box/a", &[]).await.expect_error(500, "InternalError");
        std::fs::remove_file(&file).unwrap();
        s3.get_object("box/a", &[]).await.expect_error(500, "InternalError");
        server.stop().await;
    }
}

/// Digests computed with hashlib and xxhash of Python.
const HELLO_CHECKSUMS: [(&str, &str); 5] = [
    ("sha512", "MJ7MSJwS1utMxA9QyQLytNDtd+5RGnx6m808qG1M2G+YndNbxf9JlnDaNCVbRbDP2DDoH2Bdz33FVC6TrpzXbw=="),
    ("md5", "XrY7u+Ae7tCTyyK7j1rNww=="),
    ("xxhash64", "RatnNLIeaWg="),
    ("xxhash3", "1Eex6kDmmIs="),
    ("xxhash128", "340J6T+HSQCpm4d1zBW2xw=="),
];

#[tokio::test(flavor = "multi_thread")]
async fn verifies_stores_and_returns_the_newer_checksums() {
    let folder = tempfile::tempdir().unwrap();
    let server = start_with_bucket(folder.path()).await;
    let s3 = &server.client;
    for (name, value) in HELLO_CHECKSUMS {
        let (header, element) =
            (format!("x-amz-checksum-{name}"), format!("Checksum{}", name.to_ascii_uppercase()));
        let wrong = if let Some(rest) = value.strip_prefix('1') {
            format!("2{rest}")
        } else {
            format!("1{}", &value[1..])
        };
        s3.put_object("box/a", &[(&header, &wrong)], b"hello world").await.expect_error(400, "BadDigest");
        s3.put_object("box/a", &[(&header, "AAAA")], b"hello world")
            .await
            .expect_error(400, "InvalidRequest");
        assert_eq!(
            s3.put_object("box/a", &[(&header, value)], b"hello world")
                .await
                .expect_success()
                .header(&header),
            Some(value)
        );
        let got = s3.get_object("box/a", &[("x-amz-checksum-mode", "ENABLED")]).await.expect_success();
        assert_eq!(
            (got.header(&header), got.header("x-amz-checksum-type")),
            (Some(value), Some("FULL_OBJECT"))
        );
        let copied = s3.copy_object("box/a", "box/b", &[]).await.expect_success();
        assert_eq!(
            (copied.element_text(&element), copied.element_text("ChecksumType")),
            (value.to_owned(), "FULL_OBJECT".to_owned())
        );

        let begun = [("x-amz-checksum-algorithm", name)];
        let id = s3.begin_upload("box/m", &begun).await;
        let part =
            s3.upload_part("box/m", &id, 1, &[(&header, value)], b"hello world").await.expect_success();
        assert_eq!(part.header(&header), Some(value));
        let copy = format!("partNumber=2&uploadId={id}");
        let copied =
            s3.send("PUT", "box/m", &copy, &[("x-amz-copy-source", "box/a")], b"").await.expect_success();
        assert_eq!(copied.element_text(&element), value);
        let listed = s3.send("GET", "box/m", &format!("uploadId={id}"), &[], b"").await.expect_success();
        assert_eq!(
            (listed.element_texts(&element), listed.element_text("ChecksumType")),
            (vec![value.to_owned(); 2], "COMPOSITE".to_owned())
        );
        let uploads = s3.send("GET", "box", "uploads=", &[], b"").await.expect_success();
        assert_eq!(
            (uploads.element_text("ChecksumAlgorithm"), uploads.element_text("ChecksumType")),
            (name.to_ascii_uppercase(), "COMPOSITE".to_owned())
        );
        let etag = part.header("etag").unwrap().replace('"', "");
        let document = |sum: &str| {
            format!(
                "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag><{element}>{sum}</{element}>\
                 </Part></CompleteMultipartUpload>"
            )
        };
        let query = format!("uploadId={id}");
        s3.send("POST", "box/m", &query, &[], document(&wrong).as_bytes())
            .await
            .expect_error(400, "InvalidPart");
        let done = s3.send("POST", "box/m", &query, &[], document(value).as_bytes()).await.expect_success();
        assert!(
            done.element_text(&element).ends_with("-1") && done.element_text("ChecksumType") == "COMPOSITE",
            "{}",
            done.text()
        );
        let attributes = [("x-amz-object-attributes", "Checksum,ObjectParts")];
        let response = s3.send("GET", "box/m", "attributes=", &attributes, b"").await.expect_success();
        let whole = done.element_text(&element).replace("-1", "");
        assert_eq!(response.element_texts(&element), [whole, value.to_owned()]);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn returns_attributes_of_parts_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let server = start_with_bucket(folder.path()).await;
    let s3 = &server.client;
    let id = s3.begin_upload("box/m", &[("x-amz-checksum-algorithm", "SHA256")]).await;
    let mut parts = String::new();
    for number in 1..=3_u32 {
        let body = vec![b'p'; if number < 3 { 5_242_880 } else { 3 }];
        let part = s3
            .upload_part("box/m", &id, number, &[("x-amz-checksum-algorithm", "SHA256")], &body)
            .await
            .expect_success();
        let sum = part.header("x-amz-checksum-sha256").unwrap();
        let etag = part.header("etag").unwrap().replace('"', "");
        parts.push_str(&format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag><ChecksumSHA256>{sum}</ChecksumSHA256></Part>"
        ));
    }
    let document = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    s3.send("POST", "box/m", &format!("uploadId={id}"), &[], document.as_bytes()).await.expect_success();
    let page = |after: &'static str| {
        [
            ("x-amz-object-attributes", "ObjectParts"),
            ("x-amz-max-parts", "1"),
            ("x-amz-part-number-marker", after),
        ]
    };
    for (after, number, more) in [("0", "1", "true"), ("1", "2", "true"), ("2", "3", "false")] {
        let response = s3.send("GET", "box/m", "attributes=", &page(after), b"").await.expect_success();
        assert_eq!(
            (
                response.element_text("PartsCount"),
                response.element_text("IsTruncated"),
                response.element_text("NextPartNumberMarker"),
                response.element_texts("PartNumber")
            ),
            ("3".to_owned(), more.to_owned(), number.to_owned(), vec![number.to_owned()])
        );
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uses_the_minimum_part_size_of_the_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let server = start_with_bucket(folder.path()).await;
    let s3 = &server.client;
    let id = s3.begin_upload("box/m", &[]).await;
    let one = s3
        .upload_part("box/m", &id, 1, &[], &[1; 1000])
        .await
        .expect_success()
        .header("etag")
        .unwrap()
        .to_owned();
    let two = s3
        .upload_part("box/m", &id, 2, &[], &[2; 10])
        .await
        .expect_success()
        .header("etag")
        .unwrap()
        .to_owned();
    let parts = [(1, one.as_str()), (2, two.as_str())];
    s3.complete_upload("box/m", &id, &parts, &[]).await.expect_error(400, "EntityTooSmall");
    let response =
        s3.complete_upload("box/m", &id, &parts, &[("x-amz-blobfish-part-bytes-min", "1001")]).await;
    assert_eq!(response.expect_error(400, "EntityTooSmall").element_text("MinSizeAllowed"), "1001");
    s3.complete_upload("box/m", &id, &parts, &[("x-amz-blobfish-part-bytes-min", "some")])
        .await
        .expect_error(400, "InvalidArgument");
    s3.complete_upload("box/m", &id, &parts, &[("x-amz-blobfish-part-bytes-min", "1000")])
        .await
        .expect_success();
    assert_eq!(s3.get_object("box/m", &[]).await.expect_success().body.len(), 1010);
    server.stop().await;
}

/// Like boto3's `object_versions.delete_object()`: lists a page, deletes its versions, and lists the next page.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_continues_after_a_deleted_version() {
    let folder = tempfile::tempdir().unwrap();
    let server = start_with_bucket(folder.path()).await;
    let s3 = &server.client;
    for key in ["a", "b", "c"] {
        s3.put_object(&format!("box/{key}"), &[], b"x").await.expect_success();
    }
    s3.set_versioning("box", "Enabled").await;
    s3.put_object("box/b", &[], b"newer").await.expect_success();
    s3.set_versioning("box", "Suspended").await;
    s3.delete_object("box/c", "").await.expect_success();
    let (mut query, mut seen) = ("versions=&max-keys=1".to_owned(), Vec::new());
    loop {
        let page = s3.send("GET", "box", &query, &[], b"").await.expect_success();
        let (key, version) = (page.element_text("Key"), page.element_text("VersionId"));
        s3.delete_object(&format!("box/{key}"), &format!("versionId={version}")).await.expect_success();
        seen.push(key);
        if page.element_text("IsTruncated") == "false" {
            break;
        }
        let (key, place) = (page.element_text("NextKeyMarker"), page.element_text("NextVersionIdMarker"));
        query = format!("versions=&max-keys=1&key-marker={key}&version-id-marker={place}");
    }
    assert_eq!(seen, ["a", "b", "b", "c"]);
    assert_eq!(s3.delete_object("box", "").await.expect_success().status, 204);
    // A version ID works as the marker too. An invalid ID is rejected.
    s3.put_object("box", &[], b"").await.expect_success();
    s3.put_object("box/z", &[], b"x").await.expect_success();
    let after = |id: &str| format!("versions=&key-marker=b&version-id-marker={id}");
    assert_eq!(
        s3.send("GET", "box", &after("null"), &[], b"").await.expect_success().element_texts("Key"),
        ["z"]
    );
    s3.send("GET", "box", &after("nonsense"), &[], b"").await.expect_error(400, "InvalidArgument");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_without_parts_has_one_part() {
    let folder = tempfile::tempdir().unwrap();
    let server = start_with_bucket(folder.path()).await;
    let s3 = &server.client;
    s3.put_object("box/a", &[("content-md5", &compute_md5_base64(b"hello"))], b"hello")
        .await
        .expect_success();
    let one = s3.send("GET", "box/a", "partNumber=1", &[], b"").await.expect_success();
    assert_eq!(
        (one.status.as_u16(), one.header("content-range"), one.text().as_str()),
        (206, Some("bytes 0-4/5"), "hello")
    );
    let two = s3.send("GET", "box/a", "partNumber=2", &[], b"").await.expect_error(416, "InvalidPartNumber");
    assert_eq!(two.element_text("ActualPartCount"), "1");
    assert_eq!(s3.send("HEAD", "box/a", "partNumber=2", &[], b"").await.status, 416);
    let lock =
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
    s3.send(
        "PUT",
        "box",
        "object-lock=",
        &[("content-md5", &compute_md5_base64(lock.as_bytes()))],
        lock.as_bytes(),
    )
    .await
    .expect_error(409, "InvalidBucketState");
    server.stop().await;
}
