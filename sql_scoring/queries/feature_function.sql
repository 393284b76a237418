-- Whether the feature function of a list is built.
SELECT to_regprocedure(
    format('features.live_feature_values_%%s(bigint, numeric, bigint, text, timestamptz)', %(hash8)s::text)
) IS NOT NULL
