"""Dashboard and alerts speak of numbers that there are, in expressions that Prometheus understands."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from tests.support.documentation import table_rows

REPOSITORY: Final = Path(__file__).parents[2]
MONITORING: Final = REPOSITORY / "package" / "monitoring"
_OURS: Final = re.compile(r"\bshieldwall_[a-z_]+")
_OF_A_HISTOGRAM: Final = re.compile(r"_(bucket|sum|count)\Z")


def dashboard() -> Any:
    return json.loads((MONITORING / "grafana-dashboard.json").read_text())


def rules() -> list[Any]:
    return [rule for group in yaml.safe_load(rules_file().read_text())["groups"] for rule in group["rules"]]


def rules_file() -> Path:
    return MONITORING / "shieldwall-alerts.yml"


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ()))


def documented() -> set[str]:
    """Every metric of the table in docs/operations.md, which tests/docs holds to what the processes tell."""
    text = (REPOSITORY / "docs" / "operations.md").read_text()
    start = text.index("\n| Metric |")
    return set(_OURS.findall(" ".join(row[0] for row in table_rows(text[start:].partition("\n\n")[0]))))


def test_every_number_that_is_asked_for_is_one_that_is_told() -> None:
    asked = {_OF_A_HISTOGRAM.sub("", name) for text in expressions() for name in _OURS.findall(text)}

    assert asked - documented() == set()


def test_every_alert_says_what_it_is_and_what_to_do() -> None:
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "action"}, rule["alert"]
        assert rule["labels"]["severity"] in {"page", "ticket"}
        for page in re.findall(r"docs/[a-z]+\.md", rule["annotations"]["action"]):
            assert (REPOSITORY / page).exists()


def test_panels_have_a_place_and_a_name_of_their_own() -> None:
    panels = dashboard()["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}

    assert len(places) == len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


@pytest.mark.prometheus
def test_alerts_come_when_they_should_and_not_when_they_should_not(tmp_path: Path) -> None:
    for file in MONITORING.glob("*.yml"):
        shutil.copy(file, tmp_path)
    panels = tmp_path / "panels.yml"
    records = [
        {"record": f"panel:{number}", "expr": expr.replace("$__rate_interval", "1m")}
        for number, expr in enumerate(expressions())
    ]
    panels.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": records}]}))

    for words in (("check", "rules", "shieldwall-alerts.yml"), ("check", "rules", "panels.yml")):
        assert promtool(tmp_path, *words).returncode == 0
    assert promtool(tmp_path, "check", "config", "--syntax-only", "prometheus.yml").returncode == 0
    tested = promtool(tmp_path, "test", "rules", "shieldwall-alerts-test.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def promtool(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *words], cwd=directory, capture_output=True, text=True, timeout=60, check=False)
