"""What nobody sees in a text becomes visible: controls of direction, and other controls, one sign for one.

A model may write U+202E and turn the words after it round, or hide some from the reader. Each such character
becomes one sign, so that passages keep their places; marks that only help Arabic or Hebrew along, joiners of
emoji, tabs and line ends stay. The box of a text has a direction of its own (``dir=auto``) in any case.
"""

from __future__ import annotations

HIDDEN = "⇄"
"""Stands for a control of direction: embedding, override, isolate, or the end of one."""
_DIRECTION = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_PICTURES = 0x2400
"""Unicode's own pictures of the controls U+0000 to U+001F."""
_SIGNS = (
    {code: HIDDEN for code in _DIRECTION}
    | {code: chr(_PICTURES + code) for code in range(0x20) if chr(code) not in "\t\n\r"}
    | {0x7F: "\u2421"}
    | {code: "\ufffd" for code in (*range(0x80, 0xA0), 0xFEFF, 0x2028, 0x2029, *range(0xE0000, 0xE0080))}
)


def visible(text: str) -> str:
    """The text with every hidden control as a sign; as long as it was."""
    return text.translate(_SIGNS)
