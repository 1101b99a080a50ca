"""What there is of models, on disk and loaded: a name goes in, its versions with what became of each come out.

All of it reads the disk, for the manifests of versions that are not loaded, so it is for a thread that may block.
"""

from __future__ import annotations

from collections.abc import Callable

from audotics.bundle.store import BundleStore
from audotics.bundle.tenants import tenant_of
from audotics.server.errors import NotFoundError
from audotics.server.repository.loader import Loader
from audotics.server.repository.state import State
from audotics.server.repository.status import ModelStatus, model_status


class Overview:
    """Looks at a repository, and at what a server has loaded of it."""

    def __init__(self, store: BundleStore, loader: Loader, *, state: Callable[[], State]) -> None:
        """`state` says what is loaded now."""
        self._store = store
        self._loader = loader
        self._state = state

    def check(self, name: str) -> None:
        """Raises NotFoundError."""
        names = self._names()
        if name not in names and name not in self._loaded():
            seen = [each for each in names if tenant_of(each) in ("", tenant_of(name))]  # no other tenant's
            raise NotFoundError("model", [name], hint=f"the repository has: {', '.join(seen) or 'none'}")

    def model(self, name: str) -> ModelStatus:
        """One that is there."""
        state = self._state()
        return model_status(
            self._store,
            name,
            in_service=state.serving.get(name),
            loaded={each: loaded for (model, each), loaded in state.loaded.items() if model == name},
            refused=self._loader.refused,
            labels=state.labels.get(name, {}),
        )

    def models(self) -> list[ModelStatus]:
        """Every model that has a version on disk or loaded, by name."""
        names = sorted({*self._names(), *self._loaded()})
        return [status for status in map(self.model, names) if status.versions]

    def _names(self) -> list[str]:
        """Models on disk; those that are loaded while the repository cannot be listed."""
        try:
            return self._store.models()
        except OSError:
            return sorted(self._loaded())

    def _loaded(self) -> set[str]:
        """Models with a version that is loaded, be it in service or not; the catalogue among them."""
        state = self._state()
        return {*state.serving, *(name for name, _ in state.loaded)}
