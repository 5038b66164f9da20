/** deploy/: examples that somebody copies hold to what the program takes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { parseAllDocuments } from "yaml";
import { loadConfig } from "../src/config/load.ts";
import { SETTING_LIST, type Config, type SettingName } from "../src/config/schema.ts";

const FOLDER = new URL("../deploy/kubernetes/", import.meta.url);
const MOUNT_OPTIONS = ["nfsvers=3", "tcp", "port=2049", "mountport=2049", "noacl", "nolock"];

interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** The resources of a file, by their kinds: one of each. */
function resourcesOf(name: string): ReadonlyMap<string, Resource> {
  const documents = parseAllDocuments(readFileSync(new URL(name, FOLDER), "utf8"), { strict: true });
  assert.ok(Array.isArray(documents));
  const resources = documents.map((document): Resource => {
    assert.deepEqual([document.errors, document.warnings], [[], []]);
    return document.toJS() as Resource;
  });
  for (const { kind, metadata } of resources) assert.ok(kind !== "" && metadata.name !== "");
  return new Map(resources.map((resource) => [resource.kind, resource]));
}

function specOf(resources: ReadonlyMap<string, Resource>, kind: string): unknown {
  const resource = resources.get(kind);
  assert.ok(resource !== undefined, kind);
  return resource.spec;
}

/** What `aetherfs run` makes of these words. Each is a flag of its table. */
async function configOf(words: readonly string[]): Promise<Config> {
  const values = new Map<SettingName, readonly string[]>();
  for (const word of words) {
    const [, flag = "", value = "true"] = /^--([a-z0-9_-]+)(?:=(.*))?$/.exec(word) ?? [];
    const [name] =
      SETTING_LIST.find(
        ([, setting]) => setting.flag === flag && setting.commands?.includes("run") !== false,
      ) ?? [];
    assert.ok(name !== undefined, word);
    values.set(name, [value]);
  }
  return loadConfig("run", values, {});
}

interface HubSpec {
  readonly template: {
    readonly spec: {
      readonly containers: readonly {
        readonly command: readonly string[];
        readonly args: readonly string[];
        readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
        readonly volumeMounts: readonly { readonly mountPath: string }[];
      }[];
    };
  };
}

interface ServiceSpec {
  readonly clusterIP: string;
  readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: string }[];
}

describe("the examples for Kubernetes", () => {
  it("start a hub by flags that it has, and lead to the ports that it listens on", async () => {
    const hub = resourcesOf("hub.yaml");
    const [container] = (specOf(hub, "Deployment") as HubSpec).template.spec.containers;
    assert.ok(container !== undefined);
    assert.deepEqual(container.command, ["aetherfs", "run"]);
    const config = await configOf(container.args);
    assert.equal(config.nfsEnable, true);
    assert.ok(config.nfsAllow.length > 0, "nobody but the hub's own pod may mount");
    const mount = container.volumeMounts[0]?.mountPath ?? "?";
    assert.ok(config.storageFilePath?.startsWith(`${mount}/`) && config.cacheDir?.startsWith(`${mount}/`));
    const listening = { http: config.port, nfs: config.nfsPort };
    const ports = container.ports.map(({ name, containerPort }) => [name, containerPort]);
    assert.deepEqual(Object.fromEntries(ports), listening);
    const service = (specOf(hub, "Service") as ServiceSpec).ports;
    assert.deepEqual(Object.fromEntries(service.map(({ name, port }) => [name, port])), listening);
    assert.deepEqual(
      service.map(({ targetPort }) => targetPort),
      container.ports.map(({ name }) => name),
    );
  });

  it("mount a version from that hub, and give it to a pod", () => {
    const [hub, volume] = [resourcesOf("hub.yaml"), resourcesOf("volume.yaml")];
    const { clusterIP, ports } = specOf(hub, "Service") as ServiceSpec;
    const { nfs, mountOptions, claimRef } = specOf(volume, "PersistentVolume") as {
      readonly nfs: { readonly server: string; readonly path: string; readonly readOnly: boolean };
      readonly mountOptions: readonly string[];
      readonly claimRef: { readonly name: string; readonly namespace: string };
    };
    assert.deepEqual([nfs.server, nfs.readOnly], [clusterIP, true]);
    assert.match(nfs.path, /^\/(?:@[a-z0-9-]+\/)?[a-z0-9-]+\/[a-z0-9.-]+$/);
    for (const option of MOUNT_OPTIONS) assert.ok(mountOptions.includes(option), option);
    const nfsPort = ports.find(({ name }) => name === "nfs")?.port;
    assert.ok(mountOptions.includes(`port=${nfsPort ?? 0}`));
    const claim = volume.get("PersistentVolumeClaim");
    assert.equal(claim?.spec["volumeName"], volume.get("PersistentVolume")?.metadata.name);
    assert.deepEqual(claimRef, { namespace: claim?.metadata.namespace, name: claim?.metadata.name });
    const pod = specOf(volume, "Pod") as {
      readonly volumes: readonly { readonly persistentVolumeClaim: { readonly claimName: string } }[];
    };
    assert.equal(pod.volumes[0]?.persistentVolumeClaim.claimName, claim?.metadata.name);
  });
});
