"""The common parts of the three vendors: routing, objects, copies, uploads. The vendors' modules have their own names,
values, statuses and documents."""

import base64
import copy
import functools
import hashlib
import re
import secrets
import threading
import time
import traceback
from urllib.parse import parse_qsl, quote, unquote
from xml.etree import ElementTree

from .access import Access
from .documents import element
from .extras import Extras
from .forms import Forms
from .listings import Listings
from .server import Response, VendorError
from .settings import Settings, Step
from .store import Bucket, Claimed, Object, Store, join_pieces, md5
from .text import http_date, iso, timestamp

CONTENT = ("Content-Type", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires")
CONDITIONS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")

#: Sub-resource parameters, including those that a double does not implement.
SUBRESOURCES = (
    "uploads", "versions", "delete", "cors", "policy", "policyStatus", "tagging", "lifecycle", "acl", "restore", "append",
    "symlink", "versioning", "website", "logging", "referer", "encryption", "replication", "notification", "inventory",
    "accelerate", "transferAcceleration", "object-lock", "retention", "legal-hold", "select", "ownershipControls",
    "publicAccessBlock", "requestPayment", "analytics", "metrics", "intelligent-tiering", "intelligenttiering", "domain",
    "domaincertificate", "origin", "bucketInfo", "stat", "worm", "wormId", "cname", "attributes", "torrent", "process",
    "x-oss-process", "callback", "live", "vod", "style", "seal", "regions", "location", "objectMeta", "legalHold",
    "objectWorm", "rename", "recursive", "preflight", "accessmonitor", "resourceGroup", "httpsConfig",
    "bucketArchiveDirectRead", "metaQuery",
)

#: Sub-resources of all vendors, with the operation of each method.
OF_BUCKETS = {
    "location": {"GET": "location"}, "acl": {"GET": "bucket_acl", "PUT": "put_bucket_acl"},
    "versioning": {"GET": "versioning", "PUT": "put_versioning"}, "versions": {"GET": "versions"},
    "uploads": {"GET": "uploads"}, "delete": {"POST": "delete_many"},
}
OF_OBJECTS = {
    "acl": {"GET": "object_acl", "PUT": "put_object_acl"}, "restore": {"POST": "restore"}, "uploads": {"POST": "initiate"},
    "tagging": {"GET": "tagging", "PUT": "put_tagging", "DELETE": "delete_tagging"},
}

OFFICIAL = {
    "list_buckets": "ListBuckets", "location": "GetBucketLocation", "bucket_acl": "GetBucketAcl", "list": "ListObjects",
    "bucket_head": "HeadBucket", "bucket_create": "CreateBucket", "bucket_delete": "DeleteBucket", "get": "GetObject",
    "put": "PutObject", "copy": "CopyObject", "delete": "DeleteObject", "initiate": "CreateMultipartUpload",
    "part": "UploadPart", "part_copy": "UploadPartCopy", "complete": "CompleteMultipartUpload",
    "abort": "AbortMultipartUpload", "list_parts": "ListParts", "put_bucket_acl": "PutBucketAcl",
    "object_acl": "GetObjectAcl", "put_object_acl": "PutObjectAcl", "tagging": "GetObjectTagging",
    "put_tagging": "PutObjectTagging", "delete_tagging": "DeleteObjectTagging", "delete_many": "DeleteObjects",
    "versioning": "GetBucketVersioning", "put_versioning": "PutBucketVersioning", "versions": "ListObjectVersions",
    "uploads": "ListMultipartUploads", "restore": "RestoreObject", "append": "AppendObject", "options": "OptionsObject",
    "retention": "GetObjectRetention", "put_retention": "PutObjectRetention", "legal_hold": "GetObjectLegalHold",
    "put_legal_hold": "PutObjectLegalHold", "form": "PostObject", "meta": "GetObjectMeta", "info": "GetBucketInfo",
    "stat": "GetBucketStat", "policy_status": "GetBucketPolicyStatus", "worm": "GetBucketWorm", "put_worm": "InitiateBucketWorm", "delete_worm": "AbortBucketWorm",
    "lock_worm": "CompleteBucketWorm",
}


class Vendor(Access, Settings, Listings, Extras, Forms):
    """One vendor. Subclasses set the tables, and override a few functions."""

    name = prefix = server = request_id = ""
    namespace = ""
    upper = False  # ETags in upper case.
    buckets_usual = buckets_most = None  # Buckets per page: default and maximum; S3 and JD Cloud list all.
    buckets_by_prefix = False
    has_crc = True
    head_bucket = True
    classes = ()
    standard = ""  # The default storage class.
    acls = ()
    default_acl = ""
    bucket_acls = ("private", "public-read", "public-read-write", "authenticated-read")
    metadata_words = {}
    tagging_words = {}
    not_modified = 412  # Status for a failed If-None-Match or If-Modified-Since of a copy.
    lenient_range = False
    default_type = None  # Default Content-Type of a replacing copy and of a PUT.
    foreign = ()
    known = ()  # The vendor's documented headers.
    query_credentials = ()  # Parameters of a presigned URL, in lower case.
    messages = {}
    unaddressed = "AccessDenied"  # Error code for a path at the service's host.
    replies_etag = True  # The response head of a copy has the ETag too.
    versioned_directive = False  # With versioning, a copy onto itself applies the directive.
    copy_time = staticmethod(iso)
    of_buckets, of_objects = OF_BUCKETS, OF_OBJECTS
    unknown_status = 501
    returns_null = True  # The response to a write has the version "null".

    def __init__(self, args):
        self.key_id, self.secret, self.region = args.access_key, args.secret_key, args.region
        self.copy_limit, self.restore_seconds = args.copy_limit, args.restore_seconds
        self.store = Store()
        self.requests, self.faults = [], []
        self.lock = threading.Lock()

    # -- requests and responses

    def serve(self, handler, request, query):
        operation = ""
        try:
            self.place(request)
            signed = not self.is_unsigned(request)
            if signed:
                self.one_credential(request)
                self.verify(request)
                request.verified = True
            self.reject_foreign(request)
            operation = self.operation(request)
            fault = self.fault(request, operation)
            if fault and fault["kind"] in ("reset", "stall"):
                return self.break_off(handler, fault, request, query, operation)
            if fault and fault["kind"] == "delay":
                time.sleep(fault.get("seconds", 1))
                fault = None
            with self.store.lock:
                if not signed and operation not in ("options", "form"):
                    self.check_open(request, operation)
                response = self.forced_response(fault) or self.handler(operation)(request)
                response.headers = {**self.simple_cors(request), **response.headers}
            cut = max(0, len(response.body) // 2) if fault and fault["kind"] == "short_body" else None
        except VendorError as error:
            response, cut = self.failure(error, request), None
        except Exception:  # An error in the double must not look like a connection error.
            traceback.print_exc()
            response, cut = self.failure(VendorError(500, "InternalError", "the double failed"), request), None
        response.headers = {**self.common_headers(response), **response.headers}
        self.remember(handler, request.path, query, response.status, response.code, request.verified, operation)
        handler.write(response, request.method == "HEAD", cut)

    def is_unsigned(self, request):
        """Whether a request has no credential in the head: preflights, form uploads and anonymous requests."""
        return request.method == "OPTIONS" or self.is_form(request) or self.anonymous(request)

    def common_headers(self, response):
        identity = response.headers.get(self.request_id) or self.new_id()
        headers = {"Server": self.server, "Date": http_date(time.time()), self.request_id: identity}
        if response.body and "Content-Type" not in response.headers:
            headers["Content-Type"] = "application/xml"
        return headers

    def new_id(self):
        return secrets.token_hex(12).upper()

    def failure(self, error, request):
        if error.status == 304:
            return Response(304, dict(error.headers), b"", "NotModified")
        identity = self.new_id()
        error.message = error.message or self.messages.get(error.code, error.code)
        body = self.error_document(error, request, identity)
        headers = {self.request_id: identity, **self.error_headers(), **error.headers}
        if request.method == "HEAD":
            headers.update(self.head_error(body))
            body = b""
        return Response(error.status, headers, body, error.code)

    def error_document(self, error, request, identity):
        children = element("Code", error.code) + element("Message", error.message or error.code)
        children += element("Resource", request.host + request.path) + element("RequestId", identity)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{children}{element("HostId", request.host)}</Error>'.encode()

    def error_headers(self):
        return {}

    def head_error(self, body):
        return {}

    def one_credential(self, request):
        """Requires one credential, in the head, because the proxy sends no others."""
        names = [name for name, _ in request.query]
        if len(names) != len(set(names)):
            raise VendorError(400, "InvalidArgument", "a parameter twice")
        in_query = any(name.lower() in self.query_credentials for name in names)
        if "authorization" in request.repeated or (in_query and "authorization" in request.headers):
            raise VendorError(400, "InvalidArgument", "more than one credential")
        if "authorization" not in request.headers:
            raise VendorError(403, "AccessDenied", "no credential in the head")

    def document(self, root, children, headers=None):
        space = f' xmlns="{self.namespace}"' if self.namespace else ""
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}{space}>{children}</{root}>'
        return Response(200, headers or {}, body.encode())

    def handler(self, operation):
        """Returns the method for an operation; `cors:PUT` is an operation on a setting."""
        name, _, method = operation.partition(":")
        if method:
            return functools.partial(self.op_setting, step=Step(method, name))
        return getattr(self, "op_" + operation)

    def official(self, operation, method):
        name, _, verb = operation.partition(":")
        if verb:
            return {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}[verb] + self.settings[name].official
        return "HeadObject" if (operation, method) == ("get", "HEAD") else OFFICIAL.get(operation, "")

    # -- control

    def remember(self, handler, path, query, status, code, verified, operation=""):
        with self.lock:
            self.requests.append({
                "method": handler.command, "path": path, "query": query, "host": handler.headers.get("Host", ""),
                "headers": {name.lower(): value for name, value in handler.headers.items()},
                "status": status, "code": code, "verified": verified, "operation": operation,
                "op": self.official(operation, handler.command),
            })

    def read_state(self, path):
        if path == "/requests":
            with self.lock:
                return list(self.requests)
        kind, _, name = path.lstrip("/").partition("/")
        with self.store.lock:
            bucket = self.store.buckets.get(name)
            if not bucket:
                return {}
            if kind == "uploads":
                return {upload_id: upload.key for upload_id, upload in bucket.uploads.items()}
            if kind == "settings":
                return {"?".join(filter(None, place)): document if isinstance(document, dict) else document.decode()
                        for place, document in bucket.settings.items()}
            rows = {key: bucket.current(key) for key in bucket.keys()}
            return {
                key: {"size": len(row.data), "md5": md5(row.data), "metadata": row.metadata, "headers": row.headers,
                      "class": row.storage_class, "acl": row.acl, "tags": row.tags, "etag": row.etag,
                      "version": row.version, "encryption": row.encryption, "customer_key": row.customer_key}
                for key, row in rows.items()
            }

    def control(self, path, body):
        with self.lock:
            if path == "/reset":
                self.requests.clear()
                self.faults.clear()
            elif path == "/fault":
                self.faults.append({"times": 1, **body})
            elif path == "/claim":
                data = Claimed(0, body["size"])
                self.bucket_of(body["bucket"]).put(body["key"], Object(data, md5(data)))
        return {"done": path}

    def fault(self, request, operation):
        with self.lock:
            for fault in self.faults:
                wanted = fault.get("match", {})
                named = wanted.get("op", operation) in (operation, self.official(operation, request.method))
                placed = all(wanted.get(name, getattr(request, name)) == getattr(request, name)
                             for name in ("method", "bucket", "key"))
                if fault["times"] > 0 and named and placed:
                    fault["times"] -= 1
                    return fault
        return None

    def forced_response(self, fault):
        """Returns the response of an injected fault."""
        if not fault:
            return None
        code = fault.get("code", "InternalError")
        error = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
        return {
            "error_in_200": Response(200, {}, b"  \n" + error),
            "status": Response(fault.get("status", 500), {}, error, code),
            "empty_200": Response(200),
            "html_200": Response(200, {"Content-Type": "text/html"}, b"<html><body>fine</body></html>"),
            "cut_xml": Response(200, {}, b"<?xml version='1.0'?><CopyObjectResult><ETag>"),
            "redirect": Response(307, {"Location": "http://127.0.0.1:9/elsewhere"}),
        }.get(fault["kind"])

    def break_off(self, handler, fault, request, query, operation):
        if fault["kind"] == "stall":
            time.sleep(fault.get("seconds", 60))
        self.remember(handler, request.path, query, 0, fault["kind"], True, operation)
        handler.reset()

    # -- reading requests

    def place(self, request):
        """Returns bucket and key: from the labels before the vendor's service label, or from the path for an IP address."""
        path = unquote(request.path)
        host = re.sub(r":\d+$", "", request.host.lower())
        match = re.match(self.host_form(), host)
        if match:
            request.bucket, request.key = (match.group(1) or "").rstrip("."), path[1:]
            if request.key and not request.bucket:
                raise VendorError(403, self.unaddressed, "the bucket must be in the host")
        elif re.fullmatch(r"[0-9.]+|\[[0-9a-f:]+\]", host):
            self.reject_path_style()
            request.bucket, _, request.key = path[1:].partition("/")
        else:
            raise VendorError(403, self.bad_host, "not a host of this vendor")

    bad_host = "AccessDenied"

    def reject_path_style(self):
        pass

    def reject_foreign(self, request):
        for name in request.headers:
            if name.startswith(self.foreign) or name.startswith("x-blobfish-"):
                raise VendorError(400, "ForeignHeader", name)
            own = name.startswith(self.prefix) and not name.startswith(self.prefix + "meta-")
            if own and name[len(self.prefix):] not in self.known:
                raise VendorError(400, "UnknownHeader", name)
        if "aws-chunked" in request.headers.get("content-encoding", ""):
            raise VendorError(400, "ForeignHeader", "aws-chunked")

    def operation(self, request):
        source = self.prefix + "copy-source" in request.headers
        has, method = request.has, request.method
        if method == "OPTIONS":
            return "options"
        if not request.bucket:
            return "list_buckets" if method == "GET" else self.find_unknown(request)
        if self.is_form(request):
            return "form"
        named = [name for name, _ in request.query if name in SUBRESOURCES]
        if len(named) > 1:
            raise VendorError(400, "InvalidArgument", f"both of {', '.join(named)}")
        if named:
            return self.of_subresource(request, named[0])
        if not request.key:
            if method == "HEAD" and not self.head_bucket:
                return self.find_unknown(request)
            name = {"GET": "list", "HEAD": "bucket_head", "PUT": "bucket_create", "DELETE": "bucket_delete"}
            return name.get(method) or self.find_unknown(request)
        if has("uploadId"):
            part = "part_copy" if source else "part"
            name = {"PUT": part, "POST": "complete", "DELETE": "abort", "GET": "list_parts"}
            return name.get(method) or self.find_unknown(request)
        if method == "PUT":
            return "copy" if source else "put"
        return {"GET": "get", "HEAD": "get", "DELETE": "delete"}.get(method) or self.find_unknown(request)

    def of_subresource(self, request, name):
        operations = dict((self.of_objects if request.key else self.of_buckets).get(name, {}))
        if not request.key and name in self.settings:
            operations |= {method: f"{name}:{method}" for method in self.settings[name].methods}
        if operations and request.method not in operations:
            raise VendorError(405, "MethodNotAllowed", f"{request.method} ?{name}")
        return operations.get(request.method) or self.find_unknown(request)

    def find_unknown(self, request):
        raise VendorError(self.unknown_status, "NotImplemented", f"{request.method} {request.path}")

    def bucket(self, request):
        return self.bucket_of(request.bucket)

    def bucket_of(self, name):
        bucket = self.store.buckets.get(name)
        if not bucket:
            raise VendorError(404, "NoSuchBucket", name)
        return bucket

    def own(self, request, name):
        return request.headers.get(self.prefix + name, "")

    def quote_etag(self, etag):
        return f'"{etag.upper() if self.upper else etag.lower()}"'

    # -- buckets

    def op_list_buckets(self, request):
        names, page = sorted(self.store.buckets), None
        if self.buckets_usual:
            size = self.number_of(request, "max-keys", self.buckets_usual)
            after, prefix = request.param("marker") or "", (request.param("prefix") or "") if self.buckets_by_prefix else ""
            fits = [name for name in names if name > after and name.startswith(prefix)]
            names = fits[:min(size, self.buckets_most)]
            page = {"Prefix": prefix, "Marker": after, "MaxKeys": size, "IsTruncated": str(len(fits) > len(names)).lower(),
                    "NextMarker": names[-1] if len(fits) > len(names) else ""}
        rows = "".join(self.bucket_row(self.store.buckets[name]) for name in names)
        return self.document("ListAllMyBucketsResult", self.bucket_page(f"{self.owner_element()}<Buckets>{rows}</Buckets>", page))

    def bucket_page(self, rows, page):
        return rows

    def bucket_row(self, bucket):
        return f"<Bucket>{element('Name', bucket.name)}{element('CreationDate', iso(bucket.created))}</Bucket>"

    def op_bucket_create(self, request):
        if request.bucket in self.store.buckets:
            raise VendorError(409, "BucketAlreadyOwnedByYou")
        acl = self.own(request, "acl") or "private"
        if acl not in self.bucket_acls:
            raise VendorError(400, "InvalidArgument", f"acl: {acl}")
        self.store.buckets[request.bucket] = bucket = Bucket(request.bucket)
        bucket.acl, bucket.grants = acl, self.header_grants(request)
        return Response(200)

    def op_bucket_head(self, request):
        self.bucket(request)
        return Response(200, {self.prefix + "bucket-region": self.region})

    def op_bucket_delete(self, request):
        bucket = self.bucket(request)
        if bucket.objects or bucket.uploads:
            raise VendorError(409, "BucketNotEmpty")
        del self.store.buckets[request.bucket]
        return Response(204)

    def op_location(self, request):
        self.bucket(request)
        return self.document("LocationConstraint", self.region)

    def number_of(self, request, name, default):
        text = request.param(name)
        if not text:
            return default
        if not text.isascii() or not text.isdigit():
            raise VendorError(400, "InvalidArgument", f"{name}: {text}")
        return int(text)

    # -- objects

    def describe_object(self, request, stored, content=True):
        """Sets the fields of a new object from the request head."""
        if content:
            stored.headers = {name: request.headers[name.lower()] for name in CONTENT if request.headers.get(name.lower())}
            if self.default_type:
                stored.headers.setdefault("Content-Type", self.default_type)
            meta = self.prefix + "meta-"
            stored.metadata = {n[len(meta):]: v for n, v in request.headers.items() if n.startswith(meta)}
        word = self.own(request, "storage-class")
        if word and word not in self.classes:
            raise VendorError(400, self.bad_class, word)
        stored.storage_class = word or self.standard
        stored.acl = self.own(request, self.acl_name) or self.default_acl
        if stored.acl not in self.acls:
            raise VendorError(400, "InvalidArgument", "acl")
        bucket = self.bucket(request)
        self.check_public_word(bucket, stored.acl, "object")
        stored.grants = self.header_grants(request)
        stored.retention, stored.legal_hold = self.locks_of(request, bucket)
        stored.encryption = {name: request.headers[name] for name in request.headers
                             if name.startswith(self.prefix + "server-side-encryption") and "customer" not in name}
        word = self.own(request, "server-side-encryption")
        if word and word not in self.sse_words:
            raise VendorError(400, "InvalidEncryptionAlgorithmError", word)
        stored.customer_key = self.customer_key(request)
        if not stored.encryption and not stored.customer_key:
            stored.encryption = self.default_encryption(bucket)
        return stored

    sse_words = ("AES256",)

    bad_class = "InvalidArgument"

    def check_md5(self, request):
        if "content-length" not in request.headers and "transfer-encoding" not in request.headers:
            raise VendorError(411, "MissingContentLength")
        wanted = request.headers.get("content-md5")
        if wanted and not re.fullmatch(r"[A-Za-z0-9+/]{22}==", wanted):
            raise VendorError(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
        if wanted and wanted != base64.b64encode(hashlib.md5(request.body).digest()).decode():
            raise VendorError(400, self.bad_digest)

    bad_digest = "BadDigest"

    def check_overwrite(self, request, bucket):
        self.check_locked(request, bucket, request.key)
        if self.own(request, "forbid-overwrite") == "true" and not bucket.is_versioned and bucket.current(request.key):
            raise VendorError(409, "FileAlreadyExists")

    def object_headers(self, stored, new=False):
        """Returns the response headers of an object."""
        headers = {"ETag": self.quote_etag(stored.etag)}
        if self.has_crc:
            headers[self.prefix + "hash-crc64ecma"] = stored.crc64()
        if stored.version and (self.returns_null or not new or stored.version != "null"):
            headers[self.prefix + "version-id"] = stored.version
        headers.update(stored.encryption)
        if stored.customer_key:
            headers[self.prefix + "server-side-encryption-customer-key-MD5"] = stored.customer_key
            headers[self.prefix + "server-side-encryption-customer-algorithm"] = "AES256"
        if not new:
            headers.update(stored.headers)
            headers.update({self.prefix + "meta-" + name: value for name, value in stored.metadata.items()})
            headers["Last-Modified"] = http_date(stored.modified)
            headers["Accept-Ranges"] = "bytes"
            headers.update(self.class_header(stored))
            if stored.tags:
                headers[self.prefix + "tagging-count"] = str(len(parse_qsl(stored.tags, keep_blank_values=True)))
            if self.restore_state(stored):
                headers[self.prefix + "restore"] = self.restore_state(stored)
            if stored.appendable:
                headers.update(self.appended_headers(stored))
        return headers

    def appended_headers(self, stored):
        return {self.prefix + "object-type": "appendable"}

    def class_header(self, stored):
        if stored.storage_class in ("", self.standard):
            return {}
        return {self.prefix + "storage-class": stored.storage_class}

    def op_put(self, request):
        bucket = self.bucket(request)
        self.check_md5(request)
        self.check_overwrite(request, bucket)
        stored = self.describe_object(request, Object(request.body, md5(request.body)))
        stored.tags = self.header_tags(request)
        bucket.put(request.key, stored)
        return Response(200, self.object_headers(stored, new=True))

    def find_object(self, bucket, key, version):
        stored = bucket.current(key, version)
        if stored and stored.marker:
            raise VendorError(405, "MethodNotAllowed", headers={"Allow": "DELETE", self.prefix + "delete-marker": "true"})
        if not stored:
            rows = bucket.objects.get(key)
            marked = {self.prefix + "delete-marker": "true", self.prefix + "version-id": rows[-1].version} if rows else {}
            raise VendorError(404, "NoSuchVersion" if version else "NoSuchKey", headers={} if version else marked)
        return stored

    #: Error codes for a missing customer key, and for a wrong one.
    bad_customer_key = (400, "InvalidRequest"), (403, "AccessDenied")

    def customer_key(self, request, where=""):
        """Returns the MD5 of a customer key, after validation of the three headers."""
        name = where + "server-side-encryption-customer-"
        algorithm, key, digest = (self.own(request, name + last) for last in ("algorithm", "key", "key-md5"))
        if not (algorithm or key or digest):
            return ""
        try:
            raw = base64.b64decode(key, validate=True)
        except ValueError:
            raw = b""
        if algorithm != "AES256" or len(raw) != 32 or base64.b64encode(hashlib.md5(raw).digest()).decode() != digest:
            raise VendorError(400, "InvalidArgument", "the customer's key")
        return digest

    def check_customer_key(self, request, stored, where=""):
        sent = self.customer_key(request, where)
        if stored.customer_key and stored.customer_key != sent:
            raise VendorError(*self.bad_customer_key[bool(sent)], "the customer's key")
        if sent and not stored.customer_key:
            raise VendorError(400, "InvalidRequest", "The encryption parameters are not applicable to this object.")

    def op_get(self, request):
        stored = self.find_object(self.bucket(request), request.key, request.param("versionId"))
        self.check_customer_key(request, stored)
        self.check_read(request, stored)
        if request.method == "GET":
            self.check_restored(stored)
        headers = self.object_headers(stored)
        for name in CONTENT:
            override = request.param("response-" + name.lower())
            if override and not request.verified:
                raise VendorError(400, "InvalidRequest", "Request specific response headers cannot be used for anonymous GET requests.")
            if override:
                headers[name] = override
        data, status = stored.data, 200
        span = self.range_of(request, len(data))
        if span:
            status, data = 206, data[span[0]:span[1] + 1]
            headers["Content-Range"] = f"bytes {span[0]}-{span[1]}/{len(stored.data)}"
        if request.method == "HEAD":
            headers["Content-Length"] = str(len(data))
        headers.setdefault("Content-Type", "application/octet-stream")
        return Response(status, headers, data)

    def check_read(self, request, stored):
        held = self.evaluate_conditions({name: request.headers.get(name) for name in CONDITIONS}, stored)
        if held["if-match"] is False or (held["if-unmodified-since"] is False and held["if-match"] is None):
            raise VendorError(412, "PreconditionFailed")
        if held["if-none-match"] is False or (held["if-modified-since"] is False and held["if-none-match"] is None):
            raise self.is_unchanged(stored)

    def is_unchanged(self, stored):
        headers = {"ETag": self.quote_etag(stored.etag), "Last-Modified": http_date(stored.modified)}
        return VendorError(304, "NotModified", headers=headers)

    def evaluate_conditions(self, given, stored):
        """Evaluates each condition; None if it is absent."""
        def same(text):
            return any(tag.strip().strip('"').lower() in (stored.etag.lower(), "*") for tag in text.split(","))

        since, until = (timestamp(given[name] or "") for name in ("if-modified-since", "if-unmodified-since"))
        return {
            "if-match": same(given["if-match"]) if given["if-match"] else None,
            "if-none-match": not same(given["if-none-match"]) if given["if-none-match"] else None,
            "if-modified-since": stored.modified > since if since is not None else None,
            "if-unmodified-since": stored.modified <= until if until is not None else None,
        }

    def range_of(self, request, size):
        text = request.headers.get("range", "")
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", text)
        if not match or match.groups() == ("", ""):
            return None
        first, last = match.groups()
        lenient = self.lenient_range and self.own(request, "range-behavior") != "standard"
        if not first:
            count = int(last)
            if lenient and count and not size:
                return None
            if count == 0 or size == 0:
                raise VendorError(416, "InvalidRange")
            return max(0, size - count), size - 1
        first, last = int(first), int(last) if last else size - 1
        if lenient and (first > last or last >= size):
            return None
        if first > last and first < size:
            return None
        if first >= size:
            raise VendorError(416, "InvalidRange")
        return first, min(last, size - 1)

    def op_delete(self, request):
        bucket = self.bucket(request)
        self.check_locked(request, bucket, request.key, request.param("versionId"))
        version, marker = bucket.delete(request.key, request.param("versionId"))
        headers = {self.prefix + "version-id": version} if version else {}
        if marker:
            headers[self.prefix + "delete-marker"] = "true"
        return Response(204, headers)

    # -- copies

    def source(self, request):
        """Returns bucket, key and version of the source, in the vendor's format."""
        raise NotImplementedError

    def split_version(self, value):
        path, _, tail = value.partition("?")
        if not tail:
            return path, None
        name, _, version = tail.partition("=")
        if name.lower() != "versionid" or not version:
            raise VendorError(400, self.bad_source, "version")
        return path, unquote(version)

    bad_source = "InvalidArgument"
    marker_source = (404, "NoSuchKey")

    def check_source(self, request, stored):
        given = {name: self.own(request, "copy-source-" + name) or None for name in CONDITIONS}
        self.check_pairs(given)
        held = self.evaluate_conditions(given, stored)
        if held["if-match"] is False or held["if-unmodified-since"] is False and not self.outweighs(held, "if-match"):
            raise VendorError(412, "PreconditionFailed")
        failed = held["if-none-match"] is False or (
            held["if-modified-since"] is False and not self.outweighs(held, "if-none-match"))
        if failed:
            raise VendorError(412, "PreconditionFailed") if self.not_modified == 412 else self.is_unchanged(stored)

    def outweighs(self, held, name):
        return held[name] is True

    def check_pairs(self, given):
        pass

    def directive(self, request, name, words):
        word = self.own(request, name)
        if word and word not in words:
            raise VendorError(400, "InvalidArgument", f"{name}: {word}")
        return words.get(word, "copy")

    def read_source(self, request):
        name, key, version = self.source(request)
        bucket = self.bucket_of(name)
        stored = bucket.current(key, version)
        if stored and stored.marker:
            raise VendorError(*self.marker_source, "a delete marker cannot be copied")
        stored = self.find_object(bucket, key, version)
        self.check_customer_key(request, stored, "copy-source-")
        self.check_restored(stored)
        self.check_source(request, stored)
        return bucket, stored, (name, key, version)

    def source_headers(self, bucket, stored, new):
        headers = self.object_headers(new, new=True)
        if not self.replies_etag:
            del headers["ETag"]
        if bucket.is_versioned:
            headers[self.prefix + "copy-source-version-id"] = stored.version
        return headers

    def op_copy(self, request):
        bucket = self.bucket(request)
        source_bucket, source, (name, key, version) = self.read_source(request)
        replace = self.directive(request, "metadata-directive", self.metadata_words) == "replace"
        replace_tags = self.directive(request, "tagging-directive", self.tagging_words) == "replace"
        current = source is source_bucket.current(key)
        if (name, key) == (request.bucket, request.key) and current and not (self.versioned_directive and bucket.is_versioned):
            replace = self.onto_itself(request, replace, replace_tags)
        limit = self.limit_of(request, source)
        if len(source.data) > limit:
            raise VendorError(400, self.too_large, "Source object Length exceeds the maximum allowed size.")
        self.check_overwrite(request, bucket)
        made = Object(source.data, md5(source.data) if "-" in source.etag else source.etag)
        made.headers, made.metadata = copy.copy(source.headers), copy.copy(source.metadata)
        self.describe_object(request, made, content=replace)
        made.tags = self.header_tags(request) if replace_tags else source.tags
        bucket.put(request.key, made)
        return self.copy_result("CopyObjectResult", made, self.source_headers(source_bucket, source, made))

    too_large = "EntityTooLarge"

    def limit_of(self, request, source):
        return self.copy_limit

    def onto_itself(self, request, replace, replace_tags):
        return replace

    def copy_result(self, root, made, headers):
        children = element("ETag", self.quote_etag(made.etag)) + element("LastModified", self.copy_time(made.modified))
        return self.document(root, children, headers)

    # -- uploads

    def new_upload_id(self):
        return secrets.token_hex(16)

    def upload(self, request):
        upload = self.bucket(request).uploads.get(request.param("uploadId"))
        if not upload or upload.key != request.key:
            raise VendorError(404, "NoSuchUpload")
        return upload

    def number(self, request):
        number = self.number_of(request, "partNumber", 0)
        if not 1 <= number <= 10_000:
            raise VendorError(400, "InvalidArgument", "partNumber")
        return number

    def op_initiate(self, request):
        bucket = self.bucket(request)
        self.check_overwrite(request, bucket)
        template = self.describe_object(request, Object(b"", ""))
        template.tags = self.header_tags(request)
        upload_id = self.store.new_upload(bucket, request.key, template, self.new_upload_id())
        children = element("Bucket", bucket.name) + element("Key", self.encode_name(request, request.key))
        children += element("UploadId", upload_id) + self.encoding(request)
        headers = self.object_headers(template, new=True)
        return self.document("InitiateMultipartUploadResult", children,
                             {name: value for name, value in headers.items() if "server-side-encryption" in name})

    def op_part(self, request):
        upload = self.upload(request)
        self.check_md5(request)
        part = self.part(request, upload, request.body)
        upload.parts[self.number(request)] = part
        return Response(200, self.object_headers(part, new=True))

    def op_part_copy(self, request):
        upload = self.upload(request)
        source_bucket, source, _ = self.read_source(request)
        span = self.source_range(request, len(source.data))
        data = source.data if not span else source.data[span[0]:span[1] + 1]
        if len(data) > 5 * 1024**3:
            raise VendorError(400, self.too_large, "Source object Length exceeds the maximum allowed size.")
        part = self.part(request, upload, data)
        upload.parts[self.number(request)] = part
        headers = self.source_headers(source_bucket, source, part)
        if span and self.returns_range:
            headers["Content-Range"] = f"bytes {span[0]}-{span[1]}/{len(source.data)}"
        return self.copy_result("CopyPartResult", part, headers)

    returns_range = False

    def part(self, request, upload, data):
        sent = self.customer_key(request)
        if sent != upload.template.customer_key:
            raise VendorError(400, "InvalidRequest", "the customer's key is not that of the upload")
        return Object(data, md5(data), encryption=upload.template.encryption, customer_key=sent)

    def source_range(self, request, size):
        text = self.own(request, "copy-source-range")
        if not text:
            return None
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", text)
        if not match:
            raise VendorError(400, "InvalidArgument", "range")
        first, last = int(match[1]), int(match[2])
        if first > last or last >= size:
            raise VendorError(*self.bad_source_range)
        return first, last

    bad_source_range = (400, "InvalidArgument", "Range specified is not valid for source object")

    def listed_parts(self, request, upload):
        try:
            root = ElementTree.fromstring(request.body)
            parts = [{child.tag.rpartition("}")[2]: child.text or "" for child in part} for part in root]
            listed = [(int(part["PartNumber"]), part["ETag"].strip('"').lower()) for part in parts]
        except (ElementTree.ParseError, KeyError, ValueError):
            raise VendorError(400, "MalformedXML") from None
        if not listed or root.tag.rpartition("}")[2] != "CompleteMultipartUpload":
            raise VendorError(400, "MalformedXML")
        return listed

    def op_complete(self, request):
        bucket, upload = self.bucket(request), self.upload(request)
        listed = self.listed_parts(request, upload)
        numbers = [number for number, _ in listed]
        if numbers != sorted(set(numbers)):
            raise VendorError(400, "InvalidPartOrder")
        parts = []
        for number, etag in listed:
            part = upload.parts.get(number)
            if not part or part.etag != etag:
                raise VendorError(400, "InvalidPart", str(number))
            parts.append(part)
        if any(len(part.data) < self.part_minimum for part in parts[:-1]):
            raise VendorError(400, "EntityTooSmall")
        self.check_overwrite(request, bucket)
        stored = copy.copy(upload.template)
        stored.acl = self.own(request, self.acl_name) or stored.acl
        stored.data = join_pieces([part.data for part in parts])
        stored.etag, stored.modified = self.multipart_etag(parts), int(time.time())
        bucket.put(request.key, stored)
        del bucket.uploads[request.param("uploadId")]
        children = element("Location", f"http://{request.host}/{quote(request.key)}") + element("Bucket", bucket.name)
        children += element("Key", self.encode_name(request, request.key)) + element("ETag", self.quote_etag(stored.etag))
        children += self.encoding(request)
        return self.document("CompleteMultipartUploadResult", children, self.object_headers(stored, new=True))

    part_minimum = 1024 * 1024

    def multipart_etag(self, parts):
        return f"{md5(b''.join(bytes.fromhex(part.etag) for part in parts))}-{len(parts)}"

    def op_abort(self, request):
        self.upload(request)
        del self.bucket(request).uploads[request.param("uploadId")]
        return Response(204)

    def listed_part(self, part):
        fields = {"LastModified": iso(part.modified), "ETag": self.quote_etag(part.etag), "Size": len(part.data)}
        return "".join(element(name, value) for name, value in fields.items())

    def op_list_parts(self, request):
        upload = self.upload(request)
        marker, size = self.number_of(request, "part-number-marker", 0), self.number_of(request, "max-parts", 1000)
        after = [(number, part) for number, part in sorted(upload.parts.items()) if number > marker]
        rows, owner = after[:min(size, 1000)], element("ID", self.owner) + element("DisplayName", self.owner)
        children = element("Bucket", request.bucket) + element("Key", self.encode_name(request, request.key))
        children += self.encoding(request) + element("UploadId", request.param("uploadId"))
        children += f"<Initiator>{owner}</Initiator><Owner>{owner}</Owner>" if self.name != "oss" else ""
        children += element("StorageClass", upload.template.storage_class) + element("PartNumberMarker", marker)
        children += element("NextPartNumberMarker", rows[-1][0] if rows else 0) + element("MaxParts", size)
        children += element("IsTruncated", str(len(rows) < len(after)).lower())
        for number, part in rows:
            children += f"<Part>{element('PartNumber', number)}{self.listed_part(part)}</Part>"
        return self.document("ListPartsResult", children)
