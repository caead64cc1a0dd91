"""Processes of one run: started in sessions of their own, restarted when they die, ended together.

Flower's programs start further programs, some in new sessions that outlive their parent, so neither
process groups nor parentage find them all. Every process of a run therefore carries a mark in its
environment, which its children inherit: what bears the mark belongs to this run and is ended with it,
also when it was left behind by a run that was itself killed (rule 10 of DESIGN.md). A ward lets nobody but
root read its environment; it is known by the run that its command line names. Nothing else on the machine is
ever touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

import psutil

from intraward_shared.errors import ConfigError, RoundFailed
from intraward_shared.signing import digest

MARK = "INTRAWARD_SIMULATION_RUN"
RUN_OPTION = "--run"
"""Option of a ward's command, followed by the run's folder."""
GRACE_SECONDS = 5.0
POLL_SECONDS = 0.2
SWEEPS = 5


@dataclass
class _Started:
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    process: subprocess.Popen[bytes]
    restarts: int


class Supervisor:
    """The processes of the run in ``folder``; a context manager that leaves none behind.

    Args:
        folder: the run; one supervisor at a time may hold it.

    Raises:
        ConfigError: another process is running this run right now.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: dict[str, _Started] = {}
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (self._folder / "processes.lock").open("w", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise ConfigError(
                self._folder, "", "this run is going on in another process", remedy="wait for it, or stop it"
            ) from None
        self._lock = lock
        end_all(self._folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with uninterrupted():
            try:
                end_all(self._folder)
                for started in self._started.values():
                    started.process.wait()
            finally:
                if self._lock is not None:
                    self._lock.close()

    @property
    def logs(self) -> Path:
        """Folder of the processes' logs."""
        return self._folder / "logs"

    def log(self, name: str) -> Path:
        """Log file of one process."""
        return self.logs / f"{name}.log"

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], *, restarts: int = 0
    ) -> None:
        """Start a process; its output is appended to its log.

        Args:
            name: name of its log, and of the process in messages.
            command: program and arguments.
            environment: whole environment; the run's mark is added.
            restarts: how often ``revive`` may start it again when it ended.
        """
        marked = dict(environment) | {MARK: mark_of(self._folder)}
        self._started[name] = _Started(command, marked, self._spawn(name, command, marked), restarts)

    def ended(self, name: str) -> bool:
        """Whether a started process is no longer there."""
        return self._started[name].process.poll() is not None

    def demand(self, name: str) -> None:
        """Fail if a process that everything rests on is gone.

        Raises:
            RoundFailed: names the process and its log.
        """
        if self.ended(name):
            raise RoundFailed(f"the process of {name} ended too early", remedy=f"see {self.log(name)}")

    def revive(self) -> list[str]:
        """Start ended processes again that may be; returns their names."""
        again = [n for n, s in self._started.items() if s.restarts > 0 and s.process.poll() is not None]
        for name in again:
            started = self._started[name]
            started.process = self._spawn(name, started.command, started.environment)
            started.restarts -= 1
        return again

    def _spawn(
        self, name: str, command: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        handle = os.open(self.log(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(
                list(command),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError:
            raise ConfigError(
                command[0], "", "this program cannot be started", remedy="run: make install"
            ) from None
        finally:
            os.close(handle)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the work the way Ctrl-C does, so that everything is taken down in order."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handling(interrupt, (signal.SIGTERM, signal.SIGHUP)):
        yield


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Finish what is being done, whatever signal comes."""
    with _handling(signal.SIG_IGN, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)):
        yield


@contextlib.contextmanager
def _handling(
    handler: Callable[[int, FrameType | None], None] | signal.Handlers, numbers: tuple[signal.Signals, ...]
) -> Iterator[None]:
    """Signals can be handled by the main thread only; in another one nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def mark_of(folder: Path) -> str:
    """The mark of a run: the same in every process that ever runs it."""
    return digest(str(folder.resolve()).encode())


def processes_of(folder: Path, program: str = "") -> list[psutil.Process]:
    """Living processes of a run, other than this one.

    Args:
        folder: the run.
        program: only those whose command line has a part with this file name.
    """
    mark, found = mark_of(folder), []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or not _belongs(process, mark, folder):
                continue
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            if not program or program in (Path(part).name for part in process.cmdline()):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def _belongs(process: psutil.Process, mark: str, folder: Path) -> bool:
    try:
        return bool(process.environ().get(MARK) == mark)
    except psutil.AccessDenied:
        words = process.cmdline() if process.uids().real == os.getuid() else []
        return (RUN_OPTION, str(folder.resolve())) in pairwise(words)


def end_all(folder: Path) -> None:
    """End every process of a run: ask, wait ``GRACE_SECONDS``, then kill; also what they start meanwhile.

    Raises:
        RoundFailed: a process survives being killed (it hangs in the kernel); names its number.
    """
    for sweep in range(SWEEPS):
        living = processes_of(folder)
        if not living:
            return
        for process in living:
            _signal(process, kill=sweep > 0)
        psutil.wait_procs(living, timeout=GRACE_SECONDS if sweep == 0 else 1.0)
    left = processes_of(folder)
    if left:
        raise RoundFailed(
            f"process {left[0].pid} of this run does not end", remedy="end it by hand, then run again"
        )


def _signal(process: psutil.Process, *, kill: bool) -> None:
    with contextlib.suppress(psutil.Error):  # it may have ended by itself
        if kill:
            process.kill()
        else:
            process.terminate()


def wait_until(
    condition: Callable[[], bool], *, seconds: float, what: str, remedy: str, poll: float = POLL_SECONDS
) -> None:
    """Ask again and again until ``condition`` holds.

    Raises:
        RoundFailed: it did not hold in time; ``what`` says what was awaited.
    """
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise RoundFailed(f"{what} within {seconds:.0f} seconds", remedy=remedy)
        time.sleep(poll)
