"""A small S3 server in this process with errors that no vendor's double has. It verifies no signature, and its clock, region
and rules are configurable."""

import hashlib
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote

from api import http_date


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def date_time_string(self, timestamp=None):
        return http_date(time.time() + self.server.skew)

    def respond(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204 and not (self.command == "HEAD" and "Content_Length" in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def xml(self, root, children=""):
        self.respond(200, f"<{root}>{children}</{root}>".encode(), Content_Type="application/xml")

    def serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        if len(self.body) < length:
            self.close_connection = True
            return None
        self.query = dict(parse_qsl(self.path.partition("?")[2], keep_blank_values=True))
        self.server.seen.append((self.command, self.headers.get("Authorization", "")))
        if self.server.respond_with:
            return self.server.respond_with(self)
        self.usual()

    def usual(self):
        key = unquote(self.path.partition("?")[0]).lstrip("/").partition("/")[2]
        with self.server.lock:
            (self.serve_object if key else self.serve_bucket)(key, self.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve

    def serve_bucket(self, _, body):
        if "versioning" in self.query:
            return self.xml("VersioningConfiguration")
        if "location" in self.query:
            return self.xml("LocationConstraint", "us-east-1")
        if "uploads" in self.query:
            return self.xml("ListMultipartUploadsResult", "<IsTruncated>false</IsTruncated>")
        found = [key for key in self.server.objects if key.startswith(self.query.get("prefix", ""))]
        rows = "".join(
            f'<Contents><Key>{key}</Key><LastModified>2024-05-06T07:08:09.000Z</LastModified><ETag>"e"</ETag>'
            f"<Size>1</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key in found
        )
        self.xml(
            "ListBucketResult", f"<Prefix/><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{rows}"
        )

    def serve_object(self, key, body):
        objects = self.server.objects
        if self.command == "DELETE":
            objects.pop(key, None)
            return self.respond(204)
        if "uploads" in self.query:
            return self.xml(
                "InitiateMultipartUploadResult", f"<Key>{key}</Key><UploadId>u</UploadId>"
            )
        if self.command == "PUT":
            return self.put(key, body)
        if self.command == "POST":
            objects[key] = self.server.part
            return self.xml("CompleteMultipartUploadResult", f"<ETag>\"{objects[key]['etag']}-1\"</ETag>")
        if key not in objects:
            return self.respond(404, b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")
        found = objects[key]
        if "tagging" in self.query:
            tags = "".join(
                f"<Tag><Key>{name}</Key><Value>{value}</Value></Tag>" for name, value in parse_qsl(found["tags"])
            )
            return self.xml("Tagging", f"<TagSet>{tags}</TagSet>")
        headers = {"ETag": f'"{found["etag"]}"', "Last_Modified": http_date(found["at"]), **found["metadata"]}
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
        if span:
            first, last = int(span[1]), int(span[2])
            return self.respond(
                206,
                found["body"][first : last + 1],
                Content_Range=f"bytes {first}-{last}/{len(found['body'])}",
                **headers,
            )
        if self.command == "HEAD":
            headers["Content_Length"] = str(len(found["body"]))
        self.respond(200, found["body"], **headers)

    def put(self, key, body):
        objects = self.server.objects
        wanted = self.headers.get("If-Match")
        if self.server.keeps_writes and (
            self.headers.get("If-None-Match") == "*"
            and key in objects
            or wanted
            and wanted.strip('"') != objects.get(key, {}).get("etag")
        ):
            return self.respond(412, b"<Error><Code>PreconditionFailed</Code><Message>there</Message></Error>")
        if len(key) > self.server.key_bytes_max:
            return self.respond(400, b"<Error><Code>KeyTooLongError</Code><Message>long</Message></Error>")
        metadata = {
            name.lower(): value[: self.server.metadata_bytes_max]
            for name, value in self.headers.items()
            if name.lower().startswith("x-amz-meta-")
        }
        made = {
            "body": body,
            "etag": hashlib.md5(body).hexdigest(),
            "at": time.time(),
            "metadata": metadata,
            "tags": self.headers.get("x-amz-tagging", ""),
        }
        source = self.headers.get("x-amz-copy-source")
        if not source:
            objects[key] = made
            return self.respond(200, ETag=f'"{made["etag"]}"')
        copied = dict(objects[unquote(source).lstrip("/").partition("/")[2]])  # ignores the conditions
        if self.headers.get("x-amz-metadata-directive") == "REPLACE":
            copied["metadata"] = metadata
        result = f"<LastModified>2024-05-06T07:08:09.000Z</LastModified><ETag>\"{copied['etag']}\"</ETag>"
        if "partNumber" in self.query:
            self.server.part = copied
            return self.xml("CopyPartResult", result)
        objects[key] = copied
        self.xml("CopyObjectResult", result)


class Careless(ThreadingHTTPServer):
    """Listens during a `with` block."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        """Ignores clients that disconnect."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def __init__(self, skew=0, respond_with=None, keeps_writes=True, key_bytes_max=1024, metadata_bytes_max=2048):
        super().__init__(("127.0.0.1", 0), Handler)
        self.skew, self.respond_with, self.keeps_writes = skew, respond_with, keeps_writes
        self.key_bytes_max, self.metadata_bytes_max = key_bytes_max, metadata_bytes_max
        self.objects, self.part, self.seen, self.lock = {}, None, [], threading.Lock()
        self.open_now = set()
        self.port = self.server_port

    def process_request(self, request, client_address):
        self.open_now.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.open_now.discard(request)
        super().shutdown_request(request)

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
