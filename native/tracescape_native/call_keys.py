"""What counts of calls are counts of: the numbers in a group's key and in a cell's."""

from __future__ import annotations

from typing import Final

#: What a group counts (the lowest bits of its first word).
TOTAL: Final = 0  # of everything; the words are 0
SPANS: Final = 1  # of a service
ENTRY: Final = 2  # visits of (service, operation) by SERVER, CONSUMER and kindless topmost spans
TOPMOST: Final = 3  # visits of (service, operation) by other topmost spans
EDGE: Final = 4  # calls from a node to a node
UNSENT: Final = 5  # messages from (queue, 0) that no producer is known to have sent there
#: Added to a role: how many more the same calls stand for, where spans were sampled. Such a group has no
#: exemplars.
EXTRA: Final = 8

#: What is counted of a group: durations by `buckets.bucket_code`, or plain numbers under code 0.
CLIENT_TIME: Final = 0  # of calls whose calling side sent a span
SERVER_TIME: Final = 1  # of visits, and of calls of which both sides sent spans
ALONE_TIME: Final = 2  # the serving side's, of calls whose calling side sent no span
NETWORK_TIME: Final = 3  # client minus server
DELAY: Final = 4  # consumer start minus producer end
ERRORS: Final = 5
NUMBER: Final = 6  # of TOTAL: traces; of SPANS: spans
#: Of TOTAL, as codes of measure NUMBER.
TRACES: Final = 0
ORPHANS: Final = 1
UNANSWERED: Final = 2

#: A key: ``group << GROUP_SHIFT | measure << MEASURE_SHIFT | code + OFFSET``.
GROUP_SHIFT: Final = 17
MEASURE_SHIFT: Final = 14
OFFSET: Final = 8192

#: A group's first word: ``period << (ROLE_BITS + CONNECTION_BITS) | connection << ROLE_BITS | role``; its
#: second, ``source << END_BITS | target``.
ROLE_BITS: Final = 4
CONNECTION_BITS: Final = 4
END_BITS: Final = 31
