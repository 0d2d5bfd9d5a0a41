"""Film on substrate: common cell, registry, contact, and the parts that belong together."""
