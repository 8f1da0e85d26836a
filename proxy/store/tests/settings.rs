//! Bucket settings and CORS over real HTTP.

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
use support::{TestClient, TestResponse, TestServer, compute_md5_base64, full_body};

const XMLNS: &str = " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
const PROLOG: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

async fn start_with_bucket() -> TestServer {
    let server = TestServer::start(Location::Memory).await;
    server.client.put_object("box", &[], b"").await.expect_success();
    server
}

async fn put_setting(s3: &TestClient, bucket: &str, query: &str, body: &str) -> TestResponse {
    s3.send("PUT", bucket, query, &[], body.as_bytes()).await
}

async fn get_setting(s3: &TestClient, bucket: &str, query: &str) -> TestResponse {
    s3.send("GET", bucket, query, &[], b"").await
}

/// Every element of every schema.
const CORS: &str = "<CORSConfiguration><CORSRule><ID>one</ID><AllowedHeader>x-*</AllowedHeader>\
    <AllowedHeader>Content-Type</AllowedHeader><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>\
    <AllowedOrigin>https://*.example.com</AllowedOrigin><AllowedOrigin>http://b</AllowedOrigin>\
    <ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-amz-request-id</ExposeHeader><MaxAgeSeconds>300</MaxAgeSeconds>\
    </CORSRule><CORSRule><AllowedMethod>HEAD</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule>\
    </CORSConfiguration>";
const LIFECYCLE: &str = "<LifecycleConfiguration><Rule><ID>r&lt;1</ID><Filter><And><Prefix>a/</Prefix><Tag><Key>k</Key>\
    <Value>v</Value></Tag><Tag><Key>l</Key><Value/></Tag><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan>\
    <ObjectSizeLessThan>9</ObjectSizeLessThan></And></Filter><Status>Enabled</Status><Expiration><Days>9</Days>\
    </Expiration><Transition><Days>0</Days><StorageClass>GLACIER_IR</StorageClass></Transition><Transition>\
    <Date>2030-01-01T00:00:00Z</Date><StorageClass>DEEP_ARCHIVE</StorageClass></Transition>\
    <NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>2\
    </NewerNoncurrentVersions></NoncurrentVersionExpiration><NoncurrentVersionTransition><NoncurrentDays>1\
    </NoncurrentDays><NewerNoncurrentVersions>3</NewerNoncurrentVersions><StorageClass>STANDARD_IA</StorageClass>\
    </NoncurrentVersionTransition><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation>\
    </AbortIncompleteMultipartUpload></Rule><Rule><ID>2</ID><Prefix/><Status>Disabled</Status><Expiration>\
    <ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule><Rule><ID>3</ID><Filter/>\
    <Status>Enabled</Status><Expiration><Date>2030-01-01T00:00:00.000Z</Date></Expiration></Rule><Rule><ID>4</ID>\
    <Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter><Status>Enabled</Status><Expiration><Days>1</Days>\
    </Expiration></Rule></LifecycleConfiguration>";
const TAGGING: &str = "<Tagging><TagSet><Tag><Key>k</Key><Value>a b</Value></Tag><Tag><Key>\u{6587}</Key><Value/></Tag>\
    </TagSet></Tagging>";
const WEBSITE: &str = "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument><ErrorDocument>\
    <Key>e.html</Key></ErrorDocument><RoutingRules><RoutingRule><Condition><HttpErrorCodeReturnedEquals>404\
    </HttpErrorCodeReturnedEquals><KeyPrefixEquals>a/</KeyPrefixEquals></Condition><Redirect><HostName>h</HostName>\
    <HttpRedirectCode>302</HttpRedirectCode><Protocol>https</Protocol><ReplaceKeyPrefixWith>b/</ReplaceKeyPrefixWith>\
    </Redirect></RoutingRule><RoutingRule><Redirect><ReplaceKeyWith>c</ReplaceKeyWith></Redirect></RoutingRule>\
    </RoutingRules></WebsiteConfiguration>";
const REDIRECT: &str = "<WebsiteConfiguration><RedirectAllRequestsTo><HostName>h</HostName><Protocol>http</Protocol>\
    </RedirectAllRequestsTo></WebsiteConfiguration>";
const LOGGING: &str = "<BucketLoggingStatus><LoggingEnabled><TargetBucket>box</TargetBucket><TargetPrefix>log/\
    </TargetPrefix><TargetGrants><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
    xsi:type=\"Group\"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ\
    </Permission></Grant></TargetGrants><TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime\
    </PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat></LoggingEnabled></BucketLoggingStatus>";
const ENCRYPTION: &str = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>\
    AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled>\
    <BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule>\
    </ServerSideEncryptionConfiguration>";
const PUBLIC: &str = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>false\
    </IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>false</RestrictPublicBuckets>\
    </PublicAccessBlockConfiguration>";
const PAYMENT: &str = "<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>";
const ACCELERATE: &str = "<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>";
const OWNERSHIP: &str = "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerPreferred</ObjectOwnership></Rule>\
    </OwnershipControls>";
const POLICY: &str = "{ \"Version\": \"2012-10-17\",\n\"Statement\": [{\"Sid\":\"\u{6587}\",\"Effect\":\"Allow\",\
    \"Principal\":\"*\",\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::box/*\"}] }";

fn inventory(id: &str) -> String {
    format!(
        "<InventoryConfiguration><Destination><S3BucketDestination><AccountId>000000000000</AccountId><Bucket>\
         arn:aws:s3:::box</Bucket><Format>CSV</Format><Prefix>inv</Prefix><Encryption><SSE-KMS><KeyId>k</KeyId>\
         </SSE-KMS></Encryption></S3BucketDestination></Destination><IsEnabled>true</IsEnabled><Filter><Prefix>a/\
         </Prefix></Filter><Id>{id}</Id><IncludedObjectVersions>All</IncludedObjectVersions><OptionalFields><Field>\
         Size</Field><Field>ETag</Field></OptionalFields><Schedule><Frequency>Daily</Frequency></Schedule>\
         </InventoryConfiguration>"
    )
}

/// The document as it is returned: with prolog and namespace.
fn to_stored_document(document: &str) -> String {
    format!("{PROLOG}{}", document.replacen('>', &format!("{XMLNS}>"), 1))
}

/// Subresource, document, status of its PUT, response if it is not configured.
const SETTINGS: [(&str, &str, u16, Result<&str, &str>); 11] = [
    ("cors=", CORS, 200, Err("NoSuchCORSConfiguration")),
    ("lifecycle=", LIFECYCLE, 200, Err("NoSuchLifecycleConfiguration")),
    ("tagging=", TAGGING, 204, Err("NoSuchTagSet")),
    ("website=", WEBSITE, 200, Err("NoSuchWebsiteConfiguration")),
    ("website=", REDIRECT, 200, Err("NoSuchWebsiteConfiguration")),
    ("logging=", LOGGING, 200, Ok("<BucketLoggingStatus")),
    ("encryption=", ENCRYPTION, 200, Ok("<SSEAlgorithm>AES256</SSEAlgorithm>")),
    ("publicAccessBlock=", PUBLIC, 200, Err("NoSuchPublicAccessBlockConfiguration")),
    ("requestPayment=", PAYMENT, 200, Ok("<Payer>BucketOwner</Payer>")),
    ("ownershipControls=", OWNERSHIP, 200, Err("OwnershipControlsNotFoundError")),
    ("accelerate=", ACCELERATE, 200, Ok("<AccelerateConfiguration")),
];

#[track_caller]
fn check_unset(response: TestResponse, unset: Result<&str, &str>) {
    match unset {
        Ok(text) => assert!(response.text().contains(text), "{}", response.text()),
        Err(code) => assert_eq!(response.expect_error(404, code).element_text("BucketName"), "box"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_returns_and_deletes_every_setting() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    for (query, document, status, unset) in SETTINGS {
        get_setting(s3, "nobox", query).await.expect_error(404, "NoSuchBucket");
        put_setting(s3, "nobox", query, document).await.expect_error(404, "NoSuchBucket");
        check_unset(get_setting(s3, "box", query).await, unset);
        let put = put_setting(s3, "box", query, document).await.expect_success();
        assert_eq!((put.status.as_u16(), put.body.len()), (status, 0), "{query}");
        let got = get_setting(s3, "box", query).await.expect_success();
        assert_eq!(got.text(), to_stored_document(document));
        assert_eq!(got.header("content-type"), Some("application/xml"));
        // Put again as returned: namespaces and the prolog are ignored.
        put_setting(s3, "box", query, &got.text()).await.expect_success();
        assert_eq!(get_setting(s3, "box", query).await.expect_success().text(), to_stored_document(document));
        for bad in
            ["", "<Other/>", &document.replacen("><", "><Surplus/><", 1), document.trim_end_matches('>')]
        {
            put_setting(s3, "box", query, bad).await.expect_error(400, "MalformedXML");
        }
        s3.send("POST", "box", query, &[], b"").await.expect_error(405, "MethodNotAllowed");
        if ["logging=", "requestPayment=", "accelerate="].contains(&query) {
            // The library would delete the bucket.
            s3.delete_object("box", query).await.expect_error(405, "MethodNotAllowed");
            assert_eq!(
                get_setting(s3, "box", query).await.expect_success().text(),
                to_stored_document(document)
            );
        } else {
            for _ in 0..2 {
                assert_eq!(s3.delete_object("box", query).await.expect_success().status, 204);
            }
            check_unset(get_setting(s3, "box", query).await, unset);
        }
        let sent = compute_md5_base64(b"other");
        s3.send("PUT", "box", query, &[("content-md5", &sent)], document.as_bytes())
            .await
            .expect_error(400, "BadDigest");
    }
    s3.head_object("box", &[]).await.expect_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_policies() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    for wanted in ["policy=", "policyStatus="] {
        get_setting(s3, "box", wanted).await.expect_error(404, "NoSuchBucketPolicy");
    }
    // The store would not enforce a policy, so it is rejected.
    put_setting(s3, "box", "policy=", POLICY).await.expect_error(501, "NotImplemented");
    for wanted in ["policy=", "policyStatus="] {
        get_setting(s3, "box", wanted).await.expect_error(404, "NoSuchBucketPolicy");
        get_setting(s3, "none", wanted).await.expect_error(404, "NoSuchBucket");
    }
    assert_eq!(s3.delete_object("box", "policy=").await.expect_success().status, 204);
    put_setting(s3, "none", "policy=", POLICY).await.expect_error(404, "NoSuchBucket");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_acls_in_a_bucket_with_acls_disabled() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    let enforced = OWNERSHIP.replace("BucketOwnerPreferred", "BucketOwnerEnforced");
    let public = [("x-amz-acl", "public-read")];
    s3.put_object("open", &public, b"").await.expect_success();
    put_setting(s3, "open", "ownershipControls=", &enforced)
        .await
        .expect_error(400, "InvalidBucketAclWithObjectOwnership");
    s3.put_object("box/a", &public, b"a").await.expect_success();
    put_setting(s3, "box", "ownershipControls=", &enforced).await.expect_success();
    s3.put_object("box/b", &public, b"b").await.expect_error(400, "AccessControlListNotSupported");
    s3.send("POST", "box/b", "uploads=", &public, b"")
        .await
        .expect_error(400, "AccessControlListNotSupported");
    s3.copy_object("box/a", "box/b", &public).await.expect_error(400, "AccessControlListNotSupported");
    for at in ["box", "box/a"] {
        s3.send("PUT", at, "acl=", &public, b"").await.expect_error(400, "AccessControlListNotSupported");
        s3.send("PUT", at, "acl=", &[("x-amz-acl", "private")], b"").await.expect_success();
    }
    s3.put_object("box/b", &[("x-amz-acl", "bucket-owner-full-control")], b"b").await.expect_success();
    s3.delete_object("box", "ownershipControls=").await.expect_success();
    s3.put_object("box/b", &public, b"b").await.expect_success();
    let other = OWNERSHIP.replace("Preferred", "Optional");
    put_setting(s3, "box", "ownershipControls=", &other).await.expect_error(400, "MalformedXML");
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_rules_within_a_document() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    let rule = |inner: &str| format!("<LifecycleConfiguration><Rule>{inner}</Rule></LifecycleConfiguration>");
    let (filter, on, days) =
        ("<Filter/>", "<Status>Enabled</Status>", "<Expiration><Days>1</Days></Expiration>");
    put_setting(s3, "box", "lifecycle=", &rule(&format!("{days}{on}{filter}"))).await.expect_success();
    for (inner, code) in [
        (format!("{on}{days}"), "MalformedXML"),
        (format!("{filter}<Prefix/>{on}{days}"), "MalformedXML"),
        (format!("{filter}{days}"), "MalformedXML"),
        (format!("{filter}<Status>enabled</Status>{days}"), "MalformedXML"),
        (format!("{filter}{on}"), "InvalidRequest"),
        (format!("{filter}{on}{days}{days}"), "MalformedXML"),
        (format!("{filter}{on}<Expiration/>"), "MalformedXML"),
        (format!("{filter}{on}{}", days.replace('1', "0")), "InvalidArgument"),
        (format!("{filter}{on}{}", days.replace('1', "x")), "MalformedXML"),
        (
            format!("{filter}{on}<Expiration><Date>2030-01-01T01:00:00Z</Date></Expiration>"),
            "InvalidArgument",
        ),
        (format!("{filter}{on}<Transition><Days>1</Days></Transition>"), "MalformedXML"),
        (
            format!("{filter}{on}<Transition><Days>1</Days><StorageClass>COLD</StorageClass></Transition>"),
            "MalformedXML",
        ),
        (
            format!("<Filter><Prefix>a</Prefix><Tag><Key>k</Key><Value/></Tag></Filter>{on}{days}"),
            "MalformedXML",
        ),
        (format!("{}{on}{days}", "<ID>i</ID>".repeat(2)), "MalformedXML"),
        (format!("<ID>{}</ID>{filter}{on}{days}", "i".repeat(256)), "InvalidArgument"),
    ] {
        put_setting(s3, "box", "lifecycle=", &rule(&inner)).await.expect_error(400, code);
    }
    let same = format!("<ID>i</ID>{filter}{on}{days}</Rule><Rule><ID>i</ID>{filter}{on}{days}");
    put_setting(s3, "box", "lifecycle=", &rule(&same)).await.expect_error(400, "InvalidArgument");
    let smallest = ("x-amz-transition-default-minimum-object-size", "varies_by_storage_class");
    let got = get_setting(s3, "box", "lifecycle=").await.expect_success();
    assert_eq!(got.header(smallest.0), Some("all_storage_classes_128K"));
    s3.send("PUT", "box", "lifecycle=", &[(smallest.0, "none")], LIFECYCLE.as_bytes())
        .await
        .expect_error(400, "InvalidArgument");
    s3.send("PUT", "box", "lifecycle=", &[smallest], LIFECYCLE.as_bytes()).await.expect_success();
    assert_eq!(
        get_setting(s3, "box", "lifecycle=").await.expect_success().header(smallest.0),
        Some(smallest.1)
    );

    for (from, to, code) in [
        ("GET", "PATCH", "InvalidRequest"),
        ("https://*.", "*://*.", "InvalidRequest"),
        ("<ExposeHeader>ETag", "<ExposeHeader>*", "InvalidRequest"),
        ("300", "soon", "MalformedXML"),
        ("<AllowedMethod>HEAD</AllowedMethod>", "", "MalformedXML"),
        ("<AllowedOrigin>*</AllowedOrigin>", "", "MalformedXML"),
    ] {
        put_setting(s3, "box", "cors=", &CORS.replace(from, to)).await.expect_error(400, code);
    }
    let rule = "<CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule>";
    let rules = |count| format!("<CORSConfiguration>{}</CORSConfiguration>", rule.repeat(count));
    put_setting(s3, "box", "cors=", &rules(101)).await.expect_error(400, "InvalidRequest");
    put_setting(s3, "box", "cors=", &rules(100)).await.expect_success();

    let tag = |key: &str| format!("<Tag><Key>{key}</Key><Value>v</Value></Tag>");
    let tags = |tags: String| format!("<Tagging><TagSet>{tags}</TagSet></Tagging>");
    let many = |count: usize| tags((0..count).map(|number| tag(&format!("k{number}"))).collect());
    put_setting(s3, "box", "tagging=", &many(51)).await.expect_error(400, "BadRequest");
    put_setting(s3, "box", "tagging=", &many(50)).await.expect_success();
    put_setting(s3, "box", "tagging=", &tags(tag("k").repeat(2))).await.expect_error(400, "InvalidTag");
    put_setting(s3, "box", "tagging=", &tags(tag("aws:k"))).await.expect_error(400, "InvalidTag");

    let index = "<IndexDocument><Suffix>i</Suffix></IndexDocument>";
    let site = |inner: &str| format!("<WebsiteConfiguration>{inner}</WebsiteConfiguration>");
    for (inner, code) in [
        (String::new(), "InvalidArgument"),
        (index.replace(">i<", ">a/i<"), "InvalidArgument"),
        (
            format!("{index}<RedirectAllRequestsTo><HostName>h</HostName></RedirectAllRequestsTo>"),
            "InvalidArgument",
        ),
        (format!("{index}<RoutingRules/>"), "MalformedXML"),
        (
            format!("{index}<RoutingRules><RoutingRule><Redirect/></RoutingRule></RoutingRules>"),
            "InvalidRequest",
        ),
    ] {
        put_setting(s3, "box", "website=", &site(&inner)).await.expect_error(400, code);
    }
    put_setting(s3, "box", "website=", &site(index)).await.expect_success();

    put_setting(s3, "box", "logging=", &LOGGING.replace(">box<", ">nobox<"))
        .await
        .expect_error(400, "InvalidTargetBucketForLogging");
    for (from, to) in [("\"Group\"", "\"Crowd\""), (" xsi:type=\"Group\"", ""), ("EventTime", "Never")] {
        put_setting(s3, "box", "logging=", &LOGGING.replace(from, to))
            .await
            .expect_error(400, "MalformedXML");
    }
    put_setting(s3, "box", "logging=", "<BucketLoggingStatus/>").await.expect_success();
    put_setting(s3, "box", "encryption=", &ENCRYPTION.replace("AES256", "aws:kms"))
        .await
        .expect_error(501, "NotImplemented");
    put_setting(s3, "box", "encryption=", &ENCRYPTION.replace("AES256", "AES128"))
        .await
        .expect_error(400, "MalformedXML");
    put_setting(s3, "box", "requestPayment=", &PAYMENT.replace("Requester", "Me"))
        .await
        .expect_error(400, "MalformedXML");
    put_setting(s3, "box", "publicAccessBlock=", &PUBLIC.replace("false", "no"))
        .await
        .expect_error(400, "MalformedXML");
    for later in ["replication=", "analytics=", "notification="] {
        get_setting(s3, "box", later).await.expect_error(501, "NotImplemented");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn applies_the_default_encryption_to_writes() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    let sealed = "x-amz-server-side-encryption";
    assert_eq!(s3.put_object("box/a", &[], b"a").await.expect_success().header(sealed), None);
    put_setting(s3, "box", "encryption=", ENCRYPTION).await.expect_success();
    for response in [
        s3.put_object("box/b", &[], b"b").await.expect_success(),
        s3.get_object("box/b", &[]).await.expect_success(),
        s3.copy_object("box/a", "box/c", &[]).await.expect_success(),
        s3.send("POST", "box/d", "uploads=", &[], b"").await.expect_success(),
    ] {
        assert_eq!(response.header(sealed), Some("AES256"));
    }
    assert_eq!(s3.get_object("box/a", &[]).await.expect_success().header(sealed), None);
    assert_eq!(s3.get_object("box/c", &[]).await.expect_success().body, "a");
    let prefix = "x-amz-server-side-encryption-customer-";
    let names = [format!("{prefix}algorithm"), format!("{prefix}key"), format!("{prefix}key-MD5")];
    let own = [
        (names[0].as_str(), "AES256"),
        (names[1].as_str(), "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        (names[2].as_str(), "hRasmdxgYDKV3nvbahU1MA=="),
    ];
    s3.put_object("box/e", &own, b"e").await.expect_error(403, "AccessDenied");
    s3.delete_object("box", "encryption=").await.expect_success();
    s3.put_object("box/e", &own, b"e").await.expect_success();
    assert_eq!(s3.put_object("box/a", &[], b"a").await.expect_success().header(sealed), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_inventory_configurations() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    let put = |id: String| async move {
        put_setting(s3, "box", &format!("inventory=&id={id}"), &inventory(&id)).await
    };
    get_setting(s3, "box", "inventory=&id=a").await.expect_error(404, "NoSuchConfiguration");
    let none = get_setting(s3, "box", "inventory=").await.expect_success();
    assert_eq!((none.element_texts("Id").len(), none.element_text("IsTruncated").as_str()), (0, "false"));
    assert!(none.text().contains("<ListInventoryConfigurationsResult"));
    put_setting(s3, "box", "inventory=&id=a", &inventory("b")).await.expect_error(400, "IdMismatch");
    put_setting(s3, "box", "inventory=", &inventory("b")).await.expect_error(400, "InvalidArgument");
    s3.delete_object("box", "inventory=").await.expect_error(400, "InvalidArgument");
    put_setting(s3, "box", "inventory=&id=a", &inventory("a").replace("CSV", "TSV"))
        .await
        .expect_error(400, "MalformedXML");
    for number in 0..101 {
        put(format!("i{number:03}")).await.expect_success();
    }
    assert_eq!(
        get_setting(s3, "box", "inventory=&id=i007").await.expect_success().text(),
        to_stored_document(&inventory("i007"))
    );
    let first = get_setting(s3, "box", "inventory=").await.expect_success();
    assert_eq!((first.element_texts("Id").len(), first.element_text("IsTruncated").as_str()), (100, "true"));
    let token = first.element_text("NextContinuationToken");
    let rest =
        get_setting(s3, "box", &format!("inventory=&continuation-token={token}")).await.expect_success();
    assert_eq!(
        (rest.element_texts("Id"), rest.element_text("IsTruncated")),
        (vec!["i100".to_owned()], "false".to_owned())
    );
    assert_eq!(s3.delete_object("box", "inventory=&id=i007").await.expect_success().status, 204);
    get_setting(s3, "box", "inventory=&id=i007").await.expect_error(404, "NoSuchConfiguration");
    get_setting(s3, "box", "inventory=&id=i008").await.expect_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_survive_reopening_and_are_deleted_with_the_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Dir(folder.path().to_owned());
    let server = TestServer::start(location.clone()).await;
    let s3 = &server.client;
    for bucket in ["box", "box2"] {
        s3.put_object(bucket, &[], b"").await.expect_success();
        for (query, document, ..) in SETTINGS {
            put_setting(s3, bucket, query, document).await.expect_success();
        }
        put_setting(s3, bucket, "inventory=&id=a", &inventory("a")).await.expect_success();
    }
    server.stop().await;
    let server = TestServer::start(location.clone()).await;
    let s3 = &server.client;
    for (query, document, ..) in SETTINGS.into_iter().filter(|row| row.1 != WEBSITE) {
        assert_eq!(get_setting(s3, "box", query).await.expect_success().text(), to_stored_document(document));
    }
    assert_eq!(
        get_setting(s3, "box", "inventory=&id=a").await.expect_success().text(),
        to_stored_document(&inventory("a"))
    );
    let sealed = s3.put_object("box2/a", &[], b"a").await.expect_success();
    assert_eq!(sealed.header("x-amz-server-side-encryption"), Some("AES256"));
    s3.delete_object("box2", "").await.expect_error(409, "BucketNotEmpty");
    assert_eq!(get_setting(s3, "box2", "cors=").await.expect_success().text(), to_stored_document(CORS));
    s3.delete_object("box", "").await.expect_success();
    s3.put_object("box", &[], b"").await.expect_success();
    for (query, _, _, unset) in SETTINGS {
        check_unset(get_setting(s3, "box", query).await, unset);
    }
    get_setting(s3, "box", "inventory=&id=a").await.expect_error(404, "NoSuchConfiguration");
    assert_eq!(get_setting(s3, "box2", "cors=").await.expect_success().text(), to_stored_document(CORS));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsupported_method_of_a_subresource_never_reaches_the_bucket_or_the_object() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    s3.put_object("empty", &[], b"").await.expect_success();
    s3.put_object("box/a", &[], b"a").await.expect_success();
    for query in
        ["acl=", "acl=x", "location=", "versioning=", "object-lock=", "policyStatus=", "notification="]
    {
        s3.delete_object("empty", query).await.expect_error(405, "MethodNotAllowed");
    }
    for query in ["acl=", "attributes=", "retention=", "legal-hold=", "restore="] {
        s3.delete_object("box/a", query).await.expect_error(405, "MethodNotAllowed");
    }
    for query in ["attributes=", "restore="] {
        s3.send("PUT", "box/a", query, &[], b"other").await.expect_error(405, "MethodNotAllowed");
    }
    for query in ["torrent=", "encryption=", "renameObject="] {
        s3.send("PUT", "box/a", query, &[], b"other").await.expect_error(501, "NotImplemented");
    }
    assert_eq!(s3.get_object("box/a", &[]).await.expect_success().body, "a");
    s3.delete_object("empty", "").await.expect_success();
}

async fn send_unsigned_options(s3: &TestClient, path: &str, headers: &[(&str, &str)]) -> TestResponse {
    let mut request = http::Request::builder().method("OPTIONS").uri(format!("http://{}/{path}", s3.address));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    s3.send_raw(request.body(full_body(b"")).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn handles_preflight_requests() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    let (method, wanted) = ("access-control-request-method", "access-control-request-headers");
    let page = ("origin", "https://a.example.com");
    send_unsigned_options(s3, "box/a", &[(method, "GET")]).await.expect_error(400, "BadRequest");
    send_unsigned_options(s3, "box/a", &[page]).await.expect_error(400, "BadRequest");
    let rejected = send_unsigned_options(s3, "box/a", &[page, (method, "GET")])
        .await
        .expect_error(403, "AccessForbidden");
    assert_eq!(
        (rejected.element_text("ResourceType").as_str(), rejected.element_text("Method").as_str()),
        ("OBJECT", "GET")
    );
    send_unsigned_options(s3, "nobox/a", &[page, (method, "GET")]).await.expect_error(403, "AccessForbidden");
    put_setting(s3, "box", "cors=", CORS).await.expect_success();
    send_unsigned_options(s3, "nobox/a", &[page, (method, "GET")]).await.expect_error(403, "AccessForbidden");
    for request_headers in [
        vec![("origin", "https://example.org"), (method, "GET")],
        vec![page, (method, "DELETE")],
        vec![page, (method, "get")],
        vec![page, (method, "GET"), (wanted, "x-one, authorization")],
        vec![("origin", "http://b"), (method, "HEAD"), (wanted, "x-one")],
    ] {
        let rejected =
            send_unsigned_options(s3, "box", &request_headers).await.expect_error(403, "AccessForbidden");
        assert!(
            rejected.element_text("Message").starts_with("CORSResponse: This CORS request is not allowed.")
        );
        assert_eq!(rejected.element_text("ResourceType"), "BUCKET");
        assert_eq!(rejected.header("access-control-allow-origin"), None);
    }
    let given = [page, (method, "PUT"), (wanted, "X-One, content-type")];
    let response = send_unsigned_options(s3, "box/a", &given).await;
    assert_eq!((response.status.as_u16(), response.body.len()), (200, 0));
    for (name, value) in [
        ("access-control-allow-origin", Some(page.1)),
        ("access-control-allow-methods", Some("GET, PUT")),
        ("access-control-allow-headers", Some("x-one, content-type")),
        ("access-control-expose-headers", Some("ETag, x-amz-request-id")),
        ("access-control-max-age", Some("300")),
        ("access-control-allow-credentials", Some("true")),
        ("vary", Some("Origin, Access-Control-Request-Headers, Access-Control-Request-Method")),
    ] {
        assert_eq!(response.header(name), value, "{name}");
    }
    let any = send_unsigned_options(s3, "box/a", &[("origin", "http://z"), (method, "HEAD")])
        .await
        .expect_success();
    assert_eq!(any.header("access-control-allow-origin"), Some("*"));
    assert_eq!(any.header("access-control-allow-credentials"), None);
    // The control, a signed request: OPTIONS is always a preflight.
    s3.send("OPTIONS", "box/a", "", &[page, (method, "GET")], b"").await.expect_success();
}

#[tokio::test(flavor = "multi_thread")]
async fn adds_cors_headers_to_responses() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    s3.put_object("box/a", &[], b"a").await.expect_success();
    let get_allowed_origin =
        |response: &TestResponse| response.header("access-control-allow-origin").map(str::to_owned);
    assert_eq!(
        get_allowed_origin(&s3.get_object("box/a", &[("origin", "http://b")]).await.expect_success()),
        None
    );
    put_setting(s3, "box", "cors=", CORS).await.expect_success();
    let got = s3.get_object("box/a", &[("origin", "http://b")]).await.expect_success();
    assert_eq!((get_allowed_origin(&got).as_deref(), got.body.as_ref()), (Some("http://b"), b"a".as_slice()));
    assert_eq!(got.header("access-control-expose-headers"), Some("ETag, x-amz-request-id"));
    assert_eq!(get_allowed_origin(&s3.get_object("box/a", &[]).await.expect_success()), None);
    assert_eq!(
        get_allowed_origin(&s3.get_object("box/a", &[("origin", "http://c")]).await.expect_success()),
        None
    );
    assert_eq!(
        get_allowed_origin(&s3.head_object("box/a", &[("origin", "http://c")]).await.expect_success())
            .as_deref(),
        Some("*")
    );
    let missing = s3.get_object("box/none", &[("origin", "http://b")]).await.expect_error(404, "NoSuchKey");
    assert_eq!(get_allowed_origin(&missing).as_deref(), Some("http://b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_other_configurations_with_ids() {
    let server = start_with_bucket().await;
    let s3 = &server.client;
    let both = "<Filter><And><Prefix>a/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter>";
    let tiers =
        "<Status>Enabled</Status><Tiering><AccessTier>ARCHIVE_ACCESS</AccessTier><Days>90</Days></Tiering>";
    for (name, root, list, rest) in [
        ("metrics", "MetricsConfiguration", "ListMetricsConfigurationsResult", ""),
        (
            "intelligent-tiering",
            "IntelligentTieringConfiguration",
            "ListBucketIntelligentTieringConfigurationsOutput",
            tiers,
        ),
    ] {
        let document = |filter: &str| format!("<{root}><Id>a</Id>{filter}{rest}</{root}>");
        let one = format!("{name}=&id=a");
        get_setting(s3, "box", &one).await.expect_error(404, "NoSuchConfiguration");
        // One condition, or several joined by And.
        let two = "<Filter><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></Filter>";
        for bad in [two, "<Filter></Filter>"] {
            put_setting(s3, "box", &one, &document(bad)).await.expect_error(400, "MalformedXML");
        }
        put_setting(s3, "box", &format!("{name}=&id=b"), &document("")).await.expect_error(400, "IdMismatch");
        put_setting(s3, "box", &one, &document(both)).await.expect_success();
        assert_eq!(
            get_setting(s3, "box", &one).await.expect_success().text(),
            to_stored_document(&document(both))
        );
        assert!(
            get_setting(s3, "box", &format!("{name}="))
                .await
                .expect_success()
                .text()
                .contains(&format!("<{list}"))
        );
        assert_eq!(s3.delete_object("box", &one).await.expect_success().status, 204);
        get_setting(s3, "box", &one).await.expect_error(404, "NoSuchConfiguration");
    }
}
