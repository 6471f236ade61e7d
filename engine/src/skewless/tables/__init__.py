"""A table on disk → checked columns that keep the contract; its faults by row, the holdout, the simulator."""
