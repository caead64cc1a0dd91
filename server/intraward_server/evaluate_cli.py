"""``intraward-server evaluate``: reward model on pairs, suites on policies, tasks of lm_eval."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from intraward_shared.command import err, show
from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError
from intraward_shared.suite_terms import OWN_FILES, SUITES, WITH_OWN_PROMPTS, SuiteName, SuiteTerms

app = typer.Typer()
Home = Annotated[Path, typer.Option("--home", help="The coordinator's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
_DATA_KEYS: dict[SuiteName, str] = {
    "closed": "closed",
    "perplexity": "records",
    "win-rate": "prompts",
}


@app.command()
def evaluate(
    preferences: Annotated[
        Path | None, typer.Argument(help='JSONL of {"prompt", "chosen", "rejected"}.')
    ] = None,
    suite: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help=f"{', '.join(SUITES)}; may be repeated.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="File of the one suite that is named.")] = None,
    adapter: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Another policy than the newest.")
    ] = None,
    of: Annotated[
        list[str] | None, typer.Option(help="policy, sft or base; all three by default. May be repeated.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most rows of a file.")] = None,
    planted: Annotated[
        Path | None, typer.Option(help="Of suite phi: values no answer may hold, one a line; never printed.")
    ] = None,
    samples: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the sampled answers there (JSONL).")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Put the figures into the run's evaluation.json.")
    ] = False,
    lm_eval: Annotated[
        str | None, typer.Option("--lm-eval", metavar="TASKS", help="Tasks of lm_eval, by comma.")
    ] = None,
    lm_eval_folder: Annotated[
        Path | None, typer.Option(help="Folder with tasks of your own for --lm-eval.")
    ] = None,
    home: Home = Path("coordinator"),
    as_json: Json = False,
) -> None:
    """Score the reward model on preference pairs, or the policies by suites, or by tasks of lm_eval.

    Example: intraward-server evaluate --suite red-team --suite phi --home /srv/coordinator --json
    """
    asked = [
        name for name, given in (("PAIRS", preferences), ("--suite", suite), ("--lm-eval", lm_eval)) if given
    ]
    if len(asked) != 1:
        raise ConfigError(
            "evaluate", "", "needs either preference pairs, --suite or --lm-eval", remedy="give one of them"
        )
    if preferences is not None:
        _pairs(home, preferences, as_json)
    elif lm_eval is not None:
        _tasks(home, lm_eval, lm_eval_folder, adapter, of or (), limit, as_json)
    else:
        terms = {"limit": limit, "planted": planted and str(planted.absolute())}
        _suites(home, suite or [], data, terms, adapter, of or (), samples, record=record, as_json=as_json)


@app.command()
def blind(
    out: Annotated[Path, typer.Argument(help="Where the pairs go, for intraward-client label add.")],
    key: Annotated[Path, typer.Option(help="Where the key goes; keep it until everybody has judged.")],
    against: Annotated[str, typer.Option(help="sft or base.")] = "sft",
    data: Annotated[
        Path | None, typer.Option(help='JSONL of {"prompt"}; else the prompts of \\[evaluation].')
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Another policy than the newest.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most prompts.")] = 100,
    home: Home = Path("coordinator"),
    as_json: Json = False,
) -> None:
    """Write blind pairs of answers to public prompts, for clinicians at a hospital's label station.

    Example: intraward-server blind pairs.jsonl --key key.json --home /srv/coordinator
    """
    from intraward_server.suites.blind import blind_pairs, check_new, write_pairs
    from intraward_server.suites.policies import answers_of, open_begun, prompts_of, subjects

    _check_names([against], ("sft", "base"), "--against")
    check_new(out, key)
    session = open_begun(home)
    ours, theirs = subjects(session, adapter, ("policy", against))
    prompts = prompts_of(session, data, limit)
    said = [answers_of(session, subject, prompts) for subject in (ours, theirs)]
    rows, made = blind_pairs(prompts, said[0], said[1], (ours, theirs), session.state.run_id)
    write_pairs(rows, made, out, key)
    value = {"pairs": len(rows), "same": made.same, "policy": made.policy, "other": made.other}
    text = f"{len(rows)} pairs in {out}, key in {key}; to {made.same} prompts both said the same"
    show(value, as_json=as_json, text=text)


def _pairs(home: Path, preferences: Path, as_json: bool) -> None:
    from intraward_server.session import score_preferences

    figures = score_preferences(home, preferences)
    low, high = figures["accuracy_interval"]
    show(
        figures,
        as_json=as_json,
        text=f"reward model {figures['accuracy']:.3f} ({low:.3f} to {high:.3f}), "
        f"longer wins {figures['length_baseline']:.3f}, {_words_alone(figures)}{_worst_site(figures)}"
        f"{figures['pairs']} pairs",
    )


def _worst_site(figures: Mapping[str, Any]) -> str:
    """The site that the reward model serves worst, where pairs name sites."""
    value, mean = figures.get("worst_site_accuracy"), figures.get("mean_site_accuracy")
    if value is None:
        return ""
    return f"worst site {value:.3f} ({figures['worst_site_accuracy_of']}), mean of sites {mean:.3f}, "


def _words_alone(figures: Mapping[str, Any]) -> str:
    """The text baseline in words, where there were prompts enough for it."""
    value = figures["text_baseline"]
    return "" if value is None else f"words and length alone {value:.3f}, "


def _suites(
    home: Path,
    names: list[str],
    data: Path | None,
    options: Mapping[str, Any],
    adapter: str | None,
    of: Any,
    samples: Path | None,
    *,
    record: bool,
    as_json: bool,
) -> None:
    from intraward_server.suites.bench import Samples
    from intraward_server.suites.policies import open_begun, open_bench, subjects
    from intraward_server.suites.policies import record as put_into_evaluation

    _check_names(names, SUITES, "--suite")
    _check_names(of, ("policy", "sft", "base"), "--of")
    if data is not None and len(names) > 1:
        raise ConfigError("evaluate", "--data", "is for one suite", remedy="name one --suite at a time")
    if samples is not None and samples.exists():
        raise ConfigError(samples, "--samples", "is there already", remedy="name a new file")
    session = open_begun(home)
    terms = _terms(session.config.evaluation.suites, names, data, options)
    if data is not None and names[0] in _DATA_KEYS:
        changed = session.config.evaluation.model_copy(update={_DATA_KEYS[names[0]]: str(data.absolute())})
        session.config = session.config.model_copy(update={"evaluation": changed})
    kept, tested = Samples(kept=samples is not None), subjects(session, adapter, of)
    figures = open_bench(session, terms, kept, lambda what: err.print(f"[dim]{what}[/]")).run(tested)
    if record:
        put_into_evaluation(session, figures, tested)
    if samples is not None:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept.rows)
        write_durably(samples, lines.encode())
    value = {"suites": figures, "adapters": {each.name: each.digest for each in tested}}
    show(value, as_json=as_json, text="\n".join(_lines(figures)))


def _terms(terms: SuiteTerms, names: list[str], data: Path | None, options: Mapping[str, Any]) -> SuiteTerms:
    """The program's terms with what the command says in their place."""
    update = {key: value for key, value in options.items() if value is not None} | {"run": tuple(names)}
    key = OWN_FILES.get(names[0])  # type: ignore[call-overload]
    if data is not None and key is not None:
        update[key] = str(data.absolute())
    for name in names:
        own = OWN_FILES.get(name)  # type: ignore[call-overload]
        if own and name not in WITH_OWN_PROMPTS and not (update.get(own) or getattr(terms, own)):
            raise ConfigError(
                "evaluate",
                "--data",
                f"is missing: suite {name} has no prompts of its own",
                remedy="name its file",
            )
    return terms.model_copy(update=update)


def _tasks(
    home: Path,
    tasks: str,
    folder: Path | None,
    adapter: str | None,
    of: Any,
    limit: int | None,
    as_json: bool,
) -> None:
    from intraward_server.lmeval import run_tasks
    from intraward_server.suites.policies import open_begun, subjects

    _check_names(of, ("policy", "sft", "base"), "--of")
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    session = open_begun(home)
    tested = subjects(session, adapter, of)
    figures = run_tasks(session.base, session.config.lora, tested, names, folder, limit)
    value = {"lm_eval": figures, "adapters": {each.name: each.digest for each in tested}}
    show(value, as_json=as_json, text="\n".join(_lines(figures)))


def _check_names(given: Any, known: tuple[str, ...], option: str) -> None:
    for name in given:
        if name not in known:
            raise ConfigError(
                "evaluate", option, f"{name!r} is none", remedy=f"put one of {', '.join(known)}"
            )
    if len(set(given)) < len(list(given)):
        raise ConfigError("evaluate", option, "is there twice with one name", remedy="name each once")


def _lines(figures: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """One line a figure that has an interval, with where it belongs."""
    for name, value in figures.items():
        where = f"{above} {name}".strip()
        if isinstance(value, Mapping):
            yield from _lines(value, where)
        elif (interval := figures.get(f"{name}_interval")) and value is not None:
            yield f"{where}: {value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"
