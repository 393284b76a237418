-- PostgreSQL reads the text of every WHEN anew for each INSERT (some 3 microseconds for a call and two constants),
-- and every function that a trigger calls has to be set up: so there are few of both, and short ones.

-- History is loaded, not scored: its rows do not even call the function.
CREATE TRIGGER score_on_insert
BEFORE INSERT ON public.transactions
FOR EACH ROW
WHEN (NEW.is_history IS NOT TRUE)
EXECUTE FUNCTION scoring.score_on_insert();

-- Loading history sets rowguard.load_history for its own transaction. A client's row that says it is history fires
-- this as well, which takes the mark away. Row by row, as Citus has no statement-level triggers.
CREATE TRIGGER keep_history_undecided
BEFORE INSERT ON public.transactions
FOR EACH ROW
WHEN (NEW.is_history)
EXECUTE FUNCTION scoring.keep_history_undecided();

-- Only rows that got no running totals pay for this one.
CREATE TRIGGER fold_late_row
AFTER INSERT ON public.transactions
FOR EACH ROW
WHEN (NEW.user_txns_before IS NULL)
EXECUTE FUNCTION scoring.fold_late_row();

CREATE TRIGGER forget_totals_on_delete
AFTER DELETE ON public.transactions
FOR EACH ROW
EXECUTE FUNCTION scoring.forget_totals();

CREATE TRIGGER forget_totals_on_update
AFTER UPDATE OF user_id, occurred_at, amount ON public.transactions
FOR EACH ROW
WHEN ((OLD.user_id, OLD.occurred_at, OLD.amount) IS DISTINCT FROM (NEW.user_id, NEW.occurred_at, NEW.amount))
EXECUTE FUNCTION scoring.forget_totals();

-- Comes after score_on_insert, which asks for it: triggers fire in the order of their names.
CREATE TRIGGER shadow_on_insert
BEFORE INSERT ON public.transactions
FOR EACH ROW
WHEN (NEW.shadow_version IS NOT NULL)
EXECUTE FUNCTION scoring.shadow_on_insert();
