CREATE TRIGGER record_model_insert
AFTER INSERT ON scoring.models
FOR EACH ROW
EXECUTE FUNCTION scoring.record_model_state();

CREATE TRIGGER record_model_update
AFTER UPDATE ON scoring.models
FOR EACH ROW
WHEN (OLD.state IS DISTINCT FROM NEW.state)
EXECUTE FUNCTION scoring.record_model_state();
