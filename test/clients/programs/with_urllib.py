"""urllib of the standard library: `PROGRAM METHOD URL [FILE]`; the file is streamed, so that it goes out in chunks."""
import json
import sys
import urllib.request


def chunks(path):
    with open(path, "rb") as file:
        while chunk := file.read(65536):
            yield chunk


method, url, *files = sys.argv[1:]
request = urllib.request.Request(url, method=method, data=chunks(files[0]) if files else None)
with urllib.request.urlopen(request, timeout=60) as response:
    print(json.dumps({"status": response.status, "body": response.read().decode()}))
