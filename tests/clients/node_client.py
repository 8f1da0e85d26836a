"""The Node SDKs, each in its own process, with one JSON line per call and per result: see node/driver.js."""

import base64
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

from api import CallError, canned_acl

_DRIVER = Path(__file__).resolve().parent / "node" / "driver.js"


class NodeClient:
    mode = dialect = name = ""

    def __init__(self, port, key, secret, **more):
        self.child = subprocess.Popen(
            [shutil.which("node"), str(_DRIVER), self.mode, str(port), key, secret],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "NODE_NO_WARNINGS": "1"})
        self.lock = threading.Lock()

    def __del__(self):
        self.close()

    def close(self):
        child = getattr(self, "child", None)
        if child is None:
            return
        if child.poll() is None:
            child.stdin.close()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        child.stdout.close()

    def call(self, op, **arguments):
        with self.lock:
            self.child.stdin.write(json.dumps({"op": op, "args": arguments}) + "\n")
            self.child.stdin.flush()
            line = self.child.stdout.readline()
        if not line:
            raise CallError(0, "DriverEnded")
        response = json.loads(line)
        if "error" in response:
            error = response["error"]
            raise CallError(error.get("status"), error.get("code", ""), error.get("message", ""))
        return response["ok"]

    def create_bucket(self, bucket):
        self.call("create_bucket", bucket=bucket)

    def head_bucket(self, bucket):
        self.call("head_bucket", bucket=bucket)

    def delete_bucket(self, bucket):
        self.call("delete_bucket", bucket=bucket)

    def put(self, bucket, key, body, content_type=None, metadata=None, storage_class=None, tags=None):
        return self.call("put", bucket=bucket, key=key, body=base64.b64encode(body).decode(), content_type=content_type,
                         metadata=metadata, storage_class=storage_class, tags=tags)

    def head(self, bucket, key):
        return self.call("head", bucket=bucket, key=key)

    def get(self, bucket, key, range=None, if_match=None, if_none_match=None, content_type=None):
        result = self.call("get", bucket=bucket, key=key, range=range, if_match=if_match, if_none_match=if_none_match,
                           content_type=content_type)
        return {**result, "body": base64.b64decode(result["body"])}

    def read_as(self, bucket, key, words):
        """Returns the headers of a GET with parameters response-*."""
        return self.call("read_as", bucket=bucket, key=key, words=words)

    def presigned(self, method, bucket, key):
        return self.call("presigned", method=method, bucket=bucket, key=key)

    def delete(self, bucket, key):
        self.call("delete", bucket=bucket, key=key)

    def list(self, bucket, prefix=""):
        return self.call("list", bucket=bucket, prefix=prefix)

    def listing(self, bucket, prefix="", delimiter=""):
        return tuple(self.call("listing", bucket=bucket, prefix=prefix, delimiter=delimiter))

    def list_sizes_and_etags(self, bucket):
        return {key: tuple(row) for key, row in self.call("list_sizes_and_etags", bucket=bucket).items()}

    def upload_file(self, bucket, key, path):
        self.call("upload_file", bucket=bucket, key=key, path=path)

    def download_file(self, bucket, key, path):
        return self.call("download_file", bucket=bucket, key=key, path=path)

    def delete_many(self, bucket, keys):
        return self.call("delete_many", bucket=bucket, keys=keys)

    def put_tags(self, bucket, key, tags):
        self.call("put_tags", bucket=bucket, key=key, tags=tags)

    def get_tags(self, bucket, key):
        return self.call("get_tags", bucket=bucket, key=key)

    def delete_tags(self, bucket, key):
        self.call("delete_tags", bucket=bucket, key=key)

    def put_acl(self, bucket, key, acl):
        self.call("put_acl", bucket=bucket, key=key, acl=acl)

    def get_acl(self, bucket, key):
        return self.call("get_acl", bucket=bucket, key=key)

    def list_uploads(self, bucket, prefix=""):
        return [tuple(row) for row in self.call("list_uploads", bucket=bucket, prefix=prefix)]

    def copy(self, source, source_key, bucket, key, directive=None, metadata=None, content_type=None, conditions=None,
             storage_class=None, tags=None):
        return self.call("copy", source=source, source_key=source_key, bucket=bucket, key=key, directive=directive,
                         metadata=metadata, content_type=content_type, conditions=conditions or {},
                         storage_class=storage_class, tags=tags)

    def create_multipart(self, bucket, key, content_type=None, metadata=None):
        return self.call("create_multipart", bucket=bucket, key=key, content_type=content_type, metadata=metadata)

    def upload_part(self, bucket, key, upload, number, body):
        return self.call("upload_part", bucket=bucket, key=key, upload=upload, number=number,
                         body=base64.b64encode(body).decode())

    def upload_part_copy(self, source, source_key, bucket, key, upload, number, span=None, conditions=None):
        return self.call("upload_part_copy", source=source, source_key=source_key, bucket=bucket, key=key, upload=upload,
                         number=number, span=span, conditions=conditions or {})

    def list_parts(self, bucket, key, upload):
        return [tuple(row) for row in self.call("list_parts", bucket=bucket, key=key, upload=upload)]

    def complete(self, bucket, key, upload, parts):
        self.call("complete", bucket=bucket, key=key, upload=upload, parts=parts)

    def abort(self, bucket, key, upload):
        self.call("abort", bucket=bucket, key=key, upload=upload)


class CosNode(NodeClient):
    mode, dialect, name = "cos", "cos", "cos-node"

    def upload_slices(self, bucket, key, path):
        """Uploads a file with the SDK's other call for large files."""
        self.call("upload_slices", bucket=bucket, key=key, path=path)


class AwsJs(NodeClient):
    mode, dialect, name = "s3", "s3", "aws-js"

    def get_acl(self, bucket, key):
        return canned_acl([tuple(row) for row in super().get_acl(bucket, key)])


class AliOssV1(NodeClient):
    mode, dialect, name = "oss-v1", "oss", "ali-oss-v1"

    def download_file(self, bucket, key, path):
        return False  # It has no such call.


class AliOssV4(AliOssV1):
    mode, name = "oss-v4", "ali-oss-v4"

    def presigned_v4(self, method, bucket, key):
        return self.call("presigned_v4", method=method, bucket=bucket, key=key)
