import { withClient, type Context } from "./context.ts";
import { readDataset } from "./dataset.ts";

/** `aetherfs undelete NAME`. */
export async function run(context: Context, text: string): Promise<void> {
  const { output, signal } = context;
  const reference = readDataset(context, text);
  const { name } = reference;
  const { changed } = await withClient(context, { references: [reference] }, (client) =>
    client.undeleteDataset(name, { signal }),
  );
  if (output.isJson) await output.json({ name, state: "present", changed });
  else await output.lines(changed ? `${name} is back` : `${name} was not deleted`);
}
