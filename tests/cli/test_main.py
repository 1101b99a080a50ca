"""The command itself: help, version, lazy imports, and packages that are not installed."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

COMMANDS = ["demo", "features", "data", "train", "evaluate", "export", "serve", "recommend", "similar", "models"]
HEAVY = {"torch", "tensorflow", "keras", "onnxruntime", "faiss", "numpy", "scipy", "pyarrow", "sqlalchemy", "grpc"}


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `script` in a fresh interpreter, which sees `arguments` as its command line."""
    return subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)


def run_without(package: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line where importing `package` fails as it does when it is not installed."""
    script = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from audotics.cli.main import main
main()
"""
    return run(script, *arguments)


def test_help_lists_every_command_and_imports_none(audotics):
    script = """
import sys
from audotics.cli.main import main
try:
    main()
finally:
    print("LOADED", *{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""
    done = run(script, "--help")

    assert done.returncode == 0
    assert all(f" {command} " in done.stdout for command in COMMANDS)
    loaded = set(done.stderr.split("LOADED")[1].split())
    assert "typer" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("command", ["recommend", "similar", "models", "train", "features", "data"])
def test_each_command_has_its_help(audotics, command):
    result = audotics(command, "--help")

    assert result.exit_code == 0
    assert f"Usage: audotics {command}" in result.stdout


def test_brackets_in_a_help_text_are_shown(audotics):
    words = " ".join(audotics("recommend", "--help").stdout.replace("│", " ").split())

    assert "1 by difference alone. [default: the server's]" in words


def test_version():
    done = run("from audotics.cli.main import main; main()", "--version")

    assert (done.returncode, done.stdout) == (0, f"audotics {version('audotics')}\n")


def test_a_misspelt_command_gets_a_suggestion(audotics):
    result = audotics("recomend")

    assert result.exit_code == 2
    assert "Did you mean 'recommend'?" in result.stderr


@pytest.mark.parametrize(("package", "extra"), [("typer", "server,cpu"), ("rich", "server,cpu")])
def test_a_missing_package_names_its_extra(package, extra):
    done = run_without(package, "recommend", "u1")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: this command needs {package}, which is not installed: pip install 'audotics[{extra}]'\n"
    )


def test_a_module_that_no_extra_brings_is_a_defect_and_shows_itself():
    done = run_without("json", "recommend", "u1")

    assert done.returncode == 1
    assert "ModuleNotFoundError" in done.stderr


def test_a_demo_that_has_no_folder_says_so(audotics, tmp_path):
    (tmp_path / "file").write_text("")
    for output, reason in (("file", "File exists"), ("file/demo", "Not a directory")):
        result = audotics("demo", "--output", str(tmp_path / output))
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == f"error: {tmp_path / output}: cannot be made ({reason}); choose another --output\n"
