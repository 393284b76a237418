-- Generated: rule set {version}, {rule_count} rules.
CREATE FUNCTION scoring.rule_set_{version}(
    p_request scoring.scoring_request,
    p_decision scoring.decision,
    p_lists text[],
    p_is_control boolean,
    p_is_unscored boolean,
    p_at timestamptz,
    p_suppressed integer[] DEFAULT NULL
)
RETURNS scoring.outcome
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $rowguard$
DECLARE
    v_rules bit varying;
    v_rule integer;
    v_is_match boolean;
    v_matched integer[] := '{{}}';
    v_failed integer[] := '{{}}';
BEGIN
    -- The rules that are still possible.
    v_rules := {masks};
    IF v_rules = {none} AND p_lists IS NULL AND NOT p_is_control AND {is_quiet} THEN
        RETURN ROW('approve', NULL, {version}, NULL)::scoring.outcome;
    END IF;
    LOOP
        v_rule := position(B'1' IN v_rules);
        EXIT WHEN v_rule = 0;
        v_rules := set_bit(v_rules, v_rule - 1, 0);
        BEGIN
{dispatch}
        EXCEPTION
            -- A rule that raises asks for the failure outcome; the row is never lost.
            WHEN OTHERS THEN
                RAISE WARNING 'rule % of rule set {version} raised: %', ({names}::text[])[v_rule], SQLERRM;
                v_failed := v_failed || v_rule;
                v_is_match := ({actions}::text[])[v_rule] IS NOT NULL;
        END;
        IF v_is_match THEN
            v_matched := v_matched || v_rule;
        END IF;
    END LOOP;
    IF v_matched = '{{}}' AND p_lists IS NULL AND NOT p_is_control AND {is_quiet} THEN
        RETURN ROW('approve', NULL, {version}, NULL)::scoring.outcome;
    END IF;
    RETURN scoring.combine_outcome(
        {version}, p_request, p_decision, p_lists, p_is_control, p_is_unscored, p_at, p_suppressed, v_matched, v_failed,
        {names}::text[], {actions}::text[], {codes}::text[], {review}, {decline}, {failure_outcome}
    );
END
$rowguard$;
