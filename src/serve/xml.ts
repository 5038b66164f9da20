/** XML 1.0, as interfaces write it. */
const NAMED: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
// Line ends and tabs would be read as others, or as blanks, where they stand as they are.
const SPECIAL = /[&<>"\u0000-\u001f\u007f\ufffe\uffff]/g;
const UNSAYABLE = /[^\t\n\r\u007f]/;

/** What stands for a character that XML has no way to say: an illegal reference to it, or U+FFFD. */
export type Unsayable = "reference" | "replacement";

/** A text as it stands in an element or, in double quotes, in an attribute. */
export function escapeXml(text: string, unsayable: Unsayable): string {
  return text.replace(SPECIAL, (one) => {
    const name = NAMED[one];
    if (name !== undefined) return name;
    if (unsayable === "replacement" && UNSAYABLE.test(one)) return "\ufffd";
    return `&#x${one.charCodeAt(0).toString(16).toUpperCase()};`;
  });
}
