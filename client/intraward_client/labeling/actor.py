"""Who runs a command of the label station, as its events name them."""

from __future__ import annotations

from intraward_client.labeling.events import Actor
from intraward_client.trail import current_user


def command_actor() -> Actor:
    """The system's account that runs the command."""
    return Actor(current_user(), "command")
