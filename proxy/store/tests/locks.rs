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
use support::{Answer, S3, Server, md5_base64};

const MODE: &str = "x-amz-object-lock-mode";
const UNTIL: &str = "x-amz-object-lock-retain-until-date";
const HOLD: &str = "x-amz-object-lock-legal-hold";
const BYPASS: (&str, &str) = ("x-amz-bypass-governance-retention", "true");
const LOCK: (&str, &str) = ("x-amz-bucket-object-lock-enabled", "true");
const FAR: &str = "2060-01-01T00:00:00.000Z";
const FARTHER: &str = "2061-01-01T00:00:00.000Z";

async fn locking(location: Location) -> Server {
    let server = Server::start(location).await;
    server.client.put("box", &[LOCK], b"").await.ok();
    server
}

/// Puts with the promise a lock needs; the answer's version.
async fn put(s3: &S3, path: &str, headers: &[(&str, &str)]) -> Answer {
    let md5 = md5_base64(b"body");
    s3.put(path, &[headers, &[("content-md5", md5.as_str())]].concat(), b"body").await
}

async fn version(s3: &S3, path: &str, headers: &[(&str, &str)]) -> String {
    put(s3, path, headers).await.ok().header("x-amz-version-id").unwrap().to_owned()
}

async fn delete(s3: &S3, path: &str, id: &str, headers: &[(&str, &str)]) -> Answer {
    s3.send("DELETE", path, &format!("versionId={id}"), headers, b"").await
}

async fn retain(s3: &S3, path: &str, mode: &str, until: &str, headers: &[(&str, &str)]) -> Answer {
    let body =
        format!("<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>");
    s3.send("PUT", path, "retention=", headers, body.as_bytes()).await
}

async fn hold(s3: &S3, path: &str, status: &str) -> Answer {
    let body = format!("<LegalHold><Status>{status}</Status></LegalHold>");
    s3.send("PUT", path, "legal-hold=", &[], body.as_bytes()).await
}

async fn configure(s3: &S3, bucket: &str, inner: &str) -> Answer {
    let body = format!(
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>{inner}</ObjectLockConfiguration>"
    );
    s3.send("PUT", bucket, "object-lock=", &[], body.as_bytes()).await
}

fn rule(mode: &str, period: &str) -> String {
    format!("<Rule><DefaultRetention><Mode>{mode}</Mode>{period}</DefaultRetention></Rule>")
}

/// The time in so many seconds, as XML tells it, in whole seconds.
fn soon(seconds: u64) -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs() + seconds);
    let mut text = Vec::new();
    s3s::dto::Timestamp::from(at).format(s3s::dto::TimestampFormat::DateTime, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_of_a_bucket() {
    let server = locking(Location::Memory).await;
    let s3 = &server.client;
    s3.put("plain", &[], b"").await.ok();
    let lock = async |bucket| s3.send("GET", bucket, "object-lock=", &[], b"").await;
    lock("nobox").await.refused(404, "NoSuchBucket");
    lock("plain").await.refused(404, "ObjectLockConfigurationNotFoundError");
    configure(s3, "plain", "").await.refused(409, "InvalidBucketState");
    let fresh = lock("box").await.ok();
    assert_eq!((fresh.one("ObjectLockEnabled").as_str(), fresh.all("Rule").len()), ("Enabled", 0));
    assert_eq!(s3.send("GET", "box", "versioning=", &[], b"").await.ok().one("Status"), "Enabled");
    let suspend = b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
    s3.send("PUT", "box", "versioning=", &[], suspend).await.refused(409, "InvalidBucketState");
    s3.versioning("box", "Enabled").await;
    s3.put("box", &[LOCK], b"").await.refused(409, "BucketAlreadyOwnedByYou");
    for (inner, code) in [
        (rule("GOVERNANCE", ""), "MalformedXML"),
        (rule("GOVERNANCE", "<Days>1</Days><Years>1</Years>"), "MalformedXML"),
        (rule("governance", "<Days>1</Days>"), "MalformedXML"),
        (rule("GOVERNANCE", "<Days>0</Days>"), "InvalidArgument"),
        (rule("GOVERNANCE", "<Days>-1</Days>"), "InvalidArgument"),
        (rule("GOVERNANCE", "<Years>101</Years>"), "InvalidArgument"),
        ("<Rule/>".to_owned(), "MalformedXML"),
    ] {
        configure(s3, "box", &inner).await.refused(400, code);
    }
    s3.send("PUT", "box", "object-lock=", &[], b"<ObjectLockConfiguration/>")
        .await
        .refused(400, "MalformedXML");
    configure(s3, "box", &rule("COMPLIANCE", "<Years>2</Years>")).await.ok();
    let told = lock("box").await.ok();
    assert_eq!((told.one("Mode").as_str(), told.one("Years").as_str()), ("COMPLIANCE", "2"));
    // Later, where there are versions already.
    s3.versioning("plain", "Enabled").await;
    configure(s3, "plain", &rule("GOVERNANCE", "<Days>3</Days>")).await.ok();
    assert_eq!(lock("plain").await.ok().one("Days"), "3");
    assert_eq!(s3.delete("plain", "").await.ok().status, 204);
    s3.put("plain", &[], b"").await.ok();
    lock("plain").await.refused(404, "ObjectLockConfigurationNotFoundError");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_lock() {
    let server = locking(Location::Memory).await;
    let s3 = &server.client;
    s3.put("plain", &[], b"").await.ok();
    s3.put("plain/source", &[], b"source").await.ok();
    let given = [(MODE, "COMPLIANCE"), (UNTIL, FAR), (HOLD, "ON")];
    let none = "Bucket is missing Object Lock Configuration";
    for given in [&given[..2], &given[2..]] {
        assert_eq!(put(s3, "plain/a", given).await.refused(400, "InvalidRequest").one("Message"), none);
        s3.copy("plain/source", "plain/a", given).await.refused(400, "InvalidRequest");
        s3.send("POST", "plain/a", "uploads=", given, b"").await.refused(400, "InvalidRequest");
    }
    s3.put("box/a", &given, b"body").await.refused(400, "InvalidRequest");
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
        assert_eq!(put(s3, "box/a", &bad).await.refused(400, "InvalidArgument").one("Message"), message);
    }
    s3.get("box/a", &[]).await.refused(404, "NoSuchKey");

    put(s3, "box/a", &given).await.ok();
    s3.copy("plain/source", "box/b", &given).await.ok();
    let id = s3.begin("box/c", &given).await;
    let etag = s3.part("box/c", &id, 1, &[], b"part").await.ok().header("etag").unwrap().to_owned();
    s3.complete("box/c", &id, &[(1, &etag)], &[]).await.ok();
    for path in ["box/a", "box/b", "box/c"] {
        for answer in [s3.get(path, &[]).await.ok(), s3.head(path, &[]).await.ok()] {
            for (name, value) in given {
                assert_eq!(answer.header(name), Some(value), "{path} {name}");
            }
            let id = answer.header("x-amz-version-id").unwrap();
            delete(s3, path, id, &[BYPASS]).await.refused(403, "AccessDenied");
        }
    }
    // Neither is carried by a copy.
    s3.copy("box/a", "box/d", &[]).await.ok();
    let copy = s3.head("box/d", &[]).await.ok();
    assert_eq!((copy.header(MODE), copy.header(UNTIL), copy.header(HOLD)), (None, None, None));
    // Nor does a lock stop a new version, or a marker.
    assert_eq!(s3.put("box/a", &[], b"new").await.ok().status, 200);
    assert_eq!(s3.delete("box/a", "").await.ok().header("x-amz-delete-marker"), Some("true"));
    s3.delete("box", "").await.refused(409, "BucketNotEmpty");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_delete_what() {
    let server = locking(Location::Memory).await;
    let s3 = &server.client;
    let message = "Access Denied because object protected by object lock.";
    let free = version(s3, "box/a", &[]).await;
    let governed = version(s3, "box/a", &[(MODE, "GOVERNANCE"), (UNTIL, FAR)]).await;
    let complied = version(s3, "box/a", &[(MODE, "COMPLIANCE"), (UNTIL, FAR)]).await;
    let held = version(s3, "box/a", &[(HOLD, "ON")]).await;
    let released = version(s3, "box/a", &[(HOLD, "OFF")]).await;
    for id in [&governed, &complied, &held] {
        assert_eq!(delete(s3, "box/a", id, &[]).await.refused(403, "AccessDenied").one("Message"), message);
    }
    for id in [&complied, &held] {
        delete(s3, "box/a", id, &[BYPASS]).await.refused(403, "AccessDenied");
    }
    let objects: String = [&governed, &complied]
        .map(|id| format!("<Object><Key>a</Key><VersionId>{id}</VersionId></Object>"))
        .concat();
    let many = format!("<Delete>{objects}</Delete>");
    let md5 = md5_base64(many.as_bytes());
    let answer = s3.send("POST", "box", "delete=", &[("content-md5", &md5)], many.as_bytes()).await.ok();
    assert_eq!(answer.all("Code"), ["AccessDenied", "AccessDenied"]);
    let answer =
        s3.send("POST", "box", "delete=", &[("content-md5", &md5), BYPASS], many.as_bytes()).await.ok();
    assert_eq!((answer.all("Code").len(), answer.all("Deleted").len()), (1, 1));
    for id in [&free, &released] {
        delete(s3, "box/a", id, &[]).await.ok();
    }
    let left = s3.send("GET", "box", "versions=", &[], b"").await.ok().all("VersionId");
    assert_eq!(left, [held.clone(), complied]);
    hold(s3, "box/a", "OFF").await.ok();
    delete(s3, "box/a", &held, &[]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_only_grows() {
    let server = locking(Location::Memory).await;
    let s3 = &server.client;
    s3.put("plain", &[], b"").await.ok();
    s3.put("plain/a", &[], b"a").await.ok();
    let none = b"<Retention/>";
    let told = async |path| s3.send("GET", path, "retention=", &[], b"").await;
    told("plain/a").await.refused(400, "InvalidRequest");
    retain(s3, "plain/a", "GOVERNANCE", FAR, &[]).await.refused(400, "InvalidRequest");
    told("box/none").await.refused(404, "NoSuchKey");
    let id = version(s3, "box/a", &[]).await;
    told("box/a").await.refused(404, "NoSuchObjectLockConfiguration");
    let past = retain(s3, "box/a", "GOVERNANCE", "2001-01-01T00:00:00Z", &[]).await;
    assert_eq!(
        past.refused(400, "InvalidArgument").one("Message"),
        "The retain until date must be in the future!"
    );
    retain(s3, "box/a", "MAYBE", FAR, &[]).await.refused(400, "MalformedXML");
    for bad in ["", "<Retention><Mode>GOVERNANCE</Mode></Retention>", "<Retention"] {
        s3.send("PUT", "box/a", "retention=", &[], bad.as_bytes()).await.refused(400, "MalformedXML");
    }
    delete(s3, "box/a", "00000000000000000000000000000000", &[]).await.ok();

    retain(s3, "box/a", "GOVERNANCE", FAR, &[]).await.ok();
    let got = told("box/a").await.ok();
    assert_eq!((got.one("Mode").as_str(), got.one("RetainUntilDate").as_str()), ("GOVERNANCE", FAR));
    retain(s3, "box/a", "GOVERNANCE", "2059-01-01T00:00:00Z", &[]).await.refused(403, "AccessDenied");
    retain(s3, "box/a", "COMPLIANCE", FARTHER, &[]).await.refused(403, "AccessDenied");
    s3.send("PUT", "box/a", "retention=", &[], none).await.refused(403, "AccessDenied");
    retain(s3, "box/a", "GOVERNANCE", FARTHER, &[]).await.ok();
    retain(s3, "box/a", "GOVERNANCE", FAR, &[BYPASS]).await.ok();
    s3.send("PUT", "box/a", "retention=", &[BYPASS], none).await.ok();
    told("box/a").await.refused(404, "NoSuchObjectLockConfiguration");
    // An offset counts.
    retain(s3, "box/a", "COMPLIANCE", "2060-01-01T02:00:00+02:00", &[]).await.ok();
    assert_eq!(told("box/a").await.ok().one("RetainUntilDate"), FAR);
    for headers in [vec![], vec![BYPASS]] {
        s3.send("PUT", "box/a", "retention=", &headers, none).await.refused(403, "AccessDenied");
        retain(s3, "box/a", "COMPLIANCE", "2059-01-01T00:00:00Z", &headers)
            .await
            .refused(403, "AccessDenied");
        retain(s3, "box/a", "GOVERNANCE", FARTHER, &headers).await.refused(403, "AccessDenied");
    }
    retain(s3, "box/a", "COMPLIANCE", FARTHER, &[]).await.ok();
    delete(s3, "box/a", &id, &[BYPASS]).await.refused(403, "AccessDenied");

    // Until it is over.
    let until = soon(2);
    let id = version(s3, "box/b", &[(MODE, "COMPLIANCE"), (UNTIL, &until)]).await;
    delete(s3, "box/b", &id, &[]).await.refused(403, "AccessDenied");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    delete(s3, "box/b", &id, &[]).await.ok();
    s3.get("box/b", &[]).await.refused(404, "NoSuchKey");
}

#[tokio::test(flavor = "multi_thread")]
async fn legal_holds() {
    let server = locking(Location::Memory).await;
    let s3 = &server.client;
    s3.put("plain", &[], b"").await.ok();
    s3.put("plain/a", &[], b"a").await.ok();
    let told = async |path| s3.send("GET", path, "legal-hold=", &[], b"").await;
    told("plain/a").await.refused(400, "InvalidRequest");
    hold(s3, "plain/a", "ON").await.refused(400, "InvalidRequest");
    version(s3, "box/a", &[]).await;
    told("box/a").await.refused(404, "NoSuchObjectLockConfiguration");
    hold(s3, "box/a", "on").await.refused(400, "MalformedXML");
    s3.send("PUT", "box/a", "legal-hold=", &[], b"").await.refused(400, "MalformedXML");
    for status in ["ON", "OFF"] {
        hold(s3, "box/a", status).await.ok();
        assert_eq!(told("box/a").await.ok().one("Status"), status);
        assert_eq!(s3.head("box/a", &[]).await.ok().header(HOLD), Some(status));
    }
    let marker = s3.delete("box/a", "").await.ok().header("x-amz-version-id").unwrap().to_owned();
    hold(s3, "box/a", "ON").await.refused(404, "NoSuchKey");
    delete(s3, "box/a", &marker, &[]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn defaults_and_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Dir(folder.path().to_owned());
    let server = locking(location.clone()).await;
    let s3 = &server.client;
    let before = version(s3, "box/a", &[]).await;
    configure(s3, "box", &rule("COMPLIANCE", "<Days>2</Days>")).await.ok();
    let least = soon(2 * 86_400);
    version(s3, "box/b", &[]).await;
    version(s3, "box/own", &[(MODE, "GOVERNANCE"), (UNTIL, FAR)]).await;
    s3.copy("box/a", "box/c", &[]).await.ok();
    let id = s3.begin("box/d", &[]).await;
    let etag = s3.part("box/d", &id, 1, &[], b"part").await.ok().header("etag").unwrap().to_owned();
    s3.complete("box/d", &id, &[(1, &etag)], &[]).await.ok();
    server.stop().await;

    let server = Server::start(location).await;
    let s3 = &server.client;
    assert_eq!(s3.send("GET", "box", "object-lock=", &[], b"").await.ok().one("Days"), "2");
    for path in ["box/b", "box/c", "box/d"] {
        let told = s3.head(path, &[]).await.ok();
        assert_eq!(told.header(MODE), Some("COMPLIANCE"), "{path}");
        let until = told.header(UNTIL).unwrap();
        assert!(until >= least.as_str() && until <= soon(2 * 86_400).as_str(), "{until}");
        let id = told.header("x-amz-version-id").unwrap();
        delete(s3, path, id, &[BYPASS]).await.refused(403, "AccessDenied");
    }
    let own = s3.head("box/own", &[]).await.ok();
    assert_eq!((own.header(MODE), own.header(UNTIL)), (Some("GOVERNANCE"), Some(FAR)));
    delete(s3, "box/a", &before, &[]).await.ok();
    configure(s3, "box", "").await.ok();
    assert_eq!(put(s3, "box/e", &[]).await.ok().status, 200);
    assert_eq!(s3.head("box/e", &[]).await.ok().header(MODE), None);
    server.stop().await;
}
