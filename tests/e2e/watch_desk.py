"""How the pages' commands on what a model is worth, and what follows from it, are tried at both sides."""

from __future__ import annotations

import shutil
import tomllib
from contextlib import closing
from pathlib import Path

import tomli_w
from tests.e2e.desk import SITE, Desk
from tests.e2e.label_desk import prepares
from tests.e2e.release_desk import on_finished

from intraward_client.deid.note import DeidReceipt, seal_note
from intraward_client.home import SiteHome
from intraward_client.store.preferences import add_preference
from intraward_client.store.vault import Vault
from intraward_server.checkpoint import ProgramState, load_state
from intraward_server.home import ServerHome
from intraward_shared.decision import DECISION_DOMAIN, Decision, Reason, Verdict
from intraward_shared.figure import FIGURE_DOMAIN, Figure, FigureTerms, figure_mechanism
from intraward_shared.ledger import Ledger
from intraward_shared.ledger_entry import FigureName
from intraward_shared.protocol import sign_value
from intraward_shared.signing import SigningKey, digest
from intraward_simulation.run import RunFolder

NAMED = "3fa2b1c09d77"
TIME = "2026-02-01T00:00:00Z"


def _state(desk: Desk) -> ProgramState:
    state = load_state(ServerHome(desk.finished / "server").state)
    assert state is not None and state.policy is not None and state.sft is not None
    return state


def _installs(desk: Desk) -> ProgramState:
    """The run's reward model and two of its policies on the site's shelf, the last in use."""
    state = _state(desk)
    for name in (state.reward, state.sft, state.policy):
        line = f"intraward-client adapter install adapters/{str(name)[:16]} --ancestors adapters/"
        assert desk.call(desk.words(f"{line} --home /srv/intraward")) == 0
    return state


def _sets(desk: Desk, before: str, after: str) -> None:
    policy = SiteHome(desk.root / "site").policy
    assert before in policy.read_text()
    policy.write_text(policy.read_text().replace(before, after))


def evaluates(desk: Desk, line: str) -> bool:
    """On a site that holds half of its patients out, with the run's reward model as judge."""
    state, home = _installs(desk), SiteHome(desk.root / "site")
    _sets(desk, "holdout = 0.0", "holdout = 0.5")
    receipt = DeidReceipt("safe-harbor", "0" * 64, "0" * 64, {})
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        for number in range(12):
            texts = ("My knee hurts.", f"Rest it, {number} days.", "I do not know.")
            one, two, three = (
                seal_note(f"held-{number}", f"P-2{number:03}", text, receipt) for text in texts
            )
            add_preference(vault, f"held-{number}", one, two, three)
    short = ["--max-prompt-tokens", "8", "--max-new-tokens", "8"]
    good = desk.call([*desk.words(line.replace(NAMED, str(state.reward))), *short]) == 0
    return good and len(list((home.root / "evaluation").iterdir())) == 1


def prepares_either(desk: Desk, line: str) -> bool:
    """Answers of one adapter, or of two."""
    state = _installs(desk) if "--against" in line else _state(desk)
    return prepares(desk, line.replace(NAMED, str(state.sft)))


def drifts(desk: Desk, line: str) -> bool:
    """Nothing was judged yet, so nothing alarms."""
    return desk.call(desk.words(line.replace(NAMED, str(_installs(desk).sft)))) == 0


def decides(desk: Desk, line: str) -> bool:
    """About the adapter in use."""
    _installs(desk)
    return desk.call(desk.words(line)) == 0 and (desk.root / "site" / "decisions" / "1.json").is_file()


def releases_figure(desk: Desk, line: str) -> bool:
    """Once the site's policy allows it; no program was charged here before."""
    state = _installs(desk)
    _sets(desk, "[figures]\nepsilon = 0.0", "[figures]\nepsilon = 1.0")
    good = desk.call([*desk.words(line.replace(NAMED, str(state.sft))), "--first", "--yes"]) == 0
    return good and len(list((desk.root / "site" / "figures").iterdir())) == 1


def takes_decision(desk: Desk, line: str) -> bool:
    """Of a hospital of the run."""
    key = SigningKey.load(RunFolder(desk.finished).site(SITE).signing_key)
    said = Decision(
        site=SITE,
        public=key.public,
        number=1,
        adapter=str(_state(desk).policy),
        verdict=Verdict.LABEL_AGAIN,
        reason=Reason.JUDGED,
        time=TIME,
    )
    (desk.root / "decision.json").write_bytes(sign_value(said, DECISION_DOMAIN, key))
    return on_finished(desk, line)


def takes_figure(desk: Desk, line: str) -> bool:
    """Of a hospital of the run, charged in a copy of its ledger."""
    state, site = _state(desk), RunFolder(desk.finished).site(SITE)
    key, book = SigningKey.load(site.signing_key), desk.root / "figured.jsonl"
    shutil.copyfile(site.ledger, book)
    terms = FigureTerms(
        site=SITE,
        public=key.public,
        name=FigureName.WIN_RATE,
        adapter=str(state.policy),
        against=state.sft,
        mechanism=figure_mechanism(7.0, 2),
        max_error=0.1,
        simulated=True,
        time=TIME,
        nonce="0" * 32,
    )
    with closing(Ledger.open(book, key)) as ledger:
        envelope = sign_value(Figure(terms=terms, entry=ledger.reserve(terms), value=0.6), FIGURE_DOMAIN, key)
        ledger.release(terms.digest, digest(envelope))
    (desk.root / "figure.json").write_bytes(envelope)
    return on_finished(desk, line)


def measures(desk: Desk, line: str) -> bool:
    """The policy that supervised training made."""
    return on_finished(desk, line.replace(NAMED, str(_state(desk).sft)))


def follows(desk: Desk, line: str) -> bool:
    """With a program that names what a copy of the finished coordinator has released."""
    copied = desk.server_copy("followed")
    release = f"intraward-server release ledgers/*.jsonl --attacks attacks/ --home {copied}"
    if desk.call(desk.words(release)) != 0:
        return False
    home, folder = ServerHome(Path(copied)), desk.root / "next"
    folder.mkdir()
    table = tomllib.loads(home.program.read_text())
    table["program"] |= {"policy": _state(desk).policy, "seed": 97}
    table["stages"] = [stage for stage in table["stages"] if stage["stage"] != "sft"]
    (folder / "program.toml").write_text(tomli_w.dumps(table))
    for path in home.root.iterdir():
        if path.is_file() and path.suffix == ".jsonl":
            shutil.copyfile(path, folder / path.name)
    for path in home.root.glob("*.toml"):
        if path.name != "program.toml":
            shutil.copyfile(path, folder / path.name)
    good = desk.call(desk.words(line.replace("/srv/coordinator", copied))) == 0
    return good and not home.state.exists() and len(list((home.root / "earlier").iterdir())) == 1


WATCHING = {
    "intraward-client evaluate": evaluates,
    "intraward-client label prepare": prepares_either,
    "intraward-client drift": drifts,
    "intraward-client decide": decides,
    "intraward-client figure": releases_figure,
    "intraward-server decision": takes_decision,
    "intraward-server figure": takes_figure,
    "intraward-server measure": measures,
    "intraward-server follow": follows,
}
"""The recipe of each of these commands."""
