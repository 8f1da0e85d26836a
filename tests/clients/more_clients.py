"""Clients that are independent of the vendors' own SDKs: minio, and opendal in three dialects."""

import asyncio
import io
import re
from contextlib import contextmanager
from datetime import timedelta

import minio
import opendal
import urllib3
from minio.commonconfig import CopySource, Tags
from minio.deleteobjects import DeleteObject

import s3_clients
from api import CallError

PART = 5 * 1024 * 1024


class Minio:
    dialect, name = "s3", "minio"

    def __init__(self, port, key, secret, **more):
        pool = urllib3.PoolManager(retries=urllib3.Retry(0), timeout=60)
        self.sdk = minio.Minio(f"127.0.0.1:{port}", access_key=key, secret_key=secret, secure=False, region="us-east-1",
                               http_client=pool)

    @contextmanager
    def translate_errors(self):
        try:
            yield
        except minio.error.S3Error as error:
            raise CallError(error.response.status, error.code, str(error)) from error
        except minio.error.ServerError as error:
            raise CallError(error.status_code, "", str(error)) from error
        except minio.error.InvalidResponseError as error:
            raise CallError(error._code, "", str(error)) from error

    def call(self, name, *arguments, **more):
        with self.translate_errors():
            return getattr(self.sdk, name)(*arguments, **more)

    def create_bucket(self, bucket):
        self.call("make_bucket", bucket)

    def delete_bucket(self, bucket):
        self.call("remove_bucket", bucket)

    def put(self, bucket, key, body, content_type=None, metadata=None):
        return {"etag": self.call("put_object", bucket, key, io.BytesIO(body), len(body), metadata=metadata,
                                  content_type=content_type or "application/octet-stream").etag}

    def head(self, bucket, key):
        result = self.call("stat_object", bucket, key)
        metadata = {name.lower().removeprefix("x-amz-meta-"): value for name, value in result.metadata.items()
                    if name.lower().startswith("x-amz-meta-")}
        return {"etag": result.etag, "length": result.size, "content_type": result.content_type, "metadata": metadata}

    def get(self, bucket, key, range=None, if_match=None, if_none_match=None):
        headers = {name: value for name, value in (("Range", range), ("If-Match", if_match), ("If-None-Match", if_none_match)) if value}
        response = self.call("get_object", bucket, key, request_headers=headers or None)
        try:
            return {"body": response.read()}
        finally:
            response.close()
            response.release_conn()

    def delete(self, bucket, key):
        self.call("remove_object", bucket, key)

    def rows(self, bucket, **more):
        with self.translate_errors():
            return list(self.sdk.list_objects(bucket, **more))

    def listing(self, bucket, prefix="", delimiter=""):
        result = []
        for first in (False, True):
            rows = self.rows(bucket, prefix=prefix, recursive=not delimiter, use_api_v1=first)
            result.append(([row.object_name for row in rows if not row.is_dir], [row.object_name for row in rows if row.is_dir]))
        assert result[0] == result[1], "both versions of listings return the same keys"
        return result[0]

    def list_sizes_and_etags(self, bucket):
        return {row.object_name: (row.size, row.etag) for row in self.rows(bucket, recursive=True)}

    def upload_file(self, bucket, key, path):
        self.call("fput_object", bucket, key, path, part_size=PART)

    def download_file(self, bucket, key, path):
        self.call("fget_object", bucket, key, path)
        return True

    def delete_many(self, bucket, keys):
        with self.translate_errors():
            errors = list(self.sdk.remove_objects(bucket, [DeleteObject(key) for key in keys]))
        assert not errors, errors
        return list(keys)  # It requests a quiet result, which has errors only.

    def put_tags(self, bucket, key, tags):
        made = Tags.new_object_tags()
        made.update(tags)
        self.call("set_object_tags", bucket, key, made)

    def get_tags(self, bucket, key):
        return dict(self.call("get_object_tags", bucket, key) or {})

    def delete_tags(self, bucket, key):
        self.call("delete_object_tags", bucket, key)

    def presigned(self, method, bucket, key):
        name = {"GET": "presigned_get_object", "PUT": "presigned_put_object"}[method]
        return self.call(name, bucket, key, expires=timedelta(seconds=60))

    def copy(self, source, source_key, bucket, key):
        return {"etag": self.call("copy_object", bucket, key, CopySource(source, source_key)).etag}


class OpenDal:
    """opendal has object operations only: boto3 creates and deletes the bucket."""

    def __init__(self, port, key, secret, **more):
        self.port, self.key, self.secret = port, key, secret
        self.buckets = s3_clients.Boto3(port, key, secret)

    def prepare_bucket(self, bucket):
        self.buckets.create_bucket(bucket)

    @contextmanager
    def translate_errors(self):
        try:
            yield
        except Exception as error:  # Its exceptions have no common base class.
            if type(error).__module__ != "opendal.exceptions":
                raise
            text = str(error)
            found = re.search(r"status: (\d\d\d)", text)
            raise CallError(found.group(1) if found else 0, type(error).__name__, text[:600]) from error

    def call(self, bucket, name, *arguments, **more):
        with self.translate_errors():
            return getattr(self.at(bucket), name)(*arguments, **more)

    def put(self, bucket, key, body, content_type=None, metadata=None):
        self.call(bucket, "write", key, body, **{name: value for name, value in (
            ("content_type", content_type), ("user_metadata", metadata)) if value})
        return {"etag": None}

    def head(self, bucket, key):
        result = self.call(bucket, "stat", key)
        return {"etag": result.etag, "length": result.content_length, "content_type": result.content_type,
                "metadata": dict(result.user_metadata or {})}

    def get(self, bucket, key, range=None, if_match=None, if_none_match=None):
        more = {name: value for name, value in (("if_match", if_match), ("if_none_match", if_none_match)) if value}
        if range:
            first, last = map(int, range.removeprefix("bytes=").split("-"))
            more.update(offset=first, size=last - first + 1)
        return {"body": bytes(self.call(bucket, "read", key, **more))}

    def delete(self, bucket, key):
        self.call(bucket, "delete", key)

    def listing(self, bucket, prefix="", delimiter=""):
        with self.translate_errors():
            rows = [row.path for row in self.at(bucket).list(prefix or "/", recursive=not delimiter)]
        rows = [row for row in rows if row not in (prefix, "/")]
        return [row for row in rows if not row.endswith("/")], [row for row in rows if row.endswith("/")]

    def list_sizes_and_etags(self, bucket):
        rows = [row for row in self.listing(bucket)[0]]
        result = {row: self.head(bucket, row) for row in rows}
        return {row: (one["length"], one["etag"]) for row, one in result.items()}

    def upload_file(self, bucket, key, path):
        with open(path, "rb") as file:
            self.call(bucket, "write", key, file.read(), chunk=PART, concurrent=3)

    def download_file(self, bucket, key, path):
        body = self.call(bucket, "read", key, chunk=PART, concurrent=3)
        with open(path, "wb") as file:
            file.write(body)
        return True

    def presigned(self, method, bucket, key):
        async def sign():
            operator = self.at(bucket).to_async_operator()
            return await {"GET": operator.presign_read, "PUT": operator.presign_write}[method](key, 60)

        with self.translate_errors():
            signed = asyncio.run(sign())
        self.signed_headers = dict(signed.headers)
        return signed.url

    def delete_all(self, bucket):
        self.call(bucket, "remove_all", "/")


class OpenDalS3(OpenDal):
    dialect, name = "s3", "opendal-s3"

    def at(self, bucket):
        return opendal.Operator("s3", endpoint=f"http://127.0.0.1:{self.port}", region="us-east-1", bucket=bucket,
                                access_key_id=self.key, secret_access_key=self.secret, disable_config_load="true")

    def copy(self, source, source_key, bucket, key):
        assert source == bucket
        self.call(bucket, "copy", source_key, key)
        return {"etag": None}


class OpenDalOss(OpenDalS3):
    dialect, name = "oss", "opendal-oss"

    def at(self, bucket):
        return opendal.Operator("oss", endpoint=f"http://oss-cn-hangzhou.localhost:{self.port}", bucket=bucket,
                                access_key_id=self.key, access_key_secret=self.secret)


class OpenDalCos(OpenDalS3):
    dialect, name = "cos", "opendal-cos"

    def at(self, bucket):
        return opendal.Operator("cos", endpoint=f"http://cos.ap-guangzhou.localhost:{self.port}", bucket=bucket,
                                secret_id=self.key, secret_key=self.secret, disable_config_load="true")
