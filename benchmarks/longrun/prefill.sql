-- Rows of more than a year, most of them outside every window, as history: not scored, by the owner.
INSERT INTO public.transactions (user_id, occurred_at, received_at, is_history, amount, merchant_id, location)
SELECT
    1 + mod(hashint8(g) & 2147483647, %(users)s),
    now() - (hashint8(g + 1) & 2147483647) * interval '16.1 milliseconds',
    now(),
    true,
    mod(hashint8(g + 2) & 2147483647, 50000)::numeric / 100,
    1 + mod(hashint8(g + 3) & 2147483647, 1000),
    (ARRAY['DE', 'FR', 'US', 'JP'])[1 + mod(g, 4)]
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS g
