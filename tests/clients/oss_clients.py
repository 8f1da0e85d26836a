"""oss2 with signature versions 1 and 4 and `*.localhost` endpoints; alibabacloud-oss-v2 with path style and an IP address."""

import tempfile
from contextlib import contextmanager

import alibabacloud_oss_v2 as v2
import oss2

import forms
from api import CallError

PART = 5 * 1024 * 1024

_NAMES = {"if_match": "if-match", "if_none_match": "if-none-match", "if_modified_since": "if-modified-since",
          "if_unmodified_since": "if-unmodified-since"}


def _meta(metadata, content_type=None):
    headers = {"x-oss-meta-" + name: value for name, value in (metadata or {}).items()}
    return {**headers, "Content-Type": content_type} if content_type else headers


class Oss2V1:
    dialect = "oss"
    name = "oss2-v1"

    def __init__(self, port, key, secret, **more):
        self.endpoint = f"http://oss-cn-hangzhou.localhost:{port}"
        self.auth = self.make_auth(key, secret)
        self.port, self.keys = port, (key, secret)

    def make_auth(self, key, secret):
        return oss2.Auth(key, secret)

    def at(self, bucket):
        return oss2.Bucket(self.auth, self.endpoint, bucket, region="cn-hangzhou", enable_crc=True)

    @contextmanager
    def translate_errors(self):
        try:
            yield
        except oss2.exceptions.OssError as error:
            raise CallError(error.status, error.code, str(error)) from error

    def call(self, bucket, name, *arguments, **more):
        with self.translate_errors():
            return getattr(self.at(bucket), name)(*arguments, **more)

    def create_bucket(self, bucket):
        self.call(bucket, "create_bucket")

    def head_bucket(self, bucket):
        self.call(bucket, "list_objects", max_keys=1)

    def delete_bucket(self, bucket):
        self.call(bucket, "delete_bucket")

    def put(self, bucket, key, body, content_type=None, metadata=None, storage_class=None, tags=None):
        headers = _meta(metadata, content_type)
        headers.update({"x-oss-tagging": tags} if tags else {})
        if storage_class:
            headers["x-oss-storage-class"] = storage_class
        return {"etag": self.call(bucket, "put_object", key, body, headers=headers).etag}

    def set_cors(self, bucket, origin):
        rule = oss2.models.CorsRule([origin], ["GET", "PUT"], ["*"], None, 60)
        self.call(bucket, "put_bucket_cors", oss2.models.BucketCors([rule]))

    def append(self, bucket, key, position, body):
        return self.call(bucket, "append_object", key, position, body).next_position

    signed_form = staticmethod(forms.oss_v1)

    def form(self, bucket, key, conditions):
        return f"http://{bucket}.oss-cn-hangzhou.localhost:{self.port}/", self.signed_form(*self.keys, conditions)

    def upload_file(self, bucket, key, path):
        with self.translate_errors(), tempfile.TemporaryDirectory() as folder:
            oss2.resumable_upload(self.at(bucket), key, path, store=oss2.ResumableStore(root=folder),
                                  multipart_threshold=PART, part_size=PART, num_threads=3)

    def download_file(self, bucket, key, path):
        with self.translate_errors(), tempfile.TemporaryDirectory() as folder:
            oss2.resumable_download(self.at(bucket), key, path, store=oss2.ResumableDownloadStore(root=folder),
                                    multiget_threshold=PART, part_size=PART, num_threads=3)
        return True

    def describe_object(self, response):
        metadata = {n.lower()[len("x-oss-meta-"):]: v for n, v in response.headers.items()
                    if n.lower().startswith("x-oss-meta-")}
        return {"etag": response.etag, "length": response.content_length, "content_type": response.content_type,
                "metadata": metadata, "storage_class": response.headers.get("x-oss-storage-class", "Standard"),
                "last_modified": response.last_modified, "tags": int(response.headers.get("x-oss-tagging-count", 0))}

    def head(self, bucket, key):
        return self.describe_object(self.call(bucket, "head_object", key))

    def get(self, bucket, key, range=None, if_match=None, if_none_match=None, content_type=None):
        headers = {name: value for name, value in (("Range", range), ("If-Match", if_match),
                                                   ("If-None-Match", if_none_match)) if value}
        params = {"response-content-type": content_type} if content_type else None
        response = self.call(bucket, "get_object", key, headers=headers, params=params)
        return {**self.describe_object(response), "body": response.read()}

    def read_as(self, bucket, key, words):
        """Returns the headers of a GET with parameters response-*."""
        response = self.call(bucket, "get_object", key, params={"response-" + name: word for name, word in words.items()})
        return {name.lower(): value for name, value in response.headers.items()}

    def delete(self, bucket, key):
        self.call(bucket, "delete_object", key)

    def list(self, bucket, prefix=""):
        with self.translate_errors():
            second = [row.key for row in oss2.ObjectIteratorV2(self.at(bucket), prefix=prefix)]
            assert second == [row.key for row in oss2.ObjectIterator(self.at(bucket), prefix=prefix)]
        return second

    def listing(self, bucket, prefix="", delimiter=""):
        result = []
        for rows in (oss2.ObjectIteratorV2(self.at(bucket), prefix=prefix, delimiter=delimiter, max_keys=1000),
                     oss2.ObjectIterator(self.at(bucket), prefix=prefix, delimiter=delimiter, max_keys=1000)):
            with self.translate_errors():
                rows = list(rows)
            result.append(([row.key for row in rows if not row.is_prefix()], [row.key for row in rows if row.is_prefix()]))
        assert result[0] == result[1], "both versions of listings return the same keys"
        return result[0]

    def list_sizes_and_etags(self, bucket):
        with self.translate_errors():
            return {row.key: (row.size, row.etag) for row in oss2.ObjectIteratorV2(self.at(bucket))}

    def delete_many(self, bucket, keys):
        return self.call(bucket, "batch_delete_objects", keys).deleted_keys

    def put_tags(self, bucket, key, tags):
        rule = oss2.models.TaggingRule()
        for name, value in tags.items():
            rule.add(name, value)
        self.call(bucket, "put_object_tagging", key, oss2.models.Tagging(rule))

    def get_tags(self, bucket, key):
        return dict(self.call(bucket, "get_object_tagging", key).tag_set.tagging_rule)

    def delete_tags(self, bucket, key):
        self.call(bucket, "delete_object_tagging", key)

    def put_acl(self, bucket, key, acl):
        self.call(bucket, "put_object_acl", key, acl)

    def get_acl(self, bucket, key):
        return self.call(bucket, "get_object_acl", key).acl

    def list_uploads(self, bucket, prefix=""):
        rows = self.call(bucket, "list_multipart_uploads", prefix=prefix).upload_list
        return [(row.key, row.upload_id) for row in rows]

    def conditions(self, conditions):
        return {"x-oss-copy-source-" + _NAMES[name]: value for name, value in (conditions or {}).items()}

    def copy(self, source, source_key, bucket, key, directive=None, metadata=None, content_type=None, conditions=None,
             storage_class=None, tags=None):
        headers = {**_meta(metadata, content_type), **self.conditions(conditions)}
        headers.update({"x-oss-tagging": tags, "x-oss-tagging-directive": "Replace"} if tags else {})
        headers.update({"x-oss-metadata-directive": directive} if directive else {})
        headers.update({"x-oss-storage-class": storage_class} if storage_class else {})
        return {"etag": self.call(bucket, "copy_object", source, source_key, key, headers=headers).etag}

    def create_multipart(self, bucket, key, content_type=None, metadata=None):
        return self.call(bucket, "init_multipart_upload", key, headers=_meta(metadata, content_type)).upload_id

    def upload_part(self, bucket, key, upload, number, body):
        return self.call(bucket, "upload_part", key, upload, number, body).etag

    def upload_part_copy(self, source, source_key, bucket, key, upload, number, span=None, conditions=None):
        return self.call(bucket, "upload_part_copy", source, source_key, span, key, upload, number,
                         headers=self.conditions(conditions)).etag

    def list_parts(self, bucket, key, upload):
        parts = self.call(bucket, "list_parts", key, upload).parts
        return [(part.part_number, part.etag, part.size) for part in parts]

    def complete(self, bucket, key, upload, parts):
        parts = [oss2.models.PartInfo(number, etag) for number, etag in parts]
        self.call(bucket, "complete_multipart_upload", key, upload, parts)

    def abort(self, bucket, key, upload):
        self.call(bucket, "abort_multipart_upload", key, upload)

    def presigned(self, method, bucket, key):
        return self.at(bucket).sign_url(method, key, 60, slash_safe=True)


class Oss2V4(Oss2V1):
    name = "oss2-v4"
    signed_form = staticmethod(forms.oss_v4)

    def make_auth(self, key, secret):
        return oss2.ProviderAuthV4(oss2.credentials.StaticCredentialsProvider(key, secret))


class OssV2:
    dialect = "oss"
    name = "oss-v2"

    def __init__(self, port, key, secret, **more):
        config = v2.config.load_default()
        config.credentials_provider = v2.credentials.StaticCredentialsProvider(key, secret)
        config.region, config.endpoint = "cn-hangzhou", f"http://127.0.0.1:{port}"
        config.retry_max_attempts = 1
        self.sdk = v2.Client(config)

    @contextmanager
    def translate_errors(self):
        try:
            yield
        except v2.exceptions.OperationError as error:
            cause = error.unwrap()
            status, code = getattr(cause, "status_code", 0), getattr(cause, "code", "")
            raise CallError(status, code, str(error)) from error

    def call(self, name, request, **fields):
        fields = {k: v for k, v in fields.items() if v is not None}
        with self.translate_errors():
            return getattr(self.sdk, name)(getattr(v2, request)(**fields))

    def create_bucket(self, bucket):
        self.call("put_bucket", "PutBucketRequest", bucket=bucket)

    def head_bucket(self, bucket):
        self.call("list_objects_v2", "ListObjectsV2Request", bucket=bucket, max_keys=1)

    def delete_bucket(self, bucket):
        self.call("delete_bucket", "DeleteBucketRequest", bucket=bucket)

    def put(self, bucket, key, body, content_type=None, metadata=None, storage_class=None, tags=None):
        return {"etag": self.call("put_object", "PutObjectRequest", bucket=bucket, key=key, body=body, tagging=tags,
                                  content_type=content_type, metadata=metadata, storage_class=storage_class).etag}

    def upload_file(self, bucket, key, path):
        with self.translate_errors():
            self.sdk.uploader(part_size=PART, parallel_num=3).upload_file(v2.PutObjectRequest(bucket=bucket, key=key), path)

    def download_file(self, bucket, key, path):
        with self.translate_errors():
            downloader = self.sdk.downloader(part_size=PART, parallel_num=3)
            downloader.download_file(v2.GetObjectRequest(bucket=bucket, key=key), path)
        return True

    def describe_object(self, response):
        return {"etag": response.etag, "length": response.content_length, "content_type": response.content_type,
                "metadata": dict(response.metadata or {}), "storage_class": response.storage_class,
                "last_modified": response.last_modified.timestamp(), "tags": response.tagging_count or 0}

    def head(self, bucket, key):
        return self.describe_object(self.call("head_object", "HeadObjectRequest", bucket=bucket, key=key))

    def get(self, bucket, key, range=None, if_match=None, if_none_match=None, content_type=None):
        response = self.call("get_object", "GetObjectRequest", bucket=bucket, key=key, range_header=range,
                             if_match=if_match, if_none_match=if_none_match, response_content_type=content_type)
        return {**self.describe_object(response), "body": response.body.read()}

    def read_as(self, bucket, key, words):
        """Returns the headers of a GET with parameters response-*."""
        words = {"response_" + name.replace("-", "_"): value for name, value in words.items()}
        response = self.call("get_object", "GetObjectRequest", bucket=bucket, key=key, **words)
        return {name.lower(): value for name, value in response.headers.items()}

    def delete(self, bucket, key):
        self.call("delete_object", "DeleteObjectRequest", bucket=bucket, key=key)

    def list(self, bucket, prefix=""):
        pages = self.sdk.list_objects_v2_paginator().iter_page(v2.ListObjectsV2Request(bucket=bucket, prefix=prefix))
        with self.translate_errors():
            return [row.key for page in pages for row in page.contents or []]

    def pages(self, bucket, **more):
        pages = self.sdk.list_objects_v2_paginator().iter_page(v2.ListObjectsV2Request(bucket=bucket, max_keys=1000, **more))
        with self.translate_errors():
            return list(pages)

    def listing(self, bucket, prefix="", delimiter=None):
        pages = self.pages(bucket, prefix=prefix, delimiter=delimiter or None)
        return ([row.key for page in pages for row in page.contents or []],
                [row.prefix for page in pages for row in page.common_prefixes or []])

    def list_sizes_and_etags(self, bucket):
        return {row.key: (row.size, row.etag) for page in self.pages(bucket) for row in page.contents or []}

    def delete_many(self, bucket, keys):
        result = self.call("delete_multiple_objects", "DeleteMultipleObjectsRequest", bucket=bucket,
                           objects=[v2.DeleteObject(key=key) for key in keys])
        return [row.key for row in result.deleted_objects or []]

    def put_tags(self, bucket, key, tags):
        tags = [v2.Tag(key=name, value=value) for name, value in tags.items()]
        self.call("put_object_tagging", "PutObjectTaggingRequest", bucket=bucket, key=key,
                  tagging=v2.Tagging(tag_set=v2.TagSet(tags=tags)))

    def get_tags(self, bucket, key):
        result = self.call("get_object_tagging", "GetObjectTaggingRequest", bucket=bucket, key=key)
        return {row.key: row.value for row in result.tag_set.tags or []}

    def delete_tags(self, bucket, key):
        self.call("delete_object_tagging", "DeleteObjectTaggingRequest", bucket=bucket, key=key)

    def put_acl(self, bucket, key, acl):
        self.call("put_object_acl", "PutObjectAclRequest", bucket=bucket, key=key, acl=acl)

    def get_acl(self, bucket, key):
        return self.call("get_object_acl", "GetObjectAclRequest", bucket=bucket, key=key).acl

    def list_uploads(self, bucket, prefix=""):
        result = self.call("list_multipart_uploads", "ListMultipartUploadsRequest", bucket=bucket, prefix=prefix)
        return [(row.key, row.upload_id) for row in result.uploads or []]

    def copy(self, source, source_key, bucket, key, directive=None, metadata=None, content_type=None, conditions=None,
             storage_class=None, tags=None):
        return {"etag": self.call("copy_object", "CopyObjectRequest", bucket=bucket, key=key, source_bucket=source,
                                  source_key=source_key, metadata_directive=directive, metadata=metadata, tagging=tags,
                                  tagging_directive="Replace" if tags else None,
                                  content_type=content_type, storage_class=storage_class, **(conditions or {})).etag}

    def create_multipart(self, bucket, key, content_type=None, metadata=None):
        return self.call("initiate_multipart_upload", "InitiateMultipartUploadRequest", bucket=bucket, key=key,
                         content_type=content_type, metadata=metadata).upload_id

    def upload_part(self, bucket, key, upload, number, body):
        return self.call("upload_part", "UploadPartRequest", bucket=bucket, key=key, upload_id=upload,
                         part_number=number, body=body).etag

    def upload_part_copy(self, source, source_key, bucket, key, upload, number, span=None, conditions=None):
        span = f"bytes={span[0]}-{span[1]}" if span else None
        return self.call("upload_part_copy", "UploadPartCopyRequest", bucket=bucket, key=key, upload_id=upload,
                         part_number=number, source_bucket=source, source_key=source_key, source_range=span,
                         **(conditions or {})).etag

    def list_parts(self, bucket, key, upload):
        result = self.call("list_parts", "ListPartsRequest", bucket=bucket, key=key, upload_id=upload)
        return [(part.part_number, part.etag, part.size) for part in result.parts or []]

    def complete(self, bucket, key, upload, parts):
        parts = [v2.UploadPart(part_number=number, etag=etag) for number, etag in parts]
        self.call("complete_multipart_upload", "CompleteMultipartUploadRequest", bucket=bucket, key=key,
                  upload_id=upload, complete_multipart_upload=v2.CompleteMultipartUpload(parts=parts))

    def abort(self, bucket, key, upload):
        self.call("abort_multipart_upload", "AbortMultipartUploadRequest", bucket=bucket, key=key, upload_id=upload)

    def presigned(self, method, bucket, key):
        request = {"GET": v2.GetObjectRequest, "PUT": v2.PutObjectRequest}[method](bucket=bucket, key=key)
        return self.sdk.presign(request).url
