{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    indexes=[{'columns': ['merchant_id', 'valid_from'], 'unique': True}],
    pre_hook="{{ delete_rows_to_rebuild(this, 'merchant') }}",
    post_hook=[
        "{{ comment_features(this, rollup_features('merchant')) }}",
        {'sql': 'VACUUM (ANALYZE) {{ this }}', 'transaction': False},
    ],
) }}
{{ rollup_type_2_rows('merchant', ref('int_merchant_daily_sums'), rebuild_from()) }}
