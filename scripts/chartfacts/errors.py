"""What can be wrong with what the user gave."""


class ChartFactsError(Exception):
    """A chart, or what was rendered from it, cannot be read; the text says what to do."""
