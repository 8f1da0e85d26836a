"""Parameters that limit a request take effect, or the request is rejected: pages of buckets, parts of an object, values
that must not be empty, encoded keys. All calls are from unmodified SDKs; expectations follow the caller's vendor."""

import concurrent.futures
import hashlib
import time

import alibabacloud_oss_v2 as v2
import oss2
import requests
from botocore.exceptions import ClientError

import cos_clients
import oss_clients
import s3_clients
import servers
from api import CallError
from scenarios import PART

TARGETS = ("demo", "cos", "oss", "jdcloud", "seaweedfs")
#: Targets with no operation that reads one part of an object.
WITHOUT_PARTS = ("cos", "oss", "jdcloud")
NAMES = [f"page-{letter}-1250000000" for letter in "abcde"]
OTHERS = ["aaa-1250000000", "zzz-1250000000"]


def clients(front, target):
    key, secret = servers.caller_key(target)
    s3 = s3_clients.Boto3(front.port, key, secret).sdk
    service = oss2.Service(oss2.Auth(key, secret), f"http://oss-cn-hangzhou.localhost:{front.port}")
    return s3, service, oss_clients.OssV2(front.port, key, secret).sdk, cos_clients.CosPythonOfficial(front.port, key, secret)


def expect_error(call, *arguments, **more):
    """Returns status and code of a call that must fail."""
    try:
        made = call(*arguments, **more)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
    except oss2.exceptions.OssError as error:
        return error.status, error.code
    except CallError as error:
        return error.status, error.code
    raise AssertionError(f"the call succeeded: {str(made)[:200]}")


def fronts(running, binary, targets=TARGETS):
    for target in targets:
        front, back = running.front(binary, target)
        yield target, front, back


def buckets(binary, running, options):
    for target, front, _ in fronts(running, binary):
        s3, service, new_oss, cos = clients(front, target)
        for name in [*NAMES, *OTHERS]:
            s3.create_bucket(Bucket=name)
        s3_pages(s3)
        oss_pages(service, new_oss)
        cos_pages(cos, unknown_dates=False)


def s3_pages(s3):
    """Amazon S3, ListBuckets."""
    result = s3.list_buckets(Prefix="page-")
    assert [row["Name"] for row in result["Buckets"]] == NAMES and result["Prefix"] == "page-", result
    assert "ContinuationToken" not in result
    paged = s3.get_paginator("list_buckets").paginate(Prefix="page-", PaginationConfig={"PageSize": 2})
    pages = [[row["Name"] for row in page["Buckets"]] for page in paged]
    assert pages == [NAMES[:2], NAMES[2:4], NAMES[4:]], pages
    everything = [row["Name"] for row in s3.list_buckets()["Buckets"]]
    assert everything == sorted(NAMES + OTHERS), "without parameters all buckets are listed"
    region = s3.list_buckets(MaxBuckets=1)["Buckets"][0]["BucketRegion"]
    assert [row["Name"] for row in s3.list_buckets(Prefix="page-", BucketRegion=region)["Buckets"]] == NAMES
    assert s3.list_buckets(BucketRegion="mars-north-1")["Buckets"] == []
    for token in ("", "not-ours"):
        assert expect_error(s3.list_buckets, ContinuationToken=token) == (400, "InvalidArgument"), token
    assert expect_error(s3.list_buckets, MaxBuckets=10001) == (400, "InvalidArgument")


def oss_pages(service, new_oss):
    """OSS, ListBuckets (GetService)."""
    result = service.list_buckets(prefix="page-", max_keys=2)
    assert ([row.name for row in result.buckets], result.is_truncated, result.next_marker) == (NAMES[:2], True, NAMES[1])
    result = service.list_buckets(prefix="page-", max_keys=5)
    assert ([row.name for row in result.buckets], result.is_truncated) == (NAMES, False)
    assert [row.name for row in oss2.BucketIterator(service, prefix="page-", max_keys=1)] == NAMES
    pages = new_oss.list_buckets_paginator().iter_page(v2.ListBucketsRequest(prefix="page-", max_keys=2))
    assert [[row.name for row in page.buckets] for page in pages] == [NAMES[:2], NAMES[2:4], NAMES[4:]]
    for size in (0, 1001):
        assert expect_error(service.list_buckets, max_keys=size) == (400, "InvalidArgument"), size
    assert expect_error(service.list_buckets, params={"tag-key": "a", "tag-value": "b"})[0] == 501


def cos_pages(cos, unknown_dates):
    """COS, GET Service (List Buckets)."""
    def names(**more):
        result = cos.call("list_buckets", **more)
        rows = (result["Buckets"] or {}).get("Bucket", [])
        rows = rows if isinstance(rows, list) else [rows]
        return [row["Name"] for row in rows], result["IsTruncated"], result.get("NextMarker")

    assert names() == (sorted(NAMES + OTHERS), "false", None), "the parameters that the SDK always sends do not limit the list"
    assert names(Marker=NAMES[0], MaxKeys=2) == (NAMES[1:3], "true", NAMES[2])
    assert names(Region="mars") == ([], "false", None)
    assert expect_error(cos.call, "list_buckets", TagKey="a", TagValue="b") == (501, "NotImplemented")
    now = int(time.time())
    if unknown_dates:
        assert expect_error(cos.call, "list_buckets", CreateTime=now, Range="lt") == (501, "NotImplemented")
        return
    assert names(CreateTime=now + 3600, Range="lt")[0] == sorted(NAMES + OTHERS)
    assert names(CreateTime=now + 3600, Range="gte")[0] == []
    assert expect_error(cos.call, "list_buckets", CreateTime=now, Range="about")[0] == 400


def configured_buckets(binary, running, options):
    """Configured buckets and those of a wildcard's target are one list with pages; a filter by an unknown date is rejected."""
    cos, oss = running.double("cos"), running.double("oss")
    targets = [servers.one_target("oss", oss.port), servers.one_target("cos", cos.port)]
    rules = [f'[[bucket]]\nname = "{name}"\ntarget = "cos"\n' for name in NAMES[::2]] + ['[[bucket]]\nname = "*"\ntarget = "oss"\n']
    front = running.proxy(binary, servers.configuration(targets, rules))
    s3, service, new_oss, cos_sdk = clients(front, "oss")
    for name in [*NAMES, *OTHERS]:
        s3.create_bucket(Bucket=name)
    regions = {row["Name"]: row["BucketRegion"] for row in s3.list_buckets(Prefix="page-")["Buckets"]}
    assert regions == {name: "ap-guangzhou" if at % 2 == 0 else "cn-hangzhou" for at, name in enumerate(NAMES)}, regions
    assert [row["Name"] for row in s3.list_buckets(BucketRegion="ap-guangzhou")["Buckets"]] == NAMES[::2]
    s3_pages_of = s3.get_paginator("list_buckets").paginate(Prefix="page-", PaginationConfig={"PageSize": 2})
    assert [len(page["Buckets"]) for page in s3_pages_of] == [2, 2, 1]
    oss_pages(service, new_oss)
    cos_pages(cos_sdk, unknown_dates=True)


def many_buckets(binary, running, options):
    """A target lists 1,000 buckets per page: all pages are read."""
    front, back = running.front(binary, "oss")
    def make(number):
        auth = oss2.Auth(servers.TARGET_KEY, servers.TARGET_SECRET)
        oss2.Bucket(auth, f"http://oss-cn-hangzhou.localhost:{back.port}", f"many-{number:04}").create_bucket()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(1003)))
    s3, service, _, _ = clients(front, "oss")
    assert len(s3.list_buckets()["Buckets"]) == 1003
    result = service.list_buckets(prefix="many-1")
    assert ([row.name for row in result.buckets], result.is_truncated) == (["many-1000", "many-1001", "many-1002"], False)
    result = service.list_buckets()
    assert (len(result.buckets), result.is_truncated) == (100, True), "the vendor's default page size"


def parts(binary, running, options):
    """An object without parts is one part. At a target that cannot read single parts every object is one part."""
    for target, front, _ in fronts(running, binary):
        s3 = clients(front, target)[0]
        s3.create_bucket(Bucket=NAMES[0])
        where = {"Bucket": NAMES[0], "Key": "k"}
        whole = b"1" * PART + b"the end"
        upload = s3.create_multipart_upload(**where)["UploadId"]
        result = [s3.upload_part(**where, UploadId=upload, PartNumber=number, Body=body)["ETag"]
                  for number, body in ((1, whole[:PART]), (2, whole[PART:]))]
        done = {**where, "UploadId": upload, "MultipartUpload": {
            "Parts": [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(result, 1)]}}
        assert expect_error(s3.complete_multipart_upload, **done, MpuObjectSize=len(whole) - 1) == (400, "InvalidRequest"), target
        s3.complete_multipart_upload(**done, MpuObjectSize=len(whole))
        first = s3.get_object(**where, PartNumber=1)
        head = s3.head_object(**where, PartNumber=1)
        body = first["Body"].read()
        assert (head["ContentLength"], head["PartsCount"]) == (len(body), first["PartsCount"]), head
        if target not in WITHOUT_PARTS:
            assert (body, first["PartsCount"]) == (whole[:PART], 2)
            assert s3.get_object(**where, PartNumber=2)["Body"].read() == whole[PART:]
            assert expect_error(s3.get_object, **where, PartNumber=3)[0] == 416
        else:
            assert (body, first["PartsCount"], first["ContentRange"]) == (whole, 1, f"bytes 0-{len(whole) - 1}/{len(whole)}")
            assert expect_error(s3.get_object, **where, PartNumber=2) == (416, "InvalidPartNumber")
            assert expect_error(s3.head_object, **where, PartNumber=2)[0] == 416
            assert expect_error(s3.get_object, Bucket=NAMES[0], Key="none", PartNumber=2) == (404, "NoSuchKey")
        assert expect_error(s3.get_object, **where, PartNumber=1, Range="bytes=0-1") == (400, "InvalidRequest")
        assert expect_error(s3.get_object, **where, PartNumber=0) == (400, "InvalidArgument")
        # Like the transfer managers of Ruby and Java: read part 1, then as many parts as PartsCount.
        read = b"".join(s3.get_object(**where, PartNumber=number + 1)["Body"].read() for number in range(first["PartsCount"]))
        assert read == whole, target
        attributes(s3, target, where)


def attributes(s3, target, where):
    """Amazon S3, GetObjectAttributes."""
    wanted = {"ObjectAttributes": ["ETag", "ObjectParts", "ObjectSize"], "MaxParts": 1, "PartNumberMarker": 0}
    if target in WITHOUT_PARTS:
        assert expect_error(s3.get_object_attributes, **where, **wanted) == (501, "NotImplemented")
    else:
        assert s3.get_object_attributes(**where, **wanted)["ObjectParts"]["TotalPartsCount"] == 2
    s3.put_object(Bucket=where["Bucket"], Key="plain", Body=b"hello")
    result = s3.get_object_attributes(Bucket=where["Bucket"], Key="plain", **wanted)
    found = result["ETag"], result["ObjectSize"], result.get("ObjectParts")
    assert found == (hashlib.md5(b"hello").hexdigest(), 5, None), result
    assert expect_error(s3.get_object_attributes, **where, ObjectAttributes=["Colour"]) == (400, "InvalidArgument")


def empty_values(binary, running, options):
    """An empty version ID, upload ID or token is rejected, and the object is unchanged."""
    for target, front, _ in fronts(running, binary, TARGETS[:-1]):
        s3, service, new_oss, cos = clients(front, target)
        s3.create_bucket(Bucket=NAMES[0])
        where = {"Bucket": NAMES[0], "Key": "k"}
        s3.put_object(**where, Body=b"unchanged")
        assert expect_error(s3.abort_multipart_upload, **where, UploadId="") == (404, "NoSuchUpload")
        assert expect_error(s3.upload_part, **where, UploadId="", PartNumber=1, Body=b"other") == (404, "NoSuchUpload")
        assert expect_error(s3.list_parts, **where, UploadId="") == (404, "NoSuchUpload")
        assert expect_error(s3.delete_object, **where, VersionId="") == (400, "InvalidArgument")
        assert expect_error(s3.list_objects_v2, Bucket=NAMES[0], ContinuationToken="") == (400, "InvalidArgument")
        assert expect_error(s3.list_objects_v2, Bucket=NAMES[0], EncodingType="html") == (400, "InvalidArgument")
        assert expect_error(s3.list_object_versions, Bucket=NAMES[0], VersionIdMarker="v") == (400, "InvalidArgument")
        key, secret = servers.caller_key(target)
        bucket = oss2.Bucket(oss2.Auth(key, secret), f"http://oss-cn-hangzhou.localhost:{front.port}", NAMES[0])
        assert expect_error(bucket.abort_multipart_upload, "k", "") == (404, "NoSuchUpload")
        # oss2 always sends an empty token, and the SDK of COS empty markers, which their vendors ignore.
        assert [row.key for row in bucket.list_objects_v2().object_list] == ["k"]
        assert [row["Key"] for row in cos.call("list_objects", Bucket=NAMES[0])["Contents"]] == ["k"]
        assert expect_error(bucket.list_objects, max_keys=1001) == (400, "InvalidArgument")
        assert s3.get_object(**where)["Body"].read() == b"unchanged", target


def ranges_of_one_object(binary, running, options):
    """A range applies only if the validator in If-Range matches; otherwise the whole object is returned (RFC 9110, 13.1.5)."""
    for target, front, _ in fronts(running, binary, TARGETS[:-1]):
        s3 = clients(front, target)[0]
        s3.create_bucket(Bucket=NAMES[0])
        where = {"Bucket": NAMES[0], "Key": "k"}
        s3.put_object(**where, Body=b"0123456789")
        head = s3.head_object(**where)
        url = s3.generate_presigned_url("get_object", Params=where)
        date = head["ResponseMetadata"]["HTTPHeaders"]["last-modified"]
        def read(validator, span="bytes=2-3"):
            response = requests.get(url, headers={"Range": span, "If-Range": validator}, timeout=10)
            return response.status_code, response.content
        for same in (head["ETag"], date):
            assert read(same) == (206, b"23"), (target, same)
        for other in ('"5b3c1a2e053d763e1b002cc607c5a0fe"', "W/" + head["ETag"], "Mon, 06 May 2024 07:08:09 GMT"):
            assert read(other) == (200, b"0123456789"), (target, other)
        assert read('"5b3c1a2e053d763e1b002cc607c5a0fe"', "bytes=50-60") == (200, b"0123456789"), target


def encoded_keys(binary, running, options):
    """OSS also encodes keys in the responses to InitiateMultipartUpload and CompleteMultipartUpload."""
    for target in ("demo", "oss"):
        front, _ = running.front(binary, target)
        _, _, sdk, _ = clients(front, target)
        sdk.put_bucket(v2.PutBucketRequest(bucket=NAMES[0]))
        key = "a b\x01/c"
        where = {"bucket": NAMES[0], "key": key}
        begun = sdk.initiate_multipart_upload(v2.InitiateMultipartUploadRequest(**where))
        assert (begun.key, begun.encoding_type) == (key, "url"), begun.key
        part = sdk.upload_part(v2.UploadPartRequest(**where, upload_id=begun.upload_id, part_number=1, body=b"x"))
        listed = sdk.list_parts(v2.ListPartsRequest(**where, upload_id=begun.upload_id))
        assert (listed.key, [row.part_number for row in listed.parts]) == (key, [1])
        done = v2.CompleteMultipartUpload(parts=[v2.UploadPart(part_number=1, etag=part.etag)])
        made = sdk.complete_multipart_upload(v2.CompleteMultipartUploadRequest(
            **where, upload_id=begun.upload_id, complete_multipart_upload=done))
        assert (made.key, made.encoding_type) == (key, "url"), made.key
        sdk.put_object(v2.PutObjectRequest(bucket=NAMES[0], key="a b+c%"))
        gone = sdk.delete_multiple_objects(v2.DeleteMultipleObjectsRequest(
            bucket=NAMES[0], objects=[v2.DeleteObject(key="a b+c%")]))
        assert [row.key for row in gone.deleted_objects] == ["a b+c%"]
        listed = sdk.list_objects_v2(v2.ListObjectsV2Request(bucket=NAMES[0]))
        assert [row.key for row in listed.contents] == [key]


def headers_with_an_effect(binary, running, options):
    """Amazon S3, API Reference: headers that affect the result take effect, or the call is rejected; each has a control."""
    for target, front, _ in fronts(running, binary):
        s3 = clients(front, target)[0]
        s3.create_bucket(Bucket=NAMES[0])
        where = {"Bucket": NAMES[0], "Key": "k"}
        upload = s3.create_multipart_upload(**where)["UploadId"]
        etag = s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"1234")["ETag"]
        done = {**where, "UploadId": upload, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": etag}]}}
        assert expect_error(s3.complete_multipart_upload, **done, MpuObjectSize=5) == (400, "InvalidRequest"), target
        s3.complete_multipart_upload(**done, MpuObjectSize=4)
        assert s3.get_object(**where)["Body"].read() == b"1234", target
        for algorithm, kind in (("SHA1", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE")):
            fields = {"ChecksumAlgorithm": algorithm, "ChecksumType": kind}
            assert expect_error(s3.create_multipart_upload, **where, **fields) == (400, "InvalidRequest"), (target, fields)
        for algorithm, kind in (("CRC32", "FULL_OBJECT"), ("SHA1", "COMPOSITE")):
            s3.create_multipart_upload(**where, ChecksumAlgorithm=algorithm, ChecksumType=kind)
        wanted = {"Bucket": NAMES[0], "OptionalObjectAttributes": ["RestoreStatus"]}
        for listing in (s3.list_objects_v2, s3.list_objects, s3.list_object_versions):
            if target in WITHOUT_PARTS:
                assert expect_error(listing, **wanted) == (501, "NotImplemented"), (target, listing)
                listing(Bucket=NAMES[0])
            else:
                listing(**wanted)
        if target in WITHOUT_PARTS:
            owned = {"Bucket": NAMES[1], "ObjectOwnership": "BucketOwnerEnforced"}
            assert expect_error(s3.create_bucket, **owned) == (501, "NotImplemented"), target
            assert NAMES[1] not in [row["Name"] for row in s3.list_buckets()["Buckets"]], target


if __name__ == "__main__":
    servers.main(__doc__, [buckets, configured_buckets, many_buckets, parts, empty_values, ranges_of_one_object, encoded_keys,
                           headers_with_an_effect])
