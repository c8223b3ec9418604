"""Which seeds there are; apart, so that a command line can say so without loading anything."""

MAX_SEED = 2**32 - 1  # the largest that all generators take, scikit-learn's too
