"""The page's twin in Markdown: the same figures, and names that are nothing but names."""

import re

import pytest
from tiny_run import ORIGIN, PARAMS, SOURCES, build, write

from superres.reporting import summary, tables
from superres.reporting.origin import Origin
from superres.reporting.page import shared_content
from superres.reporting.rendering import code, escape, render_markdown
from superres.reporting.run import read_run

HOSTILE = ("</script>.png", "a|b`c``.png", "[x](http://x.test).png", "@all #1 \\.png", "a\nb.png")


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    folder = build(tmp_path_factory.mktemp("run"), sources=SOURCES + HOSTILE[:4])
    write(folder)
    text = (folder / "reports" / "report.md").read_text(encoding="utf-8")
    return read_run(folder / "data", folder / "reports"), text


def rows_of(text, head):
    """Return the cells of the table whose first column has a title."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {head} |"))
    table = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return table


def test_it_has_the_verdict_and_the_figures_of_the_page(twin):
    run, text = twin
    assert f"**{summary.verdict(run)}**" in text
    head, line, *rows = rows_of(text, "contender")
    table = tables.contender_table(run)
    assert len(head) == len(line) == 2 + len(table["columns"])
    for row, cells in zip(table["rows"], rows, strict=True):
        assert cells[0] == row["label"]
        for cell, shown in zip(row["cells"], cells[1:], strict=False):
            value = f"**{cell['text']}**" if cell["best"] else cell["text"]
            interval = f" ({cell['interval']})" if cell["interval"] else ""
            assert shown == value + interval
    assert "![Test tiles" in text and "(restored.png)" in text
    assert (
        "- Not computed: LPIPS, rough where smooth, DISTS, FID" in text
        and "- There are only 9 test tiles" in text
    )
    assert "- `<b>broken</b>.jpg`: cannot be decoded" in text


def test_params_that_differ_are_listed(twin):
    run, text = twin
    assert rows_of(text, "key")[2:] == [["`data.source`", "`data/photos`", "`<my> photos`"]]
    unchanged = render_markdown(shared_content(run, PARAMS, Origin("default.yaml", [])))
    assert "Params: `presets/default.yaml`, unchanged." in unchanged


def test_every_row_of_a_table_has_all_its_cells(twin):
    for head in ("contender", "photograph", "key"):
        assert len({len(row) for row in rows_of(twin[1], head)}) == 1


def test_names_of_photographs_stand_in_code_spans_only(twin):
    text = twin[1]
    for name in SOURCES + HOSTILE[:4]:
        assert code(name) in text
        assert name not in re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat.png", "`cat.png`"),
        ("a|b.png", "`a\\|b.png`"),
        ("a`b.png", "``a`b.png``"),
        ("`", "`` ` ``"),
        ("a``b`", "``` a``b` ```"),
        ("a\n\n# b\u2028c\x00.png", "`a # b c .png`"),
        ("", "` `"),
    ],
)
def test_code_spans_are_as_long_as_they_must_be(name, shown):
    assert code(name) == shown


def test_texts_are_escaped():
    assert escape("<b>*x*</b> [a](b) | `c` _d_ @e #1 & \\") == (
        "&lt;b&gt;\\*x\\*&lt;/b&gt; \\[a\\](b) \\| \\`c\\` \\_d\\_ \\@e \\#1 &amp; \\\\"
    )
    assert escape("a\n# b\r\n\tc") == "a \\# b c"


def test_a_title_is_escaped_too(twin):
    hostile = PARAMS.model_copy(update={"title": "<script>alert(1)</script>"})
    text = render_markdown(shared_content(twin[0], hostile, ORIGIN))
    assert "<script>" not in text
