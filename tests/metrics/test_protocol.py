import math
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from metrics import protocol
from metrics.protocol import COUNTS, TRACKS, Total, aggregate, bin_of, binarise, spec_of, to_uint8

SIZE = (16, 14)


@given(hnp.arrays(np.float32, SIZE, elements=st.floats(0, 1, width=32)))
def test_a_probability_and_its_stored_picture_are_thresholded_alike(probability):
    np.testing.assert_array_equal(binarise(probability), binarise(to_uint8(probability)))
    clear = np.abs(probability * 255 - 127.5) > 1e-3
    np.testing.assert_array_equal(binarise(probability)[clear], (probability * 255 > 127.5)[clear])


def test_the_threshold_is_128_of_255():
    np.testing.assert_array_equal(
        binarise(np.array([[0, 127, 128, 255]], np.uint8)), [[False, False, True, True]]
    )
    np.testing.assert_array_equal(binarise(np.array([[False, True]])), [[False, True]])


@pytest.mark.parametrize("mask", [np.array([[2.0]]), np.array([[np.nan]]), np.array([[1]])])
def test_what_is_no_mask_is_refused(mask):
    with pytest.raises(ValueError, match="mask"):
        binarise(mask)


records = st.lists(
    st.fixed_dictionaries(
        {
            "iou": st.floats(0, 1),
            "l1_hole": st.one_of(st.just(math.nan), st.floats(0, 1)),
            "intersection": st.integers(0, 9),
            "union": st.integers(10, 20),
        }
    ),
    min_size=1,
    max_size=12,
)


@given(records, st.integers(0, 99))
def test_aggregate_leaves_nan_out_counts_and_ignores_order(samples, seed):
    totals = aggregate(samples)
    counted = [s["l1_hole"] for s in samples if not math.isnan(s["l1_hole"])]
    assert totals["l1_hole"].n == len(counted)
    if counted:
        assert totals["l1_hole"].value == pytest.approx(sum(counted) / len(counted))
    else:
        assert math.isnan(totals["l1_hole"].value)
    pooled = sum(s["intersection"] for s in samples) / sum(s["union"] for s in samples)
    assert totals["pooled_iou"] == Total(pytest.approx(pooled), len(samples))
    assert not totals.keys() & set(COUNTS)
    shuffled = samples.copy()
    random.Random(seed).shuffle(shuffled)
    np.testing.assert_equal(aggregate(shuffled), totals)


@given(st.integers(1, 10**6), st.data())
def test_bins_are_tenths_of_the_visible_share_and_the_last_is_closed(whole, data):
    hidden = data.draw(st.integers(0, whole))
    expected = min(10 * (whole - hidden) // whole, 9)
    assert bin_of(hidden / whole) == expected


def test_columns_are_found_by_name_those_of_body_parts_as_well():
    for track, specs in TRACKS.items():
        assert len({spec.name for spec in specs}) == len(specs)
        assert all(spec_of(track, spec.name) is spec for spec in specs)
        assert protocol.HEADLINE[track] in {spec.name for spec in specs if spec.shown}
    recall = spec_of("mask", "invisible_recall@left-arm")
    assert recall.name == "invisible_recall@left-arm" and recall.higher_is_better
    assert recall.title == "Recall invisible, left-arm" and not recall.shown
    for track, name in (("mask", "l1_hole@head"), ("content", "iou"), ("full", "l1_hole@")):
        with pytest.raises(KeyError, match=name):
            spec_of(track, name)


def test_the_protocol_does_not_import_torch():
    code = (
        "import sys, metrics.protocol, metrics.scoring, metrics.cli;"
        "print([name for name in ('torch', 'lpips', 'torchvision') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
