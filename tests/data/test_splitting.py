from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superres.core.errors import SuperresError
from superres.data.config import SplitLists, SplitParams
from superres.data.splitting import SPLITS, assign_splits, listed_split, position

PARAMS = SplitParams(val=0.15, test=0.2, salt="7", lists=None)


def test_fractions_are_met_in_the_long_run():
    counts = Counter(assign_splits([f"{i:032x}" for i in range(4000)], PARAMS))
    assert counts["test"] / 4000 == pytest.approx(0.2, abs=0.02)
    assert counts["val"] / 4000 == pytest.approx(0.15, abs=0.02)


def test_more_photographs_move_none():
    contents = [f"{i:032x}" for i in range(200)]
    assert assign_splits(contents, PARAMS)[:60] == assign_splits(contents[:60], PARAMS)


def test_the_salt_draws_another_split():
    contents = [f"{i:032x}" for i in range(60)]
    other = SplitParams(val=0.15, test=0.2, salt="8", lists=None)
    assert assign_splits(contents, PARAMS) != assign_splits(contents, other)


fractions = st.sampled_from([0.01, 0.15, 0.4])


@given(st.lists(st.integers(0, 10**6), min_size=3, max_size=12, unique=True), fractions, fractions)
def test_no_split_is_empty(numbers, val, test):
    params = SplitParams(val=val, test=test, salt="0", lists=None)
    splits = assign_splits([str(number) for number in numbers], params)
    assert set(splits) == set(SPLITS)


def test_an_empty_split_takes_the_nearest_photograph():
    contents = [str(i) for i in range(400)]
    places = {content: position(content, "0") for content in contents}
    train = sorted((c for c in contents if places[c] > 0.4), key=places.__getitem__)[:5]
    # none is below 0.4, so that test (up to 0.2) and val (up to 0.3) would both be empty
    assigned = assign_splits(train, SplitParams(val=0.1, test=0.2, salt="0", lists=None))
    splits = dict(zip(train, assigned, strict=True))
    # whichever of the two is filled first takes the nearest, the other the next
    assert {splits[train[0]], splits[train[1]]} == {"test", "val"}
    assert [splits[content] for content in train[2:]] == ["train"] * 3


def test_order_of_the_photographs_does_not_matter():
    contents = [f"{i:032x}" for i in range(4)]
    splits = assign_splits(contents, PARAMS)
    assert assign_splits(contents[::-1], PARAMS) == splits[::-1]


def test_too_few_photographs_and_impossible_fractions():
    with pytest.raises(SuperresError, match=r"2 photographs .* at least 3"):
        assign_splits(["a", "b"], PARAMS)
    with pytest.raises(SuperresError, match=r"sum below 1\), got 0\.5 and 0\.5"):
        assign_splits(["a", "b", "c"], SplitParams(val=0.5, test=0.5, salt="", lists=None))


def test_lists_say_what_goes_where():
    lists = SplitLists(train=["a/**", "b.jpg"], val=["c.jpg"], test=["d/*.png"])
    names = ["a/1.jpg", "a/2/3.jpg", "b.jpg", "c.jpg", "d/4.png", "e.jpg"]
    assert listed_split(names, lists) == ["train", "train", "train", "val", "test", ""]
    with pytest.raises(SuperresError, match=r"lists\.test: 'd/\*\.png' fits no usable photograph"):
        listed_split(names[:4], lists)
    with pytest.raises(SuperresError, match=r"a/1\.jpg is in both train and val"):
        listed_split(names, lists.model_copy(update={"val": ["**/1.jpg"]}))
