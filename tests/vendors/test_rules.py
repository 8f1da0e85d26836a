"""Tests each vendor's rules with requests that the vendors' own SDKs sign."""

import base64
import email.utils
import hashlib
import http.client
import re
import subprocess
import time
from datetime import datetime, timedelta, timezone
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
import requests

from .signed_requests import KEY, PLACES, SECRET, list_rows, only, start, stop

HOSTILE = ["a b", "100%", "what?", "中文/键", "a//b", "./a/../b", "a+b&c=d", "quote\"'<>", "~!*()", "%2F"]


# -- credentials and headers


def test_rejects_wrong_credentials_and_changes(double, bucket):
    put = ("PUT", bucket, "k")
    assert double.ask(*put, body=b"x").status == 200
    assert double.ask(*put, body=b"x", secret="other").is_error(403, "SignatureDoesNotMatch")
    added = double.ask(*put, body=b"x", after={double.prefix + "meta-late": "1"})
    assert added.status == 403
    signed = double.ask(*put, body=b"x", headers={"~meta-a": "1"}, after={double.prefix + "meta-a": "2"})
    assert signed.is_error(403, "SignatureDoesNotMatch")
    assert double.ask(*put, body=b"x", after={"authorization": ""}).status in (400, 403)
    seen = double.send_control("GET", "/requests")
    assert [row["verified"] for row in seen] == [True, True, False, False, False, False] and seen[1]["op"] == "PutObject"


def test_rejects_an_unknown_key(double, bucket):
    assert double.ask("GET", bucket, "k").is_error(404, "NoSuchKey")
    line = double.send_control("GET", "/requests")[-1]["headers"]["authorization"].replace(KEY, "AKIDNOBODY0001")
    assert double.ask("GET", bucket, "k", after={"authorization": line}).is_error(403, "InvalidAccessKeyId")


def test_rejects_two_credentials(double, bucket):
    name = {"cos": "q-signature", "oss": "Signature", "jdcloud": "X-Amz-Signature"}[double.vendor]
    assert double.ask("GET", bucket, "k", params={name: "1"}).is_error(400, "InvalidArgument")


def test_rejects_an_old_request(double, bucket):
    """The date is checked before the signature, so the request is not signed again."""
    hour = timedelta(hours=1)
    now = datetime.now(timezone.utc)
    then = now - hour if now.hour else now + hour  # On the same day.
    double.ask("GET", bucket, "k")
    if double.vendor == "cos":
        line = double.send_control("GET", "/requests")[-1]["headers"]["authorization"]
        start, end = (int(text) for text in re.search(r"q-sign-time=(\d+);(\d+)", line).groups())
        old = line.replace(f"{start};{end}", f"{start - 90000};{end - 90000}")
        assert double.ask("GET", bucket, "k", after={"authorization": old}).is_error(403, "AccessDenied")
        early = line.replace(f"{start};{end}", f"{start + 3600};{end + 3600}")
        assert double.ask("GET", bucket, "k", after={"authorization": early}).is_error(403, "RequestTimeTooSkewed")
        return
    if double.scheme == "V1":
        name, value = "date", email.utils.format_datetime(then, usegmt=True)
    else:
        name, value = double.prefix + "date", then.strftime("%Y%m%dT%H%M%SZ")
    assert double.ask("GET", bucket, "k", after={name: value}).is_error(403, "RequestTimeTooSkewed")


def test_rejects_foreign_and_unknown_headers(double, bucket):
    foreign = [p + "meta-a" for _, p in PLACES.values() if p != double.prefix] + ["x-blobfish-a"]
    for name in foreign:
        response = double.ask("PUT", bucket, "k", headers={name: "1"}, body=b"x")
        assert response.is_error(400, "ForeignHeader") and name in response.text("Message")
    assert double.ask("PUT", bucket, "k", headers={"~no-such-thing": "1"}, body=b"x").is_error(400, "UnknownHeader")
    chunked = {"content-encoding": "aws-chunked"}
    assert double.ask("PUT", bucket, "k", headers=chunked, body=b"x").is_error(400, "ForeignHeader")
    assert "k" not in double.send_control("GET", f"/objects/{bucket}")


def test_jdcloud_payload_hashes(double, bucket):
    only(double, "jdcloud")
    put = ("PUT", bucket, "k")
    # botocore signs the hash of the body, so a changed body is detected after the signature.
    wrong = "0" * 64
    assert double.ask(*put, body=b"x", after={"x-amz-content-sha256": wrong}).is_error(403, "SignatureDoesNotMatch")
    for word in ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"):
        assert double.ask(*put, body=b"x", after={"x-amz-content-sha256": word}).is_error(501, "NotImplemented")
    assert double.ask(*put, body=b"x", after={"x-amz-content-sha256": "abc"}).status == 400


def test_oss_region_must_match(double, bucket):
    only(double, "oss")
    if double.scheme != "V4":
        pytest.skip("V1 has no region")
    double.ask("GET", bucket, "k")
    line = double.send_control("GET", "/requests")[-1]["headers"]["authorization"].replace("/cn-hangzhou/", "/cn-beijing/")
    assert double.ask("GET", bucket, "k", after={"authorization": line}).is_error(400, "InvalidArgument")


def test_cos_requires_signed_headers(double, bucket):
    only(double, "cos")
    assert double.ask("GET", bucket, "k", path="/k?versionId=1").is_error(403, "AccessDenied")


def test_addressing(double, bucket):
    assert bucket in double.ask("GET").body.decode()
    elsewhere = f"{bucket}.{PLACES[double.vendor][0]}.any.example:{double.port}"
    assert double.ask("PUT", bucket, "k", host=elsewhere, body=b"x").status == 200
    assert double.ask("GET", host="elsewhere.example").status == 403
    key = f"{bucket}/k" if double.vendor == "cos" else "k"
    by_ip = double.ask("GET", bucket, key, host="127.0.0.1", path=f"/{bucket}/k")
    at_service = double.ask("GET", bucket, f"{bucket}/k", host=double.host(), path=f"/{bucket}/k")
    code = {"cos": "PathStyleDomainForbidden", "oss": "SecondLevelDomainForbidden", "jdcloud": "AccessDenied"}
    assert at_service.is_error(403, code[double.vendor])
    if double.vendor == "cos":
        assert by_ip.is_error(403, "PathStyleDomainForbidden")
    else:
        assert (by_ip.status, by_ip.body) == (200, b"x")


def test_everything_else_is_not_implemented(double, bucket):
    for line in ("GET replication", "PUT notification", "GET metrics", "POST process", "PUT style"):
        method, name = line.split()
        assert double.ask(method, bucket, params={name: ""}).text("Code") == "NotImplemented"
    assert double.ask("POST", bucket, params={"cors": ""}).is_error(405, "MethodNotAllowed")
    assert double.ask("GET", bucket, "k", params={"symlink": ""}).text("Code") == "NotImplemented"
    assert double.ask("PATCH", bucket, "k").text("Code") == "NotImplemented"


# -- buckets and listings


def test_buckets(double, bucket):
    again = double.ask("PUT", bucket)
    assert again.status == 200 if double.vendor == "oss" else again.is_error(409, "BucketAlreadyOwnedByYou")
    location = double.ask("GET", bucket, params={"location": ""})
    assert location.text().endswith(PLACES[double.vendor][0].split(".")[-1].removeprefix("oss-"))
    head = double.ask("HEAD", bucket).status
    assert head == (400 if double.vendor == "oss" else 200)
    acl = double.ask("GET", bucket, params={"acl": ""})
    if double.vendor == "oss":
        assert acl.text("AccessControlList", "Grant") == "private"
    else:
        assert acl.text("AccessControlList", "Grant", "Permission") == "FULL_CONTROL"
    double.ask("PUT", bucket, "k", body=b"x")
    assert double.ask("DELETE", bucket).is_error(409, "BucketNotEmpty")
    double.ask("DELETE", bucket, "k")
    assert double.ask("DELETE", bucket).status == 204
    assert double.ask("GET", bucket).is_error(404, "NoSuchBucket")


def test_listing(double, bucket):
    keys = ["a/1", "a/2", "b", "c/1 +", "c%d", "键"]
    for key in keys:
        double.ask("PUT", bucket, key, body=b"x")
    assert list_rows(double.ask("GET", bucket)) == sorted(keys, key=str.encode)
    found, marker = [], ""
    while True:
        page = {"delimiter": "/", "max-keys": "1", "marker": marker, "encoding-type": "url"}
        response = double.ask("GET", bucket, params=page)
        found += [unquote(text) for text in list_rows(response)]
        if response.text("IsTruncated") == "false":
            break
        marker = unquote(response.text("NextMarker"))
    assert found == ["a/", "b", "c%d", "c/", "键"]
    assert list_rows(double.ask("GET", bucket, params={"max-keys": "0"})) == []
    assert double.ask("GET", bucket, params={"max-keys": "-1"}).status == 400
    assert double.ask("GET", bucket, params={"max-keys": "1001"}).status == (400 if double.vendor == "oss" else 200)
    long_delimiter = double.ask("GET", bucket, params={"delimiter": "/1"})
    assert long_delimiter.is_error(400, "InvalidDelimiter") if double.vendor == "cos" else long_delimiter.status == 200
    assert (b"xmlns" in response.body) == (double.vendor == "jdcloud")


def test_second_listing(double, bucket):
    if double.vendor == "cos":
        assert double.ask("GET", bucket, params={"list-type": "2"}).text("Code") == "NotImplemented"
        return
    keys = ["100%25", "a", "b", "键"]
    for key in keys:
        double.ask("PUT", bucket, key, body=b"x")
    found, more = [], {}
    while True:
        response = double.ask("GET", bucket, params={"list-type": "2", "max-keys": "1", **more})
        found += list_rows(response)
        assert response.text("KeyCount") == "1" and b"<Owner>" not in response.body
        if response.text("IsTruncated") == "false":
            break
        more = {"continuation-token": response.text("NextContinuationToken")}
    assert found == sorted(keys)
    assert list_rows(double.ask("GET", bucket, params={"list-type": "2", "start-after": "a"})) == ["b", "键"]
    assert double.ask("GET", bucket, params={"list-type": "2", "continuation-token": "!"}).is_error(400, "InvalidArgument")


# -- objects


def test_hostile_keys(double, bucket):
    for key in HOSTILE:
        body = key.encode()
        assert double.ask("PUT", bucket, key, body=body).status == 200, key
        assert double.ask("GET", bucket, key).body == body
        assert double.copy(bucket, key, key + ".copy").status == 200, key
        assert double.ask("GET", bucket, key + ".copy").body == body
    assert set(double.send_control("GET", f"/objects/{bucket}")) == {key + end for key in HOSTILE for end in ("", ".copy")}


def test_object_headers(double, bucket):
    body = b"123456789"
    put = double.ask("PUT", bucket, "k", body=body, headers={
        "content-type": "text/plain", "~meta-a": "1", "content-md5": base64.b64encode(hashlib.md5(body).digest()).decode()})
    digest = hashlib.md5(body).hexdigest()
    assert put.headers["etag"].strip('"') == (digest.upper() if double.vendor == "oss" else digest)
    got, head = double.ask("GET", bucket, "k"), double.ask("HEAD", bucket, "k")
    for response in (put, got, head):
        sums = response.headers.get(double.prefix + "hash-crc64ecma")
        assert sums == (None if double.vendor == "jdcloud" else "11051210869376104954")
        assert response.headers[double.prefix + "request-id"]
    assert head.headers["content-length"] == "9" and head.body == b""
    assert got.headers[double.prefix + "meta-a"] == "1" and got.headers["content-type"] == "text/plain"
    assert head.headers["server"] == {"cos": "tencent-cos", "oss": "AliyunOSS", "jdcloud": "JDCloudOSS"}[double.vendor]
    code = {"cos": "BadDigest", "oss": "InvalidDigest", "jdcloud": "BadDigest"}[double.vendor]
    assert double.ask("PUT", bucket, "k", body=b"other", headers={
        "content-md5": base64.b64encode(hashlib.md5(body).digest()).decode()}).is_error(400, code)
    changed = double.ask("GET", bucket, "k", params={"response-content-type": "a/b"})
    assert changed.headers["content-type"] == "a/b"
    missing = double.ask("HEAD", bucket, "none")
    assert missing.status == 404 and missing.body == b""
    if double.vendor == "oss":
        assert b"NoSuchKey" in base64.b64decode(missing.headers["x-oss-err"])
        assert got.headers["x-oss-storage-class"] == "Standard"


@pytest.mark.parametrize("text,strict,lenient", [
    ("bytes=0-3", (206, b"0123"), (206, b"0123")), ("bytes=7-", (206, b"789"), (206, b"789")),
    ("bytes=-2", (206, b"89"), (206, b"89")), ("bytes=8-20", (206, b"89"), (200, b"0123456789")),
    ("bytes=20-30", (416, None), (200, b"0123456789")), ("bytes=3-1", (200, b"0123456789"), (200, b"0123456789")),
    ("bytes=-0", (416, None), (416, None)), ("lines=1-2", (200, b"0123456789"), (200, b"0123456789"))])
def test_ranges(double, bucket, text, strict, lenient):
    double.ask("PUT", bucket, "k", body=b"0123456789")
    tried = [({}, lenient if double.vendor == "oss" else strict)]
    if double.vendor == "oss":
        tried.append(({"~range-behavior": "standard"}, strict))
    for more, (status, body) in tried:
        response = double.ask("GET", bucket, "k", headers={"range": text, **more})
        assert response.status == status and (body is None or response.body == body), (more, response)
        assert body is not None or response.is_error(416, "InvalidRange")
        assert ("content-range" in response.headers) == (status == 206)


def http_date_in(seconds):
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


def test_conditional_reads(double, bucket):
    etag = double.ask("PUT", bucket, "k", body=b"x").headers["etag"]
    rows = [({"if-match": etag}, 200), ({"if-match": '"0"'}, 412), ({"if-none-match": etag}, 304),
            ({"if-none-match": '"0"'}, 200), ({"if-modified-since": http_date_in(-600)}, 200),
            ({"if-modified-since": http_date_in(0)}, 304), ({"if-unmodified-since": http_date_in(-600)}, 412)]
    for headers, status in rows:
        response = double.ask("GET", bucket, "k", headers=headers)
        assert response.status == status, headers
        assert status != 304 or (response.body == b"" and response.headers["etag"] == etag)


def test_forbidden_overwriting(double, bucket):
    if double.vendor == "jdcloud":
        # Its documents have no conditional writes.
        assert double.ask("PUT", bucket, "k", body=b"x", headers={"if-none-match": "*"}).status == 400
        assert double.ask("GET", bucket, "k").status == 404
        return
    headers, expected = {"~forbid-overwrite": "true"}, (409, "FileAlreadyExists")
    assert double.ask("PUT", bucket, "k", body=b"x", headers=headers).status == 200
    assert double.ask("PUT", bucket, "k", body=b"y", headers=headers).is_error(*expected)
    assert double.ask("GET", bucket, "k").body == b"x"
    if double.vendor == "oss":
        assert double.ask("PUT", bucket, "n", body=b"x", headers={"if-none-match": "*"}).is_error(400, "NotImplemented")
    double.ask("PUT", bucket, "from", body=b"y")
    assert double.copy(bucket, "from", "k", forbid_overwrite="true").is_error(409, "FileAlreadyExists")


def test_customer_keys(double, bucket):
    only(double, "cos")

    def triple(raw, where=""):
        name = f"~{where}server-side-encryption-customer-"
        return {name + "algorithm": "AES256", name + "key": base64.b64encode(raw).decode(),
                name + "key-md5": base64.b64encode(hashlib.md5(raw).digest()).decode()}

    one, two = b"1" * 32, b"2" * 32
    assert double.ask("PUT", bucket, "k", body=b"x", headers=triple(one)).status == 200
    assert double.ask("GET", bucket, "k").is_error(400, "SsecDecryptHeaderInvalid")
    assert double.ask("GET", bucket, "k", headers=triple(two)).is_error(400, "SsecDecryptHeaderInvalid")
    assert double.ask("GET", bucket, "k", headers=triple(one)).body == b"x"
    source = {"~copy-source": double.source(bucket, "k")}
    assert double.ask("PUT", bucket, "to", headers=source).is_error(400, "SsecDecryptHeaderInvalid")
    assert double.ask("PUT", bucket, "to", headers={**source, **triple(one, "copy-source-"), **triple(two)}).status == 200
    assert double.ask("GET", bucket, "to", headers=triple(two)).body == b"x"


# -- copies


def test_copy_conditions(double, bucket):
    etag = double.ask("PUT", bucket, "k", body=b"x").headers["etag"]
    rejected = {"cos": (412, 412), "oss": (412, 304)}.get(double.vendor)
    if not rejected:
        rows = {"match": etag, "none_match": "0", "modified_since": http_date_in(0), "unmodified_since": http_date_in(0)}
        for name, value in rows.items():
            assert double.copy(bucket, "k", "to", **{"copy_source_if_" + name: value}).is_error(400, "UnsupportedHeader")
        return
    rows = [("match", etag, 200), ("match", "0", rejected[0]), ("none_match", "0", 200), ("none_match", etag, rejected[1]),
            ("modified_since", http_date_in(-600), 200), ("modified_since", http_date_in(5), rejected[1]),
            ("unmodified_since", http_date_in(5), 200), ("unmodified_since", http_date_in(-600), rejected[0])]
    for name, value, status in rows:
        response = double.copy(bucket, "k", "to", **{"copy_source_if_" + name: value})
        assert response.status == status, name
        assert status == 200 or (response.body == b"" if status == 304 else response.is_error(412, "PreconditionFailed"))
    pair = double.copy(bucket, "k", "to", copy_source_if_match=etag, copy_source_if_none_match="0")
    assert pair.is_error(400, "InvalidArgument") if double.vendor == "cos" else pair.status == 200
    both = double.copy(bucket, "k", "to", copy_source_if_match=etag, copy_source_if_unmodified_since=http_date_in(-600))
    assert both.status == (200 if double.vendor == "cos" else 412)


def test_directives(double, bucket):
    double.ask("PUT", bucket, "k", body=b"x", headers={"content-type": "a/b", "~meta-a": "1", "~tagging": "t=1"})
    words = {"cos": ("Copy", "Replaced", "Copy", "Replaced"), "oss": ("COPY", "REPLACE", "Copy", "Replace"),
             "jdcloud": ("COPY", "REPLACE", "COPY", "REPLACE")}[double.vendor]

    def copy_and_read(target, **headers):
        response = double.copy(bucket, "k", target, **headers)
        assert response.status == 200, response.body
        row = double.send_control("GET", f"/objects/{bucket}")[target]
        return row["metadata"], row["headers"].get("Content-Type"), row["tags"]

    assert copy_and_read("1") == copy_and_read("2", metadata_directive=words[0], meta_b="2") == ({"a": "1"}, "a/b", "t=1")
    default = {"cos": None, "oss": "application/octet-stream", "jdcloud": "binary/octet-stream"}[double.vendor]
    assert copy_and_read("3", metadata_directive=words[1], meta_b="2") == ({"b": "2"}, default, "t=1")
    assert copy_and_read("4", tagging_directive=words[3], tagging="u=2") == ({"a": "1"}, "a/b", "u=2")
    for wrong in {"Copy", "COPY", "Replaced", "REPLACE", "Replace", "none"} - set(words[:2]):
        assert double.copy(bucket, "k", "5", metadata_directive=wrong).status == 400, wrong
    for wrong in {"Copy", "COPY", "Replaced", "REPLACE", "Replace", "none"} - set(words[2:]):
        assert double.copy(bucket, "k", "5", tagging_directive=wrong).status == 400, wrong


def test_copy_onto_itself(double, bucket):
    double.ask("PUT", bucket, "k", body=b"x", headers={"~meta-a": "1"})
    plain = double.copy(bucket, "k", "k", meta_b="2")
    if double.vendor == "oss":
        assert plain.status == 200
        assert double.send_control("GET", f"/objects/{bucket}")["k"]["metadata"] == {"b": "2"}
        return
    assert plain.is_error(400, "InvalidRequest")
    word = "Replaced" if double.vendor == "cos" else "REPLACE"
    assert double.copy(bucket, "k", "k", metadata_directive=word, meta_b="2").status == 200
    assert double.send_control("GET", f"/objects/{bucket}")["k"]["metadata"] == {"b": "2"}
    ia = double.copy(bucket, "k", "k", storage_class="STANDARD_IA")
    assert ia.status == (400 if double.vendor == "cos" else 200)


def test_copy_sources(double, bucket):
    double.ask("PUT", bucket, "d/k", body=b"x")
    rows = {"cos": [(double.source(bucket, "d/k"), 200), (f"/{bucket}/d/k", 200), (f"/{bucket}/d%2Fk", 200), (bucket, 400),
                    (f"{bucket}/d/k", 400), (f"http://{double.source(bucket, 'd/k')}", 400),
                    (f"{bucket}.cos.ap-beijing.localhost/d/k", 404)],
            "oss": [(f"/{bucket}/d/k", 200), (f"/{bucket}/d%2Fk", 200), (f"{bucket}/d/k", 400), (f"/{bucket}", 400),
                    (f"/{bucket}/d/k?versionId=", 400), (f"/{bucket}/d/k?other=1", 400)],
            "jdcloud": [(f"/{bucket}/d/k", 200), (f"{bucket}/d/k", 200), (f"/{bucket}", 400), (f"/{bucket}/d%252Fk", 404)]}
    for source, status in rows[double.vendor]:
        assert double.ask("PUT", bucket, "to", headers={"~copy-source": source}).status == status, source
    assert double.copy("nowhere-1250000000", "k", "to").status == 404
    nowhere = {"~copy-source": double.source("nowhere-1250000000", "k")}
    assert double.ask("PUT", bucket, "to", headers=nowhere).is_error(404, "NoSuchBucket")
    assert double.copy(bucket, "none", "to").is_error(404, "NoSuchKey")


def test_copy_result(double, bucket):
    double.ask("PUT", bucket, "k", body=b"x")
    response = double.copy(bucket, "k", "to")
    formats = {"cos": "%Y-%m-%dT%H:%M:%SZ", "oss": "%Y-%m-%dT%H:%M:%S.000Z", "jdcloud": "%Y-%m-%dT%H:%M:%S"}
    time.strptime(response.text("LastModified"), formats[double.vendor])
    assert response.text("ETag").strip('"').lower() == hashlib.md5(b"x").hexdigest()
    assert (b"xmlns" in response.body) == (double.vendor == "jdcloud")
    assert ("etag" in response.headers) == (double.vendor == "oss")
    names = [node.tag.rpartition("}")[2] for node in ElementTree.fromstring(response.body)]
    assert names == {"cos": ["ETag", "CRC64", "LastModified"], "oss": ["ETag", "LastModified"],
                     "jdcloud": ["LastModified", "ETag"]}[double.vendor]


def test_too_large_to_copy(double, bucket):
    double.ask("PUT", bucket, "big", body=bytes((2 << 20) + 1))
    code = "InvalidRequest" if double.vendor == "jdcloud" else "EntityTooLarge"
    assert double.copy(bucket, "big", "to").is_error(400, code)


def test_versions(double, versions):
    first = double.ask("PUT", versions, "k", body=b"1").headers[double.prefix + "version-id"]
    double.ask("PUT", versions, "k", body=b"2")
    assert double.ask("GET", versions, "k").body == b"2"
    assert double.ask("GET", versions, "k", params={"versionId": first}).body == b"1"
    copied = double.copy(versions, "k", "to", version=first)
    assert copied.headers[double.prefix + "copy-source-version-id"] == first
    assert copied.headers[double.prefix + "version-id"]
    assert double.vendor != "cos" or copied.text("VersionId") == copied.headers["x-cos-version-id"]
    assert double.ask("GET", versions, "to").body == b"1"
    assert double.copy(versions, "k", "to", version="v999").is_error(404, "NoSuchVersion")
    deleted = double.ask("DELETE", versions, "k")
    marker = deleted.headers[double.prefix + "version-id"]
    assert deleted.status == 204 and deleted.headers[double.prefix + "delete-marker"] == "true"
    assert double.ask("GET", versions, "k").is_error(404, "NoSuchKey")
    assert double.ask("GET", versions, "k", params={"versionId": marker}).is_error(405, "MethodNotAllowed")
    assert double.copy(versions, "k", "to").is_error(404, "NoSuchKey")
    assert double.copy(versions, "k", "to", version=marker).status == (404 if double.vendor == "oss" else 400)
    gone = double.ask("DELETE", versions, "k", params={"versionId": marker})
    assert gone.headers[double.prefix + "delete-marker"] == "true"
    assert double.ask("GET", versions, "k").body == b"2"


# -- uploads


def parts_document(rows):
    rows = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in rows)
    return f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()


def test_uploads(double, bucket):
    size = {"cos": 1 << 20, "oss": 100 << 10, "jdcloud": 5 << 20}[double.vendor]
    upload = double.ask("POST", bucket, "m", params={"uploads": ""}, headers={"~meta-a": "1"}).text("UploadId")
    assert double.send_control("GET", f"/uploads/{bucket}") == {upload: "m"}
    double.ask("PUT", bucket, "s", body=b"0123456789")
    first = double.ask("PUT", bucket, "m", params={"partNumber": "1", "uploadId": upload}, body=bytes(size)).headers["etag"]

    def part_copy(number, text=None):
        more = {"~copy-source-range": text} if text else {}
        return double.ask("PUT", bucket, "m", params={"partNumber": str(number), "uploadId": upload},
                          headers={"~copy-source": double.source(bucket, "s"), **more})

    second = part_copy(2, "bytes=2-4")
    assert second.text("ETag").strip('"').lower() == hashlib.md5(b"234").hexdigest()
    for text in ("bytes=5-10", "bytes=20-30", "bytes=4-2", "nonsense"):
        response = part_copy(3, text)
        if double.vendor == "oss":
            assert response.text("ETag").strip('"').lower() == hashlib.md5(b"0123456789").hexdigest()
            assert "content-range" not in response.headers
        else:
            assert response.status in (400, 416)
    third = part_copy(3).text("ETag")
    listing = double.ask("GET", bucket, "m", params={"uploadId": upload, "max-parts": "1", "part-number-marker": "1"})
    assert (listing.text("Part", "PartNumber"), listing.text("NextPartNumberMarker")) == ("2", "2")
    assert listing.text("IsTruncated") == "true"
    ids = {"uploadId": upload}
    post = ("POST", bucket, "m", ids)
    assert double.ask(*post, body=b"<broken").is_error(400, "MalformedXML")
    assert double.ask(*post, body=parts_document([(2, second.text("ETag")), (1, first)])).is_error(400, "InvalidPartOrder")
    assert double.ask(*post, body=parts_document([(1, "0" * 32)])).is_error(400, "InvalidPart")
    assert double.ask(*post, body=parts_document([(2, second.text("ETag")), (3, third)])).is_error(400, "EntityTooSmall")
    done = double.ask(*post, body=parts_document([(1, first), (2, second.text("ETag"))]))
    digests = [hashlib.md5(data) for data in (bytes(size), b"234")]
    if double.vendor == "oss":
        joined = hashlib.md5("".join(d.hexdigest().upper() for d in digests).encode()).hexdigest().upper()
    else:
        joined = hashlib.md5(b"".join(d.digest() for d in digests)).hexdigest()
    assert done.text("ETag").strip('"') == f"{joined}-2"
    got = double.ask("GET", bucket, "m")
    assert got.body == bytes(size) + b"234" and got.headers[double.prefix + "meta-a"] == "1"
    assert double.ask(*post, body=parts_document([(1, first)])).is_error(404, "NoSuchUpload")
    other = double.ask("POST", bucket, "m", params={"uploads": ""}).text("UploadId")
    assert double.ask("DELETE", bucket, "m", params={"uploadId": other}).status == 204
    assert double.send_control("GET", f"/uploads/{bucket}") == {}


def test_oss_completes_all(double, bucket):
    only(double, "oss")
    upload = double.ask("POST", bucket, "m", params={"uploads": ""}).text("UploadId")
    double.ask("PUT", bucket, "m", params={"partNumber": "1", "uploadId": upload}, body=b"x")
    both = double.ask("POST", bucket, "m", {"uploadId": upload}, {"~complete-all": "yes"}, parts_document([(1, "0")]))
    assert both.is_error(400, "InvalidArgument")
    assert double.ask("POST", bucket, "m", {"uploadId": upload}, {"~complete-all": "yes"}).status == 200


# -- the control port


def test_faults(double, bucket):
    double.ask("PUT", bucket, "k", body=b"x" * 100)

    def fault(kind, op="CopyObject", **more):
        match = {"method": "PUT" if op == "CopyObject" else "GET", "op": op}
        double.send_control("POST", "/fault", {"match": match, "kind": kind, **more})
        return double.copy(bucket, "k", "to") if op == "CopyObject" else double.ask("GET", bucket, "k")

    assert fault("error_in_200", code="SlowDown").is_error(200, "SlowDown")
    assert fault("status", status=503, code="SlowDown").is_error(503, "SlowDown")
    assert fault("empty_200").body == b""
    assert b"<html>" in fault("html_200").body
    with pytest.raises(ElementTree.ParseError):
        fault("cut_xml").text()
    assert fault("redirect").status == 307
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        fault("reset")
    with pytest.raises(http.client.IncompleteRead):
        fault("short_body", op="GetObject")
    with pytest.raises((ConnectionError, http.client.HTTPException)):
        fault("stall", seconds=0.2)
    assert "to" not in double.send_control("GET", f"/objects/{bucket}")
    assert double.copy(bucket, "k", "to").status == 200, "times"


# -- HTTP


def test_http(double, bucket):
    """Chunked bodies, 100-continue, and many requests on one connection."""
    path = "/k"
    head = {"host": double.host(bucket), "transfer-encoding": "chunked"}
    if double.vendor == "jdcloud":
        head["content-length"] = "5"  # botocore would sign the body.
        head.pop("transfer-encoding")
    signed = double.sign("PUT", bucket, "k", {}, head, b"hello", SECRET, path)
    connection = http.client.HTTPConnection("127.0.0.1", double.port, timeout=10)
    for _ in range(2):
        connection.putrequest("PUT", path, skip_host=True, skip_accept_encoding=True)
        for name, value in signed.items():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(b"5\r\nhello\r\n0\r\n\r\n" if "transfer-encoding" in signed else b"hello")
        response = connection.getresponse()
        assert response.status == 200, response.read()
        response.read()
    assert double.ask("GET", bucket, "k").body == b"hello"
    head = {"host": double.host(bucket), "content-length": "5", "expect": "100-continue"}
    signed = double.sign("PUT", bucket, "k", {}, head, b"hello", SECRET, path)
    connection.connect()
    connection.putrequest("PUT", path, skip_host=True, skip_accept_encoding=True)
    for name, value in signed.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.sock.recv(12) == b"HTTP/1.1 100"
    connection.close()
    without = double.sign("PUT", bucket, "k", {}, {"host": double.host(bucket)}, b"", SECRET, path)
    connection = http.client.HTTPConnection("127.0.0.1", double.port, timeout=10)
    connection.putrequest("PUT", path, skip_host=True, skip_accept_encoding=True)
    for name, value in without.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 411


def test_tls(tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", "-keyout", key,
                    "-out", cert], check=True, capture_output=True)
    child, ports = start("cos", "--cert", str(cert), "--key", str(key))
    try:
        response = requests.get(f"https://127.0.0.1:{ports['port']}/", verify=str(cert), timeout=10)
        assert response.status_code == 403 and "x-cos-request-id" in response.headers
    finally:
        stop(child)
