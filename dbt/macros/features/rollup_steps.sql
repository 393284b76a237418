{# The table of an entity's steps, made of its day sums. What happened on `event_day` and became known on `known_day`
   enters a window when the window's end has passed the one day and the present the other, and leaves it when its
   beginning has passed.

   A step that says the same as the one before it is left out, and so is a first one that says what no step says (counts
   of 0, shares missing): a merchant without frauds has next to none when the list asks for shares alone.

   When only some days changed, the steps of their entities are made anew from the first day that can differ, `first_day`.
   What is in a window by then enters it on the day before, all at once; what has left it by then is not read. #}
{% macro rollup_steps(entity) -%}
    {%- set windows = rollup_windows(entity) -%}
    {%- set sums = rollup_sums(entity) -%}
    {%- set features = rolled_features(entity) -%}
    {%- set is_stepwise = is_stepwise(entity) -%}
    {%- if not windows -%}
    SELECT
        NULL::bigint AS {{ entity }}_id,
        NULL::date AS from_day
    WHERE false
    {%- else -%}
    WITH days AS (
        {%- if are_days_kept() %}
        SELECT
            d.*
            {%- if is_stepwise %},
            x.from_day AS first_day
            {%- endif %}
        FROM {{ kept_days(entity) }} AS d
        {%- if is_stepwise %}
        INNER JOIN {{ entity }}_changed AS x ON d.entity_id = x.entity_id
        WHERE d.event_day >= x.from_day - {{ longest_reach(entity) }}
            -- the same for all, which the summary index of days answers
            AND d.event_day >= (SELECT min(c.from_day) FROM {{ entity }}_changed AS c) - {{ longest_reach(entity) }}
        {%- endif %}
        {%- else %}
        {{ day_sums(entity) }}
        {%- endif %}
    ),

    changes AS (
        {%- for delay in windows | map(attribute='delay') | unique %}
        SELECT
            d.entity_id,
            greatest(
                d.event_day + {{ delay + 1 }}, d.known_day + 1{{ ', d.first_day - 1' if is_stepwise }}
            ) AS from_day
            {%- for window in windows %}
            {%- for what in sums %},
            {% if window.delay == delay -%}
            CASE
                WHEN {{ is_ever_in(window, is_stepwise) }} THEN d.{{ what }}
                ELSE 0
            END
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
        WHERE {{ is_ever_in(leaving, is_stepwise) }}
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
            {%- for feature in features %},
            ({{ rolled_expression(feature) }})::real AS {{ feature.name }}
            {%- endfor %}
        FROM sums AS s
    ),

    compared AS (
        SELECT
            s.*
            {%- for feature in features %},
            lag(s.{{ feature.name }}, 1, {{ '0::real' if is_never_missing(feature) else 'NULL::real' }}) OVER by_day
            AS {{ feature.name }}_before
            {%- endfor %}
        FROM steps AS s
        WINDOW by_day AS (PARTITION BY s.entity_id ORDER BY s.from_day)
    )

    SELECT
        s.entity_id AS {{ entity }}_id,
        s.from_day
        {%- for feature in features %},
        s.{{ feature.name }}
        {%- endfor %}
    FROM compared AS s
    {%- if is_stepwise %}
    INNER JOIN {{ entity }}_changed AS x ON s.entity_id = x.entity_id AND s.from_day >= x.from_day
    {%- endif %}
    WHERE {% for feature in features -%}
        {{ '' if loop.first else 'OR ' }}s.{{ feature.name }} IS DISTINCT FROM s.{{ feature.name }}_before
        {% endfor %}
    -- Those of the present, which transactions read, and of the future, which builds change, lie together.
    ORDER BY s.from_day
    {%- endif %}
{%- endmacro %}

{# Whether sums enter a window, and leave it no earlier than on the first day that is made anew. #}
{% macro is_ever_in(window, is_from_first_day) -%}
    d.known_day <= d.event_day + {{ window.delay + window.days - 1 }}
    {%- if is_from_first_day %} AND d.event_day + {{ window.delay + window.days + 1 }} >= d.first_day{% endif %}
{%- endmacro %}

{# Puts newly made steps in the place of those that may differ, and lets those be that do not; of everything, when the
   days were not kept. #}
{% macro get_incremental_steps_sql(arguments) %}
    {%- set entity = model.name | replace('_risk', '') -%}
    {%- set columns = arguments.dest_columns | map(attribute='quoted') | join(', ') -%}
    {%- set is_stepwise = is_stepwise(entity) -%}
    {%- set names = rolled_features(entity) | map(attribute='name') | list -%}
    {%- set target = arguments.target_relation -%}
    {%- set made = arguments.temp_relation -%}
    {%- if not is_stepwise %}
    DELETE FROM {{ target }};
    INSERT INTO {{ target }} ({{ columns }})
    SELECT {{ columns }} FROM {{ made }}
    {%- else %}
    DELETE FROM {{ target }} AS s
    USING {{ entity }}_changed AS x
    WHERE s.{{ entity }}_id = x.entity_id
        AND s.from_day >= x.from_day
        AND s.from_day >= (SELECT min(c.from_day) FROM {{ entity }}_changed AS c)
        AND NOT EXISTS (
            SELECT FROM {{ made }} AS n WHERE n.{{ entity }}_id = s.{{ entity }}_id AND n.from_day = s.from_day
        );
    -- Most are steps that were there with other values: those that are changed in place leave the index alone.
    MERGE INTO {{ target }} AS s
    USING {{ made }} AS n
    ON s.{{ entity }}_id = n.{{ entity }}_id
        AND s.from_day = n.from_day
        AND s.from_day >= (SELECT min(c.from_day) FROM {{ entity }}_changed AS c)
    WHEN MATCHED AND (s.{{ names | join(', s.') }}) IS DISTINCT FROM (n.{{ names | join(', n.') }}) THEN
        UPDATE SET {% for name in names %}{{ name }} = n.{{ name }}{{ ', ' if not loop.last }}{% endfor %}
    WHEN NOT MATCHED THEN
        INSERT ({{ columns }}) VALUES (n.{{ arguments.dest_columns | map(attribute='quoted') | join(', n.') }})
    {%- endif %}
{% endmacro %}
