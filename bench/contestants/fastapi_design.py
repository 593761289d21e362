"""The design that chatkeep replaces: FastAPI, rows cached in Redis as JSON, PostgreSQL on a miss.

No GraphQL: it answers the page's JSON in the same shape. Tokens are checked with the standard library.
"""

import base64
import hashlib
import hmac
import json
import os
import time

import asyncpg
import redis.asyncio as redis
import uvicorn
from fastapi import FastAPI, HTTPException, Request

SECRET = os.environ["JWT_SECRET"].encode()
parts = {}


app = FastAPI()


@app.on_event("startup")
async def connect():
    parts["redis"] = redis.from_url(os.environ["REDIS_URL"])
    parts["pool"] = await asyncpg.create_pool(os.environ["DATABASE_URL"], max_size=10)


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def user_of(request: Request) -> str:
    token = request.headers.get("authorization", "")[len("Bearer ") :]
    head, payload, signature = token.split(".")
    expected = hmac.new(SECRET, f"{head}.{payload}".encode(), hashlib.sha256).digest()
    claims = json.loads(decoded(payload))
    if not hmac.compare_digest(expected, decoded(signature)) or claims["exp"] < time.time():
        raise HTTPException(401)
    return claims["sub"]


@app.post("/graphql")
async def page(request: Request):
    user = user_of(request)
    variables = (await request.json())["variables"]
    limit, offset = variables["first"], variables.get("offset", 0)
    key = f"fastapi:history:{user}:{limit}:{offset}"
    known = await parts["redis"].get(key)
    if known:
        rows = json.loads(known)
    else:
        async with parts["pool"].acquire() as connection, connection.transaction():
            await connection.execute(
                "select set_config('role', 'authenticated', true), set_config('request.jwt.claims', $1, true)",
                json.dumps({"sub": user}),
            )
            found = await connection.fetch(
                "select id::text, message, response, status::text, created_at::text as \"createdAt\""
                " from chat_history where user_id = $1 order by created_at desc limit $2 offset $3",
                user,
                limit,
                offset,
            )
        rows = [dict(row) for row in found]
        await parts["redis"].set(key, json.dumps(rows), ex=86400)
    return {"data": {"chatHistory": {"nodes": rows}}}


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="error", access_log=False)
