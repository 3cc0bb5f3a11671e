import base64
import hashlib
import io
import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny_run import ORIGIN, PARAMS, SOURCES, build, change_json, smooth_noise, write

from superres.core.picture_grid import read_grid
from superres.core.storage import write_json
from superres.metrics.catalog import TABLE_FIGURES, figure_named
from superres.reporting import summary, tables
from superres.reporting.__main__ import main as reporting_main
from superres.reporting.formatting import share
from superres.reporting.page import render_page
from superres.reporting.run import read_run
from superres.reporting.tile_cards import shown_tiles


class Page(HTMLParser):
    """The page as a browser would take it apart."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = build(tmp_path_factory.mktemp("run"))
    said, text = write(folder)
    return folder, said, text, Page(text)


def test_the_page_fetches_nothing(report):
    _, _, text, page = report
    assert "http://" not in text and "https://" not in text and "@import" not in text
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"link", "iframe", "object", "embed", "form", "base"}
    for _, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on") and name != "style"
            if name in ("src", "href", "xlink:href", "srcset", "data") and value != "run.html":
                assert value.startswith(("data:image/png;base64,", "data:image/webp;base64,", "#"))


def test_the_security_policy_allows_nothing_from_outside(report):
    text, page = report[2:]
    policies = [a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a]
    assert len(policies) == 1 and policies[0].startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policies[0]
    # The only style sheet and the only script are those whose hashes the policy names.
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        assert text.count(f"<{tag}>") == 1
        inside = text.split(f"<{tag}>")[1].split(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}';" in policies[0]
    kinds = [a.get("type") for tag, a in page.elements if tag == "script"]
    assert kinds == ["application/json", None]


def test_hostile_and_foreign_names_are_text(report):
    text, page = report[2:]
    assert "<img src=x" not in text and "<b>broken" not in text and "<jpeg>" not in text
    for name in (*SOURCES, "<b>broken</b>.jpg", "A <title> & more"):
        assert name in page.text
    block = text.split('id="viewer-data">')[1].split("</script>")[0]
    assert not set(block) & set("<>&\u2028\u2029")
    assert {tile["source"] for tile in json.loads(block)["tiles"]} == set(SOURCES)


def test_anchors_lead_somewhere(report):
    page = report[3]
    ids = {a["id"] for _, a in page.elements if "id" in a}
    links = {a["href"][1:] for tag, a in page.elements if tag == "a" and a["href"] != "run.html"}
    assert links and links <= ids


def test_pictures_are_the_run_s_pixels(report):
    folder, _, _, page = report
    images = [a for tag, a in page.elements if tag == "img" and "src" in a]
    assert len(images) == 6 * PARAMS.tiles + 1
    original = next(a for a in images if a["alt"].startswith("original"))
    content = base64.b64decode(original["src"].split(",")[1])
    shard = np.load(folder / "data" / "tiles" / "test-00000.npy")
    place = int(original["alt"].split(" at ")[1].split(",")[0]) // 32
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), shard[place])
    assert (original["width"], original["height"]) == ("96", "96")
    low = base64.b64decode(images[0]["src"].split(",")[1])
    assert Image.open(io.BytesIO(low)).size == (16, 16)


def test_cards_go_from_the_largest_gain_to_the_smallest(report):
    run = read_run(report[0] / "data", report[0] / "reports")

    def shown(count):
        some = PARAMS.model_copy(update={"tiles": count})
        return [dict(card.gains)["estimate"] for card in shown_tiles(run, some)]

    gains = shown(9)
    assert len(gains) == 9
    assert gains == sorted(gains, reverse=True)
    assert shown(3) == [gains[0], gains[4], gains[8]]
    assert len(shown(100)) == 9


def test_fewer_tiles_are_shown_where_they_take_too_much_room(report):
    run = read_run(report[0] / "data", report[0] / "reports")
    small = PARAMS.model_copy(update={"tiles": 9, "max_megabytes": 0.05})
    shown = shown_tiles(run, small)
    size = sum(len(picture.uri) for card in shown for picture in card.pictures)
    assert 1 < len(shown) < 9 and 25_000 < size <= 50_000
    text = Page(render_page(run, small, ORIGIN)).text
    assert f"{len(shown)} of 9 test tiles" in text and "report.max_megabytes" in text
    assert len(shown_tiles(run, small.model_copy(update={"max_megabytes": 1e-5}))) == 1


def test_the_terminal_gets_the_verdict_and_the_path(report):
    folder, said = report[:2]
    assert "above bicubic" in said and str(folder / "reports" / "index.html") in said


def test_the_figures_can_be_printed_again(report, monkeypatch, capsys):
    folder = report[0]
    monkeypatch.chdir(folder)
    write_json(Path("reports/timing.json"), {"train": {"seconds": 12.0}})
    assert reporting_main() == 0
    said = capsys.readouterr().out
    assert "LR-PSNR dB" in said and "train 12 s" in said
    assert str(folder / "reports" / "index.html") in said
    assert str(folder / "reports" / "run.html") in said
    monkeypatch.chdir(folder / "data")
    assert reporting_main() == 1
    assert "metrics.json" in capsys.readouterr().err


def test_the_overview_shows_every_version(report):
    with Image.open(report[0] / "reports" / "restored.png") as picture:
        assert picture.width > 5 * 100


def test_what_was_left_out_is_said(report):
    text = report[3].text
    assert "cannot be decoded" in text
    assert "25 tiles were dropped" in text
    assert "<code>make weights</code>" in report[2] and "`" not in report[3].text.split("{")[0]
    assert text.count("FID, KID, precision and recall are not computed") == 1
    assert "make weights" in text
    assert "model.trained_on.tiles" in text


def test_the_same_run_gives_the_same_bytes(report):
    folder, _, text, _ = report
    before = (folder / "reports" / "index.html").stat().st_size
    assert write(folder)[1] == text
    assert before == len(text.encode())


def test_the_best_of_a_column_is_bold():
    run_metrics = {"a": {"psnr": 29.001}, "b": {"psnr": 29.004}, "c": {"psnr": None}}
    assert tables._best(TABLE_FIGURES[0], run_metrics) == {"29.00"}
    shift = figure_named("color_shift")
    best = tables._best(shift, {"a": {"color_shift": -0.2}, "b": {"color_shift": 0.9}})
    assert "−0.20" in best and "+0.90" not in best


def test_swd_by_level_goes_from_fine_to_coarse(report):
    run = read_run(report[0] / "data", report[0] / "reports")
    table = tables.level_table(run)
    assert table["sizes"] == [32, 16]
    assert [row["key"] for row in table["rows"][:2]] == ["estimate", "model"]
    assert [cell["text"] for cell in table["rows"][1]["cells"]] == ["1.26", "0.84"]
    assert [cell["best"] for cell in table["rows"][1]["cells"]] == [True, True]
    assert not any(cell["best"] for cell in table["rows"][0]["cells"])


def test_the_verdict_says_what_happened_either_way(tmp_path):
    folder = build(tmp_path)

    def verdict(**figures):
        def change(metrics):
            for name, value in figures.items():
                contender, metric = name.split("_", 1)
                metrics[contender][metric] = value
            for name, value in ends.items():
                contender, metric = name.split("_", 1)
                metrics["intervals"][contender][metric] = value

        change_json(folder / "reports" / "metrics.json", change)
        return summary.verdict(read_run(folder / "data", folder / "reports"))

    ends = {"estimate_psnr_over_bicubic": [0.21, 0.502], "mean_psnr_over_bicubic": [-0.1, 0.06]}
    good = verdict(
        estimate_psnr=29.26, mean_psnr=29.0, bicubic_psnr=28.92, model_swd=0.95, bicubic_swd=1.9
    )
    assert good.startswith("On 9 tiles of 3 photographs that training never saw,")
    assert "the estimate is 0.34 dB above bicubic in PSNR (95 % interval 0.21 to 0.50);" in good
    assert "a single sample of 50 steps has half bicubic’s SWD." in good
    mean = verdict(mean_psnr=29.27)
    assert "the mean of 2 samples is 0.35 dB above bicubic" in mean
    assert "(perhaps by chance, 95 % interval −0.10 to 0.06)" in mean
    bad = verdict(estimate_psnr=28.0, mean_psnr=28.7, model_swd=3.8)
    assert "the mean of 2 samples is 0.22 dB below bicubic" in bad and "2.0 times bicubic’s" in bad
    none = verdict(estimate_psnr=None, mean_psnr=None, bicubic_swd=0)
    assert "cannot be compared with bicubic in PSNR" in none and "bicubic in SWD" in none


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (0.2, "20 % of"),
        (0.26, "a quarter of"),
        (0.333, "a third of"),
        (0.5, "half"),
        (0.53, "53 % of"),
        (0.995, "all of"),
        (1.02, "1.02 times"),
        (1.44, "1.4 times"),
        (12.3, "12 times"),
    ],
)
def test_shares_are_told_as_one_says_them(ratio, said):
    assert share(ratio) == said


def test_of_weights_from_elsewhere_nobody_says_what_trained_them(tmp_path):
    folder = build(tmp_path)
    run = read_run(folder / "data", folder / "reports")
    assert "trained on 200 tiles of 1 photograph" in summary.facts(run)
    run.sampling["model"] = {"origin": "dlas", "file": "500000_generator.pth"}
    assert "training never saw" not in summary.verdict(run)
    assert summary.facts(run)[1] == "weights from elsewhere (500000_generator.pth)"


def test_tiles_that_are_exact_do_no_harm(tmp_path):
    folder = build(tmp_path)
    path = folder / "reports" / "per_tile.csv"
    rows = pd.read_csv(path)
    exact = rows["id"].isin(["t0-0", "t3-0", "t6-0"]) & (rows["contender"] == "bicubic")
    also = (rows["id"] == "t8-0") & rows["contender"].isin(["bicubic", "estimate"])
    rows.loc[exact | also, "psnr"] = np.inf
    rows.to_csv(path, index=False)
    page = Page(write(folder, PARAMS.model_copy(update={"tiles": 9}))[1])
    assert "exact" in page.text and "−∞ dB" in page.text
    assert "nan" not in page.text and "inf dB" not in page.text


def test_null_figures_and_a_run_without_mean(tmp_path):
    folder = build(tmp_path)
    change_json(folder / "reports" / "metrics.json", lambda m: m.pop("mean"))
    change_json(folder / "reports" / "metrics.json", lambda m: m["model"].update(psnr=None))
    page = Page(write(folder)[1])
    assert "mean of 2" not in page.text
    assert len([tag for tag, a in page.elements if tag == "img" and "src" in a]) == 5 * 4 + 1
    missing = "PSNR of one sample; LPIPS, rough where smooth, DISTS, FID, KID,"
    assert f"Not computed: {missing}" in page.text


def evaluations_shown(folder, **recorded):
    change_json(folder / "data" / "samples" / "sampling.json", lambda s: s.update(recorded))
    run = read_run(folder / "data", folder / "reports")
    rows = tables.contender_table(run)["rows"]
    return run, {row["key"]: row["evaluations"] for row in rows}


def test_evaluations_are_those_that_sampling_recorded(tmp_path):
    """15 steps of `heun` are 29 evaluations, with guidance twice as many."""
    folder = build(tmp_path)
    guidance = {"scale": 1.5, "ramp": 0.0, "drop": ["jpeg"]}
    run, costs = evaluations_shown(
        folder, sampler="heun", steps=15, guidance=guidance, evaluations=58
    )
    assert (costs["estimate"], costs["model"], costs["mean"]) == (1, 58, 116)
    assert costs["bicubic"] is None
    assert "sampled in 15 steps of heun (58 network evaluations)" in summary.facts(run)
    text = write(folder)[1]
    assert "(58 network evaluations)" in text and "<td>58</td>" in text
    assert "| 58 |" in (folder / "reports" / "report.md").read_text(encoding="utf-8")


def test_evaluations_that_were_not_recorded_are_unknown(tmp_path):
    folder = build(tmp_path)
    change_json(folder / "data" / "samples" / "sampling.json", lambda s: s.pop("evaluations"))
    run, costs = evaluations_shown(folder)
    assert costs["estimate"] == 1 and costs["model"] is None and costs["mean"] is None
    assert "(an unknown number of network evaluations)" in summary.facts(run)[-1]
    assert "<td>unknown</td>" in write(folder)[1]
    assert "| unknown |" in (folder / "reports" / "report.md").read_text(encoding="utf-8")


def test_what_explore_left_out_is_said(report):
    assert "Pictures of 4 x 4 tiles were left out." in report[3].text


def test_grids_of_explore_become_figures_with_text(report):
    folder, _, text, page = report
    drawn = text.split('aria-label="2 × 5 pictures"')[1].split("</svg>")[0]
    assert drawn.count("<image") == 10
    for label in ("blur told", "jpeg told", "&lt;1&gt;"):
        assert f">{label}</text>" in drawn
    cells = [a["href"] for tag, a in page.elements if tag == "image"]
    png = (folder / "reports" / "explore" / "entropies.png").read_bytes()
    pictures, labels = read_grid(png)
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(cells[7].split(",")[1]))))
    assert np.array_equal(shown[..., :3], smooth_noise(7, 64))
    assert np.array_equal(pictures[1][2], smooth_noise(7, 64))
    assert (labels.rows, labels.columns) == (["0", "<1>"], list("01234"))
    assert read_grid((folder / "reports" / "explore" / "plain.png").read_bytes()) is None


def test_the_report_needs_no_torch():
    code = "import sys, superres.reporting.page; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
