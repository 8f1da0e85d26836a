"""boto3 in common configurations: V4 and V2, path style with an IP address, and JD Cloud's hosts through a proxy setting."""

import base64
import hashlib
from contextlib import contextmanager

import boto3
import botocore
from botocore.config import Config

from api import CallError, canned_acl

_NAMES = {"if_match": "CopySourceIfMatch", "if_none_match": "CopySourceIfNoneMatch",
          "if_modified_since": "CopySourceIfModifiedSince", "if_unmodified_since": "CopySourceIfUnmodifiedSince"}


class Boto3:
    dialect = "s3"
    name = "boto3"

    def __init__(self, port, key, secret, read_timeout=60, **more):
        def sdk(**config):
            config = Config(retries={"total_max_attempts": 1, "mode": "standard"}, s3={"addressing_style": "path"},
                            read_timeout=read_timeout, **config)
            return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
                                aws_access_key_id=key, aws_secret_access_key=secret, config=config)

        self.sdk, self.fourth = sdk(**self.config()), sdk(signature_version="s3v4")

    def config(self):
        return {}

    @contextmanager
    def translate_errors(self):
        try:
            yield
        except botocore.exceptions.ClientError as error:
            result = error.response
            raise CallError(result["ResponseMetadata"]["HTTPStatusCode"], result["Error"]["Code"], str(error)) from error

    def call(self, name, **arguments):
        with self.translate_errors():
            return getattr(self.sdk, name)(**{k: v for k, v in arguments.items() if v is not None})

    def create_bucket(self, bucket):
        self.call("create_bucket", Bucket=bucket)

    def head_bucket(self, bucket):
        self.call("head_bucket", Bucket=bucket)

    def delete_bucket(self, bucket):
        self.call("delete_bucket", Bucket=bucket)

    def put(self, bucket, key, body, content_type=None, metadata=None, storage_class=None, tags=None):
        result = self.call("put_object", Bucket=bucket, Key=key, Body=body, ContentType=content_type, Metadata=metadata,
                           StorageClass=storage_class, Tagging=tags)
        return {"etag": result["ETag"]}

    def describe_object(self, response):
        return {"etag": response["ETag"], "length": response["ContentLength"], "content_type": response["ContentType"],
                "metadata": response["Metadata"], "storage_class": response.get("StorageClass", "STANDARD"),
                "last_modified": response["LastModified"].timestamp(), "tags": response.get("TagCount", 0)}

    def head(self, bucket, key):
        return self.describe_object(self.call("head_object", Bucket=bucket, Key=key))

    def get(self, bucket, key, range=None, if_match=None, if_none_match=None, content_type=None):
        response = self.call("get_object", Bucket=bucket, Key=key, Range=range, IfMatch=if_match,
                             IfNoneMatch=if_none_match, ResponseContentType=content_type)
        return {**self.describe_object(response), "body": response["Body"].read()}

    def read_as(self, bucket, key, words):
        """Returns the headers of a GET with parameters response-*."""
        words = {"Response" + name.title().replace("-", ""): value for name, value in words.items()}
        response = self.call("get_object", Bucket=bucket, Key=key, **words)
        return response["ResponseMetadata"]["HTTPHeaders"]

    def delete(self, bucket, key):
        self.call("delete_object", Bucket=bucket, Key=key)

    def list(self, bucket, prefix=""):
        pages = self.sdk.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        with self.translate_errors():
            keys = [row["Key"] for page in pages for row in page.get("Contents", [])]
        first = [row["Key"] for row in self.call("list_objects", Bucket=bucket, Prefix=prefix).get("Contents", [])]
        assert first == keys, "both versions of listings return the same keys"
        return keys

    def listing(self, bucket, prefix="", delimiter=""):
        """Returns the keys and groups of all pages."""
        result = []
        for version in ("list_objects_v2", "list_objects"):
            pages = self.sdk.get_paginator(version).paginate(Bucket=bucket, Prefix=prefix, Delimiter=delimiter)
            with self.translate_errors():
                pages = list(pages)
            keys = [row["Key"] for page in pages for row in page.get("Contents", [])]
            result.append((keys, [row["Prefix"] for page in pages for row in page.get("CommonPrefixes", [])]))
        assert result[0] == result[1], "both versions of listings return the same keys"
        return result[0]

    def list_sizes_and_etags(self, bucket):
        """Returns key -> (size, ETag), for the synchronisation of a folder."""
        with self.translate_errors():
            pages = list(self.sdk.get_paginator("list_objects_v2").paginate(Bucket=bucket))
        return {row["Key"]: (row["Size"], row["ETag"]) for page in pages for row in page.get("Contents", [])}

    def delete_many(self, bucket, keys):
        result = self.call("delete_objects", Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
        assert not result.get("Errors"), result
        return [row["Key"] for row in result["Deleted"]]

    def put_tags(self, bucket, key, tags):
        tags = [{"Key": name, "Value": value} for name, value in tags.items()]
        self.call("put_object_tagging", Bucket=bucket, Key=key, Tagging={"TagSet": tags})

    def get_tags(self, bucket, key):
        return {row["Key"]: row["Value"] for row in self.call("get_object_tagging", Bucket=bucket, Key=key)["TagSet"]}

    def delete_tags(self, bucket, key):
        self.call("delete_object_tagging", Bucket=bucket, Key=key)

    def put_acl(self, bucket, key, acl):
        self.call("put_object_acl", Bucket=bucket, Key=key, ACL=acl)

    def get_acl(self, bucket, key):
        rows = self.call("get_object_acl", Bucket=bucket, Key=key)["Grants"]
        return canned_acl([(row["Grantee"].get("URI", row["Grantee"].get("ID")), row["Permission"]) for row in rows])

    def list_uploads(self, bucket, prefix=""):
        result = self.call("list_multipart_uploads", Bucket=bucket, Prefix=prefix)
        return [(row["Key"], row["UploadId"]) for row in result.get("Uploads", [])]

    def conditions(self, conditions):
        return {_NAMES[name]: value for name, value in (conditions or {}).items()}

    def copy(self, source, source_key, bucket, key, directive=None, metadata=None, content_type=None, conditions=None,
             storage_class=None, tags=None):
        result = self.call("copy_object", Bucket=bucket, Key=key, CopySource={"Bucket": source, "Key": source_key},
                           MetadataDirective=directive, Metadata=metadata, ContentType=content_type,
                           StorageClass=storage_class, Tagging=tags, TaggingDirective="REPLACE" if tags else None,
                           **self.conditions(conditions))
        return {"etag": result["CopyObjectResult"]["ETag"]}

    def set_cors(self, bucket, origin):
        rule = {"AllowedOrigins": [origin], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["*"], "MaxAgeSeconds": 60}
        self.call("put_bucket_cors", Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})

    def form(self, bucket, key, conditions):
        result = self.fourth.generate_presigned_post(bucket, key, Conditions=conditions)
        return result["url"], result["fields"]

    def upload_file(self, bucket, key, path):
        with self.translate_errors():
            self.sdk.upload_file(path, bucket, key)

    def download_file(self, bucket, key, path):
        with self.translate_errors():
            self.sdk.download_file(bucket, key, path)
        return True

    def create_multipart(self, bucket, key, content_type=None, metadata=None):
        return self.call("create_multipart_upload", Bucket=bucket, Key=key, ContentType=content_type,
                         Metadata=metadata)["UploadId"]

    def upload_part(self, bucket, key, upload, number, body):
        return self.call("upload_part", Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)["ETag"]

    def upload_part_copy(self, source, source_key, bucket, key, upload, number, span=None, conditions=None):
        span = f"bytes={span[0]}-{span[1]}" if span else None
        result = self.call("upload_part_copy", Bucket=bucket, Key=key, UploadId=upload, PartNumber=number,
                           CopySource={"Bucket": source, "Key": source_key}, CopySourceRange=span,
                           **self.conditions(conditions))
        return result["CopyPartResult"]["ETag"]

    def list_parts(self, bucket, key, upload):
        result = self.call("list_parts", Bucket=bucket, Key=key, UploadId=upload)
        return [(row["PartNumber"], row["ETag"], row["Size"]) for row in result.get("Parts", [])]

    def complete(self, bucket, key, upload, parts):
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
        self.call("complete_multipart_upload", Bucket=bucket, Key=key, UploadId=upload,
                  MultipartUpload={"Parts": parts})

    def abort(self, bucket, key, upload):
        self.call("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload)

    def presigned(self, method, bucket, key, sdk=None):
        """Presigns with version 4; by default this SDK presigns with version 2 here."""
        return (sdk or self.sdk).generate_presigned_url({"GET": "get_object", "PUT": "put_object"}[method],
                                                        Params={"Bucket": bucket, "Key": key}, ExpiresIn=60)

    def presigned_v4(self, method, bucket, key):
        return self.presigned(method, bucket, key, self.fourth)


class Boto3V2(Boto3):
    """Signature version 2, in headers and in presigned URLs."""

    name = "boto3-v2"

    def config(self):
        return {"signature_version": "s3"}


class Boto3Jd(Boto3):
    """JD Cloud's hosts, through the SDK's proxy setting: absolute-form targets, virtual hosts, V4."""

    name, dialect = "boto3-jd", "jdcloud"
    form = None  # Its host is only reachable through a proxy.

    def __init__(self, port, key, secret, **more):
        endpoint, place = self.place(port)
        config = Config(retries={"total_max_attempts": 1, "mode": "standard"}, signature_version="s3v4",
                        s3={"addressing_style": "virtual"}, **place)
        self.sdk = self.fourth = boto3.client("s3", endpoint_url=endpoint, region_name="cn-north-1",
                                              aws_access_key_id=key, aws_secret_access_key=secret, config=config)

    def place(self, port):
        return "http://s3.cn-north-1.jdcloud-oss.com", {"proxies": {"http": f"http://127.0.0.1:{port}"}}


class Boto3JdDirect(Boto3Jd):
    """For JD Cloud without the proxy: it sends Content-MD5 instead of checksum headers, which JD Cloud does not document."""

    name, form = "boto3-jd-direct", Boto3.form

    def __init__(self, port, key, secret, **more):
        super().__init__(port, key, secret, **more)

        def digest(params, **_):
            if params["context"].pop("checksum", None):
                params["headers"]["Content-MD5"] = base64.b64encode(hashlib.md5(params["body"]).digest()).decode()

        self.sdk.meta.events.register("before-call.s3", digest)

    def place(self, port):
        return f"http://s3.cn-north-1.localhost:{port}", {"request_checksum_calculation": "when_required",
                                                          "response_checksum_validation": "when_required"}
