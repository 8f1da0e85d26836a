"""Form uploads, with policies signed by each vendor's rules."""

import base64
import hashlib
import hmac
import http.client
import json
import time
from types import SimpleNamespace

import boto3
from botocore.config import Config

from vendors.cos import Cos
from vendors.oss import Oss

from .signed_requests import KEY, SECRET, Response, only


def sign_policy(double, bucket, conditions, secret=SECRET, lasts=600):
    """Returns the fields of a form with a signed policy."""
    end = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() + lasts))
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())

    def policy(*more):
        return json.dumps({"expiration": end, "conditions": [{"bucket": bucket}, *conditions, *more]}).encode()

    if double.vendor == "cos":
        times = f"{int(time.time()) - 60};{int(time.time()) + 600}"
        text = policy({"q-sign-algorithm": "sha1"}, {"q-ak": KEY}, {"q-sign-time": times})
        key = hmac.new(secret.encode(), times.encode(), "sha1").hexdigest()
        made = hmac.new(key.encode(), hashlib.sha1(text).hexdigest().encode(), "sha1").hexdigest()
        return {"policy": base64.b64encode(text).decode(), "q-sign-algorithm": "sha1", "q-ak": KEY, "q-key-time": times,
                "q-signature": made}
    if double.vendor == "jdcloud":
        client = boto3.client("s3", endpoint_url=f"http://{double.host()}", region_name="cn-north-1", aws_access_key_id=KEY,
                              aws_secret_access_key=secret, config=Config(signature_version="s3v4"))
        key = next((one["key"] for one in conditions if isinstance(one, dict) and "key" in one), "${filename}")
        fields = client.generate_presigned_post(bucket, key, Conditions=list(conditions), ExpiresIn=lasts)["fields"]
        return {name: value for name, value in fields.items() if name != "key"}
    if double.scheme == "V1":
        text = base64.b64encode(policy())
        made = base64.b64encode(hmac.new(secret.encode(), text, "sha1").digest()).decode()
        return {"OSSAccessKeyId": KEY, "policy": text.decode(), "Signature": made}
    scope = f"{stamp[:8]}/cn-hangzhou/oss/aliyun_v4_request"
    fields = {"x-oss-signature-version": "OSS4-HMAC-SHA256", "x-oss-credential": f"{KEY}/{scope}", "x-oss-date": stamp}
    text = base64.b64encode(policy(*({name: value} for name, value in fields.items())))
    key = ("aliyun_v4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    return {**fields, "policy": text.decode(), "x-oss-signature": hmac.new(key, text, "sha256").hexdigest()}


def post(double, bucket, fields, data=b"hello", filename="dir/name.txt", files=1, kind=None, body=None):
    parts = "".join(f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                    for name, value in fields.items())
    head = f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\nContent-Type: text/plain\r\n\r\n'
    body = body if body is not None else parts.encode() + (head.encode() + data + b"\r\n") * files + b"--edge--\r\n"
    connection = http.client.HTTPConnection("127.0.0.1", double.port, timeout=10)
    head = {"Host": double.host(bucket), "Content-Type": kind or "multipart/form-data; boundary=edge"}
    connection.request("POST", "/", body, head)
    response = connection.getresponse()
    return Response(response.status, {n.lower(): v for n, v in response.getheaders()}, response.read())


KEYED = [["starts-with", "$key", ""]]


def test_uploads(double, bucket):
    fields = sign_policy(double, bucket, KEYED)
    forged = sign_policy(double, bucket, KEYED, secret="other")
    assert post(double, bucket, {"key": "k", **forged}).is_error(403, "SignatureDoesNotMatch")
    assert post(double, bucket, {"key": "k", **sign_policy(double, bucket, KEYED, lasts=-5)}).is_error(403, "AccessDenied")
    assert post(double, bucket, {"key": "k"}).is_error(403, "AccessDenied")
    files = "IncorrectNumberOfFilesInPOSTRequest" if double.vendor == "oss" else "IncorrectNumberOfFilesInPostRequest"
    assert post(double, bucket, {"key": "k", **fields}, files=2).is_error(400, files)
    assert post(double, bucket, {"key": "k", **fields}, files=0).is_error(400, files)
    assert post(double, bucket, {}, body=b"nothing").is_error(400, "MalformedPOSTRequest")
    other = post(double, bucket, {}, kind="text/plain")
    assert other.is_error(*((412, "PreconditionFailed") if double.vendor == "jdcloud" else (400, "RequestIsNotMultiPartContent")))
    assert post(double, bucket, fields).status == 400, "no key"
    half = {name: value for name, value in fields.items() if "ignature" not in name or name == "x-oss-signature-version"}
    assert post(double, bucket, {"key": "k", **half}).status in (400, 403)
    assert double.send_control("GET", f"/objects/{bucket}") == {}
    done = post(double, bucket, {"key": "d/${filename}", **fields})
    assert (done.status, done.body) == (204, b"") and done.headers["location"].endswith("/d/name.txt")
    assert done.headers["etag"].strip('"').lower() == hashlib.md5(b"hello").hexdigest()
    assert double.ask("GET", bucket, "d/name.txt").body == b"hello"
    seen = double.send_control("GET", "/requests")
    assert [row["op"] for row in seen].count("PostObject") > 1 and [seen[-2]["verified"], seen[1]["verified"]] == [True, False]


def test_conditions(double, bucket):
    conditions = [["starts-with", "$key", "user/"], ["content-length-range", 2, 5], {"success_action_status": "201"}]
    fields = {"success_action_status": "201", **sign_policy(double, bucket, conditions)}
    assert post(double, bucket, {"key": "other/k", **fields}).is_error(403, "AccessDenied")
    assert post(double, bucket, {"key": "user/k", **fields, "success_action_status": "200"}).is_error(403, "AccessDenied")
    assert post(double, bucket, {"key": "user/k", **fields}, b"1").is_error(400, "EntityTooSmall")
    assert post(double, bucket, {"key": "user/k", **fields}, b"123456").is_error(400, "EntityTooLarge")
    elsewhere = {"success_action_status": "201", **sign_policy(double, "elsewhere", conditions)}
    assert post(double, bucket, {"key": "user/k", **elsewhere}).is_error(403, "AccessDenied")
    done = post(double, bucket, {"key": "user/k", **fields}, b"12345")
    assert (done.status, done.text("Key"), done.text("Bucket")) == (201, "user/k", bucket) and b"xmlns" not in done.body
    extra = post(double, bucket, {"key": "user/k", "Cache-Control": "no-cache", **fields}, b"54321")
    if double.vendor == "jdcloud":
        assert extra.is_error(403, "AccessDenied") and b"Extra input fields" in extra.body
    else:
        assert double.ask("GET", bucket, "user/k").headers["cache-control"] == "no-cache"


def test_fields_of_the_object(double, bucket):
    acl = "x-oss-object-acl" if double.vendor == "oss" else "acl"
    given = {acl: "public-read", double.prefix + "meta-a": "1", "Content-Type": "a/b",
             "success_action_redirect": "http://a.example/?x=1"}
    fields = sign_policy(double, bucket, [*KEYED, *({name: value} for name, value in given.items())])
    done = post(double, bucket, {"key": "k", **given, **fields})
    assert done.status == 303 and done.headers["location"].startswith(f"http://a.example/?x=1&bucket={bucket}&key=k&etag=%22")
    stored = double.send_control("GET", f"/objects/{bucket}")["k"]
    # For OSS the type of the file's part takes precedence over the field.
    kind = "text/plain" if double.vendor == "oss" else "a/b"
    assert (stored["acl"], stored["metadata"], stored["headers"]["Content-Type"]) == ("public-read", {"a": "1"}, kind)
    foreign = "x-cos-meta-a" if double.vendor != "cos" else "x-oss-meta-a"
    fields = sign_policy(double, bucket, [*KEYED, {foreign: "1"}])
    assert post(double, bucket, {"key": "k", foreign: "1", **fields}).is_error(400, "ForeignHeader")


def test_open_bucket(double, bucket):
    assert post(double, bucket, {"key": "k"}).is_error(403, "AccessDenied")
    assert double.ask("PUT", bucket, params={"acl": ""}, headers={"~acl": "public-read-write"}).status == 200
    assert post(double, bucket, {"key": "k"}).status == 204


def vendor(make, key, secret):
    return make(SimpleNamespace(access_key=key, secret_key=secret, region="cn-hangzhou", copy_limit=1, restore_seconds=1))


def test_vectors(double, monkeypatch):
    """Test vectors of policy signatures, computed with the vendors' SDKs."""
    only(double, "cos", "oss")
    if double.vendor == "cos":
        monkeypatch.setattr(time, "time", lambda: 1700000001)
        policy = ('{"expiration":"2023-11-15T00:00:00.000Z","conditions":[{"bucket":"dstbucket-1250000000"},'
                  '["starts-with","$key","upload/"],{"q-sign-algorithm":"sha1"},{"q-ak":"AKIDEXAMPLE0001"},'
                  '{"q-sign-time":"1700000000;1700003600"}]}')
        fields = {"q-ak": "AKIDEXAMPLE0001", "q-sign-algorithm": "sha1", "q-key-time": "1700000000;1700003600",
                  "policy": base64.b64encode(policy.encode()).decode(), "q-signature": ""}
        right = vendor(Cos, "AKIDEXAMPLE0001", "example-secret-key-0001").form_signature(fields)[2]
        assert right == "e4d751913f9663bc2b63c50774a6612e2267d38e"
        return
    limits = '["content-length-range",0,1048576],["starts-with","$key","user/"]]}'
    policy = '{"expiration":"2024-05-06T08:08:09.000Z","conditions":[{"bucket":"examplebucket"},'
    credential = "LTAIBLOBFISHTEST/20240506/cn-hangzhou/oss/aliyun_v4_request"
    oss = vendor(Oss, "LTAIBLOBFISHTEST", "blobfish-test-secret-0123456789")
    encoded = base64.b64encode((policy + limits).encode()).decode()
    fields = {"ossaccesskeyid": "LTAIBLOBFISHTEST", "signature": "", "policy": encoded}
    assert oss.form_signature(fields)[2] == "jkr9L7Sd0xguTAavW0MD32R7/8Y="
    policy += ('{"x-oss-signature-version":"OSS4-HMAC-SHA256"},{"x-oss-credential":"' + credential
               + '"},{"x-oss-date":"20240506T070809Z"},')
    fields = {"x-oss-credential": credential, "x-oss-signature-version": "OSS4-HMAC-SHA256", "x-oss-date": "20240506T070809Z",
              "x-oss-signature": "", "policy": base64.b64encode((policy + limits).encode()).decode()}
    assert oss.form_signature(fields)[2] == "89a7b69b291f6433cab0e3ac9969ce1a76d0099e01c512738e8af60610a3e78a"
