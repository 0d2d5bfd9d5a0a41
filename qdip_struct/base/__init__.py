"""Floor 0: errors, units, files, shipped data, typed documents and options. It knows nothing of the field."""
