DROP FUNCTION public.warm_scoring ();

DROP TABLE scoring.rescored_transactions;
