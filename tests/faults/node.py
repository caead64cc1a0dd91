"""Faults of a hospital's machine: disk, clock, a second node, leaving. Each strikes one phase of a round."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import patch

from tests.faults.bench import Bench
from tests.faults.outcome import Outcome, Seen
from tests.faults.phases import Phase, once

from intraward_client.participation import leave

DAY = timedelta(days=1)


class Disk(Protocol):
    """A disk that can fail and be mended."""

    def fail(self) -> None:
        """From now on nothing can be written."""

    def mend(self) -> None:
        """It can be written again."""


class Failing:
    """A disk whose writes fail with an error number, for files below a folder; reading goes on."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder, self._number, self._failing = folder.resolve(), number, False

    def fail(self) -> None:
        """From now on nothing can be written."""
        self._failing = True

    def mend(self) -> None:
        """It can be written again."""
        self._failing = False

    def _check(self, path: Path) -> None:
        if self._failing and path.resolve().is_relative_to(self._folder):
            raise OSError(self._number, os.strerror(self._number))

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Every way in which Python writes below the folder goes through this disk."""
        opened, wrote, synced, replaced = os.open, os.write, os.fsync, Path.replace

        def open_(path: Any, flags: int, *more: Any, **named: Any) -> int:
            writing = flags & (os.O_WRONLY | os.O_RDWR)
            if writing and (self._number == errno.EROFS or flags & os.O_CREAT):
                self._check(Path(os.fspath(path)))
            return opened(path, flags, *more, **named)

        def write(handle: int, data: Any) -> int:
            self._check(_path_of(handle))
            return wrote(handle, data)

        def fsync(handle: int) -> None:
            self._check(_path_of(handle))
            synced(handle)

        def replace(path: Path, target: Any) -> Path:
            self._check(path)
            return replaced(path, target)

        with (
            patch.object(os, "open", open_),
            patch.object(os, "write", write),
            patch.object(os, "fsync", fsync),
            patch.object(Path, "replace", replace),
        ):
            yield


def _path_of(handle: int) -> Path:
    return Path(f"/proc/self/fd/{handle}").readlink()


class Full:
    """A small real file system, filled to the last byte: SQLite and everything else get ENOSPC."""

    def __init__(self, folder: Path) -> None:
        self._filler = folder / "filler"

    def fail(self) -> None:
        """Fill it."""
        handle = os.open(self._filler, os.O_WRONLY | os.O_CREAT)
        try:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        os.write(handle, bytes(size))
                except OSError as error:
                    assert error.errno == errno.ENOSPC
        finally:
            os.close(handle)

    def mend(self) -> None:
        """Free it."""
        self._filler.unlink()


def broken_disk(bench: Bench, phase: Phase, disk: Disk) -> Seen:
    """The disk fails at the phase, and is mended before the plan is asked again."""
    return bench.story(phase, disk.fail, mend=disk.mend)


def disk_full(bench: Bench, phase: Phase) -> Seen:
    """Writes below the site's folder fail with ENOSPC."""
    return _failing(bench, phase, errno.ENOSPC)


def disk_read_only(bench: Bench, phase: Phase) -> Seen:
    """Writes below the site's folder, and opening for them, fail with EROFS."""
    return _failing(bench, phase, errno.EROFS)


def _failing(bench: Bench, phase: Phase, number: int) -> Seen:
    disk = Failing(bench.home.root, number)
    with disk.installed():
        return broken_disk(bench, phase, disk)


def clock_ahead(bench: Bench, phase: Phase) -> Seen:
    """The hospital's clock jumps a day ahead, and is set right afterwards."""
    return _wrong_clock(bench, phase, DAY)


def clock_behind(bench: Bench, phase: Phase) -> Seen:
    """The hospital's clock jumps a day back, and is set right afterwards."""
    return _wrong_clock(bench, phase, -DAY)


def _wrong_clock(bench: Bench, phase: Phase, shift: timedelta) -> Seen:
    """Wrong from the phase on; before RESERVE already when the plan comes."""
    set_wrong: Callable[[], None] = lambda: setattr(bench.clock, "shift", shift)  # noqa: E731
    set_right: Callable[[], None] = lambda: bench.clock.set_right()  # noqa: E731
    if phase is not Phase.BEFORE_RESERVE:
        return bench.story(phase, set_wrong, mend=set_right)
    set_wrong()
    struck, sealed = bench.asked(), bench.site.sealed(bench.plan().digest)
    set_right()
    return bench.judged(struck, sealed, bench.asked())


def leaves(bench: Bench, phase: Phase) -> Seen:
    """The hospital leaves the consortium for good; asked again it answers nothing."""
    return bench.story(phase, lambda: _leave(bench))


def _leave(bench: Bench) -> None:
    leave(bench.home, "fault table")


def second_node(bench: Bench, phase: Phase) -> Seen:
    """The site's folder is copied at the phase, and both nodes hold its keys.

    One of them answers the round and is countersigned; the other is then asked with that receipt.
    """
    copies: list[Any] = []

    def copy() -> None:
        copies.append(bench.copy("second"))

    if phase in (Phase.RELEASED, Phase.UPLOADED):  # the copy has the whole round
        first = bench.asked(strike=once(phase, copy))
        if not copies:
            copy()
        again = bench.asked(2, home=copies[0], receipt=bench.receipt())
        assert (first.code, again.code) == ("OK", "OK")
        receipt = bench.receipt(2, copies[0])
        struck, sealed = bench.asked(2, receipt=receipt), bench.site.sealed(bench.plan(2).digest)
        bench.site.check()
    else:
        assert bench.asked(strike=once(phase, copy)).code == "OK"
        receipt = bench.receipt()
        struck, sealed = bench.asked(2, home=copies[0], receipt=receipt), ""
        bench.site.check()
    if struck.code != "LEDGER" or sealed:
        raise AssertionError(f"the other node was heard: {struck.code}")
    return Seen(Outcome.REFUSED, struck.code)
