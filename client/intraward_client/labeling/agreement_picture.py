"""Agreement as a picture: alpha of each question with its interval, over Krippendorff's two limits."""

from __future__ import annotations

from pathlib import Path

from intraward_client.drawing import FAINT, INK, plain_axes, sheet, title
from intraward_client.labeling.agreement import RELIABLE, TENTATIVE, Report
from intraward_shared.errors import ConfigError

_COLOURS = {"reliable": "#009E73", "tentative": "#E69F00", "low": "#D55E00"}
"""Okabe and Ito's palette; the verdict stands in words beside the question too."""


def draw_agreement(report: Report, site: str, target: Path) -> None:
    """Draw every question that has an alpha.

    Raises:
        ConfigError: there is nothing to draw, or the file cannot be written.
    """
    told = [(question, question.alpha) for question in report.questions if question.alpha is not None]
    if not told:
        raise ConfigError("--plot", "", "there is no agreement to draw yet", remedy="let two people judge")
    with sheet(target, (9.0, 1.4 + 0.32 * len(told)), {}, private=True) as figure:
        title(figure, f"{site}: agreement of raters (Krippendorff's alpha, 95 % intervals by item)")
        axes = figure.subplots()
        plain_axes(axes)
        axes.grid(axis="y", visible=False)
        for limit, name in ((TENTATIVE, "tentative"), (RELIABLE, "reliable")):
            axes.axvline(limit, color=FAINT, linewidth=0.8, linestyle="--")
            axes.text(limit, -0.9, name, color=FAINT, fontsize=8, ha="center", backgroundcolor="white")
        for row, (question, alpha) in enumerate(told):
            colour = _COLOURS[question.verdict]
            if alpha.interval is not None:
                axes.plot(alpha.interval, [row, row], color=colour, linewidth=2)
            axes.plot([alpha.value], [row], "o", color=colour)
        names = [
            f"{question.question}{' in ' * bool(question.specialty)}{question.specialty}, {question.verdict}"
            for question, _ in told
        ]
        axes.set_yticks(range(len(told)), names, color=INK)
        axes.set_xlim(min(-0.2, *(alpha.interval[0] if alpha.interval else 0 for _, alpha in told)), 1.02)
        axes.set_ylim(len(told) - 0.5, -1.2)
        axes.set_xlabel("alpha")
