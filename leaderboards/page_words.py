"""What the page says about tracks, columns and inputs, in words for a reader new to the task."""

from collections.abc import Iterable

from metrics.protocol import MetricSpec

TRACK_WORDS = {
    "mask": "Given the photo and an imperfect mask of what is visible, find the whole person. "
    "The pictures show where each method found the hidden part.",
    "content": "Given the true masks, paint the hidden part. Only the method's colours inside the "
    "hole count; everything else is the input.",
    "full": "Both steps in a row, as in use: first the mask is predicted, then the part that it "
    "uncovers is painted.",
}
RULE_WORDS = {
    "strict": "Strict rules: outside the hidden part everything is the input, so nothing else can "
    "differ.",
    "official": "Official rules, as in the evaluation released with the paper: outside the true "
    "person both pictures show the true photo, so colours spilled beyond it cost nothing.",
}
METRIC_WORDS = {
    "iou": "Overlap of the predicted and the true whole person: shared pixels over all pixels of "
    "either. Mean over samples; 1 is perfect.",
    "invisible_iou": "The same overlap, for the hidden part alone. Predicted pixels on the visible "
    "person neither help nor hurt.",
    "boundary_f": "How well the predicted outline follows the true one, within a small tolerance: "
    "harmonic mean of how much of each outline lies near the other. 1 is perfect.",
    "pooled_iou": "Overlap of all pixels of the test split taken together, so that large people "
    "weigh more.",
    "parsing_miou": "Overlap of predicted and true body-part labels (LIP-20), for each label over "
    "all pixels of the split, then the mean over labels.",
    "mask_l1": "Share of the picture's pixels whose mask is wrong.",
    "invisible_recall": "Share of the hidden pixels of this body part that the mask found.",
    "l1_hole": "Mean colour error inside the true hidden part; 0 is perfect, 1 is black for white.",
    "l1": "Mean colour error over the whole picture, so that what is painted beside the person "
    "counts too; on the mask track, share of its pixels whose mask is wrong.",
    "psnr_hole": "Peak signal-to-noise ratio inside the hidden part, in decibels.",
    "psnr": "Peak signal-to-noise ratio over the whole picture, in decibels.",
    "ssim_hole": "Structural similarity inside the hidden part: brightness, contrast and pattern "
    "compared in a small window around each pixel; 1 is identical.",
    "ssim": "Structural similarity over the whole picture; 1 is identical.",
    "lpips_hole": "Learned perceptual distance (LPIPS, AlexNet) inside the hidden part; follows "
    "what people see better than pixel errors do.",
    "lpips": "Learned perceptual distance (LPIPS, AlexNet) over the whole picture.",
    "lpips_vgg_hole": "LPIPS inside the hidden part with the VGG network instead of AlexNet. The "
    "two are on different scales.",
    "lpips_vgg": "LPIPS over the whole picture with the VGG network instead of AlexNet. The two "
    "are on different scales.",
    "fid": "Distance between all recovered and all true pictures as Inception sees them. Biased "
    "with few pictures: compare rows of one table only.",
    "kid": "Like FID, from the same network, but without its bias with few pictures; may fall "
    "below 0, the more the fewer photos: a photo is paired with its own truth too.",
}
COLUMN_WORDS = {
    "rank": "1 + the number of shown rows that are better beyond chance (paired bootstrap over "
    "people, and over seeds where a row has several, 95 %). Rows that cannot be told apart do not "
    "outrank each other, so a number may be shared. Ranks are made over all samples. Rows that are "
    "pre-trained elsewhere are ranked among themselves, and so are rows that are told a truth "
    "which the others have to find. What another training of a row with one seed would give is in "
    "no rank.",
    "consumes": "The inputs that a method reads when it predicts. A row that is given the true "
    "occluder or parsing is not comparable with one that is not.",
    "parameters": "Parameters that take part in a prediction.",
    "macs": "Multiply-adds of one prediction at batch 1: how much arithmetic it takes, on any "
    "machine.",
    "ms": "Median milliseconds of one prediction at batch 1, on the device that Definitions name.",
}
INPUT_WORDS = {
    "image": "the occluded photo",
    "initial": "an imperfect mask of the visible part, as a segmenter gives it",
    "modal": "the true visible mask",
    "amodal": "the true whole mask",
    "parsing": "the true body-part labels",
    "occluder": "the true mask of the occluder",
}


def words_of(spec: MetricSpec) -> str:
    """The definition of a metric; that of a body part ends with its name."""
    metric, at, part = spec.name.partition("@")
    return METRIC_WORDS.get(metric, "") + (f" Body part: {part}." if at else "")


def legend(specs: Iterable[MetricSpec]) -> list[tuple[MetricSpec, str]]:
    """Columns with their definitions, each title once and body parts left out."""
    found = {spec.name: spec for spec in specs if "@" not in spec.name}
    return [(spec, words_of(spec)) for spec in found.values()]
