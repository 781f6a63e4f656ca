"""The alert rules and the dashboard name what the service exposes, and Prometheus agrees."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from services.context import Context
from services.metrics import count
from services.monitoring.service import MONITORS
from tests.peers import peer

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
DASHBOARD = DEPLOY / "grafana" / "mri-guard.json"
NAME = re.compile(r"\bmri_guard_\w+")


def promtool(*arguments: str) -> str:
    ended = subprocess.run(
        [peer("promtool"), *arguments],
        cwd=RULES.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_are_rules_that_prometheus_takes() -> None:
    assert "6 rules found" in promtool("check", "rules", RULES.name)
    promtool("check", "config", "--syntax-only", "prometheus.yml")


def test_alert_when_they_should_and_not_before() -> None:
    assert "SUCCESS" in promtool("test", "rules", "rules_test.yml")


@pytest.mark.parametrize("path", [RULES, RULES.with_name("rules_test.yml"), DASHBOARD])
def test_name_only_what_the_service_exposes(context: Context, path: Path) -> None:
    with context.database.reading() as session:
        exposed = {sample.name for family in count(session) for sample in family.samples}
    named = set(NAME.findall(path.read_text()))
    assert named
    assert named <= exposed


def test_show_every_monitor_and_name_no_other(context: Context) -> None:
    assert set(
        re.findall(r'monitor="(\w+)"', RULES.with_name("rules_test.yml").read_text())
    ) <= set(MONITORS)
    dashboard = json.loads(DASHBOARD.read_text())
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert "mri_guard_monitor_alarm" in shown
    assert "mri_guard_monitor_level" in shown
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
