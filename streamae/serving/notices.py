"""Notices: what operators should know, said once until it changes."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


class Notices:
    """What has been said and still holds, by what it is about."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def say(self, about: str, what: str) -> bool:
        """Warn of a thing, unless that was the last thing said about it; returns whether it is about something new."""
        if self._said.get(about) != what:
            log.warning("%s", what)
        new = about not in self._said
        self._said[about] = what
        return new

    def over(self, about: str, what: str) -> None:
        """Tell that it no longer holds, if it did."""
        if self._said.pop(about, None) is not None:
            log.info("%s", what)
