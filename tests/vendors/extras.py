"""Tags, restores, append and locks of objects, and deletion of multiple objects."""

import re
import time
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

from . import documents
from .documents import element, only
from .server import Response, VendorError
from .store import Object, md5
from .text import http_date, iso, timestamp

TAGGING = documents.shape("Tagging(TagSet(Tag*(Key, Value)))")
DELETE = documents.shape("Delete(Quiet?=!, Object+(Key, VersionId?))")


@dataclass
class TagLimits:
    count: int
    key: int
    value: int
    code: str  # Error code for too many tags.


class Extras:
    object_tags = TagLimits(10, 128, 256, "InvalidTag")
    bucket_tags = TagLimits(50, 128, 256, "InvalidTag")
    tag_form = r"[\w +\-=.:/@]*"
    tag_bytes = False  # Whether sizes are in bytes of UTF-8.
    put_tagging = 200
    missing_md5 = "InvalidRequest"  # Error code for a DeleteObjects without a digest.
    deleted_order = ("Key", "VersionId", "DeleteMarker", "DeleteMarkerVersionId")
    restore_shape = None
    archives = ()
    unrestorable = (403, "InvalidObjectState")
    restored_again = 200
    appends = False
    bad_position = (409, "AppendPositionErr")
    lock_setting = ""
    locked = (409, "ObjectLocked")
    retention_shape = None
    bad_until = (400, "InvalidArgument")

    def version_header(self, stored):
        return {self.prefix + "version-id": stored.version} if stored.version else {}

    # -- deletion of multiple objects

    def op_delete_many(self, request):
        bucket = self.bucket(request)
        if "content-md5" not in request.headers:
            raise VendorError(400, self.missing_md5, "Missing required header for this request: Content-MD5")
        document = self.body_of(request, DELETE)
        if len(document["Object"]) > 1000:
            raise VendorError(400, "MalformedXML", "more than 1000 keys")
        for row in document["Object"]:
            if not only(row, "Key") or not re.fullmatch(r"[\w.-]*", only(row, "VersionId") or ""):
                raise VendorError(400, "InvalidArgument", "Invalid version id specified" if only(row, "Key") else "an empty key")
        quiet = only(document, "Quiet") == "true"
        return self.delete_result(request, self.delete_rows(request, bucket, document["Object"], quiet), quiet)

    def delete_result(self, request, children, quiet):
        return self.document("DeleteResult", self.encoding(request) + children)

    def delete_rows(self, request, bucket, rows, quiet):
        children = ""
        for row in rows:
            key, version = only(row, "Key"), only(row, "VersionId") or None
            fields = {"Key": element("Key", self.encode_name(request, key)),
                      "VersionId": element("VersionId", version) if version else ""}
            try:
                self.check_locked(request, bucket, key, version)
            except VendorError as error:
                children += self.delete_error(fields, error)
                continue
            result, marker = bucket.delete(key, version)
            if marker:
                fields["DeleteMarker"] = element("DeleteMarker", "true")
                fields["DeleteMarkerVersionId"] = element("DeleteMarkerVersionId", result)
            children += "" if quiet else f"<Deleted>{self.join_in_order(self.deleted_order, fields)}</Deleted>"
        return children

    def delete_error(self, fields, error):
        result = element("Code", error.code) + element("Message", error.message or self.messages.get(error.code, error.code))
        return f"<Error>{fields['Key']}{fields['VersionId']}{result}</Error>"

    # -- tags

    def pairs(self, document):
        return [(only(tag, "Key"), only(tag, "Value")) for tag in only(document, "TagSet").get("Tag", [])]

    def check_tags(self, pairs, limits, repeated="InvalidTag"):
        if len(pairs) > limits.count:
            raise VendorError(400, limits.code, f"tags cannot be greater than {limits.count}")
        if len({key for key, _ in pairs}) != len(pairs):
            raise VendorError(400, repeated, "Cannot provide multiple Tags with the same key")
        for key, value in pairs:
            sizes = [len(text.encode() if self.tag_bytes else text) for text in (key, value)]
            if not 1 <= sizes[0] <= limits.key or not re.fullmatch(self.tag_form, key):
                raise VendorError(400, "InvalidTag", "The TagKey you have provided is invalid")
            if sizes[1] > limits.value or not re.fullmatch(self.tag_form, value):
                raise VendorError(400, "InvalidTag", "The TagValue you have provided is invalid")

    def header_tags(self, request):
        text = self.own(request, "tagging")
        self.check_tags(parse_qsl(text, keep_blank_values=True), self.object_tags, "InvalidArgument")
        return text

    def op_tagging(self, request):
        stored = self.find_object(self.bucket(request), request.key, request.param("versionId"))
        rows = "".join(f"<Tag>{element('Key', key)}{element('Value', value)}</Tag>"
                       for key, value in parse_qsl(stored.tags, keep_blank_values=True))
        return self.document("Tagging", f"<TagSet>{rows}</TagSet>", self.version_header(stored))

    def op_put_tagging(self, request):
        stored = self.find_object(self.bucket(request), request.key, request.param("versionId"))
        pairs = self.pairs(self.body_of(request, TAGGING))
        self.check_tags(pairs, self.object_tags)
        stored.tags = urlencode(pairs, quote_via=quote)
        return Response(self.put_tagging, self.version_header(stored))

    def op_delete_tagging(self, request):
        stored = self.find_object(self.bucket(request), request.key, request.param("versionId"))
        stored.tags = ""
        return Response(204, self.version_header(stored))

    # -- archived objects

    def restore_state(self, stored):
        """Returns the value of the restore header; empty without a restored copy."""
        if not stored.restored:
            return ""
        ready, end = stored.restored
        if time.time() < ready:
            return 'ongoing-request="true"'
        return f'ongoing-request="false", expiry-date="{http_date(end)}"' if time.time() < end else ""

    def check_restored(self, stored):
        if stored.storage_class in self.archives and not self.restore_state(stored).startswith('ongoing-request="false"'):
            raise VendorError(403, "InvalidObjectState", "The operation is not valid for the object's state.",
                              {self.prefix + "storage-class": stored.storage_class})

    def op_restore(self, request):
        stored = self.find_object(self.bucket(request), request.key, request.param("versionId"))
        document = self.restore_request(request, stored)
        if stored.storage_class not in self.archives:
            raise VendorError(*self.unrestorable, "not of an archive class")
        state = self.restore_state(stored)
        if state == 'ongoing-request="true"':
            raise VendorError(409, "RestoreAlreadyInProgress", "The restore operation is in progress.")
        days = int(only(document, "Days") or 1)
        if days < 1:
            raise VendorError(400, "InvalidArgument", "Days")
        # An existing restored copy only gets a later expiry date.
        ready = stored.restored[0] if state else time.time() + self.restore_seconds
        stored.restored = ready, ready + days * 86400
        headers = {**self.version_header(stored), **self.restore_headers(stored, document)}
        return Response(self.restored_again if state else 202, headers)

    def restore_request(self, request, stored):
        return self.body_of(request, self.restore_shape)

    def restore_headers(self, stored, document):
        return {}

    # -- append

    def op_append(self, request):
        bucket = self.bucket(request)
        self.check_md5(request)
        stored, text = bucket.current(request.key), request.param("position")
        if not text:
            raise VendorError(400, self.no_position, "Missing Some Required Arguments.")
        position = self.number_of(request, "position", 0)
        if stored and not stored.appendable:
            raise VendorError(409, "ObjectNotAppendable", "The object is not appendable.")
        length = len(stored.data) if stored else 0
        if position != length:
            raise VendorError(*self.bad_position, "Position is not equal to file length.", self.position_header(length))
        if stored:
            self.check_locked(request, bucket, request.key, stored.version or "null")
        else:
            stored = self.describe_object(request, Object(b"", "", appendable=True))
            stored.tags = self.header_tags(request)
            bucket.put(request.key, stored)
        stored.data += request.body
        # Documented as opaque, so it is not the digest of the data.
        stored.etag, stored.modified = md5(b"appended " + stored.data), int(time.time())
        headers = {**self.object_headers(stored, new=True), **self.position_header(len(stored.data))}
        return Response(200, {**headers, **self.append_headers(request)})

    no_position = "InvalidArgument"

    def position_header(self, length):
        return {self.prefix + "next-append-position": str(length)}

    def append_headers(self, request):
        return {}

    # -- locks

    def check_locked(self, request, bucket, key, version=None):
        """Rejects the deletion or overwriting of a locked version. A new version or delete marker is allowed."""
        stored = bucket.current(key, version)
        if not stored or (not version and bucket.versioning == "Enabled"):
            return
        until = timestamp(stored.retention.get("RetainUntilDate", "")) or 0
        bypass = self.own(request, "bypass-governance-retention") == "true" and stored.retention.get("Mode") == "GOVERNANCE"
        if stored.legal_hold == "ON" or (until > time.time() and not bypass):
            raise VendorError(*self.locked)

    def default_retention(self, bucket):
        rule = only(bucket.settings.get((self.lock_setting, ""), {}), "Rule", "DefaultRetention") or {}
        days = int(only(rule, "Days") or 0) + 365 * int(only(rule, "Years") or 0)
        if not days:
            return {}
        return {"Mode": only(rule, "Mode") or "COMPLIANCE", "RetainUntilDate": iso(time.time() + days * 86400)}

    def locks_of(self, request, bucket):
        """Sets the retention and the legal hold of a new object."""
        return self.default_retention(bucket), ""

    def lock_enabled(self, bucket):
        return (self.lock_setting, "") in bucket.settings

    def op_retention(self, request):
        stored = self.find_object(self.bucket(request), request.key, request.param("versionId"))
        if not stored.retention:
            raise VendorError(404, "NoSuchObjectLockConfiguration")
        document = {name: [value] for name, value in stored.retention.items()}
        return self.document("Retention", documents.write_document(document, self.retention_shape))

    def op_put_retention(self, request):
        bucket = self.bucket(request)
        stored = self.find_object(bucket, request.key, request.param("versionId"))
        document = self.body_of(request, self.retention_shape)
        if not self.lock_enabled(bucket):
            raise VendorError(*self.no_lock)
        new = {name: values[0] for name, values in document.items()}
        until, old = timestamp(new["RetainUntilDate"]), timestamp(stored.retention.get("RetainUntilDate", "")) or 0
        if until is None or until <= time.time():
            raise VendorError(*self.bad_until, "The retain until date must be in the future!")
        if until < old and not (stored.retention.get("Mode") == "GOVERNANCE"
                                and self.own(request, "bypass-governance-retention") == "true"):
            raise VendorError(*self.bad_until, "a retention can only become longer")
        stored.retention = new
        return Response(200, self.version_header(stored))

    no_lock = (400, "InvalidRequest", "Bucket is missing Object Lock Configuration")
