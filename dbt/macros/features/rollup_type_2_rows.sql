{#
  The type-2 rows of an entity: its rollup features, one row per date from which one of them differs.

  What happened on `event_date` and became known on `known_date` enters a window when the window's end has passed the
  first and the current date the second. It leaves when the window's start has passed it.

  Arguments:
    entity (string): 'merchant' or 'user'.
    daily_sums (relation): txns, frauds and amount per entity, event date and known date.
    first_date (string): rows valid from this date on are computed; '-infinity' computes all.
  Returns: a SELECT of <entity>_id, valid_from and one column per feature.
#}
{% macro rollup_type_2_rows(entity, daily_sums, first_date='-infinity') -%}
    {%- set features = rollup_features(entity) -%}
    {%- if not features -%}
    SELECT NULL::bigint AS {{ entity }}_id, NULL::date AS valid_from WHERE false
    {%- else -%}
    WITH changes AS (
        {{ rollup_changes(entity, daily_sums, first_date) }}
    ),

    -- Rows of one date are peers: each holds the sums of all of them, and all but one are left out below.
    sums AS (
        SELECT
            c.entity_id,
            c.valid_from
            {%- for window in rollup_windows(entity) %}
            {%- for what in rollup_sums(entity) %},
            {{ rollup_window_sum(what, window) }} AS {{ rollup_column(what, window) }}
            {%- endfor %}
            {%- endfor %}
        FROM changes AS c
        WINDOW so_far AS (PARTITION BY c.entity_id ORDER BY c.valid_from)
    ),

    valued AS (
        SELECT
            s.entity_id,
            s.valid_from
            {%- for feature in features %},
            ({{ rollup_expression(feature) }})::real AS {{ feature.name }}
            {%- endfor %}
        FROM sums AS s
    ),

    compared AS (
        SELECT
            v.*,
            lag({{ rollup_row('v', features) }}, 1, {{ rollup_row(none, features) }}) OVER (
                PARTITION BY v.entity_id ORDER BY v.valid_from
            ) AS previous_values
        FROM valued AS v
    )

    SELECT
        c.entity_id AS {{ entity }}_id,
        c.valid_from
        {%- for feature in features %},
        c.{{ feature.name }}
        {%- endfor %}
    FROM compared AS c
    WHERE c.valid_from >= '{{ first_date }}' AND {{ rollup_row('c', features) }} IS DISTINCT FROM c.previous_values
    -- Dates that transactions read today lie together on the pages.
    ORDER BY c.valid_from
    {%- endif %}
{%- endmacro %}

{#
  What each row of daily sums adds to the windows of each delay, and takes from each window again.

  Arguments: as of rollup_type_2_rows.
  Returns: a SELECT with the sums negated where they leave; `window_days` is 0 where they enter all windows of a delay.
#}
{% macro rollup_changes(entity, daily_sums, first_date) -%}
    {%- set windows = rollup_windows(entity) -%}
    {%- set moves = [] -%}
    {%- for delay in windows | map(attribute='delay') | unique -%}
        {%- do moves.append('(' ~ delay ~ ', 0, 1, greatest(d.event_date + ' ~ (delay + 1) ~ ', d.known_date + 1))') -%}
    {%- endfor -%}
    {%- for window in windows -%}
        {%- do moves.append(
            '(' ~ window.delay ~ ', ' ~ window.days ~ ', -1, d.event_date + ' ~ (window.delay + window.days + 1) ~ ')'
        ) -%}
    {%- endfor -%}
        SELECT
            d.{{ entity }}_id AS entity_id,
            -- What changed before the first date only counts towards the sums that it starts with.
            greatest(m.valid_from, date '{{ first_date }}' - 1) AS valid_from,
            m.delay,
            m.window_days,
            d.known_date - d.event_date AS known_after
            {%- for what in rollup_sums(entity) %},
            m.sign * d.{{ what }} AS {{ what }}
            {%- endfor %}
        FROM {{ daily_sums }} AS d
        CROSS JOIN LATERAL (
            VALUES {{ moves | join(', ') }}
        ) AS m (delay, window_days, sign, valid_from)
        WHERE d.event_date >= date '{{ first_date }}' - {{ rollup_lookback_days(entity) }}
{%- endmacro %}

{# One sum of one window so far; what became known after the window had passed never enters it. #}
{% macro rollup_window_sum(what, window) -%}
    coalesce(sum(c.{{ what }}) FILTER (
                WHERE c.delay = {{ window.delay }}
                    AND c.window_days IN (0, {{ window.days }})
                    AND c.known_after < {{ window.delay + window.days }}
            ) OVER so_far, 0)
{%- endmacro %}

{# The values of all features of a row, to compare; without a relation those of an entity that has no row. #}
{% macro rollup_row(relation, features) -%}
    ARRAY[
    {%- for feature in features -%}
        {{ relation ~ '.' ~ feature.name if relation else ('0::real' if is_never_missing(feature) else 'NULL::real') }}
        {{- ', ' if not loop.last }}
    {%- endfor -%}
    ]
{%- endmacro %}
