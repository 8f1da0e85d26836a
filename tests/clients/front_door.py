"""Requests never address another bucket than the intended one, and rejected uploads never change an object. The vendors' own
SDKs use the vendors' hosts, through the SDKs' proxy setting. The last line has the counts."""

import base64
import contextlib
import hashlib
import socket
import time
import zlib

import boto3
import botocore.auth
import requests
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from qcloud_cos import CosConfig, CosS3Client
from qcloud_cos.cos_exception import CosClientError, CosServiceError

import servers
from servers import DEMO_KEY, DEMO_SECRET, KEY, SECRET

MEANT, VICTIM, OTHER = "films-1250000000", "victim-1250000000", "invoices-1250000000"
OLD, NEW = b"old content", b"new content"
ENDPOINTS = {
    "cos": ("cos.ap-guangzhou.myqcloud.com", "ap-guangzhou"),
    "cos, internal": ("cos-internal.ap-guangzhou.tencentcos.cn", "ap-guangzhou"),
    "cos, accelerated": ("cos.accelerate.myqcloud.com", "ap-guangzhou"),
    "oss": ("oss-cn-hangzhou.aliyuncs.com", "cn-hangzhou"),
    "oss, internal": ("oss-cn-hangzhou-internal.aliyuncs.com", "cn-hangzhou"),
    "oss, S3": ("s3.oss-cn-hangzhou.aliyuncs.com", "cn-hangzhou"),
    "aws": ("s3.us-west-2.amazonaws.com", "us-west-2"),
    "jdcloud": ("s3.cn-north-1.jdcloud-oss.com", "cn-north-1"),
}


def s3_at(port, endpoint, region, style="virtual", key=(DEMO_KEY, DEMO_SECRET), **more):
    """Creates a boto3 client for an endpoint, through the proxy setting or directly."""
    proxies = {} if endpoint.startswith("127.") else {"http": f"http://127.0.0.1:{port}"}
    return boto3.client("s3", endpoint_url=f"http://{endpoint}", region_name=region, aws_access_key_id=key[0],
                        aws_secret_access_key=key[1],
                        config=Config(s3={"addressing_style": style}, retries={"max_attempts": 1}, proxies=proxies, **more))


class Buckets:
    """The intended bucket, and other buckets that its keys would name if they were parsed as paths."""

    def __init__(self, port):
        self.direct = s3_at(port, f"127.0.0.1:{port}", "us-east-1", "path")
        for bucket in (MEANT, VICTIM, OTHER):
            self.direct.create_bucket(Bucket=bucket)
        self.direct.put_object(Bucket=OTHER, Key="2026.pdf", Body=b"theirs")
        self.refill()

    def refill(self):
        for key in (VICTIM, f"{OTHER}/2026.pdf"):
            self.direct.put_object(Bucket=MEANT, Key=key, Body=b"mine")

    def check_others(self, doing):
        names = {bucket["Name"] for bucket in self.direct.list_buckets()["Buckets"]}
        assert names == {MEANT, VICTIM, OTHER}, f"{doing}: the buckets are {names}"
        keys = [row["Key"] for row in self.direct.list_objects_v2(Bucket=OTHER).get("Contents", [])]
        assert keys == ["2026.pdf"], f"{doing}: the other bucket has {keys}"
        assert self.read(OTHER, "2026.pdf") == b"theirs", f"{doing}: the other bucket's object changed"

    def read(self, bucket, key):
        try:
            return self.direct.get_object(Bucket=bucket, Key=key)["Body"].read()
        except ClientError:
            return None


def sdks_at_the_vendors_hosts(binary, running, options):
    """Every write of boto3 at every vendor's host reaches the intended bucket, and no other."""
    port = running.demo(binary, "--memory").port
    buckets = Buckets(port)
    deep, unborn = f"{OTHER}/2026.pdf", "unborn-1250000000"
    for name, (endpoint, region) in ENDPOINTS.items():
        for signature in ("s3v4", "s3"):
            client = s3_at(port, endpoint, region, signature_version=signature)
            at = f"{name}, {signature}"
            steps = [
                ("empty put", lambda: client.put_object(Bucket=MEANT, Key=unborn, Body=b""), unborn, b""),
                ("put", lambda: client.put_object(Bucket=MEANT, Key=deep, Body=b"new"), deep, b"new"),
                ("copy", lambda: client.copy_object(Bucket=MEANT, Key=f"{OTHER}/copy", CopySource=f"{MEANT}/{VICTIM}"),
                 f"{OTHER}/copy", b"mine"),
                ("multipart", lambda: multipart(client, f"{OTHER}/large"), f"{OTHER}/large", b"part"),
                ("delete", lambda: client.delete_object(Bucket=MEANT, Key=VICTIM), VICTIM, None),
                ("delete below", lambda: client.delete_object(Bucket=MEANT, Key=deep), deep, None),
            ]
            for doing, call, key, content in steps:
                call()
                buckets.check_others(f"{at}: {doing}")
                assert buckets.read(MEANT, key) == content, f"{at}: {doing} had no effect on {key}"
            assert client.list_objects(Bucket=MEANT)["Name"] == MEANT
            client.head_bucket(Bucket=MEANT)
            for key in (unborn, f"{OTHER}/copy", f"{OTHER}/large"):
                buckets.direct.delete_object(Bucket=MEANT, Key=key)
            buckets.refill()


def multipart(client, key):
    upload = client.create_multipart_upload(Bucket=MEANT, Key=key)["UploadId"]
    part = client.upload_part(Bucket=MEANT, Key=key, UploadId=upload, PartNumber=1, Body=b"part")
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    client.complete_multipart_upload(Bucket=MEANT, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})


def forbidden_path_style(binary, running, options):
    """The hosts of COS and OSS reject path-style requests of S3 clients; those of S3 and JD Cloud accept them."""
    port = running.demo(binary, "--memory").port
    buckets = Buckets(port)
    for name, code in (("cos", "PathStyleDomainForbidden"), ("oss", "SecondLevelDomainForbidden")):
        client = s3_at(port, *ENDPOINTS[name], style="path")
        for call in (lambda: client.get_object(Bucket=MEANT, Key=VICTIM), lambda: client.delete_bucket(Bucket=VICTIM),
                     lambda: client.put_object(Bucket=MEANT, Key="k", Body=b"")):
            with expect_error(403, code):
                call()
        buckets.check_others(name)
    for name in ("aws", "jdcloud"):
        client = s3_at(port, *ENDPOINTS[name], style="path")
        assert client.get_object(Bucket=MEANT, Key=VICTIM)["Body"].read() == b"mine", name


@contextlib.contextmanager
def expect_error(status, code):
    try:
        yield
    except ClientError as error:
        found = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        assert found == (status, code), found
    else:
        raise AssertionError(f"not rejected, wanted {status} {code}")


def unknown_hosts(binary, running, options):
    """A COS SDK with an IP address or an unknown name as its Domain, and S3 at an unknown host, are rejected with the host's name."""
    port = running.demo(binary, "--memory").port
    buckets = Buckets(port)
    for domain in (f"127.0.0.1:{port}", f"localhost:{port}", "cos.example.org", "b.cos-website.ap-guangzhou.myqcloud.com"):
        client = CosS3Client(CosConfig(Region="ap-guangzhou", Scheme="http", SecretId=DEMO_KEY, SecretKey=DEMO_SECRET,
                                       Domain=domain, Proxies={"http": f"http://127.0.0.1:{port}"}), retry=0)
        for call in (lambda: client.delete_object(Bucket=MEANT, Key=VICTIM), lambda: client.put_object(
                Bucket=MEANT, Key="unborn-1250000000", Body=b""), lambda: client.delete_object(Bucket=MEANT, Key=f"{OTHER}/2026.pdf")):
            try:
                call()
            except (CosServiceError, CosClientError) as error:
                assert not isinstance(error, CosServiceError) or error.get_status_code() == 400, error
            else:
                raise AssertionError(f"{domain}: the call succeeded")
            buckets.check_others(domain)
    client = s3_at(port, "storage.example.org", "us-east-1")
    with expect_error(400, "InvalidRequest"):
        client.delete_object(Bucket=MEANT, Key=VICTIM)
    response = requests.get(f"http://127.0.0.1:{port}/{MEANT}/{VICTIM}", headers={"Host": "storage.example.org"})
    assert response.status_code == 400 and "storage.example.org" in response.text and "[hosts] base" in response.text, response.text
    buckets.check_others("S3 at an unknown name")


def behind_a_reverse_proxy(binary, running, options):
    """X-Forwarded-Host is used only from a trusted proxy. The default port of the scheme may be omitted."""
    weed = running.seaweedfs()
    for trusted in (True, False):
        lines = 'trusted_proxies = ["127.0.0.0/8"]\n' if trusted else ""
        config = servers.configuration([servers.one_target("seaweedfs", weed.port)])
        config = config.replace("[listen]\n", "[listen]\n" + lines) + '\n[hosts]\nbase = ["files.example.com"]\n'
        port = running.proxy(binary, config).port
        if trusted:
            s3_at(port, f"127.0.0.1:{port}", "us-east-1", "path", (KEY, SECRET)).create_bucket(Bucket=MEANT)
        for signed, sent, forwarded, good in [
            (f"{MEANT}.files.example.com", f"127.0.0.1:{port}", f"{MEANT}.files.example.com", trusted),
            (f"{MEANT}.files.example.com", f"127.0.0.1:{port}", "elsewhere.files.example.com", False),
            (f"{MEANT}.files.example.com", f"{MEANT}.files.example.com:80", None, True),
            (f"{MEANT}.files.example.com:80", f"{MEANT}.files.example.com", None, True),
            (f"{MEANT}.files.example.com:8080", f"{MEANT}.files.example.com", None, False),
        ]:
            request = AWSRequest("PUT", f"http://{signed}/k", data=b"x")
            botocore.auth.S3SigV4Auth(Credentials(KEY, SECRET), "s3", "us-east-1").add_auth(request)
            headers = {**dict(request.headers), "Host": sent}
            if forwarded:
                headers["X-Forwarded-Host"] = forwarded
            response = requests.put(f"http://127.0.0.1:{port}/k", data=b"x", headers=headers)
            # From an untrusted proxy the bucket is in the path, and the signature is for another host.
            assert (response.status_code == 200) == good, (trusted, signed, sent, forwarded, response.status_code, response.text)


def raw(port, head, body=b"", hang_up=False):
    """Sends bytes and returns the status; with `hang_up` it closes the connection instead."""
    connection = socket.create_connection(("127.0.0.1", port), 20)
    connection.sendall(head + body)
    if hang_up:
        time.sleep(0.1)
        connection.close()
        return None
    status = connection.recv(65536).split(b" ", 2)[1]
    connection.close()
    return int(status)


def signed_put(port, bucket, key, payload, headers, access=(DEMO_KEY, DEMO_SECRET)):
    """Returns the head of a PUT, with a signature for this payload hash and these headers."""
    request = AWSRequest("PUT", f"http://127.0.0.1:{port}/{bucket}/{key}")
    for name, value in headers.items():
        request.headers[name] = value
    request.headers["X-Amz-Content-SHA256"] = payload
    signer = botocore.auth.SigV4Auth(Credentials(*access), "s3", "us-east-1")
    signer.payload = lambda _: payload
    signer.add_auth(request)
    lines = {"Host": f"127.0.0.1:{port}", **dict(request.headers)}
    return f"PUT /{bucket}/{key} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())


def empty_uploads(binary, running, options):
    """An empty upload that is contradictory or aborted does not change the object. 20 attempts each."""
    chunked = {"x-amz-decoded-content-length": "0", "content-encoding": "aws-chunked"}
    sha256, empty = hashlib.sha256(NEW).hexdigest(), hashlib.sha256(b"").hexdigest()
    crc32 = base64.b64encode(zlib.crc32(NEW).to_bytes(4, "big")).decode()
    md5 = base64.b64encode(hashlib.md5(NEW).digest()).decode()
    none, framed = "Content-Length: 0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"
    signed_end = b"0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n"
    cases = [
        ("another payload hash", sha256, {}, none, b"", False),
        ("another CRC32", empty, {"x-amz-checksum-crc32": crc32}, none, b"", False),
        ("another MD5", empty, {"content-md5": md5}, none, b"", False),
        ("no length, another payload hash", sha256, {}, framed, b"0\r\n\r\n", False),
        ("a wrong chunk signature", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", chunked, f"Content-Length: {len(signed_end)}\r\n\r\n", signed_end, False),
        ("a wrong trailer", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", {**chunked, "x-amz-trailer": "x-amz-checksum-crc32"}, framed,
         chunk(b"0\r\nx-amz-checksum-crc32:AAAAAQ==\r\n\r\n"), False),
        ("client disconnects", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", chunked, framed, b"", True),
        ("client disconnects before the trailer", "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
         {**chunked, "x-amz-trailer": "x-amz-checksum-crc32"}, framed, b"3\r\n0\r\n\r\n", True),
    ]
    for target in ("demo", "seaweedfs", "cos", "oss"):
        front, _ = running.front(binary, target)
        access = servers.caller_key(target)
        client = s3_at(front.port, f"127.0.0.1:{front.port}", "us-east-1", "path", access)
        client.create_bucket(Bucket=MEANT)
        for case, payload, headers, end, body, hang_up in cases:
            for attempt in range(20 if target == "seaweedfs" else 3):
                key = f"{case} {attempt}".replace(" ", "-").replace(",", "")
                client.put_object(Bucket=MEANT, Key=key, Body=OLD)
                head = signed_put(front.port, MEANT, key, payload, headers, access) + end
                status = raw(front.port, head.encode(), body, hang_up)
                assert status in ((None,) if hang_up else (400, 403)), f"{target}: {case}: {status}"
                if hang_up:
                    time.sleep(0.1)
                found = client.get_object(Bucket=MEANT, Key=key)["Body"].read()
                assert found == OLD, f"{target}: {case}: the object is now {found}"
        head = signed_put(front.port, MEANT, "empty", empty, {}, access) + none
        assert raw(front.port, head.encode()) == 200, f"{target}: an intended empty object"
        assert client.head_object(Bucket=MEANT, Key="empty")["ContentLength"] == 0


def chunk(data):
    return f"{len(data):x}\r\n".encode() + data + b"\r\n0\r\n\r\n"


if __name__ == "__main__":
    servers.main(__doc__, [sdks_at_the_vendors_hosts, forbidden_path_style, unknown_hosts,
                           behind_a_reverse_proxy, empty_uploads])
