"""A double of Alibaba OSS. Signatures are recomputed with oss2's own code."""

import base64
import hashlib
import hmac
import json
import re
import secrets
import threading
import time
from datetime import datetime, timezone
from types import SimpleNamespace
from urllib.parse import quote, unquote_plus

import oss2
from oss2.credentials import StaticCredentialsProvider

from . import documents
from .documents import element, only
from .extras import TagLimits
from .server import Response, VendorError, main
from .settings import Setting
from .store import crc64, md5
from .text import http_date, iso, timestamp
from .vendor import CONDITIONS, OF_BUCKETS, OF_OBJECTS, Vendor
from .worm import Worm

TAG = "Tag*(Key, Value)"
MOVED = """StorageClass=Standard|IA|Archive|ColdArchive|DeepColdArchive, IsAccessTime?=!, ReturnToStdWhenVisit?=!,
    AllowSmallFile?=!"""

#: The bucket settings of OSS, with the shapes of their documents.
SETTINGS = {
    "cors": Setting("BucketCors", "CORSConfiguration(CORSRule+(AllowedOrigin+, AllowedMethod+=GET|PUT|DELETE|POST|HEAD, "
                    "AllowedHeader*, ExposeHeader*, MaxAgeSeconds?=#), ResponseVary?=!)", "NoSuchCORSConfiguration",
                    limit=("CORSRule", 10, "CORSRuleBeyondLimit")),
    "lifecycle": Setting("BucketLifecycle", f"""LifecycleConfiguration(Rule+(ID?, Prefix?, Status=Enabled|Disabled, {TAG},
        Filter?(Not*(Prefix, Tag?(Key, Value)), ObjectSizeGreaterThan?=#, ObjectSizeLessThan?=#),
        Expiration?(Days^=#, CreatedBeforeDate^, Date^, ExpiredObjectDeleteMarker^=!),
        Transition*(Days^=#, CreatedBeforeDate^, {MOVED}), AbortMultipartUpload?(Days^=#, CreatedBeforeDate^),
        NoncurrentVersionExpiration?(NoncurrentDays=#), NoncurrentVersionTransition*(NoncurrentDays=#, {MOVED})))""",
        "NoSuchLifecycle"),
    "tagging": Setting("BucketTags", f"Tagging(TagSet({TAG}))", default={"TagSet": [{}]}),
    "policy": Setting("BucketPolicy", missing="NoSuchBucketPolicy"),
    "website": Setting("BucketWebsite", """WebsiteConfiguration(
        IndexDocument?(Suffix?, SupportSubDir?=!, Type?=#), ErrorDocument?(Key?, HttpStatus?=#), RoutingRules?(RoutingRule*(
        RuleNumber=#, Condition?(KeyPrefixEquals?, KeySuffixEquals?, HttpErrorCodeReturnedEquals?=#, IncludeHeader*(
        Key?, Equals?, StartsWith?, EndsWith?)), Redirect?(RedirectType?=Mirror|External|Internal|AliCDN, PassQueryString?=!,
        Protocol?=http|https, HostName?, HttpRedirectCode?=#, EnableReplacePrefix?=!, ReplaceKeyWith?, ReplaceKeyPrefixWith?,
        MirrorURL?, MirrorURLSlave?, MirrorURLProbe?, TransparentMirrorResponseCodes?, MirrorPassQueryString?=!,
        MirrorFollowRedirect?=!, MirrorCheckMd5?=!, MirrorHeaders?(PassAll?=!, Pass*, Remove*, Set*(Key, Value)),
        MirrorSNI?=!, MirrorPassOriginalSlashes?=!, MirrorUserLastModified?=!, MirrorUsingRole?=!, MirrorRole?,
        MirrorAllowVideoSnapshot?=!, MirrorAsyncStatus?=#, MirrorTaggings?(Taggings*(Key, Value)),
        MirrorAuth?(AuthType?, Region?, AccessKeyId?, AccessKeySecret?), MirrorDstRegion?, MirrorDstVpcId?, MirrorTunnelId?,
        MirrorReturnHeaders?(ReturnHeader*(Key, Value)), MirrorProxyPass?=!, MirrorIsExpressTunnel?=!, MirrorDstSlaveVpcId?,
        MirrorAllowHeadObject?=!, MirrorSaveOssMeta?=!, MirrorAllowGetImageInfo?=!, MirrorSwitchAllErrors?=!,
        MirrorMultiAlternates?(MirrorMultiAlternate*(MirrorMultiAlternateNumber?=#, MirrorMultiAlternateURL?,
        MirrorMultiAlternateVpcId?, MirrorMultiAlternateDstRegion?))),
        LuaConfig?(Script?))))""", "NoSuchWebsiteConfiguration"),
    "logging": Setting("BucketLogging",
                       "BucketLoggingStatus(LoggingEnabled?(TargetBucket?, TargetPrefix?, LoggingRole?))"),
    "encryption": Setting("BucketEncryption", """ServerSideEncryptionRule(ApplyServerSideEncryptionByDefault(
        SSEAlgorithm=KMS|AES256|SM4, KMSMasterKeyID?, KMSDataEncryption?))""", "NoSuchServerSideEncryptionRule"),
    "referer": Setting("BucketReferer", """RefererConfiguration(AllowEmptyReferer=!, AllowTruncateQueryString?=!, TruncatePath?=!,
        RefererList(Referer*), RefererBlacklist?(Referer*))""", methods="GET PUT",
        default={"AllowEmptyReferer": ["true"], "RefererList": [{}]}),
    "requestPayment": Setting("BucketRequestPayment", "RequestPaymentConfiguration(Payer=BucketOwner|Requester)",
                              methods="GET PUT", default={"Payer": ["BucketOwner"]}),
    "transferAcceleration": Setting("BucketTransferAcceleration", "TransferAccelerationConfiguration(Enabled=!)",
                                    "NoSuchTransferAccelerationConfiguration", methods="GET PUT"),
    "accessmonitor": Setting("BucketAccessMonitor", "AccessMonitorConfiguration(Status=Enabled|Disabled)", methods="GET PUT",
                             default={"Status": ["Disabled"]}),
    "bucketArchiveDirectRead": Setting("BucketArchiveDirectRead", "ArchiveDirectReadConfiguration(Enabled=!)",
                                       methods="GET PUT", default={"Enabled": ["false"]}),
    "resourceGroup": Setting("BucketResourceGroup", "BucketResourceGroupConfiguration(ResourceGroupId)", methods="GET PUT",
                             default={"ResourceGroupId": ["rg-default"]}),
    "httpsConfig": Setting("BucketHttpsConfig", """HttpsConfiguration(TLS?(Enable=!, TLSVersion*), CipherSuite?(Enable=!,
        StrongCipherSuite?=!, CustomCipherSuite*, TLS13CustomCipherSuite*))""", methods="GET PUT", default={}),
    "publicAccessBlock": Setting("BucketPublicAccessBlock", "PublicAccessBlockConfiguration(BlockPublicAccess=!)",
                                 default={"BlockPublicAccess": ["false"]}),
    "inventory": Setting("BucketInventory", """InventoryConfiguration(Id, IsEnabled=!, Destination(OSSBucketDestination(
        Format=CSV, AccountId, RoleArn, Bucket, Prefix?, Encryption?(SSE-OSS?, SSE-KMS?(KeyId)))),
        Schedule(Frequency=Daily|Weekly), Filter?(LastModifyBeginTimeStamp?=#, LastModifyEndTimeStamp?=#, LowerSizeBound?=#,
        UpperSizeBound?=#, StorageClass?, Prefix?), IncludedObjectVersions=All|Current, OptionalFields?(Field*))""",
        "NoSuchInventory", identity="inventoryId", listed="ListInventoryConfigurationsResult"),
    "objectWorm": Setting("BucketObjectWormConfiguration", """ObjectWormConfiguration(ObjectWormEnabled=Enabled,
        Rule?(DefaultRetention(Mode=COMPLIANCE|GOVERNANCE, Days^=#, Years^=#)))""", "NoSuchObjectWormConfiguration",
        methods="GET PUT"),
}

_signing = threading.Lock()


class Oss(Worm, Vendor):
    name, prefix, server, request_id = "oss", "x-oss-", "AliyunOSS", "x-oss-request-id"
    foreign = ("x-amz-", "x-cos-")
    query_credentials = ("signature", "x-oss-signature", "ossaccesskeyid")
    settings, unknown_status, page, echoes_delimiter, next_markers = SETTINGS, 400, 100, True, "always"
    buckets_usual, buckets_most, buckets_by_prefix = 100, 1000, True
    of_buckets = {**OF_BUCKETS, "bucketInfo": {"GET": "info"}, "stat": {"GET": "stat"},
                  "policyStatus": {"GET": "policy_status"},
                  "worm": {"GET": "worm", "POST": "put_worm", "DELETE": "delete_worm"}, "wormId": {"POST": "lock_worm"}}
    of_objects = {**OF_OBJECTS, "append": {"POST": "append"}, "objectMeta": {"HEAD": "meta"},
                  "retention": {"GET": "retention", "PUT": "put_retention"},
                  "legalHold": {"GET": "legal_hold", "PUT": "put_legal_hold"}}
    acl_words_only, cors_credentials, missing_acl = True, False, "MissingArgument"
    bad_json, bad_versioning, missing_md5, no_position = ("InvalidPolicyDocument", "InvalidArgument", "MissingArgument",
                                                          "MissingArgument")
    object_tags, bucket_tags = TagLimits(10, 128, 256, "InvalidTag"), TagLimits(20, 64, 128, "TooManyTags")
    tag_form, tag_bytes = r"[\w +\-=.:/]*", True
    row_order = ("Key", "LastModified", "ETag", "Type", "Size", "StorageClass", "Owner", "RestoreInfo")
    version_row_order = ("Key", "VersionId", "IsLatest", "LastModified", "ETag", "Type", "Size", "StorageClass", "RestoreInfo",
                         "Owner")
    upload_order = ("EncodingType", "Bucket", "KeyMarker", "UploadIdMarker", "NextKeyMarker", "NextUploadIdMarker", "Delimiter",
                    "Prefix", "MaxUploads", "IsTruncated", "rows", "CommonPrefixes")
    upload_owners = False
    restore_shape = documents.shape("RestoreRequest(Days=#, JobParameters?(Tier))")
    archives, unrestorable = ("Archive", "ColdArchive", "DeepColdArchive"), (400, "OperationNotSupported")
    bad_position, locked, lock_setting = (409, "PositionNotEqualToLength"), (409, "FileImmutable"), "objectWorm"
    retention_shape = documents.shape("Retention(Mode=COMPLIANCE|GOVERNANCE, RetainUntilDate)")
    v1_fields = ("ossaccesskeyid", "signature")
    v4_fields = ("x-oss-credential", "x-oss-signature-version", "x-oss-date", "x-oss-signature")
    signature_fields, bad_files = v1_fields + v4_fields, "IncorrectNumberOfFilesInPOSTRequest"
    acl_field, post_order = "x-oss-object-acl", ("Bucket", "ETag", "Key", "Location")
    hold_shape = documents.shape("LegalHold(Status=ON|OFF)")
    unaddressed, bad_host = "SecondLevelDomainForbidden", "NonStandardHostForbidden"
    versioned_directive, returns_range = True, True
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
    upper, second_listing, head_bucket = True, True, False
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
        "request-payer", "range-behavior", "complete-all", "allow-same-action-overlap", "hash-crc64ecma",
        "bypass-governance-retention", "object-worm-mode", "object-worm-retain-until-date", "object-worm-legal-hold",
    }

    def host_form(self):
        return rf"^(.+\.)?oss-{re.escape(self.region)}\."

    def verify(self, request):
        line = request.headers.get("authorization", "")
        if line.startswith("OSS "):
            self.verify_v1(request, line)
        elif line.startswith("OSS4-HMAC-SHA256"):
            self.verify_v4(request, line)
        else:
            raise VendorError(400, "InvalidArgument", "Unsupported Authorization Type")

    def oss_request(self, request):
        return SimpleNamespace(
            method=request.method, headers=dict(request.headers), params=dict(request.query), region=self.region,
            product="oss", cloudbox_id=None, url="")

    def verify_v1(self, request, line):
        """OSS, Include signature V1 in a header."""
        key_id, _, signature = line[4:].partition(":")
        if key_id != self.key_id:
            raise VendorError(403, "InvalidAccessKeyId")
        date = request.headers.get("x-oss-date") or request.headers.get("date", "")
        at = timestamp(date)
        if at is None:
            raise VendorError(403, "AccessDenied", "OSS authentication requires a valid Date.")
        if abs(at - time.time()) > 900:
            raise VendorError(403, "RequestTimeTooSkewed")
        auth = oss2.Auth(self.key_id, self.secret)
        make = auth._ProviderAuth__make_signature
        found = make(self.oss_request(request), request.bucket, request.key, auth.credentials_provider.get_credentials())
        if found != signature:
            raise VendorError(403, "SignatureDoesNotMatch")

    def verify_v4(self, request, line):
        """OSS, Include signature V4 in a header."""
        items = dict(item.strip().partition("=")[::2] for item in line[len("OSS4-HMAC-SHA256"):].split(","))
        scope = items.get("Credential", "").rsplit("/", 4)
        stamp = request.headers.get("x-oss-date", "")
        if len(scope) != 5 or not items.get("Signature") or not re.fullmatch(r"\d{8}T\d{6}Z", stamp):
            raise VendorError(400, "InvalidArgument", "Authorization header is invalid.")
        key_id, day, region, product, end = scope
        if key_id != self.key_id:
            raise VendorError(403, "InvalidAccessKeyId")
        if region != self.region:
            raise VendorError(400, "InvalidArgument", "Invalid signing region in Authorization header.")
        if (product, end) != ("oss", "aliyun_v4_request") or day != stamp[:8]:
            raise VendorError(400, "InvalidArgument", "Invalid signing product or date in Authorization header.")
        at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc).timestamp()
        if abs(at - time.time()) > 900:
            raise VendorError(403, "RequestTimeTooSkewed")
        additional = [name for name in items.get("AdditionalHeaders", "").split(";") if name]
        auth = oss2.ProviderAuthV4(StaticCredentialsProvider(self.key_id, self.secret))
        make = auth._ProviderAuthV4__make_signature
        credentials = auth.credentials_provider.get_credentials()
        with _signing:
            found = make(self.oss_request(request), request.bucket, request.key, additional, credentials, stamp)
        if found != items["Signature"]:
            raise VendorError(403, "SignatureDoesNotMatch")

    def needed_fields(self, fields):
        return self.v4_fields if "x-oss-signature-version" in fields else self.v1_fields

    def form_signature(self, fields):
        """OSS, PostObject: the signature of the policy."""
        policy = fields["policy"].encode()
        if "x-oss-signature-version" not in fields:
            right = base64.b64encode(hmac.new(self.secret.encode(), policy, hashlib.sha1).digest()).decode()
            return fields["ossaccesskeyid"], fields["signature"], right
        key_id, *scope = fields["x-oss-credential"].rsplit("/", 4)
        stamp = fields["x-oss-date"]
        if fields["x-oss-signature-version"] != "OSS4-HMAC-SHA256" or scope != [
                stamp[:8], self.region, "oss", "aliyun_v4_request"]:
            raise VendorError(400, "InvalidArgument", "x-oss-credential")
        auth = oss2.ProviderAuthV4(StaticCredentialsProvider(self.key_id, self.secret))
        signing_scope = SimpleNamespace(region=self.region, product="oss", cloudbox_id=None)
        key = auth._ProviderAuthV4__get_signing_key(signing_scope, auth.credentials_provider.get_credentials(), stamp)
        return key_id, fields["x-oss-signature"], hmac.new(key, policy, hashlib.sha256).hexdigest()

    def form_headers(self, fields):
        """OSS, PostObject: the field x-oss-content-type takes precedence over the type of the file's part."""
        headers = super().form_headers(fields)
        own = headers.pop("x-oss-content-type", "") or fields["file"]
        return {**headers, "content-type": own} if own else headers

    def error_document(self, error, request, identity):
        """OSS, error responses: the error document."""
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

    def common_headers(self, response):
        return {**super().common_headers(response), "x-oss-server-time": "1"}

    def op_bucket_create(self, request):
        if request.bucket in self.store.buckets:
            return Response(200)  # (unverified)
        return super().op_bucket_create(request)

    def op_location(self, request):
        self.bucket(request)
        return self.document("LocationConstraint", f"oss-{self.region}")

    def bucket_page(self, rows, page):
        """OSS, ListBuckets (GetService)."""
        truncated = page["IsTruncated"] == "true"
        return ("".join(element(name, value) for name, value in page.items()) if truncated else "") + rows

    def bucket_row(self, bucket):
        """OSS, ListBuckets (GetService)."""
        host = f"oss-{self.region}.aliyuncs.com"
        fields = element("CreationDate", iso(bucket.created)) + element("ExtranetEndpoint", host)
        fields += element("IntranetEndpoint", host) + element("Location", f"oss-{self.region}")
        return f"<Bucket>{fields}{element('Name', bucket.name)}{element('StorageClass', 'Standard')}</Bucket>"

    def number_of(self, request, name, default):
        number = super().number_of(request, name, default)
        if name.startswith("max-") and number > 1000:
            raise VendorError(400, "InvalidArgument", f"{name}: {number}")
        return number

    def listed_part(self, part):
        """OSS, ListParts."""
        fields = {"LastModified": iso(part.modified), "ETag": self.quote_etag(part.etag), "HashCrc64ecma": part.crc64(),
                  "Size": len(part.data)}
        return "".join(element(name, value) for name, value in fields.items())

    def listed_type(self, row):
        return element("Type", self.kind(row))

    @staticmethod
    def kind(stored):
        return "Appendable" if stored.appendable else "Multipart" if "-" in stored.etag else "Normal"

    def restore_info(self, row):
        return element("RestoreInfo", self.restore_state(row)) if self.restore_state(row) else ""

    def encode_name(self, request, text):
        return quote(text, safe="") if request.param("encoding-type") == "url" else text

    def class_header(self, stored):
        return {"x-oss-storage-class": stored.storage_class or "Standard",
                "x-oss-object-type": self.kind(stored)}

    def appended_headers(self, stored):
        return self.position_header(len(stored.data))

    def object_headers(self, stored, new=False):
        digest = {} if self.kind(stored) != "Normal" or not stored.etag else {
            "Content-MD5": base64.b64encode(bytes.fromhex(stored.etag)).decode()}
        return {**super().object_headers(stored, new), **digest, **({} if new else self.lock_headers(stored))}

    def grant_list(self, word, grants):
        """OSS, GetObjectACL."""
        return element("Grant", word)

    def delete_result(self, request, children, quiet):
        """OSS, DeleteMultipleObjects: in quiet mode the body is empty."""
        return Response(200) if quiet else super().delete_result(request, children, quiet)

    def delete_error(self, fields, error):
        """OSS, DeleteMultipleObjects: keys that were not deleted are omitted."""
        return ""

    def delete_setting(self, request, bucket, place):
        """OSS, DeleteBucketTags: the parameter `tagging` selects tags."""
        if place[0] == "tagging" and request.param("tagging") and place in bucket.settings:
            gone, document = request.param("tagging").split(","), only(bucket.settings[place], "TagSet")
            document["Tag"] = [tag for tag in document.get("Tag", []) if only(tag, "Key") not in gone]
            return Response(204)
        return super().delete_setting(request, bucket, place)

    def blocks_public(self, bucket):
        return only(bucket.settings.get(("publicAccessBlock", ""), {}), "BlockPublicAccess") == "true"

    def default_encryption(self, bucket):
        found = only(bucket.settings.get(("encryption", ""), {}), "ApplyServerSideEncryptionByDefault")
        if not found:
            return {}
        headers = {"x-oss-server-side-encryption": only(found, "SSEAlgorithm")}
        key = only(found, "KMSMasterKeyID")
        return headers | ({"x-oss-server-side-encryption-key-id": key} if key else {})

    def op_info(self, request):
        """OSS, GetBucketInfo."""
        bucket = self.bucket(request)
        host = f"oss-{self.region}.aliyuncs.com"
        encryption = only(bucket.settings.get(("encryption", ""), {}), "ApplyServerSideEncryptionByDefault") or {}
        fast = only(bucket.settings.get(("transferAcceleration", ""), {}), "Enabled") == "true"
        rule = element("SSEAlgorithm", only(encryption, "SSEAlgorithm") or "None")
        rule += element("KMSMasterKeyID", only(encryption, "KMSMasterKeyID") or "")
        log = only(bucket.settings.get(("logging", ""), {}), "LoggingEnabled") or {}
        fields = {
            "AccessMonitor": "Disabled", "CreationDate": iso(bucket.created), "ExtranetEndpoint": host,
            "IntranetEndpoint": host.replace(".", "-internal.", 1), "Location": f"oss-{self.region}", "StorageClass": "Standard",
            "DataRedundancyType": "LRS", "TransferAcceleration": "Enabled" if fast else "Disabled",
            "CrossRegionReplication": "Disabled", **({"Versioning": bucket.versioning} if bucket.versioning else {}),
            "Name": bucket.name, "ResourceGroupId": "rg-default", "BlockPublicAccess": str(self.blocks_public(bucket)).lower(),
        }
        children = "".join(element(name, text) for name, text in fields.items())
        children += f"<Owner>{element('DisplayName', self.owner)}{element('ID', self.owner)}</Owner>"
        children += f"<AccessControlList>{element('Grant', bucket.acl)}</AccessControlList>"
        children += f"<ServerSideEncryptionRule>{rule}</ServerSideEncryptionRule>"
        logged = element("LogBucket", only(log, "TargetBucket") or "") + element("LogPrefix", only(log, "TargetPrefix") or "")
        children += f"<BucketPolicy>{logged}</BucketPolicy>" + element("Comment", "")
        return self.document("BucketInfo", f"<Bucket>{children}</Bucket>")

    def op_stat(self, request):
        """OSS, GetBucketStat."""
        bucket = self.bucket(request)
        rows = [row for rows in bucket.objects.values() for row in rows]
        result = {"Storage": sum(len(row.data) for row in rows), "ObjectCount": sum(not row.marker for row in rows),
                  "MultipartUploadCount": len(bucket.uploads), "LiveChannelCount": 0,
                  "LastModifiedTime": max([row.modified for row in rows], default=bucket.created)}
        for name, word in (("Standard", "Standard"), ("InfrequentAccess", "IA"), ("Archive", "Archive"),
                           ("ColdArchive", "ColdArchive"), ("DeepColdArchive", "DeepColdArchive")):
            own = [len(row.data) for row in rows if row.storage_class == word and not row.marker]
            result[name + "Storage"] = sum(own)
            if word != "Standard":
                result[name + "RealStorage"] = sum(own)
            result[name + "ObjectCount"] = len(own)
        result["MultipartPartCount"] = sum(len(upload.parts) for upload in bucket.uploads.values())
        result["DeleteMarkerCount"] = sum(row.marker for row in rows)
        return self.document("BucketStat", "".join(element(name, value) for name, value in result.items()))

    def op_policy_status(self, request):
        """OSS, GetBucketPolicyStatus: whether the policy allows public access."""
        policy = self.bucket(request).settings.get(("policy", ""))
        if not policy:
            raise VendorError(404, "NoSuchBucketPolicy")
        public = any("*" in row.get("Principal", []) for row in json.loads(policy)["Statement"] if row["Effect"] == "Allow")
        return self.document("PolicyStatus", element("IsPublic", str(public).lower()))

    def op_meta(self, request):
        """OSS, GetObjectMeta: HEAD with fewer headers."""
        stored = self.find_object(self.bucket(request), request.key, request.param("versionId"))
        headers = {"ETag": self.quote_etag(stored.etag), "Last-Modified": http_date(stored.modified),
                   "x-oss-hash-crc64ecma": stored.crc64(), "Content-Length": str(len(stored.data))}
        return Response(200, headers | self.version_header(stored))

    def restore_request(self, request, stored):
        """OSS, RestoreObject: only the cold archive classes have a body with a tier."""
        if not request.body:
            return {}
        document = super().restore_request(request, stored)
        tier = only(document, "JobParameters", "Tier")
        if tier is not None and stored.storage_class == "Archive":
            raise VendorError(400, "MalformedXML", "JobParameters of an Archive object")
        if tier is not None and tier not in ("Expedited", "Standard", "Bulk"):
            raise VendorError(400, "InvalidArgument", f"Tier: {tier}")
        return document

    def restore_headers(self, stored, document):
        tier = only(document, "JobParameters", "Tier") or "Standard"
        return {"x-oss-object-restore-priority": tier} if stored.storage_class != "Archive" else {}

    def locks_of(self, request, bucket):
        """The headers of alibabacloud-oss-v2 for the retention and the legal hold of a new object."""
        words = ("mode", "retain-until-date", "legal-hold")
        mode, until, hold = (self.own(request, "object-worm-" + word) for word in words)
        if (mode or until or hold) and not self.lock_enabled(bucket):
            raise VendorError(*self.no_lock)
        future = not until or (timestamp(until) or 0) > time.time()
        if (not mode) != (not until) or mode not in ("", "GOVERNANCE", "COMPLIANCE") or hold not in ("", "ON", "OFF") or not future:
            raise VendorError(400, "InvalidArgument", "x-oss-object-worm")
        own = {"Mode": mode, "RetainUntilDate": until} if mode else self.default_retention(bucket)
        return own, hold

    def lock_headers(self, stored):
        result = {"mode": stored.retention.get("Mode"), "retain-until-date": stored.retention.get("RetainUntilDate"),
                  "legal-hold": stored.legal_hold}
        return {"x-oss-object-worm-" + name: value for name, value in result.items() if value}

    def op_legal_hold(self, request):
        stored = self.find_object(self.bucket(request), request.key, request.param("versionId"))
        return self.document("LegalHold", element("Status", stored.legal_hold or "OFF"))

    def op_put_legal_hold(self, request):
        stored = self.find_object(self.bucket(request), request.key, request.param("versionId"))
        stored.legal_hold = only(self.body_of(request, self.hold_shape), "Status")
        return Response(200, self.version_header(stored))

    def check_md5(self, request):
        """OSS, PutObject: also verifies the CRC-64 in x-oss-hash-crc64ecma."""
        super().check_md5(request)
        sent = self.own(request, "hash-crc64ecma")
        if sent and sent != crc64(request.body):
            raise VendorError(400, "InvalidCRC64")

    def reject_plain_conditions(self, request):
        """OSS, PutObject: writes have no conditions If-Match and If-None-Match."""
        for name in CONDITIONS:
            if name in request.headers:
                raise VendorError(400, "NotImplemented", f"A header you provided implies what is not implemented: {name}")

    def op_put(self, request):
        self.reject_plain_conditions(request)
        return super().op_put(request)

    def op_initiate(self, request):
        self.reject_plain_conditions(request)
        return super().op_initiate(request)

    def op_complete(self, request):
        self.reject_plain_conditions(request)
        return super().op_complete(request)

    def listed_parts(self, request, upload):
        """OSS, CompleteMultipartUpload: x-oss-complete-all takes all parts."""
        if self.own(request, "complete-all") != "yes":
            return super().listed_parts(request, upload)
        if request.body:
            raise VendorError(400, "InvalidArgument", "Should not speficy both complete all header and http body.")
        return [(number, part.etag) for number, part in sorted(upload.parts.items())]

    def source_headers(self, bucket, stored, new):
        """OSS, CopyObject, response headers."""
        headers = super().source_headers(bucket, stored, new)
        headers.pop("Content-MD5", None)
        return headers

    def copy_result(self, root, made, headers):
        etag, at = element("ETag", self.quote_etag(made.etag)), element("LastModified", self.copy_time(made.modified))
        return self.document(root, etag + at if root == "CopyObjectResult" else at + etag, headers)

    def source(self, request):
        """OSS, CopyObject, x-oss-copy-source: the leading slash is required, and an unescaped plus is a space."""
        value = self.own(request, "copy-source")
        if not value.startswith("/"):
            raise VendorError(400, "InvalidArgument", "Copy Source must mention the source bucket and key")
        path, version = self.split_version(value)
        bucket, _, key = path[1:].partition("/")
        if not key:
            raise VendorError(400, "InvalidArgument", "Copy Source must mention the source bucket and key")
        return bucket, unquote_plus(key), version

    def outweighs(self, held, name):
        return False

    def onto_itself(self, request, replace, replace_tags):
        """OSS, CopyObject: a copy onto itself always takes the metadata of the request."""
        return True

    def limit_of(self, request, source):
        """OSS, CopyObject: the maximum size depends on the bucket and on encryption."""
        changed = self.own(request, "storage-class") not in ("", source.storage_class)
        changed = changed or bool(self.own(request, "server-side-encryption"))
        return min(self.copy_limit, 1024**3) if changed else self.copy_limit

    def source_range(self, request, size):
        """OSS, UploadPartCopy: with an invalid range the whole source is copied."""
        text = self.own(request, "copy-source-range")
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", text)
        if not match:
            return None
        first, last = int(match[1]), int(match[2] or size - 1)
        return (first, last) if first <= last < size else None

    def multipart_etag(self, parts):
        """OSS, CompleteMultipartUpload: the MD5 of the ETags' texts."""
        return f"{md5(''.join(part.etag.upper() for part in parts).encode())}-{len(parts)}"


if __name__ == "__main__":
    main(Oss, "cn-hangzhou")
