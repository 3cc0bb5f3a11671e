import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from superres.reporting import figures, training_figures
from superres.reporting.formatting import signed
from superres.reporting.rendering import FOLDER
from superres.reporting.style import COLORS, render_svg, styled

TRAIN = pd.DataFrame(
    {
        "step": [20, 40, 60],
        "loss": [0.5, 0.3, 0.2],
        "val_loss": [np.nan, 0.35, np.nan],
        "vb": [0.02, 0.01, 0.01],
        "learning_rate": [1e-3, 2e-3, 1e-4],
        "loss_q0": [0.2, 0.1, np.nan],
        "loss_q3": [0.9, 0.6, 0.4],
    }
)
SELECTION = pd.DataFrame(
    {
        "step": [800, 400, 800, 400],
        "ema": ["classic", "classic", "0.15", "0.15"],
        "appearance": [26.5, 25.0, 26.6, 25.1],
        "psnr_estimate": [29.0, 28.5, 29.1, 28.6],
        "psnr_sample": [27.5, 26.5, 27.6, 26.6],
        "swd": [1.3, 1.6, 1.2, 1.5],
        "tie": [1, 0, 1, 0],
        "chosen": [1, 0, 0, 0],
    }
)
STEPS = pd.DataFrame(
    {
        "sampler": ["ddpm", "ddpm", "heun"],
        "spacing": ["linear", "linear", "trailing"],
        "evaluations": [50, 1, 9],
        "psnr": [27.0, 29.0, 28.0],
        "swd": [1.0, 1.5, 1.2],
    }
)
SIZES = pd.DataFrame(
    {
        "edge_px": [128, 64],
        "gain": [-0.5, -0.7],
        "gain_estimate": [0.9, 0.8],
        "swd": [1.3, 1.2],
        "swd_estimate": [1.6, 1.7],
    }
)
POINTS = pd.DataFrame(
    {
        "contender": ["model", "estimate", "bicubic", "lanczos"],
        "label": ["one sample", "estimate", "bicubic", "Lanczos"],
        "psnr": [27.0, 29.3, 28.9, 28.95],
        "swd": [1.04, 1.51, 1.9, 1.89],
    }
)


def per_tile(by_strength):
    """Rows of tiles whose estimate gains `by_strength`: (blur, jpeg) -> dB."""
    rows = []
    for number, ((blur, jpeg), gain) in enumerate(by_strength):
        place = {"id": f"p{number}", "entropy_blur": blur, "entropy_jpeg": jpeg}
        rows += [{**place, "contender": "bicubic", "psnr": 28.0}]
        rows += [{**place, "contender": "estimate", "psnr": 28.0 + gain}]
    return pd.DataFrame(rows)


def svg(draw, *arguments):
    with styled():
        figure = draw(*arguments)
    return render_svg(figure, "test", "a <label>")


ALL = [
    (training_figures.training_curve, (TRAIN,)),
    (training_figures.selection_curve, (SELECTION,)),
    (training_figures.quartile_curve, (TRAIN,)),
    (training_figures.effort_curve, (TRAIN,)),
    (figures.sampling_curves, (STEPS,)),
    (figures.size_curve, (SIZES,)),
    (figures.perception_distortion, (POINTS,)),
    (figures.gain_heat_map, (per_tile([((0.1, 0.9), 1.0)]), ["blur", "jpeg"])),
]


UNITS = ("loss", "dB", "loss", "rate", "evaluations", "px", "levels", "dB")


@pytest.mark.parametrize(("draw", "arguments"), ALL)
def test_svg_is_text_without_references_and_the_same_each_time(draw, arguments):
    text = svg(draw, *arguments)
    assert text == svg(draw, *arguments)
    ElementTree.fromstring(text)  # well formed
    assert "http" not in text and "xmlns" not in text and "<style" not in text
    assert "<text" in text and "<image" not in text
    assert 'aria-label="a &lt;label&gt;"' in text
    assert "mathdefault" not in text
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert ids and all(name.startswith("test-") for name in ids)
    used = re.findall(r'(?:url\(#|href="#)([^")]*)', text)
    assert set(used) <= set(ids)


@pytest.mark.parametrize(
    ("draw", "arguments", "unit"),
    [(*row, unit) for row, unit in zip(ALL, UNITS, strict=True)],
)
def test_axes_say_what_they_are(draw, arguments, unit):
    assert unit in svg(draw, *arguments)


def test_every_colour_is_a_variable_of_the_page_in_light_and_dark():
    css = (FOLDER / "page.css").read_text(encoding="utf-8")
    for name, color in COLORS.items():
        assert re.findall(rf"--{name}: (#\w+);", css)[0] == color
        assert css.count(f"--{name}: #") == 2
    text = svg(figures.sampling_curves, STEPS)
    assert "var(--estimate, #0072b2)" in text
    assert not re.search(r"[^,] #0072b2", text)


def test_steps_are_drawn_in_order():
    with styled():
        figure = figures.sampling_curves(STEPS)
    axes = figure.axes
    assert [line.get_label() for line in axes[0].lines] == ["ddpm linear", "heun trailing"]
    assert axes[0].lines[0].get_xdata().tolist() == [1, 50]
    assert axes[0].lines[0].get_ydata().tolist() == [29.0, 27.0]
    assert axes[1].lines[0].get_ydata().tolist() == [1.5, 1.0]


def test_sizes_are_drawn_in_order():
    with styled():
        axes = figures.size_curve(SIZES).axes
    assert axes[0].lines[0].get_xdata().tolist() == [64, 128]
    assert axes[0].lines[0].get_ydata().tolist() == [0.8, 0.9]
    assert axes[1].lines[1].get_ydata().tolist() == [1.2, 1.3]


def test_training_curve_draws_the_losses_that_are_there():
    with styled():
        figure = training_figures.training_curve(TRAIN)
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert labels == ["training", "validation"]
    assert figure.axes[1].get_ylabel() == "variational\nterm"
    assert figure.axes[1].lines[0].get_ydata().tolist() == [0.02, 0.01, 0.01]
    with styled():
        assert len(training_figures.training_curve(TRAIN.drop(columns="vb")).axes) == 1
    assert figure.axes[0].lines[1].get_xdata().tolist() == [40]
    assert figure.axes[0].get_yscale() == "log"
    with styled():
        negative = training_figures.training_curve(TRAIN.assign(loss=[-1.0, 0.0, 1.0]))
        none = training_figures.training_curve(TRAIN[["step"]])
    assert negative.axes[0].get_yscale() == "linear"
    assert not none.axes[0].lines


def test_effort_has_a_panel_for_what_was_measured():
    with styled():
        [rate] = training_figures.effort_curve(TRAIN).axes
        both = training_figures.effort_curve(TRAIN.assign(gradient_norm=[3.0, 2.0, 1.0])).axes
    assert rate.get_ylabel() == "learning\nrate"
    assert rate.lines[0].get_ydata().tolist() == [1e-3, 2e-3, 1e-4]
    assert [axes.get_ylabel() for axes in both] == ["learning\nrate", "gradient\nnorm"]
    assert training_figures.effort_curve(TRAIN[["step", "loss"]]) is None


def test_quartiles_are_drawn_where_they_were_measured():
    with styled():
        axes = training_figures.quartile_curve(TRAIN).axes[0]
    assert [line.get_label() for line in axes.lines] == ["first quarter (clean)", "last (noise)"]
    assert axes.lines[0].get_ydata().tolist() == [0.2, 0.1]
    assert training_figures.quartile_curve(TRAIN[["step", "loss"]]) is None


def test_selection_has_a_line_per_average_and_marks_the_chosen_and_the_ties():
    text = svg(training_figures.selection_curve, SELECTION)
    assert "chosen: step 800, average: classic" in text
    with styled():
        first, *_ = training_figures.selection_curve(SELECTION).axes
        alone = training_figures.selection_curve(SELECTION.head(1)).axes[0]
    drawn = {line.get_label(): line for line in first.lines}
    assert drawn["average: 0.15"].get_xdata().tolist() == [400, 800]
    assert drawn["average: 0.15"].get_ydata().tolist() == [28.6, 29.1]
    assert drawn["chosen"].get_ydata().tolist() == [29.0]
    filled = [line for line in first.lines if line.get_markerfacecolor() == line.get_color()]
    assert [line.get_ydata().tolist() for line in filled] == [[29.0], [29.1]]
    assert ">filled: cannot be told from the best<" in text
    assert drawn["average: classic"].get_linestyle() != drawn["average: 0.15"].get_linestyle()
    assert len(alone.lines) == 3


def test_labels_of_near_points_do_not_overlap():
    with styled():
        axes = figures.perception_distortion(POINTS).axes[0]
    places = {(round(t.get_position()[1], 2), t.get_ha()) for t in axes.texts}
    assert len(places) == len(POINTS)


def test_contenders_without_a_figure_are_left_out_of_the_plane():
    with styled():
        axes = figures.perception_distortion(POINTS.assign(psnr=[None, 29.0, None, None])).axes[0]
        empty = figures.perception_distortion(POINTS.assign(psnr=None)).axes[0]
    assert [text.get_text() for text in axes.texts] == ["estimate"]
    assert not empty.texts


def test_heat_map_holds_the_mean_gain_of_each_bin():
    table = per_tile([((0.1, 0.9), 1.0), ((0.2, 1.0), 2.0), ((0.6, 0.0), -0.5)])
    text = svg(figures.gain_heat_map, table, ["blur", "jpeg"])
    assert "+1.50 dB" in text and "−0.50 dB" in text
    assert text.count(">n = ") == 2 and ">n = 2<" in text
    assert text.count("no tiles") == 14


def test_heat_map_of_one_corruption_and_of_none():
    table = per_tile([((0.1, 0.9), 1.0), ((0.6, 0.9), -0.5)])
    text = svg(figures.gain_heat_map, table, ["blur"])
    assert text.count("no tiles") == 2
    assert figures.gain_heat_map(table, []) is None
    equal = table.assign(psnr=np.inf)
    assert figures.gain_heat_map(equal, ["blur"]) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.336, "+0.34"),
        (-1.2, "−1.20"),
        (0.001, "±0.00"),
        (-0.001, "±0.00"),
        (np.inf, "+∞"),
        (-np.inf, "−∞"),
        (np.nan, "–"),
    ],
)
def test_signed(value, text):
    assert signed(value) == text
