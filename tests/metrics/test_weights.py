import json
import shutil

import pytest

from loopback import Server
from superres.core.errors import SuperresError
from superres.core.hashing import sha256_of
from superres.metrics import weights as module
from superres.metrics.weights import (
    ALEXNET,
    COMPARING,
    DISTS,
    FILE,
    LINEAR,
    LPIPS,
    VGG,
    WeightsMissing,
    cache_folder,
    find_dists,
    find_lpips,
    find_weights,
    main,
    read_record,
)


@pytest.fixture
def server(inception_file, monkeypatch):
    """A server of the random weights, whose checksum stands for the published one."""
    server = Server()
    server.content = inception_file.read_bytes()
    monkeypatch.setattr(module, "DIGITS", sha256_of(inception_file)[:8])
    monkeypatch.setenv("SUPERRES_OFFLINE", "0")
    yield server
    server.close()


def test_the_file_s_name_carries_the_checksum():
    assert FILE == "pt_inception-2015-12-05-6726825d.pth"
    assert module.URL.endswith(f"/{FILE}") and FILE.endswith(f"{module.DIGITS}.pth")


def test_weights_are_downloaded_once_into_the_cache(server, inception_file):
    found = find_weights(server.url)
    assert found.path == cache_folder() / FILE
    assert found.sha256 == sha256_of(inception_file) and found.name == FILE
    assert find_weights(server.url) == found
    assert len(server.ranges) == 1


def test_another_checksum_is_missing_and_nothing_is_cached(server, monkeypatch):
    monkeypatch.setattr(module, "DIGITS", "00000000")
    with pytest.raises(WeightsMissing, match="should be 00000000"):
        find_weights(server.url)
    assert list(cache_folder().iterdir()) == []


def test_no_server_is_missing():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUPERRES_OFFLINE", "0")
        with pytest.raises(WeightsMissing, match="refused"):
            find_weights("http://127.0.0.1:9/weights.pth")


def test_offline_nothing_is_asked(server, monkeypatch):
    monkeypatch.setenv("SUPERRES_OFFLINE", "1")
    with pytest.raises(WeightsMissing, match="SUPERRES_OFFLINE forbids"):
        find_weights(server.url)
    assert server.ranges == []


def test_a_damaged_file_in_the_cache_is_named_and_kept():
    cache_folder().mkdir(parents=True)
    (cache_folder() / FILE).write_bytes(b"half a file")
    with pytest.raises(WeightsMissing, match=rf"{FILE}: damaged.*delete it"):
        find_weights()
    assert (cache_folder() / FILE).exists()


def test_a_given_path_comes_first_and_may_hold_other_weights(inception_file, monkeypatch, tmp_path):
    cache_folder().mkdir(parents=True)
    shutil.copy(inception_file, cache_folder() / FILE)
    monkeypatch.setenv("SUPERRES_INCEPTION", str(inception_file))
    found = find_weights()
    assert found.path == inception_file
    assert found.name == f"other weights, SHA-256 {found.sha256[:8]}"
    monkeypatch.setenv("SUPERRES_INCEPTION", str(tmp_path / "absent.pth"))
    with pytest.raises(
        SuperresError, match=r"SUPERRES_INCEPTION: .*absent\.pth: no such file"
    ) as e:
        find_weights()
    assert not isinstance(e.value, WeightsMissing)  # a wrong path is to be mended, not passed over


def test_main_names_the_weights_in_the_record(inception_file, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUPERRES_INCEPTION", str(inception_file))
    assert main() == 0
    assert read_record() == sha256_of(inception_file)
    assert "dvc repro" in capsys.readouterr().out


def test_main_says_what_to_do_by_hand(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert main() == 1
    said = capsys.readouterr().err
    assert module.URL in said and str(cache_folder() / FILE) in said
    assert "SUPERRES_INCEPTION" in said
    assert not (tmp_path / "weights.json").exists()


def test_main_refuses_a_file_that_is_no_network(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.pth").write_bytes(b"<html>")
    monkeypatch.setenv("SUPERRES_INCEPTION", "other.pth")
    assert main() == 1
    assert "not a file of weights" in capsys.readouterr().err
    assert not (tmp_path / "weights.json").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"inception": 3}', '{"inception": null, "lpips": 1}']
)
def test_a_spoilt_record_is_named(tmp_path, text):
    path = tmp_path / "weights.json"
    path.write_text(text)
    with pytest.raises(SuperresError, match=r"weights\.json"):
        read_record(path)


def test_the_project_s_record_can_be_read():
    record = json.loads((module.Path(__file__).parents[2] / "weights.json").read_text())
    assert set(record) == {"inception", "lpips", "dists"}


def test_lpips_is_not_there_where_it_is_not_given(monkeypatch):
    assert find_lpips() is None
    monkeypatch.setenv("SUPERRES_LPIPS", "")
    assert find_lpips() is None


def test_lpips_is_two_files_of_a_folder(lpips_given):
    found = find_lpips()
    assert found.paths == (lpips_given / ALEXNET, lpips_given / LINEAR)
    assert found.sha256.split() == [sha256_of(path) for path in found.paths]


def test_the_files_of_lpips_are_the_published_ones():
    assert module.LPIPS_DIGITS == {
        "alexnet-owt-7be5be79.pth": "7be5be79",
        "alex.pth": "df73285e",  # of the wheel lpips 0.1.4, weights/v0.1
    }


def test_dists_is_two_files_of_a_folder_of_its_own(dists_given, monkeypatch):
    found = find_dists()
    assert found.paths == (dists_given / VGG, dists_given / COMPARING)
    assert found.sha256.split() == [sha256_of(path) for path in found.paths]
    assert find_lpips() is None
    monkeypatch.delenv("SUPERRES_DISTS")
    assert find_dists() is None


def test_the_files_of_dists_are_the_published_ones(monkeypatch, tmp_path):
    assert module.DISTS_DIGITS == {
        "vgg16-397923af.pth": "397923af",
        "weights.pt": "f5e65c96",  # of the wheel DISTS_pytorch 0.1
    }
    monkeypatch.setenv("SUPERRES_DISTS", str(tmp_path))
    (tmp_path / VGG).write_bytes(b"another")
    with pytest.raises(SuperresError, match=rf"SUPERRES_DISTS: .*{VGG}: .* DISTS: .* 397923af"):
        find_dists()
    (tmp_path / VGG).unlink()
    wanted = rf"wanted is a folder with {VGG} and {COMPARING}"
    with pytest.raises(SuperresError, match=rf"SUPERRES_DISTS: .*: not there; {wanted}"):
        find_dists()


def test_a_wrong_folder_of_lpips_is_named_with_what_is_wanted(monkeypatch, tmp_path):
    wanted = r"; wanted is a folder with alexnet-owt-7be5be79\.pth and alex\.pth"
    monkeypatch.setenv("SUPERRES_LPIPS", str(tmp_path / "absent"))
    with pytest.raises(SuperresError, match=rf"SUPERRES_LPIPS: .*absent: no such folder{wanted}"):
        find_lpips()
    (tmp_path / "file").touch()
    monkeypatch.setenv("SUPERRES_LPIPS", str(tmp_path / "file"))
    with pytest.raises(SuperresError, match=rf"file: no such folder{wanted}"):
        find_lpips()


@pytest.mark.parametrize("name", [ALEXNET, LINEAR])
def test_a_file_of_lpips_that_is_not_there_or_another_is_named(
    lpips_given, monkeypatch, tmp_path, name
):
    for path in lpips_given.iterdir():
        shutil.copy(path, tmp_path)
    monkeypatch.setenv("SUPERRES_LPIPS", str(tmp_path))
    (tmp_path / name).write_bytes(b"of version 0.0")
    with pytest.raises(SuperresError, match=rf"{name}: damaged, or not .* 0\.1: .* with bec0dd76"):
        find_lpips()
    (tmp_path / name).unlink()
    with pytest.raises(SuperresError, match=rf"{name}: not there; wanted is a folder with"):
        find_lpips()


def test_main_names_lpips_beside_what_is_named_already(lpips_given, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.json").write_text('{"inception": "6726825d"}')
    assert read_record(entry=LPIPS) is read_record(entry=DISTS) is None  # a record from before
    assert main() == 1  # Inception's are not to be had
    said = capsys.readouterr()
    assert "By hand" in said.err and "lpips: in order, named in weights.json" in said.out
    assert read_record() == "6726825d" and read_record(entry=LPIPS) == find_lpips().sha256
    monkeypatch.delenv("SUPERRES_LPIPS")
    before = (tmp_path / "weights.json").read_bytes()
    assert main() == 1
    assert (tmp_path / "weights.json").read_bytes() == before


def test_main_names_all(lpips_given, dists_given, inception_file, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUPERRES_INCEPTION", str(inception_file))
    assert main() == 0
    assert json.loads((tmp_path / "weights.json").read_text()) == {
        "inception": sha256_of(inception_file),
        "lpips": find_lpips().sha256,
        "dists": find_dists().sha256,
    }
    (tmp_path / "weights.json").write_text("spoilt")
    assert main() == 1
    assert (tmp_path / "weights.json").read_text() == "spoilt"


def test_main_names_no_lpips_that_cannot_be_loaded(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    for name in module.LPIPS_DIGITS:
        (tmp_path / name).write_bytes(b"<html>")
        monkeypatch.setitem(module.LPIPS_DIGITS, name, sha256_of(tmp_path / name)[:8])
    monkeypatch.setenv("SUPERRES_LPIPS", str(tmp_path))
    assert main() == 1
    assert "alexnet-owt-7be5be79.pth: is no file of tensors" in capsys.readouterr().err
    assert not (tmp_path / "weights.json").exists()
