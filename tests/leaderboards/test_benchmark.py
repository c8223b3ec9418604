"""The benchmark files: what is bundled is sound, and typing errors are named."""

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from hdeocc.method import entries
from hdeocc.two_stage_mask import TwoStageMask
from leaderboards.benchmark import bundled, load_benchmark, parse_benchmark
from leaderboards.run import check
from leaderboards.speed import bundled_speed
from metrics import protocol
from synth.errors import InputError
from synth.recipe import load_recipe
from tests.leaderboards.fakes import toml

GOOD = toml(["identity", "learned"], ["paint"], [["learned", "paint"]])


@pytest.mark.parametrize("name", bundled())
def test_bundled_benchmarks_name_real_recipes_and_methods(name: str) -> None:
    benchmark = load_benchmark(name)
    assert benchmark.name == name
    assert load_recipe(benchmark.test_recipe or benchmark.recipe).counts.test > 0
    assert benchmark.protocol == protocol.VERSION
    if entries():  # the package may run uninstalled, and then registers nothing
        check(benchmark)
        for recipe, other in benchmark.alternatives.items():
            moved = benchmark.on(recipe, "quick")
            assert moved.preset == other.preset and moved.budget == other.budget
            check(moved)


def test_the_promised_benchmarks_are_bundled() -> None:
    papers = {"paper-masks", "paper-content", "paper-ablation-1", "paper-ablation-2"}
    assert {"people-quick", "photos-small", "photos-full"} | papers <= set(bundled())
    assert bundled_speed() == ["paper-speed"]


@pytest.mark.parametrize("name", ["photos-64", "photos-full"])
def test_every_row_there_is_is_compared(name: str) -> None:
    rows = load_benchmark(name).tracks
    for track, listed in (("mask", rows.mask), ("content", rows.content)):
        ours = [name for name, one in entries(track).items() if _is_ours(one)]
        assert {name.split(".", 1)[1] for name in ours} <= set(listed), track


def _is_ours(entry: EntryPoint) -> bool:
    return entry.value.split(".")[0] in ("baselines", "hdeocc")


def test_unknown_name_answers_with_the_closest() -> None:
    with pytest.raises(InputError, match="did you mean people-quick"):
        load_benchmark("people-quik")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.toml: no such benchmark file"):
        load_benchmark(tmp_path / "absent.toml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"bytes\.toml: is no UTF-8 text"):
        load_benchmark(tmp_path / "bytes.toml")


def test_no_methods_are_refused() -> None:
    with pytest.raises(InputError, match="--methods: names no method"):
        parse_benchmark(GOOD, "fake").only([])
    with pytest.raises(InputError, match="compares no method"):
        check(parse_benchmark(toml([], [], []), "fake"))


def test_loads_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert load_benchmark(path).tracks.full == (("learned", "paint"),)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("samples = 8", "sampels = 8", "unknown key budget.mask.sampels; did you mean samples"),
        ('preset = "quick"', 'preset = "tiny"', "preset"),
        ('title = "Fake people"', "", "title is missing"),
        ("samples = 8", "samples = 0", "budget.mask.samples"),
        ("samples = 8", "samples = ", "not valid TOML"),
        ("samples = 8", "samples = 8\nlr = inf", "mine.toml: budget.mask.lr: "),
        ("samples = 8", "samples = 8\nlr = true", "mine.toml: budget.mask.lr: "),
        ("samples = 8", 'samples = 8\nlr = [1e-3, "a"]', "mine.toml: budget.mask.lr.1: "),
        ('title = "Fake people"', 'title = "Fake people"\nseeds = [-1]', "seeds.0"),
        ('title = "Fake people"', 'title = "Fake people"\nseeds = [4294967296]', "seeds.0"),
        ('[["learned", "paint"]]', '[["hull", "paint"]]', "'hull', not listed in tracks.mask"),
        ('["identity", "learned"]', '["identity", "identity"]', "stands twice"),
        ('preset = "quick"', 'preset = "quick"\nprotocols = ["lenient"]', "protocols.0"),
        ('preset = "quick"', 'preset = "quick"\nseeds = [3, 3]', "seeds names one twice"),
        ("samples = 8", "samples = 8\nlr = [1e-3, 1.0000001e-3]", "all but equal"),
        (
            'preset = "quick"',
            'preset = "quick"\nprotocols = ["strict", "strict"]',
            "names one twice",
        ),
        ('preset = "quick"', 'preset = "quick"\nprotocol_s = 1', "did you mean protocols"),
        ('preset = "quick"', 'preset = "quick"\nfingerprint = "6a7f"', "fingerprint"),
        ('preset = "quick"', 'preset = "quick"\nborder_band = -1', "border_band"),
        ('preset = "quick"', 'preset = "quick"\nrepeated = []', "repeated"),
        ('preset = "quick"', 'preset = "quick"\nrepeated = ["hull"]', "'hull', which is no row"),
        ("[budget.content]", "lr_of.hull = 0.1\n[budget.content]", "'hull', which is no row"),
        ("[budget.content]", "lr_of.learned = 0\n[budget.content]", "lr_of"),
        ('preset = "quick"', 'preset = "quick"\nseeds = 0', "seeds: has to be a list; write it"),
        ('title = "Fake people"', "people = []\noccluders = []", "is a recipe, where a bench"),
    ],
)
def test_faults_are_named_in_one_line(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        parse_benchmark(GOOD.replace(old, new, 1), "mine.toml")
    text = caught.value.message
    assert text.startswith("mine.toml: ") and message in text and "\n" not in text


def test_budget_carries_the_seed_and_the_track() -> None:
    text = GOOD.replace("samples = 8", "samples = 16\nlr = 0.5", 1)
    benchmark = parse_benchmark(text, "fake")
    assert benchmark.budget_of("mask", "learned", 7).samples == 16
    assert benchmark.budget_of("mask", "learned", 7).seed == 7
    assert benchmark.budget_of("content", "paint", 7).samples == 8


def test_a_row_is_repeated_by_its_name_or_in_one_track() -> None:
    every = parse_benchmark(GOOD, "fake")
    assert every.repeats("mask", "learned") and every.repeats("content", "paint")
    some = parse_benchmark(
        GOOD.replace(
            'preset = "quick"', 'preset = "quick"\nrepeated = ["mask.learned", "paint"]', 1
        ),
        "fake",
    )
    assert some.repeats("mask", "learned") and some.repeats("content", "paint")
    assert not some.repeats("mask", "identity") and not some.repeats("content", "learned")


def test_only_keeps_full_rows_whose_methods_both_stay() -> None:
    benchmark = parse_benchmark(GOOD, "fake")
    assert benchmark.only(None) == benchmark
    assert benchmark.only(["identity", "paint"]).tracks.full == ()
    assert benchmark.only(["mask.learned", "paint"]).tracks.full == (("learned", "paint"),)
    with pytest.raises(InputError, match="did you mean .*learned"):
        benchmark.only(["lerned"])


def test_another_protocol_is_refused_before_any_work() -> None:
    benchmark = parse_benchmark(GOOD.replace('protocol = "2"', 'protocol = "0"'), "fake")
    with pytest.raises(InputError, match="wants protocol 0"):
        check(benchmark)


VARIANT = """
[variants.soft]
base = "learned"
track = "mask"
title = "Softer"
[variants.soft.options]
strength = 0.5
"""


def test_a_variant_is_a_row_of_its_track() -> None:
    text = toml(["learned", "soft"], ["paint"], [["soft", "paint"]]) + VARIANT
    benchmark = parse_benchmark(text, "fake")
    assert benchmark.registered("mask") == ["learned"]
    found = benchmark.variant("mask", "soft")
    assert found is not None and found.options == {"strength": 0.5}
    assert benchmark.variant("content", "soft") is None
    assert benchmark.only(["learned"]).variants == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + VARIANT, "variants.soft is in no row; list it in tracks.mask"),
        (GOOD + VARIANT.replace("base", "bsae"), "did you mean base"),
        (GOOD + VARIANT.replace("strength = 0.5", ""), "variants.soft.options"),
    ],
)
def test_faulty_variants_are_named(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_benchmark(text, "fake")


SIZED = "[options.mask.learned]\nstrength = 0.5\n"


def test_a_registered_row_may_have_other_settings_under_its_own_name() -> None:
    benchmark = parse_benchmark(GOOD + SIZED, "fake")
    found = benchmark.variant("mask", "learned")
    assert found is not None and found.options == {"strength": 0.5} and found.title is None
    assert benchmark.base("mask", "learned") == "learned"
    assert benchmark.variant("content", "learned") is None
    some = benchmark.only(["identity"])
    assert some.variant("mask", "learned") == found, "another row may build on it"
    assert benchmark.on("people-tiny", "quick").options == {}, "they are for pictures of this size"


@pytest.mark.parametrize(
    "text",
    [
        GOOD + SIZED.replace("mask", "content"),
        GOOD + SIZED.replace("strength = 0.5", ""),
        toml(["learned", "soft"], [], []) + VARIANT + SIZED.replace("learned", "soft"),
    ],
)
def test_options_of_no_registered_row_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"options\..* is of no registered row, or empty"):
        parse_benchmark(text, "fake")


def test_unknown_options_are_refused_before_any_work() -> None:
    variant = VARIANT.replace('"learned"', '"two-stage"').replace("strength", "templats")
    benchmark = parse_benchmark(toml(["two-stage", "soft"], [], []) + variant, "fake")
    with pytest.raises(InputError, match="row soft: .*no option 'templats'; did you mean temp"):
        check(benchmark)


def test_options_that_change_nothing_are_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(TwoStageMask, "decided", {"net.templates": "net.width"})
    variant = VARIANT.replace('"learned"', '"two-stage"').replace("strength", "templates")
    variant = variant.replace("= 0.5", "= 9")
    benchmark = parse_benchmark(toml(["two-stage", "soft"], [], []) + variant, "fake")
    with pytest.raises(InputError, match=r"row soft: .*templates .*; set net\.width$"):
        check(benchmark)


def test_protocols_apply_to_content_and_the_first_one_to_masks() -> None:
    text = GOOD.replace("[budget.mask]", 'protocols = ["official", "strict"]\n[budget.mask]')
    benchmark = parse_benchmark(text, "fake")
    assert benchmark.rules_of("mask") == ("official",)
    assert benchmark.rules_of("full") == benchmark.rules_of("content") == ("official", "strict")


def test_on_another_recipe_it_is_another_benchmark() -> None:
    moved = load_benchmark("paper-masks").on("photos-small", "quick")
    assert (moved.name, moved.recipe) == ("paper-masks-on-photos-small", "photos-small")
    assert moved.preset == "small", "as its alternative says"
    assert moved.test_recipe is None and moved.train == "disk" and moved.fingerprint is None
    assert moved.tracks == load_benchmark("paper-masks").tracks
    other = load_benchmark("people-quick").on("people-tiny", "quick")
    assert other.budget == load_benchmark("people-quick").budget
