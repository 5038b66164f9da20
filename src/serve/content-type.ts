import mime from "mime";

/** The media type of a file's content, told by its name; text counts as UTF-8. */
export function contentTypeOf(path: string): string {
  const type = mime.getType(path) ?? "application/octet-stream";
  return type.startsWith("text/") ? `${type}; charset=utf-8` : type;
}

/** The content stays what it is said to be, and pages of other origins do not get it into their processes. */
const GUARDS = { "x-content-type-options": "nosniff", "cross-origin-resource-policy": "same-origin" };
/** Content is shown as of no origin at all: it runs nothing, loads nothing, and sends nothing. */
const SANDBOXED = {
  ...GUARDS,
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
};

/**
 * What keeps a browser from doing more with a dataset's content than showing it: no content can act as this origin, whatever it
 * is and is called. PDF alone goes without a sandbox, in which browsers do not show it: what runs in it has no origin anyway.
 */
export function guardsOf(contentType: string): Readonly<Record<string, string>> {
  return contentType === "application/pdf" ? GUARDS : SANDBOXED;
}
