"""A double of Alibaba OSS. Section numbers are those of the OSS reference. Signatures are recomputed with oss2's
own code."""

import base64
import email.utils
import re
import threading
import time
from datetime import datetime, timezone
from types import SimpleNamespace
from urllib.parse import quote, unquote, unquote_plus

import oss2
from oss2 import auth as oss_auth
from oss2.credentials import StaticCredentialsProvider

from .server import Answer, Fault, main
from .store import md5
from .vendor import Vendor, element, iso

_signing = threading.Lock()


class Oss(Vendor):
    name, prefix, server, request_id = "oss", "x-oss-", "AliyunOSS", "x-oss-request-id"
    foreign = ("x-amz-", "x-cos-")
    upper, second_listing, head_bucket, page = True, True, False, 100
    classes = ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive")
    standard, bad_class = "Standard", "InvalidArgument"
    acls = ("default", "private", "public-read", "public-read-write")
    default_acl, acl_name = "default", "object-acl"
    metadata_words = {"COPY": "copy", "REPLACE": "replace"}
    tagging_words = {"Copy": "copy", "Replace": "replace"}
    not_modified, lenient_range = 304, True
    default_type, bad_digest = "application/octet-stream", "InvalidDigest"
    part_minimum = 100 * 1024
    known = {
        "date", "content-sha256", "security-token", "object-acl", "acl", "storage-class", "tagging", "tagging-directive",
        "metadata-directive", "copy-source", "copy-source-range", "copy-source-if-match", "copy-source-if-none-match",
        "copy-source-if-modified-since", "copy-source-if-unmodified-since", "forbid-overwrite",
        "server-side-encryption", "server-side-encryption-key-id", "server-side-data-encryption", "traffic-limit",
        "request-payer", "range-behavior", "complete-all",
    }

    def host_form(self):
        return rf"^(.+\.)?oss-{re.escape(self.region)}\."

    def verify(self, request):
        line = request.headers.get("authorization", "")
        if line.startswith("OSS "):
            self.verify_first(request, line)
        elif line.startswith("OSS4-HMAC-SHA256"):
            self.verify_fourth(request, line)
        else:
            raise Fault(403, "AccessDenied", "no credential")

    def oss_request(self, request):
        return SimpleNamespace(
            method=request.method, headers=dict(request.headers), params=dict(request.query), region=self.region,
            product="oss", cloudbox_id=None, url="")

    def verify_first(self, request, line):
        """2.2"""
        key_id, _, signature = line[4:].partition(":")
        if key_id != self.key_id:
            raise Fault(403, "InvalidAccessKeyId")
        date = request.headers.get("x-oss-date") or request.headers["date"]
        if abs(email.utils.parsedate_to_datetime(date).timestamp() - time.time()) > 900:
            raise Fault(403, "RequestTimeTooSkewed")
        auth = oss2.Auth(self.key_id, self.secret)
        make = auth._ProviderAuth__make_signature
        found = make(self.oss_request(request), request.bucket, request.key, auth.credentials_provider.get_credentials())
        if found != signature:
            raise Fault(403, "SignatureDoesNotMatch")

    def verify_fourth(self, request, line):
        """2.5"""
        items = dict(item.strip().partition("=")[::2] for item in line[len("OSS4-HMAC-SHA256"):].split(","))
        key_id, day, region, product, end = items["Credential"].rsplit("/", 4)
        stamp = request.headers.get("x-oss-date", "")
        if key_id != self.key_id:
            raise Fault(403, "InvalidAccessKeyId")
        if (region, product, end) != (self.region, "oss", "aliyun_v4_request") or not stamp.startswith(day):
            raise Fault(400, "InvalidArgument", "scope")
        at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc).timestamp()
        if abs(at - time.time()) > 900:
            raise Fault(403, "RequestTimeTooSkewed")
        additional = [name for name in items.get("AdditionalHeaders", "").split(";") if name]
        auth = oss2.ProviderAuthV4(StaticCredentialsProvider(self.key_id, self.secret))
        make = auth._ProviderAuthV4__make_signature
        credentials = auth.credentials_provider.get_credentials()
        with _signing:
            found = make(self.oss_request(request), request.bucket, request.key, additional, credentials, stamp)
        if found != items["Signature"]:
            raise Fault(403, "SignatureDoesNotMatch")

    def error_document(self, error, request, identity):
        """6.1"""
        children = element("Code", error.code) + element("Message", error.message or error.code)
        children += element("RequestId", identity) + element("HostId", request.host)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{children}</Error>'.encode()

    def head_error(self, body):
        return {"x-oss-err": base64.b64encode(body).decode()}

    def unknown(self, request):
        raise Fault(400, "NotImplemented", f"{request.method} {request.path}")

    def op_bucket_create(self, request):
        if request.bucket in self.store.buckets:
            return Answer(200)
        return super().op_bucket_create(request)

    def op_location(self, request):
        self.bucket(request)
        return self.document("LocationConstraint", f"oss-{self.region}")

    def bucket_row(self, bucket):
        """3.2"""
        host = f"oss-{self.region}.aliyuncs.com"
        fields = element("CreationDate", iso(bucket.created)) + element("ExtranetEndpoint", host)
        fields += element("IntranetEndpoint", host) + element("Location", f"oss-{self.region}")
        return f"<Bucket>{fields}{element('Name', bucket.name)}{element('StorageClass', 'Standard')}</Bucket>"

    def listed_type(self, row):
        return element("Type", "Multipart" if "-" in row.etag else "Normal")

    def encoded(self, request, text):
        return quote(text, safe="") if request.param("encoding-type") == "url" else text

    def told_class(self, stored):
        return {"x-oss-storage-class": stored.storage_class or "Standard",
                "x-oss-object-type": "Multipart" if "-" in stored.etag else "Normal"}

    def op_put(self, request):
        for name in ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"):
            if name.lower() in request.headers:
                raise Fault(400, "NotImplemented", name)
        return super().op_put(request)

    def source(self, request):
        """4.1: the leading slash is required; a raw plus is a space."""
        value = self.own(request, "copy-source")
        if not value.startswith("/"):
            raise Fault(400, "InvalidArgument", "Copy Source must mention the source bucket and key")
        path, version = self.split_version(value)
        bucket, _, key = path[1:].partition("/")
        if not key:
            raise Fault(400, "InvalidArgument", "Copy Source must mention the source bucket and key")
        return bucket, unquote_plus(key), version

    def outweighs(self, held, name):
        return False

    def onto_itself(self, request, replace, replace_tags):
        """4.4: always the request's."""
        return True

    def limit_of(self, request, source):
        """4.5"""
        changed = self.own(request, "storage-class") not in ("", source.storage_class)
        changed = changed or bool(self.own(request, "server-side-encryption"))
        return min(self.copy_limit, 1024**3) if changed else self.copy_limit

    def source_range(self, request, size):
        """4.9: what does not fit copies everything."""
        text = self.own(request, "copy-source-range")
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", text)
        if not match:
            return None
        first, last = int(match[1]), int(match[2] or size - 1)
        return (first, last) if first <= last < size else None

    def multipart_etag(self, parts):
        """3.5: of the texts of the ETags."""
        return f"{md5(''.join(part.etag.upper() for part in parts).encode())}-{len(parts)}"


if __name__ == "__main__":
    main(Oss, "cn-hangzhou")
