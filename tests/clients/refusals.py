"""What is refused, in whose words, and that nothing of it reaches a target. Requests are signed by the SDKs' own code
and then spoiled; each group has a positive control. The last line counts."""

import argparse
import base64
import hashlib
import hmac
import http.client
import re
import socket
import sys
import time
import zlib
from email.utils import formatdate
from types import SimpleNamespace
from urllib.parse import quote, unquote

import botocore.auth
import oss2
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from oss2.credentials import StaticCredentialsProvider
from qcloud_cos import CosConfig, cos_auth

import servers

OPEN, OTHER, CLOSED, DEAD = "app-1250000000", "other-1250000000", "nogrant-1250000000", "app-dead-1250000000"


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()
        found = re.search(rb"<Code>([^<]*)</Code>", self.body)
        self.code = found.group(1).decode() if found else ""
        found = re.search(rb"<RequestId>([^<]*)</RequestId>", self.body)
        self.request_id = found.group(1).decode() if found else ""


def send(port, method, target, headers, body=b""):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    try:
        connection.send(body)
    except OSError:
        pass  # Refused before it was read: the answer tells.
    answer = Answer(connection.getresponse())
    connection.close()
    return answer


class Dialect:
    """Signs a request as the vendor's SDK does."""

    def __init__(self, port):
        self.port = port

    def request(self, method, bucket, key, headers=None, body=b"", query="", spoil=None, access_key=servers.KEY,
                secret=servers.SECRET, at=None, declare=True):
        """A signed request, changed by `spoil(target, headers) -> target` after signing, and its answer."""
        target = "/" + quote(key) + (f"?{query}" if query else "")
        host = self.host(bucket)
        headers = {**(headers or {})}
        if declare and (method in ("PUT", "POST") or body):
            headers.setdefault("Content-Length", str(len(body)))
        headers = self.sign(method, host, bucket, key, query, headers, body, access_key, secret, at or time.time())
        headers = {"Host": host, **{name: value for name, value in headers.items() if name.lower() != "host"}}
        target = spoil(target, headers) or target if spoil else target
        return send(self.port, method, target, headers, body)


class S3(Dialect):
    name, prefix, request_id = "s3", "x-amz-", "x-amz-request-id"
    codes = {"copy_source": "InvalidArgument", "key_long": "KeyTooLongError", "metadata": "MetadataTooLarge",
             "unsigned": "AccessDenied", "several": "InvalidArgument", "expired": "AccessDenied", "no_date": "AccessDenied"}

    def host(self, bucket):
        return f"{bucket}.s3.localhost:{self.port}"

    def source(self, bucket, key):
        return f"/{bucket}/{quote(key)}"

    def sign(self, method, host, bucket, key, query, headers, body, access_key, secret, at):
        message = AWSRequest(method, f"http://{host}/{quote(key)}" + (f"?{query}" if query else ""), headers=headers, data=body)
        message.context["timestamp"] = stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        message.headers["x-amz-date"] = stamp
        if "x-amz-content-sha256" not in message.headers:
            message.headers["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
        signer = botocore.auth.S3SigV4Auth(Credentials(access_key, secret), "s3", "us-east-1")
        signer.payload = lambda request: request.headers["x-amz-content-sha256"]
        signature = signer.signature(signer.string_to_sign(message, signer.canonical_request(message)), message)
        names = signer.signed_headers(signer.headers_to_sign(message))
        message.headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={access_key}/{stamp[:8]}/us-east-1/s3/aws4_request, "
            f"SignedHeaders={names}, Signature={signature}")
        return dict(message.headers.items())

    def presigned(self, method, bucket, key, at):
        message = AWSRequest(method, f"http://{self.host(bucket)}/{quote(key)}", headers={})
        signer = botocore.auth.S3SigV4QueryAuth(Credentials(servers.KEY, servers.SECRET), "s3", "us-east-1", expires=60)
        message.context["timestamp"] = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        signer._modify_request_before_signing(message)
        signature = signer.signature(signer.string_to_sign(message, signer.canonical_request(message)), message)
        return message.url.partition(f":{self.port}")[2] + f"&X-Amz-Signature={signature}"


class Cos(Dialect):
    name, prefix, request_id = "cos", "x-cos-", "x-cos-request-id"
    codes = {"copy_source": "InvalidCopySource", "key_long": "KeyTooLong", "metadata": "MetadataTooLarge",
             "unsigned": None, "several": "InvalidArgument", "expired": "AccessDenied", "no_date": None}

    def host(self, bucket):
        return f"{bucket}.cos.ap-guangzhou.localhost:{self.port}"

    def source(self, bucket, key):
        return f"{bucket}.cos.ap-guangzhou.myqcloud.com/{quote(key)}"

    def auth(self, access_key, secret, key, query, at, expire=10_000):
        params = {n: unquote(v) for n, _, v in (pair.partition("=") for pair in query.split("&") if pair)}
        config = CosConfig(Region="ap-guangzhou", SecretId=access_key, SecretKey=secret, Scheme="http")
        return cos_auth.CosS3Auth(config, key, params, expire=expire)

    def sign(self, method, host, bucket, key, query, headers, body, access_key, secret, at, expire=10_000):
        message = SimpleNamespace(method=method, headers=dict(headers), url=f"http://{host}/{quote(key)}")
        clock = cos_auth.time
        cos_auth.time = SimpleNamespace(time=lambda: at)
        try:
            self.auth(access_key, secret, key, query, at, expire)(message)
        finally:
            cos_auth.time = clock
        return message.headers

    def presigned(self, method, bucket, key, at):
        headers = self.sign(method, self.host(bucket), bucket, key, "", {}, b"", servers.KEY, servers.SECRET, at, 60)
        pairs = (pair.partition("=") for pair in headers["Authorization"].split("&"))
        return f"/{quote(key)}?" + "&".join(f"{name}={quote(value, safe='')}" for name, _, value in pairs)


class Oss(Dialect):
    name, prefix, request_id = "oss", "x-oss-", "x-oss-request-id"
    codes = {"copy_source": "InvalidArgument", "key_long": "InvalidObjectName", "metadata": "InvalidArgument",
             "unsigned": "SignatureDoesNotMatch", "several": "InvalidArgument", "expired": "AccessDenied",
             "no_date": "AccessDenied"}

    def host(self, bucket):
        return f"{bucket}.oss-cn-hangzhou.localhost:{self.port}"

    def source(self, bucket, key):
        return f"/{bucket}/{quote(key)}"

    def sdk_signature(self, method, bucket, key, query, headers, secret):
        params = {n: unquote(v) for n, _, v in (pair.partition("=") for pair in query.split("&") if pair)}
        request = SimpleNamespace(method=method, headers={n.lower(): v for n, v in headers.items()}, params=params)
        auth = oss2.ProviderAuth(StaticCredentialsProvider("any", secret))
        return auth._ProviderAuth__make_signature(request, bucket, key, auth.credentials_provider.get_credentials())

    def sign(self, method, host, bucket, key, query, headers, body, access_key, secret, at):
        headers = {**headers, "Date": formatdate(at, usegmt=True)}
        signature = self.sdk_signature(method, bucket, key, query, headers, secret)
        return {**headers, "Authorization": f"OSS {access_key}:{signature}"}

    def presigned(self, method, bucket, key, at):
        expires = str(int(at) + 60)
        signature = self.sdk_signature(method, bucket, key, "", {"Date": expires}, servers.SECRET)
        return f"/{quote(key)}?OSSAccessKeyId={servers.KEY}&Expires={expires}&Signature={quote(signature, safe='')}"


class Suite:
    def __init__(self, port, back):
        self.port, self.back = port, back
        self.passed, self.failures = 0, []

    def row(self, name, dialect, expected, request, sends=0):
        """One refusal: its status and code, in the caller's shape, and how many requests the target may have seen."""
        self.back.ask("POST", "/reset", {})
        try:
            answer = request()
            status, code = expected
            assert answer.status == status, f"status {answer.status} {answer.code}, expected {expected}: {answer.body[:300]}"
            if code:
                assert answer.code == code, f"code {answer.code}, expected {code}: {answer.body[:300]}"
            if status >= 400:
                assert answer.headers.get("content-type") == "application/xml", answer.headers
                own = answer.headers.get(dialect.request_id)
                assert own and own == answer.request_id, f"request id {own} and {answer.request_id}"
                assert "date" in answer.headers
                if dialect.name == "cos":
                    for element in (b"Resource", b"TraceId", b"Message"):
                        assert re.search(b"<%s>[^<]+</%s>" % (element, element), answer.body), element
            seen = self.back.ask("GET", "/requests")
            if sends is not None:
                assert len(seen) == sends, f"the target saw {[(r['method'], r['path'], r['status']) for r in seen]}"
            self.passed += 1
        except Exception as error:
            self.failures.append(f"FAILED {dialect.name}: {name}: {type(error).__name__}: {error}")

    def stored(self, name, dialect, key, expected):
        """Whether an object is there."""
        there = key in self.back.ask("GET", f"/objects/{OPEN}")
        if there == expected:
            self.passed += 1
        else:
            self.failures.append(f"FAILED {dialect.name}: {name}: the object is {'there' if there else 'missing'}")


def without(headers, name):
    for own in [own for own in headers if own.lower() == name]:
        del headers[own]


def credentials(suite, d):
    suite.row("positive control", d, (200, None), lambda: d.request("GET", OPEN, "hello"), sends=1)
    suite.row("wrong signature", d, (403, "SignatureDoesNotMatch"), lambda: d.request("GET", OPEN, "hello", secret="no"))
    suite.row("unknown key", d, (403, "InvalidAccessKeyId"), lambda: d.request("GET", OPEN, "hello", access_key="AKIDNO"))
    suite.row("no credential", d, (403, "AccessDenied"),
              lambda: d.request("GET", OPEN, "hello", spoil=lambda t, h: without(h, "authorization")))
    late = (403, "AccessDenied") if d.name == "cos" else (403, "RequestTimeTooSkewed")
    suite.row("an old date", d, late, lambda: d.request("GET", OPEN, "hello", at=time.time() - 20_000))
    suite.row("a date ahead", d, (403, "RequestTimeTooSkewed"), lambda: d.request("GET", OPEN, "hello", at=time.time() + 1300))
    fresh, old = (lambda: d.presigned("GET", OPEN, "hello", time.time())), (lambda: d.presigned("GET", OPEN, "hello", time.time() - 300))
    host = {"Host": d.host(OPEN)}
    suite.row("presigned control", d, (200, None), lambda: send(d.port, "GET", fresh(), host), sends=1)
    suite.row("expired presigned", d, (403, d.codes["expired"]), lambda: send(d.port, "GET", old(), host))
    suite.row("presigned for another method", d, (403, "SignatureDoesNotMatch"), lambda: send(d.port, "DELETE", fresh(), host))
    suite.row("presigned with a parameter added", d, (403, None), lambda: send(d.port, "GET", fresh() + "&versionId=7", host))
    suite.row("two credentials", d, (400, d.codes["several"]), lambda: d.request(
        "GET", OPEN, "hello", spoil=lambda t, h: fresh()))
    suite.row("another dialect's credential besides", d, (400, d.codes["several"] if d.name != "oss" else None), lambda: d.request(
        "GET", OPEN, "hello", spoil=lambda t, h: t + ("?OSSAccessKeyId=x&Expires=9999999999&Signature=x" if d.name != "oss" else
                                                      "?q-sign-algorithm=sha1&q-ak=x&q-sign-time=1;2&q-key-time=1;2&q-header-list=&q-url-param-list=&q-signature=x")))
    if d.name != "cos":  # COS lets callers choose what they sign.
        suite.row("a header added", d, (403, d.codes["unsigned"]), lambda: d.request(
            "PUT", OPEN, "new", body=b"x", spoil=lambda t, h: h.update({d.prefix + "meta-a": "1"})))
        suite.row("a copy source added", d, (403, d.codes["unsigned"]), lambda: d.request(
            "PUT", OPEN, "new", spoil=lambda t, h: h.update({d.prefix + "copy-source": d.source(OPEN, "hello")})))


def grants(suite, d):
    suite.row("no grant", d, (403, "AccessDenied"), lambda: d.request("GET", CLOSED, "hello"))
    suite.row("no grant, no such bucket", d, (403, "AccessDenied"), lambda: d.request("GET", "nothing-1250000000", "hello"))
    suite.row("no grant to write", d, (403, "AccessDenied"), lambda: d.request("PUT", OTHER, "hello", body=b"x"))
    suite.row("no grant to create", d, (403, "AccessDenied"), lambda: d.request("PUT", OPEN, ""))
    suite.row("granted, not configured", d, (404, "NoSuchBucket"), lambda: d.request("GET", "app-elsewhere", "hello"))
    copy = lambda bucket: d.request("PUT", OPEN, "copied", {d.prefix + "copy-source": d.source(bucket, "hello")})
    suite.row("copy control", d, (200, None), lambda: copy(OTHER), sends=1)
    suite.row("source without grant", d, (403, "AccessDenied"), lambda: copy(CLOSED))
    suite.row("source in no bucket of ours", d, (403, "AccessDenied"), lambda: copy("elsewhere"))
    suite.row("dead target", d, (503, "ServiceUnavailable"), lambda: d.request("GET", DEAD, "hello"))


def requests(suite, d):
    put = lambda headers=None, key="new", **more: d.request("PUT", OPEN, key, headers, **more)
    source = d.prefix + "copy-source"
    for value in ("nowhere", "", "/", f"/{OPEN}", f"/{OPEN}/", f"/{OPEN}/a%zz", f"/{OPEN}/a?other=1", "http://169.254.169.254/x/y"):
        if value:
            suite.row(f"copy source {value!r}", d, (400, d.codes["copy_source"]), lambda: put({source: value}))
    suite.row("bad condition date", d, (400, "InvalidArgument"), lambda: put(
        {source: d.source(OPEN, "hello"), source + "-if-modified-since": "yesterday"}))
    suite.row("bad directive", d, (400, "InvalidArgument"), lambda: put(
        {source: d.source(OPEN, "hello"), d.prefix + "metadata-directive": "MOVE"}))
    suite.row("key too long", d, (400, d.codes["key_long"]), lambda: put(key="k" * 2000, body=b"x"))
    suite.row("too much metadata", d, (400, d.codes["metadata"]), lambda: put({d.prefix + "meta-a": "v" * 9000}, body=b"x"))
    suite.row("too large a head", d, (400, None), lambda: put({d.prefix + "meta-a": "v" * 20_000}, body=b"x"))
    suite.row("unknown sub-resource", d, (501, "NotImplemented"), lambda: d.request("GET", OPEN, "", query="lifecycle="))
    suite.row("object sub-resource", d, (501, "NotImplemented"), lambda: d.request("GET", OPEN, "hello", query="acl="))
    suite.row("unknown header", d, (501, "NotImplemented"), lambda: put({d.prefix + "new-feature": "on"}, body=b"x"))
    suite.row("bad class", d, (400, None), lambda: put({d.prefix + "storage-class": "FROZEN"}, body=b"x"))
    suite.row("method", d, (405, "MethodNotAllowed"), lambda: d.request("POST", OPEN, "hello", body=b"x"))
    if d.name != "s3":
        suite.row("callback", d, (501, "NotImplemented"), lambda: put({d.prefix + "callback": "e30="}, body=b"x"))


def bodies(suite, d):
    md5 = base64.b64encode(hashlib.md5(b"right").digest()).decode()
    suite.row("Content-MD5 control", d, (200, None), lambda: d.request("PUT", OPEN, "md5 right", {"Content-MD5": md5}, b"right"), sends=1)
    suite.stored("Content-MD5 control", d, "md5 right", True)
    wrong = "InvalidDigest" if d.name == "oss" else "BadDigest"
    suite.row("wrong Content-MD5", d, (400, wrong), lambda: d.request("PUT", OPEN, "md5 wrong", {"Content-MD5": md5}, b"wrong"), sends=None)
    suite.stored("wrong Content-MD5", d, "md5 wrong", False)


def chunk_signature(seed, stamp, data):
    key = b"AWS4" + servers.SECRET.encode()
    for part in (stamp[:8], "us-east-1", "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    scope = f"{stamp[:8]}/us-east-1/s3/aws4_request"
    lines = ["AWS4-HMAC-SHA256-PAYLOAD", stamp, scope, seed, hashlib.sha256(b"").hexdigest(), hashlib.sha256(data).hexdigest()]
    return hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).hexdigest()


def chunked(suite, d):
    """aws-chunked bodies; whatever is wrong, no object is left behind."""
    data = b"chunked body " * 20_000

    def upload(key, word, frame, length=len(data), trailer=None, cut=None):
        headers = {"x-amz-content-sha256": word, "x-amz-decoded-content-length": str(length), "Content-Encoding": "aws-chunked"}
        headers.update({"x-amz-trailer": trailer} if trailer else {})
        at = time.time()
        host = d.host(OPEN)
        wire_length = len(frame("0" * 64, "20260101T000000Z"))
        headers["Content-Length"] = str(wire_length)
        signed = d.sign("PUT", host, OPEN, key, "", headers, b"", servers.KEY, servers.SECRET, at)
        stamp = signed["x-amz-date"]
        body = frame(signed["Authorization"].rsplit("=", 1)[1], stamp)
        signed = {"Host": host, **{n: v for n, v in signed.items() if n.lower() != "host"}}
        if cut:
            with socket.create_connection(("127.0.0.1", d.port)) as raw:
                lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
                raw.sendall(f"PUT /{quote(key)} HTTP/1.1\r\n{lines}\r\n".encode() + body[:cut])
                raw.shutdown(socket.SHUT_WR)
                raw.settimeout(10)
                raw.recv(65_536)
            return SimpleNamespace(status=200, headers={}, code="", body=b"")
        return send(d.port, "PUT", "/" + quote(key), signed, body)

    def signed(spoil=""):
        def frame(seed, stamp):
            first = chunk_signature(seed, stamp, data)
            last = chunk_signature(first, stamp, b"")
            first = first[::-1] if spoil == "chunk" else first
            last = last[::-1] if spoil == "last" else last
            sent = data.replace(b"chunked", b"chunkeD") if spoil == "data" else data
            return b"%x;chunk-signature=%s\r\n%s\r\n0;chunk-signature=%s\r\n\r\n" % (len(data), first.encode(), sent, last.encode())
        return frame

    crc = base64.b64encode(zlib.crc32(data).to_bytes(4, "big"))

    def unsigned(value=crc, name=b"x-amz-checksum-crc32"):
        return lambda seed, stamp: b"%x\r\n%s\r\n0\r\n%s:%s\r\n\r\n" % (len(data), data, name, value)

    word, plain, trailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-checksum-crc32"
    cases = [
        ("signed control", (200, None), word, signed(), {}),
        ("unsigned control", (200, None), plain, unsigned(), {"trailer": trailer}),
        ("chunk signature", (403, "SignatureDoesNotMatch"), word, signed("chunk"), {}),
        ("last chunk signature", (403, "SignatureDoesNotMatch"), word, signed("last"), {}),
        ("chunk data", (403, "SignatureDoesNotMatch"), word, signed("data"), {}),
        ("decoded length", (400, "IncompleteBody"), word, signed(), {"length": len(data) + 1}),
        ("trailer checksum", (400, "BadDigest"), plain, unsigned(b"AAAAAA=="), {"trailer": trailer}),
        ("another trailer", (400, "MalformedTrailerError"), plain, unsigned(name=b"x-amz-checksum-crc32c"), {"trailer": trailer}),
        ("cut body", (200, None), plain, unsigned(), {"trailer": trailer, "cut": 100_000}),
    ]
    for name, expected, kind, frame, more in cases:
        suite.row(f"chunks: {name}", d, expected, lambda: upload(f"chunks {name}", kind, frame, **more), sends=None)
        time.sleep(0.2 if "cut" in name else 0)
        suite.stored(f"chunks: {name}", d, f"chunks {name}", "control" in name)
    suite.row("wrong payload hash", d, (400, "XAmzContentSHA256Mismatch"), lambda: d.request(
        "PUT", OPEN, "hash", {"x-amz-content-sha256": hashlib.sha256(b"other").hexdigest()}, b"this"), sends=None)
    suite.stored("wrong payload hash", d, "hash", False)


def framing(suite, d):
    """What two parsers could read in two ways."""
    host = d.host(OPEN)
    rows = {
        "both length kinds": f"PUT /k HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "two lengths": f"PUT /k HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "equal lengths": f"PUT /k HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "signed length": f"PUT /k HTTP/1.1\r\nHost: {host}\r\nContent-Length: +3\r\n\r\nabc",
        "no host": "GET /k HTTP/1.1\r\n\r\n",
        "two hosts": f"GET /k HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n",
        "bare LF": f"GET /k HTTP/1.1\nHost: {host}\n\n",
        "two codings": f"PUT /k HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        "space in the target": f"GET /a b HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "fragment": f"GET /k#x HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "another host in the target": f"GET http://other.example/k HTTP/1.1\r\nHost: {host}\r\n\r\n",
        "folded line": f"GET /k HTTP/1.1\r\nHost: {host}\r\nX-A: a\r\n b\r\n\r\n",
    }
    for name, text in rows.items():
        def ask():
            with socket.create_connection(("127.0.0.1", d.port), timeout=10) as raw:
                raw.sendall(text.encode())
                response = http.client.HTTPResponse(raw)
                response.begin()
                answer = Answer(response)
                assert answer.headers.get("connection") == "close", answer.headers
                return answer
        suite.row(f"framing: {name}", d, (400, None), ask)
    suite.row("framing: CONNECT", d, (405, None), lambda: send(d.port, "CONNECT", "elsewhere:443", {"Host": "elsewhere:443"}))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    options = parser.parse_args()
    with servers.Servers() as running:
        back = running.double("cos")
        dead = servers.free_ports(1)[0]
        buckets = [f'[[bucket]]\nname = "{name}"\ntarget = "{target}"\n' for name, target in
                   [(OPEN, "cos"), (OTHER, "cos"), (CLOSED, "cos"), (DEAD, "gone")]]
        callers = [f'[[caller]]\nname = "app"\naccess_key = "{servers.KEY}"\nsecret_key = "{servers.SECRET}"\ngrants = '
                   '[{ buckets = ["app-*"], access = "read-write" }, { buckets = ["other-*"], access = "read" }]\n',
                   '[[caller]]\nname = "root"\naccess_key = "AKIDROOT"\nsecret_key = "root-secret"\ngrants = '
                   '[{ buckets = ["*"], access = "admin" }]\n']
        targets = [servers.one_target("cos", back.port), servers.one_target("cos", dead, name="gone")]
        front = running.proxy(options.binary, servers.configuration(targets, buckets, callers))
        suite = Suite(front.port, back)
        root = S3(front.port)
        for bucket in (OPEN, OTHER, CLOSED):
            made = root.request("PUT", bucket, "", access_key="AKIDROOT", secret="root-secret")
            assert made.status == 200, made.body
            made = root.request("PUT", bucket, "hello", body=b"hello", access_key="AKIDROOT", secret="root-secret")
            assert made.status == 200, made.body
        for dialect in (S3, Cos, Oss):
            d = dialect(front.port)
            for group in (credentials, grants, requests, bodies):
                group(suite, d)
        chunked(suite, S3(front.port))
        framing(suite, S3(front.port))
    print("\n".join(suite.failures))
    print(f"{suite.passed} passed, {len(suite.failures)} failed")
    sys.exit(1 if suite.failures else 0)


if __name__ == "__main__":
    main()
