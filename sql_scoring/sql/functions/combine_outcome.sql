-- The outcome of a row that a list, the model or a rule has something to say about. The first that decides counts:
-- allow list, block list, decline threshold, rules by priority, then review: review list, no score, review threshold.
--
-- p_matched are positions of rules in order of priority, p_failed those of them that raised. p_actions is NULL for a
-- shadow rule, which is only recorded. p_suppressed is what exceptions suppress; NULL looks it up. Without thresholds an
-- alert of the model is declined. An alert in the control group is not blocked for its score.
--
-- Version, reasons and codes take 64 bytes at most: further reasons and matched rules are left out, as replay_outcome
-- computes them again. What it cannot compute, lists and suppressed rules, is always stored.
CREATE OR REPLACE FUNCTION scoring.combine_outcome(
    p_rule_set integer,
    p_request scoring.scoring_request,
    p_decision scoring.decision,
    p_lists text[],
    p_is_control boolean,
    p_is_unscored boolean,
    p_at timestamptz,
    p_suppressed integer[],
    p_matched integer[],
    p_failed integer[],
    p_names text[],
    p_actions text[],
    p_codes text[],
    p_review double precision,
    p_decline double precision,
    p_failure_outcome text
)
RETURNS scoring.outcome
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    o scoring.outcome;
    v_allow text[];
    v_block text[];
    v_review text[];
    v_list_ids integer[];
    v_suppressed integer[] := coalesce(p_suppressed, '{}');
    v_live integer[];
    v_rule integer;
    v_reasons text[];
    v_reason text;
    v_codes integer[];
    v_bytes integer;
BEGIN
    IF p_lists IS NOT NULL THEN
        SELECT
            array_agg(l.name ORDER BY l.list_id) FILTER (WHERE l.kind = 'allow'),
            array_agg(l.name ORDER BY l.list_id) FILTER (WHERE l.kind = 'block'),
            array_agg(l.name ORDER BY l.list_id) FILTER (WHERE l.kind = 'review'),
            array_agg(l.list_id ORDER BY l.list_id)
        INTO v_allow, v_block, v_review, v_list_ids
        FROM scoring.lists AS l
        WHERE l.name = ANY (p_lists);
    END IF;
    IF p_suppressed IS NULL AND cardinality(p_matched) > 0 THEN
        v_suppressed := ARRAY(
            SELECT m.rule
            FROM unnest(p_matched) AS m (rule)
            WHERE EXISTS (
                SELECT
                FROM scoring.rule_exceptions AS e
                WHERE
                    e.user_id = p_request.user_id AND e.rule_name = p_names[m.rule]
                    AND e.starts_at <= p_at AND least(e.ends_at, e.ended_at) > p_at
            )
            ORDER BY m.rule
        );
    END IF;
    v_live := ARRAY(
        SELECT m.rule
        FROM unnest(p_matched) AS m (rule)
        WHERE p_actions[m.rule] IS NOT NULL AND m.rule <> ALL (v_suppressed)
        ORDER BY m.rule
    );
    v_rule := v_live[1];
    IF v_allow IS NOT NULL THEN
        o.outcome := 'approve';
        v_reasons := v_allow;
    ELSIF v_block IS NOT NULL THEN
        o.outcome := 'decline';
        v_reasons := v_block;
    ELSIF NOT p_is_control AND (
        CASE
            WHEN p_review IS NULL AND p_decline IS NULL THEN p_decision.is_fraud
            ELSE p_decision.fraud_probability >= p_decline
        END
    ) THEN
        o.outcome := 'decline';
        v_reasons := '{model_score}';
    ELSIF v_rule IS NOT NULL THEN
        o.outcome := CASE WHEN v_rule = ANY (p_failed) THEN p_failure_outcome ELSE p_actions[v_rule] END;
    ELSIF v_review IS NOT NULL THEN
        o.outcome := 'review';
        v_reasons := v_review;
    ELSIF p_is_unscored THEN
        o.outcome := p_failure_outcome;
        v_reasons := '{unscored}';
    ELSIF NOT p_is_control AND p_decision.fraud_probability >= p_review THEN
        o.outcome := 'review';
        v_reasons := '{model_score}';
    ELSE
        o.outcome := 'approve';
        v_reasons := CASE WHEN p_is_control THEN '{control_group}'::text[] END;
    END IF;
    -- Rules that ask for the same outcome are reasons as well.
    IF v_allow IS NULL THEN
        FOREACH v_rule IN ARRAY v_live LOOP
            v_reason := CASE WHEN v_rule = ANY (p_failed) THEN 'rule_failed' ELSE p_codes[v_rule] END;
            IF (CASE WHEN v_rule = ANY (p_failed) THEN p_failure_outcome ELSE p_actions[v_rule] END) = o.outcome
                AND v_reason <> ALL (coalesce(v_reasons, '{}'))
            THEN
                v_reasons := v_reasons || v_reason;
            END IF;
        END LOOP;
    END IF;

    -- Numbers of lists from 32768, of suppressed rules from 49152.
    v_codes := ARRAY(SELECT 32768 + l.id FROM unnest(v_list_ids) AS l (id)) || ARRAY(
        SELECT 49152 + s.rule FROM unnest(v_suppressed) AS s (rule)
    );
    v_codes := v_codes || (
        ARRAY(SELECT m.rule FROM unnest(p_matched) AS m (rule) WHERE m.rule <> ALL (v_suppressed) ORDER BY m.rule)
    )[1:greatest(0, 7 - cardinality(v_codes))];
    o.matched_rules := (
        SELECT string_agg(int2send((c.code - CASE WHEN c.code > 32767 THEN 65536 ELSE 0 END)::smallint), '' ORDER BY c.n)
        FROM unnest(v_codes) WITH ORDINALITY AS c (code, n)
    );
    -- The version takes 4 bytes, an array 21, each of its texts 4 and its length, rounded up to 4.
    v_bytes := 64 - 4 - 21 - 1 - coalesce(octet_length(o.matched_rules), 0);
    FOREACH v_reason IN ARRAY coalesce(v_reasons, '{}') LOOP
        v_bytes := v_bytes - 4 * ((octet_length(v_reason) + 7) / 4);
        EXIT WHEN v_bytes < 0 AND o.outcome_reasons IS NOT NULL;
        o.outcome_reasons := o.outcome_reasons || v_reason;
    END LOOP;
    o.rule_set_version := p_rule_set;
    RETURN o;
END
$$;
