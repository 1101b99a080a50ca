"""Typed clients: sync and asyncio faces over one shared core."""
