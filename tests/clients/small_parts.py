"""Parts below the target's minimum, and bodies of unknown length, with the SDKs' own calls: two replicas in front of one
SeaweedFS, with the parts of each upload alternating between them. The remaining objects are checked at the target.
`--long` adds a large upload, which measures the memory of the process, and many uploads with parts of mixed sizes."""

import argparse
import base64
import contextlib
import hashlib
import hmac
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

import boto3
import oss2
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from api import CallError
from cos_clients import CosPython
from node_client import AliOssV1, CosNode
from servers import KEY, SECRET, TARGET_KEY, TARGET_SECRET, Servers, configuration, one_target, wait_for

KIB, MIB = 1024, 1024 * 1024
PREFIX = ".blobfish-parts/"
DATA = random.Random(7).randbytes(13 * MIB)
NAMES = itertools.count(1)


def s3(port, key=KEY, secret=SECRET):
    return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id=key,
                        aws_secret_access_key=secret, region_name="us-east-1",
                        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, read_timeout=60))


def oss(port, bucket):
    return oss2.Bucket(oss2.Auth(KEY, SECRET), f"http://oss-cn-hangzhou.localhost:{port}", bucket, region="cn-hangzhou",
                       connect_timeout=60)


class LoadBalancer:
    """Connects each new connection to the next replica."""

    def __init__(self, ports):
        self.ports, self.listener = itertools.cycle(ports), socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", next(self.ports)))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self.pass_on, args=pair, daemon=True).start()

    def pass_on(self, here, there):
        with contextlib.suppress(OSError):
            while piece := here.recv(65536):
                there.sendall(piece)
        with contextlib.suppress(OSError):
            there.shutdown(socket.SHUT_WR)


class Rig:
    def __init__(self, binary, running, options):
        self.binary, self.running, self.options = binary, running, options
        self.weed = running.seaweedfs()
        self.target = s3(self.weed.port, TARGET_KEY, TARGET_SECRET)
        self.replicas = [self.replica(), self.replica()]
        self.load_balancer = LoadBalancer([replica.port for replica in self.replicas])

    def replica(self, more="", **target):
        return self.running.proxy(self.binary, configuration(
            [one_target("seaweedfs", self.weed.port, small_parts_cleanup_seconds=0, **target)]) + more)

    def restart(self, at):
        self.replicas[at].stop()
        self.replicas[at] = self.replica()

    def bucket(self):
        name = f"parts{next(NAMES)}-1250000000"
        self.target.create_bucket(Bucket=name)
        return name

    def list_target_keys(self, bucket):
        """Returns all keys at the target, including those of small parts."""
        return [row["Key"] for row in self.target.list_objects_v2(Bucket=bucket).get("Contents", [])]

    def only(self, bucket, keys):
        wait_for(lambda: self.list_target_keys(bucket) == keys, 10,
                 f"only {keys} at the target, which has {self.list_target_keys(bucket)[:5]}")

    def cos(self, at=0):
        return CosPython(self.replicas[at].port, KEY, SECRET)

    def read(self, bucket, key):
        return self.target.get_object(Bucket=bucket, Key=key)["Body"].read()


def expect_error(status, code, call, *arguments, **more):
    """Expects that the call fails with this status and code. Returns the error message."""
    try:
        call(*arguments, **more)
    except oss2.exceptions.OssError as error:
        assert (error.status, error.code) == (status, code), error
        return error.message
    except CallError as error:
        assert (error.status, error.code) == (status, code), error
        return str(error)
    except ClientError as error:
        result = error.response["Error"]
        got = error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert got == status and result["Code"] in (code, str(status)), error
        return result["Message"]
    raise AssertionError(f"the call succeeded; wanted {status} {code}")


def same(got, want, what="content"):
    digest = [hashlib.md5(body).hexdigest() + f" of {len(body)}" for body in (got, want)]
    assert digest[0] == digest[1], f"{what}: {digest}"


def page_content(page):
    """Returns the content of a page, without the fields that the target generates."""
    return str({name: value for name, value in page.items() if name != "ResponseMetadata" and "Token" not in name})


def upload_parts(rig, key, bucket, parts, order=None, upload=None):
    """Uploads parts with oss2, alternating between the replicas. Returns the upload ID and the parts for its completion."""
    clients = itertools.cycle([oss(replica.port, bucket) for replica in rig.replicas])
    upload = upload or next(clients).init_multipart_upload(key).upload_id
    lines = {number: next(clients).upload_part(key, upload, number, parts[number]).etag for number in order or parts}
    return upload, [oss2.models.PartInfo(number, etag) for number, etag in sorted(lines.items())]


def combine(parts):
    return b"".join(body for _, body in sorted(parts.items()))


# ---- uploads

def sdks_with_their_defaults(rig):
    bucket, port = rig.bucket(), rig.load_balancer.port
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        Path(path).write_bytes(DATA)
        CosPython(port, KEY, SECRET).sdk.upload_file(Bucket=bucket, Key="cos-python", LocalFilePath=path)
        for part, key in ((MIB, "oss2-1m"), (100 * KIB, "oss2-100k")):
            Path(path).write_bytes(DATA if part == MIB else DATA[:6 * MIB])
            oss2.resumable_upload(oss(port, bucket), key, path, store=oss2.ResumableStore(root=folder),
                                  multipart_threshold=100 * KIB, part_size=part, num_threads=3)
        Path(path).write_bytes(DATA)
        cos, ali = CosNode(port, KEY, SECRET), AliOssV1(port, KEY, SECRET)
        try:
            cos.call("sdk", name="sliceUploadFile", args={"Bucket": bucket, "Key": "cos-node", "FilePath": path})
            ali.call("sdk", bucket=bucket, name="multipartUpload", args=["ali-oss", path])
        finally:
            cos.close(), ali.close()
    keys = ["ali-oss", "cos-node", "cos-python", "oss2-100k", "oss2-1m"]
    for key in keys:
        same(rig.read(bucket, key), DATA[:6 * MIB] if key == "oss2-100k" else DATA, key)
    rig.only(bucket, keys)


def parts_alternate_and_a_restart_loses_nothing(rig):
    bucket, parts = rig.bucket(), {number: DATA[number * MIB:][:MIB] for number in range(1, 8)} | {9: b"the end"}
    upload, lines = upload_parts(rig, "k", bucket, parts, [4, 9, 1, 3, 7, 2, 6, 5])
    result, marker = [], ""
    for at in itertools.cycle((0, 1)):
        page = oss(rig.replicas[at].port, bucket).list_parts("k", upload, marker=marker, max_parts=3)
        assert len(page.parts) <= 3, page.parts
        result += [(row.part_number, row.etag, row.size) for row in page.parts]
        marker = page.next_marker
        if not page.is_truncated:
            break
    # The ETag of an uploaded part has a suffix, from which the CRC-64 of the object is combined.
    wanted = [(line.part_number, line.etag.split("-")[0], len(parts[line.part_number])) for line in lines]
    assert result == wanted, result
    rig.restart(0), rig.restart(1)
    rig.load_balancer = LoadBalancer([replica.port for replica in rig.replicas])
    done = oss(rig.replicas[0].port, bucket).complete_multipart_upload("k", upload, lines)
    same(rig.read(bucket, "k"), combine(parts))
    head = oss(rig.replicas[1].port, bucket).head_object("k")
    assert head.etag == done.etag, (head.etag, done.etag)
    checked = oss2.utils.Crc64()
    checked.update(combine(parts))
    assert done.crc == checked.crc, (done.crc, checked.crc)
    rig.only(bucket, ["k"])


def upload_mixed_parts(rig, bucket, key, sizes, order):
    parts = {number: DATA[number:][:size] for number, size in sizes.items()}
    upload, lines = upload_parts(rig, key, bucket, parts, order)
    listed = oss(rig.replicas[0].port, bucket).list_parts(key, upload).parts
    assert [(row.part_number, row.size) for row in listed] == sorted(sizes.items()), listed
    done = oss(rig.replicas[1].port, bucket).complete_multipart_upload(key, upload, lines)
    same(rig.read(bucket, key), combine(parts), f"{sizes} in the order {order}")
    assert oss(rig.replicas[0].port, bucket).head_object(key).etag == done.etag
    rig.only(bucket, [key])
    rig.target.delete_object(Bucket=bucket, Key=key)


def mixed_sizes_in_any_order(rig):
    bucket, sizes = rig.bucket(), {1: 100 * KIB, 2: 6 * MIB, 3: MIB, 5: 300_000, 8: 7}
    for order in ([3, 8, 1, 5, 2], [2, 1, 3, 5, 8], [8, 5, 3, 2, 1], [1, 2, 3, 5, 8]):
        upload_mixed_parts(rig, bucket, "mixed", sizes, order)
    for sizes in ({1: 6 * MIB, 2: 100 * KIB, 3: 6 * MIB, 4: 100 * KIB, 6: 5 * MIB},
                  {1: 5 * MIB, 2: 5 * MIB, 3: 10}, {1: 10}, {7: 5 * MIB}, {1: 200 * KIB, 2: 5 * MIB + 1}):
        upload_mixed_parts(rig, bucket, "mixed", sizes, random.Random(len(sizes)).sample(list(sizes), len(sizes)))
    if rig.options.long:
        chance = random.Random(11)
        for _ in range(25):
            numbers = sorted(chance.sample(range(1, 40), chance.randint(2, 9)))
            sizes = {n: chance.choice((100 * KIB, 300_000, MIB, 4 * MIB, 5 * MIB, 6 * MIB, 9 * MIB)) for n in numbers}
            sizes[numbers[-1]] = chance.choice((1, 50_000, MIB, 6 * MIB))
            upload_mixed_parts(rig, bucket, "mixed", sizes, chance.sample(numbers, len(numbers)))


def large_parts_go_to_the_target(rig):
    """Large parts in order are uploaded directly to the target; only the last, small part is stored as an object."""
    bucket, parts = rig.bucket(), {1: DATA[:5 * MIB], 2: DATA[:6 * MIB], 3: b"end"}
    upload, lines = upload_parts(rig, "k", bucket, parts)
    there = rig.target.list_parts(Bucket=bucket, Key="k", UploadId=upload)["Parts"]
    assert [row["PartNumber"] for row in there] == [1, 2], there
    stored = rig.list_target_keys(bucket)
    assert len(stored) == 1 and stored[0].startswith(PREFIX), stored
    oss(rig.replicas[0].port, bucket).complete_multipart_upload("k", upload, lines)
    same(rig.read(bucket, "k"), combine(parts))
    rig.only(bucket, ["k"])


def the_last_part_of_a_number_counts(rig):
    bucket, small, large = rig.bucket(), DATA[3:][:MIB], DATA[5:][:6 * MIB]
    for first, then in ((small, large), (large, small), (small, DATA[9:][:MIB]), (large, DATA[11:][:6 * MIB])):
        upload, old = upload_parts(rig, "k", bucket, {1: first})
        _, lines = upload_parts(rig, "k", bucket, {1: then, 2: b"end"}, upload=upload)
        clients = [oss(replica.port, bucket) for replica in rig.replicas]
        result = [(row.part_number, row.size) for row in clients[0].list_parts("k", upload).parts]
        assert result == [(1, len(then)), (2, 3)], (len(first), len(then), result)
        if MIB in (len(first), len(then)):  # Without small parts the target verifies the ETags.
            expect_error(400, "InvalidPart", clients[0].complete_multipart_upload, "k", upload, old + lines[1:])
        clients[1].complete_multipart_upload("k", upload, lines)
        same(rig.read(bucket, "k"), then + b"end")
        rig.only(bucket, ["k"])


def a_completion_checks_its_parts(rig):
    bucket = rig.bucket()
    client = oss(rig.replicas[0].port, bucket)
    upload, lines = upload_parts(rig, "k", bucket, {1: DATA[:MIB], 2: DATA[:MIB], 3: b"end"})
    line = oss2.models.PartInfo
    expect_error(400, "InvalidPart", client.complete_multipart_upload, "k", upload, [lines[0], line(5, lines[1].etag)])
    expect_error(400, "InvalidPart", client.complete_multipart_upload, "k", upload, [lines[0], line(2, "0" * 32)])
    upload_tiny, tiny = upload_parts(rig, "k", bucket, {1: DATA[:50 * KIB], 2: b"end"})
    expect_error(400, "EntityTooSmall", client.complete_multipart_upload, "k", upload_tiny, tiny)
    cos = rig.cos()
    upload_cos = cos.create_multipart(bucket, "k")
    tags = [(n, cos.upload_part(bucket, "k", upload_cos, n, DATA[:500 * KIB])) for n in (1, 2)]
    expect_error(400, "EntityTooSmall", cos.complete, bucket, "k", upload_cos, tags)
    expect_error(400, "InvalidArgument", client.upload_part, "k", upload, 10_001, b"x")
    # A part may be omitted, and earlier failures have no effect.
    client.complete_multipart_upload("k", upload, [lines[0], lines[2]])
    same(rig.read(bucket, "k"), DATA[:MIB] + b"end")


def an_abort_deletes_all_parts(rig):
    bucket = rig.bucket()
    clients = [oss(replica.port, bucket) for replica in rig.replicas]
    upload, lines = upload_parts(rig, "gone", bucket, {1: DATA[:MIB], 2: DATA[:6 * MIB], 3: DATA[:MIB]})
    assert len(rig.list_target_keys(bucket)) >= 2
    clients[1].abort_multipart_upload("gone", upload)
    rig.only(bucket, [])
    for at in (0, 1):
        expect_error(404, "NoSuchUpload", clients[at].upload_part, "gone", upload, 4, DATA[:MIB])
        expect_error(404, "NoSuchUpload", clients[at].complete_multipart_upload, "gone", upload, lines)
        expect_error(404, "NoSuchUpload", clients[at].list_parts, "gone", upload)
    expect_error(404, "NoSuchUpload", clients[0].upload_part, "never", "0" * 32, 1, DATA[:MIB])
    rig.only(bucket, [])


def copied_parts(rig):
    bucket, cos = rig.bucket(), rig.cos()
    rig.target.put_object(Bucket=bucket, Key="a source", Body=DATA)
    spans = [(0, MIB - 1), (MIB, 7 * MIB - 1), (7 * MIB, 9 * MIB - 1), (9 * MIB, len(DATA) - 1)]
    for order in ([0, 1, 2, 3], [3, 2, 0, 1], [1, 0, 2, 3]):
        upload, tags = cos.create_multipart(bucket, "copy"), {}
        for at in order:
            client = rig.cos(at % 2)
            tags[at + 1] = client.upload_part_copy(bucket, "a source", bucket, "copy", upload, at + 1, spans[at])
        assert [row[::2] for row in cos.list_parts(bucket, "copy", upload)] == [
            (at + 1, last - first + 1) for at, (first, last) in enumerate(spans)]
        if order[0] == 1:
            # The large part was copied before a small part showed that sizes are mixed: an error, never a wrong object.
            expect_error(400, "EntityTooSmall", cos.complete, bucket, "copy", upload, sorted(tags.items()))
            cos.abort(bucket, "copy", upload)
            continue
        cos.complete(bucket, "copy", upload, sorted(tags.items()))
        same(rig.read(bucket, "copy"), DATA)
    upload = cos.create_multipart(bucket, "copy")
    tags = [(n + 1, rig.cos(n % 2).upload_part_copy(bucket, "a source", bucket, "copy", upload, n + 1,
                                                    (n * MIB, n * MIB + MIB - 1))) for n in range(13)]
    cos.complete(bucket, "copy", upload, tags)
    same(rig.read(bucket, "copy"), DATA[:13 * MIB])
    rig.only(bucket, ["a source", "copy"])


# ---- small parts are hidden

def small_parts_are_not_listed(rig):
    bucket = rig.bucket()
    for key in ("!first", ".a", ".blobfish-parts", ".z", "a/b", "z"):
        rig.target.put_object(Bucket=bucket, Key=key, Body=b"seen")
    upload, _ = upload_parts(rig, "open", bucket, {1: DATA[:MIB], 2: DATA[:MIB], 3: DATA[:MIB]})
    stored = [key for key in rig.list_target_keys(bucket) if key.startswith(PREFIX)]
    assert len(stored) == 3, stored
    seen = ["!first", ".a", ".blobfish-parts", ".z", "a/b", "z"]
    at, cos, client = s3(rig.replicas[0].port), rig.cos(1), oss(rig.replicas[1].port, bucket)
    for size in (1, 2, 3, 1000):
        for name in ("list_objects", "list_objects_v2"):
            found = []
            for page in at.get_paginator(name).paginate(Bucket=bucket, PaginationConfig={"PageSize": size}):
                assert PREFIX not in page_content(page), page
                found += [row["Key"] for row in page.get("Contents", [])]
            assert found == seen, (name, size, found)
            found, groups = [], []
            for page in at.get_paginator(name).paginate(Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": size}):
                assert PREFIX not in page_content(page), page
                found += [row["Key"] for row in page.get("Contents", [])]
                groups += [row["Prefix"] for row in page.get("CommonPrefixes", [])]
            assert (found, groups) == ([key for key in seen if "/" not in key], ["a/"]), (name, size, found, groups)
        found = []
        for page in at.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": size}):
            assert PREFIX not in page_content(page), page
            found += [row["Key"] for row in page.get("Versions", [])]
        assert found == seen, (size, found)
        for second in (oss2.ObjectIterator, oss2.ObjectIteratorV2):
            assert [row.key for row in second(client, max_keys=size)] == seen
    assert cos.list(bucket) == seen
    for prefix in (PREFIX, stored[0], PREFIX[:-1]):
        wanted = [key for key in seen if key.startswith(prefix)]
        assert [row["Key"] for row in at.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])] == wanted
        assert cos.list(bucket, prefix) == wanted
    uploads = at.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [row["Key"] for row in uploads] == ["open"], uploads
    client.abort_multipart_upload("open", upload)


def small_parts_cannot_be_addressed(rig):
    bucket = rig.bucket()
    rig.target.put_object(Bucket=bucket, Key="plain", Body=b"plain")
    upload, lines = upload_parts(rig, "open", bucket, {1: DATA[:MIB], 2: DATA[:MIB]})
    stored, client = rig.list_target_keys(bucket)[0], oss(rig.replicas[0].port, bucket)
    at, cos = s3(rig.replicas[1].port), rig.cos()
    for key in (stored, PREFIX, PREFIX + "own"):
        one, source = {"Bucket": bucket, "Key": key}, {"Bucket": bucket, "Key": key}
        for call in (at.get_object, at.head_object, at.delete_object, at.put_object, at.create_multipart_upload,
                     at.get_object_tagging, at.get_object_acl):
            expect_error(403, "AccessDenied", call, **one)
        expect_error(403, "AccessDenied", at.copy_object, Bucket=bucket, Key="to", CopySource=source)
        expect_error(403, "AccessDenied", at.copy_object, Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": "plain"})
        expect_error(403, "AccessDenied", at.upload_part_copy, Bucket=bucket, Key="open", UploadId=upload, PartNumber=1,
                     CopySource=source)
        expect_error(403, "AccessDenied", at.delete_objects, Bucket=bucket, Delete={"Objects": [{"Key": "plain"}, {"Key": key}]})
        expect_error(403, "AccessDenied", cos.get, bucket, key)
        expect_error(403, "AccessDenied", cos.copy, bucket, key, bucket, "to")
        expect_error(403, "AccessDenied", client.get_object, key)
        expect_error(403, "AccessDenied", client.batch_delete_objects, [key])
        url, fields = cos.form(bucket, key, [])
        response = requests.post(url, data={**fields, "key": key}, files={"file": b"x"})
        assert response.status_code == 403, response.text
    assert cos.get(bucket, "plain")["body"] == b"plain"
    client.complete_multipart_upload("open", upload, lines)
    same(rig.read(bucket, "open"), DATA[:MIB] * 2)


def a_bucket_with_only_small_parts_can_be_deleted(rig):
    bucket = rig.bucket()
    upload, _ = upload_parts(rig, "open", bucket, {1: DATA[:MIB]})
    rig.target.put_object(Bucket=bucket, Key="plain", Body=b"plain")
    cos, at = rig.cos(), s3(rig.replicas[0].port)
    expect_error(409, "BucketNotEmpty", cos.delete_bucket, bucket)
    expect_error(409, "BucketNotEmpty", at.delete_bucket, Bucket=bucket)
    cos.delete(bucket, "plain")
    # With an open upload a bucket of COS and OSS is not empty.
    expect_error(409, "BucketNotEmpty", cos.delete_bucket, bucket)
    assert len(rig.list_target_keys(bucket)) == 1, "a rejected deletion deletes nothing"
    rig.target.abort_multipart_upload(Bucket=bucket, Key="open", UploadId=upload)
    cos.delete_bucket(bucket)
    expect_error(404, "NoSuchBucket", rig.target.head_bucket, Bucket=bucket)
    bucket = rig.bucket()
    upload_parts(rig, "open", bucket, {1: DATA[:MIB]})
    at.delete_bucket(Bucket=bucket)
    expect_error(404, "NoSuchBucket", rig.target.head_bucket, Bucket=bucket)


def no_versions_remain(rig):
    bucket = rig.bucket()
    rig.target.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    upload, lines = upload_parts(rig, "k", bucket, {1: DATA[:MIB], 2: DATA[:MIB]})
    _, lines = upload_parts(rig, "k", bucket, {1: DATA[7:][:MIB], 2: DATA[:MIB]}, upload=upload)
    oss(rig.replicas[0].port, bucket).complete_multipart_upload("k", upload, lines)
    same(rig.read(bucket, "k"), DATA[7:][:MIB] + DATA[:MIB])
    result = rig.target.list_object_versions(Bucket=bucket)
    keys = [row["Key"] for name in ("Versions", "DeleteMarkers") for row in result.get(name, [])]
    assert keys == ["k"], keys


def parts_in_a_bucket_of_their_own(rig):
    bucket, own = rig.bucket(), rig.bucket()
    apart = rig.replica(small_parts_bucket=own)
    client = oss(apart.port, bucket)
    upload = client.init_multipart_upload("k").upload_id
    lines = [oss2.models.PartInfo(n, client.upload_part("k", upload, n, DATA[n:][:MIB]).etag) for n in (1, 2, 3)]
    found = rig.list_target_keys(bucket), rig.list_target_keys(own)
    assert found[0] == [] and len(found[1]) == 3, found
    at = s3(apart.port)
    assert own not in str(at.list_buckets()["Buckets"]) and bucket in str(at.list_buckets()["Buckets"])
    expect_error(404, "NoSuchBucket", at.list_objects_v2, Bucket=own)
    expect_error(404, "NoSuchBucket", at.get_object, Bucket=own, Key=rig.list_target_keys(own)[0])
    expect_error(404, "NoSuchBucket", at.copy_object, Bucket=bucket, Key="to",
                 CopySource={"Bucket": own, "Key": rig.list_target_keys(own)[0]})
    expect_error(404, "NoSuchBucket", at.delete_bucket, Bucket=own)
    client.complete_multipart_upload("k", upload, lines)
    same(rig.read(bucket, "k"), b"".join(DATA[n:][:MIB] for n in (1, 2, 3)))
    rig.only(own, [])
    apart.stop()


def the_cleanup_deletes_leftover_parts(rig):
    bucket = rig.bucket()
    gone, _ = upload_parts(rig, "gone", bucket, {1: DATA[:MIB], 2: DATA[:MIB]})
    upload, lines = upload_parts(rig, "open", bucket, {1: DATA[:MIB], 2: DATA[:MIB]})
    rig.target.put_object(Bucket=bucket, Key=PREFIX + "of/others", Body=b"x")
    rig.target.abort_multipart_upload(Bucket=bucket, Key="gone", UploadId=gone)
    assert len(rig.list_target_keys(bucket)) == 5
    replace = lambda: rig.running.proxy(rig.binary, configuration(
        [one_target("seaweedfs", rig.weed.port, small_parts_cleanup_seconds=1)]))
    cleaners = [replace(), replace()]
    wait_for(lambda: len(rig.list_target_keys(bucket)) == 3, 30, f"the cleanup; the target has {rig.list_target_keys(bucket)}")
    time.sleep(2)
    assert len(rig.list_target_keys(bucket)) == 3, "an open upload, or an object of others, was deleted"
    oss(cleaners[0].port, bucket).complete_multipart_upload("open", upload, lines)
    same(rig.read(bucket, "open"), DATA[:MIB] * 2)
    [cleaner.stop() for cleaner in cleaners]


def a_rejection_names_the_setting(rig):
    bucket = rig.bucket()
    strict = rig.replica(small_parts="reject")
    cos, client = CosPython(strict.port, KEY, SECRET), oss(strict.port, bucket)
    upload = cos.create_multipart(bucket, "k")
    tags = [(1, cos.upload_part(bucket, "k", upload, 1, DATA[:MIB]))]
    message = expect_error(400, "EntityTooSmall", cos.upload_part, bucket, "k", upload, 2, DATA[:MIB])
    assert "PartSize" in message and "5242880" in message, message
    cos.complete(bucket, "k", upload, tags)
    same(rig.read(bucket, "k"), DATA[:MIB], "a single small part")
    upload = client.init_multipart_upload("k").upload_id
    lines = [oss2.models.PartInfo(n, client.upload_part("k", upload, n, body).etag)
             for n, body in ((1, DATA[:5 * MIB]), (3, DATA[:6 * MIB]), (4, b"end"))]
    message = expect_error(400, "EntityTooSmall", client.upload_part, "k", upload, 2, DATA[:MIB])
    assert "part_size" in message, message
    client.complete_multipart_upload("k", upload, lines)
    same(rig.read(bucket, "k"), DATA[:5 * MIB] + DATA[:6 * MIB] + b"end")
    assert rig.list_target_keys(bucket) == ["k"]
    strict.stop()


def an_interrupted_completion_can_be_repeated(rig):
    bucket, parts = rig.bucket(), {number: DATA[:MIB] for number in range(1, 25)} | {30: b"end"}
    upload, lines = upload_parts(rig, "k", bucket, parts)
    victim = rig.replica()
    cut = threading.Thread(target=attempt, args=(
        lambda: oss(victim.port, bucket).complete_multipart_upload("k", upload, lines),))
    cut.start()
    wait_for(lambda: "Parts" in rig.target.list_parts(Bucket=bucket, Key="k", UploadId=upload), 20, "a combined part")
    victim.child.send_signal(signal.SIGKILL)
    cut.join()
    client = oss(rig.replicas[0].port, bucket)
    result = client.list_parts("k", upload).parts
    assert [(row.part_number, row.size) for row in result] == [(n, len(body)) for n, body in parts.items()], result
    client.complete_multipart_upload("k", upload, lines)
    same(rig.read(bucket, "k"), combine(parts))
    rig.only(bucket, ["k"])
    victim.stop()


def attempt(call):
    with contextlib.suppress(Exception):
        call()


# ---- bodies of unknown length

def pieces(size, step=65536):
    return (DATA[at % (12 * MIB):][:min(step, size - at)] for at in range(0, size, step))


def chunked_v1(port, bucket, key, body, query="", cut=False):
    """Sends a PUT with Transfer-Encoding: chunked, as Alibaba's Ruby SDK does for objects and parts."""
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
    resource = f"/{bucket}/{key}" + (f"?{query}" if query else "")
    signature = base64.b64encode(hmac.new(SECRET.encode(), f"PUT\n\n\n{date}\n{resource}".encode(), "sha1").digest()).decode()
    with socket.create_connection(("127.0.0.1", port), 30) as wire:
        target = f"/{key}" + (f"?{query}" if query else "")
        wire.sendall((f"PUT {target} HTTP/1.1\r\nHost: {bucket}.oss-cn-hangzhou.localhost:{port}\r\nDate: {date}\r\n"
                      f"Authorization: OSS {KEY}:{signature}\r\nTransfer-Encoding: chunked\r\n\r\n").encode())
        for at in range(0, len(body), 100_000):
            piece = body[at:at + 100_000]
            wire.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        if cut:
            return None
        wire.sendall(b"0\r\n\r\n")
        response = b""
        while b"\r\n\r\n" not in response or (b"<Error>" in response and b"</Error>" not in response):
            piece = wire.recv(65536)
            if not piece:
                break
            response += piece
    return response.decode("latin-1")


def objects_of_unknown_length(rig):
    bucket = rig.bucket()
    client = oss(rig.replicas[0].port, bucket)
    headers = {"x-oss-meta-owner": "me", "Content-Type": "text/x", "x-oss-tagging": "a=b", "x-oss-object-acl": "public-read"}
    for size in (0, 1, 300 * KIB, 16 * MIB + 1, 33 * MIB):
        done = client.put_object("k", pieces(size), headers=headers)
        body = b"".join(pieces(size))
        same(rig.read(bucket, "k"), body)
        head = s3(rig.replicas[1].port).head_object(Bucket=bucket, Key="k")
        assert (head["Metadata"], head["ContentType"]) == ({"owner": "me"}, "text/x"), head
        assert client.head_object("k").etag == done.etag
        checked = oss2.utils.Crc64()
        checked.update(body)
        assert done.crc == checked.crc, (done.crc, checked.crc)
        assert rig.target.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a", "Value": "b"}]
    expect_error(409, "FileAlreadyExists", client.put_object, "k", pieces(20 * MIB), headers={"x-oss-forbid-overwrite": "true"})
    chunked_v1(rig.replicas[0].port, bucket, "cut", DATA + DATA, cut=True)
    time.sleep(1)
    wait_for(lambda: "Uploads" not in rig.target.list_multipart_uploads(Bucket=bucket), 20, "no upload is left")
    assert rig.list_target_keys(bucket) == ["k"]
    ali = AliOssV1(rig.replicas[1].port, KEY, SECRET)
    with tempfile.NamedTemporaryFile() as file:
        file.write(DATA), file.flush()
        ali.call("streamed", bucket=bucket, key="streamed", path=file.name)
    ali.close()
    same(rig.read(bucket, "streamed"), DATA)


def parts_of_unknown_length(rig):
    bucket, parts = rig.bucket(), {1: DATA[:300 * KIB], 2: DATA[:6 * MIB], 3: DATA[:MIB]}
    client, lines = oss(rig.replicas[0].port, bucket), []
    upload = client.init_multipart_upload("k").upload_id
    for number, body in parts.items():
        response = chunked_v1(rig.replicas[number % 2].port, bucket, "k", body, f"partNumber={number}&uploadId={upload}")
        assert response.startswith("HTTP/1.1 200"), response
        etag = next(line for line in response.split("\r\n") if line.lower().startswith("etag")).split('"')[1]
        lines.append(oss2.models.PartInfo(number, etag))
    client.complete_multipart_upload("k", upload, lines)
    same(rig.read(bucket, "k"), combine(parts))


def spool_files_are_bounded(rig):
    bucket = rig.bucket()
    full = tempfile.mkdtemp(prefix="blobfish-full-")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", full], capture_output=True).returncode == 0
    # The proxy reads only so much of a rejected body: above that the connection is reset without a response.
    cases = [("spool_bytes_max = 5_242_880", 5 * MIB + 20_000, 400, "5242880"),
             ("spool_files_max = 0", 280 * KIB, 503, "length"),
             ('spool_dir = "/nonexistent"', 280 * KIB, 503, "written")]
    cases += [(f'spool_dir = "{full}"', 1300 * KIB, 503, "disk is full")] if mounted else []
    try:
        for setting, size, status, word in cases:
            proxy = rig.replica(more=f"\n[limits]\n{setting}\n")
            upload = oss(proxy.port, bucket).init_multipart_upload("k").upload_id
            query = f"partNumber=1&uploadId={upload}"
            response = chunked_v1(proxy.port, bucket, "k", DATA[:size], query)
            assert f" {status} " in response.split("\r\n")[0] and word in response, (setting, response)
            small = chunked_v1(proxy.port, bucket, "k", DATA[:100_000], query)
            assert small.startswith("HTTP/1.1 200"), small
            oss(proxy.port, bucket).abort_multipart_upload("k", upload)
            proxy.stop()
    finally:
        if mounted:
            subprocess.run(["umount", "-l", full])
        os.rmdir(full)
    assert rig.list_target_keys(bucket) == []


# ---- long

def memory_does_not_grow(rig):
    """256 parts of 1 MiB, and a body of 256 MiB of unknown length."""
    bucket, proxy = rig.bucket(), rig.replica()
    client = oss(proxy.port, bucket)
    peak = lambda: int(next(line for line in Path(f"/proc/{proxy.child.pid}/status").read_text().splitlines()
                            if line.startswith("VmHWM")).split()[1]) // KIB
    client.put_object("warm", DATA[:MIB])
    before = peak()
    upload = client.init_multipart_upload("k").upload_id
    lines = [oss2.models.PartInfo(n, client.upload_part("k", upload, n, DATA[n:][:MIB]).etag) for n in range(1, 257)]
    began = time.monotonic()
    client.complete_multipart_upload("k", upload, lines)
    took, combined = time.monotonic() - began, peak()
    same(rig.read(bucket, "k"), b"".join(DATA[n:][:MIB] for n in range(1, 257)))
    client.put_object("stream", pieces(256 * MIB))
    print(f"  peak RSS: {before} MiB before, {combined} MiB after 256 x 1 MiB combined in {took:.1f} s, "
          f"{peak()} MiB after 256 MiB of unknown length")
    assert peak() - before < 64, (before, combined, peak())
    proxy.stop()


SHORT = [sdks_with_their_defaults, parts_alternate_and_a_restart_loses_nothing, mixed_sizes_in_any_order,
         large_parts_go_to_the_target, the_last_part_of_a_number_counts, a_completion_checks_its_parts,
         an_abort_deletes_all_parts, copied_parts, small_parts_are_not_listed, small_parts_cannot_be_addressed,
         a_bucket_with_only_small_parts_can_be_deleted, no_versions_remain, parts_in_a_bucket_of_their_own,
         the_cleanup_deletes_leftover_parts, a_rejection_names_the_setting, an_interrupted_completion_can_be_repeated,
         objects_of_unknown_length, parts_of_unknown_length, spool_files_are_bounded]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only", help="names of checks, separated by commas")
    parser.add_argument("--long", action="store_true")
    options = parser.parse_args()
    passed = failed = 0
    with Servers() as running:
        rig = Rig(os.path.abspath(options.binary), running, options)
        for check in SHORT + ([memory_does_not_grow] if options.long else []):
            if options.only and check.__name__ not in options.only.split(","):
                continue
            began = time.monotonic()
            try:
                check(rig)
                print(f"passed {check.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
                passed += 1
            except Exception:
                print(f"FAILED {check.__name__}\n{traceback.format_exc()[-1800:]}", flush=True)
                failed += 1
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
