"""The ids of tags that are remembered for a minute."""

from __future__ import annotations

from canvas_app.interviews.tag_ids import GOOD_FOR_SECONDS, Found, TagIds


class Intercom:
    """Gives each tag a new id whenever it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.now = 100.0

    def ask(self, name: str) -> str:
        self.asked.append(name)
        return str(80 + len(self.asked))


def test_an_id_is_asked_for_once_a_minute() -> None:
    intercom = Intercom()
    ids = TagIds(clock=lambda: intercom.now)
    assert ids.of(["a"], intercom.ask) == Found({"81": "a"}, remembered=False)
    intercom.now += GOOD_FOR_SECONDS - 1
    assert ids.of(["a", "b"], intercom.ask) == Found({"81": "a", "82": "b"}, remembered=True)
    intercom.now += 1
    assert ids.of(["a"], intercom.ask) == Found({"83": "a"}, remembered=False)
    assert intercom.asked == ["a", "b", "a"]


def test_what_is_forgotten_is_asked_for_again() -> None:
    intercom = Intercom()
    ids = TagIds(clock=lambda: intercom.now)
    ids.of(["a"], intercom.ask)
    ids.forget()
    assert ids.of(["a"], intercom.ask) == Found({"82": "a"}, remembered=False)
