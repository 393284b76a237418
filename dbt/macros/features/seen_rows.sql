{# Which rows of `transactions` a build may not have seen, without a look at what was made of each.

   The version of a row (`row_version`, its xmin) is the transaction that wrote it as it stands: inserted it or changed it.
   A build notes the oldest transaction that was running when it began, the boundary. What is older than that was
   committed and has been seen; whatever was written since, also by a transaction that was open for long and committed
   late, is newer. Rows that the owner deleted or changed are missing among the older ones, which are counted. Rows newer
   than the boundary may have been seen or not: they are looked at again.

   A note of another server (a dump that was restored, an upgrade), or one so old that versions could have gone round,
   says nothing: everything is looked at. `row_versions: false` says the same of every note, for tables without xmin.

   A build is several statements, and what commits between two of them must not be seen by the later one alone: what one
   found to be new would not be what another made features of. So all of them see one snapshot. #}

{% macro seen_note(reader) %}
    {{ return(rollup_relation(reader ~ '_seen')) }}
{% endmacro %}

{# First of all hooks: a transaction that sees one snapshot from here on, and never one of before another build of the
   same ended. dbt's own BEGIN has no isolation level, and it may have read something in it by now (it drops what a build
   that was killed left behind), after which PostgreSQL refuses a level: so it is ended and another begun, which dbt
   commits in its place.

   Builds of the same wait for one another here, by the note, which nobody but builds reads: LOCK TABLE is the one
   statement that waits without a snapshot. With one of before the other's commit they would fail, as both write the same
   rows. The training set also waits for the builds of the steps that it reads, and they for it: a table of steps that is
   swapped by --full-refresh would be empty to a snapshot of before that. #}
{% macro begin_build(readers) %}
    {%- set notes = [] -%}
    {%- for reader in readers %}
    {%- do notes.append(seen_note(reader)) %}
    CREATE TABLE IF NOT EXISTS {{ notes[-1] }} (
        boundary xid8 NOT NULL, system_identifier bigint NOT NULL, older_rows bigint, recent_days date[]
    );
    {%- endfor %}
    COMMIT;
    BEGIN ISOLATION LEVEL REPEATABLE READ;
    LOCK TABLE {{ notes | join(', ') }} IN SHARE ROW EXCLUSIVE MODE
{%- endmacro %}

{# `<reader>_look`, one row: what this build will note, and the greatest age of a row that the last one may not have
   seen; NULL when that is not known. Ages are those within the transaction (they count from its beginning). #}
{% macro begin_look(reader, is_from_nothing) %}
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
    LEFT JOIN {{ seen_note(reader) }} AS s ON {{ 'false' if is_from_nothing or not var('row_versions') else 'true' }};
    ANALYZE {{ reader }}_look
{%- endmacro %}

{# In the same transaction as what was made of the rows. `older_rows`: how many of those that the reader counts are older
   than the boundary; `recent_days`: the days of others that were seen. #}
{% macro note_look(reader, older_rows='NULL', recent_days='NULL') %}
    DELETE FROM {{ seen_note(reader) }};
    INSERT INTO {{ seen_note(reader) }} (boundary, system_identifier, older_rows, recent_days)
    SELECT l.boundary, l.system_identifier, {{ older_rows }}, {{ recent_days }} FROM {{ reader }}_look AS l
{%- endmacro %}
