{# What the training set does not hold as it is now; found before it is built, in its transaction.

   Rows of which a version may be unseen (seen_rows.sql) are new, or were changed, or only had their running totals
   reckoned. How many rows were seen and are there as they were is counted. When that does not explain all rows that are
   built, everything is compared key by key: something was deleted.

   Rows of loaded history are built anew when anything changed that they see. Those that were decided live keep what they
   saw, and follow only the steps of their merchant and user.

   Tables of the transaction, for the model and between the statements:
     training_unseen     rows of which a version may be unseen, with what is built of them
     training_rows_gone  rows that are built and there no more
     training_wanted     what is to be built; is_framed when by frames #}
{% macro take_changes() %}
    {{ begin_look('training', is_from_nothing=not is_incremental()) }};
    {{ note_look('training') }};
    {%- if reads_homes() %}
    CREATE TABLE IF NOT EXISTS {{ kept_homes() }} (user_id bigint, valid_from timestamptz, home_location text);
    {%- endif %}
    {%- if is_incremental() %}
    {{ find_unseen_rows() }};
    {%- endif %}
    {%- for entity in ['merchant', 'user'] if rolled_features(entity) %}
    {{ take_felt_days(entity) }};
    {%- endfor %}
    {%- if reads_homes() %}
    {{ take_homes() }};
    {%- endif %}
    {%- if is_incremental() %}
    {{ want_rows() }};
    {%- endif %}
    {#- A hook must not end in an empty statement. #}
    SELECT 1
{% endmacro %}

{% macro find_unseen_rows() %}
    {%- set transactions = ref('stg_transactions') -%}
    CREATE TEMPORARY TABLE training_unseen ON COMMIT DROP AS
    SELECT t.user_id, t.transaction_id, t.occurred_at, t.is_history
    FROM {{ transactions }} AS t
    WHERE age(t.row_version) <= (SELECT coalesce(l.seen_age, 2147483647) FROM training_look AS l);
    ANALYZE training_unseen;
    CREATE TEMPORARY TABLE training_unseen_built ON COMMIT DROP AS
    SELECT
        u.user_id,
        u.transaction_id,
        u.occurred_at,
        u.is_history,
        built.occurred_at AS built_at,
        (u.occurred_at, u.is_history) IS DISTINCT FROM (built.occurred_at, built.is_history) AS is_moved
    FROM training_unseen AS u
    INNER JOIN {{ this }} AS built ON u.user_id = built.user_id AND u.transaction_id = built.transaction_id;
    ANALYZE training_unseen_built;
    CREATE TEMPORARY TABLE training_is_missing ON COMMIT DROP AS
    SELECT
        l.seen_age IS NULL
        OR (SELECT count(*) FROM {{ this }}) <> (SELECT count(*) FROM training_unseen_built)
        + (SELECT count(*) FROM {{ transactions }} AS t WHERE age(t.row_version) > l.seen_age) AS is_any
    FROM training_look AS l;
    CREATE TEMPORARY TABLE training_rows_gone ON COMMIT DROP AS
    SELECT built.user_id, built.transaction_id, built.occurred_at
    FROM {{ this }} AS built
    WHERE (SELECT m.is_any FROM training_is_missing AS m)
        AND NOT EXISTS (
            SELECT FROM {{ transactions }} AS t
            WHERE t.user_id = built.user_id AND t.transaction_id = built.transaction_id
        );
    ANALYZE training_rows_gone;
    CREATE TEMPORARY TABLE training_unbuilt ON COMMIT DROP AS
    SELECT u.user_id, u.transaction_id, u.occurred_at
    FROM training_unseen AS u
    WHERE NOT EXISTS (
        SELECT FROM training_unseen_built AS b WHERE b.user_id = u.user_id AND b.transaction_id = u.transaction_id
    )
    UNION
    SELECT t.user_id, t.transaction_id, t.occurred_at
    FROM {{ transactions }} AS t
    WHERE (SELECT m.is_any FROM training_is_missing AS m)
        AND NOT EXISTS (
            SELECT FROM {{ this }} AS built
            WHERE built.user_id = t.user_id AND built.transaction_id = t.transaction_id
        );
    ANALYZE training_unbuilt
{%- endmacro %}

{# Takes over what the steps' builds handed on. #}
{% macro take_felt_days(entity) -%}
    CREATE TEMPORARY TABLE {{ entity }}_felt (entity_id bigint NOT NULL, from_day date NOT NULL) ON COMMIT DROP;
    WITH taken AS (DELETE FROM {{ handed_changes(entity) }} RETURNING entity_id, from_day)

    INSERT INTO {{ entity }}_felt (entity_id, from_day)
    SELECT t.entity_id, min(t.from_day) FROM taken AS t GROUP BY t.entity_id;
    ANALYZE {{ entity }}_felt
{%- endmacro %}

{% macro want_rows() %}
    {%- set transactions = ref('stg_transactions') -%}
    CREATE TEMPORARY TABLE training_spans ON COMMIT DROP AS
    SELECT
        u.user_id,
        min(u.occurred_at) AS first_at,
        max(u.occurred_at) + interval '{{ longest_window_hours() }} hours' AS last_felt_at
    FROM (
        SELECT user_id, occurred_at FROM training_unbuilt
        UNION ALL
        SELECT user_id, occurred_at FROM training_rows_gone
        {%- for instant in ['occurred_at', 'built_at'] %}
        UNION ALL
        SELECT b.user_id, b.{{ instant }}
        FROM training_unseen_built AS b CROSS JOIN training_look AS l
        -- Without a note every row is unseen, and which were changed is not known.
        WHERE l.seen_age IS NOT NULL OR b.is_moved
        {%- endfor %}
    ) AS u
    GROUP BY u.user_id;
    ANALYZE training_spans;
    CREATE TEMPORARY TABLE training_wanted ON COMMIT DROP AS
    SELECT
        w.*,
        -- Frames pass over all rows of a user's longest window: worth it only for users with many rows to build.
        count(*) OVER (PARTITION BY w.user_id) > {{ rows_worth_a_frame() }} AS is_framed
    FROM (
        SELECT u.user_id, u.transaction_id, u.occurred_at
        FROM training_unbuilt AS u
        UNION
        SELECT b.user_id, b.transaction_id, b.occurred_at
        FROM training_unseen_built AS b
        WHERE b.is_moved
        UNION
        -- History by event time sees rows that came later.
        SELECT t.user_id, t.transaction_id, t.occurred_at
        FROM {{ transactions }} AS t
        INNER JOIN training_spans AS s ON t.user_id = s.user_id
        WHERE t.is_history AND t.occurred_at BETWEEN s.first_at AND s.last_felt_at
        {%- for entity in ['merchant', 'user'] if rolled_features(entity) %}
        UNION
        SELECT t.user_id, t.transaction_id, t.occurred_at
        FROM {{ transactions }} AS t
        INNER JOIN {{ entity }}_felt AS x
            ON t.{{ entity }}_id = x.entity_id AND (t.occurred_at AT TIME ZONE 'UTC')::date >= x.from_day
        -- Often no row is as late as any of them.
        WHERE t.occurred_at >= (SELECT min(f.from_day)::timestamp AT TIME ZONE 'UTC' FROM {{ entity }}_felt AS f)
        {%- endfor %}
        {%- if reads_homes() %}
        UNION
        SELECT t.user_id, t.transaction_id, t.occurred_at
        FROM {{ transactions }} AS t
        INNER JOIN training_homes_changed AS h ON t.user_id = h.user_id
        WHERE t.is_history
        {%- endif %}
    ) AS w;
    ANALYZE training_wanted;
{%- endmacro %}

{# Rows of transactions that are there no more. #}
{% macro forget_deleted_rows(training) %}
    {%- if is_incremental() %}
    DELETE FROM {{ training }} AS f
    USING training_rows_gone AS g
    WHERE f.user_id = g.user_id AND f.transaction_id = g.transaction_id
    {%- else %}
    SELECT 1
    {%- endif %}
{% endmacro %}
