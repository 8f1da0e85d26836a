"""A double of Tencent COS. Signatures are recomputed with the code of cos-python-sdk-v5."""

import base64
import hashlib
import hmac
import re
import secrets
import threading
import time
from types import SimpleNamespace
from urllib.parse import unquote

from qcloud_cos import CosConfig, cos_auth

from . import documents
from .documents import element, only
from .server import Response, VendorError, main
from .settings import Setting
from .text import iso
from .vendor import OF_OBJECTS, Vendor

ACCESS = "AccessFrequency?(AccessCountLessThan=#, RecentDays?=#)"
LATER = "STANDARD_IA|INTELLIGENT_TIERING|ARCHIVE|DEEP_ARCHIVE|MAZ_STANDARD_IA|MAZ_INTELLIGENT_TIERING"
TAG = "Tag*(Key, Value)"

#: The bucket settings of COS, with the shapes of their documents.
SETTINGS = {
    "cors": Setting("BucketCors", "CORSConfiguration(CORSRule+(ID?, AllowedOrigin+, "
                    "AllowedMethod+=GET|PUT|HEAD|POST|DELETE, AllowedHeader*, ExposeHeader*, MaxAgeSeconds?=#), ResponseVary?=!)",
                    "NoSuchCORSConfiguration", limit=("CORSRule", 100, "InvalidRequest")),
    "lifecycle": Setting("BucketLifecycle", f"""LifecycleConfiguration(Rule+(ID?,
        Filter?(Prefix?, Tag?(Key, Value), And?(Prefix?, {TAG}, PrefixNotEquals*, ObjectSizeGreaterThan?=#,
        ObjectSizeLessThan?=#)), Prefix?, Status=Enabled|Disabled, Transition*(Days^=#, Date^, StorageClass={LATER}, {ACCESS}),
        Expiration?(Days^=#, Date^, ExpiredObjectDeleteMarker^=!),
        NoncurrentVersionTransition*(NoncurrentDays=#, StorageClass={LATER}, {ACCESS}),
        NoncurrentVersionExpiration?(NoncurrentDays=#), AbortIncompleteMultipartUpload?(DaysAfterInitiation=#)))""",
        "NoSuchLifecycleConfiguration"),
    "tagging": Setting("BucketTagging", f"Tagging(TagSet({TAG}))", "NoSuchTagSet", put=204),
    "policy": Setting("BucketPolicy", missing="NoSuchBucketPolicy", put=204),
    "website": Setting("BucketWebsite", """WebsiteConfiguration(IndexDocument?(Suffix), RedirectAllRequestsTo?(Protocol=https),
        AutoAddressing?(Status=Enabled|Disabled),
        ErrorDocument?(Key, OriginalHttpStatus?=Enabled|Disabled, Charity404?=Enabled|Disabled), RoutingRules?(RoutingRule+(
        Condition(HttpErrorCodeReturnedEquals^=#, KeyPrefixEquals^),
        Redirect(Protocol?=https, ReplaceKeyWith?, ReplaceKeyPrefixWith?, URLRedirect?=Enabled|Disabled))))""",
        "NoSuchWebsiteConfiguration"),
    "logging": Setting("BucketLogging", "BucketLoggingStatus(LoggingEnabled?(TargetBucket, TargetPrefix?))", methods="GET PUT"),
    "encryption": Setting("BucketEncryption", """ServerSideEncryptionConfiguration(Rule(ApplyServerSideEncryptionByDefault(
        SSEAlgorithm=AES256|KMS|SM4, KMSMasterKeyID?, KMSAlgorithm?=AES256|SM4)))""", "NoSuchEncryptionConfiguration"),
    "inventory": Setting("BucketInventoryConfiguration", f"""InventoryConfiguration(Id, IsEnabled=!,
        IncludedObjectVersions=All|Current, Filter?(Prefix?, And?(Prefix?, {TAG}, StorageClass?), Period?(StartTime?, EndTime?)),
        OptionalFields?(Field+), Schedule(Frequency=Daily|Weekly|Monthly, MonthlyDate?=#), Destination(COSBucketDestination(
        Bucket, AccountId?, Prefix?, Format=CSV, Encryption?(SSE-COS?))))""", "InventoryConfigurationNotFoundError",
        identity="id", listed="ListInventoryConfigurationResult"),
    "accelerate": Setting("BucketAccelerateConfiguration",
                          "AccelerateConfiguration(Status=Enabled|Suspended|Disabled, Type?=COS)", methods="GET PUT"),
    "referer": Setting("BucketReferer", """RefererConfiguration(Status=Enabled|Disabled, RefererType=White-List|Black-List,
        DomainList(Domain+), EmptyReferConfiguration?=Allow|Deny, VerifySignatureURL?)""", "NoSuchRefererConfiguration"),
    "object-lock": Setting("ObjectLockConfiguration", """ObjectLockConfiguration(ObjectLockEnabled=Enabled,
        Rule?(DefaultRetention(Mode?=COMPLIANCE|GOVERNANCE, Days=#)))""", "NoSuchObjectLockConfiguration", methods="GET PUT"),
}

_signing = threading.Lock()


class Cos(Vendor):
    name, prefix, server, request_id = "cos", "x-cos-", "tencent-cos", "x-cos-request-id"
    foreign = ("x-amz-", "x-oss-")
    query_credentials = ("q-signature", "sign")
    unaddressed = "PathStyleDomainForbidden"
    prefixes_first, replies_etag = True, False
    buckets_usual = buckets_most = 2000
    owner, groups = "1250000000", "http://cam.qcloud.com/groups/global/"
    acl_owner, anyone = "qcs::cam::uin/100000000001:uin/100000000001", ("qcs::cam::anyone:anyone",)
    identity_form = r"qcs::cam::(uin/\d+:uin/\d+|anyone:anyone)|\d+"
    settings, put_tagging, returns_null, unversioned = SETTINGS, 204, False, ""
    of_objects = {**OF_OBJECTS, "append": {"POST": "append"}, "retention": {"GET": "retention", "PUT": "put_retention"}}
    missing_md5 = "MissingContentMD5"
    deleted_order = ("Key", "DeleteMarker", "DeleteMarkerVersionId", "VersionId")
    version_order = ("EncodingType", "Name", "Prefix", "KeyMarker", "VersionIdMarker", "MaxKeys", "IsTruncated", "NextKeyMarker",
                     "NextVersionIdMarker", "Delimiter", "CommonPrefixes", "rows")
    version_row_order = ("Key", "VersionId", "IsLatest", "LastModified", "ETag", "Size", "StorageClass", "Owner")
    upload_order = ("Bucket", "EncodingType", "KeyMarker", "UploadIdMarker", "NextKeyMarker", "NextUploadIdMarker", "MaxUploads",
                    "Prefix", "Delimiter", "IsTruncated", "rows", "CommonPrefixes")
    upload_encoding = "Encoding-Type"
    restore_shape = documents.shape("RestoreRequest(Days=#, CASJobParameters?(Tier=Expedited|Standard|Bulk))")
    archives, unrestorable, restored_again = ("ARCHIVE", "DEEP_ARCHIVE"), (405, "RestoreNonArchiveObject"), 202
    signature_fields = ("q-ak", "q-sign-algorithm", "q-key-time", "q-signature")
    lock_setting, no_lock = "object-lock", (404, "NoSuchObjectLockConfiguration")
    retention_shape = documents.shape("Retention(Mode?=COMPLIANCE|GOVERNANCE, RetainUntilDate)")
    bad_until = (409, "InvalidLockedTime")
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
        """COS, common response headers: x-cos-request-id."""
        return base64.b64encode(f"{int(time.time()):x}_{secrets.token_hex(4)}_{secrets.token_hex(2)}_1a".encode()).decode()

    def new_upload_id(self):
        return f"{int(time.time()):010d}{secrets.token_hex(32)}"

    def error_headers(self):
        return {"x-cos-trace-id": base64.b64encode(secrets.token_hex(64).encode()).decode()}

    def error_document(self, error, request, identity):
        """COS, error codes: the error document."""
        children = element("Code", error.code) + element("Message", error.message)
        children += element("Resource", request.host + request.path) + element("RequestId", identity)
        children += element("TraceId", base64.b64encode(identity.encode()).decode())
        return f"<?xml version='1.0' encoding='utf-8' ?>\n<Error>{children}</Error>".encode()

    def host_form(self):
        return rf"^(.+\.)?cos\.{re.escape(self.region)}\."

    def reject_path_style(self):
        raise VendorError(403, "PathStyleDomainForbidden")

    def verify(self, request):
        """COS, request signature; in addition the double requires that all headers and parameters with an effect are signed."""
        fields = dict(pair.partition("=")[::2] for pair in request.headers["authorization"].split("&"))
        wanted = ("q-sign-algorithm", "q-ak", "q-sign-time", "q-key-time", "q-header-list", "q-url-param-list", "q-signature")
        times = re.fullmatch(r"(\d+);(\d+)", fields.get("q-sign-time", ""))
        if set(fields) != set(wanted) or fields["q-sign-algorithm"] != "sha1" or not times:
            raise VendorError(403, "AccessDenied", "malformed Authorization")
        if fields["q-ak"] != self.key_id:
            raise VendorError(403, "InvalidAccessKeyId")
        start, end = int(times[1]), int(times[2])
        if start > time.time() + 900:
            raise VendorError(403, "RequestTimeTooSkewed")
        if time.time() > end or start >= end:
            raise VendorError(403, "AccessDenied", "Request has expired")
        names = [name for name in unquote(fields["q-header-list"]).split(";") if name]
        params = [name for name in unquote(fields["q-url-param-list"]).split(";") if name]
        unsigned = [n for n in request.headers if (n == "host" or n.startswith("x-cos-") or n == "range") and n not in names]
        unsigned += [n for n, _ in request.query if n.lower() not in params]
        if unsigned:
            raise VendorError(403, "AccessDenied", f"Strict signature missing: {unsigned}")
        headers = {name: request.headers.get(name, "") for name in names}
        query = {name: value for name, value in request.query if name.lower() in params}
        # The vendor's SDK signs the host without the port.
        hosts = [headers.get("host"), headers.get("host", "").partition(":")[0]]
        tried = [{**headers, "host": host} if "host" in headers else headers for host in hosts]
        signed = [self.sdk_signature(request, one, query, start, end) for one in tried]
        if request.headers["authorization"] not in signed:
            raise VendorError(403, "SignatureDoesNotMatch")

    def sdk_signature(self, request, headers, query, start, end):
        config = CosConfig(Region=self.region, SecretId=self.key_id, SecretKey=self.secret, Scheme="http")
        auth = cos_auth.CosS3Auth(config, unquote(request.path), query, expire=end - start - 60)
        message = SimpleNamespace(method=request.method, headers=dict(headers), url=f"http://{request.host}{request.path}")
        with _signing:
            clock, original = cos_auth.time, cos_auth.filter_headers
            cos_auth.time = SimpleNamespace(time=lambda: start + 60)
            cos_auth.filter_headers = dict  # The request has the list of signed headers.
            try:
                auth(message)
            finally:
                cos_auth.time, cos_auth.filter_headers = clock, original
        return message.headers["Authorization"]

    def source(self, request):
        """COS, PUT Object - Copy, x-cos-copy-source: with the host, or with the bucket only."""
        path, version = self.split_version(self.own(request, "copy-source"))
        match = re.fullmatch(r"(?:([^/]+)\.cos\.([^./]+)\.[^/]+|/([^/]+))/(.+)", path, re.DOTALL)
        if not match:
            raise VendorError(400, "InvalidCopySource", path)
        host_bucket, region, path_bucket, key = match.groups()
        if region and region != self.region:
            raise VendorError(404, "NoSuchBucket", path)
        return host_bucket or path_bucket, unquote(key), version

    def bucket_page(self, rows, page):
        """COS, GET Service (List Buckets)."""
        return rows + "".join(element(name, page[name]) for name in ("Marker", "NextMarker", "IsTruncated"))

    def bucket_row(self, bucket):
        """COS, GET Service (List Buckets)."""
        fields = element("Name", bucket.name) + element("Location", self.region)
        return f"<Bucket>{fields}{element('CreationDate', iso(bucket.created, 'Z'))}{element('BucketType', 'cos')}</Bucket>"

    def op_list(self, request):
        response = super().op_list(request)
        response.headers["x-cos-bucket-region"] = self.region
        return response

    def check_listing(self, request):
        super().check_listing(request)
        if len(request.param("delimiter") or "") > 1:
            raise VendorError(400, "InvalidDelimiter", request.param("delimiter"))

    def op_complete(self, request):
        """COS, PUT Object: x-cos-version-id is returned also for the version "null"."""
        response = super().op_complete(request)
        if self.bucket(request).versioning == "Suspended":
            response.headers["x-cos-version-id"] = "null"
        return response

    def form_signature(self, fields):
        """COS, POST Object: the signature of the policy before its Base64 encoding."""
        times = re.fullmatch(r"(\d+);(\d+)", fields["q-key-time"])
        if fields["q-sign-algorithm"] != "sha1" or not times:
            raise VendorError(403, "AccessDenied", "malformed signature fields")
        if not int(times[1]) - 900 <= time.time() <= int(times[2]):
            raise VendorError(403, "AccessDenied", "Request has expired")
        key = hmac.new(self.secret.encode(), fields["q-key-time"].encode(), hashlib.sha1).hexdigest()
        digest = hashlib.sha1(base64.b64decode(fields["policy"])).hexdigest()
        return fields["q-ak"], fields["q-signature"], hmac.new(key.encode(), digest.encode(), hashlib.sha1).hexdigest()

    def describe_object(self, request, stored, content=True):
        stored = super().describe_object(request, stored, content)
        redirect = self.own(request, "website-redirect-location")
        if redirect:
            stored.headers["x-cos-website-redirect-location"] = redirect
        return stored

    def put_setting(self, request, bucket, place, setting):
        """The Go SDK deletes a referer list by putting an empty one."""
        empty = rb"(<\?[^>]*>)?\s*(<RefererConfiguration\s*/>|<RefererConfiguration>\s*</RefererConfiguration>)?"
        if place[0] == "referer" and re.fullmatch(empty, request.body.strip()):
            bucket.settings.pop(place, None)
            return Response(200)
        return super().put_setting(request, bucket, place, setting)

    def rename_fields(self, fields):
        return {"q-sign-time": fields["q-key-time"]}

    def required_conditions(self, fields):
        return ("q-sign-algorithm", "q-ak", "q-sign-time")

    def append_headers(self, request):
        """COS, APPEND Object: x-cos-content-sha1 contains the MD5."""
        return {"x-cos-content-sha1": hashlib.md5(request.body).hexdigest()}

    def object_policy(self, bucket, stored):
        """COS, GET Object acl: an inherited ACL is `default`, with the grants that apply."""
        if stored.acl != "default" or stored.grants:
            return super().object_policy(bucket, stored)
        response = self.policy(bucket.acl, bucket.grants)
        response.headers["x-cos-acl"] = "default"
        return response

    def default_encryption(self, bucket):
        found = only(bucket.settings.get(("encryption", ""), {}), "Rule", "ApplyServerSideEncryptionByDefault")
        if not found:
            return {}
        word = only(found, "SSEAlgorithm")
        headers = {"x-cos-server-side-encryption": "cos/kms" if word == "KMS" else word}
        key = only(found, "KMSMasterKeyID")
        return headers | ({"x-cos-server-side-encryption-cos-kms-key-id": key} if word == "KMS" and key else {})

    def check_pairs(self, given):
        """COS, PUT Object - Copy: the pairs of conditions that are allowed."""
        positive = given["if-match"] or given["if-unmodified-since"]
        negative = given["if-none-match"] or given["if-modified-since"]
        if positive and negative:
            raise VendorError(400, "InvalidArgument", "conditions conflict")

    def onto_itself(self, request, replace, replace_tags):
        """COS, PUT Object - Copy: a copy of an object onto itself must replace its metadata."""
        if not (replace or replace_tags):
            raise VendorError(400, "InvalidRequest", "copy onto itself")
        return replace

    def copy_result(self, root, made, headers):
        """COS, PUT Object - Copy, response."""
        children = element("ETag", self.quote_etag(made.etag)) + element("CRC64", made.crc64())
        children += element("LastModified", self.copy_time(made.modified))
        children += element("VersionId", made.version) if made.version else ""
        return self.document(root, children, headers)


if __name__ == "__main__":
    main(Cos, "ap-guangzhou")
