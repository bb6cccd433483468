"""requests: `PROGRAM METHOD URL [FILE]`; the file is streamed, so that it goes out in chunks."""
import json
import sys

import requests


def chunks(path):
    with open(path, "rb") as file:
        while chunk := file.read(65536):
            yield chunk


method, url, *files = sys.argv[1:]
with requests.Session() as session:
    response = session.request(method, url, data=chunks(files[0]) if files else None, timeout=60)
print(json.dumps({"status": response.status_code, "body": response.text}))
