"""What every builder stands on: crystals as atoms, molecules, alloys, regions, contacts, files of structures."""
