"""Copies that a target cannot make alone: between two targets, and of objects above a target's limit. Every pair of targets,
sizes around the limits, keys, conditions, and errors of both targets: afterwards the destination has the whole object or
nothing, and no multipart upload is left. The last line has the counts."""

import argparse
import hashlib
import http.client
import json
import os
import re
import sys
import time
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import servers
from api import CallError, http_date
from botocore.exceptions import ReadTimeoutError
from cos_clients import CosPython
from oss_clients import Oss2V4
from s3_clients import Boto3
from scenarios import HOSTILE_KEYS, PART, TARGET_CANNOT, expect_error

KINDS = ("seaweedfs", "cos", "oss", "jdcloud")
CALLERS = {"s3": Boto3, "cos": CosPython, "oss": Oss2V4}
MIB = 1024 * 1024


class Pair:
    """A proxy in front of two targets: buckets `src-...` are at the first, `dst-...` at the second."""

    def __init__(self, started, binary, source, target, *more, limits="", bucket="", names=("first", "second"), keys={}):
        self.kinds = source, target
        self.backs = [started.seaweedfs() if kind == "seaweedfs" else started.double(kind, *more) for kind in self.kinds]
        targets = [servers.one_target(kind, back.port, name, **keys) for kind, back, name in zip(self.kinds, self.backs, names)]
        buckets = [f'[[bucket]]\nname = "{name}-*"\ntarget = "{target}"\n{bucket}' for name, target in zip(("src", "dst"), names)]
        self.proxy = started.proxy(binary, servers.configuration(targets, buckets) + limits)
        self.names = [f"{name}-{uuid.uuid4().hex[:8]}-1250000000" for name in ("src", "dst")]

    def client(self, dialect="s3"):
        return CALLERS[dialect](self.proxy.port, servers.KEY, servers.SECRET)

    def begin(self):
        client = self.client()
        for bucket in self.names:
            client.create_bucket(bucket)
        return client, *self.names

    def metric(self, name):
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.admin, timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M))

    def list_running(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.admin, timeout=10)
        connection.request("GET", "/api/copies")
        result = json.loads(connection.getresponse().read())["copies"]
        connection.close()
        return result

    def fault(self, side, operation, kind, **more):
        self.backs[side].ask("POST", "/fault", {"match": {"op": operation}, "kind": kind, "times": 1, **more})

    def list_remaining(self, side, bucket):
        return self.backs[side].ask("GET", f"/uploads/{bucket}")


def bytes_of(size):
    return os.urandom(min(size, MIB)) * (size // MIB) + os.urandom(size % MIB) if size > MIB else os.urandom(size)


def whole_objects(pair, options):
    """Sizes on both sides of every limit, with copied and replaced metadata."""
    client, (source, target) = pair.client(), pair.names
    sizes = [0, 1, PART - 1, PART, 64 * MIB + 1] + ([1024 * MIB] if options.long else [])
    for size in sizes:
        body = bytes_of(size)
        client.put(source, "one", body, content_type="text/css", metadata={"owner": "me"})
        client.copy(source, "one", target, "two")
        result = client.get(target, "two")
        assert result["body"] == body, size
        assert (result["content_type"], result["metadata"]) == ("text/css", {"owner": "me"}), result
        client.copy(source, "one", target, "two", directive="REPLACE", metadata={"other": "1"}, content_type="text/html")
        result = client.head(target, "two")
        assert (result["content_type"], result["metadata"], result["length"]) == ("text/html", {"other": "1"}, size), result
    assert pair.metric("blobfish_copy_bytes_total") >= 2 * sum(sizes)


def conditions(pair, options):
    for dialect in CALLERS:
        client, (source, target) = pair.client(dialect), pair.names
        client.put(source, "held", b"x")
        result, other = client.head(source, "held"), '"' + "0" * 32 + '"'
        early, late = http_date(time.time() - 86_400), http_date(time.time() + 600)
        negative = 304 if dialect == "oss" else 412
        failing = [({"if_match": other}, 412), ({"if_none_match": result["etag"]}, negative),
                   ({"if_unmodified_since": early}, 412),
                   ({"if_modified_since": http_date(result["last_modified"])}, negative)]
        for given, status in failing:
            expect_error(status, client.copy, source, "held", target, "not made", conditions=given)
        expect_error(404, client.head, target, "not made")
        for given in ({"if_match": result["etag"]}, {"if_none_match": other}, {"if_modified_since": early}, {"if_unmodified_since": late}):
            client.copy(source, "held", target, "made " + dialect, conditions=given)
        assert client.get(target, "made " + dialect)["body"] == b"x"
        assert expect_error(404, client.copy, source, "nothing", target, "not made").code == "NoSuchKey"
        client.copy(target, "made " + dialect, source, "and back")
        assert client.get(source, "and back")["body"] == b"x"


def keys(pair, options):
    client, (source, target) = pair.client(), pair.names
    cannot = {key for kind in pair.kinds for key in TARGET_CANNOT.get(kind, [])}
    for key in HOSTILE_KEYS:
        if key not in cannot:
            body = key.encode()
            client.put(source, key, body)
            client.copy(source, key, target, key)
            assert client.get(target, key)["body"] == body, key


def tags(pair, options):
    client, (source, target) = pair.client(), pair.names
    client.put(source, "tagged", b"x", tags="a=1&b=c%20d")
    client.copy(source, "tagged", target, "tagged")
    assert client.head(target, "tagged")["tags"] == 2
    client.copy(source, "tagged", target, "tagged", tags="only=1")
    assert client.head(target, "tagged")["tags"] == 1


def parts(pair, options):
    """Part copies from another target, with ranges, into an upload of the caller."""
    for dialect in CALLERS:
        client, (source, target) = pair.client(dialect), pair.names
        body = os.urandom(PART + 1000)
        client.put(source, "whole", body)
        upload = client.create_multipart(target, "put together")
        etags = [(1, client.upload_part_copy(source, "whole", target, "put together", upload, 1)),
                 (2, client.upload_part_copy(source, "whole", target, "put together", upload, 2, (10, 1009)))]
        other = {"if_match": '"' + "0" * 32 + '"'}
        expect_error(412, client.upload_part_copy, source, "whole", target, "put together", upload, 3, conditions=other)
        assert [(number, size) for number, _, size in client.list_parts(target, "put together", upload)] == [(1, len(body)), (2, 1000)]
        client.complete(target, "put together", upload, etags)
        assert client.get(target, "put together")["body"] == body + body[10:1010]


def overwriting(pair, options):
    """Copies between targets respect the condition If-None-Match at the destination, or are rejected."""
    client, (source, target) = pair.client(), pair.names
    client.put(source, "new", bytes_of(64 * MIB + 5))
    client.put(target, "there", b"precious")
    status = 501 if pair.kinds[1] == "jdcloud" else 412
    for key in ("there", "small"):
        client.put(source, "small", b"s")
    for made in ("new", "small"):
        try:
            client.sdk.copy_object(Bucket=target, Key="there", CopySource={"Bucket": source, "Key": made}, IfNoneMatch="*")
        except Exception as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == status, error
        else:
            raise AssertionError("the object was overwritten")
    assert client.get(target, "there")["body"] == b"precious"
    if pair.kinds[1] != "seaweedfs":
        assert not pair.list_remaining(1, target), "a multipart upload is left"


SCENARIOS = [whole_objects, conditions, keys, tags, parts, overwriting]

#: (name, side, operation, kind, more, whether the copy succeeds nevertheless)
FAULTS = [
    ("read: cut", 0, "GetObject", "short_body", {}, True),
    ("read: reset", 0, "GetObject", "reset", {}, True),
    ("read: 500", 0, "GetObject", "status", {"status": 500, "code": "InternalError"}, True),
    ("read: 403", 0, "GetObject", "status", {"status": 403, "code": "AccessDenied"}, False),
    ("look: 500", 0, "HeadObject", "status", {"status": 500, "code": "InternalError"}, False),
    ("begin: 500", 1, "CreateMultipartUpload", "status", {"status": 500, "code": "InternalError"}, False),
    ("begin: cut", 1, "CreateMultipartUpload", "cut_xml", {}, False),
    ("part: 500", 1, "UploadPart", "status", {"status": 500, "code": "InternalError"}, True),
    ("part: 503", 1, "UploadPart", "status", {"status": 503, "code": "SlowDown"}, True),
    ("part: reset", 1, "UploadPart", "reset", {}, True),
    ("part: 403", 1, "UploadPart", "status", {"status": 403, "code": "AccessDenied"}, False),
    ("end: error in 200", 1, "CompleteMultipartUpload", "error_in_200", {"status": 200, "code": "InternalError"}, False),
    ("end: 503", 1, "CompleteMultipartUpload", "status", {"status": 503, "code": "ServiceUnavailable"}, False),
    ("end: nothing", 1, "CompleteMultipartUpload", "empty_200", {}, False),
    ("end: page", 1, "CompleteMultipartUpload", "html_200", {}, False),
    ("end: redirect", 1, "CompleteMultipartUpload", "redirect", {}, False),
]


def faults(started, options, table):
    """Each error during a copy in parts: the whole object is copied, or there is an error and nothing is left."""
    for dialect, (source_kind, target_kind) in (("s3", ("cos", "oss")), ("cos", ("oss", "jdcloud")), ("oss", ("jdcloud", "cos"))):
        pair = Pair(started, options.binary, source_kind, target_kind)
        client, source, target = pair.begin()
        caller = pair.client(dialect)
        body = bytes_of(64 * MIB + 3)
        client.put(source, "one", body)
        for name, side, operation, kind, more, passes in FAULTS:
            column = f"{source_kind}->{target_kind}"

            def one():
                client.delete(target, "two")
                before = pair.metric("blobfish_copy_retries_total")
                pair.fault(side, operation, kind, **more)
                try:
                    caller.copy(source, "one", target, "two")
                    copied = True
                except CallError:
                    copied = False
                assert copied == passes, "copied" if copied else "not copied"
                if copied:
                    # A read on a pooled connection that is closed is retried immediately, and not counted.
                    assert name == "read: reset" or pair.metric("blobfish_copy_retries_total") > before, "nothing was retried"
                    assert hashlib.sha256(client.get(target, "two")["body"]).digest() == hashlib.sha256(body).digest()
                elif not name.startswith("end: nothing"):  # In this case the object may exist.
                    expect_error(404, client.head, target, "two")
                if name not in ("end: nothing", "begin: cut"):
                    assert not pair.list_remaining(1, target), pair.list_remaining(1, target)

            table.run(f"fault {name}", column, one)


def replaced_source(started, options, table):
    """A copy of an object that is replaced between HEAD and GET never mixes the two versions."""
    pair = Pair(started, options.binary, "cos", "oss")
    client, source, target = pair.begin()
    old, new = bytes_of(64 * MIB + 3), bytes_of(64 * MIB + 3)

    def one():
        client.put(source, "one", old)
        pair.fault(0, "GetObject", "delay", seconds=2)
        with ThreadPoolExecutor() as pool:
            copying = pool.submit(client.copy, source, "one", target, "two")
            time.sleep(0.7)
            client.put(source, "one", new)
            try:
                copying.result()
                found = client.get(target, "two")["body"]
                assert found in (old, new), "a mixture"
            except CallError:
                expect_error(404, client.head, target, "two")
        assert not pair.list_remaining(1, target)

    table.run("replaced meanwhile", "cos->oss", one)


def limits(started, options, table):
    """A source above the target's limit is copied with UploadPartCopy; its bytes do not pass through the proxy."""
    for kind in ("cos", "oss", "jdcloud"):
        def one():
            pair = Pair(started, options.binary, kind, kind, "--copy-limit", str(6 * MIB))
            client, source, _ = pair.begin()
            body = bytes_of(40 * MIB + 17)
            client.put(source, "large", body, content_type="text/css", metadata={"owner": "me"}, tags="a=1")
            for dialect in CALLERS:
                caller = pair.client(dialect)
                caller.copy(source, "large", source, "copied " + dialect)
                result = caller.get(source, "copied " + dialect)
                assert result["body"] == body and result["content_type"] == "text/css" and result["metadata"] == {"owner": "me"}, dialect
                assert caller.head(source, "copied " + dialect)["tags"] == 1
            assert pair.metric("blobfish_copy_bytes_total") == 0
            assert not pair.list_remaining(0, source)

        table.run("above the target's limit", kind, one)


def claimed_sizes(started, options, table):
    """Sizes too large to store: the double copies and combines objects that have a size and no bytes, and only parts in order."""
    gib, tib = 1024 * MIB, 1024 * 1024 * MIB
    for kind in ("cos", "oss", "jdcloud"):
        def one():
            pair = Pair(started, options.binary, kind, kind, "--copy-limit", str(gib))
            client, source, _ = pair.begin()
            for key, size in (("most", 5 * gib), ("more", 6 * gib), ("vast", 5 * tib)):
                pair.backs[0].ask("POST", "/claim", {"bucket": source, "key": key, "size": size})
            client.copy(source, "most", source, "copied")
            result = client.head(source, "copied")
            assert result["length"] == 5 * gib and result["etag"].strip('"').endswith("-320"), result
            # Above its limit the caller's vendor rejects CopyObject, and accepts part copies.
            for dialect in CALLERS:
                expect_error(400, pair.client(dialect).copy, source, "more", source, "refused")
            upload = client.create_multipart(source, "parts")
            last = (5 * tib - 5 * gib, 5 * tib - 1)
            before = (last[0] - 5 * gib, last[0] - 1)
            etags = [(number, client.upload_part_copy(source, "vast", source, "parts", upload, number, span))
                     for number, span in ((1, before), (10_000, last))]
            client.complete(source, "parts", upload, etags)
            assert client.head(source, "parts")["length"] == 10 * gib
            assert not pair.list_remaining(0, source)

        table.run("sizes without bytes", kind, one)


def disconnected_clients(started, options, table):
    """If the client disconnects, the copy finishes or is aborted without a trace, as configured."""
    def one(word):
        pair = Pair(started, options.binary, "oss", "cos", limits=f'[limits]\ncopies_on_disconnect = "{word}"\n')
        client, source, target = pair.begin()
        for key, size in (("in parts", 65 * MIB), ("single", 1000)):
            client.put(source, key, bytes_of(size))
            pair.fault(0, "GetObject", "delay", seconds=6)
            impatient = Boto3(pair.proxy.port, servers.KEY, servers.SECRET, read_timeout=2)
            try:
                impatient.sdk.copy_object(Bucket=target, Key=key, CopySource={"Bucket": source, "Key": key})
                raise AssertionError("the copy was too fast")
            except ReadTimeoutError:
                pass
            if word == "finish":
                assert len(pair.list_running()) == 1
                servers.wait_for(lambda: not pair.list_running(), 20, "the end of the copy")
                assert client.head(target, key)["length"] == size
            else:
                servers.wait_for(lambda: not pair.list_running(), 3, "the copy to be aborted")
                expect_error(404, client.head, target, key)
        assert not pair.list_remaining(1, target)

    for word in ("finish", "abort"):
        table.run(f"client disconnects: {word}", "oss->cos", lambda: one(word))


def shutdown(started, options, table):
    """A shutdown aborts a copy that exceeds the drain timeout, and leaves nothing at the destination."""
    def one():
        limits = "[limits]\ncopy_bytes_per_second_per_caller = 1000000\n"
        pair = Pair(started, options.binary, "oss", "cos", limits=limits)
        client, source, target = pair.begin()
        client.put(source, "one", bytes_of(65 * MIB))
        with ThreadPoolExecutor() as pool:
            copying = pool.submit(pair.client().copy, source, "one", target, "two")
            servers.wait_for(lambda: pair.list_remaining(1, target), 10, "an upload")
            pair.proxy.child.terminate()
            assert pair.proxy.child.wait(40) == 0
            try:
                copying.result()
                raise AssertionError("the object was copied")
            except Exception as error:
                assert not isinstance(error, AssertionError), error
        assert not pair.list_remaining(1, target)

    table.run("shutdown", "oss->cos", one)


def keepalive(started, options, table):
    """During a long copy S3 clients get keep-alive bytes; OSS clients get only the final status."""
    def one():
        pair = Pair(started, options.binary, "oss", "cos")
        client, source, target = pair.begin()
        client.put(source, "slow", b"x" * 1000)
        # Long enough for three keep-alive bytes.
        for dialect in ("s3", "oss"):
            caller = pair.client(dialect)
            pair.fault(0, "GetObject", "delay", seconds=13)
            pair.fault(1, "PutObject", "delay", seconds=9)
            begun = time.monotonic()
            caller.copy(source, "slow", target, "slow " + dialect)
            assert time.monotonic() - begun > 21
            assert caller.get(target, "slow " + dialect)["body"] == b"x" * 1000
        # Fails after the status 200 was sent: the error is in the body, and botocore treats such a response as a 500.
        pair.fault(0, "GetObject", "delay", seconds=13)
        pair.fault(1, "PutObject", "status", status=403, code="AccessDenied")
        expect_error(500, pair.client().copy, source, "slow", target, "never")
        expect_error(404, pair.client().head, target, "never")

    def copy_by_the_target():
        """The same for a copy by the target: COS clients read an error in the body of a 200 too."""
        pair = Pair(started, options.binary, "jdcloud", "oss")
        client, source, _ = pair.begin()
        client.put(source, "slow", b"x" * 1000)
        caller = pair.client("cos")
        pair.fault(0, "CopyObject", "delay", seconds=22)
        caller.copy(source, "slow", source, "slow too")
        assert caller.get(source, "slow too")["body"] == b"x" * 1000

    table.run("keepalive", "oss->cos", one)
    table.run("keepalive", "jdcloud", copy_by_the_target)


def copy_limits(started, options, table):
    """With one concurrent copy and 8 MiB per second, the next copy gets SlowDown, and the running one is on the admin port."""
    def one():
        limits = "[limits]\ncopies_max = 1\ncopy_bytes_per_second = 8388608\ncopy_multipart_threshold_bytes = 5242880\ncopy_part_bytes = 5242880\n"
        pair = Pair(started, options.binary, "oss", "cos", limits=limits)
        client, source, target = pair.begin()
        body = bytes_of(20 * MIB)
        client.put(source, "one", body)
        with ThreadPoolExecutor() as pool:
            begun = time.monotonic()
            copying = pool.submit(client.copy, source, "one", target, "two")
            servers.wait_for(lambda: any(copy["bytes_done"] for copy in pair.list_running()), 10, "a running copy")
            result = pair.list_running()
            assert [(copy["caller"], copy["plan"], copy["from"], copy["to"], copy["bytes"]) for copy in result] == [
                ("app", "relay", "first", "second", len(body))], result
            assert expect_error(503, pair.client().copy, source, "one", target, "three").code == "SlowDown"
            copying.result()
            assert time.monotonic() - begun > 1.5, "the bandwidth limit had no effect"
        assert client.get(target, "two")["body"] == body and pair.list_running() == []
        expect_error(404, client.head, target, "three")
        client.copy(source, "one", target, "three")

    table.run("copy limits", "oss->cos", one)


def lost_fields(started, options, table):
    """A copy of metadata that the destination cannot store is rejected, and the metadata is never dropped."""
    def one():
        pair = Pair(started, options.binary, "seaweedfs", "cos")
        client, source, target = pair.begin()
        client.sdk.put_object(Bucket=source, Key="odd", Body=b"x", Metadata={"under_score": "1"})
        expect_error(501, client.copy, source, "odd", target, "odd")
        expect_error(404, client.head, target, "odd")
        client.copy(source, "odd", target, "odd", directive="REPLACE", metadata={"plain": "1"})
        assert client.head(target, "odd")["metadata"] == {"plain": "1"}

    table.run("lost metadata", "seaweedfs->cos", one)


def fallback_copies(started, options, table):
    """A copy that a target rejects goes through the proxy if `relay` is configured."""
    def one():
        for bucket, passes in (("", False), ("relay = true\n", True)):
            pair = Pair(started, options.binary, "oss", "cos", bucket=bucket)
            client, source, _ = pair.begin()
            client.put(source, "one", b"hello", content_type="text/css")
            pair.fault(0, "CopyObject", "status", status=400, code="OperationNotSupported")
            if passes:
                client.copy(source, "one", source, "two")
                assert client.get(source, "two")["body"] == b"hello" and client.head(source, "two")["content_type"] == "text/css"
            else:
                expect_error(501, client.copy, source, "one", source, "two")
                expect_error(404, client.head, source, "two")
            assert pair.metric("blobfish_copy_bytes_total") == (5 if passes else 0)

    table.run("fallback", "oss", one)


def memory(started, options, table):
    """The memory for a copy does not grow with the size of the object."""
    def one():
        pair = Pair(started, options.binary, "oss", "cos")
        client, source, target = pair.begin()

        def peak(size):
            client.put(source, "one", bytes_of(size))
            Path(f"/proc/{pair.proxy.child.pid}/clear_refs").write_text("5")
            client.copy(source, "one", target, "two")
            text = Path(f"/proc/{pair.proxy.child.pid}/status").read_text()
            return int(re.search(r"VmHWM:\s+(\d+)", text).group(1)) // 1024

        peak(64 * MIB + 1)
        small, large = peak(65 * MIB), peak((1024 if options.long else 256) * MIB)
        assert large - small <= 16, f"{small} MiB, then {large} MiB"

    table.run("memory", "oss->cos", one)


ALONE = {work.__name__: work for work in (
    limits, claimed_sizes, faults, replaced_source, keepalive, disconnected_clients, shutdown, copy_limits, lost_fields,
    fallback_copies, memory)}


class Table:
    def __init__(self):
        self.cells, self.failures = {}, []

    def run(self, row, column, work):
        try:
            work()
            self.cells[row, column] = "passed"
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)
            here = next((frame for frame in reversed(place) if frame.filename.endswith("copies.py")), place[-1])
            self.cells[row, column] = "FAILED"
            self.failures.append(f"{row}, {column}: {type(error).__name__}: {' '.join(str(error).split())[:400]} (line {here.lineno}: {here.line})")

    def show(self):
        rows = list(dict.fromkeys(row for row, _ in self.cells))
        for row in rows:
            cells = [f"{column} {cell}" for (own, column), cell in self.cells.items() if own == row]
            print(f"{row:28}", "  ".join(cells))
        for failure in self.failures:
            print("FAILED", failure)
        failed = len(self.failures)
        print(f"\n{len(self.cells) - failed} passed, {failed} failed")
        return failed == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--long", action="store_true", help="sizes up to 1 GiB, every scenario for every pair")
    parser.add_argument("--only", default=",".join(["pairs", *ALONE]))
    options = parser.parse_args()
    table = Table()
    only = options.only.split(",")
    if "pairs" in only:
        for source in KINDS:
            for target in KINDS:
                with servers.Servers() as started:
                    pair = Pair(started, options.binary, source, target)
                    # These two take seconds: without --long each target is tested once on each side.
                    short = [whole_objects, overwriting] if KINDS.index(target) == (KINDS.index(source) + 1) % len(KINDS) else []
                    pair.begin()
                    for scenario in SCENARIOS if options.long else [each for each in SCENARIOS if each not in (whole_objects, overwriting)] + short:
                        table.run(scenario.__name__, f"{source}->{target}", lambda: scenario(pair, options))
    for name, work in ALONE.items():
        if name in only:
            with servers.Servers() as started:
                work(started, options, table)
    sys.exit(0 if table.show() else 1)


if __name__ == "__main__":
    main()
