"""Fixtures: a double of each vendor, and buckets in it."""

import hashlib
import sys
from pathlib import Path

import pytest

# test_doubles.py uses the clients of the proxy's suites.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "clients"))

from .signed_requests import Double, start, stop


@pytest.fixture(scope="module", params=["cos", "oss-V1", "oss-V4", "jdcloud"])
def double(request):
    vendor, _, scheme = request.param.partition("-")
    child, ports = start(vendor, "--copy-limit", str(2 << 20))
    yield Double(vendor, ports["port"], ports["control"], scheme)
    stop(child)


@pytest.fixture
def bucket(double, request):
    double.send_control("POST", "/reset", {})
    name = f"b{hashlib.md5(request.node.name.encode()).hexdigest()[:10]}-1250000000"
    assert double.ask("PUT", name).status == 200
    return name


@pytest.fixture
def versions(double, request):
    name = f"ver{hashlib.md5(request.node.name.encode()).hexdigest()[:10]}-1250000000"
    assert double.ask("PUT", name).status == 200
    return name
