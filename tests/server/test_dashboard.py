"""The dashboard: what it shows of a coordinator's folder, whom it answers, and that it changes nothing."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.shared.release.consortium import COORDINATOR, finish, signed

from intraward_server import cli
from intraward_server.checkpoint import load_state
from intraward_server.dashboard.app import HEADERS, create_app
from intraward_server.dashboard.metrics import metrics
from intraward_server.dashboard.pages import PAGES, report, style
from intraward_server.dashboard.serve import bind
from intraward_server.dashboard.view import DELTA, View, read_view
from intraward_server.home import ServerHome
from intraward_server.program import run
from intraward_shared.command import run as run_command
from intraward_shared.errors import ConfigError, ContractError
from intraward_shared.privacy import events_to_epsilon
from intraward_shared.program import load_program
from intraward_shared.protocol import sign_value
from intraward_shared.revocation import REVOCATION_DOMAIN, RevocationList, Revoked
from intraward_shared.signing import SigningKey

KEY = SigningKey.from_seed(b"c" * 32).public
_FINISHED: dict[str, Path] = {}
"""The folder of one finished program, run once and copied for every test."""


@pytest.fixture
def home(federation: Any, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished program of seven rounds; gamma gave up the first charged one."""
    if not _FINISHED:
        made = federation("finished")
        gamma = made.wards["gamma"]

        def gives_up(plan: Any) -> None:
            gamma.code = "ABORTED" if plan.round == 4 else "OK"

        gamma.before = gives_up
        run(made.grid(), made.home)
        kept = tmp_path_factory.mktemp("kept") / "home"
        shutil.copytree(made.home, kept)
        _FINISHED["home"] = kept
    copy = tmp_path / "copy"
    shutil.copytree(_FINISHED["home"], copy)
    return copy


@pytest.fixture
def stopped(federation: Any) -> Path:
    """A program that was killed in round 4, after alpha had answered."""
    made = federation("stopped")

    def dies(plan: Any) -> None:
        if plan.round == 4:
            raise KeyboardInterrupt

    made.wards["beta"].before = dies
    with pytest.raises(KeyboardInterrupt):
        run(made.grid(), made.home)
    return Path(made.home)


@pytest.fixture
def browse() -> Iterator[Callable[..., TestClient]]:
    """``browse(home)``: a client of the dashboard, asking for localhost."""
    yield lambda home: TestClient(create_app(home, KEY), base_url="http://localhost:8080")


def words(page: str) -> str:
    """A page without its tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def test_the_view_holds_rounds_sites_and_adapters(home: Path) -> None:
    view = read_view(home, KEY)
    assert (view.status, view.done, view.rounds_in_all, view.pending) == ("finished", 7, 7, None)
    assert [each.stage for each in view.rounds] == ["sft", "sft", "label", "reward", "reward", "ppo", "ppo"]
    assert view.rounds[3].missing == {"gamma": "ABORTED"} and view.rounds[3].sites == ("alpha", "beta")
    mechanism = load_program(ServerHome(home).program).stages[2].mechanism
    assert mechanism is not None
    one, two = (events_to_epsilon([mechanism] * count, DELTA) for count in (1, 2))
    spent = {site.name: (site.released, site.asked, site.answered) for site in view.sites}
    assert spent == {"alpha": (two, two, 7), "beta": (two, two, 7), "gamma": (one, two, 6)}
    state = load_state(ServerHome(home).state)
    assert state is not None
    used = {role: each.name for each in view.adapters for role in each.roles}
    assert used == {"policy": state.policy, "reward model": state.reward, "sft policy": state.sft}
    newest = view.adapters[0]
    assert newest.round == 7 and newest.sites == ("alpha", "beta", "gamma") and newest.parents


def test_every_update_is_within_the_bound_that_is_shown(home: Path) -> None:
    rounds = [each for each in read_view(home, KEY).rounds if each.stage != "label"]
    assert all(set(each.norms) == set(each.sites) and each.bound for each in rounds)
    assert all(0 < norm <= (each.bound or 0) for each in rounds for norm in each.norms.values())
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", each.finished) for each in rounds)


def test_a_round_under_way_shows_who_has_answered(stopped: Path, browse: Any) -> None:
    view = read_view(stopped, KEY)
    assert view.pending is not None and view.pending.planned and view.pending.charged
    assert (view.status, view.done, view.pending.number) == ("running", 3, 4)
    assert view.pending.answered == ("alpha",) and view.sites[0].standing == "has answered round 4"
    assert view.sites[2].asked > 0 == view.sites[2].released
    page = words(browse(stopped).get("/").text)
    assert "Under way: round 4" in page and "alpha: answered" in page and "gamma: waited for" in page


def test_before_the_first_round_there_is_a_page(federation: Any, browse: Any) -> None:
    made = federation("fresh")
    for path in PAGES:
        assert browse(made.home).get(path).status_code == 200
    assert "The program has not begun" in browse(made.home).get("/").text
    view = read_view(made.home, KEY)
    assert view.pending is not None and not view.pending.planned and view.sites[0].asked == 0


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_safe_to_open(home: Path, browse: Any, path: str) -> None:
    answer = browse(home).get(path)
    assert answer.status_code == 200 and "refresh" not in answer.headers
    assert {name: answer.headers[name.lower()] for name in HEADERS} == HEADERS
    assert "<script" not in answer.text and not re.search(r"\son\w+=|style=|https?://", answer.text)
    assert browse(home).get(f"{path}?live=1").headers["refresh"] == "10"
    assert browse(home).head(path).status_code == 200


def test_the_pages_show_what_the_folder_holds(home: Path, browse: Any) -> None:
    ask = browse(home)
    sites = words(ask.get("/sites").text)
    assert "gamma in the program" in sites and "ABORTED" not in sites and "δ 1e-5" in sites
    assert "gamma: ABORTED" in words(ask.get("/").text)
    evaluation = ask.get("/evaluation").text
    assert evaluation.count('class="chart"') == 5 and "Nothing here was measured on a hospital" in evaluation
    adapter = read_view(home, KEY).adapters[0]
    assert f'id="a-{adapter.name[:16]}"' in ask.get("/adapters").text
    assert "Nothing is released yet" in ask.get("/gates").text


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8080", ""]
)
def test_a_foreign_name_is_not_answered(home: Path, browse: Any, host: str) -> None:
    answer = browse(home).get("/metrics", headers={"host": host})
    assert answer.status_code == 421 and "intraward_" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1:8080", "[::1]:8080"])
def test_this_machine_is_answered_by_any_of_its_names(home: Path, browse: Any, host: str) -> None:
    assert browse(home).get("/metrics", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_sent(home: Path, browse: Any, method: str) -> None:
    for path in ("/", "/nothing"):
        assert browse(home).request(method, path).status_code == 405


def test_reading_changes_nothing(home: Path, browse: Any) -> None:
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    for path in (
        *PAGES,
        "/metrics",
        "/report.html",
        "/static/dashboard.css",
        "/static/../view.py",
        "/nothing",
    ):
        browse(home).get(path)
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_only_its_own_static_files_are_served(home: Path, browse: Any) -> None:
    ask = browse(home)
    assert ask.get("/static/dashboard.css").text == style() and "url(" not in style()
    assert ask.get("/static/icon.svg").headers["content-type"] == "image/svg+xml"
    for name in ("%2e%2e%2fview.py", "dashboard.css.map", "..%2f..%2fkeys%2fcoordinator.key"):
        assert ask.get(f"/static/{name}").status_code == 404


def test_an_altered_adapter_is_named_and_not_shown(home: Path, browse: Any) -> None:
    name = read_view(home, KEY).adapters[0].name
    manifest = ServerHome(home).adapters / name[:16] / "intraward_adapter.json"
    data = bytearray(manifest.read_bytes())
    data[len(data) // 2] ^= 1
    manifest.write_bytes(data)
    shown = [each for each in read_view(home, KEY).adapters if each.problem]
    assert [each.name for each in shown] == [name[:16]]
    assert "not shown" in browse(home).get("/adapters").text


def test_what_cannot_be_read_is_told_with_its_remedy(home: Path, browse: Any) -> None:
    ServerHome(home).state.write_text("{}")
    with pytest.raises(ContractError):
        read_view(home, KEY)
    answer = browse(home).get("/")
    assert answer.status_code == 500 and "state.json" in answer.text and "What to do" in answer.text
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]


def test_metrics_are_what_prometheus_reads(home: Path) -> None:
    text = metrics(read_view(home, KEY))
    assert text.endswith("\n")
    line = re.compile(r'[a-z_]+(\{[a-z_]+="[^"]*"\})? -?[0-9.e+-]+')
    for written in text.splitlines():
        assert written.startswith(("# HELP intraward_", "# TYPE intraward_")) or line.fullmatch(written), (
            written
        )
    assert (
        "intraward_rounds_done 7.0\n" in text and 'intraward_site_rounds_answered{site="gamma"} 6.0' in text
    )
    assert 'intraward_site_revoked{site="alpha"} 0.0' in text and "patient" not in text


def test_a_label_of_prometheus_is_escaped(home: Path) -> None:
    view = read_view(home, KEY)
    odd = View(**{**view.__dict__, "run_id": 'a"b\\c\nd'})
    assert r'intraward_program_finished{run="a\"b\\c\nd"} 1.0' in metrics(odd)


def test_the_report_is_one_file_with_every_page(home: Path, browse: Any) -> None:
    page = report(read_view(home, KEY, datetime(2030, 1, 1, tzinfo=UTC)))
    assert all(f'id="{name}"' in page for name, _ in PAGES.values())
    assert "2030-01-01 00:00:00 UTC" in page and "default-src 'none'" in page
    assert not re.search(r"https?://|url\(|@import|<script|<link|\shref=\"[^#]", page)
    answer = browse(home).get("/report.html")
    assert answer.status_code == 200 and "attachment" in answer.headers["content-disposition"]


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Exit code of ``intraward-server dashboard``."""
    monkeypatch.setattr("sys.argv", ["intraward-server", "dashboard", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        run_command(cli.app)
    return int(stop.value.code or 0)


def test_the_command_writes_the_report(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "run.html"
    assert call(monkeypatch, "--home", home, "--report", page, "--json") == 0
    assert (
        json.loads(capsys.readouterr().out)["rounds_done"] == 7 and "Adapters and lineage" in page.read_text()
    )
    assert call(monkeypatch, "--home", home, "--report", tmp_path / "none" / "run.html") == 1
    assert "check folder and disk" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "fl.example.org"])
def test_it_listens_on_loopback_alone(
    home: Path, host: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "--home", home, "--host", host) == 1
    assert "no loopback address" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told() -> None:
    with bind("127.0.0.1", 0) as first:
        first.listen()
        assert first.getsockname()[0] == "127.0.0.1"
        with pytest.raises(ConfigError, match="taken"):
            bind("localhost", first.getsockname()[1])


@pytest.mark.slow
def test_a_release_is_shown_with_its_gates_and_only_as_it_was_signed(tmp_path: Path) -> None:
    made = signed(finish(tmp_path / "program"))
    home, public = made.folder.parents[1], COORDINATOR.public
    (shown,) = read_view(home, public).releases
    assert (shown.number, shown.adapter, shown.in_force) == (1, made.release.adapter, True)
    assert [(gate.name, gate.status) for gate in shown.gates] == [(g.name, g.status) for g in made.gates]
    ask = TestClient(create_app(home, public), base_url="http://localhost")
    page = words(ask.get("/gates").text)
    assert all(gate.asked in html.unescape(page) for gate in made.gates) and "in force" in page
    assert "release 1" in words(ask.get("/adapters").text)
    results = made.folder / "gates.json"
    results.write_text(results.read_text().replace("passed", "failed"))
    view = read_view(home, public)
    assert view.releases == () and any("is not what the release signed" in each for each in view.warnings)
    assert "is not what the release signed" in ask.get("/").text


def test_a_revoked_adapter_is_told(home: Path, browse: Any) -> None:
    place, key = ServerHome(home), SigningKey.from_seed(b"c" * 32)
    name = read_view(home, KEY).adapters[0].name
    listed = RevocationList(revoked=(Revoked(adapter=name, time="2030-01-01T00:00:00Z", reason="bad"),))
    place.revoked.write_bytes(sign_value(listed, REVOCATION_DOMAIN, key))
    assert "2030-01-01T00:00:00Z: bad" in browse(home).get("/adapters").text
    place.revoked.write_bytes(sign_value(listed, REVOCATION_DOMAIN, SigningKey.generate()))
    assert any("revoked.json" in warning for warning in read_view(home, KEY).warnings)
