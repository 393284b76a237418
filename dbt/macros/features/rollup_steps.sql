{# The table of an entity's steps, made of its day sums. What happened on `event_day` and became known on `known_day`
   enters a window when the window's end has passed the one day and the present the other, and leaves it when its
   beginning has passed.

   A step that says the same as the one before it is left out, and so is a first one that says what no step says (counts
   of 0, shares missing): a merchant without frauds has next to none when the list asks for shares alone.

   When only some days changed, the steps of their entities are made anew from the first day that can differ. What has
   left every window by then adds nothing to them and is not read. #}
{% macro rollup_steps(entity) -%}
    {%- set windows = rollup_windows(entity) -%}
    {%- set sums = rollup_sums(entity) -%}
    {%- if not windows -%}
    SELECT
        NULL::bigint AS {{ entity }}_id,
        NULL::date AS from_day
    WHERE false
    {%- else -%}
    WITH days AS (
        {%- if are_days_kept() %}
        SELECT d.*
        FROM {{ kept_days(entity) }} AS d
        {%- if is_stepwise(entity) %}
        INNER JOIN {{ entity }}_changed AS x ON d.entity_id = x.entity_id
        WHERE d.event_day >= x.from_day - {{ longest_reach(entity) }}
        {%- endif %}
        {%- else %}
        {{ day_sums(entity) }}
        {%- endif %}
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
    ),

    steps AS (
        SELECT
            s.entity_id,
            s.from_day
            {%- for feature in rolled_features(entity) %},
            ({{ rolled_expression(feature) }})::real AS {{ feature.name }}
            {%- endfor %}
        FROM sums AS s
    ),

    compared AS (
        SELECT
            s.*
            {%- for feature in rolled_features(entity) %},
            lag(s.{{ feature.name }}, 1, {{ '0::real' if is_never_missing(feature) else 'NULL::real' }}) OVER by_day
            AS {{ feature.name }}_before
            {%- endfor %}
        FROM steps AS s
        WINDOW by_day AS (PARTITION BY s.entity_id ORDER BY s.from_day)
    )

    SELECT
        s.entity_id AS {{ entity }}_id,
        s.from_day
        {%- for feature in rolled_features(entity) %},
        s.{{ feature.name }}
        {%- endfor %}
    FROM compared AS s
    {%- if is_stepwise(entity) %}
    INNER JOIN {{ entity }}_changed AS x ON s.entity_id = x.entity_id AND s.from_day >= x.from_day
    {%- endif %}
    WHERE {% for feature in rolled_features(entity) -%}
        {{ '' if loop.first else 'OR ' }}s.{{ feature.name }} IS DISTINCT FROM s.{{ feature.name }}_before
        {% endfor %}
    {%- endif %}
{%- endmacro %}

{# Puts newly made steps in the place of those that may differ: of everything, when the days were not kept. #}
{% macro get_incremental_steps_sql(arguments) %}
    {%- set entity = model.name | replace('_risk', '') -%}
    {%- set columns = arguments.dest_columns | map(attribute='quoted') | join(', ') -%}
    DELETE FROM {{ arguments.target_relation }} AS s
    {%- if is_stepwise(entity) %}
    USING {{ entity }}_changed AS x
    WHERE s.{{ entity }}_id = x.entity_id AND s.from_day >= x.from_day
    {%- endif %};
    INSERT INTO {{ arguments.target_relation }} ({{ columns }})
    SELECT {{ columns }} FROM {{ arguments.temp_relation }}
{% endmacro %}
