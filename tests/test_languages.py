from __future__ import annotations

import pytest

from canvas_app import languages


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ("de", "de"),
        ("EN", "en"),
        ("pt-BR", "pt-BR"),
        ("pt_br", "pt-BR"),
        (" pt-br ", "pt-BR"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("de-form", "de-Form"),
        ("ca-ES-valencia", "ca-ES-valencia"),
        ("fil", "fil"),
    ],
)
def test_a_tag_is_spelt_as_it_usually_is(value: str, tag: str) -> None:
    assert languages.tag(value) == tag


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "",
        "d",
        "German",
        "de-",
        "-de",
        "de--AT",
        "de AT",
        "<b>",
        "de\nAT",
        "pt-BR" + "-variante" * 9,
        "\uff44\uff45",
    ],
)
def test_anything_else_is_no_tag(value: object) -> None:
    assert languages.tag(value) is None


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        ("pt-br", ("pt-BR", "pt")),
        ("zh-Hant-TW", ("zh-Hant-TW", "zh-Hant", "zh")),
        ("de", ("de",)),
        ("German", ()),
        (None, ()),
    ],
)
def test_the_broader_ones_follow_the_narrower(value: str | None, tags: tuple[str, ...]) -> None:
    assert languages.with_broader(value) == tags
