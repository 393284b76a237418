-- Bounded, so that a scrape stays cheap when nothing was ever scored.
SELECT count(*) AS unscored
FROM (SELECT FROM public.unscored_transactions LIMIT 100000) AS u -- noqa: AM09
