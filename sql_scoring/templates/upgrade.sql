-- {kind} {version}: the registry's row, the states, the functions that callers know.
{register}
{states}
{facades}
