"""The bare loops over HTTP with which a person would read FileMaker: page after page, in threads.

A reply is parsed, and forgotten: nothing is sorted, checked, cleaned or written.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urljoin

import requests

from benchmarks.clinic import ANSWER, ENVIRONMENT
from benchmarks.meter import Cost, measuring
from nexus_reimport import settings as environments
from nexus_reimport.model import Extract, Snapshot
from nexus_reimport.runbook import Runbook
from nexus_reimport.settings import FileMaker

SLOWER = f"bare HTTP loops, {ANSWER:g} s for each answer"


def named(page: int) -> str:
    """The name of the measurement at pages of so many records."""
    return f"bare HTTP loops, {page:,} a page"


def measured(book: Runbook, servers: dict[str, int], page: int, name: str = "") -> Cost:
    """Every table that the run has read, read again by bare loops; of this process."""
    place = environments.load(ENVIRONMENT).filemaker
    extracts = sorted(book.run.load(Snapshot).extracts.values(), key=lambda e: -e.rows)
    token = _login(place)
    with measuring(name or named(page), servers) as cost, ThreadPoolExecutor(place.workers) as pool:
        read = [
            pool.submit(_odata if e.channel == "odata" else _data_api, place, e, page, token)
            for e in extracts
        ]
        results = [future.result() for future in read]
    cost.rows, cost.bytes = sum(rows for rows, _ in results), sum(size for _, size in results)
    return cost


def _auth(place: FileMaker) -> tuple[str, str]:
    return place.user, place.password.get_secret_value() if place.password else ""


def _login(place: FileMaker) -> str:
    url = f"{place.url}/fmi/data/v1/databases/{place.database}/sessions"
    answer = requests.post(url, json={}, auth=_auth(place), timeout=60)
    answer.raise_for_status()
    return str(answer.json()["response"]["token"])


def _data_api(place: FileMaker, extract: Extract, page: int, token: str) -> tuple[int, int]:
    layout = quote(extract.table, safe="")
    url = f"{place.url}/fmi/data/v1/databases/{place.database}/layouts/{layout}/records"
    rows = size = 0
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        while rows < extract.rows:
            asked: dict[str, int | str] = {"_offset": rows + 1, "_limit": page, "portal": "[]"}
            answer = session.get(url, params=asked, timeout=600)
            answer.raise_for_status()
            size += len(answer.content)
            rows += len(json.loads(answer.content)["response"]["data"])
    return rows, size


def _odata(place: FileMaker, extract: Extract, page: int, token: str) -> tuple[int, int]:
    fields = ",".join(quote(f'"{f.found_as}"') for f in extract.fields if f.found_as)
    link = f"{place.url}/fmi/odata/v4/{place.database}/{quote(extract.table)}?$select={fields}"
    rows = size = 0
    with requests.Session() as session:
        session.auth, session.headers["Prefer"] = _auth(place), f"odata.maxpagesize={page}"
        while link:
            answer = session.get(link, timeout=600)
            answer.raise_for_status()
            size += len(answer.content)
            content = json.loads(answer.content)
            rows += len(content["value"])
            onward = next((v for name, v in content.items() if name.endswith("nextLink")), "")
            link = urljoin(link, onward) if onward else ""
    return rows, size
