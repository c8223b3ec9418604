"""The systems that the two-stage model is compared with, one file each."""
