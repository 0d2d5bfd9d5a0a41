"""CP2K outputs: one pass over the text, and the files beside it."""
