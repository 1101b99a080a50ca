"""The repository on disk: bundles are written by one atomic rename and read back only when every checksum holds.

Beside its versions, a model's folder holds their labels and what runs them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from audotics.bundle.errors import BundleCorruptError, BundleError, BundleNotFoundError
from audotics.bundle.labels import LABELS_FILE, format_labels, is_label, parse_labels
from audotics.bundle.manifest import MANIFEST_FILE, FileRecord, Manifest
from audotics.bundle.runtime import RUNTIME_FILE, RuntimeChoice, parse_runtime
from audotics.bundle.text_file import read_text_file

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_MOST_SETTINGS_BYTES = 1024 * 1024
"""Of `labels.json` and `runtime.json`: 64 labels take 4 KiB."""

_COUNTER = ".last-version"
"""Outlives the versions themselves, so that a deleted one's number is not given again."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle: its folder and its manifest."""

    path: Path
    manifest: Manifest

    def file(self, name: str) -> Path:
        """Path of a file that the manifest lists. Raises BundleCorruptError when it does not."""
        if name not in self.manifest.files:
            raise BundleCorruptError(f"{self}: has no file {name!r}; export the model again")
        return self.path / name

    def __str__(self) -> str:
        return f"{self.manifest.name}/{self.manifest.version}"


class BundleStore:
    """Reads and writes the folders `<root>/<model>/<version>/`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def models(self) -> list[str]:
        """Names of the folders that can hold a model, sorted; empty when the repository does not exist.

        Raises OSError when it cannot be listed.
        """
        return sorted(name for name in _folders(self.root) if _NAME.fullmatch(name))

    def versions(self, name: str) -> list[int]:
        """Versions on disk, whole or not, lowest first. Folders whose name is not a positive integer do not count.

        Raises OSError when the model's folder cannot be listed.
        """
        return sorted(int(entry) for entry in _folders(self._model_folder(name)) if _VERSION.fullmatch(entry))

    def signature(self, name: str, version: int) -> object:
        """Something that differs once a file of the version is added, removed, replaced or written to."""
        folder = self._model_folder(name) / str(version)
        found = []
        for path in _files(folder):
            try:
                status = path.lstat()
            except OSError:  # it went away in between
                continue
            found.append((path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns))
        return tuple(found)

    def open(self, name: str, version: int) -> Bundle:
        """Verify every file against the manifest and return the bundle.

        Raises BundleNotFoundError, or BundleCorruptError with the first file that does not hold.
        """
        path = self._model_folder(name) / str(version)
        where = f"{name}/{version}"
        if not path.is_dir():
            known = ", ".join(str(v) for v in self.versions(name)) or "none"
            raise BundleNotFoundError(f"{where}: no such version in {self.root}; versions of {name!r} on disk: {known}")
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise BundleCorruptError(
                f"{where}: its folder is reached through a symbolic link that leads out of the repository; copy it in"
            )
        manifest_path = path / MANIFEST_FILE
        if manifest_path.is_symlink() or not manifest_path.is_file():
            raise BundleCorruptError(f"{where}: {MANIFEST_FILE} is missing, so the export did not finish; export again")
        manifest = Manifest.from_json(read_text_file(manifest_path, where=where), where=where)
        if (manifest.name, manifest.version) != (name, version):
            raise BundleCorruptError(
                f"{where}: its manifest is that of {manifest.name}/{manifest.version}; do not rename or copy bundles"
            )
        _verify(path, manifest, where)
        return Bundle(path, manifest)

    @contextmanager
    def write(self, manifest: Manifest) -> Iterator[Path]:
        """Give a folder to write the files of `manifest` into; publish it when the block ends without an error.

        `manifest.version` must come from `next_version`. Files are checksummed, synced to disk, and appear by one
        rename. After an error nothing is left behind. Raises BundleError when the version, or a higher one, exists
        by then.
        """
        folder = self._model_folder(manifest.name)
        folder.mkdir(parents=True, exist_ok=True)
        staging = folder / f".staging-{manifest.version}-{uuid4().hex}"
        staging.mkdir()
        try:
            yield staging
            files = {path.relative_to(staging).as_posix(): _record(path) for path in _files(staging)}
            (staging / MANIFEST_FILE).write_text(replace(manifest, files=files).to_json(), "utf-8")
            for path in [*_files(staging), *(p for p in staging.rglob("*") if p.is_dir()), staging]:
                _sync(path)
            with _locked(folder):
                if manifest.version < self.next_version(manifest.name):
                    raise BundleError(
                        f"{manifest.name}/{manifest.version} exists already or did once; versions are never reused"
                    )
                self._note_last_version(folder, manifest.version)
                staging.rename(folder / str(manifest.version))
                _sync(folder)
            _sync(self.root)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def labels(self, name: str) -> dict[str, int]:
        """The model's labels with the version that each stands for; empty without any. Raises BundleCorruptError."""
        try:
            text = read_text_file(self._model_folder(name) / LABELS_FILE, where=name, most_bytes=_MOST_SETTINGS_BYTES)
        except FileNotFoundError:
            return {}
        return parse_labels(text, where=name)

    def set_label(self, name: str, label: str, version: int | None) -> dict[str, int]:
        """Let `label` stand for `version` from now on, or for nothing where it is None; return all labels.

        The file is replaced by one rename, and other writers wait meanwhile. Raises BundleNotFoundError for a version
        that is not on disk, BundleError for a name that cannot be a label, or when the file cannot be written.
        """
        folder = self._model_folder(name)
        if not is_label(label):
            raise BundleError(
                f"{name}: {label!r} is not a label: lower-case letters, digits, '-' and '_', a letter first, up to 32"
            )
        try:
            self._check_labelled(folder, name, version)
            with _locked(folder):
                labels = self.labels(name)
                if version is None:
                    labels.pop(label, None)
                else:
                    labels[label] = version
                partial = folder / f".{LABELS_FILE}.partial"
                try:
                    partial.write_text(format_labels(labels), "utf-8")
                    _sync(partial)
                    partial.replace(folder / LABELS_FILE)
                finally:
                    partial.unlink(missing_ok=True)
                _sync(folder)
        except OSError as error:
            raise BundleError(
                f"{name}: {LABELS_FILE} cannot be written ({type(error).__name__}); check the repository's rights and "
                "the free space"
            ) from error
        return labels

    def runtime(self, name: str) -> RuntimeChoice | None:
        """What the operator chose to run the model; None where nothing is chosen. Raises BundleCorruptError."""
        try:
            text = read_text_file(self._model_folder(name) / RUNTIME_FILE, where=name, most_bytes=_MOST_SETTINGS_BYTES)
        except FileNotFoundError:
            return None
        return parse_runtime(text, where=name)

    def next_version(self, name: str) -> int:
        """The lowest version above every one that this model ever had. Raises BundleError when no number is left."""
        version = 1 + self._last_version(name)
        if not _VERSION.fullmatch(str(version)):
            raise BundleError(
                f"{name}: no version can follow {version - 1}, since numbers have up to 18 digits; remove its folder "
                f"and {_COUNTER} beside it, if nobody has served it"
            )
        return version

    def _check_labelled(self, folder: Path, name: str, version: int | None) -> None:
        known = self.versions(name)
        if version is not None and version not in known:
            listed = ", ".join(map(str, known)) or "none"
            raise BundleNotFoundError(f"{name}/{version}: no such version on disk to label; there are: {listed}")
        if not folder.is_dir():
            raise BundleNotFoundError(f"{name}: no such model in the repository")
        if not folder.resolve().is_relative_to(self.root.resolve()):
            raise BundleError(f"{name}: its folder is a symbolic link that leads out of the repository; copy it in")

    def _last_version(self, name: str) -> int:
        counter = self._model_folder(name) / _COUNTER
        recorded = counter.read_text("utf-8", errors="replace").strip() if counter.is_file() else ""
        return max([int(recorded) if _VERSION.fullmatch(recorded) else 0, *self.versions(name)])

    def _note_last_version(self, folder: Path, version: int) -> None:
        partial = folder / f"{_COUNTER}.partial"
        try:
            partial.write_text(f"{version}\n", "utf-8")
            _sync(partial)
            partial.replace(folder / _COUNTER)
        finally:
            partial.unlink(missing_ok=True)

    def _model_folder(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise BundleNotFoundError(
                f"{name!r} is not a model name: lower-case letters, digits, '-' and '_', a letter first, up to 64"
            )
        return self.root / name


def _verify(path: Path, manifest: Manifest, where: str) -> None:
    present = {file.relative_to(path).as_posix() for file in _files(path)} - {MANIFEST_FILE}
    for name in sorted(present - manifest.files.keys()):
        raise BundleCorruptError(f"{where}: file {name!r} is not in its manifest; remove it or export again")
    for name, expected in manifest.files.items():
        file = path / name
        if name not in present or not (file.is_file() or file.is_symlink()):
            raise BundleCorruptError(f"{where}: file {name!r} is missing; export again")
        if any(part.is_symlink() for part in (file, *file.parents) if part.is_relative_to(path) and part != path):
            raise BundleCorruptError(f"{where}: file {name!r} is reached through a symbolic link; copy the file itself")
        if file.stat().st_size != expected.size_bytes:
            raise BundleCorruptError(
                f"{where}: file {name!r} has {file.stat().st_size} bytes, the manifest says {expected.size_bytes}; "
                "it was altered or half-written; export again"
            )
    # Last, since it takes long, and a version that is being copied in is looked at again and again.
    for name, expected in manifest.files.items():
        if _record(path / name).sha256 != expected.sha256:
            raise BundleCorruptError(f"{where}: checksum of {name!r} does not hold; it was altered; export again")


def _folders(folder: Path) -> list[str]:
    """Names of the folders in it, links to folders among them; empty where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if _is_folder(entry)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link into a folder that must not be looked into
        return False


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _record(path: Path) -> FileRecord:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileRecord(digest, path.stat().st_size)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other writers of the model out, in this process and in others on this machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
