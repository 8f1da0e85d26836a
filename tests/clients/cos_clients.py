"""cos-python-sdk-v5: with `*.localhost` endpoints, and with official hosts through its proxy setting."""

import tempfile
from email.utils import parsedate_to_datetime

from qcloud_cos import CosConfig, CosS3Client
from qcloud_cos.cos_exception import CosClientError, CosServiceError

import forms
from api import CallError

_NAMES = {"if_match": "CopySourceIfMatch", "if_none_match": "CopySourceIfNoneMatch",
          "if_modified_since": "CopySourceIfModifiedSince", "if_unmodified_since": "CopySourceIfUnmodifiedSince"}


class CosPython:
    dialect = "cos"
    name = "cos-python"

    def __init__(self, port, key, secret, **more):
        config = CosConfig(Region="ap-guangzhou", Scheme="http", SecretId=key, SecretKey=secret,
                           AutoSwitchDomainOnRetry=False, **self.place(port))
        self.sdk = CosS3Client(config, retry=0)
        self.port, self.keys = port, (key, secret)

    def place(self, port):
        return {"Endpoint": f"cos.ap-guangzhou.localhost:{port}"}

    def call(self, name, **arguments):
        try:
            return getattr(self.sdk, name)(**{k: v for k, v in arguments.items() if v is not None})
        except CosServiceError as error:
            raise CallError(error.get_status_code(), error.get_error_code(), str(error)) from error
        except CosClientError as error:
            raise CallError(0, "CosClientError", str(error)) from error

    def create_bucket(self, bucket):
        self.call("create_bucket", Bucket=bucket)

    def head_bucket(self, bucket):
        self.call("head_bucket", Bucket=bucket)

    def delete_bucket(self, bucket):
        self.call("delete_bucket", Bucket=bucket)

    def meta(self, metadata):
        return {"x-cos-meta-" + name: value for name, value in metadata.items()} if metadata else None

    def put(self, bucket, key, body, content_type=None, metadata=None, storage_class=None, tags=None):
        return {"etag": self.call("put_object", Bucket=bucket, Key=key, Body=body, ContentType=content_type,
                                  Metadata=self.meta(metadata), StorageClass=storage_class, Tagging=tags)["ETag"]}

    def describe_object(self, response):
        response = {name.lower(): value for name, value in response.items()}
        metadata = {n[len("x-cos-meta-"):]: v for n, v in response.items() if n.startswith("x-cos-meta-")}
        return {"etag": response["etag"], "length": int(response["content-length"]), "content_type": response["content-type"],
                "metadata": metadata, "storage_class": response.get("x-cos-storage-class", "STANDARD"),
                "last_modified": parsedate_to_datetime(response["last-modified"]).timestamp(),
                "tags": int(response.get("x-cos-tagging-count", 0))}

    def head(self, bucket, key):
        return self.describe_object(self.call("head_object", Bucket=bucket, Key=key))

    def get(self, bucket, key, range=None, if_match=None, if_none_match=None, content_type=None):
        try:
            response = self.call("get_object", Bucket=bucket, Key=key, Range=range, IfMatch=if_match,
                                 IfNoneMatch=if_none_match, ResponseContentType=content_type)
        except OSError as error:  # The SDK raises this for a 304, which has no body.
            assert "StreamBody" in str(error)
            raise CallError(304, "NotModified") from error
        return {**self.describe_object(response), "body": response["Body"].get_raw_stream().read()}

    def read_as(self, bucket, key, words):
        """Returns the headers of a GET with parameters response-*."""
        words = {"Response" + name.title().replace("-", ""): value for name, value in words.items()}
        response = self.call("get_object", Bucket=bucket, Key=key, **words)
        return {name.lower(): value for name, value in response.items()}

    def delete(self, bucket, key):
        self.call("delete_object", Bucket=bucket, Key=key)

    def list(self, bucket, prefix=""):
        keys, marker = [], ""
        while True:
            page = self.call("list_objects", Bucket=bucket, Prefix=prefix, Marker=marker)
            keys += [row["Key"] for row in page.get("Contents", [])]
            if page["IsTruncated"] == "false":
                return keys
            marker = page["NextMarker"]

    def pages(self, bucket, **more):
        marker = ""
        while True:
            page = self.call("list_objects", Bucket=bucket, Marker=marker, **more)
            yield page
            if page["IsTruncated"] == "false":
                return
            marker = page["NextMarker"]

    def listing(self, bucket, prefix="", delimiter=""):
        pages = list(self.pages(bucket, Prefix=prefix, Delimiter=delimiter))
        return ([row["Key"] for page in pages for row in page.get("Contents", [])],
                [row["Prefix"] for page in pages for row in page.get("CommonPrefixes", [])])

    def list_sizes_and_etags(self, bucket):
        rows = [row for page in self.pages(bucket) for row in page.get("Contents", [])]
        return {row["Key"]: (int(row["Size"]), row["ETag"]) for row in rows}

    def upload_file(self, bucket, key, path):
        """Uploads a file in parts. The SDK first looks for an upload to resume."""
        self.call("upload_file", Bucket=bucket, Key=key, LocalFilePath=path, PartSize=5, MAXThread=3)

    def download_file(self, bucket, key, path):
        """Downloads a file in ranges, because it is larger than a part."""
        # The SDK verifies the CRC-64 only if it is in the response; S3 targets have none for multipart uploads.
        has_crc = "x-cos-hash-crc64ecma" in self.call("head_object", Bucket=bucket, Key=key)
        with tempfile.TemporaryDirectory() as folder:
            self.call("download_file", Bucket=bucket, Key=key, DestFilePath=path, PartSize=5, MAXThread=3,
                      DumpRecordDir=folder, EnableCRC=has_crc)
        return True

    def delete_many(self, bucket, keys):
        result = self.call("delete_objects", Bucket=bucket, Delete={"Object": [{"Key": key} for key in keys], "Quiet": "false"})
        assert not result.get("Error"), result
        return [row["Key"] for row in result["Deleted"]]

    def put_tags(self, bucket, key, tags):
        tags = [{"Key": name, "Value": value} for name, value in tags.items()]
        self.call("put_object_tagging", Bucket=bucket, Key=key, Tagging={"TagSet": {"Tag": tags}})

    def get_tags(self, bucket, key):
        rows = (self.call("get_object_tagging", Bucket=bucket, Key=key)["TagSet"] or {}).get("Tag", [])
        return {row["Key"]: row["Value"] for row in rows}

    def delete_tags(self, bucket, key):
        self.call("delete_object_tagging", Bucket=bucket, Key=key)

    def put_acl(self, bucket, key, acl):
        self.call("put_object_acl", Bucket=bucket, Key=key, ACL=acl)

    def get_acl(self, bucket, key):
        return self.call("get_object_acl", Bucket=bucket, Key=key)["CannedACL"]

    def list_uploads(self, bucket, prefix=""):
        rows = self.call("list_multipart_uploads", Bucket=bucket, Prefix=prefix).get("Upload", [])
        return [(row["Key"], row["UploadId"]) for row in rows]

    def source(self, bucket, key):
        return {"Bucket": bucket, "Key": key, "Region": "ap-guangzhou"}

    def conditions(self, conditions):
        return {_NAMES[name]: value for name, value in (conditions or {}).items()}

    def copy(self, source, source_key, bucket, key, directive=None, metadata=None, content_type=None, conditions=None,
             storage_class=None, tags=None):
        word = {"COPY": "Copy", "REPLACE": "Replaced", None: "Copy"}[directive]
        headers = self.meta(metadata)
        if tags:  # The SDK has no argument for this header; it sends all entries of the metadata as headers.
            headers = {**(headers or {}), "x-cos-tagging-directive": "Replaced"}
        result = self.call("copy_object", Bucket=bucket, Key=key, CopySource=self.source(source, source_key),
                           CopyStatus=word, Metadata=headers, ContentType=content_type, Tagging=tags,
                           StorageClass=storage_class, **self.conditions(conditions))
        return {"etag": result["ETag"]}

    def set_cors(self, bucket, origin):
        rule = {"AllowedOrigin": [origin], "AllowedMethod": ["GET", "PUT"], "AllowedHeader": ["*"], "MaxAgeSeconds": "60"}
        self.call("put_bucket_cors", Bucket=bucket, CORSConfiguration={"CORSRule": [rule]})

    def append(self, bucket, key, position, body):
        return int(self.call("append_object", Bucket=bucket, Key=key, Position=position, Data=body)["x-cos-next-append-position"])

    def form(self, bucket, key, conditions):
        return f"http://{bucket}.cos.ap-guangzhou.localhost:{self.port}/", forms.cos(*self.keys, conditions)

    def create_multipart(self, bucket, key, content_type=None, metadata=None):
        return self.call("create_multipart_upload", Bucket=bucket, Key=key, ContentType=content_type,
                         Metadata=self.meta(metadata))["UploadId"]

    def upload_part(self, bucket, key, upload, number, body):
        return self.call("upload_part", Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)["ETag"]

    def upload_part_copy(self, source, source_key, bucket, key, upload, number, span=None, conditions=None):
        span = f"bytes={span[0]}-{span[1]}" if span else ""
        return self.call("upload_part_copy", Bucket=bucket, Key=key, UploadId=upload, PartNumber=number,
                         CopySource=self.source(source, source_key), CopySourceRange=span,
                         **self.conditions(conditions))["ETag"]

    def list_parts(self, bucket, key, upload):
        result = self.call("list_parts", Bucket=bucket, Key=key, UploadId=upload)
        return [(int(row["PartNumber"]), row["ETag"], int(row["Size"])) for row in result.get("Part", [])]

    def complete(self, bucket, key, upload, parts):
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
        self.call("complete_multipart_upload", Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Part": parts})

    def abort(self, bucket, key, upload):
        self.call("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload)

    def presigned(self, method, bucket, key):
        return self.sdk.get_presigned_url(Bucket=bucket, Key=key, Method=method, Expired=60)


class CosPythonOfficial(CosPython):
    """Official host names, through the SDK's proxy setting."""

    name = "cos-python-official"

    def place(self, port):
        return {"Proxies": {"http": f"http://127.0.0.1:{port}"}}
