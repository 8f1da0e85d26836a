"""`blobfish check` accepts every configuration in deploy/, and rejects it with an error in it."""

import json
import re
import subprocess
import tomllib

import jsonschema
import pytest
import yaml
from conftest import DEPLOY, program

SAMPLES = sorted((DEPLOY / "samples").glob("*.toml"))
SECRETS = "/run/secrets/blobfish"


def run_check(binary, text, folder):
    """Runs `blobfish check` on a text, with its secrets in environment variables and in files of the test's directory."""
    secrets = folder / "secrets"
    secrets.mkdir(exist_ok=True)
    for name in re.findall(rf'file = "{SECRETS}/([^"]+)"', text):
        (secrets / name).write_text("a-secret\n")
        (secrets / name).chmod(0o440)
    environment = {name: "a-secret" for name in re.findall(r'env = "([^"]+)"', text)}
    path = folder / "blobfish.toml"
    path.write_text(text.replace(SECRETS, str(secrets)))
    return subprocess.run([binary, "check", str(path)], env=environment, capture_output=True, text=True, timeout=60)


def rendered_config():
    words = ["template", "blobfish", str(DEPLOY / "chart" / "blobfish"), "--show-only", "templates/configmap.yaml"]
    done = subprocess.run([program("helm"), *words], check=True, capture_output=True, text=True)
    return yaml.safe_load(done.stdout)["data"]["blobfish.toml"]


TEXTS = {**{path.name: path.read_text for path in SAMPLES},
         "compose": (DEPLOY / "compose" / "blobfish.toml").read_text, "chart": rendered_config}


@pytest.mark.parametrize("name", TEXTS)
def test_configurations_are_valid(binary, tmp_path, name):
    text = TEXTS[name]()
    assert re.search(r"secret_key = \{", text), "secrets come from elsewhere"
    assert not re.search(r'secret_key = "', text), "no secret stands in a file of the project"
    done = run_check(binary, text, tmp_path)
    assert (done.returncode, done.stdout) == (0, "The configuration is valid.\n"), done.stderr


@pytest.mark.parametrize("name", TEXTS)
def test_configurations_match_the_schema(name):
    schema = json.loads((DEPLOY.parent / "docs" / "blobfish.schema.json").read_text())
    jsonschema.validate(tomllib.loads(TEXTS[name]()), schema)


@pytest.mark.parametrize("name", TEXTS)
def test_an_error_is_detected(binary, tmp_path, name):
    done = run_check(binary, TEXTS[name]().replace("dialect = \"", "dialect = \"x", 1), tmp_path)
    assert done.returncode == 1 and "dialect" in done.stderr


def test_plain_http_outside_loopback_is_configured(binary, tmp_path):
    done = run_check(binary, TEXTS["compose"]().replace("insecure = true", ""), tmp_path)
    assert done.returncode == 1 and "insecure" in done.stderr


def test_every_migration_has_a_sample_and_a_guide():
    guides = {path.stem for path in (DEPLOY.parent / "docs" / "guides").glob("*.md")}
    assert guides == {path.stem for path in SAMPLES} - {"two-targets"} and len(guides) == 4
