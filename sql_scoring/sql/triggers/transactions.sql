-- PostgreSQL parses the text of every WHEN again for each INSERT (some 7 thousand instructions), and sets up every
-- function that a trigger calls: so there are few of both.

-- History is loaded, not scored: its rows do not even call the function.
CREATE TRIGGER score_on_insert
BEFORE INSERT ON public.transactions
FOR EACH ROW
WHEN (NEW.is_history IS NOT TRUE)
EXECUTE FUNCTION scoring.score_on_insert();

-- Sorts before score_on_insert, so a client's row that claims to be history is scored after all. Only loaded and
-- restored rows bring received_at.
CREATE TRIGGER guard_history_load
BEFORE INSERT ON public.transactions
FOR EACH ROW
WHEN (NEW.is_history OR NEW.received_at IS NOT NULL)
EXECUTE FUNCTION scoring.guard_history_load();

CREATE TRIGGER recompute_totals_on_late_insert
AFTER INSERT ON public.transactions
FOR EACH ROW
WHEN (NEW.user_txns_before IS NULL)
EXECUTE FUNCTION scoring.recompute_totals_on_late_insert();

CREATE TRIGGER invalidate_totals_on_delete
AFTER DELETE ON public.transactions
REFERENCING OLD TABLE AS deleted
FOR EACH STATEMENT
EXECUTE FUNCTION scoring.invalidate_totals_on_delete();

CREATE TRIGGER invalidate_totals_on_update
AFTER UPDATE OF user_id, occurred_at, amount ON public.transactions
FOR EACH ROW
WHEN ((OLD.user_id, OLD.occurred_at, OLD.amount) IS DISTINCT FROM (NEW.user_id, NEW.occurred_at, NEW.amount))
EXECUTE FUNCTION scoring.invalidate_totals_on_update();
