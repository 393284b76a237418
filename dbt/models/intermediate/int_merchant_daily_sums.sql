{{ daily_sums('merchant', ref('stg_transactions'), ref('int_label_changes')) }}
