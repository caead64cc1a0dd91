"""The thin Flower ClientApp: bytes from the coordinator to the ward and back.

It opens nothing and understands nothing (DESIGN.md section 3): Flower carries one uint8 array each
way, the ward checks and seals. Importing this module loads neither torch nor Presidio, because
Flower starts a fresh process for every message.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from intraward_client.gateway import WardPort, WardSocket
from intraward_shared import wire


def ward_of_node(context: Context) -> WardPort:
    """The ward that this SuperNode serves: the socket named in its own node configuration."""
    return WardSocket(Path(str(context.node_config["ward-socket"])))


def make_app(ward_of: Callable[[Context], WardPort]) -> ClientApp:
    """A ClientApp with two calls: ``train`` hands a request on, ``query`` asks who the site is."""
    made = ClientApp()

    @made.train()
    def execute(message: Message, context: Context) -> Message:
        return wire.reply(message, ward_of(context).execute(wire.read(message)))

    @made.query()
    def describe(message: Message, context: Context) -> Message:
        return wire.reply(message, ward_of(context).describe())

    return made


app = make_app(ward_of_node)
