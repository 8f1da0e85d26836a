"""`blobfish explain --config` against the proxy with the same configuration: every golden case and further requests, towards
every target. The plan, the target's host, the bucket, the request line, the headers and the rejection must agree. The targets
only record what they receive."""

import hashlib
import http.client
import json
import re
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import refusals
import servers

CASES = servers.TESTS / "cases"
TARGETS = ("cos", "oss", "jdcloud", "seaweedfs")
CONTENT = b"x" * 1000
ETAG = f'"{hashlib.md5(CONTENT).hexdigest()}"'
# Connection, signature and length: the proxy adds them when it sends a request.
UNCOMPARED = {"authorization", "date", "host", "content-length", "transfer-encoding", "connection", "user-agent", "accept",
              "accept-encoding", "expect", "x-amz-date", "x-amz-content-sha256", "x-oss-date", "x-oss-content-sha256",
              "x-cos-date", "traceparent"}
LIFECYCLE = ("<LifecycleConfiguration><Rule><ID>r</ID><Prefix>a</Prefix><Status>Enabled</Status><Transition><Days>30</Days>"
             "<StorageClass>IA</StorageClass>{more}</Transition></Rule></LifecycleConfiguration>")
UNSET = {"lifecycle": "NoSuchLifecycleConfiguration", "policy": "NoSuchBucketPolicy"}
TAGS = "<Tagging><TagSet><Tag><Key>team</Key><Value>web</Value></Tag></TagSet></Tagging>"
OSS_HOST, COS_HOST = "box.oss-cn-hangzhou.aliyuncs.com", "box-1250000000.cos.ap-guangzhou.myqcloud.com"
S3_HOST = "box.s3.us-east-1.amazonaws.com"
# Title, dialect, head, body.
MORE = (
    ("a put", "s3", f"PUT /a%20b HTTP/1.1\nHost: {S3_HOST}\nContent-Type: text/plain\nx-amz-meta-a: b\n", "hello"),
    ("a put with a class", "cos", f"PUT /k HTTP/1.1\nHost: {COS_HOST}\nx-cos-storage-class: MAZ_STANDARD\n", "hello"),
    ("a put with a grant", "s3", f'PUT /k HTTP/1.1\nHost: {S3_HOST}\nx-amz-grant-read: id="1234"\n', "hello"),
    ("a put with a traffic limit", "oss", f"PUT /k HTTP/1.1\nHost: {OSS_HOST}\nx-oss-traffic-limit: 819200\n", "hello"),
    ("a put with an unknown header", "s3", f"PUT /k HTTP/1.1\nHost: {S3_HOST}\nx-amz-nobody-knows: 1\n", "hello"),
    ("a get", "oss", f"GET /k HTTP/1.1\nHost: {OSS_HOST}\nRange: bytes=0-1\n", ""),
    ("a head", "cos", f"HEAD /k?versionId=v HTTP/1.1\nHost: {COS_HOST}\n", ""),
    ("a delete", "s3", f"DELETE /k HTTP/1.1\nHost: {S3_HOST}\n", ""),
    ("a listing", "s3", f"GET /?list-type=2&prefix=a%2F&max-keys=3 HTTP/1.1\nHost: {S3_HOST}\n", ""),
    ("a small part", "oss", f"PUT /k?partNumber=1&uploadId=u HTTP/1.1\nHost: {OSS_HOST}\n", "hello"),
    ("tags", "s3", f"PUT /k?tagging HTTP/1.1\nHost: {S3_HOST}\n", TAGS),
    ("tags without a document", "cos", f"PUT /k?tagging HTTP/1.1\nHost: {COS_HOST}\n", ""),
    ("lifecycle", "oss", f"PUT /?lifecycle HTTP/1.1\nHost: {OSS_HOST}\n", LIFECYCLE.format(more="")),
    ("lifecycle by access time", "oss", f"PUT /?lifecycle HTTP/1.1\nHost: {OSS_HOST}\n",
     LIFECYCLE.format(more="<IsAccessTime>true</IsAccessTime><ReturnToStdWhenVisit>false</ReturnToStdWhenVisit>")),
    ("an ACL", "cos", f"PUT /k?acl HTTP/1.1\nHost: {COS_HOST}\nx-cos-acl: public-read\n", ""),
    ("a policy", "s3", f"PUT /?policy HTTP/1.1\nHost: {S3_HOST}\n", "{}"),
)


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, request, address):
        """The proxy closes connections that it no longer needs."""


class Recorder:
    """A target that keeps what it receives, and returns what lets the proxy send its next request."""

    def __init__(self):
        self.seen, self.policy, recorder = [], None, self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def respond(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                recorder.seen.append((self.command, self.path, headers, body))
                copies = any(name.endswith("-copy-source") for name in headers)
                answer = CONTENT if self.command in ("GET", "HEAD") else b""
                if copies:
                    answer = (f"<CopyObjectResult><LastModified>2019-09-06T03:17:47.000Z</LastModified><ETag>{ETAG}</ETag>"
                              "</CopyObjectResult>").encode()
                status = 204 if self.command == "DELETE" else 200
                span = re.fullmatch(r"bytes=(\d+)-(\d+)", headers.get("range", ""))
                if span and answer is CONTENT:
                    first, last = int(span.group(1)), int(span.group(2))
                    status, answer = 206, CONTENT[first:last + 1]
                unset = UNSET.get(self.path.partition("?")[2]) if self.command == "GET" else None
                if unset:
                    # A target that ignores such parameters would list the bucket instead: the proxy looks first.
                    status, answer = 404, f"<Error><Code>{unset}</Code></Error>".encode()
                if recorder.policy and self.path.endswith("?policy"):
                    status, answer = 200, recorder.policy
                self.send_response_only(status)
                if status == 206:
                    self.send_header("Content-Range", f"bytes {first}-{last}/{len(CONTENT)}")
                self.send_header("ETag", ETAG)
                self.send_header("Last-Modified", "Fri, 06 Sep 2019 03:17:47 GMT")
                if self.command != "DELETE":
                    self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer if self.command not in ("HEAD", "DELETE") else b"")

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = respond

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self):
        seen, self.seen[:] = list(self.seen), []
        return seen


def requests():
    """Every golden case and the requests above: title, dialect, method, target, headers, body."""
    for case in sorted(CASES.iterdir()):
        if case.is_dir():
            dialect = (case / "SOURCE").read_text().splitlines()[0]
            yield case.name, dialect, *parse((case / "request.http").read_text()), b""
    for title, dialect, head, body in MORE:
        yield title, dialect, *parse(head), body.encode()


def parse(text):
    first, *lines = text.split("\n\n")[0].strip().splitlines()
    method, target, _ = first.split(" ", 2)
    headers = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return method, target, {name: value for name, value in headers.items()
                            if name.lower() not in ("date", "connection", "content-length", "accept-encoding")}


class Compared:
    """The proxy and `explain` with one configuration."""

    def __init__(self, binary, running, targets, buckets, recorders):
        self.binary, self.recorders = binary, recorders
        self.proxy = running.proxy(binary, servers.configuration(targets, buckets))
        self.file = Path(self.proxy.folder, "blobfish.toml")
        self.signers = {"s3": refusals.S3(0), "jdcloud": refusals.S3(0), "cos": refusals.Cos(0), "oss": refusals.Oss(0)}

    def sign(self, dialect, method, target, headers, body):
        host = headers["Host"]
        path, _, query = target.partition("?")
        key, bucket = unquote(path[1:]), host.split(".")[0]
        more = {name: value for name, value in headers.items() if name != "Host"}
        if method in ("PUT", "POST"):
            more["Content-Length"] = str(len(body))
        signed = self.signers[dialect].sign(method, host, bucket, key, query, more, body, servers.KEY, servers.SECRET,
                                            time.time())
        return {"Host": host} | {name: value for name, value in signed.items() if name.lower() != "host"}

    def explain(self, dialect, method, target, headers, body):
        text = f"{method} {target} HTTP/1.1\n" + "".join(f"{name}: {value}\n" for name, value in headers.items()) + "\n"
        command = [self.binary, "explain", "--from", dialect, "--config", str(self.file), "--json"]
        done = subprocess.run(command, input=text.encode() + body, capture_output=True, timeout=30)
        assert done.returncode in (0, 1), done
        return done.returncode, json.loads(done.stdout)

    def ask(self, method, target, headers, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=20)
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, text

    def compare(self, title, dialect, method, target, headers, body):
        headers = self.sign(dialect, method, target, headers, body)
        code, explained = self.explain(dialect, method, target, headers, body)
        status, text = self.ask(method, target, headers, body)
        seen = [recorder.take() for recorder in self.recorders]
        received = [one for rows in seen for one in rows]
        if code == 1:
            assert not received, (title, explained["rejected"], received)
            assert status >= 400, (title, status, explained["rejected"])
            message = re.search(r"<Message>(.*?)</Message>", text, re.DOTALL)
            if message and method != "HEAD":
                message = re.sub(r"&(quot|apos|amp|lt|gt);", lambda found: {"quot": '"', "apos": "'", "amp": "&", "lt": "<",
                                                                       "gt": ">"}[found.group(1)], message.group(1))
                assert message in explained["rejected"], (title, message, explained["rejected"])
            return None
        assert explained["rejected"] is None, (title, explained)
        written = explained["request"]
        fits = [one for one in received if (one[0], one[1], one[2]["host"]) ==
                (written["method"], written["target"], written["host"])]
        assert fits, (title, explained["plan"], written, [one[:2] + (one[2]["host"],) for one in received], status, text[:300])
        expected = {row["name"]: row["value"] for row in written["headers"]}
        compared = {name: value for name, value in fits[0][2].items() if name not in UNCOMPARED}
        shown = {name: value for name, value in expected.items() if name not in UNCOMPARED}
        shown = {name: compared.get(name) if value == "(hidden)" else value for name, value in shown.items()}
        # A lookup adds what it finds to the request that follows.
        if "HEAD" in explained["plan"] or explained["kind"] == "Relay":
            compared = {name: value for name, value in compared.items() if name in shown}
        assert compared == shown, (title, explained["plan"], compared, shown)
        assert (written["body"] or "").encode() == (fits[0][3] if explained["kind"] == "Exchange" else b""), (title, fits[0][3])
        for lookup in explained["lookups"]:
            assert any((one[0], one[1], one[2]["host"]) == (lookup["method"], lookup["target"], lookup["host"])
                       for one in received), (title, lookup, received)
        if explained["kind"] == "Stream" and method == "PUT":
            assert fits[0][3] == body, (title, fits[0][3])
        return explained


def compare_all(binary, running, policy):
    plans, rejected = set(), 0
    for kind in TARGETS:
        recorder = Recorder()
        check = 'conditions = "check"\n' if kind == "jdcloud" else ""
        buckets = [f'[[bucket]]\nname = "*"\ntarget = "store"\nunsupported = "{policy}"\n{check}']
        target = servers.one_target(kind, recorder.port, "store")
        compared = Compared(binary, running, [target], buckets, [recorder])
        for request in requests():
            explained = compared.compare(*request)
            rejected += explained is None
            plans |= {explained["kind"]} if explained else set()
    # Relay: parts that are copied and smaller than the target takes.
    assert plans == {"Stream", "Exchange", "Relay"} and rejected > 10, (plans, rejected)


def rejecting(binary, running, _):
    """Every case towards every target, with the default policy."""
    compare_all(binary, running, "reject")


def reporting(binary, running, _):
    """The same where lost fields are reported."""
    compare_all(binary, running, "report")


def relayed(binary, running, _):
    """Copies with a source at another target, and buckets with another name at the target."""
    first, second = Recorder(), Recorder()
    targets = [servers.one_target("oss", first.port, "store"), servers.one_target("cos", second.port, "archive")]
    names = ("destinationbucket-1250000000", "examplebucket-1250000000", "oss-example")
    buckets = [f'[[bucket]]\nname = "{name}"\ntarget = "store"\ntarget_bucket = "renamed-{at}"\n' for at, name in enumerate(names)]
    buckets.append('[[bucket]]\nname = "*"\ntarget = "archive"\n')
    compared = Compared(binary, running, targets, buckets, [first, second])
    relays = 0
    for request in requests():
        explained = compared.compare(*request)
        if explained and explained["kind"] == "Relay":
            relays += 1
            assert "at target archive" in explained["route"] and explained["request"]["host"].startswith("renamed-"), explained
    assert relays >= 3, relays


def policies(binary, running, _):
    """Bucket policies are not translated. The proxy rejects one when it reads it, and passes on that there is none."""
    recorder = Recorder()
    compared = Compared(binary, running, [servers.one_target("cos", recorder.port, "store")],
                        ['[[bucket]]\nname = "*"\ntarget = "store"\nunsupported = "report"\n'], [recorder])
    method, path, headers = parse(f"GET /?policy HTTP/1.1\nHost: {S3_HOST}\n")
    headers = compared.sign("s3", method, path, headers, b"")
    code, explained = compared.explain("s3", method, path, headers, b"")
    assert code == 1 and not explained["can_be_reported"], explained
    recorder.policy = b'{"Statement": [], "version": "2.0"}'
    status, text = compared.ask(method, path, headers, b"")
    assert status == 501 and explained["rejected"] and explained["rejected"] in text, (status, text, explained["rejected"])
    recorder.policy = None
    status, text = compared.ask(method, path, headers, b"")
    assert status == 404 and "NoSuchBucketPolicy" in text, (status, text)


def usage(binary, running, _):
    """Exit codes, curl commands, preflights, and requests that no target gets."""
    def run(text, *flags):
        done = subprocess.run([binary, "explain", *flags], input=text, capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout, done.stderr

    pair = ("--from", "oss", "--to", "s3")
    assert run("", *pair)[0] == 2 and run("curl 'http://b", *pair)[0] == 2 and run("", "--from", "oss")[0] == 2 and run("", "--from", "ossss", "--to", "s3")[0] == 2
    assert run("", "--from", "oss", "--config", "/nothing.toml")[0] == 2
    command = (f"curl -sS -X PUT 'http://{OSS_HOST}/?lifecycle' \\\n -H 'Authorization: OSS a:b' --user a:b "
               f"--data-binary '{LIFECYCLE.format(more='<IsAccessTime>true</IsAccessTime>')}'")
    code, out, _ = run(command, *pair)
    assert code == 1 and out.startswith("rejected: 501 ") and "IsAccessTime" in out, out
    code, out, _ = run(command.replace("<IsAccessTime>true</IsAccessTime>", ""), *pair)
    assert code == 0 and "<StorageClass>STANDARD_IA</StorageClass>" in out, out
    code, out, _ = run(f"OPTIONS /k HTTP/1.1\nHost: {OSS_HOST}\nOrigin: http://a.example\n", *pair)
    assert code == 0 and "plan: Local" in out, out
    code, out, _ = run("GET / HTTP/1.1\nHost: oss-cn-hangzhou.aliyuncs.com\n", *pair)
    assert code == 0 and "plan: Local" in out, out
    code, out, _ = run(f"PUT /k?partNumber=1&uploadId=u HTTP/1.1\nHost: {OSS_HOST}\n\nhello", *pair)
    assert code == 0 and "plan: Stream: a part of less than 5120 KiB is stored" in out, out


if __name__ == "__main__":
    servers.main(__doc__, [rejecting, reporting, relayed, policies, usage])
