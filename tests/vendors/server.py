"""The HTTP server of a double: it reads whole requests, calls the vendor, and writes responses. Also its control port."""

import argparse
import json
import signal
import socket
import ssl
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, unquote_plus


@dataclass
class Request:
    method: str
    path: str  # As sent.
    query: list  # Decoded (name, value).
    headers: dict  # Names in lower case.
    body: bytes
    host: str
    repeated: set = field(default_factory=set)  # Names of repeated headers.
    bucket: str = ""
    key: str = ""
    verified: bool = False  # Whether the signature is valid, in the head or in a form.

    def param(self, name):
        return next((value for own, value in self.query if own == name), None)

    def has(self, name):
        return any(own == name for own, _ in self.query)


@dataclass
class Response:
    status: int = 200
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    code: str = ""


class VendorError(Exception):
    """An error of the vendor, with its code."""

    def __init__(self, status, code, message="", headers=None):
        super().__init__(code)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *args):
        pass

    def handle_expect_100(self):
        done = super().handle_expect_100()
        self.wfile.flush()
        return done

    def read_body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline() not in (b"\r\n", b"\n", b""):
                pass
            return b"".join(pieces)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        return body if len(body) == length else None

    def serve(self):
        vendor = self.server.vendor
        path, _, query = self.path.partition("?")
        pairs = [pair.partition("=") for pair in query.split("&") if pair]
        body = self.read_body()
        if body is None:  # The client disconnected: nothing is stored.
            self.close_connection = True
            vendor.remember(self, path, query, 0, "cut", False)
            return
        headers, repeated = {}, set()
        for name, value in self.headers.items():
            name = name.lower()
            if name in headers:
                repeated.add(name)
            value = value.encode("latin-1").decode("utf-8", "replace")
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        request = Request(
            self.command, path, [(unquote_plus(n), unquote_plus(v)) for n, _, v in pairs], headers, body,
            headers.get("host", ""), repeated,
        )
        vendor.serve(self, request, query)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = do_PATCH = serve

    def reset(self):
        """Resets the connection."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for one in (self.rfile, self.wfile, self.connection):
            one.close()

    def write(self, response, head=False, cut=None):
        """Writes a response; with `cut` only so many bytes of its body, and then closes the connection."""
        self.send_response_only(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value.encode("utf-8").decode("latin-1") if isinstance(value, str) else value)
        bodiless = head or response.status in (204, 304)
        if not (head and "Content-Length" in response.headers) and response.status not in (204, 304):
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if not bodiless:
            self.wfile.write(response.body if cut is None else response.body[:cut])
        self.wfile.flush()
        if cut is not None:
            self.close_connection = True


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def handle_error(self, request, address):
        """Ignores disconnected clients and failed handshakes, and prints all other errors."""
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            super().handle_error(request, address)


class Control(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def respond(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.respond(self.server.vendor.read_state(unquote(self.path)))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.respond(self.server.vendor.control(self.path, json.loads(body or b"{}")))


def main(make_vendor, region):
    """Runs a double until SIGTERM. It prints its ports as one JSON line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--control-port", type=int, default=0)
    parser.add_argument("--access-key", required=True)
    parser.add_argument("--secret-key", required=True)
    parser.add_argument("--region", default=region)
    parser.add_argument("--copy-limit", type=int, default=5 * 1024**3)
    parser.add_argument("--restore-seconds", type=float, default=1)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--client-ca", help="clients must have a certificate of this authority")
    args = parser.parse_args()
    vendor = make_vendor(args)
    data = Server(("127.0.0.1", args.port), Handler)
    control = Server(("127.0.0.1", args.control_port), Control)
    for server in (data, control):
        server.vendor = vendor
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)
        if args.client_ca:
            context.load_verify_locations(args.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        data.socket = context.wrap_socket(data.socket, server_side=True, do_handshake_on_connect=False)
    for server in (data, control):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"port": data.server_port, "control": control.server_port}), flush=True)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    stop.wait()
    time.sleep(0.05)
    sys.exit(0)
