"""What the nights found: which fit of the forecast is used, how well each did on a day it had not seen, and alarms."""

import polars as pl
import streamlit as st

from dashboard import blocks
from dashboard.session import Sight
from dashboard.words import NOTHING, count, day, plain, share
from domain.errors import ConfigError
from engine.champions import Fit, FitBook

#: Nights that are shown, and those that bands and alarms are counted over.
_SHOWN = 14
_COLUMNS = {
    "until": st.column_config.TextColumn("rows up to", width="small"),
    "state": st.column_config.TextColumn("what became of it", width="small"),
    "loss": st.column_config.TextColumn("loss", width="small", help="Log loss per click on the day after its rows; lower is better."),
    "before": st.column_config.TextColumn("champion's", width="small"),
    "held": st.column_config.TextColumn("bands that held", width="small", help="Clicks and spend of each campaign; made to hold 80 %."),
    "reason": st.column_config.TextColumn("why", width="large"),
}  # fmt: skip


def show(seen: Sight) -> None:
    """Draw the section; of a past hour, the fits that had been tried by then."""
    st.subheader("What the nights found")
    try:
        fits = FitBook.of(seen.workspace.home, seen.account.name).fits(seen.cut)
    except ConfigError as error:
        st.warning(plain(error), icon=":material/warning:")
        return
    if not fits:
        st.write(
            "No night has tried a fit yet: the forecast learns from all rows. `steadybid serve` tries one each night."
        )
        return
    lately = fits[-_SHOWN:]
    st.markdown(_words(lately, seen))
    alarms = [(f, a) for f in lately for a in f.alarms]
    for fit, alarm in alarms[-3:]:
        st.warning(f"{day(seen.local(fit.until))}: {plain(alarm)}", icon=":material/notification_important:")
    blocks.table(
        pl.DataFrame(
            {
                "until": [day(seen.local(f.until)) for f in lately[::-1]],
                "state": [f.state for f in lately[::-1]],
                "loss": [f"{f.loss:.3f}" for f in lately[::-1]],
                "before": [NOTHING if f.champion_loss is None else f"{f.champion_loss:.3f}" for f in lately[::-1]],
                "held": [NOTHING if f.coverage is None else f"{share(f.coverage)} of {f.bands}" for f in lately[::-1]],
                "reason": [f.reason for f in lately[::-1]],
            }
        ),
        _COLUMNS,
    )
    st.caption(
        "Each night the forecast learns anew, and is tried against the one in use on a day that neither has seen. To go "
        f"back to the one before: steadybid models roll-back --account {plain(seen.account.name)}"
    )


def _words(fits: list[Fit], seen: Sight) -> str:
    used = next((f for f in reversed(fits) if f.state == "champion"), None)
    lead = (
        f"**In use: what was learned from rows up to {day(seen.local(used.until))}.**"
        if used is not None
        else "**In use: an older fit than those below.**"
    )
    down = sum(f.state == "turned down" for f in fits)
    bands = sum(f.bands for f in fits if f.coverage is not None)
    held = sum((f.coverage or 0.0) * f.bands for f in fits)
    parts = [f"{count(len(fits), 'night')} tried one, {down or 'none'} turned down"]
    parts += [f"{share(held / bands)} of {count(bands, 'band')} held"] if bands else []
    parts += [count(n, "alarm") if (n := sum(len(f.alarms) for f in fits)) else "no alarm"]
    return f"{lead} {'; '.join(parts)}."
