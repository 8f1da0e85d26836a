//! Buckets, objects, listings, versions, copies and uploads over real signed HTTP.

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
use support::{
    TestClient, TestServer, build_hostile_keys, compute_md5_base64, compute_md5_hex, percent_decode,
    percent_encode,
};

const HELLO: &[u8] = b"hello world";
const HELLO_ETAG: &str = "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"";
const PAST: &str = "Mon, 01 Jan 2001 00:00:00 GMT";
const FUTURE: &str = "Wed, 01 Jan 2070 00:00:00 GMT";

async fn start_with_bucket() -> TestServer {
    let server = TestServer::start(Location::Memory).await;
    server.client.put_object("box", &[], b"").await.expect_success();
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_lists_and_deletes_buckets() {
    let server = TestServer::start(Location::Memory).await;
    let s3 = &server.client;
    s3.head_object("box", &[]).await.expect_empty_error(404);
    s3.get_object("box", &[]).await.expect_error(404, "NoSuchBucket");
    assert_eq!(s3.put_object("box", &[], b"").await.expect_success().header("location"), Some("/box"));
    s3.put_object("box", &[], b"").await.expect_success();
    s3.put_object("Bad_Name", &[], b"").await.expect_error(400, "InvalidBucketName");
    let west = "<CreateBucketConfiguration><LocationConstraint>us-west-2</LocationConstraint></CreateBucketConfiguration>";
    s3.put_object("west", &[], west.as_bytes()).await.expect_success();
    s3.put_object("west", &[], west.as_bytes()).await.expect_error(409, "BucketAlreadyOwnedByYou");
    assert_eq!(
        s3.head_object("west", &[]).await.expect_success().header("x-amz-bucket-region"),
        Some("us-west-2")
    );
    let location = s3.send("GET", "west", "location=", &[], b"").await.expect_success().text();
    assert!(location.contains(">us-west-2</LocationConstraint>"), "{location}");
    assert!(!s3.send("GET", "box", "location=", &[], b"").await.expect_success().text().contains("us-west"));
    assert_eq!(
        s3.send("GET", "", "", &[], b"").await.expect_success().element_texts("Name"),
        ["box", "west"]
    );
    let acl = s3.send("GET", "box", "acl=", &[], b"").await.expect_success();
    assert!(
        acl.text().contains("xsi:type=\"CanonicalUser\"") && acl.text().contains("FULL_CONTROL"),
        "{}",
        acl.text()
    );
    assert_eq!(
        s3.send("GET", "box", "versioning=", &[], b"").await.expect_success().element_text("Status"),
        ""
    );
    s3.set_versioning("box", "Enabled").await;
    assert_eq!(
        s3.send("GET", "box", "versioning=", &[], b"").await.expect_success().element_text("Status"),
        "Enabled"
    );
    s3.send("PUT", "box", "versioning=", &[], b"<VersioningConfiguration/>")
        .await
        .expect_error(400, "IllegalVersioningConfigurationException");
    s3.send("PUT", "box", "versioning=", &[], b"<VersioningConfiguration")
        .await
        .expect_error(400, "MalformedXML");

    s3.put_object("box/a", &[], HELLO).await.expect_success();
    s3.delete_object("box", "").await.expect_error(409, "BucketNotEmpty");
    let marker = s3.delete_object("box/a", "").await.expect_success();
    s3.delete_object("box", "").await.expect_error(409, "BucketNotEmpty");
    for version in
        s3.send("GET", "box", "versions=", &[], b"").await.expect_success().element_texts("VersionId")
    {
        s3.delete_object("box/a", &format!("versionId={version}")).await.expect_success();
    }
    assert!(marker.header("x-amz-version-id").is_some());
    // Uploads that were not completed are deleted with the bucket.
    let id = s3.begin_upload("box/b", &[]).await;
    let etag =
        s3.upload_part("box/b", &id, 1, &[], HELLO).await.expect_success().header("etag").unwrap().to_owned();
    assert_eq!(s3.delete_object("box", "").await.expect_success().status, 204);
    s3.delete_object("box", "").await.expect_error(404, "NoSuchBucket");
    s3.put_object("box/a", &[], HELLO).await.expect_error(404, "NoSuchBucket");
    s3.complete_upload("box/b", &id, &[(1, &etag)], &[]).await.expect_error(404, "NoSuchBucket");
    s3.put_object("box", &[], b"").await.expect_success();
    s3.complete_upload("box/b", &id, &[(1, &etag)], &[]).await.expect_error(404, "NoSuchUpload");
    assert!(
        s3.send("GET", "box", "uploads=", &[], b"")
            .await
            .expect_success()
            .element_texts("UploadId")
            .is_empty()
    );
    s3.delete_object("box", "").await.expect_success();
}

trait ExpectEmptyError {
    fn expect_empty_error(self, status: u16);
}

impl ExpectEmptyError for support::TestResponse {
    #[track_caller]
    fn expect_empty_error(self, status: u16) {
        assert_eq!((self.status.as_u16(), self.body.len()), (status, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn returns_an_object_unchanged() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    let given = [
        ("content-type", "text/plain; charset=x"),
        ("cache-control", "no-cache"),
        ("content-disposition", "attachment"),
        ("content-encoding", "gzip"),
        ("content-language", "de"),
        ("expires", "whenever"),
        ("x-amz-meta-a", "1"),
        ("x-amz-meta-b.c_d", ""),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-website-redirect-location", "/other"),
    ];
    let put = s3
        .put_object("box/a", &[given.as_slice(), &[("x-amz-tagging", "k=v&l=m%20n")]].concat(), HELLO)
        .await
        .expect_success();
    assert_eq!(put.header("etag"), Some(HELLO_ETAG));
    assert_eq!(put.header("x-amz-checksum-crc64nvme"), Some("jSnVw/bqjr4="));
    for response in [
        s3.get_object("box/a", &[]).await.expect_success(),
        s3.head_object("box/a", &[]).await.expect_success(),
    ] {
        for (name, value) in given {
            assert_eq!(response.header(name), Some(value), "{name}");
        }
        assert_eq!(response.header("x-amz-tagging-count"), Some("2"));
        assert_eq!(response.header("etag"), Some(HELLO_ETAG));
        assert_eq!(response.header("content-length"), Some("11"));
        assert_eq!(response.header("accept-ranges"), Some("bytes"));
        assert!(response.header("last-modified").is_some() && response.header("x-amz-request-id").is_some());
        assert_eq!(response.header("x-amz-checksum-crc64nvme"), None);
        assert_eq!(response.header("x-amz-version-id"), None);
    }
    assert_eq!(s3.get_object("box/a", &[]).await.body, HELLO);
    let with_sum = s3.get_object("box/a", &[("x-amz-checksum-mode", "ENABLED")]).await.expect_success();
    assert_eq!(with_sum.header("x-amz-checksum-crc64nvme"), Some("jSnVw/bqjr4="));

    s3.put_object("box/plain", &[], b"").await.expect_success();
    let plain = s3.get_object("box/plain", &[]).await.expect_success();
    assert_eq!(plain.header("content-type"), Some("binary/octet-stream"));
    assert_eq!(
        (plain.header("x-amz-storage-class"), plain.header("x-amz-tagging-count"), plain.body.len()),
        (None, None, 0)
    );

    let query = "response-content-type=a%2Fb&response-cache-control=x&response-expires=Mon%2C%2001%20Jan%202001%2000%3A00%3A00%20GMT&response-content-language=fr&response-content-encoding=br&response-content-disposition=inline";
    let changed = s3.send("GET", "box/a", query, &[], b"").await.expect_success();
    assert_eq!(changed.header("content-type"), Some("a/b"));
    assert_eq!(changed.headers.get_all("content-type").iter().count(), 1);
    assert_eq!(changed.header("expires"), Some(PAST));
    assert_eq!(
        (changed.header("content-encoding"), changed.header("cache-control")),
        (Some("br"), Some("x"))
    );

    s3.put_object("box/x", &[("x-amz-storage-class", "COLD")], b"")
        .await
        .expect_error(400, "InvalidStorageClass");
    s3.put_object("box/x", &[("x-amz-acl", "mine")], b"").await.expect_error(400, "InvalidArgument");
    s3.put_object("box/x", &[("x-amz-tagging", "a=1&a=2")], b"").await.expect_error(400, "InvalidArgument");
    s3.put_object("box/x", &[("x-amz-meta-big", &"x".repeat(2048))], b"")
        .await
        .expect_error(400, "MetadataTooLarge");
    s3.put_object("box/x", &[("x-amz-object-lock-mode", "GOVERNANCE")], b"")
        .await
        .expect_error(400, "InvalidArgument");
    s3.put_object("box/x", &[("x-amz-expected-bucket-owner", "123456789012")], b"")
        .await
        .expect_error(403, "AccessDenied");
    s3.get_object("box/x", &[]).await.expect_error(404, "NoSuchKey");
}

#[tokio::test(flavor = "multi_thread")]
async fn evaluates_ranges_and_read_conditions() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    s3.put_object("box/a", &[], HELLO).await.expect_success();
    for (range, expected, content_range) in [
        ("bytes=0-4", "hello", "bytes 0-4/11"),
        ("bytes=6-", "world", "bytes 6-10/11"),
        ("bytes=-5", "world", "bytes 6-10/11"),
        ("bytes=-99", "hello world", "bytes 0-10/11"),
        ("bytes=10-99", "d", "bytes 10-10/11"),
    ] {
        let got = s3.get_object("box/a", &[("range", range)]).await;
        assert_eq!(
            (got.status.as_u16(), got.text().as_str(), got.header("content-range")),
            (206, expected, Some(content_range))
        );
        let head = s3.head_object("box/a", &[("range", range)]).await;
        assert_eq!((head.status.as_u16(), head.header("content-range")), (206, Some(content_range)));
    }
    for ignored in ["bytes=1-0", "bytes=-", "bytes=0-1,3-4", "lines=0-1"] {
        let got = s3.get_object("box/a", &[("range", ignored)]).await;
        assert_eq!((got.status.as_u16(), got.body.as_ref()), (200, HELLO), "{ignored}");
    }
    let rejected = s3.get_object("box/a", &[("range", "bytes=11-")]).await.expect_error(416, "InvalidRange");
    assert_eq!(
        (rejected.element_text("ActualObjectSize").as_str(), rejected.header("content-range")),
        ("11", Some("bytes */11"))
    );
    let part = s3.send("GET", "box/a", "partNumber=1", &[], b"").await;
    assert_eq!((part.status.as_u16(), part.header("content-range")), (206, Some("bytes 0-10/11")));
    s3.send("GET", "box/a", "partNumber=2", &[], b"").await.expect_error(416, "InvalidPartNumber");
    s3.send("GET", "box/a", "partNumber=1", &[("range", "bytes=0-1")], b"")
        .await
        .expect_error(400, "InvalidRequest");

    let weak = format!("W/{HELLO_ETAG}");
    for (condition, status) in [
        (("if-match", HELLO_ETAG), 200),
        (("if-match", "\"x\""), 412),
        (("if-match", "*"), 200),
        (("if-none-match", "\"x\""), 200),
        (("if-none-match", HELLO_ETAG), 304),
        (("if-none-match", weak.as_str()), 304),
        (("if-modified-since", PAST), 200),
        (("if-modified-since", "Tuesday"), 200),
        (("if-modified-since", FUTURE), 200),
        (("if-unmodified-since", FUTURE), 200),
        (("if-unmodified-since", PAST), 412),
    ] {
        for method in ["GET", "HEAD"] {
            let response = s3.send(method, "box/a", "", &[condition], b"").await;
            assert_eq!(response.status.as_u16(), status, "{method} {condition:?}");
            if status == 304 {
                assert_eq!((response.header("etag"), response.body.len()), (Some(HELLO_ETAG), 0));
            }
            if status == 412 && method == "GET" {
                assert_eq!(response.element_text("Code"), "PreconditionFailed");
                assert_eq!(response.element_text("Condition").to_ascii_lowercase(), condition.0);
            }
        }
    }
    let modified = s3.head_object("box/a", &[]).await.header("last-modified").unwrap().to_owned();
    assert_eq!(s3.get_object("box/a", &[("if-modified-since", &modified)]).await.status, 304);
    assert_eq!(s3.get_object("box/a", &[("if-unmodified-since", &modified)]).await.status, 200);
    let both = s3.get_object("box/a", &[("if-none-match", HELLO_ETAG), ("if-modified-since", PAST)]).await;
    assert_eq!(both.status, 304);
    assert_eq!(
        s3.get_object("box/a", &[("if-match", HELLO_ETAG), ("if-unmodified-since", PAST)]).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn supports_unusual_keys_in_every_operation() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    s3.put_object("out", &[], b"").await.expect_success();
    let keys = build_hostile_keys();
    for key in &keys {
        s3.put_object(&format!("box/{key}"), &[], key.as_bytes()).await.expect_success();
    }
    for key in &keys {
        let (path, target) = (format!("box/{key}"), format!("out/{key}"));
        assert_eq!(s3.get_object(&path, &[]).await.expect_success().body, key.as_bytes(), "{key:?}");
        assert_eq!(
            s3.head_object(&path, &[]).await.expect_success().header("content-length").unwrap(),
            key.len().to_string()
        );
        s3.copy_object(&path, &target, &[]).await.expect_success();
        assert_eq!(
            s3.get_object(&target, &[]).await.expect_success().body,
            key.as_bytes(),
            "copy of {key:?}"
        );
        let id = s3.begin_upload(&target, &[]).await;
        let source = percent_encode(&format!("/{path}"));
        let last = format!("bytes=0-{}", key.len() - 1);
        let given = [("x-amz-copy-source", source.as_str()), ("x-amz-copy-source-range", last.as_str())];
        let etag = s3.upload_part(&target, &id, 1, &given, b"").await.expect_success().element_text("ETag");
        s3.complete_upload(&target, &id, &[(1, &etag)], &[]).await.expect_success();
        assert_eq!(
            s3.get_object(&target, &[]).await.expect_success().body,
            key.as_bytes(),
            "part copy of {key:?}"
        );
    }
    let mut sorted = keys.clone();
    sorted.sort();
    for list in ["list-type=2&", ""] {
        let listed = s3
            .send("GET", "out", &format!("{list}encoding-type=url"), &[], b"")
            .await
            .expect_success()
            .element_texts("Key");
        assert_eq!(listed.iter().map(|key| percent_decode(key)).collect::<Vec<_>>(), sorted);
        assert_eq!(
            s3.send("GET", "out", list.trim_end_matches('&'), &[], b"")
                .await
                .expect_success()
                .element_texts("Key"),
            sorted
        );
    }
    let too_long = format!("box/{}", "k".repeat(1025));
    s3.put_object(&too_long, &[], b"").await.expect_error(400, "KeyTooLongError");
    s3.copy_object(&too_long, "out/x", &[]).await.expect_error(400, "KeyTooLongError");
    // The control: an encoded `?` must not be confused with this.
    s3.put_object("box/why", &[], b"another").await.expect_success();
    s3.copy_object("box/why?.png", "out/which", &[]).await.expect_success();
    assert_eq!(s3.get_object("out/which", &[]).await.body, "why?.png");
    for key in &keys {
        assert_eq!(s3.delete_object(&format!("out/{key}"), "").await.expect_success().status, 204);
        s3.get_object(&format!("out/{key}"), &[]).await.expect_error(404, "NoSuchKey");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parses_copy_sources() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    for key in ["a b", "a+b", "why?.png", "why", "\u{6587}"] {
        s3.put_object(&format!("box/{key}"), &[], key.as_bytes()).await.expect_success();
    }
    for (raw, expected) in [
        ("box/a%20b", "a b"),
        ("/box/a+b", "a b"),
        ("box%2Fa%2Bb", "a+b"),
        ("box/why%3F.png", "why?.png"),
        ("box/why?.png", "why?.png"),
        ("box/why?versionId=null", "why"),
        ("box/%E6%96%87", "\u{6587}"),
    ] {
        s3.put_object("box/copy", &[("x-amz-copy-source", raw)], b"").await.expect_success();
        assert_eq!(s3.get_object("box/copy", &[]).await.text(), expected, "{raw}");
    }
    for (raw, status, code) in [
        ("box", 400, "InvalidArgument"),
        ("box/", 400, "InvalidArgument"),
        ("B/a", 400, "InvalidArgument"),
        ("box/%zz", 400, "InvalidArgument"),
        ("box/none", 404, "NoSuchKey"),
        ("nobox/a", 404, "NoSuchBucket"),
        ("box/why?versionId=0", 400, "InvalidArgument"),
        ("box/why?versionId=00000000000000000000000000000000", 404, "NoSuchVersion"),
    ] {
        s3.put_object("box/copy2", &[("x-amz-copy-source", raw)], b"").await.expect_error(status, code);
        let id = s3.begin_upload("box/copy2", &[]).await;
        s3.upload_part("box/copy2", &id, 1, &[("x-amz-copy-source", raw)], b"")
            .await
            .expect_error(status, code);
    }
    s3.get_object("box/copy2", &[]).await.expect_error(404, "NoSuchKey");
    for path in ["box", "newbox"] {
        s3.put_object(path, &[("x-amz-copy-source", "box/why")], b"")
            .await
            .expect_error(400, "InvalidArgument");
    }
    s3.send("POST", "box/x", "uploads=", &[("x-amz-copy-source", "box/why")], b"")
        .await
        .expect_error(400, "InvalidArgument");
    s3.head_object("newbox", &[]).await.expect_empty_error(404);
    s3.copy_object("box/why", "nobox/x", &[]).await.expect_error(404, "NoSuchBucket");
}

#[tokio::test(flavor = "multi_thread")]
async fn evaluates_every_source_condition() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    s3.put_object("box/a", &[], HELLO).await.expect_success();
    let modified = s3.head_object("box/a", &[]).await.header("last-modified").unwrap().to_owned();
    let (yes, no) = ("x-amz-copy-source-if-match", "x-amz-copy-source-if-none-match");
    let (since, until) = ("x-amz-copy-source-if-modified-since", "x-amz-copy-source-if-unmodified-since");
    let modified = modified.as_str();
    type Case<'c> = (Vec<(&'c str, &'c str)>, Option<&'c str>);
    let cases: Vec<Case<'_>> = vec![
        (vec![(yes, HELLO_ETAG)], None),
        (vec![(yes, "5eb63bbbe01eeed093cb22bb8f5acdc3")], None),
        (vec![(yes, "\"x\"")], Some("x-amz-copy-source-If-Match")),
        (vec![(no, "\"x\"")], None),
        (vec![(no, HELLO_ETAG)], Some("x-amz-copy-source-If-None-Match")),
        (vec![(since, PAST)], None),
        (vec![(since, FUTURE)], None),
        (vec![(since, "nonsense")], None),
        (vec![(since, modified)], Some("x-amz-copy-source-If-Modified-Since")),
        (vec![(until, modified)], None),
        (vec![(until, PAST)], Some("x-amz-copy-source-If-Unmodified-Since")),
        (vec![(yes, HELLO_ETAG), (until, PAST)], None),
        (vec![(yes, "x"), (until, FUTURE)], Some("x-amz-copy-source-If-Match")),
        (vec![(no, HELLO_ETAG), (since, PAST)], Some("x-amz-copy-source-If-None-Match")),
        (vec![(no, "x"), (since, modified)], None),
        (vec![(yes, HELLO_ETAG), (no, HELLO_ETAG)], Some("x-amz-copy-source-If-None-Match")),
    ];
    for (index, (conditions, failed)) in cases.iter().enumerate() {
        let target = format!("box/copy{index}");
        let copy = s3.copy_object("box/a", &target, conditions).await;
        let id = s3.begin_upload(&target, &[]).await;
        let given = [conditions.as_slice(), &[("x-amz-copy-source", "box/a")]].concat();
        let part = s3.upload_part(&target, &id, 1, &given, b"").await;
        match failed {
            None => {
                assert_eq!(copy.expect_success().element_text("ETag"), HELLO_ETAG, "{conditions:?}");
                part.expect_success();
            }
            Some(name) => {
                assert_eq!(copy.expect_error(412, "PreconditionFailed").element_text("Condition"), *name);
                assert_eq!(part.expect_error(412, "PreconditionFailed").element_text("Condition"), *name);
                s3.get_object(&target, &[]).await.expect_error(404, "NoSuchKey");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn applies_directives_and_never_inherits_acl_class_or_encryption() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    let given = [
        ("content-type", "text/plain"),
        ("cache-control", "no-cache"),
        ("x-amz-meta-a", "1"),
        ("x-amz-tagging", "k=v"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-acl", "public-read"),
        ("x-amz-website-redirect-location", "/r"),
        ("x-amz-server-side-encryption", "AES256"),
    ];
    s3.put_object("box/a", &given, HELLO).await.expect_success();
    // Metadata and tags sent with COPY are ignored.
    s3.copy_object(
        "box/a",
        "box/b",
        &[("x-amz-meta-z", "9"), ("content-type", "x/y"), ("x-amz-tagging", "q=w")],
    )
    .await
    .expect_success();
    let b = s3.head_object("box/b", &[]).await.expect_success();
    assert_eq!(
        (b.header("content-type"), b.header("x-amz-meta-a"), b.header("x-amz-meta-z")),
        (Some("text/plain"), Some("1"), None)
    );
    assert_eq!((b.header("cache-control"), b.header("x-amz-tagging-count")), (Some("no-cache"), Some("1")));
    for name in ["x-amz-storage-class", "x-amz-website-redirect-location", "x-amz-server-side-encryption"] {
        assert_eq!(b.header(name), None, "{name}");
    }
    assert_eq!(
        s3.send("GET", "box/b", "tagging=", &[], b"").await.expect_success().element_texts("Value"),
        ["v"]
    );
    let grants = |acl: support::TestResponse| acl.element_texts("Permission").len();
    assert_eq!(grants(s3.send("GET", "box/a", "acl=", &[], b"").await.expect_success()), 2);
    assert_eq!(grants(s3.send("GET", "box/b", "acl=", &[], b"").await.expect_success()), 1);

    let replace = [
        ("x-amz-metadata-directive", "REPLACE"),
        ("x-amz-tagging-directive", "REPLACE"),
        ("x-amz-meta-z", "9"),
        ("x-amz-tagging", "q=w&e=r"),
        ("x-amz-acl", "public-read-write"),
        ("x-amz-storage-class", "ONEZONE_IA"),
    ];
    s3.copy_object("box/a", "box/c", &replace).await.expect_success();
    let c = s3.head_object("box/c", &[]).await.expect_success();
    assert_eq!((c.header("content-type"), c.header("cache-control")), (Some("binary/octet-stream"), None));
    assert_eq!((c.header("x-amz-meta-a"), c.header("x-amz-meta-z")), (None, Some("9")));
    assert_eq!(
        (c.header("x-amz-tagging-count"), c.header("x-amz-storage-class")),
        (Some("2"), Some("ONEZONE_IA"))
    );
    assert_eq!(grants(s3.send("GET", "box/c", "acl=", &[], b"").await.expect_success()), 3);
    s3.copy_object("box/a", "box/d", &[("x-amz-tagging-directive", "REPLACE")]).await.expect_success();
    assert_eq!(s3.head_object("box/d", &[]).await.header("x-amz-tagging-count"), None);
    for name in ["x-amz-metadata-directive", "x-amz-tagging-directive"] {
        let rejected = s3
            .copy_object("box/a", "box/e", &[(name, "Replaced")])
            .await
            .expect_error(400, "InvalidArgument");
        assert_eq!(
            (rejected.element_text("ArgumentName").as_str(), rejected.element_text("ArgumentValue").as_str()),
            (name, "Replaced")
        );
    }

    // A copy stays readable after its source is deleted, with or without shared bytes.
    s3.copy_object("box/a", "box/shared", &[("x-amz-server-side-encryption", "AES256")])
        .await
        .expect_success();
    s3.delete_object("box/a", "").await.expect_success();
    for key in ["b", "c", "d", "shared"] {
        assert_eq!(s3.get_object(&format!("box/{key}"), &[]).await.expect_success().body, HELLO, "{key}");
    }
    s3.delete_object("box/shared", "").await.expect_success();
    assert_eq!(s3.get_object("box/b", &[]).await.expect_success().body, HELLO);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_an_object_onto_itself() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    s3.put_object("box/a", &[("x-amz-meta-a", "1")], HELLO).await.expect_success();
    s3.copy_object("box/a", "box/a", &[]).await.expect_error(400, "InvalidRequest");
    for not_enough in [
        ("x-amz-acl", "public-read"),
        ("x-amz-tagging-directive", "REPLACE"),
        ("x-amz-checksum-algorithm", "SHA256"),
    ] {
        s3.copy_object("box/a", "box/a", &[not_enough]).await.expect_error(400, "InvalidRequest");
    }
    for enough in [
        ("x-amz-storage-class", "STANDARD"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-website-redirect-location", "/x"),
        ("x-amz-metadata-directive", "REPLACE"),
    ] {
        s3.copy_object("box/a", "box/a", &[enough]).await.expect_success();
        assert_eq!(s3.get_object("box/a", &[]).await.expect_success().body, HELLO, "{enough:?}");
    }
    assert_eq!(s3.head_object("box/a", &[]).await.header("x-amz-meta-a"), None);
    // An older version can be restored by a copy; the current one cannot, even by its ID.
    s3.set_versioning("box", "Enabled").await;
    let old = s3
        .put_object("box/v", &[], b"old")
        .await
        .expect_success()
        .header("x-amz-version-id")
        .unwrap()
        .to_owned();
    let new = s3
        .put_object("box/v", &[], b"new")
        .await
        .expect_success()
        .header("x-amz-version-id")
        .unwrap()
        .to_owned();
    let source = |id: &str| format!("box/v?versionId={id}");
    s3.put_object("box/v", &[("x-amz-copy-source", &source(&new))], b"")
        .await
        .expect_error(400, "InvalidRequest");
    let restored =
        s3.put_object("box/v", &[("x-amz-copy-source", &source(&old))], b"").await.expect_success();
    assert_eq!(restored.header("x-amz-copy-source-version-id"), Some(old.as_str()));
    assert_ne!(restored.header("x-amz-version-id"), Some(old.as_str()));
    assert_eq!(s3.get_object("box/v", &[]).await.body, "old");
}

#[tokio::test(flavor = "multi_thread")]
async fn evaluates_write_conditions() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    s3.put_object("box/src", &[], b"src").await.expect_success();
    let absent = ("if-none-match", "*");
    s3.put_object("box/a", &[absent], HELLO).await.expect_success();
    s3.put_object("box/a", &[absent], b"other").await.expect_error(412, "PreconditionFailed");
    s3.copy_object("box/src", "box/a", &[absent]).await.expect_error(412, "PreconditionFailed");
    s3.copy_object("box/src", "box/b", &[absent]).await.expect_success();
    s3.put_object("box/a", &[("if-match", "\"x\"")], b"other").await.expect_error(412, "PreconditionFailed");
    s3.put_object("box/none", &[("if-match", "\"x\"")], b"other").await.expect_error(404, "NoSuchKey");
    s3.put_object("box/a", &[("if-none-match", "\"x\"")], b"other").await.expect_error(501, "NotImplemented");
    s3.put_object("box/a", &[("if-match", "*")], b"other").await.expect_error(501, "NotImplemented");
    s3.put_object("box/a", &[("if-match", "\"x\""), absent], b"other")
        .await
        .expect_error(501, "NotImplemented");
    assert_eq!(s3.get_object("box/a", &[]).await.body, HELLO);
    let etag = s3
        .put_object("box/a", &[("if-match", HELLO_ETAG)], b"next")
        .await
        .expect_success()
        .header("etag")
        .unwrap()
        .to_owned();
    s3.copy_object("box/src", "box/a", &[("if-match", HELLO_ETAG)])
        .await
        .expect_error(412, "PreconditionFailed");
    s3.copy_object("box/src", "box/a", &[("if-match", &etag)]).await.expect_success();

    // An upload that was created before the key was written conflicts; one created after it fails the condition.
    let early = s3.begin_upload("box/m", &[]).await;
    let part = s3
        .upload_part("box/m", &early, 1, &[], b"p")
        .await
        .expect_success()
        .header("etag")
        .unwrap()
        .to_owned();
    s3.put_object("box/m", &[], b"meanwhile").await.expect_success();
    s3.complete_upload("box/m", &early, &[(1, &part)], &[absent])
        .await
        .expect_error(409, "ConditionalRequestConflict");
    let late = s3.begin_upload("box/m", &[]).await;
    s3.upload_part("box/m", &late, 1, &[], b"p").await.expect_success();
    s3.complete_upload("box/m", &late, &[(1, &part)], &[absent])
        .await
        .expect_error(412, "PreconditionFailed");
    assert_eq!(s3.get_object("box/m", &[]).await.body, "meanwhile");
    s3.complete_upload(
        "box/m",
        &late,
        &[(1, &part)],
        &[("if-match", &format!("\"{}\"", compute_md5_hex(b"meanwhile")))],
    )
    .await
    .expect_success();
    assert_eq!(s3.get_object("box/m", &[]).await.body, "p");

    s3.send("DELETE", "box/a", "", &[("if-match", "\"x\"")], b"")
        .await
        .expect_error(412, "PreconditionFailed");
    s3.get_object("box/a", &[]).await.expect_success();
    s3.send("DELETE", "box/a", "", &[("if-match", "*")], b"").await.expect_success();
    s3.get_object("box/a", &[]).await.expect_error(404, "NoSuchKey");
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_and_deletes_versions() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    s3.put_object("box/k", &[], b"0").await.expect_success();
    s3.set_versioning("box", "Enabled").await;
    let put = async |body: &[u8]| {
        s3.put_object("box/k", &[], body)
            .await
            .expect_success()
            .header("x-amz-version-id")
            .unwrap()
            .to_owned()
    };
    let (one, two) = (put(b"1").await, put(b"2").await);
    let at = async |id: &str| s3.send("GET", "box/k", &format!("versionId={id}"), &[], b"").await;
    assert_eq!(at(&one).await.expect_success().body, "1");
    assert_eq!(at("null").await.expect_success().body, "0");
    let current = s3.get_object("box/k", &[]).await.expect_success();
    assert_eq!((current.text().as_str(), current.header("x-amz-version-id")), ("2", Some(two.as_str())));
    let deleted = s3.delete_object("box/k", "").await.expect_success();
    assert_eq!(deleted.header("x-amz-delete-marker"), Some("true"));
    let marker = deleted.header("x-amz-version-id").unwrap().to_owned();
    let gone = s3.get_object("box/k", &[]).await.expect_error(404, "NoSuchKey");
    assert_eq!(
        (gone.header("x-amz-delete-marker"), gone.header("x-amz-version-id")),
        (Some("true"), Some(marker.as_str()))
    );
    let named = at(&marker).await.expect_error(405, "MethodNotAllowed");
    assert_eq!(named.header("allow"), Some("DELETE"));
    s3.copy_object("box/k", "box/c", &[]).await.expect_error(404, "NoSuchKey");
    let from_marker = format!("box/k?versionId={marker}");
    s3.put_object("box/c", &[("x-amz-copy-source", &from_marker)], b"")
        .await
        .expect_error(400, "InvalidRequest");
    assert!(s3.send("GET", "box", "", &[], b"").await.expect_success().element_texts("Key").is_empty());
    let all = s3.send("GET", "box", "versions=", &[], b"").await.expect_success();
    let ids = |element: &str| -> Vec<String> {
        let inside = |text: &String| {
            text.split("<VersionId>").nth(1).and_then(|id| id.split('<').next()).unwrap().to_owned()
        };
        all.element_texts(element).iter().map(inside).collect()
    };
    assert_eq!(ids("Version"), [two.as_str(), &one, "null"]);
    assert_eq!(ids("DeleteMarker"), [marker.as_str()]);
    let latest = |element: &str| {
        all.element_texts(element).iter().filter(|text| text.contains("<IsLatest>true")).count()
    };
    assert_eq!((latest("Version"), latest("DeleteMarker")), (0, 1));
    let mut paged = Vec::new();
    let mut query = "versions=&max-keys=1".to_owned();
    loop {
        let page = s3.send("GET", "box", &query, &[], b"").await.expect_success();
        paged.extend(page.element_texts("VersionId"));
        if page.element_text("IsTruncated") != "true" {
            break;
        }
        let (key, id) = (page.element_text("NextKeyMarker"), page.element_text("NextVersionIdMarker"));
        query = format!("versions=&max-keys=1&key-marker={key}&version-id-marker={id}");
    }
    assert_eq!(paged, [&marker, &two, &one, "null"]);
    s3.send("GET", "box", "versions=&version-id-marker=null", &[], b"")
        .await
        .expect_error(400, "InvalidArgument");

    let removed = s3.delete_object("box/k", &format!("versionId={marker}")).await.expect_success();
    assert_eq!(
        (removed.header("x-amz-delete-marker"), removed.header("x-amz-version-id")),
        (Some("true"), Some(marker.as_str()))
    );
    assert_eq!(s3.get_object("box/k", &[]).await.expect_success().body, "2");
    s3.delete_object("box/k", "versionId=nonsense").await.expect_error(400, "InvalidArgument");

    s3.set_versioning("box", "Suspended").await;
    assert_eq!(
        s3.put_object("box/k", &[], b"3").await.expect_success().header("x-amz-version-id"),
        Some("null")
    );
    assert_eq!(at("null").await.expect_success().body, "3");
    assert_eq!(at(&one).await.expect_success().body, "1");
    let null_marker = s3.delete_object("box/k", "").await.expect_success();
    assert_eq!(
        (null_marker.header("x-amz-version-id"), null_marker.header("x-amz-delete-marker")),
        (Some("null"), Some("true"))
    );
    at("null").await.expect_error(405, "MethodNotAllowed");
    assert_eq!(at(&two).await.expect_success().body, "2");
    s3.send(
        "PUT",
        "box/k",
        &format!("versionId={one}&tagging="),
        &[],
        b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    )
    .await
    .expect_success();
    assert_eq!(at(&one).await.expect_success().header("x-amz-tagging-count"), Some("1"));
    assert_eq!(at(&two).await.expect_success().header("x-amz-tagging-count"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_match_a_simple_model() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    let mut keys: Vec<String> = [
        "a",
        "a/",
        "a/b",
        "a/b/c",
        "a/c",
        "a0",
        "b",
        "b/x",
        "b/y",
        "c/d/e",
        "\u{e9}/z",
        "\u{ffff}",
        "\u{1f41f}",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    for key in &keys {
        s3.put_object(&format!("box/{key}"), &[], b"").await.expect_success();
    }
    keys.sort();
    for prefix in ["", "a", "a/", "b/", "zz", "\u{e9}"] {
        for delimiter in ["", "/", "b"] {
            for max in [1, 2, 3, 1000] {
                let expected = list_expected_entries(&keys, prefix, delimiter);
                for version in [1, 2] {
                    let got = list_all_pages(s3, prefix, delimiter, max, version).await;
                    assert_eq!(got, expected, "{prefix:?} {delimiter:?} {max} v{version}");
                }
            }
        }
    }
    let after =
        s3.send("GET", "box", "list-type=2&start-after=a%2Fb&delimiter=%2F", &[], b"").await.expect_success();
    assert_eq!(after.element_texts("Key").first().unwrap(), "a0");
    assert_eq!(
        s3.send("GET", "box", "max-keys=0", &[], b"").await.expect_success().element_text("IsTruncated"),
        "false"
    );
    s3.send("GET", "box", "max-keys=-1", &[], b"").await.expect_error(400, "InvalidArgument");
    s3.send("GET", "box", "encoding-type=x", &[], b"").await.expect_error(400, "InvalidArgument");
    for token in ["", "nonsense"] {
        s3.send("GET", "box", &format!("list-type=2&continuation-token={token}"), &[], b"")
            .await
            .expect_error(400, "InvalidArgument");
    }
    assert_eq!(
        s3.send("GET", "box", "list-type=2", &[], b"").await.expect_success().element_texts("Owner").len(),
        0
    );
    assert_eq!(
        s3.send("GET", "box", "list-type=2&fetch-owner=true", &[], b"")
            .await
            .expect_success()
            .element_texts("Owner")
            .len(),
        keys.len()
    );
}

/// Keys and prefixes in one sorted sequence.
fn list_expected_entries(keys: &[String], prefix: &str, delimiter: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with(prefix)) {
        let rolled = (!delimiter.is_empty()).then(|| key[prefix.len()..].find(delimiter)).flatten();
        let entry = rolled.map_or(format!("key {key}"), |at| {
            format!("prefix {}", &key[..prefix.len() + at + delimiter.len()])
        });
        if out.last() != Some(&entry) {
            out.push(entry);
        }
    }
    out
}

async fn list_all_pages(
    s3: &TestClient,
    prefix: &str,
    delimiter: &str,
    max: usize,
    version: u32,
) -> Vec<String> {
    let base = format!(
        "prefix={}&delimiter={}&max-keys={max}&encoding-type=url",
        percent_encode(prefix).replace('/', "%2F"),
        delimiter.replace('/', "%2F")
    );
    let base = if version == 2 { format!("list-type=2&{base}") } else { base };
    let mut query = base.clone();
    let mut out = Vec::new();
    loop {
        let page = s3.send("GET", "box", &query, &[], b"").await.expect_success();
        let keys = page.element_texts("Key");
        let prefixes: Vec<String> = page
            .element_texts("CommonPrefixes")
            .iter()
            .map(|p| p.replace("<Prefix>", "").replace("</Prefix>", ""))
            .collect();
        assert!(keys.len() + prefixes.len() <= max);
        if version == 2 {
            assert_eq!(page.element_text("KeyCount"), (keys.len() + prefixes.len()).to_string());
        }
        let mut entries: Vec<(String, String)> =
            keys.iter().map(|key| (percent_decode(key), format!("key {}", percent_decode(key)))).collect();
        entries.extend(
            prefixes
                .iter()
                .map(|prefix| (percent_decode(prefix), format!("prefix {}", percent_decode(prefix)))),
        );
        entries.sort();
        out.extend(entries.into_iter().map(|entry| entry.1));
        if page.element_text("IsTruncated") != "true" {
            return out;
        }
        query = match version {
            2 => format!("{base}&continuation-token={}", page.element_text("NextContinuationToken")),
            _ => format!(
                "{base}&marker={}",
                percent_encode(&percent_decode(&page.element_text("NextMarker"))).replace('/', "%2F")
            ),
        };
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_several_objects() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    for key in ["a", "b&c", "d"] {
        s3.put_object(&format!("box/{key}"), &[], HELLO).await.expect_success();
    }
    let body = "<Delete><Object><Key>a</Key></Object><Object><Key>b&amp;c</Key></Object><Object><Key>none</Key></Object><Object><Key>d</Key><ETag>x</ETag></Object></Delete>";
    let md5 = compute_md5_base64(body.as_bytes());
    s3.send("POST", "box", "delete=", &[], body.as_bytes()).await.expect_error(400, "InvalidRequest");
    s3.send("POST", "box", "delete=", &[("content-md5", &compute_md5_base64(b"x"))], body.as_bytes())
        .await
        .expect_error(400, "BadDigest");
    s3.get_object("box/a", &[]).await.expect_success();
    let done =
        s3.send("POST", "box", "delete=", &[("content-md5", &md5)], body.as_bytes()).await.expect_success();
    assert_eq!(done.element_texts("Deleted").len(), 3, "{}", done.text());
    assert_eq!(done.element_text("Code"), "PreconditionFailed");
    s3.get_object("box/a", &[]).await.expect_error(404, "NoSuchKey");
    s3.get_object("box/d", &[]).await.expect_success();
    let quiet = "<Delete><Object><Key>d</Key></Object><Quiet>true</Quiet></Delete>";
    let done = s3
        .send(
            "POST",
            "box",
            "delete=",
            &[("content-md5", &compute_md5_base64(quiet.as_bytes()))],
            quiet.as_bytes(),
        )
        .await
        .expect_success();
    assert!(done.element_texts("Deleted").is_empty());
    let many: String = (0..1001).map(|n| format!("<Object><Key>{n}</Key></Object>")).collect();
    let many = format!("<Delete>{many}</Delete>");
    s3.send(
        "POST",
        "box",
        "delete=",
        &[("content-md5", &compute_md5_base64(many.as_bytes()))],
        many.as_bytes(),
    )
    .await
    .expect_error(400, "MalformedXML");
    for bad in [
        "<Delete>",
        "",
        "<Delete></Delete>",
        "<!DOCTYPE x [<!ENTITY e 'x'>]><Delete><Object><Key>&e;</Key></Object></Delete>",
    ] {
        let response = s3
            .send(
                "POST",
                "box",
                "delete=",
                &[("content-md5", &compute_md5_base64(bad.as_bytes()))],
                bad.as_bytes(),
            )
            .await;
        assert_eq!(response.status, 400, "{bad} {}", response.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn completes_multipart_uploads() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    let (first, last) = (vec![b'a'; 5_242_880], vec![b'b'; 10]);
    let id = s3
        .begin_upload(
            "box/m",
            &[
                ("x-amz-meta-a", "1"),
                ("content-type", "x/y"),
                ("x-amz-tagging", "k=v"),
                ("x-amz-storage-class", "STANDARD_IA"),
            ],
        )
        .await;
    let one = s3
        .upload_part("box/m", &id, 1, &[("content-md5", &compute_md5_base64(&first))], &first)
        .await
        .expect_success();
    let one = one.header("etag").unwrap().to_owned();
    let three = s3
        .upload_part("box/m", &id, 3, &[], b"replaced later")
        .await
        .expect_success()
        .header("etag")
        .unwrap()
        .to_owned();
    let new_three =
        s3.upload_part("box/m", &id, 3, &[], &last).await.expect_success().header("etag").unwrap().to_owned();
    s3.upload_part("box/m", &id, 4, &[], b"never listed").await.expect_success();
    for bad in ["0", "10001"] {
        let query = format!("partNumber={bad}&uploadId={id}");
        s3.send("PUT", "box/m", &query, &[], b"x").await.expect_error(400, "InvalidArgument");
    }
    let parts =
        s3.send("GET", "box/m", &format!("uploadId={id}&max-parts=2"), &[], b"").await.expect_success();
    assert_eq!(
        (
            parts.element_texts("PartNumber"),
            parts.element_text("IsTruncated"),
            parts.element_text("NextPartNumberMarker")
        ),
        (vec!["1".to_owned(), "3".to_owned()], "true".to_owned(), "3".to_owned())
    );
    let rest = s3
        .send("GET", "box/m", &format!("uploadId={id}&part-number-marker=3"), &[], b"")
        .await
        .expect_success();
    assert_eq!(rest.element_texts("PartNumber"), ["4"]);
    assert_eq!(
        s3.send("GET", "box", "uploads=", &[], b"").await.expect_success().element_texts("UploadId"),
        [id.as_str()]
    );
    s3.get_object("box/m", &[]).await.expect_error(404, "NoSuchKey");

    s3.complete_upload("box/m", &id, &[(1, &one), (3, &three)], &[]).await.expect_error(400, "InvalidPart");
    s3.complete_upload("box/m", &id, &[(1, &one), (2, &one)], &[]).await.expect_error(400, "InvalidPart");
    s3.complete_upload("box/m", &id, &[(3, &new_three), (1, &one)], &[])
        .await
        .expect_error(400, "InvalidPartOrder");
    s3.complete_upload("box/m", &id, &[(3, &new_three), (4, &compute_md5_hex(b"never listed"))], &[])
        .await
        .expect_error(400, "EntityTooSmall");
    s3.complete_upload("box/m", &id, &[], &[]).await.expect_error(400, "InvalidRequest");
    s3.complete_upload("box/m", &id, &[(1, &one), (3, &new_three)], &[("x-amz-mp-object-size", "5")])
        .await
        .expect_error(400, "InvalidRequest");
    s3.complete_upload("box/m", &"0".repeat(32), &[(1, &one)], &[]).await.expect_error(404, "NoSuchUpload");
    let done = s3
        .complete_upload("box/m", &id, &[(1, &one), (3, &new_three)], &[("x-amz-mp-object-size", "5242890")])
        .await
        .expect_success();
    assert_eq!(done.element_text("ETag"), "\"8b0be7847da5564ae08e97af63b60885-2\"");
    assert_eq!(done.element_text("ChecksumCRC64NVME"), "om/L0dM0gF4=");
    // A repeated completion returns the same response; a different one is rejected.
    let again = s3
        .complete_upload("box/m", &id, &[(1, &one.replace('"', "")), (3, &new_three)], &[])
        .await
        .expect_success();
    assert_eq!(
        (again.element_text("ETag"), again.element_text("ChecksumCRC64NVME")),
        (done.element_text("ETag"), "om/L0dM0gF4=".to_owned())
    );
    s3.complete_upload("box/m", &id, &[(1, &one)], &[]).await.expect_error(404, "NoSuchUpload");
    s3.complete_upload("box/other", &id, &[(1, &one), (3, &new_three)], &[])
        .await
        .expect_error(404, "NoSuchUpload");
    s3.upload_part("box/m", &id, 1, &[], HELLO).await.expect_error(404, "NoSuchUpload");
    s3.delete_object("box/m", &format!("uploadId={id}")).await.expect_error(404, "NoSuchUpload");
    let got = s3.get_object("box/m", &[("range", "bytes=5242878-5242882")]).await.expect_success();
    assert_eq!(got.text(), "aabbb");
    assert_eq!(
        (got.header("x-amz-meta-a"), got.header("content-type"), got.header("x-amz-storage-class")),
        (Some("1"), Some("x/y"), Some("STANDARD_IA"))
    );
    let second = s3.send("GET", "box/m", "partNumber=2", &[], b"").await.expect_success();
    assert_eq!((second.text().as_str(), second.header("x-amz-mp-parts-count")), ("bbbbbbbbbb", Some("2")));

    // A copy of it has one part and a plain ETag.
    let whole = [first.as_slice(), &last].concat();
    assert_eq!(
        s3.copy_object("box/m", "box/copy", &[]).await.expect_success().element_text("ETag"),
        format!("\"{}\"", compute_md5_hex(&whole))
    );
    s3.delete_object("box/m", "").await.expect_success();
    assert_eq!(s3.get_object("box/copy", &[]).await.expect_success().body, whole);

    let id = s3.begin_upload("box/x", &[]).await;
    s3.upload_part("box/x", &id, 1, &[], HELLO).await.expect_success();
    assert_eq!(s3.delete_object("box/x", &format!("uploadId={id}")).await.expect_success().status, 204);
    s3.upload_part("box/x", &id, 1, &[], HELLO).await.expect_error(404, "NoSuchUpload");
    s3.delete_object("box/x", &format!("uploadId={id}")).await.expect_error(404, "NoSuchUpload");
    let mut ids: Vec<(String, String)> = Vec::new();
    for key in ["u/1", "u/2", "v", "u/1"] {
        ids.push((key.to_owned(), s3.begin_upload(&format!("box/{key}"), &[]).await));
    }
    ids.sort();
    let rolled = s3.send("GET", "box", "uploads=&delimiter=%2F", &[], b"").await.expect_success();
    assert_eq!(
        (rolled.element_texts("UploadId").len(), rolled.element_texts("CommonPrefixes").len()),
        (1, 1)
    );
    let page = s3.send("GET", "box", "uploads=&max-uploads=1", &[], b"").await.expect_success();
    let (key, id) = (page.element_text("NextKeyMarker"), page.element_text("NextUploadIdMarker"));
    let next = s3
        .send(
            "GET",
            "box",
            &format!("uploads=&key-marker={}&upload-id-marker={id}", key.replace('/', "%2F")),
            &[],
            b"",
        )
        .await
        .expect_success();
    let both = [page.element_texts("UploadId"), next.element_texts("UploadId")].concat();
    assert_eq!(both, ids.into_iter().map(|pair| pair.1).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_ranges_to_parts() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    s3.put_object("box/ten", &[], b"0123456789").await.expect_success();
    let id = s3.begin_upload("box/t", &[]).await;
    for (range, expected) in [
        ("0-8", Some("InvalidArgument")),
        ("bytes=1-0", Some("InvalidArgument")),
        ("bytes=1-", Some("InvalidArgument")),
        ("bytes=-2", Some("InvalidArgument")),
        ("bytes=0-1,3-4", Some("InvalidArgument")),
        ("bytes=0-10", Some("InvalidArgument")),
        ("bytes=100-200", Some("InvalidRequest")),
        ("bytes=0-9", None),
        ("bytes=3-5", None),
    ] {
        let given = [("x-amz-copy-source", "box/ten"), ("x-amz-copy-source-range", range)];
        let response = s3.upload_part("box/t", &id, 1, &given, b"").await;
        match expected {
            Some(code) => drop(response.expect_error(400, code)),
            None => drop(response.expect_success()),
        }
    }
    s3.complete_upload("box/t", &id, &[(1, &compute_md5_hex(b"345"))], &[]).await.expect_success();
    assert_eq!(s3.get_object("box/t", &[]).await.body, "345");
    let gone = "0".repeat(32);
    s3.upload_part("box/t", &gone, 1, &[("x-amz-copy-source", "box/ten")], b"")
        .await
        .expect_error(404, "NoSuchUpload");
}

#[tokio::test(flavor = "multi_thread")]
async fn sets_tags_and_acls() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    s3.put_object("box/a", &[], HELLO).await.expect_success();
    let tags = |tags: &[(&str, &str)]| {
        let tags: String = tags
            .iter()
            .map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"))
            .collect();
        format!("<Tagging><TagSet>{tags}</TagSet></Tagging>").into_bytes()
    };
    s3.send("PUT", "box/a", "tagging=", &[], &tags(&[("a", "1"), ("b", "2")])).await.expect_success();
    let got = s3.send("GET", "box/a", "tagging=", &[], b"").await.expect_success();
    assert_eq!(
        (got.element_texts("Key"), got.element_texts("Value")),
        (vec!["a".to_owned(), "b".to_owned()], vec!["1".to_owned(), "2".to_owned()])
    );
    s3.send("PUT", "box/a", "tagging=", &[], &tags(&[("a", "1"), ("a", "2")]))
        .await
        .expect_error(400, "InvalidTag");
    s3.send("PUT", "box/a", "tagging=", &[], &tags(&[("aws:x", "1")])).await.expect_error(400, "InvalidTag");
    let eleven: Vec<String> = (0..11).map(|n| format!("k{n}")).collect();
    let eleven: Vec<(&str, &str)> = eleven.iter().map(|key| (key.as_str(), "")).collect();
    s3.send("PUT", "box/a", "tagging=", &[], &tags(&eleven)).await.expect_error(400, "BadRequest");
    s3.send("PUT", "box/a", "tagging=", &[("content-md5", &compute_md5_base64(b""))], &tags(&[]))
        .await
        .expect_error(400, "BadDigest");
    assert_eq!(s3.send("DELETE", "box/a", "tagging=", &[], b"").await.expect_success().status, 204);
    assert!(
        s3.send("GET", "box/a", "tagging=", &[], b"").await.expect_success().element_texts("Tag").is_empty()
    );
    s3.send("GET", "box/none", "tagging=", &[], b"").await.expect_error(404, "NoSuchKey");

    s3.send("PUT", "box/a", "acl=", &[("x-amz-acl", "authenticated-read")], b"").await.expect_success();
    let acl = s3.send("GET", "box/a", "acl=", &[], b"").await.expect_success();
    assert!(acl.element_text("URI").ends_with("AuthenticatedUsers"), "{}", acl.text());
    let document = acl.body.clone();
    s3.send("PUT", "box/a", "acl=", &[("x-amz-acl", "private")], b"").await.expect_success();
    assert!(s3.send("GET", "box/a", "acl=", &[], b"").await.expect_success().element_texts("URI").is_empty());
    s3.send("PUT", "box/a", "acl=", &[], &document).await.expect_success();
    assert_eq!(
        s3.send("GET", "box/a", "acl=", &[], b"").await.expect_success().element_texts("URI").len(),
        1
    );
    s3.send("PUT", "box/a", "acl=", &[], b"").await.expect_error(400, "MissingSecurityHeader");
    s3.send("PUT", "box/a", "acl=", &[("x-amz-grant-read", "id=x")], b"")
        .await
        .expect_error(501, "NotImplemented");
}
