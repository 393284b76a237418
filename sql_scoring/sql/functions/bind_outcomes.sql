-- Binds callers to the rule set in force, to the columns of the lists, and to the feature lists of the deployed models.
-- Called after each change of one of these, in its transaction. Replacing a function takes no lock that an INSERT waits
-- for: a transaction that is running keeps the old functions, whose version it stores.
CREATE OR REPLACE FUNCTION scoring.bind_outcomes()
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_version integer := (SELECT s.rule_set_version FROM scoring.settings AS s);
    v_columns text[] := ARRAY(SELECT DISTINCT l.column_name FROM scoring.lists AS l ORDER BY 1);
    v_hashes text := (
        SELECT string_agg(
            format('hashtextextended(p_request.%I::text, %s)', c.name, hashtextextended(c.name, 18)), ', ' ORDER BY c.name
        )
        FROM unnest(v_columns) AS c (name)
    );
    v_decision text := 'p_decision';
    v_model record;
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION scoring.uses_outcomes() RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN %s',
        (v_version > 0 OR v_hashes IS NOT NULL)::text
    );
    -- The first statement is what almost every row needs: entries are rare. It stays as small as a statement can be.
    EXECUTE format(
        $find$
        CREATE OR REPLACE FUNCTION scoring.find_lists(p_request scoring.scoring_request, p_at timestamptz)
        RETURNS text[] LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
        AS $body$
        BEGIN
            %s
            RETURN NULL;
        END
        $body$
        $find$,
        CASE WHEN v_hashes IS NOT NULL THEN format(
            $body$
            PERFORM FROM scoring.list_entries AS e WHERE e.key_hash = ANY (ARRAY[%1$s]) AND e.removed_at IS NULL;
            IF FOUND THEN
                RETURN (
                    SELECT array_agg(DISTINCT l.name ORDER BY l.name)
                    FROM scoring.list_entries AS e
                    INNER JOIN scoring.lists AS l ON e.list_id = l.list_id
                    WHERE
                        e.key_hash = ANY (ARRAY[%1$s]) AND e.removed_at IS NULL
                        AND (e.expires_at IS NULL OR e.expires_at > p_at)
                        AND e.key = CASE l.column_name %2$s END
                );
            END IF;
            $body$,
            v_hashes,
            (
                SELECT string_agg(format('WHEN %L THEN p_request.%I::text', c.name, c.name), ' ' ORDER BY c.name)
                FROM unnest(v_columns) AS c (name)
            )
        ) END
    );
    FOR v_model IN
        SELECT m.version, scoring.map_features(r.feature_names, m.feature_names) AS positions
        FROM scoring.models AS m
        INNER JOIN scoring.rule_sets AS r ON r.version = v_version
        WHERE
            m.state IN ('champion', 'challenger')
            AND scoring.map_features(r.feature_names, m.feature_names) IS NOT NULL
        ORDER BY m.version
    LOOP
        v_decision := format(
            'CASE p_decision.model_version WHEN %L THEN scoring.remap_features(p_decision, %L::integer[]) ELSE %s END',
            v_model.version, v_model.positions, v_decision
        );
        IF array_position(v_model.positions, NULL) IS NOT NULL THEN
            RAISE WARNING 'model % does not have every feature that rule set % reads: such rules never match',
                v_model.version, v_version;
        END IF;
    END LOOP;
    EXECUTE format(
        $facade$
        CREATE OR REPLACE FUNCTION scoring.decide_outcome(
            p_request scoring.scoring_request, p_decision scoring.decision, p_is_control boolean, p_is_unscored boolean,
            p_at timestamptz
        )
        RETURNS scoring.outcome LANGUAGE sql STABLE
        RETURN scoring.rule_set_%s(p_request, %s, %s, p_is_control, p_is_unscored, p_at)
        $facade$,
        v_version, v_decision,
        CASE WHEN v_hashes IS NOT NULL THEN 'scoring.find_lists(p_request, p_at)' ELSE 'NULL::text[]' END
    );
END
$$;
