{{ distributions(['model_version', 'name'], "b.event_date > (now() AT TIME ZONE 'UTC')::date - 7") }}
