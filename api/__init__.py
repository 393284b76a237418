"""The HTTP API: a thin door to the database. It scores nothing itself and never imports scikit-learn."""
