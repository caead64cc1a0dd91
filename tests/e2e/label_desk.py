"""The label station on the desk: its socket answers, or its address does with TLS; what goes in and out."""

from __future__ import annotations

import json
import ssl
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.e2e.desk import Desk

from intraward_client.deid.note import DeidReceipt, seal_note
from intraward_client.desksocket import desk as serves_desk
from intraward_client.home import SiteHome
from intraward_client.store.notes import store_outcomes
from intraward_client.store.vault import Vault
from intraward_client.ward import Ward
from intraward_simulation.processes import free_port

HOST = "localhost"
BLIND = "blind-0123456789ab-00001"


def station_serves(desk: Desk, line: str) -> bool:
    """The station answers where the line says, and without a session there is only the login."""
    words = desk.words(line)
    desk.end(words[:3])  # one station at a time on a site
    if "--listen" not in words:
        return desk.start(words, lambda: _answers(socket=SiteHome(desk.root / "site").label_socket))
    port = free_port()
    make_certificate(desk.root)
    words[words.index("--listen") + 1] = f"127.0.0.1:{port}"
    return desk.start(words, lambda: _answers(address=f"https://{HOST}:{port}", folder=desk.root))


def prepares(desk: Desk, line: str) -> bool:
    """The ward, running or started for it, answers a question of a note with the release in use."""
    home = SiteHome(desk.root / "site")
    install = "intraward-client adapter install release/ --ancestors adapters/ --home /srv/intraward"
    receipt = DeidReceipt("safe-harbor", "0" * 64, "0" * 64, {})
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        store_outcomes(vault, [seal_note("asked", "P-1009", "Question: may I run?", receipt)])
    short = ["--max-prompt-tokens", "8", "--max-new-tokens", "8"]
    with ExitStack() as running:
        if not home.desk_socket.exists():
            running.enter_context(serves_desk(running.enter_context(closing(Ward(home)))))
        return desk.call(desk.words(install)) == 0 and desk.call([*desk.words(line), *short]) == 0


def adds_answers(desk: Desk, line: str) -> bool:
    """Two answers to a question of a patient whom nobody has to know."""
    row = {"id": "q-1", "prompt": "May I swim?", "patient": "P-1011"}
    row["answers"] = ["Yes, do.", "Not before the wound is closed."]  # type: ignore[assignment]
    rows = [row, row | {"id": BLIND, "patient": BLIND, "prompt": "May I climb?"}]
    text = "".join(json.dumps(each) + "\n" for each in rows)
    (desk.root / "items.jsonl").write_text(text, encoding="utf-8")
    return desk.call(desk.words(line)) == 0


def unblinds(desk: Desk, line: str) -> bool:
    """The key of the blind pair that was added; nobody has judged it yet."""
    pair = {"id": BLIND, "first": "policy", "words": [2, 6]}
    key = {"run_id": "r", "policy": "a" * 64, "other": None, "against": "base", "same": 0, "pairs": [pair]}
    (desk.root / "blind-key.json").write_text(json.dumps(key), encoding="utf-8")
    return desk.call(desk.words(line)) == 0


def imports_project(desk: Desk, line: str) -> bool:
    """A project of one task that two people judged alike."""
    said = {"type": "ranker", "from_name": "ranking", "value": {"ranker": {"rank-1": ["b"], "rank-2": ["a"]}}}
    answers = [{"id": "a", "body": "Run on."}, {"id": "b", "body": "Rest, and see your doctor if it swells."}]
    task = {
        "data": {"prompt": "May I run?", "patient": "P-1010", "answers": answers},
        "annotations": [{"completed_by": rater, "result": [said]} for rater in (1, 2)],
    }
    (desk.root / "project.json").write_text(json.dumps([task]), encoding="utf-8")
    return desk.call(desk.words(line)) == 0


def make_certificate(folder: Path) -> None:
    """``station.crt`` and ``station.key`` for this machine, for a day."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "station.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "station.key").write_bytes(private)


def _answers(socket: Path | None = None, address: str = "", folder: Path | None = None) -> bool:
    trust = ssl.create_default_context(cafile=str(folder / "station.crt")) if folder is not None else True
    transport = httpx.HTTPTransport(uds=str(socket) if socket is not None else None, verify=trust)
    with httpx.Client(transport=transport, base_url=address or "http://station") as client:
        try:
            return client.get("/health").text == "ok" and client.get("/task").headers["location"] == "/login"
        except httpx.TransportError:
            return False
