CREATE TEMP TABLE rescored_now ON COMMIT DROP AS
{scores}
