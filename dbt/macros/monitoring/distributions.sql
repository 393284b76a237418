{#
  Score and features of live rows against training: population stability index, missing values, mean.

  Arguments:
    by (list of strings): the grain, columns of monitoring_bins; model_version and name are among them.
    condition (string): SQL on rows `b` of monitoring_bins.
  Returns: a SELECT of those columns, row_count, missing_rate, mean, psi, live_fractions and reference_fractions.
#}
{% macro distributions(by, condition='true') -%}
WITH bins AS MATERIALIZED (
    SELECT
        b.{{ by | join(', b.') }},
        b.bin,
        sum(b.row_count) AS row_count,
        sum(b.value_sum) AS value_sum
    FROM {{ ref('monitoring_bins') }} AS b
    WHERE {{ condition }}
    GROUP BY b.{{ by | join(', b.') }}, b.bin
),

totals AS (
    SELECT
        b.{{ by | join(', b.') }},
        sum(b.row_count) AS row_count,
        coalesce(sum(b.row_count) FILTER (WHERE b.bin = 0), 0) AS missing_count,
        sum(b.value_sum) AS value_sum
    FROM bins AS b
    GROUP BY b.{{ by | join(', b.') }}
),

fractions AS (
    SELECT
        t.*,
        part.position,
        part.fraction AS reference_fraction,
        coalesce(b.row_count, 0)::double precision / t.row_count AS live_fraction
    FROM totals AS t
    INNER JOIN {{ ref('monitoring_reference') }} AS d ON t.model_version = d.model_version AND t.name = d.name
    CROSS JOIN LATERAL unnest(d.fractions) WITH ORDINALITY AS part (fraction, position)
    LEFT JOIN bins AS b
        ON part.position - 1 = b.bin
        {%- for column in by %}
        AND t.{{ column }} = b.{{ column }}
        {%- endfor %}
)

SELECT
    f.{{ by | join(', f.') }},
    f.row_count,
    f.missing_count::double precision / f.row_count AS missing_rate,
    f.value_sum / nullif(f.row_count - f.missing_count, 0) AS mean,
    sum(
        (greatest(f.live_fraction, 0.0001) - greatest(f.reference_fraction, 0.0001))
        * ln(greatest(f.live_fraction, 0.0001) / greatest(f.reference_fraction, 0.0001))
    ) AS psi,
    array_agg(f.live_fraction ORDER BY f.position) AS live_fractions,
    array_agg(f.reference_fraction ORDER BY f.position) AS reference_fractions
FROM fractions AS f
GROUP BY f.{{ by | join(', f.') }}, f.row_count, f.missing_count, f.value_sum
{%- endmacro %}
