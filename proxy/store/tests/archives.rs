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
use support::{Answer, S3, Server};

const CLASS: &str = "x-amz-storage-class";
const WANTED: &str = "x-amz-object-attributes";

async fn memory() -> Server {
    let server = Server::start(Location::Memory).await;
    server.client.put("box", &[], b"").await.ok();
    server
}

async fn restore(s3: &S3, path: &str, body: &str) -> Answer {
    s3.send("POST", path, "restore=", &[], body.as_bytes()).await
}

fn days(days: &str) -> String {
    format!(
        "<RestoreRequest><Days>{days}</Days><GlacierJobParameters><Tier>Standard</Tier></GlacierJobParameters>\
         </RestoreRequest>"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn archived_bytes_need_a_restore() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Dir(folder.path().to_owned());
    let server = Server::start(location.clone()).await;
    let s3 = &server.client;
    s3.put("box", &[], b"").await.ok();
    s3.put("box/plain", &[(CLASS, "GLACIER_IR")], b"plain").await.ok();
    assert_eq!(s3.get("box/plain", &[]).await.ok().body, "plain");
    s3.copy("box/plain", "box/copied", &[(CLASS, "GLACIER")]).await.ok();
    restore(s3, "box/plain", &days("1")).await.refused(403, "InvalidObjectState");
    restore(s3, "box/none", &days("1")).await.refused(404, "NoSuchKey");
    for class in ["GLACIER", "DEEP_ARCHIVE"] {
        let path = &format!("box/{class}");
        s3.put(path, &[(CLASS, class)], b"cold").await.ok();
        for headers in [vec![], vec![("range", "bytes=0-1")]] {
            let refused = s3.get(path, &headers).await.refused(403, "InvalidObjectState");
            assert_eq!(refused.one("StorageClass"), class);
        }
        s3.copy(path, "box/x", &[]).await.refused(403, "InvalidObjectState");
        s3.copy(path, path, &[(CLASS, "STANDARD")]).await.refused(403, "InvalidObjectState");
        let id = s3.begin("box/x", &[]).await;
        s3.part("box/x", &id, 1, &[("x-amz-copy-source", path)], b"")
            .await
            .refused(403, "InvalidObjectState");
        s3.delete("box/x", &format!("uploadId={id}")).await.ok();
        let head = s3.head(path, &[]).await.ok();
        assert_eq!((head.header(CLASS), head.header("x-amz-restore")), (Some(class), None));
        for (body, status, code) in [
            (String::new(), 400, "MalformedXML"),
            ("<RestoreRequest/>".to_owned(), 400, "MalformedXML"),
            (days("0"), 400, "InvalidArgument"),
            (days("soon"), 400, "MalformedXML"),
            (days("1").replace("Standard", "Fast"), 400, "MalformedXML"),
            (days("1").replace("<Days>", "<Type>SELECT</Type><Days>"), 501, "NotImplemented"),
        ] {
            restore(s3, path, &body).await.refused(status, code);
        }
        s3.get(path, &[]).await.refused(403, "InvalidObjectState");
        assert_eq!(restore(s3, path, &days("1")).await.ok().status, 202);
        let first = s3.head(path, &[]).await.ok().header("x-amz-restore").unwrap().to_owned();
        assert!(first.starts_with("ongoing-request=\"false\", expiry-date=\""), "{first}");
        assert!(first.ends_with(" 00:00:00 GMT\""), "{first}");
        assert_eq!(restore(s3, path, &days("40")).await.ok().status, 200);
        let got = s3.get(path, &[]).await.ok();
        assert_eq!((got.body.as_ref(), got.header(CLASS)), (b"cold".as_slice(), Some(class)));
        assert!(got.header("x-amz-restore").is_some_and(|second| second != first));
        assert_eq!(restore(s3, path, &days("2147483647")).await.ok().status, 200);
        assert!(s3.head(path, &[]).await.ok().header("x-amz-restore").is_some());
    }
    server.stop().await;

    let server = Server::start(location).await;
    let s3 = &server.client;
    assert_eq!(s3.get("box/GLACIER", &[]).await.ok().body, "cold");
    s3.get("box/copied", &[]).await.refused(403, "InvalidObjectState");
    let status = [("x-amz-optional-object-attributes", "RestoreStatus")];
    let listed = s3.send("GET", "box", "list-type=2", &status, b"").await.ok();
    assert_eq!(listed.all("IsRestoreInProgress"), ["false", "false"]);
    assert_eq!(s3.send("GET", "box", "list-type=2", &[], b"").await.ok().all("RestoreStatus").len(), 0);
    // A copy is archived anew, and a restored object is thawed by copying it onto itself.
    s3.copy("box/GLACIER", "box/again", &[(CLASS, "GLACIER")]).await.ok();
    s3.get("box/again", &[]).await.refused(403, "InvalidObjectState");
    s3.copy("box/GLACIER", "box/GLACIER", &[]).await.ok();
    let thawed = s3.get("box/GLACIER", &[]).await.ok();
    assert_eq!((thawed.header(CLASS), thawed.header("x-amz-restore")), (None, None));
    s3.put("box/DEEP_ARCHIVE", &[(CLASS, "GLACIER")], b"new").await.ok();
    s3.get("box/DEEP_ARCHIVE", &[]).await.refused(403, "InvalidObjectState");
    server.stop().await;
}

async fn attributes(s3: &S3, path: &str, headers: &[(&str, &str)]) -> Answer {
    s3.send("GET", path, "attributes=", headers, b"").await
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_of_a_plain_object() {
    let server = memory().await;
    let s3 = &server.client;
    s3.put("box/a", &[], b"hello world").await.ok();
    let all = (WANTED, "ETag,Checksum,ObjectParts,StorageClass,ObjectSize");
    attributes(s3, "box/a", &[]).await.refused(400, "InvalidRequest");
    attributes(s3, "box/a", &[(WANTED, " ")]).await.refused(400, "InvalidRequest");
    attributes(s3, "box/a", &[(WANTED, "ETag,Colour")]).await.refused(400, "InvalidArgument");
    attributes(s3, "box/a", &[all, ("x-amz-max-parts", "-1")]).await.refused(400, "InvalidArgument");
    attributes(s3, "box/none", &[all]).await.refused(404, "NoSuchKey");
    let got = attributes(s3, "box/a", &[all]).await.ok();
    let text = got.text();
    assert!(text.contains("<ETag>5eb63bbbe01eeed093cb22bb8f5acdc3</ETag>"), "{text}");
    assert!(
        text.contains(
            "<Checksum><ChecksumCRC64NVME>jSnVw/bqjr4=</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType>\
             </Checksum>"
        ),
        "{text}"
    );
    assert_eq!((got.one("StorageClass").as_str(), got.one("ObjectSize").as_str()), ("STANDARD", "11"));
    assert!(!text.contains("ObjectParts"), "{text}");
    assert!(got.header("last-modified").is_some());
    let some = attributes(s3, "box/a", &[(WANTED, "ObjectSize")]).await.ok();
    assert!(some.text().contains("<ObjectSize>11</ObjectSize>") && !some.text().contains("ETag"));

    s3.versioning("box", "Enabled").await;
    let id = s3.put("box/a", &[], b"new").await.ok().header("x-amz-version-id").unwrap().to_owned();
    let marker = s3.delete("box/a", "").await.ok().header("x-amz-version-id").unwrap().to_owned();
    let gone = attributes(s3, "box/a", &[all]).await.refused(404, "NoSuchKey");
    assert_eq!(gone.header("x-amz-delete-marker"), Some("true"));
    let of =
        async |id: &str| s3.send("GET", "box/a", &format!("attributes=&versionId={id}"), &[all], b"").await;
    of(&marker).await.refused(405, "MethodNotAllowed");
    of("none").await.refused(400, "InvalidArgument");
    let got = of(&id).await.ok();
    assert_eq!((got.one("ObjectSize").as_str(), got.header("x-amz-version-id")), ("3", Some(id.as_str())));

    let key = [
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-server-side-encryption-customer-key", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        ("x-amz-server-side-encryption-customer-key-MD5", "hRasmdxgYDKV3nvbahU1MA=="),
    ];
    s3.put("box/sealed", &key, b"sealed").await.ok();
    attributes(s3, "box/sealed", &[all]).await.refused(400, "InvalidRequest");
    assert_eq!(attributes(s3, "box/sealed", &[&key[..], &[all]].concat()).await.ok().one("ObjectSize"), "6");
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_of_parts() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Dir(folder.path().to_owned());
    let server = Server::start(location.clone()).await;
    let s3 = &server.client;
    s3.put("box", &[], b"").await.ok();
    let big = vec![b'a'; 5_242_880];
    let upload = async |path: &str, headers: &[(&str, &str)]| {
        let id = s3.begin(path, headers).await;
        let mut parts = String::new();
        for (number, body) in [(2, big.as_slice()), (5, b"bbbbbbbbbb")] {
            let part = s3.part(path, &id, number, headers, body).await.ok();
            let etag = part.header("etag").unwrap();
            let sum = part
                .header("x-amz-checksum-sha256")
                .map(|sum| format!("<ChecksumSHA256>{sum}</ChecksumSHA256>"));
            let sum = sum.unwrap_or_default();
            parts += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag>{sum}</Part>");
        }
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        s3.send("POST", path, &format!("uploadId={id}"), &[], body.as_bytes()).await.ok();
    };
    upload("box/chosen", &[("x-amz-checksum-algorithm", "SHA256")]).await;
    upload("box/plain", &[]).await;
    server.stop().await;
    let server = Server::start(location).await;
    let s3 = &server.client;
    let all = (WANTED, "ObjectParts,Checksum");
    let got = attributes(s3, "box/plain", &[all]).await.ok();
    assert_eq!((got.one("PartsCount").as_str(), got.all("Part").len()), ("2", 0));
    let got = attributes(s3, "box/chosen", &[all]).await.ok();
    assert_eq!((got.one("ChecksumType").as_str(), got.one("IsTruncated").as_str()), ("COMPOSITE", "false"));
    // Published for these two parts; the whole stands without its count.
    assert_eq!(got.all("ChecksumSHA256")[0], "zTBnwsNWVkdz0PwZObp0pDCxhYpP8sndExucneRKiO0=");
    assert_eq!(
        (got.all("PartNumber"), got.all("Size")),
        (vec!["1".into(), "2".into()], vec!["5242880".into(), "10".into()])
    );
    assert_eq!((got.one("PartNumberMarker").as_str(), got.one("NextPartNumberMarker").as_str()), ("0", "2"));
    let page = attributes(s3, "box/chosen", &[all, ("x-amz-max-parts", "1")]).await.ok();
    assert_eq!((page.all("PartNumber"), page.one("IsTruncated").as_str()), (vec!["1".to_owned()], "true"));
    let next = page.one("NextPartNumberMarker");
    let page = [all, ("x-amz-max-parts", "1"), ("x-amz-part-number-marker", next.as_str())];
    let page = attributes(s3, "box/chosen", &page).await.ok();
    assert_eq!((page.all("PartNumber"), page.one("IsTruncated").as_str()), (vec!["2".to_owned()], "false"));
    let past = attributes(s3, "box/chosen", &[all, ("x-amz-part-number-marker", "9")]).await.ok();
    assert_eq!((past.all("PartNumber").len(), past.one("IsTruncated").as_str()), (0, "false"));
    // A copy has one part.
    s3.copy("box/chosen", "box/copy", &[]).await.ok();
    assert!(!attributes(s3, "box/copy", &[all]).await.ok().text().contains("ObjectParts"));
}
