"""Data sets of occluded people with amodal ground truth: sources, composition, storage."""
