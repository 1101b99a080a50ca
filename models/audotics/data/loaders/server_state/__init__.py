"""The database of a server: its URL goes in, what it knew at some time comes out, for training."""

from audotics.data.loaders.server_state.source import is_server_state, load_server_state
from audotics.data.loaders.server_state.state import ServerState

__all__ = ["ServerState", "is_server_state", "load_server_state"]
