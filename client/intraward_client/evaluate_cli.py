"""``intraward-client evaluate``, ``drift`` and ``figure``: what models are worth here, and one figure of it.

The first two show figures of private data to whoever may run them: it takes the site's keys. They stay here.
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intraward_client.config import load_policy
from intraward_client.home import SiteHome
from intraward_shared.command import err, finite, show
from intraward_shared.errors import ConfigError
from intraward_shared.ledger_entry import FigureName

if TYPE_CHECKING:
    from intraward_client.figures import Price

app = typer.Typer()

Home = Annotated[Path, typer.Option("--home", help="The site's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
Adapter = Annotated[
    str | None, typer.Option(help="Installed adapter, by its digest or the beginning; without it, in use.")
]
Against = Annotated[str | None, typer.Option(help="Older installed adapter.")]
Reward = Annotated[str | None, typer.Option(help="Installed reward adapter.")]
PromptTokens = Annotated[int, typer.Option(min=1, help="Of a prompt, its last ones.")]
NewTokens = Annotated[int, typer.Option(min=1, help="Of an answer.")]
_NOTHING = """nothing was counted yet, so nothing can be said of drift
  count flags: intraward-client flags add FILE --answers NUMBER
  or compare versions: intraward-client label prepare --against DIGEST, judge, drift --against DIGEST"""
_WORDS = {
    "loss": "loss a token, nats",
    "loss_against": "loss of the other",
    "longer_wins": '"longer wins"',
    "reward_accuracy": "reward model's accuracy",
    "win_rate": "win rate by reward model",
}


@app.command()
def evaluate(
    adapter: Adapter = None,
    against: Annotated[
        str | None, typer.Option(help="Another installed adapter; without it, the base model alone.")
    ] = None,
    reward: Reward = None,
    max_prompt_tokens: PromptTokens = 512,
    max_new_tokens: NewTokens = 256,
    save: Annotated[
        bool, typer.Option("--save", help="Also write it into the site's folder, mode 0600.")
    ] = False,
    home: Home = Path("site"),
    as_json: Json = False,
) -> None:
    """Measure an installed adapter on this hospital's held-out patients. The figures stay here.

    Example: intraward-client evaluate --reward 3fa2b1c09d77 --save --home /srv/intraward
    """
    from intraward_client.evaluation import Lengths
    from intraward_client.evaluation import evaluate as measure
    from intraward_client.judging_models import installed_model, load_site_base
    from intraward_client.progress import bar
    from intraward_client.store.heldout import held_out
    from intraward_client.store.vault import Vault
    from intraward_shared.durable import write_durably

    site = SiteHome(home)
    policy = load_policy(site.policy)
    chosen = installed_model(site, policy, adapter)
    other = installed_model(site, policy, against) if against is not None else chosen.nothing()
    judge = installed_model(site, policy, reward, reward=True) if reward is not None else None
    with closing(Vault.open(site.vault, site.vault_keys)) as vault:
        rows = held_out(vault, policy.evaluation.holdout)
    base, lengths = load_site_base(policy), Lengths(max_prompt_tokens, max_new_tokens)
    with bar("measuring", quiet=as_json) as tell:
        value = measure(base, rows, chosen, other, judge, lengths, lambda share: tell(share))
    lines = [f"adapter {value['adapter'][:16]} beside {value['against'][:16]}, on held-out patients"]
    lines += [_line(_WORDS[name], told) for name, told in value["figures"].items()]
    if save:
        place = site.evaluation(chosen.name)
        write_durably(place, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())
        lines.append(f"kept in {place}; private: it must not leave the hospital")
    show(value, as_json=as_json, text="\n".join(lines))


@app.command()
def drift(
    adapter: Adapter = None,
    against: Against = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw both, .svg or .png, mode 0600.")] = None,
    home: Home = Path("site"),
    as_json: Json = False,
) -> None:
    """Does the adapter in use do worse than it should? Flags, and comparisons lost; exit code 1 on an alarm.

    Example: intraward-client drift --against 3fa2b1c09d77 --home /srv/intraward
    """
    from intraward_client.drifting import look
    from intraward_client.installed import find

    site = SiteHome(home)
    policy = load_policy(site.policy)
    name = find(site, policy, adapter)[0].digest
    older = find(site, policy, against)[0].digest if against is not None else None
    seen = look(site, policy, name, older)
    if plot is not None:
        from intraward_client.drift_picture import draw_drift

        draw_drift(seen, policy.site, plot)
    lines = [monitor.sentence for monitor in seen.monitors] or [_NOTHING]
    lines += [f"  {advice}" for advice in seen.advice]
    value = {"adapter": name, "against": older, "monitors": [each.row for each in seen.monitors]}
    show(value, as_json=as_json, text="\n".join(lines))
    raise typer.Exit(1 if any(each.alarm_since for each in seen.monitors) else 0)


@app.command()
def figure(
    name: Annotated[FigureName, typer.Argument(help="Which figure.")],
    epsilon: Annotated[float, typer.Option(min=0.001, max=10, callback=finite, help="What it may cost.")],
    adapter: Adapter = None,
    against: Against = None,
    max_error: Annotated[
        float,
        typer.Option(
            min=0.01, max=0.5, callback=finite, help="A value less certain than this (95 %) is not told."
        ),
    ] = 0.1,
    first: Annotated[
        bool, typer.Option("--first", help="Although no program was charged yet; it fixes the budget gate.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Charge it without asking.")] = False,
    max_prompt_tokens: PromptTokens = 512,
    max_new_tokens: NewTokens = 256,
    home: Home = Path("site"),
    as_json: Json = False,
) -> None:
    """Release one noised figure for the coordinator: charged to the ledger first, bounded by the policy.

    The policy's figures.epsilon must allow it, and the ward must be stopped. It cannot be undone: you are
    told what is left before and after, and asked.

    Example: intraward-client figure judged-win-rate --epsilon 0.5 --against 3fa2b1c09d77 --home site
    """
    from intraward_client.evaluation import Lengths
    from intraward_client.figures import make_terms, release_figure
    from intraward_client.judging_models import source_of
    from intraward_shared.privacy import events_to_epsilon
    from intraward_shared.signing import SigningKey

    site = SiteHome(home)
    policy = load_policy(site.policy)
    lengths = Lengths(max_prompt_tokens, max_new_tokens)
    source = source_of(site, policy, name, adapter, against, lengths)
    public = SigningKey.load(site.signing_key).public
    named = (name, source.adapter, source.against, epsilon, max_error)
    terms = make_terms(policy, public, *named, datetime.now(UTC))
    made, path = release_figure(
        site, terms, source.read, agree=lambda price: _agree(price, yes=yes), first=first
    )
    cost = events_to_epsilon([terms.mechanism], policy.privacy.delta)
    value: dict[str, Any] = {"file": str(path), "value": made.value, "epsilon": cost, "name": name.value}
    said = f"{made.value:.3f}" if made.value is not None else "not told, it would be too uncertain"
    text = f"{name.value}: {said}; charged epsilon {cost:.3f}, ledger entry {made.entry.sequence}\n"
    text += f"give the coordinator this file: {path}"
    show(value | {"ledger_sequence": made.entry.sequence}, as_json=as_json, text=text)


def _agree(price: Price, *, yes: bool) -> None:
    """Say what it costs; go on after a yes only.

    Raises:
        ConfigError: there is nobody to ask, and no ``--yes``. typer.Exit: a no.
    """
    (allowed, spent), (before, after) = price.figures, price.left
    lines = [
        f"it costs epsilon {price.epsilon:.3f} alone; of figures.epsilon {allowed:g}, {spent:.3f} is spent",
        f"left under the lifetime cap, as the gate counts: {before:.3f} before, {after:.3f} after",
    ]
    if price.turns:
        lines.append(
            "  from now on the gate counts by its filter, everything so far included, and so for ever"
        )
    lines.append(f"a value can be told from about {price.patients} patients on; with fewer it is charged too")
    err.print("\n".join(lines))
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(
            "--yes", "", "is missing, and nobody is there to ask", remedy="add --yes to charge it"
        )
    if not typer.confirm("charge it?", err=True):
        err.print("nothing was charged")
        raise typer.Exit(1)


def _line(words: str, told: dict[str, Any]) -> str:
    if told["value"] is None:
        return f"  {words}: nothing to measure on"
    between = f" ({told['interval'][0]:.3f} to {told['interval'][1]:.3f})" if told["interval"] else ""
    return f"  {words}: {told['value']:.3f}{between}, {told['patients']} patients, {told['records']} records"
