"""Runs every client's scenarios against every target and prints a table. The last line counts."""

import argparse
import sys
import threading
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cos_clients
import node_client
import oss_clients
import s3_clients
import scenarios
import servers

sys.path.insert(0, str(servers.TESTS))

CLIENTS = [s3_clients.Boto3, s3_clients.Boto3V2, s3_clients.Boto3Jd, cos_clients.CosPython,
           cos_clients.CosPythonOfficial, node_client.CosNode, oss_clients.Oss2V1, oss_clients.Oss2V4, oss_clients.OssV2,
           node_client.AliOssV1, node_client.AliOssV4]
TARGETS = ["demo", "seaweedfs", "cos", "oss", "jdcloud"]

#: Cells that cannot hold because of the target itself: (target, scenario) or (target, dialect, scenario) -> why.
KNOWN = {
}


@dataclass
class Run:
    make: type
    target: str
    port: int
    key: str
    secret: str
    long: bool
    slow_clock: bool = False

    def again(self, key=None, secret=None):
        return self.make(self.port, key or self.key, secret or self.secret)


def one_client(make, target, port, key, secret, options):
    """The outcomes of one client at one target: (scenario, None or the failure)."""
    run = Run(make, target, port, key, secret, options.long)
    outcomes = []
    client = make(port, key, secret)
    for scenario in scenarios.ALL:
        if options.only and scenario.__name__ not in options.only.split(","):
            continue
        # A fresh bucket each, so that one failure does not spoil the next.
        bucket = f"b{uuid.uuid4().hex[:10]}-1250000000"
        try:
            client.create_bucket(bucket)
            scenario(client, bucket, run)
            outcomes.append((scenario.__name__, None))
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)
            here = next((row for row in reversed(place) if row.filename.endswith("scenarios.py")), place[-1])
            outcomes.append((scenario.__name__, f"{type(error).__name__}: {str(error)[:600]} (line {here.lineno}: {here.line})"))
    if hasattr(client, "close"):
        client.close()
    return outcomes


def one_target(target, makes, options, results, lock):
    with servers.Servers() as running:
        front, _ = running.front(options.binary, target)
        key, secret = (servers.DEMO_KEY, servers.DEMO_SECRET) if target == "demo" else (servers.KEY, servers.SECRET)
        with ThreadPoolExecutor(options.threads) as pool:
            jobs = {make: pool.submit(one_client, make, target, front.port, key, secret, options) for make in makes}
            for make, job in jobs.items():
                outcomes = job.result()
                with lock:
                    results[(make.name, target)] = outcomes


def known(target, make, scenario):
    return KNOWN.get((target, scenario)) or KNOWN.get((target, make.dialect, scenario))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--clients", default="all")
    parser.add_argument("--only", help="scenarios, by name")
    parser.add_argument("--long", action="store_true", help="larger bodies")
    parser.add_argument("--threads", type=int, default=4)
    options = parser.parse_args()
    makes = [make for make in CLIENTS if options.clients == "all" or make.name in options.clients.split(",")]
    targets = options.targets.split(",")
    results, lock = {}, threading.Lock()
    for target in targets:
        one_target(target, makes, options, results, lock)
        print(f"{target}: done", flush=True)

    passed = failed = 0
    notes = []
    print(f"\n{'client':<22}" + "".join(f"{target:>12}" for target in targets))
    for make in makes:
        row = f"{make.name:<22}"
        for target in targets:
            outcomes = results[(make.name, target)]
            good = sum(1 for _, failure in outcomes if not failure)
            row += f"{good}/{len(outcomes)}".rjust(12)
            for scenario, failure in outcomes:
                why = known(target, make, scenario) if failure else None
                if failure and not why:
                    failed += 1
                    notes.append(f"FAILED {make.name} -> {target}: {scenario}: {failure}")
                elif failure:
                    notes.append(f"known  {make.name} -> {target}: {scenario}: {why}")
                else:
                    passed += 1
        print(row)
    print("\n".join(["", *sorted(notes)]))
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
