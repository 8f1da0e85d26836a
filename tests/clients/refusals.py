"""Rejections: error code and message of the caller dialect, and no request to a target. Requests are signed by the SDKs' own
code and then changed; each group has a positive control. The last line has the counts."""

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
from urllib.parse import quote, unquote, urlencode, urlsplit

import botocore.auth
import oss2
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from oss2.credentials import StaticCredentialsProvider
from qcloud_cos import CosConfig, cos_auth

import servers

OPEN, OTHER, CLOSED, DEAD = "app-1250000000", "other-1250000000", "nogrant-1250000000", "app-dead-1250000000"
READER, STRICT = "AKIDREADER", "AKIDSTRICT"


class Response:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()
        found = re.search(rb"<Code>([^<]*)</Code>", self.body)
        self.code = found.group(1).decode() if found else ""
        found = re.search(rb"<RequestId>([^<]*)</RequestId>", self.body)
        self.request_id = found.group(1).decode() if found else ""

    def shape(self, bucket):
        """Returns the response without its own values: IDs, times and the name of the bucket."""
        own = rb"<(RequestId|HostId|TraceId|Resource|ServerTime|RequestTime)>[^<]*<"
        names = sorted(set(self.headers) - {"content-length"})
        return self.status, names, re.sub(own, b"<", self.body).replace(bucket.encode(), b"BUCKET")


def send(port, method, target, headers, body=b""):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        for one in value if isinstance(value, list) else [value]:
            connection.putheader(name, one)
    connection.endheaders()
    try:
        connection.send(body)
    except OSError:
        pass  # Rejected before the body was read: the response has the reason.
    response = Response(connection.getresponse())
    connection.close()
    return response


def pairs(query):
    return {name: unquote(value) for name, _, value in (pair.partition("=") for pair in query.split("&") if pair)}


class Dialect:
    """Signs a request as the vendor's SDK does."""

    def __init__(self, port):
        self.port = port

    def request(self, method, bucket, key, headers=None, body=b"", query="", spoil=None, access_key=servers.KEY,
                secret=servers.SECRET, at=None, declare=True):
        """Sends a signed request, which `spoil(target, headers) -> target` changes after signing. Returns the response."""
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
    name, kind, prefix, request_id = "s3", "s3", "x-amz-", "x-amz-request-id"
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
        if headers.get("x-amz-content-sha256") == "":  # Omitted intentionally.
            del message.headers["x-amz-content-sha256"]
        elif "x-amz-content-sha256" not in message.headers:
            message.headers["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
        signer = botocore.auth.S3SigV4Auth(Credentials(access_key, secret), "s3", "us-east-1")
        signer.payload = lambda request: request.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
        signature = signer.signature(signer.string_to_sign(message, signer.canonical_request(message)), message)
        names = signer.signed_headers(signer.headers_to_sign(message))
        message.headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={access_key}/{stamp[:8]}/us-east-1/s3/aws4_request, "
            f"SignedHeaders={names}, Signature={signature}")
        return dict(message.headers.items())

    def presigned(self, method, bucket, key, at, seconds=60):
        message = AWSRequest(method, f"http://{self.host(bucket)}/{quote(key)}", headers={})
        signer = botocore.auth.S3SigV4QueryAuth(Credentials(servers.KEY, servers.SECRET), "s3", "us-east-1", expires=seconds)
        message.context["timestamp"] = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        signer._modify_request_before_signing(message)
        signature = signer.signature(signer.string_to_sign(message, signer.canonical_request(message)), message)
        return message.url.partition(f":{self.port}")[2] + f"&X-Amz-Signature={signature}"


class S3V2(S3):
    name = "s3v2"
    codes = {**S3.codes, "unsigned": "SignatureDoesNotMatch", "no_date": "AccessDenied"}

    def signature(self, method, bucket, key, query, headers, secret, date):
        signer = botocore.auth.HmacV1Auth(Credentials("any", secret))
        signer._get_date = lambda: date
        message = AWSRequest(method, f"http://x/{quote(key)}" + (f"?{query}" if query else ""), headers=headers)
        return signer.get_signature(method, urlsplit(message.url), message.headers, auth_path=f"/{bucket}/{quote(key)}")

    def sign(self, method, host, bucket, key, query, headers, body, access_key, secret, at):
        headers = {**headers, "Date": formatdate(at, usegmt=True)}
        signature = self.signature(method, bucket, key, query, headers, secret, headers["Date"])
        return {**headers, "Authorization": f"AWS {access_key}:{signature}"}

    def presigned(self, method, bucket, key, at, seconds=60):
        expires = str(int(at) + seconds)
        signature = self.signature(method, bucket, key, "", {}, servers.SECRET, expires)
        return f"/{quote(key)}?AWSAccessKeyId={servers.KEY}&Expires={expires}&Signature={quote(signature, safe='')}"


class Cos(Dialect):
    name, kind, prefix, request_id = "cos", "cos", "x-cos-", "x-cos-request-id"
    codes = {"copy_source": "InvalidCopySource", "key_long": "KeyTooLong", "metadata": "MetadataTooLarge",
             "unsigned": None, "several": "InvalidArgument", "expired": "AccessDenied", "no_date": None}

    def host(self, bucket):
        return f"{bucket}.cos.ap-guangzhou.localhost:{self.port}"

    def source(self, bucket, key):
        return f"{bucket}.cos.ap-guangzhou.myqcloud.com/{quote(key)}"

    def auth(self, access_key, secret, key, query, at, expire=10_000):
        config = CosConfig(Region="ap-guangzhou", SecretId=access_key, SecretKey=secret, Scheme="http")
        return cos_auth.CosS3Auth(config, key, pairs(query), expire=expire)

    def sign(self, method, host, bucket, key, query, headers, body, access_key, secret, at, expire=10_000):
        message = SimpleNamespace(method=method, headers=dict(headers), url=f"http://{host}/{quote(key)}")
        clock = cos_auth.time
        cos_auth.time = SimpleNamespace(time=lambda: at)
        try:
            self.auth(access_key, secret, key, query, at, expire)(message)
        finally:
            cos_auth.time = clock
        return message.headers

    def presigned(self, method, bucket, key, at, seconds=60):
        headers = self.sign(method, self.host(bucket), bucket, key, "", {}, b"", servers.KEY, servers.SECRET, at, seconds)
        fields = (pair.partition("=") for pair in headers["Authorization"].split("&"))
        return f"/{quote(key)}?" + "&".join(f"{name}={quote(value, safe='')}" for name, _, value in fields)


class Oss(Dialect):
    name, kind, prefix, request_id = "oss", "oss", "x-oss-", "x-oss-request-id"
    codes = {"copy_source": "InvalidArgument", "key_long": "InvalidObjectName", "metadata": "InvalidArgument",
             "unsigned": "SignatureDoesNotMatch", "several": "InvalidArgument", "expired": "AccessDenied",
             "no_date": "AccessDenied"}

    def host(self, bucket):
        return f"{bucket}.oss-cn-hangzhou.localhost:{self.port}"

    def source(self, bucket, key):
        return f"/{bucket}/{quote(key)}"

    def sdk_signature(self, method, bucket, key, query, headers, secret):
        request = SimpleNamespace(method=method, headers={n.lower(): v for n, v in headers.items()}, params=pairs(query))
        auth = oss2.ProviderAuth(StaticCredentialsProvider("any", secret))
        return auth._ProviderAuth__make_signature(request, bucket, key, auth.credentials_provider.get_credentials())

    def sign(self, method, host, bucket, key, query, headers, body, access_key, secret, at):
        headers = {**headers, "Date": formatdate(at, usegmt=True)}
        signature = self.sdk_signature(method, bucket, key, query, headers, secret)
        return {**headers, "Authorization": f"OSS {access_key}:{signature}"}

    def presigned(self, method, bucket, key, at, seconds=60):
        expires = str(int(at) + seconds)
        signature = self.sdk_signature(method, bucket, key, "", {"Date": expires}, servers.SECRET)
        return f"/{quote(key)}?OSSAccessKeyId={servers.KEY}&Expires={expires}&Signature={quote(signature, safe='')}"


class OssV4(Oss):
    name = "ossv4"

    def signature(self, method, bucket, key, params, headers, access_key, secret, stamp):
        request = SimpleNamespace(method=method, headers={n.lower(): v for n, v in headers.items()}, params=params,
                                  region="cn-hangzhou", product="oss", cloudbox_id=None)
        auth = oss2.ProviderAuthV4(StaticCredentialsProvider(access_key, secret))
        return auth._ProviderAuthV4__make_signature(
            request, bucket, key, [], auth.credentials_provider.get_credentials(), stamp)

    def sign(self, method, host, bucket, key, query, headers, body, access_key, secret, at):
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        headers = {**headers, "x-oss-date": stamp, "x-oss-content-sha256": "UNSIGNED-PAYLOAD"}
        signature = self.signature(method, bucket, key, pairs(query), headers, access_key, secret, stamp)
        return {**headers, "Authorization": f"OSS4-HMAC-SHA256 Credential={access_key}/{stamp[:8]}/cn-hangzhou/oss/"
                                            f"aliyun_v4_request, Signature={signature}"}

    def presigned(self, method, bucket, key, at, seconds=60):
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        params = {"x-oss-signature-version": "OSS4-HMAC-SHA256", "x-oss-date": stamp, "x-oss-expires": str(seconds),
                  "x-oss-credential": f"{servers.KEY}/{stamp[:8]}/cn-hangzhou/oss/aliyun_v4_request"}
        signature = self.signature(method, bucket, key, params, {}, servers.KEY, servers.SECRET, stamp)
        return f"/{quote(key)}?{urlencode({**params, 'x-oss-signature': signature}, quote_via=quote, safe='')}"


class Suite:
    def __init__(self, port, back):
        self.port, self.back = port, back
        self.table, self.failures = [], []

    def note(self, name, dialect, outcome, failure=None):
        self.table.append(f"{'FAILED' if failure else 'ok':<7}{dialect.name:<6}{outcome:<40}{name}")
        if failure:
            self.failures.append(f"FAILED {dialect.name}: {name}: {failure}")

    def row(self, name, dialect, expected, request, sends=0, head=False):
        """Checks one rejection: status and code, the format of the caller dialect, and the number of requests to the target."""
        self.back.ask("POST", "/reset", {})
        outcome = ""
        try:
            response = request()
            outcome = f"{response.status} {response.code}"
            self.judge(response, dialect, expected, head)
            seen = self.back.ask("GET", "/requests")
            if sends is not None:
                assert len(seen) == sends, f"the target saw {[(r['method'], r['path'], r['status']) for r in seen]}"
            self.note(name, dialect, outcome)
            return response
        except Exception as error:
            self.note(name, dialect, outcome, f"{type(error).__name__}: {error}")

    def judge(self, response, dialect, expected, head):
        statuses, codes = (one if isinstance(one, tuple) else (one,) for one in expected)
        assert response.status in statuses, f"status {response.status} {response.code}, expected {expected}: {response.body[:300]}"
        if response.status < 400:
            return
        own = response.headers.get(dialect.request_id)
        assert "date" in response.headers
        if head:
            assert own and not response.body, f"request id {own}, body {response.body[:300]}"
            return
        assert codes == (None,) or response.code in codes, f"code {response.code}, expected {codes}: {response.body[:300]}"
        assert response.headers.get("content-type") == "application/xml", response.headers
        assert own and own == response.request_id, f"request id {own} and {response.request_id}"
        for element in {"s3": (b"Message",), "cos": (b"Message", b"Resource", b"TraceId"), "oss": (b"Message", b"HostId")}[dialect.kind]:
            assert re.search(b"<%s>[^<]+</%s>" % (element, element), response.body), element

    def check_stored(self, name, dialect, key, expected):
        """Checks whether an object exists."""
        there = key in self.back.ask("GET", f"/objects/{OPEN}")
        outcome = "object" if there else "no object"
        self.note(name, dialect, outcome, None if there == expected else f"the object is {'there' if there else 'missing'}")

    def compare_responses(self, name, dialect, one, other):
        """Checks that two responses differ only in the bucket's name."""
        outcome = "equal" if one == other else "different"
        self.note(name, dialect, outcome, None if one == other else f"{one} and {other}")

    def result(self):
        passed = len(self.table) - len(self.failures)
        return "\n".join([*self.table, "", *self.failures, f"{passed} passed, {len(self.failures)} failed"])


def remove_header(headers, name):
    for own in [own for own in headers if own.lower() == name]:
        del headers[own]


def credentials(suite, d):
    get = lambda **more: d.request("GET", OPEN, "hello", **more)
    suite.row("positive control", d, (200, None), get, sends=1)
    suite.row("wrong signature", d, (403, "SignatureDoesNotMatch"), lambda: get(secret="no"))
    suite.row("wrong signature of HEAD", d, (403, None), lambda: d.request("HEAD", OPEN, "hello", secret="no"), head=True)
    suite.row("unknown key", d, (403, "InvalidAccessKeyId"), lambda: get(access_key="AKIDNO"))
    suite.row("no credential", d, (403, "AccessDenied"), lambda: get(spoil=lambda t, h: remove_header(h, "authorization")))
    suite.row("unknown kind of credential", d, ((400, 403), None), lambda: get(spoil=lambda t, h: h.update(Authorization="Magic x")))
    suite.row("truncated credential", d, ((400, 403), None), lambda: get(spoil=lambda t, h: h.update(Authorization=h["Authorization"][:40])))
    suite.row("credential twice", d, (400, None), lambda: get(spoil=lambda t, h: h.update(Authorization=[h["Authorization"]] * 2)))
    late = (403, "AccessDenied") if d.kind == "cos" else (403, "RequestTimeTooSkewed")
    suite.row("an old date", d, late, lambda: get(at=time.time() - 20_000))
    if d.kind != "cos":  # COS signs a time range, which has not ended yet.
        suite.row("20 minutes late", d, (403, "RequestTimeTooSkewed"), lambda: get(at=time.time() - 1200))
        suite.row("14 minutes late", d, (200, None), lambda: get(at=time.time() - 840), sends=1)
    suite.row("20 minutes ahead", d, (403, "RequestTimeTooSkewed"), lambda: get(at=time.time() + 1300))
    suite.row("signed for another key", d, (403, "SignatureDoesNotMatch"), lambda: get(spoil=lambda t, h: "/hullo"))
    suite.row("signed for another method", d, (403, "SignatureDoesNotMatch"), lambda: d.request(
        "GET", OPEN, "hello", spoil=lambda t, h: h.update({"X-HTTP-Method-Override": "PUT"}) or "/hullo"))
    suite.row("a method override does nothing", d, (200, None), lambda: get(
        spoil=lambda t, h: h.update({"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "DELETE"})), sends=1)
    suite.check_stored("a method override does nothing", d, "hello", True)
    presigned_urls(suite, d)
    suite.row("two credentials", d, (400, d.codes["several"]), lambda: get(spoil=lambda t, h: d.presigned("GET", OPEN, "hello", time.time())))
    foreign = "q-sign-algorithm=sha1&q-ak=x&q-sign-time=1;2&q-key-time=1;2&q-header-list=&q-url-param-list=&q-signature=x"
    foreign = foreign if d.kind == "oss" else "OSSAccessKeyId=x&Expires=9999999999&Signature=x"
    suite.row("a second credential of another dialect", d, (400, d.codes["several"] if d.kind != "oss" else None),
              lambda: get(spoil=lambda t, h: f"{t}?{foreign}"))
    added = lambda name, value: d.request("PUT", OPEN, "new", spoil=lambda t, h: h.update({d.prefix + name: value}))
    if d.kind != "cos":  # COS callers choose the headers that they sign.
        suite.row("a header added", d, (403, d.codes["unsigned"]), lambda: added("meta-a", "1"))
        suite.row("a copy source added", d, (403, d.codes["unsigned"]), lambda: added("copy-source", d.source(OPEN, "hello")))
        suite.row("a header changed", d, (403, "SignatureDoesNotMatch"), lambda: d.request(
            "PUT", OPEN, "new", {d.prefix + "meta-a": "1"}, spoil=lambda t, h: h.update({d.prefix + "meta-a": "2"})))
    else:
        strict = {"access_key": STRICT, "secret": servers.SECRET}
        suite.row("strict control", d, (200, None), lambda: get(**strict), sends=1)
        suite.row("strict, a copy source added", d, (403, "AccessDenied"), lambda: d.request(
            "PUT", OPEN, "new", spoil=lambda t, h: h.update({"x-cos-copy-source": d.source(OPEN, "hello")}), **strict))
        suite.row("strict, a parameter added", d, (403, "AccessDenied"), lambda: get(spoil=lambda t, h: t + "?versionId=7", **strict))
        suite.row("a header changed", d, (403, "SignatureDoesNotMatch"), lambda: d.request(
            "PUT", OPEN, "new", {"x-cos-meta-a": "1"}, spoil=lambda t, h: h.update({"x-cos-meta-a": "2"})))
        suite.row("a header of the SDK's retries", d, (200, None), lambda: get(headers={"x-cos-sdk-retry": "true"}), sends=1)


def presigned_urls(suite, d):
    host = {"Host": d.host(OPEN)}
    url = lambda age=0, method="GET", **more: d.presigned(method, OPEN, "hello", time.time() - age, **more)
    ask = lambda target, method="GET", **more: send(d.port, method, target, {**host, **more})
    suite.row("presigned control", d, (200, None), lambda: ask(url()), sends=1)
    suite.row("presigned, expired", d, (403, d.codes["expired"]), lambda: ask(url(300)))
    suite.row("presigned, for another method", d, (403, "SignatureDoesNotMatch"), lambda: ask(url(), "DELETE"))
    suite.row("presigned, for GET, sent as HEAD", d, (403, None), lambda: ask(url(), "HEAD"), head=True)
    suite.row("presigned, a parameter added", d, (403, None), lambda: ask(url() + "&versionId=7"))
    suite.row("presigned, a header added", d, (403, None), lambda: send(d.port, "PUT", url(method="PUT"), {
        **host, "Content-Length": "0", d.prefix + "meta-a": "1"}))
    suite.row("presigned, a copy source added", d, (403, None), lambda: send(d.port, "PUT", url(method="PUT"), {
        **host, "Content-Length": "0", d.prefix + "copy-source": d.source(OPEN, "hello")}))
    suite.row("presigned, for another bucket", d, (403, "SignatureDoesNotMatch"), lambda: send(
        d.port, "GET", url(), {"Host": d.host(OTHER)}))
    suite.row("presigned, a field twice", d, ((400, 403), None), lambda: ask(url() + "&" + url().partition("?")[2].split("&")[0]))
    suite.row("presigned, a field missing", d, ((400, 403), None), lambda: ask(url().rpartition("&")[0]))
    suite.row("presigned, Bearer besides", d, (200, None), lambda: ask(url(), Authorization="Bearer x"), sends=1)
    if d.name in ("s3", "ossv4"):
        word = "AuthorizationQueryParametersError" if d.name == "s3" else None
        for seconds in (604_801, 0, -1, "1e3"):
            suite.row(f"presigned for {seconds} seconds", d, ((400, 403), word), lambda: ask(url(seconds=seconds)))
        suite.row("presigned, ahead", d, (403, None), lambda: ask(url(-1300)))
    if d.kind == "cos":
        without_host = lambda: url().replace("q-header-list=host", "q-header-list=")
        suite.row("presigned, host not signed", d, (403, None), lambda: ask(without_host()))
        suite.row("presigned, a file name added", d, (200, None), lambda: ask(url() + "&response-content-disposition=attachment"), sends=1)
        suite.row("presigned, line ends in a file name added", d, ((400, 403), None), lambda: ask(
            url() + "&response-content-disposition=a%0d%0aX-B:c"))


def scopes(suite):
    """The scope and the signed headers of signature version 4, wrong or missing."""
    s3, oss = S3(suite.port), OssV4(suite.port)
    rows = [
        (s3, "another service", (400, "AuthorizationHeaderMalformed"), "/s3/aws4_request", "/sqs/aws4_request"),
        (s3, "another ending", (400, "AuthorizationHeaderMalformed"), "/aws4_request", "/aws5_request"),
        (s3, "another day", (400, "AuthorizationHeaderMalformed"), time.strftime("/%Y%m%d/", time.gmtime()), "/20200101/"),
        (s3, "no signature", (400, "AuthorizationHeaderMalformed"), ", Signature=", ", Sign="),
        (s3, "host not signed", (403, "AccessDenied"), "SignedHeaders=host;", "SignedHeaders="),
        (s3, "a name twice", ((400, 403), None), "SignedHeaders=host;", "SignedHeaders=host;host;"),
        (s3, "names in capitals", ((400, 403), None), "SignedHeaders=host;", "SignedHeaders=Host;"),
        (s3, "a missing header", ((400, 403), None), ";x-amz-date", ";x-amz-date;x-zz"),
        (s3, "elliptic curves", (501, "NotImplemented"), "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        (oss, "another region", ((400, 403), ("InvalidArgument", "SignatureDoesNotMatch")), "/cn-hangzhou/", "/cn-beijing/"),
        (oss, "another product", (400, "InvalidArgument"), "/oss/aliyun", "/sls/aliyun"),
        (oss, "another day", ((400, 403), None), time.strftime("/%Y%m%d/", time.gmtime()), "/20200101/"),
        (oss, "an empty name", (400, "InvalidArgument"), ", Signature=", ",AdditionalHeaders=host;, Signature="),
        (oss, "a missing header", ((400, 403), None), ", Signature=", ",AdditionalHeaders=zz, Signature="),
    ]
    for d, name, expected, old, new in rows:
        suite.row(f"scope: {name}", d, expected, lambda: d.request(
            "GET", OPEN, "hello", spoil=lambda t, h: h.update(Authorization=h["Authorization"].replace(old, new))))
    payload = lambda word: s3.request("PUT", OPEN, "new", {"x-amz-content-sha256": word}, b"x")
    suite.row("no payload hash", s3, (400, "InvalidRequest"), lambda: payload(""))
    suite.row("unknown payload value", s3, (400, "InvalidArgument"), lambda: payload("SIGNED-PAYLOAD"))
    suite.row("payload value of SigV4A", s3, (501, "NotImplemented"), lambda: payload("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"))


def grants(suite, d):
    suite.row("no grant", d, (403, "AccessDenied"), lambda: d.request("GET", CLOSED, "hello"))
    suite.row("no grant, no such bucket", d, (403, "AccessDenied"), lambda: d.request("GET", "nothing-1250000000", "hello"))
    shapes = []
    for bucket in (CLOSED, "nothing-1250000000", "x" * 20 + "-1250000000"):
        response = d.request("GET", bucket, "hello")
        shapes.append(response.shape(bucket))
    suite.compare_responses("no grant, existing or missing bucket", d, shapes[0], shapes[1])
    suite.compare_responses("no grant, configured or unknown bucket", d, shapes[0], shapes[2])
    suite.row("no grant to list", d, (403, "AccessDenied"), lambda: d.request("GET", CLOSED, ""))
    suite.row("no grant to write", d, (403, "AccessDenied"), lambda: d.request("PUT", OTHER, "hello", body=b"x"))
    suite.row("no grant to delete", d, (403, "AccessDenied"), lambda: d.request("DELETE", OTHER, "hello"))
    suite.row("no grant to create", d, (403, "AccessDenied"), lambda: d.request("PUT", OPEN, ""))
    suite.row("granted, not configured", d, (404, "NoSuchBucket"), lambda: d.request("GET", "app-elsewhere", "hello"))
    copy = lambda bucket, tail="", into=OPEN, query="", **more: d.request(
        "PUT", into, "copied", {d.prefix + "copy-source": d.source(bucket, "hello") + tail}, query=query, **more)
    suite.row("copy control", d, (200, None), lambda: copy(OTHER), sends=1)
    suite.row("source without grant", d, (403, "AccessDenied"), lambda: copy(CLOSED))
    suite.row("source without grant, a version", d, (403, "AccessDenied"), lambda: copy(CLOSED, "?versionId=1"))
    suite.row("source in an unknown bucket", d, (403, "AccessDenied"), lambda: copy("elsewhere"))
    part = "partNumber=1&uploadId=abc"
    suite.row("part from a source without grant", d, (403, "AccessDenied"), lambda: copy(CLOSED, query=part))
    suite.row("part from an unknown bucket", d, (403, "AccessDenied"), lambda: copy("elsewhere", query=part))
    suite.row("copy into a read-only bucket", d, (403, "AccessDenied"), lambda: copy(OPEN, into=OTHER))
    reader = {"access_key": READER, "secret": servers.SECRET}
    suite.row("reader control", d, (200, None), lambda: d.request("GET", OTHER, "hello", **reader), sends=1)
    suite.row("reader, another bucket", d, (403, "AccessDenied"), lambda: d.request("GET", OPEN, "hello", **reader))
    suite.row("reader, write", d, (403, "AccessDenied"), lambda: d.request("PUT", OTHER, "hello", body=b"x", **reader))
    suite.row("reader, copy", d, (403, "AccessDenied"), lambda: copy(OTHER, into=OTHER, **reader))
    suite.row("reader, new upload", d, (403, "AccessDenied"), lambda: d.request("POST", OTHER, "hello", query="uploads=", **reader))
    suite.row("dead target", d, (503, "ServiceUnavailable"), lambda: d.request("GET", DEAD, "hello"))
    suite.row("unreachable target of a copy", d, (503, "ServiceUnavailable"), lambda: copy(DEAD, into=DEAD))


def requests(suite, d):
    put = lambda headers=None, key="new", **more: d.request("PUT", OPEN, key, headers, **more)
    source = d.prefix + "copy-source"
    values = ["nowhere", "", "/", f"/{OPEN}", f"/{OPEN}/", f"/{OPEN}/a%zz", f"/{OPEN}/a?other=1", "http://169.254.169.254/x/y"]
    values += {
        "s3": ["arn:aws:s3:us-east-1:123456789012:accesspoint/a/object/k"],
        "cos": [f"{OPEN}.cos.ap-guangzhou.evil.example/hello", f"{OPEN}.evil.example/hello", "evil.example:80/hello",
                f"user@{OPEN}.cos.ap-guangzhou.myqcloud.com/hello"],
        "oss": [f"{OPEN}/hello", f"/{OPEN}/hello?versionId="],
    }[d.kind]
    for value in values:
        suite.row(f"copy source {value!r}", d, (400, d.codes["copy_source"]), lambda: put({source: value}))
    if d.kind != "cos":  # Here the host is parsed as the name of an unknown bucket.
        for host, expected in ((f"{OPEN}.evil.example", (404, "NoSuchBucket")), ("evil.example", (403, "AccessDenied"))):
            suite.row(f"copy source /{host}/hello", d, expected, lambda: put({source: f"/{host}/hello"}))
    suite.row("copy source twice", d, ((400, 403), None), lambda: put(
        {source: d.source(OPEN, "hello")}, spoil=lambda t, h: h.update({source: [d.source(OPEN, "hello")] * 2})))
    for name in ("if-modified-since", "if-unmodified-since"):
        suite.row(f"bad date in {name}", d, (400, "InvalidArgument"), lambda: put(
            {source: d.source(OPEN, "hello"), f"{source}-{name}": "yesterday"}))
    suite.row("bad directive", d, (400, "InvalidArgument"), lambda: put(
        {source: d.source(OPEN, "hello"), d.prefix + "metadata-directive": "MOVE"}))
    if d.kind != "oss":  # OSS copies the whole source instead.
        suite.row("bad range of a part", d, (400, None), lambda: put(
            {source: d.source(OPEN, "hello"), source + "-range": "bytes=5-1"}, query="partNumber=1&uploadId=abc"))
    begun = d.request("POST", OPEN, "new", query="uploads=")
    upload = re.search(rb"<UploadId>([^<]+)", begun.body).group(1).decode()
    part = lambda number, more=None: put(more, query=f"partNumber={number}&uploadId={quote(upload)}", body=b"" if more else b"x")
    # A part below the target's minimum is stored as an object, after a request whether its upload is open.
    suite.row("part control", d, (200, None), lambda: part(10_000), sends=2 if d.kind == "oss" else 1)
    for number in ("0", "10001", "-1", "x"):
        suite.row(f"part number {number}", d, (400, "InvalidArgument"), lambda: part(number), sends=None)
    suite.row("part number 0, copied", d, (400, "InvalidArgument"), lambda: part("0", {source: d.source(OPEN, "hello")}), sends=None)
    suite.row("key too long", d, (400, d.codes["key_long"]), lambda: put(key="k" * 2000, body=b"x"))
    suite.row("too much metadata", d, (400, d.codes["metadata"]), lambda: put({d.prefix + "meta-a": "v" * 9000}, body=b"x"))
    suite.row("too large a head", d, (400, None), lambda: put({d.prefix + "meta-a": "v" * 20_000}, body=b"x"))
    suite.row("too many headers", d, (400, None), lambda: put({f"{d.prefix}meta-{n}": "v" for n in range(120)}, body=b"x"))
    untold = {"s3": ("replication", "notification", "analytics"), "cos": ("replication", "domain", "origin"),
              "oss": ("replication", "cname", "style")}[d.kind]
    for word in untold:
        suite.row(f"sub-resource {word}", d, (501, "NotImplemented"), lambda: d.request("GET", OPEN, "", query=word + "="))
        suite.row(f"sub-resource {word}, PUT", d, (501, "NotImplemented"), lambda: d.request("PUT", OPEN, "", query=word + "=", body=b"<x/>"))
    for word in ("lifecycle", "policy", "cors", "website", "acl", "versioning", "tagging"):  # Only with the admin grant.
        suite.row(f"{word} without the grant", d, (403, "AccessDenied"), lambda: d.request("PUT", OPEN, "", query=word + "=", body=b"<x/>"))
    suite.row("object sub-resource", d, (501, "NotImplemented"), lambda: d.request(
        "GET", OPEN, "hello", query={"s3": "torrent=", "cos": "symlink=", "oss": "symlink="}[d.kind]))
    suite.row("invalid ACL document", d, (400, None), lambda: d.request("PUT", OPEN, "hello", query="acl="))
    suite.row("invalid tagging document", d, (400, "MalformedXML"), lambda: d.request("PUT", OPEN, "hello", query="tagging=", body=b"<Tagging><Tag/></Tagging>"))
    suite.row("invalid document of keys to delete", d, (400, "MalformedXML"), lambda: d.request("POST", OPEN, "", query="delete=", body=b"<Delete/>"))
    suite.row("unknown header", d, (501, "NotImplemented"), lambda: put({d.prefix + "new-feature": "on"}, body=b"x"))
    suite.row("bad class", d, (400, None), lambda: put({d.prefix + "storage-class": "FROZEN"}, body=b"x"))
    suite.row("method", d, (405, "MethodNotAllowed"), lambda: d.request("POST", OPEN, "hello", body=b"x"))
    suite.row("unknown method", d, ((405, 501), None), lambda: d.request("BREW", OPEN, "hello"))
    if d.kind != "s3":
        suite.row("callback", d, (501, "NotImplemented"), lambda: put({d.prefix + "callback": "e30="}, body=b"x"))
    features = {
        "s3": [("GET", "torrent=")],
        "cos": [("GET", "imageMogr2/thumbnail/10x"), ("GET", "imageMogr2"), ("GET", "ci-process=sensitive-content-recognition")],
        "oss": [("PUT", "callback=e30%3D"), ("PUT", "symlink="), ("GET", "x-oss-process=image%2Finfo"), ("POST", "asyncFetch=")],
    }[d.kind]
    for method, query in features:
        suite.row(f"{method} with {query}", d, (501, "NotImplemented"), lambda: d.request(
            method, OPEN, "hello", query=query, body=b"" if method == "GET" else b"x"))
    suite.row("a parameter that ends in a space", d, (200, None), lambda: d.request("GET", OPEN, "", query="prefix=ends%20"), sends=1)
    if d.kind == "oss":  # Conditions of writes: ignoring one could overwrite an object.
        for name, value in (("If-None-Match", "*"), ("If-Match", '"' + "0" * 32 + '"')):
            suite.row(f"{name} of a write", d, (400, "NotImplemented"), lambda: put({name: value}, key="hello", body=b"hello"))
    if d.kind == "cos":
        suite.row("pic-operations", d, (501, "NotImplemented"), lambda: put({"pic-operations": "{}"}, body=b"x"))


def bodies(suite, d):
    md5 = base64.b64encode(hashlib.md5(b"right").digest()).decode()
    put = lambda key, digest, body, **more: d.request("PUT", OPEN, key, {"Content-MD5": digest}, body, **more)
    suite.row("Content-MD5 control", d, (200, None), lambda: put("md5 right", md5, b"right"), sends=1)
    suite.check_stored("Content-MD5 control", d, "md5 right", True)
    wrong = "InvalidDigest" if d.kind == "oss" else "BadDigest"
    suite.row("wrong Content-MD5", d, (400, wrong), lambda: put("md5 wrong", md5, b"wrong"), sends=None)
    suite.check_stored("wrong Content-MD5", d, "md5 wrong", False)
    suite.row("Content-MD5 that is not a digest", d, (400, "InvalidDigest"), lambda: put("md5 none", "right", b"right"), sends=None)
    suite.check_stored("Content-MD5 that is not a digest", d, "md5 none", False)
    cut_body(suite, d)


def cut_body(suite, d):
    """The client disconnects during the body: nothing is stored, and the proxy continues."""
    body = b"cut in the middle " * 20_000
    host = d.host(OPEN)
    for name, sent, expected in (("cut control", len(body), True), ("cut body", 100_000, False)):
        signed = d.sign("PUT", host, OPEN, name, "", {"Content-Length": str(len(body))}, body, servers.KEY, servers.SECRET, time.time())
        signed = {"Host": host, **{n: v for n, v in signed.items() if n.lower() != "host"}}
        lines = "".join(f"{n}: {v}\r\n" for n, v in signed.items())
        with socket.create_connection(("127.0.0.1", d.port), timeout=10) as raw:
            raw.sendall(f"PUT /{quote(name)} HTTP/1.1\r\n{lines}\r\n".encode() + body[:sent])
            if sent == len(body):
                raw.recv(65_536)
        time.sleep(0.2)
        suite.check_stored(name, d, name, expected)


def chunk_signature(seed, stamp, data, what="PAYLOAD"):
    key = b"AWS4" + servers.SECRET.encode()
    for part in (stamp[:8], "us-east-1", "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    scope = f"{stamp[:8]}/us-east-1/s3/aws4_request"
    lines = [f"AWS4-HMAC-SHA256-{what}", stamp, scope, seed]
    lines += [hashlib.sha256(b"").hexdigest()] if what == "PAYLOAD" else []
    lines += [hashlib.sha256(data).hexdigest()]
    return hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).hexdigest()


def chunked_bodies(suite, d):
    """Invalid aws-chunked bodies create no object."""
    data = b"chunked body " * 20_000

    def upload(key, word, frame, length=len(data), trailer=None, cut=None, more=None, method="PUT"):
        headers = {"x-amz-content-sha256": word, "Content-Encoding": "aws-chunked", **(more or {})}
        headers.update({"x-amz-trailer": trailer} if trailer else {})
        headers.update({"x-amz-decoded-content-length": str(length)} if length is not None else {})
        at = time.time()
        host = d.host(OPEN)
        wire_length = len(frame("0" * 64, "20260101T000000Z"))
        headers["Content-Length"] = str(wire_length)
        signed = d.sign(method, host, OPEN, key, "", headers, b"", servers.KEY, servers.SECRET, at)
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
        return send(d.port, method, "/" + quote(key), signed, body)

    def sign_chunks(spoil="", trailer=False):
        def frame(seed, stamp):
            first = chunk_signature(seed, stamp, data)
            last = chunk_signature(first, stamp, b"")
            lines = b"x-amz-checksum-crc32:" + crc
            seal = chunk_signature(last, stamp, lines + b"\n", "TRAILER")[::-1 if spoil == "trailer" else 1]
            tail = lines + b"\r\nx-amz-trailer-signature:" + seal.encode() + b"\r\n" if trailer else b""
            first = first[::-1] if spoil == "chunk" else first
            last = last[::-1] if spoil == "last" else last
            sent = data.replace(b"chunked", b"chunkeD") if spoil == "data" else data
            return b"%x;chunk-signature=%s\r\n%s\r\n0;chunk-signature=%s\r\n%s\r\n" % (
                len(data), first.encode(), sent, last.encode(), tail)
        return frame

    crc = base64.b64encode(zlib.crc32(data).to_bytes(4, "big"))

    def unsigned_trailer(value=crc, name=b"x-amz-checksum-crc32"):
        return lambda seed, stamp: b"%x\r\n%s\r\n0\r\n%s:%s\r\n\r\n" % (len(data), data, name, value)

    word, plain, trailer = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-checksum-crc32"
    cases = [
        ("signed control", (200, None), word, sign_chunks(), {}),
        ("unsigned control", (200, None), plain, unsigned_trailer(), {"trailer": trailer}),
        ("chunk signature", (403, "SignatureDoesNotMatch"), word, sign_chunks("chunk"), {}),
        ("last chunk signature", (403, "SignatureDoesNotMatch"), word, sign_chunks("last"), {}),
        ("chunk data", (403, "SignatureDoesNotMatch"), word, sign_chunks("data"), {}),
        ("decoded length", (400, "IncompleteBody"), word, sign_chunks(), {"length": len(data) + 1}),
        ("trailer checksum", (400, "BadDigest"), plain, unsigned_trailer(b"AAAAAA=="), {"trailer": trailer}),
        ("another trailer", (400, "MalformedTrailerError"), plain, unsigned_trailer(name=b"x-amz-checksum-crc32c"), {"trailer": trailer}),
        ("signed trailer control", (200, None), word + "-TRAILER", sign_chunks(trailer=True), {"trailer": trailer}),
        ("trailer signature", (403, "SignatureDoesNotMatch"), word + "-TRAILER", sign_chunks("trailer", True), {"trailer": trailer}),
        ("signed trailer omitted", ((400, 403), None), word + "-TRAILER", sign_chunks(), {"trailer": trailer}),
        ("no trailer control", (200, None), plain, lambda *_: unsigned_trailer()("", "").split(b"x-amz")[0] + b"\r\n", {}),
        ("trailer omitted", (400, "MalformedTrailerError"), plain,
         lambda *_: unsigned_trailer()("", "").split(b"x-amz")[0] + b"\r\n", {"trailer": trailer}),
        ("trailer without a checksum", (400, "InvalidRequest"), plain, unsigned_trailer(b"what"), {"trailer": trailer}),
        ("trailer of another kind", (400, "InvalidRequest"), plain, unsigned_trailer(name=b"x-amz-meta-a"), {"trailer": "x-amz-meta-a"}),
        ("checksum twice", (400, "InvalidRequest"), plain, unsigned_trailer(), {"trailer": trailer, "more": {trailer: crc.decode()}}),
        ("another algorithm declared", (400, "InvalidRequest"), plain, unsigned_trailer(),
         {"trailer": trailer, "more": {"x-amz-sdk-checksum-algorithm": "SHA256"}}),
        ("no decoded length", (411, "MissingContentLength"), plain, unsigned_trailer(), {"trailer": trailer, "length": None}),
        ("decoded length not a number", (411, "MissingContentLength"), plain, unsigned_trailer(), {"trailer": trailer, "length": "many"}),
        ("decoded length short", (400, "IncompleteBody"), plain, unsigned_trailer(), {"trailer": trailer, "length": len(data) - 1}),
        ("size not a number", (400, "IncompleteBody"), plain, lambda *_: b"zz\r\n" + data + b"\r\n0\r\n\r\n", {}),
        ("size with a sign", (400, "IncompleteBody"), plain, lambda *_: b"+" + unsigned_trailer()("", ""), {"trailer": trailer}),
        ("huge size", (400, "IncompleteBody"), plain, lambda *_: b"f" * 17 + b"\r\n" + data, {}),
        ("last line end missing", (400, "IncompleteBody"), plain, lambda *_: b"%x\r\n%s\r\n0\r\n" % (len(data), data), {}),
        ("no last chunk", (400, "IncompleteBody"), plain, lambda *_: b"%x\r\n%s\r\n" % (len(data), data), {}),
        ("more after the end", (400, None), plain, lambda *_: unsigned_trailer()("", "") + b"more", {"trailer": trailer}),
        ("in a request other than an upload", ((400, 403, 501), None), plain, unsigned_trailer(), {"trailer": trailer, "method": "DELETE"}),
        ("a copy besides", ((400, 403, 501), None), plain, unsigned_trailer(),
         {"trailer": trailer, "more": {"x-amz-copy-source": d.source(OPEN, "hello")}}),
        ("cut body", (200, None), plain, unsigned_trailer(), {"trailer": trailer, "cut": 100_000}),
    ]
    for name, expected, kind, frame, more in cases:
        suite.row(f"chunks: {name}", d, expected, lambda: upload(f"chunks {name}", kind, frame, **more), sends=None)
        time.sleep(0.2 if "cut" in name else 0)
        suite.check_stored(f"chunks: {name}", d, f"chunks {name}", "control" in name)
    for name, value in (("crc32", crc), ("sha256", base64.b64encode(hashlib.sha256(data).digest())),
                        ("sha1", base64.b64encode(hashlib.sha1(data).digest()))):
        for key, body, expected in ((f"{name} right", data, (200, None)), (f"{name} wrong", data[1:], (400, "BadDigest"))):
            suite.row(f"checksum: {key}", d, expected, lambda: d.request(
                "PUT", OPEN, key, {f"x-amz-checksum-{name}": value.decode()}, body), sends=None)
            suite.check_stored(f"checksum: {key}", d, key, expected[0] == 200)
    suite.row("wrong payload hash", d, (400, "XAmzContentSHA256Mismatch"), lambda: d.request(
        "PUT", OPEN, "hash", {"x-amz-content-sha256": hashlib.sha256(b"other").hexdigest()}, b"this"), sends=None)
    suite.check_stored("wrong payload hash", d, "hash", False)


def framing(suite, d):
    """Ambiguous framing, which two parsers could read differently. All requests have valid signatures."""
    host = d.host(OPEN)
    length, pieces = "Content-Length: 3", "3\r\nabc\r\n0\r\n\r\n"
    coded = "Transfer-Encoding: chunked"

    def text(framing, body, key="framing", first=None, hosts=(host,), more=""):
        declared = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"} if d.kind == "s3" else {}
        signed = d.sign("PUT", host, OPEN, key, "", declared, b"", servers.KEY, servers.SECRET, time.time())
        lines = [first or f"PUT /{key} HTTP/1.1", *(f"Host: {one}" for one in hosts)]
        lines += [f"{name}: {value}" for name, value in signed.items() if name.lower() != "host"]
        return "\r\n".join([*lines, *([framing] if framing else []), *([more] if more else []), "", body])

    def ask(raw_text, ends=True):
        with socket.create_connection(("127.0.0.1", d.port), timeout=10) as raw:
            raw.sendall(raw_text.encode())
            parsed = http.client.HTTPResponse(raw)
            parsed.begin()
            response = Response(parsed)
            if ends:
                assert response.headers.get("connection") == "close", response.headers
                assert not raw.recv(4096), "a second response"
            return response

    def expect_continue(secret):
        """Returns the first status for a client that waits for 100 Continue before it sends its body."""
        signed = d.sign("PUT", host, OPEN, "waits", "", {"Content-Length": "5"}, b"hello", servers.KEY, secret, time.time())
        lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items() if name.lower() != "host")
        with socket.create_connection(("127.0.0.1", d.port), timeout=10) as raw:
            raw.sendall(f"PUT /waits HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\n{lines}\r\n".encode())
            first = raw.recv(65_536)
            status = first.split(b" ")[1].decode()
            if status == "100":
                raw.sendall(b"hello")
                raw.recv(65_536)
            return status

    for name, secret, wanted in (("control", servers.SECRET, "100"), ("rejected before the body", "no", "403")):
        status = expect_continue(secret)
        suite.note(f"100-continue: {name}", d, status, None if status == wanted else f"{status}, expected {wanted}")
    suite.row("framing: control", d, (200, None), lambda: ask(text(length, "abc"), ends=False), sends=1)
    suite.row("framing: absolute target", d, (200, None), lambda: ask(
        text(length, "abc", first=f"PUT http://{host}/framing HTTP/1.1"), ends=False), sends=1)
    rows = {
        "both length kinds": text(f"{length}\r\n{coded}", pieces),
        "two lengths": text(f"{length}\r\nContent-Length: 4", "abcd"),
        "equal lengths": text(f"{length}\r\n{length}", "abc"),
        "lengths in a list": text("Content-Length: 3, 3", "abc"),
        "signed length": text("Content-Length: +3", "abc"),
        "negative length": text("Content-Length: -3", "abc"),
        "hexadecimal length": text("Content-Length: 0x3", "abc"),
        "length of 20 digits": text("Content-Length: 00000000000000000003", "abc"),
        "two hosts": text(length, "abc", hosts=(host, host)),
        "bare LF": text(length, "abc").replace("\r\n", "\n"),
        "bare LF after one header": text(length + "\nX-A: b", "abc"),
        "bare CR in a value": text(length, "abc", more="X-A: a\rb"),
        "NUL in a value": text(length, "abc", more="X-A: a\0b"),
        "space before the colon": text(length, "abc", more="X-A : b"),
        "folded line": text(length, "abc", more="X-A: a\r\n b"),
        "two codings": text("Transfer-Encoding: identity, chunked", pieces),
        "two codings, reversed": text("Transfer-Encoding: chunked, identity", pieces),
        "gzip and chunked": text("Transfer-Encoding: gzip, chunked", pieces),
        "chunked twice": text(f"{coded}\r\n{coded}", pieces),
        "a coding like chunked": text("Transfer-Encoding: xchunked", pieces),
        "a quoted coding": text('Transfer-Encoding: "chunked"', pieces),
        "HTTP/1.0 with a coding": text(coded, pieces, first="PUT /framing HTTP/1.0"),
        "space in the target": text(length, "abc", first="PUT /fra ming HTTP/1.1"),
        "fragment": text(length, "abc", first="PUT /framing#x HTTP/1.1"),
        "another host in the target": text(length, "abc", first="PUT http://other.example/framing HTTP/1.1"),
        "user in the target": text(length, "abc", first=f"PUT http://me@{host}/framing HTTP/1.1"),
        "HTTP/2.0 spelt out": text(length, "abc", first="PUT /framing HTTP/2.0"),
        "a named header in Connection": text(length, "abc", more="Connection: Authorization"),
    }
    if d.kind == "s3":  # Without a host the listener's dialect applies.
        rows["no host"] = text(length, "abc", hosts=())
        rows["path in the host"] = text(length, "abc", hosts=(host + "/x",))
        suite.row("framing: CONNECT", d, ((405, 501), None), lambda: send(
            d.port, "CONNECT", "elsewhere:443", {"Host": "elsewhere:443"}))
    for name, raw_text in rows.items():
        suite.row(f"framing: {name}", d, (400, None), lambda: ask(raw_text))
    for name, body in {"LF in a chunk line": "3\nabc\r\n0\r\n\r\n", "LF in an extension": "3;a\nb\r\nabc\r\n0\r\n\r\n",
                       "chunk size with a sign": "+3\r\nabc\r\n0\r\n\r\n", "chunk size of 0x": "0x3\r\nabc\r\n0\r\n\r\n",
                       "chunk too long": "3\r\nabcd\r\n0\r\n\r\n"}.items():
        suite.row(f"framing: {name}", d, ((400, 411), None), lambda: ask(text(coded, body, key="pieces")), sends=None)
        suite.check_stored(f"framing: {name}", d, "pieces", False)
    suite.row("framing: TRACE", d, ((405, 501), None), lambda: send(d.port, "TRACE", "/k", {"Host": host}))
    suite.row("framing: OPTIONS *", d, ((400, 403, 405, 501), None), lambda: send(d.port, "OPTIONS", "*", {"Host": host}))


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
                   '[{ buckets = ["*"], access = "admin" }]\n',
                   f'[[caller]]\nname = "reader"\naccess_key = "{READER}"\nsecret_key = "{servers.SECRET}"\ngrants = '
                   '[{ buckets = ["other-*"], access = "read" }]\n',
                   f'[[caller]]\nname = "strict"\naccess_key = "{STRICT}"\nsecret_key = "{servers.SECRET}"\n'
                   'cos_signing = "strict"\ngrants = [{ buckets = ["app-*"], access = "read-write" }]\n']
        targets = [servers.one_target("cos", back.port), servers.one_target("cos", dead, name="gone")]
        front = running.proxy(options.binary, servers.configuration(targets, buckets, callers))
        suite = Suite(front.port, back)
        root = S3(front.port)
        for bucket in (OPEN, OTHER, CLOSED):
            made = root.request("PUT", bucket, "", access_key="AKIDROOT", secret="root-secret")
            assert made.status == 200, made.body
            made = root.request("PUT", bucket, "hello", body=b"hello", access_key="AKIDROOT", secret="root-secret")
            assert made.status == 200, made.body
        for dialect in (S3, S3V2, Cos, Oss, OssV4):
            d = dialect(front.port)
            credentials(suite, d)
            bodies(suite, d)
            if d.name == d.kind:
                grants(suite, d)
                requests(suite, d)
                framing(suite, d)
        scopes(suite)
        chunked_bodies(suite, S3(front.port))
    print(suite.result())
    sys.exit(1 if suite.failures else 0)


if __name__ == "__main__":
    main()
