{# dbt writes LANGUAGE SQL into every function on PostgreSQL. Ours are PL/pgSQL, which keeps their plans. #}
{% macro postgres__scalar_function_body_sql() %}
    $rowguard$
    {{ model.compiled_code }}
    $rowguard$ LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
{% endmacro %}
