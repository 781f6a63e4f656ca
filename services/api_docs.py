"""The API described on one page without a script and without a request to anywhere else."""

import base64
import hashlib
import json
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
h2 { border-bottom: 1px solid #999; margin-top: 2.5rem }
summary { cursor: pointer; padding: .3rem 0 }
code, pre { font-family: ui-monospace, monospace; font-size: .9em }
pre { background: #8881; overflow-x: auto; padding: .7rem }
.verb { display: inline-block; font-weight: bold; min-width: 5rem }
:root { color-scheme: light dark }
"""
POLICY = (
    f"default-src 'none'; style-src 'sha256-"
    f"{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/docs", response_class=HTMLResponse)
def get_docs(request: Request) -> HTMLResponse:
    """The page, made from the same description as `/openapi.json`."""
    return HTMLResponse(render(request.app.openapi()), headers={"Content-Security-Policy": POLICY})


def render(description: dict[str, Any]) -> str:
    """HTML of an OpenAPI description."""
    info = description["info"]
    sections: dict[str, list[str]] = {}
    for path, operations in description["paths"].items():
        for verb, operation in operations.items():
            tag = operation.get("tags", ["other"])[0]
            sections.setdefault(tag, []).append(_operation(path, verb, operation))
    schemas = "".join(
        f"<details id='{escape(name)}'><summary><code>{escape(name)}</code></summary>"
        f"{_json(schema)}</details>"
        for name, schema in description.get("components", {}).get("schemas", {}).items()
    )
    body = "".join(
        f"<h2>{escape(tag)}</h2>{''.join(operations)}" for tag, operations in sections.items()
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{escape(info['title'])} API</title><style>{STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info.get('description', ''))}</p>"
        "<p>Send <code>Authorization: Bearer mg_...</code>. Errors are problem details "
        "(RFC 9457). The same description for programs: <a href='/openapi.json'>openapi.json</a>."
        f"</p>{body}<h2>Schemas</h2>{schemas}</body></html>"
    )


def _operation(path: str, verb: str, operation: dict[str, Any]) -> str:
    parts = [f"<p>{escape(operation.get('description', ''))}</p>"]
    for heading, key in (("Parameters", "parameters"), ("Body", "requestBody")):
        if key in operation:
            parts.append(f"<h4>{heading}</h4>{_json(operation[key])}")
    parts.append(f"<h4>Responses</h4>{_json(operation['responses'])}")
    return (
        f"<details><summary><span class='verb'>{escape(verb.upper())}</span>"
        f"<code>{escape(path)}</code> {escape(operation.get('summary', ''))}</summary>"
        f"{''.join(parts)}</details>"
    )


def _json(value: object) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2))}</pre>"
