"""What X-rays and electrons would see of a structure."""
