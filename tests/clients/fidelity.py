"""What is lost when S3 goes through another dialect. The same S3 calls are sent directly to SeaweedFS, and through two proxies
that speak COS or OSS with each other. All results must be equal except for the rows of docs/fidelity.md: a difference
without a reason fails, and so does a reason without a difference. The last line has the counts."""

import argparse
import base64
import datetime
import hashlib
import json
import re
import sys
import time
import uuid

import boto3
import botocore
from botocore.config import Config

import servers
from api import CallError
from scenarios import HOSTILE_KEYS, LATER, LONG_AGO, PART, TARGET_CANNOT, fetch_signed

DOCUMENT = servers.TESTS.parent / "docs" / "fidelity.md"
CHAINS = ["cos", "oss"]
KEYS = [key for key in HOSTILE_KEYS if key not in TARGET_CANNOT["seaweedfs"]]
OTHER_ETAG = '"' + "0" * 32 + '"'
CUSTOMER_KEY = b"customer-key-customer-key-32byte"

#: Deviations of SeaweedFS from the documents of S3: call -> reason.
SEAWEEDFS = {
    "put into a missing bucket": "it creates the bucket",
    "range of a head": "it ignores the range in a HEAD request",
    "put with service encryption": "it has no KMS in this configuration",
    "head with service encryption": "nothing was stored",
    "list v2, wrong token": "it accepts any token, and lists the keys after it",
    "put tags twice the same": "it stores one of them",
    "put website": "it has no website settings, and ignores the sub-resource",
    "get website": "it has no website settings",
    "delete website": "it has no website settings, and ignores the sub-resource",
    "get public access block": "it has no such setting",
}

#: Why a chain differs: (call, chain) -> reason.
REASONS = {}


def explain(reason, chains, *calls):
    REASONS.update({(call, chain): reason for chain in chains for call in calls})


explain("the proxy sends S3's default Content-Type, because other dialects have other defaults; SeaweedFS guesses it from the bytes",
        CHAINS, "head without a type", "head after presigned put")
explain("the proxy verifies it, but COS and OSS do not store S3's checksums", CHAINS,
        "a checksum CRC32, read", "a checksum SHA256, read")
explain("the ETag of a part has its CRC-64 as a suffix, from which any replica combines the CRC-64 of the object for COS and OSS", CHAINS,
        "a part", "a part to abort", "a part by copy", "a part by copy of a range")
explain("neither dialect has writes with If-Match: rejected, and nothing is written", CHAINS,
        "put with if-match", "put with a wrong if-match", "get after conditional puts")
explain("SeaweedFS returns no owner, initiator or next marker, which S3's documents have", CHAINS, "list parts", "list parts, page")
explain("SeaweedFS omits markers, storage classes and owners, returns empty elements, and counts pages differently from S3's documents",
        CHAINS, "list uploads", "list uploads by prefix", "list uploads, page", "list uploads by folder", "list versions",
        "list versions, page", "list versions by folder")
explain("SeaweedFS responds with 200, S3's documents have 204", CHAINS, "put tagging")
explain("CORS rules have no ID in OSS: rejected, and nothing is set", ["oss"], "put cors", "get cors")
explain("neither dialect has a minimum object size for transitions", CHAINS, "get lifecycle")
explain("policies have accounts and actions of one vendor: rejected, and nothing is set", CHAINS, "put policy", "get policy")
explain("SeaweedFS ignores the sub-resource of website settings and would act on the bucket, so the proxy does not send them", CHAINS,
        "get website, before", "put website", "get website", "delete website", "get website, after")
explain("neither dialect has S3's bucket keys", CHAINS, "get encryption")
explain("the region is the configured region of the first proxy", CHAINS, "get location")
explain("COS has no requester pays", ["cos"], "get request payment")
explain("not translated between different dialects", CHAINS, "get ownership", "get notifications", "get replication")
explain("OSS has no website redirects of objects: rejected", ["oss"], "a website redirect", "a website redirect, read")
explain("OSS has no encryption with customer keys: rejected, and nothing is written", ["oss"],
        "put with a customer key", "get with the customer key", "get without the customer key")
explain("SeaweedFS returns this header twice", ["cos"], "get with the customer key")
explain("the first proxy did not issue this token, and rejects it as S3 does", ["cos"], "list v2, wrong token")


# ---- Recording

#: Fields with generated tokens. A token is replaced by the name of the call that returned it first.
_TOKENS = {"VersionId", "UploadId", "CopySourceVersionId", "NextVersionIdMarker", "VersionIdMarker", "UploadIdMarker",
           "NextUploadIdMarker", "ContinuationToken", "NextContinuationToken"}


class Record:
    """Runs calls and records their results, without values that always differ: request IDs, the current time, the account,
    and the host name."""

    def __init__(self, port, key, secret, bucket, is_direct):
        self.port, self.bucket, self.is_direct = port, bucket, is_direct
        self.outcomes, self.wanted, self.tokens = {}, {}, {}

        def sdk(**more):
            config = Config(retries={"total_max_attempts": 1, "mode": "standard"}, s3={"addressing_style": "path"},
                            signature_version="s3v4", **more)
            return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
                                aws_access_key_id=key, aws_secret_access_key=secret, config=config)

        # Without the checksums that this SDK adds by default: separate calls test them.
        self.sdk = sdk(request_checksum_calculation="when_required", response_checksum_validation="when_required")
        self.checked = sdk()
        # Without the handler that requests encoded keys: the SDK would decode them.
        self.plain = sdk()
        self.plain.meta.events.unregister("before-parameter-build.s3.ListObjects",
                                          botocore.handlers.set_list_objects_encoding_type_url)

    def keep(self, name, wanted, run):
        """Runs a call and records its result; `wanted` is the status in S3's documents."""
        assert name not in self.outcomes, f"two calls have the name {name}"
        self.wanted[name], self.name = wanted, name
        result = None
        try:
            result = run()
            outcome = {"status": result.get("ResponseMetadata", {}).get("HTTPStatusCode", 200), **self.flat(result)}
        except botocore.exceptions.ClientError as error:
            response = error.response
            outcome = {"status": response["ResponseMetadata"]["HTTPStatusCode"], "code": response["Error"]["Code"]}
        except CallError as error:
            outcome = {"status": error.status}
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.HTTPClientError) as error:
            outcome = {"status": 0, "code": type(error).__name__}
        self.outcomes[name] = outcome
        return result or {}

    def __call__(self, name, method, wanted=200, sdk=None, **arguments):
        arguments.setdefault("Bucket", self.bucket)
        if method in ("put_object", "create_multipart_upload"):
            arguments.setdefault("ContentType", "text/plain")
        if arguments.get("ContentType", "") is None:
            del arguments["ContentType"]
        return self.keep(name, wanted, lambda: self.read(getattr(sdk or self.sdk, method)(**arguments)))

    def read(self, result):
        if "Body" in result:
            result["Body"] = result["Body"].read()
        return result

    def flat(self, value, path="", name=""):
        """Returns path -> value for all fields of a response, except those of the response metadata."""
        if isinstance(value, dict):
            rows = {}
            for key, inner in value.items():
                if key != "ResponseMetadata" and not (path == "" and key == "Date"):
                    rows.update(self.flat(inner, f"{path}.{key}" if path else key, key))
            return rows
        if isinstance(value, list):
            rows = {f"{path}[]": len(value)} if value else {}
            for number, inner in enumerate(value):
                rows.update(self.flat(inner, f"{path}[{number}]", name))
            return rows
        if name in ("ID", "DisplayName") and re.search(r"\b(Owner|Initiator|Grantee)\.\w+$", path):
            return {path: "an account"}  # A proxy does not return the target's account.
        if self.is_direct and path in ("CopyObjectResult.ETag", "CopyPartResult.ETag"):
            value = f'"{value.strip(chr(34))}"'  # SeaweedFS omits the quotes.
        return {path: self.normalize(value, name)}

    def normalize(self, value, name):
        if isinstance(value, datetime.datetime):
            return "now" if abs(value.timestamp() - time.time()) < 600 else value.isoformat()
        if isinstance(value, bytes):
            return value.decode(errors="replace") if len(value) < 100 else f"{len(value)} bytes {hashlib.md5(value).hexdigest()}"
        if name in _TOKENS and value not in ("", "null"):
            return self.tokens.setdefault(value, f"<{name} of {self.name}>")
        return value.replace(f"127.0.0.1:{self.port}", "HOST").replace(self.bucket, "BUCKET") if isinstance(value, str) else value


# ---- The suite

def objects(call):
    call("put", "put_object", Key="fox", Body=b"The quick brown fox", ContentType="text/css", Metadata={"owner": "me", "made-by": "a, b; c=\"d\" %20 + ~"},
         CacheControl="no-cache", ContentDisposition='attachment; filename="a b.css"', ContentEncoding="identity",
         ContentLanguage="de, en", Expires=datetime.datetime(2040, 1, 2, 3, 4, 5))
    call("head", "head_object", Key="fox")
    call("get", "get_object", Key="fox")
    call("put without a type", "put_object", Key="plain", Body=b"x", ContentType=None)
    call("head without a type", "head_object", Key="plain")
    call("put of nothing", "put_object", Key="empty", Body=b"")
    call("get of nothing", "get_object", Key="empty")
    call("metadata beyond ASCII", "put_object", Key="umlaut", Body=b"x", Metadata={"name": "=?UTF-8?B?" + base64.b64encode("Grüße".encode()).decode() + "?="})
    call("metadata beyond ASCII, read", "head_object", Key="umlaut")
    call("a good MD5", "put_object", Key="md5", Body=b"x", ContentMD5=base64.b64encode(hashlib.md5(b"x").digest()).decode())
    call("a wrong MD5", "put_object", 400, Key="md5", Body=b"y", ContentMD5=base64.b64encode(hashlib.md5(b"z").digest()).decode())
    for kind in ("CRC32", "SHA256"):
        call(f"a checksum {kind}", "put_object", sdk=call.checked, Key=f"sum {kind}", Body=b"x", ChecksumAlgorithm=kind)
        call(f"a checksum {kind}, read", "head_object", Key=f"sum {kind}", ChecksumMode="ENABLED")
    call("a wrong checksum", "put_object", 400, Key="wrong sum", Body=b"x", ChecksumSHA256=base64.b64encode(b"0" * 32).decode())
    call("get after a wrong checksum", "head_object", 404, Key="wrong sum")
    call("delete", "delete_object", 204, Key="md5")
    call("delete again", "delete_object", 204, Key="md5")
    call("get of a missing object", "get_object", 404, Key="md5")
    call("head of a missing object", "head_object", 404, Key="md5")
    call("a website redirect", "put_object", Key="redirect", Body=b"x", WebsiteRedirectLocation="/fox")
    call("a website redirect, read", "head_object", Key="redirect")
    call("a class", "put_object", Key="cold", Body=b"x", StorageClass="STANDARD_IA")
    call("a class, read", "head_object", Key="cold")
    call("an unknown class", "put_object", 400, Key="cold", Body=b"x", StorageClass="LUKEWARM")


def reads(call):
    etag = call("put for reads", "put_object", Key="digits", Body=b"0123456789", ContentType="text/plain").get("ETag", OTHER_ETAG)
    for name, span, wanted in [("a range", "bytes=2-5", 206), ("to the end", "bytes=7-", 206), ("the last bytes", "bytes=-3", 206),
                               ("beyond the end", "bytes=2-50", 206), ("outside", "bytes=50-60", 416)]:
        call(f"range: {name}", "get_object", wanted, Key="digits", Range=span)
    call("range of a head", "head_object", 206, Key="digits", Range="bytes=2-5")
    for method in ("get_object", "head_object"):
        short = method.split("_")[0]
        for name, given, wanted in [
                ("if-match holds", {"IfMatch": etag}, 200), ("if-match fails", {"IfMatch": OTHER_ETAG}, 412),
                ("if-none-match holds", {"IfNoneMatch": OTHER_ETAG}, 200), ("if-none-match fails", {"IfNoneMatch": etag}, 304),
                ("if-modified-since holds", {"IfModifiedSince": LONG_AGO}, 200),
                ("if-unmodified-since holds", {"IfUnmodifiedSince": LATER}, 200),
                ("if-unmodified-since fails", {"IfUnmodifiedSince": LONG_AGO}, 412),
                ("if-match before if-unmodified-since", {"IfMatch": etag, "IfUnmodifiedSince": LONG_AGO}, 200),
                ("if-none-match before if-modified-since", {"IfNoneMatch": etag, "IfModifiedSince": LONG_AGO}, 304)]:
            call(f"{short} {name}", method, wanted, Key="digits", **given)
    call("overridden answer", "get_object", Key="digits", ResponseContentType="text/csv", ResponseCacheControl="no-store",
         ResponseContentLanguage="de", ResponseContentDisposition="inline", ResponseContentEncoding="identity",
         ResponseExpires=datetime.datetime(2041, 1, 2, 3, 4, 5))
    call("of a part by its number", "get_object", 206, Key="digits", PartNumber=1)
    for verb, method, wanted in [("GET", "get_object", 200), ("PUT", "put_object", 200)]:
        url = call.sdk.generate_presigned_url(method, Params={"Bucket": call.bucket, "Key": f"signed {verb}" if verb == "PUT" else "digits"}, ExpiresIn=60)
        call.keep(f"presigned {verb}", wanted, lambda url=url, verb=verb: {"Body": fetch_signed(call.port, url, verb, b"x" if verb == "PUT" else None)})
        call.keep(f"presigned {verb}, spoilt", 403, lambda url=url, verb=verb: {"Body": fetch_signed(
            call.port, url[:-4] + ("0000" if url[-4:] != "0000" else "1111"), verb, b"y" if verb == "PUT" else None)})
    call("head after presigned put", "get_object", Key="signed PUT")


def writes(call):
    """Conditional puts and encryption."""
    call("put with if-none-match", "put_object", Key="once", Body=b"one", IfNoneMatch="*")
    call("put with if-none-match, object exists", "put_object", 412, Key="once", Body=b"two", IfNoneMatch="*")
    etag = '"' + hashlib.md5(b"one").hexdigest() + '"'
    call("put with if-match", "put_object", Key="once", Body=b"three", IfMatch=etag)
    call("put with a wrong if-match", "put_object", 412, Key="once", Body=b"four", IfMatch=etag)
    call("get after conditional puts", "get_object", Key="once")
    call("put with a customer key", "put_object", Key="sealed", Body=b"secret", SSECustomerAlgorithm="AES256", SSECustomerKey=CUSTOMER_KEY)
    call("get with the customer key", "get_object", Key="sealed", SSECustomerAlgorithm="AES256", SSECustomerKey=CUSTOMER_KEY)
    call("get without the customer key", "get_object", 400, Key="sealed")
    call("put with service encryption", "put_object", Key="encrypted", Body=b"secret", ServerSideEncryption="AES256")
    call("head with service encryption", "get_object", Key="encrypted")


def copies(call):
    source = {"Bucket": call.bucket, "Key": "from/键 +"}
    etag = call("put for copies", "put_object", Key=source["Key"], Body=b"copy me", ContentType="text/css", Metadata={"owner": "me"},
                CacheControl="no-cache", Tagging="color=red").get("ETag", OTHER_ETAG)

    def copy(name, wanted=200, key="to", **more):
        call(name, "copy_object", wanted, Key=key, CopySource=source, **more)

    copy("copy")
    call("copy, read", "head_object", Key="to")
    call("copy, its tags", "get_object_tagging", Key="to")
    copy("copy with other metadata", MetadataDirective="REPLACE", Metadata={"color": "red"}, ContentType="text/html")
    call("copy with other metadata, read", "head_object", Key="to")
    copy("copy with other tags", TaggingDirective="REPLACE", Tagging="color=blue&a=b")
    call("copy with other tags, read", "get_object_tagging", Key="to")
    copy("copy onto itself", 400, key=source["Key"])
    copy("copy onto itself with other metadata", key=source["Key"], MetadataDirective="REPLACE", Metadata={"owner": "you"})
    for name, given, wanted in [
            ("if-match holds", {"CopySourceIfMatch": etag}, 200), ("if-match fails", {"CopySourceIfMatch": OTHER_ETAG}, 412),
            ("if-none-match holds", {"CopySourceIfNoneMatch": OTHER_ETAG}, 200),
            ("if-none-match fails", {"CopySourceIfNoneMatch": etag}, 412),
            ("if-modified-since holds", {"CopySourceIfModifiedSince": LONG_AGO}, 200),
            ("if-unmodified-since holds", {"CopySourceIfUnmodifiedSince": LATER}, 200),
            ("if-unmodified-since fails", {"CopySourceIfUnmodifiedSince": LONG_AGO}, 412),
            ("if-match before if-unmodified-since", {"CopySourceIfMatch": etag, "CopySourceIfUnmodifiedSince": LONG_AGO}, 200),
            ("if-none-match before if-modified-since", {"CopySourceIfNoneMatch": etag, "CopySourceIfModifiedSince": LONG_AGO}, 412)]:
        copy(f"copy {name}", wanted, **given)
    call("copy of a missing object", "copy_object", 404, Key="to", CopySource={"Bucket": call.bucket, "Key": "absent"})
    call("copy from a missing bucket", "copy_object", 404, Key="to", CopySource={"Bucket": "absent-" + call.bucket, "Key": "absent"})


def multipart(call):
    made = call("create an upload", "create_multipart_upload", Key="parts", ContentType="text/css", Metadata={"owner": "me"})
    upload = {"Key": "parts", "UploadId": made.get("UploadId", "none")}
    first = b"0123456789abcdef" * (PART // 16)
    one = call("a part", "upload_part", PartNumber=1, Body=first, **upload)
    call("put as a part's source", "put_object", Key="source", Body=b"from elsewhere")
    two = call("a part by copy", "upload_part_copy", PartNumber=2, CopySource={"Bucket": call.bucket, "Key": "source"}, **upload)
    call("a part by copy of a range", "upload_part_copy", PartNumber=3, CopySource={"Bucket": call.bucket, "Key": "source"},
         CopySourceRange="bytes=5-8", **upload)
    call("a part by copy, condition fails", "upload_part_copy", 412, PartNumber=3, CopySource={"Bucket": call.bucket, "Key": "source"},
         CopySourceIfMatch=OTHER_ETAG, **upload)
    call("list parts", "list_parts", **upload)
    call("list parts, page", "list_parts", MaxParts=1, PartNumberMarker=1, **upload)
    call("create another upload", "create_multipart_upload", Key="parts of another")
    call("list uploads", "list_multipart_uploads")
    call("list uploads by prefix", "list_multipart_uploads", Prefix="parts of")
    call("list uploads, page", "list_multipart_uploads", MaxUploads=1)
    call("list uploads by folder", "list_multipart_uploads", Delimiter=" ")
    parts = [{"PartNumber": 1, "ETag": one.get("ETag", OTHER_ETAG)}, {"PartNumber": 2, "ETag": two.get("CopyPartResult", {}).get("ETag", OTHER_ETAG)}]
    call("complete with a wrong part", "complete_multipart_upload", 400, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": OTHER_ETAG}]}, **upload)
    call("complete in a wrong order", "complete_multipart_upload", 400, MultipartUpload={"Parts": parts[::-1]}, **upload)
    call("complete", "complete_multipart_upload", MultipartUpload={"Parts": parts}, **upload)
    call("get after complete", "get_object", Key="parts")
    gone = call("create an upload to abort", "create_multipart_upload", Key="lost")
    upload = {"Key": "lost", "UploadId": gone.get("UploadId", "none")}
    call("a part to abort", "upload_part", PartNumber=1, Body=b"lost", **upload)
    call("abort", "abort_multipart_upload", 204, **upload)
    call("a part of an aborted upload", "upload_part", 404, PartNumber=1, Body=b"lost", **upload)
    call("list parts of an aborted upload", "list_parts", 404, **upload)


def listings(call):
    call.keep("keys of every kind", 200, lambda: {"Keys": [call.sdk.put_object(Bucket=call.bucket, Key="wild/" + key, Body=key.encode())["ETag"]
                                                           for key in KEYS]})
    call.keep("keys of every kind, read", 200, lambda: {"Bodies": [call.sdk.get_object(Bucket=call.bucket, Key="wild/" + key)["Body"].read()
                                                                   for key in KEYS]})
    for number in range(5):
        call(f"put {number} for listings", "put_object", Key=f"list/{number % 2}/{number}", Body=b"x" * number)
    for version in ("list_objects", "list_objects_v2"):
        short = "v1" if version == "list_objects" else "v2"
        call(f"list {short}", version, Prefix="list/")
        call(f"list {short} of every kind of key", version, Prefix="wild/")
        call(f"list {short} by folder", version, Prefix="list/", Delimiter="/")
        call(f"list {short} by a longer delimiter", version, Prefix="list/", Delimiter="/1/")
        page = call(f"list {short}, first page", version, Prefix="list/", MaxKeys=2)
        more = ({"Marker": page.get("NextMarker") or "list/0/2"} if short == "v1"
                else {"ContinuationToken": page.get("NextContinuationToken", "none")})
        call(f"list {short}, second page", version, Prefix="list/", MaxKeys=2, **more)
        call(f"list {short}, first page by folder", version, Prefix="list/", Delimiter="/", MaxKeys=1)
        call(f"list {short} of no keys", version, Prefix="none/")
        call(f"list {short}, no rows wanted", version, Prefix="list/", MaxKeys=0)
    call("list v1 from a marker", "list_objects", Prefix="list/", Marker="list/0/2")
    call("list v1, keys not encoded", "list_objects", Prefix="wild/a", sdk=call.plain)
    call("list v2 after a key", "list_objects_v2", Prefix="list/", StartAfter="list/0/2")
    call("list v2 with owners", "list_objects_v2", Prefix="list/", FetchOwner=True)
    call("list v2, wrong token", "list_objects_v2", 400, Prefix="list/", ContinuationToken="an invalid token")
    call("multi-delete", "delete_objects", Delete={"Objects": [{"Key": "list/0/0"}, {"Key": "list/0/2"}, {"Key": "never there"}]})
    call("multi-delete, quiet", "delete_objects", Delete={"Objects": [{"Key": "list/0/4"}], "Quiet": True})
    call.keep("multi-delete of keys of every kind", 200, lambda: call.sdk.delete_objects(
        Bucket=call.bucket, Delete={"Objects": [{"Key": "wild/" + key} for key in KEYS]}))
    call("list after multi-delete", "list_objects_v2", Prefix="list/")


def tags_and_acls(call):
    call("put with tags", "put_object", Key="tagged", Body=b"x", Tagging="color=red&made%20by=me")
    call("get of tagged", "get_object", Key="tagged")
    call("get tags", "get_object_tagging", Key="tagged")
    call("put tags", "put_object_tagging", Key="tagged", Tagging={"TagSet": [{"Key": "a b", "Value": "c+d"}]})
    call("get tags again", "get_object_tagging", Key="tagged")
    call("put tags twice the same", "put_object_tagging", 400, Key="tagged", Tagging={"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]})
    call("delete tags", "delete_object_tagging", 204, Key="tagged")
    call("get tags of an untagged object", "get_object_tagging", Key="tagged")
    call("get tags of a missing object", "get_object_tagging", 404, Key="absent")
    call("get ACL", "get_object_acl", Key="tagged")
    for word in ("public-read", "private"):
        call(f"put ACL {word}", "put_object_acl", Key="tagged", ACL=word)
        call(f"get ACL {word}", "get_object_acl", Key="tagged")
    call("put with ACL", "put_object", Key="shared", Body=b"x", ACL="public-read")
    call("get ACL of put with ACL", "get_object_acl", Key="shared")
    call("get ACL of a missing object", "get_object_acl", 404, Key="absent")
    call("get bucket ACL", "get_bucket_acl")
    call("put bucket ACL", "put_bucket_acl", ACL="private")


def versions(call):
    call("versions, before", "get_bucket_versioning")
    call("enable versioning", "put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"})
    call("versions, on", "get_bucket_versioning")
    first = call("first version", "put_object", Key="versions/k", Body=b"one").get("VersionId", "null")
    second = call("second version", "put_object", Key="versions/k", Body=b"two").get("VersionId", "null")
    call("get first version", "get_object", Key="versions/k", VersionId=first)
    call("head second version", "head_object", Key="versions/k", VersionId=second)
    call("copy of first version", "copy_object", Key="versions/copy", CopySource={"Bucket": call.bucket, "Key": "versions/k", "VersionId": first})
    call("tags of a version", "put_object_tagging", Key="versions/k", VersionId=first, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    call("tags of a version, read", "get_object_tagging", Key="versions/k", VersionId=first)
    call("delete with versions", "delete_object", 204, Key="versions/k")
    call("get of deleted", "get_object", 404, Key="versions/k")
    call("list versions", "list_object_versions", Prefix="versions/")
    call("list versions, page", "list_object_versions", Prefix="versions/", MaxKeys=2)
    call("list versions by folder", "list_object_versions", Delimiter="/", Prefix="versions")
    call("delete a version", "delete_object", 204, Key="versions/k", VersionId=first)
    call("multi-delete a version", "delete_objects", Delete={"Objects": [{"Key": "versions/k", "VersionId": second}]})
    call("get of a deleted version", "get_object", 404, Key="versions/k", VersionId=first)
    call("suspend versioning", "put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"})
    call("versions, off", "get_bucket_versioning")


def settings(call):
    """Bucket settings: get before, put, get, delete, get after."""
    for name, absent, given in [
            ("cors", 404, {"CORSConfiguration": {"CORSRules": [{"ID": "one", "AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["https://app.example"],
                                                                "AllowedHeaders": ["*"], "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 60}]}}),
            ("lifecycle_configuration", 404, {"LifecycleConfiguration": {"Rules": [
                {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}]}}),
            ("policy", 404, {"Policy": json.dumps({"Version": "2012-10-17", "Statement": [
                {"Sid": "read", "Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": [f"arn:aws:s3:::{call.bucket}/public/*"]}]})}),
            ("tagging", 404, {"Tagging": {"TagSet": [{"Key": "team", "Value": "one"}]}}),
            ("website", 404, {"WebsiteConfiguration": {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "404.html"}}}),
            ("encryption", 404, {"ServerSideEncryptionConfiguration": {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}})]:
        short = name.split("_")[0]
        call(f"get {short}, before", f"get_bucket_{name}", absent)
        wanted = 204 if name == "policy" else 200
        call(f"put {short}", f"put_bucket_{name}", wanted, **given)
        call(f"get {short}", f"get_bucket_{name}")
        call(f"delete {short}", f"delete_bucket_{short}", 204)
        call(f"get {short}, after", f"get_bucket_{name}", absent)
    call("get location", "get_bucket_location")
    call("get logging", "get_bucket_logging")
    call("get request payment", "get_bucket_request_payment")
    call("get object lock", "get_object_lock_configuration", 404)
    call("get public access block", "get_public_access_block")
    call("get ownership", "get_bucket_ownership_controls")
    call("get notifications", "get_bucket_notification_configuration")
    call("get replication", "get_bucket_replication", 404)


def buckets(call):
    call("create", "create_bucket")
    call("head bucket", "head_bucket")
    call("head of a missing bucket", "head_bucket", 404, Bucket="absent-" + call.bucket)
    call("list of a missing bucket", "list_objects_v2", 404, Bucket="absent-" + call.bucket)
    call("put into a missing bucket", "put_object", 404, Bucket="absent-" + call.bucket, Key="k", Body=b"x")


def bucket_deletion(call):
    call("delete a bucket that is not empty", "delete_bucket", 409)
    other = "fresh-" + call.bucket
    call("create a second bucket", "create_bucket", Bucket=other)
    call("delete the second bucket", "delete_bucket", 204, Bucket=other)
    call("delete a missing bucket", "delete_bucket", 404, Bucket=other)


SUITE = [buckets, objects, reads, writes, copies, multipart, listings, tags_and_acls, settings, versions, bucket_deletion]


# ---- Comparing

def differences(direct, chained):
    """Describes the differences of two results by field. Rows of a list count once."""
    found = {}
    for path in [*direct, *[path for path in chained if path not in direct]]:
        one, two = direct.get(path, "(none)"), chained.get(path, "(none)")
        if one != two:
            field = re.sub(r"\[\d+\]", "[n]", path)
            found.setdefault(field, []).append((one, two))
    if "status" in found and chained["status"] >= 300:  # Then all other fields are absent, or are those of the error.
        rows = [("status", found["status"])] + ([("code", found["code"])] if "code" in found else [])
        found = dict(rows)
    return "; ".join(f"{field}: {brief(rows[0][0])} → {brief(rows[0][1])}" + (f" ({len(rows)} rows)" if len(rows) > 1 else "")
                     for field, rows in found.items())


def brief(value):
    text = str(value)
    return (text if len(text) <= 60 else text[:57] + "...").replace("|", "\\|").replace("\n", " ") or '""'


def document(rows):
    """Returns the text of docs/fidelity.md."""
    lines = ["# What S3 loses through another dialect", "",
            "Generated by `tests/clients/fidelity.py --write`, which has the reasons. S3 calls of boto3 are sent directly to SeaweedFS,",
             "and through two Blobfish that speak COS or OSS with each other. Results that are not in this table are equal. Request IDs,",
             "current times, names of accounts and host names are not compared.", "",
             "| call | through | what differs | reason |", "| --- | --- | --- | --- |"]
    lines += [f"| {call} | {chain} | {text} | {REASONS.get((call, chain), '')} |" for call, chain, text in rows]
    return "\n".join(lines) + "\n"


def start(running, binary, chain, back):
    """Starts two proxies: from S3 to the chain's dialect, and from that dialect to S3. Returns the port for clients."""
    near_store = running.proxy(binary, servers.configuration(
        [servers.one_target("seaweedfs", back.port)],
        callers=[f'[[caller]]\nname = "near"\naccess_key = "{servers.TARGET_KEY}"\nsecret_key = "{servers.TARGET_SECRET}"\n'
                 'grants = [{ buckets = ["*"], access = "admin" }]\n']))
    return running.proxy(binary, servers.configuration([servers.one_target(chain, near_store.port)])).port


def run_suite(call, only):
    for group in SUITE:
        if group is buckets or group.__name__ in only:
            group(call)
    return call


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--write", action="store_true", help="write docs/fidelity.md")
    parser.add_argument("--only", default="all", help="names of groups, separated by commas; docs/fidelity.md is not compared then")
    options = parser.parse_args()
    names = [group.__name__ for group in SUITE]
    only = names if options.only == "all" else options.only.split(",")
    if set(only) - set(names):
        parser.error(f"there are {', '.join(names)}")
    failures, passed, rows = [], 0, []
    with servers.Servers() as running:
        back = running.seaweedfs()

        def bucket():
            return f"fid-{uuid.uuid4().hex[:10]}-1250000000"

        direct = run_suite(Record(back.port, servers.TARGET_KEY, servers.TARGET_SECRET, bucket(), True), only)
        chained = {chain: run_suite(Record(start(running, options.binary, chain, back), servers.KEY, servers.SECRET, bucket(), False), only)
                   for chain in CHAINS}
    for name, outcome in direct.outcomes.items():
        as_documented = outcome["status"] == direct.wanted[name]
        if as_documented and name in SEAWEEDFS:
            failures.append(f"direct: {name}: as documented, but there is a reason for a deviation: {SEAWEEDFS[name]}")
        elif not as_documented and name not in SEAWEEDFS:
            failures.append(f"direct: {name}: S3's documents have {direct.wanted[name]}, SeaweedFS {outcome}")
        else:
            passed += 1
        for chain in CHAINS:
            text = differences(outcome, chained[chain].outcomes[name])
            reason = REASONS.get((name, chain))
            if text:
                rows.append((name, chain, text))
            if bool(text) == bool(reason):
                passed += 1
            else:
                failures.append(f"{name} through {chain}: " + (text if text else f"the results are equal, but there is a reason: {reason}"))
    if options.only == "all":
        unknown = sorted({call for call, _ in REASONS if call not in direct.outcomes} | {call for call in SEAWEEDFS if call not in direct.outcomes})
        failures += [f"a reason for an unknown call: {call}" for call in unknown]
        text = document([row for row in rows if row[:2] in REASONS])
        if options.write:
            DOCUMENT.write_text(text)
        elif not DOCUMENT.exists() or DOCUMENT.read_text() != text:
            failures.append("docs/fidelity.md is out of date: run with --write and review the changes")
        else:
            passed += 1
    print("\n".join(["FAILED " + failure for failure in failures]))
    print(f"{passed} passed, {len(failures)} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
