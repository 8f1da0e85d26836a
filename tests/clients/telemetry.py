"""Telemetry: the access log in both formats, traces, and metrics with their documented names. The last line has the counts."""

import contextlib
import http.client
import json
import re
import signal
import tempfile
import time
from pathlib import Path

import cos_clients
import oss_clients
import refusals
import s3_clients
import servers
from api import CallError
from collector import Collector
from live import Changeable, metric
from operations import authority
from scenarios import expect_error

BUCKET = "telemetry-1250000000"
FORGED = 'k" status=200 x="\r\n{"id":"forged","status":200}\nid=forged status=200\x85\u2028\x7f\\'


def lines_of(proxy, is_line):
    """The lines of the logs, split at every line separator of Unicode."""
    return [line for line in servers.read_log(proxy).splitlines() if is_line(line)]


def pairs(line):
    """Parses a line of logfmt; values are unquoted, or JSON strings."""
    found, at = {}, 0
    while at < len(line):
        name, at = line[at:line.index("=", at)], line.index("=", at) + 1
        if line[at] == '"':
            value, at = json.JSONDecoder().raw_decode(line, at)
        else:
            end = line.find(" ", at) if " " in line[at:] else len(line)
            value, at = line[at:end], end
        assert name not in found and re.fullmatch("[a-z_]+", name) and line[at:at + 1] in ("", " "), line
        found[name], at = value, at + 1
    return found


def logs(binary, running, options):
    """Both formats have the same fields, a reload switches between them, and a malicious key cannot forge fields."""
    live = Changeable(binary, running)
    live.client.create_bucket(BUCKET)

    def list_exported():
        live.client.put(BUCKET, "a key", b"hello")
        with contextlib.suppress(CallError):
            live.client.put(BUCKET, FORGED, b"x")
        time.sleep(0.3)

    list_exported()
    rows = [json.loads(line) for line in lines_of(live.proxy, lambda line: line.startswith("{"))]
    live.rewrite_and_wait(live.first + '[log]\nformat = "logfmt"\n')
    list_exported()
    again = [pairs(line) for line in lines_of(live.proxy, lambda line: line.startswith("time="))]
    assert [row["operation"] for row in rows] == ["CreateBucket", "PutObject", "PutObject"], rows
    assert [row["operation"] for row in again] == ["PutObject", "PutObject"], again
    for before, after in zip(rows[1:], again, strict=True):
        assert list(before) == list(after), f"not the same fields in the same order: {before}, {after}"
        differing = {name for name in before if str(before[name]) != after[name]}
        assert differing <= {"time", "id", "ms", "target_request_id"}, differing
    assert rows[1]["key"] == "a key" and rows[2]["key"].startswith('k" status=200 x="\\r\\n{"id":"forged"'), rows
    assert not any("forged" in row["id"] for row in rows + again)


def log_level(binary, running, options):
    """A reload changes the log level."""
    live = Changeable(binary, running)
    live.client.create_bucket(BUCKET)

    def is_logged(words):
        before = len(lines_of(live.proxy, lambda line: "configuration reloaded" in line))
        live.rewrite_and_wait(live.first + f"[log]\n{words}\n")
        time.sleep(0.1)
        return len(lines_of(live.proxy, lambda line: "configuration reloaded" in line)) > before

    assert is_logged("") and not is_logged('level = "warn"') and is_logged('level = "debug"')


CLIENTS = (s3_clients.Boto3, cos_clients.CosPython, oss_clients.Oss2V4)
THEIRS = "0af7651916cd43dd8448eb211c80319c"


def traces(collector, *more):
    """The configuration for a collector."""
    return "\n".join(["[traces]", f'endpoint = "{collector.url}"', *more, ""])


def wait_for_spans(collector, count, kind="server"):
    """Waits for so many spans of a kind, and returns all spans."""
    def received_spans():
        return [span for span in collector.spans() if span.kind == kind]

    servers.wait_for(lambda: len(received_spans()) >= count, 8, f"{count} spans, of {len(received_spans())}")
    return collector.spans()


def log_of(proxy):
    time.sleep(0.2)  # A line is written after its response.
    return [json.loads(line) for line in lines_of(proxy, lambda line: line.startswith("{"))]


def send_trace_context(client, parent, state=None):
    """Makes a client send unsigned trace context headers."""
    def add_trace_headers(request, **_):
        request.headers["traceparent"] = parent
        if state:
            request.headers["tracestate"] = state

    client.sdk.meta.events.register("before-send.s3", add_trace_headers)


def spans(binary, running, options):
    """Each request has a span and each exchange has a child span, in every dialect, with the fields of the access log; targets
    get the trace context in a header that does not invalidate the signature."""
    with Collector() as collector:
        for vendor in ("cos", "oss", "jdcloud"):
            back = running.double(vendor)
            target = servers.one_target(vendor, back.port)
            proxy = running.proxy(binary, traces(collector, "propagate = true") + servers.configuration([target]))
            clients = [make(proxy.port, servers.KEY, servers.SECRET) for make in CLIENTS]
            clients[0].create_bucket(BUCKET)
            for client in clients:
                client.put(BUCKET, "folder/an object", b"hello")
                client.copy(BUCKET, "folder/an object", BUCKET, "copy")
                assert client.get(BUCKET, "copy")["body"] == b"hello"
                expect_error(404, client.get, BUCKET, "missing")
            expect_error(403, s3_clients.Boto3(proxy.port, servers.KEY, "wrong").get, BUCKET, "copy")
            count = 2 + 4 * len(clients)
            everything = wait_for_spans(collector, count)
            mine = [span for span in everything if span.kind == "server"]
            assert len(mine) == count, len(mine)
            for line in log_of(proxy):
                [span] = [span for span in mine if span["blobfish.request_id"] == line["id"]]
                assert span.trace == line["trace_id"] and not span.parent and not span.links, span
                operation = line.get("operation")
                assert span.name == (f"{line['method']} {operation}" if operation else line["method"]), span
                assert span["http.request.method"] == line["method"] and span["url.scheme"] == "http"
                assert span["http.response.status_code"] == line["status"] and span["blobfish.key"] == line.get("key")
                assert (span["http.request.body.size"], span["http.response.body.size"]) == (line["bytes_in"], line["bytes_out"])
                assert span["server.port"] == proxy.port and span["server.address"]
                assert span.resource["service.name"] == "blobfish" and span.seconds > 0
                if not operation:
                    assert line["status"] == 403 and span["url.path"] is None, "the span of an unauthenticated request has no path"
                    continue
                below = [span for span in everything if span.trace == line["trace_id"] and span.kind == "client"]
                assert len(below) == span["blobfish.exchanges"] >= 1, (line, below)
                for one in below:
                    assert one.parent == span.id and one.name == one["http.request.method"], one
                    assert one["blobfish.target"] == vendor and one["server.port"] == back.port, one
                    assert one["url.full"].startswith("http://") and "?" not in one["url.full"], one
                    assert one["http.response.status_code"] >= 200 and (one.status == 2) == (one["http.response.status_code"] >= 400)
            for request in back.ask("GET", "/requests"):
                version, trace, parent, flags = request["headers"]["traceparent"].split("-")
                [span] = [span for span in everything if span.id == parent]
                assert (version, flags, span.trace) == ("00", "01", trace) and request["verified"], request
            collector.exports.clear()
        assert set(collector.paths) == {"/v1/traces"}


def tracing_off(binary, running, options):
    """Without the settings no trace context is sent, and the trace context of clients is not propagated."""
    live = Changeable(binary, running)
    send_trace_context(live.client, f"00-{THEIRS}-b7ad6b7169203331-01", "theirs=1")
    live.client.create_bucket(BUCKET)
    assert "trace_id" not in log_of(live.proxy)[0]
    with Collector() as collector:
        live.rewrite_and_wait(traces(collector) + live.first)
        live.client.put(BUCKET, "k", b"x")
        [span] = [span for span in wait_for_spans(collector, 1) if span.kind == "server"]
        assert log_of(live.proxy)[-1]["trace_id"] == span.trace != THEIRS
        assert span.links == [THEIRS], "an untrusted trace is linked, not continued"
        live.rewrite_and_wait(live.first)
        live.client.put(BUCKET, "k", b"x")
        time.sleep(1.5)
        assert "trace_id" not in log_of(live.proxy)[-1] and len(wait_for_spans(collector, 1)) == 2
    assert not any("traceparent" in request["headers"] for request in live.back.ask("GET", "/requests"))


def trusted_traces(binary, running, options):
    """The trace of a trusted client is continued with its state and sampling decision; an invalid trace context is ignored."""
    with Collector() as collector:
        back = running.double("oss")
        text = traces(collector, "trust_incoming_context = true", "propagate = true", "sample_ratio = 0")
        proxy = running.proxy(binary, text + servers.configuration([servers.one_target("oss", back.port)]))

        def put(parent, state=None):
            client = s3_clients.Boto3(proxy.port, servers.KEY, servers.SECRET)
            if parent:
                send_trace_context(client, parent, state)
            client.put(BUCKET, "k", b"x")
            return back.ask("GET", "/requests")[-1]["headers"]

        s3_clients.Boto3(proxy.port, servers.KEY, servers.SECRET).create_bucket(BUCKET)
        theirs = put(f"00-{THEIRS}-b7ad6b7169203331-01", "theirs=1,other=2")
        assert theirs["traceparent"].startswith(f"00-{THEIRS}-") and theirs["traceparent"].endswith("-01"), theirs
        assert theirs["tracestate"] == "theirs=1,other=2", theirs
        refused_to = put(f"00-{THEIRS}-b7ad6b7169203331-00")
        assert refused_to["traceparent"].startswith(f"00-{THEIRS}-") and refused_to["traceparent"].endswith("-00")
        for parent in (None, "nonsense", f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-{THEIRS}-b7ad6b7169203331-01-extra"):
            own = put(parent)
            assert THEIRS not in own["traceparent"] and own["traceparent"].endswith("-00"), (parent, own)
        everything = wait_for_spans(collector, 1)
        time.sleep(1.5)
        assert len(everything) == len(collector.spans()) == 2, "only the request that its client sampled, and its exchange"
        [span] = [span for span in everything if span.kind == "server"]
        assert (span.trace, span.parent, span.state) == (THEIRS, "b7ad6b7169203331", "theirs=1,other=2"), span


def sampling(binary, running, options):
    """A share of the requests is sampled, each as a complete trace."""
    with Collector() as collector:
        back = running.double("oss")
        text = traces(collector, "sample_ratio = 0.5") + servers.configuration([servers.one_target("oss", back.port)])
        proxy = running.proxy(binary, text)
        client = s3_clients.Boto3(proxy.port, servers.KEY, servers.SECRET)
        client.create_bucket(BUCKET)
        for _ in range(100):
            client.put(BUCKET, "k", b"x")
        proxy.child.send_signal(signal.SIGTERM)
        assert proxy.child.wait(20) == 0
        everything = collector.spans()
        mine = {span.trace for span in everything if span.kind == "server"}
        assert 25 <= len(mine) <= 75, len(mine)
        assert {span.trace for span in everything if span.kind == "client"} == mine
        assert len({line["trace_id"] for line in log_of(proxy)}) == 101, "every line has a trace ID"


def headers(binary, running, options):
    """Configured headers are sent to the collector, and appear nowhere else."""
    with Collector() as collector:
        secret, back = "collector-secret-0001", running.double("oss")
        more = f'headers = [{{ name = "X-Api-Key", value = "{secret}" }}]'
        text = traces(collector, more).replace(collector.url, collector.url + "/own/path")
        proxy = running.proxy(binary, text + servers.configuration([servers.one_target("oss", back.port)]))
        s3_clients.Boto3(proxy.port, servers.KEY, servers.SECRET).create_bucket(BUCKET)
        wait_for_spans(collector, 1)
        assert {name.lower(): value for name, value in collector.heads[0].items()}["x-api-key"] == secret
        assert collector.paths == ["/own/path"]
        assert secret not in proxy.log.read_text() and secret.encode() not in collector.exports[0]


def exporter_tls(binary, running, options):
    """Nothing is sent to a collector before its certificate chain and name are verified."""
    back = running.double("oss")
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        ca, cert, key = authority(folder, ["collector.localhost"])
        _, misnamed, misnamed_key = authority(other, ["elsewhere.localhost"])
        wrong_ca = str(Path(other, "ca.pem"))
        for good, trusted, cert, key in ((True, ca, cert, key), (False, None, cert, key), (False, wrong_ca, cert, key),
                                         (False, wrong_ca, misnamed, misnamed_key)):
            with Collector(cert=cert, key=key) as collector:
                more = [f'ca = "{trusted}"'] if trusted else []
                target = servers.one_target("oss", back.port)
                proxy = running.proxy(binary, traces(collector, *more) + servers.configuration([target]))
                s3_clients.Boto3(proxy.port, servers.KEY, servers.SECRET).call("list_buckets")
                if good:
                    wait_for_spans(collector, 1)
                else:
                    servers.wait_for(lambda: count_dropped(proxy) >= 1, 10, "a span that is not sent")
                    assert not collector.exports and not collector.paths


def count_dropped(proxy):
    return metric(proxy, "blobfish_traces_dropped_total")


def unavailable_collector(binary, running, options):
    """An unavailable, busy or silent collector does not slow requests; dropped spans are counted; a collector that recovers is
    used again."""
    back = running.double("oss")
    target = servers.one_target("oss", back.port)
    for status in (None, 503, "silent", 400):
        with Collector(status) as collector:
            if status is None:
                collector.server.server_close()
            proxy = running.proxy(binary, traces(collector) + servers.configuration([target]))
            client = s3_clients.Boto3(proxy.port, servers.KEY, servers.SECRET)
            client.create_bucket(BUCKET) if not back.ask("GET", f"/objects/{BUCKET}") else None
            slowest = 0
            for _ in range(30):
                begun = time.monotonic()
                client.put(BUCKET, "k", b"x")
                slowest = max(slowest, time.monotonic() - begun)
            assert slowest < 1, (status, slowest)
            if status == 400:
                servers.wait_for(lambda: count_dropped(proxy) >= 60, 8, "rejected spans")
                logged = lines_of(proxy, lambda line: "trace collector" in line)
                assert len(logged) == 1 and "responds with status 400" in logged[0], logged
                collector.status = 200
                client.put(BUCKET, "k", b"x")
                wait_for_spans(collector, 1)
                servers.wait_for(lambda: "accepts spans again" in proxy.log.read_text(), 3, "the collector to be used again")
            if status == 503:
                servers.wait_for(lambda: len(collector.exports) >= 3, 8, "a retry")
                assert len(set(collector.exports)) < len(collector.exports), "the retry sends the same spans"
                servers.wait_for(lambda: count_dropped(proxy) >= 1, 8, "dropped spans")
            begun = time.monotonic()
            proxy.child.send_signal(signal.SIGTERM)
            assert proxy.child.wait(20) == 0
            assert time.monotonic() - begun < 6, (status, time.monotonic() - begun)


def full_queue(binary, running, options):
    """When the queue is full, spans are dropped and counted, and requests continue."""
    back = running.double("oss")
    with Collector("silent") as collector:
        proxy = running.proxy(binary, traces(collector) + servers.configuration([servers.one_target("oss", back.port)]))
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
        for _ in range(6000):
            connection.request("GET", "/bucket/key")
            response = connection.getresponse()
            response.read()
            assert response.status in (400, 403), response.status
        assert count_dropped(proxy) > 500, count_dropped(proxy)


def parts(binary, running, options):
    """A copy with many parts has spans for some exchanges, and the number of all of them."""
    with Collector() as collector:
        back = running.double("oss")
        limits = "[limits]\ncopy_part_bytes = 16_777_216\ncopy_concurrency = 8\n"
        text = traces(collector) + limits + servers.configuration([servers.one_target("oss", back.port)])
        proxy = running.proxy(binary, text)
        client = s3_clients.Boto3(proxy.port, servers.KEY, servers.SECRET)
        client.create_bucket(BUCKET)
        client.put(BUCKET, "large", b"x")
        back.ask("POST", "/claim", {"bucket": BUCKET, "key": "large", "size": 5 * 1024 ** 3})
        client.copy(BUCKET, "large", BUCKET, "copy")
        everything = wait_for_spans(collector, 3)
        [copy] = [span for span in everything if span.name == "PUT CopyObject"]
        below = [span for span in everything if span.trace == copy.trace and span.kind == "client"]
        assert copy["blobfish.exchanges"] > 320 and len(below) == 256, (copy, len(below))


def read_documented():
    """The metrics in docs/metrics.md, each with its labels."""
    rows = re.findall(r"^\| `(blobfish_\w+)` \|([\w, ]*)\|", (servers.TESTS.parent / "docs/metrics.md").read_text(), re.M)
    return {name: set(labels.replace(",", " ").split()) for name, labels in rows}


def read_metrics(proxy):
    """The metrics of a proxy, each with its labels; the series of a histogram count as one."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.admin, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    histograms = set(re.findall(r"^# TYPE (\w+) histogram$", text, re.M))
    found = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.M):
        whole = re.sub("_(bucket|sum|count)$", "", name)
        name = whole if whole in histograms else name
        found.setdefault(name, set()).update(set(re.findall(r'(\w+)="', labels)) - {"le"})
    return {name: labels for name, labels in found.items() if name.startswith("blobfish_")}


def metrics(binary, running, options):
    """Exactly the documented metrics exist, with their labels."""
    live = Changeable(binary, running)
    back, s3 = live.back, live.client
    s3.create_bucket(BUCKET)
    s3.put(BUCKET, "k", b"x")
    s3.copy(BUCKET, "k", BUCKET, "copy")
    expect_error(501, s3.put, BUCKET, "k", b"x", storage_class="ONEZONE_IA")
    expect_error(400, s3.call, "put_object", Bucket=BUCKET, Key="k", Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    back.ask("POST", "/fault", {"match": {"op": "put"}, "kind": "reset", "times": 1})
    expect_error((500, 503), s3.put, BUCKET, "k", b"x")
    refusals.Cos(live.proxy.port).request("PUT", BUCKET, "k", body=b"x", spoil=lambda _, head: head.update({"x-cos-meta-a": "1"}))
    live.rewrite_and_wait(live.first + "\n# another\n")
    rows, exist = read_documented(), read_metrics(live.proxy)
    assert len(rows) > 20 and rows == exist, set(map(str, rows.items())) ^ set(map(str, exist.items()))


ALL = [metrics, logs, log_level, spans, tracing_off, trusted_traces, sampling, headers, exporter_tls,
       unavailable_collector, full_queue, parts]


if __name__ == "__main__":
    servers.main(__doc__, ALL)
