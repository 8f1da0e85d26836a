"""A double of JD Cloud: S3 without conditions on copies. Signatures are recomputed with botocore's own code."""

import hashlib
import re
import secrets
import time
from datetime import datetime, timezone
from urllib.parse import unquote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from . import documents
from .documents import element, only
from .extras import TagLimits
from .server import VendorError, main
from .settings import Setting
from .text import iso
from .vendor import CONDITIONS, Vendor

LATER = "STANDARD_IA|GLACIER"
TAG = "Tag*(Key, Value)"

#: The bucket settings that JD Cloud documents, with the shapes of their documents.
SETTINGS = {
    "cors": Setting("BucketCors", "CORSConfiguration(CORSRule+(ID?, AllowedHeader*, AllowedMethod+=GET|PUT|HEAD|POST|DELETE, "
                    "AllowedOrigin+, ExposeHeader*, MaxAgeSeconds?=#))", "NoSuchCORSConfiguration",
                    limit=("CORSRule", 100, "InvalidRequest")),
    "lifecycle": Setting("BucketLifecycleConfiguration", f"""LifecycleConfiguration(Rule+(ID?,
        Filter?(Prefix?, Tag?(Key, Value), ObjectSizeGreaterThan?=#, ObjectSizeLessThan?=#,
        And?(Prefix?, {TAG}, ObjectSizeGreaterThan?=#, ObjectSizeLessThan?=#)), Prefix?, Status=Enabled|Disabled,
        Expiration?(Days^=#, Date^, ExpiredObjectDeleteMarker^=!), Transition*(Days^=#, Date^, StorageClass={LATER}),
        NoncurrentVersionExpiration?(NoncurrentDays=#, NewerNoncurrentVersions?=#),
        NoncurrentVersionTransition*(NoncurrentDays=#, NewerNoncurrentVersions?=#, StorageClass={LATER}),
        AbortIncompleteMultipartUpload?(DaysAfterInitiation=#)))""", "NoSuchLifecycleConfiguration"),
    "tagging": Setting("BucketTagging", f"Tagging(TagSet({TAG}))", "NoSuchTagSet", put=204),
    "policy": Setting("BucketPolicy", missing="NoSuchBucketPolicy", put=204),
    "website": Setting("BucketWebsite", """WebsiteConfiguration(RedirectAllRequestsTo?(HostName, Protocol?=http|https),
        IndexDocument?(Suffix), ErrorDocument?(Key), RoutingRules?(RoutingRule+(
        Condition?(HttpErrorCodeReturnedEquals?=#, KeyPrefixEquals?),
        Redirect(HostName?, HttpRedirectCode?=#, Protocol?=http|https, ReplaceKeyPrefixWith?, ReplaceKeyWith?))))""",
        "NoSuchWebsiteConfiguration"),
    "logging": Setting("BucketLogging", "BucketLoggingStatus(LoggingEnabled?(TargetBucket, TargetPrefix))", methods="GET PUT"),
    "encryption": Setting("BucketEncryption", """ServerSideEncryptionConfiguration(Rule+(ApplyServerSideEncryptionByDefault(
        SSEAlgorithm=AES256|aws:kms, KMSMasterKeyID?), BucketKeyEnabled?=!))""",
        "ServerSideEncryptionConfigurationNotFoundError"),
    "publicAccessBlock": Setting("PublicAccessBlock", """PublicAccessBlockConfiguration(BlockPublicAcls?=!, IgnorePublicAcls?=!,
        BlockPublicPolicy?=!, RestrictPublicBuckets?=!)""", "NoSuchPublicAccessBlockConfiguration"),
    "inventory": Setting("BucketInventoryConfiguration", """InventoryConfiguration(Destination(S3BucketDestination(AccountId?,
        Bucket, Format=CSV|ORC|Parquet, Prefix?, Encryption?(SSE-S3?, SSE-KMS?(KeyId)))), IsEnabled=!, Filter?(Prefix), Id,
        IncludedObjectVersions=All|Current, OptionalFields?(Field+), Schedule(Frequency=Daily|Weekly))""", "NoSuchConfiguration",
        identity="id", listed="ListInventoryConfigurationsResult"),
}


class Signer(S3SigV4Auth):
    """Signs only the headers in the request's SignedHeaders."""

    def __init__(self, credentials, region, names):
        super().__init__(credentials, "s3", region)
        self.names = names

    def headers_to_sign(self, request):
        headers = super().headers_to_sign(request)
        for name in list(headers):
            if name not in self.names:
                del headers[name]
        for name in self.names:
            if name not in headers:
                headers[name] = request.headers.get(name, "")
        return headers

    def payload(self, request):
        return request.headers["x-amz-content-sha256"]


class Jdcloud(Vendor):
    name, prefix, server, request_id = "jdcloud", "x-amz-", "JDCloudOSS", "x-amz-request-id"
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    foreign = ("x-cos-", "x-oss-")
    query_credentials = ("x-amz-signature", "signature")
    replies_etag, always_next = False, False
    groups = "http://acs.amazonaws.com/groups/global/"
    settings, cors_vary, both_acls = SETTINGS, True, "UnexpectedContent"
    bad_versioning, bad_identity, next_markers = "IllegalVersioningConfigurationException", "IdMismatch", "filled"
    object_tags = TagLimits(10, 128, 256, "BadRequest")
    restore_shape = documents.shape("""RestoreRequest(Days=#, GlacierJobParameters?(Tier=Expedited|Standard|Bulk),
        Tier?=Expedited|Standard|Bulk)""")
    archives = ("GLACIER",)
    signature_fields = ("x-amz-credential", "x-amz-algorithm", "x-amz-date", "x-amz-signature")
    covers_all, uncovered, pairs_markers = True, signature_fields, True
    missing_key, bad_form_type = "InvalidArgument", (412, "PreconditionFailed")
    marker_source = (400, "InvalidRequest")
    messages = {
        "NoSuchKey": "The specified key does not exist.", "NoSuchBucket": "The specified bucket does not exist.",
        "NoSuchUpload": "The specified multipart upload does not exist.", "AccessDenied": "Access Denied",
        "PreconditionFailed": "At least one of the pre-conditions you specified did not hold",
        "SignatureDoesNotMatch": "The request signature we calculated does not match the signature you provided.",
        "InvalidAccessKeyId": "The key id you provided does not exist in our records.",
    }
    has_crc, second_listing = False, True
    classes = ("STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "GLACIER")
    standard, bad_class = "STANDARD", "InvalidStorageClass"
    acls = ("private", "public-read", "public-read-write", "authenticated-read")
    default_acl = "private"
    metadata_words = {"COPY": "copy", "REPLACE": "replace"}
    tagging_words = {"COPY": "copy", "REPLACE": "replace"}
    default_type = "binary/octet-stream"
    part_minimum = 5 * 1024 * 1024
    too_large = "InvalidRequest"
    known = {
        "date", "content-sha256", "security-token", "acl", "grant-read", "grant-write", "grant-read-acp", "grant-write-acp",
        "grant-full-control", "storage-class", "tagging", "tagging-directive",
        "metadata-directive", "copy-source", "copy-source-range",
    }

    @staticmethod
    def copy_time(at):
        return iso(at, "")

    def host_form(self):
        return rf"^(.+\.)?s3\.{re.escape(self.region)}\."

    def verify(self, request):
        """Amazon S3, Authenticating Requests (AWS Signature Version 4), Authorization header."""
        line = request.headers.get("authorization", "")
        if not line.startswith("AWS4-HMAC-SHA256 "):
            raise VendorError(403, "AccessDenied", "only version 4 of the signature")
        items = dict(item.strip().partition("=")[::2] for item in line[len("AWS4-HMAC-SHA256 "):].split(","))
        scope = items.get("Credential", "").rsplit("/", 4)
        names = items.get("SignedHeaders", "").split(";")
        stamp = request.headers.get("x-amz-date", "")
        if len(scope) != 5 or set(items) != {"Credential", "SignedHeaders", "Signature"}:
            raise VendorError(400, "AuthorizationHeaderMalformed", "Credential, SignedHeaders and Signature")
        if not re.fullmatch(r"\d{8}T\d{6}Z", stamp):
            raise VendorError(403, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
        word = request.headers.get("x-amz-content-sha256", "")
        if word.startswith("STREAMING"):
            raise VendorError(501, "NotImplemented", word)
        if word != "UNSIGNED-PAYLOAD" and not re.fullmatch(r"[0-9a-f]{64}", word):
            raise VendorError(400, "InvalidRequest", "x-amz-content-sha256")
        key_id, day, region, service, end = scope
        if key_id != self.key_id:
            raise VendorError(403, "InvalidAccessKeyId")
        if (region, service, end) != (self.region, "s3", "aws4_request") or day != stamp[:8]:
            raise VendorError(400, "AuthorizationHeaderMalformed", line.split(",")[0])
        at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc).timestamp()
        if abs(at - time.time()) > 900:
            raise VendorError(403, "RequestTimeTooSkewed")
        unsigned = [n for n in request.headers if (n == "host" or n.startswith("x-amz-")) and n not in names]
        if unsigned or names != sorted(names):
            raise VendorError(403, "AccessDenied", f"not signed: {unsigned}")
        if self.sdk_signature(request, names, stamp) != items["Signature"]:
            raise VendorError(403, "SignatureDoesNotMatch")
        self.check_payload(request)

    def sdk_signature(self, request, names, stamp):
        message = AWSRequest(
            request.method, f"http://{request.host}{request.path}", headers=dict(request.headers),
            params=dict(request.query))
        message.context["timestamp"] = stamp
        signer = Signer(Credentials(self.key_id, self.secret), self.region, names)
        canonical = signer.canonical_request(message)
        return signer.signature(signer.string_to_sign(message, canonical), message)

    def form_signature(self, fields):
        """Amazon S3, Browser-Based Uploads Using POST, signature version 4."""
        key_id, day, region, service, end = self.scope_of(fields["x-amz-credential"])
        if fields["x-amz-algorithm"] != "AWS4-HMAC-SHA256" or (region, service, end) != (self.region, "s3", "aws4_request"):
            raise VendorError(400, "AuthorizationHeaderMalformed", fields["x-amz-credential"])
        message = AWSRequest("POST", "http://form/")
        message.context["timestamp"] = fields["x-amz-date"]
        signer = Signer(Credentials(self.key_id, self.secret), self.region, [])
        return key_id, fields["x-amz-signature"], signer.signature(fields["policy"], message)

    def scope_of(self, text):
        scope = text.rsplit("/", 4)
        if len(scope) != 5:
            raise VendorError(400, "AuthorizationHeaderMalformed", "Credential")
        return scope

    def check_payload(self, request):
        word = request.headers["x-amz-content-sha256"]
        if word != "UNSIGNED-PAYLOAD" and word != hashlib.sha256(request.body).hexdigest():
            raise VendorError(400, "XAmzContentSHA256Mismatch")

    def reject_foreign(self, request):
        for name in CONDITIONS:
            if "x-amz-copy-source-" + name in request.headers:
                raise VendorError(400, "UnsupportedHeader", name)
            if name in request.headers and request.method not in ("GET", "HEAD"):
                raise VendorError(400, "UnsupportedHeader", name)  # JD Cloud documents no conditional writes.
        super().reject_foreign(request)

    def source(self, request):
        path, version = self.split_version(self.own(request, "copy-source"))
        # The documents have a leading slash; boto3 sends none.
        bucket, _, key = unquote(path).removeprefix("/").partition("/")
        if not key:
            raise VendorError(400, "InvalidArgument", "Invalid copy source object key")
        return bucket, key, version

    def new_id(self):
        return secrets.token_hex(8).upper()

    def new_upload_id(self):
        return secrets.token_hex(16) + "._-" + secrets.token_urlsafe(24)

    def error_document(self, error, request, identity):
        children = element("Code", error.code) + element("Message", error.message)
        children += element("Key", request.key) if error.code in ("NoSuchKey", "NoSuchVersion") else ""
        children += element("Resource", request.path) + element("RequestId", identity)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{children}</Error>'.encode()

    def blocks_public(self, bucket):
        return only(bucket.settings.get(("publicAccessBlock", ""), {}), "BlockPublicAcls") == "true"

    def default_encryption(self, bucket):
        found = only(bucket.settings.get(("encryption", ""), {}), "Rule", "ApplyServerSideEncryptionByDefault")
        return {"x-amz-server-side-encryption": only(found, "SSEAlgorithm")} if found else {}

    def copy_result(self, root, made, headers):
        """JD Cloud, Put Object - Copy, response: LastModified is before ETag."""
        children = element("LastModified", self.copy_time(made.modified)) + element("ETag", self.quote_etag(made.etag))
        return self.document(root, children, headers)

    def onto_itself(self, request, replace, replace_tags):
        """Amazon S3, CopyObject: a copy of an object onto itself must change its metadata."""
        changes = ("storage-class", "server-side-encryption", "website-redirect-location")
        if not replace and not any(self.own(request, name) for name in changes):
            raise VendorError(400, "InvalidRequest", "This copy request is illegal because it is trying to copy an object to "
                              "itself without changing the object's metadata")
        return replace


if __name__ == "__main__":
    main(Jdcloud, "cn-north-1")
