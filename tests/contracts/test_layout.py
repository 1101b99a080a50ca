"""The layout that imports rely on: one namespace over several roots, typed packages, and a light server."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ROOTS = [REPOSITORY / name for name in ("server", "exporters", "clients", "models")]
PACKAGES = sorted(
    folder for root in ROOTS for folder in (root / "audotics").iterdir() if not folder.name.startswith(("_", "."))
)
HEAVY = ("keras", "onnx", "scipy", "tensorflow", "torch")


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
def test_no_root_hides_the_others(root: Path) -> None:
    """`audotics` is a namespace package: an __init__.py in one root would be the whole of it."""
    assert (root / "audotics").is_dir()
    assert not (root / "audotics" / "__init__.py").exists()


def test_the_wheel_holds_every_root() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]

    assert sorted(settings["targets"]["wheel"]["packages"]) == sorted(f"{root.name}/audotics" for root in ROOTS)
    assert sorted(settings["dev-mode-dirs"]) == sorted(root.name for root in ROOTS)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_every_package_says_that_it_is_typed(package: Path) -> None:
    assert (package / "__init__.py").is_file()
    assert (package / "py.typed").is_file()


def test_no_package_stands_in_two_roots() -> None:
    names = [package.name for package in PACKAGES]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("package", ["audotics.server", "audotics.features", "audotics.bundle"])
def test_what_serves_imports_no_training_framework(package: str) -> None:
    script = f"""
import importlib, pkgutil, sys
package = importlib.import_module({package!r})
names = [module.name for module in pkgutil.walk_packages(package.__path__, {package!r} + ".")]
for name in names:
    importlib.import_module(name)
print(len(names), *sorted(set({HEAVY!r}) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    count, *loaded = done.stdout.split()
    assert int(count) >= 3
    assert loaded == []
