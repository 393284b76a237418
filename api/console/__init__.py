"""The console: pages for analysts, rule authors and approvers, rendered by the server."""
