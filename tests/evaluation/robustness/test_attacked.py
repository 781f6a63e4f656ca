import ast
from pathlib import Path

import numpy as np

import mri_guard
from mri_guard.evaluation.robustness.attacked import (
    CODE,
    Answer,
    read_answer,
    strongest,
    write_answer,
)

PLAIN = ("errors", "journey", "decision", "ports", "readers", "records", "kept")
"""What holds values, or hands them on; answers do not depend on how."""


def answer(worst: list[float], first: list[int]) -> Answer:
    return Answer(
        goals=np.arange(len(worst)),
        clean=np.full(len(worst), 5.0),
        worst=np.array(worst),
        first=np.array(first),
        queries=10,
        change=np.full((1, 1, 2, 2), sum(worst), np.float16),
    )


def test_takes_of_each_goal_the_furthest_of_all_attacks() -> None:
    one, other = answer([4.0, 1.0], [0, 9]), answer([2.0, 2.0], [5, 7])
    best = strongest([one, other], "evade")
    assert best.worst.tolist() == [2.0, 1.0]
    assert best.first.tolist() == [5, 7]
    assert best.queries == 20
    assert float(best.change[0, 0, 0, 0]) == 4.0  # of the one that moved more in all
    assert strongest([one, other], "alarm").worst.tolist() == [4.0, 2.0]


def test_reads_back_what_it_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answer.npz"
    assert read_answer(path) is None
    write_answer(path, answer([4.0, 1.0], [0, 9]))
    found = read_answer(path)
    assert found is not None
    assert found.worst.tolist() == [4.0, 1.0]
    assert found.queries == 10
    assert [file.name for file in path.parent.iterdir()] == ["answer.npz"]


def test_answers_depend_on_no_code_that_is_not_digested() -> None:
    root = Path(mri_guard.__path__[0])
    places = [root / part for part in CODE]
    files = [file for one in places for file in (one.rglob("*.py") if one.is_dir() else [one])]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    named = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    ours = [one.removeprefix("mri_guard.") for one in named if one.startswith("mri_guard.")]
    used = {one.replace(".", "/") for one in ours}
    assert {"anomaly/scorer", "attacks/engine"} <= used
    known = [one.removesuffix(".py") for one in (*CODE, *PLAIN)]
    assert {one for one in used if not any((one + "/").startswith(k + "/") for k in known)} == set()
