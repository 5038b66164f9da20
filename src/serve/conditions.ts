/** Whether a request is answered with content. RFC 9110 §13 */
import type { IncomingHttpHeaders } from "node:http";
import { parseHttpDate } from "./http-time.ts";

/** What a representation is told apart by. */
export interface Validators {
  /** With its quotes; strong, or weak with W/. */
  readonly etag: string;
  /** Whole seconds since 1970; undefined: nobody knows. */
  readonly modifiedSeconds: number | undefined;
  /** Whether that second belongs to no other content: only then a date may say what ranges are of. RFC 9110 §8.8.2.2 */
  readonly isModifiedStrong?: boolean;
  /** Whether what is there may be older than what was there before (a tag moves back): only the very same date says that nothing changed. */
  readonly mayGoBack?: boolean;
}

const ETAG = /(?:W\/)?"[^"]*"/g;

/** The status that the conditions of a GET or HEAD lead to: 200 goes on. RFC 9110 §13.2.2 */
export function checkConditions(headers: IncomingHttpHeaders, validators: Validators): 200 | 304 | 412 {
  const { etag, modifiedSeconds } = validators;
  const ifMatch = headers["if-match"];
  const ifUnmodified = dateOf(headers["if-unmodified-since"]);
  if (ifMatch !== undefined) {
    if (!names(ifMatch, etag, true)) return 412;
  } else if (ifUnmodified !== undefined && modifiedSeconds !== undefined && modifiedSeconds > ifUnmodified) {
    return 412;
  }
  const ifNoneMatch = headers["if-none-match"];
  if (ifNoneMatch !== undefined) return names(ifNoneMatch, etag, false) ? 304 : 200;
  const ifModified = dateOf(headers["if-modified-since"]);
  if (ifModified === undefined || modifiedSeconds === undefined) return 200;
  const { mayGoBack = false } = validators;
  const isOld = mayGoBack ? modifiedSeconds === ifModified : modifiedSeconds <= ifModified;
  return isOld ? 304 : 200;
}

/** Whether the ranges asked for are of this representation. RFC 9110 §13.1.5 */
export function holdsIfRange(headers: IncomingHttpHeaders, validators: Validators): boolean {
  const ifRange = headers["if-range"];
  if (typeof ifRange !== "string") return true;
  if (ifRange.includes('"')) return names(ifRange, validators.etag, true);
  const { modifiedSeconds, isModifiedStrong = false } = validators;
  return isModifiedStrong && modifiedSeconds !== undefined && parseHttpDate(ifRange) === modifiedSeconds;
}

/** Whether a list of entity tags (or `*`) has this one. A weak one equals none in the strong comparison. RFC 9110 §8.8.3.2 */
function names(list: string, etag: string, isStrong: boolean): boolean {
  if (list.trim() === "*") return true;
  if (isStrong && etag.startsWith("W/")) return false;
  const found = list.match(ETAG) ?? [];
  return found.some((one) => (isStrong ? one === etag : withoutWeak(one) === withoutWeak(etag)));
}

function withoutWeak(etag: string): string {
  return etag.replace(/^W\//, "");
}

function dateOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseHttpDate(text);
}
