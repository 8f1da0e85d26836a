"""Compares the JSON Schema of `blobfish schema` with the configuration reader: both reject the same files, and accept every
configuration in the repository. The last line has the counts."""

import argparse
import copy
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import traceback
from pathlib import Path

import jsonschema
import servers

TREE = servers.TESTS.parent
FULL = TREE / "config/examples/full.toml"
# Keys with words that are valid only together with another key.
PAIRED = {"dialect", "profile", "signing", "addressing", "credentials"}
# Keys that the first table of their list does not have.
ELSEWHERE = {"session_token", "credentials", "metadata_endpoint"}
# Pairs of keys that may be omitted only together; only the reader checks that.
TOGETHER = {
    ("caller", 0, "access_key"),
    ("caller", 0, "secret_key"),
    ("listen", "https", 0, "cert"),
    ("listen", "https", 0, "key"),
    ("target", 0, "access_key"),
    ("target", 0, "secret_key"),
    ("target", 0, "client_cert"),
    ("target", 0, "client_key"),
}


def toml(value):
    """Formats a value as TOML, with inline tables."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(below)}" for key, below in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


class Judges:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, Path(folder)
        self.text = subprocess.run([binary, "schema"], capture_output=True, text=True, check=True).stdout
        self.schema = json.loads(self.text)
        jsonschema.Draft202012Validator.check_schema(self.schema)
        self.validator = jsonschema.Draft202012Validator(self.schema)

    def valid(self, document):
        return self.validator.is_valid(document)

    def is_accepted(self, document):
        """Whether `blobfish check` accepts the configuration."""
        path = self.folder / "checked.toml"
        path.write_text("".join(f"{key} = {toml(value)}\n" for key, value in document.items()))
        done = subprocess.run([self.binary, "check", str(path)], capture_output=True, text=True)
        assert done.returncode in (0, 1) and "invalid TOML" not in done.stderr, done.stderr
        return done.returncode == 0

    def full_example(self):
        """The full example, with files that exist."""
        text = FULL.read_text()
        certificate = subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                "tls.key",
                "-out",
                "tls.crt",
                "-days",
                "2",
                "-subj",
                "/CN=a",
                "-addext",
                "subjectAltName=DNS:a",
            ],
            cwd=self.folder,
            capture_output=True,
        )
        assert certificate.returncode == 0, certificate.stderr
        (self.folder / "tls.key").chmod(0o600)
        for name, real in (
            ("tls.crt", "tls.crt"),
            ("tls.key", "tls.key"),
            ("vendor.crt", "tls.crt"),
            ("vendor.key", "tls.key"),
            ("ca.pem", "tls.crt"),
        ):
            text = text.replace(f"/etc/blobfish/{name}", str(self.folder / real))
        return tomllib.loads(text)


def generated_files_are_current(judges):
    assert (
        TREE / "docs/blobfish.schema.json"
    ).read_text() == judges.text, "run: blobfish schema > docs/blobfish.schema.json"
    printed = subprocess.run([judges.binary, "schema", "--markdown"], capture_output=True, text=True, check=True).stdout
    assert (TREE / "docs/keys.md").read_text() == printed, "run: blobfish schema --markdown > docs/keys.md"
    # The Markdown tables have every key of the schema.
    for table, schema in json.loads(judges.text)["properties"].items():
        for key in schema.get("items", schema)["properties"]:
            assert f"| `{key}` |" in re.split(rf"(?m)^## `\[+{table}\]", printed)[1].split("\n## ")[0], (table, key)


def samples_pass(judges):
    """The schema accepts every file of the repository, the examples in the documentation, and the files of the suites and init."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=TREE, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    texts = {name: (TREE / name).read_text() for name in listed if name.endswith(".toml") and (TREE / name).exists()}
    for page in [TREE / "README.md", *(TREE / "docs").glob("*.md")]:
        for at, block in enumerate(re.findall(r"```toml\n(.*?)```", page.read_text(), re.S)):
            texts[f"{page.name}, block {at}"] = block
    samples = {name: text for name, text in texts.items() if "[[target]]" in text}
    assert "config/examples/full.toml" in samples and "README.md, block 0" in samples, samples.keys()
    for kind in ("seaweedfs", "cos", "oss", "jdcloud"):
        samples[kind] = servers.configuration([servers.one_target(kind, 9)])
    for caller in ("s3", "jdcloud", "cos", "oss"):
        for target in ("s3", "jdcloud", "cos", "oss"):
            made = judges.folder / "made.toml"
            words = [
                "init",
                "--output",
                made,
                "--force",
                "--caller-dialect",
                caller,
                "--target-dialect",
                target,
                "--region",
                "cn-north-1",
                "--bucket",
                "a=b",
                "--access-key",
                "K",
                "--secrets",
                "literal",
            ]
            subprocess.run([judges.binary, *words], capture_output=True, check=True)
            samples[f"init {caller} {target}"] = made.read_text()
    for name, text in samples.items():
        errors = [error.message for error in judges.validator.iter_errors(tomllib.loads(text))]
        assert not errors, (name, errors)


def places(schema, value, path=()):
    """Iterates over the keys of the schema, each with its own schema."""
    for key, below in schema.get("properties", {}).items():
        yield (*path, key), below, schema
        if isinstance(value, dict) and key in value:
            yield from places(below, value[key], (*path, key))
    if isinstance(value, list) and value and "items" in schema:
        yield from places(schema["items"], value[0], (*path, 0))


def at(document, path):
    for step in path:
        document = document[step]
    return document


def change_value(document, path, value):
    document = copy.deepcopy(document)
    at(document, path[:-1])[path[-1]] = value
    return document


def remove_key(document, path):
    document = copy.deepcopy(document)
    at(document, path[:-1]).pop(path[-1])
    return document


def both_refuse(judges, document, why):
    assert not judges.valid(document), ("the schema accepts", why)
    assert not judges.is_accepted(document), ("the reader accepts", why)


def both_accept(judges, document, why):
    assert judges.valid(document), (
        "the schema rejects",
        why,
        [error.message for error in judges.validator.iter_errors(document)],
    )
    assert judges.is_accepted(document), ("the reader rejects", why)


def judges_agree(judges):
    """Schema and reader agree on the full example with one change, for each key and each possible change."""
    full = judges.full_example()
    both_accept(judges, full, "the full example")
    kinds = {"string": "text", "integer": 7, "boolean": True, "array": [], "object": {}}
    seen = 0
    for path, schema, parent in places(judges.schema, full):
        seen += 1
        there = path[-1] in at(full, path[:-1])
        assert there or path[-1] in ELSEWHERE, (path, "is not in the full example")
        both_refuse(judges, change_value(full, (*path[:-1], path[-1] + "_q"), 1), (path, "an unknown key"))
        types = {one["type"] for one in schema.get("anyOf", [schema])}
        for kind, value in kinds.items():
            if kind not in types:
                both_refuse(judges, change_value(full, path, value), (path, kind))
        if "enum" in schema:
            both_refuse(judges, change_value(full, path, "nonsense"), (path, "an unknown word"))
            for word in schema["enum"]:
                document = change_value(full, path, word)
                assert judges.valid(document), (path, word)
                assert path[-1] in PAIRED or judges.is_accepted(document), (path, word)
        if "minimum" in schema:
            for number in (schema["minimum"] - 1, schema["maximum"] + 1):
                if number < 2**63:
                    both_refuse(judges, change_value(full, path, number), (path, number))
            for number in (schema["minimum"], schema["maximum"]):
                both_accept(judges, change_value(full, path, number), (path, number))
        if "anyOf" in schema:
            secret = judges.folder / "secret"
            secret.write_text("hidden")
            secret.chmod(0o600)
            os.environ["BLOBFISH_SCHEMA_SECRET"] = "hidden"
            both_accept(judges, change_value(full, path, {"env": "BLOBFISH_SCHEMA_SECRET"}), (path, "env"))
            both_accept(judges, change_value(full, path, {"file": str(secret)}), (path, "file"))
            for bad in ({}, {"env": "BLOBFISH_SCHEMA_SECRET", "file": str(secret)}, {"vault": "x"}):
                both_refuse(judges, change_value(full, path, bad), (path, bad))
        if path[-1] in parent.get("required", []):
            both_refuse(judges, remove_key(full, path), (path, "missing"))
        elif there and path not in TOGETHER:
            both_accept(judges, remove_key(full, path), (path, "left out"))
    assert seen > 60, seen


ALL = [generated_files_are_current, samples_pass, judges_agree]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    binary = os.path.abspath(parser.parse_args().binary)
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        judges = Judges(binary, folder)
        for check in ALL:
            try:
                check(judges)
                print(f"passed {check.__name__}", flush=True)
                passed += 1
            except Exception:
                failed += 1
                print(f"FAILED {check.__name__}\n{traceback.format_exc()[-2400:]}", flush=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
