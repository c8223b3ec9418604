"""What is in a data set: counted in one pass, drawn on one page."""
