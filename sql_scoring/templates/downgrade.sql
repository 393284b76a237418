-- {kind} {version} is taken back: to what was before it.
{states}
{facades}
{drop_function}
