"""Invalid responses of targets. A server between the proxy and a vendor's double changes the double's responses. Each
kind of change, operation and caller dialect is a cell. In every cell the client must get an error, an aborted connection,
or the correct result. The last line has the counts.

By default each caller dialect is tested with one target, with `--all` with every target."""

import argparse
import contextlib
import functools
import hashlib
import os
import re
import socket
import socketserver
import struct
import sys
import threading
import time
import traceback

import servers
from api import CallError
from careless import Careless
from cos_clients import CosPython
from oss_clients import Oss2V4
from s3_clients import Boto3

BUCKET = "nonsense-1250000000"
OTHER = "other-1250000000"
BODY = bytes(range(256)) * 40
PART = os.urandom(5 * 1024 * 1024)


class Response:
    """A response of the double, which can be changed."""

    def __init__(self, raw, method):
        self.method = method
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]
        self.length = None  # Content-Length; None: the right one.
        self.extra, self.cut = b"", None

    def drop(self, *names):
        self.headers = [row for row in self.headers if row[0].lower() not in names]

    def set(self, name, value):
        self.drop(name.lower())
        self.headers.append((name, value))

    def has(self, name):
        return any(row[0].lower() == name for row in self.headers)

    def raw(self, method):
        self.drop("transfer-encoding")
        result = next((value for name, value in self.headers if name.lower() == "content-length"), None)
        if self.status not in (204, 304) and not (method == "HEAD" and result) and self.length != "none":
            self.set("Content-Length", str(len(self.body) if self.length is None else self.length))
        head = f"HTTP/1.1 {self.status} Whatever\r\n" + "".join(f"{n}: {v}\r\n" for n, v in self.headers) + "\r\n"
        body = b"" if method == "HEAD" or self.status in (204, 304) else self.body
        return head.encode("latin-1") + (body if self.cut is None else body[:self.cut]) + self.extra


def register_change(kinds={}):
    """Registers a kind of change: a function that changes a response, or returns False if it cannot."""
    return lambda change: kinds.setdefault(change.__name__, change)


KINDS = register_change.__defaults__[0]
PAGE = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>"
ERROR = b'<?xml version="1.0"?><Error><Code>InternalError</Code><Message>We failed.</Message></Error>'


@register_change()
def without_etag(response):
    if not response.has("etag"):
        return False
    response.drop("etag")


@register_change()
def weak_etag(response):
    if not response.has("etag"):
        return False
    response.set("ETag", 'W/"5f2b-264"')


@register_change()
def empty_etag(response):
    if not response.has("etag"):
        return False
    response.set("ETag", '""')


@register_change()
def two_etags(response):
    if not response.has("etag"):
        return False
    response.headers.append(("ETag", '"0123456789abcdef0123456789abcdef"'))


@register_change()
def page(response):
    response.status, response.headers, response.body = 200, [("Content-Type", "text/html")], PAGE


@register_change()
def page_under_the_head(response):
    if response.method == "HEAD":
        return False  # Only the length would differ, which the proxy cannot detect.
    response.status, response.body = 200, PAGE
    response.drop("content-length")


@register_change()
def xhtml_page(response):
    response.status, response.headers = 200, [("Content-Type", "text/html")]
    response.body = b"<html><body><p>fine</p></body></html>"


@register_change()
def error_document(response):
    response.status, response.headers, response.body = 200, [("Content-Type", "application/xml")], ERROR


@register_change()
def error_under_the_head(response):
    if response.method == "HEAD":
        return False
    response.status, response.body = 200, ERROR
    response.drop("content-length")


@register_change()
def nothing(response):
    response.status, response.headers, response.body = 200, [], b""


@register_change()
def nothing_under_the_head(response):
    if not response.body:
        return False
    response.body = b""
    response.drop("content-length")


@register_change()
def fewer_bytes(response):
    if not response.body:
        return False
    response.cut = len(response.body) // 2


@register_change()
def one_byte_short(response):
    if not response.body:
        return False
    response.cut = len(response.body) - 1


@register_change()
def more_bytes(response):
    if not response.body:
        return False
    response.drop("connection")
    response.extra = b"more than the Content-Length"


@register_change()
def half_a_length(response):
    """The whole body, with half of its length as Content-Length."""
    if len(response.body) < 2:
        return False
    response.length = len(response.body) // 2


@register_change()
def truncated_document(response):
    """A truncated document with the matching Content-Length, so that the framing is valid."""
    if len(response.body) < 40:
        return False
    response.body = response.body[:-20]


@register_change()
def flip_byte(response):
    if not response.body or response.body.startswith(b"<"):
        return False  # The proxy cannot verify the content of a document.
    at = len(response.body) // 2
    response.body = response.body[:at] + bytes([response.body[at] ^ 1]) + response.body[at + 1:]


@register_change()
def last_byte_flipped(response):
    if not response.body or response.body.startswith(b"<"):
        return False  # The proxy cannot verify the content of a document.
    response.body = response.body[:-1] + bytes([response.body[-1] ^ 1])


@register_change()
def wrong_root(response):
    if b"</" not in response.body:
        return False
    response.body = b"<Something><Else>true</Else></Something>"


@register_change()
def two_roots(response):
    if b"</" not in response.body:
        return False
    response.body += b"<More/>"


@register_change()
def no_end(response):
    """A truncated listing without a marker for the next page."""
    if b"IsTruncated>" not in response.body:
        return False
    response.body = re.sub(rb"<IsTruncated>\w+<", b"<IsTruncated>true<", response.body)
    response.body = re.sub(rb"<Contents>.*</Contents>|<Upload>.*</Upload>|<Part>.*</Part>|<Next\w+>[^<]*</Next\w+>", b"",
                           response.body, flags=re.S)


@register_change()
def missing_is_truncated(response):
    if b"IsTruncated>" not in response.body:
        return False
    response.body = re.sub(rb"<IsTruncated>\w+</IsTruncated>", b"", response.body)


@register_change()
def invalid_is_truncated(response):
    if b"IsTruncated>" not in response.body:
        return False
    response.body = re.sub(rb"<IsTruncated>\w+<", b"<IsTruncated>maybe<", response.body)


@register_change()
def another_bucket(response):
    if BUCKET.encode() not in response.body:
        return False
    response.body = response.body.replace(BUCKET.encode(), OTHER.encode())


@register_change()
def another_key(response):
    if b"<Key>" not in response.body or b"<Tagging" in response.body:
        return False  # The proxy does not know the names of tags.
    response.body = re.sub(rb"<Key>[^<]*<", b"<Key>elsewhere<", response.body)


@register_change()
def missing_keys(response):
    if b"DeleteResult" not in response.body:
        return False
    response.body = re.sub(rb"<Deleted>.*?</Deleted>", b"", response.body, count=1, flags=re.S)


@register_change()
def no_keys(response):
    if b"DeleteResult" not in response.body:
        return False
    response.body = re.sub(rb"<Deleted>.*</Deleted>", b"", response.body, flags=re.S)


@register_change()
def another_range(response):
    if not response.has("content-range"):
        return False
    response.set("Content-Range", f"bytes 0-{len(response.body) - 1}/{len(BODY)}")


@register_change()
def another_total(response):
    if not response.has("content-range"):
        return False
    response.set("Content-Range", "bytes 100-299/250")


@register_change()
def whole_body_for_a_range(response):
    if not response.has("content-range"):
        return False
    response.drop("content-range")
    response.status, response.body = 200, BODY


@register_change()
def unrequested_range(response):
    if response.status != 200 or response.body != BODY:
        return False
    response.status, response.body = 206, BODY[:100]
    response.set("Content-Range", f"bytes 0-99/{len(BODY)}")


@register_change()
def two_lengths(response):
    response.extra = b""
    response.headers.append(("X-Nothing", f"1\r\nContent-Length: {len(response.body) + 1}"))


@register_change()
def no_length(response):
    """A body that ends with the connection, so that truncation cannot be detected."""
    response.drop("content-length")
    response.length = "none"


def status(number, **more):
    def replace_status(response):
        response.status, response.body = number, b""
        response.drop("content-length")
        for name, value in more.items():
            response.set(name, value)
    replace_status.__name__ = f"status_{number}"
    KINDS[replace_status.__name__] = replace_status


for number in (201, 202, 203, 204, 205, 206, 226, 300, 304, 400, 401, 403, 404, 409, 411, 412, 416, 418, 429, 451, 500, 502,
               503, 504, 599):
    status(number)
for number in (301, 302, 303, 307, 308):
    status(number, Location="http://127.0.0.1:9/elsewhere")


def register_raw_response(name, raw):
    KINDS[name] = raw


register_raw_response("endless_interim_responses", b"HTTP/1.1 100 Continue\r\n\r\n" * 40)
register_raw_response("switched_protocols", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: tea\r\nConnection: upgrade\r\n\r\n")
register_raw_response("no_http", b"\x00\x01\x02 this is not HTTP\r\n\r\n")
register_raw_response("ssh", b"SSH-2.0-OpenSSH_9.6\r\n")
register_raw_response("silence", b"")
register_raw_response("half_a_head", b"HTTP/1.1 200 OK\r\nContent-Le")
register_raw_response("status_of_no_kind", b"HTTP/1.1 999 Huh\r\nContent-Length: 0\r\n\r\n")
register_raw_response("negative_length", b"HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: -1\r\n\r\n")
register_raw_response("bad_chunk", b"HTTP/1.1 200 OK\r\nETag: \"x\"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n")
register_raw_response("no_last_chunk", b"HTTP/1.1 200 OK\r\nETag: \"x\"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
register_raw_response("reset", None)


class TamperingProxy(socketserver.ThreadingTCPServer):
    """Forwards requests to a double, and changes the responses while `kind` is set."""

    allow_reuse_address = daemon_threads = True
    request_queue_size = 64

    def __init__(self, back):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.back, self.kind, self.tampered = back, None, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]

    def handle_error(self, *_):
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            traceback.print_exc()

    class Handler(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True
        rbufsize = 1 << 16

        def handle(self):
            while True:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = self.rfile.readline()
                    if not line:
                        return
                    head += line
                length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
                body = self.rfile.read(int(length[1])) if length else b""
                if length and len(body) < int(length[1]):
                    return
                if re.search(rb"\r\ntransfer-encoding:", head, re.I):
                    while True:
                        line = self.rfile.readline()
                        body += line + self.rfile.read(int(line, 16) + 2)
                        if int(line, 16) == 0:
                            break
                kind, method = self.server.kind, head.split(b" ")[0].decode()
                raw = self.send_request(head, body)
                if kind is None:
                    self.wfile.write(raw)
                    continue
                if kind == "reset" or callable(KINDS[kind]):
                    if kind == "reset":
                        self.server.tampered += 1
                        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                    response = Response(raw, method)
                    if KINDS[kind](response) is False:
                        self.wfile.write(raw)
                        continue
                    raw = response.raw(method)
                else:
                    raw = KINDS[kind]
                self.server.tampered += 1
                self.wfile.write(raw)
                return

        def send_request(self, head, body):
            with socket.create_connection(("127.0.0.1", self.server.back), timeout=20) as back:
                back.sendall(head[:-2] + b"Connection: close\r\n\r\n" + body)
                raw = b""
                while b"\r\n\r\n" not in raw:
                    piece = back.recv(1 << 16)
                    if not piece:
                        return raw
                    raw += piece
                top, _, rest = raw.partition(b"\r\n\r\n")
                length = re.search(rb"\r\ncontent-length: *(\d+)", top, re.I)
                wanted = int(length[1]) if length and not head.startswith(b"HEAD") else 0
                while len(rest) < wanted:
                    piece = back.recv(1 << 16)
                    if not piece:
                        break
                    rest += piece
                return top + b"\r\n\r\n" + rest


class Cells:
    """The operations of one caller at one target. Each creates its own state, sends one request while responses are
    changed, and compares the result with the state of the target."""

    def __init__(self, client, truth, tampering_proxy):
        self.client, self.truth, self.tampering_proxy, self.count = client, truth, tampering_proxy, 0

    def key(self):
        self.count += 1
        return f"object-{self.count}"

    @contextlib.contextmanager
    def tamper(self, kind):
        self.tampering_proxy.kind, self.tampering_proxy.tampered = kind, 0
        try:
            yield
        finally:
            self.tampering_proxy.kind = None

    # Each operation is a generator: it creates its state and yields the call; it is sent the result of the call, and
    # yields whether that result is correct.

    def get(self):
        result = yield lambda: self.client.get(BUCKET, "fixed")
        yield result["body"] == BODY and self.same_tag(result)

    def same_tag(self, result):
        return result["etag"].strip('"').lower() == self.etag

    def get_range(self):
        result = yield lambda: self.client.get(BUCKET, "fixed", range="bytes=100-299")
        yield result["body"] == BODY[100:300]

    def head(self):
        result = yield lambda: self.client.head(BUCKET, "fixed")
        yield result["length"] == len(BODY) and self.same_tag(result)

    def put(self):
        key, body = self.key(), os.urandom(2000)
        result = yield lambda: self.client.put(BUCKET, key, body)
        stored = self.truth.get(BUCKET, key)
        yield stored["body"] == body and stored["etag"].strip('"').lower() == result["etag"].strip('"').lower()

    def delete(self):
        key = self.key()
        self.truth.put(BUCKET, key, b"x")
        yield lambda: self.client.delete(BUCKET, key)
        yield self.is_gone(key)

    def is_gone(self, key):
        try:
            self.truth.head(BUCKET, key)
        except Exception:
            return True
        return False

    def list(self):
        result = yield lambda: self.client.list(BUCKET, "fixed")
        yield result == ["fixed"]

    def delete_many(self):
        keys = [self.key() for _ in range(3)]
        for key in keys:
            self.truth.put(BUCKET, key, b"x")
        result = yield lambda: self.client.delete_many(BUCKET, keys)
        yield all(self.is_gone(key) for key in result)

    def copy(self):
        key = self.key()
        yield lambda: self.client.copy(BUCKET, "fixed", BUCKET, key)
        yield self.truth.get(BUCKET, key)["body"] == BODY

    def head_bucket(self):
        yield lambda: self.client.head_bucket(BUCKET)
        yield True  # The bucket exists.

    def create_multipart(self):
        key = self.key()
        upload = yield lambda: self.client.create_multipart(BUCKET, key)
        yield (key, upload) in self.truth.list_uploads(BUCKET, key)

    @functools.cached_property
    def upload(self):
        upload = self.truth.create_multipart(BUCKET, "upload")
        return upload, self.truth.upload_part(BUCKET, "upload", upload, 1, b"part" * 100)

    def upload_part(self):
        body = os.urandom(1000)
        upload = self.upload[0]
        etag = yield lambda: self.client.upload_part(BUCKET, "upload", upload, 2, body)
        parts = {row[0]: row[1].strip('"').lower() for row in self.truth.list_parts(BUCKET, "upload", upload)}
        # The ETag of a part may have a suffix with its digests.
        yield 2 in parts and etag.strip('"').lower().startswith(parts[2])

    def upload_part_copy(self):
        upload = self.upload[0]
        etag = yield lambda: self.client.upload_part_copy(BUCKET, "fixed", BUCKET, "upload", upload, 3)
        parts = {row[0]: row[1].strip('"').lower() for row in self.truth.list_parts(BUCKET, "upload", upload)}
        yield 3 in parts and etag.strip('"').lower().startswith(parts[3])

    def list_parts(self):
        upload, etag = self.upload
        result = yield lambda: self.client.list_parts(BUCKET, "upload", upload)
        yield [etag.strip('"').lower().startswith(row[1].strip('"').lower()) for row in result if row[0] == 1] == [True]

    def list_uploads(self):
        upload = self.upload[0]
        result = yield lambda: self.client.list_uploads(BUCKET, "upload")
        yield ("upload", upload) in result

    def complete(self):
        key = self.key()
        upload = self.truth.create_multipart(BUCKET, key)
        etag = self.truth.upload_part(BUCKET, key, upload, 1, b"whole")
        yield lambda: self.client.complete(BUCKET, key, upload, [(1, etag)])
        yield self.truth.get(BUCKET, key)["body"] == b"whole"

    def abort(self):
        key = self.key()
        upload = self.truth.create_multipart(BUCKET, key)
        yield lambda: self.client.abort(BUCKET, key, upload)
        yield (key, upload) not in self.truth.list_uploads(BUCKET, key)

    def get_tags(self):
        result = yield lambda: self.client.get_tags(BUCKET, "tagged")
        yield result == {"a": "1"}

    def put_tags(self):
        wanted = {"n": self.key()}
        yield lambda: self.client.put_tags(BUCKET, "retagged", wanted)
        yield self.truth.get_tags(BUCKET, "retagged") == wanted

    def get_acl(self):
        result = yield lambda: self.client.get_acl(BUCKET, "fixed")
        yield result == self.acl

    OPERATIONS = (get, get_range, head, put, delete, list, delete_many, copy, head_bucket, create_multipart, upload_part,
                  upload_part_copy, list_parts, list_uploads, complete, abort, get_tags, put_tags, get_acl)

    def prepare(self):
        self.truth.create_bucket(BUCKET)
        for key in ("fixed", "tagged", "retagged"):
            self.etag = self.truth.put(BUCKET, key, BODY)["etag"].strip('"').lower()
        self.truth.put_tags(BUCKET, "tagged", {"a": "1"})
        self.acl = self.truth.get_acl(BUCKET, "fixed")

    def run(self, operation, kind):
        """Returns the outcome of one cell: error, truth or wrong; None if this change does not apply to the response."""
        steps = operation(self)
        call = next(steps)
        try:
            with self.tamper(kind):
                result = call()
        except Exception:
            return "error" if self.tampering_proxy.tampered else None
        if not self.tampering_proxy.tampered:
            return None
        try:
            return "truth" if steps.send(result) else "wrong"
        except Exception:
            return "wrong"


#: No digest covers a part of an object, so a changed byte cannot be detected.
UNKNOWABLE = {("get_range", "flip_byte"), ("get_range", "last_byte_flipped")}

PAIRS = [("s3", "oss"), ("cos", "jdcloud"), ("oss", "cos"), ("s3", "jdcloud"), ("cos", "oss"), ("oss", "jdcloud"),
         ("s3", "cos"), ("cos", "cos"), ("oss", "oss")]
CLIENTS = {"s3": Boto3, "cos": CosPython, "oss": Oss2V4}


class WithoutChecks(Boto3):
    """A client that verifies no checksums, so that only the proxy can detect errors."""

    def config(self):
        return {"response_checksum_validation": "when_required"}


CLIENTS["s3"] = WithoutChecks


def matrix(binary, running, caller, target):
    back = running.double(target)
    tampering_proxy = TamperingProxy(back.port)
    fast = {"response_timeout_seconds": 2, "body_timeout_seconds": 2, "circuit_breaker_failures": 0}
    proxy = running.proxy(binary, servers.configuration([servers.one_target(target, tampering_proxy.port, **fast)], policy="report"))
    honest = running.proxy(binary, servers.configuration([servers.one_target(target, back.port)], policy="report"))
    make = CLIENTS[caller]
    cells = Cells(make(proxy.port, servers.KEY, servers.SECRET), make(honest.port, servers.KEY, servers.SECRET), tampering_proxy)
    cells.prepare()
    counts, wrong = {"error": 0, "truth": 0, "wrong": 0}, []
    for operation in Cells.OPERATIONS:
        # Without a change the operation succeeds; otherwise its cells would prove nothing.
        assert plain(operation(cells)), operation.__name__
        for kind in KINDS:
            if (operation.__name__, kind) in UNKNOWABLE:
                continue
            result = cells.run(operation, kind)
            if result:
                counts[result] += 1
            if result == "wrong":
                wrong.append(f"{operation.__name__}: {kind}")
    tampering_proxy.shutdown()
    print(f"{caller} to {target}: {sum(counts.values())} cells, {counts['error']} errors, {counts['truth']} correct results, "
          f"{counts['wrong']} wrong results", flush=True)
    assert not wrong, wrong
    assert counts["error"] > 500, counts
    return sum(counts.values())


class Source(Careless):
    """A store with an ETag as the only digest of an object: its MD5, or the MD5 of its parts' MD5s. It can send a changed
    byte."""

    def __init__(self):
        super().__init__(respond_with=self.respond_to)
        self.part = None

    def keep(self, key, body, part=None):
        pieces = [body[at:at + part] for at in range(0, len(body), part)] if part else []
        whole = hashlib.md5(b"".join(hashlib.md5(piece).digest() for piece in pieces) if part else body).hexdigest()
        self.part, etag = part, f"{whole}-{len(pieces)}" if part else whole
        self.objects[key] = {"body": body, "etag": etag, "at": time.time(), "metadata": {}, "tags": ""}

    def respond_to(self, handler):
        key = handler.path.partition("?")[0].rpartition("/")[2]
        found = self.objects.get(key)
        if found and handler.command == "HEAD" and "partNumber" in handler.query and self.part:
            first = (int(handler.query["partNumber"]) - 1) * self.part
            last = min(first + self.part, len(found["body"])) - 1
            return handler.respond(206, Content_Length=str(last - first + 1), ETag=f'"{found["etag"]}"',
                                   Content_Range=f"bytes {first}-{last}/{len(found['body'])}",
                                   x_amz_mp_parts_count=str(-(-len(found["body"]) // self.part)))
        handler.usual()

    def send_changed(self, key, body, at):
        """Replaces the body of an object, with one byte changed at `at`. The ETag stays."""
        sent = bytearray(body)
        if at is not None:
            sent[at] ^= 1
        self.objects[key] = {**self.objects[key], "body": bytes(sent)}


def relays(binary, running):
    """Copies from a source that sends a changed byte fail and leave nothing at the destination, in one piece and in parts.
    The same copies without a changed byte succeed."""
    counts = {"copied": 0, "rejected": 0}
    with Source() as source:
        back = running.double("oss")
        first = servers.one_target("seaweedfs", source.port, "first").replace('profile = "seaweedfs"\n', "")
        targets = [first, servers.one_target("oss", back.port, "second")]
        buckets = [f'[[bucket]]\nname = "{name}-*"\ntarget = "{target}"\n' for name, target in
                   (("src", "first"), ("dst", "second"))]
        limits = "[limits]\ncopy_multipart_threshold_bytes = 6291456\ncopy_part_bytes = 5242880\n"
        proxy = running.proxy(binary, servers.configuration(targets, buckets).replace("[admin]", limits + "[admin]"))
        client = Boto3(proxy.port, servers.KEY, servers.SECRET)
        client.create_bucket("dst-1250000000")
        body = os.urandom(17 * 1024 * 1024)
        whole = [("single", body[:1_000_000], None), ("in parts, by its MD5", body, None),
                 ("in parts, by its parts' MD5", body, 5 * 1024 * 1024), ("in parts of 1 MiB", body, 1 << 20)]
        for name, content, part in whole:
            source.keep("one", content, part)
            for flip in (None, 0, len(content) // 2, len(content) - 1):
                source.send_changed("one", content, flip)
                try:
                    client.copy("src-1250000000", "one", "dst-1250000000", "copy")
                    assert flip is None, f"{name}: byte {flip} was changed, and it was copied"
                    assert client.get("dst-1250000000", "copy")["body"] == content, name
                    client.delete("dst-1250000000", "copy")
                    counts["copied"] += 1
                except CallError as error:
                    assert flip is not None and error.status == 500, (name, flip, error)
                    counts["rejected"] += 1
                    assert client.list("dst-1250000000") == [], f"{name}: nothing is left"
                assert not back.ask("GET", "/uploads/dst-1250000000"), f"{name}: no upload is left"
        # A part copy of a whole object is verified too.
        for content, part in ((body[:1_000_000], None),):
            source.keep("one", content, part)
            upload = client.create_multipart("dst-1250000000", "copy")
            for flip in (None, 0, len(content) - 1):
                source.send_changed("one", content, flip)
                try:
                    client.upload_part_copy("src-1250000000", "one", "dst-1250000000", "copy", upload, 1)
                    assert flip is None, f"part copy: byte {flip} was changed"
                    counts["copied"] += 1
                except CallError as error:
                    assert flip is not None and error.status == 500, (flip, error)
                    counts["rejected"] += 1
    assert counts == {"copied": 5, "rejected": 14}, counts
    print(f"relays: {counts['copied']} copies, {counts['rejected']} with a changed byte rejected", flush=True)


def plain(steps):
    call = next(steps)
    return steps.send(call())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", help="pairs caller-target, separated by commas")
    options = parser.parse_args()
    pairs = PAIRS if options.all else PAIRS[:3]
    if options.only:
        pairs = [tuple(pair.split("-")) for pair in options.only.split(",")]
    passed = failed = cells = 0
    for caller, target in pairs:
        with servers.Servers() as running:
            try:
                cells += matrix(os.path.abspath(options.binary), running, caller, target)
                passed += 1
            except Exception:
                failed += 1
                print(f"FAILED {caller} to {target}\n{traceback.format_exc()[-6000:]}", flush=True)
    if not options.only:
        with servers.Servers() as running:
            try:
                relays(os.path.abspath(options.binary), running)
                passed += 1
            except Exception:
                failed += 1
                print(f"FAILED relays\n{traceback.format_exc()[-6000:]}", flush=True)
    print(f"{len(KINDS)} kinds of invalid responses, {len(Cells.OPERATIONS)} operations, {cells} cells")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
