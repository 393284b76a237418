SELECT min(occurred_at), max(occurred_at), count(*)
FROM features.training_set
