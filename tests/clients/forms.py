"""Form uploads: the fields that a web server signs by each vendor's rules, and the browser's POST request."""

import base64
import hashlib
import hmac
import http.client
import json
import time
from urllib.parse import urlsplit


def _mac(key, text, digest=hashlib.sha256):
    return hmac.new(key, text.encode(), digest)


def policy(conditions, seconds=600):
    end = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() + seconds))
    return json.dumps({"expiration": end, "conditions": conditions})


def cos(key, secret, conditions, **more):
    """The fields of COS, POST Object."""
    window = f"{int(time.time()) - 60};{int(time.time()) + 600}"
    text = policy(conditions + [{"q-sign-algorithm": "sha1"}, {"q-ak": key}, {"q-sign-time": window}], **more)
    sign_key = _mac(secret.encode(), window, hashlib.sha1).hexdigest()
    signature = _mac(sign_key.encode(), hashlib.sha1(text.encode()).hexdigest(), hashlib.sha1).hexdigest()
    return {"policy": base64.b64encode(text.encode()).decode(), "q-sign-algorithm": "sha1", "q-ak": key,
            "q-key-time": window, "q-signature": signature}


def oss_v1(key, secret, conditions, **more):
    """The fields of OSS, PostObject, with signature version 4."""
    text = base64.b64encode(policy(conditions, **more).encode()).decode()
    signature = base64.b64encode(_mac(secret.encode(), text, hashlib.sha1).digest()).decode()
    return {"OSSAccessKeyId": key, "policy": text, "Signature": signature}


def oss_v4(key, secret, conditions, **more):
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    credential = f"{key}/{stamp[:8]}/cn-hangzhou/oss/aliyun_v4_request"
    own = {"x-oss-signature-version": "OSS4-HMAC-SHA256", "x-oss-credential": credential, "x-oss-date": stamp}
    text = policy(conditions + [{name: value} for name, value in own.items()], **more)
    text = base64.b64encode(text.encode()).decode()
    signing = ("aliyun_v4" + secret).encode()
    for part in (stamp[:8], "cn-hangzhou", "oss", "aliyun_v4_request"):
        signing = _mac(signing, part).digest()
    return {**own, "policy": text, "x-oss-signature": _mac(signing, text).hexdigest()}


def post(url, fields, body, file_name="a.txt", file_type="text/plain", after=(), chunked=False):
    """Posts like a browser: the file is the last field, except for fields in `after`."""
    edge = "----edge7MA4YWxkTrZu0gW"
    pieces = [f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
              for name, value in fields.items()]
    head = (f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n'
            f"Content-Type: {file_type}\r\n\r\n").encode()
    tail = b"".join(f'\r\n--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()
                    for name, value in after) + f"\r\n--{edge}--\r\n".encode()
    whole = b"".join(pieces) + head + body + tail
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    sent = [whole[at:at + 100_000] for at in range(0, len(whole), 100_000)] if chunked else whole
    connection.request("POST", parts.path or "/", iter(sent) if chunked else sent, {
        "Host": parts.netloc, "Content-Type": f"multipart/form-data; boundary={edge}"}, encode_chunked=chunked)
    response = connection.getresponse()
    result = response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    connection.close()
    return result
