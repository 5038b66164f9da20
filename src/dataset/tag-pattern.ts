/** Patterns of tags, as a dataset's settings have them. docs/format.md §8.2 */
import type { Tag } from "../format/reference.ts";

/** Whether the tag matches a pattern in which `*` stands for any run of characters. */
export function matchesPattern(pattern: string, tag: Tag): boolean {
  const [head = "", ...rest] = pattern.split("*");
  const tail = rest.pop();
  if (tail === undefined) return tag === pattern;
  if (!tag.startsWith(head) || !tag.endsWith(tail) || tag.length < head.length + tail.length) return false;
  let position = head.length;
  for (const part of rest) {
    const found = tag.indexOf(part, position);
    if (found === -1) return false;
    position = found + part.length;
  }
  return position <= tag.length - tail.length;
}
