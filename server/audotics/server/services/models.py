"""The model repository's administration: names and versions go in, the states of the versions come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from audotics.bundle.labels import STABLE
from audotics.server.errors import RefusedModelError
from audotics.server.repository.history import BY_OPERATOR, Cause
from audotics.server.repository.registry import Registry
from audotics.server.repository.status import ModelStatus
from audotics.server.repository.wishes import ModelWish
from audotics.server.services.promotion import NotPromotedError, PromotionGate
from audotics.server.services.shadow import Shadow, ShadowReport
from audotics.server.services.uninterrupted import Uninterrupted


class ModelService:
    """Lists versions and puts them in and out of service. A change goes on when its caller leaves.

    Who changes something is the `cause`, which is told with what has changed.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        uninterrupted: Uninterrupted,
        gate: PromotionGate | None = None,
        shadow: Shadow | None = None,
    ) -> None:
        """Without a `gate` any version may be promoted; without a `shadow` there is no report."""
        self._registry = registry
        self._uninterrupted = uninterrupted
        self._gate = gate
        self._shadow = shadow

    async def models(self) -> list[ModelStatus]:
        """Every model of the repository."""
        return await self._registry.models()

    async def model(self, name: str) -> ModelStatus:
        """Raises NotFoundError."""
        return await self._registry.model(name)

    def loaded_versions(self, name: str) -> list[int]:
        """Versions that can be called, lowest first; none of a model that there is not."""
        return self._registry.loaded_versions(name)

    async def load(self, name: str, version: int, *, cause: Cause = BY_OPERATOR) -> ModelStatus:
        """Raises NotFoundError, or RefusedModelError when the version does not hold; the old one then serves on."""
        return await self._uninterrupted.run(self._registry.load_version(name, version, cause=cause))

    async def unload(self, name: str, version: int, *, cause: Cause = BY_OPERATOR) -> ModelStatus:
        """Raises NotFoundError, or RefusedModelError when nothing could be served without it."""
        return await self._uninterrupted.run(self._registry.unload_version(name, version, cause=cause))

    async def unload_all(self, name: str, *, cause: Cause = BY_OPERATOR) -> ModelStatus:
        """All loaded versions at once, or none. Raises as `unload` does."""
        return await self._uninterrupted.run(self._registry.unload_model(name, cause=cause))

    async def set_label(
        self, name: str, label: str, version: int | None, *, force: bool = False, cause: Cause = BY_OPERATOR
    ) -> ModelStatus:
        """Let a label stand for a version, or with None for nothing. The label `stable` asks the promotion gate first.

        Raises NotFoundError, or RefusedModelError with what is in the way; `force` goes past the gate.
        """
        return await self._uninterrupted.run(self._set_label(name, label, version, force=force, cause=cause))

    async def configure(self, wishes: Sequence[ModelWish], *, cause: Cause = BY_OPERATOR) -> None:
        """Load and label all that is wished for of several models, or nothing of it.

        The promotion gate is asked about every `stable` before anything is done. Raises as `set_label` does.
        """
        await self._uninterrupted.run(self._configure(wishes, cause=cause))

    async def rollback(self, name: str, *, cause: Cause = BY_OPERATOR) -> ModelStatus:
        """Serve what served before. Raises NotFoundError, or RefusedModelError when nothing did."""
        return await self._uninterrupted.run(self._registry.rollback(name, cause=cause))

    def shadow_report(self) -> ShadowReport | None:
        """How the versions with the label `shadow` do; None while there are none."""
        return None if self._shadow is None else self._shadow.report()

    async def _set_label(self, name: str, label: str, version: int | None, *, force: bool, cause: Cause) -> ModelStatus:
        if label == STABLE and version is not None and self._gate is not None:
            if force:
                cause = replace(cause, reason=cause.reason or "past the promotion gate")
            else:
                try:
                    await self._gate.check(name, version, cause=cause)
                except NotPromotedError as error:
                    stays = "It stays loaded beside the one in service; `--force` promotes it all the same"
                    raise RefusedModelError(f"{error}. {stays}") from error
        return await self._registry.set_label(name, label, version, cause=cause)

    async def _configure(self, wishes: Sequence[ModelWish], *, cause: Cause) -> None:
        promoted = [(wish.name, wish.labels[STABLE]) for wish in wishes if STABLE in wish.labels]
        tried = set(promoted) - self._registry.standing().keys()
        try:
            if self._gate is not None:
                for name, version in promoted:
                    await self._gate.check(name, version, cause=cause)
            await self._registry.configure(wishes, cause=cause)
        except BaseException:
            if tried:  # the gate has loaded them
                await self._registry.release(tried, cause=replace(cause, reason="nothing was changed"))
            raise
