"""Requests as the vendors' SDKs sign and send them. Each SDK is called with a recorder as its endpoint; the recorded bytes
are what the load generator sends."""

import contextlib
import io
import re
import socket
import threading

import boto3
import oss2
from botocore.config import Config
from qcloud_cos import CosConfig, CosS3Client

DELETED = [f"d{number:04}" for number in range(1000)]
KEYS = [f"k{number}" for number in range(8)]
SMALL, LARGE = b"x" * 1024, b"x" * (64 << 20)
MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Recorder:
    """A server on loopback that records requests and responds 404 to all."""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.socket.getsockname()[1]
        self.seen, self.done = [], False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done = True
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
        self.thread.join(5)
        self.socket.close()

    def run(self):
        while not self.done:
            connection, _ = self.socket.accept()
            with connection, contextlib.suppress(OSError):
                self.read(connection)

    def read(self, connection):
        connection.settimeout(5)
        file = connection.makefile("rb")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = file.readline()
            if not line:
                return
            head += line
        if re.search(rb"\nexpect:", head, re.I):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = re.search(rb"\ncontent-length:\s*(\d+)", head, re.I)
        body = file.read(int(length[1])) if length else b""
        self.seen.append((head, body))
        connection.sendall(MISSING)

    def record(self, call):
        """Returns the first request that the call sends."""
        self.seen.clear()
        with contextlib.suppress(Exception):  # The response is no success for any SDK.
            call()
        return replayable(*self.seen[0])


def replayable(head, body):
    """The recorded request with a connection that stays open and without `Expect`, which a replay cannot wait for. No SDK
    signs these two headers."""
    lines = head[:-4].split(b"\r\n")
    lines = [line for line in lines if not line.lower().startswith((b"expect:", b"connection:"))]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class S3:
    """boto3 with its defaults and signature version 4, path style with an IP address."""

    region, host = "us-east-1", "http://127.0.0.1:{port}"
    style = "path"

    def __init__(self, port, key, secret):
        config = Config(retries={"total_max_attempts": 1}, signature_version="s3v4", s3={"addressing_style": self.style})
        self.sdk = boto3.client("s3", endpoint_url=self.host.format(port=port), region_name=self.region,
                                aws_access_key_id=key, aws_secret_access_key=secret, config=config)

    def get(self, bucket, key):
        self.sdk.get_object(Bucket=bucket, Key=key)

    def head(self, bucket, key):
        self.sdk.head_object(Bucket=bucket, Key=key)

    def put(self, bucket, key, body=SMALL):
        self.sdk.put_object(Bucket=bucket, Key=key, Body=body)

    def list(self, bucket, _):
        self.sdk.list_objects_v2(Bucket=bucket)

    def copy(self, bucket, key):
        self.sdk.copy_object(Bucket=bucket, Key="copy-" + key, CopySource={"Bucket": bucket, "Key": key})

    def delete(self, bucket, _):
        self.sdk.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in DELETED]})

    def get_large(self, bucket, _):
        self.get(bucket, "large")

    def put_large(self, bucket, _):
        self.put(bucket, "large-put", LARGE)

    def put_large_unsigned(self, bucket, _):
        """A presigned URL. Its signature does not cover the body."""
        return self.sdk.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "large-put"})


class JdCloud(S3):
    """boto3 with JD Cloud's region and virtual hosts."""

    region, host = "cn-north-1", "http://s3.cn-north-1.localhost:{port}"
    style = "virtual"


class Cos(S3):
    """cos-python-sdk-v5 with its defaults."""

    def __init__(self, port, key, secret):
        config = CosConfig(Region="ap-guangzhou", Scheme="http", SecretId=key, SecretKey=secret,
                           AutoSwitchDomainOnRetry=False, Endpoint=f"cos.ap-guangzhou.localhost:{port}")
        self.sdk = CosS3Client(config, retry=0)

    def put(self, bucket, key, body=SMALL):
        self.sdk.put_object(Bucket=bucket, Key=key, Body=body)

    def list(self, bucket, _):
        self.sdk.list_objects(Bucket=bucket)

    def copy(self, bucket, key):
        self.sdk.copy_object(Bucket=bucket, Key="copy-" + key,
                             CopySource={"Bucket": bucket, "Key": key, "Region": "ap-guangzhou"})

    def delete(self, bucket, _):
        self.sdk.delete_objects(Bucket=bucket, Delete={"Object": [{"Key": key} for key in DELETED]})


class Oss:
    """oss2 with signature version 4."""

    def __init__(self, port, key, secret):
        self.auth, self.endpoint = oss2.make_auth(key, secret, "v4"), f"http://oss-cn-hangzhou.localhost:{port}"

    def at(self, bucket):
        return oss2.Bucket(self.auth, self.endpoint, bucket, region="cn-hangzhou")

    def get(self, bucket, key):
        self.at(bucket).get_object(key)

    def head(self, bucket, key):
        self.at(bucket).head_object(key)

    def put(self, bucket, key, body=SMALL):
        self.at(bucket).put_object(key, body)

    def list(self, bucket, _):
        self.at(bucket).list_objects_v2(max_keys=1000)

    def copy(self, bucket, key):
        self.at(bucket).copy_object(bucket, key, "copy-" + key)

    def delete(self, bucket, _):
        self.at(bucket).batch_delete_objects(DELETED)

    def get_large(self, bucket, _):
        self.get(bucket, "large")

    def put_large(self, bucket, _):
        self.put(bucket, "large-put", io.BytesIO(LARGE))


SDKS = {"s3": S3, "jdcloud": JdCloud, "cos": Cos, "oss": Oss}


def record(dialect, operation, bucket, key, secret):
    """Returns signed requests of one operation, one for each key; operations on a bucket and large objects have one."""
    with Recorder() as recorder:
        sdk = SDKS[dialect](recorder.port, key, secret)
        call = getattr(sdk, operation)
        if operation == "put_large_unsigned":
            _, _, host, path = call(bucket, None).split("/", 3)
            head = f"PUT /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(LARGE)}\r\n\r\n"
            return [head.encode() + LARGE]
        names = KEYS if operation in ("get", "head", "put", "copy") else [""]
        return [recorder.record(lambda name=name: call(bucket, name)) for name in names]
