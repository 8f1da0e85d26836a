"""The image, the compose file and the unit file, validated with the tools for such files. The compose service `blobfish` also
runs as configured, with SeaweedFS and without containers."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import boto3
import botocore.exceptions
import pytest
import servers
import yaml
from conftest import DEPLOY, ROOT, program

CONTAINERFILE = DEPLOY / "Containerfile"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
UNIT = DEPLOY / "systemd" / "blobfish.service"
# The files of the base image.
DISTROLESS_CC = {"linux-vdso", "ld-linux-x86-64", "ld-linux-aarch64", "libc", "libm", "libgcc_s", "libpthread", "libdl",
                 "librt", "libstdc++", "libssl", "libcrypto"}


def run(*words, **more):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120, **more)


# --- The image ---

def test_the_linter_accepts_the_dockerfile(tmp_path):
    done = run(program("hadolint"), CONTAINERFILE)
    assert done.returncode == 0, done.stdout
    spoiled = tmp_path / "Containerfile"
    spoiled.write_text(re.sub(r"ENTRYPOINT .*", "ENTRYPOINT /usr/bin/blobfish", CONTAINERFILE.read_text()))
    assert run(program("hadolint"), spoiled).returncode != 0


def stages():
    """The instructions of the image by stage, with continued lines joined."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", CONTAINERFILE.read_text(), flags=re.MULTILINE))
    found = [[]]
    for line in filter(None, map(str.strip, text.splitlines())):
        word, rest = line.split(None, 1)
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


def test_the_image_is_small_and_reproducible():
    start, build, final = stages()
    defaults = dict(rest.split("=", 1) for word, rest in start if word == "ARG")
    for image in ("RUST_IMAGE", "BASE_IMAGE"):
        assert re.fullmatch(r"[^@]+:[\w.-]+", defaults[image]) and not defaults[image].endswith(":latest")
    rust = re.search(r"rust:(\d+\.\d+)", defaults["RUST_IMAGE"]).group(1)
    wanted = re.search(r'rust-version = "([\d.]+)"', (ROOT / "Cargo.toml").read_text()).group(1)
    assert tuple(map(int, rust.split("."))) >= tuple(map(int, wanted.split(".")[:2]))
    assert any("cargo build --locked --release" in rest for word, rest in build if word == "RUN")
    assert {"SOURCE_DATE_EPOCH", "BLOBFISH_COMMIT"} <= {rest.split("=")[0] for word, rest in build if word == "ARG"}
    assert not re.search(r"\bdate\b", str(build)), "no time of the build gets in"
    words = dict(final)
    assert "RUN" not in words, "the base has no shell"
    uid = int(words["USER"].split(":")[0])
    pod = yaml.safe_load_all((DEPLOY / "kubernetes" / "blobfish.yaml").read_text())
    pod = next(one for one in pod if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    assert uid == pod["securityContext"]["runAsUser"] != 0
    assert json.loads(words["ENTRYPOINT"]) and json.loads(words["CMD"])[0] == "serve"


def test_the_image_holds_what_the_program_needs(binary):
    done = run("ldd", binary)
    needed = {Path(name).name.split(".so")[0] for name in re.findall(r"^\s+(\S+)", done.stdout, re.MULTILINE)}
    assert "libc" in needed and needed <= DISTROLESS_CC, done.stdout


def test_the_sources_of_the_image_are_complete(tmp_path):
    """The files that .dockerignore includes are a complete workspace with a current lock file."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*" and all(rule.startswith("!") for rule in rules[1:])
    for name in (rule[1:] for rule in rules[1:]):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    done = run("cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    packages = {package["name"]: package for package in json.loads(done.stdout)["packages"]}
    for package in packages.values():
        for target in package["targets"]:
            assert Path(target["src_path"]).exists(), target
    assert "blobfish" in [target["name"] for package in packages.values() for target in package["targets"]]
    # Files that are embedded in the program.
    for source in [*tmp_path.rglob("src/**/*.rs")]:
        for name in re.findall(r'include_(?:str|bytes)!\("([^"]+)"\)', source.read_text()):
            assert (source.parent / name).exists(), f"{source}: {name}"


# --- Compose ---

def schema_check(text, folder):
    path = folder / "compose.yaml"
    path.write_text(text)
    return run(program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", path)


def test_compose_matches_the_schema(tmp_path):
    text = (DEPLOY / "compose.yaml").read_text()
    done = schema_check(text, tmp_path)
    assert done.returncode == 0, done.stdout
    assert schema_check(text.replace("depends_on:", "depends_upon:"), tmp_path).returncode != 0


def test_compose_uses_existing_files():
    services = COMPOSE["services"]
    for name, service in services.items():
        assert re.search(r":[^:@/]+$", service["image"]) and not service["image"].endswith(":latest"), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"], volume
        for published in service.get("ports", []):
            assert published.startswith("127.0.0.1:"), "nothing is reached from other machines"
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert set(service.get("depends_on", {})) <= set(services)
    build = services["blobfish"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == CONTAINERFILE
    example = dict(line.split("=", 1) for line in (DEPLOY / "compose" / "example.env").read_text().splitlines()
                   if line and not line.startswith("#"))
    assert set(example) == set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text()))
    sources = yaml.safe_load((DEPLOY / "compose" / "grafana" / "datasource.yaml").read_text())["datasources"]
    assert sources[0]["url"] == "http://prometheus:9090"


def is_available(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.status == 200
    except OSError:
        return False


def test_compose_runs(binary, tmp_path):
    """The same commands, environment variables and configuration, on loopback and free ports."""
    secret = {"SEAWEEDFS_SECRET": "one-secret-of-the-test", "APP_SECRET": "another-secret-of-the-test"}
    filled = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda found: secret.get(found[1], ""), json.dumps(COMPOSE))
    resolved = json.loads(filled)["services"]
    weed, front = resolved["seaweedfs"], resolved["blobfish"]
    ports = servers.free_ports(9)
    data = tempfile.mkdtemp(prefix="blobfish-compose-")
    names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
             "s3.port.grpc"]
    words = [re.sub("^-dir=.*", f"-dir={data}", word) for word in weed["command"]]
    words = [re.sub("^-ip=.*", "-ip=127.0.0.1", re.sub(r"^-ip\.bind=.*", "-ip.bind=127.0.0.1", word)) for word in words]
    words = [re.sub(r"^-s3\.port=.*", f"-s3.port={ports[7]}", word) for word in words]
    words += [f"-{name}={port}" for name, port in zip(names, ports)] + ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    text = (DEPLOY / "compose" / "blobfish.toml").read_text()
    assert "http://seaweedfs:8333" in text and "-s3.port=8333" in weed["command"]
    text = text.replace("http://seaweedfs:8333", f"http://127.0.0.1:{ports[7]}")
    text = text.replace("0.0.0.0:9000", "127.0.0.1:{port}").replace("0.0.0.0:9090", "127.0.0.1:{admin}")
    with servers.Servers() as running:
        child = subprocess.Popen([program("weed"), *words], env={**os.environ, **weed["environment"]},
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        running.started.append(servers.Process(child, data, ports[7]))
        probe = weed["healthcheck"]["test"][-1].replace(":8333", f":{ports[7]}")
        servers.wait_for(lambda: is_available(probe), 60, "SeaweedFS")
        os.environ.update(front["environment"])
        try:
            proxy = running.proxy(binary, text)
        finally:
            for name in front["environment"]:
                del os.environ[name]

        def client(word):
            return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{proxy.port}", region_name="us-east-1",
                                aws_access_key_id="AKIDAPP", aws_secret_access_key=word)

        s3 = client(secret["APP_SECRET"])
        s3.create_bucket(Bucket="first")
        s3.put_object(Bucket="first", Key="k", Body=b"meow")
        s3.copy_object(Bucket="first", Key="l", CopySource="first/k")
        assert s3.get_object(Bucket="first", Key="l")["Body"].read() == b"meow"
        with pytest.raises(botocore.exceptions.ClientError):
            client("wrong").list_buckets()
        child.kill()  # A graceful stop takes too long for a test, and its directory is removed anyway.


# --- The unit ---

def unit_with(folder, binary, text=None):
    path = folder / "blobfish.service"
    path.write_text((text or UNIT.read_text()).replace("/usr/local/bin/blobfish", binary))
    return path


def test_systemd_accepts_the_unit(binary, tmp_path):
    done = run("systemd-analyze", "verify", unit_with(tmp_path, binary))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    spoiled = UNIT.read_text().replace("LockPersonality", "LokPersonality")
    assert "LokPersonality" in run("systemd-analyze", "verify", unit_with(tmp_path, binary, spoiled)).stderr


def test_the_unit_exposes_little(binary, tmp_path):
    def verify_unit(text=None):
        return run("systemd-analyze", "security", "--offline=true", "--threshold=20", unit_with(tmp_path, binary, text))

    assert verify_unit().returncode == 0, verify_unit().stdout
    assert verify_unit(re.sub(r"(?m)^(System|Protect|Restrict)\w+=.*\n", "", UNIT.read_text())).returncode != 0


def test_the_unit_waits_for_running_requests():
    settings = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))
    usual = (ROOT / "config" / "examples" / "full.toml").read_text()
    grace = int(re.search(r"(?m)^drain_timeout_seconds = (\d+)", usual).group(1))
    assert int(settings["TimeoutStopSec"]) > grace and settings["KillSignal"] == "SIGTERM"
    assert int(COMPOSE["services"]["blobfish"]["stop_grace_period"].rstrip("s")) > grace
    assert int(settings["LimitNOFILE"]) > 2 * 10_000, "connections_max, and as many to targets"
    # systemd combines the names of directory and file for a credential; the configuration uses the combined name.
    assert settings["LoadCredential"] == "secrets:/etc/blobfish/secrets"
    assert "/run/credentials/blobfish.service/secrets_NAME" in UNIT.read_text()
