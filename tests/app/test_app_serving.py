"""The page's server: what other programs may ask it for, what it keeps to itself, how it ends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from superres.app.server import keep_to_itself
from superres.app.settings import Stopped
from superres.cli import main
from support import environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def client(address: str) -> Any:
    gradio_client = pytest.importorskip("gradio_client")
    return gradio_client.Client(address, verbose=False)


@contextmanager
def running(address: str, picture: Path) -> Iterator[None]:
    """Restore a picture with many steps over plain HTTP, as long as the block listens."""
    import httpx  # noqa: PLC0415 - Gradio brings it

    api = f"{address}gradio_api"
    with picture.open("rb") as file:
        path = httpx.post(f"{api}/upload", files={"files": file}).json()[0]
    named = {"path": path, "meta": {"_type": "gradio.FileData"}}
    asked = {"picture": named, "detail": "many steps"}
    job = httpx.post(f"{api}/call/v2/restore", json=asked).json()["event_id"]
    with httpx.stream("GET", f"{api}/call/restore/{job}", timeout=60) as stream:
        events = (line for line in stream.iter_lines() if line.startswith("event: "))
        event = next(one for one in events if one != "event: heartbeat")
        assert event == "event: generating"
        yield


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def ask(client: Any, *words: Any, **options: Any) -> str:
    from gradio_client import handle_file  # noqa: PLC0415 - may be absent

    picture, *others = words
    return client.predict(handle_file(picture), *others, **options, api_name="/restore")


def test_another_program_gets_the_commands_bytes(
    client: Any, model: Path, photographs: Path, tmp_path: Path
) -> None:
    source = photographs / "photograph 0.png"
    restored = ask(client, source, {"jpeg": 0.2}, seed=3)
    words = ["--model", str(model), "--device", "cpu", "--jpeg", "0.2", "--seed", "3", "--estimate"]
    assert main(["restore", str(source), str(tmp_path / "out.png"), *words]) == 0
    assert Path(restored).read_bytes() == (tmp_path / "out.png").read_bytes()
    assert Path(restored).name == "photograph 0-restored.png"


def test_only_what_the_page_offers_can_be_asked(client: Any) -> None:
    assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/restore"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"entropies": {"noise": 0.2}}, "unknown entropy or option 'noise'"),
        ({"entropies": {"jpeg": 2}}, "jpeg: must be between 0 and 1, got 2"),
        ({"entropies": {"jpeg": "much"}}, "jpeg: must be a number, got 'much'"),
        ({"entropies": [1]}, 'must be an object of numbers or "auto"'),
        ({"detail": "all"}, "detail: must be one of estimate, few steps, many steps"),
        ({"format": "exe"}, "format: must be one of png, jpg, webp, tif, got 'exe'"),
        ({"model": "/etc"}, "model: must be one of"),
    ],
)
def test_what_cannot_be_done_is_told(
    client: Any, photographs: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(Exception, match=r"must be|unknown") as caught:
        ask(client, photographs / "photograph 0.png", **options)
    assert said in str(caught.value)


def test_a_text_and_a_picture_that_is_too_large(client: Any, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(Exception, match=r"text\.png: not an image in a known format"):
        ask(client, tmp_path / "text.png")
    Image.new("1", (20000, 20000)).save(tmp_path / "bomb.png")
    with pytest.raises(Exception, match=r"bomb\.png: .*(limit|megapixels)"):
        ask(client, tmp_path / "bomb.png")


def test_entropies_are_estimated_for_other_programs(client: Any, photographs: Path) -> None:
    restored = ask(client, photographs / "photograph 0.png", "auto", format="webp")
    with Image.open(restored) as image:
        assert image.format == "WEBP" and image.size == (480, 400)


@pytest.fixture
def stopped(address: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were not restored to their end, since somebody stopped it."""
    from superres.app.workbench import Workbench  # noqa: PLC0415 - imports torch

    names: list[str] = []
    restore = Workbench.restore_whole

    def noted(self: Workbench, settings: Any, path: str, *others: Any) -> Any:
        try:
            return restore(self, settings, path, *others)
        except Stopped:
            names.append(Path(path).name)
            raise

    monkeypatch.setattr(Workbench, "restore_whole", noted)
    return names


def test_a_job_that_is_cancelled_ends(
    client: Any, stopped: list[str], slow: Path, small: list[Path]
) -> None:
    from gradio_client import handle_file  # noqa: PLC0415 - may be absent

    job = client.submit(handle_file(slow), {}, "many steps", api_name="/restore")
    wait_until(lambda: job.status().code.name == "ITERATING")
    assert job.cancel()
    wait_until(lambda: stopped == ["slow.png"])
    assert Path(ask(client, small[0])).is_file()


def test_a_program_that_leaves_ends_its_job(
    address: str, client: Any, stopped: list[str], slow: Path, small: list[Path]
) -> None:
    with running(address, slow):
        pass
    wait_until(lambda: stopped == ["slow.png"])
    assert Path(ask(client, small[0])).is_file()


def blocks_of_the_docs(address: str) -> Iterator[tuple[str, str]]:
    """Yield language and text of each example for other programs, with this page's address."""
    text = (ROOT / "docs" / "app.md").read_text().split("## From other programs")[1]
    for language, block in re.findall(r"```(\w+)\n(.*?)```", text.split("\n## ")[0], re.DOTALL):
        assert "http://127.0.0.1:7860" in block
        yield language, block.replace("http://127.0.0.1:7860", address.rstrip("/"))


def test_what_the_docs_say_to_other_programs(
    address: str,
    model: Path,
    small: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("gradio_client")
    blocks = dict(blocks_of_the_docs(address))
    assert set(blocks) == {"python", "sh"}
    with Image.open(small[0]) as image:
        image.convert("RGB").save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    words = ["--model", str(model), "--device", "cpu", "--jpeg", "0.2", "--estimate"]
    assert main(["restore", "photo.jpg", "out.png", *words]) == 0
    wanted = Path("out.png").read_bytes()
    names: dict[str, Any] = {}
    exec(blocks["python"], names)
    assert Path(names["restored"]).read_bytes() == wanted
    assert len([line for line in blocks["python"].splitlines() if line.strip()]) == 3
    if shutil.which("curl") is None or shutil.which("jq") is None:
        pytest.skip("the example for plain HTTP needs curl and jq")
    subprocess.run(["bash", "-euo", "pipefail", "-c", blocks["sh"]], check=True, timeout=120)
    assert Path("restored.png").read_bytes() == wanted


def test_files_of_the_machine_are_neither_served_nor_read(address: str, model: Path) -> None:
    import httpx  # noqa: PLC0415 - Gradio brings it

    for path in ("/etc/passwd", str(model / "model.json"), "params.yaml", str(Path.cwd())):
        answer = httpx.get(f"{address}gradio_api/file={path}")
        assert answer.status_code in (403, 404), path
    page = httpx.get(address).text
    dependencies = httpx.get(f"{address}config").json()["dependencies"]
    number = next(one["id"] for one in dependencies if one["api_name"] == "restore")
    body = {"fn_index": number, "session_hash": "x", "data": [{"path": "/etc/passwd"}]}
    body["data"] += [{}, "estimate", 0, "png", str(model)]
    joined = httpx.post(f"{address}gradio_api/queue/join", json=body)
    told = ""
    if joined.status_code == 200:
        with httpx.stream("GET", f"{address}gradio_api/queue/data?session_hash=x") as stream:
            for line in stream.iter_lines():
                told += line
                if "process_completed" in line or "close_stream" in line:
                    break
        assert '"success":false' in told.replace(" ", "")
    assert "root:" not in told and "root:x" not in page


def test_a_hundred_megabytes_are_refused_while_they_come(address: str, tmp_path: Path) -> None:
    import httpx  # noqa: PLC0415 - Gradio brings it

    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(100_000_000)
    before = set(Path(os.environ["GRADIO_TEMP_DIR"]).rglob("*"))
    with large.open("rb") as file:
        answer = httpx.post(f"{address}gradio_api/upload", files={"files": file}, timeout=60)
    assert answer.status_code == 413
    kept = set(Path(os.environ["GRADIO_TEMP_DIR"]).rglob("*")) - before
    assert sum(one.stat().st_size for one in kept if one.is_file()) == 0


def test_nothing_is_sent_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("NO_PROXY", "no_proxy", "GRADIO_ANALYTICS_ENABLED", "GRADIO_TEMP_DIR"):
        monkeypatch.setenv(name, "")
    keep_to_itself(tmp_path)
    analytics = pytest.importorskip("gradio.analytics", reason="needs gradio")
    assert not analytics.analytics_enabled()
    assert "127.0.0.1" in os.environ["no_proxy"].split(",")


def test_bad_values_are_told(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["--max-megapixels", "0"], "--max-megapixels: must be above 0, got 0.0"),
        (["--at-once", "-1"], "--at-once: must be above 0, got -1"),
        (["--port", "70000"], "--port: must be between 1 and 65535, got 70000"),
        (["--model", "nowhere"], "nowhere: not a model folder"),
    ):
        assert main(["app", *words]) == 1
        assert said in capsys.readouterr().err


def test_without_gradio_it_says_what_to_install(model: Path) -> None:
    code = (
        "import sys; sys.modules['gradio'] = None\nfrom superres.cli import main\n"
        f"sys.exit(main(['app', '--model', {str(model)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "superres app: error: needs Gradio: pip install 'superres[app]'" in done.stderr


def test_the_page_does_without_torch_until_it_is_there(model: Path) -> None:
    """Nor does importing Gradio write its type stubs: together more than half of the start."""
    pytest.importorskip("gradio", reason="needs gradio: pip install 'superres[app]'")
    code = (
        "import sys\nimport superres.commands.app\n"
        "from superres.app.found_models import found_models\n"
        "from superres.app.without_stubs import without_stubs\n"
        f"found_models([{str(model)!r}])\n"
        "with without_stubs():\n    import gradio.component_meta as made\n"
        "import superres.app.theme, superres.app.wiring\n"
        "assert made.create_or_modify_pyi.__module__ != made.__name__, 'stubs are written'\n"
        "heavy = {'torch', 'scipy', 'skimage', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    command = [sys.executable, "-c", code]
    env = {**environment(), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_opens_works_ends_when_told_and_takes_its_files_along(
    model: Path, slow: Path, tmp_path: Path
) -> None:
    pytest.importorskip("gradio", reason="needs gradio: pip install 'superres[app]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "superres", "app", "--model", str(model), "--port", str(port)]
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    env = {**environment(), "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)}
    flags = ["--host", "0.0.0.0", "--open", "--at-once", "2", "--device", "cpu"]
    process = subprocess.Popen(
        [*command, *flags],
        env={**env, "BROWSER": f"{browser} %s"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert f":{port}/ (Ctrl-C ends it)" in process.stdout.readline()
        assert "everybody who can reach this machine" in process.stdout.readline()
        assert len(list(tmp_path.glob("superres-app-*"))) == 1
        wait_until((tmp_path / "opened").exists)
        assert f":{port}" in (tmp_path / "opened").read_text()
        taken = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert taken.returncode == 1 and str(port) in taken.stderr
        # Both are told to be at work, of which neither can have ended.
        with running(f"http://127.0.0.1:{port}/", slow), running(f"http://127.0.0.1:{port}/", slow):
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    assert not list(tmp_path.glob("superres-app-*"))
