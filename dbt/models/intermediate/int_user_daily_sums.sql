{{ daily_sums('user', ref('stg_transactions'), ref('int_label_changes')) }}
