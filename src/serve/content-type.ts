import mime from "mime";

/** Content in which a browser would run scripts, as one of this origin. */
const ACTIVE = /html|xml|svg/;

/** The media type of a file's content, told by its name; text counts as UTF-8. */
export function contentTypeOf(path: string): string {
  const type = mime.getType(path) ?? "application/octet-stream";
  return type.startsWith("text/") ? `${type}; charset=utf-8` : type;
}

/** What keeps a browser from doing more with a dataset's content than showing it. */
export function guardsOf(contentType: string): Record<string, string> {
  const guards = { "x-content-type-options": "nosniff" };
  return ACTIVE.test(contentType) ? { ...guards, "content-security-policy": "sandbox" } : guards;
}
