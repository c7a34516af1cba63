"""The notebook's functions: frames in, artifacts and frames out."""
