SELECT scoring.set_policy()
