"""The scenarios of every SDK. Expectations follow the documents of the caller dialect's vendor, for every target.
A scenario is a function of a client, a bucket and the run's options. It raises on failure, and raises SkipTest with
the reason if it does not apply to this client."""

import functools
import http.client
import os
import re
import tempfile
import time
import uuid
from unittest import SkipTest
from urllib.parse import urlsplit

import forms
from api import CallError, http_date

HOSTILE_KEYS = ["a b", "a+b", "a%b", "a%2Bb", "a?b", "a&b", "a#b", "中文/键", "a//b", "a/./b", "a/../b", "q\"'q", "a=b;c,d",
                "dir/", ("y" * 99 + "/") * 6 + "z", "-._~!*'()", "a:b@c$d", "<x>[y]{z}|^`", "a?versionId=null", "😀", "A", "ends "]

LONG_AGO = http_date(time.time() - 86_400)
LATER = http_date(time.time() + 24 * 3600)
PART = 5 * 1024 * 1024


def expect_error(status, call, *arguments, **more):
    """Expects that the call fails with one of these statuses. Returns the error."""
    wanted = status if isinstance(status, tuple) else (status,)
    try:
        call(*arguments, **more)
    except CallError as error:
        assert error.status in wanted, f"expected {wanted}, got {error}"
        return error
    raise AssertionError(f"expected {wanted}, but the call succeeded")




def bare(etag):
    return etag.strip('"').lower()


def is_same_part(listed, uploaded):
    """Whether a listing and the upload of a part returned the same ETag. The latter may have a suffix with the part's
    digests, which the proxy needs to complete the upload."""
    return re.fullmatch(re.escape(bare(listed)) + "(-[0-9a-f]{48})?", bare(uploaded)) is not None


def objects(client, bucket, run):
    body = b"The quick brown fox"
    etag = client.put(bucket, "fox", body, content_type="text/plain", metadata={"owner": "me"})["etag"]
    result = client.head(bucket, "fox")
    assert (result["length"], result["content_type"]) == (len(body), "text/plain"), result
    assert result["metadata"] == {"owner": "me"}, result
    assert bare(result["etag"]) == bare(etag)
    assert abs(result["last_modified"] - time.time()) < 60, result
    assert client.get(bucket, "fox")["body"] == body
    client.delete(bucket, "fox")
    assert expect_error(404, client.get, bucket, "fox").code == "NoSuchKey"
    expect_error(404, client.head, bucket, "fox")
    client.delete(bucket, "fox")


def ranges(client, bucket, run):
    client.put(bucket, "range", b"0123456789")
    assert client.get(bucket, "range", range="bytes=2-5")["body"] == b"2345"
    assert client.get(bucket, "range", range="bytes=7-")["body"] == b"789"
    assert client.get(bucket, "range", range="bytes=-3")["body"] == b"789"
    # OSS returns the whole object for a range beyond its end.
    if client.dialect == "oss":
        assert client.get(bucket, "range", range="bytes=2-50")["body"] == b"0123456789"
        assert client.get(bucket, "range", range="bytes=50-60")["body"] == b"0123456789"
    else:
        assert client.get(bucket, "range", range="bytes=2-50")["body"] == b"23456789"
        expect_error(416, client.get, bucket, "range", range="bytes=50-60")


def conditional_reads(client, bucket, run):
    etag = client.put(bucket, "cond", b"x")["etag"]
    etag = client.head(bucket, "cond")["etag"]
    assert client.get(bucket, "cond", if_match=etag)["body"] == b"x"
    expect_error(412, client.get, bucket, "cond", if_match='"' + "0" * 32 + '"')
    expect_error(304, client.get, bucket, "cond", if_none_match=etag)
    assert client.get(bucket, "cond", if_none_match='"' + "0" * 32 + '"')["body"] == b"x"
    assert client.get(bucket, "cond", content_type="text/csv")["content_type"] == "text/csv"


def response_overrides(client, bucket, run):
    """The parameters response-* change the headers of the response, and not the stored object."""
    if not hasattr(client, "read_as"):
        raise SkipTest("the driver of this client has no such call")
    client.put(bucket, "overridden", b"x", content_type="text/plain")
    words = {"content-type": "text/csv", "cache-control": "no-store", "content-language": "de",
             "content-disposition": "attachment; filename=\"a b.csv\""}
    result = client.read_as(bucket, "overridden", words)
    assert {name: result.get(name) for name in words} == words, result
    assert client.head(bucket, "overridden")["content_type"] == "text/plain"


def metadata_values(client, bucket, run):
    metadata = {"made-by": "a, b; c=\"d\" %20 + ~", "x": "0", "long": "v" * 1000}
    client.put(bucket, "from", b"x", metadata=metadata)
    assert client.head(bucket, "from")["metadata"] == metadata, client.head(bucket, "from")["metadata"]
    client.copy(bucket, "from", bucket, "to")
    assert client.head(bucket, "to")["metadata"] == metadata, client.head(bucket, "to")["metadata"]
    client.copy(bucket, "from", bucket, "to", "REPLACE", metadata={"made-by": "me"})
    assert client.head(bucket, "to")["metadata"] == {"made-by": "me"}, "metadata is replaced, not merged"


def tags(client, bucket, run):
    """The number of tags in the response headers."""
    if client.dialect == "jdcloud":
        raise SkipTest("JD Cloud's documents have no tags")
    if not hasattr(client, "read_as"):
        raise SkipTest("the driver of this client has no such call")
    client.put(bucket, "from", b"x", tags="color=red&made%20by=me")
    assert client.get(bucket, "from")["tags"] == 2, client.get(bucket, "from")
    client.copy(bucket, "from", bucket, "to")
    assert client.get(bucket, "to")["tags"] == 2, "a copy has its source's tags"
    client.copy(bucket, "from", bucket, "to", tags="color=blue")
    assert client.get(bucket, "to")["tags"] == 1, "the tags of the request replace them"


def copy_preserves_metadata(client, bucket, run):
    client.put(bucket, "from", b"copy me", content_type="text/html", metadata={"owner": "me"})
    etag = client.copy(bucket, "from", bucket, "to")["etag"]
    result = client.head(bucket, "to")
    assert (result["content_type"], result["metadata"]) == ("text/html", {"owner": "me"}), result
    assert bare(result["etag"]) == bare(etag)
    assert client.get(bucket, "to")["body"] == b"copy me"


def copy_across_buckets(client, bucket, run):
    other = f"other-{uuid.uuid4().hex[:8]}-1250000000"
    client.create_bucket(other)
    client.put(other, "from/键 1", b"over there", metadata={"owner": "me"})
    client.copy(other, "from/键 1", bucket, "to")
    assert client.get(bucket, "to")["body"] == b"over there"
    assert client.head(bucket, "to")["metadata"] == {"owner": "me"}
    upload = client.create_multipart(bucket, "part")
    part = client.upload_part_copy(other, "from/键 1", bucket, "part", upload, 1)
    client.complete(bucket, "part", upload, [(1, part)])
    assert client.get(bucket, "part")["body"] == b"over there"
    assert client.list(other) == ["from/键 1"]
    client.delete(other, "from/键 1")
    client.delete_bucket(other)
    assert expect_error(404, client.copy, other, "from/键 1", bucket, "to").code in ("NoSuchBucket", "404")


def copy_replaces_metadata(client, bucket, run):
    client.put(bucket, "from", b"copy me", content_type="text/html", metadata={"owner": "me"})
    client.copy(bucket, "from", bucket, "to", "REPLACE", metadata={"color": "red"}, content_type="text/css")
    result = client.head(bucket, "to")
    assert (result["content_type"], result["metadata"]) == ("text/css", {"color": "red"}), result
    assert client.get(bucket, "to")["body"] == b"copy me"


def copy_conditions(client, bucket, run):
    client.put(bucket, "from", b"new")
    client.put(bucket, "to", b"old")
    etag, other = client.head(bucket, "from")["etag"], '"' + "0" * 32 + '"'
    negative = 304 if client.dialect == "oss" else 412
    for given, status in [
        ({"if_match": other}, 412),
        ({"if_none_match": etag}, negative),
        ({"if_unmodified_since": LONG_AGO}, 412),
        ({"if_modified_since": http_date(time.time() - 1 if run.slow_clock else client.head(bucket, "from")["last_modified"])}, negative),
    ]:
        expect_error(status, client.copy, bucket, "from", bucket, "to", conditions=given)
        assert client.get(bucket, "to")["body"] == b"old", given
    for given in [{"if_match": etag}, {"if_none_match": other}, {"if_unmodified_since": LATER}, {"if_modified_since": LONG_AGO}]:
        client.put(bucket, "to", b"old")
        client.copy(bucket, "from", bucket, "to", conditions=given)
        assert client.get(bucket, "to")["body"] == b"new", given


def copy_pairs(client, bucket, run):
    client.put(bucket, "from", b"new")
    etag, other = client.head(bucket, "from")["etag"], '"' + "0" * 32 + '"'

    def copy(**given):
        return client.copy(bucket, "from", bucket, "to", conditions=given)

    if client.dialect in ("s3", "jdcloud"):
        copy(if_match=etag, if_unmodified_since=LONG_AGO)  # S3 4.6: a matching ETag outweighs its date
        expect_error(412, copy, if_none_match=etag, if_modified_since=LONG_AGO)
        expect_error(412, copy, if_match=other, if_unmodified_since=LATER)
    elif client.dialect == "cos":
        copy(if_match=etag, if_unmodified_since=LATER)
        expect_error((400, 409), copy, if_match=etag, if_modified_since=LONG_AGO)
        expect_error((400, 409), copy, if_none_match=other, if_unmodified_since=LATER)
    else:
        copy(if_match=etag, if_unmodified_since=LATER)  # OSS 4.7: each must hold
        expect_error(412, copy, if_match=etag, if_unmodified_since=LONG_AGO)
        expect_error(304, copy, if_match=etag, if_none_match=etag)


def copy_onto_itself(client, bucket, run):
    client.put(bucket, "self", b"same", content_type="text/html", metadata={"owner": "me"})
    if client.dialect != "oss":
        expect_error(400, client.copy, bucket, "self", bucket, "self")
        client.copy(bucket, "self", bucket, "self", "REPLACE", metadata={"color": "red"}, content_type="text/css")
    else:
        client.copy(bucket, "self", bucket, "self", metadata={"color": "red"}, content_type="text/css")
    result = client.head(bucket, "self")
    assert (result["content_type"], result["metadata"]) == ("text/css", {"color": "red"}), result
    assert client.get(bucket, "self")["body"] == b"same"


def copy_of_missing_source(client, bucket, run):
    assert expect_error(404, client.copy, bucket, "nowhere", bucket, "to").code in ("NoSuchKey", "404"), "the vendor's code"
    upload = client.create_multipart(bucket, "parts")
    assert expect_error(404, client.upload_part_copy, bucket, "nowhere", bucket, "parts", upload, 1).code == "NoSuchKey"
    client.abort(bucket, "parts", upload)
    client.put(bucket, "from", b"x")
    assert expect_error(404, client.upload_part_copy, bucket, "from", bucket, "parts", upload, 1).code == "NoSuchUpload"


def storage_classes(client, bucket, run):
    word = {"oss": "IA"}.get(client.dialect, "STANDARD_IA")
    client.put(bucket, "cold", b"x", storage_class=word)
    assert client.head(bucket, "cold")["storage_class"] == word
    client.copy(bucket, "cold", bucket, "warm")
    assert client.head(bucket, "warm")["storage_class"] in ("STANDARD", "Standard")
    client.copy(bucket, "warm", bucket, "cold again", storage_class=word)
    assert client.head(bucket, "cold again")["storage_class"] == word


def hostile_keys(client, bucket, run):
    keys = [key for key in HOSTILE_KEYS if key not in keys_rejected_by_client(client) + TARGET_CANNOT.get(run.target, [])]
    for key in keys:
        body = key.encode()
        try:
            client.put(bucket, key, body)
            client.copy(bucket, key, bucket, "copy of " + key)
            assert client.get(bucket, "copy of " + key)["body"] == body
            client.copy(bucket, "copy of " + key, bucket, "back/" + key)
            assert client.get(bucket, key)["body"] == body
        except Exception as error:
            raise AssertionError(f"key {key[:40]!r}: {error}") from error
    listed = client.list(bucket)
    expected = sorted([prefix + key for key in keys for prefix in ("", "copy of ", "back/")], key=lambda key: key.encode())
    assert listed == expected, f"{set(listed) ^ set(expected)}"
    for key in listed:
        client.delete(bucket, key)
    assert client.list(bucket) == []


def prefixes(client, bucket, run):
    """Every key is found by a listing with the key as its prefix."""
    keys = [key for key in HOSTILE_KEYS if key not in keys_rejected_by_client(client) + TARGET_CANNOT.get(run.target, [])]
    for key in keys:
        client.put(bucket, key, b"x")
    missing = []
    for key in keys:
        try:
            found = client.list(bucket, key)
        except CallError as error:
            found = error
        if found != sorted((other for other in keys if other.startswith(key)), key=lambda other: other.encode()):
            missing.append(f"{key!r}: {found}")
    assert not missing, "; ".join(missing)


def keys_rejected_by_client(client):
    """Returns the keys that an SDK cannot send."""
    return {
        # These resolve dot segments in the URL, which then names another key.
        "boto3-jd": ["a/./b", "a/../b"],
        "oss-v2": ["a/./b", "a/../b"],
        "ali-oss-v1": ["a/./b", "a/../b"],
        "ali-oss-v4": ["a/./b", "a/../b"],
    }.get(client.name, [])


#: Keys that a target does not store. SeaweedFS stores objects as files: it rejects dot segments (400), lists `a//b` as
#: `a/b`, and returns an empty body for an object at `dir/`.
TARGET_CANNOT = {"seaweedfs": ["a/./b", "a/../b", "a//b", "dir/"]}

#: Targets that repeat the success of CompleteMultipartUpload, as Amazon S3 does for some time.
REPEATS_SUCCESS = ["seaweedfs", "demo"]


def multipart(client, bucket, run):
    source = os.urandom(PART + 1000)
    client.put(bucket, "source", source)
    upload = client.create_multipart(bucket, "parts", content_type="text/html", metadata={"owner": "me"})
    first, last = os.urandom(PART), os.urandom(1000)
    parts = [(1, client.upload_part(bucket, "parts", upload, 1, first))]
    parts.append((2, client.upload_part_copy(bucket, "source", bucket, "parts", upload, 2)))
    part_conditions(client, bucket, upload)
    span = (7, 7 + PART - 1)
    parts.append((3, client.upload_part_copy(bucket, "source", bucket, "parts", upload, 3, span)))
    parts.append((5, client.upload_part(bucket, "parts", upload, 5, last)))
    listed = client.list_parts(bucket, "parts", upload)
    assert [n for n, _, _ in listed] == [n for n, _ in parts], listed
    assert all(is_same_part(row[1], part[1]) for row, part in zip(listed, parts)), (listed, parts)
    assert [size for _, _, size in listed] == [PART, len(source), PART, 1000], listed
    client.complete(bucket, "parts", upload, parts)
    whole = first + source + source[span[0]:span[1] + 1] + last
    result = client.get(bucket, "parts")
    assert result["body"] == whole
    assert (result["content_type"], result["metadata"]) == ("text/html", {"owner": "me"}), result["metadata"]
    if run.target not in REPEATS_SUCCESS:
        expect_error(404, client.complete, bucket, "parts", upload, parts)
    client.copy(bucket, "parts", bucket, "whole")
    assert client.get(bucket, "whole")["body"] == whole
    for key in ("source", "parts", "whole"):
        client.delete(bucket, key)


def managed_transfer(client, bucket, run):
    """The SDK's transfer manager: it uploads parts in parallel, and chooses their size and checksums."""
    if not hasattr(client, "upload_file"):
        raise SkipTest("it has no transfer manager")
    body = os.urandom(20 * 1024 * 1024 + 7)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "large")
        with open(path, "wb") as file:
            file.write(body)
        client.upload_file(bucket, "large", path)
        assert client.head(bucket, "large")["length"] == len(body)
        assert client.get(bucket, "large")["body"] == body
        os.remove(path)
        if client.download_file(bucket, "large", path):
            with open(path, "rb") as file:
                assert file.read() == body
    client.delete(bucket, "large")


def part_conditions(client, bucket, upload):
    """Conditions of part copies. A rejected part copy creates no part."""
    result, other = client.head(bucket, "source"), '"' + "0" * 32 + '"'
    negative = 304 if client.dialect == "oss" else 412
    for given, status in [({"if_match": other}, 412), ({"if_none_match": result["etag"]}, negative),
                          ({"if_unmodified_since": LONG_AGO}, 412),
                          ({"if_modified_since": http_date(result["last_modified"])}, negative)]:
        expect_error(status, client.upload_part_copy, bucket, "source", bucket, "parts", upload, 4, conditions=given)
    holding = {"if_match": result["etag"], "if_unmodified_since": LATER}
    client.upload_part_copy(bucket, "source", bucket, "parts", upload, 3, (0, PART), holding)  # Overwritten below.
    client.upload_part_copy(bucket, "source", bucket, "parts", upload, 3, (0, PART),
                            {"if_none_match": other, "if_modified_since": LONG_AGO})


def abort(client, bucket, run):
    upload = client.create_multipart(bucket, "never")
    etag = client.upload_part(bucket, "never", upload, 1, b"x")
    client.abort(bucket, "never", upload)
    assert expect_error(404, client.complete, bucket, "never", upload, [(1, etag)]).code == "NoSuchUpload"
    expect_error(404, client.head, bucket, "never")


def copy_sizes(client, bucket, run):
    for size in (0, 1, 8 * 1024 * 1024) + ((64 * 1024 * 1024,) if run.long else ()):
        body = os.urandom(size)
        client.put(bucket, "size", body)
        assert client.get(bucket, "size")["body"] == body, size
        client.copy(bucket, "size", bucket, "size of copy")
        assert client.head(bucket, "size of copy")["length"] == size
        client.delete(bucket, "size")  # The memory of the demo is limited.
        client.delete(bucket, "size of copy")


def listings(client, bucket, run):
    keys = [f"list/{number:03}" for number in range(120)]
    for key in keys:
        client.put(bucket, key, b"x")
    client.put(bucket, "other", b"x")
    assert client.list(bucket, "list/") == keys


def buckets(client, bucket, run):
    own = f"fresh-{uuid.uuid4().hex[:8]}-1250000000"
    expect_error(404, client.head_bucket, own)
    client.create_bucket(own)
    client.head_bucket(own)
    client.put(own, "x", b"x")
    assert expect_error(409, client.delete_bucket, own).code == "BucketNotEmpty"
    client.delete(own, "x")
    client.delete_bucket(own)
    expect_error(404, client.head_bucket, own)


def wrong_credentials(client, bucket, run):
    client.put(bucket, "mine", b"x")
    error = expect_error(403, run.again(secret="wrong").get, bucket, "mine")
    assert error.code == "SignatureDoesNotMatch", error
    error = expect_error(403, run.again(key="AKIDNOBODY").get, bucket, "mine")
    assert error.code == "InvalidAccessKeyId", error


def fetch_signed(port, url, method="GET", body=None, headers=None):
    """Sends a request to a presigned URL without an SDK."""
    host = urlsplit(url).netloc
    # An absolute-form target for hosts that are not on this machine, as for a forward proxy.
    target = url.partition(host)[2] if host.endswith(f":{port}") else url
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, target, body, {**(headers or {}), "Host": host})
    response = connection.getresponse()
    text = response.read()
    connection.close()
    if response.status >= 300:
        raise CallError(response.status, "", text[:300])
    return text


def presigned_urls(client, bucket, run):
    if not hasattr(client, "presigned"):
        raise SkipTest("the driver of this client has no such call")

    fetch = functools.partial(fetch_signed, run.port)
    for sign in [getattr(client, name) for name in ("presigned", "presigned_v4") if hasattr(client, name)]:
        fetch(sign("PUT", bucket, "signed url"), "PUT", b"for you")
        url = sign("GET", bucket, "signed url")
        assert fetch(url) == client.get(bucket, "signed url")["body"] == b"for you"
        expect_error(403, fetch, url.replace("signed", "sinned"))
        expect_error(403, fetch, url, "DELETE")
        expect_error(403, fetch, url, "PUT", b"spoiled")


def form_uploads(client, bucket, run):
    """A browser posts a file with a form that the web server signed."""
    if getattr(client, "form", None) is None:
        raise SkipTest("form uploads are not implemented for this SDK")
    conditions = [{"bucket": bucket}, ["starts-with", "$key", "up/"], ["content-length-range", 1, 40_000_000]]

    def send(body=b"for you", key="up/${filename}", more=(), extra=(), spoil=None, **how):
        url, fields = client.form(bucket, key, conditions + [{name: value} for name, value in dict(more).items()])
        fields = {**fields, "key": key, **dict(more), **dict(extra)}
        return forms.post(url, spoil(fields) if spoil else fields, body, **how)

    status, headers, _ = send(file_name="my file.txt")
    assert status == 204 and headers["etag"] and headers["location"], (status, headers)
    assert client.get(bucket, "up/my file.txt")["body"] == b"for you"
    large = os.urandom(5_000_000)
    status, _, result = send(large, "up/large", {"success_action_status": "201"})
    assert status == 201 and b"<PostResponse>" in result and b"<Key>up/large</Key>" in result, (status, result)
    assert client.get(bucket, "up/large")["body"] == large
    status, _, result = send(b"", "up/${filename}")
    assert (status, b"EntityTooSmall" in result) == (400, True), result
    status, _, result = send(key="else/where")
    assert (status, b"AccessDenied" in result) == (403, True), result
    status, _, result = send(key="up/spoiled", spoil=lambda fields: {
        name: value[:-3] + "abc" if "ignature" in name and "version" not in name else value for name, value in fields.items()})
    assert (status, b"SignatureDoesNotMatch" in result) == (403, True), result
    status, _, result = send(key="up/short", after=[("submit", "Upload")])
    assert status == 204, (status, result)
    assert client.get(bucket, "up/short")["body"] == b"for you"
    for key in ("else/where", "up/spoiled"):
        expect_error(404, client.head, bucket, key)
    for key in ("up/my file.txt", "up/large", "up/short"):
        client.delete(bucket, key)


def append_uploads(client, bucket, run):
    """AppendObject of COS and OSS. Targets that speak S3 do not have it, except the demo."""
    if getattr(client, "append", None) is None:
        raise SkipTest("its dialect or its SDK has no such call")
    if run.target not in ("cos", "oss", "demo"):
        assert expect_error(501, client.append, bucket, "log", 0, b"x" * 5000).code == "NotImplemented"
        return
    one, two = os.urandom(5000), os.urandom(6000)
    assert client.append(bucket, "log", 0, one) == 5000
    assert client.append(bucket, "log", 5000, two) == 11000
    assert client.get(bucket, "log")["body"] == one + two
    expect_error(409, client.append, bucket, "log", 7, one)
    client.put(bucket, "plain", b"x")
    expect_error(409, client.append, bucket, "plain", 1, one)
    for key in ("log", "plain"):
        client.delete(bucket, key)


def cors_requests(client, bucket, run):
    """CORS rules that an SDK sets are applied to preflights and to responses."""
    if getattr(client, "set_cors", None) is None or getattr(client, "form", None) is None:
        raise SkipTest("form uploads are not implemented for this SDK")
    page = "http://page.example.com"
    client.put(bucket, "read", b"by a page")

    def ask(method, path, **headers):
        parts = urlsplit(client.form(bucket, "read", [])[0])
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        connection.request(method, parts.path.rstrip("/") + "/" + path, headers={"Host": parts.netloc, **headers})
        response = connection.getresponse()
        result = response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        connection.close()
        return result

    wants = {"Origin": page, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-own"}
    status, _, result = ask("OPTIONS", "read", **wants)
    assert (status, b"AccessForbidden" in result) == (403, True), result
    client.set_cors(bucket, page)
    status, headers, _ = ask("OPTIONS", "read", **wants)
    assert status == 200 and headers["access-control-allow-origin"] == page, (status, headers)
    assert "PUT" in headers["access-control-allow-methods"] and headers["access-control-max-age"] == "60", headers
    for name, value in (("Origin", "http://elsewhere.example.com"), ("Access-Control-Request-Method", "DELETE")):
        assert ask("OPTIONS", "read", **{**wants, name: value})[0] == 403
    status, _, result = ask("OPTIONS", "read", **{"Access-Control-Request-Method": "PUT"})
    assert (status, b"BadRequest" in result) == (400, True), result
    client.delete(bucket, "read")


ALL = [objects, ranges, conditional_reads, response_overrides, metadata_values, tags, copy_preserves_metadata,
       copy_across_buckets, copy_replaces_metadata, copy_conditions, copy_pairs, copy_onto_itself,
       copy_of_missing_source, storage_classes, hostile_keys, prefixes, multipart, managed_transfer, abort,
       copy_sizes, listings, buckets, wrong_credentials, presigned_urls, form_uploads, append_uploads, cors_requests]
