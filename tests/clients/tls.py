"""Inbound connections: certificates by name and their renewal, vendors' host names under a private certificate authority,
HTTP/2, and load balancers that forward client addresses. The last line has the counts."""

import contextlib
import http.client
import ipaddress
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import boto3
import h2.config
import h2.connection
import h2.events
import oss2
import urllib3.util.connection
from botocore.config import Config
from botocore.exceptions import SSLError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from qcloud_cos import CosConfig, CosS3Client

import refusals
import servers
from live import log_lines, metric, reloads
from s3_clients import Boto3

BUCKET = "secure-1250000000"

# The package treats the first GOAWAY as the end, although open streams may continue (RFC 9113, 6.8).
states = h2.connection.H2ConnectionStateMachine._transitions
states[(h2.connection.ConnectionState.CLIENT_OPEN, h2.connection.ConnectionInputs.RECV_GOAWAY)] = (
    None, h2.connection.ConnectionState.CLIENT_OPEN)
NAMES = {"s3": ["*.s3.us-east-1.amazonaws.com", "s3.us-east-1.amazonaws.com", "*.s3.amazonaws.com", "s3.amazonaws.com"],
         "cos": ["*.cos.ap-guangzhou.myqcloud.com"],
         "oss": ["*.oss-cn-hangzhou.aliyuncs.com", "oss-cn-hangzhou.aliyuncs.com"]}


class Authority:
    """A private certificate authority and its certificates, as PEM files in one directory."""

    def __init__(self, folder):
        self.folder, self.key = Path(folder), ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.ca = self.folder / "ca.pem"
        own = self.build(self.name, self.key.public_key(), 2, [(x509.BasicConstraints(ca=True, path_length=0), True)])
        self.ca.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def build(self, subject, key, days, extensions):
        now = datetime.now(timezone.utc)
        builder = x509.CertificateBuilder(issuer_name=self.name, subject_name=subject, public_key=key,
                                          serial_number=x509.random_serial_number(),
                                          not_valid_before=now - timedelta(days=9),
                                          not_valid_after=now + timedelta(days=days))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, file, names, days=2, pair="both"):
        """Issues `file.crt` and `file.key` for these names or addresses; with `pair` only one of the two is written. Returns the
        serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file)])
        names = [x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names]
        names = [(x509.SubjectAlternativeName(names), False)] if names else []
        certificate = self.build(subject, key.public_key(), days, names)
        self.pending = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                         serialization.NoEncryption())
        if pair != "key":
            self.put(file + ".crt", certificate.public_bytes(serialization.Encoding.PEM))
        if pair != "crt":
            self.put(file + ".key", self.pending)
        return certificate.serial_number

    def put(self, name, content):
        """Replaces the file by renaming a new one, as renewal tools do."""
        new = self.folder / (name + ".new")
        new.write_bytes(content)
        new.chmod(0o600)
        new.rename(self.folder / name)

    def pair(self, file):
        return f'cert = "{self.folder}/{file}.crt", key = "{self.folder}/{file}.key"'


@contextmanager
def own_authority():
    """A certificate authority in a directory that is removed with the servers."""
    with tempfile.TemporaryDirectory(prefix="blobfish-ca-") as folder:
        yield Authority(folder)


def start_https(binary, running, default="", named=(), kind="oss", listen="", more="", back=None):
    """A proxy with one HTTPS listener on port `https`. `listen` has more lines for its table."""
    back = back or running.double(kind)
    port = servers.free_ports(1)[0]
    certificates = f'certificates = [{", ".join("{ " + pair + " }" for pair in named)}], ' if named else ""
    default = default + ", " if default else ""
    line = f'https = [{{ {default}{certificates}address = "127.0.0.1:{port}" }}]\n{listen}\n[admin]'
    text = servers.configuration([servers.one_target(kind, back.port)]).replace("[admin]", line, 1) + more
    text += '\n[hosts]\nbase = ["blobfish.internal"]\n'
    proxy = running.proxy(binary, text)
    proxy.https, proxy.back = port, back
    return proxy


def context(ca, alpn=()):
    made = ssl.create_default_context(cafile=str(ca))
    made.set_alpn_protocols(list(alpn))
    return made


def get_serial(port, ca, name):
    """The serial number of the certificate that a client gets for this SNI name. The client verifies it."""
    return serial(port, context(ca), name)


def get_unverified_serial(port, name):
    """The same without verification; `None` sends no SNI name."""
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    return serial(port, blind, name)


def serial(port, trusts, name):
    with socket.create_connection(("127.0.0.1", port), 5) as raw, trusts.wrap_socket(raw, server_hostname=name) as tls:
        return x509.load_der_x509_certificate(tls.getpeercert(True)).serial_number


def fails(kind, call, *arguments, **more):
    try:
        result = call(*arguments, **more)
    except kind as error:
        return error
    raise AssertionError(f"expected {kind}, but got {result!r}")


def selection_by_sni(binary, running, options):
    """Certificates are selected by SNI name, with the default certificate for other names; without it the handshake fails."""
    with own_authority() as authority:
        default = authority.issue("default", ["blobfish.internal"])
        vendors = {kind: authority.issue(kind, NAMES[kind]) for kind in NAMES}
        pairs = [authority.pair(kind) for kind in NAMES]
        proxy = start_https(binary, running, authority.pair("default"), pairs)
        for name, wanted in [("blobfish.internal", default), ("b.s3.us-east-1.amazonaws.com", vendors["s3"]),
                             ("S3.US-EAST-1.amazonaws.com", vendors["s3"]),
                             ("b.cos.ap-guangzhou.myqcloud.com", vendors["cos"]),
                             ("oss-cn-hangzhou.aliyuncs.com", vendors["oss"])]:
            assert get_serial(proxy.https, authority.ca, name) == wanted, name
        for name in ("example.com", "a.b.s3.us-east-1.amazonaws.com", "cos.ap-guangzhou.myqcloud.com", None):
            assert get_unverified_serial(proxy.https, name) == default, name
        fails(ssl.SSLCertVerificationError, get_serial, proxy.https, authority.ca, "example.com")
        only = start_https(binary, running, "", pairs, back=proxy.back)
        assert get_serial(only.https, authority.ca, "b.s3.us-east-1.amazonaws.com") == vendors["s3"]
        for name in ("example.com", None):
            fails(ssl.SSLError, get_unverified_serial, only.https, name)


class Visits(threading.Thread):
    """Sends verified requests continuously, on new connections and on one that stays open. Failures are recorded."""

    def __init__(self, port, ca, name):
        super().__init__()
        self.port, self.ca, self.name, self.done, self.failures, self.count = port, ca, name, False, [], 0
        self.stays = self.connect()

    def connect(self):
        raw = socket.create_connection(("127.0.0.1", self.port), 5)
        connection = http.client.HTTPConnection(self.name)
        connection.sock = context(self.ca).wrap_socket(raw, server_hostname=self.name)
        return connection

    def ask(self, connection):
        connection.request("GET", "/")
        response = connection.getresponse()
        response.read()
        assert response.status == 403, response.status

    def run(self):
        while not self.done:
            try:
                one = self.connect()
                self.ask(one)
                one.close()
                self.ask(self.stays)
                self.count += 1
                time.sleep(0.01)  # A connection has a limit of a thousand requests.
            except Exception as error:
                self.failures.append(repr(error))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.join()


def certificate_renewal(binary, running, options):
    """Renewed certificates are used without a restart or a failed request; invalid ones change nothing, and the reason is logged."""
    name = "oss-cn-hangzhou.aliyuncs.com"
    with own_authority() as authority:
        default = authority.issue("default", ["blobfish.internal"])
        first = authority.issue("oss", NAMES["oss"])
        proxy = start_https(binary, running, authority.pair("default"), [authority.pair("oss")])
        crt, key = authority.folder / "oss.crt", authority.folder / "oss.key"

        def current_serial():
            return get_serial(proxy.https, authority.ca, name)

        def change(outcome, *words, act, hangup=False):
            before, lines = reloads(proxy, outcome), len(log_lines(proxy, ""))
            act()
            if hangup:
                os.kill(proxy.child.pid, signal.SIGHUP)
            servers.wait_for(lambda: reloads(proxy, outcome) > before, 4, f"{outcome}: {words}")
            result = "\n".join(line for line in proxy.log.read_text().splitlines()[lines:] if line[0] != "{")
            assert all(str(word) in result for word in words), (words, result)
            check = subprocess.run([binary, "check", proxy.folder + "/blobfish.toml"], capture_output=True, text=True)
            assert (check.returncode == 0) == (outcome == "success"), check
            assert all(str(word) in check.stdout + check.stderr for word in words[1:]), (words, check)

        keeps = "the previous configuration stays active"
        with Visits(proxy.https, authority.ca, name) as visits:
            assert current_serial() == first
            # The certificate is written before its key, as some tools do.
            second = authority.issue("oss", NAMES["oss"], pair="crt")
            change("failure", keeps, crt, key, "is not the certificate's", act=lambda: None)
            assert current_serial() == first
            change("success", "configuration reloaded", act=lambda: authority.put("oss.key", authority.pending))
            assert current_serial() == second
            for content, why in [(b"no PEM at all\n", "contains no PEM certificate"),
                                 (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read")]:
                change("failure", keeps, crt, why, act=lambda: authority.put("oss.crt", content))
                assert current_serial() == second
            serials = []
            change("success", "configuration reloaded", hangup=True,
                   act=lambda: serials.append(authority.issue("oss", NAMES["oss"])))
            assert current_serial() == serials[0]
            change("failure", keeps, crt, "has no DNS name", act=lambda: authority.issue("oss", []))
            assert current_serial() == serials[0]
            change("success", "configuration reloaded", act=lambda: serials.append(authority.issue("oss", NAMES["oss"])))
        assert not visits.failures and visits.count > 20, (visits.failures[:3], visits.count)
        # An expired certificate is used, because clients reject it themselves, and a warning is logged.
        change("success", "WARN", crt, "expired on",
               act=lambda: serials.append(authority.issue("oss", NAMES["oss"], days=-1)))
        assert get_unverified_serial(proxy.https, name) == serials[-1]
        fails(ssl.SSLCertVerificationError, current_serial)
        assert get_serial(proxy.https, authority.ca, "blobfish.internal") == default
        visits.ask(visits.stays)


@contextmanager
def resolve_locally(port):
    """Connects port 443 of every host to this port, as a private DNS server would."""
    real = urllib3.util.connection.create_connection
    urllib3.util.connection.create_connection = lambda address, *more, **options: real(
        ("127.0.0.1", port if address[1] == 443 else address[1]), *more, **options)
    try:
        yield
    finally:
        urllib3.util.connection.create_connection = real


def vendor_hosts(binary, running, options):
    """Unmodified SDKs use the vendors' own host names, and trust the private certificate authority."""
    with own_authority() as authority:
        for kind in NAMES:
            authority.issue(kind, NAMES[kind])
        proxy = start_https(binary, running, "", [authority.pair(kind) for kind in NAMES], kind="cos")

        def s3(**more):
            config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "virtual"})
            return boto3.client("s3", region_name="us-east-1", aws_access_key_id=servers.KEY,
                                aws_secret_access_key=servers.SECRET, config=config, **more)

        with resolve_locally(proxy.https):
            fails(SSLError, s3().list_buckets)
            client = s3(verify=str(authority.ca))
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="from s3", Body=b"s3")
            client.copy_object(Bucket=BUCKET, Key="a copy", CopySource={"Bucket": BUCKET, "Key": "from s3"})
            os.environ["REQUESTS_CA_BUNDLE"] = str(authority.ca)
            try:
                cos = CosS3Client(CosConfig(Region="ap-guangzhou", Scheme="https", SecretId=servers.KEY,
                                            SecretKey=servers.SECRET))
                assert cos.get_object(Bucket=BUCKET, Key="a copy")["Body"].get_raw_stream().read() == b"s3"
                cos.put_object(Bucket=BUCKET, Key="from cos", Body=b"cos")
                auth = oss2.Auth(servers.KEY, servers.SECRET)
                oss = oss2.Bucket(auth, "https://oss-cn-hangzhou.aliyuncs.com", BUCKET)
                assert oss.get_object("from cos").read() == b"cos"
            finally:
                del os.environ["REQUESTS_CA_BUNDLE"]


class Stream:
    def __init__(self):
        self.status, self.headers, self.body = None, {}, bytearray()
        self.ended, self.reset, self.invited = False, None, False

    def code(self):
        return bytes(self.body).partition(b"<Code>")[2].partition(b"<")[0].decode()


class Two:
    """An HTTP/2 client with control over every frame."""

    def __init__(self, port, ca, name="blobfish.internal", before=b""):
        raw = socket.create_connection(("127.0.0.1", port), 10)
        raw.sendall(before)
        self.tls = context(ca, ["h2"]).wrap_socket(raw, server_hostname=name)
        assert self.tls.selected_alpn_protocol() == "h2"
        config = h2.config.H2Configuration(header_encoding="utf-8", validate_outbound_headers=False,
                                           normalize_outbound_headers=False)
        self.h2, self.streams, self.takes, self.away = h2.connection.H2Connection(config), {}, True, False
        self.h2.initiate_connection()
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.tls.close()

    def flush(self):
        self.tls.sendall(self.h2.data_to_send())

    def begin(self, host, method, path, headers=None, ended=True):
        number = self.h2.get_next_available_stream_id()
        self.streams[number] = Stream()
        rows = [(":method", method), (":scheme", "https"), (":authority", host), (":path", path)]
        rows += [(name.lower(), value) for name, value in (headers or {}).items()]
        self.h2.send_headers(number, rows, end_stream=ended)
        self.flush()
        return number

    def send_signed(self, method, key, body=b"", headers=None, ended=None, bucket=BUCKET):
        """Begins a request that is signed as by an S3 SDK. The body follows."""
        s3 = refusals.S3(443)
        host, target = "blobfish.internal", f"/{bucket}/{key}"
        headers = dict(headers or {})
        if body or method == "PUT":
            headers.setdefault("content-length", str(len(body)))
        s3.host = lambda bucket: host
        headers = s3.sign(method, host, bucket, f"{bucket}/{key}", "", headers, body, servers.KEY, servers.SECRET,
                          time.time())
        headers = {name: value for name, value in headers.items() if name.lower() != "host"}
        return self.begin(host, method, target, headers, ended=not body if ended is None else ended)

    def read(self, seconds=10):
        """Processes received data. Returns whether the connection is still open."""
        self.tls.settimeout(seconds)
        piece = self.tls.recv(65536)
        for event in self.h2.receive_data(piece) if piece else []:
            stream = self.streams.get(getattr(event, "stream_id", None))
            match event:
                case h2.events.InformationalResponseReceived():
                    stream.invited = dict(event.headers)[":status"] == "100"
                case h2.events.ResponseReceived():
                    stream.headers = dict(event.headers)
                    stream.status = int(stream.headers[":status"])
                case h2.events.DataReceived():
                    stream.body += event.data
                    if self.takes and event.flow_controlled_length:
                        self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.StreamEnded():
                    stream.ended = True
                case h2.events.StreamReset():
                    stream.reset = int(event.error_code)
                case h2.events.ConnectionTerminated():
                    self.away = True
        try:
            self.flush()
        except OSError:
            pass
        return bool(piece)

    def until(self, condition, seconds=15):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "timeout"
            if not self.read(max(end - time.monotonic(), 0.01)):
                assert condition(), "the connection has ended"

    def wait_for_response(self, number):
        stream = self.streams[number]
        self.until(lambda: stream.ended or stream.reset is not None)
        return stream

    def send(self, number, body, ended=True):
        while body:
            limit = min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size, len(body))
            if not limit:
                if self.streams[number].reset is not None or self.streams[number].status:
                    return False
                self.read()
                continue
            self.h2.send_data(number, body[:limit])
            body = body[limit:]
            self.flush()
        if ended:
            self.h2.end_stream(number)
            self.flush()
        return True

    def call(self, method, key, body=b"", **more):
        number = self.send_signed(method, key, body, **more)
        if body:
            self.send(number, body)
        return self.wait_for_response(number)

    def reset(self, number):
        self.h2.reset_stream(number, 8)
        self.flush()


@contextmanager
def start_with_http2(binary, running, more="", kind="oss", listen=""):
    """A proxy, an HTTP/2 client, and a function that creates more clients."""
    with own_authority() as authority:
        authority.issue("default", ["blobfish.internal"])
        proxy = start_https(binary, running, authority.pair("default"), kind=kind, listen=listen, more=more)
        Boto3(proxy.port, servers.KEY, servers.SECRET).create_bucket(BUCKET)
        proxy.authority = authority
        with Two(proxy.https, authority.ca) as client:
            yield proxy, client, lambda **more: Two(proxy.https, authority.ca, **more)


def both_versions(binary, running, options):
    """curl with both HTTP versions and presigned URLs; objects written with one version are read with the other."""
    with start_with_http2(binary, running) as (proxy, client, _):
        sdk = boto3.client("s3", endpoint_url=f"https://blobfish.internal:{proxy.https}", region_name="us-east-1",
                           aws_access_key_id=servers.KEY, aws_secret_access_key=servers.SECRET,
                           config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
        file = proxy.authority.folder / "file"
        curl = ["curl", "-sS", "--cacert", str(proxy.authority.ca), "-w", "\n%{http_version} %{http_code}",
                "--resolve", f"blobfish.internal:{proxy.https}:127.0.0.1"]
        for version, number in (("--http2", "2"), ("--http1.1", "1.1")):
            file.write_bytes(os.urandom(3_000_000))
            for method, flags in (("put_object", ["-T", str(file)]), ("get_object", ["-o", str(file) + ".back"])):
                url = sdk.generate_presigned_url(method, {"Bucket": BUCKET, "Key": f"by-curl-{number}"})
                result = subprocess.run([*curl, version, *flags, url], capture_output=True, text=True)
                assert result.stdout.splitlines()[-1] == f"{number} 200", result
            assert Path(str(file) + ".back").read_bytes() == file.read_bytes()
            # Chunked in HTTP/1.1 and without a length in HTTP/2. The body is small, so Blobfish determines its length for the target.
            url = sdk.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "piped"})
            result = subprocess.run([*curl, version, "-T", "-", url], input=number, capture_output=True, text=True)
            assert result.stdout.splitlines()[-1] == f"{number} 200", result
            assert bytes(client.call("GET", "piped").body) == number.encode()
        assert client.call("GET", "nothing").code() == "NoSuchKey"
        head = client.call("HEAD", "by-curl-2")
        assert (head.status, head.headers["content-length"], head.body) == (200, "3000000", b"")
        assert client.call("DELETE", "by-curl-2").status == 204
        line = json.loads(log_lines(proxy, '"operation":"DeleteObject"')[-1])
        assert line["client"] == "127.0.0.1" and line["status"] == 204, line


def unlogged_heads(binary, running, options):
    """At every log level, HTTP/2 heads are not logged, because they contain signatures."""
    os.environ["BLOBFISH_LOG"] = "trace,h2=trace,h2::codec=trace"
    try:
        with start_with_http2(binary, running) as (proxy, client, _):
            assert client.call("PUT", "x", b"x").status == 200
            log = servers.read_log(proxy)
    finally:
        del os.environ["BLOBFISH_LOG"]
    assert '"PutObject"' in log, log[-500:]
    for secret in ("h2::", "Signature=", "authorization", "AWS4-HMAC"):
        assert secret not in log, secret


def concurrent_streams(binary, running, options):
    """Many concurrent streams of one connection, with large and small bodies in both directions and at different speeds."""
    with start_with_http2(binary, running) as (proxy, client, another):
        large, small = os.urandom(8_000_000), os.urandom(1000)
        assert client.call("PUT", "large", large).status == 200
        assert client.call("PUT", "small", small).status == 200
        down = client.send_signed("GET", "large")
        up = client.send_signed("PUT", "large-too", large)
        others = [client.send_signed("GET", "small") for _ in range(60)]
        client.send(up, large)
        for number in others:
            assert client.wait_for_response(number).body == small
        assert client.wait_for_response(down).body == large
        assert client.wait_for_response(up).status == 200, vars(client.streams[up])
        assert client.call("GET", "large-too").body == large
        # A stream that is not read gets no more than its window, and does not block other streams.
        with another() as picky:
            picky.takes = False
            stuck = picky.send_signed("GET", "large")
            picky.until(lambda: len(picky.streams[stuck].body) >= 65535)
            picky.h2.increment_flow_control_window(100_000)
            picky.flush()
            assert picky.call("GET", "small").body == small
            assert len(picky.streams[stuck].body) == 65535
        # More streams than announced get REFUSED_STREAM, and the others are not affected.
        assert client.h2.remote_settings.max_concurrent_streams == 100
        open_ones = [client.send_signed("PUT", f"open-{number}", small) for number in range(100)]
        client.h2.remote_settings[3] = 1000
        client.h2.remote_settings.acknowledge()
        over = client.wait_for_response(client.send_signed("GET", "small"))
        assert over.reset == 7, over.reset
        for number in open_ones:
            client.send(number, small)
        assert all(client.wait_for_response(number).status == 200 for number in open_ones)


def uploads(binary, running, options):
    """Early rejections, 100-continue, bodies that are shorter or longer than announced, and silent clients."""
    with start_with_http2(binary, running, more="[limits]\nbody_idle_timeout_seconds = 1\n") as (proxy, client, _):
        body = os.urandom(2_000_000)
        held = {"expect": "100-continue"}
        number = client.send_signed("PUT", "invited", body, headers=held, ended=False)
        client.until(lambda: client.streams[number].invited)
        client.send(number, body)
        assert client.wait_for_response(number).status == 200 and client.call("GET", "invited").body == body
        # Failed authentication: the response comes before the body, and the rest of the body is rejected.
        lines = {"content-length": str(len(body)), "authorization": "AWS4-HMAC-SHA256 nonsense", **held}
        number = client.begin("blobfish.internal", "PUT", f"/{BUCKET}/refused", lines, ended=False)
        rejected = client.wait_for_response(number)
        assert rejected.status in (400, 403) and rejected.code(), vars(rejected)
        assert rejected.ended and not rejected.invited, vars(rejected)
        client.until(lambda: rejected.reset is not None)
        assert rejected.reset == 0, rejected.reset
        number = client.send_signed("PUT", "refused", body, headers={"x-amz-content-sha256": "0" * 64})
        client.send(number, body)
        assert client.wait_for_response(number).code() == "XAmzContentSHA256Mismatch"
        # Shorter or longer than announced, aborted, or silent: none of these uploads becomes an object.
        short = client.send_signed("PUT", "short", body, ended=False)
        client.send(short, body[:1000])
        assert client.wait_for_response(short).reset == 1, vars(client.streams[short])
        late = client.send_signed("PUT", "long", body[:10], ended=False)
        client.send(late, body[:11])
        assert client.wait_for_response(late).reset == 1
        left = client.send_signed("PUT", "left", body, ended=False)
        client.send(left, body[:1000], ended=False)
        client.reset(left)
        silent = client.send_signed("PUT", "silent", body, ended=False)
        client.send(silent, body[:1000], ended=False)
        assert client.wait_for_response(silent).code() == "RequestTimeout", vars(client.streams[silent])
        for key in ("refused", "short", "long", "left", "silent"):
            assert client.call("GET", key).code() == "NoSuchKey", key
        servers.wait_for(lambda: metric(proxy, "blobfish_requests_in_flight") == 0, 5, "all to have ended")
        assert len(log_lines(proxy, "the client disconnected before the end of its body")) == 3


def downloads(binary, running, options):
    """A response that the target aborts resets the stream; a long copy sends keep-alive bytes."""
    with start_with_http2(binary, running) as (proxy, client, _):
        client.call("PUT", "cut", b"0123456789" * 10_000)
        proxy.back.ask("POST", "/fault", {"match": {"op": "GetObject"}, "kind": "short_body", "times": 1})
        cut = client.wait_for_response(client.send_signed("GET", "cut"))
        assert (cut.ended, cut.reset) == (False, 2) and cut.status in (200, None), vars(cut)
        assert client.call("GET", "cut").ended
        proxy.back.ask("POST", "/fault", {"match": {"op": "CopyObject"}, "kind": "delay", "seconds": 11.5})
        slow = client.send_signed("PUT", "slow", headers={"x-amz-copy-source": f"/{BUCKET}/cut"}, ended=True)
        client.until(lambda: client.streams[slow].status == 200, 14)
        assert not client.streams[slow].ended
        assert client.call("HEAD", "cut").status == 200
        assert b"<CopyObjectResult" in client.wait_for_response(slow).body and client.call("GET", "slow").ended


def aborted_copies(binary, running, options):
    """With copies_on_disconnect = "abort", a reset stream aborts its copy and no other."""
    other = running.double("cos")
    more = servers.one_target("cos", other.port) + '[[bucket]]\nname = "other-1250000000"\ntarget = "cos"\n'
    with start_with_http2(binary, running, more=more + '[limits]\ncopies_on_disconnect = "abort"\n') as (proxy, client, _):
        Boto3(proxy.port, servers.KEY, servers.SECRET).create_bucket("other-1250000000")
        client.call("PUT", "from", b"x" * 1000)
        for key, leaves in (("stays", False), ("goes", True)):
            proxy.back.ask("POST", "/fault", {"match": {"op": "GetObject"}, "kind": "delay", "seconds": 2})
            source = {"x-amz-copy-source": f"/{BUCKET}/from"}
            number = client.send_signed("PUT", key, headers=source, ended=True, bucket="other-1250000000")
            servers.wait_for(lambda: metric(proxy, "blobfish_copies_in_progress") == 1, 2, "the copy")
            begun = time.monotonic()
            if leaves:
                client.reset(number)
            else:
                assert client.wait_for_response(number).status == 200
            servers.wait_for(lambda: metric(proxy, "blobfish_copies_in_progress") == 0, 5, "its end")
            assert (time.monotonic() - begun < 1) == leaves, time.monotonic() - begun
            result = client.wait_for_response(client.send_signed("GET", key, bucket="other-1250000000"))
            assert result.status == (404 if leaves else 200), result.status


def heads(binary, running, options):
    """Heads that are rejected in HTTP/1.1 are rejected in HTTP/2 with the same error; malformed ones reset the stream."""
    with start_with_http2(binary, running, more="[limits]\nhead_bytes_max = 8192\nheaders_max = 50\n") as (proxy, client, another):
        host, path = "blobfish.internal", f"/{BUCKET}/x"

        def request(method="GET", path=path, headers=None, host=host):
            return client.wait_for_response(client.begin(host, method, path, headers))

        assert request(headers={"x-a": "a" * 6000}).code() == "AccessDenied"
        assert request(headers={"x-a": "a" * 9000}).status == 400
        in_oss = request(headers={"x-a": "a" * 9000}, host="b.oss-cn-hangzhou.aliyuncs.com")
        assert in_oss.status == 400 and b"<HostId>b.oss-cn-hangzhou.aliyuncs.com<" in in_oss.body, vars(in_oss)
        assert request(headers={f"x-{number}": "a" for number in range(40)}).code() == "AccessDenied"
        assert request(headers={f"x-{number}": "a" for number in range(60)}).status == 400
        assert request(headers={"x-a": "a" * 40_000}).status == 431
        assert request(headers={"host": host}).code() == "AccessDenied"
        assert request(headers={"host": "other.internal"}).status == 400
        for bad in ("two words", "a,b", "u@h", "h/x"):
            response = request(host=bad)
            assert response.status == 400 or response.reset == 1, (bad, vars(response))
        assert request("TRACE").status == 405 and request("PATCH").status == 405
        assert request(path="/a b").reset == 1 or request(path="/a b").status == 400
        assert request(path="*", method="OPTIONS").status == 400
        assert request("PUT", headers={"expect": "200-ok"}).status == 400
        assert request("PUT", headers={"content-length": "5"}).reset == 1
        for name, value in [("connection", "close"), ("transfer-encoding", "chunked"), ("te", "gzip"),
                            ("upgrade", "h2c"), ("X-Upper", "a")]:
            with another() as own:
                number = own.h2.get_next_available_stream_id()
                own.streams[number] = Stream()
                rows = [(":method", "GET"), (":scheme", "https"), (":authority", host), (":path", path)]
                own.h2.send_headers(number, [*rows, (name, value)], end_stream=True)
                own.flush()
                try:
                    own.until(lambda: own.streams[number].reset == 1 or own.away)
                except (AssertionError, OSError) as error:
                    raise AssertionError(f"{name}: {vars(own.streams[number])}") from error
        assert request().code() == "AccessDenied"


def connection_ends(binary, running, options):
    """Idle connections, connections that abuse the protocol, and connections during a shutdown."""
    with start_with_http2(binary, running, more="[limits]\nkeepalive_timeout_seconds = 2\n") as (proxy, client, another):
        client.call("PUT", "large", b"x" * 3_000_000)
        client.tls.close()
        # Rapid reset: in the end this connection is closed, and no other.
        with another() as hasty, another() as calm:
            try:
                for _ in range(3000):
                    hasty.reset(hasty.send_signed("GET", "large"))
                    if hasty.away:
                        break
                hasty.until(lambda: hasty.away, 3)
            except (OSError, AssertionError):
                pass
            assert len(calm.call("GET", "large").body) == 3_000_000
            servers.wait_for(lambda: metric(proxy, "blobfish_requests_in_flight") == 0, 5, "all to have ended")
        with another() as idle:
            assert idle.call("HEAD", "large").status == 200
            begun = time.monotonic()
            while idle.read(5):
                pass
            assert idle.away and 1.5 < time.monotonic() - begun < 4, time.monotonic() - begun
        servers.wait_for(lambda: metric(proxy, "blobfish_client_connections") == 0, 5, "all to be closed")
        # The running request finishes, the connection accepts no more streams, and the process exits.
        with another() as last:
            last.takes = False
            number = last.send_signed("GET", "large")
            last.until(lambda: len(last.streams[number].body) >= 65535)
            proxy.child.send_signal(signal.SIGTERM)
            last.until(lambda: last.away, 5)
            last.takes = True
            last.h2.increment_flow_control_window(4_000_000)
            last.h2.increment_flow_control_window(4_000_000, number)
            last.flush()
            response = last.wait_for_response(number)
            assert response.ended and len(response.body) == 3_000_000
        assert proxy.child.wait(10) == 0


V1 = b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n"


def v2(address="192.0.2.7", command=1, more=b"", family=None):
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    body = packed + packed + struct.pack(">HH", 4711, 443) + more
    family = family or (0x21 if ":" in address else 0x11)
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack(">BBH", 0x20 | command, family, len(body)) + body


def send_raw_request(proxy, before=b"", lines=(), ca=None):
    """The status of a signed request after these bytes; `None` if the connection is closed without a response. The first of the
    lines is signed."""
    with socket.create_connection(("127.0.0.1", proxy.https if ca else proxy.port), 10) as raw:
        try:
            raw.sendall(before)
            if ca:
                raw = context(ca).wrap_socket(raw, server_hostname="blobfish.internal")
            s3 = refusals.S3(proxy.port)
            s3.host = lambda bucket: "blobfish.internal"
            signed = s3.sign("GET", "blobfish.internal", BUCKET, f"{BUCKET}/x", "", dict(lines[:1]), b"", servers.KEY,
                             servers.SECRET, time.time())
            signed = {name: value for name, value in signed.items() if name.lower() != "host"}
            rows = [("Host", "blobfish.internal"), *signed.items(), *lines[1:]]
            head = f"GET /{BUCKET}/x HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in rows)
            raw.sendall(head.encode() + b"Connection: close\r\n\r\n")
            response = b"".join(iter(lambda: raw.recv(65536), b""))
        except OSError:
            return None
        return int(response.split()[1]) if response else None


def last_client_address(proxy, count):
    """Waits for `count` lines in the access log, and returns the client address in the last one."""
    servers.wait_for(lambda: len(log_lines(proxy, '"client"')) >= count, 3, "the line")
    return json.loads(log_lines(proxy, '"client"')[-1])["client"]


def proxy_protocol(binary, running, options):
    """PROXY protocol, also in front of TLS: required from trusted proxies, and not accepted from others."""
    listed = 'trusted_proxies = ["127.0.0.0/8"]\nproxy_protocol = true'
    with own_authority() as authority:
        authority.issue("default", ["blobfish.internal"])
        proxy = start_https(binary, running, authority.pair("default"), listen=listed)
        count = 0
        for before, address in [(V1, "192.0.2.7"), (v2(), "192.0.2.7"), (v2("2001:db8::7"), "2001:db8::7"),
                                (v2(more=b"\x04\x00\x02ab"), "192.0.2.7"), (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
                                (v2(command=0), "127.0.0.1"),
                                (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 4711 443\r\n", "192.0.2.7")]:
            for ca in (None, authority.ca):
                count += 1
                assert send_raw_request(proxy, before, ca=ca) == 404, (before, ca)
                assert last_client_address(proxy, count) == address, (before, ca)
        with Two(proxy.https, authority.ca, before=v2("192.0.2.8")) as client:
            assert client.wait_for_response(client.send_signed("GET", "x")).status == 404
            count += 1
            assert last_client_address(proxy, count) == "192.0.2.8"
        rejected = 'blobfish_rejections_total{reason="ProxyHeader"}'
        before = metric(proxy, rejected)
        bad = [b"", V1.replace(b"192.0.2.7", b"192.0.2.777"), V1.replace(b"\r\n", b"\n") + b"x" * 200,
               V1.replace(b"TCP4", b"UDP4"), v2(command=5), v2(family=0x21), b"PROXY TCP4 " + b"1" * 200 + b"\r\n"]
        for number, header in enumerate(bad, 1):
            for ca in (None, authority.ca):
                assert send_raw_request(proxy, header, ca=ca) is None, (header, ca)
            assert metric(proxy, rejected) == before + 2 * number, header
        for why in ("does not start with a PROXY header", "the PROXY header is malformed"):
            assert log_lines(proxy, why)
        # A header that is too slow closes the connection. A TCP health check of a load balancer is not logged.
        slow = [socket.create_connection(("127.0.0.1", port), 10) for port in (proxy.port, proxy.https)]
        for one in slow:
            one.sendall(V1[:20])
        socket.create_connection(("127.0.0.1", proxy.port), 10).close()
        begun = time.monotonic()
        assert all(one.recv(1) == b"" for one in slow)
        assert 3 < time.monotonic() - begun < 7
        for one in slow:
            one.close()
        assert metric(proxy, rejected) == before + 2 * len(bad) + 2
        # After the proxy is removed from the list, a PROXY header is invalid and connections without one are served.
        text = Path(proxy.folder, "blobfish.toml").read_text()
        Path(proxy.folder, "blobfish.toml").write_text(text.replace("127.0.0.0/8", "192.0.2.0/24"))
        servers.wait_for(lambda: reloads(proxy, "success") >= 1, 4, "the new list of proxies")
        for ca in (None, authority.ca):
            assert send_raw_request(proxy, ca=ca) == 404
            for header in (V1, v2()):
                assert send_raw_request(proxy, header, ca=ca) in (400, None), header


def forwarded_addresses(binary, running, options):
    """X-Forwarded-For of trusted proxies is used; from others it is an ordinary header, signed or not."""
    for listed, address in [('trusted_proxies = ["127.0.0.1", "10.0.0.0/8"]', "192.0.2.7"),
                            ('trusted_proxies = ["10.0.0.0/8"]', "127.0.0.1")]:
        with own_authority() as authority:
            authority.issue("default", ["blobfish.internal"])
            proxy = start_https(binary, running, authority.pair("default"), listen=listed)
            nothing = ("x-note", "signed")
            own = ("X-Forwarded-For", "198.51.100.1")
            for count, lines in enumerate([[nothing, ("X-Forwarded-For", "198.51.100.1, 192.0.2.7, 10.0.0.1")],
                                           [own, ("X-Other", "1")], [("X-Forwarded-For", "192.0.2.7")]], 1):
                assert send_raw_request(proxy, lines=lines) == 404, lines
                wanted = "198.51.100.1" if lines[0] == own and address != "127.0.0.1" else address
                assert last_client_address(proxy, count) == wanted, (listed, lines)
            # A load balancer that changes a signed header invalidates the signature, whether it is trusted or not.
            assert send_raw_request(proxy, lines=[own, own]) == 403
            for scheme, result in (("https", "https" if address != "127.0.0.1" else "http"), ("http", "http")):
                assert post_form(proxy, scheme).startswith(result + "://"), (listed, scheme)


def post_form(proxy, scheme):
    """The Location of an object from a form upload, behind a load balancer with these headers."""
    sdk = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{proxy.port}", region_name="us-east-1",
                       aws_access_key_id=servers.KEY, aws_secret_access_key=servers.SECRET,
                       config=Config(s3={"addressing_style": "path"}))
    try:
        sdk.create_bucket(Bucket=BUCKET)
    except sdk.exceptions.ClientError:
        pass
    created = {"success_action_status": "201"}
    form = sdk.generate_presigned_post(BUCKET, "posted", created, [created])
    body = "".join(f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                   for name, value in form["fields"].items())
    body += '--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhello\r\n--x--\r\n'
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    lines = {"Content-Type": "multipart/form-data; boundary=x", "X-Forwarded-Proto": scheme}
    connection.request("POST", f"/{BUCKET}", body, lines)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    assert response.status == 201, (response.status, text)
    return response.getheader("Location")


def many_certificates(binary, running, options):
    """The limit of connections per address applies to each address separately, also behind load balancers."""
    limit = "\n[limits]\nconnections_per_address_max = 3\n"
    with own_authority() as authority:
        authority.issue("default", ["blobfish.internal"])
        proxy = start_https(binary, running, authority.pair("default"), listen='trusted_proxies = ["127.0.0.9"]', more=limit)

        def idle(source):
            return socket.create_connection(("127.0.0.1", proxy.port), 10, (source, 0))

        def status(source):
            with idle(source) as one:
                one.sendall(b"GET / HTTP/1.1\r\nHost: s3.localhost\r\nConnection: close\r\n\r\n")
                return int(one.recv(65536).split()[1])

        held = [idle("127.0.0.1") for _ in range(3)]
        servers.wait_for(lambda: metric(proxy, "blobfish_client_connections") == 3, 3, "three connections")
        assert status("127.0.0.1") == 503 and send_raw_request(proxy) == 503 and send_raw_request(proxy, ca=authority.ca) == 503
        with contextlib.suppress(OSError), Two(proxy.https, authority.ca) as client:
            client.send_signed("GET", "x")
            while client.read(3):
                pass
            assert not client.streams[1].status, "a fourth connection was served"
        assert status("127.0.0.2") == 403, "not signed, but served"
        crowd = [idle("127.0.0.9") for _ in range(5)]
        assert status("127.0.0.9") == 403
        held.pop().close()
        servers.wait_for(lambda: send_raw_request(proxy) == 404, 3, "a free connection")
        for one in held + crowd:
            one.close()
        assert metric(proxy, 'blobfish_rejections_total{reason="SlowDown"}') >= 3


ALL = [many_certificates, selection_by_sni, certificate_renewal, vendor_hosts, both_versions, unlogged_heads,
       concurrent_streams, uploads, downloads, aborted_copies, heads, connection_ends, proxy_protocol,
       forwarded_addresses]


if __name__ == "__main__":
    servers.main(__doc__, ALL)
