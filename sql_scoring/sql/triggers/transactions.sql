-- One trigger for every INSERT, and without a WHEN: PostgreSQL parses its text again for each statement (some 7 thousand
-- instructions), and sets up every function that a trigger calls.
CREATE TRIGGER score_on_insert
BEFORE INSERT ON public.transactions
FOR EACH ROW
EXECUTE FUNCTION scoring.score_on_insert();

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
