"""From a relaxed structure to its strain, phase by phase."""
