{# The sums of an entity by (day of the event, day on which it was known), and what of them changed since the last build.

   `<entity>_days_<hash>` keeps the sums that the steps were made of, in the same transaction as the steps. A build looks
   at every transaction and label, so nothing is missed, however it came about (a late commit, a label of last month, a
   row that the owner or retention deleted), but only adds up what differs: a checksum a day says which days those are,
   and only their sums are made anew and compared. Frauds are few and are compared whole.
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
        (t.occurred_at AT TIME ZONE 'UTC')::date AS event_day,
        -- Loaded history counts as known when it happened.
        ((CASE WHEN t.is_history THEN t.occurred_at ELSE t.received_at END) AT TIME ZONE 'UTC')::date AS known_day
    FROM {{ ref('stg_transactions') }} AS t
    WHERE t.{{ entity }}_id IS NOT NULL
{%- endmacro %}

{% macro transaction_day_sums(entity, only_days=none) -%}
    SELECT
        t.entity_id,
        t.event_day,
        t.known_day,
        -- integer: sums of it are bigint, which is far quicker to add up than numeric
        count(*)::integer AS txns,
        0 AS frauds,
        {{ 'sum(t.amount)' if 'amount' in rollup_sums(entity) else '0::numeric' }} AS amount
    FROM ({{ rollup_transactions(entity) }}) AS t
    {%- if only_days %}
    WHERE t.event_day IN (SELECT o.event_day FROM {{ only_days }} AS o)
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
        0::numeric AS amount
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
    {%- if not rollup_windows(entity) %}
    SELECT 1
    {%- elif not is_stepwise(entity) %}
    DROP TABLE IF EXISTS {{ kept }};
    CREATE TABLE {{ kept }} AS
    {{ day_sums(entity) }};
    ANALYZE {{ kept }};
    CREATE TABLE IF NOT EXISTS {{ changes }} (entity_id bigint NOT NULL, from_day date NOT NULL);
    INSERT INTO {{ changes }} (entity_id, from_day)
    SELECT DISTINCT d.entity_id, '-infinity'::date FROM {{ kept }} AS d;
    {%- else %}
    {%- set days = entity ~ '_differing_days' if counts_transactions(entity) %}
    {%- if days %}
    CREATE TEMPORARY TABLE {{ days }} ON COMMIT DROP AS
    {{ differing_days(entity) }};
    {%- endif %}
    CREATE TEMPORARY TABLE {{ entity }}_days_now ON COMMIT DROP AS
    {{ day_sums(entity, days) }};
    CREATE TEMPORARY TABLE {{ entity }}_days_changed ON COMMIT DROP AS
    SELECT d.entity_id, d.event_day, d.known_day, d.is_of_frauds
    FROM (
        SELECT n.entity_id, n.event_day, n.known_day, n.txns = 0 AS is_of_frauds, n.txns, n.frauds, n.amount
        FROM {{ entity }}_days_now AS n
        UNION ALL
        SELECT k.entity_id, k.event_day, k.known_day, k.txns = 0, -k.txns, -k.frauds, -k.amount
        FROM {{ kept }} AS k
        WHERE k.txns = 0{% if days %} OR k.event_day IN (SELECT o.event_day FROM {{ days }} AS o){% endif %}
    ) AS d
    GROUP BY d.entity_id, d.event_day, d.known_day, d.is_of_frauds
    HAVING sum(d.txns) <> 0 OR sum(d.frauds) <> 0 OR sum(d.amount) <> 0;
    ANALYZE {{ entity }}_days_changed;
    DELETE FROM {{ kept }} AS k
    USING {{ entity }}_days_changed AS x
    WHERE k.entity_id = x.entity_id
        AND k.event_day = x.event_day
        AND k.known_day = x.known_day
        AND (k.txns = 0) = x.is_of_frauds;
    INSERT INTO {{ kept }}
    SELECT n.*
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
    {%- endif %}
{% endmacro %}

{# The event days whose transactions are not those that the kept sums were made of. #}
{% macro differing_days(entity) -%}
    {%- set amounts = 'amount' in rollup_sums(entity) -%}
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
        WHERE d.txns > 0
        GROUP BY d.event_day
    ) AS k ON n.event_day = k.event_day
    WHERE n.txns IS DISTINCT FROM k.txns
        OR n.checksum IS DISTINCT FROM k.checksum
        {%- if amounts %}
        OR n.amounts IS DISTINCT FROM k.amounts
        {%- endif %}
{%- endmacro %}

{# Before the training set is built, in its transaction: takes over what the steps' builds handed on. A build from nothing
   has no use for it. #}
{% macro take_changes() %}
    {%- if is_incremental() %}
    CREATE TEMPORARY TABLE training_rows_gone ON COMMIT DROP AS
    SELECT built.user_id, built.transaction_id, built.occurred_at
    FROM {{ this }} AS built
    WHERE NOT EXISTS (
        SELECT FROM {{ ref('stg_transactions') }} AS t
        WHERE t.user_id = built.user_id AND t.transaction_id = built.transaction_id
    );
    {%- endif %}
    {%- for entity in ['merchant', 'user'] if rolled_features(entity) %}
    CREATE TEMPORARY TABLE {{ entity }}_felt (entity_id bigint NOT NULL, from_day date NOT NULL) ON COMMIT DROP;
    WITH taken AS (DELETE FROM {{ handed_changes(entity) }} RETURNING entity_id, from_day)

    INSERT INTO {{ entity }}_felt (entity_id, from_day)
    SELECT t.entity_id, min(t.from_day) FROM taken AS t GROUP BY t.entity_id;
    ANALYZE {{ entity }}_felt;
    {%- else %}
    SELECT 1
    {%- endfor %}
{% endmacro %}

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
