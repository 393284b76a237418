{# A view that is replaced in place. dbt's own drops and renames, which takes grants and dependent views along. That
   happens here only when the view's columns are others: those that depend on it are built again in the same run. #}
{% materialization replaced_view, adapter='postgres' %}
    {% set existing = load_cached_relation(this) %}
    {% set target_relation = this.incorporate(type='view') %}
    {% if existing is not none and not existing.is_view %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% call statement('main') %}
        DO $view$
        DECLARE
            v_query text := $query$CREATE OR REPLACE VIEW {{ target_relation }} AS
            {{ sql }}
            $query$;
        BEGIN
            EXECUTE v_query;
        EXCEPTION
            WHEN invalid_table_definition THEN
                DROP VIEW {{ target_relation }} CASCADE;
                EXECUTE v_query;
        END
        $view$
    {% endcall %}
    {% do apply_grants(target_relation, config.get('grants'), should_revoke=False) %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
