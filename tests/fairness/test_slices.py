import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri_guard.fairness import UNKNOWN, Groups, banded

COLUMNS = {
    "sex": ["F", "F", "M", "M", "F"],
    "site": ["a", "a", "b", "a", "b"],
}
VALUES = st.lists(st.tuples(*[st.sampled_from("ab")] * 2), min_size=1, max_size=12)


def test_takes_every_value_and_every_pair_that_is_a_group_of_its_own() -> None:
    groups = Groups.of(COLUMNS)
    assert groups.names[:4] == ("sex=F", "sex=M", "site=a", "site=b")
    members = dict(zip(groups.names, groups.members.tolist(), strict=True))
    assert members["sex=F, site=a"] == [True, True, False, False, False]
    assert len(groups.names) == 8
    assert Groups.of(COLUMNS, depth=1).names == groups.names[:4]


def test_leaves_out_a_pair_that_holds_the_same_people_as_one_value() -> None:
    groups = Groups.of({"sex": ["F", "M", "M"], "site": ["a", "a", "b"]})
    assert "sex=F, site=a" not in groups.names
    assert "sex=M, site=b" not in groups.names


@given(VALUES)
def test_puts_everybody_in_one_value_of_each_column(rows: list[tuple[str, str]]) -> None:
    columns = {"x": [x for x, _ in rows], "y": [y for _, y in rows]}
    groups = Groups.of(columns)
    for name in columns:
        own = [index for index, one in enumerate(groups.names) if "," not in one and name in one]
        assert (groups.members[own].sum(0) == 1).all()
    assert groups.members.any(1).all()


def test_refuses_a_depth_it_does_not_search_and_columns_that_do_not_match() -> None:
    with pytest.raises(ValueError, match="depth 3; wanted 1 or 2"):
        Groups.of(COLUMNS, depth=3)
    with pytest.raises(ValueError, match="different lengths"):
        Groups.of({"sex": ["F"], "site": []})


def test_knows_no_groups_without_columns() -> None:
    assert Groups.of({}).members.shape == (0, 0)


@pytest.mark.parametrize(
    ("age", "band"),
    [("39.9", "under 40"), ("40", "40 to 59"), ("60", "60 and older"), ("067Y", "067Y")],
)
def test_puts_ages_in_bands(age: str, band: str) -> None:
    assert banded("age", [age]) == [band]


@pytest.mark.parametrize("said", ["", " ", "NaN", "unknown", "n/a", "?"])
def test_makes_those_of_whom_nothing_is_said_a_group(said: str) -> None:
    assert banded("age", [said, "50"]) == [UNKNOWN, "40 to 59"]
    assert banded("sex", [said, "F"]) == [UNKNOWN, "F"]


def test_cuts_a_column_of_many_numbers_in_thirds_and_leaves_few_as_they_are() -> None:
    many = [str(number) for number in range(9)]
    found = banded("mmse", [*many, ""])
    assert [found.count(one) for one in dict.fromkeys(found)] == [3, 3, 3, 1]
    assert banded("cdr", ["0", "0.5", "1"]) == ["0", "0.5", "1"]
    assert banded("grade", [*many, "G3"])[:9] == many


def test_members_are_of_patients() -> None:
    members = Groups.of(COLUMNS).members
    assert members.dtype == np.bool_
    assert members.shape[1] == 5
