"""httpx: `PROGRAM METHOD URL [FILE]`; the file is streamed, so that it goes out in chunks."""
import json
import sys

import httpx


def chunks(path):
    with open(path, "rb") as file:
        while chunk := file.read(65536):
            yield chunk


method, url, *files = sys.argv[1:]
with httpx.Client(timeout=60) as client:
    response = client.request(method, url, content=chunks(files[0]) if files else None)
print(json.dumps({"status": response.status_code, "body": response.text}))
