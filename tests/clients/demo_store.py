"""The demo store with the vendors' own SDKs: deletion of many versions, repeated completion, small parts, append, damaged
files and full disks. The last line has the counts."""

import concurrent.futures
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import boto3
import oss2
from botocore.config import Config
from botocore.exceptions import ClientError, IncompleteReadError, ResponseStreamingError
from qcloud_cos import CosConfig, CosS3Client
from qcloud_cos.cos_exception import CosServiceError
from urllib3.exceptions import ProtocolError

import servers
from servers import DEMO_KEY, DEMO_SECRET

BUCKET = "films-1250000000"
MIB = 1024 * 1024
OPTIONS = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, read_timeout=30)


def s3(port, make=boto3.client):
    return make("s3", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id=DEMO_KEY, aws_secret_access_key=DEMO_SECRET,
                region_name="us-east-1", config=OPTIONS)


def cos(port):
    return CosS3Client(CosConfig(Region="ap-guangzhou", Endpoint=f"cos.ap-guangzhou.localhost:{port}", Scheme="http",
                                 SecretId=DEMO_KEY, SecretKey=DEMO_SECRET), retry=0)


def oss(port, bucket=BUCKET):
    return oss2.Bucket(oss2.Auth(DEMO_KEY, DEMO_SECRET), f"http://oss-cn-hangzhou.localhost:{port}", bucket)


def expect_error(call, *arguments, **named):
    """Returns status and code of a call that must fail."""
    try:
        result = call(*arguments, **named)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
    except CosServiceError as error:
        return error.get_status_code(), error.get_error_code()
    except oss2.exceptions.ServerError as error:
        return error.status, error.code
    raise AssertionError(f"the call succeeded: {result}")


def demo(binary, running, *more):
    front = running.demo(binary, *more)
    s3(front.port).create_bucket(Bucket=BUCKET)
    return front


def paged_deletion(binary, running, options):
    """boto3's resource deletes more than a page of versions. COS and OSS do not delete a bucket with open uploads, S3 does."""
    port = demo(binary, running, "--memory").port
    client = s3(port)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: client.put_object(Bucket=BUCKET, Key=f"{n:04}", Body=b""), range(1003)))
    s3(port, boto3.resource).Bucket(BUCKET).object_versions.delete()
    assert client.list_object_versions(Bucket=BUCKET).get("Versions") is None
    client.create_multipart_upload(Bucket=BUCKET, Key="begun")
    assert expect_error(cos(port).delete_bucket, BUCKET) == (409, "BucketNotEmpty")
    assert expect_error(oss(port).delete_bucket) == (409, "BucketNotEmpty")
    client.delete_bucket(Bucket=BUCKET)
    client.create_bucket(Bucket=BUCKET)
    assert client.list_multipart_uploads(Bucket=BUCKET).get("Uploads") is None
    cos(port).delete_bucket(BUCKET)


def repeated_completion(binary, running, options):
    """A repeated CompleteMultipartUpload returns the same response."""
    port = demo(binary, running, "--memory").port
    client = s3(port)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    upload = client.create_multipart_upload(Bucket=BUCKET, Key="k")["UploadId"]
    part = client.upload_part(Bucket=BUCKET, Key="k", UploadId=upload, PartNumber=1, Body=b"x")

    def complete(etag):
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        result = client.complete_multipart_upload(Bucket=BUCKET, Key="k", UploadId=upload, MultipartUpload=parts)
        return result["ETag"], result["VersionId"]

    first = complete(part["ETag"])
    assert complete(part["ETag"]) == first
    assert expect_error(complete, '"00000000000000000000000000000000"') == (404, "NoSuchUpload")
    assert len(client.list_object_versions(Bucket=BUCKET)["Versions"]) == 1


def small_parts(binary, running, options):
    """Each vendor's minimum part size applies: 5 MiB, 1 MiB, 100 KiB."""
    port = demo(binary, running, "--memory").port
    body = os.urandom(3 * MIB + 17)
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        cos(port).upload_file(Bucket=BUCKET, Key="cos", LocalFilePath=file.name, PartSize=1)
        oss2.resumable_upload(oss(port), "oss", file.name, multipart_threshold=MIB, part_size=100 * 1024)
    for key in ("cos", "oss"):
        assert s3(port).get_object(Bucket=BUCKET, Key=key)["Body"].read() == body, key
    client = s3(port)
    upload = client.create_multipart_upload(Bucket=BUCKET, Key="s3")["UploadId"]
    parts = [{"PartNumber": n, "ETag": client.upload_part(Bucket=BUCKET, Key="s3", UploadId=upload, PartNumber=n, Body=b"p" * MIB)["ETag"]}
             for n in (1, 2)]
    assert expect_error(client.complete_multipart_upload, Bucket=BUCKET, Key="s3", UploadId=upload,
                        MultipartUpload={"Parts": parts}) == (400, "EntityTooSmall")
    upload = cos(port).create_multipart_upload(Bucket=BUCKET, Key="small")["UploadId"]
    parts = [{"PartNumber": n, "ETag": cos(port).upload_part(Bucket=BUCKET, Key="small", UploadId=upload, PartNumber=n, Body=b"p" * 1000)["ETag"]}
             for n in (1, 2)]
    result = expect_error(cos(port).complete_multipart_upload, Bucket=BUCKET, Key="small", UploadId=upload, MultipartUpload={"Part": parts})
    assert result == (400, "EntityTooSmall"), result
    upload = oss(port).init_multipart_upload("small").upload_id
    parts = [oss2.models.PartInfo(n, oss(port).upload_part("small", upload, n, b"p" * 1000).etag) for n in (1, 2)]
    assert expect_error(oss(port).complete_multipart_upload, "small", upload, parts) == (400, "EntityTooSmall")


def appends(binary, running, options):
    """The SDKs verify positions and the CRC-64 of the object."""
    port = demo(binary, running, "--memory").port
    bucket = oss(port)
    one = bucket.append_object("log", 0, b"one", headers={"x-oss-meta-a": "b"})
    two = bucket.append_object("log", one.next_position, b"two", init_crc=one.crc)
    head = bucket.head_object("log")
    assert (two.next_position, head.headers["x-oss-object-type"], head.headers["x-oss-meta-a"]) == (6, "Appendable", "b")
    assert bucket.get_object("log").read() == b"onetwo"
    try:
        bucket.append_object("log", 3, b"again")
        raise AssertionError("a wrong position was accepted")
    except oss2.exceptions.PositionNotEqualToLength as error:
        assert (error.status, error.next_position) == (409, 6)
    bucket.put_object("plain", b"x")
    assert expect_error(bucket.append_object, "plain", 1, b"y") == (409, "ObjectNotAppendable")
    result = expect_error(cos(port).append_object, Bucket=BUCKET, Key="plain", Position=1, Data=b"y")
    assert result == (409, "ObjectNotAppendable")
    result = cos(port).append_object(Bucket=BUCKET, Key="log", Position=6, Data=b"three")
    assert result["x-cos-next-append-position"] == "11"
    assert s3(port).get_object(Bucket=BUCKET, Key="log")["Body"].read() == b"onetwothree"


def policies(binary, running, options):
    """Bucket policies are rejected, because the demo does not enforce them; object ownership is accepted."""
    client = s3(demo(binary, running, "--memory").port)
    policy = f'{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::{BUCKET}/*"}}]}}'
    assert expect_error(client.put_bucket_policy, Bucket=BUCKET, Policy=policy) == (501, "NotImplemented")
    for call in (client.get_bucket_policy, client.get_bucket_policy_status):
        assert expect_error(call, Bucket=BUCKET) == (404, "NoSuchBucketPolicy")
    assert expect_error(client.get_bucket_ownership_controls, Bucket=BUCKET) == (404, "OwnershipControlsNotFoundError")
    rules = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    client.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls=rules)
    assert client.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"] == rules


def damaged_files(binary, running, options):
    """A damaged file causes a 500, or an aborted connection after the head was sent. The log names the file."""
    folder = tempfile.mkdtemp(prefix="blobfish-store-")
    try:
        front = demo(binary, running, "--data", folder)
        client = s3(front.port)
        for key, length, at in (("small", 1000, 7), ("large", 20 * MIB, 20 * MIB - 1)):
            before = set(Path(folder, "data").glob("*/*"))
            body = os.urandom(length)
            client.put_object(Bucket=BUCKET, Key=key, Body=body)
            [file] = set(Path(folder, "data").glob("*/*")) - before
            assert client.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
            damaged = bytearray(file.read_bytes())
            damaged[at] ^= 1
            file.write_bytes(damaged)
            try:
                read = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
                raise AssertionError(f"{key}: {len(read)} bytes were served, {hashlib.md5(read).hexdigest()}")
            except ClientError as error:
                assert (key, error.response["ResponseMetadata"]["HTTPStatusCode"]) == ("small", 500), error
            except (IncompleteReadError, ResponseStreamingError, ProtocolError):
                assert key == "large"
            assert file.name in front.log.read_text(), f"{key}: the log does not name the file"
            assert client.head_object(Bucket=BUCKET, Key=key)["ContentLength"] == length
        front.stop()
    finally:
        shutil.rmtree(folder)


def full_disks(binary, running, options):
    """A full disk has its own error, which is logged. Objects stay readable, and writes succeed after a deletion."""
    folder = tempfile.mkdtemp(prefix="blobfish-small-")
    mount = ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=40m tmpfs "$1" && shift && exec "$@"', "sh", folder]
    try:
        if subprocess.run([*mount, "true"], capture_output=True).returncode:
            return
        home = tempfile.mkdtemp(prefix="blobfish-demo-")
        port, admin = servers.free_ports(2)
        command = [*mount, os.path.abspath(binary), "serve", "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}", "--data", folder]
        front = running.run_proxy([shutil.which(command[0]), *command[1:]], home, port, admin)
        client = s3(port)
        client.create_bucket(Bucket=BUCKET)
        result, stored = None, []
        for n in range(60):
            try:
                client.put_object(Bucket=BUCKET, Key=f"{n}", Body=b"x" * MIB)
                stored.append(f"{n}")
            except ClientError as error:
                result = error.response
                break
        assert result and result["ResponseMetadata"]["HTTPStatusCode"] == 507 and "full" in result["Error"]["Message"], result
        assert expect_error(cos(port).put_object, Bucket=BUCKET, Key="k", Body=b"x" * MIB)[0] == 507
        assert expect_error(oss(port).put_object, "k", b"x" * MIB)[0] == 507
        assert "the disk or the memory limit of the store is full" in front.log.read_text()
        for _ in range(20):
            assert expect_error(client.put_object, Bucket=BUCKET, Key="k", Body=b"x" * MIB)[0] == 507
        assert len(client.get_object(Bucket=BUCKET, Key=stored[0])["Body"].read()) == MIB, "objects are readable after twenty failed writes"
        client.delete_object(Bucket=BUCKET, Key=stored[1])
        client.delete_object(Bucket=BUCKET, Key=stored[2])
        client.put_object(Bucket=BUCKET, Key="k", Body=b"x" * MIB)
        front.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    servers.main(__doc__, [paged_deletion, repeated_completion, small_parts, appends, policies, damaged_files, full_disks])
