"""``python -m hdeocc`` is ``hdeocc``."""

from hdeocc.cli import main

main(prog_name="hdeocc")
