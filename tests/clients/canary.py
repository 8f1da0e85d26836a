"""No secret leaves: every secret that a proxy has or is sent is looked for, in each way of writing it, in everything that it
writes, shows, answers and exports while it is made to say as much as it can. The last line counts."""

import base64
import hashlib
import http.client
import json
import os
import re
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, urlsplit

import forms
import refusals
import s3_clients
import servers
from collector import Collector
from live import reloads
from scenarios import fetch_signed

SECRETS = {
    "caller": "cAnArY/caller+secret=0001",
    "temporary": "cAnArY/temporary+secret=2",
    "token": "cAnArY/caller+token==0003",
    "target": "cAnArY/target+secret=0004",
    "dead target": "cAnArY/dead+secret=000005",
    "dead target token": "cAnArY/dead+token==000006",
    "collector": "Bearer cAnArY/collector+0007",
    "reloaded": "cAnArY/reloaded+secret==8",
    "misspelt": "cAnArY/misspelt+secret=09",
    "misplaced": "cAnArY/misplaced+secret10",
    "nobody": "cAnArY/nobody+secret=0011",
}
CUSTOMER_KEY = b"cAnArY-customer-key-32-bytes-12!"
KEY, TEMPORARY = "AKIDCANARY0001", "AKIDCANARY0002"
PLANTED = "pLaNtEd/legitimately+logged=1"
ANSWER_BYTES = 16_384  # Of an answer: documents are smaller, and objects are those of the test.
DIALECTS = (refusals.S3, refusals.S3V2, refusals.Cos, refusals.Oss, refusals.OssV4)
TARGETS = ("cos", "oss", "jdcloud")


def written(value):
    """The ways in which these bytes may stand in a text."""
    value = value.encode() if isinstance(value, str) else value
    yield "raw", value
    yield "hex", value.hex().encode()
    yield "upper hex", value.hex().upper().encode()
    yield "a list of bytes", ", ".join(map(str, value)).encode()
    for name, encode in (("base64", base64.b64encode), ("url base64", base64.urlsafe_b64encode)):
        # Also in the middle of something that is encoded as a whole.
        for before in range(3):
            whole = encode(b"\0" * before + value)
            yield f"{name} at {before}", whole[(before * 8 + 5) // 6:len(whole) - 4]
    for name, safe in (("url", ""), ("path", "/")):
        yield name, quote(value, safe=safe).encode()
        yield f"lower {name}", re.sub(rb"%..", lambda code: code[0].lower(), quote(value, safe=safe).encode())
    yield "form", quote_plus(value).encode()
    yield "backwards", value[::-1]


def found(where, secrets):
    """Which of the secrets stand there, and how."""
    hits = []
    for place, text in where.items():
        for name, value in secrets.items():
            hits += [(place, name, form) for form, piece in written(value) if piece in text]
    return hits


def signatures(target, headers):
    """The parts of a request that prove who sent it."""
    words = [str(headers.get("Authorization", "")), target.partition("?")[2]]
    pieces = re.findall(r"(?:Signature=|signature=|AWS \w+:|OSS \w+:)([^&,\s]+)", " ".join(words))
    return {unquote(piece) for piece in pieces if len(piece) > 15}


class Sweep:
    """A proxy at the most verbose settings, and everything that it wrote."""

    def __init__(self, binary, running, collector):
        self.binary, self.secrets, self.results, self.answers, self.sent = binary, {**SECRETS}, {}, [], []
        self.during = {"admin /api/copies during a copy": b""}
        self.backs = {vendor: running.double(vendor) for vendor in TARGETS}
        key = (servers.TARGET_KEY, servers.TARGET_SECRET)
        self.secrets["the doubles' secret"] = servers.TARGET_SECRET
        targets = [servers.one_target(vendor, back.port, key=key) for vendor, back in self.backs.items()]
        # No target takes another secret than the doubles': this one is never reached.
        targets.append(servers.one_target("oss", servers.free_ports(1)[0], "dead",
                                          key=("AKIDDEAD", SECRETS["dead target"]),
                                          session_token=SECRETS["dead target token"]))
        targets.append(servers.one_target("cos", self.backs["cos"].port, "denied",
                                          key=(servers.TARGET_KEY, SECRETS["target"])))
        buckets = [f'[[bucket]]\nname = "{name}-*"\ntarget = "{name}"\nunsupported = "report"\n'
                   + ('conditions = "check"\n' if name == "jdcloud" else "") for name in (*TARGETS, "dead", "denied")]
        grants = 'grants = [{ buckets = ["*"], access = "admin" }]\n'
        callers = [
            f'[[caller]]\nname = "app"\naccess_key = "{KEY}"\nsecret_key = "{SECRETS["caller"]}"\n{grants}',
            f'[[caller]]\nname = "temporary"\naccess_key = "{TEMPORARY}"\n{grants}'
            f'secret_key = "{SECRETS["temporary"]}"\nsession_token = "{SECRETS["token"]}"\n']
        text = ('[log]\nlevel = "trace"\n[traces]\npropagate = true\ntrust_incoming_context = true\n'
                f'endpoint = "{collector.url}"\n'
                f'headers = [{{ name = "authorization", value = "{SECRETS["collector"]}" }}]\n'
                '[limits]\ncopy_multipart_threshold_bytes = 1_000_000\ncopy_part_bytes = 5_242_880\n')
        self.collector = collector
        self.proxy = running.proxy(binary, text + servers.configuration(targets, buckets, callers))
        self.file = Path(self.proxy.folder, "blobfish.toml")
        self.dialects = [make(self.proxy.port) for make in DIALECTS]

    def send(self, dialect, method, bucket, key, **more):
        """Sends a request, registers its signature as a secret, and returns the response."""
        spoil, own = more.pop("spoil", None), set()

        def noted(target, headers):
            target = (spoil(target, headers) if spoil else None) or target
            for piece in signatures(target, headers):
                self.secrets[f"signature {len(self.secrets)} ({dialect.name} {method})"] = piece
                own.add(piece)
            return target

        more.setdefault("access_key", KEY)
        more.setdefault("secret", SECRETS["caller"])
        answer = dialect.request(method, bucket, key, spoil=noted, **more)
        return self.keep(f"{dialect.name} {method} {bucket}", answer.status, answer.headers.items(), answer.body, own)

    def keep(self, name, status, headers, body, own=()):
        for piece in own:  # The vendors tell a caller the wrong signature that it sent just now (the S3 reference, 2.9).
            body = body.replace(f"<SignatureProvided>{piece}</SignatureProvided>".encode(), b"")
        head = "\n".join(f"{name}: {value}" for name, value in headers).encode("latin-1")
        self.answers.append(head + b"\n\n" + body[:ANSWER_BYTES])
        self.results.setdefault(name, []).append(status)
        return status

    def reset(self, target):
        """Ends a fault; what the double has seen is kept."""
        self.seen(target)
        self.backs[target].ask("POST", "/reset", {})

    def seen(self, target):
        self.sent.append(json.dumps(self.backs[target].ask("GET", "/requests")).encode())

    def admin(self):
        """Everything that the admin port shows."""
        for path in ("/", "/metrics", "/healthz", "/readyz", "/none", "/api/", "/api/status", "/api/copies", "/api/events",
                     "/api/config", "/api/examples", "/api/explain"):
            connection = http.client.HTTPConnection("127.0.0.1", self.proxy.admin, timeout=10)
            connection.request("GET", path)
            yield path, connection.getresponse().read()
            connection.close()

    def asked(self, question):
        """The output of the translator at the admin port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.admin, timeout=10)
        connection.request("POST", "/api/explain", question, {"Content-Type": "application/json"})
        results = connection.getresponse().read()
        connection.close()
        return results

    def where(self):
        """All places where a secret must not be."""
        time.sleep(1.5)  # Until the last spans are exported.
        places = {"the log": self.proxy.log.read_bytes(), "answers to callers": b"\n".join(self.answers),
                  "traces": b"".join(self.collector.exports),
                  "traces as text": repr([(span, span.resource, span.state) for span in self.collector.spans()]).encode()}
        return places | self.during | {f"admin {path}": text for path, text in self.admin()}


def requests(sweep):
    """Good and bad ones of each dialect, to each target."""
    for dialect in sweep.dialects:
        for target in TARGETS:
            bucket = f"{target}-1250000000"
            sweep.send(dialect, "PUT", bucket, "")
            assert sweep.send(dialect, "PUT", bucket, PLANTED, body=b"x" * 2_000_000) == 200, (dialect.name, target)
            assert sweep.send(dialect, "GET", bucket, PLANTED) == 200
            assert sweep.send(dialect, "GET", bucket, "none") == 404
            source = {dialect.prefix + "copy-source": dialect.source(bucket, PLANTED)}
            assert sweep.send(dialect, "PUT", bucket, "copy", headers=source) == 200
            elsewhere = f"{TARGETS[TARGETS.index(target) - 1]}-1250000000"
            sweep.send(dialect, "PUT", elsewhere, "carried", headers=source)
            assert sweep.send(dialect, "GET", bucket, PLANTED, secret=SECRETS["nobody"]) == 403
            sweep.send(dialect, "PUT", bucket, "k", body=b"x", headers={"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="})
            sweep.backs[target].ask("POST", "/fault", {"match": {"op": "put"}, "kind": "reset", "times": 1})
            sweep.send(dialect, "PUT", bucket, "k", body=b"x")
            sweep.reset(target)
        for bucket in ("dead-1250000000", "denied-1250000000", "none"):
            assert sweep.send(dialect, "GET", bucket, PLANTED) >= 400
            assert sweep.send(dialect, "PUT", bucket, "k", body=b"x") >= 400
        source = {dialect.prefix + "copy-source": dialect.source("dead-1250000000", PLANTED)}
        assert sweep.send(dialect, "PUT", "cos-1250000000", "k", headers=source) >= 400
        temporary = {"access_key": TEMPORARY, "secret": SECRETS["temporary"]}
        token = {dialect.prefix + "security-token": SECRETS["token"]}
        assert sweep.send(dialect, "GET", "cos-1250000000", PLANTED, headers=token, **temporary) == 200, dialect.name
        assert sweep.send(dialect, "GET", "cos-1250000000", PLANTED, **temporary) >= 400, "without its token"
        wrong = {dialect.prefix + "security-token": SECRETS["nobody"]}
        assert sweep.send(dialect, "GET", "cos-1250000000", PLANTED, headers=wrong, **temporary) >= 400
        sweep.send(dialect, "GET", "cos-1250000000", PLANTED, access_key="AKIDNOBODY")
        sweep.send(dialect, "GET", "cos-1250000000", PLANTED, spoil=lambda _, h: h.update(Authorization=[h["Authorization"]] * 2))
        sweep.send(dialect, "GET", "cos-1250000000", PLANTED, query=f"{dialect.prefix}security-token={quote(SECRETS['token'], safe='')}")


def watched(sweep):
    """A copy that runs while the admin port is asked what does."""
    dialect = sweep.dialects[0]
    source = {"x-amz-copy-source": dialect.source("cos-1250000000", PLANTED)}
    sweep.backs["oss"].ask("POST", "/fault", {"match": {"op": "UploadPart"}, "kind": "delay", "seconds": 1, "times": 1})
    sweep.backs["oss"].ask("POST", "/fault", {"match": {"op": "put"}, "kind": "delay", "seconds": 1, "times": 1})
    with ThreadPoolExecutor() as pool:
        copy = pool.submit(sweep.send, dialect, "PUT", "oss-1250000000", "slow", headers=source)
        while not copy.done():
            sweep.during["admin /api/copies during a copy"] += dict(sweep.admin())["/api/copies"]
        assert copy.result() == 200
    sweep.reset("oss")


def presigned(sweep):
    """URLs: good ones, changed ones, and ones that are over."""
    servers_secret, servers_key = servers.SECRET, servers.KEY
    servers.SECRET, servers.KEY = SECRETS["caller"], KEY  # What these sign with.
    try:
        for dialect in sweep.dialects:
            bucket = "oss-1250000000"
            for age, change, wanted in ((0, "", 200), (5000, "", 403), (0, "&response-content-type=x", None), (0, "x", 403)):
                target = dialect.presigned("GET", bucket, PLANTED, time.time() - age) + change
                own = signatures(target, {})
                sweep.secrets |= {f"signature of a URL {len(sweep.secrets)}": piece for piece in own}
                answer = refusals.send(sweep.proxy.port, "GET", target, {"Host": dialect.host(bucket)})
                sweep.keep(f"{dialect.name} URL", answer.status, answer.headers.items(), answer.body, own)
                assert wanted is None or answer.status in (wanted, 400), (dialect.name, answer.status, answer.body)
    finally:
        servers.SECRET, servers.KEY = servers_secret, servers_key


def customer_keys(sweep):
    """Encryption with keys of customers, understood and not."""
    encoded, digest = base64.b64encode(CUSTOMER_KEY).decode(), base64.b64encode(hashlib.md5(CUSTOMER_KEY).digest()).decode()
    sweep.secrets["a customer's key"] = CUSTOMER_KEY
    for dialect in sweep.dialects:
        for target in TARGETS:
            for which in ("", "copy-source-"):
                stem = f"{dialect.prefix}{which}server-side-encryption-customer-"
                headers = {stem + "algorithm": "AES256", stem + "key": encoded, stem + "key-MD5": digest}
                source = {dialect.prefix + "copy-source": dialect.source(f"{target}-1250000000", PLANTED)} if which else {}
                sweep.send(dialect, "PUT", f"{target}-1250000000", "sealed", headers=headers | source)
            sweep.send(dialect, "PUT", f"{target}-1250000000", "k", headers={stem + "key": encoded}, body=b"x")


def posted(sweep):
    """Forms, good and wrong."""
    secret = SECRETS["caller"]
    made = {"cos": forms.cos, "oss": forms.oss_v1, "ossv4": forms.oss_v4}
    for dialect in sweep.dialects:
        bucket = "cos-1250000000"
        conditions = [["starts-with", "$key", ""], {"bucket": bucket}]
        if dialect.name in made:
            fields = made[dialect.name](KEY, secret, conditions)
        else:
            fields = s3_clients.Boto3(sweep.proxy.port, KEY, secret).form(bucket, "form", conditions)[1]
        proof = {name: value for name, value in fields.items() if name.lower().endswith("signature")}
        sweep.secrets |= {f"signature of a form {dialect.name} {name}": value for name, value in proof.items()}
        url = f"http://{dialect.host(bucket)}/"
        for spoilt in ({}, {name: value[::-1] for name, value in proof.items()}, {"policy": "e30="}):
            status, headers, body = forms.post(url, {"key": "form", **fields, **spoilt}, b"posted")
            sweep.keep(f"{dialect.name} form", status, headers.items(), body)
            assert (status < 300) == (not spoilt), (dialect.name, status, body)


def nonsense(sweep):
    """Heads that nobody can read, with a secret in them."""
    secret = SECRETS["caller"]
    for head in (f"GET /k?a={secret} HTTP/1.1\r\nHost: a\r\nHost: b\r\nAuthorization: {secret}\r\n\r\n",
                 f"{secret} / HTTP/1.1\r\nHost: cos-1250000000.s3.localhost\r\n\r\n",
                 f"GET / HTTP/1.1\r\nHost: {secret}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                 f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n\r\n",
                 f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4-HMAC-SHA256 Credential={secret}, Signature={secret}\r\n\r\n",
                 f"GET / HTTP/1.1\r\nHost: x\r\ntraceparent: {secret}\r\ntracestate: {secret}\r\n\r\n",
                 f"GET / HTTP/1.1\r\nHost: x\r\nx-amz-security-token: {secret * 2000}\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", sweep.proxy.port), timeout=10) as connection:
            connection.sendall(head.encode())
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        # What somebody calls a host or a method is no secret of ours any more.
        if not head.startswith(secret) and f"Host: {secret}" not in head:
            sweep.answers.append(answer)


def reloaded(sweep):
    """Files with mistakes in them and beside secrets."""
    first = sweep.file.read_text()
    caller = f'[[caller]]\nname = "new"\naccess_key = "AKIDNEW"\nsecret_key = "{SECRETS["reloaded"]}"\n'
    shown = []
    misspelt, misplaced = SECRETS["misspelt"], SECRETS["misplaced"]
    for number, wrong in enumerate((
            f'{first}\n{caller}secretkey = "{misspelt}"\n',
            f'{first}\n{caller}grants = "{misspelt}',
            f'{first}\n{caller}session_token = ["{misspelt}"]\n',
            f'{first}\n{caller}[caller.secret_key]\n"{misplaced}" = 1\n',
            f'{first}\n{caller}[[target]]\nname = "x"\nendpoint = "http://me:{misplaced}@x"\n',
            first.replace(sweep.collector.url, f"https://x/?key={quote(misplaced, safe='')}") + caller,
            first.replace('name = "authorization", value', 'name = "authorization", valeu') + caller)):
        before = reloads(sweep.proxy, "failure")
        assert wrong != first + caller
        sweep.file.write_text(wrong)
        servers.wait_for(lambda: reloads(sweep.proxy, "failure") > before, 5, f"wrong file {number} to be rejected")
        done = subprocess.run([sweep.binary, "check", str(sweep.file)], capture_output=True, timeout=30)
        assert done.returncode == 1, wrong
        shown.append(done.stdout + done.stderr)
    before = reloads(sweep.proxy, "success")
    sweep.file.write_text(first + "\n" + caller)
    servers.wait_for(lambda: reloads(sweep.proxy, "success") > before, 5, "the right file to be loaded")
    return b"\n".join(shown)


def explained(sweep):
    """What `explain` makes of a request with all of that in it."""
    shown = []
    encoded = base64.b64encode(CUSTOMER_KEY).decode()
    for dialect in sweep.dialects:
        stem = f"{dialect.prefix}server-side-encryption-customer-"
        headers = {"Content-Length": "0", dialect.prefix + "security-token": SECRETS["token"]}
        sealed = {stem + "algorithm": "AES256", stem + "key": encoded,
                  stem + "key-MD5": base64.b64encode(hashlib.md5(CUSTOMER_KEY).digest()).decode()}
        for more in ({}, sealed if dialect.kind != "oss" else {}):
            host = dialect.host("cos-1250000000")
            head = dialect.sign("PUT", host, "cos-1250000000", "planted", "", headers | more, b"", KEY,
                                SECRETS["caller"], time.time())
            for piece in signatures("", head):
                sweep.secrets[f"signature explained {len(sweep.secrets)}"] = piece
            text = "PUT /planted HTTP/1.1\r\nHost: " + host.partition(":")[0] + "\r\n"
            text += "".join(f"{name}: {value}\r\n" for name, value in head.items() if name.lower() != "host") + "\r\n"
            for target in ("s3", "jdcloud", "cos", "oss"):
                question = json.dumps({"from": dialect.kind, "to": target, "request": text})
                sweep.during.setdefault("asked for an explanation", b"")
                sweep.during["asked for an explanation"] += sweep.asked(question)
                for flags in (["--to", target], ["--to", target, "--json"], ["--config", str(sweep.file)],
                              ["--config", str(sweep.file), "--json"]):
                    command = [sweep.binary, "explain", "--from", dialect.kind, *flags]
                    done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=30)
                    shown.append(done.stdout + done.stderr)
                    assert b"planted" in done.stdout or done.returncode == 1 and b"rejected" in done.stdout, done
    return b"\n".join(shown)


def swept(binary, running, options):
    """Runs everything, searches the output, and then checks that the search finds a secret that was planted."""
    os.environ.update(BLOBFISH_LOG="trace", RUST_LOG="trace")
    try:
        with Collector() as collector:
            sweep = Sweep(binary, running, collector)
            for step in (requests, watched, presigned, customer_keys, posted, nonsense):
                step(sweep)
            places = {"check": reloaded(sweep), "explain": explained(sweep)}
            places |= sweep.where()
            # A customer's key is echoed by nobody; its digest is by the vendors' own rule.
            hits = found(places, sweep.secrets)
            assert not hits, f"{len(hits)} leaks: {sorted(set((place, name.split(' (')[0], form) for place, name, form in hits))[:12]}"
            # Callers' proofs stay here: no target was sent one.
            own = {name: value for name, value in sweep.secrets.items() if "customer" not in name}
            for target in TARGETS:
                sweep.seen(target)
            sent = {"requests to targets": b"\n".join(sweep.sent)}
            assert not found(sent, own) and found(sent, {"planted": PLANTED, "a customer's key": CUSTOMER_KEY})
            controls(sweep, places)
    finally:
        del os.environ["BLOBFISH_LOG"], os.environ["RUST_LOG"]


def controls(sweep, places):
    """The same search finds what is rightly there, in every place, and in every way of writing."""
    assert len(sweep.secrets) > 150 and len(sweep.answers) > 150, (len(sweep.secrets), len(sweep.answers))
    rightly = {"the log": PLANTED, "traces": PLANTED, "traces as text": PLANTED, "answers to callers": "NoSuchKey",
               "admin /metrics": "blobfish_requests_total", "admin /": "<html", "admin /api/events": "\"reason\"", "admin /api/config": "\"denied\"",
               "admin /api/status": "denied", "asked for an explanation": "planted",
               "admin /api/copies during a copy": '"caller":"app"',
               "check": "unknown key", "explain": "planted"}
    for place, value in rightly.items():
        assert found({place: places[place]}, {"planted": value}), place
    names = [form for form, _ in written(PLANTED)]
    dialect = sweep.dialects[0]
    for form, piece in written(PLANTED):
        sweep.send(dialect, "PUT", "cos-1250000000", "form " + piece.decode(), body=b"x")
    log = {"the log": sweep.where()["the log"]}
    assert {form for _, _, form in found(log, {"planted": PLANTED})} == set(names), "each way is found in the log"


def demo(binary, running, options):
    """The demo's own secret, and a library below that could print whole requests."""
    os.environ.update(BLOBFISH_LOG="trace", RUST_LOG="trace")
    try:
        front = running.demo(binary, "--memory")
    finally:
        del os.environ["BLOBFISH_LOG"], os.environ["RUST_LOG"]
    client = s3_clients.Boto3(front.port, servers.DEMO_KEY, servers.DEMO_SECRET)
    client.create_bucket("demo")
    client.call("put_object", Bucket="demo", Key="sealed", Body=b"x", SSECustomerAlgorithm="AES256", SSECustomerKey=CUSTOMER_KEY)
    client.put("demo", PLANTED, b"x")
    url = client.presigned("GET", "demo", PLANTED)
    assert fetch_signed(front.port, url)
    time.sleep(0.3)
    log = front.log.read_bytes()
    # The greeting shows the demo's key, which is no secret; the store behind it has one that is never shown.
    proofs = {piece: piece for piece in signatures("?" + urlsplit(url).query, {})}
    assert proofs and not found({"log": log}, {"a customer's key": CUSTOMER_KEY, **proofs})
    for word in (b"AWS4-HMAC-SHA256", b"Signature=", b"x-amz-server-side", b"authorization"):
        assert word not in log.lower() and word not in log, word
    assert found({"log": log}, {"planted": PLANTED})


ALL = [swept, demo]


if __name__ == "__main__":
    servers.main(__doc__, ALL)
