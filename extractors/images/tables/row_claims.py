"""How many rows a Parquet file may claim: nothing, and the same cell millions of times, take no space in it."""

FEW_ROWS = 100_000
ROWS_A_BYTE = 32  # names that count up, in the tersest encoding there is, come to 17


def check_rows_claimed(n_rows: int, n_bytes: int, rows_a_byte: int = ROWS_A_BYTE) -> None:
    """Check that rows which differ can lie in so many bytes.

    Raises
    ------
    ValueError
        There are too many; the message says so.
    """
    if n_rows > max(rows_a_byte * n_bytes, FEW_ROWS):
        raise ValueError(f"it claims {n_rows} rows, in {n_bytes} bytes")
