"""A double of Tencent COS. Section numbers are those of the COS reference. Signatures are recomputed with the code
of cos-python-sdk-v5."""

import re
import secrets
import threading
import time
from types import SimpleNamespace
from urllib.parse import unquote

from qcloud_cos import CosConfig, cos_auth

from .server import Fault, main
from .store import crc64
from .vendor import Vendor, element, iso

_signing = threading.Lock()


class Cos(Vendor):
    name, prefix, server, request_id = "cos", "x-cos-", "tencent-cos", "x-cos-request-id"
    foreign = ("x-amz-", "x-oss-")
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
        return secrets.token_hex(16)

    def host_form(self):
        return rf"^(.+\.)?cos\.{re.escape(self.region)}\."

    def refuse_path_style(self):
        raise Fault(403, "PathStyleDomainForbidden")

    def verify(self, request):
        """2.3, 2.4, and everything with meaning has to be signed."""
        fields = dict(pair.partition("=")[::2] for pair in request.headers.get("authorization", "").split("&"))
        if fields.get("q-ak") != self.key_id:
            raise Fault(403, "InvalidAccessKeyId")
        start, end = (int(text) for text in fields["q-sign-time"].split(";"))
        if not start - 900 <= time.time() <= end:
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
        place, _, key = path.lstrip("/").partition("/")
        if not key:
            raise Fault(400, "InvalidCopySource", path)
        return place.split(".cos.")[0] if ".cos." in place else place, unquote(key), version

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
        children = element("ETag", self.quoted(made.etag)) + element("CRC64", crc64(made.data))
        children += element("LastModified", self.copy_time(made.modified))
        children += element("VersionId", made.version) if made.version else ""
        return self.document(root, children, headers)


if __name__ == "__main__":
    main(Cos, "ap-guangzhou")
