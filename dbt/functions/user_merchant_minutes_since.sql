-- Minutes since the user's newest transaction at this merchant, if it lies in the window; live features call it when their
-- user's last transaction was elsewhere.
{{ minutes_since_at('merchant_id', ref('stg_transactions').include(database=false)) }}
