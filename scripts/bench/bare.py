"""The ruler: a bare aiohttp server that parses a JSON body and answers JSON. Usage: bare.py PORT"""
import sys

import uvloop
from aiohttp import web


async def order(request: web.Request) -> web.Response:
    body = await request.json()
    level = "high" if body["qty"] > 10 else "low"
    return web.json_response({"message": f"Hello {body['name']}, you ordered {body['qty']} items ({level})", "level": level})


app = web.Application()
app.router.add_post("/w1", order)
uvloop.install()
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
