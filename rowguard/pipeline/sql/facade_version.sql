-- Which model answers callers now.
SELECT (scoring.score_basic(1, NULL, NULL, NULL)).model_version
