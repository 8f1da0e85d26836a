"""The guides work as written: the configuration with a server of its target dialect, the application, and the explained
request."""

import json
import os
import re
import subprocess
import sys

import boto3
import pytest
import servers
from conftest import DEPLOY, ROOT

GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
SECRET = "a-secret-of-the-test"
# Creates the bucket that a guide requires.
MAKER = f"""
[[caller]]
name = "maker"
access_key = "AKIDMAKER"
secret_key = "{SECRET}"
grants = [{{ buckets = ["*"], access = "admin" }}]
"""


def block(page, language):
    (only,) = re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return only


def server(dialect, running, binary):
    """Starts a server of this dialect; returns its endpoint and credentials."""
    if dialect == "s3":
        port = running.demo(binary, "--memory").port
        return f'"http://127.0.0.1:{port}"\naddressing = "path"', servers.DEMO_KEY, servers.DEMO_SECRET
    host = {"oss": "oss-cn-hangzhou", "cos": "cos.ap-guangzhou"}[dialect]
    port = running.double(dialect).port
    return f'"http://{host}.localhost:{port}"', servers.TARGET_KEY, servers.TARGET_SECRET


def aimed(text, running, binary):
    """Starts the proxy with the configuration of a guide, and a target on this machine."""
    target, rest = text.split("[[bucket]]", 1)
    dialect = re.search(r'^name = .*\ndialect = "(\w+)"', target, re.MULTILINE).group(1)
    endpoint, key, secret = server(dialect, running, binary)
    for name, value in (("endpoint", endpoint), ("access_key", f'"{key}"'), ("secret_key", f'"{secret}"')):
        target, times = re.subn(rf"^{name} = .*", f"{name} = {value}", target, flags=re.MULTILINE)
        assert times == 1, name
    rest = re.sub(r"^secret_key = .*", f'secret_key = "{SECRET}"', rest, flags=re.MULTILINE)
    target = target.replace("127.0.0.1:9000", "127.0.0.1:{port}").replace("127.0.0.1:9090", "127.0.0.1:{admin}")
    return running.proxy(binary, f"{target}[[bucket]]{rest}{MAKER}")


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_the_first_copy(binary, page):
    code = block(page, "python")
    bucket = re.search(r'"((?:photos|songs|invoices)[\w-]*)"', code).group(1)
    assert ":9000" in code
    with servers.Servers() as running:
        front = aimed((DEPLOY / "samples" / f"{page.stem}.toml").read_text(), running, binary)
        boto3.client("s3", endpoint_url=f"http://127.0.0.1:{front.port}", region_name="us-east-1",
                     aws_access_key_id="AKIDMAKER", aws_secret_access_key=SECRET).create_bucket(Bucket=bucket)
        code = code.replace(":9000", f":{front.port}")
        (name,) = re.findall(r'os\.environ\["(\w+)"\]', code)
        for secret, fine in ((SECRET, True), ("wrong", False)):
            done = subprocess.run([sys.executable, "-c", code], env={**os.environ, name: secret}, capture_output=True,
                                  text=True, timeout=60)
            assert (done.stdout == "me\n") == fine, done.stderr


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_what_is_explained(binary, page):
    command = re.search(r"`blobfish (explain --from \w+ --to \w+) request.http` prints", page.read_text()).group(1)
    done = subprocess.run([binary, *command.split()], input=block(page, "http") + "\n", capture_output=True, text=True)
    printed = block(page, "text")
    is_rejected = bool(re.search(r"^(always )?rejected", printed, re.MULTILINE))
    assert (done.returncode, done.stdout) == (is_rejected, printed), done.stderr


def test_pages_lead_somewhere():
    """Links in the pages of this directory and of docs/ point to existing files."""
    pages = [*GUIDES, *(ROOT / "docs" / f"{name}.md" for name in ("troubleshooting", "security")), ROOT / "README.md",
             DEPLOY / "README.md"]
    for page in pages:
        links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        assert links, page
        for link in links:
            assert (page.parent / link).exists(), f"{page.name}: {link}"
    readme = (ROOT / "README.md").read_text()
    for page in pages[:-2]:
        assert str(page.relative_to(ROOT)) in readme, f"{page.name} is not found from the README"


def handlings(binary, caller, target):
    """The output of `blobfish losses` for a pair of dialects: headers by their handling, and words without a counterpart."""
    pairs = json.loads(subprocess.run([binary, "losses", "--json"], capture_output=True, text=True, check=True).stdout)
    (pair,) = [one for one in pairs if (one["caller"], one["target"]) == (caller, target)]
    names = {handling: {row["caller_name"] for row in pair["fields"] if row["handling"] == handling}
            for handling in ("rejected", "lost")}
    return names, {row["word"] for row in pair["words_without_counterpart"]}


@pytest.mark.parametrize("page", [page for page in GUIDES if page.stem != "jd-to-aws"], ids=lambda page: page.stem)
def test_what_is_rejected_is_so(binary, page):
    """Each header and word that a guide names as rejected or lost is so in the tables of the program."""
    caller, target = page.stem.split("-to-")
    names, words = handlings(binary, caller, target)
    rows = dict(re.findall(r"^\| (rejected[^|]*) \| ([^|]*) \|$", page.read_text(), re.MULTILINE))
    always, maybe = rows["rejected always"], rows['rejected, or lost with `unsupported = "report"` on the bucket']
    named = re.findall(r"`([^`]+)`", always)
    assert named
    for name in named:
        fits = {one for one in names["rejected"] if one == name or name.endswith("*") and one.startswith(name[:-1])}
        assert fits or name in words, f"{name} is not rejected"
    for name in re.findall(r"`([^`]+)`", maybe):
        assert name in names["lost"] | words, f"{name} is not lost"


def test_nothing_is_lost_from_jd_cloud_to_s3(binary):
    names, words = handlings(binary, "jdcloud", "s3")
    assert names == {"rejected": set(), "lost": set()} and not words
