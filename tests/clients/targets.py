"""Connections to targets: a failing target does not block clients. The last line has the counts."""

import contextlib
import datetime
import json
import os
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import servers
from api import CallError
from copies import Pair
from cos_clients import CosPython
from live import Changeable, log_lines, metric
from operations import authority
from oss_clients import Oss2V4
from s3_clients import Boto3
from scenarios import expect_error

BUCKET = "targets-1250000000"


class Front(Changeable):
    """A proxy with a double, more keys in the table of its target, and a client of each dialect."""

    def __init__(self, binary, running, port=None, **more):
        self.back = running.double("oss")
        target = servers.one_target("oss", port or self.back.port, **more)
        self.proxy = running.proxy(binary, servers.configuration([target]))
        self.file = Path(self.proxy.folder, "blobfish.toml")
        self.first = self.file.read_text()
        self.clients = [make(self.proxy.port, servers.KEY, servers.SECRET) for make in (Boto3, CosPython, Oss2V4)]
        self.client = self.clients[0]

    def fault(self, **fault):
        self.back.ask("POST", "/fault", {"times": 1000, **fault})

    def is_healthy(self):
        self.back.ask("POST", "/reset", {})

    def read_sent(self):
        return len(self.back.ask("GET", "/requests"))

    def state(self):
        return metric(self.proxy, 'blobfish_target_circuit_breaker_closed{target="oss"}')

    def pause(self):
        return metric(self.proxy, 'blobfish_rejections_total{reason="TargetUnavailable"}')


def circuit_breaker(binary, running, options):
    """Failures for several objects open the circuit breaker, and each dialect gets its own error code; one successful trial request
    closes it. Failures of one object alone do not open it."""
    front = Front(binary, running, circuit_breaker_failures=3, circuit_breaker_open_seconds=2)
    client = front.client
    client.create_bucket(BUCKET)
    client.put(BUCKET, "one", b"x")
    assert front.state() == 1
    front.fault(match={"op": "get", "method": "GET"}, kind="status", status=500, code="InternalError")
    for _ in range(6):
        expect_error(500, client.get, BUCKET, "one")
        expect_error(404, client.head, BUCKET, "nothing")
    assert front.state() == 1, "one object alone"
    # Four fifths of the requests fail: `nothing` gets responses, `one` does not.
    for key in ("two", "three", "four"):
        assert front.state() == 1 and front.pause() == 0
        expect_error(500, client.get, BUCKET, key)
    closed_at = time.monotonic()
    assert front.state() == 0
    before = front.read_sent()
    for other in front.clients:
        begun = time.monotonic()
        assert expect_error(503, other.get, BUCKET, "one").code == "ServiceUnavailable", other.name
        assert expect_error(503, other.put, BUCKET, "two", b"x").code == "ServiceUnavailable", other.name
        assert expect_error(503, other.copy, BUCKET, "one", BUCKET, "two").code == "ServiceUnavailable", other.name
        assert time.monotonic() - begun < 1, "the response is immediate"
    assert front.read_sent() == before, "nothing is sent"
    assert front.pause() == 9
    assert metric(front.proxy, 'blobfish_target_errors_total{kind="circuit_open",target="oss"}') == 0
    assert time.monotonic() - closed_at < 2, "the machine is too slow for this test"
    time.sleep(2.1 - (time.monotonic() - closed_at))
    # Of many concurrent requests one is the trial; it fails, and the circuit breaker stays open.
    result = run_in_parallel(8, lambda: expect_error((500, 503), client.get, BUCKET, "one").status)
    assert sorted(result) == [500] + [503] * 7, result
    assert front.read_sent() == before + 1 and front.state() == 0
    front.is_healthy()
    expect_error(503, client.get, BUCKET, "one")
    time.sleep(2.1)
    # A write may be the trial request; it is sent once.
    client.put(BUCKET, "three", b"x")
    assert front.read_sent() == 1 and front.state() == 1
    assert client.get(BUCKET, "one")["body"] == b"x"
    assert len(log_lines(front.proxy, "circuit breaker open")) == 1
    assert len(log_lines(front.proxy, "responds again")) == 1


def run_in_parallel(count, call):
    result = []
    threads = [threading.Thread(target=lambda: result.append(call())) for _ in range(count)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(result) == count, "some raised"
    return result


def counted_failures(binary, running, options):
    """Which errors count as failures of a target, and which do not."""
    front = Front(binary, running, circuit_breaker_failures=3, circuit_breaker_open_seconds=1, response_timeout_seconds=1)
    client = front.client
    client.create_bucket(BUCKET)
    client.put(BUCKET, "one", b"x" * 10_000)
    counting = [({"kind": "status", "status": 503, "code": "ServiceUnavailable"}, 503),
                ({"kind": "status", "status": 502, "code": "BadGateway"}, 500), ({"kind": "reset"}, 503),
                ({"kind": "stall", "seconds": 5}, 503)]
    harmless = [({"kind": "status", "status": 503, "code": "TotalQpsLimitExceeded"}, 503),
                ({"kind": "status", "status": 501, "code": "NotImplemented"}, 501),
                ({"kind": "status", "status": 403, "code": "AccessDenied"}, 403),
                ({"kind": "redirect"}, (500, 503))]
    for fault, status in counting + harmless:
        front.fault(match={"op": "get"}, **fault)
        keys = iter(("one", "two", "three"))
        result = run_in_parallel(3, lambda: expect_error(status, client.get, BUCKET, next(keys)).status)
        assert front.state() == (0 if (fault, status) in counting else 1), (fault, result)
        front.is_healthy()
        if (fault, status) in counting:
            time.sleep(1.1)
            assert client.get(BUCKET, "one")["length"] == 10_000
            assert front.state() == 1, fault


def unreachable_targets(binary, running, options):
    """A target without a listener, a target that does not respond, and a target without a circuit breaker."""
    nobody = servers.free_ports(1)[0]
    front = Front(binary, running, nobody, circuit_breaker_failures=2, circuit_breaker_open_seconds=60)
    [expect_error(503, front.client.get, BUCKET, "one") for _ in range(5)]
    assert metric(front.proxy, 'blobfish_target_errors_total{kind="connect",target="oss"}') == 2
    assert front.state() == 0 and front.pause() == 3
    off = Front(binary, running, nobody, circuit_breaker_failures=0)
    [expect_error(503, off.client.get, BUCKET, "one") for _ in range(12)]
    assert metric(off.proxy, 'blobfish_target_errors_total{kind="connect",target="oss"}') == 12
    assert off.state() == 1 and off.pause() == 0

    # A reload keeps the state of a target, except if its address changes.
    front.rewrite_and_wait(front.first + "\n# the same\n")
    assert front.state() == 0
    expect_error(503, front.client.get, BUCKET, "one")
    assert front.pause() == 4
    front.rewrite_and_wait(front.first.replace(str(nobody), str(front.back.port)))
    assert front.state() == 1
    front.client.create_bucket(BUCKET)
    assert front.pause() == 4


def connection_limit(binary, running, options):
    """Requests above the connection limit wait, and are rejected after the timeout."""
    front = Front(binary, running, connections_max=2, connect_timeout_seconds=1)
    free = Front(binary, running)
    took = {}
    for name, one in (("limited", front), ("free", free)):
        one.client.create_bucket(BUCKET)
        one.client.put(BUCKET, "one", b"x")
        one.fault(match={"op": "get"}, kind="delay", seconds=0.4)
        begun = time.monotonic()
        result = run_in_parallel(4, lambda: one.client.get(BUCKET, "one")["length"])
        took[name] = time.monotonic() - begun
        assert result == [1] * 4, result
        one.is_healthy()
    assert took["limited"] > 0.75 > took["free"], took

    front.fault(match={"op": "get"}, kind="delay", seconds=3)
    held = [threading.Thread(target=front.client.get, args=(BUCKET, "one")) for _ in range(2)]
    [thread.start() for thread in held]
    in_use = 'blobfish_target_connections{target="oss"}'
    servers.wait_for(lambda: metric(front.proxy, in_use) == 2, 2, "two connections in use")
    for client in front.clients[:2]:
        begun = time.monotonic()
        result = expect_error(503, client.put, BUCKET, "two", b"x")
        assert result.code == "ServiceUnavailable" and 0.9 < time.monotonic() - begun < 1.5, client.name
    [thread.join() for thread in held]
    busy = metric(front.proxy, 'blobfish_rejections_total{reason="TargetBusy"}')
    assert busy == 2 and metric(front.proxy, in_use) == 0, busy
    assert front.state() == 1, "a busy target is healthy"
    expect_error(404, front.client.head, BUCKET, "two")
    front.client.put(BUCKET, "two", b"x")


def copies_at_the_connection_limit(binary, running, options):
    """Copies that need two connections, in both directions between two targets and within one, do not deadlock."""
    pair = Pair(running, binary, "oss", "cos", bucket="relay = true\n",
                keys={"connections_max": 2, "connect_timeout_seconds": 20})
    client, first, second = pair.begin()
    for bucket in (first, second):
        client.put(bucket, "one", b"hello" * 1000)
    pair.backs[0].ask("POST", "/fault", {"match": {"op": "CopyObject"}, "kind": "status", "status": 400,
                                         "code": "OperationNotSupported", "times": 1000})
    directions = [(first, second), (second, first), (first, first)] * 6
    left = list(enumerate(directions))

    def copy():
        number, (source, target) = left.pop()
        client.copy(source, "one", target, f"copy-{number}")
        return number

    assert sorted(run_in_parallel(len(directions), copy)) == list(range(len(directions)))
    for number, (_, target) in enumerate(directions):
        assert client.get(target, f"copy-{number}")["body"] == b"hello" * 1000
    assert pair.metric("blobfish_copy_bytes_total") == 5000 * len(directions), "all copies succeeded"
    assert pair.metric("blobfish_target_connections") == 0


def client_certificates(binary, running, options):
    """mTLS: a target that requests a client certificate gets the configured one."""
    with tempfile.TemporaryDirectory() as folder:
        folders = [Path(folder, name) for name in ("server", "client", "untrusted")]
        [one.mkdir() for one in folders]
        names = ["oss-cn-hangzhou.localhost", "*.oss-cn-hangzhou.localhost"]
        (ca, cert, key), (client_ca, *own), (_, *foreign) = [authority(one, names) for one in folders]
        [Path(files[1]).chmod(0o600) for files in (own, foreign)]
        back = running.double("oss", "--cert", cert, "--key", key, "--client-ca", client_ca)

        def front(certificate):
            more = dict(zip(("client_cert", "client_key"), certificate))
            return servers.configuration([servers.one_target("oss", back.port, scheme="https", ca=ca, **more)])

        def bucket(proxy):
            return Boto3(proxy.port, servers.KEY, servers.SECRET).create_bucket(BUCKET)

        for certificate in ([], foreign):
            assert expect_error(503, bucket, running.proxy(binary, front(certificate))).code == "ServiceUnavailable", certificate
        assert back.ask("GET", "/requests") == [], "no request without a trusted client certificate"
        proxy = running.proxy(binary, front(own))
        bucket(proxy)
        client = CosPython(proxy.port, servers.KEY, servers.SECRET)
        client.put(BUCKET, "one", b"x" * 100_000)
        assert client.get(BUCKET, "one")["body"] == b"x" * 100_000

        # A reload changes the certificate; a key that does not match is logged, and changes nothing.
        live = Front.__new__(Front)
        live.proxy, live.file = proxy, Path(proxy.folder, "blobfish.toml")
        live.first = live.file.read_text()
        mixed = live.first.replace(own[1], foreign[1])
        assert mixed != live.first
        live.rewrite_and_wait(mixed, "failure")
        assert "not a certificate with its key" in log_lines(proxy, "the previous configuration stays active")[0]
        assert client.get(BUCKET, "one")["length"] == 100_000
        live.rewrite_and_wait(live.first.replace(own[0], foreign[0]).replace(own[1], foreign[1]))
        expect_error(503, client.put, BUCKET, "two", b"x")
        live.rewrite_and_wait(live.first)
        assert client.get(BUCKET, "one")["length"] == 100_000
        Path(own[1]).chmod(0o644)
        result = subprocess.run([binary, "check", str(live.file)], capture_output=True, text=True)
        assert result.returncode == 1 and "accessed by other users" in result.stdout + result.stderr, result


TOKEN = "token-of-a-role-0001"


class Metadata(BaseHTTPRequestHandler):
    """The metadata services of the three vendors that issue credentials to machines and containers."""

    def log_message(self, *args):
        pass

    def do_PUT(self):
        named = [name for name in self.headers if name.lower().endswith("metadata-token-ttl-seconds")]
        self.respond(200 if named else 400, "session-of-metadata")

    def do_GET(self):
        state, (path, name) = self.server.state, self.path.rsplit("/", 1)
        state["requested"].append(self.path)
        session = [self.headers[one] for one in self.headers if one.lower().endswith("metadata-token")]
        if state["failing"]:
            return self.respond(500, "no")
        if "/cam/" not in path and path != "/container" and session != ["session-of-metadata"]:
            return self.respond(401, "no session")
        if path == "/container" and self.headers["Authorization"] != "proof-of-the-container":
            return self.respond(401, "no proof")
        if not name:
            return self.respond(200, "role-of-this-machine")
        ends = int(time.time() + state["lasts"])
        stamp = datetime.datetime.fromtimestamp(ends, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        key, secret = servers.TARGET_KEY, state["secret"]
        self.respond(200, json.dumps({
            "/latest/meta-data/cam/security-credentials":
                {"TmpSecretId": key, "TmpSecretKey": secret, "ExpiredTime": ends, "Expiration": stamp, "Token": TOKEN,
                 "Code": "Success"},
            "/latest/meta-data/ram/security-credentials":
                {"AccessKeyId": key, "AccessKeySecret": secret, "SecurityToken": TOKEN, "Expiration": stamp,
                 "LastUpdated": stamp, "Code": "Success"},
        }.get(path, {"AccessKeyId": key, "SecretAccessKey": secret, "Token": TOKEN, "Expiration": stamp,
                     "Code": "Success", "LastUpdated": stamp, "Type": "AWS-HMAC"})))

    def respond(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@contextlib.contextmanager
def metadata():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    server.state = {"failing": False, "lasts": 3600, "secret": servers.TARGET_SECRET, "requested": []}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.state, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def environment(**more):
    """Removes the credentials of this machine from the environment."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("AWS_", "ALIBABA_", "OSS_", "TENCENTCLOUD_", "TKE_"))]:
        del os.environ[name]
    os.environ.update(HOME="/nonexistent", **more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def keyless(binary, running, kind, back, credentials, **more):
    """A proxy with a target that has issued credentials."""
    target = servers.one_target(kind, back.port, key=None, credentials=credentials, **more)
    proxy = running.proxy(binary, servers.configuration([target]))
    return proxy, Boto3(proxy.port, servers.KEY, servers.SECRET)


def works(client, bucket):
    def one():
        try:
            return client.put(bucket, "one", b"x") and client.get(bucket, "one")["body"] == b"x"
        except CallError:
            return False
    return one


def issued_credentials(binary, running, options):
    """Credentials come from the provider chain of each vendor: machines, containers, files, environment variables."""
    with metadata() as (state, origin), tempfile.TemporaryDirectory() as folder:
        profile = Path(folder, "credentials")
        key, secret = servers.TARGET_KEY, servers.TARGET_SECRET
        profile.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
        variables = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        container = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{origin}/container/key",
                     "AWS_CONTAINER_AUTHORIZATION_TOKEN": "proof-of-the-container"}
        backs = {kind: running.double(kind) for kind in ("cos", "oss", "jdcloud")}
        rows = [
            ("cos", "tencent", {}, origin, True), ("oss", "aliyun", {}, origin, True),
            ("jdcloud", "aws", {}, origin, True),
            ("oss", "aliyun", {"ALIBABA_CLOUD_ECS_METADATA_SERVICE_ENDPOINT": origin}, None, True),
            ("jdcloud", "aws", {"AWS_EC2_METADATA_SERVICE_ENDPOINT": origin}, None, True),
            ("jdcloud", "aws", container, None, True), ("jdcloud", "aws", variables, None, False),
            ("jdcloud", "aws", {"AWS_SHARED_CREDENTIALS_FILE": str(profile)}, None, False),
            ("cos", "tencent", {"TENCENTCLOUD_SECRET_ID": key, "TENCENTCLOUD_SECRET_KEY": secret}, None, False),
        ]
        for number, (kind, credentials, variables, place, asks) in enumerate(rows):
            state["requested"].clear()
            more = {"metadata_endpoint": place} if place else {}
            with environment(**variables):
                proxy, client = keyless(binary, running, kind, backs[kind], credentials, **more)
            bucket = f"issued{number}-1250000000"
            servers.wait_for(lambda: log_lines(proxy, ": credentials for the target were issued"), 5, f"a key for {credentials}")
            client.create_bucket(bucket)
            assert works(client, bucket)(), (credentials, variables)
            assert bool(state["requested"]) == asks, (credentials, state["requested"])
            rows_of = [row for row in backs[kind].ask("GET", "/requests") if bucket in row["host"] + row["path"]]
            sent = [row["headers"] for row in rows_of]
            tokens = {value for row in sent for name, value in row.items() if name.endswith("security-token")}
            assert sent and tokens == ({TOKEN} if asks else set()), (credentials, tokens)
            result = proxy.log.read_text()
            assert servers.TARGET_SECRET not in result and TOKEN not in result and not log_lines(proxy, "ERROR"), result
            proxy.stop()


def credential_renewal(binary, running, options):
    """Credentials are renewed before they expire; a failure is logged once, and the previous credentials are used until they
    expire."""
    with metadata() as (state, origin):
        back = running.double("cos")
        state["failing"] = True
        with environment():
            proxy, client = keyless(binary, running, "cos", back, "tencent", metadata_endpoint=origin)
        servers.wait_for(lambda: log_lines(proxy, "until a retry succeeds"), 5, "a failure in the log")
        for make in (Boto3, CosPython, Oss2V4):
            other = make(proxy.port, servers.KEY, servers.SECRET)
            assert expect_error(503, other.create_bucket, BUCKET).code == "ServiceUnavailable", make.__name__
        assert back.ask("GET", "/requests") == [], "nothing is sent without a key"

        state.update(failing=False, lasts=3, secret="not-the-secret-of-the-target")
        servers.wait_for(lambda: log_lines(proxy, ": credentials for the target were issued"), 8, "a key")
        assert expect_error(500, client.create_bucket, BUCKET).code == "InternalError"
        state.update(lasts=6, secret=servers.TARGET_SECRET)

        def bucket():
            with contextlib.suppress(CallError):
                client.create_bucket(BUCKET)
                return True

        servers.wait_for(bucket, 5, "the next key")
        state["failing"] = True
        renewed_at = time.monotonic()
        servers.wait_for(lambda: log_lines(proxy, "are used until they expire"), 6, "a failure in the log")
        assert works(client, BUCKET)(), "the previous key"
        time.sleep(max(0, 6.2 - (time.monotonic() - renewed_at)))
        assert expect_error(503, client.get, BUCKET, "one").code == "ServiceUnavailable"
        state.update(failing=False, lasts=3600)
        servers.wait_for(works(client, BUCKET), 8, "a key again")
        assert len(log_lines(proxy, "cannot get credentials for the target")) == 2, "each once"
        # A reload does not fetch valid credentials again.
        requested = len(state["requested"])
        live = Front.__new__(Front)
        live.proxy, live.file = proxy, Path(proxy.folder, "blobfish.toml")
        live.rewrite_and_wait(live.file.read_text() + "\n# the same\n")
        assert works(client, BUCKET)() and len(state["requested"]) == requested
        result = proxy.log.read_text()
        assert servers.TARGET_SECRET not in result and TOKEN not in result


def null_versions(binary, running, options):
    """Deleting the version `null` of an unversioned object returns that version, also if the target does not return it."""
    proxy, _ = running.front(binary, "seaweedfs")
    sdk = Boto3(proxy.port, servers.KEY, servers.SECRET).sdk
    for name in ("plain", "versioned"):
        bucket = f"{name}-1250000000"
        sdk.create_bucket(Bucket=bucket)
        [sdk.put_object(Bucket=bucket, Key=key, Body=b"x") for key in ("a", "b", "kept")]
        if name == "versioned":
            sdk.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        sdk.delete_object(Bucket=bucket, Key="a", VersionId="null")
        result = sdk.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b", "VersionId": "null"}]})
        assert not result.get("Errors") and result["Deleted"] == [{"Key": "b", "VersionId": "null"}], result
        assert [row["Key"] for row in sdk.list_objects_v2(Bucket=bucket)["Contents"]] == ["kept"]


ALL = [circuit_breaker, counted_failures, unreachable_targets, connection_limit, copies_at_the_connection_limit,
       client_certificates, issued_credentials, credential_renewal, null_versions]


if __name__ == "__main__":
    servers.main(__doc__, ALL)
