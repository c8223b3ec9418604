"""``README.md`` of a data set: what is in it, where it comes from, how to read it."""

from typing import Any

from synth.recipe import SPLITS


def card(info: dict[str, Any]) -> str:
    """Markdown text from the content of ``dataset.json``."""
    recipe = info["recipe"]
    parts = [
        f"# {recipe['title'] or recipe['name']}\n",
        "Occluded people with the truth behind the occluder. Hidden regions are outlined below; "
        "beside each picture is the whole person.\n",
        "![contact sheet](contact_sheet.png)\n",
        _numbers(info),
        _origins(recipe),
        _layout(recipe),
        _left_out(info),
        f"Fingerprint: `{info['fingerprint']}` (SHA-256 over all pixels and labels in order). "
        "The exact recipe is in `recipe.json`; licences and sources of each picture are in "
        "`annotations.json`.\n",
    ]
    return "\n".join(part for part in parts if part)


def _numbers(info: dict[str, Any]) -> str:
    rows = [
        "| split | samples | people to draw from | occluders to draw from |",
        "|---|---|---|---|",
    ]
    for split in SPLITS:
        pool = info["pools"][split]
        rows.append(
            f"| {split} | {info['counts'][split]} | {pool['people']} | {pool['occluders']} |"
        )
    return "\n".join(rows) + "\n\nNo person and no occluder is in two splits.\n"


def _origins(recipe: dict[str, Any]) -> str:
    people = ", ".join(one["source"] for one in recipe["people"])
    occluders = ", ".join(one["source"] for one in recipe["occluders"])
    low, high = recipe["occlusion"]["hidden"]
    return (
        f"People: {people}. Occluders: {occluders}, up to {recipe['occlusion']['occluders'][1]} "
        f'a person, blended "{recipe["occlusion"]["blend"]}". Asked hidden share: uniform from '
        f"{low:g} to {high:g}. Seed {recipe['seed']}.\n"
    )


def _layout(recipe: dict[str, Any]) -> str:
    size = recipe["size"]
    return (
        f"Pictures are {size}x{size} PNG in WebDataset tar shards: `image` (occluded), `clean` "
        "(not occluded), `parsing` (LIP-20 labels, where known), `initial` (the mask a method "
        "starts from, where it differs from the visible mask), and `json` with the masks "
        "(compressed COCO run lengths), ids and placements.\n\n"
        "```python\n"
        "from synth.store import Dataset\n"
        'sample = Dataset.open("this/folder").split("' + _first_split(recipe) + '")[0]\n'
        "```\n"
    )


def _first_split(recipe: dict[str, Any]) -> str:
    return next(split for split in SPLITS if recipe["counts"][split])


def _left_out(info: dict[str, Any]) -> str:
    if not info["skipped"]:
        return ""
    rows = [
        f"- {count}: {reason}" for reason, count in list(info["skipped_by_reason"].items())[:12]
    ]
    return (
        f"Left out of the sources ({len(info['skipped'])}, all in `dataset.json`):\n\n"
        + "\n".join(rows)
        + "\n"
    )
