"""Numbers as text that people read."""

from __future__ import annotations

import math


def signed(value: float, digits: int = 2) -> str:
    """Return a number with its sign, with a true minus: `+0.34`, `−1.20`, `+∞`."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else f"{'+' if value > 0 else '−'}∞"
    text = f"{value:+.{digits}f}"
    if float(text) == 0:
        return f"±{abs(value):.{digits}f}"
    return text.replace("-", "−")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 tile`, `2 tiles`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def share(ratio: float) -> str:
    """Return a ratio as one says it: `half`, `a third of`, `62 % of`, `1.4 times`."""
    fractions = {1 / 4: "a quarter of", 1 / 3: "a third of", 1 / 2: "half", 2 / 3: "two thirds of"}
    fractions |= {3 / 4: "three quarters of", 1.0: "all of"}
    near = min(fractions, key=lambda share: abs(share - ratio))
    if abs(near - ratio) < 0.0125:
        return fractions[near]
    if ratio < 1:
        return f"{100 * ratio:.0f} % of"
    return f"{ratio:.{0 if ratio >= 10 else 1 if ratio >= 1.1 else 2}f} times"


def duration(seconds: float) -> str:
    """Return a time as one says it: `0.4 s`, `58 s`, `12 min 5 s`, `3 h 2 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
