"""The page: whole, self-contained, and without a verdict."""

import re
from html.parser import HTMLParser

import pytest

from mri_guard.reports.document import Report
from mri_guard.reports.page import anchor, number, page, words
from mri_guard.reports.sections import SECTIONS
from tests.reports.toys import DIGEST, OTHER, evidence, file, files, metric, toy_report

BILL = {"specVersion": "1.6", "components": [{"name": "numpy", "version": "2"}]}


class Seen(HTMLParser):
    """Tags with their attributes, ids and targets of links; refuses tags left open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, name: str) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get(name)) is not None]


@pytest.fixture(scope="module")
def report() -> Report:
    return toy_report()


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return page(report, files(), BILL)


def test_needs_no_script_and_asks_nobody(html: str) -> None:
    seen = Seen(html)
    tags = {tag for tag, _ in seen.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert not seen.all("src")
    assert all(target.startswith("#") for target in seen.all("href"))
    assert not re.search(r"url\(|@import", html)
    assert "default-src 'none'" in html


def test_is_well_formed_and_every_link_arrives(html: str) -> None:
    seen = Seen(html)
    assert not seen.open
    ids = seen.all("id")
    assert len(ids) == len(set(ids))
    assert {target[1:] for target in seen.all("href")} <= set(ids)


def test_shows_every_figure_with_interval_n_unit_definition_and_command(
    html: str, report: Report
) -> None:
    for source in report.sources:
        assert html.count(source.command) >= 2
        for name, one in source.metrics.items():
            row = html.split(f'id="{anchor(source.name, name)}"')[1].split("</tr>", maxsplit=1)[0]
            for wanted in (one.value, one.low, one.high):
                assert number(wanted) in row
            assert f">{one.n}<" in row
            assert one.unit in row
            assert one.definition in row


def test_escapes_what_evidence_says(html: str) -> None:
    assert "surprise<b>" not in html
    assert "surprise&lt;b&gt;" in html


def test_draws_the_plots_whose_points_are_there(html: str) -> None:
    for caption in (
        "ROC of the slice score",
        "Precision against recall",
        "strongest attack tried",
        "auroc by group",
        "Stated probability of abnormality",
        "Milliseconds of each step",
        "after weights were drawn anew",
    ):
        assert caption in html
    assert html.count('class="plot"') == 7


def test_names_what_there_is_no_evidence_for(html: str, report: Report) -> None:
    assert report.missing == (
        "sanitization",
        "perturbation",
        "certification",
        "poisoning",
        "reliance",
    )
    first = html.split('id="glance"')[1].split("</section>", maxsplit=1)[0]
    for kind in report.missing:
        assert kind in first
        section = html.split(f'<section id="{kind}">')[1].split("</section>", maxsplit=1)[0]
        assert "No evidence here." in section
    (command,) = [one.command for one in SECTIONS if one.kind == "certification"]
    assert command in html


def test_kind_without_a_section_gets_a_plain_one(html: str) -> None:
    assert '<section id="novelty">' in html
    assert "<h2>Novelty</h2>" in html


def test_evidence_of_another_bundle_leads_nowhere(html: str, report: Report) -> None:
    assert [source.name for source in report.others] == ["foreign"]
    first = html.split('id="glance"')[1].split("</section>", maxsplit=1)[0]
    assert anchor("foreign", "pixel_ap") not in first
    assert "foreign" in first  # named as what counts for nothing
    assert OTHER in html
    assert all("foreign" not in traced.figures for traced in report.traced)


def test_passes_no_verdict(html: str) -> None:
    said = re.sub(r"<style>.*?</style>", "", html, flags=re.S).lower()
    for claim in ("compliant", "unbiased", "is safe", "is robust", "passed", "certified by"):
        assert claim not in said
    assert "evidence for" in said
    assert DIGEST in said


def test_markup_of_the_card_cannot_fetch_or_run() -> None:
    said = toy_report()
    card = {"Intended use": "![x](http://a/b.png) <script>alert(1)</script> <b>"}
    said = said.model_copy(update={"bundle": said.bundle.model_copy(update={"card": card})})
    html = page(said, files(), BILL)
    tags = {tag for tag, _ in Seen(html).tags}
    assert not tags & {"script", "img"}


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.12345, "0.123"), (-0.5, "−0.500"), (1234.5, "1 234"), (0, "0.000"), (99.9999, "100.000")],
)
def test_prints_figures_alike(value: float, written: str) -> None:
    assert number(value).replace("\u2009", " ") == written


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("robust_auroc_both_8_255", "robust auroc both 8/255"),
        ("success_evade_0_5_255_at_90_specificity", "success evade 0.5/255 at 90 specificity"),
        ("pixel_ap", "pixel ap"),
    ],
)
def test_prints_budgets_as_fractions(name: str, written: str) -> None:
    assert words(name) == written


def test_empty_evidence_still_makes_a_page() -> None:
    only = file("empty", evidence("detection", {}))
    assert "empty" in page(toy_report(only), [only], BILL)


def test_one_epsilon_draws_no_curve() -> None:
    only = file("one", evidence("robustness", {"robust_auroc_both_4_255": metric()}))
    assert "strongest attack tried" not in page(toy_report(only), [only], BILL)
