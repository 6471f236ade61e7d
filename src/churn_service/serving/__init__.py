"""What surrounds the HTTP contract, one concern per file."""
