/** Elements of a list that are looked at. */
const ELEMENTS_MAX = 64;
/** RFC 9110 §12.4.2 */
const WEIGHT = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;

/**
 * What a header `Accept` or `Accept-Encoding` names, in lower case, and how much it is wanted: 0 (not at all) to 1. Parameters but
 * `q` are not looked at; an element whose weight is none counts as absent. RFC 9110 §12.4.2, §12.5.1, §12.5.3
 */
export function parseWeights(header: string): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const element of header.toLowerCase().split(",", ELEMENTS_MAX)) {
    const [name = "", ...parameters] = element.split(";").map((part) => part.trim());
    const weight = parameters.find((part) => part.startsWith("q="))?.slice("q=".length) ?? "1";
    if (name !== "" && WEIGHT.test(weight))
      weights.set(name, Math.max(weights.get(name) ?? 0, Number(weight)));
  }
  return weights;
}
