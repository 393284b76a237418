-- Every change of a reference table is recorded in its history.
/* for each reference: {create_triggers} */
