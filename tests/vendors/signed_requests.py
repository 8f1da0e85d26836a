"""Sends requests that the vendors' own SDKs sign to a double, for the tests."""

import http.client
import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import oss2
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from oss2.credentials import StaticCredentialsProvider
from qcloud_cos import CosConfig
from qcloud_cos.cos_auth import CosS3Auth

KEY, SECRET = "AKIDRULES0001", "rules-secret-0001"
PLACES = {"cos": ("cos.ap-guangzhou", "x-cos-"), "oss": ("oss-cn-hangzhou", "x-oss-"), "jdcloud": ("s3.cn-north-1", "x-amz-")}


@dataclass
class Double:
    vendor: str
    port: int
    control: int
    scheme: str = ""  # V1 or V4 of OSS.

    @property
    def prefix(self):
        return PLACES[self.vendor][1]

    def host(self, bucket=""):
        return f"{bucket + '.' if bucket else ''}{PLACES[self.vendor][0]}.localhost:{self.port}"

    def sign(self, method, bucket, key, params, headers, body, secret, path):
        """Returns the headers with the signature."""
        url = f"http://{headers['host']}{path}"
        if self.vendor == "cos":
            message = SimpleNamespace(method=method, url=url, headers=dict(headers))
            CosS3Auth(CosConfig(Region="ap-guangzhou", SecretId=KEY, SecretKey=secret), key, params)(message)
        elif self.vendor == "oss":
            if self.scheme == "V4":
                auth = oss2.ProviderAuthV4(StaticCredentialsProvider(KEY, secret))
            else:
                auth = oss2.Auth(KEY, secret)
            message = oss2.http.Request(method, url, params=dict(params), headers=headers, region="cn-hangzhou",
                                        product="oss")
            message.headers = oss2.http.CaseInsensitiveDict(headers)
            auth._sign_request(message, bucket, key)
        else:
            message = AWSRequest(method, url, headers=headers, params=params, data=body)
            message.context["payload_signing_enabled"] = True
            S3SigV4Auth(Credentials(KEY, secret), "s3", "cn-north-1").add_auth(message)
        return {name.lower(): value for name, value in dict(message.headers.items()).items()}

    def ask(self, method, bucket="", key="", params=None, headers=None, body=b"", secret=SECRET, after=None, host=None,
            path=None):
        """Sends a signed request; `after` changes the headers after signing."""
        params = params or {}
        path = path or "/" + quote(key, safe="/~")
        head = {"host": host or self.host(bucket), "content-length": str(len(body))}
        head |= {(self.prefix + n[1:] if n.startswith("~") else n).lower(): v for n, v in (headers or {}).items()}
        head = self.sign(method, bucket, key, params, head, body, secret, path) | (after or {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        query = "?" + urlencode(params, quote_via=quote) if params else ""
        connection.putrequest(method, path + query, skip_host=True, skip_accept_encoding=True)
        for name, value in head.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        return Response(response.status, {n.lower(): v for n, v in response.getheaders()}, response.read())

    def send_control(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.control, timeout=10)
        connection.request(method, path, json.dumps(body) if body is not None else None)
        return json.loads(connection.getresponse().read())

    def source(self, bucket, key, version=""):
        place = f"{self.host(bucket)}/" if self.vendor == "cos" else f"/{bucket}/"
        return place + quote(key, safe="/") + (f"?versionId={version}" if version else "")

    def copy(self, bucket, source, target, version="", **headers):
        head = {"~" + name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("PUT", bucket, target, headers={"~copy-source": self.source(bucket, source, version), **head})


@dataclass
class Response:
    status: int
    headers: dict
    body: bytes

    def text(self, *path):
        """Returns the text of an element in any namespace."""
        node = ElementTree.fromstring(self.body.strip())
        for name in path:
            node = next(child for child in node if child.tag.rpartition("}")[2] == name)
        return node.text or ""

    def is_error(self, status, code):
        assert (self.status, self.text("Code")) == (status, code), self.body
        return True


def start(vendor, *more):
    command = [sys.executable, "-m", f"vendors.{vendor}", "--port", "0", "--access-key", KEY, "--secret-key", SECRET, *more]
    child = subprocess.Popen(command, cwd=Path(__file__).resolve().parent.parent, stdout=subprocess.PIPE, text=True)
    return child, json.loads(child.stdout.readline())


def stop(child):
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 0
    child.stdout.close()


def list_rows(response):
    root = ElementTree.fromstring(response.body)
    rows = [(node.tag.rpartition("}")[2], node) for node in root]
    inner = {"Contents": "Key", "CommonPrefixes": "Prefix"}
    return [next(c.text for c in node if c.tag.rpartition("}")[2] == inner[tag]) for tag, node in rows if tag in inner]


def only(double, *vendors):
    if double.vendor not in vendors:
        pytest.skip(f"a rule of {', '.join(vendors)}")
