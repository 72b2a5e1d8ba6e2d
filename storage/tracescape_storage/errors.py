"""What can go wrong with a store, in words for the person who has to do something about it."""

from __future__ import annotations


class StoreError(Exception):
    """A store cannot answer or cannot be opened. The message says what to do."""


class QueryError(StoreError):
    """A query is not one that the store runs, or it failed. The store itself goes on."""


class StoreFullError(StoreError):
    """The disk took no more. Nothing of the batch was stored; sending it again later is right."""
