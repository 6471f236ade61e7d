"""Tables: read from disk into checked columns that keep the contract.

Also here: a table's faults by row, the holdout and the simulator.
"""
