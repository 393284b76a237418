{# A view that is replaced in place. dbt's own drops and renames, which takes grants and dependent views along
   and can leave a running insert without its view for a moment; the trigger reads through these. #}
{% materialization replaced_view, adapter='postgres' %}
    {% set existing = load_cached_relation(this) %}
    {% set target_relation = this.incorporate(type='view') %}
    {% if existing is not none and not existing.is_view %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% call statement('main') %}
        CREATE OR REPLACE VIEW {{ target_relation }} AS
        {{ sql }}
    {% endcall %}
    {% do apply_grants(target_relation, config.get('grants'), should_revoke=False) %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
