//! Integrity, encryption, durability, limits and authentication.

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
use base64::{Engine as _, engine::general_purpose::STANDARD};
use blobfish_store::{Location, OpenError, Store};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{
    TestClient, TestResponse, TestServer, build_options, compute_md5_base64, compute_md5_hex, full_body,
};

const HELLO: &[u8] = b"hello world";

async fn start_with_bucket() -> TestServer {
    let server = TestServer::start(Location::Memory).await;
    server.client.put_object("box", &[], b"").await.expect_success();
    server
}

fn list_data_files(folder: &Path) -> Vec<PathBuf> {
    let shards = std::fs::read_dir(folder.join("data")).unwrap().map(|shard| shard.unwrap().path());
    shards.flat_map(|shard| std::fs::read_dir(shard).unwrap().map(|file| file.unwrap().path())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_digest_stores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(Location::Dir(folder.path().to_owned())).await;
    let s3 = &server.client;
    s3.put_object("box", &[], b"").await.expect_success();
    let wrong_md5 = compute_md5_base64(b"x");
    for (name, good, bad) in [
        ("content-md5", "XrY7u+Ae7tCTyyK7j1rNww==", wrong_md5.as_str()),
        ("x-amz-checksum-crc32", "DUoRhQ==", "DUoRhA=="),
        ("x-amz-checksum-crc32c", "yZRlqg==", "yZRlqA=="),
        ("x-amz-checksum-crc64nvme", "jSnVw/bqjr4=", "jSnVw/bqjr8="),
        ("x-amz-checksum-sha1", "Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "Kq5sNclPz7QV2+lfQIuc6R7oRu4="),
        (
            "x-amz-checksum-sha256",
            "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=",
            "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzem=",
        ),
    ] {
        s3.put_object("box/bad", &[(name, bad)], HELLO)
            .await
            .expect_error(400, if bad.ends_with("em=") { "InvalidRequest" } else { "BadDigest" });
        let put = s3.put_object("box/good", &[(name, good)], HELLO).await.expect_success();
        if name != "content-md5" {
            assert_eq!(put.header(name), Some(good));
            let got = s3.get_object("box/good", &[("x-amz-checksum-mode", "ENABLED")]).await.expect_success();
            assert_eq!(
                (got.header(name), got.header("x-amz-checksum-type")),
                (Some(good), Some("FULL_OBJECT"))
            );
        }
    }
    let other_sha = STANDARD.encode([7; 32]);
    s3.put_object("box/bad", &[("x-amz-checksum-sha256", &other_sha)], HELLO)
        .await
        .expect_error(400, "BadDigest");
    s3.put_object("box/bad", &[("content-md5", "short")], HELLO).await.expect_error(400, "InvalidDigest");
    s3.put_object("box/bad", &[("x-amz-checksum-crc16", "AAA=")], HELLO)
        .await
        .expect_error(501, "NotImplemented");
    s3.put_object(
        "box/bad",
        &[("x-amz-checksum-crc32", "DUoRhQ=="), ("x-amz-checksum-sha1", "Kq5sNclPz7QV2+lfQIuc6R7oRu0=")],
        HELLO,
    )
    .await
    .expect_error(400, "InvalidRequest");
    // The signed hash of another body.
    let lie = s3
        .send_signed("PUT", "box/bad", "", &[], SignableBody::Bytes(b"hello worle"), full_body(HELLO))
        .await;
    lie.expect_error(400, "XAmzContentSHA256Mismatch");
    let lie = s3
        .send_signed(
            "PUT",
            "box",
            "versioning=",
            &[],
            SignableBody::Bytes(b"x"),
            full_body(b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
        )
        .await;
    lie.expect_error(400, "XAmzContentSHA256Mismatch");
    let id = s3.begin_upload("box/up", &[]).await;
    s3.upload_part("box/up", &id, 1, &[("content-md5", &wrong_md5)], HELLO)
        .await
        .expect_error(400, "BadDigest");
    assert!(
        s3.send("GET", "box/up", &format!("uploadId={id}"), &[], b"")
            .await
            .expect_success()
            .element_texts("PartNumber")
            .is_empty()
    );
    s3.get_object("box/bad", &[]).await.expect_error(404, "NoSuchKey");
    assert_eq!(list_data_files(folder.path()).len(), 1);
}

/// One unsigned aws-chunked body with a trailer.
async fn put_with_trailer(s3: &TestClient, key: &str, declared: usize, body: &str) -> TestResponse {
    let declared = declared.to_string();
    let headers = [
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", declared.as_str()),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
    ];
    let signed = SignableBody::Precomputed("STREAMING-UNSIGNED-PAYLOAD-TRAILER".to_owned());
    s3.send_signed("PUT", key, "", &headers, signed, full_body(body.as_bytes())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn verifies_trailers() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    let good = "6\r\nhello \r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";
    put_with_trailer(s3, "box/a", 11, good).await.expect_success();
    let got = s3.get_object("box/a", &[("x-amz-checksum-mode", "ENABLED")]).await.expect_success();
    assert_eq!(
        (got.body.as_ref(), got.header("x-amz-checksum-crc32"), got.header("content-encoding")),
        (HELLO, Some("DUoRhQ=="), None)
    );
    put_with_trailer(s3, "box/b", 11, &good.replace("DUoRhQ", "DUoRhA")).await.expect_error(400, "BadDigest");
    for (declared, cut) in [
        (11, "6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"),
        (11, "6\r\nhello \r\n5\r\nwor"),
        (11, "6\r\nhello \r\n0\r\nx-amz-checksum-crc32:7IxaKA==\r\n\r\n"),
        (10, good),
        (12, good),
        // There is no trailer, so that only the empty chunk marks the end.
        (0, ""),
    ] {
        let response = put_with_trailer(s3, "box/b", declared, cut).await;
        assert_eq!(response.status, 400, "{declared} {cut:?} {}", response.text());
    }
    s3.get_object("box/b", &[]).await.expect_error(404, "NoSuchKey");
}

/// A client that disconnects before its empty body is complete changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn rejects_a_chunked_body_without_its_last_chunk() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    let signed = [("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", "0")];
    let trailing = [signed[0], signed[1], ("x-amz-trailer", "x-amz-checksum-crc32")];
    const TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
    for (payload, headers) in [("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", &signed[..]), (TRAILER, &trailing)] {
        s3.put_object("box/old", &[], HELLO).await.expect_success();
        let get_signable_body = || SignableBody::Precomputed(payload.to_owned());
        s3.send_signed("PUT", "box/old", "", headers, get_signable_body(), full_body(b""))
            .await
            .expect_error(400, "IncompleteBody");
        let request = s3.build_request("PUT", "box/old", "", headers, get_signable_body(), full_body(b""));
        for (framing, body) in [
            ("transfer-encoding: chunked", ""),
            ("content-length: 87", "0;chunk-signature="),
            ("transfer-encoding: chunked", "3\r\n0\r\n\r\n"),
        ] {
            let mut head = "PUT /box/old HTTP/1.1\r\n".to_owned();
            for (name, value) in request.headers() {
                head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
            }
            let mut socket = tokio::net::TcpStream::connect(s3.address).await.unwrap();
            let text = format!("{head}host: {}\r\n{framing}\r\n\r\n{body}", s3.address);
            tokio::io::AsyncWriteExt::write_all(&mut socket, text.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(socket);
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(s3.get_object("box/old", &[]).await.expect_success().body, HELLO, "{framing} {body}");
        }
    }
    // A complete one is stored.
    let (payload, body) = (
        SignableBody::Precomputed(TRAILER.to_owned()),
        full_body(b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"),
    );
    s3.send_signed("PUT", "box/old", "", &trailing, payload, body).await.expect_success();
    assert_eq!(s3.get_object("box/old", &[]).await.expect_success().body, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn verifies_composite_checksums() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    let (first, last) = (vec![b'a'; 5_242_880], vec![b'b'; 10]);
    let id = s3.begin_upload("box/m", &[("x-amz-checksum-algorithm", "CRC32")]).await;
    let one = s3
        .upload_part("box/m", &id, 1, &[("x-amz-checksum-crc32", "r/zBbw==")], &first)
        .await
        .expect_success();
    let two = s3
        .upload_part("box/m", &id, 2, &[("x-amz-checksum-crc32", "Qi9M+A==")], &last)
        .await
        .expect_success();
    s3.upload_part("box/m", &id, 3, &[("x-amz-checksum-sha1", "Kq5sNclPz7QV2+lfQIuc6R7oRu0=")], HELLO)
        .await
        .expect_error(400, "InvalidRequest");
    let list = [(1, one.header("etag").unwrap()), (2, two.header("etag").unwrap())];
    s3.complete_upload("box/m", &id, &list, &[]).await.expect_error(400, "InvalidRequest");
    let part = |n: usize, sum: &str| {
        format!(
            "<Part><PartNumber>{}</PartNumber><ETag>{}</ETag><ChecksumCRC32>{sum}</ChecksumCRC32></Part>",
            list[n].0,
            list[n].1.replace('"', "")
        )
    };
    let wrong = format!(
        "<CompleteMultipartUpload>{}{}</CompleteMultipartUpload>",
        part(0, "r/zBbw=="),
        part(1, "AAAAAA==")
    );
    s3.send("POST", "box/m", &format!("uploadId={id}"), &[], wrong.as_bytes())
        .await
        .expect_error(400, "InvalidPart");
    let right = wrong.replace("AAAAAA==", "Qi9M+A==");
    s3.send(
        "POST",
        "box/m",
        &format!("uploadId={id}"),
        &[("x-amz-checksum-crc32", "AAAAAA==")],
        right.as_bytes(),
    )
    .await
    .expect_error(400, "BadDigest");
    let done = s3
        .send(
            "POST",
            "box/m",
            &format!("uploadId={id}"),
            &[("x-amz-checksum-crc32", "meG8JQ==-2")],
            right.as_bytes(),
        )
        .await
        .expect_success();
    assert_eq!(
        (done.element_text("ChecksumCRC32"), done.element_text("ChecksumType")),
        ("meG8JQ==-2".to_owned(), "COMPOSITE".to_owned())
    );
    let head = s3.head_object("box/m", &[("x-amz-checksum-mode", "ENABLED")]).await.expect_success();
    assert_eq!(head.header("x-amz-checksum-crc32"), Some("meG8JQ==-2"));
    let copied = s3.copy_object("box/m", "box/c", &[]).await.expect_success();
    assert_eq!(
        (copied.element_text("ChecksumCRC32"), copied.element_text("ChecksumType")),
        ("1FimjA==".to_owned(), "FULL_OBJECT".to_owned())
    );
}

fn build_key_headers(prefix: &str, key: &[u8; 32]) -> Vec<(String, String)> {
    vec![
        (format!("{prefix}algorithm"), "AES256".to_owned()),
        (format!("{prefix}key"), STANDARD.encode(key)),
        (format!("{prefix}key-md5"), compute_md5_base64(key)),
    ]
}

fn as_pairs(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypts_with_customer_keys() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(Location::Dir(folder.path().to_owned())).await;
    let s3 = &server.client;
    s3.put_object("box", &[], b"").await.expect_success();
    let (plain, source) =
        ("x-amz-server-side-encryption-customer-", "x-amz-copy-source-server-side-encryption-customer-");
    let (right, wrong) = (build_key_headers(plain, &[1; 32]), build_key_headers(plain, &[2; 32]));
    let from_right = build_key_headers(source, &[1; 32]);
    let (right, wrong, from_right) = (as_pairs(&right), as_pairs(&wrong), as_pairs(&from_right));
    let body: Vec<u8> = (0..600_000_u32).flat_map(|n| n.to_le_bytes()).collect();
    let put = s3.put_object("box/a", &right, &body).await.expect_success();
    assert_eq!(put.header("x-amz-server-side-encryption-customer-key-md5"), Some(right[2].1));
    assert_ne!(put.header("etag").unwrap().trim_matches('"'), compute_md5_hex(&body));
    for method in ["GET", "HEAD"] {
        let status =
            async |headers: &[(&str, &str)]| s3.send(method, "box/a", "", headers, b"").await.status.as_u16();
        assert_eq!(
            (status(&right).await, status(&wrong).await, status(&[]).await),
            (200, 403, 400),
            "{method}"
        );
    }
    s3.get_object("box/a", &[]).await.expect_error(400, "InvalidRequest");
    s3.get_object("box/a", &wrong).await.expect_error(403, "AccessDenied");
    assert_eq!(s3.get_object("box/a", &right).await.expect_success().body, body);
    let range = s3
        .get_object("box/a", &[right.as_slice(), &[("range", "bytes=1000003-1900000")]].concat())
        .await
        .expect_success();
    assert_eq!(range.body, body[1_000_003..=1_900_000]);

    // The disk contains no plain byte of it, but every byte of an unencrypted object.
    let on_disk = || {
        list_data_files(folder.path())
            .iter()
            .any(|file| std::fs::read(file).unwrap().windows(64).step_by(4).any(|w| w == &body[4096..4160]))
    };
    assert!(!on_disk());
    s3.copy_object("box/a", "box/open", &[]).await.expect_error(400, "InvalidRequest");
    s3.copy_object("box/a", "box/open", &from_right).await.expect_success();
    assert!(on_disk());
    assert_eq!(s3.get_object("box/open", &[]).await.expect_success().body, body);
    s3.get_object("box/open", &right).await.expect_error(400, "InvalidRequest");
    s3.copy_object("box/open", "box/x", &from_right).await.expect_error(400, "InvalidRequest");
    s3.copy_object("box/a", "box/b", &[from_right.as_slice(), &wrong].concat()).await.expect_success();
    s3.delete_object("box/a", "").await.expect_success();
    assert_eq!(s3.get_object("box/b", &wrong).await.expect_success().body, body);
    s3.get_object("box/b", &right).await.expect_error(403, "AccessDenied");

    let id = s3.begin_upload("box/m", &right).await;
    s3.upload_part("box/m", &id, 1, &[], HELLO).await.expect_error(400, "InvalidRequest");
    s3.upload_part("box/m", &id, 1, &wrong, HELLO).await.expect_error(400, "InvalidRequest");
    let one = s3
        .upload_part("box/m", &id, 1, &right, &[body.as_slice(), &body, &body].concat())
        .await
        .expect_success()
        .header("etag")
        .unwrap()
        .to_owned();
    let two = s3
        .upload_part("box/m", &id, 2, &[right.as_slice(), &[("x-amz-copy-source", "box/open")]].concat(), b"")
        .await
        .expect_success()
        .element_text("ETag");
    s3.complete_upload("box/m", &id, &[(1, &one), (2, &two)], &right).await.expect_success();
    let whole = s3.get_object("box/m", &right).await.expect_success().body;
    assert_eq!(compute_md5_hex(&whole), compute_md5_hex(&[body.as_slice(), &body, &body, &body].concat()));
    s3.get_object("box/m", &wrong).await.expect_error(403, "AccessDenied");

    for (change, code) in [
        ((0, "AES128"), "InvalidEncryptionAlgorithmError"),
        ((1, "short"), "InvalidArgument"),
        ((2, "AAAA"), "InvalidArgument"),
    ] {
        let mut headers = right.clone();
        headers[change.0].1 = change.1;
        s3.put_object("box/y", &headers, HELLO).await.expect_error(400, code);
    }
    s3.put_object("box/y", &right[..1], HELLO).await.expect_error(400, "InvalidArgument");
    s3.put_object("box/y", &right[1..], HELLO).await.expect_error(400, "InvalidArgument");
    s3.put_object(
        "box/y",
        &[right.as_slice(), &[("x-amz-server-side-encryption", "AES256")]].concat(),
        HELLO,
    )
    .await
    .expect_error(400, "InvalidArgument");
    s3.put_object("box/y", &[("x-amz-server-side-encryption", "aws:kms")], HELLO)
        .await
        .expect_error(501, "NotImplemented");
    s3.get_object("box/y", &[]).await.expect_error(404, "NoSuchKey");
}

#[tokio::test(flavor = "multi_thread")]
async fn managed_encryption_survives_a_restart_and_a_lost_key_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Dir(folder.path().to_owned());
    let server = TestServer::start(location.clone()).await;
    server.client.put_object("box", &[], b"").await.expect_success();
    let put = server
        .client
        .put_object("box/a", &[("x-amz-server-side-encryption", "AES256")], HELLO)
        .await
        .expect_success();
    assert_eq!(put.header("x-amz-server-side-encryption"), Some("AES256"));
    assert_ne!(std::fs::read(&list_data_files(folder.path())[0]).unwrap(), HELLO);
    server.stop().await;
    let file = folder.path().join("master.key");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let server = TestServer::start(location.clone()).await;
    assert_eq!(server.client.get_object("box/a", &[]).await.expect_success().body, HELLO);
    server.stop().await;
    let key = std::fs::read(&file).unwrap();
    std::fs::write(&file, [0; 32]).unwrap();
    assert!(matches!(Store::open(build_options(location.clone())), Err(OpenError::MasterKey(_))));
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(Store::open(build_options(location.clone())), Err(OpenError::MasterKey(_))));
    std::fs::write(&file, key).unwrap();
    assert!(Store::open(build_options(location)).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn reopening_keeps_all_objects_and_removes_unused_files() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Dir(folder.path().to_owned());
    let server = TestServer::start(location.clone()).await;
    let s3 = &server.client;
    s3.put_object("box", &[], b"").await.expect_success();
    s3.set_versioning("box", "Enabled").await;
    s3.put_object("box/a", &[("x-amz-meta-a", "1")], b"one").await.expect_success();
    s3.put_object("box/a", &[], b"two").await.expect_success();
    s3.copy_object("box/a", "box/b", &[]).await.expect_success();
    let id = s3.begin_upload("box/m", &[]).await;
    let etag =
        s3.upload_part("box/m", &id, 1, &[], HELLO).await.expect_success().header("etag").unwrap().to_owned();
    assert_eq!(list_data_files(folder.path()).len(), 3);
    assert!(matches!(Store::open(build_options(location.clone())), Err(OpenError::InUse(_))));
    server.stop().await;

    // The state after a crash between writing the file and the row.
    let shard = folder.path().join("data/ab");
    std::fs::create_dir_all(&shard).unwrap();
    std::fs::write(shard.join("ab00000000000000000000000000cafe"), b"left over").unwrap();
    assert_eq!(list_data_files(folder.path()).len(), 4);
    let server = TestServer::start(location).await;
    assert_eq!(list_data_files(folder.path()).len(), 3);
    let s3 = &server.client;
    assert_eq!(s3.get_object("box/a", &[]).await.expect_success().body, "two");
    assert_eq!(s3.get_object("box/b", &[]).await.expect_success().body, "two");
    let old = s3
        .send("GET", "box", "versions=&prefix=a", &[], b"")
        .await
        .expect_success()
        .element_texts("VersionId");
    let first = s3.send("GET", "box/a", &format!("versionId={}", old[1]), &[], b"").await.expect_success();
    assert_eq!((first.text().as_str(), first.header("x-amz-meta-a")), ("one", Some("1")));
    s3.complete_upload("box/m", &id, &[(1, &etag)], &[]).await.expect_success();
    assert_eq!(s3.get_object("box/m", &[]).await.expect_success().body, HELLO);
    for version in old {
        s3.delete_object("box/a", &format!("versionId={version}")).await.expect_success();
    }
    assert_eq!(list_data_files(folder.path()).len(), 2, "the bytes shared with box/b stay");
    assert_eq!(s3.get_object("box/b", &[]).await.expect_success().body, "two");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_puts_leave_one_complete_object() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(Location::Dir(folder.path().to_owned())).await;
    let s3 = &server.client;
    s3.put_object("box", &[], b"").await.expect_success();
    let puts = (0..16_u8).map(|n| {
        let s3 = s3.clone();
        tokio::spawn(async move { s3.put_object("box/a", &[], &vec![n; 300_000]).await.expect_success() })
    });
    for put in puts.collect::<Vec<_>>() {
        put.await.unwrap();
    }
    let got = s3.get_object("box/a", &[]).await.expect_success();
    assert_eq!(got.body.len(), 300_000);
    assert!(got.body.iter().all(|byte| *byte == got.body[0]));
    assert_eq!(got.header("etag").unwrap().trim_matches('"'), compute_md5_hex(&got.body));
    assert_eq!(list_data_files(folder.path()).len(), 1);
    // Of several puts with If-None-Match, exactly one succeeds.
    let firsts = (0..8_u8).map(|n| {
        let s3 = s3.clone();
        tokio::spawn(async move {
            s3.put_object("box/first", &[("if-none-match", "*")], &[n]).await.status.as_u16()
        })
    });
    let mut statuses = Vec::new();
    for first in firsts.collect::<Vec<_>>() {
        statuses.push(first.await.unwrap());
    }
    assert_eq!(
        (statuses.iter().filter(|s| **s == 200).count(), statuses.iter().filter(|s| **s == 412).count()),
        (1, 7)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_can_finish_after_the_object_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start(Location::Dir(folder.path().to_owned())).await;
    let s3 = &server.client;
    s3.put_object("box", &[], b"").await.expect_success();
    let id = s3.begin_upload("box/a", &[]).await;
    let mut etags = Vec::new();
    for number in 1..=4 {
        let body = vec![b'0' + u8::try_from(number).unwrap(); 6 * 1024 * 1024];
        etags.push((
            number,
            s3.upload_part("box/a", &id, number, &[], &body)
                .await
                .expect_success()
                .header("etag")
                .unwrap()
                .to_owned(),
        ));
    }
    let list: Vec<(u32, &str)> = etags.iter().map(|(number, etag)| (*number, etag.as_str())).collect();
    s3.complete_upload("box/a", &id, &list, &[]).await.expect_success();
    let request = s3.build_request("GET", "box/a", "", &[], SignableBody::Bytes(b""), full_body(b""));
    let mut body = s3.send_for_head(request).await.into_body();
    let mut got = body.frame().await.unwrap().unwrap().into_data().unwrap().len();
    s3.delete_object("box/a", "").await.expect_success();
    s3.get_object("box/a", &[]).await.expect_error(404, "NoSuchKey");
    let mut last = 0;
    while let Some(frame) = body.frame().await {
        let bytes = frame.unwrap().into_data().unwrap();
        got += bytes.len();
        last = *bytes.last().unwrap();
    }
    assert_eq!((got, last), (24 * 1024 * 1024, b'4'));
    for _ in 0..100 {
        if list_data_files(folder.path()).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the files stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn accepts_only_the_right_access_key() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    s3.put_object("box/a", &[], HELLO).await.expect_success();
    let mut other = s3.clone();
    other.secret_key = "wrong".to_owned();
    other.get_object("box/a", &[]).await.expect_error(403, "SignatureDoesNotMatch");
    other.put_object("box/b", &[], HELLO).await.expect_error(403, "SignatureDoesNotMatch");
    other.secret_key = support::SECRET.to_owned();
    other.access_key = "AKOTHER".to_owned();
    other.get_object("box/a", &[]).await.expect_error(403, "InvalidAccessKeyId");
    s3.send("POST", "box", "", &[("content-type", "multipart/form-data; boundary=x")], b"--x--")
        .await
        .expect_error(501, "NotImplemented");
    let bare = http::Request::get(format!("http://{}/box/a", s3.address)).body(full_body(b"")).unwrap();
    s3.send_raw(bare).await.expect_error(403, "AccessDenied");
    // Signed, then changed: another path, another header, an unsigned header.
    let build_signed_request =
        || s3.build_request("GET", "box/a", "", &[], SignableBody::Bytes(b""), full_body(b""));
    s3.send_raw(build_signed_request()).await.expect_success();
    let mut moved = build_signed_request();
    *moved.uri_mut() = format!("http://{}/box/other", s3.address).parse().unwrap();
    s3.send_raw(moved).await.expect_error(403, "SignatureDoesNotMatch");
    let mut added = build_signed_request();
    added.headers_mut().insert("x-amz-meta-evil", "1".parse().unwrap());
    assert_eq!(
        s3.send_raw(added).await.expect_error(403, "AccessDenied").element_text("HeadersNotSigned"),
        "x-amz-meta-evil"
    );
    let mut copied = s3.build_request("PUT", "box/b", "", &[], SignableBody::Bytes(b""), full_body(b""));
    copied.headers_mut().insert("x-amz-copy-source", "box/a".parse().unwrap());
    s3.send_raw(copied).await.expect_error(403, "AccessDenied");
    s3.get_object("box/b", &[]).await.expect_error(404, "NoSuchKey");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_limited_and_freed() {
    let store = Store::open_with_memory_limit(build_options(Location::Memory), 3_000_000).unwrap();
    let server = TestServer::with_store(store).await;
    let s3 = &server.client;
    s3.put_object("box", &[], b"").await.expect_success();
    let two = vec![7; 2_000_000];
    s3.put_object("box/a", &[], &two).await.expect_success();
    for _ in 0..3 {
        s3.put_object("box/b", &[], &two).await.expect_error(507, "InsufficientStorage");
    }
    s3.put_object("box/small", &[], &two[..900_000]).await.expect_success();
    s3.copy_object("box/a", "box/shared", &[]).await.expect_success();
    s3.delete_object("box/small", "").await.expect_success();
    s3.delete_object("box/a", "").await.expect_success();
    s3.put_object("box/b", &[], &two).await.expect_error(507, "InsufficientStorage");
    s3.delete_object("box/shared", "").await.expect_success();
    s3.put_object("box/b", &[], &two).await.expect_success();
    assert_eq!(s3.get_object("box/b", &[]).await.expect_success().body, two);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_reaches_a_client_that_is_still_sending() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    s3.put_object("box", &[], b"").await.expect_success();
    let mut other = s3.clone();
    other.secret_key = "wrong".to_owned();
    let large = vec![7; 16_000_000];
    for _ in 0..4 {
        other.put_object("box/a", &[], &large).await.expect_error(403, "SignatureDoesNotMatch");
        s3.put_object("nobox/a", &[], &large).await.expect_error(404, "NoSuchBucket");
    }
    s3.put_object("box/a", &[], &large).await.expect_success();
}

/// Runs this test program again as a server that can be killed.
struct OtherProcess {
    child: Child,
    s3: TestClient,
}

impl OtherProcess {
    async fn start(folder: &Path) -> Self {
        let port_file = folder.join("port");
        let _ = std::fs::remove_file(&port_file);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "other_process", "--ignored"]).env("BLOBFISH_STORE_TEST_DIR", folder);
        let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let mut other =
            Self { child: command.stdout(Stdio::null()).spawn().unwrap(), s3: TestClient::new(nowhere) };
        for _ in 0..500 {
            if let Ok(Ok(address)) = std::fs::read_to_string(&port_file).map(|text| text.parse()) {
                other.s3 = TestClient::new(address);
                // The lock also works between processes.
                let location = Location::Dir(folder.join("store"));
                assert!(matches!(Store::open(build_options(location)), Err(OpenError::InUse(_))));
                return other;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the other process did not start");
    }

    /// Starts a server with its directory on a separate disk. Returns `None` if this machine does not allow a mount.
    #[cfg(target_os = "linux")]
    async fn start_on_small_disk(folder: &Path, megabytes: u32) -> Option<Self> {
        const MOUNT: &str = "mount -t tmpfs -o size=\"$1\" tmpfs \"$2\" && shift 2 && exec \"$@\"";
        std::fs::create_dir(folder.join("store")).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", MOUNT, "sh", &format!("{megabytes}m")]);
        command.arg(folder.join("store")).arg(std::env::current_exe().unwrap());
        command.args(["--exact", "other_process", "--ignored"]).env("BLOBFISH_STORE_TEST_DIR", folder);
        let mut child = command.stdout(Stdio::null()).spawn().ok()?;
        for _ in 0..500 {
            if let Ok(Ok(address)) = std::fs::read_to_string(folder.join("port")).map(|text| text.parse()) {
                return Some(Self { child, s3: TestClient::new(address) });
            }
            if child.try_wait().unwrap().is_some() {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the other process did not start");
    }

    /// Kibibytes: VmHWM or VmRSS.
    fn read_memory_kib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "the body of the other process"]
fn other_process() {
    let Some(folder) = std::env::var_os("BLOBFISH_STORE_TEST_DIR").map(PathBuf::from) else { return };
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(
        async {
            let server = TestServer::start(Location::Dir(folder.join("store"))).await;
            std::fs::write(folder.join("port.new"), server.client.address.to_string()).unwrap();
            std::fs::rename(folder.join("port.new"), folder.join("port")).unwrap();
            std::future::pending::<()>().await;
        },
    );
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_never_exposes_part_of_an_object() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0_u32;
    for round in 0..4_u32 {
        let mut other = OtherProcess::start(folder.path()).await;
        let s3 = other.s3.clone();
        s3.put_object("box", &[], b"").await.expect_success();
        let writer = tokio::spawn({
            let s3 = s3.clone();
            async move {
                let mut done = 0;
                for n in 0.. {
                    let body = vec![u8::try_from(n % 251).unwrap(); 2_000_000];
                    let request = s3.build_request(
                        "PUT",
                        &format!("box/{round}-{n}"),
                        "",
                        &[],
                        SignableBody::Bytes(&body),
                        full_body(&body),
                    );
                    let put = tokio::time::timeout(
                        Duration::from_secs(5),
                        tokio::spawn({
                            let s3 = s3.clone();
                            async move { s3.send_raw(request).await.status.is_success() }
                        }),
                    );
                    match put.await {
                        Ok(Ok(true)) => done = n + 1,
                        _ => break,
                    }
                }
                done
            }
        });
        tokio::time::sleep(Duration::from_millis(400 + u64::from(round) * 137)).await;
        other.child.kill().unwrap();
        other.child.wait().unwrap();
        let done: u32 = writer.await.unwrap();
        acknowledged += done;
        let store = folder.path().join("store");
        let server = TestServer::start(Location::Dir(store.clone())).await;
        let s3 = &server.client;
        for n in 0..done {
            s3.head_object(&format!("box/{round}-{n}"), &[]).await.expect_success();
        }
        let keys = s3.get_object("box", &[]).await.expect_success().element_texts("Key");
        for key in &keys {
            let got = s3.get_object(&format!("box/{key}"), &[]).await.expect_success();
            assert_eq!(
                (got.body.len(), got.header("etag").unwrap().trim_matches('"')),
                (2_000_000, compute_md5_hex(&got.body).as_str())
            );
        }
        assert_eq!(list_data_files(&store).len(), keys.len());
        server.stop().await;
    }
    assert!(acknowledged > 0, "nothing was ever written");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn recovers_from_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let Some(other) = OtherProcess::start_on_small_disk(folder.path(), 32).await else {
        return println!("no disk of its own: not tested");
    };
    let s3 = &other.s3;
    s3.put_object("box", &[], b"").await.expect_success();
    s3.put_object("box/kept", &[], HELLO).await.expect_success();
    let full_at = |size: usize| async move {
        for n in 0..40_000_u32 {
            let response = s3.put_object(&format!("box/{size}-{n}"), &[], &vec![7; size]).await;
            if !response.status.is_success() {
                response.expect_error(507, "InsufficientStorage");
                return n;
            }
        }
        panic!("the disk was never full");
    };
    assert!(full_at(1_000_000).await > 5);
    full_at(5_000).await;
    // Another file uses the space that was reserved for the database.
    let disk = PathBuf::from(format!("/proc/{}/root", other.child.id()));
    let junk = disk.join(folder.path().strip_prefix("/").unwrap()).join("store/junk");
    let mut file = std::fs::File::create(&junk).unwrap();
    while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
    drop(file);
    let mut rejected = 0;
    for n in 0..20_000 {
        // These grow only the database.
        let response = s3.send("POST", &format!("box/{n:0>1000}"), "uploads=", &[], b"").await;
        if !response.status.is_success() {
            response.expect_error(507, "InsufficientStorage");
            rejected += 1;
        }
        // Objects stay readable all the time.
        assert_eq!(s3.get_object("box/kept", &[]).await.expect_success().body, HELLO, "{n}");
        if rejected == 3 {
            break;
        }
    }
    assert_eq!(rejected, 3, "the database was never full");
    std::fs::remove_file(junk).unwrap();
    assert_eq!(s3.get_object("box/kept", &[]).await.expect_success().body, HELLO);
    s3.begin_upload("box/kept", &[]).await;
    for n in 0..5 {
        s3.delete_object(&format!("box/1000000-{n}"), "").await.expect_success();
    }
    s3.put_object("box/new", &[], &vec![7; 1_000_000]).await.expect_success();
    assert_eq!(s3.get_object("box/new", &[]).await.expect_success().body.len(), 1_000_000);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_need_little_memory() {
    const CHUNK: usize = 64 * 1024;
    const CHUNKS: usize = 1024;
    let folder = tempfile::tempdir().unwrap();
    let other = OtherProcess::start(folder.path()).await;
    let s3 = &other.s3;
    s3.put_object("box", &[], b"").await.expect_success();
    s3.put_object("box/warm", &[], HELLO).await.expect_success();
    let before = other.read_memory_kib("VmRSS");
    let chunks = stream::iter(0..CHUNKS).map(|n| {
        let byte = u8::try_from(n % 256).unwrap();
        Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![byte; CHUNK])))
    });
    let length = (CHUNK * CHUNKS).to_string();
    let body = http_body_util::BodyExt::boxed(StreamBody::new(chunks));
    let headers = [("content-length", length.as_str()), ("x-amz-server-side-encryption", "AES256")];
    s3.send_signed("PUT", "box/big", "", &headers, SignableBody::UnsignedPayload, body)
        .await
        .expect_success();
    let request = s3.build_request("GET", "box/big", "", &[], SignableBody::Bytes(b""), full_body(b""));
    let mut body = s3.send_for_head(request).await.into_body();
    let mut got = 0;
    while let Some(frame) = body.frame().await {
        let mut bytes = frame.unwrap().into_data().unwrap();
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(CHUNK - got % CHUNK));
            let byte = u8::try_from(got / CHUNK % 256).unwrap();
            assert!(piece == vec![byte; piece.len()], "byte {got}");
            got += piece.len();
        }
    }
    assert_eq!(got, CHUNK * CHUNKS);
    let grown = other.read_memory_kib("VmHWM").saturating_sub(before);
    assert!(grown < 24 * 1024, "64 MiB took {grown} KiB");
}
