{{ distributions(['event_date', 'model_version', 'name']) }}
