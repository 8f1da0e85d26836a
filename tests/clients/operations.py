"""Operation: TLS to targets, errors of targets, metrics, logs without secrets, constant memory, a demo that survives a
restart, and the command line. The last line has the counts."""

import base64
import hashlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import cos_clients
import oss_clients
import s3_clients
import servers
from api import CallError
from scenarios import expect_error

BUCKET = "ops-1250000000"


def authority(folder, names, days=2):
    """Creates a certificate authority, and a server certificate for these names that is valid for so many days."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
            "-subj", "/CN=Test authority")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")
    Path(folder, "names").write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names))
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", str(days),
            "-out", "server.pem", "-extfile", "names")
    return [str(Path(folder, name)) for name in ("ca.pem", "server.pem", "server.key")]


def tls(binary, running, options):
    """The certificate chain and the name are verified before any HTTP is sent."""
    with tempfile.TemporaryDirectory() as folder:
        ca, cert, key = authority(folder, ["oss-cn-hangzhou.localhost", "*.oss-cn-hangzhou.localhost"])
        with tempfile.TemporaryDirectory() as other:
            wrong_ca, wrong_cert, wrong_key = authority(other, ["elsewhere.localhost"])
            back = running.double("oss", "--cert", cert, "--key", key)
            misnamed = running.double("oss", "--cert", wrong_cert, "--key", wrong_key)
            for name, port, trusted, good in [("right", back.port, ca, True), ("wrong authority", back.port, wrong_ca, False),
                                              ("no authority", back.port, None, False),
                                              ("wrong name", misnamed.port, wrong_ca, False)]:
                more = {"ca": trusted} if trusted else {}
                target = servers.one_target("oss", port, scheme="https", **more)
                front = running.proxy(binary, servers.configuration([target]))
                client = cos_clients.CosPython(front.port, servers.KEY, servers.SECRET)
                if good:
                    client.create_bucket(BUCKET)
                    client.put(BUCKET, "secure", b"x" * 100_000)
                    assert client.get(BUCKET, "secure")["body"] == b"x" * 100_000, name
                else:
                    assert expect_error(503, client.get, BUCKET, "secure").code == "ServiceUnavailable", name
            assert misnamed.ask("GET", "/requests") == [], "no HTTP byte to a server of another name"


def faults(binary, running, options):
    """An invalid response of a target is never a success, and every dialect gets its own error code."""
    for target in ("cos", "oss", "jdcloud"):
        front, back = running.front(binary, target)
        clients = [make(front.port, servers.KEY, servers.SECRET)
                   for make in (s3_clients.Boto3, cos_clients.CosPython, oss_clients.Oss2V4)]
        clients[0].create_bucket(BUCKET)
        clients[0].put(BUCKET, "from", b"source")
        for client in clients:
            def copy():
                return client.copy(BUCKET, "from", BUCKET, "to")

            def fault(kind, wanted, call, op="copy", **more):
                times = 1 if op != "get" else 2
                back.ask("POST", "/fault", {"match": {"op": op}, "kind": kind, "times": times, **more})
                error = expect_error(wanted, call)
                back.ask("POST", "/reset", {})
                return error

            copy()
            for kind in ("error_in_200", "empty_200", "html_200", "cut_xml", "redirect", "reset", "short_body"):
                fault(kind, (500, 503), copy)
            assert fault("error_in_200", 503, copy, code="SlowDown" if target != "oss" else "TotalQpsLimitExceeded")
            fault("status", 503, copy, status=503, code="ServiceUnavailable")
            # Errors about our own credentials are not passed on to clients.
            for code in ("SignatureDoesNotMatch", "InvalidAccessKeyId"):
                assert fault("status", 500, copy, status=403, code=code).code == "InternalError"
            # After an error about our clock, the next request uses the target's time.
            assert fault("status", 503, copy, status=403, code="RequestTimeTooSkewed").code == "ServiceUnavailable"
            fault("reset", (500, 503), lambda: client.put(BUCKET, "lost", b"x"), op="put")
            before = len(back.ask("GET", "/requests"))
            client.put(BUCKET, "once", b"x")
            assert len(back.ask("GET", "/requests")) - before == 1, "a write is sent once"
            back.ask("POST", "/fault", {"match": {"op": "get"}, "kind": "short_body", "times": 1})
            client.put(BUCKET, "cut", b"0123456789" * 1000)
            try:
                body = client.get(BUCKET, "cut")["body"]
            except Exception:
                body = None  # The SDK noticed the incomplete response.
            assert body is None or len(body) != 5000, "a cut body must not look whole"
            back.ask("POST", "/reset", {})


def ask(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read().decode()


def observed(binary, running, options):
    """Metrics have their documented names, each request has one JSON line, and nothing contains a secret."""
    front, _ = running.front(binary, "cos")
    client = s3_clients.Boto3(front.port, servers.KEY, servers.SECRET)
    client.create_bucket(BUCKET)
    client.put(BUCKET, "watched", b"hello")
    client.copy(BUCKET, "watched", BUCKET, "copied")
    client.get(BUCKET, "watched")
    customer_key = base64.b64encode(b"customer-key-customer-key-32byte").decode()
    digest = base64.b64encode(hashlib.md5(b"customer-key-customer-key-32byte").digest()).decode()
    client.sdk.put_object(Bucket=BUCKET, Key="sealed", Body=b"x", SSECustomerAlgorithm="AES256",
                          SSECustomerKey=b"customer-key-customer-key-32byte")
    url = client.presigned("GET", BUCKET, "watched")
    path = url.split(str(front.port), 1)[1]
    assert ask(front.port, path)[0] == 200
    signature = path.rsplit("Signature=", 1)[1]
    expect_error(403, s3_clients.Boto3(front.port, servers.KEY, "a-wrong-secret-of-a-caller").get, BUCKET, "watched")
    expect_error(501, client.call, "put_object", Bucket=BUCKET, Key="lost", Body=b"x", StorageClass="ONEZONE_IA")

    status, text = ask(front.admin, "/metrics")
    assert status == 200
    for name in ("requests_total", "request_duration_seconds_bucket", "target_response_seconds_bucket", "bytes_total", "requests_in_flight",
                 "copies_total", "lost_fields_total", "rejections_total", "config_loaded_timestamp_seconds", "build_info"):
        assert f"blobfish_{name}" in text, name
    assert 'blobfish_requests_total{caller_dialect="s3",operation="CopyObject",status="200",target="cos"} 1' in text, text
    assert 'blobfish_copies_total{outcome="success",plan="exchange"} 1' in text
    assert 'field="StorageClass"' in text, "the loss is counted"
    assert BUCKET not in text and "watched" not in text and servers.KEY not in text, "labels are closed sets"
    for path in ("/healthz", "/readyz"):
        assert ask(front.admin, path)[0] == 200, path
    assert ask(front.port, "/metrics")[0] != 200, "nothing of it on the data port"

    time.sleep(0.3)
    log = front.log.read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    copies = [line for line in lines if line.get("operation") == "CopyObject"]
    assert len(copies) == 1 and copies[0]["status"] == 200 and copies[0]["target"] == "cos", copies
    assert all(line["id"] for line in lines) and len(lines) >= 7
    secrets = [servers.SECRET, servers.TARGET_SECRET, "a-wrong-secret-of-a-caller", customer_key, digest, signature]
    for secret in secrets:
        forms = {secret, quote(secret, safe=""), secret.encode().hex(), base64.b64encode(secret.encode()).decode()}
        for form in forms:
            assert form not in log and form not in text, f"a secret leaked as {form[:12]}..."


def memory(binary, running, options):
    """Memory use does not grow with the size of bodies."""
    front, _ = running.front(binary, "seaweedfs")
    client = s3_clients.Boto3(front.port, servers.KEY, servers.SECRET)
    client.create_bucket(BUCKET)

    def resident():
        text = Path(f"/proc/{front.child.pid}/status").read_text()
        return int(text.split("VmHWM:")[1].split()[0])

    body = os.urandom(1024 * 1024)
    client.put(BUCKET, "small", body * 4)
    client.get(BUCKET, "small")
    before = resident()
    client.put(BUCKET, "large", body * 96)
    assert len(client.get(BUCKET, "large")["body"]) == 96 * len(body)
    grown = resident() - before
    assert grown < 16 * 1024, f"grew by {grown} KiB"


def durable(binary, running, options):
    """The objects of the demo survive a restart and a kill."""
    with tempfile.TemporaryDirectory() as folder:
        first = running.demo(binary, "--data", folder)
        client = oss_clients.Oss2V1(first.port, servers.DEMO_KEY, servers.DEMO_SECRET)
        client.create_bucket(BUCKET)
        client.put(BUCKET, "kept", b"for long", metadata={"owner": "me"})
        first.child.send_signal(signal.SIGTERM)
        assert first.child.wait(40) == 0
        second = running.demo(binary, "--data", folder)
        client = cos_clients.CosPython(second.port, servers.DEMO_KEY, servers.DEMO_SECRET)
        assert client.get(BUCKET, "kept")["body"] == b"for long"
        client.copy(BUCKET, "kept", BUCKET, "copy")
        second.child.kill()
        second.child.wait()
        third = running.demo(binary, "--data", folder)
        client = s3_clients.Boto3(third.port, servers.DEMO_KEY, servers.DEMO_SECRET)
        assert client.get(BUCKET, "copy")["metadata"] == {"owner": "me"}
        third.stop()


def listed_buckets(binary, running, options):
    """ListBuckets returns the configured names that the caller may read, and nothing from the target."""
    back = running.double("cos")
    target = servers.one_target("cos", back.port)
    buckets = [f'[[bucket]]\nname = "{name}"\ntarget = "cos"\ntarget_bucket = "hidden-{name}"\n' for name in ("app-1", "other-1")]
    caller = (f'[[caller]]\nname = "app"\naccess_key = "{servers.KEY}"\nsecret_key = "{servers.SECRET}"\n'
              'grants = [{ buckets = ["app-*"], access = "admin" }]\n')
    front = running.proxy(binary, servers.configuration([target], buckets, [caller]))
    s3 = s3_clients.Boto3(front.port, servers.KEY, servers.SECRET)
    assert [row["Name"] for row in s3.sdk.list_buckets()["Buckets"]] == ["app-1"]
    import oss2
    service = oss2.Service(oss2.Auth(servers.KEY, servers.SECRET), f"http://oss-cn-hangzhou.localhost:{front.port}")
    assert [row.name for row in service.list_buckets().buckets] == ["app-1"]
    s3.create_bucket("app-1")
    s3.put("app-1", "k", b"x")
    assert "k" in back.ask("GET", "/objects/hidden-app-1"), "the bucket has its own name at the target"
    assert back.ask("GET", "/requests") and s3.list("app-1") == ["k"]


def versions(binary, running, options):
    """Version IDs in requests and responses."""
    for target in ("cos", "oss", "jdcloud", "demo"):
        front, _ = running.front(binary, target)
        key, secret = servers.caller_key(target)
        s3 = s3_clients.Boto3(front.port, key, secret).sdk
        bucket = "ver-1250000000"
        s3.create_bucket(Bucket=bucket)
        if target == "demo":
            continue  # The tests of the store cover versioning.
        first = s3.put_object(Bucket=bucket, Key="k", Body=b"one")["VersionId"]
        second = s3.put_object(Bucket=bucket, Key="k", Body=b"two")["VersionId"]
        assert first != second
        assert s3.get_object(Bucket=bucket, Key="k", VersionId=first)["Body"].read() == b"one"
        made = s3.copy_object(Bucket=bucket, Key="back", CopySource={"Bucket": bucket, "Key": "k", "VersionId": first})
        assert made["CopySourceVersionId"] == first and made["VersionId"], made
        assert s3.get_object(Bucket=bucket, Key="back")["Body"].read() == b"one"
        cos = cos_clients.CosPython(front.port, key, secret).sdk
        made = cos.copy_object(Bucket=bucket, Key="again", CopySource={
            "Bucket": bucket, "Key": "k", "Region": "ap-guangzhou", "VersionId": first})
        assert made["VersionId"] and made["x-cos-copy-source-version-id"] == first, made
        marker = s3.delete_object(Bucket=bucket, Key="k")
        assert marker["DeleteMarker"] and marker["VersionId"]
        try:
            s3.get_object(Bucket=bucket, Key="k")
            raise AssertionError("a deleted object was read")
        except s3.exceptions.NoSuchKey:
            pass


def locked_copies(binary, running, options):
    """A relayed copy can lock the new object, although its digest is unknown when the copy begins."""
    store, cos = running.demo(binary, "--memory"), running.double("cos")
    targets = [servers.one_target("seaweedfs", store.port, key=(servers.DEMO_KEY, servers.DEMO_SECRET)),
               servers.one_target("cos", cos.port)]
    buckets = ['[[bucket]]\nname = "cos-*"\ntarget = "cos"\n', '[[bucket]]\nname = "*"\ntarget = "seaweedfs"\n']
    front = running.proxy(binary, servers.configuration(targets, buckets))
    s3 = s3_clients.Boto3(front.port, servers.KEY, servers.SECRET).sdk
    for bucket in ("cos-1250000000", BUCKET):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    for size in (0, 1, 300_000):
        key, body = f"of {size}", os.urandom(size)
        s3.put_object(Bucket="cos-1250000000", Key=key, Body=body)
        s3.copy_object(Bucket=BUCKET, Key=key, CopySource={"Bucket": "cos-1250000000", "Key": key}, ObjectLockLegalHoldStatus="ON")
        assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
        assert s3.get_object_legal_hold(Bucket=BUCKET, Key=key)["LegalHold"]["Status"] == "ON", key


def customer_keys(binary, running, options):
    """Encryption with customer-provided keys, of source and destination."""
    front, _ = running.front(binary, "demo")
    s3 = s3_clients.Boto3(front.port, servers.DEMO_KEY, servers.DEMO_SECRET).sdk
    one, two = b"1" * 32, b"2" * 32
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="sealed", Body=b"secret", SSECustomerAlgorithm="AES256", SSECustomerKey=one)
    made = s3.copy_object(Bucket=BUCKET, Key="resealed", CopySource={"Bucket": BUCKET, "Key": "sealed"},
                          CopySourceSSECustomerAlgorithm="AES256", CopySourceSSECustomerKey=one,
                          SSECustomerAlgorithm="AES256", SSECustomerKey=two)
    assert made["SSECustomerAlgorithm"] == "AES256"
    response = s3.get_object(Bucket=BUCKET, Key="resealed", SSECustomerAlgorithm="AES256", SSECustomerKey=two)
    assert response["Body"].read() == b"secret"
    for key in (None, one):
        more = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key} if key else {}
        try:
            s3.get_object(Bucket=BUCKET, Key="resealed", **more)
            raise AssertionError("read with the wrong key")
        except s3.exceptions.ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403), error


def losses(binary, running, options):
    """A field that the target does not support is rejected by name, or reported if so configured."""
    front, back = running.front(binary, "oss")
    client = s3_clients.Boto3(front.port, servers.KEY, servers.SECRET)
    client.create_bucket(BUCKET)
    back.ask("POST", "/reset", {})
    error = expect_error(501, client.put, BUCKET, "k", b"x", storage_class="ONEZONE_IA")
    assert "no storage class that corresponds to ONEZONE_IA" in str(error), error
    assert back.ask("GET", "/requests") == []
    front, back = running.front(binary, "oss", policy="report")
    client = s3_clients.Boto3(front.port, servers.KEY, servers.SECRET)
    client.create_bucket(BUCKET)
    made = client.sdk.put_object(Bucket=BUCKET, Key="k", Body=b"x", StorageClass="ONEZONE_IA")
    assert "x-amz-storage-class" in made["ResponseMetadata"]["HTTPHeaders"]["x-blobfish-loss"]
    error = expect_error(501, client.call, "put_object", Bucket=BUCKET, Key="k", Body=b"x", SSECustomerAlgorithm="AES256",
                    SSECustomerKey=b"1" * 32)
    assert error.code == "NotImplemented", "a field that protects data is rejected with every setting"


def command_line(binary, running, options):
    def run(*words, text=None):
        done = subprocess.run([binary, *words], input=text, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    case = servers.TESTS / "cases" / "cos-copy-02-replace-metadata" / "request.http"
    code, out, _ = run("explain", "--from", "cos", "--to", "oss", str(case))
    assert code == 0 and "x-oss-metadata-directive: REPLACE" in out and "operation: CopyObject" in out, out
    code, out, _ = run("explain", "--from", "cos", "--to", "s3", "--json", text=case.read_text())
    assert code == 0 and json.loads(out)["operation"] == "CopyObject"
    assert run("explain", "--from", "cos", "--to", "nowhere", str(case))[0] == 2
    assert run("explain", "--from", "cos", str(case))[0] == 2
    code, out, _ = run("explain", "--from", "cos", "--to", "s3", text="nonsense")
    assert code == 2 and out == "", "not a request, so nothing was translated and nothing rejected"
    code, out, _ = run("losses")
    assert code == 0 and out == (servers.TESTS.parent / "docs" / "losses.md").read_text(), "docs/losses.md is what is printed"
    assert len(json.loads(run("losses", "--json")[1])) == 16
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "blobfish.toml"
        path.write_text('[[target]]\nname = "a"\ndialect = "osss"\nendpoint = "http://elsewhere.example"\nregion = "r"\n'
                        'access_key = "k"\nsecret_key = "do-not-print"\n[[bucket]]\nname = "b"\ntarget = "c"\ncolour = 1\n')
        code, out, err = run("check", str(path))
        assert code == 1 and "do-not-print" not in out + err
        for piece in ("osss", "did you mean", "insecure", "colour", ":3:", '"c"'):
            assert piece in err, (piece, err)
        path.write_text(servers.configuration([servers.one_target("oss", 9)]).replace("{port}", "1").replace("{admin}", "2"))
        assert run("check", str(path))[0] == 0
    assert run("nonsense")[0] == 2
    assert run("serve", "--memory", "--listen", "0.0.0.0:0")[0] != 0, "the demo never leaves loopback"
    assert run("--version")[0] == 0 and run("--help")[0] == 0


CLIENTS = (s3_clients.Boto3, cos_clients.CosPython, oss_clients.Oss2V4)


def of_caller(more):
    """A proxy in front of a double, with more keys in the table of its caller."""
    return [f'[[caller]]\nname = "app"\naccess_key = "{servers.KEY}"\nsecret_key = "{servers.SECRET}"\n'
            f'grants = [{{ buckets = ["*"], access = "admin" }}]\n{more}\n']


def two_keys(binary, running, options):
    """Key rotation: both keys of a caller work, and belong to the same caller."""
    back = running.double("oss")
    callers = of_caller('keys = [{ access_key = "AKIDNEXT", secret_key = "the-next-secret" }]')
    front = running.proxy(binary, servers.configuration([servers.one_target("oss", back.port)], callers=callers))
    for make in CLIENTS:
        old, new = make(front.port, servers.KEY, servers.SECRET), make(front.port, "AKIDNEXT", "the-next-secret")
        if make is CLIENTS[0]:
            old.create_bucket(BUCKET)
        old.put(BUCKET, "one", b"x")
        assert new.get(BUCKET, "one")["body"] == b"x"
        expect_error(403, make(front.port, servers.KEY, "the-next-secret").get, BUCKET, "one")
    assert servers.read_log(front).count('"caller":"app"') >= 7


def slowed(binary, running, options):
    """Requests above the rate limit or concurrency limit get SlowDown; other callers are not affected."""
    back = running.double("oss")
    target, other = servers.one_target("oss", back.port), of_caller("")[0].replace('"app"', '"other"').replace(servers.KEY, "AKIDOTHER")
    for more in ("requests_per_second = 5", "concurrent_requests_max = 1"):
        front = running.proxy(binary, servers.configuration([target], callers=[*of_caller(more), other]))
        for make in CLIENTS:
            client, free = make(front.port, servers.KEY, servers.SECRET), make(front.port, "AKIDOTHER", servers.SECRET)
            if not back.ask("GET", f"/objects/{BUCKET}"):
                free.create_bucket(BUCKET)
                free.put(BUCKET, "one", b"x")
            if "concurrent" in more:
                back.ask("POST", "/fault", {"match": {"op": "GetObject"}, "kind": "delay", "seconds": 1.5, "times": 1})
                with ThreadPoolExecutor() as pool:
                    first = pool.submit(client.get, BUCKET, "one")
                    time.sleep(0.5)
                    expect_error(503, make(front.port, servers.KEY, servers.SECRET).head, BUCKET, "one")
                    slow = expect_error(503, make(front.port, servers.KEY, servers.SECRET).get, BUCKET, "one")
                    assert free.get(BUCKET, "one")["body"] == b"x" == first.result()["body"]
            else:
                time.sleep(1.1)
                errors = []
                for _ in range(20):
                    try:
                        client.get(BUCKET, "one")
                    except CallError as error:
                        errors.append(error)
                    free.get(BUCKET, "one")
                assert 5 <= len(errors) <= 15, len(errors)
                slow = errors[0]
                assert slow.status == 503
            # The error codes of the vendors' documents.
            assert slow.code in ("SlowDown", "ServiceUnavailable", "TotalQpsLimitExceeded"), slow.code
            time.sleep(1.1)
            client.get(BUCKET, "one")


def anonymous(binary, running, options):
    """Anonymous requests can read objects of a bucket with anonymous_read, in every dialect, and nothing else."""
    back = running.double("cos")
    buckets = ['[[bucket]]\nname = "open-*"\ntarget = "cos"\nanonymous = "read"\n[[bucket]]\nname = "*"\ntarget = "cos"\n']
    front = running.proxy(binary, servers.configuration([servers.one_target("cos", back.port, "cos")], buckets))
    owner = s3_clients.Boto3(front.port, servers.KEY, servers.SECRET)
    for bucket in ("open-1250000000", "closed-1250000000"):
        owner.create_bucket(bucket)
        owner.put(bucket, "a key", b"for all", content_type="text/plain")

    def ask(method, path, host, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=10)
        connection.request(method, path, headers={"Host": host, **headers})
        answer = connection.getresponse()
        response = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return response

    for vendor in ("s3.localhost", "cos.ap-guangzhou.localhost", "oss-cn-hangzhou.localhost"):
        host, closed = f"open-1250000000.{vendor}", f"closed-1250000000.{vendor}"
        status, headers, body = ask("GET", "/a%20key", host)
        assert (status, body, headers["content-type"]) == (200, b"for all", "text/plain"), (vendor, status, body)
        assert ask("GET", "/a%20key", host, Range="bytes=0-2")[::2] == (206, b"for")
        assert ask("HEAD", "/a%20key", host)[1]["content-length"] == "7"
        for method, path, where, wanted in (("GET", "/a%20key", closed, 403), ("HEAD", "/a%20key", closed, 403), ("GET", "/", host, 403),
                                            ("PUT", "/a%20key", host, 403), ("DELETE", "/a%20key", host, 403), ("GET", "/none", host, 404),
                                            ("GET", "/a%20key?response-content-type=x", host, 400)):
            status, _, body = ask(method, path, where, **({"Content-Length": "0"} if method == "PUT" else {}))
            assert status == wanted and (method == "HEAD" or b"<Code>" in body), (vendor, method, path, status, body)
    assert owner.get("open-1250000000", "a key")["body"] == b"for all"


def readme(binary, running, options):
    """The examples of the README work as they are, except for the port."""
    front = running.demo(binary, "--memory")
    text = (servers.TESTS.parent / "README.md").read_text()
    examples = [block.split("```")[0] for block in text.split("```python\n")[1:]]
    assert len(examples) == 3, "one in each dialect"
    for example in examples:
        assert ":9000" in example
        code = example.replace(":9000", f":{front.port}")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "me" in done.stdout, done.stderr


ALL = [readme, tls, two_keys, slowed, anonymous, faults, observed, memory, durable, listed_buckets, versions, locked_copies, customer_keys, losses, command_line]


if __name__ == "__main__":
    servers.main(__doc__, ALL)
