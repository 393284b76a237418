-- Minutes since the user's newest transaction at this location, if it is in the window; the live features call it
-- when the user's last transaction was elsewhere.
{{ minutes_since_at('location', source('public', 'transactions').include(database=false)) }}
