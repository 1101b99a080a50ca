"""The PostgreSQL source: the URL of a database goes in, a data set comes out."""

from audotics.data.loaders.postgres.connection import is_postgres_url
from audotics.data.loaders.postgres.source import load_postgres

__all__ = ["is_postgres_url", "load_postgres"]
