"""``README.md`` of a data set: what is in it, where it comes from, how to read it."""

from typing import Any

from synth.recipe import SPLITS, Recipe


def card(info: dict[str, Any]) -> str:
    """Markdown text from the content of ``dataset.json``."""
    recipe = Recipe.model_validate(info["recipe"]).model_dump(mode="json")
    parts = [
        f"# {recipe['title'] or recipe['name']}\n",
        "Occluded people with the truth behind the occluder. Hidden regions are outlined below; "
        "beside each picture is the whole person.\n",
        "![contact sheet](contact_sheet.png)\n",
        _numbers(info),
        _origins(recipe),
        _occlusion(recipe["occlusion"]) + _missed(info),
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
    apart = "No person, no occluder and no photo that they are from is in two splits."
    return "\n".join([*rows, "", apart, ""])


def _origins(recipe: dict[str, Any]) -> str:
    people = ", ".join(one["source"] for one in recipe["people"])
    occluders = ", ".join(one["source"] for one in recipe["occluders"])
    return f"People: {people}. Occluders: {occluders}. Seed {recipe['seed']}.\n"


def _occlusion(chosen: dict[str, Any]) -> str:
    """How much is hidden, by how many, where and how."""
    fewest, most = chosen["occluders"]
    number = f"{most}" if fewest == most else f"{fewest} to {most}"
    kinds = ", ".join(name for name, weight in chosen["placement"].items() if weight > 0)
    facts = [f"{number} occluder{'s' if most > 1 else ''} a person", kinds]
    facts.append(f'blended "{chosen["blend"]}"')
    if chosen["truncate"]:
        low, high = chosen["truncated"]
        facts.append(f"the frame cuts {low:.0%} to {high:.0%} off {chosen['truncate']:.0%} of them")
    preset = f' Preset "{chosen["preset"]}".' if chosen["preset"] else ""
    return f"Occlusion: {'; '.join(facts)}.{preset} {_hidden(chosen)}\n"


def _missed(info: dict[str, Any]) -> str:
    if not info["missed"]:
        return ""
    return (
        f"In {info['missed']} of {sum(info['counts'].values())} samples what was asked could not "
        'be reached; their `json` says `"missed": true`.\n'
    )


def _hidden(occlusion: dict[str, Any]) -> str:
    """What hidden share was asked."""
    hidden = occlusion["hidden"]
    if isinstance(hidden, dict):
        bins = zip(hidden["edges"], hidden["edges"][1:], hidden["shares"], strict=False)
        total = sum(hidden["shares"])
        rows = ", ".join(f"{w / total:.0%} from {a:g} to {b:g}" for a, b, w in bins if w)
        return f"Asked hidden share: {rows}."
    how = "any" if occlusion["reach"] == "reject" else "uniform"
    return f"Asked hidden share: {how} from {hidden[0]:g} to {hidden[1]:g}."


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
