"""The servers that the suites need: SeaweedFS, the vendors' doubles, and the proxy. All on loopback, on free ports,
stopped by their process ids."""

import argparse
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
KEY, SECRET = "AKIDCALLER0001", "caller-secret-0001"
DEMO_KEY, DEMO_SECRET = "AKIDBLOBFISHDEMO0001", "blobfish-demo-secret-key"
TARGET_KEY, TARGET_SECRET = "AKIDTARGET0001", "target-secret-0001"
REGIONS = {"cos": "ap-guangzhou", "oss": "cn-hangzhou", "jdcloud": "cn-north-1"}


def free_ports(count):
    """Returns free ports. All are bound at the same time, so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@dataclass
class Process:
    child: subprocess.Popen
    folder: str
    port: int = 0
    control: int = 0
    admin: int = 0
    log: Path | None = None
    patience: float = 15

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(self.patience)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        if self.child.stdout:
            self.child.stdout.close()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, method, path, body=None):
        """Sends a request to a double's control port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.control, timeout=10)
        connection.request(method, path, json.dumps(body) if body is not None else None)
        response = json.loads(connection.getresponse().read())
        connection.close()
        return response


@dataclass
class Servers:
    """All started servers. They are stopped in reverse order, also when this process gets SIGTERM."""

    started: list = field(default_factory=list)

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        return self

    def __exit__(self, *_):
        for process in reversed(self.started):
            process.stop()

    def double(self, vendor, *more, region=None):
        command = [sys.executable, "-m", f"vendors.{vendor}", "--port", "0", "--access-key", TARGET_KEY,
                   "--secret-key", TARGET_SECRET, "--region", region or REGIONS[vendor], *more]
        child = subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True)
        ports = json.loads(child.stdout.readline())
        process = Process(child, "", ports["port"], ports["control"])
        self.started.append(process)
        return process

    def seaweedfs(self):
        folder = tempfile.mkdtemp(prefix="blobfish-weed-")
        config = Path(folder) / "s3.json"
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "main", "credentials": [{"accessKey": TARGET_KEY, "secretKey": TARGET_SECRET}],
                    "actions": actions}
        config.write_text(json.dumps({"identities": [identity]}))
        ports = free_ports(8)
        names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
                 "s3.port", "s3.port.grpc"]
        flags = [f"-{name}={port}" for name, port in zip(names, ports)]
        weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
        command = [weed, "-logtostderr=true", "server", "-s3", f"-dir={folder}", "-ip=127.0.0.1",
                   "-ip.bind=127.0.0.1", "-master.telemetry=false", f"-s3.config={config}", "-s3.port.iceberg=0",
                   "-s3.port.lance=0", "-s3.allowDeleteBucketNotEmpty=false", "-master.volumeSizeLimitMB=64", "-volume.max=20000",
                   "-volume.minFreeSpace=256MiB", *flags]
        log = Path(folder) / "log"
        child = subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT)
        # An orderly shutdown takes half a minute, and its data is not needed.
        process = Process(child, folder, ports[6], log=log, patience=0.5)
        self.started.append(process)
        wait_for(lambda: connects(process.port), 60, "SeaweedFS")
        return process

    def proxy(self, binary, config, linked=False):
        """Starts a proxy with this configuration; `{port}` and `{admin}` are replaced by free ports. `linked`: the file is a
        symbolic link into a folder that is one too, as orchestrators mount it."""
        folder = tempfile.mkdtemp(prefix="blobfish-proxy-")
        port, admin = free_ports(2)
        path = Path(folder) / "blobfish.toml"
        if linked:
            Path(folder, "v1").mkdir()
            Path(folder, "..data").symlink_to("v1")
            path.symlink_to("..data/blobfish.toml")
        path.write_text(config.replace("{port}", str(port)).replace("{admin}", str(admin)))
        return self.run_proxy([binary, "serve", "--config", str(path)], folder, port, admin)

    def demo(self, binary, *more):
        folder = tempfile.mkdtemp(prefix="blobfish-demo-")
        port, admin = free_ports(2)
        command = [binary, "serve", "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}", *more]
        return self.run_proxy(command, folder, port, admin)

    def run_proxy(self, command, folder, port, admin):
        command = [os.path.abspath(command[0]), *command[1:]]
        log = Path(folder) / "log"
        child = subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT, cwd=folder)
        process = Process(child, folder, port, admin=admin, log=log)
        self.started.append(process)
        wait_for(lambda: ready(process), 20, f"the proxy; its log is: {log.read_text()[-2000:]}")
        return process

    def front(self, binary, target, policy="reject"):
        """Starts a proxy for one target, with every bucket under its own name. Returns the proxy and the target's process."""
        if target == "demo":
            return self.demo(binary, "--memory"), None
        back = self.seaweedfs() if target == "seaweedfs" else self.double(target)
        return self.proxy(binary, configuration([one_target(target, back.port)], policy=policy)), back


def connects(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ready(process):
    if process.child.poll() is not None:
        return False
    try:
        connection = http.client.HTTPConnection("127.0.0.1", process.admin, timeout=2)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False


def read_log(process):
    """Everything that a proxy has logged. The access log is written some milliseconds after its requests."""
    time.sleep(0.1)
    return process.log.read_text()


# CI machines are sometimes three times as slow. A test of a promised time measures the time itself.
SLOW_MACHINE_FACTOR = 3


def wait_for(condition, seconds, what):
    seconds *= SLOW_MACHINE_FACTOR
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise RuntimeError(f"missing after {seconds} s: {what}")


def one_target(kind, port, name=None, scheme="http", key=(TARGET_KEY, TARGET_SECRET), **more):
    """Returns the configuration table of a target."""
    shape = {
        "seaweedfs": ("s3", "seaweedfs", f"127.0.0.1:{port}", "us-east-1", "path"),
        "cos": ("cos", None, f"cos.ap-guangzhou.localhost:{port}", "ap-guangzhou", "virtual"),
        "oss": ("oss", None, f"oss-cn-hangzhou.localhost:{port}", "cn-hangzhou", "virtual"),
        "jdcloud": ("s3", "jdcloud", f"s3.cn-north-1.localhost:{port}", "cn-north-1", "virtual"),
    }[kind]
    dialect, profile, host, region, addressing = shape
    lines = ["[[target]]", f'name = "{name or kind}"', f'dialect = "{dialect}"', f'endpoint = "{scheme}://{host}"',
             f'region = "{region}"', f'addressing = "{addressing}"']
    lines += [f'access_key = "{key[0]}"', f'secret_key = "{key[1]}"'] if key else []
    lines += [f'profile = "{profile}"'] if profile else []
    lines += [f"{key} = {json.dumps(value)}" for key, value in more.items()]
    return "\n".join(lines) + "\n"


def caller_key(target):
    """Returns the credentials of callers of a target: the demo has its own."""
    return (DEMO_KEY, DEMO_SECRET) if target == "demo" else (KEY, SECRET)


def configuration(targets, buckets=None, callers=None, policy="reject"):
    """Returns a complete configuration. Without `buckets`, all buckets are at the first target."""
    first = targets[0].split('name = "')[1].split('"')[0]
    check = 'conditions = "check"\n' if "jdcloud" in targets[0] else ""
    buckets = buckets or [f'[[bucket]]\nname = "*"\ntarget = "{first}"\nunsupported = "{policy}"\n{check}']
    callers = callers or [
        f'[[caller]]\nname = "app"\naccess_key = "{KEY}"\nsecret_key = "{SECRET}"\n'
        'grants = [{ buckets = ["*"], access = "admin" }]\n']
    head = '[listen]\nhttp = ["127.0.0.1:{port}"]\n[admin]\nlisten = "127.0.0.1:{admin}"\n'
    return "\n".join([head, *targets, *buckets, *callers])


def main(about, all_of_them):
    """Runs each check with its own servers, and prints its result. The last line has the counts."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only", help="names of checks, separated by commas")
    options = parser.parse_args()
    options.binary = os.path.abspath(options.binary)
    passed = failed = 0
    for check in all_of_them:
        if options.only and check.__name__ not in options.only.split(","):
            continue
        with Servers() as running:
            try:
                check(options.binary, running, options)
                print(f"passed {check.__name__}", flush=True)
                passed += 1
            except Exception:
                failed += 1
                print(f"FAILED {check.__name__}\n{traceback.format_exc()[-1800:]}", flush=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
