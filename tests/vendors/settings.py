"""Bucket settings: a PUT document is validated with the vendor's shape, stored, and returned in that shape."""

import json
from dataclasses import dataclass

from . import documents
from .documents import Malformed, element, only
from .server import Response, VendorError

PAGE = 100  # Configurations with IDs per page.


class Setting:
    """One sub-resource of a bucket. Without a shape its document is JSON."""

    def __init__(self, official, shape="", missing="", put=200, methods="GET PUT DELETE", identity="", listed="", limit=None,
                 default="", unset=404):
        self.official, self.missing, self.put, self.identity = official, missing, put, identity
        self.shape = documents.shape(shape) if shape else None
        self.methods, self.listed, self.limit, self.default, self.unset = methods.split(), listed, limit, default, unset


@dataclass
class Step:
    """The operation of a request on a setting."""

    method: str
    name: str


class Settings:
    settings = {}
    bad_json = "MalformedPolicy"
    bad_versioning = "MalformedXML"

    def body_of(self, request, shape, code="MalformedXML"):
        self.check_md5(request)
        try:
            return documents.read(request.body, shape)
        except Malformed as error:
            raise VendorError(400, code, str(error)) from None

    def op_setting(self, request, step):
        setting = self.settings[step.name]
        bucket = self.bucket(request)
        identity = request.param(setting.identity) if setting.identity else ""
        if setting.identity and not identity:
            if step.method == "GET":
                return self.list_settings(request, bucket, step.name, setting)
            raise VendorError(400, "InvalidArgument", setting.identity)
        place = step.name, identity
        if step.method == "PUT":
            return self.put_setting(request, bucket, place, setting)
        if step.method == "DELETE":
            return self.delete_setting(request, bucket, place)
        document = bucket.settings.get(place, setting.default)
        if not document and setting.missing:
            raise VendorError(setting.unset, setting.missing)
        if not setting.shape:
            return Response(200, {"Content-Type": "application/json"}, document)
        return self.document(setting.shape.name, documents.write_document(document or {}, setting.shape))

    def put_setting(self, request, bucket, place, setting):
        name, identity = place
        if setting.shape:
            document = self.body_of(request, setting.shape)
        else:
            self.check_md5(request)
            document = self.json_of(request.body)
        if setting.limit and len(document.get(setting.limit[0], [])) > setting.limit[1]:
            raise VendorError(400, setting.limit[2], f"more than {setting.limit[1]}")
        if setting.identity and identity != only(document, "Id"):
            raise VendorError(400, self.bad_identity, f"{identity} is not the Id of the document")
        check = getattr(self, "check_put_" + name, None)
        if check:
            check(request, document)
        bucket.settings[place] = document
        return Response(setting.put)

    bad_identity = "InvalidArgument"

    def delete_setting(self, request, bucket, place):
        bucket.settings.pop(place, None)
        return Response(204)

    def json_of(self, body):
        try:
            if isinstance(json.loads(body), dict):
                return body
        except ValueError:
            pass
        raise VendorError(400, self.bad_json, "not a JSON object")

    def list_settings(self, request, bucket, name, setting):
        after = self.read_token(request.param("continuation-token") or "")
        rows = sorted((identity, document) for (own, identity), document in bucket.settings.items() if own == name and identity > after)
        page = rows[:PAGE]
        children = "".join(f"<{setting.shape.name}>{documents.write_document(document, setting.shape)}</{setting.shape.name}>"
                           for _, document in page)
        children += element("IsTruncated", str(len(page) < len(rows)).lower())
        children += element("NextContinuationToken", self.token(page[-1][0])) if len(page) < len(rows) else ""
        return self.document(setting.listed, children)

    # -- validation of single settings

    def check_put_tagging(self, request, document):
        self.check_tags(self.pairs(document), self.bucket_tags)

    def check_put_logging(self, request, document):
        target = only(document, "LoggingEnabled", "TargetBucket")
        if target is not None and target not in self.store.buckets:
            raise VendorError(400, "InvalidTargetBucketForLogging", target)

    def check_put_website(self, request, document):
        if not document:
            raise VendorError(400, "MalformedXML", "an empty WebsiteConfiguration")

    # -- versioning

    versioning_shape = documents.shape("VersioningConfiguration(Status?=Enabled|Suspended)")

    def op_versioning(self, request):
        word = self.bucket(request).versioning
        return self.document("VersioningConfiguration", element("Status", word) if word else "")

    def op_put_versioning(self, request):
        bucket = self.bucket(request)
        word = only(self.body_of(request, self.versioning_shape), "Status")
        if not word:
            raise VendorError(400, self.bad_versioning, "The Versioning element must be specified.")
        bucket.set_versioning(word)
        return Response(200)

    # -- default encryption

    def default_encryption(self, bucket):
        return {}
