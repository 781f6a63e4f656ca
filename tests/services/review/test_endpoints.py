"""The review queue over HTTP: the worklist, a claim, a decision, and who is in the way."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from mri_guard.records import Examination, Outcome, Priority
from services.audit import chain
from services.db.models import Case, WorkState
from tests.services.conftest import TurnedClock
from tests.services.making import Api


def listed(api: Api, query: str = "", by: str = "radiologist-1") -> list[uuid.UUID]:
    response = api.get(f"/cases?{query}", by)
    assert response.status_code == 200, response.text
    return [uuid.UUID(case["id"]) for case in response.json()["cases"]]


def claim(api: Api, case: uuid.UUID, by: str = "radiologist-1") -> Any:
    response = api.post(f"/cases/{case}/claim", by)
    assert response.status_code == 200, response.text
    return response.json()


def decide(
    api: Api,
    case: uuid.UUID,
    version: int = 2,
    by: str = "radiologist-1",
    key: str | None = None,
    **fields: Any,
) -> Any:
    body = {"finding": "abnormal", "note": "seen", "version": version} | fields
    headers = {"Idempotency-Key": key} if key else {}
    return api.post(f"/cases/{case}/decide", by, json=body, headers=headers)


# The worklist


def test_lists_the_most_urgent_first_and_the_oldest_among_equals(api: Api) -> None:
    low = api.case(priority=Priority.LOW, age=timedelta(days=9))
    young = api.case(priority=Priority.HIGH, age=timedelta(minutes=1))
    old = api.case(priority=Priority.HIGH, age=timedelta(hours=1))
    medium = api.case(priority=Priority.MEDIUM)
    assert listed(api) == [old, young, medium, low]


def test_sorts_by_score_with_scoreless_cases_last_or_by_age(api: Api) -> None:
    none = api.case(score=None, age=timedelta(hours=3))
    small = api.case(score=1.0, age=timedelta(hours=2))
    large = api.case(score=9.0, age=timedelta(hours=1))
    assert listed(api, "sort=score") == [large, small, none]
    assert listed(api, "sort=newest") == [large, small, none]
    assert listed(api, "sort=oldest") == [none, small, large]


def test_filters(api: Api) -> None:
    released = api.case(outcome=Outcome.RELEASE)
    quarantined = api.case(outcome=Outcome.QUARANTINE, priority=Priority.LOW, study="7" * 64)
    review = api.case()
    assert listed(api, "outcome=quarantine") == [quarantined]
    assert listed(api, "priority=LOW") == [quarantined]
    assert listed(api, f"study={'7' * 64}") == [quarantined]
    assert listed(api, "state=COMPLETED") == [released]
    assert listed(api, "state=SCHEDULED") == [review, quarantined]
    assert listed(api, "state=SCHEDULED&outcome=review&priority=LOW") == []


def test_filters_by_time(turned_clock: TurnedClock, api: Api) -> None:
    old = api.case(age=timedelta(hours=2))
    new = api.case()
    moment = "2026-01-05T08:00:00%2B01:00"  # 07:00 UTC, an hour before the clock
    assert turned_clock.time == datetime(2026, 1, 5, 8, tzinfo=UTC)
    assert listed(api, f"created_after={moment}") == [new]
    assert listed(api, f"created_before={moment}") == [old]


def test_pages_through_all_cases_once(api: Api) -> None:
    everything = {api.case() for _ in range(7)}
    pages = [api.get(f"/cases?limit=3&offset={offset}").json() for offset in (0, 3, 6, 9)]
    assert [page["total"] for page in pages] == [7, 7, 7, 7]
    assert [len(page["cases"]) for page in pages] == [3, 3, 1, 0]
    seen = [uuid.UUID(case["id"]) for page in pages for case in page["cases"]]
    assert len(seen) == 7
    assert set(seen) == everything


def test_lists_what_one_holds_as_ones_own(api: Api) -> None:
    mine, other, _ = api.case(), api.case(), api.case()
    claim(api, mine)
    claim(api, other, "radiologist-2")
    assert listed(api, "mine=true") == [mine]
    assert set(listed(api, "state=IN%20PROGRESS")) == {mine, other}


# A case


def test_gives_the_examination_as_it_was_stored(api: Api) -> None:
    body = api.get(f"/cases/{api.case()}").json()
    examination = Examination.model_validate(body["examination"])
    assert examination.calibrated is not None
    assert examination.calibrated.score == body["score"] == 3.5
    assert body["state"] == "SCHEDULED"
    assert (body["blind"], body["decision"], body["version"]) == (False, None, 1)


def test_withholds_what_the_model_says_from_a_blind_look_until_the_decision(api: Api) -> None:
    case = api.case()
    view = api.get(f"/cases/{case}?blind=true").json()
    assert view["blind"] is True
    hidden = ("examination", "score", "p_value", "priority", "decision")
    assert [view[name] for name in hidden] == [None] * 5
    assert view["reasons"] == []
    assert "3.5" not in api.get(f"/cases/{case}?blind=true").text
    assert not {"score", "p_value", "reasons", "examination"} & set(claim(api, case))
    decide(api, case)
    after = api.get(f"/cases/{case}?blind=true").json()
    assert after["score"] == 3.5
    assert after["decision"]["finding"] == "abnormal"
    second = api.get(f"/cases/{case}?blind=true", "radiologist-2").json()
    assert [second[name] for name in hidden] == [None] * 5


def test_records_every_look(api: Api) -> None:
    case = api.case()
    api.get(f"/cases/{case}?blind=true")
    api.get(f"/cases/{case}", "auditor-1")
    newest, oldest = api.events("review.case.viewed")
    assert (oldest["actor"], newest["actor"]) == (
        f"user:{api.ids['radiologist-1']}",
        f"user:{api.ids['auditor-1']}",
    )
    assert oldest["payload"] == {"version": 1, "part": "record", "blind": True}
    assert oldest["subject"] == f"case:{case}"


@pytest.mark.parametrize(
    ("method", "tail"),
    [
        ("GET", ""),
        ("GET", "/history"),
        ("GET", "/picture.png"),
        ("GET", "/map.nii.gz"),
        ("POST", "/claim"),
        ("POST", "/release"),
        ("POST", "/decide"),
    ],
)
def test_knows_no_case_that_is_not_there(api: Api, method: str, tail: str) -> None:
    body = {"finding": "normal", "version": 1} if tail == "/decide" else None
    response = api.call(method, f"/cases/{uuid.uuid4()}{tail}", json=body)
    assert response.status_code == 404
    assert api.events("review.case.viewed") == []


@pytest.mark.parametrize("name", ["x", "..", "%2e%2e%2fsecrets", "1'--", "%00"])
def test_refuses_an_id_that_is_none(api: Api, name: str) -> None:
    assert api.get(f"/cases/{name}/picture.png").status_code in (404, 422)


FILES = [
    ("picture.png", "image/png", "picture"),
    ("map.nii.gz", "application/gzip", "map"),
]


@pytest.mark.parametrize(("name", "kind", "part"), FILES)
def test_serves_what_the_worker_wrote_and_records_the_look(
    api: Api, name: str, kind: str, part: str
) -> None:
    case = api.case()
    folder = api.context.settings.home / "results" / str(case)
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"content")
    response = api.get(f"/cases/{case}/{name}")
    assert (response.status_code, response.content) == (200, b"content")
    assert response.headers["content-type"] == kind
    assert response.headers["cache-control"] == "no-store"
    assert api.events("review.case.viewed")[0]["payload"]["part"] == part


@pytest.mark.parametrize(("name", "_kind", "part"), FILES)
def test_says_that_a_file_was_never_made_and_records_no_look(
    api: Api, name: str, _kind: str, part: str
) -> None:
    response = api.get(f"/cases/{api.case()}/{name}")
    assert response.status_code == 404
    assert response.json()["detail"] == f"this case has no {part}"
    assert api.events("review.case.viewed") == []


# Claim and release


def test_holds_a_claimed_case_for_its_reader_until_it_runs_out(
    turned_clock: TurnedClock, api: Api
) -> None:
    case = api.case()
    held = claim(api, case)
    assert held["claimed_by"] == api.ids["radiologist-1"]
    assert held["state"] == "IN PROGRESS"
    until = datetime.fromisoformat(held["claimed_until"])
    assert until - turned_clock.time == timedelta(minutes=30)
    assert api.post(f"/cases/{case}/claim", "radiologist-2").status_code == 409
    turned_clock.turn(minutes=29, seconds=59)
    assert api.post(f"/cases/{case}/claim", "radiologist-2").status_code == 409
    turned_clock.turn(seconds=1)
    shown = api.get(f"/cases/{case}").json()
    assert (shown["state"], shown["claimed_by"]) == ("SCHEDULED", None)
    assert listed(api, "state=SCHEDULED") == [case]
    assert claim(api, case, "radiologist-2")["claimed_by"] == api.ids["radiologist-2"]


def test_prolongs_ones_own_claim_without_a_new_version(turned_clock: TurnedClock, api: Api) -> None:
    case = api.case()
    first = claim(api, case)
    turned_clock.turn(minutes=20)
    second = claim(api, case)
    assert second["claimed_until"] > first["claimed_until"]
    assert second["version"] == first["version"]
    assert len(api.get(f"/cases/{case}/history").json()) == 1
    assert len(api.events("review.case.renewed")) == 1


def test_gives_a_released_case_back(api: Api) -> None:
    case = api.case()
    claim(api, case)
    response = api.post(f"/cases/{case}/release")
    assert response.json()["state"] == "SCHEDULED"
    assert claim(api, case, "radiologist-2")["version"] == 4


def test_lets_nobody_release_what_they_do_not_hold(turned_clock: TurnedClock, api: Api) -> None:
    case = api.case()
    assert api.post(f"/cases/{case}/release").status_code == 409
    claim(api, case)
    assert api.post(f"/cases/{case}/release", "radiologist-2").status_code == 409
    turned_clock.turn(minutes=31)
    assert api.post(f"/cases/{case}/release").status_code == 409


def test_lets_nobody_claim_a_released_scan_or_a_decided_case(api: Api) -> None:
    released = api.case(outcome=Outcome.RELEASE)
    decided = api.case()
    claim(api, decided)
    decide(api, decided)
    for case in (released, decided):
        response = api.post(f"/cases/{case}/claim", "radiologist-2")
        assert response.status_code == 409
        assert "COMPLETED" in response.json()["detail"]


@pytest.mark.parametrize("act", ["claim", "release", "decide"])
def test_lets_nobody_act_on_a_case_that_was_canceled_under_them(api: Api, act: str) -> None:
    case = api.case()
    claim(api, case)
    with api.context.database.transaction() as session:  # as when a later revision replaces it
        session.get_one(Case, str(case)).state = WorkState.CANCELED
    response = decide(api, case) if act == "decide" else api.post(f"/cases/{case}/{act}")
    assert response.status_code == 409
    assert api.get(f"/cases/{case}").json()["state"] == "CANCELED"


def test_lets_one_of_many_readers_win_a_case(api: Api) -> None:
    case = api.case()
    readers = ["radiologist-1", "radiologist-2"] * 4

    def go(reader: str) -> tuple[str, int]:
        return reader, api.post(f"/cases/{case}/claim", reader).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(go, readers))
    assert len({reader for reader, status in answers if status == 200}) == 1
    assert {status for _, status in answers} == {200, 409}
    assert len(api.get(f"/cases/{case}/history").json()) == 1


# Decide


def test_decides_a_case_that_one_holds(api: Api) -> None:
    case = api.case()
    version = claim(api, case)["version"]
    body = decide(api, case, version, note="Läsion\nlinks").json()
    assert (body["state"], body["version"], body["claimed_by"]) == ("COMPLETED", 3, None)
    assert body["decision"]["finding"] == "abnormal"
    assert body["decision"]["note"] == "Läsion\nlinks"
    assert body["decision"]["user"] == api.ids["radiologist-1"]


def test_lets_nobody_decide_what_they_do_not_hold(turned_clock: TurnedClock, api: Api) -> None:
    case = api.case()
    assert decide(api, case, 1).status_code == 409
    claim(api, case)
    assert decide(api, case, 2, "radiologist-2").status_code == 409
    turned_clock.turn(minutes=30)
    assert decide(api, case, 2).status_code == 409


def test_refuses_a_decision_on_a_version_that_has_passed(api: Api) -> None:
    case = api.case()
    claim(api, case)
    api.post(f"/cases/{case}/release")
    claim(api, case)
    response = decide(api, case, 2)
    assert response.status_code == 409
    assert response.json()["detail"] == "case is at version 4; decided was 2"
    assert decide(api, case, 4).status_code == 200


def test_refuses_a_second_decision(api: Api) -> None:
    case = api.case()
    claim(api, case)
    assert decide(api, case).status_code == 200
    assert decide(api, case).status_code == 409
    assert decide(api, case, 3).status_code == 409


def test_decides_once_when_the_same_request_comes_twice(api: Api) -> None:
    case = api.case()
    claim(api, case)
    first = decide(api, case, key="k-1")
    second = decide(api, case, key="k-1")
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert len(api.events("review.case.decided")) == 1


def test_refuses_an_idempotency_key_for_another_body_or_case(api: Api) -> None:
    case, other = api.case(), api.case()
    claim(api, case)
    claim(api, other)
    decide(api, case, key="k-1")
    for response in (
        decide(api, case, key="k-1", finding="normal"),
        decide(api, case, key="k-1", note="else"),
        decide(api, case, 3, key="k-1"),
        decide(api, other, key="k-1"),
    ):
        assert response.status_code == 409
        assert "Idempotency-Key" in response.json()["detail"]


def test_keeps_idempotency_keys_of_readers_apart(api: Api) -> None:
    case, other = api.case(), api.case()
    claim(api, case)
    claim(api, other, "radiologist-2")
    assert decide(api, case, key="k-1").status_code == 200
    assert decide(api, other, by="radiologist-2", key="k-1").status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"finding": "fine"},
        {"note": "x" * 2001},
        {"note": "nul \0"},
        {"note": "escape \x1b[2J"},
        {"note": None},
        {"version": 0},
        {"version": 2**31},
        {"reader": 1},
    ],
)
def test_refuses_a_body_that_does_not_fit(api: Api, fields: dict[str, Any]) -> None:
    case = api.case()
    claim(api, case)
    assert decide(api, case, **fields).status_code == 422
    assert api.get(f"/cases/{case}").json()["state"] == "IN PROGRESS"


def test_takes_a_note_of_2000_characters(api: Api) -> None:
    case = api.case()
    claim(api, case)
    assert decide(api, case, note="ä" * 2000).status_code == 200


def test_tells_the_whole_history(api: Api) -> None:
    case = api.case()
    claim(api, case)
    api.post(f"/cases/{case}/release")
    claim(api, case, "radiologist-2")
    decide(api, case, 4, "radiologist-2", finding="non-diagnostic")
    history = api.get(f"/cases/{case}/history", "auditor-1").json()
    assert [(event["action"], event["user"], event["version"]) for event in history] == [
        ("claim", api.ids["radiologist-1"], 2),
        ("release", api.ids["radiologist-1"], 3),
        ("claim", api.ids["radiologist-2"], 4),
        ("decide", api.ids["radiologist-2"], 5),
    ]
    assert history[-1]["finding"] == "non-diagnostic"


# Audit


def test_chains_every_act_with_its_actor_and_without_the_note(api: Api) -> None:
    case = api.case()
    claim(api, case)
    decide(api, case, note="DOE^JOHN")
    log = api.get(f"/audit?subject=case:{case}", "auditor-1")
    assert [entry["event"] for entry in log.json()["entries"]] == [
        "review.case.decided",
        "review.case.claimed",
    ]
    decided = log.json()["entries"][0]
    assert decided["actor"] == f"user:{api.ids['radiologist-1']}"
    assert decided["payload"]["finding"] == "abnormal"
    assert len(decided["payload"]["note_digest"]) == 64
    assert "DOE" not in log.text
    with api.context.database.reading() as session:
        assert chain.verify(session, api.context.secrets.audit_key).intact


@pytest.mark.parametrize("act", ["claim", "release", "decide"])
def test_does_nothing_that_cannot_be_audited(api: Api, act: str) -> None:
    case = api.case()
    if act != "claim":
        claim(api, case)
    before = api.get(f"/cases/{case}/history").json()
    with api.context.database.transaction() as session:
        session.execute(text("ALTER TABLE audit_entry RENAME TO gone"))
    response = decide(api, case) if act == "decide" else api.post(f"/cases/{case}/{act}")
    assert response.status_code == 503
    with api.context.database.transaction() as session:
        session.execute(text("ALTER TABLE gone RENAME TO audit_entry"))
    assert api.get(f"/cases/{case}/history").json() == before
    assert api.get(f"/cases/{case}").json()["version"] == len(before) + 1
