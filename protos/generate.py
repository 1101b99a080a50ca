"""Generates the stubs of `protos/` into `clients/`; with --check, exits with 1 when committed stubs differ."""

from __future__ import annotations

import argparse
import filecmp
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent
CLIENTS = PROTOS.parent / "clients"
PACKAGE = Path("audotics/v1")


def generate(target: Path) -> None:
    """Write *_pb2.py, *_pb2.pyi and *_pb2_grpc.py of every proto file below `target`."""
    sources = sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / PACKAGE).glob("*.proto"))
    well_known = Path(protoc.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{PROTOS}", f"-I{well_known}"]
    outputs = [f"--python_out={target}", f"--pyi_out={target}", f"--grpc_python_out={target}"]
    if protoc.main([*arguments, *outputs, *sources]) != 0:
        sys.exit("protoc failed; its message stands above")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the committed stubs, write nothing")
    if not parser.parse_args().check:
        generate(CLIENTS)
        return
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = {path.name for path in (Path(folder) / PACKAGE).glob("*_pb2*")}
        committed = {path.name for path in (CLIENTS / PACKAGE).glob("*_pb2*")}
        _, differing, missing = filecmp.cmpfiles(
            Path(folder) / PACKAGE, CLIENTS / PACKAGE, sorted(fresh | committed), shallow=False
        )
    if differing or missing:
        sys.exit(f"stubs differ from protos/: {', '.join([*differing, *missing])}; run `make protos` and commit")


if __name__ == "__main__":
    main()
