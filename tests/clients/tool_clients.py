"""Command-line tools. Each call is a process with its own home directory, and its output is parsed as in a script."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from api import CallError, canned_acl

#: Error messages of the tools that do not print the status.
_WORDS = [("PreconditionFailed", 412), ("Not Modified", 304), ("NoSuchKey", 404), ("NoSuchBucket", 404),
          ("NoSuchUpload", 404), ("does not exist", 404), ("not found", 404), ("NotImplemented", 501), ("no object found", 404)]


class Tool:
    """Runs one program. Its home directory is a temporary folder, so that it does not read settings of this machine."""

    dialect, program = "s3", ""

    def __init__(self, port, key, secret, **more):
        self.port, self.key, self.secret = port, key, secret
        self.home = Path(tempfile.mkdtemp(prefix=f"blobfish-{self.name}-"))
        self.path = shutil.which(self.program, path=str(Path(sys.executable).parent)) or shutil.which(self.program)
        assert self.path, f"{self.program} is not installed: see tests/setup.sh"
        self.env = {"HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "AWS_ACCESS_KEY_ID": key,
                    "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1",
                    "AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true"}
        self.prepare()

    def prepare(self):
        pass

    def close(self):
        shutil.rmtree(self.home, ignore_errors=True)

    def options(self):
        return []

    def run(self, *words, text=None):
        """Runs the program and returns its output. A nonzero exit code raises CallError."""
        done = subprocess.run([self.path, *self.options(), *map(str, words)], input=text, env=self.env, cwd=self.home,
                              stdin=subprocess.DEVNULL if text is None else None, capture_output=True, timeout=120)
        self.notes = done.stderr.decode()
        if done.returncode:
            result = self.notes + done.stdout.decode(errors="replace")
            found = re.search(r"(?i)(?:status code:?|StatusCode|S3 error|error occurred) ?[:(]? ?([2-5]\d\d)\b", result)
            status = int(found.group(1)) if found else next((code for word, code in _WORDS if word in result), 0)
            raise CallError(status, "", f"{self.program} {' '.join(map(str, words))[:120]}: {result[-400:]}")
        return done.stdout

    def lines(self, *words):
        return self.run(*words).decode().splitlines()

    def file(self, body=b""):
        handle, path = tempfile.mkstemp(dir=self.home)
        with os.fdopen(handle, "wb") as file:
            file.write(body)
        return path

    def list_transferred(self, lines, pattern, folder):
        """Returns the names, relative to the folder, of the transferred files in these lines."""
        names = [found.group(1) for found in (re.search(pattern, line) for line in lines) if found]
        return sorted(os.path.relpath(os.path.join(self.home, name), folder) for name in names)


class AwsCli(Tool):
    name, program = "awscli", "aws"

    def options(self):
        return ["--endpoint-url", f"http://127.0.0.1:{self.port}", "--output", "json"]

    def prepare(self):
        # Parts of the minimum size, so that 20 MiB have several; path style, because the host is an IP address.
        config = self.home / "config"
        config.write_text("[default]\ns3 =\n  addressing_style = path\n  multipart_threshold = 5MB\n  multipart_chunksize = 5MB\n")
        self.env["AWS_CONFIG_FILE"] = str(config)

    def api(self, name, **arguments):
        words = []
        for option, value in arguments.items():
            if value is not None:
                words += ["--" + option.replace("_", "-"), value if isinstance(value, str) else json.dumps(value)]
        text = self.run("s3api", name, *words)
        return json.loads(text) if text.strip() else {}

    def create_bucket(self, bucket):
        self.api("create-bucket", bucket=bucket)

    def delete_bucket(self, bucket):
        self.api("delete-bucket", bucket=bucket)

    def put(self, bucket, key, body, content_type=None, metadata=None):
        result = self.api("put-object", bucket=bucket, key=key, body=self.file(body), content_type=content_type, metadata=metadata)
        return {"etag": result["ETag"]}

    def describe_object(self, response):
        return {"etag": response["ETag"], "length": response["ContentLength"], "content_type": response["ContentType"],
                "metadata": response["Metadata"]}

    def head(self, bucket, key):
        return self.describe_object(self.api("head-object", bucket=bucket, key=key))

    def get(self, bucket, key, range=None, if_match=None, if_none_match=None):
        path = self.file()
        # The name of the file is a positional argument.
        words = [word for name, value in (("range", range), ("if-match", if_match), ("if-none-match", if_none_match))
                 if value for word in ("--" + name, value)]
        result = json.loads(self.run("s3api", "get-object", "--bucket", bucket, "--key", key, *words, path))
        return {**self.describe_object(result), "body": Path(path).read_bytes()}

    def listing(self, bucket, prefix="", delimiter=""):
        result = self.api("list-objects-v2", bucket=bucket, prefix=prefix, delimiter=delimiter)
        return [row["Key"] for row in result.get("Contents") or []], [row["Prefix"] for row in result.get("CommonPrefixes") or []]

    def upload_file(self, bucket, key, path):
        self.run("s3", "cp", "--no-progress", path, f"s3://{bucket}/{key}")

    def download_file(self, bucket, key, path):
        self.run("s3", "cp", "--no-progress", f"s3://{bucket}/{key}", path)
        return True

    def delete_many(self, bucket, keys):
        result = self.api("delete-objects", bucket=bucket, delete={"Objects": [{"Key": key} for key in keys]})
        assert not result.get("Errors"), result
        return [row["Key"] for row in result["Deleted"]]

    def put_tags(self, bucket, key, tags):
        tags = [{"Key": name, "Value": value} for name, value in tags.items()]
        self.api("put-object-tagging", bucket=bucket, key=key, tagging={"TagSet": tags})

    def get_tags(self, bucket, key):
        return {row["Key"]: row["Value"] for row in self.api("get-object-tagging", bucket=bucket, key=key)["TagSet"]}

    def delete_tags(self, bucket, key):
        self.api("delete-object-tagging", bucket=bucket, key=key)

    def put_acl(self, bucket, key, acl):
        self.api("put-object-acl", bucket=bucket, key=key, acl=acl)

    def get_acl(self, bucket, key):
        rows = self.api("get-object-acl", bucket=bucket, key=key)["Grants"]
        return canned_acl([(row["Grantee"].get("URI", row["Grantee"].get("ID")), row["Permission"]) for row in rows])

    def presigned(self, method, bucket, key):
        assert method == "GET", "the program presigns downloads only"
        return self.run("s3", "presign", f"s3://{bucket}/{key}", "--expires-in", "60").decode().strip()

    def create_multipart(self, bucket, key, content_type=None):
        return self.api("create-multipart-upload", bucket=bucket, key=key, content_type=content_type)["UploadId"]

    def upload_part(self, bucket, key, upload, number, body):
        return self.api("upload-part", bucket=bucket, key=key, upload_id=upload, part_number=number, body=self.file(body))["ETag"]

    def list_parts(self, bucket, key, upload):
        rows = self.api("list-parts", bucket=bucket, key=key, upload_id=upload).get("Parts", [])
        return [(row["PartNumber"], row["ETag"], row["Size"]) for row in rows]

    def complete(self, bucket, key, upload, parts):
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in parts]
        self.api("complete-multipart-upload", bucket=bucket, key=key, upload_id=upload, multipart_upload={"Parts": parts})

    def abort(self, bucket, key, upload):
        self.api("abort-multipart-upload", bucket=bucket, key=key, upload_id=upload)

    def list_uploads(self, bucket, prefix=""):
        rows = self.api("list-multipart-uploads", bucket=bucket, prefix=prefix).get("Uploads") or []
        return [(row["Key"], row["UploadId"]) for row in rows]

    def copy(self, source, source_key, bucket, key):
        return {"etag": self.api("copy-object", bucket=bucket, key=key, copy_source=f"{source}/{source_key}")["CopyObjectResult"]["ETag"]}

    def sync(self, folder, bucket, prefix):
        lines = self.lines("s3", "sync", "--no-progress", folder, f"s3://{bucket}/{prefix}")
        return self.list_transferred(lines, r"^upload: (.+) to s3://", folder)

    def delete_all(self, bucket):
        self.run("s3", "rm", "--recursive", f"s3://{bucket}/")


class S5cmd(Tool):
    name, program = "s5cmd", "s5cmd"

    def options(self):
        return ["--endpoint-url", f"http://127.0.0.1:{self.port}", "--retry-count", "0", "--numworkers", "4", "--json"]

    def rows(self, *words):
        return [json.loads(line) for line in self.lines(*words)]

    def create_bucket(self, bucket):
        self.run("mb", f"s3://{bucket}")

    def delete_bucket(self, bucket):
        self.run("rb", f"s3://{bucket}")

    def put(self, bucket, key, body, content_type=None, metadata=None):
        words = ["--content-type", content_type] if content_type else []
        words += [word for name, value in (metadata or {}).items() for word in ("--metadata", f"{name}={value}")]
        self.run("cp", *words, self.file(body), f"s3://{bucket}/{key}")
        return {"etag": None}

    def head(self, bucket, key):
        result, = self.rows("head", f"s3://{bucket}/{key}")
        metadata = {name.lower(): value for name, value in (result.get("metadata") or {}).items()}
        return {"etag": result["etag"], "length": result.get("size", 0), "content_type": result["content_type"], "metadata": metadata}

    def get(self, bucket, key):
        return {"body": self.run("cat", f"s3://{bucket}/{key}")}

    def listing(self, bucket, prefix="", delimiter=""):
        """Lists like a shell: a folder, or `*` for all keys below it."""
        try:
            rows = self.rows("ls", f"s3://{bucket}/{prefix}" + ("" if delimiter else "*"))
        except CallError as error:
            if "no object found" in str(error):
                return [], []
            raise
        start = f"s3://{bucket}/"
        result = [(row["type"], row["key"].removeprefix(start)) for row in rows]
        return [key for kind, key in result if kind != "directory"], [key for kind, key in result if kind == "directory"]

    def upload_file(self, bucket, key, path):
        self.run("cp", "--part-size", "5", path, f"s3://{bucket}/{key}")

    def download_file(self, bucket, key, path):
        self.run("cp", "--part-size", "5", f"s3://{bucket}/{key}", path)
        return True

    def delete_many(self, bucket, keys):
        start = f"s3://{bucket}/"
        rows = self.rows("rm", *[start + key for key in keys])
        assert all(row["success"] for row in rows), rows
        return [row["source"].removeprefix(start) for row in rows]

    def presigned(self, method, bucket, key):
        assert method == "GET", "the program presigns downloads only"
        return self.run("presign", "--expire", "60s", f"s3://{bucket}/{key}").decode().strip().strip('"')

    def copy(self, source, source_key, bucket, key):
        # Without the option it removes the metadata.
        self.run("cp", "--metadata-directive", "COPY", f"s3://{source}/{source_key}", f"s3://{bucket}/{key}")
        return {"etag": None}

    def sync(self, folder, bucket, prefix):
        rows = self.rows("sync", folder + "/", f"s3://{bucket}/{prefix}")
        assert all(row["success"] for row in rows), rows
        return sorted(os.path.relpath(row["source"], folder) for row in rows)

    def delete_all(self, bucket):
        self.run("rm", f"s3://{bucket}/*")


class Rclone(Tool):
    name, program = "rclone", "rclone"

    def prepare(self):
        config = self.home / "rclone.conf"
        config.write_text(f"[r]\ntype = s3\nprovider = Other\nendpoint = http://127.0.0.1:{self.port}\nregion = us-east-1\n"
                          f"access_key_id = {self.key}\nsecret_access_key = {self.secret}\nforce_path_style = true\n"
                          "upload_cutoff = 5Mi\nchunk_size = 5Mi\n")

    def options(self):
        return ["--config", str(self.home / "rclone.conf"), "--retries", "1", "--low-level-retries", "1", "-v", "--checkers", "4"]

    def create_bucket(self, bucket):
        self.run("mkdir", f"r:{bucket}")

    def delete_bucket(self, bucket):
        self.run("rmdir", f"r:{bucket}")

    def put(self, bucket, key, body, content_type=None, metadata=None):
        words = ["--header-upload", f"Content-Type: {content_type}"] if content_type else []
        words += [word for name, value in (metadata or {}).items() for word in ("--metadata-set", f"{name}={value}")]
        self.run("copyto", *words, *(["-M"] if metadata else []), self.file(body), f"r:{bucket}/{key}")
        return {"etag": None}

    def head(self, bucket, key):
        result = json.loads(self.run("lsjson", "--stat", "-M", f"r:{bucket}/{key}"))
        if result is None or result["IsDir"]:  # It treats a missing key as a folder, because S3 has no folders.
            raise CallError(404, "", f"no {key}")
        # It also stores and returns times and attributes of the file system.
        metadata = {name: value for name, value in (result.get("Metadata") or {}).items()
                    if name not in ("btime", "mtime", "content-type", "atime", "mode", "uid", "gid", "tier", "rdev")}
        return {"etag": None, "length": result["Size"], "content_type": result["MimeType"], "metadata": metadata}

    def get(self, bucket, key, range=None):
        words = []
        if range:
            first, last = map(int, range.removeprefix("bytes=").split("-"))
            words = ["--offset", first, "--count", last - first + 1]
        return {"body": self.run("cat", *words, f"r:{bucket}/{key}")}

    def listing(self, bucket, prefix="", delimiter=""):
        rows = self.lines("lsf", *([] if delimiter else ["-R", "--files-only", "--fast-list"]), f"r:{bucket}/{prefix}")
        return ([prefix + row for row in rows if not row.endswith("/")], [prefix + row for row in rows if row.endswith("/")])

    def upload_file(self, bucket, key, path):
        self.run("copyto", path, f"r:{bucket}/{key}")

    def download_file(self, bucket, key, path):
        self.run("copyto", f"r:{bucket}/{key}", path)
        return True

    def presigned(self, method, bucket, key):
        assert method == "GET", "the program presigns downloads only"
        return self.run("link", "--expire", "60s", f"r:{bucket}/{key}").decode().strip()

    def copy(self, source, source_key, bucket, key):
        self.run("copyto", f"r:{source}/{source_key}", f"r:{bucket}/{key}")
        assert "server-side copy" in self.notes, self.notes
        return {"etag": None}

    def sync(self, folder, bucket, prefix):
        self.run("sync", folder, f"r:{bucket}/{prefix}")
        names = [found.group(1) for found in re.finditer(r"INFO +: (.+): Copied \(", self.notes)]
        return sorted(names)

    def delete_all(self, bucket):
        self.run("delete", f"r:{bucket}")


class S3cmd(Tool):
    name, program = "s3cmd", "s3cmd"

    def prepare(self):
        place = f"127.0.0.1:{self.port}"
        (self.home / "s3cfg").write_text(
            f"[default]\naccess_key = {self.key}\nsecret_key = {self.secret}\nhost_base = {place}\nhost_bucket = {place}\n"
            "use_https = False\nbucket_location = us-east-1\nmultipart_chunk_size_mb = 5\nprogress_meter = False\nmax_retries = 1\n")

    def options(self):
        return ["--config", str(self.home / "s3cfg"), "--no-progress"]

    def create_bucket(self, bucket):
        self.run("mb", f"s3://{bucket}")

    def delete_bucket(self, bucket):
        self.run("rb", f"s3://{bucket}")

    def put(self, bucket, key, body, content_type=None, metadata=None):
        words = ["--mime-type", content_type] if content_type else []
        words += ["--add-header=x-amz-meta-" + f"{name}:{value}" for name, value in (metadata or {}).items()]
        self.run("put", "--no-preserve", *words, self.file(body), f"s3://{bucket}/{key}")
        return {"etag": None}

    def info(self, bucket, key):
        rows = [line.strip().partition(":") for line in self.lines("info", f"s3://{bucket}/{key}")]
        return [(name.strip(), value.strip()) for name, _, value in rows]

    def head(self, bucket, key):
        rows = dict(self.info(bucket, key))
        metadata = {name.removeprefix("x-amz-meta-"): value for name, value in rows.items()
                    if name.startswith("x-amz-meta-") and name != "x-amz-meta-s3cmd-attrs"}
        # Its "MD5 sum" is the ETag, or the digest in its own attributes for a file in parts.
        return {"etag": None, "length": int(rows["File size"]), "content_type": rows["MIME type"], "metadata": metadata}

    def get(self, bucket, key):
        path = self.file()
        self.run("get", "--force", f"s3://{bucket}/{key}", path)
        return {"body": Path(path).read_bytes()}

    def listing(self, bucket, prefix="", delimiter=""):
        lines = self.lines("ls", *([] if delimiter else ["--recursive"]), f"s3://{bucket}/{prefix}")
        start = f"s3://{bucket}/"
        result = [(line.split()[0], line[line.index(start) + len(start):]) for line in lines]
        return [key for kind, key in result if kind != "DIR"], [key for kind, key in result if kind == "DIR"]

    def upload_file(self, bucket, key, path):
        self.run("put", path, f"s3://{bucket}/{key}")

    def download_file(self, bucket, key, path):
        self.run("get", "--force", f"s3://{bucket}/{key}", path)
        return True

    def delete_many(self, bucket, keys):
        start = f"s3://{bucket}/"
        lines = self.lines("del", *[start + key for key in keys])
        return [line.split(start)[1].rstrip("'") for line in lines if line.startswith("delete:")]

    def put_tags(self, bucket, key, tags):
        self.run("settagging", f"s3://{bucket}/{key}", "&".join(f"{name}={value}" for name, value in tags.items()))

    def get_tags(self, bucket, key):
        lines = self.lines("gettagging", f"s3://{bucket}/{key}")
        return dict(line.strip().split(":\t", 1) for line in lines if line.startswith("\t"))

    def delete_tags(self, bucket, key):
        self.run("deltagging", f"s3://{bucket}/{key}")

    def put_acl(self, bucket, key, acl):
        self.run("setacl", {"private": "--acl-private", "public-read": "--acl-public"}[acl], f"s3://{bucket}/{key}")

    def get_acl(self, bucket, key):
        rows = [value for name, value in self.info(bucket, key) if name == "ACL"]
        return "public-read" if any(row == "*anon*: READ" for row in rows) else "private"

    def presigned(self, method, bucket, key):
        assert method == "GET", "the program presigns downloads only"
        return self.run("signurl", f"s3://{bucket}/{key}", "+60").decode().strip()

    def copy(self, source, source_key, bucket, key):
        self.run("cp", f"s3://{source}/{source_key}", f"s3://{bucket}/{key}")
        return {"etag": None}

    def sync(self, folder, bucket, prefix):
        lines = self.lines("sync", folder + "/", f"s3://{bucket}/{prefix}")
        return self.list_transferred(lines, r"^upload: '(.+)' -> 's3://", folder)

    def delete_all(self, bucket):
        self.run("del", "--recursive", "--force", f"s3://{bucket}/")
