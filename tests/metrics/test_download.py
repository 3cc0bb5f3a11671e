import hashlib
import socket
import time

import pytest

from loopback import CONTENT, Server
from superres.metrics import download as module
from superres.metrics.download import DownloadError, download

DIGITS = hashlib.sha256(CONTENT).hexdigest()[:8]


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "cache" / "weights.pth"


def part_of(target):
    return target.with_name("weights.pth.part")


def test_a_file_is_fetched_whole_with_progress(server, target, capsys):
    download(server.url, target, DIGITS)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None]
    assert [path.name for path in target.parent.iterdir()] == ["weights.pth"]
    assert "download weights" in capsys.readouterr().err


def test_a_wrong_checksum_leaves_nothing(server, target):
    with pytest.raises(DownloadError, match=rf"SHA-256 {DIGITS}\.\.\., it should be 00000000"):
        download(server.url, target, "00000000")
    assert list(target.parent.iterdir()) == []


def test_a_cut_connection_is_gone_on_with_at_once(server, target):
    server.cuts = [1000, 300_000]
    download(server.url, target, DIGITS)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000-", "bytes=301000-"]


def test_an_interrupted_attempt_is_gone_on_with_next_time(server, target):
    server.cuts = [5000, 0, 0]
    with pytest.raises(DownloadError, match="cut off after 5000 of 1048576 bytes; 5000 bytes are"):
        download(server.url, target, DIGITS)
    assert not target.exists() and part_of(target).read_bytes() == CONTENT[:5000]
    server.cuts = []
    download(server.url, target, DIGITS)
    assert server.ranges[-1] == "bytes=5000-"
    assert target.read_bytes() == CONTENT and not part_of(target).exists()


def test_a_server_that_ignores_ranges_sends_it_anew(server, target):
    server.knows_ranges = False
    server.cuts = [5000]
    download(server.url, target, DIGITS)
    assert server.ranges == [None, "bytes=5000-"]
    assert target.read_bytes() == CONTENT


def test_a_server_that_always_cuts_at_the_same_place_is_given_up(server, target):
    server.knows_ranges = False
    server.cuts = [5000] * 9
    with pytest.raises(DownloadError, match="cut off after 5000"):
        download(server.url, target, DIGITS)
    assert len(server.ranges) == 2


def test_a_part_that_is_already_whole_is_checked(server, target):
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT)
    download(server.url, target, DIGITS)
    assert server.ranges == [f"bytes={len(CONTENT)}-"]
    assert target.read_bytes() == CONTENT


def test_a_part_of_another_file_ends_in_the_checksum(server, target):
    target.parent.mkdir()
    part_of(target).write_bytes(b"something else")
    with pytest.raises(DownloadError, match="it was deleted"):
        download(server.url, target, DIGITS)
    assert list(target.parent.iterdir()) == []
    download(server.url, target, DIGITS)
    assert target.read_bytes() == CONTENT


def test_the_server_s_refusal_is_told_once(server, target):
    server.status = 404
    with pytest.raises(DownloadError, match="the server answers 404 Not Found"):
        download(server.url, target, DIGITS)
    assert len(server.ranges) == 1 and list(target.parent.iterdir()) == []


def test_a_refused_connection(target):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(DownloadError, match="refused"):
        download(f"http://127.0.0.1:{port}/weights.pth", target, DIGITS)


def test_a_name_that_cannot_be_resolved(target):
    with pytest.raises(DownloadError, match=r"superres\.invalid"):
        download("https://superres.invalid/weights.pth", target, DIGITS)


def test_no_answer_ends_soon(target, monkeypatch):
    def forever(*_, **__):
        time.sleep(2)
        raise OSError("at last")

    monkeypatch.setattr(module.socket, "create_connection", forever)
    monkeypatch.setattr(module, "CONNECT_S", 0.2)
    begin = time.perf_counter()
    with pytest.raises(DownloadError, match=r"no answer within 0\.2 seconds"):
        download("http://192.0.2.1/weights.pth", target, DIGITS)
    assert time.perf_counter() - begin < 5


def test_a_server_that_falls_silent_counts_as_interrupted(target, monkeypatch):
    monkeypatch.setattr(module, "STALL_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/weights.pth"
        with pytest.raises(DownloadError, match="timed out"):
            download(url, target, DIGITS)


def test_only_http(target):
    with pytest.raises(DownloadError, match="not an http or https address"):
        download("file:///etc/passwd", target, DIGITS)


def test_a_cache_that_cannot_be_written(server, target):
    target.parent.write_bytes(b"a file where the folder should be")
    with pytest.raises(DownloadError, match="cache"):
        download(server.url, target, DIGITS)
