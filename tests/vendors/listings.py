"""Listings of objects, versions and uploads: common paging, and the elements in each vendor's order."""

import base64
from urllib.parse import quote

from .documents import element
from .server import VendorError
from .text import iso


class Listings:
    second_listing = False
    page = 1000
    always_next = True  # NextMarker also without a delimiter.
    prefixes_first = False
    echoes_delimiter = False  # In listings of versions and uploads, also an empty one.
    unversioned = "null"  # The version ID of objects in an unversioned bucket.
    next_markers = "truncated"  # When a listing of uploads has next markers: truncated, filled or always.
    upload_encoding = "EncodingType"
    upload_owners = True
    pairs_markers = False  # A version ID marker requires a key marker.
    row_order = ("Key", "LastModified", "ETag", "Type", "Size", "Owner", "StorageClass", "RestoreInfo")
    version_row_order = ("Key", "VersionId", "IsLatest", "LastModified", "ETag", "Type", "Size", "Owner", "StorageClass")
    version_order = ("Name", "Prefix", "KeyMarker", "VersionIdMarker", "NextKeyMarker", "NextVersionIdMarker", "MaxKeys",
                     "Delimiter", "EncodingType", "IsTruncated", "rows", "CommonPrefixes")
    upload_order = ("Bucket", "KeyMarker", "UploadIdMarker", "NextKeyMarker", "NextUploadIdMarker", "Prefix", "Delimiter",
                    "EncodingType", "MaxUploads", "IsTruncated", "rows", "CommonPrefixes")
    owner = "1"

    # -- common parts of listings

    def cut_page(self, entries, request, marker, size):
        """Returns the entries (key, value) of this page, their common prefixes, whether it is truncated, and the last name."""
        prefix, delimiter = request.param("prefix") or "", request.param("delimiter") or ""
        rows, prefixes, last = [], {}, ("", None)
        for key, what in entries:
            if not key.startswith(prefix):
                continue
            if not size:
                break
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            group = key[:at + len(delimiter)] if at >= 0 else ""
            if group and (group in prefixes or (marker and group.encode() <= marker)):
                continue
            if len(rows) + len(prefixes) >= size:
                return rows, prefixes, True, last
            if group:
                prefixes[group] = True
            else:
                rows.append((key, what))
            last = (group, None) if group else (key, what)
        return rows, prefixes, False, last

    def check_listing(self, request):
        if request.param("encoding-type") not in (None, "", "url"):
            raise VendorError(400, "InvalidArgument", "Invalid Encoding Method specified in Request")

    def encode_name(self, request, text):
        return quote(text, safe="/") if request.param("encoding-type") == "url" else text

    def encoding(self, request):
        return element("EncodingType", "url") if request.param("encoding-type") == "url" else ""

    def token(self, text):
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def read_token(self, token):
        try:
            return base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True).decode()
        except ValueError:
            raise VendorError(400, "InvalidArgument", "The continuation token provided is incorrect") from None

    def owner_element(self):
        return f"<Owner>{element('ID', self.owner)}{element('DisplayName', self.owner)}</Owner>"

    def groups_of(self, request, prefixes):
        return "".join(f"<CommonPrefixes>{element('Prefix', self.encode_name(request, text))}</CommonPrefixes>" for text in prefixes)

    def delimiter_elements(self, request, echoes):
        text = request.param("delimiter") or ""
        return element("Delimiter", self.encode_name(request, text)) if text or echoes else ""

    def listed_type(self, row):
        return ""

    def restore_info(self, row):
        return ""

    def listed_fields(self, request, key, row):
        """Returns the elements of an object in a listing, by name."""
        return {
            "Key": element("Key", self.encode_name(request, key)), "LastModified": element("LastModified", iso(row.modified)),
            "ETag": element("ETag", self.quote_etag(row.etag)), "Type": self.listed_type(row),
            "Size": element("Size", len(row.data)), "Owner": self.owner_element(), "RestoreInfo": self.restore_info(row),
            "StorageClass": element("StorageClass", row.storage_class or self.standard),
        }

    @staticmethod
    def join_in_order(order, fields):
        return "".join(fields.get(name, "") for name in order)

    # -- objects

    def op_list(self, request):
        bucket = self.bucket(request)
        second = request.param("list-type") == "2"
        if second and not self.second_listing:
            raise VendorError(501, "NotImplemented", "list-type=2")
        self.check_listing(request)
        token = request.param("continuation-token") if second else None
        after = request.param("start-after" if second else "marker") or ""
        marker = (self.read_token(token) if token is not None else after).encode()
        size = min(self.number_of(request, "max-keys", self.page), 1000)
        entries = ((key, bucket.current(key)) for key in bucket.keys() if not marker or key.encode() > marker)
        rows, prefixes, truncated, last = self.cut_page(entries, request, marker, size)
        return self.listing(request, bucket, rows, prefixes, truncated, last[0], size, second)

    def listing(self, request, bucket, rows, prefixes, truncated, last, size, second):
        def encode(text):
            return self.encode_name(request, text)

        children = element("Name", bucket.name) + element("Prefix", encode(request.param("prefix") or ""))
        children += self.encoding(request) + self.delimiter_elements(request, False)
        children += element("MaxKeys", size) + element("IsTruncated", str(truncated).lower())
        if second:
            children += element("KeyCount", len(rows) + len(prefixes))
            children += element("NextContinuationToken", self.token(last)) if truncated else ""
            given = request.param("continuation-token")
            children += element("ContinuationToken", given) if given else ""
            after = request.param("start-after")
            children += element("StartAfter", encode(after)) if after else ""
        else:
            children += element("Marker", encode(request.param("marker") or ""))
            result = truncated and (self.always_next or request.param("delimiter"))
            children += element("NextMarker", encode(last)) if result else ""
        groups = self.groups_of(request, prefixes)
        children += groups if self.prefixes_first else ""
        unowned = second and request.param("fetch-owner") != "true"
        for key, row in rows:
            fields = self.listed_fields(request, key, row) | ({"Owner": ""} if unowned else {})
            children += f"<Contents>{self.join_in_order(self.row_order, fields)}</Contents>"
        children += "" if self.prefixes_first else groups
        return self.document("ListBucketResult", children)

    # -- versions

    def op_versions(self, request):
        bucket = self.bucket(request)
        self.check_listing(request)
        key_marker, version_marker = request.param("key-marker") or "", request.param("version-id-marker") or ""
        if version_marker and not key_marker and self.pairs_markers:
            raise VendorError(400, "InvalidArgument", "A version-id marker cannot be specified without a key marker.")
        size = min(self.number_of(request, "max-keys", self.page), 1000)
        entries = self.after_version(bucket, key_marker, version_marker)
        rows, prefixes, truncated, (last, row) = self.cut_page(entries, request, key_marker.encode(), size)
        next_version = element("NextVersionIdMarker", self.listed_version(bucket, row) if row else "")
        fields = {
            "Name": element("Name", bucket.name),
            "Prefix": element("Prefix", self.encode_name(request, request.param("prefix") or "")),
            "KeyMarker": element("KeyMarker", self.encode_name(request, key_marker)),
            "VersionIdMarker": element("VersionIdMarker", version_marker),
            "NextKeyMarker": element("NextKeyMarker", self.encode_name(request, last)) if truncated else "",
            "NextVersionIdMarker": next_version if truncated else "",
            "MaxKeys": element("MaxKeys", size), "Delimiter": self.delimiter_elements(request, self.echoes_delimiter),
            "EncodingType": self.encoding(request), "IsTruncated": element("IsTruncated", str(truncated).lower()),
            "CommonPrefixes": self.groups_of(request, prefixes),
            "rows": "".join(self.version_row(request, bucket, key, row) for key, row in rows),
        }
        return self.document("ListVersionsResult", self.join_in_order(self.version_order, fields))

    def listed_version(self, bucket, row):
        return row.version or ("null" if bucket.is_versioned else self.unversioned)

    def after_version(self, bucket, key_marker, version_marker):
        """Returns all versions after the markers, newest first. A key marker alone skips all versions of the key."""
        for key in sorted(bucket.objects, key=str.encode):
            if key.encode() < key_marker.encode():
                continue
            rows = bucket.objects[key][::-1]
            if key == key_marker:
                ids = [self.listed_version(bucket, row) for row in rows]
                rows = rows[ids.index(version_marker) + 1:] if version_marker in ids else []
            yield from ((key, row) for row in rows)

    def version_row(self, request, bucket, key, row):
        latest = row is bucket.objects[key][-1]
        fields = self.listed_fields(request, key, row)
        if row.marker:
            fields = {name: fields[name] for name in ("Key", "LastModified", "Owner")}
        fields["VersionId"] = element("VersionId", self.listed_version(bucket, row))
        fields["IsLatest"] = element("IsLatest", str(latest).lower())
        name = "DeleteMarker" if row.marker else "Version"
        return f"<{name}>{self.join_in_order(self.version_row_order, fields)}</{name}>"

    # -- uploads

    def op_uploads(self, request):
        bucket = self.bucket(request)
        self.check_listing(request)
        key_marker = request.param("key-marker") or ""
        # According to the documents the upload ID marker is used only with a key marker.
        id_marker = request.param("upload-id-marker") or "" if key_marker else ""
        size = min(self.number_of(request, "max-uploads", 1000), 1000)
        place = key_marker.encode(), id_marker
        entries = sorted(((upload.key, (upload_id, upload)) for upload_id, upload in bucket.uploads.items()),
                         key=lambda entry: (entry[0].encode(), entry[1][0]))
        entries = [entry for entry in entries if not key_marker or entry[0].encode() > place[0]
                   or (id_marker and entry[0] == key_marker and entry[1][0] > id_marker)]
        rows, prefixes, truncated, (last, what) = self.cut_page(entries, request, key_marker.encode(), size)
        has_markers = truncated or self.next_markers == "always" or (self.next_markers == "filled" and bool(last))
        encoding = element(self.upload_encoding, "url") if request.param("encoding-type") == "url" else ""
        fields = {
            "Bucket": element("Bucket", bucket.name), "EncodingType": encoding,
            "KeyMarker": element("KeyMarker", self.encode_name(request, key_marker)),
            "UploadIdMarker": element("UploadIdMarker", request.param("upload-id-marker") or ""),
            "NextKeyMarker": element("NextKeyMarker", self.encode_name(request, last)) if has_markers else "",
            "NextUploadIdMarker": element("NextUploadIdMarker", what[0] if what else "") if has_markers else "",
            "MaxUploads": element("MaxUploads", size), "Delimiter": self.delimiter_elements(request, self.echoes_delimiter),
            "Prefix": element("Prefix", self.encode_name(request, request.param("prefix") or "")),
            "IsTruncated": element("IsTruncated", str(truncated).lower()),
            "CommonPrefixes": self.groups_of(request, prefixes),
            "rows": "".join(self.upload_row(request, key, *what) for key, what in rows),
        }
        return self.document("ListMultipartUploadsResult", self.join_in_order(self.upload_order, fields))

    def upload_row(self, request, key, upload_id, upload):
        who = element("ID", self.owner) + element("DisplayName", self.owner)
        owners = f"<Initiator>{who}</Initiator><Owner>{who}</Owner>" if self.upload_owners else ""
        fields = element("Key", self.encode_name(request, key)) + element("UploadId", upload_id) + owners
        fields += element("StorageClass", upload.template.storage_class) + element("Initiated", iso(upload.initiated))
        return f"<Upload>{fields}</Upload>"
