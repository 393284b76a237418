-- Minutes since the user's newest transaction at this merchant, if it is in the window; the live features call it
-- when the user's last transaction was elsewhere.
{{ minutes_since_at('merchant_id', source('public', 'transactions').include(database=false)) }}
