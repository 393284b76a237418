-- A challenger beside which the trigger lets nothing through, because the present form of what it calls and of the
-- second opinion comes with the next revision; and whether the second opinion that stands is its own.
SELECT
    m.version,
    m.canary_percent,
    (
        SELECT strpos(p.prosrc, quote_literal(m.version)) > 0
        FROM pg_catalog.pg_proc AS p
        WHERE p.oid = to_regproc('scoring.shadow_on_insert')
    ) AS has_second_opinion
FROM scoring.models AS m
WHERE
    m.state = 'challenger'
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_proc AS p
        WHERE
            p.oid = to_regproc('scoring.decide_insert')
            AND (strpos(p.prosrc, 'knows_last_row') > 0 OR strpos(p.prosrc, 'insert_feature_values') > 0)
    )
