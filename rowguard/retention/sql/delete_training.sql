DELETE FROM {table} WHERE occurred_at < %(cut)s
