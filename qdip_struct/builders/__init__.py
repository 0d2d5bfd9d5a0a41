"""Floor 3: atoms. Slabs, interfaces, dots and dots in a matrix, every atom labelled with region and charge."""
