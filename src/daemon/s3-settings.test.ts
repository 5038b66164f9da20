import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadConfig } from "../config/load.ts";
import type { SettingName } from "../config/schema.ts";
import { storeAddressOf } from "./hub-settings.ts";
import { s3SettingsOf } from "./s3-settings.ts";

type Environment = Readonly<Record<string, string>>;
type Flags = Partial<Record<SettingName, string>>;

async function settingsOf(
  environment: Environment,
  flags: Flags = {},
): Promise<ReturnType<typeof s3SettingsOf>> {
  const written = new Map(Object.entries(flags).map(([name, text]) => [name as SettingName, [text]]));
  return s3SettingsOf(await loadConfig("push", written, environment), environment);
}

const OWN = { STORAGE_S3_ACCESS_KEY_ID: "own", STORAGE_S3_SECRET_ACCESS_KEY: "s" };
const AWS = { AWS_ACCESS_KEY_ID: "aws", AWS_SECRET_ACCESS_KEY: "s" };
const ROOT = { MINIO_ROOT_USER: "root", MINIO_ROOT_PASSWORD: "s" };
const ACCESS = { MINIO_ACCESS_KEY: "access", MINIO_SECRET_KEY: "s" };
const ELSEWHERE = { STORAGE_S3_ENDPOINT: "minio:9000" };

describe("the settings of S3", () => {
  const cases: readonly (readonly [string, Environment, string | undefined])[] = [
    ["with nothing, leave it to the SDK", {}, undefined],
    ["with own ones and all others, take the own ones", { ...ELSEWHERE, ...OWN, ...AWS, ...ROOT }, "own"],
    ["with AWS's and MinIO's, leave it to the SDK", { ...ELSEWHERE, ...AWS, ...ROOT }, undefined],
    [
      "with a profile and MinIO's, leave it to the SDK",
      { ...ELSEWHERE, AWS_PROFILE: "x", ...ROOT },
      undefined,
    ],
    ["with both of MinIO's, take the root's", { ...ELSEWHERE, ...ROOT, ...ACCESS }, "root"],
    [
      "with the older ones of MinIO's, take these",
      { AWS_ENDPOINT_URL_S3: "http://m:1", ...ACCESS },
      "access",
    ],
    ["with MinIO's and AWS's endpoint, do not send them there", { ...ROOT, ...ACCESS }, undefined],
  ];
  for (const [title, environment, id] of cases) {
    it(`${title}: whose credentials`, async () => {
      assert.equal((await settingsOf(environment)).credentials?.accessKeyId, id);
    });
  }

  it("with a flag, take it rather than the variable", async () => {
    const flags = { s3AccessKeyId: "flag", s3SecretAccessKey: "t" };
    assert.deepEqual((await settingsOf(OWN, flags)).credentials, {
      accessKeyId: "flag",
      secretAccessKey: "t",
    });
  });

  it("with half of a pair, are CONFIG_INVALID, and do not say the secret", async () => {
    for (const environment of [
      { STORAGE_S3_ACCESS_KEY_ID: "own", ...ROOT },
      { STORAGE_S3_SECRET_ACCESS_KEY: "hush" },
      { STORAGE_S3_TLS_CERT_FILE: "a.crt" },
    ]) {
      await assert.rejects(
        settingsOf(environment),
        ({ code, message }: Error & { code?: string }) =>
          code === "CONFIG_INVALID" && !message.includes("hush"),
      );
    }
  });

  for (const [endpoint, tls, url] of [
    ["minio:9000", "false", "http://minio:9000"],
    ["minio:9000", "true", "https://minio:9000"],
    ["s3.example.com", "true", "https://s3.example.com"],
    ["https://s3.example.com", "true", "https://s3.example.com"],
    ["http://10.0.0.1:9000", "false", "http://10.0.0.1:9000"],
  ] as const) {
    it(`with the endpoint ${endpoint} and tls_enable ${tls}, go to ${url}`, async () => {
      const environment = { STORAGE_S3_ENDPOINT: endpoint, STORAGE_S3_TLS_ENABLE: tls };
      assert.equal((await settingsOf(environment)).endpoint, url);
    });
  }

  it("with an endpoint that is none, or contradicts tls_enable, are CONFIG_INVALID", async () => {
    for (const environment of [
      { STORAGE_S3_ENDPOINT: "http://x:1", STORAGE_S3_TLS_ENABLE: "true" },
      { STORAGE_S3_ENDPOINT: "ftp://x" },
      { STORAGE_S3_ENDPOINT: "a b" },
      { STORAGE_S3_ENDPOINT: "http://user:secret@x" },
    ]) {
      await assert.rejects(settingsOf(environment), { code: "CONFIG_INVALID" });
    }
  });

  it("take certificates from their folder, and the authorities from AWS_CA_BUNDLE", async () => {
    const environment = { STORAGE_S3_TLS_CERT_PATH: "/c", STORAGE_S3_TLS_CERT_FILE: "a.crt" };
    const { tls } = await settingsOf({
      ...environment,
      STORAGE_S3_TLS_KEY_FILE: "a.key",
      AWS_CA_BUNDLE: "/b/ca.pem",
    });
    const files = { caFile: "/b/ca.pem", certFile: "/c/a.crt", keyFile: "/c/a.key" };
    assert.deepEqual(tls, { ...files, reloadMs: 60_000 });
  });

  it("of run, name the bucket and the prefix of its store", async () => {
    const address = async (environment: Environment): Promise<string> =>
      storeAddressOf(await loadConfig("run", new Map(), { STORAGE_DRIVER: "s3", ...environment }));
    assert.equal(await address({ STORAGE_S3_BUCKET: "b" }), "s3://b");
    assert.equal(await address({ STORAGE_S3_BUCKET: "b", STORAGE_S3_PREFIX: "/a/b/" }), "s3://b/a/b");
    assert.equal(await address({ STORE: "s3://other", STORAGE_S3_BUCKET: "b" }), "s3://other");
    await assert.rejects(address({}), { code: "CONFIG_INVALID", message: /--storage_s3_bucket/ });
  });
});
