"""Serving the page: to this machine alone unless asked otherwise, asking nobody for anything."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from superres.app.later import Later
from superres.app.settings import Limits
from superres.app.without_stubs import without_stubs
from superres.core.errors import SuperresError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
TITLE = "superres"


def keep_to_itself(folder: Path) -> None:
    """Tell Gradio, before it is imported, to send nothing and to keep its files in a folder."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["GRADIO_SHARE"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    # The server asks itself whether it is up, which a proxy cannot answer.
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), *LOOPBACK)))


@contextmanager
def serving(
    models: Mapping[str, list[str]],
    limits: Limits,
    version: str,
    *,
    host: str = LOOPBACK[0],
    port: int | None = None,
    at_once: int = 1,
    open_browser: bool = False,
    flags: Sequence[str] = (),
    **options: Any,
) -> Iterator[str]:
    """Serve the page during a block; yields its address.

    What is uploaded and restored lies in a temporary folder, which goes with the block. torch and
    the first model are loaded once the page is there: it takes somebody longer to find a picture.

    Args:
        models: folders with the corruptions that each knows, the one to begin with first.
        limits: what is accepted.
        version: of the program.
        host: the address to bind to.
        port: where; by default the first that is free from 7860 on.
        at_once: restorations at one time.
        open_browser: whether to open the page.
        flags: those with which `superres restore` does as the page, of which it shows them.
        options: for `superres.load`: device, window, batch, precision.

    Raises:
        SuperresError: no Gradio; an address or a port that cannot be bound to.
    """
    with tempfile.TemporaryDirectory(prefix="superres-app-") as folder:
        keep_to_itself(Path(folder))
        try:
            with without_stubs():
                import gradio as gr  # noqa: PLC0415 - an optional extra, first made quiet
        except ImportError as error:
            raise SuperresError(f"needs Gradio: pip install 'superres[app]' ({error})") from error
        from superres.app.layout import lay_out  # noqa: PLC0415 - these import Gradio
        from superres.app.theme import STYLE, theme  # noqa: PLC0415
        from superres.app.wiring import wire  # noqa: PLC0415

        benches: list[Any] = []

        def made() -> Any:
            from superres.app.events import Events  # noqa: PLC0415 - these import torch
            from superres.app.workbench import Workbench  # noqa: PLC0415

            benches.append(Workbench(list(models), limits, Path(folder), version, **options))
            return Events(controls, benches[-1], flags)

        events = Later(made)
        with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
            controls = lay_out(models)
            wire(page, controls, events)
        page.queue(default_concurrency_limit=at_once)
        try:
            page.launch(
                server_name=host,
                server_port=port,
                max_file_size=f"{limits.megabytes:g}mb",
                prevent_thread_lock=True,
                quiet=True,
                inbrowser=open_browser,
                share=False,
                ssr_mode=False,
                pwa=False,
                enable_monitoring=False,
                footer_links=["api"],
                theme=theme(),
                css_paths=[STYLE],
            )
        except OSError as error:
            raise SuperresError(f"{host}, port {port or 'any'}: {error}") from error
        meanwhile = threading.Thread(target=events)
        meanwhile.start()
        try:
            yield page.local_url
        finally:
            page.close(verbose=False)
            meanwhile.join()
            for bench in benches:  # an interpreter that ends under torch's feet aborts
                bench.close()
