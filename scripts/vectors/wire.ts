/** Vectors of canonical protobuf and of headers. docs/format.md §1.2, §3 */
import { rawMessage, refused, hex, type VectorCase } from "./case.ts";

/** The message of the vectors: `uint64 number = 1; bytes text = 2; repeated bytes parts = 3; repeated uint64 numbers = 4;` */
function wire(name: string, description: string, bytes: Uint8Array, value?: object): VectorCase {
  if (value === undefined) return refused(`wire/${name}.json`, description, bytes, "OBJECT_INVALID");
  return { path: `wire/${name}.json`, content: { description, bytes: hex(bytes), expect: { value } } };
}

const EMPTY = { number: 0, text: "", parts: [] as string[], numbers: [] as number[] };

/** Canonical messages and every way not to be one. */
export function wireCases(): VectorCase[] {
  const text = Buffer.from("ab", "hex");
  const max = Number.MAX_SAFE_INTEGER;
  const raw = (digits: string): Buffer => Buffer.from(digits, "hex");
  return [
    wire("empty", "nothing at all", rawMessage(), EMPTY),
    wire("full", "every field", rawMessage({ 1: 300, 2: text, 3: text, 4: [1, 128] }), {
      number: 300,
      text: "ab",
      parts: ["ab"],
      numbers: [1, 128],
    }),
    wire("largest-number", "2^53 − 1, eight bytes", rawMessage({ 1: max }), { ...EMPTY, number: max }),
    wire("empty-part", "an element of a repeated field may be empty", raw("1a001a01ab"), {
      ...EMPTY,
      parts: ["", "ab"],
    }),
    wire("packed-zeros", "zeros in a packed field", rawMessage({ 4: [0, 0] }), { ...EMPTY, numbers: [0, 0] }),
    wire("number-over-2-53", "2^53 is over what a number may be", raw("088080808080808010")),
    wire("number-of-ten-bytes", "a number of ten bytes", raw("08ffffffffffffffffff01")),
    wire("number-longer-than-needed", "1 written in two bytes", raw("088100")),
    wire("number-zero", "a zero that stands", raw("0800")),
    wire("number-cut-off", "the message ends inside a number", raw("0880")),
    wire("number-missing", "the message ends after a tag", raw("08")),
    wire("number-as-bytes", "field 1 with the wire type of bytes", raw("0a0101")),
    wire("number-twice", "a field that is not repeated stands twice", raw("08010801")),
    wire("text-empty", "empty bytes that stand", raw("1200")),
    wire("text-past-end", "bytes that reach past the end", raw("1202ab")),
    wire("text-length-huge", "a length of 2^53 − 1", raw("12ffffffffffffff0f")),
    wire("order-descending", "field 2 before field 1", raw("1201ab0801")),
    wire("field-unknown", "field 5", raw("2801")),
    wire("field-zero", "field 0", raw("0001")),
    wire("tag-longer-than-needed", "a tag in two bytes", raw("880001")),
    wire("type-fixed64", "wire type 1", raw("090000000000000000")),
    wire("type-group", "wire type 3, a group", raw("0b0c")),
    wire("type-fixed32", "wire type 5", raw("0d00000000")),
    wire("packed-empty", "an empty packed field that stands", raw("2200")),
    wire("packed-unpacked", "numbers of a packed field each by itself", raw("20012002")),
    wire("packed-in-two", "a packed field in two pieces", raw("220101220102")),
    wire("packed-cut-off", "a packed field that ends inside a number", raw("220180")),
    wire("packed-number-over", "a packed field whose number reaches past it", raw("2201800801")),
    wire("packed-too-many", "five numbers where four are allowed", rawMessage({ 4: [1, 2, 3, 4, 5] })),
    wire("parts-too-many", "five elements where four are allowed", raw("1a001a001a001a001a00")),
  ];
}

function header(name: string, description: string, digits: string, kind: string, error?: string): VectorCase {
  const bytes = Buffer.from(digits, "hex");
  if (error !== undefined) return refused(`header/${name}.json`, description, bytes, error, { kind });
  return {
    path: `header/${name}.json`,
    content: { description, kind, bytes: digits, expect: { value: kind } },
  };
}

/** Headers. */
export function headerCases(): VectorCase[] {
  const rest = "0000".padEnd(52, "0");
  const none = "0".repeat(32);
  return [
    header("block", "a block's", `414546530101${rest}`, "block"),
    header("manifest", "a manifest object's", `414546530201${rest}`, "manifest"),
    header("plan", "a plan object's", `414546530301${rest}`, "plan"),
    header("cut-off", "31 bytes", `414546530301${rest}`.slice(0, 62), "plan", "OBJECT_INVALID"),
    header("magic", "another magic", `424546530301${rest}`, "plan", "OBJECT_INVALID"),
    header("kind", "a plan where a block is expected", `414546530301${rest}`, "block", "OBJECT_INVALID"),
    header("version", "format version 2", `414546530302${rest}`, "plan", "FORMAT_UNSUPPORTED"),
    header(
      "feature",
      "required feature bit 0",
      `41454653030100000100000000000000${none}`,
      "plan",
      "FORMAT_UNSUPPORTED",
    ),
    header(
      "feature-high",
      "required feature bit 31",
      `41454653030100000000008000000000${none}`,
      "plan",
      "FORMAT_UNSUPPORTED",
    ),
    header(
      "key",
      "a key id",
      `41454653030100000000000000000000${none.slice(1)}1`,
      "plan",
      "FORMAT_UNSUPPORTED",
    ),
    header(
      "reserved-16",
      "the reserved bytes 6 and 7",
      `41454653030101000000000000000000${none}`,
      "plan",
      "OBJECT_INVALID",
    ),
    header(
      "reserved-32",
      "the reserved bytes 12 to 15",
      `41454653030100000000000000000001${none}`,
      "plan",
      "OBJECT_INVALID",
    ),
  ];
}
