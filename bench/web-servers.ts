/** A hub, and the servers of others that it is measured beside, all on files of one folder. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { COMPILE_CACHE } from "./folders.ts";
import { AETHERFS, type Command } from "./measure.ts";
import { freePort, startServer, type Server } from "./servers.ts";

/** A server that can be started. */
export interface WebServer {
  readonly name: string;
  readonly start: () => Promise<Server>;
}

/** Starts a hub whose store and caches lie in a folder; `words`: more of its settings. */
export async function startHub(folder: string, words: readonly string[] = []): Promise<Server> {
  const port = await freePort();
  const { argv, env } = hubCommand(folder, port);
  return startServer({ argv: [...argv, ...words], env }, port, "/healthz");
}

/** nginx, caddy and rclone, which serve the files as they are. */
export function webServers(folder: string, files: string): readonly WebServer[] {
  const serve = (name: string, argvOf: (port: number) => Promise<readonly string[]>): WebServer => ({
    name,
    start: async () => {
      const port = await freePort();
      return startServer({ argv: await argvOf(port), env: { HOME: join(folder, "home") } }, port, "/");
    },
  });
  const address = (port: number): string => `127.0.0.1:${port}`;
  return [
    serve("nginx", async (port) => ["nginx", "-p", folder, "-c", await nginxConfig(folder, files, port)]),
    serve("caddy", async (port) => ["caddy", "file-server", "--root", files, "--listen", address(port)]),
    serve("rclone", async (port) => ["rclone", "serve", "http", "--addr", address(port), files]),
  ];
}

function hubCommand(folder: string, port: number): Command & { readonly env: NonNullable<Command["env"]> } {
  const argv = [AETHERFS, "run", "--bind", "127.0.0.1", "--port", String(port)];
  argv.push("--storage_file_path", join(folder, "store"), "--cache_dir", join(folder, "hub-cache"));
  argv.push("--log_level", "error", "--cache_size", "2GiB");
  return { argv, env: { HOME: join(folder, "home"), NODE_COMPILE_CACHE: COMPILE_CACHE } };
}

async function nginxConfig(folder: string, files: string, port: number): Promise<string> {
  const file = join(folder, `nginx-${port}.conf`);
  const text = `daemon off; pid ${folder}/nginx.pid; error_log stderr; worker_processes 2; user root;
events { worker_connections 512; }
http { access_log off; sendfile on; tcp_nopush on;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  server { listen 127.0.0.1:${port}; root ${files}; } }
`;
  await writeFile(file, text);
  return file;
}
