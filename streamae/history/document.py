"""A page for people: it holds all that it shows, fetches nothing, and needs no script."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from streamae.errors import DataError

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2430; --calm: #2b6cb0; --alert: #c53030; --label: #b7791f;
  --span: #8a94a6; --line: #d5dae2; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181f; --ink: #e6e9ee; --calm: #7cb5ec; --alert: #ff7b72;
  --label: #f0b849; --span: #8a94a6; --line: #39414e; } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 68rem; padding: 1rem; }
figure { margin: 0 0 1.5rem; } svg { width: 100%; height: auto; min-width: 34rem; }
figcaption { font-weight: 600; } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; } caption { text-align: left; font-weight: 600; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .7rem .25rem 0; text-align: left; vertical-align: top; }
.alert { color: var(--alert); } .label { color: var(--label); } .calm { color: var(--calm); }
"""


def write(out: Path, text: str) -> None:
    """Write a page aside and rename it. Raises DataError where that cannot be."""
    aside = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error}); name a file in a folder that can be") from error
    finally:
        aside.unlink(missing_ok=True)


def document(title: str, body: str) -> str:
    """A whole page around a body."""
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escaped(title)}</title><style>{STYLE}</style></head><body>",
            body,
            "</body></html>",
        ]
    )


def paragraphs(lines: Iterable[str]) -> str:
    """Lines of text, a paragraph each."""
    return "".join(f"<p>{escaped(line)}</p>" for line in lines)


def table(caption: str, rows: Sequence[Sequence[str]]) -> str:
    """Rows of text as a table: the first one is its head, and each other begins with what it is about."""
    head = "".join(f'<th scope="col">{escaped(one)}</th>' for one in rows[0])
    lines = "".join(
        f'<tr><th scope="row">{escaped(name)}</th>{"".join(f"<td>{escaped(one)}</td>" for one in values)}</tr>'
        for name, *values in rows[1:]
    )
    return f'<div class="wide"><table><caption>{escaped(caption)}</caption><tr>{head}</tr>{lines}</table></div>'


def figure(says: str, *drawn: str) -> str:
    """Plots under what they say."""
    plots = "".join(f'<div class="wide">{one}</div>' for one in drawn)
    return f"<figure><figcaption>{escaped(says)}</figcaption>{plots}</figure>"


def escaped(value: str) -> str:
    """Any text, as it stands in a page."""
    return html.escape(value)
