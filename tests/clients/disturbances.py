"""Isolation of clients: floods, slow bodies, large documents, replayed heads, failing objects. Each check measures their
cost, and the latency of another client. The last line has the counts."""

import base64
import contextlib
import hashlib
import http.client
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import servers
from careless import Careless
from live import metric
from refusals import S3, Cos, Oss, OssV4, Response, S3V2, send

BUCKET = "app-1250000000"
TOOLS = Path(__file__).resolve().parent / ".tools"
OTHER_KEY = "AKIDOTHER0001"
MIB = 1 << 20


def callers_config():
    names = [("app", servers.KEY), ("other", OTHER_KEY)]
    return [f'[[caller]]\nname = "{name}"\naccess_key = "{key}"\nsecret_key = "{servers.SECRET}"\n'
            'grants = [{ buckets = ["*"], access = "admin" }]\n' for name, key in names]


def careless(back, **more):
    """Returns the configuration table of a target for a server in this process."""
    rows = {"name": "back", "dialect": "s3", "endpoint": f"http://127.0.0.1:{back.port}", "region": "us-east-1", "addressing": "path",
            "access_key": "K", "secret_key": "S", **more}
    return "[[target]]\n" + "".join(f'{name} = {value if isinstance(value, int) else repr(value).replace(chr(39), chr(34))}\n'
                                    for name, value in rows.items())


def front(binary, running, back, more="", **target):
    text = servers.configuration([careless(back, **target)], callers=callers_config())
    return running.proxy(binary, text + more)


def state(proxy):
    return metric(proxy, 'blobfish_target_circuit_breaker_closed{target="back"}')


def memory(proxy, what="VmRSS"):
    text = Path(f"/proc/{proxy.child.pid}/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", text)[1]) / 1024


def cpu(proxy):
    fields = Path(f"/proc/{proxy.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def figures(**rows):
    print("   " + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in rows.items()), flush=True)


def signed_head(d, method, key, headers, query="", access_key=servers.KEY, bucket=BUCKET):
    """Returns the bytes of a signed request head."""
    host = d.host(bucket)
    signed = d.sign(method, host, bucket, key, query, dict(headers), b"", access_key, servers.SECRET, time.time())
    rows = {"Host": host, **{name: value for name, value in signed.items() if name.lower() != "host"}}
    target = f"/{key}" + (f"?{query}" if query else "")
    return f"{method} {target} HTTP/1.1\r\n".encode() + b"".join(f"{n}: {v}\r\n".encode() for n, v in rows.items()) + b"\r\n"


def read_until_silence(raw, wait=10):
    """Reads from a connection until it ends or sends nothing for `wait` seconds."""
    raw.settimeout(wait)
    got = b""
    with contextlib.suppress(OSError):
        while piece := raw.recv(65_536):
            got += piece
    return got


def status_of(got):
    return int(got.split(b" ", 2)[1]) if got.startswith(b"HTTP/1.1 ") else 0


class Prober:
    """Another client that reads continuously, and measures the duration of each read."""

    def __init__(self, port, key="probe"):
        self.d, self.key, self.times, self.stopped, self.failed = S3(port), key, [], False, []
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stopped:
            begun = time.monotonic()
            response = self.d.request("GET", BUCKET, self.key, access_key=OTHER_KEY)
            self.times.append(time.monotonic() - begun)
            if response.status != 200:
                self.failed.append(response.status)
            time.sleep(0.005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped = True
        self.thread.join()

    def p99(self):
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


RULES = ('<CORSConfiguration><CORSRule><AllowedOrigin>{}</AllowedOrigin><AllowedMethod>GET</AllowedMethod>'
         '<AllowedMethod>POST</AllowedMethod><AllowedMethod>PUT</AllowedMethod><ExposeHeader>ETag</ExposeHeader></CORSRule></CORSConfiguration>')


def preflight(port, d, origin="http://app.test", key="k", bucket=BUCKET, source="127.0.0.1"):
    rows = {"Host": d.host(bucket), "Origin": origin, "Access-Control-Request-Method": "GET"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20, source_address=(source, 0))
    connection.request("OPTIONS", f"/{key}", headers=rows)
    response = Response(connection.getresponse())
    connection.close()
    return response


def put_rules(d, origin="http://app.test"):
    body = RULES.format(origin).encode()
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    response = d.request("PUT", BUCKET, "", {"Content-MD5": md5, "Content-Type": "application/xml"}, body, "cors")
    assert response.status == 200, response.body


def preflights(binary, running, options):
    """200 preflights cause one signed request; changed rules apply immediately; a flood is rejected."""
    back = running.double("oss")
    proxy = running.proxy(binary, servers.configuration([servers.one_target("oss", back.port)]))
    for number, d in enumerate((Oss(proxy.port), Cos(proxy.port), S3(proxy.port))):
        source = f"127.0.1.{number}"  # One source address per dialect.
        if d.name == "oss":
            assert d.request("PUT", BUCKET, "").status == 200
        put_rules(d)
        before = len(back.ask("GET", "/requests"))
        result = [preflight(proxy.port, d, source=source) for _ in range(200)]
        assert {one.status for one in result} == {200}, {one.status for one in result}
        assert result[-1].headers["access-control-allow-origin"] == "http://app.test"
        sent = len(back.ask("GET", "/requests")) - before
        assert sent == 1, f"{sent} requests to the target"
        assert preflight(proxy.port, d, "http://other.test").status == 403
        # Rules that are changed through the proxy apply immediately.
        put_rules(d, "http://other.test")
        assert preflight(proxy.port, d, "http://other.test").status == 200
        assert preflight(proxy.port, d).status == 403
    # Concurrent preflights wait for one lookup.
    put_rules(S3(proxy.port))
    back.ask("POST", "/fault", {"times": 1000, "kind": "delay", "seconds": 0.5, "match": {"op": "GetBucketCors"}})
    before, result = len(back.ask("GET", "/requests")), []
    threads = [threading.Thread(target=lambda: result.append(preflight(proxy.port, S3(proxy.port)).status)) for _ in range(30)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    sent = len(back.ask("GET", "/requests")) - before
    assert sent == 1, (f"30 in parallel: {sent} requests to the target", back.ask("GET", "/requests")[before:], result)
    # Preflights for unknown buckets cause lookups only up to the limit.
    back.ask("POST", "/reset", {})
    before = len(back.ask("GET", "/requests"))
    result = [preflight(proxy.port, S3(proxy.port), bucket=f"no-{n}-1250000000").status for n in range(120)]
    lookups = len(back.ask("GET", "/requests")) - before
    assert lookups < 40 and result.count(503) > 80, (lookups, result.count(503))
    result = []
    begun = time.monotonic()
    while len(result) < 600:
        result.append(preflight(proxy.port, S3(proxy.port)).status)
    taken = time.monotonic() - begun
    assert taken > 3 or 503 in result, "a flood from one address is rejected"
    d = S3(proxy.port)
    assert d.request("PUT", BUCKET, "k", body=b"x").status == 200, "signed requests are served"
    figures(lookups_of_120_buckets=lookups, rejected_of_600=result.count(503), seconds=round(taken, 1))


def cors_headers_everywhere(binary, running, options):
    """Errors and the response to POST ?delete have CORS headers, as the bucket's rules require."""
    back = running.double("oss")
    proxy = running.proxy(binary, servers.configuration([servers.one_target("oss", back.port)]))
    assert Oss(proxy.port).request("PUT", BUCKET, "").status == 200
    body = b"<Delete><Object><Key>zz</Key></Object></Delete>"
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    for kind in (S3, S3V2, Cos, Oss, OssV4):
        d = kind(proxy.port)
        put_rules(d)
        origin = {"Origin": "http://app.test"}

        def check(what, response, status, allowed=True):
            result = response.headers.get("access-control-allow-origin")
            assert response.status == status, (d.name, what, response.status, response.body)
            assert result == ("http://app.test" if allowed else None), (d.name, what, result)
            if allowed and status >= 300:
                assert "origin" in response.headers["vary"].lower(), (d.name, what)

        check("404", d.request("GET", BUCKET, "gone", origin), 404)
        check("wrong key", d.request("GET", BUCKET, "k", origin, secret="wrong"), 403)
        check("unknown key", d.request("GET", BUCKET, "k", origin, access_key="AKIDNOBODY"), 403)
        check("unsigned", send(proxy.port, "GET", "/k", {"Host": d.host(BUCKET), **origin}), 403)
        check("delete", d.request("POST", BUCKET, "", {**origin, "Content-MD5": md5}, body, "delete"), 200)
        check("PUT", d.request("PUT", BUCKET, "k", origin, b"x"), 200)
        check("GET", d.request("GET", BUCKET, "k", origin), 200)
        check("another page", d.request("GET", BUCKET, "gone", {"Origin": "http://evil.test"}), 404, False)
        check("another method", d.request("DELETE", BUCKET, "gone", origin), 204, False)
        check("no page", d.request("GET", BUCKET, "gone"), 404, False)


def circuit_breaker(binary, running, options):
    """The failures of one caller do not open the circuit breaker; an unreachable target opens it for all callers."""
    broken = set()

    def respond(handler):
        key = handler.path.partition("?")[0].rpartition("/")[2]
        if "all" in broken or key in broken or ("cors" in broken and "cors" in handler.query):
            return handler.respond(500, b"<Error><Code>InternalError</Code><Message>broken</Message></Error>")
        handler.usual()

    with Careless(respond_with=respond) as back:
        proxy = front(binary, running, back, circuit_breaker_open_seconds=2)
        d = S3(proxy.port)
        assert d.request("PUT", BUCKET, "probe", body=b"x").status == 200
        served = lambda: d.request("GET", BUCKET, "probe", access_key=OTHER_KEY).status
        broken |= {"victim", *(f"v{n}" for n in range(30))}
        assert {d.request("GET", BUCKET, "victim").status for _ in range(50)} == {500}
        assert state(proxy) == 1 and served() == 200, "one object"
        assert {d.request("GET", BUCKET, f"v{n}").status for n in range(30)} == {500}
        assert state(proxy) == 1 and served() == 200, "many objects of one caller"
        broken.add("cors")
        result = {preflight(proxy.port, d, bucket=f"b{n}-1250000000").status for n in range(15)}
        assert result <= {403, 503} and state(proxy) == 1 and served() == 200, ("preflights", result)

        # Uploads that are too slow for the target, which aborts them.
        slow = []
        for n in range(15):
            slow.append(socket.create_connection(("127.0.0.1", proxy.port)))
            headers = {"Content-Length": "1000000", "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
            slow[-1].sendall(signed_head(d, "PUT", f"slow{n}", headers, access_key=(servers.KEY, OTHER_KEY)[n % 2]) + b"x" * 1000)
        reset_all_connections(back)
        assert {status_of(read_until_silence(raw)) for raw in slow} == {503}, "each client gets a response"
        [raw.close() for raw in slow]
        assert state(proxy) == 1 and served() == 200, "slow uploads"

        broken.add("all")
        for n in range(12):
            d.request("GET", BUCKET, f"k{n}", access_key=(servers.KEY, OTHER_KEY)[n % 2])
        assert state(proxy) == 0, "a target that fails for all callers"
        begun = time.monotonic()
        assert d.request("GET", BUCKET, "probe").status == 503 and time.monotonic() - begun < 0.5
        seen = len(back.seen)
        time.sleep(2.1)
        # A preflight is not the trial request.
        assert preflight(proxy.port, d, bucket="c-1250000000").status == 503 and len(back.seen) == seen
        broken.clear()
        assert served() == 200 and state(proxy) == 1, "one successful trial request closes it"

    dead = servers.free_ports(1)[0]
    back.port = dead
    proxy = front(binary, running, back)
    d = S3(proxy.port)
    result = [d.request("GET", BUCKET, "one").status for _ in range(12)]
    assert state(proxy) == 0 and result == [503] * 12, "the target does not listen"
    assert metric(proxy, 'blobfish_target_errors_total{kind="connect",target="back"}') == 10


def reset_all_connections(back):
    """Resets all connections of the target, as a target does when an upload is too slow."""
    time.sleep(1.2)
    for one in list(back.open_now):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
    time.sleep(0.05)


def documents(binary, running, options):
    """60 connections send most of a document, and the rest very slowly. Others are served, and the memory is released."""
    with Careless() as back:
        proxy = front(binary, running, back)
        d = S3(proxy.port)
        assert d.request("PUT", BUCKET, "probe", body=b"x").status == 200
        idle = memory(proxy)
        begin, size = b"<Delete><Object><Key>", 8 * MIB - 100_000
        connections = []
        with Prober(proxy.port) as prober:
            for _ in range(60):
                raw = socket.create_connection(("127.0.0.1", proxy.port))
                headers = {"Content-Length": str(8 * MIB), "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
                raw.sendall(signed_head(d, "POST", "", headers, "delete"))
                raw.settimeout(2)
                connections.append(raw)
            def fill(raw):
                with contextlib.suppress(OSError):
                    raw.sendall(begin + b"k" * size)
            threads = [threading.Thread(target=fill, args=(raw,)) for raw in connections]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            peak = 0
            for _ in range(10):
                peak = max(peak, memory(proxy))
                for raw in connections:
                    with contextlib.suppress(OSError):
                        raw.sendall(b"k")
                time.sleep(0.1)
            held = metric(proxy, "blobfish_buffered_bytes") / MIB
        result = []
        for raw in connections:
            raw.setblocking(False)
            with contextlib.suppress(OSError):
                result.append(status_of(raw.recv(65_536)))
        assert result.count(503) >= 50, result
        [raw.close() for raw in connections]
        end = time.monotonic() + 45
        while (after := memory(proxy)) - idle >= 40 and time.monotonic() < end:
            time.sleep(0.5)
        figures(idle=f"{idle:.0f} MiB", peak=f"{peak:.0f} MiB", held=f"{held:.0f} MiB", later=f"{after:.0f} MiB",
                rejected=result.count(503), p99_of_another=f"{prober.p99() * 1000:.1f} ms")
        assert held <= 64 and peak - idle < 160, (held, peak, idle)
        assert after - idle < 40, f"{after:.0f} MiB are still in use"
        assert not prober.failed, prober.failed
        assert metric(proxy, "blobfish_buffered_bytes") == 0


def replays(binary, running, options):
    """40 replays of one captured head of a chunked upload, by a client without the secret key."""
    with Careless() as back:
        proxy = front(binary, running, back)
        d = S3(proxy.port)
        assert d.request("PUT", BUCKET, "probe", body=b"x").status == 200
        idle = memory(proxy)
        for chunk, expected in ((16 * MIB, 400), (MIB, 0)):
            word = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
            headers = {"x-amz-content-sha256": word, "x-amz-decoded-content-length": str(chunk),
                       "Content-Encoding": "aws-chunked", "Content-Length": str(chunk + 200)}
            captured = signed_head(d, "PUT", "replayed", headers)
            connections = []
            for _ in range(40):
                raw = socket.create_connection(("127.0.0.1", proxy.port))
                raw.settimeout(3)
                with contextlib.suppress(OSError):
                    raw.sendall(captured + b"%x;chunk-signature=%s\r\n" % (chunk, b"0" * 64) + b"x" * (chunk - 1000))
                connections.append(raw)
            time.sleep(0.5)
            peak, held = memory(proxy), metric(proxy, "blobfish_buffered_bytes") / MIB
            result = [status_of(read_until_silence(raw, 0.3)) for raw in connections]
            assert set(result) <= {expected, 503}, result
            figures(chunk=f"{chunk // MIB} MiB", idle=f"{idle:.0f} MiB", peak=f"{peak:.0f} MiB", held=f"{held:.0f} MiB",
                    rejected=sum(one > 0 for one in result))
            assert peak - idle < 140 and held <= 64, (peak, idle, held)
            [raw.close() for raw in connections]
        assert not back.objects.keys() - {"probe"}
        assert d.request("PUT", BUCKET, "after", body=b"x").status == 200


def small_elements(binary, running, options):
    """8 MiB of <a/>, four in parallel: little CPU, little memory, and no effect on another client."""
    with Careless() as back:
        proxy = front(binary, running, back)
        d = S3(proxy.port)
        assert d.request("PUT", BUCKET, "probe", body=b"x").status == 200
        many = b"<Object><Key>k</Key></Object>" * 1001
        bodies = {"a": b"<Delete>" + b"<a/>" * (2 * MIB - 10) + b"</Delete>", "1001 objects": b"<Delete>" + many + b"</Delete>",
                  "a in an object": b"<Delete><Object>" + b"<a/>" * (2 * MIB - 20) + b"</Object></Delete>"}
        d.request("POST", BUCKET, "", {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, b"<a/>", "delete")
        with Prober(proxy.port) as prober:
            time.sleep(1)
            usual = prober.p99()
        idle = memory(proxy)
        for name, body in bodies.items():
            spent, result = cpu(proxy), []
            ask = lambda: result.append(d.request("POST", BUCKET, "", {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, body, "delete"))
            with Prober(proxy.port) as prober:
                threads = [threading.Thread(target=ask) for _ in range(4)]
                [thread.start() for thread in threads]
                peak = idle
                while any(thread.is_alive() for thread in threads):
                    peak = max(peak, memory(proxy))
                    time.sleep(0.005)
                [thread.join() for thread in threads]
            assert {(one.status, one.code) for one in result} == {(400, "MalformedXML")}, (name, result[0].status, result[0].body)
            figures(document=name, peak=f"+{peak - idle:.0f} MiB", cpu=f"{(cpu(proxy) - spent) / 4 * 1000:.0f} ms each",
                    usual_p99=f"{usual * 1000:.1f} ms", p99=f"{prober.p99() * 1000:.1f} ms")
            assert peak - idle < 120, f"{peak - idle:.0f} MiB for {name}"
        completes = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>e</ETag></Part>" for n in range(1, 10_002))
        body = f"<CompleteMultipartUpload>{completes}</CompleteMultipartUpload>".encode()
        response = d.request("POST", BUCKET, "k", {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, body, "uploadId=u")
        assert (response.status, response.code) == (400, "MalformedXML"), response.body


def large_documents(binary, running, options):
    """A document with a too large Content-Length is rejected before it is read, and a too slow one after a minute."""
    with Careless() as back:
        proxy = front(binary, running, back)
        for kind in (S3, Cos, Oss):
            d = kind(proxy.port)
            for query, size in (("delete", 64 * MIB), ("delete", 8 * MIB + 1), ("tagging", 2 * MIB)):
                method = "POST" if query == "delete" else "PUT"
                unsigned = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"} if kind is S3 else {}
                with socket.create_connection(("127.0.0.1", proxy.port)) as raw:
                    raw.sendall(signed_head(d, method, "", {"Content-Length": str(size), **unsigned}, query))
                    begun = time.monotonic()
                    raw.settimeout(5)
                    got = raw.recv(65_536)
                    assert status_of(got) == 400 and b"<Code>EntityTooLarge<" in got, (d.name, query, got)
                    assert b"\r\nConnection: close\r\n" in got and time.monotonic() - begun < 1
        assert not back.seen


def rejected_uploads(binary, running, options):
    """Clients can read the rejection of an upload that they are still sending, directly and through nginx."""
    with Careless() as back:
        proxy = front(binary, running, back)
        port = proxy.port

        def upload(port, size, pause=0.0):
            with socket.create_connection(("127.0.0.1", port)) as raw:
                raw.settimeout(20)
                head = (f"PUT /{BUCKET}/k HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {size}\r\n"
                        f"Authorization: AWS NOBODY:xx\r\nConnection: close\r\nDate: {time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime())}\r\n\r\n")
                sent = 0
                with contextlib.suppress(OSError):
                    raw.sendall(head.encode())
                    while sent < size:
                        raw.sendall(b"x" * min(65_536, size - sent))
                        sent += 65_536
                        time.sleep(pause)
                return status_of(read_until_silence(raw))

        for size, pause in ((1000, 0), (12 * MIB, 0), (48 * MIB, 0), (2 * MIB, 0.05)):
            result = [upload(port, size, pause) for _ in range(4)]
            assert result == [403] * 4, (size, result)
        # Reading is limited: an endless upload is closed.
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(f"PUT /{BUCKET}/k HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n".encode())
            sent = 0
            with contextlib.suppress(OSError):
                while sent < 400 * MIB:
                    raw.sendall(b"x" * MIB)
                    sent += MIB
        assert sent < 100 * MIB, f"{sent >> 20} MiB were read"
        begun = time.monotonic()
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(f"PUT /{BUCKET}/k HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n".encode())
            with contextlib.suppress(OSError):
                while time.monotonic() - begun < 30:
                    raw.sendall(b"x")
                    time.sleep(0.2)
        assert 5 < time.monotonic() - begun < 15, time.monotonic() - begun
        figures(endless=f"{sent >> 20} MiB", trickling=f"{time.monotonic() - begun:.0f} s")
        nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:{TOOLS}")
        if not nginx:
            print("   (no nginx here)")
            return
        with tempfile.TemporaryDirectory(prefix="blobfish-nginx-") as folder:
            listen = servers.free_ports(1)[0]
            for buffering in ("on", "off"):
                Path(folder, "nginx.conf").write_text(
                    f"user root; daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{ }}\n"
                    f"http {{ access_log off; client_max_body_size 0; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;\n"
                    f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
                    f"server {{ listen 127.0.0.1:{listen}; location / {{ proxy_pass http://127.0.0.1:{port}; proxy_http_version 1.1;\n"
                    f"proxy_set_header Host $http_host; proxy_request_buffering {buffering}; }} }} }}\n")
                child = subprocess.Popen([nginx, "-p", folder, "-c", f"{folder}/nginx.conf"], stderr=subprocess.DEVNULL)
                try:
                    servers.wait_for(lambda: servers.connects(listen), 5, "nginx")
                    result = [upload(listen, 12 * MIB) for _ in range(8)]
                    assert result == [403] * 8, (buffering, result)
                finally:
                    child.send_signal(signal.SIGTERM)
                    child.wait()
            print("   nginx: 16 of 16 uploads get the 403")


def undecodable_names(binary, running, options):
    """Undecodable names, and invalid bucket names and keys, get the error code of the caller dialect."""
    with Careless() as back:
        proxy = front(binary, running, back)
        for kind, code in ((Cos, "InvalidURI"), (Oss, "InvalidArgument"), (OssV4, "InvalidArgument"), (S3, "InvalidURI")):
            d = kind(proxy.port)
            response = d.request("GET", BUCKET, "", spoil=lambda target, headers: target + "?prefix=%ff")
            assert (response.status, response.code) == (400, code), (d.name, response.body)
            assert any(name.startswith(d.prefix) for name in response.headers), (d.name, response.headers)
            response = d.request("PUT", BUCKET, "a\0b", body=b"x")
            assert response.status == 400, (d.name, response.body)
        raw = http.client.HTTPConnection("127.0.0.1", proxy.port)
        d = S3(proxy.port)
        host = f"127.0.0.1:{proxy.port}"
        for bucket in ("wild-x..y", "wild-x.", "a...b"):
            headers = d.sign("GET", host, "", f"{bucket}/k", "", {}, b"", servers.KEY, servers.SECRET, time.time())
            raw.request("GET", f"/{bucket}/k", headers={**headers, "Host": host})
            response = raw.getresponse()
            body = response.read()
            assert response.status == 400 and b"InvalidBucketName" in body, body
        assert not back.seen


def headers_that_are_not_utf8(binary, running, options):
    """A header has a byte that is not UTF-8 where U+FFFD was signed: S3 V4 and V2, COS, OSS V1 and V4."""
    with Careless() as back:
        proxy = front(binary, running, back)
        for kind in (S3, S3V2, Cos, Oss, OssV4):
            d = kind(proxy.port)
            name = f"{d.prefix}meta-a"
            for sent, status in (("a\ufffdb".encode(), 200), (b"a\xffb", 403), (b"a\xfeb", 403), (b"a\xe2\x82b", 403)):
                # http.client writes Latin-1, so each character becomes one byte.
                def replace_header(target, headers):
                    for own in headers:
                        if own.lower() == name:
                            headers[own] = sent.decode("latin-1")
                signed = {name: "a\ufffdb"}
                response = d.request("PUT", BUCKET, f"{d.name}-k", signed, b"x", spoil=replace_header)
                assert response.status == status, (d.name, sent, response.status, response.body)


def ambiguous_framing(binary, running, options):
    """Responses of targets with ambiguous framing are rejected; no URL of a target is sent to a client."""
    def respond_with_listing(handler, declaration):
        handler.respond(200, declaration + b"<ListBucketResult><Name>" + BUCKET.encode() + b"</Name><Prefix/><MaxKeys>1000</MaxKeys>"
                        b"<IsTruncated>false</IsTruncated></ListBucketResult>", Content_Type="application/xml")

    def old(handler):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nETag: \"e\"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        handler.close_connection = True

    def new(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: \"e\"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")

    current = {"respond": None}
    with Careless(respond_with=lambda handler: current["respond"](handler)) as back:
        proxy = front(binary, running, back)
        d = S3(proxy.port)
        current["respond"] = new
        response = d.request("GET", BUCKET, "k")
        assert (response.status, response.body) == (200, b"hello"), "the positive control"
        current["respond"] = old
        assert d.request("GET", BUCKET, "k").status == 500
        for encoding, status in (("UTF-8", 200), ("UTF-7", 500), ("ISO-8859-1", 500)):
            current["respond"] = lambda handler: respond_with_listing(handler, f'<?xml version="1.0" encoding="{encoding}"?>'.encode())
            assert d.request("GET", BUCKET, "").status == status, encoding
        where = "http://secret-target.internal/b/k"
        current["respond"] = lambda handler: handler.respond(200, b"", ETag='"e"', Location=where, Content_Location=where)
        for kind in (S3, Cos, Oss):
            for method, body in (("PUT", b"x"), ("HEAD", b""), ("DELETE", b"")):
                response = kind(proxy.port).request(method, BUCKET, "k", body=body)
                assert not any("secret-target" in value for value in response.headers.values()), response.headers
        current["respond"] = lambda handler: handler.respond(307, b"<Error><Code>TemporaryRedirect</Code></Error>", Location=where)
        for method in ("PUT", "GET", "DELETE"):
            response = d.request(method, BUCKET, "k", body=b"x" if method == "PUT" else b"")
            assert "secret-target" not in str(response.headers) + response.body.decode(), response.headers


def http2_floods(binary, running, options):
    """A flood of empty frames gets GOAWAY with ENHANCE_YOUR_CALM; other connections of the same address are not affected."""
    from tls import context, own_authority, start_https

    with own_authority() as ca:
        ca.issue("main", ["blobfish.internal"])
        proxy = start_https(binary, running, ca.pair("main"))

        def connect():
            raw = socket.create_connection(("127.0.0.1", proxy.https), 10)
            tls = context(ca.ca, ["h2"]).wrap_socket(raw, server_hostname="blobfish.internal")
            tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, b""))
            return tls

        def frame(kind, flags, content, stream=0):
            return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content

        floods = {"SETTINGS": frame(4, 0, b"\0\4\0\0\x80\0"), "PING": frame(6, 0, b"12345678"), "PRIORITY": frame(2, 0, b"\0\0\0\0\1", 3)}
        for name, piece in floods.items():
            tls = connect()
            quiet = connect()
            sent = 0
            tls.settimeout(5)
            with contextlib.suppress(OSError):
                while sent < 50_000:
                    tls.sendall(piece * 100)
                    sent += 100
            got = b""
            with contextlib.suppress(OSError):
                while more := tls.recv(65_536):
                    got += more
            # GOAWAY with ENHANCE_YOUR_CALM is the last frame, after few acknowledgements.
            assert got[-17:-8] == frame(7, 0, b"12345678")[:9] and got.endswith(b"\x00\x00\x00\x0b"), (name, got[-40:])
            responses = got.count(frame(6, 1, b"12345678")) + got.count(frame(4, 1, b""))
            assert responses <= 210, f"{name}: {responses} acknowledgements"
            begun = time.monotonic()
            with contextlib.suppress(OSError):
                while time.monotonic() - begun < 10:
                    tls.sendall(piece)
                    time.sleep(0.02)
            assert time.monotonic() - begun < 3, f"{name}: the connection is still there"
            quiet.sendall(frame(6, 0, b"positive"))
            quiet.settimeout(5)
            response = b""
            while b"positive" not in response:
                response += quiet.recv(65_536)
            figures(flood=name, acknowledgements=responses)
            quiet.close()


def config_file_permissions(binary, running, options):
    """`blobfish check` warns of a configuration file with secrets that other users may read."""
    text = servers.configuration([servers.one_target("oss", 1)]).replace("{port}", "9000").replace("{admin}", "9090")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "blobfish.toml")
        secret = Path(folder, "secret")
        secret.write_text("x" * 20)
        secret.chmod(0o600)
        from_file = re.sub(r'secret_key = "[^"]*"', f'secret_key = {{ file = "{secret}" }}', text)
        for what, content, mode, warns in (("open", text, 0o644, True), ("own", text, 0o600, False), ("group", text, 0o640, False),
                                           ("no secret", from_file, 0o644, False)):
            path.write_text(content)
            path.chmod(mode)
            done = subprocess.run([binary, "check", "--config", str(path)], capture_output=True, text=True)
            if done.returncode == 2:
                done = subprocess.run([binary, "check", str(path)], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert ("contains a secret" in done.stderr) == warns, (what, done.stderr)
            assert servers.SECRET not in done.stderr


ALL = [preflights, cors_headers_everywhere, circuit_breaker, documents, replays, small_elements, large_documents,
       rejected_uploads, undecodable_names, headers_that_are_not_utf8, ambiguous_framing, http2_floods,
       config_file_permissions]


if __name__ == "__main__":
    servers.main(__doc__, ALL)
