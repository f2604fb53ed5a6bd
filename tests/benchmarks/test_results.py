"""Results that are kept, and the page that is made of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from benchmarks.bars import WHOLE_STATE
from benchmarks.figures import SQLITE, Figure, Peer

from benchmarks import __main__ as runner
from benchmarks import results

_FIGURE = Figure.of("state", [1.0, 2.0, 3.0], "GB", engine=SQLITE, peer=Peer.of("other", [4.0]), bar=WHOLE_STATE)


def _result(part: str, *figures: Figure, failure: str = "") -> results.Result:
    return results.result(part, results.this_machine(), figures, failure)


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    made = [_result("size", _FIGURE), _result("agent", failure="RuntimeError: no agent")]
    results.keep(made, tmp_path / "results.json")

    assert results.read(tmp_path / "results.json") == made


def test_a_part_that_ran_again_replaces_itself_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    results.keep([_result("size", _FIGURE), _result("agent", _FIGURE)], file)
    kept = results.keep([_result("size", failure="it broke")], file)

    assert [(each.part, each.failure) for each in kept] == [("size", "it broke"), ("agent", "")]
    assert results.read(file) == kept


def test_the_page_shows_machine_figures_and_failures_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"before\n{results.BEGIN}\nold\n{results.END}\nafter\n")
    results.document([_result("size", _FIGURE), _result("agent", failure="it broke")], page)
    said = page.read_text()

    assert said.startswith("before\n")
    assert said.endswith("\nafter\n")
    assert "old" not in said
    assert str(results.this_machine()) in said
    assert "| state | SQLite | 2 GB | 1 … 3 |" in said
    assert "`agent` came to no end: it broke" in said


def test_a_page_without_a_place_for_the_table_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("nothing\n")

    with pytest.raises(ValueError, match="no place"):
        results.document([], page)


def test_the_table_of_the_readme_is_the_one_of_the_results() -> None:
    _, _, rest = results.README.read_text().partition(results.BEGIN)

    assert rest.partition(results.END)[0].strip() == results.described(results.read()).strip()


def test_every_part_that_is_named_is_there() -> None:
    directory = results.FILE.parent

    assert [part for part in runner.PARTS if not (directory / f"{part}.py").is_file()] == []


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put two parts in the place of the real ones: one that measures, one that breaks."""

    def good(home: Path, *, quick: bool = False) -> list[Figure]:
        assert home.is_dir()
        print("in words")  # noqa: T201 - as parts do
        return [Figure("state", 1.0 if quick else 2.0, "GB", bar=WHOLE_STATE)]

    def broken(home: Path, *, quick: bool = False) -> list[Figure]:
        del home, quick
        raise RuntimeError("no such program")

    for name, function in (("good", good), ("broken", broken)):
        module: Any = ModuleType(f"benchmarks.{name}")
        module.measure = function
        monkeypatch.setitem(sys.modules, f"benchmarks.{name}", module)
    monkeypatch.setattr(runner, "PARTS", ("broken", "good"))


@pytest.mark.usefixtures("parts")
def test_a_part_that_breaks_hides_no_other_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main([]) == 1
    said = capsys.readouterr().out

    assert "2 GB" in said
    assert "NOT MET" in said
    assert "broken came to no end: RuntimeError: no such program" in said


@pytest.mark.usefixtures("parts")
def test_a_bar_that_is_missed_is_no_error() -> None:
    assert runner.main(["good"]) == 0


@pytest.mark.usefixtures("parts")
def test_json_stands_alone_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    runner.main(["--json", "--quick", "good"])
    out, err = capsys.readouterr()

    assert [each["figures"][0]["value"] for each in json.loads(out)] == [1.0]
    assert "in words" in err


@pytest.mark.usefixtures("parts")
def test_quick_runs_are_never_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FILE", tmp_path / "results.json")

    with pytest.raises(SystemExit):
        runner.main(["--quick", "--keep", "good"])
    assert not (tmp_path / "results.json").exists()


@pytest.mark.usefixtures("parts")
def test_unknown_parts_are_refused() -> None:
    with pytest.raises(SystemExit):
        runner.main(["elsewhere"])
