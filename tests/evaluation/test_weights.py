import json
import shutil

import pytest

from loopback import Server
from superres.errors import SuperresError
from superres.evaluation import weights as module
from superres.evaluation.download import sha256_of
from superres.evaluation.weights import (
    FILE,
    WeightsMissing,
    cache_folder,
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


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"inception": 3}'])
def test_a_spoilt_record_is_named(tmp_path, text):
    path = tmp_path / "weights.json"
    path.write_text(text)
    with pytest.raises(SuperresError, match=r"weights\.json"):
        read_record(path)


def test_the_project_s_record_can_be_read():
    record = json.loads((module.Path(__file__).parents[2] / "weights.json").read_text())
    assert set(record) == {"inception"}
