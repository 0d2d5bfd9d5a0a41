"""Floor 4: CP2K's own language. Data files, inputs, checks before submission, readers of finished runs."""
