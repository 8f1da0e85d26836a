"""Speed and cost of copies between two targets: Blobfish and `rclone copyto` in turns, between the same two servers."""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import servers
from s3_clients import Boto3

MIB = 1024 * 1024


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def remote(name, port, key):
    return (f"[{name}]\ntype = s3\nprovider = Other\nendpoint = http://127.0.0.1:{port}\nregion = us-east-1\n"
            f"access_key_id = {key[0]}\nsecret_access_key = {key[1]}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, help="a release build")
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    # With SeaweedFS as the destination its own cost per write dominates; the demo's store costs less.
    for to in ("seaweedfs", "demo"):
        print(f"from SeaweedFS to {to}", flush=True)
        measure(options, to)


def measure(options, to):
    rclone = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
    with servers.Servers() as started, tempfile.TemporaryDirectory() as home:
        keys = [(servers.TARGET_KEY, servers.TARGET_SECRET), (servers.DEMO_KEY, servers.DEMO_SECRET)]
        backs = [started.seaweedfs(), started.seaweedfs() if to == "seaweedfs" else started.demo(options.binary)]
        keys[1] = keys[to == "demo"]
        targets = [servers.one_target("seaweedfs", back.port, name, key=key) for back, name, key in zip(backs, ("first", "second"), keys)]
        buckets = [f'[[bucket]]\nname = "{name}-*"\ntarget = "{target}"\n' for name, target in (("src", "first"), ("dst", "second"))]
        proxy = started.proxy(options.binary, servers.configuration(targets, buckets))
        client = Boto3(proxy.port, servers.KEY, servers.SECRET)
        source, target = (f"{name}-{uuid.uuid4().hex[:8]}-1250000000" for name in ("src", "dst"))
        client.create_bucket(source)
        client.create_bucket(target)
        path = Path(home) / "large"
        with path.open("wb") as file:
            for _ in range(options.mib):
                file.write(os.urandom(MIB))
        client.upload_file(source, "large", str(path))
        path.unlink()
        config = Path(home) / "rclone.conf"
        config.write_text("".join(remote(name, back.port, key) for name, back, key in zip(("first", "second"), backs, keys)))
        results = {"blobfish": [], "rclone": []}
        for _ in range(options.rounds):
            before, begun = processor_seconds(proxy.child.pid), time.monotonic()
            client.copy(source, "large", target, "large")
            results["blobfish"].append((time.monotonic() - begun, processor_seconds(proxy.child.pid) - before))
            client.delete(target, "large")
            used, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
            subprocess.run([rclone, "--config", str(config), "copyto", f"first:{source}/large", f"second:{target}/large"], check=True)
            taken, now = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
            results["rclone"].append((taken, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime))
            client.delete(target, "large")
        speed, cost = {}, {}
        for name, rounds in results.items():
            speed[name] = options.mib / statistics.median(seconds for seconds, _ in rounds)
            cost[name] = statistics.median(used for _, used in rounds) * 1024 / options.mib
            print(f"{name:10} {speed[name]:8.0f} MiB/s {cost[name]:8.2f} CPU seconds a GiB")
        print(f"ratio      {speed['blobfish'] / speed['rclone']:8.2f} x   {cost['blobfish'] / cost['rclone']:8.2f} x")


if __name__ == "__main__":
    main()
