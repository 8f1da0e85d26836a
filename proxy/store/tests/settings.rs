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
use support::{Answer, S3, Server, full, md5_base64};

const XMLNS: &str = " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
const PROLOG: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

async fn memory() -> Server {
    let server = Server::start(Location::Memory).await;
    server.client.put("box", &[], b"").await.ok();
    server
}

async fn set(s3: &S3, bucket: &str, query: &str, body: &str) -> Answer {
    s3.send("PUT", bucket, query, &[], body.as_bytes()).await
}

async fn told(s3: &S3, bucket: &str, query: &str) -> Answer {
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

/// As it comes back: with prolog and namespace.
fn whole(document: &str) -> String {
    format!("{PROLOG}{}", document.replacen('>', &format!("{XMLNS}>"), 1))
}

/// Sub-resource, document, the status of its PUT, what is answered without it.
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
fn check_unset(answer: Answer, unset: Result<&str, &str>) {
    match unset {
        Ok(text) => assert!(answer.text().contains(text), "{}", answer.text()),
        Err(code) => assert_eq!(answer.refused(404, code).one("BucketName"), "box"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_comes_back_whole_and_goes() {
    let server = memory().await;
    let s3 = &server.client;
    for (query, document, status, unset) in SETTINGS {
        told(s3, "nobox", query).await.refused(404, "NoSuchBucket");
        set(s3, "nobox", query, document).await.refused(404, "NoSuchBucket");
        check_unset(told(s3, "box", query).await, unset);
        let put = set(s3, "box", query, document).await.ok();
        assert_eq!((put.status.as_u16(), put.body.len()), (status, 0), "{query}");
        let got = told(s3, "box", query).await.ok();
        assert_eq!(got.text(), whole(document));
        assert_eq!(got.header("content-type"), Some("application/xml"));
        // Put again as it came: namespaces and the prolog are nothing to it.
        set(s3, "box", query, &got.text()).await.ok();
        assert_eq!(told(s3, "box", query).await.ok().text(), whole(document));
        for bad in
            ["", "<Other/>", &document.replacen("><", "><Surplus/><", 1), document.trim_end_matches('>')]
        {
            set(s3, "box", query, bad).await.refused(400, "MalformedXML");
        }
        s3.send("POST", "box", query, &[], b"").await.refused(405, "MethodNotAllowed");
        if ["logging=", "requestPayment=", "accelerate="].contains(&query) {
            // The library would delete the bucket.
            s3.delete("box", query).await.refused(405, "MethodNotAllowed");
            assert_eq!(told(s3, "box", query).await.ok().text(), whole(document));
        } else {
            for _ in 0..2 {
                assert_eq!(s3.delete("box", query).await.ok().status, 204);
            }
            check_unset(told(s3, "box", query).await, unset);
        }
        let sent = md5_base64(b"other");
        s3.send("PUT", "box", query, &[("content-md5", &sent)], document.as_bytes())
            .await
            .refused(400, "BadDigest");
    }
    s3.head("box", &[]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_refused() {
    let server = memory().await;
    let s3 = &server.client;
    for wanted in ["policy=", "policyStatus="] {
        told(s3, "box", wanted).await.refused(404, "NoSuchBucketPolicy");
    }
    // Nobody would enforce it, so it is not taken.
    set(s3, "box", "policy=", POLICY).await.refused(501, "NotImplemented");
    for wanted in ["policy=", "policyStatus="] {
        told(s3, "box", wanted).await.refused(404, "NoSuchBucketPolicy");
        told(s3, "none", wanted).await.refused(404, "NoSuchBucket");
    }
    assert_eq!(s3.delete("box", "policy=").await.ok().status, 204);
    set(s3, "none", "policy=", POLICY).await.refused(404, "NoSuchBucket");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_whose_owner_has_everything_takes_no_acls() {
    let server = memory().await;
    let s3 = &server.client;
    let enforced = OWNERSHIP.replace("BucketOwnerPreferred", "BucketOwnerEnforced");
    let public = [("x-amz-acl", "public-read")];
    s3.put("open", &public, b"").await.ok();
    set(s3, "open", "ownershipControls=", &enforced)
        .await
        .refused(400, "InvalidBucketAclWithObjectOwnership");
    s3.put("box/a", &public, b"a").await.ok();
    set(s3, "box", "ownershipControls=", &enforced).await.ok();
    s3.put("box/b", &public, b"b").await.refused(400, "AccessControlListNotSupported");
    s3.send("POST", "box/b", "uploads=", &public, b"").await.refused(400, "AccessControlListNotSupported");
    s3.copy("box/a", "box/b", &public).await.refused(400, "AccessControlListNotSupported");
    for at in ["box", "box/a"] {
        s3.send("PUT", at, "acl=", &public, b"").await.refused(400, "AccessControlListNotSupported");
        s3.send("PUT", at, "acl=", &[("x-amz-acl", "private")], b"").await.ok();
    }
    s3.put("box/b", &[("x-amz-acl", "bucket-owner-full-control")], b"b").await.ok();
    s3.delete("box", "ownershipControls=").await.ok();
    s3.put("box/b", &public, b"b").await.ok();
    let other = OWNERSHIP.replace("Preferred", "Optional");
    set(s3, "box", "ownershipControls=", &other).await.refused(400, "MalformedXML");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_within_a_document() {
    let server = memory().await;
    let s3 = &server.client;
    let rule = |inner: &str| format!("<LifecycleConfiguration><Rule>{inner}</Rule></LifecycleConfiguration>");
    let (filter, on, days) =
        ("<Filter/>", "<Status>Enabled</Status>", "<Expiration><Days>1</Days></Expiration>");
    set(s3, "box", "lifecycle=", &rule(&format!("{days}{on}{filter}"))).await.ok();
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
        set(s3, "box", "lifecycle=", &rule(&inner)).await.refused(400, code);
    }
    let same = format!("<ID>i</ID>{filter}{on}{days}</Rule><Rule><ID>i</ID>{filter}{on}{days}");
    set(s3, "box", "lifecycle=", &rule(&same)).await.refused(400, "InvalidArgument");
    let smallest = ("x-amz-transition-default-minimum-object-size", "varies_by_storage_class");
    let got = told(s3, "box", "lifecycle=").await.ok();
    assert_eq!(got.header(smallest.0), Some("all_storage_classes_128K"));
    s3.send("PUT", "box", "lifecycle=", &[(smallest.0, "none")], LIFECYCLE.as_bytes())
        .await
        .refused(400, "InvalidArgument");
    s3.send("PUT", "box", "lifecycle=", &[smallest], LIFECYCLE.as_bytes()).await.ok();
    assert_eq!(told(s3, "box", "lifecycle=").await.ok().header(smallest.0), Some(smallest.1));

    for (from, to, code) in [
        ("GET", "PATCH", "InvalidRequest"),
        ("https://*.", "*://*.", "InvalidRequest"),
        ("<ExposeHeader>ETag", "<ExposeHeader>*", "InvalidRequest"),
        ("300", "soon", "MalformedXML"),
        ("<AllowedMethod>HEAD</AllowedMethod>", "", "MalformedXML"),
        ("<AllowedOrigin>*</AllowedOrigin>", "", "MalformedXML"),
    ] {
        set(s3, "box", "cors=", &CORS.replace(from, to)).await.refused(400, code);
    }
    let rule = "<CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule>";
    let rules = |count| format!("<CORSConfiguration>{}</CORSConfiguration>", rule.repeat(count));
    set(s3, "box", "cors=", &rules(101)).await.refused(400, "InvalidRequest");
    set(s3, "box", "cors=", &rules(100)).await.ok();

    let tag = |key: &str| format!("<Tag><Key>{key}</Key><Value>v</Value></Tag>");
    let tags = |tags: String| format!("<Tagging><TagSet>{tags}</TagSet></Tagging>");
    let many = |count: usize| tags((0..count).map(|number| tag(&format!("k{number}"))).collect());
    set(s3, "box", "tagging=", &many(51)).await.refused(400, "BadRequest");
    set(s3, "box", "tagging=", &many(50)).await.ok();
    set(s3, "box", "tagging=", &tags(tag("k").repeat(2))).await.refused(400, "InvalidTag");
    set(s3, "box", "tagging=", &tags(tag("aws:k"))).await.refused(400, "InvalidTag");

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
        set(s3, "box", "website=", &site(&inner)).await.refused(400, code);
    }
    set(s3, "box", "website=", &site(index)).await.ok();

    set(s3, "box", "logging=", &LOGGING.replace(">box<", ">nobox<"))
        .await
        .refused(400, "InvalidTargetBucketForLogging");
    for (from, to) in [("\"Group\"", "\"Crowd\""), (" xsi:type=\"Group\"", ""), ("EventTime", "Never")] {
        set(s3, "box", "logging=", &LOGGING.replace(from, to)).await.refused(400, "MalformedXML");
    }
    set(s3, "box", "logging=", "<BucketLoggingStatus/>").await.ok();
    set(s3, "box", "encryption=", &ENCRYPTION.replace("AES256", "aws:kms"))
        .await
        .refused(501, "NotImplemented");
    set(s3, "box", "encryption=", &ENCRYPTION.replace("AES256", "AES128")).await.refused(400, "MalformedXML");
    set(s3, "box", "requestPayment=", &PAYMENT.replace("Requester", "Me")).await.refused(400, "MalformedXML");
    set(s3, "box", "publicAccessBlock=", &PUBLIC.replace("false", "no")).await.refused(400, "MalformedXML");
    for later in ["replication=", "analytics=", "notification="] {
        told(s3, "box", later).await.refused(501, "NotImplemented");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_encryption_seals_what_is_written() {
    let server = memory().await;
    let s3 = &server.client;
    let sealed = "x-amz-server-side-encryption";
    assert_eq!(s3.put("box/a", &[], b"a").await.ok().header(sealed), None);
    set(s3, "box", "encryption=", ENCRYPTION).await.ok();
    for answer in [
        s3.put("box/b", &[], b"b").await.ok(),
        s3.get("box/b", &[]).await.ok(),
        s3.copy("box/a", "box/c", &[]).await.ok(),
        s3.send("POST", "box/d", "uploads=", &[], b"").await.ok(),
    ] {
        assert_eq!(answer.header(sealed), Some("AES256"));
    }
    assert_eq!(s3.get("box/a", &[]).await.ok().header(sealed), None);
    assert_eq!(s3.get("box/c", &[]).await.ok().body, "a");
    let prefix = "x-amz-server-side-encryption-customer-";
    let names = [format!("{prefix}algorithm"), format!("{prefix}key"), format!("{prefix}key-MD5")];
    let own = [
        (names[0].as_str(), "AES256"),
        (names[1].as_str(), "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        (names[2].as_str(), "hRasmdxgYDKV3nvbahU1MA=="),
    ];
    s3.put("box/e", &own, b"e").await.refused(403, "AccessDenied");
    s3.delete("box", "encryption=").await.ok();
    s3.put("box/e", &own, b"e").await.ok();
    assert_eq!(s3.put("box/a", &[], b"a").await.ok().header(sealed), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn inventory_configurations() {
    let server = memory().await;
    let s3 = &server.client;
    let put =
        |id: String| async move { set(s3, "box", &format!("inventory=&id={id}"), &inventory(&id)).await };
    told(s3, "box", "inventory=&id=a").await.refused(404, "NoSuchConfiguration");
    let none = told(s3, "box", "inventory=").await.ok();
    assert_eq!((none.all("Id").len(), none.one("IsTruncated").as_str()), (0, "false"));
    assert!(none.text().contains("<ListInventoryConfigurationsResult"));
    set(s3, "box", "inventory=&id=a", &inventory("b")).await.refused(400, "IdMismatch");
    set(s3, "box", "inventory=", &inventory("b")).await.refused(400, "InvalidArgument");
    s3.delete("box", "inventory=").await.refused(400, "InvalidArgument");
    set(s3, "box", "inventory=&id=a", &inventory("a").replace("CSV", "TSV"))
        .await
        .refused(400, "MalformedXML");
    for number in 0..101 {
        put(format!("i{number:03}")).await.ok();
    }
    assert_eq!(told(s3, "box", "inventory=&id=i007").await.ok().text(), whole(&inventory("i007")));
    let first = told(s3, "box", "inventory=").await.ok();
    assert_eq!((first.all("Id").len(), first.one("IsTruncated").as_str()), (100, "true"));
    let token = first.one("NextContinuationToken");
    let rest = told(s3, "box", &format!("inventory=&continuation-token={token}")).await.ok();
    assert_eq!((rest.all("Id"), rest.one("IsTruncated")), (vec!["i100".to_owned()], "false".to_owned()));
    assert_eq!(s3.delete("box", "inventory=&id=i007").await.ok().status, 204);
    told(s3, "box", "inventory=&id=i007").await.refused(404, "NoSuchConfiguration");
    told(s3, "box", "inventory=&id=i008").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_survive_reopening_and_go_with_the_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Dir(folder.path().to_owned());
    let server = Server::start(location.clone()).await;
    let s3 = &server.client;
    for bucket in ["box", "box2"] {
        s3.put(bucket, &[], b"").await.ok();
        for (query, document, ..) in SETTINGS {
            set(s3, bucket, query, document).await.ok();
        }
        set(s3, bucket, "inventory=&id=a", &inventory("a")).await.ok();
    }
    server.stop().await;
    let server = Server::start(location.clone()).await;
    let s3 = &server.client;
    for (query, document, ..) in SETTINGS.into_iter().filter(|row| row.1 != WEBSITE) {
        assert_eq!(told(s3, "box", query).await.ok().text(), whole(document));
    }
    assert_eq!(told(s3, "box", "inventory=&id=a").await.ok().text(), whole(&inventory("a")));
    let sealed = s3.put("box2/a", &[], b"a").await.ok();
    assert_eq!(sealed.header("x-amz-server-side-encryption"), Some("AES256"));
    s3.delete("box2", "").await.refused(409, "BucketNotEmpty");
    assert_eq!(told(s3, "box2", "cors=").await.ok().text(), whole(CORS));
    s3.delete("box", "").await.ok();
    s3.put("box", &[], b"").await.ok();
    for (query, _, _, unset) in SETTINGS {
        check_unset(told(s3, "box", query).await, unset);
    }
    told(s3, "box", "inventory=&id=a").await.refused(404, "NoSuchConfiguration");
    assert_eq!(told(s3, "box2", "cors=").await.ok().text(), whole(CORS));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_a_sub_resource_lacks_never_reaches_the_bucket_or_the_object() {
    let server = memory().await;
    let s3 = &server.client;
    s3.put("empty", &[], b"").await.ok();
    s3.put("box/a", &[], b"a").await.ok();
    for query in
        ["acl=", "acl=x", "location=", "versioning=", "object-lock=", "policyStatus=", "notification="]
    {
        s3.delete("empty", query).await.refused(405, "MethodNotAllowed");
    }
    for query in ["acl=", "attributes=", "retention=", "legal-hold=", "restore="] {
        s3.delete("box/a", query).await.refused(405, "MethodNotAllowed");
    }
    for query in ["attributes=", "restore="] {
        s3.send("PUT", "box/a", query, &[], b"other").await.refused(405, "MethodNotAllowed");
    }
    for query in ["torrent=", "encryption=", "renameObject="] {
        s3.send("PUT", "box/a", query, &[], b"other").await.refused(501, "NotImplemented");
    }
    assert_eq!(s3.get("box/a", &[]).await.ok().body, "a");
    s3.delete("empty", "").await.ok();
}

async fn unsigned(s3: &S3, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = http::Request::builder().method("OPTIONS").uri(format!("http://{}/{path}", s3.address));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    s3.raw(request.body(full(b"")).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pre_flight_requests() {
    let server = memory().await;
    let s3 = &server.client;
    let (method, wanted) = ("access-control-request-method", "access-control-request-headers");
    let page = ("origin", "https://a.example.com");
    unsigned(s3, "box/a", &[(method, "GET")]).await.refused(400, "BadRequest");
    unsigned(s3, "box/a", &[page]).await.refused(400, "BadRequest");
    let refused = unsigned(s3, "box/a", &[page, (method, "GET")]).await.refused(403, "AccessForbidden");
    assert_eq!((refused.one("ResourceType").as_str(), refused.one("Method").as_str()), ("OBJECT", "GET"));
    unsigned(s3, "nobox/a", &[page, (method, "GET")]).await.refused(403, "AccessForbidden");
    set(s3, "box", "cors=", CORS).await.ok();
    unsigned(s3, "nobox/a", &[page, (method, "GET")]).await.refused(403, "AccessForbidden");
    for asked in [
        vec![("origin", "https://example.org"), (method, "GET")],
        vec![page, (method, "DELETE")],
        vec![page, (method, "get")],
        vec![page, (method, "GET"), (wanted, "x-one, authorization")],
        vec![("origin", "http://b"), (method, "HEAD"), (wanted, "x-one")],
    ] {
        let refused = unsigned(s3, "box", &asked).await.refused(403, "AccessForbidden");
        assert!(refused.one("Message").starts_with("CORSResponse: This CORS request is not allowed."));
        assert_eq!(refused.one("ResourceType"), "BUCKET");
        assert_eq!(refused.header("access-control-allow-origin"), None);
    }
    let given = [page, (method, "PUT"), (wanted, "X-One, content-type")];
    let answer = unsigned(s3, "box/a", &given).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    for (name, value) in [
        ("access-control-allow-origin", Some(page.1)),
        ("access-control-allow-methods", Some("GET, PUT")),
        ("access-control-allow-headers", Some("x-one, content-type")),
        ("access-control-expose-headers", Some("ETag, x-amz-request-id")),
        ("access-control-max-age", Some("300")),
        ("access-control-allow-credentials", Some("true")),
        ("vary", Some("Origin, Access-Control-Request-Headers, Access-Control-Request-Method")),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let any = unsigned(s3, "box/a", &[("origin", "http://z"), (method, "HEAD")]).await.ok();
    assert_eq!(any.header("access-control-allow-origin"), Some("*"));
    assert_eq!(any.header("access-control-allow-credentials"), None);
    // The signed control: OPTIONS is nothing else.
    s3.send("OPTIONS", "box/a", "", &[page, (method, "GET")], b"").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_a_page() {
    let server = memory().await;
    let s3 = &server.client;
    s3.put("box/a", &[], b"a").await.ok();
    let allowed = |answer: &Answer| answer.header("access-control-allow-origin").map(str::to_owned);
    assert_eq!(allowed(&s3.get("box/a", &[("origin", "http://b")]).await.ok()), None);
    set(s3, "box", "cors=", CORS).await.ok();
    let got = s3.get("box/a", &[("origin", "http://b")]).await.ok();
    assert_eq!((allowed(&got).as_deref(), got.body.as_ref()), (Some("http://b"), b"a".as_slice()));
    assert_eq!(got.header("access-control-expose-headers"), Some("ETag, x-amz-request-id"));
    assert_eq!(allowed(&s3.get("box/a", &[]).await.ok()), None);
    assert_eq!(allowed(&s3.get("box/a", &[("origin", "http://c")]).await.ok()), None);
    assert_eq!(allowed(&s3.head("box/a", &[("origin", "http://c")]).await.ok()).as_deref(), Some("*"));
    let missing = s3.get("box/none", &[("origin", "http://b")]).await.refused(404, "NoSuchKey");
    assert_eq!(allowed(&missing).as_deref(), Some("http://b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_configurations_with_ids() {
    let server = memory().await;
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
        told(s3, "box", &one).await.refused(404, "NoSuchConfiguration");
        // One condition, or several joined by And.
        let two = "<Filter><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></Filter>";
        for bad in [two, "<Filter></Filter>"] {
            set(s3, "box", &one, &document(bad)).await.refused(400, "MalformedXML");
        }
        set(s3, "box", &format!("{name}=&id=b"), &document("")).await.refused(400, "IdMismatch");
        set(s3, "box", &one, &document(both)).await.ok();
        assert_eq!(told(s3, "box", &one).await.ok().text(), whole(&document(both)));
        assert!(told(s3, "box", &format!("{name}=")).await.ok().text().contains(&format!("<{list}")));
        assert_eq!(s3.delete("box", &one).await.ok().status, 204);
        told(s3, "box", &one).await.refused(404, "NoSuchConfiguration");
    }
}
