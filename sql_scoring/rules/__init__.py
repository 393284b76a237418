"""Rule sets: read from rules.yml, checked by their parse trees, compiled to one function, measured over history."""
