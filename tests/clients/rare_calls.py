"""Less common operations with unmodified SDKs: versions, archives, locks, attributes, redirects, bucket information, and
presigned URLs of every kind. Expectations follow the documents of the caller's vendor. Prints a table. The last line has
the counts."""

import argparse
import base64
import hashlib
import sys
import time
import traceback
import uuid
from datetime import datetime, timedelta, timezone
from unittest import SkipTest

import alibabacloud_oss_v2 as v2
import oss2

import cos_clients
import node_client
import oss_clients
import s3_clients
import servers
from api import CallError
from run import TARGETS, Run, parse_names
from scenarios import PART, bare, fetch_signed, expect_error

LARGE = b"l" * 300_000

#: Operations that a target does not have, which the proxy rejects: (target, scenario).
LACKS = {("cos", "locks"): "COS has no legal holds of objects", ("jdcloud", "locks"): "JD Cloud's documents have no locks",
         ("oss", "redirects"): "OSS has no website redirects of objects", ("jdcloud", "redirects"): "JD Cloud's documents have none"}
#: Operations that a server accepts and ignores.
IDLE = {("seaweedfs", "archives"): "SeaweedFS reads objects of every class", ("seaweedfs", "redirects"): "SeaweedFS does not store it"}


# ---- One interface over the SDKs, for these calls

class S3(s3_clients.Boto3):
    archive = "GLACIER"

    def keep_versions(self, bucket):
        self.call("put_bucket_versioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def put_version(self, bucket, key, body):
        return self.call("put_object", Bucket=bucket, Key=key, Body=body)["VersionId"]

    def get_version(self, bucket, key, version=None):
        return self.call("get_object", Bucket=bucket, Key=key, VersionId=version)["Body"].read()

    def versions(self, bucket):
        """Returns rows (key, version, is latest, is delete marker), versions before delete markers."""
        result = self.call("list_object_versions", Bucket=bucket)
        rows = [(row, False) for row in result.get("Versions", [])] + [(row, True) for row in result.get("DeleteMarkers", [])]
        rows = [(row["Key"], row["VersionId"], row["IsLatest"], marker) for row, marker in rows]
        return rows

    def copy_version(self, bucket, key, version, to):
        self.call("copy_object", Bucket=bucket, Key=to, CopySource={"Bucket": bucket, "Key": key, "VersionId": version})

    def delete_version(self, bucket, key, version=None):
        """Returns (version, is delete marker)."""
        result = self.call("delete_object", Bucket=bucket, Key=key, VersionId=version)
        return result["VersionId"], result.get("DeleteMarker", False)

    def put_archived(self, bucket, key, body):
        self.call("put_object", Bucket=bucket, Key=key, Body=body, StorageClass=self.archive)

    def restore(self, bucket, key):
        self.call("restore_object", Bucket=bucket, Key=key, RestoreRequest={"Days": 2})

    def is_restored(self, bucket, key):
        return self.call("head_object", Bucket=bucket, Key=key).get("Restore", "")

    def redirect(self, bucket, key, to):
        self.call("put_object", Bucket=bucket, Key=key, Body=b"x", WebsiteRedirectLocation=to)
        return self.call("head_object", Bucket=bucket, Key=key)["WebsiteRedirectLocation"]

    def url(self, name, **params):
        """Presigns with signature version 4; a separate client signs with version 2 by default."""
        return self.fourth.generate_presigned_url(name, Params=params, ExpiresIn=60)


class Jd(S3, s3_clients.Boto3Jd):
    dialect, name = "jdcloud", "boto3-jd"


class Cos(cos_clients.CosPython):
    archive = "ARCHIVE"

    def keep_versions(self, bucket):
        self.call("put_bucket_versioning", Bucket=bucket, Status="Enabled")

    def put_version(self, bucket, key, body):
        return self.call("put_object", Bucket=bucket, Key=key, Body=body)["x-cos-version-id"]

    def get_version(self, bucket, key, version=None):
        return self.call("get_object", Bucket=bucket, Key=key, VersionId=version)["Body"].get_raw_stream().read()

    def versions(self, bucket):
        result = self.call("list_objects_versions", Bucket=bucket)
        rows = [(row, False) for row in result.get("Version", [])] + [(row, True) for row in result.get("DeleteMarker", [])]
        rows = [(row["Key"], row["VersionId"], row["IsLatest"] == "true", marker) for row, marker in rows]
        return rows

    def copy_version(self, bucket, key, version, to):
        self.call("copy_object", Bucket=bucket, Key=to, CopySource={
            "Bucket": bucket, "Key": key, "Region": "ap-guangzhou", "VersionId": version})

    def delete_version(self, bucket, key, version=None):
        result = self.call("delete_object", Bucket=bucket, Key=key, VersionId=version)
        return result["x-cos-version-id"], result.get("x-cos-delete-marker") == "true"

    def put_archived(self, bucket, key, body):
        self.call("put_object", Bucket=bucket, Key=key, Body=body, StorageClass=self.archive)

    def restore(self, bucket, key):
        self.call("restore_object", Bucket=bucket, Key=key, RestoreRequest={"Days": 2, "CASJobParameters": {"Tier": "Standard"}})

    def is_restored(self, bucket, key):
        return self.call("head_object", Bucket=bucket, Key=key).get("x-cos-restore", "")

    def url(self, method, bucket, key, **params):
        return self.sdk.get_presigned_url(Bucket=bucket, Key=key, Method=method, Expired=60, Params=params)


class Oss(oss_clients.Oss2V4):
    archive = "Archive"

    def keep_versions(self, bucket):
        self.call(bucket, "put_bucket_versioning", oss2.models.BucketVersioningConfig("Enabled"))

    def put_version(self, bucket, key, body):
        return self.call(bucket, "put_object", key, body).versionid

    def get_version(self, bucket, key, version=None):
        return self.call(bucket, "get_object", key, params={"versionId": version} if version else None).read()

    def versions(self, bucket):
        result = self.call(bucket, "list_object_versions")
        rows = [(row, False) for row in result.versions] + [(row, True) for row in result.delete_marker]
        return [(row.key, row.versionid, row.is_latest, marker) for row, marker in rows]

    def copy_version(self, bucket, key, version, to):
        self.call(bucket, "copy_object", bucket, key, to, params={"versionId": version})

    def delete_version(self, bucket, key, version=None):
        result = self.call(bucket, "delete_object", key, params={"versionId": version} if version else None)
        return result.versionid, bool(result.delete_marker)

    def put_archived(self, bucket, key, body):
        self.call(bucket, "put_object", key, body, headers={"x-oss-storage-class": self.archive})

    def restore(self, bucket, key):
        self.call(bucket, "restore_object", key)

    def is_restored(self, bucket, key):
        return self.call(bucket, "head_object", key).headers.get("x-oss-restore", "")

    def url(self, method, bucket, key, **params):
        return self.at(bucket).sign_url(method, key, 60, params=params, slash_safe=True)


class CosNode(node_client.CosNode):
    archive = "ARCHIVE"

    def ask(self, op, name, bucket, **arguments):
        return self.call(op, name=name, args={"Bucket": bucket, **arguments})

    def keep_versions(self, bucket):
        self.ask("sdk", "putBucketVersioning", bucket, VersioningConfiguration={"Status": "Enabled"})

    def put_version(self, bucket, key, body):
        return self.ask("headers", "putObject", bucket, Key=key, Body=body.decode())["x-cos-version-id"]

    def get_version(self, bucket, key, version=None):
        return base64.b64decode(self.ask("bytes", "getObject", bucket, Key=key, **({"VersionId": version} if version else {})))

    def versions(self, bucket):
        result = self.ask("sdk", "listObjectVersions", bucket)
        rows = [(row, False) for row in result["Versions"]] + [(row, True) for row in result["DeleteMarkers"]]
        rows = [(row["Key"], row["VersionId"], row["IsLatest"] == "true", marker) for row, marker in rows]
        return rows

    def copy_version(self, bucket, key, version, to):
        source = f"{bucket}.cos.ap-guangzhou.myqcloud.com/{key}?versionId={version}"
        self.ask("sdk", "putObjectCopy", bucket, Key=to, CopySource=source)

    def delete_version(self, bucket, key, version=None):
        result = self.ask("headers", "deleteObject", bucket, Key=key, **({"VersionId": version} if version else {}))
        return result["x-cos-version-id"], result.get("x-cos-delete-marker") == "true"

    def put_archived(self, bucket, key, body):
        self.ask("sdk", "putObject", bucket, Key=key, Body=body.decode(), StorageClass=self.archive)

    def restore(self, bucket, key):
        request = {"Days": 2, "CASJobParameters": {"Tier": "Standard"}}
        self.ask("sdk", "restoreObject", bucket, Key=key, RestoreRequest=request)

    def is_restored(self, bucket, key):
        return self.ask("headers", "headObject", bucket, Key=key).get("x-cos-restore", "")


class AliOss(node_client.AliOssV4):
    archive = "Archive"

    def ask(self, op, name, bucket, *arguments):
        return self.call(op, name=name, bucket=bucket, args=arguments)

    def keep_versions(self, bucket):
        self.ask("sdk", "putBucketVersioning", bucket, bucket, "Enabled")

    def put_archived(self, bucket, key, body):
        self.put(bucket, key, body, storage_class=self.archive)

    def put_version(self, bucket, key, body):
        self.put(bucket, key, body)
        return self.ask("headers", "head", bucket, key)["x-oss-version-id"]

    def get_version(self, bucket, key, version=None):
        return base64.b64decode(self.ask("bytes", "get", bucket, key, None, *([{"versionId": version}] if version else [])))

    def versions(self, bucket):
        result = self.ask("sdk", "getBucketVersions", bucket, {})
        rows = [(row, False) for row in result.get("objects") or []] + [(row, True) for row in result.get("deleteMarker") or []]
        # The SDK omits this field for a delete marker.
        current = {row["name"] for row, _ in rows if row.get("isLatest")}
        rows = [(row["name"], row["versionId"], row.get("isLatest", row["name"] not in current), marker) for row, marker in rows]
        return rows

    def copy_version(self, bucket, key, version, to):
        self.ask("sdk", "copy", bucket, to, key, {"versionId": version})

    def delete_version(self, bucket, key, version=None):
        result = self.ask("headers", "delete", bucket, key, *([{"versionId": version}] if version else []))
        return result["x-oss-version-id"], result.get("x-oss-delete-marker") == "true"

    def restore(self, bucket, key):
        self.ask("sdk", "restore", bucket, key)

    def is_restored(self, bucket, key):
        return self.ask("headers", "head", bucket, key).get("x-oss-restore", "")


class OssLocks(oss_clients.OssV2):
    """The only SDK of OSS with object locks."""

    def enable_locks(self, bucket):
        worm = v2.ObjectWormConfiguration(object_worm_enabled="Enabled")
        self.call("put_bucket_object_worm_configuration", "PutBucketObjectWormConfigurationRequest", bucket=bucket,
                  object_worm_configuration=worm)


# ---- The scenarios

def latest_first(client, bucket):
    return sorted(client.versions(bucket), key=lambda row: not row[2])


def versions(client, bucket, run):
    client.keep_versions(bucket)
    first, second = client.put_version(bucket, "k", b"one"), client.put_version(bucket, "k", b"two")
    assert first and second and first != second
    assert latest_first(client, bucket) == [("k", second, True, False), ("k", first, False, False)]
    assert (client.get_version(bucket, "k"), client.get_version(bucket, "k", first)) == (b"two", b"one")
    client.copy_version(bucket, "k", first, "old")
    assert client.get_version(bucket, "old") == b"one"
    marker, is_marker = client.delete_version(bucket, "k")
    assert is_marker and marker not in (first, second)
    expect_error(404, client.get_version, bucket, "k")
    rows = [row for row in latest_first(client, bucket) if row[0] == "k"]
    assert rows == [("k", marker, True, True), ("k", second, False, False), ("k", first, False, False)], rows
    assert client.delete_version(bucket, "k", marker) == (marker, True)
    assert client.get_version(bucket, "k") == b"two"
    assert client.delete_version(bucket, "k", second)[0] == second
    assert client.get_version(bucket, "k") == b"one"
    expect_error(404, client.get_version, bucket, "k", second)


def archives(client, bucket, run):
    client.put_archived(bucket, "cold", b"asleep")
    try:
        client.get_version(bucket, "cold")
        raise AssertionError("an archived object was read before its restore")
    except CallError as error:
        assert (error.status, error.code) == (403, "InvalidObjectState"), error
    client.restore(bucket, "cold")
    for _ in range(50):
        result = client.is_restored(bucket, "cold")
        if result.startswith('ongoing-request="false", expiry-date="'):
            break
        assert result == 'ongoing-request="true"', result
        time.sleep(0.1)
    assert client.get_version(bucket, "cold") == b"asleep"


def redirects(client, bucket, run):
    if not hasattr(client, "redirect"):
        raise SkipTest("this SDK has no website redirects of objects")
    assert client.redirect(bucket, "moved", "/new place") == "/new place"


def attributes(client, bucket, run):
    if not isinstance(client, S3):
        raise SkipTest("an operation of S3")
    client.call("put_object", Bucket=bucket, Key="k", Body=b"hello")
    wanted = ["ETag", "ObjectSize", "StorageClass"]
    result = client.call("get_object_attributes", Bucket=bucket, Key="k", ObjectAttributes=wanted)
    assert (result["ObjectSize"], bare(result["ETag"])) == (5, "5d41402abc4b2a76b9719d911017c592"), result
    assert result.get("StorageClass", "STANDARD") == "STANDARD" and result["LastModified"], result
    expect_error(404, client.call, "get_object_attributes", Bucket=bucket, Key="none", ObjectAttributes=wanted)


def infos(client, bucket, run):
    if not isinstance(client, Oss):
        raise SkipTest("an operation of OSS")
    info = client.call(bucket, "get_bucket_info")
    assert (info.name, info.acl.grant, info.storage_class, info.versioning_status) == (bucket, "private", "Standard", None), vars(info)
    assert info.location and info.creation_date and info.owner.id and info.extranet_endpoint, vars(info)
    client.keep_versions(bucket)
    assert client.call(bucket, "get_bucket_info").versioning_status == "Enabled"


def locks(client, bucket, run):
    if isinstance(client, Oss):
        return locks_of_oss(OssLocks(run.port, run.key, run.secret), bucket, run)
    if not isinstance(client, S3):
        raise SkipTest("this SDK has no locks")
    until = (datetime.now(timezone.utc) + timedelta(days=1)).replace(microsecond=0)
    client.keep_versions(bucket)
    client.call("put_object_lock_configuration", Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    assert client.call("get_object_lock_configuration", Bucket=bucket)["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"
    locked_version = client.call("put_object", Bucket=bucket, Key="locked", Body=b"x", ObjectLockMode="GOVERNANCE",
                                 ObjectLockRetainUntilDate=until,  ChecksumAlgorithm="CRC32")["VersionId"]
    head = client.call("head_object", Bucket=bucket, Key="locked")
    assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == ("GOVERNANCE", until), head
    retention = client.call("get_object_retention", Bucket=bucket, Key="locked")["Retention"]
    assert retention == {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    expect_error(403, client.call, "delete_object", Bucket=bucket, Key="locked", VersionId=locked_version)
    later = until + timedelta(days=1)
    client.call("put_object_retention", Bucket=bucket, Key="locked", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": later})
    assert client.call("get_object_retention", Bucket=bucket, Key="locked")["Retention"]["RetainUntilDate"] == later
    client.call("delete_object", Bucket=bucket, Key="locked", VersionId=locked_version, BypassGovernanceRetention=True)
    # S3 requires a digest for a locked object: the one in the request head is forwarded.
    client.call("put_object", Bucket=bucket, Key="large", Body=LARGE, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until,
                ChecksumAlgorithm="SHA256")
    held = client.put_version(bucket, "held", b"x")
    for status in ("ON", "OFF"):
        client.call("put_object_legal_hold", Bucket=bucket, Key="held", LegalHold={"Status": status})
        assert client.call("get_object_legal_hold", Bucket=bucket, Key="held")["LegalHold"]["Status"] == status
        if status == "ON":
            expect_error(403, client.call, "delete_object", Bucket=bucket, Key="held", VersionId=held)
    client.call("delete_object", Bucket=bucket, Key="held", VersionId=held)


def locks_of_oss(client, bucket, run):
    # S3 has no separate error code for this.
    locked = 409 if run.target == "oss" else 403
    until = (datetime.now(timezone.utc) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    client.call("put_bucket_versioning", "PutBucketVersioningRequest", bucket=bucket,
                versioning_configuration=v2.VersioningConfiguration(status="Enabled"))
    client.enable_locks(bucket)
    fields = {"object_worm_mode": "GOVERNANCE", "object_worm_retain_until_date": until}
    locked_version = client.call("put_object", "PutObjectRequest", bucket=bucket, key="locked", body=b"x", **fields).version_id
    result = client.call("get_object_retention", "GetObjectRetentionRequest", bucket=bucket, key="locked").retention
    assert (result.mode, result.retain_until_date[:19]) == ("GOVERNANCE", until[:19]), vars(result)
    head = client.call("head_object", "HeadObjectRequest", bucket=bucket, key="locked")
    assert head.object_worm_mode == "GOVERNANCE" and head.object_worm_retain_until_date[:19] == until[:19], vars(head)
    expect_error(locked, client.call, "delete_object", "DeleteObjectRequest", bucket=bucket, key="locked", version_id=locked_version)
    client.call("delete_object", "DeleteObjectRequest", bucket=bucket, key="locked", version_id=locked_version,
                bypass_governance_retention=True)
    held = client.call("put_object", "PutObjectRequest", bucket=bucket, key="held", body=b"x", object_worm_legal_hold="ON").version_id
    large = {"bucket": bucket, "key": "large", "body": LARGE, "object_worm_legal_hold": "ON"}
    if run.target == "oss":
        client.call("put_object", "PutObjectRequest", **large)
    else:  # S3 requires a digest in the head, which this SDK does not send.
        expect_error(501, client.call, "put_object", "PutObjectRequest", **large)
        large["content_md5"] = base64.b64encode(hashlib.md5(LARGE).digest()).decode()
        client.call("put_object", "PutObjectRequest", **large)
    expect_error(locked, client.call, "delete_object", "DeleteObjectRequest", bucket=bucket, key="held", version_id=held)
    client.call("put_object_legal_hold", "PutObjectLegalHoldRequest", bucket=bucket, key="held", legal_hold=v2.LegalHold(status="OFF"))
    assert client.call("get_object_legal_hold", "GetObjectLegalHoldRequest", bucket=bucket, key="held").legal_hold.status == "OFF"
    client.call("delete_object", "DeleteObjectRequest", bucket=bucket, key="held", version_id=held)


def signed_urls(client, bucket, run):
    """Presigned URLs for every step of a multipart upload, and for HEAD, GET, copy and delete."""
    def fetch(url, method, body=None, headers=None):
        return fetch_signed(run.port, url, method, body, headers)

    if not hasattr(client, "url"):
        raise SkipTest("the driver of this client has no such call")
    s3 = isinstance(client, S3)
    source = {"s3": f"/{bucket}/made", "jdcloud": f"/{bucket}/made", "oss": f"/{bucket}/made",
              "cos": f"{bucket}.cos.ap-guangzhou.myqcloud.com/made"}[client.dialect]

    def url(method, key, **params):
        if not s3:
            return client.url(method, bucket, key, **params)
        name, more = {
            ("POST", "uploads"): ("create_multipart_upload", {}), ("PUT", "partNumber"): ("upload_part", {"PartNumber": 1}),
            ("POST", "uploadId"): ("complete_multipart_upload", {}), ("HEAD", ""): ("head_object", {}), ("GET", ""): ("get_object", {}),
            ("DELETE", ""): ("delete_object", {}), ("PUT", ""): ("copy_object", {"CopySource": source[1:]}),
        }[(method, next(iter(params), ""))]
        more = {**more, **({"UploadId": params["uploadId"]} if "uploadId" in params else {})}
        return client.url(name, Bucket=bucket, Key=key, **more)

    result = fetch(url("POST", "made", uploads=""), "POST").decode()
    upload = result.partition("<UploadId>")[2].partition("<")[0]
    assert upload, result
    body = b"p" * PART
    fetch(url("PUT", "made", partNumber="1", uploadId=upload), "PUT", body)
    part = client.list_parts(bucket, "made", upload)[0]
    parts = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part[1]}</ETag></Part></CompleteMultipartUpload>"
    fetch(url("POST", "made", uploadId=upload), "POST", parts.encode())
    fetch(url("HEAD", "made"), "HEAD")
    assert fetch(url("GET", "made"), "GET") == body
    if s3:  # The header is signed with the URL.
        fetch(url("PUT", "copied"), "PUT", b"", {"x-amz-copy-source": source[1:]})
        assert client.get(bucket, "copied")["body"] == body
    if client.dialect == "oss":
        header = {"x-oss-copy-source": source}
        fetch(client.at(bucket).sign_url("PUT", "copied", 60, headers=header, slash_safe=True), "PUT", b"", header)
        assert client.get(bucket, "copied")["body"] == body
    if client.dialect == "cos":
        header = {"x-cos-copy-source": source}
        # The SDK changes its argument.
        copying = client.sdk.get_presigned_url(Bucket=bucket, Key="copied", Method="PUT", Expired=60, Headers=dict(header))
        fetch(copying, "PUT", b"", header)
        assert client.get(bucket, "copied")["body"] == body
    gone = url("DELETE", "made")
    expect_error(403, fetch, gone, "GET")
    fetch(gone, "DELETE")
    expect_error(404, fetch, url("GET", "made"), "GET")


ALL = [versions, archives, redirects, attributes, infos, locks, signed_urls]
CALLERS = [S3, Jd, Cos, CosNode, Oss, AliOss]


def one(client, bucket, task, run):
    """Returns `passed`, `rejected` if the target does not have the operation, or `-` if the SDK or the server does not have it."""
    if (run.target, task.__name__) in IDLE:
        return "-"
    client.create_bucket(bucket)
    lacking = LACKS.get((run.target, task.__name__))
    try:
        task(client, bucket, run)
    except SkipTest:
        return "-"
    except CallError as error:
        if lacking and error.code == "NotImplemented":
            return "rejected"
        raise
    assert not lacking, f"the call succeeded, although {lacking}"
    return "passed"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/debug/blobfish")
    parser.add_argument("--targets", default="all")
    parser.add_argument("--only", default="all", help="names of scenarios, separated by commas")
    options = parser.parse_args()
    targets = parse_names(parser, "target", options.targets, TARGETS)
    names = parse_names(parser, "task", options.only, [task.__name__ for task in ALL])
    tasks, results = [task for task in ALL if task.__name__ in names], {}
    for target in targets:
        with servers.Servers() as running:
            front, _ = running.front(options.binary, target)
            key, secret = servers.caller_key(target)
            for make in CALLERS:
                run = Run(make, target, front.port, key, secret, long=False)
                client = make(front.port, key, secret)
                for task in tasks:
                    try:
                        result = one(client, f"r{uuid.uuid4().hex[:10]}-1250000000", task, run)
                    except Exception as error:
                        result = "FAILED"
                        place = [row for row in traceback.extract_tb(error.__traceback__) if row.filename == __file__][-1]
                        print(f"{make.name} -> {target}: {task.__name__}: {type(error).__name__}: {str(error)[:500]} "
                              f"(line {place.lineno}: {place.line})", flush=True)
                    results[(make.name, target, task.__name__)] = result
    for make in CALLERS:
        print(f"\n{'from ' + make.name:<16}" + "".join(f"{target:>11}" for target in targets))
        for name in names:
            print(f"{name:<16}" + "".join(f"{results[(make.name, target, name)]:>11}" for target in targets))
    counted = [result for result in results.values() if result != "-"]
    print(f"{len(counted) - counted.count('FAILED')} passed, {counted.count('FAILED')} failed")
    sys.exit(1 if "FAILED" in counted else 0)


if __name__ == "__main__":
    main()
