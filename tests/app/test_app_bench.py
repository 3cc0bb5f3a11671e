"""What the page does, without a page."""

from __future__ import annotations

import shlex
import threading
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from superres import __version__
from superres.app.archive import write_archive
from superres.app.found_models import found_models
from superres.app.parts import cut, part_of, share_of_most_detail
from superres.app.settings import FEW, MANY, Limits, Settings, Stopped, command, restored_name
from superres.app.workbench import Workbench
from superres.cli import main
from superres.core.errors import SuperresError
from superres.entropy.estimator import load_estimator
from superres.model import found
from superres.restoration.picture import Picture


@pytest.fixture
def bench(model: Path, tmp_path: Path) -> Workbench:
    made = tmp_path / "made"
    made.mkdir()
    return Workbench([str(model)], Limits(0.1, 1), made, __version__, device="cpu")


def as_the_command_does(words: str, source: Path, folder: Path) -> Path:
    """Carry a command line out that the page shows for a file, in a folder; return the output."""
    _, _, name, out, *flags = shlex.split(words)
    assert name == source.name
    assert main(["restore", str(source), str(folder / out), *flags, "--device", "cpu"]) == 0
    return folder / out


@pytest.mark.usefixtures("fp32_alone")
def test_a_precision_that_only_costs_time_is_named(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for precision, lines in (("fp32", 0), ("bf16", 1)):
        options = {"device": "cpu", "precision": precision}
        bench = Workbench([str(model)], Limits(0.1, 1), tmp_path, __version__, **options)
        for _ in range(2):
            bench.restorer(str(model))
        slow = "--precision: this processor has no instructions for bf16; fp32 will be faster"
        assert capsys.readouterr().err.count(slow) == lines


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16"])
def test_what_is_saved_is_what_the_command_writes(
    bench: Workbench, model: Path, tmp_path: Path, suffix: str, mode: str
) -> None:
    source = tmp_path / "a picture.png"
    levels = np.random.default_rng(0).integers(0, 60000, (24, 40, 4))
    exif = Image.Exif()
    exif[0x010F] = "A maker"
    if mode == "I;16":
        image = Image.fromarray(levels[:, :, 0].astype(np.uint16))
    else:
        image = Image.fromarray((levels[:, :, : len(mode)] >> 8).astype(np.uint8))
    image.save(source, exif=exif)
    settings = Settings(str(model), {"blur": 0.25, "jpeg": 0.31}, seed=5)
    result = bench.restore_whole(settings, str(source), "tab")
    saved, notes = bench.save(result, 0, suffix)
    words = command(settings, source.name, suffix)
    out = as_the_command_does(words, source, tmp_path / "out")
    if suffix == ".jpg" and mode == "RGBA":
        assert notes[0] == "JPG cannot hold this picture: it became PNG"
        out = out.with_suffix(".png")
    assert saved.name == out.name
    assert saved.read_bytes() == out.read_bytes()


def test_a_chosen_sample_is_the_commands(bench: Workbench, model: Path, photographs: Path) -> None:
    source = photographs / "photograph 0.png"
    settings = Settings(str(model), {"jpeg": 0.5}, FEW, samples=2)
    result = bench.restore_whole(settings, str(source), "tab")
    words = command(settings, source.name)
    out = as_the_command_does(words, source, photographs.parent / "samples")
    for sample in (0, 1):
        saved, _ = bench.save(result, sample, ".png")
        written = out.with_name(f"{out.stem}-{sample + 1}.png")
        assert saved.name == written.name and saved.read_bytes() == written.read_bytes()
    assert not np.array_equal(result.pictures[0].levels, result.pictures[1].levels)


def test_names_for_a_shell(model: Path) -> None:
    settings = Settings(str(model), {}, MANY)
    assert shlex.split(command(settings, "-a b'.png"))[2:4] == [
        "./-a b'.png",
        "./-a b'-restored.png",
    ]
    assert restored_name("a.b.jpeg", ".tif") == "a.b-restored.tif"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text.png", b"no picture", "text.png: not an image in a known format"),
        ("empty.png", b"", "empty.png: the file is empty"),
        ("heavy.png", b"x" * 1_200_000, "heavy.png: 1.2 MB, more than the limit of 1 MB"),
    ],
)
def test_what_is_no_picture(
    bench: Workbench, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SuperresError) as caught:
        bench.read(str(tmp_path / name))
    assert str(caught.value) == said


def test_a_bomb_is_refused_by_its_header(bench: Workbench, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.png"
    Image.new("1", (20000, 20000)).save(bomb)
    with pytest.raises(SuperresError, match=r"^bomb\.png: (400\.0 megapixels|Image size)"):
        bench.read(str(bomb))
    large = tmp_path / "large.png"
    Image.new("L", (400, 300)).save(large)
    with pytest.raises(SuperresError, match=r"0\.1 megapixels, more than the limit of 0\.1"):
        bench.read(str(large))


def test_only_uploads_last_read_are_kept(bench: Workbench, tmp_path: Path) -> None:
    for number in range(5):
        Image.new("RGB", (16, 16)).save(tmp_path / f"{number}.png")
        bench.read(str(tmp_path / f"{number}.png"))
    kept = bench.read(str(tmp_path / "4.png"))
    assert kept is bench.read(str(tmp_path / "4.png"))
    assert len(bench._uploads) == 3


def test_stopping_ends_the_work_of_one_tab_alone(
    bench: Workbench, model: Path, photographs: Path
) -> None:
    begun = threading.Event()
    ended: list[BaseException] = []
    seen: list[tuple[int, int]] = []

    def watch(done: int, total: int) -> None:
        seen.append((done, total))
        begun.set()

    def work() -> None:
        try:
            settings = Settings(str(model), {}, MANY)
            bench.restore_whole(settings, str(photographs / "photograph 0.png"), "one", watch)
        except Stopped as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(60)
    assert not bench.stop("another")
    assert bench.stop("one")
    thread.join(20)
    assert ended and seen[-1][0] < seen[-1][1]
    assert not bench.stop("one")


def test_closing_ends_all_work_and_waits_for_it(
    bench: Workbench, model: Path, small: list[Path]
) -> None:
    begun = threading.Barrier(3)
    ended: list[str] = []

    def work(session: str) -> None:
        first = iter([True])

        def watch(done: int, total: int) -> None:
            if next(first, False):
                begun.wait(60)

        try:
            bench.restore_whole(Settings(str(model), {}, MANY), str(small[0]), session, watch)
        except Stopped:
            ended.append(session)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    begun.wait(60)
    bench.close()
    assert not bench.stop("one") and not bench.stop("two")
    for thread in threads:
        thread.join(20)
    assert sorted(ended) == ["one", "two"]
    with pytest.raises(Stopped):
        bench.restore_whole(Settings(str(model), {}), str(small[0]), "three")


def test_a_model_that_is_not_the_pages(bench: Workbench) -> None:
    with pytest.raises(SuperresError, match="model: must be one of"):
        bench.restorer("/etc")


def test_the_sheet_is_a_grid_of_entropies(bench: Workbench, model: Path) -> None:
    picture = Picture(np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8))
    made = bench.sheet(Settings(str(model), {}), picture, "tab")
    assert [(told["blur"], told["jpeg"]) for _, told in made] == [
        (down / 4, across / 4) for down in range(5) for across in range(5)
    ]
    alone = bench.restore_part(Settings(str(model), {"blur": 0.25, "jpeg": 1.0}), picture, "tab")
    assert np.array_equal(made[9][0].levels, alone.levels)


def test_a_sheet_varies_what_is_strongest(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Known:
        corruptions = ("blur", "noise", "jpeg")

    monkeypatch.setattr(bench, "restorer", lambda folder: Known)
    assert bench.axes(Settings("any", {"jpeg": 0.4, "blur": 0.2})) == ["blur", "jpeg"]
    assert bench.axes(Settings("any", {"jpeg": 0.4, "noise": 0.5})) == ["noise", "jpeg"]
    assert bench.axes(Settings("any", {})) == ["blur", "noise"]
    monkeypatch.setattr(Known, "corruptions", ())
    with pytest.raises(SuperresError, match="knows no corruptions"):
        bench.axes(Settings("any", {}))


def test_files_of_one_name_in_an_archive(tmp_path: Path) -> None:
    files = []
    for number, name in enumerate(("a.png", "b.png", "a.png", "a (2).png", "a.png")):
        files.append(tmp_path / str(number) / name)
        files[-1].parent.mkdir()
        files[-1].write_text(str(number))
    write_archive(tmp_path / "all.zip", files)
    with ZipFile(tmp_path / "all.zip") as archive:
        names = archive.namelist()
        assert names == ["a.png", "b.png", "a (2).png", "a (2) (2).png", "a (3).png"]
        assert [archive.read(name).decode() for name in names] == list("01234")


def test_a_result_is_written_once(bench: Workbench, model: Path, small: list[Path]) -> None:
    settings = Settings(str(model), {"jpeg": 0.5}, FEW, samples=2)
    results = [bench.restore_whole(settings, str(path), "tab") for path in small]
    assert bench.save(results[0], 0, ".png") == bench.save(results[0], 0, ".png")
    assert bench.save(results[0], 0, ".png") != bench.save(results[0], 1, ".png")
    seen: list[tuple[int, int]] = []
    out = bench.save_all(results, ".png", "tab", lambda *told: seen.append(told))
    assert seen == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert bench.save_all(results, ".png", "tab") == out
    assert bench.save_all(results, ".webp", "tab") != out
    with ZipFile(out) as archive:
        assert archive.namelist() == [
            *("small-restored-1.png", "small-restored-2.png"),
            *("small-restored-1 (2).png", "small-restored-2 (2).png"),
        ]
    with pytest.raises(Stopped):
        bench.save_all(results, ".tif", "tab", lambda *told: bench.stop("tab"))


@pytest.mark.parametrize("across", [0.0, 0.37, 1.0])
@pytest.mark.parametrize("size", [(40, 300), (64, 64), (301, 129)])
def test_parts_lie_within(size: tuple[int, int], across: float) -> None:
    levels = np.arange(size[0] * size[1]).reshape(size).astype(np.uint16)
    picture = Picture(levels, levels)
    rows, columns = part_of(picture, across, 1 - across, 64)
    assert rows.stop <= size[0] and columns.stop <= size[1]
    assert rows.stop - rows.start == min(64, size[0])
    assert columns.stop - columns.start == min(64, size[1])
    if across == 1:
        assert columns.stop == size[1] and rows.start == 0
    part = cut(picture, (rows, columns))
    assert part.alpha is not None and np.array_equal(part.levels, part.alpha)


def test_the_first_part_is_the_one_with_most_detail() -> None:
    levels = np.full((200, 304), 128, np.uint8)
    levels[120:152, 224:256] = np.random.default_rng(0).integers(0, 255, (32, 32))
    picture = Picture(levels)
    rows, columns = part_of(picture, *share_of_most_detail(picture, 64), 64)
    assert rows.start <= 120 and rows.stop >= 152
    assert columns.start <= 224 and columns.stop >= 256


def test_how_sure_an_estimate_is(model: Path) -> None:
    import torch  # noqa: PLC0415 - beside the estimator

    estimator = load_estimator(model.parent / "entropy")
    low = torch.rand(1, 3, 64, 64) * 2 - 1
    estimates, between = estimator.estimate_with_spread(low)
    assert estimates == estimator.estimate(low)
    wider = estimator.estimate_with_spread(low, 0.99)[1]
    for name in estimates:
        least, most = between[name]
        assert 0 <= least < most <= 1
        assert wider[name][0] <= least and wider[name][1] >= most


def test_models_are_found(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(found, "BOX", tmp_path / "no box")
    with pytest.raises(SuperresError, match=r"no model: .*models/best is not there"):
        found_models([])
    with pytest.raises(SuperresError, match="not a model folder"):
        found_models(["nowhere"])
    for name in ("another", "best"):
        (tmp_path / "models" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "models" / name).symlink_to(model)
    (tmp_path / "models" / "train").mkdir()
    assert list(found_models([])) == ["models/best", "models/another"]
    monkeypatch.setattr(found, "BOX", model)
    assert list(found_models([])) == ["models/best", "models/another", str(model)]
    monkeypatch.setattr(found, "BOX", tmp_path / "no box")
    assert list(found_models(["models/another"])) == ["models/another", "models/best"]
    assert found_models([])["models/best"] == ["blur", "jpeg"]
