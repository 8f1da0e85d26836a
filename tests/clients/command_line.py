"""The command line: `blobfish init` and the files that it writes, completions, help and version. The last line has the
counts."""

import contextlib
import os
import pty
import re
import select
import shutil
import stat
import subprocess
import tempfile
import time
import tomllib
from pathlib import Path

import servers
from cos_clients import CosPython
from doctor import BUCKET, main, run, with_bucket
from oss_clients import Oss2V4
from s3_clients import Boto3
from scenarios import expect_error


VALID = "The configuration is valid.\n"


def flags(back, folder, *more):
    host = f"http://cos.ap-guangzhou.localhost:{back.port}"
    return [
        "init",
        "--output",
        str(Path(folder) / "made.toml"),
        "--caller-dialect",
        "s3",
        "--target-dialect",
        "cos",
        "--endpoint",
        host,
        "--bucket",
        BUCKET,
        "--access-key",
        servers.TARGET_KEY,
        "--secrets",
        "file",
        *more,
    ]


def init_serves(binary, running):
    """A configuration from init is valid, passes the doctor, and works."""
    back, _ = with_bucket(running, binary, "cos")
    port, admin = servers.free_ports(2)
    with tempfile.TemporaryDirectory() as folder:
        path, secret = Path(folder) / "made.toml", Path(folder) / "made.app.secret"
        code, out, err = run(
            binary, *flags(back, folder, "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}")
        )
        assert code == 0, err
        for step in (
            "export COS_SECRET=",
            f"blobfish check {path}",
            f"blobfish doctor --config {path}",
            f"blobfish serve --config {path}",
        ):
            assert step in out, (step, out)
        hidden = secret.read_text().strip()
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600 and len(hidden) == 40
        assert hidden not in out + err + path.read_text(), "the secret is in its own file only"
        written = tomllib.loads(path.read_text())
        assert written["target"][0]["region"] == "ap-guangzhou", "the region is taken from the endpoint's host name"
        assert written["caller"][0]["grants"] == [{"buckets": [BUCKET], "access": "read-write"}]
        assert "# " in path.read_text()
        assert run(binary, "check", str(path))[0] == 1, "the variable is not set yet"
        env = {"COS_SECRET": servers.TARGET_SECRET}
        assert run(binary, "check", str(path), **env)[1] == VALID
        assert run(binary, "doctor", "--config", str(path), **env)[0] == 0
        with start_proxy(binary, running, path, port, admin, env):
            client = Boto3(port, written["caller"][0]["access_key"], hidden)
            client.put(BUCKET, "through", b"the new configuration")
            assert client.get(BUCKET, "through")["body"] == b"the new configuration"
            assert "through" in back.ask("GET", f"/objects/{BUCKET}")
            expect_error(403, client.create_bucket, "another-1250000000")


@contextlib.contextmanager
def start_proxy(binary, running, path, port, admin, env):
    """Starts a proxy with a configuration from init."""
    with (Path(path).parent / "log").open("w") as log:
        child = subprocess.Popen(
            [binary, "serve", "--config", str(path)], stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **env}
        )
    process = servers.Process(child, "", port, admin=admin)
    running.started.append(process)
    servers.wait_for(lambda: servers.ready(process), 20, "the proxy that init configured")
    yield
    process.stop()


def init_pairs(binary, running):
    """For each caller dialect and target, init writes a valid configuration. Two of them are tested with the vendors' SDKs."""
    targets = {
        "s3": ["--profile", "aws", "--region", "eu-west-1"],
        "jdcloud": ["--region", "cn-north-1"],
        "cos": ["--region", "ap-guangzhou"],
        "oss": ["--region", "cn-hangzhou"],
    }
    for caller in ("s3", "jdcloud", "cos", "oss"):
        for target, place in targets.items():
            with tempfile.TemporaryDirectory() as folder:
                code, _, err = run(
                    binary,
                    "init",
                    "--caller-dialect",
                    caller,
                    "--target-dialect",
                    target,
                    *place,
                    "--bucket",
                    "photos-1250000000=photos",
                    "--bucket",
                    "films-*",
                    "--access-key",
                    "K",
                    "--secret-env",
                    "STORE_SECRET",
                    folder=folder,
                )
                assert code == 0, (caller, target, err)
                code, out, err = run(
                    binary, "check", "blobfish.toml", folder=folder, STORE_SECRET="x", BLOBFISH_APP_SECRET="y"
                )
                assert (code, out) == (0, VALID), (caller, target, err)
                made = tomllib.loads((Path(folder) / "blobfish.toml").read_text())
                assert made["listen"]["dialect"] == {"jdcloud": "s3"}.get(caller, caller)
                assert [(row["name"], row.get("target_bucket")) for row in made["bucket"]] == [
                    ("photos-1250000000", "photos"),
                    ("films-*", None),
                ]
                assert made["caller"][0]["grants"] == [
                    {"buckets": ["photos-1250000000", "films-*"], "access": "read-write"}
                ]
    for client, kind, secrets, endpoint in (
        (CosPython, "oss", "literal", "http://oss-cn-hangzhou.localhost:{}"),
        (Oss2V4, "seaweedfs", "env", "http://127.0.0.1:{}"),
    ):
        back, other = with_bucket(running, binary, kind, "doctor-there")
        port, admin = servers.free_ports(2)
        with tempfile.TemporaryDirectory() as folder:
            key = Path(folder) / "key"
            key.write_text(servers.TARGET_SECRET)
            key.chmod(0o600)
            place = ["--region", "us-east-1"] if kind == "seaweedfs" else []
            code, out, err = run(
                binary,
                "init",
                "--caller-dialect",
                client.dialect,
                "--target-dialect",
                kind,
                "--endpoint",
                endpoint.format(back.port),
                *place,
                "--bucket",
                f"{BUCKET}=doctor-there",
                "--access-key",
                servers.TARGET_KEY,
                "--secret-file",
                str(key),
                "--secrets",
                secrets,
                "--listen",
                f"127.0.0.1:{port}",
                "--admin",
                f"127.0.0.1:{admin}",
                folder=folder,
            )
            assert code == 0, err
            path = Path(folder) / "blobfish.toml"
            app = tomllib.loads(path.read_text())["caller"][0]
            if secrets == "literal":
                secret = app["secret_key"]
                assert stat.S_IMODE(path.stat().st_mode) == 0o600 and len(secret) == 40 and secret not in out
            else:
                secret = "what-the-operator-chose"
            with start_proxy(binary, running, path, port, admin, {"BLOBFISH_APP_SECRET": secret}):
                app = client(port, app["access_key"], secret)
                app.put(BUCKET, "through", b"the new configuration", metadata={"owner": "me"})
                assert app.get(BUCKET, "through")["body"] == b"the new configuration"
                assert other.get("doctor-there", "through")["metadata"] == {"owner": "me"}


def init_defaults(binary, running):
    """Endpoints and profiles come from the tables of the dialects."""
    cases = [
        (
            ["--target-dialect", "oss", "--region", "cn-hangzhou"],
            ("oss", None, "https://oss-cn-hangzhou.aliyuncs.com", "cn-hangzhou", "virtual"),
        ),
        (
            ["--target-dialect", "jdcloud", "--region", "cn-north-1"],
            ("s3", "jdcloud", "https://s3.cn-north-1.jdcloud-oss.com", "cn-north-1", "virtual"),
        ),
        (
            ["--target-dialect", "s3", "--profile", "aws", "--region", "eu-west-1"],
            ("s3", "aws", "https://s3.eu-west-1.amazonaws.com", "eu-west-1", "virtual"),
        ),
        (
            ["--target-dialect", "seaweedfs", "--endpoint", "http://127.0.0.1:8333", "--region", "us-east-1"],
            ("s3", "seaweedfs", "http://127.0.0.1:8333", "us-east-1", "path"),
        ),
    ]
    for words, expected in cases:
        with tempfile.TemporaryDirectory() as folder:
            code, out, err = run(
                binary,
                "init",
                "--caller-dialect",
                "oss",
                *words,
                "--bucket",
                "*",
                "--access-key",
                "K",
                "--secrets",
                "env",
                "--secret-env",
                "STORE_SECRET",
                folder=folder,
            )
            assert code == 0 and os.listdir(folder) == ["blobfish.toml"], (err, os.listdir(folder))
            made = tomllib.loads((Path(folder) / "blobfish.toml").read_text())
            target = made["target"][0]
            assert (
                tuple(target.get(key) for key in ("dialect", "profile", "endpoint", "region", "addressing")) == expected
            ), target
            assert target["secret_key"] == {"env": "STORE_SECRET"} and made["caller"][0]["secret_key"] == {
                "env": "BLOBFISH_APP_SECRET"
            }
            assert made["listen"]["dialect"] == "oss" and "BLOBFISH_APP_SECRET" in out
            assert (
                run(binary, "check", "blobfish.toml", folder=folder, STORE_SECRET="x", BLOBFISH_APP_SECRET="y")[0] == 0
            )
    keys = set()
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            words = [
                "--caller-dialect",
                "cos",
                "--target-dialect",
                "cos",
                "--region",
                "r",
                "--bucket",
                "b",
                "--access-key",
                "K",
                "--secrets",
                "file",
            ]
            assert run(binary, "init", *words, folder=folder)[0] == 0
            made = tomllib.loads((Path(folder) / "blobfish.toml").read_text())["caller"][0]
            keys |= {made["access_key"], Path(made["secret_key"]["file"]).read_text()}
    assert len(keys) == 6, "every key is a new one"


def init_refuses(binary, running):
    """All missing flags are listed, an invalid one is named, and no file is written or replaced."""
    back = running.double("cos")
    with tempfile.TemporaryDirectory() as folder:
        code, out, err = run(binary, "init", folder=folder)
        assert code == 2 and not out
        for flag in ("--caller-dialect", "--target-dialect", "--region", "--endpoint", "--bucket", "--access-key"):
            assert flag in err, (flag, err)
        code, _, err = run(
            binary, "init", "--caller-dialect", "cos", "--target-dialect", "oss", "--bucket", "b", folder=folder
        )
        assert code == 2 and "--region" in err and "--access-key" in err and "--bucket" not in err, err
        good = flags(back, folder)
        for flag, value, status in (
            ("--endpoint", "http://host/path", 2),
            ("--bucket", "a b", 2),
            ("--target-dialect", "swift", 2),
            ("--profile", "aliyun", 2),
            ("--endpoint", "http://store.example", 1),
            ("--secret-env", "hunter2Secret", 2),
            ("--caller-dialect", "swift", 2),
            ("--conditions", "maybe", 2),
            ("--ca", "/nowhere.pem", 1),
        ):
            words = list(good)
            if flag in words:
                words[words.index(flag) + 1] = value
            else:
                words += [flag, value]
            if value == "http://store.example":
                words += ["--region", "r"]
            code, _, err = run(binary, *words)
            assert code == status and err and "hunter2" not in err and not os.listdir(folder), (flag, value, code, err)
        path, secret = Path(folder) / "made.toml", Path(folder) / "made.app.secret"
        path.write_text("mine")
        code, _, err = run(binary, *good)
        assert code == 1 and "--force" in err and path.read_text() == "mine" and not secret.exists()
        path.unlink()
        secret.symlink_to(Path(folder) / "elsewhere")
        assert run(binary, *good)[0] == 1 and not path.exists()
        path.write_text("mine")
        assert run(binary, *good, "--force")[0] == 0
        assert (
            "[[target]]" in path.read_text() and not secret.is_symlink() and not (Path(folder) / "elsewhere").exists()
        )
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def talk(binary, folder, lines):
    """Types lines on a terminal, one for each question. Returns the exit code and the screen."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execv(binary, [binary, "init"])
    screen, lines = "", list(lines)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.5)[0]:
            continue
        try:
            piece = os.read(terminal, 65536).decode()
        except OSError:
            break
        screen += piece
        if lines and screen.endswith(": "):
            os.write(terminal, (lines.pop(0) + "\n").encode())
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), screen


def init_asks(binary, running):
    with tempfile.TemporaryDirectory() as folder:
        code, screen = talk(
            binary, folder, ["cos", "swift", "oss", "cn-hangzhou", "", "photos", "LTAIEXAMPLE", "", "somewhere", "file"]
        )
        assert code == 0, screen
        assert (
            "available: s3, " in screen
            and "available: env, file, literal" in screen
            and "[https://oss-cn-hangzhou.aliyuncs.com]" in screen
        ), screen
        assert "Next:" in screen
        made = tomllib.loads((Path(folder) / "blobfish.toml").read_text())
        assert made["listen"]["dialect"] == "cos" and made["bucket"][0]["name"] == "photos"
        assert made["target"][0]["endpoint"] == "https://oss-cn-hangzhou.aliyuncs.com"
        assert made["target"][0]["access_key"] == "LTAIEXAMPLE" and made["target"][0]["secret_key"] == {
            "env": "OSS_SECRET"
        }
        assert Path(made["caller"][0]["secret_key"]["file"]).read_text().strip() not in screen
        assert run(binary, "check", "blobfish.toml", folder=folder, OSS_SECRET="x")[0] == 0
    with tempfile.TemporaryDirectory() as folder:
        code, screen = talk(binary, folder, ["x"] * 5)
        assert code == 1 and "no valid input" in screen and not os.listdir(folder), screen
        code, screen = talk(binary, folder, ["cos", "\x04"])
        assert code == 1 and not os.listdir(folder), screen


def command_line(binary, running):
    """Every command has examples, completions work, and the version names the commit or "unknown"."""
    code, out, _ = run(binary, "--help")
    commands = re.findall(r"^  ([a-z]+) ", out.split("Commands:")[1].split("Options:")[0], re.M)
    assert code == 0 and {"serve", "check", "init", "doctor", "explain", "losses", "completions"} < set(commands), out
    for command in set(commands) - {"help"}:
        code, out, _ = run(binary, command, "--help")
        assert code == 0 and f"Examples:\n  blobfish {command}" in out, out
    scripts = {}
    for shell in ("bash", "zsh", "fish"):
        code, scripts[shell], _ = run(binary, "completions", shell)
        assert code == 0 and all(command in scripts[shell] for command in commands), shell
        if shutil.which(shell):
            subprocess.run([shell, "-n"], input=scripts[shell], text=True, check=True)
    for words, expected in (
        (["blobfish", "do"], ["doctor"]),
        (["blobfish", "doctor", "--ta"], ["--target"]),
        (["blobfish", "completions", "f"], ["fish"]),
        (["blobfish", "nonsen"], []),
    ):
        script = (
            f"{scripts['bash']}\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}\n"
            f'_blobfish blobfish {words[-1]} {words[-2]}; echo "${{COMPREPLY[@]}}"'
        )
        done = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=True)
        assert done.stdout.split() == expected, (words, done)
    assert run(binary, "completions", "tcl")[0] == 2 and run(binary, "nonsense")[0] == 2
    assert re.fullmatch(r"blobfish \d+\.\d+\.\d+ \(([0-9a-f]{12}|unknown)\)\n", run(binary, "--version")[1])
    source = servers.TESTS.parent / "proxy"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["rustc", "--edition", "2024", "-o", f"{folder}/build", source / "build.rs"], check=True)
        env = {name: value for name, value in os.environ.items() if name != "BLOBFISH_COMMIT"}

        def commit(where, **more):
            output = subprocess.run(
                [f"{folder}/build"], cwd=where, env={**env, **more}, capture_output=True, text=True, check=True
            ).stdout
            return output.split("BLOBFISH_COMMIT=")[-1].strip()

        assert commit(folder) == "unknown" and commit(folder, BLOBFISH_COMMIT="abc") == "abc"
        assert commit(source, PATH="") == "unknown"
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=source, capture_output=True, text=True)
        if head.returncode == 0:
            assert head.stdout.startswith(commit(source))
        subprocess.run(["git", "init", "-q", folder], check=True)
        subprocess.run(
            [
                "git",
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@example.com",
                "commit",
                "-q",
                "--allow-empty",
                "-m",
                "another's",
            ],
            cwd=folder,
            check=True,
        )
        assert commit(folder) == "unknown", "the history around it is another's"


ALL = [command_line, init_serves, init_pairs, init_defaults, init_refuses, init_asks]


if __name__ == "__main__":
    main(__doc__, ALL)
