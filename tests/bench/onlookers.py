"""Who looks at a sidecar: a sink for its OTLP exports, and a scraper of its /metrics once a second.

Usage: python -m tests.bench.onlookers METRICS_URL
It prints the sink's port and, when its input ends, what it saw, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

import aiohttp
from aiohttp import web

SCRAPE_S = 1.0
LARGEST_EXPORT_BYTES = 64 * 1024 * 1024


async def _scrape(url: str, seen: Counter[str]) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as response:
                    seen["scraped_bytes"] += len(await response.read())
                    seen["scrapes"] += 1
            except aiohttp.ClientError:
                seen["failed_scrapes"] += 1
            await asyncio.sleep(SCRAPE_S)


async def main(url: str) -> None:
    """Serve and scrape until the input ends."""
    seen: Counter[str] = Counter()

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        seen[f"{request.path.rpartition('/')[2]}_exports"] += 1
        seen[f"{request.path.rpartition('/')[2]}_bytes"] += len(body)
        return web.Response(content_type="application/x-protobuf")

    app = web.Application(client_max_size=LARGEST_EXPORT_BYTES)
    app.router.add_post("/v1/{what}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    scraping = asyncio.create_task(_scrape(url, seen))
    await asyncio.to_thread(sys.stdin.read)
    scraping.cancel()
    await asyncio.gather(scraping, return_exceptions=True)
    await runner.cleanup()
    print(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
