INSERT INTO scoring.models
SELECT m.* FROM jsonb_populate_record(NULL::scoring.models, {model}) AS m
ON CONFLICT (version) DO NOTHING;
