"""How bytes ride in Flower messages: one uint8 array each way, and nothing beside it.

DESIGN.md section 5: egress emits canonical bytes, Flower carries them as one ``Array`` (so that its
own chunking applies), admission verifies those very bytes. ``num-examples`` is never sent. The only
module of this package that imports flwr.
"""

from __future__ import annotations

import numpy as np
from flwr.app import Array, ArrayRecord, Message, RecordDict

from intraward_shared.errors import ContractError

TRAIN, QUERY = "train", "query"
_RECORD, _ARRAY = "intraward", "bytes"


def content(data: bytes) -> RecordDict:
    """A record with one uint8 array."""
    return RecordDict({_RECORD: ArrayRecord({_ARRAY: Array(np.frombuffer(data, dtype=np.uint8))})})


def request(node_id: int, kind: str, data: bytes, group: str = "") -> Message:
    """A message to a node; ``kind`` is ``TRAIN`` (a ward request) or ``QUERY`` (describe)."""
    return Message(content(data), dst_node_id=node_id, message_type=kind, group_id=group)


def reply(message: Message, data: bytes) -> Message:
    """The answer to ``message``."""
    return Message(content(data), reply_to=message)


def read(message: Message) -> bytes:
    """The bytes of a message that holds exactly one uint8 array.

    Raises:
        ContractError: any other record, array, type or shape.
    """
    record = message.content
    if set(record) != {_RECORD} or set(record.array_records) != {_RECORD}:
        raise ContractError("a message holds one array record and nothing else")
    arrays = record.array_records[_RECORD]
    if set(arrays) != {_ARRAY} or arrays[_ARRAY].dtype != "uint8" or len(arrays[_ARRAY].shape) != 1:
        raise ContractError("a message holds one flat array of bytes and nothing else")
    return bytes(arrays[_ARRAY].numpy().tobytes())
