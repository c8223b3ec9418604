"""The card of a data set says what its recipe asks for, whatever form that has."""

from typing import Any

import pytest

from synth.card import card
from synth.recipe import Recipe
from tests.synth.tiny import tiny_recipe


def text_of(missed: int = 0, **occlusion: Any) -> str:
    stored = tiny_recipe().model_dump(mode="json")
    chosen = {} if "preset" in occlusion else stored["occlusion"]
    recipe = Recipe.model_validate(stored | {"occlusion": chosen | occlusion})
    counts = {"train": 14, "val": 4, "test": 6}
    return card(
        {
            "recipe": recipe.model_dump(mode="json"),
            "counts": counts,
            "missed": missed,
            "pools": {split: {"people": 3, "occluders": 5} for split in counts},
            "fingerprint": "f" * 64,
            "skipped": [{"file": "a.png", "reason": "is truncated"}],
            "skipped_by_reason": {"is truncated": 1},
        }
    )


@pytest.mark.parametrize(
    ("occlusion", "words"),
    [
        ({}, "1 to 2 occluders a person; below, side, across, anywhere"),
        ({}, "Asked hidden share: uniform from 0.05 to 0.7."),
        ({"occluders": (1, 1), "reach": "reject"}, "1 occluder a person; "),
        ({"reach": "reject"}, "Asked hidden share: any from 0.05 to 0.7."),
        (
            {"hidden": {"edges": [0, 0.2, 0.5, 0.9], "shares": [1, 0, 3]}},
            "Asked hidden share: 25% from 0 to 0.2, 75% from 0.5 to 0.9.",
        ),
        ({"preset": "hard"}, 'Preset "hard". Asked hidden share: uniform from 0.5 to 0.85.'),
        ({"preset": "part:head"}, "1 occluder a person; part:head; "),
        ({"truncate": 0.3, "truncated": (0.1, 0.4)}, "the frame cuts 10% to 40% off 30% of them"),
        ({"missed": 3}, "In 3 of 24 samples what was asked could not be reached"),
    ],
)
def test_it_says_how_people_are_hidden(occlusion: dict[str, Any], words: str) -> None:
    assert words in text_of(**occlusion)


def test_what_the_recipe_does_not_ask_for_is_not_said() -> None:
    text = text_of()
    for word in ("cuts", "Preset", "could not be reached"):
        assert word not in text


def test_it_shows_numbers_origins_and_how_to_read() -> None:
    text = text_of()
    assert text.startswith("# Tiny people\n")
    assert "| train | 14 | 3 | 5 |\n" in text
    assert "\n\nNo person, no occluder and no photo that they are from is in two splits.\n" in text
    assert "People: folder. Occluders: folder. Seed 0." in text
    assert 'Dataset.open("this/folder").split("train")[0]' in text
    assert "Left out of the sources (1, all in `dataset.json`):\n\n- 1: is truncated" in text
