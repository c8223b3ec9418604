"""``README.md`` of a trained model: what it is, from what, how good, how to load."""

from collections.abc import Mapping
from typing import Any

from hdeocc import __version__
from hdeocc.provenance import library_versions

SCHEMA = 1
Facts = Mapping[str, Any]

_NUMBERS = {
    "iou": "IoU of the whole mask",
    "invisible_iou": "IoU of the hidden part",
    "l1": "L1 of the mask",
    "l1_hole": "L1 in the hole (given the true masks)",
    "psnr_hole": "PSNR in the hole, dB (given the true masks)",
}
_TITLES = {"mask": "Stage 1: the whole mask", "content": "Stage 2: the hidden colours"}


def versions() -> dict[str, str]:
    """Versions of hdeocc, Python and the libraries that decide what weights become."""
    return {"hdeocc": __version__} | library_versions("lightning-fabric", "safetensors")


def card(model: Facts) -> str:
    """Markdown text from the content of ``model.json``."""
    tracks = [track for track in ("mask", "content") if track in model]
    data = model["data"]
    parts = [
        f"# {model['name']}, preset {model['preset']}: human de-occlusion\n",
        _what(model, tracks),
        "## Held-out people\n",
        *[_numbers(track, model[track], data) for track in tracks],
        "## Trained on\n",
        _data(data),
        *[_budget(track, model[track]) for track in tracks],
        "## Licences of the photos\n",
        _licences(model["photos"]),
        "## Intended use and limits\n",
        _limits(model),
        "## How to load\n",
        _loading(tracks),
        _made_with(model),
    ]
    return "\n".join(parts)


def _what(model: Facts, tracks: list[str]) -> str:
    rows = ["| folder | method | options | parameters | bytes | precision | weights SHA-256 |",
            "|---|---|---|---:|---:|---|---|"]  # fmt: skip
    for track in tracks:
        one = model[track]
        options = ", ".join(f"{k} = {v}" for k, v in one["options"].items()) or "none"
        digests = ", ".join(f"`{digest[:16]}`" for digest in one["weights_sha256"].values())
        rows.append(
            f"| `{track}/` | {one['method']} | {options} | {one['parameters'] / 1e6:.2f} M "
            f"| {one['bytes']:,} | {one['weights']} | {digests} |"
        )
    intro = (
        "Finds the whole shape of a person whom something hides (`mask`) and paints the hidden "
        "part (`content`), as in *Human De-occlusion* (CVPR 2021), trained by `hdeocc train`.\n"
    )
    return intro + "\n" + "\n".join(rows) + "\n"


def _numbers(track: str, one: Facts, data: Facts) -> str:
    rows = [f"**{_TITLES[track]}**, mean over {data['val_samples']} val samples of "
            f"`{data['name']}`; no number of the test split.\n"]  # fmt: skip
    rows += [f"- {_NUMBERS.get(name, name)}: {value:.4f}" for name, value in one["val"].items()]
    return "\n".join(rows) + "\n"


def _data(data: Facts) -> str:
    people = ", ".join(_source(one) for one in data["recipe"]["people"])
    occluders = ", ".join(_source(one) for one in data["recipe"]["occluders"])
    when = "made while training, none twice" if data["fingerprint"] is None else "stored"
    return (
        f"{data['title']}: people of {people}; occluders of {occluders}; {data['recipe']['size']} "
        f"pixels; samples {when}. Train fingerprint `{data['train_fingerprint'][:16]}`. The whole "
        f"recipe is in `model.json`.{_initial(data['recipe'])}\n"
    )


def _initial(recipe: Facts) -> str:
    kind = recipe.get("initial", {}).get("kind", "modal")
    if kind == "modal":
        return ""
    return (
        f" The visible masks are faulty ones ({kind}), so nobody was laid under the occluder of "
        "another sample, as training does where the true ones are given."
    )


def _source(entry: Facts) -> str:
    return str(entry["source"])


def _budget(track: str, one: Facts) -> str:
    budget, pace = one["budget"], one["pace"]
    step = pace.get("step_ms", {}).get("median")
    speed = "" if step is None else f", {step:.0f} ms a step"
    memory = pace.get("peak_memory_bytes")
    peak = "" if memory is None else f", at most {memory / 2**30:.2f} GiB ({pace['memory_of']})"
    return (
        f"`{track}`: {budget['samples']:,} samples in batches of {budget['batch']}, learning rate "
        f"{budget['lr']:g}, seed {budget['seed']}, {budget['precision']}; {one['seconds']:.0f} s "
        f"on {pace.get('device', 'unknown')}{speed}{peak}.{_without(one)}\n"
    )


def _without(one: Facts) -> str:
    missing = one.get("trained_without")
    if not missing:
        return ""
    return f" Trained without the losses that look through {', '.join(missing)}: not installed."


def _licences(photos: Facts) -> str:
    lines = [f"As the sources state them, in {photos['samples_looked_at']} training samples:\n"]
    for kind in ("people", "occluders"):
        named = [f"{one['licence']} ({one['count']})" for one in photos[kind]]
        lines.append(f"- {kind}: {'; '.join(named) or 'none'}")
    return "\n".join(lines) + "\n"


def _limits(model: Facts) -> str:
    size = model["data"]["recipe"]["size"]
    return (
        "For research on amodal perception and photo editing by people who know that what is "
        "painted is a guess: it shows what might be there, not what was. Not for identifying "
        "people, for evidence, or for uncovering what somebody meant to hide.\n\n"
        f"Trained on crops of {size} pixels of people seen almost whole before they were occluded "
        "artificially; other poses, crowds, children, clothes and cameras than in the training "
        "photos, and occlusions of more than about 70 % of a person, are not covered. Weights may "
        "be bound by the licences of the photos above.\n"
    )


def _loading(tracks: list[str]) -> str:
    lines = ["```"]
    if tracks == ["mask", "content"]:
        lines.append("hdeocc deocclude PHOTO --mask VISIBLE.png --model THIS-FOLDER --out RESULT")
    lines += [f"hdeocc predict THIS-FOLDER/{t} DATA --out predictions/{t}" for t in tracks]
    lines += ["```\n", "```python"]
    lines += ["from pathlib import Path", "from hdeocc.fitted import load_fitted"]
    lines += [f'method = load_fitted(Path("THIS-FOLDER/{tracks[0]}")).method', "```"]
    return "\n".join(lines) + "\n"


def _made_with(model: Facts) -> str:
    return "Made with " + ", ".join(f"{k} {v}" for k, v in model["versions"].items()) + ".\n"
