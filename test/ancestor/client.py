"""The first AetherFS's contract, by a client that is not ours: grpcio, with messages made from the .proto files.

Arguments: a descriptor set (protoc --include_imports --descriptor_set_out), the hub's address. Speaks as the first AetherFS's
client does (internal/agent/service.go, internal/afs/dataset_file.go): walks, cuts, signs, uploads, publishes; looks up, downloads.
"""

import base64
import hashlib
import hmac
import random
import sys
import unittest

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

MIB = 1 << 20
PART = 64 * 1024
CALL_SECONDS = 60


def load(path):
    """Name of a service's method -> its path and classes; the messages by their full names."""
    pool = descriptor_pool.DescriptorPool()
    with open(path, "rb") as file:
        files = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    for one in files.file:
        pool.Add(one)
    newer = getattr(message_factory, "GetMessageClass", None)
    make = newer or message_factory.MessageFactory(pool).GetPrototype
    return lambda name: make(pool.FindMessageTypeByName(name))


class Hub:
    """Stubs of both services."""

    def __init__(self, message, address):
        self.message = message
        self.channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", 64 * MIB)])

    def block(self, name):
        return self.message("aetherfs.block.v1." + name)

    def dataset(self, name):
        return self.message("aetherfs.dataset.v1." + name)

    def call(self, kind, service, method, request, response):
        make = getattr(self.channel, kind)
        path = "/aetherfs.%s.v1.%sAPI/%s" % (service, service.capitalize(), method)
        return make(path, request_serializer=request.SerializeToString, response_deserializer=response.FromString)

    def unary(self, service, method, fields):
        message = self.block if service == "block" else self.dataset
        request = message(method + "Request")
        call = self.call("unary_unary", service, method, request, message(method + "Response"))
        return call(request(**fields), timeout=CALL_SECONDS)

    def upload(self, data, signature=None, size=None, metadata=None):
        request = self.block("UploadRequest")
        call = self.call("stream_unary", "block", "Upload", request, self.block("UploadResponse"))
        if metadata is None:
            metadata = (
                ("x-afs-block-signature", sign(data) if signature is None else signature),
                ("x-afs-block-size", str(len(data) if size is None else size)),
            )
        parts = (request(part=bytes(data[at : at + PART])) for at in range(0, len(data), PART))
        return call(parts, metadata=metadata, timeout=CALL_SECONDS).signature

    def download(self, signature, offset=0, size=0):
        request = self.block("DownloadRequest")
        call = self.call("unary_stream", "block", "Download", request, self.block("DownloadResponse"))
        fields = request(signature=signature, offset=offset, size=size)
        parts = [response.part for response in call(fields, timeout=CALL_SECONDS)]
        assert all(0 < len(part) <= PART for part in parts)
        return b"".join(parts)

    def publish(self, files, tags, block_size, asking):
        """Publishes (name, bytes) in their order; gives the stream and the blocks' signatures."""
        stream = b"".join(data for _, data in files)
        blocks = []
        for at in range(0, len(stream), block_size):
            data = memoryview(stream)[at : at + block_size]
            blocks.append(sign(data))
            if asking and self.has(blocks[-1]):
                continue
            try:
                self.upload(data)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.ALREADY_EXISTS:
                    raise
        dataset = self.dataset("Dataset")(block_size=block_size, blocks=blocks)
        for number, (name, data) in enumerate(files):
            file = dataset.files.add(name=name, size=len(data))
            file.last_modified.FromNanoseconds(1_700_000_000_123_456_789 + number)
        self.unary("dataset", "Publish", {"dataset": dataset, "tags": [self.tag(*tag) for tag in tags]})
        return stream, dataset

    def tag(self, name, version):
        return self.dataset("Tag")(name=name, version=version)

    def lookup(self, name, version):
        return self.unary("dataset", "Lookup", {"tag": self.tag(name, version)}).dataset

    def has(self, signature):
        try:
            self.unary("block", "Lookup", {"signature": signature})
            return True
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise
            return False


def sign(data):
    digest = hmac.new(b"", data, hashlib.sha256).digest()
    return base64.b32encode(digest).decode().lower()


def read_file(hub, dataset, name, offset, size):
    """As the first AetherFS reads a file: asks for as much as it wants, though the block ends before."""
    start = 0
    for file in dataset.files:
        if file.name == name:
            size = min(size, file.size - offset)
            break
        start += file.size
    at = start + offset
    index, block_offset = divmod(at, dataset.block_size)
    found = b""
    while len(found) < size:
        wanted = min(dataset.block_size, size - len(found))
        found += hub.download(dataset.blocks[index], block_offset, wanted)
        index, block_offset = index + 1, 0
    return found


def all_pages(page, size):
    """Every item of a list, and how many pages it took. `page` takes a token and a size."""
    items, pages, token = [], 0, ""
    while True:
        found, token = page(token, size)
        assert len(found) <= size
        items, pages = items + found, pages + 1
        if token == "":
            return items, pages


class Contract(unittest.TestCase):
    hub = None

    def fails(self, status, call, *words, **named):
        with self.assertRaises(grpc.RpcError) as caught:
            call(*words, **named)
        self.assertEqual(caught.exception.code(), status, caught.exception)

    def noise(self, size):
        return random.Random(size).randbytes(size)

    def test_real_blocks(self):
        """A stream of blocks of 64 MiB, published to several tags, in the order of a walk, comes back."""
        files = [
            ("big/one", self.noise(70 * MIB + 1)),
            ("big/two", self.noise(65 * MIB)),
            ("big.txt", b"after the folder in a walk, before it in the order of bytes"),
            ("none", b""),
        ]
        tags = [("real", "v1"), ("real", "latest"), ("@scope/real", "v1")]
        self.fails(grpc.StatusCode.UNIMPLEMENTED, self.hub.publish, files[2:], tags, 64 * MIB, True)
        stream, said = self.hub.publish(files, tags[:2], 64 * MIB, True)
        self.assertEqual(len(said.blocks), 3)
        for _, version in tags[:2]:
            found = self.hub.lookup("real", version)
            self.assertEqual(found, said)
        at = 0
        for signature in found.blocks:
            data = self.hub.download(signature)
            self.assertEqual(sign(data), signature)
            self.assertEqual(data, stream[at : at + len(data)])
            at += len(data)
        self.assertEqual(at, len(stream))
        for name, data in files[:3]:
            for offset, size in ((0, 10), (MIB - 3, 7), (len(data) - 5, 100), (63 * MIB, 9 * MIB)):
                if offset < len(data):
                    self.assertEqual(read_file(self.hub, found, name, offset, size), data[offset : offset + size])

    def test_upload_without_asking(self):
        """Who uploads without asking is told ALREADY_EXISTS, and publishes all the same; a second version shares blocks."""
        one = [("a", self.noise(300_000)), ("b", self.noise(300_001))]
        first, said = self.hub.publish(one, [("unasked", "v1")], 100_000, False)
        again, same = self.hub.publish(one, [("unasked", "v2")], 100_000, False)
        self.assertEqual((first, said), (again, same))
        two = one[:1] + [("b", b"other")]
        self.hub.publish(two, [("unasked", "v3")], 100_000, False)
        self.assertEqual(self.hub.lookup("unasked", "v3").blocks[:3], said.blocks[:3])
        self.assertEqual(self.hub.lookup("unasked", "v1"), said)
        self.fails(grpc.StatusCode.ALREADY_EXISTS, self.hub.upload, one[0][1][:100_000])

    def test_parts(self):
        """Parts at odd offsets, with size 0 for the rest, and past the end."""
        data = self.noise(1_000_003)
        self.hub.publish([("f", data)], [("parts", "v1")], 2 * MIB, True)
        signature = sign(data)
        pieces = random.Random(1)
        for _ in range(20):
            offset = pieces.randrange(len(data))
            size = pieces.randrange(1, len(data))
            self.assertEqual(self.hub.download(signature, offset, size), data[offset : offset + size])
        self.assertEqual(self.hub.download(signature, 999_999), data[999_999:])
        self.assertEqual(self.hub.download(signature, len(data)), b"")
        self.fails(grpc.StatusCode.OUT_OF_RANGE, self.hub.download, signature, len(data) + 1)
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, self.hub.download, signature, -1)
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, self.hub.download, signature, 0, -1)

    def test_signatures(self):
        """Unknown and malformed signatures."""
        unknown = sign(b"nobody has this")
        self.assertFalse(self.hub.has(unknown))
        self.fails(grpc.StatusCode.NOT_FOUND, self.hub.download, unknown)
        for bad in ("", "x", unknown.upper(), unknown[:-4], unknown + "=", "../" * 18, "é" * 56):
            self.fails(grpc.StatusCode.INVALID_ARGUMENT, self.hub.has, bad)
            self.fails(grpc.StatusCode.INVALID_ARGUMENT, self.hub.download, bad)
        dataset = self.hub.dataset("Dataset")(block_size=10, blocks=[unknown])
        dataset.files.add(name="f", size=10)
        tags = [self.hub.tag("unknown", "v1")]
        self.fails(grpc.StatusCode.NOT_FOUND, self.hub.unary, "dataset", "Publish", {"dataset": dataset, "tags": tags})
        self.fails(grpc.StatusCode.NOT_FOUND, self.hub.lookup, "unknown", "v1")

    def test_lies(self):
        """Uploads with another HMAC, another size, or nothing declared."""
        data = self.noise(200_000)
        wrong = grpc.StatusCode.INVALID_ARGUMENT
        self.fails(wrong, self.hub.upload, data, signature=sign(b"other"))
        for size in (0, 199_999, 200_001, -1, "many"):
            self.fails(wrong, self.hub.upload, data, size=size)
        self.fails(wrong, self.hub.upload, data, metadata=())
        self.fails(grpc.StatusCode.RESOURCE_EXHAUSTED, self.hub.upload, data, size=1 << 40)
        self.assertFalse(self.hub.has(sign(data)))
        self.assertEqual(self.hub.upload(data), sign(data))
        self.assertTrue(self.hub.has(sign(data)))

    def test_pages(self):
        """Lists of datasets and tags, in pages."""
        names = ["page-%02d" % number for number in range(7)]
        for name in names:
            self.hub.publish([("f", b"x")], [(name, "v1")], 10, True)
        self.hub.publish([("f", b"x")], [("page-00", "v%d" % number) for number in range(1, 6)], 10, True)

        def datasets(token, size):
            page = self.hub.unary("dataset", "List", {"page_token": token, "page_size": size})
            return [tag.name for tag in page.datasets], page.next_page_token

        def tags(token, size):
            fields = {"name": "page-00", "page_token": token, "page_size": size}
            page = self.hub.unary("dataset", "ListTags", fields)
            return [(tag.name, tag.version) for tag in page.tags], page.next_page_token

        for size in (1, 3, 1000):
            found, pages = all_pages(datasets, size)
            self.assertEqual([name for name in found if name.startswith("page-")], names)
            self.assertEqual(pages, -(-len(found) // size))
            expected = [("page-00", "v%d" % number) for number in range(1, 6)]
            self.assertEqual(all_pages(tags, size)[0], expected)
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, datasets, "x", 1)

    def test_pushed_by_us(self):
        """A dataset that AetherFS itself pushed (the test that runs this did), reads back through its view."""
        dataset = self.hub.lookup("pushed", "latest")
        self.assertEqual([file.name for file in dataset.files], ["a.txt", "a/b", "a/c", "z"])
        for name in ("a.txt", "a/b", "a/c", "z"):
            size = next(file.size for file in dataset.files if file.name == name)
            data = read_file(self.hub, dataset, name, 0, size)
            self.assertEqual(len(data), size)
            self.assertEqual(hashlib.sha256(data).hexdigest(), PUSHED[name])

    def test_subscribe(self):
        """A tag that is followed is answered when it moves."""
        self.hub.publish([("f", b"one")], [("followed", "v1")], 10, True)
        request = self.hub.dataset("SubscribeRequest")
        call = self.hub.call(
            "stream_stream", "dataset", "Subscribe", request, self.hub.dataset("SubscribeResponse")
        )
        tag = self.hub.tag("followed", "v1")
        answers = call(iter([request(tag=tag)]), timeout=CALL_SECONDS)
        self.assertEqual(next(answers).dataset.files[0].size, 3)
        self.hub.publish([("f", b"three")], [("followed", "v1")], 10, True)
        answer = next(answers)
        self.assertEqual((answer.tag, answer.dataset.files[0].size), (tag, 5))
        answers.cancel()


if __name__ == "__main__":
    _, descriptors, address, *pushed = sys.argv
    PUSHED = dict(zip(pushed[::2], pushed[1::2]))
    Contract.hub = Hub(load(descriptors), address)
    unittest.main(argv=["contract"], verbosity=2)
