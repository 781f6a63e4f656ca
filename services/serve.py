"""The kit on one machine by one command: HTTP, the DICOM node, completion, anchor and workers."""

import fcntl
import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import structlog
import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from mri_guard.errors import SettingsError
from services import clock, logging
from services.app import create_app
from services.audit.anchor import anchor_head
from services.context import Context
from services.intake.completion import complete_quiet_series
from services.intake.dicom_node import DicomNode
from services.intake.service import recover
from services.settings import Settings

logger = structlog.get_logger(__name__)

FAILED, BROKEN = 1, 3
"""Exit statuses: a part of the server died; the bundle or the set-up is broken."""

ADDRESSES = "serve.json"
"""File under `home` that tells where a running server listens."""

POLL_SECONDS = 0.2
ANCHOR_SECONDS = 60.0
START_SECONDS = 60.0
GRACE_SECONDS = 30.0
"""What a worker may take to finish the examination that it has begun."""

FIRST_BACK_OFF_SECONDS, LONGEST_BACK_OFF_SECONDS = 0.5, 30.0
HEALTHY_SECONDS = 60.0
"""A worker that lived so long starts again soon when it dies."""

Entry = Callable[[Settings, int], None]
"""What a worker process runs: given the settings, and the server's process id."""


def examine(settings: Settings, parent: int) -> None:
    """One worker with the deployment's bundle, for as long as its server lives."""
    from services import worker  # noqa: PLC0415 - torch is for the worker; the server does without

    worker.main(settings, parent=parent)


def serve(settings: Settings, *, workers: int = 1, entry: Entry = examine) -> int:
    """Exit status, after SIGTERM or SIGINT or the failure of a part.

    Prints where it listens and writes the same to `home/serve.json` once everything answers. Port 0
    is a free one.

    Args:
        settings: of the deployment, which is made at the first start.
        workers: processes that examine.
        entry: what each of them runs.

    Raises:
        SettingsError: another server runs on this home, or a secret is broken.
        OSError: a port is taken.
    """
    stop = _Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with ExitStack() as parts:
        parts.enter_context(_alone(settings.home))
        context = Context.open(settings)
        parts.callback(context.close)
        recover(context)
        started_at = clock.now()

        def complete() -> None:
            complete_quiet_series(context, clock.now(), started_at)

        anchor = parts.enter_context(_repeated("anchor", partial(_anchor, context), ANCHOR_SECONDS))
        crew = parts.enter_context(_crew(settings, workers, entry))
        completion = parts.enter_context(_repeated("completion", complete, POLL_SECONDS))
        node = DicomNode(context)
        parts.callback(node.stop)
        dicom_port = node.start()
        http_port, http = parts.enter_context(_http(context))
        parts.enter_context(_announced(settings, http_port, dicom_port))
        return _watch(stop, [anchor, completion, http], crew)


class _Stop:
    """Whether a signal has asked for the end. A plain flag: an Event's lock may be held then."""

    asked = False

    def __call__(self, *_: object) -> None:
        self.asked = True


def _anchor(context: Context) -> None:
    if context.settings.audit_anchor:
        anchor_head(context.database, context.settings.audit_anchor)


def _watch(stop: _Stop, threads: list[threading.Thread], crew: list["_Member"]) -> int:
    while not stop.asked:
        dead = [thread.name for thread in threads if not thread.is_alive()]
        if dead:
            logger.error("serve.part.died", name=", ".join(dead))
            return FAILED
        for member in crew:
            if member.revive() == BROKEN:
                logger.error("serve.worker.broken", worker=member.number)
                return BROKEN
        time.sleep(POLL_SECONDS)
    logger.info("serve.stopping")
    return 0


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Holds the home: a second server would take the first one's half-written files for left."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / "serve.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingsError("another server runs on this MRI_GUARD_HOME") from error
        yield


@contextmanager
def _repeated(name: str, act: Callable[[], object], seconds: float) -> Iterator[threading.Thread]:
    """A thread that acts every so many seconds, and once more at the end."""
    done = threading.Event()

    def attempt() -> None:
        try:
            act()
        except (OSError, SQLAlchemyError) as error:  # the next time may be better
            logger.error("serve.part.failed", name=name, exc_info=error)

    def repeat() -> None:
        while not done.wait(seconds):
            attempt()
        attempt()

    thread = threading.Thread(target=repeat, name=name, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        done.set()
        thread.join()


@contextmanager
def _http(context: Context) -> Iterator[tuple[int, threading.Thread]]:
    """Port and thread of the HTTP server, once it answers."""
    settings = context.settings
    family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
    listening = socket.create_server((settings.http_host, settings.http_port), family=family)
    config = uvicorn.Config(
        create_app(context),
        log_config=None,
        access_log=False,  # the application logs its requests itself, without their paths
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), name="http", daemon=True)
    thread.start()
    try:
        end = time.monotonic() + START_SECONDS
        while not server.started and thread.is_alive() and time.monotonic() < end:
            time.sleep(0.01)
        yield listening.getsockname()[1], thread
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@contextmanager
def _announced(settings: Settings, http_port: int, dicom_port: int) -> Iterator[None]:
    path = settings.home / ADDRESSES
    http_host = f"[{settings.http_host}]" if ":" in settings.http_host else settings.http_host
    url = f"http://{http_host}:{http_port}"
    addresses = {
        "pid": os.getpid(),
        "url": url,
        "api_docs": f"{url}/docs",
        "audit_log": f"{url}/audit",
        "dicom_host": settings.dicom_host,
        "dicom_port": dicom_port,
        "ae_title": settings.ae_title,
    }
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(addresses, indent=2) + "\n")
    part.replace(path)
    node = f"{settings.ae_title} at {settings.dicom_host}:{dicom_port}"
    print(f"HTTP {url} (docs: {url}/docs), DICOM {node}", flush=True)  # noqa: T201
    logger.info("serve.started", pid=os.getpid(), port=http_port)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _crew(settings: Settings, workers: int, entry: Entry) -> Iterator[list["_Member"]]:
    """Worker processes, started; at the end they may finish what they have begun."""
    crew = [_Member(number, settings, entry) for number in range(1, workers + 1)]
    try:
        for member in crew:
            member.revive()
        yield crew
    finally:
        for member in crew:
            if member.process is not None:
                member.process.terminate()
        end = time.monotonic() + GRACE_SECONDS
        for member in crew:
            if member.process is not None:
                member.process.join(max(0.0, end - time.monotonic()))
                member.process.kill()
                member.process.join()


@dataclass(slots=True)
class _Member:
    """One worker process, and when it may start again after it died.

    Processes are started from the main thread alone: the kernel kills a worker when the thread that
    started it ends.
    """

    number: int
    settings: Settings
    entry: Entry
    process: BaseProcess | None = None
    started: float = 0.0
    due: float = 0.0
    back_off: float = FIRST_BACK_OFF_SECONDS

    def revive(self) -> int | None:
        """Starts the process when it is not there and due; its last exit status, None if alive."""
        now = time.monotonic()
        if self.process is not None:
            if self.process.is_alive():
                return None
            status = self.process.exitcode
            lived = now - self.started
            self.process = None
            if lived > HEALTHY_SECONDS:
                self.back_off = FIRST_BACK_OFF_SECONDS
            self.due = now + self.back_off
            self.back_off = min(2 * self.back_off, LONGEST_BACK_OFF_SECONDS)
            logger.warning("serve.worker.died", worker=self.number, status=status)
            return status
        if now >= self.due:
            spawned = multiprocessing.get_context("spawn").Process(
                target=self.entry, args=(self.settings, os.getpid()), name=f"worker-{self.number}"
            )
            spawned.start()
            self.process, self.started = spawned, now
        return None


def main() -> None:
    """Serves with the settings of the environment."""
    logging.configure()
    sys.exit(serve(Settings()))


if __name__ == "__main__":
    main()
