"""Shared fixtures live in plugins named by what they provide."""

pytest_plugins = ["tests.fix_database"]
