//! Appends to objects: offsets, attributes of the first append, checksums of the result.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use blobfish_store::Location;
use support::{TestClient, TestResponse, TestServer, compute_md5_hex};

const CRC64: &str = "x-blobfish-hash-crc64ecma";

async fn start_with_bucket() -> TestServer {
    let server = TestServer::start(Location::Memory).await;
    server.client.put_object("box", &[], b"").await.expect_success();
    server
}

async fn append_object(
    s3: &TestClient,
    key: &str,
    offset: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> TestResponse {
    let mut all = vec![("x-amz-write-offset-bytes", offset)];
    all.extend_from_slice(headers);
    s3.put_object(key, &all, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_build_one_object() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    let one = append_object(s3, "box/a", "0", &[("x-amz-meta-a", "b"), ("content-type", "x/y")], b"hello ")
        .await
        .expect_success();
    assert_eq!(
        (one.header("x-amz-object-size"), one.header("etag")),
        (Some("6"), Some("\"f814893777bcc2295fff05f00e508da6\""))
    );
    let two =
        append_object(s3, "box/a", "6", &[("x-amz-meta-a", "not taken")], b"world").await.expect_success();
    // CRC-64/XZ of "hello world" by Python's crcmod, CRC64NVME as in the digests' own tests.
    assert_eq!(
        (two.header("x-amz-object-size"), two.header(CRC64), two.header("x-amz-checksum-crc64nvme")),
        (Some("11"), Some("5981764153023615706"), Some("jSnVw/bqjr4="))
    );
    let got = s3.get_object("box/a", &[("x-amz-checksum-mode", "ENABLED")]).await.expect_success();
    assert_eq!(got.text(), "hello world");
    assert_eq!(
        (got.header("x-amz-meta-a"), got.header("content-type"), got.header("x-blobfish-object-type")),
        (Some("b"), Some("x/y"), Some("Appendable"))
    );
    assert_eq!(got.header("etag"), two.header("etag"));
    assert_ne!(got.header("etag"), Some(format!("\"{}\"", compute_md5_hex(b"hello world")).as_str()));
    assert_eq!(got.header("x-amz-checksum-crc64nvme"), Some("jSnVw/bqjr4="));
    assert_eq!(s3.get_object("box/a", &[("range", "bytes=4-7")]).await.expect_success().text(), "o wo");
    // An empty append changes nothing, and neither does one with a wrong digest.
    assert_eq!(
        append_object(s3, "box/a", "11", &[], b"").await.expect_success().header("etag"),
        two.header("etag")
    );
    append_object(s3, "box/a", "11", &[("x-amz-checksum-crc32", "AAAAAA==")], b"!")
        .await
        .expect_error(400, "BadDigest");
    assert_eq!(s3.get_object("box/a", &[]).await.expect_success().text(), "hello world");
    // The copy is a normal object.
    s3.copy_object("box/a", "box/copy", &[]).await.expect_success();
    let copy = s3.get_object("box/copy", &[]).await.expect_success();
    assert_eq!((copy.text().as_str(), copy.header("x-blobfish-object-type")), ("hello world", None));
    append_object(s3, "box/copy", "11", &[], b"!").await.expect_error(409, "ObjectNotAppendable");
    s3.delete_object("box/a", "").await.expect_success();
    assert_eq!(s3.get_object("box/copy", &[]).await.expect_success().text(), "hello world");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_an_append_at_another_offset() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    let wrong = append_object(s3, "box/a", "1", &[], b"x").await.expect_error(400, "InvalidWriteOffset");
    assert_eq!(wrong.header("x-amz-object-size"), Some("0"));
    append_object(s3, "box/a", "0", &[], b"abc").await.expect_success();
    for offset in ["0", "2", "4"] {
        let wrong =
            append_object(s3, "box/a", offset, &[], b"x").await.expect_error(400, "InvalidWriteOffset");
        assert_eq!(wrong.header("x-amz-object-size"), Some("3"));
    }
    for offset in ["-1", "x", ""] {
        append_object(s3, "box/a", offset, &[], b"x").await.expect_error(400, "InvalidArgument");
    }
    s3.put_object("box/plain", &[], b"abc").await.expect_success();
    append_object(s3, "box/plain", "3", &[], b"x").await.expect_error(409, "ObjectNotAppendable");
    append_object(s3, "box/a", "3", &[("if-none-match", "*")], b"x")
        .await
        .expect_error(501, "NotImplemented");
    append_object(s3, "none/a", "0", &[], b"x").await.expect_error(404, "NoSuchBucket");
    s3.copy_object("box/plain", "box/c", &[("x-amz-write-offset-bytes", "0")])
        .await
        .expect_error(501, "NotImplemented");
    assert_eq!(s3.get_object("box/a", &[]).await.expect_success().text(), "abc");
    // Of several concurrent appends at one offset, one succeeds.
    let racing: Vec<_> = (0..8)
        .map(|_| {
            let s3 = s3.clone();
            tokio::spawn(async move { append_object(&s3, "box/a", "3", &[], b"def").await.status })
        })
        .collect();
    let mut right = 0;
    for one in racing {
        right += usize::from(one.await.unwrap() == 200);
    }
    assert_eq!((right, s3.get_object("box/a", &[]).await.expect_success().text().as_str()), (1, "abcdef"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_changes_the_current_version() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    s3.set_versioning("box", "Enabled").await;
    let one = append_object(s3, "box/a", "0", &[], b"a").await.expect_success();
    let two = append_object(s3, "box/a", "1", &[], b"b").await.expect_success();
    assert_eq!(one.header("x-amz-version-id"), two.header("x-amz-version-id"));
    assert_eq!(
        s3.send("GET", "box", "versions=", &[], b"").await.expect_success().element_texts("VersionId").len(),
        1
    );
    s3.delete_object("box/a", "").await.expect_success();
    append_object(s3, "box/a", "2", &[], b"c").await.expect_error(400, "InvalidWriteOffset");
    append_object(s3, "box/a", "0", &[], b"c").await.expect_success();
    assert_eq!(s3.get_object("box/a", &[]).await.expect_success().text(), "c");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_append_uses_the_encryption_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Dir(folder.path().to_owned());
    let server = TestServer::start(location.clone()).await;
    let s3 = &server.client;
    s3.put_object("box", &[], b"").await.expect_success();
    let sealed = [("x-amz-server-side-encryption", "AES256")];
    append_object(s3, "box/a", "0", &sealed, b"SECRET one ").await.expect_success();
    append_object(s3, "box/a", "11", &[], b"SECRET two").await.expect_success();
    assert_eq!(s3.get_object("box/a", &[]).await.expect_success().text(), "SECRET one SECRET two");
    for shard in std::fs::read_dir(folder.path().join("data")).unwrap() {
        for file in std::fs::read_dir(shard.unwrap().path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(6).any(|piece| piece == b"SECRET"));
        }
    }
    server.stop().await;
    let server = TestServer::start(location).await;
    let s3 = &server.client;
    append_object(s3, "box/a", "21", &[], b"!").await.expect_success();
    assert_eq!(s3.get_object("box/a", &[]).await.expect_success().text(), "SECRET one SECRET two!");
    server.stop().await;
}
