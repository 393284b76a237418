{# Sums over whole days (UTC) of a merchant or a user, as known when the candidate's day began: the windows end `delay`
   days before that day. A table holds them as steps: one row per day from which they differ, so that a read is one row
   of an index however busy the merchant is, and a window goes on sliding between two builds. #}

{% macro candidate_day() -%}
    (c.occurred_at AT TIME ZONE 'UTC')::date
{%- endmacro %}

{# Each (delay, window) that the list names for the entity, once. #}
{% macro rollup_windows(entity) %}
    {% set found = [] %}
    {% for feature in rolled_features(entity) %}
        {% set window = {'delay': feature.delay_days, 'days': feature.window_days} %}
        {% if window not in found %}{% do found.append(window) %}{% endif %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}

{% macro rollup_sums(entity) %}
    {% set amounts = rolled_features(entity) | selectattr('measure', 'equalto', 'amount') | list %}
    {{ return(['txns', 'frauds', 'amount'] if amounts else ['txns', 'frauds']) }}
{% endmacro %}

{% macro rollup_column(what, window) -%}
    {{ what }}_{{ window.days }}d_delayed_{{ window.delay }}d
{%- endmacro %}

{# The value of a feature from the sums of its window. #}
{% macro rolled_expression(feature) -%}
    {%- set window = {'delay': feature.delay_days, 'days': feature.window_days} -%}
    {%- set txns = 's.' ~ rollup_column('txns', window) -%}
    {%- set frauds = 's.' ~ rollup_column('frauds', window) -%}
    {%- set amount = 's.' ~ rollup_column('amount', window) -%}
    {%- if feature.aggregate == 'fraud_count' -%}
        {{ frauds }}::double precision
    {%- elif feature.aggregate == 'fraud_share' -%}
        {{ frauds }}::double precision / nullif({{ txns }}, 0)::double precision
    {%- else -%}
        {{ aggregate_value(feature.aggregate, txns, amount, none) }}
    {%- endif -%}
{%- endmacro %}

{# The joins that stand beside `c`, with the features under their names; `steps` names the table of each entity. An
   entity without a step has counts and sums of 0. #}
{% macro rollup_joins(steps) -%}
    {%- for entity in ['merchant', 'user'] if rolled_features(entity) %}
    LEFT JOIN LATERAL (
        SELECT
        {%- for feature in rolled_features(entity) %}
            r.{{ feature.name }} AS {{ feature.name }}{{ '_at_step' if is_never_missing(feature) }}{{ ',' if not loop.last }}
        {%- endfor %}
        FROM {{ steps[entity] }} AS r
        WHERE r.{{ entity }}_id = c.{{ entity }}_id AND r.from_day <= {{ candidate_day() }}
        ORDER BY r.from_day DESC
        LIMIT 1
    ) AS r{{ entity }} ON true
    {%- endfor %}
    {%- set named = [] %}
    {%- for feature in rolled_features() if is_never_missing(feature) %}
        {%- set sql = 'coalesce(' ~ feature.name ~ '_at_step, 0::real)' %}
        {%- if feature.entity == 'merchant' %}
            {%- set sql = 'CASE WHEN c.merchant_id IS NOT NULL THEN ' ~ sql ~ ' END' %}
        {%- endif %}
        {%- do named.append((feature.name, sql)) %}
    {%- endfor %}
    {{- named_values(named, 'm') }}
{%- endmacro %}

{% macro is_never_missing(feature) %}
    {{ return(feature.aggregate in ['count', 'sum', 'fraud_count']) }}
{% endmacro %}

{# The table of an entity's steps. What happened on `event_day` and became known on `known_day` enters a window when the
   window's end has passed the one day and the present the other, and leaves it when its beginning has passed. #}
{% macro rollup_steps(entity) -%}
    {%- set windows = rollup_windows(entity) -%}
    {%- set sums = rollup_sums(entity) -%}
    WITH transactions AS (
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
    ),

    findings AS (
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
    ),

    days AS (
        SELECT
            t.entity_id,
            t.event_day,
            t.known_day,
            -- integer: sums of it are bigint, which is far quicker to add up than numeric
            count(*)::integer AS txns,
            0 AS frauds,
            {{ 'sum(t.amount)' if 'amount' in sums else 0 }} AS amount
        FROM transactions AS t
        GROUP BY t.entity_id, t.event_day, t.known_day
        UNION ALL
        SELECT
            t.entity_id,
            t.event_day,
            greatest(f.known_day, t.known_day),
            0 AS txns,
            sum(f.fraud_change)::integer AS frauds,
            0 AS amount
        FROM findings AS f
        INNER JOIN transactions AS t ON f.user_id = t.user_id AND f.transaction_id = t.transaction_id
        WHERE f.fraud_change <> 0
        GROUP BY t.entity_id, t.event_day, greatest(f.known_day, t.known_day)
    ),

    changes AS (
        {%- for delay in windows | map(attribute='delay') | unique %}
        SELECT
            d.entity_id,
            greatest(d.event_day + {{ delay }}, d.known_day) + 1 AS from_day
            {%- for window in windows %}
            {%- for what in sums %},
            {% if window.delay == delay -%}
            CASE WHEN d.known_day <= d.event_day + {{ window.delay + window.days - 1 }} THEN d.{{ what }} ELSE 0 END
            {%- else -%} 0 {%- endif %} AS {{ rollup_column(what, window) }}
            {%- endfor %}
            {%- endfor %}
        FROM days AS d
        {%- if not loop.last %}
        UNION ALL
        {%- endif %}
        {%- endfor %}
        {%- for leaving in windows %}
        UNION ALL
        SELECT
            d.entity_id,
            d.event_day + {{ leaving.delay + leaving.days + 1 }} AS from_day
            {%- for window in windows %}
            {%- for what in sums %},
            {{ '-d.' ~ what if window == leaving else 0 }} AS {{ rollup_column(what, window) }}
            {%- endfor %}
            {%- endfor %}
        FROM days AS d
        WHERE d.known_day <= d.event_day + {{ leaving.delay + leaving.days - 1 }}
        {%- endfor %}
    ),

    daily AS (
        SELECT
            h.entity_id,
            h.from_day
            {%- for window in windows %}
            {%- for what in sums %},
            sum(h.{{ rollup_column(what, window) }}){{ '::integer' if what != 'amount' }} AS {{ rollup_column(what, window) }}
            {%- endfor %}
            {%- endfor %}
        FROM changes AS h
        GROUP BY h.entity_id, h.from_day
        HAVING
            {%- for window in windows %}
            {%- set first = loop.first %}
            {%- for what in sums %}
            {{ '' if first and loop.first else 'OR ' }}sum(h.{{ rollup_column(what, window) }}) <> 0
            {%- endfor %}
            {%- endfor %}
    ),

    sums AS (
        SELECT
            d.entity_id,
            d.from_day
            {%- for window in windows %}
            {%- for what in sums %},
            sum(d.{{ rollup_column(what, window) }}) OVER so_far AS {{ rollup_column(what, window) }}
            {%- endfor %}
            {%- endfor %}
        FROM daily AS d
        WINDOW so_far AS (PARTITION BY d.entity_id ORDER BY d.from_day)
    )

    SELECT
        s.entity_id AS {{ entity }}_id,
        s.from_day
        {%- for feature in rolled_features(entity) %},
        ({{ rolled_expression(feature) }})::real AS {{ feature.name }}
        {%- endfor %}
    FROM sums AS s
{%- endmacro %}
