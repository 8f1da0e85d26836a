//! Archived classes, restores, and the attributes of objects, over real signed HTTP.

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
use support::{TestClient, TestResponse, TestServer};

const CLASS: &str = "x-amz-storage-class";
const ATTRIBUTES_HEADER: &str = "x-amz-object-attributes";

async fn start_with_bucket() -> TestServer {
    let server = TestServer::start(Location::Memory).await;
    server.client.put_object("box", &[], b"").await.expect_success();
    server
}

async fn restore_object(s3: &TestClient, path: &str, body: &str) -> TestResponse {
    s3.send("POST", path, "restore=", &[], body.as_bytes()).await
}

fn build_restore_request(days: &str) -> String {
    format!(
        "<RestoreRequest><Days>{days}</Days><GlacierJobParameters><Tier>Standard</Tier></GlacierJobParameters>\
         </RestoreRequest>"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_an_archived_object_needs_a_restore() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Dir(folder.path().to_owned());
    let server = TestServer::start(location.clone()).await;
    let s3 = &server.client;
    s3.put_object("box", &[], b"").await.expect_success();
    s3.put_object("box/plain", &[(CLASS, "GLACIER_IR")], b"plain").await.expect_success();
    assert_eq!(s3.get_object("box/plain", &[]).await.expect_success().body, "plain");
    s3.copy_object("box/plain", "box/copied", &[(CLASS, "GLACIER")]).await.expect_success();
    restore_object(s3, "box/plain", &build_restore_request("1"))
        .await
        .expect_error(403, "InvalidObjectState");
    restore_object(s3, "box/none", &build_restore_request("1")).await.expect_error(404, "NoSuchKey");
    for class in ["GLACIER", "DEEP_ARCHIVE"] {
        let path = &format!("box/{class}");
        s3.put_object(path, &[(CLASS, class)], b"cold").await.expect_success();
        for headers in [vec![], vec![("range", "bytes=0-1")]] {
            let rejected = s3.get_object(path, &headers).await.expect_error(403, "InvalidObjectState");
            assert_eq!(rejected.element_text("StorageClass"), class);
        }
        s3.copy_object(path, "box/x", &[]).await.expect_error(403, "InvalidObjectState");
        s3.copy_object(path, path, &[(CLASS, "STANDARD")]).await.expect_error(403, "InvalidObjectState");
        let id = s3.begin_upload("box/x", &[]).await;
        s3.upload_part("box/x", &id, 1, &[("x-amz-copy-source", path)], b"")
            .await
            .expect_error(403, "InvalidObjectState");
        s3.delete_object("box/x", &format!("uploadId={id}")).await.expect_success();
        let head = s3.head_object(path, &[]).await.expect_success();
        assert_eq!((head.header(CLASS), head.header("x-amz-restore")), (Some(class), None));
        for (body, status, code) in [
            (String::new(), 400, "MalformedXML"),
            ("<RestoreRequest/>".to_owned(), 400, "MalformedXML"),
            (build_restore_request("0"), 400, "InvalidArgument"),
            (build_restore_request("soon"), 400, "MalformedXML"),
            (build_restore_request("1").replace("Standard", "Fast"), 400, "MalformedXML"),
            (
                build_restore_request("1").replace("<Days>", "<Type>SELECT</Type><Days>"),
                501,
                "NotImplemented",
            ),
        ] {
            restore_object(s3, path, &body).await.expect_error(status, code);
        }
        s3.get_object(path, &[]).await.expect_error(403, "InvalidObjectState");
        assert_eq!(restore_object(s3, path, &build_restore_request("1")).await.expect_success().status, 202);
        let first =
            s3.head_object(path, &[]).await.expect_success().header("x-amz-restore").unwrap().to_owned();
        assert!(first.starts_with("ongoing-request=\"false\", expiry-date=\""), "{first}");
        assert!(first.ends_with(" 00:00:00 GMT\""), "{first}");
        assert_eq!(restore_object(s3, path, &build_restore_request("40")).await.expect_success().status, 200);
        let got = s3.get_object(path, &[]).await.expect_success();
        assert_eq!((got.body.as_ref(), got.header(CLASS)), (b"cold".as_slice(), Some(class)));
        assert!(got.header("x-amz-restore").is_some_and(|second| second != first));
        assert_eq!(
            restore_object(s3, path, &build_restore_request("2147483647")).await.expect_success().status,
            200
        );
        assert!(s3.head_object(path, &[]).await.expect_success().header("x-amz-restore").is_some());
    }
    server.stop().await;

    let server = TestServer::start(location).await;
    let s3 = &server.client;
    assert_eq!(s3.get_object("box/GLACIER", &[]).await.expect_success().body, "cold");
    s3.get_object("box/copied", &[]).await.expect_error(403, "InvalidObjectState");
    let status = [("x-amz-optional-object-attributes", "RestoreStatus")];
    let listed = s3.send("GET", "box", "list-type=2", &status, b"").await.expect_success();
    assert_eq!(listed.element_texts("IsRestoreInProgress"), ["false", "false"]);
    assert_eq!(
        s3.send("GET", "box", "list-type=2", &[], b"")
            .await
            .expect_success()
            .element_texts("RestoreStatus")
            .len(),
        0
    );
    // A copy is archived again. A copy onto itself makes a restored object permanent.
    s3.copy_object("box/GLACIER", "box/again", &[(CLASS, "GLACIER")]).await.expect_success();
    s3.get_object("box/again", &[]).await.expect_error(403, "InvalidObjectState");
    s3.copy_object("box/GLACIER", "box/GLACIER", &[]).await.expect_success();
    let thawed = s3.get_object("box/GLACIER", &[]).await.expect_success();
    assert_eq!((thawed.header(CLASS), thawed.header("x-amz-restore")), (None, None));
    s3.put_object("box/DEEP_ARCHIVE", &[(CLASS, "GLACIER")], b"new").await.expect_success();
    s3.get_object("box/DEEP_ARCHIVE", &[]).await.expect_error(403, "InvalidObjectState");
    server.stop().await;
}

async fn get_object_attributes(s3: &TestClient, path: &str, headers: &[(&str, &str)]) -> TestResponse {
    s3.send("GET", path, "attributes=", headers, b"").await
}

#[tokio::test(flavor = "multi_thread")]
async fn returns_attributes_of_a_plain_object() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    s3.put_object("box/a", &[], b"hello world").await.expect_success();
    let all = (ATTRIBUTES_HEADER, "ETag,Checksum,ObjectParts,StorageClass,ObjectSize");
    get_object_attributes(s3, "box/a", &[]).await.expect_error(400, "InvalidRequest");
    get_object_attributes(s3, "box/a", &[(ATTRIBUTES_HEADER, " ")]).await.expect_error(400, "InvalidRequest");
    get_object_attributes(s3, "box/a", &[(ATTRIBUTES_HEADER, "ETag,Colour")])
        .await
        .expect_error(400, "InvalidArgument");
    get_object_attributes(s3, "box/a", &[all, ("x-amz-max-parts", "-1")])
        .await
        .expect_error(400, "InvalidArgument");
    get_object_attributes(s3, "box/none", &[all]).await.expect_error(404, "NoSuchKey");
    let got = get_object_attributes(s3, "box/a", &[all]).await.expect_success();
    let text = got.text();
    assert!(text.contains("<ETag>5eb63bbbe01eeed093cb22bb8f5acdc3</ETag>"), "{text}");
    assert!(
        text.contains(
            "<Checksum><ChecksumCRC64NVME>jSnVw/bqjr4=</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType>\
             </Checksum>"
        ),
        "{text}"
    );
    assert_eq!(
        (got.element_text("StorageClass").as_str(), got.element_text("ObjectSize").as_str()),
        ("STANDARD", "11")
    );
    assert!(!text.contains("ObjectParts"), "{text}");
    assert!(got.header("last-modified").is_some());
    let some =
        get_object_attributes(s3, "box/a", &[(ATTRIBUTES_HEADER, "ObjectSize")]).await.expect_success();
    assert!(some.text().contains("<ObjectSize>11</ObjectSize>") && !some.text().contains("ETag"));

    s3.set_versioning("box", "Enabled").await;
    let id = s3
        .put_object("box/a", &[], b"new")
        .await
        .expect_success()
        .header("x-amz-version-id")
        .unwrap()
        .to_owned();
    let marker =
        s3.delete_object("box/a", "").await.expect_success().header("x-amz-version-id").unwrap().to_owned();
    let gone = get_object_attributes(s3, "box/a", &[all]).await.expect_error(404, "NoSuchKey");
    assert_eq!(gone.header("x-amz-delete-marker"), Some("true"));
    let of =
        async |id: &str| s3.send("GET", "box/a", &format!("attributes=&versionId={id}"), &[all], b"").await;
    of(&marker).await.expect_error(405, "MethodNotAllowed");
    of("none").await.expect_error(400, "InvalidArgument");
    let got = of(&id).await.expect_success();
    assert_eq!(
        (got.element_text("ObjectSize").as_str(), got.header("x-amz-version-id")),
        ("3", Some(id.as_str()))
    );

    let key = [
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-server-side-encryption-customer-key", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        ("x-amz-server-side-encryption-customer-key-MD5", "hRasmdxgYDKV3nvbahU1MA=="),
    ];
    s3.put_object("box/sealed", &key, b"sealed").await.expect_success();
    get_object_attributes(s3, "box/sealed", &[all]).await.expect_error(400, "InvalidRequest");
    assert_eq!(
        get_object_attributes(s3, "box/sealed", &[&key[..], &[all]].concat())
            .await
            .expect_success()
            .element_text("ObjectSize"),
        "6"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn returns_attributes_of_parts() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Dir(folder.path().to_owned());
    let server = TestServer::start(location.clone()).await;
    let s3 = &server.client;
    s3.put_object("box", &[], b"").await.expect_success();
    let big = vec![b'a'; 5_242_880];
    let upload = async |path: &str, headers: &[(&str, &str)]| {
        let id = s3.begin_upload(path, headers).await;
        let mut parts = String::new();
        for (number, body) in [(2, big.as_slice()), (5, b"bbbbbbbbbb")] {
            let part = s3.upload_part(path, &id, number, headers, body).await.expect_success();
            let etag = part.header("etag").unwrap();
            let sum = part
                .header("x-amz-checksum-sha256")
                .map(|sum| format!("<ChecksumSHA256>{sum}</ChecksumSHA256>"));
            let sum = sum.unwrap_or_default();
            parts += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{sum}</Part>");
        }
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        s3.send("POST", path, &format!("uploadId={id}"), &[], body.as_bytes()).await.expect_success();
    };
    upload("box/chosen", &[("x-amz-checksum-algorithm", "SHA256")]).await;
    upload("box/plain", &[]).await;
    server.stop().await;
    let server = TestServer::start(location).await;
    let s3 = &server.client;
    let all = (ATTRIBUTES_HEADER, "ObjectParts,Checksum");
    let got = get_object_attributes(s3, "box/plain", &[all]).await.expect_success();
    assert_eq!((got.element_text("PartsCount").as_str(), got.element_texts("Part").len()), ("2", 0));
    let got = get_object_attributes(s3, "box/chosen", &[all]).await.expect_success();
    assert_eq!(
        (got.element_text("ChecksumType").as_str(), got.element_text("IsTruncated").as_str()),
        ("COMPOSITE", "false")
    );
    // The published value for these two parts. The composite value has no number of parts here.
    assert_eq!(got.element_texts("ChecksumSHA256")[0], "zTBnwsNWVkdz0PwZObp0pDCxhYpP8sndExucneRKiO0=");
    assert_eq!(
        (got.element_texts("PartNumber"), got.element_texts("Size")),
        (vec!["1".into(), "2".into()], vec!["5242880".into(), "10".into()])
    );
    assert_eq!(
        (got.element_text("PartNumberMarker").as_str(), got.element_text("NextPartNumberMarker").as_str()),
        ("0", "2")
    );
    let page =
        get_object_attributes(s3, "box/chosen", &[all, ("x-amz-max-parts", "1")]).await.expect_success();
    assert_eq!(
        (page.element_texts("PartNumber"), page.element_text("IsTruncated").as_str()),
        (vec!["1".to_owned()], "true")
    );
    let next = page.element_text("NextPartNumberMarker");
    let page = [all, ("x-amz-max-parts", "1"), ("x-amz-part-number-marker", next.as_str())];
    let page = get_object_attributes(s3, "box/chosen", &page).await.expect_success();
    assert_eq!(
        (page.element_texts("PartNumber"), page.element_text("IsTruncated").as_str()),
        (vec!["2".to_owned()], "false")
    );
    let past = get_object_attributes(s3, "box/chosen", &[all, ("x-amz-part-number-marker", "9")])
        .await
        .expect_success();
    assert_eq!(
        (past.element_texts("PartNumber").len(), past.element_text("IsTruncated").as_str()),
        (0, "false")
    );
    // A copy has one part.
    s3.copy_object("box/chosen", "box/copy", &[]).await.expect_success();
    assert!(
        !get_object_attributes(s3, "box/copy", &[all]).await.expect_success().text().contains("ObjectParts")
    );
}
