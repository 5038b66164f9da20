/** Charts of plain characters. */

/** A bar of `amount` beside the `largest` one, which is `width` characters long: one at least of anything. */
export function bar(amount: number, largest: number, width: number): string {
  if (amount <= 0 || largest <= 0) return "";
  return "#".repeat(Math.min(width, Math.max(1, Math.round((width * amount) / largest))));
}

/** A text of at most `width` characters: of a longer one both ends, with `...` between. */
export function shortened(text: string, width: number): string {
  const characters = Array.from(text);
  if (characters.length <= width) return text;
  const head = Math.max(0, Math.floor((width - 3) / 2));
  const tail = Math.max(0, width - 3 - head);
  return `${characters.slice(0, head).join("")}...${characters.slice(characters.length - tail).join("")}`;
}

/** The text in lines of at most `width` characters, broken at blanks: the first after `head`, others as far to the right. */
export function wrapped(head: string, text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = head;
  let isBegun = false;
  for (const word of text.split(" ")) {
    const longer = isBegun ? `${line} ${word}` : `${line}${word}`;
    if (longer.length <= width || !isBegun) line = longer;
    else {
      lines.push(line);
      line = `${" ".repeat(head.length)}${word}`;
    }
    isBegun = true;
  }
  return [...lines, line];
}
