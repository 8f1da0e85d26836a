"""`blobfish doctor` with healthy and faulty targets. The last line has the counts."""

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import servers
from careless import Careless
from operations import authority
from s3_clients import Boto3
from scenarios import expect_error

BUCKET = "doctor-1250000000"
VERSIONED = "ver-doctor-1250000000"
DOUBLES = ("cos", "oss", "jdcloud")
EVERYTHING = [
    "dns",
    "tcp",
    "tls",
    "credentials",
    "clock",
    "region",
    "addressing",
    "bucket",
    "versioning",
    "small parts",
    "put",
    "head",
    "get",
    "checksum",
    "copy",
    "conditions",
    "overwrite",
    "part copy",
    "tags",
    "limits",
]
WRONG = "a-wrong-secret-of-a-target"


class Examined:
    """The findings of one run."""

    def __init__(self, code, value):
        self.code, self.value = code, value
        self.findings = {one["check"]: one for target in value["targets"] for one in target["findings"]}

    def of(self, outcome):
        return {check for check, one in self.findings.items() if one["outcome"] == outcome}

    def has(self, check, outcome, *words):
        found = self.findings[check]
        text = found["message"] + " " + found.get("advice", "")
        assert found["outcome"] == outcome and all(word in text for word in words), (check, outcome, words, found)
        return self

    def only(self, **outcomes):
        """Only these checks are problems or warnings."""
        for outcome in ("problem", "warning"):
            wanted = {
                check.replace("_", " ").replace("clean up", "clean-up")
                for check, one in outcomes.items()
                if one == outcome
            }
            assert self.of(outcome) == wanted, (outcome, self.of(outcome), self.value)
        assert self.code == (1 if self.of("problem") else 0), self.code
        return self


def check_no_secrets(text, backs=()):
    """Checks that the text contains no secret and no signature that was sent."""
    hidden = [servers.SECRET, servers.TARGET_SECRET, servers.DEMO_SECRET, WRONG]
    for back in backs:
        lines = (
            [line for _, line in back.seen]
            if isinstance(back, Careless)
            else [request["headers"].get("authorization", "") for request in back.ask("GET", "/requests")]
        )
        assert any(lines), "no signature was sent"
        hidden += [found for line in lines for found in re.findall(r"[Ss]ignature[=:]([^,&\s]+)", line)]
    for secret in hidden:
        assert secret not in text, "a secret or a signature was printed"


def run(binary, *words, folder=None, **env):
    done = subprocess.run(
        [binary, *words],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **env},
    )
    check_no_secrets(done.stdout + done.stderr)
    assert "panicked" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@contextlib.contextmanager
def write_config(*targets, conditions="native", bucket=BUCKET, more=""):
    """Writes a configuration file with one bucket at the first target, and the other targets."""
    name = targets[0].split('name = "')[1].split('"')[0]
    buckets = [f'[[bucket]]\nname = "{bucket}"\ntarget = "{name}"\nconditions = "{conditions}"\n', more]
    text = servers.configuration(list(targets), buckets).replace("{port}", "1").replace("{admin}", "2")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "blobfish.toml"
        path.write_text(text)
        yield str(path)


def examine(binary, *targets, backs=(), more=(), **how):
    """Runs the doctor for these targets and returns its findings."""
    with write_config(*targets, **how) as path:
        code, out, err = run(binary, "doctor", "--config", path, "--json", *more)
    assert code in (0, 1) and not err, (code, err)
    check_no_secrets(out, backs)
    return Examined(code, json.loads(out))


def careless(port, **more):
    return servers.one_target("seaweedfs", port, **more)


def replace_value(target, key, value):
    """Replaces one value in the table of a target."""
    text, times = re.subn(rf'^{key} = ".*"$', f'{key} = "{value}"', target, flags=re.M)
    assert times == 1
    return text


WEED = servers.Servers()


def with_bucket(running, binary, kind, *names):
    """Starts a store with these buckets. Returns its process and a client. All tests share one SeaweedFS."""
    if kind == "seaweedfs":
        back = WEED.started[0] if WEED.started else WEED.seaweedfs()
        front = running.proxy(binary, servers.configuration([servers.one_target(kind, back.port)]))
    else:
        front, back = running.front(binary, kind)
    client = Boto3(front.port, *servers.caller_key(kind))
    there = [bucket["Name"] for bucket in client.sdk.list_buckets().get("Buckets", [])]
    for name in names or (BUCKET,):
        if name not in there:
            client.create_bucket(name)
    return (back or front), client


def nothing_left(back, bucket=BUCKET):
    assert back.ask("GET", f"/objects/{bucket}") == {} and back.ask("GET", f"/uploads/{bucket}") == {}


def healthy(binary, running):
    """Working targets have no problems, and are unchanged afterwards."""
    for kind in ("seaweedfs", "demo", *DOUBLES):
        back, client = with_bucket(running, binary, kind)
        target = servers.one_target("seaweedfs" if kind == "demo" else kind, back.port)
        if kind == "demo":
            target = replace_value(replace_value(target, "access_key", servers.DEMO_KEY), "secret_key", servers.DEMO_SECRET)
        client.put(BUCKET, "kept", b"not the doctor's")
        conditions = "check" if kind == "jdcloud" else "native"
        backs = [back] if kind in DOUBLES else []
        found = examine(binary, target, backs=backs, conditions=conditions)
        # JD Cloud documents no conditional writes; SeaweedFS stores key segments as file names.
        found.only(**{"jdcloud": {"overwrite": "warning"}, "seaweedfs": {"limits": "warning"}}.get(kind, {}))
        assert set(found.findings) == {*EVERYTHING, "clean-up"} and not found.of("skipped"), found.value
        assert client.list(BUCKET) == ["kept"], "exactly the scratch objects are deleted"
        if kind in DOUBLES:
            assert (
                set(back.ask("GET", f"/objects/{BUCKET}")) == {"kept"} and back.ask("GET", f"/uploads/{BUCKET}") == {}
            )
            assert all(request["verified"] for request in back.ask("GET", "/requests") if request["status"] < 300)


def versions(binary, running):
    """Neither versions nor delete markers of scratch objects remain."""
    for kind in DOUBLES:
        back, client = with_bucket(running, binary, kind, VERSIONED)
        conditions = "check" if kind == "jdcloud" else "native"
        found = examine(binary, servers.one_target(kind, back.port), conditions=conditions, bucket=VERSIONED)
        found.has("versioning", "ok", "Enabled").has("clean-up", "ok")
        assert any(request["method"] == "PUT" for request in back.ask("GET", "/requests"))
        result = client.sdk.list_object_versions(Bucket=VERSIONED)
        assert not result.get("Versions") and not result.get("DeleteMarkers"), result
        nothing_left(back, VERSIONED)


def text_form(binary, running):
    """The text output has the same findings as the JSON output."""
    back, _ = with_bucket(running, binary, "cos")
    with write_config(servers.one_target("cos", back.port), servers.one_target("oss", servers.free_ports(1)[0])) as path:
        code, out, _ = run(binary, "doctor", "--config", path)
        _, only, _ = run(binary, "doctor", "--config", path, "--target", "cos")
        code_json, result, _ = run(binary, "doctor", "--config", path, "--json")
    result = json.loads(result)
    assert code == code_json == 1
    warnings, problems = (f"{result[key]} {key[:-1] if result[key] == 1 else key}" for key in ("warnings", "problems"))
    last = f"{result['ok']} ok, {warnings}, {problems}, {result['skipped']} skipped"
    assert out.splitlines()[-1] == last, (out, last)
    assert "target cos:" in out and "target oss:" in out and re.search(r"problem +tcp", out)
    assert "target oss:" not in only and only.endswith(" 0 problems, 0 skipped\n"), only


def keys(binary, running):
    """An unknown access key ID and a wrong secret key are distinguished by the error code; neither writes objects."""
    for kind in ("seaweedfs", *DOUBLES):
        back, _ = with_bucket(running, binary, kind)
        target = servers.one_target(kind, back.port)
        if kind in DOUBLES:
            back.ask("POST", "/reset", {})
        unknown = examine(binary, replace_value(target, "access_key", "AKIDUNKNOWN0001"), conditions="check")
        unknown.only(credentials="problem").has(
            "credentials", "problem", "does not know the access key ID", "AKIDUNKNOWN0001", "InvalidAccessKeyId"
        )
        wrong = examine(binary, replace_value(target, "secret_key", WRONG), conditions="check")
        wrong.only(credentials="problem").has("credentials", "problem", "secret", "SignatureDoesNotMatch")
        assert {"put", "copy", "bucket"} <= wrong.of("skipped") and wrong.has("clock", "ok")
        if kind in DOUBLES:
            received = back.ask("GET", "/requests")
            assert received and all(request["method"] == "GET" for request in received), received


def tokens(binary, running):
    """An expired session token and a wrong one are distinguished by each vendor's error codes."""
    codes = {
        "cos": [("ExpiredToken", 400)],
        "oss": [("SecurityTokenExpired", 403), ("InvalidSecurityToken", 403)],
        "jdcloud": [("ExpiredToken", 400), ("InvalidToken", 400)],
    }
    for kind, rows in codes.items():
        back, _ = with_bucket(running, binary, kind)
        for code, status in rows:
            fault(back, "list", status=status, code=code)
            target = servers.one_target(kind, back.port, session_token="a-token-of-a-target")
            found = examine(binary, target, conditions="check").only(credentials="problem")
            words = ["has expired", "Renew"] if "Expired" in code else ["does not accept the session token", "together"]
            found.has("credentials", "problem", code, *words)
            assert "a-token-of-a-target" not in json.dumps(found.value)
            back.ask("POST", "/reset", {})


def buckets(binary, running):
    """Every configured bucket is checked by its name at the target."""
    back, _ = with_bucket(running, binary, "cos", BUCKET, VERSIONED)
    target = servers.one_target("cos", back.port)
    rule = '[[bucket]]\nname = "second"\ntarget = "cos"\ntarget_bucket = "{}"\n'
    gone = "gone-1250000000"
    denied = {"match": {"op": "list", "bucket": VERSIONED}, "kind": "status", "status": 403, "code": "AccessDenied"}
    for name, times, outcome, words in (
        (VERSIONED, 0, "ok", [BUCKET, VERSIONED]),
        (VERSIONED, 9, "warning", [VERSIONED, "may not list"]),
        (gone, 0, "problem", [f"{gone} (the target responded with 404 NoSuchBucket)", "target_bucket"]),
    ):
        back.ask("POST", "/fault", {**denied, "times": times})
        with write_config(target, more=rule.format(name)) as path:
            code, out, _ = run(binary, "doctor", "--config", path, "--json", "--read-only")
        found = Examined(code, json.loads(out)).has("bucket", outcome, *words)
        found.only(**({"bucket": outcome} if outcome != "ok" else {}))


def writes(binary, running):
    """Conditional writes and limits that a target does not support are reported; the control supports them."""
    with Careless() as back:
        found = examine(binary, careless(back.port), conditions="check").only()
        found.has("overwrite", "ok", "if-none-match, if-match").has("limits", "ok", "1024", "2048")
    with Careless(keeps_writes=False) as back:
        examine(binary, careless(back.port), conditions="check").only(overwrite="problem").has(
            "overwrite", "problem", "if-none-match, if-match: the target ignores the condition"
        )
    with Careless(key_bytes_max=500) as back:
        examine(binary, careless(back.port), conditions="check").only(limits="warning").has(
            "limits", "warning", "Keys of 1024 bytes are not accepted", "400 KeyTooLongError"
        )
        assert not back.objects
    with Careless(metadata_bytes_max=1000) as back:
        examine(binary, careless(back.port), conditions="check").only(limits="problem").has("limits", "problem", "2048")


def unreachable(binary, running):
    closed = servers.free_ports(1)[0]
    found = (
        examine(binary, careless(closed)).only(tcp="problem").has("tcp", "problem", f"127.0.0.1:{closed}", "refused")
    )
    assert found.of("skipped") == set(EVERYTHING) - {"dns", "tcp"}
    target = replace_value(careless(closed), "endpoint", "https://no-such-store.invalid")
    found = examine(binary, target).only(dns="problem").has("dns", "problem", "no-such-store.invalid", "does not resolve")
    assert found.of("skipped") == set(EVERYTHING) - {"dns"}


def tls(binary, running):
    """An untrusted chain and a wrong name are distinguished; no HTTP is sent before both are correct."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        ca, cert, key = authority(folder, ["oss-cn-hangzhou.localhost", "*.oss-cn-hangzhou.localhost"])
        wrong_ca, wrong_cert, wrong_key = authority(other, ["elsewhere.localhost"])
        back = running.double("oss", "--cert", cert, "--key", key)
        misnamed = running.double("oss", "--cert", wrong_cert, "--key", wrong_key)
        front = running.proxy(
            binary, servers.configuration([servers.one_target("oss", back.port, scheme="https", ca=ca)])
        )
        Boto3(front.port, servers.KEY, servers.SECRET).create_bucket(BUCKET)
        back.ask("POST", "/reset", {})
        examine(binary, servers.one_target("oss", back.port, scheme="https", ca=wrong_ca)).only(tls="problem").has(
            "tls", "problem", "not signed by a trusted", 'ca = "FILE"'
        )
        examine(binary, servers.one_target("oss", back.port, scheme="https")).only(tls="problem").has(
            "tls", "problem", "not signed by a trusted"
        )
        examine(binary, servers.one_target("oss", misnamed.port, scheme="https", ca=wrong_ca)).only(tls="problem").has(
            "tls", "problem", "does not match the name", f"{BUCKET}.oss-cn-hangzhou.localhost"
        )
        assert back.ask("GET", "/requests") == [] and misnamed.ask("GET", "/requests") == []
        plain = running.double("oss")
        examine(binary, servers.one_target("oss", plain.port, scheme="https", ca=ca)).only(tls="problem").has(
            "tls", "problem", "does not use TLS"
        )
        for days, outcome, words in ((0, "problem", "has expired"), (90, "ok", "expires in 89 days")):
            with tempfile.TemporaryDirectory() as own:
                ca_of, cert_of, key_of = authority(own, ["*.oss-cn-hangzhou.localhost"], days)
                dated = running.double("oss", "--cert", cert_of, "--key", key_of)
                time.sleep(1.1)  # In the second of its creation the certificate is neither expired nor valid.
                target = servers.one_target("oss", dated.port, scheme="https", ca=ca_of)
                examine(binary, target, more=["--read-only"]).has("tls", outcome, words)
        # The control: the right certificate authority and name. The certificate expires in two days.
        examine(binary, servers.one_target("oss", back.port, scheme="https", ca=ca)).only(tls="warning").has(
            "tls", "warning", "trusted", "1 days"
        )
        nothing_left(back)


def clocks(binary, running):
    for skew, outcome in ((0, "ok"), (-20, "ok"), (300, "warning"), (1200, "problem"), (-1200, "problem")):
        with Careless(skew) as back:
            found = examine(binary, careless(back.port), backs=[back], more=["--read-only"])
            found.only(**({"clock": outcome} if outcome != "ok" else {})).has("clock", outcome)
            seconds = int(re.search(r"clock is (\d+) seconds", found.findings["clock"]["message"])[1])
            assert abs(seconds - abs(skew)) <= 2, (seconds, skew)
            assert ("behind" in found.findings["clock"]["message"]) == (skew < 0)
    back, _ = with_bucket(running, binary, "oss")
    back.ask(
        "POST",
        "/fault",
        {"match": {"op": "list"}, "kind": "status", "status": 403, "code": "RequestTimeTooSkewed", "times": 9},
    )
    examine(binary, servers.one_target("oss", back.port)).has("credentials", "problem", "NTP")


def regions(binary, running):
    for kind in ("oss", "jdcloud"):
        back, _ = with_bucket(running, binary, kind)
        target = replace_value(servers.one_target(kind, back.port), "region", "cn-elsewhere-7")
        found = examine(binary, target, conditions="check")
        found.only(region="problem").has("region", "problem", servers.REGIONS[kind], "cn-elsewhere-7", "Set region")
        nothing_left(back)
    back, _ = with_bucket(running, binary, "cos")
    target = replace_value(servers.one_target("cos", back.port), "region", "ap-elsewhere")
    examine(binary, target).only(region="warning").has("region", "warning", "ap-guangzhou")

    def redirect_to_region(handler):
        handler.respond(
            301,
            b"<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>",
            x_amz_bucket_region="eu-north-1",
            Location="http://127.0.0.1:9/",
        )

    def respond_malformed(handler):
        handler.respond(
            400,
            b"<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region is wrong</Message>"
            b"<Region>eu-north-1</Region></Error>",
        )

    for respond in (redirect_to_region, respond_malformed):
        with Careless(respond_with=respond) as back:
            found = examine(binary, careless(back.port), backs=[back])
            found.only(region="problem").has(
                "region", "problem", "The region is eu-north-1, not us-east-1", 'region = "eu-north-1"'
            )
            assert {"credentials", "put"} <= found.of("skipped")


def addressing(binary, running):
    """A target without virtual-hosted addressing is reported, and the other addressing is tested."""
    back, _ = with_bucket(running, binary, "seaweedfs")
    by_name = replace_value(careless(back.port), "endpoint", f"http://localhost:{back.port}")
    examine(binary, by_name).only(limits="warning").has("limits", "warning", "only if slashes").has(
        "addressing", "ok", '"path" works'
    )
    examine(binary, replace_value(by_name, "addressing", "virtual")).has("addressing", "problem", 'addressing = "path"')
    back, _ = with_bucket(running, binary, "oss")
    examine(binary, servers.one_target("oss", back.port)).has("addressing", "ok", '"virtual" works')


def conditions(binary, running):
    """A target that ignores conditions is reported; clients are safe after the advice is followed."""
    back, _ = with_bucket(running, binary, "jdcloud")
    target = servers.one_target("jdcloud", back.port)
    found = examine(binary, target, conditions="native").only(conditions="warning", overwrite="warning")
    found.has("conditions", "warning", 'conditions = "check"', BUCKET, "x-amz-copy-source-if-none-match")
    nothing_left(back)
    examine(binary, target, conditions="check").only(overwrite="warning").has("conditions", "ok", "Blobfish evaluates them")
    with Careless() as back:
        found = examine(binary, careless(back.port)).only(conditions="problem")
        found.has("conditions", "problem", 'conditions = "check"', "the target ignores the condition")
        examine(binary, careless(back.port), conditions="check").only().has("conditions", "ok", "Blobfish evaluates them")
        assert not back.objects
        for word, safe in (("native", False), ("check", True)):
            bucket = f'[[bucket]]\nname = "*"\ntarget = "seaweedfs"\nconditions = "{word}"\n'
            front = running.proxy(binary, servers.configuration([careless(back.port)], [bucket]))
            client = Boto3(front.port, servers.KEY, servers.SECRET)
            client.put(BUCKET, "from", b"x")
            copy = dict(Bucket=BUCKET, Key="to", CopySource=f"{BUCKET}/from", CopySourceIfMatch='"other"')
            if safe:
                assert expect_error(412, client.call, "copy_object", **copy)
            else:
                client.call("copy_object", **copy)


def fault(back, op, kind="status", times=99, **more):
    back.ask("POST", "/fault", {"match": {"op": op}, "kind": kind, "times": times, "status": 500, **more})


def failed_checks(binary, running):
    """A failed check is reported and leaves no objects; objects that cannot be deleted are reported with their keys."""
    back, _ = with_bucket(running, binary, "cos")
    target = servers.one_target("cos", back.port)
    for op, check in (
        ("CopyObject", "copy"),
        ("UploadPartCopy", "part copy"),
        ("CompleteMultipartUpload", "part copy"),
        ("HeadObject", "head"),
    ):
        fault(back, op, code="InternalError")
        # A response to HEAD has no document with an error code.
        words = "500" if op == "HeadObject" else "500 InternalError"
        found = examine(binary, target).has(check, "problem", words).has("clean-up", "ok")
        assert found.code == 1
        back.ask("POST", "/reset", {})
        nothing_left(back)
    fault(back, "PutObject", status=403, code="AccessDenied")
    found = examine(binary, target).only(put="problem").has("put", "problem", "AccessDenied", "Allow the access key")
    back.ask("POST", "/reset", {})
    for kind in ("reset", "error_in_200", "cut_xml", "empty_200"):
        fault(back, "CopyObject", kind)
        examine(binary, target).has("copy", "problem").has("clean-up", "ok")
        back.ask("POST", "/reset", {})
        nothing_left(back)
    fault(back, "DeleteObject", status=403, code="AccessDenied")
    found = examine(binary, target).only(clean_up="problem")
    back.ask("POST", "/reset", {})
    left = set(back.ask("GET", f"/objects/{BUCKET}"))
    assert left and all(key in found.findings["clean-up"]["message"] for key in left), (
        left,
        found.findings["clean-up"],
    )
    fault(back, "DeleteObject", times=3)
    examine(binary, target).only().has("clean-up", "ok")
    assert set(back.ask("GET", f"/objects/{BUCKET}")) == left, "a failed delete is retried"


def interruption(binary, running):
    """After Ctrl-C the scratch objects are deleted."""
    back, _ = with_bucket(running, binary, "oss")
    for number in (signal.SIGINT, signal.SIGTERM):
        fault(back, "CopyObject", "delay", times=1, seconds=1)
        with write_config(servers.one_target("oss", back.port)) as path:
            child = subprocess.Popen([binary, "doctor", "--config", path], stdout=subprocess.PIPE, text=True)
            servers.wait_for(lambda: back.ask("GET", f"/objects/{BUCKET}"), 20, "the scratch object")
            child.send_signal(number)
            out, _ = child.communicate(timeout=20)
        assert (
            child.returncode == 1 and re.search(r"problem +interrupted", out) and re.search(r"ok +clean-up", out)
        ), out
        assert re.search(r"skipped +\d+ checks", out), out
        nothing_left(back)
        back.ask("POST", "/reset", {})


def read_only(binary, running):
    back, _ = with_bucket(running, binary, "cos")
    back.ask("POST", "/reset", {})
    found = examine(binary, servers.one_target("cos", back.port), more=["--read-only"]).only()
    assert {"put", "copy", "conditions", "tags"} <= found.of("skipped") and "versioning" in found.of("ok")
    received = back.ask("GET", "/requests")
    assert received and all(request["method"] == "GET" for request in received), received


def missing_bucket(binary, running):
    for kind in DOUBLES:
        back = running.double(kind)
        found = examine(binary, servers.one_target(kind, back.port), conditions="check")
        found.only(bucket="problem").has("bucket", "problem", "NoSuchBucket").has("credentials", "ok")
    back, _ = with_bucket(running, binary, "oss")
    found = examine(binary, servers.one_target("oss", back.port), bucket="*").only().has("put", "skipped", "--bucket")
    examine(binary, servers.one_target("oss", back.port), bucket="*", more=["--bucket", BUCKET]).only().has("put", "ok")


def echo(handler):
    """A target that echoes our signature wherever it can."""
    line = handler.headers.get("Authorization", "")
    signature = line.rpartition("Signature=")[2]
    handler.respond(
        403,
        f"<Error><Code>{signature}</Code><Message>{line} region</Message><Region>{signature}</Region>"
        f"<Endpoint>{signature}</Endpoint></Error>".encode(),
        x_amz_bucket_region=signature,
    )


def echo_late(handler):
    """Like echo, with terminal escape sequences, and only in successful responses to copies and completions."""
    if "x-amz-copy-source" not in handler.headers and handler.command != "POST":
        return handler.usual()
    line = handler.headers.get("Authorization", "") + "&#x9b;31m"
    text = f"<Error><Code>{line}</Code><Message>{line}</Message><Region>{line}</Region></Error>"
    handler.respond(200, text.encode(), Content_Type="application/xml")


def hostile(binary, running):
    """Responses of a target are neither trusted nor repeated."""
    with Careless(respond_with=echo_late) as back:
        found = examine(binary, careless(back.port), backs=[back])
        assert {"copy", "part copy"} <= found.of("problem"), found.value
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", json.dumps(found.value, ensure_ascii=False)), found.value
    with Careless(respond_with=echo) as back:
        assert examine(binary, careless(back.port), backs=[back]).code == 1
    with Careless(respond_with=lambda handler: handler.respond(200, b"<html>fine</html>")) as back:
        examine(binary, careless(back.port), backs=[back]).only(credentials="problem").has(
            "credentials", "problem", "not with the requested listing"
        )
    with Careless(respond_with=lambda handler: handler.respond(502, b"x" * 100_000)) as back:
        assert examine(binary, careless(back.port), backs=[back]).of("problem") == {"credentials"}


def usage(binary, running):
    target = careless(servers.free_ports(1)[0])
    with write_config(target) as path:
        for words, result in (
            (["--target", "other"], "seaweedfs"),
            (["--bucket", "unmapped"], "unmapped"),
            (["--nonsense"], "--nonsense"),
        ):
            code, out, err = run(binary, "doctor", "--config", path, *words)
            assert code == 2 and result in err and not out, (words, code, err)
        assert run(binary, "doctor")[0] == 2
        assert run(binary, "doctor", "--config", path + ".none")[0] == 1
        Path(path).write_text("nonsense = 1\n")
        code, _, err = run(binary, "doctor", "--config", path)
        assert code == 1 and "nonsense" in err
    code, out, _ = run(binary, "doctor", "--help")
    assert code == 0 and "Examples:" in out


ALL = [
    healthy,
    versions,
    text_form,
    keys,
    tokens,
    buckets,
    writes,
    unreachable,
    tls,
    clocks,
    regions,
    addressing,
    conditions,
    failed_checks,
    interruption,
    read_only,
    missing_bucket,
    hostile,
    usage,
]


def main(about, checks):
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only")
    options = parser.parse_args()
    options.binary = os.path.abspath(options.binary)
    passed = failed = 0
    with WEED:
        for check in checks:
            if options.only and check.__name__ not in options.only.split(","):
                continue
            started = time.monotonic()
            with servers.Servers() as running:
                try:
                    check(options.binary, running)
                    print(f"passed {check.__name__} {time.monotonic() - started:.1f} s", flush=True)
                    passed += 1
                except Exception:
                    failed += 1
                    print(f"FAILED {check.__name__}\n{traceback.format_exc()[-2400:]}", flush=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(__doc__, ALL)
