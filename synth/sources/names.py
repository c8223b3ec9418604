"""File names as strangers write them: any bytes, over any number of lines."""

# A longer name is no file's; a message need not hold all of it.
_LONGEST = 300


def name_fault(name: str) -> str | None:
    """Why a file's name cannot go into a data set: its bytes are no UTF-8, so it has no text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "file name is no UTF-8; rename it"
    return None


def shown(name: str) -> str:
    """A name as one line of text: what cannot be printed is escaped, and no line is endless."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name[:_LONGEST])
    return text if len(name) <= _LONGEST else f"{text}..."
