"""Pages for people, as a parser sees them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """What a page names and holds."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.images: list[str] = []
        self.ids: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href") and value]
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag == "svg":
            assert found["role"] == "img"
            self.images.append(found["aria-label"] or "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def self_contained(file: Path) -> tuple[str, Page]:
    """A page's text and what it holds, once it is sure that it fetches nothing and that its inner addresses exist."""
    text, seen = file.read_text(), Page()
    seen.feed(text)
    assert not re.search(r"https?:|url\((?!#)|@import", text)
    assert all(address.startswith("#") and address[1:] in seen.ids for address in seen.addresses)
    assert len(seen.ids) == len(set(seen.ids))
    return text, seen
