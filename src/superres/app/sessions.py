"""Who asks: what tells one tab or program from another."""

from __future__ import annotations

import gradio as gr


def session_of(request: gr.Request) -> str:
    """Return what tells one tab, or one program's connection, from another."""
    return str(request.session_hash)
