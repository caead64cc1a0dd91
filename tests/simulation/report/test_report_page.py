"""The page: self-contained, well-formed, honest in every state, and readable in light and dark."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from intraward_simulation.report import render
from intraward_simulation.report_data import ReportData

VOID = {"meta", "link", "br", "hr", "img", "input"}
FORBIDDEN = ("HIPAA", "anonym", "cannot be reconstructed", "protects labellers", "prevents backdoors")


class Page(HTMLParser):
    """Collects tags and visible text, and fails on a wrongly nested element."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(source)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open and data.strip():
            self.words.append(data.strip())

    @property
    def text(self) -> str:
        """Visible text in one line."""
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.mark.parametrize("name", ["example", "sparse", "crowded"])
def test_every_state_gives_a_whole_page(name: str, request: pytest.FixtureRequest) -> None:
    page = Page(render(request.getfixturevalue(name)))
    names = [tag for tag, _ in page.tags]
    assert names.count("h1") == 1 and {"main", "header", "nav", "footer"} <= set(names)
    assert all(
        attrs.get("aria-label") for tag, attrs in page.tags if tag == "svg" and "aria-hidden" not in attrs
    )
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert all(link and link.startswith("#") and link[1:] in ids for link in links)
    for word in ("None", "nan", "inf", "Undefined"):
        assert re.search(rf"\b{word}\b(?! of )", page.text) is None, word


@pytest.mark.parametrize("name", ["example", "sparse", "crowded"])
def test_nothing_is_requested_and_nothing_runs(name: str, request: pytest.FixtureRequest) -> None:
    source = render(request.getfixturevalue(name))
    page = Page(source)
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert not {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe", "object", "use", "image"}
    assert re.search(r"(https?:)?//|url\(|@import|\bon\w+=", source) is None


@pytest.mark.parametrize("name", ["example", "sparse", "crowded"])
def test_no_claim_that_may_not_be_made(name: str, request: pytest.FixtureRequest) -> None:
    source = render(request.getfixturevalue(name)).lower()
    assert [claim for claim in FORBIDDEN if claim.lower() in source] == []


def test_the_four_figures_stand_beside_their_comparison(example: ReportData) -> None:
    text = Page(render(example)).text
    for part in (
        "90.5 % against 54.8 % by length alone",
        "1.53 against 0.41 after SFT",
        "ε 6.41 of a cap of 8 per patient",
        "0 of 200 planted",
        "preferred to SFT in 83 % (78.0 to 87.0 %)",
    ):
        assert part in text, part


def test_the_worst_site_stands_beside_the_mean(fields: dict[str, Any]) -> None:
    found = {"pairs": 40, "accuracy": 0.825, "accuracy_interval": (0.68, 0.91)}
    fields["reward_model"] |= {
        "by_site": {"northfield": found, "riverside": found | {"accuracy": 0.61}},
        "worst_site_accuracy": 0.61,
        "worst_site_accuracy_of": "riverside",
        "mean_site_accuracy": 0.7175,
    }
    source = render(ReportData.model_validate(fields))
    assert "<strong>61.0 %</strong>" in source and "mean of sites" in source
    assert "61.0 % on the pairs of the worst site, riverside, mean of sites 71.8 %" in Page(source).text
    assert "Head of each site alone" not in source


def test_what_nobody_measured_is_called_so(sparse: ReportData) -> None:
    text = Page(render(sparse)).text
    assert text.count("not measured") >= 8
    assert "planted identifiers got out" not in text


def test_simulated_noise_is_said_at_the_top_and_beside_the_promise(fields: dict[str, Any]) -> None:
    text = Page(render(ReportData.model_validate(fields))).text
    assert "SIMULATED" in text and "are not private" in text and "not the protection" in text
    fields["run"] = fields["run"] | {"simulated": False}
    text = Page(render(ReportData.model_validate(fields))).text
    assert "SIMULATED" not in text and "This run used a seed" not in text


def test_a_leak_is_the_headline_and_breaks_the_promise(crowded: ReportData) -> None:
    text = Page(render(crowded)).text
    assert "3 of 200 planted identifiers got out." in text
    assert "Nothing of this run should be released. Found in: logs." in text
    assert "This run did not keep it." in text
    assert "stayed inside" not in text


def test_a_broken_ledger_is_the_headline(fields: dict[str, Any]) -> None:
    fields["ledger"]["verified"] = fields["ledger"]["sites"][1]["verified"] = False
    text = Page(render(ReportData.model_validate(fields))).text
    assert "A privacy ledger does not verify." in text and "Not verified: Nordlund." in text


def test_a_passed_cap_is_the_headline(fields: dict[str, Any]) -> None:
    fields["privacy"]["sites"][2]["cap"] = 2.0
    text = Page(render(ReportData.model_validate(fields))).text
    assert "One hospital spent more privacy than the cap allows." in text and "over the cap" in text


def test_a_search_that_misses_known_identifiers_proves_nothing(fields: dict[str, Any]) -> None:
    fields["egress"]["control_found"] = 120
    text = Page(render(ReportData.model_validate(fields))).text
    assert "None of 200 planted" not in text and "the search itself misses some" in text


def test_text_from_outside_is_escaped(fields: dict[str, Any]) -> None:
    hostile = "<script>alert(1)</script>&\"'"
    fields["run"]["name"] = fields["run"]["sites"][0]["name"] = hostile
    fields["samples"] = [{"prompt": hostile, "before": hostile, "after": f"{hostile} new"}]
    fields["evaluation"] = {hostile: {hostile: [1, None, True, hostile]}}
    source = render(ReportData.model_validate(fields))
    assert "<script" not in source
    assert Page(source).text.count("<script>alert(1)</script>") >= 5


def test_new_words_of_a_sample_are_marked(example: ReportData) -> None:
    marked = re.findall(r"<mark>(.*?)</mark>", render(example))
    assert "Come back if it spreads or you have a fever." in marked
    assert not any("twice a day" in part for part in marked)


def test_the_promise_stands_word_for_word(example: ReportData) -> None:
    assert "noised by the hospital itself, so it holds even if the coordinator is malicious." in render(
        example
    )


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_text_colours_reach_contrast_aa(example: ReportData, scheme: str) -> None:
    colours = _colours(render(example), scheme)
    for ink in ("ink", "muted", "one", "ref", "two", "bad"):
        for ground in ("paper", "panel", "inside"):
            assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)


def _colours(source: str, scheme: str) -> dict[str, str]:
    blocks = re.findall(r":root \{(.*?)\}", source, re.DOTALL)
    light, dark, paper = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", block)) for block in blocks)
    return {"light": light, "dark": light | dark, "print": light | paper}[scheme]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
