"""A table and a configuration → a registered version; or the same one again, to prove that it can be made."""
