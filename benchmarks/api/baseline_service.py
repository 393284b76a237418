"""The baseline service: FastAPI with a pickled scikit-learn forest; PostgreSQL only stores.

Written to be quick: the forest predicts with one job inside the event loop (a thread pool is slower, as every call
holds the interpreter's lock), connections are pooled and direct, statements are prepared. Velocity is read by the
same function that rowguard's trigger reads it by, so both pay the same for it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from fastapi import FastAPI, Request
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel, Field

SQL = Path(__file__).parent / "sql"
BASIC = {
    "transaction_amount": "transaction_amount",
    "user_txn_minutes_since_last": "time_since_last_txn",
    "user_txn_count_1h": "num_txns_last_hour",
    "user_location_match": "user_location_match",
}


class Features(BaseModel):
    transaction_amount: float = Field(ge=0)
    time_since_last_txn: float | None = None
    num_txns_last_hour: int | None = None
    user_location_match: bool | None = None


class Transaction(BaseModel):
    user_id: int
    amount: float = Field(ge=0)
    merchant_id: int | None = None
    location: str | None = None


class Score(BaseModel):
    prediction: int
    probability: float
    flag: str
    fraud_probability: float
    model_version: str


class Stored(Score):
    transaction_id: int


class Model:
    """The forest with its threshold and feature list."""

    def __init__(self, path: str) -> None:
        document = joblib.load(path)
        self.forest, self.names = document["forest"], document["names"]
        self.threshold, self.version = document["threshold"], document["version"]
        self.feature_function = str(document["feature_function"])
        self.forest.n_jobs = 1

    def score(self, values: Any) -> dict[str, Any]:
        row = np.array([values], dtype=np.float32)
        fraud = float(self.forest.predict_proba(row)[0, 1])
        is_fraud = fraud >= self.threshold
        return {
            "prediction": int(is_fraud),
            "probability": fraud if is_fraud else 1 - fraud,
            "flag": "FRAUD" if is_fraud else "LEGITIMATE",
            "fraud_probability": fraud,
            "model_version": self.version,
        }


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.model = model = Model(os.environ["CLASSIC_MODEL"])
    velocity = (SQL / "velocity.sql").read_text()
    app.state.velocity = velocity.replace("live_feature_values", model.feature_function)
    app.state.insert = (SQL / "insert.sql").read_text()
    pool = AsyncConnectionPool(
        os.environ["CLASSIC_DATABASE_URL"], open=False, min_size=2, max_size=10, kwargs={"autocommit": True}
    )
    await pool.open()
    app.state.pool = pool
    yield
    await pool.close()


app = FastAPI(lifespan=lifespan)


@app.post("/predict")
async def predict(body: Features, request: Request) -> Score:
    model: Model = request.app.state.model
    given = body.model_dump()
    values = [given.get(BASIC.get(name, "")) for name in model.names]
    return Score(**model.score([np.nan if value is None else float(value) for value in values]))


@app.post("/transactions", status_code=201)
async def create_transaction(body: Transaction, request: Request) -> Stored:
    state = request.app.state
    row = body.model_dump() | {"occurred_at": datetime.now(UTC)}
    async with state.pool.connection() as connection:
        cursor = await connection.execute(state.velocity, row)
        (values,) = await cursor.fetchone()
        score = state.model.score([np.nan if value is None else value for value in values])
        cursor = await connection.execute(state.insert, row | score | {"values": values})
        (transaction_id,) = await cursor.fetchone()
    return Stored(transaction_id=transaction_id, **score)
