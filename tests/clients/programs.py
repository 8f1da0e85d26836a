"""SDKs in other languages, each in its own process, which reads one line per call and writes one line per result: values
separated by tabs, each percent-encoded. `Program` documents the calls; the processes are in programs/."""

import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from urllib.parse import quote, unquote_plus

from api import CallError

HERE = Path(__file__).resolve().parent
SOURCES, TOOLS = HERE / "programs", HERE / ".tools"


class Program:
    """One SDK. Bodies of objects are passed as files, to keep the lines short."""

    dialect, name, has_more = "s3", "", False

    def __init__(self, port, key, secret, **more):
        self.home = Path(tempfile.mkdtemp(prefix=f"blobfish-{self.name}-"))
        env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        self.errors = (self.home / "errors").open("w+b")
        self.child = subprocess.Popen([*self.command(), str(port), key, secret], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=self.errors, env={**env, "HOME": str(self.home)}, cwd=self.home)
        self.lock, self.files = threading.Lock(), 0

    @classmethod
    def missing_dependency(cls):
        """Returns why the SDK cannot run on this machine, or None."""

    def close(self):
        self.child.stdin.close()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()
        self.errors.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def call(self, *words):
        with self.lock:
            self.child.stdin.write("\t".join(quote(str(word), safe="") for word in words).encode() + b"\n")
            self.child.stdin.flush()
            watchdog = threading.Timer(60, self.child.kill)
            watchdog.start()
            line = self.child.stdout.readline()
            watchdog.cancel()
        if not line:
            self.errors.seek(0)
            raise CallError(0, f"ended in {words[0]}", self.errors.read().decode(errors="replace")[-600:])
        result, *response = [unquote_plus(word) for word in line.decode().rstrip("\n").split("\t")]
        if result == "error":
            raise CallError(response[0], "", response[1][:600])
        return response

    def file(self, body=b""):
        self.files += 1
        path = self.home / f"file-{self.files}"
        path.write_bytes(body)
        return path

    def create_bucket(self, bucket):
        self.call("create_bucket", bucket)

    def delete_bucket(self, bucket):
        self.call("delete_bucket", bucket)

    def put(self, bucket, key, body, content_type="application/octet-stream", metadata=None):
        words = [word for row in (metadata or {}).items() for word in row]
        self.call("put", bucket, key, self.file(body), content_type, *words)

    def head(self, bucket, key):
        """The result has the length, content type, ETag, and names and values of metadata."""
        length, content_type, etag, *rest = self.call("head", bucket, key)
        return {"length": int(length), "content_type": content_type, "etag": etag, "metadata": dict(zip(rest[::2], rest[1::2]))}

    def get(self, bucket, key, span=()):
        path = self.file()
        self.call("get", bucket, key, path, *span)
        return path.read_bytes()

    def listing(self, bucket, prefix="", delimiter="", page=1000):
        """The result has "key" or "group" before each name."""
        result = self.call("list", bucket, prefix, delimiter, page)
        rows = list(zip(result[::2], result[1::2]))
        return [name for kind, name in rows if kind == "key"], [name for kind, name in rows if kind == "group"]

    def upload_file(self, bucket, key, path):
        """Uploads a file in parts of 5 MiB."""
        self.call("upload", bucket, key, path)

    def copy(self, source, source_key, bucket, key):
        self.call("copy", source, source_key, bucket, key)

    def delete(self, bucket, key):
        self.call("delete", bucket, key)

    def delete_many(self, bucket, keys):
        self.call("delete_many", bucket, *keys)

    def more(self):
        """Returns the names of further scenarios with a bucket and a large file, which the program verifies itself; `do` runs one."""
        return self.call("more") if self.has_more else []

    def do(self, name, bucket, path):
        self.call("do", name, bucket, path)


class Go(Program):
    """Built by tests/setup.sh with Debian's Go, from the sources in Debian's packages."""

    has_more = True

    @classmethod
    def missing_dependency(cls):
        return None if (TOOLS / "go-sdks").exists() else "not built: see tests/setup.sh"

    def command(self):
        return [str(TOOLS / "go-sdks"), self.name]


class AwsGoV1(Go):
    name = "aws-go-v1"


class AwsGoV2(Go):
    name = "aws-go-v2"


class MinioGo(Go):
    name = "minio-go"


class OssGo(Go):
    dialect, name = "oss", "oss-go"


class Ruby(Program):
    feature, has_more = "", True

    @classmethod
    def missing_dependency(cls):
        ruby = shutil.which("ruby")
        if ruby and subprocess.run([ruby, "-e", f"require '{cls.feature}'"], capture_output=True).returncode == 0:
            return None
        return f"no Ruby with {cls.feature}"

    def command(self):
        return [shutil.which("ruby"), str(SOURCES / "sdks.rb"), self.name]


class RubyAws(Ruby):
    name, feature = "ruby-aws-sdk-s3", "aws-sdk-s3"


class FogAws(Ruby):
    name, feature = "fog-aws", "fog/aws"


class FogAliyun(Ruby):
    dialect, name, feature = "oss", "fog-aliyun", "fog/aliyun"


class Jets3t(Program):
    name = "jets3t"
    jars = ["jets3t", "commons-httpclient", "commons-logging", "commons-codec", "java-xmlbuilder"]

    @classmethod
    def missing_dependency(cls):
        return None if (TOOLS / "java" / "Jets3t.class").exists() else "not built: see tests/setup.sh"

    def command(self):
        classes = ":".join([str(TOOLS / "java"), *(f"/usr/share/java/{jar}.jar" for jar in self.jars)])
        quiet = ["-Dorg.apache.commons.logging.Log=org.apache.commons.logging.impl.NoOpLog", "-XX:TieredStopAtLevel=1"]
        return [shutil.which("java"), *quiet, "-cp", classes, "Jets3t"]


class AmazonS3Perl(Program):
    name = "perl-amazon-s3"

    @classmethod
    def missing_dependency(cls):
        perl = shutil.which("perl")
        if perl and subprocess.run([perl, "-MAmazon::S3", "-e", "1"], capture_output=True).returncode == 0:
            return None
        return "no Perl with Amazon::S3"

    def command(self):
        return [shutil.which("perl"), str(SOURCES / "amazon_s3.pl")]


class MinioJs(Program):
    name = "minio-js"

    def command(self):
        return [shutil.which("node"), str(SOURCES / "minio.js")]


ALL = [MinioJs, AwsGoV1, AwsGoV2, MinioGo, OssGo, RubyAws, FogAws, FogAliyun, Jets3t, AmazonS3Perl]
