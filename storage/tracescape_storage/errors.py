"""What can go wrong with a store, in words for the person who has to do something about it."""

from __future__ import annotations

import errno
from typing import Final

#: In an Arrow stream: the metadata of a last batch, without rows, that say why the answer ends here.
ERROR_KEY: Final = b"tracescape.error"


class StoreError(Exception):
    """A store cannot answer or cannot be opened. The message says what to do."""


class QueryError(StoreError):
    """A query is not one that the store runs, or it failed. The store itself goes on."""


class UnreachableError(StoreError):
    """Nothing answers where a store should be, or it broke off. To ask again later may be right."""


class StoreFullError(StoreError):
    """The disk took no more. Nothing of the batch was stored; sending it again later is right."""


class UnstorableError(StoreError):
    """The store does not take this content, however often it is asked. Nothing of the batch was stored."""


class InDoubtError(StoreError):
    """Whether the batch was stored is not known. Stored once more as the same batch, it counts once."""


def no_space_left(error: OSError) -> bool:
    """Whether the system says that a disk, a quota or a file's permitted size is used up."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
