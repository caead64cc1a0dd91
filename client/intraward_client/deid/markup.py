"""HTML as exports of records have it, read as text: plain tags fall away, entities become their signs.

Part of normalisation (``intake_checks``), so offsets of the original are followed as for every other
spelling (``offsets``): a tag or an entity is one piece. Read are tags of layout without an attribute, or
with attributes of layout whose values are words of layout; whatever else ``<`` may open (scripts, links,
pictures, comments, values that could hold a name) stays, and the note is refused.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

import html

import regex

_BLOCK = (
    "html|body|head|p|div|br|hr|li|ul|ol|dl|dt|dd|h[1-6]|table|thead|tbody|tfoot|tr|caption|section|article|header|footer|"
    "title|main|aside|pre|blockquote|address|center|fieldset|legend|colgroup"
)
_CELL = "td|th|col"
_INLINE = "b|i|u|s|a|q|em|strong|span|font|small|big|sup|sub|tt|code|mark|ins|del|strike|abbr|label|nobr|wbr"
_NAMES = r"class|style|align|valign|width|height|border|cellpadding|cellspacing|colspan|rowspan|bgcolor|color|face|size|dir|lang|nowrap|role|type|start"
_WORDS = (
    "note|notes|text|body|content|container|main|section|header|head|heading|title|footer|row|col|cell|table|td|th|tr|list|item|line|block|"
    "box|panel|page|para|paragraph|label|value|field|data|bold|italic|underline|small|large|medium|normal|center|left|right|top|bottom|middle|"
    "justify|inherit|none|auto|solid|dotted|hidden|collapse|nowrap|pre|wrap|font|family|size|weight|style|color|background|width|height|"
    "min|max|margin|padding|border|spacing|align|vertical|text|display|inline|flex|grid|float|clear|line|px|pt|em|rem|cm|in|rgb|rgba|"
    "red|green|blue|black|white|gr[ae]y|silver|yellow|arial|helvetica|verdana|calibri|times|new|roman|courier|tahoma|georgia|segoe|ui|sans|"
    "serif|mono|monospace|msonormal|msolistparagraph|mso|list|clinical|report|summary|ltr|rtl|us|gb|en|presentation|odd|even|first|last|"
    "wrapper|group|entry|transparent|important|x|y|hd|md|lg|sm|xs|xl"
)
_VALUE = rf"(?:(?:{_WORDS})(?![a-z])|(?<!\d)\d{{1,4}}(?!\d)|\#[0-9a-f]{{3}}(?:[0-9a-f]{{3}})?(?![0-9a-z])|[ \t%;:,.()_!-])*+"
_ATTRIBUTES = rf"(?:[ \t\n]+(?:{_NAMES})(?:=(?:\"{_VALUE}\"|'{_VALUE}'|(?:{_WORDS}|\d{{1,4}}%?|\#[0-9a-f]{{6}})(?=[\s/>]))|(?=[\s/>])))*"
_TAIL = rf"{_ATTRIBUTES}\s*/?>"
_BREAK = rf"<(?:/\s*)?(?:{_BLOCK})\b{_TAIL}[ \t]*(?:\r\n|\r|\n)?|<(?:!doctype html|meta charset=[\"']?utf-?8[\"']? ?/?)>[ \t]*(?:\r\n|\r|\n)?"
_ENTITY = r"&(?!lt;|gt;|#0*(?:60|62);|#x0*3[ce];)(?:[a-z]{2,8}\d{0,2}|#\d{1,6}|#x[0-9a-f]{1,5});"
PIECE = rf"{_BREAK}|<(?:/\s*)?(?:{_CELL})\b{_TAIL}|<(?:/\s*)?(?:{_INLINE})\b{_TAIL}|{_ENTITY}"
"""One tag or entity that is read through."""
_PIECE = regex.compile(
    rf"(?P<line>{_BREAK})|(?P<cell><(?:/\s*)?(?:{_CELL})\b{_TAIL})|(?P<inline><(?:/\s*)?(?:{_INLINE})\b{_TAIL})|(?P<entity>{_ENTITY})",
    regex.IGNORECASE,
)


def read_through(text: str) -> str:
    """``text`` without plain tags, a line end or two spaces where one parted the text, entities as signs."""
    if "<" not in text and "&" not in text:
        return text
    return str(_PIECE.sub(_plain, text))


def _plain(piece: regex.Match[str]) -> str:
    if piece["entity"]:
        return html.unescape(piece.group())
    return "\n" if piece["line"] else "  " if piece["cell"] else ""
