-- Whether a version's scoring function is there: old ones are pruned.
SELECT to_regprocedure(%(function_name)s || '(real[])') IS NOT NULL
