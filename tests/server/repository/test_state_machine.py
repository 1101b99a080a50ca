"""Whatever operators and exporters do, in whatever order, what serves is what labels, policies and history say.

A small model of each repository model says what should serve; the registry is asked through the service that operators
call. Versions are copies, so that hundreds of histories take seconds.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from audotics.bundle.store import BundleStore
from audotics.server.errors import NotFoundError, RefusedModelError
from audotics.server.repository.registry import Registry
from audotics.server.repository.status import VersionState
from audotics.server.services.models import ModelService
from audotics.server.services.uninterrupted import Uninterrupted

TENANT_MODEL, HYBRID = "acme--ncf", "hybrid"
names = st.sampled_from([TENANT_MODEL, HYBRID])
versions = st.integers(1, 5)
labels = st.sampled_from(["stable", "canary", "shadow"])


@dataclass
class Expected:
    """One model of the repository, as its operators think of it."""

    on_disk: set[int] = field(default_factory=set)
    broken: set[int] = field(default_factory=set)
    labels: dict[str, int] = field(default_factory=dict)
    serving: int | None = None
    before: list[int] = field(default_factory=list)
    unseen: list[int] = field(default_factory=list)

    def can_load(self, version: int, loaded: set[int]) -> bool:
        return version in loaded or (version in self.on_disk and version not in self.broken)

    def serve(self, version: int, *, back: bool = False) -> None:
        if self.serving == version:
            return
        self.before = [other for other in self.before if other not in (version, self.serving)]
        if self.serving is not None and not back:
            self.before.insert(0, self.serving)
        self.serving = version

    def named(self, version: int) -> None:
        """What an operator named is where they want it, and nothing new to a look at the disk."""
        self.unseen = [other for other in self.unseen if other != version]

    def look(self) -> None:
        """Of what appeared, the newest that is whole is taken in."""
        stable = self.labels.get("stable")
        whole = [version for version in self.unseen if version not in self.broken]
        for version in whole[-1:] if stable is None else whole:
            if version > (self.serving or 0) if stable is None else version == stable:
                self.serve(version)
        self.unseen.clear()


def write_version(
    template: Path, folder: Path, *, name: str, version: int, parts: dict[str, int] | None = None
) -> None:
    """A copy of `template` as another version; by one rename, as exports appear."""
    staging = folder / ".staging"
    shutil.copytree(template, staging)
    manifest = json.loads((staging / "bundle.json").read_text())
    manifest |= {"name": name, "version": version} | ({} if parts is None else {"parts": parts})
    (staging / "bundle.json").write_text(json.dumps(manifest))
    staging.rename(folder / str(version))


class Operators(RuleBasedStateMachine):
    """`template` is the folder of a small repository. Each history has a copy of its own."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.root = Path(self.folder.name) / "repository"
        shutil.copytree(self.template, self.root)
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.expected = {TENANT_MODEL: Expected(), HYBRID: Expected(on_disk={1})}

    @initialize()
    def start(self) -> None:
        (self.root / TENANT_MODEL).mkdir()
        self.run(self.open())
        self.expected[HYBRID].serve(1)
        self.held = self.registry.snapshot

    async def open(self) -> None:
        executor, preparing = (self.stack.enter_context(ThreadPoolExecutor(threads)) for threads in (1, 4))
        self.registry = await self.stack.enter_async_context(
            Registry(BundleStore(self.root), executor=executor, preparing=preparing)
        )
        uninterrupted = await self.stack.enter_async_context(Uninterrupted())
        self.models = ModelService(registry=self.registry, uninterrupted=uninterrupted)
        await self.registry.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def loaded(self, name: str) -> set[int]:
        states = (VersionState.LOADED, VersionState.IN_SERVICE)
        return {each.version for each in self.run(self.registry.model(name)).versions if each.state in states}

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()

    @rule(name=names, whole=st.booleans(), seen=st.booleans())
    def an_export_appears(self, name: str, whole: bool, seen: bool) -> None:
        """Before the next rule or only some time later the registry looks at the disk."""
        expected = self.expected[name]
        version = max([0, *expected.on_disk, *expected.broken]) + 1
        if name == HYBRID:
            write_version(self.template / "ncf" / "1", self.root / "ncf", name="ncf", version=version)
            parts = {"collaborative": 1, "content": 1, "ncf": version}
            write_version(self.template / name / "1", self.root / name, name=name, version=version, parts=parts)
            damaged = self.root / "ncf" / str(version)
        else:
            write_version(self.template / "ncf" / "1", self.root / name, name=name, version=version)
            damaged = self.root / name / str(version)
        expected.on_disk.add(version)
        if not whole:
            (damaged / "model.onnx").write_bytes(b"")
            expected.broken.add(version)
        expected.unseen.append(version)
        if seen:
            self.look()

    def look(self) -> None:
        self.run(self.registry.follow())
        self.run(self.registry.settled())
        for expected in self.expected.values():
            expected.look()

    @rule(name=names, version=versions)
    def load(self, name: str, version: int) -> None:
        expected, loaded = self.expected[name], self.loaded(name)
        change = self.models.load(name, version)
        if self.changes(change, expected.can_load(version, loaded), missing=version not in expected.on_disk):
            expected.named(version)
            if expected.labels.get("stable", version) == version:
                expected.serve(version)
            assert version in self.loaded(name)

    @rule(name=names, version=versions)
    def unload(self, name: str, version: int) -> None:
        expected, loaded = self.expected[name], self.loaded(name)
        may = version in loaded and version not in expected.labels.values()
        gone = version not in loaded and version not in expected.on_disk
        if self.changes(self.models.unload(name, version), may, missing=gone) and expected.serving == version:
            expected.serving = None

    @rule(name=names, label=labels, version=versions)
    def set_label(self, name: str, label: str, version: int) -> None:
        expected, loaded = self.expected[name], self.loaded(name)
        may = version in expected.on_disk and expected.can_load(version, loaded)
        change = self.models.set_label(name, label, version)
        if self.changes(change, may, missing=version not in expected.on_disk):
            expected.named(version)
            expected.labels[label] = version
            if label == "stable":
                expected.serve(version)

    @rule(name=names, label=labels)
    def take_label_away(self, name: str, label: str) -> None:
        self.run(self.models.set_label(name, label, None))
        self.expected[name].labels.pop(label, None)

    @rule(name=names)
    def roll_back(self, name: str) -> None:
        expected, loaded = self.expected[name], self.loaded(name)
        older = [each for each in expected.on_disk if expected.serving is None or each < expected.serving]
        candidates = [*expected.before, *sorted(older, reverse=True)]
        possible = [each for each in candidates if expected.can_load(each, loaded)]
        if self.changes(self.models.rollback(name), bool(possible), missing=False):
            expected.serve(possible[0], back=True)
            expected.labels["stable"] = possible[0]

    @rule(name=names, label=labels, version=versions)
    def another_process_writes_a_label(self, name: str, label: str, version: int) -> None:
        expected, loaded = self.expected[name], self.loaded(name)
        if version not in expected.on_disk:
            return
        changed = expected.labels.get(label) != version
        BundleStore(self.root).set_label(name, label, version)
        expected.labels[label] = version
        self.look()
        if changed and label == "stable" and expected.can_load(version, loaded):
            expected.serve(version)

    @precondition(lambda self: self.expected[HYBRID].serving is not None)
    @rule()
    def a_request_begins(self) -> None:
        self.held = self.registry.snapshot

    @rule()
    def the_registry_looks(self) -> None:
        self.look()

    def changes(self, change: Coroutine[Any, Any, Any], may: bool, *, missing: bool) -> bool:
        """Whether the change happened, which it has to where it `may`. One that is refused leaves all as it was."""
        before = self.registry.standing()
        if may:
            self.run(change)
            return True
        with pytest.raises(NotFoundError if missing else RefusedModelError):
            self.run(change)
        assert self.registry.standing() == before
        return False

    @invariant()
    def what_serves_is_what_should(self) -> None:
        for name, expected in self.expected.items():
            serving = [
                version for (model, version), serves in self.registry.standing().items() if model == name and serves
            ]
            assert serving == ([] if expected.serving is None else [expected.serving]), name

    @invariant()
    def labels_are_those_on_disk(self) -> None:
        for name, expected in self.expected.items():
            assert BundleStore(self.root).labels(name) == expected.labels
            if expected.on_disk:
                assert self.run(self.registry.model(name)).labels == expected.labels

    @invariant()
    def what_is_labelled_or_served_before_is_loaded(self) -> None:
        for name, expected in self.expected.items():
            loaded = self.loaded(name) if expected.on_disk else set()
            assert {version for version in expected.labels.values() if version not in expected.broken} <= loaded

    @invariant()
    def a_hybrid_serves_with_its_parts(self) -> None:
        serving = self.expected[HYBRID].serving
        if serving is not None:
            assert dict(self.registry.snapshot.model_versions)["ncf"] == serving
            assert self.registry.snapshot.degraded == ()

    @invariant()
    def requests_finish_on_what_they_began_with(self) -> None:
        content = self.held.content
        assert content is not None
        assert len(content.nearest(content.vectors(np.asarray([3])), 5)[1][0]) == 5

    @invariant()
    def a_restart_serves_the_stable_versions(self) -> None:
        stable = {
            name: expected.labels["stable"]
            for name, expected in self.expected.items()
            if expected.labels.get("stable") in expected.on_disk - expected.broken
        }

        async def serving() -> dict[str, bool]:
            with ThreadPoolExecutor(1) as executor:
                async with Registry(BundleStore(self.root), executor=executor) as registry:
                    await registry.start()
                    return {name: registry.standing().get((name, version), False) for name, version in stable.items()}

        if stable and self.registry is not None:
            assert all(self.run(serving()).values())


def test_what_serves_is_what_labels_policies_and_history_say(repository_template) -> None:
    class Histories(Operators):
        template = repository_template.path

    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=12,
            stateful_step_count=12,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
