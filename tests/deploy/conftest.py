import os
import shutil
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
DEPLOY = ROOT / "deploy"
TOOLS = TESTS / "deploy" / ".tools"
sys.path.insert(0, str(TESTS / "clients"))


def pytest_addoption(parser):
    parser.addoption("--binary", help="the blobfish program", default=str(ROOT / "target" / "debug" / "blobfish"))


@pytest.fixture(scope="session")
def binary(request):
    path = os.path.abspath(request.config.getoption("--binary"))
    assert os.access(path, os.X_OK), f"{path} is not a program: run cargo build, or use --binary"
    return path


def program(name):
    """Finds a program that setup.sh installed, next to this file, in the virtual environment or in PATH."""
    places = [TOOLS, Path(sys.executable).parent, *os.environ.get("PATH", "").split(os.pathsep)]
    found = shutil.which(name, path=os.pathsep.join(map(str, places)))
    assert found, f"{name} is missing: run bash tests/setup.sh"
    return found
