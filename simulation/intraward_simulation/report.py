"""Write a run's report: one self-contained page for people and ``report.json`` for machines.

The page needs no script and no other file: its own policy (CSP) forbids every request. Both files are
written whole or not at all (rule 10 of DESIGN.md); ``load_report`` reads the figures back, so that
``intraward-simulate report RUN`` can draw the page again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from pydantic import JsonValue

from intraward_server.statistics import Z95
from intraward_shared.config import parse
from intraward_shared.errors import InputError
from intraward_shared.pages import FOLDER, charts, numerals
from intraward_shared.pages.charts import Reference, Series
from intraward_simulation import figures, picture, wording
from intraward_simulation.cards import cards
from intraward_simulation.report_data import GoldPoint, ReportData
from intraward_simulation.site_results import SiteAccuracy

PAGE, FIGURES = "report.html", "report.json"
MOST_SAMPLES = 12


def write_report(run: Path, data: ReportData) -> tuple[Path, Path]:
    """Write ``RUN/report.html`` and ``RUN/report.json``; returns both paths.

    Raises:
        InputError: the folder cannot be written.
    """
    page, numbers = render(data), to_json(data)
    run.mkdir(parents=True, exist_ok=True)
    return _replace(run / PAGE, page), _replace(run / FIGURES, numbers)


def load_report(run: Path) -> ReportData:
    """Read ``RUN/report.json``.

    Raises:
        InputError: there is none, or it is not JSON.
        ConfigError: a figure is missing, out of range or contradicts another; names its key.
    """
    path = run / FIGURES
    try:
        raw = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except FileNotFoundError:
        raise InputError(
            path, 0, "no report in this folder", remedy="give the folder of a finished run"
        ) from None
    except (OSError, UnicodeDecodeError):
        raise InputError(path, 0, "cannot be read as UTF-8 text", remedy="check permissions") from None
    except ValueError:
        raise InputError(path, 0, "not valid JSON", remedy="run the scenario again") from None
    if not isinstance(raw, dict):
        raise InputError(path, 0, "not a JSON object", remedy="run the scenario again")
    return parse(raw, ReportData, path)


def to_json(data: ReportData) -> str:
    """The figures as JSON with finite numbers only."""
    return json.dumps(data.model_dump(mode="json"), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def render(data: ReportData) -> str:
    """The page; a pure function of the figures."""
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            data=data,
            headline=wording.headline(data),
            cards=cards(data),
            lying=picture.lying(data),
            standing=picture.standing(data),
            learning=_learning(data),
            by_site=_by_site(data),
            gold=_gold(data),
            spend=_spend(data),
            worst=wording.nearest_to_cap(data),
            samples=data.samples[:MOST_SAMPLES],
            measurements=list(_flatten(data.evaluation)),
        )
    )


def _learning(data: ReportData) -> dict[str, Markup | None]:
    """Three charts, ``None`` where the stage was not run."""
    base, sft = data.reward_model.length_baseline, data.policy.reward_sft
    points = data.curves.ppo
    return {
        "reward": charts.line_chart(
            "Accuracy of the reward model on held-out pairs after each round",
            [Series("reward model", tuple((p.round, p.accuracy) for p in data.curves.reward))],
            references=[] if base is None else [Reference("length alone", base)],
            shown=numerals.percent,
            ticks=lambda value: numerals.percent(value, 0),
        ),
        "policy": charts.line_chart(
            "Gold score and the reward model's score of the policy after each round of RL",
            [
                Series("gold score", tuple((p.round, p.gold_reward) for p in points)),
                Series("reward model", tuple((p.round, p.proxy_reward) for p in points), "two"),
            ],
            references=[] if sft is None else [Reference("after SFT", sft)],
            shown=numerals.decimal,
            ticks=numerals.level,
        ),
        "kl": charts.line_chart(
            "KL from the SFT policy after each round of RL",
            [Series("KL", tuple((p.round, p.kl) for p in points), "two")],
            shown=numerals.decimal,
            ticks=numerals.level,
        ),
    }


def _by_site(data: ReportData) -> list[tuple[str, dict[str, SiteAccuracy], str | None, float | None]]:
    """Tables of the reward model by site: caption, rows, worst site and mean."""
    facts = data.reward_model
    worst, mean = facts.worst_site_accuracy_of, facts.mean_site_accuracy
    own = (facts.own_heads, facts.worst_own_head_of, facts.mean_own_head)
    return [
        ("Reward model on the pairs of each site", facts.by_site, worst, mean),
        ("Head of each site alone", *own),
    ]


def _gold(data: ReportData) -> list[tuple[int, Markup]]:
    """Proxy against gold over KL, one chart an iteration, because each has a reward model of its own."""
    facts, out = data.over_optimisation, []
    for iteration in sorted({point.iteration for point in facts.points}):
        own = [point for point in facts.points if point.iteration == iteration]
        chart = charts.line_chart(
            f"Iteration {iteration}: gold score and reward model's score over KL from the SFT policy",
            [
                Series("gold score", tuple((p.kl, p.gold) for p in own), errors=_bars(own)),
                Series("reward model", tuple((p.kl, p.proxy) for p in own), "two"),
            ],
            shown=numerals.decimal,
            ticks=numerals.level,
            x_label="KL from SFT (nats)",
            x_shown=numerals.level,
        )
        if chart is not None:
            out.append((iteration, chart))
    return out


def _bars(points: Sequence[GoldPoint]) -> tuple[float, ...]:
    return tuple(Z95 * point.gold_std_error for point in points)


def _spend(data: ReportData) -> list[Markup]:
    """One chart a site, all on the same scale."""
    scale = max((max(site.cap, site.total or 0) for site in data.privacy.sites), default=1.0)
    return [figures.spend_chart(site, scale) for site in data.privacy.sites]


def _flatten(values: dict[str, JsonValue], above: str = "") -> Iterator[tuple[str, str]]:
    """Rows of further measurements; nested tables become ``outer, inner``."""
    for key, value in values.items():
        name = f"{above}, {key.replace('_', ' ')}" if above else numerals.label(key)
        if isinstance(value, dict):
            yield from _flatten(value, name)
        else:
            yield name, _written(value)


def _written(value: JsonValue) -> str:
    if value is None:
        return numerals.MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_written(one) for one in value)
    if isinstance(value, int):
        return numerals.whole(value)
    return numerals.decimal(value, 3) if isinstance(value, float) else str(value)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([Path(__file__).parent / "templates", FOLDER]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("whole", "decimal", "percent", "between", "epsilon", "cap", "small", "size", "duration"):
        environment.filters[name] = getattr(numerals, name)
    for name in ("label", "stage", "odds"):
        environment.filters[name] = getattr(numerals, name)
    environment.filters["compare"] = wording.compare
    return environment


def _replace(path: Path, content: str) -> Path:
    """Write beside, flush to disk, then rename: a reader sees the old file or the new one."""
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise InputError(path, 0, "cannot be written", remedy="check permissions and free space") from None
    return path


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a figure")
