"""The whole kit on four synthetic studies, from the wire to a radiologist's decision."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pynetdicom import AE
from rich.console import Console
from rich.table import Table

from mri_guard import bundle
from mri_guard.errors import SettingsError
from mri_guard.records import Outcome
from services.db.models import Role
from services.demo_studies import Study, make_studies
from services.intake.service import digest
from services.secrets import load_or_create
from services.serve import ADDRESSES
from services.settings import Settings
from services.threads import share_cores

SEED = 7
QUIET_SECONDS = 1.0
START_SECONDS = 60.0
FINISH_SECONDS = 90.0
COLORS = {"release": "green", "review": "yellow", "quarantine": "red"}

console = Console(highlight=False)


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a study.

    Attributes:
        study: what was sent.
        sent_ms: how long sending took.
        case: from the API; None when nothing came of the study in time.
    """

    study: Study
    sent_ms: float
    case: dict[str, Any] | None

    @property
    def as_expected(self) -> bool:
        """Whether it ended where it should, and for the right reason."""
        if self.case is None or self.case["outcome"] != self.study.expected:
            return False
        return self.study.reason is None or self.study.reason in self.case["reasons"]


def demo(keep: bool = False) -> int:
    """0 when every study ended where it should and the audit chain is intact, else 1.

    Starts a server with a temporary home on free loopback ports, sends it four studies, shows where
    each ended and lets a radiologist decide one.

    Args:
        keep: go on serving until interrupted.

    Raises:
        BundleError: the bundle is broken.
        SettingsError: the server does not start.
    """
    start = time.perf_counter()
    share_cores()
    with tempfile.TemporaryDirectory(prefix="mri-guard-demo-") as folder, _server(folder) as server:
        settings = Settings(home=Path(folder) / "home")
        with console.status("making four synthetic studies"), bundle.load(settings.bundle) as kit:
            studies = make_studies(kit, Path(folder) / "studies", SEED)
        addresses = _wait_for_addresses(settings.home, server)
        admin = (settings.home / "secrets" / "admin-api-key").read_text().strip()
        api = Api(addresses["url"], admin)
        reader = api.with_key_of("demo-radiologist", Role.RADIOLOGIST)
        with console.status("sending them over DICOM and waiting"):
            ended = _send_and_wait(studies, settings.home, addresses, reader)
        _show(ended)
        _show_times(ended)
        decided = _decide(reader, ended)
        report = api.call("GET", "/audit/verify")
        good = all(item.as_expected for item in ended) and decided and report["intact"]
        chain = "intact" if report["intact"] else "[red]BROKEN[/]"
        console.print(f"Audit chain        {report['entries']} entries, {chain}")
        console.print(f"API documentation  {addresses['api_docs']}")
        console.print(f"Audit log          {addresses['audit_log']}")
        console.print(
            f"[bold {'green' if good else 'red'}]"
            f"{'Every study ended where it should' if good else 'NOT as it should be'}[/]"
            f" after {time.perf_counter() - start:.0f} s"
        )
        if keep:
            console.print(
                f"Serving until Ctrl-C; the admin's API key lies in {settings.home}/secrets"
            )
            _keep(server)
    return 0 if good else 1


@dataclass(frozen=True, slots=True)
class Api:
    """The API as one user sees it."""

    url: str
    key: str

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The response's JSON; urllib.error.HTTPError for a status of 400 or more."""
        request = urllib.request.Request(  # noqa: S310 - our own server on loopback
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            return json.load(response)

    def with_key_of(self, name: str, role: Role) -> "Api":
        """The API as a new user sees it; an admin may make one."""
        user = self.call("POST", "/users", {"name": name, "role": role.value})
        return Api(self.url, self.call("POST", f"/users/{user['id']}/keys")["key"])


@contextmanager
def _server(folder: str) -> Iterator[subprocess.Popen[bytes]]:
    with Path(folder, "serve.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "services.serve"],
            env=_environment(folder),
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        yield server
    finally:
        server.terminate()
        server.wait()


def _environment(folder: str) -> dict[str, str]:
    """Ours, without the settings of a deployment, which must never see made-up patients."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith("MRI_GUARD_") or name.upper() == "MRI_GUARD_BUNDLE"
    }
    return kept | {
        "MRI_GUARD_HOME": f"{folder}/home",
        "MRI_GUARD_HTTP_PORT": "0",
        "MRI_GUARD_DICOM_PORT": "0",
        "MRI_GUARD_QUIET_SECONDS": str(QUIET_SECONDS),
        "MRI_GUARD_MIN_FREE_DISK_MB": "0",
    }


def _wait_for_addresses(home: Path, server: subprocess.Popen[bytes]) -> dict[str, Any]:
    end = time.monotonic() + START_SECONDS
    while not (home / ADDRESSES).exists():
        if server.poll() is not None:
            log = home.with_name("serve.log").read_text().splitlines()
            raise SettingsError(f"the server ended with status {server.returncode}: {log[-1:]}")
        if time.monotonic() > end:
            raise SettingsError(f"the server did not start in {START_SECONDS:.0f} s")
        time.sleep(0.05)
    addresses: dict[str, Any] = json.loads((home / ADDRESSES).read_text())
    return addresses


def _send_and_wait(
    studies: list[Study], home: Path, addresses: dict[str, Any], reader: Api
) -> list[Ended]:
    identifier_key = load_or_create(home).identifier_key
    digests = [digest(identifier_key, item.instances[0].StudyInstanceUID) for item in studies]
    sent = [_send(study, addresses) for study in studies]
    end = time.monotonic() + FINISH_SECONDS
    while True:
        cases = {case["study"]: case for case in reader.call("GET", "/cases")["cases"]}
        if set(digests) <= set(cases) or time.monotonic() > end:
            break
        time.sleep(0.1)
    full = {key: reader.call("GET", f"/cases/{case['id']}") for key, case in cases.items()}
    return [
        Ended(study, milliseconds, full.get(key))
        for study, milliseconds, key in zip(studies, sent, digests, strict=True)
    ]


def _send(study: Study, addresses: dict[str, Any]) -> float:
    """Milliseconds it took to send a study over one association.

    Raises:
        SettingsError: the node refused.
    """
    start = time.perf_counter()
    sender = AE(ae_title="DEMO")
    first = study.instances[0]
    sender.add_requested_context(first.SOPClassUID, first.file_meta.TransferSyntaxUID)
    assoc = sender.associate(
        addresses["dicom_host"], addresses["dicom_port"], ae_title=addresses["ae_title"]
    )
    if not assoc.is_established:
        raise SettingsError("the DICOM node refused the association")
    statuses = {assoc.send_c_store(instance).get("Status") for instance in study.instances}
    assoc.release()
    if statuses != {0}:
        raise SettingsError(f"the DICOM node answered {statuses}; wanted success")
    return (time.perf_counter() - start) * 1000


def _show(ended: list[Ended]) -> None:
    table = Table(title="Where each study ended, and why", title_justify="left")
    for heading in ("study", "ended in", "score", "p"):
        table.add_column(heading, no_wrap=True)
    table.add_column("why", overflow="fold")
    for item in ended:
        name, wanted = item.study.name, item.study.expected.value
        if item.case is None:
            table.add_row(name, "[red]nowhere in time[/]", "", "", f"wanted: {wanted}")
            continue
        outcome, calibrated = item.case["outcome"], item.case["examination"]["calibrated"]
        why = [*item.case["reasons"], item.case["examination"]["decision"]["detail"]]
        if not item.as_expected:
            why.append(f"[red]wanted: {wanted} {item.study.reason or ''}[/]")
        table.add_row(
            name,
            f"[{COLORS[outcome]}]{outcome}[/]",
            f"{calibrated['score']:.2f}" if calibrated else "",
            f"{calibrated['p_value']:.3f}" if calibrated else "",
            "\n".join(why),
        )
    console.print(table)


def _show_times(ended: list[Ended]) -> None:
    table = Table(title="Milliseconds of every step", title_justify="left")
    table.add_column("step")
    times: dict[str, dict[str, float]] = {"send": {}}
    for item in ended:
        table.add_column(item.study.name, justify="right")
        times["send"][item.study.name] = item.sent_ms
        for step in item.case["examination"]["steps"] if item.case else ():
            times.setdefault(step["name"], {})[item.study.name] = step["milliseconds"]
    for step, by_study in times.items():
        cells = (by_study.get(item.study.name) for item in ended)
        table.add_row(step, *("" if cell is None else f"{cell:.1f}" for cell in cells))
    console.print(table)


def _decide(reader: Api, ended: list[Ended]) -> bool:
    """Whether a radiologist could claim and decide the lesioned study."""
    waiting = [
        item.case["id"]
        for item in ended
        if item.case and item.as_expected and item.study.expected is Outcome.REVIEW
    ]
    if not waiting:
        console.print("No study waits for the radiologist")
        return False
    case = f"/cases/{waiting[0]}"
    claimed = reader.call("POST", f"{case}/claim")
    decision = {
        "finding": "abnormal",
        "note": "bright lesion, as painted",
        "version": claimed["version"],
    }
    decided = reader.call("POST", f"{case}/decide", decision)
    table = Table(title="What a radiologist did with the lesioned study", title_justify="left")
    for heading in ("UTC", "user", "act", "finding", "note"):
        table.add_column(heading)
    for event in reader.call("GET", f"{case}/history"):
        at = event["at"][11:19]
        cells = (at, event["user"], event["action"], event["finding"], event["note"])
        table.add_row(*("" if cell is None else str(cell) for cell in cells))
    console.print(table)
    return bool(decided["state"] == "COMPLETED")


def _keep(server: subprocess.Popen[bytes]) -> None:
    try:
        server.wait()
    except KeyboardInterrupt:
        console.print("stopping")
