"""Versions and the events that promote them, in a folder or an object store."""
