import { headerLine, type Placement, part } from './placement.js';

const HOLE = /\{secret(?:\.([A-Za-z0-9_-]+))?\}/;

/** Sets a header. `format` is the value with `{secret}`, or `{secret.FIELD}` for a named field, where the material goes. */
export function headerPlacement(name: string, format: string): Placement {
  const pieces = format.split(/(\{secret(?:\.[A-Za-z0-9_-]+)?\})/);
  return {
    fields: [name.toLowerCase()],
    render(material) {
      const values: string[] = [];
      let text = '';
      for (const piece of pieces) {
        const hole = HOLE.exec(piece);
        if (hole === null) text += piece;
        else {
          const value = part(material, hole[1] ?? null).reveal();
          values.push(value);
          text += value;
        }
      }
      return { lines: headerLine(name, text), parameter: null, values };
    },
  };
}
