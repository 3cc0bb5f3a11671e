"""Photographs at addresses: the same bytes as from a disk, or an error that names the address."""

import functools
import re
import socket
import sys
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest

from superres.core.errors import SuperresError
from superres.core.parallel import WORKERS_VARIABLE
from superres.data import addresses
from superres.data.sources import check_there, find_sources
from superres.data.tiling import tile_photographs

REFUSED = {"/forbidden.png": 403, "/gone.png": 410, "/broken.png": 500}


class _Handler(SimpleHTTPRequestHandler):
    def send_head(self):
        path = self.path.partition("?")[0]
        if path in REFUSED:
            self.send_error(REFUSED[path])
            return None
        if path == "/silent.png":
            time.sleep(1.5)
        return super().send_head()

    def log_message(self, *_):
        pass


@pytest.fixture
def web(tmp_path):
    """The address of a server of `tmp_path / "photos"`."""
    handler = functools.partial(_Handler, directory=str(tmp_path / "photos"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def _tiled(folder, params):
    """Return the files that tiling writes, without the names of photographs."""
    tile_photographs(params, folder / "tiles", folder / "photographs.csv")
    return {p.name: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _compare(one, other, prefix):
    assert set(one) == set(other) and len(one) == 5
    for name in one:
        assert one[name].replace(prefix.encode(), b"") == other[name]


@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_list_of_addresses_gives_the_bytes_of_the_files(
    tmp_path, photos, data_params, web, monkeypatch, workers
):
    monkeypatch.setenv(WORKERS_VARIABLE, workers)
    lines = [f"{web}/p{number}.png" for number in range(6)]
    (tmp_path / "list.txt").write_text("\n".join(lines), encoding="utf-8")
    listed = _tiled(tmp_path / "web", data_params(source=str(tmp_path / "list.txt")))
    _compare(listed, _tiled(tmp_path / "disk", data_params()), f"{web}/")


def test_a_list_at_an_address_names_files_relative_to_it(tmp_path, photos, data_params, web):
    (photos / "list.txt").write_text("\n".join(f"p{n}.png" for n in range(6)), encoding="utf-8")
    listed = _tiled(tmp_path / "web", data_params(source=f"{web}/list.txt"))
    _compare(listed, _tiled(tmp_path / "disk", data_params(pattern="*.png")), "")


def test_a_folder_at_an_address_gives_the_bytes_of_the_folder(tmp_path, photos, data_params):
    bucket = fsspec.filesystem("memory")
    for path in photos.iterdir():
        bucket.pipe(f"/bucket/photos/sub/{path.name}", path.read_bytes())
    bucket.pipe("/bucket/photos/sub/.hidden.png", b"")
    bucket.pipe("/bucket/other/p9.png", b"")
    try:
        params = data_params(source="memory://bucket/photos", pattern="sub/p*")
        _compare(_tiled(tmp_path / "web", params), _tiled(tmp_path / "disk", data_params()), "sub/")
        reasons = {each.name: each.reason for each in find_sources("memory://bucket/photos")}
        assert reasons["sub/.hidden.png"] == "hidden file" and reasons["sub/p0.png"] == ""
    finally:
        bucket.rm("/bucket", recursive=True)


def test_what_is_missing_or_forbidden_is_left_out_with_its_address(
    tmp_path, photos, data_params, web
):
    lines = [f"{web}/p{number}.png" for number in range(6)]
    lines += [f"{web}/absent.png", f"{web}/forbidden.png", f"{web}/gone.png"]
    lines += [f"{web}/p0.png", f"{web}/.p.png"]
    (tmp_path / "list.txt").write_text("\n".join(lines), encoding="utf-8")
    params = data_params(source=str(tmp_path / "list.txt"), max_bad_fraction=0.4)
    table = _tiled(tmp_path / "web", params)["photographs.csv"].decode()
    assert f"unreadable: {web}/absent.png: not there" in table
    assert f"unreadable: {web}/forbidden.png: access is forbidden (403" in table
    assert f"unreadable: {web}/gone.png: not there any more" in table
    assert table.count("listed twice") == 1 and table.count("hidden file") == 1
    with pytest.raises(SuperresError, match="3 of 9 files are unreadable"):
        _tiled(tmp_path / "again", data_params(source=str(tmp_path / "list.txt")))


def test_an_error_of_the_server_ends_the_run_and_leaves_nothing(tmp_path, photos, data_params, web):
    lines = [f"{web}/p{number}.png" for number in range(6)] + [f"{web}/broken.png"]
    (tmp_path / "list.txt").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(SuperresError, match=re.escape(f"{web}/broken.png: no answer: 500")):
        _tiled(tmp_path / "web", data_params(source=str(tmp_path / "list.txt")))
    assert not [path for path in (tmp_path / "web").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("absent.txt", "not there"),
        ("forbidden.png", "access is forbidden"),
        ("p0.png", "neither a folder nor a text file of addresses"),
        ("", "a page of the web"),
    ],
)
def test_a_source_that_is_none_is_named(photos, web, path, reason):
    with pytest.raises(SuperresError, match=f"data.source: {re.escape(web)}/{path}: {reason}"):
        find_sources(f"{web}/{path}")


def test_no_server_and_no_answer_are_errors_in_time(photos, web, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/list.txt"
    begin = time.monotonic()
    with pytest.raises(SuperresError, match=f"data.source: {closed}: no answer: .*connect"):
        find_sources(closed)
    monkeypatch.setattr(addresses, "LIMIT_SECONDS", 0.5)
    with pytest.raises(SuperresError, match=r"silent.png: no answer: none within 0.5 s"):
        addresses.read(f"{web}/silent.png")
    assert time.monotonic() - begin < 20


@pytest.mark.parametrize(
    ("address", "module", "extra"),
    [("s3://bucket/photos", "s3fs", "s3"), ("gs://bucket/photos", "gcsfs", "gs")],
)
def test_what_is_not_installed_is_named(monkeypatch, address, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    loaded = sys.modules["fsspec.registry"]._registry  # `fsspec.registry` is a view of it
    monkeypatch.delitem(loaded, extra, raising=False)
    with pytest.raises(
        SuperresError, match=rf"{address}: needs `pip install 'superres\[{extra}\]'`"
    ):
        find_sources(address)


def test_an_unknown_protocol_is_an_error():
    with pytest.raises(SuperresError, match=r"data.source: nope://x/y: .*nope"):
        find_sources("nope://x/y")


def test_addresses_are_told_from_paths(tmp_path):
    assert addresses.is_address("s3://bucket") and addresses.is_address("https://host/a b.txt")
    for path in ("data/photos", "/a//b", "C:/photos", "://x", "s3:/bucket", tmp_path):
        assert not addresses.is_address(path)
    check_there("https://no.such.host.invalid/list.txt")  # not looked up


def test_names_of_images_end_before_the_query(tmp_path, photos, web):
    (tmp_path / "list.txt").write_text(f"{web}/p0.png?key=1\n{web}/notes?name=a.png\n")
    named = [each.named_as_image for each in find_sources(tmp_path / "list.txt")]
    assert named == [False, True]


@pytest.fixture
def bucket(photos, monkeypatch):
    """`s3://photos` on this machine, and its client."""
    server = pytest.importorskip("moto.server", reason="needs `pip install moto[server] dvc-s3`")
    pytest.importorskip("s3fs", reason="needs `pip install superres[s3]`")
    running = server.ThreadedMotoServer("127.0.0.1", 0)
    running.start()
    host, port = running.get_host_and_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # those of another test's server
    client = fsspec.filesystem("s3")
    client.mkdir("photos")
    for path in photos.iterdir():
        client.pipe(f"photos/sub/{path.name}", path.read_bytes())
    yield client
    client.rm("photos", recursive=True)
    running.stop()


def test_a_bucket_gives_the_bytes_of_the_folder(tmp_path, photos, data_params, bucket):
    found = _tiled(tmp_path / "s3", data_params(source="s3://photos"))
    _compare(found, _tiled(tmp_path / "disk", data_params()), "sub/")


@pytest.mark.parametrize("address", ["s3://no-such-bucket", "s3://photos/no/such/folder"])
def test_a_wrong_bucket_or_folder_is_named(bucket, address):
    with pytest.raises(SuperresError, match=f"data.source: {address}: not there"):
        find_sources(address)


def test_a_bucket_without_a_server_is_an_error_in_time(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    bucket.clear_instance_cache()
    begin = time.monotonic()
    with pytest.raises(SuperresError, match=r"data.source: s3://photos: no answer: .*127.0.0.1:9"):
        find_sources("s3://photos")
    assert time.monotonic() - begin < 60
