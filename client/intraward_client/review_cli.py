"""``intraward-client deid review`` and ``deid canary``: people decide about what the rules held back.

Thin: the work is in ``reviewing``, ``store.review`` and ``store.audit``. Texts are printed by ``show`` and
``audit`` alone, to a terminal, or elsewhere only where ``--show-text`` asks for it.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from intraward_client.config import SitePolicy, load_policy
from intraward_client.home import SiteHome
from intraward_shared.command import err, out
from intraward_shared.command import show as tell
from intraward_shared.errors import ConfigError, InputError

if TYPE_CHECKING:
    from intraward_client.deid.deidentifier import Deidentifier
    from intraward_client.deid.ruling import Examined
    from intraward_client.store.audit import LeakBound
    from intraward_client.store.vault import Vault

app = typer.Typer(
    help="Rows that were held back, an audit of those that were not, and what it proves.\n\n"
    "Example: intraward-client deid review --home /srv/intraward"
)

Home = Annotated[Path, typer.Option("--home", help="The site's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
Row = Annotated[str, typer.Argument(metavar="ID", help="The row's id, or its first six letters or more.")]
ShowText = Annotated[bool, typer.Option("--show-text", help="Print text although this is no terminal.")]
Accept = Annotated[
    list[str] | None, typer.Option("--accept", help="A code of the second look that is wrong, such as date.")
]
Mark = Annotated[
    list[str] | None, typer.Option("--mark", help="A span that was missed: FIELD:START:END:CLASS.")
]
_SHORT = 12


@app.callback(invoke_without_command=True)
def review(
    context: typer.Context,
    home: Home = Path("site"),
    bound: Annotated[
        bool, typer.Option("--bound", help="The share of released rows with a leak, from the audits.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the rows that wait for a person, with reason and time, never their text.

    Example: intraward-client deid review --home /srv/intraward --json
    """
    if context.invoked_subcommand is not None:
        return
    from intraward_client.store.audit import leak_bound, next_audit
    from intraward_client.store.review import waiting

    with _open(home) as (_, policy, vault):
        figures = leak_bound(vault, policy.deid.audit_share)
        if bound:
            tell(asdict(figures), as_json=as_json, text=_bound_text(figures))
            return
        rows = waiting(vault)
        due = next_audit(vault, policy.deid.audit_share) is not None
    reasons = Counter(row.reason for row in rows)
    value: dict[str, Any] = {
        "waiting": [asdict(row) for row in rows],
        "by_reason": dict(sorted(reasons.items())),
    }
    value |= {"audit_due": due, "bound": asdict(figures)}
    lines = [f"{row.row_id[:_SHORT]}  {row.queued[:19]}Z  {row.kind:<14} {row.reason}" for row in rows]
    lines.append(f"{len(rows)} rows wait; " + ("an audit is due" if due else "no audit is due"))
    tell(value, as_json=as_json, text="\n".join(lines))
    if reasons["residue:canary"]:
        err.print("[bold red]ALARM[/] a planted patient came through: something is wrong with the rules")


@app.command()
def show(row: Row, home: Home = Path("site"), show_text: ShowText = False) -> None:
    """Show one waiting row at the terminal: what the rules found, what the second look found, offsets.

    Example: intraward-client deid review show 3fa2b1c09d77 --home /srv/intraward
    """
    _check_terminal(show_text)
    from intraward_client.reviewing import show as read

    with _engine(home) as (_, vault, engine):
        seen = read(vault, engine, row)
    out.print(f"{seen.held.row_id[:_SHORT]}  {seen.held.kind}  held back: {seen.held.reason}")
    for name, text in seen.texts.items():
        out.print(_page(name, text))


@app.command()
def release(row: Row, home: Home = Path("site"), accept: Accept = None) -> None:
    """Release a row as the rules leave it. It passes the second look again, but for what it was held for.

    Example: intraward-client deid review release 3fa2b1c09d77 --accept date --home /srv/intraward
    """
    from intraward_client.reviewing import decide

    with _engine(home) as (_, vault, engine):
        held = decide(vault, engine, row, accepted=frozenset(accept or ()))
    out.print(f"released: {held.row_id[:_SHORT]}")


@app.command()
def correct(
    row: Row,
    home: Home = Path("site"),
    mark: Mark = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", help="FIELD=FILE: a text written anew; - is standard input.")
    ] = None,
    accept: Accept = None,
) -> None:
    """Mark what was missed, or give a text anew, and release. It is de-identified and looked at again.

    Example: intraward-client deid review correct 3fa2b1c09d77 --mark text:120:134:NAME --home /srv/intraward
    """
    from intraward_client.reviewing import decide, parse_marks
    from intraward_client.store.review import take

    if not (mark or text):
        raise ConfigError("--mark", "", "nothing is corrected", remedy="mark a span, or give a text")
    fresh = dict(map(_read_text, text or ()))
    with _engine(home) as (_, vault, engine):
        marks = parse_marks(mark or (), take(vault, row)[0].kind)
        held = decide(vault, engine, row, marks=marks, texts=fresh, accepted=frozenset(accept or ()))
    out.print(f"corrected and released: {held.row_id[:_SHORT]}")


@app.command()
def reject(row: Row, home: Home = Path("site")) -> None:
    """Destroy a waiting row's text. It stays quarantined, and later imports leave it out.

    Example: intraward-client deid review reject 3fa2b1c09d77 --home /srv/intraward
    """
    from intraward_client.store import review as queue

    with _open(home) as (_, _, vault):
        held, _ = queue.take(vault, row)
        queue.reject(vault, held, queue.current_user())
    out.print(f"rejected: {held.row_id[:_SHORT]}")


@app.command()
def audit(
    row: Annotated[
        str, typer.Argument(metavar="[ID]", help="The row that was shown; left out, show it.")
    ] = "",
    home: Home = Path("site"),
    clean: Annotated[bool, typer.Option("--clean", help="Nothing in it tells who it is.")] = False,
    leak: Annotated[
        list[str] | None, typer.Option("--leak", help="Class of what was left, such as NAME; once for each.")
    ] = None,
    show_text: ShowText = False,
) -> None:
    """Show the next row of the random sample, or record what was found in it. A leak withdraws the row.

    Example: intraward-client deid review audit --home /srv/intraward
    """
    from intraward_client.reviewing import CLASSES
    from intraward_client.store.audit import finish_audit, next_audit
    from intraward_client.store.review import current_user

    if row and clean == bool(leak):
        raise ConfigError("--clean", "", "say what was found", remedy="give --clean, or --leak CLASS")
    if unknown := set(leak or ()) - CLASSES:
        remedy = f"classes are {', '.join(sorted(CLASSES))}"
        raise ConfigError("--leak", "", f"{len(unknown)} unknown class", remedy=remedy)
    with _open(home) as (_, policy, vault):
        share = policy.deid.audit_share
        if row:
            done = finish_audit(vault, share, row, leak or (), current_user())
            out.print(f"recorded: {done.row_id[:_SHORT]}" + (", withdrawn" if leak else ""))
            return
        due = next_audit(vault, share)
    if due is None:
        out.print("no audit is due")
        return
    _check_terminal(show_text)
    out.print(f"{due.row_id[:_SHORT]}  {due.kind}")
    for name, text in due.texts.items():
        out.print(Text(f"--- {name}\n{text}"))


def canary(
    home: Home = Path("site"),
    write: Annotated[Path | None, typer.Option("--write", help="Notes to plant, as JSONL.")] = None,
    search: Annotated[list[Path] | None, typer.Option("--search", help="A file to search for them.")] = None,
    as_json: Json = False,
) -> None:
    """Planted patients: write their notes for the hospital's own system, or search files for them.

    The exit code is 1 when a planted patient is found.

    Example: intraward-client deid canary --write planted.jsonl --home /srv/intraward
    """
    from intraward_client.planted import planted
    from intraward_client.planted import search as look

    with _open(home) as (_, policy, vault):
        patients = planted(vault, policy.deid.canaries)
    found = {str(path): number for path, number in look(search or (), patients)}
    if write is not None:
        _write_rows(write, [patient.row(number) for number, patient in enumerate(patients)])
    lines = [f"{path}: {number or 'no'} planted patients" for path, number in found.items()]
    if write is not None:
        lines.append(f"{len(patients)} planted patients in {write}: put them where your notes come from")
    value: dict[str, Any] = {
        "planted": len(patients),
        "found": found,
        "written": str(write) if write else None,
    }
    tell(value, as_json=as_json, text="\n".join(lines) or f"{len(patients)} patients can be planted")
    raise typer.Exit(1 if any(found.values()) else 0)


@contextmanager
def _open(home: Path) -> Iterator[tuple[SiteHome, SitePolicy, Vault]]:
    from intraward_client.store.vault import Vault

    site = SiteHome(home)
    policy = load_policy(site.policy)
    with closing(Vault.open(site.vault, site.vault_keys)) as vault:
        yield site, policy, vault


@contextmanager
def _engine(home: Path) -> Iterator[tuple[SitePolicy, Vault, Deidentifier]]:
    """The site's de-identifier, after its self-test."""
    from intraward_client.importing import make_deidentifier

    with _open(home) as (site, policy, vault):
        engine = make_deidentifier(site, vault, policy)
        engine.self_test()
        yield policy, vault, engine


def _check_terminal(show_text: bool) -> None:
    if not (show_text or sys.stdout.isatty()):
        remedy = "look at it on a terminal, or say --show-text and mind where the output goes"
        raise ConfigError("--show-text", "", "text is shown on a terminal only", remedy=remedy)


def _read_text(value: str) -> tuple[str, str]:
    name, _, source = value.partition("=")
    if not name or not source:
        raise ConfigError("--text", "", "is not FIELD=FILE", remedy="for a note: --text text=FILE")
    try:
        content = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return name, content.decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise InputError(Path(source).name, 0, "cannot be read as UTF-8", remedy="check the file") from None


def _write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    import json
    import os

    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        raise ConfigError(path, "", "cannot be made there", remedy="name a file that is not there") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


_PICTURES = (
    {code: 0x2400 + code for code in range(32) if code != 9}
    | {0x7F: 0x2421}
    | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
)
"""Control characters as pictures of them: a note must not steer the terminal that shows it."""


def _page(name: str, shown: Examined) -> Text:
    """A text with the offset before each line; spans of the rules underlined, findings reversed."""
    page = Text(f"--- {name}\n")
    start = 0
    for line in shown.text.split("\n"):
        body = Text(line.translate(_PICTURES))
        for spans, style in ((shown.spans, "underline"), (shown.findings, "reverse bold red")):
            for low, high, _ in spans:
                if low < start + len(line) and high > start:
                    body.stylize(style, max(0, low - start), high - start)
        page.append(f"{start:>6} | ").append_text(body).append("\n")
        start += len(line) + 1
    for title, spans in (("replaced", shown.spans), ("second look", shown.findings)):
        marks = ", ".join(f"{low}:{high}:{kind}" for low, high, kind in spans)
        page.append(f"{title}: {marks or 'nothing'}\n")
    return page


def _bound_text(figures: LeakBound) -> str:
    released = f"{figures.released} released rows"
    if not figures.audited:
        return f"no row is audited yet; {figures.sampled} of {released} are in the sample"
    return (
        f"{figures.audited} of {released} audited, {figures.leaks} with a leak: with 95 % confidence at most "
        f"{100 * figures.upper:.2f} % of released rows have one (Clopper-Pearson, one-sided)"
    )
