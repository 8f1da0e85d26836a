"""Load on one server, and what the server's processes used meanwhile."""

import json
import os
import re
import selectors
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")


def process_tree(root):
    children = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(pid))
    found, rest = [], [root]
    while rest:
        pid = rest.pop()
        found.append(pid)
        rest += children.get(pid, [])
    return found


def cpu_seconds(root):
    total = 0
    for pid in process_tree(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def process_mib(pid, field):
    try:
        found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    except OSError:
        return 0
    return int(found[1]) / 1024 if found else 0


def memory_mib(root, field):
    """The sum of VmRSS or VmHWM of all processes. Shared pages count once per process."""
    return sum(process_mib(pid, field) for pid in process_tree(root))


def reset_peak(root):
    for pid in process_tree(root):
        try:
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        except OSError:
            pass


def small_requests(server, requests, concurrency, seconds, folder, tls=False, per_connection=False):
    """Runs wrk. Returns requests per second, latencies, CPU seconds per 10,000 requests, and failures."""
    if per_connection:
        requests = [one.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) for one in requests]
    file = Path(folder, "requests")
    file.write_bytes(b"".join(b"%d\n%s" % (len(one), one) for one in requests))
    port = server.tls_port if tls else server.port
    command = [str(HERE / ".tools/bin/wrk"), "-t1", f"-c{concurrency}", f"-d{seconds}s", "--timeout", "10s",
               "-s", str(HERE / "replay.lua"), f"http{'s' if tls else ''}://127.0.0.1:{port}/", "--", str(file)]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(HERE / ".tools/lib")}
    reset_peak(server.pid)
    before = cpu_seconds(server.pid)
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, env=environment)
    used = cpu_seconds(server.pid) - before
    line = next((line for line in done.stdout.splitlines() if line.startswith("{")), None)
    if line is None:
        raise RuntimeError(f"wrk: {done.stdout[-300:]} {done.stderr[-300:]}")
    result = json.loads(line)
    count = result["requests"]
    if not count:
        raise RuntimeError("no response within the time")
    return {"rate": count / result["seconds"], "p50_ms": result["p50_ms"], "p99_ms": result["p99_ms"],
            "cpu": used / count * 1e4, "peak_mib": memory_mib(server.pid, "VmHWM"), "failed": result["failed"]}


def responses_without_body(server, requests, concurrency, seconds):
    """Sends HEAD requests, for whose responses wrk would wait for a body. The rate is that of this loop in Python."""
    selector, latencies, failed, sent = selectors.DefaultSelector(), [], 0, 0

    def send(connection):
        nonlocal sent
        connection.send(requests[sent % len(requests)])
        sent += 1
        return time.monotonic(), b""

    def open_connection():
        connection = connect(server.port)
        selector.register(connection, selectors.EVENT_READ, send(connection))

    reset_peak(server.pid)
    before, begun = cpu_seconds(server.pid), time.monotonic()
    for _ in range(concurrency):
        open_connection()
    while time.monotonic() - begun < seconds:
        for key, _ in selector.select(1):
            since, data = key.data
            piece = key.fileobj.recv(65536)
            if not piece:  # After its last request of a connection, Blobfish closes it.
                failed += bool(data)
                selector.unregister(key.fileobj)
                key.fileobj.close()
                open_connection()
                continue
            data += piece
            if data.endswith(b"\r\n\r\n"):
                latencies.append(time.monotonic() - since)
                failed += not data.startswith((b"HTTP/1.1 2", b"HTTP/1.1 3"))
                since, data = send(key.fileobj)
            selector.modify(key.fileobj, selectors.EVENT_READ, (since, data))
    elapsed, used = time.monotonic() - begun, cpu_seconds(server.pid) - before
    for key in list(selector.get_map().values()):
        key.fileobj.close()
    selector.close()
    if not latencies:
        raise RuntimeError("no response within the time")
    latencies.sort()
    count = len(latencies)
    return {"rate": count / elapsed, "p50_ms": latencies[count // 2] * 1e3, "p99_ms": latencies[count * 99 // 100] * 1e3,
            "cpu": used / count * 1e4, "peak_mib": memory_mib(server.pid, "VmHWM"), "failed": failed}


def connect(port, tls=False):
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # Loopback, with a certificate of this run.
        connection = context.wrap_socket(connection)
    return connection


def exchange(connection, request, buffer, is_head=False):
    """Sends a request and reads its response. Returns status, length of the body, and the first bytes."""
    connection.sendall(request)
    view, data = memoryview(buffer), b""
    while b"\r\n\r\n" not in data:
        count = connection.recv_into(buffer)
        if not count:
            raise RuntimeError(f"connection closed: {data[:200]!r}")
        data += view[:count]
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"\ncontent-length:\s*(\d+)", head, re.I)
    have, status = len(body), int(head.split(b" ", 2)[1])
    if is_head or status in (204, 304):
        return status, 0, data
    if length is None:
        while not data.endswith(b"0\r\n\r\n"):
            piece = connection.recv(65536)
            if not piece:
                raise RuntimeError("connection closed within the body")
            data += piece
        return status, len(data) - len(head), data
    while have < int(length[1]):
        count = connection.recv_into(buffer)
        if not count:
            raise RuntimeError("connection closed within the body")
        have += count
    return status, have, data


def large_bodies(server, requests, size, connections, each, tls=False):
    """Transfers large bodies. Returns MiB per second and CPU seconds per GiB."""
    request, failures = memoryview(requests[0]), []
    opened = [connect(server.tls_port if tls else server.port, tls) for _ in range(connections)]

    def transfer(connection):
        buffer = bytearray(1 << 20)
        for _ in range(each):
            try:
                status, _, data = exchange(connection, request, buffer)
                if status != 200:
                    raise RuntimeError(data[:300])
            except Exception as error:
                failures.append(error)
                return

    reset_peak(server.pid)
    before, begun = cpu_seconds(server.pid), time.monotonic()
    threads = [threading.Thread(target=transfer, args=(connection,)) for connection in opened]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken, used = time.monotonic() - begun, cpu_seconds(server.pid) - before
    for connection in opened:
        connection.close()
    if failures:
        raise RuntimeError(failures[0])
    total = connections * each * size
    return {"rate": total / 2**20 / taken, "cpu": used / (total / 2**30), "peak_mib": memory_mib(server.pid, "VmHWM"),
            "failed": 0}


def idle_connections(server, requests, count):
    """Opens connections that send one request each and then stay open. Returns KiB per connection and the CPU in percent."""
    before, opened, buffer = memory_mib(server.pid, "VmRSS"), [], bytearray(1 << 16)
    try:
        for _ in range(count):
            opened.append(connect(server.port))
            status, _, data = exchange(opened[-1], requests[0], buffer)
            if status != 200:
                raise RuntimeError(data[:300])
        time.sleep(1)
        after, used = memory_mib(server.pid, "VmRSS"), cpu_seconds(server.pid)
        time.sleep(2)
        used = cpu_seconds(server.pid) - used
    finally:
        for connection in opened:
            connection.close()
    return {"rate": (after - before) * 1024 / count, "cpu": used / 2 * 100, "peak_mib": after, "failed": 0,
            "before_mib": before}
