// What the Node programs of this folder have in common: `PROGRAM METHOD URL [FILE]` sends a request, with the file as its body, and prints
// status and body of the response as JSON. A body is streamed, so that it goes out in chunks.
import { createReadStream } from 'node:fs';

/** The request that the arguments describe; `body` is a stream, or undefined. */
export function askedFor() {
  const [method, url, file] = process.argv.slice(2);
  return { method, url, body: file === undefined ? undefined : createReadStream(file) };
}

/** Prints what came back. */
export function answer(status, body) {
  process.stdout.write(JSON.stringify({ status, body }));
}
