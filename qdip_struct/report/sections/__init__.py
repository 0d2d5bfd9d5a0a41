"""The sections of a page, one module each: ``add(page, study, memory)`` adds what the study holds, or nothing."""
