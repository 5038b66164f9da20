"""Lists a bucket with boto3 and reads every object: prints path -> kind, size, SHA-256 as JSON.

python3 -I read_all_s3.py ENDPOINT BUCKET
"""

import concurrent.futures
import hashlib
import json
import sys

import boto3
from botocore import UNSIGNED
from botocore.config import Config

endpoint, bucket = sys.argv[1:]
config = Config(signature_version=UNSIGNED, max_pool_connections=8)
client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=config)

items = {}
sizes = {}
for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
    for found in page.get("Contents", []):
        key = found["Key"]
        parts = key.split("/")
        for end in range(1, len(parts)):
            items["/".join(parts[:end])] = {"kind": "directory"}
        if not key.endswith("/"):
            sizes[key] = found["Size"]


def read(key):
    body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    return key, hashlib.sha256(body).hexdigest()


with concurrent.futures.ThreadPoolExecutor(8) as pool:
    for key, sha256 in pool.map(read, sizes):
        items[key] = {"kind": "file", "size": sizes[key], "sha256": sha256}

json.dump(items, sys.stdout)
