"""Every service stands alone: contracts, chassis, the two kits and one service are all it needs."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from deploy.services import modules

ROOT = Path(__file__).parents[2]
BELOW = ("contracts", "chassis", "rulekit", "streamkit")
IMPORT = """
import importlib, sys
service = importlib.import_module(sys.argv[1]).service
others = [m for m in sys.modules if m.startswith("services.") and not m.startswith(sys.argv[2]) and m != "services"]
assert not others, others
assert "deploy" not in sys.modules and "tributary" not in sys.modules
from chassis.service import SystemClock, Deps
from chassis.web import build_app
async def ready(): return {}
app = build_app(service.title, [service.router(Deps(None, SystemClock(), b"", None))], ready)
assert "/readyz" in app.openapi()["paths"] and service.topics()
import chassis, os
assert os.path.realpath(chassis.__file__).startswith(os.path.realpath(os.getcwd())), "not the copy"
"""


@pytest.mark.parametrize("module", modules())
def test_it_imports_and_has_an_api_alone(module: str) -> None:
    parts = module.split(".")
    with tempfile.TemporaryDirectory() as name:
        house = Path(name)
        for package in BELOW:
            shutil.copytree(ROOT / package, house / package, ignore=shutil.ignore_patterns("__pycache__"))
        folder = house.joinpath(*parts)
        folder.parent.mkdir(parents=True)
        for parent in (house / "services", folder.parent):
            (parent / "__init__.py").touch()
        shutil.copytree(ROOT.joinpath(*parts), folder, ignore=shutil.ignore_patterns("__pycache__"))
        environment = {**os.environ, "PYTHONPATH": str(house)}
        command = [sys.executable, "-c", IMPORT, module, ".".join(parts[:2])]
        done = subprocess.run(command, cwd=house, env=environment, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
