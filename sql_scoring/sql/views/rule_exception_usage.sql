-- Exceptions, and how often each suppressed its rule: an ended one is stale, an active one without use may be unneeded.
CREATE VIEW scoring.rule_exception_usage AS
SELECT
    e.exception_id,
    e.rule_name,
    e.user_id,
    e.reason,
    e.starts_at,
    e.ends_at,
    e.created_by,
    e.ended_at,
    e.ended_by,
    least(e.ends_at, e.ended_at) > clock_timestamp() AS is_active,
    (
        SELECT count(*)
        FROM public.transactions AS t
        CROSS JOIN LATERAL scoring.unpack_rule_codes(t.matched_rules) AS c
        INNER JOIN scoring.rules AS r ON t.rule_set_version = r.version AND c.number = r.position
        WHERE
            t.user_id = e.user_id AND t.matched_rules IS NOT NULL AND c.kind = 'suppressed' AND r.name = e.rule_name
            AND t.received_at >= e.starts_at AND t.received_at < least(e.ends_at, e.ended_at)
    ) AS used_count
FROM scoring.rule_exceptions AS e;
