"""How the documented lines are tried by which hospital and coordinator meet, and the dashboard is served."""

from __future__ import annotations

import socket
import ssl
import urllib.request
from pathlib import Path

from tests.e2e.desk import Desk

from intraward_client.home import SiteHome
from intraward_simulation.processes import free_port


def _passes(desk: Desk, line: str) -> bool:
    return desk.call(desk.words(line)) == 0


def enrolls(desk: Desk, line: str) -> bool:
    """With the request of the site that the hospital's page made."""
    return _passes(desk, line.replace("enrolment.json", str(SiteHome(desk.root / "site").enrolment)))


def joins(desk: Desk, line: str) -> bool:
    """With a kit for the site, by the coordinator whom its policy names."""
    desk.lay_kit("kit")
    return _passes(desk, line)


def provisions(desk: Desk, line: str) -> bool:
    """Into a folder of its own, which then holds a signed kit."""
    good = _passes(desk, line.replace("--out kit", "--out provisioned"))
    return good and Path("provisioned/SHA256SUMS.sig").is_file()


def shows_dashboard(desk: Desk, line: str) -> bool:
    """The pages answer on a free port; or the report is written."""
    home = desk.root / "shown"
    copied = str(home) if home.exists() else desk.server_copy(home.name)
    words = desk.words(line.replace("/srv/coordinator", copied))
    if "--report" in words:
        return desk.call(words) == 0 and "Adapters and lineage" in Path(words[-1]).read_text()
    words[words.index("--port") + 1] = str(port := free_port())

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as told:
                return b"intraward_rounds_done" in told.read()
        except OSError:
            return False

    return desk.start(words, answers)


def superlink_listens(desk: Desk, line: str) -> bool:
    """The SuperLink answers on a free port, with the certificate that init made."""
    port = free_port()
    context = ssl.create_default_context(cafile=str(desk.root / "coordinator" / "tls" / "ca.crt"))

    def answers() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), 2) as plain:
                return context.wrap_socket(plain, server_hostname="fl.example.org").version() == "TLSv1.3"
        except OSError:
            return False

    return desk.start(desk.words(line.replace("8100", str(port))), answers)


def inspects(desk: Desk, line: str) -> bool:
    """Without the network: the SuperLink of the kit is not there."""
    words = desk.words(line)
    return desk.call([*words, *(() if "--offline" in words else ("--offline",))]) == 0
