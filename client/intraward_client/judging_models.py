"""Where evaluation and figures get their models and rows: installed adapters, the pinned base, the vault.

Everything that can fail for an operator's mistake (no such adapter, no comparisons, another base model) fails
before a figure is charged; ``Source.read`` is what reads rows, after it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from intraward_client.config import SitePolicy
from intraward_client.evaluation import Lengths, Model, reward_wins
from intraward_client.figures import Shares
from intraward_client.home import SiteHome
from intraward_client.installed import find
from intraward_client.labeling.comparisons import compared, shares
from intraward_client.labeling.opening import open_book
from intraward_client.store.heldout import held_out
from intraward_client.store.vault import Vault
from intraward_shared.base_model import BaseModel, load_base
from intraward_shared.errors import ConfigError, ContractError
from intraward_shared.ledger_entry import FigureName
from intraward_shared.stages import Stage


@dataclass(frozen=True)
class Source:
    """What a figure is of, and how its rows are read."""

    adapter: str
    against: str | None
    read: Callable[[], Shares]


def installed_model(home: SiteHome, policy: SitePolicy, name: str | None, *, reward: bool = False) -> Model:
    """An installed adapter, verified, the one in use if none is named.

    Raises:
        ConfigError: no such adapter. ContractError: a reward model is wanted and it is none, or the reverse.
    """
    manifest, state = find(home, policy, name)
    if (manifest.stage is Stage.REWARD) != reward:
        wanted, own = ("a reward model", "a policy") if reward else ("a policy", "a reward model")
        raise ContractError(
            f"adapter {manifest.digest[:16]} is {own}, and this needs {wanted}",
            remedy="name another one: intraward-client adapter list shows them",
        )
    return Model(manifest.digest, manifest.lora, state)


def load_site_base(policy: SitePolicy) -> BaseModel:
    """The pinned base model.

    Raises:
        ModelError: it is not there, or another one.
    """
    terms = policy.model
    return load_base(terms.path, terms.sha256, terms.device, "bf16" if terms.dtype == "bf16" else "fp32")


def source_of(
    home: SiteHome,
    policy: SitePolicy,
    name: FigureName,
    adapter: str | None,
    against: str | None,
    lengths: Lengths,
) -> Source:
    """What a figure is made of; no row is read yet.

    Raises:
        ConfigError, ContractError, ModelError: what it needs is not there.
    """
    if name is FigureName.WIN_RATE and against is None:
        raise ConfigError(
            "--against",
            "",
            "is missing: a win rate is over an older installed adapter, and this names it",
            remedy="intraward-client adapter list shows them",
        )
    if name is not FigureName.WIN_RATE and against is not None:
        raise ConfigError("--against", "", "goes with judged-win-rate alone", remedy="leave it out")
    if name is FigureName.REWARD_ACCURACY and adapter is None:
        raise ConfigError(
            "--adapter",
            "",
            "is missing: it names the reward adapter, which is never the one in use",
            remedy="intraward-client adapter list shows them",
        )
    model = installed_model(home, policy, adapter, reward=name is FigureName.REWARD_ACCURACY)
    if name is FigureName.WIN_RATE:
        older = installed_model(home, policy, against).name
        return Source(model.name, older, lambda: _judged(home, policy, model.name, older))
    if policy.evaluation.holdout <= 0:
        raise ConfigError(
            home.policy, "evaluation.holdout", "keeps nobody out of training", remedy="set it, say to 0.1"
        )
    base = load_site_base(policy)
    return Source(model.name, None, lambda: _accuracy(home, policy, base, model, lengths))


def _judged(home: SiteHome, policy: SitePolicy, adapter: str, against: str) -> Shares:
    with open_book(home, policy) as book, closing(Vault.open(home.vault, home.vault_keys)) as vault:
        return shares(compared(book, vault, adapter, against))


def _accuracy(home: SiteHome, policy: SitePolicy, base: BaseModel, reward: Model, lengths: Lengths) -> Shares:
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        rows = held_out(vault, policy.evaluation.holdout)
    return reward_wins(base, reward, rows.pairs, lengths)
