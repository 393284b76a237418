{# The homes that the training set was built with, `training_homes_<hash>`. A user's first home also stands for the time
   before it (int_user_homes), so it changes features of rows that were built long ago. Homes are few beside transactions,
   and are compared one by one: so nothing that was done to them is missed. #}

{% macro kept_homes() %}
    {{ return(rollup_relation('training_homes')) }}
{% endmacro %}

{% macro reads_homes() %}
    {% set found = [] %}
    {% for feature in feature_list() if 'home_location' in (feature.expression | default('')) %}
        {% do found.append(feature.name) %}
    {% endfor %}
    {{ return(found | length > 0) }}
{% endmacro %}

{# Users whose homes are others than the training set was built with, in `training_homes_changed`. #}
{% macro take_homes() %}
    {%- set homes = source('scoring', 'user_home_history') -%}
    {%- if is_incremental() %}
    CREATE TEMPORARY TABLE training_homes_changed ON COMMIT DROP AS
    SELECT DISTINCT coalesce(h.user_id, k.user_id) AS user_id
    FROM {{ homes }} AS h
    FULL JOIN {{ kept_homes() }} AS k ON h.user_id = k.user_id AND h.valid_from = k.valid_from
    WHERE h.user_id IS NULL OR k.user_id IS NULL OR h.home_location IS DISTINCT FROM k.home_location;
    ANALYZE training_homes_changed;
    DELETE FROM {{ kept_homes() }} AS k USING training_homes_changed AS x WHERE k.user_id = x.user_id;
    INSERT INTO {{ kept_homes() }} (user_id, valid_from, home_location)
    SELECT h.user_id, h.valid_from, h.home_location
    FROM {{ homes }} AS h INNER JOIN training_homes_changed AS x ON h.user_id = x.user_id
    {%- else %}
    TRUNCATE {{ kept_homes() }};
    INSERT INTO {{ kept_homes() }} (user_id, valid_from, home_location)
    SELECT h.user_id, h.valid_from, h.home_location FROM {{ homes }} AS h
    {%- endif %}
{%- endmacro %}
