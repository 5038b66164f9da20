/** Characters that a name in quotes cannot have, or that programs understand in their own ways. RFC 6266 appendix D */
const AWKWARD = /[^\x20-\x7e]|["\\%]/gu;
const SEPARATORS = /[\p{Cc}/\\]/gu;

/** A header Content-Disposition that has the content saved under a name. RFC 6266, RFC 8187 */
export function attachment(name: string): string {
  const whole = name.toWellFormed().replace(SEPARATORS, "_");
  const plain = whole.replace(AWKWARD, "_");
  const extended = encodeURIComponent(whole).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${plain}"${plain === whole ? "" : `; filename*=UTF-8''${extended}`}`;
}
