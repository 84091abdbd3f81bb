"""The tests of kiro2api: a mirror of src, and the folders that judge the whole program."""
