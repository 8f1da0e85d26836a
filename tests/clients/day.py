"""A day of an application, for every client and target: it creates a bucket, writes, reads, lists, tags, shares, copies,
synchronises a folder, and cleans up. Steps that a client has no call for are skipped, with the reason. The last line has
the counts."""

import argparse
import hashlib
import http.client
import os
import sys
import tempfile
import threading
import time
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import cos_clients
import more_clients
import node_client
import oss_clients
import s3_clients
import servers
import tool_clients
from run import TARGETS, parse_names, start
from scenarios import bare, expect_error, fetch_signed, is_same_part

CLIENTS = [s3_clients.Boto3, tool_clients.AwsCli, tool_clients.S5cmd, tool_clients.Rclone, tool_clients.S3cmd, node_client.AwsJs,
           more_clients.Minio, more_clients.OpenDalS3, cos_clients.CosPython, node_client.CosNode, more_clients.OpenDalCos,
           oss_clients.Oss2V1, oss_clients.Oss2V4, oss_clients.OssV2, node_client.AliOssV1, node_client.AliOssV4,
           more_clients.OpenDalOss]

#: Without the proxy: the clients of each server. Not opendal: its COS signatures do not cover all headers that the double
#: requires, and it cannot create buckets.
DIRECT = {"seaweedfs": [make for make in CLIENTS if make.dialect == "s3"], "cos": [cos_clients.CosPython, node_client.CosNode],
          "oss": [make for make in CLIENTS if make.dialect == "oss" and make is not more_clients.OpenDalOss]}

MANY = [f"many/{folder:02}/{number:03}" for folder in range(30) for number in range(100)]
PART = 5 * 1024 * 1024

_NO_BUCKETS = "it has object operations only; the suite creates and deletes the bucket"
_NO_MULTI = "it has no call that deletes several keys, only one that deletes everything"
_NO_TAGS, _NO_ACL = "it has no calls for tags", "it has no calls for ACLs"
_NO_PARTS = "it has no public calls for parts and uploads"
_NO_CONDITIONS = "it has no conditional reads"
_GET_ONLY = "it presigns downloads only"
_NO_RANGE = "it has no range reads"

_OPENDAL = {"create_bucket": _NO_BUCKETS, "delete_bucket": _NO_BUCKETS, "multi_delete": _NO_MULTI, "tags": _NO_TAGS,
            "acl": _NO_ACL, "multipart": _NO_PARTS}
#: Steps that a client has no call for: client -> step -> reason.
ABSENT = {
    "s5cmd": {"tags": _NO_TAGS, "acl": _NO_ACL, "multipart": _NO_PARTS, "conditions": _NO_CONDITIONS, "presigned_put": _GET_ONLY,
              "range_read": _NO_RANGE},
    "rclone": {"tags": _NO_TAGS, "acl": "it sets ACLs with uploads only", "multipart": _NO_PARTS, "conditions": _NO_CONDITIONS,
               "presigned_put": _GET_ONLY, "multi_delete": "it deletes keys one by one"},
    "s3cmd": {"multipart": "it lists and aborts uploads, but has no call to create one", "conditions": _NO_CONDITIONS,
              "presigned_put": _GET_ONLY, "range_read": "it reads ranges only to resume a download"},
    "awscli": {"presigned_put": _GET_ONLY},
    "minio": {"acl": _NO_ACL, "multipart": _NO_PARTS},
    "opendal-s3": _OPENDAL, "opendal-oss": _OPENDAL, "opendal-cos": _OPENDAL,
}
ONLY_OF = {"slices": ("cos-node",)}

#: The targets of slow clients by default; with --long, or if named, they run at every target. Each call of awscli starts a
#: process for half a second; run.py tests older signature versions at every target.
SLOW = {"awscli": ("seaweedfs", "cos", "oss"), "oss2-v1": ("seaweedfs", "oss"), "ali-oss-v1": ("cos", "oss")}


@dataclass
class Day:
    target: str
    port: int
    many: str
    long: bool
    folder: Path = None
    made: set = field(default_factory=set)


# ---- The steps, in the order of a day. The last steps delete all objects.

def create_bucket(client, bucket, day):
    client.create_bucket(bucket)
    assert tuple(map(list, client.listing(bucket))) == ([], [])


def small(client, bucket, day):
    body = "Grüße, 世界\n".encode() * 10
    client.put(bucket, "docs/small.txt", body, content_type="text/css", metadata={"owner": "me"})
    result = client.head(bucket, "docs/small.txt")
    assert (result["length"], result["content_type"]) == (len(body), "text/css"), result
    assert result["metadata"] == {"owner": "me"}, result
    # For every vendor the ETag of an object from a single PUT is its MD5.
    assert result["etag"] is None or bare(result["etag"]) == hashlib.md5(body).hexdigest(), result
    assert client.get(bucket, "docs/small.txt")["body"] == body
    expect_error(404, client.head, bucket, "docs/absent.txt")


def empty(client, bucket, day):
    client.put(bucket, "docs/empty", b"")
    assert client.head(bucket, "docs/empty")["length"] == 0
    assert client.get(bucket, "docs/empty")["body"] == b""


def upload_and_download(client, bucket, day, upload, key):
    """Uploads and downloads 20 MiB or more with the client's transfer manager."""
    body = os.urandom((100 if day.long else 20) * 1024 * 1024 + 7)
    path = day.folder / key
    path.write_bytes(body)
    upload(bucket, key, str(path))
    result = client.head(bucket, key)
    assert result["length"] == len(body), result
    assert result["etag"] is None or "-" in result["etag"], f"not in parts: {result}"
    path.unlink()
    if client.download_file(bucket, key, str(path)):
        assert path.read_bytes() == body
        path.unlink()
    else:
        assert client.get(bucket, key)["body"] == body


def large(client, bucket, day):
    upload_and_download(client, bucket, day, client.upload_file, "large.bin")


def slices(client, bucket, day):
    upload_and_download(client, bucket, day, client.upload_slices, "slices.bin")


def listings(client, bucket, day):
    """Lists three pages of 1,000 keys completely and in order, then with a delimiter."""
    keys, groups = client.listing(day.many, prefix="many/")
    if client.name == "rclone":  # It lists folders in its own order.
        keys.sort()
    assert list(groups) == [] and list(keys) == MANY, (len(keys), keys[:2], keys[-2:], groups)
    keys, groups = client.listing(day.many, prefix="many/", delimiter="/")
    assert (list(keys), list(groups)) == ([], [f"many/{folder:02}/" for folder in range(30)]), (keys, groups)
    keys, groups = client.listing(day.many, prefix="many/07/", delimiter="/")
    assert (sorted(keys), list(groups)) == (MANY[700:800], []), (keys, groups)


def multi_delete(client, bucket, day):
    keys = ["gone/a", "gone/b c+d", "gone/键 & <é>"]
    for key in [*keys, "gone/last"]:
        client.put(bucket, key, b"x")
    assert sorted(client.delete_many(bucket, keys)) == sorted(keys)
    assert list(client.listing(bucket, prefix="gone/")[0]) == ["gone/last"]


def tags(client, bucket, day):
    client.put(bucket, "tagged", b"x")
    given = {"color": "red", "made by": "me + you 1:2/3-4_5.6"}  # Characters that all three vendors allow.
    client.put_tags(bucket, "tagged", given)
    assert client.get_tags(bucket, "tagged") == given
    client.put_tags(bucket, "tagged", {"color": "blue"})
    assert client.get_tags(bucket, "tagged") == {"color": "blue"}, "all tags are replaced"
    client.delete_tags(bucket, "tagged")
    assert client.get_tags(bucket, "tagged") == {}
    assert client.get(bucket, "tagged")["body"] == b"x"


def acl(client, bucket, day):
    client.put(bucket, "shared", b"x")
    # COS and OSS have a `default` ACL, inherited from the bucket; S3 has none.
    assert client.get_acl(bucket, "shared") in (("private",) if client.dialect == "s3" else ("private", "default"))
    for word in ("public-read", "private"):
        client.put_acl(bucket, "shared", word)
        assert client.get_acl(bucket, "shared") == word, client.get_acl(bucket, "shared")


def spoil_signature(url):
    """Returns the URL with another first letter of its signature."""
    at = url.lower().rindex("signature=") + len("signature=")
    return url[:at] + ("A" if url[at] != "A" else "B") + url[at + 1:]


def presigned_get(client, bucket, day):
    client.put(bucket, "signed.txt", b"for you")
    url = client.presigned("GET", bucket, "signed.txt")
    assert fetch_signed(day.port, url) == b"for you"
    expect_error(403, fetch_signed, day.port, spoil_signature(url))
    expect_error(403, fetch_signed, day.port, url.replace("signed.txt", "other.txt"))


def presigned_put(client, bucket, day):
    url = client.presigned("PUT", bucket, "given.txt")
    expect_error(403, fetch_signed, day.port, spoil_signature(url), "PUT", b"spoiled")
    expect_error(404, client.head, bucket, "given.txt")
    fetch_signed(day.port, url, "PUT", b"from you")
    assert client.get(bucket, "given.txt")["body"] == b"from you"


def multipart(client, bucket, day):
    """Creates two uploads with single calls; both are listed, one is completed, one is aborted."""
    assert client.list_uploads(bucket, "by hand/") == []
    completed = client.create_multipart(bucket, "by hand/completed", content_type="text/css")
    aborted = client.create_multipart(bucket, "by hand/aborted")
    assert sorted(client.list_uploads(bucket, "by hand/")) == sorted([("by hand/completed", completed), ("by hand/aborted", aborted)])
    first = os.urandom(PART)
    parts = [(1, client.upload_part(bucket, "by hand/completed", completed, 1, first)),
             (2, client.upload_part(bucket, "by hand/completed", completed, 2, b"the end"))]
    client.upload_part(bucket, "by hand/aborted", aborted, 1, b"lost")
    result = client.list_parts(bucket, "by hand/completed", completed)
    assert [(number, size) for number, _, size in result] == [(1, PART), (2, len(b"the end"))], result
    assert all(is_same_part(row[1], part[1]) for row, part in zip(result, parts)), (result, parts)
    client.complete(bucket, "by hand/completed", completed, parts)
    assert client.list_uploads(bucket, "by hand/") == [("by hand/aborted", aborted)]
    client.abort(bucket, "by hand/aborted", aborted)
    assert client.list_uploads(bucket, "by hand/") == []
    result = client.get(bucket, "by hand/completed")
    assert result["body"] == first + b"the end" and result.get("content_type", "text/css") == "text/css"
    expect_error(404, client.head, bucket, "by hand/aborted")


def range_read(client, bucket, day):
    client.put(bucket, "digits", b"0123456789")
    assert client.get(bucket, "digits", range="bytes=2-5")["body"] == b"2345"
    assert client.get(bucket, "digits")["body"] == b"0123456789"


def copy(client, bucket, day):
    client.put(bucket, "copied/from", b"copy me", content_type="text/css", metadata={"owner": "me"})
    client.copy(bucket, "copied/from", bucket, "copied/to")
    result = client.head(bucket, "copied/to")
    assert (result["length"], result["content_type"], result["metadata"]) == (7, "text/css", {"owner": "me"}), result
    assert client.get(bucket, "copied/to")["body"] == b"copy me"


def conditions(client, bucket, day):
    client.put(bucket, "cond", b"x")
    etag, other = f'"{bare(client.head(bucket, "cond")["etag"])}"', '"' + "0" * 32 + '"'
    if client.dialect == "oss":
        etag = etag.upper()
    expect_error(304, client.get, bucket, "cond", if_none_match=etag)
    expect_error(412, client.get, bucket, "cond", if_match=other)
    assert client.get(bucket, "cond", if_match=etag)["body"] == b"x"
    assert client.get(bucket, "cond", if_none_match=other)["body"] == b"x"


def sync(client, bucket, day):
    """A folder is uploaded once, and not a second time; then only the changed file is uploaded."""
    files = {"a.txt": b"one", "sub/b b.txt": b"two" * 1000, "sub/deep/键.bin": os.urandom(5000)}
    folder = day.folder / "folder"
    for name, body in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
        os.utime(folder / name, (time.time() - 3600,) * 2)  # Older than the objects: clients compare times too.
    run = client.sync if hasattr(client, "sync") else lambda *words: emulated_sync(client, *words)
    assert run(str(folder), bucket, "sync/") == sorted(files)
    assert sorted(client.listing(bucket, prefix="sync/")[0]) == sorted("sync/" + name for name in files)
    assert run(str(folder), bucket, "sync/") == [], "nothing changed"
    files["sub/b b.txt"] = b"another two"
    (folder / "sub/b b.txt").write_bytes(files["sub/b b.txt"])
    assert run(str(folder), bucket, "sync/") == ["sub/b b.txt"]
    for name, body in files.items():
        assert client.get(bucket, "sync/" + name)["body"] == body, name


def emulated_sync(client, folder, bucket, prefix):
    """Synchronises a folder with an SDK, by the sizes and ETags of a listing."""
    held = client.list_sizes_and_etags(bucket)
    sent = []
    for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
        name, body = str(path.relative_to(folder)), path.read_bytes()
        size, etag = held.get(prefix + name, (None, ""))
        if (size, bare(etag)) != (len(body), hashlib.md5(body).hexdigest()):
            client.put(bucket, prefix + name, body)
            sent.append(name)
    return sent


def delete_all(client, bucket, day):
    keys = list(client.listing(bucket)[0])
    assert keys, "the steps above left objects"
    if hasattr(client, "delete_all"):
        client.delete_all(bucket)
    else:
        client.delete_many(bucket, keys)
    assert tuple(map(list, client.listing(bucket))) == ([], [])


def delete_bucket(client, bucket, day):
    client.delete_bucket(bucket)
    expect_error(404, client.listing, bucket)


STEPS = [create_bucket, small, empty, large, slices, listings, multi_delete, tags, acl, presigned_get, presigned_put, multipart,
         range_read, copy, conditions, sync, delete_all, delete_bucket]


# ---- Running

def one_day(make, day, key, secret, options):
    """Returns the outcomes of one client: [(step, None or the failure)]."""
    outcomes, absent = [], ABSENT.get(make.name, {})
    client = make(day.port, key, secret)
    bucket = f"day-{uuid.uuid4().hex[:10]}-1250000000"
    try:
        with tempfile.TemporaryDirectory() as folder:
            day.folder = Path(folder)
            if hasattr(client, "prepare_bucket"):
                client.prepare_bucket(bucket)
            elif "create_bucket" not in options.only:
                client.create_bucket(bucket)
            for step in STEPS:
                name = step.__name__
                if name not in options.only or name in absent or make.name not in ONLY_OF.get(name, (make.name,)):
                    continue
                if options.stop.is_set():
                    break
                began = time.monotonic()
                try:
                    if options.direct and name.startswith("presigned") and day.target != "seaweedfs":
                        # The doubles reject presigned URLs, because the proxy never sends one.
                        expect_error(403, step, client, bucket, day)
                    else:
                        step(client, bucket, day)
                    outcomes.append((name, None))
                except Exception as error:
                    place = traceback.extract_tb(error.__traceback__)
                    here = next((row for row in reversed(place) if row.filename.endswith("day.py")), place[-1])
                    result = " ".join(str(error).split())[:400]
                    outcomes.append((name, f"{type(error).__name__}: {result} (line {here.lineno}: {here.line})"))
                options.times[(make.name, name)] = options.times.get((make.name, name), 0) + time.monotonic() - began
    except Exception as error:
        outcomes.append(("preparation", f"{type(error).__name__}: {str(error)[:500]}"))
    finally:
        if hasattr(client, "close"):
            client.close()
    return outcomes


def put_many_by(make, port, key, secret, bucket):
    """The same as below, for servers that do not accept S3's signatures."""
    client = make(port, key, secret)
    client.create_bucket(bucket)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: client.put(bucket, name, b"x"), MANY))
    if hasattr(client, "close"):
        client.close()


def put_many(port, key, secret, bucket):
    """Creates the keys that every client lists. Requests are signed by botocore and sent on few connections: an SDK would
    take a minute."""
    s3_clients.Boto3(port, key, secret).create_bucket(bucket)
    left, failures = iter(MANY), []
    lock = threading.Lock()

    def work():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        signer = botocore.auth.S3SigV4Auth(Credentials(key, secret), "s3", "us-east-1")
        while not failures:
            with lock:
                name = next(left, None)
            if name is None:
                break
            request = AWSRequest("PUT", f"http://127.0.0.1:{port}/{bucket}/{name}", data=b"x", headers={"Content-Length": "1"})
            request.context["payload_signing_enabled"] = False
            signer.add_auth(request)
            connection.request("PUT", f"/{bucket}/{name}", b"x", dict(request.headers))
            response = connection.getresponse()
            text = response.read()
            if response.status != 200:
                failures.append(f"{name}: {response.status} {text[:200]}")
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures, failures[0]


def one_target(target, makes, options, results):
    with servers.Servers() as running:
        front, key, secret = start(running, target, options)
        if options.direct:
            makes = [make for make in makes if make in DIRECT[target]]
        many = f"many-{uuid.uuid4().hex[:8]}-1250000000"
        if "listings" in options.only and options.direct and target != "seaweedfs" and makes:
            put_many_by(makes[0], front.port, key, secret, many)
        elif "listings" in options.only:
            put_many(front.port, key, secret, many)
        with ThreadPoolExecutor(options.threads) as pool:
            jobs = {make: pool.submit(one_day, make, Day(target, front.port, many, options.long), key, secret, options)
                    for make in makes if options.long or options.clients != "all" or target in SLOW.get(make.name, TARGETS)}
            try:
                for make, job in jobs.items():
                    results[(make.name, target)] = job.result()
            except BaseException:
                options.stop.set()  # Otherwise the pool would wait for all remaining steps.
                raise


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", help="the proxy; not needed with --direct")
    parser.add_argument("--targets", default="all")
    parser.add_argument("--clients", default="all")
    parser.add_argument("--only", default="all", help="names of steps, separated by commas")
    parser.add_argument("--long", action="store_true", help="100 MiB instead of 20, and slow clients at every target")
    parser.add_argument("--direct", action="store_true", help="without the proxy, each client at its own vendor's server")
    parser.add_argument("--threads", type=int, default=4, help="how many clients of one target run in parallel")
    parser.add_argument("--times", action="store_true", help="print the slowest steps")
    options = parser.parse_args()
    if not (options.binary or options.direct):
        parser.error("--binary is needed")
    names = parse_names(parser, "client", options.clients, [make.name for make in CLIENTS])
    makes = [make for make in CLIENTS if make.name in names]
    targets = parse_names(parser, "target", options.targets, list(DIRECT) if options.direct else TARGETS)
    options.only = parse_names(parser, "step", options.only, [step.__name__ for step in STEPS])
    options.stop, show, options.times = threading.Event(), options.times, {}
    results = {}
    began = time.monotonic()
    # Two targets in parallel: at the end of a target only its slowest client is busy.
    with ThreadPoolExecutor(2) as pool:
        jobs = {target: pool.submit(one_target, target, makes, options, results) for target in targets}
        for target, job in jobs.items():
            job.result()
            print(f"{target}: done after {time.monotonic() - began:.0f} s", flush=True)

    passed = failed = 0
    notes = []
    print(f"\n{'client':<16}" + "".join(f"{target:>12}" for target in targets))
    for make in makes:
        row = f"{make.name:<16}"
        notes += [f"skipped {make.name}: {step}: {why}" for step, why in ABSENT.get(make.name, {}).items() if step in options.only]
        for target in targets:
            outcomes = results.get((make.name, target), [])
            good = sum(1 for _, failure in outcomes if not failure)
            passed, failed = passed + good, failed + len(outcomes) - good
            notes += [f"FAILED {make.name} -> {target}: {step}: {failure}" for step, failure in outcomes if failure]
            row += (f"{good}/{len(outcomes)}" if outcomes else "-").rjust(12)
        print(row)
    print("\n".join(["", *notes]))
    for (client, step), seconds in sorted(options.times.items(), key=lambda row: -row[1])[:25 if show else 0]:
        print(f"{seconds:6.1f} s  {client} {step}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
