"""The work: projects at a place, and the people concerned with each."""
