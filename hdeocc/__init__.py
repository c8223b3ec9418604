"""Human de-occlusion: the two-stage model, the contract of a method, and the training loop."""

__version__ = "0.1.0"
