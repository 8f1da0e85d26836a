"""The data of a double: buckets, objects with versions, uploads with parts. In memory, with one lock."""

import hashlib
import itertools
import threading
import time
from dataclasses import dataclass, field

import crcmod

_crc64 = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)
_ids = itertools.count(1)


class Claimed:
    """A range without bytes, for sizes that are too large to store. It can be sliced, and only consecutive pieces can be
    joined."""

    def __init__(self, first, size):
        self.first, self.size = first, size

    def __len__(self):
        return self.size

    def __getitem__(self, span):
        first, last, _ = span.indices(self.size)
        return Claimed(self.first + first, max(0, last - first))

    def name_text(self):
        return f"{self.first} {self.size}".encode()


def join_pieces(pieces):
    if not any(isinstance(piece, Claimed) for piece in pieces):
        return b"".join(pieces)
    whole = Claimed(pieces[0].first, 0)
    for piece in pieces:
        if piece.first != whole.first + whole.size:
            raise ValueError("the pieces are not consecutive")
        whole.size += piece.size
    return whole


def crc64(data):
    """Returns the CRC-64/XZ as unsigned decimal, the format of COS and OSS."""
    return str(_crc64(data.name_text() if isinstance(data, Claimed) else data))


def md5(data):
    return hashlib.md5(data.name_text() if isinstance(data, Claimed) else data).hexdigest()


@dataclass(eq=False)
class Object:
    data: bytes
    etag: str  # Hexadecimal in lower case, with or without the number of parts.
    headers: dict = field(default_factory=dict)  # Content headers.
    metadata: dict = field(default_factory=dict)
    storage_class: str = ""
    acl: str = ""
    grants: list = None  # Of an ACL document: (kind, grantee, permission).
    tags: str = ""
    encryption: dict = field(default_factory=dict)
    customer_key: str = ""
    version: str = ""
    marker: bool = False
    modified: int = field(default_factory=lambda: int(time.time()))
    appendable: bool = False
    restored: tuple = None  # When the restored copy is available, and when it expires.
    retention: dict = field(default_factory=dict)  # Mode and RetainUntilDate.
    legal_hold: str = ""
    sum: tuple = (None, "")  # Cache: bytes and their CRC.

    def crc64(self):
        if self.sum[0] is not self.data:
            self.sum = self.data, crc64(self.data)
        return self.sum[1]


@dataclass
class Upload:
    key: str
    template: Object
    parts: dict = field(default_factory=dict)  # Number -> Object.
    initiated: int = field(default_factory=lambda: int(time.time()))


class Bucket:
    def __init__(self, name):
        self.name = name
        self.versioning = "Enabled" if name.startswith("ver") else ""  # Or Suspended.
        self.created = int(time.time())
        self.objects = {}  # Key -> [Object, newest last].
        self.uploads = {}
        self.acl = "private"
        self.grants = None
        self.worm = None  # The retention policy.
        self.settings = {}  # (sub-resource, ID) -> document.

    @property
    def is_versioned(self):
        """Whether versioning was ever enabled. It can be suspended, but not disabled."""
        return bool(self.versioning)

    def set_versioning(self, word):
        self.versioning = word
        for rows in self.objects.values():
            for row in rows:
                row.version = row.version or "null"

    def current(self, key, version=None):
        """Returns the object, or None. A delete marker is only returned for its version ID."""
        rows = self.objects.get(key, [])
        if version:
            return next((row for row in rows if (row.version or "null") == version), None)
        return rows[-1] if rows and not rows[-1].marker else None

    def put(self, key, stored):
        rows = self.objects.setdefault(key, [])
        if self.versioning == "Enabled":
            stored.version = f"v{next(_ids):06d}"
        else:
            # An object with the version "null" is replaced.
            stored.version = "null" if self.is_versioned else ""
            rows[:] = [row for row in rows if row.version not in ("", "null")]
        rows.append(stored)

    def delete(self, key, version=None):
        """Returns the version ID for the response, and whether it is a delete marker."""
        rows = self.objects.get(key, [])
        if version:
            found = self.current(key, version)
            if found:
                rows.remove(found)
                if not rows:
                    del self.objects[key]
            return version, bool(found and found.marker)
        if self.is_versioned:
            marker = Object(b"", "", marker=True)
            self.put(key, marker)
            return marker.version, True
        self.objects.pop(key, None)
        return None, False

    def keys(self):
        return sorted((key for key in self.objects if self.current(key)), key=lambda key: key.encode())


class Store:
    def __init__(self):
        self.lock = threading.RLock()
        self.buckets = {}

    def new_upload(self, bucket, key, template, upload_id):
        bucket.uploads[upload_id] = Upload(key, template)
        return upload_id
