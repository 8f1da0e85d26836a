//! Object lock over real signed HTTP.

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
use std::time::{Duration, SystemTime};
use support::{TestClient, TestResponse, TestServer, compute_md5_base64};

const MODE: &str = "x-amz-object-lock-mode";
const UNTIL: &str = "x-amz-object-lock-retain-until-date";
const HOLD: &str = "x-amz-object-lock-legal-hold";
const BYPASS: (&str, &str) = ("x-amz-bypass-governance-retention", "true");
const LOCK: (&str, &str) = ("x-amz-bucket-object-lock-enabled", "true");
const LATE_DATE: &str = "2060-01-01T00:00:00.000Z";
const LATER_DATE: &str = "2061-01-01T00:00:00.000Z";

async fn start_with_locked_bucket(location: Location) -> TestServer {
    let server = TestServer::start(location).await;
    server.client.put_object("box", &[LOCK], b"").await.expect_success();
    server
}

/// Puts an object with the digest that a lock needs. Returns the version ID.
async fn put_with_md5(s3: &TestClient, path: &str, headers: &[(&str, &str)]) -> TestResponse {
    let md5 = compute_md5_base64(b"body");
    s3.put_object(path, &[headers, &[("content-md5", md5.as_str())]].concat(), b"body").await
}

async fn put_version(s3: &TestClient, path: &str, headers: &[(&str, &str)]) -> String {
    put_with_md5(s3, path, headers).await.expect_success().header("x-amz-version-id").unwrap().to_owned()
}

async fn delete_version(s3: &TestClient, path: &str, id: &str, headers: &[(&str, &str)]) -> TestResponse {
    s3.send("DELETE", path, &format!("versionId={id}"), headers, b"").await
}

async fn put_retention(
    s3: &TestClient,
    path: &str,
    mode: &str,
    until: &str,
    headers: &[(&str, &str)],
) -> TestResponse {
    let body =
        format!("<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>");
    s3.send("PUT", path, "retention=", headers, body.as_bytes()).await
}

async fn put_legal_hold(s3: &TestClient, path: &str, status: &str) -> TestResponse {
    let body = format!("<LegalHold><Status>{status}</Status></LegalHold>");
    s3.send("PUT", path, "legal-hold=", &[], body.as_bytes()).await
}

async fn put_lock_configuration(s3: &TestClient, bucket: &str, inner: &str) -> TestResponse {
    let body = format!(
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>{inner}</ObjectLockConfiguration>"
    );
    s3.send("PUT", bucket, "object-lock=", &[], body.as_bytes()).await
}

fn build_default_retention(mode: &str, period: &str) -> String {
    format!("<Rule><DefaultRetention><Mode>{mode}</Mode>{period}</DefaultRetention></Rule>")
}

/// The time after a number of seconds, in the form of XML documents.
fn format_date_from_now(seconds: u64) -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs() + seconds);
    let mut text = Vec::new();
    s3s::dto::Timestamp::from(at).format(s3s::dto::TimestampFormat::DateTime, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn configures_the_lock_of_a_bucket() {
    let server = start_with_locked_bucket(Location::Memory).await;
    let s3 = &server.client;
    s3.put_object("plain", &[], b"").await.expect_success();
    let lock = async |bucket| s3.send("GET", bucket, "object-lock=", &[], b"").await;
    lock("nobox").await.expect_error(404, "NoSuchBucket");
    lock("plain").await.expect_error(404, "ObjectLockConfigurationNotFoundError");
    put_lock_configuration(s3, "plain", "").await.expect_error(409, "InvalidBucketState");
    let fresh = lock("box").await.expect_success();
    assert_eq!(
        (fresh.element_text("ObjectLockEnabled").as_str(), fresh.element_texts("Rule").len()),
        ("Enabled", 0)
    );
    assert_eq!(
        s3.send("GET", "box", "versioning=", &[], b"").await.expect_success().element_text("Status"),
        "Enabled"
    );
    let suspend = b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
    s3.send("PUT", "box", "versioning=", &[], suspend).await.expect_error(409, "InvalidBucketState");
    s3.set_versioning("box", "Enabled").await;
    s3.put_object("box", &[LOCK], b"").await.expect_error(409, "BucketAlreadyOwnedByYou");
    for (inner, code) in [
        (build_default_retention("GOVERNANCE", ""), "MalformedXML"),
        (build_default_retention("GOVERNANCE", "<Days>1</Days><Years>1</Years>"), "MalformedXML"),
        (build_default_retention("governance", "<Days>1</Days>"), "MalformedXML"),
        (build_default_retention("GOVERNANCE", "<Days>0</Days>"), "InvalidArgument"),
        (build_default_retention("GOVERNANCE", "<Days>-1</Days>"), "InvalidArgument"),
        (build_default_retention("GOVERNANCE", "<Years>101</Years>"), "InvalidArgument"),
        ("<Rule/>".to_owned(), "MalformedXML"),
    ] {
        put_lock_configuration(s3, "box", &inner).await.expect_error(400, code);
    }
    s3.send("PUT", "box", "object-lock=", &[], b"<ObjectLockConfiguration/>")
        .await
        .expect_error(400, "MalformedXML");
    put_lock_configuration(s3, "box", &build_default_retention("COMPLIANCE", "<Years>2</Years>"))
        .await
        .expect_success();
    let response = lock("box").await.expect_success();
    assert_eq!(
        (response.element_text("Mode").as_str(), response.element_text("Years").as_str()),
        ("COMPLIANCE", "2")
    );
    // Also for a bucket that already has versions.
    s3.set_versioning("plain", "Enabled").await;
    put_lock_configuration(s3, "plain", &build_default_retention("GOVERNANCE", "<Days>3</Days>"))
        .await
        .expect_success();
    assert_eq!(lock("plain").await.expect_success().element_text("Days"), "3");
    assert_eq!(s3.delete_object("plain", "").await.expect_success().status, 204);
    s3.put_object("plain", &[], b"").await.expect_success();
    lock("plain").await.expect_error(404, "ObjectLockConfigurationNotFoundError");
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_with_headers() {
    let server = start_with_locked_bucket(Location::Memory).await;
    let s3 = &server.client;
    s3.put_object("plain", &[], b"").await.expect_success();
    s3.put_object("plain/source", &[], b"source").await.expect_success();
    let given = [(MODE, "COMPLIANCE"), (UNTIL, LATE_DATE), (HOLD, "ON")];
    let none = "Bucket is missing Object Lock Configuration";
    for given in [&given[..2], &given[2..]] {
        assert_eq!(
            put_with_md5(s3, "plain/a", given)
                .await
                .expect_error(400, "InvalidRequest")
                .element_text("Message"),
            none
        );
        s3.copy_object("plain/source", "plain/a", given).await.expect_error(400, "InvalidRequest");
        s3.send("POST", "plain/a", "uploads=", given, b"").await.expect_error(400, "InvalidRequest");
    }
    s3.put_object("box/a", &given, b"body").await.expect_error(400, "InvalidRequest");
    for (bad, message) in [
        (
            vec![given[0]],
            "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
        ),
        (
            vec![given[1]],
            "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied",
        ),
        (vec![(MODE, "compliance"), given[1]], "Unknown wormMode directive."),
        (vec![given[0], (UNTIL, "2001-01-01T00:00:00Z")], "The retain until date must be in the future!"),
        (vec![given[0], (UNTIL, "tomorrow")], "The retain until date must be provided in ISO 8601 format"),
        (vec![(HOLD, "on")], "Legal Hold must be either of 'ON' or 'OFF'"),
    ] {
        assert_eq!(
            put_with_md5(s3, "box/a", &bad)
                .await
                .expect_error(400, "InvalidArgument")
                .element_text("Message"),
            message
        );
    }
    s3.get_object("box/a", &[]).await.expect_error(404, "NoSuchKey");

    put_with_md5(s3, "box/a", &given).await.expect_success();
    s3.copy_object("plain/source", "box/b", &given).await.expect_success();
    let id = s3.begin_upload("box/c", &given).await;
    let etag = s3
        .upload_part("box/c", &id, 1, &[], b"part")
        .await
        .expect_success()
        .header("etag")
        .unwrap()
        .to_owned();
    s3.complete_upload("box/c", &id, &[(1, &etag)], &[]).await.expect_success();
    for path in ["box/a", "box/b", "box/c"] {
        for response in [
            s3.get_object(path, &[]).await.expect_success(),
            s3.head_object(path, &[]).await.expect_success(),
        ] {
            for (name, value) in given {
                assert_eq!(response.header(name), Some(value), "{path} {name}");
            }
            let id = response.header("x-amz-version-id").unwrap();
            delete_version(s3, path, id, &[BYPASS]).await.expect_error(403, "AccessDenied");
        }
    }
    // A copy does not inherit retention or hold.
    s3.copy_object("box/a", "box/d", &[]).await.expect_success();
    let copy = s3.head_object("box/d", &[]).await.expect_success();
    assert_eq!((copy.header(MODE), copy.header(UNTIL), copy.header(HOLD)), (None, None, None));
    // A lock does not prevent a new version or a delete marker.
    assert_eq!(s3.put_object("box/a", &[], b"new").await.expect_success().status, 200);
    assert_eq!(
        s3.delete_object("box/a", "").await.expect_success().header("x-amz-delete-marker"),
        Some("true")
    );
    s3.delete_object("box", "").await.expect_error(409, "BucketNotEmpty");
}

#[tokio::test(flavor = "multi_thread")]
async fn protects_locked_versions_from_deletion() {
    let server = start_with_locked_bucket(Location::Memory).await;
    let s3 = &server.client;
    let message = "Access Denied because object protected by object lock.";
    let free = put_version(s3, "box/a", &[]).await;
    let governed = put_version(s3, "box/a", &[(MODE, "GOVERNANCE"), (UNTIL, LATE_DATE)]).await;
    let complied = put_version(s3, "box/a", &[(MODE, "COMPLIANCE"), (UNTIL, LATE_DATE)]).await;
    let held = put_version(s3, "box/a", &[(HOLD, "ON")]).await;
    let released = put_version(s3, "box/a", &[(HOLD, "OFF")]).await;
    for id in [&governed, &complied, &held] {
        assert_eq!(
            delete_version(s3, "box/a", id, &[])
                .await
                .expect_error(403, "AccessDenied")
                .element_text("Message"),
            message
        );
    }
    for id in [&complied, &held] {
        delete_version(s3, "box/a", id, &[BYPASS]).await.expect_error(403, "AccessDenied");
    }
    let objects: String = [&governed, &complied]
        .map(|id| format!("<Object><Key>a</Key><VersionId>{id}</VersionId></Object>"))
        .concat();
    let many = format!("<Delete>{objects}</Delete>");
    let md5 = compute_md5_base64(many.as_bytes());
    let response =
        s3.send("POST", "box", "delete=", &[("content-md5", &md5)], many.as_bytes()).await.expect_success();
    assert_eq!(response.element_texts("Code"), ["AccessDenied", "AccessDenied"]);
    let response = s3
        .send("POST", "box", "delete=", &[("content-md5", &md5), BYPASS], many.as_bytes())
        .await
        .expect_success();
    assert_eq!((response.element_texts("Code").len(), response.element_texts("Deleted").len()), (1, 1));
    for id in [&free, &released] {
        delete_version(s3, "box/a", id, &[]).await.expect_success();
    }
    let left = s3.send("GET", "box", "versions=", &[], b"").await.expect_success().element_texts("VersionId");
    assert_eq!(left, [held.clone(), complied]);
    put_legal_hold(s3, "box/a", "OFF").await.expect_success();
    delete_version(s3, "box/a", &held, &[]).await.expect_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_can_only_be_extended() {
    let server = start_with_locked_bucket(Location::Memory).await;
    let s3 = &server.client;
    s3.put_object("plain", &[], b"").await.expect_success();
    s3.put_object("plain/a", &[], b"a").await.expect_success();
    let none = b"<Retention/>";
    let get_retention = async |path| s3.send("GET", path, "retention=", &[], b"").await;
    get_retention("plain/a").await.expect_error(400, "InvalidRequest");
    put_retention(s3, "plain/a", "GOVERNANCE", LATE_DATE, &[]).await.expect_error(400, "InvalidRequest");
    get_retention("box/none").await.expect_error(404, "NoSuchKey");
    let id = put_version(s3, "box/a", &[]).await;
    get_retention("box/a").await.expect_error(404, "NoSuchObjectLockConfiguration");
    let past = put_retention(s3, "box/a", "GOVERNANCE", "2001-01-01T00:00:00Z", &[]).await;
    assert_eq!(
        past.expect_error(400, "InvalidArgument").element_text("Message"),
        "The retain until date must be in the future!"
    );
    put_retention(s3, "box/a", "MAYBE", LATE_DATE, &[]).await.expect_error(400, "MalformedXML");
    for bad in ["", "<Retention><Mode>GOVERNANCE</Mode></Retention>", "<Retention"] {
        s3.send("PUT", "box/a", "retention=", &[], bad.as_bytes()).await.expect_error(400, "MalformedXML");
    }
    delete_version(s3, "box/a", "00000000000000000000000000000000", &[]).await.expect_success();

    put_retention(s3, "box/a", "GOVERNANCE", LATE_DATE, &[]).await.expect_success();
    let got = get_retention("box/a").await.expect_success();
    assert_eq!(
        (got.element_text("Mode").as_str(), got.element_text("RetainUntilDate").as_str()),
        ("GOVERNANCE", LATE_DATE)
    );
    put_retention(s3, "box/a", "GOVERNANCE", "2059-01-01T00:00:00Z", &[])
        .await
        .expect_error(403, "AccessDenied");
    put_retention(s3, "box/a", "COMPLIANCE", LATER_DATE, &[]).await.expect_error(403, "AccessDenied");
    s3.send("PUT", "box/a", "retention=", &[], none).await.expect_error(403, "AccessDenied");
    put_retention(s3, "box/a", "GOVERNANCE", LATER_DATE, &[]).await.expect_success();
    put_retention(s3, "box/a", "GOVERNANCE", LATE_DATE, &[BYPASS]).await.expect_success();
    s3.send("PUT", "box/a", "retention=", &[BYPASS], none).await.expect_success();
    get_retention("box/a").await.expect_error(404, "NoSuchObjectLockConfiguration");
    // An offset of the date is respected.
    put_retention(s3, "box/a", "COMPLIANCE", "2060-01-01T02:00:00+02:00", &[]).await.expect_success();
    assert_eq!(get_retention("box/a").await.expect_success().element_text("RetainUntilDate"), LATE_DATE);
    for headers in [vec![], vec![BYPASS]] {
        s3.send("PUT", "box/a", "retention=", &headers, none).await.expect_error(403, "AccessDenied");
        put_retention(s3, "box/a", "COMPLIANCE", "2059-01-01T00:00:00Z", &headers)
            .await
            .expect_error(403, "AccessDenied");
        put_retention(s3, "box/a", "GOVERNANCE", LATER_DATE, &headers)
            .await
            .expect_error(403, "AccessDenied");
    }
    put_retention(s3, "box/a", "COMPLIANCE", LATER_DATE, &[]).await.expect_success();
    delete_version(s3, "box/a", &id, &[BYPASS]).await.expect_error(403, "AccessDenied");

    // A retention that has ended no longer protects the version.
    let until = format_date_from_now(2);
    let id = put_version(s3, "box/b", &[(MODE, "COMPLIANCE"), (UNTIL, &until)]).await;
    delete_version(s3, "box/b", &id, &[]).await.expect_error(403, "AccessDenied");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    delete_version(s3, "box/b", &id, &[]).await.expect_success();
    s3.get_object("box/b", &[]).await.expect_error(404, "NoSuchKey");
}

#[tokio::test(flavor = "multi_thread")]
async fn sets_and_removes_legal_holds() {
    let server = start_with_locked_bucket(Location::Memory).await;
    let s3 = &server.client;
    s3.put_object("plain", &[], b"").await.expect_success();
    s3.put_object("plain/a", &[], b"a").await.expect_success();
    let get_legal_hold = async |path| s3.send("GET", path, "legal-hold=", &[], b"").await;
    get_legal_hold("plain/a").await.expect_error(400, "InvalidRequest");
    put_legal_hold(s3, "plain/a", "ON").await.expect_error(400, "InvalidRequest");
    put_version(s3, "box/a", &[]).await;
    get_legal_hold("box/a").await.expect_error(404, "NoSuchObjectLockConfiguration");
    put_legal_hold(s3, "box/a", "on").await.expect_error(400, "MalformedXML");
    s3.send("PUT", "box/a", "legal-hold=", &[], b"").await.expect_error(400, "MalformedXML");
    for status in ["ON", "OFF"] {
        put_legal_hold(s3, "box/a", status).await.expect_success();
        assert_eq!(get_legal_hold("box/a").await.expect_success().element_text("Status"), status);
        assert_eq!(s3.head_object("box/a", &[]).await.expect_success().header(HOLD), Some(status));
    }
    let marker =
        s3.delete_object("box/a", "").await.expect_success().header("x-amz-version-id").unwrap().to_owned();
    put_legal_hold(s3, "box/a", "ON").await.expect_error(404, "NoSuchKey");
    delete_version(s3, "box/a", &marker, &[]).await.expect_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn applies_defaults_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Dir(folder.path().to_owned());
    let server = start_with_locked_bucket(location.clone()).await;
    let s3 = &server.client;
    let before = put_version(s3, "box/a", &[]).await;
    put_lock_configuration(s3, "box", &build_default_retention("COMPLIANCE", "<Days>2</Days>"))
        .await
        .expect_success();
    let least = format_date_from_now(2 * 86_400);
    put_version(s3, "box/b", &[]).await;
    put_version(s3, "box/own", &[(MODE, "GOVERNANCE"), (UNTIL, LATE_DATE)]).await;
    s3.copy_object("box/a", "box/c", &[]).await.expect_success();
    let id = s3.begin_upload("box/d", &[]).await;
    let etag = s3
        .upload_part("box/d", &id, 1, &[], b"part")
        .await
        .expect_success()
        .header("etag")
        .unwrap()
        .to_owned();
    s3.complete_upload("box/d", &id, &[(1, &etag)], &[]).await.expect_success();
    server.stop().await;

    let server = TestServer::start(location).await;
    let s3 = &server.client;
    assert_eq!(
        s3.send("GET", "box", "object-lock=", &[], b"").await.expect_success().element_text("Days"),
        "2"
    );
    for path in ["box/b", "box/c", "box/d"] {
        let head = s3.head_object(path, &[]).await.expect_success();
        assert_eq!(head.header(MODE), Some("COMPLIANCE"), "{path}");
        let until = head.header(UNTIL).unwrap();
        assert!(until >= least.as_str() && until <= format_date_from_now(2 * 86_400).as_str(), "{until}");
        let id = head.header("x-amz-version-id").unwrap();
        delete_version(s3, path, id, &[BYPASS]).await.expect_error(403, "AccessDenied");
    }
    let own = s3.head_object("box/own", &[]).await.expect_success();
    assert_eq!((own.header(MODE), own.header(UNTIL)), (Some("GOVERNANCE"), Some(LATE_DATE)));
    delete_version(s3, "box/a", &before, &[]).await.expect_success();
    put_lock_configuration(s3, "box", "").await.expect_success();
    assert_eq!(put_with_md5(s3, "box/e", &[]).await.expect_success().status, 200);
    assert_eq!(s3.head_object("box/e", &[]).await.expect_success().header(MODE), None);
    server.stop().await;
}
