"""The figures that a run ends with: of its last policy, or of an earlier one that is to be released instead.

On data of the coordinator only. An earlier policy is measured like the last: beside the same sft policy, by
the run's newest reward model and score constants; over-optimisation is told of the rounds up to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from intraward_server.checkpoint import read_history
from intraward_server.home import ServerHome
from intraward_server.overoptimisation import summary
from intraward_server.plans import proxy_terms
from intraward_server.session import Session
from intraward_server.sole import sole_coordinator
from intraward_server.succession import Succession
from intraward_server.suites.policies import final_suites, open_begun
from intraward_shared.durable import write_durably
from intraward_shared.errors import ReleaseRefused, RoundFailed
from intraward_shared.stages import Stage


def final_figures(session: Session, last_round: int | None = None) -> dict[str, Any]:
    """The last evaluation, and what proxy and gold said of the policy round by round.

    Args:
        session: its state says which policy is meant.
        last_round: up to which round's history; None for all.
    """
    card, state = session.scorecard, session.state
    figures = card.final(Succession(session).beside_sft(), proxy_terms(session.config, state))
    lines = [
        line
        for line in read_history(session.home.history)
        if last_round is None or int(line["round"]) <= last_round
    ]
    return figures | {
        "run_id": state.run_id,
        "adapters": {"policy": state.policy, "reward": state.reward},
        "over_optimisation": summary(lines, "" if card.gold is None else card.gold.name),
        "suites": final_suites(session),
    }


def measure(root: Path, adapter: str) -> tuple[Path, dict[str, Any]]:
    """Measure an earlier policy of a finished run, so that its gates can be judged; where the figures are.

    Args:
        adapter: its digest, or the beginning of it.

    Raises:
        ConfigError: no adapter of this name. ReleaseRefused: it is no policy that a round of this run made.
        RoundFailed: the program is not finished, or another process works in the folder.
    """
    with sole_coordinator(ServerHome(root), wait_s=0):
        session = open_begun(root)
        state, name = session.state, session.registry.find(adapter)
        if state.status != "finished":
            raise RoundFailed("the program is not finished", remedy="start it")
        made = session.registry.manifest(name)
        if made.stage is Stage.REWARD or made.run_id != state.run_id or not made.round:
            raise ReleaseRefused(
                f"adapter {name[:16]} is no policy that a round of this run made",
                remedy="see intraward-server registry list",
            )
        session.state = state.model_copy(update={"policy": name})
        figures = final_figures(session, made.round)
        place = session.home.earlier_evaluation(name)
        write_durably(place, json.dumps(figures, indent=2, sort_keys=True).encode())
        return place, figures
