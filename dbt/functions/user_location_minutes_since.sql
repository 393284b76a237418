-- Minutes since the user's newest transaction at this location, if it lies in the window; live features call it when their
-- user's last transaction was elsewhere.
{{ minutes_since_at('location', ref('stg_transactions').include(database=false)) }}
