-- {kind} {version} is downgraded: back to the state before it.
{states}
{facades}
{drop_function}
