"""Checks the dependencies that the binary is built from against deny.toml: licences, sources, versions that exist twice, and the
Rust version that they need. usage: dependencies.py"""
import collections
import json
import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).parent.parent
TARGETS = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"


def version(text):
    return tuple(int(part) for part in text.split(".")[:2])


def is_allowed(expression, allowed):
    """Whether a licence expression can be met with the allowed licences: `OR` takes one of them, `AND` needs all."""
    expression = expression.replace("/", " OR ")
    if "(" in expression:
        inner = re.search(r"\(([^()]*)\)", expression)
        return is_allowed(expression.replace(inner[0], "MIT" if is_allowed(inner[1], allowed) else "none"), allowed)
    if " AND " in expression:
        return all(is_allowed(part, allowed) for part in expression.split(" AND "))
    return any(part.strip() in allowed for part in re.split(r"\s+OR\s+", expression))


def list_linked(metadata, target):
    """The packages that are built for a target: normal and build dependencies. This uses `cargo tree`, because the graph of `cargo
    metadata` also has optional packages that only a weak feature (`name?/feature`) mentions."""
    command = ["cargo", "tree", "--locked", "--workspace", "--edges", "normal,build", "--target", target, "--prefix", "none"]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    names = {tuple(line.split()[:2]) for line in lines if line.strip()}
    return [package["id"] for package in metadata["packages"] if (package["name"], "v" + package["version"]) in names]


def main():
    policy = tomllib.loads((ROOT / "deny.toml").read_text())
    allowed = set(policy["licenses"]["allow"])
    skipped = {(row["crate"] if isinstance(row, dict) else row) for row in policy["bans"]["skip"]}
    problems, names, sources = [], collections.defaultdict(set), collections.defaultdict(set)
    for target in TARGETS:
        command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
        metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)
        packages = {package["id"]: package for package in metadata["packages"]}
        own = {packages[package]["name"]: packages[package] for package in metadata["workspace_members"]}
        rust = version(own["blobfish"]["rust_version"])
        for identity in list_linked(metadata, target):
            package = packages[identity]
            label = f"{package['name']} {package['version']}"
            names[package["name"]].add(package["version"])
            if not is_allowed(package["license"] or "none", allowed):
                problems.append(f"{label}: licence {package['license']} is not in deny.toml")
            sources[package["source"]].add(label)
            if package["rust_version"] and version(package["rust_version"]) > rust:
                problems.append(f"{label}: needs Rust {package['rust_version']}, our rust-version is {own['blobfish']['rust_version']}")
    for name, versions in sorted(names.items()):
        if len(versions) > 1 and name not in skipped:
            problems.append(f"{name}: {', '.join(sorted(versions))} are all linked and deny.toml does not list it")
    for name in sorted(skipped - {name for name, versions in names.items() if len(versions) > 1}):
        problems.append(f"deny.toml: {name} is listed as a duplicate and is none")
    # Our own crates have no source. All others come from one registry; a git repository or a second registry is a mistake.
    registries = [source for source in sources if source and source.startswith("registry+")]
    for source in sources:
        if source and (source not in registries or len(registries) > 1):
            problems.append(f"{', '.join(sorted(sources[source])[:3])}: from {source}")
    for problem in sorted(set(problems)):
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
