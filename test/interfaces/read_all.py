"""Everything of a version, read by a client that is not ours: by gRPC (grpcio), or by REST (urllib).

Arguments: grpc or rest, a descriptor set, the hub's address, dataset, tag. Lists the entries by the hub's own calls, and reads the files'
bytes as the first AetherFS's clients do: the stream of a dataset is cut into blocks, which are looked up and downloaded.
Prints one JSON object: path -> kind, size, sha256, target.
"""

import hashlib
import json
import sys
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "ancestor"))
import client  # noqa: E402

CALL_SECONDS = 60
PAGE = 1000


class Grpc:
    def __init__(self, descriptors, address):
        self.message = client.load(descriptors)
        self.hub = client.Hub(self.message, address)

    def entries(self, name, digest, token):
        request, response = (self.message("aetherfs.hub.v1.ListEntries" + kind) for kind in ("Request", "Response"))
        call = self.hub.channel.unary_unary(
            "/aetherfs.hub.v1.CatalogAPI/ListEntries",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        fields = {"name": name, "digest": digest, "recursive": True, "page_token": token, "page_size": PAGE}
        page = call(request(**fields), timeout=CALL_SECONDS)
        return [(one.path, one.kind, one.size, one.target) for one in page.entries], page.next_page_token

    def digest(self, name, tag):
        request, response = (self.message("aetherfs.hub.v1.Resolve" + kind) for kind in ("Request", "Response"))
        call = self.hub.channel.unary_unary(
            "/aetherfs.hub.v1.CatalogAPI/Resolve",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        return call(request(name=name, tag=tag), timeout=CALL_SECONDS).digest

    def lookup(self, name, tag):
        found = self.hub.lookup(name, tag)
        return [(file.name, file.size) for file in found.files], list(found.blocks)

    def download(self, signature):
        return self.hub.download(signature)


class Rest:
    def __init__(self, address):
        self.top = "http://" + address

    def get(self, path, **query):
        words = urllib.parse.urlencode({key: value for key, value in query.items() if value != ""})
        with urllib.request.urlopen(self.top + path + "?" + words, timeout=CALL_SECONDS) as response:
            return response.read()

    def entries(self, name, digest, token):
        path = "/api/v1/catalog/%s/versions/%s/entries" % (name, digest)
        page = json.loads(self.get(path, recursive="true", pageToken=token, pageSize=PAGE))
        found = [
            (one["path"], one["kind"], int(one.get("size", 0)), one.get("target", "")) for one in page.get("entries", [])
        ]
        return found, page.get("nextPageToken", "")

    def digest(self, name, tag):
        return json.loads(self.get("/api/v1/catalog/%s/tags/%s" % (name, tag)))["digest"]

    def lookup(self, name, tag):
        found = json.loads(self.get("/api/v1/datasets/%s/tags/%s" % (name, tag)))["dataset"]
        files = [(file["name"], int(file.get("size", 0))) for file in found["files"]]
        return files, found["blocks"]

    def download(self, signature):
        return self.get("/api/v1/blocks/" + urllib.parse.quote(signature))


def read_stream(door, blocks):
    for signature in blocks:
        data = door.download(signature)
        assert client.sign(data) == signature
        yield data


def contents(door, name, tag):
    """Path -> SHA-256 of each file, out of the stream that all of them are."""
    files, blocks = door.lookup(name, tag)
    stream, rest, found = read_stream(door, blocks), b"", {}
    for path, size in files:
        digest = hashlib.sha256()
        while size > 0:
            rest = rest or next(stream)
            part, rest = rest[:size], rest[size:]
            digest.update(part)
            size -= len(part)
        found[path] = digest.hexdigest()
    assert rest == b"" and next(stream, None) is None
    return found


def main():
    protocol, descriptors, address, name, tag = sys.argv[1:]
    door = Grpc(descriptors, address) if protocol == "grpc" else Rest(address)
    digest = door.digest(name, tag)
    hashes = contents(door, name, tag)
    items, token = {}, ""
    while True:
        page, token = door.entries(name, digest, token)
        for path, kind, size, target in page:
            items[path] = {"kind": kind}
            if kind == "file":
                items[path].update(size=size, sha256=hashes[path])
            elif kind == "symlink":
                items[path]["target"] = target
        if token == "":
            break
    json.dump(items, sys.stdout)


main()
