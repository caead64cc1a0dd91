"""``intraward-client label add|import``: ready-made answers and judged projects into the site."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from intraward_client.config import load_policy
from intraward_client.home import SiteHome
from intraward_shared.command import show

app = typer.Typer()

Home = Annotated[Path, typer.Option("--home", help="The site's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
Project = Literal["labelstudio", "argilla"]


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="JSON Lines: id, prompt, answers (2 to 4), patient.")],
    home: Home = Path("site"),
    as_json: Json = False,
) -> None:
    """Put prompts with ready-made answers into the queue, de-identified; adding a file again adds nothing.

    A line may also hold kind (answers, summaries, safety), specialty, and known identifiers as in import.
    The file is checked as a whole first; an error names its line.

    Example: intraward-client label add items.jsonl --home /srv/intraward
    """
    from intraward_client.importing import make_deidentifier
    from intraward_client.labeling.actor import command_actor
    from intraward_client.labeling.additions import add, read_additions
    from intraward_client.labeling.opening import open_book
    from intraward_client.progress import counter
    from intraward_client.store.vault import Vault

    site = SiteHome(home)
    policy = load_policy(site.policy)
    additions = read_additions(file)
    with (
        open_book(site, policy) as book,
        closing(Vault.open(site.vault, site.vault_keys)) as vault,
        counter("adding answers", "texts", quiet=as_json) as tell,
    ):
        cleaner = make_deidentifier(site, vault, policy)
        found = add(book, vault, cleaner, additions, command_actor(), policy.deid.workers, tell)
    value: dict[str, Any] = {
        "lines": found.lines,
        "items": found.items,
        "before": found.before,
        "left_out": dict(found.left_out),
    }
    text = f"{found.lines} lines: {found.items} new items in the queue"
    text += f"; {found.before} were there before" if found.before else ""
    show(value, as_json=as_json, text=text + _left(found.left_out))


@app.command(name="import")
def import_project(
    file: Annotated[Path, typer.Argument(help="JSON export of a judged project.")],
    form: Annotated[Project, typer.Option("--format", help="Whose file it is.")],
    prompt: Annotated[str, typer.Option(help="Label Studio: key of the prompt in data.")] = "prompt",
    patient: Annotated[str, typer.Option(help="Label Studio: key of the patient in data.")] = "patient",
    answer: Annotated[
        list[str] | None, typer.Option(help="Label Studio: key of an answer in data, in order; repeat.")
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(min=1, max=9, help="Raters that a task must have; else the policy's overlap."),
    ] = None,
    home: Home = Path("site"),
    as_json: Json = False,
) -> None:
    """Take a judged project of Label Studio or Argilla into the vault: de-identified, one row a task.

    A task needs its patient, the privacy unit. It trains by the rule of label collect: enough first judgments
    that agree, or a senior's. The rest is left out and counted, and so are items of this site's own book.

    Example: intraward-client label import project.json --format labelstudio --home /srv/intraward
    """
    from intraward_client.importing import make_deidentifier
    from intraward_client.labeling.formats.labelstudio import Names
    from intraward_client.labeling.imports import TOO_FEW, Rule, bring, read_project
    from intraward_client.labeling.opening import own_items, rubrics_of
    from intraward_client.progress import counter
    from intraward_client.store.vault import Vault

    site = SiteHome(home)
    policy = load_policy(site.policy)
    tasks = read_project(file, form, Names(prompt, patient, tuple(answer or ())))
    rule = Rule(policy.labeling, rubrics_of(policy.labeling), own_items(site, policy), overlap)
    with (
        closing(Vault.open(site.vault, site.vault_keys)) as vault,
        counter("importing judgments", "texts", quiet=as_json) as tell,
    ):
        cleaner = make_deidentifier(site, vault, policy)
        found = bring(vault, cleaner, tasks, rule, policy.deid.workers, tell)
    value = {"tasks": found.tasks, "rows": found.rows, "left_out": dict(found.left_out)}
    value["comments_not_taken"] = found.comments
    text = f"{found.tasks} tasks: {found.rows} in the vault"
    text += _left(found.left_out)
    if TOO_FEW in found.left_out:
        text += "\n  where one person a task is enough for you: --overlap 1"
    if found.comments:
        text += f"\n  not taken: {found.comments} rationales and corrections"
    show(value, as_json=as_json, text=text)


def _left(left_out: Any) -> str:
    return "".join(f"\n  left out, {reason}: {count}" for reason, count in left_out.items())
