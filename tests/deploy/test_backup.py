"""Backup and restore of a real site's folder, and what a restored older ledger meets."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from tests.deploy.shipped import DEPLOY

from intraward_client.config import SitePolicy, load_policy
from intraward_client.home import SiteHome
from intraward_client.initialise import initialise
from intraward_client.site_ledger import open_ledger
from intraward_client.store.vault import Vault
from intraward_shared.config import parse
from intraward_shared.errors import LedgerError
from intraward_shared.signing import SigningKey

BACKUP, RESTORE = DEPLOY / "backup" / "backup.sh", DEPLOY / "backup" / "restore.sh"
OFFICER = SigningKey.from_seed(b"\x0f" * 32)


def shell(script: Path, *arguments: object) -> tuple[int, str]:
    """Exit code and all output of a script."""
    done = subprocess.run(
        [script, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def site(tmp_path: Path) -> SiteHome:
    """A site with an officer and a second head, as the hospital's page says."""
    (tmp_path / "second").mkdir()
    table = {
        "site": "north",
        "privacy": {
            "delta": 1e-5,
            "declared_max_patients": 100,
            "lifetime_epsilon": 8.0,
            "min_noise_multiplier": 0.8,
            "max_sample_rate": 0.5,
            "max_steps_per_round": 10,
            "max_records_per_patient": 2,
        },
        "model": {"path": str(tmp_path / "model"), "sha256": "0" * 64},
        "coordinator": {"public_key": "0" * 64},
        "officer": {"public_key": OFFICER.public},
        "ledger": {"second_path": str(tmp_path / "second" / "north.head")},
    }
    home = initialise(tmp_path / "site", parse(table, SitePolicy, "policy"), time="2029-12-31T00:00:00Z")
    (home.root / "curves").mkdir()
    (home.root / "curves" / "private").write_text("figures")
    return home


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """Where the data and where the keys go."""
    for name in ("data", "keys"):
        (tmp_path / name).mkdir()
    return tmp_path / "data", tmp_path / "keys"


def backed_up(site: SiteHome, places: tuple[Path, Path]) -> tuple[Path, Path]:
    """The two archives of a backup."""
    code, said = shell(BACKUP, site.root, *places)
    assert code == 0, said
    (data,), (keys,) = places[0].glob("*.tar"), places[1].glob("*.tar")
    return data, keys


def test_keys_and_data_are_never_in_one_archive(site: SiteHome, places: tuple[Path, Path]) -> None:
    data, keys = backed_up(site, places)
    assert {path.stat().st_mode & 0o777 for path in (data, keys)} == {0o600}
    with tarfile.open(data) as archive:
        inside = {Path(name) for name in archive.getnames()}
    assert {Path(name) for name in ("vault.db", "ledger.jsonl", "policy.toml", "outbox")} <= inside
    assert {path.parts[0] for path in inside if path.parts} & {"keys", "run", "curves"} == set()
    with tarfile.open(keys) as archive:
        assert {Path(name).parts[0] for name in archive.getnames()} == {"keys"}


def test_keys_on_their_own_volume_are_followed(
    site: SiteHome, places: tuple[Path, Path], tmp_path: Path
) -> None:
    """As the runbook lays them: keys/ is a link."""
    (site.root / "keys").rename(tmp_path / "volume")
    (site.root / "keys").symlink_to(tmp_path / "volume")
    data, keys = backed_up(site, places)
    with tarfile.open(keys) as archive:
        assert any(member.isfile() and member.name.endswith("signing.key") for member in archive)
    with tarfile.open(data) as archive:
        assert [name for name in archive.getnames() if "keys" in name] == []


def test_a_restored_site_opens_its_vault_and_ledger(
    site: SiteHome, places: tuple[Path, Path], tmp_path: Path
) -> None:
    modes = {path.relative_to(site.root): path.stat().st_mode for path in site.root.rglob("*.key")}
    data, keys = backed_up(site, places)
    shutil.rmtree(site.root)
    code, said = shell(RESTORE, data, keys, site.root)
    assert code == 0 and "intraward-client doctor" in said
    assert {path: (site.root / path).stat().st_mode for path in modes} == modes
    assert not site.curves.exists()
    with closing(Vault.open(site.vault, site.vault_keys)):
        pass
    policy = load_policy(site.policy)
    with closing(open_ledger(site, policy, SigningKey.load(site.signing_key))) as ledger:
        assert len(ledger.entries) == 1


def test_a_restored_older_ledger_is_refused(site: SiteHome, places: tuple[Path, Path]) -> None:
    data, keys = backed_up(site, places)
    policy, key = load_policy(site.policy), SigningKey.load(site.signing_key)
    with closing(open_ledger(site, policy, key)) as ledger:  # what was spent after the backup
        ledger.amend_policy("0" * 64, 7.0, "2030-01-01T00:00:00Z", second_path=policy.second_path)
    newest = site.ledger.read_bytes()
    shutil.rmtree(site.root)
    assert shell(RESTORE, data, keys, site.root)[0] == 0
    with pytest.raises(LedgerError, match="an older copy was put back"):
        open_ledger(site, policy, key)
    site.ledger.write_bytes(newest)  # the page's first advice: put the newest ledger back
    with closing(open_ledger(site, policy, key)) as ledger:
        assert len(ledger.entries) == 2


def test_nothing_is_copied_while_the_ward_holds_the_ledger(site: SiteHome, places: tuple[Path, Path]) -> None:
    policy = load_policy(site.policy)
    with closing(open_ledger(site, policy, SigningKey.load(site.signing_key))):
        code, said = shell(BACKUP, site.root, *places)
    assert code == 1 and "ledger.jsonl is open in process" in said
    assert [*places[0].iterdir(), *places[1].iterdir()] == []


def test_a_restore_overwrites_nothing_and_takes_nothing_damaged(
    site: SiteHome, places: tuple[Path, Path], tmp_path: Path
) -> None:
    data, keys = backed_up(site, places)
    before = site.ledger.read_bytes()
    code, said = shell(RESTORE, data, keys, site.root)
    assert code == 1 and "holds files" in said and site.ledger.read_bytes() == before
    data.write_bytes(data.read_bytes().replace(b"north", b"south"))
    code, said = shell(RESTORE, data, keys, tmp_path / "new")
    assert code == 1 and "digest differs" in said and not (tmp_path / "new").exists()


def test_archives_of_different_times_are_refused(
    site: SiteHome, places: tuple[Path, Path], tmp_path: Path
) -> None:
    data, keys = backed_up(site, places)
    older = keys.with_name("keys-20200101T000000Z.tar")
    shutil.copyfile(keys, older)
    older.with_name(older.name + ".sha256").write_text(
        keys.with_name(keys.name + ".sha256").read_text().replace(keys.name, older.name)
    )
    code, said = shell(RESTORE, data, older, tmp_path / "new")
    assert code == 1 and "different times" in said


def test_a_coordinators_folder_is_known_too(places: tuple[Path, Path], tmp_path: Path) -> None:
    home = tmp_path / "coordinator"
    for name in (
        "keys/coordinator.key",
        "tls/server.key",
        "flwr/superexec.secret",
        "flwr/state.db",
        "program.toml",
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("x")
    assert shell(BACKUP, home, *places)[0] == 0
    (data,), (keys,) = places[0].glob("*.tar"), places[1].glob("*.tar")
    with tarfile.open(data) as archive:
        assert {n for n in archive.getnames() if "." in n[1:]} == {"./flwr/state.db", "./program.toml"}
    with tarfile.open(keys) as archive:
        assert {n for n in archive.getnames() if "." in n[1:]} == {
            "./keys/coordinator.key",
            "./tls/server.key",
        }
    code, said = shell(BACKUP, tmp_path, *places)
    assert code == 1 and "neither" in said
