"""Runs every client's scenarios against every target and prints a table. The last line has the counts."""

import argparse
import sys
import threading
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from unittest import SkipTest

import cos_clients
import node_client
import oss_clients
import s3_clients
import scenarios
import servers

CLIENTS = [s3_clients.Boto3, s3_clients.Boto3V2, s3_clients.Boto3Jd, cos_clients.CosPython,
           cos_clients.CosPythonOfficial, node_client.CosNode, oss_clients.Oss2V1, oss_clients.Oss2V4, oss_clients.OssV2,
           node_client.AliOssV1, node_client.AliOssV4]
TARGETS = ["demo", "seaweedfs", "cos", "oss", "jdcloud"]

#: Without the proxy: the clients of each server. Not ali-oss: it repeats headers of a copy under names that OSS
#: ignores and that the double rejects, because the proxy must not send them.
DIRECT = {"seaweedfs": [s3_clients.Boto3], "cos": [cos_clients.CosPython, node_client.CosNode],
          "oss": [oss_clients.Oss2V1, oss_clients.Oss2V4], "jdcloud": [s3_clients.Boto3JdDirect]}

#: Cells that fail because of the target itself: (target, scenario) -> reason. None with the proxy so far.
KNOWN = {}
_NONE = "JD Cloud has no conditions on copies; the proxy checks them with a HEAD request (conditions = \"check\")"
_URLS = "the double rejects presigned URLs, because the proxy never sends one"
KNOWN_DIRECT = {
    ("jdcloud", "copy_conditions"): _NONE, ("jdcloud", "copy_pairs"): _NONE, ("jdcloud", "multipart"): _NONE,
    ("jdcloud", "presigned_urls"): _URLS, ("cos", "presigned_urls"): _URLS, ("oss", "presigned_urls"): _URLS,
    ("seaweedfs", "storage_classes"): "SeaweedFS copies the source's storage class; the proxy sends the class of every copy",
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
    """Returns the outcomes of one client at one target: (scenario, None or the failure or the reason for skipping it)."""
    run = Run(make, target, port, key, secret, options.long)
    outcomes = []
    client = make(port, key, secret)
    for scenario in scenarios.ALL:
        if scenario.__name__ not in options.only or options.stop.is_set():
            continue
        # Each scenario has a new bucket, so that a failure does not affect the next one.
        bucket = f"b{uuid.uuid4().hex[:10]}-1250000000"
        try:
            client.create_bucket(bucket)
            scenario(client, bucket, run)
            outcomes.append((scenario.__name__, None))
        except SkipTest as reason:
            outcomes.append((scenario.__name__, reason))
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)
            here = next((row for row in reversed(place) if row.filename.endswith("scenarios.py")), place[-1])
            outcomes.append((scenario.__name__, f"{type(error).__name__}: {str(error)[:600]} (line {here.lineno}: {here.line})"))
    if hasattr(client, "close"):
        client.close()
    return outcomes


def start(running, target, options):
    """Starts the server that the clients use. Returns its process and valid credentials."""
    if options.direct:
        back = running.seaweedfs() if target == "seaweedfs" else running.double(target)
        return back, servers.TARGET_KEY, servers.TARGET_SECRET
    front, _ = running.front(options.binary, target)
    return front, *servers.caller_key(target)


def one_target(target, makes, options, results):
    with servers.Servers() as running:
        front, key, secret = start(running, target, options)
        with ThreadPoolExecutor(options.threads) as pool:
            jobs = {make: pool.submit(one_client, make, target, front.port, key, secret, options) for make in makes}
            try:
                for make, job in jobs.items():
                    results[(make.name, target)] = job.result()
            except BaseException:
                options.stop.set()  # Otherwise the pool would wait for all remaining scenarios.
                raise


def parse_names(parser, what, text, names):
    """Returns the names in an option. An unknown name is an error, because it would test nothing."""
    wanted = names if text == "all" else text.split(",")
    for name in wanted:
        if name not in names:
            parser.error(f"no {what} {name!r}; there are {', '.join(names)}")
    return wanted


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", help="the proxy; not needed with --direct")
    parser.add_argument("--targets", default="all")
    parser.add_argument("--clients", default="all")
    parser.add_argument("--only", default="all", help="names of scenarios, separated by commas")
    parser.add_argument("--long", action="store_true", help="larger bodies")
    parser.add_argument("--direct", action="store_true", help="without the proxy, each client at its own vendor's server")
    parser.add_argument("--threads", type=int, default=4, help="how many clients of one target run in parallel")
    options = parser.parse_args()
    if not (options.binary or options.direct):
        parser.error("--binary is needed")
    makes = list(dict.fromkeys(make for row in DIRECT.values() for make in row)) if options.direct else CLIENTS
    names = parse_names(parser, "client", options.clients, [make.name for make in makes])
    makes = [make for make in makes if make.name in names]
    targets = parse_names(parser, "target", options.targets, list(DIRECT) if options.direct else TARGETS)
    options.only = parse_names(parser, "scenario", options.only, [scenario.__name__ for scenario in scenarios.ALL])
    options.stop = threading.Event()
    results = {}
    # Two targets in parallel: at the end of a target only its slowest client is busy.
    with ThreadPoolExecutor(2) as pool:
        own = {target: [make for make in makes if not options.direct or make in DIRECT[target]] for target in targets}
        jobs = {target: pool.submit(one_target, target, own[target], options, results) for target in targets if own[target]}
        for target, job in jobs.items():
            job.result()
            print(f"{target}: done", flush=True)

    passed = failed = 0
    notes = []
    print(f"\n{'client':<22}" + "".join(f"{target:>12}" for target in targets))
    for make in makes:
        row = f"{make.name:<22}"
        for target in targets:
            outcomes = results.get((make.name, target), [])
            notes += [f"skipped {make.name}: {name}: {why}" for name, why in outcomes if isinstance(why, SkipTest)]
            outcomes = [outcome for outcome in outcomes if not isinstance(outcome[1], SkipTest)]
            good = sum(1 for _, failure in outcomes if not failure)
            row += (f"{good}/{len(outcomes)}" if outcomes else "-").rjust(12)
            for scenario, failure in outcomes:
                why = (KNOWN_DIRECT if options.direct else KNOWN).get((target, scenario)) if failure else None
                if failure and not why:
                    failed += 1
                    notes.append(f"FAILED {make.name} -> {target}: {scenario}: {failure}")
                elif failure:
                    notes.append(f"known  {make.name} -> {target}: {scenario}: {why}")
                else:
                    passed += 1
        print(row)
    print("\n".join(["", *sorted(set(notes))]))
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
