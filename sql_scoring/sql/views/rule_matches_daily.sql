-- One row per day, rule set and rule, live and shadow alike: how many live rows it matched and exceptions suppressed.
-- A row stores at most seven codes: of rules that match together with more than six others the count is too low.
CREATE VIEW scoring.rule_matches_daily AS
SELECT
    date_trunc('day', t.received_at, 'UTC')::date AS event_date,
    r.version,
    r.position,
    r.name,
    r.mode,
    r.action,
    count(*) FILTER (WHERE c.kind = 'rule') AS matched,
    count(*) FILTER (WHERE c.kind = 'suppressed') AS suppressed
FROM public.transactions AS t
CROSS JOIN LATERAL scoring.unpack_rule_codes(t.matched_rules) AS c
INNER JOIN scoring.rules AS r ON t.rule_set_version = r.version AND c.number = r.position
WHERE c.kind <> 'list'
GROUP BY 1, 2, 3, 4, 5, 6;
