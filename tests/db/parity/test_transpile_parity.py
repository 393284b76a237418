"""The SQL function against scikit-learn in a real server, bit for bit, for every layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from sql_scoring.engine import (
    LAYOUTS,
    UnsupportedModelError,
    boundary_rows,
    reference_scores,
    transpile,
    transpile_for_bulk,
)

Rows = npt.NDArray[np.float64]
SCHEMA = "transpile_parity"
COLUMN_LIMIT = 100


@pytest.fixture(scope="module")
def connection(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """One connection with a separate schema, dropped at the end."""
    with psycopg.connect(database_url, autocommit=True) as opened:
        opened.execute(sql.SQL("DROP SCHEMA IF EXISTS {0} CASCADE").format(sql.Identifier(SCHEMA)))
        opened.execute(sql.SQL("CREATE SCHEMA {0}").format(sql.Identifier(SCHEMA)))
        yield opened
        opened.execute(sql.SQL("DROP SCHEMA {0} CASCADE").format(sql.Identifier(SCHEMA)))


def store(connection: psycopg.Connection[Any], rows: Rows) -> None:
    """Store the rows for this transaction. NaN is sent as NULL in every other row."""
    connection.execute("DROP TABLE IF EXISTS pg_temp.probe")
    connection.execute("CREATE TEMP TABLE probe (n integer, v double precision[]) ON COMMIT DROP")
    with connection.cursor().copy("COPY probe FROM STDIN WITH (FORMAT BINARY)") as copy:
        copy.set_types(["int4", "float8[]"])
        for number, row in enumerate(rows.tolist()):
            copy.write_row((number, [None if value != value and number % 2 else value for value in row]))


def scores(connection: psycopg.Connection[Any], model: Any, rows: Rows, **options: Any) -> Rows:
    """What the function says of every row."""
    count = rows.shape[1]
    names = [f"f{n}" for n in range(count)]
    if count > COLUMN_LIMIT:
        options["arguments"] = "array"
    call = ", ".join(f"v[{n}]" for n in range(1, count + 1))
    if options.get("arguments") == "array":
        # The cast of -1e-46 and the like to real is an error of PostgreSQL's own; float32 has none of them.
        call, rows = "v::real[]", rows.astype(np.float32).astype(np.float64)
    text = transpile(model, feature_names=names, function_name=f"{SCHEMA}.model", **options)
    with connection.transaction():
        connection.execute(text.encode())
        store(connection, rows)
        found = connection.execute(f"SELECT {SCHEMA}.model({call}) FROM probe ORDER BY n".encode()).fetchall()
        connection.execute(f"DROP FUNCTION {SCHEMA}.model".encode())
    return np.array([score for (score,) in found], dtype=np.float64)


def bulk_scores(connection: psycopg.Connection[Any], model: Any, rows: Rows, *, expected_rows: int) -> Rows:
    """What one statement says of every row, with the forest put into the statement."""
    names = [f"f{n}" for n in range(rows.shape[1])]
    text = transpile_for_bulk(
        model, feature_names=names, function_name=f"{SCHEMA}.bulk", expected_rows=expected_rows
    )
    columns = ", ".join(f"v[{n + 1}] AS {name}" for n, name in enumerate(names))
    unpacked = f"(SELECT n, {columns} FROM probe OFFSET 0) AS unpacked"
    query = f"SELECT {SCHEMA}.bulk({', '.join(names)}) FROM {unpacked} ORDER BY n"
    with connection.transaction(force_rollback=True):
        connection.execute(text.encode())
        connection.execute("SET LOCAL jit = off")
        store(connection, rows)
        plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN VERBOSE {query}".encode()))
        assert "bulk(" not in plan  # put in place, not called
        found = connection.execute(query.encode()).fetchall()
    return np.array([score for (score,) in found], dtype=np.float64)


def differing_bits(one: Rows, other: Rows) -> int:
    """How many values differ in any bit."""
    return int((one.view(np.int64) != other.view(np.int64)).sum())


def payments(
    count: int, features: int, *, missing: float = 0.0, seed: int = 0
) -> tuple[Rows, npt.NDArray[Any]]:
    """Something to learn: cents, counts, flags and noise, part of it missing."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, features))
    rows[:, 0] = np.round(rng.lognormal(4, 1, count), 2)
    if features > 2:
        rows[:, 1] = rng.poisson(2, count)
        rows[:, 2] = rng.integers(0, 2, count)
    labels = (np.log(rows[:, 0]) + rows[:, features - 1] + rng.normal(size=count) > 4.5).astype(int)
    rows[rng.random(rows.shape) < missing] = np.nan
    return rows, labels


def forest(**options: Any) -> Callable[[], Any]:
    """A random forest to be fitted when the test runs."""
    data = {key: options.pop(key) for key in ("missing", "seed") if key in options}
    features, count = options.pop("features", 6), options.pop("count", 1500)
    kind = options.pop("kind", RandomForestClassifier)
    return lambda: kind(random_state=0, **options).fit(*payments(count, features, **data))


def renamed_classes() -> Any:
    rows, labels = payments(800, 5, missing=0.1)
    names = np.where(labels == 1, "approve", "zz-fraud")
    return RandomForestClassifier(10, max_depth=6, class_weight="balanced", random_state=0).fit(rows, names)


def weighted() -> Any:
    rows, labels = payments(800, 5)
    weights = np.random.default_rng(1).random(800)
    return RandomForestClassifier(10, max_depth=6, random_state=0).fit(rows, labels, sample_weight=weights)


def very_deep() -> Any:
    rows = np.arange(1600, dtype=np.float64)[:, np.newaxis]
    weights = 2.0 ** -np.minimum(np.arange(1600) / 4, 900)
    return DecisionTreeClassifier(random_state=0).fit(rows, np.arange(1600) % 2, sample_weight=weights)


MODELS: dict[str, Callable[[], Any]] = {
    "forest": forest(n_estimators=20, max_depth=6),
    "missing": forest(n_estimators=20, max_leaf_nodes=64, missing=0.25),
    "unlimited_depth": forest(n_estimators=6, missing=0.1),
    "unlimited_extra_trees": forest(kind=ExtraTreesClassifier, n_estimators=6),
    "extra_trees_missing": forest(kind=ExtraTreesClassifier, n_estimators=8, max_depth=7, missing=0.2),
    "decision_tree": forest(kind=DecisionTreeClassifier, missing=0.2),
    "extra_tree": forest(kind=ExtraTreeClassifier, max_depth=9),
    "one_feature": forest(n_estimators=12, features=1, max_leaf_nodes=100),
    "many_features": forest(n_estimators=12, features=200, max_leaf_nodes=40, missing=0.05),
    "one_leaf": forest(n_estimators=3, min_samples_leaf=1500),
    "some_one_leaf": forest(n_estimators=6, min_samples_leaf=20, count=50),
    "stumps": forest(n_estimators=80, max_depth=1),
    "monotonic": forest(n_estimators=8, max_depth=6, monotonic_cst=[1, 0, 0, 0, 0, -1]),
    "many_trees": forest(n_estimators=200, max_leaf_nodes=12, missing=0.1),
    "class_order": renamed_classes,
    "sample_weight": weighted,
    "depth_over_1000": very_deep,
}


@pytest.fixture(scope="module", params=sorted(MODELS))
def model(request: pytest.FixtureRequest) -> Any:
    """Each kind of model once, for all layouts."""
    return MODELS[request.param]()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_equals_scikit_learn(
    connection: psycopg.Connection[Any], model: Any, layout: str
) -> None:
    rows = boundary_rows(model, 400, seed=1)
    found = scores(connection, model, rows, layout=layout)
    assert differing_bits(found, reference_scores(model, rows)) == 0


@pytest.mark.parametrize("expected_rows", [1, 10_000_000])
def test_bulk_equals_scikit_learn(
    connection: psycopg.Connection[Any], model: Any, expected_rows: int
) -> None:
    rows = boundary_rows(model, 400, seed=5)
    if rows.shape[1] > COLUMN_LIMIT:
        with pytest.raises(UnsupportedModelError, match="at most 100 arguments"):
            bulk_scores(connection, model, rows, expected_rows=expected_rows)
        return
    found = bulk_scores(connection, model, rows, expected_rows=expected_rows)
    assert differing_bits(found, reference_scores(model, rows)) == 0


@pytest.mark.parametrize("memory_weight", [0.0, 3.0, 100.0])
def test_every_division_into_blocks_equals_scikit_learn(
    connection: psycopg.Connection[Any], memory_weight: float
) -> None:
    model = MODELS["unlimited_depth"]()
    rows = boundary_rows(model, 400, seed=2)
    header = transpile(
        model,
        feature_names=[f"f{n}" for n in range(rows.shape[1])],
        function_name=f"{SCHEMA}.model",
        memory_weight=memory_weight,
    )
    regions, groups, blocks = (
        int(header.partition(f"{part}: ")[2].partition(",")[0]) for part in ("regions", "groups", "blocks")
    )
    assert groups > regions or memory_weight < 100
    assert blocks > groups or memory_weight != 3
    found = scores(connection, model, rows, memory_weight=memory_weight)
    assert differing_bits(found, reference_scores(model, rows)) == 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_array_argument(connection: psycopg.Connection[Any], layout: str) -> None:
    model = MODELS["missing"]()
    rows = boundary_rows(model, 400, seed=3)
    found = scores(connection, model, rows, layout=layout, arguments="array")
    assert differing_bits(found, reference_scores(model, rows)) == 0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "features", ["'{}'", "NULL", "'{1,2}'", "'[0:5]={1,2,3,4,5,6}'", "'{{1,2,3,4,5,6}}'"]
)
def test_arrays_of_another_shape_are_errors(
    connection: psycopg.Connection[Any], layout: Any, features: str
) -> None:
    text = transpile(
        MODELS["forest"](),
        feature_names=list("abcdef"),
        function_name=f"{SCHEMA}.shape",
        layout=layout,
        arguments="array",
    )
    with connection.transaction(force_rollback=True):
        connection.execute(text.encode())
        with pytest.raises(psycopg.errors.ArraySubscriptError, match="array of 6 features"):
            connection.execute(f"SELECT {SCHEMA}.shape({features}::real[])".encode())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_infinities_count_as_beyond_every_threshold(connection: psycopg.Connection[Any], layout: str) -> None:
    """scikit-learn refuses what rounds to infinity; its own trees, asked directly, go by comparison."""
    model = MODELS["missing"]()
    rng = np.random.default_rng(0)
    rows = rng.choice([np.inf, -np.inf, 1e39, -1e39, 1e308, 3.5e38, 1.0, 300.0], size=(200, 6))
    found = scores(connection, model, rows, layout=layout)
    with np.errstate(over="ignore"):
        rounded = rows.astype(np.float32)
    in_bulk = bulk_scores(connection, model, rows, expected_rows=10_000_000)
    assert differing_bits(found, in_bulk) == 0
    total = np.zeros(len(rows))
    for tree in model.estimators_:
        total += tree.tree_.predict(rounded)[:, 1]
    assert differing_bits(found, total / len(model.estimators_)) == 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_hostile_search_path(connection: psycopg.Connection[Any], layout: Any) -> None:
    """Operators and functions of the caller's schemas do not get in."""
    model = MODELS["missing"]()
    rows = boundary_rows(model, 50, seed=4)
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE SCHEMA hostile")
        connection.execute(
            "CREATE FUNCTION hostile.wrong(float8, float8) RETURNS boolean LANGUAGE sql AS 'SELECT false'"
        )
        for name in ("<=", ">", "<>", "<", "="):
            operands = "LEFTARG = float8, RIGHTARG = float8, FUNCTION = hostile.wrong"
            connection.execute(f"CREATE OPERATOR hostile.{name} ({operands})".encode())
        connection.execute(
            "CREATE FUNCTION hostile.mod(int8, int8) RETURNS int8 LANGUAGE sql AS 'SELECT 0::int8'"
        )
        connection.execute("CREATE DOMAIN hostile.float8 AS integer")
        connection.execute("SET LOCAL search_path = hostile, pg_catalog")
        found = scores(connection, model, rows, layout=layout)
        assert differing_bits(found, reference_scores(model, rows)) == 0
        in_bulk = bulk_scores(connection, model, rows, expected_rows=10_000_000)
        assert differing_bits(in_bulk, reference_scores(model, rows)) == 0


VALUES = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**99), max_value=2.0**99),
    st.integers(-20, 20).map(float),
    st.integers(0, 50000).map(lambda cents: cents / 100),
    st.just(float("nan")),
)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_small_forest(connection: psycopg.Connection[Any], data: st.DataObject) -> None:
    features = data.draw(st.integers(1, 4))
    count = data.draw(st.integers(4, 40))
    rows = np.array(data.draw(st.lists(st.lists(VALUES, min_size=features, max_size=features),
                                       min_size=count, max_size=count)))  # fmt: skip
    labels = np.array([0, 1, *data.draw(st.lists(st.integers(0, 1), min_size=count - 2, max_size=count - 2))])
    kind = data.draw(st.sampled_from([RandomForestClassifier, ExtraTreesClassifier]))
    with np.errstate(all="ignore"):
        model = kind(
            data.draw(st.integers(1, 12)),
            max_depth=data.draw(st.sampled_from([1, 3, None])),
            random_state=data.draw(st.integers(0, 5)),
            bootstrap=False,
            class_weight=data.draw(st.sampled_from([None, "balanced"])),
        ).fit(rows, labels)
    probes = np.concatenate([rows, boundary_rows(model, 40, seed=data.draw(st.integers(0, 99)))])
    expected = reference_scores(model, probes)
    for layout in LAYOUTS:
        assert differing_bits(scores(connection, model, probes, layout=layout), expected) == 0
    assert differing_bits(bulk_scores(connection, model, probes, expected_rows=10_000_000), expected) == 0
