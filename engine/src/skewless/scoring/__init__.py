"""A file, a folder or a store of files → answers, by threads or by Dask."""
