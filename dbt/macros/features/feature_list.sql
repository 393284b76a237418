{#
  The features, in the order in which the model sees them. This list is the only place to add one:
  edit it, run `rowguard features`, then `rowguard retrain`. docs/features.md walks through three examples.

  One feature a line. A windowed feature names entity, measure, aggregate and window:
    entity     user | user_merchant | user_location     whose earlier transactions count
    measure    transaction | amount | merchant | location
    aggregate  count | sum | mean | max | stddev | distinct | minutes_since
    window     a number and h or d, half-open: (t - window, t], the transaction itself left out
  What was found out about a merchant's transactions, by whole days (UTC) and as known when the day began:
    entity     merchant        measure    label
    aggregate  count (transactions) | fraud_count | fraud_share
    window     days, ending `delay` days before the day of the transaction
  A derived feature names an expression over the transaction (amount, merchant_id, location, occurred_at,
  home_location) and the windowed features.
  Every feature has a description. Missing (no earlier transaction, no location) is NULL, never a number.
#}
{% macro feature_list() %}
{% set lines %}
- {name: transaction_amount, expression: "amount::double precision", description: "Amount of the transaction."}
- {name: user_txn_minutes_since_last, entity: user, measure: transaction, aggregate: minutes_since, window: 30d, description: "Minutes since the user's last transaction."}
- {name: user_txn_count_1h, entity: user, measure: transaction, aggregate: count, window: 1h, description: "Transactions of the user in the last hour."}
- {name: user_txn_count_1d, entity: user, measure: transaction, aggregate: count, window: 1d, description: "Transactions of the user in the last day."}
- {name: user_txn_count_7d, entity: user, measure: transaction, aggregate: count, window: 7d, description: "Transactions of the user in the last 7 days."}
- {name: user_txn_count_30d, entity: user, measure: transaction, aggregate: count, window: 30d, description: "Transactions of the user in the last 30 days."}
- {name: user_amount_mean_1h, entity: user, measure: amount, aggregate: mean, window: 1h, description: "Mean amount of the user in the last hour."}
- {name: user_amount_mean_1d, entity: user, measure: amount, aggregate: mean, window: 1d, description: "Mean amount of the user in the last day."}
- {name: user_amount_mean_7d, entity: user, measure: amount, aggregate: mean, window: 7d, description: "Mean amount of the user in the last 7 days."}
- {name: user_amount_mean_30d, entity: user, measure: amount, aggregate: mean, window: 30d, description: "Mean amount of the user in the last 30 days."}
- {name: user_amount_max_30d, entity: user, measure: amount, aggregate: max, window: 30d, description: "Largest amount of the user in the last 30 days."}
- {name: user_amount_stddev_30d, entity: user, measure: amount, aggregate: stddev, window: 30d, description: "Sample standard deviation of the user's amounts in the last 30 days."}
- {name: user_merchant_distinct_1d, entity: user, measure: merchant, aggregate: distinct, window: 1d, description: "Different merchants of the user in the last day."}
- {name: user_merchant_txn_count_30d, entity: user_merchant, measure: transaction, aggregate: count, window: 30d, description: "Transactions of the user at this merchant in the last 30 days."}
- {name: user_location_txn_count_30d, entity: user_location, measure: transaction, aggregate: count, window: 30d, description: "Transactions of the user from this location in the last 30 days."}
- {name: merchant_txn_count_1d, entity: merchant, measure: label, aggregate: count, window: 1d, delay: 7d, description: "Transactions at the merchant in 1 day, ending 7 days ago."}
- {name: merchant_fraud_rate_1d, entity: merchant, measure: label, aggregate: fraud_share, window: 1d, delay: 7d, description: "Share of frauds at the merchant in 1 day, ending 7 days ago."}
- {name: merchant_txn_count_7d, entity: merchant, measure: label, aggregate: count, window: 7d, delay: 7d, description: "Transactions at the merchant in 7 days, ending 7 days ago."}
- {name: merchant_fraud_rate_7d, entity: merchant, measure: label, aggregate: fraud_share, window: 7d, delay: 7d, description: "Share of frauds at the merchant in 7 days, ending 7 days ago."}
- {name: merchant_txn_count_30d, entity: merchant, measure: label, aggregate: count, window: 30d, delay: 7d, description: "Transactions at the merchant in 30 days, ending 7 days ago."}
- {name: merchant_fraud_rate_30d, entity: merchant, measure: label, aggregate: fraud_share, window: 30d, delay: 7d, description: "Share of frauds at the merchant in 30 days, ending 7 days ago."}
- {name: amount_to_user_mean_30d, expression: "amount::double precision / nullif(user_amount_mean_30d, 0)", description: "Amount as a multiple of the user's 30-day mean."}
- {name: amount_to_user_max_30d, expression: "amount::double precision / nullif(user_amount_max_30d, 0)", description: "Amount as a multiple of the user's 30-day maximum."}
- {name: amount_zscore_user_30d, expression: "(amount::double precision - user_amount_mean_30d) / nullif(user_amount_stddev_30d, 0)", description: "Amount above the user's 30-day mean, in standard deviations."}
- {name: is_location_seen_30d, expression: "(user_location_txn_count_30d > 0)::integer", description: "1 when the user was at this location in the last 30 days."}
- {name: user_location_match, expression: "(location = home_location)::integer", description: "1 when the location is the user's home."}
- {name: is_weekend, expression: "(extract(isodow FROM occurred_at AT TIME ZONE 'UTC') >= 6)::integer", description: "1 on Saturday and Sunday (UTC)."}
- {name: is_night, expression: "(extract(hour FROM occurred_at AT TIME ZONE 'UTC') <= 6)::integer", description: "1 from midnight to 6:59 (UTC)."}
{% endset %}
{{ return(parse_feature_list(lines)) }}
{% endmacro %}
