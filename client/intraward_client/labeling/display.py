"""The second look at display: what is about to be shown is searched once more, and a finding keeps it back.

Rule 2 of DESIGN.md ("any doubt quarantines"). The rules of ``deid.residue`` over prompt and answers, with the
tags that the de-identifier put there masked; and the site's planted patients. Where the site replaces by
surrogates, these look like what the rules search for and cannot be told apart any more, so only the planted
patients count there. Gold texts are shipped or written by the hospital's own seniors and pass the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from intraward_client.deid import residue
from intraward_client.deid.echoes import Echoes

_TAG = re.compile(r"\[[A-Z][A-Z_ ]{1,30}\](?: [A-Z]{2})?(?: \d{3})?|\b90\+")
"""A Safe Harbor replacement: a tag, an address's state and three digits, the age of the oldest."""
_NOBODY = Echoes({}, frozenset())


def found_at_display(
    texts: Iterable[str], canaries: Sequence[str] = (), *, surrogates: bool = False
) -> frozenset[str]:
    """Reason codes of what the second look finds in texts that are about to be shown; empty if nothing.

    Args:
        canaries: marks of the site's planted patients.
        surrogates: the site's texts hold surrogates instead of tags.
    """
    codes: set[str] = set()
    for text in texts:
        tags = [match.span() for match in _TAG.finditer(text)]
        hits = {code for _, _, code in residue.findings(text, tags, _NOBODY, canaries)}
        codes |= hits & {"canary"} if surrogates else hits
    return frozenset(codes)
