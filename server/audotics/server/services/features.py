"""`GetListenerFeatures`: a user's id goes in, the features of what is known of them now come out."""

from __future__ import annotations

from audotics.features.listener_features import ListenerFeatures
from audotics.server.repository.registry import Registry
from audotics.server.services.listeners import Listeners


class FeatureService:
    """Reads features from the state that lists are made from."""

    def __init__(self, *, registry: Registry, listeners: Listeners) -> None:
        self._registry = registry
        self._listeners = listeners

    async def features(self, user_id: str) -> ListenerFeatures:
        """Those of a stranger are empty. Raises StorageError, NotReadyError."""
        return await self._listeners.features(user_id, self._registry.snapshot)
