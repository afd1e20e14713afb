"""What the figures of a report share: the colours of classes, and how much of a name has room."""

# Ten colours that stay apart for colour-blind readers: M. A. Petroff, "Accessible Color Sequences for Data
# Visualization" (2021), arXiv:2107.02270.
PALETTE = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
LABEL_LENGTH = 18


def shortened(name: str) -> str:
    """Cut a class name to what has room in a figure."""
    return name if len(name) <= LABEL_LENGTH else name[: LABEL_LENGTH - 1] + "…"
