"""A double of Tencent COS. Section numbers are those of the COS reference. Signatures are recomputed with the code
of cos-python-sdk-v5."""

import base64
import re
import secrets
import threading
import time
from types import SimpleNamespace
from urllib.parse import unquote

from qcloud_cos import CosConfig, cos_auth

from .server import Fault, main
from .vendor import Vendor, element, iso

_signing = threading.Lock()


class Cos(Vendor):
    name, prefix, server, request_id = "cos", "x-cos-", "tencent-cos", "x-cos-request-id"
    foreign = ("x-amz-", "x-oss-")
    query_credentials = ("q-signature", "sign")
    unaddressed = "PathStyleDomainForbidden"
    prefixes_first, replies_etag = True, False
    owner, groups = "1250000000", "http://cam.qcloud.com/groups/global/"
    marker_source = (400, "InvalidArgument")
    sse_words = ("AES256", "SM4", "cos/kms")
    bad_customer_key = (400, "SsecDecryptHeaderInvalid"), (400, "SsecDecryptHeaderInvalid")
    messages = {
        "AccessDenied": "Access Denied.", "NoSuchKey": "The specified key does not exist.",
        "NoSuchBucket": "The specified bucket does not exist.", "PreconditionFailed": "Precondition not match.",
        "SignatureDoesNotMatch": "The Signature you specified is invalid.",
        "BucketAlreadyExists": "The requested bucket name is not available.",
        "InternalError": "We encountered an internal error.",
        "PathStyleDomainForbidden":
            "The bucket you are attempting to access must be addressed using COS virtual-styled domain.",
    }
    classes = ("STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ARCHIVE", "DEEP_ARCHIVE", "MAZ_STANDARD")
    standard, bad_class = "STANDARD", "NotSupportedStorageClass"
    acls = ("default", "private", "public-read", "authenticated-read", "bucket-owner-read", "bucket-owner-full-control")
    default_acl = "default"
    metadata_words = {"Copy": "copy", "Replaced": "replace"}
    tagging_words = {"Copy": "copy", "Replaced": "replace"}
    bad_source = "InvalidCopySource"
    bad_source_range = (416, "InvalidRange", "range of the source")
    known = {
        "acl", "grant-read", "grant-write", "grant-read-acp", "grant-write-acp", "grant-full-control", "copy-source",
        "copy-source-range", "copy-source-if-match", "copy-source-if-none-match", "copy-source-if-modified-since",
        "copy-source-if-unmodified-since", "metadata-directive", "tagging-directive", "tagging", "storage-class",
        "server-side-encryption", "server-side-encryption-cos-kms-key-id", "server-side-encryption-context",
        "server-side-encryption-customer-algorithm", "server-side-encryption-customer-key",
        "server-side-encryption-customer-key-md5", "copy-source-server-side-encryption-customer-algorithm",
        "copy-source-server-side-encryption-customer-key", "copy-source-server-side-encryption-customer-key-md5",
        "forbid-overwrite", "security-token", "traffic-limit", "website-redirect-location", "sdk-retry",
    }

    @staticmethod
    def copy_time(at):
        return iso(at, "Z")

    def new_id(self):
        """5.9"""
        return base64.b64encode(f"{int(time.time()):x}_{secrets.token_hex(4)}_{secrets.token_hex(2)}_1a".encode()).decode()

    def new_upload_id(self):
        return f"{int(time.time()):010d}{secrets.token_hex(32)}"

    def error_headers(self):
        return {"x-cos-trace-id": base64.b64encode(secrets.token_hex(64).encode()).decode()}

    def error_document(self, error, request, identity):
        """6.1"""
        children = element("Code", error.code) + element("Message", error.message)
        children += element("Resource", request.host + request.path) + element("RequestId", identity)
        children += element("TraceId", base64.b64encode(identity.encode()).decode())
        return f"<?xml version='1.0' encoding='utf-8' ?>\n<Error>{children}</Error>".encode()

    def host_form(self):
        return rf"^(.+\.)?cos\.{re.escape(self.region)}\."

    def refuse_path_style(self):
        raise Fault(403, "PathStyleDomainForbidden")

    def verify(self, request):
        """2.3, 2.4, and everything with meaning has to be signed."""
        fields = dict(pair.partition("=")[::2] for pair in request.headers["authorization"].split("&"))
        wanted = ("q-sign-algorithm", "q-ak", "q-sign-time", "q-key-time", "q-header-list", "q-url-param-list", "q-signature")
        times = re.fullmatch(r"(\d+);(\d+)", fields.get("q-sign-time", ""))
        if set(fields) != set(wanted) or fields["q-sign-algorithm"] != "sha1" or not times:
            raise Fault(403, "AccessDenied", "malformed Authorization")
        if fields["q-ak"] != self.key_id:
            raise Fault(403, "InvalidAccessKeyId")
        start, end = int(times[1]), int(times[2])
        if start > time.time() + 900:
            raise Fault(403, "RequestTimeTooSkewed")
        if time.time() > end or start >= end:
            raise Fault(403, "AccessDenied", "Request has expired")
        names = [name for name in unquote(fields["q-header-list"]).split(";") if name]
        params = [name for name in unquote(fields["q-url-param-list"]).split(";") if name]
        unsigned = [n for n in request.headers if (n == "host" or n.startswith("x-cos-") or n == "range") and n not in names]
        unsigned += [n for n, _ in request.query if n.lower() not in params]
        if unsigned:
            raise Fault(403, "AccessDenied", f"Strict signature missing: {unsigned}")
        headers = {name: request.headers.get(name, "") for name in names}
        query = {name: value for name, value in request.query if name.lower() in params}
        # The vendor's SDK signs the host without its port.
        hosts = [headers.get("host"), headers.get("host", "").partition(":")[0]]
        tried = [{**headers, "host": host} if "host" in headers else headers for host in hosts]
        signed = [self.sdk_signature(request, one, query, start, end) for one in tried]
        if request.headers["authorization"] not in signed:
            raise Fault(403, "SignatureDoesNotMatch")

    def sdk_signature(self, request, headers, query, start, end):
        config = CosConfig(Region=self.region, SecretId=self.key_id, SecretKey=self.secret, Scheme="http")
        auth = cos_auth.CosS3Auth(config, unquote(request.path), query, expire=end - start - 60)
        message = SimpleNamespace(method=request.method, headers=dict(headers), url=f"http://{request.host}{request.path}")
        with _signing:
            clock, kept = cos_auth.time, cos_auth.filter_headers
            cos_auth.time = SimpleNamespace(time=lambda: start + 60)
            cos_auth.filter_headers = dict  # The list of signed headers is the request's own.
            try:
                auth(message)
            finally:
                cos_auth.time, cos_auth.filter_headers = clock, kept
        return message.headers["Authorization"]

    def source(self, request):
        """4.2: host form, and the bucket form."""
        path, version = self.split_version(self.own(request, "copy-source"))
        match = re.fullmatch(r"(?:([^/]+)\.cos\.([^./]+)\.[^/]+|/([^/]+))/(.+)", path, re.DOTALL)
        if not match:
            raise Fault(400, "InvalidCopySource", path)
        host_bucket, region, path_bucket, key = match.groups()
        if region and region != self.region:
            raise Fault(404, "NoSuchBucket", path)
        return host_bucket or path_bucket, unquote(key), version

    def bucket_row(self, bucket):
        """3.4"""
        fields = element("Name", bucket.name) + element("Location", self.region)
        return f"<Bucket>{fields}{element('CreationDate', iso(bucket.created, 'Z'))}{element('BucketType', 'cos')}</Bucket>"

    def op_list(self, request):
        answer = super().op_list(request)
        answer.headers["x-cos-bucket-region"] = self.region
        return answer

    def check_listing(self, request, delimiter):
        super().check_listing(request, delimiter)
        if len(delimiter) > 1:
            raise Fault(400, "InvalidDelimiter", delimiter)

    def check_pairs(self, given):
        """4.3"""
        positive = given["if-match"] or given["if-unmodified-since"]
        negative = given["if-none-match"] or given["if-modified-since"]
        if positive and negative:
            raise Fault(400, "InvalidArgument", "conditions conflict")

    def onto_itself(self, request, replace, replace_tags):
        """4.4"""
        if not (replace or replace_tags):
            raise Fault(400, "InvalidRequest", "copy onto itself")
        return replace

    def copy_result(self, root, made, headers):
        """4.7"""
        children = element("ETag", self.quoted(made.etag)) + element("CRC64", made.crc64())
        children += element("LastModified", self.copy_time(made.modified))
        children += element("VersionId", made.version) if made.version else ""
        return self.document(root, children, headers)


if __name__ == "__main__":
    main(Cos, "ap-guangzhou")
