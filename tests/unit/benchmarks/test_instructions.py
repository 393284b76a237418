"""The table of instructions: what each part adds."""

from benchmarks.inserts.instructions import markdown

COUNTED = {
    "nothing": 10_000.0,
    "plain INSERT": 200_000.0,
    "plain INSERT with domains": 180_000.0,
    "INSERT with a no-op trigger": 210_000.0,
    "features, live": 110_000.0,
    "features and model, by the facade": 310_000.0,
    "scored INSERT": 700_000.0,
    "scored INSERT elsewhere": 760_000.0,
}


def test_parts_add_up_to_what_scoring_adds() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in markdown(COUNTED).splitlines()[2:]]
    thousands = {name: int(count) for name, count, _ in rows}
    added = [count for name, count in thousands.items() if name.startswith("of it")]
    assert added == [100, 200, 220]
    assert sum(added) == thousands["scored INSERT"] - 180
    assert rows[-1][1:] == ["760", "3.80×"]
    assert [ratio for *_, ratio in rows][:4] == ["1.00×", "0.90×", "1.05×", "3.50×"]
