{#
  The features, in the order in which the model sees them. This list is the only place to add one:
  edit it, run `rowguard features`, then `rowguard retrain`.

  One feature a line. A windowed feature names entity, measure, aggregate and window:
    entity     user | user_merchant | user_location     whose earlier transactions count
    measure    transaction | amount | merchant | location
    aggregate  count | sum | mean | max | stddev | distinct | minutes_since
    window     a number and h or d, half-open: (t - window, t], the transaction itself left out
  With a delay it is summed up by whole days (UTC), as known when the transaction's day began:
    entity     merchant | user
    measure    label | transaction | amount
    aggregate  of labels: count (transactions) | fraud_count | fraud_rate; otherwise count | sum | mean
    window     days, ending `delay` days before the day of the transaction
  A derived feature names an expression over the transaction (amount, merchant_id, location, occurred_at,
  home_location) and the features with a window.
  Every feature has a description. Missing (no earlier transaction, no location) is NULL, never a number.
#}
{% macro feature_list() %}
{% set lines %}
- {name: transaction_amount, expression: "amount::double precision", description: "Amount of the transaction."}
- {name: user_txn_minutes_since_last, entity: user, measure: transaction, aggregate: minutes_since, window: 30d, description: "Minutes since the user's last transaction."}
- {name: user_txn_count_1h, entity: user, measure: transaction, aggregate: count, window: 1h, description: "Transactions of the user in the last hour."}
- {name: user_txn_count_7d, entity: user, measure: transaction, aggregate: count, window: 7d, description: "Transactions of the user in the last 7 days."}
- {name: user_amount_mean_30d, entity: user, measure: amount, aggregate: mean, window: 30d, description: "Mean amount of the user in the last 30 days."}
- {name: user_amount_stddev_7d, entity: user, measure: amount, aggregate: stddev, window: 7d, description: "Sample standard deviation of the user's amounts in the last 7 days."}
- {name: user_amount_stddev_30d, entity: user, measure: amount, aggregate: stddev, window: 30d, description: "Sample standard deviation of the user's amounts in the last 30 days."}
- {name: user_location_minutes_since_last, entity: user_location, measure: transaction, aggregate: minutes_since, window: 30d, description: "Minutes since the user was last at this location; missing when not within 30 days."}
- {name: merchant_fraud_rate_1d, entity: merchant, measure: label, aggregate: fraud_rate, window: 1d, delay: 7d, description: "Fraction of frauds at the merchant in 1 day, ending 7 days ago."}
- {name: merchant_fraud_rate_3d, entity: merchant, measure: label, aggregate: fraud_rate, window: 3d, delay: 7d, description: "Fraction of frauds at the merchant in 3 days, ending 7 days ago."}
- {name: merchant_fraud_rate_7d, entity: merchant, measure: label, aggregate: fraud_rate, window: 7d, delay: 7d, description: "Fraction of frauds at the merchant in 7 days, ending 7 days ago."}
- {name: merchant_fraud_rate_14d, entity: merchant, measure: label, aggregate: fraud_rate, window: 14d, delay: 7d, description: "Fraction of frauds at the merchant in 14 days, ending 7 days ago."}
- {name: merchant_fraud_rate_21d, entity: merchant, measure: label, aggregate: fraud_rate, window: 21d, delay: 7d, description: "Fraction of frauds at the merchant in 21 days, ending 7 days ago."}
- {name: merchant_fraud_rate_28d, entity: merchant, measure: label, aggregate: fraud_rate, window: 28d, delay: 7d, description: "Fraction of frauds at the merchant in 28 days, ending 7 days ago."}
- {name: amount_to_user_mean_30d, expression: "amount::double precision / nullif(user_amount_mean_30d, 0)", description: "Amount as a multiple of the user's 30-day mean."}
- {name: amount_zscore_user_30d, expression: "(amount::double precision - user_amount_mean_30d) / nullif(user_amount_stddev_30d, 0)", description: "Amount above the user's 30-day mean, in standard deviations."}
- {name: user_amount_variation_7d, expression: "user_amount_stddev_7d / nullif(user_amount_mean_30d, 0)", description: "Spread of the user's amounts in 7 days, relative to the 30-day mean."}
- {name: user_amount_variation_30d, expression: "user_amount_stddev_30d / nullif(user_amount_mean_30d, 0)", description: "Spread of the user's amounts in 30 days, relative to their mean."}
- {name: user_location_match, expression: "(location = home_location)::integer", description: "1 when the location is the user's home."}
{% endset %}
{{ return(parse_feature_list(lines)) }}
{% endmacro %}
