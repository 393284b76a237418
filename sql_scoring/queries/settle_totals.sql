SELECT scoring.settle_totals(%(user_ids)s::bigint[])
