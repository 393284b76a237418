"""rowguard's API against the classic service: a web framework with a pickled model."""
