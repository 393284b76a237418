-- The rule for a column's values, once: the table, score_transaction and every loader use these types. They cost an
-- INSERT a seventh of CHECK constraints, whose text PostgreSQL parses again for each statement. A domain cannot change a
-- value: the trigger and score_transaction remove the noise that scoring.amount accepts.
CREATE DOMAIN scoring.amount AS numeric CONSTRAINT amount_valid CHECK (
    (VALUE >= 0 AND VALUE < 1e12 AND min_scale(VALUE) <= 4)
    OR scoring.remove_amount_noise(VALUE) BETWEEN 0.0001 AND 999999999999.9999
    OR scoring.reject_value('amount', VALUE::text, 'is not between 0 and 1e12 with at most 4 decimals')
);

CREATE DOMAIN scoring.idempotency_key AS text CONSTRAINT idempotency_key_valid CHECK (
    (length(VALUE) BETWEEN 1 AND 255 AND VALUE !~ '[\u0001-\u001F\u007F-\u009F]')
    OR scoring.reject_value('idempotency_key', VALUE, 'does not have 1 to 255 characters, or has control characters')
);

CREATE DOMAIN scoring.external_id AS text CONSTRAINT external_id_valid CHECK (
    (length(VALUE) BETWEEN 1 AND 255 AND VALUE !~ '[\u0001-\u001F\u007F-\u009F]')
    OR scoring.reject_value('external_id', VALUE, 'does not have 1 to 255 characters, or has control characters')
);

CREATE DOMAIN scoring.label_source AS text CONSTRAINT label_source_valid CHECK (
    (length(VALUE) BETWEEN 1 AND 64 AND VALUE !~ '[\u0001-\u001F\u007F-\u009F]')
    OR scoring.reject_value('source', VALUE, 'does not have 1 to 64 characters, or has control characters')
);

CREATE DOMAIN scoring.history_mark AS boolean CONSTRAINT history_mark_valid CHECK (
    VALUE IS NOT TRUE OR scoring.may_load_history()
);

-- Of the columns that features.yml declares: their length, or the values that they may have.
/* for each domain: {create_domain} */
