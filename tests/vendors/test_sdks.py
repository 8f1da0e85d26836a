"""Further operations with each vendor's own SDK, without the proxy: requests are accepted, responses can be parsed."""

import uuid

import alibabacloud_oss_v2 as oss_v2
import oss2
import pytest
import s3_clients
from botocore.exceptions import ClientError
from oss2 import models
from qcloud_cos import CosConfig, CosS3Client
from qcloud_cos.cos_exception import CosServiceError

from .signed_requests import KEY, SECRET, start, stop


@pytest.fixture(scope="module")
def ports():
    """Starts a double of each vendor, and returns the ports."""
    children = {vendor: start(vendor) for vendor in ("cos", "oss", "jdcloud")}
    yield {vendor: result["port"] for vendor, (_, result) in children.items()}
    for child, _ in children.values():
        stop(child)


@pytest.fixture
def name():
    return f"s{uuid.uuid4().hex[:10]}-1250000000"


# -- Tencent COS


@pytest.fixture
def cos(ports, name):
    config = CosConfig(Region="ap-guangzhou", Scheme="http", SecretId=KEY, SecretKey=SECRET, AutoSwitchDomainOnRetry=False,
                       Endpoint=f"cos.ap-guangzhou.localhost:{ports['cos']}")
    client = CosS3Client(config, retry=0)
    client.create_bucket(Bucket=name)
    return client


def expect_cos_error(status, code, call, **arguments):
    with pytest.raises(CosServiceError) as error:
        call(**arguments)
    assert (error.value.get_status_code(), error.value.get_error_code()) == (status, code)


def test_cos_objects(cos, name):
    for key in ("a/1", "a/2", "b"):
        cos.put_object(Bucket=name, Key=key, Body=b"x")
    cos.put_object_tagging(Bucket=name, Key="b", Tagging={"TagSet": {"Tag": [{"Key": "k", "Value": "v"}]}})
    assert cos.get_object_tagging(Bucket=name, Key="b")["TagSet"]["Tag"] == [{"Key": "k", "Value": "v"}]
    cos.delete_object_tagging(Bucket=name, Key="b")
    expect_cos_error(400, "InvalidArgument", cos.put_object_acl, Bucket=name, Key="b", ACL="public-read-write")
    cos.put_object_acl(Bucket=name, Key="b", ACL="public-read")
    assert cos.get_object_acl(Bucket=name, Key="b")["CannedACL"] == "public-read"
    policy = {"Owner": {"ID": "qcs::cam::uin/1:uin/1"}, "AccessControlList": {"Grant": [{
        "Grantee": {"ID": "qcs::cam::uin/2:uin/2", "DisplayName": "2"}, "Permission": "READ"}]}}
    cos.put_bucket_acl(Bucket=name, AccessControlPolicy=policy)
    assert cos.get_bucket_acl(Bucket=name)["AccessControlList"]["Grant"][0]["Permission"] == "READ"
    done = cos.delete_objects(Bucket=name, Delete={"Quiet": "false", "Object": [{"Key": "a/1"}, {"Key": "none"}]})
    assert [row["Key"] for row in done["Deleted"]] == ["a/1", "none"]
    cos.delete_objects(Bucket=name, Delete={"Quiet": "true", "Object": [{"Key": "a/2"}]})
    assert [row["Key"] for row in cos.list_objects(Bucket=name)["Contents"]] == ["b"]
    expect_cos_error(405, "RestoreNonArchiveObject", cos.restore_object, Bucket=name, Key="b", RestoreRequest={"Days": 1})
    cos.put_object(Bucket=name, Key="c", Body=b"x", StorageClass="ARCHIVE")
    cos.restore_object(Bucket=name, Key="c", RestoreRequest={"Days": 1, "CASJobParameters": {"Tier": "Expedited"}})
    assert cos.head_object(Bucket=name, Key="c")["x-cos-restore"] == 'ongoing-request="true"'
    result = cos.append_object(Bucket=name, Key="log", Position=0, Data=b"12345")
    assert result["x-cos-next-append-position"] == "5"
    expect_cos_error(409, "AppendPositionErr", cos.append_object, Bucket=name, Key="log", Position=0, Data=b"1")


def test_cos_listings(cos, name):
    cos.put_bucket_versioning(Bucket=name, Status="Enabled")
    assert cos.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    first = cos.put_object(Bucket=name, Key="k +", Body=b"1")["x-cos-version-id"]
    cos.delete_object(Bucket=name, Key="k +")
    page = cos.list_objects_versions(Bucket=name, MaxKeys=1, EncodingType="url")
    assert page["IsTruncated"] == "true" and page["DeleteMarker"][0]["Key"] == "k%20%2B"
    rest = cos.list_objects_versions(Bucket=name, KeyMarker="k +", VersionIdMarker=page["NextVersionIdMarker"])
    assert rest["Version"][0]["VersionId"] == first
    upload = cos.create_multipart_upload(Bucket=name, Key="d/m")["UploadId"]
    listing = cos.list_multipart_uploads(Bucket=name)
    assert [(row["Key"], row["UploadId"]) for row in listing["Upload"]] == [("d/m", upload)]
    assert cos.list_multipart_uploads(Bucket=name, Delimiter="/")["CommonPrefixes"][0]["Prefix"] == "d/"


def test_cos_settings(cos, name):
    expect_cos_error(404, "NoSuchCORSConfiguration", cos.get_bucket_cors, Bucket=name)
    rule = {"AllowedOrigin": ["*"], "AllowedMethod": ["GET"], "MaxAgeSeconds": "9"}
    cos.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRule": [rule]})
    assert cos.get_bucket_cors(Bucket=name)["CORSRule"][0]["MaxAgeSeconds"] == "9"
    cos.delete_bucket_cors(Bucket=name)
    expect_cos_error(404, "NoSuchLifecycleConfiguration", cos.get_bucket_lifecycle, Bucket=name)
    rule = {"ID": "r", "Filter": {"Prefix": "a/"}, "Status": "Enabled", "Expiration": {"Days": 9}}
    cos.put_bucket_lifecycle(Bucket=name, LifecycleConfiguration={"Rule": [rule]})
    assert cos.get_bucket_lifecycle(Bucket=name)["Rule"][0]["Expiration"]["Days"] == "9"
    expect_cos_error(400, "MalformedXML", cos.put_bucket_lifecycle, Bucket=name,
                     LifecycleConfiguration={"Rule": [{**rule, "AbortMultipartUpload": {"Days": 1}}]})
    cos.put_bucket_tagging(Bucket=name, Tagging={"TagSet": {"Tag": [{"Key": "k", "Value": "v"}]}})
    assert cos.get_bucket_tagging(Bucket=name)["TagSet"]["Tag"][0]["Value"] == "v"
    cos.put_bucket_website(Bucket=name, WebsiteConfiguration={"IndexDocument": {"Suffix": "i.html"}})
    assert cos.get_bucket_website(Bucket=name)["IndexDocument"]["Suffix"] == "i.html"
    cos.put_bucket_logging(Bucket=name, BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": name, "TargetPrefix": "l"}})
    assert cos.get_bucket_logging(Bucket=name)["LoggingEnabled"]["TargetBucket"] == name
    encryption = {"Rule": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    cos.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=encryption)
    assert cos.get_bucket_encryption(Bucket=name)["Rule"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    referer = {"Status": "Enabled", "RefererType": "White-List", "DomainList": {"Domain": ["a.example"]}}
    cos.put_bucket_referer(Bucket=name, RefererConfiguration=referer)
    assert cos.get_bucket_referer(Bucket=name)["DomainList"]["Domain"][0] == "a.example"
    inventory = {"Destination": {"COSBucketDestination": {"AccountId": "1", "Bucket": "qcs::cos:r::b-1", "Format": "CSV"}},
                 "IsEnabled": "True", "Filter": {"Prefix": "p"}, "IncludedObjectVersions": "All",
                 "OptionalFields": {"Field": ["Size"]}, "Schedule": {"Frequency": "Daily"}}
    cos.put_bucket_inventory(Bucket=name, Id="i", InventoryConfiguration=inventory)
    assert cos.get_bucket_inventory(Bucket=name, Id="i")["IsEnabled"] == "true"
    cos.put_bucket_policy(Bucket=name, Policy={"Statement": [], "version": "2.0"})
    assert "2.0" in cos.get_bucket_policy(Bucket=name)["Policy"]
    cos.put_bucket_object_lock(Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    assert cos.get_bucket_object_lock(Bucket=name)["ObjectLockEnabled"] == "Enabled"


# -- Alibaba OSS


@pytest.fixture(params=["V1", "V4"])
def oss(ports, name, request):
    auth = oss2.Auth(KEY, SECRET) if request.param == "V1" else oss2.AuthV4(KEY, SECRET)
    bucket = oss2.Bucket(auth, f"http://oss-cn-hangzhou.localhost:{ports['oss']}", name, region="cn-hangzhou")
    bucket.create_bucket()
    return bucket


def expect_oss_error(status, code, call, *arguments):
    with pytest.raises(oss2.exceptions.OssError) as error:
        call(*arguments)
    assert (error.value.status, error.value.code) == (status, code)


def tag_set(**pairs):
    rule = models.TaggingRule()
    for key, value in pairs.items():
        rule.add(key, value)
    return models.Tagging(rule)


def test_oss_objects(oss):
    for key in ("a 1", "b", "中"):
        oss.put_object(key, b"x")
    oss.put_object_tagging("b", tag_set(k="v"))
    assert oss.get_object_tagging("b").tag_set.tagging_rule == {"k": "v"}
    oss.delete_object_tagging("b")
    expect_oss_error(400, "InvalidArgument", oss.put_object_acl, "b", "authenticated-read")
    oss.put_object_acl("b", "public-read")
    assert oss.get_object_acl("b").acl == "public-read"
    oss.put_bucket_acl("public-read")
    assert oss.get_bucket_acl().acl == "public-read"
    assert oss.get_object_meta("b").content_length == 1
    assert oss.batch_delete_objects(["a 1", "中", "none"]).deleted_keys == ["a 1", "中", "none"]
    expect_oss_error(400, "OperationNotSupported", oss.restore_object, "b")
    oss.put_object("c", b"x", headers={"x-oss-storage-class": "ColdArchive"})
    oss.restore_object("c", input=models.RestoreConfiguration(1, models.RestoreJobParameters("Bulk")))
    assert oss.head_object("c").headers["x-oss-restore"] == 'ongoing-request="true"'
    one = oss.append_object("log", 0, b"12345")
    assert oss.append_object("log", one.next_position, b"6789", init_crc=one.crc).next_position == 9
    with pytest.raises(oss2.exceptions.PositionNotEqualToLength) as error:
        oss.append_object("log", 1, b"x")
    assert error.value.next_position == 9


def test_oss_listings(oss):
    oss.put_bucket_versioning(models.BucketVersioningConfig("Enabled"))
    assert oss.get_bucket_versioning().status == "Enabled"
    first = oss.put_object("k +", b"1").versionid
    oss.delete_object("k +")
    page = oss.list_object_versions(max_keys=1)
    assert page.is_truncated and [row.key for row in page.delete_marker] == ["k +"]
    rest = oss.list_object_versions(key_marker=page.next_key_marker, versionid_marker=page.next_versionid_marker)
    assert [row.versionid for row in rest.versions] == [first]
    versions = models.BatchDeleteObjectVersionList([models.BatchDeleteObjectVersion("k +", first)])
    assert oss.delete_object_versions(versions).delete_versions[0].versionid == first
    upload = oss.init_multipart_upload("d/m").upload_id
    assert [(row.key, row.upload_id) for row in oss.list_multipart_uploads().upload_list] == [("d/m", upload)]
    assert oss.list_multipart_uploads(delimiter="/").prefix_list == ["d/"]
    oss.put_object("v 2", b"x")
    assert [row.key for row in oss.list_objects_v2(max_keys=1).object_list] == ["v 2"]


def test_oss_settings(oss, name):
    expect_oss_error(404, "NoSuchCORSConfiguration", oss.get_bucket_cors)
    oss.put_bucket_cors(models.BucketCors([models.CorsRule(["*"], ["GET"], ["*"], ["ETag"], 9)]))
    assert oss.get_bucket_cors().rules[0].max_age_seconds == 9
    expect_oss_error(404, "NoSuchLifecycle", oss.get_bucket_lifecycle)
    rule = models.LifecycleRule("r", "a/", status="Enabled", expiration=models.LifecycleExpiration(days=9))
    oss.put_bucket_lifecycle(models.BucketLifecycle([rule]))
    assert oss.get_bucket_lifecycle().rules[0].expiration.days == 9
    oss.put_bucket_tagging(tag_set(k="v"))
    assert oss.get_bucket_tagging().tag_set.tagging_rule == {"k": "v"}
    oss.put_bucket_website(models.BucketWebsite("i.html", "e.html"))
    assert oss.get_bucket_website().index_file == "i.html"
    oss.put_bucket_logging(models.BucketLogging(name, "l/"))
    assert oss.get_bucket_logging().target_bucket == name
    oss.put_bucket_encryption(models.ServerSideEncryptionRule("AES256"))
    assert oss.get_bucket_encryption().sse_algorithm == "AES256"
    oss.put_bucket_referer(models.BucketReferer(False, ["http://a.example"]))
    assert oss.get_bucket_referer().referers == ["http://a.example"]
    oss.put_bucket_policy('{"Version": "1", "Statement": []}')
    assert "Statement" in oss.get_bucket_policy().policy
    oss.put_bucket_request_payment("Requester")
    assert oss.get_bucket_request_payment().payer == "Requester"
    destination = models.InventoryBucketDestination("1", "acs:ram::1:role/r", name, "CSV")
    oss.put_bucket_inventory_configuration(models.InventoryConfiguration(
        "i", True, "All", models.InventoryFilter("p"), models.InventoryDestination(destination),
        models.InventorySchedule("Daily"), ["Size"]))
    assert oss.get_bucket_inventory_configuration("i").is_enabled
    oss.put_bucket_public_access_block(True)
    assert oss.get_bucket_public_access_block().block_public_access
    expect_oss_error(403, "AccessDenied", oss.put_bucket_acl, "public-read")
    info = oss.get_bucket_info()
    assert info.name == name and info.bucket_encryption_rule.sse_algorithm == "AES256"
    oss.put_object("k", b"123")
    assert oss.get_bucket_stat().storage_size_in_bytes == 3


def test_oss_second_sdk(ports, name):
    """alibabacloud-oss-v2, which has other parsers."""
    config = oss_v2.config.load_default()
    config.credentials_provider = oss_v2.credentials.StaticCredentialsProvider(KEY, SECRET)
    config.region, config.endpoint, config.use_path_style = "cn-hangzhou", f"http://127.0.0.1:{ports['oss']}", True
    config.retry_max_attempts = 1
    client = oss_v2.Client(config)
    client.put_bucket(oss_v2.PutBucketRequest(bucket=name))
    client.put_object(oss_v2.PutObjectRequest(bucket=name, key="k &", body=b"x"))
    client.put_bucket_object_worm_configuration(oss_v2.PutBucketObjectWormConfigurationRequest(
        bucket=name, object_worm_configuration=oss_v2.ObjectWormConfiguration(object_worm_enabled="Enabled")))
    client.put_object_legal_hold(oss_v2.PutObjectLegalHoldRequest(
        bucket=name, key="k &", legal_hold=oss_v2.LegalHold(status="ON")))
    with pytest.raises(oss_v2.exceptions.OperationError) as error:
        client.delete_object(oss_v2.DeleteObjectRequest(bucket=name, key="k &"))
    assert error.value.unwrap().code == "FileImmutable"
    client.put_object_legal_hold(oss_v2.PutObjectLegalHoldRequest(
        bucket=name, key="k &", legal_hold=oss_v2.LegalHold(status="OFF")))
    many = oss_v2.DeleteMultipleObjectsRequest(bucket=name, objects=[oss_v2.DeleteObject(key="k &")])
    assert client.delete_multiple_objects(many).deleted_objects[0].key == "k &"
    rule = oss_v2.CORSRule(allowed_origins=["*"], allowed_methods=["GET"])
    client.put_bucket_cors(oss_v2.PutBucketCorsRequest(
        bucket=name, cors_configuration=oss_v2.CORSConfiguration(cors_rules=[rule], response_vary=True)))
    result = client.get_bucket_cors(oss_v2.GetBucketCorsRequest(bucket=name)).cors_configuration
    assert result.response_vary and result.cors_rules[0].allowed_methods == ["GET"]
    assert client.get_bucket_info(oss_v2.GetBucketInfoRequest(bucket=name)).bucket_info.name == name


# -- JD Cloud


@pytest.fixture
def jdcloud(ports, name):
    client = s3_clients.Boto3JdDirect(ports["jdcloud"], KEY, SECRET).sdk
    client.create_bucket(Bucket=name)
    return client


def expect_jdcloud_error(status, code, call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    result = error.value.response
    assert (result["ResponseMetadata"]["HTTPStatusCode"], result["Error"]["Code"]) == (status, code)


def test_jdcloud_objects(jdcloud, name):
    for key in ("a 1", "b"):
        jdcloud.put_object(Bucket=name, Key=key, Body=b"x")
    jdcloud.put_object_tagging(Bucket=name, Key="b", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    assert jdcloud.get_object_tagging(Bucket=name, Key="b")["TagSet"] == [{"Key": "k", "Value": "v"}]
    many = [{"Key": f"k{n}", "Value": "v"} for n in range(11)]
    expect_jdcloud_error(400, "BadRequest", jdcloud.put_object_tagging, Bucket=name, Key="b", Tagging={"TagSet": many})
    jdcloud.put_object_acl(Bucket=name, Key="b", ACL="public-read")
    policy = jdcloud.get_object_acl(Bucket=name, Key="b")
    assert [grant["Permission"] for grant in policy["Grants"]] == ["FULL_CONTROL", "READ"]
    del policy["ResponseMetadata"]
    jdcloud.put_bucket_acl(Bucket=name, AccessControlPolicy=policy)
    assert jdcloud.get_bucket_acl(Bucket=name)["Grants"] == policy["Grants"]
    done = jdcloud.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "a 1"}, {"Key": "none"}]})
    assert [row["Key"] for row in done["Deleted"]] == ["a 1", "none"]
    expect_jdcloud_error(403, "InvalidObjectState", jdcloud.restore_object, Bucket=name, Key="b", RestoreRequest={"Days": 1})
    jdcloud.put_object(Bucket=name, Key="c", Body=b"x", StorageClass="GLACIER")
    jdcloud.restore_object(Bucket=name, Key="c", RestoreRequest={"Days": 1, "GlacierJobParameters": {"Tier": "Bulk"}})
    assert jdcloud.head_object(Bucket=name, Key="c")["Restore"] == 'ongoing-request="true"'


def test_jdcloud_listings(jdcloud, name):
    jdcloud.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    assert jdcloud.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    for body in (b"1", b"2"):
        jdcloud.put_object(Bucket=name, Key="k +", Body=body)
    jdcloud.delete_object(Bucket=name, Key="k +")
    pages = list(jdcloud.get_paginator("list_object_versions").paginate(Bucket=name, PaginationConfig={"PageSize": 1}))
    assert [len(page.get("Versions", [])) for page in pages] == [0, 1, 1]
    assert pages[0]["DeleteMarkers"][0]["Key"] == "k +" and pages[0]["DeleteMarkers"][0]["IsLatest"]
    for key in ("d/m", "n"):
        jdcloud.create_multipart_upload(Bucket=name, Key=key)
    pages = jdcloud.get_paginator("list_multipart_uploads").paginate(Bucket=name, PaginationConfig={"PageSize": 1})
    assert [row["Key"] for page in pages for row in page["Uploads"]] == ["d/m", "n"]
    assert jdcloud.list_multipart_uploads(Bucket=name, Delimiter="/")["CommonPrefixes"] == [{"Prefix": "d/"}]


def test_jdcloud_settings(jdcloud, name):
    expect_jdcloud_error(404, "NoSuchCORSConfiguration", jdcloud.get_bucket_cors, Bucket=name)
    rule = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "MaxAgeSeconds": 9}
    jdcloud.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [rule]})
    assert jdcloud.get_bucket_cors(Bucket=name)["CORSRules"] == [rule]
    rule = {"ID": "r", "Filter": {"Prefix": "a/"}, "Status": "Enabled", "Expiration": {"Days": 9}}
    jdcloud.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})
    assert jdcloud.get_bucket_lifecycle_configuration(Bucket=name)["Rules"] == [rule]
    jdcloud.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    assert jdcloud.get_bucket_tagging(Bucket=name)["TagSet"] == [{"Key": "k", "Value": "v"}]
    jdcloud.delete_bucket_tagging(Bucket=name)
    expect_jdcloud_error(404, "NoSuchTagSet", jdcloud.get_bucket_tagging, Bucket=name)
    jdcloud.put_bucket_website(Bucket=name, WebsiteConfiguration={"IndexDocument": {"Suffix": "i.html"}})
    assert jdcloud.get_bucket_website(Bucket=name)["IndexDocument"]["Suffix"] == "i.html"
    target = {"LoggingEnabled": {"TargetBucket": name, "TargetPrefix": "l/"}}
    jdcloud.put_bucket_logging(Bucket=name, BucketLoggingStatus=target)
    assert jdcloud.get_bucket_logging(Bucket=name)["LoggingEnabled"] == target["LoggingEnabled"]
    encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    jdcloud.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=encryption)
    assert jdcloud.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"] == encryption
    jdcloud.put_bucket_policy(Bucket=name, Policy='{"Statement": []}')
    assert jdcloud.get_bucket_policy(Bucket=name)["Policy"] == '{"Statement": []}'
    inventory = {"Id": "i", "IsEnabled": True, "IncludedObjectVersions": "All", "Schedule": {"Frequency": "Daily"},
                 "Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::b", "Format": "CSV"}}}
    jdcloud.put_bucket_inventory_configuration(Bucket=name, Id="i", InventoryConfiguration=inventory)
    assert jdcloud.list_bucket_inventory_configurations(Bucket=name)["InventoryConfigurationList"] == [inventory]
