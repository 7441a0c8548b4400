"""Which font shows a character, and what stands for one that none shows.

Two embedded fonts (DejaVu where it is installed, else the Vera that reportlab brings) and the
character sets that every viewer knows for Chinese, Japanese and Korean. What is left, such as
emoji, is written as its name in brackets: nothing an agent wrote is lost.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

import reportlab
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

if TYPE_CHECKING:
    from collections.abc import Container

TEXT: Final = "OnsemblText"
BOLD: Final = "OnsemblBold"
_CHINESE, _JAPANESE, _KOREAN = "STSong-Light", "HeiseiMin-W3", "HYSMyeongJo-Medium"

_PLACES: Final = ("/usr/share/fonts/truetype/dejavu", "/usr/share/fonts/TTF", "/usr/share/fonts/dejavu-sans-fonts")
_BROUGHT: Final = str(Path(reportlab.__file__).parent / "fonts")
_RANGES: Final = (
    (_JAPANESE, 0x3041, 0x30FF),
    (_KOREAN, 0x1100, 0x11FF),
    (_KOREAN, 0x3131, 0x318E),
    (_KOREAN, 0xAC00, 0xD7A3),
    (_CHINESE, 0x2E80, 0x30FF),
    (_CHINESE, 0x3400, 0x4DBF),
    (_CHINESE, 0x4E00, 0x9FFF),
    (_CHINESE, 0xF900, 0xFAFF),
    (_CHINESE, 0xFF00, 0xFFEF),
)
_JOINERS: Final = frozenset("\u200b\u200c\u200d\ufe0e\ufe0f")
"""They say how their neighbours are drawn, and are nothing by themselves."""


@cache
def shown() -> Container[int]:
    """Register the fonts, once; the code points that the embedded ones show."""
    regular, bold = _files()
    font = TTFont(TEXT, regular)
    pdfmetrics.registerFont(font)
    pdfmetrics.registerFont(TTFont(BOLD, bold))
    for name in (_CHINESE, _JAPANESE, _KOREAN):
        pdfmetrics.registerFont(UnicodeCIDFont(name))
    return frozenset(font.face.charToGlyph)


def _files() -> tuple[str, str]:
    for place in _PLACES:
        found = Path(place)
        if (found / "DejaVuSans.ttf").is_file() and (found / "DejaVuSans-Bold.ttf").is_file():
            return str(found / "DejaVuSans.ttf"), str(found / "DejaVuSans-Bold.ttf")
    return f"{_BROUGHT}/Vera.ttf", f"{_BROUGHT}/VeraBd.ttf"


def marked_up(text: str) -> str:
    """Write one line for reportlab's paragraphs: every character as itself, in a font that shows it."""
    pieces = []
    for font, run in groupby(text, _font_of):
        plain = "".join(run)
        if font is None:
            pieces.append(escape("".join(map(_named, plain))))
        elif font:
            pieces.append(f'<font name="{font}">{escape(plain)}</font>')
        else:
            pieces.append(escape(plain))
    return "".join(pieces)


def _font_of(character: str) -> str | None:
    """The font: empty for the paragraph's own, None if there is none."""
    code = ord(character)
    if character.isprintable() and code in shown() and character not in _JOINERS:
        return ""
    return next((font for font, first, last in _RANGES if first <= code <= last), None)


def _named(character: str) -> str:
    if character in _JOINERS:
        return ""
    if character.isspace():
        return " "
    return f"[{unicodedata.name(character, f'U+{ord(character):04X}')}]"
