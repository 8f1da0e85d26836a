"""Applications in their ordinary use through the proxy: with the demo, with SeaweedFS, and with a demo behind a second proxy
and another dialect. boto3 reads the objects that they stored. Prints a table application x route. Applications that are not
installed are skipped with the reason. The last line counts steps."""

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.config import Config

import more_clients
import programs
import servers
import tls
import tool_clients
from api import CallError
from scenarios import bare, expect_error

MIB = 1024 * 1024
PART = 5 * MIB
TEXT = "Grüße, 世界\n".encode() * 10
#: Not a multiple of the part size, and all parts differ.
LARGE = random.Random(10).randbytes(11 * MIB + 7)
KEYS = ["with space", "plus+sign", "per%cent", "per%2Bcent", "question?mark=1", "amp&er=sand", "hash#tag", "中文/键", "Ünïcode",
        "quote'\"s", "a-b_c.d~e!f(g)*", "semi;colon,comma", "at@colon:dollar$", "<x>[y]{z}|^`", "😀", "deep/" * 20 + "leaf", "back\\slash"]

#: For clients that start one process per call; with --long these get all keys too.
SOME_KEYS = ["with space+plus%2B", "中文/键&=?#", "<x>[y]{z}|^`"]


@dataclass
class Place:
    """The endpoint of a route: port, credentials, and the HTTPS port and certificate authority if the proxy has them."""

    port: int
    key: str
    secret: str
    https: int = 0
    authority: Path | None = None


class Work:
    """One application on one route, with its steps. Each step passes or fails separately."""

    def __init__(self, route, place, long):
        self.route, self.place, self.long = route, place, long
        self.port, self.key, self.secret = port, key, secret = place.port, place.key, place.secret
        self.bucket = f"app-{uuid.uuid4().hex[:10]}-1250000000"
        self.folder = Path(tempfile.mkdtemp(prefix="blobfish-app-"))
        self.outcomes, self.seconds = [], 0.0
        self.boto3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", aws_access_key_id=key,
                                  aws_secret_access_key=secret, config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}))

    @contextlib.contextmanager
    def step(self, name):
        try:
            yield
            self.outcomes.append((name, None))
        except Exception as error:
            place = [row for row in traceback.extract_tb(error.__traceback__) if Path(row.filename).name == "applications.py"]
            lines = ", ".join(str(row.lineno) for row in place[1:])
            self.outcomes.append((name, f"{type(error).__name__}: {brief(error)} (line {lines})"))

    def read(self, key):
        """Returns an object's bytes as another client reads them."""
        return self.boto3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def keys(self, prefix=""):
        pages = self.boto3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [row["Key"] for page in pages for row in page.get("Contents", [])]

    def make_bucket(self):
        self.boto3.create_bucket(Bucket=self.bucket)

    def run(self, words, env=None, text=None, timeout=120):
        """Runs a program and returns its output. If it fails, the error has its output."""
        done = subprocess.run(list(map(str, words)), input=text, env={**self.env(), **(env or {})}, cwd=self.folder,
                              stdin=subprocess.DEVNULL if text is None else None, capture_output=True, timeout=timeout)
        if done.returncode:
            raise RuntimeError(f"{Path(words[0]).name} {' '.join(map(str, words[1:]))[:80]}: {(done.stdout + done.stderr).decode(errors='replace')[-600:]}")
        return done.stdout

    def env(self):
        return {"HOME": str(self.folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "AWS_ACCESS_KEY_ID": self.key,
                "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true"}

    def tree(self, name, files=12):
        """Creates a folder with files of several sizes and names."""
        made = self.folder / name
        for number in range(files):
            path = made / f"dir {number % 3}" / f"file-{number:02}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(random.Random(number).randbytes(number * 977))
        (made / "größe").write_bytes(TEXT)
        (made / "empty").write_bytes(b"")
        (made / "large.bin").write_bytes(LARGE)
        return made


def brief(error):
    return " ".join(str(error).split())[:500]


def contents(folder):
    """Returns the digest of each file below the folder."""
    return {str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest() for path in Path(folder).rglob("*") if path.is_file()}


# ---- SDKs: one job for all of them

#: Steps that an SDK has no call for or implements differently: name -> step -> reason. Printed.
_OBJECTS_ONLY = "it has object operations only; the suite creates the bucket"
_NO_MANY = "it has no call that deletes several keys"
ABSENT = {
    "jets3t": {"many": "0.8.1 has no call that deletes several keys"},
    "perl-amazon-s3": {"many": _NO_MANY, "range": "it has no range reads",
                       "read large": "it treats every ETag as an MD5, also with AWS; boto3 reads the object"},
    "fog-aliyun": {"many": _NO_MANY, "keys": "it does not escape keys", "metadata": "it sends none"},
    "opendal-s3": {"buckets": _OBJECTS_ONLY, "many": _NO_MANY}, "opendal-cos": {"buckets": _OBJECTS_ONLY, "many": _NO_MANY},
    "opendal-oss": {"buckets": _OBJECTS_ONLY, "many": _NO_MANY}, "obstore": {"buckets": _OBJECTS_ONLY},
    "rclone-aws": {"many": "it deletes keys one by one"}, "rclone-tencentcos": {"many": "it deletes keys one by one"},
    "rclone-alibaba": {"many": "it deletes keys one by one"}, "rclone-minio": {"many": "it deletes keys one by one"},
}
#: Keys that SeaweedFS does not store.
TARGET_CANNOT = {"seaweedfs": ["back\\slash"]}  # It stores this key as back/slash.

#: Steps that a target has no operation for: (application, route, step) -> reason. Printed.
UNSUPPORTED = {("oss-go", "seaweedfs", "append"): "S3 has no append operation"}
#: Deviations of a target from the documents of S3: (application, route, step) -> reason. Printed, not counted.
#: `--direct` has the same deviations without the proxy.
KNOWN = {
    ("ruby-aws-sdk-s3", "seaweedfs", "empty"): "SeaweedFS responds with 416 to a HEAD of part 1 of an empty object, which download_file sends",
    ("minio-go", "seaweedfs", "stream"): "minio-go sends the checksum of an object's parts without their count, which S3 accepts and SeaweedFS rejects",
    ("s3fs-fuse", "seaweedfs", "times of folders"): "SeaweedFS stores folders: an object with a slash at the end of its key is not found as the source of a copy",
}


class Sdk:
    """One interface over all wrappers: those of more_clients and tool_clients return dictionaries."""

    def __init__(self, make, work):
        self.inner, self.work = make(work.port, work.key, work.secret, place=work.place), work

    def get(self, key, span=()):
        if isinstance(self.inner, programs.Program):
            return self.inner.get(self.work.bucket, key, span)
        more = {"range": f"bytes={span[0]}-{span[1]}"} if span else {}
        return self.inner.get(self.work.bucket, key, **more)["body"]

    def listing(self, prefix="", delimiter="", page=1000):
        if isinstance(self.inner, programs.Program):
            keys, groups = self.inner.listing(self.work.bucket, prefix, delimiter, page)
        else:
            keys, groups = self.inner.listing(self.work.bucket, prefix, delimiter)
        return sorted(keys), sorted(group.rstrip("/") for group in groups)

    def __getattr__(self, name):
        call = getattr(self.inner, name)
        return lambda *arguments, **more: call(self.work.bucket, *arguments, **more)


def sdk_job(make):
    def job(work):
        absent = ABSENT.get(make.name, {})
        sdk = Sdk(make, work)
        try:
            do_sdk_job(work, sdk, make.name, absent)
        finally:
            if hasattr(sdk.inner, "close"):
                sdk.inner.close()
    return job


def do_sdk_job(work, sdk, name, absent):
    if "buckets" in absent:
        work.make_bucket()
    else:
        with work.step("buckets"):
            sdk.create_bucket()
            sdk.inner.create_bucket(work.bucket.replace("app-", "two-"))
            sdk.inner.delete_bucket(work.bucket.replace("app-", "two-"))
            names = [row["Name"] for row in work.boto3.list_buckets()["Buckets"]]
            assert work.bucket in names and work.bucket.replace("app-", "two-") not in names, names
        if work.outcomes[-1][1]:
            return  # All other steps would fail for the same reason.
    with work.step("small"):
        metadata = {} if "metadata" in absent else {"owner": "me and you"}
        sdk.put("stored/small.txt", TEXT, content_type="text/css", metadata=metadata)
        result = sdk.head("stored/small.txt")
        assert result["length"] == len(TEXT), result
        assert "metadata" in absent or result["content_type"] == "text/css", result
        assert metadata.items() <= result["metadata"].items(), result
        assert result["etag"] is None or bare(result["etag"]) == hashlib.md5(TEXT).hexdigest(), result
        assert sdk.get("stored/small.txt") == TEXT
        other = work.boto3.get_object(Bucket=work.bucket, Key="stored/small.txt")
        assert other["Body"].read() == TEXT and metadata.items() <= other["Metadata"].items(), other
        assert "metadata" in absent or other["ContentType"] == "text/css", other
    with work.step("replace"):
        sdk.put("stored/small.txt", TEXT + b"more", content_type="text/plain")
        assert sdk.get("stored/small.txt") == TEXT + b"more" == work.read("stored/small.txt")
    with work.step("empty"):
        sdk.put("stored/empty", b"", content_type="text/plain")
        assert sdk.head("stored/empty")["length"] == 0 and sdk.get("stored/empty") == b"" == work.read("stored/empty")
    if "range" not in absent:
        with work.step("range"):
            assert sdk.get("stored/small.txt", (3, 30)) == TEXT[3:31]
    with work.step("large"):
        path = work.folder / "large.bin"
        path.write_bytes(LARGE)
        sdk.upload_file("stored/large.bin", str(path))
        result = work.boto3.head_object(Bucket=work.bucket, Key="stored/large.bin")
        assert result["ETag"].strip('"').endswith("-3"), f"not in three parts: {result['ETag']}"
        assert work.read("stored/large.bin") == LARGE
        assert sdk.head("stored/large.bin")["length"] == len(LARGE)
    if "read large" not in absent:
        with work.step("read large"):
            assert sdk.get("stored/large.bin") == LARGE
    if "range" not in absent:
        with work.step("range of large"):
            assert sdk.get("stored/large.bin", (PART - 2, PART + 1)) == LARGE[PART - 2:PART + 2]
    with work.step("copy"):
        to = "copied/small copy.txt" if "keys" not in absent else "copied/small.txt"
        sdk.copy("stored/small.txt", work.bucket, to)
        assert sdk.get(to) == TEXT + b"more"
        sdk.copy("stored/large.bin", work.bucket, "copied/large.bin")
        assert hashlib.md5(work.read("copied/large.bin")).digest() == hashlib.md5(LARGE).digest()
    if "keys" not in absent:
        with work.step("keys"):
            names = KEYS if work.long or not name.startswith("rclone") else SOME_KEYS
            keys = ["keys/" + key for key in names if key not in TARGET_CANNOT.get(work.route, [])]
            for key in keys:
                try:
                    sdk.put(key, key.encode(), content_type="text/plain")
                    assert sdk.get(key) == key.encode(), "another's bytes"
                    assert sdk.head(key)["length"] == len(key.encode())
                    sdk.copy(key, work.bucket, key + ".copy")
                except (Exception, AssertionError) as error:
                    raise AssertionError(f"key {key!r}: {error}") from error
            wanted = sorted(keys + [key + ".copy" for key in keys])
            assert sorted(work.keys("keys/")) == wanted, set(work.keys("keys/")) ^ set(wanted)
            found = sdk.listing("keys/")[0]
            assert found == wanted, set(found) ^ set(wanted)
            for key in keys:
                assert work.read(key + ".copy") == key.encode(), key
                sdk.delete(key + ".copy")
            assert sorted(work.keys("keys/")) == sorted(keys), "other objects were deleted"
    with work.step("pages"):
        for number in range(7):
            sdk.put(f"pages/{number % 3}/{number}", b"x", content_type="text/plain")
        assert sdk.listing("pages/", "", 2)[0] == [f"pages/{number % 3}/{number}" for number in (0, 3, 6, 1, 4, 2, 5)]
        assert sdk.listing("pages/", "/", 2) == ([], ["pages/0", "pages/1", "pages/2"])
        assert sdk.listing("nothing/") == ([], [])
    with work.step("delete"):
        sdk.delete("pages/0/0")
        expect_error(404, sdk.get, "pages/0/0")
        expect_error(404, sdk.head, "pages/0/0")
        assert "pages/0/0" not in work.keys("pages/")
    if isinstance(sdk.inner, programs.Program):
        for more in sdk.inner.more():
            if (name, work.route, more) in UNSUPPORTED:
                continue
            with work.step(more):
                sdk.inner.do(more, work.bucket, work.folder / "large.bin")
    if "many" not in absent:
        with work.step("many"):
            sdk.delete_many(["pages/1/1", "pages/2/2", "stored/empty"])
            assert work.keys("pages/") == ["pages/0/3", "pages/0/6", "pages/1/4", "pages/2/5"] and "stored/empty" not in work.keys()


class Obstore:
    dialect, name = "s3", "obstore"

    def __init__(self, port, key, secret, **more):
        self.place = dict(endpoint=f"http://127.0.0.1:{port}", access_key_id=key, secret_access_key=secret, region="us-east-1")

    def at(self, bucket):
        from obstore.store import S3Store
        return S3Store(bucket, **self.place, client_options={"allow_http": True}, retry_config={"max_retries": 0})

    @contextlib.contextmanager
    def translate_errors(self):
        try:
            yield
        except FileNotFoundError as error:
            raise CallError(404, "", str(error)) from error

    def put(self, bucket, key, body, content_type=None, metadata=None):
        self.at(bucket).put(key, body, attributes={"Content-Type": content_type, **(metadata or {})})

    def head(self, bucket, key):
        with self.translate_errors():
            meta = self.at(bucket).head(key)
            attributes = self.at(bucket).get(key).attributes
        return {"length": meta["size"], "etag": meta["e_tag"], "content_type": attributes.get("Content-Type"),
                "metadata": {name: value for name, value in attributes.items() if name != "Content-Type"}}

    def get(self, bucket, key, range=None):
        with self.translate_errors():
            if range:
                first, last = map(int, range.removeprefix("bytes=").split("-"))
                return {"body": bytes(self.at(bucket).get_range(key, start=first, end=last + 1))}
            return {"body": bytes(self.at(bucket).get(key).bytes())}

    def listing(self, bucket, prefix="", delimiter=""):
        if delimiter:
            result = self.at(bucket).list_with_delimiter(prefix)
            return [row["path"] for row in result["objects"]], list(result["common_prefixes"])
        return [row["path"] for page in self.at(bucket).list(prefix) for row in page], []

    def upload_file(self, bucket, key, path):
        self.at(bucket).put(key, Path(path), use_multipart=True, chunk_size=PART)

    def copy(self, source, source_key, bucket, key):
        self.at(bucket).copy(source_key, key)

    def delete(self, bucket, key):
        self.at(bucket).delete(key)

    def delete_many(self, bucket, keys):
        self.at(bucket).delete(keys)


class Rclone(tool_clients.Rclone):
    """rclone as one of its providers; each behaves differently."""

    provider, more = "", []

    def __init__(self, port, key, secret, place):
        self.place = place
        super().__init__(port, key, secret)

    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def prepare(self):
        # The vendors' host names are used with Blobfish as an HTTP proxy; IP addresses are used directly.
        self.env["http_proxy"] = f"http://127.0.0.1:{self.port}"
        lines = ["[r]", "type = s3", f"provider = {self.provider}", f"endpoint = {self.endpoint()}", f"access_key_id = {self.key}",
                 f"secret_access_key = {self.secret}", "upload_cutoff = 5Mi", "chunk_size = 5Mi", *self.more]
        (self.home / "rclone.conf").write_text("\n".join(lines) + "\n")

    def get(self, bucket, key, **more):
        result = super().get(bucket, key, **more)
        if not result["body"]:
            self.head(bucket, key)  # For a missing object it prints nothing, and reports no error.
        return result

    def delete(self, bucket, key):
        self.run("deletefile", f"r:{bucket}/{key}")


class RcloneAws(Rclone):
    """Uses TLS if the proxy has it: only then it sends bodies with a trailing checksum."""

    name, provider = "rclone-aws", "AWS"

    def endpoint(self):
        return f"https://127.0.0.1:{self.place.https}" if self.place.https else super().endpoint()

    def prepare(self):
        self.more = ["region = us-east-1", "force_path_style = true", *([] if self.place.https else ["use_unsigned_payload = true"])]
        super().prepare()

    def options(self):
        return [*super().options(), *(["--ca-cert", str(self.place.authority)] if self.place.https else [])]


class RcloneTencent(Rclone):
    name, provider = "rclone-tencentcos", "TencentCOS"

    def endpoint(self):
        return "http://cos.ap-guangzhou.myqcloud.com"


class RcloneAlibaba(Rclone):
    name, provider = "rclone-alibaba", "Alibaba"

    def endpoint(self):
        return "http://oss-cn-hangzhou.aliyuncs.com"


class RcloneMinio(Rclone):
    name, provider, more = "rclone-minio", "Minio", ["region = us-east-1"]


RCLONE = [RcloneAws, RcloneTencent, RcloneAlibaba, RcloneMinio]


class MinioPy(more_clients.Minio):
    name = "minio-py"


# ---- Applications with their own steps

def pyarrow_job(work):
    import pyarrow
    import pyarrow.compute as compute
    import pyarrow.dataset as dataset
    import pyarrow.parquet as parquet
    from pyarrow import fs
    s3 = fs.S3FileSystem(access_key=work.key, secret_key=work.secret, endpoint_override=f"127.0.0.1:{work.port}", scheme="http",
                         region="us-east-1", allow_bucket_creation=True, allow_bucket_deletion=True,
                         retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1))
    place = work.bucket
    table = pyarrow.table({"id": list(range(20000)), "city": [["北京", "København", "a b+c"][i % 3] for i in range(20000)],
                           "value": [i * 0.5 for i in range(20000)]})
    with work.step("bucket"):
        s3.create_dir(place)
        assert s3.get_file_info(place).type == fs.FileType.Directory
        assert s3.get_file_info(f"{place}/absent").type == fs.FileType.NotFound
    with work.step("dataset"):
        dataset.write_dataset(table, f"{place}/set", filesystem=s3, format="parquet", partitioning=["city"], partitioning_flavor="hive")
        read = dataset.dataset(f"{place}/set", filesystem=s3, format="parquet", partitioning="hive")
        assert read.count_rows() == 20000
        some = read.to_table(filter=compute.field("city") == "北京").column("id").to_pylist()
        assert sorted(some) == list(range(0, 20000, 3))
    with work.step("large"):
        with s3.open_output_stream(f"{place}/large.bin", metadata={"Content-Type": "application/x-test"}) as stream:
            for at in range(0, len(LARGE), MIB):
                stream.write(LARGE[at:at + MIB])
        assert work.read("large.bin") == LARGE
        result = work.boto3.head_object(Bucket=place, Key="large.bin")
        assert result["ContentType"] == "application/x-test" and "-" in result["ETag"], result
    with work.step("seek"):
        with s3.open_input_file(f"{place}/large.bin") as file:
            assert file.size() == len(LARGE) and file.read_at(100, PART - 50) == LARGE[PART - 50:PART + 50]
            file.seek(len(LARGE) - 5)
            assert file.read() == LARGE[-5:]
        with s3.open_input_stream(f"{place}/large.bin") as stream:
            assert stream.read() == LARGE
    with work.step("parquet"):
        parquet.write_table(table, f"{place}/one file+[1].parquet", filesystem=s3, row_group_size=1000)
        assert parquet.read_table(f"{place}/one file+[1].parquet", filesystem=s3, columns=["value"]).column("value").to_pylist() == table.column("value").to_pylist()
    with work.step("listing"):
        rows = s3.get_file_info(fs.FileSelector(f"{place}/set", recursive=True))
        assert sorted(row.base_name for row in rows if row.type == fs.FileType.Directory) == sorted(
            ["city=%E5%8C%97%E4%BA%AC", "city=K%C3%B8benhavn", "city=a%20b%2Bc"]), rows
        assert sum(row.is_file for row in rows) == 3
    with work.step("copy, move"):
        s3.copy_file(f"{place}/large.bin", f"{place}/copied & moved/large.bin")
        s3.move(f"{place}/copied & moved/large.bin", f"{place}/中文/moved.bin")
        assert work.read("中文/moved.bin") == LARGE and s3.get_file_info(f"{place}/copied & moved/large.bin").type == fs.FileType.NotFound
    with work.step("delete"):
        s3.delete_file(f"{place}/large.bin")
        s3.delete_dir(f"{place}/set")
        assert not [key for key in work.keys() if key.startswith("set/") or key == "large.bin"], work.keys()
        s3.delete_dir_contents(place)
        assert work.keys() == []
        s3.delete_dir(place)
        assert place not in [row["Name"] for row in work.boto3.list_buckets()["Buckets"]]


def duckdb_job(work):
    import duckdb
    import duckdb_extension_httpfs
    work.make_bucket()
    [httpfs] = Path(duckdb_extension_httpfs.__file__).parent.rglob("httpfs.duckdb_extension")
    database = duckdb.connect(config={"home_directory": str(work.folder), "threads": 2})
    with contextlib.closing(database):
        def ask(text):
            return database.execute(text).fetchall()

        with work.step("secret"):
            ask(f"LOAD '{httpfs}'")
            ask(f"CREATE SECRET (TYPE s3, KEY_ID '{work.key}', SECRET '{work.secret}', ENDPOINT '127.0.0.1:{work.port}', "
                "URL_STYLE 'path', USE_SSL false, REGION 'us-east-1')")
            # Parts of its minimum size.
            ask("SET s3_uploader_max_filesize = '50GB'")
            ask("SET http_retries = 0")
            ask("CREATE TABLE rides AS SELECT i AS id, ['北京', 'København', 'a b+c'][i % 3 + 1] AS city, i * 0.5 AS value, "
                "md5(i::VARCHAR) AS text FROM range(400000) AS numbers(i)")
        place = f"s3://{work.bucket}"
        sums = ask("SELECT count(*), sum(id), sum(value), min(text), max(text) FROM rides")
        with work.step("parquet"):
            ask(f"COPY rides TO '{place}/rides.parquet' (ROW_GROUP_SIZE 20000)")
            assert ask(f"SELECT count(*), sum(id), sum(value), min(text), max(text) FROM '{place}/rides.parquet'") == sums
            assert ask(f"SELECT sum(id) FROM read_parquet('{place}/rides.parquet') WHERE id BETWEEN 100000 AND 100009") == [(1000045,)]
            result = work.boto3.head_object(Bucket=work.bucket, Key="rides.parquet")
            assert result["ETag"].strip('"').endswith("-3") or "-" in result["ETag"], f"not in parts: {result}"
        with work.step("csv"):
            ask(f"COPY (SELECT * FROM rides LIMIT 1000) TO '{place}/files/a+b c & 键.csv' (HEADER)")
            assert ask(f"SELECT count(*), sum(id) FROM read_csv('{place}/files/a+b c & 键.csv')") == [(1000, 499500)]
        with work.step("partitions"):
            ask(f"COPY rides TO '{place}/by' (FORMAT parquet, PARTITION_BY (city))")
            assert ask(f"SELECT city, count(*) FROM read_parquet('{place}/by/**/*.parquet', hive_partitioning = true) GROUP BY city ORDER BY city") == [
                ("København", 133333), ("a b+c", 133333), ("北京", 133334)]
        with work.step("glob"):
            assert sorted(row[0] for row in ask(f"SELECT file FROM glob('{place}/*.parquet')")) == [f"{place}/rides.parquet"]
            assert len(ask(f"SELECT file FROM glob('{place}/**')")) == len(work.keys())
        with work.step("replace"):
            ask(f"COPY (SELECT 42 AS id) TO '{place}/rides.parquet'")
            assert ask(f"SELECT id FROM '{place}/rides.parquet'") == [(42,)]
        with work.step("database"):
            source = work.folder / "copied.db"
            ask(f"ATTACH '{source}' AS copied")
            ask("CREATE TABLE copied.rides AS FROM rides")
            ask("DETACH copied")
            work.boto3.upload_file(str(source), work.bucket, "copied.db")
            ask(f"ATTACH '{place}/copied.db' AS far (READ_ONLY)")
            assert ask("SELECT count(*), sum(id), sum(value), min(text), max(text) FROM far.rides") == sums
        with work.step("absent"):
            try:
                ask(f"SELECT * FROM '{place}/absent.parquet'")
                raise AssertionError("the object exists")
            except duckdb.Error as error:
                assert "404" in str(error) or "No files found" in str(error), error


def s3fs_missing():
    if not shutil.which("s3fs"):
        return "no s3fs"
    if not os.path.exists("/dev/fuse"):
        return "no /dev/fuse"
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return f"/dev/fuse: {error}"
    return None


def s3fs_job(work):
    work.make_bucket()
    secret, mount, cache = work.folder / "secret", work.folder / "mount", work.folder / "cache"
    secret.write_text(f"{work.key}:{work.secret}")
    secret.chmod(0o600)
    mount.mkdir()
    log = (work.folder / "log").open("w+")
    mounted = subprocess.Popen(
        ["s3fs", work.bucket, str(mount), "-f", "-o", ",".join([
            f"url=http://127.0.0.1:{work.port}", "use_path_request_style", f"passwd_file={secret}", "endpoint=us-east-1", "sigv4",
            "multipart_size=5", "retries=1", "stat_cache_expire=1"])],
        env=work.env(), stdout=log, stderr=subprocess.STDOUT)

    def read_log():
        log.flush()
        return Path(log.name).read_text()[-600:]

    try:
        with work.step("mount"):
            servers.wait_for(lambda: mounted.poll() is not None or os.path.ismount(mount), 15, "the mount")
            assert os.path.ismount(mount), read_log()
        if not os.path.ismount(mount):
            return
        with work.step("small"):
            (mount / "small.txt").write_bytes(TEXT)
            assert work.read("small.txt") == TEXT == (mount / "small.txt").read_bytes()
            (mount / "empty").write_bytes(b"")
            assert work.read("empty") == b""
        with work.step("large"):
            (mount / "large.bin").write_bytes(LARGE)
            assert work.read("large.bin") == LARGE == (mount / "large.bin").read_bytes()
            assert "-" in work.boto3.head_object(Bucket=work.bucket, Key="large.bin")["ETag"]
        with work.step("cp -p"):
            tree = work.tree("tree")
            stamp = time.time() - 86400
            os.utime(tree / "large.bin", (stamp, stamp))
            os.chmod(tree / "größe", 0o640)
            (mount / "tree").mkdir()
            work.run(["cp", "-p", *(path for path in tree.iterdir() if path.is_file()), mount / "tree"])
            assert contents(mount / "tree") == {name: digest for name, digest in contents(tree).items() if "/" not in name}
            result = (mount / "tree" / "large.bin").stat()
            assert abs(result.st_mtime - stamp) < 1, "the time of a file in parts"
            mode = (mount / "tree" / "größe").stat().st_mode & 0o777
            assert mode == 0o640, oct(mode)
            assert work.read("tree/größe") == TEXT and work.read("tree/large.bin") == LARGE
        with work.step("cp -r"):
            work.run(["cp", "-r", tree, mount])
            assert contents(mount / "tree") == contents(tree)
        with work.step("times of folders"):
            work.run(["cp", "-rp", tree, mount / "again"])
            os.utime(mount / "again", (stamp, stamp))
            assert abs((mount / "again").stat().st_mtime - stamp) < 1
        with work.step("append"):
            with (mount / "small.txt").open("ab") as file:
                file.write(b"more")
            assert work.read("small.txt") == TEXT + b"more"
            (mount / "small.txt").write_bytes(TEXT[:10])
            assert work.read("small.txt") == TEXT[:10]
        with work.step("change in place"):
            with (mount / "large.bin").open("r+b") as file:
                file.seek(PART + 1)
                file.write(b"changed")
            assert work.read("large.bin") == LARGE[:PART + 1] + b"changed" + LARGE[PART + 8:]
        with work.step("rename"):
            (mount / "large.bin").rename(mount / "neu & größer +1.bin")
            (mount / "tree" / "dir 1").rename(mount / "moved dir")
            assert len(work.read("neu & größer +1.bin")) == len(LARGE) and "large.bin" not in work.keys()
            assert contents(mount / "moved dir") == contents(tree / "dir 1")
        with work.step("links, modes"):
            (mount / "link").symlink_to("small.txt")
            assert (mount / "link").read_bytes() == TEXT[:10]
            assert (mount / "link").is_symlink()
        with work.step("names"):
            names = [key for key in KEYS if "/" not in key and "\\" not in key]
            for name in names:
                (mount / "tree" / name).write_bytes(name.encode())
            assert set(names) <= set(os.listdir(mount / "tree"))
            for name in names:
                assert work.read(f"tree/{name}") == name.encode(), name
        with work.step("many in a folder"):
            (mount / "many").mkdir()
            for number in range(30):
                (mount / "many" / f"{number}").write_bytes(b"x")
            assert len(os.listdir(mount / "many")) == 30
        with work.step("delete"):
            shutil.rmtree(mount / "tree")
            shutil.rmtree(mount / "again")
            (mount / "small.txt").unlink()
            assert not [key for key in work.keys() if key.startswith("tree") or key == "small.txt"], work.keys()
        with work.step("still there"):
            assert mounted.poll() is None, read_log()
    finally:
        subprocess.run(["umount", "-l", str(mount)], capture_output=True)
        try:
            mounted.wait(10)
        except subprocess.TimeoutExpired:
            mounted.kill()
            mounted.wait()
        log.close()


def restic_job(work):
    work.make_bucket()
    tree, back = work.tree("tree"), work.folder / "back"
    env = {"RESTIC_REPOSITORY": f"s3:http://127.0.0.1:{work.port}/{work.bucket}/backups of/me", "RESTIC_PASSWORD": "secret",
           "RESTIC_CACHE_DIR": str(work.folder / "cache")}

    def restic(*words):
        return work.run(["restic", "-q", *words], env)

    with work.step("init"):
        restic("init")
    with work.step("backup"):
        restic("backup", "tree")
        (tree / "added").write_bytes(TEXT)
        (tree / "large.bin").write_bytes(LARGE[MIB:])
        restic("backup", "tree")
        assert len(json.loads(restic("snapshots", "--json"))) == 2
    with work.step("check"):
        restic("check", "--read-data")
    with work.step("restore"):
        restic("restore", "latest", "--target", back)
        assert contents(back / "tree") == contents(tree)
    with work.step("forget, prune"):
        restic("forget", "--keep-last", "1", "--prune")
        assert len(json.loads(restic("snapshots", "--json"))) == 1
        restic("check", "--read-data")
    with work.step("no lock left"):
        assert not work.keys("backups of/me/locks/")


REGISTRY = programs.TOOLS / "docker-registry"


def registry_missing():
    return None if REGISTRY.exists() or shutil.which("docker-registry") else "no docker-registry: see tests/setup.sh"


def registry_job(work):
    work.make_bucket()
    [port] = servers.free_ports(1)
    configuration = work.folder / "config.yml"
    configuration.write_text(json.dumps({
        "version": 0.1, "log": {"level": "warn"}, "http": {"addr": f"127.0.0.1:{port}", "secret": "x"},
        "storage": {"s3": {"accesskey": work.key, "secretkey": work.secret, "region": "us-east-1", "bucket": work.bucket,
                           "regionendpoint": f"http://127.0.0.1:{work.port}", "secure": False, "rootdirectory": "/registry", "chunksize": PART},
                    "delete": {"enabled": True}, "redirect": {"disable": True}}}))
    program = str(REGISTRY) if REGISTRY.exists() else shutil.which("docker-registry")
    log = (work.folder / "registry.log").open("w+")
    server = subprocess.Popen([program, "serve", str(configuration)], env=work.env(), stdout=log, stderr=subprocess.STDOUT, cwd=work.folder)

    def ask(method, path, body=b"", wanted=200, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            data = response.read()
            log.flush()
            assert response.status == wanted, f"{method} {path[:60]}: {response.status} {data[:300]} {Path(log.name).read_text()[-400:]}"
            return data, response.headers
        finally:
            connection.close()

    def local(place):
        return place.removeprefix(f"http://127.0.0.1:{port}")

    def push_blob(body, chunks):
        """Pushes a blob in several requests, as the client does with a layer."""
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        place = local(ask("POST", "/v2/team/app/blobs/uploads/", wanted=202)[1]["Location"])
        size = -(-len(body) // chunks)
        for at in range(0, len(body), size):
            part = body[at:at + size]
            result = ask("PATCH", place, part, 202, Content_Type="application/octet-stream", Content_Range=f"{at}-{at + len(part) - 1}")[1]
            place = local(result["Location"])
        ask("PUT", f"{place}&digest={digest}", wanted=201)
        return digest

    kind = "application/vnd.docker.distribution.manifest.v2+json"
    setting = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
    try:
        with work.step("start"):
            servers.wait_for(lambda: server.poll() is not None or servers.connects(port), 15, "the registry")
            ask("GET", "/v2/")
        with work.step("push blobs"):
            layer, small = push_blob(LARGE, 3), push_blob(setting, 1)
            layers = [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": len(LARGE), "digest": layer}]
        with work.step("push manifest"):
            manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "layers": layers, "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json", "size": len(setting), "digest": small}}).encode()
            digest = ask("PUT", "/v2/team/app/manifests/v1", manifest, 201, Content_Type=kind)[1]["Docker-Content-Digest"]
        with work.step("pull"):
            assert ask("GET", "/v2/team/app/manifests/v1", Accept=kind)[0] == manifest
            assert ask("GET", f"/v2/team/app/blobs/{layer}")[0] == LARGE
            assert int(ask("HEAD", f"/v2/team/app/blobs/{layer}")[1]["Content-Length"]) == len(LARGE)
            assert ask("GET", f"/v2/team/app/blobs/{layer}", wanted=206, Range="bytes=5-9")[0] == LARGE[5:10]
        with work.step("tags, catalog"):
            ask("PUT", "/v2/team/app/manifests/v2", manifest, 201, Content_Type=kind)
            assert sorted(json.loads(ask("GET", "/v2/team/app/tags/list")[0])["tags"]) == ["v1", "v2"]
            assert json.loads(ask("GET", "/v2/_catalog")[0])["repositories"] == ["team/app"]
        with work.step("mount"):
            ask("POST", f"/v2/other/app/blobs/uploads/?mount={layer}&from=team/app", wanted=201)
            assert ask("GET", f"/v2/other/app/blobs/{layer}")[0] == LARGE
        with work.step("cancel"):
            place = local(ask("POST", "/v2/team/app/blobs/uploads/", wanted=202)[1]["Location"])
            result = ask("PATCH", place, LARGE[:6 * MIB], 202, Content_Type="application/octet-stream", Content_Range=f"0-{6 * MIB - 1}")[1]
            ask("DELETE", local(result["Location"]), wanted=204)
        with work.step("delete, collect"):
            ask("DELETE", f"/v2/team/app/manifests/{digest}", wanted=202)
            ask("GET", "/v2/team/app/manifests/v1", wanted=404, Accept=kind)
            before = len(work.keys("registry/docker/registry/v2/blobs/"))
            work.run([program, "garbage-collect", str(configuration)])
            assert len(work.keys("registry/docker/registry/v2/blobs/")) < before, "the garbage collection deleted nothing"
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()


def deltalake_job(work):
    import pyarrow
    from deltalake import CommitProperties, DeltaTable, write_deltalake
    work.make_bucket()
    place = f"s3://{work.bucket}/tables/rides by city"
    options = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{work.port}", "AWS_ACCESS_KEY_ID": work.key, "AWS_SECRET_ACCESS_KEY": work.secret,
               "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true", "AWS_EC2_METADATA_DISABLED": "true"}

    def rows(first, count):
        return pyarrow.table({"id": list(range(first, first + count)), "city": [["北京", "a b"][i % 2] for i in range(first, first + count)]})

    def ids(**more):
        return sorted(DeltaTable(place, storage_options=options, **more).to_pyarrow_table().column("id").to_pylist())

    with work.step("write"):
        write_deltalake(place, rows(0, 1000), storage_options=options, partition_by=["city"])
        write_deltalake(place, rows(1000, 1000), storage_options=options, mode="append")
        assert ids() == list(range(2000))
    with work.step("delete, merge"):
        table = DeltaTable(place, storage_options=options)
        table.delete("id < 10")
        table.merge(rows(1990, 20), "s.id = t.id", source_alias="s", target_alias="t").when_not_matched_insert_all().execute()
        assert ids() == list(range(10, 2010))
    with work.step("history"):
        assert ids(version=0) == list(range(1000))
        assert DeltaTable(place, storage_options=options).version() == 3
    with work.step("two writers"):
        # The second writer of a version must get a conflict.
        failures = []

        def append(first):
            try:
                write_deltalake(place, rows(first, 10), storage_options=options, mode="append",
                                commit_properties=CommitProperties(max_commit_retries=30))
            except Exception as error:
                failures.append(error)

        workers = [threading.Thread(target=append, args=(first,)) for first in range(3000, 3060, 10)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not failures, failures
        assert ids() == list(range(10, 2010)) + list(range(3000, 3060))
        commits = [key for key in work.keys("tables/") if "_delta_log/0" in key and key.endswith(".json")]
        assert len(commits) == 10, commits
    with work.step("checkpoint, optimize, vacuum"):
        table = DeltaTable(place, storage_options=options)
        table.create_checkpoint()
        table.optimize.compact()
        gone = table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
        assert gone and ids() == list(range(10, 2010)) + list(range(3000, 3060))


# ---- All of them

class Application:
    def __init__(self, name, job, dialect="s3", missing=lambda: None):
        self.name, self.job, self.dialect, self.missing = name, job, dialect, missing


def of_sdk(make, missing=lambda: None):
    return Application(make.name, sdk_job(make), make.dialect, getattr(make, "missing_dependency", missing))


ALL = [Application("pyarrow", pyarrow_job), Application("duckdb", duckdb_job), Application("s3fs-fuse", s3fs_job, missing=s3fs_missing),
       Application("restic", restic_job, missing=lambda: None if shutil.which("restic") else "no restic"),
       Application("docker-registry", registry_job, missing=registry_missing), Application("delta-rs", deltalake_job),
       *map(of_sdk, [*RCLONE, Obstore, more_clients.OpenDalS3, more_clients.OpenDalCos, more_clients.OpenDalOss, MinioPy, *programs.ALL])]
ROUTES = ["demo", "seaweedfs", "via cos", "via oss"]


def is_run(application, route, options):
    """Returns the routes of an application. By default there is one chain, with another dialect than the application's."""
    if options.direct:
        return application.dialect == "s3" and application.name not in ("rclone-tencentcos", "rclone-alibaba")
    if options.long or not route.startswith("via ") or options.routes != "all":
        return True
    return route == ("via oss" if application.dialect == "cos" else "via cos")


def start(running, route, options, authority):
    if options.direct:
        return Place(running.seaweedfs().port, servers.TARGET_KEY, servers.TARGET_SECRET)
    if route == "demo":
        front, _ = running.front(options.binary, route)
        return Place(front.port, *servers.caller_key(route))
    if route == "seaweedfs":
        target = servers.one_target(route, running.seaweedfs().port)
    else:
        far = running.demo(options.binary, "--memory")
        target = servers.one_target(route.removeprefix("via "), far.port, key=(servers.DEMO_KEY, servers.DEMO_SECRET))
    [https] = servers.free_ports(1)
    listener = f'https = [{{ {authority.pair("own")}, address = "127.0.0.1:{https}" }}]\n[admin]'
    front = running.proxy(options.binary, servers.configuration([target]).replace("[admin]", listener, 1))
    return Place(front.port, servers.KEY, servers.SECRET, https, authority.ca)


def one(application, route, place, options):
    """Returns the outcomes of the steps, and the duration."""
    work = Work(route, place, options.long)
    began = time.monotonic()
    try:
        application.job(work)
    except Exception as error:
        work.outcomes.append(("job", f"{type(error).__name__}: {brief(error)}"))
    finally:
        shutil.rmtree(work.folder, ignore_errors=True)
    return work.outcomes, time.monotonic() - began


def parse_names(parser, given, known):
    names = known if given == "all" else given.split(",")
    if set(names) - set(known):
        parser.error(f"there are {', '.join(known)}")
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", help="the proxy; not needed with --direct")
    parser.add_argument("--routes", default="all")
    parser.add_argument("--applications", default="all")
    parser.add_argument("--long", action="store_true", help="every application through both chains")
    parser.add_argument("--direct", action="store_true", help="without the proxy, directly with SeaweedFS, to find its own failures")
    parser.add_argument("--threads", type=int, default=4, help="how many applications run in parallel")
    options = parser.parse_args()
    if not (options.binary or options.direct):
        parser.error("--binary is needed")
    routes = ["seaweedfs"] if options.direct else parse_names(parser, options.routes, ROUTES)
    names = parse_names(parser, options.applications, [application.name for application in ALL])
    reasons = {application.name: application.missing() for application in ALL if application.name in names}
    results, began = {}, time.monotonic()
    with servers.Servers() as running, tls.own_authority() as authority:
        authority.issue("own", ["127.0.0.1"])
        places = {route: start(running, route, options, authority) for route in routes}
        with ThreadPoolExecutor(options.threads) as pool:
            jobs = {(application.name, route): pool.submit(one, application, route, places[route], options)
                    for application in ALL if application.name in names and not reasons[application.name]
                    for route in routes if is_run(application, route, options)}
            for cell, job in jobs.items():
                results[cell] = job.result()

    passed = failed = 0
    notes = [f"skipped: {name}: {why}" for name, why in reasons.items() if why]
    print(f"{'application':<20}" + "".join(f"{route:>16}" for route in routes))
    for name in reasons:
        notes += [f"skipped {name}: {step}: {why}" for step, why in ABSENT.get(name, {}).items()]
        row = f"{name:<20}"
        for route in routes:
            outcomes, seconds = results.get((name, route), ([], 0))
            notes += [f"skipped {name} -> {route}: {step}: {why}" for (one, place, step), why in UNSUPPORTED.items() if (one, place) == (name, route)]
            known = {step: why for (one, place, step), why in KNOWN.items() if (one, place) == (name, route)}
            notes += [f"known {name} -> {route}: {step}: {known[step]}" for step, failure in outcomes if failure and step in known]
            outcomes = [(step, "it passes, but KNOWN has a reason why it fails" if step in known else failure)
                        for step, failure in outcomes if not (failure and step in known)]
            good = sum(1 for _, failure in outcomes if not failure)
            passed, failed = passed + good, failed + len(outcomes) - good
            notes += [f"FAILED {name} -> {route}: {step}: {failure}" for step, failure in outcomes if failure]
            row += (f"{good}/{len(outcomes)} {seconds:4.1f} s" if outcomes else "skipped" if reasons[name] else "-").rjust(16)
        print(row)
    print("\n".join(["", *notes]))
    print(f"after {time.monotonic() - began:.0f} s")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
