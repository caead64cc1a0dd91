"""What a reward model is worth to each site, as a report says it: the worst site beside the mean."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from intraward_shared.config import Strict

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
ShareInterval = tuple[Share, Share]


class SiteAccuracy(Strict):
    """Accuracy of the reward model, or of a site's own head, on a site's pairs."""

    pairs: Count
    accuracy: Share | None = None
    accuracy_interval: ShareInterval | None = None


class SiteResults(Strict):
    """The reward model by site, and each site's own head; the worst one by name and the mean of them."""

    by_site: dict[str, SiteAccuracy] = Field(default={})
    own_heads: dict[str, SiteAccuracy] = Field(default={})
    worst_site_accuracy: Share | None = None
    worst_site_accuracy_interval: ShareInterval | None = None
    worst_site_accuracy_of: str | None = None
    mean_site_accuracy: Share | None = None
    worst_own_head: Share | None = None
    worst_own_head_interval: ShareInterval | None = None
    worst_own_head_of: str | None = None
    mean_own_head: Share | None = None
