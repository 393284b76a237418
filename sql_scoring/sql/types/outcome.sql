-- The outcome of a transaction: what score_on_insert stores of rules, lists and thresholds. matched_rules packs codes of
-- two bytes each, which unpack_rule_codes reads.
CREATE TYPE scoring.outcome AS (
    outcome text,
    outcome_reasons text[],
    rule_set_version integer,
    matched_rules bytea
);
