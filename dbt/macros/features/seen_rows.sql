{# Which rows of `transactions` a build may not have seen, without a look at what was made of each.

   The version of a row (`row_version`, its xmin) is the transaction that wrote it as it stands: inserted it or changed it.
   A build notes the oldest transaction that was running when it began, the boundary. What is older than that was
   committed and has been seen; whatever was written since, also by a transaction that was open for long and committed
   late, is newer. Rows that the owner deleted or changed are missing among the older ones, which are counted. Rows newer
   than the boundary may have been seen or not: they are looked at again.

   A note of another server (a dump that was restored, an upgrade), or one so old that versions could have gone round,
   says nothing: everything is looked at. `row_versions: false` says the same of every note, for tables without xmin. #}

{% macro seen_note(reader) %}
    {{ return(rollup_relation(reader ~ '_seen')) }}
{% endmacro %}

{# `<reader>_look`, one row: what this build will note, and the greatest age of a row that the last one may not have
   seen; NULL when that is not known. Ages are those within the transaction (they count from its beginning). First of
   all statements: what a later one sees has the boundary behind it. #}
{% macro begin_look(reader, is_from_nothing) %}
    {%- set note = seen_note(reader) -%}
    CREATE TABLE IF NOT EXISTS {{ note }} (
        boundary xid8 NOT NULL, system_identifier bigint NOT NULL, older_rows bigint, recent_days date[]
    );
    CREATE TEMPORARY TABLE {{ reader }}_look ON COMMIT DROP AS
    SELECT
        n.boundary,
        n.system_identifier,
        age(n.boundary::xid) AS boundary_age,
        CASE
            WHEN s.system_identifier = n.system_identifier
                AND n.next_xid - s.boundary::text::bigint BETWEEN 0 AND 2000000000
            THEN age(s.boundary::xid)
        END AS seen_age,
        s.older_rows,
        s.recent_days
    FROM (
        SELECT
            pg_snapshot_xmin(pg_current_snapshot()) AS boundary,
            pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next_xid,
            (SELECT c.system_identifier FROM pg_control_system() AS c) AS system_identifier
    ) AS n
    LEFT JOIN {{ note }} AS s ON {{ 'false' if is_from_nothing or not var('row_versions') else 'true' }};
    ANALYZE {{ reader }}_look
{%- endmacro %}

{# In the same transaction as what was made of the rows. `older_rows`: how many of those that the reader counts are older
   than the boundary; `recent_days`: the days of others that were seen. #}
{% macro note_look(reader, older_rows='NULL', recent_days='NULL') %}
    DELETE FROM {{ seen_note(reader) }};
    INSERT INTO {{ seen_note(reader) }} (boundary, system_identifier, older_rows, recent_days)
    SELECT l.boundary, l.system_identifier, {{ older_rows }}, {{ recent_days }} FROM {{ reader }}_look AS l
{%- endmacro %}
