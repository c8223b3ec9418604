"""Benchmarks: fit, predict, score, and the tables and pages made from the stored results."""
