"""A page of HTML as its tags and its text, and what holds of each page of ours."""

from html.parser import HTMLParser
from typing import Any

LOADING = {"script", "link", "img", "iframe", "object", "embed", "base"}


class Outline(HTMLParser):
    """Remembers tags in their order, and the plain text; each tag must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.said = ""
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said = f"{self.said} {data.strip()}" if data.strip() else self.said

    def all(self, tag: str) -> list[dict[str, Any]]:
        return [attributes for name, attributes in self.tags if name == tag]


def check_loads_nothing(text: str, *, most_bytes: int) -> None:
    """See that a page is one small file that loads nothing and runs nothing."""
    outline = Outline(text)
    links = [each["href"] for _, each in outline.tags if "href" in each]

    assert len(text.encode()) < most_bytes
    assert "http:" not in text
    assert "https:" not in text
    assert not {tag for tag, _ in outline.tags} & LOADING
    assert not [
        name
        for _, attributes in outline.tags
        for name in attributes
        if name.startswith(("on", "src"))
    ]
    assert links
    assert {each[0] for each in links} == {"#"}
    assert outline.open == []
