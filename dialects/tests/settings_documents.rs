//! Settings documents, translated between dialects: the requests to the target, the responses to the client, and
//! rejections.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::dialect::response_context::ResponseContext;
use blobfish_dialects::engine::exchange::{Exchange, Step};
use blobfish_dialects::engine::target_response::TargetResponse;
use blobfish_dialects::engine::write_response;
use blobfish_dialects::model::{ErrorKind, OutgoingRequest, Rejection, Timestamp};
use blobfish_dialects::s3::profiles::{AWS, SEAWEEDFS};
use blobfish_dialects::translator::explain::{build_sample_route, build_sample_target, explain};
use blobfish_dialects::{cos::COS, jdcloud::JDCLOUD, oss::OSS, s3::S3};

const NOW: Timestamp = Timestamp(1_767_323_045);

/// Runs a whole exchange. Returns every request to the target, and the status and document for the client.
fn run_exchange(
    caller: &'static Dialect,
    target: &'static Dialect,
    line: &str,
    headers: &str,
    body: &str,
    target_responses: &[(u16, &str)],
) -> Result<(Vec<OutgoingRequest>, u16, String), Rejection> {
    let text = format!("{line} HTTP/1.1\nHost: b.{}\n{headers}", caller.sample_endpoint);
    let request = explain(&text, caller, caller)?.request;
    let target = build_sample_target(target);
    let route = build_sample_route(caller, &target, &request);
    let mut exchange = Exchange::new(route, request, body.as_bytes())?;
    let (mut sent, mut target_responses) = (Vec::new(), target_responses.iter());
    let mut step = exchange.start(NOW)?;
    loop {
        match step {
            Step::Send(outgoing) => {
                sent.push(*outgoing);
                let (status, body) =
                    *target_responses.next().expect("one more request than target_responses");
                let headers = vec![
                    ("content-length".to_owned(), b"5".to_vec()),
                    ("etag".to_owned(), b"\"e\"".to_vec()),
                ];
                step = exchange.handle_response(
                    &TargetResponse { status, headers, body: body.as_bytes().to_vec() },
                    NOW,
                )?;
            }
            Step::Respond(response) => {
                let listener = ResponseContext {
                    dialect: caller,
                    id: 1,
                    now: NOW,
                    host: "h".to_owned(),
                    path: "/".to_owned(),
                    is_head: false,
                    elapsed_ms: 0,
                };
                let written_response = write_response::write_response(&listener, *response);
                return Ok((
                    sent,
                    written_response.status,
                    String::from_utf8(written_response.body).unwrap(),
                ));
            }
        }
    }
}

/// The document in the request to the target.
fn translate_request(
    caller: &'static Dialect,
    target: &'static Dialect,
    line: &str,
    body: &str,
) -> Result<String, Rejection> {
    let (sent, ..) = run_exchange(caller, target, line, "", body, &[(200, "")])?;
    Ok(String::from_utf8(sent[0].body.clone()).unwrap().split_once('\n').unwrap().1.to_owned())
}

/// The document in the response to the client.
fn translate_response(
    caller: &'static Dialect,
    target: &'static Dialect,
    line: &str,
    body: &str,
) -> Result<String, Rejection> {
    let (_, status, response_body) = run_exchange(caller, target, line, "", "", &[(200, body)])?;
    assert_eq!(status, 200);
    Ok(response_body.split_once('\n').unwrap().1.to_owned())
}

fn expect_rejection<T: std::fmt::Debug>(result: Result<T, Rejection>) -> (ErrorKind, Option<String>) {
    let rejection = result.unwrap_err();
    let header = rejection.details.iter().find(|row| row.0 == "Header").map(|row| row.1.clone());
    (rejection.kind, header)
}

const NS: &str = " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

#[test]
fn tags_differ_only_in_the_status_of_the_response() {
    let tags = "<Tagging><TagSet><Tag><Key>a&amp;b</Key><Value>1</Value></Tag></TagSet></Tagging>";
    assert_eq!(translate_request(&S3, &COS, "PUT /k?tagging", tags).unwrap(), tags);
    assert_eq!(
        translate_request(&COS, &S3, "PUT /k?tagging", tags).unwrap(),
        tags.replacen("Tagging>", &format!("Tagging{NS}>"), 1)
    );
    // COS, PUT Object tagging, returns 204; S3, PutObjectTagging, returns 200.
    assert_eq!(run_exchange(&COS, &OSS, "PUT /k?tagging", "", tags, &[(200, "")]).unwrap().1, 204);
    assert_eq!(run_exchange(&S3, &COS, "PUT /k?tagging", "", tags, &[(204, "")]).unwrap().1, 200);
    assert_eq!(run_exchange(&S3, &COS, "DELETE /k?tagging", "", "", &[(204, "")]).unwrap().1, 204);
    for wrong in ["<Tagging><Tags/></Tagging>", "<Other/>", "<Tagging>", ""] {
        assert_eq!(
            expect_rejection(translate_request(&S3, &COS, "PUT /k?tagging", wrong)).0,
            ErrorKind::MalformedXml,
            "{wrong}"
        );
    }
    // Without tags, S3 and COS return 404 for a bucket, and OSS returns 200 with an empty set.
    let none = "<Error><Code>NoSuchTagSet</Code><Message>x</Message></Error>";
    assert_eq!(
        translate_response(&OSS, &S3, "GET /?tagging", "<Tagging><TagSet/></Tagging>").unwrap(),
        "<Tagging><TagSet></TagSet></Tagging>"
    );
    let (_, status, body) = run_exchange(&OSS, &S3, "GET /?tagging", "", "", &[(404, none)]).unwrap();
    assert_eq!((status, body.contains("<TagSet></TagSet>")), (200, true));
    assert_eq!(
        expect_rejection(translate_response(&S3, &OSS, "GET /?tagging", "<Tagging><TagSet/></Tagging>")).0,
        ErrorKind::NoSuchTagSet
    );
}

#[test]
fn lifecycle_rules_are_translated_between_both_forms_of_filters() {
    let s3 = "<LifecycleConfiguration><Rule><ID>r</ID><Filter><And><Prefix>x/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And></Filter><Status>Enabled</Status><Expiration><Days>3</Days></Expiration><Transition><Days>1</Days><StorageClass>STANDARD_IA</StorageClass></Transition><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>";
    // OSS, PutBucketLifecycle: prefix and tags are directly in the rule, and some elements have other names.
    let oss = "<LifecycleConfiguration><Rule><ID>r</ID><Prefix>x/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag><Status>Enabled</Status><Expiration><Days>3</Days></Expiration><Transition><Days>1</Days><StorageClass>IA</StorageClass></Transition><AbortMultipartUpload><Days>7</Days></AbortMultipartUpload></Rule></LifecycleConfiguration>";
    assert_eq!(translate_request(&S3, &OSS, "PUT /?lifecycle", s3).unwrap(), oss);
    assert_eq!(
        translate_response(&S3, &OSS, "GET /?lifecycle", oss).unwrap(),
        s3.replacen("Configuration>", &format!("Configuration{NS}>"), 1)
    );
    let old = "<LifecycleConfiguration><Rule><Prefix>p</Prefix><Status>Disabled</Status></Rule></LifecycleConfiguration>";
    let new = "<LifecycleConfiguration><Rule><Filter><Prefix>p</Prefix></Filter><Status>Disabled</Status></Rule></LifecycleConfiguration>";
    assert_eq!(translate_request(&S3, &COS, "PUT /?lifecycle", old).unwrap(), new);
    // Between equal dialects, a rule is passed unchanged.
    let grouped = new.replace("<Prefix>p</Prefix>", "<And><Prefix>p</Prefix></And>");
    let nowhere = new.replace("<Prefix>p</Prefix>", "");
    for rules in [old, new, &grouped, &nowhere] {
        let wanted = rules.replacen("Configuration>", &format!("Configuration{NS}>"), 1);
        assert_eq!(translate_response(&S3, &AWS, "GET /?lifecycle", rules).unwrap(), wanted);
        assert_eq!(translate_request(&S3, &AWS, "PUT /?lifecycle", rules).unwrap(), wanted);
    }
    // A rule that applies immediately to all old objects differs from one that applies from a date.
    let before =
        oss.replace("<Days>3</Days>", "<CreatedBeforeDate>2030-01-01T00:00:00.000Z</CreatedBeforeDate>");
    assert_eq!(
        expect_rejection(translate_request(&OSS, &S3, "PUT /?lifecycle", &before)),
        (ErrorKind::NotImplemented, Some("CreatedBeforeDate".to_owned()))
    );
    let newer = s3.replace("<Expiration><Days>3</Days></Expiration>", "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration>");
    assert_eq!(
        expect_rejection(translate_request(&S3, &OSS, "PUT /?lifecycle", &newer)),
        (ErrorKind::NotImplemented, Some("NewerNoncurrentVersions".to_owned()))
    );
    assert!(translate_request(&S3, &AWS, "PUT /?lifecycle", &newer).is_ok());
    let unknown = s3.replace("STANDARD_IA", "FROZEN");
    assert_eq!(
        expect_rejection(translate_request(&S3, &S3, "PUT /?lifecycle", &unknown)).0,
        ErrorKind::MalformedXml
    );
    let none =
        "<Error><Code>NoSuchLifecycle</Code><Message>No Row found in Lifecycle Table.</Message></Error>";
    assert_eq!(
        expect_rejection(run_exchange(&S3, &OSS, "GET /?lifecycle", "", "", &[(404, none)])).0,
        ErrorKind::NoSuchLifecycle
    );
}

#[test]
fn encryption_of_buckets_is_translated() {
    let s3 = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
    let oss = "<ServerSideEncryptionRule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></ServerSideEncryptionRule>";
    assert_eq!(translate_request(&S3, &OSS, "PUT /?encryption", s3).unwrap(), oss);
    assert_eq!(translate_request(&OSS, &COS, "PUT /?encryption", oss).unwrap(), s3);
    let kms = s3.replace("AES256", "aws:kms");
    assert!(
        translate_request(&S3, &COS, "PUT /?encryption", &kms)
            .unwrap()
            .contains("<SSEAlgorithm>KMS</SSEAlgorithm>")
    );
    let own_key = kms.replace("</SSEAlgorithm>", "</SSEAlgorithm><KMSMasterKeyID>k-1</KMSMasterKeyID>");
    assert_eq!(
        expect_rejection(translate_request(&S3, &COS, "PUT /?encryption", &own_key)).0,
        ErrorKind::NotImplemented
    );
    let sm4 = oss.replace("AES256", "SM4");
    assert!(translate_request(&OSS, &COS, "PUT /?encryption", &sm4).unwrap().contains("SM4"));
    assert_eq!(
        expect_rejection(translate_request(&OSS, &S3, "PUT /?encryption", &sm4)).0,
        ErrorKind::NotImplemented
    );
    assert_eq!(
        expect_rejection(translate_response(&S3, &OSS, "GET /?encryption", &sm4)).0,
        ErrorKind::NotImplemented
    );
}

#[test]
fn the_public_access_block_of_oss_corresponds_to_four_switches() {
    let four = |value: &str, last: &str| {
        format!(
            "<PublicAccessBlockConfiguration><BlockPublicAcls>{value}</BlockPublicAcls><IgnorePublicAcls>{value}</IgnorePublicAcls><BlockPublicPolicy>{value}</BlockPublicPolicy><RestrictPublicBuckets>{last}</RestrictPublicBuckets></PublicAccessBlockConfiguration>"
        )
    };
    let one = "<PublicAccessBlockConfiguration><BlockPublicAccess>true</BlockPublicAccess></PublicAccessBlockConfiguration>";
    assert_eq!(translate_request(&S3, &OSS, "PUT /?publicAccessBlock", &four("true", "true")).unwrap(), one);
    assert_eq!(
        expect_rejection(translate_request(&S3, &OSS, "PUT /?publicAccessBlock", &four("true", "false"))).0,
        ErrorKind::NotImplemented
    );
    assert!(
        translate_response(&S3, &OSS, "GET /?publicAccessBlock", one)
            .unwrap()
            .contains("<RestrictPublicBuckets>true</RestrictPublicBuckets>")
    );
    assert_eq!(
        expect_rejection(translate_request(&S3, &COS, "PUT /?publicAccessBlock", &four("true", "true"))).0,
        ErrorKind::NotImplemented
    );
}

#[test]
fn website_redirects_are_numbered_only_at_oss() {
    let s3 = "<WebsiteConfiguration><IndexDocument><Suffix>i</Suffix></IndexDocument><RoutingRules><RoutingRule><Condition><KeyPrefixEquals>a/</KeyPrefixEquals></Condition><Redirect><ReplaceKeyPrefixWith>b/</ReplaceKeyPrefixWith></Redirect></RoutingRule></RoutingRules></WebsiteConfiguration>";
    let oss = translate_request(&S3, &OSS, "PUT /?website", s3).unwrap();
    assert!(
        oss.contains("<RoutingRule><RuleNumber>1</RuleNumber>")
            && oss.contains("<Redirect><RedirectType>External</RedirectType>"),
        "{oss}"
    );
    assert_eq!(translate_response(&COS, &OSS, "GET /?website", &oss).unwrap(), s3);
    let all = "<WebsiteConfiguration><RedirectAllRequestsTo><HostName>x</HostName></RedirectAllRequestsTo></WebsiteConfiguration>";
    assert_eq!(
        expect_rejection(translate_request(&S3, &COS, "PUT /?website", all)),
        (ErrorKind::NotImplemented, Some("HostName".to_owned()))
    );
}

#[test]
fn grants_are_translated_into_canned_acls() {
    let policy = |uri: &str, permission: &str| {
        format!(
            "<AccessControlPolicy><Owner><ID>o</ID></Owner><AccessControlList><Grant><Grantee><ID>o</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant><Grant><Grantee><URI>{uri}</URI></Grantee><Permission>{permission}</Permission></Grant></AccessControlList></AccessControlPolicy>"
        )
    };
    let public = policy("http://acs.amazonaws.com/groups/global/AllUsers", "READ");
    let put = |target, body: &str| {
        let (sent, status, _) = run_exchange(&S3, target, "PUT /k?acl", "", body, &[(200, "")])?;
        assert_eq!((status, sent[0].body.len()), (200, 0));
        let row = sent[0].headers.iter().find(|row| row.0.ends_with("acl")).unwrap();
        Ok::<_, Rejection>(format!("{}: {}", row.0, String::from_utf8_lossy(&row.1)))
    };
    assert_eq!(put(&OSS, &public).unwrap(), "x-oss-object-acl: public-read");
    assert_eq!(put(&COS, &public).unwrap(), "x-cos-acl: public-read");
    let logs = policy("http://acs.amazonaws.com/groups/s3/LogDelivery", "READ");
    assert_eq!(expect_rejection(put(&COS, &logs)).0, ErrorKind::NotImplemented);
    let account_grant =
        public.replace("<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>", "<ID>somebody</ID>");
    assert_eq!(expect_rejection(put(&S3, &account_grant)).0, ErrorKind::NotImplemented);
    assert_eq!(expect_rejection(put(&S3, "<AccessControlPolicy/>")).0, ErrorKind::MalformedAcl);
    assert_eq!(expect_rejection(run_exchange(&S3, &COS, "PUT /k?acl", "", "", &[])).0, ErrorKind::MissingAcl);
    // OSS, PutObjectACL: the document has a canned ACL only.
    let word = |word: &str| {
        format!(
            "<AccessControlPolicy><Owner><ID>1</ID></Owner><AccessControlList><Grant>{word}</Grant></AccessControlList></AccessControlPolicy>"
        )
    };
    let list = translate_response(&S3, &OSS, "GET /k?acl", &word("public-read")).unwrap();
    assert!(
        list.contains("xsi:type=\"Group\"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>"),
        "{list}"
    );
    assert!(
        translate_response(&OSS, &S3, "GET /k?acl", &public).unwrap().contains("<Grant>public-read</Grant>")
    );
    assert_eq!(
        expect_rejection(translate_response(&OSS, &S3, "GET /k?acl", &account_grant)).0,
        ErrorKind::NotImplemented
    );
    // If an object inherits the ACL of its bucket, a caller dialect without this value gets the bucket's ACL.
    let (sent, _, list) = run_exchange(
        &S3,
        &OSS,
        "GET /k?acl",
        "",
        "",
        &[(200, &word("default")), (200, &word("public-read"))],
    )
    .unwrap();
    assert_eq!((sent.len(), sent[1].scope.key()), (2, None));
    assert!(list.contains("AllUsers"), "{list}");
    assert!(
        translate_response(&OSS, &OSS, "GET /k?acl", &word("default"))
            .unwrap()
            .contains("<Grant>default</Grant>")
    );
}

#[test]
fn policies_are_rejected_between_families() {
    let policy = "{\"Version\":\"2012-10-17\",\"Statement\":[]}";
    let (out, status, _) = run_exchange(&S3, &AWS, "PUT /?policy", "", policy, &[(204, "")]).unwrap();
    assert_eq!((out[0].body.as_slice(), status), (policy.as_bytes(), 204));
    assert_eq!(
        expect_rejection(run_exchange(&S3, &COS, "PUT /?policy", "", policy, &[])).0,
        ErrorKind::NotImplemented
    );
    assert_eq!(run_exchange(&S3, &S3, "GET /?policy", "", "", &[(200, policy)]).unwrap().2, policy);
    assert_eq!(
        expect_rejection(run_exchange(&OSS, &S3, "GET /?policy", "", "", &[(200, policy)])).0,
        ErrorKind::NotImplemented
    );
}

#[test]
fn delete_objects_reports_every_key() {
    let list = "<Delete><Quiet>true</Quiet><Object><Key>a &amp;</Key></Object><Object><Key>b</Key><VersionId>v</VersionId></Object></Delete>";
    let target_response = "<DeleteResult><Deleted><Key>a &amp;</Key></Deleted></DeleteResult>";
    let (sent, status, response_body) =
        run_exchange(&S3, &OSS, "POST /?delete", "", list, &[(200, target_response)]).unwrap();
    // OSS, DeleteMultipleObjects: Content-MD5 is mandatory, and a quiet response does not report failures.
    let body = String::from_utf8(sent[0].body.clone()).unwrap();
    assert!(body.contains("<Quiet>false</Quiet><Object><Key>a &amp;</Key></Object><Object><Key>b</Key><VersionId>v</VersionId></Object>"), "{body}");
    assert!(sent[0].headers.iter().any(|row| row.0 == "content-md5"));
    assert_eq!(status, 200);
    assert!(
        !response_body.contains("<Deleted>")
            && response_body
                .contains("<Error><Key>b</Key><VersionId>v</VersionId><Code>InternalError</Code>"),
        "{response_body}"
    );
    let quiet = run_exchange(
        &OSS,
        &S3,
        "POST /?delete",
        "",
        "<Delete><Quiet>true</Quiet><Object><Key>k</Key></Object></Delete>",
        &[(200, "<DeleteResult><Deleted><Key>k</Key></Deleted></DeleteResult>")],
    )
    .unwrap();
    assert_eq!((quiet.1, quiet.2.as_str()), (200, ""));
    let denied = "<DeleteResult><Error><Key>k</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>";
    assert_eq!(
        expect_rejection(run_exchange(
            &OSS,
            &S3,
            "POST /?delete",
            "",
            "<Delete><Object><Key>k</Key></Object></Delete>",
            &[(200, denied)]
        ))
        .0,
        ErrorKind::AccessDenied
    );
    let condition = "<Delete><Object><Key>k</Key><Size>3</Size></Object></Delete>";
    assert_eq!(
        expect_rejection(run_exchange(&S3, &S3, "POST /?delete", "", condition, &[])),
        (ErrorKind::NotImplemented, Some("Size".to_owned()))
    );
    let many = format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(1001));
    for wrong in ["<Delete/>", "", "<Other/>", many.as_str()] {
        assert_eq!(
            expect_rejection(run_exchange(&S3, &S3, "POST /?delete", "", wrong, &[])).0,
            ErrorKind::MalformedXml
        );
    }
}

#[test]
fn bucket_info_and_object_attributes_are_emulated() {
    let access = "<AccessControlPolicy><Owner><ID>o</ID></Owner><AccessControlList><Grant><Grantee><ID>o</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>";
    let versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    let buckets = "<ListAllMyBucketsResult><Buckets><Bucket><Name>b</Name><CreationDate>2024-05-06T07:08:09.000Z</CreationDate></Bucket></Buckets></ListAllMyBucketsResult>";
    let (sent, _, response_body) = run_exchange(
        &OSS,
        &S3,
        "GET /?bucketInfo",
        "",
        "",
        &[(200, access), (200, versioning), (200, buckets)],
    )
    .unwrap();
    assert_eq!(sent.len(), 3);
    for element in [
        "<Name>b</Name>",
        "<Grant>private</Grant>",
        "<Versioning>Enabled</Versioning>",
        "<CreationDate>2024-05-06T07:08:09.000Z</CreationDate>",
    ] {
        assert!(response_body.contains(element), "{response_body}");
    }
    let attributes = "x-amz-object-attributes: ETag,ObjectSize\n";
    let (sent, status, response_body) =
        run_exchange(&S3, &COS, "GET /k?attributes", attributes, "", &[(200, "")]).unwrap();
    assert_eq!((sent[0].method, status), ("HEAD", 200));
    assert!(
        response_body.contains("<ETag>e</ETag>")
            && response_body.contains("<ObjectSize>5</ObjectSize>")
            && !response_body.contains("StorageClass"),
        "{response_body}"
    );
    let target_response = format!(
        "<GetObjectAttributesResponse{NS}><ETag>e</ETag><Checksum><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Checksum></GetObjectAttributesResponse>"
    );
    assert!(
        run_exchange(&S3, &S3, "GET /k?attributes", attributes, "", &[(200, &target_response)])
            .unwrap()
            .2
            .contains("<ChecksumCRC32>")
    );
}

#[test]
fn restore_requests_are_translated() {
    let body = |around: &str| {
        format!("<RestoreRequest><Days>2</Days><{around}><Tier>Bulk</Tier></{around}></RestoreRequest>")
    };
    assert_eq!(
        translate_request(&S3, &COS, "POST /k?restore", &body("GlacierJobParameters")).unwrap(),
        body("CASJobParameters")
    );
    assert_eq!(
        translate_request(&COS, &OSS, "POST /k?restore", &body("CASJobParameters")).unwrap(),
        body("JobParameters")
    );
    assert_eq!(
        run_exchange(&OSS, &S3, "POST /k?restore", "", &body("JobParameters"), &[(202, "")]).unwrap().1,
        202
    );
    assert_eq!(
        expect_rejection(translate_request(&S3, &COS, "POST /k?restore", &body("JobParameters"))).0,
        ErrorKind::NotImplemented
    );
    // Standard is the default, and the OSS class Archive has no tiers.
    let standard = body("CASJobParameters").replace("Bulk", "Standard");
    let plain = |days: u8| format!("<RestoreRequest><Days>{days}</Days></RestoreRequest>");
    assert_eq!(translate_request(&COS, &OSS, "POST /k?restore", &standard).unwrap(), plain(2));
    // OSS SDKs send no document for one day; other SDKs always send one.
    assert_eq!(translate_request(&OSS, &COS, "POST /k?restore", "").unwrap(), plain(1));
    assert_eq!(
        expect_rejection(translate_request(&S3, &OSS, "POST /k?restore", "")).0,
        ErrorKind::MalformedXml
    );
    assert_eq!(
        expect_rejection(translate_request(
            &S3,
            &COS,
            "POST /k?restore",
            "<RestoreRequest><Days>0</Days></RestoreRequest>"
        ))
        .0,
        ErrorKind::MalformedXml
    );
}

#[test]
fn listings_of_versions_and_uploads_are_translated() {
    let target_response = "<ListVersionsResult><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType><NextKeyMarker>pb%20c</NextKeyMarker><NextVersionIdMarker>2</NextVersionIdMarker><Version><Key>pa</Key><VersionId/><IsLatest>true</IsLatest><LastModified>2024-05-06T07:08:09.000Z</LastModified><ETag>\"e\"</ETag><Size>3</Size><StorageClass>STANDARD</StorageClass></Version><DeleteMarker><Key>pb%20c</Key><VersionId>2</VersionId><IsLatest>false</IsLatest><LastModified>2024-05-06T07:08:09.000Z</LastModified></DeleteMarker></ListVersionsResult>";
    let (sent, _, response_body) =
        run_exchange(&OSS, &COS, "GET /?versions&prefix=p", "", "", &[(200, target_response)]).unwrap();
    let query = &sent[0].query;
    // OSS, ListObjectVersions: the default of max-keys is 100.
    assert!(
        query.contains(&("max-keys".to_owned(), Some("100".to_owned())))
            && query.contains(&("prefix".to_owned(), Some("p".to_owned()))),
        "{query:?}"
    );
    assert!(
        response_body
            .contains("<NextKeyMarker>pb c</NextKeyMarker><NextVersionIdMarker>2</NextVersionIdMarker>"),
        "{response_body}"
    );
    assert!(
        response_body.contains("<Key>pa</Key><VersionId>null</VersionId>")
            && response_body.contains("<DeleteMarker><Key>pb c</Key><VersionId>2</VersionId>"),
        "{response_body}"
    );
    let target_response = "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated><Upload><Key>k</Key><UploadId>u</UploadId><StorageClass>Standard</StorageClass><Initiated>2012-02-23T04:18:23.000Z</Initiated></Upload></ListMultipartUploadsResult>";
    let (_, _, response_body) =
        run_exchange(&COS, &OSS, "GET /?uploads&encoding-type=url", "", "", &[(200, target_response)])
            .unwrap();
    assert!(
        response_body.contains("<Encoding-Type>url</Encoding-Type>")
            && response_body.contains("<NextUploadIdMarker>u</NextUploadIdMarker>"),
        "{response_body}"
    );
    assert!(
        response_body
            .contains("<StorageClass>STANDARD</StorageClass><Initiated>2012-02-23T04:18:23.000Z</Initiated>"),
        "{response_body}"
    );
}

#[test]
fn a_continuation_token_is_valid_only_for_its_bucket() {
    let page = "<ListBucketResult><IsTruncated>true</IsTruncated><NextMarker>k 1</NextMarker><MaxKeys>1</MaxKeys><Contents><Key>k 1</Key><Size>1</Size></Contents></ListBucketResult>";
    let (_, _, first) = run_exchange(&S3, &COS, "GET /?list-type=2", "", "", &[(200, page)]).unwrap();
    let token = first.split_once("<NextContinuationToken>").unwrap().1.split_once('<').unwrap().0.to_owned();
    let next = format!("GET /?list-type=2&continuation-token={token}");
    let (sent, ..) = run_exchange(&S3, &COS, &next, "", "", &[(200, &page.replace("k 1", "k 2"))]).unwrap();
    assert!(sent[0].query.contains(&("marker".to_owned(), Some("k 1".to_owned()))));
    let (name, seal) = token.rsplit_once('.').unwrap();
    let text = format!(
        "GET /?list-type=2&continuation-token={token} HTTP/1.1\nHost: other.{}\n",
        S3.sample_endpoint
    );
    let request = explain(&text, &S3, &S3).unwrap().request;
    let target = build_sample_target(&COS);
    let route = build_sample_route(&S3, &target, &request);
    assert_eq!(
        Exchange::new(route, request, b"").err().unwrap().kind,
        ErrorKind::InvalidArgument,
        "the token belongs to another bucket"
    );
    for forged in [format!("{name}.AAAA"), format!("bf2.AAAA.{seal}"), "x".to_owned(), name.to_owned()] {
        let next = format!("GET /?list-type=2&continuation-token={forged}");
        assert_eq!(
            expect_rejection(run_exchange(&S3, &COS, &next, "", "", &[])).0,
            ErrorKind::InvalidArgument,
            "{forged}"
        );
    }
}

#[test]
fn header_names_in_cors_rules_are_translated() {
    let rules = |headers: &str| {
        format!(
            "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>{headers}</CORSRule></CORSConfiguration>"
        )
    };
    let s3 = rules(
        "<AllowedHeader>x-amz-meta-*</AllowedHeader><AllowedHeader>x-amz-acl</AllowedHeader><AllowedHeader>x-own</AllowedHeader><ExposeHeader>x-amz-version-id</ExposeHeader><ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-amz-request-id</ExposeHeader>",
    );
    let cos = rules(
        "<AllowedHeader>x-cos-meta-*</AllowedHeader><AllowedHeader>x-cos-acl</AllowedHeader><AllowedHeader>x-own</AllowedHeader><ExposeHeader>x-cos-version-id</ExposeHeader><ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-cos-request-id</ExposeHeader>",
    );
    assert_eq!(translate_request(&S3, &COS, "PUT /?cors", &s3).unwrap(), cos);
    assert_eq!(
        translate_request(
            &COS,
            &COS,
            "PUT /?cors",
            &translate_response(&COS, &S3, "GET /?cors", &s3).unwrap()
        )
        .unwrap(),
        cos
    );
    let named = rules("").replace("<CORSRule>", "<CORSRule><ID>r</ID>");
    assert_eq!(
        expect_rejection(translate_request(&S3, &OSS, "PUT /?cors", &named)),
        (ErrorKind::NotImplemented, Some("ID".to_owned()))
    );
}

#[test]
fn preflight_responses_follow_the_rules() {
    use blobfish_dialects::encoding::xml;
    use blobfish_dialects::engine::cors::Preflight;
    use blobfish_dialects::model::ResponseField;
    use blobfish_dialects::translator::request_text::parse_request_head;
    let rules = xml::parse(b"<C><CORSRule><AllowedOrigin>http://*.example.com</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedMethod>GET</AllowedMethod><AllowedHeader>x-amz-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>HEAD</AllowedMethod></CORSRule></C>").unwrap();
    let check = |origin: &str, method: &str, headers: &str| {
        let mut text = "OPTIONS /k HTTP/1.1\nHost: b.localhost\n".to_owned();
        for (name, value) in [
            ("Origin", origin),
            ("Access-Control-Request-Method", method),
            ("Access-Control-Request-Headers", headers),
        ] {
            if !value.is_empty() {
                text.push_str(&format!("{name}: {value}\n"));
            }
        }
        Preflight::parse(&parse_request_head(&text).unwrap())
            .and_then(|client_request| client_request.respond(&rules))
    };
    // S3, User Guide, Using cross-origin resource sharing (CORS).
    let response = check("http://a.example.com", "PUT", "X-Amz-Date, x-amz-acl").unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(response.text(ResponseField::AllowOrigin), Some("http://a.example.com"));
    assert_eq!(response.text(ResponseField::AllowMethods), Some("PUT, GET"));
    assert_eq!(response.text(ResponseField::AllowHeaders), Some("x-amz-date, x-amz-acl"));
    assert_eq!(
        (response.text(ResponseField::ExposeHeaders), response.text(ResponseField::MaxAge)),
        (Some("ETag"), Some("60"))
    );
    assert_eq!(response.text(ResponseField::AllowCredentials), Some("true"));
    let any = check("http://elsewhere", "HEAD", "").unwrap();
    assert_eq!(
        (any.text(ResponseField::AllowOrigin), any.text(ResponseField::AllowCredentials)),
        (Some("*"), None)
    );
    for (origin, method, headers) in [
        ("http://elsewhere", "PUT", ""),
        ("http://a.example.com", "DELETE", ""),
        ("http://a.example.com", "PUT", "x-other"),
        ("http://a.example.com.evil", "PUT", ""),
        ("http://a.example.com", "", ""),
    ] {
        assert_eq!(
            expect_rejection(check(origin, method, headers)).0,
            ErrorKind::CorsDenied,
            "{origin} {method} {headers}"
        );
    }
    assert_eq!(expect_rejection(check("", "PUT", "")).0, ErrorKind::NoOrigin);
}

#[test]
fn a_setting_is_requested_before_it_is_changed_at_a_server_that_may_ignore_its_parameter() {
    let unset = "<Error><Code>NoSuchCORSConfiguration</Code><Message>x</Message></Error>";
    let rules = "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>";
    // The setting does not exist, so nothing is deleted, in particular not the bucket.
    let (sent, status, _) = run_exchange(&S3, &JDCLOUD, "DELETE /?cors", "", "", &[(404, unset)]).unwrap();
    assert_eq!((sent.len(), sent[0].method, status), (1, "GET", 204));
    let (sent, status, _) =
        run_exchange(&S3, &JDCLOUD, "DELETE /?cors", "", "", &[(200, rules), (204, "")]).unwrap();
    assert_eq!((sent[1].method, status), ("DELETE", 204));
    // A listing, or any other document, is not a setting.
    let page = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    for line in ["DELETE /?cors", "PUT /?cors"] {
        let body = if line.starts_with("PUT") { rules } else { "" };
        for (page_text, error_kind) in
            [(page, ErrorKind::NotImplemented), (&page[..40], ErrorKind::InternalError)]
        {
            assert_eq!(
                expect_rejection(run_exchange(&S3, &JDCLOUD, line, "", body, &[(200, page_text)])).0,
                error_kind,
                "{line} {page_text}"
            );
        }
    }
    let rejected = expect_rejection(run_exchange(&S3, &JDCLOUD, "GET /?logging", "", "", &[(200, page)]));
    assert_eq!(rejected.0, ErrorKind::NotImplemented);
    let made = "<Error><Code>BucketAlreadyOwnedByYou</Code><Message>x</Message></Error>";
    let taken_for_another =
        run_exchange(&S3, &JDCLOUD, "PUT /?cors", "", rules, &[(404, unset), (409, made)]);
    assert_eq!(expect_rejection(taken_for_another).0, ErrorKind::NotImplemented);
    // If there are several, the one that will be changed is requested.
    let (sent, ..) = run_exchange(
        &S3,
        &JDCLOUD,
        "DELETE /?inventory&id=one",
        "",
        "",
        &[(404, &unset.replace("CORS", ""))],
    )
    .unwrap();
    assert_eq!(sent[0].query, [("inventory".to_owned(), None), ("id".to_owned(), Some("one".to_owned()))]);
    let (sent, status, _) =
        run_exchange(&S3, &JDCLOUD, "PUT /?cors", "", rules, &[(404, unset), (200, ""), (200, rules)])
            .unwrap();
    assert_eq!((sent.len(), status), (3, 200));
    assert_eq!(
        expect_rejection(run_exchange(
            &S3,
            &JDCLOUD,
            "PUT /?cors",
            "",
            rules,
            &[(404, unset), (200, ""), (404, unset)]
        ))
        .0,
        ErrorKind::NotImplemented
    );
    assert_eq!(run_exchange(&S3, &AWS, "DELETE /?cors", "", "", &[(204, "")]).unwrap().0.len(), 1);
    assert_eq!(
        expect_rejection(run_exchange(&S3, &SEAWEEDFS, "DELETE /?website", "", "", &[])).0,
        ErrorKind::NotImplemented
    );
    assert_eq!(
        run_exchange(&S3, &JDCLOUD, "GET /k?attributes", "x-amz-object-attributes: ETag\n", "", &[(200, "")])
            .unwrap()
            .0[0]
            .method,
        "HEAD"
    );
}

#[test]
fn a_deleted_line_may_have_only_the_version_of_a_delete_marker() {
    let list = "<Delete><Object><Key>c</Key><VersionId>v</VersionId></Object></Delete>";
    let target_response = "<DeleteResult><Deleted><Key>c</Key><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>v</DeleteMarkerVersionId></Deleted></DeleteResult>";
    let (_, _, response_body) =
        run_exchange(&S3, &S3, "POST /?delete", "", list, &[(200, target_response)]).unwrap();
    assert!(
        response_body.contains("<VersionId>v</VersionId>") && !response_body.contains("<Error>"),
        "{response_body}"
    );
}

#[test]
fn the_bucket_in_a_logging_document_is_mapped() {
    use blobfish_dialects::dialect::route::{BucketNames, Route};
    struct Mapped;
    impl BucketNames for Mapped {
        fn to_target_bucket(&self, bucket: &str) -> Option<String> {
            (bucket == "logs").then(|| "their-logs".to_owned())
        }
        fn to_caller_bucket(&self, bucket: &str) -> Option<String> {
            (bucket == "their-logs").then(|| "logs".to_owned())
        }
    }
    let document = |bucket: &str| {
        format!(
            "<BucketLoggingStatus><LoggingEnabled><TargetBucket>{bucket}</TargetBucket><TargetPrefix>p/</TargetPrefix></LoggingEnabled></BucketLoggingStatus>"
        )
    };
    let exchange = |line: &str, body: &str, target_response: &str| {
        let text = format!("{line} HTTP/1.1\nHost: b.{}\n", COS.sample_endpoint);
        let request = explain(&text, &COS, &COS)?.request;
        let target = build_sample_target(&OSS);
        let route = Route {
            bucket_names: std::sync::Arc::new(Mapped),
            ..build_sample_route(&COS, &target, &request)
        };
        let mut exchange = Exchange::new(route, request, body.as_bytes())?;
        let Step::Send(sent) = exchange.start(NOW)? else { panic!("the exchange ended without a request") };
        let target_response =
            TargetResponse { status: 200, headers: Vec::new(), body: target_response.as_bytes().to_vec() };
        match exchange.handle_response(&target_response, NOW)? {
            Step::Respond(response) => {
                Ok((String::from_utf8(sent.body).unwrap(), format!("{:?}", response.document)))
            }
            Step::Send(_) => panic!("one request is enough"),
        }
    };
    assert!(exchange("PUT /?logging", &document("logs"), "").unwrap().0.ends_with(&document("their-logs")));
    assert_eq!(
        expect_rejection(exchange("PUT /?logging", &document("other"), "")).0,
        ErrorKind::AccessDenied
    );
    assert!(exchange("GET /?logging", "", &document("their-logs")).unwrap().1.contains("\"logs\""));
    assert_eq!(
        expect_rejection(exchange("GET /?logging", "", &document("secret"))).0,
        ErrorKind::NotImplemented
    );
    // An empty document disables logging; only OSS has an operation for it.
    let (sent, status, _) = run_exchange(&OSS, &AWS, "DELETE /?logging", "", "", &[(200, "")]).unwrap();
    assert_eq!((sent[0].method, status), ("PUT", 204));
    assert!(String::from_utf8_lossy(&sent[0].body).contains("<BucketLoggingStatus"));
}

#[test]
fn inventories_are_rejected_between_families() {
    let document = |destination: &str| {
        format!(
            "<InventoryConfiguration><Id>one</Id><IsEnabled>true</IsEnabled><Destination>{destination}</Destination><Schedule><Frequency>Daily</Frequency></Schedule><IncludedObjectVersions>All</IncludedObjectVersions></InventoryConfiguration>"
        )
    };
    let s3 = document(
        "<S3BucketDestination><Bucket>arn:aws:s3:::logs</Bucket><Format>CSV</Format><Encryption><SSE-S3></SSE-S3></Encryption></S3BucketDestination>",
    );
    let written = translate_request(&S3, &AWS, "PUT /?inventory&id=one", &s3).unwrap();
    assert!(
        written.contains("<Bucket>arn:aws:s3:::logs</Bucket>") && written.contains("<SSE-S3></SSE-S3>"),
        "{written}"
    );
    assert_eq!(
        expect_rejection(translate_request(&S3, &OSS, "PUT /?inventory&id=one", &s3)),
        (ErrorKind::NotImplemented, Some("S3BucketDestination".to_owned()))
    );
    let oss = document(
        "<OSSBucketDestination><Format>CSV</Format><AccountId>1</AccountId><RoleArn>acs:ram::1:role/r</RoleArn><Bucket>acs:oss:::logs</Bucket></OSSBucketDestination>",
    );
    let (out, ..) =
        run_exchange(&OSS, &OSS, "PUT /?inventory&inventoryId=one", "", &oss, &[(200, "")]).unwrap();
    assert!(out[0].query.contains(&("inventoryId".to_owned(), Some("one".to_owned()))), "{:?}", out[0].query);
    let none = "<Error><Code>NoSuchInventory</Code><Message>x</Message></Error>";
    assert_eq!(
        expect_rejection(run_exchange(&S3, &OSS, "GET /?inventory&id=one", "", "", &[(404, none)])).0,
        ErrorKind::NoSuchConfiguration
    );
    // A list of inventories.
    let page = |root: &str, rows: &str| {
        format!(
            "<{root}>{rows}<IsTruncated>true</IsTruncated><NextContinuationToken>t+/</NextContinuationToken></{root}>"
        )
    };
    let (theirs, ours) = ("ListInventoryConfigurationsResult", "ListInventoryConfigurationResult");
    let line = "GET /?inventory&continuation-token=s%2B";
    let (out, status, body) = run_exchange(&OSS, &OSS, line, "", "", &[(200, &page(theirs, &oss))]).unwrap();
    assert!(
        out[0].query.contains(&("continuation-token".to_owned(), Some("s+".to_owned()))),
        "{:?}",
        out[0].query
    );
    assert!(status == 200 && body.ends_with(&page(theirs, &oss)), "{body}");
    assert_eq!(translate_response(&COS, &OSS, "GET /?inventory", &page(theirs, "")).unwrap(), page(ours, ""));
    let without_bucket = run_exchange(&S3, &OSS, "GET /?inventory", "", "", &[(200, &page(theirs, &oss))]);
    assert_eq!(
        expect_rejection(without_bucket),
        (ErrorKind::NotImplemented, Some("OSSBucketDestination".to_owned()))
    );
}

#[test]
fn transfer_acceleration_is_translated() {
    let s3 =
        |word: &str| format!("<AccelerateConfiguration><Status>{word}</Status></AccelerateConfiguration>");
    let oss = |on: bool| {
        format!(
            "<TransferAccelerationConfiguration><Enabled>{on}</Enabled></TransferAccelerationConfiguration>"
        )
    };
    let cos = |word: &str| s3(word).replace("</Status>", "</Status><Type>COS</Type>");
    let plain = |text: String| text.replace(" xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"", "");
    for (word, on) in [("Enabled", true), ("Suspended", false)] {
        assert_eq!(translate_request(&S3, &OSS, "PUT /?accelerate", &s3(word)).unwrap(), oss(on));
        assert_eq!(translate_request(&S3, &COS, "PUT /?accelerate", &s3(word)).unwrap(), cos(word));
        assert_eq!(plain(translate_request(&COS, &AWS, "PUT /?accelerate", &cos(word)).unwrap()), s3(word));
        assert_eq!(translate_request(&OSS, &COS, "PUT /?transferAcceleration", &oss(on)).unwrap(), cos(word));
        assert_eq!(
            translate_response(&OSS, &COS, "GET /?transferAcceleration", &cos(word)).unwrap(),
            oss(on)
        );
        assert_eq!(plain(translate_response(&S3, &OSS, "GET /?accelerate", &oss(on)).unwrap()), s3(word));
        assert_eq!(translate_response(&COS, &OSS, "GET /?accelerate", &oss(on)).unwrap(), cos(word));
    }
    assert_eq!(translate_request(&COS, &OSS, "PUT /?accelerate", &s3("Disabled")).unwrap(), oss(false));
    for wrong in [s3("On"), s3("Enabled").replace("</Status>", "</Status><Type>CDN</Type>"), oss(true)] {
        assert_eq!(
            expect_rejection(translate_request(&COS, &COS, "PUT /?accelerate", &wrong)).0,
            ErrorKind::MalformedXml,
            "{wrong}"
        );
    }
    // A bucket that never had the setting: an empty document, or an error code at OSS.
    let none = "<Error><Code>NoSuchTransferAccelerationConfiguration</Code><Message>x</Message></Error>";
    let (_, status, body) = run_exchange(&S3, &OSS, "GET /?accelerate", "", "", &[(404, none)]).unwrap();
    assert!(status == 200 && body.contains("<AccelerateConfiguration") && !body.contains("Status"), "{body}");
    let unset = run_exchange(
        &OSS,
        &COS,
        "GET /?transferAcceleration",
        "",
        "",
        &[(200, "<AccelerateConfiguration/>")],
    );
    assert_eq!(expect_rejection(unset).0, ErrorKind::NoSuchAcceleration);
    assert_eq!(
        expect_rejection(translate_request(&S3, &JDCLOUD, "PUT /?accelerate", &s3("Enabled"))).0,
        ErrorKind::NotImplemented
    );
}

#[test]
fn settings_of_one_vendor_are_rejected_for_others() {
    let rule =
        "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>";
    assert!(
        translate_request(&S3, &AWS, "PUT /?ownershipControls", rule)
            .unwrap()
            .contains("<ObjectOwnership>ObjectWriter<")
    );
    let monitor = "<AccessMonitorConfiguration><Status>Enabled</Status></AccessMonitorConfiguration>";
    assert_eq!(translate_request(&OSS, &OSS, "PUT /?accessmonitor", monitor).unwrap(), monitor);
    let https = "<HttpsConfiguration><TLS><Enable>true</Enable><TLSVersion>TLSv1.2</TLSVersion><TLSVersion>TLSv1.3</TLSVersion></TLS></HttpsConfiguration>";
    assert_eq!(translate_request(&OSS, &OSS, "PUT /?httpsConfig", https).unwrap(), https);
    for target in [&COS, &OSS, &JDCLOUD] {
        for call in ["ownershipControls", "metrics&id=a", "intelligent-tiering&id=a"] {
            let (error_kind, _) =
                expect_rejection(run_exchange(&S3, target, &format!("GET /?{call}"), "", "", &[]));
            assert_eq!(error_kind, ErrorKind::NotImplemented, "{call} {}", target.name);
        }
    }
    assert_eq!(
        expect_rejection(translate_request(&OSS, &AWS, "PUT /?accessmonitor", monitor)).0,
        ErrorKind::NotImplemented
    );
    // These settings are read-only.
    let public = "<PolicyStatus><IsPublic>true</IsPublic></PolicyStatus>";
    assert!(
        translate_response(&S3, &OSS, "GET /?policyStatus", public)
            .unwrap()
            .contains("<IsPublic>true</IsPublic>")
    );
    assert_eq!(
        expect_rejection(translate_request(&S3, &AWS, "PUT /?policyStatus", public)).0,
        ErrorKind::NotImplemented
    );
    assert_eq!(
        expect_rejection(run_exchange(&S3, &COS, "GET /?policyStatus", "", "", &[])).0,
        ErrorKind::NotImplemented
    );
    let all = "<ListMetricsConfigurationsResult><MetricsConfiguration><Id>a</Id></MetricsConfiguration><IsTruncated>false</IsTruncated></ListMetricsConfigurationsResult>";
    assert!(
        translate_response(&S3, &AWS, "GET /?metrics", all)
            .unwrap()
            .contains("<MetricsConfiguration><Id>a</Id></MetricsConfiguration>")
    );
    let stat = "<BucketStat><Storage>5</Storage><ObjectCount>1</ObjectCount></BucketStat>";
    assert_eq!(translate_response(&OSS, &OSS, "GET /?stat", stat).unwrap(), stat);
    assert_eq!(
        expect_rejection(run_exchange(&OSS, &COS, "GET /?stat", "", "", &[])).0,
        ErrorKind::NotImplemented
    );
}

#[test]
fn locks_of_objects_are_translated_between_s3_and_oss() {
    let keep = "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2099-01-01T00:00:00.000Z</RetainUntilDate></Retention>";
    assert_eq!(translate_request(&S3, &OSS, "PUT /k?retention", keep).unwrap(), keep);
    assert_eq!(translate_response(&OSS, &OSS, "GET /k?retention", keep).unwrap(), keep);
    let hold = "<LegalHold><Status>ON</Status></LegalHold>";
    let (out, ..) = run_exchange(&S3, &OSS, "PUT /k?legal-hold", "", hold, &[(200, "")]).unwrap();
    assert_eq!(out[0].query, [("legalHold".to_owned(), None)]);
    let lock = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
    let worm = lock.replace("ObjectLock", "ObjectWorm");
    assert_eq!(translate_request(&S3, &OSS, "PUT /?object-lock", lock).unwrap(), worm);
    assert_eq!(translate_response(&COS, &OSS, "GET /?object-lock", &worm).unwrap(), lock);
    let none = |code: &str| format!("<Error><Code>{code}</Code><Message>x</Message></Error>");
    let unset = run_exchange(
        &S3,
        &OSS,
        "GET /?object-lock",
        "",
        "",
        &[(404, &none("NoSuchObjectWormConfiguration"))],
    );
    assert_eq!(expect_rejection(unset).0, ErrorKind::NoSuchObjectLock);
    let headers = "x-amz-bypass-governance-retention: true\n";
    let (out, ..) = run_exchange(&S3, &OSS, "PUT /k?retention", headers, keep, &[(200, "")]).unwrap();
    assert!(out[0].headers.contains(&("x-oss-bypass-governance-retention".to_owned(), b"true".to_vec())));
    // COS has no legal hold.
    assert_eq!(
        expect_rejection(translate_request(&OSS, &COS, "PUT /k?legalHold", hold)).0,
        ErrorKind::NotImplemented
    );
}

#[test]
fn an_empty_setting_is_removed_if_sdks_of_the_dialect_send_it() {
    for nothing in ["", " \n", "<RefererConfiguration/>"] {
        let (sent, status, _) = run_exchange(&COS, &COS, "PUT /?referer", "", nothing, &[(204, "")]).unwrap();
        assert_eq!((sent[0].method, sent[0].body.len(), status), ("DELETE", 0, 204), "{nothing:?}");
        assert_eq!(
            expect_rejection(run_exchange(&COS, &COS, "PUT /?cors", "", nothing, &[])).0,
            ErrorKind::MalformedXml
        );
    }
    for wrong in ["<Other/>", "x"] {
        assert_eq!(
            expect_rejection(run_exchange(&COS, &COS, "PUT /?referer", "", wrong, &[])).0,
            ErrorKind::MalformedXml,
            "{wrong}"
        );
    }
}

#[test]
fn a_referer_list_that_cannot_be_deleted_is_set_to_the_default() {
    let (sent, status, _) = run_exchange(&COS, &OSS, "DELETE /?referer", "", "", &[(200, "")]).unwrap();
    let body = String::from_utf8(sent[0].body.clone()).unwrap();
    assert_eq!((sent[0].method, status), ("PUT", 204));
    assert!(
        body.ends_with("<RefererConfiguration><AllowEmptyReferer>true</AllowEmptyReferer><RefererList></RefererList></RefererConfiguration>"),
        "{body}"
    );
    // COS has no referer list here; OSS never returns an error for a missing one.
    let none = "<Error><Code>NoSuchRefererConfiguration</Code><Message>x</Message></Error>";
    let (_, status, response_body) =
        run_exchange(&OSS, &COS, "GET /?referer", "", "", &[(404, none)]).unwrap();
    assert!(
        status == 200 && response_body.contains("<AllowEmptyReferer>true</AllowEmptyReferer>"),
        "{response_body}"
    );
}

#[test]
fn booleans_are_read_as_sdks_write_them() {
    let block = |word: &str| {
        format!(
            "<PublicAccessBlockConfiguration><BlockPublicAccess>{word}</BlockPublicAccess></PublicAccessBlockConfiguration>"
        )
    };
    // The SDK oss2 writes booleans as Python does.
    for (spelling, written) in [("True", "true"), ("False", "false"), ("true", "true")] {
        assert_eq!(
            translate_request(&OSS, &OSS, "PUT /?publicAccessBlock", &block(spelling)).unwrap(),
            block(written)
        );
    }
    assert_eq!(
        expect_rejection(translate_request(&OSS, &OSS, "PUT /?publicAccessBlock", &block("yes"))).0,
        ErrorKind::MalformedXml
    );
}
