"""Slow and unresponsive peers: clients that wait, that do not read, or that send many requests in parallel; targets that are
slow, silent, or have a wrong clock. Each check prints its measurements. The last line has the counts."""

import contextlib
import hashlib
import http.client
import os
import re
import resource
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path

import servers
from api import CallError
from careless import Careless
from cos_clients import CosPython
from live import log_lines, metric
from oss_clients import Oss2V4
from s3_clients import Boto3
from scenarios import expect_error

BUCKET = "slow-1250000000"


def config(port, more="", callers=None, **keys):
    """Returns a configuration with a target in this process, which speaks S3 on an IP address."""
    target = servers.one_target("seaweedfs", port, name="a", **keys).replace('profile = "seaweedfs"\n', "")
    text = servers.configuration([target], callers=callers)
    return text.replace("[admin]", more + "[admin]") if more else text


class Raw(socketserver.ThreadingTCPServer):
    """Reads a request head and passes the connection to a function."""

    allow_reuse_address = daemon_threads = True
    request_queue_size = 1024

    def __init__(self, serve):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.serve, self.port = serve, self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(*_)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = self.request.recv(65536)
                    if not piece:
                        return
                    head += piece
                if self.server.serve(self.request, head) is not True:
                    return


def response_head(length, etag="e" * 8, **more):
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in more.items())
    return (f"HTTP/1.1 200 OK\r\nETag: \"{etag}\"\r\nContent-Length: {length}\r\n{lines}"
            f"Last-Modified: {formatdate(usegmt=True)}\r\n\r\n").encode()


@contextlib.contextmanager
def open_get(proxy, key="one", window=None, client=None):
    """Sends a GET of an object, and returns the socket."""
    client = client or Boto3(proxy.port, servers.KEY, servers.SECRET)
    url = client.presigned("GET", BUCKET, key)
    with socket.socket() as one:
        if window:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        one.settimeout(40)
        one.connect(("127.0.0.1", proxy.port))
        path = url.split(str(proxy.port), 1)[1]
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{proxy.port}\r\n\r\n".encode())
        yield one


def waiting_clients(binary, running, options):
    """The checks that mostly wait, in parallel."""
    with ThreadPoolExecutor() as pool:
        [one.result() for one in [pool.submit(check, binary, running, options) for check in (keepalive, trickling_target)]]


def keepalive(binary, running, options):
    """A long copy sends keep-alive bytes while it runs."""
    def serve(connection, head):
        time.sleep(17)
        body = b"<CopyObjectResult><ETag>\"x\"</ETag><LastModified>2024-05-06T07:08:09.000Z</LastModified></CopyObjectResult>"
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    proxy = running.proxy(binary, config(Raw(serve).port))
    # Bytes are sent after 10 s and after 15 s, so a read timeout of 11 s does not expire.
    client = Boto3(proxy.port, servers.KEY, servers.SECRET, read_timeout=11)
    begun = time.monotonic()
    assert client.copy(BUCKET, "one", BUCKET, "two")["etag"] == '"x"'
    print(f"  a copy of {time.monotonic() - begun:.1f} s with a read timeout of 11 s")


def immediate_forwarding(binary, running, options):
    """The bytes of a slow target are forwarded immediately."""
    pieces, sent = 12, []

    def serve(connection, head):
        connection.sendall(response_head(100 * pieces))
        for _ in range(pieces):
            time.sleep(0.15)
            sent.append(time.monotonic())
            connection.sendall(b"x" * 100)

    proxy = running.proxy(binary, config(Raw(serve).port))
    arrived, had, late = 0, b"", []
    with open_get(proxy) as one:
        while had.count(b"x") < 100 * pieces:
            had += one.recv(65536)
            while had.count(b"x") >= 100 * (arrived + 1):
                late.append(time.monotonic() - sent[arrived])
                arrived += 1
    print(f"  {pieces} pieces of 100 bytes, at most {max(late) * 1000:.0f} ms late")
    assert max(late) < 0.1, late


def clients_that_do_not_read(binary, running, options):
    """Clients that never read: the send buffer of each connection is limited."""
    size, clients = 64 << 20, 40

    def serve(connection, head):
        connection.sendall(response_head(size))
        piece = b"x" * 65536
        for _ in range(size // len(piece)):
            connection.sendall(piece)

    proxy = running.proxy(binary, config(Raw(serve).port))
    with contextlib.ExitStack() as stack:
        client = Boto3(proxy.port, servers.KEY, servers.SECRET)
        [stack.enter_context(open_get(proxy, window=4096, client=client)) for _ in range(clients)]
        time.sleep(3)
        queues = send_queues(proxy.port)
    print(f"  {len(queues)} clients: {max(queues) / 1024:.0f} KiB at most wait to be sent to one, "
          f"{sum(queues) / len(queues) / 1024:.0f} KiB on average")
    assert len(queues) == clients and min(queues) > 0, queues
    assert max(queues) < 512 * 1024, queues


def send_queues(port):
    """Returns the size of the send queue of each connection of a port."""
    queues = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, state, queue = line.split()[1:5]
        if local.endswith(f":{port:04X}") and state == "01":
            queues.append(int(queue.split(":")[0], 16))
    return queues


def trickling_target(binary, running, options):
    """A response body that is too slow is aborted, and the client can detect that it is incomplete."""
    def serve(connection, head):
        connection.sendall(response_head(1 << 20))
        while True:
            connection.sendall(b"x")
            time.sleep(0.25)

    proxy = running.proxy(binary, config(Raw(serve).port))
    begun, had = time.monotonic(), 0
    with open_get(proxy) as one:
        while piece := one.recv(65536):
            had += len(piece)
    took = time.monotonic() - begun
    print(f"  aborted after {took:.1f} s and {had} bytes")
    assert 9 < took < 20 and had < 1 << 16
    assert metric(proxy, 'blobfish_target_errors_total{kind="body_timeout",target="a"}') == 1


def connection_limit(binary, running, options):
    """The limit on open files is raised, logged if it is low, and respected: further connections are rejected immediately."""
    soft, hard = 64, 400
    folder = Path(tempfile.mkdtemp(prefix="blobfish-proxy-"))
    port, admin = servers.free_ports(2)
    back = Careless(key_bytes_max=1024)
    with back:
        path = folder / "blobfish.toml"
        path.write_text(config(back.port).replace("{port}", str(port)).replace("{admin}", str(admin)))
        log = folder / "log"
        limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))  # noqa: E731
        child = subprocess.Popen([os.path.abspath(binary), "serve", "--config", str(path)], stdout=log.open("w"),
                                 stderr=subprocess.STDOUT, cwd=folder, preexec_fn=limit)
        proxy = servers.Process(child, str(folder), port, admin=admin, log=log)
        running.started.append(proxy)
        servers.wait_for(lambda: servers.ready(proxy), 20, "the proxy")
        result = Path(f"/proc/{child.pid}/limits").read_text()
        now = int(re.search(r"Max open files\s+(\d+)", result)[1])
        assert now == hard, now
        warned = log_lines(proxy, "open files")
        assert len(warned) == 1 and "client connections" in warned[0], warned
        allowed = int(re.search(r"allows (\d+) client connections", warned[0])[1])
        client = Boto3(port, servers.KEY, servers.SECRET)
        client.put(BUCKET, "one", b"x")
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(allowed)]
            time.sleep(0.5)
            waits = []
            for _ in range(60):
                one = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                one.settimeout(5)
                begun = time.monotonic()
                one.sendall(b"GET /b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                assert one.recv(65536).startswith(b"HTTP/1.1 503 "), "the connection above the limit gets an error"
                waits.append(time.monotonic() - begun)
            del held
            in_use = len(os.listdir(f"/proc/{child.pid}/fd"))
        servers.wait_for(lambda: metric(proxy, "blobfish_client_connections") < 5, 5, "the clients to be gone")
        assert client.sdk.get_object(Bucket=BUCKET, Key="one")["Body"].read() == b"x"
    print(f"  limit {soft} raised to {now}; {allowed} connections accepted, 60 more rejected within {max(waits) * 1000:.0f} ms; "
          f"{in_use} files open at most")
    assert in_use < hard


def dialect_of_the_host(binary, running, options):
    """The error for a connection above the limit is in the dialect of the host, or else in the listener's."""
    with Careless() as back:
        proxy = running.proxy(binary, config(back.port, "[limits]\nconnections_max = 1\n"))
        asked_for = [("b-1250000000.cos.ap-guangzhou.myqcloud.com", b"x-cos-request-id"),
                     ("b.oss-cn-hangzhou.aliyuncs.com", b"x-oss-request-id"), ("b.s3.amazonaws.com", b"x-amz-request-id"),
                     ("127.0.0.1", b"x-amz-request-id"), (None, b"x-amz-request-id")]
        with socket.create_connection(("127.0.0.1", proxy.port)):
            time.sleep(0.2)
            for host, wanted in asked_for:
                with socket.create_connection(("127.0.0.1", proxy.port)) as one:
                    one.settimeout(5)
                    if host:
                        one.sendall(f"GET /k HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                    response = one.recv(65536).lower()
                    assert response.startswith(b"http/1.1 503 ") and wanted in response, (host, response)
    print(f"  {len(asked_for)} hosts")


class Late(Careless):
    """A store that rejects requests with a wrong date, as S3 does."""

    def __init__(self, skew):
        super().__init__(skew=skew, respond_with=self.respond_to)
        self.rejected = 0

    def respond_to(self, handler):
        date = handler.headers.get("x-amz-date", "")
        stamp = time.mktime(time.strptime(date, "%Y%m%dT%H%M%SZ")) - time.timezone if date else 0
        if abs(stamp - (time.time() + self.skew)) > 900:
            self.rejected += 1
            body = b"<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large.</Message></Error>"
            return handler.respond(403, b"" if handler.command == "HEAD" else body)
        handler.usual()


def clock_skew(binary, running, options):
    """A target with a wrong clock: the proxy learns its time from its responses, and no client gets a 403."""
    skew_name = 'blobfish_target_clock_skew_seconds{target="a"}'
    for skew in (3600, -7200):
        for make in (Boto3, CosPython, Oss2V4):
            with Late(skew) as back:
                back.objects["one"] = {"body": b"x" * 100, "etag": hashlib.md5(b"x" * 100).hexdigest(), "at": time.time(),
                                       "metadata": {"Content_Type": "text/plain"}, "tags": ""}
                proxy = running.proxy(binary, config(back.port))
                client = make(proxy.port, servers.KEY, servers.SECRET)
                # A read is retried immediately with the right date.
                assert client.head(BUCKET, "one")["length"] == 100
                assert back.rejected == 1 and metric(proxy, skew_name) in range(skew - 3, skew + 4)
                assert client.get(BUCKET, "one")["body"] == b"x" * 100
                client.put(BUCKET, "two", b"y")
                client.delete(BUCKET, "two")
                assert back.rejected == 1, "the next requests have the right date"
                assert len(log_lines(proxy, "signed with the target's time")) == 1
                # The clock is corrected, and the proxy learns that too.
                back.skew = 0
                result = [attempt(client.put, BUCKET, "three", b"z") for _ in range(3)]
                assert result[-1] is None and 403 not in result, result
                assert metric(proxy, skew_name) == 0
                servers.Process.stop(proxy)
    with Late(3600) as back:
        proxy = running.proxy(binary, config(back.port))
        client = Boto3(proxy.port, servers.KEY, servers.SECRET)
        result = [attempt(client.put, BUCKET, "one", b"z") for _ in range(2)]
        assert result == [503, None], f"a write is not sent twice, and the client may retry it: {result}"
    with Careless(respond_with=lambda handler: handler.respond(403, b"<Error><Code>AccessDenied</Code></Error>")) as back:
        proxy = running.proxy(binary, config(back.port))
        expect_error(403, Boto3(proxy.port, servers.KEY, servers.SECRET).get, BUCKET, "one")
    print("  2 clocks, 3 dialects: 1 rejection each, and no 403 for a client")


def attempt(call, *arguments):
    try:
        call(*arguments)
        return None
    except CallError as error:
        return error.status


def aborted_uploads(binary, running, options):
    """An aborted upload resets the connection to the target, so that the target does not store it."""
    ends = []

    def serve(connection, head):
        connection.settimeout(10)
        try:
            while connection.recv(65536):
                pass
            ends.append("closed")
        except ConnectionResetError:
            ends.append("reset")

    proxy = running.proxy(binary, config(Raw(serve).port))
    client = Boto3(proxy.port, servers.KEY, servers.SECRET)
    path = client.presigned("PUT", BUCKET, "one").split(str(proxy.port), 1)[1]
    for sent in (b"x", b"x" * 100, b"x" * 200_000):
        with socket.create_connection(("127.0.0.1", proxy.port)) as one:
            one.sendall(f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{proxy.port}\r\nContent-Length: 1000000\r\n\r\n".encode() + sent)
            time.sleep(0.5)
    # An upload without enough bytes for verification is not started at the target.
    time.sleep(1)
    print(f"  {len(ends)} of 3 were started: {ends}")
    assert ends and set(ends) == {"reset"}, ends


def lost_response(binary, running, options):
    """An upload that may exist without a known upload ID is counted, and logged with its key."""
    responses = [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<Initiate", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"]
    left = list(responses)
    proxy = running.proxy(binary, config(Raw(lambda connection, head: connection.sendall(left.pop(0))).port))
    client = Boto3(proxy.port, servers.KEY, servers.SECRET)
    for number in range(len(responses)):
        expect_error((500, 503), client.create_multipart, BUCKET, f"key-{number}")
    count = metric(proxy, 'blobfish_uploads_unconfirmed_total{target="a"}')
    result = log_lines(proxy, "response to CreateMultipartUpload was lost")
    print(f"  {count:.0f} of {len(responses)}")
    assert count == len(responses) == len(result)
    assert all(f"key-{number}" in line for number, line in enumerate(result)), result
    refusing = Raw(lambda connection, head: connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"))
    proxy = running.proxy(binary, config(refusing.port))
    expect_error(403, Boto3(proxy.port, servers.KEY, servers.SECRET).create_multipart, BUCKET, "key")
    assert metric(proxy, 'blobfish_uploads_unconfirmed_total{target="a"}') == 0


ANOTHER = ("AKIDANOTHER0001", "another-secret-0001")
LOAD = r"""
import socket, sys, threading, time
port, path, count, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
import selectors
request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
chosen, end, done = selectors.DefaultSelector(), time.monotonic() + seconds, 0
for _ in range(count):
    one = socket.create_connection(("127.0.0.1", port)); one.setblocking(False)
    chosen.register(one, selectors.EVENT_READ); one.send(request)
print("ready", flush=True)
while time.monotonic() < end:
    for key, _ in chosen.select(0.1):
        got = key.fileobj.recv(65536)
        if not got: sys.exit("closed")
        done += 1
        key.fileobj.send(request)
print(done, flush=True)
"""


def fairness(binary, running, options):
    """One caller sends requests continuously on 512 connections, another one sends a request now and then."""
    back = Raw(lambda connection, head: connection.sendall(response_head(1) + b"x") or True)
    callers = ['[[caller]]\nname = "%s"\naccess_key = "%s"\nsecret_key = "%s"\ngrants = [{ buckets = ["*"], access = "admin" }]\n'
               % (name, *key) for name, key in (("app", (servers.KEY, servers.SECRET)), ("another", ANOTHER))]
    proxy = running.proxy(binary, config(back.port, "[limits]\nconnections_per_address_max = 2000\n", ["\n".join(callers)]))

    def quantiles(seconds):
        took, end = [], time.monotonic() + seconds
        path = Boto3(proxy.port, *ANOTHER).presigned("GET", BUCKET, "one").split(str(proxy.port), 1)[1]
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
        while time.monotonic() < end:
            begun = time.monotonic()
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == 200, response.status
            response.read()
            took.append((time.monotonic() - begun) * 1000)
            time.sleep(0.01)
        took.sort()
        return took[len(took) // 2], took[int(len(took) * 0.99)]

    alone = quantiles(2)
    path = Boto3(proxy.port, servers.KEY, servers.SECRET).presigned("GET", BUCKET, "one").split(str(proxy.port), 1)[1]
    # Other load of the machine affects a percentile, so one round of three has to be fair.
    for _ in range(3):
        load = subprocess.Popen([sys.executable, "-c", LOAD, str(proxy.port), path, "512", "7"], stdout=subprocess.PIPE, text=True)
        try:
            assert load.stdout.readline().strip() == "ready"
            time.sleep(1.5)
            beside = quantiles(4)
            done = int(load.stdout.readline())
        finally:
            load.kill()
            load.wait()
        # Each of the 512 connections waits for the others.
        own = 512 / (done / 7) * 1000
        print(f"  alone {alone[0]:.1f} ms, p99 {alone[1]:.1f} ms; beside 512 connections with {done / 7:.0f} requests a second, "
              f"{own:.0f} ms each: {beside[0]:.1f} ms, p99 {beside[1]:.1f} ms")
        assert done > 500
        if beside[1] < own / 2:
            return
    raise AssertionError("the other caller waits for all of them")


CHECKS = [waiting_clients, immediate_forwarding, clients_that_do_not_read, connection_limit, dialect_of_the_host,
          clock_skew, aborted_uploads, lost_response, fairness]

if __name__ == "__main__":
    servers.main(__doc__, CHECKS)
