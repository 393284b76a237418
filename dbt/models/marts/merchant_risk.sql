{{ config(
    materialized='table',
    indexes=[{'columns': ['merchant_id', 'from_day'], 'unique': True}],
    post_hook=['{{ comment_rolled_features(this, "merchant") }}', 'ANALYZE {{ this }}'],
) }}
-- Steps of features over days; the live read and training take the one of the candidate's day.
{{ rollup_steps('merchant') }}
