-- Whether a feature function of a list is built.
SELECT to_regprocedure(
    format('features.%%s_%%s(bigint, numeric, bigint, text, timestamptz)', %(name)s::text, %(hash8)s::text)
) IS NOT NULL
