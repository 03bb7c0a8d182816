"""Colours of a terminal, or none."""

from __future__ import annotations

from dataclasses import dataclass

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"


@dataclass(frozen=True, slots=True)
class Style:
    """Paints text with ANSI colours where `color` is true, and leaves it as it is where it is not."""

    color: bool = False

    def paint(self, text: str, *codes: str) -> str:
        """`text` in the colours of `codes`."""
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self.color and codes and text else text

    def bold(self, text: str) -> str:
        """For what is read first."""
        return self.paint(text, BOLD)

    def dim(self, text: str) -> str:
        """For what may be passed over."""
        return self.paint(text, DIM)
