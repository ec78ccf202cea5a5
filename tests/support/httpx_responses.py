"""Let the ``responses`` library answer for httpx, so that a call which no test foresaw fails the test.

``responses`` intercepts ``requests`` only; this transport hands each httpx request over to it::

    with responses.RequestsMock() as intercom:
        intercom.get("https://api.intercom.io/me", json={"id": "1", "app": {"id_code": "abc"}})
        intercom.post(url, body=httpx.ReadTimeout("slow"))        # any httpx error, raised as it is
        intercom.post(url, body=requests.ConnectionError("no"))   # becomes httpx.ConnectError
        client = IntercomClient(..., http=make_http_client(ResponsesTransport()))
        client.me()

``RequestsMock`` also fails the test when an answer that was prepared is never asked for.
"""

from __future__ import annotations

import httpx
import requests
from requests.adapters import HTTPAdapter

_REAL_SEND = HTTPAdapter.send
# responses reports an unmatched call as the error that a refused connection gives; only the text differs.
_UNMATCHED = "Connection refused by Responses"


class ResponsesTransport(httpx.BaseTransport):
    """An httpx transport that is answered by the ``responses.RequestsMock`` in force."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if HTTPAdapter.send is _REAL_SEND:
            raise AssertionError("no responses.RequestsMock is active: this would call the real address")
        prepared = requests.Request(
            request.method, str(request.url), headers=dict(request.headers), data=request.read()
        ).prepare()
        try:
            answer = self._session.send(prepared, allow_redirects=False)
        except requests.ConnectTimeout as error:
            raise httpx.ConnectTimeout(str(error), request=request) from error
        except requests.ReadTimeout as error:
            raise httpx.ReadTimeout(str(error), request=request) from error
        except requests.ConnectionError as error:
            if str(error).startswith(_UNMATCHED):
                raise AssertionError(f"no answer was prepared for {request.method} {request.url}") from error
            raise httpx.ConnectError(str(error), request=request) from error
        # requests has undone any compression already, so these two no longer describe the content.
        headers = [
            (name, value)
            for name, value in answer.headers.items()
            if name.lower() not in {"content-encoding", "content-length"}
        ]
        return httpx.Response(answer.status_code, headers=headers, content=answer.content, request=request)

    def close(self) -> None:
        self._session.close()
