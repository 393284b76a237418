{{ config(
    materialized='incremental',
    incremental_strategy='steps',
    on_schema_change='fail',
    indexes=[{'columns': ['merchant_id', 'from_day'], 'unique': True}],
    pre_hook=['{{ begin_build(["merchant"]) }}', '{{ prepare_days("merchant") }}'],
    post_hook=['{{ comment_rolled_features(this, "merchant") }}', '{{ analyze_if_worth_it(this) }}'],
) }}
-- depends_on: {{ ref('stg_transactions') }}, {{ ref('stg_labels') }}
-- Steps of features over days; the live read and training take the one of the candidate's day.
{{ rollup_steps('merchant') }}
