"""A blinded case: what a reader is told before their first impression, and what after."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from mri_guard.records import Outcome, Priority
from services.audit import chain
from services.db.models import Case, ReaderFinding, ReviewEvent, WorkState
from services.review.blinding import blinded
from tests.services.conftest import TurnedClock
from tests.services.making import Api
from tests.services.review.test_endpoints import FILES, claim, decide, listed

VERDICT = ("outcome", "priority", "score", "p_value")


def impress(api: Api, case: uuid.UUID, by: str | None = "radiologist-1", **fields: Any) -> Any:
    body = {"finding": "normal", "confidence": "high"} | fields
    return api.post(f"/cases/{case}/impression", by, json=body)


def looked_at(api: Api, by: str = "radiologist-1", **fields: Any) -> uuid.UUID:
    """A blinded case after the first impression."""
    case = api.case(blinded=True, **fields)
    claim(api, case, by)
    assert impress(api, case, by).status_code == 200
    return case


# Before


@pytest.mark.parametrize("query", ["", "?blind=false", "?blind=true"])
def test_withholds_the_verdict_until_the_first_impression(api: Api, query: str) -> None:
    case = api.case(blinded=True)
    for _ in range(2):  # before and after the claim
        view = api.get(f"/cases/{case}{query}").json()
        assert (view["blinded"], view["blind"]) == (True, True)
        assert [view[name] for name in VERDICT] == [None] * 4
        assert (view["reasons"], view["examination"], view["decision"]) == ([], None, None)
        (line,) = api.get("/cases").json()["cases"]
        assert line == {name: view[name] for name in line}
        claim(api, case)
    assert {entry["payload"]["blind"] for entry in api.events("review.case.viewed")} == {True}


def test_tells_cases_with_other_verdicts_apart_by_nothing(
    api: Api, turned_clock: TurnedClock
) -> None:
    """Whatever a reader may ask for is the same but for names and times."""
    review = api.case(blinded=True)
    quarantine = api.case(
        blinded=True, outcome=Outcome.QUARANTINE, priority=Priority.LOW, score=None
    )
    (api.context.settings.home / "results" / str(review)).mkdir(parents=True)
    (api.context.settings.home / "results" / str(review) / "picture.png").touch()
    seen = []
    for case in (review, quarantine):
        answers = [
            api.get(f"/cases/{case}{tail}")
            for tail in ("", "/history", "/picture.png", "/map.nii.gz")
        ]
        answers += [decide(api, case), impress(api, case)]
        answers += [api.post(f"/cases/{case}/claim"), decide(api, case)]
        answers += [api.post(f"/cases/{case}/release"), api.get("/cases?mine=true")]
        seen.append([(one.status_code, one.text.replace(str(case), "")) for one in answers])
    assert seen[0] == seen[1]


@pytest.mark.parametrize(("name", "_kind", "_part"), FILES)
@pytest.mark.parametrize("exists", [True, False])
def test_shows_no_picture_before(api: Api, name: str, _kind: str, _part: str, exists: bool) -> None:
    case = api.case(blinded=True)
    folder = api.context.settings.home / "results" / str(case)
    folder.mkdir(parents=True)
    if exists:
        (folder / name).write_bytes(b"content")
    assert api.get(f"/cases/{case}/{name}").status_code == 409
    claim(api, case)
    assert api.get(f"/cases/{case}/{name}").status_code == 409
    assert api.events("review.case.viewed") == []
    impress(api, case)
    assert api.get(f"/cases/{case}/{name}").status_code == (200 if exists else 404)


@pytest.mark.parametrize(
    "query", ["outcome=review", "outcome=quarantine", "priority=HIGH", "priority=LOW"]
)
def test_finds_no_blinded_case_by_its_verdict(api: Api, query: str) -> None:
    blind = api.case(blinded=True)
    other = api.case(blinded=True, outcome=Outcome.QUARANTINE, priority=Priority.LOW)
    assert listed(api, query) == []
    assert api.get(f"/cases?{query}").json()["total"] == 0
    found = listed(api, query, "auditor-1")
    assert found == [blind if query in ("outcome=review", "priority=HIGH") else other]


@pytest.mark.parametrize("sort", ["urgency", "score", "newest", "oldest"])
def test_tells_nothing_by_a_blinded_cases_place_in_the_list(
    api: Api, turned_clock: TurnedClock, sort: str
) -> None:
    hours = timedelta(hours=1)
    places = []
    for number, (priority, score) in enumerate(
        [(Priority.LOW, 1.0), (Priority.HIGH, 9.0), (Priority.MEDIUM, None)]
    ):
        study = f"{number}" * 64
        api.case(priority=Priority.HIGH, score=5.0, age=3 * hours, study=study)
        blind = api.case(priority=priority, score=score, age=2 * hours, blinded=True, study=study)
        api.case(priority=Priority.MEDIUM, score=0.5, age=hours, study=study)
        places.append(listed(api, f"study={study}&sort={sort}").index(blind))
    assert len(set(places)) == 1


def test_a_blinded_case_waits_no_longer_than_the_most_urgent(
    api: Api, turned_clock: TurnedClock
) -> None:
    medium = api.case(priority=Priority.MEDIUM, age=timedelta(hours=9))
    young = api.case(priority=Priority.HIGH)
    blind = api.case(priority=Priority.HIGH, age=timedelta(hours=1), blinded=True)
    assert listed(api) == [blind, young, medium]


def test_an_auditor_sees_the_whole_case(api: Api) -> None:
    case = api.case(blinded=True)
    view = api.get(f"/cases/{case}", "auditor-1").json()
    assert (view["blinded"], view["blind"], view["score"]) == (True, False, 3.5)


# The first impression


def test_shows_what_the_model_says_in_return_for_the_first_impression(api: Api) -> None:
    case = api.case(blinded=True)
    claim(api, case)
    view = impress(api, case).json()
    assert (view["blind"], view["score"], view["outcome"]) == (False, 3.5, "review")
    assert (view["state"], view["version"]) == ("IN PROGRESS", 3)
    assert api.get(f"/cases/{case}").json() == view
    assert listed(api, "outcome=review") == [case]
    told = [entry["payload"]["blind"] for entry in api.events("review.case.viewed")]
    assert told == [False, False]


def test_keeps_both_findings_with_their_times(turned_clock: TurnedClock, api: Api) -> None:
    case = api.case(blinded=True)
    claim(api, case)
    turned_clock.turn(minutes=2)
    impress(api, case, confidence="low")
    turned_clock.turn(minutes=1)
    decided = decide(api, case, 3, finding="abnormal").json()
    first, last = api.get(f"/cases/{case}/history").json()[1:]
    assert (first["action"], first["finding"], first["confidence"]) == (
        "impression",
        "normal",
        "low",
    )
    assert (last["action"], last["finding"], last["confidence"]) == ("decide", "abnormal", None)
    assert decided["decision"] == last
    assert first["at"] < last["at"]


def test_chains_the_first_impression_before_the_look_and_the_decision(api: Api) -> None:
    case = looked_at(api)
    decide(api, case, 3)
    entries = api.get(f"/audit?subject=case:{case}", "auditor-1").json()["entries"]
    assert [entry["event"] for entry in entries] == [
        "review.case.decided",
        "review.case.viewed",
        "review.case.impression",
        "review.case.claimed",
    ]
    assert entries[2]["payload"] == {"version": 3, "finding": "normal", "confidence": "high"}
    with api.context.database.reading() as session:
        assert chain.verify(session, api.context.secrets.audit_key).intact


@pytest.mark.parametrize(("by", "status"), [(None, 401), ("auditor-1", 403), ("gateway-1", 403)])
def test_takes_first_impressions_of_radiologists_alone(
    api: Api, by: str | None, status: int
) -> None:
    case = api.case(blinded=True)
    claim(api, case)
    assert impress(api, case, by).status_code == status


def test_takes_it_of_no_case_that_is_not_there(api: Api) -> None:
    assert impress(api, uuid.uuid4()).status_code == 404


def test_takes_it_of_whoever_holds_the_case_alone(turned_clock: TurnedClock, api: Api) -> None:
    case = api.case(blinded=True)
    assert impress(api, case).status_code == 409
    claim(api, case)
    assert impress(api, case, "radiologist-2").status_code == 409
    turned_clock.turn(minutes=30)
    assert impress(api, case).status_code == 409
    assert api.get(f"/cases/{case}").json()["blind"]


def test_takes_it_once(api: Api) -> None:
    case = looked_at(api)
    again = impress(api, case, finding="abnormal")
    assert again.status_code == 409
    api.post(f"/cases/{case}/release")
    claim(api, case)
    assert impress(api, case, finding="abnormal").status_code == 409
    history = api.get(f"/cases/{case}/history").json()
    assert [event["finding"] for event in history if event["action"] == "impression"] == ["normal"]


def test_takes_none_of_a_case_that_is_open(api: Api) -> None:
    case = api.case()
    claim(api, case)
    assert impress(api, case).status_code == 409
    decide(api, case)
    assert impress(api, case).status_code == 409


def test_takes_none_of_a_case_that_was_canceled_and_keeps_it_closed(api: Api) -> None:
    case = api.case(blinded=True)
    claim(api, case)
    with api.context.database.transaction() as session:  # as when a later revision replaces it
        session.get_one(Case, str(case)).state = WorkState.CANCELED
    assert impress(api, case).status_code == 409
    assert api.get(f"/cases/{case}").json()["score"] is None


@pytest.mark.parametrize(
    "fields", [{"finding": "fine"}, {"confidence": 3}, {"confidence": None}, {"note": "x"}]
)
def test_refuses_an_impression_that_does_not_fit(api: Api, fields: dict[str, Any]) -> None:
    case = api.case(blinded=True)
    claim(api, case)
    assert impress(api, case, **fields).status_code == 422
    assert api.get(f"/cases/{case}").json()["blind"]


# After


def test_decides_nothing_before_the_first_impression(api: Api) -> None:
    case = api.case(blinded=True)
    claim(api, case)
    refused = decide(api, case, key="k-1")
    assert refused.status_code == 409
    assert "first impression" in refused.json()["detail"]
    impress(api, case)
    assert decide(api, case, 3, key="k-1").status_code == 200
    assert decide(api, case, 3, key="k-1").status_code == 200


def test_the_next_reader_looks_for_themselves(api: Api) -> None:
    case = looked_at(api)
    api.post(f"/cases/{case}/release")
    version = claim(api, case, "radiologist-2")["version"]
    view = api.get(f"/cases/{case}", "radiologist-2")
    assert view.json()["blind"]
    history = api.get(f"/cases/{case}/history", "radiologist-2").json()
    assert [event["action"] for event in history] == ["claim", "impression", "release", "claim"]
    assert [event["finding"] for event in history] == [None] * 4
    assert [event["confidence"] for event in history] == [None] * 4
    assert decide(api, case, version, "radiologist-2").status_code == 409
    assert impress(api, case, "radiologist-2", finding="abnormal").status_code == 200
    assert decide(api, case, version + 1, "radiologist-2").status_code == 200


def test_a_decided_case_is_open_to_all(api: Api) -> None:
    case = looked_at(api)
    decide(api, case, 3)
    view = api.get(f"/cases/{case}", "radiologist-2").json()
    assert (view["blind"], view["score"], view["decision"]["finding"]) == (False, 3.5, "abnormal")


def test_one_may_still_ask_to_be_told_nothing(api: Api) -> None:
    case = looked_at(api)
    assert api.get(f"/cases/{case}?blind=true").json()["score"] is None


def test_does_nothing_that_cannot_be_stored_whole(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = api.case(blinded=True)
    claim(api, case)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no entry")

    monkeypatch.setattr(chain, "append", fail)
    assert impress(api, case).status_code == 500
    monkeypatch.undo()
    assert api.get(f"/cases/{case}").json()["blind"]
    with api.context.database.reading() as session:
        assert session.query(ReviewEvent).filter_by(finding=ReaderFinding.NORMAL).count() == 0


# The draw


def test_draws_as_many_studies_as_asked_for() -> None:
    studies = [f"{number:064x}" for number in range(2000)]
    shares = {
        share: {study for study in studies if blinded(study, Outcome.REVIEW, share, 0)}
        for share in (0.0, 0.2, 0.5, 1.0)
    }
    assert [len(shares[0.0]), len(shares[1.0])] == [0, 2000]
    assert 332 <= len(shares[0.2]) <= 470  # 0.0001 and 0.9999 quantiles of Bin(2000, 0.2)
    assert shares[0.2] < shares[0.5]


def test_draws_others_under_another_seed_and_the_same_under_the_same() -> None:
    studies = [f"{number:064x}" for number in range(200)]
    drawn = [[blinded(study, Outcome.REVIEW, 0.5, seed) for study in studies] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_verdict_has_no_say_in_the_draw_but_for_what_nobody_reads() -> None:
    for number in range(50):
        study = f"{number:064x}"
        review, quarantine, release = (
            blinded(study, outcome, 0.5, 0)
            for outcome in (Outcome.REVIEW, Outcome.QUARANTINE, Outcome.RELEASE)
        )
        assert review == quarantine
        assert not release
