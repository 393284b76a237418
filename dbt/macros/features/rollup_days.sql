{# The sums of an entity by (day of the event, day on which it was known), and what of them changed since the last build.

   `<entity>_days_<hash>` keeps the sums that the steps were made of, in the same transaction as the steps. A build adds
   up anew the days of which it may not have seen a row (seen_rows.sql), and compares. When rows that were seen are there
   no more (deleted, changed, moved to another day), a checksum of each day says which days differ. Frauds are few and
   are compared whole.
   `<entity>_changes_<hash>` hands what changed on to the training set, which empties it. #}

{% macro kept_days(entity) %}
    {{ return(rollup_relation(entity ~ '_days')) }}
{% endmacro %}

{% macro handed_changes(entity) %}
    {{ return(rollup_relation(entity ~ '_changes')) }}
{% endmacro %}

{% macro rollup_relation(name) %}
    {{ return(api.Relation.create(
        database=target.database, schema=target.schema, identifier=name ~ '_' ~ feature_hash()[:8], type='table'
    )) }}
{% endmacro %}

{# Unit tests say false: hooks do not run for them. #}
{% macro are_days_kept() %}
    {{ return(true) }}
{% endmacro %}

{# Whether only what changed is made anew: the steps and the days that they were made of are both there. #}
{% macro is_stepwise(entity) %}
    {% set kept = kept_days(entity) %}
    {{ return(
        execute and is_incremental()
        and adapter.get_relation(kept.database, kept.schema, kept.identifier) is not none
    ) }}
{% endmacro %}

{# How many days after an event it has left every window. #}
{% macro longest_reach(entity) %}
    {% set reaches = [] %}
    {% for window in rollup_windows(entity) %}{% do reaches.append(window.delay + window.days + 1) %}{% endfor %}
    {{ return(reaches | max) }}
{% endmacro %}

{% macro rollup_transactions(entity) -%}
    SELECT
        t.user_id,
        t.transaction_id,
        t.{{ entity }}_id AS entity_id,
        t.amount,
        t.occurred_at,
        {%- if are_days_kept() %}
        t.row_version,
        {%- endif %}
        (t.occurred_at AT TIME ZONE 'UTC')::date AS event_day,
        -- Loaded history counts as known when it happened.
        ((CASE WHEN t.is_history THEN t.occurred_at ELSE t.received_at END) AT TIME ZONE 'UTC')::date AS known_day
    FROM {{ ref('stg_transactions') }} AS t
    WHERE t.{{ entity }}_id IS NOT NULL
{%- endmacro %}

{# `is_recent`: a row of it may be one that the next build looks at again. #}
{% macro transaction_day_sums(entity, only_days=none) -%}
    SELECT
        t.entity_id,
        t.event_day,
        t.known_day,
        -- integer: sums of it are bigint, which is far quicker to add up than numeric
        count(*)::integer AS txns,
        0 AS frauds,
        {{ 'sum(t.amount)' if 'amount' in rollup_sums(entity) else '0::numeric' }} AS amount,
        {% if are_days_kept() -%}
        bool_or(age(t.row_version) <= (SELECT l.boundary_age FROM {{ entity }}_look AS l)) {% else -%} false {% endif -%}
        AS is_recent
    FROM ({{ rollup_transactions(entity) }}) AS t
    {%- if only_days %}
    WHERE t.event_day = ANY(ARRAY(SELECT o.event_day FROM {{ only_days }} AS o))
        -- the same, quicker to say of most rows
        AND t.occurred_at >= (SELECT min(o.event_day)::timestamp AT TIME ZONE 'UTC' FROM {{ only_days }} AS o)
        AND t.occurred_at < (SELECT max(o.event_day + 1)::timestamp AT TIME ZONE 'UTC' FROM {{ only_days }} AS o)
    {%- endif %}
    GROUP BY t.entity_id, t.event_day, t.known_day
{%- endmacro %}

{% macro fraud_day_sums(entity) -%}
    SELECT
        t.entity_id,
        t.event_day,
        greatest(f.known_day, t.known_day) AS known_day,
        0 AS txns,
        sum(f.fraud_change)::integer AS frauds,
        0::numeric AS amount,
        false AS is_recent
    FROM (
        SELECT
            l.user_id,
            l.transaction_id,
            (l.labelled_at AT TIME ZONE 'UTC')::date AS known_day,
            l.is_fraud::integer - lag(l.is_fraud::integer, 1, 0) OVER (
                PARTITION BY l.user_id, l.transaction_id
                ORDER BY l.labelled_at, l.label_id
            ) AS fraud_change
        FROM {{ ref('stg_labels') }} AS l
        -- A transaction that was never called a fraud changes nothing.
        WHERE (l.user_id, l.transaction_id) IN (
            SELECT f.user_id, f.transaction_id FROM {{ ref('stg_labels') }} AS f WHERE f.is_fraud
        )
    ) AS f
    INNER JOIN ({{ rollup_transactions(entity) }}) AS t
        ON f.user_id = t.user_id AND f.transaction_id = t.transaction_id
    WHERE f.fraud_change <> 0
    GROUP BY t.entity_id, t.event_day, greatest(f.known_day, t.known_day)
    HAVING sum(f.fraud_change) <> 0
{%- endmacro %}

{# Whether transactions are summed up, and not their frauds alone. #}
{% macro counts_transactions(entity) %}
    {{ return(rollup_sums(entity) != ['frauds']) }}
{% endmacro %}

{# Rows of transactions and rows of frauds; an entity may have one of each on the same two days. #}
{% macro day_sums(entity, only_days=none) -%}
    {%- if counts_transactions(entity) %}
    {{ transaction_day_sums(entity, only_days) }}
    {%- endif %}
    {%- if counts_transactions(entity) and 'frauds' in rollup_sums(entity) %}
    UNION ALL
    {%- endif %}
    {%- if 'frauds' in rollup_sums(entity) %}
    {{ fraud_day_sums(entity) }}
    {%- endif %}
{%- endmacro %}

{# A number that stands for one row among those of its day; sums of it do not depend on order. #}
{% macro day_checksum(relation) -%}
    hashint8extended({{ relation }}.entity_id, {{ relation }}.known_day - date '2000-01-01')
{%- endmacro %}

{# Before the steps are made, in their transaction: brings the kept sums up to date and says from which day on the
   steps of an entity can differ. #}
{% macro prepare_days(entity) %}
    {%- set kept = kept_days(entity) -%}
    {%- set changes = handed_changes(entity) -%}
    {%- set counted = counts_transactions(entity) -%}
    {%- if not rollup_windows(entity) %}
    SELECT 1
    {%- elif not is_stepwise(entity) %}
    {%- if counted %}
    {{ begin_look(entity, is_from_nothing=true) }};
    {{ count_older_rows(entity) }};
    {%- endif %}
    DROP TABLE IF EXISTS {{ kept }};
    CREATE TABLE {{ kept }} AS
    SELECT d.* FROM ({{ day_sums(entity) }}) AS d
    -- So that the summary index below finds the pages of a day.
    ORDER BY d.event_day;
    CREATE INDEX ON {{ kept }} USING brin (event_day) WITH (pages_per_range = 16);
    CREATE INDEX ON {{ kept }} (entity_id) WHERE txns = 0;
    {%- if counted %}
    {{ note_look(entity, older_rows(entity), recent_days(kept)) }};
    {%- endif %}
    ALTER TABLE {{ kept }} DROP COLUMN is_recent;
    ANALYZE {{ kept }};
    CREATE TABLE IF NOT EXISTS {{ changes }} (entity_id bigint NOT NULL, from_day date NOT NULL);
    INSERT INTO {{ changes }} (entity_id, from_day)
    SELECT DISTINCT d.entity_id, '-infinity'::date FROM {{ kept }} AS d;
    {%- else %}
    {%- set days = entity ~ '_differing_days' if counted %}
    {%- if counted %}
    {{ begin_look(entity, is_from_nothing=false) }};
    {{ count_older_rows(entity) }};
    CREATE TEMPORARY TABLE {{ days }} ON COMMIT DROP AS
    {{ differing_days(entity) }};
    ANALYZE {{ days }};
    {%- endif %}
    CREATE TEMPORARY TABLE {{ entity }}_days_now ON COMMIT DROP AS
    {{ day_sums(entity, days) }};
    CREATE TEMPORARY TABLE {{ entity }}_days_changed ON COMMIT DROP AS
    SELECT d.entity_id, d.event_day, d.known_day, d.is_of_frauds
    FROM (
        SELECT n.entity_id, n.event_day, n.known_day, n.txns = 0 AS is_of_frauds, n.txns, n.frauds, n.amount
        FROM {{ entity }}_days_now AS n
        UNION ALL
        SELECT k.entity_id, k.event_day, k.known_day, true, -k.txns, -k.frauds, -k.amount
        FROM {{ kept }} AS k
        WHERE k.txns = 0
        {%- if days %}
        UNION ALL
        SELECT k.entity_id, k.event_day, k.known_day, false, -k.txns, -k.frauds, -k.amount
        FROM {{ kept }} AS k
        WHERE k.txns > 0 AND k.event_day = ANY(ARRAY(SELECT o.event_day FROM {{ days }} AS o))
        {%- endif %}
    ) AS d
    GROUP BY d.entity_id, d.event_day, d.known_day, d.is_of_frauds
    HAVING sum(d.txns) <> 0 OR sum(d.frauds) <> 0 OR sum(d.amount) <> 0;
    ANALYZE {{ entity }}_days_changed;
    {%- for is_of_frauds in [true, false] if is_of_frauds or days %}
    DELETE FROM {{ kept }} AS k
    USING {{ entity }}_days_changed AS x
    WHERE k.entity_id = x.entity_id
        AND k.event_day = x.event_day
        AND k.known_day = x.known_day
        AND x.is_of_frauds = {{ is_of_frauds }}
        {%- if is_of_frauds %}
        AND k.txns = 0;
        {%- else %}
        AND k.txns > 0
        AND k.event_day = ANY(ARRAY(SELECT o.event_day FROM {{ days }} AS o));
        {%- endif %}
    {%- endfor %}
    INSERT INTO {{ kept }} (entity_id, event_day, known_day, txns, frauds, amount)
    SELECT n.entity_id, n.event_day, n.known_day, n.txns, n.frauds, n.amount
    FROM {{ entity }}_days_now AS n
    INNER JOIN {{ entity }}_days_changed AS x
        ON n.entity_id = x.entity_id
        AND n.event_day = x.event_day
        AND n.known_day = x.known_day
        AND (n.txns = 0) = x.is_of_frauds;
    CREATE TEMPORARY TABLE {{ entity }}_changed ON COMMIT DROP AS
    SELECT
        x.entity_id,
        min(greatest(x.event_day + {{ rollup_windows(entity) | map(attribute='delay') | min }}, x.known_day)) + 1 AS from_day
    FROM {{ entity }}_days_changed AS x
    GROUP BY x.entity_id;
    ANALYZE {{ entity }}_changed;
    INSERT INTO {{ changes }} (entity_id, from_day)
    SELECT x.entity_id, x.from_day FROM {{ entity }}_changed AS x;
    {%- if counted %}
    {{ note_look(entity, older_rows(entity), recent_days(entity ~ '_days_now')) }};
    {%- endif %}
    {%- endif %}
{% endmacro %}

{% macro older_rows(entity) -%}
    (SELECT o.older_then + o.older_since FROM {{ entity }}_older AS o)
{%- endmacro %}

{% macro recent_days(sums) -%}
    (SELECT array_agg(DISTINCT d.event_day) FROM {{ sums }} AS d WHERE d.is_recent)
{%- endmacro %}

{# How many rows are older than the last build's boundary, how many more than this one's, and the days of those that may
   be unseen: one look at all rows. #}
{% macro count_older_rows(entity) -%}
    {%- set is_seen = 'age(t.row_version) > (SELECT l.seen_age FROM ' ~ entity ~ '_look AS l)' -%}
    CREATE TEMPORARY TABLE {{ entity }}_older ON COMMIT DROP AS
    SELECT
        count(*) FILTER (WHERE {{ is_seen }}) AS older_then,
        count(*) FILTER (
            WHERE ({{ is_seen }}) IS NOT TRUE
                AND age(t.row_version) > (SELECT l.boundary_age FROM {{ entity }}_look AS l)
        ) AS older_since,
        array_agg(DISTINCT t.event_day) FILTER (WHERE NOT {{ is_seen }}) AS unseen_days
    FROM ({{ rollup_transactions(entity) }}) AS t
{%- endmacro %}

{# The event days whose transactions may not be those that the kept sums were made of. #}
{% macro differing_days(entity) -%}
    {%- set amounts = 'amount' in rollup_sums(entity) -%}
    SELECT unnest(o.unseen_days) AS event_day FROM {{ entity }}_older AS o
    UNION
    SELECT unnest(l.recent_days) FROM {{ entity }}_look AS l
    UNION
    SELECT coalesce(n.event_day, k.event_day) AS event_day
    FROM (
        SELECT
            t.event_day,
            count(*) AS txns,
            sum({{ day_checksum('t') }}) AS checksum
            {%- if amounts %},
            sum({{ day_checksum('t') }} * t.amount) AS amounts
            {%- endif %}
        FROM ({{ rollup_transactions(entity) }}) AS t
        WHERE {{ are_rows_missing(entity) }}
        GROUP BY t.event_day
    ) AS n
    FULL JOIN (
        SELECT
            d.event_day,
            sum(d.txns) AS txns,
            sum({{ day_checksum('d') }}::numeric * d.txns) AS checksum
            {%- if amounts %},
            sum({{ day_checksum('d') }} * d.amount) AS amounts
            {%- endif %}
        FROM {{ kept_days(entity) }} AS d
        WHERE d.txns > 0 AND {{ are_rows_missing(entity) }}
        GROUP BY d.event_day
    ) AS k ON n.event_day = k.event_day
    WHERE n.txns IS DISTINCT FROM k.txns
        OR n.checksum IS DISTINCT FROM k.checksum
        {%- if amounts %}
        OR n.amounts IS DISTINCT FROM k.amounts
        {%- endif %}
{%- endmacro %}

{# Rows that were seen are there no more, or it is not known which were seen. #}
{% macro are_rows_missing(entity) -%}
    (
        SELECT coalesce(o.older_then <> l.older_rows OR l.seen_age IS NULL, true)
        FROM {{ entity }}_older AS o CROSS JOIN {{ entity }}_look AS l
    )
{%- endmacro %}
