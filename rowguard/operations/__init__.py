"""Operations on a deployed database: import, archive, rescore, control group, doctor, monitor."""
