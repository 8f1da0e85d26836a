"""A double of Alibaba OSS. Section numbers are those of the OSS reference. Signatures are recomputed with oss2's
own code."""

import base64
import re
import secrets
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
from .vendor import CONDITIONS, Vendor, element, iso, timestamp

_signing = threading.Lock()


class Oss(Vendor):
    name, prefix, server, request_id = "oss", "x-oss-", "AliyunOSS", "x-oss-request-id"
    foreign = ("x-amz-", "x-cos-")
    query_credentials = ("signature", "x-oss-signature", "ossaccesskeyid")
    unaddressed, bad_host = "SecondLevelDomainForbidden", "NonStandardHostForbidden"
    versioned_directive, tells_span = True, True
    sse_words = ("AES256", "KMS", "SM4")
    messages = {
        "NoSuchKey": "The specified key does not exist.", "NoSuchBucket": "The specified bucket does not exist.",
        "NoSuchVersion": "The specified version does not exist.", "NoSuchUpload": "The specified upload does not exist. "
        "The upload ID may be invalid, or the upload may have been aborted or completed.",
        "PreconditionFailed": "At least one of the pre-conditions you specified did not hold.",
        "SignatureDoesNotMatch": "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
        "InvalidAccessKeyId": "The OSS Access Key Id you provided does not exist in our records.",
        "RequestTimeTooSkewed": "The difference between the request time and the current time is too large.",
        "InvalidDigest": "The Content-MD5 you specified was invalid.",
        "FileAlreadyExists": "The object you specified already exists and can not be overwritten.",
        "MethodNotAllowed": "The specified method is not allowed against this resource.",
        "InvalidRange": "The requested range cannot be satisfied.",
        "BucketNotEmpty": "The bucket has objects. Please delete them first.",
        "SecondLevelDomainForbidden": "Please use virtual hosted style to access.",
    }
    numbers = {"NoSuchKey": "0026-00000001", "NoSuchBucket": "0015-00000101", "SignatureDoesNotMatch": "0002-00000201",
               "InvalidAccessKeyId": "0002-00000902", "NoSuchUpload": "0042-00000311", "MethodNotAllowed": "0017-00000001"}
    upper, second_listing, head_bucket, page = True, True, False, 100
    classes = ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive")
    standard, bad_class = "Standard", "InvalidArgument"
    acls = ("default", "private", "public-read", "public-read-write")
    default_acl, acl_name = "default", "object-acl"
    bucket_acls = ("private", "public-read", "public-read-write")
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
            raise Fault(400, "InvalidArgument", "Unsupported Authorization Type")

    def oss_request(self, request):
        return SimpleNamespace(
            method=request.method, headers=dict(request.headers), params=dict(request.query), region=self.region,
            product="oss", cloudbox_id=None, url="")

    def verify_first(self, request, line):
        """2.2"""
        key_id, _, signature = line[4:].partition(":")
        if key_id != self.key_id:
            raise Fault(403, "InvalidAccessKeyId")
        date = request.headers.get("x-oss-date") or request.headers.get("date", "")
        at = timestamp(date)
        if at is None:
            raise Fault(403, "AccessDenied", "OSS authentication requires a valid Date.")
        if abs(at - time.time()) > 900:
            raise Fault(403, "RequestTimeTooSkewed")
        auth = oss2.Auth(self.key_id, self.secret)
        make = auth._ProviderAuth__make_signature
        found = make(self.oss_request(request), request.bucket, request.key, auth.credentials_provider.get_credentials())
        if found != signature:
            raise Fault(403, "SignatureDoesNotMatch")

    def verify_fourth(self, request, line):
        """2.5"""
        items = dict(item.strip().partition("=")[::2] for item in line[len("OSS4-HMAC-SHA256"):].split(","))
        scope = items.get("Credential", "").rsplit("/", 4)
        stamp = request.headers.get("x-oss-date", "")
        if len(scope) != 5 or not items.get("Signature") or not re.fullmatch(r"\d{8}T\d{6}Z", stamp):
            raise Fault(400, "InvalidArgument", "Authorization header is invalid.")
        key_id, day, region, product, end = scope
        if key_id != self.key_id:
            raise Fault(403, "InvalidAccessKeyId")
        if region != self.region:
            raise Fault(400, "InvalidArgument", "Invalid signing region in Authorization header.")
        if (product, end) != ("oss", "aliyun_v4_request") or day != stamp[:8]:
            raise Fault(400, "InvalidArgument", "Invalid signing product or date in Authorization header.")
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
        children = element("Code", error.code) + element("Message", error.message)
        children += element("RequestId", identity) + element("HostId", request.host)
        detail = {"NoSuchKey": ("Key", request.key), "NoSuchBucket": ("BucketName", request.bucket),
                  "BucketNotEmpty": ("BucketName", request.bucket), "NoSuchUpload": ("UploadId", request.param("uploadId"))}
        children += element(*detail[error.code]) if error.code in detail else ""
        if error.code in self.numbers:
            error.headers["x-oss-ec"] = self.numbers[error.code]
            children += element("EC", self.numbers[error.code])
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{children}</Error>'.encode()

    def head_error(self, body):
        return {"x-oss-err": base64.b64encode(body).decode()}

    def new_upload_id(self):
        return secrets.token_hex(16).upper()

    def common_headers(self, answer):
        return {**super().common_headers(answer), "x-oss-server-time": "1"}

    def unknown(self, request):
        raise Fault(400, "NotImplemented", f"{request.method} {request.path}")

    def op_bucket_create(self, request):
        if request.bucket in self.store.buckets:
            return Answer(200)  # (unverified)
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

    def number_of(self, request, name, default):
        number = super().number_of(request, name, default)
        if number > 1000:
            raise Fault(400, "InvalidArgument", f"{name}: {number}")
        return number

    def listed_type(self, row):
        return element("Type", "Multipart" if "-" in row.etag else "Normal")

    def encoded(self, request, text):
        return quote(text, safe="") if request.param("encoding-type") == "url" else text

    def told_class(self, stored):
        return {"x-oss-storage-class": stored.storage_class or "Standard",
                "x-oss-object-type": "Multipart" if "-" in stored.etag else "Normal"}

    def told(self, stored, new=False):
        digest = {} if "-" in stored.etag or not stored.etag else {
            "Content-MD5": base64.b64encode(bytes.fromhex(stored.etag)).decode()}
        return {**super().told(stored, new), **digest}

    def grants(self, acl, owner):
        """3.4"""
        return element("Grant", acl)

    def refuse_plain_conditions(self, request):
        """3.3: not on writes."""
        for name in CONDITIONS:
            if name in request.headers:
                raise Fault(400, "NotImplemented", f"A header you provided implies what is not implemented: {name}")

    def op_put(self, request):
        self.refuse_plain_conditions(request)
        return super().op_put(request)

    def op_initiate(self, request):
        self.refuse_plain_conditions(request)
        return super().op_initiate(request)

    def op_complete(self, request):
        self.refuse_plain_conditions(request)
        return super().op_complete(request)

    def listed_parts(self, request, upload):
        """3.5"""
        if self.own(request, "complete-all") != "yes":
            return super().listed_parts(request, upload)
        if request.body:
            raise Fault(400, "InvalidArgument", "Should not speficy both complete all header and http body.")
        return [(number, part.etag) for number, part in sorted(upload.parts.items())]

    def source_headers(self, bucket, stored, new):
        """4.9"""
        headers = super().source_headers(bucket, stored, new)
        headers.pop("Content-MD5", None)
        return headers

    def copy_result(self, root, made, headers):
        etag, at = element("ETag", self.quoted(made.etag)), element("LastModified", self.copy_time(made.modified))
        return self.document(root, etag + at if root == "CopyObjectResult" else at + etag, headers)

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
