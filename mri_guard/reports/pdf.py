"""The page as PDF/A-3 with the evidence embedded (ISO 19005-3), by WeasyPrint.

The same bytes each time: dates are the day of issue, fonts are those that matplotlib carries (STIX,
DejaVu: both free to embed), read from the installed package, and nothing is fetched. WeasyPrint and
matplotlib come with the extra `report`; Pango is Debian's `libpango-1.0-0`, `libpangoft2-1.0-0` and
`libharfbuzz-subset0`.
"""

import datetime
import hashlib
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mri_guard.errors import SettingsError

VARIANT = "pdf/a-3u"
UNDATED = datetime.date(1980, 1, 1)
"""Stands where the format wants a date and none was stated."""

FACES = (
    ("Report Serif", "STIXGeneral.ttf", "normal", "normal"),
    ("Report Serif", "STIXGeneralBol.ttf", "bold", "normal"),
    ("Report Serif", "STIXGeneralItalic.ttf", "normal", "italic"),
    ("Report Serif", "STIXGeneralBolIta.ttf", "bold", "italic"),
    ("Report Mono", "DejaVuSansMono.ttf", "normal", "normal"),
)
"""Family, file, weight and style of each font."""


def pdf(html: str, attached: Mapping[str, bytes], issued: datetime.date | None) -> bytes:
    """The document.

    Args:
        html: the page.
        attached: files to embed, by name.
        issued: day of issue; None: `UNDATED` stands in the dates of the embedded files.

    Raises:
        SettingsError: WeasyPrint, a library that it needs or the fonts are not installed.
    """
    weasyprint, fonts = _weasyprint(), _fonts()
    from weasyprint.text.fonts import FontConfiguration  # noqa: PLC0415 - of an extra
    from weasyprint.urls import URLFetcher  # noqa: PLC0415 - of an extra

    nothing = URLFetcher(allowed_protocols=(), fail_on_errors=True)
    configuration = FontConfiguration()
    style = weasyprint.CSS(
        string="".join(
            f'@font-face {{ font-family: "{family}"; src: url("{(fonts / file).as_uri()}"); '
            f"font-weight: {weight}; font-style: {slant} }}\n"
            for family, file, weight, slant in FACES
        ),
        font_config=configuration,
        url_fetcher=URLFetcher(allowed_protocols=("file",), fail_on_errors=True),
    )
    day = datetime.datetime.combine(issued or UNDATED, datetime.time(), datetime.UTC)
    with warnings.catch_warnings():  # WeasyPrint leaves its own colour profile open
        warnings.simplefilter("ignore", ResourceWarning)
        content: bytes = weasyprint.HTML(string=html, url_fetcher=nothing).write_pdf(
            stylesheets=[style],
            font_config=configuration,
            attachments=[
                weasyprint.Attachment(
                    string=data,
                    name=name.replace("/", "_"),
                    description="Evidence"
                    if name.startswith("evidence/")
                    else "Part of the report",
                    created=day,
                    modified=day,
                    relationship="Data",
                )
                for name, data in sorted(attached.items())
            ],
            pdf_variant=VARIANT,
            pdf_identifier=hashlib.sha256(html.encode()).hexdigest()[:32].encode(),
        )
    return content


def _weasyprint() -> Any:
    try:
        with warnings.catch_warnings():  # where no font is installed: we bring ours
            warnings.simplefilter("ignore")
            import weasyprint  # noqa: PLC0415 - of an extra
    except ImportError as error:
        raise SettingsError("WeasyPrint is not installed; wanted the extra `report`") from error
    except OSError as error:  # cffi found no Pango
        raise SettingsError(
            "WeasyPrint finds no Pango; wanted Debian's libpango-1.0-0, libpangoft2-1.0-0 and "
            "libharfbuzz-subset0"
        ) from error
    return weasyprint


def _fonts() -> Path:
    """Folder of the fonts, without importing matplotlib."""
    spec = find_spec("matplotlib")
    places = spec.submodule_search_locations if spec else None
    folder = Path(places[0]) / "mpl-data" / "fonts" / "ttf" if places else Path()
    missing = [file for _, file, _, _ in FACES if not (folder / file).is_file()]
    if missing:
        raise SettingsError(f"no font {missing[0]}; wanted matplotlib, of the extra `report`")
    return folder
