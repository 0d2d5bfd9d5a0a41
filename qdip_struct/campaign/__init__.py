"""Floor 6: what to run and where. Run folders, segments, engines."""
