-- For this transaction only: rows that are loaded are not scored. The owner alone may do so.
SELECT set_config('rowguard.load_history', 'on', true)
