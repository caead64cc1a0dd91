"""``intraward-client label prepare|collect|agreement|export``: into the queue, and out of it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from intraward_client.config import load_policy
from intraward_client.home import SiteHome
from intraward_shared.command import finite, show

app = typer.Typer()

Home = Annotated[Path, typer.Option("--home", help="The site's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
Kind = Literal["answers", "summaries", "safety"]
Form = Literal["trl", "kto", "labelstudio", "argilla"]


@app.command()
def prepare(
    answers: Annotated[int, typer.Option(min=2, max=4, help="Answers to each prompt.")] = 2,
    kind: Annotated[Kind, typer.Option(help="What is judged; three people see a safety item.")] = "answers",
    specialty: Annotated[str, typer.Option(help="Whose items these are; empty for everybody's.")] = "",
    adapter: Annotated[str | None, typer.Option(help="Installed adapter, if not the one in use.")] = None,
    reward: Annotated[
        str | None, typer.Option(help="Installed reward adapter whose members' disagreement selects.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Older installed adapter: one answer of each instead, to see which version wins."),
    ] = None,
    max_prompt_tokens: Annotated[int, typer.Option(min=1, help="Of a prompt, its last ones.")] = 512,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Of an answer.")] = 256,
    temperature: Annotated[
        float, typer.Option(min=0.01, max=10, callback=finite, help="Of the sampling.")
    ] = 1.0,
    home: Home = Path("site"),
    as_json: Json = False,
) -> None:
    """Have the ward answer the site's own prompts, and put the answers into the queue; again, what is new.

    The ward must run; a round of the consortium goes first. Nothing of it leaves the hospital.

    Example: intraward-client label prepare --answers 3 --home /srv/intraward
    """
    from intraward_client.desksocket import ask
    from intraward_client.labeling.actor import command_actor
    from intraward_client.labeling.opening import open_book
    from intraward_client.labeling.preparation import prepare
    from intraward_client.labeling.versions import prepare_comparison
    from intraward_client.progress import bar
    from intraward_client.store.vault import Vault

    if against is not None and (reward is not None or answers != 2):
        raise typer.BadParameter("--against compares one answer of each version: no --reward, no --answers")
    site = SiteHome(home)
    sampling: dict[str, Any] = {
        "adapter": adapter,
        "candidates": answers,
        "max_prompt_tokens": max_prompt_tokens,
        "max_completion_tokens": max_new_tokens,
        "temperature": temperature,
    }
    with (
        open_book(site) as book,
        closing(Vault.open(site.vault, site.vault_keys)) as vault,
        bar("answering prompts", quiet=as_json) as tell,
    ):
        options: dict[str, Any] = {"kind": kind, "specialty": specialty, "sampling": sampling}
        versions = {"against": against} if against is not None else {"reward": reward}
        made = (prepare if against is None else prepare_comparison)(
            book,
            vault,
            lambda request: ask(site.desk_socket, request),
            command_actor(),
            **options,
            **versions,
            progress=lambda share: tell(share),
        )
    value = {
        "adapter": made.adapter,
        "answered": made.answered,
        "items": made.items,
        "not_drawn": made.not_drawn,
        "alike": made.alike,
    }
    text = f"{made.answered} prompts answered by {made.adapter[:16]}, {made.items} new items in the queue"
    text += f"; {made.not_drawn} not drawn" if made.not_drawn else ""
    text += f"; {made.alike} left out, their answers were all the same or empty" if made.alike else ""
    show(value, as_json=as_json, text=text)


@app.command()
def collect(home: Home = Path("site"), as_json: Json = False) -> None:
    """Make training rows of what raters agree on, one an item; what is no longer agreed on loses its row.

    Corrections that raters wrote become demonstrations. The next round that is fixed reads them.

    Example: intraward-client label collect --home /srv/intraward
    """
    from intraward_client.importing import make_deidentifier
    from intraward_client.labeling.opening import open_book, rubrics_of
    from intraward_client.labeling.records import collect
    from intraward_client.store.vault import Vault

    site = SiteHome(home)
    policy = load_policy(site.policy)
    rubrics = rubrics_of(policy.labeling)
    with open_book(site, policy) as book, closing(Vault.open(site.vault, site.vault_keys)) as vault:
        cleaner = make_deidentifier(site, vault, policy)
        cleaner.self_test()
        found = collect(book, vault, rubrics, cleaner)
    value = {
        "rows": found.rows,
        "without": found.without,
        "demonstrations": found.demonstrations,
        "held": found.held,
    }
    text = f"{found.rows} items train, {found.without} do not (not judged or not agreed on)"
    text += f"; {found.demonstrations} new demonstrations out of corrections"
    text += f", {found.held} corrections held back" if found.held else ""
    show(value, as_json=as_json, text=text)


@app.command()
def agreement(
    raters: Annotated[bool, typer.Option("--raters", help="Each rater's gold score and alarms too.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw it, as .svg or .png.")] = None,
    home: Home = Path("site"),
    as_json: Json = False,
) -> None:
    """How far raters agree, question by question, with 95 % intervals by item. Private figures: look only.

    Example: intraward-client label agreement --home /srv/intraward --json
    """
    from intraward_client.drawing import check_format
    from intraward_client.labeling.agreement import report
    from intraward_client.labeling.agreement_picture import draw_agreement
    from intraward_client.labeling.opening import open_book
    from intraward_client.labeling.people import lines, people

    if plot is not None:
        check_format(plot)
    site = SiteHome(home)
    policy = load_policy(site.policy)
    with open_book(site, policy) as book:
        votes, items = book.votes(), book.items()
    found = report(votes, items)
    if plot is not None:
        draw_agreement(found, policy.site, plot)
    value = found.as_json()
    text = "\n".join(lines(found)) or "no item was judged by two people yet"
    if raters:
        value["raters"] = people(votes, items)
        text += "".join(f"\n{_rater(row)}" for row in value["raters"])
    show(value, as_json=as_json, text=text)


@app.command()
def export(
    form: Annotated[Form, typer.Option("--format", help="Whose file format.")],
    pseudonyms: Annotated[
        bool, typer.Option("--pseudonyms/--names", help="Raters by keyed names, or by their accounts'.")
    ] = True,
    home: Home = Path("site"),
    as_json: Json = False,
) -> None:
    """Write judgments into the site's exports folder as another tool's file, for use inside the hospital.

    trl and kto hold what trains (label collect), labelstudio and argilla every vote; labelstudio also how
    long it took. The file holds text of patients: it must not leave. Forgetting a patient empties the folder.

    Example: intraward-client label export --format trl --home /srv/intraward
    """
    from intraward_client.labeling.actor import command_actor
    from intraward_client.labeling.exports import export as write
    from intraward_client.labeling.opening import open_book
    from intraward_client.store.vault import Vault

    site = SiteHome(home)
    with open_book(site) as book, closing(Vault.open(site.vault, site.vault_keys)) as vault:
        made = write(site, book, vault, form, command_actor(), names=not pseudonyms)
    value = {"path": str(made.path), "rows": made.rows, "sha256": made.sha256}
    text = (
        f"{made.rows} rows in {made.path}\n[yellow]private[/]: text of patients, 0600; it must not leave the"
    )
    text += " hospital, and a copy of it is not found by forget"
    show(value, as_json=as_json, text=text)


def _rater(row: dict[str, Any]) -> str:
    alarms = f"  [red]ALARM[/] {', '.join(row['alarms'])}" if row["alarms"] else ""
    gold = f"{row['gold_right']} of {row['gold_pairs']} gold pairs" if row["gold_pairs"] else "no gold yet"
    return f"{row['rater']:<24} {row['votes']:>5} votes  {gold}{alarms}"
