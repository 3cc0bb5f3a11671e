"""Which restored picture belongs to which original, by name."""

import pytest

from superres.core.errors import SuperresError
from superres.evaluation.pairing import SAME, Pattern, Rule, inferred, selecting


@pytest.mark.parametrize(
    ("restored", "original", "rule"),
    [
        (["a", "b"], ["b", "a"], "restored '{name}', original '{name}'"),
        (["x_out", "y_out"], ["x", "y"], "restored '{name}_out', original '{name}'"),
        (["0801x2", "0802x2"], ["0801", "0802"], "restored '{name}x2', original '{name}'"),
        (["sr-a b", "sr-c"], ["a b", "c"], "restored 'sr-{name}', original '{name}'"),
        (["s_1_x4", "s_2_x4"], ["1", "2"], "restored 's_{name}_x4', original '{name}'"),
        (["1", "2"], ["1_HR", "2_HR"], "restored '{name}', original '{name}_HR'"),
        (
            ["img_001_SRF_2_LR", "img_002_SRF_2_LR"],
            ["img_001_SRF_2_HR", "img_002_SRF_2_HR"],
            "restored '{name}LR', original '{name}HR'",
        ),
        (["img_SRF_2_LR"], ["img_SRF_2_HR"], "restored '{name}LR', original '{name}HR'"),
        (["LR_a", "LR_b"], ["HR_a", "HR_b"], "restored 'LR{name}', original 'HR{name}'"),
        (["café-1"], ["café"], "restored '{name}-1', original '{name}'"),
    ],
)
def test_one_rule_that_pairs_all(restored, original, rule):
    found = inferred(restored, original)
    assert str(found) == rule
    assert {found.original_of(stem) for stem in restored} == set(original)
    assert {found.restored_of(stem) for stem in original} == set(restored)


@pytest.mark.parametrize(
    ("restored", "original"),
    [
        (["a_out", "b"], ["a", "b"]),
        (["a_out", "b_out", "c_out"], ["a", "b"]),
        (["foo"], ["fab"]),
        (["a_1", "b_2"], ["a", "b"]),
        (["cat", "dog"], ["tree", "house"]),
    ],
)
def test_no_rule_pairs_all(restored, original):
    assert inferred(restored, original) is None


def test_one_of_several_samples():
    restored = [f"{name}-{number}" for name in ("x", "y") for number in (1, 2)]
    assert inferred(restored, ["x", "y"]) is None
    assert selecting(restored, ["x", "y"]) == Rule(Pattern(suffix="-1"))
    assert selecting(["q", "x-1"], ["x", "y"]) is None


def test_patterns():
    pattern = Pattern.parse("sr_{name}_x2", "--pattern")
    assert pattern == ("sr_", "_x2") and str(pattern) == "sr_{name}_x2"
    assert pattern.name("sr_a_x2") == "a" and pattern.name("sr__x2") is None
    assert pattern.name("sr_x2") is None and pattern.name("a_x2") is None
    assert SAME.original_of("a") == SAME.restored_of("a") == "a"
    for text in ("sr_*", "{name}{name}", ""):
        with pytest.raises(SuperresError, match=r"--pattern: must hold \{name\} once"):
            Pattern.parse(text, "--pattern")
