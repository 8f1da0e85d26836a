"""Speed and cost of Blobfish beside nginx, HAProxy, Envoy and rclone on one machine, in interleaved rounds on loopback.

Each round measures every server once, in an order that rotates. Ratios compare servers of the same round, so that changes of
the machine's speed concern all alike. All figures are medians over the rounds."""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import measure
import peers
import signed
from peers import servers

PEERS = ["nginx", "haproxy", "envoy"]
PAIRS = [(caller, target) for caller in peers.DIALECTS for target in peers.DIALECTS]
FILES, FIXED = "nginx, files", "nginx, fixed response"


@dataclass
class Group:
    """Rows that measure the same work."""

    name: str
    title: str
    unit: str  # Of the rate.
    cost: str  # Of the CPU column.
    target: str
    operation: str
    pairs: list  # (caller dialect, target) of Blobfish.
    peers: list = field(default_factory=lambda: PEERS)
    concurrency: int = 16
    tls: bool = False
    bucket: str = "s3"  # The target of the peers' requests.
    kind: str = "small"  # small, heads, handshakes, large or idle.
    ratio: str = "cpu"  # The figure that the ratios compare.
    names: list = field(default_factory=list)  # Of the servers, in the order of the table.


def groups():
    small = {"unit": "requests/s", "cost": "s per 10,000 requests"}
    large = {"unit": "MiB/s", "cost": "s per GiB", "kind": "large", "concurrency": 2}
    some = [("s3", "s3"), ("s3", "oss"), ("s3", "cos"), ("oss", "cos"), ("cos", "s3")]
    two = [("s3", "s3"), ("s3", "oss")]
    same = [("s3", "s3")]
    return [
        Group("get", "GET 1 KiB, c=16", target=FILES, operation="get", pairs=PAIRS, **small),
        Group("get-c1", "GET 1 KiB, c=1", target=FILES, operation="get", pairs=two, concurrency=1, **small),
        Group("get-c128", "GET 1 KiB, c=128", target=FILES, operation="get", pairs=two, concurrency=128, **small),
        Group("put", "PUT 1 KiB, c=16", target=FIXED, operation="put", pairs=PAIRS, **small),
        Group("head", "HEAD, c=16", target=FILES, operation="head", pairs=some, **small | {"kind": "heads"}),
        Group("list", "list of 1,000 keys, c=16", target=FIXED, operation="list", pairs=some, **small),
        Group("copy", "CopyObject, c=16", target=FIXED, operation="copy", pairs=some, **small),
        Group("delete", "DeleteObjects of 1,000 keys, c=16", target=FIXED, operation="delete", pairs=some, **small),
        Group("get-large", "GET 64 MiB, c=2", target=FILES, operation="get_large", pairs=two, **large),
        Group("put-large", "PUT 64 MiB, SHA-256 signed, c=2", target=FIXED, operation="put_large", pairs=two, **large),
        Group("put-large-unsigned", "PUT 64 MiB, presigned URL, c=2", target=FIXED, operation="put_large_unsigned",
              pairs=two, **large),
        Group("tls-get", "TLS: GET 1 KiB, c=16", target=FILES, operation="get", pairs=same, peers=PEERS[:2], tls=True, **small),
        Group("tls-handshakes", "TLS: a handshake per GET, c=16", target=FILES, operation="get", pairs=same,
              peers=PEERS[:2], tls=True, **small | {"kind": "handshakes"}),
        Group("tls-get-large", "TLS: GET 64 MiB, c=2", target=FILES, operation="get_large", pairs=same, peers=PEERS[:2],
              tls=True, **large),
        Group("tls-target", "GET 1 KiB from a TLS target, c=16", target=FILES + ", TLS", operation="get",
              pairs=[("s3", "tls")], peers=PEERS[:1], bucket="tls", **small),
        Group("idle", "5,000 idle connections", "KiB each", "% of a core", FILES, "get", same, kind="idle", ratio="rate"),
    ]


@dataclass
class Bench:
    options: argparse.Namespace
    folder: Path
    found: dict  # The servers by name.
    recorded: dict = field(default_factory=dict)

    def rows(self, group):
        """The servers of a group: (name in the table, server, caller dialect, bucket)."""
        rows = [(name, self.found[name], "s3", peers.bucket(group.bucket)) for name in group.peers]
        return rows + [(f"Blobfish {caller} -> {target}", self.found["blobfish"], caller, peers.bucket(target))
                       for caller, target in group.pairs]

    def requests(self, group, caller, bucket):
        """The signed requests. Small ones are recorded again after four minutes; signatures are valid for 15."""
        name = caller, group.operation, bucket
        when, requests = self.recorded.get(name, (0, None))
        if requests is None or time.monotonic() - when > 240:
            requests = signed.record(caller, group.operation, bucket, servers.KEY, servers.SECRET)
            if group.kind != "large":
                self.recorded[name] = time.monotonic(), requests
        return requests

    def check(self, group):
        """Sends one request to each server of the group. Returns what is wrong."""
        wrong = []
        for name, server, caller, bucket in self.rows(group):
            try:
                request = self.requests(group, caller, bucket)[0]
                connection = measure.connect(server.tls_port if group.tls else server.port, group.tls)
                status, length, data = measure.exchange(connection, request, bytearray(1 << 20), group.operation == "head")
                connection.close()
                least = {"get": 1024, "get_large": 64 << 20, "list": 100_000, "copy": 50, "delete": 20_000}
                if status != 200 or length < least.get(group.operation, 0) or b"<Error>" in data:
                    wrong.append(f"{group.name}, {name}: {length} bytes, {data[:600].decode('latin-1')}")
            except Exception as error:
                wrong.append(f"{group.name}, {name}: {error!r}")
        return wrong

    def measure(self, group, server, caller, bucket):
        requests = self.requests(group, caller, bucket)
        if group.kind == "large":
            return measure.large_bodies(server, requests, len(signed.LARGE), group.concurrency, 4, group.tls)
        if group.kind == "heads":
            return measure.responses_without_body(server, requests, group.concurrency, self.options.seconds)
        if group.kind == "idle":
            return measure.idle_connections(server, requests, self.options.idle)
        return measure.small_requests(server, requests, group.concurrency, self.options.seconds, self.folder, group.tls,
                                      group.kind == "handshakes")

    def round(self, number, chosen, results, problems):
        for group in chosen:
            rows = self.rows(group)
            for index in range(len(rows)):
                name, server, caller, bucket = rows[(index + number) % len(rows)]
                try:
                    result = self.measure(group, server, caller, bucket)
                    results.setdefault(group.name, {}).setdefault(name, {})[number] = result
                except Exception as error:
                    problems.append(f"{group.name}, {name}: {error!r}")


@dataclass
class Copies:
    """Two targets with a bucket each: SeaweedFS, and a demo store as the destination. Blobfish and rclone copy from one to the
    other in turns."""

    backs: dict
    proxy: servers.Process
    sdk: object
    first: str
    second: str
    config: Path  # Of rclone.

    def by_blobfish(self, requests):
        """Sends the copies on 16 connections. Returns the CPU seconds, and the memory before and at its peak in MiB."""
        pid = self.proxy.child.pid
        measure.reset_peak(pid)
        before, used, failures = measure.memory_mib(pid, "VmRSS"), measure.cpu_seconds(pid), []

        def send(part):
            try:
                connection = measure.connect(self.proxy.port)
                for request in part:
                    status, _, data = measure.exchange(connection, request, bytearray(1 << 16))
                    if status != 200 or b"<Error>" in data:
                        raise RuntimeError(data[:300])
                connection.close()
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=send, args=(requests[index::16],)) for index in range(min(16, len(requests)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return measure.cpu_seconds(pid) - used, before, measure.memory_mib(pid, "VmHWM")

    def by_rclone(self, command, path):
        rclone = str(Path(sys.executable).parent / "rclone")
        before, peak = resource.getrusage(resource.RUSAGE_CHILDREN), 0
        with subprocess.Popen([rclone, "--config", str(self.config), *command, f"first:{self.first}/{path}",
                               f"second:{self.second}/{path}"]) as child:
            while child.poll() is None:  # The system's own peak of a child includes this process before exec.
                peak = max(peak, measure.process_mib(child.pid, "VmHWM"))
                time.sleep(0.02)
        if child.returncode:
            raise RuntimeError(f"rclone: exit code {child.returncode}")
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        return now.ru_utime + now.ru_stime - before.ru_utime - before.ru_stime, 0, peak

    def record(self, keys):
        """The signed CopyObject requests for these keys."""
        with signed.Recorder() as recorder:
            sdk = signed.S3(recorder.port, servers.KEY, servers.SECRET).sdk
            return [recorder.record(lambda key=key: sdk.copy_object(
                Bucket=self.second, Key=key, CopySource={"Bucket": self.first, "Key": key})) for key in keys]

    def compare(self, rounds, keys, size, work, scale, command, path):
        """Returns the results by program and round. `work` is what the rate counts, `scale` what the CPU seconds relate to."""
        results = {"Blobfish s3 -> s3": {}, "rclone": {}}
        for number in range(rounds):
            requests = self.record(keys)
            for name, run in zip(results, (lambda: self.by_blobfish(requests), lambda: self.by_rclone(command, path))):
                begun = time.monotonic()
                used, before, peak = run()
                taken = time.monotonic() - begun
                listed = self.sdk.list_objects_v2(Bucket=self.second).get("Contents", [])
                if {row["Key"]: row["Size"] for row in listed} != dict.fromkeys(keys, size):
                    raise RuntimeError(f"{name}: the destination does not have all copies")
                self.sdk.delete_objects(Bucket=self.second, Delete={"Objects": [{"Key": key} for key in keys]})
                results[name][number] = {"rate": work / taken, "cpu": used * scale / work, "peak_mib": peak, "failed": 0,
                                         "before_mib": before}
        return results


def copies(binary, mib, objects, rounds):
    """Returns the results of one large object and of many small objects."""
    keys = {"first": (servers.TARGET_KEY, servers.TARGET_SECRET), "second": (servers.DEMO_KEY, servers.DEMO_SECRET)}
    with servers.Servers() as running, tempfile.TemporaryDirectory() as home:
        backs = {"first": running.seaweedfs(), "second": running.demo(binary)}
        targets = [servers.one_target("seaweedfs", back.port, name, key=keys[name]) for name, back in backs.items()]
        buckets = [f'[[bucket]]\nname = "{name}-*"\ntarget = "{name}"\n' for name in backs]
        proxy = running.proxy(binary, servers.configuration(targets, buckets))
        first, second = (f"{name}-{uuid.uuid4().hex[:8]}-1250000000" for name in backs)
        sdk = signed.S3(proxy.port, servers.KEY, servers.SECRET).sdk
        config = Path(home, "rclone.conf")
        config.write_text("".join(
            f"[{name}]\ntype = s3\nprovider = Other\nendpoint = http://127.0.0.1:{back.port}\nregion = us-east-1\n"
            f"access_key_id = {keys[name][0]}\nsecret_access_key = {keys[name][1]}\n" for name, back in backs.items()))
        sdk.create_bucket(Bucket=first)
        sdk.create_bucket(Bucket=second)
        small = [f"small/{number:04}" for number in range(objects)]
        for key in small:
            sdk.put_object(Bucket=first, Key=key, Body=os.urandom(4096))
        path = Path(home, "large")
        path.write_bytes(b"".join(os.urandom(1 << 20) for _ in range(mib)))
        sdk.upload_file(str(path), first, "large")
        path.unlink()
        both = Copies(backs, proxy, sdk, first, second, config)
        return {
            "relay": both.compare(rounds, ["large"], mib << 20, mib, 1024, ["copyto"], "large"),
            "relay-small": both.compare(rounds, small, 4096, objects, 10_000, ["copy", "--transfers", "16", "--checkers", "16"],
                                        "small"),
        }


# ---- The table

def figure(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def median(rounds, name):
    values = [result[name] for result in rounds.values() if name in result]
    return statistics.median(values) if values else None


def ratio(rounds, base, name):
    values = [result[name] / base[number][name] for number, result in rounds.items()
              if number in base and base[number][name] > 0]
    return statistics.median(values) if values else None


def table(chosen, results):
    """Markdown, with aligned columns."""
    lines = [["work", "server", "target", "rate", "", "p50 ms", "p99 ms", "CPU", "", "x nginx", "x Envoy", "peak MiB", "failed"]]
    for group in chosen:
        found = results.get(group.name, {})
        for name in sorted(found, key=group.names.index):
            rounds = found[name]
            ratios = [ratio(rounds, found.get(peer, {}), group.ratio) for peer in ("nginx", "envoy")]
            row = [median(rounds, key) for key in ("rate", "p50_ms", "p99_ms", "cpu", "peak_mib")]
            rate, p50, p99, cpu, peak = map(figure, row)
            failed = sum(result["failed"] for result in rounds.values())
            lines.append([group.title, name, group.target, rate, group.unit, p50, p99, cpu, group.cost, *map(figure, ratios),
                          peak, str(failed)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    left = {0, 1, 2, 4, 8}
    text = ["| " + " | ".join(cell.ljust(width) if column in left else cell.rjust(width)
                              for column, (cell, width) in enumerate(zip(line, widths))) + " |" for line in lines]
    rule = "| " + " | ".join("-" * width if column in left else "-" * (width - 1) + ":"
                             for column, width in enumerate(map(lambda width: max(width, 3), widths))) + " |"
    return "\n".join([text[0], rule, *text[1:]])


def sizing(results):
    """What Blobfish needs, from the measured figures: a Markdown table."""
    def one(group, name):
        rounds = results.get(group, {}).get("Blobfish s3 -> s3", {})
        return median(rounds, name) if rounds else None

    lines = []
    for group, label in (("get", "GET"), ("put", "PUT"), ("head", "HEAD"), ("list", "list of 1,000 keys"),
                         ("copy", "CopyObject"), ("delete", "DeleteObjects of 1,000 keys"), ("tls-get", "GET over TLS")):
        if one(group, "cpu") is not None:
            lines.append((f"1,000 requests per second, {label}", f"{one(group, 'cpu') / 10:.2f} cores"))
    if one("tls-get", "cpu") is not None and one("tls-handshakes", "cpu") is not None:
        spent = (one("tls-handshakes", "cpu") - one("tls-get", "cpu")) / 10
        lines.append(("1,000 TLS handshakes per second, with a new connection each", f"{spent:.2f} cores"))
    for group, label in (("get-large", "downloads"), ("put-large", "uploads with a signed SHA-256"),
                         ("put-large-unsigned", "uploads by presigned URL"), ("tls-get-large", "downloads over TLS"),
                         ("relay", "copies between targets")):
        if one(group, "cpu") is not None:
            lines.append((f"1 GiB per second, {label}", f"{one(group, 'cpu'):.2f} cores"))
    if one("idle", "rate") is not None:
        lines.append(("started process", f"{one('idle', 'before_mib'):.0f} MiB"))
        lines.append(("1,000 idle connections", f"{one('idle', 'rate') * 1000 / 1024:.0f} MiB"))
    if one("relay", "peak_mib") is not None:
        rounds = results["relay"]["Blobfish s3 -> s3"].values()  # The process keeps memory of earlier copies.
        needed = max(result["peak_mib"] for result in rounds) - min(result["before_mib"] for result in rounds)
        lines.append(("running copy between targets, in parts", f"{needed:.0f} MiB"))
    if not lines:
        return ""
    return "\n".join(["| for | Blobfish needs |", "| --- | ---: |", *(f"| {name} | {value} |" for name, value in lines)])


def machine():
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    total = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    return f"{os.cpu_count()} x {model}, {total:.0f} GiB, Linux {platform.release()}"


def main():
    all_groups = groups()
    names = [group.name for group in all_groups] + ["relay"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help="a release build of Blobfish")
    parser.add_argument("--only", help="groups, separated by commas: " + ", ".join(names))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=1, help="of each measurement with small requests")
    parser.add_argument("--idle", type=int, default=5000, help="number of idle connections")
    parser.add_argument("--copy-mib", type=int, default=512, help="size of the object that is copied between targets")
    parser.add_argument("--copy-objects", type=int, default=500, help="number of small objects that are copied between targets")
    parser.add_argument("--minutes", type=float, default=9, help="no round starts that would end later")
    parser.add_argument("--json", help="also write all figures of all rounds to this file")
    parser.add_argument("--check", action="store_true", help="send one request to each server and measure nothing")
    options = parser.parse_args()
    options.binary = os.path.abspath(options.binary)
    only = options.only.split(",") if options.only else names
    unknown = [name for name in only if name not in names]
    if unknown:
        parser.error(f"unknown groups: {', '.join(unknown)}")
    chosen = [group for group in all_groups if group.name in only]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    begun, results, problems, done = time.monotonic(), {}, [], 0
    if chosen:
        with servers.Servers() as running:
            folder, found = peers.start(running, options.binary)
            bench = Bench(options, folder, found)
            for group in chosen:
                group.names = [name for name, *_ in bench.rows(group)]
            fresh = [group for group in chosen if group.kind == "idle"]
            rest = [group for group in chosen if group.kind != "idle"]
            if not options.check:
                # First, because a process keeps memory of earlier load and uses it for connections.
                bench.round(0, fresh, results, problems)
            for group in chosen if options.check else rest:
                problems += bench.check(group)
            if options.check:
                print("\n".join(problems) or "every server responds as expected")
                sys.exit(1 if problems else 0)
            reserve = 60 if "relay" in only else 0
            for number in range(options.rounds):
                started = time.monotonic()
                bench.round(number, rest, results, problems)
                done, now = number + 1, time.monotonic()
                print(f"round {done} of {options.rounds}: {now - started:.0f} s, load {os.getloadavg()[0]:.1f}",
                      file=sys.stderr, flush=True)
                if now - begun + (now - started) + reserve > options.minutes * 60:
                    break
    if "relay" in only and not options.check:
        try:
            results |= copies(options.binary, options.copy_mib, options.copy_objects, options.rounds)
            names = ["Blobfish s3 -> s3", "rclone"]
            ends = "SeaweedFS -> demo store"
            chosen.append(Group("relay", f"copy of {options.copy_mib} MiB between targets", "MiB/s", "s per GiB", ends, "", [],
                                names=names))
            chosen.append(Group("relay-small", f"copy of {options.copy_objects} objects of 4 KiB, c=16", "objects/s",
                                "s per 10,000 objects", ends, "", [], names=names))
        except Exception as error:
            problems.append(f"relay: {error!r}")
    versions = peers.versions(options.binary)
    taken = time.monotonic() - begun
    print(f"{machine()}\n{', '.join(f'{name} {version}' for name, version in versions.items())}\n"
          f"rounds: {done or options.rounds}, {taken:.0f} s in all\n")
    print(table(chosen, results))
    for group in chosen:
        if "rclone" in results.get(group.name, {}):
            rounds = results[group.name]
            compared = [figure(ratio(rounds[group.names[0]], rounds["rclone"], name)) for name in ("rate", "cpu")]
            print(f"\n{group.title}, Blobfish to rclone: {compared[0]} x the rate, {compared[1]} x the CPU")
    print(f"\n{sizing(results)}")
    for problem in problems:
        print(f"FAILED {problem}")
    if options.json:
        Path(options.json).write_text(json.dumps({"machine": machine(), "versions": versions, "rounds": done,
                                                  "results": results, "problems": problems}, indent=1))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
