"""The conformance table names everything that may come out."""

from collections.abc import Iterator
from pathlib import Path

from mri_guard.deidentify.allow_list import MULTI_FRAME, AllowList, Items

PAGE = Path(__file__).resolve().parents[2] / "docs" / "deidentification.md"


def named(allowed: AllowList, depth: int) -> Iterator[str]:
    for keyword, rule in allowed.items():
        yield keyword
        if isinstance(rule, Items) and depth and keyword.endswith("GroupsSequence"):
            yield from named(rule.allowed, depth - 1)


def test_every_attribute_that_may_come_out_is_in_the_table() -> None:
    page = PAGE.read_text()
    assert {keyword for keyword in named(MULTI_FRAME, 1) if f"`{keyword}`" not in page} == set()
