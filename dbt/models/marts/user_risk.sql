{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    indexes=[{'columns': ['user_id', 'valid_from'], 'unique': True}],
    pre_hook="{{ delete_rows_to_rebuild(this, 'user') }}",
    post_hook=[
        "{{ comment_features(this, rollup_features('user')) }}",
        {'sql': 'VACUUM (ANALYZE) {{ this }}', 'transaction': False},
    ],
) }}
{{ rollup_type_2_rows('user', ref('int_user_daily_sums'), rebuild_from()) }}
